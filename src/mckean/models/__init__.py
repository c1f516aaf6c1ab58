"""Models, their noise, and the energies that drive them."""

from mckean.models import energy as energy
from mckean.models import potentials as potentials
from mckean.models.flows import IsotropicFlow as IsotropicFlow
from mckean.models.heads import Heads as Heads
from mckean.models.heads import Neurons as Neurons
from mckean.models.heads import PreNormalised as PreNormalised
from mckean.models.heads import directions as directions
from mckean.models.internal import AbstractInternalEnergy as AbstractInternalEnergy
from mckean.models.internal import PorousMedium as PorousMedium
from mckean.models.ito_stratonovich import convert as convert
from mckean.models.ito_stratonovich import differs as differs
from mckean.models.model import Model as Model
from mckean.models.model import drift_at as drift_at
from mckean.models.model import in_precision as in_precision
from mckean.models.model import langevin as langevin
from mckean.models.model import require_model as require_model
from mckean.models.model import with_planned_sums as with_planned_sums
from mckean.models.noise import AbstractMatrixNoise as AbstractMatrixNoise
from mckean.models.noise import AbstractNoise as AbstractNoise
from mckean.models.noise import Additive as Additive
from mckean.models.noise import Calculus as Calculus
from mckean.models.noise import Isotropic as Isotropic
from mckean.models.noise import Multiplicative as Multiplicative
from mckean.models.noise import Thermal as Thermal
from mckean.models.transport_noise import TransportNoise as TransportNoise
