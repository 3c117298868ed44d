"""Protocols of trials: their epochs, times and currents, and what is expected in them."""

import numpy as np
import pytest

import cortexsim as cx
from cortexsim import protocols
from cortexsim.circuits import WongWang2006

TO_E1, TO_E2 = protocols.TO_V1


def windows(trial):
    return {e.name: trial.window(e.name) for e in trial.epochs}


def test_with_and_without_distractor_the_working_memory_trial_lasts_as_long():
    alone, distracted = cx.working_memory(), cx.working_memory(distractor=TO_E2)
    assert alone.duration == distracted.duration == 5000
    assert windows(alone) == {"fixation": (0, 1000), "cue": (1000, 1400), "delay": (1400, 5000)}
    assert windows(distracted)["delay 2"] == (2400, 5000)
    assert cx.working_memory(second_delay=600, probe=TO_E1).window("probe") == (3000, 3400)


def test_any_number_of_distractors_follows_the_cue_each_after_a_delay():
    trial = protocols.delayed_response(distractors=[TO_E2, TO_E1, TO_E2], delay=500)
    assert [(p.name, p.input, p.onset) for p in trial.parts] == [
        ("cue", "E1_dendrite", 1000),
        ("distractor", "E2_dendrite", 1900),
        ("distractor 2", "E1_dendrite", 2800),
        ("distractor 3", "E2_dendrite", 3700),
    ]
    assert trial.epochs[-1] == cx.Epoch("delay 4", 2600)
    assert windows(protocols.delayed_response())["delay"] == (1400, 4600)


def test_a_distractor_left_out_leaves_its_time_to_the_delay():
    paired = protocols.delayed_response(distractors=[None, TO_E2])
    both = protocols.delayed_response(distractors=[TO_E1, TO_E2])
    assert paired.parts[1].onset == both.parts[2].onset == 3000
    assert windows(paired)["delay"] == (1400, 3000)


def test_one_current_instead_of_several_is_refused_with_what_to_write():
    for protocol in (protocols.delayed_response, protocols.delayed_ping):
        with pytest.raises(TypeError, match=r"`distractors` .*; write \[\('V1', 'E2_dendrite', 100.0\)\]"):
            protocol(distractors=TO_E2)
    with pytest.raises(TypeError, match="`ping` must be a sequence"):
        protocols.delayed_ping(ping=TO_E2)


def test_the_ping_comes_at_the_published_times():
    """Steps of 0.5 ms in the authors' program: target 22000, ping 24000 (Fig. 4A) or distractor there, ping 26000."""
    silent, distracted = protocols.delayed_ping(), protocols.delayed_ping(distractors=[TO_E2])
    assert [(p.input, p.window) for p in silent.parts] == [
        ("E1_dendrite", (11000, 11400)),
        ("E1_dendrite", (12000, 12400)),
        ("E2_dendrite", (12000, 12400)),
    ]
    assert [distracted.onset(name) for name in ("cue", "distractor", "ping")] == [11000, 12000, 13000]
    assert silent.duration == distracted.duration == 15000
    learning = protocols.delayed_ping(distractors=[TO_E2], fixation=6000, duration=13_000)
    assert [learning.onset(name) for name in ("cue", "distractor", "ping")] == [6000, 7000, 8000]
    with pytest.raises(ValueError, match="must exceed the end of the ping, 12400 ms, but is 12400 ms"):
        protocols.delayed_ping(duration=12_400)


def test_evidence_of_a_decision_is_that_of_wong_and_wang():
    drawn = protocols.decision_making(25.6, fixation=100, evidence_duration=900)
    motion = WongWang2006.motion(25.6, onset=100, duration=900)
    times = np.arange(0, 1500, 50.0)
    for one, other in zip(drawn.parts, motion.parts, strict=True):
        assert (one.area, one.input, one.name) == (other.area, other.input, "evidence")
        np.testing.assert_allclose(one.sample(times), other.sample(times), rtol=1e-14)  # a product in another order
    with pytest.raises(ValueError, match="must lie in -100 ... 100 %, but is 101"):
        protocols.decision_making(101)


def test_a_sequence_knows_its_items_and_what_each_is_compared_with():
    trial = protocols.item_sequence([1, 2, 2, 1], n=2)
    assert trial.items == (1, 2, 2, 1)
    assert trial.expected == (None, None, 1, 2)
    assert trial.matches == (None, None, False, False)
    assert [p.input for p in trial.parts] == ["E1_dendrite", "E2_dendrite", "E2_dendrite", "E1_dendrite"]
    assert trial.window("gap 3") == (3400, 4000)
    assert trial.duration == 7000
    assert protocols.item_sequence([1], n=3).expected == (None,)
    with pytest.raises(ValueError, match=r"must hold 1 and 2, at least one of them, but is \[1, 3\]"):
        protocols.item_sequence([1, 3])
    with pytest.raises(ValueError, match=r"`items\[0\]` must be at least 1, but is 0"):
        protocols.item_sequence([0])


def test_n_back_trials_repeat_by_seed_and_match_as_often_as_asked():
    assert protocols.n_back(seed=3) == protocols.n_back(seed=3) != protocols.n_back(seed=4)
    for share in (0.0, 0.3, 1.0):
        matches = protocols.n_back(3, length=2003, match_share=share).matches
        assert matches[:3] == (None,) * 3
        assert np.mean(matches[3:]) == pytest.approx(share, abs=0.03)  # three standard errors of 2000
    with pytest.raises(ValueError, match="`length` must be at least 3, but is 2"):
        protocols.n_back(2, length=2)
    with pytest.raises(ValueError, match="`match_share` must lie in 0 ... 1"):
        protocols.n_back(match_share=2)


@pytest.mark.parametrize(
    ("connectome", "circuit", "items"),
    [
        ("macaque30", cx.circuits.MejiasWang2022(), (("V1", "A", 0.3), ("V1", "B", 0.3))),
        (None, WongWang2006(), (("area", "E1", 0.02), ("area", "E2", 0.02))),
    ],
)
def test_other_circuits_take_the_same_protocols_by_their_inputs(connectome, circuit, items):
    if connectome is None:
        model = cx.Model(cx.single_area(), circuit)
    else:
        model = cx.Model(cx.load_connectome(connectome), circuit, cx.gradients.macaque30())
    first, second = items
    trials = [
        protocols.delayed_response(cue=first, distractors=[second], fixation=10, delay=10, final_delay=1180),
        protocols.item_sequence([1, 2], currents=items, fixation=10, gap=10, final_gap=1180),
    ]
    assert {trial.duration for trial in trials} == {2000}
    run = cx.simulate(model, trials, trials=2, duration=20, noise=False)
    assert run.sizes["time"] == 2
