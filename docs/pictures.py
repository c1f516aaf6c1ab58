"""The pictures of the README: `python docs/pictures.py` draws them anew, in a minute.

Each is a function of some ten lines: a model, a run, and `mckean.plot`.
"""

import pathlib
import sys

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot

import mckean as mk
from mckean import plot

jax.config.update("jax_enable_x64", True)
HERE = pathlib.Path(__file__).parent
CIRCLE, TORUS = mk.Torus(1), mk.Torus(2)
KEY = jax.random.key(0)


def tokens(path):
    """Self-attention on S²: tokens gather in clusters, which merge."""
    model = mk.catalogue.self_attention(dim=3, beta=20.0).model
    start = mk.Particles(model.space, model.space.uniform(KEY, 400))
    run = mk.evolve(model, start, until=12.0, dt=0.05, every=6, observe={"x": mk.observables.positions})
    plot.animate(run, path, fps=12, size=(3.6, 3.5), dpi=100)


def environment(path):
    """Particles and the stochastic Fokker–Planck equation in one environment."""
    noise = mk.TransportNoise.shell(TORUS, upper=2.5, intensity=0.4)
    model = mk.langevin(TORUS, interaction=mk.kernels.Cosine(8.0), beta=2.0, common=noise)
    law = mk.Density.from_function(TORUS.grid(64), lambda x: 1 + 0.6 * jnp.cos(x[0]) * jnp.cos(x[1]))
    given = {"until": 1.0, "dt": 0.002, "path": mk.Brownian(jax.random.key(5)), "every": 250}
    spde = mk.evolve(model, law, observe={"rho": mk.observables.density}, **given)
    cloud = law.sample(KEY, 700)
    sde = mk.evolve(model, cloud, observe={"x": mk.observables.positions}, **given)
    top = float(jnp.max(spde.observed["rho"]))
    with plot.style():
        figure, axes = pyplot.subplots(1, 3, figsize=(5.6, 2.3), layout="constrained", sharey=True)
        for t, rho, mu, ax in zip(spde.times, plot.frames(spde), plot.frames(sde), axes, strict=True):
            plot.density(rho, ax, top=top, bar=ax is axes[-1])
            plot.particles(mu, ax, color="white", size=2)
            ax.set_title(f"$t$ = {t:.1f}")
            ax.set_xticks([0, 2, 4, 6])
            ax.label_outer()
    save(figure, path)


def attention(strength):
    """W = −κe^{4cos x}/4, by its series."""
    from scipy.special import iv

    k = np.arange(1, 25)
    return mk.langevin(CIRCLE, interaction=mk.kernels.FourierSeries(k, -strength * iv(k, 4.0) / 2), beta=1.0)


def order_at_end(key, law, strength):
    """The order parameter of 4000 particles that begin at a state."""
    start, noise = jax.random.split(key)
    cloud = law.sample(start, 4000)
    # Euler's scheme would be off by the tenth part at this step, as the force is steep.
    path = mk.Brownian(noise)
    end = mk.evolve(attention(strength), cloud, until=4.0, dt=0.01, path=path, scheme=diffrax.Heun()).final
    return mk.observables.order_parameter(1)(attention(strength), end)


def branches(path):
    """A discontinuous transition: branches by continuation, and particles that begin on them."""
    flat = mk.Density.from_function(CIRCLE.grid(64), lambda x: 1.0 + 0 * x[0])
    low, high = 0.37, 0.45
    uniform = mk.phases.continuation(attention, mk.phases.steady_state(attention(low), flat, 0), low, (low, high))
    event = uniform.events[0]
    way = mk.phases.departures(event)[0]
    ordered = mk.phases.continuation(attention, event.state, event.parameter, (low, high), along=way, longest=0.15)
    ax = plot.branches([uniform, ordered], parameter=r"strength $\kappa$ (energy)", labels=["uniform", "ordered"])
    for strength in (0.375, 0.3915, 0.4, 0.42, 0.44):
        for branch, color in ((uniform, plot.COLOURS[0]), (ordered, plot.COLOURS[1])):
            passes = branch.parameters.min() <= strength <= branch.parameters.max()
            for state in branch.at(strength) if passes else []:
                if state.stable:
                    run = eqx.Partial(order_at_end, law=state.density, strength=jnp.asarray(strength))
                    r = mk.statistics.replicate(run, KEY, 8)
                    plot.curve([strength] * 8, r, ax, kind="points", color=color, number=2)
    save(ax.get_figure(), path)


def chaos(path):
    """Propagation of chaos: the covariance of two of N particles that interact, cos X₁ and cos X₂, at time 1."""
    model = mk.langevin(CIRCLE, interaction=mk.kernels.Cosine(1.0), beta=1.0)
    law = mk.VonMises(CIRCLE, 0.0, 1.0)
    found = mk.couplings.chaos_rate(
        model, law, lambda x: jnp.cos(x[0]), sizes=[8, 16, 32, 64, 128], until=1.0, dt=0.02, replicas=8192, key=KEY
    )
    ax = plot.rate(found, exponent=-1.0)
    ax.set_ylabel(r"covariance of $\cos X_1$ and $\cos X_2$")
    save(ax.get_figure(), path)


def ledger(path):
    """The free energy of a stochastic Fokker–Planck equation, what dissipates it and what the environment pays."""
    noise = mk.TransportNoise.shell(TORUS, upper=2.5, intensity=1.0)
    model = mk.langevin(TORUS, interaction=mk.kernels.Cosine(3.0), beta=1.0, common=noise)
    law = mk.Density.from_function(TORUS.grid(64), lambda x: jnp.exp(jnp.cos(x[0]) + jnp.cos(x[1])))
    account = mk.energetics.ledger(model, law, until=0.5, dt=1e-3, path=mk.Brownian(KEY), every=5)
    save(plot.ledger(account).get_figure(), path)


def save(figure, path):
    """A picture of 256 colours, some 700 pixels wide."""
    from PIL import Image

    figure.savefig(path, dpi=130)
    pyplot.close(figure)
    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)


PICTURES = {
    "tokens.gif": tokens,
    "environment.png": environment,
    "branches.png": branches,
    "chaos.png": chaos,
    "ledger.png": ledger,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or PICTURES:
        PICTURES[name](HERE / name)
