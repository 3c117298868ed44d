"""Persistence by area against the published figures of Froudist-Walsh et al. 2021."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from published_delay import CUE, delay_rates, published_result
from scipy.stats import chi2_contingency

from cortexsim.validate import Persistence, persistence, persistence_by_trial

PERSISTENT_23 = (
    *("8m", "8l", "STPc", "7A", "10", "TEpd", "46d", "9/46v", "9/46d", "F5", "7m", "LIP"),
    *("STPi", "9", "45A", "8B", "7B", "F2", "F7", "ProM", "STPr", "24c", "OPRO"),
)


# The published program's numbers; its chi-squared is given to two or four decimals.
@pytest.mark.parametrize(
    ("dopamine", "areas", "agreeing", "chi_squared", "digits"),
    [(1.5, 23, 18, 15.0330, 4), (1.0, 7, 10, 2.08, 2), (0.0, 0, 7, math.nan, 4)],
)
def test_published_rates_give_the_published_agreement(dopamine, areas, agreeing, chi_squared, digits):
    judged = persistence(published_result(dopamine))
    assert len(judged.persistent_areas) == areas
    assert judged.accuracy == agreeing / 19
    assert judged.chi_squared == pytest.approx(chi_squared, abs=0.5 * 10**-digits, nan_ok=True)
    assert int(judged.confusion.sum()) == 19


def test_at_dopamine_1_5_the_areas_and_the_one_miss_are_the_published_ones():
    judged = persistence(published_result(1.5))
    assert judged.persistent_areas == PERSISTENT_23
    assert judged.misses == ("TEpd",)
    assert judged.confusion.values.tolist() == [[6, 1], [0, 12]]
    assert judged.p_value == pytest.approx(1.056e-4, rel=5e-4)  # published to four digits


def test_means_equal_those_of_the_published_windows():
    before, after = delay_rates(1.5)
    judged = persistence(published_result(1.5, trials=3))
    np.testing.assert_allclose(judged.areas.baseline, before, rtol=1e-14)  # a mean of equal numbers: rounding only
    np.testing.assert_allclose(judged.areas.delay, after, rtol=1e-14)
    assert (judged.baseline_window, judged.delay_window) == ((500.0, 1000.0), (4500.0, 5000.0))


def test_chi_squared_is_pearsons_without_continuity_correction():
    judged = persistence(published_result(1.0))
    statistic, p_value, *_ = chi2_contingency(judged.confusion.values, correction=False)
    # Closed forms for a two by two table and one degree of freedom: equal to rounding.
    assert judged.chi_squared == pytest.approx(statistic, rel=1e-12)
    assert judged.p_value == pytest.approx(p_value, rel=1e-12)


def test_chi_squared_without_persistence_is_nan_with_the_reason():
    judged = persistence(published_result(0.0))
    assert math.isnan(judged.chi_squared)
    assert math.isnan(judged.p_value)
    assert judged.undefined == "undefined, no well-studied area persists"
    assert judged.undefined in str(judged)


def test_mean_over_trials_decides_and_the_fraction_is_told():
    result = published_result(0.0, trials=4)
    delay = result.time >= 4500
    # 3 of 4 trials rise by 6 Hz: mean 4.5, not persistent; 1 of 4 by 24 Hz: mean 6, persistent.
    result["r_E1"] = result.r_E1 + xr.where((result.area == "LIP") & delay & (result.trial < 3), 6.0, 0.0)
    result["r_E1"] = result.r_E1 + xr.where((result.area == "F7") & delay & (result.trial < 1), 24.0, 0.0)
    judged = persistence(result)
    assert judged.persistent_areas == ("F7",)
    assert judged.areas.persistent_fraction.sel(area="LIP") == 0.75
    assert judged.areas.persistent_fraction.sel(area="F7") == 0.25


def test_an_area_at_the_threshold_does_not_persist():
    result = published_result(0.0)
    result["r_E1"] = xr.zeros_like(result.r_E1) + xr.where(result.time >= 4500, 5.0, 0.0)
    assert persistence(result).persistent_areas == ()
    assert len(persistence(result, threshold=4.999).persistent_areas) == 40


def test_windows_are_half_open():
    result = published_result(1.5)
    result["r_E1"] = xr.zeros_like(result.r_E1) + result.time
    judged = persistence(result, baseline=(500, 510), delay=(4000, 4020))
    assert set(judged.areas.baseline.values) == {500.0}
    assert set(judged.areas.delay.values) == {4005.0}


def test_one_trial_picked_out_is_judged_like_a_run_of_one_trial():
    result = published_result(1.5, trials=2)
    assert persistence(result.isel(trial=1)).persistent_areas == persistence(result).persistent_areas


def test_order_of_areas_does_not_matter():
    result = published_result(1.5)
    turned = persistence(result.isel(area=slice(None, None, -1)))
    xr.testing.assert_identical(turned.areas.sel(area=result.area), persistence(result).areas)
    assert turned.chi_squared == persistence(result).chi_squared


def test_the_other_population_is_judged_by_name():
    distractor = {**CUE, "input": "E2_dendrite"}
    result = published_result(0.0, stimuli=(distractor,)).rename(r_E1="r_E2", r_E2="r_E1")
    result["r_E2"] = result.r_E2 + xr.where(result.time >= 4500, 9.0, 0.0)
    assert persistence(result).persistent_areas == ()
    assert len(persistence(result, variable="r_E2").persistent_areas) == 40


def test_without_r_e1_the_first_variable_in_hz_is_judged():
    result = published_result(1.5)
    gating = (0.01 * result.r_E1).assign_attrs(units="1")
    other = result.drop_vars(["r_E1", "r_E2"]).assign(S_A=gating, r_A=result.r_E1, r_B=result.r_E2)
    judged = persistence(other)
    assert (judged.variable, judged.persistent_areas) == ("r_A", PERSISTENT_23)
    assert persistence_by_trial(other).attrs["persistence_variable"] == "r_A"
    assert persistence(other.assign(r_E1=0 * other.r_A)).persistent_areas == ()
    with pytest.raises(ValueError, match="must hold a variable over time and area"):
        persistence(other.drop_vars(["S_A", "r_A", "r_B"]))


def test_a_variable_in_another_unit_needs_a_threshold_of_its_own():
    result = published_result(1.5)
    gating = result.drop_vars(["r_E1", "r_E2"]).assign(S=(0.01 * result.r_E1).assign_attrs(units="1"))
    with pytest.raises(ValueError, match=r"default threshold is 5 Hz, but 'S' has the unit '1'; pass `threshold=`"):
        persistence(gating)
    assert persistence(gating, threshold=0.05).persistent_areas == PERSISTENT_23


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variable": "r_E3"}, "did you mean 'r_E2'|did you mean 'r_E1'"),
        ({"baseline": (-100, 400)}, "baseline window -100 to 400 ms must lie within the run, 0 to 5000 ms; pass `base"),
        ({"delay": (4800, 5300)}, "delay window 4800 to 5300 ms must lie within the run"),
        ({"delay": (1200, 1500)}, "delay window 1200 to 1500 ms must be free of stimuli.*1000 to 1400 ms"),
        ({"baseline": (1300, 1500)}, "baseline window .* must be free of stimuli"),
        ({"delay": (4501, 4509)}, "must hold samples, but holds none"),
        ({"delay": (4600, 4500)}, "start < stop"),
        ({"delay": (4600, math.nan)}, "start < stop"),
        ({"threshold": -1.0}, "`threshold` must not be negative"),
    ],
)
def test_bad_arguments_raise_and_say_the_way_out(arguments, message):
    with pytest.raises(ValueError, match=message):
        persistence(published_result(1.5), **arguments)


def test_bad_results_raise_and_say_the_way_out():
    result = published_result(1.5)
    with pytest.raises(TypeError, match="pass the whole result"):
        persistence(result.r_E1)
    with pytest.raises(TypeError, match=r"must be \(start, stop\) in ms"):
        persistence(result, delay=500)
    with pytest.raises(ValueError, match=r"label 'delay_activity_reported'.*macaque40"):
        persistence(result.drop_vars("delay_activity_reported"))
    with pytest.raises(ValueError, match="must be True or False"):
        persistence(result.assign_coords(delay_activity_reported=("area", np.full(40, 2))))
    with pytest.raises(ValueError, match=r"attrs\['stimulus'\]"):
        persistence(result.drop_attrs())
    with pytest.raises(ValueError, match="no default baseline"):
        persistence(result.assign_attrs(stimulus="[]"))
    early = json.dumps([{**CUE, "onset": 200.0}])
    with pytest.raises(ValueError, match=r"-300 to 200 ms must lie within the run.*baseline="):
        persistence(result.assign_attrs(stimulus=early))
    with pytest.raises(ValueError, match="must be finite, but are not in LIP"):
        persistence(result.assign(r_E1=result.r_E1.where((result.area != "LIP") | (result.time < 4900))))


def test_an_area_is_judged_by_the_samples_at_which_it_is_not_lesioned():
    """As in `analysis.held_item`: LIP is cooled in part of each window, then in the delay, then in the baseline."""
    result = published_result(1.5)

    def cooled(*windows):
        told = [{"type": "Lesion", "areas": ["LIP"], "onset": a, "duration": b - a} for a, b in windows]
        inside = np.any([(result.time >= a) & (result.time < b) for a, b in windows], axis=0)
        rates = result.r_E1.where((result.area != "LIP") | ~xr.DataArray(inside, dims="time"))
        return result.assign(r_E1=rates).assign_attrs(stimulus=json.dumps([CUE, *told]))

    partly = persistence(cooled((600, 900), (4700, 4900)))
    # Means of fewer equal numbers: rounding only.
    xr.testing.assert_allclose(partly.areas.difference, persistence(result).areas.difference, rtol=1e-13)
    assert set(persistence(cooled((4000, 5000))).persistent_areas) == set(PERSISTENT_23) - {"LIP"}
    with pytest.raises(ValueError, match="baseline window 500 to 1000 ms, but it is NaN there throughout in LIP"):
        persistence(cooled((400, 1100)))
    assert persistence(cooled((400, 1100)), baseline=(0, 400)).persistent_areas == PERSISTENT_23


def test_a_lasting_stimulus_is_allowed_where_it_is_meant():
    lasting = {"area": "PBr", "input": "PV", "onset": 1000.0, "duration": 4000.0, "amplitude": 50.0, "type": "Pulse"}
    result = published_result(1.5, stimuli=(CUE, lasting))
    with pytest.raises(ValueError, match="during_stimulus=True"):
        persistence(result)
    assert persistence(result, during_stimulus=True).persistent_areas == PERSISTENT_23


def test_a_stimulus_without_end_lasts_through_the_delay():
    step = {"type": "Step", "area": "V1", "input": "PV", "onset": 4000.0, "amplitude": 10.0}
    result = published_result(1.5).assign_attrs(stimulus=json.dumps([CUE, step]))
    with pytest.raises(ValueError, match="overlaps the one at 4000 ms on"):
        persistence(result)
    assert persistence(result, delay=(3500, 4000)).persistent_areas == PERSISTENT_23


def test_stimuli_listed_by_trial_are_all_heeded():
    late = {**CUE, "onset": 4600.0, "duration": 100.0}
    result = published_result(1.5, trials=2).assign_attrs(stimulus=json.dumps([[CUE], [CUE, late]]))
    with pytest.raises(ValueError, match="4600 to 4700 ms"):
        persistence(result)
    assert persistence(result, delay=(4000, 4500)).persistent_areas == PERSISTENT_23


def test_trials_of_different_parameters_are_not_averaged():
    result = published_result(1.5, trials=2).assign_coords(dopamine=("trial", [1.0, 1.5]))
    with pytest.raises(ValueError, match=r"`dopamine` takes the values 1\.0, 1\.5; pick one.*persistence_by_trial"):
        persistence(result)
    assert persistence(result.isel(trial=result.dopamine == 1.5)).persistent_areas == PERSISTENT_23


@pytest.fixture(scope="module")
def sweep():
    """One trial at each of three levels of dopamine, with the published rates."""
    levels = [1.5, 1.0, 0.0]
    result = xr.concat([published_result(level) for level in levels], dim="trial", coords="minimal", compat="override")
    return result.assign_coords(trial=[0, 1, 2], dopamine=("trial", levels))


def test_a_sweep_is_judged_by_trial_with_the_published_agreement_at_each_level(sweep):
    judged = persistence_by_trial(sweep)
    by_level = judged.swap_dims(trial="dopamine").sel(dopamine=[0.0, 1.0, 1.5])
    assert by_level.n_persistent.values.tolist() == [0, 7, 23]
    assert by_level.accuracy.values.tolist() == [7 / 19, 10 / 19, 18 / 19]
    # Published to two and four decimals; no chi-squared where nothing persists.
    np.testing.assert_allclose(by_level.chi_squared, [np.nan, 2.08, 15.0330], atol=0.005)
    assert tuple(judged.area.values[judged.persistent[0]]) == PERSISTENT_23
    assert judged.attrs["persistence_delay_window_ms"] == "[4500.0, 5000.0]"


def test_a_trial_is_judged_alone_as_by_persistence(sweep):
    judged = persistence_by_trial(sweep, threshold=3.0, delay=(4000, 4500))
    for trial in range(3):
        alone = persistence(sweep.isel(trial=trial), threshold=3.0, delay=(4000, 4500))
        for name in ("baseline", "delay", "difference", "persistent"):
            xr.testing.assert_identical(judged[name].isel(trial=trial), alone.areas[name])
        np.testing.assert_equal(judged.chi_squared[trial].item(), alone.chi_squared)
        assert judged.accuracy[trial] == alone.accuracy
    assert persistence_by_trial(sweep.isel(trial=0)).n_persistent.values.tolist() == [23]


def test_the_judgement_by_trial_survives_netcdf(sweep, tmp_path):
    judged = persistence_by_trial(sweep)
    judged.to_netcdf(tmp_path / "sweep.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "sweep.nc", engine="h5netcdf") as loaded:
        xr.testing.assert_identical(loaded.load(), judged)


def test_without_well_studied_areas_the_comparison_is_nan_with_the_reason():
    result = published_result(1.5)
    judged = persistence(result.sel(area=~result.delay_activity_well_studied))
    assert math.isnan(judged.accuracy)
    assert judged.undefined == "undefined, no area is well studied"
    assert "0 of 0 well-studied areas" in str(judged)


def test_the_table_prints_the_summary_and_one_line_per_area():
    judged = persistence(published_result(1.5))
    text = str(judged)
    assert "23 of 40 areas exceed their baseline by more than 5 Hz" in text
    assert "18 of 19 well-studied areas agree (94.7%); not: TEpd" in text
    assert "15.0330, p = 1.056e-04" in text
    assert [line.split()[0] for line in text.splitlines()[-40:]] == list(judged.areas.area.values)
    assert judged._repr_html_().count("<tr") == 41
    assert repr(judged) == text
    assert text.startswith(judged.summary() + "\n\n")
    assert len(judged.summary().splitlines()) == 5


def test_csv_holds_the_summary_and_reads_back(tmp_path):
    judged = persistence(published_result(1.5))
    path = tmp_path / "persistence.csv"
    judged.to_csv(path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text().startswith("# Delay activity of r_E1")
    table = pd.read_csv(path, comment="#", dtype={"area": str}).set_index("area")
    np.testing.assert_array_equal(table.difference, judged.areas.difference)
    assert tuple(table.index[table.persistent]) == PERSISTENT_23
    assert table.agreement.count() == 19


def test_csv_that_cannot_stand_there_raises(tmp_path):
    judged = persistence(published_result(1.5))
    with pytest.raises(FileNotFoundError, match="no folder"):
        judged.to_csv(tmp_path / "missing" / "persistence.csv")
    with pytest.raises(ValueError, match=r"must end in \.csv"):
        judged.to_csv(tmp_path / "persistence.xlsx")


@pytest.mark.parametrize("dopamine", [1.5, 0.0])
def test_dataset_survives_netcdf(tmp_path, dopamine):
    judged = persistence(published_result(dopamine, trials=2))
    judged.to_dataset().to_netcdf(tmp_path / "persistence.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "persistence.nc", engine="h5netcdf") as loaded:
        xr.testing.assert_equal(loaded, judged.to_dataset())
        assert loaded.persistent.dtype == bool
        assert loaded.attrs["circuit"] == "FroudistWalsh2021"
        assert json.loads(loaded.attrs["persistence_delay_window_ms"]) == [4500.0, 5000.0]


def test_the_judgement_is_frozen():
    judged = persistence(published_result(1.5))
    assert isinstance(judged, Persistence)
    with pytest.raises(AttributeError):
        judged.accuracy = 1.0
