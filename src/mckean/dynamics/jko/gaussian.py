"""The minimising movement of a Gaussian in a linear–quadratic model, in closed form in every dimension.

With H the Hessian of V + W_s, K = I + τH and ε = τ/β, the new covariance X and the map P = K − εX⁻¹ back to the old
one S satisfy P X P = S, that is KXK − 2εK + ε²X⁻¹ = S. With Y = K^{1/2} X K^{1/2} and M = K^{−1/2} S K^{−1/2},

    Y − 2εI + ε²Y⁻¹ = M,    so that Y = ((M^{1/2} + (M + 4εI)^{1/2})/2)²,

the root for which P ≥ 0. The mean obeys implicit Euler, m⁺ = m − τ∇(V + W_s*μ⁺)(m⁺).
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mckean.dynamics.jko.linear import solve_symmetric
from mckean.measures import Gaussian
from mckean.models import Model


def move(model: Model, mu: Gaussian, tau: Float[Array, ""]) -> tuple[Gaussian, Float[Array, ""]]:
    """The minimiser, and F(μ⁺) + W₂²/2τ − F(μ), which is not positive; energy."""
    mean, hessian, rate = _mean(model, mu, tau)
    unit = jnp.eye(mean.shape[0], dtype=mean.dtype)
    stiffness = unit + tau * hessian
    root = _square_root(stiffness)
    middle = jnp.linalg.solve(root, jnp.linalg.solve(root, mu.covariance).T)
    if model.noise is None:
        y, back = middle, stiffness - unit
    else:
        eps = tau / model.beta
        y = _spread(0.5 * (middle + middle.T), eps)
        back = stiffness - eps * root @ jnp.linalg.solve(y, root) - unit
    covariance = jnp.linalg.solve(root, jnp.linalg.solve(root, y).T)
    covariance = 0.5 * (covariance + covariance.T)
    # tr (P − I) X (P − I) = tr S + tr X − 2 tr PX, where PX = KX − ε.
    shift = mean - mu.mean
    square = jnp.sum(shift**2) + jnp.sum((back @ covariance) * back)
    work = jnp.dot(rate, shift) + 0.5 * jnp.sum(hessian * (covariance - mu.covariance))
    heat = 0.0
    if model.noise is not None:
        old, new = (jnp.linalg.slogdet(s)[1] for s in (mu.covariance, covariance))
        heat = -0.5 / model.beta * (new - old)
    state = _with(mu, mean, covariance)
    return state, jax.lax.stop_gradient(work + heat + square / (2 * tau))


def _square_root(k: Array) -> Array:
    """K^{1/2}, with a derivative also where eigenvalues are equal: D with K^{1/2}D + DK^{1/2} = dK."""

    def find(_, k: Array) -> Array:
        values, frame = jnp.linalg.eigh(k)
        return (frame * jnp.sqrt(values)) @ frame.T

    return jax.lax.custom_root(lambda r: r @ r - k, k, find, _symmetric_solve)


def _spread(m: Array, eps: Array) -> Array:
    """Y with Y − 2ε + ε²Y⁻¹ = M and Y ≥ ε; its derivative has D − ε²Y⁻¹DY⁻¹ = dM."""

    def find(_, m: Array) -> Array:
        values, frame = jnp.linalg.eigh(m)
        values = jnp.maximum(values, 0)
        return (frame * (0.5 * (jnp.sqrt(values) + jnp.sqrt(values + 4 * eps))) ** 2) @ frame.T

    unit = jnp.eye(m.shape[0], dtype=m.dtype)
    return jax.lax.custom_root(lambda y: y - 2 * eps * unit + eps**2 * jnp.linalg.inv(y) - m, m, find, _symmetric_solve)


def _symmetric_solve(apply: Callable, y: Array) -> Array:
    """The solution of a symmetric positive definite equation for a matrix."""
    return solve_symmetric(apply, y, 8 * float(jnp.finfo(y.dtype).eps), 4 * y.size)


def curvature(model: Model, mu: Gaussian) -> tuple[Float[Array, " d"], Float[Array, " d"]]:
    """The eigenvalues of the Hessians of V and of V + W_s, energy per length²; τ times each must exceed −1."""
    slope, spread = _slopes(model, mu)
    return tuple(jnp.linalg.eigvalsh(jax.jacfwd(f)(mu.mean)) for f in (slope, spread))  # pyright: ignore


def _with(mu: Gaussian, mean: Array, covariance: Array) -> Gaussian:
    """Another Gaussian in the precision of the first."""
    return eqx.tree_at(lambda g: (g.mean, g.covariance), mu, (mean, covariance))


def _slopes(model: Model, mu: Gaussian):
    at = lambda m: _with(mu, m, mu.covariance)  # noqa: E731
    slope = lambda m: -model.force(m[None], at(m))[0]  # noqa: E731
    spread = lambda x: -model.force(x[None], mu)[0]  # noqa: E731
    return slope, spread


def _mean(model: Model, mu: Gaussian, tau: Array) -> tuple[Array, Array, Array]:
    """The new mean, the Hessian of V + W_s, and the mean of ∇(V + W_s*μ) at the old and the new mean."""
    slope, spread = _slopes(model, mu)
    unit = jnp.eye(mu.mean.shape[0], dtype=mu.mean.dtype)
    gradient, inner = slope(mu.mean), jax.jacfwd(slope)(mu.mean)
    shift = -jnp.linalg.solve(unit + tau * inner, tau * gradient)
    return mu.mean + shift, jax.jacfwd(spread)(mu.mean), gradient + 0.5 * inner @ shift
