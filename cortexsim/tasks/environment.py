"""A task as a Gymnasium environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cortexsim import _checks
from cortexsim.tasks.task import Task

if TYPE_CHECKING:
    from cortexsim.tasks.gym import Actions, TaskEnvironment


def environment(task: Task, *, dt: float = 20.0, actions: Actions = "discrete", jitter: bool = True) -> TaskEnvironment:
    """Return the task as a `gymnasium.Env`: one trial per episode, without the warm-up, one time step per step.

    An observation is the input at that time, with the channels of ``task.inputs``. Within the windows of the task each
    step brings its share of reward; all else brings none. With discrete actions an agent that is right throughout (see
    `Task.right`) has the return 1, and any other the fraction of time at which it is right, windows by their weight.
    With continuous actions the return is minus the mean squared error, weighted in the same way. `info` holds the name
    of the epoch and the labels of the trial.

    Parameters
    ----------
    task
        One of ``cortexsim.tasks``, or your own.
    dt
        Length of a step in ms.
    actions
        "discrete": which of ``task.outputs`` is on (0 or 1 where there is only one). "continuous": the value of each,
        0 to 1.
    jitter
        Whether lengths of epochs vary from trial to trial.

    Returns
    -------
    gymnasium.Env
        ``reset(seed=...)`` repeats all trials that follow exactly.

    Raises
    ------
    ModuleNotFoundError
        If Gymnasium is not installed; it comes with the extra ``cortexsim[gym]``.
    TypeError, ValueError
        If an argument does not hold what it must.

    Examples
    --------
    >>> import cortexsim.tasks
    >>> env = environment(cortexsim.tasks.DelayedGo())
    >>> observation, info = env.reset(seed=0)
    >>> info["epoch"]
    'fixation'
    >>> observation, reward, terminated, truncated, info = env.step(0)
    """
    if not isinstance(task, Task):
        raise TypeError(f"Argument `task` must be a Task, but is {task!r}; cortexsim.tasks.by_name(...) returns one.")
    _checks.check_known(actions, ("discrete", "continuous"), what="kind of actions", where="environment")
    if actions == "continuous" and task.loss == "cross_entropy":
        raise ValueError(f"The outputs of {task.name!r} are classes; take actions='discrete'.")
    dt = _checks.check_positive("dt", dt, "ms")
    try:
        from cortexsim.tasks.gym import TaskEnvironment
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("gymnasium"):
            raise
        raise ModuleNotFoundError(
            "An environment needs Gymnasium, which is not installed; get it by: pip install 'cortexsim[gym]'",
            name=error.name,
        ) from error
    return TaskEnvironment(task, dt=dt, actions=actions, jitter=jitter)
