"""What `train` can train, whatever it is made of: its outputs, its time step, and compiled passes through trials."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cortexsim.rnn.loss import Penalties
    from cortexsim.rnn.network import Array
    from cortexsim.rnn.rules import Rule
    from cortexsim.tasks.task import Task, Trials

Stack: TypeAlias = Any
"""Weights of a stack of learners: a named tuple of arrays, each with the networks as its first axis."""


class Runner(Protocol):
    """Compiled passes of a learner through batches of trials; see `Passes`."""

    threads: int
    dtype: np.dtype[Any]

    @property
    def compiled(self) -> bool:
        """Whether the machine code is in memory or on disk already."""

    def gradients(
        self,
        parameters: Stack,
        trials: Trials,
        rule: Rule,
        *,
        penalties: Penalties | None = None,
        seed: int = 0,
        step: int = 0,
        parts: int = 1,
        noise: bool = True,
    ) -> tuple[Array, Stack]:
        """Return the loss of each network, and its gradient."""

    def outputs(
        self,
        parameters: Stack,
        trials: Trials,
        rule: Rule,
        *,
        seed: int = 0,
        step: int = 0,
        noise: bool = True,
        steps: NDArray[np.int64] | None = None,
        rates: bool = False,
    ) -> Iterator[tuple[Array, Array | None]]:
        """Yield the outputs (time, trial, output) of one network after the other, and its rates."""

    def __enter__(self) -> Runner: ...

    def __exit__(self, *_: object) -> None: ...


class Learner(Protocol):
    """What `train` can train: `Network`, `GatedNetwork`, `Hybrid`."""

    @property
    def dt(self) -> float:
        """Time step in ms."""

    @property
    def units(self) -> int:
        """Number of units, which the default learning rate follows from."""

    @property
    def constrained(self) -> bool:
        """Whether `settled` changes weights at all."""

    def check(self, parameters: Stack) -> None:
        """Raise ValueError unless parameters fit."""

    def check_task(self, task: Task) -> None:
        """Raise ValueError unless it can do the task."""

    def settled(self, parameters: Stack) -> Stack:
        """Return the parameters nearest to these that its constraints allow."""

    def passes(self, dtype: Any, threads: int | None, credit: str | None) -> Runner:
        """Return compiled passes; `credit` says through what the gradient goes, None by default."""
