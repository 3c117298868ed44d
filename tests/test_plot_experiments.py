"""Pictures of experiments show what they are given, and refuse what they cannot show."""

import numpy as np
import pytest
import xarray as xr

from cortexsim import gradients
from cortexsim.analysis.lesions import EFFECTS
from cortexsim.fitting import fit, profile
from cortexsim.plot.experiments import ablations, dose_response, fractions, lesion_atlas, phase_diagram
from cortexsim.plot.figure import Figure
from cortexsim.plot.fit import fit_profile

pytestmark = pytest.mark.slow

DOPAMINE = np.array([0.5, 1.0, 1.5])
AMPLITUDE = np.array([50.0, 100.0])


@pytest.fixture
def grid():
    values = np.array([[0, 1], [2, 1], [0, 2]])
    return xr.DataArray(values, {"dopamine": DOPAMINE, "amplitude": AMPLITUDE}, ("dopamine", "amplitude"), name="item")


@pytest.fixture
def atlas():
    maps = gradients.macaque40()
    n = maps.sizes["area"]
    effect = np.resize(EFFECTS, n)
    place = {name: maps[name] for name in ("x", "y", "z")}
    return xr.Dataset(
        {"effect": ("area", effect), "n_persistent": ("area", np.arange(n), {"long_name": "areas left"})},
        {"area": maps.area, **place},
    )


def test_a_phase_diagram_has_a_cell_for_each_point_and_a_name_for_each_class(grid):
    figure = phase_diagram(grid, names={0: "none", 1: "cue", 2: "distractor"})
    (ax,) = figure.axes
    (cells,) = ax.collections
    np.testing.assert_array_equal(cells.get_array(), grid)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Amplitude", "Dopamine")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["none", "cue", "distractor"]
    assert len({tuple(patch.get_facecolor()) for patch in ax.get_legend().get_patches()}) == 3


def test_numbers_get_a_colour_bar_and_missing_points_stay_white(grid):
    values = grid.astype(float).where(grid > 0).assign_attrs(units="Hz", long_name="rate")
    ax, bar = phase_diagram(values).axes
    assert bar.get_ylabel() == "Rate (Hz)"
    np.testing.assert_array_equal(np.ma.getmaskarray(ax.collections[0].get_array()), grid == 0)


def test_a_grid_that_cannot_be_drawn_is_refused(grid):
    with pytest.raises(ValueError, match="must name each class"):
        phase_diagram(grid, names={0: "none", 1: "cue"})
    with pytest.raises(ValueError, match="needs two axes, but got the dims"):
        phase_diagram(grid[0])
    with pytest.raises(ValueError, match=r"'dopamine' must rise, but does not; sort it: values\.sortby\('dopamine'\)"):
        phase_diagram(grid[::-1])
    with pytest.raises(ValueError, match="'amplitude' must have numbers"):
        phase_diagram(grid.assign_coords(amplitude=["weak", "strong"]))
    with pytest.raises(TypeError, match="over two axes, but is ndarray"):
        phase_diagram(grid.to_numpy())


def test_a_dose_is_drawn_with_its_mean_and_trials(grid):
    values = xr.DataArray([1.0, 3.0, 10.0], {"dopamine": ("trial", [0.5, 0.5, 1.0])}, "trial", "areas")
    (ax,) = dose_response(values, name="cue").axes
    dots, line = ax.lines
    np.testing.assert_array_equal(line.get_xydata(), [[0.5, 2.0], [1.0, 10.0]])
    np.testing.assert_array_equal(dots.get_ydata(), [1.0, 3.0, 10.0])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["cue"]
    with pytest.raises(ValueError, match="must have the coordinate 'seed'"):
        dose_response(values, by="seed")
    with pytest.raises(TypeError, match="over `trial`, but has the dims"):
        dose_response(grid)


def test_fractions_have_bars_from_the_lower_to_the_upper_end():
    share = {"fraction": ("dopamine", [0.0, 0.5, 1.0]), "low": ("dopamine", [0.0, 0.3, 0.8])}
    table = xr.Dataset(share | {"high": ("dopamine", [0.2, 0.7, 1.0])}, {"dopamine": DOPAMINE})
    (ax,) = fractions(table).axes
    (bars,) = ax.collections
    np.testing.assert_allclose([bar[:, 1] for bar in bars.get_segments()], [[0, 0.2], [0.3, 0.7], [0.8, 1.0]])
    with pytest.raises(TypeError, match="`fraction`, `low` and `high`"):
        fractions(table[["fraction"]])


def test_what_is_left_out_has_a_curve_each(grid):
    values = grid.T.assign_coords(amplitude=["nothing", "SST"]).rename(amplitude="without")
    (ax,) = ablations(values).axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["intact", "without SST"]
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), values[1])
    with pytest.raises(TypeError, match="left out, parameter"):
        ablations(values[0])


@pytest.mark.slow
def test_a_lesion_atlas_has_a_rim_for_each_area_and_counts_the_effects(atlas):
    figure = lesion_atlas(atlas)
    assert isinstance(figure, Figure)
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert texts == ["abolishes (14)", "weakens (13)", "spares (13)"]
    rims = [ax.collections[0] for ax in figure.axes[:2]]
    assert sum(len(rim.get_offsets()) for rim in rims) == 40
    with pytest.raises(ValueError, match="needs the coordinate 'x'"):
        lesion_atlas(atlas.drop_vars("x"))
    with pytest.raises(TypeError, match=r"what `analysis\.lesion_atlas` returns"):
        lesion_atlas(atlas[["effect"]])


def test_a_lesion_atlas_of_three_areas_has_the_outline_of_the_brain(atlas):
    three = lesion_atlas(atlas.sel(area=["LIP", "24c", "V4"])).axes[0]
    (outline,) = [marks for marks in three.collections if marks.get_zorder() == 1]
    (contour,) = outline.get_paths()
    assert (contour.codes == contour.MOVETO).sum() == 1  # in one piece
    assert contour.get_extents().width > 70  # mm, from the frontal to the occipital pole


def test_the_limit_of_a_profile_is_seen_beside_large_losses():
    x = np.linspace(0.0, 1.0, 6)
    data = 2 * x + 1 + 0.1 * np.array([1, -1, 0, 1, -1, 0])

    def residuals(p):
        return p["a"] * x + p["b"] - data

    found = fit(residuals, {"a": (-9, 9), "b": (-9, 9)}, method="least_squares")
    along = profile(residuals, found, "a", [-8.0, 1.9, 2.0, 8.0])
    assert along.loss.max() > 100 * along.limit  # so that the limit would lie on the axis
    ax = fit_profile(along).axes[0]
    low, high = ax.get_ylim()
    assert 0.15 < (along.limit - low) / (high - low) < 0.5
    np.testing.assert_array_equal(ax.lines[-1].get_xdata(), [-8.0, 8.0])  # out of view, but told of
    near = fit_profile(along.isel(a=[1, 2])).axes[0]
    assert near.get_ylim()[1] > along.limit
    assert len(near.lines) == 3
