"""Which item is held, how trials end, and what is decided: on rates whose answers are known, and on the models."""

import json

import numpy as np
import pytest
import xarray as xr

import cortexsim as cx
from cortexsim import analysis, protocols
from cortexsim.analysis import (
    decision,
    decoded_item,
    distractor_resistance,
    held_item,
    held_since,
    memory_areas,
    n_back_outcomes,
    performance,
    ping_readout,
    psychometric,
    trial_outcomes,
)

TO_E1, TO_E2 = protocols.TO_V1
CUE = cx.working_memory()
DISTRACTED = cx.working_memory(distractor=TO_E2)


def result(stimuli, *stretches, areas="abc", rest=1.0, every=10.0, names=("r_E1", "r_E2"), duration=5000.0):
    """Return rates at rest but for stretches (start, stop, item, areas, rate[, trials]), of which later ones hold.

    One stimulus makes one trial; the names of areas are letters.
    """
    time = np.arange(0, duration, every)
    values = np.full((2, len(stimuli), time.size, len(areas)), rest)
    for start, stop, item, where, rate, *trials in stretches:
        inside = np.ix_(
            *(trials or [range(len(stimuli))]),
            np.flatnonzero((time >= start) & (time < stop)),
            [areas.index(a) for a in where],
        )
        values[item - 1][inside] = rate
    dims = ("trial", "time", "area")
    told = [json.loads(s.to_json()) for s in stimuli]
    return xr.Dataset(
        {name: (dims, rates, {"units": "Hz"}) for name, rates in zip(names, values, strict=True)},
        {
            "trial": np.arange(len(stimuli)),
            "time": ("time", time, {"units": "ms"}),
            "area": list(areas),
            "hierarchy": ("area", np.linspace(0, 1, len(areas))),
        },
        {"stimulus": json.dumps(told)},
    )


def test_an_area_holds_the_item_that_exceeds_its_baseline_by_5_hz_and_the_other_item():
    """In turn: at the threshold, above it, above it but less than the other, the other, both alike, lesioned."""
    run = result(
        [CUE],
        (4500, 5000, 1, "a", 6.0),
        (4500, 5000, 1, "b", 6.1),
        (4500, 5000, 1, "c", 7.0),
        (4500, 5000, 2, "cd", 9.0),
        (4500, 5000, 1, "e", 9.0),
        (4500, 5000, 2, "e", 9.0),
        (4500, 5000, 1, "f", np.nan),
        areas="abcdef",
    )
    held = held_item(run)
    assert held.held_in_area.values.tolist() == [[0, 1, 2, 2, 0, 0]]
    assert held.n_areas.values.tolist() == [[1, 2]]
    assert held.held.values.tolist() == [2]
    assert held_item(run, n_min=3).held.values.tolist() == [0]
    assert held_item(run, threshold=4.9).held_in_area.values.tolist() == [[1, 1, 2, 2, 0, 0]]
    assert held.hierarchy.dims == ("area",)
    assert (held.attrs["memory_threshold"], json.loads(held.attrs["memory_window_ms"])) == (5.0, [4500.0, 5000.0])
    assert "held by the cortex" in held.held.attrs["long_name"]


def test_the_baseline_is_that_of_each_item_in_each_area():
    run = result([CUE], (0, 5000, 1, "a", 8.0), (4500, 5000, 2, "a", 7.0))
    assert held_item(run).held_in_area.values.tolist() == [[2, 0, 0]]
    assert held_item(run, baseline=(4000, 5000), during_stimulus=True).held.item() == 0


def test_the_cortex_holds_what_more_areas_hold_and_nothing_at_a_tie():
    run = result([CUE], (4500, 5000, 1, "ab", 9.0), (4500, 5000, 2, "cd", 9.0), areas="abcde")
    assert held_item(run).held.item() == 0
    assert held_item(run.sel(area=["a", "b", "c"])).held.item() == 1


def test_windows_are_those_of_the_epochs_of_a_schedule():
    run = result([DISTRACTED], (1400, 2000, 1, "ab", 30.0), (2400, 5000, 2, "abc", 30.0))
    assert held_item(run, DISTRACTED.window("delay")).held.item() == 1
    assert held_item(run, DISTRACTED.window("delay 2")).held.item() == 2
    with pytest.raises(ValueError, match="The window 1000 to 1400 ms must be free of stimuli.*another `window="):
        held_item(run, DISTRACTED.window("cue"))
    assert held_item(run, DISTRACTED.window("cue"), during_stimulus=True).held.item() == 0
    with pytest.raises(ValueError, match="must lie within the run, 0 to 5000 ms; simulate longer, or pass `window="):
        held_item(run, (4800, 5010))
    with pytest.raises(ValueError, match="baseline window -450 to 50 ms .* 0 to 5000 ms; pass `baseline="):
        held_item(run.assign_attrs(stimulus=CUE.to_json().replace("1000.0", "50.0")))
    with pytest.raises(ValueError, match="The window 0 to 6000 ms must lie"):
        trial_outcomes(run, (0, 6000))
    with pytest.raises(ValueError, match="baseline window 500 to 505 ms must hold samples"):
        held_item(run.isel(time=slice(1, None, 3)), baseline=(500, 505))


@pytest.mark.parametrize("names", [("r_A", "r_B"), ("r_1", "r_2")])
def test_items_are_the_selective_populations_of_each_circuit(names):
    first, second = (
        (("V1", "A", 0.3), ("V1", "B", 0.3)) if names[0] == "r_A" else (("V1", "E1", 0.3), ("V1", "E2", 0.3))
    )
    trial = cx.working_memory(cue=second, distractor=first)
    run = result([trial], (1400, 5000, 2, "ab", 20.0), names=names)
    assert held_item(run).held.item() == 2
    assert held_item(run, items=names[::-1]).held.item() == 1
    assert held_item(run).population.values.tolist() == [name[2:] for name in names]
    ends = trial_outcomes(run)
    assert (ends.target.item(), ends.outcome.item()) == (2, "correct")


def test_a_result_without_items_is_refused_with_the_way_out():
    run = result([CUE], names=("r_E", "r_I"))
    with pytest.raises(ValueError, match=r"two selective populations.*holds r_E, r_I; pass `items="):
        held_item(run)
    with pytest.raises(ValueError, match=r"Unknown variable 'r_e' in `items`; did you mean 'r_E'"):
        held_item(run, items=("r_e", "r_I"))
    with pytest.raises(ValueError, match="two different variables"):
        held_item(run, items=("r_E", "r_E"))
    with pytest.raises(TypeError, match="pass the whole result"):
        held_item(run.r_E)
    with pytest.raises(ValueError, match=r"holds r_E1, r_I; simulate with record=\['r_E1', 'r_E2'\]"):
        trial_outcomes(run.rename(r_E="r_E1"))
    gating = run.rename(r_E="S_1", r_I="S_2")
    gating.S_1.attrs["units"] = gating.S_2.attrs["units"] = "1"
    with pytest.raises(ValueError, match="default threshold is 5 Hz, but 'S_1' has the unit '1'"):
        held_item(gating)
    assert held_item(gating, threshold=0.1).held.item() == 0


def test_an_area_is_judged_by_the_samples_at_which_it_is_not_lesioned():
    """Area a is cooled in part of both windows, b in the delay, c from the start on: NaN all through, as is known."""
    run = result(
        [CUE],
        (4500, 5000, 1, "abc", 9.0),
        (500, 800, 1, "a", np.nan),
        (4800, 5000, 1, "a", np.nan),
        (3000, 5000, 1, "b", np.nan),
        (0, 5000, 1, "c", np.nan),
    )
    assert held_item(run).held_in_area.values.tolist() == [[1, 0, 0]]
    assert trial_outcomes(run, encoded=(4500, 5000)).outcome.item() == "correct"


def test_an_area_without_a_baseline_to_judge_it_by_is_named():
    run = result([CUE], (1400, 5000, 1, "ab", 9.0), (400, 1200, 1, "bc", np.nan), (1200, 5000, 1, "c", np.nan))
    for read in (held_item, held_since, trial_outcomes):
        with pytest.raises(ValueError, match=r"baseline window 500 to 1000 ms, but it is NaN .* in b; .*`baseline="):
            read(run)
    assert held_item(run, baseline=(0, 500)).held_in_area.values.tolist() == [[1, 1, 0]]
    assert held_item(run.drop_sel(area=["b"])).held_in_area.values.tolist() == [[1, 0]]


def test_memory_areas_gives_the_share_of_trials():
    run = result(
        [CUE] * 4, (4500, 5000, 1, "a", 9.0), (4500, 5000, 1, "b", 9.0, [0]), (4500, 5000, 2, "b", 9.0, [1, 2, 3])
    )
    assert memory_areas(run).values.tolist() == [[1, 0.25, 0], [0, 0.75, 0]]
    with pytest.raises(ValueError, match=r"one condition.*held_item\(result\)"):
        memory_areas(run.assign_coords(dopamine=("trial", [0, 0, 1, 1])))


def test_the_decoded_item_follows_the_rates_over_time():
    run = result([DISTRACTED], (1100, 2100, 1, "ab", 11.0), (2100, 5000, 2, "a", 21.0))
    decoded = decoded_item(run).sel(trial=0)
    for time, held, n_areas, difference in ((900, 0, [0, 0], 0), (1500, 1, [2, 0], 20 / 3), (4990, 2, [0, 1], -20 / 3)):
        assert decoded.held.sel(time=time) == held
        assert decoded.n_areas.sel(time=time).values.tolist() == n_areas
        assert decoded.difference.sel(time=time).item() == pytest.approx(difference, rel=1e-15)
    assert decoded.held_in_area.sel(time=slice(1090, 1100)).values.tolist() == [[0, 0, 0], [1, 1, 0]]
    lesioned = run.where(run.area != "a")
    assert decoded_item(lesioned).difference.sel(trial=0, time=1500).item() == 5.0


def test_an_item_is_held_since_it_was_last_taken_up():
    run = result(
        [DISTRACTED],
        (1100, 5000, 1, "a", 9.0),
        (1300, 5000, 1, "b", 9.0),
        (3000, 3010, 1, "b", 1.0),
        (0, 100, 1, "c", 9),
    )
    since = held_since(run).sel(trial=0)
    np.testing.assert_array_equal(since.since_in_area, [1100, 3010, np.nan])
    assert since.since.item() == 1100
    assert since.since.attrs["units"] == "ms"
    early = held_since(run, (1200, 3000)).sel(trial=0)
    np.testing.assert_array_equal(early.since_in_area, [1200, 1300, np.nan])
    before = held_since(run, (500, 1000))
    assert np.isnan(before.since.item())
    assert before.held.item() == 0


def ends(trial=DISTRACTED):
    """Return a trial of each outcome, in the order of MEMORY_OUTCOMES, with dopamine along trial."""
    delay = (1400, 2000, 1, "ab", 30.0)
    return result(
        [trial] * 5,
        (*delay, [0, 1, 2, 3]),
        (2400, 5000, 1, "ab", 30.0, [0]),
        (2400, 5000, 2, "ab", 30.0, [1, 4]),
        (2400, 5000, 1, "a", 30.0, [2]),
        (2400, 5000, 2, "b", 30.0, [2]),
    ).assign_coords(dopamine=("trial", [1.5, 1.0, 2.0, 0.5, 0.0], {"long_name": "dopamine"}))


def test_trials_end_in_five_ways():
    found = trial_outcomes(ends())
    assert tuple(found.outcome.values) == analysis.outcomes.MEMORY_OUTCOMES
    assert found.encoded.values.tolist() == [1, 1, 1, 1, 0]
    assert found.held.values.tolist() == [1, 2, 0, 0, 2]
    assert found.n_areas.sel(trial=2).values.tolist() == [1, 1]
    assert found.distractor.all()
    assert "dopamine" in found.coords


def test_currents_without_names_are_a_cue_and_distractors_in_the_order_of_their_onsets():
    def current(input, onset, name=""):
        return cx.Pulse(area="a", input=input, onset=onset, duration=400, amplitude=1, name=name)

    unnamed = current("E2_dendrite", 2000) + current("E1", 1000)
    light = cx.optogenetics(["a"], "E2", 5, onset=900, duration=50) + cx.Lesion(areas=["c"], onset=4990)
    ping = current("E1", 2000, "ping")
    for trial in (unnamed, unnamed + light, unnamed + ping):
        assert tuple(trial_outcomes(ends(trial)).outcome.values) == analysis.outcomes.MEMORY_OUTCOMES
    alone = trial_outcomes(ends(current("E1", 1000)))
    assert not alone.distractor.any()
    assert alone.encoded.values.tolist() == [1, 1, 1, 1, 0]  # from 100 to 600 ms after the cue
    both = current("E1", 1000) + current("E2", 1000)
    with pytest.raises(ValueError, match="begins with 2; name the currents"):
        trial_outcomes(ends(both))
    assert trial_outcomes(ends(both), target=1).outcome.values.tolist()[:2] == ["correct", "distracted"]
    with pytest.raises(ValueError, match="begins with 0"):
        trial_outcomes(ends(light), baseline=(0, 500))


def test_silencing_is_neither_cue_nor_distractor():
    silencing = cx.Pulse(area="a", input="E2", onset=900, duration=900, amplitude=-200)
    found = trial_outcomes(result([CUE + silencing], (1400, 5000, 1, "ab", 30.0)), baseline=(0, 500))
    assert found.outcome.item() == "correct"
    assert not found.distractor.item()
    assert distractor_resistance(found).n_all == 0


def test_a_distractor_during_the_cue_leaves_no_time_to_judge_what_was_encoded():
    for onset in (1200, 1400):
        early = cx.Pulse(area="a", input="E2", onset=onset, duration=400, amplitude=100)
        run = result([CUE + early], (1100, 5000, 1, "ab", 30.0))
        with pytest.raises(ValueError, match=rf"begins at {onset} ms, .* 1000 to 1400 ms; pass `encoded=\(start, stop"):
            trial_outcomes(run)
        assert trial_outcomes(run, encoded=(2000, 2500)).outcome.item() == "correct"


def test_each_trial_has_stimuli_targets_and_windows_of_its_own():
    late = cx.working_memory(cue=TO_E2, distractor=TO_E1, delay=1600, second_delay=1600)
    run = result(
        [DISTRACTED, late],
        (1400, 5000, 1, "abc", 30.0, [0]),
        (1400, 2300, 1, "a", 30.0, [1]),
        (2500, 5000, 2, "a", 30, [1]),
    )
    found = trial_outcomes(run)
    assert found.target.values.tolist() == [1, 2]
    assert found.outcome.values.tolist() == ["correct", "correct"]
    assert trial_outcomes(run, encoded=(1500, 2000)).outcome.values.tolist() == ["correct", "never encoded"]
    assert trial_outcomes(run, target=[2, 2]).outcome.values.tolist() == ["never encoded", "correct"]
    with pytest.raises(ValueError, match="tells of 2 trials.*holds 1; read out first"):
        trial_outcomes(run.isel(trial=[0]))
    with pytest.raises(ValueError, match="must be 1 or 2, or one of them per trial"):
        trial_outcomes(run, target=[1, 2, 1])


def test_resistance_counts_trials_that_held_the_target_before_a_distractor():
    outcome = ["correct"] * 8 + ["distracted", "lost", "never encoded", "correct"]
    found = xr.Dataset({"outcome": ("trial", outcome), "distractor": ("trial", [True] * 11 + [False])})
    table = distractor_resistance(found)
    assert (table.n.item(), table.n_all.item(), table.fraction.item()) == (8, 10, 0.8)
    # Wilson: (p + z^2/2n -+ z sqrt(p (1 - p)/n + z^2/4n^2)) / (1 + z^2/n), z = 1.959964
    assert (table.low.item(), table.high.item()) == pytest.approx((0.490162, 0.943318), abs=1e-6)
    by = distractor_resistance(found.assign_coords(dopamine=("trial", [1] * 10 + [2] * 2)), by="dopamine")
    assert by.fraction.sel(dopamine=1) == 0.8
    assert np.isnan(by.fraction.sel(dopamine=2))
    assert np.isnan(by.low.sel(dopamine=2))


def test_performance_counts_outcomes_by_condition():
    found = trial_outcomes(ends())
    with pytest.raises(ValueError, match="one condition.*`by=` its name"):
        performance(found)
    assert performance(found.drop_vars("dopamine")).n.values.tolist() == [1] * 5
    table = performance(found, by="dopamine")
    assert table.dopamine.attrs["long_name"] == "dopamine"
    assert table.n.sel(dopamine=1.0, outcome="distracted") == table.n_all.sel(dopamine=1.0) == 1
    assert table.n.sum() == 5
    with pytest.raises(ValueError, match="Unknown coordinate along trial 'dopamin'"):
        performance(found, by="dopamin")
    with pytest.raises(ValueError, match="must be among correct.*but are none"):
        performance(xr.Dataset({"outcome": ("trial", ["none"])}))
    with pytest.raises(TypeError, match="as `trial_outcomes"):
        performance(ends())


def test_conditions_with_names_keep_the_order_of_the_trials():
    outcomes = trial_outcomes(ends()).drop_vars("dopamine")
    named = outcomes.assign_coords(condition=("trial", ["control", "control", "DA dip", "DA dip", "a lesion"]))
    assert performance(named, by="condition").condition.values.tolist() == ["control", "DA dip", "a lesion"]
    resistance = distractor_resistance(named, by="condition")
    assert resistance.n_all.to_series().to_dict() == {"control": 2, "DA dip": 2, "a lesion": 0}
    with pytest.raises(ValueError, match=r"result\.condition == 'DA dip'\)"):
        performance(named)


def test_the_ping_window_ends_200_ms_after_it_and_areas_respond_by_their_peak():
    trial = protocols.delayed_ping(fixation=600, duration=3000)  # ping at 1600 to 2000 ms
    run = result(
        [trial],
        (1600, 2200, 1, "ab", 7.0),
        (1700, 1710, 2, "b", 5.1),
        (2200, 3000, 2, "abc", 99.0),
        duration=3000,
    )
    read = ping_readout(run, areas=["a", "b"])
    assert read.mean_rate.values.tolist() == [[7.0, pytest.approx(1 + 4.1 / 120)]]
    assert read.peak_rate.sel(trial=0).values.tolist() == [[7.0, 1.0], [7.0, 5.1]]
    assert read.n_areas.values.tolist() == [[2, 1]]
    assert read.held.item() == 1
    cooled = run.where((run.area != "a") | (run.time < 2000)).where(run.area != "c")
    with_gaps = ping_readout(cooled, areas=["a", "b", "c"])
    assert with_gaps.mean_rate.sel(item=1).item() == 7.0
    np.testing.assert_array_equal(with_gaps.peak_rate.sel(trial=0, item=1), [7.0, 7.0, np.nan])
    assert ping_readout(run, (2200, 3000), areas=["a"]).held.item() == 2
    assert ping_readout(run, areas=["a"], threshold=8).held.item() == 0
    with pytest.raises(ValueError, match="Unknown area '8m' in `areas`"):
        ping_readout(run)
    with pytest.raises(ValueError, match="current named 'ping'.*protocols.delayed_ping"):
        ping_readout(run.assign_attrs(stimulus=CUE.to_json()), areas=["a"])


def test_n_back_compares_each_item_with_what_is_held_before_it():
    trial = protocols.item_sequence([1, 1, 2, 1, 2, 2], n=1, final_gap=600)
    gaps = [trial.window(f"gap {k}") for k in range(1, 6)]
    held = [1, 2, 2, 2, 0]  # expected 1, 1, 2, 1, 2
    run = result([trial], *((*w, k, "ab", 30.0) for w, k in zip(gaps, held, strict=True) if k), duration=7000)
    found = n_back_outcomes(run).sel(trial=0)
    assert found.position.values.tolist() == [2, 3, 4, 5, 6]
    assert found.held.values.tolist() == held
    assert found.expected.values.tolist() == list(trial.expected[1:])
    assert found.outcome.values.tolist() == ["hit", "false alarm", "correct rejection", "false alarm", "omission"]
    two = n_back_outcomes(run, n=2).sel(trial=0)
    assert two.outcome.values.tolist() == ["false alarm", "miss", "hit", "omission"]
    table = performance(n_back_outcomes(run))
    assert table.n.sel(outcome="false alarm") == 2
    assert table.n_all == 5
    with pytest.raises(ValueError, match="more than n = 6, but show 6"):
        n_back_outcomes(run, n=6)


def test_decisions_are_the_first_crossing_of_the_smoothed_rate():
    trials = [protocols.decision_making(c, fixation=500, evidence_duration=1000) for c in (50, -50, 0)]
    run = result(
        trials,
        (600, 2000, 1, "a", 30.0, [0]),
        (700, 2000, 2, "a", 90.0, [0]),
        (800, 2000, 2, "a", 31.0, [1]),
        (100, 200, 1, "a", 90.0, [2]),
        rest=0.0,
        every=1.0,
        names=("r_1", "r_2"),
        duration=2000,
    )
    found = decision(run).sel(area="a")
    assert found.choice.values.tolist() == [1, 2, 0]
    np.testing.assert_array_equal(found.coherence, [50, -50, 0])
    # s = 30 (1 - exp(-t/20)) from one sample before the step; between samples a straight line instead (< 0.02 ms).
    expected = [99 + 20 * np.log(2), 299 + 20 * np.log(31 / 16), np.nan]
    np.testing.assert_allclose(found.reaction_time, expected, atol=0.02)
    plain = decision(run, smoothing=0).reaction_time.sel(area="a", trial=0)
    assert plain == pytest.approx(99.5)  # halfway between 0 and 30 Hz
    assert decision(run, onset=0, smoothing=0).choice.sel(trial=2, area="a") == 1
    assert (decision(run.where(run.area != "a")).choice.sel(area="a") == 0).all()
    inhibition = cx.Pulse(area="a", input="E1", onset=200, duration=100, amplitude=-1)
    with pytest.raises(ValueError, match="current named 'evidence'"):
        decision(run.assign_attrs(stimulus=inhibition.to_json()))
    with pytest.raises(ValueError, match="current named 'evidence'"):
        decision(run.assign_attrs(stimulus="[]"))


def test_the_psychometric_table_counts_choices_and_averages_their_times():
    choice = xr.DataArray([[1], [1], [2], [0], [2], [2]], dims=("trial", "area"))
    times = xr.DataArray([[100.0], [300], [500], [np.nan], [200], [260]], dims=("trial", "area"))
    coherence = ("trial", [5, 5, 5, 5, -5, -5], {"units": "%"})
    decisions = xr.Dataset({"choice": choice, "reaction_time": times}, {"coherence": coherence, "area": ["a"]})
    table = psychometric(decisions).sel(area="a")
    assert table.n.values.tolist() == [[0, 0, 2], [1, 2, 1]]
    assert table.fraction.values.tolist() == [0, 2 / 3]
    np.testing.assert_array_equal(table.reaction_time, [[np.nan, np.nan, 230], [np.nan, 200, 500]])
    np.testing.assert_allclose(
        table.reaction_time_sd, [[np.nan, np.nan, 900**0.5 * 2**0.5], [np.nan, 2e4**0.5, np.nan]]
    )
    assert table.coherence.attrs["units"] == "%"
    with pytest.raises(ValueError, match="Unknown coordinate along trial 'trials'"):
        psychometric(decisions, by="trials")


def test_wong_and_wang_decide_as_published():
    """Accuracy .98 and mean reaction time 478 ms at 12.8 % (4000 trials of the authors' program); here 100 trials."""
    model = cx.Model(cx.single_area(), cx.circuits.WongWang2006())
    trials = [protocols.decision_making(12.8, evidence_duration=1900, delay=0.5)] * 100
    found = decision(cx.simulate(model, trials, trials=100, duration=2000, every=2.5))
    table = psychometric(found).isel(area=0, coherence=0)
    assert table.low < 0.98 < table.high
    mean = found.reaction_time.mean().item()
    assert mean == pytest.approx(478, abs=3 * found.reaction_time.std().item() / 10)  # three standard errors


@pytest.fixture(scope="module")
def cortex():
    """Froudist-Walsh et al. with a distractor at dopamine .75, 1, 1.5 and 2, without noise."""
    circuit = cx.circuits.FroudistWalsh2021(dopamine=[0.75, 1.0, 1.5, 2.0])
    model = cx.Model(cx.load_connectome("macaque40"), circuit, cx.gradients.macaque40())
    return cx.simulate(model, DISTRACTED, trials=4, noise=False, record=("r_E1", "r_E2"))


def test_the_distractor_wins_at_dopamine_1_and_2_and_not_at_1_5(cortex):
    """The authors' program: areas that hold E1, E2 at the end are 0, 0; 0, 7; 23, 0; 0, 15."""
    found = trial_outcomes(cortex)
    assert found.n_areas.values.tolist() == [[0, 0], [0, 7], [23, 0], [0, 15]]
    assert found.outcome.values.tolist() == ["lost", "distracted", "correct", "distracted"]
    resistance = distractor_resistance(found, by="dopamine")
    assert resistance.fraction.values.tolist() == [0, 0, 1, 0]


def test_held_areas_are_those_of_validate_persistence(cortex):
    judged = cx.validate.persistence_by_trial(cortex, variable="r_E1").persistent
    np.testing.assert_array_equal(held_item(cortex).held_in_area == 1, judged)


def test_items_are_read_from_files_and_parts_of_a_result(cortex, tmp_path):
    cx.save(cortex, tmp_path / "run.nc")
    again = cx.load(tmp_path / "run.nc").isel(trial=[2])
    found = trial_outcomes(again)
    assert found.outcome.item() == "correct"
    assert performance(found).fraction.sel(outcome="correct") == 1
    found.to_netcdf(tmp_path / "outcomes.nc", engine="h5netcdf")
    assert xr.load_dataset(tmp_path / "outcomes.nc", engine="h5netcdf").outcome.item() == "correct"


def test_a_lesioned_area_holds_nothing(cortex):
    lesioned = cortex.where((cortex.area != "LIP") | (cortex.time < 3000))
    assert trial_outcomes(lesioned).n_areas.values.tolist()[2] == [22, 0]
    assert held_since(lesioned).since_in_area.sel(trial=2, area="LIP").isnull()


def test_tables_of_a_sweep_keep_its_axes_and_leave_failed_points_out():
    one = trial_outcomes(ends()).drop_vars("dopamine")
    failed = xr.where(one.outcome == "", one.outcome, "")
    axes = xr.concat([one, one.assign(outcome=failed, distractor=one.distractor * np.nan)], "amplitude")
    table = performance(axes)
    assert table.n_all.values.tolist() == [5, 0]
    assert table.fraction.sel(outcome="lost", amplitude=0) == 0.2
    assert table.fraction.sel(amplitude=1).isnull().all()
    assert distractor_resistance(axes).n_all.values.tolist() == [4, 0]


def test_the_ping_reads_out_what_it_does_in_the_paper():
    """Fig. 4A and 4B: rates of the authors' program at dopamine .5 and 1.5, to .01 Hz; here sampled every 10 ms."""
    circuit = cx.circuits.FroudistWalsh2021Plasticity(dopamine=[0.5, 1.5])
    model = cx.Model(cx.load_connectome("macaque40"), circuit, cx.gradients.macaque40())
    published = {
        protocols.delayed_ping(): ([[7.15, 0.22], [14.35, 0.19]], [[12, 0], [12, 1]], [1, 1]),
        protocols.delayed_ping(distractors=[TO_E2]): ([[0.42, 5.39], [14.21, 0.36]], [[1, 11], [12, 1]], [2, 1]),
    }
    for trial, (rates, areas, item) in published.items():
        run = cx.simulate(model, trial, trials=2, noise=False, record=("r_E1", "r_E2"))
        read = ping_readout(run)
        np.testing.assert_allclose(read.mean_rate, rates, atol=0.01)
        assert read.n_areas.values.tolist() == areas
        assert read.held.values.tolist() == item
        silent, active = held_item(run, (11_600, 12_000)).n_areas.sel(item=1).values
        assert (silent, active) == (0, 23)
