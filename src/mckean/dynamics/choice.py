"""Which scheme moves a measure."""

from typing import Any

import diffrax

from mckean.checks import refusal, require
from mckean.dynamics.baoab import BAOAB
from mckean.dynamics.harmonics import Harmonics
from mckean.dynamics.labels import FamilyScheme
from mckean.dynamics.moments import Moments
from mckean.dynamics.particles import ParticleScheme
from mckean.dynamics.scheme import AbstractScheme
from mckean.dynamics.spectral import Spectral
from mckean.dynamics.splitting import Splitting
from mckean.dynamics.volumes import FiniteVolume
from mckean.measures import AbstractMeasure, Density, Family, Gaussian, Particles, require_one_device
from mckean.models import Equation, Model, initial, require_equation, require_match
from mckean.spaces import AbstractSphericalGrid, FourierGrid, PhaseGrid, TangentBundle

Scheme = AbstractScheme | diffrax.AbstractSolver


def scheme_for(equation: Equation, measure: AbstractMeasure, scheme: Scheme | None) -> AbstractScheme:
    """The scheme asked for, or the one that belongs to the form of the measure."""
    require_equation(equation)
    require_match(equation, measure)
    if isinstance(measure, Family):
        one = scheme.scheme if isinstance(scheme, FamilyScheme) else scheme
        return FamilyScheme(scheme_for(initial(equation), measure.member(0), one))
    model = initial(equation)
    if isinstance(scheme, diffrax.AbstractSolver):
        if isinstance(measure, Density):
            raise ValueError(
                f"the solver {type(scheme).__name__} moves particles, but the measure is a Density: "
                "use Spectral() on the torus, FiniteVolume() on a box, Harmonics() on a sphere."
            )
        scheme = Moments(scheme) if isinstance(measure, Gaussian) else ParticleScheme(scheme)
    if scheme is None:
        scheme = _default(model, measure)
    if not isinstance(scheme, AbstractScheme):
        raise ValueError(f"a scheme is a mckean scheme or a diffrax solver, not {scheme!r}.")
    require(
        scheme.accepts(measure),
        f"the scheme {type(scheme).__name__} moves {scheme.moves}, but the measure is {_form(measure)}.",
        see="A scheme moves one kind of measure",
    )
    require(
        model.internal is None or scheme.pressure,
        f"the scheme {type(scheme).__name__} does not know an internal energy, but the model has one.",
    )
    if isinstance(measure, Density) and not isinstance(scheme, Spectral):
        require_one_device(f"the scheme {type(scheme).__name__} moves a density", measure)
    return scheme


def _default(model: Model, measure: AbstractMeasure) -> AbstractScheme:
    if isinstance(measure, Particles):
        return BAOAB() if isinstance(model.space, TangentBundle) else ParticleScheme()
    if isinstance(measure, Gaussian):
        return Moments()
    if isinstance(measure, Density):
        if isinstance(measure.grid, AbstractSphericalGrid):
            return Harmonics()
        if isinstance(measure.grid, PhaseGrid):
            return Splitting()
        periodic = isinstance(measure.grid, FourierGrid)
        return Spectral() if periodic and model.internal is None else FiniteVolume()
    raise refusal(
        f"{_form(measure)} cannot be evolved: sample it (Particles), put it on a grid (Density), or use Gaussian.",
        see="A law is no state",
    )


def _form(measure: Any) -> str:
    name = type(measure).__name__
    return f"{name} on a {type(measure.grid).__name__}" if isinstance(measure, Density) else name
