"""Arrays whose rows are spread over devices: what is done row by row stays there, and sums have one order.

A sum over all rows is taken in blocks that are the same for any number of devices: each device adds up its own blocks
and puts the sums in their places among zeros; one all-reduce fills all places, which is exact, as x + 0 = x; then they
are added in the order of a binary tree. So the bits of a sum do not depend on the number of devices.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

T = TypeVar("T")
AXIS = "devices"
# What the networks of CPUs and GPUs write of a host that does not answer.
_GONE = ("Gloo", "NCCL", "onnection", "oordination", "eartbeat")
# Blocks of a sum: so many devices, a power of two, have the same bits.
_BLOCKS = 64
# The same of sums that are large, as those of a transform, or of all pairs, which keep one for each particle.
FEW = 8


def by_device(cpu: T, accelerator: T) -> T:
    """The one or the other, by what JAX computes on: for sizes of tiles, on which no more than rounding depends."""
    return cpu if jax.default_backend() == "cpu" else accelerator


def row_of(devices: Sequence[Any]) -> Mesh:
    """A row of devices."""
    return Mesh(np.asarray(devices), (AXIS,), axis_types=(AxisType.Auto,))


def place(array: Array, mesh: Mesh) -> Array:
    """An array whose values are known on each host, with its rows spread over the devices."""
    sharding = NamedSharding(mesh, PartitionSpec(AXIS))
    if sharding.is_fully_addressable:
        return jax.device_put(array, sharding)
    known = np.asarray(array)
    return jax.make_array_from_callback(known.shape, sharding, lambda index: known[index])


def known(array: Any) -> np.ndarray:
    """The values of an array, also where its rows are spread over hosts, all of which must ask."""
    if isinstance(array, jax.Array) and not (array.is_fully_addressable or array.is_fully_replicated):
        from jax.experimental.multihost_utils import process_allgather

        return np.asarray(process_allgather(array, tiled=True))
    return np.asarray(array)


def pieces(array: Any) -> Iterator[np.ndarray]:
    """The values of an array part by part, each of the rows of one device: no host holds more of those of others.

    All hosts must take all of them.
    """
    if not isinstance(array, jax.Array) or array.is_fully_addressable or array.is_fully_replicated:
        yield np.asarray(array)
        return
    from jax.experimental.multihost_utils import broadcast_one_to_all

    here, places = jax.process_index(), array.sharding.devices_indices_map(array.shape)
    mine = {shard.device: np.asarray(shard.data) for shard in array.addressable_shards}
    for device, index in sorted(places.items(), key=lambda place: place[1][0].start or 0):
        first, last, _ = index[0].indices(array.shape[0])
        owner, shape = device.process_index == here, (last - first, *array.shape[1:])
        part = np.ascontiguousarray(mine[device]) if owner else np.zeros(shape, array.dtype)
        # As bytes, whose sum with zeros is exact: that of −0 is 0.
        told = broadcast_one_to_all(part.reshape(-1).view(np.uint8), owner)
        yield np.asarray(told).view(array.dtype).reshape(shape)


def put_as(values: np.ndarray, like: jax.Array) -> jax.Array:
    """Values that are known on each host, on the devices of another array."""
    if like.is_fully_addressable:
        return jax.device_put(values, like.sharding)
    return jax.make_array_from_callback(values.shape, like.sharding, lambda index: values[index])


def over_hosts(mesh: Mesh | None) -> bool:
    """Whether several processes work at what lies on a mesh."""
    return mesh is not None and mesh.is_multi_process


def largest(number: float, mesh: Mesh | None) -> float:
    """The largest of a number over the hosts of a mesh, all of which must ask: so they go on as one."""
    if not over_hosts(mesh):
        return number
    from jax.experimental.multihost_utils import process_allgather

    return float(np.max(process_allgather(np.asarray(number, "float32"))))


def of_first(number: int, mesh: Mesh | None) -> int:
    """The integer that the first host of a mesh has; all must ask."""
    if not over_hosts(mesh):
        return number
    from jax.experimental.multihost_utils import process_allgather

    # As bytes: in single precision JAX knows no integers of 64 bits.
    return int(np.asarray(process_allgather(np.asarray([number], np.int64).view(np.uint8)))[0].view(np.int64)[0])


class HostLost(RuntimeError):
    """Another process of a run has stopped, without which this one cannot go on."""


@contextlib.contextmanager
def together(mesh: Mesh | None) -> Iterator[None]:
    """Work of all hosts of a mesh. **Raises** `HostLost` where another host has gone."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not over_hosts(mesh) or not any(word in str(error) for word in _GONE):
            raise
        raise HostLost(
            "another process of this run has stopped, and this one cannot go on alone: start all of them again."
        ) from error


def spread(array: Array, mesh: Mesh | None) -> Array:
    """The array, with its rows kept on their devices, in a program."""
    return array if mesh is None else jax.lax.with_sharding_constraint(array, NamedSharding(mesh, PartitionSpec(AXIS)))


def row_by_row(function: Callable[..., Array], mesh: Mesh | None, *rows: Array) -> Array:
    """function(*rows), of which each row depends on the same row of the arguments alone; on each device by itself."""
    if mesh is None or rows[0].shape[0] % mesh.size:
        return function(*rows)
    return _everywhere(function, mesh, rows, PartitionSpec(AXIS))


def total(
    function: Callable[..., Any], mesh: Mesh, *rows: Array, most: int = _BLOCKS, side_by_side: bool = True
) -> Any:
    """Σ function(*block) over the blocks of the rows, in an order that does not depend on the number of devices.

    There are gcd(n, `most`) blocks, or more where the devices ask for them; those of a device are taken `side_by_side`,
    or one after the other where a block takes much memory.
    """
    n, devices = rows[0].shape[0], mesh.size
    blocks = math.lcm(math.gcd(n, most), devices)
    mine = blocks // devices

    def local(*part):
        tiles = tuple(a.reshape(mine, n // blocks, *a.shape[1:]) for a in part)
        sums = jax.vmap(function)(*tiles) if side_by_side else jax.lax.map(lambda tile: function(*tile), tiles)
        return jax.tree.map(_in_place(blocks), sums)

    return jax.tree.map(_tree, _everywhere(local, mesh, rows, PartitionSpec()))


def mean(values: Array, mesh: Mesh) -> Array:
    """The mean of the rows."""
    return total(lambda v: jnp.sum(v, axis=0), mesh, values) / values.shape[0]


def weigh(weights: Array, values: Array, mesh: Mesh) -> Array:
    """Σ w_i values_i over the rows; not as a product of matrices, whose order depends on how many rows they have."""
    weighted = lambda w, v: jnp.sum(w.reshape(-1, *[1] * (v.ndim - 1)) * v, axis=0)  # noqa: E731
    return total(weighted, mesh, weights, values)


def ring(function: Callable[..., Array], mesh: Mesh, sources: tuple[Array, ...], targets: Array) -> Array:
    """Σ function(block, targets) over blocks of the sources, which go round while the targets stay.

    The sums over the blocks are kept apart until all are there, and added in the order of a binary tree.
    """
    n, devices = sources[0].shape[0], mesh.size
    blocks = math.lcm(math.gcd(n, FEW), devices)
    mine = blocks // devices
    on = [(i, (i + 1) % devices) for i in range(devices)]

    def local(here, *there):
        tiles = tuple(a.reshape(mine, n // blocks, *a.shape[1:]) for a in there)
        shape = jax.eval_shape(function, tuple(t[0] for t in tiles), here)

        def turn(k, state):
            sums, tiles = state
            owner = (jax.lax.axis_index(AXIS) - k) % devices
            new = jax.lax.map(lambda tile: function(tile, here), tiles)
            sums = jax.lax.dynamic_update_slice_in_dim(sums, new, owner * mine, 0)
            return sums, tuple(jax.lax.ppermute(t, AXIS, on) for t in tiles)

        zeros = jnp.zeros((blocks, *shape.shape), shape.dtype)
        return _tree(jax.lax.fori_loop(0, devices, turn, (zeros, tiles))[0])

    return _everywhere(local, mesh, (targets, *sources), PartitionSpec(AXIS))


def _in_place(blocks: int) -> Callable[[Array], Array]:
    """The sums of a device's blocks among those of all devices."""

    def fill(mine: Array) -> Array:
        zeros = jnp.zeros((blocks, *mine.shape[1:]), mine.dtype)
        first = jax.lax.axis_index(AXIS) * mine.shape[0]
        return jax.lax.psum(jax.lax.dynamic_update_slice_in_dim(zeros, mine, first, 0), AXIS)

    return fill


def _tree(sums: Array) -> Array:
    while len(sums) > 1:
        even = sums if len(sums) % 2 == 0 else jnp.concatenate([sums, jnp.zeros_like(sums[:1])])
        sums = even[0::2] + even[1::2]
    return sums[0]


def _everywhere(function: Callable[..., Any], mesh: Mesh, rows: Sequence[Array], out: PartitionSpec) -> Any:
    # JAX's check of what varies over devices does not know loops that begin with zeros.
    spread = partial(jax.shard_map, mesh=mesh, in_specs=(PartitionSpec(AXIS),) * len(rows), out_specs=out)
    return spread(function, check_vma=False)(*rows)
