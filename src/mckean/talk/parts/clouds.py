"""Part of chapter *chaos*: how far N independent points are from their law."""

import math
from dataclasses import dataclass

import jax
import numpy as np
from scipy import stats

from mckean.measures import Density, Uniform
from mckean.spaces import Euclidean, Torus
from mckean.statistics import Jackknife, fit_rate
from mckean.talk.claims import Claim, Figure, Panel, Series
from mckean.transport import empirical_distances, fournier_guillin, mean_distance_constant
from mckean.transport.empirical import two_atoms_distance, uniform_square_distance

_CLOUDS = "Fournier and Guillin, Probab. Theory Relat. Fields 162 (2015)"
_MATCHING = "Ambrosio, Stra and Trevisan, Probab. Theory Relat. Fields 173 (2019)"
_LINEAR = "Caracciolo, Lucibello, Parisi and Sicuro, Phys. Rev. E 90 (2014)"
# Σ 1/|n|² over n ≠ 0 in Z³, continued analytically from Σ 1/|n|^{2s}, s > 3/2.
_LATTICE = -8.913632917585


@dataclass(frozen=True)
class Clouds:
    circle: tuple[int, ...] = (16, 64, 256, 1024)
    plane: tuple[int, ...] = (64, 256, 1024)
    solid: tuple[int, ...] = (64, 216, 512, 1000)
    replicas: int = 256

    @classmethod
    def quick(cls) -> "Clouds":
        return cls((16, 128), (64, 256), (64, 216), 64)


def run_clouds(config: Clouds, key) -> tuple[list[Claim], list[Figure]]:
    keys = jax.random.split(key, 4)
    circle = Density.from_function(Torus(1, 1.0).grid(8), lambda x: 1.0 + 0 * x[0])
    cases = [(circle, config.circle), (Uniform(Torus(2, 1.0)), config.plane), (Uniform(Torus(3, 1.0)), config.solid)]
    found = [empirical_distances(law, n, k, config.replicas) for (law, n), k in zip(cases, keys[:3], strict=True)]
    claims = [*_circle(config.circle, found[0]), *_plane(config.plane, found[1]), *_solid(config.solid, found[2])]
    return [*claims, _interval(config, keys[3]), _atoms()], [_figure([n for _, n in cases], found)]


def _interval(config: Clouds, key) -> Claim:
    """√N E W_1 = √N∫E|B/N − u| du for every N, B binomial; its difference from the limit is the tolerance."""
    n = config.circle[-1]
    flat = Density.from_function(Euclidean(1).grid((4,), (0.0,), (1.0,)), lambda x: 1.0 + 0 * x[0])
    found = empirical_distances(flat, (n,), key, config.replicas, p=1).estimate
    u, k = (np.arange(400) + 0.5) / 400, np.arange(n + 1)[:, None]
    exact = math.sqrt(n) * np.mean(np.sum(stats.binom.pmf(k, n, u) * np.abs(k / n - u), axis=0))
    limit = mean_distance_constant(flat)
    return Claim(
        statement=f"interval: √N·E W₁(μᴺ, μ)/L, N = {n}",
        predicted=limit,
        measured=math.sqrt(n) * found.value[0],
        stderr=math.sqrt(n) * found.stderr[0],
        tolerance=abs(exact - limit),
        origin="exact for this N, by the binomial law",
        reference="√(2/π)·∫√(F(1 − F)): del Barrio, Giné and Matrán, Ann. Probab. 27 (1999)",
    )


def _circle(sizes, found: Jackknife) -> list[Claim]:
    rate = fit_rate(sizes, found)
    pooled = found.map(lambda w: np.mean(w * np.array(sizes), axis=-1)).estimate
    return [
        Claim(
            statement="circle: exponent of N in E W₂²(μᴺ, μ)",
            predicted=-1.0,
            measured=rate.slope.value,
            stderr=rate.slope.stderr,
            origin="exact for every N; statistical error only",
            reference="closed form",
        ),
        Claim(
            statement="circle: N·E W₂²(μᴺ, μ)/L², mean over N",
            predicted=uniform_square_distance(1, 1.0, periodic=True),
            measured=float(pooled.value),
            stderr=float(pooled.stderr),
            origin="exact for every N; statistical error only",
            reference="closed form: L²/12N",
        ),
    ]


def _plane(sizes, found: Jackknife) -> list[Claim]:
    n = np.array(sizes)
    gain = found.map(lambda w: (w[..., -1] * n[-1] - w[..., 0] * n[0]) / math.log(n[-1] / n[0])).estimate
    return [
        Claim(
            statement="plane: growth of N·E W₂²(μᴺ, νᴺ)/L² with log N",
            predicted=1 / (2 * math.pi),
            measured=float(gain.value),
            stderr=float(gain.stderr),
            origin="the next term is a constant; statistical error only",
            reference=_MATCHING,
        ),
    ]


def _solid(sizes, found: Jackknife) -> list[Claim]:
    """E W_2² = cN^{−2/3} + ζ/2π²N + …, ζ/2π² the lattice sum of (2/N)Σ 1/4π²|n|², the linear theory's E W_2²."""
    n = np.array(sizes)
    plain = fit_rate(sizes, found)
    freed = fit_rate(sizes, found.map(lambda w: w - _LATTICE / (2 * math.pi**2 * n)))
    exponent, tilt = -fournier_guillin(3, 1) * 2, abs(plain.slope.value - freed.slope.value)
    return [
        Claim(
            statement="space: exponent of N in E W₂²(μᴺ, νᴺ)",
            predicted=exponent,
            measured=plain.slope.value,
            stderr=plain.slope.stderr,
            tolerance=tilt,
            origin="the next term, −0.4516/N",
            reference=_CLOUDS,
        ),
        Claim(
            statement="space: the same without the next term",
            predicted=exponent,
            measured=freed.slope.value,
            stderr=freed.slope.stderr,
            origin="statistical error only",
            reference=_LINEAR,
        ),
    ]


def _atoms() -> Claim:
    """The lattice correction is 2ζ(−½)√(2/π)N^{−3/4}/C relatively, below N^{−3/4}."""
    low, high = 1000, 100_000
    slope = math.log(two_atoms_distance(high) / two_atoms_distance(low)) / math.log(high / low)
    return Claim(
        statement="two atoms: exponent of N in E W₂(μᴺ, μ)",
        predicted=-0.25,
        measured=slope,
        tolerance=low**-0.75 / math.log(high / low),
        origin="the lattice of B/N, N^{−3/4}",
        reference="E|B/N − ½|^{1/2}, B binomial",
    )


def _figure(sizes, found: list[Jackknife]) -> Figure:
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
    caption = (
        "Independent uniform points on tori of side 1: E W₂² between N points and their law on the circle (d = 1), and "
        "between two clouds of N points (d = 2, 3)."
    )
    return Figure(caption, [Panel("number of points N", r"$E\,W_2^2$ (length²)", series, xscale="log", yscale="log")])
