"""N particles in random batches of p: the interaction in O(pN) work a step.

Each step deals the particles out anew, at random, into batches, and particle i of a batch B of s particles feels, for
−Σ_j w_j ∇W_s(X_i − X_j), with w_j = 1/N where the particles have no weights,

    −(N−1)/(s−1) Σ_{j∈B} w_j ∇W_s(X_i − X_j).

Whatever the sizes s ≥ 2 of the batches, this is unbiased: given s, the partners of i are s − 1 of the N − 1 others,
drawn without replacement, and the term j = i vanishes. For the same reason its error χ_i has, for equal weights,

    E|χ_i|² = ((N−1)/N)² (1/(s−1) − 1/(N−1)) Λ_i,   Λ_i = 1/(N−2) Σ_{j≠i} |∇W_s(X_i − X_j) − their mean|².

The errors of different steps are uncorrelated: T/dt of them, each of size dt, leave after a time T a mean square of
order T dt (1/(p−1) − 1/(N−1)) Λ between this system and the full one with the same noise: strong order 1/2. In the
mean of a smooth function a step errs by dt² E|χ|² only: weak order 1. For smooth W both constants are uniform in N.

Jin, Li and Liu, *Random batch methods (RBM) for interacting particle systems*, J. Comput. Phys. 400 (2020) 108877;
with weights, SIAM J. Numer. Anal. 59 (2021) 746.
"""

import dataclasses
from typing import Any, ClassVar, cast

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray

from mckean.checks import require, require_key
from mckean.dynamics._increments import increments
from mckean.dynamics.particles import Solver, check_calculus, check_solver, solve, with_positions
from mckean.dynamics.scheme import AbstractScheme, Stepper, require_same_space, step_length
from mckean.dynamics.survey import inspect_potentials, require_functions
from mckean.faults import Status, sound
from mckean.interactions import AbstractSum, Interaction, Points
from mckean.interactions.kernels import AbstractKernel
from mckean.measures import AbstractMeasure, Particles, dtype_of, require_one_device
from mckean.models import Equation, Model, initial
from mckean.paths import Brownian
from mckean.paths.counter import fold
from mckean.spaces import AbstractGrid, AbstractSpace

# The increments fold their keys with a level of refinement, at most 64, and a path its own key with 0 and 1.
_STREAM = 2**31 - 1
# Batches of so many particles are summed at once: the modes of a Fourier series at these fit in the cache.
_ROWS = 4096


class RandomBatch(AbstractScheme):
    """The random batch method: particles interact within batches B of about p, which are drawn anew in each step.

        −Σ_j w_j ∇W_s(X_i − X_j)   becomes   −(N − 1)/(s − 1) Σ_{j∈B} w_j ∇W_s(X_i − X_j),   s = |B|

    The particles, in a random order, are cut into ⌊N/p⌋ batches of nearly equal size: p, or up to 2p − 1 if p does not
    divide N. V, the drift b(x, μ) and the noise are those of the model, with the μ of all particles. The stages of a
    solver share the batches of their step. Against the full system on the same path the strong order is 1/2, with an
    error proportional to √(1/(p−1) − 1/(N−1)). The weak order is 1. Both hold for any solver.

    The batches of step k are a function of k and of the path (or of `key`), independent of the increments. So a run is
    reproduced, cut and continued as with any scheme.

    A batch is summed pair by pair, in O(m) a pair for a Fourier series of m modes (`Cosine`, `Gaussian` on a torus).
    The full sum is then O(mN), and O(N) for `Quadratic` on R^d: it costs no more, and has no error of batches.

    **Arguments:**

    - `batch`: p ≥ 2. Default: 2.
    - `solver`: as for `ParticleScheme`.
    - `key`: a JAX key, `jax.random.key(seed)`. A model without noise needs it. With noise it draws other batches on the
      same path. Default: None, the path.

    **Raises:** `ValueError` for a p that is no integer ≥ 2 and a key that is no JAX key. At the begin of a run: for p >
    N, a model without interaction, a model without noise if there is no key, and the solvers that `ParticleScheme`
    refuses.

    **Source:** Jin, Li and Liu, J. Comput. Phys. 400 (2020).
    """

    moves: ClassVar[str] = "Particles"
    batch: int = eqx.field(static=True, default=2)
    solver: Solver = eqx.field(default_factory=diffrax.Euler)
    key: PRNGKeyArray | None = None

    def __check_init__(self):
        whole = isinstance(self.batch, int) and not isinstance(self.batch, bool)
        require(whole and self.batch >= 2, f"a batch is of 2 particles or more, but batch = {self.batch!r} was given.")
        if self.key is not None:
            require_key(self.key)

    @property
    def order(self) -> int:
        """The weak order, 1 for any solver."""
        return 1

    @property
    def pressure(self) -> bool:
        return False

    def accepts(self, measure: AbstractMeasure) -> bool:
        return isinstance(measure, Particles)

    def begin(self, equation: Equation, measure: Particles, dt: float) -> Stepper:
        model = initial(equation)
        require_same_space(model, measure)
        require_one_device("random batches are dealt", measure)
        check_solver(self.solver)
        check_calculus(self.solver, model)
        require(
            model.interaction is not None,
            "random batches sum the interaction W, not the drift b, but this model has no W: use ParticleScheme().",
        )
        require(self.batch <= measure.n, f"batches of {self.batch} particles cannot be made of {measure.n}.")
        require(
            self.key is not None or model.has_noise,
            "this model has no noise, whose path would give the batches: give the scheme a key, "
            "RandomBatch(key=jax.random.key(seed)).",
        )
        # In batches here too: the full sum may be the one that is out of reach.
        require_functions(in_batches(model, self.batch, jnp.arange(measure.n)), measure, measure.positions)
        return Stepper(self, equation, step_length(measure, dt))

    def deal(self, n: int, path: Brownian | None, index: Int[ArrayLike, ""]) -> Int[Array, " n"]:
        """The random order of n particles that the batches of a step are cut from."""
        source = self.key
        if source is None:
            if path is None:
                raise ValueError("random batches need a path, or a key: RandomBatch(key=jax.random.key(seed)).")
            source = path.idiosyncratic.key
        return jax.random.permutation(fold(jax.random.fold_in(source, _STREAM), index), n)

    def advance(
        self, begun: Stepper, measure: Particles, path: Brownian | None, index: Int[ArrayLike, ""]
    ) -> tuple[Particles, Status]:
        dt, course, order = begun.dt, begun.during(index), self.deal(measure.n, path, index)
        noise = increments(begun.at(index), measure, path, index, dt)
        positions = solve(self.solver, lambda t: in_batches(course(t), self.batch, order), measure, noise, dt)
        return with_positions(measure, positions), sound(dt.dtype)

    def inspect(self, begun: Stepper, measure: Particles) -> Status:
        equation = begun.equation
        return inspect_potentials(equation, measure) if isinstance(equation, Model) else sound(begun.dt.dtype)


class Batches(AbstractSum):
    """The force within batches, on the particles' own positions: for one step, whose deal it holds."""

    batch: int = eqx.field(static=True)
    permutation: Int[Array, " n"]

    def refusal(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> str | None:
        if not isinstance(mu, Particles) or isinstance(points, AbstractGrid) or points.shape != mu.positions.shape:
            return "is between the particles of a cloud"
        return None

    def plan(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> "Batches":
        return self

    def inspect(self, mu: AbstractMeasure, points: Points) -> Status:
        return sound(dtype_of(mu))

    def potential(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, " n"]:
        raise ValueError("random batches have a force, and no potential of their own.")

    def force(self, kernel: AbstractKernel, mu: AbstractMeasure, points: Points) -> Float[Array, "n d"]:
        return batch_force(kernel, mu, self.batch, self.permutation)


def in_batches(model: Model, batch: int, permutation: Int[Array, " n"]) -> Model:
    """The model over one step, its interaction within the batches."""
    dealt = dataclasses.replace(cast(Interaction, model.interaction), tolerance=None, sum=Batches(batch, permutation))
    return eqx.tree_at(lambda m: m.interaction, model, dealt)


def batch_force(kernel: AbstractKernel, mu: Any, batch: int, permutation: Int[Array, " n"]) -> Float[Array, "n d"]:
    """−(N−1)/(s−1) Σ_{j∈B_i} w_j ∇W_s(x_i − x_j) for all i; B_i is the batch, of s, that i has in the permutation."""
    size, larger = divmod(mu.n, mu.n // batch)
    split = larger * (size + 1)
    x = mu.positions[permutation]
    weights = jnp.full(mu.n, 1 / mu.n, x.dtype) if mu.weights is None else mu.weights[permutation]
    forces = _of_equal_size(kernel, mu.space, size, x[split:], weights[split:])
    if larger:
        forces = jnp.concatenate([_of_equal_size(kernel, mu.space, size + 1, x[:split], weights[:split]), forces])
    return (mu.n - 1) * jnp.zeros_like(x).at[permutation].set(forces, unique_indices=True)


def _of_equal_size(
    kernel: AbstractKernel, space: AbstractSpace, size: int, x: Float[Array, "m d"], weights: Float[Array, " m"]
) -> Float[Array, "m d"]:
    """−1/(s−1) Σ_j w_j ∇W_s(x_i − x_j) where the consecutive particles, s by s, are the batches."""

    def one(members):
        targets, masses = members

        # One source at a time for all targets, so that memory is O(s); ∇W_s(0) = 0 leaves the diagonal out.
        def add(total, source):
            y, w = source
            return total - w * jax.vmap(kernel.gradient)(space.displacement(targets, y[None])), None

        return jax.lax.scan(add, jnp.zeros_like(targets), (targets, masses / (size - 1)))[0]

    batches = (x.reshape(-1, size, x.shape[1]), weights.reshape(-1, size))
    return jax.lax.map(one, batches, batch_size=max(1, _ROWS // size)).reshape(x.shape)
