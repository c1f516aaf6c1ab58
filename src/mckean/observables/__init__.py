"""Pure functions of (model, measure)."""

from mckean.observables.clouds import pair_distance, radius
from mckean.observables.fields import (
    average,
    confinement_energy,
    covariance,
    dissipation,
    energy,
    entropy,
    free_energy,
    interaction_energy,
    ito,
    mean,
    mode,
    moment,
    order_parameter,
)
from mckean.observables.harmonics import zonal, zonal_pairs
from mckean.observables.pairs import attention_energy, clusters, log_attention_energy, overlap_histogram
from mckean.observables.tokens import alignment, effective_rank, kappa, mean_overlap, overlap_variance, overlaps

__all__ = [
    "alignment",
    "attention_energy",
    "average",
    "clusters",
    "confinement_energy",
    "covariance",
    "dissipation",
    "effective_rank",
    "energy",
    "entropy",
    "free_energy",
    "interaction_energy",
    "ito",
    "kappa",
    "log_attention_energy",
    "mean",
    "mean_overlap",
    "mode",
    "moment",
    "order_parameter",
    "overlap_histogram",
    "overlap_variance",
    "overlaps",
    "pair_distance",
    "radius",
    "zonal",
    "zonal_pairs",
]


def __dir__() -> list[str]:
    return __all__
