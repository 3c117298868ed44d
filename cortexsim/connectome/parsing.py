"""Files of matrices: their bytes, within limits and without pickle, to labels and numbers."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim._checks import check_known, check_unique
from cortexsim.connectome.matrices import Array

ORIENTATIONS = ("target_source", "source_target")
"""What (rows, columns) of a matrix may be."""

LARGEST = 512 * 2**20
"""Most bytes that one file or zip entry may hold, unpacked: text for 5000 areas."""


def oriented(matrix: Array, orientation: str | None, path: Path) -> Array:
    """Return a (rows, columns) matrix as (target, source)."""
    if orientation is None:
        raise ValueError(
            f"{path} does not say which way its connections run; give orientation='target_source' (rows receive) or "
            "'source_target' (rows send)."
        )
    check_known(orientation, ORIENTATIONS, what="orientation", where=str(path))
    return matrix if orientation == "target_source" else matrix.T


def read_bytes(path: Path) -> bytes:
    """Return what is in a file of at most `LARGEST` bytes."""
    with path.open("rb") as file:
        return _within_limit(file, str(path))


def _within_limit(file: IO[bytes], what: str) -> bytes:
    content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"{what} holds more than {LARGEST // 2**20} MiB, the most that is read.")
    return content


def _decoded(content: bytes, what: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{what} is not UTF-8 text: {error}.") from error


def parse_number(cell: str, where: str) -> float:
    """Return a cell as a float, or raise ValueError saying where it stands."""
    try:
        return float(cell)
    except ValueError:
        raise ValueError(f"{where}: {cell!r} is not a number.") from None


Lines = list[tuple[int, list[str]]]


def read_lines(path: Path, delimiter: str) -> Lines:
    """Return (line number, cells) for each line of a CSV file that is not blank."""
    text = _decoded(read_bytes(path), str(path))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(cells)]
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}.") from error
    if len(lines) < 2:
        raise ValueError(f"{path} must have a header and at least one more line, but has {len(lines)} in all.")
    for number, cells in lines:
        if len(cells) != len(lines[0][1]):
            raise ValueError(
                f"{path}, line {number} has {len(cells)} cells, but the header has {len(lines[0][1])} "
                f"(cells are parted by {delimiter!r})."
            )
    return lines


def parse_matrix(path: Path, lines: Lines) -> tuple[tuple[str, ...], Array]:
    """Return the areas of the rows, and the (rows, columns) matrix with its columns in the same order."""
    columns = check_unique(lines[0][1][1:], what="area", where=f"the header of {path}")
    rows = check_unique([cells[0] for _, cells in lines[1:]], what="area", where=f"the first column of {path}")
    for area in rows:
        check_known(area, columns, what="area", where=f"the first column of {path}", listed="The header")
    if len(rows) != len(columns):
        lacking = next(area for area in columns if area not in rows)
        raise ValueError(f"{path} must be square, but {lacking!r} of its header has no line of its own.")
    matrix = np.array(
        [
            [
                parse_number(cell, f"{path}, line {number}, column {column!r}")
                for column, cell in zip(columns, cells, strict=True)
            ]
            for number, (_, *cells) in lines[1:]
        ]
    )
    position = {area: i for i, area in enumerate(columns)}
    return rows, matrix[:, [position[area] for area in rows]]


def parse_list(path: Path, lines: Lines) -> tuple[tuple[str, ...], dict[str, Array]]:
    """Return areas in order of appearance, targets first, and the (target, source) matrices."""
    header = [cell.lower() for cell in lines[0][1]]
    known = ("target", "source", "fln", "sln", "distance")
    for column in check_unique(header, what="column", where=str(path)):
        check_known(column, known, what="column", where=str(path))
    if "fln" not in header:
        raise ValueError(f"{path} must have the column 'fln', but has {header}.")
    at = {column: header.index(column) for column in header}
    targets = [cells[at["target"]] for _, cells in lines[1:]]
    areas = tuple(dict.fromkeys([*targets, *(cells[at["source"]] for _, cells in lines[1:])]))
    position = {area: i for i, area in enumerate(areas)}
    matrices = {column: np.zeros((len(areas), len(areas))) for column in header if column in known[2:]}
    seen = np.eye(len(areas), dtype=bool)
    for number, cells in lines[1:]:
        target, source = cells[at["target"]], cells[at["source"]]
        pair = position[target], position[source]
        if seen[pair] and target != source:
            raise ValueError(f"{path}, line {number}: the connection {target} <- {source} stands twice.")
        seen[pair] = True
        for column, matrix in matrices.items():
            matrix[pair] = parse_number(cells[at[column]], f"{path}, line {number}, column {column!r}")
    if "distance" in matrices and not seen.all():
        t, s = np.argwhere(~seen)[0]
        raise ValueError(f"{path} has distances, but none for {areas[t]} <- {areas[s]}; list every pair of areas.")
    return areas, matrices


def read_matrix(path: Path, orientation: str | None, delimiter: str) -> xr.DataArray:
    """Return a matrix file as (target, source), labelled."""
    own, matrix = parse_matrix(path, read_lines(path, delimiter))
    coords = {"target": list(own), "source": list(own)}
    return xr.DataArray(oriented(matrix, orientation, path), coords=coords, dims=("target", "source"))


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an NPZ file, none of them pickled."""
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if entry.file_size > LARGEST:
                    raise ValueError(f"entry {entry.filename!r} holds more than {LARGEST // 2**20} MiB")
        with np.load(path, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}
    except (zipfile.BadZipFile, ValueError, EOFError, MemoryError) as error:
        raise ValueError(f"{path} can't be read as NPZ (pickled objects are refused): {error}.") from error


_UNPACK: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {
    ".txt": lambda file: file,
    ".bz2": lambda file: cast(IO[bytes], bz2.BZ2File(file)),
    ".gz": lambda file: cast(IO[bytes], gzip.GzipFile(fileobj=file)),
}


def read_entry(path: Path, archive: zipfile.ZipFile, *stems: str) -> str | None:
    """Return the text of the entry STEM.txt, STEM.txt.bz2 or STEM.txt.gz of a zip, or None if there is none."""
    wanted = {f"{stem}.txt{packed}" for stem in stems for packed in ("", ".bz2", ".gz")}
    found = [entry for entry in archive.namelist() if Path(entry).name in wanted]
    if len(found) > 1:
        raise ValueError(f"{path} must have one entry {stems[0]}.txt, but has {found}.")
    for entry in found:
        what = f"{path}, {entry}"
        try:
            with archive.open(entry) as packed, _UNPACK[Path(entry).suffix](packed) as file:
                return _decoded(_within_limit(file, what), what)
        except (OSError, EOFError, zipfile.BadZipFile, RuntimeError) as error:
            raise ValueError(f"{what} can't be unpacked: {error}.") from error
    return None


def split_fields(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields between white space) for each line that is neither blank nor a # comment."""
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.partition("#")[0].split()
        if fields:
            yield number, fields
