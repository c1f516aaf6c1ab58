"""Orthonormal polynomials of spheres, as tables: associated Legendre functions of S², zonal harmonics of S^{d−1}.

Both come from recurrences in which nothing grows, so that degrees of some hundreds are exact to rounding.

Source: Press, Teukolsky, Vetterling and Flannery, Numerical Recipes, 3rd edition, section 6.7.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np


class AssociatedLegendre(NamedTuple):
    """Tables at the latitudes of a grid of S², arrays of shape (order m, degree l, latitude); zero for l < m.

    `value`: Θ_lm, with Y_lm = Θ_lm(θ)e^{imφ} orthonormal; `along`: dΘ_lm/dθ; `across`: mΘ_lm/sin θ.
    """

    value: np.ndarray
    along: np.ndarray
    across: np.ndarray


class ZonalPolynomials(NamedTuple):
    """Tables at the nodes t of a zonal grid, shape (degree, node): p_l(t), orthonormal on the sphere, and p_l′(t)."""

    value: np.ndarray
    slope: np.ndarray


@lru_cache(maxsize=8)
def latitudes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss's nodes cos θ, from north to south, and their weights, of sum 2."""
    node, weight = np.polynomial.legendre.leggauss(count)
    return node[::-1].copy(), weight[::-1].copy()


def sectoral(order: int) -> np.ndarray:
    """Θ_mm/sin^m θ for m = 0 … order."""
    m = np.arange(1, order + 1)
    return np.concatenate([[1.0], np.cumprod(-np.sqrt((2 * m + 1) / (2 * m)))]) / math.sqrt(4 * math.pi)


def raising(degree: int) -> tuple[np.ndarray, np.ndarray]:
    """a and b of shape (l, m) in Θ_lm = a_lm(cos θ Θ_{l−1,m} − b_lm Θ_{l−2,m}) for l > m; zero elsewhere."""
    k, m = np.meshgrid(np.arange(degree + 1.0), np.arange(degree + 1.0), indexing="ij")
    up = k > m
    square = np.where(up, k * k - m * m, 1.0)
    a = np.where(up, np.sqrt(np.where(up, 4 * k * k - 1, 1.0) / square), 0.0)
    below = np.where(up, (k - 1) ** 2 - m * m, 0.0)
    b = np.sqrt(np.maximum(below, 0.0) / np.where(k > 1, 4 * (k - 1) ** 2 - 1, 1.0))
    return a, b


@lru_cache(maxsize=8)
def harmonics(count: int, degree: int) -> AssociatedLegendre:
    """The tables of degree l ≤ `degree` at `count` latitudes."""
    x, _ = latitudes(count)
    sine = np.sqrt((1 - x) * (1 + x))
    a, b = raising(degree)
    value = np.zeros((degree + 1, degree + 1, count))
    start = sectoral(degree)
    for k in range(degree + 1):
        if k > 0:
            value[:, k] = a[k][:, None] * x * value[:, k - 1]
        if k > 1:
            value[:, k] -= (a[k] * b[k])[:, None] * value[:, k - 2]
        value[k, k] = start[k] * sine**k
    m, k = np.arange(degree + 1.0)[:, None, None], np.arange(degree + 1.0)[None, :, None]
    lower = np.concatenate([np.zeros_like(value[:, :1]), value[:, :-1]], axis=1)
    # sin θ dΘ_lm/dθ = l cos θ Θ_lm − √((2l + 1)(l² − m²)/(2l − 1)) Θ_{l−1,m}.
    factor = np.sqrt((2 * k + 1) * np.maximum(k * k - m * m, 0) / np.maximum(2 * k - 1, 1))
    return AssociatedLegendre(value, (k * x * value - factor * lower) / sine, m * value / sine)


@lru_cache(maxsize=8)
def zonal_nodes(count: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss's nodes t = ⟨e, x⟩ of S^{d−1}, ascending, and the shares of the sphere that they stand for, of sum 1."""
    from scipy.special import roots_gegenbauer

    node, weight = roots_gegenbauer(count, 0.5 * (dim - 2))
    return node, weight / weight.sum()


def zonal_recurrence(degree: int, dim: int) -> np.ndarray:
    """b_1 … b_degree of b_{k+1}p_{k+1} = tp_k − b_kp_{k−1} on S^{d−1}, d ≥ 3, where p_0² is 1/volume."""
    k, index = np.arange(1.0, degree + 1), 0.5 * (dim - 2)
    return np.sqrt(k * (k + 2 * index - 1) / (4 * (k + index) * (k + index - 1)))


@lru_cache(maxsize=8)
def zonal(count: int, degree: int, dim: int) -> ZonalPolynomials:
    """p_l and p_l′ for l ≤ `degree` at `count` nodes of S^{d−1}, d ≥ 3."""
    t, _ = zonal_nodes(count, dim)
    b = zonal_recurrence(degree, dim)
    log_volume = math.log(2) + 0.5 * dim * math.log(math.pi) - math.lgamma(0.5 * dim)
    value, slope = np.zeros((2, degree + 1, count))
    value[0] = math.exp(-0.5 * log_volume)
    for k in range(degree):
        value[k + 1], slope[k + 1] = t * value[k] / b[k], (value[k] + t * slope[k]) / b[k]
        if k > 0:
            value[k + 1] -= b[k - 1] / b[k] * value[k - 1]
            slope[k + 1] -= b[k - 1] / b[k] * slope[k - 1]
    return ZonalPolynomials(value, slope)


@lru_cache(maxsize=8)
def caps(dim: int) -> tuple[np.ndarray, np.ndarray]:
    """The share of S^{d−1} within an angle of −e, and the angle, from 0 to π."""
    angle = np.linspace(0, np.pi, 8193)
    from scipy.special import betainc

    return betainc(0.5 * (dim - 1), 0.5 * (dim - 1), np.sin(0.5 * angle) ** 2), angle


@lru_cache(maxsize=8)
def funk_hecke(degree: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Angles θ and a matrix that maps a profile w(cos θ) at them to ∫w(⟨x, y⟩)P_l(⟨x, y⟩)dy, l ≤ `degree`.

    P_l are the zonal polynomials with P_l(1) = 1. The angles crowd at 0 as τ³, so that a singularity or a kink of w
    there costs no accuracy.
    """
    count = 2 * degree + 96
    tau, weight = np.polynomial.legendre.leggauss(count)
    tau, weight = 0.5 * (tau + 1), 0.5 * weight
    theta = math.pi * tau**3
    # |S^{d−2}| sin^{d−2}θ dθ; in logarithms, as in high dimension each factor leaves the numbers.
    area = math.log(2.0) + 0.5 * (dim - 1) * math.log(math.pi) - math.lgamma(0.5 * (dim - 1))
    measure = np.exp(area + (dim - 2) * np.log(np.sin(theta))) * (3 * math.pi) * tau**2 * weight
    values = [np.ones(count), np.cos(theta)]
    for k in range(1, degree):
        values.append(((2 * k + dim - 2) * np.cos(theta) * values[-1] - k * values[-2]) / (k + dim - 2))
    return theta, np.stack(values[: degree + 1]) * measure
