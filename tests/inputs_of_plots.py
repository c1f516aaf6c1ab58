"""Inputs of pictures that must be refused, with these words in the sentence."""

import math

import jax
import jax.numpy as jnp
import numpy as np

import mckean as mk

LINE, CIRCLE, SPACE = mk.Euclidean(1), mk.Torus(1), mk.Euclidean(3)
CLOUD = mk.Particles(CIRCLE, jnp.asarray([[0.1], [2.0]]))
RHO = mk.Density.from_function(CIRCLE.grid(8), lambda x: 1 + 0.5 * jnp.cos(x[0]))
MODEL = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(1.0))
plot = mk.plot


def run(**observe):
    path = mk.Brownian(jax.random.key(0))
    return mk.evolve(MODEL, CLOUD, until=0.2, dt=0.1, path=path, observe=observe, every=1)


def both():
    return run(x=mk.observables.positions, y=mk.observables.positions)


REFUSED = {
    "plot.particles": {
        "of a density": (lambda: plot.particles(RHO), "plot.density draws a density"),
        "in three dimensions": (lambda: plot.particles(mk.Particles(SPACE, jnp.ones((2, 3)))), "choose two of them"),
        "a coordinate that is not there": (
            lambda: plot.particles(mk.Particles(SPACE, jnp.ones((2, 3))), coordinates=(0, 3)),
            "from 0 to 2",
        ),
        "tokens in four dimensions": (
            lambda: plot.particles(mk.Particles(mk.Sphere(4), jnp.eye(4))),
            "overlaps with plot.overlap",
        ),
        "none of them": (lambda: plot.particles(CLOUD, limit=0), "positive number of particles"),
        "points without an area": (lambda: plot.particles(CLOUD, size=-1.0), "size of a point is positive"),
        "no axes": (lambda: plot.particles(CLOUD, "ax"), "as matplotlib's plt.subplots"),
        "a view from nowhere": (
            lambda: plot.particles(mk.Particles(mk.Sphere(3), jnp.eye(3)), view=(0.0, 0.0, 0.0)),
            "direction of three numbers",
        ),
    },
    "plot.density": {
        "of particles": (lambda: plot.density(CLOUD), "deposit or smooth"),
        "in three dimensions": (
            lambda: plot.density(mk.Density.from_function(SPACE.grid(4, 0.0, 1.0), lambda x: 1.0 + 0 * x[0])),
            "marginal",
        ),
        "a top below zero": (lambda: plot.density(RHO, top=-1.0), "positive"),
        "of a point mass": (lambda: plot.density(mk.Gaussian(0.0, 0.0)), "without a variance"),
    },
    "plot.curve": {
        "of another length": (lambda: plot.curve([0.0, 1.0], [1.0]), "2 values of x and 1 of y"),
        "another kind": (lambda: plot.curve([0.0], [1.0], kind="bars"), "points"),
        "other axes": (lambda: plot.curve([0.0], [1.0], log="z"), "xy"),
    },
    "plot.mark": {
        "numbers without names": (lambda: plot.mark([1.0]), "by their names"),
        "nowhere": (lambda: plot.mark({"fold": math.nan}), "finite"),
    },
    "plot.series": {
        "a name without a run": (lambda: plot.series([0.0, 1.0], "r"), "looked up in a Trajectory"),
        "an observable that is not there": (lambda: plot.series(run(r=mk.observables.order_parameter(1)), "s"), "'r'"),
        "of another length": (lambda: plot.series([0.0, 1.0], [1.0, 2.0, 3.0]), "shape"),
        "not a number": (lambda: plot.series([0.0, 1.0], [1.0, math.nan]), "finite"),
        "complex": (lambda: plot.series([0.0, 1.0], np.array([1j, 2j])), "real|complex"),
        "another band": (lambda: plot.series([0.0, 1.0], [1.0, 2.0], band="box"), "interval"),
        "a level of everything": (lambda: plot.series([0.0, 1.0], np.ones((3, 2)), level=1.0), "between 0 and 1"),
        "paths of one curve": (lambda: plot.series([0.0, 1.0], [1.0, 2.0], paths=2), "replicas"),
        "less than no paths": (lambda: plot.series([0.0, 1.0], np.ones((3, 2)), paths=-1), "number of replicas"),
        "one replica": (lambda: plot.series([0.0, 1.0], np.ones((1, 2))), "two replicas"),
    },
    "plot.overlap": {"of another length": (lambda: plot.overlap([0.0, 1.0], [1.0]), "shape")},
    "plot.rate": {"of numbers": (lambda: plot.rate([1.0]), "statistics.study")},
    "plot.ledger": {"of numbers": (lambda: plot.ledger([1.0]), "energetics.ledger")},
    "plot.lifetimes": {"of numbers": (lambda: plot.lifetimes([1.0]), "phases.escape_times")},
    "plot.branches": {
        "of nothing": (lambda: plot.branches([]), "phases.continuation"),
        "of a state": (lambda: plot.branches(RHO), "phases.continuation"),
    },
    "plot.phase_diagram": {"of numbers": (lambda: plot.phase_diagram([1.0]), "phases.phase_diagram")},
    "plot.geodesic": {"of densities": (lambda: plot.geodesic([RHO, RHO]), "transport.geodesic")},
    "plot.frames": {
        "of no run": (lambda: plot.frames([CLOUD]), "those of a Trajectory"),
        "without snapshots": (lambda: plot.frames(run(r=mk.observables.order_parameter(1))), "observables.positions"),
        "of two snapshots": (lambda: plot.frames(both()), "say which"),
        "of what is none": (lambda: plot.frames(run(r=mk.observables.order_parameter(1)), "r"), "no snapshot"),
    },
    "plot.animate": {
        "another ending": (lambda: plot.animate([CLOUD], "film.avi"), "by the ending of its file"),
        "no frames": (lambda: plot.animate([], "film.gif"), "sequence of frames"),
        "numbers": (lambda: plot.animate([1.0], "film.gif"), "draw= says"),
        "more times than frames": (lambda: plot.animate([CLOUD], "film.gif", times=[0.0, 1.0]), "as many times"),
        "no pictures in a second": (lambda: plot.animate([CLOUD], "film.gif", fps=0), "fps"),
    },
}
