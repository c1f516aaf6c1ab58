"""The porous medium equation with drift, ∂_tρ = sΔρ^m + a∇·(xρ), and Barenblatt's profiles.

With p = 1/(m − 1) its only equilibrium is ρ*(x) = k(R² − |x|²)_+^p, k = (a/2sm p)^p, and R is fixed by the mass, 1:
k R^{2p+d} π^{d/2} Γ(p + 1)/Γ(p + 1 + d/2) = 1. Dilations ρ(t, x) = σ^{−d}ρ*(x/σ) solve the equation with
(σ^q)′ = aq(1 − σ^q), q = d(m − 1) + 2 (Vázquez, The porous medium equation, 2007; Otto, Comm. Partial Differential
Equations 26, 2001). F is a-convex along geodesics, sharply, as translations of the equilibrium show.
"""

import math
from functools import partial

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import ArrayLike, Float

from mckean.catalogue.facts import Entry, Fact
from mckean.checks import require
from mckean.measures import Density
from mckean.models import Model, PorousMedium, energy, potentials
from mckean.spaces import AbstractGrid, Euclidean

_REFERENCE = "Otto, Comm. Partial Differential Equations 26 (2001)"


def radius(exponent: float, strength: float, stiffness: float, dim: int) -> float:
    """R, the radius of the equilibrium's support; length."""
    p = 1 / (exponent - 1)
    shape = math.pi ** (dim / 2) * math.gamma(p + 1) / math.gamma(p + 1 + dim / 2)
    return (_height(exponent, strength, stiffness) * shape) ** (-1 / (2 * p + dim))


def _height(exponent: float, strength: float, stiffness: float) -> float:
    return ((exponent - 1) * stiffness / (2 * strength * exponent)) ** (1 / (exponent - 1))


def second_moment(exponent: float, strength: float, stiffness: float, dim: int) -> float:
    """∫|x|²ρ* = dR²/(2p + 2 + d); length²."""
    return dim * radius(exponent, strength, stiffness, dim) ** 2 / (2 / (exponent - 1) + 2 + dim)


def least_energy(exponent: float, strength: float, stiffness: float, dim: int) -> float:
    """F* = aM(1/2 + 1/d(m − 1)), M the second moment, since s d∫ρ*^m = aM; energy."""
    moment = second_moment(exponent, strength, stiffness, dim)
    return stiffness * moment * (0.5 + 1 / (dim * (exponent - 1)))


def dilation(time: float, initial: float, exponent: float, stiffness: float, dim: int) -> float:
    """σ(t) = (1 + (σ_0^q − 1)e^{−aqt})^{1/q}."""
    q = dim * (exponent - 1) + 2
    return (1 + (initial**q - 1) * math.exp(-stiffness * q * time)) ** (1 / q)


def spreading(time: float, initial: float, exponent: float, stiffness: float, dim: int) -> float:
    """σ(t) = (σ_0^q + aqt)^{1/q} without the drift: Barenblatt's solution, in the units of the equilibrium for a."""
    q = dim * (exponent - 1) + 2
    return (initial**q + stiffness * q * time) ** (1 / q)


def barenblatt(
    grid: AbstractGrid,
    exponent: float,
    strength: float,
    stiffness: float,
    scale: float = 1.0,
    centre: Float[ArrayLike, "..."] = 0.0,
) -> Density:
    """σ^{−d}ρ*((x − centre)/σ) on a grid of a box, normalised there; the centre is a point (d,) or a number."""
    reach = radius(exponent, strength, stiffness, grid.space.dim) * scale
    power = 1 / (exponent - 1)
    return Density.from_function(grid, lambda x: jnp.maximum(reach**2 - jnp.sum((x - centre) ** 2), 0.0) ** power)


def porous_medium(exponent: float = 2.0, strength: float = 1.0, stiffness: float = 1.0, dim: int = 1) -> Entry:
    """The porous medium equation with drift: ∂_tρ = sΔρ^m + a∇·(xρ) in R^d.

    **Arguments:**

    - `exponent`: m > 1. Default: 2.
    - `strength`: s > 0, energy times volume^(m − 1). Default: 1.
    - `stiffness`: a > 0, energy per length². Default: 1.
    - `dim`: d. Default: 1.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for other values.

    **Source:** Vázquez, The porous medium equation, 2007; Otto, Comm. Partial Differential Equations 26 (2001).
    """
    require(stiffness > 0, f"an equilibrium needs a confinement a > 0, but {stiffness:g} was given.")
    space = Euclidean(dim)
    model = Model(space, confinement=potentials.Quadratic(stiffness), internal=PorousMedium(exponent, strength))
    given = (exponent, strength, stiffness)
    reach = radius(*given, dim)
    cells = {1: 2000, 2: 200}.get(dim, 60)
    grid = space.grid(cells, (-1.5 * reach,) * dim, (1.5 * reach,) * dim)
    at = partial(barenblatt, grid, *given)
    least = least_energy(*given, dim)
    # The rectangle rule errs at the front, where the profile has the exponent p < 1 for m > 2: by h^{1+p} at most.
    error = 4 * (3 / cells) ** (1 + min(1.0, 1 / (exponent - 1)))
    q = dim * (exponent - 1) + 2
    gap = stiffness * second_moment(*given, dim) * (0.72 + 1.2 ** (2 - q) / (q - 2) - 0.5 - 1 / (q - 2))
    facts = {
        "radius": Fact(
            "R, where δF/δμ on the support is aR²/2", reach, _REFERENCE,
            lambda: _edge(model, at()), error * reach,
        ),
        "least free energy": Fact(
            "F* = aM(1/2 + 1/d(m − 1))", least, _REFERENCE, lambda: float(_energy(model, at())), error * least
        ),
        "second moment": Fact(
            "M = dR²/(2p + 2 + d)", second_moment(*given, dim), _REFERENCE,
            lambda: float(at().integrate(lambda x: jnp.sum(x**2))), error * reach**2,
        ),
        "free energy gap": Fact(
            "F − F* of the dilation by 1.2", gap, _REFERENCE,
            lambda: float(_energy(model, at(scale=1.2)) - _energy(model, at())), error * least,
        ),
        "Polyak–Łojasiewicz constant": Fact("a, sharp", stiffness, _REFERENCE),
    }  # fmt: skip
    return Entry(model, facts)


_energy = eqx.filter_jit(energy.free_energy)


def _edge(model: Model, mu: Density) -> float:
    """R from δF/δμ at the cell with the highest density, which is a plateau: V + U′(ρ) = aR²/2."""
    level = energy.first_variation(model, mu).ravel()[int(jnp.argmax(mu.values))]
    # V at distance 1 from the origin is a/2.
    unit = jnp.zeros(mu.domain.dim).at[0].set(1.0)
    return math.sqrt(float(level / model.confinement(unit)))
