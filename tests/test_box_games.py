"""Games in a box against Hopf and Cole's transformation with cosines, and manufactured solutions."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special
from scipy.optimize import brentq

import mckean as mk
from mckean import games

NU, SIDE, HILL, PULL, SLOPE = 0.4, 2.0, 0.3, 0.8, 0.5
BOX = mk.Euclidean(1).grid(12, 1.0, 1.0 + SIDE)
DIFFUSE = mk.Additive(math.sqrt(2 * NU))


def effort(x, alpha, mu):
    return jnp.sum(alpha**2) / 2


def wave(x):
    return jnp.cos(jnp.pi * (x[0] - 1.0) / SIDE)


def end(x, mu):
    """−2ν log(1 + b cos), with b = .3 + .8 E cos: so that players gather where the others do."""
    return -2 * NU * jnp.log(1 + (HILL + PULL * mu.integrate(wave)) * wave(x))


def test_players_between_walls_follow_hopf_and_cole():
    """u = −2ν log φ, ρ = φψ: with φ_T = 1 + b cos and ψ₀ = (1 + c cos)/φ₀ both are sums of cosines that decay.

    With T = 1 and the rate q = ν(π/L)²: E cos X_T = (c e^{−q} + b)/(2 + bc e^{−q}), on which b itself depends.
    """
    fall = math.exp(-NU * (math.pi / SIDE) ** 2)
    order = lambda b: (SLOPE * fall + b) / (2 + b * SLOPE * fall)  # noqa: E731
    b = brentq(lambda b: b - HILL - PULL * order(b), -0.9, 0.99, xtol=1e-14)
    start = mk.Density.from_function(BOX, lambda x: (1 + SLOPE * wave(x)) * (1 + b * fall * wave(x)))
    game = games.Game(mk.Model(mk.Euclidean(1), noise=DIFFUSE), effort, end, horizon=1.0)
    errors = []
    for steps in (10, 20):
        found = games.equilibrium(game, start, steps=steps)
        waves = np.asarray(found.density.values[-1]) @ np.asarray(wave(BOX.nodes.T)) * BOX.cell_volume
        errors.append(float(waves) - order(b))
    assert abs(errors[1]) < 1e-3
    assert 1.8 < math.log2(errors[0] / errors[1]) < 2.2
    # The nearest wrong theory: b of players who do not look at each other.
    assert abs(order(HILL) - order(b)) > 0.1
    gain, error = games.exploitability(game, found)
    assert abs(gain) < 1e-8 + error
    np.testing.assert_allclose(jnp.sum(found.density.values, axis=1) * BOX.cell_volume, 1.0, atol=1e-12)


def test_a_force_between_walls_turns_with_its_side():
    """Who pays for the control alone uses none: Gibbs's law e^{−V/ν}/Z. Who pays for α − v is carried by α = v."""
    bowl = lambda x: 0.5 * jnp.cos(x[0])  # noqa: E731
    grid, line = mk.Euclidean(1).grid(16, 0.0, math.pi), mk.Euclidean(1)
    pushed = games.Game(mk.Model(line, confinement=bowl, noise=DIFFUSE), effort)
    steered = games.Game(mk.Model(line, noise=DIFFUSE), lambda x, alpha, mu: effort(x, alpha - 0.5 * jnp.sin(x), mu))
    x, a = np.asarray(grid.nodes), 0.5 / NU
    exact = np.exp(-a * np.cos(x[:, 0])) / (math.pi * special.i0(a))
    start = mk.Density.from_function(grid, lambda x: 1 + 0.1 * jnp.cos(x[0]))
    for game, control in ((pushed, 0 * x), (steered, 0.5 * np.sin(x))):
        found = games.equilibrium(game, start)
        np.testing.assert_allclose(found.density.values, exact, atol=100 * special.iv(16, a) + 1e-10)
        np.testing.assert_allclose(found.control, control, atol=1e-10)
        assert float(found.cost) == pytest.approx(0.0, abs=1e-10)


def crowded(a, nu, rate, x, alpha, mu):
    """V + log m with u = −2νaΣcos x_i as its value: δu is added for a discount δ; all is a sum over the axes."""
    bowl = 2 * nu**2 * a**2 * jnp.sin(x) ** 2 - 2 * a * (1 + nu**2) * jnp.cos(x) - 2 * rate * nu * a * jnp.cos(x)
    grid, values = mu.grid, mu.values
    for axis, n in enumerate(grid.shape):
        k = np.arange(n)
        series = np.cos(k[:, None] * grid.axes[axis]) * np.where(k == 0, 1, 2)[:, None] / n
        values = jnp.tensordot(jnp.cos(k * x[axis]) @ series, values, axes=1)
    return jnp.sum(alpha**2) / 2 + jnp.sum(bowl) + jnp.log(values)


@pytest.mark.parametrize(("dim", "n", "rate"), [(1, 16, 0.0), (1, 16, 0.5), (2, 5, 0.0)])
def test_a_crowd_between_walls_is_the_manufactured_one(dim, n, rate):
    """On a circle m = e^{2a cos x}/2πI₀(2a); between walls twice that, and λ is more by log 2 an axis."""
    a, nu = (0.6 if dim == 1 else 0.25), 0.5
    grid = mk.Euclidean(dim).grid(n, 0.0, math.pi)
    model = mk.Model(mk.Euclidean(dim), noise=mk.Additive(math.sqrt(2 * nu)))
    level = -math.log(math.pi * special.i0(2 * a)) * dim
    running = eqx.Partial(crowded, *(jnp.asarray(v) for v in (a, nu, rate)))
    if rate:
        game = games.Game(model, lambda x, alpha, mu: running(x, alpha, mu) - level, discount=rate)
        cost = -2 * nu * a * special.i1(2 * a) / special.i0(2 * a)
    else:
        game, cost = games.Game(model, running), level
    found = games.equilibrium(game, mk.Density.from_function(grid, lambda x: 1 + 0.1 * jnp.cos(x[0])))
    x = np.asarray(grid.nodes)
    exact = np.prod(np.exp(2 * a * np.cos(x)) / (np.pi * special.i0(2 * a)), axis=1).reshape(grid.shape)
    # What a series of n cosines leaves out: I_n(2a).
    left = 100 * special.iv(n, 2 * a) + 1e-10
    np.testing.assert_allclose(found.density.values, exact, atol=left)
    np.testing.assert_allclose(found.control, -2 * nu * a * np.sin(x), atol=left)
    assert float(found.cost) == pytest.approx(cost, abs=left)
    if dim == 1 and not rate:
        gain, error = games.exploitability(game, found)
        assert abs(gain) < 1e-9 + error
        lazy = eqx.tree_at(lambda e: e.control, found, 0.9 * found.control)
        assert games.exploitability(game, lazy)[0] > 1e-4
