"""Aggregation with Morse's pair energy, W(z) = C_r e^{−|z|/l_r} − C_a e^{−|z|/l_a}.

Two particles rest at r* = log(C_r l_a/C_a l_r)/(1/l_r − 1/l_a), a minimum, where C_r/l_r > C_a/l_a and l_r < l_a. Many
spread over a volume that grows with N (W is H-stable) if ∫W > 0, and collapse to a size that does not if ∫W < 0:
C_r l_r^d against C_a l_a^d (D'Orsogna, Chuang, Bertozzi and Chayes, Phys. Rev. Lett. 96, 2006). On a circle longer than
the ranges the uniform state is stable without noise where all Ŵ(q) = 2C_r l_r/(1 + l_r²q²) − 2C_a l_a/(1 + l_a²q²) ≥ 0.
"""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from mckean.catalogue.facts import Entry, Fact
from mckean.checks import require
from mckean.interactions import kernels
from mckean.measures import Particles
from mckean.models import Model, energy, langevin
from mckean.spaces import Euclidean

_REFERENCE = "D'Orsogna, Chuang, Bertozzi and Chayes, Phys. Rev. Lett. 96 (2006)"


def distance(repulsion: float, attraction: float, near: float, far: float) -> float:
    """r* = log(C_r l_a/C_a l_r)/(1/l_r − 1/l_a), the distance of two particles at rest; length."""
    return math.log(repulsion * far / (attraction * near)) / (1 / near - 1 / far)


def integral(repulsion: float, attraction: float, near: float, far: float, dim: int) -> float:
    """∫W dx = d! ω_d (C_r l_r^d − C_a l_a^d), ω_d the volume of the unit ball; energy times volume."""
    ball = math.pi ** (dim / 2) / math.gamma(dim / 2 + 1)
    return math.factorial(dim) * ball * (repulsion * near**dim - attraction * far**dim)


def morse(
    repulsion: float = 1.0,
    attraction: float = 0.5,
    repulsion_range: float = 0.5,
    attraction_range: float = 1.0,
    beta: float = math.inf,
    dim: int = 1,
) -> Entry:
    """Aggregation with Morse's pair energy in R^d: dX_i = −(1/N) Σ_{j≠i} ∇W(X_i − X_j) dt + √(2/β) dB_i,

        W(z) = C_r e^{−|z|/l_r} − C_a e^{−|z|/l_a}.

    **Arguments:**

    - `repulsion`, `attraction`: C_r, C_a > 0, energy. Default: 1 and 0.5.
    - `repulsion_range`, `attraction_range`: l_r < l_a, length. Default: 0.5 and 1.
    - `beta`: β, 1/energy. Default: infinite, no noise.
    - `dim`: d. Default: 1.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` unless l_r < l_a and C_r/l_r > C_a/l_a, so that W has its minimum at a distance.

    **Source:** D'Orsogna, Chuang, Bertozzi and Chayes, Phys. Rev. Lett. 96 (2006).
    """
    given = (repulsion, attraction, repulsion_range, attraction_range)
    near, far = repulsion_range, attraction_range
    require(
        min(given) > 0 and near < far and repulsion / near > attraction / far,
        "Morse particles keep a distance where l_r < l_a and C_r/l_r > C_a/l_a, all of them positive.",
    )
    kernel = kernels.Morse(*given)
    model = langevin(Euclidean(dim), interaction=kernel, beta=beta)
    rest = distance(*given)
    depth = repulsion * math.exp(-rest / near) - attraction * math.exp(-rest / far)
    facts = {
        "pair distance": Fact("r*, two particles at rest", rest, _REFERENCE, lambda: _rest(model, rest), 1e-9 * far),
        "pair energy": Fact(
            "energy of two particles at rest, (W(0) + W(r*))/4 each", (repulsion - attraction + depth) / 4, _REFERENCE,
            lambda: float(energy.energy(model, _pair(model, rest))), 1e-12 * (repulsion + attraction),
        ),
        "integral": Fact(
            "∫W: > 0 for H-stable, < 0 for collapsing", integral(*given, dim), _REFERENCE,
            lambda: _integral(kernel, dim, far), 1e-4 * (repulsion * near**dim + attraction * far**dim),
        ),
    }  # fmt: skip
    return Entry(model, facts)


def _pair(model: Model, apart: ArrayLike) -> Particles:
    x = jnp.zeros((2, model.space.dim)).at[:, 0].set(jnp.array([-0.5, 0.5]) * jnp.asarray(apart))
    return Particles(model.space, x)


def _rest(model: Model, guess: float) -> float:
    """The root of the model's own force between two particles, by bisection within a factor two of the guess."""
    force = eqx.filter_jit(lambda r: model.velocity(_pair(model, r).positions, _pair(model, r))[1, 0])
    low, high = 0.5 * guess, 2 * guess
    while high - low > 1e-12 * guess:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if float(force(jnp.asarray(middle))) > 0 else (low, middle)
    return low


def _integral(kernel: kernels.Morse, dim: int, far: float) -> float:
    """∫W by Gauss–Laguerre's rule in the radius, in the unit l_a."""
    node, weight = np.polynomial.laguerre.laggauss(60)
    square = jnp.asarray((node * far) ** 2)
    values = np.asarray(kernel.profile(square)) * np.exp(node) * node ** (dim - 1)
    surface = 2 * math.pi ** (dim / 2) / math.gamma(dim / 2)
    return float(surface * far**dim * np.sum(weight * values))
