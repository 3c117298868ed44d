"""Forward-mode dual numbers: arrays that carry exact derivatives through a circuit's own equation."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np


class Dual(np.lib.mixins.NDArrayOperatorsMixin):
    """A value and its derivatives, a + a' ε with ε² = 0, so that f(a + a' ε) = f(a) + f'(a) a' ε without error.

    It knows the functions that circuits are written with: + - * / and comparisons, exp, expm1, log, tanh, sqrt, where,
    maximum, minimum, abs. At a kink the derivative is that of the branch that NumPy takes.

    Value and tangent may be dual numbers themselves, which gives mixed second derivatives. Then each variable of the
    equation must be dual at the outer level, or a plain number, and the outer tangent is one direction: where the
    arguments of maximum or minimum tie, what comes first along it counts, so that a rate on its floor may rise from it.

    Parameters
    ----------
    value
        Array, say of shape (area,).
    tangent
        Derivatives of the value, of its shape or with leading axes: (direction, area).

    Raises
    ------
    TypeError
        If another NumPy function meets it.
    """

    __slots__ = ("tangent", "value")

    def __init__(self, value: Any, tangent: Any) -> None:
        self.value, self.tangent = value, tangent

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Apply the rule of an element-wise function."""
        if method != "__call__" or kwargs or ufunc not in _RULES:
            raise TypeError(_unknown(ufunc.__name__))
        return _RULES[ufunc](*inputs)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        """Apply `where`, the one function of circuits that is no ufunc."""
        if function is not np.where or kwargs or len(args) != 3:
            raise TypeError(_unknown(function.__name__))
        return _where(*args)


def _unknown(name: str) -> str:
    known = ", ".join(sorted(["where", *(u.__name__ for u in _RULES)]))
    return f"The derivative of numpy.{name} is not known here; write the equation with {known}."


def value_of(a: Any) -> Any:
    """Return the value of a dual number, or a plain number as it is."""
    return a.value if isinstance(a, Dual) else a


def tangent_of(a: Any) -> Any:
    """Return the tangent of a dual number; 0 for a plain number."""
    return a.tangent if isinstance(a, Dual) else 0.0


def _innermost(a: Any) -> Any:
    while isinstance(a, Dual):
        a = a.value
    return a


def _where(condition: Any, a: Any, b: Any) -> Dual:
    condition = _innermost(condition)
    return Dual(np.where(condition, value_of(a), value_of(b)), np.where(condition, tangent_of(a), tangent_of(b)))


def _multiply(a: Any, b: Any) -> Dual:
    if not isinstance(a, Dual):
        return Dual(a * b.value, a * b.tangent)
    if not isinstance(b, Dual):
        return Dual(a.value * b, a.tangent * b)
    return Dual(a.value * b.value, a.tangent * b.value + a.value * b.tangent)


def _divide(a: Any, b: Any) -> Dual:
    if not isinstance(b, Dual):
        return Dual(a.value / b, a.tangent / b)
    quotient = value_of(a) / b.value
    return Dual(quotient, (tangent_of(a) - quotient * b.tangent) / b.value)


def _exp(a: Any) -> Dual:
    e = np.exp(a.value)
    return Dual(e, e * a.tangent)


def _tanh(a: Any) -> Dual:
    t = np.tanh(a.value)
    return Dual(t, (1.0 - t * t) * a.tangent)


def _sqrt(a: Any) -> Dual:
    root = np.sqrt(a.value)
    return Dual(root, 0.5 / root * a.tangent)


def _extreme(beyond: Callable[[Any, Any], Any], level: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Dual]:
    def rule(a: Any, b: Any) -> Dual:
        v, w = _innermost(a), _innermost(b)
        rise, other = (_innermost(c.tangent) if isinstance(value_of(c), Dual) else 0.0 for c in (a, b))
        # v != v keeps a NaN visible, as NumPy does
        return _where(beyond(v, w) | ((v == w) & level(rise, other)) | (v != v), a, b)

    return rule


def _compare(ufunc: np.ufunc) -> Callable[[Any, Any], Any]:
    return lambda a, b: ufunc(_innermost(a), _innermost(b))


_RULES: dict[np.ufunc, Callable[..., Any]] = {
    np.add: lambda a, b: Dual(value_of(a) + value_of(b), tangent_of(a) + tangent_of(b)),
    np.subtract: lambda a, b: Dual(value_of(a) - value_of(b), tangent_of(a) - tangent_of(b)),
    np.multiply: _multiply,
    np.divide: _divide,
    np.negative: lambda a: Dual(-a.value, -a.tangent),
    np.positive: lambda a: a,
    np.exp: _exp,
    np.expm1: lambda a: Dual(np.expm1(a.value), np.exp(a.value) * a.tangent),
    np.log: lambda a: Dual(np.log(a.value), a.tangent / a.value),
    np.tanh: _tanh,
    np.sqrt: _sqrt,
    np.absolute: lambda a: _where(_innermost(a) < 0, -a, a),
    np.maximum: _extreme(operator.gt, operator.ge),
    np.minimum: _extreme(operator.lt, operator.le),
    **{u: _compare(u) for u in (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal)},
}
