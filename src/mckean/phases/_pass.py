"""The mountain pass between two steady states: the highest point of the lowest path."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean.checks import require
from mckean.models import Model, energy
from mckean.phases import _equation as equation
from mckean.phases import _law as law
from mckean.phases._curvature import hessian
from mckean.phases._states import SteadyState, describe
from mckean.phases._walk import SOLVED
from mckean.spaces import AbstractGrid, SphereGrid

_IMAGES = 24
_ROUNDS, _STEPS = 12, 60


def mountain_pass(model: Model, first: SteadyState, second: SteadyState) -> SteadyState:
    """The saddle between two steady states, over which the lowest path from one to the other leads.

        Δ = min over paths ρ_s from first to second of max_s F(ρ_s) − F(first) = F(saddle) − F(first)

    A string of densities is relaxed, each by Picard's steps, and kept at equal distances; from its highest one Newton's
    method goes to the saddle, which has one unstable direction. N particles take a time of order e^{NβΔ} to pass. On a
    torus and on S¹ the second state is moved to where it is nearest to the first; on S² turn it yourself.

    **Arguments:**

    - `model`: as for `steady_state`.
    - `first`, `second`: two of its states, on one grid, in basins of their own.

    **Returns:** the saddle, a `SteadyState`; there may be a lower one on a path far from the one that was found.

    **Raises:**

    - `ValueError` for what are no two states of the model on one grid.
    - `RuntimeError` where no saddle is found, as where F falls all the way from one state to the other.

    **Source:** E, Ren and Vanden-Eijnden, J. Chem. Phys. 126, 164103 (2007).
    """
    both = isinstance(first, SteadyState) and isinstance(second, SteadyState)
    require(both, "a mountain pass lies between two steady states, as steady_state returns them.")
    grid = first.density.grid
    require(second.density.grid == grid, "the two states have densities on one grid.")
    equation.require_states(model, grid)
    equation.require_energy(model, "a mountain pass")
    axes = equation.symmetric_axes(model, grid)
    start, end = _potentials(model, first, second, axes)
    for state in (first, second):
        off = float(equation.residual(model, grid, energy.potential(model, state.density)))
        require(off <= 1e-6, f"a state of order {state.order} is none of this model: log ρ is {off:.1g} off.")
    gap = float(model.beta * jnp.max(jnp.abs(_centred(start - end))))
    require(gap > 1e-6, "the two states are one, up to a translation.")
    share = jnp.linspace(0.0, 1.0, _IMAGES).reshape(-1, *[1] * len(grid.shape))
    string = (1 - share) * start + share * end
    length = 0.7 / max(1.0, *(_stiffest(model, u, grid, axes) for u in (start, end)))
    least = max(first.free_energy, second.free_energy)
    said = "F falls all the way from one to the other"
    for _ in range(_ROUNDS):
        string, values = _relax(model, grid, string, length)
        top = int(np.argmax(np.asarray(values)))
        if top in (0, _IMAGES - 1):
            continue
        u, residual = equation.newton(model, grid, string[top], axes)
        near = float(jnp.sqrt(jnp.mean(_centred(u - string[top]) ** 2)))
        apart = float(jnp.sqrt(jnp.mean(_centred(string[top + 1] - string[top - 1]) ** 2)))
        if not float(residual) <= SOLVED or near > 2 * apart:
            said = f"Newton's method leaves the highest of the path's densities, at F = {float(values[top]):.6g}"
            continue
        saddle = describe(model, grid, u, axes)
        if saddle.index == 1 and saddle.free_energy > least:
            return saddle
        said = f"the path leads over a state with {saddle.index} unstable directions"
        string = string + _bend(string, model)
    raise RuntimeError(f"no saddle between the two states was found: {said}.")


def _centred(u: Any) -> Any:
    return u - jnp.mean(u)


def _potentials(model: Model, first: SteadyState, second: SteadyState, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """u of the two states, without their means, the second one moved to where ⟨ρ_1, ρ_2⟩ is largest."""
    grid = first.density.grid
    start, end = (_centred(energy.potential(model, state.density)) for state in (first, second))
    # On S² a rotation is no shift of the nodes.
    if axes and not isinstance(grid, SphereGrid):
        one, other = (np.asarray(state.density.values) for state in (first, second))
        overlap = np.fft.ifftn(np.fft.fftn(one) * np.conj(np.fft.fftn(other))).real
        fixed = [i for i in range(one.ndim) if i not in axes]
        overlap = overlap[tuple(slice(0, 1) if i in fixed else slice(None) for i in range(one.ndim))]
        moves = np.unravel_index(int(np.argmax(np.round(overlap, 9))), overlap.shape)
        end = jnp.roll(end, tuple(int(m) for m in moves), tuple(range(one.ndim)))
    return start, end


def _stiffest(model: Model, u: Any, grid: AbstractGrid, axes: tuple[int, ...]) -> float:
    """The largest curvature, which bounds Picard's steps."""
    whole = hessian(model, law.density(model, grid, u), np.asarray(equation.tangents(grid, u, axes)))
    return float(whole.inside.max(initial=1.0)) if whole.complete else 2.0


@eqx.filter_jit
def _relax(model: Model, grid: AbstractGrid, string: Any, length: Any) -> tuple[Any, Any]:
    """The string after some steps, and F along it."""

    def step(_, string):
        moved = string + length * (jax.vmap(lambda u: equation.image(model, grid, u))(string) - string)
        moved = jnp.concatenate([string[:1], moved[1:-1], string[-1:]])
        flat = moved.reshape(_IMAGES, -1)
        flat = flat - jnp.mean(flat, axis=1, keepdims=True)
        # To equal distances along the polygon.
        along = jnp.concatenate([jnp.zeros(1), jnp.cumsum(jnp.linalg.norm(jnp.diff(flat, axis=0), axis=1))])
        places = jnp.linspace(0.0, 1.0, _IMAGES) * along[-1]
        left = jnp.clip(jnp.searchsorted(along, places, side="right") - 1, 0, _IMAGES - 2)
        share = (places - along[left]) / jnp.maximum(along[left + 1] - along[left], 1e-300)
        return (flat[left] + share[:, None] * (flat[left + 1] - flat[left])).reshape(string.shape)

    string = jax.lax.fori_loop(0, _STEPS, step, string)
    return string, jax.vmap(lambda u: energy.free_energy(model, law.density(model, grid, u)))(string)


def _bend(string: Any, model: Model) -> Any:
    """A change of a tenth of a temperature in between, so that a path leaves a symmetry that its ends share."""
    change = np.random.default_rng(0).normal(size=string.shape[1:])
    return 0.1 / model.beta * np.sin(np.pi * np.linspace(0, 1, _IMAGES)).reshape(-1, *[1] * change.ndim) * change
