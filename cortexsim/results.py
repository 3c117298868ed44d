"""Results and tables on disk: netCDF files that appear whole or not at all, and come back bit by bit."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from cortexsim._checks import suggest

PROVENANCE = (
    "cortexsim_version",
    "circuit",
    "parameters",
    "stimulus",
    "connectome",
    "gradients_digest",
    "dt_ms",
    "duration_ms",
    "every_ms",
    "seed",
    "noise",
    "dtype",
    "first_step",
)
"""The attributes that tell how a result was made; a Dataset that has them all is a result."""


def save(result: xr.Dataset, path: str | os.PathLike[str], *, compression: int = 1) -> None:
    """Write a result, or a table of an analysis or a sweep, as a netCDF file, in one step.

    The file is written beside `path` under another name and renamed when it is complete and on disk. A file that stood
    there before is replaced; after an error, Ctrl-C or a power cut it still stands as it was. Numbers carry checksums,
    so that `load` notices a flipped bit.

    Parameters
    ----------
    result : Dataset
        What `simulate` returned, or a selection of it that kept its attributes; or what a sweep or an analysis did.
    path : path
        Where to, ending in ".nc"; the folder must exist.
    compression : int
        0 (none) to 9. Noisy rates shrink little: in float64, 1 saves about a sixth of the space and writes some 40 MB/s
        on one processor, where 0 writes some 300; more than 1 takes longer and saves hardly more. What is constant or
        mostly zero shrinks tenfold and more.

    Raises
    ------
    TypeError, ValueError
        If `result` is no Dataset, is one of (trial, time, area) that lost its provenance (arithmetic drops attributes),
        or holds a variable or an attribute that a netCDF file would not give back; if `path` ends otherwise, or
        `compression` is none of 0 to 9.
    FileNotFoundError, IsADirectoryError
        If the folder is missing, or `path` is one itself.
    OSError
        If the disk is full or the folder may not be written.

    See Also
    --------
    load : read it back.
    """
    if not isinstance(result, xr.Dataset):
        raise TypeError(
            f"Argument `result` must be a Dataset, but is a {type(result).__name__}; "
            "a DataArray becomes one by `to_dataset(name=...)`."
        )
    if isinstance(compression, bool) or compression not in range(10):
        raise ValueError(f"Argument `compression` must be a whole number from 0 to 9, but is {compression!r}.")
    if lost := _lost_provenance(result):
        raise ValueError(
            f"Argument `result` must carry the attributes that `simulate` gave it, but lacks {lost!r}; take them over "
            f"by `assign_attrs(original.attrs)`, or compute with `xarray.set_options(keep_attrs=True)`."
        )
    _check_attrs("the Dataset", result.attrs)
    for name, variable in result.variables.items():
        _check_values(str(name), variable)
        _check_attrs(f"{name!r}", variable.attrs)
    target = check_writable(path, (".nc",))
    level = int(compression)
    packed = {"zlib": level > 0, "complevel": level, "shuffle": level > 0, "fletcher32": True}
    # Texts are of variable length, which HDF5 cannot filter; nor what has no dimension.
    encoding = {k: packed for k, v in result.data_vars.items() if v.dtype.kind in "biuf" and v.ndim > 0}
    with replacing(target) as part:
        result.drop_encoding().to_netcdf(part, engine="h5netcdf", encoding=encoding)


def load(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read what `save` wrote, fully into memory; the file is closed on return.

    Parameters
    ----------
    path : path
        The netCDF file.

    Returns
    -------
    Dataset
        Equal to what was saved: values bit by bit, dtypes, order of areas, attributes.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no file of that name.
    ValueError
        If the file is damaged or cut short, is not netCDF, or holds rates (trial, time, area) without the provenance of
        a result.

    See Also
    --------
    save : write one.
    """
    source = Path(path)
    if source.is_dir():
        raise IsADirectoryError(f"Argument `path` must be a file, but {str(source)!r} is a folder.")
    if not source.exists():
        beside = [p.name for p in source.parent.glob("*.nc")] if source.parent.is_dir() else []
        raise FileNotFoundError(f"No file {str(source)!r}{suggest(source.name, beside)}")
    with source.open("rb"):  # may it be read at all? What fails from here on is the content
        pass
    try:
        result = xr.load_dataset(source, engine="h5netcdf", decode_times=False)
    except (OSError, ValueError, TypeError, LookupError, RuntimeError, AttributeError) as error:
        raise ValueError(
            f"File {str(source)!r} is damaged, cut short or not netCDF; copy it again or simulate anew. ({error})"
        ) from error
    if lost := _lost_provenance(result):
        raise ValueError(
            f"File {str(source)!r} must hold a result of `simulate`, but lacks the attribute {lost!r}; "
            f"`xarray.open_dataset` reads other netCDF files."
        )
    result.attrs = {k: v.item() if isinstance(v, np.generic) else v for k, v in result.attrs.items()}
    return result.drop_encoding()


def _lost_provenance(dataset: xr.Dataset) -> str | None:
    """Return the first attribute that rates over (trial, time, area) should have and lack; tables need none."""
    if not any(set(values.dims) == {"trial", "time", "area"} for values in dataset.data_vars.values()):
        return None
    return next((name for name in PROVENANCE if name not in dataset.attrs), None)


def _check_values(name: str, variable: xr.Variable) -> None:
    """Raise TypeError unless a file gives the values back as they are: missing texts and times would change."""
    kind = variable.dtype.kind
    if kind in "Mm" or (kind == "O" and not all(isinstance(value, str) for value in variable.values.flat)):
        raise TypeError(
            f"Variable {name!r} must hold numbers, truth values or texts, but has dtype {variable.dtype}; "
            "write times as numbers with a unit, and missing texts as ''."
        )


def _check_attrs(owner: str, attrs: Mapping[Any, Any]) -> None:
    """Raise TypeError at attributes that netCDF has no type for, or returns as another, as a list of one number."""
    for name, value in attrs.items():
        if isinstance(value, bool | np.bool_) or not isinstance(value, str | int | float | np.number):
            raise TypeError(
                f"Attribute {name!r} of {owner} must be a text or a number, but is {value!r}; "
                "write it as JSON: json.dumps(...)."
            )


def check_writable(path: str | os.PathLike[str], suffixes: Sequence[str]) -> Path:
    """Return the path, with links followed, if a file with one of the suffixes can stand there.

    Raises
    ------
    ValueError
        If the path ends otherwise.
    FileNotFoundError, IsADirectoryError
        If its folder is missing, or it is a folder itself.
    """
    target = Path(path).resolve()
    if target.is_dir():
        raise IsADirectoryError(f"Argument `path` must be a file, but {str(path)!r} is a folder; name a file in it.")
    if target.suffix not in suffixes:
        raise ValueError(
            f"Argument `path` must end in {' or '.join(suffixes)}, but is {str(path)!r}; "
            f"take {str(Path(path).with_suffix(suffixes[0]))!r}."
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(Path(path).parent)!r} for {target.name!r}; make it first.")
    return target


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to; it becomes `path` in one step, or goes if anything is raised."""
    part = path.with_name(f".{uuid.uuid4().hex}.part{path.suffix}")
    try:
        yield part
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
