"""The same trials with and without a perturbation."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import cortexsim as cx

CUE = cx.Pulse(area="V1", input="E1_dendrite", onset=50, duration=50, amplitude=100)
LIGHT = cx.optogenetics(["LIP", "9/46d"], "SST2", -100, onset=100, duration=50)


def test_each_condition_is_what_simulate_gives_under_the_same_noise(model):
    result = cx.paired(model, CUE, {"light": LIGHT, "cut": cx.Lesion(areas=["LIP"])}, trials=2, duration=200, seed=3)
    assert result.condition.to_numpy().tolist() == ["control"] * 2 + ["light"] * 2 + ["cut"] * 2
    assert result.trial.to_numpy().tolist() == [0, 1] * 3
    for name, stimulus in (("control", CUE), ("light", CUE + LIGHT), ("cut", CUE + cx.Lesion(areas=["LIP"]))):
        alone = cx.simulate(model, stimulus, trials=2, duration=200, seed=3)
        assert np.array_equal(result.r_E1[result.condition == name], alone.r_E1, equal_nan=True), name


def test_before_the_light_the_pair_is_the_same_and_afterwards_the_difference_is_the_lights(model):
    result = cx.paired(model, CUE, LIGHT, trials=3, duration=200)
    found = cx.compare(result.r_SST2)
    assert (found.difference.sel(time=slice(0, 100)) == 0).all()
    assert (found.high.sel(time=130, area=["LIP", "9/46d"]) < 0).all()  # in spite of the noise, which is shared


def test_a_sweep_of_a_parameter_is_paired_value_by_value(model):
    import dataclasses

    levels = dataclasses.replace(model, circuit=cx.circuits.FroudistWalsh2021(dopamine=[0.5, 1.5]))
    result = cx.paired(levels, [CUE, None], LIGHT, trials=[0, 0], duration=100)
    assert result.dopamine.to_numpy().tolist() == [0.5, 1.5, 0.5, 1.5]


def test_compare_gives_the_interval_of_students_paired_t():
    rng = np.random.default_rng(0)
    control, treated = rng.normal(size=(2, 9))
    values = xr.DataArray(
        np.concatenate([control, treated + 0.3]),
        dims="trial",
        coords={"trial": [*range(9)] * 2, "condition": ("trial", ["control"] * 9 + ["drug"] * 9)},
        attrs={"units": "Hz"},
    )
    found = cx.compare(values, confidence=0.9)
    expected = stats.ttest_rel(treated + 0.3, control).confidence_interval(0.9)
    np.testing.assert_allclose([found.low.item(), found.high.item()], expected, rtol=1e-12)
    assert found.difference.attrs["units"] == "Hz"


def test_what_cannot_be_paired_says_why(model):
    with pytest.raises(ValueError, match="none of them 'control'"):
        cx.paired(model, CUE, {"control": LIGHT}, duration=10)
    with pytest.raises(TypeError, match="Perturbation 'x' must be a Lesion"):
        cx.paired(model, CUE, {"x": 3}, duration=10)
    with pytest.raises(TypeError, match="must be a Stimulus, or several by name"):
        cx.paired(model, CUE, [LIGHT], duration=10)
    with pytest.raises(TypeError, match="must be a DataArray of numbers"):
        cx.compare(xr.DataArray(["correct"], dims="trial"))
    with pytest.raises(ValueError, match="must have the coordinate `condition`"):
        cx.compare(xr.DataArray([1.0], dims="trial"))
