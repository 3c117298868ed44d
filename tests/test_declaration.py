"""A circuit whose declaration and equation do not fit is refused before anything is compiled."""

import dataclasses

import numpy as np
import pytest
from systems import Linear

import cortexsim as cx
from cortexsim.circuits.circuit import Pathway, Variable


def pair():
    return cx.Connectome([[0, 0], [1, 0]], np.zeros((2, 2)), areas=("a", "b"))


def circuit(**members):
    """Return a Linear circuit with some members of its class changed."""
    return dataclasses.dataclass(frozen=True)(type("Toy", (Linear,), members))()


def slope(text):
    """Return a derivative whose body is `return text`."""
    scope = {"np": np}
    exec(f"def derivative(x, longrange, stimulus, p):\n    return {text}", scope)
    return staticmethod(scope["derivative"])


def given(text):
    """Return a from_rates whose body is `return text`."""
    scope = {"np": np}
    exec(f"def from_rates(x, rates, p, dt):\n    return {text}", scope)
    return staticmethod(scope["from_rates"])


PAIR = {"state": (Variable("r", "Hz", "r"), Variable("q", "Hz", "q")), "derivative": slope("(-x.r, -x.q)")}
RATE = {"excitatory": ("r",)}


@pytest.mark.parametrize(
    ("members", "error", "message"),
    [
        ({"derivative": slope("(-x.r, x.r)")}, ValueError, r"must return a tuple of 1 values.*\(r\), but returned 2"),
        ({"derivative": slope("-x.r")}, ValueError, "must return a tuple of 1 values.*but returned a ndarray"),
        ({"derivative": slope("(-x.rr,)")}, ValueError, r"reads x\.rr, but it declares no such name; did you mean 'r'"),
        ({"derivative": slope("(-x.r / p.tauu,)")}, ValueError, r"reads p\.tauu.*did you mean 'tau'\? Known: tau, g"),
        ({"derivative": slope("(stimulus.J - x.r,)")}, ValueError, r"reads stimulus\.J.*Known: I\."),
        ({"derivative": slope("(np.sin(x.r),)")}, ValueError, r"uses np\.sin, but compiled equations have no other"),
        ({"derivative": None}, TypeError, "must give either `step` or `derivative`"),
        ({"noise": ("r",)}, ValueError, r"declares `noise` but gives `derivative`, which takes none; give step\("),
        ({"recorded": ("q",)}, ValueError, "Unknown variable 'q' in `recorded` of Toy"),
        ({"state": (Variable("r", "Hz", "r"), Variable("r", "Hz", "r"))}, ValueError, "'r' stands twice"),
        ({"pathways": (Pathway("r", source="q", weights="fln"),)}, ValueError, "Unknown source 'q' in pathway 'r'"),
        ({"pathways": (Pathway("r", source="r", weights="w"),)}, ValueError, "takes the weights 'w'.*returned 'fln'"),
        ({"weights": lambda self, c: {"fln": np.ones((2, 3))}}, ValueError, r"shape \(2, 2\), but have \(2, 3\)"),
        ({"excitatory": ("q",)}, ValueError, "Unknown variable 'q' in `excitatory` and `inhibitory` of Toy"),
        ({"excitatory": ("r",), "inhibitory": ("r",)}, ValueError, "'r' stands twice"),
        ({**PAIR, "inhibitory": ("r", "q")}, ValueError, "must name one variable at most"),
        ({"from_rates": given("(rates.r,)")}, ValueError, "gives `from_rates`, but no `excitatory`"),
        ({**RATE, "from_rates": given("(rates.q,)")}, ValueError, r"reads rates\.q.*Known: r\."),
        ({**RATE, "from_rates": given("(p.tauu,)")}, ValueError, r"reads p\.tauu.*did you mean 'tau'"),
        ({**RATE, "from_rates": given("rates.r")}, ValueError, "`from_rates` of Toy must return a tuple of 1 values"),
        ({**RATE, "from_rates": given("(np.sin(x.r),)")}, ValueError, r"uses np\.sin"),
        ({"modulate": lambda *a: {"tauu": np.ones(2)}}, ValueError, "returned 'tauu', which.*did you mean 'tau'"),
    ],
)
def test_what_does_not_fit_is_refused(members, error, message):
    with pytest.raises(error, match=message):
        cx.Model(pair(), circuit(**members))


def test_what_fits_is_accepted():
    cx.Model(pair(), circuit())
    cx.Model(pair(), circuit(**RATE, from_rates=given("(rates.r + dt / p.tau * x.r,)")))
