"""A session without a page: the same state to the bit, no compilation by a slider, exact numbers, and refusals."""

import json
import math

import anywidget
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import mckean as mk
from mckean.catalogue.oscillators import order_parameter
from mckean.explore.conversation import Conversation, pack, unpack
from mckean.explore.diagram import Diagram
from mckean.explore.scene import with_environment
from mckean.explore.subject import subject


def same(one: mk.explore.Session, other: mk.explore.Session) -> bool:
    return np.array_equal(one.cloud.positions, other.cloud.positions) and np.array_equal(
        one.limit.values, other.limit.values
    )


@pytest.fixture(scope="module")
def driven() -> mk.explore.Session:
    session = mk.explore.Session("kuramoto", {"strength": 2.5}, particles=173, seed=7)
    session.advance(3)
    session.set("strength", 1 / 3)
    session.set("strength", 3.7)
    session.set("environment", 0.4)
    session.advance(5)
    session.redraw(11)
    session.advance(4)
    return session


def test_a_session_is_the_run_of_the_library():
    """Bit for bit, in however many stretches."""
    session = mk.explore.Session("kuramoto", particles=173, seed=7)
    start, law = session.cloud, session.limit
    session.advance(1)
    session.advance(6)
    model, path = mk.catalogue.kuramoto().model, mk.Brownian(jax.random.key(7))
    cloud = mk.evolve(model, start, until=0.07, dt=0.01, path=path).final
    limit = mk.evolve(model, law, until=0.07, dt=0.01).final
    assert np.array_equal(session.cloud.positions, cloud.positions)
    assert np.array_equal(session.limit.values, limit.values)


def test_the_exported_program_and_the_text_lead_to_the_state(driven):
    names: dict = {}
    exec(mk.explore.code(driven), names)
    assert same(names["session"], driven)
    assert same(mk.explore.restore("#" + mk.explore.fragment(driven)), driven)
    assert driven.events[0] == [3, "set", "strength", 3.7]


def test_tokens_in_a_common_noise_are_reproduced_to_the_bit():
    """On S², with a slider moved in the midst of the run, and back."""
    session = mk.explore.Session("isotropic_flow", particles=20, seed=3)
    session.advance(3)
    session.set("coefficients[0]", 1.3)
    session.advance(4)
    session.set("coefficients[0]", 1.0)
    session.advance(1)
    names: dict = {}
    exec(mk.explore.code(session), names)
    for other in (names["session"], mk.explore.restore(mk.explore.fragment(session))):
        assert same(other, session)


def test_other_particles_in_the_same_environment(driven):
    """A redraw changes the particles, and not by one bit the limit, which the environment moves."""
    twice = mk.explore.restore(mk.explore.fragment(driven))
    twice.redraw(12)
    assert not np.array_equal(twice.cloud.positions, driven.cloud.positions)
    again = mk.explore.restore(mk.explore.fragment(driven))
    for session in (twice, again):
        session.advance(5)
    assert np.array_equal(twice.limit.values, again.limit.values)
    assert not np.array_equal(twice.cloud.positions, again.cloud.positions)


def test_nothing_compiles_once_all_has_been_done():
    """Sliders, the environment, redraws, resets and speeds: the programs of the first minute serve the others."""
    talk = Conversation(mk.explore.Session("kuramoto", particles=211))
    words = [{"do": "frame"}, {"do": "step"}, {"do": "redraw"}, {"do": "reset"}, {"do": "export"}]
    for one in words:
        talk.answer(json.dumps(one))
    talk.aside.join()
    compiled: list = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, seconds, **_: compiled.append(seconds) if "backend_compile" in name else None
    )
    moves = [{"do": "set", "name": n, "value": v} for n in ("strength", "beta", "environment") for v in (0.3, 1.7, 0.9)]
    moves += [{"do": "pace", "steps": 7}, {"do": "set", "name": "environment", "value": 0.0}]
    for one in (*moves, *words, *moves):
        header, _ = unpack(talk.answer(json.dumps(one)))
        assert header["kind"] != "refused", header
        talk.answer('{"do": "frame"}')
    assert compiled == []


def test_the_exponent_is_the_rate_of_the_slowest_mode():
    """Of Ornstein and Uhlenbeck's law the mean returns at the rate a = 1, and not a + c = 3/2, at which the rest does.

    In blocks from t on the rest is a share e^{−(c)t}; implicit steps change a rate by a²dt/2, cells by order h²/v.
    """
    session = mk.explore.Session("ornstein_uhlenbeck", particles=10)
    for _ in range(80):
        session.advance(30)
    found, h = session.exponent, 16 / 256
    assert session.exact["exponent"] == -1.0
    assert found.value == pytest.approx(-1.0, abs=0.005 + h**2 + math.exp(-6) + 4 * found.stderr)
    assert found.stderr < 0.05
    assert session.observe()["limit.order"] == pytest.approx(session.exact["order"], abs=0.01)


def test_the_numbers_beside_the_exact_ones_are_those_of_the_library():
    """Above the critical strength, after 20 of the slowest times: what is left is e^{−2·20} of F and e^{−20} of r.

    A rotation is neutral, λ = 0; below the strength λ = −(1 − βK/2)/β, and not −1/β, as without W. The scheme's steps
    change a rate λ by less than λ²dt.
    """
    session = mk.explore.Session("kuramoto", particles=173)
    for _ in range(62):
        session.advance(30)
    model, law, seen, exact = session.entry.model, session.limit, session.observe(), session.exact
    assert seen["limit.free_energy"] == pytest.approx(float(mk.observables.free_energy(model, law)), abs=1e-12)
    assert seen["limit.dissipation"] == pytest.approx(float(mk.observables.dissipation(model, law)), abs=1e-12)
    assert seen["limit.order"] == pytest.approx(exact["order"], abs=math.exp(-18))
    assert seen["limit.free_energy"] == pytest.approx(exact["free_energy"], abs=1e-12)
    assert abs(seen["limit.dissipation"] - exact["dissipation"]) < 1e-12
    assert abs(session.exponent.value - exact["exponent"]) < math.exp(-9)
    session.set("strength", 0.8)
    for _ in range(62):
        session.advance(30)
    assert session.exact["exponent"] == pytest.approx(-0.6)
    assert session.exponent.value == pytest.approx(-0.6, abs=0.36 * session.dt)
    session.set("environment", 0.5)
    assert not session.exact


def test_what_a_slider_can_move():
    """A number is a slider's where the model keeps its structure; sizes and exponents are not."""
    fixed = {
        name: [p.name for p in subject(name, {}).parameters.values() if p.fixed] for name in ("kuramoto", "transport")
    }
    assert fixed == {"kuramoto": [], "transport": ["reach"]}
    porous = subject("porous_medium", {})
    assert porous.parameters["exponent"].fixed
    assert porous.settings == ("dim",)
    listed = subject("generalised_kuramoto", {"weights": [1.0, 0.5]})
    assert [p.default for p in listed.parameters.values()] == [1.0, 0.5, 3.0, 1.0]
    assert len(listed.entry({"weights[1]": 0.25}).model.interaction.kernel.coefficients) == 2


def test_a_model_of_ones_own(tmp_path):
    """From a file, and as an object, whose numbers are its parameters."""
    path = tmp_path / "mine.py"
    path.write_text(
        "import mckean as mk\n"
        "def well(depth: float = 2.0):\n"
        "    return mk.langevin(mk.Euclidean(1), lambda x: depth * x[0] ** 2, beta=3.0)\n"
    )
    session = mk.explore.Session(f"{path}:well", particles=50)
    session.advance(2)
    session.set("environment", 0.3)
    session.advance(1)
    assert same(mk.explore.restore(mk.explore.fragment(session), f"{path}:well"), session)
    assert set(session.values) == {"depth", "environment"}
    with pytest.raises(ValueError, match="start the explorer with it"):
        mk.explore.restore(mk.explore.fragment(session))
    made = mk.explore.Session(mk.langevin(mk.Torus(1), beta=3.0), particles=50)
    made.set("noise.beta", 2.0)
    assert float(made.entry.model.beta) == 2.0
    with pytest.raises(ValueError, match="model with a name"):
        mk.explore.fragment(made)


def repel(z, strength):
    return strength * jnp.exp(-jnp.sum(z**2))


@pytest.mark.parametrize("held", [True, False], ids=["as an array", "by a lambda"])
def test_a_number_that_a_function_of_ones_own_needs(held):
    """As an array of a `Partial` it is a slider, beside an environment too; that a lambda knows is another program."""

    def model(strength=1.0):
        own = Partial(repel, strength=jnp.asarray(strength)) if held else lambda z: repel(z, strength)
        return mk.langevin(mk.Euclidean(2), lambda x: jnp.sum(x**2), own, beta=2.0)

    found = subject(model, {})
    assert found.parameters["strength"].fixed is not held
    stirred = with_environment(found.entry({}).model, 0.5, "ito")
    assert [float(part.amplitude) for part in stirred.common] == [0.5]
    assert not found.entry({}).model.common


def test_a_limit_that_fails_stands_still_and_the_particles_go_on():
    """Mass at the walls of the box, in an environment that carries all away; and so in the state that is restored."""
    session = mk.explore.Session("ornstein_uhlenbeck", {"stiffness": 0.01}, particles=20)
    session.set("environment", 2.0)
    for _ in range(40):
        session.advance(50)
    assert session.halted == {"limit"}
    assert "walls of the box" in session.notes["limit"]
    assert session.step == 2000
    assert same(mk.explore.restore(mk.explore.fragment(session)), session)


def test_an_answer_holds_what_was_packed():
    header, arrays = unpack(pack({"kind": "frame", "lost": math.nan}, {"x": np.arange(6.0).reshape(2, 3)}))
    assert header == {"kind": "frame", "lost": None}
    assert np.array_equal(arrays["x"], np.arange(6.0).reshape(2, 3))


WRONG = {
    "nothing": "",
    "a list": "[]",
    "another verb": '{"do": "advance"}',
    "what is not to be called": '{"do": "__init__"}',
    "too few": '{"do": "set", "name": "beta"}',
    "too many": '{"do": "pause", "on": true, "off": true}',
    "a number as a text": '{"do": "set", "name": "beta", "value": "1"}',
    "no number": '{"do": "set", "name": "beta", "value": NaN}',
    "an endless one": '{"do": "set", "name": "beta", "value": Infinity}',
    "a truth for a number": '{"do": "pace", "steps": true}',
    "half a step": '{"do": "pace", "steps": 1.5}',
    "too fast": '{"do": "pace", "steps": 1000000}',
    "no parameter": '{"do": "set", "name": "gamma", "value": 1.0}',
    "what the model refuses": '{"do": "set", "name": "beta", "value": -1.0}',
    "no state": '{"do": "restore", "fragment": "abc"}',
    "deep": '{"do": ' + "[" * 100_000,
    "long": '{"do": "' + "x" * 200_000 + '"}',
}


@pytest.fixture(scope="module")
def asked() -> Conversation:
    return Conversation(mk.explore.Session("kuramoto", particles=173))


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_message_is_refused_in_one_sentence_and_changes_nothing(asked, what):
    before = dict(asked.session.values)
    header, _ = unpack(asked.answer(WRONG[what]))
    assert header["kind"] == "refused"
    assert header["reason"].endswith(".")
    assert asked.session.values == before


def ring(cold=1.0, pull=3.0):
    """Kuramoto's model by a user, with names of their own."""
    return mk.langevin(mk.Torus(1), interaction=mk.kernels.Cosine(pull), beta=cold)


def test_a_map_of_two_parameters_is_that_of_the_steady_states(asked):
    """Order and threshold K = 2/β, to the rounding of the page's single precision; so for a model of one's own.

    A threshold at 1/β, as for an energy that is not halved, is nowhere near.
    """
    asked.diagram.fill()
    header, arrays = unpack(asked.answer('{"do": "diagram"}'))
    assert [axis["name"] for axis in header["axes"]] == ["strength", "beta"]
    strength, beta = (asked.diagram.places(axis) for axis in (0, 1))
    inside = (2 / beta > strength[0]) & (2 / beta < strength[-1])
    np.testing.assert_allclose(arrays["threshold"][inside], 2 / beta[inside], rtol=2e-7)
    assert inside.sum() > 5
    exact = [[order_parameter(k, b) for k in strength] for b in beta]
    np.testing.assert_allclose(arrays["values"], exact, atol=1e-6)
    own = Diagram(mk.explore.Session(ring, particles=7))
    own.fill()
    np.testing.assert_allclose(own.values, np.transpose(exact), atol=1e-6)


def test_a_model_without_a_map_says_why():
    diagram = Diagram(mk.explore.Session("morse", particles=7))
    diagram.fill()
    assert diagram.note.startswith("No phase diagram: it is computed on the circle and the line")
    assert not diagram.label


def test_a_recorded_run_is_a_page_that_stands_alone(asked, tmp_path):
    frames = mk.explore.record(mk.explore.Session("kuramoto", particles=173), frames=3, steps=2, shown=50)
    heads = [unpack(frame)[0] for frame in frames]
    assert [head["kind"] for head in heads] == ["scene", "frame", "frame", "frame"]
    assert [head["step"] for head in heads[1:]] == [2, 4, 6]
    text = mk.explore.player(frames, tmp_path / "run.html", title="<r>").read_text()
    assert "<title>&lt;r&gt;</title>" in text
    assert "http" not in text.replace("http://www.w3.org", "")


def test_a_widget_answers_as_the_page_does():
    shell = mk.explore.widget(mk.explore.Session("kuramoto", particles=173), shown=20)
    assert isinstance(shell, anywidget.AnyWidget)
    sent: list = []
    shell.send = lambda content, buffers=None: sent.append(buffers[0])
    shell._handle_custom_msg({"do": "frame"}, [])
    header, arrays = unpack(sent[0])
    assert header["kind"] == "frame"
    assert arrays["positions"].shape == (20, 1)


def test_the_module_is_small():
    from mckean.explore.server import text

    assert len(text("explore.js").encode()) + len(text("page.html").encode()) <= 150_000
