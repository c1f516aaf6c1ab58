"""Chapter: deep random Transformers, and the equations to which their layers tend."""

from dataclasses import dataclass, field

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mckean import observables
from mckean.dynamics import Layers, evolve
from mckean.dynamics.layers import modified
from mckean.interactions import Attention
from mckean.measures import Particles
from mckean.models import Heads, Model
from mckean.paths import Brownian, Record
from mckean.spaces import Sphere
from mckean.statistics import Estimate, Jackknife, jackknife, replicate
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series
from mckean.talk.parts.pairs import Pairs, run_pairs


@dataclass(frozen=True)
class Config:
    dim: int = 8
    tokens: int = 6
    beta: float = 1.0
    depth: float = 1.0  # t = Lη of the regimes with a mean field
    steps: tuple[float, ...] = (1 / 16, 1 / 32, 1 / 64)  # η, each half of the one before
    heads: int = 64
    replicas: int = 1024
    pairs: Pairs = field(default_factory=Pairs)


_PAPER = "Koubbi, Geshkovski and Rigollet, Homogenized Transformers, arXiv 2604.01978"
_LAYERS = "the square of a layer's step, expanded, with the radial part of b"


def _model(config: Config, intensity) -> Model:
    """B = (I + ξ)m: attention with values that are the identity in mean, and Gaussian about it."""
    noise = Heads(config.beta, intensity=intensity)
    return Model(Sphere(config.dim), drift=Attention(config.beta), common=noise)


def _start(config: Config) -> Particles:
    return Particles(Sphere(config.dim), jnp.eye(config.tokens, config.dim))


def _networks(key, config: Config):
    """Mean overlaps at depth t, shape (2, steps, 2): H fixed or H = 1/η, each η, the weights or their opposites.

    All networks see one environment, in layers of different length: their errors, and the noise in them, are alike. The
    mean of a network and of that with the opposite fluctuations is more precise than each.
    """
    finest = config.steps[-1]
    weights = Brownian(key).environment.record(round(config.depth / finest), finest, config.dim**2).increments

    def end(eta: float, intensity, sign):
        path = Brownian(key, Record(sign * weights, finest)).coarsen(round(eta / finest))
        model = _model(config, intensity)
        run = evolve(model, _start(config), until=config.depth, dt=eta, path=path, scheme=Layers())
        return observables.mean_overlap(model, run.final)

    signs = jnp.asarray([1.0, -1.0])
    regimes = lambda eta: jnp.asarray([eta / config.heads, eta**2])  # noqa: E731
    both = lambda eta: jax.vmap(lambda c: jax.vmap(lambda s: end(eta, c, s))(signs))(regimes(eta))  # noqa: E731
    return jnp.stack([both(eta) for eta in config.steps], axis=1)


def _flow(config: Config, dt) -> float:
    """The mean overlap at depth t under the equation that layers of step dt follow; x′ = Pb for dt = 0."""
    model = modified(_model(config, 0.0), dt)
    run = evolve(model, _start(config), until=config.depth, dt=config.depth / 64, scheme=diffrax.Tsit5())
    return float(observables.mean_overlap(model, run.final))


def run(config: Config, key, progress) -> Result:
    first, second = jax.random.split(key)
    seen = replicate(eqx.Partial(_networks, config=config), first, config.replicas, config.replicas // 4)
    progress(0.4)
    flows = np.asarray([_flow(config, dt) for dt in (0.0, *config.steps)])
    progress(0.45)
    errors = _errors(seen, flows)
    claims, panels = run_pairs(config.pairs, second, lambda done: progress(0.45 + 0.55 * done))
    return Result([*_order_claims(config, errors), *claims], [Figure(_CAPTION, [_regimes(config, errors), *panels])])


def _errors(seen, flows: np.ndarray) -> dict[str, tuple[float, Jackknife]]:
    """What falls with η, by which power, and its values."""
    bias = lambda regime, law: jackknife(seen[:, regime].mean(axis=2) - law).map(np.abs)  # noqa: E731
    # The part that is odd in the fluctuations is half of the difference of a pair.
    spread = jackknife((0.5 * (seen[:, 0, :, 0] - seen[:, 0, :, 1])) ** 2, root=2)
    return {
        "ODE, H fixed": (1.0, bias(0, flows[0])),
        "standard deviation, H fixed": (0.5, spread),
        "ODE, H = 1/η": (1.0, bias(1, flows[0])),
        "modified ODE, H = 1/η": (2.0, bias(1, flows[1:])),
    }


def _order_claims(config: Config, errors) -> list[Claim]:
    told = {
        "ODE, H fixed": (
            rf"With a mean field and $H={config.heads}$ heads, the mean overlap at depth $t=L\eta$ tends to that of "
            r"$x'=Pb$ as a power of $\eta$: the exponent", Rival("the strong order of noise, 1/2", 0.5), _PAPER,
        ),
        "standard deviation, H fixed": (
            r"Its standard deviation over networks falls as $\sqrt\alpha=\sigma\sqrt{\eta/H}$: the exponent of "
            r"$\eta$",
            Rival("that of a mean, 1", 1.0), _PAPER,
        ),
        "ODE, H = 1/η": (
            r"With $H=1/\eta$ heads the mean overlap tends to that of $x'=Pb$: the exponent of $\eta$",
            Rival("that of the modified equation, 2", 2.0), _PAPER,
        ),
        "modified ODE, H = 1/η": (
            r"From the modified equation it differs by a higher power of $\eta$: the exponent",
            Rival("without the radial part of b, 1", 1.0), _LAYERS,
        ),
    }  # fmt: skip
    return [
        Claim(
            statement=told[name][0],
            predicted=order,
            measured=_order_of(values),
            tolerance=config.steps[-3],
            origin="second order in η after extrapolation, and less than the largest η",
            excludes=told[name][1],
            reference=told[name][2],
        )
        for name, (order, values) in errors.items()
    ]


def _order_of(errors: Jackknife) -> Estimate:
    """The exponent p of three errors at h, h/2 and h/4, extrapolated.

    Errors Ch^p(1 + ah + …) give p + ah/(2 log 2) and p + ah/(4 log 2) between neighbours: twice the second less the
    first is p + O(h²).
    """
    found = errors.map(lambda e: np.log2(e[..., -3:]) @ np.array([-1.0, 3.0, -2.0])).estimate
    return Estimate(float(found.value), float(found.stderr), float(found.freedom))


def _regimes(config: Config, errors) -> Panel:
    eta = np.asarray(config.steps)
    series = []
    for name, (order, values) in errors.items():
        found = values.estimate
        series.append(Series(eta, found.value, name, found.stderr, "points"))
        series.append(Series(eta, found.value[-1] * (eta / eta[-1]) ** order, kind="dashed"))
    return Panel(r"$\eta$", "error of the mean overlap", series, xscale="log", yscale="log")


_CAPTION = (
    "Left: with a mean field, errors of the mean overlap at depth t = Lη; dashed: orders 1, ½, 1 and 2. Middle: where "
    "the noise stays, the overlap of two tokens against its stochastic equation, by the length of a layer. Right: "
    "networks of very different depth on one clock."
)


CHAPTER = Chapter(
    name="homogenisation",
    title="Deep random Transformers: from layers to a stochastic equation",
    statement=(
        "A layer moves all tokens by the same random field, $x\\leftarrow N\\big(x+\\tfrac\\eta H\\sum_h "
        "B_{\\theta_h}[\\mu](x)\\big)$. With $b=E B$, $\\sigma^2$ the variance of $B$ and $\\alpha=\\eta\\sigma^2/H$, "
        "$L$ layers tend to $x'=b$ where $\\alpha\\eta L$ and $\\eta^2L$ are small; to a modified equation where "
        "$\\eta^3L$ is small, but $\\eta^2L$ is not; and, where $\\alpha\\eta L$ is of order one, to an equation with "
        "noise common to all tokens. With Gaussian values and $b=0$ the network has the law of an Euler step of length "
        "$\\eta^2/H$ of that equation: depth, heads and step enter through the clock $s=L\\eta^2/H$ alone, up to "
        "$O(\\eta^2/H)$. The modified equation is "
        "$$x'=Pb-\\eta\\big(\\tfrac12\\nabla_{Pb}Pb+\\langle x,b\\rangle Pb\\big).$$ Its last term is due to the "
        "radial part of $b$. Layers that add tangent vectors have no such part, and follow "
        "$b-\\tfrac\\eta2\\nabla_bb$.\n\n"
        "Two tokens have an overlap that is a diffusion of its own, in every regime: its drift and bracket are known, "
        "and "
        "Kolmogorov's equation gives its mean, with which the layers are compared."
    ),
    what=lambda c: (
        f"Mean field: values I plus Gaussian ones, β = {c.beta:g}, {c.tokens} orthonormal tokens in R^{c.dim}, depth "
        f"t = "
        f"{c.depth:g}, η = 1/{', 1/'.join(f'{1 / e:g}' for e in c.steps)}, H = {c.heads} or 1/η, {c.replicas} "
        f"networks and "
        f"their opposites. Two tokens in R^{c.pairs.dim}, η/H = ½ or 2, t = {c.pairs.until:g}: η = "
        f"1/{', 1/'.join(f'{1 / e:g}' for e in c.pairs.steps)} in {c.pairs.replicas} environments and their opposites; "
        f"random QᵀK, ⟨Ax, y⟩ of standard deviation {c.pairs.spread:g}, {c.pairs.networks} networks up to s = "
        f"{c.pairs.clock:g}."
    ),
    run=run,
    config=Config(),
    quick=Config(replicas=256, pairs=Pairs.quick()),
    references=(
        "H. Koubbi, B. Geshkovski and P. Rigollet, Homogenized Transformers, arXiv 2604.01978.",
        "B. Geshkovski, C. Letrouit, Y. Polyanskiy and P. Rigollet, A mathematical perspective on Transformers.",
    ),
)
