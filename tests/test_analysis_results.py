"""Propagation, functional connectivity, spectra and BOLD, on rates whose answers are known."""

import numpy as np
import pytest
import xarray as xr
from scipy.integrate import solve_ivp

import cortexsim as cx
from cortexsim import analysis

pytestmark = pytest.mark.slow


def rates(values, dt=10.0, start=0.0, areas="abc"):
    """Return values (trial, time, area) as a result with a hierarchy along its areas."""
    values = np.asarray(values, dtype=float)
    labels = list(areas)[: values.shape[2]]
    coordinates = {
        "trial": np.arange(values.shape[0]),
        "time": ("time", start + np.arange(values.shape[1]) * dt, {"units": "ms"}),
        "area": labels,
        "hierarchy": ("area", np.linspace(0, 1, len(labels))),
    }
    return xr.Dataset({"r_E": (("trial", "time", "area"), values, {"units": "Hz"})}, coordinates)


@pytest.fixture
def response():
    """Area a, at 5 Hz, rises from 100 ms on by 20 (1 - exp(-t/50)) for 200 ms; b by a tenth, 30 ms late; c is still."""
    t = np.arange(0, 600, 2.0)

    def bump(onset):
        since = np.clip(t - onset, 0, None)
        top = 20 * (1 - np.exp(-np.minimum(since, 200) / 50))
        return top * np.exp(-np.maximum(since - 200, 0) / 50)

    values = 5 + np.stack([bump(100), 0.1 * bump(130), np.zeros_like(t)], axis=1)
    pulse = cx.Pulse(area="a", input="E", onset=100, duration=200, amplitude=1)
    return rates(values[np.newaxis], dt=2.0).assign_attrs(stimulus=pulse.to_json())


def test_peak_latency_and_attenuation_are_those_of_the_response(response):
    found = analysis.propagation(response, "r_E")
    top = 20 * (1 - np.exp(-4))
    np.testing.assert_allclose(found.baseline, 5)
    np.testing.assert_allclose(found.peak, [top, top / 10, 0], rtol=1e-12)
    np.testing.assert_allclose(found.peak_time, [200, 230, np.nan])
    half = -50 * np.log(1 - (1 - np.exp(-4)) / 2)
    np.testing.assert_allclose(found.latency, [half, half + 30, np.nan], atol=0.01)  # straight between samples
    np.testing.assert_allclose(found.attenuation, [1, 10, np.inf])
    assert found.attrs == {"onset_ms": 100.0, "source": "a"}
    assert list(found.hierarchy) == [0, 0.5, 1]


def test_onset_and_source_may_be_given_instead_of_the_provenance(response):
    found = analysis.propagation(response.r_E, onset=130, source="b", fraction=1.0)
    assert float(found.peak_time.sel(area="b")) == float(found.latency.sel(area="b")) == 200
    with pytest.raises(ValueError, match="pass `onset`"):
        analysis.propagation(response.r_E)
    with pytest.raises(ValueError, match="Unknown area 'z'"):
        analysis.propagation(response, "r_E", source="z")
    with pytest.raises(ValueError, match="must lie in the record"):
        analysis.propagation(response, "r_E", onset=900)
    two = xr.concat([response, response], "trial").assign_coords(gain=("trial", [1, 2]))
    with pytest.raises(ValueError, match="of one condition"):
        analysis.propagation(two, "r_E")


def test_correlations_are_pearsons_in_each_trial():
    values = np.random.default_rng(0).normal(size=(2, 50, 3)) @ [[1, 0.5, 0], [0, 1, 0], [0, 0, 1]] + 4
    found = analysis.functional_connectivity(rates(values), "r_E")
    assert found.dims == ("trial", "area", "other_area")
    for k in range(2):
        np.testing.assert_allclose(found[k], np.corrcoef(values[k].T), rtol=1e-12)
    assert float(found.sel(trial=0, area="a", other_area="b")) > 0.2


def test_a_constant_area_correlates_with_none():
    values = np.random.default_rng(0).normal(size=(1, 50, 2))
    values[..., 1] = 0.1
    found = analysis.functional_connectivity(rates(values), "r_E")[0]
    np.testing.assert_array_equal(np.isnan(found), [[False, True], [True, True]])


def test_power_peaks_at_the_frequency_and_sums_to_the_variance():
    """A sine of 12 Hz and amplitude 3 has variance 4.5; segments hold whole periods, so nothing leaks away."""
    t = np.arange(0, 10, 0.005)
    data = rates((3 * np.sin(2 * np.pi * 12 * t))[np.newaxis, :, np.newaxis], dt=5.0)
    found = analysis.power_spectrum(data, "r_E")
    assert found.attrs["units"] == "Hz^2/Hz"
    assert found.frequency.attrs["units"] == "Hz"
    assert float(found[0, :, 0].idxmax("frequency")) == 12
    assert float(found.sum("frequency")[0, 0]) * float(found.frequency[1]) == pytest.approx(4.5, rel=1e-6)


def test_white_noise_has_a_flat_spectrum_of_its_variance_over_the_band():
    """Variance 4 over 0 to 50 Hz; 800 segments leave 4 % at each frequency and less in their mean."""
    values = np.random.default_rng(0).normal(scale=2, size=(4, 20_000, 1))
    found = analysis.power_spectrum(rates(values), "r_E").mean("trial")
    assert float(found.isel(frequency=slice(2, -2)).mean()) == pytest.approx(4 / 50, rel=0.01)


def test_rates_that_can_not_be_analysed_are_refused(response):
    with pytest.raises(TypeError, match="`variable` must say which rate of the result: r_E"):
        analysis.functional_connectivity(response)
    with pytest.raises(ValueError, match="Unknown variable 'r_I'"):
        analysis.functional_connectivity(response, "r_I")
    with pytest.raises(TypeError, match="goes with a Dataset"):
        analysis.power_spectrum(response.r_E, "r_E")
    with pytest.raises(ValueError, match="evenly in time"):
        analysis.power_spectrum(response.r_E.isel(time=[0, 1, 3]))
    with pytest.raises(ValueError, match="must be finite"):
        analysis.power_spectrum(response.r_E.where(response.time > 50))
    with pytest.raises(ValueError, match="length of the record, 4 and 600 ms"):
        analysis.power_spectrum(response.r_E, segment=5000)


def activity(seconds=30):
    """Three areas of 20 Hz for some seconds, of a slow wave, and of noise."""
    t = np.arange(0, seconds, 0.02)
    boxcar = np.where((t >= 1) & (t < 4), 20.0, 0.0)
    noise = np.random.default_rng(0).uniform(0, 10, size=t.size)
    return rates(np.stack([boxcar, 5 + 5 * np.sin(t), noise], axis=1)[np.newaxis], dt=20.0)


@pytest.mark.parametrize("output", ["friston2003", "stephan2007"])
def test_bold_equals_an_independent_solution(output):
    """In the logarithms of flow, volume and content, by an adaptive method of order 8 from sample to sample."""
    data = activity(12)
    model = analysis.BalloonWindkessel(output=output)
    found = analysis.bold(data, "r_E", repetition_time=1000, gain=0.1, haemodynamics=model)
    rho, tau = 0.34, 0.98

    def slopes(t, x, z):
        s, f, v, q = x[0], *np.exp(x[1:])
        out = v ** (1 / 0.32)
        content = (f * (1 - (1 - rho) ** (1 / f)) / rho - out * q / v) / (tau * q)
        return [0.54 * z - 0.65 * s - 0.41 * (f - 1), s / f, (f - out) / (tau * v), content]

    for k, area in enumerate("ab"):
        x, expected = np.zeros(4), []
        for n, z in enumerate(0.1 * data.r_E[0, :, k].to_numpy()):
            if n % 50 == 0:
                v, q = np.exp(x[2:])
                k123 = (7 * rho, 2, 2 * rho - 0.2) if output == "friston2003" else (4.3 * 40.3 * rho * 0.04, rho, 0)
                expected.append(0.02 * np.dot(k123, [1 - q, 1 - q / v, 1 - v]))
            x = solve_ivp(slopes, (0, 0.02), x, "DOP853", args=(z,), rtol=1e-10, atol=1e-12).y[:, -1]
        np.testing.assert_allclose(found.bold.sel(area=area)[0], expected, atol=1e-9)
        assert np.max(expected) > 0.003


def test_bold_of_chunks_equals_bold_of_the_whole():
    data = activity()
    whole = analysis.bold(data, "r_E", repetition_time=800)
    parts, state = [], None
    for first, last in ((0, 10), (10, 133), (133, 1500)):
        state = analysis.bold(data.isel(time=slice(first, last)), "r_E", repetition_time=800, state=state)
        parts.append(state.bold)
    assert np.array_equal(xr.concat(parts, "time").to_numpy(), whole.bold.to_numpy())
    assert np.array_equal(state.haemodynamic_state, whole.haemodynamic_state)
    assert list(whole.time[:3]) == [0, 800, 1600]


def test_bold_peaks_seconds_after_the_activity_and_undershoots():
    found = analysis.bold(activity(), "r_E", repetition_time=500).bold.sel(area="a")[0]
    assert 4000 < float(found.idxmax("time")) < 8000
    assert float(found.min()) < -0.1 * float(found.max())
    assert abs(float(found[0])) == 0


def test_what_bold_can_not_do_is_said():
    data = activity(4)
    first = analysis.bold(data.isel(time=slice(0, 50)), "r_E")
    with pytest.raises(ValueError, match="ended at 1000 ms, but begins at 1200 ms"):
        analysis.bold(data.isel(time=slice(60, 90)), "r_E", state=first)
    with pytest.raises(ValueError, match="same areas as the one before"):
        analysis.bold(data.isel(time=slice(50, 90), area=[0, 1]), "r_E", state=first)
    with pytest.raises(ValueError, match="whole multiple of dt"):
        analysis.bold(data, "r_E", repetition_time=30)
    with pytest.raises(FloatingPointError, match="lower `gain` = -5"):
        analysis.bold(data, "r_E", gain=-5)
    with pytest.raises(ValueError, match="`tau` must be positive"):
        analysis.BalloonWindkessel(tau=0.0)
    with pytest.raises(ValueError, match="Unknown output 'friston'"):
        analysis.BalloonWindkessel(output="friston")
