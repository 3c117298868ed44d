"""A task at a glance: what a trial shows, what it asks for, and when that counts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cortexsim import _checks
from cortexsim.plot.style import DPI, GREY, SEQUENTIAL, SMALL, axes_for, figure_of, styled
from cortexsim.tasks import Task, Trials

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_NAMES = 12  # channels that are named one by one
_MOST_UPRIGHT = 6  # epochs whose names stand side by side


def task(
    shown: Task | Trials,
    *,
    trial: int = 0,
    outputs: NDArray[np.floating[Any]] | None = None,
    seed: int = 0,
    ax: Sequence[Axes] | None = None,
) -> Figure:
    """Draw a trial of a task: its inputs, the target of the outputs, and the weight of each time in the loss.

    Targets are blank where nothing is asked for. Time is counted from the end of the warm-up. Inputs that will depend
    on the network's answer are hatched.

    Parameters
    ----------
    shown : Task or Trials
        A task, of which the trials with this `seed` are drawn without jitter; or trials of your own.
    trial
        Which of the trials.
    outputs
        Of one network over all steps after the warm-up, shape (time, output); drawn beneath the target.
    seed
        Of the trials that a task makes; not allowed to matter, and so refused, if `shown` is Trials.
    ax
        Axes of inputs, target, (outputs,) and weight; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes.

    Raises
    ------
    TypeError, ValueError
        If an argument does not hold what it must.

    Examples
    --------
    >>> from cortexsim import tasks
    >>> from cortexsim.plot.tasks import task
    >>> figure = task(tasks.DelayedGo(), trial=3)
    """
    trial = _checks.check_count("trial", trial, least=0)
    if isinstance(shown, Task):
        trials = shown.trials(trial + 1, seed=seed, jitter=False)
    elif not isinstance(shown, Trials):
        raise TypeError(f"Argument `shown` must be a Task or Trials, but is {type(shown).__name__}.")
    elif seed != 0:
        raise ValueError(f"Argument `seed` must be left out where `shown` is Trials, but is {seed}.")
    else:
        trials = shown
    if trial >= trials.n:
        raise ValueError(f"Argument `trial` must be below the number of trials, {trials.n}, but is {trial}.")
    if outputs is not None and np.shape(outputs) != (trials.steps, len(trials.task.outputs)):
        raise ValueError(
            f"Argument `outputs` must have the shape (time, output) = {(trials.steps, len(trials.task.outputs))}, but "
            f"has {np.shape(outputs)}; take one network and trial: outputs[0, :, {trial}]."
        )
    data = trials.to_dataset([trial]).isel(trial=0)
    panels = [("Target", data.targets.values)] + ([] if outputs is None else [("Output", np.asarray(outputs))])
    top = max(1.0, float(trials.inputs_by_epoch[:, trial].max()))
    with styled():
        inputs, *others, weight = _axes(ax, len(panels), [len(trials.task.inputs), len(trials.task.outputs)])
        start = -trials.warmup * trials.dt
        before = np.tile(data.warmup_inputs.values, (trials.warmup, 1))
        mesh = _heat(inputs, np.concatenate([before, data.inputs.values]), start, trials, top)
        _name_rows(inputs, trials.task.inputs)
        inputs.set_ylabel("Input")
        _hatch_feedback(inputs, trials, trial)
        for (name, values), one in zip(panels, others, strict=True):
            _heat(one, values, 0.0, trials, top)
            _name_rows(one, trials.task.outputs)
            one.set_ylabel(name)
        time = np.append(data.time.values, trials.steps * trials.dt)
        weight.stairs(1e3 * data.mask.values / trials.dt, time, fill=True, color=GREY)
        weight.set_ylabel("Loss\nweight (1/s)")
        weight.set_ylim(bottom=0.0)
        weight.set_xlabel("Time (ms)")
        for one in (inputs, *others, weight):
            one.set_xlim(start, trials.steps * trials.dt)
            for border in trials.borders[:-1] * trials.dt:
                one.axvline(border, color="white" if one is not weight else "0.8", linewidth=0.6)
            if one is not weight:
                one.tick_params(labelbottom=False)
        inputs.set_title(trials.task.name, pad=_name_epochs(inputs, trials))
        figure = figure_of(weight)
        figure.align_ylabels([inputs, *others, weight])
        figure.colorbar(mesh, ax=[inputs, *others], label="Value", shrink=0.6, aspect=25, fraction=0.04, pad=0.02)
        return figure


def _axes(ax: Sequence[Axes] | None, panels: int, channels: Sequence[int]) -> list[Axes]:
    """Return the Axes of inputs, of each panel of outputs and of the weight: those given, or new ones."""
    if ax is not None:
        return axes_for(ax, panels + 2, (0, 0))
    from cortexsim.plot.figure import Figure

    inputs, outputs = (min(max(0.11 * number, 0.5), 2.6) for number in channels)
    outputs = min(outputs, 1.5)
    heights = [inputs, *[outputs] * panels, 0.5]
    figure = Figure(figsize=(6.4, sum(heights) + 1.3), dpi=DPI, layout="constrained")
    return list(figure.subplots(len(heights), 1, height_ratios=heights).ravel())


def _heat(ax: Axes, values: NDArray[Any], start: float, trials: Trials, top: float) -> Any:
    """Draw channels over time, the first on top."""
    edges = start + trials.dt * np.arange(len(values) + 1)
    rows = np.arange(values.shape[1] + 1) - 0.5
    mesh = ax.pcolormesh(edges, rows, values.T, cmap=SEQUENTIAL, vmin=0.0, vmax=top, rasterized=True)
    ax.invert_yaxis()
    return mesh


def _name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Name each channel, or, if there are many, each group of channels that are numbered through."""
    if len(names) <= _MOST_NAMES:
        ax.set_yticks(np.arange(len(names)), names)
    else:
        groups = [(stem, len(list(group))) for stem, group in groupby(names, _stem)]
        ends = np.cumsum([size for _, size in groups])
        ax.set_yticks(
            [end - (size + 1) / 2 for end, (_, size) in zip(ends, groups, strict=True)], [g for g, _ in groups]
        )
        for end in ends[:-1]:
            ax.axhline(end - 0.5, color="white", linewidth=0.6)
    ax.tick_params(axis="y", length=0.0, pad=2.0)


def _stem(name: str) -> str:
    """Return the name without what tells it from its neighbours: "modality 1, 5" is of "modality 1"."""
    return name.rsplit(" ", 1)[0].rstrip(",")


def _name_epochs(ax: Axes, trials: Trials) -> float:
    """Write the names of the epochs above `ax`; return the height that they take, in points."""
    names, edges = list(trials.epochs), trials.dt * trials.borders
    middles = list((edges[1:] + edges[:-1]) / 2)
    if trials.warmup:
        names, middles = ["warm-up", *names], [-trials.warmup * trials.dt / 2, *middles]
    crowded = len(names) > _MOST_UPRIGHT
    for name, middle in zip(names, middles, strict=True):
        ax.annotate(
            name,
            (middle, 1.0),
            xytext=(0.0, 2.0),
            xycoords=ax.get_xaxis_transform(),
            textcoords="offset points",
            rotation=90.0 if crowded else 0.0,
            fontsize=SMALL,
            ha="center",
            va="bottom",
        )
    return 5.0 + SMALL * (0.6 * max(map(len, names)) if crowded else 1.0)


def _hatch_feedback(ax: Axes, trials: Trials, trial: int) -> None:
    """Hatch what may be on after the one or the other answer."""
    edges = trials.dt * trials.borders
    for epoch, choices in trials.feedback_inputs.items():
        for channel in np.flatnonzero(choices[:, trial].any(axis=0)):
            ax.fill_between(
                [edges[epoch], edges[epoch + 1]],
                channel - 0.5,
                channel + 0.5,
                facecolor="none",
                edgecolor="white",
                hatch="/////",
                linewidth=0.0,
            )
