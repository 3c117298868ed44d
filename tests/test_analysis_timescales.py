"""Timescales of models under white noise, against known processes and published systems; and timescales of data."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import spearmanr
from systems import Linear
from test_analysis_stability import Gate

import cortexsim as cx
from cortexsim import analysis, circuits
from cortexsim.connectome import single_area

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def chaudhuri():
    return cx.Model(cx.load_connectome("macaque29"), circuits.Chaudhuri2015(), cx.gradients.macaque29())


@pytest.fixture(scope="module")
def chain():
    """Area b receives from a, and c from none."""
    fln = np.zeros((3, 3))
    fln[1, 0] = 1.0
    return cx.Connectome(fln, np.full((3, 3), 0.5), areas=["a", "b", "c"])


def at_zero(model):
    names = list(model.circuit.state_names())
    return xr.DataArray(
        np.zeros((len(names), len(model.areas))), {"state": names, "area": list(model.areas)}, ("state", "area")
    )


def rates(values, dt=1.0):
    """Return values (trial, time, area) as rates sampled every `dt` ms."""
    values = np.asarray(values, dtype=float)
    time = ("time", np.arange(values.shape[1]) * dt, {"units": "ms"})
    areas = [f"a{k}" for k in range(values.shape[2])]
    return xr.DataArray(values, {"time": time, "area": areas}, ("trial", "time", "area"), attrs={"units": "Hz"})


def ornstein_uhlenbeck(tau, trials, steps, dt=1.0):
    from scipy.signal import lfilter

    decay = np.exp(-dt / tau)
    kicks = np.random.default_rng(0).normal(size=(trials, steps, 1))
    return rates(lfilter([1.0], [1.0, -decay], kicks, axis=1)[:, 2000:], dt)


def test_an_ornstein_uhlenbeck_area_has_its_own_time_constant(chain):
    """Noise into a: a decays by exp(-t/tau); c, unconnected and without noise, has no timescale."""
    model = cx.Model(chain, Linear(tau=12.0, g=0.7))
    found = analysis.timescales(model, "r", input="I", area="a", state=at_zero(model))
    assert found.attrs["units"] == "ms"
    assert float(found.sel(area="a")) == pytest.approx(12.0, rel=1e-9)
    assert np.isnan(found.sel(area="c"))


def test_two_leaks_in_a_row_correlate_as_their_convolution(chain):
    """Noise that two equal leaks filter has C(t) = (1 + t/tau) exp(-t/tau)."""
    model = cx.Model(chain, Linear(tau=12.0, g=0.7))
    found = analysis.autocorrelation(model, "r", input="I", area=["a"], state=at_zero(model), max_lag=60)
    t = found.lag.to_numpy()
    np.testing.assert_allclose(found.sel(area="b"), (1 + t / 12) * np.exp(-t / 12), atol=1e-12)


def test_the_circuits_own_noise_enters_where_its_step_says():
    """A gate with leak 1/50 /ms, whose noise and whose rate that is set at once are declared by a step."""
    model = cx.Model(single_area(), Gate())
    assert float(analysis.timescales(model, "S", state=at_zero(model))[0]) == pytest.approx(50.0, rel=1e-9)
    with pytest.raises(ValueError, match="noise sets r directly"):
        analysis.timescales(model, "r", input="I", state=at_zero(model))


def test_timescales_of_chaudhuri2015_equal_the_published_systems(chaudhuri, shared):
    table = pd.read_csv(shared / "reference" / "chaudhuri2015" / "linear_areas.csv").set_index("area")
    found = analysis.timescales(chaudhuri, "r_E", input="E", area="V1").to_series()
    assert (found - table.tau_v1_noise_1e_ms.loc[found.index]).abs().max() < 0.01


def test_where_noise_enters_reorders_the_timescales(chaudhuri):
    """Noise into area 2 makes it the fastest area; into all areas, the top of the hierarchy stays slow."""
    into_2 = analysis.timescales(chaudhuri, "r_E", input="E", area="2")
    assert into_2.idxmin("area") == "2"
    np.testing.assert_allclose(into_2.sel(area=["2", "V1"]), [113.5, 599.8], atol=0.05)
    everywhere = analysis.timescales(chaudhuri, "r_E", input="E").sel(area=["V1", "24c", "STPr"])
    np.testing.assert_allclose(everywhere, [42.3, 501.7, 782.8], atol=0.05)


def test_fitted_timescales_of_chaudhuri2015_follow_the_hierarchy(chaudhuri):
    """By the programs' rule three areas reach its bound of 1 s, and the rank correlation with hierarchy is .82."""
    found = analysis.timescales(chaudhuri, "r_E", method="exponential", input="E", area="V1")
    assert set(found.area.to_numpy()[found > 999.9]) == {"24c", "STPr", "PBr"}
    assert spearmanr(found, cx.gradients.macaque29().hierarchy.sel(area=found.area))[0] == pytest.approx(0.82, abs=0.01)


def test_one_and_two_exponentials_are_told_apart():
    from cortexsim.analysis.timescales import _fitted

    lag = np.arange(0.0, 1001.0)
    assert _fitted(lag, np.exp(-lag / 80)) == pytest.approx(80, rel=1e-6)
    two = 0.4 * np.exp(-lag / 30) + 0.6 * np.exp(-lag / 300)
    assert _fitted(lag, two) == pytest.approx(0.4 * 30 + 0.6 * 300, rel=1e-4)


def test_data_of_an_ornstein_uhlenbeck_process_give_its_time_constant_back():
    """100 records of 20 s hold some 20,000 times tau = 50 ms: 1 to 2 %."""
    data = ornstein_uhlenbeck(50.0, trials=100, steps=22_000)
    assert float(analysis.timescales(data)[0]) == pytest.approx(50, rel=0.03)
    assert float(analysis.timescales(data, method="exponential")[0]) == pytest.approx(50, rel=0.03)


def test_the_estimated_autocorrelation_is_that_of_the_sum_over_pairs():
    values = np.random.default_rng(1).normal(size=(2, 40, 3)).cumsum(axis=1)
    found = analysis.autocorrelation(rates(values, dt=5.0), max_lag=50)
    centred = values - values.mean(axis=1, keepdims=True)
    for k in range(11):
        pairs = (centred[:, : 40 - k] * centred[:, k:]).sum(axis=1).sum(axis=0) / (40 - k)
        expected = pairs / (centred**2).mean(axis=1).sum(axis=0)
        np.testing.assert_allclose(found.sel(lag=5.0 * k), expected, rtol=1e-10, atol=1e-12)


def test_a_constant_area_and_one_that_does_not_decay_have_no_timescale():
    data = ornstein_uhlenbeck(50.0, trials=1, steps=4000).to_numpy()
    data = rates(np.concatenate([data, np.ones_like(data), np.arange(2000.0)[np.newaxis, :, np.newaxis]], axis=2))
    found = analysis.timescales(data, max_lag=200)
    assert np.isnan(found.to_numpy()).tolist() == [False, True, True]


def test_arguments_that_do_not_go_with_the_source_are_refused(chaudhuri):
    data = ornstein_uhlenbeck(5.0, trials=1, steps=2100)
    with pytest.raises(TypeError, match="`area` goes with a Model"):
        analysis.timescales(data, area="V1")
    with pytest.raises(TypeError, match="`variable` must be one of r_E"):
        analysis.timescales(chaudhuri)
    with pytest.raises(ValueError, match="acts on nothing"):
        analysis.timescales(chaudhuri, "r_E")  # its own noise is switched off
    silent = cx.Model(single_area(), Linear())
    with pytest.raises(ValueError, match="has no noise of its own"):
        analysis.timescales(silent, "r", state=at_zero(silent))
    with pytest.raises(ValueError, match="Unknown area 'V9'"):
        analysis.timescales(chaudhuri, "r_E", input="E", area="V9")
    with pytest.raises(ValueError, match="Unknown method '1/2'"):
        analysis.timescales(data, method="1/2")
    unstable = cx.Model(chaudhuri.connectome, circuits.Chaudhuri2015(mu_EE=36.0), chaudhuri.gradients)
    with pytest.raises(ValueError, match="stable, but it grows"):
        analysis.timescales(unstable, "r_E", input="E")
