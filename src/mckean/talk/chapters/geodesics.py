"""Chapter: geodesics of W₂ on grids, what is convex along them, and their velocities."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from mckean.measures import Density
from mckean.models.energy import entropy
from mckean.spaces import BoxGrid, Euclidean, FourierGrid, Torus
from mckean.spaces.staggered import axes_of, onto_cells
from mckean.talk.claims import Chapter, Claim, Figure, Film, Panel, Result, Series
from mckean.transport.benamou_brenier import Geodesic, geodesic
from mckean.transport.distance import wasserstein
from mckean.transport.tangent_space import helmholtz, inner, tangent


@dataclass(frozen=True)
class Config:
    cells: int = 32
    times: int = 16
    line: int = 96
    tolerance: float = 6e-5


_HALF = 4.0
_MEAN = np.array([0.9, 0.5])
_WIDTHS = np.array([[0.55, 0.75], [0.75, 0.5]])
_PEAK, _SHARP = 8**-0.5, 10.0
_BB = "Benamou and Brenier, Numer. Math. 84 (2000)"
_BURES = "Bhatia, Jain and Lim, Expo. Math. 37 (2019)"
_MCCANN = "McCann, Adv. Math. 128 (1997)"
_OTTO = "Otto, Comm. Partial Differential Equations 26 (2001)"
_HALVED = "what doubling h and τ changes, of which order 2 leaves a third, and the iteration's tolerance"


def _gaussian(grid, mean, width) -> Density:
    return _normalise(grid, np.exp(-0.5 * np.sum(((np.asarray(grid.nodes) - mean) / width) ** 2, axis=1)))


def _normalise(grid, values) -> Density:
    # By numpy: `Density.from_function` compiles each function anew, a tenth of a second for each of sixteen densities.
    return Density(grid, jnp.asarray(values.reshape(grid.shape) / (values.sum() * grid.cell_volume)))


def _bump(z):
    return np.exp(-0.5 * (z / _PEAK) ** 2)


def _concave(mu: Density) -> float:
    """½∬W dμdμ for W(z) = −|z|²/2: minus half the trace of the covariance."""
    x = np.asarray(mu.grid.nodes)
    weights = np.asarray(mu.values).ravel() * mu.grid.cell_volume
    mean = weights @ x
    return float(-0.5 * (weights @ np.sum((x - mean) ** 2, axis=1)))


def run(config: Config, key, progress) -> Result:
    flat = _between_gaussians(config.cells, config)
    progress(0.5)
    coarse = _between_gaussians(config.cells // 2, config)
    progress(0.7)
    split, half = (_splitting(n, config) for n in (config.line, config.line // 2))
    circle = FourierGrid(Torus(1, 1.0), (64,))
    y = circle.axes[0]
    bumps = [_normalise(circle, np.exp(_SHARP * np.cos(2 * np.pi * (y - c)))) for c in (0.1, 0.9)]
    wrap = geodesic(*bumps, times=config.times, tolerance=config.tolerance)
    progress(1.0)
    claims = [*_gaussian_claims(flat, coarse, config), *_tangent_claims(flat), *_line_claims(split, half, wrap, config)]
    return Result(claims, [_film(flat), _curves(flat, split, wrap)])


def _between_gaussians(n: int, config: Config) -> Geodesic:
    plane = BoxGrid(Euclidean(2), (n, n), (-_HALF,) * 2, (_HALF,) * 2)
    return geodesic(
        _interpolant(plane, 0.0),
        _interpolant(plane, 1.0),
        times=config.times * n // config.cells,
        tolerance=config.tolerance,
    )


def _splitting(n: int, config: Config) -> Geodesic:
    line = BoxGrid(Euclidean(1), (n,), (-_HALF,), (_HALF,))
    one = _gaussian(line, [0.0], [0.5])
    two = _normalise(line, _bump(line.axes[0] - 1.5) + 0.5 * _bump(line.axes[0] + 1.5))
    # t = ¼ is one of the times.
    return geodesic(one, two, times=4 * (n // 12), tolerance=config.tolerance)


class _Found(NamedTuple):
    """What is measured on one geodesic between the Gaussians."""

    ratio: float
    off: float
    spread: float
    convexity: float
    least: float
    concavity: float
    greatest: float


def _found(flat: Geodesic) -> _Found:
    steps = len(flat.energy)
    middle, x = _interpolant(flat.grid, 0.5), np.asarray(flat.grid.nodes).reshape(*flat.grid.shape, 2)
    _, s, c = _along(flat)
    bend, bow = np.diff(s, 2) * steps**2, np.diff(c, 2) * steps**2
    return _Found(
        ratio=flat.distance / _bures(),
        off=_apart(flat, middle, 2 * _MEAN + (_WIDTHS[1] - _WIDTHS[0]) * x / _WIDTHS.mean(axis=0), 1),
        spread=float(jnp.std(flat.energy) / jnp.mean(flat.energy)),
        convexity=float(bend.mean()),
        least=float(bend.min()),
        concavity=float(bow.mean()),
        greatest=float(bow.max()),
    )


def _apart(flat: Geodesic, mu: Density, field, p: int) -> float:
    """‖v − field‖/‖v‖ in L^p(μ), v that of the geodesic at t = ½."""
    half = len(flat.energy) // 2
    v = np.asarray(flat.velocity)[half - 1 : half + 1].mean(axis=0)
    gap, size = (np.sum(np.asarray(mu.values) * np.linalg.norm(w, axis=-1) ** p) for w in (v - field, v))
    return float(gap / size) ** (1 / p)


def _interpolant(grid, t: float) -> Density:
    """The geodesic of Bures at time t: between Gaussians with common axes, means and widths are linear in t."""
    return _gaussian(grid, (2 * t - 1) * _MEAN, (1 - t) * _WIDTHS[0] + t * _WIDTHS[1])


def _bures() -> float:
    return math.sqrt(4 * _MEAN @ _MEAN + np.sum((_WIDTHS[1] - _WIDTHS[0]) ** 2))


def _along(flat: Geodesic):
    laws = [flat.density(k) for k in range(len(flat.times))]
    return np.asarray(flat.times), np.array([float(entropy(m)) for m in laws]), np.array([_concave(m) for m in laws])


def _deviation(h: float, tau: float) -> float:
    """What taking the mean of two faces changes, relative: h²/8 and τ²/8 of second derivatives, width w, speed |v|."""
    w = _WIDTHS.min()
    return ((h / w) ** 2 + (tau * _bures() / w) ** 2) / 8


def _gaussian_claims(flat: Geodesic, coarse: Geodesic, config: Config) -> list[Claim]:
    fine, rough, left = _found(flat), _found(coarse), config.tolerance
    # The two second derivatives of a Gaussian are 2/w² in L²(μ). In L¹(μ) what is thin, where v converges last, has
    # little weight: what is left of the iteration is below the tolerance there, at 16² to 64² cells.
    next_order = 2 * _deviation(coarse.grid.spacing[0], 1 / len(coarse.energy))
    order = math.log2(1 + next_order) + left / fine.off / math.log(2)
    return [
        Claim(
            statement="W₂ of two Gaussians in the plane over Bures'",
            predicted=1.0,
            measured=fine.ratio,
            tolerance=abs(fine.ratio - rough.ratio) + left,
            origin=_HALVED,
            reference=_BB,
        ),
        Claim(
            statement="order in h and τ of the distance of v from that of Bures' geodesic at t = ½, in L¹(μ)",
            predicted=2.0,
            measured=math.log2(rough.off / fine.off),
            tolerance=order,
            origin="next order on the coarse grid, 2((h/w)² + (τ|v|/w)²)/8, and the iteration",
            reference=_BURES,
        ),
        Claim(
            statement="spread of the kinetic energy in time, relative",
            predicted=0.0,
            measured=fine.spread,
            tolerance=rough.spread + left,
            origin="that of twice h and τ, four times as large at order 2, and the iteration's tolerance",
            reference=_BB,
        ),
        Claim(
            statement="continuity equation, largest residual, relative",
            predicted=0.0,
            measured=flat.continuity,
            tolerance=_rounding(flat),
            origin="rounding of a Poisson solve: 2e-16 times its condition number",
            reference=_BB,
        ),
        *_convexity_claims(np.asarray(flat.times)[1:-1, None], fine, rough, left),
    ]


def _convexity_claims(t: np.ndarray, fine: _Found, rough: _Found, left: float) -> list[Claim]:
    """Second differences along the geodesic at the times t."""
    stretch = _WIDTHS[1] - _WIDTHS[0]
    rates = np.sum((stretch / (_WIDTHS[0] + t * stretch)) ** 2, axis=1)
    return [
        Claim(
            statement="mean second difference of the entropy along it",
            predicted=float(rates.mean()),
            measured=fine.convexity,
            tolerance=abs(fine.convexity - rough.convexity) + 10 * left * len(t),
            origin=_HALVED,
            reference=_MCCANN,
        ),
        Claim(
            statement="least second difference of the entropy: convex",
            predicted=0.0,
            measured=fine.least,
            origin="none: the sign",
            reference=_MCCANN,
            relation="at least",
        ),
        Claim(
            statement="mean second difference of ½∬W dμdμ, W = −|z|²/2",
            predicted=float(-np.sum(stretch**2)),
            measured=fine.concavity,
            tolerance=abs(fine.concavity - rough.concavity) + 10 * left * len(t),
            origin=_HALVED,
            reference=_MCCANN,
        ),
        Claim(
            statement="greatest second difference of ½∬W dμdμ: not convex",
            predicted=0.0,
            measured=fine.greatest,
            origin="none: the sign",
            reference=_MCCANN,
            relation="at most",
        ),
    ]


def _rounding(flat: Geodesic) -> float:
    """Largest over smallest eigenvalue of the Poisson solve in space-time, times the unit of rounding."""
    axes = [(1 / len(flat.energy), 1.0), *zip(flat.grid.spacing, flat.grid.sides, strict=True)]
    return 2.2e-16 * sum(4 / h**2 for h, _ in axes) * max(side**2 for _, side in axes) / math.pi**2


def _tangent_claims(flat: Geodesic) -> list[Claim]:
    steps, grid, h = len(flat.energy), flat.grid, flat.grid.spacing[0]
    before, mu, after = (_interpolant(grid, 0.5 + k / steps) for k in (-1, 0, 1))
    vector = tangent(mu, (after.values - before.values) * steps / 2)
    field = jnp.stack(onto_cells(vector.field, axes_of(grid)), axis=-1)
    first = _interpolant(grid, 0.0)
    turned = helmholtz(first, lambda x: jnp.stack([-x[1] - _MEAN[1], x[0] + _MEAN[0]]))
    a, b = _WIDTHS[0] ** 2
    small = _deviation(h, 1 / steps)
    return [
        Claim(
            statement="|∂_tμ|_{H⁻¹(μ)} of Bures' geodesic at t = ½ over W₂",
            predicted=1.0,
            measured=float(vector.norm) / _bures(),
            tolerance=small,
            origin="h²/8 and τ²/8 of second derivatives",
            reference=_OTTO,
        ),
        Claim(
            statement="v of the geodesic beside its tangent vector ∇ψ at t = ½, relative in L²(μ)",
            predicted=0.0,
            measured=_apart(flat, mu, field, 2),
            tolerance=2 * small,
            origin="h²/8 and τ²/8 of second derivatives, of norm 2/w² in L²(μ) in the plane",
            reference=_OTTO,
        ),
        Claim(
            statement="∫|∇ψ|²dμ, ∇ψ the projection of a rotation at a Gaussian, over (a − b)²/(a + b)",
            predicted=1.0,
            measured=float(inner(first, turned.field, turned.field)) * (a + b) / (a - b) ** 2,
            tolerance=2 * (h / _WIDTHS.min()) ** 2 / 8,
            origin="h²/8w² of μ on the faces, twice in a square",
            reference=_OTTO,
        ),
    ]


def _line_claims(split: Geodesic, half: Geodesic, wrap: Geodesic, config: Config) -> list[Claim]:
    """The claims on the line and the circle.

    Between the two peaks almost no mass arrives, so the map T of the geodesic jumps there, and ρ_t has a gap with edges
    of width tw, w that of the peaks: T_t = (1 − t)x + tT moves as tT where T' is large. A grid sees the edges once
    h²/8(tw)² < 1, from t* = h/√8w on. Until then the mass in them, ρt*w, may be displaced by its way |T − x|t*: the
    square of W₂ is of order h³, W₂ of order 3/2 and not 2. Halving h leaves 2^{−3/2} of such an error, so what the
    halving changes is at least 2^{3/2} − 1 = 1.8 times what it leaves; at order 1 it is still as much.
    """
    ends = split.density(0), split.density(len(split.energy))
    exact, (fine, rough) = wasserstein(*ends), (run.density(len(run.energy) // 4) for run in (split, half))
    h = split.grid.spacing[0]
    return [
        Claim(
            statement="W₂ of a peak and two on the line over that of quantiles",
            predicted=1.0,
            measured=split.distance / exact,
            tolerance=(h / _PEAK) ** 2 / 8 + config.tolerance,
            origin="h²/8w², w the width of the two, and the iteration",
            reference=_BB,
        ),
        Claim(
            statement="W₂ at t = ¼ from the geodesic of quantiles, over W₂ of the ends",
            predicted=0.0,
            measured=_from_quantiles(fine, 0.25, *ends) / exact,
            tolerance=wasserstein(fine, rough) / exact,
            origin="what halving h and τ changes at order 3/2, that of the gap which opens",
            reference=_BB,
        ),
        Claim(
            statement="W₂ of two peaks across the ends of a circle, over the exact",
            predicted=1.0,
            measured=wrap.distance / wasserstein(wrap.density(0), wrap.density(len(wrap.energy))),
            tolerance=(2 * math.pi * math.sqrt(_SHARP) / wrap.grid.size) ** 2 / 8,
            origin="h²/8w², w = 1/2π√κ",
            reference=_BB,
        ),
    ]


def _from_quantiles(found: Density, t: float, one: Density, two: Density) -> float:
    """W₂ of a density from the geodesic of two others at t, exactly.

    Quantiles are linear between the levels of the three: two points of Gauss in each interval. Equal particles would
    not do: the one of 20 000 whose mass opens the gap is 1e-3 off.
    """
    levels = np.unique(np.concatenate([_levels(mu) for mu in (found, one, two)]))
    middle, width = 0.5 * (levels[1:] + levels[:-1]), np.diff(levels)
    total = 0.0
    for side in (-1, 1):
        u = middle + side * width / math.sqrt(12)
        gap = (1 - t) * _quantiles(one, u) + t * _quantiles(two, u) - _quantiles(found, u)
        total += 0.5 * float(width @ gap**2)
    return math.sqrt(total)


def _levels(mu: Density) -> np.ndarray:
    """The mass before each edge of a cell."""
    return np.concatenate([[0.0], np.cumsum(np.asarray(mu.values)) * mu.grid.spacing[0]])


def _quantiles(mu: Density, u) -> np.ndarray:
    """x with μ((−∞, x]) = u, for a density that is constant on its cells."""
    edges = np.linspace(-_HALF, _HALF, mu.grid.size + 1)
    return np.interp(u, _levels(mu), edges)


def _film(flat: Geodesic) -> Figure:
    picked = np.linspace(0, len(flat.energy), 5).astype(int)
    ends = np.asarray(flat.values[0]), np.asarray(flat.values[-1])
    times = np.asarray(flat.times)
    curve = [np.asarray(flat.density(int(k)).values) for k in picked]
    mix = [(1 - times[k]) * ends[0] + times[k] * ends[1] for k in picked]
    film = Film(
        np.stack([curve, mix]), flat.grid.sides, ["geodesic", "mixture"], [f"t = {times[k]:.2f}" for k in picked],
        "density ρ, 1/length²", "$x_1 + 4$", "$x_2 + 4$",
    )  # fmt: skip
    return Figure("The geodesic of two Gaussians moves mass; the mixture of the two fades one into the other.", [film])


def _curves(flat: Geodesic, split: Geodesic, wrap: Geodesic) -> Figure:
    x = split.grid.axes[0]
    steps = len(split.energy)
    peaks = [Series(x, split.density(k).values, f"t = {k / steps:.2f}") for k in (0, steps // 4, steps // 2, steps)]
    mean = 0.5 * np.asarray(split.values[0] + split.values[-1])
    peaks.append(Series(x, mean, "mixture, t = 0.50", kind="dashed"))
    t, s, c = _along(flat)
    convex = [Series(t, s - s[0], "entropy"), Series(t, c - c[0], r"$\frac{1}{2}\iint W$, $W=-|z|^2/2$")]
    half = len(wrap.energy) // 2
    y = wrap.grid.axes[0]
    around = [Series(y, wrap.density(k).values, f"t = {k / (2 * half):.2f}") for k in (0, half // 2, half, 2 * half)]
    caption = (
        "Left: a peak on the line splits. Middle: along the geodesic of the first figure the entropy is convex, a "
        "concave interaction energy is not. Right: on a circle mass takes the short side, through x = 0."
    )
    panels = [
        Panel("x, length", "density, 1/length", peaks),
        Panel("t, dimensionless", "change since t = 0, energy", convex),
        Panel("x, length (circle of length 1)", "density, 1/length", around),
    ]
    return Figure(caption, panels)


CHAPTER = Chapter(
    name="geodesics",
    title="Geodesics: the shortest way between two densities",
    statement=(
        "The Wasserstein distance is the least action of a flow of mass, $$W_2^2(\\mu,\\nu)=\\min\\int_0^1\\!\\int"
        "\\frac{|m|^2}{\\rho}\\,dx\\,dt,\\qquad \\partial_t\\rho+\\nabla\\cdot m=0,$$ $\\rho_0=\\mu$, $\\rho_1=\\nu$. "
        "The minimiser is a geodesic of constant speed; between Gaussians it is Gaussian, on the line quantiles are "
        "straight. The entropy $\\int\\rho\\log\\rho$ is convex along it, and $\\frac12\\iint W\\,d\\mu\\,d\\mu$ is "
        "for convex $W$; for $W=-|z|^2/2$ it is concave."
    ),
    what=lambda c: (
        f"Two Gaussians on {c.cells}² cells with {c.times} steps, a peak and two on {c.line} cells of a line with "
        f"{2 * c.times} steps, and two peaks on 64 nodes of a circle; tolerance {c.tolerance:g}."
    ),
    run=run,
    config=Config(cells=64, times=32, line=192),
    quick=Config(),
    references=(
        "J.-D. Benamou and Y. Brenier, Numer. Math. 84 (2000).",
        "N. Papadakis, G. Peyré and E. Oudet, SIAM J. Imaging Sci. 7 (2014).",
        "R. McCann, Adv. Math. 128 (1997).",
    ),
)
