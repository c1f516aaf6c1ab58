"""Oscillators that are not all alike: exact order parameters of Kuramoto's model with own frequencies and of species.

A density of Poisson's kernel (1 − |z|²)/(2π|e^{iθ} − z|²) keeps its form where each oscillator obeys θ′ = ω +
Im(He^{−iθ}), and z′ = iωz + ½(H − H̄z²). Over Lorentzian frequencies of half-width γ, whose pole is at ω = iγ, the mean
of z closes: z′ = −γz + (K/2)(1 − |z|²)z for H = Kz (Ott and Antonsen, Chaos 18, 2008).
"""

import math

import numpy as np

from mckean.checks import require


def lorentzian_order(strength: float, width: float) -> float:
    """The stationary order parameter of Kuramoto's model with Lorentzian frequencies, r = √(1 − 2γ/K), 0 for K ≤ 2γ.

        θ_i′ = ω_i + (K/N)Σ_j sin(θ_j − θ_i),   g(ω) = (γ/π)/(ω² + γ²)

    With a noise √(2D)dB_i the threshold is K_c = 2(γ + D) (Sakaguchi, Prog. Theor. Phys. 79, 1988).

    **Arguments:**

    - `strength`: K, 1/time.
    - `width`: γ ≥ 0, the half-width at half the maximum, 1/time.

    **Raises:** `ValueError` for numbers that are not finite, and a negative width.

    **Source:** Ott and Antonsen, Chaos 18 (2008).
    """
    require(math.isfinite(strength), f"a strength K is a finite number, not {strength}.")
    require(0 <= width < math.inf, f"a width γ of frequencies is a finite number that is not negative, not {width}.")
    return math.sqrt(1 - 2 * width / strength) if strength > 2 * width else 0.0


def chimera(disparity: float, lag: float, guess: complex = 0.7 + 0.2j) -> complex:
    """The stationary chimera of two species, one in step, z_1 = 1, and the other with z_2 = re^{iψ}, |z_2| < 1.

        z_a′ = ½(H_a e^{−iα} − H̄_a e^{iα}z_a²),   H_a = Σ_b K_ab z_b,   K_aa = (1 + A)/2,   K_ab = (1 − A)/2

    In a frame that turns with the first species z_2 stands still. Whether that state is stable is not said here.

    **Arguments:**

    - `disparity`: A, between 0 and 1.
    - `lag`: α, the phase lag of sin(θ_j − θ_i − α).
    - `guess`: z_2 to begin the search with. Default: 0.7 + 0.2i.

    **Returns:** z_2/z_1.

    **Raises:** `ValueError` for other numbers, and where no chimera is found.

    **Source:** Abrams, Mirollo, Strogatz and Wiley, Phys. Rev. Lett. 101 (2008).
    """
    from scipy.optimize import root

    require(
        0 < disparity < 1 and math.isfinite(lag), f"a chimera has 0 < A < 1 and a finite lag, not {disparity}, {lag}."
    )
    near, far = (1 + disparity) / 2, (1 - disparity) / 2

    def move(z: complex) -> complex:
        first, second = ((near + far * z), (far + near * z))
        pull = 0.5 * np.exp(-1j * lag) * np.array([first, second])
        rate = pull - np.conj(pull) * np.array([1, z]) ** 2
        return complex(rate[1] / z - rate[0])

    found = root(lambda v: [(m := move(complex(*v))).real, m.imag], [guess.real, guess.imag], tol=1e-13)
    z = complex(*found.x)
    require(found.success and 0 < abs(z) < 1 - 1e-6, "no chimera is found from this guess: take another A, α or guess.")
    return z
