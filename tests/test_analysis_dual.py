"""Dual numbers carry exact derivatives through the functions that circuits are written with."""

import numpy as np
import pytest

from cortexsim.analysis.dual import Dual

X = np.array([0.3, 1.7])

# Each function with its first and second derivative.
RULES = {
    "exp": (np.exp, np.exp, np.exp),
    "expm1": (np.expm1, np.exp, np.exp),
    "log": (np.log, lambda x: 1 / x, lambda x: -1 / x**2),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2, lambda x: -2 * np.tanh(x) / np.cosh(x) ** 2),
    "sqrt": (np.sqrt, lambda x: 0.5 * x**-0.5, lambda x: -0.25 * x**-1.5),
    "quotient": (lambda x: (1 - x) / (x * x + 2), None, None),
    "reflected": (lambda x: 2.0 - np.array([1.0, 3.0]) * -x / 4.0 + 1 / x, lambda x: [0.25, 0.75] - x**-2.0, None),
    "where": (lambda x: np.where(x > 1, x * x, 3 * x), lambda x: np.where(x > 1, 2 * x, 3), None),
    "maximum": (lambda x: np.maximum(x - 1, 0.0), lambda x: np.where(x > 1, 1.0, 0.0), None),
    "minimum": (lambda x: np.minimum(1.0, x), lambda x: np.where(x > 1, 0.0, 1.0), None),
    "abs": (lambda x: abs(x - 1), lambda x: np.sign(x - 1), None),
}
QUOTIENT_SLOPE = (X * X - 2 * X - 2) / (X * X + 2) ** 2


@pytest.mark.parametrize("name", RULES)
def test_value_and_slope_are_those_of_the_function(name):
    function, slope, _ = RULES[name]
    out = function(Dual(X, np.eye(2)))
    expected = QUOTIENT_SLOPE if slope is None else slope(X)
    np.testing.assert_allclose(out.value, function(X), rtol=1e-15)
    np.testing.assert_allclose(out.tangent, np.diag(expected), rtol=1e-14)


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule[2]])
def test_dual_numbers_of_dual_numbers_give_second_derivatives(name):
    function, _, curvature = RULES[name]
    out = function(Dual(Dual(X, 1.0), 1.0))
    np.testing.assert_allclose(out.tangent.tangent, curvature(X), rtol=1e-14)


def test_nan_stays_visible_through_maximum_and_minimum():
    for function in (np.maximum, np.minimum):
        out = function(Dual(np.array([np.nan, 1.0]), 1.0), 0.5)
        assert np.isnan(out.value[0])
        assert np.isnan(function(0.5, Dual(np.array([np.nan]), 1.0)).value[0])


@pytest.mark.parametrize("function", [np.sin, np.sum, np.add.reduce])
def test_other_functions_are_refused(function):
    with pytest.raises(TypeError, match="write the equation with absolute, add"):
        function(Dual(X, 1.0))
