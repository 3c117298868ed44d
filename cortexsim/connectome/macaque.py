"""Published macaque connectomes, and a single area for a circuit on its own."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cortexsim import datasets
from cortexsim._checks import check_known
from cortexsim.connectome.connectome import Connectome
from cortexsim.connectome.matrices import Array

NAMES = ("macaque29", "macaque30", "macaque40")
"""The connectomes that `load_connectome` knows."""


def load_connectome(name: str = "macaque40") -> Connectome:
    """Return a published connectome.

    "macaque40": 40 areas of the macaque's left hemisphere, in hierarchical order (V1 ... OPRO), by 50 injections of
    retrograde tracer. The counts above and below layer 4 are averaged over the injections into an area (V1: 5, area
    10: 4, V2: 3, V4: 2), sources missing from one injection counted as 0; labelling within the injected area is not
    counted. With n = n_supra + n_infra,

        FLN[target, source] = n[source] / sum of n over all 91 sources,    SLN = n_supra / n   (0 without connection).

    The 40 x 40 block of the areas that were injected is not renormalised: its rows sum to .102 ... .954. Wiring
    distances are kept as published (8B and OPRO: 21.3 mm one way, 22.3 mm the other).

    "macaque29": the 29 areas of Chaudhuri et al. 2015 and Joglekar et al. 2018, in hierarchical order (V1 ... 24c).
    FLN and SLN are the published matrices; the counts behind "macaque40" give others, up to .063 apart in FLN. They
    are not renormalised either: rows sum to .158 ... .956.

    "macaque30": these 29 and LIP, the areas of Mejias and Wang 2022 in the order of their program (V1 ... 24c). FLN,
    SLN and distances among the 29 are those of "macaque29"; the distances of LIP are those of "macaque40".

    Raises
    ------
    ValueError
        If the name is unknown.

    References
    ----------
    Markov et al. 2014, Cereb Cortex 24:17, doi 10.1093/cercor/bhs270.
    Chaudhuri et al. 2015, Neuron 88:419, doi 10.1016/j.neuron.2015.09.008.
    Froudist-Walsh et al. 2021, Neuron 109:3500, doi 10.1016/j.neuron.2021.08.024.
    Mejias and Wang 2022, eLife 11:e72136, doi 10.7554/eLife.72136.
    """
    check_known(name, NAMES, what="connectome", where="load_connectome")
    if name == "macaque40":
        return _macaque40()
    areas = datasets.table("chaudhuri2015/areas")
    connections = [datasets.table("chaudhuri2015/connections")]
    distances = [datasets.table("chaudhuri2015/wiring_distance")]
    if name == "macaque30":
        areas = datasets.table("mejiaswang2022/areas")
        connections.append(datasets.table("mejiaswang2022/lip_connections"))
        further = datasets.table("markov2014/wiring_distance")
        distances.append(further[(further["target"] == "LIP") | (further["source"] == "LIP")])
    order, pairs = areas["area"].tolist(), pd.concat(connections)
    return Connectome(
        _wide(pairs, "fln", order).fillna(0.0).to_numpy(),
        _wide(pairs, "sln", order).fillna(0.0).to_numpy(),
        _complete(pd.concat(distances), order),
        areas=order,
        name=name,
        source=_sources(*connections, *distances),
    )


def single_area(name: str = "area") -> Connectome:
    """Return a connectome of one area without connections, to run a circuit on its own.

    Parameters
    ----------
    name : str
        What the area is called.

    Examples
    --------
    >>> from cortexsim.connectome import single_area
    >>> single_area("V1").areas
    ('V1',)
    """
    return Connectome([[0.0]], [[0.0]], [[0.0]], areas=[name], name="single_area")


def _macaque40() -> Connectome:
    counts = datasets.table("markov2014/tracing_counts")
    distances = datasets.table("markov2014/wiring_distance")
    order = datasets.table("froudistwalsh2021/areas")["area"].tolist()
    fln, sln = (frame.reindex(index=order, columns=order, fill_value=0.0) for frame in fln_and_sln(counts))
    return Connectome(
        fln.to_numpy(),
        sln.to_numpy(),
        _complete(distances, order),
        areas=order,
        name="macaque40",
        source=_sources(counts, distances),
    )


def fln_and_sln(counts: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return FLN and SLN (frames: targets in rows, all sources in columns) from counts of labelled neurons.

    Parameters
    ----------
    counts : DataFrame
        Non-zero counts with the columns case (one injection), target, source, supragranular and infragranular.
    """
    injections = counts.groupby("target")["case"].nunique()
    extrinsic = counts[counts["target"] != counts["source"]]
    layers = ["supragranular", "infragranular"]
    # Mean over injections: zeros are not listed, so the sum is divided by the number of injections.
    neurons = extrinsic.groupby(["target", "source"])[layers].sum().div(injections, axis=0, level="target")
    total = neurons.sum(axis=1)
    fln = total / total.groupby(level="target").transform("sum")
    sln = neurons["supragranular"] / total
    return fln.unstack("source", fill_value=0), sln.unstack("source", fill_value=0)


def _wide(pairs: pd.DataFrame, column: str, order: list[str]) -> pd.DataFrame:
    """Return a column of a table of pairs with targets in rows and sources in columns; NaN where it has no row."""
    return pairs.pivot(index="target", columns="source", values=column).reindex(index=order, columns=order)


def _complete(distances: pd.DataFrame, order: list[str]) -> Array:
    # The tables have no row for an area and itself; a missing pair stays NaN and is refused.
    return _wide(distances, "distance", order).mask(np.eye(len(order), dtype=bool), 0.0).to_numpy()


def _sources(*tables: pd.DataFrame) -> str:
    return "; ".join(dict.fromkeys(f"doi {table.attrs['doi']}; {table.attrs['licence']}" for table in tables))
