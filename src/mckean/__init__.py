"""Interacting particle systems and their mean-field limits: one model definition, every level of description.

`evolve(model, measure, until=…, dt=…)` is the verb; `langevin` makes a model. Each namespace begins with a list of the
questions that it answers: `help(mckean.phases)`.

The pages are in the folder docs of the source: start.md (ten minutes), forms.md and sums.md (what to choose), wings,
errors.md, glossary.md. `pip install '.[docs]' && sphinx-build docs docs/_build`, there, builds them with the gallery
and the reference, without a network.
"""

from typing import TYPE_CHECKING

from mckean import interactions, measures, store
from mckean.dynamics import (
    BAOAB,
    AbstractScheme,
    FiniteVolume,
    FluxLimited,
    GeodesicEuler,
    Harmonics,
    InPlace,
    Interrupted,
    Layers,
    Moebius,
    Moments,
    ParticleScheme,
    RandomBatch,
    RunError,
    Spectral,
    Splitting,
    StoreError,
    Trajectory,
    evolve,
    gibbs_density,
    liouville,
    resume,
    verify,
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
    shard,
    smooth,
    tensor_power,
)
from mckean.models import (
    Additive,
    Graph,
    Heads,
    Isotropic,
    IsotropicFlow,
    Model,
    Multiplicative,
    Neurons,
    Population,
    PorousMedium,
    PreNormalised,
    RandomForce,
    Schedule,
    Thermal,
    Thermostat,
    TransportNoise,
    convert,
    directions,
    energy,
    langevin,
    potentials,
    underdamped,
)
from mckean.paths import Brownian, Record
from mckean.spaces import (
    BoxGrid,
    CircleGrid,
    Euclidean,
    FourierGrid,
    PhaseGrid,
    Sphere,
    SphereGrid,
    TangentBundle,
    Torus,
    ZonalGrid,
)
from mckean.store import dataset, load, save

if TYPE_CHECKING:
    from mckean import (
        catalogue,
        couplings,
        energetics,
        environments,
        equilibrium,
        explore,
        games,
        observables,
        phases,
        plot,
        statistics,
        sweeps,
        transport,
    )
    from mckean.dynamics.jko import JKO
    from mckean.sweeps import sweep
    from mckean.transport import sinkhorn, sliced, wasserstein

__version__: str

__all__ = [
    "BAOAB",
    "JKO",
    "AbstractScheme",
    "Additive",
    "BoxGrid",
    "Brownian",
    "CircleGrid",
    "Density",
    "Euclidean",
    "Family",
    "FiniteVolume",
    "FluxLimited",
    "FourierGrid",
    "Gaussian",
    "GeodesicEuler",
    "Graph",
    "Harmonics",
    "Heads",
    "InPlace",
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
    "PhaseGrid",
    "Population",
    "PorousMedium",
    "PreNormalised",
    "RandomBatch",
    "RandomForce",
    "Record",
    "RunError",
    "Schedule",
    "Spectral",
    "Sphere",
    "SphereGrid",
    "SphericalCauchy",
    "Splitting",
    "StoreError",
    "TangentBundle",
    "Thermal",
    "Thermostat",
    "Torus",
    "Trajectory",
    "TransportNoise",
    "Uniform",
    "VonMises",
    "VonMisesFisher",
    "ZonalGrid",
    "__version__",
    "catalogue",
    "convert",
    "couplings",
    "dataset",
    "deposit",
    "directions",
    "energetics",
    "energy",
    "entropy_of_chaos",
    "environments",
    "equilibrium",
    "evolve",
    "explore",
    "games",
    "gibbs_density",
    "interactions",
    "kernels",
    "langevin",
    "liouville",
    "load",
    "marginal",
    "measures",
    "observables",
    "phases",
    "plot",
    "potentials",
    "relative_entropy",
    "resume",
    "save",
    "shard",
    "sinkhorn",
    "sliced",
    "smooth",
    "statistics",
    "store",
    "sweep",
    "sweeps",
    "tensor_power",
    "transport",
    "underdamped",
    "verify",
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
        "explore",
        "games",
        "observables",
        "phases",
        "plot",
        "statistics",
        "sweeps",
        "transport",
    }
    _FROM = {
        "JKO": "dynamics.jko",
        "sinkhorn": "transport",
        "sliced": "transport",
        "sweep": "sweeps",
        "wasserstein": "transport",
    }

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
