"""Part of chapter *uniqueness*: steady states without noise, and what a noise that stirs them leaves of them."""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean import observables
from mckean.catalogue.oscillators import order_parameter
from mckean.dynamics import evolve
from mckean.interactions import kernels
from mckean.measures import Density
from mckean.models import Model, TransportNoise, langevin
from mckean.paths import Brownian
from mckean.spaces import Torus
from mckean.talk.claims import Claim, Figure, Film

TORUS = Torus(2)


@dataclass(frozen=True)
class Stirring:
    nodes: int = 48
    until: float = 10.0


def run_stirring(
    config: Stirring, strength: float, weak_strong: tuple[float, float], key
) -> tuple[list[Claim], Figure]:
    seen, intensities = _film(config, strength, weak_strong, key)
    claims = _claims(config, strength, np.asarray(seen["order"]))
    return claims, _figure(config, np.asarray(seen["rho"]), intensities)


def _noise(spectrum: str, intensity=1.0, reach: float = 4.0) -> TransportNoise:
    if spectrum == "shears":
        return TransportNoise.shears(TORUS, intensity)
    return TransportNoise.shell(TORUS, reach, intensity=intensity)


def stirring_model(strength: float, spectrum: str, reach: float = 4.0) -> Model:
    """Attraction −κ(cos x₁ + cos x₂), stirred by four shears or by the waves of a shell, of intensity 1."""
    return langevin(TORUS, interaction=kernels.Cosine(strength), common=_noise(spectrum, reach=reach))


def density(nodes: int, function) -> Density:
    """The density proportional to the function, on nodes × nodes points."""
    return Density.from_function(TORUS.grid(nodes), function)


def uniform(nodes: int) -> Density:
    """The uniform density on nodes × nodes points."""
    return density(nodes, lambda x: 1 + 0 * x[0])


def spot(x):
    """Most of the mass at one place: exp(2 cos(x₁ − 2) + 2 cos(x₂ − 3))."""
    return jnp.exp(2 * jnp.cos(x[0] - 2.0) + 2 * jnp.cos(x[1] - 3.0))


def _stripe(x):
    return jnp.exp(2 * jnp.cos(x[0] - 5.0))


@eqx.filter_jit
def _frames(model: Model, config: Stirring, starts, intensities, key):
    """Densities and order parameters of several starts and intensities in one environment."""

    def one(values, intensity):
        return evolve(
            eqx.tree_at(lambda m: m.common[0].intensity, model, intensity),
            Density(TORUS.grid(config.nodes), values), until=config.until, dt=1 / 64,
            path=Brownian(key), observe={"rho": lambda model, mu: mu.values, "order": _order}, every=32,
        ).observed  # fmt: skip

    return jax.vmap(one)(starts, intensities)


def _film(config: Stirring, strength: float, weak_strong: tuple[float, float], key) -> tuple[dict, tuple[float, ...]]:
    """Densities and order parameters along time, and intensities: a spot and a stripe without noise, then spots."""
    starts, intensities = (spot, _stripe, spot, spot), (0.0, 0.0, *weak_strong)
    values = jnp.stack([density(config.nodes, f).values for f in starts])
    return _frames(stirring_model(strength, "shears"), config, values, jnp.asarray(intensities), key), intensities


def _claims(config: Stirring, strength: float, orders: np.ndarray) -> list[Claim]:
    r = order_parameter(strength, 1.0)
    origin = "rounding, grown at rate κ/2 − 1 by the instability of the stripe, and e^(−T)"
    left = float(1e-14 * np.exp((strength / 2 - 1) * config.until) + np.exp(-config.until))
    bessel = "product of Kuramoto states, r = I₁(κr)/I₀(κr)"
    return [
        Claim(
            statement="order parameter without noise, from a spot: √2 r",
            predicted=float(np.sqrt(2) * r),
            measured=float(orders[0, -1]),
            tolerance=left,
            origin=origin,
            reference=bessel,
        ),
        Claim(
            statement="order parameter without noise, from a stripe: r",
            predicted=r,
            measured=float(orders[1, -1]),
            tolerance=left,
            origin=origin,
            reference=bessel,
        ),
    ]


def _order(model: Model, mu: Density) -> jax.Array:
    """√(|z_(1,0)|² + |z_(0,1)|²)."""
    return jnp.hypot(observables.order_parameter((1, 0))(model, mu), observables.order_parameter((0, 1))(model, mu))


def _figure(config: Stirring, frames: np.ndarray, intensities: tuple[float, ...]) -> Figure:
    times = np.linspace(0, config.until, frames.shape[1])
    shown = [int(np.argmin(np.abs(times - t))) for t in (0.0, 0.5, 1.0, 2.0, 5.0, config.until)]
    rows = [f"$K = {k:g}$" for k in intensities]
    panel = Film(
        frames[:, shown], TORUS.lengths, rows, [f"$t = {times[i]:g}$" for i in shown],
        "density ρ (1/length²)", title="Four shears, one environment",
    )  # fmt: skip
    caption = (
        "The density. Without noise a spot and a stripe are two of the steady states; a weak noise stirs the spot, "
        "which holds together; a strong one takes it apart."
    )
    return Figure(caption, [panel])
