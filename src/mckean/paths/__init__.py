"""Randomness as values."""

from mckean.paths.brownian import Brownian as Brownian
from mckean.paths.brownian import Record as Record
from mckean.paths.brownian import Stream as Stream
