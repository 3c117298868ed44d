"""Gradients written out as text are those of the equation, on NumPy arrays and on lanes."""

from collections import namedtuple

import numpy as np
import pytest
from numba import njit
from systems import Linear

import cortexsim as cx
from cortexsim import circuits
from cortexsim.analysis.dual import Dual, tangent_of
from cortexsim.kernel import equations, maths
from cortexsim.kernel.adjoint import adjoint, euler
from cortexsim.kernel.simd import load, spread, store

AREAS = ("V1", "LIP", "8m")
DT = 0.4


def defined(found):
    """Return the function that a text defines."""
    names = {"np": np}
    exec(found.text, names)
    return names["adjoint"]


def random_point(circuit):
    """Return the fields of each argument, and random positive values in three areas: rates in Hz, gating below 1."""
    model = cx.Model(cx.load_connectome("macaque40").select(AREAS), circuit(), cx.gradients.macaque40())
    by_trial, by_area = model.parameters(1)
    p = {name: v[0] for name, v in {**by_trial, **by_area}.items()}
    rng = np.random.default_rng(0)
    top = [20.0 if v.unit == "Hz" else 0.9 for v in circuit.state]
    given = {
        "x": {v.name: rng.uniform(0.05, most, 3) for v, most in zip(circuit.state, top, strict=True)},
        "longrange": {v.name: rng.uniform(0, 0.5, 3) for v in circuit.pathways},
        "stimulus": {v.name: rng.uniform(0, 0.1, 3) for v in circuit.inputs},
        "noise": {name: rng.normal(size=3) for name in circuit.noise},
        "p": p,
    }
    return {**{kind: tuple(fields) for kind, fields in given.items()}, "dt": None}, given


def tuples(given):
    return [namedtuple(kind, values)(**values) for kind, values in given.items()]


@pytest.mark.parametrize("name", circuits.ALL)
def test_gradient_of_every_circuit_is_that_of_dual_numbers(name):
    """To the rounding of some tens of terms, relative to the largest.

    Where an f-I curve is straight, its slope by the curvature d is a difference of 1 and 1, right to 1e-16 z / d.
    """
    circuit = circuits.ALL[name]
    groups, given = random_point(circuit)
    wanted = [(kind, field) for kind in given for field in groups[kind]] + [("dt", "")]
    step = euler(circuit)
    d = tuple(np.random.default_rng(1).normal(size=(len(circuit.state), 3)))
    got = np.array([g + np.zeros(3) for g in defined(adjoint(step, groups, wanted))(*tuples(given), DT, d)])

    one_each = iter(np.eye(len(wanted))[:, :, np.newaxis])
    dual = {kind: {k: Dual(v, next(one_each)) for k, v in values.items()} for kind, values in given.items()}
    out = step(*tuples(dual), Dual(DT, next(one_each)))
    shares = np.array([d_o * tangent_of(o) + np.zeros((len(wanted), 3)) for d_o, o in zip(d, out, strict=True)])
    curvature = np.array([[argument == "p" and field in ("d", "d_E")] for argument, field in wanted])
    error = np.abs(got - shares.sum(axis=0))
    assert np.all(error <= 1e-12 * np.abs(shares).max(axis=0) + 1e-11 * curvature)
    assert np.any(got != 0, axis=1).sum() > len(circuit.state)


_LOOP = """
def loop(given, dt, d, out):
    h = spread(dt, 8)
    seeds = ({seeds},)
    g = function({arguments}, h, seeds)
{stores}
"""


@pytest.mark.slow
def test_compiled_for_lanes_the_text_gives_the_numbers_of_numpy():
    """The kernel's own expm1 is right to 3 units in the last place."""
    circuit = circuits.MejiasWang2022
    groups, given = random_point(circuit)
    wanted = [("x", field) for field in groups["x"]]
    function = defined(adjoint(circuit.step, groups, wanted))
    table = np.array([np.resize(v, 8) for values in given.values() for v in values.values()])
    d, out = np.random.default_rng(1).normal(size=(len(circuit.state), 8)), np.empty((len(wanted), 8))

    kinds = {kind: namedtuple(kind, values) for kind, values in given.items()}
    names = {"function": equations.compiled(function), "load": load, "store": store, "spread": spread, **kinds}
    rows = iter(range(len(table)))
    loads = {kind: ", ".join(f"load(given, {8 * next(rows)}, 8)" for _ in given[kind]) for kind in given}
    text = _LOOP.format(
        seeds=", ".join(f"load(d, {8 * o}, 8)" for o in range(len(d))),
        arguments=", ".join(f"{kind}({loads[kind]})" for kind in given),
        stores="\n".join(f"    store(out, {8 * k}, g[{k}])" for k in range(len(wanted))),
    )
    exec(text, names)
    njit(error_model="numpy", fastmath=maths.FLAGS)(names["loop"])(table.ravel(), DT, d.ravel(), out.ravel())
    wide = {kind: {k: np.resize(v, 8) for k, v in values.items()} for kind, values in given.items()}
    expected = [g + np.zeros(8) for g in function(*tuples(wide), DT, tuple(d))]
    np.testing.assert_allclose(out, expected, rtol=1e-12)


def test_a_circuit_given_by_its_derivative_is_one_step_of_euler():
    """x + dt (-x + g W x + I) / tau."""
    groups = {"x": ("r",), "longrange": ("r",), "stimulus": ("I",), "noise": (), "p": ("tau", "g"), "dt": None}
    found = adjoint(euler(Linear), groups, [("x", "r"), ("longrange", "r")])
    P = namedtuple("P", ("tau", "g"))
    got = defined(found)(None, None, None, None, P(10.0, 0.5), DT, (3.0,))
    np.testing.assert_allclose(got, (3 * (1 - DT / 10), 3 * 0.5 * DT / 10), rtol=1e-15)
    assert found.reads == {("p", "tau"), ("p", "g"), ("dt", "")}


def test_rates_given_from_outside_get_their_gradient_through_the_gating():
    circuit = circuits.WongWang2006
    fields, p = {"x": circuit.state_names(), "rates": circuit.excitatory}, circuit()
    found = adjoint(circuit.from_rates, {**fields, "p": circuit.parameter_names(), "dt": None}, [("rates", "r_1")])
    x, d = namedtuple("X", fields["x"])(*np.full(6, 0.1)), np.arange(1.0, 7.0)
    (got,) = defined(found)(x, None, p, DT, tuple(d))
    np.testing.assert_allclose(got, d[2] + d[0] * p.gamma * 1e-3 * DT * 0.9, rtol=1e-15)
    assert not {field for argument, field in found.reads if argument == "rates"}


def gradient(function, *at, wanted=("a", "b")):
    """Return the gradients of a function of two numbers, one result."""
    return defined(adjoint(function, {"a": None, "b": None}, [(name, "") for name in wanted]))(*at, (np.array([2.0]),))


@pytest.mark.parametrize(
    ("function", "at", "expected"),
    [
        (np.maximum, (3.0, 1.0), (2, 0)),
        (np.maximum, (1.0, 3.0), (0, 2)),
        (np.maximum, (1.0, 1.0), (0, 2)),
        (np.minimum, (3.0, 1.0), (0, 2)),
        (np.minimum, (1.0, 3.0), (2, 0)),
        (np.minimum, (1.0, 1.0), (0, 2)),
        (lambda a, b: abs(a) * b, (-3.0, 1.0), (-2, 6)),
        (lambda a, b: abs(a) * b, (0.0, 1.0), (2, 0)),
        (lambda a, b: np.where((a > 1) & (b > 1), a * b, b), (3.0, 5.0), (10, 6)),
        (lambda a, b: np.where((a > 1) | (b > 1), a * b, b), (0.0, 0.0), (0, 2)),
    ],
)
def test_at_a_kink_the_gradient_goes_one_way(function, at, expected):
    np.testing.assert_array_equal(np.squeeze(gradient(lambda a, b: (function(a, b),), *at)), expected)


@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (np.exp, np.exp),
        (np.expm1, np.exp),
        (np.log, lambda a: 1 / a),
        (np.sqrt, lambda a: 0.5 / np.sqrt(a)),
        (np.tanh, lambda a: 1 / np.cosh(a) ** 2),
        (lambda a: 3 / (2 - a) - -a / 4, lambda a: 3 / (2 - a) ** 2 + 0.25),
        (lambda a: a * a * a - (a - 1), lambda a: 3 * a * a - 1),
        (lambda a: +a / np.expm1(a), lambda a: 1 / np.expm1(a) - a * np.exp(a) / np.expm1(a) ** 2),
    ],
)
def test_each_function_has_its_slope(function, slope):
    got = gradient(lambda a, b: (function(a),), 0.7, 0.0, wanted=("a",))[0]
    np.testing.assert_allclose(got, 2 * slope(0.7), rtol=1e-14)


def test_a_rate_that_the_f_I_curve_has_long_cut_off_has_no_gradient_but_no_nan():
    """Where expm1 overflows, the chain rule term by term would multiply 0 by infinity."""
    with np.errstate(over="ignore"):
        got = gradient(lambda a, b: (a / np.expm1(-b * a),), -1e4, 1.0)
    np.testing.assert_array_equal(np.squeeze(got), 0)


def test_what_does_not_matter_is_left_out():
    def function(x, noise, dt):
        return x.r + dt * (0 * x.q + np.exp(x.r * 1) - noise.r), np.tanh(noise.r), x.q

    groups = {"x": ("r", "q"), "noise": ("r", "s"), "dt": None}
    by_state = adjoint(function, groups, [("x", "r")])
    assert by_state.reads == {("x", "r"), ("dt", "")}
    assert "tanh" not in by_state.text
    assert by_state.text.count("exp(") == 1
    by_noise = adjoint(function, groups, [("noise", "r"), ("noise", "s")], name="by_noise")
    assert by_noise.reads == {("noise", "r"), ("dt", "")}
    assert by_noise.text.startswith("def by_noise(x, noise, dt, d):\n")
    assert by_noise.text.endswith(", 0.0 * d[0],)\n")


def test_equal_terms_and_reciprocals_are_worked_out_once():
    text = adjoint(lambda a, b: (np.exp(a * b) / a + b / a + np.exp(b * a),), {"a": None, "b": None}, [("a", "")]).text
    assert text.count("exp(") == 1
    assert text.count(" / ") == 1


@pytest.mark.parametrize("function", [np.sin, np.sum, np.add.reduce, np.linalg.norm])
def test_other_functions_are_refused(function):
    with pytest.raises(TypeError, match="is not known here; write the equation with absolute, add"):
        adjoint(lambda a, b: (function(a),), {"a": None, "b": None}, [("a", "")])


def test_branches_and_unknown_names_are_refused():
    groups = {"x": ("rate", "S"), "dt": None}
    with pytest.raises(TypeError, match=r"must not branch .* np\.where"):
        adjoint(lambda x, dt: (x.S if x.rate > 1 else dt,), groups, [("x", "S")])
    with pytest.raises(ValueError, match="Unknown field 'rat' in `wanted`, argument 'x'; did you mean 'rate'"):
        adjoint(lambda x, dt: (x.S,), groups, [("x", "rat")])
    with pytest.raises(ValueError, match="Unknown argument 'y' in `wanted`"):
        adjoint(lambda x, dt: (x.S,), groups, [("y", "S")])
