"""Facts about the pictures: what stands where, with which names and units, and that nothing else is touched."""

import base64
import itertools
import json
import pickle
from types import SimpleNamespace

import matplotlib
import matplotlib.pyplot
import numpy as np
import pytest
import xarray as xr
from IPython.core.formatters import DisplayFormatter
from IPython.core.pylabtools import select_figure_formats
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from published_delay import CUE, published_result

from cortexsim import load_connectome, plot
from cortexsim.protocols import working_memory
from cortexsim.stimulus import Change, Course, Lesion, Step, blockade
from cortexsim.validate import persistence

pytestmark = pytest.mark.slow

MEDIAL = {"V6", "F3", "10", "7m", "25", "32", "9", "24c"}


@pytest.fixture(scope="module")
def result():
    return published_result(1.5)


@pytest.fixture(scope="module")
def few(result):
    return result.sel(area=["V1", "LIP", "24c"])


@pytest.fixture(scope="module")
def judged(result):
    return persistence(result)


@pytest.fixture(scope="module")
def judged_few(few):
    return persistence(few)


@pytest.fixture(scope="module")
def heat(result):
    """The picture of activity with all defaults."""
    return plot.activity(result.r_E1)


@pytest.fixture(scope="module")
def overview(result):
    return plot.summary(result.assign_attrs(parameters=json.dumps({"dopamine": 1.5})))


@pytest.fixture(scope="module")
def fln():
    return load_connectome("macaque40").fln


def points_of(ax):
    return np.concatenate([marks.get_offsets() for marks in ax.collections if type(marks).__name__ == "PathCollection"])


def names_of(ax):
    return [text for text in ax.texts if text.get_text()]


def overlapping(ax):
    renderer = FigureCanvasAgg(ax.figure).get_renderer()
    boxes = {text.get_text(): text.get_window_extent(renderer) for text in names_of(ax)}
    # The box of a text has a quarter of its height as room for accents and descenders, which these names lack.
    tight = {name: box.expanded(1.0, 0.75) for name, box in boxes.items()}
    return [(a, b) for a, b in itertools.combinations(tight, 2) if tight[a].overlaps(tight[b])]


def test_activity_shows_the_mean_rate_of_each_area_from_low_to_high_in_the_hierarchy(result):
    trials = published_result(1.5, trials=2)
    turned = (trials.r_E1 * (1 + trials.trial)).isel(area=slice(None, None, -1))
    ax = plot.activity(turned).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == list(result.area.values)
    np.testing.assert_allclose(ax.collections[0].get_array(), 1.5 * result.r_E1[0].T, rtol=1e-14)


def test_activity_labels_carry_the_units_of_the_attrs(few):
    rates = few.r_E1.assign_attrs(units="spikes/s")
    rates["time"] = rates.time.assign_attrs(units="s")
    ax, colour_bar = plot.activity(rates).axes
    assert ax.get_xlabel() == "Time (s)"
    assert colour_bar.get_ylabel() == "Firing rate (spikes/s)"
    assert ax.get_title(loc="left") == "Rate of E1"


def test_activity_of_another_quantity_goes_by_its_own_name_and_sign(few):
    current = (-few.r_E1).rename("I").assign_attrs(units="pA", long_name="current to E1")
    ax, colour_bar = plot.activity(current).axes
    assert colour_bar.get_ylabel() == "Current to E1 (pA)"
    assert ax.collections[0].get_clim()[0] == current.min()
    assert plot.traces(current, areas=["V1"]).get_supylabel() == "Current to E1 (pA)"


def test_activity_of_a_result_has_a_panel_per_rate_on_one_colour_scale(few):
    figure = plot.activity(few)
    left, right, _ = figure.axes
    assert [ax.get_title(loc="left") for ax in (left, right)] == ["Rate of E1", "Rate of E2"]
    assert left.collections[0].get_clim() == right.collections[0].get_clim()
    assert plot.activity(few, variables=["r_E1"], vmax=7.0).axes[0].collections[0].get_clim() == (0.0, 7.0)


def test_every_name_of_an_area_has_a_row_of_its_own(heat):
    heat.draw_without_rendering()
    renderer = FigureCanvasAgg(heat).get_renderer()
    boxes = [label.get_window_extent(renderer).expanded(1.0, 0.75) for label in heat.axes[0].get_yticklabels()]
    assert len(boxes) == 40
    assert not any(low.overlaps(high) for low, high in itertools.pairwise(boxes))


def test_stimuli_stand_above_the_panel_as_bars(few):
    off = {"type": "Pulse", "input": "SST2", "onset": 2000.0, "duration": 400.0, "amplitude": -100.0}
    stimulus = json.dumps([CUE, {**off, "area": "8m"}, {**off, "area": "LIP"}, {**CUE, "input": "E2_dendrite"}])
    ax = plot.activity(few.r_E1, stimulus=stimulus).axes[0]
    assert [text.get_text() for text in ax.texts] == ["V1 E1 dendrite", "V1 E2 dendrite", "2 areas SST2"]
    assert [list(line.get_xdata()) for line in ax.lines] == [[1000, 1400], [1000, 1400], [2000, 2400]]
    assert plot.activity(few.r_E1).axes[0].texts[:] == []


def test_stimuli_are_given_as_objects_too_and_go_by_their_names(result):
    trial = working_memory(distractor=("V1", "E2_dendrite", 100.0)) + Step(
        area="V2", input="PV", onset=3000, amplitude=1
    )
    ax = plot.traces(result, areas=["LIP"], stimulus=trial).axes[0]
    assert [text.get_text() for text in ax.texts[1:]] == ["cue", "distractor", "V2 PV"]
    assert list(ax.lines[-1].get_xdata()) == [3000, 4990]  # without end: up to the last sample


def texts_above(ax):
    return [text.get_text() for text in ax.texts]


def windows_above(ax):
    return [list(line.get_xdata()) for line in ax.lines]


def test_only_the_stimuli_that_all_trials_share_are_marked(few):
    off = {"type": "Pulse", "area": "LIP", "input": "SST2", "onset": 2000.0, "duration": 400.0, "amplitude": -100.0}
    told = few.assign_attrs(stimulus=json.dumps([[CUE], [CUE, off], [off, CUE]]))  # few is one trial of these three
    assert texts_above(plot.activity(told, variables=["r_E1"]).axes[0]) == ["V1 E1 dendrite"]
    two = few.assign_attrs(stimulus=json.dumps([[CUE], [off]])).isel(trial=[0, 0])
    assert texts_above(plot.activity(two, variables=["r_E1"]).axes[0]) == []


def test_perturbations_are_marked_with_their_windows(few):
    done = (
        Lesion(areas=["LIP"], onset=2000)
        + Lesion(areas=["V1", "24c"], connections=[("V1", "V2")], onset=500, duration=500)
        + Change(parameter="dopamine", value=0.5, onset=1000, duration=1000)
        + Change(parameter="dopamine", factor=0.2, areas=["LIP"], onset=2500, duration=500)
        + Course(parameter="dopamine", times=(3000, 3500), values=(1.0, 2.0))
        + blockade("NMDA", 0.5, onset=4000, duration=300)
    )
    for given in (done, done.to_json()):
        ax = plot.activity(few.r_E1, stimulus=given).axes[0]
        assert dict(zip(texts_above(ax), windows_above(ax), strict=True)) == {
            "lesion of 2 areas and V2 to V1": [500, 1000],
            "dopamine = 0.5": [1000, 2000],
            "lesion of LIP": [2000, 4990],
            "dopamine x 0.2 in LIP": [2500, 3000],
            "dopamine follows a course": [3000, 4990],
            "NMDA blockade": [4000, 4300],
        }
    spans = [type(marks).__name__ for marks in plot.traces(few, areas=["V1"], stimulus=done).axes[0].patches]
    assert spans == []  # shaded are stimuli alone


def test_bars_and_their_names_stay_within_the_times_that_are_drawn(few):
    done = Lesion(areas=["LIP"]) + Lesion(areas=["V1"], onset=4800) + Change(parameter="dopamine", value=1, onset=2000)
    late = few.r_E1.sel(time=slice(1500, None))
    figure = plot.activity(late, stimulus=done + Lesion(areas=["24c"], duration=1000))
    ax = figure.axes[0]
    figure.draw_without_rendering()
    assert windows_above(ax) == [[1500, 4990], [2000, 4990], [4800, 4990]]
    frame = ax.get_window_extent()
    for text in ax.texts:
        box = text.get_window_extent()
        assert frame.x0 <= box.x0 < box.x1 <= frame.x1, text.get_text()


def test_the_legend_of_the_summary_stands_clear_of_stimuli_and_rates(overview):
    *others, last = overview.axes[2:8]
    assert [ax.get_legend() for ax in others] == [None] * 5
    overview.draw_without_rendering()
    assert last.get_legend().get_window_extent().y0 >= last.get_window_extent().y1
    assert [text.get_text() for text in last.get_legend().get_texts()] == ["E1", "E2"]


def test_traces_draw_each_rate_in_each_area_with_a_band_over_trials(result, overview):
    figure = plot.traces(published_result(1.5, trials=3))
    axes = figure.axes
    assert [ax.texts[0].get_text() for ax in axes] == ["V1", "MT", "LIP", "46d", "9/46d", "24c"]
    assert axes[-1].get_xlabel() == "Time (ms)"
    assert figure.get_supylabel() == "Rate (Hz)"
    assert [ax.get_ylabel() for ax in axes] == [""] * 6
    assert [ax.get_ylabel() for ax in overview.axes[2:8]] == ["Rate (Hz)", *[""] * 5]
    np.testing.assert_array_equal(axes[-1].lines[0].get_ydata(), result.r_E1.sel(area="24c", trial=0))
    for drawn, bands in ((axes, 2), (overview.axes[2:8], 0)):  # of three trials, and of one
        kinds = [[type(marks).__name__ for marks in ax.collections] for ax in drawn]
        assert [names.count("FillBetweenPolyCollection") for names in kinds] == [bands] * 6


@pytest.fixture(scope="module")
def other(few):
    """A result of a circuit without E1 and E2: gating first, then rates, as WongWang2006 records."""
    gating = (0.01 * few.r_E1).assign_attrs(units="1", long_name="NMDA gating of population 1")
    rates = few.rename(r_E1="r_1", r_E2="r_2")
    return rates.drop_vars(list(rates.data_vars)).assign(S_1=gating, r_1=rates.r_1, r_2=rates.r_2, r_3=rates.r_2)


def test_plots_draw_the_first_two_rates_of_a_circuit_without_e1(other):
    left, right, colour_bar = plot.activity(other).axes
    np.testing.assert_array_equal(left.collections[0].get_array(), other.r_1[0].T)
    np.testing.assert_array_equal(right.collections[0].get_array(), other.r_2[0].T)
    assert colour_bar.get_ylabel() == "Firing rate (Hz)"
    figure = plot.traces(other)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["1", "2"]
    assert len(plot.activity(other[["S_1"]]).axes) == 2  # without a rate the first variable, and its colour bar
    assert len(plot.traces(other, variables=["S_1"]).axes[0].lines) == 2  # with the bar of the stimulus
    assert plot.summary(other).axes[0].get_title(loc="left") == "Rate of E1"  # the long name of r_1 here
    with pytest.raises(ValueError, match="must hold a variable over time and area, but holds none"):
        plot.activity(other[[]])


def test_traces_name_a_long_quantity_once_and_within_the_figure(other):
    figure = plot.traces(other, variables=["S_1"], areas=["V1"])
    assert figure.get_supylabel().replace("\n", " ") == "NMDA gating of population 1"
    assert figure.axes[0].get_ylabel() == ""
    figure.draw_without_rendering()
    box = figure._supylabel.get_window_extent()
    assert 0 <= box.y0 < box.y1 <= figure.bbox.height
    assert box.x1 <= min(label.get_window_extent().x0 for label in figure.axes[0].get_yticklabels())


def test_variables_of_several_quantities_go_by_their_names_and_units(other):
    figure = plot.traces(other, variables=["S_1", "r_1"])
    assert figure.get_supylabel() == "S_1, r_1 (Hz)"
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["S_1", "r_1"]
    shares = other.assign(r_1=other.r_1.assign_attrs(units="1", long_name="proportion of active cells"))
    assert plot.traces(shares, variables=["r_1"]).get_supylabel() == "Proportion of active cells"


def test_activity_of_a_single_area_fills_its_panel(few):
    ax = plot.activity(few.r_E1.isel(area=[0])).axes[0]
    edges = ax.collections[0].get_coordinates()
    assert (edges[0, 0].tolist(), edges[-1, -1].tolist()) == ([-5.0, -0.5], [4995.0, 0.5])  # samples every 10 ms


def test_traces_of_another_cortex_take_even_steps_through_its_areas(result):
    twelve = result.isel(area=slice(0, 12)).drop_sel(area="MT")
    assert [ax.texts[0].get_text() for ax in plot.traces(twelve).axes] == ["V1", "V4", "3", "DP", "8m", "5"]


@pytest.fixture(scope="module")
def cortex(overview):
    """The map of the summary: lateral view, medial view, colour bar."""
    return overview.axes[8:10] + overview.axes[-1:]


def test_map_shows_each_area_once_at_its_centroid(judged, cortex):
    lateral, medial, colour_bar = cortex
    assert colour_bar.get_ylabel() == "Activity in the delay (Hz)"
    assert {text.get_text() for text in names_of(medial)} == MEDIAL
    assert {text.get_text() for text in names_of(lateral)} == set(judged.areas.area.values) - MEDIAL
    inside = judged.areas.area.isin(list(MEDIAL)).values
    centroids = np.column_stack([judged.areas.y, judged.areas.z])
    np.testing.assert_array_equal(points_of(medial), centroids[inside])
    np.testing.assert_array_equal(points_of(lateral), centroids[~inside])


def test_map_of_lateral_areas_alone_has_an_empty_medial_view(judged):
    lateral, medial, _ = plot.cortex_map(judged.areas.delay.sel(area=["V1", "LIP"])).axes
    assert (len(names_of(lateral)), len(names_of(medial))) == (2, 0)


def test_map_of_few_areas_has_the_outline_of_the_whole_brain(judged, cortex):
    whole = [path.get_extents().bounds for path in cortex[0].collections[0].get_paths()]
    few = plot.cortex_map(judged.areas.delay.sel(area=["V1", "LIP", "24c"]), views=["lateral"]).axes[0]
    assert [path.get_extents().bounds for path in few.collections[0].get_paths()] == whole
    assert few.get_xlim() == cortex[0].get_xlim()
    moved = judged.areas.delay.sel(area=["V1", "LIP"])
    own = plot.cortex_map(moved.assign_coords(z=moved.z + 50), views=["lateral"]).axes[0]  # another brain
    assert own.get_ylim()[0] > 30


def test_map_says_where_the_front_is(cortex):
    lateral, medial, _ = cortex
    assert lateral.xaxis_inverted()
    assert lateral.get_xlabel() == "anterior  ←  y (mm)  →  posterior"
    assert not medial.xaxis_inverted()
    assert medial.get_xlabel() == "posterior  ←  y (mm)  →  anterior"
    assert medial.get_ylabel() == "ventral  ←  z (mm)  →  dorsal"


def test_hierarchy_shows_each_area_by_what_experiments_report(overview, judged):
    ax = overview.axes[1]
    sizes = [len(marks.get_offsets()) for marks in ax.collections]
    assert sizes == [12, 7, 21]
    np.testing.assert_array_equal(
        points_of(ax)[:12, 1], judged.areas.difference[judged.areas.reported & judged.areas.well_studied]
    )
    assert {text.get_text() for text in names_of(ax)} == set(judged.areas.area.values)
    assert ax.lines[0].get_ydata() == [5.0, 5.0]
    assert ax.get_xlabel() == "Hierarchical position"
    assert ax.get_ylabel() == "Delay activity above baseline (Hz)"


def test_summary_has_content_and_readable_names_and_says_what_was_found(overview):
    assert [text.get_text() for text in overview.texts] == [
        "FroudistWalsh2021, dopamine 1.5",
        "23 of 40 areas hold the memory through the delay; 18 of 19 well-studied areas agree with experiments",
    ]
    canvas = FigureCanvasAgg(overview)
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())
    assert picture.shape[:2] == (1575, 1500)
    assert (picture[..., :3] < 252).any(axis=-1).mean() > 0.2
    scatter, lateral, medial = (overview.axes[i] for i in (1, 8, 9))
    assert len(names_of(scatter)) == len(names_of(lateral)) + len(names_of(medial)) == 40
    assert [overlapping(ax) for ax in (scatter, lateral, medial)] == [[], [], []]


def test_summary_shows_the_judgement_that_it_is_given(few):
    figure = plot.summary(few, persistence(few, threshold=90.0))
    assert figure.texts[1].get_text().startswith("0 of 3 areas")
    assert figure.axes[1].lines[0].get_ydata() == [90.0, 90.0]


def test_names_stay_clear_of_each_other_where_all_areas_are_silent():
    ax = plot.hierarchy(persistence(published_result(0.0)), ax=Figure().subplots()).axes[0]
    assert len(names_of(ax)) == 40
    assert overlapping(ax) == []


@pytest.fixture(scope="module")
def strengths(fln):
    return plot.matrix(fln)


def test_matrix_of_strengths_has_a_log_scale_and_leaves_absent_connections_blank(fln, strengths):
    ax, colour_bar = strengths.axes
    (image,) = ax.images
    drawn = image.get_array()
    np.testing.assert_array_equal(drawn.mask, fln == 0)
    np.testing.assert_array_equal(drawn.filled(0.0), fln)
    assert (image.norm.vmin, image.norm.vmax) == (fln.where(fln > 0).min(), fln.max())
    assert image.norm(0.01) == pytest.approx(np.log(0.01 / image.norm.vmin) / np.log(image.norm.vmax / image.norm.vmin))
    assert colour_bar.get_ylabel() == "Fraction of labelled neurons (FLN)"


def test_matrix_has_targets_down_and_sources_across_each_name_in_a_place_of_its_own(fln, strengths):
    ax = strengths.axes[0]
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("Target", "Source")
    assert ax.yaxis_inverted()
    strengths.draw_without_rendering()
    renderer = FigureCanvasAgg(strengths).get_renderer()
    for labels, room in ((ax.get_yticklabels(), (1.0, 0.75)), (ax.get_xticklabels(), (0.75, 1.0))):
        assert [label.get_text() for label in labels] == list(fln.target.values)
        boxes = [label.get_window_extent(renderer).expanded(*room) for label in labels]
        assert not any(one.overlaps(other) for one, other in itertools.pairwise(boxes))


def test_matrix_of_layers_has_a_linear_scale_and_leaves_out_what_is_nan(fln):
    sln = load_connectome("macaque40").sln.where(fln > 0)[:3, :3]
    ax = plot.matrix(sln, vmin=0.0, vmax=1.0).axes[0]
    (image,) = ax.images
    assert image.norm(0.25) == 0.25
    np.testing.assert_array_equal(image.get_array().mask, np.isnan(sln))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["V1", "V2", "V4"]


def test_a_large_matrix_names_every_few_rows():
    areas = [f"area{i:03}" for i in range(250)]
    values = xr.DataArray(np.eye(250, 2), {"target": areas, "source": areas[:2]}, name="weight")
    ax = plot.matrix(values).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == areas[::3]
    assert list(ax.get_yticks()) == list(range(0, 250, 3))


def test_plots_draw_on_given_axes(few, judged_few, fln):
    figure = Figure()
    axes = figure.subplots(1, 5)
    assert plot.activity(few.r_E1, ax=axes[0]) is figure
    assert plot.hierarchy(judged_few, ax=axes[1]) is figure
    assert plot.cortex_map(judged_few.areas.delay, ax=axes[2:4]) is figure
    assert plot.matrix(fln[:3, :3], ax=axes[4]) is figure
    assert all(ax.collections or ax.images for ax in axes)


def test_axes_made_within_styled_have_the_style_in_full(few):
    with plot.styled():
        ax = Figure().subplots()
    plot.traces(few, areas=["V1"], ax=[ax])
    own = plot.traces(few, areas=["V1"]).axes[0]
    for one in (ax, own):
        assert not one.spines["top"].get_visible()
        assert one.get_xticklabels()[0].get_fontsize() == 7.0


def test_a_figure_shows_itself_once_in_a_notebook_with_and_without_pyplot(few):
    figure = plot.traces(few, areas=["V1"])
    assert isinstance(figure, Figure)
    shell = SimpleNamespace(display_formatter=DisplayFormatter())
    for pyplot in (False, True):
        if pyplot:  # what `%matplotlib inline` does
            select_figure_formats(shell, {"png"})
        shown, size = shell.display_formatter.format(figure)
        assert set(shown) == {"text/plain", "image/png"}
        picture = shown["image/png"]
        assert (base64.b64decode(picture) if isinstance(picture, str) else picture).startswith(b"\x89PNG")
        assert pyplot or size["image/png"] == {"width": 499, "height": 134}  # 5.2 by 1.4 inches
    assert matplotlib.pyplot.get_fignums() == []  # none that pyplot would show a second time
    assert len(pickle.loads(pickle.dumps(figure)).axes) == 1


def test_plots_leave_the_settings_of_matplotlib_and_pyplot_alone(few, judged_few, tmp_path):
    before = dict(matplotlib.rcParams)
    plot.traces(few, areas=["V1"]).savefig(tmp_path / "traces.png")
    plot.cortex_map(judged_few.areas.delay, views=["medial"])
    assert dict(matplotlib.rcParams) == before
    assert matplotlib.pyplot.get_fignums() == []


def test_wrong_input_raises_and_says_the_way_out(result, judged):
    ax = Figure().subplots()
    with pytest.raises(TypeError, match=r"result\.r_E1"):
        plot.activity(result.r_E1.values)
    with pytest.raises(ValueError, match=r"dims \(trial, time, area\), but has \('area',\)"):
        plot.activity(judged.areas.delay)
    with pytest.raises(ValueError, match="Unknown variable 'r_El'"):
        plot.activity(result, variables=["r_El"])
    with pytest.raises(ValueError, match="`dopamine` takes the values"):
        plot.activity(published_result(1.5, trials=2).assign_coords(dopamine=("trial", [1.0, 1.5])))
    with pytest.raises(ValueError, match="2 Axes, one per panel, but is 1"):
        plot.activity(result, ax=ax)
    for wrong in (["left"], 5):
        with pytest.raises(TypeError, match="must be matplotlib Axes"):
            plot.activity(result.r_E1, ax=wrong)
    with pytest.raises(ValueError, match="`areas` must name one area"):
        plot.traces(result, areas=[])
    with pytest.raises(ValueError, match="`views` must name one view"):
        plot.cortex_map(judged.areas.delay, views=[])
    with pytest.raises(ValueError, match="`vmax` must be positive"):
        plot.activity(result.r_E1, vmax=-1.0)
    with pytest.raises(ValueError, match="Unknown area '46' in traces; did you mean '46d'"):
        plot.traces(result, areas=["46"])
    with pytest.raises(TypeError, match="pass one variable"):
        plot.cortex_map(judged.areas)
    with pytest.raises(
        ValueError, match=r"coordinate 'x' along `area`.*macaque40.*set_coords\(\['x', 'y', 'z'\]\)\.d1"
    ):
        plot.cortex_map(judged.areas.delay.drop_vars("x"))
    with pytest.raises(ValueError, match="one value per area"):
        plot.cortex_map(result.r_E1)
    with pytest.raises(ValueError, match="left hemisphere"):
        plot.cortex_map(judged.areas.delay.assign_coords(x=-judged.areas.x))
    with pytest.raises(ValueError, match="Unknown view 'dorsal'"):
        plot.cortex_map(judged.areas.delay, views=["dorsal"])
    with pytest.raises(TypeError, match=r"what `validate\.persistence` returns"):
        plot.hierarchy(result)
    bare = persistence(result.drop_vars("hierarchy"))
    with pytest.raises(ValueError, match="coordinate 'hierarchy' along `area`"):
        plot.hierarchy(bare)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda m: m - 0.1, {"scale": "log"}, "no value may be negative, but the least is -0.1"),
        (lambda m: m, {"scale": "logs"}, "Unknown scale 'logs' in matrix; did you mean 'log'"),
        (lambda m: m, {"vmin": 0.0}, "0 < vmin <= vmax, but goes from 0 to"),
        (lambda m: m, {"vmax": 0.0, "scale": "linear", "vmin": 1.0}, "vmin <= vmax, but goes from 1 to 0"),
        (lambda m: 0 * m, {}, "all are NaN, or zero on a log scale"),
        (lambda m: m / 0, {}, "some are infinite"),
        (lambda m: m.drop_vars("source"), {}, r"dim 'source' has none.*assign_coords\(source="),
        (lambda m: m[0], {}, r"two dims, such as \(target, source\), but has {'source': 40}"),
    ],
)
def test_matrices_that_cannot_be_drawn_raise_and_say_the_way_out(fln, change, options, message):
    with pytest.raises(ValueError, match=message):
        plot.matrix(change(fln), **options)


def test_a_matrix_without_labels_is_a_type_error(fln):
    with pytest.raises(TypeError, match=r"pass one matrix, such as cortex\.fln"):
        plot.matrix(fln.values)
