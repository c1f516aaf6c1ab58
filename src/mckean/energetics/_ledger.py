"""The energy ledger of a run: what the free energy is spent on, and what the environment pays in.

For dX_i = −∇δE(X_i) dt + b(X_i) dt + σ∘dB_i + Σ_k σ_k(X_i)∘dB⁰_k with δE = V + W_s*μ, μ the law of X given B⁰ and
thermal noise of the particles' own (or none), F = E + β⁻¹∫ρ log ρ obeys the chain rule of Stratonovich's calculus:

    dF = −D dt + ⟨∇δF·b, μ⟩ dt + Σ_k ⟨∇δE·σ_k, μ⟩∘dB⁰_k + β⁻¹ Σ_k ⟨∇log ρ·σ_k, μ⟩∘dB⁰_k,   D = ⟨|∇δF|², μ⟩.

Since ⟨∇log ρ·σ_k, μ⟩ = −⟨∇·σ_k, μ⟩, the last sum, of the entropy, is zero for divergence-free fields, as it is for an
additive noise. N particles have no entropy, and the same holds for E alone, with D = ⟨|∇δE|², μ⟩ and with the work of
their own noise, (1/N) Σ_i ∇δE(X_i)·σ(X_i)∘dB_i. A density whose own noise is not thermal has no temperature: its ledger
too is that of E, and the work of its own noise is the heat −½⟨∇δE·∇·(aρ)/ρ, μ⟩ dt, a = σσᵀ, the limit of the former.
Where the model depends on time, so does F, and whoever changes it does the work ∂_tF_t(μ) dt: of ∂_tV, ½∂_tW and
(∂_tβ⁻¹) log ρ.

A run in steps of dt closes its ledger at O(dt) by trapezoidal sums, which is what ∘ says; left-point sums do not see
the correlation of integrand and increment, and close at O(√dt) once their Itô correction is added, not at all without.
"""

from typing import NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from mckean import interactions
from mckean.checks import require
from mckean.dynamics import (
    Carrier,
    CarrierScheme,
    Increments,
    Scheme,
    Stepper,
    evolve,
    increments,
    scheme_for,
)
from mckean.faults import Status
from mckean.measures import AbstractMeasure, Density, Gaussian, Particles, dtype_of
from mckean.models import Equation, Model, Thermal, Thermostat, differs, drift_at, energy, initial, population_of
from mckean.models.environment import spreading
from mckean.paths import Brownian
from mckean.spaces import calculus
from mckean.spaces.calculus import SpectralGrid


class Accounts(NamedTuple):
    """The terms of dF = −D dt + driven + work + entropy + own + schedule, summed from the start; energy per particle.

    **Attributes:** each has shape (t,), or replicas in front, shape (r, t).

    - `dissipated`: ∫D ds.
    - `driven`: ∫⟨∇δF·b, μ⟩ ds, the work of the drift b that is no gradient.
    - `work`: Σ_k∫⟨∇δE·σ_k, μ⟩∘dB⁰_k, the work of the environment.
    - `entropy`: β⁻¹Σ_k∫⟨∇log ρ·σ_k, μ⟩∘dB⁰_k, the entropy from the environment.
    - `own`: the work of the particles' own noise; 0 where F holds an entropy.
    - `schedule`: ∫∂_sF_s(μ_s) ds, the work of what changes the model with time; 0 for a model without time.
    """

    dissipated: Float[Array | np.ndarray, "*t"]
    driven: Float[Array | np.ndarray, "*t"]
    work: Float[Array | np.ndarray, "*t"]
    entropy: Float[Array | np.ndarray, "*t"]
    own: Float[Array | np.ndarray, "*t"]
    schedule: Float[Array | np.ndarray, "*t"]


class Ledger(eqx.Module):
    """The energy ledger of a run: F(t) − F(0) and the terms of which it is the sum.

    **Attributes:** arrays have shape (t,), or replicas in front, shape (r, t).

    - `times`: the times of the records; time.
    - `change`: F(t) − F(0), energy per particle. It is E(t) − E(0) for particles, which have no entropy, and for an own
      noise that is neither thermal nor a thermostat.
    - `accounts`: the terms, `Accounts`.
    """

    times: Float[Array | np.ndarray, "*r t"]
    change: Float[Array | np.ndarray, "*r t"]
    accounts: Accounts

    @property
    def residual(self) -> Float[Array | np.ndarray, "*r t"]:
        """The change less the sum of its terms, energy per particle; O(dt) for a scheme in Stratonovich's sense."""
        a = self.accounts
        return self.change + a.dissipated - a.driven - a.work - a.entropy - a.own - a.schedule

    @property
    def power(self) -> Float[Array | np.ndarray, "*r"]:
        """(work + entropy)/time from start to end, energy per particle and time; `average` it over environments."""
        paid = self.accounts.work + self.accounts.entropy
        return paid[..., -1] / (self.times[..., -1] - self.times[..., 0])


def ledger(
    model: Equation,
    measure: Particles | Density | Gaussian,
    *,
    until: float,
    dt: float,
    start: float = 0.0,
    path: Brownian | None = None,
    scheme: Scheme | None = None,
    every: int | None = None,
) -> Ledger:
    """Run a model with its energy ledger: F(t) − F(0), and the terms of which it is the sum.

        dF = −D dt + ⟨∇δF·b, μ⟩ dt + Σ_k ⟨∇δE·σ_k, μ⟩∘dB⁰_k + β⁻¹ Σ_k ⟨∇log ρ·σ_k, μ⟩∘dB⁰_k + ∂_tF_t(μ) dt,

    D = ⟨|∇δF|², μ⟩. With velocities and a friction γ, D = γ⟨|∇_vδF|², μ⟩, and E has ½|v|² in it: D = γ⟨|v|², μ⟩ for
    particles. The last term is that of a schedule; it is taken as the change over each step, so that a sudden one is
    counted as well.

    Memory does not grow with the number of steps, nor, for densities, with that of the environment's motions. For
    particles each step costs two more evaluations of the field. The residual shows the errors of the force (random
    batches, the tolerance of a sum) and of the grid.

    **Arguments:**

    - `model`: any model or schedule.
    - `measure`: particles, a density on a torus, a sphere or a phase grid, or a Gaussian.
    - `until`, `dt`, `path`: as for `evolve`.
    - `start`: the initial time. Default: 0.
    - `scheme`: as for `evolve`. Default: None, for particles Heun's. With Euler's the ledger closes at O(dt) if the
      noise is additive, and only at O(√dt) if it depends on the state, as a transport noise does.
    - `every`: steps between records. Default: None, the start and the end only.

    **Returns:** a `Ledger`.

    **Raises:** `ValueError` as `evolve` does, for a population, for a density on a box (take `energy_balance`, or
    `moving_frame` for an additive common noise), and for a noise in the sense of Itô that depends on the state: the
    work of a noise is a Stratonovich integral.
    """
    require(
        population_of(model) is None,
        "a ledger is that of one model: the labels of a population drive one another, and have none in common.",
    )
    if scheme is None and isinstance(measure, Particles):
        scheme = diffrax.Heun()
    inner = scheme_for(model, measure, scheme)
    _check(initial(model), measure)
    run = evolve(
        model, Carrier((measure,), zero_accounts(measure)), until=until, dt=dt, start=start, path=path,
        scheme=CarrierScheme((inner,), _account), observe={"free": _free, "accounts": _accounts}, every=every,
    )  # fmt: skip
    free = run.observed["free"]
    return Ledger(run.times, free - free[0], run.observed["accounts"])


def _check(model: Model, mu: AbstractMeasure) -> None:
    require(
        not isinstance(mu, Density) or isinstance(mu.grid, SpectralGrid),
        "the ledger of a density is kept on a torus or a sphere; on a box, use energy_balance, or moving_frame for an "
        "additive common noise.",
    )
    own = [model.noise] if isinstance(mu, Particles) and model.noise is not None else []
    require(
        not any(differs(noise, "stratonovich") for noise in (*own, *model.common)),
        "the work of a noise is a Stratonovich integral, but the model's noise is meant in the sense of Itô: "
        'mckean.convert(model, "stratonovich") says the same.',
    )


def has_entropy(model: Model, mu: AbstractMeasure) -> bool:
    """Whether the ledger is that of F: there is a density, and its own noise has a temperature."""
    return isinstance(mu, Density | Gaussian) and isinstance(model.noise, Thermal | Thermostat)


def _free(model: Model, state: Carrier) -> Float[Array, ""]:
    (mu,) = state.measures
    return energy.free_energy(model, mu) if has_entropy(model, mu) else energy.energy(model, mu)


def _accounts(model: Model, state: Carrier) -> Accounts:
    return state.sums


def zero_accounts(measure: AbstractMeasure) -> Accounts:
    """The accounts at the start."""
    return Accounts(*jnp.zeros(len(Accounts._fields), dtype_of(measure)))


def _account(
    begun: Stepper, state: Carrier, path: Brownian | None, index: Int[ArrayLike, ""]
) -> tuple[Carrier, Status]:
    """A step of the measure, with the ledger's trapezoidal sums; the increments are drawn again, not kept."""
    (before,) = state.measures
    after, found = begun.shared[0].step(before, path, index)
    ends = begun.at(index), begun.at(jnp.asarray(index) + 1)
    noise = increments(ends[0], before, path, index, begun.dt)
    left, right = (entries(model, mu, noise, begun.dt) for model, mu in zip(ends, (before, after), strict=True))
    if not isinstance(begun.equation, Model):
        left, right = (sums._replace(schedule=_rise(*ends, mu)) for sums, mu in ((left, before), (right, after)))
    accounts = jax.tree.map(lambda sum_, a, b: sum_ + 0.5 * (a + b), state.sums, left, right)
    return Carrier((after,), accounts), found


def _rise(old: Model, new: Model, mu: AbstractMeasure) -> Float[Array, ""]:
    """What a change of the model adds to F at a measure."""
    value = energy.free_energy if has_entropy(old, mu) else energy.energy
    return value(new, mu) - value(old, mu)


def entries(model: Model, mu: Particles | Density | Gaussian, noise: Increments, dt: Float[Array, ""]) -> Accounts:
    """What a step of length dt with these increments adds to the accounts, the integrands taken at μ."""
    if isinstance(mu, Gaussian):
        entropic = has_entropy(model, mu)
        precision = jnp.linalg.inv(mu.covariance) if entropic else jnp.zeros_like(mu.covariance)

        def at(x):
            score = -(x - mu.mean)[None] @ precision / model.beta
            return _integrands(model, mu, x[None], score, None, noise.common, dt)[0]

        return Accounts(*mu.integrate(at))
    if isinstance(mu, Particles):
        x = mu.positions
        own = None
        if model.noise is not None and noise.own is not None:
            own = model.noise.apply(model.noise.matrix(x, mu), noise.own)
        return Accounts(*mu.mean(_integrands(model, mu, x, jnp.zeros_like(x), own, noise.common, dt)))
    score, own = jnp.zeros((mu.grid.size, mu.domain.dim), mu.values.dtype), None
    if has_entropy(model, mu):
        score = energy.score(mu) / model.beta
    elif model.noise is not None:
        own = -dt * spreading(model.noise, mu) / energy.floor(mu.values).reshape(-1, 1)
    values = _integrands(model, mu, mu.grid, score, own, noise.common, dt)
    return Accounts(*(calculus.masses(mu.grid, mu.values).ravel() @ values))


def _integrands(
    model: Model,
    mu: AbstractMeasure,
    x: interactions.Points,
    score: Float[Array, "n d"],
    own: Float[Array, "n d"] | None,
    common: Float[Array, " m"] | None,
    dt: Float[Array, ""],
) -> Float[Array, "n 6"]:
    """The integrands of the accounts at points, without what changes the model.

    `score`: β⁻¹∇log ρ; `own`: what a point's own noise moves it by.
    """
    points = interactions.at(x, mu)
    gradient = mu.domain.project(points, -model.force(x, mu))
    still = jnp.zeros_like(gradient)
    slope = gradient + score
    extra = drift_at(model.drift, x, mu)
    push = still if common is None else model.common_displacement(x, mu, common)
    own = still if own is None else own
    dissipated = (dt * model.response(slope), slope)
    pairs = (dissipated, (dt * slope, extra), (gradient, push), (score, push), (gradient, own), (still, own))
    return jnp.stack([jnp.sum(a * b, axis=-1) for a, b in pairs], axis=-1)
