"""Part of chapter *chaos*: how far N independent points are from their law."""

import math
from dataclasses import dataclass

import jax
import numpy as np
from scipy import stats

from mckean.measures import Density, Uniform
from mckean.spaces import Euclidean, Torus
from mckean.statistics import Estimate, Jackknife, average, combine, fit_rate, join, log_slope
from mckean.talk.claims import Claim, Figure, Panel, Rival, Series
from mckean.transport import empirical_distances, fournier_guillin
from mckean.transport.empirical import two_atoms_distance, uniform_square_distance

_CLOUDS = "Fournier and Guillin, Probab. Theory Relat. Fields 162 (2015)"
_MATCHING = "Ambrosio, Stra and Trevisan, Probab. Theory Relat. Fields 173 (2019)"
_LINEAR = "Caracciolo, Lucibello, Parisi and Sicuro, Phys. Rev. E 90 (2014)"
_SAMPLES = 2048
# lim N^{2/3} E W_2² of two clouds on the torus of side 1, by simulation (Caracciolo et al.: 0.66251 ± 2e-5).
_SOLID = 0.66251
# Σ 1/|n|² over n ≠ 0 in Z³, continued analytically from Σ 1/|n|^{2s}, s > 3/2.
_LATTICE = -8.913632917585


@dataclass(frozen=True)
class Clouds:
    circle: tuple[int, ...] = (16, 64, 256, 1024)
    plane: tuple[int, ...] = (64, 256, 1024)
    solid: tuple[int, ...] = (64, 216, 512, 1000)
    atoms: tuple[int, ...] = (64, 256, 1024, 4096, 16384)
    replicas: int = 256

    @classmethod
    def quick(cls) -> "Clouds":
        """The sizes of a quick talk."""
        return cls((16, 128), (64, 256), (64, 216), (64, 512, 4096), 256)


def run_clouds(config: Clouds, key) -> tuple[list[Claim], list[Figure]]:
    """The claims and the figure of this part."""
    keys = jax.random.split(key, 5)
    circle = Density.from_function(Torus(1, 1.0).grid(8), lambda x: 1.0 + 0 * x[0])
    cases = [(circle, config.circle), (Uniform(Torus(2, 1.0)), config.plane), (Uniform(Torus(3, 1.0)), config.solid)]
    found = [empirical_distances(law, n, k, config.replicas) for (law, n), k in zip(cases, keys[:3], strict=True)]
    claims = [*_circle(config.circle, found[0]), *_plane(config.plane, found[1]), *_solid(config.solid, found[2])]
    coins, panel = _atoms(config, keys[4])
    claims += [_interval(config, keys[3]), *coins]
    caption = (
        "Left: independent uniform points on tori of side 1, E W₂² between N points and their law on the circle (d = "
        "1), and between two clouds of N points (d = 2, 3). Right: where the root of N is not the rate, W₂ between N "
        "samples of two atoms and their law."
    )
    return claims, [Figure(caption, [_panel([n for _, n in cases], found), panel])]


def _interval(config: Clouds, key) -> Claim:
    """√N E W_1 = √N∫E|B/N − u| du for every N, B binomial; its difference from the limit is the tolerance."""
    n = config.circle[-1]
    flat = Density.from_function(Euclidean(1).grid((4,), (0.0,), (1.0,)), lambda x: 1.0 + 0 * x[0])
    found = empirical_distances(flat, (n,), key, 4 * config.replicas, p=1).estimate[0]
    u, k = (np.arange(400) + 0.5) / 400, np.arange(n + 1)[:, None]
    exact = math.sqrt(n) * np.mean(np.sum(stats.binom.pmf(k, n, u) * np.abs(k / n - u), axis=0))
    limit = math.sqrt(2 / math.pi) * math.pi / 8
    return Claim(
        statement=f"On an interval $\\sqrt N\\,E\\,W_1(\\mu^N, \\mu)/L \\to \\sqrt{{2/\\pi}}\\,\\pi/8$: at N = {n}",
        predicted=limit,
        measured=combine([math.sqrt(n)], join([found])),
        tolerance=abs(exact - limit),
        origin="exact for this N, by the binomial law",
        excludes=Rival("no factor √(2/π)", math.pi / 8),
        reference="√(2/π)·∫√(F(1 − F)): del Barrio, Giné and Matrán, Ann. Probab. 27 (1999)",
    )


def _circle(sizes, found: Jackknife) -> list[Claim]:
    pooled = found.map(lambda w: np.mean(w * np.array(sizes), axis=-1)).estimate
    return [
        Claim(
            statement="On the circle $E\\,W_2^2(\\mu^N, \\mu)$ falls as $N^s$; s",
            predicted=-1.0,
            measured=fit_rate(sizes, found).slope,
            excludes=Rival("the bound for all laws, N^(−1/2)", -fournier_guillin(1, 2)),
            reference="closed form, exact for every N",
        ),
        Claim(
            statement="On the circle $N\\,E\\,W_2^2(\\mu^N, \\mu) = L^2/12$ at every N: mean over N, over $L^2$",
            predicted=uniform_square_distance(1, 1.0, periodic=True),
            measured=pooled,
            excludes=Rival("L²/6, that of an interval", uniform_square_distance(1, 1.0, periodic=False)),
            reference="closed form: L²/12N",
        ),
    ]


def _plane(sizes, found: Jackknife) -> list[Claim]:
    n = np.array(sizes)
    gain = found.map(lambda w: (w[..., -1] * n[-1] - w[..., 0] * n[0]) / math.log(n[-1] / n[0])).estimate
    return [
        Claim(
            statement="In the plane $N\\,E\\,W_2^2(\\mu^N, \\nu^N)/L^2$ grows as $\\log N/2\\pi$: its slope",
            predicted=1 / (2 * math.pi),
            measured=gain,
            excludes=Rival("no logarithm", 0.0),
            reference=_MATCHING,
        ),
    ]


def _solid(sizes, found: Jackknife) -> list[Claim]:
    """E W_2² = cN^{−2/3} + ζ/2π²N + …, ζ/2π² the lattice sum of (2/N)Σ 1/4π²|n|², the linear theory's E W_2²."""
    n, exponent = np.array(sizes), -fournier_guillin(3, 1) * 2
    plain = fit_rate(sizes, found).slope
    freed = fit_rate(sizes, found.map(lambda w: w - _LATTICE / (2 * math.pi**2 * n))).slope
    series = _SOLID * n**exponent + _LATTICE / (2 * math.pi**2 * n)
    bent = math.log(series[-1] / series[0]) / math.log(n[-1] / n[0])
    rival = Rival("N^(−1/2), the rate for laws without a density", -fournier_guillin(3, 2))
    return [
        Claim(
            statement="In space $E\\,W_2^2(\\mu^N, \\nu^N)$ falls as $N^s$; s",
            predicted=exponent,
            measured=plain,
            tolerance=abs(bent - exponent),
            origin="the next term: 0.6625 N^(−2/3) − 0.4516/N",
            excludes=rival,
            reference=_CLOUDS,
        ),
        Claim(
            statement="In space $E\\,W_2^2(\\mu^N, \\nu^N) + 0.4516/N$ falls as $N^s$; s",
            predicted=exponent,
            measured=freed,
            excludes=rival,
            reference=_LINEAR,
        ),
    ]


def _atoms(config: Clouds, key) -> tuple[list[Claim], Panel]:
    """W_2 of N fair coins and their law is |K/N − 1/2|^{1/2}, of order N^{−1/4}; W_1 is its square, N^{−1/2}."""
    sizes = np.array(config.atoms)
    measured = join(_atom_distance(jax.random.fold_in(key, n), n, _SAMPLES) for n in config.atoms)
    exact = np.array([two_atoms_distance(n) for n in config.atoms])
    limit, last = math.gamma(0.75) / (2**0.25 * math.sqrt(math.pi)), sizes[-1] ** 0.25
    spread = np.log(sizes) - np.log(sizes).mean()
    bent = float(spread @ np.log(exact * sizes**0.25) / (spread @ spread))
    origin, reference = "what finite N leaves, from the binomial sum", "E|K/N − 1/2|^{1/2}, K binomial"
    claims = [
        Claim(
            statement="For two atoms $E\\,W_2(\\mu^N, \\mu)$ falls as $N^s$; s",
            predicted=-0.25,
            measured=log_slope(sizes, measured),
            tolerance=abs(bent),
            origin=origin,
            excludes=Rival("order 1/2", -0.5),
            reference=reference,
        ),
        Claim(
            statement=(
                "For two atoms $N^{1/4} E\\,W_2(\\mu^N, \\mu) \\to \\Gamma(3/4)/(2^{1/4}\\sqrt\\pi)$: at "
                f"N = {sizes[-1]}"
            ),
            predicted=limit,
            measured=combine([last], measured[-1:]),
            tolerance=abs(exact[-1] * last - limit),
            origin=origin,
            excludes=Rival("the root of E W₁, (2π)^(−1/4)", (2 * math.pi) ** -0.25),
            reference=reference,
        ),
    ]
    series = [
        Series(sizes, measured.value, "measured, two atoms", measured.stderr, "points"),
        Series(sizes, exact, r"binomial sum, $\sim N^{-1/4}$"),
        Series(sizes, exact[0] * np.sqrt(sizes[0] / sizes), r"$N^{-1/2}$", kind="dashed"),
    ]
    return claims, Panel("number of points N", r"$E\,W_2$ (length)", series, xscale="log", yscale="log")


def _atom_distance(key, n: int, samples: int) -> Estimate:
    """E W_2 by the quantiles: sorted points against half of them at either atom."""
    points = np.sort(np.asarray(jax.random.bernoulli(key, 0.5, (samples, n)), np.float32), axis=1)
    return average(np.sqrt(np.mean((points - (np.arange(n) >= n / 2)) ** 2, axis=1, dtype=float)))


def _panel(sizes, found: list[Jackknife]) -> Panel:
    series = []
    for d, (n, each) in enumerate(zip(sizes, found, strict=True), start=1):
        estimate, n = each.estimate, np.array(n)
        series.append(Series(n, estimate.value, f"d = {d}", estimate.stderr, "points"))
        if d == 1:
            series.append(
                Series(n, [uniform_square_distance(int(m), 1.0, periodic=True) for m in n], "1/12N", kind="dashed")
            )
        if d == 2:
            line = estimate.value[0] + np.log(n / n[0]) / (2 * math.pi * n[0])
            series.append(Series(n, line * n[0] / n, r"$(\log N/2\pi + \mathrm{const})/N$", kind="dashed"))
        if d == 3:
            line = (estimate.value[-1] - _LATTICE / (2 * math.pi**2 * n[-1])) * (n / n[-1]) ** (-2 / 3)
            series.append(Series(n, line + _LATTICE / (2 * math.pi**2 * n), r"$cN^{-2/3} - 0.4516/N$", kind="dashed"))
    return Panel("number of points N", r"$E\,W_2^2$ (length²)", series, xscale="log", yscale="log")
