"""Particles with velocities: Cucker and Smale's flocks, oscillators with inertia, and locusts on a ring.

**Cucker–Smale**, dv_i = (1/N) Σ_j ψ(x_i − x_j)(v_j − v_i) dt with ψ(z) = K/(1 + |z|²)^s: the mean velocity v̄ is kept.
For s = 0 each v_i − v̄ decays as e^{−Kt}; under the common noise κ(v_i − v̄)∘dB⁰ it is multiplied by e^{−Kt + κB⁰_t},
so that almost surely the rate is K, and that of E|v − v̄|² is 2K − 2κ².

**Oscillators with inertia**, dθ_i = v_i dt, dv_i = (K/N) Σ_j sin(θ_j − θ_i) dt − γv_i dt + √(2γ/β) dB_i: the equilibria
are those of the noisy Kuramoto model with normal velocities, at any γ, so that K_c = 2/β. Rates do depend on γ: a mode
about the uniform state grows at the rate λ that solves, by linear response,

    1 = (βK/2)(1 − λ∫_0^∞ C(t)e^{−λt} dt),   C(t) = E e^{i(θ_t − θ_0)} = exp(−(γt − 1 + e^{−γt})/βγ²).

**Locusts** on a ring prefer the speed that they see, dv_i = (G(v̄) − v_i) dt + √(2/β) dB_i: in the limit v̄′ = G(v̄) − v̄,
a double well with rest and two ordered states.
"""

import math
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.catalogue.facts import Entry, Fact
from mckean.catalogue.oscillators import free_energy_gap, order_parameter
from mckean.checks import require
from mckean.interactions import VelocityAlignment, kernels
from mckean.interactions.parameters import parameter
from mckean.measures import Density, Particles
from mckean.models import Model, Multiplicative, Thermostat, energy, underdamped
from mckean.spaces import AbstractSpace, Euclidean, TangentBundle, Torus

_FLOCKS = "Cucker and Smale, IEEE Trans. Autom. Control 52 (2007); Ha and Liu, Commun. Math. Sci. 7 (2009)"
_STOCHASTIC = "Ahn and Ha, J. Math. Phys. 51 (2010), by Stratonovich's chain rule"
_INERTIA = "Acebrón, Bonilla and Spigler, Phys. Rev. E 62 (2000); linear response"
_LOCUSTS = "Garnier, Papanicolaou and Yang, Discrete Contin. Dyn. Syst. B 24 (2019)"
_HERMITE = 80
_SPEED = 9.0


class _Weight(eqx.Module):
    """ψ(z) = K/(1 + |z|²)^s."""

    strength: Float[Array, ""] = eqx.field(converter=parameter)
    exponent: Float[Array, ""] = eqx.field(converter=parameter)

    def __call__(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        return self.strength * (1 + jnp.sum(z**2)) ** (-self.exponent)


class _Gusts(eqx.Module):
    """κ(v − v̄), a field of one Brownian motion."""

    strength: Float[Array, ""] = eqx.field(converter=parameter)

    def __call__(self, z, mu):
        x, v = jnp.split(z, 2)
        spread = v - mu.integrate(lambda y: jnp.split(y, 2)[1])
        return jnp.concatenate([jnp.zeros_like(x), self.strength * spread])[:, None]


def cucker_smale(
    strength: float = 1.0, exponent: float = 0.0, common: float = 0.0, dim: int = 1, space: AbstractSpace | None = None
) -> Entry:
    """Cucker and Smale's flock: dx_i = v_i dt and, with ψ(z) = K/(1 + |z|²)^s,

        dv_i = (1/N) Σ_j ψ(x_i − x_j)(v_j − v_i) dt + κ(v_i − v̄)∘dB⁰.

    **Arguments:**

    - `strength`: K > 0, 1/time. Default: 1.
    - `exponent`: s ≥ 0; every flock comes together for s ≤ 1/2. Default: 0, all weights alike.
    - `common`: κ ≥ 0, the strength of the common noise, 1/√time. Default: 0, none.
    - `dim`: d. Default: 1.
    - `space`: where the positions live. Default: R^d.

    **Returns:** an `Entry`: the model and its facts; the rates for s = 0.

    **Raises:** `ValueError` for a K that is not positive, and a negative s or κ.
    """
    require(0 < strength < math.inf, f"a strength K is a positive number here, not {strength}.")
    require(0 <= exponent < math.inf and 0 <= common < math.inf, "the exponent s and the strength κ are not negative.")
    base = Euclidean(dim) if space is None else space
    noise = Multiplicative(_Gusts(common), "stratonovich") if common > 0 else ()
    model = Model(TangentBundle(base), drift=VelocityAlignment(_Weight(strength, exponent), base), common=noise)
    facts = {"force": Fact("|∫b dμ|, which keeps v̄", 0.0, _FLOCKS, lambda: _mean_force(model), 1e-12 * strength)}
    if exponent == 0:
        facts["flocking rate"] = Fact(
            "rate of v_i − v̄, almost surely", strength, _FLOCKS, lambda: _pull(model), 1e-12 * strength
        )
        facts["mean-square rate"] = Fact("2K − 2κ², rate of E|v − v̄|²", 2 * strength - 2 * common**2, _STOCHASTIC)
    return Entry(model, facts)


def _flock(model: Model) -> tuple[Particles, Array]:
    """A cloud, and the accelerations of its particles."""
    points = np.random.default_rng(0).normal(size=(7, model.space.dim))
    cloud = Particles(model.space, jnp.asarray(points))
    return cloud, jnp.split(model.velocity(cloud.positions, cloud), 2, axis=1)[1]


def _mean_force(model: Model) -> float:
    return float(jnp.linalg.norm(jnp.mean(_flock(model)[1], axis=0)))


def _pull(model: Model) -> float:
    """−⟨v − v̄, b⟩/|v − v̄|²."""
    cloud, acceleration = _flock(model)
    v = jnp.split(cloud.positions, 2, axis=1)[1]
    spread = v - jnp.mean(v, axis=0)
    return float(-jnp.sum(spread * acceleration) / jnp.sum(spread**2))


def growth_rate(strength: float, friction: float, beta: float) -> float:
    """λ of e^{iθ} about the uniform state, from linear response: 1 = (βK/2)(1 − λ∫C e^{−λt} dt); per time.

    λ lies above −1/βγ, where the integral diverges. The part e^{−t/βγ} of C, from which C differs by e^{−γt}, is
    integrated by hand.
    """
    from scipy.integrate import quad
    from scipy.optimize import root_scalar

    a, slow = 1 / (beta * friction**2), 1 / (beta * friction)

    def transform(rate):
        rest = lambda t: math.exp(a - (slow + rate) * t) * math.expm1(-a * math.exp(-friction * t))  # noqa: E731
        return math.exp(a) / (rate + slow) + quad(rest, 0, math.inf, epsabs=1e-13, epsrel=1e-12, limit=400)[0]

    excess = lambda rate: 0.5 * beta * strength * (1 - rate * transform(rate)) - 1  # noqa: E731
    # A force K pushes at the rate √K at most.
    return float(root_scalar(excess, bracket=(-slow * (1 - 1e-9), math.sqrt(strength)), xtol=1e-14).root)


def _hermite_rate(strength: float, friction: float, beta: float) -> float:
    """λ as the largest eigenvalue of the linearised equation in Hermite functions of v, a_n h_n(v)M(v)e^{iθ}:

    a_n′ = −nγa_n − iβ^{−1/2}(√n a_{n−1} + √(n+1) a_{n+1}), with a_0 times 1 − βK/2 in the equation of a_1.
    """
    n = np.arange(_HERMITE)
    up = -1j * np.sqrt(n[1:] / beta)
    matrix = np.diag(-friction * n).astype(complex) + np.diag(up, -1) + np.diag(up, 1)
    matrix[1, 0] *= 1 - beta * strength / 2
    return float(np.linalg.eigvals(matrix).real.max())


def inertial_kuramoto(strength: float = 3.0, friction: float = 1.0, beta: float = 1.0) -> Entry:
    """Noisy Kuramoto oscillators with inertia: dθ_i = v_i dt and

        dv_i = (K/N) Σ_j sin(θ_j − θ_i) dt − γv_i dt + √(2γ/β) dB_i.

    **Arguments:**

    - `strength`: K > 0, energy. Default: 3.
    - `friction`: γ > 0, 1/time. Default: 1.
    - `beta`: β > 0, 1/energy. Default: 1.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for a parameter that is not positive.
    """
    named = (("strength K", strength), ("friction γ", friction), ("inverse temperature β", beta))
    for name, value in named:
        require(0 < value < math.inf, f"a {name} is a positive number here, not {value}.")
    circle = Torus(1)
    model = underdamped(circle, interaction=kernels.Cosine(strength), friction=friction, beta=beta)
    r = order_parameter(strength, beta)
    state = partial(_equilibrium, model, beta)
    facts = {
        "critical strength": Fact("K_c = 2/β", 2 / beta, _INERTIA),
        "order parameter": Fact(
            "r = I_1(βKr)/I_0(βKr)", r, _INERTIA, lambda: _order(model, state(strength * r), strength), 1e-10
        ),
        "free energy gap": Fact(
            "F − F_uniform = (βKr²/2 − log I_0(βKr))/β", free_energy_gap(strength, beta), _INERTIA,
            lambda: _measured_gap(model, state(strength * r), state(0.0)), 1e-10,
        ),
        "stationary dissipation": Fact(
            "D = 0 at equilibrium", 0.0, _INERTIA, lambda: float(energy.dissipation(model, state(strength * r))), 1e-10
        ),
        "growth rate": Fact(
            "λ of e^{iθ} about the uniform state", growth_rate(strength, friction, beta), _INERTIA,
            lambda: _hermite_rate(strength, friction, beta), 1e-8,
        ),
    }  # fmt: skip
    return Entry(model, facts)


def _equilibrium(model: Model, beta: float, pull: float) -> Density:
    """∝ exp(−β(½v² − h cos θ)) on a phase grid."""
    bundle = model.space
    assert isinstance(bundle, TangentBundle)
    assert isinstance(bundle.base, Torus)
    grid = bundle.grid(bundle.base.grid(64), 64, _SPEED / math.sqrt(beta))
    return Density.from_function(grid, lambda z: jnp.exp(-beta * (0.5 * z[1] ** 2 - pull * (jnp.cos(z[0]) - 1))))


def _measured_gap(model: Model, mu: Density, uniform: Density) -> float:
    return float(energy.free_energy(model, mu) - energy.free_energy(model, uniform))


def _order(model: Model, mu: Density, strength: float) -> float:
    """r from the force at a quarter turn, −K r sin θ."""
    return float(-model.force(jnp.asarray([[math.pi / 2, 0.0]]), mu)[0, 0] / strength)


class _Preference(eqx.Module):
    """(0, G(v̄)), G(u) = (h + 1)u/5 − hu³/125."""

    preference: Float[Array, ""] = eqx.field(converter=parameter)

    def __call__(self, z, mu):
        u, h = mu.integrate(lambda y: y[1]), self.preference
        return jnp.stack([jnp.zeros_like(u), (h + 1) * u / 5 - h * u**3 / 125])


def locusts(preference: float = 6.0, beta: float = 2.0) -> Entry:
    """Locusts on a ring, a model of Vicsek's kind: dx_i = v_i dt and

        dv_i = (G(v̄) − v_i) dt + √(2/β) dB_i,   G(u) = (h + 1)u/5 − hu³/125.

    **Arguments:**

    - `preference`: h > 4, the tendency to a common speed. Default: 6.
    - `beta`: β > 0, the inverse temperature. Default: 2.

    **Returns:** an `Entry`: the model and its facts, those of the limit v̄′ = G(v̄) − v̄.

    **Raises:** `ValueError` for h ≤ 4, where rest is the only state.

    **Source:** Czirók, Barabási and Vicsek, Phys. Rev. Lett. 82 (1999); Garnier, Papanicolaou and Yang (2019).
    """
    require(4 < preference < math.inf, f"locusts march where h > 4, but h = {preference} was given.")
    bundle = TangentBundle(Torus(1))
    model = Model(bundle, drift=_Preference(preference), noise=Thermostat(1.0, beta))

    @jax.jit
    def rate(u):
        cloud = Particles(bundle, jnp.asarray([[0.0, 0.5], [1.0, -0.5]]) + u * jnp.asarray([0.0, 1.0]))
        return jnp.mean(model.velocity(cloud.positions, cloud)[:, 1])

    speed = 5 * math.sqrt((preference - 4) / preference)
    facts = {
        "speed": Fact("v̄ = 5√((h − 4)/h) of the two ordered states", speed, _LOCUSTS),
        "force at order": Fact("G(v̄) − v̄ = 0 there", 0.0, _LOCUSTS, lambda: float(rate(speed)), 1e-12),
        "rate at rest": Fact(
            "(h − 4)/5, at which v̄ leaves 0", (preference - 4) / 5, _LOCUSTS, lambda: float(jax.grad(rate)(0.0)), 1e-12
        ),
        "rate at order": Fact(
            "−2(h − 4)/5", -2 * (preference - 4) / 5, _LOCUSTS, lambda: float(jax.grad(rate)(speed)), 1e-12
        ),
    }
    return Entry(model, facts)
