"""Pair energies W(x − y), in the unit of energy; how each one acts is said by `mckean.interactions.place`."""

from mckean.interactions.kernels._catalogue import (
    BoundedConfidence,
    Cosine,
    Function,
    Gaussian,
    MinimalImage,
    Morse,
    PowerLaw,
    Quadratic,
    Zonal,
)
from mckean.interactions.kernels._kernel import AbstractKernel, AbstractRadialKernel
from mckean.interactions.kernels._series import FourierSeries

__all__ = [
    "AbstractKernel",
    "AbstractRadialKernel",
    "BoundedConfidence",
    "Cosine",
    "FourierSeries",
    "Function",
    "Gaussian",
    "MinimalImage",
    "Morse",
    "PowerLaw",
    "Quadratic",
    "Zonal",
]


def __dir__() -> list[str]:
    return __all__
