"""Chapter: without interaction, transport noise stirs a density and does nothing else."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean import observables
from mckean.dynamics import evolve
from mckean.measures import Density
from mckean.models import Model, TransportNoise, langevin
from mckean.paths import Brownian
from mckean.spaces import Torus, calculus
from mckean.statistics import average, jackknife, replicate
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series

_TORUS = Torus(2)
_GESS = "Gess, Gvalani and Martini 2026"
_CHAIN = "chain rule of Stratonovich; div σ = 0"
_MODES = ((1, 0), (1, 1))
_COARSENED = (4, 2, 1)
# The rate (1 + K)|k|² of the modes up to |k|² = 8 at K = 1.
_RATE = 16.0


@dataclass(frozen=True)
class Config:
    intensity: float = 1.0
    environments: int = 384
    averaged: int = 2048
    batch: int = 32
    until: float = 0.5
    steps: tuple[float, ...] = (1 / 256, 1 / 512)
    nodes: int = 48
    spectra: tuple[str, ...] = ("shears", "shell")
    shell: float = 2.0

    def step(self, spectrum: str) -> float:
        """The shortest: waves in many directions do not commute, and need shorter ones."""
        return self.steps[self.spectra.index(spectrum)]


def _noise(config: Config, spectrum: str) -> TransportNoise:
    if spectrum == "shears":
        return TransportNoise.shears(_TORUS, config.intensity)
    return TransportNoise.shell(_TORUS, config.shell, intensity=config.intensity)


def _start(config: Config) -> Density:
    """Its maximum and its minimum are at nodes, and neither of them on an axis of symmetry of the waves."""
    shift = 2 * np.pi * np.array([config.nodes // 6, config.nodes // 4]) / config.nodes
    return Density.from_function(
        _TORUS.grid(config.nodes), lambda x: jnp.exp(jnp.cos(x[0] - shift[0]) + 0.7 * jnp.cos(x[1] - shift[1]))
    )


def _gradient_square(model: Model, mu: Density) -> jax.Array:
    """∫|∇ρ|² dx."""
    return jnp.sum(calculus.gradient(_TORUS.grid(mu.grid.shape), mu.values) ** 2) * mu.grid.cell_volume


def _square(model: Model, mu: Density) -> jax.Array:
    """∫ρ² dx."""
    return jnp.sum(mu.values**2) * mu.grid.cell_volume


def _beyond(model: Model, mu: Density) -> jax.Array:
    """The sum of the Fourier coefficients beyond two thirds of the last, which bounds what a step may alias."""
    coefficients = jnp.abs(jnp.fft.fftn(mu.values)) / mu.grid.size
    k = np.abs(np.fft.fftfreq(mu.grid.shape[0]))
    return jnp.sum(coefficients * (np.maximum(k[:, None], k[None]) > 1 / 3))


_OBSERVE = {
    "square": _square,
    "gradient": _gradient_square,
    "entropy": observables.entropy,
    # Without V and W, the dissipation is ∫|∇ρ|²/ρ at β = 1.
    "fisher": observables.dissipation,
    "largest": lambda model, mu: jnp.max(mu.values),
    "least": lambda model, mu: jnp.min(mu.values),
    "beyond": _beyond,
    "modes": lambda model, mu: jnp.stack([observables.mode(k)(model, mu) for k in _MODES]),
}


def _record(key, *, config: Config, spectrum: str, coarsen: int) -> dict[str, Any]:
    model = langevin(_TORUS, common=_noise(config, spectrum))
    path, dt = Brownian(key).coarsen(coarsen), config.step(spectrum) * coarsen
    run = evolve(model, _start(config), until=config.until, dt=dt, path=path, observe=_OBSERVE, every=1)
    return {"times": run.times, **run.observed}


def _ratios(key, *, config: Config, spectrum: str) -> jax.Array:
    """Re ρ̂_k(T)/ρ̂_k(0) by mode, in steps twice the shortest."""
    model, start = langevin(_TORUS, common=_noise(config, spectrum)), _start(config)
    dt = 2 * config.step(spectrum)
    end = evolve(model, start, until=config.until, dt=dt, path=Brownian(key)).final
    return jnp.stack([(observables.mode(k)(model, end) / observables.mode(k)(model, start)).real for k in _MODES])


def _balance(record: dict[str, np.ndarray], value: str, rate: str, factor: float) -> np.ndarray:
    """value(t) − value(0) + factor ∫rate by the trapezoidal rule, shape (r, t)."""
    steps = np.diff(record["times"][0])
    parts = 0.5 * factor * steps * (record[rate][:, 1:] + record[rate][:, :-1])
    return record[value][:, 1:] - record[value][:, :1] + np.cumsum(parts, axis=1)


_BALANCES = {
    "‖ρ‖²": ("square", "gradient", 2.0),
    "∫ρ log ρ": ("entropy", "fisher", 1.0),
}


def run(config: Config, key, progress) -> Result:
    records, spectra, claims = {}, config.spectra, []
    for i, spectrum in enumerate(spectra):
        records[spectrum] = []
        for j, coarsen in enumerate(_COARSENED):
            one = eqx.Partial(_record, config=config, spectrum=spectrum, coarsen=coarsen)
            records[spectrum].append(replicate(one, jax.random.fold_in(key, i), config.environments, config.batch))
            progress((len(_COARSENED) * i + j + 1) / (len(_COARSENED) * len(spectra) + 1))
        ratios = replicate(
            eqx.Partial(_ratios, config=config, spectrum=spectrum),
            jax.random.fold_in(key, 100 + i), config.averaged, config.batch,
        )  # fmt: skip
        claims += _mean_claims(config, spectrum, ratios)
        claims += _balance_claims(config, spectrum, records[spectrum])
    claims += _extrema_claims(config, records["shears"][-1])
    return Result(claims, [_figure(config, records)])


def _mean_claims(config: Config, spectrum: str, ratios: np.ndarray) -> list[Claim]:
    estimate, dt = average(ratios), 2 * config.step(spectrum)
    reach = 1.0 if spectrum == "shears" else config.shell
    claims = []
    for i, k in enumerate(_MODES):
        exact = float(np.exp(-(k[0] ** 2 + k[1] ** 2) * (1 + config.intensity) * config.until))
        beyond = (np.hypot(*k) + reach) ** 2 * (1 + config.intensity)
        claims.append(
            Claim(
                statement=f"Under {spectrum} $E\\hat\\rho_k$ decays with the diffusivity $1 + K$; its share at "
                f"$t = {config.until:g}$, $k = {k}$",
                predicted=exact,
                measured=estimate[i],
                tolerance=float(exact * beyond**2 * dt * config.until / 2),
                origin="weak order 1, λ²dt T/2 relatively, λ the rate of the modes that a step joins to k",
                excludes=Rival("no Itô correction K Δ", float(exact ** (1 / (1 + config.intensity)))),
                reference="Itô's correction K Δ",
            )
        )
    return claims


def _residuals(records: list[dict[str, np.ndarray]], name: str) -> np.ndarray:
    """The balance's mean square over the run, by environment and step, shape (r, steps)."""
    return np.stack([np.mean(_balance(record, *_BALANCES[name]) ** 2, axis=1) for record in records], axis=1)


def _balance_claims(config: Config, spectrum: str, records: list[dict[str, np.ndarray]]) -> list[Claim]:
    span = np.log(_COARSENED[0] / _COARSENED[-1])
    longest = config.step(spectrum) * _COARSENED[0]
    order = lambda squares: np.log(squares[..., 0] / squares[..., -1]) / (2 * span)  # noqa: E731
    return [
        Claim(
            statement=f"In each environment of {spectrum} the balance of {name} closes as $dt^s$; $s$",
            predicted=1.0,
            measured=jackknife(_residuals(records, name)).map(order).estimate,
            tolerance=float(np.log1p(_RATE * longest) / (2 * span)),
            origin=f"corrections {_RATE:g}dt of the mean square at the longest step, of the modes up to |k|² = 8",
            excludes=Rival("order 1/2, of left-point sums", 0.5),
            reference=_CHAIN,
        )
        for name in _BALANCES
    ]


def _extrema_claims(config: Config, record: dict[str, np.ndarray]) -> list[Claim]:
    """The flow of a shear and the heat semigroup keep bounds exactly, up to what the grid does not hold."""
    growth = float(np.sqrt(2 * config.intensity * config.until))
    common = {
        "predicted": 0.0,
        "tolerance": float(2 * record["beyond"].max() * record["beyond"].shape[1]),
        "origin": "twice the coefficients beyond two thirds of the last, in every step",
        "from_run": True,
        "reference": "maximum principle",
    }
    top, bottom = record["largest"], record["least"]
    return [
        Claim(
            statement="No environment of shears raises $\\max\\rho$ above its start; largest rise at any time",
            measured=float((top[:, 1:] - top[:, :1]).max()),
            excludes=Rival("fields with a divergence of 1/length", float(top[0, 0]) * growth),
            relation="at most",
            **common,
        ),
        Claim(
            statement="No environment of shears lets $\\min\\rho$ fall below its start; largest fall at any time",
            measured=float((bottom[:, 1:] - bottom[:, :1]).min()),
            excludes=Rival("fields with a divergence of 1/length", -float(bottom[0, 0]) * growth),
            relation="at least",
            **common,
        ),
    ]


def _figure(config: Config, records) -> Figure:
    record = records["shears"][-1]
    times = record["times"][0]
    means = []
    for i, k in enumerate(_MODES):
        ratio = average((record["modes"][:, :, i] / record["modes"][:, :1, i]).real)
        exact = np.exp(-(k[0] ** 2 + k[1] ** 2) * (1 + config.intensity) * times)
        means += [
            Series(times[::16], ratio.value[::16], f"k = {k}", ratio.stderr[::16], "points"),
            Series(times, exact, f"exact, k = {k}", kind="dashed"),
        ]
    paths = []
    for i in range(3):
        fall = record["square"][i, :1] - np.append(0, np.cumsum(_spent(record, i)))
        paths += [
            Series(times, record["square"][i], f"environment {i + 1}"),
            Series(times[::16], fall[::16], "" if i else "its start less 2∫‖∇ρ‖² dt", kind="points"),
        ]
    orders = []
    for spectrum in records:
        squares = average(_residuals(records[spectrum], "‖ρ‖²"))
        residual = squares.map(np.sqrt, lambda v: 0.5 / np.sqrt(v))
        steps = config.step(spectrum) * np.array(_COARSENED)
        orders += [
            Series(steps, residual.value, spectrum, residual.stderr, "points"),
            Series(steps, residual.value[-1] * steps / steps[-1], f"order 1, {spectrum}", kind="dashed"),
        ]
    caption = (
        f"Left: over {config.environments} environments the modes decay with the diffusivity 1 + K. Middle: in each "
        "environment the L² norm falls by exactly what diffusion spends; the noise only makes the gradients that it is "
        "spent on. Right: the balance closes at order 1 in the step, as a trapezoidal sum over a Brownian-driven rate "
        "does; a noise term would leave a remainder that no step removes."
    )
    panels = [
        Panel("time t", r"$E\,\hat\rho_k(t)/\hat\rho_k(0)$", means, "Four shears"),
        Panel("time t", r"$\|\rho_t\|^2$ (1/length²)", paths, "Four shears"),
        Panel("time step dt", "root mean square of the balance", orders, "L² norm", xscale="log", yscale="log"),
    ]
    return Figure(caption, panels)


def _spent(record: dict[str, np.ndarray], i: int) -> np.ndarray:
    rate = record["gradient"][i]
    return np.diff(record["times"][0]) * (rate[1:] + rate[:-1])


CHAPTER = Chapter(
    name="passive",
    title="Transport noise alone",
    statement=(
        "Without interaction, $\\partial_t\\rho = \\Delta\\rho + \\sqrt{2K}\\,\\nabla\\cdot(\\rho\\circ\\xi)$ with "
        "$\\xi = \\sum_k\\sigma_k dB_k/dt$ divergence-free and $\\sum_k\\sigma_k\\sigma_k^T = \\mathrm{Id}$. In mean, "
        "the noise is a diffusion: $$E\\,\\hat\\rho_k(t) = \\hat\\rho_k(0)\\,e^{-|k|^2(1 + K)t}.$$ In each environment "
        "it is none: it moves the values of the density about and changes none of them, so that "
        "$$\\frac{d}{dt}\\|\\rho\\|^2 = -2\\,\\|\\nabla\\rho\\|^2, \\qquad \\frac{d}{dt}\\int\\rho\\log\\rho = "
        "-\\int\\frac{|\\nabla\\rho|^2}{\\rho},$$ without a noise term and without Itô's correction, and maxima do not "
        "rise, nor minima fall. What the mean loses beyond that is not lost in any environment: it is the spread of "
        "$\\hat\\rho_k$ over environments."
    ),
    what=lambda c: (
        f"β = 1, K = {c.intensity:g}, {c.environments} environments, and {c.averaged} for means, on {c.nodes}² nodes "
        f"up to t = {c.until:g}: "
        + "; ".join(f"{s} with dt = {c.step(s):g}, 2dt and 4dt on the same paths" for s in c.spectra)
        + f". The shell is that of |k| ≤ {c.shell:g}."
    ),
    run=run,
    config=Config(),
    quick=Config(environments=256, averaged=1024, batch=32, nodes=32, spectra=("shears",), steps=(1 / 256,)),
    references=(
        "B. Gess, R. S. Gvalani and A. Martini, Ergodicity for SPDEs driven by divergence-free transport noise, arXiv "
        "2601.22056.",
    ),
)
