"""Randomness as values."""

from mckean.paths.brownian import Brownian as Brownian
from mckean.paths.brownian import Recorded as Recorded
from mckean.paths.brownian import Stream as Stream
