"""Chapter: sums over pairs that do not go pair by pair, and what their error does to a run."""

import itertools
import math
from dataclasses import dataclass, field

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean.couplings import gronwall
from mckean.dynamics import ParticleScheme, Stepper, evolve
from mckean.interactions import FMM, NUFFT, AbstractSum, Cells, Direct, Modes, PowerSums, kernels, place
from mckean.interactions.kernels import AbstractKernel, FourierSeries
from mckean.measures import AbstractLaw, Gaussian, Particles, VonMises
from mckean.models import Model, langevin, potentials
from mckean.paths import Brownian
from mckean.spaces import AbstractSpace, Euclidean, Torus
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series
from mckean.talk.parts.crowd import Crowd, run_crowd

_SUMS = "Barnett, Magland and af Klinteberg 2019; Fong and Darve 2009"
_EPS = float(np.finfo(np.float64).eps)
_TRIG = 1e-14
"""Error of the library's cosines and sines in double precision."""

_STIFFNESS, _BETA = 1.0, 2.0


@dataclass(frozen=True)
class Config:
    particles: int = 2400
    until: float = 3.0
    dt: float = 0.03
    plane: tuple[float, ...] = (1e-3, 1e-6, 1e-9)
    line: tuple[float, ...] = (1e-4, 1e-8)
    circle: tuple[float, ...] = (1e-3, 1e-6)
    crowd: Crowd = field(default_factory=Crowd)


@dataclass(frozen=True)
class Case:
    """A system, its start, the sum that is exact, the fast sums by tolerance, and the constants (ℓ_V, ℓ_W)."""

    name: str
    model: Model
    law: AbstractLaw
    exact: AbstractSum
    fast: dict[float, AbstractSum]
    constants: tuple[float, float]

    @property
    def kernel(self) -> AbstractKernel:
        """The interaction, which every case has."""
        assert self.model.interaction is not None
        return self.model.interaction.kernel

    def with_sum(self, by: AbstractSum, cloud: Particles) -> Model:
        """The model whose sums go by this one, planned for the cloud."""
        plan = by.plan(self.kernel, cloud, cloud.positions)
        return eqx.tree_at(lambda m: m.interaction, self.model, place(self.kernel, cloud.space, sum=plan))


@dataclass(frozen=True)
class Comparison:
    """What a fast sum does to a run: by tolerance, along time, rms distance, its bounds and the error of the force."""

    times: np.ndarray
    distance: dict[float, np.ndarray]
    bound: dict[float, np.ndarray]
    error: dict[float, np.ndarray]
    size: float
    rate: float


def _cases(config: Config) -> list[Case]:
    """ℓ_V = −a for V = a|x|²/2; ℓ_W = |∇²W(0)|, which is the largest for each of these kernels."""
    confined = potentials.Quadratic(_STIFFNESS)
    bell = kernels.Gaussian(0.25, 0.5)
    # W = −C + C(1 − e^{−r})², Morse's own: attractive at every distance, ∇²W(0) = 2C, and a kink in the third
    # derivative at 0, so that its modes fall slowly.
    morse = kernels.Morse(repulsion=0.5, attraction=1.0, repulsion_range=0.5, attraction_range=1.0)
    circle = langevin(Torus(1), None, kernels.Gaussian(0.125, 0.5), _BETA)
    assert circle.interaction is not None, "given"
    series = circle.interaction.kernel
    assert isinstance(series, FourierSeries), "a smooth kernel"
    curvature = float(np.sum(np.abs(series.coefficients) * series.wavenumbers[:, 0] ** 2))
    return [
        Case(
            "Gaussian repulsion in the plane", langevin(Euclidean(2), confined, bell, _BETA),
            Gaussian([0.5, 0.0], np.eye(2)), Direct(), {t: NUFFT(t) for t in config.plane}, (-_STIFFNESS, 1.0),
        ),
        Case(
            "Morse attraction on the line", langevin(Euclidean(1), confined, morse, _BETA),
            Gaussian(0.5, 1.0), Direct(), {t: FMM(t) for t in config.line}, (-_STIFFNESS, 1.0),
        ),
        Case(
            f"Gaussian repulsion on the circle, {len(series.modes)} modes", circle,
            VonMises(Torus(1), 0.0, 1.0), Modes(), {t: NUFFT(t) for t in config.circle}, (0.0, curvature),
        ),
    ]  # fmt: skip


def run(config: Config, key, progress) -> Result:
    together, single, crowd = jax.random.split(key, 3)
    cases = _cases(config)
    claims, compared = [], []
    for i, case in enumerate(cases):
        comparison = _compare(config, case, jax.random.fold_in(together, i))
        claims += _comparison_claims(case, comparison)
        compared.append(comparison)
        progress(0.2 * (i + 1))
    table = _table_claims(config, single)
    progress(0.7)
    crowd_claims, crowd_figure = run_crowd(config.crowd, crowd)
    figures = [_distance_figure(cases, compared), _tolerance_figure(cases, compared), crowd_figure]
    return Result([*claims, *table, *crowd_claims], figures)


# Two runs with one noise.


def _compare(config: Config, case: Case, key) -> Comparison:
    start, noise = jax.random.split(key)
    cloud, path, dt = _draw(case.law, start, config.particles), Brownian(noise), config.dt
    exact = case.with_sum(case.exact, cloud)
    x = _move(exact, cloud, path, config.until, dt)
    times = dt * np.arange(len(x))
    distance, bound, error = {}, {}, {}
    begun = ParticleScheme().begin(exact, cloud, dt)
    for tolerance, by in case.fast.items():
        near = _move(case.with_sum(by, cloud), cloud, path, config.until, dt)
        z = np.asarray(case.model.space.displacement(near, x))
        distance[tolerance] = np.sqrt(np.mean(np.sum(z**2, axis=-1), axis=-1))
        error[tolerance] = np.asarray(_errors(begun, cloud, path, near))
        bound[tolerance] = gronwall(times, np.full(len(times), error[tolerance].max()), case.constants)
    rate = case.constants[0] + 2 * case.constants[1]
    size = min(float(_slope_sizes(case.kernel, case.model.space, places)[0]) for places in (x[0], x[-1]))
    return Comparison(times, distance, bound, error, size, rate)


@eqx.filter_jit
def _draw(law: AbstractLaw, key, size: int) -> Particles:
    return law.sample(key, size)


@eqx.filter_jit
def _move(model: Model, cloud: Particles, path: Brownian, until: float, dt: float):
    """The places at every step."""
    return evolve(model, cloud, until=until, dt=dt, path=path, observe={"x": _positions}, every=1).observed["x"]


@eqx.filter_jit
def _errors(exact: Stepper, cloud: Particles, path: Brownian, x):
    """The error of the force at every step, root mean square over the particles.

    Euler's step by the exact sum, from where the fast one stood and with the same noise, ends dt·ε from where it went.
    """

    def at(step):
        mu = eqx.tree_at(lambda m: m.positions, cloud, x[step])
        ahead, _ = exact.step(mu, path, step)
        return _rms(cloud.space.displacement(x[step + 1], ahead.positions)) / exact.dt

    return jax.lax.map(at, jnp.arange(len(x) - 1))


def _positions(model: Model, mu: Particles):
    return mu.positions


def _rms(v):
    return jnp.sqrt(jnp.mean(jnp.sum(v**2, axis=-1)))


@eqx.filter_jit
def _slope_sizes(kernel: AbstractKernel, space: AbstractSpace, x):
    """The root mean square and the largest of |∇W| over the pairs of 512 of the particles."""
    z = space.displacement(x[:512, None], x[None, :512]).reshape(-1, x.shape[1])
    square = jnp.sum(jax.vmap(kernel.gradient)(z) ** 2, axis=-1)
    return jnp.sqrt(jnp.mean(square)), jnp.sqrt(jnp.max(square))


def _comparison_claims(case: Case, c: Comparison) -> list[Claim]:
    claims = []
    for tolerance, by in case.fast.items():
        claims.append(
            _error_claim(f"{by.name} along the run, {case.name}", tolerance, c.error[tolerance].max(), c.size)
        )
    ratio = max(float((c.distance[t][1:] / c.bound[t][1:]).max()) for t in case.fast)
    # Two Brownian motions of 2/β each and dimension: what the runs would be apart if their noises did not cancel.
    apart = math.sqrt(4 / _BETA * case.model.space.dim * c.times[-1])
    claims.append(
        Claim(
            statement=f"Two runs with one noise stay within Grönwall's bound, {case.name}: largest quotient",
            predicted=1.0,
            measured=ratio,
            origin=f"exact for the scheme; L = {c.rate:.3g} in closed form, the error of the force at every step",
            excludes=Rival("noises that do not cancel", apart / min(float(c.bound[t][-1]) for t in case.fast)),
            reference="Grönwall's inequality",
            relation="at most",
        )
    )
    if len(case.fast) > 1:
        final = [float(c.distance[t][-1]) for t in sorted(case.fast, reverse=True)]
        claims.append(
            Claim(
                statement=f"A smaller tolerance brings the runs together, {case.name}: distance at T over that at the "
                "next larger one, the largest",
                predicted=1.0,
                measured=max(b / a for a, b in itertools.pairwise(final)),
                excludes=Rival("a distance that comes from the steps", 1.0),
                reference=_SUMS,
                relation="at most",
            )
        )
    return claims


def _error_claim(what: str, tolerance: float, error: float, size: float) -> Claim:
    return Claim(
        statement=f"The error of the force is at most {tolerance:g} of the size of $\\nabla W$, as asked for: {what}",
        predicted=tolerance,
        measured=float(error / size),
        origin="none: the tolerance is the claim; sizes are root mean squares over particles and over pairs",
        excludes=Rival("a digit less than asked for", 10 * tolerance),
        reference=_SUMS,
        relation="at most",
    )


# Each sum once, for one cloud.


class Bump(eqx.Module):
    """W(z) = (1 − |z|²/R²)³ within R, and 0 beyond."""

    radius: float = eqx.field(static=True)

    def __call__(self, z):
        return jnp.maximum(1 - jnp.sum(z**2) / self.radius**2, 0.0) ** 3


def _table_claims(config: Config, key) -> list[Claim]:
    """The sums that the runs before have not used, at one cloud."""
    claims = []
    n, torus = config.particles, Torus(1)
    plane = _draw(Gaussian([0.0, 0.0], np.eye(2)), key, n)
    error, size, _ = _measure(kernels.PowerLaw(-1.0, 0.0), FMM(1e-6), plane)
    claims.append(_error_claim("FMM, logarithm in the plane", 1e-6, error, size))
    # Λ = 1 for sums over the particles themselves; for five Chebyshev nodes an axis it is below 2 in each dimension.
    exact = (
        (Cells(), kernels.Function(Bump(0.5)).on(plane.space), 1.0),
        (PowerSums(), kernels.PowerLaw(1.0, 4.0), 4.0),
    )
    for by, kernel, lebesgue in exact:
        error, size, largest = _measure(kernel, by, plane)
        allowed = 2 * lebesgue * (n + 64) * _EPS * largest / size
        origin = "two sums of n terms, each of 64 roundings of the largest ∇W in the box, times Lebesgue's constant"
        claims.append(
            _rounding_claim(f"{by.name}, {type(kernel).__name__} in the plane", error / size, allowed, origin)
        )
    series = kernels.Gaussian(1.0, 0.5).on(torus)
    assert isinstance(series, FourierSeries), "a smooth kernel"
    circle = _draw(VonMises(torus, 0.0, 1.0), key, n)
    error, size, _ = _measure(series, Modes(), circle)
    q = np.abs(series.wavenumbers[:, 0])
    each = 4 * (_TRIG + 2 * math.pi * q * 4 * _EPS) + 2 * (n + len(q) + 64) * _EPS
    allowed = float(np.sum(np.abs(series.coefficients) * q * each)) / size
    origin = "for each mode the error of cosines and phases, and n + m + 64 roundings in each of two sums"
    claims.append(_rounding_claim(f"Modes, {len(q)} modes on the circle", error / size, allowed, origin))
    return claims


def _rounding_claim(what: str, error: float, allowed: float, origin: str) -> Claim:
    return Claim(
        statement=f"The force is exact to rounding: {what}, error over the size of $\\nabla W$",
        predicted=0.0,
        measured=error,
        tolerance=allowed,
        origin=origin,
        excludes=Rival("sums in single precision", float(np.finfo(np.float32).eps)),
        reference="rounding analysis of a sum",
    )


def _measure(kernel: AbstractKernel, by: AbstractSum, mu: Particles) -> tuple[float, float, float]:
    """The error of the force, and the rms and largest size of ∇W, over pairs and at the diagonal of the box."""
    error, size, largest = _against_direct(kernel, by.plan(kernel, mu, mu.positions), mu)
    return float(error), float(size), float(largest)


@eqx.filter_jit
def _against_direct(kernel: AbstractKernel, by: AbstractSum, mu: Particles):
    x = mu.positions
    error = _rms(by.force(kernel, mu, x) - Direct().force(kernel, mu, x))
    size, largest = _slope_sizes(kernel, mu.space, x)
    corner = jnp.linalg.norm(kernel.gradient(jnp.max(x, axis=0) - jnp.min(x, axis=0)))
    return error, size, jnp.maximum(largest, corner)


# Figures.


def _distance_figure(cases: list[Case], compared: list[Comparison]) -> Figure:
    panels = []
    for case, c in zip(cases, compared, strict=True):
        series = []
        for tolerance, by in case.fast.items():
            series.append(Series(c.times[1:], c.distance[tolerance][1:], f"{by.name}, {tolerance:g}"))
            series.append(Series(c.times[1:], c.bound[tolerance][1:], f"bound, {tolerance:g}", kind="dashed"))
        label = "root mean square distance of the runs (length)"
        panels.append(Panel("time t", label, series, title=case.name, yscale="log"))
    caption = (
        "The same particles with the same noises, moved by the exact sum and by a fast one, by tolerance: root mean "
        "square distance of the two runs along time, and Grönwall's bound from the largest error of the force that "
        "was measured on the way."
    )
    return Figure(caption, panels)


def _tolerance_figure(cases: list[Case], compared: list[Comparison]) -> Figure:
    errors, distances, asked = [], [], []
    for case, c in zip(cases, compared, strict=True):
        tolerances = np.array(list(case.fast))
        asked += list(tolerances)
        factor = math.expm1(c.rate * c.times[-1]) / c.rate * c.size
        errors.append(Series(tolerances, [c.error[t].max() / c.size for t in tolerances], case.name, kind="points"))
        final = [c.distance[t][-1] / factor for t in tolerances]
        distances.append(Series(tolerances, final, case.name, kind="points"))
    ends = np.array([min(asked), max(asked)])
    identity = Series(ends, ends, "tolerance", kind="dashed")
    labels = "error of the force / size of ∇W", "distance at T / (size of ∇W · Grönwall's factor)"
    panels = [
        Panel("tolerance (dimensionless)", label, [*series, identity], xscale="log", yscale="log")
        for label, series in zip(labels, (errors, distances), strict=True)
    ]
    caption = (
        "Against the tolerance that was asked for. Left: the largest error of the force along the run, root mean "
        "square over the particles, in units of the root mean square of ∇W over pairs. Right: the distance of the runs "
        "at the final time, in units of what an error of that size could bring about, with the factor $(e^{LT} - 1)/L$."
    )
    return Figure(caption, panels)


CHAPTER = Chapter(
    name="summation",
    title="Fast sums over pairs",
    statement=(
        "The force $-\\frac1N\\sum_j \\nabla W(X_i - X_j)$ on all particles costs $N^2$ pairs. Nonuniform Fourier "
        "transforms, cell lists and their combination give it in $O(N\\log N)$, up to a tolerance. Let $X$ be moved "
        "by such a sum and $Y$ by the exact one, from one start, with one noise. The noises cancel, and what drives "
        "the runs apart is the error $\\varepsilon_i(t)$ of the force on $X_i$: "
        "$$\\frac{d}{dt}(X_i - Y_i) = -\\nabla V(X_i) + \\nabla V(Y_i) "
        "- \\frac1N\\sum_j\\bigl[\\nabla W(X_i - X_j) - \\nabla W(Y_i - Y_j)\\bigr] + \\varepsilon_i.$$ "
        "Let $-\\nabla V$ be one-sided Lipschitz with constant $\\ell_V$, and $\\nabla W$ Lipschitz with constant "
        "$\\ell_W$. The bracket is at most $\\ell_W(|X_i - Y_i| + |X_j - Y_j|)$, so that in the root mean square over "
        "the particles $\\dot e \\le (\\ell_V + 2\\ell_W)\\,e + \\delta$, and "
        "$$e(t) \\le \\delta\\,\\frac{e^{Lt} - 1}{L},\\qquad L = \\ell_V + 2\\ell_W,\\qquad \\delta = \\sup_{s \\le t}"
        "\\Bigl(\\frac1N\\sum_i|\\varepsilon_i(s)|^2\\Bigr)^{1/2}.$$ "
        "Euler's scheme obeys the same bound for $\\nabla V(x) = ax$ with $a\\,dt \\le 1$ and $L > 0$, since a step "
        "multiplies $e$ by at most $1 + L\\,dt \\le e^{L\\,dt}$ and adds at most $\\delta\\,dt$. A tolerance $\\tau$ "
        "is kept if $\\delta$ is at most $\\tau$ times the size of $\\nabla W$. A crowd that no sum over pairs could "
        "move follows the McKean–Vlasov equation within the error of sampling, $N^{-1/2}$."
    ),
    what=lambda c: (
        f"{c.particles} particles in the plane, on the line and on the circle, β = {_BETA:g}, Euler's scheme with dt = "
        f"{c.dt:g} up to T = {c.until:g}, by the exact sum and by fast ones; each other sum once, for {c.particles} "
        f"particles; and {c.crowd.what()}."
    ),
    run=run,
    config=Config(),
    quick=Config(
        particles=600,
        dt=0.06,
        plane=(1e-6,),
        line=(1e-4,),
        crowd=Crowd.quick(),
    ),
    references=(
        "A. H. Barnett, J. Magland and L. af Klinteberg, A parallel nonuniform fast Fourier transform library based on "
        "an exponential of semicircle kernel, SIAM J. Sci. Comput. 41, 2019.",
        "W. Fong and E. Darve, The black-box fast multipole method, J. Comput. Phys. 228, 2009.",
        "E. Cépa and D. Lépingle, Brownian particles with electrostatic repulsion on the circle: Dyson's model for "
        "unitary random matrices revisited, ESAIM: Probability and Statistics 5, 2001.",
    ),
)
