"""Games on a torus against Mathieu's equation, manufactured solutions and linear waves."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg, special
from scipy.optimize import brentq

import mckean as mk
from mckean import games

CIRCLE = mk.Torus(1)
RING = CIRCLE.grid(48)
WAVE = mk.Density.from_function(RING, lambda x: 1 + 0.5 * jnp.cos(x[0]))


def meeting(strength, x, alpha, mu):
    near = mu.integrate(lambda y: jnp.cos(x[0] - y[0]))
    return jnp.sum(alpha**2) / 2 + strength * (1 - near)


def clocks(strength, sigma, discount=0.0, common=()):
    model = mk.Model(CIRCLE, noise=mk.Additive(sigma), common=common)
    return games.Game(model, eqx.Partial(meeting, jnp.asarray(strength, float)), discount=discount)


def order(found):
    return abs(complex(found.density.integrate(lambda x: jnp.exp(1j * x[0]))))


@pytest.mark.parametrize(("strength", "sigma", "figures"), [(1.0, 1.0, (0.6795355005, 0.6942539126)), (0.9, 1.1, None)])
def test_clocks_in_the_long_run_are_mathieus(strength, sigma, figures):
    """−½σ⁴φ″ + κ(1 − r cos x)φ = λφ, ρ = φ²: with x = 2y Mathieu's equation of q = 4κr/σ⁴, and r = −½a₀′(q)."""
    slope = lambda q: (special.mathieu_a(0, q + 1e-4) - special.mathieu_a(0, q - 1e-4)) / 2e-4  # noqa: E731
    parameter = lambda r: 4 * strength * r / sigma**4  # noqa: E731
    r = brentq(lambda r: r + slope(parameter(r)) / 2, 0.1, 0.99, xtol=1e-13)
    found = games.equilibrium(clocks(strength, sigma), WAVE)
    assert order(found) == pytest.approx(r, abs=2e-8)
    assert float(found.cost) == pytest.approx(strength + sigma**4 / 8 * special.mathieu_a(0, parameter(r)), abs=2e-8)
    gain, error = games.exploitability(clocks(strength, sigma), found)
    assert abs(gain) <= 1e-10 + error
    assert error < 1e-10
    if figures:
        assert (order(found), float(found.cost)) == pytest.approx(figures, abs=1e-9)
        single = mk.Density(RING, WAVE.values.astype(jnp.float32))
        assert order(games.equilibrium(clocks(strength, sigma), single)) == pytest.approx(r, abs=2e-8)


def test_clocks_with_a_discount_and_a_common_noise():
    """FACTS: r at b = .5, σ = 1, κ = 2; below κ_c = bσ² + σ⁴/2 = 1 the clocks do not meet. The noise turns them."""
    for common in ((), mk.Additive(0.7)):
        game = clocks(2.0, 1.0, 0.5, common)
        found = games.equilibrium(game, WAVE)
        assert order(found) == pytest.approx(0.7291034255, abs=1e-9)
    apart = games.equilibrium(clocks(0.9, 1.0, 0.5), WAVE, picard=60)
    assert order(apart) < 1e-9
    # The nearest wrong control gains by a change: a tenth less than the best.
    lazy = eqx.tree_at(lambda e: e.control, found, 0.9 * found.control)
    gain, error = games.exploitability(clocks(2.0, 1.0, 0.5), lazy)
    assert gain > 1e-3 > error


def test_a_game_with_a_local_cost_has_its_manufactured_solution():
    """V = 2ν²a²sin²x − 2a(1 + ν²)cos x and log m: m = e^{2a cos x}/2πI₀(2a), λ = −log 2πI₀(2a), u = −2νa cos x."""
    a, nu = 0.6, 0.5

    def crowded(x, alpha, mu):
        spectrum = jnp.fft.fft(mu.values) / mu.values.size
        wave = jnp.fft.fftfreq(mu.values.size, 1 / mu.values.size)
        m = jnp.real(jnp.sum(spectrum * jnp.exp(1j * wave * x[0])))
        bowl = 2 * nu**2 * a**2 * jnp.sin(x[0]) ** 2 - 2 * a * (1 + nu**2) * jnp.cos(x[0])
        return jnp.sum(alpha**2) / 2 + bowl + jnp.log(m)

    game = games.Game(mk.Model(CIRCLE, noise=mk.Additive(math.sqrt(2 * nu))), crowded)
    found = games.equilibrium(game, WAVE)
    x = RING.nodes[:, 0]
    exact = np.exp(2 * a * np.cos(x)) / (2 * np.pi * special.i0(2 * a))
    np.testing.assert_allclose(found.density.values, exact, atol=1e-11)
    np.testing.assert_allclose(found.value, -2 * nu * a * np.cos(x), atol=1e-11)
    assert float(found.cost) == pytest.approx(-math.log(2 * np.pi * special.i0(2 * a)), abs=1e-11)


def turning(strength, x, alpha, mu):
    c, s = mu.integrate(lambda y: jnp.stack([jnp.cos(y[0]), jnp.sin(y[0])]))
    return jnp.sum(alpha**2) / 2 + strength * (1 - c * jnp.cos(x[0]) - s * jnp.sin(x[0]))


def flow(strength=0.6, discount=0.3, horizon=2.0, **given):
    model = mk.Model(CIRCLE, noise=mk.Additive(1.0), **given)
    return games.Game(model, eqx.Partial(turning, jnp.asarray(strength)), horizon=horizon, discount=discount)


def test_small_waves_up_to_a_horizon_follow_the_linear_equations():
    """ρ = (1 + 2r cos x)/2π, u = w cos x: r′ = −νr − w/2, w′ = (ν + δ)w + κr, w(T) = 0, by the exponential of a matrix.

    What is left out is of order r², 1e-8 of r.
    """
    grid, small = CIRCLE.grid(16), 1e-4
    start = mk.Density.from_function(grid, lambda x: 1 + 2 * small * jnp.cos(x[0]))
    whole = linalg.expm(2.0 * np.array([[-0.5, -0.5], [0.6, 0.8]]))
    exact = whole[0, 0] - whole[0, 1] * whole[1, 0] / whole[1, 1]
    errors = []
    for steps in (20, 40):
        found = games.equilibrium(flow(), start, steps=steps, tolerance=1e-13)
        end = jnp.abs(jnp.sum(found.density.values[-1] * jnp.exp(1j * grid.nodes[:, 0]))) * grid.cell_volume
        errors.append(abs(float(end) / small - exact))
    assert errors[1] < 2e-5
    assert 1.8 < math.log2(errors[0] / errors[1]) < 2.2
    # The nearest wrong theory: players who do not look ahead.
    assert abs(math.exp(-1.0) - exact) > 0.1


def test_no_player_gains_by_leaving_an_equilibrium_up_to_a_horizon():
    game = flow(2.0, 0.0, common=mk.Additive(0.5))
    found = games.equilibrium(game, mk.Density.from_function(CIRCLE.grid(32), lambda x: 1 + 0.5 * jnp.cos(x[0])))
    gain, error = games.exploitability(game, found)
    assert abs(gain) < 1e-9 + error
    assert error < 1e-9
    lazy = eqx.tree_at(lambda e: e.control, found, 0.9 * found.control)
    gain, error = games.exploitability(game, lazy)
    assert gain > 1e-3 > error
    mass = jnp.sum(found.density.values, axis=1) * CIRCLE.grid(32).cell_volume
    np.testing.assert_allclose(mass, 1.0, atol=1e-12)


def test_n_clocks_pay_less_than_infinitely_many_by_their_own_weight():
    """E(1/N)Σcos(x_i − x_j) = 1/N + (1 − 1/N)r²: a cost below the limit's by (κ/N)∫(1 − r²)dt, in any environment."""
    game = flow(2.0, 0.0, common=mk.Additive(0.5))
    start = mk.Density.from_function(CIRCLE.grid(16), lambda x: 1 + 0.5 * jnp.cos(x[0]))
    found = games.equilibrium(game, start, steps=40)
    waves = np.asarray(found.density.values) @ np.exp(1j * start.grid.nodes[:, 0]) * start.grid.cell_volume
    less = 2.0 * np.trapezoid(1 - np.abs(waves) ** 2, found.times)
    few, many = (games.play(game, found, None, n, key=jax.random.key(0), replicas=r) for n, r in ((4, 600), (16, 150)))
    for n, played in ((4, few), (16, many)):
        assert abs(float(played["cost"]) - float(found.cost) + less / n) < 4 * played["cost"].stderr
    # The nearest wrong theory: what infinitely many pay.
    assert abs(float(few["cost"]) - float(found.cost)) > 4 * few["cost"].stderr
    # Who knows all gains the square of fluctuations, of order 1/N: here by a factor of 4, with O(1/N) to it.
    ratio = float(few["bound"]) / float(many["bound"])
    noise = ratio * math.hypot(few["bound"].stderr / float(few["bound"]), many["bound"].stderr / float(many["bound"]))
    assert abs(ratio - 4) < 4 * noise + 1
    assert ratio - 4 * noise > 1


def test_a_stationary_equilibrium_stays_where_the_end_costs_what_it_is_worth():
    """With g = u and ρ₀ = ρ of the game without an end nothing moves, and the cost grows by λ per time."""
    rest = games.equilibrium(games.Game(mk.Model(CIRCLE, noise=mk.Additive(1.0)), flow(1.0).running), WAVE)
    spectrum, wave = jnp.fft.fft(rest.value) / rest.value.size, jnp.fft.fftfreq(rest.value.size, 1 / rest.value.size)
    worth = lambda x, mu: jnp.real(jnp.sum(spectrum * jnp.exp(1j * wave * x[0])))  # noqa: E731
    game = games.Game(mk.Model(CIRCLE, noise=mk.Additive(1.0)), flow(1.0).running, worth, horizon=0.5)
    found = games.equilibrium(game, rest.density, steps=20)
    np.testing.assert_allclose(found.density.values[-1], rest.density.values, atol=1e-9)
    mean = float(rest.density.integrate(lambda x: worth(x, None)))
    assert float(found.cost) == pytest.approx(mean + 0.5 * float(rest.cost), abs=1e-9)


def test_a_cost_of_degree_four_in_the_control():
    """L = α²/2 + α⁴/4: α + α³ = −u′ at each node."""

    def steep(x, alpha, mu):
        return jnp.sum(alpha**2 / 2 + alpha**4 / 4) + jnp.cos(x[0])

    found = games.equilibrium(games.Game(mk.Model(CIRCLE, noise=mk.Additive(1.0)), steep), WAVE)
    slope = np.asarray(mk.spaces.calculus.gradient(RING, found.value))[:, 0]
    alpha = np.asarray(found.control)[:, 0]
    np.testing.assert_allclose(alpha + alpha**3, -slope, atol=1e-10)
    assert np.abs(slope).max() > 0.3


@pytest.mark.parametrize("aversion", [0.0, -20.0])
def test_a_search_that_leaves_the_densities_does_not_blame_the_cost(aversion):
    """m|α|²/2 is convex in α where m > 0, and not where a search that is lost has m < 0."""
    game = games.GAMES["congestion"](hill=8.0, aversion=aversion).game
    with pytest.raises(ValueError, match=r"no equilibrium was found near this density.*least density -"):
        games.equilibrium(game, mk.Density.from_function(WAVE.grid, lambda x: 1 - 0.3 * jnp.cos(x[0])), picard=0)


def test_a_search_that_does_not_converge_says_how_far_it_is():
    game = flow(0.6, 0.3)
    with pytest.raises(ValueError, match=r"after 80 rounds the density still changes by .* and a player gains -?\d"):
        games.equilibrium(game, WAVE, steps=20, tolerance=0.0)
    with pytest.raises(ValueError, match="became non-finite"):
        games.equilibrium(flow(400.0, 0.3), WAVE, steps=20)


@pytest.mark.parametrize("name", games.GAMES)
def test_facts_of_named_games_agree_with_the_library(name):
    entry = games.GAMES[name]()
    recomputed = {label: fact for label, fact in entry.facts.items() if fact.recompute is not None}
    assert recomputed
    for label, fact in recomputed.items():
        assert fact.recompute() == pytest.approx(fact.value, abs=fact.tolerance), label
