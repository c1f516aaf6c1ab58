"""Populations: particles and densities with labels, against exact results for frequencies, species and graphs."""

import math

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from schemes import CIRCLE, LINE
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

import mckean as mk

KEY = jax.random.key(0)
PATH = mk.Brownian(KEY)


def oscillators(strength, noise=None):
    """Kuramoto's, with the own frequency as the label."""
    return lambda omega: mk.Model(
        CIRCLE, interaction=mk.kernels.Cosine(strength), drift=lambda x, mu: omega + 0 * x, noise=noise
    )


def moment(mu):
    """∫e^{ix}dμ."""
    return mu.integrate(lambda x: jnp.cos(x[0])) + 1j * mu.integrate(lambda x: jnp.sin(x[0]))


def order(model, mu):
    return jnp.abs(moment(mu))


def lorentzian(n, width):
    """Quantiles, in the middle of their n parts."""
    return width * np.tan(np.pi * ((np.arange(n) + 0.5) / n - 0.5))


def ripple(size):
    return mk.Density.from_function(CIRCLE.grid(16), lambda x: 1 + size * jnp.cos(x[0]))


def test_order_of_oscillators_with_lorentzian_frequencies():
    """r = √(1 − 2γ/K) (Ott and Antonsen, Chaos 18, 2008), K = 4γ; without frequencies r would be 1.

    r of N oscillators fluctuates by O(1/√N) = 0.022, its mean over 20 units of time by less than half of it.
    """
    n, width, strength = 2000, 1.0, 4.0
    places = np.random.default_rng(0).vonmises(0.0, 1.5, (n, 1)) % (2 * np.pi)
    family = mk.Family.split(mk.Particles(CIRCLE, places), n)
    population = mk.Population(oscillators(strength), lorentzian(n, width))
    run = mk.evolve(population, family, until=30.0, dt=0.05, scheme=diffrax.Heun(), observe={"r": order}, every=20)
    late = np.asarray(run.observed["r"])[10:]
    assert abs(late.mean() - mk.catalogue.lorentzian_order(strength, width)) < 0.011
    assert late.std() < 0.022


@pytest.mark.parametrize(("strength", "rate"), [(2.4, 0.4), (1.4, -0.1)])
def test_densities_with_lorentzian_frequencies_and_noise_have_their_threshold(strength, rate):
    """Σ_aw_a z_a of a small wave grows as e^{(K/2 − D − γ)t}: K_c = 2(γ + D) = 1.6, not 2γ = 1 and not 2D = 0.6.

    1 = (K/2)Σ_a w_a/(λ + D + iω_a), and the sum over the quantiles of a Lorentzian, the midpoint rule of a periodic
    analytic function, converges exponentially. Beside this mode are those of single labels, which fall as e^{−Dt}.
    """
    width, noise, m = 0.5, 0.3, 32
    family = mk.Family([ripple(1e-5)] * m)
    population = mk.Population(oscillators(jnp.asarray(strength), mk.Thermal(1 / noise)), lorentzian(m, width))
    r = np.asarray(mk.evolve(population, family, until=24.0, dt=0.04, observe={"r": order}, every=100).observed["r"])
    measured = np.log(r[-1] / r[-2]) / 4.0
    # What is left of the others after 20 units: e^{−(λ + D)20} = e^{−4} of 1 at least, in 4 units of time.
    assert abs(measured - rate) < 0.02 * abs(rate) + 0.004


def test_densities_with_gaussian_frequencies():
    """1 = (K/2)Σ_a w_a (λ + D)/((λ + D)² + ω_a²), labels and weights of Gauss and Hermite's rule for N(0, 1)."""
    omega, weights = np.polynomial.hermite_e.hermegauss(16)
    weights, strength, noise = weights / weights.sum(), 3.0, 0.3
    condition = lambda s: strength / 2 * np.sum(weights * s / (s**2 + omega**2)) - 1  # noqa: E731
    rate = brentq(condition, 0.6, 3.0) - noise
    family = mk.Family([ripple(1e-6)] * 16, weights)
    population = mk.Population(oscillators(strength, mk.Thermal(1 / noise)), omega)
    r = np.asarray(mk.evolve(population, family, until=12.0, dt=0.04, observe={"r": order}, every=100).observed["r"])
    assert abs(np.log(r[-1] / r[-2]) / 4.0 - rate) < 1e-4
    assert abs(rate - (strength / 2 - noise)) > 0.5  # without frequencies


def two_species(matrix, lag):
    """θ′ = Σ_b w_b A_ab ∫ sin(θ′ − θ − α) μ_b(dθ′)."""
    pull = lambda x, mu: mu.integrate(lambda y: jnp.sin(y - x - lag))  # noqa: E731
    return mk.Population(lambda a: mk.Model(CIRCLE, drift=pull), jnp.arange(2), lambda a, b: matrix[a, b])


def reduced(z, matrix, lag):
    """z_a′ = ½(H_a e^{−iα} − H̄_a e^{iα}z_a²), H_a = Σ_b w_b A_ab z_b, w = ½: for densities of Poisson's kernel."""
    pull = matrix @ z / 2 * np.exp(-1j * lag)
    return 0.5 * (pull - np.conj(pull) * z**2)


def poisson_cloud(z, n):
    """n points that stand for Poisson's kernel: Möbius images of n equal distances, with the mean z up to |z|^n."""
    circle = np.exp(2j * np.pi * np.arange(n) / n)
    return np.angle((circle + z) / (1 + np.conj(z) * circle))[:, None] % (2 * np.pi)


def test_chimera_of_two_species():
    """One species in step, the other not: the chimera of Abrams, Mirollo, Strogatz and Wiley (PRL 101, 2008).

    Between the species A = 0.4, within 0.6, phase lag π/2 − 0.1. Points in Poisson's form move as the reduced equation
    says, so that r stays; both in step, r = 1, is the other state.
    """
    matrix, lag = 2 * np.array([[0.6, 0.4], [0.4, 0.6]]), math.pi / 2 - 0.1

    z = mk.catalogue.chimera(0.2, lag)
    assert abs(reduced(np.array([1.0, z]), matrix, lag) @ np.array([-z, 1.0])) < 1e-10
    r, psi = abs(z), np.angle(z)
    assert 0.5 < r < 0.9
    n = 80
    start = [np.zeros((n, 1)) + 1.0, poisson_cloud(r * np.exp(1j * (psi + 1.0)), n)]
    family = mk.Family([mk.Particles(CIRCLE, x) for x in start])
    run = mk.evolve(
        two_species(jnp.asarray(matrix), lag), family, until=10.0, dt=0.05, scheme=diffrax.Dopri5(), every=20,
        observe={"r": lambda model, mu: mu.each(lambda one: order(model, one))},
    )  # fmt: skip
    np.testing.assert_allclose(run.observed["r"], np.broadcast_to([1.0, r], (11, 2)), atol=1e-6)
    # Off the stationary state the pair of moments moves, in step with SciPy's solution.
    z = np.array([0.6 + 0.0j, 0.5 * np.exp(0.4j)])
    off = mk.Family([mk.Particles(CIRCLE, poisson_cloud(one, n)) for one in z])
    final = mk.evolve(two_species(jnp.asarray(matrix), lag), off, until=2.0, dt=0.05, scheme=diffrax.Dopri5()).final
    rate = lambda t, y: (lambda v: np.r_[v.real, v.imag])(reduced(y[:2] + 1j * y[2:], matrix, lag))  # noqa: E731
    y = solve_ivp(rate, (0, 2), np.r_[z.real, z.imag], rtol=1e-10, atol=1e-12).y[:, -1]
    # |z|^n, z up to 0.8 here, and steps of order 5.
    np.testing.assert_allclose(final.each(moment), y[:2] + 1j * y[2:], atol=1e-7)


def test_fluctuations_of_each_species():
    """√n z_a of n particles a species has the covariance S of a linear equation, up to O(1/n):

        S′ = LS + SLᵀ + 2D,   L_ab = ½w_bA_ab − Dδ_ab,   S(0) = 1,

    so that each species becomes chaotic at the rate 1/n. Without coupling S would stay 1.
    """
    matrix, noise, n, replicas = np.array([[2.0, -1.0], [1.5, 1.0]]), 0.4, 40, 200
    linear = matrix / 4 - noise * np.eye(2)
    flow = lambda t, s: (linear @ s.reshape(2, 2) + s.reshape(2, 2) @ linear.T + 2 * noise * np.eye(2)).ravel()  # noqa: E731
    expected = solve_ivp(flow, (0, 1), np.eye(2).ravel(), rtol=1e-10).y[:, -1].reshape(2, 2)
    model = lambda a: mk.Model(CIRCLE, interaction=mk.kernels.Cosine(1.0), noise=mk.Thermal(1 / noise))  # noqa: E731
    population = mk.Population(model, jnp.arange(2), lambda a, b: jnp.asarray(matrix)[a, b])

    def one(key):
        start, path = jax.random.split(key)
        family = mk.Family.split(mk.Particles(CIRCLE, CIRCLE.uniform(start, 2 * n)), 2)
        final = mk.evolve(population, family, until=1.0, dt=0.05, path=mk.Brownian(path)).final
        return final.each(moment)

    z = np.asarray(jax.jit(jax.vmap(one))(jax.random.split(KEY, replicas)))
    products = n * (z[:, :, None] * np.conj(z[:, None, :])).real
    found, error = products.mean(axis=0), products.std(axis=0) / math.sqrt(replicas)
    # 4.5 standard errors, Euler's error D dt, and 1/n of the square.
    near = 4.5 * error + 0.02 + 1 / n
    assert np.all(np.abs(found - expected) < near)
    assert abs(found[0, 0] - 1) > near[0, 0]


def test_a_graphon_has_the_threshold_of_its_largest_eigenvalue():
    """A(u, v) = 1 − max(u, v) has the eigenvalue 4/π²: small waves grow at the rate (K/2)(4/π²) − D, not K/2·∬A − D.

    It is the inverse of −d²/du² with u′(0) = 0 and u(1) = 0. The midpoint rule of m labels errs by O(1/m²).
    """
    m, strength, noise = 32, 6.0, 0.3
    labels = (np.arange(m) + 0.5) / m
    model = lambda u: mk.Model(CIRCLE, interaction=mk.kernels.Cosine(strength), noise=mk.Thermal(1 / noise))  # noqa: E731
    population = mk.Population(model, labels, lambda u, v: 1 - jnp.maximum(u, v))
    run = mk.evolve(population, mk.Family([ripple(1e-6)] * m), until=8.0, dt=0.04, observe={"r": order}, every=50)
    r = np.asarray(run.observed["r"])
    rate = np.log(r[-1] / r[-2]) / 2.0
    assert abs(rate - (strength / 2 * 4 / math.pi**2 - noise)) < 3 / m**2
    assert abs(rate - (strength / 2 / 3 - noise)) > 0.1


def well(x):
    return x[0] ** 2 / 2


ALIKE = {
    "a series": mk.Model(CIRCLE, interaction=mk.kernels.Cosine(2.0)),
    "a kernel that is no series": mk.Model(LINE, confinement=well, interaction=mk.kernels.Quadratic(0.5)),
    "velocities on a circle": mk.underdamped(CIRCLE, None, mk.kernels.Cosine(2.0), friction=0.5, beta=math.inf),
    "velocities on a line": mk.underdamped(LINE, well, mk.kernels.Quadratic(0.5), friction=0.5, beta=math.inf),
}


@pytest.mark.parametrize("name", ALIKE)
def test_labels_without_a_difference_are_none(name):
    """20 particles in 5 labels of the same model are 20 particles, with all stages of a step taken together."""
    model, scheme, dim = ALIKE[name], diffrax.Heun(), ALIKE[name].space.dim
    cloud = mk.Particles(model.space, jnp.linspace(0.0, 3.0, 20)[:, None] * jnp.array([[1.0, -0.5]])[:, :dim])
    whole = mk.evolve(model, cloud, until=1.0, dt=0.1, scheme=scheme).final
    parts = mk.evolve(
        mk.Population(lambda a: model, jnp.arange(5.0)), mk.Family.split(cloud, 5), until=1.0, dt=0.1, scheme=scheme
    ).final
    np.testing.assert_allclose(parts.members.positions.reshape(20, dim), whole.positions, atol=1e-12)


def test_densities_of_labels_without_a_difference_are_one():
    model = mk.langevin(CIRCLE, well_on_the_circle, mk.kernels.Cosine(2.0), beta=2.0)
    rho = mk.Density.from_function(CIRCLE.grid(16), lambda x: jnp.exp(jnp.cos(x[0] - 0.5)))
    family = mk.Family([rho] * 3, [0.5, 0.25, 0.25])
    whole = mk.evolve(model, rho, until=0.5, dt=0.05).final
    parts = mk.evolve(mk.Population(lambda a: model, jnp.arange(3.0)), family, until=0.5, dt=0.05).final
    np.testing.assert_allclose(parts.members.values, np.broadcast_to(whole.values, (3, 16)), atol=1e-12)
    np.testing.assert_allclose(parts.integrate(lambda x: jnp.cos(x[0])), whole.integrate(lambda x: jnp.cos(x[0])))


SPHERE = mk.Sphere(3)


@pytest.mark.parametrize(
    ("grid", "kernel"),
    [
        (SPHERE.grid(6, axis=(0.0, 0.0, 1.0)), lambda z: 0.3 * jnp.sum(z**2) ** 2),
        (SPHERE.grid(6), mk.kernels.PowerLaw(0.5, -0.5)),
    ],
    ids=["zonal", "singular"],
)
def test_densities_of_labels_on_a_sphere_act_by_their_harmonics(grid, kernel):
    """Nodes that act one by one would not serve a zonal density, nor a W that is infinite at 0."""
    model = mk.langevin(SPHERE, lambda x: 0.3 * x[2], kernel, beta=2.0)
    rho = mk.Density.from_function(grid, lambda x: jnp.exp(x[2]))
    whole = mk.evolve(model, rho, until=0.2, dt=0.1).final
    parts = mk.evolve(mk.Population(lambda a: model, [0, 1]), mk.Family([rho, rho]), until=0.2, dt=0.1).final
    np.testing.assert_allclose(parts.members.values[1], whole.values, atol=1e-12)


def test_a_singular_energy_between_labels_on_a_box():
    """W = 0.3|z|^{−0.4}: the velocity is that of the potential to O(h^{1.6}) or better.

    The sum of the forces between centres lacks what is nearest, and is off by O(h^{0.6}): from 40 to 80 cells its
    error falls by 1.5 at most, here by more than 2.5.
    """
    kernel, off = mk.kernels.PowerLaw(0.3, -0.4), []
    for n in (40, 80):
        rho = mk.Density.from_function(LINE.grid(n, -4, 5), lambda x: jnp.exp(-2 * (x[0] - 0.5) ** 2))
        model = mk.langevin(LINE, well, kernel, beta=2.0)
        whole = mk.evolve(model, rho, until=0.2, dt=0.1).final
        parts = mk.evolve(mk.Population(lambda a, m=model: m, [0, 1]), mk.Family([rho, rho]), until=0.2, dt=0.1).final
        off.append(float(jnp.max(jnp.abs(parts.members.values[0] - whole.values))))
    assert off[1] < off[0] / 2.5


def test_densities_with_velocities_have_no_labels():
    bundle = mk.TangentBundle(CIRCLE)
    f = mk.Density.from_function(bundle.grid(CIRCLE.grid(8), 16, 5.0), lambda z: jnp.exp(-0.5 * z[1] ** 2))
    with pytest.raises(ValueError, match="not moved label by label"):
        mk.evolve(mk.Population(lambda a: mk.underdamped(CIRCLE), [0, 1]), mk.Family([f, f]), until=0.1, dt=0.1)


def well_on_the_circle(x):
    return 0.5 * jnp.cos(x[0])


def test_what_one_label_alone_does_is_not_lost():
    """The second label's drift moves positions, or points across the meridians: what the scheme cannot follow ends."""
    line, caps = mk.TangentBundle(LINE), mk.Sphere(3).grid(4, axis=(0.0, 0.0, 1.0))
    pushed = mk.Population(lambda a: mk.Model(line, drift=lambda z, mu: a * jnp.asarray([1.0, 0.0])), [0.0, 1.0])
    with pytest.raises(mk.RunError, match="moves positions, by 1,"):
        mk.evolve(pushed, mk.Family.split(mk.Particles(line, jnp.zeros((4, 2))), 2), until=0.2, dt=0.1)
    axes = jnp.eye(3)[jnp.asarray([2, 0])]
    tilted = mk.Population(lambda a: mk.Model(caps.space, drift=lambda x, mu: axes[a.astype(int)]), [0.0, 1.0])
    bell = mk.Density.from_function(caps, lambda x: jnp.exp(x[2]))
    with pytest.raises(mk.RunError, match="across the meridians"):
        mk.evolve(tilted, mk.Family([bell, bell], [0.5, 0.5]), until=0.2, dt=0.1)
    with pytest.raises(ValueError, match="moves them too"):
        mk.evolve(
            pushed.at(1.0) if hasattr(pushed, "at") else pushed.model(jnp.asarray(1.0)),
            mk.Particles(line, jnp.zeros((4, 2))),
            until=0.2,
            dt=0.1,
        )
    # Nothing is known of a drift in a run that is traced.
    moved = jax.jit(
        lambda a: (
            mk.evolve(
                mk.Model(line, drift=lambda z, mu: a * jnp.asarray([1.0, 0.0])),
                mk.Particles(line, jnp.zeros((4, 2))),
                until=0.2,
                dt=0.1,
            ).final.positions
        )
    )
    with pytest.raises(Exception, match="moves positions"):
        moved(1.0).block_until_ready()
