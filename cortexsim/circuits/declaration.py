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
    """Run a circuit's equation once on two areas and see that it reads and returns what the class declares.

    Parameters
    ----------
    circuit
        The class.
    area_parameters
        Names that its `modulate` returned.

    Raises
    ------
    ValueError
        If a name is declared twice or unknown, the equation returns another number of values than `state` has, or noise
        is declared beside a `derivative`.
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
    arguments = {kind: namedtuple(kind, names)(*(np.ones(2) for _ in names)) for kind, names in records.items()}
    if circuit.derivative is not None:
        del arguments["noise"]
    _check_numpy(name, equation)
    try:
        with np.errstate(all="ignore"):
            out = equation(*arguments.values(), *((0.1,) if circuit.step else ()))
    except AttributeError as error:
        raise _unknown_name(name, records, error) from error
    what = "step" if circuit.step else "derivative"
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
