"""Which sum is chosen, and why; what is refused; that a chosen sum can be differentiated, mapped, and found wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tables import (
    CIRCLE,
    KERNELS,
    LINE,
    OBLONG,
    PLANE,
    PLANNED_SUMS,
    bounded_confidence,
    cloud,
    compiled,
    density,
    quartic,
)

import mckean as mk
from mckean.interactions import (
    FFT,
    FMM,
    NUFFT,
    Cells,
    Direct,
    Interaction,
    Modes,
    PowerSums,
    certificate,
    choose,
    costs,
    explain,
    force,
    place,
    plan,
    potential,
)
from mckean.interactions.kernels import FourierSeries
from mckean.interactions.memory import once

NARROW = mk.kernels.Gaussian(1.0, 0.05)  # some 10⁴ modes on the oblong torus
SMOOTH = mk.kernels.Gaussian(1.0, 0.8)
CONFIDENCE = mk.kernels.Function(lambda z: bounded_confidence(10 * z))  # zero from 0.07 on
BOUNDED = mk.kernels.Function(lambda z: jnp.minimum(jnp.sum(z**2), 0.05**2))

# kernel, space, particles, what is chosen, and what is said of it
CHOICES = {
    "few modes": (mk.kernels.Cosine(1.0), CIRCLE, 1000, Modes, "Modes: the kernel has 1 Fourier modes, few enough for"),
    "many modes, few points": (NARROW, OBLONG, 2, Modes, "few enough for 2 points"),
    "many modes, many points": (NARROW, OBLONG, 10_000, NUFFT, "Fourier modes for 10000 points"),
    "quadratic": (mk.kernels.Quadratic(1.0), PLANE, 10, PowerSums, "PowerSums: the kernel is a polynomial"),
    "power 4": (mk.kernels.PowerLaw(1.0, 4.0), PLANE, 10, PowerSums, "PowerSums: the kernel is a polynomial"),
    "polynomial": (mk.kernels.Function(quartic), PLANE, 3000, PowerSums, "PowerSums: the kernel is a polynomial"),
    "compact support": (CONFIDENCE, LINE, 20_000, Cells, "Cells: the kernel has no force beyond 0.07, where"),
    "constant at infinity": (BOUNDED, PLANE, 20_000, Cells, "Cells: the kernel has no force beyond 0.05, where"),
    "smooth": (SMOOTH, PLANE, 10_000, NUFFT, "NUFFT: the kernel is smooth"),
    "few pairs": (SMOOTH, PLANE, 2048, Direct, "Direct: 4194304 pairs are few"),
    "few pairs, singular": (mk.kernels.PowerLaw(1.0, 0.0), PLANE, 10, Direct, "Direct: 100 pairs are few"),
}


@pytest.mark.parametrize(("kernel", "space", "n", "sum_", "reason"), CHOICES.values(), ids=CHOICES.keys())
def test_choices_and_their_reasons(kernel, space, n, sum_, reason):
    mu = cloud(space, n)
    choice = choose(kernel, mu, few=costs.FEW_PAIRS)
    assert isinstance(choice.sum, sum_)
    assert reason in str(choice).splitlines()[0]
    if n < 100:
        assert choose(kernel, mu).sum == choice.sum
        assert explain(kernel, mu) == str(choice)
    if sum_ is Cells:
        assert choice.sum.radius == pytest.approx(0.07 if kernel is CONFIDENCE else 0.05, rel=1e-6)


@pytest.mark.parametrize(("n", "tolerance"), [(3000, 1e-9), (20_000, 1e-3)])
def test_a_kernel_that_is_not_smooth_at_0_is_expanded_where_the_estimate_says_so(n, tolerance):
    mu = cloud(LINE, n)
    choice = choose(mk.kernels.Morse(), mu, tolerance)
    estimates = {name: seconds for name, seconds, _ in choice.others if seconds is not None}
    assert set(estimates) == {"Direct", "FMM"}
    assert choice.sum.name == min(estimates, key=estimates.get)
    assert n < 20_000 or isinstance(choice.sum, FMM)
    why = {name: sentence for name, seconds, sentence in choice.others if seconds is None}
    assert "has a force at every distance" in why["Cells"]
    assert "not smooth" in why["NUFFT"]
    assert "no polynomial" in why["PowerSums"]


def test_what_costs_more_at_the_least_is_not_tried():
    """A tree takes 10 ms for any kernel, the pairs of 500 points a tenth of one."""
    why = {name: sentence for name, _, sentence in choose(mk.kernels.Morse(), cloud(LINE, 500)).others}
    assert "ms at least, for any kernel" in why["FMM"]


def test_densities_act_on_their_own_grid_by_fft():
    grid = PLANE.grid(6, -2.0, 2.0)
    rho = density(grid, np.full((6, 6), 1 / 16))
    assert choose(SMOOTH, rho).sum == FFT()
    assert explain(SMOOTH, rho).startswith("FFT: a density acts on its own grid")
    assert choose(SMOOTH, rho, points=grid.nodes).sum == Direct()


def test_nothing_is_planned_under_a_transformation():
    said = []

    @jax.jit
    def traced(x):
        said.append(explain(SMOOTH, mk.Particles(PLANE, x)))
        return x

    traced(cloud(PLANE, 3000).positions)
    assert said[0].startswith("Direct: the positions are not known before compilation")


def test_a_measure_without_points_needs_some():
    with pytest.raises(ValueError, match="a Gaussian measure has no points of its own: give the points"):
        choose(SMOOTH, mk.Gaussian(0.0, 1.0))


def test_a_plan_remembers_what_was_chosen():
    few = cloud(PLANE, 10)
    cases = [
        (SMOOTH, few, Direct()),
        (mk.kernels.Quadratic(1.0), few, PowerSums()),
        (mk.kernels.Morse(), few, Direct()),
        (mk.kernels.Cosine(1.0), cloud(CIRCLE, 10), Modes()),
    ]
    for kernel, mu, sum_ in cases:
        first = plan(kernel, mu)
        assert first.sum == sum_
        assert plan(first, mu).sum == first.sum


def test_what_cannot_be_planned_is_left():
    few, rho = cloud(PLANE, 10), density(PLANE.grid(6, -2.0, 2.0), np.full((6, 6), 1 / 16))
    placed = place(SMOOTH, PLANE)
    assert plan(placed, rho) is placed
    kept = []
    jax.jit(lambda x: kept.append(plan(placed, mk.Particles(PLANE, x))) or x)(few.positions)
    assert kept[0] is placed


def test_plan_takes_what_is_chosen_and_what_is_asked_for():
    mu = cloud(PLANE, 3000)
    chosen = plan(place(SMOOTH, PLANE, tolerance=1e-4), mu)
    assert isinstance(chosen.sum, NUFFT)
    assert chosen.sum.tolerance == 1e-4
    assert chosen.sum.box is not None
    assert chosen.kernel is SMOOTH
    asked = plan(place(SMOOTH, PLANE, sum=NUFFT(1e-3)), cloud(PLANE, 10))
    assert asked.sum.tolerance == 1e-3
    assert asked.sum.box is not None
    assert plan(SMOOTH, cloud(PLANE, 10_000, np.float32)).sum.tolerance == 1e-5


def test_a_trial_is_not_run_twice():
    calls = []

    @once
    def trial(kernel, extent):
        calls.append(extent)
        return extent

    for strength in (1.0, 1.0, 2.0):
        assert trial(mk.kernels.Gaussian(strength, 0.8), 4.0) == 4.0
    trial(mk.kernels.Gaussian(2.0, 0.7), 4.0)
    trial(mk.kernels.Gaussian(2.0, 0.7), 5.0)
    assert calls == [4.0, 4.0, 4.0, 5.0]
    jax.jit(lambda a: trial(mk.kernels.Gaussian(a, 0.8), 4.0))(1.0)
    assert len(calls) == 5


def test_the_sum_that_is_asked_for_is_used():
    mu = cloud(PLANE, 20)
    pull = lambda sum_: np.asarray(force(place(SMOOTH, PLANE, sum=sum_), mu, mu.positions))  # noqa: E731
    exact, rough = pull(Direct()), pull(NUFFT(1e-2))
    np.testing.assert_allclose(exact, force(SMOOTH, mu, mu.positions), rtol=1e-14)
    assert 1e-9 < np.abs(rough - exact).max() < 0.1 * np.abs(exact).max()
    assert explain(place(SMOOTH, PLANE, sum=Direct()), mu) == "Direct: it was asked for."


REFUSALS = {
    "modes on R^d": (SMOOTH, Modes(), PLANE, "the sum Modes needs the Fourier series of the kernel on a torus"),
    "nufft of a singularity": (
        mk.kernels.PowerLaw(1.0, 0.0),
        NUFFT(),
        LINE,
        "NUFFT needs a kernel that is smooth at 0",
    ),
    "nufft of a kink": (mk.kernels.Morse(), NUFFT(1e-9), LINE, "needs more than .* modes .*for a tolerance of 1e-09"),
    "nufft, unresolved": (KERNELS["onsager"].given, NUFFT(), CIRCLE, "NUFFT needs the Fourier series of the kernel"),
    "moments": (mk.kernels.Morse(), PowerSums(), PLANE, "no polynomial of degree 8 or less"),
    "moments on a torus": (
        mk.kernels.MinimalImage(mk.kernels.Quadratic()),
        PowerSums(),
        CIRCLE,
        r"PowerSums serves on R\^d",
    ),
    "cells": (SMOOTH, Cells(), LINE, "Cells needs a kernel without force from some distance on"),
    "cells, series": (
        mk.kernels.Cosine(1.0),
        Cells(1.0),
        CIRCLE,
        "without force from some distance on, which a Fourier",
    ),
    "cells, wide": (mk.kernels.MinimalImage(bounded_confidence), Cells(2.0), OBLONG, "at most half the shortest side"),
    "fmm, series": (mk.kernels.Cosine(1.0), FMM(), CIRCLE, "FMM expands a kernel in space"),
    "fmm of a kink away from 0": (CONFIDENCE, FMM(), LINE, "not touch meets the tolerance 1e-09: it is not smooth"),
    "fft": (SMOOTH, FFT(), PLANE, "FFT serves a density"),
}


@pytest.mark.parametrize(("kernel", "sum_", "space", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_sums_refuse_what_they_do_not_serve(kernel, sum_, space, message):
    mu = cloud(space, 20)
    summed = place(kernel, space, sum=sum_)
    with pytest.raises(ValueError, match=message) as caught:
        force(summed, mu, mu.positions)
    assert str(caught.value).count(". ") == 0


@pytest.mark.parametrize("sum_", [NUFFT(), FMM(), Cells()])
def test_a_sum_without_its_plan_refuses_under_a_transformation(sum_):
    go = jax.jit(lambda x: force(place(CONFIDENCE, LINE, sum=sum_), mk.Particles(LINE, x), x))
    with pytest.raises(ValueError, match=f"{sum_.name}.* needs a .*made from known positions"):
        go(cloud(LINE, 9).positions)


def test_bad_arguments():
    for tolerance in (0.0, -1.0, 0.5, 1e-15, float("nan")):
        with pytest.raises(ValueError, match="lies between 1e-15 and"):
            place(SMOOTH, PLANE, tolerance)
        with pytest.raises(ValueError, match="lies between 1e-15 and"):
            NUFFT(tolerance)
    with pytest.raises(ValueError, match="a tolerance, or a sum, which has its own"):
        place(SMOOTH, PLANE, 1e-3, Direct())
    for radius in (0.0, -1.0, float("inf")):
        with pytest.raises(ValueError, match="must be positive and finite"):
            Cells(radius)


def test_a_tolerance_and_a_sum_leave_the_kernel_as_it_is():
    kernel, z = mk.kernels.PowerLaw(1.0, 0.0), jnp.asarray([0.3, -0.2])
    assert place(kernel, PLANE, 1e-3).kernel is place(kernel, PLANE, sum=Direct()).kernel is kernel
    assert kernel(z) == kernel.value(z) == kernel.profile(jnp.sum(z**2))
    assert kernel.value(0 * z, 7.0) == 7.0
    assert place(bounded_confidence, PLANE, 1e-3).tolerance == 1e-3
    assert choose(place(SMOOTH, PLANE, 1e-3), cloud(PLANE, 3000)).sum.tolerance == 1e-3


# Trees are long programs: the force of one, the potential of another.
DERIVED = {
    "nufft, gaussian, plane": (force, potential),
    "nufft, many modes": (force, potential),
    "moments, function": (force, potential),
    "cells, plane": (force, potential),
    "fmm, periodic logarithm": (potential,),
    "fmm, morse": (force,),
}


@pytest.mark.parametrize("name", DERIVED)
def test_derivatives_are_those_of_the_direct_sum(name):
    """In positions, masses and parameters, by both modes; a derivative brings down modes: 100 tolerances."""
    entry = PLANNED_SUMS[name]
    space, kernel, plan = entry.entry.space, entry.entry.kernel, entry.plan
    exact = Modes() if isinstance(kernel, FourierSeries) else Direct()
    x, y, v = (cloud(space, 12, seed=seed).positions for seed in (0, 1, 2))
    sizes = {force: (12, space.dim), potential: 12}
    factors = {field: np.random.default_rng(3).normal(size=sizes[field]) for field in DERIVED[name]}
    w = np.full(12, 1 / 12)

    def loss(sum_, kernel, x, y, w):
        mu, summed = mk.Particles(space, y, w), Interaction(kernel, space, sum=sum_)
        return sum(jnp.sum(factor * field(summed, mu, x)) for field, factor in factors.items())

    @compiled
    def derivatives(kernel, x, y, w):
        at = (kernel, x, y, w)
        still = jax.tree.map(jnp.zeros_like, at)
        # One linearisation has both modes.
        _, tangent = jax.linearize(lambda *p: loss(plan, *p), *at)
        moved, by_plan = tangent(*still[:2], v, still[3]), jax.linear_transpose(tangent, *at)(1.0)
        by_pairs = jax.grad(lambda *p: loss(exact, *p), argnums=(0, 1, 2, 3))(*at)
        return (moved, by_plan), (jnp.sum(v * by_pairs[2]), by_pairs)

    # The loss sees parameters as arrays: strengths, ranges, coefficients.
    fast, slow = map(jax.tree.leaves, derivatives(kernel, x, y, w))
    assert len(fast) == len(slow) >= 4
    total = max(np.abs(s).max() for s in slow)
    for one, other in zip(fast, slow, strict=True):
        assert np.all(np.isfinite(one))
        assert np.abs(one - other).max() <= 100 * max(entry.tolerance, 1e-13) * total


def test_the_potential_of_a_tree_in_the_plane_has_its_derivative():
    """In sources, against the direct sum. In targets it is minus the force, and other modes are those of the circle."""
    entry = PLANNED_SUMS["fmm, morse"]
    space, kernel, plan = entry.entry.space, entry.entry.kernel, entry.plan
    x, y = (cloud(space, 12, seed=seed).positions for seed in (0, 1))
    g = jnp.asarray(np.random.default_rng(3).normal(size=12))

    @compiled
    def slopes(kernel, y, w):
        loss = lambda y, sum_: g @ potential(Interaction(kernel, space, sum=sum_), mk.Particles(space, y, w), x)  # noqa: E731
        return [jax.grad(loss)(y, sum_) for sum_ in (plan, Direct())]

    fast, slow = slopes(kernel, y, np.full(12, 1 / 12))
    assert jnp.abs(fast - slow).max() <= 100 * entry.tolerance * jnp.abs(slow).max()


@pytest.mark.parametrize("name", ["nufft, gaussian, plane", "fmm, morse", "cells, plane"])
def test_vmap_over_clouds_and_kernels_shares_the_plan(name):
    """Clouds of other extents, so that they are on other levels of the box."""
    entry = PLANNED_SUMS[name]
    space, kernel, plan = entry.entry.space, entry.entry.kernel, entry.plan
    clouds = jnp.stack([scale * cloud(space, 12, seed=3).positions for scale in (1.0, 2.0)])
    # A function without parameters has none to map over.
    kernels = jax.tree.map(lambda p: jnp.stack([p, 1.1 * p]), kernel)
    axes = (0 if jax.tree.leaves(kernel) else None, 0)

    @compiled
    def fields(kernels, clouds):
        one = lambda k, x: force(Interaction(k, space, sum=plan), mk.Particles(space, x), x)  # noqa: E731
        direct = lambda k, x: force(Interaction(k, space), mk.Particles(space, x), x)  # noqa: E731
        return jax.vmap(one, axes)(kernels, clouds), jax.vmap(direct, axes)(kernels, clouds)

    fast, slow = fields(kernels, clouds)
    tolerance = 10 * max(entry.tolerance, 1e-13)
    np.testing.assert_allclose(fast, slow, rtol=0, atol=tolerance * np.abs(slow).max())


def test_a_certificate_says_how_far_the_force_is_from_the_direct_sum():
    mu, key = cloud(PLANE, 400), jax.random.key(0)
    good = certificate(place(SMOOTH, PLANE, sum=NUFFT(1e-5)), mu, key, points=50)
    assert (good.points, good.sum, good.tolerance) == (50, "NUFFT", 1e-5)
    # 10 tolerances of the size of ∇W over pairs, which is some 4 times the size of the mean force for such a cloud.
    assert 0 < good.error <= good.largest < 4e-4
    assert str(good).startswith(f"NUFFT: error of the force {good.error:.2g} (largest")
    exact = certificate(SMOOTH, mu, key)
    assert (exact.points, exact.sum, exact.tolerance) == (256, "Direct", None)
    assert exact.largest < 1e-13
    bad = certificate(place(SMOOTH, PLANE, sum=Cells(0.3)), mu, key)
    assert bad.largest >= bad.error > 0.1
    assert certificate(mk.kernels.Cosine(1.0), cloud(CIRCLE, 30), key).sum == "Modes"


def model(sum_, rate):
    kernel = place(mk.kernels.Gaussian(0.5, 0.8), PLANE, sum=sum_)
    return mk.Model(PLANE, confinement=mk.potentials.Quadratic(rate), interaction=kernel, noise=mk.Thermal(10.0))


def test_a_cloud_that_outgrows_its_plan_is_an_error():
    """−½·4|x|² spreads as e^{4t}: five times the extent, that a plan allows for, by t = 0.41."""
    mu, path = cloud(PLANE, 30), mk.Brownian(jax.random.key(1))
    with pytest.raises(mk.RunError, match=r"the cloud has spread to 1\.\d* times the extent that .*Direct\(\)"):
        mk.evolve(model(NUFFT(1e-4), -4.0), mu, until=1.0, dt=0.01, path=path)
    mk.evolve(model(Direct(), -4.0), mu, until=1.0, dt=0.01, path=path)


@pytest.mark.parametrize("rate", [1.0, -2.0])
def test_a_run_by_nufft_is_the_run_by_pairs(rate):
    """The error of the force, 10 tolerances of |∇W| ≤ 0.38, for a time 0.5; it grows by 2|∇²W| + |rate| ≤ 3.6."""
    mu, path = cloud(PLANE, 60), mk.Brownian(jax.random.key(1))
    ends = [mk.evolve(model(s, rate), mu, until=0.5, dt=0.05, path=path).final for s in (NUFFT(1e-7), Direct())]
    difference = np.abs(ends[0].positions - ends[1].positions).max()
    assert 0 < difference <= 10 * 1e-7 * 0.38 * 0.5 * np.exp(3.6 * 0.5)


def test_a_polynomial_of_the_overlap_is_summed_by_its_moments():
    """Rods on S²: W is of degree 4 in the difference of two points, and the sum over pairs is one over few."""
    model = mk.catalogue.nematic().model
    tokens = mk.VonMisesFisher(model.space, [0.0, 0.0, 1.0], 0.8).sample(jax.random.key(0), 3000)
    planned = mk.interactions.plan(model.interaction, tokens)
    assert isinstance(planned.sum, PowerSums)
    pairs = mk.interactions.place(model.interaction.kernel, model.space, sum=mk.interactions.Direct())
    fast, slow = (mk.interactions.force(one, tokens, tokens.positions) for one in (planned, pairs))
    np.testing.assert_allclose(fast, slow, atol=1e-12)
