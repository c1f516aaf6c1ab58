"""The law of N particles as the law of one: the N-body Fokker–Planck equation.

The particle system dX_i = −∇V(X_i)dt − (1/N)Σ_j∇W_s(X_i − X_j)dt + √(2/β)dB_i in dimension d is one particle in
dimension N·d, in the potential H_N = Σ_iV(x_i) + (1/2N)Σ_ijW_s(x_i − x_j) and without interaction. Its law f solves

    ∂_t f = ∇·(f∇H_N) + β⁻¹Δf,

the Fokker–Planck (at β = ∞ the Liouville) equation of N bodies, which `evolve` solves like any other, with the promises
of its schemes: mass, positivity, and a free energy ∫H_N f + β⁻¹∫f log f = β⁻¹H(f|π_N) + const that falls, with
dH(f|π_N)/dt = −β⁻¹I(f|π_N) and π_N ∝ e^{−βH_N}.

On the circle S¹ the coordinate of a particle is its angle θ, x = (cos θ, sin θ), with τ = (−sin θ, cos θ). A field v of
R² moves it by dθ = ⟨τ, v⟩, in the calculus of the noise: by Itô too, as the normal part of dx does not turn x.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.checks import require
from mckean.interactions.kernels import AbstractKernel
from mckean.measures import AbstractMeasure, Density, Particles
from mckean.measures.density import require_inside, surroundings
from mckean.measures.products import product_space
from mckean.models import AbstractNoise, Additive, Model, Multiplicative, Thermal, drift_at, require_model
from mckean.spaces import AbstractGrid, AbstractSpace, AbstractSphericalGrid, Sphere

_MOST = 3


def liouville(model: Model, n: int) -> Model:
    """The n-particle system of a model as a model of one particle on the product space, for N·d ≤ 3.

        ∂_t f = ∇·(f∇H_N) + β⁻¹Δf,   H_N = Σ_i V(x_i) + (1/2N) Σ_ij W_s(x_i − x_j)

    Its law on a grid, say from `tensor_power`, is the law of the particles: `marginal` gives that of
    a few of them. A drift b(x_i, μ^N), an own noise σ(x_i, μ^N) dB_i and a common noise σ_k(x_i, μ^N) dB⁰_k are
    stacked, μ^N the empirical measure of the points; with a common noise the law is that given the environment.
    `Spectral` and `FluxLimited` solve it on a torus, `FiniteVolume` on a torus and on boxes. Of a model on the circle
    S¹, `Sphere(2)`, it is the system of the angles, on a torus.

    **Arguments:**

    - `model`: of one particle, in dimension d, on S¹ d = 1.
    - `n`: N ≥ 1. Cost: M^{Nd} nodes for M nodes in each dimension, and N² pairs at each.

    **Returns:** a `Model` on the product space, without an interaction.

    **Raises:** `ValueError` for N·d > 3, for a sphere S^{d−1}, d ≥ 3, for an internal energy, and for a kernel that is
    singular at 0: at some nodes of the product grid two particles coincide.
    """
    require_model(model)
    space = product_space(model.space, n)
    require(
        space.dim <= _MOST,
        f"the law of {n} particles in dimension {model.space.tangent_dim} has dimension {space.dim}, but on a grid at "
        f"most {_MOST} are held: take fewer particles, or sample them.",
    )
    require(
        model.interaction is None or not model.interaction.kernel.singular,
        "the kernel is singular at 0, but the product grid has nodes where two particles coincide.",
    )
    require(model.internal is None, "an internal energy belongs to a density: particles have none.")
    kernel = None if model.interaction is None else model.interaction.kernel
    forces = model.confinement is not None or kernel is not None
    return Model(
        space,
        confinement=_Energy(model.space, model.confinement, kernel, n) if forces else None,
        drift=None if model.drift is None else _Drift(model.space, model.drift, n),
        noise=_own(model, n),
        common=tuple(_common(model.space, part, n) for part in model.common),
    )


def gibbs_density(system: Model, grid: AbstractGrid) -> Density:
    """The Gibbs law π_N ∝ e^{−βH_N} on a grid of the product space, normalised to mass 1 on the grid.

    **Arguments:**

    - `system`: the N-particle system as one particle, from `liouville`.
    - `grid`: a grid of its space.

    **Returns:** a `Density`.

    **Raises:** `ValueError` for a grid of another space, and for a system without a Gibbs law: with a drift that is no
    gradient, with a common noise, without a thermal noise, with an interaction (call `liouville` first), or in R^d
    without V and W; and for a box that misses more than 1e-3 of its mass,
    saying how much.
    """
    require_model(system)
    require(grid.space == system.space, f"the system lives on {system.space}, but the grid on {grid.space}.")
    require(system.interaction is None, "this model has an interaction: take liouville(model, n) first.")
    require(system.drift is None, "a system with a drift beside its energy has no known Gibbs law.")
    require(not system.common, "under a common noise the law of the particles is random: there is no Gibbs law.")
    require(isinstance(system.noise, Thermal), "only a system with thermal noise has a Gibbs law.")
    energy = system.confinement
    require(energy is not None or system.space.volume < float("inf"), "without a confinement R^d has no Gibbs law.")
    if isinstance(grid, AbstractSphericalGrid):
        log = lambda x: 0.0 if energy is None else -system.beta * energy(x)  # noqa: E731
        top = jnp.max(jax.vmap(log)(grid.nodes))
        return Density.from_function(grid, lambda x: jnp.exp(log(x) - top))
    around, volume = surroundings(grid)
    nodes = jnp.concatenate([jnp.asarray(grid.nodes, float), jnp.asarray(around, float)])
    levels = jnp.zeros(len(nodes)) if energy is None else jax.vmap(energy)(nodes)
    levels = levels - jnp.min(levels[: grid.size])
    weights = jnp.exp(-system.beta * levels)
    inside, outside = jnp.sum(weights[: grid.size]) * grid.cell_volume, jnp.nansum(weights[grid.size :]) * volume
    require_inside(1 - inside / (inside + outside), "Gibbs law")
    return Density(grid, (weights[: grid.size] / inside).reshape(grid.shape))


def _positions(space: AbstractSpace, n: int, x: Float[Array, " m"]) -> Float[Array, "n d"]:
    """The n points that a point of the product space is."""
    return jnp.stack([jnp.cos(x), jnp.sin(x)], axis=1) if isinstance(space, Sphere) else x.reshape(n, space.dim)


def _along(cloud: Particles, fields: Float[Array, "n d *m"]) -> Float[Array, "n t *m"]:
    """Vectors at the points in the coordinates of the product space."""
    if not isinstance(cloud.space, Sphere):
        return fields
    cos, sin = cloud.positions.T
    return jnp.einsum("nd,nd...->n...", jnp.stack([-sin, cos], axis=1), fields)[:, None]


class _Energy(eqx.Module):
    """H_N as a function of the product space."""

    space: AbstractSpace
    confinement: Any
    kernel: AbstractKernel | None
    n: int = eqx.field(static=True)

    def __call__(self, x: Float[Array, " m"]) -> Float[Array, ""]:
        points = _positions(self.space, self.n, x)
        total = jnp.zeros((), x.dtype)
        if self.confinement is not None:
            total = total + jnp.sum(jax.vmap(self.confinement)(points))
        if self.kernel is not None:
            one, other = points[:, None], points[None, :]
            # On a sphere W is a function of the chord.
            apart = one - other if isinstance(self.space, Sphere) else self.space.displacement(one, other)
            pairs = apart.reshape(-1, self.space.dim)
            total = total + jnp.sum(jax.vmap(self._pair)(pairs)) / (2 * self.n)
        return total

    def _pair(self, z: Float[Array, " d"]) -> Float[Array, ""]:
        """W_s(z), with the gradient 0 at 0 also where W has a kink."""
        assert self.kernel is not None
        zero = jnp.all(z == 0)
        return jnp.where(zero, self.kernel(jnp.zeros_like(z)), self.kernel(jnp.where(zero, jnp.ones_like(z), z)))


class _Drift(eqx.Module):
    """(b(x_1, μ^N), …, b(x_N, μ^N))."""

    space: AbstractSpace
    drift: Any
    n: int = eqx.field(static=True)

    def __call__(self, x: Float[Array, " m"], mu: AbstractMeasure) -> Float[Array, " m"]:
        cloud = Particles(self.space, _positions(self.space, self.n, x))
        return _along(cloud, drift_at(self.drift, cloud.positions, cloud)).ravel()


class _Fields(eqx.Module):
    """The matrix that acts on the motions of all particles: in blocks where each has its own, else one on another."""

    space: AbstractSpace
    noise: AbstractNoise
    n: int = eqx.field(static=True)
    shared: bool = eqx.field(static=True)

    def __call__(self, x: Float[Array, " m"], mu: AbstractMeasure) -> Float[Array, "m k"]:
        cloud = Particles(self.space, _positions(self.space, self.n, x))
        sigma = _along(cloud, self.noise.matrix(cloud.positions, cloud))
        return sigma.reshape(x.size, -1) if self.shared else jax.scipy.linalg.block_diag(*sigma)


def _own(model: Model, n: int) -> AbstractNoise | None:
    if isinstance(model.space, Sphere) and isinstance(model.noise, Additive):
        return model.noise  # isotropic, of any number of coordinates
    if model.noise is None or isinstance(model.noise, Thermal):
        return model.noise
    return Multiplicative(_Fields(model.space, model.noise, n, shared=False), model.noise.calculus)


def _common(space: AbstractSpace, noise: AbstractNoise, n: int) -> AbstractNoise:
    """An additive noise remains one, as its schemes are exact; on S¹ it is a⟨τ, dB⁰⟩, ∂τ orthogonal to τ."""
    if isinstance(noise, Additive) and not isinstance(space, Sphere):
        return Additive(jnp.tile(noise.square(space.dim), (n, 1)))
    calculus = "stratonovich" if noise.ito_is_stratonovich else noise.calculus
    return Multiplicative(_Fields(space, noise, n, shared=True), calculus)
