"""The equation of Vlasov, Fokker and Planck on the phase space of one dimension, by exact flows in turn.

    ∂_tf + v ∂_xf − ∂_x(V + W_s*ρ) ∂_vf = γ ∂_v(vf + β⁻¹∂_vf) − ∂_v(bf) − Σ_kσ_k(x) ∂_vf∘dB⁰_k/dt,   ρ = ∫f dv.

A step of length h is A for h/2, B for h/2, O for h, B, A for h/2:

    A:  f(x, v) ← f(x − tv, v)       B:  f(x, v) ← f(x, v − ta(x))       O:  the semigroup of Ornstein and Uhlenbeck

A and B are shifts of lines by their Fourier coefficients. As neither B nor O moves ρ, the force a is one in a step. O
shrinks velocities by e^{−γh} and adds a normal one of variance s² = (1 − e^{−2γh})/β. In Fourier coefficients it is
f̂(k) ← f̂(ke^{−γh}) e^{−k²s²/2}: of f̂ between the modes of the grid, which the sum over its nodes gives to rounding
where f vanishes at the largest speeds. It is one matrix for all x, without error in h.

An alignment b = m(x) − a(x)v, a = ψ*ρ and m = ψ*(ρu), joins O: with r = γ + a velocities become e^{−rh}v +
(1 − e^{−rh})m/r, and the variance is s² = (1 − e^{−2rh})γ/(rβ), at each x another. O does not change a; m is that of
the middle of the step, after half of O, so that the order is 2. Without a bath it is exact where ψ is constant.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from mckean.checks import require, require_tolerance
from mckean.dynamics._increments import increments
from mckean.dynamics.baoab import acceleration, ornstein_uhlenbeck, require_newtonian
from mckean.dynamics.scheme import AbstractScheme, Stepper, require_same_space, step_length, undershoot, with_unit_mass
from mckean.faults import Fault, Status, sound, status
from mckean.interactions import VelocityAlignment
from mckean.measures import AbstractMeasure, Density, configuration
from mckean.models import Equation, Model, Thermostat, initial
from mckean.paths import Brownian
from mckean.spaces import BoxGrid, PhaseGrid, TangentBundle, calculus


class Splitting(AbstractScheme):
    """Strang's splitting of the equation of Vlasov, Fokker and Planck in d = 1, each part exact: order 2, mass exact.

        ∂_tf + v ∂_xf − ∂_x(V + W_s*ρ) ∂_vf = γ ∂_v(vf + β⁻¹∂_vf) − ∂_v(bf) − Σ_kσ_k(x) ∂_vf∘dB⁰_k/dt

    b is an alignment of velocities, or 0. It is spectral in x and v, and has no bound on dt. A common noise is a shift
    of velocities, the environment's velocity frozen over the step. For γ = 0 it is Vlasov's equation, whose filaments
    become finer than any grid.

    **Arguments:**

    - `negativity`: how far below zero f may fall, as a share of its maximum. Default: 10⁻³.
    - `edge_tolerance`: the mass that may stand at the largest speeds, and at the ends of a box of positions. Default:
      10⁻⁶.

    **Raises:** `ValueError`, at the begin of a run, for a model without velocities, another d, an own noise that is no
    `Thermostat`, a drift that is no `VelocityAlignment`, and a common noise that depends on velocities.

    **Source:** Cheng and Knorr, J. Comput. Phys. 22 (1976) 330, for the shifts.
    """

    moves: ClassVar[str] = "Density on a phase grid"
    negativity: float = eqx.field(static=True, default=1e-3)
    edge_tolerance: float = eqx.field(static=True, default=1e-6)

    def __check_init__(self):
        require_tolerance("negativity", self.negativity)
        require_tolerance("edge_tolerance", self.edge_tolerance)

    @property
    def order(self) -> int:
        return 2

    @property
    def pressure(self) -> bool:
        return False

    def accepts(self, measure: AbstractMeasure) -> bool:
        return isinstance(measure, Density) and isinstance(measure.grid, PhaseGrid)

    def begin(self, equation: Equation, measure: Density, dt: float) -> Stepper:
        model = initial(equation)
        require_same_space(model, measure)
        require_newtonian(model, "Splitting")
        require(
            model.space.dim == 2,
            f"the scheme Splitting is built for positions in dimension 1, not {model.space.dim // 2}: take particles.",
        )
        aligned = model.drift is None or isinstance(model.drift, VelocityAlignment)
        require(
            aligned and all(part.ito_is_stratonovich for part in model.common),
            "the scheme Splitting takes forces of positions, and of velocities a VelocityAlignment alone, but the "
            "model's drift or common noise may depend on velocities: take particles.",
        )
        h = step_length(measure, dt)
        # Where the thermostat may change each step has a matrix of its own.
        fixed = isinstance(equation, Model) and model.drift is None
        return Stepper(self, equation, h, _relaxation(model, measure, h) if fixed else None)

    def advance(
        self, begun: Stepper, measure: Density, path: Brownian | None, index: Int[ArrayLike, ""]
    ) -> tuple[Density, Status]:
        h, grid = begun.dt, _grid(measure)
        model = begun.at(index, 0.5 * h)
        dB = increments(model, measure, path, index, h).common
        v = jnp.asarray(grid.velocities.axes[0], h.dtype)
        move = lambda f: calculus.shift(grid, f, 0, 0.5 * h * v[None, :])  # noqa: E731
        moved = _with(measure, move(measure.values))
        rho = configuration(moved)
        push = 0.5 * h * acceleration(model, rho, rho.grid)[:, 0]
        if dB is not None:
            push = push + 0.5 * _common(model, moved, dB)
        kick = lambda f: calculus.shift(grid, f, 1, push[:, None])  # noqa: E731
        values = kick(moved.values)
        if model.drift is None:
            relaxed = _relaxation(model, measure, h) if begun.shared is None else begun.shared
            values = values if relaxed is None else values @ relaxed
        else:
            values = _aligned(model, _with(measure, values), h)
        return with_unit_mass(measure, move(kick(values))), sound(h.dtype)

    def inspect(self, begun: Stepper, measure: Density) -> Status:
        rho, found = measure.values, undershoot(measure, self.negativity)
        ends = jnp.sum(rho[:, 0] + rho[:, -1])
        if isinstance(_grid(measure).positions, BoxGrid):
            ends = ends + jnp.sum(rho[0] + rho[-1])
        mass = ends * measure.grid.cell_volume
        return found.then(status(Fault.EDGE, ~(mass <= self.edge_tolerance), mass))


def _relaxation(model: Model, measure: Density, h: Float[Array, ""]) -> Float[Array, "n n"] | None:
    noise = model.noise
    return relaxation(noise, _grid(measure).velocities, h) if isinstance(noise, Thermostat) else None


def relaxation(noise: Thermostat, velocities: BoxGrid, h: Float[Array, ""]) -> Float[Array, "n n"]:
    """The matrix P of the semigroup of Ornstein and Uhlenbeck on values at velocities: f ← fP, of rows with sum 1.

    P_ji = (1/n) Σ_k e^{−k²s²/2} cos(k(v_i − v_je^{−γh})),   |k| below the Nyquist frequency.
    """
    kept, variance = ornstein_uhlenbeck(noise, h)
    k, weight = _modes(velocities, variance)
    v = jnp.asarray(velocities.axes[0], h.dtype)
    here, there = v[:, None] * k, kept * v[:, None] * k
    return (jnp.cos(there) * weight) @ jnp.cos(here).T + (jnp.sin(there) * weight) @ jnp.sin(here).T


def _aligned(model: Model, f: Density, h: Float[Array, ""]) -> Float[Array, "x v"]:
    """O of a model with an alignment."""
    field, positions = model.drift, _grid(f).positions
    assert isinstance(field, VelocityAlignment)
    a, m = field.averages(positions, f)
    middle = _with(f, _with_target(model, f, a, m[:, 0], 0.5 * h))
    return _with_target(model, f, a, field.averages(positions, middle)[1][:, 0], h)


def _with_target(model: Model, f: Density, a: Array, m: Array, h: Float[Array, ""]) -> Float[Array, "x v"]:
    """f after a time h of dv = (m − (a + γ)v)dt + √(2γ/β)dB, at each x by its Fourier coefficients in v."""
    noise, velocities = model.noise, _grid(f).velocities
    friction, heat = jnp.zeros((), h.dtype), jnp.zeros((), h.dtype)
    if isinstance(noise, Thermostat):
        friction = noise.friction.astype(h.dtype)
        heat = friction / noise.beta.astype(h.dtype)
    rate = a + friction
    # ∫_0^h e^{−cs} ds for c = r and 2r, also where nobody is near and r = 0, or others repel and r < 0.
    over = lambda c: jnp.where(c == 0, h, -jnp.expm1(-c * h) / jnp.where(c == 0, 1.0, c))  # noqa: E731
    k, weight = _modes(velocities, 2 * heat * over(2 * rate)[:, None])
    v = jnp.asarray(velocities.axes[0], h.dtype)
    from_place = jnp.exp(-rate * h)[:, None, None] * v[:, None] * k + (m * over(rate))[:, None, None] * k
    cosines, sines = (jnp.einsum("xv,xvk->xk", f.values, g(from_place)) * weight for g in (jnp.cos, jnp.sin))
    return cosines @ jnp.cos(v[:, None] * k).T + sines @ jnp.sin(v[:, None] * k).T


def _modes(velocities: BoxGrid, variance: Float[Array, "..."]) -> tuple[Float[Array, " k"], Float[Array, "... k"]]:
    """The wave numbers k ≥ 0 of velocities below that of Nyquist, and e^{−k²s²/2}/n, twice where k and −k are one."""
    n, side = velocities.shape[0], velocities.sides[0]
    k = jnp.asarray(2 * np.pi / side * np.arange((n - 1) // 2 + 1), variance.dtype)
    return k, jnp.where(k > 0, 2.0, 1.0) * jnp.exp(-0.5 * k * k * variance) / n


def _grid(measure: Density) -> PhaseGrid:
    assert isinstance(measure.grid, PhaseGrid)
    return measure.grid


def _with(measure: Density, values: Array) -> Density:
    return eqx.tree_at(lambda m: m.values, measure, values)


def _common(model: Model, measure: Density, dB: Float[Array, " m"]) -> Float[Array, " n"]:
    """Σ_kσ_k dB_k at the nodes of the positions."""
    x = _grid(measure).positions.nodes.astype(measure.values.dtype)
    assert isinstance(model.space, TangentBundle)
    return model.common_displacement(model.space.join(x, jnp.zeros_like(x)), measure, dB)[:, 1]
