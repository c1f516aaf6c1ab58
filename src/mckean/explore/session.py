"""A session: a model, its parameters, the particles and their limit in one environment, and how they came to be there.

A page, a notebook and a recording show it. It knows none of them.
"""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from mckean.checks import number, positive_integer, require, require_finite, require_memory
from mckean.dynamics import scheme_for
from mckean.dynamics.loop import Run, advance
from mckean.explore.exponent import Separation, beside
from mckean.explore.presets import preset
from mckean.explore.scene import (
    curves_of,
    energies_of,
    scene_of,
    takes_environment,
    with_environment,
)
from mckean.explore.subject import Parameter, subject
from mckean.faults import Fault, Status
from mckean.measures import AbstractMeasure, Density, Particles
from mckean.models import Calculus, Model, convert, differs, in_precision
from mckean.paths import Brownian
from mckean.spaces import TangentBundle
from mckean.statistics import Estimate

ENVIRONMENT = "environment"
"""The parameter that is the intensity of the common noise which the explorer adds."""

CLOUD, LIMIT = "cloud", "limit"
# A twin of more particles than this takes as long as the cloud, and says no more.
_TWINS = 20_000


class Session:
    """A model as it runs, whose parameters can be changed: particles and the limit equation in the same environment.

    Parameters are traced, so that a change of one compiles nothing. The same calls give the same state, bit for bit, on
    the same machine and with the same software.

    **Arguments:**

    - `model`: a name of the catalogue, `FILE.py:name`, a `Model`, or a function of numbers that returns a model or an
      `Entry`. Default: "kuramoto".
    - `parameters`: what the constructor is given, by name. Default: its own defaults.
    - `particles`: N. Default: 10 000, and fewer where a step is a sum over all pairs.
    - `dt`: the step, time. Default: 0.01.
    - `seed`: of all randomness. Default: 0.

    **Attributes:**

    - `values`: the parameters by name.
    - `step`: the number of steps since time 0.
    - `cloud`, `limit`: the `Particles` and the `Density`, each None where the model has none.
    - `notes`: why one of the two is not there, or stands still.

    **Raises:** `ValueError` for what is not one model, parameters that its constructor refuses, and N, dt or a seed
    that is not positive.
    """

    def __init__(
        self,
        model: Any = "kuramoto",
        parameters: Mapping[str, Any] | None = None,
        *,
        particles: int | None = None,
        dt: float = 0.01,
        seed: int = 0,
    ):
        given = preset(model)
        self.start = given.start
        self.chosen = dict(given.parameters) | dict(parameters or {})
        self.subject, self.model = subject(model, self.chosen), model
        self.particles = _count(given.particles if particles is None else particles)
        self.dt, self.seed = number("the step dt", dt), seed
        require(0 < self.dt < np.inf, f"the step dt must be positive, but {dt} was given.")
        require(isinstance(seed, int) and 0 <= seed < 2**32, f"a seed is an integer from 0 on, not {seed!r}.")
        self.parameters = dict(self.subject.parameters)
        entry = self.subject.entry({})
        dim = entry.model.space.dim
        require_memory(f"{self.particles} particles", self.particles * max(8, dim))
        if takes_environment(entry.model):
            self.parameters[ENVIRONMENT] = Parameter(ENVIRONMENT, 0.0, 0.0, 2.0, fixed=False)
        self.scene = scene_of(entry.model, given.start)
        self.values = {name: parameter.default for name, parameter in self.parameters.items()}
        self.entry = entry
        key = jax.random.fold_in(jax.random.key(seed), 2)
        # Drawn once: to do it at each reset would compile it anew.
        self._first = (self.scene.particles(key, self.particles, jnp.float32), self.scene.density())
        self.curves = {CLOUD: {curve.name: curve for curve in curves_of(entry)}}
        self._begin()

    def _begin(self) -> None:
        """The state at time 0."""
        self.step, self.events, self.notes = 0, [], {}
        self.halted: set[str] = set()
        self.path = Brownian(jax.random.key(self.seed))
        self.cloud, self.limit = self._first_cloud(), self._first_limit()
        self._runs: dict[str, Run] = {}
        if self.limit is not None:
            energies = energies_of(self._model(LIMIT), self.limit)
            self.curves[LIMIT] = self.curves[CLOUD] | {curve.name: curve for curve in energies}
        self._forget_exponent()

    def _first_cloud(self) -> Particles | None:
        if self.entry.model.internal is not None:
            self.notes[CLOUD] = "Particles cannot have an internal energy: the limit is shown alone."
            return None
        return self._possible(CLOUD, self._first[0])

    def _first_limit(self) -> Density | None:
        if self._first[1] is None:
            self.notes[LIMIT] = "A density is held here in dimension 1 and 2: the particles are shown alone."
            return None
        return self._possible(LIMIT, self._first[1])

    def _possible(self, kind: str, measure: Any) -> Any:
        """The measure if there is a scheme that moves it; else None, and the reason among the notes."""
        try:
            self._run(kind, measure)
        except ValueError as error:
            self.notes[kind] = str(error)
            return None
        return measure

    def advance(self, steps: int) -> None:
        """Move particles and limit by so many steps in the same environment.

        One whose run fails stands still from then on, with the sentence of its fault among the notes.

        **Arguments:**

        - `steps`: a positive integer.
        """
        steps = positive_integer("a session advances by a positive number of steps", steps)
        for kind in (CLOUD, LIMIT):
            if self._moving(kind):
                self._move(kind, steps)
        self._follow(steps)
        self.step += steps

    def _moving(self, kind: str) -> bool:
        return getattr(self, kind) is not None and kind not in self.halted

    def _move(self, kind: str, steps: int) -> None:
        measure = getattr(self, kind)
        new, _, found = advance(self._running(kind), measure, self.step, steps)
        if found.bad and found.fault is Fault.OUTGROWN:
            self.plan()
            new, _, found = advance(self._running(kind), measure, self.step, steps)
        if found.bad:
            self._stop(kind, found)
        else:
            setattr(self, kind, new)

    def _stop(self, kind: str, found: Status) -> None:
        self.halt(kind)
        sentence = found.sentence
        self.notes[kind] = f"t = {self.step * self.dt:.4g}: {sentence[0].lower()}{sentence[1:]}."

    def _follow(self, steps: int) -> None:
        kind = LIMIT if isinstance(self._twin, Density) else CLOUD
        if kind in self.halted or self._twin is None:
            return
        twin, _, found = advance(self._running(kind), self._twin, self.step, steps)
        if found.bad:
            self._twin = None
        else:
            self._twin = self._separation.follow(getattr(self, kind), twin, steps * self.dt)

    def set(self, name: str, value: float) -> None:
        """Give a parameter another value, from the next step on.

        **Arguments:**

        - `name`: of a parameter.
        - `value`: in its unit.

        **Raises:** `ValueError` for a name that there is not, for a parameter that is fixed, and for a value that the
        model's constructor refuses; the state stays as it was.
        """
        require(name in self.parameters, f"there is no parameter '{name}': {', '.join(self.parameters)} are there.")
        require(not self.parameters[name].fixed, f"{name} is fixed: another value is another program; start anew.")
        value = number(f"the parameter {name}", value)
        require_finite(f"the parameter {name}", value)
        values = self.values | {name: value}
        if name == ENVIRONMENT:
            require(value >= 0, f"the intensity of an environment is not negative, but {value:g} was given.")
        self.entry = self.subject.entry({k: v for k, v in values.items() if k != ENVIRONMENT})
        self.values = values
        self._runs = {}
        if self.events and self.events[-1][:3] == [self.step, "set", name]:
            self.events.pop()
        self.events.append([self.step, "set", name, value])
        self._forget_exponent()

    def redraw(self, seed: int) -> None:
        """Other particles in the same environment: another draw from the conditional law.

        They are drawn from the limit at this time, and have motions of their own from now on. Without a limit the
        particles stay where they are, and only their motions are drawn anew.

        **Arguments:**

        - `seed`: of the new particles and their motions.
        """
        require(isinstance(seed, int) and 0 <= seed < 2**32, f"a seed is an integer from 0 on, not {seed!r}.")
        self.path = Brownian(jax.random.key(seed), self.path.environment)
        if isinstance(self.limit, Density) and isinstance(self.cloud, Particles) and LIMIT not in self.halted:
            drawn = self.limit.sample(jax.random.fold_in(jax.random.key(seed), 2), self.particles)
            positions = drawn.positions.astype(self.cloud.positions.dtype)
            self.cloud = eqx.tree_at(lambda c: c.positions, self.cloud, positions)
        self._runs = {}
        self.events.append([self.step, "redraw", seed])

    def plan(self) -> None:
        """Plan the sums anew for the cloud as it is, which has outgrown the plan that it had."""
        self._runs.pop(CLOUD, None)
        self.events.append([self.step, "plan"])

    def halt(self, kind: str) -> None:
        """Let the particles ("cloud") or the limit ("limit") stand still from now on."""
        require(kind in (CLOUD, LIMIT), f"what can stand still is 'cloud' or 'limit', not {kind!r}.")
        self.halted.add(kind)
        self.events.append([self.step, "halt", kind])

    def reset(self) -> None:
        """Go back to time 0, with the parameters as they are now."""
        values = self.values
        self._begin()
        self.events = [[0, "set", k, v] for k, v in values.items() if v != self.parameters[k].default]

    def warm(self) -> None:
        """Compile what an environment and a redraw need, so that the first of each need not."""
        if isinstance(self.limit, Density) and isinstance(self.cloud, Particles):
            self.limit.sample(jax.random.key(0), self.particles).positions.astype(self.cloud.positions.dtype)
        if ENVIRONMENT not in self.parameters or self.values[ENVIRONMENT]:
            return
        for kind in (CLOUD, LIMIT):
            if self._moving(kind):
                measure = getattr(self, kind)
                try:
                    run = self._run(kind, measure, intensity=1.0)
                except ValueError:
                    continue
                advance(run, measure, 0, 0)

    def observe(self) -> dict[str, float]:
        """The numbers of this moment: the order parameter of the particles and of the limit, F and D of the limit."""
        found = {}
        for kind in (CLOUD, LIMIT):
            measure = getattr(self, kind)
            if measure is not None:
                curves = {name: curve.value for name, curve in self.curves[kind].items()}
                # None of them depends on the environment, with which the program would be another.
                values = _look(curves, self._model(kind, measure, intensity=0.0), measure)
                found |= {f"{kind}.{name}": float(value) for name, value in values.items()}
        return found

    @property
    def exact(self) -> dict[str, float]:
        """The exact values that the curves tend to, by the names of the curves, and that of the `exponent`.

        An environment that is added moves them, and nothing is known.
        """
        facts = self.entry.facts
        if self.values.get(ENVIRONMENT, 0.0):
            return {}
        known = {c.name: c.fact for of in self.curves.values() for c in of.values()} | {"exponent": "top exponent"}
        return {name: self.entry[fact] for name, fact in known.items() if fact in facts}

    @property
    def exponent(self) -> Estimate | None:
        """The Lyapunov exponent λ since the last change of a parameter, 1/time; None as long as it is not known."""
        return self._separation.exponent

    def _forget_exponent(self) -> None:
        self._separation, self._twin = Separation(), None
        model = self.entry.model
        # Where all noise is common the law becomes a point, and the particles' differences are those of the flow.
        flow = bool(model.common) and model.noise is None and self.cloud is not None
        if isinstance(self.limit, Density) and LIMIT not in self.halted and not flow:
            moved = eqx.tree_at(lambda m: m.values, self.limit, jnp.roll(self.limit.values, 1, -1))
            self._twin = beside(self.limit, moved)
        elif isinstance(self.cloud, Particles) and self.cloud.n <= _TWINS and CLOUD not in self.halted:
            other = self.scene.particles(jax.random.key(self.seed + 1), self.cloud.n, self.cloud.positions.dtype)
            self._twin = beside(self.cloud, other)

    def _model(self, kind: str, measure: AbstractMeasure | None = None, intensity: float | None = None) -> Model:
        calculus = self._calculus(kind)
        intensity = self.values.get(ENVIRONMENT, 0.0) if intensity is None else intensity
        model = with_environment(self.entry.model, intensity, calculus)
        if any(differs(part, calculus) for part in model.common):
            model = convert(model, calculus)
        return model if measure is None else in_precision(model, measure)

    def _calculus(self, kind: str) -> Calculus:
        """In which the scheme of a form takes a common noise."""
        euler = kind == CLOUD and not isinstance(self.entry.model.space, TangentBundle)
        return "ito" if euler else "stratonovich"

    def _running(self, kind: str) -> Run:
        """What moves a measure; it begins anew after each change."""
        if kind not in self._runs:
            self._runs[kind] = self._run(kind, getattr(self, kind))
        return self._runs[kind]

    def _run(self, kind: str, measure: AbstractMeasure, intensity: float | None = None) -> Run:
        model = self._model(kind, measure, intensity)
        stepper = scheme_for(model, measure, None).begin(model, measure, self.dt)
        if model.common:
            # Into how many parts a step is cut depends on the intensity, and would be compiled.
            traced = jax.tree.map(lambda leaf: jnp.asarray(leaf) if type(leaf) is int else leaf, stepper.shared)
            stepper = eqx.tree_at(lambda s: s.shared, stepper, traced, is_leaf=lambda leaf: leaf is None)
        return Run(stepper, self.path, {})


def require_session(session: Any) -> None:
    """Raise `ValueError` for anything but a session."""
    require(isinstance(session, Session), f"this is asked of a Session(…), not of a {type(session).__name__}.")


def _count(particles: int) -> int:
    return positive_integer("the number of particles is a positive integer", particles)


@eqx.filter_jit
def _look(values: dict[str, Any], model: Model, measure: AbstractMeasure) -> dict[str, Array]:
    return {name: value(model, measure) for name, value in values.items()}
