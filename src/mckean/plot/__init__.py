"""Pictures by matplotlib, in one call each: a function takes axes, draws on them and returns them.

Without axes it makes a figure, in the look of the library: `style`. Axes are labelled, with units, where they have
no labels yet, so that two calls on the same axes lie over each other.

- Where are the particles? `particles`, on lines, circles, planes, tori and spheres, with colours by label.
- What does a density look like? `density`.
- What of numbers with errors, on axes of any scale, and of what theory says? `curve`. Which values matter? `mark`.
- How does a quantity change with time, with its error? `series`; over layers, of tokens: `overlap`.
- What becomes of the free energy? `ledger`.
- How do steady states go on with a parameter? `branches`. Over two parameters? `phase_diagram`.
- What lies between two densities? `geodesic`.
- With which power of N does an error fall? `rate`.
- How many lives go on? `lifetimes`.
- What moves? `animate`, as GIF, MP4 or a page, of what a run recorded; `frames` gives that as measures.
- Which colours, in which order? `COLOURS`.
"""

from mckean.plot._clouds import particles
from mckean.plot._curves import ledger, lifetimes, overlap, rate, series
from mckean.plot._densities import density
from mckean.plot._films import animate, frames
from mckean.plot._look import COLOURS, style
from mckean.plot._marks import curve, mark
from mckean.plot._states import branches, geodesic, phase_diagram

__all__ = [
    "COLOURS",
    "animate",
    "branches",
    "curve",
    "density",
    "frames",
    "geodesic",
    "ledger",
    "lifetimes",
    "mark",
    "overlap",
    "particles",
    "phase_diagram",
    "rate",
    "series",
    "style",
]


def __dir__() -> list[str]:
    return __all__
