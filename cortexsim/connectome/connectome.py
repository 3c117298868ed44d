"""Connectome: which area projects to which, how strongly, from which layers and over what distance."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from cortexsim._checks import check_count, check_known, check_positive, check_unique
from cortexsim.connectome import null_models
from cortexsim.connectome.matrices import (
    AXES,
    Array,
    Positions,
    column,
    each,
    endpoints,
    entries,
    labelled,
    lists,
    looked_up,
    names_of,
    normalised,
    positions,
    refuse,
)

if TYPE_CHECKING:
    import networkx as nx

LARGEST_TABLE = 5000
"""Areas up to which a listed connectome gives FLN, SLN and distance as tables."""


# Fields that are made from `matrix` when they are first asked for.
_FLN: Any = cached_property(lambda connectome: connectome._table("fln"))
_SLN: Any = cached_property(lambda connectome: connectome._table("sln"))
_DISTANCE: Any = cached_property(lambda connectome: connectome._table("distance"))


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Connectome:
    """Directed, weighted and layered connections between cortical areas.

    FLN[target, source] is the fraction of the labelled neurons of an injection into `target` that lie in `source`;
    SLN[target, source] is the fraction of those that lie above layer 4 (near 1: feedforward, near 0: feedback).
    Rows receive, columns send. The arrays are read-only; every method returns a new connectome. Two connectomes are
    equal, and hash alike, if their areas (in order) and all numbers are equal; `name`, `source` and `notes` only
    describe.

    A connectome made by `from_connections` is listed: it holds numbers for its connections alone, so that its memory
    goes with their number, not with that of pairs of areas. `matrix` gives them; `fln`, `sln` and `distance` are then
    tables made on demand, up to 5000 areas. It differs from the connectome of the same tables, which knows the
    distance of every pair.

    Parameters
    ----------
    fln, sln : DataArray (target, source), or array of shape (n_areas, n_areas) together with `areas`
        Fractions; FLN at least 0 with a diagonal of 0, SLN in 0 ... 1. DataArrays are joined by their labels. SLN is
        kept where a connection exists (FLN > 0) and set to 0 elsewhere, as there are no neurons to take it of.
    distance : as `fln`, optional
        Wiring distance in mm for every pair of areas; diagonal 0.
    areas : sequence of str, optional
        The areas in order. Without it the order is that of `target` in `fln`.
    name, source : str
        What it is called, and where it comes from (DOI and licence, or a file).
    notes : sequence of str
        What was done to it since.

    Raises
    ------
    ValueError
        If a matrix is not square, holds NaN, an infinite or a negative number, an SLN above 1 or a non-zero diagonal,
        or if labels are double, unknown or missing; the message names the entry.
    TypeError
        If an array holds no real numbers, or is a DataFrame, which can't tell target from source.

    References
    ----------
    Markov et al. 2014, Cereb Cortex 24:17, doi 10.1093/cercor/bhs270.
    """

    areas: tuple[str, ...]
    name: str
    source: str
    notes: tuple[str, ...]
    _matrices: dict[str, Any] = field(init=False)
    fln: xr.DataArray = _FLN
    sln: xr.DataArray = _SLN
    distance: xr.DataArray | None = _DISTANCE

    def __init__(
        self,
        fln: xr.DataArray | ArrayLike,
        sln: xr.DataArray | ArrayLike,
        distance: xr.DataArray | ArrayLike | None = None,
        *,
        areas: Sequence[str] | None = None,
        name: str = "",
        source: str = "",
        notes: Sequence[str] = (),
    ) -> None:
        if areas is None:
            if not isinstance(fln, xr.DataArray) or "target" not in fln.coords:
                raise ValueError(
                    "FLN must be a DataArray with the labelled dimensions target and source, or come with `areas`."
                )
            areas = fln["target"].values.tolist()
        areas = check_unique(names_of(areas, "areas"), what="area", where="the connectome")
        if not areas:
            raise ValueError("A connectome must have at least one area, but `areas` is empty.")
        strengths = entries("FLN", fln, areas)
        refuse("FLN", strengths, np.diag(np.diag(strengths) != 0), areas, "an area has no connection to itself")
        fractions = entries("SLN", sln, areas)
        refuse("SLN", fractions, fractions > 1, areas, "an SLN is a fraction, 0 ... 1")
        fractions = np.where(strengths > 0, fractions, 0.0)
        lengths = None
        if distance is not None:
            lengths = entries("distance", distance, areas)
            refuse("distance", lengths, np.diag(np.diag(lengths) != 0), areas, "an area lies 0 mm from itself")
        matrices = {"fln": strengths, "sln": fractions} | ({} if lengths is None else {"distance": lengths})
        self._hold(matrices, areas, name, source, notes)

    @classmethod
    def from_connections(
        cls,
        areas: Sequence[str],
        targets: ArrayLike,
        sources: ArrayLike,
        fln: ArrayLike,
        sln: ArrayLike,
        distance: ArrayLike | None = None,
        *,
        name: str = "",
        source: str = "",
        notes: Sequence[str] = (),
    ) -> Connectome:
        """Return a listed connectome: for networks of thousands of areas, most of them not connected.

        Parameters
        ----------
        areas : sequence of str
            The areas in order.
        targets, sources : array (connection)
            The areas that each connection runs to and from: labels, or positions in `areas`. Any order.
        fln, sln : array (connection)
            As for `Connectome`; a connection with an FLN of 0 is left out.
        distance : array (connection), optional
            In mm.
        name, source, notes
            As for `Connectome`.

        Raises
        ------
        ValueError
            If a connection stands twice or joins an area to itself, an area is unknown, the arrays differ in length,
            or a number is negative, not finite, or an SLN above 1.
        TypeError
            If an array holds no real numbers.
        """
        areas = check_unique(names_of(areas, "areas"), what="area", where="the connectome")
        if not areas:
            raise ValueError("A connectome must have at least one area, but `areas` is empty.")
        target, sender = positions("targets", targets, areas), positions("sources", sources, areas)
        if target.shape != sender.shape:
            raise ValueError(f"`targets` and `sources` must agree in length, but have {len(target)} and {len(sender)}.")
        given = {"FLN": fln, "SLN": sln} | ({} if distance is None else {"distance": distance})
        pairs = target, sender
        columns = {key: column(key, values, areas, pairs) for key, values in given.items()}
        refuse("FLN", columns["FLN"], target == sender, areas, "an area has no connection to itself", pairs)
        refuse("SLN", columns["SLN"], columns["SLN"] > 1, areas, "an SLN is a fraction, 0 ... 1", pairs)
        keys = target * len(areas) + sender
        order = np.argsort(keys, kind="stable")
        twice = np.flatnonzero(np.diff(keys[order]) == 0)
        if len(twice):
            t, s = divmod(int(keys[order[twice[0]]]), len(areas))
            raise ValueError(f"Each connection must stand once, but {areas[t]} <- {areas[s]} stands twice or more.")
        order = order[columns["FLN"][order] > 0]
        sorted_columns = {key.lower(): values[order] for key, values in columns.items()}
        made = object.__new__(cls)
        made._hold(lists(len(areas), target[order], sender[order], sorted_columns), areas, name, source, notes)
        return made

    def _hold(
        self, matrices: dict[str, Any], areas: tuple[str, ...], name: str, source: str, notes: Sequence[str]
    ) -> None:
        for matrix in matrices.values():
            if isinstance(matrix, np.ndarray):
                matrix.flags.writeable = False
        fields = {"areas": areas, "name": str(name), "source": str(source), "notes": names_of(notes, "notes")}
        for key, value in {**fields, "_matrices": matrices}.items():
            object.__setattr__(self, key, value)

    def matrix(self, name: str) -> Any:
        """Return the numbers without labels, read-only: the form for work on large networks.

        Parameters
        ----------
        name : {"fln", "sln", "distance"}

        Returns
        -------
        ndarray (target, source), or for a listed connectome scipy.sparse.csr_array
            The lists of one connectome have the same entries, one for each connection, an SLN of 0 among them.
            None if no distances are known.

        Raises
        ------
        ValueError
            If the name is unknown.
        """
        return self._matrices.get(check_known(name, ("fln", "sln", "distance"), what="matrix", where="matrix"))

    def _table(self, name: str) -> xr.DataArray | None:
        matrix = self.matrix(name)
        if matrix is None:
            return None
        if not self.listed:
            return labelled(name, matrix, self.areas)
        if self.n_areas > LARGEST_TABLE:
            raise MemoryError(
                f"A table of `{name}` must have at most {LARGEST_TABLE} areas, but this one would have {self.n_areas} "
                f"x {self.n_areas} entries ({self.n_areas**2 * 8 / 2**30:.1f} GiB); connectome.matrix({name!r}) gives "
                f"the list of its {self.n_connections} connections."
            )
        values = np.full(matrix.shape, np.nan if name == "distance" else 0.0)
        np.fill_diagonal(values, 0.0)
        values[endpoints(matrix)] = matrix.data
        return labelled(name, values, self.areas)

    @property
    def listed(self) -> bool:
        """Whether the connectome holds lists of its connections rather than tables of all pairs."""
        return not isinstance(self._matrices["fln"], np.ndarray)

    @property
    def n_areas(self) -> int:
        """Number of areas."""
        return len(self.areas)

    @property
    def n_connections(self) -> int:
        """Number of connections, that is of entries with FLN > 0."""
        fln = self.matrix("fln")
        return int(fln.nnz if self.listed else np.count_nonzero(fln))

    @property
    def density(self) -> float:
        """Fraction of the n (n - 1) possible connections that exist; 0 for a single area."""
        return self.n_connections / max(self.n_areas * (self.n_areas - 1), 1)

    @cached_property
    def digest(self) -> str:
        """The sha256 (hexadecimal) of areas, FLN, SLN and distance; the same in every process and on every machine."""
        kind = ["listed"] if self.listed else []
        digest = hashlib.sha256(json.dumps([self.areas, list(self._matrices), *kind]).encode())
        if self.listed:
            for place in endpoints(self.matrix("fln")):
                digest.update(np.ascontiguousarray(place, dtype="<i8").data)
        for matrix in self._matrices.values():
            digest.update(np.ascontiguousarray(_numbers(matrix), dtype="<f8").data)
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        """Return whether areas and all numbers are equal."""
        return self.digest == other.digest if isinstance(other, Connectome) else NotImplemented

    def __hash__(self) -> int:
        """Return a hash of areas and numbers."""
        return hash(self.digest)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle through the constructor, as a pickled array would come back writable."""
        described: dict[str, Any] = {"name": self.name, "source": self.source, "notes": self.notes}
        if self.listed:
            columns = (matrix.data for matrix in self._matrices.values())
            rebuild = partial(Connectome.from_connections, self.areas, **described)
            return rebuild, (*endpoints(self.matrix("fln")), *columns)
        return partial(Connectome, areas=self.areas, **described), tuple(self._matrices.values())

    def __repr__(self) -> str:
        """Return name, size, density and digest in one line."""
        return (
            f"<Connectome {self.name or 'without a name'}: {self.n_areas} areas, {self.n_connections} connections "
            f"({self.density:.1%}), digest {self.digest[:12]}>"
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(key)}</th>"
            f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
            for key, text in self._facts()
        )
        return f"<table><caption>Connectome {html.escape(self.name)}</caption>{rows}</table>"

    def summary(self) -> str:
        """Return areas, connections, ranges, source, notes and digest as lines of text."""
        facts = "\n".join(f"  {key:<12} {text}" for key, text in self._facts())
        return f"Connectome {self.name}".rstrip() + "\n" + facts

    def _facts(self) -> list[tuple[str, str]]:
        listed = self.areas if self.n_areas <= 12 else (*self.areas[:8], "...", *self.areas[-3:])
        facts = [
            ("areas", f"{self.n_areas}: {', '.join(listed)}"),
            (
                "connections",
                f"{self.n_connections} of {self.n_areas * (self.n_areas - 1)} ({self.density:.1%})",
            ),
        ]
        fln, sln, distance = (self.matrix(name) for name in ("fln", "sln", "distance"))
        exists: Any = slice(None) if self.listed else fln > 0
        apart: Any = slice(None) if self.listed else ~np.eye(self.n_areas, dtype=bool)
        if self.n_connections:
            sums = fln.sum(axis=1)
            fractions = _numbers(sln)[exists]
            facts += [
                ("FLN", f"{_span(_numbers(fln)[exists])}; sum over the sources {_span(sums)}"),
                ("SLN", f"{_span(fractions)}; mean {fractions.mean():.3g}"),
            ]
        if distance is not None and (lengths := _numbers(distance)[apart]).size:
            facts.append(("distance", f"{_span(lengths)} mm"))
        facts += [("source", self.source)] * bool(self.source)
        facts += [("note", note) for note in self.notes]
        return [*facts, ("digest", self.digest)]

    def select(self, areas: Sequence[str]) -> Connectome:
        """Return the connections among some areas, in the order given.

        FLN is not renormalised: the sum over the sources falls by what the areas left out had sent.

        Raises
        ------
        ValueError
            If an area is unknown or stands twice.
        """
        chosen = check_unique(self._known(areas, "select"), what="area", where="select")
        if not chosen:
            raise ValueError("Argument `areas` of select must name at least one area, but is empty.")
        note = f"select: {len(chosen)} of {self.n_areas} areas"
        if self.listed:
            position = {area: i for i, area in enumerate(self.areas)}
            place = np.full(self.n_areas, -1)
            place[[position[area] for area in chosen]] = np.arange(len(chosen))
            target, source = (place[k] for k in endpoints(self.matrix("fln")))
            kept = (target >= 0) & (source >= 0)
            return self._relisted(note, kept, target[kept], source[kept], areas=chosen)
        cut = {"target": list(chosen), "source": list(chosen)}
        return self._changed(
            note,
            fln=self.fln.sel(cut),
            sln=self.sln.sel(cut),
            distance=None if self.distance is None else self.distance.sel(cut),
            areas=chosen,
        )

    def lesion(self, areas: Sequence[str] = (), *, connections: Iterable[tuple[str, str]] = ()) -> Connectome:
        """Return the connectome without the connections of some areas, and without some connections.

        A lesioned area stays in its place without any input or output. FLN and SLN of what is cut become 0; the other
        entries and all distances (in a listed connectome, those of what is left) stay as they are, so lesion before
        `normalise` to share out what is left, after it to leave the rest unchanged.

        Parameters
        ----------
        areas : sequence of str
            Areas to cut off.
        connections : iterable of (target, source)
            Single connections to cut.

        Raises
        ------
        ValueError
            If nothing is named, an area is unknown, or a connection does not exist.
        """
        lesioned, cuts = self._known(areas, "lesion"), [tuple(pair) for pair in connections]
        if not lesioned and not cuts:
            raise ValueError("lesion must be given `areas` or `connections` to cut, but got neither.")
        fln, position = self.matrix("fln"), {area: i for i, area in enumerate(self.areas)}
        for pair in cuts:
            if len(pair) != 2:
                raise ValueError(f"Each of `connections` must be a pair (target, source), but one is {pair!r}.")
            self._known(pair, "lesion")
        index = [position[area] for area in lesioned]
        ends = np.array([[position[area] for area in pair] for pair in cuts], dtype=np.int64).reshape(-1, 2).T
        for (target, source), strength in zip(cuts, looked_up(fln, *ends).tolist(), strict=True):
            if not strength > 0:
                raise ValueError(f"There is no connection {target} <- {source} to lesion; pairs are (target, source).")
        to, of = endpoints(fln)
        kept = ~(
            np.isin(to, index) | np.isin(of, index) | np.isin(to * self.n_areas + of, ends[0] * self.n_areas + ends[1])
        )
        note = f"lesion: {', '.join([*lesioned, *(f'{target} <- {source}' for target, source in cuts)])}"
        if self.listed:
            return self._relisted(note, kept, to[kept], of[kept])
        return self._changed(note, fln=self.fln * kept)

    def normalise(self, how: str = "target", *, exponent: float = 1.0) -> Connectome:
        """Return the connectome with compressed and normalised FLN.

        W[t, s] = FLN[t, s]**exponent / sum_s' FLN[t, s']**exponent (how="target"). SLN and distance stay.

        Parameters
        ----------
        how : {"target", "source", "maximum", "none"}
            What becomes 1: the sum over each target's inputs (rows), the sum over each source's outputs (columns),
            the strongest connection; or nothing, for the exponent alone. An area without any input (or output, or a
            connectome without connections) keeps its zeros.
        exponent : float
            Above 0; below 1 it compresses the range, e.g. .3 in Froudist-Walsh et al. 2021.

        Raises
        ------
        ValueError
            If `how` is unknown or `exponent` is not positive.
        """
        check_known(how, tuple(AXES), what="normalisation", where="normalise")
        power = check_positive("exponent", exponent)
        shared = normalised(each(lambda fln: fln**power, self.matrix("fln")), how)
        note = f"normalise: {how}, exponent {exponent:g}"
        if self.listed:
            return self._relisted(note, slice(None), *endpoints(shared), fln=shared.data)
        return self._changed(note, fln=labelled("fln", shared, self.areas))

    def shuffle(self, model: str, seed: int) -> Connectome:
        """Return a random connectome by a null model; FLN and SLN of a connection stay together, distances stay.

        Parameters
        ----------
        model : {"weights", "connections", "degree"}
            - "weights": the pairs (FLN, SLN) are permuted over the existing connections. Kept: which areas are
              connected, all values. Lost: which connection is strong, the sums over sources.
            - "connections": the pairs are permuted over all off-diagonal entries. Kept: density, all values. Lost:
              all else.
            - "degree": the directed graph is rewired at random so that each area keeps its number of inputs and of
              outputs, and each target its values, which are dealt out anew to its sources. Kept: degrees, the values
              and sum of each row. Lost: which areas are connected.
        seed : int
            At least 0; the same seed gives the same connectome.

        Raises
        ------
        ValueError
            If the model is unknown, or is not "weights" and the connectome is listed: the distances of new connections
            are not known, and the models need whole tables.
        """
        check_known(model, tuple(null_models.MODELS), what="null model", where="shuffle")
        rng = np.random.default_rng(check_count("seed", seed, least=0))
        note = f"shuffle: {model}, seed {seed}"
        fln, sln = self.matrix("fln"), self.matrix("sln")
        if self.listed:
            if model != "weights":
                raise ValueError(
                    f"The null model {model!r} must have tables, but this connectome of {self.n_areas} areas is "
                    f"listed; take the model 'weights', or, up to {LARGEST_TABLE} areas and without distances, shuffle "
                    f"Connectome(connectome.fln, connectome.sln)."
                )
            fln_data, sln_data = null_models.permute_weights(fln.data, sln.data, rng)
            return self._relisted(note, slice(None), *endpoints(fln), fln=fln_data, sln=sln_data)
        fln, sln = null_models.MODELS[model](fln, sln, rng)
        return self._changed(
            note,
            fln=labelled("fln", fln, self.areas),
            sln=labelled("sln", sln, self.areas),
        )

    def to_networkx(self) -> nx.DiGraph:
        """Return the directed graph with an edge source -> target for every connection.

        Nodes stand in the order of the areas. Edges hold `fln`, `sln` and, if known, `distance` (mm). The graph holds
        `name`, `source`, `notes` and the whole `distance` (DataArray, or None), so that `from_networkx` gives back
        an equal connectome. The graph of a listed connectome has no `distance` beside those of its edges.
        """
        import networkx as nx

        whole = None if self.listed else self.distance
        graph = nx.DiGraph(name=self.name, source=self.source, notes=self.notes, distance=whole)
        graph.add_nodes_from(self.areas)
        fln = self.matrix("fln")
        target, sender = endpoints(fln) if self.listed else np.nonzero(fln)
        columns = [looked_up(matrix, target, sender).tolist() for matrix in self._matrices.values()]
        for t, s, *numbers in zip(target.tolist(), sender.tolist(), *columns, strict=True):
            graph.add_edge(self.areas[s], self.areas[t], **dict(zip(self._matrices, numbers, strict=True)))
        return graph

    @classmethod
    def from_networkx(
        cls, graph: nx.DiGraph, *, fln: str = "fln", sln: str | float = "sln", distance: str | None = "distance"
    ) -> Connectome:
        """Return the connectome of a directed graph whose edges run from source to target.

        Parameters
        ----------
        graph : networkx.DiGraph
            Its nodes are the areas, in their order.
        fln, distance : str
            Names of the edge attributes; distances in mm. A matrix `graph.graph["distance"]`, as `to_networkx` leaves
            there, serves for pairs without an edge. `distance=None` leaves distances out.
        sln : str or float
            Name of the edge attribute, or one SLN for all connections.

        Raises
        ------
        TypeError
            If the graph is undirected or has parallel edges.
        ValueError
            If an edge lacks an attribute, or distances are known for some pairs only.
        """
        if not graph.is_directed() or graph.is_multigraph():
            raise TypeError(
                f"A connectome's graph must be a networkx.DiGraph, but is {type(graph).__name__}; for connections "
                "that run both ways, take graph.to_directed()."
            )
        areas = tuple(map(str, graph.nodes))
        position = {node: i for i, node in enumerate(graph.nodes)}
        strengths, fractions = np.zeros((2, len(areas), len(areas)))
        lengths, measured = _known_distances(graph, areas, distance)
        for s, t, edge in graph.edges(data=True):
            at = position[t], position[s]
            strengths[at] = _attribute(edge, fln, s, t)
            fractions[at] = _attribute(edge, sln, s, t) if isinstance(sln, str) else sln
            if distance is not None and distance in edge:
                lengths[at], measured[at] = _attribute(edge, distance, s, t), True
        given = measured.any()
        if given:
            missing = ~measured & ~np.eye(len(areas), dtype=bool)
            if missing.any():
                t, s = np.argwhere(missing)[0]
                raise ValueError(
                    f"The graph has no distance {areas[t]} <- {areas[s]} ({missing.sum()} pairs have none); set "
                    'graph.graph["distance"] to the whole matrix, or leave distances out by distance=None.'
                )
        return cls(
            strengths,
            fractions,
            lengths if given else None,
            areas=areas,
            name=graph.graph.get("name", ""),
            source=graph.graph.get("source", ""),
            notes=graph.graph.get("notes", ()),
        )

    def _known(self, areas: Sequence[str], where: str) -> tuple[str, ...]:
        held = dict.fromkeys(self.areas)
        return tuple(
            check_known(area, held, what="area", where=where, listed="`connectome.areas`")
            for area in names_of(areas, "areas")
        )

    def _changed(self, note: str, **fields: Any) -> Connectome:
        return replace(self, notes=(*self.notes, note), **fields)

    def _relisted(
        self,
        note: str,
        kept: NDArray[np.bool_] | slice,
        target: Positions,
        source: Positions,
        *,
        areas: tuple[str, ...] | None = None,
        **columns: Array,
    ) -> Connectome:
        """Return the connections `kept`, at new places and with new `columns` where given."""
        held = {name: columns.get(name, matrix.data)[kept] for name, matrix in self._matrices.items()}
        return Connectome.from_connections(
            self.areas if areas is None else areas,
            target,
            source,
            **held,
            name=self.name,
            source=self.source,
            notes=(*self.notes, note),
        )


def _numbers(matrix: Any) -> Array:
    """Return the numbers of a table, or of a list's entries."""
    return np.asarray(matrix if isinstance(matrix, np.ndarray) else matrix.data)


def _span(values: Array) -> str:
    return f"{values.min():.3g} ... {values.max():.3g}"


def _attribute(edge: Mapping[str, Any], key: str, source: Any, target: Any) -> float:
    """Return the number `key` of an edge."""
    if key not in edge:
        raise ValueError(f"The edge {source!r} -> {target!r} of the graph has no {key!r}, only {sorted(edge)}.")
    if isinstance(edge[key], str) or not np.isreal(edge[key]):
        raise TypeError(f"The {key!r} of the edge {source!r} -> {target!r} must be a number, but is {edge[key]!r}.")
    return float(edge[key])


def _known_distances(
    graph: nx.DiGraph, areas: tuple[str, ...], distance: str | None
) -> tuple[Array, NDArray[np.bool_]]:
    """Return the graph's matrix of distances for `areas`, and where it is known."""
    n = len(areas)
    matrix = graph.graph.get("distance") if distance is not None else None
    if matrix is None:
        return np.zeros((n, n)), np.zeros((n, n), dtype=bool)
    if isinstance(matrix, xr.DataArray):
        held = matrix["target"].values.tolist()
        for area in areas:
            check_known(area, held, what="area", where="the graph", listed='graph.graph["distance"]')
        matrix = matrix.sel(target=list(areas), source=list(areas))
    return entries("distance", matrix, areas), np.ones((n, n), dtype=bool)
