"""Noisy Kuramoto (the mean-field XY model): W(x) = −K cos x on the circle of length 2π.

With k = βK everything but a factor 1/β in energies and rates depends on k alone. Order parameter r = |∫e^{ix}dμ|:
r = I_1(kr)/I_0(kr), the uniform state for k ≤ 2 and one circle of von Mises states for k > 2 (Sakaguchi 1988;
Bertini, Giacomin and Pakdaman, J. Stat. Phys. 138, 2010; Carrillo, Gvalani, Pavliotis and Schlichting, arXiv
1806.01719).

Under a common noise −s sin x∘dB⁰, and without one of their own, oscillators with the density of Poisson's kernel keep
it: `poisson_kernel_order`.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from mckean.catalogue.facts import Entry, Fact
from mckean.checks import require, require_finite, require_key
from mckean.interactions import kernels
from mckean.measures import Density, VonMises
from mckean.models import Model, energy, langevin
from mckean.spaces import Torus

_REFERENCE = "Bertini, Giacomin and Pakdaman, J. Stat. Phys. 138 (2010)"
_PHASE_TRANSITIONS = "Carrillo, Gvalani, Pavliotis and Schlichting, arXiv 1806.01719"
_MODES = 64
_NODES = 128


def critical_strength(beta: float) -> float:
    """K_c = 2/β, energy.

    **Arguments:**

    - `beta`: β > 0, 1/energy.

    **Raises:** `ValueError` for another β.
    """
    _require_positive(1.0, beta)
    return 2 / beta


def order_parameter(strength: float, beta: float) -> float:
    """The stationary r of least free energy: the positive root of r = A(βKr), A = I_1/I_0, 0 for βK ≤ 2.

    A is concave (Newton's method from 1, where r > A, falls to the root), and A′(x) = 1 − A/x − A².
    """
    from scipy.special import ive

    k = beta * strength
    if k <= 2:
        return 0.0
    # SciPy's root finders take longer to import than a model takes to begin.
    r, below = 2.0, 1.0
    while below < r:
        r = below
        a = float(ive(1, k * r) / ive(0, k * r))
        below = r + (a - r) / (1 - k * (1 - a / (k * r) - a * a))
    return r


def free_energy_gap(strength: float, beta: float) -> float:
    """F(stationary) − F(uniform) = (kr²/2 − log I_0(kr))/β, energy per particle."""
    from scipy.special import ive

    k, r = beta * strength, order_parameter(strength, beta)
    return (k * r * r / 2 - k * r - math.log(ive(0, k * r))) / beta


def incoherent_rate(mode: int, strength: float, beta: float) -> float:
    """Growth rate of mode k ≥ 1 about the uniform state: −(1 − βK/2)/β for k = 1, −k²/β otherwise; per time."""
    return (-(mode**2) + (beta * strength / 2 if mode == 1 else 0.0)) / beta


def spectral_gap(strength: float, beta: float) -> float:
    """The slowest rate of return to the stationary state of least free energy, rotations left out; per time.

    From the hierarchy z_j′ = −j²z_j + (jk/2)(z_1 z_{j−1} − z̄_1 z_{j+1}) (time in units of β), linearised about the real
    state z_j = I_j(kr)/I_0(kr) for real and for imaginary perturbations, cut at 64 modes.
    """
    from scipy.special import ive

    k, r = beta * strength, order_parameter(strength, beta)
    if r == 0.0:
        return -incoherent_rate(1, strength, beta)
    j = np.arange(1, _MODES + 1)
    z = ive(np.arange(_MODES + 2), k * r) / ive(0, k * r)
    base = np.diag(-(j**2.0)) + np.diag(0.5 * k * r * j[1:], -1) - np.diag(0.5 * k * r * j[:-1], 1)
    rates = []
    for sign in (-1, 1):
        matrix = base.copy()
        matrix[:, 0] += 0.5 * k * j * (z[:-2] + sign * z[2:])
        rates.append(np.sort(-np.linalg.eigvals(matrix).real))
    # The imaginary perturbation z_j → i j z_j is the rotation, with rate 0.
    return float(min(rates[0][0], rates[1][1]) / beta)


def mean_square_order(n: int, strength: float, beta: float) -> float:
    """E r² of N particles under the Gibbs measure: (E u² − 2k/N)/k² with u weighted by u e^{−Nu²/2k} I_0(u)^N, k = βK.

    **Arguments:**

    - `n`: N ≥ 1.
    - `strength`: K > 0, energy.
    - `beta`: β > 0, 1/energy.

    **Raises:** `ValueError` for other numbers.
    """
    require(n >= 1 and n == int(n), f"the number of particles is a positive integer, not {n}.")
    _require_positive(strength, beta)
    k = beta * strength
    u, weight, _ = _auxiliary_weight(n, k)
    return float((_integral(weight * u * u, u) / _integral(weight, u) - 2 * k / n) / k**2)


def binder_ratio(n: int, strength: float, beta: float) -> float:
    """E r⁴/(E r²)² of N particles under the Gibbs measure; π/2 at K = 2/β as N → ∞.

    The auxiliary field is u = kz + √(k/N)ξ, ξ a standard Gaussian of the plane, z the complex order parameter and k =
    βK: E|u|² = k²E r² + 2s² and E|u|⁴ = k⁴E r⁴ + 8s²k²E r² + 8s⁴ with s² = k/N.
    """
    k = beta * strength
    u, weight, _ = _auxiliary_weight(n, k)
    mass = _integral(weight, u)
    four = _integral(weight * u**4, u) / mass
    square, s2 = mean_square_order(n, strength, beta), k / n
    return float((four - 8 * s2 * k**2 * square - 8 * s2**2) / k**4 / square**2)


def log_partition(n: int, strength: float, beta: float) -> float:
    """log Z_N, Z_N = ∫e^{−βH_N}dx = (2π)^N (N/k) ∫u e^{−Nu²/2k} I_0(u)^N du, with k = βK > 0.

    H_N = −KNr²/2, and e^{kNr²/2} is the Gaussian average of e^{Nu·z} over u in the plane, of variance k/N a coordinate
    (Hubbard and Stratonovich), z the complex order parameter; then the particles are independent.
    """
    k = beta * strength
    u, weight, top = _auxiliary_weight(n, k)
    return float(n * math.log(2 * math.pi) + math.log(n / k) + top + math.log(_integral(weight, u)))


def poisson_kernel_order(
    start: complex | float, strength: float, common: float, increments: Float[np.ndarray, "... s"], dt: float
) -> Complex[np.ndarray, "... t"]:
    """z = ∫e^{ix}dμ along an environment, for μ with Poisson's kernel (1 − |z|²)/(2π|e^{ix} − z|²) as its density.

    Without a noise of their own, dx = K Im(z e^{−ix}) dt − s sin x∘dB⁰. Each such field is that of a Möbius map of the
    disc, which moves Poisson's kernels to Poisson's kernels, with their modes z^k:

        dz = (K/2)(1 − |z|²)z dt + (s/2)(1 − z²)∘dB⁰.

    Each step holds the environment's velocity ΔB/dt still (Wong and Zakai), in four Runge–Kutta steps of order 4.

    **Arguments:**

    - `start`: z at the start, |z| < 1.
    - `strength`: K, 1/time.
    - `common`: s, 1/√time.
    - `increments`: ΔB⁰ over the steps, shape (…, s), √time.
    - `dt`: the length of a step, time.

    **Returns:** z before the first and after each step, shape (…, s + 1).

    **Raises:** `ValueError` for |z| ≥ 1, dt ≤ 0, and increments that are not finite.

    **Source:** Ott and Antonsen, Chaos 18 (2008); Marvel, Mirollo and Strogatz, Chaos 19 (2009), for the Möbius maps.
    """
    require(abs(start) < 1, f"Poisson's kernel has |z| < 1, not {abs(start):g}.")
    require(0 < dt < math.inf, f"the length of a step must be positive, but dt = {dt:g}.")
    require_finite("an increment of the environment", increments)
    increments, h = np.asarray(increments, float), dt / 4
    path = [np.full(increments.shape[:-1], start, complex)]
    for dB in np.moveaxis(increments, -1, 0):
        rate = lambda z, pull=common * dB / (2 * dt): strength / 2 * (1 - abs(z) ** 2) * z + pull * (1 - z * z)  # noqa: E731
        z = path[-1]
        for _ in range(4):
            k1 = rate(z)
            k2 = rate(z + h / 2 * k1)
            k3 = rate(z + h / 2 * k2)
            z = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + rate(z + h * k3))
        path.append(z)
    return np.stack(path, axis=-1)


def gibbs_clouds(key: PRNGKeyArray, count: int, n: int, strength: float, beta: float) -> Float[Array, "c n 1"]:
    """Exact independent draws of n particles under the Gibbs measure: u from its weight by inversion, then von Mises.

    Given u, which has a uniform direction, the particles are independent with density ∝ e^{u cos(x − angle)}.
    """
    u, weight, _ = _auxiliary_weight(n, beta * strength)
    below = np.cumsum(weight[1:] + weight[:-1])
    # The concentrations differ from draw to draw: NumPy's generator takes them as they are, and nothing is compiled.
    require_key(key)
    generator = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
    concentration = np.interp(generator.uniform(size=count), np.append(0.0, below / below[-1]), u)[:, None]
    angle = generator.uniform(high=2 * math.pi, size=(count, 1))
    x = angle + generator.vonmises(0.0, concentration, (count, n))
    return jnp.asarray(np.mod(x, 2 * math.pi)[..., None], float)


def _auxiliary_weight(n: int, k: float) -> tuple[np.ndarray, np.ndarray, float]:
    """u at even distances, and its weight there over e^t; t."""
    from scipy.special import ive

    u = np.linspace(0, k * 1.5 + 12 * math.sqrt(k / n), 200_001)
    exponent = n * (np.log(ive(0, u)) + u - u * u / (2 * k))
    top = float(exponent.max())
    return u, u * np.exp(exponent - top), top


def _integral(values: np.ndarray, u: np.ndarray) -> float:
    from scipy.integrate import simpson

    return float(simpson(values, x=u))


def kuramoto(strength: float = 3.0, beta: float = 1.0) -> Entry:
    """The noisy Kuramoto model on the circle: dX_i = (K/N) Σ_j sin(X_j − X_i) dt + √(2/β) dB_i.

    **Arguments:**

    - `strength`: K, energy. Default: 3.
    - `beta`: β > 0, 1/energy. Default: 1.

    **Returns:** an `Entry`: the model and its facts.
    """
    circle = Torus(1)
    model = langevin(circle, interaction=kernels.Cosine(strength), beta=beta)
    r = order_parameter(strength, beta)
    stationary = partial(_von_mises, circle, beta * strength * r)
    facts = {
        "critical strength": Fact("K_c = 2/β", critical_strength(beta), _REFERENCE),
        "order parameter": Fact(
            "r = I_1(βKr)/I_0(βKr)", r, _REFERENCE, partial(_self_consistency, model, stationary, strength), 1e-10
        ),
        "free energy gap": Fact(
            "F − F_uniform = (βKr²/2 − log I_0(βKr))/β",
            free_energy_gap(strength, beta),
            _PHASE_TRANSITIONS,
            partial(_measured_gap, model, circle, stationary),
            1e-10,
        ),
        "least free energy": Fact(
            "F − F_uniform, with F_uniform = −log(2π)/β",
            free_energy_gap(strength, beta) - math.log(2 * math.pi) / beta,
            _PHASE_TRANSITIONS,
        ),
        "stationary dissipation": Fact(
            "D = 0 at the von Mises state of concentration βKr",
            0.0,
            _REFERENCE,
            lambda: float(energy.dissipation(model, stationary())),
            1e-10,
        ),
        "incoherent rate": Fact("−(1 − βK/2)/β", incoherent_rate(1, strength, beta), _PHASE_TRANSITIONS),
        "top exponent": Fact(
            "−(1 − βK/2)/β up to the critical strength, and 0 above it, where nothing resists a rotation",
            min(incoherent_rate(1, strength, beta), 0.0),
            _PHASE_TRANSITIONS,
        ),
        "spectral gap": Fact("slowest rate of return", spectral_gap(strength, beta), _REFERENCE),
    }
    return Entry(model, facts)


def _require_positive(strength, beta) -> None:
    require(0 < strength < math.inf, f"a strength K is a positive number here, not {strength}.")
    require(0 < beta < math.inf, f"an inverse temperature β is a positive number here, not {beta}.")


def _von_mises(circle: Torus, concentration: float) -> Density:
    return Density.from_law(circle.grid(_NODES), VonMises(circle, 0.0, concentration))


def _self_consistency(model: Model, stationary, strength: float) -> float:
    """r from the force on a particle at a quarter turn, −K r sin x."""

    return float(-model.velocity(jnp.full((1, 1), math.pi / 2), stationary())[0, 0] / strength)


def _measured_gap(model: Model, circle: Torus, stationary) -> float:
    uniform = Density.from_function(circle.grid(_NODES), lambda x: 1.0 + 0 * x[0])
    return float(energy.free_energy(model, stationary()) - energy.free_energy(model, uniform))
