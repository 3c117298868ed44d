"""The gradient of a circuit's plain equation, written out as the text of one plain function: reverse-mode derivatives.

The equation runs once on tracers, which record what it does as a graph. The chain rule, from the results backward, adds
to that graph; what the wanted gradients need of it becomes text, one operation a line.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cortexsim import _checks

_INFIX: dict[np.ufunc, str] = {
    np.add: "+",
    np.subtract: "-",
    np.multiply: "*",
    np.divide: "/",
    np.less: "<",
    np.less_equal: "<=",
    np.greater: ">",
    np.greater_equal: ">=",
    np.equal: "==",
    np.not_equal: "!=",
    np.bitwise_and: "&",
    np.bitwise_or: "|",
}
_FUNCTIONS = (np.absolute, np.exp, np.expm1, np.log, np.maximum, np.minimum, np.negative, np.sqrt, np.tanh)
_NUMPY: dict[str, Any] = {symbol: u for u, symbol in _INFIX.items()} | {u.__name__: u for u in _FUNCTIONS}
_OPERATION = {u: name for name, u in _NUMPY.items()}


class Adjoint(NamedTuple):
    """The text of a gradient, and what it reads.

    Parameters
    ----------
    text
        Source of one plain function of the differentiated function's arguments and `d`, a tuple with the gradient with
        respect to each of its results. It returns a tuple of gradients with respect to what was wanted, and needs `np`.
    reads
        Pairs (argument, field) that it reads besides `d`; the field of an argument that is a single number is "".
    """

    text: str
    reads: frozenset[tuple[str, str]]


def adjoint(
    function: Callable[..., tuple[Any, ...]],
    groups: Mapping[str, Sequence[str] | None],
    wanted: Sequence[tuple[str, str]],
    *,
    name: str = "adjoint",
) -> Adjoint:
    r"""Differentiate a plain function from its results back to its arguments.

    .. math:: g_k = \sum_o d_o \, \partial out_o / \partial wanted_k

    Parameters
    ----------
    function
        Of named tuples and numbers, such as `Circuit.step`; it returns a tuple. Element by element and without `if`,
        in the NumPy functions that circuits are written with.
    groups
        Its arguments in their order, each with the names of its fields; None for a single number.
    wanted
        Pairs (argument, field); the field of a single number is "".
    name
        Of the function in the text.

    Returns
    -------
    Adjoint
        The text, straight-line code for NumPy arrays and, as the equations themselves, for vectors of lanes. At a kink,
        maximum(a, b) hands its gradient to a where a > b, else to b; minimum(a, b) to a where a < b, else to b; the
        slope of abs is -1 below 0, else 1. A gradient that is 0 throughout comes out as 0 d_0.

    Raises
    ------
    ValueError
        If a wanted field is unknown.
    TypeError
        If the function uses a NumPy function whose derivative is not known here, or an `if`.
    """
    known = {argument: ("",) if fields is None else tuple(fields) for argument, fields in groups.items()}
    for argument, field in wanted:
        _checks.check_known(argument, tuple(known), what="argument", where="`wanted`")
        _checks.check_known(field, known[argument], what="field", where=f"`wanted`, argument {argument!r}")
    graph = _Graph()
    arguments = []
    for argument, fields in known.items():
        made: list[Any] = [Tracer(graph, graph.leaf(argument, field)) for field in fields]
        arguments.append(made[0] if fields == ("",) else namedtuple(argument, fields)(*made))
    results = [graph.lift(out) for out in function(*arguments)]
    gradients = _backward(graph, results, [graph.leaf(*pair) for pair in wanted])
    lines, reads = _written(graph, gradients)
    head = f"def {name}({', '.join(groups)}, d):"
    return Adjoint("\n    ".join([head, *lines]) + "\n", reads)


def euler(circuit: Any) -> Callable[..., tuple[Any, ...]]:
    """Return a circuit's `step`, or x + dt derivative as a function of the same arguments; to be handed to `adjoint`.

    Parameters
    ----------
    circuit
        The class, or an instance.
    """
    if circuit.step is not None:
        step: Callable[..., tuple[Any, ...]] = circuit.step
        return step

    def euler_step(x: Any, longrange: Any, stimulus: Any, noise: Any, p: Any, dt: Any) -> tuple[Any, ...]:
        slopes = circuit.derivative(x, longrange, stimulus, p)
        return tuple(old + dt * slope for old, slope in zip(x, slopes, strict=True))

    return euler_step


class Tracer(np.lib.mixins.NDArrayOperatorsMixin):
    """Stands for an argument or an intermediate result of an equation, and records what is done with it.

    Parameters
    ----------
    graph
        Where it is recorded.
    node
        Which node of the graph it is.
    """

    __slots__ = ("graph", "node")

    def __init__(self, graph: _Graph, node: int) -> None:
        self.graph, self.node = graph, node

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Record an element-wise function."""
        if ufunc is np.positive:
            return self
        if method != "__call__" or kwargs or ufunc not in _OPERATION:
            raise TypeError(_unknown(ufunc.__name__))
        return Tracer(self.graph, self.graph.apply(_OPERATION[ufunc], *map(self.graph.lift, inputs)))

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        """Record `where`, the one function of circuits that is no ufunc."""
        if function is not np.where or kwargs or len(args) != 3:
            raise TypeError(_unknown(function.__name__))
        return Tracer(self.graph, self.graph.apply("where", *map(self.graph.lift, args)))

    def __bool__(self) -> bool:
        """Refuse to choose a branch."""
        raise TypeError("An equation must not branch on its variables; write np.where(condition, a, b) for `if`.")


def _unknown(name: str) -> str:
    known = ", ".join(sorted(["where", *(u.__name__ for u in _OPERATION)]))
    return f"The derivative of numpy.{name} is not known here; write the equation with {known}."


class _Node(NamedTuple):
    """An operation on earlier nodes, a leaf labelled (argument, field), or a constant labelled with its value."""

    operation: str
    operands: tuple[int, ...] = ()
    label: Any = None


class _Graph:
    """Operations in the order of their dependence, each different one once, constants folded.

    `fixed` marks what all areas and steps are likely to share: numbers, dt, 1/tau, and what follows from these alone.
    """

    def __init__(self) -> None:
        self.nodes: list[_Node] = []
        self.fixed: list[bool] = []
        self._at: dict[_Node, int] = {}

    def _add(self, node: _Node, fixed: bool) -> int:
        at = self._at.setdefault(node, len(self.nodes))
        if at == len(self.nodes):
            self.nodes.append(node)
            self.fixed.append(fixed)
        return at

    def leaf(self, argument: str, field: str) -> int:
        return self._add(_Node("leaf", label=(argument, field)), argument == "dt")

    def constant(self, value: float) -> int:
        return self._add(_Node("constant", label=float(value)), True)

    def lift(self, value: Any) -> int:
        """Return the node of a tracer or of a plain number."""
        return value.node if isinstance(value, Tracer) else self.constant(value)

    def value(self, a: int) -> float | None:
        """Return the value of a constant, None for all else."""
        return self.nodes[a].label if self.nodes[a].operation == "constant" else None

    def apply(self, operation: str, *operands: int) -> int:
        """Return the node of an operation, or an equal one that is simpler."""
        values = [self.value(a) for a in operands]
        if operation in _NUMPY and None not in values:
            return self.constant(_NUMPY[operation](*values))
        simpler = _SIMPLER.get(operation)
        found = simpler(self, *operands) if simpler else None
        if found is not None:
            return found
        fixed = all(self.fixed[a] or (operation == "/" and self.is_parameter(a)) for a in operands)
        return self._add(_Node(operation, operands), fixed)

    def is_parameter(self, a: int) -> bool:
        return self.nodes[a].operation == "leaf" and self.nodes[a].label[0] == "p"

    def operands(self, a: int, operation: str) -> tuple[int, ...]:
        """Return the operands of a node if it is that operation, else none."""
        return self.nodes[a].operands if self.nodes[a].operation == operation else ()

    def negative(self, a: int) -> int:
        return self.apply("negative", a)

    def product(self, a: int, *others: int) -> int:
        for b in others:
            a = self.apply("*", a, b)
        return a

    def where(self, mask: int, a: int, b: int) -> int:
        return self.apply("where", mask, a, b)


def _negative(graph: _Graph, a: int) -> int | None:
    if inner := graph.operands(a, "negative"):
        return inner[0]
    if pair := graph.operands(a, "-"):
        return graph.apply("-", pair[1], pair[0])
    return None


def _sum(graph: _Graph, a: int, b: int) -> int | None:
    for one, other in ((a, b), (b, a)):
        if graph.value(other) == 0:
            return one
        if inner := graph.operands(other, "negative"):
            return graph.apply("-", one, *inner)
    return graph.apply("+", b, a) if a > b else None


def _difference(graph: _Graph, a: int, b: int) -> int | None:
    if a == b:
        return graph.constant(0.0)
    if graph.value(b) == 0:
        return a
    if graph.value(a) == 0:
        return graph.negative(b)
    if inner := graph.operands(b, "negative"):
        return graph.apply("+", a, *inner)
    return None


def _product(graph: _Graph, a: int, b: int) -> int | None:
    for one, other in ((a, b), (b, a)):
        if (value := graph.value(other)) in (0, 1, -1):
            return {0: other, 1: one, -1: graph.negative(one)}[int(value)]
        if inner := graph.operands(other, "negative"):
            return graph.negative(graph.product(one, *inner))
        # (c f) g = c (f g) where f and g are fixed: their product can leave the loop over the steps
        if graph.fixed[one] and not graph.fixed[other] and (pair := graph.operands(other, "*")):
            fixed = [k for k in pair if graph.fixed[k]]
            if fixed:
                (free,) = set(pair).difference(fixed)
                return graph.product(free, graph.product(fixed[0], one))
    return graph.apply("*", b, a) if a > b else None


def _quotient(graph: _Graph, a: int, b: int) -> int | None:
    """One reciprocal serves all quotients with the same denominator, and their derivatives."""
    if graph.value(a) == 1:
        inner = graph.operands(b, "negative")
        return graph.negative(graph.apply("/", a, *inner)) if inner else None
    return graph.product(a, graph.apply("/", graph.constant(1.0), b))


def _choice(graph: _Graph, mask: int, a: int, b: int) -> int | None:
    if (chosen := graph.value(mask)) is not None:
        return a if chosen else b
    return a if a == b else None


_SIMPLER: dict[str, Callable[..., int | None]] = {
    "negative": _negative,
    "+": _sum,
    "-": _difference,
    "*": _product,
    "/": _quotient,
    "where": _choice,
}


def _backward(graph: _Graph, results: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """Add the chain rule to the graph; return the node of the gradient with respect to each of `wanted`."""
    n = len(graph.nodes)
    active = set(wanted)
    for k in range(n):
        if active.intersection(graph.nodes[k].operands):
            active.add(k)
    zero = graph.constant(0.0)
    total = dict.fromkeys(active, zero)
    for o, result in enumerate(results):
        if result in active:
            total[result] = graph.apply("+", total[result], graph.leaf("d", str(o)))
    for k in sorted(active, reverse=True):
        if graph.value(total[k]) is None:
            for operand, share in _shares(graph, k, total[k]):
                if operand in active:
                    total[operand] = graph.apply("+", total[operand], share)
    return [total[k] for k in wanted]


def _shares(graph: _Graph, k: int, g: int) -> Iterator[tuple[int, int]]:
    """Yield each operand of node k, and what the gradient g with respect to the node adds to that of the operand."""
    operation, operands, _ = graph.nodes[k]
    a, b = operands[0] if operands else k, operands[-1] if operands else k
    one, zero = graph.constant(1.0), graph.constant(0.0)
    match operation:
        case "+":
            yield a, g
            yield b, g
        case "-":
            yield a, g
            yield b, graph.negative(g)
        case "*":
            yield a, graph.product(g, b)
            yield b, graph.product(g, a)
        case "/" if exponent := graph.operands(b, "expm1"):
            # d/dy 1/expm1(y) = -q (1 + q), q the reciprocal: 0 and no NaN where expm1(y) overflows
            yield exponent[0], graph.negative(graph.product(g, graph.product(k, graph.apply("+", k, one))))
        case "/":
            yield b, graph.negative(graph.product(g, graph.product(k, k)))
        case "negative":
            yield a, graph.negative(g)
        case "absolute":
            yield a, graph.where(graph.apply("<", a, zero), graph.negative(g), g)
        case "exp":
            yield a, graph.product(g, k)
        case "expm1":
            yield a, graph.product(g, graph.apply("+", k, one))
        case "log":
            yield a, graph.product(g, graph.apply("/", one, a))
        case "sqrt":
            yield a, graph.product(g, graph.constant(0.5), graph.apply("/", one, k))
        case "tanh":
            yield a, graph.product(g, graph.apply("-", one, graph.product(k, k)))
        case "maximum" | "minimum":
            beyond = graph.apply(">" if operation == "maximum" else "<", a, b)
            yield a, graph.where(beyond, g, zero)
            yield b, graph.where(beyond, zero, g)
        case "where":
            yield operands[1], graph.where(a, g, zero)
            yield b, graph.where(a, zero, g)


def _written(graph: _Graph, gradients: Sequence[int]) -> tuple[list[str], frozenset[tuple[str, str]]]:
    """Return the lines that work out the gradients, and the leaves that they read."""
    lines: list[str] = []
    texts: dict[int, str] = {}
    reads: set[tuple[str, str]] = set()
    waiting = list(reversed(gradients))
    while waiting:
        k = waiting[-1]
        operation, operands, label = graph.nodes[k]
        missing = [a for a in operands if a not in texts]
        if missing:
            waiting += reversed(missing)
            continue
        waiting.pop()
        if k in texts:
            continue
        if operation == "constant":
            texts[k] = repr(label)
        elif operation == "leaf":
            argument, field = label
            texts[k] = f"d[{field}]" if argument == "d" else f"{argument}.{field}" if field else argument
            reads |= {label} if argument != "d" else set()
        else:
            texts[k] = f"t{len(lines)}"
            lines.append(f"{texts[k]} = {_line(operation, [texts[a] for a in operands])}")
    returned = [texts[k] if graph.value(k) is None else f"{texts[k]} * d[0]" for k in gradients]
    return [*lines, f"return ({', '.join(returned)},)"], frozenset(reads)


def _line(operation: str, operands: Sequence[str]) -> str:
    if operation == "negative":
        return f"-{operands[0]}"
    if operation in _INFIX.values():
        return f" {operation} ".join(operands)
    return f"np.{operation}({', '.join(operands)})"
