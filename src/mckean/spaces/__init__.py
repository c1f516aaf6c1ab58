"""Geometries, their grids, and calculus on them: `calculus` at the nodes, `staggered` on the faces of cells.

The tables of harmonics are in `legendre`.
"""

from mckean.spaces import calculus as calculus
from mckean.spaces import legendre as legendre
from mckean.spaces import staggered as staggered
from mckean.spaces.bundle import PhaseGrid as PhaseGrid
from mckean.spaces.bundle import TangentBundle as TangentBundle
from mckean.spaces.euclidean import BoxGrid as BoxGrid
from mckean.spaces.euclidean import Euclidean as Euclidean
from mckean.spaces.grids import AbstractGrid as AbstractGrid
from mckean.spaces.space import AbstractSpace as AbstractSpace
from mckean.spaces.sphere import Sphere as Sphere
from mckean.spaces.spherical_grids import AbstractSphericalGrid as AbstractSphericalGrid
from mckean.spaces.spherical_grids import CircleGrid as CircleGrid
from mckean.spaces.spherical_grids import SphereGrid as SphereGrid
from mckean.spaces.torus import FourierGrid as FourierGrid
from mckean.spaces.torus import Torus as Torus
from mckean.spaces.zonal_grid import ZonalGrid as ZonalGrid
