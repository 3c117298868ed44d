"""Learning from reward over trials: the weights of the cortex on the dopamine cells of the VTA."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from cortexsim import _checks
from cortexsim.analysis.memory import FRONTOPARIETAL
from cortexsim.circuits import FroudistWalsh2021Learning
from cortexsim.model import Model
from cortexsim.protocols import TO_V1, delayed_ping
from cortexsim.simulate import simulate
from cortexsim.stimulus import Schedule

_TOLD = (
    *("cortexsim_version", "circuit", "citation", "parameters", "stimulus", "connectome", "gradients_digest"),
    *("dt_ms", "seed", "noise", "dtype"),
)


def reversals(trials: int = 90, block: int = 30) -> tuple[int, ...]:
    """Return the rewarded stimulus of each trial: 1 for a block of trials, then 2, then 1 again, and so on."""
    trials, block = _checks.check_count("trials", trials), _checks.check_count("block", block)
    return tuple(1 + k // block % 2 for k in range(trials))


def update(c: tuple[float, float], choice: int, rewarded: int, alpha: float = 0.2) -> tuple[float, float]:
    """Return the weights (c1, c2) after a trial.

    The choice of the rewarded stimulus s pulls its weight up, c_s += alpha (1 - c_s); anything else pulls that of the
    other stimulus down, c_o -= alpha c_o.

    Parameters
    ----------
    c : (float, float)
        Weights of stimuli 1 and 2.
    choice : {1, 2, 0}
        The stimulus chosen; 0: neither, which counts as wrong.
    rewarded : {1, 2}
        The stimulus that is rewarded.
    alpha : float
        Rate of learning, 0 ... 1.

    Raises
    ------
    ValueError, TypeError
        If an argument is none of these.

    References
    ----------
    Froudist-Walsh et al. (2021), Neuron 109:3500, doi 10.1016/j.neuron.2021.08.024, Fig. 6 and the authors' program.

    Examples
    --------
    >>> update((0.5, 1.0), choice=1, rewarded=1), update((0.5, 1.0), choice=2, rewarded=1)
    ((0.6, 1.0), (0.5, 0.8))
    """
    alpha = _checks.check_fraction("alpha", alpha)
    for name, stimulus, known in (("choice", choice, (0, 1, 2)), ("rewarded", rewarded, (1, 2))):
        if stimulus not in known:
            raise ValueError(f"Argument `{name}` must be one of {known}, but is {stimulus!r}.")
    c1, c2 = _pair(c)
    correct = choice == rewarded
    if (rewarded if correct else 3 - rewarded) == 1:
        return c1 + alpha * (1 - c1) if correct else c1 - alpha * c1, c2
    return c1, c2 + alpha * (1 - c2) if correct else c2 - alpha * c2


def learn(
    model: Model,
    *,
    trials: int | None = None,
    rewarded: Sequence[int] | None = None,
    alpha: float = 0.2,
    c: tuple[float, float] | None = None,
    protocol: Schedule | None = None,
    areas: Sequence[str] = FRONTOPARIETAL,
    seed: int = 0,
    noise: bool = True,
    dt: float = 0.5,
    progress: bool | None = None,
) -> xr.Dataset:
    """Run trials one after the other, each with the weights that the choices and rewards before it have left.

    On each trial the cortex starts anew, and trial k sees the noise of trial k. The choice is the stimulus whose
    population has the higher mean rate over the ping and over `areas`; `update` then changes the weights.

    Parameters
    ----------
    model : Model
        Of FroudistWalsh2021Learning.
    trials : int
        By default as many as `rewarded` has, or 90.
    rewarded : sequence of {1, 2}
        The rewarded stimulus of each trial; by default `reversals(trials)`.
    alpha : float
        Rate of learning, 0 ... 1.
    c : (float, float)
        c1 and c2 before the first trial; by default the circuit's c_VTA1 and c_VTA2, .7 and 1 as published.
    protocol : Schedule
        A trial, with an epoch "ping"; by default that of the paper: target to E1 at 6 s, distractor to E2 at 7 s, ping
        to both at 8 s. A trial is run to the end of its ping; what follows decides nothing.
    areas : sequence of str
        Areas that the choice is read from.
    seed, noise, dt
        As for `simulate`; noise is True or False.
    progress : bool or None
        Whether to show a progress bar; None: on a terminal.

    Returns
    -------
    xarray.Dataset
        Over `trial`: `choice` (1, 2, or 0 for a tie), `rewarded`, `reward` (0 or 1), `c1`, `c2` (the weights in the
        trial), `ping_E1`, `ping_E2` (Hz; what the choice is read from). `attrs` hold the provenance and the weights
        after the last trial, `c1_final` and `c2_final`.

    Raises
    ------
    ValueError, TypeError
        If an argument does not hold what it must.
    SimulationDiverged
        If a state variable becomes infinite or NaN.

    Notes
    -----
    The course of learning hangs on the noise. With the published numbers the distractor is held on every trial until
    the target is by chance: over five streams of noise the blocks of 30 trials earned 18 to 27, 15 to 28 and 7 to 26
    rewards, and without noise 0, 30 and 0.

    References
    ----------
    Froudist-Walsh et al. (2021), Neuron 109:3500, doi 10.1016/j.neuron.2021.08.024, Fig. 6.
    """
    from tqdm import tqdm

    if not isinstance(model, Model) or not isinstance(model.circuit, FroudistWalsh2021Learning):
        raise TypeError(f"Argument `model` must be a Model of FroudistWalsh2021Learning, but is {model!r}.")
    if model.circuit.trials is not None:
        raise ValueError("Learning runs one trial after the other; give each parameter one value for all trials.")
    if not isinstance(noise, bool):
        raise TypeError(f"Argument `noise` must be True or False, but is {noise!r}.")
    order = reversals(90 if trials is None else trials) if rewarded is None else tuple(rewarded)
    if not order or len(order) != (trials or len(order)):
        wanted = "one or more" if trials is None else trials
        raise ValueError(f"Argument `rewarded` must name a stimulus for each of {wanted} trials, but has {len(order)}.")
    for k, stimulus in enumerate(order):
        if stimulus not in (1, 2):
            raise ValueError(
                f"Argument `rewarded` must hold 1 or 2 for each trial, but has {stimulus!r} for trial {k}."
            )
    alpha = _checks.check_fraction("alpha", alpha)
    if not areas:
        raise ValueError("Argument `areas` must name one area or more to read the choice from, but is empty.")
    for area in _checks.check_unique(areas, what="area", where="`areas`"):
        _checks.check_known(area, model.areas, what="area", where="`areas`", listed="`model.areas`")
    if protocol is None:
        protocol = delayed_ping(distractors=[TO_V1[1]], fixation=6000.0, duration=13_000.0)
    elif not isinstance(protocol, Schedule):
        raise TypeError(f"Argument `protocol` must be a Schedule with an epoch 'ping', but is {protocol!r}.")
    start, end = protocol.window("ping")
    c1, c2 = _pair((model.circuit.c_VTA1, model.circuit.c_VTA2) if c is None else c)
    rows: list[tuple[Any, ...]] = []
    attrs: dict[str, Any] = {}
    for trial, stimulus in enumerate(tqdm(order, unit="trial", disable=None if progress is None else not progress)):
        circuit = dataclasses.replace(model.circuit, c_VTA1=c1, c_VTA2=c2)
        result = simulate(
            dataclasses.replace(model, circuit=circuit),
            protocol,
            duration=end,
            dt=dt,
            every=dt,
            trials=[trial],
            seed=seed,
            noise=noise,
            record=("r_E1", "r_E2"),
            progress=False,
        )
        ping = result.isel(time=slice(round(start / dt), None)).sel(area=list(areas))
        r_1, r_2 = float(ping.r_E1.mean()), float(ping.r_E2.mean())
        choice = 1 if r_1 > r_2 else 2 if r_2 > r_1 else 0
        rows.append((choice, stimulus, int(choice == stimulus), c1, c2, r_1, r_2))
        c1, c2 = update((c1, c2), choice, stimulus, alpha)
        attrs = attrs or {name: result.attrs[name] for name in _TOLD}
    columns = {
        "choice": "stimulus chosen: 1, 2, or 0 for a tie",
        "rewarded": "stimulus rewarded",
        "reward": "whether the choice was rewarded",
        "c1": "weight of E1 on the VTA in the trial",
        "c2": "weight of E2 on the VTA in the trial",
        "ping_E1": "mean rate of E1 during the ping",
        "ping_E2": "mean rate of E2 during the ping",
    }
    data = {
        name: xr.Variable(
            "trial", values, {"units": "Hz" if name.startswith("ping") else "1", "long_name": columns[name]}
        )
        for name, values in zip(columns, map(np.array, zip(*rows, strict=True)), strict=True)
    }
    told = {"alpha": alpha, "c1_final": c1, "c2_final": c2, "read_out_areas": json.dumps(list(areas))}
    return xr.Dataset(data, {"trial": np.arange(len(order))}, attrs | told)


def _pair(c: Any) -> tuple[float, float]:
    """Return the weights (c1, c2), checked."""
    if not isinstance(c, Sequence) or len(c) != 2:
        raise TypeError(f"Argument `c` must be a pair of weights (c1, c2), but is {c!r}.")
    return _checks.check_finite("c[0]", c[0]), _checks.check_finite("c[1]", c[1])
