"""The branches that leave a branch point, by the reduced equations on what is in the kernel there.

With h = Σ_ia_ih_i in the kernel of the Hessian of βF at ρ_0 and the rest of δρ at its critical value, what is left is
Liapunov and Schmidt's reduced energy: with γ_ij, the rate at which the curvatures change along the known branch,

    Φ(a, δp) = ½δp Σγ_ija_ia_j + Φ_3(a) + Φ_4(a) + …,   Φ_3 = −(1/6)∫h³/ρ_0²,
    Φ_4 = (1/12)∫h⁴/ρ_0³ − ½⟨ψ, H⁻¹ψ⟩,   ψ = −½h²/ρ_0²,

H the Hessian on the complement of the kernel. Branches leave along a = se with ∇Φ_d(e) = −μγe: δp = μs^{d−2}, d = 3
where ∇Φ_3(e) is not 0, else 4.

At the uniform state of a torus the kernel is spanned by the waves of shells of Ŵ, z_k = a_k e^{iθ_k} for k and its
−k. Where no sum of three or four of them is 0 but of pairs ±k, Φ_4 = ΣM_kl|z_k|²|z_l|² whatever the phases are, and the
branches are those of the sets J of waves with Σ_{l∈J}M_kl x_l = −δpγ_k/4, x_l = |z_l|² > 0: all of them, up to phases.
Other kernels are searched from many starts.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean.checks import require
from mckean.measures import Density
from mckean.models import energy
from mckean.phases import _arc as arc
from mckean.phases import _equation as equation
from mckean.phases import _law as law
from mckean.phases._curvature import Hessian, hessian, paired, projected, root_of_mass
from mckean.phases._walk import Event
from mckean.spaces import AbstractSphericalGrid, FourierGrid, calculus

# A curvature that vanishes, and a coefficient of Φ that is zero, beside others of order 1.
_ZERO = 1e-6
_STARTS = 300
# The most waves whose sets are gone through.
_WAVES = 10


@dataclass(frozen=True, eq=False)
class Departure:
    """How a branch leaves a branch point: log ρ changes by s·direction and p by slope·s + bend·s² for small s.

    **Attributes:**

    - `direction`: the change of log ρ, an array of the grid's shape with root mean square 1.
    - `slope`: 0 where Φ_3 leaves the direction alone, as at a pitchfork.
    - `bend`: half the second derivative of p; NaN where the slope is not 0.
    - `supercritical`: whether the branch goes where the state that it leaves has more unstable directions.
    """

    direction: np.ndarray
    slope: float
    bend: float
    supercritical: bool

    def __repr__(self) -> str:
        kind = "supercritical" if self.supercritical else "subcritical"
        return f"Departure({kind}, slope={self.slope:.6g}, bend={self.bend:.6g})"


def departures(event: Event) -> list[Departure]:
    """The branches that leave a branch point, up to translations and reflections, by the reduced equations there.

        ½δp Σγ_ija_ia_j + Φ_3(a) + Φ_4(a),   log ρ = log ρ_0 + Σa_ih_i/ρ_0 + …,

    critical in a: Liapunov and Schmidt's equations up to the first order that decides. About the uniform state of a
    torus with waves in no resonance all solutions are found, at most one for each set of waves, and phases that these
    equations leave free are 0; otherwise those that a search from many starts finds. An exchange of axes makes another
    branch.

    **Arguments:**

    - `event`: a branch point of a `Branch`.

    **Returns:** a list of `Departure`s; `continuation` takes one as `along`.

    **Raises:** `ValueError` for what is no branch point, and where the curvatures do not pass zero along the branch.

    **Source:** Golubitsky, Stewart and Schaeffer, Singularities and Groups in Bifurcation Theory II, 1988; on the
    circle Carrillo, Gvalani, Pavliotis and Schlichting, arXiv 1806.01719, Theorem 1.2.
    """
    require(isinstance(event, Event), "branches leave an event of a branch, as continuation returns it in its events.")
    require(
        event.kind != "Hopf",
        "from a Hopf point solutions leave that turn: on a torus follow a travelling wave from it with continuation, "
        "along a wave such as cos x.",
    )
    require(event.kind == "branch point", "no other branch leaves a fold: the branch itself turns back there.")
    equation.require_energy(event.state.model, "the reduced equation of a branch point")
    model, rho = event.model_of(event.parameter), event.state.density
    grid = rho.grid
    axes = equation.symmetric_axes(model, grid)
    u = energy.potential(model, rho)
    whole = hessian(model, rho, np.asarray(equation.tangents(grid, u, axes)))
    waves = _waves(whole, rho)
    basis = whole.vectors[:, np.abs(whole.inside) <= _ZERO] if waves is None else waves
    require(
        basis.shape[1] > 0, "no curvature vanishes at this event: take the branch with more nodes or smaller steps."
    )
    reduced = _reduce(event, whole, basis, u, axes)
    require(
        np.abs(reduced.rates).max() > _ZERO,
        "the curvatures do not pass zero along the branch: another branch is tangent to it, or it is a fold.",
    )
    found = _by_waves(reduced) if waves is not None else None
    if found is None:
        turns = bool(axes) and isinstance(grid, AbstractSphericalGrid)
        found = _search(reduced, waves is not None, turns)
    root = root_of_mass(rho)
    return [_departure(reduced, solution, basis, root, grid) for solution in found]


@dataclass(frozen=True, eq=False)
class _Reduced:
    """Φ: `rates` γ, shape (n, n); `cubic`, symmetric; `quartic` with the symmetries (ij), (kl), (ij)(kl)."""

    rates: np.ndarray
    cubic: np.ndarray
    quartic: np.ndarray

    def gradient(self, degree: int, a: np.ndarray) -> np.ndarray:
        if degree == 3:
            return 3 * np.einsum("ijk,...j,...k->...i", self.cubic, a, a)
        return 4 * np.einsum("ijkl,...j,...k,...l->...i", self.quartic, a, a, a)

    def second(self, degree: int, a: np.ndarray) -> np.ndarray:
        if degree == 3:
            return 6 * np.einsum("ijk,...k->...ij", self.cubic, a)
        crossed = np.einsum("ikjl,...k,...l->...ij", self.quartic, a, a)
        return 4 * (np.einsum("ijkl,...k,...l->...ij", self.quartic, a, a) + 2 * crossed)


@dataclass(frozen=True, eq=False)
class _Solution:
    """a = se, δp = rate s^{degree − 2}, e of length 1."""

    direction: np.ndarray
    degree: int
    rate: float


def _waves(whole: Hessian, rho: Density) -> np.ndarray | None:
    """The kernel of the uniform state of a torus as waves: the cosines, then their sines; else None."""
    grid = rho.grid
    values = np.asarray(rho.values)
    if not isinstance(grid, FourierGrid) or len(whole.left) > 1 or np.ptp(values) > 1e-9 * values.max():
        return None
    kernel = whole.vectors[:, np.abs(whole.inside) <= _ZERO]
    modes = np.stack(np.meshgrid(*[np.fft.fftfreq(n, 1 / n) for n in grid.shape], indexing="ij"), axis=-1)
    spectra = np.fft.fftn(kernel.T.reshape(-1, *grid.shape), axes=range(1, len(grid.shape) + 1))
    power = np.sum(np.abs(spectra) ** 2, axis=0)
    large = modes[power > 0.25 * power.max(initial=0.0)] if kernel.shape[1] else np.zeros((0, len(grid.shape)))
    half = np.array([k for k in large if tuple(k) > tuple(-k)]).reshape(-1, len(grid.shape))
    phase = np.asarray(grid.nodes, np.float64) @ (2 * np.pi * half / np.asarray(grid.sides)).T
    return np.sqrt(2 / grid.size) * np.concatenate([np.cos(phase), np.sin(phase)], axis=1)


def _reduce(event: Event, whole: Hessian, basis: np.ndarray, u: Any, axes: tuple[int, ...]) -> _Reduced:
    rho = event.state.density
    number = basis.shape[1]
    root = root_of_mass(rho)[:, None]
    products = (basis[:, :, None] * basis[:, None]).reshape(len(basis), -1) / root
    cubic = -(basis.T @ products / 6).reshape((number,) * 3)
    # ψ = −½g²/√ρ on the complement, and H⁻¹ψ.
    psi = whole.project(products) / -2
    psi = psi - basis @ (basis.T @ psi)
    answer = _inverse(event, whole, basis, psi)
    quartic = products.T @ products / 12 - 0.5 * psi.T @ answer
    rates = np.asarray(_rates(event.model_of, rho, u, jnp.asarray(event.parameter), axes, jnp.asarray(basis)))
    return _Reduced(0.5 * (rates + rates.T), cubic, quartic.reshape((number,) * 4))


def _inverse(event: Event, whole: Hessian, basis: np.ndarray, psi: np.ndarray) -> np.ndarray:
    """H⁻¹ψ on the complement of the kernel."""
    if whole.complete:
        keep = np.abs(whole.inside) > _ZERO
        vectors, values = whole.vectors[:, keep], whole.inside[keep]
        inside = vectors.T @ psi
        return psi - vectors @ inside + vectors @ (inside / values[:, None])
    rho = event.state.density
    left = jnp.asarray(np.concatenate([whole.left, basis.T]))
    return np.asarray(_solve(event.model_of(event.parameter), rho, left, jnp.asarray(psi)))


@eqx.filter_jit
def _solve(model: Any, rho: Density, left: Any, psi: Any) -> Any:
    act = projected(model, rho, left)
    one = lambda f: jax.scipy.sparse.linalg.gmres(  # noqa: E731
        act, f, tol=1e-12, atol=0.0, restart=60, maxiter=6, solve_method="incremental"
    )[0]
    return jax.lax.map(one, psi.T).T


@eqx.filter_jit
def _rates(model_of: Any, rho: Density, u: Any, p: Any, axes: tuple[int, ...], basis: Any) -> Any:
    """γ_ij, the derivative in p of the Hessian along the branch that is known, on the kernel."""
    grid = rho.grid
    root, volume = jnp.sqrt(calculus.masses(grid, rho.values).ravel()), jnp.asarray(equation.volumes(grid))
    _, operator, slope, moves = arc.system(model_of, grid, u, p, axes)
    # u′ = du/dp without a part in the kernel, which −δρ/βρ spans.
    rows = jnp.concatenate([basis.T * root, moves])
    columns = jnp.concatenate([basis.T / root, moves])
    corner = equation.empty_rows(jnp.concatenate([jnp.ones_like(basis.T), moves]))
    rate, _ = equation.bordered(operator, columns, rows, corner, (-slope, jnp.zeros(len(rows), u.dtype)))
    changes = basis.T * root / volume

    def form(q, v):
        model = model_of(q)
        inverse = 1 / law.density(model, grid, v.reshape(grid.shape)).values.ravel()
        images = jnp.stack([paired(model, grid, h) for h in changes])
        return (volume * changes) @ (inverse * changes + model.beta * images).T

    return jax.jvp(form, (p, u.ravel()), (jnp.ones_like(p), rate))[1]


def _by_waves(reduced: _Reduced) -> list[_Solution] | None:
    """One solution for each set of waves; None where waves are in resonance."""
    number = len(reduced.rates) // 2
    axes = np.eye(2 * number)
    size = np.abs(reduced.quartic).max()
    if number > _WAVES or np.abs(reduced.cubic).max() > _ZERO * np.sqrt(size):
        return None
    value = lambda a: np.einsum("ijkl,i,j,k,l->", reduced.quartic, a, a, a, a)  # noqa: E731
    matrix = np.diag([value(axes[k]) for k in range(number)])
    for j, k in itertools.combinations(range(number), 2):
        matrix[j, k] = matrix[k, j] = 0.5 * (value(axes[j] + axes[k]) - matrix[j, j] - matrix[k, k])
    # In resonance Φ_4 depends on phases.
    for a in np.random.default_rng(0).normal(size=(4, 2 * number)):
        squares = a[:number] ** 2 + a[number:] ** 2
        if abs(value(a) - squares @ matrix @ squares) > _ZERO * size * np.sum(a**2) ** 2:
            return None
    rates, found = np.diag(reduced.rates)[:number], []
    for count in range(1, number + 1):
        for chosen in map(list, itertools.combinations(range(number), count)):
            block = matrix[np.ix_(chosen, chosen)]
            if np.abs(np.linalg.eigvalsh(block)).min() <= _ZERO * size:
                continue
            x = np.linalg.solve(block, -rates[chosen] / 4)
            if np.all(x > 0) or np.all(x < 0):
                direction = np.zeros(2 * number)
                direction[chosen] = np.sqrt(np.abs(x) / np.abs(x).sum())
                found.append(_Solution(direction, 4, float(1 / x.sum())))
    return found


def _search(reduced: _Reduced, waves: bool, turns: bool) -> list[_Solution]:
    """Solutions from many starts: of Φ_3, and of Φ_4 where Φ_3 is zero along them."""
    found: list[_Solution] = []
    size = max(np.abs(reduced.quartic).max(), 1e-300)
    degrees = (3, 4) if np.abs(reduced.cubic).max() > _ZERO * np.sqrt(size) else (4,)
    for degree in degrees:
        for a, mu in zip(*_newton(reduced, degree), strict=True):
            cubic = np.linalg.norm(reduced.gradient(3, a))
            if (degree == 3) == (cubic <= _ZERO * np.sqrt(size)) and len(degrees) == 2:
                continue
            if not any(_same(reduced, a, float(mu), other, waves, turns) for other in found if other.degree == degree):
                found.append(_Solution(a, degree, float(mu)))
    return found


def _newton(reduced: _Reduced, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """e of length 1 and μ with ∇Φ_d(e) = −μγe."""
    n = len(reduced.rates)
    a = np.random.default_rng(0).normal(size=(_STARTS, n))
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    pulled = a @ reduced.rates
    mu = -np.einsum("ij,ij->i", reduced.gradient(degree, a), pulled) / np.sum(pulled**2, axis=1)
    for _ in range(40):
        off = reduced.gradient(degree, a) + mu[:, None] * (a @ reduced.rates)
        matrix = np.zeros((_STARTS, n + 1, n + 1))
        matrix[:, :n, :n] = reduced.second(degree, a) + mu[:, None, None] * reduced.rates
        matrix[:, :n, n], matrix[:, n, :n] = a @ reduced.rates, a
        right = np.concatenate([off, 0.5 * (np.sum(a**2, axis=1) - 1)[:, None]], axis=1)
        # Phases that translations turn make the matrix singular.
        step = np.einsum("kij,kj->ki", np.linalg.pinv(matrix, rcond=1e-9), right)
        a, mu = a - step[:, :n], mu - step[:, n]
    off = np.linalg.norm(reduced.gradient(degree, a) + mu[:, None] * (a @ reduced.rates), axis=1)
    good = (off <= 1e-9 * (1 + np.abs(mu))) & (np.abs(np.linalg.norm(a, axis=1) - 1) <= 1e-9)
    return a[good], mu[good]


def _same(reduced: _Reduced, a: np.ndarray, mu: float, other: _Solution, waves: bool, turns: bool) -> bool:
    """Whether two solutions differ by a translation or a reflection: alike in μ, and in the moduli of their waves.

    Of those that rotations of a sphere turn μ alone is compared.
    """
    if abs(mu - other.rate) > 1e-6 * (1 + abs(mu)):
        return False
    if turns:
        return True
    if not waves:
        near = [np.linalg.norm(a - sign * other.direction) for sign in ((1, -1) if other.degree == 4 else (1,))]
        return bool(min(near) <= 1e-5)
    n = len(a) // 2
    moduli = lambda b: b[:n] ** 2 + b[n:] ** 2  # noqa: E731
    return bool(np.abs(moduli(a) - moduli(other.direction)).max() <= 1e-5)


def _departure(reduced: _Reduced, solution: _Solution, basis: np.ndarray, root: np.ndarray, grid: Any) -> Departure:
    change = basis @ solution.direction / root
    # For an s of which the change of log ρ has root mean square 1.
    unit = float(np.sqrt(np.mean(change**2)))
    slope = solution.rate / unit if solution.degree == 3 else 0.0
    bend = solution.rate / unit**2 if solution.degree == 4 else math.nan
    speed = float(solution.direction @ reduced.rates @ solution.direction)
    return Departure((change / unit).reshape(grid.shape), slope, bend, solution.rate * speed < 0)
