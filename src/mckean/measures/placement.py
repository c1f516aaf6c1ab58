"""Measures on several devices."""

from collections.abc import Sequence
from typing import Any, TypeVar, cast

import equinox as eqx
import jax
from jax.sharding import Mesh

from mckean import collectives
from mckean.checks import array, require, traced
from mckean.measures.density import Density
from mckean.measures.measure import AbstractMeasure
from mckean.measures.particles import Particles
from mckean.spaces import FourierGrid

MeasureT = TypeVar("MeasureT", bound=AbstractMeasure)


def shard(measure: MeasureT, devices: int | Sequence[Any] | None = None) -> MeasureT:
    """The same measure, its particles or the slabs of its grid spread in equal parts over devices, in their order.

    A run from there stays there. A step moves each particle where it is. The field of few modes, of moments and of
    nonuniform FFTs takes one sum over all devices of as many numbers as there are modes; all pairs go round in a ring.
    The FFTs of a density on a torus exchange slabs along its first axis for slabs along its second one, and back.
    Sums have one order on all numbers of devices that divide 64 (8 for all pairs and nonuniform FFTs) and the number of
    particles, or of rows of the grid: a run on 1, 2, 4 or 8 devices is the same to the bit.

    **Arguments:**

    - `measure`: particles, or a density on a grid of a torus of dimension 2 or more, for `Spectral`.
    - `devices`: how many, or which. Default: None, all; with several processes, those of all of them.

    **Returns:** the measure, with its `mesh`, which is the grid's for a density.

    **Raises:** `ValueError` for another measure, for more devices than there are, for a number of particles that
    they do not divide, and for a grid whose first two sides are no multiples of four times their number.
    """
    require(not traced(measure), "a measure is put on devices before a transformation of JAX, not in it.")
    if isinstance(measure, Density):
        return cast(MeasureT, _in_slabs(measure, _chosen(devices)))
    require(
        isinstance(measure, Particles),
        f"particles and densities are spread over devices, but a {type(measure).__name__} is held by one: run it as it "
        "is.",
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


def _in_slabs(density: Density, devices: list[Any]) -> Density:
    grid, least = density.grid, 4 * len(devices)
    require(
        isinstance(grid, FourierGrid) and grid.space.dim >= 2,
        f"a density is spread over devices by slabs of a torus of dimension 2 or more, but this one is on a "
        f"{type(grid).__name__} in dimension {grid.space.dim}: run it as it is.",
    )
    assert isinstance(grid, FourierGrid)
    # Finer grids, on which products are formed, then have sides that the number of devices divides.
    require(
        all(n % least == 0 for n in grid.shape[:2]),
        f"a grid of shape {grid.shape} cannot be spread over {len(devices)} devices in equal slabs: take first two "
        f"sides that are multiples of {least}.",
    )
    mesh = collectives.row_of(devices)
    placed = eqx.tree_at(lambda m: m.values, density, collectives.place(density.values, mesh))
    return _on(placed, FourierGrid(grid.space, grid.shape, mesh))


def _on(density: Density, grid: FourierGrid) -> Density:
    """A density that nobody has seen, on the same grid elsewhere."""
    object.__setattr__(density, "grid", grid)
    return density


def at_home(measure: MeasureT) -> MeasureT:
    """The measure on one device of this host, for looks at its values; itself where this host has all of them."""
    mesh = mesh_of(measure)
    if mesh is None or traced(measure) or not mesh.is_multi_process:
        return measure
    here = jax.tree.map(lambda leaf: array(collectives.known(leaf)), measure)
    if isinstance(here, Density) and isinstance(here.grid, FourierGrid):
        return cast(MeasureT, _on(here, FourierGrid(here.grid.space, here.grid.shape)))
    object.__setattr__(here, "mesh", None)
    return cast(MeasureT, here)


def mesh_of(mu: AbstractMeasure) -> Mesh | None:
    """The devices over which a measure is spread; None for one device."""
    if isinstance(mu, Density):
        return mu.grid.mesh if isinstance(mu.grid, FourierGrid) else None
    return mu.mesh if isinstance(mu, Particles) else None


def require_one_device(what: str, mu: AbstractMeasure) -> None:
    """**Raises** `ValueError` for a measure that is spread over devices. `what` acts, in words, with its verb."""
    mesh, kind = mesh_of(mu), "this density is" if isinstance(mu, Density) else "these particles are"
    require(
        mesh is None,
        f"{what} on one device, but {kind} spread over {0 if mesh is None else mesh.size} by shard: run "
        f"{'it as it was' if isinstance(mu, Density) else 'them as they were'} before.",
    )


def _chosen(devices: int | Sequence[Any] | None) -> list[Any]:
    there = jax.devices()
    if devices is None:
        return there
    if not isinstance(devices, int):
        chosen = list(devices)
        known = bool(chosen) and all(isinstance(device, jax.Device) for device in chosen)
        require(known, f"devices are a number, or some of jax.devices(), not {devices!r}.")
        return _of_all_or_mine(chosen)
    require(devices >= 1, f"there must be a device at least, but {devices} were asked for.")
    require(
        devices <= len(there),
        f"there are {len(there)} devices, but {devices} were asked for; on a CPU "
        f"XLA_FLAGS=--xla_force_host_platform_device_count={devices} makes as many.",
    )
    return _of_all_or_mine(there[:devices])


def _of_all_or_mine(devices: list[Any]) -> list[Any]:
    """**Raises** `ValueError` for devices of some processes only, of which the others would wait for ever."""
    theirs = {device.process_index for device in devices}
    require(
        theirs == {jax.process_index()} or len(theirs) == jax.process_count(),
        f"a measure is spread over devices of this process or of all {jax.process_count()}, but these belong to "
        f"{len(theirs)} of them: leave `devices` out.",
    )
    return devices
