"""Chapter: particles with velocities, their second law, their overdamped limit, and flocks."""

import math
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from mckean.catalogue import cucker_smale, inertial_kuramoto
from mckean.catalogue.velocities import growth_rate
from mckean.dynamics import Trajectory, evolve
from mckean.energetics import energy_balance
from mckean.measures import Density, Particles
from mckean.models import energy
from mckean.observables import order_parameter
from mckean.paths import Brownian
from mckean.spaces import Euclidean, TangentBundle, Torus
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series

_CIRCLE = Torus(1)
_RING = TangentBundle(_CIRCLE)
_FRICTIONS = (1.0, 4.0, 8.0)
_INERTIA = "Acebrón, Bonilla and Spigler, Phys. Rev. E 62 (2000)"
_KRAMERS = "Kramers, Physica 7 (1940); Nelson, Dynamical Theories of Brownian Motion (1967)"


@dataclass(frozen=True)
class Config:
    nodes: int = 48
    speeds: int = 96
    strength: float = 4.0
    dt: float = 0.01
    until: float = 6.0
    flock: int = 50
    pull: float = 0.5
    gusts: float = 0.6


def run(config: Config, key, progress) -> Result:
    fall = _evolve(config, 1.0, lambda z: jnp.exp(0.8 * jnp.cos(z[0]) - 0.9 * (z[1] - 1.0) ** 2))
    progress(0.4)
    flat = lambda z: (1 + 1e-4 * jnp.cos(z[0])) * jnp.exp(-0.5 * z[1] ** 2)  # noqa: E731
    rates = np.array([_rate(_evolve(config, friction, flat)) for friction in _FRICTIONS])
    progress(0.7)
    times, spread, exact = _flock(config, Brownian(key))
    claims = [*_second_law(fall), *_rates(config, rates), _flocking(config, times, spread, exact)]
    return Result(claims, [_figure(config, fall, rates, times, spread, exact)])


def _evolve(config: Config, friction: float, start) -> Trajectory:
    model = inertial_kuramoto(config.strength, friction, 1.0).model
    law = Density.from_function(_RING.grid(_CIRCLE.grid(config.nodes), config.speeds, 9.0), start)
    look = {
        "F": energy.free_energy,
        "D": energy.dissipation,
        "r": order_parameter(1),
        "heat": lambda model, mu: mu.integrate(lambda z: z[1] ** 2),
    }
    return evolve(model, law, until=config.until, dt=config.dt, observe=look, every=5)


def _rate(run: Trajectory) -> float:
    """The rate at which r grows over the second half."""
    half = len(run.times) // 2
    r = np.asarray(run.observed["r"])
    return float(np.log(r[-1] / r[half]) / (run.times[-1] - run.times[half]))


def _second_law(run: Trajectory) -> list[Claim]:
    F, D, heat = (np.asarray(run.observed[name]) for name in ("F", "D", "heat"))
    drop = F[0] - F[-1]
    missing = float(np.abs(energy_balance(run.times, F, D)).max() / drop)
    step = float(run.times[1])
    # Without the noise friction would take γ⟨v²⟩.
    spent = float(np.trapezoid(heat, run.times) / drop)
    return [
        Claim(
            statement="The free energy with $\\frac12|v|^2$ falls by what friction takes, $\\int\\gamma\\langle"
            "|\\nabla_v\\delta F|^2\\rangle\\,dt$: largest gap between the two, over the whole fall",
            predicted=0.0,
            measured=missing,
            tolerance=step**2,
            origin="order 2 of the splitting, with five steps between records",
            excludes=Rival("friction takes γ⟨v²⟩", abs(spent - 1)),
            reference="Duong, Peletier and Zimmer, Nonlinearity 26 (2013)",
        ),
        Claim(
            statement="It falls at every record: share of the records with a fall",
            predicted=1.0,
            measured=float(np.mean(np.diff(F) < 0)),
            excludes=Rival("oscillations of phases and velocities show in F", float(np.mean(np.diff(heat) < 0))),
            reference="Kramers, Physica 7 (1940)",
        ),
    ]


def _rates(config: Config, rates: np.ndarray) -> list[Claim]:
    strength, limit = config.strength, config.strength / 2 - 1
    exact = np.array([growth_rate(strength, friction, 1.0) for friction in _FRICTIONS])
    gap, expected = (np.log((limit - 4 * a[1]) / (limit - 8 * a[2])) / np.log(2) for a in (rates, exact))
    return [
        Claim(
            statement="At $\\gamma = 1$ the order of oscillators with inertia grows at the rate of linear response",
            predicted=float(exact[0]),
            measured=float(rates[0]),
            tolerance=config.dt**2 + 2 * math.exp(-config.until / 2) / config.until,
            origin="h² of the splitting; over T/2 the next mode, which falls faster than e^{−t} beside this one",
            excludes=Rival("the rate without inertia", limit),
            reference=_INERTIA,
        ),
        Claim(
            statement="In the time $t/\\gamma$ it tends to the overdamped rate as $\\gamma^{-s}$: s, from 4 to 8",
            predicted=float(expected),
            measured=float(gap),
            tolerance=float((8 * config.dt) ** 2 / 12 / (limit - 8 * exact[2]) / np.log(2)),
            origin="h²γ²/12 of the rate at γ = 8, as a share of its gap",
            excludes=Rival("as γ^{−1}", 1.0),
            reference=_KRAMERS,
        ),
    ]


def _flock(config: Config, path: Brownian) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, log|v − v̄| less that at the start, and what it is in this environment."""
    entry = cucker_smale(config.pull, common=config.gusts)
    rng = np.random.default_rng(0)
    cloud = Particles(TangentBundle(Euclidean(1)), rng.normal(size=(config.flock, 2)))
    look = {"spread": lambda model, mu: jnp.log(jnp.std(mu.positions[:, 1]))}
    run = evolve(entry.model, cloud, until=config.until, dt=config.dt, path=path, observe=look, every=10)
    steps = round(config.until / config.dt)
    B = np.cumsum(np.asarray(path.environment.record(steps, config.dt, 1).increments)[:, 0])
    moved = np.append(0.0, B[9::10])
    times, found = np.asarray(run.times), np.asarray(run.observed["spread"])
    return times, found - found[0], -config.pull * times + config.gusts * moved


def _flocking(config: Config, times: np.ndarray, spread: np.ndarray, exact: np.ndarray) -> Claim:
    h, kappa = config.dt, config.gusts
    # A step multiplies by e^a less a³/24, a = −Kh + κΔB: at random, and in mean as E a³ = −3Kκ²h².
    chance = 4.75 * kappa**3 * h * math.sqrt(15 * config.until) / 24
    return Claim(
        statement="Under $\\kappa(v_i - \\bar v)\\circ dB^0$ a flock follows its environment, $|v_i - \\bar v| "
        "\\propto e^{-Kt + \\kappa B^0_t}$: largest error of the logarithm",
        predicted=0.0,
        measured=float(np.abs(spread - exact).max()),
        tolerance=chance + config.pull * kappa**2 * h * config.until / 8,
        origin="the third power of an increment, which Heun's step leaves out",
        excludes=Rival("Itô's integral, with −κ²t/2", kappa**2 * config.until / 2),
        reference="Ahn and Ha, J. Math. Phys. 51 (2010); Cucker and Smale (2007) without noise",
    )


def _figure(config: Config, fall: Trajectory, rates, times, spread, exact) -> Figure:
    F, D = (np.asarray(fall.observed[name]) for name in ("F", "D"))
    t = np.asarray(fall.times)
    taken = F[0] - np.concatenate([[0.0], np.cumsum(0.5 * (D[1:] + D[:-1]) * np.diff(t))])
    frictions = np.geomspace(0.5, 12.0, 40)
    scaled = np.array([g * growth_rate(config.strength, g, 1.0) for g in frictions])
    limit = np.full(2, config.strength / 2 - 1)
    panels = [
        Panel("time t", "free energy F (per particle)",
              [Series(t, F, "F"), Series(t[::8], taken[::8], "F(0) − ∫D dt", kind="points")]),
        Panel("friction γ", "growth rate × γ", [
            Series(frictions, scaled, "linear response"),
            Series(frictions[[0, -1]], limit, "overdamped", kind="dashed"),
            Series(np.array(_FRICTIONS), rates * np.array(_FRICTIONS), "Vlasov–Fokker–Planck", kind="points"),
        ], xscale="log"),
        Panel("time t", "log |v − v̄|", [
            Series(times, spread, "flock"),
            Series(times[::4], exact[::4], "−Kt + κB⁰", kind="points"),
            Series(times, -config.pull * times, "−Kt", kind="dashed"),
        ]),
    ]  # fmt: skip
    caption = (
        "Particles with velocities. Left, oscillators with inertia: their free energy, with that of motion, falls by "
        "what friction takes. Middle, how fast their order grows from the uniform state: at high friction, in the time "
        "t/γ, as without inertia. Right, a flock in gusts that all feel: its velocities come together at the rate K, "
        "moved to and fro by the environment."
    )
    return Figure(caption, panels)


CHAPTER = Chapter(
    name="velocities",
    title="Particles with velocities: the second law, the overdamped limit, flocks",
    statement=(
        "Particles of unit mass in a heat bath obey $$dx_i = v_i\\,dt,\\qquad dv_i = -\\nabla V(x_i)\\,dt - \\nabla "
        "W*\\mu^N(x_i)\\,dt - \\gamma v_i\\,dt + \\sqrt{2\\gamma/\\beta}\\,dB_i.$$ Their limit is the equation of "
        "Vlasov, Fokker and Planck, $$\\partial_tf + v\\cdot\\nabla_xf - \\nabla(V + W*\\rho)\\cdot\\nabla_vf = "
        "\\gamma\\nabla_v\\cdot(vf + \\beta^{-1}\\nabla_vf).$$ It is no gradient flow, but its free energy with "
        "$\\frac12|v|^2$ falls, $\\dot F = -\\gamma\\int|\\nabla_v\\delta F|^2f$, and as $\\gamma \\to \\infty$ "
        "positions move, in the time $t/\\gamma$, by the McKean–Vlasov equation. Forces may depend on velocities: in "
        "Cucker and Smale's flocks each particle turns to the velocities of the others."
    ),
    what=lambda c: (
        f"Kuramoto oscillators with inertia, K = {c.strength:g}, β = 1, γ = 1, 4, 8, as a density on {c.nodes} × "
        f"{c.speeds} nodes up to t = {c.until:g}, dt = {c.dt:g}; a flock of {c.flock} on the line, K = {c.pull:g}, "
        f"κ = {c.gusts:g}."
    ),
    run=run,
    config=Config(),
    quick=Config(nodes=32, speeds=64),
    references=(
        "H. A. Kramers, Physica 7 (1940).",
        "J. A. Acebrón, L. L. Bonilla and R. Spigler, Phys. Rev. E 62 (2000).",
        "F. Cucker and S. Smale, IEEE Trans. Autom. Control 52 (2007).",
        "S. M. Ahn and S.-Y. Ha, J. Math. Phys. 51 (2010).",
        "B. Leimkuhler and C. Matthews, Appl. Math. Res. Express 2013.",
    ),
)
