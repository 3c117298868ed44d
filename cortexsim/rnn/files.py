"""Trained networks in files, without pickle: NPZ, and the state_dict of PyTorch modules."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cortexsim.rnn.network import Array, Network, Parameters

_FORMAT = "cortexsim-rnn-1"


def save_networks(path: str | os.PathLike[str], network: Network, parameters: Parameters) -> None:
    """Write a stack of networks to an NPZ file: one array for each parameter, and the network as JSON.

    The file appears under its name only when it is whole.

    Parameters
    ----------
    path
        Of the file; `.npz` is not added.
    network, parameters
        What to write.

    Raises
    ------
    ValueError
        If the parameters do not fit the network.
    """
    network.check(parameters)
    text = json.dumps({"format": _FORMAT, "network": dataclasses.asdict(network)})
    write(path, {**parameters._asdict(), "description": np.array(text)})


def load_networks(path: str | os.PathLike[str]) -> tuple[Network, Parameters]:
    """Read a stack of networks that `save_networks` wrote.

    Parameters
    ----------
    path
        Of the file.

    Returns
    -------
    network, parameters

    Raises
    ------
    ValueError
        If the file holds something else, or its parameters do not fit its network.
    """
    found = read(path)
    description = json.loads(str(found.get("description", "{}")))
    missing = set(Parameters._fields) - set(found)
    if description.get("format") != _FORMAT or missing:
        raise ValueError(f"File {os.fspath(path)!r} must be one that `save_networks` wrote, but it is not.")
    network = Network(**{name: _tuples(value) for name, value in description["network"].items()})
    parameters = Parameters(*(found[name] for name in Parameters._fields))
    network.check(parameters)
    return network, parameters


def to_state_dict(network: Network, parameters: Parameters, which: int = 0) -> dict[str, Any]:
    """Return one network as the state_dict of a PyTorch module of three linear layers.

    `recurrent` (with bias), `input` (without) and `output` (with bias) are torch.nn.Linear of all units: rows and
    columns of units that receive no input or are not read are 0.

    Parameters
    ----------
    network, parameters
        The stack.
    which
        Number of the network.

    Returns
    -------
    dict
        Tensors by "recurrent.weight", "recurrent.bias", "input.weight", "output.weight", "output.bias".

    Raises
    ------
    ImportError
        If PyTorch is not installed (`pip install cortexsim[torch]`).
    """
    import torch

    network.check(parameters)
    one = Parameters(*(np.array(values[which]) for values in parameters))
    into = np.zeros((network.units, network.inputs), one.W_in.dtype)
    into[network.receiving] = one.W_in
    out = np.zeros((network.outputs, network.units), one.W_out.dtype)
    out[:, network.read] = one.W_out
    arrays = {
        "recurrent.weight": one.W_rec,
        "recurrent.bias": one.bias,
        "input.weight": into,
        "output.weight": out,
        "output.bias": one.bias_out,
    }
    return {name: torch.from_numpy(values) for name, values in arrays.items()}


def from_state_dict(network: Network, state_dict: Mapping[str, Any]) -> Parameters:
    """Return a stack of one network from the state_dict that `to_state_dict` describes.

    Parameters
    ----------
    network
        What the weights are for.
    state_dict
        Tensors or arrays by name.

    Returns
    -------
    parameters

    Raises
    ------
    KeyError
        If a name is missing.
    ValueError
        If a shape does not fit, or units have inputs or outputs that the network does not give them.
    """
    arrays = {name: np.asarray(getattr(v, "detach", lambda v=v: v)()) for name, v in state_dict.items()}
    into, out = arrays["input.weight"], arrays["output.weight"]
    for name, values, axis, units in (
        ("input.weight", into, 0, network.receiving),
        ("output.weight", out, 1, network.read),
    ):
        others = np.delete(values, units, axis=axis)
        if values.shape[axis] != network.units or others.any():
            raise ValueError(
                f"`{name}` must have {network.units} units and be 0 but for units {units.start} to {units.stop - 1}, "
                f"but has the shape {values.shape}{' and others' if others.any() else ''}; see `Network.input_units` "
                f"and `Network.output_units`."
            )
    parameters = Parameters(
        arrays["recurrent.weight"][np.newaxis],
        arrays["recurrent.bias"][np.newaxis],
        into[np.newaxis, network.receiving],
        out[np.newaxis, :, network.read],
        arrays["output.bias"][np.newaxis],
    )
    network.check(parameters)
    return parameters


def write(path: str | os.PathLike[str], arrays: Mapping[str, Array]) -> None:
    """Write arrays to an NPZ file that is whole as soon as it is there."""
    path = Path(path)
    whole = io.BytesIO()
    np.savez(whole, allow_pickle=False, **arrays)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(whole.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Return all arrays of an NPZ file, without pickle."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
