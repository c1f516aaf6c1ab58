"""What an environment does to a law, as rates: the work that it does in mean, and whether it leaves a law in place.

Along its fields the environment moves a law by the second-order operator ½Σ_k 𝒜_k𝒜_k of Stratonovich's calculus, 𝒜_k
the derivative in the direction A_k(ρ) = −∇·(ρσ_k[ρ]), under which ρ flows by σ_k.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.analysis.ledger import divergence, entries, spreading
from mckean.checks import require
from mckean.dynamics.particles import Increments
from mckean.dynamics.scheme import require_stratonovich
from mckean.measures import AbstractMeasure, Density, Particles, dtype_of
from mckean.models import Model, differs, energy
from mckean.spaces import FourierGrid


def environment_power(model: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """½Σ_k 𝒜_k⟨∇δF·σ_k, μ⟩: the work that the environment does in mean in a unit of time; energy per particle and time.

    An observable. The work of a run less the integral of this along it is a martingale (its drift in Itô's sense): an
    additive noise σ₀ does (σ₀²/2)⟨ΔV, μ⟩. Each field costs a derivative of the free energy's slope.
    **Raises** `ValueError` for other measures than particles and densities on the torus, and for a common noise in the
    sense of Itô that depends on the state.
    """
    require_stratonovich(model)
    mu = _movable(mu)
    one = jnp.ones((), dtype_of(mu))

    def rate(unit):
        paid = lambda law: _paid(entries(model, law, Increments(None, unit), one))  # noqa: E731
        return 0.5 * _along(model, mu, unit, paid)

    return _total(model, mu, rate, jnp.zeros_like(one))


def _paid(accounts) -> Float[Array, ""]:
    return accounts.work + accounts.entropy


class GibbsDrift(NamedTuple):
    """How fast a law is left; 0 where it survives.

    `averaged`: ‖∂_tE ρ‖ in L¹, twice the rate in total variation; per time. `pathwise`: d/dt E∫(ρ_t − ρ)²/ρ, by the
    environment alone; per time.
    """

    averaged: Float[Array, ""]
    pathwise: Float[Array, ""]


def gibbs_drift(model: Model, state: Density) -> GibbsDrift:
    """How fast a law such as e^{−βV}/Z is left under all of a model's noise: in mean, and along its paths.

        averaged = ‖−∇·(ρb) + ½∂_i∂_j(a_ijρ) + ½Σ_k 𝒜_kA_k(ρ)‖_{L¹},   pathwise = Σ_k ∫A_k(ρ)²/ρ,   A_k = −∇·(ρσ_k).

    The Gibbs measure is the law of one particle in equilibrium: a thermal noise leaves it in place, be it the
    particles' own or common. The law given the environment stays there only if no field moves it, ∇·(ρσ_k) = 0: the
    uniform one under a transport noise. The fields cos x and sin x on the circle leave the uniform law in place in
    mean, and destroy it along every path.
    **Raises** `ValueError` for a density on a box, an own noise in the sense of Stratonovich, or a common one in that
    of Itô, where these differ.
    """
    require_stratonovich(model)
    require(
        model.noise is None or not differs(model.noise, "ito"),
        "the Fokker–Planck equation is written for an own noise in the sense of Itô, but the model's is meant in "
        'that of Stratonovich: mckean.convert(model, "ito") says the same.',
    )
    _movable(state)
    rho = state.values.ravel()

    def rates(unit):
        flow = lambda law: _tangent(model, law, unit)  # noqa: E731
        first, second = flow(state), _along(model, state, unit, flow)
        return 0.5 * second.ravel(), jnp.sum(first.ravel() ** 2 / energy.floor(rho))

    change, square = _total(model, state, rates, (jnp.zeros_like(rho), jnp.zeros((), rho.dtype)))
    flux = rho[:, None] * model.velocity(state, state.grid)
    if model.noise is not None:
        flux = flux - spreading(model.noise, state)
    change = change - divergence(state, flux.T)
    return GibbsDrift(jnp.sum(jnp.abs(change)) * state.grid.cell_volume, square * state.grid.cell_volume)


def _total(model: Model, mu: AbstractMeasure, rate: Callable, zero: Any) -> Any:
    """Σ_k rate(e_k) over the environment's motions, one at a time: memory does not grow with their number."""
    if not model.common:
        return zero
    width = model.motions(mu)

    def add(k, total):
        return jax.tree.map(jnp.add, total, rate(jax.nn.one_hot(k, width, dtype=dtype_of(mu))))

    return jax.lax.fori_loop(0, width, add, zero)


def _tangent(model: Model, mu: Particles | Density, unit: Float[Array, " m"]) -> Array:
    """How Σ_kσ_k unit_k moves a measure: the velocities of particles, −∇·(ρσ) of a density."""
    if isinstance(mu, Particles):
        return jnp.broadcast_to(model.common_displacement(mu, mu.positions, unit), mu.positions.shape)
    velocity = jnp.broadcast_to(model.common_displacement(mu, mu.grid, unit), (mu.grid.size, mu.domain.dim))
    return -divergence(mu, mu.values.ravel() * velocity.T).reshape(mu.grid.shape)


def _along(model: Model, mu: Particles | Density, unit: Float[Array, " m"], f: Callable) -> Any:
    """The derivative of f at μ in the direction in which the environment's field moves μ."""
    where = lambda m: m.positions if isinstance(m, Particles) else m.values  # noqa: E731
    at = lambda values: f(eqx.tree_at(where, mu, values))  # noqa: E731
    return jax.jvp(at, (where(mu),), (_tangent(model, mu, unit),))[1]


def _movable(mu: AbstractMeasure) -> Particles | Density:
    if isinstance(mu, Particles) or (isinstance(mu, Density) and isinstance(mu.grid, FourierGrid)):
        return mu
    raise ValueError(
        "how an environment moves a law is known here for particles and for a density on the torus, not for a "
        f"{type(mu).__name__}{' on a box' if isinstance(mu, Density) else ''}."
    )
