"""Numbers along time, depth and size, with what is known of their errors."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from mckean.checks import nearest, require, require_finite, require_real
from mckean.digits import measurement, number
from mckean.dynamics import Trajectory
from mckean.energetics import Ledger
from mckean.plot._look import FAINT, INK, LINES, canvas, colours, legend, log_ticks, name_axes, set_scales
from mckean.plot._marks import band as fill
from mckean.plot._marks import count, curve
from mckean.statistics import Estimate, Lifetimes, Rate, average

_TIME = "time $t$"


def series(
    times: Any,
    values: Any,
    ax: Axes | None = None,
    *,
    band: Literal["interval", "spread"] | None = "interval",
    level: float = 0.95,
    paths: int = 0,
    exact: Any = None,
    label: str | None = None,
    color: Any = None,
    log: Literal["", "x", "y", "xy"] = "",
) -> Axes:
    """Draw a quantity against time: a curve, with a band where there are replicas or errors.

    Of replicas the curve is the mean; the band is the confidence interval of the mean, or holds the given share of the
    replicas at each time.

    **Arguments:**

    - `times`: a `Trajectory`, also a batch of them by `vmap`; or times, shape (t,).
    - `values`: the name of an observable of the trajectory; or numbers, shape (t,), with replicas in front (r, t), or
      an `Estimate` of shape (t,). An observable that is a vector gives a curve for each component, six at most.
    - `ax`: the axes. Default: None, those of a new figure.
    - `band`: "interval", "spread", or None for no band. Default: "interval".
    - `level`: of the band. Default: 0.95.
    - `paths`: how many of the replicas, the first ones, are drawn themselves, pale. Default: 0.
    - `exact`: what theory says, dashed: a number, shape (t,), or a function of the times. Default: None.
    - `label`: for the legend. Default: None, the name of the observable where it has several components.
    - `color`: one of matplotlib's colours. Default: None, the next one.
    - `log`: the axes that are made logarithmic: "x", "y" or "xy". Default: "", as they are.

    **Returns:** the axes.

    **Raises:** `ValueError` for an observable that is not there, shapes that do not fit, and values that are complex or
    not finite.
    """
    t, several = _along(times, values)
    title = values if isinstance(values, str) else "value"
    require(band in ("interval", "spread", None), f'a band is "interval", "spread" or None, not {band!r}.')
    drawn = [_middle(t, part, band, level) for part in several]
    pale = _paths(t, several[0], paths)
    theory = None if exact is None else _exact(t, exact)
    names = [label] if len(several) == 1 else [f"{label or title} {i + 1}" for i in range(len(several))]
    with canvas(ax) as ax:
        set_scales(ax, log)
        start, paints = count(ax), colours(ax, len(drawn), color)
        if pale:
            ax.add_collection(LineCollection(pale, colors=paints[0], alpha=0.35, linewidths=0.8))
        for i, ((middle, low, high), name, paint) in enumerate(zip(drawn, names, paints, strict=True)):
            ax.plot(t, middle, color=paint, linestyle=LINES[(start + i) % len(LINES)], label=name)
            if low is not None:
                fill(ax, t, low, high, paint)
        if theory is not None:
            new = "exact" not in ax.get_legend_handles_labels()[1]
            curve(t, theory, ax, kind="exact", label="exact" if new else "_exact")
        return _finish(ax, title)


def _finish(ax: Axes, title: str) -> Axes:
    name_axes(ax, _TIME, title)
    ax.margins(x=0.02)
    ax.autoscale_view()
    log_ticks(ax)
    legend(ax)
    return ax


def _along(times: Any, values: Any) -> tuple[np.ndarray, list[Any]]:
    """The times, and the curves over them."""
    if not isinstance(times, Trajectory):
        require(
            not isinstance(values, str),
            f"the observable {values!r} is looked up in a Trajectory, but times are a {type(times).__name__}.",
        )
        t = np.asarray(times, float)
        require(t.ndim == 1 and t.size > 0, f"times have shape (t,), not {t.shape}.")
        require_finite("a time", t)
        return t, [values]
    require(isinstance(values, str), "of a trajectory an observable is drawn: give its name.")
    nearest(values, times.observed, "observable of the run")
    found = times.observed[values]
    require(
        hasattr(found, "ndim"), f"the observable '{values}' is a tree of arrays: draw one, series(run.times, array)."
    )
    t, y = np.asarray(times.times, float), np.asarray(found)
    if t.ndim == 2:
        require(y.ndim == 2, f"of a batch of runs a number is drawn, but '{values}' has shape {y.shape[2:]}.")
        return t[0], [y]
    require(t.ndim == 1, f"a batch of runs has one axis of replicas, but its times have shape {t.shape}.")
    y = y.reshape(len(t), -1)
    require(y.shape[1] <= 6, f"'{values}' has {y.shape[1]} components at each time, and six can be told apart.")
    return t, list(y.T)


def _middle(t: np.ndarray, values: Any, band: Any, level: float) -> tuple[Any, Any, Any]:
    """The curve, and the ends of its band or None."""
    require(0 < level < 1, f"the level of a band lies between 0 and 1, but {level} was given.")
    require_real("a value that is drawn", np.asarray(values))
    require_finite("a value that is drawn", np.asarray(values, float))
    shape = np.shape(values.value if isinstance(values, Estimate) else values)
    fits = shape == t.shape or (not isinstance(values, Estimate) and len(shape) == 2 and shape[1:] == t.shape)
    require(fits, f"{t.size} times take values of shape ({t.size},), or (replicas, {t.size}), not {shape}.")
    if isinstance(values, Estimate):
        low, high = values.interval(level) if band else (None, None)
        return np.asarray(values.value), low, high
    y = np.asarray(values, float)
    if y.ndim == 1:
        return y, None, None
    require(band is None or len(y) >= 2, "a band needs two replicas or more.")
    low, high = None, None
    if band == "interval":
        low, high = average(y).interval(level)
    elif band == "spread":
        low, high = np.quantile(y, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return y.mean(0), low, high


def _paths(t: np.ndarray, values: Any, paths: int) -> list[np.ndarray]:
    """The first replicas, as points (t, y)."""
    require(isinstance(paths, int) and paths >= 0, f"the paths that are drawn are a number of replicas, not {paths!r}.")
    if paths == 0:
        return []
    require(
        not isinstance(values, Estimate) and np.ndim(values) == 2,
        f"paths are drawn of replicas, values of shape (replicas, {t.size}).",
    )
    return [np.stack([t, y], axis=1) for y in np.asarray(values, float)[:paths]]


def _exact(t: np.ndarray, exact: Any) -> np.ndarray:
    found = np.asarray(exact(t) if isinstance(exact, Callable) else exact, float)
    require(found.shape in ((), t.shape), f"what is exact is a number or has shape {t.shape}, not {found.shape}.")
    require_finite("what is exact", found)
    return np.broadcast_to(found, t.shape)


def overlap(depths: Any, values: Any, ax: Axes | None = None, **given: Any) -> Axes:
    """Draw the overlap of tokens against the depth of a network: `series`, with the axes of overlaps.

    **Arguments:**

    - `depths`: a `Trajectory`, or depths, shape (t,), in the clock of the layers.
    - `values`, `given`: as for `series`: a name, numbers or an `Estimate`, and `band`, `level`, `exact`, `label`,
      `color`.
    - `ax`: the axes. Default: None, those of a new figure.

    **Returns:** the axes.

    **Raises:** `ValueError` as `series` does.
    """
    several = _along(depths, values)[1]
    with canvas(ax) as ax:
        name_axes(ax, "depth $s$ (time of the layers)", r"overlap $\langle x_i, x_j\rangle$")
        series(depths, values, ax, **given)
        low = min(float(np.min(np.asarray(part))) for part in several)
        ax.set_ylim(min(ax.get_ylim()[0], -1.05 if low < 0 else -0.02), 1.05)
        return ax


def rate(rate: Rate, ax: Axes | None = None, *, exponent: float | None = None, level: float = 0.95) -> Axes:
    """Draw how an error falls with N: the points with their intervals, the fitted power law and that of its exponent.

        error ≈ C·N^s, on logarithmic axes

    **Arguments:**

    - `rate`: as `statistics.study`, `fit_rate` or `couplings.chaos_rate` returns it.
    - `ax`: the axes. Default: None, those of a new figure.
    - `exponent`: what theory says of s, drawn dashed through the middle of the fit. Default: None.
    - `level`: of all intervals. Default: 0.95.

    **Returns:** the axes.

    **Raises:** `ValueError` for what is no `Rate`, and for a level that is not between 0 and 1.
    """
    require(isinstance(rate, Rate), f"a rate is a Rate, as statistics.study returns it, not a {type(rate).__name__}.")
    low, high = rate.interval(level)
    sizes, errors = np.asarray(rate.sizes, float), np.asarray(rate.errors.value, float)
    ends = np.asarray(rate.errors.interval(level), float)
    # On a log axis a bar that reaches zero has no end, and is cut at a tenth of the value.
    bars = np.stack([np.minimum(errors - ends[0], 0.9 * errors), ends[1] - errors])
    n = np.geomspace(sizes.min(), sizes.max(), 100)
    centre = float(np.exp(np.mean(np.log(sizes))))
    fit, middle = rate.curve(n), float(rate.curve([centre])[0])
    with canvas(ax) as ax:
        set_scales(ax, "xy")
        (paint,) = colours(ax)
        ax.errorbar(sizes, errors, yerr=bars, fmt="o", color=paint, markersize=5, elinewidth=1.2, capsize=2.5,
                    label=f"measured, {100 * level:g} % intervals")  # fmt: skip
        slope = measurement(rate.slope.value, rate.slope.stderr)
        ax.plot(n, fit, color=paint, label=f"fit $N^s$, $s$ = {slope}")
        wedge = [middle * (n / centre) ** s for s in (low, high)]
        fill(ax, n, np.minimum(*wedge), np.maximum(*wedge), paint)
        if exponent is not None:
            curve(n, middle * (n / centre) ** exponent, ax, kind="exact", label=f"theory $N^{{{exponent:g}}}$")
        log_ticks(ax)
        name_axes(ax, "number of particles $N$", "error")
        legend(ax)
        return ax


def ledger(ledger: Ledger, ax: Axes | None = None, *, level: float = 0.95) -> Axes:
    """Draw the energy ledger of a run: the change of F, the terms of which it is the sum, and their closing error.

    Terms that are zero throughout are left out. Of replicas the means are drawn, with their intervals.

    **Arguments:**

    - `ledger`: as `energetics.ledger` returns it, also with replicas in front.
    - `ax`: the axes. Default: None, those of a new figure.
    - `level`: of the intervals of means. Default: 0.95.

    **Returns:** the axes.

    **Raises:** `ValueError` for what is no `Ledger`.
    """
    require(
        isinstance(ledger, Ledger),
        f"a ledger is a Ledger, as energetics.ledger returns it, not a {type(ledger).__name__}.",
    )
    accounts = ledger.accounts
    terms = {
        "dissipated": -np.asarray(accounts.dissipated),
        "drift": accounts.driven,
        "work of the environment": accounts.work,
        "entropy of the environment": accounts.entropy,
        "own noise": accounts.own,
        "schedule": accounts.schedule,
    }
    terms = {name: np.asarray(value, float) for name, value in terms.items()}
    scale = max(float(np.max(np.abs(value))) for value in terms.values())
    terms = {name: value for name, value in terms.items() if np.max(np.abs(value)) > 1e-9 * scale}
    times = np.asarray(ledger.times, float).reshape(-1, np.shape(ledger.times)[-1])[0]
    closing = np.asarray(ledger.residual, float)
    with canvas(ax) as ax:
        change = _middle(times, np.asarray(ledger.change, float), "interval", level)
        looks = zip([INK, *colours(ax, len(terms))], ["-", "--", *LINES[1:], *LINES[1:]], strict=False)
        for (name, values), (paint, line) in zip({"change of F": change, **terms}.items(), looks, strict=False):
            middle, low, high = values if isinstance(values, tuple) else _middle(times, values, "interval", level)
            width = 2.2 if isinstance(values, tuple) else 1.7
            ax.plot(times, middle, color=paint, linestyle=line, linewidth=width, label=name)
            if low is not None:
                fill(ax, times, low, high, paint)
        error = f"closing error, at most {number(float(np.max(np.abs(closing))), 2)}"
        ax.plot(times, np.atleast_2d(closing).mean(0), color=FAINT, linewidth=1.2, label=error)
        name_axes(ax, _TIME, "energy per particle")
        ax.margins(x=0.02, y=0.25)
        legend(ax)
        return ax


def lifetimes(
    lifetimes: Lifetimes,
    ax: Axes | None = None,
    *,
    level: float = 0.95,
    exponential: bool = True,
    label: str | None = None,
    color: Any = None,
) -> Axes:
    """Draw the share of lives that go on, by Kaplan and Meier, with its band; lives that went on at their last look
    have a tick.

    **Arguments:**

    - `lifetimes`: `statistics.Lifetimes`, as `phases.escape_times` returns them.
    - `ax`: the axes. Default: None, those of a new figure.
    - `level`: of the band at each time. Default: 0.95.
    - `exponential`: whether e^{−λt} with the likeliest constant rate λ is drawn, dashed. Default: True.
    - `label`: for the legend. Default: None, how many ends were seen.
    - `color`: one of matplotlib's colours. Default: None, the next of `COLOURS`.

    **Returns:** the axes.

    **Raises:** `ValueError` for what are no `Lifetimes`, and for a level that is not between 0 and 1.
    """
    require(
        isinstance(lifetimes, Lifetimes),
        f"lifetimes are Lifetimes, as phases.escape_times returns them, not a {type(lifetimes).__name__}.",
    )
    times, share, low, high = (np.concatenate([[start], a]) for start, a in zip(
        (0.0, 1.0, np.nan, np.nan), lifetimes.survival(level), strict=True))  # fmt: skip
    with canvas(ax) as ax:
        (paint,) = colours(ax, color=color)
        name = label or f"{lifetimes.ends} ends of {lifetimes.times.size} lives"
        ax.step(times, share, where="post", color=paint, label=name)
        fill(ax, times, low, high, paint, "post")
        went_on = lifetimes.times[~lifetimes.ended]
        if went_on.size:
            at = share[np.searchsorted(times, went_on, side="right") - 1]
            ax.plot(went_on, at, linestyle="none", marker="|", markersize=8, color=paint)
        if exponential and lifetimes.ends:
            t = np.linspace(0, lifetimes.times.max(), 200)
            label = f"$e^{{-\\lambda t}}$, λ = {lifetimes.rate:.3g}"
            curve(t, np.exp(-lifetimes.rate * t), ax, kind="exact", label=label)
        ax.set_ylim(0, 1.03)
        name_axes(ax, _TIME, "share of lives that go on")
        legend(ax)
        return ax
