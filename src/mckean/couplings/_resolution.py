"""One noise, two resolutions: some of the particles as a system of their own, or shorter steps of the same path."""

import itertools

import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.checks import require
from mckean.dynamics import Carrier, CarrierScheme, Scheme, Trajectory, evolve, scheme_for, together
from mckean.dynamics.pair import Pair
from mckean.dynamics.particles import with_positions
from mckean.measures import AbstractMeasure, Particles
from mckean.measures.convert import require_particles
from mckean.measures.norms import distance
from mckean.models import Equation, Model
from mckean.paths import Brownian


def nested(
    model: Equation,
    particles: Particles,
    n: int,
    *,
    until: float,
    dt: float,
    path: Brownian | None = None,
    every: int | None = None,
    scheme: Scheme | None = None,
) -> Trajectory[Carrier]:
    """N particles, and the first n of them as a system of their own, with the same noise: the distance of these n.

        distance² = (1/n) Σ_{i≤n} |X_i^N − X_i^n|²

    For the Ornstein–Uhlenbeck model its mean is (1/n − 1/N) times that of the coupling with McKean's process at N = 1:
    the difference of the means of n and N particles drives it, and E(X̄^n − X̄^N)² ∝ 1/n − 1/N.

    **Arguments:**

    - `model`: any model or schedule.
    - `particles`: the N particles at the start.
    - `n`: the size of the smaller system, 1 ≤ n < N.
    - `until`, `dt`, `path`, `every`, `scheme`: as for `evolve`.

    **Returns:** the run of both, with the record "distance".

    **Raises:** `ValueError` for another n, and as `evolve` does.
    """
    require_particles("a part of a system", particles)
    whole = particles.n
    require(particles.weights is None, "a coupling is of particles of equal weight.")
    require(1 <= n < whole, f"a part of {whole} particles has 1 to {whole - 1} of them, not {n}.")
    state = Carrier(Pair(particles, with_positions(particles, particles.positions[:n])))
    one = scheme_for(model, particles, scheme)
    return evolve(
        model, state, until=until, dt=dt, path=path, scheme=CarrierScheme((one, one), together),
        observe={"distance": _distance_of_first}, every=every,
    )  # fmt: skip


def _distance_of_first(model: Model, state: Carrier) -> Float[Array, ""]:
    whole, part = state.measures
    gaps = state.domain.distance(whole.positions[: part.n], part.positions)
    return jnp.sqrt(jnp.mean(gaps**2))


def across_steps(
    model: Equation,
    measure: AbstractMeasure,
    *,
    until: float,
    dt: float,
    path: Brownian,
    halvings: int = 2,
    scheme: Scheme | None = None,
) -> Float[Array, " halvings"]:
    """The distances of the ends of runs with dt and dt/2, dt/2 and dt/4, …, all on one path.

        D_j = ‖μ^{dt/2^j} − μ^{dt/2^{j+1}}‖ at time `until`,   D_j/D_{j+1} → 2^p

    The distance is `mckean.measures.distance`, which for particles is one to one: p is the strong order, and D_j/(2^p −
    1) estimates the strong error of the step dt/2^{j+1}.

    **Arguments:**

    - `model`: any model or schedule.
    - `measure`: the initial measure of all runs.
    - `until`, `dt`, `scheme`: as for `evolve`; `dt` is the largest step.
    - `path`: as for `evolve`. It is refined by Lévy's rule; a `Record` cannot be refined.
    - `halvings`: the number of halvings of the step, 1 at least. Default: 2.

    **Returns:** the distances D_j, shape (halvings,).

    **Raises:** `ValueError` for fewer halvings, and as `evolve` and `Brownian.refine` do.
    """
    require(halvings >= 1, f"steps are compared over one halving or more, not {halvings}.")
    ends = [
        evolve(model, measure, until=until, dt=dt / 2**j, path=path.refine(2**j), scheme=scheme).final
        for j in range(halvings + 1)
    ]
    return jnp.stack([distance(coarse, fine) for coarse, fine in itertools.pairwise(ends)])
