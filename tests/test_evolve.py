"""The one time loop: what it promises of every scheme in the table, and what it does by itself."""

import os
import pickle
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diffrax import Heun
from schemes import CIRCLE, CLOUD, LINE, TABLE, linear, probe

import mckean as mk
from mckean.dynamics import loop

EULER = TABLE[0]

every_scheme = pytest.mark.parametrize("entry", TABLE, ids=lambda entry: entry.name)


def look(model, mu):
    return probe(mu)


LOOK = {"look": look}


def arrays(tree) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array)]


def assert_bitwise(one, other):
    for a, b in zip(arrays(one), arrays(other), strict=True):
        np.testing.assert_array_equal(a, b)


def mass(mu) -> float:
    if isinstance(mu, mk.Density):
        return float(mu.mass)
    weights = getattr(mu, "weights", None)
    return 1.0 if weights is None else float(jnp.sum(weights))


@every_scheme
def test_promises(entry):
    """Mass, order and the bitwise promises: the end does not depend on how the run is cut, repeated or looked at."""
    watched = entry.run(60, observe=LOOK, every=1)
    assert entry.scheme.order == entry.order
    assert abs(mass(watched.final) - mass(entry.measure)) < 1e-13
    assert_bitwise(watched, entry.run(60, observe=LOOK, every=1))
    np.testing.assert_allclose(watched.times, entry.dt * np.arange(61), rtol=1e-15)
    # In pieces of 1, 1, …, 5 and 5 steps.
    part = entry.run(5).final
    rest = entry.run_of(entry.model, part, 55, first=5, observe=LOOK)
    assert_bitwise(rest.final, watched.final)
    seen = watched.observed["look"]
    np.testing.assert_allclose(rest.observed["look"], [seen[5], seen[60]], rtol=1e-13)
    assert np.ptp(seen) > 1e-4


@every_scheme
def test_precision_follows_the_measure(entry):
    """Single precision in, single precision out, observables included, although the default here is double."""
    single = mk.measures.cast(entry.measure, jnp.float32)
    run = jax.eval_shape(lambda mu: entry.run_of(entry.model, mu, 2, observe=LOOK), single)
    assert {leaf.dtype for leaf in jax.tree.leaves((run.final, run.observed))} == {jnp.dtype("float32")}


@pytest.mark.parametrize("entry", [e for e in TABLE if not e.variant], ids=lambda entry: entry.name)
def test_transformations(entry):
    """vmap over a parameter and a key is a loop, and the gradient of a run is that of finite differences."""
    step = 1e-4

    def run(theta, key):
        return entry.run_of(entry.make(theta), entry.measure, 4, key=key, observe=LOOK).observed["look"][-1]

    thetas = entry.theta + step * jnp.array([0.0, 1.0, -1.0, 500.0])
    keys = jax.random.split(jax.random.key(3), 4)[jnp.array([0, 0, 0, 1])]
    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(run)))(thetas, keys)
    np.testing.assert_allclose(values, [run(*pair) for pair in zip(thetas, keys, strict=True)], rtol=0, atol=1e-14)
    # The difference quotient errs by f'''h²/6 ~ 1e-9 and by rounding, 1e-16/h = 1e-12.
    assert abs(gradients[0] - (values[1] - values[2]) / (2 * step)) < 1e-8
    assert abs(gradients[0]) > 1e-6


@pytest.mark.parametrize("every", [1, 3, 4, 7, 21, 84])
def test_records(every):
    """Short periods are gathered into chunks, long ones cut: times, values and the end are the same."""
    dense = EULER.run(84, first=5, observe=LOOK, every=1)
    run = EULER.run(84, first=5, observe=LOOK, every=every)
    assert_bitwise(run.final, dense.final)
    np.testing.assert_array_equal(run.times, dense.times[::every])
    np.testing.assert_allclose(run.observed["look"], dense.observed["look"][::every], rtol=1e-14)
    assert run.times[0] == 5 * EULER.dt


def test_only_the_ends_are_recorded_where_nothing_is_said():
    run = EULER.run(42, observe=LOOK)
    assert run.times.tolist() == [0, 42 * EULER.dt]
    np.testing.assert_allclose(run.observed["look"], [probe(EULER.measure), probe(run.final)], rtol=1e-14)
    assert EULER.run(42).observed == {}


def interrupt_after(chunks, monkeypatch):
    """Ctrl-C while the state of a later chunk is being judged."""
    judge, calls = loop._judge, []

    def interrupting(*arguments):
        calls.append(arguments)
        if len(calls) > chunks:
            raise KeyboardInterrupt
        judge(*arguments)

    monkeypatch.setattr(loop, "_judge", interrupting)


@pytest.mark.parametrize("watch", [{}, {"observe": LOOK}], ids=["plain", "watched"])
@pytest.mark.parametrize("options", [{}, {"every": 3}, {"every": 21}], ids=str)
def test_an_interrupted_run_can_go_on(options, watch, monkeypatch):
    """What was done is whole, its records are as long as its times, and it goes on to the same end, bitwise."""
    options = options | watch
    whole = EULER.run(84, **options)
    with monkeypatch.context() as patch:
        interrupt_after(3, patch)
        with pytest.raises(mk.Interrupted, match=r"interrupted at time 0\.") as stop:
            EULER.run(84, **options)
    part = stop.value.trajectory
    done = round(float(part.times[-1]) / EULER.dt)
    assert 3 <= done < 84
    assert isinstance(stop.value, KeyboardInterrupt)
    if watch:
        assert part.observed["look"].shape == part.times.shape
        np.testing.assert_allclose(part.observed["look"][-1], probe(part.final), rtol=1e-14)
    rest = EULER.run_of(EULER.model, part.final, 84 - done, first=done)
    assert_bitwise(rest.final, whole.final)
    part.to_xarray()


def test_a_trajectory_is_pickled_though_its_model_is_not():
    """How it was made goes along in words, which were not written before."""
    model = mk.Model(LINE, confinement=lambda x: x[0] ** 2 / 2)
    run = mk.evolve(model, mk.Particles(LINE, [[1.0]]), until=0.1, dt=0.1)
    back = pickle.loads(pickle.dumps(run))
    assert back.made == run.made
    assert dict(back.made)["dt"] == "0.1"
    assert_bitwise(back.final, run.final)


def test_pressing_twice_in_a_callback_loses_nothing():
    """Ctrl-C twice while a callback of an observable runs, in the program and again while the run is saved."""
    seen = []

    def press(value):
        seen.append(value)
        if len(seen) in (30, 31):
            os.kill(os.getpid(), signal.SIGINT)

    def watched(model, mu):
        jax.debug.callback(press, probe(mu), ordered=True)
        return probe(mu)

    options = {"observe": {"look": watched}, "every": 3}
    with pytest.raises(mk.Interrupted) as stop:
        EULER.run(420, **options)
    part = stop.value.trajectory
    done = round(float(part.times[-1]) / EULER.dt)
    assert 0 < done < 420
    assert part.observed["look"].shape == part.times.shape
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert_bitwise(EULER.run_of(EULER.model, part.final, 420 - done, first=done).final, EULER.run(420).final)


def test_an_endless_run_begins_at_once_and_can_be_stopped(monkeypatch):
    """10¹² steps are not laid out before the first, and a chunk of them takes about a second, not a twentieth."""
    learn, lengths = loop.Pace.learn, []

    def pressing(pace, chunk, seconds):
        learn(pace, chunk, seconds)
        lengths.append(pace.allowed)
        if len(lengths) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(loop.Pace, "learn", pressing)
    with pytest.raises(mk.Interrupted) as stop:
        EULER.run(10**12)
    assert round(float(stop.value.trajectory.times[-1]) / EULER.dt) == 1 + 1 + lengths[1]
    assert 1 < lengths[1] <= 10**9


def test_a_run_goes_on_from_a_time_in_single_precision():
    """A recorded time is rounded to the default precision, and is a multiple of dt all the same."""
    with jax.enable_x64(False):
        model, path = linear(0.5), mk.Brownian(jax.random.key(0))
        start = mk.Particles(LINE, jnp.linspace(-1, 1, 4)[:, None])
        whole = mk.evolve(model, start, until=0.9, dt=0.003, path=path)
        part = mk.evolve(model, start, until=0.3, dt=0.003, path=path)
        rest = mk.evolve(model, part.final, start=float(part.times[-1]), until=0.9, dt=0.003, path=path)
    assert whole.final.positions.dtype == jnp.float32
    assert_bitwise(rest.final, whole.final)


def test_progress_needs_no_terminal(capsys):
    assert_bitwise(EULER.run(42, progress=True).final, EULER.run(42).final)
    assert "evolve" in capsys.readouterr().out


def test_parameters_do_not_compile_again():
    """Three temperatures, steps and lengths of run are one compilation."""
    traces = []

    def potential(x):
        traces.append(x)
        return jnp.cos(x[0])

    models = [mk.langevin(CIRCLE, potential, beta=beta) for beta in (1.0, 2.0, 3.0)]
    built = counted = len(traces)
    for model, dt, steps in zip(models, (0.01, 0.01, 0.02), (40, 40, 60), strict=True):
        mk.evolve(model, CLOUD, until=steps * dt, dt=dt, path=mk.Brownian(jax.random.key(0)))
        assert len(traces) == counted or counted == built
        counted = len(traces)
    assert counted > built


@pytest.mark.parametrize(
    ("observe", "sentence"),
    [
        ({"m": lambda mu: mu.positions}, r"is a function of \(model, measure\)"),
        ({"r": mk.observables.order_parameter}, r"made by a call, as order_parameter\(1\) is"),
        ({"c": mk.observables.clusters}, "made by a call"),
        ({"r": mk.observables.zonal}, "made by a call"),
    ],
)
def test_what_is_no_observable_is_refused(observe, sentence):
    with pytest.raises(ValueError, match=sentence):
        mk.evolve(mk.langevin(CIRCLE), CLOUD, until=1.0, dt=0.5, path=mk.Brownian(jax.random.key(0)), observe=observe)


def test_snapshots():
    cloud = mk.Particles(LINE, jnp.arange(3.0)[:, None])
    model = mk.langevin(LINE, beta=jnp.inf)
    run = mk.evolve(model, cloud, until=1.0, dt=0.5, observe={"x": mk.observables.positions})
    np.testing.assert_array_equal(run.observed["x"], np.broadcast_to(cloud.positions, (2, 3, 1)))
    rho = mk.Density.from_function(CIRCLE.grid(8), lambda x: 1 + 0.5 * jnp.cos(x[0]))
    np.testing.assert_array_equal(mk.observables.density(model, rho), rho.values)
    with pytest.raises(ValueError, match="sample it first"):
        mk.observables.positions(model, rho)
    with pytest.raises(ValueError, match="deposit or smooth it first"):
        mk.observables.density(model, cloud)


def test_a_parameter_of_an_observable_alone_is_traced():
    """Nothing that the run is made of is traced, but a function that it calls holds a tracer."""
    run = lambda k: EULER.run(4, observe={"wave": lambda model, mu: mu.integrate(lambda x: jnp.cos(k * x[0]))}, every=1)  # noqa: E731
    found = jax.vmap(lambda k: run(k).observed["wave"])(jnp.arange(1.0, 3.0))
    for k, values in zip((1.0, 2.0), found, strict=True):
        np.testing.assert_allclose(values, run(k).observed["wave"], rtol=1e-12)


def test_records_of_short_chunks_do_not_hold_the_room_of_long_ones(monkeypatch):
    """Of slow steps a chunk makes one record, with room for many: what is kept is the record alone."""
    monkeypatch.setattr(loop, "_SECONDS", 1e-9)
    kept = []
    join = loop._join
    monkeypatch.setattr(loop, "_join", lambda pieces: kept.extend(pieces) or join(pieces))
    EULER.run(400, observe=LOOK, every=1)
    assert all(piece["look"].base is None for piece in kept[1:])


@pytest.mark.parametrize("observed", [True, False])
@pytest.mark.parametrize("stride", [1, 3, 50, 700])
def test_chunks_of_steps_of_any_speed_meet_every_record(stride, observed):
    """Steps that take from 10 µs to 10 s in turn: a chunk goes on from the last, and passes over no record."""
    rng = np.random.default_rng(stride)
    plan = loop.Plan(0, 20 * stride, stride, 0.1)
    pace, done = loop.Pace(plan, observed), 0
    while done < plan.steps:
        chunk = pace.next(done)
        assert chunk.done == done < chunk.end <= plan.steps
        if observed:
            # As many records as there is room for, from that of the period under way on.
            assert chunk.end <= (done // stride + (pace.most if chunk.inside else 1)) * stride
        pace.learn(chunk, (chunk.end - done) * 10 ** rng.uniform(-5, 1))
        done = chunk.end


def by_heun(k):
    model = mk.langevin(LINE, mk.potentials.Quadratic(k), beta=jnp.inf)
    return jnp.sum(
        mk.evolve(model, mk.Particles(LINE, jnp.ones((1, 1))), until=0.2, dt=0.1, scheme=Heun()).final.positions
    )


def by_moments(k):
    model = mk.langevin(LINE, mk.potentials.Quadratic(k), beta=2.0)
    return mk.evolve(model, mk.Gaussian(1.0, 1.0), until=0.2, dt=0.1, scheme=Heun()).final.mean[0]


@pytest.mark.parametrize("run", [by_heun, by_moments])
def test_runs_have_derivatives_both_ways(run):
    """Heun's step multiplies x by 1 − kh + k²h²/2; diffrax's own loop over stages has no forward derivative."""
    k, h = 1.5, 0.1
    expected = 2 * (1 - k * h + 0.5 * (k * h) ** 2) * (-h + k * h**2)
    value = jax.jit(lambda k: (jax.jvp(run, (k,), (1.0,))[1], jax.grad(run)(k)))(k)
    np.testing.assert_allclose(value, expected, rtol=1e-12)


def test_a_scheme_without_a_forward_derivative_says_so():
    rho = mk.Density.from_function(CIRCLE.grid(8), lambda x: 1 + 0.5 * jnp.cos(x[0]))

    def run(k):
        model = mk.langevin(CIRCLE, lambda x: k * jnp.cos(x[0]), common=mk.Additive(0.3))
        return mk.evolve(
            model, rho, until=0.1, dt=0.1, path=mk.Brownian(jax.random.key(0)), scheme=mk.FiniteVolume()
        ).final.values[0]

    with pytest.raises(ValueError, match="no forward derivative, which jvp and tangents need: take grad or vjp"):
        jax.jvp(run, (1.0,), (1.0,))
