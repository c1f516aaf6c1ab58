"""An inequality D ≥ 2λ(F − F*) over all measures, tried at the measure that fits it worst."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import require
from mckean.energetics._inequalities import require_gradient
from mckean.measures import Density, Gaussian, relative_entropy
from mckean.models import Model
from mckean.models.energy import dissipation, free_energy, potential

# The equilibrium's dissipation over that of the start: more is no equilibrium.
_STILL = 1e-6


def adversary(
    model: Model, start: Density | Gaussian, equilibrium: Density | Gaussian, steps: int = 500
) -> tuple[float, Density | Gaussian]:
    """The least D/2(F − F*) that an ascent finds, and the measure there: no larger λ is a constant of decay.

        D(μ) ≥ 2λ(F(μ) − F*) for all μ   only if   λ ≤ λ(μ) = D(μ)/2(F(μ) − F*)

    It is the ascent of 2λ(F − F*) − D with λ = λ(μ) so far, whose direction is that in which λ(μ) falls, with the
    curvature of L-BFGS. What it finds bounds the Polyak–Łojasiewicz constant from above. It may stop at a local
    minimum: try several starts.

    With an equilibrium π, δF/δμ(π) is constant, and F − F* = β⁻¹H(μ|π) + ½∬W d(μ − π)d(μ − π) for densities, with no
    difference of large numbers.

    **Arguments:**

    - `model`: a gradient flow with a thermal noise, without an internal energy.
    - `start`: where the ascent begins, not at the equilibrium: a positive `Density`, or a `Gaussian` for a
      linear–quadratic model, and then all measures on the way are of that kind.
    - `equilibrium`: μ*, of the same kind and on the same grid.
    - `steps`: the most steps. Default: 500.

    **Returns:** λ(μ), per time, and μ.

    **Raises:** `ValueError` for a model that is no gradient flow or has an internal energy, measures of two kinds or
    without a positive density, and a μ* that is not still.

    **Source:** Dinkelbach, Management Science 13 (1967), for quotients.
    """
    from scipy.optimize import minimize

    require_gradient(model)
    require(model.internal is None, "an adversary is for the entropy of a noise, not for an internal energy.")
    alike = type(start) is type(equilibrium) and getattr(start, "grid", None) == getattr(equilibrium, "grid", None)
    require(alike and isinstance(start, Density | Gaussian), "an adversary and its equilibrium are of one kind: "
            "two densities on one grid, or two Gaussians.")  # fmt: skip
    still, moves = (float(dissipation(model, mu)) for mu in (equilibrium, start))
    require(
        still <= _STILL * moves, f"D = {still:.3g} at the equilibrium and {moves:.3g} at the start: it is not still."
    )
    first = _coordinates(start, equilibrium)
    require(bool(np.all(np.isfinite(first))), "an adversary needs a positive density: take a smaller box.")

    def quotient(p: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = _quotient(jnp.asarray(p), model, equilibrium)
        return float(value), np.asarray(slope, np.float64)

    found = minimize(quotient, first, jac=True, method="L-BFGS-B", options={"maxiter": steps, "ftol": 0, "gtol": 1e-9})
    return float(found.fun), _measure(jnp.asarray(found.x), equilibrium)


def _coordinates(mu: Density | Gaussian, equilibrium: Density | Gaussian) -> np.ndarray:
    """log ρ/π, or the mean and the logarithm of the diagonal and the rest of Cholesky's factor of the covariance."""
    if isinstance(mu, Gaussian):
        root = np.linalg.cholesky(np.asarray(mu.covariance, np.float64))
        root[np.diag_indices_from(root)] = np.log(np.diag(root))
        return np.concatenate([np.asarray(mu.mean), root.ravel()])
    assert isinstance(equilibrium, Density), "of one kind"
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(np.asarray(mu.values, np.float64) / np.asarray(equilibrium.values)).ravel()


def _measure(p: Float[Array, " k"], equilibrium: Density | Gaussian) -> Density | Gaussian:
    if isinstance(equilibrium, Gaussian):
        d = equilibrium.mean.size
        root = p[d:].reshape(d, d)
        root = jnp.tril(root, -1) + jnp.diag(jnp.exp(jnp.diag(root)))
        return eqx.tree_at(lambda m: (m.mean, m.covariance), equilibrium, (p[:d], root @ root.T))
    values = equilibrium.values * jnp.exp(p - jnp.max(p)).reshape(equilibrium.values.shape)
    total = jnp.sum(values) * equilibrium.grid.cell_volume
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
    square = jnp.sum(attraction * (mu.values - equilibrium.values)) * mu.grid.cell_volume
    return relative_entropy(mu, equilibrium) / model.beta + 0.5 * square
