"""The tangent space of the Wasserstein metric at a density: gradients, closed in L²(μ).

A change s of μ, of mean zero, is carried by one field of least energy, v = ∇ψ with −∇·(μ∇ψ) = s, and

    |s|²_{H⁻¹(μ)} = ∫|∇ψ|² dμ = ∫sψ dx,    ⟨s₁, s₂⟩ = ∫∇ψ₁·∇ψ₂ dμ.

On the grid, fields live on the faces and μ there is the mean of the two cells, of order 2 in h; ∇ is minus the adjoint
of ∇·, so that projections are orthogonal, and the two forms of the norm one, to the tolerance of the solve. A field
on the faces is a tuple of d arrays, along axis i one value for each pair of neighbours: on a box one fewer than cells,
on a torus as many, the last joining the last cell to the first.

With ψ = u/√μ the operator is −Δ + Δ√μ/√μ, whose spread is that of a potential, not of μ itself: conjugate gradients,
preconditioned by the Poisson solve for −Δ + c with c the mean of that potential in modulus.

Source: Otto, Comm. Partial Differential Equations 26 (2001); Ambrosio, Gigli and Savaré, Gradient Flows, section 8.4.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.sparse.linalg import cg
from jaxtyping import Array, Float

from mckean.checks import require, require_finite, traced
from mckean.measures import Density
from mckean.measures.measure import on_points
from mckean.spaces.calculus import integrate
from mckean.spaces.staggered import axes_of, divergence, face_centres, gradient, onto_faces, poisson

_MEAN_TOLERANCE = 1e-6
_MAX_ITERATIONS = 2000

Field = tuple[Float[Array, "..."], ...]


class Tangent(eqx.Module):
    """A tangent vector of the Wasserstein space at a density, with its potential: −∇·(μ∇ψ) = s.

    **Attributes:**

    - `mu`: μ, the density.
    - `rate`: s = ∂_tμ in the cells, shape `mu.grid.shape`, 1/(volume·time).
    - `potential`: ψ in the cells, length²/time, with ∫ψ dμ = 0.
    - `residual`: of the solve, ‖s + ∇·(μ∇ψ)‖/‖s‖ in L²(dx/μ).
    """

    mu: Density
    rate: Float[Array, "..."]
    potential: Float[Array, "..."]
    residual: Float[Array, ""]

    @property
    def field(self) -> Field:
        """v = ∇ψ on the faces."""
        return gradient(self.potential, axes_of(self.mu.grid))

    @property
    def norm(self) -> Float[Array, ""]:
        """|s|_{H⁻¹(μ)} = (∫sψ dx)^{1/2}: the speed in W₂, length per time."""
        return jnp.sqrt(jnp.maximum(integrate(self.mu.grid, self.rate * self.potential), 0))


def tangent(mu: Density, rate: Float[Array, "..."]) -> Tangent:
    """The tangent vector of a density with a given rate, −∇·(μ∇ψ) = s, without flux through the walls of a box.

    It can be differentiated in μ and s. Where μ vanishes s must vanish, and ψ is 0 there.

    **Arguments:**

    - `mu`: a `Density` on a box or on a torus.
    - `rate`: s in the cells, shape `mu.grid.shape`, 1/(volume·time), of mean zero.

    **Returns:** a `Tangent`.

    **Raises:** `ValueError` for another measure or shape, and a rate that is not finite, has a mean, or does not vanish
    where μ does. `RuntimeError`, with the residual and the iterations, if the solve does not converge: the support may
    have several pieces, each of which should keep its mass.

    **Source:** Otto, Comm. Partial Differential Equations 26 (2001); Ambrosio, Gigli and Savaré, Gradient Flows,
    section 8.4.
    """
    _check(mu, rate)
    rate = jnp.asarray(rate, mu.values.dtype)
    potential, residual = _solve(mu, rate)
    tolerance = 10 * _tolerance(rate)
    if not traced(residual) and not float(residual) <= tolerance:
        raise RuntimeError(
            f"the potential did not converge: residual {float(residual):.3g} after {_MAX_ITERATIONS} iterations at "
            f"most, where {tolerance:.3g} is asked for; does each piece of the support keep its mass?"
        )
    return Tangent(mu, rate, potential, residual)


def h_minus_one(mu: Density, rate: Float[Array, "..."]) -> Float[Array, ""]:
    """The length of a tangent vector, |s|_{H⁻¹(μ)} = (∫|∇ψ|² dμ)^{1/2} with −∇·(μ∇ψ) = s: a speed in W₂, length/time.

    **Arguments:**

    - `mu`: a `Density` on a box or on a torus.
    - `rate`: s in the cells, shape `mu.grid.shape`, 1/(volume·time), of mean zero.

    **Raises:** what `tangent` raises.
    """
    return tangent(mu, rate).norm


def otto(mu: Density, first: Float[Array, "..."], second: Float[Array, "..."]) -> Float[Array, ""]:
    """Otto's inner product of two rates, ⟨s₁, s₂⟩_μ = ∫∇ψ₁·∇ψ₂ dμ = ∫s₁ψ₂ dx, length²/time².

    **Arguments:**

    - `mu`: a `Density` on a box or on a torus.
    - `first`, `second`: s₁ and s₂ in the cells, shape `mu.grid.shape`, 1/(volume·time), of mean zero.

    **Raises:** what `tangent` raises.
    """
    _check(mu, first)
    return integrate(mu.grid, jnp.asarray(first) * tangent(mu, second).potential)


def helmholtz(mu: Density, field: Callable[[Float[Array, " d"]], Any] | Field) -> Tangent:
    """The orthogonal projection of a field on the closure of gradients in L²(μ): ∇ψ with ∇·(μ(v − ∇ψ)) = 0.

    **Arguments:**

    - `mu`: a `Density` on a box or on a torus.
    - `field`: v, length per time: a function of one point (d,) to (d,), or its normal components on the faces, one
      array for each axis.

    **Returns:** the `Tangent` that v gives to μ; its `field` is the projection.

    **Raises:** `ValueError` for a field of another shape, and what `tangent` raises.
    """
    _density(mu)
    require(callable(field) or isinstance(field, tuple | list), f"a field is a function or a tuple, not {field!r}.")
    faces = on_faces(mu, field) if callable(field) else field
    expected = tuple(part.shape for part in gradient(mu.values, axes_of(mu.grid)))
    if tuple(np.shape(part) for part in faces) != expected:
        raise ValueError(f"a field on the faces of this grid has components of shapes {expected}.")
    axes = axes_of(mu.grid)
    flux = tuple(m * v for m, v in zip(_weights(mu), faces, strict=True))
    return tangent(mu, -divergence(flux, axes))


def inner(mu: Density, first: Field, second: Field) -> Float[Array, ""]:
    """∫v·w dμ of two fields on the faces.

    **Arguments:**

    - `mu`: a `Density`.
    - `first`, `second`: v and w, one array for each axis.
    """
    parts = zip(_weights(mu), first, second, strict=True)
    return mu.grid.cell_volume * jnp.asarray(sum(jnp.sum(m * v * w) for m, v, w in parts))


def on_faces(mu: Density, field: Callable[[Float[Array, " d"]], Any]) -> Field:
    """The normal components of a field on the faces of a density's grid.

    **Arguments:**

    - `mu`: a `Density`.
    - `field`: v, a function of one point (d,) to (d,).

    **Raises:** `ValueError` for a field of another shape.
    """
    grid, parts = mu.grid, []
    shapes = [part.shape for part in gradient(mu.values, axes_of(grid))]
    for i, shape in enumerate(shapes):
        centres = face_centres(grid, i).astype(mu.values.dtype)
        values = on_points(field, centres)
        if values.shape != centres.shape:
            raise ValueError(f"a field maps a point to a vector of dimension {grid.space.dim}.")
        parts.append(values[:, i].reshape(shape))
    return tuple(parts)


def variation(functional: Callable[[Density], Any], mu: Density) -> Float[Array, "..."]:
    """The first variation δF/δμ in the cells, by differentiating F(ρ) in the values of ρ, over the volume of a cell.

    **Arguments:**

    - `functional`: F, from a `Density` to a scalar.
    - `mu`: a `Density`.

    **Raises:** `ValueError` for another measure, and if δF/δμ is not finite.
    """
    _density(mu)
    require(callable(functional), f"a functional is a function of a Density, not {functional!r}.")
    of_values = lambda values: functional(eqx.tree_at(lambda m: m.values, mu, values))  # noqa: E731
    shape = jnp.shape(jax.eval_shape(of_values, mu.values))
    require(shape == (), f"a functional is a number for each density, not an array of shape {shape}.")
    slope = jax.grad(of_values)(mu.values)
    require_finite("the first variation of the functional", slope)
    return slope / mu.grid.cell_volume


def wasserstein_gradient(functional: Callable[[Density], Any], mu: Density) -> Field:
    """The Wasserstein gradient ∇(δF/δμ) of a functional, on the faces; the gradient flow moves by its negative.

    **Arguments:**

    - `functional`: F, from a `Density` to a scalar, which JAX can differentiate.
    - `mu`: a `Density` on a box or on a torus.

    **Returns:** one array for each axis.

    **Raises:** `ValueError` for another measure, and if δF/δμ is not finite, as log ρ in a vacuum.
    """
    return gradient(variation(functional, mu), axes_of(mu.grid))


def _weights(mu: Density) -> Field:
    """μ on the faces; 0 where one of the two cells is empty, since mass that entered it could not be carried on."""
    axes = axes_of(mu.grid)
    means = onto_faces((jnp.maximum(mu.values, 0),) * len(axes), axes)
    inside = onto_faces(((mu.values > 0).astype(mu.values.dtype),) * len(axes), axes)
    return tuple(jnp.where(inhabited == 1, mean, 0.0) for mean, inhabited in zip(means, inside, strict=True))


def _tolerance(values: Array) -> float:
    return max(1e-10, 100 * float(jnp.finfo(values.dtype).eps))


@jax.jit
def _solve(mu: Density, rate: Array) -> tuple[Array, Array]:
    axes, weights, rho = axes_of(mu.grid), _weights(mu), mu.values
    largest = jnp.max(rho)
    floor = jnp.finfo(rho.dtype).eps * largest
    root = jnp.sqrt(jnp.maximum(rho, floor))
    scale = jnp.where(rho > 0, 1 / root, 0.0)

    def operator(u):
        faces = gradient(scale * u, axes)
        return -scale * divergence(tuple(m * v for m, v in zip(weights, faces, strict=True)), axes)

    curvature = jnp.abs(divergence(gradient(root, axes), axes)) * root
    shift = jax.lax.stop_gradient(jnp.sum(curvature) / jnp.sum(root**2))
    shift = shift + sum((1 / (a.n * a.h)) ** 2 for a in axes)
    right = scale * rate
    u, _ = cg(operator, right, tol=_tolerance(rate), maxiter=_MAX_ITERATIONS, M=lambda r: poisson(r, axes, shift))
    size = jnp.linalg.norm(right)
    residual = jnp.linalg.norm(right - operator(u)) / jnp.where(size > 0, size, 1.0)
    potential = scale * u
    mean = jnp.sum(rho * potential) / jnp.sum(rho)
    return jnp.where(rho > 0, potential - mean, 0.0), residual


def _density(mu: Any) -> None:
    if not isinstance(mu, Density):
        raise ValueError(f"the tangent space is computed at a density on a grid, not at a {type(mu).__name__}.")


def _check(mu: Density, rate: Any) -> None:
    _density(mu)
    if np.shape(rate) != mu.grid.shape:
        raise ValueError(f"a rate of change needs the grid's shape {mu.grid.shape}, not {np.shape(rate)}.")
    if traced((mu, rate)):
        return
    require_finite("a rate of change", rate)
    size = float(jnp.sum(jnp.abs(rate)))
    require(
        abs(float(jnp.sum(rate))) <= _MEAN_TOLERANCE * size,
        f"a rate of change keeps the mass, but this one has mean {float(jnp.mean(rate)):.3g}.",
    )
    outside = float(jnp.sum(jnp.where(mu.values > 0, 0.0, jnp.abs(rate))))
    require(
        outside <= _MEAN_TOLERANCE * size,
        "a rate of change must vanish where the density does: no field can carry mass there at finite energy.",
    )
