"""simulate: sampling, labels, noise, provenance, and what it refuses."""

import dataclasses
import json

import numpy as np
import pytest
import xarray as xr

import cortexsim as cx

CUE = cx.Pulse(area="V1", input="E1_dendrite", onset=10, duration=20, amplitude=100)


def test_samples_are_the_states_after_whole_steps(model):
    fine = cx.simulate(model, CUE, duration=60, every=0.5)
    coarse = cx.simulate(model, CUE, duration=60, every=7)
    assert coarse.time.to_numpy().tolist() == [0, 7, 14, 21, 28, 35, 42, 49, 56]
    assert np.array_equal(coarse.r_PV, fine.r_PV.sel(time=coarse.time))
    assert (fine.r_E1.isel(time=0) == 5).all()
    longer = cx.simulate(model, CUE, duration=60.5, every=0.5)
    assert np.array_equal(longer.r_E1.isel(time=-1), fine.final_state.sel(state="r_E1"))


def test_a_result_is_labelled(model):
    result = cx.simulate(model, CUE, duration=20, trials=[4, 2])
    assert list(result.data_vars) == [*model.circuit.recorded, "final_state"]
    assert result.r_E1.dims == ("trial", "time", "area")
    assert result.r_E1.attrs == {"units": "Hz", "long_name": "firing rate of E1"}
    assert result.time.attrs["units"] == "ms"
    assert result.trial.to_numpy().tolist() == [4, 2]
    assert tuple(result.area.to_numpy()) == model.areas
    for name, values in cx.gradients.macaque40().items():
        assert np.array_equal(result[name], values, equal_nan=values.dtype.kind == "f")
        assert result[name].attrs["units"] == values.attrs["units"]


def test_provenance_says_how_to_run_it_again(model):
    result = cx.simulate(model, CUE, duration=20, every=5, seed=2**63 + 1, trials=2)
    attrs = result.attrs
    kind = getattr(cx.circuits, attrs["circuit"])
    stimulus = [dict(part) for part in json.loads(attrs["stimulus"])]
    again = cx.simulate(
        cx.Model(
            cx.load_connectome(json.loads(attrs["connectome"])["name"]),
            kind(**json.loads(attrs["parameters"])),
            cx.gradients.macaque40(),
        ),
        sum(getattr(cx, part.pop("type"))(**part) for part in stimulus),
        duration=attrs["duration_ms"],
        dt=attrs["dt_ms"],
        every=attrs["every_ms"],
        seed=int(attrs["seed"]),
        dtype=attrs["dtype"],
        trials=result.trial.to_numpy(),
    )
    xr.testing.assert_identical(again, result)
    assert attrs["cortexsim_version"] == cx.__version__
    assert json.loads(attrs["connectome"])["digest"] == model.connectome.digest


def test_digest_of_the_gradients_changes_with_a_map(model):
    maps = model.gradients
    other = dataclasses.replace(model, gradients=maps.assign(d1=maps.d1 * 2))
    digests = [cx.simulate(m, duration=1, every=1).attrs["gradients_digest"] for m in (model, other, model)]
    assert digests[0] == digests[2] != digests[1]


def test_record_chooses_state_variables(model):
    result = cx.simulate(model, duration=5, every=5, record=["S_NMDA1", "eta_PV"])
    assert list(result.data_vars) == ["S_NMDA1", "eta_PV", "final_state"]
    assert result.eta_PV.attrs["units"] == "nA"
    assert list(cx.simulate(model, duration=5, every=5, record=[]).data_vars) == ["final_state"]


def test_noise_has_the_exact_moments_of_the_discretised_process(model):
    """eta[n+1] = (1 - a) eta[n] + sigma sqrt(a) xi, a = dt/tau = .25.

    Its standard deviation is sigma sqrt(a / (1 - (1 - a)^2)), its autocorrelation (1 - a)^lag. 40 areas x 7 variables x
    4000 steps give some 2e5 independent samples: .6 % of the standard deviation and five standard errors of each mean.
    """
    names = [f"eta_{k}" for k in model.circuit.noise]
    result = cx.simulate(model, duration=2100, every=0.5, record=names).sel(time=slice(100, None))
    eta = np.stack([result[name].to_numpy()[0] for name in names])
    sd = 0.005 * np.sqrt(0.25 / (1 - 0.75**2))
    assert eta.std() == pytest.approx(sd, rel=0.006)
    assert abs(eta.mean()) < 5 * sd / np.sqrt(eta.size * (1 - 0.75) / (1 + 0.75))
    for lag in (1, 2, 4, 8):
        assert (eta[:, lag:] * eta[:, :-lag]).mean() / sd**2 == pytest.approx(0.75**lag, abs=0.012)
    flat = eta.transpose(1, 0, 2).reshape(eta.shape[1], -1)
    between = np.corrcoef(flat.T) - np.eye(flat.shape[1])
    # Independent between areas and variables: 280^2/2 pairs, six standard errors of sqrt(1.75/.25/4000).
    assert np.abs(between).max() < 6 * np.sqrt(25 / 7 / len(flat))


def test_the_papers_reading_of_the_noise_has_the_continuous_standard_deviation(model):
    """sigma sqrt(2 dt/tau): sd sigma as dt goes to 0; at .5 ms it is sqrt(2) times the program's 3.78 pA."""
    circuit = dataclasses.replace(model.circuit, noise_scaling="continuous")
    result = cx.simulate(dataclasses.replace(model, circuit=circuit), duration=1000, every=0.5, record=["eta_E1"])
    assert float(result.eta_E1.sel(time=slice(100, None)).std()) == pytest.approx(np.sqrt(2) * 0.00378, rel=0.02)


def test_seed_trial_and_area_key_the_noise(model):
    def eta(**options):
        return cx.simulate(model, duration=10, every=5, record=["eta_E1"], **options).eta_E1.to_numpy()

    assert np.array_equal(eta(seed=1), eta(seed=1))
    assert not np.array_equal(eta(seed=1), eta(seed=2))
    assert not np.array_equal(eta(seed=1), eta(seed=1 + 2**40))
    two = eta(trials=2)
    assert not np.array_equal(two[0], two[1])
    assert len(np.unique(two[0, 1])) == 40


def test_noise_false_is_silent_and_a_given_realisation_is_used(model):
    assert not cx.simulate(model, duration=5, every=5, record=["eta_E1"], noise=False).eta_E1.any()
    xi = np.random.default_rng(0).normal(size=(20, 40, 7))
    one = cx.simulate(model, duration=10, every=0.5, noise=xi, record=["eta_E1", "eta_VIP2"])
    eta = np.zeros((20, 40))
    for n in range(1, 20):
        eta[n] = 0.75 * eta[n - 1] + 0.0025 * xi[n - 1, :, 0]
    np.testing.assert_allclose(one.eta_E1[0], eta, atol=1e-15)
    per_trial = np.stack([xi, -xi])
    both = cx.simulate(model, duration=10, every=0.5, noise=per_trial, trials=2, record=["eta_VIP2"])
    assert np.array_equal(both.eta_VIP2[0], one.eta_VIP2[0])
    np.testing.assert_array_equal(both.eta_VIP2[1], -both.eta_VIP2[0])
    labelled = xr.DataArray(
        xi, dims=("step", "area", "variable"), coords={"area": list(model.areas), "variable": list(model.circuit.noise)}
    )
    shuffled = labelled.isel(area=slice(None, None, -1), variable=[3, 1, 0, 2, 6, 5, 4]).transpose(
        "variable", "area", "step"
    )
    same = cx.simulate(model, duration=10, every=0.5, noise=shuffled, record=["eta_E1", "eta_VIP2"])
    xr.testing.assert_identical(same, one)


def test_a_start_state_is_joined_by_label(model):
    first = cx.simulate(model, CUE, duration=20, every=5)
    state = first.final_state
    again = cx.simulate(
        model, duration=5, every=5, state=state.isel(area=slice(None, None, -1), state=slice(None, None, -1))
    )
    assert float(again.time[0]) == 0
    assert np.array_equal(again.r_E1.isel(time=0), state.sel(state="r_E1"))
    three = cx.simulate(model, duration=5, every=5, trials=3, state=state)
    assert np.array_equal(three.r_E1[2, 0], again.r_E1[0, 0])


def test_a_stimulus_may_differ_between_trials(model):
    result = cx.simulate(model, [CUE, None, CUE + CUE], duration=40, trials=[0, 0, 0], every=5)
    alone = cx.simulate(model, duration=40, every=5)
    assert np.array_equal(result.r_E1[1], alone.r_E1[0])
    at = result.r_E1.sel(time=25, area="V1")
    assert at[2] > at[0] > at[1]
    assert [len(s) for s in json.loads(result.attrs["stimulus"])] == [1, 0, 2]


def test_circuit_parameters_that_differ_between_trials_become_coordinates(model):
    circuit = dataclasses.replace(model.circuit, dopamine=(0.5, 1.5))
    result = cx.simulate(dataclasses.replace(model, circuit=circuit), duration=5, every=5, trials=2)
    assert result.dopamine.to_numpy().tolist() == [0.5, 1.5]
    assert result.dopamine.dims == ("trial",)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dt": -0.1}, ValueError, r"`dt` must be positive, but is -0\.1 ms"),
        ({"duration": 0}, ValueError, "`duration` must be positive"),
        ({"duration": 5.2}, ValueError, r"`duration` must be a whole multiple of dt = 0\.5 ms.* take 5 or 5\.5 ms"),
        ({"every": 0.7}, ValueError, "`every` must be a whole multiple"),
        ({"trials": 0}, ValueError, "`trials` must be at least 1"),
        ({"trials": 2.5}, TypeError, "`trials` must be a whole number"),
        ({"trials": []}, ValueError, "at least one trial"),
        ({"trials": [2**32]}, ValueError, "below 2"),
        ({"seed": -1}, ValueError, "`seed` must be a whole number from 0"),
        ({"dtype": "float16"}, ValueError, "Unknown precision 'float16'"),
        ({"dtype": 5}, ValueError, "Unknown precision '5'"),
        ({"noise": "yes"}, TypeError, "`noise` must be True, False, or an array of normals, but is 'yes'"),
        ({"duration": None}, TypeError, "`duration` must be given in ms, unless a Schedule is in the stimulus"),
        ({"record": ["r_E3"]}, ValueError, "Unknown variable 'r_E3'.*did you mean 'r_E"),
        ({"record": ["r_E1", "r_E1"]}, ValueError, "'r_E1' stands twice"),
        ({"threads": 0}, ValueError, "`threads` must be at least 1"),
        ({"stimulus": 5}, TypeError, "must be a Stimulus"),
        ({"stimulus": [CUE]}, ValueError, "one entry per trial, but has 1 for 2 trials"),
        ({"stimulus": [CUE, 1]}, TypeError, "has 1 for trial 1"),
        (
            {"stimulus": dataclasses.replace(CUE, area="V11")},
            ValueError,
            r"Unknown area 'V11' in Pulse; did you mean 'V1'\? `conn",
        ),
        ({"stimulus": dataclasses.replace(CUE, input="E1_dendrit")}, ValueError, "did you mean 'E1_dendrite'"),
        (
            {"noise": np.zeros((5, 40, 7))},
            ValueError,
            r"step=10 or more, area=40, variable=7: E1, E2, PV.*but has \(5, 40, 7\)",
        ),
        ({"noise": np.zeros((3, 10, 40, 7))}, ValueError, "leading trial=2"),
        ({"noise": np.full((10, 40, 7), np.nan)}, ValueError, "finite, but is nan at step 0, area 'V1', variable 'E1'"),
        ({"state": 3}, TypeError, "`state` must be a result, or a DataArray"),
        ({"state": xr.Dataset()}, ValueError, "has no dt_ms, final_state, last_step"),
    ],
)
def test_bad_arguments_are_refused(model, options, error, message):
    with pytest.raises(error, match=message):
        cx.simulate(model, **{"duration": 5, "every": 5, "trials": 2, **options})


def test_states_of_another_model_are_refused(model):
    result = cx.simulate(model, duration=5, every=5)
    with pytest.raises(ValueError, match=r"own dt = 0.5 ms, but `dt` is 0.25 ms"):
        cx.simulate(model, duration=5, dt=0.25, every=5, state=result)
    with pytest.raises(ValueError, match="each area of the model once and no other, but 'OPRO' does not match"):
        cx.simulate(model, duration=5, every=5, state=result.final_state.isel(area=slice(0, 39)))
    with pytest.raises(ValueError, match="must have 1 or 3 trials"):
        cx.simulate(model, duration=5, every=5, trials=3, state=cx.simulate(model, duration=5, every=5, trials=2))
    with pytest.raises(ValueError, match="must be finite"):
        cx.simulate(model, duration=5, every=5, state=result.final_state * np.nan)
    with pytest.raises(TypeError, match="`model` must be a Model, but is FroudistWalsh2021"):
        cx.simulate(model.circuit, duration=5)


def test_a_run_that_would_not_fit_says_so_before_it_starts(model):
    with pytest.raises(MemoryError, match=r"needs about \d+\.\d GiB.*raise `every` = 0\.5 ms, or run fewer trials"):
        cx.simulate(model, duration=1e6, trials=10_000, every=0.5)


def test_a_schedule_brings_its_duration(model):
    trial = cx.Schedule([cx.Epoch("fixation", 10), cx.Epoch("cue", 5, (("V1", "E1_dendrite", 100),))])
    result = cx.simulate(model, trial, every=5)
    assert result.attrs["duration_ms"] == 15
    assert result.sizes["time"] == 3


def test_memory_estimate_covers_the_record(model):
    result = cx.simulate(model, duration=500, trials=3)
    held = sum(v.nbytes for v in result.data_vars.values())
    assert held < cx.memory_estimate(model, duration=500, trials=3) < 2.5 * held


def test_progress_goes_to_standard_error_when_asked(model, capfd):
    cx.simulate(model, duration=100, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "100/100" in err.replace(".0", "")
    cx.simulate(model, duration=100, progress=False)
    assert capfd.readouterr().err == ""
