"""An inequality D ≥ 2λ(F − F*) over all measures, tried at the measure that fits it worst."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import require
from mckean.energetics._inequalities import require_gradient
from mckean.measures import AbstractMeasure, Density, Gaussian, relative_entropy
from mckean.models import Model, require_model
from mckean.models.energy import dissipation, free_energy, potential
from mckean.spaces import calculus

# The equilibrium's dissipation over that of the start: more is no equilibrium.
_STILL = 1e-6
# Slopes count with the root of the density, which makes the ascent fast, but not with less than that of this share of
# its maximum: where hardly any mass is, a step would move it by orders of magnitude.
_LEAST = 0.1


def adversary(
    model: Model, start: Density | Gaussian, equilibrium: Density | Gaussian, steps: int = 100
) -> tuple[float, Density | Gaussian]:
    """The least D/2(F − F*) that an ascent finds, and the measure there: no larger λ is a constant of decay.

        D(μ) ≥ 2λ(F(μ) − F*) for all μ   only if   λ ≤ λ(μ) = D(μ)/2(F(μ) − F*)

    It is the ascent of 2λ(F − F*) − D with λ = λ(μ) so far, whose direction is that in which λ(μ) falls, by L-BFGS.
    What it finds bounds the Polyak–Łojasiewicz constant from above. It may stop at a local minimum: try several starts.

    With an equilibrium π, δF/δμ(π) is constant, and F − F* = β⁻¹H(μ|π) + ½∬W d(μ − π)d(μ − π) for densities, with no
    difference of large numbers.

    **Arguments:**

    - `model`: a gradient flow with a thermal noise, without an internal energy.
    - `start`: where the ascent begins, not at the equilibrium: a positive `Density` in dimension 1, or a `Gaussian` in
      any dimension for a linear–quadratic model. All measures on the way are of that kind.
    - `equilibrium`: μ*, of the same kind and on the same grid.
    - `steps`: the most steps. Default: 100.

    **Returns:** λ(μ), per time, and μ.

    **Raises:** `ValueError` for a model that is no gradient flow or has an internal energy, other measures, and a μ*
    that is not still.

    **Source:** Dinkelbach, Management Science 13 (1967), for quotients.
    """
    require_model(model)
    from scipy.optimize import minimize

    require_gradient(model)
    require(model.internal is None, "an adversary is for the entropy of a noise, not for an internal energy.")
    _require_alike(start, equilibrium)
    still, moves = (float(dissipation(model, mu)) for mu in (equilibrium, start))
    require(still <= _STILL * moves, f"D = {still:.3g} at the equilibrium, {moves:.3g} at the start: it is not still.")
    first = _coordinates(start, equilibrium)
    require(bool(np.all(np.isfinite(first))), "an adversary needs a positive density: take a smaller box.")

    def quotient(p: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = _quotient(jnp.asarray(p), model, equilibrium)
        return float(value), np.asarray(slope, np.float64)

    ends = {"maxiter": steps, "ftol": 1e-8, "gtol": 1e-9}
    found = minimize(quotient, first, jac=True, method="L-BFGS-B", options=ends)
    return float(found.fun), _measure(jnp.asarray(found.x), equilibrium)


def _require_alike(start: AbstractMeasure, equilibrium: AbstractMeasure) -> None:
    gaussian = isinstance(start, Gaussian) and isinstance(equilibrium, Gaussian)
    density = isinstance(start, Density) and isinstance(equilibrium, Density) and start.grid == equilibrium.grid
    require(gaussian or density, "an adversary and its equilibrium are two densities on one grid, or two Gaussians.")
    require(gaussian or start.domain.dim == 1, "an adversary among densities is for the line and the circle.")


def _coordinates(mu: Density | Gaussian, equilibrium: Density | Gaussian) -> np.ndarray:
    """The slopes of log ρ/π, or the mean and Cholesky's factor of the covariance, its diagonal by logarithms."""
    if isinstance(mu, Gaussian):
        root = np.linalg.cholesky(np.asarray(mu.covariance, np.float64))
        root[np.diag_indices_from(root)] = np.log(np.diag(root))
        return np.concatenate([np.asarray(mu.mean), root.ravel()])
    assert isinstance(equilibrium, Density), "they are alike"
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.asarray(mu.values, np.float64) / np.asarray(equilibrium.values))
        return np.diff(logs) * np.asarray(_weights(equilibrium))


def _weights(equilibrium: Density) -> Float[Array, " k"]:
    """√π between the nodes."""
    pi = equilibrium.values
    return jnp.sqrt(jnp.maximum(0.5 * (pi[1:] + pi[:-1]), _LEAST * jnp.max(pi)))


def _measure(p: Float[Array, " k"], equilibrium: Density | Gaussian) -> Density | Gaussian:
    if isinstance(equilibrium, Gaussian):
        d = equilibrium.mean.size
        root = p[d:].reshape(d, d)
        root = jnp.tril(root, -1) + jnp.diag(jnp.exp(jnp.diag(root)))
        return eqx.tree_at(lambda m: (m.mean, m.covariance), equilibrium, (p[:d], root @ root.T))
    logs = jnp.concatenate([jnp.zeros(1, p.dtype), jnp.cumsum(p / _weights(equilibrium))])
    values = equilibrium.values * jnp.exp(logs - jnp.max(logs))
    total = calculus.integrate(equilibrium.grid, values)
    return eqx.tree_at(lambda m: m.values, equilibrium, values / total)


@eqx.filter_jit
def _quotient(p: Float[Array, " k"], model: Model, equilibrium: Density | Gaussian) -> tuple[Array, Array]:
    def of(p):
        mu = _measure(p, equilibrium)
        return dissipation(model, mu) / (2 * _gap(model, mu, equilibrium))

    return jax.value_and_grad(of)(p)


def _gap(model: Model, mu: Density | Gaussian, equilibrium: Density | Gaussian) -> Float[Array, ""]:
    """F − F*."""
    if isinstance(mu, Gaussian) or isinstance(equilibrium, Gaussian):
        return free_energy(model, mu) - free_energy(model, equilibrium)
    attraction = potential(model, mu) - potential(model, equilibrium)
    square = calculus.integrate(mu.grid, attraction * (mu.values - equilibrium.values))
    return relative_entropy(mu, equilibrium) / model.beta + 0.5 * square
