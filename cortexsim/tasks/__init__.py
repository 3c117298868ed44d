"""Tasks that networks learn: one class each, and all of them by name in `ALL`."""

from cortexsim._checks import check_known
from cortexsim.tasks.delayed_match import DelayedMatch
from cortexsim.tasks.delayed_response import DelayedResponse
from cortexsim.tasks.environment import environment
from cortexsim.tasks.n_back import NBack
from cortexsim.tasks.rule_reversal import RuleReversal
from cortexsim.tasks.task import Draw, Task, TaskEpoch, TaskWindow, Trials, Window
from cortexsim.tasks.yang2019 import (
    Anti,
    ContextDecisionMaking,
    DecisionMaking,
    DelayedAnti,
    DelayedDecisionMaking,
    DelayedDecisionMakingWithDistractors,
    DelayedGo,
    DelayedMatchToCategory,
    DelayedMatchToSample,
    DelayedNonMatchToCategory,
    DelayedNonMatchToSample,
    Go,
    MultiSensoryDecisionMaking,
    MultiSensoryDelayedDecisionMaking,
    ReactionTimeAnti,
    ReactionTimeGo,
    RingTask,
)

ALL: dict[str, Task] = {
    task.name: task
    for task in (
        Go(),
        ReactionTimeGo(),
        DelayedGo(),
        Anti(),
        ReactionTimeAnti(),
        DelayedAnti(),
        DecisionMaking(),
        DecisionMaking(modality=2),
        ContextDecisionMaking(),
        ContextDecisionMaking(modality=2),
        MultiSensoryDecisionMaking(),
        DelayedDecisionMaking(),
        DelayedDecisionMaking(modality=2),
        DelayedDecisionMakingWithDistractors(),
        DelayedDecisionMakingWithDistractors(modality=2),
        MultiSensoryDelayedDecisionMaking(),
        DelayedMatchToSample(),
        DelayedNonMatchToSample(),
        DelayedMatchToCategory(),
        DelayedNonMatchToCategory(),
        RuleReversal(),
        NBack(),
        DelayedMatch(),
        DelayedResponse(),
    )
}
"""The tasks by their abbreviation, with the times of the paper; `dataclasses.replace` changes one."""

DASC16: tuple[str, ...] = (
    *("go", "rtgo", "dgo", "anti", "rtanti", "danti", "dm", "ctxdm", "msdm", "ddm", "ddmd", "msddm"),
    *("dms", "dnms", "dmc", "dnmc"),
)
"""The 16 tasks of Soo, Goudar and Wang 2023: of the 20 of Yang et al. 2019 those in modality 1."""

ALIASES: dict[str, str] = {
    **{"dlygo": "dgo", "dlyanti": "danti", "dm1": "dm", "ctxdm1": "ctxdm", "multsendm": "msdm"},
    **{"dlydm1": "ddm", "dlydm2": "ddm2", "ctxdlydm1": "ddmd", "ctxdlydm2": "ddmd2", "multsendlydm": "msddm"},
}
"""Other names of the same tasks, those of Yang et al. 2019."""


def by_name(name: str) -> Task:
    """Return a task, with the times of the paper.

    Parameters
    ----------
    name
        Its abbreviation, as in `ALL`, or one of `ALIASES`.

    Returns
    -------
    Task

    Raises
    ------
    ValueError
        If there is none; the message names the nearest.

    Examples
    --------
    >>> by_name("dlygo") == by_name("dgo")
    True
    """
    return ALL[check_known(ALIASES.get(name, name), ALL, what="task", where="tasks")]


__all__ = [
    "ALIASES",
    "ALL",
    "DASC16",
    "Anti",
    "ContextDecisionMaking",
    "DecisionMaking",
    "DelayedAnti",
    "DelayedDecisionMaking",
    "DelayedDecisionMakingWithDistractors",
    "DelayedGo",
    "DelayedMatch",
    "DelayedMatchToCategory",
    "DelayedMatchToSample",
    "DelayedNonMatchToCategory",
    "DelayedNonMatchToSample",
    "DelayedResponse",
    "Draw",
    "Go",
    "MultiSensoryDecisionMaking",
    "MultiSensoryDelayedDecisionMaking",
    "NBack",
    "ReactionTimeAnti",
    "ReactionTimeGo",
    "RingTask",
    "RuleReversal",
    "Task",
    "TaskEpoch",
    "TaskWindow",
    "Trials",
    "Window",
    "by_name",
    "environment",
]
