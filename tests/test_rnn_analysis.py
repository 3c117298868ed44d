"""Analysis of networks: points, linearisations, dimensions and variances that are known exactly."""

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose
from scipy.optimize import brentq

from cortexsim import tasks
from cortexsim.analysis import NoFixedPoint
from cortexsim.rnn import analysis
from cortexsim.rnn.initialise import initialise
from cortexsim.rnn.network import ACTIVATIONS, FORMS, Network, Parameters
from cortexsim.rnn.passes import Passes
from cortexsim.rnn.rules.bptt import BPTT

TAU = 100.0


def network(units, **changes):
    return Network(**{"inputs": 1, "outputs": 1, "units": units, "activation": "tanh", "tau": TAU, **changes})


def parameters(W_rec, bias=None, W_in=None):
    W_rec = np.atleast_2d(np.asarray(W_rec, dtype=float))
    units = len(W_rec)
    bias = np.zeros(units) if bias is None else np.asarray(bias, dtype=float)
    W_in = np.zeros((units, 1)) if W_in is None else np.asarray(W_in, dtype=float)
    return Parameters(W_rec[None], bias[None], W_in[None], np.zeros((1, 1, units)), np.zeros((1, 1)))


def random(units, seed=0, gain=1.5):
    random = np.random.default_rng(seed)
    return parameters(
        gain * random.normal(size=(units, units)) / np.sqrt(units),
        random.normal(size=units),
        random.normal(size=(units, 1)),
    )


# Derivative and Jacobian


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_jacobian_is_the_slope_of_the_derivative(form, activation):
    """Central differences with a step of 1e-6 are good to 1e-9 of the slope; no drive is so near 0 that relu kinks."""
    net = network(6, form=form, activation=activation, tau=tuple(np.linspace(50.0, 150.0, 6)))
    weights, state = random(6), np.random.default_rng(1).normal(size=6)
    h = 1e-6 * np.eye(6)
    up, down = (analysis.derivative(net, weights, [0.5], state + sign * h) for sign in (1, -1))
    assert_allclose(analysis.jacobian(net, weights, [0.5], state), (up - down).T / 2e-6, rtol=1e-6, atol=1e-11)


def test_inputs_reach_the_units_that_receive_them_only():
    net = network(3, input_units=(1, 2), activation="relu")
    weights = parameters(np.zeros((3, 3)), W_in=np.zeros((3, 1)))._replace(W_in=np.full((1, 1, 1), 2.0))
    assert_allclose(analysis.derivative(net, weights, [1.5], np.zeros(3)), [0, 3 / TAU, 0])


def test_rate_and_current_form_have_the_same_fixed_rates_and_eigenvalues():
    """x = W r + b is a fixed point where r is one, and W D has the eigenvalues of D W; what differs is rounding."""
    weights, starts = random(8, gain=2.0), np.random.default_rng(2).normal(size=(20, 8))
    rate = analysis.fixed_points(network(8), weights, [0.0], starts, slow=0.0)
    for r, eigenvalues in zip(rate.state.values, rate.eigenvalues.values, strict=True):
        x = weights.W_rec[0] @ r + weights.bias[0]
        current = analysis.fixed_points(network(8, form="current"), weights, [0.0], x)
        assert_allclose(current.rate.values[0], r, atol=1e-7)
        assert_allclose(np.poly(current.eigenvalues.values[0] * TAU), np.poly(eigenvalues * TAU), rtol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_a_step_of_the_compiled_network_is_dt_times_the_derivative(form):
    """In float64 and without noise; 1e-12 is rounding of rates of order one."""
    task = tasks.DelayedGo(delay=50.0, jitter=0.0)
    net = Network.for_task(task, units=20, form=form, activation="tanh", released=True)
    weights = initialise(net, scheme="normal", dtype="float64")
    trials = task.trials(2)
    with Passes(net, dtype="float64", threads=1) as run:
        _, rates = next(run.outputs(weights, trials, BPTT(), noise=False, rates=True))
    state = rates[:, 1] if form == "rate" else np.arctanh(rates[:, 1])
    epoch = np.repeat(np.arange(4), trials.lengths)
    for k in (50, 120, 205, trials.steps - 2):
        slope = analysis.derivative(net, weights, trials.inputs_by_epoch[epoch[k + 1], 1], state[k])
        assert_allclose(state[k] + net.dt * slope, state[k + 1], atol=1e-12)


# Fixed and slow points


def test_a_unit_that_excites_itself_has_two_stable_states_and_an_unstable_one_between():
    """r = tanh(2 r): 0, where the eigenvalue is (2 - 1) / tau, and +-r*, where it is (2 (1 - r*^2) - 1) / tau."""
    found = analysis.fixed_points(network(1), parameters([[2.0]]), [0.0], np.linspace(-1.5, 1.5, 31)[:, None])
    high = brentq(lambda r: np.tanh(2 * r) - r, 0.5, 1.5)
    found = found.sortby(found.state.isel(unit=0))
    assert_allclose(found.state.values[:, 0], [-high, 0, high], atol=1e-7)
    assert_allclose(found.growth_rate, np.array([2 * (1 - high**2) - 1, 1, 2 * (1 - high**2) - 1]) / TAU, atol=1e-8)
    assert found.stable.values.tolist() == [True, False, True]
    assert found.fixed.all()
    assert found.starts.sum() + found.attrs["left_out"] == 31


@pytest.mark.parametrize("b", [-3.45, -3.5])
def test_the_ghost_of_a_vanished_pair_of_fixed_points_is_a_slow_point(b):
    """r = s(6 r + b) with a sigmoid s loses two roots below b = -3.415; the slope -1 + 6 s (1 - s) is 0 at s = .789."""
    weights, net, starts = parameters([[6.0]], [b]), network(1, activation="sigmoid"), np.linspace(0, 1, 21)[:, None]
    s = (1 + np.sqrt(1 / 3)) / 2
    ghost = (np.log(s / (1 - s)) - b) / 6
    found = analysis.fixed_points(net, weights, [0.0], starts)
    assert found.fixed.values.tolist() == [True, False]
    assert found.state.values[1, 0] == pytest.approx(ghost, abs=1e-6)
    assert found.speed.values[1] == pytest.approx((ghost - s) / TAU, rel=1e-9)
    assert found.growth_rate.values[1] == pytest.approx(0.0, abs=1e-7)
    without = analysis.fixed_points(net, weights, [0.0], starts, slow=0.0)
    assert without.fixed.values.tolist() == [True]
    assert without.attrs["left_out"] == found.starts.values[1]


def test_a_rotation_has_a_pair_of_complex_eigenvalues():
    """dr/dt = (-1 + W) r / tau with W = a + i b as a matrix: the eigenvalues are (a - 1 +- i b) / tau."""
    found = analysis.fixed_points(
        network(2, activation="tanh"), parameters([[1.2, -3.0], [3.0, 1.2]]), [0.0], np.full((1, 2), 0.01)
    )
    assert_allclose(np.sort_complex(found.eigenvalues.values[0]), np.array([0.2 - 3j, 0.2 + 3j]) / TAU, atol=1e-10)
    assert not found.stable.item()


def test_a_line_attractor_is_found_wherever_one_starts():
    """relu with W = 1 holds any positive rate: every point is fixed, with the eigenvalue 0."""
    starts = np.array([[0.5], [1.0], [2.0]])
    found = analysis.fixed_points(network(1, activation="relu"), parameters([[1.0]]), [0.0], starts)
    assert_allclose(np.sort(found.state.values[:, 0]), [0.5, 1.0, 2.0])
    assert (found.growth_rate == 0).all()
    assert not found.stable.any()


def test_points_come_slowest_first_with_eigenvalues_by_growth():
    found = analysis.fixed_points(
        network(10), random(10, gain=3.0), [0.0], np.random.default_rng(3).normal(size=(40, 10)), slow=2.0
    )
    assert (np.diff(found.speed) >= 0).all()
    assert (np.diff(found.eigenvalues.values.real, axis=1) <= 0).all()
    assert_allclose(found.growth_rate, found.eigenvalues.values.real[:, 0])
    for point in found.state.values[found.fixed.values]:
        assert np.abs(analysis.derivative(network(10), random(10, gain=3.0), [0.0], point)).max() * TAU < 1e-6


def test_labelled_starts_of_any_shape_are_taken():
    starts = xr.DataArray(np.random.default_rng(0).normal(size=(1, 4, 5)), dims=("unit", "time", "trial"))
    found = analysis.fixed_points(network(1), parameters([[2.0]]), [0.0], starts)
    assert found.starts.sum() + found.attrs["left_out"] == 20


# Dimensions


def test_the_participation_ratio_counts_directions_of_equal_variance():
    """Columns of an orthogonal matrix with zero mean: k of them have equal variance each, so it is k exactly."""
    waves = np.cos(2 * np.pi * np.outer(np.arange(64), np.arange(1, 6)) / 64)
    for k in (1, 3, 5):
        mixed = waves[:, :k] @ np.linalg.qr(np.random.default_rng(k).normal(size=(8, 8)))[0][:k]
        rates = xr.DataArray(mixed.reshape(8, 8, 8) + 3.0, dims=("time", "trial", "unit"))
        assert float(analysis.participation_ratio(rates)) == pytest.approx(k, rel=1e-10)


def test_the_participation_ratio_is_that_of_each_network_and_of_areas_as_of_units():
    random = np.random.default_rng(0)
    rates = xr.DataArray(random.normal(size=(3, 50, 6)), {"network": [4, 5, 6]}, ("network", "time", "unit"))
    ratio = analysis.participation_ratio(rates)
    assert ratio.network.values.tolist() == [4, 5, 6]
    values = np.linalg.eigvalsh(np.cov(rates.values[1].T))
    assert float(ratio[1]) == pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=1e-10)
    areas = rates.isel(network=1, drop=True).rename(unit="area")
    assert float(analysis.participation_ratio(areas, dim="area")) == pytest.approx(float(ratio[1]), rel=1e-12)


def test_silence_has_no_dimension():
    assert np.isnan(analysis.participation_ratio(xr.DataArray(np.ones((5, 3)), dims=("time", "unit"))))


# Components


@pytest.fixture
def rates():
    """Three latent signals of falling size in ten units."""
    random = np.random.default_rng(5)
    latent = random.normal(size=(20, 6, 3)) * [5.0, 2.0, 1.0]
    axes = np.linalg.qr(random.normal(size=(10, 10)))[0][:3]
    values = latent @ axes + 4.0
    return xr.DataArray(values, {"unit": np.arange(10)}, ("time", "trial", "unit"), attrs={"units": "Hz"})


def test_components_give_the_activity_back(rates):
    found = analysis.principal_components(rates, components=3)
    back = found.projection.dot(found.loading, dim="component") + found["mean"]
    assert_allclose(back.transpose(*rates.dims), rates, atol=1e-12)
    assert found.projection.attrs["units"] == "Hz"


def test_loadings_are_orthonormal_and_shares_fall_and_add_up(rates):
    found = analysis.principal_components(rates, components=5)
    assert_allclose(found.loading.values @ found.loading.values.T, np.eye(5), atol=1e-12)
    assert (np.diff(found.explained) <= 0).all()
    assert float(found.explained.sum()) == pytest.approx(1.0, rel=1e-12)
    variance = found.projection.var(["time", "trial"])
    assert_allclose(variance / variance.sum(), found.explained, atol=1e-12)
    assert (np.take_along_axis(found.loading.values, np.abs(found.loading.values).argmax(1)[:, None], 1) > 0).all()


def test_other_states_are_projected_in_the_same_way(rates):
    found = analysis.principal_components(rates, components=2)
    assert_allclose(analysis.project(rates.isel(time=3), found), found.projection.isel(time=3), atol=1e-12)
    with pytest.raises(ValueError, match="must have the same 'unit' labels"):
        analysis.project(rates.isel(unit=slice(0, 5)), found)


# Task variance


def test_task_variance_is_the_mean_over_time_of_the_variance_over_trials():
    time, trial = np.arange(4), np.arange(5)
    moving = np.stack([np.outer(time, trial), np.ones((4, 5))], axis=-1).astype(float)
    still = np.ones((4, 5, 2))
    rates = {name: xr.DataArray(v, dims=("time", "trial", "unit")) for name, v in (("dgo", moving), ("go", still))}
    variance = analysis.task_variance(rates)
    assert variance.task.values.tolist() == ["dgo", "go"]
    # The trials 0 ... 4 have the variance 2, scaled by t^2 with the mean 14 / 4.
    assert_allclose(variance, [[7.0, 0.0], [0.0, 0.0]])
    assert_allclose(analysis.task_variance(rates, normalise=True), [[1.0, np.nan], [0.0, np.nan]])


# Choices


def test_a_psychometric_curve_counts_choices_in_parts_of_equal_size():
    evidence = np.linspace(-1, 1, 40)
    choices = np.stack([evidence > 0, np.where(np.abs(evidence) < 0.3, np.nan, 1.0)])
    table = analysis.psychometric_curve(choices, evidence, levels=4)
    assert_allclose(table.fraction, [[0, 0, 1, 1], [1, 1, 1, 1]])
    assert_allclose(table.evidence, evidence.reshape(4, 10).mean(axis=1))
    assert table.n.values.tolist() == [[10] * 4, [10, 4, 4, 10]]
    # Wilson's interval for 0 of 10 at z = 1.96: 0 to z^2 / (10 + z^2).
    assert_allclose(table.high[0, 0], 1.959964**2 / (10 + 1.959964**2), rtol=1e-6)
    assert ((table.low <= table.fraction) & (table.fraction <= table.high)).all()


def test_a_network_that_answers_right_has_a_step_at_no_evidence():
    task = tasks.DelayedDecisionMaking(delta=(0.0, 0.4))
    trials = task.trials(64, jitter=False)
    outputs = np.stack([np.repeat(w.target[None], w.stop - w.start, axis=0) for w in trials.windows[1:]])
    outputs = np.concatenate([np.zeros((1, trials.windows[0].stop - trials.windows[0].start, 64, 33)), outputs], axis=1)
    table = analysis.psychometric_curve(task.choices(outputs, trials), task.evidence(trials), levels=2)
    assert_allclose(table.fraction[0], [0, 1], atol=0.1)  # the parts meet near, not at, no evidence


# Wrong arguments


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: analysis.derivative(network(2), random(3), [0.0], np.zeros(2)), ValueError, "`W_rec` must have"),
        (lambda: analysis.derivative(network(2), random(2), [0.0, 1.0], np.zeros(2)), ValueError, r"`inputs`.*\(1,\)"),
        (lambda: analysis.derivative(network(2), random(2), [0.0], np.zeros(3)), ValueError, r"\(\.\.\., 2\)"),
        (lambda: analysis.jacobian(network(2), random(2), [0.0], np.zeros((1, 2))), ValueError, r"`state`.*\(2,\)"),
        (
            lambda: analysis.derivative(
                network(1), Parameters(*(np.concatenate([v, v]) for v in random(1))), [0.0], np.zeros(1)
            ),
            ValueError,
            r"must hold one network, but holds 2; take one by parameters.select",
        ),
        (
            lambda: analysis.fixed_points(
                network(1, activation="softplus"), parameters([[2.0]]), [0.0], np.zeros((1, 1)), slow=0.0
            ),
            NoFixedPoint,
            "None of the 1 starts",
        ),
        (lambda: analysis.participation_ratio(np.zeros((3, 3))), TypeError, "must be a DataArray"),
        (lambda: analysis.participation_ratio(xr.DataArray(np.zeros(3), dims="time")), ValueError, "the dim 'unit'"),
        (
            lambda: analysis.principal_components(xr.DataArray(np.zeros((4, 2)), dims=("time", "unit"))),
            ValueError,
            "`components` must be at most 2",
        ),
        (
            lambda: analysis.psychometric_curve(np.zeros(3), np.zeros(3)),
            ValueError,
            r"\(network, trial\) and \(trial,\)",
        ),
        (lambda: analysis.psychometric_curve(np.zeros((1, 3)), np.zeros(3)), ValueError, "`levels` must be at most"),
        (lambda: analysis.psychometric_curve(np.full((1, 9), 0.5), np.zeros(9)), ValueError, "must be 1, 0 or NaN"),
        (lambda: analysis.task_variance({}), TypeError, "must be a dict"),
        (lambda: analysis.task_variance({"go": np.zeros(3)}), ValueError, "task 'go' must be a DataArray"),
        (
            lambda: analysis.task_variance({"go": xr.DataArray(np.zeros((1, 2, 2)), dims=("trial", "time", "unit"))}),
            ValueError,
            "at least 2 trials",
        ),
    ],
)
def test_wrong_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
