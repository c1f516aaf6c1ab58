"""Fourier transforms of values that lie on several devices in slabs, whose first axis is spread.

Lines along the other axes lie in one slab and are transformed there. For those along the first axis an all-to-all
makes slabs along the second axis, and another brings the first ones back. So the transform of each line is the same
on any number of devices, and none of them holds the whole grid, as JAX's own transform does.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Complex

from mckean.collectives import AXIS

Shape = tuple[int, ...]


def resize(spectrum: Complex[Array, "..."], axis: int, old: int, new: int) -> Complex[Array, "..."]:
    """The coefficients along an axis, −1 or further left, from `old` to `new` nodes; the last axis holds one half."""
    top = (min(old, new) - 1) // 2
    parts = [jax.lax.slice_in_dim(spectrum, 0, top + 1, axis=axis)]
    gap = new // 2 - top if axis == -1 else new - 2 * top - 1
    lead, rest = spectrum.shape[: spectrum.ndim + axis], spectrum.shape[spectrum.ndim + axis + 1 :]
    parts.append(jnp.zeros((*lead, gap, *rest), spectrum.dtype))
    if axis != -1:
        parts.append(jax.lax.slice_in_dim(spectrum, old - top, old, axis=axis))
    return jnp.concatenate(parts, axis)


def analyse(values: Array, old: Shape, new: Shape | None, mesh: Mesh) -> Complex[Array, "..."]:
    """The coefficients of a real FFT on the last axes, `old` nodes, on a grid of `new` nodes; in slabs, too."""
    d, fit = len(old), _fit(old, new)

    def local(part):
        part = jnp.fft.rfftn(part, axes=range(1 - d, 0))
        for axis in range(1 - d, 0):
            part = fit(part, axis)
        return _along_first(part, d, lambda lines: fit(jnp.fft.fft(lines, axis=-d), -d))

    return _in_slabs(local, mesh, values.ndim - d, values)


def synthesise(spectrum: Complex[Array, "..."], old: Shape, new: Shape | None, mesh: Mesh) -> Array:
    """The values at `new` nodes of coefficients on the last axes, on a grid of `old` nodes."""
    d, fit, shape = len(old), _fit(old, new), new or old

    def local(part):
        part = _along_first(part, d, lambda lines: jnp.fft.ifft(fit(lines, -d), axis=-d))
        for axis in range(1 - d, 0):
            part = fit(part, axis)
        return jnp.fft.irfftn(part, shape[1:], axes=range(1 - d, 0))

    return _in_slabs(local, mesh, spectrum.ndim - d, spectrum)


def along(function: Callable[[Array, Array], Array], axis: int, values: Array, by: Array, mesh: Mesh) -> Array:
    """function(lines, by) of all lines along an axis; `by` has 1 at this axis."""
    if axis:
        return _in_slabs(function, mesh, 0, values, by)

    def local(part, by):
        def lines(a):
            first = jax.lax.axis_index(AXIS) * a.shape[1]
            return function(a, jax.lax.dynamic_slice_in_dim(by, first, a.shape[1], 1))

        return _along_first(part, part.ndim, lines)

    specs = (PartitionSpec(AXIS), PartitionSpec())
    return jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(AXIS), check_vma=False)(values, by)


def pick(spectrum: Complex[Array, "..."], index: tuple[np.ndarray, ...], mesh: Mesh) -> Complex[Array, " m"]:
    """Some entries, on all devices: each gives its own and zeros for the others, whose sum is exact."""

    def local(part):
        row = jnp.asarray(index[0]) - jax.lax.axis_index(AXIS) * part.shape[0]
        mine = (row >= 0) & (row < part.shape[0])
        return jax.lax.psum(jnp.where(mine, part[(jnp.where(mine, row, 0), *index[1:])], 0), AXIS)

    out = PartitionSpec()
    return jax.shard_map(local, mesh=mesh, in_specs=PartitionSpec(AXIS), out_specs=out, check_vma=False)(spectrum)


def put(entries: Complex[Array, " m"], index: tuple[np.ndarray, ...], shape: Shape, mesh: Mesh) -> Array:
    """An array of zeros in slabs with some entries added to it, in their order; each device adds its own."""
    rows = shape[0] // mesh.size

    def local(entries):
        row = jnp.asarray(index[0]) - jax.lax.axis_index(AXIS) * rows
        # An index beyond the end is dropped, and a negative one would count from there.
        place = (jnp.where(row < 0, rows, row), *index[1:])
        return jnp.zeros((rows, *shape[1:]), entries.dtype).at[place].add(entries, mode="drop")

    spread = jax.shard_map(local, mesh=mesh, in_specs=PartitionSpec(), out_specs=PartitionSpec(AXIS), check_vma=False)
    return spread(entries)


def first_row(values: Array, mesh: Mesh) -> Array:
    """The first row, on all devices, shape (1, …)."""
    local = lambda part: jax.lax.psum(jnp.where(jax.lax.axis_index(AXIS) == 0, part[:1], 0), AXIS)  # noqa: E731
    out = PartitionSpec()
    return jax.shard_map(local, mesh=mesh, in_specs=PartitionSpec(AXIS), out_specs=out, check_vma=False)(values)


def _fit(old: Shape, new: Shape | None) -> Callable[[Array, int], Array]:
    return lambda part, axis: part if new is None else resize(part, axis, old[axis], new[axis])


def _along_first(part: Array, d: int, function: Callable[[Array], Array]) -> Array:
    """A function of whole lines along the first of the last d axes, on a device's part, in slabs before and after."""
    first, second = part.ndim - d, part.ndim - d + 1
    width = part.shape[second]
    # One half of the modes is no multiple of the number of devices.
    padding = [(0, -width % jax.lax.axis_size(AXIS)) if axis == second else (0, 0) for axis in range(part.ndim)]
    lines = jax.lax.all_to_all(jnp.pad(part, padding), AXIS, second, first, tiled=True)
    slabs = jax.lax.all_to_all(function(lines), AXIS, first, second, tiled=True)
    return jax.lax.slice_in_dim(slabs, 0, width, axis=second)


def _in_slabs(function: Callable[..., Array], mesh: Mesh, lead: int, *arrays: Array) -> Array:
    spec = PartitionSpec(*[None] * lead, AXIS)
    specs = (spec,) * len(arrays)
    return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=spec, check_vma=False)(*arrays)
