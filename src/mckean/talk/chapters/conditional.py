"""Chapter: given the environment, particles follow the stochastic Fokker–Planck equation."""

from dataclasses import dataclass
from functools import partial

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from mckean import observables
from mckean.dynamics import evolve
from mckean.interactions import kernels
from mckean.measures import Density, Particles, VonMises
from mckean.models import Additive, Multiplicative, langevin
from mckean.paths import Brownian
from mckean.spaces import Torus
from mckean.statistics import average, log_slope, replicate, root_mean_square
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Series
from mckean.transport import wasserstein


@dataclass(frozen=True)
class Config:
    strength: float = 1.5
    beta: float = 2.0
    common: float = 0.5
    sizes: tuple[int, ...] = (256, 1024, 4096, 16384)
    environments: int = 24
    averaged: int = 1024
    until: float = 1.0
    dt: float = 0.005
    nodes: int = 64
    modes: tuple[int, ...] = (1, 2, 3)


CIRCLE = Torus(1)
_CONDITIONAL = "talk, slides 'conditional propagation of chaos'; Coghi and Flandoli 2016"
_DOBRUSHIN = "Dobrushin's estimate, pathwise: true where the environment is the only noise"


def _law() -> VonMises:
    return VonMises(CIRCLE, 0.0, 1.0)


def _field(x, mu):
    return 0.5 * (1 + 0.5 * jnp.cos(x[0]))


def _modes(config: Config) -> dict:
    return {f"z{k}": observables.mode(k) for k in config.modes}


def _last(config: Config, run) -> jax.Array:
    """The modes at the end."""
    return jnp.stack([run.observed[name][-1] for name in _modes(config)])


def _settings(config: Config) -> dict:
    return {"until": config.until, "dt": config.dt, "observe": _modes(config)}


def _model(config: Config, common, beta: float | None = None):
    kernel = kernels.Cosine(config.strength)
    return langevin(CIRCLE, interaction=kernel, beta=config.beta if beta is None else beta, common=common)


def _in_one_environment(key, config: Config, size: int):
    """Modes of N particles and of the density in one environment, the particles' own motions drawn anew."""
    start, noise, environment = jax.random.split(key, 3)
    model = _model(config, Multiplicative(_field, "stratonovich"))
    path = Brownian(noise, Brownian(environment).environment)
    density = evolve(model, Density.from_law(CIRCLE.grid(config.nodes), _law()), path=path, **_settings(config))
    cloud = evolve(model, _law().sample(start, size), path=path, scheme=diffrax.Heun(), **_settings(config))
    return _last(config, cloud), _last(config, density)


def _on_average(key, config: Config):
    """Modes of the density at the end under an additive common noise."""
    model = _model(config, Additive(config.common))
    law = Density.from_law(CIRCLE.grid(32), _law())
    return _last(config, evolve(model, law, path=Brownian(key), **_settings(config)))


def run(config: Config, key, progress) -> Result:
    pairs = {}
    for i, size in enumerate(config.sizes):
        one = partial(_in_one_environment, config=config, size=size)
        pairs[size] = replicate(one, jax.random.fold_in(key, size), config.environments, batch=config.environments // 4)
        progress((i + 1) / (len(config.sizes) + 2))
    averaged = replicate(partial(_on_average, config=config), jax.random.fold_in(key, 1), config.averaged)
    still = evolve(_model(config, ()), Density.from_law(CIRCLE.grid(32), _law()), **_settings(config))
    progress((len(config.sizes) + 1) / (len(config.sizes) + 2))
    clouds = _without_own_noise(config, jax.random.fold_in(key, 2))
    claims = [
        *_agreement(config, pairs),
        *_mean_law(config, averaged, np.asarray(_last(config, still))),
        *_exactness(config, clouds),
    ]
    return Result(claims, [_figure(config, pairs, clouds)])


def _errors(pairs, shift: int = 0):
    """Distance of the modes for each N and environment; `shift` sets the particles against another environment."""
    return np.stack(
        [np.sqrt(np.sum(np.abs(x - np.roll(y, shift, axis=0)) ** 2, axis=1)) for x, y in pairs.values()], axis=1
    )


def _agreement(config: Config, pairs) -> list[Claim]:
    same, other = root_mean_square(_errors(pairs)), root_mean_square(_errors(pairs, 1))
    slope = log_slope(config.sizes, same)
    # At large N the particles' stepping, not their number, would be seen: an error of order dt adds in the square.
    floor = (config.dt / same.value[-1]) ** 2 / np.log(config.sizes[-1] / config.sizes[0])
    ratio = other.value[-1] / same.value[-1]
    error = ratio * np.hypot(other.stderr[-1] / other.value[-1], same.stderr[-1] / same.value[-1])
    return [
        Claim(
            statement="exponent of N in the distance of particles and density in one environment",
            predicted=-0.5,
            measured=slope.value,
            stderr=slope.stderr,
            tolerance=float(floor),
            origin="an error of order dt beside the one of sampling",
            reference=_CONDITIONAL,
        ),
        Claim(
            statement=f"the same distance, environments exchanged, over it (N = {config.sizes[-1]})",
            predicted=10.0,
            measured=float(ratio),
            stderr=float(error),
            origin="statistical error only",
            reference=_CONDITIONAL,
            relation="at least",
        ),
    ]


def _mean_law(config: Config, averaged, still) -> list[Claim]:
    length = float(np.max(np.abs(np.abs(averaged) - np.abs(still))))
    mean = average((averaged[:, 0] / still[0]).real)
    rounding = 1e-15 * config.until / config.dt
    reference = "rigid motion: z_k is turned by e^{ikσ₀B⁰}"
    return [
        Claim(
            statement="largest change of |z_k| by an additive common noise, any environment",
            predicted=0.0,
            measured=length,
            tolerance=50 * rounding,
            origin="rounding of the steps, 50 units in the last place each",
            reference=reference,
            relation="at most",
        ),
        Claim(
            statement="E z₁ over environments, relative to z₁ without",
            predicted=float(np.exp(-(config.common**2) * config.until / 2)),
            measured=mean.value,
            stderr=mean.stderr,
            origin="exact in law for every dt; statistical error only",
            reference=reference,
        ),
    ]


def _without_own_noise(config: Config, key) -> dict:
    """W₁ of clouds from the largest one at the start and at the end, in environments with an additive noise only."""
    model = _model(config, Additive(config.common), np.inf)
    largest = _law().sample(jax.random.fold_in(key, 0), 8 * config.sizes[-1])
    clouds = [_law().sample(jax.random.fold_in(key, n), n) for n in config.sizes]
    settings = {"until": config.until, "dt": config.dt, "path": Brownian(key), "scheme": diffrax.Heun()}
    move = lambda cloud: evolve(model, cloud, **settings).final  # noqa: E731
    moved = move(largest)
    before = [float(wasserstein(c, largest, p=1)) for c in clouds]
    after = [float(wasserstein(move(c), moved, p=1)) for c in clouds]
    return {"before": np.array(before), "after": np.array(after), **_quantiles(config, key)}


def _quantiles(config: Config, key) -> dict:
    """Distances of the modes of particles at the quantiles of the law from the density's, without own noise."""
    by_step = [
        replicate(partial(_at_quantiles, config=config, factor=factor), key, config.environments, batch=8)
        for factor in _FACTORS
    ]
    return {"distance": np.stack(by_step, axis=1)}


_FACTORS = (2, 4, 8)


def _at_quantiles(key, config: Config, factor: int):
    model, law = _model(config, Multiplicative(_field, "stratonovich"), np.inf), _fine_law()
    edges = np.concatenate([[0.0], np.cumsum(law) / law.sum()])
    nodes = 2 * np.pi * (np.arange(law.size + 1) - 0.5) / law.size
    n = config.sizes[-1] // 4
    cloud = Particles(CIRCLE, np.interp((np.arange(n) + 0.5) / n, edges, nodes)[:, None])
    settings = {**_settings(config), "dt": config.dt / factor, "path": Brownian(key).refine(factor)}
    particles = evolve(model, cloud, scheme=diffrax.Heun(), **settings)
    density = evolve(model, Density.from_law(CIRCLE.grid(config.nodes), _law()), **settings)
    return jnp.max(jnp.abs(_last(config, particles) - _last(config, density)))


def _fine_law() -> np.ndarray:
    x = 2 * np.pi * np.arange(4096) / 4096
    return np.exp(np.cos(x))


def _exactness(config: Config, clouds: dict) -> list[Claim]:
    ratio = float((clouds["after"] / clouds["before"]).max())
    bound = float(np.exp(2 * config.strength * config.until))
    first, last = clouds["distance"][:, 0], clouds["distance"][:, -1]
    order = average(np.log(first / last) / np.log(_FACTORS[-1] / _FACTORS[0]))
    return [
        Claim(
            statement="largest W₁(μᴺ_T, μᴹ_T)/W₁(μᴺ_0, μᴹ_0) in one environment, no own noise",
            predicted=bound,
            measured=ratio,
            origin="Grönwall: e^{2KT}, for any environment and any N",
            reference=_DOBRUSHIN,
            relation="at most",
        ),
        Claim(
            statement="order in dt of the distance of particles at the quantiles from the density, no own noise",
            predicted=0.5,
            measured=order.value,
            stderr=order.stderr,
            origin="strong order 1/2 at least; a sampling term would stay, with order 0",
            reference=_DOBRUSHIN,
            relation="at least",
        ),
    ]


def _figure(config: Config, pairs, clouds) -> Figure:
    sizes = np.array(config.sizes)
    same, other = root_mean_square(_errors(pairs)), root_mean_square(_errors(pairs, 1))
    rate = [Series(sizes, e.value, label, e.stderr, "points")
            for e, label in ((same, "the same environment"), (other, "another environment"))]  # fmt: skip
    rate.append(Series(sizes, same.value[0] * np.sqrt(sizes[0] / sizes), r"$N^{-1/2}$", kind="dashed"))
    x, y = pairs[config.sizes[-1]]
    plane = [
        Series(y[:, 0].real, y[:, 0].imag, "density", kind="points"),
        Series(x[:, 0].real, x[:, 0].imag, f"N = {config.sizes[-1]}", kind="points"),
    ]
    bound = np.exp(2 * config.strength * config.until)
    order = np.argsort(clouds["before"])
    stable = [
        Series(clouds["before"], clouds["after"], "measured", kind="points"),
        Series(clouds["before"][order], bound * clouds["before"][order], r"$e^{2KT}W_1(0)$", kind="dashed"),
    ]
    caption = (
        "Left: distance of the particles' modes from those of the density. In one environment it falls with N; against "
        "the density of another environment it stays. Middle: z₁ at the end, one pair of points an environment: both "
        "levels move with it. Right: without own noise the empirical measure solves the equation, and two of its "
        "solutions stay within the Dobrushin bound."
    )
    panels = [
        Panel("number of particles N", r"$|z(\mu^N) - z(\rho)|$, root mean square", rate, xscale="log", yscale="log"),
        Panel(r"Re $z_1$", r"Im $z_1$", plane),
        Panel(r"$W_1$ at the start (radians)", r"$W_1$ at $t = T$ (radians)", stable, xscale="log", yscale="log"),
    ]
    return Figure(caption, panels)


CHAPTER = Chapter(
    name="conditional",
    title="The conditional law",
    statement=(
        "Given the environment $B^0$ the particles are independent in the limit, and their common law solves the "
        "stochastic Fokker–Planck equation $$d\\rho = \\nabla\\cdot(\\rho\\nabla W*\\rho)\\,dt + "
        "\\beta^{-1}\\Delta\\rho\\,dt - \\sum_k\\nabla\\cdot(\\rho\\sigma_k)\\circ dB^k.$$ In one environment the "
        "empirical measure is $O(N^{-1/2})$ from it. The law of one particle is deterministic on average only: an "
        "additive noise turns the circle rigidly, $|z_k|$ is untouched, and $E z_1$ is multiplied by "
        "$e^{-\\sigma_0^2t/2}$. Without own noise the empirical measure solves the equation exactly, and "
        "$$W_1(\\mu_t,\\nu_t)\\le C_t W_1(\\mu_0,\\nu_0)$$ holds path by path, with no sampling term. (The "
        "talk states this for independent noises, where it fails: from $\\mu_0 = \\nu_0 = \\delta_0$ the right side "
        "is 0.)"
    ),
    what=lambda c: (
        f"Kuramoto with K = {c.strength:g}, β = {c.beta:g} and the common field ½(1 + ½ cos x) (Stratonovich), N from "
        f"{c.sizes[0]} to {c.sizes[-1]} in {c.environments} environments, dt = {c.dt:g}, T = {c.until:g}, densities on "
        f"{c.nodes} nodes; an additive noise σ₀ = {c.common:g} in {c.averaged} environments."
    ),
    run=run,
    config=Config(environments=96, averaged=4096),
    quick=Config(sizes=(256, 1024, 4096)),
    references=(
        "M. Coghi and F. Flandoli, Propagation of chaos for interacting particles subject to environmental noise, Ann. "
        "Appl. Probab. 26, 2016.",
        "H. Koubbi, Interacting particle systems: idiosyncratic noise, common noise, and mean-field limits (talk).",
    ),
)
