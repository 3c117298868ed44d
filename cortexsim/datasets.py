"""Published tables under data/: one by name, its digest checked, its units and source in `attrs`."""

from __future__ import annotations

import functools
import hashlib
import io
import re
import tomllib
from pathlib import Path

import pandas as pd

from cortexsim._checks import check_known

_DIGESTS = "digests.sha256"
_SOURCES = "sources.toml"
_HEADER = re.compile(r"(?P<name>\S+)(?: \((?P<unit>.+)\))?")


def names() -> tuple[str, ...]:
    """Return the names of all tables, such as "markov2014/tracing_counts", in code-point order."""
    return tuple(sorted(_digests(_directory())))


def digests(*tables: str) -> dict[str, str]:
    """Return the expected sha256 digest (hexadecimal) of each of the named tables, or of all if none is named.

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    expected = _digests(_directory())
    return {name: expected[_known(name, "datasets.digests")] for name in tables or sorted(expected)}


def digest(*tables: str) -> str:
    """Return one sha256 digest (hexadecimal) for the named tables together, for a result's provenance.

    It is the digest of their lines "digest  name" in code-point order of the names, each line ended by a line feed.

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    lines = "".join(f"{found}  {name}\n" for name, found in sorted(digests(*tables).items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def table(name: str) -> pd.DataFrame:
    """Return the published table `name` as a new frame that the caller may change.

    Columns whose header carries a unit hold numbers; the others hold text (area names such as "1" or "9/46d" stay
    text), or bool where every entry is True or False.

    Parameters
    ----------
    name
        Folder and file without its suffix, e.g. "markov2014/tracing_counts"; `datasets.names()` lists all.

    Returns
    -------
    pandas.DataFrame
        Its `attrs` hold `name`, `units` (dict column -> unit), `species`, `source`, `doi`, `licence` and `digest`
        (sha256).

    Raises
    ------
    ValueError
        If the name is unknown, or the file is not the one whose digest is on record.
    FileNotFoundError
        If the file is missing.
    """
    return _read(_directory(), _known(name, "datasets.table")).copy()


def _known(name: str, where: str) -> str:
    return check_known(name, names(), what="table", where=where, listed="`datasets.names()`")


def _directory() -> Path:
    """Return the data directory: inside the package (wheel), else beside it (checkout)."""
    package = Path(__file__).parent
    candidates = (package / "data", package.parent / "data")
    for candidate in candidates:
        if (candidate / _DIGESTS).is_file():
            return candidate
    raise FileNotFoundError(
        f"The tables of cortexsim are not where they must be: no {_DIGESTS} in {candidates[0]} or {candidates[1]}; "
        "reinstall the package."
    )


@functools.cache
def _digests(directory: Path) -> dict[str, str]:
    """Return name -> digest from the lines "digest  path" that sha256sum writes and checks."""
    lines = (directory / _DIGESTS).read_text(encoding="utf-8").splitlines()
    return {path.removesuffix(".csv"): found for found, path in (line.split(maxsplit=1) for line in lines)}


@functools.cache
def _sources(directory: Path) -> dict[str, dict[str, str]]:
    return tomllib.loads((directory / _SOURCES).read_text(encoding="utf-8"))


@functools.cache
def _read(directory: Path, name: str) -> pd.DataFrame:
    path = directory / f"{name}.csv"
    if not path.is_file():
        raise FileNotFoundError(
            f"The table {name!r} is listed in {_DIGESTS}, but {path} is missing; reinstall cortexsim."
        )
    content = path.read_bytes()
    expected, found = _digests(directory)[name], hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ValueError(
            f"The table {path} is not the published one: expected sha256 {expected}, found {found}. "
            f"Reinstall cortexsim, or, if the change was meant, update {directory / _DIGESTS}."
        )
    frame = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
    units: dict[str, str] = {}
    columns: dict[str, pd.Series] = {}
    for header in frame.columns:
        column, unit = _split(header, path)
        if unit is not None:
            units[column] = unit
            columns[column] = pd.to_numeric(frame[header])
        elif frame[header].isin(("True", "False")).all():
            columns[column] = frame[header] == "True"
        else:
            columns[column] = frame[header]
    result = pd.DataFrame(columns)
    result.attrs.update(_sources(directory)[name.split("/")[0]], name=name, units=units, digest=found)
    return result


def _split(header: str, path: Path) -> tuple[str, str | None]:
    match = _HEADER.fullmatch(header)
    if match is None:
        raise ValueError(f"A header of {path} must read 'name' or 'name (unit)', but is {header!r}.")
    return match["name"], match["unit"]
