"""The contract that every circuit in `circuits.ALL` keeps."""

import dataclasses
import json
import sys
from collections import namedtuple

import numpy as np
import plain
import pytest
import xarray as xr

import cortexsim as cx
from cortexsim import circuits

AREAS = ("V1", "MT", "LIP", "8m", "8l", "46d", "9/46d", "7A", "24c", "F2", "TEpd")
# Noise and dopamine that are off in the published circuit; time constants of seconds, too slow to come to rest here.
PARAMETERS = {
    "Chaudhuri2015": {"sigma_E": 30.0},
    "FroudistWalsh2021Learning": {"dopamine": 0.1, "tau_DA": 200.0},
    "FroudistWalsh2021Plasticity": {"tau_u": 150.0},
    "WilsonCowan": {"sigma": 0.01},
}


@pytest.fixture(params=circuits.ALL, scope="module")
def small(request):
    """Each circuit on eleven areas: a whole register of lanes and part of another."""
    cortex = cx.load_connectome("macaque40").select(AREAS)
    return cx.Model(cortex, circuits.ALL[request.param](**PARAMETERS.get(request.param, {})), cx.gradients.macaque40())


def drive(model, onset=5.0):
    """Drive the first input of the first area, by 50 pA where it is a current."""
    first = model.circuit.inputs[0]
    amplitude = 0.05 if first.unit == "nA" else 50.0
    return cx.Pulse(area=model.areas[0], input=first.name, onset=onset, duration=20, amplitude=amplitude)


def states(model, stimulus=None, **options):
    """Return all state variables as an array (trial, time, state, area)."""
    names = model.circuit.state_names()
    result = cx.simulate(model, stimulus, record=names, **options)
    return np.stack([result[name].to_numpy() for name in names], axis=2)


def test_every_field_and_variable_says_its_unit_and_meaning(small):
    circuit = small.circuit
    for name, value, unit, meaning, _ in circuit.parameter_table():
        assert meaning, name
        assert unit or not isinstance(value, float), name
    for variable in circuit.state + circuit.inputs:
        assert variable.unit, variable.name
        assert variable.meaning, variable.name
    assert circuit.citation
    assert "doi" in circuit.citation
    assert set(circuit.recorded) <= set(circuit.state_names())
    assert {w.source for w in circuit.pathways} <= set(circuit.state_names())


def test_compiled_equals_plain_numpy(small):
    """The same source, compiled with our own exp and fused products, and run by NumPy: 300 steps apart by rounding."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(300, len(small.areas), len(small.circuit.noise)))
    fast = states(small, drive(small), duration=150, noise=noise, every=0.5)[0]
    slow = plain.simulate(small, drive(small), steps=300, dt=0.5, noise=noise)
    np.testing.assert_allclose(fast, slow[:-1], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("small", [n for n, c in circuits.ALL.items() if c.from_rates], indirect=True)
def test_rates_given_from_outside_reach_other_areas_as_those_of_the_circuit_itself_do(small):
    """`from_rates` on the rates of a run repeats all that other areas read in it, bit by bit."""
    circuit, names = small.circuit, small.circuit.state_names()
    noise = np.random.default_rng(0).normal(size=(100, len(small.areas), len(circuit.noise)))
    run = plain.simulate(small, drive(small), steps=100, dt=0.5, noise=noise)
    by_trial, by_area = small.parameters(1)
    numbers = {k: v[0] for k, v in {**by_trial, **by_area}.items()}
    given = circuit.excitatory + circuit.inhibitory
    X, Rates, P = (namedtuple(k, v) for k, v in (("X", names), ("Rates", given), ("P", numbers)))
    assert not np.array_equal(run[0], run[-1])
    x = X(*run[0])
    for now in run[1:]:
        x = X(*circuit.from_rates(x, Rates(*(now[names.index(name)] for name in given)), P(**numbers), 0.5))
        for name in {*given, *(pathway.source for pathway in circuit.pathways)}:
            assert np.array_equal(getattr(x, name), now[names.index(name)]), name


def test_both_layouts_of_the_lanes_give_the_same_bits(small):
    """One trial runs with areas in the lanes; 16 trials of three areas with trials in them."""
    model = dataclasses.replace(small, connectome=small.connectome.select(AREAS[:3]))
    many = states(model, drive(model), duration=50, trials=16, seed=3, every=5)
    for k in (0, 7, 15):
        assert np.array_equal(states(model, drive(model), duration=50, trials=[k], seed=3, every=5)[0], many[k])


def test_trial_k_of_n_equals_trial_k_of_m_for_any_threads(small):
    few = states(small, drive(small), duration=60, trials=2, seed=1, every=5, threads=1)
    more = states(small, drive(small), duration=60, trials=5, seed=1, every=5, threads=2)
    assert np.array_equal(few, more[:2])
    picked = states(small, drive(small), duration=60, trials=[4, 1], seed=1, every=5, threads=2)
    assert np.array_equal(picked, more[[4, 1]])
    assert np.array_equal(more[0], more[1]) == (not small.circuit.noise)


def test_chunked_equals_whole(small, monkeypatch):
    whole = states(small, drive(small), duration=60, trials=2, every=5)
    monkeypatch.setattr(sys.modules["cortexsim.simulate"], "_CHUNK_STEPS", 7)
    assert np.array_equal(states(small, drive(small), duration=60, trials=2, every=5), whole)


def test_resumed_equals_uninterrupted(small, tmp_path):
    whole = cx.simulate(small, drive(small), duration=60, trials=2, every=5)
    first = cx.simulate(small, drive(small), duration=35, trials=2, every=5)
    cx.save(first, tmp_path / "half.nc")
    second = cx.simulate(small, drive(small), duration=25, trials=2, every=5, state=cx.load(tmp_path / "half.nc"))
    assert np.array_equal(second.time, np.arange(35, 60, 5))
    joined = xr.concat([first.drop_vars("final_state"), second.drop_vars("final_state")], "time", data_vars="minimal")
    for name in small.circuit.recorded:
        assert np.array_equal(joined[name], whole[name])
    assert np.array_equal(second.final_state, whole.final_state)


def test_relabelling_the_areas_permutes_the_result(small):
    """Noise follows the label; only the order of the long-range sums differs, hence the tolerance."""
    order = list(np.random.default_rng(0).permutation(AREAS))
    other = dataclasses.replace(small, connectome=small.connectome.select(order))
    names = list(small.circuit.recorded)
    one = cx.simulate(small, drive(small), duration=100)[names]
    two = cx.simulate(other, drive(small), duration=100)[names].sel(area=list(AREAS))
    xr.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-9)


def test_without_connections_no_area_influences_another(small):
    cut = dataclasses.replace(small, connectome=small.connectome.lesion(AREAS))
    quiet = states(cut, duration=100, noise=False)
    driven = states(cut, drive(cut), duration=100, noise=False)
    assert not np.array_equal(quiet[..., 0], driven[..., 0])
    assert np.array_equal(quiet[..., 1:], driven[..., 1:])


def test_error_of_euler_halves_with_the_step(small):
    """First order: differences between dt, dt/2 and dt/4 at one time shrink by 2; the curvature left allows 15 %."""
    steps = (0.05, 0.025, 0.0125)
    at = [states(small, drive(small), duration=40 + dt, dt=dt, every=40, noise=False)[0, 1] for dt in steps]
    ratio = np.linalg.norm(at[1] - at[0]) / np.linalg.norm(at[2] - at[1])
    assert 1.7 < ratio < 2.3


def test_rest_is_a_fixed_point(small):
    """After 20 s without noise or stimulus nothing moves any more."""
    late = states(small, duration=20_000, noise=False, every=100)[0]
    np.testing.assert_allclose(late[-1], late[-10], rtol=1e-9, atol=1e-12)


def diverge(model):
    """Drive the second trial beyond all numbers from 12 ms on, or throw its state there where no current can do it."""
    poke = sum(
        cx.Pulse(area=model.areas[0], input=v.name, onset=12, duration=5, amplitude=1e200) for v in model.circuit.inputs
    )
    cx.simulate(model, [None, poke], duration=100, trials=[1, 3])
    halfway = cx.simulate(model, duration=12, every=4, trials=[1, 3])
    for variable in range(halfway.sizes["state"]):  # the first that no equation damps
        thrown = halfway.copy(deep=True)
        thrown.final_state[1, variable, 0] = np.finfo(np.float64).max
        cx.simulate(model, duration=88, every=4, trials=[1, 3], state=thrown)


def test_divergence_is_reported_with_variable_area_and_time(small):
    message = r"became non-finite at t = 1\d(\.5)? ms \(trial 3\); halve dt = 0\.5 ms"
    with pytest.raises(cx.SimulationDiverged, match=message) as info:
        diverge(small)
    assert info.value.area == small.areas[0]
    assert info.value.variable in small.circuit.state_names()
    assert 12 < info.value.time < 20


def test_float32_follows_float64_under_the_same_noise(small):
    """Same noise in both precisions: 24 bits leave about 1e-5 of the largest rate over 200 ms."""
    double = states(small, drive(small), duration=200, seed=2)
    single = states(small, drive(small), duration=200, seed=2, dtype="float32")
    assert single.dtype == np.float32
    assert np.abs(single - double).max() < 1e-4 * np.abs(double).max()


def test_parameters_travel_into_the_provenance(small):
    result = cx.simulate(small, duration=1, every=1)
    parameters = json.loads(result.attrs["parameters"])
    assert set(parameters) == {f.name for f in dataclasses.fields(small.circuit)}
    assert type(small.circuit)(**parameters) == small.circuit


def test_a_parameter_may_differ_between_trials_and_between_areas(small):
    name = small.circuit.parameter_names()[0]
    value = getattr(small.circuit, name)
    kind = type(small.circuit)
    alone = [dataclasses.replace(small, circuit=kind(**{name: v})) for v in (value, 1.1 * value)]
    each = [states(model, drive(model), duration=20, every=1) for model in alone]
    assert not np.array_equal(*each)
    both = dataclasses.replace(small, circuit=kind(**{name: (value, 1.1 * value)}))
    together = states(both, drive(both), duration=20, every=1, trials=[0, 0])
    assert np.array_equal(together, np.concatenate(each))
    per_area = xr.DataArray(np.full(len(AREAS), value), {"area": list(AREAS)}, "area")
    mapped = dataclasses.replace(small, circuit=kind(**{name: per_area}))
    assert np.array_equal(states(mapped, drive(mapped), duration=20, every=1), each[0])


def test_bad_parameters_are_refused(small):
    kind = type(small.circuit)
    name = small.circuit.parameter_names()[0]
    with pytest.raises(ValueError, match=f"`{name}` must be finite"):
        kind(**{name: np.nan})
    with pytest.raises(TypeError, match=f"`{name}` must be a number, but is 'high'"):
        kind(**{name: "high"})
    with pytest.raises(ValueError, match="at least one value"):
        kind(**{name: ()})
    with pytest.raises(ValueError, match=r"2 values, one per trial, but `trials` asks for 3; take trials=2"):
        cx.simulate(dataclasses.replace(small, circuit=kind(**{name: (1.0, 2.0)})), duration=1, every=1, trials=3)
    with pytest.raises(ValueError, match="single dimension `area`"):
        kind(**{name: xr.DataArray([1.0], {"trial": [0]}, "trial")})
    some = xr.DataArray([1.0], {"area": ["V1"]}, "area")
    with pytest.raises(ValueError, match="'MT' has none"):
        cx.simulate(dataclasses.replace(small, circuit=kind(**{name: some})), duration=1, every=1)
