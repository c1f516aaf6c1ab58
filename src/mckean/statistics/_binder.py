"""Moments that know a transition without its scale: Binder's ratio, and where the curves of two sizes cross."""

from typing import Any

import numpy as np

from mckean.checks import require, require_finite, require_real
from mckean.statistics._estimates import Estimate
from mckean.statistics._rates import Jackknife, jackknife


def binder_ratio(samples: Any) -> Jackknife:
    """Binder's ratio ⟨m⁴⟩/⟨m²⟩² of an order parameter m, from independent samples.

    For N particles it falls, as the coupling grows, from the value of a Gaussian m (3 for a number, 2 for a complex
    one) to 1, and curves of two N cross near the transition.

    **Arguments:**

    - `samples`: m, or |m| where it is complex, shape (r, …), the samples along the leading axis, r ≥ 2.

    **Returns:** a `Jackknife` of shape (…); its `estimate` has the standard error.

    **Raises:** `ValueError` for fewer than two samples, for one that is complex or not finite, and where fewer than two
    are not 0.

    **Source:** Binder, Z. Phys. B 43 (1981).
    """
    require_real("an order parameter, of which |m| is enough,", samples)
    m = np.asarray(samples, float)
    require(m.ndim >= 1, "the samples of an order parameter have a leading axis, shape (r, …).")
    # One sample is left out at a time.
    known = len(m) < 2 or bool(np.all(np.sum(m != 0, axis=0) >= 2))
    require(known, "Binder's ratio is 0/0 where fewer than two samples are not 0.")
    return jackknife(np.stack([m**2, m**4], axis=-1)).map(lambda moments: moments[..., 1] / moments[..., 0] ** 2)


def crossing(x: Any, one: Jackknife, other: Jackknife) -> Estimate:
    """Where two curves cross, as straight lines through their points; their samples are independent.

    **Arguments:**

    - `x`: the places of the points, shape (k,), k ≥ 2.
    - `one`, `other`: the curves, `Jackknife`s of shape (k,).

    **Returns:** an `Estimate` of the place, with the variance Σ over both curves of the jackknife's.

    **Raises:** `ValueError` for other shapes, and for curves that do not cross between the first and the last x.
    """
    x = np.asarray(x, float)
    require_finite("a place of a crossing", x)
    fits = x.ndim == 1 and x.size >= 2 and all(np.shape(c.value) == x.shape for c in (one, other))
    require(fits, f"curves that cross have a value at each of two places or more, not shape {np.shape(one.value)}.")
    z = (x - x.mean()) / np.sum((x - x.mean()) ** 2)

    def place(difference: np.ndarray) -> Any:
        return x.mean() - difference.mean(axis=-1) / (difference @ z)

    parts = one.map(lambda c: place(c - other.value)), other.map(lambda c: place(one.value - c))
    found = float(parts[0].value)
    require(x.min() <= found <= x.max(), f"the curves do not cross between {x.min():g} and {x.max():g}.")
    squares = np.array([float(part.estimate.stderr) ** 2 for part in parts])
    freedom = squares.sum() ** 2 / np.sum(squares**2 / np.array([float(part.freedom) for part in parts]))
    return Estimate(found, float(np.sqrt(squares.sum())), freedom)
