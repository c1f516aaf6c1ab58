"""Geometries and their grids."""

from mckean.spaces.euclidean import Euclidean as Euclidean
from mckean.spaces.grids import AbstractGrid as AbstractGrid
from mckean.spaces.grids import BoxGrid as BoxGrid
from mckean.spaces.grids import FourierGrid as FourierGrid
from mckean.spaces.space import AbstractSpace as AbstractSpace
from mckean.spaces.sphere import Sphere as Sphere
from mckean.spaces.torus import Torus as Torus
