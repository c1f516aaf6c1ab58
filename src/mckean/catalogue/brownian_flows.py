"""Isotropic Brownian flows of the sphere: every exponent, and the motion of one and of two points, in closed form.

    dx = P_x F(x, dt),   E F_a(x, dt) F_b(y, dt) = δ_ab k(⟨x, y⟩) dt   on S^{d−1}, m = d − 1.

One point is a Brownian motion of the sphere on the clock k(1)t, with E⟨x_t, x_0⟩ = e^{−k(1)(d−1)t/2}. Two points with
R = ⟨x, y⟩ obey

    dR = [k(R)(d − 2 + R²) − k(1)(d − 1)R] dt + martingale,   d⟨R⟩ = 2(1 − R²)(k(1) − R k(R)) dt,

as tr P_xP_y = d − 2 + R² and ⟨P_xy, P_yx⟩ = −R(1 − R²). Tangents: DV·v = P DF·v − ⟨x, F⟩v, whose parts are independent,
as E (∂_vF)_a ⟨x, F⟩ = 0 for a tangent to the sphere. So in a parallel frame, in the sense of Itô,

    dA = √k′(1) dG A − √k(1) dg A − ½k(1)(m − 1) A dt,

G an m × m matrix of independent motions, g one more, and the drift −½k(1)Ric of parallel frames along a Brownian path
of that clock. A volume of dimension j is multiplied by √det of a Wishart matrix, E d log vol_j = ½k′(1) j(m − j − 1) dt
from G, −½k(1)j dt from g and −½k(1)j(m − 1) dt from the drift: hence

    λ_i = ½(m − 2i) k′(1) − ½m k(1),   i = 1, …, m,

which for i = 1 is Raimond's ((d−3)/2)k′(1) − ((d−1)/2)k(1) (Ann. Inst. H. Poincaré Probab. Statist. 35, 1999). A point
attracts all others iff λ_1 < 0; as k′(1)/k(1) is at most the degree of k, the flow of degree p synchronises for
d < 3 + 2/(p − 1) whatever its coefficients.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.catalogue.facts import Entry, Fact
from mckean.measures import Particles
from mckean.models import Model
from mckean.models.flows import IsotropicFlow
from mckean.spaces import Sphere

_REFERENCE = "Raimond, Flots browniens isotropes sur la sphère, Ann. Inst. H. Poincaré 35 (1999); derived in the module"
_OVERLAP = 0.3
_NEAR = 1e-3


def spectrum(dim: int, at_one: float, slope: float) -> Float[np.ndarray, " m"]:
    """The Lyapunov exponents λ_i = ½(m − 2i)k′(1) − ½m k(1), i = 1 … m = d − 1; 1/time.

    **Arguments:**

    - `dim`: d.
    - `at_one`: k(1), 1/time.
    - `slope`: k′(1), 1/time.
    """
    m = dim - 1
    return 0.5 * (m - 2 * np.arange(1, m + 1)) * slope - 0.5 * m * at_one


def euler_bias(
    dim: int, at_one: float, slope: float, dt: float, samples: int = 20_000, seed: int = 0
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """By what the exponents of tangent Euler steps differ from λ_i, with standard errors; 1/time.

    A step is x ↦ (x + V)/r, r² = 1 + |V|², with the derivative A = r⁻¹P_{x+V}(1 + N − x Vᵀ) on tangents, N = √dt(√k′ G
    − √k g), and V = √(k dt) times m independent normals. As its law is invariant under rotations all steps are alike,
    and the exponents are E log R_ii/dt for A = QR. To second order in √dt the logarithms of volumes are

        log R_11 + … + log R_jj ≈ tr N_j + ½|N_{·j}|² − ¼|N_j + N_jᵀ|² + ½|V_j|² − ½j|V|²,

    N_{·j} the first j columns, N_j the first j rows of these, V_j the first j entries: the mean is (λ_1 + … + λ_j) dt
    exactly, and the rest is averaged over samples, in pairs of opposite signs. It is of order dt.

    **Arguments:**

    - `dim`: d.
    - `at_one`, `slope`: k(1) and k′(1), 1/time.
    - `dt`: the length of a step, time.
    - `samples`: the number of pairs. Default: 20000.
    - `seed`: of the samples. Default: 0.

    **Returns:** the differences and their standard errors, each of shape (d − 1,).
    """
    m, rng = dim - 1, np.random.default_rng(seed)
    move = np.sqrt(at_one * dt) * rng.standard_normal((samples, m + 1))
    turn = np.sqrt(slope * dt) * rng.standard_normal((samples, m, m))
    turn = turn - np.eye(m) * move[:, m:, None]
    rest = np.mean([_beyond_second_order(sign * move[:, :m], sign * turn) for sign in (1, -1)], axis=0) / dt
    return rest.mean(axis=0), rest.std(axis=0) / np.sqrt(samples)


def _beyond_second_order(v: Float[np.ndarray, "s m"], n: Float[np.ndarray, "s m m"]) -> Float[np.ndarray, "s m"]:
    """log R_ii less its expansion."""
    m = v.shape[1]
    length = np.sqrt(1 + np.sum(v**2, axis=1, keepdims=True))
    y = np.concatenate([v, np.ones((len(v), 1))], axis=1) / length
    a = np.concatenate([np.eye(m) + n, -v[:, None, :]], axis=1)
    a = a - y[:, :, None] * np.einsum("si,sij->sj", y, a)[:, None, :]
    logs = np.log(np.abs(np.diagonal(np.linalg.qr(a, mode="r"), axis1=1, axis2=2)) / length)
    square = (n + n.transpose(0, 2, 1)) ** 2
    trace = np.cumsum(np.diagonal(n, axis1=1, axis2=2) + 0.5 * np.sum(n**2, axis=1) + 0.5 * v**2, axis=1)
    blocks = np.stack([np.sum(square[:, :j, :j], axis=(1, 2)) for j in range(1, m + 1)], axis=1)
    volumes = trace - 0.25 * blocks - 0.5 * np.arange(1, m + 1) * np.sum(v**2, axis=1, keepdims=True)
    return logs - np.diff(volumes, axis=1, prepend=0.0)


def overlap_drift(r, k_at_r, at_one: float, dim: int):
    """The drift of the overlap R of two points, k(R)(d − 2 + R²) − k(1)(d − 1)R, 1/time.

    **Arguments:**

    - `r`: R.
    - `k_at_r`: k(R), 1/time.
    - `at_one`: k(1), 1/time.
    - `dim`: d.
    """
    return k_at_r * (dim - 2 + r**2) - at_one * (dim - 1) * r


def overlap_bracket(r, k_at_r, at_one: float):
    """The bracket of the overlap R of two points, 2(1 − R²)(k(1) − R k(R)), 1/time.

    **Arguments:**

    - `r`: R.
    - `k_at_r`: k(R), 1/time.
    - `at_one`: k(1), 1/time.
    """
    return 2 * (1 - r**2) * (at_one - r * k_at_r)


def isotropic_flow(dim: int = 4, coefficients: Sequence[float] = (1.0, 0.0, 1.0)) -> Entry:
    """The isotropic Brownian flow on S^{d−1} with the covariance k(t) = Σ_p c_p t^p: dx = P_x F(x, dt).

    **Arguments:**

    - `dim`: d ≥ 2. Default: 4.
    - `coefficients`: c_0, c_1, … ≥ 0, 1/time. Default: (1, 0, 1).

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for other values.

    **Source:** Raimond, Ann. Inst. H. Poincaré Probab. Statist. 35 (1999).
    """
    flow = IsotropicFlow(Sphere(dim), coefficients)
    model = Model(flow.space, common=flow)
    at_one, slope = float(flow.covariance(jnp.ones(()))), float(flow.slope)
    return Entry(model, {**_exponents(model, flow, at_one, slope), **_motion(model, flow, at_one, slope)})


def _exponents(model: Model, flow: IsotropicFlow, at_one: float, slope: float) -> dict[str, Fact]:
    dim = model.space.dim
    lambdas = spectrum(dim, at_one, slope)
    # The top exponent is −½ of what drift and bracket of R give log(1 − R) at a small angle, up to its square.
    angle = _NEAR**2 * dim * sum(p * p * float(c) for p, c in zip(flow.degrees, flow.weights, strict=True))
    return {
        "top exponent": Fact(
            "λ₁ = ½(d − 3)k′(1) − ½(d − 1)k(1)",
            float(lambdas[0]),
            _REFERENCE,
            lambda: _top(model),
            angle + _NEAR**2 * dim * at_one,
        ),
        "sum of exponents": Fact(
            "Σλ_i = −½ E Σ_k(div P_xσ_k)² = −½m(k′(1) + m k(1))",
            float(np.sum(lambdas)),
            _REFERENCE,
            lambda: _dissipation(model),
            1e-7 * dim**2 * (at_one + slope),
        ),
    }


def _motion(model: Model, flow: IsotropicFlow, at_one: float, slope: float) -> dict[str, Fact]:
    """Of one point, and of two."""
    dim, k = model.space.dim, float(flow.covariance(jnp.asarray(_OVERLAP)))
    rounding = 1e-12 * dim * (at_one + slope)
    return {
        "clock": Fact(
            "½E|P_xF|² = ½k(1)(d − 1), the rate at which E⟨x_t, x_0⟩ decays",
            0.5 * at_one * (dim - 1),
            _REFERENCE,
            lambda: float(0.5 * jnp.sum(_fields(model, _OVERLAP)[1][0] ** 2)),
            rounding,
        ),
        "overlap drift": Fact(
            "k(R)(d − 2 + R²) − k(1)(d − 1)R for R = 0.3",
            overlap_drift(_OVERLAP, k, at_one, dim),
            _REFERENCE,
            lambda: _of_two(model, _OVERLAP)[0],
            rounding,
        ),
        "overlap bracket": Fact(
            "2(1 − R²)(k(1) − R k(R)) for R = 0.3",
            overlap_bracket(_OVERLAP, k, at_one),
            _REFERENCE,
            lambda: _of_two(model, _OVERLAP)[1],
            rounding,
        ),
    }


def _fields(model: Model, r: float) -> tuple[Array, Float[Array, "two d k"]]:
    """Two points of overlap R and the tangent fields of the noise at them."""
    d = model.space.dim
    x = jnp.zeros((2, d)).at[0, 0].set(1.0).at[1, :2].set(jnp.asarray([r, (1 - r**2) ** 0.5]))
    sigma = model.common[0].matrix(x, Particles(model.space, x))
    return x, sigma - x[:, :, None] * jnp.einsum("nd,ndk->nk", x, sigma)[:, None, :]


def _of_two(model: Model, r: float) -> tuple[float, float]:
    """Drift and bracket of R from the fields: each point's length is kept by a drift −½|σ|²x."""
    x, sigma = _fields(model, r)
    drift = jnp.sum(sigma[0] * sigma[1]) - 0.5 * jnp.sum(sigma**2) * r
    return float(drift), float(jnp.sum((x[1] @ sigma[0] + x[0] @ sigma[1]) ** 2))


def _top(model: Model) -> float:
    """½ d/dt E log(1 − R) of two points at a small angle."""
    u = 2 * np.sin(0.5 * _NEAR) ** 2
    drift, bracket = _of_two(model, 1 - u)
    return 0.5 * (-drift / u - 0.5 * bracket / u**2)


def _dissipation(model: Model) -> float:
    """−½Σ_k(div σ_k)² at a point, the divergence by central differences along m great circles."""
    d, h = model.space.dim, 1e-4
    flow, total = model.common[0], 0.0
    for i in range(1, d):
        along = jnp.eye(d)[i]
        ends = jnp.stack([jnp.cos(h) * jnp.eye(d)[0] + sign * jnp.sin(h) * along for sign in (1, -1)])
        turned = jnp.stack([-sign * jnp.sin(h) * jnp.eye(d)[0] + jnp.cos(h) * along for sign in (1, -1)])
        sigma = jnp.einsum("nd,ndk->nk", turned, flow.matrix(ends, Particles(model.space, ends)))
        total = total + (sigma[0] - sigma[1]) / (2 * h)
    return float(-0.5 * jnp.sum(jnp.asarray(total) ** 2))
