"""The variants of Froudist-Walsh et al. 2021 against the numbers of the authors' program.

`tests/reference/` holds what the program gave for four areas; where the full tables are at hand, all 40 are compared.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cortexsim as cx
from cortexsim import learning
from cortexsim.analysis.memory import FRONTOPARIETAL
from cortexsim.circuits import FroudistWalsh2021Learning, FroudistWalsh2021Plasticity
from cortexsim.protocols import TO_V1, delayed_ping

pytestmark = pytest.mark.slow  # the quick tests are to stay under a minute

RATES = ("r_E1", "r_E2", "r_PV", "r_SST1", "r_SST2", "r_VIP1", "r_VIP2")
PLASTIC = ("facilitation1", "facilitation2", "depression1", "depression2")
VTA = ("r_VTA_DA", "r_VTA_GABA", "DA")
PING, DISTRACTOR_PING = delayed_ping(), delayed_ping(distractors=[TO_V1[1]])
LEARNING = delayed_ping(distractors=[TO_V1[1]], fixation=6000, duration=13_000)
LEVELS = (0.0, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0)


def table(name):
    return pd.read_csv(Path(__file__).parent / "reference" / name, comment="#", dtype={"area": str})


def full(shared, name):
    return np.load(shared / "reference" / "froudist_walsh2021" / f"{name}.npz", allow_pickle=False)


def changed(model, kind, **parameters):
    return dataclasses.replace(model, circuit=kind(**parameters))


def every_step(model, stimulus, duration, record, trials=1):
    return cx.simulate(model, stimulus, duration=duration, every=0.5, trials=trials, noise=False, record=record)


def compare(result, rows, names):
    """To 1e-9: two programs of one specification stay within 1e-10 of each other, a mistake is 1e-3 or more."""
    at = {"time": rows.step.to_numpy(), "area": [list(result.area.values).index(a) for a in rows.area]}
    for column, values in names.items():
        np.testing.assert_allclose(values.to_numpy()[at["time"], at["area"]], rows[column], rtol=0, atol=1e-9)


# Receptors that are blocked ------------------------------------------------------------------------------------------


def graded(model, **parameters):
    """Return the parameters per area, of one trial."""
    circuit = dataclasses.replace(model.circuit, **parameters)
    return dataclasses.replace(model, circuit=circuit).parameters(1)[1]


def test_without_D1_receptors_all_actions_of_dopamine_are_held_at_occupancy_0(model):
    blocked, held = graded(model, D1_availability=0), graded(model, without_dopamine=("NMDA", "PV", "SST", "M"))
    assert blocked.keys() == held.keys()
    assert all(np.array_equal(blocked[name], held[name]) for name in held)


def test_NMDA_availability_scales_the_gain_of_every_NMDA_current_and_nothing_else(model):
    half, whole = graded(model, NMDA_availability=0.5), graded(model)
    assert [name for name in whole if not np.array_equal(half[name], whole[name])] == ["m"]
    assert np.array_equal(half["m"], 0.5 * whole["m"])


def test_with_dynamic_dopamine_a_block_of_D1_holds_every_action_as_well(model):
    ends = [
        cx.simulate(changed(model, FroudistWalsh2021Learning, dopamine=1.0, **blocked), duration=50).final_state
        for blocked in ({"D1_availability": 0}, {"without_dopamine": ("NMDA", "PV", "SST", "M")}, {})
    ]
    assert np.array_equal(ends[0], ends[1])
    assert not np.array_equal(ends[0], ends[2])


# Short-term plasticity (Fig. 4) --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plastic(model):
    """Every step of the trials of the reference, by stimulus and dopamine."""
    ping = every_step(
        changed(model, FroudistWalsh2021Plasticity, dopamine=(0.5, 1.5)), PING, 15_000, (*RATES, *PLASTIC), trials=2
    )
    distracted = every_step(changed(model, FroudistWalsh2021Plasticity), DISTRACTOR_PING, 15_000, (*RATES, *PLASTIC))
    return {
        ("target ping", 0.5): ping.isel(trial=0),
        ("target ping", 1.5): ping.isel(trial=1),
        ("target distractor ping", 0.5): distracted.isel(trial=0),
    }


def test_rates_facilitation_and_depression_are_those_of_the_authors_program(plastic):
    reference = table("froudistwalsh2021_plasticity.csv").groupby(["stimulus", "dopamine"])
    assert set(reference.groups) == set(plastic)
    for condition, rows in reference:
        result = plastic[condition]
        names = {name.removeprefix("r_"): result[name] for name in RATES}
        names |= {f"u{k}": result[f"facilitation{k}"] * result.facilitation_baseline for k in (1, 2)}
        names |= {f"x{k}": result[f"depression{k}"] * result.depression_baseline for k in (1, 2)}
        compare(result, rows, names)


def test_every_area_of_the_plastic_cortex_equals_the_authors_program(plastic, shared):
    for file, stimulus in (
        ("plasticity_ping_trials", "target ping"),
        ("plasticity_distractor_ping_trials", "target distractor ping"),
    ):
        reference = full(shared, file)
        for k, dopamine in enumerate(reference["dopamine"]):
            result = plastic[stimulus, dopamine].sel(area=reference["areas"])
            rates = np.stack([result[name].to_numpy() for name in RATES], axis=-1)
            expected = reference["rate_checkpoints"][k]
            np.testing.assert_allclose(rates[reference["checkpoint_steps"]], expected, rtol=0, atol=1e-9)
            np.testing.assert_allclose(rates[29_999], reference["rate_end"][k], rtol=0, atol=1e-9)


@pytest.fixture(scope="module")
def rested(model):
    """The plastic cortex before the first stimulus, at eight levels of dopamine."""
    model = changed(model, FroudistWalsh2021Plasticity, dopamine=LEVELS)
    return model, cx.simulate(model, duration=11_000, every=1000, trials=len(LEVELS), noise=False)


def pinged(rested, stimulus):
    model, state = rested
    options = {"every": 10, "trials": len(LEVELS), "noise": False, "record": ("r_E1", "r_E2")}
    return cx.simulate(model, stimulus, duration=4000, state=state, **options)


def window(rate, start, stop):
    return rate.isel(time=(rate.time >= start) & (rate.time < stop))


def persistent(rate, start, stop):
    """Return the number of areas above 5 Hz, per trial."""
    return (window(rate, start, stop).mean("time") > 5).sum("area").to_numpy().tolist()


def read_out(result, start, stop):
    """Return the mean rate of E1 and E2 in the frontoparietal areas, and how many of these peak above 5 Hz."""
    rates = [window(result[name].sel(area=list(FRONTOPARIETAL)), start, stop) for name in ("r_E1", "r_E2")]
    means = np.stack([rate.mean(("time", "area")) for rate in rates], axis=-1)
    peaks = np.stack([(rate.max("time") > 5).sum("area") for rate in rates], axis=-1)
    return means, peaks.tolist()


def test_a_ping_wakes_the_silent_memory_at_low_and_at_high_dopamine(rested):
    """Fig. 4A: means of samples every 10 ms, printed with two decimals."""
    result = pinged(rested, PING)
    assert persistent(result.r_E1, 11_600, 12_000) == [0, 0, 0, 11, 23, 8, 0, 0]
    means, peaks = read_out(result, 12_000, 12_600)
    E1 = [5.98, 7.15, 9.54, 13.04, 14.35, 12.24, 9.68, 8.18]
    E2 = [0.24, 0.22, 0.19, 0.14, 0.19, 0.24, 0.29, 0.32]
    np.testing.assert_allclose(means, np.transpose([E1, E2]), rtol=0, atol=0.0051)
    assert peaks == [[10, 0], [12, 0], [12, 0], [12, 1], [12, 1], [12, 1], [12, 1], [12, 1]]
    assert persistent(result.r_E1, 14_500, 15_000) == [0, 0, 0, 20, 24, 21, 0, 0]


def test_a_ping_reads_out_the_last_stimulus_of_a_silent_memory_and_the_target_of_a_persistent_one(rested):
    """Fig. 4B."""
    result = pinged(rested, DISTRACTOR_PING)
    means, peaks = read_out(result, 13_000, 13_600)
    E1 = [0.72, 0.42, 0.32, 12.26, 14.21, 11.37, 0.58, 0.52]
    E2 = [1.23, 5.39, 9.68, 0.51, 0.36, 0.73, 9.41, 8.15]
    np.testing.assert_allclose(means, np.transpose([E1, E2]), rtol=0, atol=0.0051)
    assert peaks == [[3, 3], [1, 11], [1, 12], [12, 3], [12, 1], [12, 4], [4, 12], [3, 12]]
    assert persistent(result.r_E1, 14_500, 15_000) == [0, 0, 0, 20, 24, 8, 0, 0]
    assert persistent(result.r_E2, 14_500, 15_000) == [0] * 8


def test_the_trace_of_the_silent_memory_is_in_the_synapses(plastic):
    """Efficacy just before the ping, relative to that just before the target; printed with three decimals."""
    result = plastic["target ping", 0.5]
    areas = ["V1", "TEpd", "MT", "LIP", "V4", "45A", "24c"]
    for k, expected in (
        (1, [1.853, 1.694, 1.412, 1.387, 1.347, 1.263, 1.010]),
        (2, [0.960, 0.960, 0.973, 0.981, 0.971, 0.972, 0.996]),
    ):
        efficacy = (result[f"facilitation{k}"] * result[f"depression{k}"]).sel(area=areas)
        relative = efficacy.isel(time=23_980) / efficacy.isel(time=21_980)
        np.testing.assert_allclose(relative, expected, rtol=0, atol=0.00051)
    assert (result.r_E1.isel(time=23_980) < 5).all()


# Dopamine from the VTA (Fig. 6) --------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["published", "corrected"])
def trial(model, request):
    """Every step of a trial, without noise."""
    model = changed(model, FroudistWalsh2021Learning, VTA_units=request.param)
    return request.param, every_step(model, LEARNING, 13_000, (*RATES, *VTA)).isel(trial=0)


def test_rates_and_dopamine_are_those_of_the_authors_program(trial):
    """The sums over areas are taken in another order than in the program, which moves their last bits only."""
    units, result = trial
    rows = table("froudistwalsh2021_learning.csv")
    compare(result, rows[rows.units == units], {name.removeprefix("r_"): result[name] for name in (*RATES, *VTA)})


def test_every_area_of_the_learning_cortex_equals_the_authors_program(trial, shared):
    units, result = trial
    reference, k = full(shared, "learning_single_trials"), int(units == "corrected")
    result = result.sel(area=reference["areas"])
    rates = np.stack([result[name].to_numpy() for name in RATES], axis=-1)
    at = reference["checkpoint_steps"]
    np.testing.assert_allclose(rates[at], reference["rate_checkpoints"][k], rtol=0, atol=1e-9)
    np.testing.assert_allclose(rates[25_999], reference["rate_end"][k], rtol=0, atol=1e-9)
    firing = np.stack([result[name].to_numpy()[:, 0] for name in VTA[:2]], axis=-1)
    np.testing.assert_allclose(firing[at], reference["vta_rate_checkpoints"][k], rtol=0, atol=1e-9)
    np.testing.assert_allclose(result.DA.to_numpy()[at, 0], reference["dopamine_checkpoints"][k], rtol=0, atol=1e-9)
    means, _ = read_out(result.expand_dims("trial"), *LEARNING.window("ping"))
    np.testing.assert_allclose(means[0], reference["ping_mean_E1_E2"][k], rtol=0, atol=1e-9)


def test_the_weights_on_the_VTA_decide_which_item_is_held(model):
    """As published; c1 = .76 ... .9 at c2 = .4 hold nothing. Dopamine must exceed about 1 when the distractor comes."""
    c1, c2 = (0.7, 1.0, 0.3, 0.76, 0.9, 0.95), (1.0, 0.5, 1.0, 0.4, 0.4, 0.4)
    model = changed(model, FroudistWalsh2021Learning, c_VTA1=c1, c_VTA2=c2)
    result = every_step(model, LEARNING, 13_000, ("r_E1", "r_E2", *VTA), trials=6)
    means, _ = read_out(result, *LEARNING.window("ping"))
    np.testing.assert_allclose(means[:3], [[0.507, 22.213], [22.213, 0.507], [0.507, 22.210]], rtol=0, atol=0.00051)
    assert (means[3:5] < 1).all()
    assert means[5, 0] > 20 > 1 > means[5, 1]
    end = result.isel(time=-1, area=0, trial=slice(3))
    np.testing.assert_allclose(end.r_VTA_DA, [86.55, 85.95, 85.35], rtol=0, atol=0.0051)
    np.testing.assert_allclose(end.r_VTA_GABA, [144.72, 144.13, 143.54], rtol=0, atol=0.0051)
    np.testing.assert_allclose(end.DA, [16.376, 16.621, 16.066], rtol=0, atol=0.00051)


def test_there_is_one_VTA(model):
    result = cx.simulate(changed(model, FroudistWalsh2021Learning), LEARNING, duration=200, record=VTA, trials=2)
    for name in VTA:
        assert (np.ptp(result[name].to_numpy(), axis=-1) == 0).all()
    assert not np.array_equal(result.r_VTA_DA[0], result.r_VTA_DA[1])


def test_a_lesioned_area_does_not_reach_the_VTA(model):
    circuit, lesioned = FroudistWalsh2021Learning(), model.areas.index("LIP")
    weights = circuit.weights(model.connectome.lesion(["LIP"]))["VTA"]
    expected = np.ones((40, 40))
    expected[lesioned] = expected[:, lesioned] = 0
    expected[lesioned, lesioned] = 1
    assert np.array_equal(weights, expected)


def test_the_published_units_are_the_corrected_ones_times_1e_minus_9(model):
    small = {"I0_VTA_DA": 1e-9 * 0.35, "I0_VTA_GABA": 1e-9 * 0.25, "g_VTA_DA_GABA": 1e-9 * -0.55}
    ends = [
        cx.simulate(changed(model, FroudistWalsh2021Learning, **options), LEARNING, duration=100).final_state
        for options in ({}, {"VTA_units": "corrected", **small})
    ]
    assert np.array_equal(*ends)
    with pytest.raises(ValueError, match="Unknown option 'corected' in `VTA_units`; did you mean 'corrected'"):
        FroudistWalsh2021Learning(VTA_units="corected")


# Learning over trials ------------------------------------------------------------------------------------------------


def test_the_update_rule_ends_at_the_weights_that_the_authors_stored():
    """27, 29 and 28 rewards per block of 30; within a block errors and rewards move different weights, in any order."""
    c = (0.7, 1.0)
    for rewarded, errors in ((1, 3), (2, 1), (1, 2)):
        for k in range(30):
            c = learning.update(c, rewarded if k >= errors else 3 - rewarded, rewarded, alpha=0.2)
    np.testing.assert_allclose(c, (0.999612, 0.639517), rtol=0, atol=5e-7)


def test_neither_stimulus_chosen_counts_as_wrong():
    assert learning.update((0.5, 1.0), 0, rewarded=1) == learning.update((0.5, 1.0), 2, rewarded=1) == (0.5, 0.8)
    assert learning.update((0.5, 1.0), 0, rewarded=2) == learning.update((0.5, 1.0), 1, rewarded=2) == (0.4, 1.0)


def test_without_noise_only_the_block_that_rewards_the_distractor_is_earned(model):
    """0, 30 and 0 rewards in the published blocks of 30; here in blocks of 2."""
    model = changed(model, FroudistWalsh2021Learning)
    result = learning.learn(model, rewarded=learning.reversals(6, block=2), noise=False)
    assert result.reward.to_numpy().tolist() == [0, 0, 1, 1, 0, 0]
    assert result.choice.to_numpy().tolist() == [2] * 6
    assert (result.c1 == 0.7).all()
    np.testing.assert_allclose(result.c2[:4], [1, 0.8, 0.64, 0.712], rtol=1e-12)
    assert result.attrs["c1_final"] == 0.7
    np.testing.assert_allclose([result.ping_E1[0], result.ping_E2[0]], [0.507, 22.213], rtol=0, atol=0.00051)


def test_without_noise_the_published_blocks_earn_0_30_and_0(model):
    result = learning.learn(changed(model, FroudistWalsh2021Learning), noise=False)
    assert result.reward.to_numpy().reshape(3, 30).sum(axis=1).tolist() == [0, 30, 0]


def test_each_trial_of_learning_is_a_trial_of_simulate(model):
    model = changed(model, FroudistWalsh2021Learning)
    short = delayed_ping(fixation=100, stimulus_duration=50, delay=50, duration=300)
    learnt = learning.learn(model, trials=3, protocol=short, c=(0.9, 0.8), alpha=0.5, areas=["V1", "V2"], seed=3)
    assert learnt.rewarded.to_numpy().tolist() == [1, 1, 1]
    assert learnt.attrs["seed"] == "3"
    last = changed(model, FroudistWalsh2021Learning, c_VTA1=float(learnt.c1[2]), c_VTA2=float(learnt.c2[2]))
    alone = cx.simulate(last, short, duration=250, every=0.5, trials=[2], seed=3)
    ping = window(alone, *short.window("ping")).sel(area=["V1", "V2"])
    assert float(learnt.ping_E1[2]) == float(ping.r_E1.mean())
    assert int(learnt.choice[2]) == (1 if ping.r_E1.mean() > ping.r_E2.mean() else 2)
    c = (0.9, 0.8)
    for k in range(3):
        assert c == (learnt.c1[k], learnt.c2[k])
        c = learning.update(c, int(learnt.choice[k]), 1, alpha=0.5)
    assert c == (learnt.attrs["c1_final"], learnt.attrs["c2_final"])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"trials": 0}, ValueError, "`trials` must be at least 1"),
        ({"trials": 3, "rewarded": [1]}, ValueError, "for each of 3 trials, but has 1"),
        ({"rewarded": []}, ValueError, "each of one or more trials"),
        ({"rewarded": [1, 3]}, ValueError, r"`rewarded` must hold 1 or 2 for each trial, but has 3 for trial 1"),
        ({"alpha": 1.5}, ValueError, "`alpha` must lie between 0 and 1"),
        ({"c": (0.7, np.nan)}, ValueError, r"`c\[1\]` must be finite"),
        ({"c": 0.7}, TypeError, "`c` must be a pair"),
        ({"noise": np.zeros(3)}, TypeError, "`noise` must be True or False"),
        ({"areas": ()}, ValueError, "`areas` must name one area or more"),
        ({"areas": ["LIPP"]}, ValueError, "Unknown area 'LIPP' in `areas`; did you mean 'LIP'"),
        ({"protocol": cx.working_memory()}, ValueError, "Unknown epoch 'ping'"),
        ({"protocol": 5}, TypeError, "`protocol` must be a Schedule"),
    ],
)
def test_learn_refuses_what_it_cannot_learn_from(model, options, error, message):
    with pytest.raises(error, match=message):
        learning.learn(changed(model, FroudistWalsh2021Learning), **options)


def test_learn_needs_the_learning_circuit_with_one_value_of_each_parameter(model):
    with pytest.raises(
        TypeError, match="must be a Model of FroudistWalsh2021Learning, but is <Model FroudistWalsh2021 "
    ):
        learning.learn(model)
    with pytest.raises(ValueError, match="give each parameter one value"):
        learning.learn(changed(model, FroudistWalsh2021Learning, c_VTA1=(0.7, 0.8)))
