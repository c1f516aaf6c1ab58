"""Densities on the torus that must stay positive: limited transport and the heat flow of the discrete Laplacian.

    ∂_tρ = −∇·(ρ b[ρ]) + (1/β)Δρ − Σ_k ∇·(ρσ_k[ρ]) ∘ dB⁰_k/dt,   b = −∇V − ∇W_s*ρ + extra drift.

The values are cell averages, the cells centred at the nodes. A step is half a step of heat, all the transport, and half
a step of heat. Heat is exact for the Laplacian of differences: its Fourier symbol −Σ (2 − 2cos q_i h_i)/h_i² is the
generator of a walk on the cells, so that the kernel is positive. Transport is by the displacement of the step,

    u[ρ] = b[ρ] dt + Σ_k σ_k[ρ] ΔB_k,

the environment's velocity frozen (Wong and Zakai, hence Stratonovich): half of u[ρ], to a density ρ_mid half-way, then
u[ρ_mid] − ½u[ρ], so that together the density has been moved by u[ρ_mid], the midpoint rule.

**Faces.** From its values at the nodes, the component u_i is averaged over the faces across axis i by its Fourier
coefficients: times e^{iq_ih_i/2} Π_{j≠i} sinc(q_jh_j/2). Mode by mode, the discrete divergence of these averages is the
field's own times Π_j sinc(q_jh_j/2): it vanishes where q·u does, as for a transport noise that the grid resolves.
"""

from typing import ClassVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from mckean.checks import require
from mckean.dynamics._increments import increments
from mckean.dynamics.advection import transport
from mckean.dynamics.scheme import (
    AbstractScheme,
    Stepper,
    require_same_space,
    require_stratonovich,
    step_length,
    with_unit_mass,
)
from mckean.dynamics.survey import require_functions
from mckean.faults import Status, sound
from mckean.measures import AbstractMeasure, Density
from mckean.models import Equation, Model, Thermal, initial
from mckean.paths import Brownian
from mckean.spaces import FourierGrid, calculus

# Values so far below zero, relative to the maximum, are the rounding of an FFT in single precision.
_ROUNDING = 1e-6


class FluxLimited(AbstractScheme):
    """Flux-limited finite volumes on a Fourier grid: mass is exact, and ρ ≥ 0 for any density, noise and dt.

        ∂_tρ = −∇·(ρb[ρ]) + ½ Σ_ij a_ij ∂_i∂_jρ − Σ_k ∇·(ρσ_k[ρ])∘dB⁰_k/dt

    The order is 2 in time and in space where the density is smooth. Elsewhere it is 1, without oscillations. There is
    no bound on dt: a step is split into as many parts as its displacement needs, about two for each cell that is
    crossed. If the displacements have no divergence (transport noise on a grid that resolves it, V = W = 0), ρ stays
    between its extrema, and the uniform density does not move, up to rounding.

    On one path the strong order in dt is 1 if the fields commute, else 1/2. Positivity costs numerical diffusion, which
    grows as dt^(−1/2) for a rough noise. So dt → 0 on a fixed grid does not converge: dt ∝ h² gives order 2 in h, or 1
    if the fields do not commute. `advection` gives the size. An example: waves |k| ≤ 2 of intensity 2, at β = 1 with
    the attraction `Cosine(4)`. At time ¼ the relative L² distance to `Spectral` is 0.010 on 64² nodes and 0.066 on 32²
    for dt = 1/512, and 0.033 and 0.17 for dt = 1/8192. Take `Spectral` if the density is smooth and resolved. Gradients
    are by reverse mode only.

    **Raises:** `ValueError`, at the begin of a run, for another measure or space, a density that is negative somewhere,
    an own noise that depends on the state, and a common noise in Itô form if the two forms differ.
    """

    moves: ClassVar[str] = "Density on a Fourier grid"

    @property
    def order(self) -> int:
        return 2

    @property
    def pressure(self) -> bool:
        return False

    def accepts(self, measure: AbstractMeasure) -> bool:
        return isinstance(measure, Density) and isinstance(measure.grid, FourierGrid)

    def begin(self, equation: Equation, measure: Density, dt: float) -> Stepper:
        model = initial(equation)
        require_same_space(model, measure)
        require(
            model.noise is None or isinstance(model.noise, Thermal),
            "the flux-limited scheme takes thermal noise or none of the particles' own, not one that depends on the "
            "state: use Spectral().",
        )
        require_stratonovich(model)
        require_functions(model, measure, measure.grid)
        require(
            jnp.min(measure.values) >= -_ROUNDING * jnp.max(measure.values),
            "the flux-limited scheme keeps a density positive, but this one is negative somewhere.",
        )
        step = step_length(measure, dt)
        # Where the temperature depends on time each half of a step has factors of its own.
        factors = _heat_factors(equation, measure, step) if isinstance(equation, Model) else None
        return Stepper(self, equation, step, factors)

    def advance(
        self, begun: Stepper, measure: Density, path: Brownian | None, index: Int[ArrayLike, ""]
    ) -> tuple[Density, Status]:
        dt, course = begun.dt, begun.during(index)
        dB = increments(begun.at(index), measure, path, index, dt).common

        def heat(density, middle):
            return _heat(density, _factors_at(begun, measure, index, middle))

        def towards(state, share):
            """On, until the density has gone the share of its present displacement."""
            density, gone = state
            model = course((share - 0.5) * dt)
            move = [share * u - before for u, before in zip(_displacement(model, density, dt, dB), gone, strict=True)]
            return (_transport(density, move), [u + v for u, v in zip(gone, move, strict=True)]), None

        still = [jnp.zeros_like(measure.values) for _ in measure.grid.shape]
        shares = jnp.asarray([0.5, 1.0], dt.dtype)
        end = jax.lax.scan(towards, (heat(measure, 0.25), still), shares)[0][0]
        return with_unit_mass(measure, heat(end, 0.75).values), sound(dt.dtype)

    def inspect(self, begun: Stepper, measure: Density) -> Status:
        return sound(begun.dt.dtype)


def _factors_at(begun: Stepper, measure: Density, index: Int[ArrayLike, ""], share: float) -> Array | None:
    """The factors of a half of a step, in the middle of which is a share of the step: the midpoint rule for ∫β⁻¹dt."""
    if isinstance(begun.equation, Model):
        return begun.shared
    return _heat_factors(begun.at(index, share * begun.dt), measure, begun.dt)


def _heat_factors(model: Model, measure: Density, dt: Float[Array, ""]) -> Float[Array, "..."] | None:
    """The factors of the modes in half a step of heat; None without diffusion."""
    if model.noise is None:
        return None
    grid = cast(FourierGrid, measure.grid)
    turns = zip(grid.modes, grid.shape, grid.spacing, strict=True)
    rate = sum((2 * np.sin(np.pi * k / n) / h) ** 2 for k, n, h in turns)
    return jnp.exp(-0.5 * dt / model.beta * jnp.asarray(rate, dt.dtype))


def _heat(density: Density, factors: Array | None) -> Density:
    if factors is None:
        return density
    values = calculus.fourier_multiplier(cast(FourierGrid, density.grid), density.values, factors)
    # The kernel is positive, the rounding of a transform is not.
    return Density(density.grid, jnp.maximum(values, 0))


def _transport(density: Density, displacements: list[Array]) -> Density:
    grid = density.grid
    return Density(grid, transport(density.values, displacements, grid.spacing, walls=False))


def _displacement(model: Model, density: Density, dt: Array, dB: Array | None) -> list[Array]:
    """u, averaged over the faces across each axis."""
    grid = cast(FourierGrid, density.grid)
    u = model.velocity(grid, density) * dt
    if dB is not None:
        u = u + model.common_displacement(grid, density, dB)
    return [calculus.face_average(grid, u[:, axis].reshape(grid.shape), axis) for axis in range(len(grid.shape))]
