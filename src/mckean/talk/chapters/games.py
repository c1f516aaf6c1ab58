"""Chapter: games of many players, with a common noise: banks, clocks, and a target that has three equilibria."""

from dataclasses import dataclass, field

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy import special, stats
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq

from mckean.catalogue.oscillators import order_parameter
from mckean.games import Game, conditional_law, equilibrium, exploitability, nash, play, regret, response
from mckean.interactions import kernels
from mckean.measures import Density, Gaussian
from mckean.models import Additive, Model
from mckean.paths import Brownian
from mckean.spaces import Euclidean, Torus
from mckean.statistics import Estimate
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series
from mckean.talk.parts import crowds, targets

_CFS = "Carmona, Fouque and Sun, arXiv 1308.2172"
_MATHIEU = "Mathieu's equation, by Hopf and Cole's transformation; Carmona, Cormier and Soner, arXiv 2210.12912"
_ROUNDING = "rounding, and the order 8 of the steps"
# a, q, ε, c of the banks, the horizon, and the shares of the own and of the common noise.
_A, _Q, _EPS, _C, _T, _RHO = 1.0, 0.5, 2.0, 0.3, 1.5, 0.4
_OWN = 1 - _RHO**2


@dataclass(frozen=True)
class Config:
    players: int = 10
    replicas: int = 8000
    steps: int = 60
    level: float = -0.7
    sizes: tuple[int, ...] = (4, 8, 16, 32, 64, 128)
    strengths: tuple[float, ...] = (0.4, 0.6, 0.8, 1.0, 1.4, 2.0, 3.0)
    nodes: int = 48
    aims: targets.Config = field(default_factory=targets.Config)
    named: crowds.Config = field(default_factory=crowds.Config)


def _banks() -> Game:
    model = Model(
        Euclidean(1),
        interaction=kernels.Quadratic(_A),
        noise=Additive(np.sqrt(_OWN)),
        common=Additive(_RHO),
    )

    def running(x, alpha, mu):
        gap = mu.mean - x
        return jnp.sum(alpha**2 / 2 - _Q * alpha * gap + _EPS / 2 * gap**2)

    return Game(model, running, lambda x, mu: _C / 2 * jnp.sum((mu.mean - x) ** 2), horizon=_T)


def _backwards(rate, end):
    """y(t) of −y′ = rate(y), y(T) = end, by scipy."""
    run = solve_ivp(lambda s, y: rate(y), (0, _T), end, "DOP853", dense_output=True, rtol=1e-13, atol=1e-15)
    return lambda t: run.sol(_T - t)


def _eta(share: float):
    return _backwards(lambda y: -2 * (_A + _Q) * y - (1 - share**2) * y**2 + _EPS - _Q**2, [_C])


def _regret(players: int) -> float:
    """½σ²(1 − ρ²)(1 − 1/N)∫(Q − P)dt of the limit policy among N."""
    share = 1 / players

    def rate(y):
        eta, P, Q, _ = y
        phi = _Q + eta
        dP = -_EPS + 2 * (_A + phi * share) * P + (_Q + (1 - share) * P) ** 2
        dQ = -(phi**2 - 2 * _Q * phi + _EPS) + 2 * (_A + phi) * Q
        return np.array([-2 * (_A + _Q) * eta - eta**2 + _EPS - _Q**2, -dP, -dQ, Q - P])

    return 0.5 * _OWN * (1 - share) * float(_backwards(rate, [_C, _C, _C, 0.0])(0)[3])


def run(config: Config, key, progress) -> Result:
    game, keys = _banks(), jax.random.split(key, 3)
    limit, ours = nash(game, steps=config.steps), nash(game, config.players, steps=config.steps)
    progress(0.15)
    best = response(game, limit, config.players)
    played = play(game, limit, Gaussian(0.0, 0.0), config.players, key=keys[0], replicas=config.replicas, best=best)
    progress(0.4)
    law = conditional_law(game, limit, Gaussian(0.0, 0.2), path := Brownian(keys[1]))
    regrets = np.array([float(regret(game, limit, Gaussian(0.0, 0.0), n)) for n in config.sizes])
    progress(0.5)
    clocks, synchrony = _clocks(config)
    progress(0.8)
    aims, selection = targets.run(config.aims, keys[2])
    claims = [
        *_rule(ours, config.players),
        *_given_the_environment(law, path, config),
        _event(played["means"], config),
        *_costs(played, regrets, config),
        *clocks,
        *aims,
        *crowds.run(config.named),
    ]
    panels = [selection, synchrony, _falling(regrets, played["gap"], config)]
    caption = (
        "Left: the mean at the end against that at the start; without a common noise an S of three equilibria, with "
        "one a single curve, which jumps as the noise vanishes. Middle: clocks that pay to be apart meet above a "
        "threshold of half that of clocks that are pulled: they look ahead. Right: what one of N banks gains by "
        "leaving the rule of infinitely many."
    )
    return Result(claims, [Figure(caption, panels)])


def _rule(ours, players: int) -> list[Claim]:
    share = 1 / players
    eta = lambda s: float(_eta(s)(0)[0])  # noqa: E731
    return [
        Claim(
            statement=f"The rule of {players} banks is $\\alpha = (q + (1 - 1/N)\\eta)(\\bar X - X)$; $\\eta(0)$",
            predicted=eta(share),
            measured=(float(ours.gain[0, 0, 0]) - _Q) / (1 - share),
            tolerance=1e-10,
            origin=_ROUNDING,
            excludes=Rival("η of infinitely many banks", eta(0.0)),
            reference=_CFS,
        )
    ]


def _given_the_environment(law, path: Brownian, config: Config) -> list[Claim]:
    moves = np.asarray(path.environment.record(config.steps, _T / config.steps, 1).increments)[:, 0]
    mean = np.asarray(law.observed["mean"])[1:, 0]
    eta = _eta(0.0)

    def variance(noise):
        rate = lambda t, v: -2 * (_A + _Q + eta(t)[0]) * v + noise  # noqa: E731
        return float(solve_ivp(rate, (0, _T), [0.2], "DOP853", rtol=1e-13, atol=1e-15).y[0, -1])

    return [
        Claim(
            statement="Given $B^0$ the mean of the banks is $m_0 + \\rho\\sigma B^0_t$: largest error along a path",
            predicted=0.0,
            measured=float(np.abs(mean - _RHO * np.cumsum(moves)).max()),
            tolerance=1e-12,
            origin=_ROUNDING,
            excludes=Rival("all of the noise moves the mean", float(np.abs((1 - _RHO) * np.cumsum(moves)).max())),
            reference=_CFS,
        ),
        Claim(
            statement="Given $B^0$ their variance solves $v' = -2(a + q + \\eta)v + \\sigma^2(1 - \\rho^2)$; $v(T)$",
            predicted=variance(_OWN),
            measured=float(law.final.covariance[0, 0]),
            tolerance=1e-10,
            origin=_ROUNDING,
            excludes=Rival("the variance without the environment, σ² for σ²(1 − ρ²)", variance(1.0)),
            reference=_CFS,
        ),
    ]


def _event(means, config: Config) -> Claim:
    """Between two times a Brownian mean is a bridge, whose probability of a passage is known: none is lost."""
    path, dt = np.asarray(means)[:, :, 0], _T / config.steps
    rate = _RHO**2 + _OWN / config.players
    left = np.maximum(path - config.level, 0.0)
    missed = np.prod(1 - np.exp(-2 * left[:, :-1] * left[:, 1:] / (rate * dt)), axis=1)
    shares = 1 - missed
    passage = lambda rate: 2 * float(stats.norm.cdf(config.level / np.sqrt(rate * _T)))  # noqa: E731
    return Claim(
        statement=f"The mean of {config.players} banks falls below $D = {config.level:g}$ before $T$ with probability "
        "$2\\Phi(D/\\sigma\\sqrt{T(\\rho^2 + (1 - \\rho^2)/N)})$",
        predicted=passage(rate),
        measured=Estimate(shares.mean(), shares.std(ddof=1) / np.sqrt(shares.size), shares.size - 1),
        excludes=Rival("independent banks", passage(1 / config.players)),
        reference=_CFS,
    )


def _costs(played, regrets, config: Config) -> list[Claim]:
    n, eta = config.players, _eta(0.0)
    # Q of `_regret` and the constant: what all pay where all play the limit's rule.
    phi = lambda t: _Q + eta(t)[0]  # noqa: E731
    paid = lambda t, Q: 2 * (_A + phi(t)) * Q - (phi(t) ** 2 - 2 * _Q * phi(t) + _EPS)  # noqa: E731
    Q = solve_ivp(lambda s, y: -paid(_T - s, y), (0, _T), [_C], "DOP853", dense_output=True, rtol=1e-12, atol=1e-14)
    whole = 0.5 * _OWN * (1 - 1 / n) * quad(lambda s: Q.sol(s)[0], 0, _T, epsabs=1e-12)[0]
    exact, dt = np.array([_regret(size) for size in config.sizes]), _T / config.steps
    slope = np.log(regrets[-1] / regrets[-2]) / np.log(config.sizes[-1] / config.sizes[-2])
    return [
        Claim(
            statement=f"{n} banks with the rule of infinitely many pay "
            "$\\frac12\\sigma^2(1-\\rho^2)(1-\\frac1N)\\int Q\\,dt$",
            predicted=whole,
            measured=played["cost"],
            tolerance=whole * (2 * (_A + _Q + 1) * dt) ** 2 / 6,
            origin="Heun's order 2 in dt, at twice the rate a + φ",
            excludes=Rival("σ² in the place of σ²(1 − ρ²)", whole / _OWN),
            reference=_CFS,
        ),
        Claim(
            statement=f"One of {n} banks would gain by leaving it, along their plays",
            predicted=_regret(n),
            measured=played["gap"],
            tolerance=_regret(n) * (2 * (_A + _Q + 1) * dt) ** 2 / 6,
            origin="Heun's order 2 in dt, at twice the rate a + φ",
            excludes=Rival("a regret of order 1/N, with the constant of N = 100", 10 * _regret(100)),
            reference="Carmona and Delarue, Probabilistic Theory of Mean Field Games (2018)",
        ),
        Claim(
            statement="The regret is that of the scalar equations of $P$ and $Q$: largest relative error over N",
            predicted=0.0,
            measured=float(np.abs(regrets / exact - 1).max()),
            tolerance=1e-7,
            origin="rounding relative to a small difference, in the scalar equations",
            excludes=Rival("the regret of the next N", float(np.abs(regrets[1:] / exact[:-1] - 1).max())),
            reference=_CFS,
        ),
        Claim(
            statement=f"The regret falls as $N^{{-2}}$: exponent from {config.sizes[-2]} to {config.sizes[-1]} banks",
            predicted=-2.0,
            measured=float(slope),
            tolerance=2 / config.sizes[-2],
            origin="the next term, of order 1/N",
            excludes=Rival("N⁻¹", -1.0),
            reference="Carmona and Delarue, Probabilistic Theory of Mean Field Games (2018)",
        ),
    ]


def _meeting(strength, x, alpha, mu):
    return jnp.sum(alpha**2) / 2 + strength * (1 - mu.integrate(lambda y: jnp.cos(x[0] - y[0])))


def _clocks(config: Config) -> tuple[list[Claim], Panel]:
    """σ = 1: Mathieu's equation of q = 4κr, r = −½a₀′(q), threshold κ = ½."""
    circle = Torus(1)
    start = Density.from_function(circle.grid(config.nodes), lambda x: 1 + 0.5 * jnp.cos(x[0]))
    model = Model(circle, noise=Additive(1.0), common=Additive(0.5))
    game_of = lambda k: Game(model, eqx.Partial(_meeting, jnp.asarray(k, float)))  # noqa: E731
    found = [equilibrium(game_of(k), start, picard=80) for k in config.strengths]
    orders = np.array([abs(complex(e.density.integrate(lambda x: jnp.exp(1j * x[0])))) for e in found])
    exact = np.array([_mathieu(k) for k in config.strengths])
    pulled = np.array([order_parameter(2 * k, 1.0) for k in config.strengths])
    gain, error = exploitability(game_of(config.strengths[-1]), found[-1])
    idle = eqx.tree_at(lambda e: e.control, found[-1], 0.9 * found[-1].control)
    claims = [
        Claim(
            statement="Clocks that pay $\\frac12\\alpha^2 + \\kappa(1 - r\\cos x)$ have "
            "$r = -\\frac12a_0'(4\\kappa r)$ of Mathieu's equation, below and above the threshold "
            "$\\kappa = \\frac12$: largest error",
            predicted=0.0,
            measured=float(np.abs(orders - exact).max()),
            tolerance=1e-8,
            origin="the difference quotient of a₀, of order h² = 10⁻⁸",
            excludes=Rival("clocks that are pulled with the same strength", float(np.abs(pulled - exact).max())),
            reference=_MATHIEU,
        ),
        Claim(
            statement="No clock gains by leaving its control: the exploitability",
            predicted=1e-8,
            measured=gain,
            tolerance=error,
            origin="the change on a finer grid",
            relation="at most",
            excludes=Rival("a control that is a tenth weaker", exploitability(game_of(config.strengths[-1]), idle)[0]),
            reference=_MATHIEU,
        ),
    ]
    dense = np.linspace(0.3, config.strengths[-1], 80)
    series = [
        Series(dense, [_mathieu(k) for k in dense], "game, Mathieu"),
        Series(config.strengths, orders, "game, solved", kind="points"),
        Series(dense, [order_parameter(2 * k, 1.0) for k in dense], "pulled, $\\beta = 2$", kind="dashed"),
    ]
    return claims, Panel("strength $\\kappa$ (energy)", "order $r$", series, "Clocks", vertical=((0.5, "threshold"),))


def _mathieu(strength: float) -> float:
    h = 1e-4
    slope = lambda q: float(special.mathieu_a(0, q + h) - special.mathieu_a(0, q - h)) / (2 * h)  # noqa: E731
    off = lambda r: r + slope(4 * strength * r) / 2  # noqa: E731
    return float(np.asarray(brentq(off, 1e-3, 1.0, xtol=1e-13))) if off(1e-3) < 0 else 0.0


def _falling(regrets, gap: Estimate, config: Config) -> Panel:
    sizes = np.array(config.sizes)
    series = [
        Series(sizes, regrets, "best response", kind="points"),
        Series(sizes, [_regret(n) for n in config.sizes], "equations of P and Q"),
        Series([config.players], [float(gap)], "along plays", error=[gap.stderr], kind="points"),
        Series(sizes, regrets[-1] * (sizes[-1] / sizes) ** 2, "$N^{-2}$", kind="dashed"),
    ]
    return Panel("banks $N$", "regret (cost)", series, "Leaving the rule", xscale="log", yscale="log")


CHAPTER = Chapter(
    name="games",
    title="Games: a common noise chooses the equilibrium",
    statement=(
        "Each player now steers its own motion, $dX = (v(X, \\mu) + \\alpha)\\,dt + \\sigma\\,dB + "
        "\\sigma_0\\,dB^0$, to the least cost $E[\\int_0^T L(X, \\alpha, \\mu)\\,dt + g(X_T, \\mu_T)]$, and "
        "$\\mu$ is the law of all given $B^0$. In an equilibrium none gains by a change of its own. Where costs are "
        "quadratic, a Riccati equation gives the rule of $N$ players and of infinitely many, with a common noise or "
        "without. On the circle clocks that pay to be apart meet above a threshold. And where without a common noise "
        "there are three equilibria, with one there is one: it solves Burgers' equation, whose shock is what the noise "
        "smooths."
    ),
    what=lambda c: (
        f"{c.replicas} plays of {c.players} banks in environments of their own, {c.steps} steps up to T = {_T:g}; "
        f"clocks on {c.nodes} nodes at {len(c.strengths)} strengths, in the frame of their common noise; "
        f"{c.aims.replicas} plays of {c.aims.players} players with a target; the same game as any other, on "
        f"{4 * c.named.stages + 1} laws in {c.named.stages} stages; {c.named.cells} cells between walls."
    ),
    run=run,
    config=Config(),
    quick=Config(
        replicas=1000,
        sizes=(8, 16, 32, 64),
        strengths=(0.4, 0.6, 1.0, 2.0),
        nodes=32,
        aims=targets.Config(players=50, replicas=300, steps=20),
        named=crowds.Config(stages=12, cells=12, steps=20),
    ),
    references=(
        "R. Carmona, J.-P. Fouque and L.-H. Sun, Commun. Math. Sci. 13, 2015, arXiv 1308.2172.",
        "F. Delarue and R. Foguen Tchuendom, Stoch. Process. Appl. 130, 2020, arXiv 1808.09137.",
        "J.-M. Lasry and P.-L. Lions, Jpn. J. Math. 2, 2007.",
    ),
)
