"""Minimising movements: Gaussians in closed form, the line by quantiles, boxes by the dual."""

from mckean.dynamics.jko.scheme import JKO as JKO
