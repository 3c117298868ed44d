"""Whether a circuit's declaration and its equation fit together, found out before anything is compiled."""

from __future__ import annotations

import functools
import re
from collections import namedtuple
from collections.abc import Mapping
from typing import Any

import numpy as np

from cortexsim import _checks
from cortexsim.circuits.circuit import Circuit
from cortexsim.kernel.reading import names_read

# What the compiled equations have of NumPy, and the way out where they lack something
_KNOWN = frozenset({"abs", "absolute", "exp", "expm1", "log", "maximum", "minimum", "sqrt", "tanh", "where"})


@functools.cache
def check_equation(circuit: type[Circuit], area_parameters: frozenset[str]) -> None:
    """Run a circuit's functions once on two areas and see that they read and return what the class declares.

    Parameters
    ----------
    circuit
        The class.
    area_parameters
        Names that its `modulate` returned.

    Raises
    ------
    ValueError
        If a name is declared twice or unknown, a function returns another number of values than `state` has, noise is
        declared beside a `derivative`, or `from_rates` without `excitatory`.
    TypeError
        If the class gives neither `step` nor `derivative`, or both.
    """
    name = circuit.__name__
    if (circuit.step is None) == (circuit.derivative is None):
        raise TypeError(f"{name} must give either `step` or `derivative`, as a staticmethod.")
    if circuit.noise and circuit.step is None:
        raise ValueError(
            f"{name} declares `noise` but gives `derivative`, which takes none; "
            f"give step(x, longrange, stimulus, noise, p, dt)."
        )
    states = _checks.check_unique(circuit.state_names(), what="variable", where=f"`state` of {name}")
    for variable in circuit.recorded:
        _checks.check_known(variable, states, what="variable", where=f"`recorded` of {name}")
    for pathway in circuit.pathways:
        _checks.check_known(pathway.source, states, what="source", where=f"pathway {pathway.name!r} of {name}")
    equation: Any = circuit.step or circuit.derivative
    parameters = (*circuit.parameter_names(), *area_parameters.difference(circuit.parameter_names()))
    for given in area_parameters - names_read(equation):
        if given not in circuit.parameter_names():
            raise ValueError(
                f"`modulate` of {name} returned {given!r}, which its equation does not read"
                f"{_checks.suggest(given, circuit.parameter_names())}"
            )
    records = {
        "x": states,
        "longrange": tuple(p.name for p in circuit.pathways),
        "stimulus": tuple(v.name for v in circuit.inputs),
        "noise": circuit.noise,
        "p": parameters,
    }
    if circuit.derivative is not None:
        del records["noise"]
    what = "step" if circuit.step else "derivative"
    _check_function(name, what, equation, records, (0.1,) if circuit.step else (), states)
    _check_from_rates(circuit, states, parameters)


def _check_from_rates(circuit: type[Circuit], states: tuple[str, ...], parameters: tuple[str, ...]) -> None:
    """See that an area whose rates are given is declared as it should be."""
    name = circuit.__name__
    rates = _checks.check_unique(
        circuit.excitatory + circuit.inhibitory, what="variable", where=f"`excitatory` and `inhibitory` of {name}"
    )
    for rate in rates:
        _checks.check_known(rate, states, what="variable", where=f"`excitatory` and `inhibitory` of {name}")
    if len(circuit.inhibitory) > 1:
        raise ValueError(f"`inhibitory` of {name} must name one variable at most, but names {circuit.inhibitory}.")
    if circuit.from_rates is None:
        return
    if not circuit.excitatory:
        raise ValueError(
            f"{name} gives `from_rates`, but no `excitatory`; name the variables that are given from outside."
        )
    _check_function(
        name, "from_rates", circuit.from_rates, {"x": states, "rates": rates, "p": parameters}, (0.1,), states
    )


def _check_function(
    name: str,
    what: str,
    function: Any,
    records: Mapping[str, tuple[str, ...]],
    dt: tuple[float, ...],
    states: tuple[str, ...],
) -> None:
    """Run a function of a circuit on named tuples with these fields, and see that it returns one value per state."""
    arguments = [namedtuple(kind, fields)(*(np.ones(2) for _ in fields)) for kind, fields in records.items()]
    _check_numpy(name, function)
    try:
        with np.errstate(all="ignore"):
            out = function(*arguments, *dt)
    except AttributeError as error:
        raise _unknown_name(name, records, error) from error
    if not isinstance(out, tuple) or len(out) != len(states):
        got = len(out) if isinstance(out, tuple) else f"a {type(out).__name__}"
        raise ValueError(
            f"`{what}` of {name} must return a tuple of {len(states)} values, one for each of `state` "
            f"({', '.join(states)}), but returned {got}."
        )


def _check_numpy(name: str, equation: Any) -> None:
    """See that the equation takes nothing from NumPy that the compiled one lacks."""
    used = {n for n in names_read(equation) if isinstance(getattr(np, n, None), np.ufunc) or n == "where"}
    if lacking := sorted(used - _KNOWN):
        raise ValueError(
            f"The equation of {name} uses np.{lacking[0]}, but compiled equations have no other functions than "
            f"{', '.join(sorted(_KNOWN))}; write it with these."
        )


def _unknown_name(name: str, records: Mapping[str, tuple[str, ...]], error: AttributeError) -> Exception:
    """Turn "'p' object has no attribute 'tauu'" into what is wrong and the nearest name."""
    found = re.match(r"'(\w+)' object has no attribute '(\w+)'", str(error))
    if not found or found[1] not in records:
        return error
    kind, missing = found.groups()
    known = records[kind]
    return ValueError(
        f"The equation of {name} reads {kind}.{missing}, but it declares no such name{_checks.suggest(missing, known)} "
        f"Known: {', '.join(known) or 'none'}."
    )
