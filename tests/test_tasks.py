"""Tasks: what all of them promise, and what each of the published ones shows and asks for."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cortexsim import tasks

MANY = 1000
FAIR = 0.065  # four standard errors of the share of heads in that many throws
EVERY = pytest.mark.parametrize("task", tasks.ALL.values(), ids=tasks.ALL)
TURN = 2 * np.pi

DIRECT = ("go", "anti", "rtgo", "rtanti", "dm", "ctxdm", "msdm")
DELAYED = ("dgo", "danti")
TWO_STIMULI = ("ddm", "ddmd", "msddm", "dms", "dnms", "dmc", "dnmc")


def apart(a, b):
    """Circular distance."""
    return np.abs((a - b + np.pi) % TURN - np.pi)


def perfect(trials, networks=1):
    """The targets as outputs, over all steps; 1/2 where there is no target."""
    targets = trials.to_dataset().targets.transpose("time", "trial", "output").fillna(0.5).values
    return np.repeat(targets[np.newaxis], networks, axis=0)


def ring_of(trials, epoch, modality):
    """Input (trial, unit) of one ring in one epoch."""
    ring = trials.task.ring
    return trials.inputs_by_epoch[epoch, :, 1 + (modality - 1) * ring : 1 + modality * ring]


# What every task promises


@EVERY
def test_the_same_seed_and_step_give_the_same_trials_and_others_give_others(task):
    one, again = task.trials(5, seed=3, step=7), task.trials(5, seed=3, step=7)
    assert_array_equal(one.inputs_by_epoch, again.inputs_by_epoch)
    assert_array_equal(one.lengths, again.lengths)
    # By chance one jittered epoch alone has the same length in 1 of 40 trials, but not in these.
    for other in (task.trials(5, seed=5, step=7), task.trials(5, seed=3, step=9)):
        assert not np.array_equal(one.lengths, other.lengths)
        assert any(not np.array_equal(one.labels[k], other.labels[k]) for k in one.labels)


@EVERY
def test_a_trial_is_the_same_whatever_runs_beside_it_with_jitter_or_without(task):
    few, many = task.trials(3, seed=1, step=2, jitter=False), task.trials(9, seed=1, step=2, jitter=True)
    assert_array_equal(few.inputs_by_epoch, many.inputs_by_epoch[:, :3])
    assert_array_equal(few.warmup_inputs, many.warmup_inputs[:3])
    for a, b in zip(few.windows, many.windows, strict=True):
        assert_array_equal(a.target, b.target[:3])
    for name, label in few.labels.items():
        assert_array_equal(label, many.labels[name][:3])


@EVERY
def test_windows_are_whole_ordered_and_end_with_the_trial(task):
    for trials in (task.trials(2, jitter=False), task.trials(2, step=5)):
        borders = [0, *(edge for w in trials.windows for edge in (w.start, w.stop)), trials.steps]
        assert borders == sorted(borders)
        assert all(w.start < w.stop for w in trials.windows)


@EVERY
def test_the_targets_themselves_score_one_and_their_opposites_zero(task):
    trials = task.trials(50, seed=2)
    outputs = perfect(trials, networks=2)
    outputs[1] = np.roll(outputs[1], 1, axis=2) if task.loss == "cross_entropy" else 1 - outputs[1]
    performance = task.performance(outputs, trials)
    assert performance == pytest.approx([1.0, 0.0], abs=1e-12)


@EVERY
def test_outputs_within_the_windows_are_enough_for_the_score(task):
    trials = task.trials(30, seed=2)
    outputs = np.random.default_rng(0).random((3, trials.steps, 30, len(task.outputs)))
    within = np.concatenate([outputs[:, w.start : w.stop] for w in trials.windows], axis=1)
    assert_array_equal(task.performance(outputs, trials), task.performance(within, trials))


@EVERY
def test_the_dataset_repeats_inputs_and_targets_and_weighs_windows_as_the_loss_does(task):
    trials = task.trials(4, seed=6)
    data = trials.to_dataset()
    assert data.inputs.shape == (4, trials.steps, len(task.inputs))
    start = trials.borders
    for k in range(len(trials.epochs)):
        epoch = data.inputs.isel(time=slice(start[k], start[k + 1]))
        assert (epoch.transpose("time", "trial", "input").values == trials.inputs_by_epoch[k]).all()
        assert set(epoch.epoch.values) == {trials.epochs[k]}
    y = np.random.default_rng(1).random((4, trials.steps, len(task.outputs)))
    by_window = sum(w.weight * np.mean((y[:, w.start : w.stop] - w.target[:, None]) ** 2) for w in trials.windows)
    weighted = (((y - data.targets) ** 2).mean(["trial", "output"]) * data.mask).sum()
    assert float(weighted) == pytest.approx(by_window, rel=1e-12)  # the same sums in another order
    assert data.time.attrs["units"] == "ms"
    assert float(data.time[1]) == 5.0


@EVERY
def test_the_dataset_holds_the_trials_asked_for_with_their_labels(task):
    trials = task.trials(6, seed=6)
    assert trials.to_dataset([4, 1]).identical(trials.to_dataset().isel(trial=[4, 1]))
    data = trials.to_dataset()
    for name, label in trials.labels.items():
        assert_array_equal(data[name], label)


def test_labels_have_their_units_in_the_dataset():
    data = tasks.DelayedMatchToSample().trials(2).to_dataset()
    units = {name: data[name].attrs["units"] for name in ("angle_1", "angle_2", "answer", "modality_1", "match")}
    assert units == {"angle_1": "rad", "angle_2": "rad", "answer": "rad", "modality_1": "1", "match": "1"}


@EVERY
def test_inputs_stay_within_the_stated_bounds(task):
    low, high = task.input_bounds
    inputs = task.trials(MANY).inputs_by_epoch
    assert low <= inputs.min() <= inputs.max() <= high


@EVERY
def test_a_task_is_a_value(task):
    assert dataclasses.replace(task) == task
    assert hash(task) == hash(dataclasses.replace(task))
    assert dataclasses.replace(task, warmup=10.0) != task


def test_there_are_the_20_tasks_of_yang_and_the_16_of_the_paper():
    assert tuple(tasks.ALL)[:20] == tasks.yang2019.RULES
    assert set(tasks.DASC16) == {*DIRECT, *DELAYED, *TWO_STIMULI}
    assert len(tasks.DASC16) == 16
    assert {tasks.by_name(alias).name for alias in tasks.ALIASES} == set(tasks.ALIASES.values())


def test_an_unknown_task_gets_the_nearest_name():
    with pytest.raises(ValueError, match="did you mean 'dnms'"):
        tasks.by_name("dnmss")


# Time


@pytest.mark.parametrize(
    ("names", "steps", "c"), [(DIRECT, 300, 2 / 3), (DELAYED, 500, 4 / 5), (TWO_STIMULI, 600, 5 / 6)]
)
def test_the_three_types_have_the_papers_lengths_windows_and_share_of_fixation(names, steps, c):
    for task in map(tasks.by_name, names):
        trials = task.trials(10, jitter=False)
        pre, post = trials.windows
        assert (trials.steps, trials.warmup) == (steps, 200)
        assert (pre.start, pre.stop, post.start, post.stop) == (40, steps - 100, steps - 60, steps)
        fixating = np.zeros((1, steps, 10, 33))
        fixating[..., 0] = 1.0
        hold = np.isnan(trials.labels["answer"]).mean()
        assert task.performance(fixating, trials) == pytest.approx(c + (1 - c) * hold, abs=1e-12)


def test_training_lengths_are_uniform_from_20_steps_below_to_19_above_and_the_response_is_fixed():
    task = tasks.DelayedGo()
    lengths = np.array([task.trials(1, step=step).lengths for step in range(400)])
    assert_array_equal(lengths.min(axis=0), [80, 80, 180, 100])
    assert_array_equal(lengths.max(axis=0), [119, 119, 219, 100])
    # A uniform integer in [-20, 20) has the mean -1/2 and the standard deviation 11.5: 4 standard errors are 2.3.
    assert np.abs(lengths[:, :3].mean(axis=0) - [99.5, 99.5, 199.5]).max() < 2.3
    assert np.abs(np.corrcoef(lengths[:, :3].T) - np.eye(3)).max() < 0.2


@pytest.mark.parametrize(("dt", "steps"), [(5, (100, 100, 200, 100)), (40, (12, 12, 25, 12)), (50, (10, 10, 20, 10))])
def test_coarser_steps_cut_lengths_down_to_whole_ones(dt, steps):
    trials = tasks.DelayedGo().trials(1, dt=dt, jitter=False)
    assert tuple(trials.lengths) == steps


# The ring


def test_a_bump_peaks_at_point_eight_and_follows_the_published_curve():
    task = tasks.Go()
    bump = task.bump(np.array([0.0, np.pi]))
    psi = TURN * np.arange(32) / 32
    assert_allclose(bump[0], 0.8 * np.exp(-0.5 * (8 * np.minimum(psi, TURN - psi) / np.pi) ** 2), rtol=1e-12)
    assert_array_equal(bump[0, 16], bump[1, 0])
    assert bump[1, 16] == 0.8


def test_any_angle_is_decoded_from_its_target_far_within_the_tolerance():
    """32 units sample a bump of width pi/8 so densely that the population vector is exact to 1e-6 rad."""
    task = tasks.Go()
    angle = np.linspace(0, TURN, 1000, endpoint=False)
    ring = np.concatenate([np.zeros((1000, 1)), 0.05 + task.bump(angle)], axis=1)
    assert apart(task.decode(ring), angle).max() < 1e-6


@pytest.mark.parametrize("name", tasks.yang2019.RULES)
def test_rule_and_fixation_inputs_are_the_papers(name):
    trials = tasks.ALL[name].trials(6)
    rule = np.zeros(20)
    rule[tasks.yang2019.RULES.index(name)] = 1
    assert (trials.inputs_by_epoch[:, :, 65:] == rule).all()
    assert (trials.warmup_inputs[:, 65:] == rule).all()
    assert (trials.warmup_inputs[:, :65] == 0).all()
    fixation = trials.inputs_by_epoch[:, :, 0]
    assert (fixation[:-1] == 1).all()
    assert (fixation[-1] == (1 if name.startswith("rt") else 0)).all()
    shown = trials.inputs_by_epoch[-1, :, 1:65].any()
    assert shown == name.startswith("rt")


@pytest.mark.parametrize("name", ["go", "anti", "rtgo", "rtanti", "dgo", "danti"])
def test_saccades_go_to_the_stimulus_or_opposite_to_it(name):
    task = tasks.ALL[name]
    trials = task.trials(MANY)
    angle, modality = trials.labels["angle"], trials.labels["modality"]
    where = 2 if name.startswith("rt") else 1
    shown = ring_of(trials, where, 1) + ring_of(trials, where, 2)
    assert_array_equal(shown, task.bump(angle))
    for m in (1, 2):
        assert_array_equal(ring_of(trials, where, m).any(axis=1), modality == m)
    assert_allclose(apart(trials.labels["answer"], angle), np.pi if name.endswith("anti") else 0.0, atol=1e-12)
    post = trials.windows[1].target
    assert (post[:, 0] == 0.05).all()
    assert_array_equal(post[:, 1:], 0.05 + task.bump(trials.labels["answer"]))
    assert abs((modality == 1).mean() - 0.5) < FAIR
    assert abs(np.exp(1j * angle).mean()) < 2 * FAIR  # uniform on the circle


def strengths(trials):
    return trials.labels["strength_1"], trials.labels["strength_2"]


@pytest.mark.parametrize("name", ["dm", "dm2", "ctxdm", "ctxdm2", "msdm", "ddm", "ddm2", "ddmd", "ddmd2", "msddm"])
def test_decisions_go_to_the_stronger_of_two_stimuli_a_quarter_circle_apart(name):
    trials = tasks.ALL[name].trials(MANY)
    one, two = strengths(trials)
    angles = trials.labels["angle_1"], trials.labels["angle_2"]
    assert_array_equal(trials.labels["answer"], np.where(one > two, *angles))
    assert apart(*angles).min() >= np.pi / 2 - 1e-9
    difference = np.abs(one - two)
    assert 0.2 - 1e-9 <= difference.min() < 0.205  # twice .1 to .2
    assert 0.395 < difference.max() <= 0.4 + 1e-9
    assert 0.8 - 1e-9 <= ((one + two) / 2).min() < ((one + two) / 2).max() <= 1.2 + 1e-9
    assert abs((one > two).mean() - 0.5) < FAIR


@pytest.mark.parametrize(("name", "second"), [("dm", 1), ("ddm", 3), ("ctxdm", 1), ("ddmd", 3)])
@pytest.mark.parametrize("modality", [1, 2])
def test_decisions_show_what_counts_in_their_modality_and_distractors_in_the_other(name, second, modality):
    task = tasks.by_name(name if modality == 1 else f"{name}2")
    trials = task.trials(MANY)
    bumps = [task.bump(trials.labels[f"angle_{j}"]) for j in (1, 2)]
    for prefix, ring in (("", modality), ("distractor_", 3 - modality)):
        if f"{prefix}strength_1" not in trials.labels:
            assert not ring_of(trials, 1, ring).any()
            continue
        shown = [trials.labels[f"{prefix}strength_{j}"][:, None] * bumps[j - 1] for j in (1, 2)]
        if second == 1:
            assert_array_equal(ring_of(trials, 1, ring), shown[0] + shown[1])
        else:
            assert_array_equal(ring_of(trials, 1, ring), shown[0])
            assert_array_equal(ring_of(trials, 3, ring), shown[1])
    if "distractor_strength_1" in trials.labels:
        stronger = trials.labels["distractor_strength_1"] > trials.labels["distractor_strength_2"]
        agree = stronger == (trials.labels["strength_1"] > trials.labels["strength_2"])
        assert abs(agree.mean() - 0.5) < FAIR  # independent


@pytest.mark.parametrize("name", ["msdm", "msddm"])
def test_the_strength_over_both_modalities_decides_and_one_alone_does_not(name):
    task = tasks.ALL[name]
    trials = task.trials(MANY)
    first, second = (1, 1) if name == "msdm" else (1, 3)
    units = [np.argmin(apart(task.preferred, trials.labels[f"angle_{j}"][:, None]), axis=1) for j in (1, 2)]
    rows = np.arange(MANY)
    heights = {
        (j, m): ring_of(trials, epoch, m)[rows, units[j - 1]]
        / task.bump(trials.labels[f"angle_{j}"])[rows, units[j - 1]]
        for j, epoch in ((1, first), (2, second))
        for m in (1, 2)
    }
    for j in (1, 2):
        g = trials.labels[f"strength_{j}"]
        assert_allclose((heights[j, 1] + heights[j, 2]) / 2, g, rtol=2e-3)  # the other bump's tail adds to it
        ratio = np.maximum(heights[j, 1], heights[j, 2]) / g
        assert 1.2 - 2e-3 < ratio.min() < ratio.max() < 1.4 + 2e-3
    right = trials.labels["strength_1"] > trials.labels["strength_2"]
    for m in (1, 2):
        assert ((heights[1, m] > heights[2, m]) == right).mean() < 0.85


@pytest.mark.parametrize("name", ["dms", "dnms", "dmc", "dnmc"])
def test_matching_tasks_answer_the_second_stimulus_or_hold(name):
    task = tasks.ALL[name]
    trials = task.trials(MANY)
    match, goes = trials.labels["match"], ~np.isnan(trials.labels["answer"])
    assert_array_equal(goes, match if name in ("dms", "dmc") else ~match)
    assert_array_equal(trials.labels["answer"][goes], trials.labels["angle_2"][goes])
    hold = trials.windows[1].target[~goes]
    assert (hold[:, 0] == 0.85).all()
    assert (hold[:, 1:] == 0.05).all()
    assert abs(match.mean() - 0.5) < FAIR
    for epoch, j in ((1, 1), (3, 2)):
        shown = ring_of(trials, epoch, 1) + ring_of(trials, epoch, 2)
        assert_array_equal(shown, task.bump(trials.labels[f"angle_{j}"]))
        assert_array_equal(ring_of(trials, epoch, 2).any(axis=1), trials.labels[f"modality_{j}"] == 2)
    assert abs(np.corrcoef(trials.labels["modality_1"], trials.labels["modality_2"])[0, 1]) < 2 * FAIR


@pytest.mark.parametrize("name", ["dms", "dnms"])
def test_samples_match_within_ten_degrees_and_differ_by_a_quarter_circle(name):
    trials = tasks.ALL[name].trials(MANY)
    distance = apart(trials.labels["angle_1"], trials.labels["angle_2"])
    match = trials.labels["match"]
    assert np.pi / 19 < distance[match].max() <= np.pi / 18 + 1e-9
    assert distance[~match].min() >= np.pi / 2 - 1e-9


@pytest.mark.parametrize("name", ["dmc", "dnmc"])
@pytest.mark.parametrize("released", [False, True])
def test_categories_match_and_come_in_both_orders_unless_released(name, released):
    trials = dataclasses.replace(tasks.ALL[name], released=released).trials(MANY)
    categories = []
    for j in (1, 2):
        angle = trials.labels[f"angle_{j}"]
        category = np.where(angle < np.pi / 2, 0, 1)
        assert ((angle < np.pi / 2) | ((angle >= np.pi) & (angle < 3 * np.pi / 2))).all()
        assert_array_equal(category, trials.labels[f"category_{j}"])
        categories.append(category)
    match = trials.labels["match"]
    assert_array_equal(categories[0] == categories[1], match)
    first = categories[0][~match].mean()
    assert first == 0 if released else abs(first - 0.5) < 1.5 * FAIR
    assert abs(categories[0][match].mean() - 0.5) < 1.5 * FAIR


@pytest.mark.parametrize(("name", "twin"), [("dnms", "dms"), ("dnmc", "dmc")])
def test_released_non_match_tasks_differ_from_their_twins_by_the_rule_input_only(name, twin):
    a, b = (dataclasses.replace(tasks.ALL[n], released=True).trials(100, seed=4) for n in (name, twin))
    assert_array_equal(a.inputs_by_epoch[..., :65], b.inputs_by_epoch[..., :65])
    for x, y in zip(a.windows, b.windows, strict=True):
        assert_array_equal(x.target, y.target)
    hold = np.isnan(a.labels["answer"])
    assert (a.windows[1].target[hold, 1:] == 0).all()


# The paper's score


@pytest.mark.parametrize(("name", "plateau"), [("go", 11 / 15), ("dgo", 0.84), ("ddm", 13 / 15)])
def test_who_fixates_releases_and_guesses_stands_at_the_chance_plateau(name, plateau):
    """c + (1 - c)/5, since a random angle is within 36 degrees with probability 1/5."""
    task = tasks.ALL[name]
    trials = task.trials(300, jitter=False)
    outputs = perfect(trials)
    guess = np.random.default_rng(0).uniform(0, TURN, 300)
    outputs[:, trials.windows[1].start :, :, 1:] = task.bump(guess)
    # The share of right guesses has a standard error of .023, and counts 1 - c, 1/3 at most.
    assert task.performance(outputs, trials) == pytest.approx(plateau, abs=3 * 0.023 / 3)


def test_directions_count_up_to_36_degrees_off():
    task = tasks.DelayedGo()
    trials = task.trials(50, jitter=False)
    for off, direction in ((0.19 * np.pi, 1.0), (0.21 * np.pi, 0.0), (-0.19 * np.pi, 1.0), (-0.21 * np.pi, 0.0)):
        outputs = perfect(trials)
        outputs[:, trials.windows[1].start :, :, 1:] = task.bump(trials.labels["answer"] + off)
        assert task.scores(outputs, trials)["direction"] == direction


def test_holding_in_all_trials_earns_the_non_matches_only():
    task = tasks.DelayedMatchToSample()
    trials = task.trials(100, jitter=False)
    outputs = perfect(trials)
    outputs[..., 0] = 0.85
    hold = (~trials.labels["match"]).mean()
    scores = task.scores(outputs, trials)
    assert scores["hold"] == pytest.approx(hold, abs=1e-12)
    assert scores["release"] == 0
    assert scores["performance"] == pytest.approx(5 / 6 + hold / 6, abs=1e-12)


def test_answers_are_the_angles_given_or_nan_where_fixation_holds():
    task = tasks.DelayedMatchToSample()
    trials = task.trials(40)
    answers = task.answers(perfect(trials, networks=2), trials)
    assert answers.shape == (2, 40)
    assert answers[1] == pytest.approx(trials.labels["answer"], abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("name", ["dm", "msddm", "ddmd2"])
def test_choices_tell_which_stimulus_is_answered_and_nan_where_fixation_holds(name):
    task = tasks.ALL[name]
    trials = task.trials(40)
    outputs = perfect(trials, networks=2)
    outputs[1, trials.windows[1].start :, :, 0] = 0.85
    choices = task.choices(outputs, trials)
    assert_array_equal(choices[0], task.evidence(trials) > 0)
    assert np.isnan(choices[1]).all()


@pytest.mark.parametrize("name", ["dms", "dnms", "dmc", "dnmc"])
def test_choices_tell_responses_from_holding_in_matching_tasks(name):
    task = tasks.ALL[name]
    trials = task.trials(40)
    assert_array_equal(task.choices(perfect(trials), trials)[0], ~np.isnan(trials.labels["answer"]))
    assert_allclose(task.evidence(trials), apart(trials.labels["angle_1"], trials.labels["angle_2"]))


# Rule reversal


def test_rule_reversal_expects_the_answer_under_the_rule_before():
    task = tasks.RuleReversal()
    trials = task.trials(40, seed=5)
    rule, stimulus = trials.labels["rule"], trials.labels["stimulus"]
    shown = ["".join(map(str, row - 1)) for row in rule]
    assert {pattern: shown.count(pattern) for pattern in task.patterns} == dict.fromkeys(task.patterns, 5)
    before = np.concatenate([np.ones((40, 1), int), rule[:, :-1]], axis=1)
    assert_array_equal(trials.labels["answer"], np.where(before == 1, stimulus, 3 - stimulus))
    assert_array_equal(trials.labels["correct"], np.where(rule == 1, stimulus, 3 - stimulus))
    for k, window in enumerate(trials.windows):
        assert_array_equal(window.target.argmax(axis=1) + 1, trials.labels["answer"][:, k])
        assert_array_equal(trials.inputs_by_epoch[4 * k].argmax(axis=1) + 1, stimulus[:, k])
        assert not trials.inputs_by_epoch[4 * k + 1 : 4 * k + 4].any()


def test_feedback_tells_each_network_whether_its_own_answer_was_right():
    trials = tasks.RuleReversal().trials(8, seed=5)
    assert list(trials.feedback_inputs) == [2, 6, 10, 14, 18]
    outputs = np.random.default_rng(2).random((3, 8, 2))
    for k, epoch in enumerate(trials.feedback_inputs):
        told = trials.feedback(epoch, outputs)
        right = outputs.argmax(axis=2) + 1 == trials.labels["correct"][:, k]
        assert_array_equal(told[..., 2], right)
        assert_array_equal(told[..., 3], ~right)
        assert not told[..., :2].any()


def test_rule_reversal_has_the_papers_times_and_weights():
    task = tasks.RuleReversal()
    trials = task.trials(40, jitter=False)
    assert (trials.steps, trials.warmup) == (2000, 200)
    assert [(w.start, w.stop) for w in trials.windows] == [(120 + 400 * k, 200 + 400 * k) for k in range(5)]
    assert sum(w.weight for w in trials.windows) == pytest.approx(1.0)
    assert task.task_trials == (0, 4, 8, 12, 16)
    assert [k for k, name in enumerate(trials.epochs) if name == "response"] == list(np.flatnonzero(trials.penalised))
    lengths = np.array([task.trials(1, step=step).lengths for step in range(200)])
    assert (lengths.min(), lengths.max()) == (80, 119)


# n-back and delayed match


@pytest.mark.parametrize("n", [1, 2, 3])
def test_n_back_matches_are_the_items_n_places_before_and_none_else(n):
    trials = tasks.NBack(n=n, length=12, match_probability=0.3).trials(MANY)
    item, match = trials.labels["item"], trials.labels["match"]
    assert not match[:, :n].any()
    assert_array_equal(item[:, n:] == item[:, :-n], match[:, n:])
    assert abs(match[:, n:].mean() - 0.3) < 0.025
    assert_array_equal(trials.inputs_by_epoch[::2].argmax(axis=2).T + 1, item)
    assert not trials.inputs_by_epoch[1::2].any()


@pytest.mark.parametrize("distractors", [0, 1, 3])
def test_delayed_match_shows_sample_distractors_and_test_in_turn(distractors):
    task = tasks.DelayedMatch(items=5, distractors=distractors, match_probability=0.4)
    trials = task.trials(MANY)
    sample, test, match = (trials.labels[k] for k in ("sample", "test", "match"))
    assert_array_equal(sample == test, match)
    assert abs(match.mean() - 0.4) < FAIR
    items = trials.inputs_by_epoch[:, :, 1:]
    shown = {name: k for k, name in enumerate(trials.epochs) if items[k].any()}
    assert list(shown) == ["sample", *(f"distractor {k + 1}" for k in range(distractors)), "test"]
    assert_array_equal(items[shown["sample"]].argmax(axis=1) + 1, sample)
    assert_array_equal(items[shown["test"]].argmax(axis=1) + 1, test)
    for k in range(distractors):
        assert (items[shown[f"distractor {k + 1}"]].argmax(axis=1) + 1 != sample).all()
    counts = np.bincount(test[~match], minlength=6)[1:]
    assert counts.min() > 0.7 * counts.mean()  # each item is a test as often


# Wrong arguments


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda: tasks.Go(stimulus=0), ValueError, "`stimulus` must be positive"),
        (lambda: tasks.Go(grace=-1), ValueError, "`grace` must not be negative"),
        (lambda: tasks.Go(ring=2), ValueError, "`ring` must be at least 3"),
        (lambda: tasks.DecisionMaking(modality=3), ValueError, "`modality` must be 1 or 2"),
        (lambda: tasks.DecisionMaking(delta=(0.2, 0.1)), ValueError, r"`delta` must be \(low, high\)"),
        (lambda: tasks.DecisionMaking(delta=0.1), ValueError, r"`delta` must be \(low, high\)"),
        (lambda: tasks.NBack(n=3, length=3), ValueError, "`length` must be at least 4"),
        (lambda: tasks.NBack(match_probability=1.5), ValueError, "`match_probability` must lie between 0 and 1"),
        (lambda: tasks.DelayedMatch(items=1), ValueError, "`items` must be at least 2"),
        (lambda: tasks.RuleReversal(patterns=("01", "0")), ValueError, "all of the same length"),
        (lambda: tasks.RuleReversal(patterns=("02",)), ValueError, "strings of 0 and 1"),
        (lambda: tasks.Go().trials(0), ValueError, "`n` must be at least 1"),
        (lambda: tasks.Go().trials(1, dt=600), ValueError, "'fixation' of 'go' must last at least one step"),
        (lambda: tasks.Go(stimulus=100).trials(1), ValueError, "its jitter 100 ms"),
        (lambda: tasks.Go(response=200).trials(1), ValueError, "'post' of 'go' must be longer than `grace` = 200 ms"),
        (lambda: tasks.Go().performance(np.zeros((1, 7, 1, 33)), tasks.Go().trials(1)), ValueError, "but has"),
        (lambda: tasks.Go().trials(1).feedback(1, np.zeros((1, 1, 33))), ValueError, "must give feedback"),
    ],
)
def test_wrong_arguments_are_named(wrong, error, message):
    with pytest.raises(error, match=message):
        wrong()


def broken(**returned):
    """A task whose draw returns what is asked for instead of what it must."""
    trials = tasks.Go().trials(2)
    good = {
        "inputs": trials.inputs_by_epoch,
        "targets": np.stack([w.target for w in trials.windows]),
        "labels": trials.labels,
        "warmup": trials.warmup_inputs,
    }

    class Broken(tasks.Go):
        def draw(self, u):
            return tasks.Draw(**{**good, **returned})

    return Broken()


def test_windows_that_overlap_are_refused():
    class Broken(tasks.Go):
        windows = (tasks.TaskWindow("pre", 0, 2), tasks.TaskWindow("post", 2, 2))

    with pytest.raises(ValueError, match="'post' starts before 'pre' ends"):
        Broken().trials(1)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ({"inputs": np.zeros((2, 2, 85))}, r"`inputs` of shape \(3, 2, 85\), but returned \(2, 2, 85\)"),
        ({"targets": np.zeros((2, 3, 33))}, r"`targets` of shape \(2, 2, 33\)"),
        ({"warmup": np.zeros(85)}, r"`warmup` of shape \(2, 85\)"),
        ({"labels": {"angle": np.zeros(3)}}, r"Label 'angle' of 'go' must have the shape \(2,\)"),
        ({"feedback": {0: np.zeros((33, 2, 85))}}, "must belong to an epoch from 1 to 2"),
    ],
)
def test_a_task_of_ones_own_learns_what_its_draw_got_wrong(returned, message):
    with pytest.raises(ValueError, match=message):
        broken(**returned).trials(2)
