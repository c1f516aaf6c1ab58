"""Grönwall's bound of the error of a synchronous coupling, from the Lipschitz constants of the drift."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import require, require_finite
from mckean.dynamics import Carrier, require_coupling
from mckean.models import Model, require_model
from mckean.spaces import TangentBundle, Torus


def visited(model: Model, state: Carrier) -> dict[str, Float[Array, " d"]]:
    """Observable: the corners of the smallest box around all X_i and Y_i, the region for `lipschitz`.

    **Arguments:**

    - `model`: not used.
    - `state`: the particles and their copies.

    **Returns:** `lower` and `upper`, shape (d,) each; length.
    """
    require_coupling(state, 2)
    both = jnp.concatenate([cloud.positions for cloud in state.measures[:2]])
    return {"lower": both.min(axis=0), "upper": both.max(axis=0)}


def lipschitz(model: Model, lower=None, upper=None, points: int = 257) -> tuple[float, float]:
    """The constants ℓ_V = max λ(−∇²V) and ℓ_W = max |λ(∇²W_s)|, λ the eigenvalues, over a grid of a region; per time.

    ℓ_V is the one-sided Lipschitz constant of −∇V, negative where V is convex. ℓ_W is that of the interaction force.
    They are maxima over grid points, not proofs. A box is convex, so ℓ_V holds between any two of its points.

    **Arguments:**

    - `model`: a gradient flow with an additive noise.
    - `lower`, `upper`: on R^d, the corners of the region, from `visited`; length. The displacements run over the
      differences of its points. On a torus the region is the torus.
    - `points`: the number of grid points in each dimension. Default: 257.

    **Returns:** ℓ_V and ℓ_W; per time.

    **Raises:** `ValueError` on R^d without a region, and for a drift that is no gradient or a noise that depends on the
    state: the two constants do not bound these.
    """
    require_model(model)
    space = model.space
    require(
        not isinstance(space, TangentBundle), "with velocities the drift is no gradient, and V and W do not bound it."
    )
    parts = [part for part in (model.noise, *model.common) if part is not None]
    require(
        model.drift is None and all(part.additive for part in parts),
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
    """Grönwall's bound e(t) ≤ ∫_0^t e^{L(t−s)} ε(s) ds, L = ℓ_V + 2ℓ_W, of the root mean square coupling error e.

    It follows from e′ ≤ ℓ_V e + ℓ_W e + ℓ_W e + ε: the confinement and the three terms of `coupling_terms`, with ε the
    root mean square of the sampling term.

    **Arguments:**

    - `times`: shape (t,); time.
    - `sampling`: ε at the times, shape (t,); length per time.
    - `constants`: (ℓ_V, ℓ_W) from `lipschitz`, per time.

    **Returns:** the bound at the times, shape (t,), by the trapezoidal rule; length.

    **Raises:** `ValueError` for times that do not increase, another number of ε, and values that are not finite.

    **Source:** Sznitman, Topics in propagation of chaos (1991).
    """
    times, sampling = np.asarray(times, float), np.asarray(sampling, float)
    require(times.ndim == 1 and np.all(np.diff(times) > 0), "the times of a bound are a list that increases.")
    require(sampling.shape == times.shape, f"there is an ε for each of the {times.size} times, not {sampling.shape}.")
    require_finite("the sampling error ε", sampling)
    rate = constants[0] + 2 * constants[1]
    bound = np.zeros_like(sampling)
    for i, dt in enumerate(np.diff(times)):
        growth = np.exp(rate * dt)
        bound[i + 1] = growth * bound[i] + 0.5 * dt * (growth * sampling[i] + sampling[i + 1])
    return bound
