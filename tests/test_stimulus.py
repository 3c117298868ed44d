"""Stimuli as values, and what they sample to."""

import dataclasses
import json

import numpy as np
import pytest

import cortexsim as cx
from cortexsim.stimulus import sample


def pulse(**changes):
    return cx.Pulse(**{"area": "V1", "input": "E1", "onset": 10, "duration": 5, "amplitude": 2, **changes})


def test_a_pulse_acts_from_its_onset_to_just_before_its_end():
    times = np.arange(40) * 0.5
    assert np.flatnonzero(pulse().sample(times)).tolist() == list(range(20, 30))


def test_rounding_of_the_times_moves_no_border():
    """1400 ms in steps of .1 ms is 13999.999999999998 steps in floating point."""
    times = np.arange(20_000) * 0.1
    on = np.flatnonzero(pulse(onset=1000, duration=400).sample(times))
    assert (on[0], on[-1]) == (10_000, 13_999)


def test_step_ramp_and_sine_follow_their_formula():
    times = np.array([0.0, 10.0, 15.0, 19.5, 20.0, 100.0])
    where = {"area": "V1", "input": "E1", "onset": 10, "amplitude": 4}
    assert cx.Step(**where).sample(times).tolist() == [0, 4, 4, 4, 4, 4]
    assert cx.Ramp(**where, duration=10).sample(times).tolist() == [0, 0, 2, 3.8, 0, 0]
    sine = cx.Sine(**where, duration=10, frequency=50, phase=np.pi / 2).sample(times)
    np.testing.assert_allclose(sine, [0, 4, 0, 4 * np.cos(0.95 * np.pi), 0, 0], atol=1e-12)


def test_stimuli_add_in_any_grouping():
    a, b, c = pulse(), pulse(input="E2"), pulse(onset=0)
    assert ((a + b) + c).parts == (a + (b + c)).parts == sum([a, b, c]).parts == (a, b, c)
    both = sample([a + pulse(amplitude=3)], [("V1", "E1")], np.array([12.0]))
    assert both.tolist() == [[[5.0]]]


def test_stimuli_are_values():
    assert pulse() == pulse()
    assert hash(pulse()) == hash(pulse())
    assert pulse() != pulse(onset=11)
    with pytest.raises(dataclasses.FrozenInstanceError):
        pulse().onset = 3


def test_json_of_a_stimulus_builds_it_again():
    parts = json.loads((pulse() + cx.Step(area="V1", input="E2", onset=0, amplitude=1)).to_json())
    assert [p.pop("type") for p in parts] == ["Pulse", "Step"]
    assert cx.Pulse(**parts[0]) == pulse()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"duration": 0}, ValueError, "`duration` must be positive, but is 0 ms"),
        ({"onset": np.nan}, ValueError, "`onset` must be finite"),
        ({"amplitude": "big"}, TypeError, "`amplitude` must be a number, but is 'big'"),
        ({"area": ("V1", "V2")}, TypeError, r"`area` of Pulse must be a string.*one Pulse per area with \+"),
        ({"input": 3}, TypeError, "`input` of Pulse must be a string"),
    ],
)
def test_bad_fields_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        pulse(**changes)


def test_adding_something_else_is_refused():
    with pytest.raises(TypeError):
        pulse() + 3


def test_the_working_memory_schedule_has_the_papers_times():
    trial = cx.working_memory(distractor=("V1", "E2_dendrite", 100), probe=("V1", "E1_dendrite", 20))
    assert trial.duration == 5400
    assert [trial.window(e.name) for e in trial.epochs] == [
        (0, 1000),
        (1000, 1400),
        (1400, 2000),
        (2000, 2400),
        (2400, 5000),
        (5000, 5400),
    ]
    cue, distractor, probe = trial.parts
    assert cue == cx.Pulse(area="V1", input="E1_dendrite", onset=1000, duration=400, amplitude=100, name="cue")
    assert (distractor.onset, distractor.input, probe.amplitude) == (2000, "E2_dendrite", 20)
    assert cx.working_memory().window("delay") == (1400, 5000)


def test_a_schedule_names_each_epoch_once_and_knows_them():
    with pytest.raises(ValueError, match="'delay' stands twice"):
        cx.Schedule([cx.Epoch("delay", 10), cx.Epoch("delay", 20)])
    with pytest.raises(ValueError, match="at least one epoch"):
        cx.Schedule([])
    with pytest.raises(ValueError, match="did you mean 'delay'"):
        cx.working_memory().onset("dealy")
    with pytest.raises(ValueError, match=r"must be \(area, input, amplitude\)"):
        cx.Epoch("cue", 10, (("V1", "E1"),))
    with pytest.raises(ValueError, match="epoch 'cue'` must be positive"):
        cx.Epoch("cue", -1)


def test_a_schedule_says_how_long_the_trial_lasts_with_whatever_adds_to_it(model):
    trial = cx.Schedule([cx.Epoch("cue", 20, (("V1", "E1_dendrite", 100.0),)), cx.Epoch("delay", 30)])
    cut = trial + cx.Lesion(areas=["LIP"])
    assert (trial.trial_duration, cut.trial_duration, cx.Lesion(areas=["LIP"]).trial_duration) == (50.0, 50.0, None)
    assert cx.simulate(model, cut).attrs["duration_ms"] == 50
    assert cx.simulate(model, [trial, cut, None], trials=3).attrs["duration_ms"] == 50
    longer = cx.Schedule([cx.Epoch("cue", 80)])
    with pytest.raises(ValueError, match="the schedules last 50, 80 ms; pass `duration`"):
        cx.simulate(model, [trial, longer], trials=2)
