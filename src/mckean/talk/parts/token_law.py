"""Part of chapter *tokens*: the limit of tokens on S² as a density, which each environment moves by Möbius maps."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from mckean.catalogue import toy_transformer
from mckean.dynamics import Moebius, evolve
from mckean.measures import Density, Particles, SphericalCauchy, VonMisesFisher
from mckean.paths import Brownian
from mckean.spaces import Sphere, SphereGrid
from mckean.statistics import fit_rate, jackknife, replicate, root_mean_square
from mckean.talk.claims import Claim, Figure, Film, Panel, Rival, Series

_SPACE = Sphere(3)
_FRAMES = 4
# Pixels of a film along the longitude and along the axis.
_PIXELS = (72, 36)


@dataclass(frozen=True)
class Config:
    """How the density of tokens is run."""

    degree: int = 20
    alpha: float = 1.0
    centre: float = 0.3
    sizes: tuple[int, ...] = (16, 64, 256)
    environments: int = 64
    until: float = 1.0
    steps: int = 15


def run_law(config: Config, key) -> tuple[list[Claim], list[Figure]]:
    """The claims on the density, and its film."""
    seen = replicate(partial(_environment, config=config), key, config.environments, 16)
    return [_rate(config, seen), _family(config, seen)], [_figure(config, seen)]


def _features(model, mu):
    """∫x dμ and ∫xxᵀ dμ."""
    return mu.integrate(lambda x: jnp.concatenate([x, jnp.outer(x, x).ravel()]))


def _values(model, mu):
    return mu.values


def _grid(config: Config) -> SphereGrid:
    return SphereGrid(_SPACE, config.degree)


def _environment(key, config: Config):
    """In one environment: the features of the density and of n tokens, for each n, over time; and the density."""
    start, noise = jax.random.split(key)
    law = SphericalCauchy(_SPACE, [0.0, 0.0, config.centre])
    many = config.sizes[-1]
    x, counts = law.sample(start, many).positions, jnp.asarray(config.sizes)[:, None]
    weights = (jnp.arange(many) < counts) / counts
    model = toy_transformer(3, config.alpha).model

    def move(mu, observe):
        settings = {"until": config.until, "dt": config.until / config.steps, "every": 1}
        return evolve(model, mu, scheme=Moebius(), path=Brownian(noise), observe=observe, **settings).observed

    tokens = jax.vmap(lambda w: move(Particles(_SPACE, x, w), {"f": _features})["f"])(weights)
    limit = move(Density.from_law(_grid(config), law), {"f": _features, "rho": _values})
    return {"tokens": tokens, "law": limit["f"], "rho": limit["rho"][:: config.steps // (_FRAMES - 1)]}


def _rate(config: Config, seen) -> Claim:
    gap = _gap(seen)
    return Claim(
        statement=(
            "On $S^2$ the empirical measure of $n$ tokens and the density of their limit, in one environment, differ "
            "by a power of $1/n$: the exponent"
        ),
        predicted=0.5,
        measured=fit_rate(1 / np.array(config.sizes), jackknife(gap**2, root=2)).slope,
        tolerance=1 / (config.sizes[0] * np.log(config.sizes[-1] / config.sizes[0])),
        origin="corrections 1/n, at the smallest n",
        excludes=Rival("that of a bias, 1", 1.0),
        reference="conditional propagation of chaos: the error is that of the initial sample, transported",
    )


def _gap(seen) -> np.ndarray:
    """sup_t of the distance in the test functions, shape (environments, sizes)."""
    return np.max(np.linalg.norm(seen["tokens"] - seen["law"][:, None], axis=-1), axis=-1)


def _lost(config: Config) -> float:
    """|w|^L of a spherical Cauchy law with a centre w = 0.65, which hardly any environment exceeds."""
    return config.degree * 0.65**config.degree


def _misfit(config: Config, values: np.ndarray) -> np.ndarray:
    """How far ρ^{−1/2} is from an affine function of x, relative to its mean; 0 for spherical Cauchy laws only."""
    x = np.asarray(_grid(config).nodes)
    affine = np.column_stack([np.ones(len(x)), x])
    roots = np.maximum(values.reshape(len(values), -1), np.finfo(float).tiny).T ** -0.5
    rest = roots - affine @ np.linalg.lstsq(affine, roots)[0]
    return np.sqrt(np.mean(rest**2, axis=0)) / np.mean(roots, axis=0)


def _family(config: Config, seen) -> Claim:
    other = Density.from_law(_grid(config), VonMisesFisher(_SPACE, [0.0, 0.0, 1.0], 3 * config.centre))
    return Claim(
        statement=(
            r"Given the environment the law stays in the family of spherical Cauchy laws: how far $\rho^{-1/2}$ is "
            "from an affine function of $x$ at the end, median over environments"
        ),
        predicted=0.0,
        measured=float(np.median(_misfit(config, seen["rho"][:, -1]))),
        tolerance=_lost(config),
        origin="what degrees beyond the grid's hold of the law at the end",
        excludes=Rival("von Mises–Fisher laws", float(_misfit(config, np.asarray(other.values)[None])[0])),
        reference="Möbius maps keep the family: Kato and McCullagh, Bernoulli 26, 2020",
    )


def _figure(config: Config, seen) -> Figure:
    gap = root_mean_square(_gap(seen))
    sizes = np.array(config.sizes)
    rate = [
        Series(1 / sizes, gap.value, "tokens and density", gap.stderr, "points"),
        Series(1 / sizes, gap.value[0] * np.sqrt(sizes[0] / sizes), r"$n^{-1/2}$", kind="dashed"),
    ]
    times = np.linspace(0, config.until, _FRAMES)
    film = Film(
        np.stack([_frames(config, rho) for rho in seen["rho"][:3]]), (2 * np.pi, 2.0),
        [f"{i + 1}" for i in range(3)], [f"$t = {t:.2g}$" for t in times],
        r"$\log_{10}\,4\pi\rho$", "longitude", "$1+x_3$",
    )  # fmt: skip
    caption = (
        "The limit of tokens on S² as a density, by latitude and longitude with true areas, in three environments: one "
        "each environment as a whole, on the way to a point that is random. Right: how far n tokens are from it."
    )
    return Figure(caption, [film, Panel("$1/n$", "distance, root mean square of sup over t", rate, "", "log", "log")])


def _frames(config: Config, rho: np.ndarray) -> np.ndarray:
    """log₁₀ 4πρ on equal steps of longitude and of x_3, for each time."""
    grid = _grid(config)
    phi, z = (np.arange(_PIXELS[0]) + 0.5) * 2 * np.pi / _PIXELS[0], (np.arange(_PIXELS[1]) + 0.5) * 2 / _PIXELS[1] - 1
    long, high = np.meshgrid(phi, z, indexing="ij")
    x = np.stack([np.sqrt(1 - high**2) * np.cos(long), np.sqrt(1 - high**2) * np.sin(long), high], axis=-1)
    at = jax.jit(jax.vmap(lambda values: grid.evaluate(grid.analyse(values), jnp.asarray(x.reshape(-1, 3)))))
    return np.log10(np.maximum(4 * np.pi * np.asarray(at(jnp.asarray(rho))), 1e-3)).reshape(-1, *_PIXELS)
