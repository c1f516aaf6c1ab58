"""Measures on several devices."""

from collections.abc import Sequence
from typing import Any, TypeVar

import equinox as eqx
import jax

from mckean import collectives
from mckean.checks import array, require, traced
from mckean.measures.measure import AbstractMeasure
from mckean.measures.particles import Particles

MeasureT = TypeVar("MeasureT", bound=AbstractMeasure)


def shard(measure: MeasureT, devices: int | Sequence[Any] | None = None) -> MeasureT:
    """The same measure, its particles spread in equal parts over devices, in their order.

    A run from there stays there. A step moves each particle where it is. The field of few modes, of moments and of
    nonuniform FFTs takes one sum over all devices of as many numbers as there are modes; all pairs go round in a ring.
    Sums over particles have one order on all numbers of devices that divide n and 64 (8 for all pairs and nonuniform
    FFTs), so that a run on 1, 2, 4 or 8 devices is the same to the bit.

    **Arguments:**

    - `measure`: particles.
    - `devices`: how many, or which. Default: None, all; with several processes, those of all of them.

    **Returns:** the measure, with its `mesh`.

    **Raises:** `ValueError` for another measure, for more devices than there are, and for a number of particles that
    they do not divide.
    """
    require(not traced(measure), "a measure is put on devices before a transformation of JAX, not in it.")
    require(
        isinstance(measure, Particles),
        f"particles are spread over devices, but a {type(measure).__name__} is held by one: run it as it is.",
    )
    assert isinstance(measure, Particles)
    chosen = _chosen(devices)
    require(
        measure.n % len(chosen) == 0,
        f"{measure.n} particles cannot be spread over {len(chosen)} devices in equal parts: take a multiple of "
        f"{len(chosen)}.",
    )
    mesh = collectives.row_of(chosen)
    placed = eqx.tree_at(lambda m: m.positions, measure, collectives.place(measure.positions, mesh))
    if measure.weights is not None:
        placed = eqx.tree_at(lambda m: m.weights, placed, collectives.place(measure.weights, mesh))
    # Of a new object, which nobody has seen; the constructor would retract the positions anew.
    object.__setattr__(placed, "mesh", mesh)
    return placed


def at_home(measure: MeasureT) -> MeasureT:
    """The measure on one device of this host, for looks at its values; itself where this host has all of them."""
    if not isinstance(measure, Particles) or traced(measure) or measure.positions.is_fully_addressable:
        return measure
    here = jax.tree.map(lambda leaf: array(collectives.known(leaf)), measure)
    object.__setattr__(here, "mesh", None)
    return here


def _chosen(devices: int | Sequence[Any] | None) -> list[Any]:
    there = jax.devices()
    if devices is None:
        return there
    if not isinstance(devices, int):
        chosen = list(devices)
        known = bool(chosen) and all(isinstance(device, jax.Device) for device in chosen)
        require(known, f"devices are a number, or some of jax.devices(), not {devices!r}.")
        return chosen
    require(devices >= 1, f"there must be a device at least, but {devices} were asked for.")
    require(
        devices <= len(there),
        f"there are {len(there)} devices, but {devices} were asked for; on a CPU "
        f"XLA_FLAGS=--xla_force_host_platform_device_count={devices} makes as many.",
    )
    return there[:devices]
