"""Randomness: Brownian paths as values, made of counter-based increments.

The increment over step k is a pure function of (key, stream, k): nothing is stored, any step can be asked for at any
time, and a run is reproduced, resumed or coupled by handing the same path to another call. With JAX's default
(partitionable threefry) generator the first n rows of an (N, d) draw are the (n, d) draw, so that systems of
different sizes share the noise of the particles they have in common.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray

from mckean.checks import array, require, require_finite, require_key
from mckean.paths.counter import fold, normal


class Stream(eqx.Module):
    """One family of independent Brownian motions, seen on the grid of steps kh.

    The key fixes the increments of the base grid. `refine` splits every step by Lévy's midpoint rule,
    B(t+h/2) − B(t) = (ΔB + √h Z)/2 with Z ~ N(0, 1) independent of ΔB, and `coarsen` adds consecutive steps up.
    Both show the *same* path at another resolution.

    A *shared* stream is the same path in every precision: it is drawn in double and rounded. Draws in single precision
    use other bits, so that else one environment would be two, of a law in double and of a cloud in single precision.
    """

    key: PRNGKeyArray
    halvings: int = eqx.field(static=True, default=0)
    grouping: int = eqx.field(static=True, default=1)
    shared: bool = eqx.field(static=True, default=False)

    def increment(
        self,
        step: Int[ArrayLike, ""],
        dt: Float[ArrayLike, ""],
        shape: tuple[int, ...],
        dtype: Any = float,
        part: Int[ArrayLike, ""] = 0,
    ) -> Float[Array, "..."]:
        """B(t_{step+1}) − B(t_step), independent N(0, dt) entries of the given shape.

        `part` p has the rows pn, …, (p + 1)n − 1 of an array with more rows, n = shape[0].
        """
        if not self.shared:
            return self._increment(step, dt, shape, dtype, part)
        dtype = jnp.result_type(dtype)
        with jax.enable_x64(True):
            return self._increment(step, dt, shape, jnp.float64, part).astype(dtype)

    def _increment(self, step, dt, shape: tuple[int, ...], dtype, part) -> Array:
        root = jnp.sqrt(jnp.asarray(dt, dtype) / self.grouping)
        first = step * self.grouping
        if self.grouping == 1:
            return root * self._normal(first, shape, dtype, part)
        total = jax.lax.fori_loop(
            0, self.grouping, lambda j, s: s + self._normal(first + j, shape, dtype, part), jnp.zeros(shape, dtype)
        )
        return root * total

    @eqx.filter_jit
    def record(self, steps: int, dt: float, width: int) -> "Record":
        """The increments of some motions over the first steps, as an environment that is given.

        **Arguments:**

        - `steps`: the number of steps from time 0 on.
        - `dt`: the length of a step, time.
        - `width`: the number of motions.

        **Returns:** a `Record`.
        """
        return Record(jax.vmap(lambda step: self.increment(step, dt, (width,)))(jnp.arange(steps)), dt)

    def _normal(self, index, shape: tuple[int, ...], dtype, part) -> Array:
        """Standardised increment of the refined, ungrouped grid."""
        base = jnp.asarray(index) >> self.halvings
        value = normal(self._fold(0, base), shape, dtype, part)
        for level in range(1, self.halvings + 1):
            node = jnp.asarray(index) >> (self.halvings - level)
            bridge = normal(self._fold(level, node >> 1), shape, dtype, part)
            sign = 1 - 2 * (node & 1)
            value = (value + sign.astype(dtype) * bridge) * jnp.asarray(2**-0.5, dtype)
        return value

    def _fold(self, level: int, index) -> PRNGKeyArray:
        return fold(jax.random.fold_in(self.key, level), index)

    def resolve(self, halvings: int, grouping: int) -> "Stream":
        """The same path with every step halved so many times, and then grouped.

        Two halves are their parent, so that powers of two cancel.

        **Arguments:**

        - `halvings`: how often each step is halved.
        - `grouping`: how many steps are added up.
        """
        halvings, grouping = self.halvings + halvings, self.grouping * grouping
        while halvings and grouping % 2 == 0:
            halvings, grouping = halvings - 1, grouping // 2
        return Stream(self.key, halvings, grouping, self.shared)

    def check(self, first: int, steps: int, dt: float, width: int) -> None:
        """A stream has increments of any step, length and number."""


class Record(eqx.Module):
    """An environment that is given: the increments of m Brownian motions over steps of one length, from time 0 on.

    **Arguments:**

    - `increments`: ΔB, shape (t, m), √time.
    - `dt`: the length of a step, time.

    **Raises:** `ValueError` for another shape, entries that are not finite, and dt ≤ 0. In a run: for another step, for
    times beyond the record, and for a model with another number of common motions.
    """

    increments: Float[Array, "t m"] = eqx.field(converter=lambda a: array(a, float))
    dt: float = eqx.field(static=True)

    def __check_init__(self):
        shape = self.increments.shape
        require(len(shape) == 2, f"a recorded environment has increments of shape (t, m), not {shape}.")
        require_finite("a recorded environment", self.increments)
        require(self.dt > 0, f"the step of a recorded environment must be positive, but {self.dt} was given.")

    def increment(
        self, step: Int[ArrayLike, ""], dt: Float[ArrayLike, ""], shape: tuple[int, ...], dtype: Any = float
    ) -> Float[Array, "..."]:
        """B(t_{step+1}) − B(t_step)."""
        return self.increments[step].astype(dtype)

    def record(self, steps: int, dt: float, width: int) -> "Record":
        """The first steps of the record.

        **Raises:** `ValueError` if the record does not cover them.
        """
        self.check(0, steps, dt, width)
        return Record(self.increments[:steps], self.dt)

    def resolve(self, halvings: int, grouping: int) -> "Record":
        """The record with steps added up in groups.

        **Raises:** `ValueError` for finer steps, which the record does not hold.
        """
        require(halvings == 0, "a recorded environment has no finer steps than those that were recorded: coarsen it.")
        whole = self.increments.shape[0] // grouping * grouping
        grouped = self.increments[:whole].reshape(-1, grouping, self.increments.shape[1]).sum(axis=1)
        return Record(grouped, self.dt * grouping)

    def check(self, first: int, steps: int, dt: float, width: int) -> None:
        """Raise `ValueError` unless the record covers these steps, of this length, for so many motions."""
        length, motions = self.increments.shape
        require(motions == width, f"the model's common noise has {width} motions, but the environment has {motions}.")
        require(
            abs(dt - self.dt) <= 1e-9 * self.dt,
            f"the environment was recorded in steps of {self.dt:g}, but the run's are dt = {dt:g}.",
        )
        require(
            first >= 0 and first + steps <= length,
            f"the environment covers the steps 0 to {length}, but the run those from {first} to {first + steps}.",
        )


class Brownian(eqx.Module):
    """The noise of a run: a motion of its own for each particle, and an environment common to all.

    The increment over step k is a function of the key and of k alone. Step k of a run with time step dt covers [k dt,
    (k + 1) dt]. To follow one path at several resolutions, run with (path, dt), (path.refine(2), dt/2),
    (path.coarsen(3), 3 dt), and so on.

    The environment is one in single and double precision, up to rounding. The particles' own motions are not: to draw
    them in single precision takes half the time.

    **Arguments:**

    - `key`: a JAX key, `jax.random.key(seed)`.
    - `environment`: the common noise: another path's `environment`, to share it and redraw the particles' own motions,
      or a `Record`. Default: None, drawn from `key`.

    **Raises:** `ValueError` for anything but one typed key, and for an environment of another kind.
    """

    idiosyncratic: Stream
    environment: Stream | Record

    def __init__(self, key: PRNGKeyArray, environment: Stream | Record | None = None):
        require_key(key)
        require(
            environment is None or isinstance(environment, Stream | Record),
            f"an environment is another path's, path.environment, or Record(increments, dt), not {environment!r}.",
        )
        own, common = _two(key)
        self.idiosyncratic = Stream(own)
        self.environment = Stream(common, shared=True) if environment is None else environment

    def refine(self, factor: int = 2) -> "Brownian":
        """The same path in shorter steps.

        **Arguments:**

        - `factor`: how many steps each becomes, a power of two. Default: 2.

        **Raises:** `ValueError` for another factor, and for an environment that is a `Record`.
        """
        if not isinstance(factor, int) or factor < 1 or factor & (factor - 1):
            raise ValueError(f"a path is refined by a power of two, but the factor {factor} was given.")
        return self._resolve(factor.bit_length() - 1, 1)

    def coarsen(self, factor: int) -> "Brownian":
        """The same path in longer steps: each increment is the sum of `factor` of these.

        **Arguments:**

        - `factor`: how many steps become one, a positive integer.

        **Raises:** `ValueError` for another factor.
        """
        if not isinstance(factor, int) or factor < 1:
            raise ValueError(f"a path is coarsened by a positive integer, but {factor} was given.")
        return self._resolve(0, factor)

    def within(self, environment: Stream | Record) -> "Brownian":
        """The particles' own motions as they are, in another environment.

        **Arguments:**

        - `environment`: another path's `environment`, or a `Record`.
        """
        return eqx.tree_at(lambda p: p.environment, self, environment)

    def _resolve(self, halvings: int, grouping: int) -> "Brownian":
        streams = tuple(s.resolve(halvings, grouping) for s in (self.idiosyncratic, self.environment))
        return eqx.tree_at(lambda p: (p.idiosyncratic, p.environment), self, streams)


@jax.jit
def _two(key: PRNGKeyArray) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    """The keys of the particles' own motions and of the environment."""
    return jax.random.fold_in(key, 0), jax.random.fold_in(key, 1)
