"""How a batch job finds a function without pickle: by module or file, and the name in it."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np

from cortexsim import _checks

_SOURCE = "__cortexsim_source__"  # of a module: the text that was run


def find(reference: str, folder: Path) -> Any:
    """Return what "module:name" or "file.py:name" names; a relative file starts from `folder`.

    Raises
    ------
    ValueError
        If the reference has no colon, there is no such module, or it lacks the name.
    FileNotFoundError
        If there is no such file.
    ModuleNotFoundError
        If the module imports one that is missing.
    """
    place, colon, name = reference.rpartition(":")
    if not colon or not place or not name:
        raise ValueError(f"A function must be named as 'file.py:name' or 'module:name', but came as {reference!r}.")
    found: Any = read_module(folder / place) if place.endswith(".py") else _imported(place)
    for part in name.split("."):
        _checks.check_known(part, vars(found), what="name", where=place, listed=f"{place} defines")
        found = getattr(found, part)
    return found


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise ValueError(
            f"No module {error.name!r} is installed or on PYTHONPATH; a file is named with its ending: file.py:name."
        ) from error


def read_module(file: Path) -> ModuleType:
    """Run a Python file, as an import does, and return its module; what lies beside the file can be imported from it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    """
    file = file.resolve()
    if not file.is_file():
        raise FileNotFoundError(f"No file {str(file)!r}; the sweep takes its function from there.")
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    held, source = sys.modules.get(file.stem), file.read_bytes()
    ours = held is None or getattr(held, "__file__", None) == str(file)
    if ours and getattr(held, _SOURCE, None) == source:
        return cast(ModuleType, held)
    name = file.stem if ours else f"sweep_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ValueError(f"{str(file)!r} must be a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    setattr(module, _SOURCE, source)
    # No worker could import it by its name; joblib had a copy of cloudpickle of its own before 1.6
    for pickle in ("cloudpickle", "joblib.externals.cloudpickle"):
        with contextlib.suppress(ImportError):
            importlib.import_module(pickle).register_pickle_by_value(module)
    return module


def read_sweep(file: Path) -> tuple[str, Mapping[str, Any]]:
    """Return the reference to the function, with its file as an absolute path, and the axes that a file describes.

    Parameters
    ----------
    file
        TOML with `function = "file.py:name"` and a table [axes]; or Python that defines `function` and `axes`.

    Raises
    ------
    ValueError
        If the file describes no sweep.
    FileNotFoundError
        If there is no such file.
    """
    if not file.is_file():
        raise FileNotFoundError(f"No file {str(file)!r}.")
    if file.suffix == ".py":
        names = vars(read_module(file))
        if lacking := [name for name in ("function", "axes") if name not in names]:
            raise ValueError(f"{str(file)!r} must define `function` and `axes`, but lacks `{lacking[0]}`.")
        return f"{file.resolve()}:function", names["axes"]
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{str(file)!r} must be TOML or end in .py, but is not TOML: {error}.") from error
    for name in told:
        _checks.check_known(name, ("function", "axes"), what="key", where=str(file))
    if not isinstance(told.get("function"), str) or not isinstance(told.get("axes"), dict):
        raise ValueError(f'{str(file)!r} must have `function = "file.py:name"` and a table [axes].')
    reference = told["function"]
    if reference.rpartition(":")[0].endswith(".py"):
        reference = str(file.resolve().parent / reference)
    return reference, {name: _axis(name, given, file) for name, given in told["axes"].items()}


def _axis(name: str, given: Any, file: Path) -> Any:
    """Return a list as it is, and {start, stop, count} as evenly spaced numbers with both ends."""
    if not isinstance(given, dict):
        return given
    if set(given) != {"start", "stop", "count"}:
        raise ValueError(
            f"Axis {name!r} in {str(file)!r} must be a list or {{ start = 0, stop = 3, count = 20 }}, but is {given}."
        )
    start, stop = (_checks.check_finite(f"{name}.{key}", given[key]) for key in ("start", "stop"))
    return np.linspace(start, stop, _checks.check_count(f"{name}.count", given["count"]))
