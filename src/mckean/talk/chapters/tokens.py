"""Chapter: n tokens in one environment, and the conditional law that they sample."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from mckean.catalogue import toy_transformer
from mckean.dynamics import Moebius, evolve
from mckean.measures import Particles, VonMisesFisher
from mckean.models import Heads, Model, Thermal
from mckean.paths import Brownian
from mckean.spaces import Sphere
from mckean.statistics import Estimate, average, fit_rate, jackknife, replicate, root_mean_square
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Rival, Series
from mckean.talk.parts import sphere_levels, token_law


@dataclass(frozen=True)
class Config:
    dim: int = 8
    alpha: float = 1.0
    beta: float = 2.0
    temperature: float = 0.1
    concentration: float = 6.0
    sizes: tuple[int, ...] = (16, 32, 64)
    attending: tuple[int, ...] = (8, 16, 32)
    factor: int = 4
    near: float = 0.05
    environments: int = 128
    attended: int = 192
    pairs: int = 1024
    until: float = 2.0
    steps: int = 64
    law: token_law.Config = field(default_factory=token_law.Config)
    levels: sphere_levels.Config = field(default_factory=sphere_levels.Config)


_PAPER = "Koubbi, Geshkovski and Rigollet, arXiv 2604.01978"
_CHAOS = "conditional propagation of chaos, without a sampling term where tokens have no noise of their own"


def _toy(config: Config):
    return toy_transformer(config.dim, config.alpha).model, Moebius()


def _heads(config: Config):
    return Model(Sphere(config.dim), common=Heads(config.beta, intensity=config.alpha)), diffrax.Euler()


def _warm(config: Config):
    common = toy_transformer(config.dim, config.alpha).model.common
    return Model(Sphere(config.dim), common=common, noise=Thermal(1 / config.temperature)), diffrax.Euler()


def _features(model, mu):
    """∫x dμ and ∫xxᵀ dμ: the test functions in which measures are compared."""
    x = mu.positions
    return jnp.concatenate([mu.mean(x), (x.T @ (mu.weights[:, None] * x)).ravel()])


def _positions(model, mu):
    return mu.positions


def _move(config: Config, make: Callable, tokens, noise, observe: Callable, every: int):
    """What is observed along the run of the tokens in an environment."""
    model, scheme = make(config)
    settings = {"until": config.until, "dt": config.until / config.steps, "every": every}
    run = evolve(model, tokens, scheme=scheme, path=Brownian(noise), observe={"o": observe}, **settings)
    return run.observed["o"]


def _measures(key, config: Config, make: Callable, sizes: tuple[int, ...]):
    """In one environment: n of n′ tokens for each n, the n repeated until they are n′, and all n′; over time.

    Each has shape (sizes, times, features). A token that does not count has the weight 0: all are one program.
    """
    start, noise = jax.random.split(key)
    many, space = config.factor * sizes[-1], Sphere(config.dim)
    x = VonMisesFisher(space, jnp.eye(config.dim)[0], config.concentration).sample(start, many).positions
    index, counts = jnp.arange(many), jnp.asarray(sizes)[:, None]
    positions = jnp.concatenate([jnp.stack([x] * len(sizes)), x[index % counts], x[None]])
    weights = jnp.concatenate([(index < counts) / counts, jnp.full((len(sizes) + 1, many), 1 / many)])
    one = lambda x, w: _move(config, make, Particles(space, x, w), noise, _features, config.steps // 16)  # noqa: E731
    seen = jax.vmap(one)(positions, weights)
    return dict(zip(("few", "repeated", "all"), jnp.split(seen, [len(sizes), 2 * len(sizes)]), strict=True))


def _nearby(key, config: Config, size: int):
    """Pairs (x_i, y_i) that start near one another, in one environment: the mean of 1 − ⟨x_i, y_i⟩, and its drift.

    The x come in opposite pairs, a state that is frozen for ever, and the y are the x shifted by one vector for all:
    there the bound is nearly reached.
    """
    start, shift, noise = jax.random.split(key, 3)
    space = Sphere(config.dim)
    half = space.uniform(start, size // 2)
    x = jnp.concatenate([half, -half])
    y = space.retract(x + config.near * space.uniform(shift, 1))
    x, y = (_move(config, _toy, Particles(space, z), noise, _positions, 1) for z in (x, y))
    r = jnp.sum(x * y, axis=2)
    a, b = (jnp.sqrt(config.alpha / config.dim) * jnp.linalg.norm(jnp.mean(z, axis=1), axis=1) for z in (x, y))
    drawn = -a * b * jnp.mean((1 - r) * (config.dim - 2 - r), axis=1)
    torn = 0.5 * (config.dim - 1) * (a - b) ** 2 * jnp.mean(r, axis=1)
    return {"gap": jnp.mean(1 - r, axis=1), "drawn": drawn, "torn": torn}


def run(config: Config, key, progress) -> Result:
    plans = {"toy": (_toy, config.sizes, config.environments), "heads": (_heads, config.attending, config.attended),
             "own": (_warm, config.sizes, config.environments)}  # fmt: skip
    seen = {}
    for i, (name, (make, sizes, environments)) in enumerate(plans.items()):
        one = partial(_measures, config=config, make=make, sizes=sizes)
        seen[name] = replicate(one, jax.random.fold_in(key, i), environments, 16)
        progress((i + 1) / 5)
    pairs = replicate(partial(_nearby, config=config, size=config.sizes[0]), jax.random.fold_in(key, 3), config.pairs)
    progress(0.8)
    laws, film = token_law.run_law(config.law, jax.random.fold_in(key, 4))
    progress(0.9)
    three, levels = sphere_levels.run_levels(config.levels, jax.random.fold_in(key, 5))
    claims = [
        *_rate_claims(config, seen), *_exact_claims(config, seen), _spread_claim(config, seen["toy"]),
        *_stability_claims(config, pairs), *laws, *three,
    ]  # fmt: skip
    return Result(claims, [_figure(config, seen, pairs), *film, levels])


def _distance(a, b):
    """sup_t of the distance in the test functions, shape (environments, sizes)."""
    return np.max(np.linalg.norm(a - b, axis=-1), axis=-1)


def _fewer(sizes: tuple[int, ...], config: Config) -> np.ndarray:
    """1/n − 1/n′, to which the mean square distance of n tokens from n′ that have them among them is proportional."""
    return 1 / np.array(sizes) - 1 / (config.factor * sizes[-1])


def _rate_claims(config: Config, seen) -> list[Claim]:
    told = {
        "toy": (
            config.sizes, "all", _CHAOS,
            "For the toy Transformer the distance of $n$ tokens from $n'$ in one environment is a power of "
            "$1/n-1/n'$: the exponent",
        ),
        "heads": (
            config.attending, "all", _CHAOS,
            rf"For heads of attention, $\beta={config.beta:g}$, the distance is such a power too: the exponent",
        ),
        "own": (
            config.sizes, "repeated", "the sampling term of propagation of chaos",
            "With a noise of their own, which the first $n$ share, tokens from equal initial measures part by such a "
            "power too: the exponent",
        ),
    }  # fmt: skip
    claims = []
    for name, (sizes, other, reference, statement) in told.items():
        x = _fewer(sizes, config)
        claims.append(
            Claim(
                statement=statement,
                predicted=0.5,
                measured=_slope(_distance(seen[name]["few"], seen[name][other]), x),
                tolerance=_bend(sizes),
                origin="corrections 1/n, at the smallest n",
                excludes=Rival("that of a bias, 1", 1.0),
                reference=reference,
            )
        )
    return claims


def _bend(sizes: tuple[int, ...]) -> float:
    return 1 / (sizes[0] * np.log(sizes[-1] / sizes[0]))


def _slope(distances, x) -> Estimate:
    """The exponent, by the jackknife over environments: the sizes share them, and are not independent."""
    return fit_rate(x, jackknife(distances**2, root=2)).slope


def _exact_claims(config: Config, seen) -> list[Claim]:
    rounding = 20 * config.steps * np.finfo(np.float64).eps
    claims = []
    for name, what in (("toy", "the toy Transformer"), ("heads", "heads of attention")):
        gap = _distance(seen[name]["few"], seen[name]["repeated"])
        sampled = float(np.mean(_distance(seen[name]["few"], seen[name]["all"])[:, -1]))
        claims.append(
            Claim(
                statement=(
                    f"Under {what} $n$ tokens and the same ones repeated to $n'$ stay one measure in every "
                    f"environment: the "
                    "largest distance"
                ),
                predicted=0.0,
                measured=float(gap.max()),
                tolerance=float(rounding),
                origin="rounding of the steps, 20 units each",
                excludes=Rival("a sampling term", sampled),
                reference=_CHAOS,
                relation="at most",
            )
        )
    return claims


def _spread_claim(config: Config, toy) -> Claim:
    """The variance over environments of |x̄|² at the end, of n tokens over that of n′."""
    square = lambda f, t: np.sum(f[:, -1, t, : config.dim] ** 2, axis=-1)  # noqa: E731
    few, all_, start = square(toy["few"], -1), square(toy["all"], -1), square(toy["few"], 0)
    # Moments 1 and 2 of both, as the variances are functions of means.
    moments = jackknife(np.stack([few, few**2, all_, all_**2], axis=1))
    ratio = moments.map(lambda m: (m[..., 1] - m[..., 0] ** 2) / (m[..., 3] - m[..., 2] ** 2)).estimate
    allowed = np.exp(_growth(config) * config.until) * np.var(start) / np.var(all_) + 2 / config.sizes[-1]
    n, many = config.sizes[-1], config.factor * config.sizes[-1]
    return Claim(
        statement=(
            rf"The variance of $|\bar x|^2$ over environments does not fall with $n$: that of $n={n}$ tokens over "
            rf"that of "
            rf"$n'={many}$"
        ),
        predicted=1.0,
        measured=Estimate(float(ratio.value), float(ratio.stderr), float(ratio.freedom)),
        tolerance=float(allowed),
        origin="the variance of the start, times e^{α(1−1/d)T}, and 2/n",
        from_run=True,
        excludes=Rival("a variance of sampling, which falls as 1/n", float(config.factor)),
        reference="the conditional law is random: its law has no n",
    )


def _growth(config: Config) -> float:
    return config.alpha * (1 - 1 / config.dim)


def _stability_claims(config: Config, pairs) -> list[Claim]:
    dt = config.until / config.steps
    gap = pairs["gap"]
    drawn, torn = (dt * np.sum(0.5 * (f[:, 1:] + f[:, :-1]), axis=1) for f in (pairs["drawn"], pairs["torn"]))
    growth = _growth(config) * config.until
    start = float(np.mean(gap[:, 0]))
    return [
        Claim(
            statement=(
                r"For pairs of tokens of two configurations $E\,(1-\langle x_i,y_i\rangle)$ grows by the integral of "
                r"Itô's "
                "drift: growth less integral, relative to the start"
            ),
            predicted=0.0,
            measured=average((gap[:, -1] - gap[:, 0] - drawn - torn) / start),
            tolerance=config.alpha * dt * float(np.expm1(growth)),
            origin="weak order 1: αdt of the most growth that Gronwall's bound allows",
            excludes=Rival("one κ for both configurations, without (a − b)²", float(np.mean(torn)) / start),
            reference="Itô's formula for two tokens of two configurations",
        ),
        Claim(
            statement=(
                r"Nearby configurations part by no more than $C_T=e^{\alpha(1-1/d)T}$: $E$ of the gap at $T$, over "
                r"that at "
                "the start"
            ),
            predicted=float(np.exp(growth)),
            measured=average(gap[:, -1] / start),
            excludes=Rival("a constant of twice the exponent", float(np.exp(2 * growth))),
            reference="Gronwall, with the constant derived",
            relation="at most",
        ),
    ]


def _figure(config: Config, seen, pairs) -> Figure:
    rate = []
    for name, label in (("toy", "toy"), ("heads", "heads"), ("own", "own noise, equal starts")):
        sizes = config.attending if name == "heads" else config.sizes
        other = "repeated" if name == "own" else "all"
        error = root_mean_square(_distance(seen[name]["few"], seen[name][other]))
        x = _fewer(sizes, config)
        rate.append(Series(x, error.value, label, error.stderr, "points"))
        rate.append(Series(x, error.value[0] * np.sqrt(x / x[0]), kind="dashed"))
    few, all_ = (np.linalg.norm(seen["toy"][k][:, -1, :, : config.dim], axis=-1) for k in ("few", "all"))
    plane = [Series(all_[:, -1], few[:, -1], kind="points"), Series([0, 1], [0, 1], "equal", kind="dashed")]
    times = np.linspace(0, config.until, config.steps + 1)
    gap = average(pairs["gap"] / np.mean(pairs["gap"][:, 0]))
    stable = [
        Series(times, gap.value, "measured", gap.stderr),
        Series(times, np.exp(_growth(config) * times), r"$e^{\alpha(1-1/d)t}$", kind="dashed"),
    ]
    caption = (
        "Left: distance of n tokens from n′ in the same environment, that of their initial samples transported; with a "
        "noise of their own also tokens that start from equal measures part. Middle: length of the mean token at the "
        "end, a point an environment: n tokens follow the conditional law, which is random. Right: a balanced "
        "configuration, which is frozen, and the same shifted: they part, and stay within Gronwall's bound."
    )
    panels = [
        Panel(r"$1/n-1/n'$", "distance, root mean square of sup over t", rate, xscale="log", yscale="log"),
        Panel(rf"$|\bar x|$ of $n'$ = {config.factor * config.sizes[-1]} tokens",
              rf"$|\bar x|$ of $n$ = {config.sizes[-1]} tokens", plane),
        Panel("time t", r"$E\,(1-\langle x_i,y_i\rangle)$, relative to the start", stable, yscale="log"),
    ]  # fmt: skip
    return Figure(caption, panels)


CHAPTER = Chapter(
    name="tokens",
    title="The conditional law of tokens",
    statement=(
        "Tokens share the noise of their weights and have none of their own. Hence the empirical measure of $n$ tokens "
        "solves the limit equation exactly, in each environment, and with $\\bar x_i$ the solutions driven by the "
        "limit $$\\max_iE\\sup_{t\\le T}|x_i-\\bar x_i|^2+E\\sup_{t\\le T}W_2^2\\le\\frac{C_T}n\\sum_iE|x_i(0)-"
        "\\bar x_i(0)|^2$$ has no sampling term: the error is that of the initial sample, transported. It is "
        "$n^{-1/2}$ for independent starts, in test functions, and nothing at all where the initial measures agree, as "
        "when every token is repeated. With a noise of their own such tokens part at the rate $n^{-1/2}$, as "
        "$(1/n-1/n')^{1/2}$ where the first $n$ of $n'$ share theirs. The conditional law stays random: its variance "
        "over environments does not fall with $n$. On $S^2$ it is held as a density, too, which each environment of "
        "the toy Transformer carries along its Möbius maps by their Jacobian: tokens sample it, and spherical "
        "Cauchy laws stay such laws. With a noise of their own and an attraction, in a random flow or without, "
        "particles differ from their density by $n^{-1/2}$; where nothing attracts, its mean over flows solves a heat "
        "equation.\n\n"
        "For the toy Transformer the constant is explicit. For $x_i$ and $y_i$ in one environment, $a = "
        "\\sqrt{\\alpha/d}\\,|\\bar x|$ and $b = \\sqrt{\\alpha/d}\\,|\\bar y|$, Itô's formula gives for $r_i = "
        "\\langle x_i,y_i\\rangle$ and the mean gap $g = \\frac1n\\sum_i(1-r_i)$ $$\\frac{d}{dt}E\\,g=\\frac1n\\sum_i"
        "\\Big(-E\\,ab(1-r_i)(d-2-r_i)+\\tfrac12(d-1)E\\,r_i(a-b)^2\\Big).$$ As $(a-b)^2\\le\\frac{2\\alpha}d\\,g$, "
        "the mean gap grows at most by $e^{\\alpha(1-1/d)t}$ for $d\\ge3$: nearly as fast as next to a balanced "
        "configuration, $\\bar x=0$, which is frozen, and unstable."
    ),
    what=lambda c: (
        f"$S^{{{c.dim - 1}}}$, von Mises–Fisher starts of concentration {c.concentration:g}; toy Transformer, n = "
        f"{', '.join(map(str, c.sizes))} of n′ = {c.factor * c.sizes[-1]} in {c.environments} environments, the same "
        f"with own noise of temperature {c.temperature:g}; heads with β = {c.beta:g}, n = "
        f"{', '.join(map(str, c.attending))} of {c.factor * c.attending[-1]} in {c.attended}; {c.pairs} pairs of "
        f"balanced configurations of {c.sizes[0]} tokens and the same shifted by {c.near:g}; T = {c.until:g}, "
        f"{c.steps} steps. On $S^2$ harmonics of degree {c.law.degree}, n = {', '.join(map(str, c.law.sizes))} tokens "
        f"in {c.law.environments} environments, T = {c.law.until:g}; and n = {', '.join(map(str, c.levels.sizes))} "
        f"particles with W = −{c.levels.strength:g}⟨x, y⟩ and β = {c.levels.beta:g} in {c.levels.environments} flows, "
        f"T = {c.levels.until:g}."
    ),
    run=run,
    config=Config(
        environments=512,
        attended=384,
        factor=8,
        pairs=4096,
        law=token_law.Config(environments=128, steps=30),
        levels=sphere_levels.Config(environments=96),
    ),
    quick=Config(),
    references=(
        "H. Koubbi, B. Geshkovski and P. Rigollet, Homogenized Transformers, arXiv 2604.01978.",
        "M. Coghi and F. Flandoli, Propagation of chaos for interacting particles subject to environmental noise, Ann. "
        "Appl. Probab. 26, 2016.",
        "S. Kato and P. McCullagh, Some properties of a Cauchy family on the sphere, Bernoulli 26, 2020.",
    ),
)
