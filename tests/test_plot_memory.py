"""Pictures of memory and decisions: what stands where, with which names, units and colours."""

import json

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import same_color

import cortexsim as cx
from cortexsim import analysis, protocols
from cortexsim.plot import memory as plot
from cortexsim.plot.style import BLUE, GREY, VERMILION

pytestmark = pytest.mark.slow

TRIAL = cx.working_memory(distractor=protocols.TO_V1[1])


@pytest.fixture(scope="module")
def run():
    """Two trials in three areas, given from high to low: both hold item 1, then one holds item 2 in area b."""
    time = np.arange(0, 5000, 50.0)
    first, second = np.ones((2, 2, time.size, 3))
    first[:, (time >= 1000) & (time < 2000)] = 20
    second[1, time >= 2400, 1] = 20
    dims = ("trial", "time", "area")
    return xr.Dataset(
        {"r_E1": (dims, first, {"units": "Hz"}), "r_E2": (dims, second, {"units": "Hz"})},
        {"trial": [0, 1], "time": time, "area": list("abc"), "hierarchy": ("area", [1.0, 0.5, 0.0])},
        {"stimulus": TRIAL.to_json()},
    )


def test_the_decoded_item_is_blue_or_red_by_area_and_time(run):
    decoded = analysis.decoded_item(run)
    above, below, bar = plot.decoded_item(decoded).axes
    assert [label.get_text() for label in below.get_yticklabels()] == ["c", "b", "a"]
    lean = below.collections[0].get_array()
    np.testing.assert_array_equal(lean[:, 30], [1, 1, 1])
    np.testing.assert_array_equal(lean[:, -1], [0, -0.5, 0])
    colours = below.collections[0].cmap
    assert same_color(colours(1.0), BLUE)
    assert same_color(colours(0.0), VERMILION)
    one, two = above.lines[:2]
    assert (one.get_ydata().max(), two.get_ydata().max()) == (3, 0.5)
    assert [text.get_text() for text in above.texts] == ["cue", "distractor"]
    assert below.get_xlabel() == "Time (ms)"
    assert [label.get_text() for label in bar.get_yticklabels()] == ["item 2", "none", "item 1"]
    with pytest.raises(ValueError, match="one condition"):
        plot.decoded_item(decoded.assign_coords(dopamine=("trial", [1, 2])))
    with pytest.raises(TypeError, match=r"what `analysis.decoded_item\(result\)` returns"):
        plot.decoded_item(run)


def test_the_ping_readout_has_a_line_for_each_item_by_condition(run):
    read = analysis.ping_readout(run, (2400, 5000), areas=["a", "b"])
    rates, areas = plot.ping_readout(read).axes
    assert rates.get_ylabel() == "Mean rate at the ping (Hz)"
    assert [label.get_text() for label in rates.get_xticklabels()] == ["item 1", "item 2"]
    assert rates.lines[2].get_ydata().tolist() == [1.0, 10.5]  # trials as dots
    dopamine = ("trial", [1.0, 2.0], {"long_name": "dopamine"})
    rates, areas = plot.ping_readout(read.assign_coords(dopamine=dopamine), "dopamine").axes
    assert [line.get_ydata().tolist() for line in rates.lines] == [[1.0, 1.0], [1.0, 10.5]]
    assert [line.get_ydata().tolist() for line in areas.lines] == [[0, 0], [0, 1]]
    assert [line.get_color() for line in areas.lines] == [BLUE, VERMILION]
    assert areas.get_xlabel() == "Dopamine"
    rates, _ = plot.ping_readout(read.assign_coords(condition=("trial", ["light", "dark"])), "condition").axes
    assert [text.get_text() for text in rates.get_xticklabels()] == ["light", "dark"]


def test_performance_stacks_all_outcomes_to_one(run):
    outcomes = analysis.trial_outcomes(run).assign_coords(dopamine=("trial", [1.0, 2.0]))
    ax = plot.performance(analysis.performance(outcomes, "dopamine")).axes[0]
    tops = {(bar.get_x() + bar.get_width() / 2): bar.get_y() + bar.get_height() for bar in ax.patches}
    assert set(tops.values()) == {1.0}
    shown = {bars.get_label(): bars.datavalues.tolist() for bars in ax.containers}
    assert shown["lost"] == [1, 0]
    assert shown["distracted"] == [0, 1]
    assert ax.get_title(loc="left") == "n = 1 each"
    named = outcomes.drop_vars("dopamine").assign_coords(condition=("trial", ["control", "DA dip"]))
    texts = plot.performance(analysis.performance(named, "condition")).axes[0].get_xticklabels()
    assert [text.get_text() for text in texts] == ["control", "DA dip"]
    with pytest.raises(ValueError, match="one fraction alone, as that of `analysis.distractor_resistance`"):
        plot.performance(analysis.distractor_resistance(named, "condition"))
    alone = plot.performance(analysis.performance(outcomes.drop_vars("dopamine"))).axes[0]
    assert [label.get_text() for label in alone.get_xticklabels()] == ["all trials"]
    swept = xr.concat([outcomes] * 2, "b").expand_dims("a").drop_vars("dopamine")
    with pytest.raises(ValueError, match=r"must have one condition, but has \['a', 'b'\]"):
        plot.performance(analysis.performance(swept))


@pytest.fixture(scope="module")
def decided():
    """Three trials in areas a and b: rates of a rise to 1, to 2, and not at all."""
    time = np.arange(0, 1000, 10.0)
    rates = np.ones((2, 3, time.size, 2))
    rise = np.clip((time - 100) / 10, 1, 40)
    rates[0, 0, :, 0] = rates[1, 1, :, 0] = rise
    dims = ("trial", "time", "area")
    trials = [protocols.decision_making(c, evidence_duration=900) for c in (10, -10, 0)]
    return xr.Dataset(
        {f"r_{k}": (dims, rates[k - 1], {"units": "Hz"}) for k in (1, 2)},
        {"trial": [0, 1, 2], "time": time, "area": ["a", "b"]},
        {"stimulus": json.dumps([json.loads(trial.to_json()) for trial in trials])},
    )


def test_trajectories_of_decisions_end_at_the_threshold(decided):
    over_time, plane = plot.decision(decided, area="a", smoothing=0).axes
    lines = plane.lines[:3]
    assert [line.get_color() for line in lines] == [BLUE, VERMILION, GREY]
    assert lines[0].get_xdata()[-1] == lines[1].get_ydata()[-1] == 16  # the sample after 15 Hz is crossed
    assert over_time.lines[1].get_ydata()[-1] == -16
    assert over_time.lines[0].get_xdata()[[0, -1]].tolist() == [0, 160]
    assert plane.get_xlabel() == "Rate of 1 (Hz)"
    assert over_time.get_title(loc="left") == "a"
    with pytest.raises(ValueError, match="which of the 2 areas"):
        plot.decision(decided)
    with pytest.raises(ValueError, match="Unknown area 'c'"):
        plot.decision(decided, area="c")


def test_the_psychometric_picture_shows_the_fraction_with_its_interval(decided):
    table = analysis.psychometric(analysis.decision(decided, smoothing=0))
    with pytest.raises(ValueError, match="must be of one area"):
        plot.psychometric(table)
    choice, times = plot.psychometric(table.sel(area="a")).axes
    np.testing.assert_array_equal(choice.lines[0].get_ydata(), [0, np.nan, 1])
    np.testing.assert_array_equal(choice.lines[0].get_xdata(), [-10, 0, 10])
    assert choice.get_xlabel() == "Coherence (%)"
    assert times.get_ylabel() == "Mean reaction time (ms)"
