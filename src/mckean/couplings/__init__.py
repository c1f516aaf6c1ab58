"""Couplings and propagation of chaos: how far are N particles from independent copies of the limit?

- How far is each particle from a copy of McKean's process with the same noise? `synchronous_coupling`.
- … and why? `coupling_terms`, an observable of that run.
- How fast do two systems meet, if their noises are reflected? `reflection_coupling`, with `coupling_distance`.
- What does theory allow this error to be? `gronwall`, with the constants of `lipschitz` over the region `visited`.
- What do the same particles do among n, and among N? `nested`.
- What does a smaller time step change, on the same path? `across_steps`.
- How fast do correlations of k particles vanish as N grows? `chaos_rate`.
- … from means that I have recorded? `distinct_means`, `joint_cumulant`.
- How far is the law of k particles from μ^{⊗k}? `marginals`: `Marginals`.
- Which part of ⟨μ^N, φ⟩ is drift, which fluctuation? `ito_decomposition`.

How far N independent points are from their law: see `mckean.transport`.
"""

from mckean.couplings._chaos import chaos_rate, distinct_means, joint_cumulant
from mckean.couplings._decomposition import ito_decomposition
from mckean.couplings._gronwall import gronwall, lipschitz, visited
from mckean.couplings._marginals import Marginals, marginals
from mckean.couplings._reflection import coupling_distance, reflection_coupling
from mckean.couplings._resolution import across_steps, nested
from mckean.couplings._synchronous import coupling_terms, synchronous_coupling

__all__ = [
    "Marginals",
    "across_steps",
    "chaos_rate",
    "coupling_distance",
    "coupling_terms",
    "distinct_means",
    "gronwall",
    "ito_decomposition",
    "joint_cumulant",
    "lipschitz",
    "marginals",
    "nested",
    "reflection_coupling",
    "synchronous_coupling",
    "visited",
]


def __dir__() -> list[str]:
    return __all__
