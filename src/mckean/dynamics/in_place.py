"""N particles in the memory of one state: Euler's method, a block of particles after the other.

A field of few modes, or of the mean, depends on the cloud by a few numbers. They are taken first, block by block; then
a small measure with the same numbers acts in the place of the cloud, while each block is moved where it lies.
"""

from typing import ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from mckean import collectives
from mckean.checks import positive_integer, require
from mckean.dynamics._increments import Increments, common_increment
from mckean.dynamics.particles import begin_particles, check_calculus, inspect_sums, solve, with_positions
from mckean.dynamics.scheme import AbstractScheme, Stepper
from mckean.faults import Status, sound
from mckean.interactions.kernels import FourierSeries, Quadratic
from mckean.interactions.sums import modes
from mckean.measures import AbstractMeasure, Density, Gaussian, Particles, cast, dtype_of
from mckean.models import Additive, Equation, Model, Thermal
from mckean.paths import Brownian
from mckean.spaces import FourierGrid, Torus

_MOST = 256
# Of so many particles the functions of the model are looked at.
_SAMPLE = 1 << 16
_EULER = diffrax.Euler()


class InPlace(AbstractScheme):
    """Euler's method for very many particles, in the memory of one state; the initial measure is used up.

    It moves particles with equal weights, without a drift b, under a W of few Fourier modes or a quadratic one, with
    thermal or additive noise. Its noise is that of `ParticleScheme()`, and so are its steps up to the order of sums.
    The initial measure becomes the run: its positions cannot be read afterwards.

    **Arguments:**

    - `blocks`: how many blocks the particles are moved in; it divides their number. Beside the state a run takes a few
      times the memory of a block. Default: None, 256, or the largest power of two below that divides the number.

    **Raises:** `ValueError`, at the begin of a run, for another model or measure, and for a number of blocks that does
    not divide that of the particles.
    """

    moves: ClassVar[str] = "Particles"
    blocks: int | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if self.blocks is not None:
            positive_integer("the number of blocks is a positive integer", self.blocks)

    @property
    def order(self) -> int:
        return 1

    @property
    def pressure(self) -> bool:
        return False

    def accepts(self, measure: AbstractMeasure) -> bool:
        return isinstance(measure, Particles)

    def begin(self, equation: Equation, measure: Particles, dt: float) -> Stepper:
        check_calculus(_EULER, _checked(equation, measure))
        blocks, devices = self._blocks(measure), 1 if measure.mesh is None else measure.mesh.size
        require(
            measure.n % blocks == 0 and blocks % devices == 0,
            f"{measure.n} particles on {devices} devices cannot be moved in {blocks} equal blocks.",
        )
        sample = Particles(measure.space, collectives.known(measure.positions[:_SAMPLE]))
        return begin_particles(self, equation, sample, dt)

    def advance(
        self, begun: Stepper, measure: Particles, path: Brownian | None, index: Int[ArrayLike, ""]
    ) -> tuple[Particles, Status]:
        model, dt, mesh = begun.at(index), begun.dt, measure.mesh
        blocks = self._blocks(measure)
        acting = _acting(model, measure, blocks)
        common = common_increment(model, measure, path, index, dt) if model.common else None
        size, width = measure.n // blocks, 0 if model.noise is None else model.noise.width(measure, measure.space.dim)

        def all_blocks(x: Float[Array, "n d"]) -> Float[Array, "n d"]:
            here = len(x) // size
            first = 0 if mesh is None else jax.lax.axis_index(collectives.AXIS) * here

            def move(b, x):
                block = Particles(measure.space, jax.lax.dynamic_slice_in_dim(x, b * size, size))
                own = None
                if path is not None and width:
                    own = path.idiosyncratic.increment(index, dt, (size, width), dt.dtype, first + b)
                moved = solve(_EULER, lambda t: model, block, Increments(own, common), dt, law=acting)
                return jax.lax.dynamic_update_slice_in_dim(x, moved, b * size, 0)

            return jax.lax.fori_loop(0, here, move, x)

        return with_positions(measure, collectives.row_by_row(all_blocks, mesh, measure.positions)), sound(dt.dtype)

    def inspect(self, begun: Stepper, measure: Particles) -> Status:
        return inspect_sums(begun.equation, measure)

    def _blocks(self, measure: Particles) -> int:
        return self.blocks or int(np.gcd(measure.n, _MOST))


def _checked(equation: Equation, measure: Particles) -> Model:
    """The model. **Raises** `ValueError` where its field may depend on more than a few numbers of the cloud."""
    require(isinstance(equation, Model), "the scheme InPlace moves particles of one model, the same at all times.")
    assert isinstance(equation, Model)
    kernel = None if equation.interaction is None else equation.interaction.kernel
    noises = (*equation.common, *(() if equation.noise is None else (equation.noise,)))
    require(
        kernel is None or isinstance(kernel, FourierSeries | Quadratic),
        "the scheme InPlace takes a W of few Fourier modes on a torus, or a quadratic one, whose field depends on the "
        "cloud by a few numbers: take ParticleScheme().",
    )
    require(
        equation.drift is None and all(isinstance(part, Thermal | Additive) for part in noises),
        "the scheme InPlace takes V, W, and noise that is thermal or additive, but no drift b and no other noise, as "
        "these may depend on the cloud in any way: take ParticleScheme().",
    )
    require(measure.weights is None, "the scheme InPlace moves particles with equal weights: take ParticleScheme().")
    return equation


def _acting(model: Model, measure: Particles, blocks: int) -> AbstractMeasure:
    """A measure that is small and has the force of the cloud: with the same modes, or the same mean."""
    space, interaction = measure.space, model.interaction
    if interaction is None:
        return Particles(space, measure.positions[:1])
    kernel = cast(interaction.kernel, dtype_of(measure))
    if not isinstance(kernel, FourierSeries):
        mean = _mean(lambda x: jnp.mean(x, axis=0), measure, blocks)
        return Gaussian(mean, jnp.eye(space.dim, dtype=mean.dtype))
    assert isinstance(space, Torus), "a series is of a torus"
    c, s = _mean(lambda x: jnp.stack(modes.analyse(Particles(space, x), kernel)), measure, blocks)
    highest = np.abs(np.asarray(kernel.modes)).reshape(len(kernel.modes), -1).max(axis=0)
    grid = FourierGrid(space, tuple(int(max(4, 2 * k + 2)) for k in highest))
    waves = modes.synthesise(grid.nodes.astype(c.dtype), kernel, 2 * c, 2 * s, None)
    return Density(grid, (1 + waves).reshape(grid.shape) / space.volume)


def _mean(function, measure: Particles, blocks: int) -> Array:
    """The mean of function(block) over the blocks."""
    x = measure.positions
    if measure.mesh is not None:
        return collectives.total(function, measure.mesh, x, most=blocks, side_by_side=False) / blocks
    size = measure.n // blocks
    block = lambda b: function(jax.lax.dynamic_slice_in_dim(x, b * size, size))  # noqa: E731
    return jnp.mean(jax.lax.map(block, jnp.arange(blocks)), axis=0)
