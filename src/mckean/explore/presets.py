"""Where a model of the catalogue begins in the explorer, so that its phenomenon is seen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_MANY = 10_000


@dataclass(frozen=True)
class Preset:
    """Parameters of the constructor, the number of particles, and mean and deviation of the first law on R^d."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    particles: int = _MANY
    start: tuple[float, float] = (0.5, 1.0)


_OVERLAPS = Preset(start=(0.3, 0.03), particles=2000)
# Where the default is a size, a temperature of 0 or a sum over all pairs, which hides what is to be seen.
_PRESETS = {
    "generalised_kuramoto": Preset({"strength": 4.0}),
    "nematic": Preset(particles=5000),
    "log_gas": Preset({"beta": 50.0}, 500),
    "keller_segel": Preset(particles=1000),
    "morse": Preset({"dim": 2, "beta": 50.0}, 1000),
    "cucker_smale": Preset({"common": 0.5}, 2000),
    "toy_transformer": Preset({"dim": 3}, 2000),
    "random_transformer": Preset({"dim": 3}, 500),
    "self_attention": Preset({"beta": 4.0, "temperature": 0.05}, 1000),
    "isotropic_flow": Preset({"dim": 3}, 2000),
    "consensus_optimisation": Preset(particles=1000, start=(1.0, 1.5)),
    "two_tokens": _OVERLAPS,
    "toy_pair": _OVERLAPS,
    "low_temperature": _OVERLAPS,
    "simplex": _OVERLAPS,
    "high_dimension": _OVERLAPS,
    "logistic_overlap": _OVERLAPS,
}


def preset(model: Any) -> Preset:
    """The preset of a name of the catalogue; for another model one without parameters."""
    return _PRESETS.get(model, Preset()) if isinstance(model, str) else Preset()
