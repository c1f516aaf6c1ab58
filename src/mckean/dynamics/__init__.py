"""Time: `evolve`, and the schemes that it steps.

- Particles: `ParticleScheme`, `RandomBatch`, `InPlace` for very many; with velocities `BAOAB`; on spheres
  `GeodesicEuler`, `Moebius`, `Layers`.
- Densities: `Spectral`, `FiniteVolume`, `FluxLimited`; with velocities `Splitting`; on spheres `Harmonics`, `Moebius`;
  for gradient flows `jko.JKO`, imported when it is asked for.
- Gaussians: `Moments`, `jko.JKO`.
- The law of a few particles on a grid: `liouville`, `gibbs_density`.
- A run in a folder: `resume`, `verify`.
- The result of a run: `Trajectory`; its errors: `RunError`, `Interrupted`, `StoreError`.
- For a scheme of your own: `AbstractScheme`, `Stepper`, `Increments`, `increments`; around another one: `Carrier`,
  `CarrierScheme`, `together`.
"""

from mckean.dynamics._evolve import Observables as Observables
from mckean.dynamics._evolve import evolve as evolve
from mckean.dynamics._increments import Increments as Increments
from mckean.dynamics._increments import increments as increments
from mckean.dynamics._resume import resume as resume
from mckean.dynamics._resume import verify as verify
from mckean.dynamics.baoab import BAOAB as BAOAB
from mckean.dynamics.carrier import Carrier as Carrier
from mckean.dynamics.carrier import CarrierScheme as CarrierScheme
from mckean.dynamics.carrier import require_coupling as require_coupling
from mckean.dynamics.carrier import together as together
from mckean.dynamics.choice import Scheme as Scheme
from mckean.dynamics.choice import scheme_for as scheme_for
from mckean.dynamics.geodesic import GeodesicEuler as GeodesicEuler
from mckean.dynamics.gibbs import log_density as log_density
from mckean.dynamics.harmonics import Harmonics as Harmonics
from mckean.dynamics.in_place import InPlace as InPlace
from mckean.dynamics.layers import Layers as Layers
from mckean.dynamics.limited import FluxLimited as FluxLimited
from mckean.dynamics.loop import Interrupted as Interrupted
from mckean.dynamics.loop import RunError as RunError
from mckean.dynamics.loop import StoreError as StoreError
from mckean.dynamics.moebius import Moebius as Moebius
from mckean.dynamics.moments import Moments as Moments
from mckean.dynamics.nbody import gibbs_density as gibbs_density
from mckean.dynamics.nbody import liouville as liouville
from mckean.dynamics.particles import ParticleScheme as ParticleScheme
from mckean.dynamics.random_batch import RandomBatch as RandomBatch
from mckean.dynamics.scheme import AbstractScheme as AbstractScheme
from mckean.dynamics.scheme import Stepper as Stepper
from mckean.dynamics.spectral import Spectral as Spectral
from mckean.dynamics.splitting import Splitting as Splitting
from mckean.dynamics.trajectory import Trajectory as Trajectory
from mckean.dynamics.volumes import FiniteVolume as FiniteVolume
