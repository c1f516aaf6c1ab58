"""Observables: functions of (model, measure), for the `observe` of `evolve`. Some are made by a call, as `mode(k)`.

- What are the moments of the measure? `average`, `mean`, `covariance`, `moment`.
- Is the measure on a torus in order? `order_parameter`, `mode`.
- What are its energies? `confinement_energy`, `interaction_energy`, `energy`, `entropy`, `free_energy`, `dissipation`.
- What drives ⟨μ, φ⟩, drift or fluctuation? `ito`.
- How far apart are the particles? `pair_distance`, `radius`.
- Are tokens on a sphere aligned? `alignment`, `mean_overlap`, `overlap_variance`, `overlaps`, `overlap_histogram`,
  `effective_rank`.
- … and how many clusters do they form? `clusters`.
- What is the energy of attention? `attention_energy`, `log_attention_energy`.
- What are the harmonics of a cloud on a sphere? `zonal`, `zonal_pairs`.
- How strong is an isotropic common noise? `kappa`.
"""

from mckean.observables.clouds import pair_distance as pair_distance
from mckean.observables.clouds import radius as radius
from mckean.observables.fields import average as average
from mckean.observables.fields import confinement_energy as confinement_energy
from mckean.observables.fields import covariance as covariance
from mckean.observables.fields import dissipation as dissipation
from mckean.observables.fields import energy as energy
from mckean.observables.fields import entropy as entropy
from mckean.observables.fields import free_energy as free_energy
from mckean.observables.fields import interaction_energy as interaction_energy
from mckean.observables.fields import ito as ito
from mckean.observables.fields import mean as mean
from mckean.observables.fields import mode as mode
from mckean.observables.fields import moment as moment
from mckean.observables.fields import order_parameter as order_parameter
from mckean.observables.harmonics import zonal as zonal
from mckean.observables.harmonics import zonal_pairs as zonal_pairs
from mckean.observables.pairs import attention_energy as attention_energy
from mckean.observables.pairs import clusters as clusters
from mckean.observables.pairs import log_attention_energy as log_attention_energy
from mckean.observables.pairs import overlap_histogram as overlap_histogram
from mckean.observables.tokens import alignment as alignment
from mckean.observables.tokens import effective_rank as effective_rank
from mckean.observables.tokens import kappa as kappa
from mckean.observables.tokens import mean_overlap as mean_overlap
from mckean.observables.tokens import overlap_variance as overlap_variance
from mckean.observables.tokens import overlaps as overlaps
