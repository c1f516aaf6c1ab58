"""Pair energies, fields that are no pair energy, and the sums that evaluate them."""

from mckean.interactions import kernels as kernels
from mckean.interactions.attention import Attention as Attention
from mckean.interactions.choose import Certificate as Certificate
from mckean.interactions.choose import certificate as certificate
from mckean.interactions.choose import choose as choose
from mckean.interactions.choose import explain as explain
from mckean.interactions.choose import force as force
from mckean.interactions.choose import inspect as inspect
from mckean.interactions.choose import planned as planned
from mckean.interactions.choose import potential as potential
from mckean.interactions.field import AbstractField as AbstractField
from mckean.interactions.summed import Summed as Summed
from mckean.interactions.sums.boxes import FFT as FFT
from mckean.interactions.sums.compact import Cells as Cells
from mckean.interactions.sums.direct import Direct as Direct
from mckean.interactions.sums.fmm import FMM as FMM
from mckean.interactions.sums.fourier import NUFFT as NUFFT
from mckean.interactions.sums.modes import Modes as Modes
from mckean.interactions.sums.moments import Moments as Moments
from mckean.interactions.sums.sum import AbstractSum as AbstractSum
from mckean.interactions.sums.sum import Points as Points
from mckean.interactions.sums.sum import at as at
