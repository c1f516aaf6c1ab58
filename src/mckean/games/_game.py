"""A game as a value: what players steer, what they pay, and how long they play."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mckean.checks import array, concrete, require, require_arguments, require_finite, traced
from mckean.interactions.functions import as_module
from mckean.models import Model


class Game(eqx.Module):
    """A game of many players, in which each one steers its own motion to the least expected cost.

        dX = (v(X, μ) + Bα) dt + σ dB + σ₀ dB⁰,   v = −∇V − ∇W_s*μ + b
        J = E[∫₀ᵀ e^{−δt} L(X, α, μ) dt + e^{−δT} g(X_T, μ_T)]

    μ is the empirical measure of the players, or, with infinitely many, the law of one given the environment B⁰. α may
    depend on all that is seen so far. In an equilibrium no player gains by a change of its own α.

    **Arguments:**

    - `model`: the motion without control: v, σ and σ₀.
    - `running`: L, cost per time, a function of a point (d,), a control (k,) and the measure, L(x, α, μ); or of a
      fourth argument, the law of the controls: L(x, α, μ, ν).
    - `terminal`: g, cost, a function of a point (d,) and the measure, g(x, μ). Default: None, g = 0.
    - `horizon`: T > 0, time. Default: None, the game has no end: a cost with δ > 0, a mean cost per time with δ = 0.
    - `discount`: δ ≥ 0, 1/time. Default: 0.
    - `control`: B, shape (d, k). Default: None, the identity.

    **Raises:** `ValueError` for anything but a model, functions of other arguments, a horizon or a discount that is
    negative, a terminal cost of a game without an end, and a B of another shape.
    """

    model: Model
    running: Any
    terminal: Any
    control: Float[Array, "d k"]
    discount: Float[Array, ""]
    horizon: float | None = eqx.field(static=True)
    of_controls: bool = eqx.field(static=True)

    def __init__(
        self,
        model: Model,
        running: Callable,
        terminal: Callable | None = None,
        *,
        horizon: float | None = None,
        discount: Any = 0.0,
        control: Any = None,
    ):
        require(isinstance(model, Model), f"a game moves by a model, Model(…) or langevin(…), not by {model!r}.")
        require(callable(running), f"a running cost is a function L(x, alpha, mu), not {running!r}.")
        require(terminal is None or callable(terminal), f"a terminal cost is a function g(x, mu), not {terminal!r}.")
        self.of_controls = _takes(running, 4) and not _takes(running, 3)
        if not self.of_controls:
            require_arguments("a running cost L", running, "x", "alpha", "mu")
        if terminal is not None:
            require_arguments("a terminal cost g", terminal, "x", "mu")
            require(horizon is not None, "a game without an end has no terminal cost: give a horizon.")
        positive = horizon is None or (np.isfinite(horizon) and horizon > 0)
        require(positive, f"the horizon of a game must be positive, but {horizon} was given.")
        require(
            concrete(discount).ndim == 0 and concrete(discount) >= 0,
            f"the discount rate of a game is a number that is not negative, but {discount} was given.",
        )
        d = model.space.dim
        control = array(np.eye(d) if control is None else control, float)
        require(
            control.ndim == 2 and control.shape[0] == d,
            f"the control of a game in dimension {d} enters by a matrix ({d}, k), not by one of shape {control.shape}.",
        )
        require_finite("the control matrix of a game", control)
        self.model, self.control = model, control
        self.running = as_module(running)
        self.terminal = None if terminal is None else as_module(terminal)
        self.discount = array(discount, float)
        self.horizon = None if horizon is None else float(horizon)

    @property
    def end(self) -> float:
        """T, of a game that has a horizon."""
        assert self.horizon is not None, "the game has a horizon"
        return self.horizon


def require_game(game: Any, space: type, horizon: bool = True) -> None:
    """**Raises** `ValueError` for anything but a game on such a space, with a horizon where one is needed."""
    require(isinstance(game, Game), f"a game is Game(model, running, …), not {type(game).__name__}.")
    require(isinstance(game.model.space, space), f"this is done on {space.__name__}, not on {game.model.space}.")
    require(not horizon or game.horizon is not None, "this is done up to a horizon: give the game one.")


def require_players(players: Any) -> float:
    """1/N. **Raises** `ValueError` unless N ≥ 2 is an integer, or None, infinitely many."""
    if players is None:
        return 0.0
    whole = np.shape(players) == () and np.asarray(players).dtype.kind in "iu" and not traced(players)
    require(whole, f"the number of players is an integer, or None for infinitely many, not {players!r}.")
    require(players >= 2, f"a game has two players at least, not {players}: one alone has a control problem.")
    return 1 / int(players)


def _takes(function: Callable, count: int) -> bool:
    """Whether a function can be called with so many arguments; what Equinox's Partial holds is counted."""
    if isinstance(function, eqx.Partial):
        function = functools.partial(function.func, *function.args, **function.keywords)
    try:
        inspect.signature(function).bind(*[None] * count)
    except (TypeError, ValueError):
        return False
    return True


def scalar(name: str, value: Any) -> Array:
    """A cost as a number. **Raises** `ValueError` for another shape."""
    value = jnp.asarray(value)
    require(value.shape == (), f"{name} must return a scalar, but it returned shape {value.shape}.")
    return value
