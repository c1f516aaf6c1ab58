"""Distances between measures."""

from mckean.transport.distance import wasserstein as wasserstein
