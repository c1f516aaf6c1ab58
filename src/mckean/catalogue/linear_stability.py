"""The linear theory of transport noise at the uniform density of a torus.

With ρ = 1/|T| + η, |T| = ∏L_i, and the fields A_p a_p cos(k_p·x), A_p a_p sin(k_p·x) of a `TransportNoise`,

    ∂_tη = β⁻¹Δη + |T|⁻¹ Δ(W*η) − Σ_k σ_k·∇η ∘ dB_k/dt.

In Fourier modes, W even, Ŵ(q) = ∫W e^{−iq·x}dx and S = Σ_p A_p² a_p a_pᵀ, Itô's correction being ½∇·(S∇η),

    (E η̂_q)′ = (λ_q − ½ q·Sq) E η̂_q,          λ_q = −|q|²(β⁻¹ + Ŵ(q)/|T|),
    e_q′ = (2λ_q − q·Sq) e_q + ½ Σ_p A_p² (a_p·q)² (e_{q−k_p} + e_{q+k_p}),          e_q = E|η̂_q|²,

since the cosine and the sine of wave p turn η̂_q by −(i/2)A_p (a_p·q)(η̂_{q−k_p} ± η̂_{q+k_p}), and the cross terms of the
two squares cancel. As a_p·k_p = 0 the second system is symmetric, M = 2 diag λ − G with G the Laplacian of a graph:
the noise moves e along edges q — q ± k_p of conductance ½A_p²(a_p·q)² and keeps Σ_q e_q, its L² norm (Gess, Gvalani
and Martini, arXiv 2601.22056). The growth in mean square is half the top of M's spectrum.
"""

import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from mckean.catalogue.facts import Entry, Fact
from mckean.checks import require
from mckean.interactions import kernels
from mckean.measures import Density
from mckean.models import Model, TransportNoise, langevin
from mckean.spaces import Torus

if TYPE_CHECKING:
    from scipy import sparse

_REFERENCE = "Gess, Gvalani and Martini, arXiv 2601.22056; Fourier modes of the linearised equation"


def lattice(space: Torus, reach: int) -> np.ndarray:
    """The integer modes 0 < |k|_∞ ≤ reach, shape (m, d)."""
    cube = np.asarray(list(itertools.product(range(-reach, reach + 1), repeat=space.dim)))
    return cube[np.any(cube != 0, axis=1)]


def rates(model: Model, modes: np.ndarray) -> np.ndarray:
    """The growth rates without noise, λ_q = −|q|²(β⁻¹ + Ŵ(q)/|T|), per time.

    **Arguments:**

    - `model`: a model on a torus, without confinement or drift, whose kernel is a Fourier series.
    - `modes`: integer modes, shape (m, d).

    **Returns:** an array of shape (m,).

    **Raises:** `ValueError` for another model: the uniform density is no steady state, or Ŵ is not known.
    """
    space = _torus(model)
    q = space.wavenumber(modes)
    return -np.sum(q**2, axis=1) * (1 / float(model.beta) + _transform(model, modes))


def covariance(model: Model) -> np.ndarray:
    """S = Σσσᵀ of the common noise, shape (d, d); length² per time. **Raises** `ValueError` for another noise."""
    return sum((np.asarray(noise.covariance) for noise in _noises(model)), np.zeros((model.space.dim,) * 2))


def mean_rates(model: Model, modes: np.ndarray) -> np.ndarray:
    """The growth rates of E η̂_q, λ_q − ½ q·Sq, per time.

    **Arguments:**

    - `model`: as for `rates`, with transport noise.
    - `modes`: integer modes, shape (m, d).

    **Returns:** an array of shape (m,).
    """
    q = _torus(model).wavenumber(modes)
    return rates(model, modes) - 0.5 * np.einsum("mi,ij,mj->m", q, covariance(model), q)


def mean_square_system(model: Model, reach: int, outflow: bool = True) -> tuple[np.ndarray, "sparse.csr_array"]:
    """The modes 0 < |k|_∞ ≤ reach, and M on them, per time.

    With outflow, what leaves the box is lost, and the top of the spectrum is not above that of the whole lattice;
    without it, the edges that leave are cut, and it is not below, for modes within the box. The two bracket it.

    **Arguments:**

    - `model`: as for `rates`, with transport noise.
    - `reach`: the largest |k|_∞.
    - `outflow`: whether the box loses what leaves it. Default: True.

    **Returns:** the modes, shape (m, d), and M, a sparse matrix.
    """
    from scipy import sparse

    space, modes = _torus(model), lattice(_torus(model), reach)
    number = {tuple(k): i for i, k in enumerate(modes)}
    q = space.wavenumber(modes)
    diagonal = 2 * rates(model, modes)
    rows, columns, values = [], [], []
    for noise in _noises(model):
        amplitudes, directions = np.asarray(noise.amplitudes), np.asarray(noise.directions)
        for wave, amplitude, a in zip(noise.modes, amplitudes, directions, strict=True):
            conductance = 0.5 * amplitude**2 * (q @ a) ** 2
            for shift in (np.asarray(wave), -np.asarray(wave)):
                end = np.array([number.get(tuple(k), -1) for k in modes + shift])
                kept = (end >= 0) & (conductance > 0)
                diagonal -= conductance * (kept | outflow)
                rows.append(np.flatnonzero(kept))
                columns.append(end[kept])
                values.append(conductance[kept])
    size = len(modes)
    places = [np.concatenate([np.arange(size), *part]) for part in (rows, columns)]
    return modes, sparse.csr_array((np.concatenate([diagonal, *values]), places), shape=(size, size))


def mean_square_rate(model: Model, reach: int = 16) -> tuple[float, float]:
    """Bounds, below and above, of γ = lim (1/2t) log E‖η_t‖², per time; they close quickly with the reach.

    The quadratic form of −G is a sum of −c(e_q − e_p)²: with the edges that leave the box cut it is larger, and falls
    apart into the box and what is beyond, where it is at most 2 max λ.

    **Arguments:**

    - `model`: as for `rates`, with transport noise.
    - `reach`: the largest |k|_∞. Default: 16.
    """
    below, above = (_top(mean_square_system(model, reach, outflow)[1]) / 2 for outflow in (True, False))
    # Beyond the box λ is largest next to it, or at a mode of the kernel.
    beyond = np.concatenate([lattice(_torus(model), reach + 1), _kernel_modes(model)])
    beyond = beyond[np.max(np.abs(beyond), axis=1) > reach]
    return below, max(above, float(rates(model, beyond).max()))


def mean_threshold(model: Model) -> float:
    """The intensity K at which the last mode stops growing in mean, for the spectrum of the model; 0 where none does.

    **Arguments:**

    - `model`: as for `rates`.

    **Raises:** `ValueError` unless the model has one transport noise, of positive intensity.
    """
    modes = _kernel_modes(model)
    growing, q = rates(model, modes), _torus(model).wavenumber(modes)
    noise = _only_noise(model)
    damping = 0.5 * np.einsum("mi,ij,mj->m", q, covariance(model), q) / float(noise.intensity)
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = np.where(growing > 0, growing / damping, 0.0)
    return float(needed.max(initial=0.0))


def mean_square_threshold(model: Model, reach: int = 16, largest: float = 1e3) -> float:
    """The intensity K at which E‖η_t‖² stops growing, for the spectrum of the model's noise.

    It is 0 if E‖η_t‖² does not grow at K = 0. γ falls as K grows, as it is a supremum of functions that are affine and
    falling in K.

    **Arguments:**

    - `model`: as for `rates`, with one transport noise of positive intensity.
    - `reach`: the largest |k|_∞. Default: 16.
    - `largest`: the largest K that is tried, length² per time. Default: 1000.

    **Raises:** `ValueError` if it grows still at the largest K, and for another noise.
    """
    from scipy import sparse
    from scipy.optimize import brentq

    noise = _only_noise(model)
    _, moving = mean_square_system(model, reach)
    still = sparse.diags_array(2 * rates(model, lattice(_torus(model), reach)))
    exchange = (moving - still) / float(noise.intensity)
    top = lambda intensity: _top(sparse.csr_array(still + intensity * exchange))  # noqa: E731
    if top(0.0) <= 0:
        return 0.0
    require(top(largest) < 0, f"E‖η‖² grows still at the intensity {largest:g}: this noise does not stop it.")
    root: Any = brentq(top, 0.0, largest, xtol=1e-10)
    return float(root)


def with_intensity(model: Model, intensity) -> Model:
    """The model with another K of its one transport noise."""
    _only_noise(model)
    return eqx.tree_at(lambda m: m.common[0].intensity, model, jnp.asarray(intensity, float))


def transport(strength: float = 4.0, intensity: float = 0.5, beta: float = 1.0, reach: float = 1.0) -> Entry:
    """Attraction on the torus T² under transport noise: W = −κ(cos x₁ + cos x₂), and all waves with |k| ≤ reach.

    **Arguments:**

    - `strength`: κ, energy. Default: 4.
    - `intensity`: K > 0, length² per time. Default: 0.5.
    - `beta`: β > 0, 1/energy. Default: 1.
    - `reach`: of the shell of wave vectors. Default: 1, the four shears.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for K ≤ 0.

    **Source:** Gess, Gvalani and Martini, arXiv 2601.22056.
    """
    torus = Torus(2)
    require(intensity > 0, f"the intensity of the noise must be positive, but {intensity} was given.")
    noise = TransportNoise.shell(torus, reach, intensity=intensity)
    model = langevin(torus, interaction=kernels.Cosine(strength), beta=beta, common=noise)
    low, high = mean_square_rate(model)
    first = np.array([[1, 0]])
    facts = {
        "critical strength": Fact("κ_♯ = 2/β, without noise", 2 / beta, _REFERENCE),
        "growth rate": Fact(
            "λ = −1/β + κ/2, of the modes |k| = 1 without noise", -1 / beta + strength / 2, _REFERENCE,
            partial(_growth_of_a_ripple, model), 1e-5,
        ),
        "mean growth rate": Fact(
            "λ − K, of E η̂_q for |k| = 1", -1 / beta + strength / 2 - intensity, _REFERENCE,
            lambda: float(mean_rates(model, first)[0]), 1e-10,
        ),
        "mean threshold": Fact(
            "K = λ, above which E η̂ decays", max(strength / 2 - 1 / beta, 0.0), _REFERENCE,
            lambda: mean_threshold(model), 1e-10,
        ),
        "mean-square growth rate": Fact(
            "half the top of the spectrum of M", low, _REFERENCE, lambda: high, 1e-8,
        ),
    }  # fmt: skip
    return Entry(model, facts)


def _growth_of_a_ripple(model: Model) -> float:
    """−∇·(ρb) + β⁻¹Δρ for ρ ∝ 1 + ε cos x₁, over its ripple, from the library's drift at the nodes."""
    small, grid = 1e-5, _torus(model).grid(8)
    rho = Density.from_function(grid, lambda x: 1 + small * jnp.cos(x[0]))
    flux = np.asarray(rho.values)[..., None] * np.asarray(model.velocity(grid, rho)).reshape(*grid.shape, 2)
    mode = lambda f: np.fft.fftn(f)[1, 0]  # noqa: E731
    ripple = mode(np.asarray(rho.values))
    return float(((-1j * mode(flux[..., 0])) / ripple).real - 1 / float(model.beta))


def _torus(model: Model) -> Torus:
    if not isinstance(model.space, Torus):
        raise ValueError(f"Fourier modes belong to a torus, not to {model.space}.")
    require(
        model.confinement is None and model.drift is None,
        "the uniform density is a steady state without confinement and without a drift of its own.",
    )
    return model.space


def _series(model: Model) -> dict[tuple[int, ...], float]:
    """Ŵ(q_k)/|T| of the modes k ≠ 0 of the kernel: a cosine of coefficient a has a/2 at each of ±q."""
    if model.interaction is None:
        return {}
    kernel = model.interaction.kernel
    if not isinstance(kernel, kernels.FourierSeries):
        raise ValueError(f"the linear theory needs the Fourier series of the kernel, not {type(kernel).__name__}.")
    half = {k: float(a) / 2 for k, a in zip(kernel.modes, kernel.coefficients, strict=True) if any(k)}
    return half | {tuple(-c for c in k): a for k, a in half.items()}


def _transform(model: Model, modes: np.ndarray) -> np.ndarray:
    """Ŵ(q)/|T| of integer modes (m, d), shape (m,)."""
    known = _series(model)
    return np.array([known.get(k, 0.0) for k in map(tuple, modes.tolist())])


def _kernel_modes(model: Model) -> np.ndarray:
    """The modes that can grow at all."""
    return np.asarray(list(_series(model)), int).reshape(-1, model.space.dim)


def _noises(model: Model) -> list[TransportNoise]:
    noises = [noise for noise in model.common if isinstance(noise, TransportNoise)]
    require(len(noises) == len(model.common), "the linear theory is that of transport noise alone.")
    return noises


def _only_noise(model: Model) -> TransportNoise:
    noises = _noises(model)
    require(
        len(noises) == 1 and float(noises[0].intensity) > 0, "a threshold is that of one transport noise with K > 0."
    )
    return noises[0]


def _top(matrix: Any) -> float:
    """The largest eigenvalue of a symmetric matrix without negative entries off the diagonal.

    Its eigenvector is positive (Perron and Frobenius), so that Lanczos' method finds it from a vector of ones.
    """
    from scipy.sparse.linalg import eigsh

    size = matrix.shape[0]
    top = eigsh(matrix, k=1, which="LA", v0=np.ones(size), ncv=min(40, size - 1), return_eigenvectors=False)
    return float(top[0])
