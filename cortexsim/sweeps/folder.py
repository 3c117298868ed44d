"""A sweep on disk: a manifest that says what is computed, and a file for each chunk of points."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from cortexsim import _checks
from cortexsim.results import replacing
from cortexsim.sweeps.axes import Axes, check_axes
from cortexsim.sweeps.block import Block, Failure

_FORMAT = 1
_MANIFEST = "manifest.json"
_AN_HOUR = 3600.0  # s; no file takes as long to be written
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same content makes the same bytes


class DamagedChunk(ValueError):
    """A chunk's file that is cut short, altered, or of another sweep."""


@dataclass(frozen=True)
class Manifest:
    """What a sweep computes.

    Parameters
    ----------
    version
        Of cortexsim.
    code
        Digest of each thing that the points depend on: the function, or model, stimulus, measure and settings.
    axes
        The axes.
    axis_attrs
        Units and long names of the axes.
    chunk
        Points per chunk.
    function
        "module:name" or "file.py:name", from where a batch job takes the function; "" where the sweep was begun
        without one. A file is told relative to the folder of the sweep.
    """

    version: str
    code: dict[str, str]
    axes: Axes
    axis_attrs: dict[str, dict[str, str]]
    chunk: int
    function: str = ""

    @property
    def digest(self) -> str:
        """The sha256 of version, code and axes, which the chunks carry."""
        content = [self.version, self.code, self.axes.names, self.axes.values]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return -(-self.axes.size // self.chunk)

    def points(self, number: int) -> range:
        """Return the points of a chunk."""
        return range(number * self.chunk, min((number + 1) * self.chunk, self.axes.size))

    def to_json(self) -> str:
        """Return the manifest as text."""
        axes = dict(zip(self.axes.names, self.axes.values, strict=True))
        told = {"format": _FORMAT, "digest": self.digest, "points": self.axes.size, "chunks": self.chunks}
        return json.dumps(told | asdict(self) | {"axes": axes}, indent=1) + "\n"


@dataclass(frozen=True)
class Folder:
    """The folder of a sweep."""

    path: Path
    manifest: Manifest

    def file(self, number: int) -> Path:
        """Return the file that a chunk has when it is done."""
        return self.path / f"chunk-{number:05d}.npz"

    def read(self, number: int) -> Block | None:
        """Return a chunk, or None if it is not done.

        Raises
        ------
        DamagedChunk
            If the file is cut short or altered, or belongs to another sweep.
        """
        file = self.file(number)
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                header = json.loads(bytes(arrays["header"]))
                if header["sweep"] != self.manifest.digest:
                    raise DamagedChunk(f"{str(file)!r} belongs to another sweep.")
                block = _unpacked(header, arrays)
        except FileNotFoundError:
            return None
        except DamagedChunk:
            raise
        except (EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise DamagedChunk(f"{str(file)!r} is cut short or damaged ({error}).") from error
        if sorted([*block.points, *(f.point for f in block.failures)]) != list(self.manifest.points(number)):
            raise DamagedChunk(f"{str(file)!r} does not hold the points of its chunk.")
        return block

    def write(self, number: int, block: Block) -> None:
        """Write a chunk, which appears whole or not at all; the same points make the same bytes."""
        header, arrays = _packed(block)
        told = {"sweep": self.manifest.digest, **header}
        arrays["header"] = np.frombuffer(json.dumps(told).encode(), dtype=np.uint8)
        with replacing(self.file(number)) as part, zipfile.ZipFile(part, "w") as archive:
            for name, values in arrays.items():
                buffer = io.BytesIO()
                np.lib.format.write_array(buffer, values, allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), buffer.getvalue())


def open_folder(path: str | os.PathLike[str], manifest: Manifest, *, chunk: int | None) -> Folder:
    """Return the folder of the sweep, made where it is missing.

    Parameters
    ----------
    path
        The folder.
    manifest
        What is to be computed.
    chunk
        Points per chunk that the user asks for; None: those of the sweep that is in the folder, if one is.

    Raises
    ------
    ValueError
        If the folder holds another sweep, or one of other chunks; the message says what differs.
    FileNotFoundError, NotADirectoryError
        If the parent folder is missing, or `path` is a file.
    """
    folder = Path(path).resolve()
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"Argument `folder` must name a folder, but {str(path)!r} is a file.")
    if not folder.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(folder.parent)!r} to make {folder.name!r} in; make it first.")
    folder.mkdir(exist_ok=True)
    file = folder / _MANIFEST
    if not file.exists():
        _create(file, manifest.to_json())
    held = read_folder(folder).manifest
    differences = list(_differences(held, manifest))
    if differences:
        raise ValueError(
            f"Folder {str(path)!r} holds another sweep: {'; '.join(differences)}. Take another folder for this one, or "
            "delete that one if nobody needs it, or put back what it was begun with to resume it."
        )
    if chunk is not None and chunk != held.chunk:
        raise ValueError(
            f"Folder {str(path)!r} holds this sweep in chunks of {held.chunk} points, but `chunk` is {chunk}; leave "
            "`chunk` out to resume it, or take another folder."
        )
    if manifest.function and manifest.function != held.function:
        held = replace(held, function=manifest.function)
        with replacing(file) as part:
            part.write_text(held.to_json(), encoding="utf-8")
    for left in folder.glob(".*.part*"):  # of processes that were killed
        if time.time() - left.stat().st_mtime > _AN_HOUR:
            left.unlink(missing_ok=True)
    return Folder(folder, held)


def read_folder(path: str | os.PathLike[str]) -> Folder:
    """Return the sweep of a folder, named by itself or by its manifest.

    Raises
    ------
    FileNotFoundError
        If there is no manifest.
    ValueError
        If the manifest is damaged, was edited, or comes from a newer version.
    """
    given = Path(path).resolve()
    file = given / _MANIFEST if given.is_dir() else given
    if not file.exists():
        raise FileNotFoundError(
            f"No manifest of a sweep at {str(path)!r}; name the folder of a sweep, which `cortexsim sweep prepare` or "
            "sweep(..., folder=...) makes."
        )
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        if told["format"] != _FORMAT:
            raise ValueError(f"has format {told['format']}, and this version of cortexsim reads {_FORMAT}")
        manifest = Manifest(
            told["version"], told["code"], check_axes(told["axes"]), told["axis_attrs"],
            _checks.check_count("chunk", told["chunk"]), told["function"],
        )  # fmt: skip
        if manifest.digest != told["digest"]:
            raise ValueError("was edited after it was written")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{str(file)!r} is no manifest of a sweep that can be used: it {error}.") from error
    return Folder(file.parent, manifest)


def _create(file: Path, text: str) -> None:
    """Write the manifest unless another process just did: the first one counts."""
    part = file.with_name(f".{os.getpid()}-{time.time_ns()}.part.json")
    try:
        part.write_text(text, encoding="utf-8")
        os.link(part, file)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _differences(held: Manifest, new: Manifest) -> Sequence[str]:
    found = []
    if held.version != new.version:
        found.append(f"it was begun with cortexsim {held.version}, and this is {new.version}")
    for name in sorted({*held.code, *new.code}):
        if held.code.get(name) != new.code.get(name):
            found.append(f"`{name}` has changed")
    if held.axes.names != new.axes.names:
        found.append(f"its axes are {', '.join(held.axes.names)}, not {', '.join(new.axes.names)}")
    else:
        for name, old, values in zip(held.axes.names, held.axes.values, new.axes.values, strict=True):
            if list(old) != list(values) or list(map(type, old)) != list(map(type, values)):
                found.append(f"its axis {name!r} has {_told(old)}, not {_told(values)}")
    return found


def _told(values: Sequence[Any]) -> str:
    if len(values) <= 3:
        return ", ".join(map(repr, values))
    return f"{len(values)} values {values[0]!r}, {values[1]!r} ... {values[-1]!r}"


def _packed(block: Block) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """Return a block as a header for JSON and arrays."""
    header: dict[str, Any] = {
        "points": list(block.points),
        "attrs": block.attrs,
        "failures": [asdict(f) for f in block.failures],
    }
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    kinds: tuple[tuple[str, Mapping[str, xr.Variable]], ...] = (
        ("variables", block.variables),
        ("coordinates", block.coordinates),
    )
    for kind, held in kinds:
        header[kind] = [[name, list(v.dims), dict(v.attrs)] for name, v in held.items()]
        arrays |= {f"{kind}-{k}": np.asarray(v.values) for k, v in enumerate(held.values())}
    return header, arrays


def _unpacked(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]) -> Block:
    def held(kind: str) -> dict[str, xr.Variable]:
        told = enumerate(header[kind])
        return {name: xr.Variable(dims, arrays[f"{kind}-{k}"], attrs) for k, (name, dims, attrs) in told}

    failures = tuple(Failure(**f) for f in header["failures"])
    return Block(tuple(header["points"]), held("variables"), held("coordinates"), header["attrs"], failures)
