"""A user's own matrices: read and written as CSV, NPZ or GraphML, read from a zip of The Virtual Brain."""

from __future__ import annotations

import csv
import io
import json
import os
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import xarray as xr

from cortexsim._checks import check_finite, check_known
from cortexsim.connectome.connectome import Connectome
from cortexsim.connectome.matrices import Array
from cortexsim.connectome.parsing import (
    oriented,
    parse_list,
    parse_matrix,
    parse_number,
    read_arrays,
    read_bytes,
    read_entry,
    read_lines,
    read_matrix,
    split_fields,
)
from cortexsim.connectome.synthetic import sln_from_hierarchy

PathLike = str | os.PathLike[str]

UNITS = {"um": 1e-3, "mm": 1.0, "cm": 10.0, "m": 1000.0}
"""Units of distance that a reader takes, in mm."""


def read_connectome(path: PathLike, **options: Any) -> Connectome:
    """Return the connectome in a file, by its suffix: .csv, .npz, .graphml or .zip (The Virtual Brain).

    The options are those of `from_csv`, `from_npz`, `from_graphml` and `from_tvb_zip`. The `notes` of the result say
    which orientation, unit, normalisation and SLN were taken.

    Raises
    ------
    ValueError
        If the suffix is unknown, or what is in the file is not a connectome; the message names file and entry.
    """
    suffix = Path(path).suffix.lower()
    check_known(suffix, tuple(_READERS), what="kind of file", where=f"read_connectome({str(path)!r})")
    return _READERS[suffix](path, **options)


def from_csv(
    path: PathLike,
    *,
    orientation: str | None = None,
    sln: float | xr.DataArray | PathLike | None = None,
    distance: PathLike | None = None,
    distance_unit: str = "mm",
    normalisation: str | None = None,
    drop_diagonal: bool = False,
    delimiter: str = ",",
    name: str | None = None,
) -> Connectome:
    """Return the connectome in a CSV file, which is of one of two kinds.

    A *matrix*: the first line holds the areas of the columns (after one corner cell), each further line an area and
    its FLN. A *list*: the header names the columns target, source, fln and perhaps sln and distance; pairs that are
    not listed have no connection.

    Parameters
    ----------
    path : path
        The file.
    orientation : {"target_source", "source_target"}
        What the (rows, columns) of a matrix are, also of the files for SLN and distance; must be given where there is
        a matrix, and left out where there is none.
    sln : float, DataArray or path
        Where SLN comes from if the file has none: one value for all connections (.5: half of each projection starts
        above layer 4), a DataArray (target, source), a matrix file, or a hierarchy, DataArray (area), of which
        `sln_from_hierarchy` makes the expected SLN.
    distance : path
        Matrix file of distances.
    distance_unit : {"mm", "um", "cm", "m"}
        Unit of the distances in the files; the connectome has mm.
    normalisation : {"target", "source", "maximum"}
        As `Connectome.normalise`; by default the numbers are taken as they are.
    drop_diagonal : bool
        Drop labelling within an area; otherwise a diagonal that is not 0 raises.
    delimiter : str
        One character.
    name : str
        What to call it, by default the file's name.

    Raises
    ------
    ValueError
        If a line or entry is no number, a label is double or unknown, a choice that the file leaves open is not
        made, or one is made against the file.
    """
    path = Path(path)
    lines = read_lines(path, delimiter)
    listed = {"target", "source"} <= {cell.strip().lower() for cell in lines[0][1]}
    if listed:
        if orientation is not None and distance is None and not isinstance(sln, str | os.PathLike):
            raise ValueError(f"{path} names target and source itself; leave `orientation` out.")
        areas, pairs = parse_list(path, lines)
        matrices: dict[str, Array | xr.DataArray] = {**pairs}
        took = "columns target and source"
    else:
        areas, matrix = parse_matrix(path, lines)
        matrices = {"fln": oriented(matrix, orientation, path)}
        took = f"orientation {orientation}"
    if distance is not None:
        if "distance" in matrices:
            raise ValueError(f"{path} has distances itself; leave `distance` out.")
        matrices["distance"] = read_matrix(Path(distance), orientation, delimiter)
    if isinstance(sln, str | os.PathLike):
        sln = read_matrix(Path(sln), orientation, delimiter)
    return _built(path, areas, matrices, took, sln, distance_unit, normalisation, drop_diagonal, name)


def from_npz(
    path: PathLike,
    *,
    orientation: str | None = None,
    sln: float | xr.DataArray | None = None,
    distance_unit: str = "mm",
    normalisation: str | None = None,
    drop_diagonal: bool = False,
    name: str | None = None,
) -> Connectome:
    """Return the connectome in an NPZ file with the arrays fln and areas, and perhaps sln and distance.

    A file by `write_connectome` also holds orientation, name, source and notes, and needs no options. For the options
    see `from_csv`. Pickled objects are refused.

    Raises
    ------
    ValueError
        If an array is missing or pickled, or a choice that the file leaves open is not made.
    """
    path = Path(path)
    arrays = read_arrays(path)
    for key in ("fln", "areas"):
        if key not in arrays:
            raise ValueError(f"{path} must hold the arrays 'fln' and 'areas', but holds {sorted(arrays)}.")
    if "orientation" in arrays:
        own = str(arrays["orientation"])
        if orientation not in (None, own):
            raise ValueError(f"{path} says that its orientation is {own!r}; leave `orientation` out.")
        orientation = own
    areas = tuple(map(str, np.atleast_1d(arrays["areas"])))
    matrices: dict[str, Array | xr.DataArray] = {
        key: oriented(arrays[key], orientation, path) for key in ("fln", "sln", "distance") if key in arrays
    }
    took = f"orientation {orientation}"
    return _built(path, areas, matrices, took, sln, distance_unit, normalisation, drop_diagonal, name, arrays)


def from_graphml(
    path: PathLike,
    *,
    fln: str = "fln",
    sln: str | float = "sln",
    distance: str | None = "distance",
    distance_unit: str = "mm",
    normalisation: str | None = None,
    name: str | None = None,
) -> Connectome:
    """Return the connectome in a GraphML file, whose edges run from source to target.

    For `fln`, `sln` and `distance` (names of edge attributes) see `Connectome.from_networkx`, for the rest `from_csv`.

    Raises
    ------
    ValueError
        If the file is no GraphML, or an edge lacks an attribute.
    TypeError
        If the graph is undirected or has parallel edges.
    """
    from xml.etree.ElementTree import ParseError

    import networkx as nx

    path = Path(path)
    content = read_bytes(path)
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise ValueError(f"{path} declares a document type; GraphML needs none, and none is read.")
    try:
        graph = nx.read_graphml(io.BytesIO(content))
        for key in ("distance", "notes"):
            if key in graph.graph:
                graph.graph[key] = json.loads(graph.graph[key])
    except (ParseError, nx.NetworkXError, ValueError, KeyError) as error:
        raise ValueError(f"{path} is not a GraphML file: {error}.") from error
    check_known(distance_unit, tuple(UNITS), what="unit of distance", where=str(path))
    took = "edges run from source to target"
    with _naming(path):
        connectome = Connectome.from_networkx(graph, fln=fln, sln=sln, distance=distance)
        if connectome.distance is not None:
            took += f", distances in {distance_unit}"
            connectome = replace(connectome, distance=connectome.distance * UNITS[distance_unit])
        if not isinstance(sln, str):
            took += f", SLN {sln:g} assumed for all connections"
        return _described(connectome, path, took, normalisation, name, graph.graph)


def from_tvb_zip(
    path: PathLike,
    *,
    sln: float | xr.DataArray | None = None,
    orientation: str = "target_source",
    distance_unit: str = "mm",
    normalisation: str | None = None,
    drop_diagonal: bool = False,
    name: str | None = None,
) -> Connectome:
    """Return the connectome in a connectivity zip of The Virtual Brain (TVB).

    It holds weights.txt, centres.txt (a label and x, y, z per line) and perhaps tract_lengths.txt, each plain or
    packed as .bz2 or .gz; other entries are left alone. TVB's coupling sums weights[i, j] x_j into node i, so rows
    are targets; data sets made with another convention need `orientation="source_target"`. Weights stand in for FLN;
    TVB has no SLN, so `sln` must be given. Without tract_lengths.txt there are no distances. For the options see
    `from_csv`.

    Raises
    ------
    ValueError
        If an entry is missing, malformed or too large; the message names entry and line.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {
                "weights": read_entry(path, archive, "weights"),
                "centres": read_entry(path, archive, "centres", "centers"),
                "tract_lengths": read_entry(path, archive, "tract_lengths"),
            }
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is not a zip file: {error}.") from error
    for stem in ("weights", "centres"):
        if entries[stem] is None:
            raise ValueError(f"{path} has no entry {stem}.txt (nor .txt.bz2, .txt.gz).")
    areas = tuple(fields[0].strip("\"'") for _, fields in split_fields(entries["centres"] or ""))
    matrices: dict[str, Array | xr.DataArray] = {}
    for stem, key in (("weights", "fln"), ("tract_lengths", "distance")):
        text = entries[stem]
        if text is not None:
            rows = [
                [parse_number(cell, f"{path}, {stem}.txt, line {line}, column {j}") for j, cell in enumerate(fields, 1)]
                for line, fields in split_fields(text)
            ]
            for i, row in enumerate(rows, 1):
                if len(row) != len(areas) or len(rows) != len(areas):
                    raise ValueError(
                        f"{path}, {stem}.txt must be {len(areas)} x {len(areas)}, as centres.txt has {len(areas)} "
                        f"areas, but has {len(rows)} rows and in row {i} {len(row)} columns."
                    )
            matrices[key] = oriented(np.array(rows), orientation, path)
    took = f"TVB weights, orientation {orientation}"
    return _built(path, areas, matrices, took, sln, distance_unit, normalisation, drop_diagonal, name)


def write_connectome(connectome: Connectome, path: PathLike) -> None:
    """Write a connectome as .csv (a list of pairs), .npz or .graphml, whole or not at all.

    `read_connectome(path)` gives back an equal connectome; name, source and notes travel in .npz and .graphml.

    Raises
    ------
    ValueError
        If the suffix is unknown.
    OSError
        If the folder is missing or may not be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    check_known(suffix, tuple(_WRITERS), what="kind of file", where=f"write_connectome({str(path)!r})")
    if connectome.listed:
        raise ValueError(
            f"A connectome file must hold the distance of every pair, but this one of {connectome.n_areas} areas is "
            f"listed; store connectome.matrix(...) by scipy.sparse.save_npz, or pickle it."
        )
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with beside.open("xb") as file:
            _WRITERS[suffix](connectome, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _write_csv(connectome: Connectome, file: IO[bytes]) -> None:
    matrices = [m.values.tolist() for m in (connectome.fln, connectome.sln, connectome.distance) if m is not None]
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["target", "source", "fln", "sln", "distance"][: 2 + len(matrices)])
    # Every pair is listed: distances are known for all, and an area without connections keeps its place.
    for t, target in enumerate(connectome.areas):
        for s, source in enumerate(connectome.areas):
            if s != t or connectome.n_areas == 1:
                writer.writerow([target, source, *(matrix[t][s] for matrix in matrices)])
    text.detach()


def _write_npz(connectome: Connectome, file: IO[bytes]) -> None:
    arrays = {
        "fln": connectome.fln.values,
        "sln": connectome.sln.values,
        "areas": np.array(connectome.areas),
        "orientation": np.array("target_source"),
        "name": np.array(connectome.name),
        "source": np.array(connectome.source),
        "notes": np.array(connectome.notes, dtype=np.str_),
    }
    if connectome.distance is not None:
        arrays["distance"] = connectome.distance.values
    np.savez_compressed(file, allow_pickle=False, **arrays)


def _write_graphml(connectome: Connectome, file: IO[bytes]) -> None:
    import networkx as nx

    graph = connectome.to_networkx()
    graph.graph["notes"] = json.dumps(connectome.notes)
    graph.graph.pop("distance")
    if connectome.distance is not None:
        graph.graph["distance"] = json.dumps(connectome.distance.values.tolist())
    nx.write_graphml(graph, file)


def _built(
    path: Path,
    areas: tuple[str, ...],
    matrices: Mapping[str, Array | xr.DataArray],
    took: str,
    sln: float | xr.DataArray | None,
    distance_unit: str,
    normalisation: str | None,
    drop_diagonal: bool,
    name: str | None,
    held: Mapping[str, Any] | None = None,
) -> Connectome:
    """Return the connectome of (target, source) matrices fln, perhaps sln, perhaps distance."""
    check_known(distance_unit, tuple(UNITS), what="unit of distance", where=str(path))
    fln, distance = np.asarray(matrices["fln"]), matrices.get("distance")
    if fln.ndim != 2 or fln.dtype.kind not in "biuf":
        raise ValueError(f"FLN of {path} must be a matrix of numbers, but is {fln.dtype} of shape {fln.shape}.")
    if distance is not None:
        took += f", distances in {distance_unit}"
        distance = distance * UNITS[distance_unit]
    if drop_diagonal:
        took += f", {np.count_nonzero(np.diagonal(fln))} entries on the diagonal dropped"
        fln = fln.copy()
        np.fill_diagonal(fln, 0)
    layers: Array | xr.DataArray
    if "sln" in matrices:
        if sln is not None:
            raise ValueError(f"{path} has SLN itself; leave `sln` out.")
        layers = matrices["sln"]
    elif sln is None:
        raise ValueError(
            f"{path} has no SLN; say where it comes from: sln=0.5 (one value for all connections), a DataArray "
            "(target, source), or a hierarchy, DataArray (area)."
        )
    elif isinstance(sln, xr.DataArray):
        hierarchical = "area" in sln.dims
        took += ", SLN expected from a hierarchy" if hierarchical else ", SLN given beside the file"
        layers = sln_from_hierarchy(sln) if hierarchical else sln
    else:
        took += f", SLN {check_finite('sln', sln):g} assumed for all connections"
        layers = np.where(fln > 0, float(sln), 0.0)
    with _naming(path):
        connectome = Connectome(fln, layers, distance, areas=areas)
        return _described(connectome, path, took, normalisation, name, held or {})


def _described(
    connectome: Connectome,
    path: Path,
    took: str,
    normalisation: str | None,
    name: str | None,
    held: Mapping[str, Any],
) -> Connectome:
    """Return the connectome, named, normalised as asked, with a note on what the reader took."""
    described = replace(
        connectome,
        name=str(held.get("name", path.stem)) if name is None else name,
        source=str(held.get("source", path)),
        notes=(*map(str, held.get("notes", ())), f"read from {path.name}: {took}, FLN as it stands there"),
    )
    return described if normalisation is None else described.normalise(normalisation)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file's name before what is wrong with its numbers."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise type(error)(f"{path}: {error}") from error


_READERS: dict[str, Callable[..., Connectome]] = {
    ".csv": from_csv,
    ".npz": from_npz,
    ".graphml": from_graphml,
    ".zip": from_tvb_zip,
}

_WRITERS: dict[str, Callable[[Connectome, IO[bytes]], None]] = {
    ".csv": _write_csv,
    ".npz": _write_npz,
    ".graphml": _write_graphml,
}
