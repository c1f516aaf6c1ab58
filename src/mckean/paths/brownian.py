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

from mckean.checks import require
from mckean.paths.counter import normal


class Stream(eqx.Module):
    """One family of independent Brownian motions, seen on the grid of steps kh.

    The key fixes the increments of the base grid. `refine` splits every step by Lévy's midpoint rule,
    B(t+h/2) − B(t) = (ΔB + √h Z)/2 with Z ~ N(0, 1) independent of ΔB, and `coarsen` adds consecutive steps up.
    Both show the *same* path at another resolution.
    """

    key: PRNGKeyArray
    halvings: int = eqx.field(static=True, default=0)
    grouping: int = eqx.field(static=True, default=1)

    def increment(
        self, step: Int[ArrayLike, ""], dt: Float[ArrayLike, ""], shape: tuple[int, ...], dtype: Any = float
    ) -> Float[Array, "..."]:
        """B(t_{step+1}) − B(t_step), independent N(0, dt) entries of the given shape."""
        root = jnp.sqrt(jnp.asarray(dt, dtype) / self.grouping)
        first = step * self.grouping
        if self.grouping == 1:
            return root * self._normal(first, shape, dtype)
        total = jax.lax.fori_loop(
            0, self.grouping, lambda j, s: s + self._normal(first + j, shape, dtype), jnp.zeros(shape, dtype)
        )
        return root * total

    def _normal(self, index, shape: tuple[int, ...], dtype) -> Array:
        """Standardised increment of the refined, ungrouped grid."""
        base = jnp.asarray(index) >> self.halvings
        value = normal(self._fold(0, base), shape, dtype)
        for level in range(1, self.halvings + 1):
            node = jnp.asarray(index) >> (self.halvings - level)
            bridge = normal(self._fold(level, node >> 1), shape, dtype)
            sign = 1 - 2 * (node & 1)
            value = (value + sign.astype(dtype) * bridge) * jnp.asarray(2**-0.5, dtype)
        return value

    def _fold(self, level: int, index) -> PRNGKeyArray:
        return jax.random.fold_in(jax.random.fold_in(self.key, level), index)


def _resolved(stream: Stream, halvings: int, grouping: int) -> Stream:
    """The stream with steps halved and grouped further; two halves are their parent, so the powers of two cancel."""
    halvings, grouping = stream.halvings + halvings, stream.grouping * grouping
    while halvings and grouping % 2 == 0:
        halvings, grouping = halvings - 1, grouping // 2
    return Stream(stream.key, halvings, grouping)


class Brownian(eqx.Module):
    """The noise of a run: an idiosyncratic stream, one motion for each particle, and an environment common to all.

    **Arguments:** `key`: a JAX key, `jax.random.key(seed)`. `environment`: another path's `environment`, to share the
    common noise and redraw the particles' own (a draw from the conditional law); drawn from `key` where nothing is
    said. **Raises** `ValueError` for anything but one typed key.

    The path is indexed by step: the step k of a run with time step dt starting at time 0 covers [k dt, (k+1) dt]. To
    follow one path at several resolutions, run with (path, dt), (path.refine(2), dt/2), (path.coarsen(3), 3 dt), …
    """

    idiosyncratic: Stream
    environment: Stream

    def __init__(self, key: PRNGKeyArray, environment: Stream | None = None):
        typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ()
        require(typed, "a Brownian path needs a single typed key, jax.random.key(seed).")
        self.idiosyncratic = Stream(jax.random.fold_in(key, 0))
        self.environment = Stream(jax.random.fold_in(key, 1)) if environment is None else environment

    def refine(self, factor: int = 2) -> "Brownian":
        """The same path in steps `factor` times shorter; `factor` is a power of two."""
        if not isinstance(factor, int) or factor < 1 or factor & (factor - 1):
            raise ValueError(f"a path is refined by a power of two, but the factor {factor} was given.")
        return self._resolved(factor.bit_length() - 1, 1)

    def coarsen(self, factor: int) -> "Brownian":
        """The same path in steps `factor` times longer: each increment is the sum of `factor` of these."""
        if not isinstance(factor, int) or factor < 1:
            raise ValueError(f"a path is coarsened by a positive integer, but {factor} was given.")
        return self._resolved(0, factor)

    def _resolved(self, halvings: int, grouping: int) -> "Brownian":
        streams = tuple(_resolved(stream, halvings, grouping) for stream in (self.idiosyncratic, self.environment))
        return eqx.tree_at(lambda p: (p.idiosyncratic, p.environment), self, streams)
