"""The published macaque connectomes, computed from the counts of labelled neurons."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cortexsim import datasets
from cortexsim._checks import check_known
from cortexsim.connectome.connectome import Connectome

NAMES = ("macaque40",)
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

    Raises
    ------
    ValueError
        If the name is unknown.

    References
    ----------
    Markov et al. 2014, Cereb Cortex 24:17, doi 10.1093/cercor/bhs270.
    Froudist-Walsh et al. 2021, Neuron 109:3500, doi 10.1016/j.neuron.2021.08.024.
    """
    check_known(name, NAMES, what="connectome", where="load_connectome")
    counts = datasets.table("markov2014/tracing_counts")
    lengths = datasets.table("markov2014/wiring_distance")
    order = datasets.table("froudistwalsh2021/areas")["area"].tolist()
    fln, sln = fln_and_sln(counts)
    distance = lengths.pivot(index="target", columns="source", values="distance").reindex(index=order, columns=order)
    # The table has no entry for an area and itself; a missing pair stays NaN and is refused.
    distance = distance.mask(np.eye(len(order), dtype=bool), 0.0)
    return Connectome(
        fln.reindex(index=order, columns=order, fill_value=0.0).to_numpy(),
        sln.reindex(index=order, columns=order, fill_value=0.0).to_numpy(),
        distance.to_numpy(),
        areas=order,
        name=name,
        source=f"doi {counts.attrs['doi']}; {counts.attrs['licence']}",
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
