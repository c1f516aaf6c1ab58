"""Refusals: one sentence, at the call, before anything is compiled.

Values are checked only where they are known: under a JAX transformation an argument is a tracer, whose value
does not exist yet, and the check is passed over (shapes are known, and checked, always).
"""

import contextlib
import difflib
import inspect
import os
from collections.abc import Iterable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import get_opaque_trace_state


def traced(tree: Any) -> bool:
    """Whether any leaf of `tree` is a JAX tracer, so that its value cannot be looked at."""
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(tree))


def under_transformation() -> bool:
    """Whether JAX is tracing a function, also where no value at hand is traced."""
    return get_opaque_trace_state(convention="nnx") != _NO_TRACE


_NO_TRACE = get_opaque_trace_state(convention="nnx")


def concrete(value: Any) -> Any:
    """The value as a NumPy array, so that nothing is compiled to look at it; as JAX's where it is traced."""
    return jnp.asarray(value) if traced(value) else np.asarray(value)


def array(value: Any, dtype: Any = None) -> jax.Array:
    """`jnp.asarray(value, dtype)`, which compiles a program for each shape, without one where the value is known."""
    if dtype is not None and jnp.issubdtype(jnp.result_type(dtype), jnp.floating):
        require_real("a number that is held in real precision", value)
    if traced(value) or isinstance(value, jax.Array):
        return jnp.asarray(value, dtype)
    return jax.device_put(np.asarray(value, None if dtype is None else jnp.result_type(dtype)))


def require(condition: Any, message: str, see: str = "") -> None:
    """Raise `ValueError(message)` unless `condition`; a traced condition is passed over. `see`: as for `refusal`."""
    if not traced(condition) and not bool(condition):
        raise refusal(message, see)


def refusal(message: str, see: str = "") -> ValueError:
    """The error with this sentence, and a note below it that names the section `see` of docs/errors.md."""
    error = ValueError(message)
    if see:
        error.add_note(f'See "{see}" in docs/errors.md.')
    return error


def require_real(name: str, value: Any) -> None:
    """Raise `ValueError` for complex values, whose imaginary part a conversion would lose, and for functions."""
    require(
        not callable(value),
        f"{name} is a number, not a function; one that depends on time is in Schedule(lambda t: langevin(…)).",
    )
    require(not np.iscomplexobj(value), f"{name} must be real, but it is complex: give its real part, or its modulus.")


def require_finite(name: str, value: Any) -> None:
    """Raise `ValueError` naming the first non-finite entry of the array `value`."""
    if traced(value):
        return
    bad = np.flatnonzero(~np.isfinite(np.asarray(value)).ravel())
    if bad.size:
        index = np.unravel_index(bad[0], np.shape(value))
        where = f" at index {tuple(int(i) for i in index)}" if index else ""
        count = f"{bad.size} of its {np.size(value)} values" if np.size(value) > 1 else "it"
        raise ValueError(f"{name} must be finite, but {count} {'are' if bad.size > 1 else 'is'} not{where}.")


def number(name: str, value: Any) -> float:
    """A number that is known, as Python's: an entry of an array is one."""
    require(not traced(value), f"{name} is a number, not a traced value.")
    real = np.shape(value) == () and np.asarray(value).dtype.kind in "iuf"
    require(real, f"{name} must be a real number, but {value!r} was given.")
    return float(value)


def positive_integer(name: str, value: Any) -> int:
    """A positive integer that is known, as Python's: NumPy's and JAX's are as good. `name` is the refusal's start."""
    require(not traced(value), f"{name}, not a traced value.")
    whole = np.shape(value) == () and np.asarray(value).dtype.kind in "iu"
    require(whole and value >= 1, f"{name}, but {value!r} was given.")
    return int(value)


def require_tolerance(name: str, value: float) -> None:
    """Raise `ValueError` for a threshold that is negative or not a number, which would let nothing or all pass."""
    require(value >= 0, f"{name} must be a number that is not negative, but {value} was given.")


def require_key(key: Any) -> None:
    """Raise `ValueError` for anything but one typed key."""
    typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    require(
        typed and key.shape == (),
        "randomness needs one typed key, jax.random.key(seed); jax.random.wrap_key_data makes one of a legacy key, and "
        "jax.random.split gives many, one for each use.",
        see="A key",
    )


def require_arguments(what: str, f: Any, *arguments: str, mend: str = "", see: str = "") -> None:
    """Raise `ValueError` unless f can be called with these arguments, as far as Python can tell, with the mend."""
    try:
        signature = inspect.signature(f)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        taken = ", ".join(signature.parameters)
        raise refusal(
            f"{what} is a function of ({', '.join(arguments)}), but this one is of ({taken}){mend}.", see
        ) from error


def require_draws(key: Any, n: Any, dim: int) -> None:
    """Raise `ValueError` unless n points of dimension d can be drawn with a key, and held."""
    require_key(key)
    n = positive_integer("the number of points is a positive integer", n)
    require_memory(f"{n} points of dimension {dim}", n * dim)


def require_memory(what: str, count: float) -> None:
    """Raise `ValueError` where so many numbers are more than this machine holds: JAX would end the process."""
    held = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    needed = count * jnp.dtype(jnp.result_type(float)).itemsize
    require(
        needed <= held / 2,
        f"{what} take {needed / 2**30:.3g} GiB, and more on the way, but this machine has {held / 2**30:.3g} GiB of "
        "memory: ask for fewer.",
    )


_UNKNOWN = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)


@contextlib.contextmanager
def calling(what: str) -> Iterator[None]:
    """Where a user's function is traced: JAX's pages on values that are not known become a sentence with the mend."""
    try:
        yield
    except _UNKNOWN as error:
        raise refusal(
            f"{what} must be a function that JAX can trace, where values are not known: write a Python `if` or `float` "
            "of a value with jnp.where and jnp.asarray, and NumPy's functions with jax.numpy's "
            f"({str(error).splitlines()[0].rstrip('.')}).",
            see="A function that JAX can trace",
        ) from error


# More names than fill a few lines are no help.
_LONG = 300


def nearest(name: str, known: Iterable[str], kind: str) -> str:
    """`name` if it is one of `known`; otherwise a `ValueError` that proposes the nearest."""
    known = list(known)
    if name in known:
        return name
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    hint = f" did you mean '{close[0]}'?" if close else ""
    names = ", ".join(known)
    told = f"The known ones: {names}." if len(names) < _LONG else f"{len(known)} are known."
    raise ValueError(f"there is no {kind} '{name}';{hint} {told}")


def scalar_field(f: Any, dim: int, name: str) -> None:
    """Raise `ValueError` unless `f` maps a point, an array of shape (dim,), to a scalar."""
    with calling(name):
        try:
            out = jax.eval_shape(f, jax.ShapeDtypeStruct((dim,), jnp.result_type(float)))
        except _UNKNOWN:
            raise
        except (TypeError, IndexError, ValueError) as error:
            raise ValueError(
                f"{name} must be a JAX function of one point, an array of shape ({dim},); calling it so failed: {error}"
            ) from error
    require_entries(name, f, dim)
    shape = getattr(out, "shape", None)
    if shape != ():
        raise refusal(
            f"{name} must return a scalar for a point of shape ({dim},), but it returned shape {shape}.",
            see="A potential returns a scalar",
        )
    if not jnp.issubdtype(out.dtype, jnp.floating):
        raise ValueError(f"{name} must return a real number that can be differentiated, but it returned {out.dtype}.")


def require_entries(name: str, f: Any, dim: int) -> None:
    """Raise `ValueError` for a function of a point that asks for an entry which the point does not have.

    JAX gives the last entry there instead; NumPy tells. Nothing is computed but shapes.
    """
    point = np.zeros(dim, jnp.result_type(float))
    try:
        jax.eval_shape(lambda: f(point))
    except IndexError as error:
        raise ValueError(f"{name} asks for more than the entries of a point of shape ({dim},): {error}.") from error
    except Exception:
        # What only arrays of JAX can do; the function is judged where it is called with one.
        return


def require_periodic(f: Any, lengths: tuple[float, ...], name: str, mend: str = "") -> None:
    """Raise `ValueError` unless f is finite and f(x + L_i e_i) = f(x) at random points of the torus with sides L."""
    dim = len(lengths)
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (32, dim)) * np.asarray(lengths)
    lattice = np.concatenate([x[None], x + np.diag(np.asarray(lengths))[:, None]])
    with jax.ensure_compile_time_eval():
        values = _at_all(f, jnp.asarray(lattice, float))
    if not traced(values):
        require_same(name, lengths, np.asarray(values), mend)


@eqx.filter_jit
def _at_all(f: Any, points: jax.Array) -> jax.Array:
    return jax.vmap(jax.vmap(f))(points)


def require_same(name: str, lengths: tuple[float, ...], values: np.ndarray, mend: str = "") -> None:
    """Raise `ValueError` unless values at points, and at these moved by each side of a torus, are finite and equal."""
    require_finite(name, values[0])
    tolerance = 1e4 * float(jnp.finfo(values.dtype).eps) * (np.abs(values).max() + 1e-30)
    for side, moved in zip(lengths, values[1:], strict=True):
        change = np.abs(moved - values[0]).max()
        if not change <= tolerance:
            raise refusal(
                f"{name} is not periodic: it changes by up to {change:.3g} over the side {side:.6g} of the "
                f"torus{mend}.",
                see="A potential on a torus is periodic",
            )
