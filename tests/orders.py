"""Strong orders from errors at halved steps, with the error of the estimate itself."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import mckean as mk


def rms(errors) -> np.ndarray:
    """Root mean square over the environments, the last axis."""
    return np.sqrt(np.mean(np.square(errors), axis=-1))


def assert_strong_order(errors, order: float, groups: int = 20):
    """The last exponent between levels is the order, up to what it still moves and 5 standard errors.

    `errors`: shape (levels, environments), the step halved from level to level. E|error|² = Ch^{2p}(1 + ah^q + …) with
    q ≥ 1/2, so that the exponent's distance from p is at most 1/(2^{1/2} − 1) times its last change.
    """
    errors = np.asarray(errors)
    slopes = -np.diff(np.log2(rms(errors.reshape(len(errors), groups, -1))), axis=0)
    last, change = slopes[-1], slopes[-1] - slopes[-2]
    off = [5 * s.std(ddof=1) / np.sqrt(groups) for s in (last, change)]
    bias = (abs(change.mean()) + off[1]) / (np.sqrt(2) - 1)
    report = f"exponents {slopes.mean(axis=1)}, bias {bias:.3f}, 5 standard errors {off[0]:.3f}"
    assert abs(last.mean() - order) < min(bias + off[0], 0.25), report


def ends(scheme, model, start, levels, environments: int, until: float = 1.0):
    """The measure at the end in each environment, an entry a level, and B⁰(until), shape (environments, m).

    Steps by hand, not by `evolve`: with the increments of a level as sums of the finest's, in an array of one size,
    all levels are one compilation.
    """
    finest = levels[-1]
    shape = (environments, finest, model.motions(start))
    drawn = np.random.default_rng(17).normal(scale=np.sqrt(until / finest), size=shape)

    @eqx.filter_jit
    @eqx.filter_vmap(in_axes=(0, None, None))
    def end(increments, n, dt):
        path = mk.Brownian(jax.random.key(0), environment=mk.Record(increments, 1.0))
        prepared = scheme.prepare(model, start, dt)
        return jax.lax.fori_loop(0, n, lambda k, mu: scheme.step(model, mu, prepared, path, k, dt), start)

    runs = []
    for n in levels:
        padded = np.zeros(shape)
        padded[:, :n] = drawn.reshape(environments, n, finest // n, -1).sum(axis=2)
        runs.append(end(jnp.asarray(padded), jnp.asarray(n), jnp.asarray(until / n)))
    return runs, drawn.sum(axis=1)
