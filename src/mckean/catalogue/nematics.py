"""Rods in space after Maier and Saupe: directions on S² whose pair energy is −κP_2(⟨x, y⟩), P_2(t) = (3t² − 1)/2.

A steady state is ρ ∝ e^{AP_2(⟨e, x⟩)} about an axis e, with A = βκS and S = ⟨P_2⟩. With Z(A) = ∫_{−1}^1 e^{AP_2} dt,

    S(A) = Z′(A)/Z(A),   βκ = A/S(A),   β(F − F_uniform) = AS(A)/2 − log(Z(A)/2).

The uniform state loses its stability at βκ = 5, as P_2 is convolved to P_2/5 (Funk and Hecke). βκ is least at the fold,
and order and disorder have the same F in between: the transition is discontinuous.
"""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.catalogue.facts import Entry, Fact
from mckean.checks import require
from mckean.interactions import kernels
from mckean.interactions.parameters import parameter
from mckean.measures import Density
from mckean.models import Model, energy, langevin
from mckean.spaces import Sphere

_SPACE = Sphere(3)
_AXIS = (0.0, 0.0, 1.0)
_REFERENCE = "Maier and Saupe, Z. Naturforsch. A 14 (1959)"
# Gauss's nodes, which are exact to rounding for e^{AP_2} with A < 60.
_NODES = 120


def second_legendre(t):
    """P_2(t) = (3t² − 1)/2."""
    return 1.5 * t**2 - 0.5


def nematic(strength: float = 5.5, beta: float = 1.0) -> Entry:
    """Rods in space after Maier and Saupe: W(x, y) = −κP_2(⟨x, y⟩) for directions x, y on S².

    **Arguments:**

    - `strength`: κ > 0, energy. Default: 5.5.
    - `beta`: β > 0, 1/energy. Default: 1.

    **Returns:** an `Entry`: the model and its facts. "order parameter" is S of the most ordered state.

    **Raises:** `ValueError` for other values, and for βκ above 50, which the quadrature of S does not resolve.

    **Source:** Maier and Saupe, Z. Naturforsch. A 14 (1959); Fatkullin and Slastikov, Nonlinearity 18 (2005), for all
    steady states.
    """
    require(0 < strength < math.inf, f"a strength κ is a positive number, but {strength} was given.")
    require(0 < beta < math.inf, f"an inverse temperature β is a positive number, but {beta} was given.")
    require(beta * strength <= 50, f"βκ = {beta * strength:g} is above 50: the quadrature of S does not resolve that.")
    model = langevin(_SPACE, interaction=kernels.Zonal(_Legendre(strength)), beta=beta)
    fold, sharp = _fold(), 5.0
    a = _ordered(beta * strength, fold)
    order, gap = (0.0, 0.0) if a is None else (_order(a), _gap(a) / beta)
    facts = {
        "critical strength": Fact("κ_♯ = 5/β", sharp / beta, _REFERENCE, lambda: _threshold(model, strength), 1e-9),
        "fold": Fact("least βκ = A/S(A), over β", fold[1] / beta, _REFERENCE),
        "coexistence": Fact("κ_c, where AS/2 = log(Z/2)", _coexistence(fold) / beta, _REFERENCE),
        "order parameter": Fact(
            "S = Z′(A)/Z(A) for A = βκS", order, _REFERENCE, lambda: _pull(model, strength, a), 1e-9
        ),
        "free energy gap": Fact(
            "F − F_uniform = (AS/2 − log(Z/2))/β", gap, _REFERENCE, lambda: _difference(model, a), 1e-9 / beta
        ),
    }
    return Entry(model, facts)


class _Legendre(eqx.Module):
    """−κP_2."""

    strength: Float[Array, ""] = eqx.field(converter=parameter)

    def __call__(self, t: Float[Array, ""]) -> Float[Array, ""]:
        return -self.strength * second_legendre(t)


def _moments(a: float) -> tuple[float, float, float]:
    """log(Z/2), S and the variance of P_2."""
    t, weight = np.polynomial.legendre.leggauss(_NODES)
    p = second_legendre(t)
    mass = 0.5 * weight * np.exp(a * p)
    z = mass.sum()
    s = float(mass @ p / z)
    return float(np.log(z)), s, float(mass @ (p - s) ** 2 / z)


def _order(a: float) -> float:
    return _moments(a)[1]


def _gap(a: float) -> float:
    """β(F − F_uniform)."""
    log, s, _ = _moments(a)
    return 0.5 * a * s - log


def _fold() -> tuple[float, float]:
    """A and βκ where A/S(A) is least."""

    def slope(a: float) -> float:
        _, s, spread = _moments(a)
        return s - a * spread

    from scipy.optimize import brentq

    a = float(brentq(slope, 0.05, 5.0, xtol=1e-15))  # pyright: ignore[reportArgumentType]
    return a, a / _order(a)


def _ordered(coupling: float, fold: tuple[float, float]) -> float | None:
    """The largest A with A = βκS(A); none below the fold."""
    if coupling < fold[1]:
        return None
    from scipy.optimize import brentq

    return float(brentq(lambda a: a - coupling * _order(a), fold[0], coupling, xtol=1e-15))  # pyright: ignore[reportArgumentType]


def _coexistence(fold: tuple[float, float]) -> float:
    from scipy.optimize import brentq

    a = float(brentq(_gap, fold[0], 10.0, xtol=1e-15))  # pyright: ignore[reportArgumentType]
    return a / _order(a)


def _density(a: float | None) -> Density:
    return Density.from_function(_SPACE.grid(64, axis=_AXIS), lambda x: jnp.exp((a or 0.0) * second_legendre(x[2])))


def _pull(model: Model, strength: float, a: float | None) -> float:
    """S from the potential −κSP_2 at the nodes."""
    density = _density(a)
    u, p = np.asarray(energy.potential(model, density)), np.asarray(second_legendre(density.grid.nodes[:, 2]))
    return float(-(u.ravel() @ p) / (p @ p) / strength)


def _difference(model: Model, a: float | None) -> float:
    return float(energy.free_energy(model, _density(a)) - energy.free_energy(model, _density(None)))


def _threshold(model: Model, strength: float) -> float:
    """From the potential −½κŴP_2 of the density (1 + ½P_2)/4π."""
    density = Density.from_function(_SPACE.grid(8, axis=_AXIS), lambda x: 1 + 0.5 * second_legendre(x[2]))
    u, p = np.asarray(energy.potential(model, density)), np.asarray(second_legendre(density.grid.nodes[:, 2]))
    return strength / (float(model.beta) * float(-2 * (u.ravel() @ p) / (p @ p)))
