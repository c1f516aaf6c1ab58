"""The encoder against an implementation in NumPy, the clock of its random weights, and refusals."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf

from mckean.catalogue import encoder
from mckean.talk.chapters import real

D, HEADS, INNER, N = 8, 2, 12, 5


def weights(depth: int) -> encoder.Layer:
    """Layers with every weight, bias and gain at random, so that none can be left out unseen."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: jnp.asarray(rng.normal(size=(depth, *shape)))  # noqa: E731
    square = lambda: encoder.Dense(draw(D, D), draw(D))  # noqa: E731
    norm = lambda: encoder.LayerNorm(draw(D), draw(D))  # noqa: E731
    up, down = encoder.Dense(draw(INNER, D), draw(INNER)), encoder.Dense(draw(D, INNER), draw(D))
    return encoder.Layer(square(), square(), square(), square(), norm(), up, down, norm())


def normalised(x, norm):
    return np.asarray(norm.weight) * (x - x.mean(1)[:, None]) / x.std(1)[:, None] + np.asarray(norm.bias)


def layer_in_numpy(layer, x):
    """One layer, head by head and token by token."""
    through = lambda dense, v: v @ np.asarray(dense.weight).T + np.asarray(dense.bias)  # noqa: E731
    q, k, v = (through(dense, x) for dense in (layer.query, layer.key, layer.value))
    mixed = np.zeros_like(x)
    for h in range(HEADS):
        own = slice(h * D // HEADS, (h + 1) * D // HEADS)
        for i in range(len(x)):
            score = np.exp([q[i, own] @ k[j, own] / math.sqrt(D / HEADS) for j in range(len(x))])
            mixed[i, own] = sum(s * v[j, own] for j, s in enumerate(score / score.sum()))
    x = normalised(x + through(layer.output, mixed), layer.after_attention)
    z = through(layer.up, x)
    return normalised(x + through(layer.down, 0.5 * z * (1 + erf(z / math.sqrt(2)))), layer.after_network)


def test_every_depth_agrees_with_numpy():
    layers, rng = weights(3), np.random.default_rng(1)
    tables = [jnp.asarray(rng.normal(size=(rows, D))) for rows in (11, 6, 2)]
    norm = encoder.LayerNorm(jnp.asarray(rng.normal(size=D)), jnp.asarray(rng.normal(size=D)))
    model = encoder.Encoder(*tables, norm, layers, HEADS)
    tokens = jnp.asarray([3, 10, 3, 0, 7])
    words, positions, kinds = (np.asarray(table) for table in tables)
    x = normalised(words[np.asarray(tokens)] + positions[:N] + kinds[0], norm)
    seen = np.asarray(model.depths(tokens))
    assert seen.shape == (4, N, D)
    np.testing.assert_allclose(seen[0], x, atol=1e-12)
    for depth in range(3):
        x = layer_in_numpy(jax.tree.map(lambda a, depth=depth: a[depth], layers), x)
        np.testing.assert_allclose(seen[depth + 1], x, atol=1e-11)
    with pytest.raises(ValueError, match="at most 6 tokens, but one of 7"):
        model.embed(jnp.zeros(7, int))


def test_a_normalisation_is_a_projection_to_a_sphere():
    x = np.random.default_rng(2).normal(size=(N, D)) + 3.0
    y = np.asarray(encoder.LayerNorm(jnp.ones(D), jnp.zeros(D))(jnp.asarray(x)))
    np.testing.assert_allclose(np.linalg.norm(y, axis=1), math.sqrt(D), rtol=1e-11)  # ε = 1e-12 in it
    np.testing.assert_allclose(y.sum(1), 0.0, atol=1e-12)


def test_a_layer_of_attention_adds_its_clock():
    """A token alone listens to itself: the mean square of what is added, over its own, is h = d²σ⁴, as is `clock`."""
    dim, deviation, draws = 32, 0.1, 256
    x = jnp.asarray(np.random.default_rng(3).permutation([1.0, -1.0] * (dim // 2)))[None]

    @jax.jit
    @jax.vmap
    def both(key):
        layer = encoder.random_layer(key, dim, 1, deviation)
        return jnp.mean(encoder.attention(layer, x, 4) ** 2), encoder.clock(layer, jnp.linspace(0.5, 2.0, dim))

    for square in map(np.asarray, both(jax.random.split(jax.random.key(1), draws))):
        assert square.std() < 0.5 * square.mean()
        assert abs(square.mean() - dim**2 * deviation**4) < 4.5 * square.std() / math.sqrt(draws)


def test_the_clock_sees_the_gain():
    """The mean over all signs ε of |OV(g∘ε)|², over |g|², for weights and gains that go together."""
    rng, signs = np.random.default_rng(7), np.array(np.meshgrid(*[[-1.0, 1.0]] * D)).reshape(D, -1).T
    gain, layer = np.geomspace(0.2, 5.0, D), jax.tree.map(lambda a: a[0], weights(1))
    product = rng.normal(size=(D, D)) * gain
    layer = layer._replace(value=layer.value._replace(weight=jnp.asarray(product)))
    added = (signs * gain) @ product.T @ np.asarray(layer.output.weight).T
    expected = np.mean(np.sum(added**2, axis=1)) / np.sum(gain**2)
    assert float(encoder.clock(layer, jnp.asarray(gain))) == pytest.approx(expected, rel=1e-12)


def test_pairs_of_texts_have_a_jackknife_error():
    """For values f_a + f_b the jackknife is exact: twice the standard error of the mean of f."""
    f = np.random.default_rng(4).normal(size=9)
    estimate = real._pairs((f[:, None] + f[None])[..., None])
    assert estimate.value[0] == pytest.approx(2 * f.mean(), abs=1e-13)
    assert estimate.stderr[0] == pytest.approx(2 * f.std(ddof=1) / 3, rel=1e-12)


def test_the_chapter_says_what_is_not_installed(monkeypatch):
    monkeypatch.setattr(encoder, "PACKAGE", "no_such_package")
    config, rng = real.Config(layers=6), np.random.default_rng(6)
    seen = {"m": rng.uniform(size=(2, config.layers + 1)), "gram": np.ones((2, 3, 3))}
    monkeypatch.setattr(real, "replicate", lambda *_: seen)
    result = real.run(config, jax.random.key(0), lambda fraction: None)
    assert "pip install '.[real]'" in result.note
    assert not any("trained" in claim.statement for claim in result.claims)
    assert result.claims


def test_an_encoder_is_read_from_its_files(tmp_path):
    numpy_files = pytest.importorskip("safetensors.numpy")
    layers, rng = weights(2), np.random.default_rng(5)
    arrays = {"embeddings.LayerNorm.weight": np.ones(D), "embeddings.LayerNorm.bias": np.zeros(D)}
    for name in ("word", "position", "token_type"):
        arrays[f"embeddings.{name}_embeddings.weight"] = rng.normal(size=(7, D))
    for name, part in ((name, getattr(layers, part)) for part, name in encoder.NAMES.items()):
        for i in range(2):
            arrays[f"encoder.layer.{i}.{name}.weight"] = np.asarray(part.weight[i])
            arrays[f"encoder.layer.{i}.{name}.bias"] = np.asarray(part.bias[i])
    numpy_files.save_file(arrays, tmp_path / "model.safetensors")
    config = {"model_type": "bert", "hidden_act": "gelu", "num_hidden_layers": 2, "num_attention_heads": HEADS}
    (tmp_path / "config.json").write_text(json.dumps(config))
    read = encoder.load(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, read.layers, layers)
    assert read.heads == HEADS
    (tmp_path / "config.json").write_text(json.dumps(config | {"hidden_act": "relu"}))
    with pytest.raises(ValueError, match=r"hidden_act = 'gelu', but the model in .* has 'relu'"):
        encoder.load(tmp_path)


def test_the_trained_encoder_agrees_with_sentence_transformers():
    """Cosines of mean tokens, against those of sentence-transformers 6.2.0 with PyTorch 2.13.0 in single precision."""
    folder = encoder.folder()
    tokenizers = pytest.importorskip("tokenizers")
    if folder is None:
        pytest.skip("the trained weights are not installed")
    model, tokenizer = encoder.load(folder), tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    texts = ("A man is playing guitar", "The new movie is awesome", "The movie was great, really great.")
    means = [np.asarray(model.depths(jnp.asarray(tokenizer.encode(text).ids))[-1]).mean(0) for text in texts]
    a, b, c = (mean / np.linalg.norm(mean) for mean in means)
    assert (a @ b, a @ c, b @ c) == pytest.approx((0.009295, -0.007839, 0.669976), abs=3e-6)
    with pytest.raises(ValueError, match="at least 128 tokens is needed, but this one has 7"):
        encoder.tokenise(folder, texts[0], 128)
