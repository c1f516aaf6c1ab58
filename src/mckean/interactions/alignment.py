"""VelocityAlignment: particles that turn their velocities towards those of the others."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.checks import require
from mckean.interactions.evaluation import potential
from mckean.interactions.field import AbstractField
from mckean.interactions.interaction import Interaction, place
from mckean.interactions.kernels import AbstractKernel
from mckean.interactions.sums.sum import Points, at
from mckean.measures import AbstractMeasure, Density, Particles, configuration
from mckean.spaces import AbstractSpace, TangentBundle


class VelocityAlignment(AbstractField):
    """The acceleration towards the velocities of the others, each with a weight of its distance,

        b((x, v), μ) = (0, ∫ψ(x − y)(w − v) dμ(y, w)).

    With ρ the law of the positions, w̄ the mean velocity and ρ_k = ∫(1 + (w_k − w̄_k)/R) μ(·, dw), a law too for R large
    enough, it is R(ψ*ρ_k − ψ*ρ)(x) − (v − w̄)_k (ψ*ρ)(x): d + 1 sums over ψ, each in the way that the library sums a
    pair energy. The even part of ψ acts, so that the momentum is kept.

    **Arguments:**

    - `weight`: ψ, 1/time: a kernel, a scalar function of a displacement (d,), or what `interactions.place` makes of
      them.
    - `space`: the space of the positions, a torus or R^d.

    **Raises:**

    - `ValueError` for a ψ that is not scalar, or not periodic on a torus; when used, for a measure without velocities.

    **Source:** Cucker and Smale, IEEE Trans. Autom. Control 52 (2007); Ha and Liu, Commun. Math. Sci. 7 (2009).
    """

    weight: Interaction

    def __init__(self, weight: AbstractKernel | Callable | Interaction, space: AbstractSpace):
        self.weight = place(weight, TangentBundle(space).base)

    def __call__(self, x: Points, mu: AbstractMeasure) -> Float[Array, "n z"]:
        """b(z_i, μ) at points z = (x, v) of shape (n, 2d), or on the nodes of a grid."""
        z, space = at(x, mu), mu.domain
        if not (isinstance(space, TangentBundle) and isinstance(mu, Particles | Density)):
            raise ValueError(
                "alignment is of particles or a density on a tangent bundle, whose points have velocities, not of a "
                f"{type(mu).__name__} on {space}."
            )
        require(z.ndim == 2 and z.shape[1] == space.dim, f"points (x, v) have shape (n, {space.dim}), not {z.shape}.")
        here = space.position(z)
        near, towards = self.averages(here, mu)
        return space.join(jnp.zeros_like(here), towards - near[:, None] * space.velocity(z))

    def averages(self, x: Points, mu: Particles | Density) -> tuple[Float[Array, " n"], Float[Array, "n d"]]:
        """ψ*ρ and ψ*(ρu) at positions x of shape (n, d), or on a grid of them, ρu = ∫w μ(·, dw)."""
        dim = mu.domain.dim
        near, towards = potential(self.weight, configuration(mu), x), []
        for axis in range(dim // 2, dim):
            tilted, mean, size = _tilted(mu, axis)
            turn = potential(self.weight, configuration(tilted), x) - near
            towards.append(size * turn + mean * near)
        return near, jnp.stack(towards, axis=-1)


def _tilted(mu: Particles | Density, axis: int) -> tuple[Particles | Density, Array, Array]:
    """The law times 1 + (w − w̄)/R, w one coordinate and R twice its largest distance from its mean w̄; w̄; R."""
    if isinstance(mu, Particles):
        w = mu.positions[:, axis]
        mean = mu.mean(w)
    else:
        w = mu.grid.nodes[:, axis].astype(mu.values.dtype).reshape(mu.grid.shape)
        mean = jnp.sum(w * mu.values) * mu.grid.cell_volume
    largest = jax.lax.stop_gradient(2 * jnp.max(jnp.abs(w - mean)))
    size = jnp.where(largest > 0, largest, 1.0)
    tilt = 1 + (w - mean) / size
    if isinstance(mu, Particles):
        masses = tilt / mu.n if mu.weights is None else tilt * mu.weights
        return Particles(mu.space, mu.positions, masses, mu.mesh), mean, size
    return Density(mu.grid, tilt * mu.values), mean, size
