"""Densities on a box of R^d or a torus: finite volumes that keep mass, sign, steady states and the second law.

    ∂_tρ = ∇·(ρ∇ξ) − ∇·(ρb),   ξ = V + W_s*ρ + β⁻¹ log ρ + U′(ρ),

by the flux of `faces` in steps of `lines`. A common noise, −Σ_k ∇·(ρσ_k[ρ])∘dB⁰_k, is the transport by u[ρ] =
Σ_k σ_k[ρ] ΔB⁰_k, the velocity frozen over the step (Wong and Zakai, hence Stratonovich): by half of u[ρ] before the
step, to a density ρ_mid after it, and then by u[ρ_mid] − ½u[ρ], so that ρ has been moved by the midpoint's
displacement. See `advection` for the transport.
"""

from typing import ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from mckean.checks import refusal, require, require_tolerance, traced
from mckean.dynamics._increments import common_increment
from mckean.dynamics.advection import transport
from mckean.dynamics.faces import Faces, faces
from mckean.dynamics.lines import implicit
from mckean.dynamics.scheme import (
    AbstractScheme,
    Course,
    Stepper,
    require_same_space,
    require_stratonovich,
    step_length,
    with_unit_mass,
)
from mckean.dynamics.survey import require_functions
from mckean.faults import Fault, Status, sound, status
from mckean.measures import AbstractMeasure, Density
from mckean.models import Equation, Model, Thermal, energy, initial
from mckean.paths import Brownian
from mckean.spaces import BoxGrid, FourierGrid


class FiniteVolume(AbstractScheme):
    """Finite volumes on a box of R^d or a torus, d = 1, 2, 3: mass is exact, and ρ ≥ 0.

        ∂_tρ = ∇·(ρ∇(V + W_s*ρ) − ρb) + β⁻¹Δρ + ΔP(ρ) − Σ_k ∇·(ρσ_k)∘dB⁰_k/dt

    Equilibria (Gibbs, Barenblatt, mixtures), sampled at the centres of the cells, do not move. The order in space is 2
    where ρ is smooth and positive. At the edge of a support under a pressure ρ^m it is min(2, 1 + 1/(m − 1)) in L¹.

    `time="implicit"` has order 1. It freezes W_s*ρ over the step and takes one dimension after the other. Mass and
    positivity hold at any dt, and without b the free energy never increases: if dt is so long that a frozen repulsion
    would overshoot (about its inverse rate), the density goes only a part of the way.

    `time="explicit"` has order 2 (SSP Runge–Kutta). Positivity holds for

        dt · max over cells of Σ_dimensions (p_right + m_left)/h² ≤ 1

    with the rates p, m of `faces`, about dt ≤ h²/2d(β⁻¹ + P′). A longer step is refused, and the error states the
    bound. Without W and without a pressure the free energy then does not rise. With a pressure, for m = 2 and without
    noise, it does not rise if

        dt · 2d · max over faces of (p + m + (1 − φ)|ΔU′|)/h² ≤ 1,   h the same in each dimension:

    no pair of cells that exchanges 2d times the amount overshoots its own equilibrium, and the energy is convex. A W
    adds ½dt²‖∇²W‖∫ρ|v|², less than half of the decrease if dt is half as long and dt‖∇²W‖ ≤ 1.

    A common noise keeps mass and positivity at any dt: its transport is split into as many parts as it needs. The
    strong order in dt is 1 if the fields commute, as one field does with itself, else 1/2. The transport has order 2 in
    h. Its numerical diffusion grows as dt^(−1/2) for a rough noise, so dt → 0 on a fixed grid does not converge: take
    dt ∝ h². `advection` gives the size. With a common noise, gradients are by reverse mode only.

    **Arguments:**

    - `time`: "implicit" or "explicit". Default: "implicit".
    - `edge_tolerance`: the mass that the cells at the walls may hold; with more the box is refused as too small for
      R^d. `math.inf` gives walls that reflect. A torus has no walls. Default: 10⁻⁶.

    **Raises:** `ValueError`, at the begin of a run, for another measure or space, d > 3, an own noise that depends on
    the state, a common noise in Itô form if the two forms differ, and dt above the bound.
    """

    moves: ClassVar[str] = "Density on a box or a Fourier grid"
    time: Literal["implicit", "explicit"] = eqx.field(static=True, default="implicit")
    edge_tolerance: float = eqx.field(static=True, default=1e-6)

    def __check_init__(self):
        require(
            self.time in ("implicit", "explicit"),
            f"time is 'implicit' or 'explicit', but {self.time!r} was given.",
        )
        require_tolerance("edge_tolerance", self.edge_tolerance)

    @property
    def order(self) -> int:
        return 1 if self.time == "implicit" else 2

    @property
    def pressure(self) -> bool:
        return True

    def accepts(self, measure: AbstractMeasure) -> bool:
        return isinstance(measure, Density) and isinstance(measure.grid, BoxGrid | FourierGrid)

    def begin(self, equation: Equation, measure: Density, dt: float) -> Stepper:
        model = initial(equation)
        require_same_space(model, measure)
        require(len(measure.grid.shape) <= 3, "finite volumes are built for dimension 1, 2 and 3.")
        require(
            model.noise is None or isinstance(model.noise, Thermal),
            "finite volumes take thermal noise or none, not a noise that depends on the state.",
        )
        require_stratonovich(model)
        require_functions(model, measure, measure.grid)
        if self.time == "explicit":
            rate = _outflow(model, measure)
            if not traced(rate) and not dt * float(rate) <= 1:
                raise refusal(
                    f"the step dt = {dt:g} is unstable for explicit finite volumes: "
                    f"it must not exceed {1 / float(rate):.3g}.",
                    see="A step that is too long",
                )
        return Stepper(self, equation, step_length(measure, dt))

    def advance(
        self, begun: Stepper, measure: Density, path: Brownian | None, index: Int[ArrayLike, ""]
    ) -> tuple[Density, Status]:
        dt, course = begun.dt, begun.during(index)
        relax = _implicit if self.time == "implicit" else _explicit
        model = course(0.5 * dt)
        if not model.common:
            values, found = relax(course, measure, dt)
            return with_unit_mass(measure, values), found
        dB = common_increment(model, measure, path, index, dt)
        first = _displacement(model, measure, dB)
        middle = _transport(measure, [0.5 * u for u in first])
        values, found = relax(course, middle, dt)
        middle = _with(middle, values)
        whole = _displacement(model, middle, dB)
        last = _transport(middle, [u - 0.5 * v for u, v in zip(whole, first, strict=True)])
        return with_unit_mass(measure, last.values), found

    def inspect(self, begun: Stepper, measure: Density) -> Status:
        lowest = jnp.min(measure.values)
        found = status(Fault.NEGATIVE, ~(lowest >= 0), -lowest)
        return found.then(inspect_walls(measure, self.edge_tolerance)) if isinstance(measure.grid, BoxGrid) else found


def _rate(across: list[Faces], rho: Array) -> Array:
    """dρ/dt of the semi-discrete equation."""
    return sum((side.into(side.flux(rho)) for side in across), jnp.zeros_like(rho))


def _faces_of(model: Model, density: Density) -> list[Faces]:
    return faces(model, density, energy.potential(model, density))


def _explicit(course: Course, density: Density, dt: Array) -> tuple[Array, Status]:
    """Heun's method in Shu and Osher's form: a convex combination of Euler steps."""
    euler = lambda t, values: values + dt * _rate(_faces_of(course(t), _with(density, values)), values)  # noqa: E731
    return 0.5 * (density.values + euler(dt, euler(0.0, density.values))), sound(dt.dtype)


def _implicit(course: Course, density: Density, dt: Array) -> tuple[Array, Status]:
    """One dimension after the other with Φ frozen, each step implicit; then a part θ of the way from ρ to ρ⁺.

    The model is that of the end of the step.

    G = ∫Φρ + β⁻¹ρ log ρ + U(ρ) is convex, so that each step lowers it by at least −⟨ξ_new, ρ_new − ρ_old⟩, and this is
    not negative since the flux has the sign of −Δξ_new; it is taken as it comes out, so that nothing rests on the
    accuracy of ρ⁺. Let g be the sum. For δ = ρ⁺ − ρ, F(ρ + θδ) − F(ρ) ≤ −θg + ½θ²⟨W_s*δ, δ⟩, which is not positive for
    θ = min(1, g/⟨W_s*δ, δ⟩). As dt → 0, g is of order dt and the other of dt².
    """
    model = course(dt)
    phi = energy.potential(model, density)
    xi = lambda rho: phi + _own(model, rho)  # noqa: E731
    rho, gain, found = density.values, jnp.zeros((), dt.dtype), sound(dt.dtype)
    for side in faces(model, density, phi):
        rho, more, new = implicit(side, xi, rho, dt)
        gain, found = gain + more, found.then(new)
    if model.interaction is None or model.drift is not None:
        return rho, found
    change = rho - density.values
    cost = jnp.sum(change * (energy.potential(model, _with(density, rho)) - phi))
    # A gain that rounding has made negative allows no step that an attraction does not pay for.
    far = cost > jnp.minimum(gain, 2 * gain)
    part = jnp.where(far, jnp.maximum(gain, 0.0) / jnp.where(far & (cost != 0), cost, 1.0), 1.0)
    return density.values + part * change, found


def _own(model: Model, rho: Array) -> Array:
    """β⁻¹ log ρ + U′(ρ), finite in empty cells."""
    rho = jnp.maximum(rho, jnp.finfo(rho.dtype).tiny)
    total = jnp.zeros_like(rho) if model.noise is None else jnp.log(rho) / model.beta
    return total if model.internal is None else total + model.internal.derivative(rho)


def _displacement(model: Model, density: Density, dB: Array) -> list[Array]:
    """The environment's displacement across each axis, at the centres of the faces behind the cells."""
    grid = density.grid
    nodes = grid.nodes.astype(dB.dtype)
    moves = []
    for axis, h in enumerate(grid.spacing):
        u = model.common_displacement(nodes.at[:, axis].add(0.5 * h), density, dB)
        moves.append(u[:, axis].reshape(grid.shape))
    return moves


def _transport(density: Density, displacements: list[Array]) -> Density:
    grid = density.grid
    return _with(density, transport(density.values, displacements, grid.spacing, isinstance(grid, BoxGrid)))


def _with(density: Density, values: Array) -> Density:
    return eqx.tree_at(lambda m: m.values, density, values)


def inspect_walls(density: Density, tolerance: float) -> Status:
    """Whether the cells at the walls of a box hold more mass than is allowed."""
    rho = density.values
    ends = [jnp.sum(jnp.take(rho, i, axis)) for axis in range(rho.ndim) for i in (0, -1)]
    mass = sum(ends, jnp.zeros((), rho.dtype)) * density.grid.cell_volume
    return status(Fault.WALLS, ~(mass <= tolerance), mass)


@eqx.filter_jit
def _outflow(model: Model, density: Density) -> Float[Array, ""]:
    """The largest rate at which a cell is emptied."""
    total = jnp.zeros_like(density.values)
    for side in _faces_of(model, density):
        right, left = side.rates(density.values)
        total = total + right + jnp.roll(left, 1, side.axis)
    return jnp.max(total)
