"""Part of chapter *chaos*: Ornstein–Uhlenbeck particles, whose laws are Gaussian: entropies from covariances."""

import math
from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from mckean.catalogue.mean_reversion import marginal_entropy, ornstein_uhlenbeck
from mckean.couplings._chaos import run_from_law
from mckean.measures import Gaussian
from mckean.statistics import Jackknife, combine, fit_rate, jackknife, largest, samples
from mckean.talk.claims import Claim, Figure, Panel, Rival, Series

_SHARP = "Lacker, Hierarchies, entropy, and quantitative propagation of chaos (arXiv 2105.02983)"
_UNIFORM = "Lacker and Le Flem, Sharp uniform-in-time propagation of chaos (arXiv 2205.12047)"
_STIFFNESS, _STRENGTH, _BETA, _VARIANCE = 1.0, 0.5, 1.0, 0.3


@dataclass(frozen=True)
class Gaussians:
    """Numbers of particles, replicas of each, end and step."""

    sizes: tuple[int, int] = (4, 16)
    replicas: int = 65536
    until: float = 3.0
    dt: float = 0.05
    every: int = 10


def run_gaussians(config: Gaussians, key) -> tuple[list[Claim], list[Figure]]:
    """The claims and the figure of this part."""
    model = ornstein_uhlenbeck(_STIFFNESS, _STRENGTH, _BETA).model
    run = eqx.Partial(
        run_from_law, model=model, law=Gaussian(0.0, _VARIANCE), observe={"seconds": _seconds}, until=config.until,
        dt=config.dt, every=config.every, scheme=None,
    )  # fmt: skip
    seconds = samples(run, config.sizes, key, config.replicas)["seconds"]
    found = {k: eqx.Partial(_entropies, k=k, alone=_variances(config, _STIFFNESS + _STRENGTH)) for k in (1, 2, 3)}
    along = {k: jackknife(seconds).map(entropy).unbiased for k, entropy in found.items()}
    highest = largest(lambda x: jackknife(x).map(found[2]).unbiased, seconds)
    return _claims(config, along, highest), [_figure(config, along)]


def _seconds(model, mu):
    """The means of x_i x_j over different particles, and of x_i²."""
    x = mu.positions[:, 0]
    n, square = len(x), jnp.sum(x**2)
    return jnp.stack([(jnp.sum(x) ** 2 - square) / (n * (n - 1)), square / n])


def _entropies(seconds, k: int, alone):
    """H(P^k | μ^{⊗k}) of centred Gaussians: the covariance has the eigenvalues s + (k − 1)c, once, and s − c."""
    c, s = seconds[..., 0], seconds[..., 1]
    parts = [(s + (k - 1) * c) / alone] + (k - 1) * [(s - c) / alone]
    return sum(part - 1 - np.log(part) for part in parts) / 2


def _variances(config: Gaussians, rate: float) -> np.ndarray:
    """The variance of Euler's steps of dX = −rate X dt + √(2/β) dB at the records."""
    v, values = _VARIANCE, []
    for _ in range(round(config.until / config.dt)):
        v = (1 - rate * config.dt) ** 2 * v + 2 * config.dt / _BETA
        values.append(v)
    return np.array(values)[config.every - 1 :: config.every]


def _excess(config: Gaussians) -> np.ndarray:
    """N x/k = (v_c − v)/v along time, of Euler's steps: v_c is the variance of √N times the mean, of rate a."""
    alone = _variances(config, _STIFFNESS + _STRENGTH)
    return (_variances(config, _STIFFNESS) - alone) / alone


def _claims(config: Gaussians, along: dict[int, Jackknife], highest: Jackknife) -> list[Claim]:
    few, many = config.sizes
    excess = float(_excess(config)[-1])
    # The steps' own stationary variances are v/(1 − rate dt/2).
    rates = np.array([_STIFFNESS, _STIFFNESS + _STRENGTH])
    centre, alone = 1 / (_BETA * rates * (1 - rates * config.dt / 2))
    stationary = marginal_entropy(2 / few * (centre - alone) / alone)
    end = {k: each.map(lambda h: h[..., -1]) for k, each in along.items()}
    rate = fit_rate(config.sizes, end[2])
    growth = Jackknife(end[3].value / end[1].value, end[3].left_out / end[1].left_out).map(
        lambda q: np.log(q[..., 0]) / math.log(3)
    )
    # (x − log(1 + x))/2 = (x²/4)(1 − 2x/3 + …), an alternating series: the first end is off by less than 2x/3.
    series = "next term of the series, −2x/3"
    lipschitz = _STIFFNESS + 2 * _STRENGTH
    return [
        Claim(
            statement="For Ornstein–Uhlenbeck $H(P^2\\,|\\,\\mu^{\\otimes 2})$ falls as $N^s$; s",
            predicted=-2.0,
            measured=rate.slope,
            tolerance=-math.log1p(-4 / 3 * excess / few) / math.log(many / few),
            origin=series,
            excludes=Rival("order 1", -1.0),
            reference=_SHARP,
        ),
        Claim(
            statement=f"For Ornstein–Uhlenbeck $N^2 H(P^2\\,|\\,\\mu^{{\\otimes 2}})$ is as computed: at N = {many}",
            predicted=many**2 * marginal_entropy(2 * excess / many),
            measured=combine([many**2], end[2].estimate[-1:]),
            excludes=Rival(
                "the part of independent particles not taken off",
                many**2 * marginal_entropy(2 * (1 + excess) / many),
            ),
            reference="(x − log(1 + x))/2, with the variances of Euler's steps",
        ),
        Claim(
            statement=(
                f"For Ornstein–Uhlenbeck $H(P^k\\,|\\,\\mu^{{\\otimes k}})$ grows as $k^s$, from 1 to 3 of N = {few}; s"
            ),
            predicted=2.0,
            measured=growth.estimate,
            tolerance=2 * excess / few / math.log(3),
            origin=series,
            excludes=Rival("in proportion to k", 1.0),
            reference=_SHARP,
        ),
        Claim(
            statement=(
                "For Ornstein–Uhlenbeck the entropy of pairs stays below its stationary value at all times: the "
                f"largest over that, N = {few}"
            ),
            predicted=1.0,
            measured=highest.map(lambda h: h[..., 0] / stationary).estimate,
            excludes=Rival("it grows as Grönwall's bound, e^{2(a + 2c)t}", math.exp(2 * lipschitz * config.until)),
            reference=_UNIFORM,
            relation="at most",
        ),
    ]


def _figure(config: Gaussians, along: dict[int, Jackknife]) -> Figure:
    numbers, times = np.geomspace(config.sizes[0], config.sizes[-1], 20), np.arange(1, 1 + len(_excess(config)))
    times, excess = times * config.every * config.dt, _excess(config)
    sizes, paths = [], []
    for k, each in along.items():
        end = each.estimate[:, -1]
        sizes.append(Series(np.array(config.sizes), end.value, f"k = {k}", end.stderr, "points"))
        sizes.append(Series(numbers, [marginal_entropy(k * excess[-1] / n) for n in numbers], kind="dashed"))
    for i, n in enumerate(config.sizes):
        path = along[2].estimate[i]
        paths.append(Series(times, n**2 * path.value, f"N = {n}", n**2 * path.stderr, "points"))
        exact = [n**2 * marginal_entropy(2 * x / n) for x in excess]
        paths.append(Series(times, exact, kind="dashed"))
    caption = (
        "Ornstein–Uhlenbeck particles. Left: the relative entropy of k of N particles, from their measured covariances "
        "(points) and in closed form, falls as (k/N)². Right: that of pairs along time, from independent particles of "
        "variance 0.3: no later than the stationary one."
    )
    panels = [
        Panel("number of particles N", r"$H(P^k\,|\,\mu^{\otimes k})$", sizes, xscale="log", yscale="log"),
        Panel("time t", r"$N^2 H(P^2\,|\,\mu^{\otimes 2})$", paths),
    ]
    return Figure(caption, panels)
