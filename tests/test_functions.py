"""Functions of the user's: traced values that they refer to are parameters, and two that are written alike are one."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tables import CIRCLE, LINE

import mckean as mk
from mckean.interactions.functions import Closure, Static, as_module

RATE = 2.0
PATH = mk.Brownian(jax.random.key(0))
CLOUD = mk.Particles(LINE, jnp.linspace(-1.0, 1.0, 6)[:, None])
SPAN = {"until": 0.3, "dt": 0.1, "path": PATH}


def scaled(k):
    return lambda x: k * x[0] ** 2


def squared(x):
    return x[0] ** 2


def by_helper(k):
    helper = lambda x: k * squared(x)  # noqa: E731
    return lambda x: 1.0 * helper(x)


def by_default(k):
    return lambda x, k=k: k * x[0] ** 2


def by_global():
    return lambda x: RATE * x[0] ** 2


def test_a_name_may_be_defined_later():
    """A function that is frozen as it is seen first would not find it."""
    function = lambda x: LATER * x[0] ** 2  # noqa: E731  # pyright: ignore[reportUndefinedVariable]
    kept = as_module(function)
    function.__globals__["LATER"] = 3.0
    try:
        assert kept(jnp.ones(1)) == 3.0
    finally:
        del function.__globals__["LATER"]


WRITTEN = {"cell": scaled, "helper": by_helper, "default": by_default}


@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN.keys())
def test_functions_written_alike_are_one(write):
    assert as_module(write(2.0)) == as_module(write(2.0))
    others = [2, 3.0, np.float32(2.0), jnp.asarray(2.0), jnp.asarray(2.0, jnp.float32), -2.0]
    made = [as_module(write(k)).function for k in (2.0, *others)]
    assert len(set(map(id, made))) == len(made)
    assert as_module(write(0.0)) != as_module(write(-0.0))
    assert as_module(write(1)) != as_module(write(True))
    assert as_module(write(jnp.ones(3))) == as_module(write(jnp.ones(3)))
    assert as_module(write(3.0))(jnp.asarray([2.0])) == 12.0


def test_names_of_the_module_are_told_apart_by_what_they_hold(monkeypatch):
    first = as_module(by_global())
    assert as_module(by_global()) == first
    monkeypatch.setattr(f"{__name__}.RATE", 3.0)
    assert as_module(by_global()) != first
    # No later assignment reaches what stands for the functions of the first kind.
    assert first(jnp.asarray([1.0])) == 2.0


def test_a_cell_that_is_filled_anew_is_another_value():
    made = []
    for k in (1.0, 2.0, 1.0):
        made.append(as_module(lambda x: k * x[0]))  # noqa: B023
    assert made[0] == made[2] != made[1]
    assert [f(jnp.ones(1)) for f in made] == [1.0, 2.0, 1.0]


def test_what_may_change_is_never_shared():
    for held in (np.ones(1), [1.0], {"k": 1.0}, object()):
        assert as_module(scaled(held)) != as_module(scaled(held))
    known = scaled(held)
    assert as_module(known) == as_module(known)
    known.note = "mine"
    assert as_module(known).function is known


def test_a_module_and_a_partial_of_jax_are_as_they_are():
    module = mk.potentials.Quadratic(2.0)
    partial = jax.tree_util.Partial(lambda k, x: k * x[0], jnp.asarray(2.0))
    assert as_module(module) is module
    assert as_module(partial) is partial
    assert isinstance(as_module(functools.partial(lambda k, x: k * x[0], 2.0)), Static)


@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN.keys())
def test_traced_values_are_parameters(write):
    seen = []

    def f(k):
        module = as_module(write(k))
        seen.append((type(module), len(jax.tree.leaves(eqx.filter(module, eqx.is_array)))))
        return module(jnp.asarray([3.0]))

    assert jax.grad(f)(2.0) == 9.0
    assert seen == [(Closure, 1)]
    by_partial = lambda k: as_module(functools.partial(lambda k, x: k * x[0] ** 2, k))(jnp.asarray([3.0]))  # noqa: E731
    assert jax.grad(by_partial)(2.0) == 9.0


def hidden(k):
    """Every place for a function, each with the parameter in a closure; nothing else that JAX sees is traced."""
    sigma = mk.Multiplicative(lambda x, mu: 0.1 * k * (1 + x[0] ** 2))
    common = mk.Isotropic(lambda mu: 0.2 * k)
    model = mk.Model(
        LINE,
        confinement=lambda x: k * x[0] ** 2,
        interaction=lambda z: jnp.log1p(k * z[0] ** 2),
        drift=lambda x, mu: jnp.sin(k * x),
        noise=sigma,
        common=common,
    )
    run = mk.evolve(model, CLOUD, observe={"m": lambda model, mu: k * jnp.mean(mu.positions**2)}, every=1, **SPAN)
    return run.observed["m"][-1]


def test_a_parameter_hidden_in_closures_is_differentiated_and_mapped():
    h, at = 1e-4, 1.3
    # Central differences: h²/6 of a third derivative of order 10.
    difference = (hidden(at + h) - hidden(at - h)) / (2 * h)
    both = jax.jit(lambda k: (jax.grad(hidden)(k), jax.jvp(hidden, (k,), (1.0,))[1]))(at)
    np.testing.assert_allclose(both, difference, rtol=1e-6)
    np.testing.assert_allclose(jax.grad(hidden)(at), difference, rtol=1e-6)
    mapped = jax.vmap(hidden)(jnp.asarray([at, at + h]))
    np.testing.assert_allclose(mapped, [hidden(at), hidden(at + h)], rtol=1e-12)


def pulled(k):
    """W beyond FEW_PAIRS would be planned; here its sum is asked for, with derivatives of its own."""
    W = mk.interactions.place(
        lambda z: k * jnp.maximum(0.5 - z[0] ** 2, 0.0) ** 2, LINE, sum=mk.interactions.Cells(0.8)
    )
    return jnp.sum(mk.evolve(mk.Model(LINE, interaction=W), CLOUD, until=0.2, dt=0.1).final.positions ** 2)


def test_a_hidden_parameter_of_a_sum_with_derivatives_of_its_own():
    h = 1e-5
    np.testing.assert_allclose(jax.grad(pulled)(1.0), (pulled(1 + h) - pulled(1 - h)) / (2 * h), rtol=1e-7)


compiled = []


def heard(event, seconds, **about):
    if event == "/jax/core/compile/backend_compile_duration":
        compiled.append(about)


jax.monitoring.register_event_duration_secs_listener(heard)


def test_observers_and_potentials_written_anew_do_not_compile_again():
    cloud = mk.Particles(CIRCLE, jnp.linspace(0.0, 3.0, 5)[:, None])

    def run(k):
        model = mk.langevin(CIRCLE, lambda x: jnp.cos(x[0]))
        look = {
            "wave": lambda model, mu: mu.integrate(lambda x: jnp.cos(k * x[0])),
            "r": mk.observables.order_parameter(1),
        }
        return mk.evolve(model, cloud, observe=look, every=1, **SPAN)

    run(1.0)
    del compiled[:]
    again = run(1.0)
    assert not compiled
    other = run(2.0)
    assert compiled
    assert not np.array_equal(again.observed["wave"], other.observed["wave"])
