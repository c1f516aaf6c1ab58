"""Polynomial kernels: the field depends on finitely many moments of the measure, exactly, in O(n).

W(x − y) is a polynomial of y of degree D in each coordinate, so that it is its own interpolation in (D+1)^d nodes p_k:
with the Lagrange polynomials ℓ_k of Chebyshev's nodes in a box around the cloud,

    W*μ(x) = Σ_k ν_k W(x − p_k),    ν_k = ∫ℓ_k dμ,

and D = 2 has the shorter form by mean and variance.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float

from mckean import collectives
from mckean.checks import positive_integer
from mckean.faults import Status, sound
from mckean.interactions import costs
from mckean.interactions.kernels import AbstractKernel, PowerLaw, Quadratic
from mckean.interactions.memory import once, rung
from mckean.interactions.sums import direct
from mckean.interactions.sums.box import extent_of
from mckean.interactions.sums.sum import AbstractSum, Points, at, atoms
from mckean.measures import AbstractMeasure, Density, Gaussian, Particles, dtype_of, mesh_of
from mckean.spaces import AbstractSpace, Euclidean, Sphere

# Degrees in y that are tried for a function: beyond, nodes are as many as modes would be.
_LARGEST = 8
_MOST_NODES = 1 << 14


class PowerSums(AbstractSum):
    """Sums of powers for a polynomial W on R^d: exact to rounding, O(n (D+1)^d).

    **Arguments:**

    - `degree`: D in each coordinate. Default: None: the kernel's own (`Quadratic`, `PowerLaw` with an even exponent),
      and for a function the one that `plan` finds, up to 8.

    **Raises:**

    - `ValueError` for a degree that is no positive integer.
    """

    degree: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if self.degree is not None:
            positive_integer("the degree of a polynomial kernel is a positive integer", self.degree)

    def refusal(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> str | None:
        if not isinstance(mu.domain, Euclidean | Sphere):
            return "serves on R^d and on spheres: on a torus the nearest image is no polynomial"
        if isinstance(kernel, Quadratic):
            return None
        if not isinstance(mu, Particles | Density):
            return f"has a closed form for a {type(mu).__name__} and a quadratic kernel only"
        if self.degree is None and declared_degree(kernel) is None:
            return "needs a polynomial kernel"
        return None

    def plan(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> "PowerSums":
        if self.degree is not None or declared_degree(kernel) is not None:
            return self
        degree = found_degree(kernel, mu.domain, rung(extent_of(mu, points)))
        if degree is None:
            raise ValueError(f"this kernel is no polynomial of degree {_LARGEST} or less, which PowerSums needs.")
        return PowerSums(degree)

    def inspect(self, mu: AbstractMeasure, points: Points) -> Status:
        return sound(dtype_of(mu))

    def potential(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, " n"]:
        x = at(points, mu)
        if isinstance(kernel, Quadratic):
            mean = _mean(mu).astype(x.dtype)
            spread = _spread(mu, mean).astype(x.dtype)
            return 0.5 * kernel.strength * (jnp.sum((x - mean) ** 2, axis=-1) + spread)
        few = self._few(kernel, mu)
        return collectives.row_by_row(lambda x: direct.potential(kernel, mu.domain, *few, x), mesh_of(mu), x)

    def force(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, "n d"]:
        x = at(points, mu)
        if isinstance(kernel, Quadratic):
            return -kernel.strength * (x - _mean(mu).astype(x.dtype))
        few = self._few(kernel, mu)
        return collectives.row_by_row(lambda x: direct.force(kernel, mu.domain, *few, x), mesh_of(mu), x)

    def _few(self, kernel: AbstractKernel, mu: AbstractMeasure) -> tuple[Float[Array, "k d"], Float[Array, " k"]]:
        """The nodes p_k and their masses ν_k."""
        degree = declared_degree(kernel) if self.degree is None else self.degree
        assert degree is not None, "refused before"
        return few_atoms(*atoms(mu), degree, mesh_of(mu))


def work(points: int, degree: int, dim: int) -> costs.Work:
    """What a force at so many points consists of."""
    return {costs.MOMENT: points * (degree + 1) ** dim}


def declared_degree(kernel: AbstractKernel) -> int | None:
    """The degree of a kernel that is a polynomial by its class."""
    if isinstance(kernel, Quadratic):
        return 2
    if isinstance(kernel, PowerLaw) and kernel.exponent in (2.0, 4.0, 6.0, 8.0):
        return int(kernel.exponent)
    return None


@once
def found_degree(kernel: AbstractKernel, space: AbstractSpace, extent: float) -> int | None:
    """The least even degree at which interpolation gives ∇W back to rounding, at random places of a box."""
    rng = np.random.default_rng(0)
    y, x = (jnp.asarray(rng.uniform(0, extent, (64, space.dim))) for _ in range(2))
    w = jnp.asarray(rng.dirichlet(np.ones(64)))

    degrees = _degrees(space.dim)
    exact, near = _forces(kernel, space, y, w, x)
    slack = 1e4 * float(jnp.finfo(exact.dtype).eps) * float(jnp.max(jnp.abs(exact)))
    return next((d for d, f in zip(degrees, near, strict=True) if float(jnp.max(jnp.abs(f - exact))) <= slack), None)


def _degrees(dim: int) -> list[int]:
    return [d for d in range(2, _LARGEST + 1, 2) if (d + 1) ** dim <= _MOST_NODES]


@eqx.filter_jit
def _forces(kernel: AbstractKernel, space: AbstractSpace, y: Array, w: Array, x: Array) -> tuple[Array, list[Array]]:
    """The force, and that of few atoms for each degree: one program for all parameters of a kernel."""
    few = [few_atoms(y, w, degree) for degree in _degrees(space.dim)]
    return direct.force(kernel, space, y, w, x), [_force(kernel, *atoms, x) for atoms in few]


def _force(kernel: AbstractKernel, y: Array, w: Array, x: Array) -> Float[Array, "n d"]:
    """−Σ_j w_j ∇W(x_i − y_j) of a few, as one array of pairs."""
    return -jnp.einsum("ijd,j->id", jax.vmap(jax.vmap(kernel.gradient))(x[:, None] - y), w)


def few_atoms(
    places: Float[Array, "n d"], masses: Float[Array, " n"], degree: int, mesh: Mesh | None = None
) -> tuple[Float[Array, "k d"], Float[Array, " k"]]:
    """(D+1)^d nodes, with masses that integrate polynomials of degree D in each coordinate as the given atoms do."""
    bounded = jax.lax.stop_gradient(places)
    low, high = jnp.min(bounded, axis=0), jnp.max(bounded, axis=0)
    centre, radius = 0.5 * (low + high), jnp.maximum(0.5 * (high - low), jnp.finfo(places.dtype).tiny ** 0.25)
    node = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))

    def integrals(places, masses):
        s, basis = (places - centre) / radius, masses[:, None]
        for axis in range(places.shape[1]):
            basis = (basis[:, :, None] * _lagrange(s[:, axis], node)[:, None, :]).reshape(len(places), -1)
        return jnp.sum(basis, axis=0)

    found = integrals(places, masses) if mesh is None else collectives.total(integrals, mesh, places, masses)
    nodes = np.stack([m.ravel() for m in np.meshgrid(*[node] * places.shape[1], indexing="ij")], axis=-1)
    return centre + radius * jnp.asarray(nodes, places.dtype), found


def _lagrange(s: Float[Array, " n"], node: np.ndarray) -> Float[Array, "n k"]:
    """ℓ_k(s) at Chebyshev's nodes: (1/m) Σ_j c_j T_j(node_k) T_j(s), c_0 = 1, else 2."""
    m = len(node)
    polynomials = [jnp.ones_like(s), s]
    for _ in range(m - 2):
        polynomials.append(2 * s * polynomials[-1] - polynomials[-2])
    at_nodes = np.cos(np.outer(np.arange(m), np.arccos(node)))
    at_nodes = at_nodes * np.where(np.arange(m) == 0, 1.0, 2.0)[:, None] / m
    return jnp.stack(polynomials[:m], axis=-1) @ jnp.asarray(at_nodes, s.dtype)


def _mean(mu: AbstractMeasure) -> Float[Array, " d"]:
    if isinstance(mu, Particles):
        return mu.mean(mu.positions)
    if isinstance(mu, Gaussian):
        return mu.mean
    return mu.integrate(lambda x: x)


def _spread(mu: AbstractMeasure, centre: Float[Array, " d"]) -> Float[Array, ""]:
    """∫|y − centre|² dμ."""
    if isinstance(mu, Gaussian):
        return jnp.trace(mu.covariance)
    return mu.integrate(lambda y: jnp.sum((y - centre) ** 2))
