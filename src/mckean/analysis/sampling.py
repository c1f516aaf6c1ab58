"""Sampling the Gibbs measure π_N ∝ e^{−βH_N}: Hamiltonian Monte Carlo, and replica exchange in the coupling.

The family π_s ∝ exp(−β(ΣV(x_i) + (s/2N)ΣW(x_i − x_j))) joins independent particles (s = 0) to π_N (s = 1). A chain
holds one state for each s of a ladder, moves each by Hamiltonian Monte Carlo, and exchanges neighbours x, y with the
probability min(1, e^{β(s′ − s)(I(y) − I(x))}), I the interaction energy (Hukushima and Nemoto, J. Phys. Soc. Japan 65,
1996). A state that has gone down to s = 0 and comes back has forgotten its phase, so that wells of the free energy
are crossed which are too deep for particles that must move together. On a torus without V it is the same as a ladder in
β, as π_s depends on βs alone.

Many short chains run side by side, and the chain is the unit of all statistics: the standard error of a mean is that
of the chains' means, which are independent, and needs no estimate of an autocorrelation. All particles have one mass:
they are exchangeable. The number of leapfrog steps is drawn anew in each transition, since trajectories of fixed
length come back to where they started in the modes whose period they hit (Mackenzie, Biometrika 76, 1989).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from mckean.analysis.statistics import Estimate, average
from mckean.checks import require, require_finite
from mckean.dynamics.gibbs import coupled_log_density, require_gibbs
from mckean.measures import AbstractMeasure, Particles
from mckean.models import Model, energy, in_precision, with_planned_sums

Observables = Mapping[str, Callable[[Model, AbstractMeasure], Any]]
# Recommended by Vehtari, Gelman, Simpson, Carpenter and Bürkner, Bayesian Analysis 16, 2021.
_LARGEST_R_HAT, _LEAST_SIZE = 1.01, 400
# The acceptance at which a unit of distance is cheapest in high dimension: Beskos et al., Bernoulli 19, 2013, for long
# trajectories; Roberts and Rosenthal, J. R. Stat. Soc. B 60, 1998, for one step.
_TARGET, _TARGET_OF_ONE_STEP = 0.651, 0.574


@dataclass(frozen=True)
class GibbsSample:
    """What c chains say about π_s, s along a ladder of l couplings that ends at 1, the Gibbs measure itself.

    `means`: E φ for each observable φ, shape (l,), with the standard errors of c independent chains; `samples` has the
    means of each chain, shape (c, l). `r_hat` and `size`: rank-normalised split R̂ and the effective sample size, (l,).
    `positions`: the last states, shape (c, l, n, d), independent over chains. `acceptance` and `step`, (l,), are those
    of Hamiltonian Monte Carlo; `exchanges`, (l − 1,), is the accepted share of exchanges between neighbours.
    """

    couplings: np.ndarray
    means: Mapping[str, Estimate]
    samples: Mapping[str, np.ndarray]
    r_hat: Mapping[str, np.ndarray]
    size: Mapping[str, np.ndarray]
    positions: Float[Array, "c l n d"]
    acceptance: np.ndarray
    step: np.ndarray
    exchanges: np.ndarray

    def __getitem__(self, name: str) -> Estimate:
        """The mean of one observable under π_N."""
        mean = self.means[name]
        return Estimate(float(mean.value[-1]), float(mean.stderr[-1]))


def sample_gibbs(
    model: Model,
    law: AbstractMeasure,
    n: int,
    observe: Observables,
    *,
    key: PRNGKeyArray,
    couplings: Sequence[float] = (1.0,),
    chains: int = 64,
    warmup: int = 200,
    draws: int = 500,
    steps: int = 5,
) -> GibbsSample:
    """Means of observables under the Gibbs measure of n particles, and under its relatives of weaker coupling.

    **Arguments:** `law`: where the particles of each chain start, independent; R̂ can only see what the starts differ
    in, so it should be wide; `observe`: real scalar functions of (model, measure) by name; `couplings`: the ladder s,
    increasing to 1; `warmup`: transitions that adapt the step sizes and are thrown away; `draws`: transitions that
    count; `steps`: the mean number of leapfrog steps in a transition; 1 is the Metropolis-adjusted Langevin algorithm.
    **Raises** `ValueError` for a model whose Gibbs measure is not known, and for chains that have not converged: R̂
    above 1.01, or an effective sample size below 400, for any observable and coupling.
    """
    require_gibbs(model)
    ladder = _checked_ladder(couplings)
    require(n >= 1, f"the number of particles must be positive, but {n} was given.")
    require(chains >= 8, f"a standard error from chains needs at least 8 of them, but {chains} were asked for.")
    require(draws >= 20 and warmup >= 20, "the chains need 20 transitions or more, to adapt and to count.")
    require(steps >= 1, f"a transition needs at least one leapfrog step, but {steps} were asked for.")
    start, move = jax.random.split(key)
    keys = jax.random.split(start, chains * ladder.size).reshape(chains, ladder.size)
    first = law.sample(keys[0, 0], n)
    require(first.space == model.space, f"the model lives on {model.space}, but the chains start on {first.space}.")
    model = in_precision(with_planned_sums(model, first), first)
    positions, values, info = _run(model, law, n, dict(observe), jnp.asarray(ladder), keys, move, (warmup, draws, steps))
    values = {name: np.asarray(v, np.float64) for name, v in values.items()}
    r_hat, size = _diagnosed(values)
    _require_converged(ladder, r_hat, size)
    samples = {name: v.mean(axis=1) for name, v in values.items()}
    means = {name: average(v) for name, v in samples.items()}
    return GibbsSample(ladder, means, samples, r_hat, size, positions, *(np.asarray(part) for part in info))


def _checked_ladder(couplings: Sequence[float]) -> np.ndarray:
    ladder = np.atleast_1d(np.asarray(couplings, dtype=np.float64))
    require_finite("a coupling", ladder)
    good = ladder.ndim == 1 and ladder[-1] == 1 and np.all(np.diff(ladder) > 0)
    require(good, f"the couplings are numbers that increase to 1, the coupling of the model, not {couplings!r}.")
    return ladder


@eqx.filter_jit
def _run(
    model: Model,
    law: Any,
    n: int,
    observe: dict,
    ladder: Float[Array, " l"],
    keys: Key[Array, "c l"],
    key: PRNGKeyArray,
    lengths: tuple[int, int, int],
) -> tuple:
    """The last states, the observables (c, draws, l), and what `GibbsSample` tells of the sampler."""
    from blackjax.optimizers.dual_averaging import dual_averaging

    warmup, draws, steps = lengths
    x = jax.vmap(jax.vmap(lambda k: law.sample(k, n).positions))(keys)
    ladder = ladder.astype(x.dtype)
    begin, adapt, _ = dual_averaging()
    target = _TARGET_OF_ONE_STEP if steps == 1 else _TARGET
    watch = jax.vmap(jax.vmap(lambda x: _observed(model, observe, x)))

    def sweep(carry, index):
        x, adapting = carry
        size = jnp.where(index < warmup, jnp.exp(adapting.log_x), jnp.exp(adapting.log_x_avg))
        length, move, swap = jax.random.split(jax.random.fold_in(key, index), 3)
        count = jax.random.randint(length, (), 1, 2 * steps)
        x, accepted = _moved(model, ladder, x, size.astype(x.dtype), count, move)
        adapting = jax.tree.map(
            lambda new, old: jnp.where(index < warmup, new, old), adapt(adapting, target - accepted), adapting
        )
        x, swapped = _exchanged(model, ladder, x, index, swap)
        return (x, adapting), (watch(x), accepted, swapped)

    first = begin(jnp.full(ladder.shape, _length(model), x.dtype))
    first = jax.tree.map(lambda leaf: jnp.broadcast_to(jnp.asarray(leaf, x.dtype), ladder.shape), first)
    (x, adapting), (values, accepted, swapped) = jax.lax.scan(sweep, (x, first), jnp.arange(warmup + draws))
    values = {name: jnp.moveaxis(v[warmup:], 0, 1) for name, v in values.items()}
    # Each pair of neighbours has its turn in every other transition.
    info = accepted[warmup:].mean(0), jnp.exp(adapting.log_x_avg), 2 * swapped[warmup:].mean(0)
    return x, values, info


def _length(model: Model) -> Float[Array, ""]:
    """A first guess at a step of the leapfrog: 1/√β, the standard deviation in a well of curvature 1."""
    return 1 / jnp.sqrt(model.beta)


def _observed(model: Model, observe: dict, x: Float[Array, "n d"]) -> dict[str, Array]:
    cloud = Particles(model.space, x)
    return {name: f(model, cloud) for name, f in observe.items()}


def _moved(
    model: Model,
    ladder: Float[Array, " l"],
    x: Float[Array, "c l n d"],
    size: Float[Array, " l"],
    count: Int[Array, ""],
    key: PRNGKeyArray,
) -> tuple[Float[Array, "c l n d"], Float[Array, " l"]]:
    """A transition of Hamiltonian Monte Carlo, `count` leapfrog steps of `size`, and the mean acceptance over chains."""
    import blackjax

    kernel, unit = blackjax.hmc.build_kernel(), jnp.ones(x.shape[2] * x.shape[3], x.dtype)

    def one(x, coupling, size, key):
        density = lambda y: coupled_log_density(y, model, coupling)  # noqa: E731
        state, info = kernel(key, blackjax.hmc.init(x, density), density, size, unit, count)
        return model.space.retract(state.position), info.acceptance_rate

    keys = jax.random.split(key, x.shape[:2])
    moved, accepted = jax.vmap(jax.vmap(one), in_axes=(0, None, None, 0))(x, ladder, size, keys)
    return moved, jnp.mean(accepted, axis=0)


def _exchanged(
    model: Model, ladder: Float[Array, " l"], x: Float[Array, "c l n d"], index: Int[Array, ""], key: PRNGKeyArray
) -> tuple[Float[Array, "c l n d"], Float[Array, " l_1"]]:
    """Neighbours on the ladder exchanged, pairs (0, 1), (2, 3), … and (1, 2), (3, 4), … in turns, and the share of it."""
    c, rungs = x.shape[:2]
    if rungs == 1:
        return x, jnp.zeros(0, x.dtype)
    interaction = jax.vmap(jax.vmap(lambda x: interaction_energy(model, Particles(model.space, x))))(x)
    gain = model.beta * jnp.diff(ladder) * jnp.diff(interaction, axis=1)
    turn = jnp.arange(rungs - 1) % 2 == index % 2
    taken = turn & (jnp.log(jax.random.uniform(key, (c, rungs - 1), x.dtype)) < gain)
    padded = jnp.pad(taken, ((0, 0), (1, 1))).astype(int)
    order = jnp.arange(rungs) + padded[:, 1:] - padded[:, :-1]
    return jnp.take_along_axis(x, order[:, :, None, None], axis=1), jnp.mean(taken, axis=0, dtype=x.dtype)


def interaction_energy(model: Model, particles: Particles) -> Float[Array, ""]:
    """(1/2N)Σ_ij W(x_i − x_j), energy: the derivative of H_N with respect to the coupling."""
    return particles.n * energy.interaction_energy(model, particles)


def _diagnosed(values: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """R̂ and the effective sample size for each observable of shape (c, draws, l)."""
    for name, v in values.items():
        require(v.ndim == 3, f"the observable {name!r} must be a real number, not an array of shape {v.shape[3:]}.")
        require(np.isfinite(v).all(), f"the observable {name!r} is not finite.")
    both = _diagnostics(np.stack(list(values.values()), axis=-1))
    return tuple({name: np.asarray(part[:, i]) for i, name in enumerate(values)} for part in both)


@jax.jit
def _diagnostics(values: Float[Array, "c t l o"]) -> tuple[Float[Array, "l o"], Float[Array, "l o"]]:
    from blackjax import diagnostics

    half = values.shape[1] // 2
    split = jnp.concatenate([values[:, :half], values[:, half : 2 * half]])
    flat = values.reshape(*values.shape[:2], -1)
    size = diagnostics.effective_sample_size(split.reshape(*split.shape[:2], -1))
    return tuple(part.reshape(values.shape[2:]) for part in (diagnostics.rhat(flat), size))


def _require_converged(ladder: np.ndarray, r_hat: Mapping[str, np.ndarray], size: Mapping[str, np.ndarray]) -> None:
    for name in r_hat:
        bad = ~((r_hat[name] <= _LARGEST_R_HAT) & (size[name] >= _LEAST_SIZE))
        if bad.any():
            i = int(np.argmax(np.where(bad, np.nan_to_num(r_hat[name], nan=np.inf), 0)))
            raise ValueError(
                f"the chains have not converged: {name!r} has R̂ = {r_hat[name][i]:.3f} and an effective sample size of "
                f"{size[name][i]:.0f} at the coupling {ladder[i]:g}, but R̂ ≤ {_LARGEST_R_HAT} and {_LEAST_SIZE} are "
                "asked for. More draws help where chains are slow, a ladder of couplings where they stay in wells."
            )
