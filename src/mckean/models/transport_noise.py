"""Transport noise: random incompressible velocities on the torus, white in time.

    √(2K) ξ(x) dt,   ξ = Σ_p θ_p a_p (cos(q_p·x) dB_p^c + sin(q_p·x) dB_p^s),   q = 2πk/L,   a_p·q_p = 0,  |a_p| = 1,

with tr Σ_p θ_p² a_p a_pᵀ = d, so that Σσσᵀ = 2K I for a spectrum with the symmetry of the cube, and tr Σσσᵀ = 2Kd for
any. Each field is a shear, (a·∇)(a cos(q·x)) = 0: its Itô and Stratonovich integrals agree, and its share of the
Fokker–Planck equation is K∇·(C∇ρ), C = Σ θ² a aᵀ (Gess, Gvalani and Martini, arXiv 2601.22056).
"""

import itertools
import math
from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean import collectives, interactions
from mckean.checks import array, concrete, require, require_finite
from mckean.interactions import nufft
from mckean.interactions.parameters import parameter
from mckean.interactions.trig import cos_sin_turns
from mckean.measures import AbstractMeasure, mesh_of
from mckean.models.noise import AbstractNoise, Calculus
from mckean.spaces import FourierGrid, Torus, calculus

# Up to so many waves sines and cosines at the points cost less than a transform.
_FEW = 6
# Modes in the cube around a shell: each wave is a part of what a program is compiled for.
_MOST = 1 << 20


class TransportNoise(AbstractNoise):
    """Transport noise on a torus: random divergence-free velocities, white in time, common to all particles.

        √(2K) Σ_p θ_p a_p (cos(q_p·x) dB_p^c + sin(q_p·x) dB_p^s),   q_p = 2πk_p/L,   a_p·q_p = 0,   |a_p| = 1.

    **Arguments:**

    - `space`: a torus of dimension 2 or 3.
    - `modes`: the integer wave vectors k, shape (p, d), no two equal or opposite. Without `directions` each gives d − 1
      waves, with an orthonormal basis of the plane orthogonal to q.
    - `weights`: θ > 0, shape (p,), up to a factor. Default: None, equal weights.
    - `intensity`: K ≥ 0, length² per time, what the noise adds to the diffusivity. Default: 1.
    - `directions`: a, shape (p, d), up to a factor: one wave for each mode, and modes may recur. Default: None.
    - `tolerance`: of the nonuniform FFT at particles, relative. Default: 1e-9.

    **Raises:** `ValueError` for another space, modes that are zero or recur, directions that are not orthogonal to
    their wave vectors, weights that are not positive, and K < 0.

    **Source:** Gess, Gvalani and Martini, arXiv 2601.22056.
    """

    space: Torus = eqx.field(static=True)
    modes: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    directions: tuple[tuple[float, ...], ...] = eqx.field(static=True)
    weights: Float[Array, " p"]
    intensity: Float[Array, ""]
    tolerance: float = eqx.field(static=True)
    calculus: ClassVar[Calculus] = "stratonovich"
    additive: ClassVar[bool] = False
    ito_is_stratonovich: ClassVar[bool] = True
    depends_on_measure: ClassVar[bool] = False

    def __init__(
        self,
        space: Torus,
        modes: Sequence[Sequence[int]] | np.ndarray,
        weights: Sequence[float] | Array | np.ndarray | None = None,
        intensity: float | Array = 1.0,
        directions: Sequence[Sequence[float]] | np.ndarray | None = None,
        tolerance: float = 1e-9,
    ):
        require(isinstance(space, Torus), f"transport noise is built of Fourier modes on a torus, not on {space!r}.")
        require(space.dim in (2, 3), f"divergence-free waves need a torus of dimension 2 or 3, not {space.dim}.")
        k = _check_modes(modes, space.dim, repeated=directions is not None)
        theta = np.ones(len(k)) if weights is None else concrete(weights)
        require(theta.shape == (len(k),), f"{len(k)} modes need {len(k)} weights, not an array of shape {theta.shape}.")
        require(((theta > 0) & (theta < jnp.inf)).all(), "the weights of modes must be positive.")
        waves = 2 * np.pi * k / np.asarray(space.lengths)
        if directions is None:
            repeats = np.repeat(np.arange(len(k)), space.dim - 1)
            k, theta, a = k[repeats], theta[repeats], _orthogonal(waves)
        else:
            a = _check_directions(directions, waves)
        self.space = space
        self.modes = tuple(tuple(int(c) for c in row) for row in k)
        self.directions = tuple(tuple(float(c) for c in row) for row in a)
        self.weights = array(theta / ((theta**2).sum() / space.dim) ** 0.5, float)
        self.intensity = parameter(intensity)
        require(jnp.shape(self.intensity) == (), "the intensity of a transport noise must be a number.")
        require_finite("the intensity of a transport noise", self.intensity)
        require(concrete(self.intensity) >= 0, f"the intensity must not be negative, but {self.intensity} was given.")
        require(0 < tolerance < 1, f"the tolerance of a transform lies between 0 and 1, but {tolerance} was given.")
        self.tolerance = tolerance

    @classmethod
    def shell(
        cls,
        space: Torus,
        upper: float,
        lower: float = 1.0,
        exponent: float = 0.0,
        intensity: float | Array = 1.0,
        tolerance: float = 1e-9,
    ) -> "TransportNoise":
        """Transport noise by all modes with lower ≤ |k| ≤ upper, each pair ±k once, θ_k ∝ |k|^(−exponent).

        **Arguments:**

        - `space`: a torus of dimension 2 or 3.
        - `upper`: the largest |k|.
        - `lower`: the smallest |k|. Default: 1.
        - `exponent`: of the spectrum. Default: 0, equal weights.
        - `intensity`: K ≥ 0, length² per time. Default: 1.
        - `tolerance`: of the nonuniform FFT at particles. Default: 1e-9.

        **Raises:** `ValueError` if there is no such mode.
        """
        require(0 < upper < math.inf, f"the largest |k| of a shell is a positive number, but {upper} was given.")
        reach = math.floor(upper)
        require(
            (2 * reach + 1) ** space.dim <= _MOST,
            f"a shell is made of at most {_MOST} modes, but one of a cube of {2 * reach + 1}^{space.dim} was given.",
        )
        cube = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * space.dim, indexing="ij"), -1)
        cube = cube.reshape(-1, space.dim)
        length = np.linalg.norm(cube, axis=1)
        # One of k and −k: the first entry that is not zero is positive.
        first = np.sign(cube[np.arange(len(cube)), np.argmax(cube != 0, axis=1)])
        chosen = (length >= max(lower, 0.5)) & (length <= upper) & (first > 0)
        require(chosen.any(), f"no mode of the torus has {lower:g} ≤ |k| ≤ {upper:g}.")
        return cls(space, cube[chosen], length[chosen] ** -exponent, intensity, tolerance=tolerance)

    @classmethod
    def shears(cls, space: Torus, intensity: float | Array = 1.0) -> "TransportNoise":
        """The lowest waves along the axes: in two dimensions cos x₂ e₁, sin x₂ e₁, cos x₁ e₂ and sin x₁ e₂.

        **Arguments:**

        - `space`: a torus of dimension 2 or 3.
        - `intensity`: K ≥ 0, length² per time. Default: 1.
        """
        return cls(space, np.eye(space.dim, dtype=int), None, intensity)

    @property
    def is_shear(self) -> bool:
        """Whether every direction is an axis: then the flow of the waves along one axis shifts lines along it."""
        a = np.abs(np.asarray(self.directions))
        return bool(np.all(np.sum(a > 1e-12, axis=1) == 1))

    @property
    def amplitudes(self) -> Float[Array, " p"]:
        """√(2K) θ_p."""
        return jnp.sqrt(2 * self.intensity) * self.weights

    @property
    def covariance(self) -> Float[Array, "d d"]:
        """Σ_k σ_k(x)σ_k(x)ᵀ, the same at all x; length² per time."""
        a = jnp.asarray(self.directions, self.weights.dtype)
        return jnp.einsum("p,pi,pj->ij", self.amplitudes**2, a, a)

    def width(self, mu: AbstractMeasure, dim: int) -> int:
        return 2 * len(self.modes)

    def matrix(self, x: Float[Array, "n d"], mu: AbstractMeasure) -> Float[Array, "n d m"]:
        cosine, sine = self._waves(x)
        a = self._directions(x.dtype)
        pairs = jnp.stack([cosine, sine], axis=-1)[:, :, None, :] * a[None, :, :, None]
        return jnp.moveaxis(pairs, 2, 1).reshape(*x.shape, -1)

    def diffusion(self, x: Float[Array, "n d"], mu: AbstractMeasure) -> Float[Array, "n d d"]:
        return jnp.broadcast_to(self.covariance.astype(x.dtype), (*x.shape, x.shape[1]))

    def displacement(self, x: interactions.Points, mu: AbstractMeasure, dB: Float[Array, " m"]) -> Float[Array, "n d"]:
        """One FFT of each component on a grid, and one nonuniform FFT at particles for any number of waves."""
        if isinstance(x, FourierGrid) and self._fits(x):
            return self._on_grid(x, dB)
        points = interactions.at(x, mu)
        if len(self.modes) <= _FEW:
            cosine, sine = self._waves(points)
            b = dB.reshape(-1, 2).astype(points.dtype)
            return (cosine * b[:, 0] + sine * b[:, 1]) @ self._directions(points.dtype)
        return collectives.row_by_row(lambda rows: self._at_points(rows, dB), mesh_of(mu), points)

    def _directions(self, dtype) -> Float[Array, "p d"]:
        return jnp.asarray(self.directions, dtype)

    def _waves(self, x: Float[Array, "n d"]) -> tuple[Array, Array]:
        """√(2K) θ_p times cos and sin of q_p·x, each of shape (n, p)."""
        turns = x / jnp.asarray(self.space.lengths, x.dtype)
        cosine, sine = cos_sin_turns(turns @ jnp.asarray(self.modes, x.dtype).T)
        amplitude = self.amplitudes.astype(x.dtype)
        return amplitude * cosine, amplitude * sine

    def _coefficients(self, dB: Float[Array, " m"]) -> Array:
        """c_p, shape (d, p), with ξ dt = Re Σ_p c_p e^{iq_p·x}."""
        c, s = dB.reshape(-1, 2).T
        return (self.amplitudes.astype(dB.dtype) * (c - 1j * s)) * self._directions(dB.dtype).T

    def _fits(self, grid: FourierGrid) -> bool:
        return all(2 * max(abs(k[i]) for k in self.modes) < n for i, n in enumerate(grid.shape))

    def _on_grid(self, grid: FourierGrid, dB: Float[Array, " m"]) -> Float[Array, "n d"]:
        fields = [calculus.waves(grid, np.asarray(self.modes), c) for c in self._coefficients(dB)]
        return jnp.stack(fields, axis=-1)

    def _at_points(self, x: Float[Array, "n d"], dB: Float[Array, " m"]) -> Float[Array, "n d"]:
        k = np.asarray(self.modes)
        top = np.abs(k).max(axis=0)
        shape = tuple(2 * int(t) + 1 for t in top)

        def centre(halves):
            spectrum = jnp.zeros(shape, halves[0].dtype)
            for sign, c in zip((1, -1), halves, strict=True):
                spectrum = spectrum.at[tuple((sign * k + top).T)].add(c)
            return spectrum

        spectra = jnp.stack([centre(f) for f in _pairs(self._coefficients(dB))])
        eps = max(self.tolerance, nufft.least_tolerance(x.dtype))
        values = nufft.type2(spectra, x / jnp.asarray(self.space.lengths, x.dtype), eps)
        return jnp.stack(_components(list(values), x.shape[1]), axis=-1)


def _pairs(c: Array) -> list[tuple[Array, Array]]:
    """Two real fields Re Σ c e^{iqx} as one complex one, first + i·second: its coefficients at q and at −q."""
    pairs = []
    for i in range(0, c.shape[0], 2):
        first = c[i]
        second = c[i + 1] if i + 1 < c.shape[0] else jnp.zeros_like(first)
        pairs.append((0.5 * (first + 1j * second), 0.5 * (jnp.conj(first) + 1j * jnp.conj(second))))
    return pairs


def _components(fields: Sequence[Array], dim: int) -> list[Array]:
    return list(itertools.chain.from_iterable((f.real, f.imag) for f in fields))[:dim]


def _orthogonal(q: np.ndarray) -> np.ndarray:
    """An orthonormal basis of q⊥ for each q, shape (p(d − 1), d), of axes where it can be."""
    p, d = q.shape
    length = np.linalg.norm(q, axis=1, keepdims=True)
    if d == 2:
        return np.stack([-q[:, 1], q[:, 0]], axis=1) / length + 0.0
    # Where q has a zero entry, that axis is orthogonal to it.
    first = np.eye(d)[np.argmin(np.abs(q), axis=1)]
    first = first - np.sum(first * q, axis=1, keepdims=True) * q / length**2
    first = first / np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(q, first) / length
    return np.stack([first, second], axis=1).reshape(p * (d - 1), d)


def _check_modes(modes, dim: int, repeated: bool) -> np.ndarray:
    k = np.asarray(modes)
    require(
        k.ndim == 2 and k.shape[1] == dim and len(k) > 0 and k.dtype.kind in "iu",
        f"modes are integer wave vectors, shape (p, {dim}), but an array of shape {k.shape} and type {k.dtype} was "
        "given.",
    )
    require(np.all(np.any(k != 0, axis=1)), "the mode 0 is no wave: an additive noise moves all points alike.")
    if not repeated:
        # One of k and −k: the first entry that is not zero is positive.
        up = k.astype(int) * np.sign(k[np.arange(len(k)), np.argmax(k != 0, axis=1)]).astype(int)[:, None]
        different, count = np.unique(up, axis=0, return_counts=True)
        twice = [tuple(int(c) for c in row) for row in different[count > 1]]
        require(not twice, f"each pair ±k of modes is given once, but {twice[:1]} recurs.")
    return k.astype(int)


def _check_directions(directions, waves: np.ndarray) -> np.ndarray:
    a = np.asarray(directions, float)
    require(a.shape == waves.shape, f"the directions of {len(waves)} waves have shape {waves.shape}, not {a.shape}.")
    length = np.linalg.norm(a, axis=1, keepdims=True)
    require(np.all(np.isfinite(length) & (length > 0)), "the direction of a wave must be a finite vector, not zero.")
    a = a / length
    along = np.abs(np.sum(a * waves, axis=1)) / np.linalg.norm(waves, axis=1)
    worst = int(np.argmax(along))
    require(
        along[worst] <= 1e-9,
        f"a transport noise is divergence-free, but the direction of wave {worst} makes an angle with it: "
        f"a·q/|q| = {along[worst]:.3g}.",
    )
    return a
