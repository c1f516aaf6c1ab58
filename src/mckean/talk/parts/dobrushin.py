"""Part of chapter *conditional*: Dobrushin's estimate, where it is false and where it is true."""

from dataclasses import dataclass
from functools import partial

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from mckean import catalogue
from mckean.dynamics import evolve
from mckean.interactions import kernels
from mckean.measures import Gaussian, Particles
from mckean.models import Multiplicative, langevin
from mckean.paths import Brownian
from mckean.spaces import Euclidean, Torus
from mckean.statistics import Estimate, average, combine, join, log_slope, replicate
from mckean.talk.claims import Claim, Figure, Panel, Rival, Series
from mckean.transport import wasserstein

_LINE, _CIRCLE = Euclidean(1), Torus(1)
_SLIDE = "talk, slide 'Dobrushin'; true without noises of the particles' own"
_SAMPLING = "the term of sampling, which the slide leaves out"
# Of σ = s(1 + ½ cos x): its largest value over its least, and the largest |σ′/σ|.
_RATIO, _BEND = 3.0, 3**-0.5


@dataclass(frozen=True)
class Dobrushin:
    """`stiffness`, `attraction`, `steps`: of linear particles; `strength`, `common`: on the circle. All end at 1."""

    stiffness: float = 0.5
    attraction: float = 2.0
    steps: int = 20
    sizes: tuple[int, ...] = (64, 256, 1024)
    replicas: int = 256
    atoms: int = 64
    strength: float = 0.25
    common: float = 2.0
    environments: int = 64
    dt: float = 1 / 256
    apart: float = 0.01

    def what(self) -> str:
        """What is run, in a sentence."""
        return (
            f"Dobrushin's estimate up to t = 1: V = ax²/2 and W = cx²/2 with a = {self.stiffness:g}, c = "
            f"{self.attraction:g}, β = 1 from one point, N from {self.sizes[0]} to {self.sizes[-1]} in {self.replicas} "
            f"replicas; {self.atoms} atoms with W = −x²/2, without noise; two clouds of as many on the circle, K = "
            f"{self.strength:g}, common field {self.common:g}(1 + ½ cos x), in {self.environments} environments."
        )


def run_dobrushin(config: Dobrushin, key) -> tuple[list[Claim], Figure]:
    own = _own_noise(config, jax.random.fold_in(key, 0))
    ratios, still = _common_noise(config, jax.random.fold_in(key, 1))
    claims = [*_own_claims(config, own), _still_claim(config), *_common_claims(config, ratios, still, own)]
    return claims, _figure(config, own, ratios, still)


def _own_noise(config: Dobrushin, key) -> Estimate:
    """E W₁ from the limit at time 1 for each N, all particles at 0 at the start."""
    model = catalogue.ornstein_uhlenbeck(config.stiffness, config.attraction).model
    law = Gaussian(0.0, _variance(config, config.stiffness + config.attraction))

    def one(k, n):
        start = Particles(_LINE, jnp.zeros((n, 1)))
        run = evolve(model, start, until=1.0, dt=1 / config.steps, path=Brownian(k), scheme=diffrax.Euler())
        return run.final.positions

    found = []
    for n in config.sizes:
        clouds = replicate(partial(one, n=n), jax.random.fold_in(key, n), config.replicas)
        found.append(average([wasserstein(Particles(_LINE, x), law, p=1) for x in clouds]))
    return join(found)


def _variance(config: Dobrushin, rate: float) -> float:
    """The variance at time 1 of dY = −rate Y dt + √2 dB from 0, in Euler's steps."""
    keep = (1 - rate / config.steps) ** 2
    return 2 / config.steps * (1 - keep**config.steps) / (1 - keep)


def _limit(u: float, v: float) -> float:
    """lim √N E W₁ = √(2/π)∫√(F(1 − F) + ρ²(u − v)) dx, u the variance of √N X̄, v that of the limit.

    The copies of the limit with the particles' noises are Y_i = X_i − D, D = X̄ − Ȳ for all i. So √N(F_N − F) is a
    Brownian bridge at F less ρ√N D, Gaussian at each x, with Cov(1{Y ≤ x}, Y) = −vρ(x).
    """
    from scipy.special import ndtr

    z = np.linspace(-12, 12, 20_001)
    square = ndtr(z) * ndtr(-z) + np.exp(-(z**2)) / (2 * np.pi) * (u / v - 1)
    return float(np.sqrt(2 / np.pi * v) * np.sum(np.sqrt(square)) * (z[1] - z[0]))


def _finite(n: int) -> float:
    """√N E W₁ of N independent normal points over its limit, less 1, by de Moivre's formula for E|K − Np|."""
    from scipy.special import gammaln, log_ndtr, ndtr

    z = np.linspace(-12, 12, 20_001)
    p, m = ndtr(z), np.floor(n * ndtr(z))
    choices = gammaln(n + 1) - gammaln(m + 2) - gammaln(n - m)
    mean = 2 * (m + 1) * np.exp(choices + (m + 1) * log_ndtr(z) + (n - m) * log_ndtr(-z))
    limit = np.sqrt(2 * n / np.pi * p * ndtr(-z))
    return abs(float(np.sum(mean) / np.sum(limit)) - 1)


def _own_claims(config: Dobrushin, own: Estimate) -> list[Claim]:
    count, first = len(config.sizes), config.sizes[0]
    u, v = (_variance(config, config.stiffness + c) for c in (0.0, config.attraction))
    tilt = np.log1p(_finite(first)) / np.log(config.sizes[-1] / first)
    origin = f"the excess of {first} independent points over their limit, exact"
    return [
        Claim(
            statement="With noises of their own $W_1(\\mu^N_t,\\mu_t) \\le C\\,W_1(\\mu^N_0,\\mu_0)$, which is 0 from "
            f"$\\delta_0$; $W_1$ at $t = 1$, $N = {config.sizes[-1]}$",
            predicted=0.0,
            measured=own[count - 1],
            reference=_SLIDE,
            relation="unequal",
        ),
        Claim(
            statement="With noises of their own $E\\,W_1(\\mu^N_t,\\mu_t)$ from $\\delta_0$ falls as $N^s$; $s$",
            predicted=-0.5,
            measured=log_slope(config.sizes, own),
            tolerance=float(tilt),
            origin=origin,
            excludes=Rival("the rate of W₂ between atoms", -0.25),
            reference=_SAMPLING,
        ),
        Claim(
            statement="With noises of their own $\\sqrt N\\,E\\,W_1(\\mu^N_t,\\mu_t)$ from $\\delta_0$ is that of a "
            "Brownian bridge with the shift of the mean; mean over $N$",
            predicted=_limit(u, v),
            measured=combine(np.sqrt(config.sizes) / count, own),
            tolerance=_finite(first) * _limit(u, v),
            origin=origin,
            excludes=Rival("independent particles", _limit(v, v)),
            reference=_SAMPLING,
        ),
    ]


def _still_claim(config: Dobrushin) -> Claim:
    """Atoms on the line that repel each other by W = −x²/2, one of them displaced: X_i − X̄ grows as e^t.

    So does the displaced one's lead, less the N-th part by which it moves the mean, and the others are pushed away.
    """
    n, steps = config.atoms, 100
    model = langevin(_LINE, interaction=kernels.Quadratic(-1.0), beta=np.inf)
    x = np.linspace(-1, 1, n)[:, None]
    moved = x + config.apart * (np.arange(n) == n - 1)[:, None]
    move = lambda x: evolve(model, Particles(_LINE, x), until=1.0, dt=1 / steps, scheme=diffrax.Heun()).final  # noqa: E731
    ratio = float(wasserstein(move(x), move(moved), p=1)) / (config.apart / n)
    return Claim(
        statement="Without noise, for forces of Lipschitz constant 1 in $x$ and in $\\mu$, two laws part no faster "
        "than $e^{2t}$, and as $2e^t - 1$ where one atom of many is displaced; $W_1(1)/W_1(0)$",
        predicted=1 / n + (1 - 1 / n) * (2 * np.e - 1),
        measured=ratio,
        tolerance=2 * np.e / (6 * steps**2),
        origin="Heun's steps make e^t of 1 + dt + dt²/2: relatively dt²/6",
        excludes=Rival("the constant in x alone, e^t", float(np.e)),
        reference="Dobrushin 1979; the two halves of the constant 2 are both needed",
    )


def _common_noise(config: Dobrushin, key) -> tuple[np.ndarray, float]:
    """W₁ at time 1 over W₁ at the start for two near clouds at π, in each environment, and without any."""
    n = config.atoms
    x = np.pi + 0.2 * (np.arange(n)[:, None] / n - 0.5)
    pair = [Particles(_CIRCLE, x), Particles(_CIRCLE, x + config.apart)]

    def both(k, amplitude):
        noise = Multiplicative(_Ripple(amplitude), "stratonovich")
        model = langevin(_CIRCLE, interaction=kernels.Cosine(config.strength), beta=np.inf, common=noise)
        run = partial(evolve, model, until=1.0, dt=config.dt, path=Brownian(k), scheme=diffrax.Heun())
        return jnp.stack([run(cloud).final.positions for cloud in pair])

    def ratio(x):
        return float(wasserstein(*(Particles(_CIRCLE, y) for y in x), p=1)) / config.apart

    moved = replicate(partial(both, amplitude=config.common), key, config.environments)
    still = replicate(partial(both, amplitude=0.0), key, 1)
    return np.array([ratio(x) for x in moved]), ratio(still[0])


@dataclass(frozen=True)
class _Ripple:
    """s(1 + ½ cos x): equal where s is, so that equal models are compiled once."""

    amplitude: float

    def __call__(self, x, mu):
        return self.amplitude * (1 + 0.5 * jnp.cos(x[0]))


def _bound(config: Dobrushin) -> float:
    """W₁(1) ≤ ratio e^Λ W₁(0), Λ = K(1 + |σ′/σ| + ratio), in each environment.

    Let h′ = 1/σ. In u = h(x) the environment is a rigid motion, du = (b/σ)dt + dB⁰, and b/σ has the Lipschitz constants
    |b′| + |bσ′/σ| in u and K max σ/min σ in μ. Distances in u are those in x up to the factors max σ and min σ.
    """
    return _RATIO * float(np.exp(config.strength * (1 + _BEND + _RATIO)))


def _common_claims(config: Dobrushin, ratios: np.ndarray, still: float, own: Estimate) -> list[Claim]:
    largest, first = float(ratios.max()), config.sizes[0]
    return [
        Claim(
            statement="With a multiplicative common noise alone $W_1(\\mu_t,\\nu_t) \\le C\\,W_1(\\mu_0,\\nu_0)$ in "
            "each environment, $C$ from the noise's metric; largest ratio over environments at $t = 1$",
            predicted=_bound(config),
            measured=largest,
            excludes=Rival(
                f"a term of sampling, as N = {first} have of noises of their own", own.value[0] / config.apart
            ),
            reference="Dobrushin's estimate in the metric |dx|/σ(x), which the noise moves rigidly",
            relation="at most",
        ),
        Claim(
            statement="The constant $e^{2Kt}$ of still air is broken in some environment: largest ratio",
            predicted=float(np.exp(2 * config.strength)),
            measured=largest,
            excludes=Rival("a rigid motion, in which the environment does not enter", still),
            reference="σ stretches by up to max σ/min σ",
            relation="at least",
        ),
    ]


def _figure(config: Dobrushin, own: Estimate, ratios: np.ndarray, still: float) -> Figure:
    sizes = np.array(config.sizes)
    u, v = (_variance(config, config.stiffness + c) for c in (0.0, config.attraction))
    rate = [
        Series(sizes, own.value, "measured", own.stderr, "points"),
        Series(sizes, _limit(u, v) / np.sqrt(sizes), "bridge and shift of the mean", kind="dashed"),
    ]
    order, count = np.sort(ratios), len(ratios)
    share = [
        Series(order, np.arange(1, count + 1) / count, "environments", kind="steps"),
        Series([still, still], [0, 1], "no environment"),
        Series([np.exp(2 * config.strength)] * 2, [0, 1], "$e^{2Kt}$", kind="dashed"),
        Series([_bound(config)] * 2, [0, 1], "bound of every environment", kind="dashed"),
    ]
    caption = (
        "Dobrushin's estimate. Left: with noises of their own particles part from the limit even where both start at "
        "one point. Right: with a multiplicative common noise alone two clouds stay within a constant times their "
        "first distance in each environment, but the constant is that of the environment's metric."
    )
    panels = [
        Panel("number of particles N", r"$E\,W_1(\mu^N_t, \mu_t)$", rate, xscale="log", yscale="log"),
        Panel(r"$W_1(1)/W_1(0)$", "share of environments", share),
    ]
    return Figure(caption, panels)
