"""Part of chapter *ledger*: descent in a random landscape, one that moves as a white noise and one that is frozen."""

from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean import observables
from mckean.catalogue import ornstein_uhlenbeck
from mckean.dynamics import evolve
from mckean.dynamics.jko import JKO
from mckean.energetics import moving_frame
from mckean.measures import Density, Gaussian
from mckean.models import Additive, Model, langevin
from mckean.paths import Brownian
from mckean.spaces import Torus
from mckean.statistics import Estimate, average, join, log_slope, replicate, root_mean_square
from mckean.talk.claims import Claim, Figure, Panel, Rival, Series

_FINER = 16
# The steps in a landscape that moves as a white noise.
_STEP = 1 / 16
# How long the law descends in a frozen landscape.
_LONG = 32.0
_MOVEMENTS = "Jordan, Kinderlehrer and Otto 1998, step by step in the landscape V(· + σ₀B⁰_t)"


@dataclass(frozen=True)
class Landscape:
    """`stiffness`, `attraction`, `beta`, `common`: a, c, β, σ₀; `roughness`: of the frozen landscapes on the circle."""

    stiffness: float = 1.0
    attraction: float = 1.0
    beta: float = 2.0
    common: float = 1.0
    steps: tuple[float, ...] = (1 / 8, 1 / 32, 1 / 128)
    environments: int = 256
    relax: float = 4.0
    until: float = 12.0
    roughness: float = 1.5
    frozen: int = 64

    def what(self) -> str:
        """What is run, in a sentence."""
        return (
            f"Minimising movements of a Gaussian in the moving frame with V = ax²/2, W = cx²/2, a = "
            f"{self.stiffness:g}, "
            f"c = {self.attraction:g}, β = {self.beta:g}, σ₀ = {self.common:g}, τ from {self.steps[0]:g} to "
            f"{self.steps[-1]:g} up to t = 1 in {self.environments} environments; its descent from t = "
            f"{self.relax:g} to {self.until:g}; and {self.frozen} frozen landscapes on the circle, sums of three "
            f"waves, up to t = {_LONG:g}."
        )


def run_landscape(config: Landscape, key) -> tuple[list[Claim], Figure]:
    law, balance = _movements(config, jax.random.fold_in(key, 0))
    white = _white(config, jax.random.fold_in(key, 1))
    frozen = _frozen(config, jax.random.fold_in(key, 2))
    claims = [*_order_claims(config, law, balance), _white_claim(config, white), _frozen_claim(config, frozen)]
    return claims, _figure(config, law, balance, white, frozen)


def _model(config: Landscape) -> Model:
    linear = ornstein_uhlenbeck(config.stiffness, config.attraction, config.beta).model
    pull = {"confinement": linear.confinement, "interaction": linear.interaction}
    return langevin(linear.space, **pull, beta=config.beta, common=Additive(config.common))


def _movements(config: Landscape, key) -> tuple[Estimate, Estimate]:
    """W₂ from the conditional law at t = 1, and what the balance F(1) − F(0) + ∫D dt − work leaves, by τ."""
    laws, balances = [], []
    for i, tau in enumerate(config.steps):
        one = partial(_movement, config=config, tau=tau)
        run = replicate(one, jax.random.fold_in(key, i), config.environments)
        mean, variance = _conditional(config, run["increments"], tau / _FINER)
        laws.append(root_mean_square(np.hypot(run["mean"] - mean, np.sqrt(run["variance"]) - np.sqrt(variance))))
        balances.append(root_mean_square(run["balance"]))
    return join(laws), join(balances)


_MEAN, _VARIANCE = 1.0, 0.6


def _movement(key, *, config: Landscape, tau: float) -> dict[str, Any]:
    path = Brownian(key)
    run = moving_frame(_model(config), Gaussian(_MEAN, _VARIANCE), until=1.0, dt=tau, path=path, scheme=JKO())
    final = cast(Gaussian, run.final)
    fine = path.refine(_FINER).environment.record(_FINER * round(1 / tau), tau / _FINER, 1)
    return {
        "mean": final.mean[0] + run.shift[-1, 0],
        "variance": final.covariance[0, 0],
        "balance": run.change[-1] + run.dissipated[-1] - run.work[-1],
        "increments": fine.increments[:, 0],
    }


def _conditional(config: Landscape, increments: np.ndarray, dt: float) -> tuple[np.ndarray, float]:
    """The law N(m, v) at the end: dm = −am dt + σ₀dB⁰ on a polygon, exactly, and v′ = −2(a + c)v + 2/β."""
    a, rate = config.stiffness, config.stiffness + config.attraction
    mean = np.full(len(increments), _MEAN)
    for dB in increments.T:
        mean = mean * np.exp(-a * dt) - config.common * dB * np.expm1(-a * dt) / (a * dt)
    limit = 1 / (config.beta * rate)
    return mean, limit + (_VARIANCE - limit) * float(np.exp(-2 * rate * dt * increments.shape[1]))


def _order_claims(config: Landscape, law: Estimate, balance: Estimate) -> list[Claim]:
    first, last = config.steps[0], config.steps[-1]
    rate = 2 * (config.stiffness + config.attraction)
    common = {
        "predicted": 1.0,
        "tolerance": float(np.log1p(rate * first) / np.log(first / last)),
        "origin": "corrections 2(a + c)τ at the longest step, of the variance",
        "excludes": Rival("strong order 1/2", 0.5),
    }
    return [
        Claim(
            statement="Minimising movements in the landscape $V(\\cdot + \\sigma_0B^0_t)$ come to the conditional "
            "law as $\\tau^s$ in $W_2$; $s$",
            measured=log_slope(config.steps, law),
            reference=_MOVEMENTS,
            **common,
        ),
        Claim(
            statement="In each environment $F(t) - F(0)$ of the movements is $-\\int D\\,dt$ and the work of the "
            "landscape, "
            "up to $\\tau^s$; $s$",
            measured=log_slope(config.steps, balance),
            reference=_MOVEMENTS,
            **common,
        ),
    ]


def _white(config: Landscape, key) -> np.ndarray:
    """By how much the law has descended at 0, relax, 2 relax, …, by environment, shape (r, t)."""

    def one(k):
        every = round(config.relax / _STEP)
        run = moving_frame(
            _model(config), Gaussian(_MEAN, _VARIANCE), until=config.until, dt=_STEP, path=Brownian(k), every=every
        )
        return -run.descent

    return replicate(one, key, config.environments)


def _white_claim(config: Landscape, spent: np.ndarray) -> Claim:
    a, square = config.stiffness, config.common**2
    # With e = e^{−a dt}, the landscape moves by half a step, m descends to em, and the landscape moves on: the variance
    # v = (σ₀²dt/4)(1 + e)/(1 − e) before, and ½a(1 − e²)(v + σ₀²dt/4) is descended.
    exact = a * square * (1 + np.exp(-a * _STEP)) / 4
    rate = (spent[:, -1] - spent[:, 1]) / (config.until - config.relax)
    return Claim(
        statement="Where the landscape moves as a white noise the law descends for ever, by $a\\sigma_0^2/2$ a unit of "
        "time in mean",
        predicted=float(exact),
        measured=average(rate),
        tolerance=float(2 * exact * np.exp(-2 * a * config.relax)),
        origin="what is left of the start, 2e^{−2at} relatively",
        excludes=Rival("no ½: the bracket of the landscape's motion", float(2 * exact)),
        reference="E D = E power where E F does not change; σ₀²⟨V″⟩/2",
    )


class _Waves(eqx.Module):
    """Σ_k c_k cos(kx + φ_k), k ≤ 3."""

    sizes: jax.Array
    phases: jax.Array

    def __call__(self, x):
        return jnp.sum(self.sizes * jnp.cos(jnp.arange(1, 4) * x[0] + self.phases))


def _frozen(config: Landscape, key) -> dict[str, np.ndarray]:
    """F along the descent from the uniform law in each landscape, and the landscapes' waves."""
    circle = Torus(1)
    flat = Density.from_function(circle.grid(64), lambda x: 1.0 + 0.0 * x[0])

    def one(k):
        draw = jax.random.uniform(k, (2, 3))
        waves = _Waves(config.roughness * draw[0] / jnp.arange(1, 4), 2 * np.pi * draw[1])
        observe = {"free": observables.free_energy}
        run = evolve(langevin(circle, waves, beta=1.0), flat, until=_LONG, dt=1 / 32, observe=observe, every=32)
        return {"free": run.observed["free"], "sizes": waves.sizes, "phases": waves.phases}

    return replicate(one, key, config.frozen)


def _gap(heights: np.ndarray) -> np.ndarray:
    """The spectral gap of the diffusion in each landscape V at β = 1, as that of a walk on its nodes; 1/time.

    The walk steps from i to its neighbour j at the rate e^{−(V_j − V_i)/2}/h², which keeps e^{−V}; the similarity
    e^{−V/2} makes it symmetric.
    """
    n = heights.shape[1]
    ahead = np.exp(-0.5 * (np.roll(heights, -1, axis=1) - heights))
    walk = (
        np.eye(n) * (ahead + 1 / np.roll(ahead, 1, axis=1))[:, None]
        - np.roll(np.eye(n), 1, 0)
        - np.roll(np.eye(n), -1, 0)
    )
    return np.linalg.eigvalsh(walk)[:, 1] * (n / (2 * np.pi)) ** 2


def _frozen_claim(config: Landscape, frozen) -> Claim:
    x, k = 2 * np.pi * np.arange(1024) / 1024, np.arange(1, 4)
    waves = frozen["sizes"][:, :, None] * np.cos(k[:, None] * x + frozen["phases"][:, :, None])
    heights = waves.sum(axis=1)
    partition = 2 * np.pi * np.exp(-heights).mean(axis=1)
    # βF − βF* = H(ρ|π) ≤ χ² of ρ from π, which falls at twice the gap or faster.
    chi = np.exp(heights).mean(axis=1) * np.exp(-heights).mean(axis=1) - 1
    left = np.mean(chi * np.exp(-2 * _gap(heights[:, ::4]) * _LONG))
    return Claim(
        statement="Where the landscape is frozen $F$ falls to $-\\beta^{-1}\\log Z$; mean over landscapes",
        predicted=float(-np.log(partition).mean()),
        measured=float(frozen["free"][:, -1].mean()),
        tolerance=float(left) + 1e-8,
        origin="what is left of χ², which bounds the entropy, at twice the spectral gap of each landscape; 32 waves",
        excludes=Rival("the logarithm of the mean, −log(E Z)/β", float(-np.log(partition.mean()))),
        reference="the Gibbs measure of each landscape",
    )


def _figure(config: Landscape, law: Estimate, balance: Estimate, white: np.ndarray, frozen) -> Figure:
    steps = np.array(config.steps)
    orders = [
        Series(steps, law.value, "$W_2$ from the conditional law", law.stderr, "points"),
        Series(steps, balance.value, "balance of the energy", balance.stderr, "points"),
        Series(steps, law.value[-1] * steps / steps[-1], "order 1", kind="dashed"),
    ]
    times = np.arange(white.shape[1]) * config.relax
    spent = average(white)
    dissipated = [
        Series(times, spent.value, "white", spent.stderr, "points"),
        Series(times, config.stiffness * config.common**2 / 2 * times, r"$a\sigma_0^2t/2$", kind="dashed"),
    ]
    falls = [
        Series(np.arange(frozen["free"].shape[1]), free, "" if i else "frozen landscapes")
        for i, free in enumerate(frozen["free"][:4])
    ]
    caption = (
        "Descent in random landscapes. Left: minimising movements in the landscape that moves with the environment "
        "come "
        "to the conditional law, and the balance of the energy closes, at order 1. Middle: a landscape that moves as a "
        "white noise keeps the law descending. Right: in a frozen one F falls to its least value."
    )
    panels = [
        Panel("step τ", "root mean square", orders, xscale="log", yscale="log"),
        Panel("time t", "mean descent of F (energy per particle)", dissipated),
        Panel("time t", "F (energy per particle)", falls),
    ]
    return Figure(caption, panels)
