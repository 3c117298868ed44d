"""Protocols of trials: delayed response, ping, decisions and sequences of items, each a Schedule with named epochs.

Defaults are those of FroudistWalsh2021: inputs E1_dendrite and E2_dendrite of V1, in pA. Any circuit with two
selective populations takes the same protocols, by naming its inputs with amplitudes in their unit: ("V1", "A", 0.3) and
("V1", "B", 0.3) in nA for MejiasWang2022, ("area", "E1", 0.02) and ("area", "E2", 0.02) in nA for WongWang2006.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cortexsim import _checks
from cortexsim.stimulus import Epoch, Schedule

Current = tuple[str, str, float]

TO_V1: tuple[Current, Current] = (("V1", "E1_dendrite", 100.0), ("V1", "E2_dendrite", 100.0))
"""The two items of Froudist-Walsh et al. 2021: 100 pA to the dendrites of E1 or E2 in V1."""


def working_memory(
    *,
    cue: Current = TO_V1[0],
    distractor: Current | None = None,
    probe: Current | None = None,
    fixation: float = 1000.0,
    cue_duration: float = 400.0,
    delay: float = 600.0,
    distractor_duration: float = 400.0,
    second_delay: float = 2600.0,
    probe_duration: float = 400.0,
) -> Schedule:
    """Return the delayed-response trial of the paper, with one distractor or none, of the same length either way.

    Parameters
    ----------
    cue, distractor, probe
        (area, input, amplitude in pA); None leaves the current out. Without a distractor its time belongs to the
        delay; without a probe the trial ends with the delay.
    fixation, cue_duration, delay, distractor_duration, second_delay, probe_duration
        In ms. The defaults are those of Froudist-Walsh et al. 2021, Fig. 5: a 5 s trial with the cue at 1 s and the
        distractor at 2 s.

    Returns
    -------
    Schedule
        Epochs "fixation", "cue", "delay", ("distractor", "delay 2",) ("probe").

    See Also
    --------
    delayed_response : any number of distractors.

    Examples
    --------
    >>> trial = working_memory(distractor=("V1", "E2_dendrite", 100))
    >>> trial.duration
    5000.0
    >>> trial.window("delay 2")
    (2400.0, 5000.0)
    """
    return delayed_response(
        cue=cue,
        distractors=(distractor,),
        probe=probe,
        fixation=fixation,
        cue_duration=cue_duration,
        delay=delay,
        distractor_duration=distractor_duration,
        final_delay=second_delay,
        probe_duration=probe_duration,
    )


def delayed_response(
    *,
    cue: Current = TO_V1[0],
    distractors: Sequence[Current | None] = (),
    probe: Current | None = None,
    fixation: float = 1000.0,
    cue_duration: float = 400.0,
    delay: float = 600.0,
    distractor_duration: float = 400.0,
    final_delay: float = 2600.0,
    probe_duration: float = 400.0,
) -> Schedule:
    """Return a delayed-response trial: fixation, cue, then a delay before each distractor, a last delay, (probe).

    Parameters
    ----------
    cue, distractors, probe
        (area, input, amplitude in the unit of the input). A distractor that is None leaves its time to the delay, so
        that trials with and without it can be paired.
    fixation, cue_duration, distractor_duration, probe_duration
        In ms.
    delay
        Before each distractor, in ms.
    final_delay
        After the last distractor, in ms. Without distractors the only delay is `delay` + `final_delay`.

    Returns
    -------
    Schedule
        Epochs "fixation", "cue", "delay", "distractor", "delay 2", "distractor 2", "delay 3" ..., ("probe").

    Raises
    ------
    TypeError
        If `distractors` is one current rather than a sequence of them.

    Examples
    --------
    >>> to_E2 = ("V1", "E2_dendrite", 100)
    >>> [e.name for e in delayed_response(distractors=[to_E2, to_E2]).epochs][2:]
    ['delay', 'distractor', 'delay 2', 'distractor 2', 'delay 3']
    """
    epochs = [Epoch("fixation", fixation), Epoch("cue", cue_duration, (cue,))]
    _check_several("distractors", distractors)
    for distractor in distractors:
        epochs += [Epoch("delay", delay), _distractor(distractor, distractor_duration)]
    if not distractors:
        epochs.append(Epoch("delay", delay))
    epochs.append(Epoch("delay", final_delay))
    if probe is not None:
        epochs.append(Epoch("probe", probe_duration, (probe,)))
    return _numbered(epochs)


def delayed_ping(
    *,
    cue: Current = TO_V1[0],
    distractors: Sequence[Current | None] = (),
    ping: Sequence[Current] = TO_V1,
    fixation: float = 11_000.0,
    stimulus_duration: float = 400.0,
    delay: float = 600.0,
    duration: float = 15_000.0,
) -> Schedule:
    """Return a trial that ends with a neutral ping: a current to both items, which reads out an activity-silent memory.

    Parameters
    ----------
    cue, distractors
        As in `delayed_response`.
    ping
        Currents to both items at once.
    fixation
        In ms; 11 s let facilitation and depression settle in the variant with short-term plasticity. The learning
        variant (Fig. 6) has 6000.
    stimulus_duration
        Of cue, distractors and ping, in ms.
    delay
        Before each distractor and before the ping, in ms.
    duration
        Of the whole trial, in ms; 13,000 in the learning variant.

    Returns
    -------
    Schedule
        Epochs "fixation", "cue", "delay", ("distractor", "delay 2",) "ping", "after the ping".

    Raises
    ------
    TypeError, ValueError
        If the ping ends at `duration` or later, or `distractors` or `ping` is one current rather than a sequence.

    References
    ----------
    Froudist-Walsh et al. 2021, Neuron 109:3500, doi 10.1016/j.neuron.2021.08.024: Fig. 4A by default (ping at 12 s),
    Fig. 4B with one distractor (distractor at 12 s, ping at 13 s).

    Examples
    --------
    >>> delayed_ping().window("ping"), delayed_ping(distractors=[("V1", "E2_dendrite", 100)]).window("ping")
    ((12000.0, 12400.0), (13000.0, 13400.0))
    """
    epochs = [Epoch("fixation", fixation), Epoch("cue", stimulus_duration, (cue,)), Epoch("delay", delay)]
    _check_several("distractors", distractors)
    _check_several("ping", ping)
    for distractor in distractors:
        epochs += [_distractor(distractor, stimulus_duration), Epoch("delay", delay)]
    epochs.append(Epoch("ping", stimulus_duration, tuple(ping)))
    end = math.fsum(e.duration for e in epochs)
    duration = _checks.check_positive("duration", duration, "ms")
    if end >= duration:
        raise ValueError(f"Argument `duration` must exceed the end of the ping, {end:g} ms, but is {duration:g} ms.")
    return _numbered([*epochs, Epoch("after the ping", duration - end)])


def decision_making(
    coherence: float,
    *,
    area: str = "area",
    inputs: tuple[str, str] = ("E1", "E2"),
    amplitude: float = 0.0156,
    fixation: float = 100.0,
    evidence_duration: float = 2000.0,
    delay: float = 500.0,
) -> Schedule:
    """Return a two-alternative decision: amplitude (1 + c/100) to one population, amplitude (1 - c/100) to the other.

    Parameters
    ----------
    coherence
        c in percent, -100 ... 100; above 0 it favours the first of the `inputs`.
    area, inputs
        Where the evidence enters. By default the area of `cortexsim.single_area()` and the inputs of WongWang2006; for
        the cortex area="V1", inputs=("E1_dendrite", "E2_dendrite"), amplitude=50 [pA], say.
    amplitude
        Current at coherence 0, in the unit of the inputs. The default is that of Wong and Wang 2006 in nA: 5.2e-4 nA/Hz
        times 30 Hz (see `WongWang2006.motion`).
    fixation, evidence_duration, delay
        In ms. In the delay the choice is to be remembered.

    Returns
    -------
    Schedule
        Epochs "fixation", "evidence", "delay".

    Raises
    ------
    ValueError
        If the coherence lies outside -100 ... 100.

    References
    ----------
    Wong and Wang 2006, J Neurosci 26:1314, doi 10.1523/JNEUROSCI.3733-05.2006.

    Examples
    --------
    >>> [p.amplitude for p in decision_making(50, amplitude=2).parts]
    [3.0, 1.0]
    """
    c = _checks.check_finite("coherence", coherence, "%")
    if abs(c) > 100:
        raise ValueError(f"Argument `coherence` must lie in -100 ... 100 %, but is {coherence} %.")
    amplitude = _checks.check_not_negative("amplitude", amplitude)
    first, second = inputs
    evidence = ((area, first, amplitude * (1 + c / 100)), (area, second, amplitude * (1 - c / 100)))
    return Schedule(
        [Epoch("fixation", fixation), Epoch("evidence", evidence_duration, evidence), Epoch("delay", delay)]
    )


@dataclass(frozen=True)
class ItemSequence(Schedule):
    """A Schedule of items shown one after the other, each to be compared with the one that was shown `n` before.

    Epochs are "fixation", "item 1", "gap 1", "item 2", "gap 2" ...

    Attributes
    ----------
    items : tuple of int
        1 or 2, in the order shown.
    n : int
        How many items back the comparison reaches.
    """

    items: tuple[int, ...]
    n: int

    def __init__(self, epochs: Sequence[Epoch], items: Sequence[int], n: int) -> None:
        super().__init__(epochs)
        object.__setattr__(self, "items", tuple(items))
        object.__setattr__(self, "n", n)

    @property
    def expected(self) -> tuple[int | None, ...]:
        """The item that should be in memory when each item is shown; None for the first `n`."""
        return (None,) * min(self.n, len(self.items)) + self.items[: -self.n]

    @property
    def matches(self) -> tuple[bool | None, ...]:
        """Whether each item is the expected one; None for the first `n`."""
        return tuple(None if e is None else e == k for k, e in zip(self.items, self.expected, strict=True))


def item_sequence(
    items: Sequence[int],
    *,
    n: int = 1,
    currents: tuple[Current, Current] = TO_V1,
    fixation: float = 1000.0,
    item_duration: float = 400.0,
    gap: float = 600.0,
    final_gap: float = 2600.0,
) -> ItemSequence:
    """Return a trial that shows a sequence of items.

    Parameters
    ----------
    items
        1 or 2, in the order shown.
    n
        How many items back each is compared; 1: with the item before, so that the last item shown is to be held.
    currents
        (area, input, amplitude in the unit of the input) of item 1 and of item 2.
    fixation, item_duration
        In ms.
    gap, final_gap
        After each item, and after the last, in ms.

    Returns
    -------
    ItemSequence
        Epochs "fixation", "item 1", "gap 1", "item 2", "gap 2" ...

    Raises
    ------
    TypeError, ValueError
        If an item is neither 1 nor 2, or there is none.

    Examples
    --------
    >>> trial = item_sequence([1, 2, 2])
    >>> trial.expected, trial.matches
    ((None, 1, 2), (None, False, True))
    """
    shown = [_checks.check_count(f"items[{k}]", item) for k, item in enumerate(items)]
    if not shown or max(shown) > 2:
        raise ValueError(f"Argument `items` must hold 1 and 2, at least one of them, but is {list(items)}.")
    _checks.check_count("n", n)
    epochs = [Epoch("fixation", fixation)]
    for k, item in enumerate(shown, start=1):
        epochs.append(Epoch(f"item {k}", item_duration, (currents[item - 1],)))
        epochs.append(Epoch(f"gap {k}", gap if k < len(shown) else final_gap))
    return ItemSequence(epochs, shown, n)


def n_back(
    n: int = 1,
    *,
    length: int = 10,
    match_share: float = 0.5,
    seed: int = 0,
    currents: tuple[Current, Current] = TO_V1,
    fixation: float = 1000.0,
    item_duration: float = 400.0,
    gap: float = 600.0,
) -> ItemSequence:
    """Return an n-back trial: a random sequence in which each item is to be compared with that shown `n` before.

    The first `n` items are 1 or 2 with equal chances; each later one equals its predecessor `n` before with probability
    `match_share`.

    Parameters
    ----------
    n
        How many items back.
    length
        Number of items, above `n`.
    match_share
        0 ... 1.
    seed
        Of NumPy's generator; one trial each for several seeds makes an experiment.
    currents, fixation, item_duration, gap
        As in `item_sequence`; times in ms.

    Returns
    -------
    ItemSequence
        Its `expected` and `matches` say what is right.

    Raises
    ------
    TypeError, ValueError
        If an argument does not hold what it must.

    Examples
    --------
    >>> trials = [n_back(2, length=5, seed=seed) for seed in range(3)]
    >>> [trial.items for trial in trials]
    [(2, 2, 2, 2, 2), (1, 2, 2, 2, 1), (2, 1, 2, 2, 2)]
    """
    _checks.check_count("n", n)
    _checks.check_count("length", length, least=n + 1)
    if not 0 <= _checks.check_finite("match_share", match_share) <= 1:
        raise ValueError(f"Argument `match_share` must lie in 0 ... 1, but is {match_share:g}.")
    rng = np.random.default_rng(_checks.check_count("seed", seed, least=0))
    items = [int(item) for item in rng.integers(1, 3, n)]
    for same in rng.random(length - n) < match_share:
        items.append(items[-n] if same else 3 - items[-n])
    return item_sequence(
        items, n=n, currents=currents, fixation=fixation, item_duration=item_duration, gap=gap, final_gap=gap
    )


def _check_several(name: str, currents: Sequence[object]) -> None:
    """Raise TypeError if one current stands where a sequence of them must."""
    if any(isinstance(part, str) for part in currents):
        raise TypeError(
            f"Argument `{name}` must be a sequence of (area, input, amplitude), but is one alone, {currents!r}; "
            f"write [{currents!r}]."
        )


def _distractor(current: Current | None, duration: float) -> Epoch:
    return Epoch("delay", duration) if current is None else Epoch("distractor", duration, (current,))


def _numbered(epochs: Iterable[Epoch]) -> Schedule:
    """Return the Schedule in which neighbouring delays are one and a name that comes again carries its number."""
    named: list[Epoch] = []
    times_seen: dict[str, int] = {}
    for (name, currents), same in itertools.groupby(epochs, key=lambda e: (e.name, e.currents)):
        count = times_seen[name] = times_seen.get(name, 0) + 1
        duration = math.fsum(e.duration for e in same)
        named.append(Epoch(name if count == 1 else f"{name} {count}", duration, currents))
    return Schedule(named)
