"""Flocks: alignment as a sum over pairs, and what the particles of Cucker and Smale do.

The exact results are those of linear systems and of Cucker and Smale.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mckean as mk

LINE, CIRCLE, PLANE = mk.Euclidean(1), mk.Torus(1), mk.Euclidean(2)
RING = mk.TangentBundle(CIRCLE)
PATH = mk.Brownian(jax.random.key(0))


def swarm(space, n, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1.0, 1.0, (n, space.dim)) + 2.0
    return mk.Particles(mk.TangentBundle(space), jnp.asarray(np.concatenate([x, rng.normal(size=x.shape)], axis=1)))


def communication(z):
    return 1.3 / (1 + jnp.sum(z**2))


@pytest.mark.parametrize("space", [LINE, PLANE], ids=["line", "plane"])
def test_alignment_is_the_sum_over_pairs(space):
    """Of particles with weights; of one speed it is 0, though its spread is."""
    cloud, w = swarm(space, 40), np.random.default_rng(3).dirichlet(np.ones(40))
    x, v = np.split(np.asarray(cloud.positions), 2, axis=1)
    psi = 1.3 / (1 + np.sum((x[:, None] - x[None]) ** 2, axis=-1))
    exact = np.einsum("ij,ijd,j->id", psi, v[None] - v[:, None], w)
    field = mk.interactions.VelocityAlignment(communication, space)
    found = field(cloud.positions, mk.Particles(cloud.space, cloud.positions, w))
    np.testing.assert_allclose(found, np.concatenate([np.zeros_like(exact), exact], axis=1), atol=1e-13)
    still = mk.Particles(cloud.space, np.concatenate([x, np.ones_like(x)], axis=1))
    assert float(jnp.abs(field(still.positions, still)).max()) < 1e-14


def test_a_flock_comes_together_at_its_rate():
    """ψ = K: v_i − v̄ decays as e^{−Kt}, x_i − x̄ goes to its end (v_i − v̄)/K away; order 2 from both sides."""
    entry, time = mk.catalogue.cucker_smale(0.9), 2.0
    cloud = swarm(LINE, 8)
    x, v = np.asarray(cloud.positions).T
    kept = math.exp(-0.9 * time)
    exact = np.stack([x + v.mean() * time + (v - v.mean()) * (1 - kept) / 0.9, v.mean() + kept * (v - v.mean())], 1)
    errors = [
        np.abs(mk.evolve(entry.model, cloud, until=time, dt=h).final.positions - exact).max() for h in (0.1, 0.05)
    ]
    assert 3.6 < errors[0] / errors[1] < 4.4, errors
    assert errors[1] < 1e-3


def test_a_flock_in_gusts_follows_its_environment():
    """κ(v − v̄)∘dB⁰ multiplies v − v̄ by e^{−Kt + κB⁰}, path by path; read as Itô's it would lose κ²t/2."""
    strength, kappa, h, steps = 0.5, 0.6, 0.01, 100
    entry = mk.catalogue.cucker_smale(strength, common=kappa)
    cloud = swarm(LINE, 4)
    v = np.asarray(cloud.positions)[:, 1]
    final = mk.evolve(entry.model, cloud, until=steps * h, dt=h, path=PATH).final
    B = float(np.sum(PATH.environment.record(steps, h, 1).increments))
    w = np.asarray(final.positions)[:, 1]
    found = np.log((w - w.mean()) / (v - v.mean()))
    # Heun's step errs by (κΔB)³/12 ~ κ³h^{3/2}/5 at random: κ³h/5 in all, times 4.5.
    np.testing.assert_allclose(found, -strength * steps * h + kappa * B, atol=4.5 * kappa**3 * h / 2)
    assert abs(kappa**2 / 2) > 0.1
    assert np.mean(w) == pytest.approx(np.mean(v), abs=1e-14)


def test_locusts_turn_to_an_ordered_state():
    """v̄ of the limit: v̄′ = G(v̄) − v̄ from 0.4, which n = 4000 follow within 4.5/√(βn) times e^{(h−4)t/5}."""
    entry = mk.catalogue.locusts(9.0, 2.0)
    rng, n = np.random.default_rng(2), 4000
    start = np.stack([rng.uniform(0, 2 * math.pi, n), 0.4 + rng.normal(size=n) / math.sqrt(2.0)], axis=1)
    start[:, 1] += 0.4 - start[:, 1].mean()
    final = mk.evolve(entry.model, mk.Particles(RING, start), until=12.0, dt=0.1, path=PATH).final
    # At the end it is an Ornstein–Uhlenbeck process of rate 2(h − 4)/5 = 2 about ξ, of variance 1/2βn.
    found = float(final.positions[:, 1].mean())
    assert abs(found - entry["speed"]) < 4.5 * math.sqrt(1 / (2 * 2.0 * n)) + 5 * 0.1**2


# ---------------------------------------------------------------------------------------------------------------------
# The house: precision, marginals, sums, derivatives.


def test_precision_of_a_flock_follows_the_cloud():
    """VelocityAlignment and a field of velocities in single precision, although their parameters are in double."""
    model = mk.catalogue.cucker_smale(0.9, exponent=0.4, common=0.5).model
    single = mk.measures.cast(swarm(LINE, 4), jnp.float32)
    run = jax.eval_shape(lambda mu: mk.evolve(model, mu, until=0.2, dt=0.1, path=PATH).final, single)
    assert run.positions.dtype == jnp.float32
