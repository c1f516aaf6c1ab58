"""Densities on a box of R^d: finite volumes with the Scharfetter–Gummel flux, no flux through the walls.

    F = (1/h) [D B(−u/D) ρ_left − D B(u/D) ρ_right],   u = −(Φ_right − Φ_left) + h b,
    Φ = V + W_s*ρ,   B(z) = z/(e^z − 1),

D = 1/β. The flux vanishes on e^{−βΦ}, so that Gibbs states are kept exactly; it is of order 2 in h, and becomes the
upwind flux as D → 0 (Scharfetter and Gummel 1969; for aggregation–diffusion, Schlichting and Seis, IMA J. Numer.
Anal. 42, 2022).

A common noise, −Σ_k ∇·(ρσ_k[ρ])∘dB⁰_k, is the transport by u[ρ] = Σ_k σ_k[ρ] ΔB⁰_k, the velocity frozen over the step
(Wong and Zakai, hence Stratonovich): by half of u[ρ] before the step above, to a density ρ_mid after it, and then by
u[ρ_mid] − ½u[ρ], so that ρ has been moved by the midpoint's displacement. See `advection` for the transport.
"""

from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from mckean.checks import require, traced
from mckean.dynamics.advection import transported
from mckean.dynamics.scheme import (
    AbstractScheme,
    evaluate_drift,
    require_finite_field,
    require_same_space,
    require_stratonovich,
    with_unit_mass,
)
from mckean.interactions import potential
from mckean.measures import AbstractMeasure, Density
from mckean.models import Model, Thermal, extra_drift
from mckean.paths import Brownian
from mckean.spaces import BoxGrid


class FiniteVolume(AbstractScheme):
    """Scharfetter–Gummel finite volumes on a box in R^d, d = 1, 2: mass exact, ρ ≥ 0.

    `time="implicit"`: order 1, the interaction's potential frozen over the step, one dimension after the other; mass
    and positivity hold at any dt, and without a non-gradient drift the free energy never increases: where dt is so long
    that a frozen repulsion would overshoot (about its inverse rate), the density goes only a part of the way.
    `time="explicit"`: order 2 (SSP Runge–Kutta); positivity holds for

        dt · max over cells of Σ_dimensions (p_right + m_left)/h² ≤ 1,   p = D B(−u/D), m = D B(u/D),

    about dt ≤ h²/(2dD); a longer step is refused with the bound.

    A common noise keeps mass and positivity at any dt, as its transport takes as many parts as it needs. The frozen
    velocity is of strong order 1 in dt where the fields commute, as one does with itself, else 1/2; the transport is of
    order 2 in h, with a numerical diffusion that a rough noise makes grow as dt^(−1/2): on a fixed grid dt → 0 does not
    converge, h must go along, say dt ∝ h². See `advection` for its size. Gradients are by reverse mode only then.

    **Arguments:** `edge_tolerance`: mass that the cells at the walls may hold before the box is refused as too small
    for R^d; `math.inf` for reflecting walls.
    **Raises** `ValueError`, when used, for another measure or space, d > 2, an own noise that depends on the
    state, a common one in Itô form, unless that is the same, or dt above the bound.
    """

    moves: ClassVar[str] = "Density on a box"
    time: Literal["implicit", "explicit"] = eqx.field(static=True, default="implicit")
    edge_tolerance: float = eqx.field(static=True, default=1e-6)

    def __check_init__(self):
        require(
            self.time in ("implicit", "explicit"),
            f"time is 'implicit' or 'explicit', but {self.time!r} was given.",
        )

    @property
    def order(self) -> int:
        return 1 if self.time == "implicit" else 2

    def accepts(self, measure: AbstractMeasure) -> bool:
        return isinstance(measure, Density) and isinstance(measure.grid, BoxGrid)

    def check(self, model: Model, measure: Density, dt: float) -> None:
        require_same_space(model, measure)
        require(len(measure.grid.shape) <= 2, "finite volumes are built for boxes of dimension 1 and 2.")
        require(
            model.noise is None or isinstance(model.noise, Thermal),
            "finite volumes take thermal noise or none, not a noise that depends on the state.",
        )
        require_stratonovich(model)
        nodes = measure.grid.nodes
        require_finite_field(lambda: evaluate_drift(model, measure, measure.grid), "the drift −∇V − ∇W*μ + b", nodes)
        self._require_stable(model, measure, dt)

    def _require_stable(self, model: Model, measure: Density, dt: float) -> None:
        if self.time == "explicit":
            rate = _outflow(model, measure)
            if not traced(rate) and dt * float(rate) > 1:
                raise ValueError(
                    f"the step dt = {dt:g} is unstable for explicit finite volumes: "
                    f"it must not exceed {1 / float(rate):.3g}."
                )

    def complaints(self, model: Model, measure: Density) -> dict[str, Float[Array, ""]]:
        rho = measure.values
        edge = (
            sum(jnp.sum(jnp.take(rho, i, axis)) for axis in range(rho.ndim) for i in (0, -1)) * measure.grid.cell_volume
        )
        return {
            "a mass of {:.3g} stands at the walls of the box, which is too small for it": jnp.where(
                edge > self.edge_tolerance, edge, 0.0
            ),
            "the density fell below zero, by {:.3g}: dt exceeds the bound of explicit finite volumes": jnp.where(
                jnp.min(rho) < 0, -jnp.min(rho), 0.0
            ),
        }

    def prepare(self, model: Model, measure: Density, dt: Float[Array, ""]) -> None:
        return None

    def step(
        self,
        model: Model,
        measure: Density,
        prepared: None,
        path: Brownian | None,
        index: Int[ArrayLike, ""],
        dt: Float[Array, ""],
    ) -> Density:
        advance = _implicit if self.time == "implicit" else _explicit
        if not model.common:
            return with_unit_mass(measure, advance(model, measure, dt))
        assert path is not None, "evolve has asked for a path"
        dB = path.environment.increment(index, dt, (model.environments(measure),), dt.dtype)
        first = _displacement(model, measure, dB)
        middle = _moved(measure, [0.5 * u for u in first])
        middle = _with(middle, advance(model, middle, dt))
        whole = _displacement(model, middle, dB)
        last = _moved(middle, [u - 0.5 * v for u, v in zip(whole, first, strict=True)])
        return with_unit_mass(measure, last.values)


def _potential(model: Model, density: Density) -> Array:
    """Φ = V + W_s*ρ in the cells."""
    grid = density.grid
    phi = jnp.zeros(grid.size, density.values.dtype)
    if model.confinement is not None:
        phi = phi + jax.vmap(model.confinement)(grid.nodes.astype(phi.dtype))
    if model.interaction is not None:
        phi = phi + potential(model.interaction, density, grid)
    return phi.reshape(grid.shape)


def _face_rates(model: Model, density: Density, phi: Array) -> list[tuple[Array, Array]]:
    """For each dimension (p, m)/h² on the inner faces: rates of passing right and left."""
    rates = []
    for axis, h in enumerate(density.grid.spacing):
        u = -jnp.diff(phi, axis=axis) + h * _extra_on_faces(model, density, axis)
        rates.append(tuple(_passing(model, side) / h**2 for side in (u, -u)))
    return rates


def _extra_on_faces(model: Model, density: Density, axis: int) -> Array:
    """The non-gradient drift's component, averaged from the two cells of a face."""
    if model.extra is None:
        return jnp.zeros((), density.values.dtype)
    points = density.grid.nodes.astype(density.values.dtype)
    b = extra_drift(model.extra, density, points)[:, axis].reshape(density.grid.shape)
    n = b.shape[axis]
    return 0.5 * (jnp.take(b, jnp.arange(1, n), axis) + jnp.take(b, jnp.arange(n - 1), axis))


def _passing(model: Model, u: Array) -> Array:
    """D B(−u/D), which is max(u, 0) for D = 0."""
    if model.noise is None:
        return jnp.maximum(u, 0)
    z = u * model.beta
    small = jnp.abs(z) < 1e-3
    far = jnp.where(small, 1.0, z)
    # z/(1 − e^{−z}); near 0 its series, 1 + z/2 + z²/12, whose next term is z⁴/720.
    return jnp.where(small, 1 + z / 2 + z * z / 12, far / -jnp.expm1(-far)) / model.beta


def _rate(rates: list[tuple[Array, Array]], rho: Array) -> Array:
    """dρ/dt of the semi-discrete equation."""
    total = jnp.zeros_like(rho)
    for axis, (right, left) in enumerate(rates):
        n = rho.shape[axis]
        flux = right * jnp.take(rho, jnp.arange(n - 1), axis) - left * jnp.take(rho, jnp.arange(1, n), axis)
        wall = [(0, 0)] * rho.ndim
        wall[axis] = (1, 1)
        total = total - jnp.diff(jnp.pad(flux, wall), axis=axis)
    return total


def _explicit(model: Model, density: Density, dt: Array) -> Array:
    """Heun's method in Shu and Osher's form: a convex combination of Euler steps."""

    def euler(values):
        now = _with(density, values)
        return values + dt * _rate(_face_rates(model, now, _potential(model, now)), values)

    return 0.5 * (density.values + euler(euler(density.values)))


def _implicit(model: Model, density: Density, dt: Array) -> Array:
    """(I − dt A_d) … (I − dt A_1) ρ⁺ = ρ with the rates of the old density: each factor is an M-matrix.

    Then a part θ of the way from ρ to ρ⁺. With Φ frozen, each factor lowers G = ∫Φρ + β⁻¹ρ log ρ by at least
    −⟨Φ + β⁻¹ log ρ_new, ρ_new − ρ_old⟩ ≥ 0; let g be the sum. By convexity F(ρ + θδ) − F(ρ) ≤ −θg + ½θ²⟨W_s*δ, δ⟩ for
    δ = ρ⁺ − ρ, which is not positive for θ = min(1, g/⟨W_s*δ, δ⟩). As dt → 0, g is of order dt and the other of dt².
    """
    phi = _potential(model, density)
    rho, gain = density.values, jnp.zeros((), dt.dtype)
    for axis, rates in enumerate(_face_rates(model, density, phi)):
        old, rho = rho, _solved(rates, rho, axis, dt)
        gain = gain - jnp.sum(_centred(phi + _log(model, rho)) * (rho - old))
    if model.interaction is None or model.extra is not None:
        return rho
    change = rho - density.values
    cost = jnp.sum(change * (_potential(model, _with(density, rho)) - phi))
    far = cost > gain
    part = jnp.where(far, jnp.maximum(gain, 0.0) / jnp.where(far, cost, 1.0), 1.0)
    return density.values + part * change


def _solved(rates: tuple[Array, Array], rho: Array, axis: int, dt: Array) -> Array:
    """(I − dt A)⁻¹ρ for the rates along one dimension."""
    p, m = (dt * jnp.moveaxis(side, axis, -1) for side in rates)
    ends = [(0, 0)] * (rho.ndim - 1)
    lower = jnp.pad(-p, [*ends, (1, 0)])
    upper = jnp.pad(-m, [*ends, (0, 1)])
    diagonal = 1 + jnp.pad(p, [*ends, (0, 1)]) + jnp.pad(m, [*ends, (1, 0)])
    right = jnp.moveaxis(rho, axis, -1)[..., None]
    return jnp.moveaxis(jax.lax.linalg.tridiagonal_solve(lower, diagonal, upper, right)[..., 0], -1, axis)


def _log(model: Model, rho: Array) -> Array:
    """β⁻¹ log ρ, finite in empty cells."""
    return jnp.log(jnp.maximum(rho, jnp.finfo(rho.dtype).tiny)) / model.beta


def _centred(values: Array) -> Array:
    """Up to a constant, which a change of mass zero does not see: it keeps the rounding of a sum small."""
    return values - jnp.mean(values)


def _displacement(model: Model, density: Density, dB: Array) -> list[Array]:
    """The environment's displacement across each axis, at the centres of the faces behind the cells."""
    grid = density.grid
    nodes = grid.nodes.astype(dB.dtype)
    moves = []
    for axis, h in enumerate(grid.spacing):
        u = model.common_displacement(density, nodes.at[:, axis].add(0.5 * h), dB)
        moves.append(u[:, axis].reshape(grid.shape))
    return moves


def _moved(density: Density, displacements: list[Array]) -> Density:
    return _with(density, transported(density.values, displacements, density.grid.spacing, walls=True))


def _with(density: Density, values: Array) -> Density:
    return eqx.tree_at(lambda m: m.values, density, values)


@eqx.filter_jit
def _outflow(model: Model, density: Density) -> Float[Array, ""]:
    """The largest rate at which a cell is emptied."""
    total = jnp.zeros_like(density.values)
    for axis, (right, left) in enumerate(_face_rates(model, density, _potential(model, density))):
        ends = [(0, 0)] * total.ndim
        after, before = list(ends), list(ends)
        after[axis], before[axis] = (0, 1), (1, 0)
        total = total + jnp.pad(right, after) + jnp.pad(left, before)
    return jnp.max(total)
