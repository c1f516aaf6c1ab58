"""What is looked at along a run: pure functions of (model, measure), for `evolve(…, observe={"name": function})`.

As they are, `observe={"F": observables.free_energy}`:

- Snapshots: `positions` of particles, `density` on a grid.
- Moments: `mean`, `covariance`.
- Energies: `energy`, `interaction_energy`, `confinement_energy`, `free_energy`, `entropy`, `dissipation`.
- How large a cloud is: `pair_distance`, `radius`.
- Tokens on a sphere, or their law there: `mean_overlap`, `overlap_variance`, `alignment`, `effective_rank`, `kappa`.

Made by a call with their parameters first, `observe={"r": observables.order_parameter(1)}`:

- Moments and means: `moment(power)`, `average(phi)`; on a torus `mode(k)`, `order_parameter(k)`.
- Drift and bracket of a mean: `ito(phi)`.
- Tokens on a sphere: `overlaps(first)`, `overlap_histogram(bins)`, `clusters(angle)`, `attention_energy(beta)`,
  `log_attention_energy(beta)`, `zonal(axis, degree=…)`, `zonal_pairs(degree)`.
"""

from mckean.observables.clouds import pair_distance, positions, radius
from mckean.observables.fields import (
    average,
    confinement_energy,
    covariance,
    density,
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
    "density",
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
    "positions",
    "radius",
    "zonal",
    "zonal_pairs",
]


def __dir__() -> list[str]:
    return __all__
