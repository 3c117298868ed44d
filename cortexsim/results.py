"""Results on disk: netCDF files that appear whole or not at all, and come back bit by bit."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

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


def save(result: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Write a result as a compressed netCDF file, in one step.

    The file is written beside `path` under another name and renamed when it is complete and on disk. A file that stood
    there before is replaced; after an error, Ctrl-C or a power cut it still stands as it was.

    Parameters
    ----------
    result : Dataset (trial, time, area)
        What `simulate` returned, or a selection of it that kept its attributes.
    path : path
        Where to, ending in ".nc"; the folder must exist.

    Raises
    ------
    TypeError, ValueError
        If `result` is no Dataset, has lost its provenance (arithmetic drops attributes), or holds an attribute that
        netCDF has no type for; if `path` ends otherwise.
    FileNotFoundError, IsADirectoryError
        If the folder is missing, or `path` is one itself.
    OSError
        If the disk is full or the folder may not be written.

    See Also
    --------
    load : read it back.
    """
    if not isinstance(result, xr.Dataset):
        raise TypeError(f"Argument `result` must be a Dataset from `simulate`, but is a {type(result).__name__}.")
    if lost := [name for name in PROVENANCE if name not in result.attrs]:
        raise ValueError(
            f"Argument `result` must carry the attributes that `simulate` gave it, but lacks {lost[0]!r}; "
            f"compute with `xarray.set_options(keep_attrs=True)`, or write other data by `to_netcdf`."
        )
    for name, value in result.attrs.items():
        if isinstance(value, bool | np.bool_) or not isinstance(value, str | int | float | np.number):
            raise TypeError(
                f"Attribute {name!r} of the result must be a text or a number, but is {value!r}; write it as JSON."
            )
    target = check_writable(path, (".nc",))
    packed = {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True}  # fletcher32: a flipped bit is noticed
    encoding = {name: packed for name, values in result.data_vars.items() if values.ndim > 0}
    with replacing(target) as part:
        result.drop_encoding().to_netcdf(part, engine="h5netcdf", encoding=encoding)


def load(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a result that `save` wrote, fully into memory; the file is closed on return.

    Parameters
    ----------
    path : path
        The netCDF file.

    Returns
    -------
    Dataset (trial, time, area)
        Equal to what was saved: values bit by bit, dtypes, order of areas, attributes.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If there is no file of that name.
    ValueError
        If the file is damaged or cut short, is not netCDF, or is netCDF without the provenance of a result.

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
    if missing := [name for name in PROVENANCE if name not in result.attrs]:
        raise ValueError(
            f"File {str(source)!r} must hold a result of `simulate`, but lacks the attribute {missing[0]!r}; "
            f"`xarray.open_dataset` reads other netCDF files."
        )
    result.attrs = {k: v.item() if isinstance(v, np.generic) else v for k, v in result.attrs.items()}
    return result.drop_encoding()


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
