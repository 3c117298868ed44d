"""The evaluations of a fit: each point once, kept on disk, so that an interrupted fit goes on where it was."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim.results import check_writable, replacing

Floats = NDArray[np.float64]
Function = Callable[[dict[str, Any]], Any]

_SAVE_EVERY = 1.0  # s; a crash loses what was found since


class BudgetSpent(Exception):
    """The function has been evaluated as often as it may be."""


class Evaluations:
    """A function of parameters that remembers what it returned.

    Parameters
    ----------
    function
        As `fit` takes it.
    bounds
        (low, high) by name.
    budget
        How many different points may be asked for.
    batched
        Whether the function takes many points at a time.
    path
        File to read earlier evaluations from, and to keep all in; None: memory only.
    about
        What must be the same for a file to be of this fit: texts and numbers.
    """

    def __init__(
        self,
        function: Function,
        bounds: Mapping[str, tuple[float, float]],
        budget: int,
        batched: bool,
        path: str | os.PathLike[str] | None,
        about: Mapping[str, str | int],
    ) -> None:
        self.function, self.names, self.budget, self.batched = function, tuple(bounds), budget, batched
        self.low, self.high = np.array(list(bounds.values()), dtype=np.float64).T
        self.about = {**about, "bounds": json.dumps(dict(bounds))}
        self.path = None if path is None else check_writable(path, (".nc",))
        self.points: list[Floats] = []
        self.values: list[Floats | None] = []  # None: the function could not say
        self.asked: dict[int, None] = {}  # in the order of this search
        self.new = 0
        self._index: dict[bytes, int] = {}
        self._saved_at = time.monotonic()
        if self.path is not None and self.path.exists():
            self._read(self.path)

    def at(self, units: Floats) -> list[Floats | None]:
        """Return the values at points (point, parameter), each 0 ... 1 between its bounds; None where there is none.

        Raises
        ------
        BudgetSpent
            When all points have been looked up or evaluated that the budget allows.
        """
        points = np.clip(self.low + np.clip(units, 0.0, 1.0) * (self.high - self.low), self.low, self.high)
        spent = False
        fresh: dict[bytes, Floats] = {}
        for x in points:
            known = self._index.get(x.tobytes())
            if (known is not None and known in self.asked) or x.tobytes() in fresh:
                continue
            if len(self.asked) + len(fresh) >= self.budget:
                spent = True
                break
            if known is None:
                fresh[x.tobytes()] = x
            else:
                self.asked[known] = None
        if fresh:
            self._evaluate(np.array(list(fresh.values())))
        if spent:
            raise BudgetSpent
        return [self.values[self._index[x.tobytes()]] for x in points]

    def losses(self, units: Floats) -> Floats:
        """Return the losses at points (point, parameter), infinite where there is no value."""
        return np.array([loss_of(value) for value in self.at(units)])

    def best(self) -> tuple[Floats, float]:
        """Return the point of least loss in this search, and its loss."""
        losses = {k: loss_of(self.values[k]) for k in self.asked}
        k = min(losses, key=losses.__getitem__)
        return self.points[k], losses[k]

    def history(self) -> xr.Dataset:
        """Return the evaluations of this search in their order."""
        return self._labelled(list(self.asked))

    def save(self) -> None:
        """Write all evaluations to the file, in one step."""
        if self.path is not None and self.points:
            with replacing(self.path) as part:
                self._labelled(list(range(len(self.points)))).to_netcdf(part, engine="h5netcdf")
        self._saved_at = time.monotonic()

    def _evaluate(self, points: Floats) -> None:
        groups = [points] if self.batched else points[:, np.newaxis]
        for group in groups:
            for x, value in zip(group, self._values(group), strict=True):
                self._index[x.tobytes()] = len(self.points)
                self.asked[len(self.points)] = None
                self.points.append(x)
                self.values.append(value)
                self.new += 1
            if time.monotonic() - self._saved_at > _SAVE_EVERY:
                self.save()

    def _values(self, points: Floats) -> list[Floats | None]:
        """Call the function; where a batch fails, point by point, so that the others keep their values."""
        columns = points.T if self.batched else points[0]
        parameters = {n: (c.copy() if self.batched else float(c)) for n, c in zip(self.names, columns, strict=True)}
        try:
            returned = np.asarray(self.function(parameters), dtype=np.float64)
        except ArithmeticError:
            if len(points) == 1:
                return [None]
            return [value for x in points for value in self._values(x[np.newaxis])]
        values = returned if self.batched else returned[np.newaxis]
        if values.ndim not in (1, 2) or len(values) != len(points):
            wanted = f"({len(points)},) or ({len(points)}, residual)" if self.batched else "() or (residual,)"
            raise ValueError(f"The function must return a loss or residuals, of shape {wanted}, but {returned.shape}.")
        self._check_shape(values.shape[1:])
        return [value if np.isfinite(value).all() else None for value in values]

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        known = next((value.shape for value in self.values if value is not None), shape)
        if known != shape:
            raise ValueError(f"The function must return the same kind of value each time, but {shape} after {known}.")

    def _labelled(self, chosen: list[int]) -> xr.Dataset:
        values = [self.values[k] for k in chosen]
        loss = np.array([loss_of(value) for value in values])
        data = {
            "parameters": (("evaluation", "parameter"), np.array([self.points[k] for k in chosen])),
            "loss": ("evaluation", loss, {"long_name": "loss"}),
        }
        shape = next((value.shape for value in self.values if value is not None), ())
        if shape:
            residuals = np.array([np.full(shape, np.nan) if value is None else value for value in values])
            data["residuals"] = (("evaluation", "residual"), residuals)
        return xr.Dataset(data, {"parameter": list(self.names)}, self.about)

    def _read(self, path: Path) -> None:
        try:
            kept = xr.load_dataset(path, engine="h5netcdf")
        except (OSError, ValueError, TypeError, LookupError, RuntimeError) as error:
            raise ValueError(f"File {str(path)!r} is no history of a fit, or damaged; take another path.") from error
        for name, value in self.about.items():
            if kept.attrs.get(name) != value:
                raise ValueError(
                    f"File {str(path)!r} is of another fit: its `{name}` is {kept.attrs.get(name)!r}, not {value!r}; "
                    f"take another path."
                )
        residuals = kept["residuals"].to_numpy() if "residuals" in kept else kept["loss"].to_numpy()
        for x, loss, value in zip(kept["parameters"].to_numpy(), kept["loss"].to_numpy(), residuals, strict=True):
            self._index[x.tobytes()] = len(self.points)
            self.points.append(x)
            self.values.append(np.asarray(value) if np.isfinite(loss) else None)


def loss_of(value: Floats | None) -> float:
    """Return the loss itself, the sum of squares of residuals, or infinity where there is no value."""
    if value is None:
        return np.inf
    return float(value @ value) if value.ndim else float(value)
