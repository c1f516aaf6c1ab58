"""Games: many players, each of whom steers its own motion to the least cost, and their mean-field limit.

- What is a game? A model, with costs: `Game`.
- What do N players do, or infinitely many, where costs are quadratic? `nash`: a `LinearPolicy`.
- … if one planner decides for all? `planner`. The price of anarchy is the ratio of the two costs.
- What does one player best, where the others keep to a policy? `response`, and how much it gains: `regret`.
- What is the law of a player, given the environment? `conditional_law`.
- What do N players pay as they play? `play`. With which power of N does a regret fall? `regret_rate`.
- Are there other equilibria? `equilibria`. In the game of a `Target` a common noise leaves one: `expectation` by a
  closed form, `aim` by its equation.
- What is an equilibrium on a torus, up to a horizon or in the long run? `equilibrium`: an `Equilibrium`.
- … given a common noise that no moving frame takes away? `conditional_equilibrium`.
- … and is it one? `exploitability`, with its error.
- Which games are known exactly? `GAMES`, constructors by name: a `GameEntry` with facts.

A common noise is that of the model. In a linear–quadratic game it changes the value, and no rule.
"""

from mckean.games._catalogue import GAMES, GameEntry
from mckean.games._conditional import conditional_law
from mckean.games._equilibria import equilibria
from mckean.games._equilibrium import Equilibrium, conditional_equilibrium, equilibrium, exploitability
from mckean.games._game import Game
from mckean.games._linear import nash, planner, regret, response
from mckean.games._play import play, regret_rate
from mckean.games._policy import LinearPolicy
from mckean.games._target import Target, aim, expectation

__all__ = [
    "GAMES",
    "Equilibrium",
    "Game",
    "GameEntry",
    "LinearPolicy",
    "Target",
    "aim",
    "conditional_equilibrium",
    "conditional_law",
    "equilibria",
    "equilibrium",
    "expectation",
    "exploitability",
    "nash",
    "planner",
    "play",
    "regret",
    "regret_rate",
    "response",
]


def __dir__() -> list[str]:
    return __all__
