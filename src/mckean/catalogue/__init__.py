"""Named models, each with what is known exactly about it."""

from mckean.catalogue.brownian_flows import isotropic_flow as isotropic_flow
from mckean.catalogue.chemotaxis import keller_segel as keller_segel
from mckean.catalogue.double_well import desai_zwanzig as desai_zwanzig
from mckean.catalogue.equiangular import high_dimension as high_dimension
from mckean.catalogue.equiangular import logistic_overlap as logistic_overlap
from mckean.catalogue.equiangular import simplex as simplex
from mckean.catalogue.facts import Entry as Entry
from mckean.catalogue.facts import Fact as Fact
from mckean.catalogue.granular import granular_media as granular_media
from mckean.catalogue.linear_stability import transport as transport
from mckean.catalogue.mean_reversion import ornstein_uhlenbeck as ornstein_uhlenbeck
from mckean.catalogue.oscillators import kuramoto as kuramoto
from mckean.catalogue.porous_media import porous_medium as porous_medium
from mckean.catalogue.random_layers import random_transformer as random_transformer
from mckean.catalogue.random_matrices import log_gas as log_gas
from mckean.catalogue.reduced import low_temperature as low_temperature
from mckean.catalogue.reduced import two_tokens as two_tokens
from mckean.catalogue.self_attention_flows import self_attention as self_attention
from mckean.catalogue.swarms import morse as morse
from mckean.catalogue.transformer import toy_transformer as toy_transformer
from mckean.checks import nearest

MODELS = {
    "kuramoto": kuramoto,
    "ornstein_uhlenbeck": ornstein_uhlenbeck,
    "desai_zwanzig": desai_zwanzig,
    "granular_media": granular_media,
    "porous_medium": porous_medium,
    "log_gas": log_gas,
    "keller_segel": keller_segel,
    "morse": morse,
    "transport": transport,
    "toy_transformer": toy_transformer,
    "random_transformer": random_transformer,
    "self_attention": self_attention,
    "isotropic_flow": isotropic_flow,
    "two_tokens": two_tokens,
    "low_temperature": low_temperature,
    "simplex": simplex,
    "high_dimension": high_dimension,
    "logistic_overlap": logistic_overlap,
}
"""The constructors by name, as `mckean list` shows them."""


def entry(name: str, **parameters) -> Entry:
    """The model of a name at given parameters.

    **Arguments:**

    - `name`: a key of `MODELS`, as `mckean list` shows them.
    - `parameters`: what its constructor takes.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for an unknown name, with the nearest one, and what the constructor raises.
    """
    return MODELS[nearest(name, MODELS, "model")](**parameters)
