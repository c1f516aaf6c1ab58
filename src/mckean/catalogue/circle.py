"""Models on the circle of length 2π whose steady states are known to the onset of order: W(x) = −κ Σ_k w_k cos kx.

The uniform state loses its stability at κ_♯ = 2/(β w_k) for the largest w_k. With s = w_{2k}/w_k the states that leave
it there have r_k² ∝ κ − κ_♯,

    κ/κ_♯ − 1 = c r_k² + O(r_k⁴),   c = (1 − 2s)/(2(1 − s)),

so that the transition is continuous at its onset for s < ½, and discontinuous for ½ < s < 1. For ρ ∝ e^{A cos kx + B
cos 2kx} with A = βκw_kr_k, B = βκw_{2k}r_{2k} has r_k = A/2 − A³/16 + AB/4 + … and r_{2k} = B/2 + A²/8 + …, whence
B = sA²/4(1 − s) and κ/κ_♯ − 1 = A²/8 − B/2. (Carrillo, Gvalani, Pavliotis and Schlichting, arXiv 1806.01719.)
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.catalogue import oscillators
from mckean.catalogue.facts import Entry, Fact
from mckean.checks import positive_integer, require, require_finite
from mckean.interactions import kernels
from mckean.measures import Density
from mckean.models import Model, energy, langevin
from mckean.spaces import Torus

_REFERENCE = "Carrillo, Gvalani, Pavliotis and Schlichting, arXiv 1806.01719"
_CIRCLE = Torus(1)
# An amplitude A at which the expansion of the onset is compared: what is left out is of relative order A².
_SMALL = 0.05


def on_circle(weights: Float[Array, " m"], strength, beta) -> Model:
    """The model with W = −κ Σ_k w_k cos kx, k = 1, 2, …

    **Arguments:**

    - `weights`: w, shape (m,), dimensionless.
    - `strength`: κ, energy.
    - `beta`: β, 1/energy.
    """
    modes = np.arange(1, len(weights) + 1)
    return langevin(_CIRCLE, interaction=kernels.FourierSeries(modes, -strength * jnp.asarray(weights)), beta=beta)


def bounded_confidence_weights(radius, modes: int) -> Float[Array, " m"]:
    """w of W = −½((h − |x|)₊)²: w_k = (2/πk²)(h − sin(kh)/k)."""
    k = np.arange(1, modes + 1)
    return 2 / (np.pi * k**2) * (radius - jnp.sin(k * radius) / k)


def spring_weights(radius, length, modes: int) -> Float[Array, " m"]:
    """w of W = ½(|x| − l)² − ½(R − l)² for |x| < R, 0 beyond: w_k = −(2/πk²)((R − l) cos kR + l − sin(kR)/k)."""
    k = np.arange(1, modes + 1)
    return -2 / (np.pi * k**2) * ((radius - length) * jnp.cos(k * radius) + length - jnp.sin(k * radius) / k)


def attention_weights(sharpness, modes: int) -> Float[Array, " m"]:
    """w of W = −e^{b cos x}/b: w_k = 2I_k(b)/b, by the Fourier transform of e^{b cos x}."""
    angle = 2 * np.pi * np.arange(4 * modes) / (4 * modes)
    return 2 * jnp.fft.rfft(jnp.exp(sharpness * jnp.cos(angle))).real[1 : modes + 1] / (4 * modes * sharpness)


def onsager_weights(modes: int) -> Float[Array, " m"]:
    """w of W = |sin x|: w_{2k} = (4/π)/(4k² − 1), and 0 for odd modes."""
    k = np.arange(1, modes + 1)
    return jnp.asarray(np.where(k % 2 == 0, 4 / (np.pi * (k**2 - 1.0 + (k == 1))), 0.0))


def onset(ratio: float) -> float:
    """c = (1 − 2s)/(2(1 − s)) of κ/κ_♯ − 1 = c r² for s = w_{2k}/w_k."""
    return (1 - 2 * ratio) / (2 * (1 - ratio))


def generalised_kuramoto(weights: Sequence[float] = (1.0, 0.25), strength: float = 3.0, beta: float = 1.0) -> Entry:
    """Oscillators with several harmonics: dX_i = (κ/N) Σ_j Σ_k k w_k sin(k(X_j − X_i)) dt + √(2/β) dB_i.

    **Arguments:**

    - `weights`: w_1, w_2, …, one of them positive, dimensionless. Default: (1, 0.25).
    - `strength`: κ > 0, energy. Default: 3.
    - `beta`: β > 0, 1/energy. Default: 1.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for other values.

    **Source:** Carrillo, Gvalani, Pavliotis and Schlichting, arXiv 1806.01719.
    """
    w = np.asarray(weights, float)
    require(w.ndim == 1 and w.size > 0, "the weights of a sum of cosines are numbers, shape (m,).")
    require_finite("a weight of a sum of cosines", w)
    require(w.max() > 0, "a sum of cosines orders where one of its weights is positive, and none is.")
    return _entry(w, strength, beta, 2 / w.max(), "κ_♯ = 2/(β max w_k)")


def maier_saupe(strength: float = 6.0, beta: float = 1.0) -> Entry:
    """Rods in the plane after Maier and Saupe: W(x) = κ sin²x on the circle of angles.

    Twice the angle is an oscillator of strength κ/2: S = ∫cos 2x dμ = I_1(βκS/2)/I_0(βκS/2).

    **Arguments:**

    - `strength`: κ > 0, energy. Default: 6.
    - `beta`: β > 0, 1/energy. Default: 1.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for other values.

    **Source:** Maier and Saupe, Z. Naturforsch. A 14 (1959); Constantin, Kevrekidis and Titi, Arch. Ration. Mech. Anal.
    174 (2004), for the plane.
    """
    entry = _entry(np.array([0.0, 0.5]), strength, beta, 4.0, "κ_♯ = 4/β")
    order = oscillators.order_parameter(strength / 2, beta)

    def density() -> Density:
        return Density.from_function(
            _CIRCLE.grid(128), lambda x: jnp.exp(beta * strength * order / 2 * jnp.cos(2 * x[0]))
        )

    facts = {
        "order parameter": Fact(
            "S = I_1(βκS/2)/I_0(βκS/2)", order, _REFERENCE,
            lambda: _force_at_an_eighth(entry.model, density(), strength), 1e-10,
        ),
        "free energy gap": Fact(
            "F − F_uniform = (βκS²/4 − log I_0(βκS/2))/β", oscillators.free_energy_gap(strength / 2, beta), _REFERENCE,
            lambda: _gap(entry.model, density()), 1e-10,
        ),
    }  # fmt: skip
    return Entry(entry.model, {**entry.facts, **facts})


def onsager(strength: float = 6.0, beta: float = 1.0, modes: int = 64) -> Entry:
    """Rods in the plane after Onsager: W(x) = κ|sin x| on the circle of angles, the area that two rods exclude.

    **Arguments:**

    - `strength`: κ > 0, energy. Default: 6.
    - `beta`: β > 0, 1/energy. Default: 1.
    - `modes`: the Fourier series of W ends at this mode. Default: 64.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for other values.

    **Source:** Onsager, Ann. N. Y. Acad. Sci. 51 (1949).
    """
    require(
        positive_integer("the number of modes is a positive integer", modes) >= 4,
        f"four modes or more are needed, not {modes}.",
    )
    return _entry(onsager_weights(modes), strength, beta, 1.5 * math.pi, "κ_♯ = 3π/2β")


def hegselmann_krause(radius: float = 1.0, strength: float = 16.0, beta: float = 1.0, modes: int = 64) -> Entry:
    """Opinions on a circle that attract within a distance: W(x) = −(κ/2)((h − |x|)₊)².

    The transition is continuous at its onset for h > 2.139, and discontinuous below.

    **Arguments:**

    - `radius`: 0 < h ≤ π, length. Default: 1.
    - `strength`: κ > 0, energy per length². Default: 16.
    - `beta`: β > 0, 1/energy. Default: 1.
    - `modes`: the Fourier series of W ends at this mode. Default: 64.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for other values.

    **Source:** Hegselmann and Krause, J. Artif. Soc. Soc. Simul. 5 (2002); Carrillo, Gvalani, Pavliotis and
    Schlichting, arXiv 1806.01719.
    """
    require(0 < radius <= math.pi, f"the radius of confidence lies between 0 and π, but {radius} was given.")
    require(
        positive_integer("the number of modes is a positive integer", modes) >= 4,
        f"four modes or more are needed, not {modes}.",
    )
    sharp = math.pi / (radius - math.sin(radius))
    return _entry(bounded_confidence_weights(radius, modes), strength, beta, sharp, "κ_♯ = π/β(h − sin h)")


def barre_degond_zatorska(
    radius: float = 1.0, length: float = 0.25, strength: float = 16.0, beta: float = 1.0, modes: int = 64
) -> Entry:
    """Particles that short-lived springs join: W(x) = (κ/2)((|x| − l)² − (R − l)²) for |x| < R, and 0 beyond.

    It is the limit of a network whose links form and break fast; l > 0 is the length of a spring at rest.

    **Arguments:**

    - `radius`: 0 < R ≤ π, length. Default: 1.
    - `length`: 0 ≤ l < R, length. Default: 0.25.
    - `strength`: κ > 0, energy per length². Default: 16.
    - `beta`: β > 0, 1/energy. Default: 1.
    - `modes`: the Fourier series of W ends at this mode. Default: 64.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for other values, and for an l at which W orders nothing.

    **Source:** Barré, Degond and Zatorska, Multiscale Model. Simul. 15 (2017).
    """
    inside = 0 <= length < radius <= math.pi
    require(inside, f"springs have 0 ≤ l < R ≤ π, but l = {length} and R = {radius} were given.")
    require(
        positive_integer("the number of modes is a positive integer", modes) >= 4,
        f"four modes or more are needed, not {modes}.",
    )
    weights = np.asarray(spring_weights(radius, length, modes))
    require(weights.max() > 0, f"springs of length l = {length:g} repel in every mode: shorten them.")
    return _entry(
        weights, strength, beta, 2 / weights.max(), "κ_♯ = −2π/β min Ŵ, Ŵ = (2/k²)((R − l) cos kR + l − sin(kR)/k)"
    )


def noisy_attention(sharpness: float = 4.0, strength: float = 0.4, beta: float = 1.0, modes: int = 32) -> Entry:
    """Tokens on the circle that attend to each other, with noise: W(x) = −(κ/b) e^{b cos x}.

    The transition is continuous at its onset where I_2(b)/I_1(b) < ½, b < 2.447, and discontinuous above.

    **Arguments:**

    - `sharpness`: b > 0, dimensionless. Default: 4.
    - `strength`: κ > 0, energy. Default: 0.4.
    - `beta`: β > 0, 1/energy. Default: 1.
    - `modes`: the Fourier series of W ends at this mode. Default: 32.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for other values.

    **Source:** Mun and Rosenzweig, arXiv 2604.16288, for the two kinds of transition.
    """
    from scipy.special import iv

    modes = positive_integer("the number of modes is a positive integer", modes)
    require(0 < sharpness < modes, f"a sharpness lies between 0 and the number of modes, but {sharpness} was given.")
    sharp = sharpness / float(iv(1, sharpness))
    return _entry(attention_weights(sharpness, modes), strength, beta, sharp, "κ_♯ = b/β I_1(b)")


def _entry(weights, strength: float, beta: float, scaled: float, statement: str) -> Entry:
    """The model, κ_♯ = `scaled`/β and the coefficient c of its onset."""
    require(0 < strength < math.inf, f"a strength κ is a positive number, but {strength} was given.")
    require(0 < beta < math.inf, f"an inverse temperature β is a positive number, but {beta} was given.")
    w, sharp = np.asarray(weights, np.float64), float(scaled / beta)
    model, mode = on_circle(jnp.asarray(w), strength, beta), int(np.argmax(w)) + 1
    facts = {
        "critical strength": Fact(
            statement, sharp, _REFERENCE, lambda: _threshold(model, strength, max(mode, min(w.size, 12))), 1e-9 * sharp
        ),
        "critical mode": Fact("k of the largest w_k", float(mode), _REFERENCE),
    }
    ratio = float(w[2 * mode - 1] / w[mode - 1]) if 2 * mode <= w.size else 0.0
    if ratio < 1 and np.sum(w > (1 - 1e-9) * w.max()) == 1:
        facts["onset"] = Fact(
            "c = (1 − 2s)/(2(1 − s)) of κ/κ_♯ − 1 = c r², s = w_{2k}/w_k", onset(ratio), _REFERENCE,
            lambda: _measured_onset(model, strength, mode, sharp), 2 * _SMALL**2 / (1 - ratio) ** 3,
        )  # fmt: skip
    return Entry(model, facts)


def _response(model: Model, mode: int) -> float:
    """κw_k from the potential of the density (1 + ½cos kx)/2π, −¼κw_k cos kx."""
    grid = _CIRCLE.grid(4 * max(mode, 16))
    wave = jnp.cos(mode * grid.nodes[:, 0])
    u = energy.potential(model, Density(grid, (1 + 0.5 * wave) / (2 * math.pi)))
    return float(-4 * 2 * jnp.mean(u * wave))


def _threshold(model: Model, strength: float, modes: int) -> float:
    return 2 * strength / (float(model.beta) * max(_response(model, k) for k in range(1, modes + 1)))


def _measured_onset(model: Model, strength: float, mode: int, sharp: float) -> float:
    """(κ/κ_♯ − 1)/r² of the state whose potential has the mode k with an amplitude A/β, by a fixed point at this A."""
    grid = _CIRCLE.grid(256)
    wave, beta = jnp.cos(mode * grid.nodes[:, 0]), float(model.beta)

    def step(_, state):
        u, _, _ = state
        rho = Density(grid, jax.nn.softmax(-beta * u) / grid.cell_volume)
        pull = energy.potential(model, rho)
        scale = _SMALL / (beta * -2 * jnp.mean(pull * wave))
        return scale * pull, scale, jnp.sum(rho.values * wave) * grid.cell_volume

    start = (-_SMALL / beta * wave, jnp.ones(()), jnp.ones(()))
    _, scale, r = jax.jit(lambda: jax.lax.fori_loop(0, 200, step, start))()
    return float((scale * strength / sharp - 1) / r**2)


def _force_at_an_eighth(model: Model, density: Density, strength: float) -> float:
    """S from the force −κS sin 2x on a rod at an eighth of a turn."""
    return float(-model.velocity(jnp.full((1, 1), math.pi / 4), density)[0, 0] / strength)


def _gap(model: Model, density: Density) -> float:
    flat = Density.from_function(density.grid, lambda x: 1.0 + 0 * x[0])
    return float(energy.free_energy(model, density) - energy.free_energy(model, flat))
