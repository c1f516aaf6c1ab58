"""Oscillators whose law stays a Poisson kernel: the equation of its order parameter."""

import numpy as np
import pytest

from mckean.catalogue import poisson_kernel_order


def test_order_without_noise_is_logistic():
    """|z|² = q obeys q′ = Kq(1 − q), whose solution is logistic; the direction stays."""
    z = poisson_kernel_order(0.3j, 1.5, 0.7, np.zeros(20), 0.1)
    q = 0.09 * np.exp(3.0) / (1 - 0.09 + 0.09 * np.exp(3.0))
    assert abs(z[-1]) ** 2 == pytest.approx(q, abs=1e-8)
    assert z[-1].real == 0


def test_order_without_attraction_is_a_translation_of_the_disc():
    """artanh z moves by sB⁰/2, exactly, for a start anywhere in the disc: Stratonovich's chain rule."""
    rng = np.random.default_rng(1)
    dB = 0.2 * rng.standard_normal((3, 25))
    z = poisson_kernel_order(0.4 - 0.5j, 0.0, 1.2, dB, 0.04)
    expected = np.tanh(np.arctanh(0.4 - 0.5j) + 0.6 * np.cumsum(dB, axis=1))
    assert z.shape == (3, 26)
    np.testing.assert_allclose(z[:, 1:], expected, atol=1e-6)


def test_order_moves_as_atoms_do():
    """A kernel with |z| → 1 is a point: its angle obeys x′ = −s sin x B⁰′."""
    x, dB = 1.0, np.full(10, 0.1)
    z = poisson_kernel_order((1 - 1e-12) * np.exp(1j * x), 2.0, 1.5, dB, 0.1)
    assert np.tan(np.angle(z[-1]) / 2) == pytest.approx(np.tan(x / 2) * np.exp(-1.5), rel=1e-6)


def test_a_point_is_refused():
    with pytest.raises(ValueError, match="Poisson's kernel has"):
        poisson_kernel_order(1.0, 1.0, 1.0, np.zeros(3), 0.1)
