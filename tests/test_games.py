"""Games on R^d against equations of their own: Riccati's in one dimension, Burgers', and players."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq

import mckean as mk
from mckean import games

KEY = jax.random.key(0)
REST = mk.Gaussian(0.0, 0.0)
BANK = {"a": 1.0, "q": 0.5, "eps": 2.0, "c": 0.3}
OTHER = {"a": 0.3, "q": 1.0, "eps": 5.0, "c": 1.0}
TIME, OWN, SHARED = 1.5, math.sqrt(0.84), 0.4


def lending(q, eps, x, alpha, mu):
    gap = mu.mean - x
    return jnp.sum(alpha**2 / 2 - q * alpha * gap + eps / 2 * gap**2)


def owing(c, x, mu):
    return c / 2 * jnp.sum((mu.mean - x) ** 2)


def bank(a, q, eps, c, shared=SHARED):
    common = mk.Additive(shared) if shared else ()
    model = mk.Model(mk.Euclidean(1), interaction=mk.kernels.Quadratic(a), noise=mk.Additive(OWN), common=common)
    q, eps, c = (jnp.asarray(v, float) for v in (q, eps, c))
    return games.Game(model, eqx.Partial(lending, q, eps), eqx.Partial(owing, c), horizon=TIME)


def backwards(rate, end):
    """y(t) of −y′ = rate(y), y(T) = end, by scipy."""
    run = solve_ivp(lambda s, y: rate(y), (0, TIME), np.atleast_1d(end), "DOP853", None, True, rtol=1e-13, atol=1e-15)
    return lambda t: run.sol(TIME - t)


def eta(a, q, eps, c, share, open_loop=False):
    """FACTS: Carmona, Fouque and Sun's equation, in closed or open loop."""
    square = 1 - share if open_loop else 1 - share**2
    linear = 2 * (a + q) - (q * share if open_loop else 0)
    return backwards(lambda y: -linear * y - square * y**2 + eps - q**2, c)


@pytest.mark.parametrize("given", [BANK, OTHER], ids=["paper", "other"])
@pytest.mark.parametrize(("players", "open_loop"), [(10, False), (None, False), (10, True)])
def test_banks_follow_the_equation_of_their_own(given, players, open_loop):
    share = 1 / players if players else 0.0
    policy = games.nash(bank(**given), players, open_loop=open_loop)
    for place in (0, 77, -1):
        exact = eta(**given, share=share, open_loop=open_loop)(float(policy.times[place]))[0]
        gain = given["q"] + (1 - share) * exact
        np.testing.assert_allclose(policy.gain[place, 0], [gain, -gain, 0.0], atol=1e-10)
    # The nearest wrong theory: the limit's η for N players.
    assert players is None or abs(eta(**given, share=share)(0)[0] - eta(**given, share=0.0)(0)[0]) > 1e-4


@pytest.mark.parametrize(
    ("players", "open_loop", "figure"),
    [(10, False, 0.5000962698), (None, False, 0.4994782255), (10, True, 0.5122763768)],
)
def test_banks_of_the_paper(players, open_loop, figure):
    policy = games.nash(bank(**BANK), players, open_loop=open_loop)
    share = 1 / players if players else 0.0
    assert (float(policy.gain[0, 0, 0]) - 0.5) / (1 - share) == pytest.approx(figure, abs=6e-11)


def test_a_bank_expects_to_pay_the_integral_of_eta():
    """V = ½η(m − x)² + s, −s′ = ½σ²(1 − ρ²)(1 − 1/N)η: with all banks at one point the cost is s(0)."""
    for players, rest in ((10, 0.9), (None, 1.0)):
        policy = games.nash(bank(**BANK), players)
        along = eta(**BANK, share=1 - rest)
        exact = 0.5 * 0.84 * rest * quad(lambda t, along=along: along(t)[0], 0, TIME, epsabs=1e-13)[0]
        assert float(policy.cost(REST)) == pytest.approx(exact, abs=1e-11)
    spread = mk.Gaussian(0.4, 0.3)
    half = eta(**BANK, share=0.0)(0)[0] / 2
    assert float(policy.cost(spread) - policy.cost(REST)) == pytest.approx(half * 0.3, abs=1e-11)


TURN = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]


def turned_lending(x, alpha, mu):
    gap, alpha = TURN @ (mu.mean - x), TURN @ alpha
    return jnp.sum(alpha**2 / 2 - jnp.asarray([0.5, 1.0, 0.5]) * alpha * gap + jnp.asarray([1.0, 2.5, 0.7]) * gap**2)


def test_three_dimensions_are_three_banks_turned():
    model = mk.Model(
        mk.Euclidean(3),
        drift=lambda x, mu: TURN.T @ (jnp.asarray([1.0, 0.3, 0.0]) * (TURN @ (mu.mean - x))),
        noise=mk.Additive(OWN),
        common=mk.Additive(np.array([[0.3], [0.1], [-0.2]])),
    )
    game = games.Game(model, turned_lending, horizon=TIME)
    each = [
        {"a": 1.0, "q": 0.5, "eps": 2.0, "c": 0.0},
        {"a": 0.3, "q": 1.0, "eps": 5.0, "c": 0.0},
        {"a": 0.0, "q": 0.5, "eps": 1.4, "c": 0.0},
    ]
    for players, share in ((None, 0.0), (4, 0.25)):
        policy = games.nash(game, players, steps=60)
        gains = [one["q"] + (1 - share) * eta(**one, share=share)(0)[0] for one in each]
        whole = TURN.T @ np.diag(gains) @ TURN
        np.testing.assert_allclose(policy.gain[0], np.hstack([whole, -whole, np.zeros((3, 1))]), atol=1e-10)
    policy, path = games.nash(game, steps=60), mk.Brownian(KEY)
    law = games.conditional_law(game, policy, mk.Gaussian(np.ones(3), np.eye(3)), path)
    # The mean is not steered: it moves by the environment alone.
    moved = np.cumsum(np.asarray(path.environment.record(60, TIME / 60, 1).increments))
    np.testing.assert_allclose(law.observed["mean"][1:, 0], 1 + 0.3 * moved, atol=1e-12)
    spreads = []
    for one in each:
        along = eta(**one, share=0.0)
        rate = lambda t, v, one=one, along=along: -2 * (one["a"] + one["q"] + along(t)[0]) * v + 0.84  # noqa: E731
        spreads.append(solve_ivp(rate, (0, TIME), [1.0], "DOP853", rtol=1e-12, atol=1e-14).y[0, -1])
    np.testing.assert_allclose(law.final.covariance, TURN.T @ np.diag(spreads) @ TURN, atol=1e-10)


def regret_of_banks(players, a, q, eps, c):
    """FACTS 10: ½σ²(1 − ρ²)(1 − 1/N)∫(Q − P) dt, integrated with P, Q and η at once."""
    share = 1 / players

    def rate(y):
        h, P, Q, _ = y
        phi = q + h
        dP = -eps + 2 * (a + phi * share) * P + (q + (1 - share) * P) ** 2
        dQ = -(phi**2 - 2 * q * phi + eps) + 2 * (a + phi) * Q
        return np.array([-2 * (a + q) * h - h**2 + eps - q**2, -dP, -dQ, Q - P])

    return 0.5 * 0.84 * (1 - share) * backwards(rate, [c, c, c, 0.0])(0)[3]


def test_the_regret_of_the_limit_policy_falls_with_the_square_of_n():
    for given in (BANK, OTHER):
        game = bank(**given)
        policy = games.nash(game)
        found = {n: float(games.regret(game, policy, REST, n)) for n in (3, 10, 100)}
        for n in (3, 10):
            assert found[n] == pytest.approx(regret_of_banks(n, **given), rel=1e-8)
        # Of order N⁻², and not N⁻¹; the next term is of order 1/N relative to it.
        assert math.log10(found[10] / found[100]) == pytest.approx(2, abs=0.15)
    game = bank(**BANK)
    policy = games.nash(game)
    for n, figure in ((10, 2.590431768e-4), (100, 2.806267793e-6)):
        assert float(games.regret(game, policy, REST, n)) == pytest.approx(figure, rel=1e-9)
    assert float(games.regret(game, policy, REST)) == pytest.approx(0.0, abs=1e-20)
    assert float(games.regret(game, games.nash(game, 10), REST, 10)) == pytest.approx(0.0, abs=1e-20)


def test_players_pay_and_regret_what_the_equations_say():
    game = bank(**BANK)
    policy = games.nash(game, steps=50)
    best = games.response(game, policy, 3)
    kept = games.play(game, policy, REST, 3, key=KEY, replicas=1500, best=best)
    left = games.play(game, policy, REST, 3, key=jax.random.key(1), replicas=1500, first=best)
    lost, least = float(games.regret(game, policy, REST, 3)), float(best.cost(REST))
    # Heun's means are wrong by O(dt²), dt = .03: below a tenth of a standard error of each.
    assert abs(float(kept["gap"]) - lost) < 4 * kept["gap"].stderr
    assert kept["gap"].stderr < lost / 20
    assert abs(float(kept["cost"]) - least - lost) < 4 * kept["cost"].stderr
    assert abs(float(left["cost"]) - least) < 4 * left["cost"].stderr


def test_particles_regret_what_the_equations_say_with_its_slope():
    game = bank(**BANK)
    policy, sizes = games.nash(game, steps=30), [3, 100]
    found = games.regret_rate(game, policy, REST, sizes=sizes, replicas=300, key=KEY)
    exact = np.array([regret_of_banks(n, **BANK) for n in sizes])
    # Heun's means are wrong by (2(a + q + η)dt)²/6 = .6 % at dt = .05, below a standard error of each.
    assert np.all(np.abs(found.errors.value - exact) < 4 * found.errors.stderr)
    assert np.all(found.errors.stderr < exact / 20)
    slope = math.log(exact[1] / exact[0]) / math.log(100 / 3)
    assert abs(found.slope.value - slope) < 4 * found.slope.stderr
    # The nearest wrong theory: a regret of order 1/N.
    assert found.slope.value + 4 * found.slope.stderr < -1.5


def trading(kappa, phi, alpha, x, v, mu, nu):
    return jnp.sum(kappa * v**2 + phi * x**2 - alpha * x * nu.mean)


def by_exponentials(kappa, phi, impact, end, slope):
    """E of 2κE″ + αE′ − 2φE = 0, E(0) = 1, slope E′(T) + end E(T) = 0: E and E′ as functions of t, T = 5."""
    rates = np.roots([2 * kappa, impact, -2 * phi])
    last = (slope * rates + end) * np.exp(5.0 * rates)
    weights = np.linalg.solve([[1.0, 1.0], last], [1.0, 0.0])
    return lambda t: weights @ np.exp(rates * t), lambda t: (weights * rates) @ np.exp(rates * t)


@pytest.mark.parametrize(("impact", "figure"), [(0.4, 1.09256440220), (0.8, None)])
def test_the_price_of_anarchy_of_trade_crowding(impact, figure):
    kappa, phi, end = 0.2, 0.1, 2.5
    held = lambda x, mu: end * jnp.sum(x**2)  # noqa: E731
    cost = eqx.Partial(trading, *(jnp.asarray(v) for v in (kappa, phi, impact)))
    game = games.Game(mk.Model(mk.Euclidean(1)), cost, held, horizon=5.0)
    start = mk.Gaussian(1.0, 0.0)

    def paid(E, rate):
        total = quad(lambda t: kappa * rate(t) ** 2 + phi * E(t) ** 2 - impact * E(t) * rate(t), 0, 5, epsabs=1e-13)
        return total[0] + end * E(5.0) ** 2

    exact = [
        paid(*by_exponentials(kappa, phi, impact, end, kappa)),
        paid(*by_exponentials(kappa, phi, 0.0, 2 * end - impact, 2 * kappa)),
    ]
    found = [float(games.nash(game).cost(start)), float(games.planner(game).cost(start))]
    np.testing.assert_allclose(found, exact, rtol=1e-10)
    assert found[0] / found[1] > 1.01
    assert figure is None or found[0] / found[1] == pytest.approx(figure, abs=6e-12)


def test_the_equilibrium_of_banks_is_the_planners():
    game = bank(**BANK)
    assert float(games.planner(game).cost(REST)) == pytest.approx(float(games.nash(game).cost(REST)), rel=1e-12)


def test_a_cost_has_a_derivative():
    """s(0) = ½σ²(1 − ρ²)∫η dt as a function of ε, by differences of scipy's solution."""

    def paid(eps):
        model = mk.Model(mk.Euclidean(1), noise=mk.Additive(OWN))
        game = games.Game(model, eqx.Partial(lending, jnp.asarray(0.5), eps), horizon=TIME)
        return games.nash(game, steps=20).cost(REST)

    def exact(eps):
        along = eta(0.0, 0.5, eps, 0.0, 0.0)
        return 0.42 * quad(lambda t: along(t)[0], 0, TIME, epsabs=1e-13)[0]

    cost, slope = jax.jvp(paid, (jnp.asarray(2.0),), (jnp.asarray(1.0),))
    assert float(cost) == pytest.approx(exact(2.0), abs=1e-11)
    assert float(slope) == pytest.approx((exact(2.0 + 1e-4) - exact(2.0 - 1e-4)) / 2e-4, abs=1e-8)


def test_the_time_of_a_blow_up_is_found():
    """P′ = P² + w² backwards from 0 is −w tan w(T − t): a pole at T − π/2w."""
    restless = lambda x, a, mu: jnp.sum(a**2 - 2.25 * x**2) / 2  # noqa: E731
    game = lambda horizon: games.Game(mk.Model(mk.Euclidean(1)), restless, horizon=horizon)  # noqa: E731
    with pytest.raises(ValueError, match=r"blows up at t = 0\.9528024488"):
        games.nash(game(2.0))
    policy = games.nash(game(1.0))
    assert float(policy.value[0, 0, 0]) == pytest.approx(-1.5 * math.tan(1.5), rel=1e-10)
    assert 2 - math.pi / 3 == pytest.approx(0.9528024488, abs=1e-10)


def fall(depth, m):
    return -depth * jnp.tanh(m[0])


def target(depth=2.0, horizon=3.0, common=0.0):
    return games.Target(eqx.Partial(fall, jnp.asarray(depth, float)), horizon, common=common)


def test_three_equilibria_without_a_common_noise():
    """m_T = (m₀ − T g(m_T))/(1 + T): from m₀ = 0 three where AT/(1 + T) > 1, else one."""
    assert games.equilibria(target(), 0.0) == pytest.approx([-1.28783945496, 0.0, 1.28783945496], abs=6e-12)
    assert games.equilibria(target(1.3), 0.0) == pytest.approx([0.0], abs=1e-12)
    steep = brentq(lambda m: m - 0.75 * 3 * math.tanh(m) - 0.05, 1.0, 4.0, xtol=1e-14)
    found = games.equilibria(target(3.0), 0.2)
    assert len(found) == 3
    assert found[-1] == pytest.approx(steep, abs=1e-12)


def test_a_common_noise_leaves_one():
    game, means = target(common=1.0), 4 * np.array([0.1, 0.5, 1.0])
    exact = np.array([-0.3239004215, -1.3307598357, -1.8201073354])
    np.testing.assert_allclose(games.expectation(game, game.aim, 0.0, means), exact, atol=1e-10)
    assert float(games.expectation(game, game.aim, 3.0, 0.4)) == pytest.approx(-2 * math.tanh(0.4), abs=1e-12)
    # σ₀ → 0 selects: from m₀ > 0 the upper of the three, though the lower two are equilibria as well.
    small = target(common=0.05)
    end = float(games.expectation(small, lambda m: m[0], 0.0, 0.2))
    assert end == pytest.approx(games.equilibria(target(), 0.2)[-1], abs=0.01)


def test_the_solver_of_the_aim_is_of_order_four():
    game, means = target(common=1.0), 4 * np.array([0.1, 0.5, 1.0])
    exact = np.asarray(games.expectation(game, game.aim, 0.0, means))
    errors = [np.abs(np.asarray(games.aim(game, 0.0, means, cells=n)) - exact).max() for n in (320, 640)]
    assert errors[1] < 1e-5
    assert 3.3 < math.log2(errors[0] / errors[1]) < 4.7
