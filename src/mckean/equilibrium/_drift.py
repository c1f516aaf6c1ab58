"""Whether an environment leaves a law in place, in mean and along its paths, as rates."""

from typing import NamedTuple, cast

import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.checks import require
from mckean.dynamics.scheme import require_stratonovich
from mckean.measures import Density
from mckean.models import Model, differs, energy, require_model
from mckean.models.environment import derivative, require_movable, spreading, tangent, total_over_motions
from mckean.spaces import calculus
from mckean.spaces.calculus import SpectralGrid


class GibbsDrift(NamedTuple):
    """The rates at which a noise moves a law; 0 for a law that stays.

    **Attributes:**

    - `averaged`: ‖∂_tE ρ‖ in L¹, twice the rate in total variation; per time.
    - `pathwise`: d/dt E∫(ρ_t − ρ)²/ρ, by the environment alone; per time.
    """

    averaged: Float[Array, ""]
    pathwise: Float[Array, ""]


def gibbs_drift(model: Model, state: Density) -> GibbsDrift:
    """The rates at which the noises of a model move a law such as e^{−βV}/Z: in mean, and along paths.

        averaged = ‖−∇·(ρb) + ½∂_i∂_j(a_ijρ) + ½Σ_k 𝒜_kA_k(ρ)‖_{L¹},   pathwise = Σ_k ∫A_k(ρ)²/ρ,   A_k = −∇·(ρσ_k)

    The Gibbs measure of one particle does not move in mean under a thermal noise, own or common. The law given the
    environment stays only if no field moves it, ∇·(ρσ_k) = 0: for instance the uniform law under a transport noise. The
    fields cos x and sin x on the circle keep the uniform law in mean, and move it along every path.

    **Arguments:**

    - `model`: with any noise.
    - `state`: ρ, a density on a torus or on a sphere.

    **Returns:** a `GibbsDrift`.

    **Raises:** `ValueError` for a density on a box, and for an own noise in Stratonovich form or a common noise in Itô
    form if the two forms differ.
    """
    require_model(model)
    form = type(state).__name__
    require(isinstance(state, Density), f"this is asked of a density, not of a {form}: deposit it first.")
    require_stratonovich(model)
    require(
        model.noise is None or not differs(model.noise, "ito"),
        "the Fokker–Planck equation is written for an own noise in the sense of Itô, but the model's is meant in "
        'that of Stratonovich: mckean.convert(model, "ito") says the same.',
    )
    require_movable(state)
    rho, grid = state.values.ravel(), cast(SpectralGrid, state.grid)

    def rates(unit):
        flow = lambda law: tangent(model, law, unit)  # noqa: E731
        first, second = flow(state), derivative(model, state, unit, flow)
        return 0.5 * second.ravel(), calculus.integrate(grid, first**2 / energy.floor(state.values))

    change, square = total_over_motions(model, state, rates, (jnp.zeros_like(rho), jnp.zeros((), rho.dtype)))
    flux = rho[:, None] * model.velocity(state.grid, state)
    if model.noise is not None:
        flux = flux - spreading(model.noise, state)
    change = change.reshape(grid.shape) - calculus.divergence(grid, flux)
    return GibbsDrift(calculus.integrate(grid, jnp.abs(change)), square)
