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

from typing import ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray

from mckean import interactions
from mckean.checks import require
from mckean.dynamics.particles import Solver, advance, check_calculus, check_solver, increments
from mckean.dynamics.scheme import AbstractScheme, evaluate_drift, require_finite_field, require_same_space
from mckean.interactions.kernels import AbstractKernel
from mckean.measures import AbstractMeasure, Particles
from mckean.models import Model
from mckean.paths import Brownian
from mckean.spaces import AbstractSpace

# The increments fold their keys with a level of refinement, at most 64, and a path its own key with 0 and 1.
_STREAM = 2**31 - 1
# Batches of so many particles are summed at once: the modes of a Fourier series at these fit in the cache.
_ROWS = 4096


class RandomBatch(AbstractScheme):
    """The random batch method: a diffrax solver for N particles that interact within batches, dealt anew each step.

    The particles of a step, in a random order, are cut into ⌊N/p⌋ batches as equal in size as can be: of p, or, where p
    does not divide N, with up to 2p − 1. Confinement, drift b(x, μ) and noise are the model's, with the μ of all
    particles; the stages of a solver share the batches of their step. Against the full system on the same path: strong
    order 1/2, with an error in proportion to √(1/(p−1) − 1/(N−1)); weak order 1; both for any solver.

    The batches of step k are a function of k and of the path, in a stream apart from the increments, or of `key` in the
    path's stead: a run is reproduced, cut and continued as with any scheme.

    Batches are summed pair by pair, which for a Fourier series of m modes (`Cosine`, `Gaussian` on a torus) is O(m) a
    pair. The full sum is O(mN) then, and O(N) for `Quadratic` on R^d: no dearer, and without the error of the batches.

    **Arguments:** `batch`: p ≥ 2; `solver`: as for `ParticleScheme`; `key`: a JAX key, `jax.random.key(seed)`, needed
    by models without noise, which follow no path; with noise, it redraws the batches on the same path.
    **Raises** `ValueError` for a p or a key that is none, and, when used, for p > N, for a model without interaction,
    or without noise where there is no key, and for the solvers that `ParticleScheme` refuses.
    """

    moves: ClassVar[str] = "Particles"
    batch: int = eqx.field(static=True, default=2)
    solver: Solver = eqx.field(default_factory=diffrax.Euler)
    key: PRNGKeyArray | None = None

    def __check_init__(self):
        whole = isinstance(self.batch, int) and not isinstance(self.batch, bool)
        require(whole and self.batch >= 2, f"a batch is of 2 particles or more, but batch = {self.batch!r} was given.")
        typed = isinstance(self.key, jax.Array) and jnp.issubdtype(self.key.dtype, jax.dtypes.prng_key)
        require(
            self.key is None or (typed and self.key.shape == ()),
            "random batches need a single typed key, jax.random.key(seed).",
        )

    @property
    def order(self) -> int:
        """The weak order, 1 for any solver."""
        return 1

    def accepts(self, measure: AbstractMeasure) -> bool:
        return isinstance(measure, Particles)

    def check(self, model: Model, measure: Particles, dt: float) -> None:
        require_same_space(model, measure)
        check_solver(self.solver)
        check_calculus(self.solver, model)
        require(
            model.interaction is not None,
            "random batches sum the interaction W, not the drift b, but this model has no W: use ParticleScheme().",
        )
        require(self.batch <= measure.n, f"batches of {self.batch} particles cannot be made of {measure.n}.")
        require(
            self.key is not None or model.noisy,
            "this model has no noise, whose path would give the batches: give the scheme a key, "
            "RandomBatch(key=jax.random.key(seed)).",
        )
        # In batches here too: the full sum may be the one that is out of reach.
        batched, x = InBatches(model, self.batch, jnp.arange(measure.n)), measure.positions
        require_finite_field(lambda: evaluate_drift(batched, measure, x), "the drift −∇V − ∇W*μ + b", x)

    def prepare(self, model: Model, measure: Particles, dt: Float[Array, ""]) -> None:
        return None

    def dealt(self, n: int, path: Brownian | None, index: Int[ArrayLike, ""]) -> Int[Array, " n"]:
        """The random order of n particles that the batches of a step are cut from."""
        source = self.key
        if source is None:
            assert path is not None, "check has seen that there is a path or a key"
            source = path.idiosyncratic.key
        return jax.random.permutation(jax.random.fold_in(jax.random.fold_in(source, _STREAM), index), n)

    def step(
        self,
        model: Model,
        measure: Particles,
        prepared: None,
        path: Brownian | None,
        index: Int[ArrayLike, ""],
        dt: Float[Array, ""],
    ) -> Particles:
        batched = InBatches(model, self.batch, self.dealt(measure.n, path, index))
        moved = advance(self.solver, batched, measure, increments(model, measure, path, index, dt), dt)
        return eqx.tree_at(lambda p: p.positions, measure, moved)


class InBatches(Model):
    """A model over one step: its interaction is within the batches, on the particles' own positions alone."""

    pairs: AbstractKernel
    batch: int = eqx.field(static=True)
    permutation: Int[Array, " n"]

    def __init__(self, model: Model, batch: int, permutation: Int[Array, " n"]):
        assert model.interaction is not None, "check has refused a model without interaction"
        self.space, self.confinement = model.space, model.confinement
        self.extra, self.noise, self.common = model.extra, model.noise, model.common
        self.internal = model.internal
        self.interaction, self.pairs = None, model.interaction.kernel
        self.batch, self.permutation = batch, permutation

    def gradient_field(self, mu: AbstractMeasure, x: interactions.Points) -> Float[Array, "n d"]:
        """−∇V(x_i) and the force of the batch of i, at the positions of all particles."""
        assert isinstance(mu, Particles)
        return super().gradient_field(mu, x) + batch_force(self.pairs, mu, self.batch, self.permutation)


def batch_force(
    kernel: AbstractKernel, mu: Particles, batch: int, permutation: Int[Array, " n"]
) -> Float[Array, "n d"]:
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
