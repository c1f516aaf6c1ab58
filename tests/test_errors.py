"""Bad input is one sentence with the cause and the mend, before anything runs; a bad run says where it went wrong."""

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from schemes import (
    BOX,
    BUMP,
    CIRCLE,
    CLOUD,
    LINE,
    SQUARE,
    ito,
    linear,
    ripple,
    stratonovich,
    thermal,
    wells,
)

import mckean as mk

PATH = mk.Brownian(jax.random.key(0))
DOTS = mk.Particles(LINE, jnp.linspace(-1.0, 1.0, 5)[:, None])
SPAN = {"until": 1.0, "dt": 0.1}


def refused(message, model, measure, **options):
    """The call is refused with one sentence (which may have a mend after a colon or a semicolon)."""
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        mk.evolve(model, measure, **(SPAN | {"path": PATH} | options))
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dt": 0.0}, "the step dt must be positive, but 0.0 was given."),
        ({"dt": -0.1}, "the step dt must be positive, but -0.1"),
        ({"dt": jnp.nan}, "the step dt must be positive, but nan"),
        ({"dt": 0.3}, "dt = 0.3 must divide until − start = 1."),
        ({"dt": 2.0}, "dt = 2 must divide until − start = 1."),
        ({"start": 0.05, "until": 1.05}, "dt = 0.1 must divide start = 0.05."),
        ({"start": 1.0}, "the run must end after its start, but until = 1, start = 1."),
        ({"until": jnp.inf}, "the run must end after its start, but until = inf"),
        ({"every": 3}, "every = 3 must divide the number of steps, 10."),
        ({"every": 0}, "every must be a positive number of steps, but 0"),
        ({"every": True}, "every must be a positive number of steps, but True"),
        ({"path": None}, "this model has noise: give the run a path, path=Brownian(jax.random.key(seed))."),
        ({"observe": {"time": ripple}}, "an observable cannot be called 'time', which names a coordinate"),
        ({"observe": {"final_mean": ripple}}, "an observable cannot be called 'final_mean'"),
        (
            {"scheme": mk.Spectral()},
            "the scheme Spectral moves Density on a Fourier grid, but the measure is Particles.",
        ),
        (
            {"scheme": mk.FiniteVolume()},
            "FiniteVolume moves Density on a box or a Fourier grid, but the measure is Particles.",
        ),
        ({"scheme": mk.Moments()}, "the scheme Moments moves Gaussian, but the measure is Particles."),
    ],
)
def test_arguments_that_do_not_fit(options, message):
    refused(message, thermal(0.8), CLOUD, **options)


def test_what_no_checker_of_types_has_seen():
    """As a user calls it, without the import hook of these tests: each line that is printed is a fault."""
    table = Path(__file__).with_name("refusals.py")
    # XLA prints a page where it loads a program that is kept.
    alone = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "0"}
    done = subprocess.run([sys.executable, table], capture_output=True, text=True, check=False, env=alone)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("observe", "name"),
    [
        ({"a": lambda model, mu: {"b": 1.0}, "a.b": lambda model, mu: 2.0}, "a.b"),
        ({"a": lambda model, mu: 1j * mu.positions, "a.real": lambda model, mu: 2.0}, "a.real"),
        ({"a": lambda model, mu: mu.positions, "a_axis0": lambda model, mu: 2.0}, "a_axis0"),
    ],
)
def test_observables_whose_variables_would_have_one_name(observe, name):
    refused(f"two of the observables would be called '{name}'", STEEP, DOTS, observe=observe)


def test_an_observable_that_is_no_number_is_told_of():
    """√(0.75 − x) of a particle that is at 0.6 + t."""
    model = mk.Model(LINE, drift=lambda x, mu: jnp.ones(1))
    root = lambda model, mu: jnp.sqrt(0.75 - mu.positions[0, 0])  # noqa: E731
    with pytest.warns(RuntimeWarning, match=r"the observable 'root' is not a number at t = 0\.2\."):
        run = mk.evolve(
            model, mk.Particles(LINE, jnp.array([[0.6]])), until=0.4, dt=0.1, every=1, observe={"root": root}
        )
    assert np.isnan(run.observed["root"]).tolist() == [False, False, True, True, True]


def test_complex_observables_are_two_variables(tmp_path):
    import xarray as xr

    phase = lambda model, mu: jnp.mean(jnp.exp(1j * mu.positions))  # noqa: E731
    run = mk.evolve(STEEP, DOTS, observe={"z": phase}, **SPAN, path=PATH)
    run.to_xarray().to_netcdf(tmp_path / "run.nc")
    with xr.open_dataset(tmp_path / "run.nc") as data:
        np.testing.assert_array_equal(data["z.real"] + 1j * data["z.imag"], run.observed["z"])


@pytest.mark.parametrize(
    ("solver", "model", "message"),
    [
        (diffrax.SPaRK(), stratonovich, "SPaRK needs a Lévy area"),
        (diffrax.ShARK(), thermal, "ShARK needs a Lévy area"),
        (diffrax.SRA1(), thermal, "SRA1 needs a Lévy area"),
        (diffrax.SEA(), thermal, "SEA needs a Lévy area"),
        (diffrax.SlowRK(), thermal, "SlowRK needs a Lévy area"),
        (diffrax.GeneralShARK(), thermal, "GeneralShARK needs a Lévy area"),
        (diffrax.ALIGN(), thermal, "ALIGN needs a Lévy area"),
        (diffrax.ShOULD(), thermal, "ShOULD needs a Lévy area"),
        (diffrax.QUICSORT(), thermal, "QUICSORT needs a Lévy area"),
        (diffrax.ImplicitEuler(), thermal, "ImplicitEuler is implicit"),
        (diffrax.Kvaerno5(), thermal, "Kvaerno5 is implicit"),
        (diffrax.KenCarp4(), thermal, "KenCarp4 is implicit"),
        (diffrax.Sil3(), thermal, "Sil3 is implicit"),
        (diffrax.HalfSolver(diffrax.Euler()), thermal, "HalfSolver wraps another solver"),
        (diffrax.SemiImplicitEuler(), thermal, "SemiImplicitEuler is for partitioned"),
        (diffrax.LeapfrogMidpoint(), thermal, "LeapfrogMidpoint keeps a state from step to step"),
        (diffrax.ReversibleHeun(), thermal, "ReversibleHeun keeps a state from step to step"),
        (diffrax.Dopri5(), thermal, "Dopri5 is for ordinary differential equations, but this model has noise."),
        (diffrax.Euler(), stratonovich, "Euler converges to the Ito solution, but the model's noise is meant"),
        (
            diffrax.ItoMilstein(),
            stratonovich,
            'in the sense of Stratonovich: mckean.convert(model, "ito") says the same',
        ),
        (diffrax.Heun(), ito, "Heun converges to the Stratonovich solution"),
        (diffrax.EulerHeun(), ito, 'in the sense of Ito: mckean.convert(model, "stratonovich") says'),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, diffrax.AbstractSolver) else "",
)
def test_solvers_that_do_not_fit(solver, model, message):
    refused(message, model(0.8), CLOUD, scheme=solver)


@pytest.mark.parametrize("solver", [diffrax.EulerHeun(), diffrax.ItoMilstein(), diffrax.StratonovichMilstein()])
def test_solvers_that_need_a_noise(solver):
    message = f"the solver {type(solver).__name__} needs a noise, but this model has none."
    refused(message, mk.langevin(CIRCLE, beta=jnp.inf), CLOUD, scheme=solver)
    message = f"moments follow an ordinary differential equation; the solver {type(solver).__name__} needs a noise."
    refused(message, linear(0.5), mk.Gaussian(0.0, 1.0), scheme=solver)


TESSERACT = mk.Density.from_function(mk.Euclidean(4).grid(4, -1.0, 1.0), lambda x: 1.0 + 0 * x[0])
SPREAD = mk.Model(LINE, noise=mk.Multiplicative(ripple))
NORMAL = mk.Gaussian(0.0, 1.0)
STEEP = mk.langevin(LINE, mk.potentials.DoubleWell())
REFUSALS = {
    "solver for a density": (thermal(0.8), BUMP, "Euler moves particles, but the measure is a Density: use Spectral()"),
    "scheme for another grid": (linear(0.5), BOX, "but the measure is Density on a BoxGrid."),
    "law": (thermal(0.8), mk.VonMises(CIRCLE), "VonMises cannot be evolved: sample it (Particles), put it on a grid"),
    "other space": (linear(0.5), CLOUD, "the model lives on Euclidean(dim=1), but the measure on Torus(dim=1"),
    "other dimension": (linear(0.5), SQUARE, "lives on Euclidean(dim=1), but the measure on Euclidean(dim=2)"),
    "four dimensions": (mk.langevin(TESSERACT.domain), TESSERACT, "finite volumes are built for dimension 1, 2 and 3"),
    "noise on a box": (SPREAD, BOX, "finite volumes take thermal noise or none"),
    "Stratonovich density": (stratonovich(0.8), BUMP, "is written for an own noise in the sense of Itô, but"),
    "noisy moments": (SPREAD, NORMAL, "a Gaussian law stays Gaussian under additive noise only"),
    "pressure of particles": (
        mk.Model(LINE, internal=mk.PorousMedium()),
        DOTS,
        "ParticleScheme does not know an internal energy",
    ),
    "not affine": (STEEP, NORMAL, "the moments of this model do not close: its drift is not affine in x."),
    "not quadratic": (wells(0.8), NORMAL, "has no closed form for a Gaussian measure"),
}
SCHEMES = {"solver for a density": diffrax.Euler(), "scheme for another grid": mk.Spectral()}


@pytest.mark.parametrize("name", REFUSALS)
def test_models_and_measures_that_do_not_fit(name):
    model, measure, message = REFUSALS[name]
    refused(message, model, measure, scheme=SCHEMES.get(name))


@pytest.mark.parametrize("measure", [DOTS, BOX], ids=["particles", "density"])
def test_a_potential_that_is_not_a_number_says_where(measure):
    """log(x − ½) is no number for x ≤ ½: the first such point is named, and how many there are."""
    points = np.asarray(measure.positions if measure is DOTS else measure.grid.nodes)[:, 0]
    count = f"{np.sum(points <= 0.5)} of the {points.size} points"
    message = f"is not finite at {count} of the initial state; the first is ({points[0]:.6g})."
    refused(message, mk.langevin(LINE, lambda x: jnp.log(x[0] - 0.5) ** 3), measure)


@pytest.mark.parametrize("observe", [{}, {"x": mk.observables.mean}])
def test_a_run_that_blows_up_says_when(observe):
    """Euler for x′ = x³ with long steps: the step and the time are those of a loop by hand, not the end of a chunk."""
    model, x, step = mk.Model(LINE, drift=lambda x, mu: x**3), np.linspace(-1.0, 1.5, 5), 0
    start = mk.Particles(LINE, x[:, None])
    with np.errstate(over="ignore", invalid="ignore"):
        while np.isfinite(x).all():
            x, step = x + 0.1 * x**3, step + 1
    assert step % 8 != 0
    with pytest.raises(mk.RunError, match=rf"non-finite: .* \(step {step + 20}, t = ") as error:
        mk.evolve(model, start, start=2.0, until=18.0, dt=0.1, observe=observe)
    assert (error.value.step, error.value.time) == (step + 20, pytest.approx(0.1 * (step + 20)))
    assert isinstance(error.value, ArithmeticError)


def test_particles_that_step_over_a_barrier_are_stopped():
    """Beyond the end of V = −log(1.5 − x) the force is finite again: 1.4 goes to 1.4 + 0.1(13 − 10) = 1.7 unharmed."""
    model = mk.Model(LINE, confinement=lambda x: -jnp.log(1.5 - x[0]), drift=lambda x, mu: jnp.full(1, 13.0))
    with pytest.raises(mk.RunError, match=r"V or W is not finite at a share of 0\.5 of the particles, .* t = 0\.1\)"):
        mk.evolve(model, mk.Particles(LINE, jnp.array([[0.0], [1.4]])), until=0.1, dt=0.1)


def test_a_run_under_a_transformation_that_blows_up_is_an_error():
    model = mk.Model(LINE, drift=lambda x, mu: x**3)

    def end(x):
        return mk.evolve(model, mk.Particles(LINE, x), until=10.0, dt=0.1).final.positions

    with pytest.raises(RuntimeError, match="the state became non-finite"):
        jax.block_until_ready(jax.jit(end)(jnp.full((2, 1), 1.5)))


def test_a_density_too_sharp_for_its_grid_is_stopped():
    """A steep potential on 8 nodes: the truncated series goes negative, by more than the scheme lets pass."""
    model = mk.langevin(CIRCLE, lambda x: -jnp.cos(x[0]), beta=30.0)
    start = mk.Density.from_function(CIRCLE.grid(8), lambda x: 1 + 0.5 * jnp.cos(x[0]))
    with pytest.raises(mk.RunError, match=r"fell below zero, to \S+ of its maximum: the grid is too coarse") as error:
        mk.evolve(model, start, until=4.0, dt=0.05)
    assert 0 < error.value.time <= 4.0


def test_mass_at_the_walls_is_stopped():
    """A packet carried to the wall: the message has the mass that is there."""
    start = mk.Density.from_function(LINE.grid(32, -4.0, 4.0), lambda x: jnp.exp(-4 * x[0] ** 2))
    model = mk.langevin(LINE, lambda x: -2 * x[0], beta=4.0)
    with pytest.raises(
        mk.RunError, match=r"a mass of \S+ stands at the walls of the box, .* edge_tolerance=math\.inf"
    ) as error:
        mk.evolve(model, start, until=4.0, dt=0.05)
    at_wall = mk.evolve(
        model, start, until=error.value.time, dt=0.05, scheme=mk.FiniteVolume(edge_tolerance=jnp.inf)
    ).final.values
    assert f"{float(at_wall[0] + at_wall[-1]) / 4:.3g}" in str(error.value)


def test_an_explicit_step_that_becomes_too_long_is_stopped():
    """The bound is known for the start alone: a drift that grows with the spread breaks it on the way."""

    def drift(x, mu):
        return 30 * mu.integrate(lambda y: y[0] ** 2) * jnp.sin(3 * x)

    start = mk.Density.from_function(LINE.grid(32, -4.0, 4.0), lambda x: jnp.exp(-40 * x[0] ** 2))
    explicit = mk.FiniteVolume("explicit", edge_tolerance=jnp.inf)
    with pytest.raises(mk.RunError, match=r"fell below zero, by \S+: dt exceeds the bound of explicit finite volumes"):
        mk.evolve(mk.Model(LINE, drift=drift, noise=mk.Thermal(2.0)), start, until=4.0, dt=0.04, scheme=explicit)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mk.observables.moment(0), "the order of a moment is a positive integer, not 0."),
        (lambda: mk.observables.mode(1.5), "a Fourier mode is an integer or d of them, not 1.5."),
        (lambda: mk.observables.mean(thermal(0.8), CLOUD), "the mean has no meaning on a torus; take Fourier modes"),
        (lambda: mk.observables.moment(2)(thermal(0.8), CLOUD), "a moment has no meaning on a torus"),
        (
            lambda: mk.observables.mode(1)(linear(0.5), DOTS),
            "modes belong to a torus, not to Euclidean(dim=1).",
        ),
        (lambda: mk.observables.mode((1, 2))(thermal(0.8), CLOUD), "has 1 entries, not 2."),
        (lambda: mk.observables.ito(jnp.sum)(thermal(0.8), BUMP), "the Itô decomposition is that of particles"),
        (
            lambda: mk.observables.ito(jnp.sum)(stratonovich(0.8), CLOUD),
            "is written for Itô noise, but",
        ),
        (lambda: mk.observables.entropy(linear(0.5), DOTS), "the entropy needs a density, and Particles has none"),
    ],
)
def test_observables_that_have_no_meaning(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


FAR = mk.Particles(LINE, jnp.full((4, 1), 900.0, "float32"))
ONE = mk.Particles(LINE, jnp.full((4, 1), 1.0, "float32"))
DRIFT = mk.Model(LINE, drift=lambda x, mu: jnp.ones_like(x))
LOST = {
    "drift": (DRIFT, FAR, 2.0**-10, r"steps of 0\.00098 .* which is 6\.1e-05 at \|x\| = 900,"),
    "drift of a spacing": (DRIFT, FAR, 2.0**-13, r"steps of 0\.00012 .* which is 6\.1e-05 at \|x\| = 900,"),
    "frozen": (mk.langevin(LINE, lambda x: x[0], beta=jnp.inf), ONE, 2.0**-25, r"which is 1\.2e-07 at \|x\| = 1,"),
    "noise": (mk.Model(LINE, noise=mk.Additive(1e-3)), FAR, 2.0**-14, r"steps of 7\.8e-06 .* which is 6\.1e-05"),
}


@pytest.mark.parametrize("name", LOST)
def test_steps_that_rounding_changes_are_told_of(name):
    """A step of r spacings may lose a part 1/2r of itself; below a half it is none."""
    model, start, dt, message = LOST[name]
    with pytest.warns(RuntimeWarning, match=message):
        mk.evolve(model, start, until=2**13 * dt, dt=dt, path=PATH)


def test_steps_that_are_resolved_are_not():
    """33 spacings; a noise of 2 spacings beside a small drift; and no drift at all."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        mk.evolve(DRIFT, FAR, until=1.0, dt=2.0**-8, path=PATH)
        mk.evolve(mk.langevin(LINE, lambda x: x[0], beta=2.0), ONE, until=2.0**-17, dt=2.0**-22, path=PATH)
        mk.evolve(mk.Model(LINE, drift=lambda x, mu: 0 * x), FAR, until=1.0, dt=2.0**-10, path=PATH)
    assert not told
