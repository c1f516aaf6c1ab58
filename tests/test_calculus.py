"""Between Itô and Stratonovich: the correction against that of the whole system, closed forms, and runs of both."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from orders import assert_strong_order, ends, rms
from schemes import BOX, CIRCLE, CLOUD, LINE, WEIGHTED
from tables import OBLONG, cloud

import mckean as mk
from mckean.models.ito_stratonovich import correction, differs

EPS = 2.0**-52


class Functions:
    """σ(x, μ) = f(x, ∫φ dμ), taken apart so that derivatives with respect to μ can be written by hand."""

    def __init__(self, f, phi):
        self.f, self.phi = f, phi

    def __call__(self, x, mu):
        return self.f(x, mu.integrate(self.phi))

    def correction(self, mu, points, x):
        """½Σ_k [∂_xf_k f_k + ∂_Mf_k ∫(∂φ f_k) dμ] with M = ∫φ dμ, μ being Σ_i w_i δ at the points given as (w, y)."""
        w, y = points
        m = jnp.tensordot(w, jax.vmap(self.phi)(y), axes=1)
        f = self.f
        pull = jnp.einsum("n,nja,nak->jk", w, jax.vmap(jax.jacfwd(self.phi))(y), jax.vmap(lambda y: f(y, m))(y))

        def at(x):
            first = jnp.einsum("ikb,bk->i", jax.jacfwd(f)(x, m), f(x, m))
            return 0.5 * (first + jnp.einsum("ikj,jk->i", jax.jacfwd(f, argnums=1)(x, m), pull))

        return jax.vmap(at)(x)


CROWD = Functions(lambda x, m: (0.4 + 0.2 * jnp.cos(x) * m)[:, None], jnp.cos)
TURN = jnp.array([1.0, 2 * jnp.pi / 3.0])  # of the oblong torus
SWARM = Functions(
    lambda x, m: jnp.stack(
        [
            jnp.array([0.5, 0.1, 0.0]) * jnp.cos(TURN[0] * x[0]) * m[0],
            jnp.array([0.2, 0.3, 0.4]) + m[1] * jnp.sin(TURN[1] * x[1]) * jnp.array([0.3, 0.0, 1.0]),
        ]
    ),
    lambda y: jnp.array([jnp.sin(y[0] + TURN[1] * y[1]), jnp.cos(TURN[1] * y[1])]),
)
DRAWN = Functions(lambda x, m: ((0.3 + m[1]) * x + 0.2 * m[0])[:, None], lambda y: jnp.concatenate([y, y**2]))


def brute(noise, mu):
    """½Σ_k DΣ_k·Σ_k of the field Σ_k(y) = (σ_k(y_i, μ_y))_i of all nd coordinates."""
    shape = mu.positions.shape

    def whole(flat):
        y = flat.reshape(shape)
        sigma = noise.matrix(y, eqx.tree_at(lambda m: m.positions, mu, y))
        return sigma.reshape(flat.size, -1)

    flat = mu.positions.ravel()
    return 0.5 * jnp.einsum("akb,bk->a", jax.jacfwd(whole)(flat), whole(flat)).reshape(shape)


WIDE = cloud(OBLONG, 7, weighted=True)
SYSTEMS = {
    "circle": (CROWD, CLOUD),
    "circle, weights": (CROWD, WEIGHTED),
    "torus": (SWARM, cloud(OBLONG, 7)),
    "torus, weights": (SWARM, WIDE),
    "line": (DRAWN, cloud(LINE, 6)),
    "no measure": (lambda x, mu: jnp.stack([jnp.cos(x), jnp.sin(2 * x)], axis=1), CLOUD),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_correction_is_that_of_the_whole_system(name):
    sigma, mu = SYSTEMS[name]
    noise = mk.Multiplicative(sigma)
    ours = correction(noise, True, mu, mu.positions)
    np.testing.assert_allclose(ours, brute(noise, mu), rtol=0, atol=100 * EPS)
    moved = jnp.abs(ours - correction(noise, False, mu, mu.positions)).max()
    assert moved == 0 if name == "no measure" else moved > 1e-3


def test_own_noise_moves_no_measure():
    """c = ½σ∂_xσ alone; the N-particle system's own, with n motions, differs by the derivative at μ, of order 1/N."""
    noise, gaps = mk.Multiplicative(CROWD), []
    for n in (8, 16, 32):
        mu = mk.Particles(CIRCLE, 2 * jnp.pi * jnp.arange(n)[:, None] / n + 0.5 * jnp.sin(jnp.arange(n))[:, None])
        x = mu.positions
        m = jnp.mean(jnp.cos(x))
        first = 0.5 * (0.4 + 0.2 * jnp.cos(x) * m) * (-0.2 * jnp.sin(x) * m)
        ours = correction(noise, False, mu, x)
        np.testing.assert_allclose(ours, first, rtol=0, atol=100 * EPS)

        def diagonal(y):
            return noise.matrix(y[:, None], mk.Particles(CIRCLE, y[:, None]))[:, 0, 0]

        slopes, sigma = jax.jacfwd(diagonal)(x[:, 0]), diagonal(x[:, 0])
        whole = 0.5 * jnp.diagonal(slopes) * sigma
        gaps.append(float(jnp.abs(whole[:, None] - ours).max() * n))
    # ½·0.2|cos x|·|sin x|·σ/N, with σ below 0.6: at most 0.03/N.
    assert all(1e-3 < gap < 0.03 for gap in gaps)


def test_correction_of_a_density():
    """On a grid that holds every product the nodes integrate exactly; at the nodes and elsewhere, in one dimension."""
    mu = mk.Density.from_function(CIRCLE.grid(16), lambda x: 1 + 0.5 * jnp.cos(x[0] - 0.4) + 0.2 * jnp.sin(2 * x[0]))
    points = (mu.values * mu.grid.cell_volume, mu.grid.nodes)
    x = jnp.concatenate([mu.grid.nodes, jnp.array([[0.123], [4.0]])])
    ours = correction(mk.Multiplicative(CROWD), True, mu, x)
    np.testing.assert_allclose(ours, CROWD.correction(mu, points, x), rtol=0, atol=100 * EPS)
    assert jnp.abs(ours - correction(mk.Multiplicative(CROWD), False, mu, x)).max() > 1e-3


def test_correction_of_a_density_in_the_plane():
    def start(x):
        u, v = TURN * x
        return 2 + jnp.cos(u - 0.3) * jnp.cos(v) + 0.5 * jnp.sin(u + v) + 0.4 * jnp.sin(v)

    mu = mk.Density.from_function(OBLONG.grid((12, 16)), start)
    points = (mu.values.ravel() * mu.grid.cell_volume, mu.grid.nodes)
    ours = correction(mk.Multiplicative(SWARM), True, mu, mu.grid.nodes)
    np.testing.assert_allclose(ours, SWARM.correction(mu, points, mu.grid.nodes), rtol=0, atol=1000 * EPS)
    # A sample of the density has nearly the same.
    n = 40_000
    sample = mu.sample(jax.random.key(0), n)
    x = mu.grid.nodes[::7]
    close = correction(mk.Multiplicative(SWARM), True, sample, x)
    # Means of n numbers below 2 (with their weights below 1): 5 standard errors, a few terms.
    assert jnp.abs(close - correction(mk.Multiplicative(SWARM), True, mu, x)).max() < 5 * 4 / np.sqrt(n)


def test_correction_of_a_gaussian():
    """σ = (0.3 + M₂)x + 0.2M₁ moves mean and covariance; Gauss–Hermite quadrature is exact for the moments."""
    mu = mk.Gaussian(0.7, 0.4)
    node, weight = np.polynomial.hermite_e.hermegauss(20)
    points = (jnp.asarray(weight / weight.sum()), jnp.asarray(0.7 + np.sqrt(0.4) * node)[:, None])
    x = jnp.linspace(-2.0, 2.0, 7)[:, None]
    ours = correction(mk.Multiplicative(DRAWN), True, mu, x)
    np.testing.assert_allclose(ours, DRAWN.correction(mu, points, x), rtol=1e-12)
    assert jnp.abs(ours - correction(mk.Multiplicative(DRAWN), False, mu, x)).max() > 0.1


def test_a_density_on_a_box_does_not_tell_how_it_moves():
    with pytest.raises(ValueError, match=r"how a common noise moves a Density on a box is not known"):
        correction(mk.Multiplicative(DRAWN), True, BOX, BOX.grid.nodes)
    assert correction(mk.Multiplicative(DRAWN), False, BOX, BOX.grid.nodes).shape == (24, 1)


def both(calculus):
    """Own noise that depends on x, common noise that depends on μ too, and one that is the same in both calculi."""
    own = mk.Multiplicative(lambda x, mu: 0.3 + 0.1 * jnp.sin(x), calculus)
    drift = lambda x, mu: 0.3 * jnp.sin(x) * mu.integrate(jnp.cos)  # noqa: E731
    common = (mk.Additive(0.2), mk.Multiplicative(CROWD, calculus))
    return mk.Model(CIRCLE, interaction=mk.kernels.Cosine(0.8), drift=drift, noise=own, common=common)


def test_conversion_there_and_back():
    for here, there in (("ito", "stratonovich"), ("stratonovich", "ito")):
        model = both(here)
        changed = mk.convert(model, there)
        back = mk.convert(changed, here)
        x = CLOUD.positions
        np.testing.assert_allclose(back.velocity(x, CLOUD), model.velocity(x, CLOUD), rtol=0, atol=100 * EPS)
        whole = correction(model.noise, False, CLOUD, x) + correction(model.common[1], True, CLOUD, x)
        sign = -1 if here == "ito" else 1
        np.testing.assert_allclose(
            changed.velocity(x, CLOUD), model.velocity(x, CLOUD) + sign * whole, rtol=0, atol=100 * EPS
        )
        assert jnp.abs(whole).max() > 1e-3
        assert changed.noise.calculus == changed.common[1].calculus == there
        assert eqx.tree_equal(changed.common[0], model.common[0])
        assert not any(differs(part, there) for part in (changed.noise, *changed.common))


def test_layers_are_converted_there_and_back_if_their_fields_are_fixed():
    tokens = mk.Particles(mk.Sphere(3), mk.Sphere(3).uniform(jax.random.key(0), 4))
    for noise in (mk.Heads(1.5, intensity=0.5), mk.PreNormalised(mk.Heads(1.5))):
        model = mk.Model(mk.Sphere(3), common=noise)
        changed = mk.convert(model, "stratonovich")
        assert changed.common[0].calculus == "stratonovich"
        whole = changed.velocity(tokens.positions, tokens)
        np.testing.assert_allclose(whole, -correction(noise, True, tokens, tokens.positions), rtol=0, atol=100 * EPS)
        back = mk.convert(changed, "ito").velocity(tokens.positions, tokens)
        np.testing.assert_allclose(back, jnp.zeros_like(back), rtol=0, atol=100 * EPS)
    for noise in (mk.Neurons(), mk.Heads(1.0, spread=0.5, heads=2)):
        changed = mk.convert(mk.Model(mk.Sphere(3), common=noise), "stratonovich")
        with pytest.raises(ValueError, match=r"drawn in every step|draw A in every step"):
            changed.velocity(tokens.positions, tokens)


def test_only_what_differs_is_converted():
    waves = mk.Model(OBLONG, noise=mk.Thermal(1.0), common=(mk.Additive(1.0), mk.TransportNoise.shears(OBLONG)))
    assert mk.convert(waves, "ito") is waves
    assert mk.convert(waves, "stratonovich") is waves
    mixed = mk.Model(CIRCLE, noise=mk.Thermal(1.0), common=mk.Multiplicative(CROWD))
    x = CLOUD.positions
    shift = mk.convert(mixed, "stratonovich").velocity(x, CLOUD)
    np.testing.assert_allclose(shift, -correction(mixed.common[0], True, CLOUD, x), rtol=0, atol=EPS)


def strong(x, mu):
    return 0.6 + 0.8 * jnp.cos(x) * mu.integrate(lambda y: jnp.sin(y[0]))


def test_the_two_forms_are_one_equation():
    """Euler and EulerHeun come together like √dt, with the conversion; with half of it, ∂_xσ alone, they do not."""
    noise, start, levels = mk.Multiplicative(strong), mk.Particles(CIRCLE, CLOUD.positions[:6]), (16, 32, 64, 128)
    ito = mk.Model(CIRCLE, interaction=mk.kernels.Cosine(0.8), common=noise)

    def half(x, mu):
        """−½Σ(∂_xσ)σ, as for a noise that moves no measure."""
        return -correction(noise, False, mu, x[None])[0]

    right = mk.convert(ito, "stratonovich")
    wrong = mk.Model(CIRCLE, interaction=mk.kernels.Cosine(0.8), drift=half, common=right.common)
    euler, one, other = (
        ends(mk.ParticleScheme(solver), model, start, levels, 400)[0]
        for model, solver in ((ito, diffrax.Euler()), (right, diffrax.EulerHeun()), (wrong, diffrax.EulerHeun()))
    )
    together, apart = (
        [
            jnp.sqrt(jnp.mean(CIRCLE.distance(a.positions, b.positions) ** 2, axis=1))
            for a, b in zip(euler, heun, strict=True)
        ]
        for heun in (one, other)
    )
    assert_strong_order(together, 0.5)
    # A distance that went to 0 like the other's would be √½ of what it was at twice the step.
    fixed = [rms(distance) for distance in apart]
    assert fixed[-1] > 0.9 * fixed[-2]
    assert fixed[-1] > 2 * rms(together[-1])
