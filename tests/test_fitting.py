"""Fits: known minima, known parameters, interrupted searches, and what data leave open."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from scipy.stats import t as student

import cortexsim as cx
from cortexsim.analysis import NoFixedPoint, eigenvalues
from cortexsim.circuits import Chaudhuri2015, MejiasWang2022
from cortexsim.fitting import (
    METHODS,
    DelayActivity,
    NoFiniteLoss,
    Timescales,
    fit,
    murray2014,
    profile,
    sensitivity,
    vary,
)
from cortexsim.plot.fit import fit_history, fit_profile, fit_sensitivity

pytestmark = pytest.mark.slow

BOWL = {"x": (-2.0, 3.0), "y": (10.0, 30.0)}
WIDE = {"eta": (0.2, 0.75), "mu_EE": (25.0, 36.0)}
NEAR = {"eta": (0.5, 0.72), "mu_EE": (31.0, 35.0)}


def bowl(p):
    """Return residuals that vanish at x = 1, y = 25, of one point or many."""
    return np.stack([p["x"] - 1, (p["y"] - 25) / 4, (p["x"] - 1) * (p["y"] - 25) / 10], axis=-1)


@pytest.fixture(scope="module")
def chaudhuri():
    return cx.Model(cx.load_connectome("macaque29"), Chaudhuri2015(), cx.gradients.macaque29())


def slowest(model, parameters, n=5):
    """Return the logarithms of the slowest timescales; NaN where rest is unstable."""
    real = eigenvalues(vary(model, parameters)).real.to_numpy()
    return np.log(-1 / real[:n]) if real[0] < 0 else np.full(n, np.nan)


@pytest.fixture(scope="module")
def modes(chaudhuri):
    published = slowest(chaudhuri, {})
    return lambda p: slowest(chaudhuri, p) - published


@pytest.fixture(scope="module")
def line():
    """Return a straight line with noise: residuals, and the textbook's estimates and standard errors."""
    x = np.linspace(0, 1, 12)
    y = 2 + 3 * x + np.random.default_rng(0).normal(scale=0.3, size=x.size)
    design = np.column_stack([np.ones_like(x), x])
    best, rss = np.linalg.lstsq(design, y)[:2]
    errors = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * rss[0] / 10)
    return lambda p: p["a"] + p["b"] * x - y, best, errors, float(rss[0])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batched", [False, True])
def test_every_method_finds_the_minimum_of_a_bowl(method, batched):
    found = fit(bowl, BOWL, method=method, batched=batched, budget=2000, tolerance=1e-5)
    # Annealing without descents comes near only; the others stop at 1e-5 of a range.
    share = 0.02 if method == "dual_annealing" else 1e-4
    assert abs(found.best["x"] - 1) < share * 5
    assert abs(found.best["y"] - 25) < share * 20
    assert found.converged == (method != "dual_annealing")
    assert found.loss == pytest.approx(float(np.sum(bowl(found.best) ** 2)), abs=1e-15)
    assert found.history.sizes["evaluation"] <= 2000


def test_batched_and_single_evaluations_give_the_same_search():
    one, many = (fit(bowl, BOWL, budget=400, batched=batched, seed=5) for batched in (False, True))
    assert one.best == many.best
    xr.testing.assert_equal(one.history, many.history)
    other = fit(bowl, BOWL, budget=400, seed=6)
    assert not np.array_equal(one.history.parameters[1], other.history.parameters[1])


def test_a_generation_is_one_call():
    sizes = []

    def counted(p):
        sizes.append(p["x"].size)
        return bowl(p)

    fit(counted, BOWL, batched=True, budget=100)
    assert sizes == [20] * 5


def test_parameters_of_the_29_area_cortex_are_recovered_from_its_timescales(modes):
    found = fit(modes, NEAR, method="least_squares")
    assert found.converged
    # The eigenvalues are exact to 1e-9 or so.
    assert found.best["eta"] == pytest.approx(0.68, abs=1e-6)
    assert found.best["mu_EE"] == pytest.approx(33.7, abs=1e-5)
    assert found.history.sizes["evaluation"] < 60


@pytest.mark.slow
def test_restarts_leave_a_local_minimum(modes):
    once = fit(modes, WIDE, method="least_squares")
    assert once.loss > 0.1
    assert once.best["mu_EE"] < 31
    again = fit(modes, WIDE, method="least_squares", restarts=4, seed=1)
    assert again.best["mu_EE"] == pytest.approx(33.7, abs=1e-5)
    assert np.isinf(again.history.loss).any()  # rest is unstable in a corner of these bounds


def test_delay_activity_tells_coupling_and_local_excitation_and_fits_by_lanes():
    model = cx.Model(cx.load_connectome("macaque30"), MejiasWang2022(), cx.gradients.macaque30())
    cue = cx.Pulse(area="V1", input="A", onset=0, duration=500, amplitude=0.3)
    nothing = xr.DataArray(np.zeros(30), {"area": list(model.areas)}, ("area",))
    measured = nothing + DelayActivity(model, cue, nothing, "r_A", (1500, 2000))({})
    measured = measured.where(measured.area != "V1")[::-1]  # areas are joined by label, and may be missing
    target = DelayActivity(model, cue, measured, "r_A", (1500, 2000))
    assert target({"G": 0.48}).shape == (29,)
    assert np.abs(target({"J_max": np.array([0.42, 0.40])})[0]).max() == 0
    bounds = {"G": (0.4, 0.55), "J_max": (0.38, 0.46)}
    found = fit(target, bounds, method="least_squares", batched=True, budget=60)
    assert found.best["G"] == pytest.approx(0.48, abs=1e-5)
    assert found.best["J_max"] == pytest.approx(0.42, abs=1e-5)
    assert found.about == target.about
    assert target.about != DelayActivity(model, cue, measured + 1, "r_A", (1500, 2000)).about


def test_timescales_of_the_model_itself_leave_no_residual(chaudhuri):
    areas = ["24c", "V1", "MT"]
    published = xr.DataArray([1040.0, 42.24, 82.08], {"area": areas}, ("area",))
    target = Timescales(chaudhuri, published, "r_E", input="E", area="V1")
    np.testing.assert_allclose(target({}), 0, atol=1e-3)  # as printed
    halved = Timescales(chaudhuri, published / 2, "r_E", input="E", area="V1", error=0.1)
    np.testing.assert_allclose(halved({}), np.log(2) / 0.1, atol=1e-2)
    assert np.isnan(target({"eta": 0.8})).all()  # rest is unstable


def test_measured_timescales_are_joined_to_the_areas_of_their_regions(chaudhuri):
    measured, regions = murray2014(chaudhuri.areas)
    assert list(measured.region) == ["MT", "LPFC", "ACC", "S1"]
    assert float(measured.sel(region="MT")) == (64 + 77) / 2
    assert int(measured.datasets.sel(region="LPFC")) == 4
    assert regions["LPFC"] == ("46d", "9/46d", "9/46v", "8l")
    target = Timescales(chaudhuri, measured, "r_E", regions=regions, input="E", area="V1")
    by_area = cx.analysis.timescales(chaudhuri, "r_E", input="E", area="V1")
    expected = np.log(by_area.sel(area=list(regions["LPFC"])).mean() / measured.sel(region="LPFC"))
    assert target({})[1] == pytest.approx(float(expected))


class Interrupted:
    """The bowl, until Ctrl-C at the given call."""

    def __init__(self, calls):
        self.left = self.calls = calls

    def __call__(self, p):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return bowl(p)


@pytest.mark.parametrize("method", METHODS)
def test_an_interrupted_fit_goes_on_and_ends_as_an_undisturbed_one(method, tmp_path):
    path = tmp_path / "fit.nc"
    whole = fit(bowl, BOWL, method=method, budget=120)
    for calls in (7, 9):
        with pytest.raises(KeyboardInterrupt):
            fit(Interrupted(calls), BOWL, method=method, budget=120, path=path)
    resumed = fit(bowl, BOWL, method=method, budget=120, path=path)
    assert resumed.new_evaluations == whole.history.sizes["evaluation"] - 16
    assert resumed.best == whole.best
    assert resumed.converged == whole.converged
    xr.testing.assert_identical(resumed.history, whole.history)
    assert fit(Interrupted(0), BOWL, method=method, budget=120, path=path).loss == whole.loss
    assert [p.name for p in tmp_path.iterdir()] == ["fit.nc"]


@pytest.mark.slow
def test_a_killed_fit_leaves_a_whole_history_and_goes_on(tmp_path):
    program = (
        "import sys, time\nfrom cortexsim.fitting import fit\n"
        "def slow(p):\n    time.sleep(0.02)\n    return (p['x'] - 1) ** 2\n"
        "fit(slow, {'x': (-2, 3)}, budget=10_000, tolerance=1e-300, path=sys.argv[1])\n"
    )
    path = tmp_path / "fit.nc"
    for seconds in (1.3, 1.7):
        known = xr.load_dataset(path, engine="h5netcdf").sizes["evaluation"] if path.exists() else 0
        run = subprocess.Popen([sys.executable, "-c", program, str(path)])
        until = time.monotonic() + 60
        while not path.exists() and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(seconds)
        run.kill()
        run.wait()
        assert xr.load_dataset(path, engine="h5netcdf").sizes["evaluation"] >= known
    whole = fit(lambda p: (p["x"] - 1) ** 2, {"x": (-2, 3)}, budget=300, tolerance=1e-300)
    resumed = fit(lambda p: (p["x"] - 1) ** 2, {"x": (-2, 3)}, budget=300, tolerance=1e-300, path=path)
    assert resumed.new_evaluations < 300
    xr.testing.assert_identical(resumed.history, whole.history)


def test_a_larger_budget_goes_on_from_the_file(tmp_path):
    path = tmp_path / "fit.nc"
    first = fit(bowl, BOWL, budget=50, path=path)
    assert first.history.sizes["evaluation"] == 50
    assert not first.converged
    more = fit(bowl, BOWL, budget=80, path=path)
    assert more.new_evaluations == 30
    less = fit(bowl, BOWL, budget=50, path=path)
    assert less.new_evaluations == 0
    xr.testing.assert_identical(less.history, first.history)


def test_a_file_of_another_fit_or_a_damaged_one_is_refused(tmp_path):
    path = tmp_path / "fit.nc"
    fit(bowl, BOWL, budget=30, path=path, about="bowl")
    for change in ({"seed": 1}, {"method": "nelder_mead"}, {"about": "cup"}, {"start": {"x": 0.0}}):
        with pytest.raises(ValueError, match="is of another fit"):
            fit(bowl, BOWL, **{"budget": 30, "path": path, "about": "bowl", **change})
    with pytest.raises(ValueError, match="its `bounds`"):
        fit(bowl, BOWL | {"x": (-2, 4)}, budget=30, path=path, about="bowl")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match="damaged"):
        fit(bowl, BOWL, budget=30, path=path, about="bowl")


def test_points_that_cannot_be_have_an_infinite_loss_and_leave_the_others_theirs(tmp_path):
    def partly(p):
        if np.any(p["x"] > 1.5):
            raise NoFixedPoint("no rest")
        return np.where(p["x"] < -1, np.nan, np.sum(bowl(p) ** 2, axis=-1))

    one, many = (fit(partly, BOWL, batched=batched, budget=200, seed=2) for batched in (False, True))
    xr.testing.assert_equal(one.history, many.history)
    x = one.history.parameters.sel(parameter="x")
    np.testing.assert_array_equal(np.isinf(one.history.loss), (x > 1.5) | (x < -1))
    kept = [fit(partly, BOWL, budget=200, seed=2, path=tmp_path / "fit.nc") for _ in range(2)]
    assert kept[1].new_evaluations == 0
    xr.testing.assert_identical(kept[1].history, kept[0].history)
    with pytest.raises(NoFiniteLoss, match="finite value somewhere"):
        fit(lambda p: np.nan, BOWL, budget=30)


def test_sensitivity_and_profile_are_those_of_linear_regression(line):
    residuals, best, errors, rss = line
    found = fit(residuals, {"a": (0, 4), "b": (0, 6)}, method="least_squares", tolerance=1e-9)
    np.testing.assert_allclose(list(found.best.values()), best, rtol=1e-7)
    assert found.loss == pytest.approx(rss)
    # Differences of a linear function are exact to rounding.
    told = sensitivity(residuals, found)
    np.testing.assert_allclose(told.standard_error, errors, rtol=1e-6)
    np.testing.assert_allclose(np.diag(told.correlation), 1)
    # On the edge of the textbook's interval the profile meets its limit.
    edge = best[1] + student.ppf(0.975, 10) * errors[1] * np.array([-1, 0, 1])
    along = profile(residuals, found, "b", edge)
    np.testing.assert_allclose(along.loss, [along.limit, rss, along.limit], rtol=1e-7)
    known = profile(residuals, found, "b", edge, error=0.3)
    assert float(known.limit) == pytest.approx(rss + 1.959964**2 * 0.3**2)


@pytest.mark.slow
def test_two_weights_that_act_as_a_product_are_not_determined():
    """Alone, an area's timescales depend on w_EI w_IE alone: on the determinant of its Jacobian."""
    alone = cx.Model(cx.single_area("V1"), Chaudhuri2015(), cx.gradients.macaque29())
    published = eigenvalues(alone).to_numpy()

    def spectrum(p):
        difference = eigenvalues(vary(alone, p)).to_numpy() - published
        return 1e3 * np.concatenate([difference.real, difference.imag])

    found = fit(spectrum, {"w_EI": (10, 30), "w_IE": (8, 16)}, method="least_squares", start={"w_EI": 18})
    assert found.loss < 1e-12
    told = sensitivity(spectrum, found)
    assert told.attrs["condition"] > 1e4  # what is left is the error of the differences
    assert float(told.correlation[0, 1]) < -0.999
    along = profile(spectrum, found, "w_EI", np.linspace(16, 28, 5))
    assert along.loss.max() < 1e-12
    np.testing.assert_allclose(along.w_EI * along.parameters.sel(parameter="w_IE"), 19.7 * 12.2, rtol=1e-6)


@pytest.mark.slow
def test_timescales_of_many_areas_determine_what_one_area_leaves_open(modes):
    found = fit(modes, NEAR, method="least_squares")
    along = profile(modes, found, "mu_EE", [32.5, 33.7, 34.5], error=0.01)
    assert float(along.loss.sel(mu_EE=33.7)) < 1e-12
    assert along.loss.sel(mu_EE=32.5) > along.limit
    assert along.loss.sel(mu_EE=34.5) > along.limit
    assert sensitivity(modes, found).attrs["condition"] < 100


def test_a_profile_of_the_only_parameter_is_the_loss_itself():
    found = fit(lambda p: (p["x"] - 1) ** 2, {"x": (0, 4)}, method="nelder_mead")
    along = profile(lambda p: (p["x"] - 1) ** 2, found, "x", [0, 1, 3])
    np.testing.assert_allclose(along.loss, [1, 0, 4])
    assert along.parameters.shape == (3, 0)
    assert np.isnan(along.limit)


def test_a_fit_exports_a_dataset_that_files_can_hold(tmp_path):
    found = fit(bowl, BOWL, budget=30, about="bowl")
    found.to_dataset().to_netcdf(tmp_path / "found.nc", engine="h5netcdf")
    back = xr.load_dataset(tmp_path / "found.nc", engine="h5netcdf")
    assert back.best.sel(parameter="x") == found.best["x"]
    assert json.loads(back.attrs["bounds"]) == {"x": [-2.0, 3.0], "y": [10.0, 30.0]}
    assert back.attrs["about"] == "bowl"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "least_square"}, "did you mean 'least_squares'"),
        ({"bounds": {"x": (1, 1)}}, "from low to high"),
        ({"start": {"x": 9}}, "within its bounds"),
        ({"start": {"z": 9}}, "Unknown parameter 'z'"),
        ({"restarts": 2}, "goes with least_squares and nelder_mead"),
        ({"budget": 0}, "at least 1"),
        ({"path": "fit.csv"}, "must end in .nc"),
    ],
)
def test_fit_refuses_what_does_not_hold(change, message):
    options = {"bounds": BOWL, "method": "differential_evolution", **change}
    with pytest.raises(ValueError, match=message):
        fit(bowl, **options)


def test_functions_must_return_what_they_say(chaudhuri):
    with pytest.raises(ValueError, match="must return a loss or residuals"):
        fit(lambda p: np.zeros((2, 2)), BOWL)
    with pytest.raises(TypeError, match="needs residuals"):
        fit(lambda p: 1.0, BOWL, method="least_squares")
    with pytest.raises(ValueError, match="same kind of value"):
        fit(lambda p: np.zeros(2 + (p["x"] > 0)), BOWL)
    with pytest.raises(TypeError, match="take `profile`"):
        sensitivity(lambda p: 1.0, fit(lambda p: 1.0, BOWL, budget=30))
    with pytest.raises(ValueError, match="did you mean 'eta'"):
        vary(chaudhuri, {"Eta": 1.0})


def test_targets_refuse_what_cannot_be_compared(chaudhuri):
    areas = xr.DataArray([50.0, 60.0], {"area": ["V1", "mt"]}, ("area",))
    with pytest.raises(ValueError, match="did you mean 'MT'"):
        Timescales(chaudhuri, areas, "r_E")
    with pytest.raises(ValueError, match="must be positive"):
        Timescales(chaudhuri, -areas[:1], "r_E")
    with pytest.raises(ValueError, match="all are NaN"):
        Timescales(chaudhuri, areas[:1] * np.nan, "r_E")
    with pytest.raises(TypeError, match="labelled over `area`"):
        DelayActivity(chaudhuri, None, np.zeros(29), "r_E", (0, 100))
    with pytest.raises(ValueError, match="span 10 ms"):
        DelayActivity(chaudhuri, None, areas[:1], "r_E", (100, 100))


def test_pictures_of_a_fit_name_their_parameters(line):
    residuals = line[0]
    found = fit(residuals, {"a": (0, 4), "b": (0, 6)}, method="least_squares")
    along = profile(residuals, found, "b", [2.5, 3.0, 3.5])
    history = fit_history(found).axes[0]
    assert len(history.lines[0].get_xdata()) == found.history.sizes["evaluation"]
    figure = fit_profile(along)
    assert [ax.get_ylabel() for ax in figure.axes] == ["Least loss", "a"]
    assert {ax.get_xlabel() for ax in figure.axes} == {"b"}
    told = fit_sensitivity(sensitivity(residuals, found))
    FigureCanvasAgg(told).draw()
    assert [text.get_text() for text in told.axes[2].get_yticklabels()] == ["a", "b"]
    with pytest.raises(TypeError, match=r"what `fit.profile` returns"):
        fit_profile(found)
