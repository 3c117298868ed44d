"""Steps down the gradient: stochastic gradient descent, Adam, and how their learning rate changes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cortexsim import _checks
from cortexsim.rnn.learner import Stack
from cortexsim.rnn.network import Array


class LearningRate(ABC):
    """A learning rate that depends on the training step."""

    @abstractmethod
    def at(self, step: int) -> float:
        """Return the learning rate of a training step, counted from 0."""


@dataclass(frozen=True)
class Exponential(LearningRate):
    """The learning rate start * factor^(step / every)."""

    start: float
    factor: float = 0.5
    every: int = 10_000

    def __post_init__(self) -> None:
        _checks.check_positive("start", self.start)
        _checks.check_positive("factor", self.factor)
        _checks.check_count("every", self.every)

    def at(self, step: int) -> float:
        """Return the learning rate of a training step, counted from 0."""
        return float(self.start * self.factor ** (step / self.every))


@dataclass(frozen=True)
class Cosine(LearningRate):
    """The learning rate end + (start - end) (1 + cos(pi step / steps)) / 2, and `end` after `steps`."""

    start: float
    steps: int
    end: float = 0.0

    def __post_init__(self) -> None:
        _checks.check_positive("start", self.start)
        _checks.check_not_negative("end", self.end)
        _checks.check_count("steps", self.steps)

    def at(self, step: int) -> float:
        """Return the learning rate of a training step, counted from 0."""
        share = min(step / self.steps, 1.0)
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class Piecewise(LearningRate):
    """The learning rate values[k] from step borders[k - 1] on, values[0] from the start."""

    values: tuple[float, ...]
    borders: tuple[int, ...]

    def __post_init__(self) -> None:
        for value in self.values:
            _checks.check_not_negative("values", value)
        if len(self.values) != len(self.borders) + 1 or list(self.borders) != sorted(set(self.borders)):
            raise ValueError(
                f"Piecewise needs one value more than rising borders, but has {self.values} and {self.borders}."
            )

    def at(self, step: int) -> float:
        """Return the learning rate of a training step, counted from 0."""
        return float(self.values[sum(step >= border for border in self.borders)])


class Moments(NamedTuple):
    """What an optimizer remembers: steps since its start, and running means (SGD leaves the second empty)."""

    steps: int
    first: Stack
    second: Stack


@dataclass(frozen=True)
class Optimizer(ABC):
    """A way to go down the gradient. What one makes is `Adam` or `SGD`.

    Parameters
    ----------
    learning_rate
        A number, or one of `Exponential`, `Cosine`, `Piecewise`.
    clip_norm
        Gradients longer than this, over all parameters of one network, are shortened to it; None: never.
    """

    learning_rate: float | LearningRate = 2e-3
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.learning_rate, LearningRate):
            _checks.check_not_negative("learning_rate", self.learning_rate)
        if self.clip_norm is not None:
            _checks.check_positive("clip_norm", self.clip_norm)

    def rate(self, step: int) -> float:
        """Return the learning rate of a training step, counted from 0."""
        if isinstance(self.learning_rate, LearningRate):
            return self.learning_rate.at(step)
        return float(self.learning_rate)

    def clipped(self, gradient: Stack, norms: Array) -> Stack:
        """Return the gradient, shortened where its norm is too long."""
        if self.clip_norm is None or not (norms > self.clip_norm).any():
            return gradient
        factor = np.minimum(1.0, self.clip_norm / np.maximum(norms, np.finfo(float).tiny))
        return gradient._make(_by_network(factor, g) * g for g in gradient)

    @abstractmethod
    def start(self, parameters: Stack) -> Moments:
        """Return what it remembers before the first step."""

    @abstractmethod
    def update(self, parameters: Stack, gradient: Stack, moments: Moments, rate: float) -> tuple[Stack, Moments]:
        """Return the parameters after a step, and what to remember; a pure function."""


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent: v <- momentum v + g, p <- p - learning_rate v.

    Parameters
    ----------
    learning_rate, clip_norm
        See `Optimizer`.
    momentum
        0 to 1.
    """

    momentum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_decay("momentum", self.momentum)

    def start(self, parameters: Stack) -> Moments:
        """Return zeros."""
        empty = parameters._make(p[:, :0] for p in parameters)
        return Moments(0, parameters._make(map(np.zeros_like, parameters)), empty)

    def update(self, parameters: Stack, gradient: Stack, moments: Moments, rate: float) -> tuple[Stack, Moments]:
        """Return the parameters after a step, and what to remember."""
        first = gradient._make(self.momentum * v + g for v, g in zip(moments.first, gradient, strict=True))
        moved = parameters._make(p - rate * v for p, v in zip(parameters, first, strict=True))
        return moved, Moments(moments.steps + 1, first, moments.second)


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam, with epsilon as in Keras.

    In step t = 1, 2, ... m and v are the running means of the gradient and of its square, and

        p <- p - learning_rate sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon).

    Parameters
    ----------
    learning_rate, clip_norm
        See `Optimizer`; 2e-3 is that of Soo, Goudar and Wang for 50 units (.1 / units).
    beta1, beta2
        Decay of the running means, 0 to 1.
    epsilon
        Keras's default is 1e-7.

    References
    ----------
    Kingma & Ba 2015, arXiv 1412.6980.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-7

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_decay("beta1", self.beta1)
        _check_decay("beta2", self.beta2)
        _checks.check_positive("epsilon", self.epsilon)

    def start(self, parameters: Stack) -> Moments:
        """Return zeros."""
        zeros = parameters._make(map(np.zeros_like, parameters))
        return Moments(0, zeros, zeros)

    def update(self, parameters: Stack, gradient: Stack, moments: Moments, rate: float) -> tuple[Stack, Moments]:
        """Return the parameters after a step, and what to remember."""
        t = moments.steps + 1
        step = rate * math.sqrt(1 - self.beta2**t) / (1 - self.beta1**t)
        moved, first, second = [], [], []
        for p, g, m, v in zip(parameters, gradient, moments.first, moments.second, strict=True):
            m = m + (1 - self.beta1) * (g - m)
            v = v + (1 - self.beta2) * (g * g - v)
            moved.append(p - step * m / (np.sqrt(v) + self.epsilon))
            first.append(m)
            second.append(v)
        made = parameters._make
        return made(moved), Moments(t, made(first), made(second))


def norms(gradient: Sequence[Array]) -> Array:
    """Return the length of each network's gradient over all parameters, shape (network,)."""
    flat = (g.reshape(len(g), -1) for g in gradient)
    squares = np.sum([np.einsum("nk,nk->n", g, g, dtype=np.float64) for g in flat], axis=0)
    return np.asarray(np.sqrt(squares))


def _by_network(factor: Array, values: Array) -> Array:
    return factor.astype(values.dtype).reshape(-1, *(1,) * (values.ndim - 1))


def _check_decay(name: str, value: float) -> None:
    if not 0 <= _checks.check_finite(name, value) < 1:
        raise ValueError(f"Argument `{name}` must be at least 0 and below 1, but is {value}.")
