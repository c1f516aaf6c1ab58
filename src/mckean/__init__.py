"""Interacting particle systems and their mean-field limits: one model definition, every level of description."""

from typing import TYPE_CHECKING

from mckean import interactions, measures
from mckean.dynamics import (
    AbstractScheme,
    FiniteVolume,
    FluxLimited,
    GeodesicEuler,
    Interrupted,
    Layers,
    Moebius,
    Moments,
    ParticleScheme,
    RandomBatch,
    RunError,
    Spectral,
    Trajectory,
    evolve,
    gibbs_density,
    liouville,
)
from mckean.interactions import kernels
from mckean.measures import (
    Density,
    Family,
    Gaussian,
    Lagrangian,
    Mixture,
    Particles,
    SphericalCauchy,
    Uniform,
    VonMises,
    VonMisesFisher,
    deposit,
    entropy_of_chaos,
    marginal,
    relative_entropy,
    smooth,
    tensor_power,
)
from mckean.models import (
    Additive,
    Heads,
    Isotropic,
    IsotropicFlow,
    Model,
    Multiplicative,
    Neurons,
    Population,
    PorousMedium,
    PreNormalised,
    Schedule,
    Thermal,
    TransportNoise,
    convert,
    directions,
    energy,
    langevin,
    potentials,
)
from mckean.paths import Brownian, Record
from mckean.spaces import BoxGrid, Euclidean, FourierGrid, Sphere, Torus

if TYPE_CHECKING:
    from mckean import (
        catalogue,
        couplings,
        energetics,
        environments,
        equilibrium,
        observables,
        phases,
        statistics,
        transport,
    )
    from mckean.dynamics.jko import JKO
    from mckean.transport import sinkhorn, sliced, wasserstein

__version__: str

__all__ = [
    "JKO",
    "AbstractScheme",
    "Additive",
    "BoxGrid",
    "Brownian",
    "Density",
    "Euclidean",
    "Family",
    "FiniteVolume",
    "FluxLimited",
    "FourierGrid",
    "Gaussian",
    "GeodesicEuler",
    "Heads",
    "Interrupted",
    "Isotropic",
    "IsotropicFlow",
    "Lagrangian",
    "Layers",
    "Mixture",
    "Model",
    "Moebius",
    "Moments",
    "Multiplicative",
    "Neurons",
    "ParticleScheme",
    "Particles",
    "Population",
    "PorousMedium",
    "PreNormalised",
    "RandomBatch",
    "Record",
    "RunError",
    "Schedule",
    "Spectral",
    "Sphere",
    "SphericalCauchy",
    "Thermal",
    "Torus",
    "Trajectory",
    "TransportNoise",
    "Uniform",
    "VonMises",
    "VonMisesFisher",
    "__version__",
    "catalogue",
    "convert",
    "couplings",
    "deposit",
    "directions",
    "energetics",
    "energy",
    "entropy_of_chaos",
    "environments",
    "equilibrium",
    "evolve",
    "gibbs_density",
    "interactions",
    "kernels",
    "langevin",
    "liouville",
    "marginal",
    "measures",
    "observables",
    "phases",
    "potentials",
    "relative_entropy",
    "sinkhorn",
    "sliced",
    "smooth",
    "statistics",
    "tensor_power",
    "transport",
    "wasserstein",
]


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:
    # Imported when they are asked for: together they take as long as the rest of the library.
    _LATER = {
        "catalogue",
        "couplings",
        "energetics",
        "environments",
        "equilibrium",
        "observables",
        "phases",
        "statistics",
        "transport",
    }
    _FROM = {"JKO": "dynamics.jko", "sinkhorn": "transport", "sliced": "transport", "wasserstein": "transport"}

    def __getattr__(name: str):
        from importlib import import_module, metadata

        if name in _LATER:
            return import_module(f"mckean.{name}")
        if name in _FROM:
            return getattr(import_module(f"mckean.{_FROM[name]}"), name)
        # A look at what is installed takes a tenth of a second.
        if name == "__version__":
            return metadata.version("mckean")
        raise AttributeError(f"module 'mckean' has no attribute '{name}'")
