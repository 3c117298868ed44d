"""Delayed response with two alternatives: what is shown when, what counts, and how it is scored."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from cortexsim.tasks import DelayedResponse

MANY = 1000
FAIR = 0.065  # four standard errors of the share of heads in that many throws
DISTRACTED = DelayedResponse(distractor=250, strength=0.8, distractor_strength=1.2)


def answering(trials, answers):
    """Outputs (1, step, trial, output) of .6 for the answers, 0 or 1, and .4 for the other alternative."""
    one = 0.4 + 0.2 * np.eye(2)[answers]
    return np.repeat(one[np.newaxis, np.newaxis], trials.steps, axis=1)


def test_the_cue_the_distractor_and_go_are_shown_in_their_epochs_and_nothing_else():
    trials = DISTRACTED.trials(MANY)
    assert trials.epochs == ("fixation", "cue", "delay", "distractor", "second delay", "response")
    cue, rows = trials.labels["cue"] - 1, np.arange(MANY)
    expected = np.zeros((6, MANY, 3))
    expected[1, rows, cue] = 0.8
    expected[3, rows, 1 - cue] = 1.2
    expected[5, :, 2] = 1.0
    assert_array_equal(trials.inputs_by_epoch, expected)
    assert abs(cue.mean() - 0.5) < FAIR


def test_the_target_is_the_cued_alternative_in_the_response_after_the_grace_alone():
    trials = DISTRACTED.trials(20, jitter=False)
    (window,) = trials.windows
    assert (window.name, window.start, window.stop) == ("response", 410, 450)  # 2000 ms of 2250, and 50 of grace
    assert_array_equal(window.target.argmax(axis=1) + 1, trials.labels["cue"])
    assert_array_equal(window.target.sum(axis=1), np.ones(20))


def test_without_a_distractor_its_epochs_are_left_out():
    trials = DelayedResponse().trials(20, jitter=False)
    assert trials.epochs == ("fixation", "cue", "delay", "response")
    assert_array_equal(trials.lengths * trials.dt, [250, 250, 750, 250])
    assert trials.warmup * trials.dt == 500
    assert not trials.labels["distractor"].any()
    assert not trials.labels["distracted"].any()


def test_only_delays_vary_in_length():
    lengths = np.array([DISTRACTED.trials(1, step=step).lengths for step in range(200)])
    assert_array_equal(np.ptp(lengths, axis=0) > 0, [False, False, True, False, True, False])
    assert (lengths[:, 2].min(), lengths[:, 2].max()) == (130, 169)  # 750 ms, jitter of 100 ms, steps of 5 ms


def test_a_random_distractor_is_the_cue_in_half_of_the_trials_and_says_so():
    trials = dataclasses.replace(DISTRACTED, distractor_choice="random").trials(MANY)
    cue, distractor, distracted = (trials.labels[k] for k in ("cue", "distractor", "distracted"))
    assert_array_equal(trials.inputs_by_epoch[3].argmax(axis=1) + 1, distractor)
    assert_array_equal(distracted, cue != distractor)
    assert abs(distracted.mean() - 0.5) < FAIR
    assert abs((distractor == 1).mean() - 0.5) < FAIR
    assert_array_equal(trials.windows[0].target.argmax(axis=1) + 1, cue)


def test_a_distractor_of_no_strength_leaves_the_same_trials_without_it():
    one, none = DISTRACTED.trials(50), dataclasses.replace(DISTRACTED, distractor_strength=0).trials(50)
    assert_array_equal(one.lengths, none.lengths)
    assert_array_equal(one.labels["cue"], none.labels["cue"])
    assert_array_equal(np.delete(one.inputs_by_epoch, 3, axis=0), np.delete(none.inputs_by_epoch, 3, axis=0))
    assert not none.inputs_by_epoch[3].any()
    assert not none.labels["distractor"].any()
    assert not none.labels["distracted"].any()


def test_performance_is_the_share_of_trials_whose_mean_answer_is_the_cue():
    trials = DISTRACTED.trials(40)
    cue = trials.labels["cue"] - 1
    answers = np.where(np.arange(40) < 30, cue, 1 - cue)
    outputs = answering(trials, answers)
    assert DISTRACTED.performance(outputs, trials) == [0.75]
    assert DISTRACTED.performance(np.full_like(outputs, 0.5), trials) == [0]  # undecided is not right


def test_the_mean_over_the_response_counts_not_how_long_each_alternative_leads():
    trials = DISTRACTED.trials(10)
    cue = trials.labels["cue"] - 1
    outputs = answering(trials, cue)
    stop = trials.windows[0].stop
    outputs[:, stop - 15 : stop] = np.eye(2)[1 - cue]  # 15 steps of 1 to 0 against 25 of .6 to .4
    assert DISTRACTED.performance(outputs, trials) == [0]


def test_what_comes_before_the_response_has_no_part_in_the_score():
    trials = DISTRACTED.trials(10)
    outputs = answering(trials, trials.labels["cue"] - 1)
    outputs[:, : trials.windows[0].start] = np.nan
    assert DISTRACTED.performance(outputs, trials) == [1]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"delay": 0}, "`delay` must be positive"),
        ({"second_delay": -1}, "`second_delay` must be positive"),
        ({"distractor": -1}, "`distractor` must not be negative"),
        ({"strength": -1}, "`strength` must not be negative"),
        ({"distractor_strength": float("nan")}, "`distractor_strength` must be"),
        ({"distractor_choice": "others"}, "did you mean 'other'"),
    ],
)
def test_wrong_arguments_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        DelayedResponse(**wrong)
