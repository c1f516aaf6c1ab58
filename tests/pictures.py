"""What the tests of pictures draw: measures of every kind, results of every wing, and the tables of both."""

import jax
import jax.numpy as jnp
import numpy as np

import mckean as mk
from mckean import plot, statistics
from mckean.energetics import Accounts, Ledger
from mckean.phases import Branch, Event, PhaseDiagram, SteadyState
from mckean.transport import Geodesic

LINE, CIRCLE, PLANE, TORUS, S1, S2 = (
    mk.Euclidean(1), mk.Torus(1), mk.Euclidean(2), mk.Torus(2, (1.0, 2.0)), mk.Sphere(2), mk.Sphere(3),
)  # fmt: skip
PHASE, FLOCK = mk.TangentBundle(CIRCLE), mk.TangentBundle(PLANE)
RNG = np.random.default_rng(0)


def cloud(space, n=30, weights=None):
    x = RNG.normal(size=(n, space.dim))
    x = x / np.linalg.norm(x, axis=1, keepdims=True) if isinstance(space, mk.Sphere) else x
    return mk.Particles(space, x, weights)


def law(grid, f=lambda x: 1 + 0.5 * jnp.cos(x[0])):
    return mk.Density.from_function(grid, f)


def family(*members):
    return mk.Family(list(members))


def thin(z):
    return jnp.exp(-jnp.sum(z**2))


# A measure, more arguments, and words of the names of both axes.
CLOUDS = {
    "line": (cloud(LINE), {}, "$x$ (length)", "1/length"),
    "many on a line": (cloud(LINE, 3000), {}, "$x$ (length)", "1/length"),
    "weights on a line": (cloud(LINE, 4, [0.1, 0.2, 0.3, 0.4]), {}, "$x$ (length)", "1/length"),
    "one point": (cloud(LINE, 1), {}, "$x$ (length)", "1/length"),
    "torus of one side": (cloud(CIRCLE), {}, "$x$ (length)", "1/length"),
    "circle": (cloud(S1), {}, "radian", "per radian"),
    "plane": (cloud(PLANE), {}, "$x_1$ (length)", "$x_2$ (length)"),
    "weights on a plane": (cloud(PLANE, 2, [0.2, 0.8]), {}, "$x_1$ (length)", "$x_2$ (length)"),
    "torus": (cloud(TORUS), {}, "$x_1$ (length)", "$x_2$ (length)"),
    "two of three": (cloud(mk.Euclidean(3)), {"coordinates": (2, 0)}, "$x_3$ (length)", "$x_1$ (length)"),
    "two of a sphere": (cloud(mk.Sphere(5)), {"coordinates": (0, 4)}, "$x_1$", "$x_5$"),
    "sphere": (cloud(S2), {}, "", ""),
    "sphere from the pole": (cloud(S2), {"view": (0.0, 0.0, 1.0)}, "", ""),
    "map of a sphere": (cloud(S2), {"view": None}, "longitude", "height"),
    "phase plane": (cloud(PHASE), {}, "$x$ (length)", "velocity $v$ (length/time)"),
    "flock": (cloud(FLOCK), {}, "$x_1$ (length)", "$x_2$ (length)"),
    "velocities of a flock": (cloud(FLOCK), {"coordinates": (2, 3)}, "velocity $v_1$", "velocity $v_2$"),
    "labels on a circle": (family(cloud(CIRCLE), cloud(CIRCLE)), {}, "$x$ (length)", "1/length"),
    "labels on a plane": (family(cloud(PLANE), cloud(PLANE)), {}, "$x_1$ (length)", "$x_2$ (length)"),
    "many labels": (family(*[cloud(S2)] * 8), {}, "", ""),
}
DENSITIES = {
    "torus of one side": (law(CIRCLE.grid(16)), {}, "$x$ (length)", "(1/length)"),
    "box of the line": (law(LINE.grid(16, -1.0, 1.0)), {}, "$x$ (length)", "(1/length)"),
    "quantiles": (mk.Lagrangian.from_density(law(LINE.grid(16, -1.0, 1.0))), {}, "$x$ (length)", "(1/length)"),
    "Gaussian": (mk.Gaussian(0.0, 1.0), {}, "$x$ (length)", "(1/length)"),
    "Gaussian on a plane": (mk.Gaussian(jnp.zeros(2), jnp.eye(2)), {}, "$x_1$ (length)", "$x_2$ (length)"),
    "Gaussian with a velocity": (
        mk.Gaussian(jnp.zeros(2), jnp.eye(2), mk.TangentBundle(LINE)), {}, "$x$ (length)", "velocity $v$ (length/time)",
    ),
    "circle": (law(S1.grid(8)), {}, "radian", "per radian"),
    "zonal": (law(mk.Sphere(6).grid(8, axis=(1.0, *[0.0] * 5)), lambda x: 1 + 0.5 * x[0]), {}, "e, x", "sphere"),
    "torus": (law(TORUS.grid(8)), {}, "$x_1$ (length)", "$x_2$ (length)"),
    "box": (law(PLANE.grid(8, -1.0, 1.0)), {}, "$x_1$ (length)", "$x_2$ (length)"),
    "phase grid": (law(PHASE.grid(CIRCLE.grid(8), 8, 4.0), thin), {}, "$x$ (length)", "velocity $v$ (length/time)"),
    "phase grid of a plane": (
        law(FLOCK.grid(PLANE.grid(4, -3.0, 3.0), 4, 4.0), thin), {}, "$x_1$ (length)", "$x_2$ (length)",
    ),
    "sphere": (law(S2.grid(8)), {}, "", ""),
    "map of a sphere": (law(S2.grid(8)), {"view": None}, "longitude", "height"),
    "labels": (family(law(CIRCLE.grid(16)), law(CIRCLE.grid(16))), {}, "$x$ (length)", "(1/length)"),
}  # fmt: skip


def state(order, index=0):
    curvatures = np.array([1.0 - 2 * index])
    rho = law(CIRCLE.grid(8))
    return SteadyState(rho, -order, 1e-12, 1e-12, 0.0, order, curvatures, index, 0, mk.Model(CIRCLE), np.zeros(1))


def branch():
    """A fold at 1, from which a stable curve and one that is not go on."""
    r = np.linspace(0.0, 1.0, 12)
    states = [state(x, int(x < 0.5)) for x in r]
    p = 1 + (r - 0.5) ** 2
    return Branch(p, states, [Event("fold", 1.0, 1e-9, state(0.5), 1, lambda p: p)], lambda p: p)


def diagram():
    phase = np.array([[0, 0, -1], [1, 0, -1], [2, 2, -1]])
    nan = np.nan
    values = {"order": phase / 2.0, "gap": -phase / 2.0, "residual": np.zeros((3, 3))}
    lines = {"threshold": np.array([2.0, 2.5, nan]), "fold": np.array([1.5, nan, nan])}
    first, second = np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, 2.0])
    return PhaseDiagram(("kappa", "beta"), first, second, phase=phase, **values, **lines,
                        coexistence=np.array([1.8, nan, nan]), columns=[])  # fmt: skip


def account(replicas=()):
    t = np.linspace(0, 1, 5)
    term = np.broadcast_to(t, (*replicas, 5)) + 0.01 * RNG.normal(size=(*replicas, 5))
    zero = np.zeros_like(term)
    return Ledger(np.broadcast_to(t, term.shape), -term + 1e-6, Accounts(term, zero, zero, zero, zero, zero))


def geodesic(grid):
    values = jnp.stack([law(grid, lambda x, s=s: jnp.exp(-jnp.sum((x - s) ** 2))).values for s in (-0.5, 0.0, 0.5)])
    return Geodesic(grid, values, (), jnp.ones(2), 0.0, 0.0, 0)


def fitted():
    samples = RNG.normal(size=(20, 3)) ** 2 / np.array([10.0, 100.0, 1000.0])
    return statistics.fit_rate([10, 100, 1000], statistics.jackknife(samples, 2))


T = np.linspace(0.0, 1.0, 6)
MANY = RNG.normal(size=(9, 6))
PRINTED = statistics.average(MANY)
LIVES = statistics.Lifetimes([1.0, 2.0, 3.0, 4.0], [True, False, True, False])
OTHERS = {
    "series": (plot.series, (T, T), {"exact": lambda t: t}, "time $t$", "value"),
    "series of replicas": (plot.series, (T, MANY), {"label": "mean", "exact": 0.0}, "time $t$", "value"),
    "spread of replicas": (plot.series, (T, MANY), {"band": "spread", "level": 0.5}, "time $t$", "value"),
    "replicas without a band": (plot.series, (T, MANY), {"band": None}, "time $t$", "value"),
    "series of estimates": (plot.series, (T, PRINTED), {"exact": T}, "time $t$", "value"),
    "paths of replicas": (plot.series, (T + 1, MANY**2), {"paths": 3, "log": "xy"}, "time $t$", "value"),
    "overlap": (plot.overlap, (T, np.abs(MANY) / 9), {"exact": 0.5}, "depth $s$", r"overlap $\langle x_i, x_j"),
    "rate": (plot.rate, (fitted(),), {"exponent": -0.5}, "number of particles $N$", "error"),
    "ledger": (plot.ledger, (account(),), {}, "time $t$", "energy per particle"),
    "ledgers": (plot.ledger, (account((4,)),), {}, "time $t$", "energy per particle"),
    "lifetimes": (plot.lifetimes, (LIVES,), {}, "time $t$", "share of lives"),
    "branch": (plot.branches, (branch(),), {"parameter": "strength $K$"}, "strength $K$", "order parameter"),
    "energies": (plot.branches, ([branch()] * 2,), {"coordinate": "free_energy", "labels": "ab"}, "", "free energy"),
    "coordinate": (plot.branches, (branch(),), {"coordinate": lambda s: s.order**2}, "parameter", "state"),
    "phases": (plot.phase_diagram, (diagram(),), {}, "beta", "kappa"),
    "gap": (plot.phase_diagram, (diagram(),), {"field": "gap"}, "beta", "kappa"),
    "geodesic": (plot.geodesic, (geodesic(LINE.grid(16, -2.0, 2.0)),), {"times": 3}, "$x$ (length)", "(1/length)"),
    "geodesic on a plane": (plot.geodesic, (geodesic(PLANE.grid(8, -2.0, 2.0)),), {}, "$x_1$ (length)", "$x_2$"),
    "curve": (plot.curve, (T, T), {"error": 0.1}, "", ""),
    "exact": (plot.curve, (T, T), {"kind": "exact", "log": "y", "label": "theory"}, "", ""),
    "mark": (plot.mark, ({"onset": 0.5, "fold": 0.55},), {}, "", ""),
    "points": (plot.curve, (T, PRINTED), {"kind": "points"}, "", ""),
    "steps": (plot.curve, (np.linspace(0, 1, 7), T), {"kind": "steps", "error": T}, "", ""),
}  # fmt: skip
CASES = {f"{name}: {kind}": (getattr(plot, name), (mu,), given, x, y)
         for name, kinds in (("particles", CLOUDS), ("density", DENSITIES)) for kind, (mu, given, x, y) in kinds.items()
         } | OTHERS  # fmt: skip


def run(measure, **observe):
    model = mk.langevin(measure.domain, interaction=mk.kernels.Cosine(1.0), beta=1.0)
    path = mk.Brownian(jax.random.key(0))
    return mk.evolve(model, measure, until=0.3, dt=0.1, path=path, observe=observe, every=1)
