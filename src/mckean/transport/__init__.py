"""Distances between measures."""

from mckean.transport.approximate import Approximation as Approximation
from mckean.transport.approximate import sinkhorn as sinkhorn
from mckean.transport.approximate import sliced as sliced
from mckean.transport.distance import wasserstein as wasserstein
