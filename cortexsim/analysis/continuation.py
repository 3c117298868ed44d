"""Branches of fixed points along a parameter: bifurcation diagrams and bistability."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from cortexsim import _checks
from cortexsim.analysis.fixed_points import NoFixedPoint, fixed_point
from cortexsim.analysis.linear_system import growth_rate
from cortexsim.analysis.vector_field import Drive, Floats, VectorField
from cortexsim.model import Model

_CORRECTIONS = 8
_DIFFERENCE = 1e-6  # of the parameter's range, for df/dparameter; it sets how fast, not where the corrector converges
_SMALLEST_STEP = 1e-7


def continuation(
    model: Model,
    parameter: str,
    values: tuple[float, float],
    start: xr.DataArray | xr.Dataset | None = None,
    *,
    drive: Drive | None = None,
    step: float = 0.02,
    points: int = 500,
    tolerance: float = 1e-9,
) -> xr.Dataset:
    r"""Follow a branch of fixed points f(x, p) = 0 along a parameter, around its folds, by pseudo-arclength.

    From a point (x, p) with unit tangent t, the next one solves f = 0 and t · ((x, p)_new - (x, p)) = s by Newton's
    method. Lengths are measured with x in units of the largest |x| of each variable at the start (1 for one that is 0
    there), as root mean square over all, and p in units of its range. The step s halves where Newton's method fails
    and grows up to `step` where it converges fast. At a fold the tangent has no component along p; folds are located
    and are points of their own.

    Parameters
    ----------
    model : Model
        Without delays.
    parameter : str
        A numeric parameter of the circuit.
    values : (first, last)
        The branch starts at `first` and ends where p leaves this range, which may be at `first` after a fold.
    start : DataArray (state, area) or result of `simulate`, optional
        Where to look for the first fixed point; by default the resting state (see `fixed_point`).
    drive : dict, optional
        Constant input by (area, input), in the input's unit.
    step : float
        Longest step along the branch; the range of p is 1.
    points : int
        The branch ends after this many.
    tolerance : float
        Largest last correction, relative to the units above.

    Returns
    -------
    Dataset (point)
        Coordinate with the parameter's name: its value. `fixed_point` (point, state, area); `growth_rate`, the largest
        real part of the eigenvalues [1/ms]; `stable`, whether it is negative; `fold`, whether the branch turns there.
        attrs `complete`: 1 where the branch left the range, 0 where `points` ended it.

    Raises
    ------
    NoFixedPoint
        If there is none to start from, or the branch can't be followed by the smallest step.
    TypeError, ValueError
        If an argument does not hold what it must.

    References
    ----------
    Keller 1977, in Applications of Bifurcation Theory (ed. Rabinowitz), Academic Press, pp. 359-384.
    """
    VectorField(model, drive)  # refuses what can't be analysed
    _checks.check_known(
        parameter, model.circuit.parameter_names(), what="parameter", where=type(model.circuit).__name__
    )
    first, last = (_checks.check_finite(f"values[{k}]", v) for k, v in enumerate(values))
    if first == last:
        raise ValueError(f"Argument `values` must span a range of `{parameter}`, but both ends are {first:g}.")
    step = _checks.check_positive("step", step)
    points = _checks.check_count("points", points, least=2)
    tolerance = _checks.check_positive("tolerance", tolerance)

    @functools.lru_cache(maxsize=3)  # a corrector asks for p, and for p a little to either side
    def field_at(p: float) -> VectorField:
        circuit = dataclasses.replace(model.circuit, **{parameter: p})
        return VectorField(dataclasses.replace(model, circuit=circuit), drive)

    origin = field_at(first)
    x = origin.state(fixed_point(origin.model, start, drive=drive))
    size = np.abs(x).max(axis=1)
    unit = np.where(size > 0, size, 1.0)
    branch = _Branch(field_at, first, last, x.shape, np.repeat(unit, x.shape[1]) * np.sqrt(x.size), tolerance)
    u = np.append(x.ravel() / branch.unit, 0.0)
    tangent = branch.tangent(u, np.append(np.zeros(x.size), 1.0))
    found, folds, s, complete = [u], [False], step, False
    while len(found) < points and not complete:
        ahead = branch.advance(u, tangent, s)
        if ahead is None:
            s /= 2
            if s < _SMALLEST_STEP:
                raise NoFixedPoint(
                    f"The branch of `{parameter}` could not be followed beyond {branch.parameter(u):g}; "
                    f"the equation may have a kink or a branch point there."
                )
            continue
        new, corrections = ahead
        turned = branch.tangent(new, tangent)
        if turned[-1] * tangent[-1] < 0:
            found.append(branch.fold(u, tangent, s))
            folds.append(True)
        complete = not 0 <= new[-1] <= 1
        if complete:
            new = branch.end(u, tangent, s, edge=float(new[-1] > 1))
        found.append(new)
        folds.append(False)
        u, tangent = new, turned
        s = min(step, 1.5 * s) if corrections <= 3 else s
    return _labelled(parameter, branch, found, folds, complete)


@dataclass(frozen=True, eq=False)
class _Branch:
    """Fixed points as u = (x / unit, (p - first) / (last - first)), and steps along them."""

    field_at: Callable[[float], VectorField]
    first: float
    last: float
    shape: tuple[int, ...]
    unit: Floats
    tolerance: float

    def parameter(self, u: Floats) -> float:
        return self.first + float(u[-1]) * (self.last - self.first)

    def state(self, u: Floats) -> Floats:
        return (u[:-1] * self.unit).reshape(self.shape)

    def residual(self, u: Floats) -> Floats:
        return self.field_at(self.parameter(u)).local(self.state(u)).residual.ravel()

    def slopes(self, u: Floats) -> tuple[Floats, Floats]:
        """Return f and df/du (state, state and parameter)."""
        field = self.field_at(self.parameter(u))
        local = field.local(self.state(u))
        by_x = field.assemble(local).reshape(self.unit.size, -1) * self.unit
        aside = np.zeros_like(u)
        aside[-1] = _DIFFERENCE
        by_p = (self.residual(u + aside) - self.residual(u - aside)) / (2 * _DIFFERENCE)
        return local.residual.ravel(), np.column_stack([by_x, by_p])

    def tangent(self, u: Floats, along: Floats) -> Floats:
        """Return the unit tangent of the branch that points along another vector."""
        _, slopes = self.slopes(u)
        t = np.linalg.solve(np.vstack([slopes, along]), np.append(np.zeros(self.unit.size), 1.0))
        return np.asarray(t / np.linalg.norm(t))

    def advance(self, u: Floats, tangent: Floats, s: float) -> tuple[Floats, int] | None:
        """Return the point a length `s` ahead and the corrections it took, or None where there is none."""
        return self.correct(u + s * tangent, tangent, float(tangent @ u) + s)

    def correct(self, u: Floats, normal: Floats, height: float) -> tuple[Floats, int] | None:
        """Return the point of the branch on the plane normal · u = height, by Newton's method from `u`."""
        for k in range(1, _CORRECTIONS + 1):
            f, slopes = self.slopes(u)
            if not (np.isfinite(f).all() and np.isfinite(slopes).all()):
                return None
            try:
                change = np.linalg.solve(np.vstack([slopes, normal]), np.append(f, normal @ u - height))
            except np.linalg.LinAlgError:
                return None
            u = u - change
            if np.linalg.norm(change) < self.tolerance:
                return u, k
        return None

    def fold(self, u: Floats, tangent: Floats, s: float) -> Floats:
        """Return the point less than `s` ahead at which the tangent has no component along the parameter."""
        from scipy.optimize import brentq

        def along_parameter(length: float) -> float:
            return float(self.tangent(self.ahead(u, tangent, length), tangent)[-1])

        return self.ahead(u, tangent, brentq(along_parameter, 0.0, s, xtol=1e-9))

    def end(self, u: Floats, tangent: Floats, s: float, edge: float) -> Floats:
        """Return the point on the edge of the range, less than `s` ahead."""
        to_edge = (edge - u[-1]) / tangent[-1] if tangent[-1] else s
        normal = np.append(np.zeros(self.unit.size), 1.0)
        ended = self.correct(u + min(to_edge, s) * tangent, normal, edge)
        if ended is None:
            raise NoFixedPoint(
                f"The branch could not be followed to the edge of its range, {self.first:g} or {self.last:g}."
            )
        return ended[0]

    def ahead(self, u: Floats, tangent: Floats, s: float) -> Floats:
        reached = self.advance(u, tangent, s)
        if reached is None:
            raise NoFixedPoint(f"The branch could not be followed around its fold near {self.parameter(u):g}.")
        return reached[0]


def _labelled(parameter: str, branch: _Branch, found: list[Floats], folds: list[bool], complete: bool) -> xr.Dataset:
    values = np.array([branch.parameter(u) for u in found])
    states = [branch.state(u) for u in found]
    growth = np.array([growth_rate(branch.field_at(p), x) for p, x in zip(values, states, strict=True)])
    field = branch.field_at(branch.first)
    unit, meaning = next(row[2:4] for row in field.model.circuit.parameter_table() if row[0] == parameter)
    return xr.Dataset(
        {
            "fixed_point": xr.concat([field.labelled(x, "fixed point") for x in states], "point"),
            "growth_rate": ("point", growth, {"units": "1/ms", "long_name": "largest real part of the eigenvalues"}),
            "stable": ("point", growth < 0, {"long_name": "no eigenvalue has a positive real part"}),
            "fold": ("point", folds, {"long_name": "the branch turns back along the parameter"}),
        },
        {parameter: ("point", values, {"units": unit, "long_name": meaning})},
        attrs={"complete": int(complete)},
    )
