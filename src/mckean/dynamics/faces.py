"""What passes through the faces between cells: a Scharfetter–Gummel flux that knows the internal energy.

With L and R the cells on both sides, Δ = R − L, Φ = V + W_s*ρ, and ξ = Φ + β⁻¹ log ρ + U′(ρ),

    F = (p ρ_L − m ρ_R)/h,   p = D B(−u/D),   m = D B(u/D) = p − u,   B(z) = z/(e^z − 1),
    D = β⁻¹ + φ ΔU′/Δlog ρ,   u = −ΔΦ − (1 − φ)ΔU′ + h b,   φ = 4ρ_Lρ_R/(ρ_L + ρ_R)²:

the share φ of the pressure's gradient acts as diffusion, the rest as upwinded transport.

**Steady states.** p/m = e^{u/D}, so that for b = 0 the flux has the sign of −Δξ and vanishes with it: F = −MΔξ/h,
min(ρ_L, ρ_R) ≤ M ≤ max(ρ_L, ρ_R). Next to an empty cell φ = 0, and without noise it is the upwind flux of ξ: the edge
of a support moves where ξ is higher inside, and stays where it is lower. So e^{−βΦ}, Barenblatt's profiles and mixtures
of both stay as they are.

**Order.** M is symmetric in L and R, and so F is of order 2 where ρ is smooth and positive, 1 − φ = O(h²). At a
distance y from an edge where ρ ~ y^p, p = 1/(m − 1), M is off by ρ(h/y)², which adds up to an error in L¹ of h^{1+p}
for p < 1, of h² log(1/h) for p = 1, and of h² for more.

**Signs.** With D and u given, p, m ≥ 0: ρ + dt·dρ/dt is positive if dt·max Σ(p + m)/h² ≤ 1 over the outflow of a cell,
and I − dt·A, whose columns add up to 1, is an M-matrix at any dt.

Source: Scharfetter and Gummel, IEEE Trans. Electron Devices 16 (1969); Schlichting and Seis, IMA J. Numer. Anal. 42
(2022), for aggregation; Bessemoulin-Chatard, Numer. Math. 121 (2012), for D of the pressure; Bailo, Carrillo and Hu,
Commun. Math. Sci. 18 (2020), for the upwind flux of ξ.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.measures import Density
from mckean.models import Model, drift_at
from mckean.models.internal import AbstractInternalEnergy
from mckean.spaces import BoxGrid


class Faces(eqx.Module):
    """The faces behind the cells along an axis, each shared with the next cell; the last is a wall, or the first's.

    `push`: −ΔΦ + h b, energy; `heat`: β⁻¹.
    """

    axis: int = eqx.field(static=True)
    spacing: float = eqx.field(static=True)
    walls: bool = eqx.field(static=True)
    push: Float[Array, "..."]
    heat: Float[Array, ""]
    internal: AbstractInternalEnergy | None

    def rates(self, rho: Float[Array, "..."]) -> tuple[Array, Array]:
        """(p, m)/h²: the rates of passing on to the next cell and back from it; 1/time."""
        return self._between(rho, self.next(rho))

    def flux(self, rho: Float[Array, "..."]) -> Float[Array, "..."]:
        """F/h, density per time."""
        return self._flux(rho, self.next(rho))

    def slopes(self, rho: Float[Array, "..."]) -> tuple[Array, Array]:
        """The flux's derivatives by ρ_L and −ρ_R, which are (p, m)/h² where these do not depend on ρ."""
        sides, one, zero = (rho, self.next(rho)), jnp.ones_like(rho), jnp.zeros_like(rho)
        return jax.jvp(self._flux, sides, (one, zero))[1], jax.jvp(self._flux, sides, (zero, -one))[1]

    def next(self, values: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.roll(values, -1, self.axis)

    def into(self, flux: Float[Array, "..."]) -> Float[Array, "..."]:
        """What comes into each cell less what leaves it."""
        return jnp.roll(flux, 1, self.axis) - flux

    def add_heat(self, heat: Float[Array, ""]) -> "Faces":
        """With more of the heat."""
        return eqx.tree_at(lambda f: f.heat, self, self.heat + heat)

    def _flux(self, left: Array, right: Array) -> Array:
        p, m = self._between(left, right)
        return p * left - m * right

    def _between(self, left: Array, right: Array) -> tuple[Array, Array]:
        diffusion, u = self.mixed(left, right)
        # One exponential serves both, and neither is a difference.
        alike = _alike(diffusion, jnp.abs(u))
        scale = self._open(u.dtype) / self.spacing**2
        return scale * (alike + jnp.maximum(u, 0)), scale * (alike + jnp.maximum(-u, 0))

    def _open(self, dtype) -> Array:
        """One, and zero at the walls."""
        open_ = np.ones(self.push.shape[self.axis], dtype)
        if self.walls:
            open_[-1] = 0
        return jnp.asarray(open_.reshape([-1 if i == self.axis else 1 for i in range(self.push.ndim)]))

    def mixed(self, left: Float[Array, "..."], right: Float[Array, "..."]) -> tuple[Array, Array]:
        """D and u, energy."""
        if self.internal is None:
            return self.heat, self.push
        left, right = (jnp.maximum(rho, _least(rho)) for rho in (left, right))
        jump = self.internal.derivative(right) - self.internal.derivative(left)
        ratio, total = jnp.log(right) - jnp.log(left), left + right
        share = 4 * (left / total) * (right / total)
        # The quotient's rounding is eps/ratio, the derivative's error ratio²; either is lost when multiplied by ratio.
        near = jnp.abs(ratio) < jnp.finfo(ratio.dtype).eps ** (1 / 3)
        limit = jax.jvp(self.internal.pressure, (0.5 * total,), (jnp.ones_like(total),))[1]
        slope = jnp.where(near, limit, jump / jnp.where(near, 1.0, ratio))
        return self.heat + share * slope, self.push - (1 - share) * jump


def _alike(diffusion: Array, u: Array) -> Array:
    """D B(u/D) for u ≥ 0, zero for D = 0."""
    far = diffusion <= jnp.maximum(u / _far(u), _least(u))
    diffusion = jnp.where(far, 1.0, diffusion)
    z = jnp.where(far, 1.0, u) / diffusion
    small = z < 1e-3
    away = jnp.where(small, 1.0, z)
    # Near 0 its series, whose next term is z⁴/720.
    return jnp.where(far, 0.0, diffusion * jnp.where(small, 1 - z / 2 + z * z / 12, away / jnp.expm1(away)))


def _far(values: Array) -> float:
    """A z up to which e^{2z}, which the derivative of B has, is finite: 40 in single precision, 319 in double."""
    return 0.45 * float(np.log(jnp.finfo(values.dtype).max))


def _least(values: Array) -> float:
    """A number that has a square."""
    return float(jnp.finfo(values.dtype).tiny) ** 0.5


def faces(model: Model, density: Density, phi: Float[Array, "..."]) -> list[Faces]:
    """The faces across each axis, for a Φ and the drift of a density."""
    grid = density.grid
    heat = jnp.zeros((), phi.dtype) if model.noise is None else 1 / jnp.asarray(model.beta, phi.dtype)
    drift = None
    if model.drift is not None:
        drift = drift_at(model.drift, grid, density)
    found = []
    for axis, h in enumerate(grid.spacing):
        push = phi - jnp.roll(phi, -1, axis)
        if drift is not None:
            b = drift[:, axis].reshape(grid.shape)
            push = push + 0.5 * h * (b + jnp.roll(b, -1, axis))
        found.append(Faces(axis, h, isinstance(grid, BoxGrid), push, heat, model.internal))
    return found
