"""Pair energies, fields that are no pair energy, and the sums that evaluate them."""

from mckean.interactions import kernels
from mckean.interactions.accuracy import Certificate, certificate
from mckean.interactions.alignment import VelocityAlignment
from mckean.interactions.attention import Attention
from mckean.interactions.choice import Choice, choose, explain
from mckean.interactions.evaluation import force, potential
from mckean.interactions.field import AbstractField
from mckean.interactions.hegselmann_krause import HegselmannKrause
from mckean.interactions.interaction import Interaction, place
from mckean.interactions.planning import inspect, plan
from mckean.interactions.sums.compact import Cells
from mckean.interactions.sums.convolution import FFT
from mckean.interactions.sums.direct import Direct
from mckean.interactions.sums.fmm import FMM
from mckean.interactions.sums.fourier import NUFFT
from mckean.interactions.sums.modes import Modes
from mckean.interactions.sums.moments import PowerSums
from mckean.interactions.sums.sum import AbstractSum, Points, at
from mckean.interactions.sums.zonal import FunkHecke

__all__ = [
    "FFT",
    "FMM",
    "NUFFT",
    "AbstractField",
    "AbstractSum",
    "Attention",
    "Cells",
    "Certificate",
    "Choice",
    "Direct",
    "FunkHecke",
    "HegselmannKrause",
    "Interaction",
    "Modes",
    "Points",
    "PowerSums",
    "VelocityAlignment",
    "at",
    "certificate",
    "choose",
    "explain",
    "force",
    "inspect",
    "kernels",
    "place",
    "plan",
    "potential",
]


def __dir__() -> list[str]:
    return __all__
