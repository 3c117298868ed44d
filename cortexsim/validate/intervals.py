"""Confidence intervals of what trials with noise give, and how far two samples may differ by chance."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from cortexsim._checks import check_count, check_finite

Interval = tuple[float, float]


def mean_interval(values: ArrayLike, *, level: float = 0.95) -> Interval:
    """Return the interval mean ± z s/sqrt(n) of the mean that independent `values` come from.

    Parameters
    ----------
    values
        Two at least; some tens for the interval to mean what it says.
    level
        Of confidence, between 0 and 1.

    Raises
    ------
    ValueError
        If there are fewer than two values, one is not finite, or the level is out of range.
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    if x.size < 2 or not np.isfinite(x).all():
        raise ValueError(f"`values` must be two finite numbers at least, but are {values!r}.")
    half = _quantile(level) * float(x.std(ddof=1)) / math.sqrt(x.size)
    return float(x.mean()) - half, float(x.mean()) + half


def chance_difference(p: float, trials: int, others: int, *, level: float = 0.99) -> float:
    """Return how far the shares of two samples of one probability may lie apart by chance.

    z sqrt(q (1 - q) (1/(n + 2) + 1/(m + 2))), q = (p n + 1)/(n + 2): Agresti and Caffo's interval, which adds one
    success and one failure to each sample, so that it holds also where p is 0 or 1.

    Parameters
    ----------
    p
        Share of successes in the first sample.
    trials, others
        Sizes n and m of the two samples.
    level
        Share of the pairs of samples that lie closer together.

    Raises
    ------
    ValueError, TypeError
        If a size, the share or the level is out of range.

    References
    ----------
    Agresti & Caffo 2000, Am Stat 54:280, doi 10.1080/00031305.2000.10474560.
    """
    n, m = check_count("trials", trials), check_count("others", others)
    if not 0 <= check_finite("p", p) <= 1:
        raise ValueError(f"Argument `p` must be a share, 0 ... 1, but is {p}.")
    q = (p * n + 1) / (n + 2)
    return _quantile(level) * math.sqrt(q * (1 - q) * (1 / (n + 2) + 1 / (m + 2)))


def _quantile(level: float) -> float:
    """Return z, for which the share `level` of a standard normal lies in -z ... z."""
    if not 0 < check_finite("level", level) < 1:
        raise ValueError(f"Argument `level` must lie between 0 and 1, but is {level}.")
    return NormalDist().inv_cdf((1 + level) / 2)
