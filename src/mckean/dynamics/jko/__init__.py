"""Minimising movements: Gaussians in closed form, the line by quantiles."""

from mckean.dynamics.jko.scheme import JKO as JKO
