"""Names beside points, placed so that they stay clear of each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsim.plot.style import GREY, SMALL, figure_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

_ANGLES = np.deg2rad([0, 180, 90, 270, 45, 135, 225, 315, 22, 68, 112, 158, 202, 248, 292, 338])
_GAPS = np.array([1.8, 4.5, 8.0, 13.0, 19.0, 26.0, 34.0])  # points between the rim of the point and the name
_LEADER_GAP = 5.0
_CLEAR = np.array([2.0, 0.5])  # points between one name and the next, beside and above
_SWEEPS = 8


def place_names(
    ax: Axes, x: ArrayLike, y: ArrayLike, names: Sequence[str], *, radius: float, size: float = SMALL
) -> list[Annotation]:
    """Write each name beside its point, clear of the other names and points where there is room.

    Every name tries 16 directions at 7 distances; in turn, each takes the place of least overlap (with names, points
    and what lies outside of the axes), then of least distance, until none moves. Far names get a thin leader line. The
    same picture always gets the same places.

    Parameters
    ----------
    ax
        Axes whose limits and place on the figure are final.
    x, y
        Points, in data coordinates.
    names
        One per point.
    radius
        Of the points' markers, in points of 1/72 inch.
    size
        Of the font, in points.
    """
    from matplotlib import patheffects
    from matplotlib.textpath import TextPath

    if not names:
        return []
    figure = figure_of(ax)
    if figure.get_layout_engine() is None:
        ax.apply_aspect()
    else:
        figure.draw_without_rendering()  # moves the axes to where they stay, on which the distances depend
    pixel = figure.dpi / 72.0
    points = ax.transData.transform(np.column_stack([np.asarray(x, float), np.asarray(y, float)])) / pixel
    frame = ax.get_window_extent()
    low, high = np.array([frame.x0, frame.y0]) / pixel, np.array([frame.x1, frame.y1]) / pixel

    outlines = [TextPath((0.0, 0.0), name, size=size) for name in names]
    drawn = [outline.vertices[outline.codes != TextPath.CLOSEPOLY] for outline in outlines]
    half = np.array([np.ptp(vertices, axis=0) for vertices in drawn]) / 2.0
    halo = [patheffects.withStroke(linewidth=1.5, foreground="white")]
    notes = [
        ax.annotate(
            name,
            xy,
            xytext=(0, 0),
            textcoords="offset points",
            ha="center",
            va="center_baseline",
            fontsize=size,
            path_effects=halo,
            zorder=5,
        )
        for name, xy in zip(names, np.column_stack([x, y]), strict=True)
    ]
    offsets, gaps = _candidates(half, radius)
    chosen = _choose(points, half, offsets, gaps, radius, low, high)

    for note, row, place in zip(notes, offsets, chosen, strict=True):
        note.set_position((float(row[place, 0]), float(row[place, 1])))
    for i in np.flatnonzero(gaps[chosen] >= _LEADER_GAP):
        _draw_leader(ax, notes[i], radius)
    return notes


def _candidates(half: NDArray[np.float64], radius: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    direction = np.tile(np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)]), (_GAPS.size, 1))
    gaps = np.repeat(_GAPS, _ANGLES.size)
    return direction * (radius + gaps)[:, None] + direction[None] * half[:, None, :], gaps


def _choose(
    points: NDArray[np.float64],
    half: NDArray[np.float64],
    offsets: NDArray[np.float64],
    gaps: NDArray[np.float64],
    radius: float,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> NDArray[np.intp]:
    number = len(points)
    centres = points[:, None, :] + offsets
    along = np.linspace(0.0, 1.0, 8)[:, None, None]
    fixed = np.empty((number, gaps.size))
    rim = np.full(2, radius + 0.5)
    for i in range(number):
        others = np.arange(number) != i
        fixed[i] = 10.0 * _overlap(centres[i], half[i], points, rim).sum(axis=1)
        outside = np.maximum(low - (centres[i] - half[i]), 0) + np.maximum(centres[i] + half[i] - high, 0)
        fixed[i] += 100.0 * outside.sum(axis=1) + gaps
        leader = points[i] + along * offsets[i][None]
        hits = np.abs(leader[:, :, None] - points[others]).max(axis=-1) < radius
        nearest = np.maximum(np.abs(centres[i][:, None] - points[others]) - half[i], 0.0)
        strange = np.hypot(nearest[..., 0], nearest[..., 1]).min(axis=1, initial=np.inf)
        fixed[i] += 8.0 * np.maximum(radius + gaps + 1.5 - strange, 0.0)  # a name must not seem to be another point's
        fixed[i] += 15.0 * hits.any(axis=0).sum(axis=1) * (gaps >= _LEADER_GAP)
    chosen: NDArray[np.intp] = np.argmin(fixed, axis=1)
    for _ in range(_SWEEPS):
        before = chosen.copy()
        for i in range(number):
            others = np.flatnonzero(np.arange(number) != i)
            boxes = centres[others, chosen[others]]
            cost = fixed[i] + 20.0 * _overlap(centres[i], half[i] + _CLEAR, boxes, half[others]).sum(axis=1)
            leader = points[i] + along * offsets[i][None]
            crossed = (np.abs(leader[:, :, None] - boxes) < half[others]).all(axis=-1)
            cost += 15.0 * crossed.any(axis=0).sum(axis=1) * (gaps >= _LEADER_GAP)
            chosen[i] = np.argmin(cost)
        if np.array_equal(before, chosen):
            break
    return chosen


def _overlap(
    centres: NDArray[np.float64],
    half: NDArray[np.float64],
    others: NDArray[np.float64],
    other_half: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the shared area (square points) of each box at `centres` with each of the `others`."""
    room = half + other_half - np.abs(centres[:, None, :] - others[None])
    shared: NDArray[np.float64] = np.maximum(room, 0.0).prod(axis=-1)
    return shared


def _draw_leader(ax: Axes, note: Annotation, radius: float) -> None:
    ax.annotate(
        "",
        note.xy,
        xytext=note.get_position(),
        textcoords="offset points",
        arrowprops={
            "arrowstyle": "-",
            "color": GREY,
            "linewidth": 0.4,
            "shrinkA": 3.0,
            "shrinkB": radius,
        },
    )
