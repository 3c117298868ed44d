"""Who has solved a task, and when: the learning of a population of networks that is often bimodal."""

from __future__ import annotations

import numpy as np
import xarray as xr

from cortexsim import _checks
from cortexsim.analysis.outcomes import proportion
from cortexsim.rnn.train import trimmed_mean

_LOST = 0.05


def fraction_solved(history: xr.Dataset, *, threshold: float = 0.99, confidence: float = 0.95) -> xr.Dataset:
    """Return how many networks have solved a task after each number of training steps.

    A network has solved it from the first record on at which its performance reached the threshold. One that diverged,
    with a performance of NaN, fails; if it had solved the task before, it has collapsed. On tasks with long
    delays some networks of a stack solve the task and the others stay at chance: a mean tells little.

    Parameters
    ----------
    history : Dataset (step, network)
        With `performance`: `Training.history`.
    threshold
        0 to 1.
    confidence
        Of Wilson's interval, 0 to 1.

    Returns
    -------
    Dataset (step, network)
        `n` (step), how many networks have solved it, and `fraction` of all with the interval `low` ... `high`; `mean`
        (step), the mean performance of those that rank from 10 to 90 percent; `first` (network), the step at which it
        was solved, NaN if never; `collapsed` (network), whether it was, and the last performance is more than
        .05 below the threshold.

    Raises
    ------
    TypeError, ValueError
        If `history` is something else, or an argument does not hold what it must.
    """
    if not isinstance(history, xr.Dataset) or "performance" not in history:
        raise TypeError("Argument `history` must be the Dataset `Training.history`, with `performance`.")
    if history.sizes["step"] == 0:
        raise ValueError("Argument `history` must hold at least one record, but training ended before the first.")
    threshold = _checks.check_fraction("threshold", threshold)
    performance = np.nan_to_num(history.performance.transpose("step", "network").values, nan=0.0)
    ever = np.maximum.accumulate(performance, axis=0) >= threshold
    first = np.where(ever[-1], history.step.values[ever.argmax(axis=0)], np.nan)
    n = xr.DataArray(ever.sum(axis=1), {"step": history.step}, ("step",))
    table = proportion(n, xr.full_like(n, ever.shape[1]), confidence)
    table["fraction"].attrs["long_name"] = "fraction of networks"
    return table.assign(
        n=n.assign_attrs(units="1", long_name="networks that have solved the task"),
        mean=("step", [trimmed_mean(p) for p in performance], _described("mean performance, ranks 10 to 90 %")),
        first=("network", first, _described("training step at which the task was solved")),
        collapsed=("network", ever[-1] & (performance[-1] < threshold - _LOST), _described("solved, and lost")),
    ).assign_attrs(threshold=threshold)


def _described(long_name: str) -> dict[str, str]:
    return {"units": "1", "long_name": long_name}
