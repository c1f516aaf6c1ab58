"""One noise, two resolutions: some of the particles as a system of their own, or shorter steps of the same path."""

import itertools
from typing import Any, ClassVar

import diffrax
import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from mckean.checks import require
from mckean.dynamics import AbstractScheme, Trajectory, evolve
from mckean.dynamics.around import AbstractAround
from mckean.dynamics.evolve import scheme_for
from mckean.measures import AbstractMeasure, Particles
from mckean.measures.norms import distance
from mckean.models import Model
from mckean.paths import Brownian
from mckean.spaces import AbstractSpace


class Nested(AbstractMeasure):
    """N particles, and their first n as a system of their own.

    **Raises** `ValueError` unless 1 ≤ n < N, and for particles with weights.
    """

    first: Particles
    second: Particles

    def __init__(self, particles: Particles, n: int):
        whole = len(particles.positions)
        require(particles.weights is None, "a coupling is of particles of equal weight.")
        require(1 <= n < whole, f"a part of {whole} particles has 1 to {whole - 1} of them, not {n}.")
        self.first = particles
        self.second = eqx.tree_at(lambda p: p.positions, particles, particles.positions[:n])

    @property
    def domain(self) -> AbstractSpace:
        return self.first.space

    def integrate(self, phi) -> Any:
        """∫φ dμ^N."""
        return self.first.integrate(phi)


class _Inside(AbstractAround):
    """One scheme for both, on one path: the first n particles have the same motions in either."""

    moves: ClassVar[str] = "Nested"
    state: ClassVar[type[AbstractMeasure]] = Nested

    def held(self, state: Nested) -> tuple[Particles, ...]:
        return (state.first, state.second)

    def step(
        self,
        model: Model,
        measure: Nested,
        prepared: Any,
        path: Brownian | None,
        index: Int[ArrayLike, ""],
        dt: Float[Array, ""],
    ) -> Nested:
        whole, part = (self.scheme.step(model, one, prepared, path, index, dt) for one in self.held(measure))
        return eqx.tree_at(lambda p: (p.first, p.second), measure, (whole, part))


def nested(
    model: Model,
    particles: Particles,
    n: int,
    *,
    until: float,
    dt: float,
    path: Brownian | None = None,
    every: int | None = None,
    scheme: AbstractScheme | diffrax.AbstractSolver | None = None,
) -> Trajectory[Nested]:
    """N particles beside their first n alone, each with its own noise in both: `observed["distance"]` compares the n.

    The distance is the root mean square of X_i^N − X_i^n over i ≤ n. For the Ornstein–Uhlenbeck model its expected
    square is (1/n − 1/N) times that of the coupling with McKean's process at N = 1: what the means of n and of N differ
    by is what drives it, and E(X̄^n − X̄^N)² ∝ 1/n − 1/N.
    **Arguments:** as for `evolve`. **Raises** `ValueError` unless 1 ≤ n < N, and for whatever `evolve` refuses.
    """
    state = Nested(particles, n)
    # Sums that are planned for one cloud serve both: they cover the same space.
    inside = _Inside(scheme_for(model, particles, scheme))
    return evolve(
        model, state, until=until, dt=dt, path=path, scheme=inside, observe={"distance": _nested_distance}, every=every
    )


def _nested_distance(model: Model, state: Nested) -> Float[Array, ""]:
    x, y = state.first.positions[: len(state.second.positions)], state.second.positions
    return jnp.sqrt(jnp.mean(state.domain.distance(x, y) ** 2))


def across_steps(
    model: Model,
    measure: AbstractMeasure,
    *,
    until: float,
    dt: float,
    path: Brownian,
    halvings: int = 2,
    scheme: AbstractScheme | diffrax.AbstractSolver | None = None,
) -> Float[np.ndarray, " halvings"]:
    """How far the ends of runs with dt and dt/2, dt/2 and dt/4, … are apart, all on one path.

    In the sense of `distance`: over particles one to one, so that the decay, a factor 2^p from one to the next, is the
    strong order p, and entry j over 2^p − 1 estimates the strong error of dt/2^{j+1}.
    **Arguments:** as for `evolve`; a path is refined by Lévy's rule, a recorded environment cannot be.
    **Raises** `ValueError` for fewer than one halving, and for whatever `evolve` and `Brownian.refine` refuse.
    """
    require(halvings >= 1, f"steps are compared over one halving or more, not {halvings}.")
    ends = [
        evolve(model, measure, until=until, dt=dt / 2**j, path=path.refine(2**j), scheme=scheme).final
        for j in range(halvings + 1)
    ]
    return np.array([distance(coarse, fine) for coarse, fine in itertools.pairwise(ends)])
