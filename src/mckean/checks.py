"""Refusals: one sentence, at the call, before anything is compiled.

Values are checked only where they are known: under a JAX transformation an argument is a tracer, whose value
does not exist yet, and the check is passed over (shapes are known, and checked, always).
"""

import difflib
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


def traced(tree: Any) -> bool:
    """Whether any leaf of `tree` is a JAX tracer, so that its value cannot be looked at."""
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(tree))


def concrete(value: Any) -> Any:
    """The value as a NumPy array, so that nothing is compiled to look at it; as JAX's where it is traced."""
    return jnp.asarray(value) if traced(value) else np.asarray(value)


def array(value: Any, dtype: Any = None) -> jax.Array:
    """`jnp.asarray(value, dtype)`, which compiles a program for each shape, without one where the value is known."""
    if traced(value) or isinstance(value, jax.Array):
        return jnp.asarray(value, dtype)
    return jax.device_put(np.asarray(value, None if dtype is None else jnp.result_type(dtype)))


def require(condition: Any, message: str) -> None:
    """Raise `ValueError(message)` unless `condition`; a traced condition is passed over."""
    if not traced(condition) and not bool(condition):
        raise ValueError(message)


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


def nearest(name: str, known: Iterable[str], kind: str) -> str:
    """`name` if it is one of `known`; otherwise a `ValueError` that proposes the nearest."""
    known = list(known)
    if name in known:
        return name
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    hint = f" did you mean '{close[0]}'?" if close else ""
    raise ValueError(f"there is no {kind} '{name}';{hint} The known ones: {', '.join(known)}.")


def scalar_field(f: Any, dim: int, name: str) -> None:
    """Raise `ValueError` unless `f` maps a point, an array of shape (dim,), to a scalar."""
    try:
        out = jax.eval_shape(f, jax.ShapeDtypeStruct((dim,), jnp.result_type(float)))
    except (TypeError, IndexError, ValueError) as error:
        raise ValueError(
            f"{name} must be a JAX function of one point, an array of shape ({dim},); calling it so failed: {error}"
        ) from error
    shape = getattr(out, "shape", None)
    if shape != ():
        raise ValueError(f"{name} must return a scalar for a point of shape ({dim},), but it returned shape {shape}.")
    if not jnp.issubdtype(out.dtype, jnp.floating):
        raise ValueError(f"{name} must return a real number that can be differentiated, but it returned {out.dtype}.")


def require_periodic(f: Any, lengths: tuple[float, ...], name: str, mend: str = "") -> None:
    """Raise `ValueError` unless f is finite and f(x + L_i e_i) = f(x) at random points of the torus with sides L."""
    dim = len(lengths)
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (32, dim)) * np.asarray(lengths)
    moved = x + np.diag(np.asarray(lengths))[:, None]
    with jax.ensure_compile_time_eval():
        both = jax.jit(jax.vmap(f))(jnp.asarray(np.concatenate([x, *moved]), float))
    if traced(both):
        return
    values, *shifted = np.split(np.asarray(both), dim + 1)
    require_finite(name, values)
    tolerance = 1e4 * float(jnp.finfo(jnp.result_type(float)).eps) * (np.abs(values).max() + 1e-30)
    for side, other in zip(lengths, shifted, strict=True):
        change = np.abs(other - values).max()
        if not change <= tolerance:
            raise ValueError(
                f"{name} is not periodic: it changes by up to {change:.3g} over the side {side:.6g} of the torus{mend}."
            )
