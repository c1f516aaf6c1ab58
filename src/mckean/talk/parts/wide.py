"""Part of chapter *toy*: tokens in high dimension, whose overlaps become deterministic, and by which power of d.

With m = |x̄|², w = x̄ − (1/n)Σ_j⟨x_j, x̄⟩x_j and q the mean of R_ij² over all pairs, the equation of the overlaps gives

    dm = κ(d − 2 − (d − 1)m + q) dt + 2√κ w·dB,   κ = αm/d,

so that the logit ℓ = log(m/(1 − m)) has the drift α + (α/d)[(m + q − 2)/(1 − m) + 2(2m − 1)m|w|²/(m(1 − m))²] and the
bracket (4α/d)m|w|²/(m(1 − m))² dt. As d → ∞ all 1 − R_ij fall by the same factor (1 − m)/(1 − m₀). Along that law the
drift gives the bias of ℓ to first order in 1/d, and the bracket its variance.
"""

from collections.abc import Callable
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean import observables
from mckean.catalogue import toy_transformer
from mckean.catalogue.transformer import logistic
from mckean.dynamics import Moebius, evolve
from mckean.measures import Particles
from mckean.paths import Brownian
from mckean.statistics import average, combine, join, log_slope, replicate, root_mean_square
from mckean.talk.claims import Claim, Panel, Rival, Series

_PAPER = "Koubbi, Geshkovski and Rigollet, arXiv 2604.01978"
_PAIRS = ((0, 1), (0, 2), (0, 3))


@dataclass(frozen=True)
class Wide:
    """Eight tokens with overlaps of either sign, α = 1, in several dimensions."""

    dims: tuple[int, ...] = (32, 64, 128, 256)
    until: float = 2.0
    steps: int = 64
    replicas: int = 4096

    @classmethod
    def quick(cls) -> "Wide":
        return cls(dims=(32, 64, 128), replicas=512)


def _tokens() -> np.ndarray:
    """Unit vectors of R^8: the second is near the first, the third away from it, the others across."""
    x = np.eye(8)
    x[1, 0] = x[1, 1]
    x[2, 0] = -0.5
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def run_wide(config: Wide, key, progress: Callable[[float], None]) -> tuple[list[Claim], Panel]:
    seen = {}
    for i, dim in enumerate(config.dims):
        one = eqx.Partial(_one, config=config, dim=dim)
        seen[dim] = replicate(one, jax.random.fold_in(key, dim), config.replicas, 64)
        progress((i + 1) / len(config.dims))
    law = _Law(config)
    return [*_logit_claims(config, seen, law), *_overlap_claims(config, seen, law)], _panel(config, seen, law)


def _one(key, config: Wide, dim: int):
    """At each step: the logit, the sum of its martingale's increments, and the overlaps of the pairs."""
    model, start = toy_transformer(dim).model, _tokens()
    x = jnp.zeros((len(start), dim)).at[:, : start.shape[1]].set(start)
    path, dt = Brownian(key), config.until / config.steps
    observe = {"m": observables.alignment, "turn": _turn, "R": observables.overlaps(4)}
    settings = {"until": config.until, "dt": dt, "path": path, "observe": observe, "every": 1}
    run = evolve(model, Particles(model.space, x), scheme=Moebius(), **settings).observed
    draw = lambda step: path.environment.increment(step, jnp.asarray(dt), (dim,), x.dtype)  # noqa: E731
    dB = jax.vmap(draw)(jnp.arange(config.steps))
    # A step moves the logit by |dB|²/d as well, whose mean is dt.
    noise = jnp.sum(run["turn"][:-1] * dB, axis=1) + jnp.sum(dB**2, axis=1) / dim - dt
    pairs = jnp.stack([run["R"][:, i, j] for i, j in _PAIRS], axis=1)
    return {"logit": jnp.log(run["m"] / (1 - run["m"])), "noise": jnp.cumsum(noise, 0), "R": pairs}


def _turn(model, mu):
    """2√κ w/(m(1 − m)), with which B turns the logit."""
    x = mu.positions
    centre = jnp.mean(x, axis=0)
    m = centre @ centre
    w = centre - jnp.mean((x @ centre)[:, None] * x, axis=0)
    return 2 * jnp.sqrt(observables.kappa(model, mu)) * w / (m * (1 - m))


class _Law:
    """What the module says of the limit and of its first correction, by quadrature over [0, t]."""

    def __init__(self, config: Wide):
        x = _tokens()
        self.gram = x @ x.T
        self.times = np.linspace(0, config.until, 2001)
        self.m = logistic(self.times, self.gram.mean(), 1.0)
        bias, variance = np.transpose([self._rates(m) for m in self.m])
        step = self.times[1]
        whole = lambda f: np.append(0.0, np.cumsum(0.5 * (f[1:] + f[:-1]) * step))  # noqa: E731
        self.bias, self.spread = whole(bias), np.sqrt(whole(variance))

    def _rates(self, m: float) -> tuple[float, float]:
        """The drift of ℓ beyond 1 and its bracket, times d."""
        gram = self._gram(m)
        along = gram.mean(axis=0)
        square = m - 2 * np.mean(along**2) + along @ gram @ along / len(gram) ** 2
        bracket = 4 * m * square / (m * (1 - m)) ** 2
        return (m + np.mean(gram**2) - 2) / (1 - m) + 0.5 * (2 * m - 1) * bracket, bracket

    def _gram(self, m: float) -> np.ndarray:
        return 1 - (1 - self.gram) * (1 - m) / (1 - self.gram.mean())

    def overlaps(self, t: float) -> np.ndarray:
        """R_ij(t) of the pairs as d → ∞."""
        gram = self._gram(float(np.interp(t, self.times, self.m)))
        return np.array([gram[pair] for pair in _PAIRS])

    def steps(self, config: Wide) -> np.ndarray:
        """ℓ along Möbius steps of length h as d → ∞, 1 − m ← (1 − m)/cosh²√(hm)."""
        m, found = self.gram.mean(), []
        for _ in range(config.steps + 1):
            found.append(np.log(m / (1 - m)))
            m = 1 - (1 - m) / np.cosh(np.sqrt(config.until / config.steps * m)) ** 2
        return np.array(found)


def _logit_claims(config: Wide, seen, law: _Law) -> list[Claim]:
    d, h = np.array(config.dims), config.until / config.steps
    end = law.steps(config)[-1]
    bias = join(average(seen[dim]["logit"][:, -1] - seen[dim]["noise"][:, -1] - end) for dim in config.dims)
    spread = join(root_mean_square(seen[dim]["logit"][:, -1] - end) for dim in config.dims)
    first, constant = float(law.bias[-1]), float(law.spread[-1])
    # The variance of the logit is what the next order is an expansion in.
    size = constant**2 / d
    bend = (size[0] - size[-1]) / np.log(d[-1] / d[0])
    weights = np.append(np.zeros(len(d) - 2), [-d[-2], 2 * d[-1]])
    at = rf"at $\alpha t={config.until:g}$"
    return [
        Claim(
            statement=rf"The logit of $|\bar x|^2$ {at} has a bias that falls as $d^s$: s",
            predicted=-1.0,
            measured=log_slope(d, bias.map(np.abs, np.sign)),
            tolerance=float(bend),
            origin="the next order, relatively the variance of the logit",
            excludes=Rival("that of the spread, −1/2", -0.5),
            reference=_PAPER,
        ),
        Claim(
            statement=rf"$d$ times the bias of the logit {at} tends to $\int_0^t$ of the drift beyond $\alpha$",
            predicted=first,
            measured=combine(weights, bias),
            tolerance=abs(first) * float(size[-2] ** 2 + h),
            origin="order 1/d² after extrapolation, by the variance of the logit; weak order 1: αh",
            excludes=Rival("without Itô's correction of the logit", first - _ito(law)),
            reference="Itô's formula",
        ),
        Claim(
            statement=rf"The spread of the logit over environments {at} falls as $d^s$: s",
            predicted=-0.5,
            measured=log_slope(d, spread),
            tolerance=float(0.5 * bend),
            origin="the next order, relatively the variance of the logit",
            excludes=Rival("that of the bias, −1", -1.0),
            reference=_PAPER,
        ),
        Claim(
            statement=rf"$\sqrt d$ times the spread of the logit {at} for $d={d[-1]}$, over that of the limit",
            predicted=1.0,
            measured=spread[-1].map(lambda s: s * np.sqrt(d[-1]) / constant, lambda s: np.sqrt(d[-1]) / constant),
            tolerance=float(size[-1] + h),
            origin="the next order, relatively the variance of the logit; weak order 1: αh",
            excludes=Rival("a noise of its own for each token, 1/√n", 1 / np.sqrt(len(law.gram))),
            reference="Itô's formula",
        ),
    ]


def _ito(law: _Law) -> float:
    """∫ of ½ℓ″(m) d⟨m⟩, times d."""
    f = np.array([0.5 * (2 * m - 1) * law._rates(m)[1] for m in law.m])
    return float(np.sum(0.5 * (f[1:] + f[:-1])) * law.times[1])


def _overlap_claims(config: Wide, seen, law: _Law) -> list[Claim]:
    low, high = config.dims[-2:]
    h = config.until / config.steps
    claims = []
    for step in (config.steps // 2, config.steps):
        t = step * h
        predicted = law.overlaps(t)
        weight = float(np.interp(t, law.times, law.spread)) ** 2 / low
        for k, (i, j) in enumerate(_PAIRS):
            found = join(average(seen[dim]["R"][:, step, k]) for dim in (low, high))
            start = law.gram[i, j]
            claims.append(
                Claim(
                    statement=(
                        rf"$R_{{{i + 1}{j + 1}}}$, {start:.2g} at first, tends to "
                        rf"$1-(1-R(0))(1-m)/(1-m_0)$ as $d\to\infty$: its mean at $\alpha t={t:g}$"
                    ),
                    predicted=float(predicted[k]),
                    measured=combine([-1.0, 2.0], found),
                    tolerance=float(weight**2 + h * abs(predicted[k] - start)),
                    origin="order 1/d² after extrapolation, by the variance of the logit; weak order 1: αh",
                    excludes=_own(float(start), t),
                    reference=_PAPER,
                )
            )
    return claims


def _own(start: float, t: float) -> Rival:
    """A law R′ = αR(1 − R) for each pair on its own, from which R ≤ 0 never gets away."""
    if start <= 0:
        return Rival("no motion", start)
    return Rival("each pair by its own logistic law", float(logistic(t, start, 1.0)))


def _panel(config: Wide, seen, law: _Law) -> Panel:
    times, series = np.linspace(0, config.until, config.steps + 1), []
    every = slice(None, None, config.steps // 8)
    for k, (i, j) in enumerate(_PAIRS):
        mean = average(seen[config.dims[-1]]["R"][:, :, k])
        label = f"pair {i + 1}, {j + 1}, d = {config.dims[-1]}"
        series.append(Series(times[every], mean.value[every], label, mean.stderr[every], "points"))
    limit = np.array([law.overlaps(t) for t in times])
    series += [Series(times, limit[:, k], r"$d\to\infty$" if k == 0 else "", kind="dashed") for k in range(len(_PAIRS))]
    return Panel(r"time $\alpha t$", r"mean overlap $E\,R_{ij}$", series, "pairs in high dimension")
