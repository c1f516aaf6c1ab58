"""Part of chapter *conditional*: oscillators in an environment that keeps Poisson's kernels: a law in closed form."""

from dataclasses import dataclass
from functools import partial

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from mckean import observables
from mckean.catalogue import poisson_kernel_order
from mckean.dynamics import evolve
from mckean.interactions import kernels
from mckean.measures import Density, Particles
from mckean.models import Model, Multiplicative, langevin
from mckean.paths import Brownian
from mckean.spaces import Torus
from mckean.statistics import join, log_slope, replicate, root_mean_square
from mckean.talk.claims import Claim, Figure, Panel, Rival, Series

_CIRCLE = Torus(1)
_MODES = (1, 2, 3)
# How much finer the path is on which z is computed than the particles' own.
_FINER = 16
_REFERENCE = "Ott and Antonsen 2008: the fields 1, cos x and sin x move Poisson's kernels by Möbius maps"


@dataclass(frozen=True)
class Poisson:
    strength: float = 1.0
    common: float = 0.5
    start: complex = 0.3 + 0.3j
    until: float = 1.0
    nodes: int = 128
    dt: float = 1 / 512
    environments: int = 32
    particles: int = 64
    steps: tuple[float, ...] = (1 / 8, 1 / 32, 1 / 128)
    replicas: int = 256

    def what(self) -> str:
        """What is run, in a sentence."""
        return (
            f"Poisson's kernel from z = {self.start.real:g} + {self.start.imag:g}i with K = {self.strength:g}, s = "
            f"{self.common:g} up to t = {self.until:g}: its density on {self.nodes} nodes with dt = {self.dt:g} in "
            f"{self.environments} environments, and {self.particles} particles with dt from {self.steps[0]:g} to "
            f"{self.steps[-1]:g} in {self.replicas}."
        )


def run_poisson(config: Poisson, key) -> tuple[list[Claim], Figure]:
    laws = replicate(partial(_of_density, config=config), jax.random.fold_in(key, 0), config.environments)
    clouds = [
        replicate(partial(_of_particles, config=config, dt=dt), jax.random.fold_in(key, 1 + i), config.replicas)
        for i, dt in enumerate(config.steps)
    ]
    exact = _path(config, laws["increments"], config.dt)
    errors = join(root_mean_square(np.abs(run["z"] - _at_end(config, run, dt))) for run, dt in _each(config, clouds))
    claims = [*_law_claims(config, laws, exact), _order_claim(config, errors)]
    return claims, _figure(config, laws, exact, errors)


@dataclass(frozen=True)
class _Sine:
    """−s sin x: equal where s is, so that equal models are compiled once."""

    amplitude: float

    def __call__(self, x, mu):
        return -self.amplitude * jnp.sin(x[0])


def _model(config: Poisson) -> Model:
    noise = Multiplicative(_Sine(config.common), "stratonovich")
    return langevin(_CIRCLE, interaction=kernels.Cosine(config.strength), beta=np.inf, common=noise)


def _of_density(key, *, config: Poisson) -> dict:
    """The modes of the density along one environment, and the environment."""
    z = config.start
    kernel = lambda x: 1 / ((jnp.cos(x[0]) - z.real) ** 2 + (jnp.sin(x[0]) - z.imag) ** 2)  # noqa: E731
    law, steps = Density.from_function(_CIRCLE.grid(config.nodes), kernel), round(config.until / config.dt)
    observe = {f"z{k}": observables.mode(k) for k in _MODES}
    path = Brownian(key)
    run = evolve(_model(config), law, until=config.until, dt=config.dt, path=path, observe=observe, every=steps // 16)
    modes = jnp.stack([run.observed[name] for name in observe], axis=-1)
    return {"modes": modes, "increments": path.environment.record(steps, config.dt, 1).increments[:, 0]}


def _of_particles(key, *, config: Poisson, dt: float) -> dict:
    """z at the end of particles that sample the kernel to |z|^N, and their environment in finer steps."""
    turns = 2 * np.pi * (np.arange(config.particles) + 0.5) / config.particles
    w = np.exp(1j * turns)
    # The Möbius map of the disc that takes 0 to z takes uniform points to points of Poisson's kernel.
    x = np.angle((w + config.start) / (1 + np.conj(config.start) * w))
    path, scheme = Brownian(key), diffrax.Heun()
    model, cloud = _model(config), Particles(_CIRCLE, x[:, None])
    final = evolve(model, cloud, until=config.until, dt=dt, path=path, scheme=scheme).final
    fine = path.refine(_FINER).environment.record(_FINER * round(config.until / dt), dt / _FINER, 1)
    return {"z": observables.mode(1)(model, final), "increments": fine.increments[:, 0]}


def _path(config: Poisson, increments: np.ndarray, dt: float) -> np.ndarray:
    return poisson_kernel_order(config.start, config.strength, config.common, increments, dt)


def _each(config: Poisson, clouds):
    return zip(clouds, config.steps, strict=True)


def _at_end(config: Poisson, run, dt: float) -> np.ndarray:
    return _path(config, run["increments"], dt / _FINER)[:, -1]


def _in_ito_sense(config: Poisson, increments: np.ndarray, dt: float) -> np.ndarray:
    """z at the end if its equation were meant in the sense of Itô, by Milstein's scheme."""
    z = np.full(len(increments), config.start, complex)
    for dB in increments.T:
        pull = config.common / 2 * (1 - z * z)
        drift = config.strength / 2 * (1 - abs(z) ** 2) * z
        z = z + drift * dt + pull * dB - 0.5 * pull * config.common * z * (dB**2 - dt)
    return z


def _law_claims(config: Poisson, laws, exact: np.ndarray) -> list[Claim]:
    end, z = laws["modes"][:, -1], exact[:, -1]
    powers = np.stack([z**k for k in _MODES], axis=-1)
    wrong = _in_ito_sense(config, laws["increments"], config.dt)
    cut = float(np.abs(exact).max() ** (config.nodes // 2))
    origin = "the modes that the grid lacks: |z|^{n/2} at the largest |z| that the equation of z reaches"
    size = np.abs(z) ** 2
    return [
        Claim(
            statement="Pathwise, the modes of the density are $z^k$ of $dz = \\frac K2(1-|z|^2)z\\,dt + \\frac s2"
            "(1-z^2)\\circ dB^0$; largest distance over environments, $k \\le 3$",
            predicted=0.0,
            measured=float(np.abs(end - powers).max()),
            tolerance=cut,
            origin=origin,
            excludes=Rival("this equation in the sense of Itô", float(np.sqrt(np.mean(np.abs(wrong - z) ** 2)))),
            reference=_REFERENCE,
            relation="at most",
        ),
        Claim(
            statement="The density stays a Poisson kernel, whose second mode is the square of the first; largest "
            "difference",
            predicted=0.0,
            measured=float(np.abs(end[:, 1] - end[:, 0] ** 2).max()),
            tolerance=cut,
            origin=origin,
            excludes=Rival("a wrapped Gaussian, whose second mode is |z|²z²", float(np.mean(size - size**2))),
            reference=_REFERENCE,
            relation="at most",
        ),
    ]


def _order_claim(config: Poisson, errors) -> Claim:
    first, last = config.steps[0], config.steps[-1]
    rate = config.strength + config.common**2
    return Claim(
        statement="The order parameter of particles comes to $z$ in the same environment as $dt^s$; $s$",
        predicted=1.0,
        measured=log_slope(config.steps, errors),
        tolerance=float(np.log1p(rate * first) / np.log(first / last)),
        origin="corrections (K + s²)dt at the longest step",
        excludes=Rival("strong order 1/2, of fields that do not commute", 0.5),
        reference="one field commutes with itself: Heun's steps have strong order 1",
    )


def _figure(config: Poisson, laws, exact: np.ndarray, errors) -> Figure:
    stride = exact.shape[1] // (laws["modes"].shape[1] - 1)
    disc = []
    for i in range(4):
        seen = laws["modes"][i, :, 0]
        disc += [
            Series(exact[i].real, exact[i].imag, "" if i else "z by its own equation"),
            Series(seen.real, seen.imag, "" if i else "first mode of the density", kind="points"),
        ]
    times = config.dt * np.arange(exact.shape[1])
    second = [
        Series(times, np.abs(exact[0]) ** 2, "|z|²"),
        Series(times[::stride], np.abs(laws["modes"][0, :, 1]), "second mode of the density", kind="points"),
    ]
    steps = np.array(config.steps)
    order = [
        Series(steps, errors.value, "particles", errors.stderr, "points"),
        Series(steps, errors.value[-1] * steps / steps[-1], "order 1", kind="dashed"),
    ]
    caption = (
        "Oscillators with the common noise −s sin x∘dB⁰ and none of their own. Left: in four environments the first "
        "mode of the density, against the equation of z alone. Middle: the second mode is the square of the first. "
        "Right: particles come to the same z at order 1 in the step; no term of sampling is left."
    )
    panels = [
        Panel(r"Re $z$", r"Im $z$", disc),
        Panel("time t", "second mode", second),
        Panel("time step dt", r"$|z^N - z|$, root mean square", order, xscale="log", yscale="log"),
    ]
    return Figure(caption, panels)
