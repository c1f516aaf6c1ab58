"""Pair energies and the sums that evaluate their fields."""

from mckean.interactions import kernels as kernels
from mckean.interactions.choose import Points as Points
from mckean.interactions.choose import at as at
from mckean.interactions.choose import force as force
from mckean.interactions.choose import potential as potential
