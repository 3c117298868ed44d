"""How training went: curves of learning, what the networks choose, and example trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim.plot.networks import psychometric_curves
from cortexsim.plot.style import BLUE, DPI, GREY, VERMILION, axes_for, figure_of, styled
from cortexsim.plot.tasks import task as draw_trial
from cortexsim.rnn.analysis import psychometric_curve
from cortexsim.rnn.solved import fraction_solved
from cortexsim.tasks import RingTask, Trials

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = (BLUE, VERMILION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito's
_LEVELS = 8  # of evidence


def training_curves(
    histories: xr.Dataset | Mapping[str, xr.Dataset], *, threshold: float = 0.99, ax: Sequence[Axes] | None = None
) -> Figure:
    """Draw over the training steps: networks that have solved the task, performance, loss, and what is annealed.

    Parameters
    ----------
    histories
        `Training.history`, or several by name.
    threshold
        Performance from which a task is solved.
    ax
        Four Axes; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes. Bands are Wilson's 95 % intervals; thin lines are the networks; the thick ones are their
        mean, for the performance that of the ranks from 10 to 90 percent. The last panel shows beta, and for coarse
        discretisation 1 / factor of the time step: the true dynamics are at 1.

    Raises
    ------
    TypeError, ValueError
        If a history is something else or has no record, or `ax` does not fit.
    """
    named = {"": histories} if isinstance(histories, xr.Dataset) else dict(histories)
    if not named:
        raise ValueError("Argument `histories` must hold at least one history, but is empty.")
    with styled():
        solved, performance, loss, way = axes_for(ax, 4, (9.6, 2.5))
        for k, (name, history) in enumerate(named.items()):
            colour = _COLOURS[k % len(_COLOURS)]
            found = fraction_solved(history, threshold=threshold)
            steps = history.step.values
            thin: dict[str, Any] = {"color": colour, "linewidth": 0.4, "alpha": 0.4}
            solved.step(steps, found.fraction, where="post", color=colour, label=name)
            solved.fill_between(
                steps, found.low, found.high, step="post", color=colour, alpha=0.15 if len(named) < 3 else 0.07, lw=0.0
            )
            performance.plot(steps, history.performance.transpose("step", "network"), **thin)
            performance.plot(steps, found["mean"], color=colour)
            loss.plot(steps, history.loss.transpose("step", "network"), **thin)
            loss.plot(steps, history.loss.mean("network"), color=colour)
            # A record tells of the steps before it
            way.stairs(history.beta / history.time_scale, [0, *steps], baseline=None, color=colour)
        performance.axhline(threshold, color="0.8", zorder=0)
        solved.set(ylabel="Fraction solved", ylim=(-0.03, 1.03))
        performance.set(ylabel="Performance", ylim=(None, 1.01))
        loss.set(ylabel="Loss", yscale="log")
        way.set(ylabel="beta, or 1 / factor of dt", ylim=(-0.03, 1.03))
        for one in (solved, performance, loss, way):
            one.set_xlabel("Training step")
            one.locator_params(axis="x", nbins=4)
        if len(named) > 1:
            solved.legend()
        return figure_of(solved)


def choices(trials: Trials, outputs: NDArray[np.floating[Any]], *, ax: Axes | None = None) -> Figure:
    """Draw what networks choose.

    Parameters
    ----------
    trials
        What they were shown.
    outputs
        Shape (network, time, trial, output), over all steps after the warm-up.
    ax
        Axes to draw on; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes: for tasks that compare two stimuli, the psychometric curves; for others with a ring of
        responses, the angle of each answer against the one that was asked for; else the fraction of trials in which
        the output is right, over time.

    Raises
    ------
    TypeError, ValueError
        If a shape does not fit, or there are fewer than 8 trials to draw a psychometric curve of.
    """
    task = trials.task
    with styled():
        (one,) = axes_for(ax, 1, (3.4, 3.0))
        if hasattr(task, "choices") and hasattr(task, "evidence"):
            table = psychometric_curve(task.choices(outputs, trials), task.evidence(trials), levels=_LEVELS)
            psychometric_curves(table, ax=one)
            match = "match" in trials.labels
            one.set_xlabel("Stimuli apart (rad)" if match else "First stimulus stronger by")
            one.set_ylabel("Fraction of responses" if match else "Fraction of choices of the first")
        elif isinstance(task, RingTask):
            asked = trials.labels["answer"] * 180 / np.pi
            for answer in task.answers(outputs, trials) * 180 / np.pi:
                one.plot(asked, answer, ".", color=BLUE, markersize=2.5, alpha=0.6)
            one.plot((0.0, 360.0), (0.0, 360.0), color="0.8", zorder=0)
            one.set(xlabel="Angle asked for (deg)", ylabel="Angle answered (deg)")
            for axis in (one.xaxis, one.yaxis):
                axis.set_ticks(range(0, 361, 90))
            one.set_aspect("equal")
        else:
            for window, y in zip(trials.windows, task.within(outputs, trials), strict=True):
                right = task.right(y, window.target).mean(axis=2)
                one.plot(trials.dt * (np.arange(window.start, window.stop) + 1), right.T, color=BLUE, alpha=0.6)
            one.set(xlabel="Time (ms)", ylabel="Fraction of trials right", ylim=(-0.02, 1.02))
        return figure_of(one)


def training_report(
    history: xr.Dataset,
    trials: Trials,
    outputs: NDArray[np.floating[Any]],
    *,
    threshold: float = 0.99,
    title: str = "",
) -> Figure:
    """Draw a training at a glance: curves of all networks; choices and two example trials of one.

    Parameters
    ----------
    history
        `Training.history`.
    trials
        At least 8, that a network was shown.
    outputs
        Of that network, shape (time, trial, output), over all steps after the warm-up.
    threshold
        Performance from which the task is solved.
    title
        Written above.

    Returns
    -------
    matplotlib.figure.Figure
        13 by 7.5 inches. Save it by ``figure.savefig("report.png")``.

    Raises
    ------
    TypeError, ValueError
        As `training_curves` and `choices` do.
    """
    from cortexsim.plot.figure import Figure

    with styled():
        figure = Figure(figsize=(13.0, 7.5), dpi=DPI, layout="constrained")
        grid = figure.add_gridspec(2, 3, height_ratios=(1, 2.1), width_ratios=(0.75, 1.3, 1.3))
        training_curves(history, threshold=threshold, ax=list(figure.add_subfigure(grid[0, :]).subplots(1, 4)))
        side = figure.add_subfigure(grid[1, 0]).subplots(2, 1, height_ratios=(1.6, 1))
        choices(trials, outputs[np.newaxis], ax=side[0])
        _final(history, side[1], threshold)
        for k in range(2):
            panels = figure.add_subfigure(grid[1, k + 1]).subplots(4, 1, height_ratios=(1.8, 1, 1, 0.4))
            draw_trial(trials, trial=k, outputs=outputs[:, k], ax=list(panels))
        figure.suptitle(title, fontsize=10.0, x=0.01, ha="left", weight="bold")
    return figure


def _final(history: xr.Dataset, ax: Axes, threshold: float) -> None:
    """Draw the performance of all networks at the end, ranked."""
    ranked = np.sort(history.performance.isel(step=-1).values)[::-1]
    ax.plot(np.arange(1, len(ranked) + 1), ranked, ".", color=GREY)
    ax.axhline(threshold, color="0.8", zorder=0)
    ax.set(xlabel="Rank of the network", ylabel="Performance at the end", ylim=(None, 1.01))
    ax.locator_params(axis="x", integer=True)
