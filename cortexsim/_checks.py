"""The wording of errors: what must hold, what came, and the way out."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable, Sequence

import numpy as np
import xarray as xr


def suggest(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'V1'?" for the nearest of `known`, or "." where none is near."""
    by_fold = {str(k).casefold(): str(k) for k in known}
    wanted = str(name).casefold()

    def likeness(other: str) -> float:
        # A wrong letter is likelier than a missing one: 'A1' means 'V1' rather than '1'.
        return difflib.SequenceMatcher(None, wanted, other).ratio() - 0.2 * (len(other) != len(wanted))

    near = max(difflib.get_close_matches(wanted, by_fold, n=10, cutoff=0.5), key=likeness, default=None)
    return "." if near is None else f"; did you mean {by_fold[near]!r}?"


def check_known(name: str, known: Collection[str], *, what: str, where: str, listed: str = "") -> str:
    """Return `name` if it is among `known`.

    Parameters
    ----------
    name, known
        What came, and what is allowed.
    what, where
        Kind of thing ("area", "input") and the object that named it ("Pulse").
    listed
        Where a user finds all allowed names; by default they are written out.

    Raises
    ------
    ValueError
        If the name is unknown; the message names the nearest known one.
    """
    if name in known:
        return name
    tail = f" {listed} lists them." if listed else f" Known: {', '.join(map(str, known))}."
    raise ValueError(f"Unknown {what} {name!r} in {where}{suggest(name, known)}{tail}")


def check_finite(name: str, value: float, unit: str = "") -> float:
    """Return `value` as a float if it is a finite number, else raise ValueError or TypeError."""
    number = _number(name, value)
    if not math.isfinite(number):
        raise ValueError(f"Argument `{name}` must be finite, but is {_with_unit(value, unit)}.")
    return number


def check_positive(name: str, value: float, unit: str = "") -> float:
    """Return `value` as a float if it is finite and above zero, else raise ValueError or TypeError."""
    number = check_finite(name, value, unit)
    if number <= 0:
        raise ValueError(f"Argument `{name}` must be positive, but is {_with_unit(value, unit)}.")
    return number


def check_not_negative(name: str, value: float, unit: str = "") -> float:
    """Return `value` as a float if it is finite and at least zero, else raise ValueError or TypeError."""
    number = check_finite(name, value, unit)
    if number < 0:
        raise ValueError(f"Argument `{name}` must not be negative, but is {_with_unit(value, unit)}.")
    return number


def check_fraction(name: str, value: float) -> float:
    """Return `value` as a float if it lies between 0 and 1, both included, else raise ValueError or TypeError."""
    number = check_finite(name, value)
    if not 0 <= number <= 1:
        raise ValueError(f"Argument `{name}` must lie between 0 and 1, but is {value}.")
    return number


def check_count(name: str, value: int, *, least: int = 1) -> int:
    """Return `value` as an int if it is a whole number of at least `least`, else raise ValueError or TypeError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"Argument `{name}` must be a whole number, but is {value!r} ({type(value).__name__}).")
    if value < least:
        raise ValueError(f"Argument `{name}` must be at least {least}, but is {value}.")
    return int(value)


def check_unique(labels: Sequence[str], *, what: str, where: str) -> tuple[str, ...]:
    """Return `labels` as a tuple of str if no label stands twice, else raise ValueError naming the first that does."""
    seen: set[str] = set()
    for label in map(str, labels):
        if label in seen:
            raise ValueError(f"Each {what} in {where} must stand once, but {label!r} stands twice or more.")
        seen.add(label)
    return tuple(map(str, labels))


def check_same_condition(values: xr.Dataset | xr.DataArray, *, otherwise: str = "") -> None:
    """Raise ValueError if a parameter, a coordinate along `trial`, differs between trials, so that no mean is due.

    The message says to pick one, or to take `otherwise` where there is another way.
    """
    for name, coordinate in values.coords.items():
        found = np.unique(coordinate.values)
        if name != "trial" and coordinate.dims == ("trial",) and found.size > 1:
            picked = repr(str(found[0])) if isinstance(found[0], str) else found[0]
            raise ValueError(
                f"Trials must be of one condition to be averaged, but `{name}` takes the values "
                f"{', '.join(map(str, found))}; pick one: result.isel(trial=result.{name} == {picked})"
                f"{'; or take ' if otherwise else ''}{otherwise}."
            )


def whole_steps(name: str, value: float, dt: float) -> int:
    """Return value / dt if it is whole to 1e-6 of a step and not 0, else raise ValueError with the nearest times."""
    steps = round(value / dt)
    if steps < 1 or abs(value / dt - steps) > 1e-6:
        low = math.floor(value / dt)
        near = " or ".join(f"{k * dt:g}" for k in (low, low + 1) if k > 0)
        raise ValueError(
            f"Argument `{name}` must be a whole multiple of dt = {dt:g} ms, but is {value:g} ms; take {near} ms."
        )
    return steps


def _number(name: str, value: float) -> float:
    if isinstance(value, bool | str | bytes) or np.ndim(value) != 0 or not hasattr(value, "__float__"):
        raise TypeError(f"Argument `{name}` must be a number, but is {value!r} ({type(value).__name__}).")
    return float(value)


def _with_unit(value: object, unit: str) -> str:
    return f"{value} {unit}" if unit and unit != "1" else f"{value}"
