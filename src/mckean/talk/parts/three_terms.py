"""Part of chapter *coupling*: the three terms of d(X − Y)/dt, an identity along a run, and the size of the third."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np

from mckean import catalogue
from mckean.couplings import synchronous_coupling
from mckean.measures import Density, VonMises
from mckean.paths import Brownian
from mckean.spaces import Torus
from mckean.statistics import Estimate, average, combine, join, log_slope
from mckean.talk.claims import Claim, Rival

_REFERENCE = "Sznitman 1991; talk, slide 'coupling', with its signs mended"
_STRENGTH = 1.0


@dataclass(frozen=True)
class Identity:
    """The run along which the identity is checked."""

    particles: int = 20
    until: float = 1.0
    dt: float = 0.02
    nodes: int = 32


def identity(config: Identity, key) -> Claim:
    """Euler's steps of X − Y, over dt, beside the three sums over all pairs, written out: b(x, y) = −K sin(x − y)."""
    cloud, noise = jax.random.split(key)
    law = VonMises(Torus(1), 0.0, 1.0)
    run = synchronous_coupling(
        catalogue.kuramoto(_STRENGTH).model, Density.from_law(Torus(1).grid(config.nodes), law),
        law.sample(cloud, config.particles), until=config.until, dt=config.dt, path=Brownian(noise),
        observe={"state": _positions}, every=1,
    )  # fmt: skip
    x, y, nodes, masses = (np.asarray(a) for a in run.observed["state"])
    moved = np.diff(np.angle(np.exp(1j * (x - y))), axis=0) / config.dt
    # On the slide b is W itself, as if −∇W had been forgotten.
    right, wrong = (
        np.stack([_three_terms(b, *step) for step in zip(x[:-1], y[:-1], nodes[:-1], masses[:-1], strict=True)])
        for b in (lambda z: -_STRENGTH * np.sin(z), lambda z: -_STRENGTH * np.cos(z))
    )
    return Claim(
        statement=(
            "For Kuramoto $d(X_i - Y_i)/dt$ is the sum of the three terms, with the signs above: largest difference, "
            "over all particles and steps"
        ),
        predicted=0.0,
        measured=float(np.abs(moved - right).max()),
        tolerance=1e-14 * 2 * np.pi / config.dt * config.particles,
        origin="rounding: positions to 10⁻¹⁴ of a turn, over dt, and sums over N",
        excludes=Rival("b = W, as on the slide, for b = −∇W", float(np.abs(moved - wrong).max())),
        reference=_REFERENCE,
    )


def _positions(model, state):
    x, y, law = state.measures
    masses = law.values * law.grid.cell_volume
    return x.positions[:, 0], y.positions[:, 0], law.grid.nodes[:, 0], masses


def _three_terms(b: Callable, x, y, nodes, masses) -> np.ndarray:
    of = lambda first, second: b(first[:, None] - second)  # noqa: E731
    space = np.mean(of(x, x) - of(y, x), axis=1)
    measure = np.mean(of(y, x) - of(y, y), axis=1)
    sampling = np.mean(of(y, y), axis=1) - of(y, nodes) @ masses
    return space + measure + sampling


def spread(b: Callable, nodes, masses) -> np.ndarray:
    """∫Var(b(x, Y))μ(dx), Y of law μ: N times the mean square of the third term, up to a relative 1/N."""
    pairs = b(nodes[:, None] - nodes)
    mean = pairs @ np.moveaxis(masses, -1, 0)
    square = pairs**2 @ np.moveaxis(masses, -1, 0)
    return np.sum(np.moveaxis(masses, -1, 0) * (square - mean**2), axis=0)


def third_term(
    name: str, sampling: dict[int, np.ndarray], predicted: float, tolerance: float, origin: str, rival: Rival
) -> list[Claim]:
    """The law of large numbers of the third term: exponent and constant of its mean square, averaged along time.

    `sampling` holds for each N the time average of the mean square, shape (replicas,).
    """
    sizes = np.array(list(sampling))
    found = join(average(each) for each in sampling.values())
    return [
        Claim(
            statement=f"The mean square of the third term falls as $N^s$, for {name}; s",
            predicted=-1.0,
            measured=log_slope(sizes, found),
            tolerance=float(np.log1p(1 / sizes[0]) / np.log(sizes[-1] / sizes[0])),
            origin="the particle itself is among its N samples: 1/N, relatively",
            excludes=Rival("order 1/2", -0.5),
            reference=_REFERENCE,
        ),
        Claim(
            statement=(
                "N times the mean square of the third term is the variance $\\int\\mathrm{Var}_{\\mu}\\,b(x, \\cdot)\\,"
                f"\\mu(dx)$, for {name}: mean over time and N"
            ),
            predicted=predicted,
            measured=pool(sampling, found),
            tolerance=tolerance,
            origin=origin,
            excludes=rival,
            reference="variance of a mean of N independent samples",
        ),
    ]


def pool(samples: dict[int, np.ndarray], found: Estimate) -> Estimate:
    """N times a mean, over all N: each replica counts alike, as weights from estimated errors would lean downwards."""
    sizes, replicas = np.array(list(samples)), np.array([len(each) for each in samples.values()])
    return combine(sizes * replicas / replicas.sum(), found)
