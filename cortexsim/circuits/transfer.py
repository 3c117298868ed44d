"""f-I curves: the firing rate of a population for its input current, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np


def abbott_chance(z: Any, d: Any) -> Any:
    """Rate of an excitatory population, z / (1 - exp(-d z)), with the limit 1/d at z = 0.

    Parameters
    ----------
    z
        Rescaled input current a I - b, in Hz.
    d
        Curvature, in s.

    Returns
    -------
    rate
        In Hz; never negative.

    Notes
    -----
    Written as -z / expm1(-d z), which keeps its digits near z = 0. Source: Abbott and Chance 2005, Prog Brain Res
    149:147, doi 10.1016/S0079-6123(05)49011-1; this form in Wong and Wang 2006, J Neurosci 26:1314.
    """
    z = np.where(z == 0.0, 1e-30, z)
    return -z / np.expm1(-d * z)


def threshold_linear(current: Any, gain: Any, offset: Any) -> Any:
    """Rate max(gain * current + offset, 0): Hz for a current in nA, a gain in Hz/nA and an offset in Hz."""
    return np.maximum(gain * current + offset, 0.0)
