"""Part of chapter *uniqueness*: three rates of a small perturbation, where its mean stands still."""

import jax
import numpy as np

from mckean.catalogue.linear_stability import mean_rates, mean_threshold, rates, with_intensity
from mckean.environments import Growth
from mckean.statistics import average, combine, join
from mckean.talk.claims import Claim, Rival
from mckean.talk.parts.stirring import TORUS, Stirring, densities, norm, on_grid, ripple, stirring_model
from mckean.talk.parts.tangents import Tangents, exponents, mean_square_of_steps


def run_ripples(runs: Stirring, tangents: Tangents, strength: float, count: int, key) -> list[Claim]:
    """Mean, mean square and almost sure, of solutions of the nonlinear equation that start next to its uniform one."""
    model = stirring_model(strength, "long")
    intensity = mean_threshold(model)
    at, first = with_intensity(model, intensity), np.array([[1, 0]])
    starts, intensities = on_grid(runs, [ripple] * count), [intensity] * count
    soon, late = _growth(runs, tangents, densities(model, runs, starts, intensities, jax.random.split(key, count)))
    exact, stepped = mean_square_of_steps(model, intensity, tangents.after, runs.dt)
    # Rounding would show where K is the threshold.
    mean = round(float(mean_rates(at, first)[0]), 12) + 0.0
    linear = average(exponents(tangents, strength, "long", [intensity], jax.random.fold_in(key, 1))[:, 0])
    early, where = f"to $t = {tangents.after:g}$", f"long waves, $K = {intensity:g}$"
    return [
        Claim(
            statement="The mean of a ripple grows at the rate $\\lambda_q - K|q|^2$: that of "
            f"$E\\langle\\eta_t,\\eta_0\\rangle$ {early}, {where}",
            predicted=mean,
            measured=soon.mean(),
            excludes=Rival("no Itô correction", float(rates(model, first)[0])),
            reference="closed linear equation of E η̂_q, which the steps solve exactly",
        ),
        Claim(
            statement="The mean square of a ripple grows faster than its mean: half the rate of "
            f"$E\\|\\eta_t\\|^2$ {early}, {where}",
            predicted=exact,
            measured=soon.moment(2),
            tolerance=abs(stepped - exact),
            origin="the steps' own law, by the semigroups of the closed system in their order",
            excludes=Rival("the rate of the mean", mean),
            reference="closed linear system of E|η̂_q|²",
        ),
        Claim(
            statement="A ripple grows in almost every environment though its mean stands still: the rate of "
            f"$E\\log\\|\\eta_t\\|$ from $t = {tangents.after:g}$ to ${tangents.until:g}$ less that of the linear "
            f"equation in Fourier modes, {where}",
            predicted=0.0,
            measured=combine([1, -1], join([late.almost_sure(tangents.after), linear])),
            excludes=Rival("the rate of the mean", mean - linear.value),
            reference="Lyapunov's exponent of the linear equation, by other code",
        ),
    ]


def _growth(runs: Stirring, tangents: Tangents, seen: np.ndarray) -> tuple[Growth, Growth]:
    """From the start to where growth begins to count, and to the end."""
    eta = seen - 1 / TORUS.volume
    size, first = norm(eta), eta[:, :1]
    overlap = np.sum(eta * first, axis=(2, 3)) / np.sum(first**2, axis=(2, 3)) * size[:, :1] / size
    log = np.log(size / size[:, :1])
    ends = (runs.at(t) + 1 for t in (tangents.after, tangents.until))
    soon, late = (Growth(runs.times[:i], log[:, :i], overlap[:, :i]) for i in ends)
    return soon, late
