"""Nonuniform FFTs for pair energies with many modes: type 1, times the modes of W, type 2.

With ẑ_k = ∫e^{−iq_k·y}dμ and W(x) = Σ_k Ŵ_k e^{iq_k·x} over k ∈ {−K, …, K}^d,

    W*μ(x) = Σ_k Ŵ_k ẑ_k e^{iq_k·x},    −∇W*μ(x) = −Σ_k iq_k Ŵ_k ẑ_k e^{iq_k·x}.

The components of the force are real, so that two of them travel as one complex transform. On the torus W is a Fourier
series. On R^d it is made periodic in a box around the cloud (`sums.box`).
"""

import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Complex, Float

from mckean import collectives
from mckean.faults import Fault, Status, sound, status
from mckean.interactions import costs, nufft
from mckean.interactions.kernels import AbstractKernel, FourierSeries
from mckean.interactions.sums.box import Box, box_for, coefficients, corners
from mckean.interactions.sums.modes import density_modes
from mckean.interactions.sums.sum import AbstractSum, Points, at, atoms, require_sum_tolerance
from mckean.measures import AbstractMeasure, Density, Particles, dtype_of, mesh_of
from mckean.spaces import FourierGrid, Torus


class NUFFT(AbstractSum):
    """The modes of W by nonuniform FFTs, of type 1, then type 2: O(n log 1/tolerance + M log M) for M modes.

    On the torus, and on R^d for W made periodic in a box around the cloud.

    **Arguments:**

    - `tolerance`: the error of the force relative to the size of ∇W, above the rounding of the precision. Default:
      1e-9.
    - `box`: the box on R^d, for a cloud up to five times as wide as when it was planned. Default: None, the box that
      `plan` finds.

    **Raises:**

    - `ValueError` for a tolerance that is not between 1e-15 and 0.5.

    **Source:** Barnett, Magland and af Klinteberg, SIAM J. Sci. Comput. 41 (2019); for R^d, Potts and Steidl (2003).
    """

    tolerance: float = eqx.field(static=True, default=1e-9)
    box: Box | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        require_sum_tolerance(self.tolerance)

    def refusal(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> str | None:
        if not isinstance(mu, Particles | Density):
            return f"sums over atoms, which a {type(mu).__name__} has none of"
        if mu.domain.dim > 3:
            return "serves in dimensions 1, 2 and 3"
        if isinstance(mu.domain, Torus):
            return None if isinstance(kernel, FourierSeries) else "needs the Fourier series of the kernel on a torus"
        if kernel.singular:
            return "needs a kernel that is smooth at 0"
        return None

    def plan(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> "NUFFT":
        if isinstance(mu.domain, Torus) or self.box is not None:
            return self
        if kernel.singular:
            raise ValueError("the sum NUFFT needs a kernel that is smooth at 0.")
        return NUFFT(self.tolerance, box_for(kernel, mu, points, self.tolerance))

    def inspect(self, mu: AbstractMeasure, points: Points) -> Status:
        if self.box is None:
            return sound(dtype_of(mu))
        low, high = corners(atoms(mu)[0], at(points, mu))
        over = jnp.max(high - low) / self.box.levels[-1][0]
        return status(Fault.OUTGROWN, ~(over <= 1), over)

    def potential(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, " n"]:
        return self._evaluate(kernel, mu, points, forces=False)[:, 0]

    def force(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, "n d"]:
        return self._evaluate(kernel, mu, points, forces=True)

    def _evaluate(self, kernel, mu: AbstractMeasure, points: Points, forces: bool) -> Array:
        x = at(points, mu)
        if isinstance(kernel, FourierSeries):
            sides = jnp.asarray(kernel.sides, x.dtype)
            shape, series = dense(kernel)
            analysed = _analyse(mu, shape, sides, self._eps(x))
            field = series.astype(x.dtype) * analysed
            return _synthesise(field, x / sides, sides, forces, self._eps(x), mesh_of(mu))
        if self.box is None:
            raise ValueError("NUFFT on R^d needs a plan, made from known positions: mckean.interactions.plan.")
        return in_box(kernel, self.box, mu, x, forces, self._eps(x))

    def _eps(self, x: Array) -> float:
        return max(self.tolerance, nufft.least_tolerance(x.dtype))


def dense(series: FourierSeries) -> tuple[tuple[int, ...], Float[Array, "*m"]]:
    """Ŵ_k on the smallest box of modes around the series: half a_k at ±k."""
    modes = np.asarray(series.modes)
    largest = np.abs(modes).max(axis=0)
    shape = tuple(int(2 * k + 1) for k in largest)
    half = 0.5 * series.coefficients
    values = jnp.zeros(shape, half.dtype).at[tuple((modes + largest).T)].add(half)
    return shape, values.at[tuple((largest - modes).T)].add(half)


def _analyse(mu: AbstractMeasure, shape: tuple[int, ...], sides: Array, eps: float) -> Complex[Array, "*m"]:
    """∫e^{−iq_k·y}dμ for k in the box of modes; a density on a Fourier grid has only its grid's modes."""
    if isinstance(mu, Density) and isinstance(mu.grid, FourierGrid):
        axes = [np.arange(-(m // 2), m // 2 + 1) for m in shape]
        k = np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")], axis=-1)
        return density_modes(mu, k).reshape(shape)
    places, masses = atoms(mu)
    return _type1(masses, places / sides, shape, eps, mesh_of(mu))


def _type1(masses: Array, turns: Array, shape: tuple[int, ...], eps: float, mesh: Mesh | None) -> Complex[Array, "*m"]:
    transform = lambda c, t: nufft.type1(c, t, shape, eps)  # noqa: E731
    if mesh is None:
        return transform(masses, turns)
    return collectives.total(transform, mesh, masses, turns, most=collectives.FEW, side_by_side=False)


def _type2(fields: Complex[Array, "t *m"], turns: Array, eps: float, mesh: Mesh | None) -> Complex[Array, "t n"]:
    return collectives.row_by_row(lambda t: nufft.type2(fields, t, eps).T, mesh, turns).T


def _synthesise(
    field: Complex[Array, "*m"], turns: Array, sides: Array, forces: bool, eps: float, mesh: Mesh | None
) -> Array:
    """Re Σ_k field_k e^{2πik·t}, shape (n, 1), or minus its gradient, shape (n, d)."""
    if not forces:
        return _type2(field[None], turns, eps, mesh)[0].real[:, None]
    d = field.ndim
    parts = []
    for axis, m in enumerate(field.shape):
        k = np.arange(-(m // 2), m // 2 + 1).reshape([-1 if i == axis else 1 for i in range(d)])
        parts.append((-2j * np.pi * k).astype(field.dtype) / sides[axis] * field)
    pairs = [parts[i] + 1j * parts[i + 1] if i + 1 < d else parts[i] for i in range(0, d, 2)]
    values = _type2(jnp.stack(pairs), turns, eps, mesh)
    columns = itertools.chain.from_iterable((v.real, v.imag) for v in values)
    return jnp.stack(list(columns)[:d], axis=-1)


def in_box(kernel: AbstractKernel, box: Box, mu: AbstractMeasure, x: Array, forces: bool, eps: float) -> Array:
    """The potential, shape (n, 1), or the force, by the modes of the kernel in the periodic box."""
    places, masses = atoms(mu)
    low, high = corners(places, x)
    centre, extent = 0.5 * (low + high), jnp.max(high - low)

    def level(largest: float, modes: int):
        # Not the extent itself: a window that cuts W nearer to 0, where W is larger, takes more modes than were tried.
        reach = jnp.maximum(extent, largest)
        side, shape = jnp.asarray(box.side(reach)), (modes,) * x.shape[1]
        sides = jnp.broadcast_to(side, x.shape[1:])
        weights = coefficients(box.periodic(kernel, reach), side, shape)
        analysed = _type1(masses, (places - centre) / side, shape, eps, mesh_of(mu))
        return _synthesise(weights * analysed, (x - centre) / side, sides, forces, eps, mesh_of(mu))

    fits = jnp.asarray([largest for largest, _ in box.levels[:-1]], x.dtype)
    branches = [lambda known=known: level(*known) for known in box.levels]
    return branches[0]() if len(branches) == 1 else jax.lax.switch(jnp.sum(extent > fits), branches)


def work(points: int, modes: float, dim: int, tolerance: float) -> costs.Work:
    """What a force consists of: a transform of type 1, and one of type 2 for two components."""
    width, transforms = max(2.0, 1 - math.log10(tolerance)), 1 + -(-dim // 2)
    return {
        costs.NUFFT_WEIGHT: transforms * points * width**dim,
        costs.NUFFT_POINT: transforms * points,
        costs.NUFFT_MODE: transforms * modes * 2**dim * math.log2(modes + 2),
        costs.NUFFT_CALL: 1,
    }
