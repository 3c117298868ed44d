"""Pictures of networks: paths, points and eigenvalues stand where the analysis puts them."""

import numpy as np
import pytest
import xarray as xr

from cortexsim.plot import networks as plot
from cortexsim.rnn import analysis
from cortexsim.rnn.network import Network, Parameters

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rates():
    """Three trials of a network of four units."""
    values = np.random.default_rng(0).normal(size=(3, 20, 4)).cumsum(axis=1)
    angle = ("trial", np.array([0.0, 2.0, 4.0]), {"units": "rad", "long_name": "angle"})
    return xr.DataArray(values, {"unit": np.arange(4), "angle": angle}, ("trial", "time", "unit"))


@pytest.fixture(scope="module")
def components(rates):
    return analysis.principal_components(rates, components=3)


@pytest.fixture(scope="module")
def points():
    """r = tanh(2 r) in the first unit, so two stable points and an unstable one; the others are at rest."""
    network = Network(inputs=1, outputs=1, units=4, activation="tanh")
    weights = np.diag([2.0, 0, 0, 0])[None]
    parameters = Parameters(weights, *(np.zeros(s) for s in ((1, 4), (1, 4, 1), (1, 1, 4), (1, 1))))
    starts = np.zeros((3, 4))
    starts[:, 0] = -1, 0, 1
    return analysis.fixed_points(network, parameters, [0.0], starts)


def markers(ax):
    return {c.get_label(): c.get_offsets() for c in ax.collections if type(c).__name__ == "PathCollection"}


def test_paths_are_the_activity_in_the_plane_of_the_components(rates, components):
    ax = plot.state_space(rates, components, plane=(3, 1)).axes[0]
    paths = [line.get_xydata() for line in ax.lines if len(line.get_xydata()) > 1]
    shown = components.projection.sel(component=[3, 1]).transpose("trial", "time", "component")
    assert np.allclose(paths, shown)
    starts = [line.get_xydata()[0] for line in ax.lines if len(line.get_xydata()) == 1]
    assert np.allclose(starts, shown[:, 0])
    assert ax.get_xlabel().startswith("Component 3 (")


def test_points_stand_at_their_rates_by_kind(rates, components, points):
    ax = plot.state_space(rates, components, points=points).axes[0]
    shown = markers(ax)
    assert set(shown) == {"stable fixed point", "unstable fixed point"}
    for name, which in (("stable fixed point", points.stable), ("unstable fixed point", ~points.stable)):
        where = analysis.project(points.rate, components).isel(point=which.values).sel(component=[1, 2])
        assert np.allclose(shown[name], where)


def test_paths_take_the_colour_of_their_label(rates, components):
    figure = plot.state_space(rates, components, colour="angle")
    assert len({tuple(line.get_color()) for line in figure.axes[0].lines}) == 3
    assert figure.axes[1].get_ylabel() == "Angle (rad)"
    assert figure.axes[1].get_ylim() == (0.0, 2 * np.pi)


def test_eigenvalues_stand_in_the_complex_plane_per_second(points):
    shown = markers(plot.linearisation(points).axes[0])
    unstable = points.eigenvalues.isel(point=~points.stable.values).values.ravel() * 1e3
    assert np.allclose(shown["unstable fixed point"], np.stack([unstable.real, unstable.imag], axis=1))


def test_each_network_has_its_psychometric_curve():
    choices = np.random.default_rng(0).random((3, 80)) < 0.5
    table = analysis.psychometric_curve(choices, np.arange(80.0), levels=5)
    ax = plot.psychometric_curves(table).axes[0]
    curves = [line.get_xydata() for line in ax.lines if len(line.get_xydata()) == 5]
    assert np.array_equal(np.array(curves)[:, :, 1], table.fraction)
    assert np.array_equal(curves[0][:, 0], table.evidence)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"plane": (1, 4)}, "Unknown component '4'"),
        ({"plane": (1, 1)}, "two different components"),
        ({"colour": "angel"}, "did you mean 'angle'"),
    ],
)
def test_wrong_arguments_are_named(rates, components, arguments, message):
    with pytest.raises(ValueError, match=message):
        plot.state_space(rates, components, **arguments)


def test_rates_without_trials_are_refused(rates, components):
    with pytest.raises(ValueError, match=r"dims \(trial, time, unit\)"):
        plot.state_space(rates[0], components)
