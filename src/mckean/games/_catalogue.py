"""Named games, each with what is known exactly about it."""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm

from mckean.catalogue import Fact
from mckean.games._conditional import conditional_law
from mckean.games._equilibria import equilibria
from mckean.games._equilibrium import conditional_equilibrium, equilibrium
from mckean.games._game import Game
from mckean.games._linear import nash, planner
from mckean.games._target import Target, expectation
from mckean.interactions import kernels
from mckean.measures import Density, Gaussian
from mckean.models import Additive, Model
from mckean.paths import Brownian
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


def _trading(kappa, phi, impact, held, x, v, mu, nu):
    return jnp.sum(kappa * v**2 + phi * held(x) ** 2 - impact * held(x) * nu.integrate(lambda v: v))


def _left(end, held, x, mu):
    return end * jnp.sum(held(x) ** 2)


def _line(x):
    return x


def _selling(kappa, phi, linear, slope, last, horizon):
    """The rates r and weights w of E = Σwe^{rt}: 2κE″ + aE′ − 2φE = 0, E(0) = 1, bE′(T) + cE(T) = 0."""
    rates = np.roots([2 * kappa, linear, -2 * phi])
    return rates, np.linalg.solve([[1.0, 1.0], (slope * rates + last) * np.exp(horizon * rates)], [1.0, 0.0])


def trade_crowding(
    impact: float = 0.4, kappa: float = 0.2, phi: float = 0.1, end: float = 2.5, horizon: float = 5.0
) -> GameEntry:
    """Traders who sell and move the price by the mean of all their rates, a game of controls: 2κE″ + αE′ − 2φE = 0."""
    game = Game(
        Model(Euclidean(1)),
        eqx.Partial(_trading, kappa, phi, impact, _line),
        eqx.Partial(_left, end, _line),
        horizon=horizon,
    )

    def paid(linear, slope, last):
        rates, weights = _selling(kappa, phi, linear, slope, last, horizon)
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


def _at(mu, x):
    """The density of a measure on a circle at a point, by its Fourier series."""
    spectrum = jnp.fft.fft(mu.values) / mu.values.size
    wave = jnp.fft.fftfreq(mu.values.size, 1 / mu.values.size)
    return jnp.real(jnp.sum(spectrum * jnp.exp(1j * wave * x[0])))


def _crowded(a, nu, x, alpha, mu):
    bowl = 2 * nu**2 * a**2 * jnp.sin(x[0]) ** 2 - 2 * a * (1 + nu**2) * jnp.cos(x[0])
    return jnp.sum(alpha**2) / 2 + bowl + jnp.log(_at(mu, x))


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


def _congested(a, hill, aversion, x, alpha, mu):
    m = 2 * jnp.pi * _at(mu, x)
    return m**a * jnp.sum(alpha**2) / 2 + hill * jnp.cos(x[0]) + aversion * m


def congestion(power: float = 1.0, hill: float = 0.5, aversion: float = 0.7, sigma: float = 1.0) -> GameEntry:
    """Players on a circle who are slow in a crowd, L = m^a|α|²/2 + V + cm, m = 2πρ: νm′ = −m^{1−a}u′, no flux.

    So u = −νm^a/a + const., and with m = φ^q, q = 2/(1 + 2a), one equation is left: ν²qφ″φ^{qa−1} + λ = V + cφ^q.
    """
    circle = Torus(1)
    game = Game(Model(circle, noise=Additive(sigma)), eqx.Partial(_congested, power, hill, aversion))
    start = Density.from_function(circle.grid(32), lambda x: 1 - 0.3 * jnp.cos(x[0]))
    cost, order = _reduced(power, hill, aversion, sigma**2 / 2)
    source = "Gomes and Mitake, NoDEA 22 (2015), for the game; its reduction by derivation"
    found = functools.cache(lambda: equilibrium(game, start))
    return GameEntry(
        game,
        {
            "cost": Fact("λ", cost, source, lambda: float(found().cost), 1e-9),
            "order": Fact(
                "E cos X", order, source, lambda: float(found().density.integrate(lambda x: jnp.cos(x[0]))), 1e-9
            ),
        },
    )


def _reduced(a: float, hill: float, aversion: float, nu: float, nodes: int = 64) -> tuple[float, float]:
    """λ and E cos X by Newton's method for φ at the nodes."""
    q, h = 2 / (1 + 2 * a), 2 * np.pi / nodes
    p, x = q * a - 1, h * np.arange(nodes)
    wave = np.round(np.fft.fftfreq(nodes, 1 / nodes))
    second = np.real(np.fft.ifft(-(wave**2)[:, None] * np.fft.fft(np.eye(nodes), axis=0), axis=0))
    phi, cost = np.ones(nodes), 0.0
    for _ in range(30):
        bent = second @ phi
        off = nu**2 * q * bent * phi**p + cost - hill * np.cos(x) - aversion * phi**q
        slope = nu**2 * q * (phi[:, None] ** p * second + np.diag(p * phi ** (p - 1) * bent))
        slope = slope - np.diag(aversion * q * phi ** (q - 1))
        whole = np.block([[slope, np.ones((nodes, 1))], [h * q * phi[None] ** (q - 1), np.zeros((1, 1))]])
        step = np.linalg.solve(whole, np.append(off, h * np.sum(phi**q) - 2 * np.pi))
        length = min(1.0, 0.5 / np.max(np.abs(step[:-1] / phi)))
        phi, cost = phi - length * step[:-1], cost - length * step[-1]
    return float(cost), float(np.mean(phi**q * np.cos(x)))


def _aligned(kappa, x, alpha, mu):
    return jnp.sum(alpha**2) / 2 + kappa**2 / 2 * (x[1] - mu.mean[1]) ** 2


def _flight(x, mu):
    return jnp.stack([x[1], 0.0 * x[1]])


def flocking(kappa: float = 1.5, sigma: float = 0.7, common: float = 0.4, horizon: float = 2.0) -> GameEntry:
    """Birds with dx = v dt, dv = α dt + σ dB + σ₀ dB⁰, who pay ½α² + ½κ²(v − v̄)²: α = −κ tanh κ(T − t)(v − v̄)."""
    column = lambda s: Additive(np.array([[0.0], [s]]))  # noqa: E731
    model = Model(Euclidean(2), drift=_flight, noise=column(sigma), common=column(common) if common else ())
    game = Game(model, eqx.Partial(_aligned, kappa), horizon=horizon, control=np.array([[0.0], [1.0]]))
    spread, turn = 0.5, math.tanh(kappa * horizon)
    law = Gaussian(np.zeros(2), np.diag([0.3, spread]))
    source = "Nourian, Caines and Malhamé, 18th IFAC World Congress (2011), for the game; p′ = p² − κ²"

    def variance():
        path = Brownian(jax.random.key(0)) if common else None
        return float(conditional_law(game, nash(game, steps=80), law, path).final.covariance[1, 1])

    kept = spread / math.cosh(kappa * horizon) ** 2 + sigma**2 * turn / kappa
    paid = kappa * turn * spread / 2 + sigma**2 / 2 * math.log(math.cosh(kappa * horizon))
    return GameEntry(
        game,
        {
            "gain": Fact("on v − v̄ at time 0", kappa * turn, source, lambda: float(nash(game).gain[0, 0, 1]), 1e-10),
            "variance": Fact("of v at T given B⁰, from ½", kept, "", variance, 1e-9),
            "cost": Fact("from velocities of variance ½", paid, "", lambda: float(nash(game).cost(law)), 1e-10),
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


def _bent(z):
    """max(z, 0), smooth: the mean of it under a standard Gaussian about z."""
    return z * norm.cdf(z) + norm.pdf(z)


def _place(reach, x):
    """x from the middle of a long circle of side 4r, which goes back to 0 from ±r on."""
    y = x[0] - 2 * reach
    return y - 2 * _bent(y - reach) + 2 * _bent(-y - reach)


def _sought(depth, reach, x, mu):
    return (_place(reach, x) - depth * jnp.tanh(mu.integrate(eqx.Partial(_place, reach)))) ** 2 / 2


def _effort(x, alpha, mu):
    return jnp.sum(alpha**2) / 2


def _aims(game: Game, circle: Torus, place: Callable, stages: int) -> Callable[[float], Any]:
    """u = −(1 + T)α − m of a mean at the start, T = 1, on a lattice of laws: of an order above that of the stages."""
    from scipy.interpolate import CubicSpline

    middle = circle.lengths[0] / 2
    start = Density.from_function(circle.grid(128), lambda x: jnp.exp(-((x[0] - middle) ** 2)))
    feature = lambda mu: mu.integrate(place)  # noqa: E731
    given = {"stages": stages, "branches": 5, "steps": 2 * stages, "laws": 4 * stages + 1, "tolerance": 1e-6}
    found = conditional_equilibrium(game, start, features=feature, **given)
    first = jax.tree.map(lambda a: a[0], found.density)
    means = np.asarray(jax.vmap(feature)(first))
    alpha = np.sum(np.asarray(first.values) * np.asarray(found.control[0])[..., 0], axis=1) * start.grid.cell_volume
    return CubicSpline(means, -2 * alpha - means)


def target(
    depth: float = 2.5, common: float = 0.0, sigma: float = 1.2, reach: float | None = None, stages: int = 32
) -> GameEntry:
    """Players who want to be at A tanh of their own mean at T = 1, on a long circle: `Target`, as any game.

    Without a common noise there are three equilibria where A > 2, and one with any. The line is a circle of side 4r,
    where places beyond ±r go back to 0, which no player comes near: r is 5, or 8 as far as a common noise goes. The
    facts with one are found in so many stages, on a lattice of four times as many laws.
    """
    reach = reach or (8.0 if common else 5.0)
    circle = Torus(1, (4 * reach,))
    model = Model(circle, noise=Additive(sigma), common=Additive(common) if common else ())
    game = Game(model, _effort, eqx.Partial(_sought, depth, reach), horizon=1.0)
    start = Density.from_function(circle.grid(64), lambda x: jnp.exp(-((x[0] - 2 * reach) ** 2)))
    source = "after Delarue and Foguen Tchuendom, arXiv 1808.09137"
    if common:
        line = Target(lambda m: -depth * jnp.tanh(m[0]), 1.0, own=sigma, common=common)
        exact = np.asarray(expectation(line, line.aim, 0.0, np.array([0.5, 1.0])))
        solved = functools.cache(lambda: _aims(game, circle, eqx.Partial(_place, reach), stages))
        # Stages of order 2 of a u of the size A, which steepens at the rate A.
        error = (depth / stages) ** 2 * depth
        facts = {
            f"aim from {m:g}": Fact("u at time 0", float(u), source, lambda m=m: float(solved()(m)), error)
            for m, u in zip((0.5, 1.0), exact, strict=True)
        }
        return GameEntry(game, facts)
    from scipy.optimize import brentq

    upper = float(np.asarray(brentq(lambda m: m - depth / 2 * math.tanh(m), 1e-3, depth, xtol=1e-14)))

    @functools.cache
    def found():
        ends = (jax.tree.map(lambda a: a[-1], one.density) for one in equilibria(game, start, starts=2, steps=20))
        return sorted(float(end.integrate(eqx.Partial(_place, reach))) for end in ends)

    return GameEntry(
        game,
        {
            "equilibria": Fact("their number", 3.0, source, lambda: float(len(found())), 0.0),
            # Steps of order 2, dt = 1/20: 5 dt².
            "mean": Fact("m_T of the upper one", upper, source, lambda: found()[-1], 5 / 20**2),
        },
    )


def traders(
    impact: float = 1.0, kappa: float = 0.5, phi: float = 0.2, end: float = 0.5, sigma: float = 1.2, reach: float = 5.0
) -> GameEntry:
    """`trade_crowding` with an own noise up to T = 1, on a long circle as `target`: a game of controls as any other."""
    circle = Torus(1, (4 * reach,))
    held = eqx.Partial(_place, reach)
    running, last = eqx.Partial(_trading, kappa, phi, impact, held), eqx.Partial(_left, end, held)
    game = Game(Model(circle, noise=Additive(sigma)), running, last, horizon=1.0)
    start = Density.from_function(circle.grid(64), lambda x: jnp.exp(-((x[0] - 2 * reach - 1) ** 2)))
    rates, weights = _selling(kappa, phi, impact, kappa, end, 1.0)
    source = "after Cardaliaguet and Lehalle, arXiv 1610.09904"

    def mean():
        ends = jax.tree.map(lambda a: a[-1], equilibrium(game, start, steps=20).density)
        return float(ends.integrate(held))

    # Steps of order 2 at the rate A/κ, dt = 1/20.
    fact = Fact("E X_T from 1", float(np.real(weights @ np.exp(rates))), source, mean, (end / kappa / 20) ** 2)
    return GameEntry(game, {"mean": fact})


GAMES: dict[str, Callable[..., GameEntry]] = {
    "interbank": interbank,
    "trade_crowding": trade_crowding,
    "crowd_aversion": crowd_aversion,
    "congestion": congestion,
    "flocking": flocking,
    "target": target,
    "traders": traders,
    "clocks": clocks,
}
"""The constructors of named games by name."""
