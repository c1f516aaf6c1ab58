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

from mckean.couplings._chaos import chaos_rate as chaos_rate
from mckean.couplings._chaos import distinct_means as distinct_means
from mckean.couplings._chaos import joint_cumulant as joint_cumulant
from mckean.couplings._decomposition import ito_decomposition as ito_decomposition
from mckean.couplings._gronwall import gronwall as gronwall
from mckean.couplings._gronwall import lipschitz as lipschitz
from mckean.couplings._gronwall import visited as visited
from mckean.couplings._marginals import Marginals as Marginals
from mckean.couplings._marginals import marginals as marginals
from mckean.couplings._reflection import coupling_distance as coupling_distance
from mckean.couplings._reflection import reflection_coupling as reflection_coupling
from mckean.couplings._resolution import across_steps as across_steps
from mckean.couplings._resolution import nested as nested
from mckean.couplings._synchronous import coupling_terms as coupling_terms
from mckean.couplings._synchronous import synchronous_coupling as synchronous_coupling
