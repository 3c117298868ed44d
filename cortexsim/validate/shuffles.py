"""Whether a model agrees with experiments because of where its connections, receptors and spines are."""

from __future__ import annotations

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import xarray as xr

from cortexsim._checks import check_count, check_known
from cortexsim.analysis.outcomes import proportion
from cortexsim.connectome import null_models
from cortexsim.model import Model
from cortexsim.protocols import working_memory
from cortexsim.simulate import simulate
from cortexsim.stimulus import Schedule
from cortexsim.validate.intervals import mean_interval
from cortexsim.validate.persistence import persistence_by_trial

_BATCH = 64  # runs that are held at once


def shuffles(
    model: Model,
    what: str,
    number: int = 100,
    *,
    task: Schedule | None = None,
    variable: str | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Hold a model to experiments with one of its properties shuffled, many times over.

    p = share of the shuffles whose chi-squared is at least that of the model. A shuffle without any persistence (or
    with persistence in all areas) has no chi-squared and counts as 0, as it does not predict the experiments.

    Parameters
    ----------
    model : Model
        With `delay_activity_reported` and `delay_activity_well_studied` in its gradients.
    what : str
        A null model of `Connectome.shuffle` ("connections": the pairs of FLN and SLN permuted over all pairs of areas;
        "weights"; "degree"), or a map that the circuit reads ("d1", "spine_count"), which is permuted over the areas
        of the model.
    number : int
        How many shuffles, at least 2; shuffle k has the seed `seed` + k, whatever their number.
    task : Schedule
        By default `working_memory()`: a cue to E1 of V1.
    variable : str
        Rate to judge, see `persistence`.
    seed : int
        At least 0.

    Returns
    -------
    xarray.Dataset
        Over `shuffle` (the seed of each): `chi_squared`, `accuracy` (share of the well-studied areas that agree),
        `n_persistent` (areas); besides, of the model as it is, `observed_chi_squared`, `observed_accuracy` and
        `observed_n_persistent`; and `p_value` and `mean_accuracy` with `p_value_interval` and `mean_accuracy_interval`
        over `end` ("low", "high"), at 95 % confidence. Runs are without noise.

    Raises
    ------
    ValueError, TypeError
        If there is nothing of that name to shuffle, or an argument is out of range.

    References
    ----------
    Froudist-Walsh et al. 2021, Neuron 109:3500, doi 10.1016/j.neuron.2021.08.024, who do not tell how they shuffled.

    Examples
    --------
    >>> import cortexsim as cx
    >>> model = cx.Model(cx.load_connectome("macaque40"), cx.circuits.FroudistWalsh2021(), cx.gradients.macaque40())
    >>> float(cx.validate.shuffles(model, "connections", 5).p_value)
    0.0
    """
    if not isinstance(model, Model):
        raise TypeError(f"Argument `model` must be a Model, but is {type(model).__name__}.")
    check_known(what, (*null_models.MODELS, *model.circuit.maps), what="property", where="`shuffles`")
    check_count("number", number, least=2)
    check_count("seed", seed, least=0)
    chosen = working_memory() if task is None else task

    def run(one: Model, seed: int = 0) -> xr.Dataset:
        return simulate(one, chosen, duration=chosen.duration, trials=[seed], noise=False, progress=False, threads=1)

    def judged(result: xr.Dataset) -> xr.Dataset:
        by_trial = persistence_by_trial(result, variable=variable)[["chi_squared", "accuracy", "n_persistent"]]
        return by_trial.fillna(0.0).reset_coords(drop=True).drop_attrs()

    # Threads over runs: a run of one trial keeps one processor busy, and the kernel lets the others go.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        batches = []
        for first in range(seed, seed + number, _BATCH):
            seeds = range(first, min(first + _BATCH, seed + number))
            each = list(pool.map(lambda k: run(_shuffled(model, what, k), k), seeds))
            # Judged at once, which is quicker; the shuffled map itself is not read.
            batches.append(
                judged(xr.concat(each, "trial", coords="minimal", compat="override", combine_attrs="override"))
            )
    table = xr.concat(batches, "trial").rename(trial="shuffle")
    table["shuffle"].attrs["long_name"] = "seed of the shuffle"
    as_it_is = judged(run(model)).isel(trial=0, drop=True)
    above = proportion((table.chi_squared >= as_it_is.chi_squared - 1e-9).sum(), xr.DataArray(number))
    summary = {
        "p_value": above.fraction.item(),
        "p_value_interval": ("end", [above.low.item(), above.high.item()]),
        "mean_accuracy": float(table.accuracy.mean()),
        "mean_accuracy_interval": ("end", list(mean_interval(table.accuracy))),
    }
    observed = {f"observed_{name}": values for name, values in as_it_is.items()}
    ends = {"end": ["low", "high"]}
    return table.assign(observed | summary).assign_coords(ends).assign_attrs(shuffled=what)


def _shuffled(model: Model, what: str, seed: int) -> Model:
    """Return the model with one property shuffled."""
    if what in null_models.MODELS:
        return dataclasses.replace(model, connectome=model.connectome.shuffle(what, seed))
    values = model.area_maps[what]
    permuted = values.copy(data=np.random.default_rng(seed).permutation(values.to_numpy()))
    return dataclasses.replace(model, gradients=model.area_maps.assign({what: permuted}))
