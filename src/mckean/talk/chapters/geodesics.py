"""Chapter: geodesics of W₂ on grids, what is convex along them, and their velocities."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from mckean.measures import Density
from mckean.models.energy import entropy
from mckean.spaces import BoxGrid, Euclidean
from mckean.spaces.staggered import axes_of, onto_cells
from mckean.talk.claims import Chapter, Claim, Figure, Film, Panel, Result, Rival, Series
from mckean.talk.parts.peaks import Peaks, normalise, peak_claims, peak_panels, run_peaks
from mckean.transport.benamou_brenier import Geodesic, geodesic
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
_BB = "Benamou and Brenier, Numer. Math. 84 (2000)"
_BURES = "Bhatia, Jain and Lim, Expo. Math. 37 (2019)"
_MCCANN = "McCann, Adv. Math. 128 (1997)"
_OTTO = "Otto, Comm. Partial Differential Equations 26 (2001)"
_HALVED = "what doubling h and τ changes, of which order 2 leaves a third, and the iteration's tolerance"


def _gaussian(grid, mean, width) -> Density:
    return normalise(grid, np.exp(-0.5 * np.sum(((np.asarray(grid.nodes) - mean) / width) ** 2, axis=1)))


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
    peaks = run_peaks(config.line, config.times, config.tolerance)
    progress(1.0)
    mixed = _mix(flat)
    claims = [
        *_gaussian_claims(flat, coarse, mixed, config),
        *_tangent_claims(flat, mixed),
        *peak_claims(peaks, config.tolerance),
    ]
    return Result(claims, [_film(flat), _curves(flat, peaks)])


def _between_gaussians(n: int, config: Config) -> Geodesic:
    plane = BoxGrid(Euclidean(2), (n, n), (-_HALF,) * 2, (_HALF,) * 2)
    return geodesic(
        _interpolant(plane, 0.0),
        _interpolant(plane, 1.0),
        times=config.times * n // config.cells,
        tolerance=config.tolerance,
    )


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


class _Mixture(NamedTuple):
    """The other curve between the ends, (1 − t)μ + tν: what it has where the geodesic has this."""

    norm: float
    spread: float
    field: np.ndarray
    convexity: float
    concavity: float


def _mix(flat: Geodesic) -> _Mixture:
    one, two = flat.density(0), flat.density(len(flat.energy))
    at = lambda t: Density(flat.grid, (1 - t) * one.values + t * two.values)  # noqa: E731
    times = np.asarray(flat.times)
    vectors = [tangent(at(t), two.values - one.values) for t in (0.25, 0.5, 0.75)]
    squares = np.array([float(v.norm) ** 2 for v in vectors])
    s, c = (np.array([float(of(at(t))) for t in times]) for of in (entropy, _concave))
    bend, bow = (np.diff(e, 2).mean() * len(flat.energy) ** 2 for e in (s, c))
    field = np.stack(onto_cells(vectors[1].field, axes_of(flat.grid)), axis=-1)
    return _Mixture(math.sqrt(squares[1]), float(squares.std() / squares.mean()), field, float(bend), float(bow))


def _deviation(h: float, tau: float) -> float:
    """What taking the mean of two faces changes, relative: h²/8 and τ²/8 of second derivatives, width w, speed |v|."""
    w = _WIDTHS.min()
    return ((h / w) ** 2 + (tau * _bures() / w) ** 2) / 8


def _gaussian_claims(flat: Geodesic, coarse: Geodesic, mixed: _Mixture, config: Config) -> list[Claim]:
    fine, rough, left = _found(flat), _found(coarse), config.tolerance
    # The two second derivatives of a Gaussian are 2/w² in L²(μ). In L¹(μ) what is thin, where v converges last, has
    # little weight: what is left of the iteration is below the tolerance there, at 16² to 64² cells.
    next_order = 2 * _deviation(coarse.grid.spacing[0], 1 / len(coarse.energy))
    order = math.log2(1 + next_order) + left / fine.off / math.log(2)
    return [
        Claim(
            statement="The least action between two Gaussians in the plane is Bures' distance: quotient",
            predicted=1.0,
            measured=fine.ratio,
            tolerance=abs(fine.ratio - rough.ratio) + left,
            origin=_HALVED,
            from_run=True,
            excludes=Rival("the distance of the means alone", 2 * float(np.linalg.norm(_MEAN)) / _bures()),
            reference=_BB,
        ),
        Claim(
            statement="The velocity at $t = 1/2$ is that of Bures' geodesic, up to the square of h and τ, in "
            "$L^1(\\mu)$: order",
            predicted=2.0,
            measured=math.log2(rough.off / fine.off),
            tolerance=order,
            origin="next order on the coarse grid, 2((h/w)² + (τ|v|/w)²)/8, and the iteration",
            from_run=True,
            excludes=Rival("order 1", 1.0),
            reference=_BURES,
        ),
        Claim(
            statement="The kinetic energy does not change along it: its spread in time, relative",
            predicted=0.0,
            measured=(4 * fine.spread - rough.spread) / 3,
            tolerance=abs(fine.spread - rough.spread) / 3 + left,
            origin="extrapolated by order 2, off by no more than that changes it, and the iteration's tolerance",
            from_run=True,
            excludes=Rival("the mixture of the ends", mixed.spread),
            reference=_BB,
        ),
        Claim(
            statement="The continuity equation holds to rounding: largest residual, relative",
            predicted=0.0,
            measured=flat.continuity,
            tolerance=_rounding(flat),
            origin="rounding of a Poisson solve: 2e-16 times its condition number",
            excludes=Rival("to the tolerance of the iteration", left),
            reference=_BB,
        ),
        *_convexity_claims(np.asarray(flat.times)[1:-1, None], fine, rough, mixed, left),
    ]


def _convexity_claims(t: np.ndarray, fine: _Found, rough: _Found, mixed: _Mixture, left: float) -> list[Claim]:
    """Second differences along the geodesic at the times t."""
    stretch = _WIDTHS[1] - _WIDTHS[0]
    rates = np.sum((stretch / (_WIDTHS[0] + t * stretch)) ** 2, axis=1)
    return [
        Claim(
            statement="The entropy bends as it does on Bures' geodesic: mean second difference",
            predicted=float(rates.mean()),
            measured=fine.convexity,
            tolerance=abs(fine.convexity - rough.convexity) + 10 * left * len(t),
            origin=_HALVED,
            from_run=True,
            excludes=Rival("the mixture of the ends", mixed.convexity),
            reference=_MCCANN,
        ),
        Claim(
            statement="The entropy is convex along the geodesic: least second difference",
            predicted=0.0,
            measured=fine.least,
            excludes=Rival("linear along it", 0.0),
            reference=_MCCANN,
            relation="at least",
        ),
        Claim(
            statement="$\\frac12\\iint W\\,d\\mu\\,d\\mu$ with $W = -|z|^2/2$ bends as it does on Bures' geodesic: "
            "mean second difference",
            predicted=float(-np.sum(stretch**2)),
            measured=fine.concavity,
            tolerance=abs(fine.concavity - rough.concavity) + 10 * left * len(t),
            origin=_HALVED,
            from_run=True,
            excludes=Rival("the mixture of the ends", mixed.concavity),
            reference=_MCCANN,
        ),
        Claim(
            statement="$\\frac12\\iint W\\,d\\mu\\,d\\mu$ with $W = -|z|^2/2$ is concave along it: greatest second "
            "difference",
            predicted=0.0,
            measured=fine.greatest,
            excludes=Rival("linear along it", 0.0),
            reference=_MCCANN,
            relation="at most",
        ),
    ]


def _rounding(flat: Geodesic) -> float:
    """Largest over smallest eigenvalue of the Poisson solve in space-time, times the unit of rounding."""
    axes = [(1 / len(flat.energy), 1.0), *zip(flat.grid.spacing, flat.grid.sides, strict=True)]
    return 2.2e-16 * sum(4 / h**2 for h, _ in axes) * max(side**2 for _, side in axes) / math.pi**2


def _tangent_claims(flat: Geodesic, mixed: _Mixture) -> list[Claim]:
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
            statement="The speed $|\\partial_t\\mu|_{H^{-1}(\\mu)}$ of Bures' geodesic at $t = 1/2$ is $W_2$: quotient",
            predicted=1.0,
            measured=float(vector.norm) / _bures(),
            tolerance=small,
            origin="h²/8 and τ²/8 of second derivatives",
            excludes=Rival("the mixture of the ends", mixed.norm / _bures()),
            reference=_OTTO,
        ),
        Claim(
            statement="The velocity of the least action at $t = 1/2$ is the tangent vector $\\nabla\\psi$: their "
            "distance, relative in $L^2(\\mu)$",
            predicted=0.0,
            measured=_apart(flat, mu, field, 2),
            tolerance=2 * small,
            origin="h²/8 and τ²/8 of second derivatives, of norm 2/w² in L²(μ) in the plane",
            excludes=Rival("the mixture of the ends", _apart(flat, mu, mixed.field, 2)),
            reference=_OTTO,
        ),
        Claim(
            statement="A rotation at a Gaussian has a gradient part with $\\int|\\nabla\\psi|^2d\\mu = "
            "(a - b)^2/(a + b)$: quotient",
            predicted=1.0,
            measured=float(inner(first, turned.field, turned.field)) * (a + b) / (a - b) ** 2,
            tolerance=2 * (h / _WIDTHS.min()) ** 2 / 8,
            origin="h²/8w² of μ on the faces, twice in a square",
            excludes=Rival("the whole rotation, a + b", ((a + b) / (a - b)) ** 2),
            reference=_OTTO,
        ),
    ]


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


def _curves(flat: Geodesic, peaks: Peaks) -> Figure:
    t, s, c = _along(flat)
    convex = [Series(t, s - s[0], "entropy"), Series(t, c - c[0], r"$\frac{1}{2}\iint W$, $W=-|z|^2/2$")]
    line, circle = peak_panels(peaks)
    caption = (
        "Left: a peak on the line splits. Middle: along the geodesic of the first figure the entropy is convex, a "
        "concave interaction energy is not. Right: on a circle mass takes the short side, through x = 0."
    )
    return Figure(caption, [line, Panel("t, dimensionless", "change since t = 0, energy", convex), circle])


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
