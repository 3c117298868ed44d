"""The published numbers: the authors' program to 1e-9 Hz, and what the paper reports.

`tests/reference/` holds what the authors' program gave for seven areas; where the full tables are at hand, all 40
areas are compared.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import cortexsim as cx

# The program's target ends one step early: int(1.4 / 0.0005) is 2799.
TARGET = cx.Pulse(area="V1", input="E1_dendrite", onset=1000, duration=399.5, amplitude=100)
DISTRACTOR = cx.Pulse(area="V1", input="E2_dendrite", onset=2000, duration=400, amplitude=100)
FRONTOPARIETAL = ("8m", "8l", "7A", "46d", "9/46v", "9/46d", "F5", "LIP", "45A", "F2", "F7", "24c")
SILENCED = sum(cx.Pulse(area=a, input="SST2", onset=2000, duration=400, amplitude=-100) for a in FRONTOPARIETAL)
STIMULI = {
    "target": TARGET,
    "target distractor": TARGET + DISTRACTOR,
    "target distractor silenced": TARGET + DISTRACTOR + SILENCED,
}
RATES = ["r_E1", "r_E2", "r_PV", "r_SST1", "r_SST2", "r_VIP1", "r_VIP2"]


def with_dopamine(model, *levels, **options):
    circuit = dataclasses.replace(model.circuit, dopamine=levels, **options)
    return dataclasses.replace(model, circuit=circuit)


def run(model, stimulus, *levels, circuit=(), **options):
    return cx.simulate(
        with_dopamine(model, *levels, **dict(circuit)),
        stimulus,
        trials=len(levels),
        **{"duration": 5000, "noise": False, "every": 0.5, **options},
    )


def rates(result):
    """Return (trial, time, area, population)."""
    return np.stack([result[name].to_numpy() for name in RATES], axis=-1)


@pytest.fixture(scope="module")
def target(model):
    return run(model, TARGET, 0.0, 1.0, 1.5)


@pytest.fixture(scope="module")
def reference():
    path = Path(__file__).parent / "reference" / "froudistwalsh2021_rates.csv"
    return pd.read_csv(path, comment="#", dtype={"area": str})


@pytest.mark.parametrize("stimulus", STIMULI)
def test_rates_are_those_of_the_authors_program(model, reference, stimulus):
    """1e-9 Hz, as two programs of one specification differ by 3e-12 Hz and a mistake by 1e-3 Hz or more."""
    table = reference[reference.stimulus == stimulus]
    levels = sorted(table.dopamine.unique())
    result = run(model, STIMULI[stimulus], *levels)
    rows = {
        "trial": xr.DataArray(np.searchsorted(levels, table.dopamine), dims="row"),
        "time": xr.DataArray(table.step.to_numpy(), dims="row"),
        "area": xr.DataArray([model.areas.index(a) for a in table.area], dims="row"),
    }
    for name in RATES:
        np.testing.assert_allclose(result[name].isel(rows), table[name.removeprefix("r_")], rtol=0, atol=1e-9)


def test_every_area_and_population_equals_the_authors_program(model, target, shared):
    folder = shared / "reference" / "froudist_walsh2021"
    conditions = {
        "target_trials": target,
        "distractor_trials": run(model, STIMULI["target distractor"], 1.0, 1.5),
        "optogenetic_trials": run(
            model, [STIMULI["target distractor"], STIMULI["target distractor silenced"]], 1.5, 1.5
        ),
    }
    for name, result in conditions.items():
        with np.load(folder / f"{name}.npz", allow_pickle=False) as wanted:
            assert tuple(wanted["areas"]) == model.areas
            ours = rates(result)
            steps = wanted["checkpoint_steps"]
            np.testing.assert_allclose(ours[:, steps], wanted["rate_checkpoints"], rtol=0, atol=1e-9)
            np.testing.assert_allclose(ours[:, -1], wanted["rate_end"], rtol=0, atol=1e-9)


def test_float32_stays_close_and_holds_the_same_memory(model, target):
    """Tolerances of float32 rounding through 10,000 steps: 1e-2 Hz in traces, 2e-3 Hz at the end of the delay."""
    single = run(model, TARGET, 0.0, 1.0, 1.5, dtype="float32")
    assert single.r_E1.dtype == np.float32
    for name in RATES:
        assert np.abs(single[name] - target[name]).max() < 1e-2
        assert np.abs(single[name] - target[name]).isel(time=-1).max() < 2e-3
    for trial in range(3):
        judged = [cx.validate.persistence(r.isel(trial=[trial])) for r in (single, target)]
        assert judged[0].persistent_areas == judged[1].persistent_areas


def test_twenty_three_areas_persist_and_eighteen_of_nineteen_agree_with_experiments(target):
    judged = cx.validate.persistence(target.isel(trial=[2]))
    assert len(judged.persistent_areas) == 23
    assert judged.misses == ("TEpd",)
    assert judged.accuracy == pytest.approx(18 / 19)
    assert judged.chi_squared == pytest.approx(15.0330, abs=1e-4)
    assert judged.p_value == pytest.approx(1.056e-4, rel=1e-3)


def persistent(result, name="r_E1"):
    """Return the number of areas above 5 Hz over baseline, per trial."""
    delay = result[name].sel(time=slice(4500, None)).mean("time")
    return ((delay - result[name].sel(time=slice(500, 999)).mean("time")) > 5).sum("area").to_numpy().tolist()


def test_memory_exists_between_096_and_210_only(model):
    """Levels next to the borders, and inside away from the transitions."""
    levels = (0.0, 0.75, 0.94, 0.96, 1.25, 1.5, 1.75, 2.0, 2.1, 2.12, 2.5, 3.0)
    counts = dict(zip(levels, persistent(run(model, TARGET, *levels, every=10)), strict=True))
    held = {level for level, n in counts.items() if n}
    assert held == {0.96, 1.25, 1.5, 1.75, 2.0, 2.1}
    assert [counts[level] for level in (1.25, 1.5, 1.75, 2.0)] == [23, 23, 23, 15]


def test_a_distractor_wins_at_low_and_high_dopamine_only(model):
    result = run(model, TARGET + DISTRACTOR, 1.0, 1.25, 1.5, 1.75, 2.0, every=10)
    assert persistent(result, "r_E1") == [0, 23, 23, 23, 0]
    assert persistent(result, "r_E2") == [7, 0, 0, 0, 15]


def test_silencing_SST2_during_the_distractor_lets_it_win(model):
    result = run(model, STIMULI["target distractor silenced"], 1.5, every=10)
    assert (persistent(result, "r_E1"), persistent(result, "r_E2")) == ([0], [23])


@pytest.mark.parametrize(
    ("effect", "counts"),
    [("NMDA", [0, 0, 0, 0, 0]), ("PV", [0, 0, 0, 0, 0]), ("SST", [23, 25, 23, 19, 15]), ("M", [0, 7, 24, 25, 27])],
)
def test_one_action_of_dopamine_switched_off_gives_the_published_counts(model, effect, counts):
    result = run(model, TARGET, 0.5, 1.0, 1.5, 2.0, 3.0, circuit={"without_dopamine": (effect,)}, every=10)
    assert persistent(result) == counts


def test_without_the_FEF_exception_eight_areas_persist(model):
    result = run(model, TARGET, 1.5, circuit={"FEF_exception": False}, every=10)
    assert persistent(result) == [8]
    assert float(result.r_E1.isel(time=-1).mean()) == pytest.approx(4.5031, abs=1e-3)


def test_options_are_checked(model):
    kind = type(model.circuit)
    with pytest.raises(ValueError, match="Unknown action of dopamine 'NMD'.*did you mean 'NMDA'"):
        kind(without_dopamine=("NMD",))
    with pytest.raises(TypeError, match="tuple of names"):
        kind(without_dopamine="NMDA")
    with pytest.raises(ValueError, match="'paper'"):
        kind(noise_scaling="paper")
    with pytest.raises(TypeError, match="must be True or False"):
        kind(FEF_exception=1)
    with pytest.raises(ValueError, match="`FLN_exponent` must be a single number"):
        run(model, None, 1.5, circuit={"FLN_exponent": (0.3,)}, duration=1, every=1)


def test_with_noise_the_same_areas_agree_with_experiments(model):
    """Noise changes the class of F3 only, which is no well-studied area: 18 of 19 in each of eight trials."""
    result = cx.simulate(model, TARGET, duration=5000, trials=8, seed=1)
    for trial in range(8):
        judged = cx.validate.persistence(result.isel(trial=[trial]))
        assert judged.accuracy == pytest.approx(18 / 19)
        assert set(judged.persistent_areas) - {"F3"} == set(cx.validate.persistence(result).persistent_areas) - {"F3"}
