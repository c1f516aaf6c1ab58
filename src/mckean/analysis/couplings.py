"""Synchronous coupling: N particles beside N copies of McKean's process, driven by the same noises.

    dX_i = b(X_i, μ^N_X) dt + √(2/β) dB_i,   dY_i = b(Y_i, μ_t) dt + √(2/β) dB_i,   X_i(0) = Y_i(0) iid of law μ_0,

and, where the noise is common, with the same environment for both. μ_t is the law of Y (given the environment), from
the PDE or SPDE (a density) or the moment equations (a Gaussian), stepped along. With F(μ, x) what of the drift depends
on the measure, −∇W_s*μ(x) and the drift that is no gradient, that of X_i − Y_i is −∇V(X_i) + ∇V(Y_i) plus

    F(μ_X, X_i) − F(μ_X, Y_i)   +   F(μ_X, Y_i) − F(μ_Y, Y_i)   +   F(μ_Y, Y_i) − F(μ_t, Y_i),

how the field varies in space, how it varies with the measure, and the sampling error of N independent copies
(Sznitman, Topics in propagation of chaos, 1991). An additive common noise cancels as the particles' own does; one that
depends on the state adds Σ_k(σ_k(X_i, μ_X) − σ_k(Y_i, μ_t)) dB⁰_k, which is no drift and is not among the terms.
"""

from typing import Any, ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from mckean import interactions
from mckean.checks import require
from mckean.dynamics import AbstractScheme, ParticleScheme
from mckean.dynamics.evolve import scheme_for
from mckean.dynamics.particles import advance, increments
from mckean.measures import AbstractMeasure, Density, Gaussian, Particles
from mckean.models import Model
from mckean.models.model import extra_drift
from mckean.paths import Brownian
from mckean.spaces import AbstractSpace, Torus


class Coupled(AbstractMeasure):
    """The state of a coupling: the particles X, the copies Y, and the law that moves the copies.

    **Arguments:** `law`: a `Density` or a `Gaussian`; `particles`: X; `copies`: Y, as many, which start where X does
    where nothing is said.
    **Raises** `ValueError` for particles with weights, in another number, or on another space.
    """

    particles: Particles
    copies: Particles
    law: Density | Gaussian

    def __init__(self, law: Density | Gaussian, particles: Particles, copies: Particles | None = None):
        copies = particles if copies is None else copies
        for cloud in (particles, copies):
            require(cloud.weights is None, "a coupling is of particles of equal weight.")
            require(cloud.space == law.domain, f"particles on {cloud.space} cannot follow a law on {law.domain}.")
        n, m = len(particles.positions), len(copies.positions)
        require(n == m, f"each particle has one copy, but there are {n} particles and {m} copies.")
        self.particles, self.copies, self.law = particles, copies, law

    @property
    def domain(self) -> AbstractSpace:
        return self.particles.space

    def integrate(self, phi) -> Any:
        """∫φ dμ^N_X."""
        return self.particles.integrate(phi)


class SynchronousCoupling(AbstractScheme):
    """Euler for X and Y with one noise, the law by a scheme of its own; it acts on Y as it is at the step's start.

    **Arguments:** `law`: the scheme that moves the law, as `FluxLimited()`; that of `evolve` where nothing is said.
    **Raises** `ValueError`, when used, for another measure and for whatever the parts refuse.
    """

    moves: ClassVar[str] = "Coupled"
    law: AbstractScheme | None = None

    @property
    def order(self) -> int:
        return 1

    def accepts(self, measure: AbstractMeasure) -> bool:
        return isinstance(measure, Coupled)

    def check(self, model: Model, measure: Coupled, dt: float) -> None:
        ParticleScheme().check(model, measure.particles, dt)
        scheme_for(model, measure.law, self.law).check(model, measure.law, dt)

    def prepare(self, model: Model, measure: Coupled, dt: Float[Array, ""]) -> Any:
        return scheme_for(model, measure.law, self.law).prepare(model, measure.law, dt)

    def complaints(self, model: Model, measure: Coupled) -> dict[str, Float[Array, ""]]:
        return scheme_for(model, measure.law, self.law).complaints(model, measure.law)

    def step(
        self,
        model: Model,
        measure: Coupled,
        prepared: Any,
        path: Brownian | None,
        index: Int[ArrayLike, ""],
        dt: Float[Array, ""],
    ) -> Coupled:
        noise = increments(model, measure.particles, path, index, dt)
        x = advance(diffrax.Euler(), model, measure.particles, noise, dt)
        y = advance(diffrax.Euler(), model, measure.copies, noise, dt, law=measure.law)
        law = scheme_for(model, measure.law, self.law).step(model, measure.law, prepared, path, index, dt)
        return eqx.tree_at(lambda m: (m.particles.positions, m.copies.positions, m.law), measure, (x, y, law))


def coupling_terms(model: Model, state: Coupled) -> dict[str, Float[Array, ""]]:
    """Observable: mean squares over i of the coupling error |X_i − Y_i| and of the drift's parts (see the module).

    Fields `error`, `confinement`, `space`, `measure`, `sampling`, each (1/N)Σ_i|·|². On a torus or R^d.
    """
    x, y = state.particles, state.copies
    square = lambda v: jnp.mean(jnp.sum(v**2, axis=-1))  # noqa: E731
    field = lambda mu, at: _acting(model, mu, at.positions)  # noqa: E731
    return {
        "error": square(state.domain.displacement(x.positions, y.positions)),
        "confinement": square(_confinement(model, x) - _confinement(model, y)),
        "space": square(field(x, x) - field(x, y)),
        "measure": square(field(x, y) - field(y, y)),
        "sampling": square(field(y, y) - field(state.law, y)),
    }


def _acting(model: Model, mu: AbstractMeasure, points: Float[Array, "n d"]) -> Float[Array, "n d"]:
    own = extra_drift(model.extra, mu, points)
    return own if model.interaction is None else own + interactions.force(model.interaction, mu, points)


def _confinement(model: Model, at: Particles) -> Float[Array, "n d"]:
    if model.confinement is None:
        return jnp.zeros_like(at.positions)
    return -jax.vmap(jax.grad(model.confinement))(at.positions)


def visited(model: Model, state: Coupled) -> dict[str, Float[Array, " d"]]:
    """Observable: the corners `lower`, `upper` of the smallest box around all X_i and Y_i, for `lipschitz`."""
    both = jnp.concatenate([state.particles.positions, state.copies.positions])
    return {"lower": both.min(axis=0), "upper": both.max(axis=0)}


def lipschitz(model: Model, lower=None, upper=None, points: int = 257) -> tuple[float, float]:
    """(ℓ_V, ℓ_W): the largest eigenvalue of −∇²V, and the largest |eigenvalue| of ∇²W_s, over a grid of the region.

    ℓ_V is the one-sided Lipschitz constant of −∇V (negative where V is convex), ℓ_W that of the interaction force; per
    time. They are maxima over grid points, not proofs; a box is convex, so that the first serves between any two of its
    points. **Arguments:** `lower`, `upper`: corners of the region that is
    visited, on R^d, as `visited` records it; displacements then run over its difference set. On a torus the region is
    the torus. `points`: in each dimension.
    **Raises** `ValueError` on R^d without a region, and for a drift that is no gradient or a noise that depends on the
    state, of which the two constants know nothing.
    """
    space = model.space
    parts = [part for part in (model.noise, *model.common) if part is not None]
    require(
        model.extra is None and all(part.additive for part in parts),
        "the constants are those of V and W: this model has a further drift, or a noise that depends on the state.",
    )
    if isinstance(space, Torus):
        lower, upper = np.zeros(space.dim), np.asarray(space.lengths)
        reach = upper / 2
    else:
        require(lower is not None and upper is not None, "on R^d the constants need a region: lower=…, upper=….")
        lower, upper = (np.broadcast_to(np.asarray(c, float), (space.dim,)) for c in (lower, upper))
        reach = upper - lower
    v = _curvatures(model.confinement, lower, upper, points)
    kernel = None if model.interaction is None else model.interaction.kernel
    w = _curvatures(kernel, -reach, reach, points)
    return float(np.max(-v)), float(np.max(np.abs(w)))


def _curvatures(energy, lower: np.ndarray, upper: np.ndarray, points: int) -> np.ndarray:
    """Eigenvalues of the Hessian over a grid; zero for no energy."""
    if energy is None:
        return np.zeros(1)
    axes = [np.linspace(a, b, points) for a, b in zip(lower, upper, strict=True)]
    grid = np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], axis=-1)
    return np.asarray(jnp.linalg.eigvalsh(jax.vmap(jax.hessian(energy))(jnp.asarray(grid))))


def gronwall(times, sampling, constants: tuple[float, float]) -> np.ndarray:
    """e(t) ≤ ∫_0^t e^{L(t−s)} ε(s) ds, L = ℓ_V + 2ℓ_W, for e the root mean square coupling error.

    From e′ ≤ ℓ_V e + ℓ_W e + ℓ_W e + ε: the confinement and the three terms of the decomposition, ε the root mean
    square of the sampling term. **Arguments:** `times`, `sampling`: shape (t,); `constants`: (ℓ_V, ℓ_W) of
    `lipschitz`.
    **Returns** the bound at the times, shape (t,), by the trapezoidal rule; length.
    """
    times, sampling = np.asarray(times), np.asarray(sampling)
    rate = constants[0] + 2 * constants[1]
    bound = np.zeros_like(sampling)
    for i, dt in enumerate(np.diff(times)):
        growth = np.exp(rate * dt)
        bound[i + 1] = growth * bound[i] + 0.5 * dt * (growth * sampling[i] + sampling[i + 1])
    return bound
