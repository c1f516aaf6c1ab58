"""Steady states: found from many starts, each with what it takes to trust it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean.checks import positive_integer, require, require_key
from mckean.dynamics import evolve
from mckean.faults import RunError
from mckean.measures import Density
from mckean.models import Model, energy, require_model
from mckean.phases import _currents as currents
from mckean.phases import _equation as equation
from mckean.phases import _law as law
from mckean.phases import _spheres as spheres
from mckean.phases._curvature import FEW, curvatures, zero_modes
from mckean.phases._rates import rates_in_frame, slowest
from mckean.spaces import AbstractGrid, AbstractSphericalGrid, FourierGrid, calculus

# An error of log ρ that is rounding, in what Newton's method has solved.
_SOLVED = 1e-9
# Curvatures, in units of the temperature, that are zero up to rounding.
_ZERO = 1e-7
# How near the moduli of two states are that are one. The nodes hold one with an edge at a node or between two.
_SAME, _SAME_EDGES = 1e-7, 1e-3


@dataclass(frozen=True, eq=False)
class SteadyState:
    """A steady state ρ ∝ e^{−β(V + W_s*ρ)}, or with an internal energy U′(ρ) = (λ − V − W_s*ρ)_+.

    With a drift b it is a law that stays, ∇·(ρ(−∇V − ∇W_s*ρ + b − c)) = β⁻¹Δρ, or a wave that travels at a velocity c.

    **Attributes:**

    - `density`: ρ, a `Density`.
    - `free_energy`: F(ρ), energy per particle; with a drift it is not what the flow makes less.
    - `residual`: max|log ρ + β(V + W_s*ρ) − const|, the error of the equation; with an internal energy that of
      V + W_s*ρ in units of U′(max ρ); with a drift that of log ρ after the inverse of Δ.
    - `tail`: the share of the modes or harmonics of log ρ or of ρ, whichever is larger, by their root mean square, in
      the upper third of the grid's; 0 on a box. A state that the grid resolves has a small one.
    - `kernel_tail`: the largest |Ŵ| of a mode or degree that the grid lacks over the largest of all; 0 on a box.
    - `order`: the largest modulus of a Fourier mode, |∫e^{iq_k·x}ρ|, k ≠ 0, on a torus; the mean, shape (d,), on a box;
      on a sphere the largest √(∬P_l(⟨x, y⟩)dρdρ), l ≥ 1, P_l(1) = 1, which on a zonal grid is |∫P_l(⟨e, x⟩)dρ|, and
      has the sign of the integral there.
    - `curvatures`: the least eigenvalues of the Hessian of βF, 1 + β√ρW_s√ρ on what is orthogonal to √ρ, in
      increasing order; dimensionless. Those of the state's own translations and rotations are left out. With an
      internal energy 1/U″(ρ) on the support stands for βρ. With a drift: −λ for the rates λ of `growth_rates` in the
      frame of the state, complex, per time, on the longest waves alone where there are more than 400 nodes.
    - `index`: how many are negative: the dimension of the unstable manifold. On a zonal grid, whose axis is fixed, it
      is that among zonal densities: a state may have other unstable directions, which the grid of S² sees.
    - `zero_modes`: how many independent translations, or rotations of S¹ and S², move the state, and those of
      `curvatures` that are zero. A zonal grid knows no rotation, but the reflection e → −e.
    - `model`: the model of which it is a state.
    - `velocity`: c, length per time, shape (d,); 0 without a drift.
    """

    density: Density
    free_energy: float
    residual: float
    tail: float
    kernel_tail: float
    order: Any
    curvatures: np.ndarray
    index: int
    zero_modes: int
    model: Model
    velocity: Any

    @property
    def stable(self) -> bool:
        """True where no curvature is negative."""
        return self.index == 0

    @cached_property
    def speed(self) -> float:
        """How fast a step Φ of the scheme of the PDE moves the state in its frame, max|Φ(ρ) − ρ|/(dt max ρ), per time.

        A state of the equation on the grid is one of the PDE there: on a torus and a sphere to rounding once the grid
        resolves it, on a box and with an internal energy to the order of the scheme. The step is a quarter of the time
        of diffusion across a cell. Infinite where the scheme refuses the state. It is measured when it is asked for.
        """
        return _speed(self.model, self.density, self.velocity)

    def __repr__(self) -> str:
        order = np.array2string(np.asarray(self.order), precision=6)
        return (
            f"SteadyState(order={order}, free_energy={self.free_energy:.6g}, index={self.index}, "
            f"zero_modes={self.zero_modes}, residual={self.residual:.1g}, tail={self.tail:.1g})"
        )


def steady_state(model: Model, start: Density, picard: int = 200) -> SteadyState:
    """The steady state that is reached from a density, by descent and Newton's method.

        ρ = e^{−β(V + W_s*ρ)}/Z,   or with an internal energy   U′(ρ) = (λ − V − W_s*ρ)_+

    First Picard's iteration u + a(V + W_s*ρ(u) − u), a halved until F falls, as long as it moves; then Newton's method.
    With a drift b the first steps are those of the flow of the law, and the state may be a wave that travels.

    **Arguments:**

    - `model`: V and W with a `Thermal` noise, on a torus or a box in dimension 1 or 2, or on a sphere: on S¹ and S²,
      and in any dimension for densities that depend on ⟨e, x⟩ alone. Or with an internal energy instead of the noise,
      on a torus or a box; such a state is good to the order 2 in the spacing where it has an edge. On a torus with a
      noise also a drift b, which may depend on the law.
    - `start`: a density; where it is near a state that is not stable, `picard=0` stays there.
    - `picard`: the most steps of descent. Default: 200.

    **Returns:** a `SteadyState`.

    **Raises:**

    - `ValueError` for a drift elsewhere than on a torus, a common noise, neither a temperature nor an internal
      energy or both; and for a grid that is too coarse for W, with the number of nodes that is not; on a sphere for a W
      that is not zonal.
    - `RuntimeError` where no state is found, with the residual, and with an internal energy for a support of several
      parts: no mass moves between them, so that each has a mass of its own, and no index is that of the flow.
    """
    require_model(model)
    require(
        isinstance(start, Density), f"a search for steady states starts at a density, not at {type(start).__name__}."
    )
    grid = start.grid
    equation.require_states(model, grid)
    picard = picard and positive_integer("picard is an integer that is not negative", picard)
    axes = equation.symmetric_axes(model, grid)
    u = _fall(model, grid, equation.potential(model, start), axes, picard)
    u, residual = equation.newton(model, grid, u, _phases(model, axes))
    if not float(residual) <= _SOLVED:
        raise RuntimeError(
            f"no steady state was found: log ρ is {float(residual):.2g} off after Newton's method; start nearer to "
            "one, or take more nodes."
        )
    parts = 1 if model.internal is None else law.parts(law.density(model, grid, u))
    if parts > 1:
        raise RuntimeError(
            f"the support of the state has {parts} parts, between which no mass moves: each has a mass of its own, and "
            "the states are a family; start at a density of one part."
        )
    return describe(model, grid, u, axes)


def steady_states(
    model: Model,
    grid: AbstractGrid,
    *,
    key: Any,
    starts: Sequence[Density] = (),
    random: int = 12,
) -> list[SteadyState]:
    """Steady states that are found from many starts, by increasing free energy; there may be others.

    The starts are those given, the uniform density, single waves of several amplitudes (on a box: bumps of several
    widths at several places), and random ones. From each, Newton's method runs after a few steps of descent,
    deflated by the states that are known (Farrell, Birkisson and Funke), and after many. On a torus, states that differ
    by a translation or a reflection are one state, and on S¹ and S² by a rotation; an exchange of axes makes another
    one, and so does e → −e on a zonal grid. With an internal energy those are listed whose support has one part.

    **Arguments:**

    - `model`: as for `steady_state`.
    - `grid`: a grid of the model's space.
    - `key`: a JAX key, for the random starts.
    - `starts`: more densities to start from. Default: none.
    - `random`: the number of random starts. Default: 12.

    **Returns:** a list of `SteadyState`s.

    **Raises:** `ValueError` as `steady_state` does, and for what is no key.

    **Source:** deflation, SIAM J. Sci. Comput. 37 (2015).
    """
    require_model(model)
    equation.require_states(model, grid)
    require_key(key)
    random = random and positive_integer("the number of random starts is an integer that is not negative", random)
    own = isinstance(starts, Sequence) and all(isinstance(s, Density) and s.grid == grid for s in starts)
    require(own, "the starts of a search are a sequence of densities on its grid.")
    axes = equation.symmetric_axes(model, grid)
    same = _SAME if model.internal is None else _SAME_EDGES
    found: list[SteadyState] = []
    fingerprints = np.full((16, equation.moduli(grid, jnp.ones(grid.shape), axes).size), 1e3)
    given = [equation.potential(model, start) for start in starts]
    for u in [*given, *_waves(model, grid), *_random(model, grid, key, random)]:
        for steps in (4, 200):
            v = _fall(model, grid, u, axes, steps)
            # Without deflation once more, from where it is led away from what is near.
            known = (jnp.asarray(fingerprints), axes) if found and steps < 200 else None
            v = _solved(model, grid, v, axes, known)
            if v is None:
                continue
            print_ = np.asarray(equation.moduli(grid, law.density(model, grid, v).values, axes))
            if any(np.abs(print_ - other).max() <= same * np.abs(print_).max() for other in fingerprints[: len(found)]):
                continue
            if len(found) == len(fingerprints):
                fingerprints = np.concatenate([fingerprints, np.full_like(fingerprints, 1e3)])
            fingerprints[len(found)] = print_
            found.append(describe(model, grid, v, axes))
    return sorted(found, key=lambda state: state.free_energy)


def describe(model: Model, grid: AbstractGrid, u: Any, axes: tuple[int, ...]) -> SteadyState:
    """The state of an effective potential that solves the equation."""
    rho, free_energy, residual, moves = _summary(model, grid, u, axes)
    values, zero, velocity = _stability(model, rho, u, np.asarray(moves), axes)
    moved = int(np.sum(np.linalg.norm(moves, axis=1) > 0))
    return SteadyState(
        density=rho,
        free_energy=float(free_energy),
        residual=float(residual),
        # A log ρ of one mode may be that of a ρ narrower than a cell.
        tail=max(_tail(grid, np.asarray(u)), _tail(grid, np.asarray(rho.values))),
        kernel_tail=equation.kernel_tail(model, grid)[0],
        order=_order(rho),
        curvatures=values,
        index=int(np.sum(np.real(values) < -zero)),
        zero_modes=moved + zero_modes(values, zero),
        model=model,
        velocity=velocity,
    )


def _stability(model: Model, rho: Density, u: Any, moves: np.ndarray, axes: tuple[int, ...]) -> Any:
    """The curvatures, which of them are zero, and the velocity of a wave that travels."""
    if model.drift is None:
        return curvatures(model, rho, moves), _ZERO, np.zeros(len(rho.grid.shape))
    grid = rho.grid
    assert isinstance(grid, FourierGrid), "required before"
    velocity = np.asarray(currents.velocity(model, grid, jnp.asarray(u), axes))
    values = -rates_in_frame(model, rho, velocity, moves)
    zero = _ZERO * slowest(model, grid)
    return values[: max(FEW, int(np.sum(np.real(values) <= zero)) + 1)], zero, velocity


def _fall(model: Model, grid: AbstractGrid, u: Any, axes: tuple[int, ...], most: int) -> Any:
    """Where descent leads, or with a drift the flow of the law."""
    if not most:
        return u
    if model.drift is None:
        return equation.descend(model, grid, u, most)
    assert isinstance(grid, FourierGrid), "required before"
    return currents.descend(model, grid, u, axes, most)


def _solved(model: Model, grid: AbstractGrid, u: Any, axes: tuple[int, ...], known: Any) -> Any:
    """The potential that Newton's method finds, led away from the known states and then on; None for no state."""
    moved = _phases(model, axes)
    u, residual = equation.newton(model, grid, u, moved, known)
    if known is not None:
        u, residual = equation.newton(model, grid, u, moved)
    if not float(residual) <= _SOLVED or (model.internal is not None and law.parts(law.density(model, grid, u)) > 1):
        return None
    return u


def _phases(model: Model, axes: tuple[int, ...]) -> tuple[int, ...]:
    """The axes along which Newton's method holds the phase of a state: a state with an edge is held by the nodes."""
    return axes if model.internal is None else ()


def _speed(model: Model, rho: Density, velocity: Any) -> float:
    grid, moved = rho.grid, rho.values
    if isinstance(grid, AbstractSphericalGrid):
        square = (np.pi / (grid.degree + 1)) ** 2
    else:
        square = float(np.min(grid.spacing)) ** 2 / len(grid.shape)
    # P′(ρ) = ρ/w is the diffusivity.
    w = np.asarray(law.weight(model, rho))
    dt = 0.25 * square / float(np.max(np.asarray(rho.values) / np.where(w > 0, w, np.inf)))
    try:
        later = evolve(model, rho, until=dt, dt=dt).final
    except (RunError, ValueError):
        return math.inf
    if isinstance(grid, FourierGrid) and np.any(velocity):
        for axis, c in enumerate(velocity):
            moved = calculus.shift(grid, moved, axis, jnp.full([1] * moved.ndim, c * dt))
    most = np.max(np.abs(np.asarray(later.values) - np.asarray(moved)))
    return float(most / (dt * np.max(np.asarray(rho.values))))


@eqx.filter_jit
def _summary(model: Model, grid: AbstractGrid, u: Any, axes: tuple[int, ...]) -> Any:
    rho = law.density(model, grid, u)
    return (
        rho,
        energy.free_energy(model, rho),
        equation.residual(model, grid, u, axes),
        equation.tangents(grid, u, axes),
    )


def _tail(grid: AbstractGrid, field: np.ndarray) -> float:
    if isinstance(grid, AbstractSphericalGrid):
        return spheres.tail(grid, field)
    if not isinstance(grid, FourierGrid):
        return 0.0
    spectrum = np.abs(np.fft.rfftn(field - field.mean()))
    reach = np.max(
        [3 * np.abs(k) / n for k, n in zip(np.broadcast_arrays(*grid.modes), grid.shape, strict=True)], axis=0
    )
    whole = np.sqrt(np.sum(spectrum**2))
    return float(np.sqrt(np.sum(spectrum[reach > 1] ** 2)) / whole) if whole > 1e-12 * field.size else 0.0


def _order(rho: Density) -> Any:
    if isinstance(rho.grid, AbstractSphericalGrid):
        return float(spheres.order(rho))
    if not isinstance(rho.grid, FourierGrid):
        return np.asarray(rho.integrate(lambda x: x))
    spectrum = np.abs(np.fft.rfftn(np.asarray(rho.values))).ravel() * rho.grid.cell_volume
    return float(spectrum[1:].max())


def _waves(model: Model, grid: AbstractGrid) -> list:
    """Effective potentials of single waves, or of bumps on a box; the first is that of the uniform density."""
    if isinstance(grid, AbstractSphericalGrid):
        return [jnp.asarray(-w / float(model.beta)) for w in spheres.waves(grid)]
    x = [np.asarray(a) for a in np.meshgrid(*grid.axes, indexing="ij")]
    sides, beta = grid.sides, float(law.stiffness(model, grid, jnp.zeros(grid.shape)))
    if isinstance(grid, FourierGrid):
        waves = [np.zeros(grid.shape)]
        turns = [np.cos(2 * np.pi * k * a / side) for a, side in zip(x, sides, strict=True) for k in (1, 2, 3)]
        waves += [size * turn for turn in turns for size in (0.5, 2.0, 8.0)]
        waves += [size * sum(turns[::3]) for size in (0.5, 2.0, 8.0) if len(sides) > 1]
        return [jnp.asarray(-w / beta) for w in waves]
    lower = np.asarray(grid.lower)  # pyright: ignore[reportAttributeAccessIssue]
    places = [lower + np.asarray(sides) * share for share in (0.5, 0.25, 0.75, 0.35, 0.65)]
    bumps = [
        sum((a - c) ** 2 for a, c in zip(x, place, strict=True)) / (2 * (width * min(sides)) ** 2)
        for place in places
        for width in (0.05, 0.2)
    ]
    rest = np.asarray(energy.potential(model, law.density(model, grid, jnp.zeros(grid.shape))))
    return [jnp.asarray(rest)] + [jnp.asarray(b / beta) for b in bumps]


def _random(model: Model, grid: AbstractGrid, key: Any, number: int) -> list:
    """Effective potentials of a few waves with random phases and amplitudes of a few temperatures."""
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
    if isinstance(grid, AbstractSphericalGrid):
        return [jnp.asarray(spheres.random(grid, rng) / float(model.beta)) for _ in range(number)]
    x = [np.asarray(a) for a in np.meshgrid(*grid.axes, indexing="ij")]
    found = []
    for _ in range(number):
        u = np.zeros(grid.shape)
        for _ in range(4):
            mode = rng.integers(-3, 4, len(x))
            phase = 2 * np.pi * (sum(k * a / s for k, a, s in zip(mode, x, grid.sides, strict=True)) + rng.uniform())
            u = u + rng.exponential(2.0) * np.cos(phase)
        found.append(jnp.asarray(u / float(law.stiffness(model, grid, jnp.zeros(grid.shape)))))
    return found
