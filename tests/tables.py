"""The tables of the conformance suites. To be held to every law of its kind, a thing needs only an entry here."""

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import mckean as mk
from mckean.interactions import FMM, NUFFT, Cells, Interaction, Modes, PowerSums, place
from mckean.interactions.kernels import AbstractKernel
from mckean.interactions.multipole import engine
from mckean.interactions.parameters import parameter
from mckean.interactions.sums.sum import AbstractSum
from mckean.measures import AbstractLaw
from mckean.spaces import AbstractGrid, AbstractSpace

CIRCLE, OBLONG = mk.Torus(1), mk.Torus(2, (2 * math.pi, 3.0))
LINE, PLANE, ROOM = mk.Euclidean(1), mk.Euclidean(2), mk.Euclidean(3)
SPHERE = mk.Sphere(3)

# Every space takes part in the laws of test_spaces.py.
SPACES: dict[str, AbstractSpace] = {
    "circle": CIRCLE,
    "unit circle": mk.Torus(1, 1.0),
    "odd circle": mk.Torus(1, 0.7),
    "oblong torus": OBLONG,
    "line": LINE,
    "plane": PLANE,
    "phase space": mk.TangentBundle(LINE),
}


class LawEntry(NamedTuple):
    """A law, and a grid on which the rectangle rule integrates its density to far below sampling error."""

    law: AbstractLaw
    grid: AbstractGrid


# Every law takes part in test_measures.py: sampler against density, prefixes, from_law.
LAWS: dict[str, LawEntry] = {
    "uniform torus": LawEntry(mk.Uniform(OBLONG), OBLONG.grid(8)),
    "uniform box": LawEntry(
        mk.Uniform(PLANE, lower=(-1.0, 2.0), upper=(0.5, 5.0)), PLANE.grid(64, (-1.0, 2.0), (0.5, 5.0))
    ),
    "von Mises": LawEntry(mk.VonMises(OBLONG, mean=(1.0, 2.5), concentration=(0.5, 4.0)), OBLONG.grid(32)),
    "von Mises, flat": LawEntry(mk.VonMises(CIRCLE, concentration=0.0), CIRCLE.grid(16)),
    "von Mises, nearly flat": LawEntry(mk.VonMises(CIRCLE, concentration=1e-4), CIRCLE.grid(16)),
    "von Mises, sharp": LawEntry(mk.VonMises(CIRCLE, mean=1.0, concentration=1e4), CIRCLE.grid(4096)),
    "Gaussian": LawEntry(mk.Gaussian([0.5], [[0.25]]), LINE.grid(200, -4.5, 5.5)),
    "correlated Gaussian": LawEntry(
        mk.Gaussian([1.0, -1.0], [[1.0, 0.6], [0.6, 0.5]]), PLANE.grid(160, (-8.0, -7.0), (10.0, 5.0))
    ),
    "mixture": LawEntry(
        mk.Mixture([mk.VonMises(CIRCLE, 1.0, 8.0), mk.Uniform(CIRCLE), mk.VonMises(CIRCLE, 4.0, 2.0)], [0.5, 0.2, 0.3]),
        CIRCLE.grid(64),
    ),
}


class Yukawa(eqx.Module):
    """A user's pair energy with a parameter of its own; not even."""

    strength: jax.Array = eqx.field(converter=parameter)

    def __call__(self, z):
        return self.strength * jnp.exp(-jnp.sum(z**2)) * (1 + 0.5 * z[0])


def skew(z):
    """Periodic on the oblong torus, analytic, and without any symmetry."""
    u, v = z[0], 2 * jnp.pi * z[1] / 3.0
    return jnp.exp(0.7 * jnp.cos(u) - 0.4 * jnp.sin(v + 0.3)) + jnp.sin(u - 2 * v) + 0.5 * jnp.cos(2 * u + v)


def _many_modes() -> mk.kernels.FourierSeries:
    modes = [(0, 0), (0, 1), (1, 0), (2, -1), (-1, 3), (1, 3), (3, 2)]
    return mk.kernels.FourierSeries(modes, [0.3, -1.0, 0.7, 0.5, -0.4, 0.25, 0.1])


@dataclass(frozen=True, eq=False)
class KernelEntry:
    """A kernel as a user writes it, and the space that it acts on."""

    given: AbstractKernel
    space: AbstractSpace

    @cached_property
    def interaction(self) -> Interaction:
        return place(self.given, self.space)

    @property
    def kernel(self) -> AbstractKernel:
        return self.interaction.kernel


# Every kernel takes part in the laws of test_kernels.py (symmetry, gradient), and drives models in test_models.py.
KERNELS: dict[str, KernelEntry] = {
    "quadratic": KernelEntry(mk.kernels.Quadratic(1.25), PLANE),
    "gaussian": KernelEntry(mk.kernels.Gaussian(0.75, 0.5), PLANE),
    "morse": KernelEntry(mk.kernels.Morse(2.0, 1.0, 0.25, 1.5), PLANE),
    "bounded confidence": KernelEntry(mk.kernels.BoundedConfidence(0.7, 1.25), PLANE),
    "bounded confidence, torus": KernelEntry(mk.kernels.BoundedConfidence(1.3, -0.8), OBLONG),
    "power 3/2": KernelEntry(mk.kernels.PowerLaw(1.5, 1.5), PLANE),
    "logarithm": KernelEntry(mk.kernels.PowerLaw(-1.0, 0.0), LINE),
    "coulomb": KernelEntry(mk.kernels.PowerLaw(-1.0, -1.0), PLANE),
    "skew module": KernelEntry(mk.kernels.Function(Yukawa(1.5)), PLANE),
    "kuramoto": KernelEntry(mk.kernels.Cosine(2.0), CIRCLE),
    "cosines": KernelEntry(mk.kernels.Cosine(-1.5), OBLONG),
    "many modes": KernelEntry(_many_modes(), OBLONG),
    "periodic gaussian": KernelEntry(mk.kernels.Gaussian(1.0, 0.8), OBLONG),
    "skew function": KernelEntry(mk.kernels.Function(skew), OBLONG),
    "onsager": KernelEntry(mk.kernels.Function(lambda z: jnp.abs(jnp.sin(z[0]))), CIRCLE),
    "nearest image": KernelEntry(mk.kernels.MinimalImage(mk.kernels.Quadratic(1.0)), OBLONG),
    "zonal": KernelEntry(mk.kernels.Zonal(lambda t: jnp.exp(t) - t**2), SPHERE),
    "periodic logarithm": KernelEntry(mk.kernels.Function(lambda z: -jnp.log(2 * jnp.abs(jnp.sin(z[0] / 2)))), CIRCLE),
}


# For what a test needs but does not examine. Compiled whole, as operation by operation every new shape would cost
# seconds, and without optimisation, since it runs once.
compiled = partial(eqx.filter_jit, compiler_options={"xla_backend_optimization_level": 0})
particles, density = compiled(mk.Particles), compiled(mk.Density)


def cloud(space: AbstractSpace, n: int, dtype=np.float64, weighted: bool = False, seed: int = 0) -> mk.Particles:
    """n particles on [−2, 2)^d, or on the torus: multiples of 2⁻¹⁰, so that on R^d their differences are exact."""
    rng = np.random.default_rng(seed)
    positions = rng.integers(-2048, 2048, (n, space.dim)) / 1024
    weights = rng.uniform(0.5, 1.5, n)
    return particles(space, positions.astype(dtype), (weights / weights.sum()).astype(dtype) if weighted else None)


class SumEntry(NamedTuple):
    """One way of summing: the kernel that takes it, a measure to act, and the points or grid acted on."""

    entry: KernelEntry
    measure: AbstractGrid | int
    points: AbstractGrid | int | None = None


# Every way of summing is held to the sum over all pairs in test_sums.py. `measure` is a grid (for a density on it) or a
# number of particles; `points` likewise, None standing for the measure's own.
SUMS: dict[str, SumEntry] = {
    "tiles": SumEntry(KERNELS["morse"], 600),
    "tiles, one particle": SumEntry(KERNELS["morse"], 1),
    "tiles, singular": SumEntry(KERNELS["coulomb"], 513),
    "tiles, density at points": SumEntry(KERNELS["gaussian"], PLANE.grid((8, 9), (-2.0, -2.0), (2.0, 2.0)), 20),
    "tiles, torus": SumEntry(KERNELS["onsager"], 30),
    "tiles, nearest image": SumEntry(KERNELS["nearest image"], 30),
    "tiles, particles on a box": SumEntry(KERNELS["gaussian"], 20, PLANE.grid(5, (-2.0, -2.0), (2.0, 2.0))),
    "moments": SumEntry(KERNELS["quadratic"], 40, 7),
    "moments, density": SumEntry(KERNELS["quadratic"], PLANE.grid((6, 7), (-2.0, -1.0), (2.0, 3.0)), 7),
    "fused modes": SumEntry(KERNELS["cosines"], 50),
    "fused modes, one particle": SumEntry(KERNELS["kuramoto"], 1),
    "blocked modes": SumEntry(KERNELS["many modes"], 50),
    "blocked modes, several blocks": SumEntry(KERNELS["many modes"], 4100, 11),
    "modes on a grid": SumEntry(KERNELS["many modes"], 40, OBLONG.grid((8, 9))),
    "modes on a coarse grid": SumEntry(KERNELS["many modes"], 40, OBLONG.grid((6, 6))),
    "modes, density on its grid": SumEntry(KERNELS["many modes"], OBLONG.grid((9, 8))),
    "modes, density on a finer grid": SumEntry(KERNELS["many modes"], OBLONG.grid((8, 8)), OBLONG.grid((10, 11))),
    "modes, density at points": SumEntry(KERNELS["many modes"], OBLONG.grid((9, 8)), 12),
    "boxes": SumEntry(KERNELS["morse"], PLANE.grid((6, 7), (-0.3, -0.2), (0.3, 0.3))),
    "boxes, singular": SumEntry(KERNELS["logarithm"], LINE.grid(32, -2.0, 2.0)),
}


def bounded_confidence(z):
    """Hegselmann and Krause: −½((h − |z|)₊)², with h = 0.7; a function of compact support."""
    square = jnp.sum(z**2)
    distance = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
    return -0.5 * jnp.maximum(0.7 - distance, 0.0) ** 2


def quartic(z):
    """A polynomial that is neither radial nor even."""
    return z[0] ** 4 - 0.3 * z[0] * z[-1] + z[-1] ** 3 + z[0] ** 2 * z[-1] ** 2


def opinions(z):
    """Smooth, growing, anisotropic."""
    return jnp.log(jnp.cosh(z[0])) + 0.1 * jnp.sum(z[1:] ** 2)


@dataclass(frozen=True, eq=False)
class PlannedEntry:
    """A kernel, and a sum that serves it; planned once, for a cloud that fills [−2, 2)^d.

    `growth`: how many times that extent the plan must serve; tolerance 0 says that a sum is exact to rounding. `depth`:
    the levels of a tree, whose leaves are of 4 points, so that a few points take several of them.
    """

    entry: KernelEntry
    sum: AbstractSum
    growth: float = 4.0
    depth: int = 6

    @cached_property
    def plan(self) -> AbstractSum:
        mu = cloud(self.entry.space, 100)
        plan = self.sum.plan(self.entry.kernel, mu, mu.positions)
        return dataclasses.replace(plan, depth=self.depth, leaf=4) if isinstance(plan, FMM) else plan

    @property
    def tolerance(self) -> float:
        return getattr(self.sum, "tolerance", 0.0)


def _planned(kernel: AbstractKernel, space: AbstractSpace, sum_: AbstractSum, growth: float = 4.0) -> PlannedEntry:
    return PlannedEntry(KernelEntry(kernel, space), sum_, growth)


def small_chunks(monkeypatch):
    """Has a tree of few points worked on in chunks of its size, several of them."""
    monkeypatch.setattr(engine, "_ROWS", (4, 4, 4))
    monkeypatch.setattr(engine, "_FEWEST", 8)
    monkeypatch.setattr(engine, "_MOST", 8)


def _in_a_tree(kernel: AbstractKernel, space: AbstractSpace, tolerance: float, depth: int = 6) -> PlannedEntry:
    return PlannedEntry(KernelEntry(kernel, space), FMM(tolerance), math.inf, depth)


# Every sum that is planned, or has a tolerance, is held to the sum over all pairs in test_fast_sums.py.
PLANNED_SUMS: dict[str, PlannedEntry] = {
    # Too wide for its decay to be of use in the box of such a cloud, which a window has to cut.
    "nufft, gaussian, line": _planned(mk.kernels.Gaussian(0.75, 1.1), LINE, NUFFT(1e-9)),
    "nufft, gaussian, plane": _planned(mk.kernels.Gaussian(-1.5, 0.8), PLANE, NUFFT(1e-5)),
    "nufft, gaussian, room": _planned(mk.kernels.Gaussian(1.0, 2.0), ROOM, NUFFT(1e-4)),
    "nufft, opinions": _planned(mk.kernels.Function(opinions), PLANE, NUFFT(1e-6)),
    "nufft, skew module": _planned(mk.kernels.Function(Yukawa(1.5)), LINE, NUFFT(1e-5)),
    "nufft, many modes": PlannedEntry(KERNELS["many modes"], NUFFT(1e-9)),
    "nufft, periodic gaussian": PlannedEntry(KERNELS["periodic gaussian"], NUFFT(1e-5)),
    "modes, many modes": PlannedEntry(KERNELS["many modes"], Modes()),
    "moments, quadratic": PlannedEntry(KERNELS["quadratic"], PowerSums()),
    "moments, quartic": _planned(mk.kernels.PowerLaw(0.8, 4.0), ROOM, PowerSums()),
    "moments, function": _planned(mk.kernels.Function(quartic), PLANE, PowerSums()),
    "cells, line": _planned(mk.kernels.Function(bounded_confidence), LINE, Cells()),
    "cells, plane": _planned(mk.kernels.Function(bounded_confidence), PLANE, Cells()),
    "cells, constant beyond": PlannedEntry(KERNELS["bounded confidence"], Cells()),
    "cells, constant beyond, torus": PlannedEntry(KERNELS["bounded confidence, torus"], Cells()),
    "cells, torus": _planned(mk.kernels.MinimalImage(bounded_confidence), OBLONG, Cells()),
    "fmm, distance": _in_a_tree(mk.kernels.PowerLaw(1.0, 1.0), LINE, 1e-8),
    "fmm, logarithm": _in_a_tree(mk.kernels.PowerLaw(-1.0, 0.0), PLANE, 1e-6),
    "fmm, logarithm, finely": _in_a_tree(mk.kernels.PowerLaw(-1.0, 0.0), PLANE, 1e-9, 4),
    "fmm, morse": _in_a_tree(mk.kernels.Morse(2.0, 1.0, 0.25, 1.5), PLANE, 1e-5),
    "fmm, coulomb": _in_a_tree(mk.kernels.PowerLaw(-1.0, -1.0), ROOM, 1e-2, 3),
    "fmm, periodic logarithm": _in_a_tree(KERNELS["periodic logarithm"].given, CIRCLE, 1e-9),
    "fmm, nearest image": _in_a_tree(mk.kernels.MinimalImage(mk.kernels.Morse(2.0, 1.0, 0.1, 0.05)), OBLONG, 1e-4),
}
