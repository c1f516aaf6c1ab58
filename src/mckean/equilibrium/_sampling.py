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
length come back to where they started in the modes whose period they hit (Mackenzie, Biometrika 76, 1989). Few steps
are enough: a trajectory keeps its energy, which only the next draw of momenta changes, by √(Nd/2), and where H_N
fluctuates as much as that or more it is this exchange that sets the time in which a chain forgets.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from mckean.checks import require, require_finite, require_key
from mckean.dynamics.gibbs import coupled_log_density, require_gibbs
from mckean.measures import AbstractLaw, AbstractMeasure, Particles
from mckean.measures.convert import require_law
from mckean.models import Model, energy, in_precision, require_model, with_planned_sums
from mckean.spaces import Torus
from mckean.statistics import Estimate, average

Observables = Mapping[str, Callable[[Model, AbstractMeasure], Any]]
# Of converged half chains of h draws and autocorrelation time τ, R̂ is about 1 + τ/2h: 1.02 asks for h = 25 τ. The 1.01
# of Vehtari, Gelman, Simpson, Carpenter and Bürkner, Bayesian Analysis 16, 2021, is meant for few and long chains.
_LARGEST_R_HAT, _LEAST_SIZE = 1.02, 400
# The acceptance at which a unit of distance is cheapest in high dimension: Beskos et al., Bernoulli 19, 2013, for long
# trajectories; Roberts and Rosenthal, J. R. Stat. Soc. B 60, 1998, for one step.
_TARGET, _TARGET_OF_ONE_STEP = 0.651, 0.574


@dataclass(frozen=True)
class GibbsSample:
    """Means under π_s from c independent chains, for l couplings s that end at 1, the Gibbs measure itself.

    **Attributes:** `means` to `size` are mappings from the names of the observables φ.

    - `couplings`: s, shape (l,).
    - `means`: E φ under π_s, an `Estimate` of shape (l,), with the standard error of c chains. A model with a W has the
      name "interaction" too, (1/2N)Σ_ij W(x_i − x_j), energy.
    - `samples`, `squares`: the means of φ and of φ² over each chain, shape (c, l).
    - `r_hat`: rank-normalised split R̂, shape (l,) (Vehtari and others, Bayesian Analysis 16, 2021).
    - `size`: the effective sample size, Var φ over the square of the standard error, shape (l,).
    - `positions`: the last states, shape (c, l, n, d), independent over chains.
    - `acceptance`: the mean acceptance of Hamiltonian Monte Carlo, shape (l,).
    - `step`: the size of its leapfrog steps, shape (l,).
    - `exchanges`: the share of exchanges between neighbours that were accepted, shape (l − 1,).
    """

    couplings: np.ndarray
    means: Mapping[str, Estimate]
    samples: Mapping[str, np.ndarray]
    squares: Mapping[str, np.ndarray]
    r_hat: Mapping[str, np.ndarray]
    size: Mapping[str, np.ndarray]
    positions: Float[Array, "c l n d"]
    acceptance: np.ndarray
    step: np.ndarray
    exchanges: np.ndarray

    def __getitem__(self, name: str) -> Estimate:
        """The mean of one observable under π_N."""
        return self.means[name][-1]


def sample_gibbs(
    model: Model,
    law: AbstractLaw,
    n: int,
    observe: Observables,
    *,
    key: PRNGKeyArray,
    couplings: Sequence[float] = (1.0,),
    chains: int = 32,
    warmup: int = 200,
    draws: int = 1000,
    steps: int = 3,
) -> GibbsSample:
    """Means of observables under the Gibbs measure π_N ∝ e^{−βH_N}, and under π_s with a weaker coupling s.

        π_s ∝ exp(−β(ΣV(x_i) + (s/2N)ΣW(x_i − x_j))),   π_1 = π_N

    **Arguments:**

    - `model`: one whose Gibbs measure is known: a gradient drift and a thermal noise.
    - `law`: of the independent particles at the start of each chain. Take a wide one: R̂ sees only differences that
      come from the starts.
    - `n`: the number of particles.
    - `observe`: real scalar functions of (model, measure) by name.
    - `key`: for the chains.
    - `couplings`: the values of s, increasing to 1. Default: (1,).
    - `chains`: the number of chains, 8 at least. Default: 32.
    - `warmup`: transitions that adapt the step sizes and are not kept. Default: 200.
    - `draws`: transitions that are kept. Default: 1000.
    - `steps`: the mean number of leapfrog steps in a transition. Default: 3. With 1 this is the Metropolis-adjusted
      Langevin algorithm.

    **Returns:** a `GibbsSample`.

    **Raises:** `ValueError` for a model whose Gibbs measure is not known, and for chains that have not converged: R̂
    above 1.02, or an effective sample size below 400, for any observable and coupling.

    **Source:** Hukushima and Nemoto, J. Phys. Soc. Japan 65 (1996), for the exchange of neighbours.
    """
    require_model(model)
    require_gibbs(model)
    ladder = _check_ladder(couplings)
    _check_counts(n, chains, draws, warmup, steps)
    require_key(key)
    start, move = jax.random.split(key)
    keys = jax.random.split(start, chains * ladder.size).reshape(chains, ladder.size)
    first = require_law(law).sample(keys[0, 0], n)
    require(first.space == model.space, f"the model lives on {model.space}, but the chains start on {first.space}.")
    model = in_precision(with_planned_sums(model, first), first)
    watched = dict(observe) if model.interaction is None else {**observe, "interaction": interaction_energy}
    positions, values, info = _run(model, law, n, watched, jnp.asarray(ladder), keys, move, (warmup, draws, steps))
    values = {name: _check_values(name, v) for name, v in values.items()}
    samples = {name: v.mean(axis=1) for name, v in values.items()}
    means = {name: average(v) for name, v in samples.items()}
    r_hat = {name: _r_hat(v) for name, v in values.items()}
    size = {name: _effective_size(v, means[name]) for name, v in values.items()}
    _require_converged(ladder, r_hat, size)
    squares = {name: (v**2).mean(axis=1) for name, v in values.items()}
    return GibbsSample(ladder, means, samples, squares, r_hat, size, positions, *(np.asarray(part) for part in info))


def _check_counts(n: int, chains: int, draws: int, warmup: int, steps: int) -> None:
    require(n >= 1, f"the number of particles must be positive, but {n} was given.")
    require(chains >= 8, f"a standard error from chains needs at least 8 of them, but {chains} were asked for.")
    require(draws >= 20 and warmup >= 20, "the chains need 20 transitions or more, to adapt and to count.")
    require(steps >= 1, f"a transition needs at least one leapfrog step, but {steps} were asked for.")


def _check_ladder(couplings: Sequence[float]) -> np.ndarray:
    ladder = np.atleast_1d(np.asarray(couplings, dtype=np.float64))
    require_finite("a coupling", ladder)
    good = ladder.ndim == 1 and ladder[-1] == 1 and np.all(np.diff(ladder) > 0)
    require(good, f"the couplings are numbers that increase to 1, the coupling of the model, not {couplings!r}.")
    return ladder


def _check_values(name: str, values: Any) -> np.ndarray:
    """An observable as an array (c, draws, l)."""
    values = np.asarray(values, np.float64)
    require(
        values.ndim == 3, f"the observable {name!r} must be a real number, not an array of shape {values.shape[3:]}."
    )
    require(np.isfinite(values).all(), f"the observable {name!r} is not finite.")
    return values


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
    # Free particles on a torus accept any step, but a longer one than a side would only cost digits.
    longest = min(model.space.lengths) if isinstance(model.space, Torus) else math.inf
    target = _TARGET_OF_ONE_STEP if steps == 1 else _TARGET
    watch = jax.vmap(jax.vmap(lambda x: _observe(model, observe, x)))

    def sweep(carry, index):
        x, adapting = carry
        size = jnp.minimum(jnp.exp(jnp.where(index < warmup, adapting.log_x, adapting.log_x_avg)), longest)
        length, move, swap = jax.random.split(jax.random.fold_in(key, index), 3)
        count = jax.random.randint(length, (), 1, 2 * steps)
        x, accepted = _move(model, ladder, x, size.astype(x.dtype), count, move)
        adapting = jax.tree.map(
            lambda new, old: jnp.where(index < warmup, new, old), adapt(adapting, target - accepted), adapting
        )
        x, swapped = _exchange(model, ladder, x, index, swap)
        return (x, adapting), (watch(x), accepted, swapped)

    # 1/√β is the standard deviation in a well of curvature 1.
    first = begin(jnp.full(ladder.shape, 1 / jnp.sqrt(model.beta), x.dtype))
    first = jax.tree.map(lambda leaf: jnp.broadcast_to(jnp.asarray(leaf, x.dtype), ladder.shape), first)
    (x, adapting), (values, accepted, swapped) = jax.lax.scan(sweep, (x, first), jnp.arange(warmup + draws))
    values = {name: jnp.moveaxis(v[warmup:], 0, 1) for name, v in values.items()}
    # Each pair of neighbours has its turn in every other transition.
    step = jnp.minimum(jnp.exp(adapting.log_x_avg), longest)
    info = accepted[warmup:].mean(0), step, 2 * swapped[warmup:].mean(0)
    return x, values, info


def _observe(model: Model, observe: dict, x: Float[Array, "n d"]) -> dict[str, Array]:
    cloud = Particles(model.space, x)
    return {name: f(model, cloud) for name, f in observe.items()}


def _move(
    model: Model,
    ladder: Float[Array, " l"],
    x: Float[Array, "c l n d"],
    size: Float[Array, " l"],
    count: Int[Array, ""],
    key: PRNGKeyArray,
) -> tuple[Float[Array, "c l n d"], Float[Array, " l"]]:
    """A transition of Hamiltonian Monte Carlo, `count` leapfrog steps of `size`, and its acceptance over chains."""
    import blackjax

    kernel, unit = blackjax.hmc.build_kernel(), jnp.ones(x.shape[2] * x.shape[3], x.dtype)

    def one(x, coupling, size, key):
        density = lambda y: coupled_log_density(y, model, coupling)  # noqa: E731
        state, info = kernel(key, blackjax.hmc.init(x, density), density, size, unit, count)
        return model.space.retract(state.position), info.acceptance_rate

    c, rungs = x.shape[:2]
    couplings, sizes = jnp.tile(ladder, c), jnp.tile(size, c)
    moved, accepted = jax.vmap(one)(x.reshape(-1, *x.shape[2:]), couplings, sizes, jax.random.split(key, c * rungs))
    moved, accepted = moved.reshape(x.shape), accepted.reshape(c, rungs)
    return moved, jnp.mean(accepted, axis=0)


def _exchange(
    model: Model, ladder: Float[Array, " l"], x: Float[Array, "c l n d"], index: Int[Array, ""], key: PRNGKeyArray
) -> tuple[Float[Array, "c l n d"], Float[Array, " l_1"]]:
    """Neighbours exchanged, pairs (0, 1), (2, 3), … and (1, 2), (3, 4), … in turns, and the share of it."""
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


def _r_hat(values: np.ndarray) -> np.ndarray:
    """Rank-normalised split R̂ of chains of shape (c, draws, l), the larger of that of φ and of |φ − median|."""
    half = values.shape[1] // 2
    split = np.concatenate([values[:, :half], values[:, half : 2 * half]])
    folded = np.abs(split - np.median(split, axis=(0, 1)))
    return np.maximum(_rank_r_hat(split), _rank_r_hat(folded))


def _rank_r_hat(split: np.ndarray) -> np.ndarray:
    from scipy.special import ndtri
    from scipy.stats import rankdata

    ranks = rankdata(split.reshape(-1, split.shape[2]), axis=0).reshape(split.shape)
    scores = ndtri((ranks - 0.375) / (ranks.shape[0] * ranks.shape[1] + 0.25))
    within = scores.var(axis=1, ddof=1).mean(axis=0)
    between = scores.mean(axis=1).var(axis=0, ddof=1)
    # An observable that does not vary has no R̂: the chains cannot have converged in it.
    return np.sqrt(
        np.divide(between, within, out=np.full_like(within, np.inf), where=within > 0) + 1 - 1 / split.shape[1]
    )


def _effective_size(values: np.ndarray, mean: Estimate) -> np.ndarray:
    """The number of independent draws that would have the standard error of the chains: Var φ over its square."""
    variance = values.var(axis=(0, 1))
    return np.divide(variance, mean.stderr**2, out=np.zeros_like(variance), where=mean.stderr > 0)


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
