"""How trials end: correct, distracted, lost; hits and misses of n-back; and how often, with confidence intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import xarray as xr

from cortexsim._checks import check_count, check_finite, check_known, check_positive, check_same_condition
from cortexsim.analysis.memory import described, item_coordinates, item_of, read_items, trial_coordinates
from cortexsim.analysis.windows import (
    DEFAULT_WINDOW_MS,
    Window,
    check_window,
    delay_window,
    drives_by_trial,
    interval,
)
from cortexsim.stimulus import Drive

MEMORY_OUTCOMES = ("correct", "distracted", "mixed", "lost", "never encoded")
N_BACK_OUTCOMES = ("hit", "correct rejection", "miss", "false alarm", "omission")

# How long the response to a cue takes to decay; in the paper's trial the window is then 1500 to 2000 ms.
_RESPONSE_MS = 100.0


def trial_outcomes(
    result: xr.Dataset,
    window: Window | None = None,
    *,
    target: int | Sequence[int] | None = None,
    encoded: Window | None = None,
    baseline: Window | None = None,
    items: tuple[str, str] | None = None,
    threshold: float | None = None,
    n_min: int = 1,
    during_stimulus: bool = False,
) -> xr.Dataset:
    """Return how each trial of a delayed response ends.

    In this order, with what the cortex holds by the definition of `held_item`:

    - "never encoded": it did not hold the target in the window `encoded`, before the distractor;
    - "correct": at the end it holds the target;
    - "distracted": at the end it holds the other item;
    - "mixed": at the end as many areas hold one item as the other, `n_min` at least;
    - "lost": at the end it holds none.

    Parameters
    ----------
    result : Dataset (trial, time, area)
        What `simulate` returned. Trials may differ in parameters and stimuli.
    window, baseline, items, threshold, n_min, during_stimulus
        As in `held_item`; `window` is the end of the trial.
    target : int or sequence of int
        The item to be remembered, 1 or 2, or one for each trial. By default the item of the cue: of the first among
        the currents into an item's population that are named "cue" or "distractor", or have no name. Negative
        currents, which inhibit, are neither.
    encoded : (float, float)
        (start, stop) in ms. By default the 500 ms before the first distractor (the next such current), but not before
        the end of the cue; in trials without one, from 100 to 600 ms after the cue.

    Returns
    -------
    Dataset
        Over trial: `outcome` (str), `target`, `encoded` and `held`, the item held before the distractor and at the end,
        `distractor` (bool), whether there was one; `n_areas` (trial, item) at the end. Coordinates along trial are
        kept, and so are the attrs.

    Raises
    ------
    TypeError, ValueError
        As `held_item`; if a trial has no cue, or cues to both items, and no target is given; or if a distractor begins
        before the cue has ended, and `encoded` is not given.
    """
    read = read_items(result, items, baseline, threshold, n_min, during_stimulus)
    window = delay_window(result, window, during_stimulus, argument="window")
    trials = result.sizes.get("trial", 1)
    shown = [_shown(drives, read.names) for drives in drives_by_trial(result)]
    if target is None:
        targets = np.array([_target(trial) for trial in shown])
    else:
        targets = np.array([check_count("target", k) for k in np.atleast_1d(target).tolist()])
        targets = np.repeat(targets, trials) if targets.size == 1 else targets
        if targets.size != trials or targets.max() > 2:
            raise ValueError(f"Argument `target` must be 1 or 2, or one of them per trial, but is {target!r}.")
    encoding = [_encoding(trial) for trial in shown] if encoded is None else check_window("encoded", encoded)
    before = read.held_in("encoded", encoding)
    end = read.held_in("window", window)

    one, two = end.n_areas[:, 0], end.n_areas[:, 1]
    ends = {
        "never encoded": before.held != targets,
        "correct": end.held == targets,
        "distracted": end.held == 3 - targets,
        "mixed": (one == two) & (one >= read.n_min),
    }
    outcome = np.select(list(ends.values()), list(ends), "lost")
    distractor = [len({onset for onset, _, _ in trial}) > 1 for trial in shown]
    return xr.Dataset(
        {
            "outcome": ("trial", outcome, described("outcome of the trial")),
            "target": ("trial", targets, described("item to be remembered: 1 or 2")),
            "encoded": ("trial", before.held, described("item held before the distractor: 1, 2, or 0 for none")),
            "held": ("trial", end.held, described("item held at the end: 1, 2, or 0 for none")),
            "distractor": ("trial", distractor, described("a distractor was shown", "")),
            "n_areas": (("trial", "item"), end.n_areas, described("number of areas that hold the item at the end")),
        },
        {**trial_coordinates(read.rates[0]), **item_coordinates(read.names)},
        result.attrs | read.criterion(window=window),
    )


def n_back_outcomes(
    result: xr.Dataset,
    n: int = 1,
    *,
    window: float = 200.0,
    baseline: Window | None = None,
    items: tuple[str, str] | None = None,
    threshold: float | None = None,
    n_min: int = 1,
    during_stimulus: bool = False,
) -> xr.Dataset:
    """Return what the cortex would answer at each item of a sequence, from what it holds just before.

    Before an item comes, the cortex holds one (`held_item`). If that is the item that now comes, it answers "match";
    if it is the other one, "no match"; if it holds none, nothing. Right is "match" where the item equals the one shown
    `n` before.

    Parameters
    ----------
    result : Dataset (trial, time, area)
        A run of `protocols.n_back` or `item_sequence`: its currents are named "item 1", "item 2" ...
    n
        How many items back.
    window
        Length of the time before each item over which rates are averaged, in ms; at most the gap.
    baseline, items, threshold, n_min, during_stimulus
        As in `held_item`; the last for the baseline alone.

    Returns
    -------
    Dataset
        Over (trial, position), the number of the item from `n` + 1 on: `shown` and `expected`, the item shown then and
        `n` before; `held`, the item held just before; `outcome` (str): "hit", "correct rejection", "miss", "false
        alarm", or "omission" where none was held.

    Raises
    ------
    TypeError, ValueError
        As `held_item`, and if trials show no items, only `n`, or not equally many.
    """
    n = check_count("n", n)
    length = check_positive("window", window, "ms")
    read = read_items(result, items, baseline, threshold, n_min, during_stimulus)
    sequences = [_sequence(drives, read.names) for drives in drives_by_trial(result)]
    count = {len(sequence) for sequence in sequences}
    if len(count) > 1 or max(count) <= n:
        raise ValueError(
            f"Trials must show equally many items, more than n = {n}, but show {', '.join(map(str, sorted(count)))}; "
            "simulate `protocols.n_back(...)`."
        )
    trials, positions = result.sizes.get("trial", 1), range(n, max(count))
    held = np.empty((trials, len(positions)), np.int8)
    for column, k in enumerate(positions):
        before = [(max(s[k][0] - length, s[k - 1][1]), s[k][0]) for s in sequences]
        held[:, column] = read.held_in("gap", before).held
    sequence = np.array([[item for _, _, item in shown] for shown in sequences])
    shown, expected = sequence[:, n:], sequence[:, :-n]
    match, same = shown == expected, held == shown
    outcome = np.select(
        [held == 0, match & same, ~match & ~same, match & ~same],
        ["omission", "hit", "correct rejection", "miss"],
        "false alarm",
    )
    over = ("trial", "position")
    return xr.Dataset(
        {
            "outcome": (over, outcome, described("outcome of the comparison")),
            "shown": (over, shown, described("item shown: 1 or 2")),
            "expected": (over, expected, described(f"item shown {n} before: 1 or 2")),
            "held": (over, held, described("item held just before: 1, 2, or 0 for none")),
        },
        {
            **trial_coordinates(read.rates[0]),
            "position": ("position", [k + 1 for k in positions], {"long_name": "number of the item"}),
        },
        result.attrs | read.criterion() | {"n_back": n},
    )


def performance(outcomes: xr.Dataset, by: str | None = None, *, confidence: float = 0.95) -> xr.Dataset:
    """Return how many trials end in which way.

    Parameters
    ----------
    outcomes : Dataset
        What `trial_outcomes` or `n_back_outcomes` returned, or a sweep of one of them: its axes stay, and a point that
        failed (an empty outcome) does not count.
    by : str
        A coordinate along trial, such as "dopamine", for whose values to count separately: numbers in ascending order,
        texts in the order in which they first come. Without it trials must be of one condition.
    confidence
        Of the interval, 0 ... 1.

    Returns
    -------
    Dataset ([by,] [axes,] outcome)
        `n`, how many trials (for n-back, comparisons) end so; `fraction` of all, with Wilson's interval `low` ...
        `high`; `n_all` ([by,] [axes]), how many there are.

    Raises
    ------
    TypeError, ValueError
        If there is no variable `outcome`, or trials differ in a parameter other than `by`.

    Examples
    --------
    >>> import xarray as xr
    >>> ends = xr.Dataset({"outcome": ("trial", ["correct", "correct", "lost", "distracted"])})
    >>> table = performance(ends)
    >>> table.n.sel(outcome="correct").item(), table.fraction.sel(outcome="correct").item()
    (2, 0.5)
    """
    outcome = _outcome(outcomes)
    found = set(np.unique(outcome.values).tolist()) - {""}
    kinds = N_BACK_OUTCOMES if found <= set(N_BACK_OUTCOMES) else MEMORY_OUTCOMES
    if not found <= set(kinds):
        raise ValueError(f"Outcomes must be among {', '.join(kinds)}, but are {', '.join(sorted(found))}.")
    index = xr.DataArray(list(kinds), {"outcome": list(kinds)}, ("outcome",))

    def counted(group: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
        return _over_trials(group.outcome == index), _over_trials(group.outcome != "")

    return _tabulated(outcome.to_dataset(), by, counted, confidence)


def distractor_resistance(outcomes: xr.Dataset, by: str | None = None, *, confidence: float = 0.95) -> xr.Dataset:
    """Return the share of trials in which the target outlasts the distractor.

    Among the trials with a distractor in which the target was held before it, those in which it is held at the end.

    Parameters
    ----------
    outcomes : Dataset
        What `trial_outcomes` returned.
    by, confidence
        As in `performance`.

    Returns
    -------
    Dataset ([by,] [axes])
        `n` of the `n_all` trials that held the target before a distractor; `fraction`, with Wilson's interval `low` ...
        `high`; NaN where there are none.

    Raises
    ------
    TypeError, ValueError
        As `performance`.
    """
    outcome = _outcome(outcomes)
    check_known("distractor", [str(name) for name in outcomes.data_vars], what="variable", where="`outcomes`")
    tested = (outcomes.distractor == 1) & ~outcome.isin(["never encoded", ""])

    def counted(group: xr.Dataset) -> tuple[xr.DataArray, xr.DataArray]:
        return _over_trials(group.tested & (group.outcome == "correct")), _over_trials(group.tested)

    return _tabulated(xr.Dataset({"outcome": outcome, "tested": tested}), by, counted, confidence)


def proportion(n: xr.DataArray, n_all: xr.DataArray, confidence: float = 0.95) -> xr.Dataset:
    """Return `fraction` = n / n_all with Wilson's interval `low` ... `high`; NaN where n_all is 0.

    Parameters
    ----------
    n, n_all : DataArray (any dimensions)
        Whole numbers.
    confidence
        0 ... 1.

    References
    ----------
    Wilson 1927, J Am Stat Assoc 22:209, doi 10.1080/01621459.1927.10502953.
    """
    from scipy.stats import binomtest

    if not 0 < check_finite("confidence", confidence) < 1:
        raise ValueError(f"Argument `confidence` must lie between 0 and 1, but is {confidence:g}.")

    def interval(k: int, among: int) -> tuple[float, float]:
        if among == 0:
            return np.nan, np.nan
        found = binomtest(int(k), int(among)).proportion_ci(confidence, "wilson")
        return float(found.low), float(found.high)

    low, high = xr.apply_ufunc(np.vectorize(interval, otypes=[float, float]), n, n_all, output_core_dims=[[], []])
    side = f"end of Wilson's {confidence:.0%} interval"
    return xr.Dataset(
        {
            "fraction": (n / n_all.where(n_all > 0)).assign_attrs(described("fraction of trials")),
            "low": low.assign_attrs(described(f"lower {side}")),
            "high": high.assign_attrs(described(f"upper {side}")),
        }
    )


def groups(values: xr.Dataset, by: str | None) -> Iterator[tuple[xr.DataArray | None, xr.Dataset]]:
    """Yield the trials of each value of the coordinate `by` with that value, or all of them with None.

    Numbers come in ascending order, texts in the order of the trials, so that a control stays first.

    Raises
    ------
    ValueError
        If there is no such coordinate along trial, or trials of a group differ in another parameter.
    """
    if by is None:
        check_same_condition(values, otherwise="`by=` its name, to count them separately")
        yield None, values
        return
    along = [str(name) for name, c in values.coords.items() if c.dims == ("trial",) and name != "trial"]
    coordinate = values[check_known(by, along, what="coordinate along trial", where="`by`")]
    found = coordinate.values
    numbers = found.dtype.kind in "biuf"
    for value in np.unique(found) if numbers else dict.fromkeys(found.tolist()):
        group = values.isel(trial=np.flatnonzero(found == value))
        check_same_condition(group)
        yield xr.DataArray(value, name=by, attrs=coordinate.attrs), group


def _tabulated(
    values: xr.Dataset,
    by: str | None,
    counted: Callable[[xr.Dataset], tuple[xr.DataArray, xr.DataArray]],
    confidence: float,
) -> xr.Dataset:
    """Return count, trials and proportion of each group."""
    tables = []
    for value, group in groups(values, by):
        n, n_all = counted(group)
        table = xr.Dataset({"n": n, "n_all": n_all})
        tables.append(table if value is None else table.assign_coords({str(value.name): value}))
    table = tables[0] if by is None else xr.concat(tables, by)
    table["n"].attrs = described("number of trials")
    table["n_all"].attrs = described("number of trials in all")
    return table.merge(proportion(table.n, table.n_all, confidence))


def _over_trials(yes: xr.DataArray) -> xr.DataArray:
    return yes.sum([name for name in ("trial", "position") if name in yes.dims])


def _outcome(outcomes: xr.Dataset) -> xr.DataArray:
    if not isinstance(outcomes, xr.Dataset) or "outcome" not in outcomes or "trial" not in outcomes.outcome.dims:
        raise TypeError(
            "Argument `outcomes` must be a Dataset with `outcome` along trial, as `trial_outcomes(result)` returns it."
        )
    outcome: xr.DataArray = outcomes.outcome
    return outcome


Shown = tuple[float, float, int]
"""(onset, end, item) of a current; times in ms."""


def _shown(drives: Sequence[Drive], names: tuple[str, str]) -> list[Shown]:
    """Return cue and distractors of a trial, in the order of their onsets."""
    named = (d for d in drives if d.name in ("", "cue") or d.name.startswith("distractor"))
    return sorted((*d.window, item) for d in named if (item := item_of(d, names)))


def _target(shown: Sequence[Shown]) -> int:
    cues = {item for onset, _, item in shown if onset == shown[0][0]}
    if len(cues) != 1:
        raise ValueError(
            f"Each trial must begin with a cue to one item, but one begins with {len(cues)}; name the currents 'cue' "
            "and 'distractor' as `working_memory` does, or pass `target=` the item."
        )
    return cues.pop()


def _encoding(shown: Sequence[Shown]) -> Window:
    if not shown:
        raise ValueError("A trial has no cue to put the window of encoding behind; pass `encoded=(start, stop)` in ms.")
    first = shown[0][0]
    offset = max(end for onset, end, _ in shown if onset == first)
    later = [onset for onset, _, _ in shown if onset > first]
    if later and later[0] <= offset:
        raise ValueError(
            "A distractor must begin after the cue has ended, so that there is time to judge what was encoded, but one "
            f"begins at {later[0]:g} ms, and the cue is shown from {interval((first, offset))}; pass "
            "`encoded=(start, stop)` in ms."
        )
    if later:
        return max(offset, later[0] - DEFAULT_WINDOW_MS), later[0]
    return offset + _RESPONSE_MS, offset + _RESPONSE_MS + DEFAULT_WINDOW_MS


def _sequence(drives: Sequence[Drive], names: tuple[str, str]) -> list[Shown]:
    """Return the items of a sequence, in the order of their onsets."""
    return sorted((*d.window, item) for d in drives if d.name.startswith("item ") and (item := item_of(d, names)))
