"""Part of chapter *uniqueness*: many solutions of the stirred nonlinear equation side by side, and a film of four."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.signal import resample

from mckean.catalogue.oscillators import order_parameter
from mckean.dynamics import Spectral, evolve
from mckean.interactions import kernels
from mckean.measures import Density
from mckean.models import Model, TransportNoise, langevin
from mckean.paths import Brownian
from mckean.spaces import Torus
from mckean.statistics import side_by_side
from mckean.talk.claims import Claim, Figure, Film, Rival

TORUS = Torus(2)
# Shears along the axes of wave numbers 1 and 2. A spectrum is how strong those of each number are.
_WAVES = ((1, 0), (0, 1), (2, 0), (0, 2))
SPECTRA = {"long": (1.0, 0.125), "short": (1.0, 2.0)}
# Filaments that are finer than the grid undershoot 0 by some per cent of the maximum: distances do not feel it.
_SCHEME = Spectral(negativity=0.2)


@dataclass(frozen=True)
class Stirring:
    """Nodes along each axis; the end of a run, its step and the steps between records; how many run as one program."""

    nodes: int = 20
    until: float = 12.0
    dt: float = 1 / 16
    every: int = 3
    batch: int = 24

    @property
    def times(self) -> np.ndarray:
        """Of the records."""
        return np.arange(0, self.until + 1e-9, self.every * self.dt)

    def at(self, time: float) -> int:
        """The record nearest to a time."""
        return int(np.argmin(np.abs(self.times - time)))


def stirring_model(strength: float, spectrum: str) -> Model:
    """Attraction −κ(cos x₁ + cos x₂), stirred by shears of intensity 1, of which the long or the short are stronger."""
    weights = np.repeat(SPECTRA[spectrum], 2)
    noise = TransportNoise(TORUS, np.array(_WAVES), weights)
    return langevin(TORUS, interaction=kernels.Cosine(strength), common=noise)


def spot(x):
    """Most of the mass at one place: exp(2 cos(x₁ − 2) + 2 cos(x₂ − 3))."""
    return jnp.exp(2 * jnp.cos(x[0] - 2.0) + 2 * jnp.cos(x[1] - 3.0))


def askew(x):
    """A start that no wave and no reflection leaves as it is."""
    return jnp.exp(jnp.cos(x[0] - 5.0) + 0.5 * jnp.cos(x[0] + x[1]) + 0.5 * jnp.sin(2 * x[1]))


def ripple(x):
    """So small a perturbation of the uniform density that it stays one: 1 + 10⁻⁶ cos x₁."""
    return 1 + 1e-6 * jnp.cos(x[0])


def stripe(x):
    """Most of the mass along a line: exp(2 cos(x₁ − 5))."""
    return jnp.exp(2 * jnp.cos(x[0] - 5.0))


def on_grid(config: Stirring, starts: Sequence[Callable]) -> np.ndarray:
    """The values at the nodes of densities proportional to functions, shape (s, nodes, nodes)."""
    grid = TORUS.grid(config.nodes)
    kinds = {f: np.asarray(Density.from_function(grid, f).values) for f in dict.fromkeys(starts)}
    return np.stack([kinds[f] for f in starts])


def densities(model: Model, config: Stirring, starts: np.ndarray, intensities, keys) -> np.ndarray:
    """The values along time from each start, with its intensity and environment, shape (s, t, nodes, …)."""
    # The last batch is filled up, as one of another size would be another program.
    count = -(-len(starts) // config.batch) * config.batch
    batches = np.resize(np.arange(len(starts)), count).reshape(-1, config.batch)
    intensities = jnp.asarray(intensities, float)
    one = lambda i: np.asarray(_batch(model, config, jnp.asarray(starts[i]), intensities[i], keys[i]))  # noqa: E731
    return np.concatenate(list(side_by_side(one, list(batches))))[: len(starts)]


@eqx.filter_jit
def _batch(model: Model, config: Stirring, values, intensities, keys):
    grid = cast(Torus, model.space).grid(config.nodes)

    def one(start, intensity, key):
        run = evolve(
            eqx.tree_at(lambda m: m.common[0].intensity, model, intensity),
            Density(grid, start), until=config.until, dt=config.dt, path=Brownian(key),
            scheme=_SCHEME, observe={"rho": _values}, every=config.every,
        )  # fmt: skip
        return run.observed["rho"]

    return jax.vmap(one)(values, intensities, keys)


def _values(model: Model, mu: Density) -> jax.Array:
    return mu.values


# What is seen of densities on the grid, by NumPy.


def norm(values: np.ndarray) -> np.ndarray:
    """‖f‖ in L² of functions on the grid, the last two axes."""
    return np.sqrt(np.mean(values**2, axis=(-2, -1)) * TORUS.volume)


def from_uniform(values: np.ndarray) -> np.ndarray:
    """‖ρ − 1/|T|‖."""
    return norm(values - 1 / TORUS.volume)


def order(values: np.ndarray) -> np.ndarray:
    """√(|z₁|² + |z₂|²) with z_i = E e^{ix_i}."""
    modes = np.fft.fft2(values) / values.shape[-1] ** 2 * TORUS.volume
    return np.sqrt(np.abs(modes[..., 1, 0]) ** 2 + np.abs(modes[..., 0, 1]) ** 2)


def fisher(values: np.ndarray) -> np.ndarray:
    """I = ∫|∇ρ|²/ρ, by the gradient of √ρ: 4∫|∇√ρ|²."""
    root = np.fft.fft2(np.sqrt(np.maximum(values, 0.0))) / values.shape[-1] ** 2
    k = np.fft.fftfreq(values.shape[-1], 1 / values.shape[-1])
    return 4 * TORUS.volume * np.sum((k[:, None] ** 2 + k**2) * np.abs(root) ** 2, axis=(-2, -1))


def synchronised_distance(strength: float) -> float:
    """‖ρ − 1/|T|‖ of the state without noise, a product of von Mises densities: ∫v² = I₀(2κr)/2πI₀(κr)²."""
    from scipy.special import ive

    k = strength * order_parameter(strength, 1.0)
    return float(np.sqrt((ive(0, 2 * k) / ive(0, k) ** 2) ** 2 - 1) / (2 * np.pi))


# Without noise, and with.


def run_film(config: Stirring, strength: float, weak_strong: tuple[float, float], key) -> tuple[list[Claim], Figure]:
    """Steady states without noise from a spot and a stripe, and a spot under two intensities of the long waves."""
    starts, intensities = on_grid(config, [spot, stripe, spot, spot]), (0.0, 0.0, *weak_strong)
    seen = densities(stirring_model(strength, "long"), config, starts, intensities, jnp.stack([key] * 4))
    return _steady_claims(config, strength, order(seen[:2, -1])), _film(config, seen, intensities)


def _steady_claims(config: Stirring, strength: float, orders: np.ndarray) -> list[Claim]:
    r = order_parameter(strength, 1.0)
    spots, stripes = float(np.sqrt(2) * r), float(r)
    left = float(1e-14 * np.exp((strength / 2 - 1) * config.until) + np.exp(-config.until))
    return [
        Claim(
            statement=f"Without noise a {name} settles: the order parameter {symbol} at $t = {config.until:g}$",
            predicted=own,
            measured=float(seen),
            tolerance=left,
            origin="rounding, grown at rate κ/2 − 1 by the instability of the stripe, and e^{−T}",
            excludes=Rival(f"it settles as a {other} does", others),
            reference="product of Kuramoto states, r = I₁(κr)/I₀(κr)",
        )
        for name, symbol, seen, own, other, others in (
            ("spot", r"$\sqrt2\,r$", orders[0], spots, "stripe", stripes),
            ("stripe", "$r$", orders[1], stripes, "spot", spots),
        )
    ]


def _film(config: Stirring, seen: np.ndarray, intensities: tuple[float, ...]) -> Figure:
    shown = [config.at(t) for t in (0.0, 0.5, 1.0, 2.0, 5.0, config.until)]
    rows = [f"$K = {k:g}$" for k in intensities]
    # Drawn on twice the nodes: a series of waves is known between them.
    fine = 2 * config.nodes
    frames = resample(resample(seen[:, shown], fine, axis=2), fine, axis=3)
    panel = Film(
        frames, TORUS.lengths, rows, [f"$t = {config.times[i]:.2g}$" for i in shown],
        "density ρ (1/length²)", title="Long waves, one environment",
    )  # fmt: skip
    caption = (
        "The density. Without noise a spot and a stripe are two of the steady states; a weak noise stirs the spot, "
        "which holds together; a strong one takes it apart."
    )
    return Figure(caption, [panel])
