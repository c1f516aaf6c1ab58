"""Chapter: sums over pairs that do not go pair by pair, and what their error does to a run."""

import itertools
import math
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from diffrax import Heun

from mckean import observables
from mckean.analysis import average, gronwall
from mckean.dynamics import ParticleScheme, evolve
from mckean.experiments.chapter import Chapter, Claim, Figure, Panel, Result, Series
from mckean.interactions import FMM, NUFFT, AbstractSum, Cells, Direct, Modes, Moments, certificate, kernels, place
from mckean.interactions.kernels import AbstractKernel, FourierSeries
from mckean.measures import AbstractLaw, Density, Gaussian, Particles, VonMises
from mckean.models import Model, langevin, potentials
from mckean.paths import Brownian
from mckean.spaces import AbstractSpace, Euclidean, Torus
from mckean.transport import wasserstein

_SUMS = "Barnett, Magland and af Klinteberg 2019; Fong and Darve 2009"
_LIMIT = "propagation of chaos: Sznitman 1991; Cépa and Lépingle 2001"
_EPS = float(np.finfo(np.float64).eps)
_TRIG = 1e-14
"""Error of the library's cosines and sines in double precision."""

_STIFFNESS, _BETA = 1.0, 2.0
_MODES, _REPULSION, _COLD = 1000, 1.0, 4.0
_FOLLOWED = (1, 2, 3)
_CERTIFIED, _CROWD_UNTIL = 1e-6, 1.0


@dataclass(frozen=True)
class Config:
    particles: int = 2400
    until: float = 3.0
    dt: float = 0.03
    plane: tuple[float, ...] = (1e-3, 1e-6, 1e-9)
    line: tuple[float, ...] = (1e-4, 1e-8)
    circle: tuple[float, ...] = (1e-3, 1e-6)
    crowd: int = 1_000_000
    replica: int = 62_500
    replicas: int = 16
    crowd_dt: float = 0.02
    nodes: int = 256


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
        assert self.model.interaction is not None, "every case interacts"
        return self.model.interaction.kernel

    def summed(self, by: AbstractSum, cloud: Particles) -> Model:
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
    crowd_claims, crowd_figure = _crowd(config, crowd)
    figures = [
        _distance_figure(cases, compared), _tolerance_figure(cases, compared), crowd_figure,
    ]  # fmt: skip
    return Result([*claims, *table, *crowd_claims], figures)


# Two runs with one noise.


def _compare(config: Config, case: Case, key) -> Comparison:
    start, noise = jax.random.split(key)
    cloud, path, dt = _drawn(case.law, start, config.particles), Brownian(noise), config.dt
    exact = case.summed(case.exact, cloud)
    x = _moved(exact, cloud, path, config.until, dt)
    times = dt * np.arange(len(x))
    distance, bound, error = {}, {}, {}
    for tolerance, by in case.fast.items():
        near = _moved(case.summed(by, cloud), cloud, path, config.until, dt)
        z = np.asarray(case.model.space.displacement(near, x))
        distance[tolerance] = np.sqrt(np.mean(np.sum(z**2, axis=-1), axis=-1))
        error[tolerance] = np.asarray(_errors(exact, cloud, path, near, jnp.asarray(dt)))
        bound[tolerance] = gronwall(times, np.full(len(times), error[tolerance].max()), case.constants)
    rate = case.constants[0] + 2 * case.constants[1]
    size = min(float(_slope_sizes(case.kernel, case.model.space, places)[0]) for places in (x[0], x[-1]))
    return Comparison(times, distance, bound, error, size, rate)


@eqx.filter_jit
def _drawn(law: AbstractLaw, key, size: int) -> Particles:
    return law.sample(key, size)


@eqx.filter_jit
def _moved(model: Model, cloud: Particles, path: Brownian, until: float, dt: float):
    """The places at every step."""
    return evolve(model, cloud, until=until, dt=dt, path=path, observe={"x": _positions}, every=1).observed["x"]


@eqx.filter_jit
def _errors(exact: Model, cloud: Particles, path: Brownian, x, dt):
    """The error of the force at every step, root mean square over the particles.

    Euler's step by the exact sum, from where the fast one stood and with the same noise, ends dt·ε from where it went.
    """

    def at(step):
        mu = eqx.tree_at(lambda m: m.positions, cloud, x[step])
        ahead = ParticleScheme().step(exact, mu, None, path, step, dt)
        return _rms(cloud.space.displacement(x[step + 1], ahead.positions)) / dt

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
    claims.append(
        Claim(
            f"largest distance of the two runs over Grönwall's bound, all t and tolerances, {case.name}",
            1.0, ratio, 0.0, 0.0,
            f"exact for the scheme; L = {c.rate:.3g} in closed form, the error of the force measured at every step",
            "Grönwall's inequality", "at most",
        )
    )  # fmt: skip
    if len(case.fast) > 1:
        final = [float(c.distance[t][-1]) for t in sorted(case.fast, reverse=True)]
        claims.append(
            Claim(
                f"distance at T over that at the next larger tolerance, the largest, {case.name}",
                1.0, max(b / a for a, b in itertools.pairwise(final)), 0.0, 0.0,
                "none: a smaller tolerance brings the runs together", _SUMS, "at most",
            )
        )  # fmt: skip
    return claims


def _error_claim(what: str, tolerance: float, error: float, size: float) -> Claim:
    return Claim(
        f"error of the force over the size of ∇W: {what}, asked for {tolerance:g}",
        tolerance, float(error / size), 0.0, 0.0,
        "none: the tolerance is the claim; sizes are root mean squares over particles and over pairs", _SUMS, "at most",
    )  # fmt: skip


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
    plane = _drawn(Gaussian([0.0, 0.0], np.eye(2)), key, n)
    error, size, _ = _measured(kernels.PowerLaw(-1.0, 0.0), FMM(1e-6), plane)
    claims.append(_error_claim("FMM, logarithm in the plane", 1e-6, error, size))
    # Λ = 1 for sums over the particles themselves; for five Chebyshev nodes an axis it is below 2 in each dimension.
    exact = (
        (Cells(), kernels.Function(Bump(0.5)).on(plane.space), 1.0),
        (Moments(), kernels.PowerLaw(1.0, 4.0), 4.0),
    )
    for by, kernel, lebesgue in exact:
        error, size, largest = _measured(kernel, by, plane)
        allowed = 2 * lebesgue * (n + 64) * _EPS * largest / size
        origin = "two sums of n terms, each of 64 roundings of the largest ∇W in the box, times Lebesgue's constant"
        claims.append(
            _rounding_claim(f"{by.name}, {type(kernel).__name__} in the plane", error / size, allowed, origin)
        )
    series = kernels.Gaussian(1.0, 0.5).on(torus)
    assert isinstance(series, FourierSeries), "a smooth kernel"
    circle = _drawn(VonMises(torus, 0.0, 1.0), key, n)
    error, size, _ = _measured(series, Modes(), circle)
    q = np.abs(series.wavenumbers[:, 0])
    each = 4 * (_TRIG + 2 * math.pi * q * 4 * _EPS) + 2 * (n + len(q) + 64) * _EPS
    allowed = float(np.sum(np.abs(series.coefficients) * q * each)) / size
    origin = "for each mode the error of cosines and phases, and n + m + 64 roundings in each of two sums"
    claims.append(_rounding_claim(f"Modes, {len(q)} modes on the circle", error / size, allowed, origin))
    return claims


def _rounding_claim(what: str, error: float, allowed: float, origin: str) -> Claim:
    return Claim(
        f"error of the force over the size of ∇W: {what}, exact to rounding",
        0.0, error, 0.0, allowed, origin, "rounding analysis of a sum", "at most",
    )  # fmt: skip


def _measured(kernel: AbstractKernel, by: AbstractSum, mu: Particles) -> tuple[float, float, float]:
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


# A crowd with a kernel of many modes, beside its limit.


def _crowd(config: Config, key) -> tuple[list[Claim], Figure]:
    circle = Torus(1)
    model = langevin(circle, None, place(_logarithm(), circle, tolerance=_CERTIFIED), _COLD)
    law = VonMises(circle, 0.0, 1.0)
    start = Density.from_law(circle.grid(config.nodes), law)
    limit = _followed(model, start, None, config.crowd_dt)
    draws, noise, sample = jax.random.split(key, 3)
    # One draw for all clouds: the first is the crowd, the others are the replicas.
    places = np.asarray(_drawn(law, draws, config.crowd + config.replicas * config.replica).positions)
    clouds = np.split(places, config.crowd + config.replica * np.arange(config.replicas))
    paths = [Brownian(k) for k in jax.random.split(noise, len(clouds))]
    many, *few = [
        _followed(model, Particles(circle, x), path, config.crowd_dt) for x, path in zip(clouds, paths, strict=True)
    ]
    claims = [
        *_mode_claims(config, limit, many, few, float(start.values.max())),
        _w1_claim(config, limit, many, few),
        _crowd_certificate(config, model, many.final, sample),
    ]
    return claims, _crowd_figure(config, limit, many, few)


@dataclass(frozen=True)
class Followed:
    """Times, Re z_k along them for the modes that are followed, shape (t, modes), and the final measure."""

    times: np.ndarray
    modes: np.ndarray
    final: Any


def _followed(model: Model, measure: Particles | Density, path: Brownian | None, dt: float) -> Followed:
    times, modes, final = _evolved(model, measure, path, dt)
    return Followed(np.asarray(times), np.asarray(modes), final)


@eqx.filter_jit
def _evolved(model: Model, measure, path: Brownian | None, dt: float):
    run = evolve(
        model, measure, until=_CROWD_UNTIL, dt=dt, path=path, scheme=None if path is None else Heun(),
        observe={"z": _real_modes}, every=max(1, round(0.1 / dt)),
    )  # fmt: skip
    return run.times, run.observed["z"], run.final


def _real_modes(model: Model, mu):
    return jnp.stack([observables.mode(k)(model, mu).real for k in _FOLLOWED])


def _logarithm() -> FourierSeries:
    """−log|2 sin(x/2)| = Σ_k cos(kx)/k, cut off at 1000 modes."""
    k = np.arange(1, _MODES + 1)
    return FourierSeries(k, _REPULSION / k)


def _spread(config: Config, limit: Followed, few: list[Followed]) -> np.ndarray:
    """Standard errors of the crowd's modes: the replicas' mean square deviation from the limit, by √N."""
    square = np.mean([(one.modes - limit.modes) ** 2 for one in few], axis=0)
    return np.sqrt(square * config.replica / config.crowd)


def _mode_claims(config: Config, limit: Followed, many: Followed, few: list[Followed], peak: float) -> list[Claim]:
    claims, spread = [], _spread(config, limit, few)[-1]
    for i, k in enumerate(_FOLLOWED):
        rate = k**2 / _COLD + 0.5 * _REPULSION * k * 2 * math.pi * peak
        claims.append(
            Claim(
                f"Re z_{k} at T for N = {config.crowd}, a kernel of {_MODES} modes",
                float(limit.modes[-1, i]), float(many.modes[-1, i]), float(spread[i]),
                (rate * config.crowd_dt) ** 2 / (6 * math.e),
                f"spread of {config.replicas} replicas, by √N; Heun's error on a relaxation of rate λ, (λdt)²/6e, with "
                f"λ = k²/β + kπ max ρ_0 = {rate:.2g}", _LIMIT,
            )
        )  # fmt: skip
    return claims


def _w1_claim(config: Config, limit: Followed, many: Followed, few: list[Followed]) -> Claim:
    scaled = [wasserstein(run.final, limit.final, p=1) * math.sqrt(run.final.n) for run in (many, *few)]
    expected = average(scaled[1:])
    stderr = float(np.hypot(np.std(scaled[1:], ddof=1), expected.stderr))
    return Claim(
        f"√N W₁ to the limit at T for N = {config.crowd}, against the mean for N = {config.replica}",
        float(expected.value), scaled[0], stderr, 0.0,
        f"standard errors of one run and of the mean of {config.replicas} replicas", _LIMIT,
    )  # fmt: skip


def _crowd_certificate(config: Config, model: Model, mu: Particles, key) -> Claim:
    assert model.interaction is not None, "given"
    found = certificate(model.interaction, mu, key, points=128)
    return Claim(
        f"certificate of the last state for N = {config.crowd}: error of the force over the rms of the force",
        _CERTIFIED, found.error, 0.0, 0.0,
        f"none: {found.sum}, asked for {_CERTIFIED:g} of the size of ∇W, which is larger than the force", _SUMS,
        "at most",
    )  # fmt: skip


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


def _crowd_figure(config: Config, limit: Followed, many: Followed, few: list[Followed]) -> Figure:
    times, spread = limit.times, _spread(config, limit, few)
    paths, deviations = [], []
    for i, k in enumerate(_FOLLOWED):
        paths.append(Series(times, many.modes[:, i], f"k = {k}, particles", kind="points"))
        paths.append(Series(times, limit.modes[:, i], f"k = {k}, limit", kind="dashed"))
        deviations.append(Series(times, many.modes[:, i] - limit.modes[:, i], f"k = {k}", spread[:, i]))
    caption = (
        f"{config.crowd} particles that repel each other by {_MODES} Fourier modes of the logarithm, beside their "
        "limit. Left: the particles' histogram at the final time and the limit's density. Middle: Fourier modes along "
        "time. Right: particles minus limit, with the spread of replicas."
    )
    panels = [
        _histogram(limit.final, many.final),
        Panel("time t", "Re z_k (dimensionless)", paths),
        Panel("time t", "Re z_k, particles − limit (dimensionless)", deviations),
    ]
    return Figure(caption, panels)


def _histogram(limit: Density, cloud: Particles) -> Panel:
    side = limit.grid.sides[0]
    edges = np.linspace(0, side, 129)
    counts, _ = np.histogram(np.asarray(cloud.positions)[:, 0], edges, density=True)
    series = [
        Series(edges, np.append(counts, counts[-1]), f"N = {cloud.n}", kind="steps"),
        Series(limit.grid.axes[0], np.asarray(limit.values), "limit"),
    ]
    return Panel("position x (length)", "density (1/length)", series)


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
        f"particles; and {c.crowd} particles on the circle with W = Σ cos(kx)/k, k ≤ {_MODES}, β = {_COLD:g}, Heun's "
        f"scheme with dt = {c.crowd_dt:g} up to T = 1, beside the spectral solver on {c.nodes} nodes and "
        f"{c.replicas} replicas of {c.replica} particles."
    ),
    run=run,
    config=Config(),
    quick=Config(
        particles=600,
        dt=0.06,
        plane=(1e-6,),
        line=(1e-4,),
        crowd=100_000,
        replica=12_500,
        crowd_dt=0.05,
    ),
    references=(
        "A. H. Barnett, J. Magland and L. af Klinteberg, A parallel nonuniform fast Fourier transform library based on "
        "an exponential of semicircle kernel, SIAM J. Sci. Comput. 41, 2019.",
        "W. Fong and E. Darve, The black-box fast multipole method, J. Comput. Phys. 228, 2009.",
        "E. Cépa and D. Lépingle, Brownian particles with electrostatic repulsion on the circle: Dyson's model for "
        "unitary random matrices revisited, ESAIM: Probability and Statistics 5, 2001.",
    ),
)
