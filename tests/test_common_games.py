"""Games on a torus in the scenarios of a common noise: against the moving frame, and a linear–quadratic game."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import erfc
from scipy.integrate import quad

import mckean as mk
from mckean import games

SIDE, SHARE, WEIGHT, OWN, SHARED = 16.0, 0.8, 0.25, 0.6, 0.4
LINE = mk.Torus(1, (SIDE,))


def effort(x, alpha, mu):
    return jnp.sum(alpha**2) / 2


def place(x):
    """x from the middle of a long circle, and 0 where it closes: 5 standard deviations from all players."""
    y = x[0] - SIDE / 2
    return y * erfc((jnp.abs(y) - 5.5) / 0.8) / 2


def meeting(x, mu):
    return WEIGHT / 2 * (place(x) + SHARE * mu.integrate(place)) ** 2


def exact(stages):
    """V = ½Pz·z + s of the game with increments at the middles of the stages, from m = ½ and v = .1.

    α = −c(X + λm_T)/(1 + c(T − t)), so that for x = m: V = ½c(1 + λ)²(1 + cs)/(1 + c(1 + λ)s)²m² + …, s = T − t.
    """
    c, lam = WEIGHT, SHARE
    whole = lambda s: c * (1 + lam) ** 2 * (1 + c * s) / (1 + c * (1 + lam) * s) ** 2  # noqa: E731
    alone = lambda s: c / (1 + c * s)  # noqa: E731
    middles = (np.arange(stages) + 0.5) / stages
    own = OWN**2 * quad(alone, 0, 1)[0] / 2
    return whole(1.0) * 0.25 / 2 + alone(1.0) * 0.1 / 2 + own + SHARED**2 * np.mean(whole(1 - middles)) / 2


def test_players_with_a_target_pay_what_riccati_says_in_each_tree():
    model = mk.Model(LINE, noise=mk.Additive(OWN), common=mk.Additive(SHARED))
    game = games.Game(model, effort, meeting, horizon=1.0)
    start = mk.Density.from_function(LINE.grid(64), lambda x: jnp.exp(-((x[0] - SIDE / 2 - 0.5) ** 2) / 0.2))
    found = games.conditional_equilibrium(game, start, stages=2, steps=40, tolerance=1e-7)
    # Steps of order 2: (c dt)² of the cost, and what lies beyond 5 standard deviations.
    assert float(found.cost) == pytest.approx(exact(2), abs=2e-5)
    # The nearest wrong theory: one increment for two.
    assert abs(exact(1) - exact(2)) > 5e-4
    gain, error = games.exploitability(game, found)
    assert abs(gain) < 1e-7 + error
    # What the law is must be known: without a feature players answer the mean of all scenarios.
    blind = games.conditional_equilibrium(
        game, start, stages=2, steps=40, tolerance=1e-7, features=lambda mu: jnp.zeros(1)
    )
    gain, error = games.exploitability(game, blind)
    assert gain > 1e-4 > error


def test_a_lattice_of_laws_takes_the_place_of_a_tree_that_would_be_too_large():
    """3⁸ scenarios, as 17 laws by their mean: those of this game are Gaussian, of one variance given the time."""
    model = mk.Model(LINE, noise=mk.Additive(OWN), common=mk.Additive(SHARED))
    game = games.Game(model, effort, meeting, horizon=1.0)
    start = mk.Density.from_function(LINE.grid(64), lambda x: jnp.exp(-((x[0] - SIDE / 2 - 0.5) ** 2) / 0.2))
    found = games.conditional_equilibrium(
        game, start, stages=8, steps=32, laws=17, features=lambda mu: mu.integrate(place), tolerance=1e-7
    )
    # The steps' order 2 as with the tree, and what lies beyond 5 standard deviations where λ = ±4.
    assert float(found.cost) == pytest.approx(exact(8), abs=5e-5)
    # The nearest wrong theory: two increments, which a tree can have.
    assert abs(exact(2) - exact(8)) > 1.5e-4
    # A feature that falls where the noise pushes tells the same, and one that turns back does not tell laws apart.
    falling = games.conditional_equilibrium(
        game, start, stages=2, steps=8, laws=17, features=lambda mu: -mu.integrate(place), tolerance=1e-7
    )
    assert float(falling.cost) == pytest.approx(exact(2), abs=4e-4)
    with pytest.raises(ValueError, match="must rise with the common noise, or fall"):
        games.conditional_equilibrium(
            game, start, stages=2, steps=8, laws=17, features=lambda mu: mu.integrate(place) ** 2, tolerance=1.0
        )
    # The mean says all: what is left is .09 (h/s)⁶ of the polynomials through six laws, h < .3 apart, s = .5 wide.
    assert found.gap < 0.09 * 0.6**6


def turning(x, alpha, mu):
    c, s = mu.integrate(lambda y: jnp.stack([jnp.cos(y[0]), jnp.sin(y[0])]))
    return jnp.sum(alpha**2) / 2 + 2 * (1 - c * jnp.cos(x[0]) - s * jnp.sin(x[0]))


def test_where_a_frame_takes_the_noise_away_all_scenarios_are_one():
    circle = mk.Torus(1)
    game = games.Game(mk.Model(circle, noise=mk.Additive(1.0), common=mk.Additive(0.5)), turning, horizon=2.0)
    start = mk.Density.from_function(circle.grid(16), lambda x: 1 + 0.5 * jnp.cos(x[0]))
    still, found = (
        games.equilibrium(game, start, steps=8),
        games.conditional_equilibrium(game, start, stages=2, steps=8),
    )
    assert float(found.cost) == pytest.approx(float(still.cost), abs=1e-7)
    turned = jnp.exp(1j * (start.grid.nodes[:, 0] - 0.5 * found.scenarios.environments.sum(1)))
    waves = jnp.sum(found.density.values[-1] * turned, axis=1) * start.grid.cell_volume
    np.testing.assert_allclose(waves, waves[0], atol=1e-6)
    # The noise does move them: without the frame the waves differ.
    plain = found.density.values[-1] @ jnp.exp(1j * start.grid.nodes[:, 0]) * start.grid.cell_volume
    assert float(jnp.std(plain)) > 0.05


def meeting_here(x, alpha, mu):
    return jnp.sum(alpha**2) / 2 + 1 - jnp.cos(x[0]) * mu.integrate(lambda y: jnp.cos(y[0]))


def test_stages_have_order_2_where_the_noise_gathers_players():
    """σ₀ = .4 sin x, which no frame takes away; all have steps of one length, whose error is in all the same."""
    circle, noise = mk.Torus(1), mk.Multiplicative(lambda x, mu: 0.4 * jnp.sin(x)[:, None], "stratonovich")
    game = games.Game(mk.Model(circle, noise=mk.Additive(1.0), common=noise), meeting_here, horizon=0.25)
    start = mk.Density.from_function(circle.grid(16), lambda x: 1 + 0.5 * jnp.cos(x[0] - 0.7))
    costs = [
        float(games.conditional_equilibrium(game, start, stages=n, steps=8, tolerance=1e-10).cost) for n in (1, 2, 4)
    ]
    assert 1.8 < np.log2((costs[0] - costs[1]) / (costs[1] - costs[2])) < 2.2
    # The stages are seen: the differences are above what the rounds leave.
    assert abs(costs[1] - costs[2]) > 1e-6


def shifted(mean):
    """A game in which all are moved by a mean of their law that a density may not have."""
    circle = mk.Torus(1)
    model = mk.Model(circle, drift=lambda x, mu: mu.integrate(mean) + 0 * x, noise=mk.Additive(1.0))
    return games.Game(model, effort, horizon=0.5)


@pytest.mark.parametrize("mean", [lambda y: jnp.sin(y[0]), lambda y: jnp.cos(2 * y[0])], ids=["odd", "second"])
def test_what_depends_on_the_law_is_seen_from_a_density_that_does_not_show_it(mean):
    """The means of sin x and cos 2x are 0 for 1 + a cos x, whatever a."""
    circle = mk.Torus(1)
    start = mk.Density.from_function(circle.grid(16), lambda x: 1 + 0.5 * jnp.cos(x[0]))
    found = games.equilibrium(shifted(mean), start, steps=8)
    with pytest.raises(ValueError, match="does not depend on μ"):
        games.play(shifted(mean), found, None, 4, key=jax.random.key(0), replicas=2)
    noise = mk.Multiplicative(lambda x, mu: (jnp.sin(x) * mu.integrate(mean))[:, None], "stratonovich")
    game = games.Game(mk.Model(circle, noise=mk.Additive(1.0), common=noise), effort, horizon=0.5)
    with pytest.raises(ValueError, match="must not depend on μ"):
        games.conditional_equilibrium(game, start, stages=1, steps=2)
    costs = lambda x, alpha, mu: effort(x, alpha, mu) + mu.integrate(mean)  # noqa: E731
    game = games.Game(mk.Model(circle, noise=mk.Additive(1.0), common=mk.Additive(0.5)), costs, horizon=0.5)
    with pytest.raises(ValueError, match="differences of positions"):
        games.equilibrium(game, start, steps=8)


def test_fictitious_play_finds_what_andersons_method_does():
    circle = mk.Torus(1)
    start = mk.Density.from_function(circle.grid(16), lambda x: 1 + 0.5 * jnp.cos(x[0]))
    game = games.Game(mk.Model(circle, noise=mk.Additive(1.0)), turning, horizon=1.0)
    fast = games.equilibrium(game, start, steps=10)
    slow = games.equilibrium(game, start, steps=10, method="fictitious", rounds=400, tolerance=1e-4)
    assert jnp.max(jnp.abs(slow.density.values - fast.density.values)) < 1e-3
    assert slow.iterations > fast.iterations
