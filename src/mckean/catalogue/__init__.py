"""Named models, each with what is known exactly about it."""

from mckean.catalogue.brownian_flows import isotropic_flow
from mckean.catalogue.chemotaxis import keller_segel
from mckean.catalogue.circle import (
    barre_degond_zatorska,
    generalised_kuramoto,
    hegselmann_krause,
    maier_saupe,
    noisy_attention,
    onsager,
)
from mckean.catalogue.consensus import consensus_optimisation
from mckean.catalogue.double_well import critical_beta, desai_zwanzig, pair_covariance
from mckean.catalogue.equiangular import high_dimension, logistic_overlap, simplex
from mckean.catalogue.facts import Entry, Fact
from mckean.catalogue.granular import granular_media
from mckean.catalogue.linear_stability import mean_square_threshold, mean_threshold, transport
from mckean.catalogue.mean_reversion import ornstein_uhlenbeck
from mckean.catalogue.nematics import nematic
from mckean.catalogue.oscillators import critical_strength, kuramoto, mean_square_order, poisson_kernel_order
from mckean.catalogue.populations import chimera, lorentzian_order
from mckean.catalogue.porous_media import porous_medium
from mckean.catalogue.random_layers import random_transformer
from mckean.catalogue.random_matrices import log_gas
from mckean.catalogue.reduced import expected_overlap, low_temperature, meeting_probability, toy_pair, two_tokens
from mckean.catalogue.self_attention_flows import self_attention
from mckean.catalogue.swarms import morse
from mckean.catalogue.transformer import toy_transformer
from mckean.catalogue.velocities import cucker_smale, inertial_kuramoto, locusts
from mckean.checks import nearest

__all__ = [
    "MODELS",
    "Entry",
    "Fact",
    "barre_degond_zatorska",
    "chimera",
    "consensus_optimisation",
    "critical_beta",
    "critical_strength",
    "cucker_smale",
    "desai_zwanzig",
    "entry",
    "expected_overlap",
    "generalised_kuramoto",
    "granular_media",
    "hegselmann_krause",
    "high_dimension",
    "inertial_kuramoto",
    "isotropic_flow",
    "keller_segel",
    "kuramoto",
    "locusts",
    "log_gas",
    "logistic_overlap",
    "lorentzian_order",
    "low_temperature",
    "maier_saupe",
    "mean_square_order",
    "mean_square_threshold",
    "mean_threshold",
    "meeting_probability",
    "morse",
    "nematic",
    "noisy_attention",
    "onsager",
    "ornstein_uhlenbeck",
    "pair_covariance",
    "poisson_kernel_order",
    "porous_medium",
    "random_transformer",
    "self_attention",
    "simplex",
    "toy_pair",
    "toy_transformer",
    "transport",
    "two_tokens",
]

MODELS = {
    "kuramoto": kuramoto,
    "ornstein_uhlenbeck": ornstein_uhlenbeck,
    "generalised_kuramoto": generalised_kuramoto,
    "maier_saupe": maier_saupe,
    "onsager": onsager,
    "nematic": nematic,
    "hegselmann_krause": hegselmann_krause,
    "barre_degond_zatorska": barre_degond_zatorska,
    "noisy_attention": noisy_attention,
    "desai_zwanzig": desai_zwanzig,
    "granular_media": granular_media,
    "porous_medium": porous_medium,
    "log_gas": log_gas,
    "keller_segel": keller_segel,
    "morse": morse,
    "cucker_smale": cucker_smale,
    "inertial_kuramoto": inertial_kuramoto,
    "locusts": locusts,
    "transport": transport,
    "toy_transformer": toy_transformer,
    "random_transformer": random_transformer,
    "self_attention": self_attention,
    "isotropic_flow": isotropic_flow,
    "two_tokens": two_tokens,
    "toy_pair": toy_pair,
    "low_temperature": low_temperature,
    "simplex": simplex,
    "high_dimension": high_dimension,
    "logistic_overlap": logistic_overlap,
    "consensus_optimisation": consensus_optimisation,
}
"""The constructors by name, as `mckean list` shows them."""


def __dir__() -> list[str]:
    return __all__


def entry(name: str, **parameters) -> Entry:
    """The model of a name at given parameters.

    **Arguments:**

    - `name`: a key of `MODELS`, as `mckean list` shows them.
    - `parameters`: what its constructor takes.

    **Returns:** an `Entry`: the model and its facts.

    **Raises:** `ValueError` for an unknown name, with the nearest one, and what the constructor raises.
    """
    return MODELS[nearest(name, MODELS, "model")](**parameters)
