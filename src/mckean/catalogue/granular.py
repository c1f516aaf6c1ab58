"""Granular media: V(x) = ax²/2 with the cubic attraction W(z) = c|z|³/3 on the line.

∂_tρ = ∂(ρ∂(β⁻¹ log ρ + V + W*ρ)): grains that lose energy in collisions, in a heat bath (Benedetto, Caglioti, Carrillo
and Pulvirenti, J. Stat. Phys. 91, 1998). W is convex but not uniformly; V makes F a-convex along geodesics (Carrillo,
McCann and Villani, Rev. Mat. Iberoamericana 19, 2003), and as a translation of the equilibrium by m has F − F* = am²/2
and D = a²m², no constant larger than a holds.
"""

import math
from functools import cache, partial

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from mckean.catalogue.facts import Entry, Fact
from mckean.checks import require
from mckean.interactions import kernels
from mckean.measures import Density, Particles
from mckean.models import Model, energy, langevin, potentials
from mckean.spaces import Euclidean

_CONVEX = "Carrillo, McCann and Villani, Rev. Mat. Iberoamericana 19 (2003)"
_COOLING = "Benedetto, Caglioti and Pulvirenti, RAIRO Modél. Math. Anal. Numér. 31 (1997)"


def equilibrium(stiffness: float, strength: float, beta: float, cells: int = 400, centre: float = 0.0) -> Density:
    """ρ* ∝ e^{−β(V + W*ρ*)} by a damped fixed point, moved by `centre`, on a box of ±7 deviations of e^{−βV}."""
    reach = 7 / math.sqrt(beta * stiffness)
    grid = Euclidean(1).grid(cells, centre - reach, centre + reach)
    return Density(grid, jnp.asarray(_fixed_point(stiffness, strength, beta, cells)))


@cache
def _fixed_point(stiffness: float, strength: float, beta: float, cells: int) -> np.ndarray:
    reach = 7 / math.sqrt(beta * stiffness)
    h = 2 * reach / cells
    x = -reach + h * (np.arange(cells) + 0.5)
    pair = strength / 3 * np.abs(x[:, None] - x) ** 3
    rho, change = np.exp(-beta * stiffness * x**2 / 2), math.inf
    rho /= rho.sum() * h
    while change > 1e-14:
        phi = beta * (stiffness * x**2 / 2 + h * pair @ rho)
        new = np.exp(phi.min() - phi)
        # Symmetric, so that rounding cannot grow into a shift of the centre.
        new = new + new[::-1]
        new = 0.5 * rho + 0.5 * new / (new.sum() * h)
        change, rho = float(np.max(np.abs(new - rho)) / rho.max()), new
    return rho / (rho.sum() * h)


def cooling(time: float, distance: float, strength: float) -> float:
    """The distance of two grains without noise and V, r′ = −cr²: r(t) = r_0/(1 + c r_0 t) (Haff's law); length."""
    return distance / (1 + strength * distance * time)


def granular_media(stiffness: float = 1.0, strength: float = 1.0, beta: float = 1.0) -> Entry:
    """Granular media on the line: dX_i = −aX_i dt − (c/N) Σ_j (X_i − X_j)|X_i − X_j| dt + √(2/β) dB_i.

    **Arguments:**

    - `stiffness`: a > 0, energy per length². Default: 1.
    - `strength`: c ≥ 0, energy per length³. Default: 1.
    - `beta`: β > 0, finite, 1/energy. Default: 1.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for other values.

    **Source:** Benedetto, Caglioti, Carrillo and Pulvirenti, J. Stat. Phys. 91 (1998).
    """
    require(
        stiffness > 0 and strength >= 0 and 0 < beta < math.inf,
        f"this model needs a > 0, c ≥ 0 and β > 0, but a = {stiffness:g}, c = {strength:g}, β = {beta:g}.",
    )
    model = langevin(Euclidean(1), potentials.Quadratic(stiffness), kernels.PowerLaw(strength, 3.0), beta=beta)
    at = partial(equilibrium, stiffness, strength, beta)
    facts = {
        "Polyak–Łojasiewicz constant": Fact(
            "a, sharp: D/2(F − F*) of the equilibrium moved by 0.5/√(βa)",
            stiffness,
            _CONVEX,
            lambda: _of_translation(model, at(), at(centre=0.5 / math.sqrt(beta * stiffness))),
            # δF/δμ of a moved equilibrium is linear, which the faces see exactly: rounding in F − F* is left.
            1e-9 * stiffness,
        ),
        "top exponent": Fact("−a of the mean: W is convex, and does not see it", -stiffness, _CONVEX),
        "virial": Fact(
            "a∫x²ρ* + (c/2)∬|x − y|³ρ*ρ* = 1/β", 1 / beta, "closed form: ∫x·∇δF ρ* dx = 0",
            lambda: _virial(model, at()),
            1e-6 / beta,
        ),
        "cooling rate": Fact(
            "r′ = −cr² of two grains at distance r = 0.7, without V", -strength * 0.49, _COOLING,
            lambda: _closing(strength), 1e-12,
        ),
    }  # fmt: skip
    return Entry(model, facts)


def _of_translation(model: Model, still: Density, moved: Density) -> float:
    free_energy, dissipation = eqx.filter_jit(energy.free_energy), eqx.filter_jit(energy.dissipation)
    gap = free_energy(model, moved) - free_energy(model, still)
    return float(dissipation(model, moved) / (2 * gap))


def _virial(model: Model, mu: Density) -> float:
    return float(-mu.grid.cell_volume * jnp.sum(mu.values * mu.grid.nodes[:, 0] * model.velocity(mu.grid, mu)[:, 0]))


def _closing(strength: float) -> float:
    model = langevin(Euclidean(1), interaction=kernels.PowerLaw(strength, 3.0), beta=math.inf)
    x = jnp.array([[0.0], [0.7]])
    force = model.velocity(x, Particles(model.space, x))
    return float(force[1, 0] - force[0, 0])
