"""Chapter: given the environment, particles follow the stochastic Fokker–Planck equation."""

from dataclasses import dataclass, field
from functools import partial

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean import observables
from mckean.dynamics import evolve
from mckean.interactions import kernels
from mckean.measures import Density, VonMises
from mckean.models import Additive, Model, Multiplicative, langevin
from mckean.paths import Brownian
from mckean.spaces import Torus
from mckean.statistics import average, log_slope, replicate, root_mean_square
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series
from mckean.talk.parts.dobrushin import Dobrushin, run_dobrushin
from mckean.talk.parts.poisson import Poisson, run_poisson


@dataclass(frozen=True)
class Config:
    strength: float = 3.0
    beta: float = 2.0
    common: float = 1.0
    sizes: tuple[int, ...] = (64, 256, 1024, 4096)
    environments: int = 192
    averaged: int = 4096
    until: float = 1.0
    dt: float = 0.005
    nodes: int = 32
    modes: tuple[int, ...] = (1, 2, 3)
    dobrushin: Dobrushin = field(default_factory=Dobrushin)
    poisson: Poisson = field(default_factory=Poisson)


CIRCLE = Torus(1)
_CONDITIONAL = "talk, slides 'conditional propagation of chaos'; Coghi and Flandoli 2016"
# The rates 1/β, K and those of the environment, together with a margin.
_RATE = 10.0


def _law() -> VonMises:
    return VonMises(CIRCLE, 0.0, 1.0)


class _Field(eqx.Module):
    """s(1 + r cos x), with s and r as arrays: all of them are one program."""

    size: float | jax.Array = eqx.field(converter=jnp.asarray)
    ripple: float | jax.Array = eqx.field(converter=jnp.asarray)

    def __call__(self, x, mu):
        return self.size * (1 + self.ripple * jnp.cos(x[0]))


def _uneven() -> _Field:
    return _Field(0.8, 0.5)


def _modes(config: Config) -> dict:
    return {f"z{k}": observables.mode(k) for k in config.modes}


def _last(config: Config, run) -> jax.Array:
    """The modes at the end."""
    return jnp.stack([run.observed[name][-1] for name in _modes(config)])


def _settings(config: Config) -> dict:
    return {"until": config.until, "dt": config.dt, "observe": _modes(config)}


def _model(config: Config, common) -> Model:
    return langevin(CIRCLE, interaction=kernels.Cosine(config.strength), beta=config.beta, common=common)


def _start(config: Config) -> Density:
    return Density.from_law(CIRCLE.grid(config.nodes), _law())


def _in_one_environment(key, config: Config, size: int):
    """Modes of N particles and of the density in one environment, the particles' own motions drawn anew."""
    start, noise, environment = jax.random.split(key, 3)
    model = _model(config, Multiplicative(_uneven(), "stratonovich"))
    path = Brownian(noise, Brownian(environment).environment)
    density = evolve(model, _start(config), path=path, **_settings(config))
    cloud = evolve(model, _law().sample(start, size), path=path, scheme=diffrax.Heun(), **_settings(config))
    return _last(config, cloud), _last(config, density)


def _on_average(key, config: Config):
    """Modes of the density at the end under an additive common noise."""
    return _last(
        config, evolve(_model(config, Additive(config.common)), _start(config), path=Brownian(key), **_settings(config))
    )


class _Both(eqx.Module):
    """√(2/β + σ²): thermal noise and σ as one."""

    sigma: _Field
    thermal: float

    def __call__(self, x, mu):
        return jnp.sqrt(self.thermal + self.sigma(x, mu) ** 2)


class _Turn(eqx.Module):
    """½σσ′, by which σ∘dB is more than σdB."""

    sigma: _Field

    def __call__(self, x, mu):
        return 0.25 * jax.grad(lambda y: self.sigma(y, mu) ** 2)(x)


def _closed(config: Config, sigma: _Field) -> np.ndarray:
    """The modes at the end where the common noise, in Stratonovich's sense, is counted as one of the particles' own."""
    noise = Multiplicative(_Both(sigma, 2 / config.beta), "ito")
    model = Model(CIRCLE, interaction=kernels.Cosine(config.strength), drift=_Turn(sigma), noise=noise)
    return np.asarray(_last(config, evolve(model, _start(config), **_settings(config))))


def run(config: Config, key, progress) -> Result:
    pairs, steps = {}, len(config.sizes) + 4
    for i, size in enumerate(config.sizes):
        one = partial(_in_one_environment, config=config, size=size)
        pairs[size] = replicate(one, jax.random.fold_in(key, size), config.environments, batch=config.environments // 4)
        progress((i + 1) / steps)
    averaged = replicate(partial(_on_average, config=config), jax.random.fold_in(key, 1), config.averaged)
    still = np.asarray(_last(config, evolve(_model(config, ()), _start(config), **_settings(config))))
    progress((steps - 2) / steps)
    dobrushin, stable = run_dobrushin(config.dobrushin, jax.random.fold_in(key, 2))
    progress((steps - 1) / steps)
    poisson, exact = run_poisson(config.poisson, jax.random.fold_in(key, 3))
    claims = [*_agreement(config, pairs), *_mean_law(config, pairs, averaged, still), *dobrushin, *poisson]
    return Result(claims, [_figure(config, pairs), stable, exact])


def _squares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.sum(np.abs(x - y) ** 2, axis=1)


def _exchanged(pairs) -> np.ndarray:
    """Square distances to the density of another environment, environments in two halves; shape (r, sizes)."""
    half = lambda a: np.roll(a, len(a) // 2, axis=0)  # noqa: E731
    return np.stack([_squares(x, half(y)) for x, y in pairs.values()], axis=1)


def _own(pairs) -> np.ndarray:
    return np.stack([_squares(x, y) for x, y in pairs.values()], axis=1)


def _agreement(config: Config, pairs) -> list[Claim]:
    largest = config.sizes[-1]
    # Two environments that were exchanged are one sample.
    gain = (_exchanged(pairs) - _own(pairs))[:, -1].reshape(2, -1).mean(axis=0)
    step = (_RATE * config.dt) ** 2 * largest / len(config.modes)
    return [
        Claim(
            statement="In one environment particles come to the density as $N^s$; $s$",
            predicted=-0.5,
            measured=log_slope(config.sizes, root_mean_square(np.sqrt(_own(pairs)))),
            tolerance=float(0.5 * np.log1p(step) / np.log(largest / config.sizes[0])),
            origin=f"an error {_RATE:g}dt of the steps beside that of sampling, 1/N in the square of each mode",
            excludes=Rival("the order of the bracket", -1.0),
            reference=_CONDITIONAL,
        ),
        Claim(
            statement="The density is the same in every environment: square distance of particles to that of another "
            f"one, less to their own, $N = {largest}$",
            predicted=0.0,
            measured=average(gain),
            reference=_CONDITIONAL,
            relation="unequal",
        ),
    ]


def _mean_law(config: Config, pairs, averaged, still) -> list[Claim]:
    change = float(np.max(np.abs(np.abs(averaged) - np.abs(still))))
    reference = "rigid motion: z_k is turned by e^{ikσ₀B⁰}"
    less = float(np.exp(-(config.common**2) * config.until / 2))
    x, y = pairs[config.sizes[-1]]
    closed = _closed(config, _Field(config.common, 0.0))[0].real / still[0].real
    mean = np.mean([density[:, 0].real.mean() for _, density in pairs.values()])
    uneven = _closed(config, _uneven())[0].real - mean
    bias = config.strength * (config.dt + 1 / config.sizes[-1])
    return [
        Claim(
            statement="No environment of an additive common noise changes $|z_k|$, $k \\le 3$; largest change",
            predicted=0.0,
            measured=change,
            tolerance=5e-14 * config.until / config.dt,
            origin="rounding of the steps, 50 units of 10⁻¹⁵ each",
            excludes=Rival("a diffusion of the density", float(abs(still[0])) * (1 - less)),
            reference=reference,
            relation="at most",
        ),
        Claim(
            statement="An additive common noise multiplies $E z_1$ by $e^{-\\sigma_0^2t/2}$; $E z_1$ over $z_1$ "
            "without",
            predicted=less,
            measured=average((averaged[:, 0] / still[0]).real),
            origin="none: exact in law for every dt",
            excludes=Rival("the mean-field equation with the common noise as an own one", float(closed)),
            reference=reference,
        ),
        Claim(
            statement="The law of one particle is the mean of the densities over environments, multiplicative noise: "
            f"$E\\,\\mathrm{{Re}}\\,z_1$ of $N = {config.sizes[-1]}$ particles less that of the density",
            predicted=0.0,
            measured=average((x - y)[:, 0].real),
            tolerance=bias,
            origin="K/N of chaos, and Kdt of the steps, of weak order 1",
            excludes=Rival("the mean-field equation with the common noise as an own one", float(uneven)),
            reference=_CONDITIONAL,
        ),
    ]


def _figure(config: Config, pairs) -> Figure:
    sizes = np.array(config.sizes)
    same, other = (root_mean_square(np.sqrt(squares)) for squares in (_own(pairs), _exchanged(pairs)))
    rate = [Series(sizes, e.value, label, e.stderr, "points")
            for e, label in ((same, "the same environment"), (other, "another environment"))]  # fmt: skip
    rate.append(Series(sizes, same.value[0] * np.sqrt(sizes[0] / sizes), r"$N^{-1/2}$", kind="dashed"))
    x, y = pairs[config.sizes[-1]]
    plane = [
        Series(y[:, 0].real, y[:, 0].imag, "density", kind="points"),
        Series(x[:, 0].real, x[:, 0].imag, f"N = {config.sizes[-1]}", kind="points"),
    ]
    caption = (
        "Left: distance of the particles' modes from those of the density. In one environment it falls with N; against "
        "the density of another environment it stays. Right: z₁ at the end, one pair of points an environment: both "
        "levels move with it."
    )
    panels = [
        Panel("number of particles N", r"$|z(\mu^N) - z(\rho)|$, root mean square", rate, xscale="log", yscale="log"),
        Panel(r"Re $z_1$", r"Im $z_1$", plane),
    ]
    return Figure(caption, panels)


CHAPTER = Chapter(
    name="conditional",
    title="The conditional law",
    statement=(
        "Given the environment $B^0$ the particles are independent in the limit, and their common law solves the "
        "stochastic Fokker–Planck equation $$d\\rho = \\nabla\\cdot(\\rho\\nabla W*\\rho)\\,dt + "
        "\\beta^{-1}\\Delta\\rho\\,dt - \\sum_k\\nabla\\cdot(\\rho\\sigma_k)\\circ dB^k.$$ In one environment the "
        "empirical measure is $O(N^{-1/2})$ from it. The law of one particle is the mean of $\\rho$ over environments. "
        "It solves no mean-field equation: an additive noise turns the circle rigidly, $|z_k|$ is untouched, and $E "
        "z_1$ "
        "is multiplied by $e^{-\\sigma_0^2t/2}$, whatever the interaction. Without noises of their own the empirical "
        "measure solves the equation exactly, and $$W_1(\\mu_t,\\nu_t)\\le C_t W_1(\\mu_0,\\nu_0)$$ holds path by "
        "path, with no sampling term, and with the constant of the environment's metric. (The talk states this for "
        "independent noises, where it fails: from $\\mu_0 = \\nu_0 = \\delta_0$ the right side is 0.) The common noise "
        "$-s\\sin x\\circ dB^0$ keeps Poisson's kernels, and the law is a number in the disc: $$dz = \\frac K2(1-|z|^2)"
        "z\\,dt + \\frac s2(1-z^2)\\circ dB^0.$$"
    ),
    what=lambda c: (
        f"Kuramoto with K = {c.strength:g}, β = {c.beta:g} and the common field 0.8(1 + ½ cos x) (Stratonovich), N "
        f"from {c.sizes[0]} to {c.sizes[-1]} in {c.environments} environments, dt = {c.dt:g}, T = {c.until:g}, "
        f"densities on "
        f"{c.nodes} nodes; an additive noise σ₀ = {c.common:g} in {c.averaged} environments. {c.dobrushin.what()} "
        f"{c.poisson.what()}"
    ),
    run=run,
    config=Config(),
    quick=Config(
        sizes=(64, 1024),
        environments=128,
        averaged=1024,
        dobrushin=Dobrushin(sizes=(64, 1024)),
        poisson=Poisson(steps=(1 / 8, 1 / 128)),
    ),
    references=(
        "M. Coghi and F. Flandoli, Propagation of chaos for interacting particles subject to environmental noise, Ann. "
        "Appl. Probab. 26, 2016.",
        "H. Koubbi, Interacting particle systems: idiosyncratic noise, common noise, and mean-field limits (talk).",
    ),
)
