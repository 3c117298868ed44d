"""Tasks as Gymnasium environments: imported only where one is made, since Gymnasium is an extra."""

from __future__ import annotations

from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from cortexsim.tasks.task import Task, Trials

Actions = Literal["discrete", "continuous"]


class TaskEnvironment(gymnasium.Env):  # type: ignore[misc]
    """One trial per episode, one time step per step; see `cortexsim.tasks.environment`."""

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium declares it so

    def __init__(
        self,
        task: Task,
        *,
        dt: float = 20.0,
        actions: Actions = "discrete",
        jitter: bool = True,
        render_mode: None = None,
    ) -> None:
        self.task, self.dt, self.actions, self.jitter, self.render_mode = task, dt, actions, jitter, render_mode
        low, high = task.input_bounds
        number = len(task.outputs)
        self.observation_space = spaces.Box(low, high, (len(task.inputs),), np.float32)
        self.action_space = (
            spaces.Box(0.0, 1.0, (number,), np.float32) if actions == "continuous" else spaces.Discrete(max(number, 2))
        )
        self.spec = EnvSpec(
            f"cortexsim/{task.name}-v0",
            entry_point="cortexsim.tasks.gym:TaskEnvironment",
            kwargs={"task": task, "dt": dt, "actions": actions, "jitter": jitter},
        )
        self._time, self._inputs = 0, np.empty((0, len(task.inputs)), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin a trial: a new one each time, the same ones after the same seed.

        Parameters
        ----------
        seed
            Of all trials to come.
        options
            None are known.

        Raises
        ------
        ValueError
            If an input of the trial lies outside the observation space.
        """
        super().reset(seed=seed)
        if options:
            raise ValueError(f"Argument `options` must be empty, since this environment knows none, but is {options}.")
        self._trials = self.task.trials(1, seed=int(self.np_random.integers(2**62)), dt=self.dt, jitter=self.jitter)
        _check_bounds(self._trials)
        self._inputs = np.repeat(self._trials.inputs_by_epoch[:, 0], self._trials.lengths, axis=0).astype(np.float32)
        self._time = 0
        return self._observation(), self._info()

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Take the answer at this time step and go to the next; the trial ends with its last.

        Parameters
        ----------
        action
            Position of an output, or the values of all outputs.

        Raises
        ------
        ValueError
            If the action is none of these.
        gymnasium.error.ResetNeeded
            If no trial has begun, or it has ended.
        """
        if self._time == len(self._inputs):
            raise ResetNeeded("A trial must have begun, and not ended, before `step`; call `reset`.")
        outputs = self._outputs(action)
        reward = self._reward(outputs)
        self._feed_back(outputs)
        self._time += 1
        return self._observation(), reward, self._time == len(self._inputs), False, self._info()

    def _outputs(self, action: Any) -> NDArray[np.float64]:
        number = len(self.task.outputs)
        if self.actions == "continuous":
            values = np.asarray(action, dtype=np.float64)
            if values.shape != (number,):
                raise ValueError(f"Argument `action` must have the shape ({number},), but has {values.shape}.")
            return values
        if action not in self.action_space:
            raise ValueError(f"Argument `action` must be from 0 to {max(number, 2) - 1}, but is {action!r}.")
        return np.array([float(action)]) if number == 1 else np.asarray(np.eye(number)[action])

    def _reward(self, outputs: NDArray[np.float64]) -> float:
        """Return this step's share of the episode's return."""
        total = sum(w.weight for w in self._trials.windows)
        for window in self._trials.windows:
            if window.start <= self._time < window.stop:
                share = window.weight / total / (window.stop - window.start)
                if self.actions == "continuous":
                    return -share * float(np.mean((outputs - window.target[0]) ** 2))
                return share * float(self.task.right(outputs[np.newaxis], window.target)[0])
        return 0.0

    def _feed_back(self, outputs: NDArray[np.float64]) -> None:
        """Put the answer's consequence into the epoch that starts next, if it is one with feedback."""
        borders = self._trials.borders
        for epoch in self._trials.feedback_inputs:
            if self._time + 1 == borders[epoch]:
                told = self._trials.feedback(epoch, outputs[np.newaxis, np.newaxis])[0, 0]
                self._inputs[borders[epoch] : borders[epoch + 1]] = told

    def _observation(self) -> NDArray[np.float32]:
        """Return the input now; after the last step, the last one again."""
        return np.array(self._inputs[min(self._time, len(self._inputs) - 1)])

    def _info(self) -> dict[str, Any]:
        trials = self._trials
        epoch = int(np.searchsorted(trials.borders[1:-1], self._time, side="right"))
        return {"epoch": trials.epochs[epoch], "labels": {k: _plain(v[0]) for k, v in trials.labels.items()}}


def _plain(value: Any) -> Any:
    """Return Python's numbers, None for NaN, so that equal infos compare equal."""
    value = value.tolist()
    return None if isinstance(value, float) and np.isnan(value) else value


def _check_bounds(trials: Trials) -> None:
    low, high = trials.task.input_bounds
    inputs = [trials.inputs_by_epoch, *trials.feedback_inputs.values()]
    least, most = min(x.min() for x in inputs), max(x.max() for x in inputs)
    if not low <= least <= most <= high:
        raise ValueError(
            f"Inputs of {trials.task.name!r} must lie within its `input_bounds`, {low:g} to {high:g}, but go from "
            f"{least:g} to {most:g}; give the task other `input_bounds`."
        )
