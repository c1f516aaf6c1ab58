"""Named models, each with what is known exactly about it."""

from mckean.catalogue.desai_zwanzig import desai_zwanzig as desai_zwanzig
from mckean.catalogue.facts import Entry as Entry
from mckean.catalogue.facts import Fact as Fact
from mckean.catalogue.kuramoto import kuramoto as kuramoto
from mckean.catalogue.ornstein_uhlenbeck import ornstein_uhlenbeck as ornstein_uhlenbeck
from mckean.catalogue.transformer import toy_transformer as toy_transformer
from mckean.catalogue.transport import transport as transport
from mckean.checks import nearest

MODELS = {
    "kuramoto": kuramoto,
    "ornstein_uhlenbeck": ornstein_uhlenbeck,
    "desai_zwanzig": desai_zwanzig,
    "transport": transport,
    "toy_transformer": toy_transformer,
}
"""The constructors by name, as `mckean list` shows them."""


def named(name: str, **parameters) -> Entry:
    """The model called `name` at the given parameters; an unknown name raises `ValueError` with the nearest one."""
    return MODELS[nearest(name, MODELS, "model")](**parameters)
