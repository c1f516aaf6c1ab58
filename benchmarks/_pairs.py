"""What the peers compute: pair energies and attention, with their parameters alone; and how a peer is imported."""

import dataclasses
import importlib
from collections.abc import Callable
from types import ModuleType

import numpy as np

Forces = Callable[[], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """W(z) = A exp(−|z|²/2w²), A the strength and w the width."""

    strength: float = 1.0
    width: float = 1.0


@dataclasses.dataclass(frozen=True)
class Morse:
    """W(z) = C_r e^{−|z|/l_r} − C_a e^{−|z|/l_a}, with no force at z = 0."""

    repulsion: float = 1.0
    attraction: float = 0.5
    repulsion_range: float = 0.5
    attraction_range: float = 1.0

    def slope(self, r, exp: Callable):
        """−W'(r), for the exponential of any package."""
        repulsion = self.repulsion / self.repulsion_range * exp(-r / self.repulsion_range)
        return repulsion - self.attraction / self.attraction_range * exp(-r / self.attraction_range)


@dataclasses.dataclass(frozen=True)
class PowerLaw:
    """W(z) = (c/p)|z|^p, and c log|z| for p = 0, with no force at z = 0."""

    strength: float = -1.0
    exponent: float = 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class CosineSeries:
    """W(z) = Σ_k a_k cos(k·z) on the torus of sides 2π: integer modes (m, d), one of each pair ±k, and a (m,)."""

    modes: np.ndarray
    coefficients: np.ndarray


@dataclasses.dataclass(frozen=True)
class Hat:
    """W(z) = −½((R − |z|)₊)² for the shortest displacement on a square torus: attraction within the radius R."""

    radius: float = 1.0
    box: float = 10.0


@dataclasses.dataclass(frozen=True)
class Attention:
    """Not a pair energy: b_i = Σ_j softmax_j(β⟨x_i, x_j⟩) x_j."""

    beta: float = 1.0


Kernel = Gaussian | Morse | PowerLaw | CosineSeries | Hat | Attention


def package(name: str) -> ModuleType:
    """A peer's package, or an error that says how to have it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"this peer needs the package {name.partition('.')[0]}: pip install '.[bench]'") from error
