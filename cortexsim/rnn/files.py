"""Trained networks in files, without pickle: NPZ, and the state_dict of PyTorch modules."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, overload

import numpy as np

from cortexsim.rnn.gated import GatedNetwork, GatedParameters
from cortexsim.rnn.learner import Stack
from cortexsim.rnn.network import Array, Network, Parameters

_FORMATS: dict[str, tuple[Any, Any]] = {
    "cortexsim-rnn-1": (Network, Parameters),
    "cortexsim-gated-rnn-1": (GatedNetwork, GatedParameters),
}


def save_networks(path: str | os.PathLike[str], network: Network | GatedNetwork, parameters: Stack) -> None:
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
    name = next(name for name, (kind, _) in _FORMATS.items() if isinstance(network, kind))
    text = json.dumps({"format": name, "network": dataclasses.asdict(network)})
    write(path, {**parameters._asdict(), "description": np.array(text)})


def load_networks(
    path: str | os.PathLike[str],
) -> tuple[Network, Parameters] | tuple[GatedNetwork, GatedParameters]:
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
    kind, weights = _FORMATS.get(description.get("format"), (None, None))
    if kind is None or set(weights._fields) - set(found):
        raise ValueError(f"File {os.fspath(path)!r} must be one that `save_networks` wrote, but it is not.")
    network = kind(**{name: _tuples(value) for name, value in description["network"].items()})
    parameters = weights(*(found[name] for name in weights._fields))
    network.check(parameters)
    return network, parameters


def to_state_dict(network: Network | GatedNetwork, parameters: Stack, which: int = 0) -> dict[str, Any]:
    """Return one network as the state_dict of a PyTorch module.

    A gated network is `recurrent`, torch.nn.GRU or torch.nn.LSTM, with `output`, torch.nn.Linear; biases of the
    recurrence are 0 but for the candidate of the GRU, as those of the inputs do the same.

    A leaky network is three linear layers.
    `recurrent` (with bias), `input` (without) and `output` (with bias) are torch.nn.Linear of all units: rows and
    columns of units that receive no input or are not read are 0. With f and g the functions of the network, a step of
    the rate form is ``r = r + dt / tau * (f(recurrent(r) + input(u)) - r)``, one of the current form
    ``x = x + dt / tau * (recurrent(f(x)) + input(u) - x)``, and the outputs are ``g(output(r))``.

    Parameters
    ----------
    network, parameters
        The stack.
    which
        Number of the network.

    Returns
    -------
    dict
        Tensors by "recurrent.weight", "recurrent.bias", "input.weight", "output.weight", "output.bias"; of a gated
        network by "recurrent.weight_ih_l0", "recurrent.weight_hh_l0", "recurrent.bias_ih_l0", "recurrent.bias_hh_l0",
        "output.weight", "output.bias".

    Raises
    ------
    IndexError
        If there is no such network.
    ModuleNotFoundError
        If PyTorch is not installed; it comes with the extra ``cortexsim[torch]``.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "A state_dict holds tensors of PyTorch, which is not installed; get it by: pip install 'cortexsim[torch]'",
            name=error.name,
        ) from error

    network.check(parameters)
    one = parameters._make(np.array(values[which]) for values in parameters)
    arrays = _gated_arrays(network, one) if isinstance(network, GatedNetwork) else _leaky_arrays(network, one)
    return {name: torch.from_numpy(values) for name, values in arrays.items()}


@overload
def from_state_dict(network: Network, state_dict: Mapping[str, Any]) -> Parameters: ...


@overload
def from_state_dict(network: GatedNetwork, state_dict: Mapping[str, Any]) -> GatedParameters: ...


def from_state_dict(network: Network | GatedNetwork, state_dict: Mapping[str, Any]) -> Parameters | GatedParameters:
    """Return a stack of one network from the state_dict that `to_state_dict` describes.

    The weights are copies, on the processor, in float64 where a tensor has that precision, else in float32.

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
    ValueError
        If a name is missing or unknown, a shape does not fit, or a weight is not 0 that the network does not have: of a
        unit without input or output, of a connection outside the mask or against Dale's law, or a bias of the outputs.
    """
    if isinstance(network, GatedNetwork):
        return _gated_parameters(network, state_dict)
    return _leaky_parameters(network, state_dict)


def _leaky_arrays(network: Network, one: Parameters) -> dict[str, Array]:
    into = np.zeros((network.units, network.inputs), one.W_in.dtype)
    into[network.receiving] = one.W_in
    out = np.zeros((network.outputs, network.units), one.W_out.dtype)
    out[:, network.read] = one.W_out
    return {
        "recurrent.weight": one.W_rec,
        "recurrent.bias": one.bias,
        "input.weight": into,
        "output.weight": out,
        "output.bias": one.bias_out,
    }


def _leaky_parameters(network: Network, state_dict: Mapping[str, Any]) -> Parameters:
    expected = {
        "recurrent.weight": (network.units, network.units),
        "recurrent.bias": (network.units,),
        "input.weight": (network.units, network.inputs),
        "output.weight": (network.outputs, network.units),
        "output.bias": (network.outputs,),
    }
    recurrent, bias, into, out, bias_out = _stack_of_one(state_dict, expected)
    for name, values, axis, units in (
        ("input.weight", into, 1, network.receiving),
        ("output.weight", out, 2, network.read),
    ):
        if np.delete(values, units, axis=axis).any():
            raise ValueError(
                f"`{name}` must be 0 but for units {units.start} to {units.stop - 1}, but is not; see "
                f"`Network.input_units` and `Network.output_units`."
            )
    if not np.array_equal(network.project(recurrent), recurrent, equal_nan=True):
        raise ValueError(
            "`recurrent.weight` must be 0 where the mask of the network has no connection, and have the signs of "
            "Dale's law, but has not; `Network.project` sets to 0 what it forbids."
        )
    _check_bias(network, bias_out)
    return Parameters(recurrent, bias, into[:, network.receiving], out[:, :, network.read], bias_out)


def _gated_arrays(network: GatedNetwork, one: GatedParameters) -> dict[str, Array]:
    back = np.zeros_like(one.bias)
    if network.cell == "gru":
        back[-network.units :] = one.bias_rec
    return {
        "recurrent.weight_ih_l0": one.W_in,
        "recurrent.weight_hh_l0": one.W_rec,
        "recurrent.bias_ih_l0": one.bias,
        "recurrent.bias_hh_l0": back,
        "output.weight": one.W_out,
        "output.bias": one.bias_out,
    }


def _gated_parameters(network: GatedNetwork, state_dict: Mapping[str, Any]) -> GatedParameters:
    units, rows = network.units, len(network.gates) * network.units
    expected = {
        "recurrent.weight_ih_l0": (rows, network.inputs),
        "recurrent.weight_hh_l0": (rows, units),
        "recurrent.bias_ih_l0": (rows,),
        "recurrent.bias_hh_l0": (rows,),
        "output.weight": (network.outputs, units),
        "output.bias": (network.outputs,),
    }
    W_in, W_rec, bias, back, W_out, bias_out = _stack_of_one(state_dict, expected)
    _check_bias(network, bias_out)
    # Behind the reset gate the bias of the recurrence is its own; elsewhere only the sum of the two counts
    own = units if network.cell == "gru" else 0
    bias[:, : rows - own] += back[:, : rows - own]
    return GatedParameters(W_rec, bias, back[:, rows - own :], W_in, W_out, bias_out)


def _stack_of_one(state_dict: Mapping[str, Any], expected: Mapping[str, tuple[int, ...]]) -> list[Array]:
    """Return the arrays in the order of the names expected, of one precision, with an axis of one network."""
    if state_dict.keys() != expected.keys():
        raise ValueError(
            f"Argument `state_dict` must have the names {', '.join(expected)}, but has "
            f"{', '.join(map(str, state_dict)) or 'none'}; name the layers of the module so, and add zeros for a bias "
            f"that it has not."
        )
    arrays = {name: _array(state_dict[name]) for name in expected}
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise ValueError(f"`{name}` must have the shape {shape}, but has {arrays[name].shape}.")
    dtype = np.result_type(*arrays.values())
    return [values.astype(dtype)[np.newaxis] for values in arrays.values()]


def _check_bias(network: Network | GatedNetwork, bias_out: Array) -> None:
    if bias_out.any() and not network.output_bias:
        raise ValueError(
            f"`output.bias` must be 0, but is not; a bias of the outputs needs "
            f"{type(network).__name__}(output_bias=True)."
        )


def _array(values: Any) -> Array:
    """Return a tensor, of whatever device and precision, or an array, in float32 or float64."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = values if str(values.dtype).endswith("float64") else values.float()
    values = np.asarray(values)
    return np.asarray(values, np.float64 if values.dtype == np.float64 else np.float32)


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
