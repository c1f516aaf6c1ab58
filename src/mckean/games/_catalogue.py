"""Named games, each with what is known exactly about it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from mckean.catalogue import Fact
from mckean.games._equilibrium import equilibrium
from mckean.games._game import Game
from mckean.games._linear import nash, planner
from mckean.interactions import kernels
from mckean.measures import Density, Gaussian
from mckean.models import Additive, Model
from mckean.spaces import Euclidean, Torus


@dataclass(frozen=True)
class GameEntry:
    """A named game and what is known exactly about it.

    **Attributes:**

    - `game`: the `Game`.
    - `facts`: each `catalogue.Fact` by its name.
    """

    game: Game
    facts: Mapping[str, Fact]


def _lending(q, eps, x, alpha, mu):
    gap = mu.mean - x
    return jnp.sum(alpha**2 / 2 - q * alpha * gap + eps / 2 * gap**2)


def _owing(c, x, mu):
    return c / 2 * jnp.sum((mu.mean - x) ** 2)


def interbank(
    a: float = 1.0, q: float = 0.5, eps: float = 2.0, c: float = 0.3, rho: float = 0.4, horizon: float = 1.5
) -> GameEntry:
    """Banks that lend to the mean, with a common noise: η′ = 2(a + q)η + (1 − 1/N²)η² − (ε − q²), η_T = c."""
    common = Additive(rho) if rho else ()
    model = Model(Euclidean(1), interaction=kernels.Quadratic(a), noise=Additive(math.sqrt(1 - rho**2)), common=common)
    game = Game(model, eqx.Partial(_lending, q, eps), eqx.Partial(_owing, c), horizon=horizon)
    source = "Carmona, Fouque and Sun, arXiv 1308.2172"

    def exact(share):
        # Riccati's equation in closed form: with its roots, a flow of (η − η₊)/(η − η₋).
        square, linear, level = 1 - share**2, 2 * (a + q), eps - q**2
        root = math.sqrt(linear**2 + 4 * square * level)
        up, down = (-linear + root) / (2 * square), (-linear - root) / (2 * square)
        w = (c - up) / (c - down) * math.exp(-root * horizon)
        return (up - w * down) / (1 - w)

    def found(players):
        share = 1 / players if players else 0.0
        return (float(nash(game, players).gain[0, 0, 0]) - q) / (1 - share)

    facts = {
        "eta of ten banks": Fact("η(0), N = 10", exact(0.1), source, lambda: found(10), 1e-10),
        "eta": Fact("η(0), N = ∞", exact(0.0), source, lambda: found(None), 1e-10),
        "price of anarchy": Fact(
            "the cost of the equilibrium over that of a planner", 1.0, "", lambda: _price(game), 1e-10
        ),
    }
    return GameEntry(game, facts)


def _price(game: Game, start: float = 0.0) -> float:
    law = Gaussian(start, 0.0)
    return float(nash(game).cost(law) / planner(game).cost(law))


def _trading(kappa, phi, impact, x, v, mu, nu):
    return jnp.sum(kappa * v**2 + phi * x**2 - impact * x * nu.mean)


def _held(end, x, mu):
    return end * jnp.sum(x**2)


def trade_crowding(
    impact: float = 0.4, kappa: float = 0.2, phi: float = 0.1, end: float = 2.5, horizon: float = 5.0
) -> GameEntry:
    """Traders who sell and move the price by the mean of all their rates, a game of controls: 2κE″ + αE′ − 2φE = 0."""
    game = Game(
        Model(Euclidean(1)), eqx.Partial(_trading, kappa, phi, impact), eqx.Partial(_held, end), horizon=horizon
    )

    def paid(linear, slope, last):
        rates = np.roots([2 * kappa, linear, -2 * phi])
        weights = np.linalg.solve([[1.0, 1.0], (slope * rates + last) * np.exp(horizon * rates)], [1.0, 0.0])
        node, weight = np.polynomial.legendre.leggauss(80)
        t = horizon * (node + 1) / 2
        E = np.exp(np.outer(t, rates)) @ weights
        v = np.exp(np.outer(t, rates)) @ (weights * rates)
        whole = horizon / 2 * weight @ (kappa * v**2 + phi * E**2 - impact * E * v)
        return np.real(whole + end * (np.exp(horizon * rates) @ weights) ** 2)

    least = float(paid(0.0, 2 * kappa, 2 * end - impact))
    price = float(paid(impact, kappa, end)) / least
    source = "after Cardaliaguet and Lehalle, arXiv 1610.09904"
    return GameEntry(
        game,
        {"price of anarchy": Fact("of traders who all hold 1", price, source, lambda: _price(game, 1.0), 1e-9)},
    )


def _crowded(a, nu, x, alpha, mu):
    spectrum = jnp.fft.fft(mu.values) / mu.values.size
    wave = jnp.fft.fftfreq(mu.values.size, 1 / mu.values.size)
    m = jnp.real(jnp.sum(spectrum * jnp.exp(1j * wave * x[0])))
    bowl = 2 * nu**2 * a**2 * jnp.sin(x[0]) ** 2 - 2 * a * (1 + nu**2) * jnp.cos(x[0])
    return jnp.sum(alpha**2) / 2 + bowl + jnp.log(m)


def crowd_aversion(a: float = 0.6, nu: float = 0.5) -> GameEntry:
    """Players on a circle who avoid a crowd, L = α²/2 + V + log m, made so that m = e^{2a cos x}/2πI₀(2a)."""
    from scipy.special import i0, i1

    circle = Torus(1)
    game = Game(Model(circle, noise=Additive(math.sqrt(2 * nu))), eqx.Partial(_crowded, a, nu))
    start = Density.from_function(circle.grid(48), lambda x: 1 + 0.5 * jnp.cos(x[0]))

    def order():
        return float(equilibrium(game, start).density.integrate(lambda x: jnp.cos(x[0])))

    source = "by construction: u = −2νa cos x"
    return GameEntry(
        game,
        {
            "cost": Fact(
                "λ", -math.log(2 * math.pi * i0(2 * a)), source, lambda: float(equilibrium(game, start).cost), 1e-9
            ),
            "order": Fact("E cos X", i1(2 * a) / i0(2 * a), source, order, 1e-9),
        },
    )


def _meeting(strength, x, alpha, mu):
    return jnp.sum(alpha**2) / 2 + strength * (1 - mu.integrate(lambda y: jnp.cos(x[0] - y[0])))


def clocks(strength: float = 1.0, sigma: float = 1.0, common: float = 0.0) -> GameEntry:
    """Kuramoto's game in the long run, L = α²/2 + κ(1 − r cos x): with Mathieu's q = 4κr/σ⁴, r = −½a₀′(q)."""
    from scipy.optimize import brentq
    from scipy.special import mathieu_a

    circle = Torus(1)
    noise = Additive(common) if common else ()
    game = Game(Model(circle, noise=Additive(sigma), common=noise), eqx.Partial(_meeting, strength))
    start = Density.from_function(circle.grid(48), lambda x: 1 + 0.5 * jnp.cos(x[0]))
    slope = lambda q: float(mathieu_a(0, q + 1e-4) - mathieu_a(0, q - 1e-4)) / 2e-4  # noqa: E731
    off = lambda r: r + slope(4 * strength * r / sigma**4) / 2  # noqa: E731
    r = float(np.asarray(brentq(off, 1e-3, 1.0, xtol=1e-13))) if strength > sigma**4 / 2 else 0.0
    cost = strength + sigma**4 / 8 * float(mathieu_a(0, 4 * strength * r / sigma**4))
    source = "Carmona, Cormier and Soner, arXiv 2210.12912"

    def order():
        return abs(complex(equilibrium(game, start).density.integrate(lambda x: jnp.exp(1j * x[0]))))

    return GameEntry(
        game,
        {
            "order": Fact("r = |E e^{iX}|", r, source, order, 2e-8),
            "cost": Fact("λ", cost, source, lambda: float(equilibrium(game, start).cost), 2e-8),
            "threshold": Fact("κ at which clocks begin to meet", sigma**4 / 2, source),
        },
    )


GAMES: dict[str, Callable[..., GameEntry]] = {
    "interbank": interbank,
    "trade_crowding": trade_crowding,
    "crowd_aversion": crowd_aversion,
    "clocks": clocks,
}
"""The constructors of named games by name."""
