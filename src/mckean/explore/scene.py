"""What a space shows: a first law, a grid for the limit, an environment, coordinates to draw, and what is measured."""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mckean import observables
from mckean.catalogue import Entry
from mckean.checks import require_memory
from mckean.interactions.parameters import parameter
from mckean.measures import AbstractMeasure, Density, Gaussian, Particles, VonMises, VonMisesFisher
from mckean.models import Additive, Calculus, Model, Multiplicative, TransportNoise
from mckean.spaces import AbstractGrid, Euclidean, Sphere, TangentBundle, Torus

# The smallest node number that shows every transition of the catalogue, and keeps a step of a density below 1 ms.
_NODES, _SQUARE, _DEGREE = 128, 48, 16
_REACH, _SPEED = 8.0, 8.0
# Of the first law on a torus and on a sphere: far from uniform, and from a point.
_CONCENTRATION = 0.8
_COORDINATES = "xyz"


class Waves(eqx.Module):
    """s (sin(2πx/L), cos(2πx/L)), two fields of a circle whose sum of squares is s²; on their own they have the
    Lyapunov exponent −(2π/L)²s²/2. **Arguments:** `intensity`: s, length per √time; `length`: L."""

    intensity: Float[Array, ""] = eqx.field(converter=parameter)
    length: float = eqx.field(static=True)

    def __call__(self, x: Float[Array, " d"], mu: AbstractMeasure) -> Float[Array, "d m"]:
        turn = 2 * jnp.pi * x / self.length
        return self.intensity.astype(x.dtype) * jnp.stack([jnp.sin(turn), jnp.cos(turn)], axis=1)


@dataclass(frozen=True)
class Curve:
    """A number over time: a function of (model, measure), and the name of the fact that it tends to, if any."""

    name: str
    label: str
    value: Callable[[Model, Any], Any]
    fact: str = ""


@dataclass(frozen=True)
class Scene:
    """How the measures of a space begin, and how they are drawn.

    **Attributes:**

    - `view`: "circle", "line", "plane", "phase" or "sphere".
    - `bounds`: the ends of the coordinates that are drawn, pairs.
    - `shown`: how many coordinates are drawn.
    - `note`: what is not drawn, a sentence; empty where all is.
    - `law`: the first law.
    - `grid`: of the limit, or None.
    """

    view: str
    bounds: tuple[tuple[float, float], ...]
    shown: int
    note: str
    law: Any
    grid: AbstractGrid | None

    def particles(self, key: PRNGKeyArray, n: int, dtype: Any) -> Particles:
        """n independent particles of the first law."""
        drawn = self.law.sample(key, n)
        return Particles(drawn.space, drawn.positions.astype(dtype))

    def density(self) -> Density | None:
        """The first law on the grid."""
        if self.grid is None:
            return None
        return Density.from_function(self.grid, lambda x: jnp.exp(self.law.log_density(x)))


class _Moving:
    """Positions of one law and Gaussian velocities of another."""

    def __init__(self, space: TangentBundle, positions: Any, velocities: Gaussian):
        self.space, self.positions, self.velocities = space, positions, velocities

    def sample(self, key: PRNGKeyArray, n: int) -> Particles:
        first, second = jax.random.split(key)
        x, v = self.positions.sample(first, n).positions, self.velocities.sample(second, n).positions
        return Particles(self.space, self.space.join(x, v))

    def log_density(self, z: Float[Array, " z"]) -> Float[Array, ""]:
        x, v = self.space.position(z), self.space.velocity(z)
        return self.positions.log_density(x) + self.velocities.log_density(v)


def scene_of(model: Model, start: tuple[float, float]) -> Scene:
    """The scene of a model's space.

    **Arguments:**

    - `model`: the model.
    - `start`: mean and standard deviation of the first law where the space is R^d, and of velocities.

    **Raises:** `ValueError` for a space that it does not know.
    """
    space = model.space
    if isinstance(space, Torus):
        return _torus(space)
    if isinstance(space, Sphere):
        return _sphere(space)
    if isinstance(space, TangentBundle):
        return _bundle(space, start)
    if isinstance(space, Euclidean):
        return _euclidean(space, start)
    raise ValueError(f"the explorer draws tori, R^d, spheres and their velocities, not {space}.")


def _torus(space: Torus) -> Scene:
    ends = tuple((0.0, side) for side in space.lengths)
    middle: Any = np.asarray(space.lengths) / 2
    law = VonMises(space, middle, _CONCENTRATION)
    if space.dim == 1:
        return Scene("circle", ends, 1, "", law, space.grid(_NODES))
    grid = space.grid(_SQUARE) if space.dim == 2 else None
    return Scene("plane", ends[:2], 2, _projected(space.dim, 2), law, grid)


def _euclidean(space: Euclidean, start: tuple[float, float]) -> Scene:
    mean, deviation = start
    require_memory(f"the covariance of a law in dimension {space.dim}", space.dim**2)
    law = Gaussian(np.full(space.dim, mean), deviation**2 * np.eye(space.dim))
    reach = _REACH * deviation
    ends = ((mean - 0.6 * reach, mean + 0.6 * reach),) * min(space.dim, 2)
    if space.dim > 2:
        return Scene("plane", ends, 2, _projected(space.dim, 2), law, None)
    nodes = 2 * _NODES if space.dim == 1 else _SQUARE
    grid = space.grid(nodes, *_box(start))
    return Scene("line" if space.dim == 1 else "plane", ends, space.dim, "", law, grid)


def _box(start: tuple[float, float]) -> tuple[float, float]:
    """The ends of the limit's box on R."""
    mean, deviation = start
    return mean - _REACH * deviation, mean + _REACH * deviation


def _sphere(space: Sphere) -> Scene:
    pole = np.append(np.zeros(space.dim - 1), 1.0)
    law = VonMisesFisher(space, pole, _CONCENTRATION)
    if space.dim == 2:
        return Scene("plane", ((-1.2, 1.2),) * 2, 2, "", law, space.grid(2 * _DEGREE))
    grid = space.grid(_DEGREE) if space.dim == 3 else None
    return Scene("sphere", ((-1.0, 1.0),) * 3, 3, _projected(space.dim, 3), law, grid)


def _bundle(space: TangentBundle, start: tuple[float, float]) -> Scene:
    base, (_, deviation) = space.base, start
    positions = _torus(base) if isinstance(base, Torus) else _euclidean(base, start)
    velocities = Gaussian(np.zeros(base.dim), deviation**2 * np.eye(base.dim))
    law = _Moving(space, positions.law, velocities)
    if base.dim > 1:
        return Scene("plane", positions.bounds, 2, "The positions are drawn, not the velocities.", law, None)
    ends = (*positions.bounds, (-0.6 * _SPEED * deviation, 0.6 * _SPEED * deviation))
    places = base.grid(_SQUARE) if isinstance(base, Torus) else base.grid(_NODES, *_box(start))
    return Scene("phase", ends, 2, "", law, space.grid(places, 2 * _SQUARE, _SPEED * deviation))


def _projected(dim: int, shown: int) -> str:
    if dim <= shown:
        return ""
    return f"The first {shown} of {dim} coordinates are drawn."


def with_environment(model: Model, intensity: float, calculus: Calculus) -> Model:
    """The model with a common noise of this intensity, if it has none of its own; as it is at intensity 0.

    On a circle two fields, `Waves`; on a torus of dimension 2 or 3 transport noise by the shell |k| = 1; on R^d and on
    spheres the same motion for all, on a sphere its tangent part. Each means the same in both calculi: of the waves
    Σ_kσ_kσ_k′ = 0.
    """
    if not intensity or not takes_environment(model):
        return model
    space = model.space
    if isinstance(space, Torus):
        one = space.dim == 1
        waves = Waves(intensity, space.lengths[0])
        noise = Multiplicative(waves, calculus) if one else TransportNoise.shell(space, 1.0, intensity=intensity)
    else:
        noise = Additive(intensity)
    # `tree_at` would take other empty tuples for leaves as well, such as the arguments of a `Partial` of the user's.
    stirred = copy(model)
    object.__setattr__(stirred, "common", (noise,))
    return stirred


def takes_environment(model: Model) -> bool:
    """Whether the explorer has a common noise for this model."""
    plain = isinstance(model.space, Euclidean | Sphere) or (isinstance(model.space, Torus) and model.space.dim <= 3)
    return plain and not model.common


def curves_of(entry: Entry) -> list[Curve]:
    """The order parameter of a model, and the exact value that it tends to where a fact has one."""
    space, facts = entry.model.space, entry.facts
    if isinstance(space, Torus):
        mode = round(facts["critical mode"].value) if "critical mode" in facts else 1
        k = (mode, *(0,) * (space.dim - 1))
        label = "order parameter r" if mode == 1 else f"order parameter r, mode {mode}"
        return [Curve("order", label, observables.order_parameter(k), "order parameter")]
    if isinstance(space, TangentBundle):
        if isinstance(space.base, Torus) and "speed" not in facts:
            return [Curve("order", "order parameter r", observables.order_parameter(1), "order parameter")]
        return [Curve("order", "mean velocity", _mean_velocity, "speed")]
    if isinstance(space, Sphere):
        if "coexistence" in facts:
            return [Curve("order", "order parameter S", _nematic_order, "order parameter")]
        return [Curve("order", "length of the mean |x̄|", _length_of_mean)]
    if "stationary variance" in facts:
        return [Curve("order", "variance of x", _first_variance, "stationary variance")]
    return [Curve("order", "mean of x", _first_mean, "magnetisation")]


def _first_mean(model: Model, mu: AbstractMeasure) -> Any:
    return mu.integrate(lambda x: x[0])


def _first_variance(model: Model, mu: AbstractMeasure) -> Any:
    mean = _first_mean(model, mu)
    return mu.integrate(lambda x: (x[0] - mean) ** 2)


def _mean_velocity(model: Model, mu: AbstractMeasure) -> Any:
    dim = model.space.dim // 2
    return mu.integrate(lambda z: z[dim])


def _length_of_mean(model: Model, mu: AbstractMeasure) -> Any:
    return jnp.sqrt(jnp.sum(mu.integrate(lambda x: x) ** 2))


def _nematic_order(model: Model, mu: AbstractMeasure) -> Any:
    """The largest eigenvalue of ∫(3xxᵀ − I)/2 dμ."""
    second = mu.integrate(lambda x: jnp.outer(x, x))
    return 1.5 * jnp.linalg.eigvalsh(second)[-1] - 0.5


def energies_of(model: Model, density: Density) -> list[Curve]:
    """Free energy and dissipation, where the model has them."""
    known = []
    for name, label, fact in (
        ("free_energy", "free energy F", "least free energy"),
        ("dissipation", "dissipation D", "stationary dissipation"),
    ):
        value = getattr(observables, name)
        try:
            eqx.filter_eval_shape(value, model, density)
        except ValueError:
            continue
        known.append(Curve(name, label, value, fact))
    return known if model.drift is None else []
