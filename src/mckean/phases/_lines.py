"""The lines of a phase diagram, solved to rounding in every column at once: by brackets, and a fold by its equations.

A fold of u = S(u; p) is where I − DS has a kernel (Moore and Spence, SIAM J. Numer. Anal. 17, 1980):

    u − S(u; p) = 0,   (I − DS)φ = 0,   ⟨l, φ⟩ = 1.
"""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean.phases import _cell as cells
from mckean.phases import _equation as equation
from mckean.phases._column import Bracket, Problem

_STEPS = 15
# A step of Newton's method after which the next one, of its square, is rounding.
_SMALL = 1e-8


def threshold(problem: Problem, second: np.ndarray, brackets: Sequence[Bracket | None]) -> np.ndarray:
    """Where the least curvature of the disordered state is zero."""
    return _roots(lambda p, q, one, other, share: _curvature(*_of(problem), p, q), second, brackets)


def coexistence(problem: Problem, second: np.ndarray, brackets: Sequence[Bracket | None]) -> np.ndarray:
    """Where both states have the same free energy."""
    return _roots(
        lambda p, q, one, other, share: _gap(*_of(problem), p, q, one + share[:, None] * (other - one)),
        second,
        brackets,
    )


def fold(problem: Problem, second: np.ndarray, brackets: Sequence[Bracket | None]) -> np.ndarray:
    """Where the ordered state ends while the disordered one is stable. The ordered state is at a bracket's high end."""
    found = np.full(second.size, np.nan)
    here = np.array([j for j, bracket in enumerate(brackets) if bracket is not None], int)
    if not here.size:
        return found
    known = [bracket for bracket in brackets if bracket is not None]
    p, q = np.array([b.high for b in known]), second[here]
    places, step = _fold(*_of(problem), _padded(p, second.size), _padded(q, second.size), _padded(
        np.stack([b.states[1] for b in known]), second.size
    ))  # fmt: skip
    places, step = np.asarray(places)[: here.size], np.asarray(step)[: here.size]
    # Newton's method starts at the end of a bracket, and what it finds far away is another fold.
    width = np.array([abs(b.high - b.low) for b in known])
    found[here] = np.where((step <= _SMALL) & (np.abs(places - p) <= 4 * width), places, np.nan)
    return found


def _of(problem: Problem) -> tuple[Any, Any, Any, Any]:
    return problem.model_of, problem.grid, problem.axes, problem.starts


def _padded(a: np.ndarray, size: int) -> np.ndarray:
    """The array with its last row repeated: one shape is compiled once."""
    return np.concatenate([a, np.repeat(a[-1:], size - len(a), axis=0)])


def _roots(value: Callable, second: np.ndarray, brackets: Sequence[Bracket | None]) -> np.ndarray:
    """The root in each bracket, by Chandrupatla's method for all columns at once; NaN without a bracket."""
    from scipy.optimize.elementwise import find_root

    found = np.full(second.size, np.nan)
    here = np.array([j for j, bracket in enumerate(brackets) if bracket is not None], int)
    if not here.size:
        return found
    known = {j: bracket for j, bracket in enumerate(brackets) if bracket is not None}
    low, high = (np.array([getattr(known[j], end) for j in here]) for end in ("low", "high"))

    def of(p: np.ndarray, which: np.ndarray) -> np.ndarray:
        size, which = p.size, which.astype(int)
        rows = np.atleast_1d(which)
        ends = (np.stack([known[j].states[i] for j in rows]) for i in (0, 1))
        share = np.array([(x - known[j].low) / (known[j].high - known[j].low) for x, j in zip(p, rows, strict=True)])
        given = (p, second[rows], *ends, share)
        return np.asarray(value(*(_padded(a, second.size) for a in given)))[:size]

    result = find_root(of, (low, high), args=(here,), tolerances={"xatol": 0.0, "xrtol": 1e-14, "fatol": 1e-15})
    found[here] = np.where(result.success, result.x, np.nan)
    return found


@eqx.filter_jit
def _curvature(model_of, grid, axes, starts, p, q) -> Any:
    def one(p, q):
        at = cells.cell(model_of(p, q), grid)
        u = cells.newton(at, grid, cells.start(at, starts[0]), axes)
        return jnp.linalg.eigvalsh(cells.hessian(at, grid, u, axes))[0]

    return jax.vmap(one)(p, q)


@eqx.filter_jit
def _gap(model_of, grid, axes, starts, p, q, u) -> Any:
    def one(p, q, u):
        at = cells.cell(model_of(p, q), grid)
        plain = cells.newton(at, grid, cells.start(at, starts[0]), axes)
        return at.free_energy(cells.newton(at, grid, u, axes)) - at.free_energy(plain)

    return jax.vmap(one)(p, q, u)


@eqx.filter_jit
def _fold(model_of, grid, axes, starts, p, q, u) -> Any:
    return jax.vmap(lambda *of: _one_fold(model_of, grid, axes, *of))(p, q, u)


def _one_fold(model_of, grid, axes, p, q, u) -> tuple[Any, Any]:
    """p at the fold, and the last step of Newton's method."""
    n = u.size
    at = cells.cell(model_of(p, q), grid)
    t = equation.tangents(grid, u.reshape(grid.shape), axes)
    soft = jnp.linalg.eigh(cells.hessian(at, grid, u, axes))[1][:, 0]
    phi = at.pairs @ (jnp.sqrt(at.shares(u)) * soft)
    phi = phi / jnp.linalg.norm(phi)

    def system(v, h, at):
        rest = v - at.image(v) + t.T @ (t @ (v - u))
        kernel = at.slope(v) @ h + t.T @ (t @ h)
        return jnp.concatenate([rest, kernel, (phi @ h - 1)[None]])

    def step(state):
        y, _, count = state
        at, change = jax.jvp(lambda p: cells.cell(model_of(p, q), grid), (y[-1],), (jnp.ones_like(y[-1]),))
        value, linear = jax.linearize(system, y[:n], y[n:-1], at)
        none = jax.tree.map(jnp.zeros_like, at)
        columns = jax.vmap(lambda e: linear(e[:n], e[n:], none))(jnp.eye(2 * n, dtype=y.dtype))
        last = linear(jnp.zeros_like(u), jnp.zeros_like(u), change)
        delta = cells.solve(jnp.concatenate([columns, last[None]]).T, value)
        return y - delta, jnp.max(jnp.abs(delta)), count + 1

    start = jnp.concatenate([u, phi, p[None]])
    go_on = lambda state: (state[1] > _SMALL) & (state[2] < _STEPS)  # noqa: E731
    y, delta, _ = jax.lax.while_loop(go_on, step, (start, jnp.asarray(jnp.inf, u.dtype), 0))
    return y[-1], delta
