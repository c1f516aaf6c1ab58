"""Equations of Riccati's kind, solved from the horizon back, and the instant at which they blow up."""

from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from mckean.checks import traced
from mckean.dynamics.particles import both_ways

# Beyond this a solution is a pole, c/(t − t*), to the precision of numbers.
_LARGE = 1e7
# Steps for each interval under a transformation of JAX, where an error cannot be looked at.
_UNSEEN = 8


@eqx.filter_jit
def backwards(
    rates: Callable[[Array, Any], Any], end: Any, times: Float[Array, " t"], parts: int
) -> tuple[Any, Bool[Array, ""]]:
    """y at equidistant times from 0 to T with −y′ = rates(t, y), y(T) = end; and whether the steps resolve it.

    Each interval has so many steps of order 8, a small program, with the error that the method knows of itself.
    """
    dt, solver = (times[1] - times[0]) / parts, both_ways(diffrax.Dopri8())
    term = diffrax.ODETerm(lambda s, y, args: rates(times[-1] - s, y))

    def step(y, s):
        new, error, *_ = solver.step(term, s, s + dt, y, None, solver.init(term, s, s + dt, y, None), False)
        return new, (None, size(error) <= 1e4 * jnp.finfo(dt.dtype).eps * (1 + size(new)))

    def interval(y, s):
        y, (_, fine) = jax.lax.scan(step, y, s + dt * jnp.arange(parts))
        return y, (y, jnp.all(fine))

    _, (along, fine) = jax.lax.scan(interval, end, times[-1] - times[:0:-1])
    return jax.tree.map(lambda last, rest: jnp.concatenate([last[None], rest])[::-1], end, along), jnp.all(fine)


@eqx.filter_jit
def pole(rates: Callable[[Array, Any], Any], end: Any, horizon: Float[Array, ""]) -> Float[Array, ""]:
    """The time of the last pole of −y′ = rates(t, y), y(T) = end, NaN for none.

    Near a pole t*, y = c/(t − t*) + O(1) and y′ = −c/(t − t*)²: the last time at which y is known, less |y/y′|, is t*
    up to the square of their distance.
    """
    run = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda s, y, args: rates(horizon - s, y)),
        diffrax.Dopri8(),
        jnp.zeros_like(horizon),
        horizon,
        None,
        end,
        stepsize_controller=diffrax.PIDController(rtol=1e-10, atol=1e-12),
        event=diffrax.Event(lambda t, y, args, **kwargs: size(y) > _LARGE * (1 + size(end))),
        throw=False,
    )
    assert run.ys is not None, "the last value is saved"
    assert run.ts is not None, "its time is saved"
    y, s = jax.tree.map(lambda a: a[0], run.ys), run.ts[0]
    time = horizon - s - size(y) / size(rates(horizon - s, y))
    return jnp.where(run.result == diffrax.RESULTS.successful, jnp.nan, time)


def solve(rates: Callable[[Array, Any], Any], end: Any, times: Float[Array, " t"], what: str) -> Any:
    """y at the times, of an `equinox.Partial` of a module's function, so that one program serves all games of a form.

    **Raises:** `ValueError` where y has a pole, with its time, and for steps that do not resolve it.
    """
    if traced((rates, end, times)):
        return backwards(rates, end, times, _UNSEEN)[0]
    y, fine = backwards(rates, end, times, 1)
    if bool(fine):
        return y
    horizon = float(times[-1])
    time = float(pole(rates, end, times[-1]))
    if np.isnan(time):
        for parts in (8, 64):
            y, fine = backwards(rates, end, times, parts)
            if bool(fine):
                return y
        raise ValueError("the steps do not resolve the Riccati equation of this game: take more of them, `steps`.")
    raise ValueError(
        f"{what} does not exist on [0, {horizon:g}]: its Riccati equation blows up at t = {time:.10g}; with a horizon "
        f"below {horizon - time:.10g} it does not."
    )


def size(tree: Any) -> Array:
    """The largest entry."""
    return jnp.max(jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(tree)]))
