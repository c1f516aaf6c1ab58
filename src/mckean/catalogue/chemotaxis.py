"""Chemotaxis after Keller and Segel, ∂_tρ = β⁻¹Δρ + ∇·(ρ∇W*ρ) with ΔW = χδ in the plane.

In the plane W = (χ/2π) log|x|, on the line its one-dimensional copy W = χ log|x|; write W = c log|x|. As x·∇W = c for
any two particles, the spread Q = E(1/N)Σ|X_i − X̄|² moves at a rate that no law enters,

    dQ/dt = (1 − 1/N)(2d/β − c),     N → ∞ for the law,

which is negative, so that the law must collapse, beyond c = 2d/β: χ = 8π/β in the plane, 2/β on the line (Blanchet,
Dolbeault and Perthame, Electron. J. Differential Equations 44, 2006; Blanchet, Calvez and Carrillo, SIAM J. Numer.
Anal. 46, 2008; Fournier and Jourdain, Ann. Appl. Probab. 27, 2017). On a torus, where ΔW = χ(δ − 1/|T|), the uniform
state is stable up to χ = |T|(2π/L)²/β, L the longest side.
"""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from mckean.catalogue.facts import Entry, Fact
from mckean.checks import require
from mckean.interactions import kernels
from mckean.measures import Density, Particles
from mckean.models import Model, energy, langevin
from mckean.spaces import AbstractSpace, Euclidean, Torus

_PLANE = "Blanchet, Dolbeault and Perthame, Electron. J. Differential Equations 44 (2006)"


def logarithm(strength: float, dim: int) -> float:
    """c of W = c log|x|: χ on the line, χ/2π in the plane."""
    return strength if dim == 1 else strength / (2 * math.pi)


def spreading(strength: float, beta: float, dim: int, n: int | None = None) -> float:
    """dQ/dt = (1 − 1/N)(2d/β − c), the limit where N is not given; length² per time."""
    return (1 - (1 / n if n else 0.0)) * (2 * dim / beta - logarithm(strength, dim))


def critical_strength(beta: float, space: AbstractSpace) -> float:
    """χ beyond which the law collapses on R^d, and the uniform state of a torus is unstable; energy."""
    if isinstance(space, Torus):
        return space.volume * (2 * math.pi / max(space.lengths)) ** 2 / beta
    return 2 / beta if space.dim == 1 else 8 * math.pi / beta


def periodic_kernel(strength: float, torus: Torus, reach: int) -> kernels.FourierSeries:
    """W = −(χ/|T|) Σ_{0<|k|_∞≤reach} cos(q_k·x)/|q_k|², which has ΔW = χ(δ − 1/|T|) as reach → ∞."""
    axes = [np.arange(-reach, reach + 1)] * torus.dim
    modes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, torus.dim)
    modes = modes[len(modes) // 2 + 1 :]  # one of each pair ±k, without 0
    square = np.sum(torus.wavenumber(modes) ** 2, axis=1)
    return kernels.FourierSeries(modes, -2 * strength / (torus.volume * square))


def keller_segel(
    strength: float = 4 * math.pi, beta: float = 1.0, space: AbstractSpace | None = None, reach: int = 8
) -> Entry:
    """Chemotaxis after Keller and Segel: dX_i = −(1/N) Σ_{j≠i} ∇W(X_i − X_j) dt + √(2/β) dB_i, ΔW = χδ in the plane.

    On R^d pairs at one point are left out; the cell of a density itself counts with the mean of W over it.

    **Arguments:**

    - `strength`: χ ≥ 0, energy. Default: 4π.
    - `beta`: β > 0, finite, 1/energy. Default: 1.
    - `space`: the line, the plane, or a torus of dimension 2. Default: the plane.
    - `reach`: the highest mode of the kernel on a torus. Default: 8.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for other values.

    **Source:** Blanchet, Dolbeault and Perthame, Electron. J. Differential Equations 44 (2006).
    """
    space = Euclidean(2) if space is None else space
    require(isinstance(space, (Euclidean, Torus)) and space.dim <= 2, "this model is for d = 1, 2, or a torus, d = 2.")
    require(not isinstance(space, Torus) or space.dim == 2, "on a torus this model is for d = 2.")
    require(strength >= 0 and 0 < beta < math.inf, f"χ ≥ 0 and β > 0 are needed, not χ = {strength:g}, β = {beta:g}.")
    kernel = (
        periodic_kernel(strength, space, reach)
        if isinstance(space, Torus)
        else kernels.PowerLaw(logarithm(strength, space.dim), 0.0)
    )
    model = langevin(space, interaction=kernel, beta=beta)
    threshold = Fact("χ, the threshold", critical_strength(beta, space), _PLANE)
    facts = {
        "critical strength": threshold,
        **(_periodic(model, space, strength, beta) if isinstance(space, Torus) else _free(model, strength, beta)),
    }
    return Entry(model, facts)


def _free(model: Model, strength: float, beta: float) -> dict[str, Fact]:
    dim = model.space.dim
    return {
        "spreading rate": Fact("dQ/dt = 2d/β − c", spreading(strength, beta, dim), _PLANE),
        "spreading rate of seven": Fact(
            "dQ/dt = (6/7)(2d/β − c) of seven particles", spreading(strength, beta, dim, 7),
            "Fournier and Jourdain, Ann. Appl. Probab. 27 (2017)", lambda: _spreading_of_seven(model, beta), 1e-12,
        ),
    }  # fmt: skip


def _spreading_of_seven(model: Model, beta: float) -> float:
    """(2/N)Σ x_i·b_i + 2d(N − 1)/(Nβ) by Itô's formula at any seven points; their centre feels no force."""
    d = model.space.dim
    x = jnp.asarray(np.random.default_rng(0).normal(size=(7, d)))
    force = model.velocity(x, Particles(model.space, x))
    return float(2 * jnp.sum(x * force) / 7 + 2 * d * (6 / 7) / beta)


def _periodic(model: Model, torus: Torus, strength: float, beta: float) -> dict[str, Fact]:
    square = (2 * math.pi / max(torus.lengths)) ** 2
    return {
        "uniform rate": Fact(
            "χ/|T| − q²/β, the growth of the longest mode about the uniform state",
            strength / torus.volume - square / beta,
            "linear stability; Carrillo, Gvalani, Pavliotis and Schlichting, arXiv 1806.01719",
            lambda: _growth(model, torus, square), 1e-6 * (1 + strength),
        )
    }  # fmt: skip


def _growth(model: Model, torus: Torus, square: float) -> float:
    """−q² times the amplitude of δF/δμ relative to that of ρ = (1 + ε cos qx)/|T|."""
    amplitude = 1e-4
    axis = int(np.argmax(torus.lengths))
    wave = lambda x: jnp.cos(2 * jnp.pi * x[axis] / torus.lengths[axis])  # noqa: E731
    mu = Density.from_function(torus.grid(24), lambda x: 1 + amplitude * wave(x))
    xi = eqx.filter_jit(energy.first_variation)(model, mu).ravel()
    cosine = jnp.cos(2 * jnp.pi * mu.grid.nodes[:, axis] / torus.lengths[axis])
    return float(-square * 2 * jnp.mean(xi * cosine) / amplitude)
