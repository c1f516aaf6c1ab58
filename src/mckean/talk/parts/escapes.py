"""Part of chapter *metastability*: how long particles in two wells keep their side.

A cloud that leaves {X̄ > 0} has lost its side. For N = 1 and 2 the slowest odd mode of the generator that no exchange of
particles changes vanishes on X̄ = 0, so that its rate, the spectral gap, is the rate at which clouds leave.
"""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from diffrax import Heun

from mckean.catalogue import double_well
from mckean.interactions import kernels
from mckean.measures import Particles
from mckean.models import langevin, potentials
from mckean.phases import escape_times
from mckean.spaces import Euclidean
from mckean.statistics import Estimate, Lifetimes
from mckean.talk.claims import LEVEL, Claim, Figure, Observation, Panel, Rival, Series

_LINE, _BETA = Euclidean(1), 3.0
# V″ + θ ≤ 3 where the particles are.
_CURVATURE = 3.0
_HEUN = "Heun's steps, of weak order 2: (V″dt)² with V″ ≤ 3"
_DAWSON = "Dawson and Gärtner, Stochastics 20 (1987): lifetimes of order $e^{N\\beta\\Delta F}$"
# Lives are counted from here on: of one particle or two all modes but the slowest have rates above 2; of many the mean
# relaxes at the rate .2955 of the limit.
_SETTLED = {True: 2.0, False: 10.0}


@dataclass(frozen=True)
class Escapes:
    """Sizes, replicas, the end of the watch and the step."""

    sizes: tuple[int, ...] = (1, 2, 8, 16, 32, 64)
    replicas: int = 1000
    until: float = 80.0
    dt: float = 0.04


def barrier(doubled: bool = False) -> float:
    """β(F(ρ_0) − F(ρ_m)) at θ = 1, from self-consistent integrals; with the energy of pairs twice where `doubled`.

    F = ∫V + ½∬W + β⁻¹∫ρ log ρ, and on ρ ∝ e^{−β(V + W*ρ)} that is −½∬W − β⁻¹ log ∫e^{−β(V + W*ρ)}.
    """
    x = np.linspace(-6, 6, 4801)

    def energy(m: float) -> float:
        exponent = -_BETA * (x**4 / 4 - m * x)
        weight = np.exp(exponent - exponent.max())
        rho = weight / weight.sum()
        variance = float(rho @ x**2 - (rho @ x) ** 2)
        # W*ρ = ½x² − mx + ½⟨x²⟩, and ½∬W = ½ of the variance.
        level = -_BETA * 0.5 * float(rho @ x**2) + exponent.max() + math.log(weight.sum())
        return -0.5 * variance - level / _BETA + (0.5 * variance if doubled else 0.0)

    return _BETA * (energy(0.0) - energy(double_well.magnetisation(_BETA, 1.0)))


def leaving_rate(n: int, edge: float, cells: int) -> float:
    """The rate at which one particle, or two, leave {X̄ > edge}: the least eigenvalue of the generator on it.

    With s = X̄ and r = (x_1 − x_2)/2 the potential is Σ_iV(x_i) + θr² for N = 2, the diffusivity 1/Nβ in both. On a
    lattice of spacing h the rate of a jump is e^{−β(U_j − U_i)/2}/Nβh², so that the matrix is symmetric with −1/Nβh²
    off the diagonal; its eigenvalues are off by O(h²).
    """
    from scipy.sparse import diags, eye, kron
    from scipy.sparse.linalg import eigsh

    h, side = 3.0 / cells, np.arange(1, cells + 1) * 3.0 / cells + edge
    across = (np.arange(cells) + 0.5) * h if n == 2 else np.zeros(1)
    well = lambda x: x**4 / 4 - x**2 / 2  # noqa: E731

    def potential(s, r):
        return well(s) if n == 1 else well(s + r) + well(s - r) + r**2

    u = potential(side[:, None], across[None])
    scale = 1 / (n * _BETA * h**2)

    def jumps(shifted: np.ndarray) -> np.ndarray:
        return np.exp(-_BETA * (shifted - u) / 2)

    below = potential((side - h)[:, None], across[None])
    above = potential((side + h)[:, None], across[None])
    rate = jumps(below) + jumps(above) * (np.arange(cells) < cells - 1)[:, None]
    beside = np.ones(cells - 1)
    line: Any = diags([beside, beside], offsets=[-1, 1])  # pyright: ignore[reportArgumentType]
    links = line if n == 1 else kron(line, eye(cells)) + kron(eye(cells), line)
    if n == 2:
        for k, shift in ((slice(1, None), -h), (slice(None, -1), h)):
            rate[:, k] += jumps(potential(side[:, None], (across + shift)[None]))[:, k]
    matrix: Any = scale * (diags(rate.ravel()) - links)
    return float(eigsh(matrix.tocsc(), 1, sigma=0.0, which="LM", return_eigenvectors=False)[0])


def exact_rate(n: int, dt: float) -> float:
    """The rate on {X̄ > −0.5826 √(2dt/Nβ)}, as looks at every step see it, extrapolated in the spacing."""
    edge = -0.5826 * math.sqrt(2 * dt / (n * _BETA))
    coarse, fine = (leaving_rate(n, edge, cells) for cells in (60, 120))
    return (4 * fine - coarse) / 3


def run_escapes(config: Escapes, key, progress) -> tuple[list[Claim], list[Observation], Figure]:
    lives = {}
    for i, n in enumerate(config.sizes):
        lives[n] = _lives(config, n, jax.random.fold_in(key, n))
        progress((i + 1) / len(config.sizes))
    claims = [_small_claim(config, n, lives[n]) for n in (1, 2)]
    large = [n for n in config.sizes if n > 2]
    claim, fit = _exponent_claim(np.array(large, float), [lives[n] for n in large], config.dt)
    tests = [
        Observation(
            statement=f"Lifetimes of N = {n} are exponential: the p-value of Kolmogorov's test of {lives[n].ends} ends",
            measured=lives[n].exponential(),
            reference="Epstein and Sobel, J. Amer. Statist. Assoc. 48 (1953)",
        )
        for n in config.sizes
    ]
    return [*claims, claim], tests, _figure(config, lives, fit)


def _lives(config: Escapes, n: int, key) -> Lifetimes:
    """What is left to live, of the clouds that have their side after a while."""
    model = langevin(_LINE, potentials.DoubleWell(), kernels.Quadratic(1.0), beta=_BETA)
    cloud = Particles(_LINE, jnp.full((n, 1), double_well.magnetisation(_BETA, 1.0)))
    run = {"replicas": config.replicas, "until": config.until, "dt": config.dt, "scheme": Heun()}
    found = escape_times(model, cloud, _lost, key=key, **run)
    since = _SETTLED[n <= 2]
    later = found.times > since
    return Lifetimes(found.times[later] - since, found.ended[later])


def _lost(model, mu):
    return jnp.mean(mu.positions) <= 0


def _small_claim(config: Escapes, n: int, lives: Lifetimes) -> Claim:
    exact, bare = exact_rate(n, config.dt), leaving_rate(n, 0.0, 120)
    return Claim(
        statement=f"{'One particle keeps' if n == 1 else 'Two particles keep'} the side of $\\bar X > 0$ at the rate "
        f"of the generator's spectral gap, {bare:.4f} for looks at all times: rate of the ends, by its exact interval",
        predicted=exact,
        measured=lives.rate,
        interval=lives.interval(1 - LEVEL),
        tolerance=exact * (_CURVATURE * config.dt) ** 2,
        origin=_HEUN,
        excludes=Rival("a cloud at X̄ = 0 turns back every other time: half the gap", exact / 2),
        reference="by symmetry the mode vanishes on X̄ = 0",
    )


def _exponent_claim(sizes: np.ndarray, lives: list[Lifetimes], dt: float) -> tuple[Claim, np.ndarray]:
    """log rate = a − bN + c/N, by least squares with the variances 1/d of log rates."""
    y, weight = np.log([one.rate for one in lives]), np.array([one.ends for one in lives], float)
    design = np.stack([np.ones_like(sizes), -sizes, 1 / sizes], axis=1)
    inverse = np.linalg.inv(design.T @ (weight[:, None] * design))
    rows = inverse @ design.T * weight
    fit = rows @ y
    further = abs(fit[2]) * abs(float(rows[1] @ sizes**-2.0))
    claim = Claim(
        statement="Lifetimes of $N$ particles grow as $e^{bN}$ with $b = \\beta(F(\\rho_0) - F(\\rho_m))$ per "
        "particle, the barrier of the free energy",
        predicted=barrier(),
        measured=Estimate(float(fit[1]), math.sqrt(inverse[1, 1]), float(weight.sum())),
        tolerance=further + barrier() * (_CURVATURE * dt) ** 2,
        origin=f"a further term c/N² of the logarithm, with the c of the fit; {_HEUN}",
        from_run=True,
        excludes=Rival("lifetimes that do not grow with N", 0.0),
        reference=_DAWSON,
    )
    return claim, fit


def _figure(config: Escapes, lives: dict[int, Lifetimes], fit: np.ndarray) -> Figure:
    curves = []
    for n in config.sizes[::2]:
        times, share, low, high = lives[n].survival()
        keep = share > 0
        curves.append(Series(times[keep], share[keep], f"N = {n}", (high - low)[keep] / 4))
        rate = lives[n].rate
        curves.append(Series(times[keep], np.exp(-rate * times[keep]), kind="dashed"))
    large = np.array([n for n in config.sizes if n > 2], float)
    mean = np.array([1 / lives[int(n)].rate for n in large])
    error = mean / np.sqrt([lives[int(n)].ends for n in large])
    fine = np.linspace(large[0], large[-1], 50)
    line = np.exp(-(fit[0] - fit[1] * fine + fit[2] / fine))
    panels = [
        Panel("time t", "share of clouds that keep their side", curves, yscale="log"),
        Panel("number of particles N", "mean lifetime", [
            Series(large, mean, "particles", error, "points"),
            Series(fine, line, "fit: exponent b, and a term in 1/N"),
        ], yscale="log"),
    ]  # fmt: skip
    caption = (
        f"Two wells with attraction, β = {_BETA:g}, θ = 1. Left, the share of clouds that have kept their side, by "
        "Kaplan and Meier, and exponentials of the same rate (dashed). Right, lifetimes against N."
    )
    return Figure(caption, panels)
