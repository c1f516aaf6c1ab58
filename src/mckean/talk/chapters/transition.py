"""Chapter: the phase transition of noisy Kuramoto, by the limit equation and by particles."""

from dataclasses import dataclass
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from diffrax import Heun

from mckean import observables
from mckean.catalogue.oscillators import mean_square_order, order_parameter, spectral_gap
from mckean.dynamics import evolve
from mckean.interactions import kernels
from mckean.measures import Density, VonMises
from mckean.models import langevin
from mckean.paths import Brownian
from mckean.spaces import Torus
from mckean.statistics import Estimate, average, replicate
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series

_REFERENCE = "Bertini, Giacomin and Pakdaman 2010"


@dataclass(frozen=True)
class Config:
    strengths: tuple[float, ...] = (0.5, 1.0, 1.4, 1.7, 1.85, 2.0, 2.15, 2.3, 2.6, 3.0, 3.5, 4.0)
    size: int = 1000
    replicas: int = 64
    burn: float = 60.0
    until: float = 260.0
    dt: float = 0.05
    pde_until: float = 400.0
    pde_dt: float = 0.1
    nodes: int = 48


@partial(eqx.filter_jit)
@partial(eqx.filter_vmap, in_axes=(0, None))
def _pde(strength, config: Config):
    circle = Torus(1)
    model = langevin(circle, interaction=kernels.Cosine(strength), beta=1.0)
    start = Density.from_law(circle.grid(config.nodes), VonMises(circle, 0.0, 1.0))
    end = evolve(model, start, until=config.pde_until, dt=config.pde_dt).final
    return observables.order_parameter(1)(model, end)


def _time_average(key, config: Config, strength, concentration):
    """The time average of r² along one run, from near the stationary state."""
    every = 10
    circle = Torus(1)
    model = langevin(circle, interaction=kernels.Cosine(strength), beta=1.0)
    start, noise = jax.random.split(key)
    cloud = VonMises(circle, 0.0, concentration).sample(start, config.size)
    observe = {"r": observables.order_parameter(1)}
    path = Brownian(noise)
    out = evolve(model, cloud, until=config.until, dt=config.dt, path=path, scheme=Heun(), observe=observe, every=every)
    return jnp.mean(out.observed["r"][round(config.burn / config.dt) // every :] ** 2)


def _concentration(r: float) -> float:
    """κ of the von Mises law whose order parameter I₁(κ)/I₀(κ) is r, to start near the Gibbs measure's r."""
    from scipy.optimize import root_scalar
    from scipy.special import ive

    return float(root_scalar(lambda k: ive(1, k) / ive(0, k) - r, bracket=(0.0, 100.0)).root)


def _particles(config: Config, strength: float, key) -> np.ndarray:
    """Time averages of r² for each replica, shape (replicas,)."""
    concentration = jnp.asarray(_concentration(np.sqrt(mean_square_order(config.size, strength, 1.0))))
    one = eqx.Partial(_time_average, config=config, strength=jnp.asarray(strength), concentration=concentration)
    return replicate(one, key, config.replicas)


def run(config: Config, key, progress) -> Result:
    strengths = np.array(config.strengths)
    r_pde = np.asarray(_pde(jnp.asarray(strengths), config))
    progress(0.1)
    samples = []
    for i, strength in enumerate(strengths):
        samples.append(_particles(config, strength, jax.random.fold_in(key, i)))
        progress(0.1 + 0.9 * (i + 1) / len(strengths))
    measured = average(np.stack(samples, axis=1))
    exact = np.array([mean_square_order(config.size, k, 1.0) for k in strengths])
    root = np.array([order_parameter(k, 1.0) for k in strengths])
    claims = _pde_claims(config, strengths, r_pde, root) + _particle_claims(config, strengths, measured, exact)
    return Result(claims, [_figure(config, r_pde, measured, exact)])


def _pde_claims(config: Config, strengths, r_pde, root) -> list[Claim]:
    away = np.abs(strengths - 2) > 0.1
    rate = min(spectral_gap(k, 1.0) for k in strengths[away])
    left = float(np.exp(-rate * config.pde_until) + 1e-10)
    below, above = away & (strengths < 2), away & (strengths > 2)
    doubled = np.array([order_parameter(2 * k, 1.0) for k in strengths])
    origin = "e^(−gap·T) of the slowest K, plus rounding of the run"
    return [
        Claim(
            statement="For $K > 2$ the limit equation comes to rest at $r = I_1(Kr)/I_0(Kr)$: largest error of r",
            predicted=0.0,
            measured=float(np.abs(r_pde - root)[above].max()),
            tolerance=left,
            origin=origin,
            excludes=Rival("noise √(1/β) for √(2/β): K twice as large", float((doubled - root)[above].max())),
            reference=_REFERENCE,
        ),
        Claim(
            statement="For $K < 2$ the limit equation comes to rest in the uniform state: largest r",
            predicted=0.0,
            measured=float(r_pde[below].max()),
            tolerance=left,
            origin=origin,
            excludes=Rival("a threshold at K = 1", float(doubled[below].max())),
            reference=_REFERENCE,
        ),
    ]


def _heun_bias(strength: float, dt: float, size: int) -> float:
    """How far the steps move E r², to order dt².

    Linear response about the uniform state: with a = K/2 the mode z is multiplied by e^{−dt}(1 + a dt + a²dt²/2), its
    noise by 1 + a dt/2. As a → 1 that is the equation's growth for K(1 − (K dt)²/24). In a well of curvature λ the
    steps keep the variance times 1 − (λdt)²/4, with λ = Kr at most.
    """
    moved = 1e-3 * strength
    slope = (mean_square_order(size, strength + moved, 1.0) - mean_square_order(size, strength - moved, 1.0)) / 2e-3
    square = (strength * dt) ** 2
    return float(square * (slope / 24 + (1 - mean_square_order(size, strength, 1.0)) / 4))


def _particle_claims(config: Config, strengths, measured: Estimate, exact) -> list[Claim]:
    claims = []
    for i, strength in enumerate(strengths):
        rival = Rival("the limit's r, not rounded off", order_parameter(strength, 1.0) ** 2)
        if strength < 2:
            rival = Rival("no interaction, 1/N", 1 / config.size)
        elif strength > 2.1:
            rival = Rival("noise √(1/β) for √(2/β)", mean_square_order(config.size, 2 * strength, 1.0))
        claims.append(
            Claim(
                statement=(
                    f"At $\\beta K = {strength:g}$ N = {config.size} particles have the Gibbs measure's $E\\,r^2$"
                ),
                predicted=float(exact[i]),
                measured=measured[i],
                tolerance=_heun_bias(float(strength), config.dt, config.size),
                origin="Heun's steps, (K dt)²(K ∂E r²/∂K / 24 + (1 − E r²)/4) by linear response",
                excludes=rival,
                reference="Gibbs measure at finite N, by quadrature",
            )
        )
    return claims


def _figure(config: Config, r_pde, measured, exact) -> Figure:
    strengths = np.array(config.strengths)
    fine = np.linspace(strengths[0], strengths[-1], 300)
    root = [order_parameter(k, 1.0) for k in fine]
    r = measured.map(np.sqrt, lambda v: 0.5 / np.sqrt(v))
    finite = [np.sqrt(mean_square_order(config.size, k, 1.0)) for k in fine[::10]]
    curves = [
        Series(fine, root, "r = I₁(βKr)/I₀(βKr)"),
        Series(fine[::10], finite, f"Gibbs, N = {config.size}", kind="dashed"),
        Series(strengths, r_pde, "limit equation", kind="points"),
        Series(strengths, r.value, "particles", r.stderr, "points"),
    ]
    ratio = [
        Series(strengths, measured.value / exact, "particles", measured.stderr / exact, "points"),
        Series(strengths, np.ones_like(strengths), "Gibbs measure", kind="dashed"),
    ]
    caption = (
        f"The order parameter against βK. Points: N = {config.size} particles, root mean square over time and "
        f"{config.replicas} replicas; they follow the Gibbs measure at this N, which rounds the transition off, and "
        "the limit equation follows the Bessel root."
    )
    label = "coupling βK (dimensionless)"
    panels = [
        Panel(label, "order parameter r", curves, vertical=((2.0, "βK = 2"),)),
        Panel(label, "E r², measured over exact", ratio),
    ]
    return Figure(caption, panels)


CHAPTER = Chapter(
    name="transition",
    title="A phase transition",
    statement=(
        "For $W(x) = -K\\cos x$ on the circle the stationary states solve $\\rho \\propto e^{\\beta K r\\cos(x - "
        "\\psi)}$ with $$r = \\frac{I_1(\\beta K r)}{I_0(\\beta K r)}.$$ Up to $\\beta K = 2$ the uniform state $r = "
        "0$ is alone; beyond it a circle of synchronised states takes over, continuously. At finite $N$ the Gibbs "
        "measure has $$E\\,r^2 = \\frac{E u^2 - 2K/N}{K^2}, \\qquad u \\sim u\\,e^{-Nu^2/2K} I_0(u)^N\\,du \\quad "
        "(\\beta = 1),$$ which the particles must reproduce, rounding of the transition included."
    ),
    what=lambda c: (
        f"β = 1, {len(c.strengths)} values of K from {c.strengths[0]:g} to {c.strengths[-1]:g}. Limit equation on "
        f"{c.nodes} nodes up to t = {c.pde_until:g} from a synchronised start; {c.replicas} replicas of N = {c.size} "
        f"particles by Heun's scheme, dt = {c.dt:g}, averaged over t from {c.burn:g} to {c.until:g}."
    ),
    run=run,
    config=Config(),
    quick=Config(strengths=(1.0, 1.7, 2.0, 2.3, 3.0, 4.0), size=400, replicas=32, burn=30.0, until=100.0),
    references=(
        "L. Bertini, G. Giacomin and K. Pakdaman, J. Stat. Phys. 138, 2010.",
        "J. A. Carrillo, R. S. Gvalani, G. A. Pavliotis and A. Schlichting, arXiv 1806.01719.",
    ),
)
