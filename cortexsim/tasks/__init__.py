"""Tasks that networks learn: one class each, and all of them by name in `ALL`."""

from cortexsim.tasks.task import Draw, Task, TaskEpoch, TaskWindow, Trials, Window
from cortexsim.tasks.yang2019 import Anti, DelayedAnti, DelayedGo, Go, ReactionTimeAnti, ReactionTimeGo, RingTask

ALL: dict[str, Task] = {
    task.name: task for task in (Go(), ReactionTimeGo(), DelayedGo(), Anti(), ReactionTimeAnti(), DelayedAnti())
}
"""The tasks by their abbreviation, with the times of the paper; `dataclasses.replace` changes one."""

__all__ = [
    "ALL",
    "Anti",
    "DelayedAnti",
    "DelayedGo",
    "Draw",
    "Go",
    "ReactionTimeAnti",
    "ReactionTimeGo",
    "RingTask",
    "Task",
    "TaskEpoch",
    "TaskWindow",
    "Trials",
    "Window",
]
