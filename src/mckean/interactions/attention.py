"""Self-attention: tokens that move towards a mean of one another, weighted by e^{β⟨Ax, y⟩}.

The sum over sources is two matrix products with an exponential in between. It is taken in tiles with a running maximum,
so that nothing overflows: O(n·m·d) work and the memory of the arguments and one tile, for derivatives of any order too.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import require_finite
from mckean.collectives import by_device
from mckean.interactions.field import AbstractField
from mckean.interactions.parameters import parameter
from mckean.interactions.sums.sum import Points, at, atoms
from mckean.interactions.sums.zonal import coefficients, convolve
from mckean.measures import AbstractMeasure, Density, cast, require_one_device
from mckean.spaces import AbstractSphericalGrid, Torus

# Targets and sources of a tile. At n = 8192, d = 64 in single precision, 512 to 1024 a side are alike; 256 takes half
# as long again, and 2048, where a tile leaves the cache, a quarter. An accelerator at n = 65536, d = 1024 takes half as
# long again with 1024 as with 4096 a side.
_CPU, _ACCELERATOR = 1024, 4096


class Attention(AbstractField):
    """The field of self-attention of the tokens y_j, μ = Σ_j w_j δ_{y_j}, with or without the softmax's denominator.

    Normalised (SA), b(x, μ) = V Σ_j w_j e^{β⟨Ax, y_j⟩} y_j / Σ_j w_j e^{β⟨Ax, y_j⟩}; else (USA), the numerator alone,
    b(x, μ) = V Σ_j w_j e^{β⟨Ax, y_j⟩} y_j. Both are V Σ_j w_j y_j at β = 0.

    The normalised field is finite wherever β⟨Ax, y⟩ is; the other is not where its value is beyond the largest number.
    β < 0 stands for −A and |β|: a token then listens to those opposite to it. For V = Aᵀ the field is −∇_x of
    `potential`. A density acts by its nodes and their masses, a negative one (which is rounding) counting as 0. On a
    grid of a sphere, without A, it acts by its harmonics at the nodes: ∫e^{βt}y dμ, t = ⟨x, y⟩, has the tangent part
    β⁻¹∇∫e^{βt}dμ and the normal part x∫te^{βt}dμ, which are zonal convolutions.

    **Arguments:**

    - `beta`: β, a number, in 1/length². Default: 1.
    - `value`: V, shape (d, d), or a number, in 1/time. Default: None, the identity.
    - `query_key`: A = QᵀK, shape (d, d). Default: None, the identity.
    - `normalised`: (SA), or (USA) if False. Default: True.

    **Raises:**

    - `ValueError` for a parameter that is not finite or of another shape; when used, for points or matrices of another
      dimension, on a torus, where ⟨Ax, y⟩ is not periodic, and for a measure that is neither particles nor a density.

    **Source:** Geshkovski, Letrouit, Polyanskiy, Rigollet, "A mathematical perspective on Transformers", (SA), (USA).
    """

    beta: Float[Array, ""]
    value: Float[Array, "d d"] | Float[Array, ""] | None
    query_key: Float[Array, "d d"] | None
    normalised: bool = eqx.field(static=True)

    def __init__(self, beta=1.0, value=None, query_key=None, normalised: bool = True):
        self.beta = _floating("beta", beta)
        if self.beta.shape:
            raise ValueError(f"the beta of an attention must be a number, not an array of shape {self.beta.shape}.")
        self.value = None if value is None else _square("value", value)
        self.query_key = None if query_key is None else _square("query_key", query_key)
        if self.query_key is not None and not self.query_key.shape:
            raise ValueError("the query_key of an attention must be a matrix: a number belongs into beta.")
        self.normalised = normalised

    def __call__(self, x: Points, mu: AbstractMeasure) -> Float[Array, "n d"]:
        """b(x_i, μ) at points of shape (n, d) or on the nodes of a grid, in the precision of the points."""
        require_one_device("attention acts", mu)
        field, points = self._checked(mu, x)
        if (
            self.query_key is None
            and isinstance(mu, Density)
            and isinstance(x, AbstractSphericalGrid)
            and x.related(mu.grid)
        ):
            mean = field._by_harmonics(x, mu)
        else:
            y, w = _atoms(mu, points)
            log_mass, mean = softmax_mean(field.beta * field._queries(points), y, y, w)
            if not self.normalised:
                mean = jnp.exp(log_mass)[:, None] * mean
        if field.value is None:
            return mean
        return _product(mean, field.value.T) if field.value.ndim else field.value * mean

    def potential(self, x: Float[Array, "n d"], mu: AbstractMeasure) -> Float[Array, " n"]:
        """−β⁻¹ log Σ_j w_j e^{β⟨Ax, y_j⟩}, or not normalised −β⁻¹ Σ_j w_j e^{β⟨Ax, y_j⟩}, at points of shape (n, d).

        −∇_x of it is Aᵀ times the field's sum, without V. Its value at β = 0 is the limit −Σ_j w_j ⟨Ax, y_j⟩, for the
        unnormalised one after −1/β is taken off; the first derivative in β is right there as well. Near β = 0 the
        quotient loses digits, as rounding/|β|.
        """
        field, x = self._checked(mu, x)
        y, w = _atoms(mu, x)
        query, beta = field._queries(x), field.beta
        log_mass, _ = softmax_mean(beta * query, y, y[:, :0], w)
        still = beta == 0
        quotient = (log_mass if self.normalised else jnp.exp(log_mass)) / jnp.where(still, 1.0, beta)
        # The cumulants of ⟨Ax, y⟩, or its moments, up to order 2.
        centre = w @ y
        spread = y - centre if self.normalised else y
        second = jnp.sum((query @ ((w[:, None] * spread).T @ spread)) * query, axis=1)
        return -jnp.where(still, query @ centre + 0.5 * beta * second, quotient)

    def _queries(self, x: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """Ax_i."""
        return x if self.query_key is None else _product(x, self.query_key.T)

    def _by_harmonics(self, grid: AbstractSphericalGrid, mu: Density) -> Float[Array, "size d"]:
        """∫e^{βt}y dμ(y) at the nodes, over ∫e^{βt}dμ where it is normalised."""
        rho, beta = coefficients(mu, grid), self.beta
        still = beta == 0
        away = jnp.where(still, 1.0, beta)
        # Over e^{|β|}, so that nothing overflows.
        weight = lambda theta: jnp.exp(beta * jnp.cos(theta) - jnp.abs(beta))  # noqa: E731

        def ratio(theta):
            """(e^{βt} − 1)/β, of which a convolution has the gradient that is asked for."""
            t = jnp.cos(theta)
            return jnp.where(still, t + 0.5 * beta * t**2, (weight(theta) - jnp.exp(-jnp.abs(beta))) / away)

        along = grid.synthesise(convolve(lambda theta: jnp.cos(theta) * weight(theta), rho)).reshape(-1, 1)
        mean = grid.gradient(convolve(ratio, rho)) + along * at(grid, mu)
        if self.normalised:
            return mean / grid.synthesise(convolve(weight, rho)).reshape(-1, 1)
        return jnp.exp(jnp.abs(beta)) * mean

    def _checked(self, mu: AbstractMeasure, x: Points) -> tuple["Attention", Array]:
        """The parameters in the precision of the points, and the points, once everything fits."""
        x = at(x, mu)
        dim = mu.domain.dim
        if isinstance(mu.domain, Torus):
            raise ValueError("attention has no meaning on a torus, where the inner product of points is not periodic.")
        if x.ndim != 2 or x.shape[1] != dim:
            raise ValueError(f"points in dimension {dim} have shape (n, {dim}), not {x.shape}.")
        for name, matrix in (("value", self.value), ("query_key", self.query_key)):
            if matrix is not None and matrix.shape not in ((), (dim, dim)):
                raise ValueError(
                    f"the {name} of an attention in dimension {dim} has shape ({dim}, {dim}), not {matrix.shape}."
                )
        return cast(self, x.dtype), x


def _atoms(mu: AbstractMeasure, x: Array) -> tuple[Array, Array]:
    """The atoms in the precision of the points, without negative masses."""
    y, w = atoms(mu)
    return y.astype(x.dtype), jnp.where(w < 0, 0.0, w).astype(x.dtype)


def _floating(name: str, given) -> Array:
    array = parameter(given) if np.ndim(given) == 0 else jnp.asarray(given)
    require_finite(f"the {name} of an attention", array)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(jnp.result_type(float))


def _square(name: str, given) -> Array:
    """A square matrix, or a number."""
    array = _floating(name, given)
    if array.shape and (array.ndim != 2 or array.shape[0] != array.shape[1]):
        raise ValueError(f"the {name} of an attention must be a square matrix, not an array of shape {array.shape}.")
    return array


def softmax_mean(
    q: Float[Array, "n d"], y: Float[Array, "m d"], v: Float[Array, "m k"], w: Float[Array, " m"]
) -> tuple[Float[Array, " n"], Float[Array, "n k"]]:
    """(log Z_i, Σ_j w_j e^{⟨q_i, y_j⟩} v_j / Z_i) with Z_i = Σ_j w_j e^{⟨q_i, y_j⟩}, for weights w ≥ 0, not all 0."""
    top, excess, mean = _stream(q, y, v, w)
    return top + excess, mean


@jax.custom_jvp
@jax.jit
def _stream(q: Array, y: Array, v: Array, w: Array) -> tuple[Array, Array, Array]:
    """The largest exponent t_i, log Z_i − t_i and the mean. A sum of the first two would round log Z_i by more than the
    derivatives of a large exponent can bear.

    Source: Dao, Fu, Ermon, Rudra, Ré, "FlashAttention", algorithm 1, with the division left to the end.
    """

    def start(targets):
        # Finite, so that a difference of maxima is no NaN while only padding and tokens without weight were seen.
        lowest = jnp.full(len(targets), jnp.finfo(q.dtype).min, q.dtype)
        return lowest, jnp.zeros((len(targets), v.shape[1] + 1), q.dtype)

    def add(carry, targets, sources):
        (top, total), (yj, vj, wj) = carry, sources
        # A maximum at a token without weight could leave nothing but underflow: it is taken with the weights.
        s, logw = _product(targets, yj), jnp.log(wj)
        highest = jnp.maximum(top, jnp.max(s + logw, axis=1))
        p = jnp.exp(s - highest[:, None] + logw)
        return highest, total * jnp.exp(top - highest)[:, None] + _product(p, _with_one(vj).T)

    top, total = _over_tiles(start, add, q, (y, v, w))
    return top, jnp.log(total[:, -1]), total[:, :-1] / total[:, -1:]


@_stream.defjvp
def _streamed_jvp(primals, tangents):
    """d log Z_i = Σ_j P_ij dℓ_ij and d mean_i = Σ_j P_ij (dv_j + (v_j − mean_i) dℓ_ij), where P_ij is the softmax
    w_j e^{⟨q_i, y_j⟩}/Z_i and dℓ_ij = ⟨dq_i, y_j⟩ + ⟨q_i, dy_j⟩ + dw_j/w_j; t_i is held still."""
    top, excess, mean = _stream(*primals)
    change = _change((primals[0], tangents[0], top, excess), (*primals[1:], *tangents[1:]))
    return (top, excess, mean), (jnp.zeros_like(top), change[:, -1], change[:, :-1] - mean * change[:, -1:])


@jax.jit
def _change(targets: tuple[Array, ...], sources: tuple[Array, ...]) -> Float[Array, "n columns"]:
    """Σ_j P_ij (dv_j + v_j dℓ_ij), with a last column for v = 1: linear in the tangents, so that it has a transpose."""
    # 1/w_j is not in it. What a token without weight would weigh may be beyond the largest number, and must be no NaN.
    limit = jnp.log(jnp.finfo(targets[0].dtype).max) - 8

    def start(targets):
        return jnp.zeros((len(targets[0]), sources[1].shape[1] + 1), targets[0].dtype)

    def add(total, targets, sources):
        (q, dq, top, excess), (y, v, w, dy, dv, dw) = targets, sources
        p = jnp.exp(jnp.minimum(_product(q, y) - top[:, None] - excess[:, None], limit))
        slope = (p * w) * (_product(dq, y) + _product(q, dy))
        direct = jnp.concatenate([w * dv + dw * v, dw[None]])
        return total + _product(slope, _with_one(v).T) + _product(p, direct.T)

    return _over_tiles(start, add, targets, sources)


def _over_tiles(start: Callable, add: Callable, targets: Any, sources: Any) -> Any:
    """The sum over sources, tile by tile, for the targets tile by tile; arrays in both trees are padded by zeros.

    A tile of sources has their index last: a derivative multiplies by its transpose, three times faster that way.
    """
    rows, side = jax.tree.leaves(targets)[0].shape[0], by_device(_CPU, _ACCELERATOR)
    sources = jax.tree.map(lambda a: jnp.moveaxis(_tiles(a, side), 1, -1), sources)
    # Recomputed in a derivative, or every tile would be kept; so are the rows of tiles, for derivatives of derivatives.
    add = jax.checkpoint(add, prevent_cse=False)

    @partial(jax.checkpoint, prevent_cse=False)
    def block(targets):
        return jax.lax.scan(lambda carry, tile: (add(carry, targets, tile), None), start(targets), sources)[0]

    blocks = jax.lax.map(block, jax.tree.map(lambda a: _tiles(a, side), targets))
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:rows], blocks)


def _tiles(a: Float[Array, "n *k"], largest: int) -> Float[Array, "count size *k"]:
    """The array in tiles of one size, with as little padding as their number allows."""
    count = -(-a.shape[0] // largest)
    size = -(-a.shape[0] // count)
    return jnp.pad(a, [(0, count * size - a.shape[0])] + [(0, 0)] * (a.ndim - 1)).reshape(count, size, *a.shape[1:])


def _with_one(v: Float[Array, "k m"]) -> Float[Array, "k+1 m"]:
    """v with a row of ones: the denominator is one more row of the product."""
    return jnp.concatenate([v, jnp.ones_like(v, shape=(1, v.shape[1]))])


def _product(a: Array, b: Array) -> Array:
    """ab, also on accelerators in the precision of its factors, as errors in an exponent are multiplied by β."""
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
