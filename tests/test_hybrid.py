"""Networks inside the cortex: transplants change nothing, and runs are like those of any model."""

import dataclasses
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import cortexsim as cx
from cortexsim import rnn, tasks
from cortexsim.stimulus import Change, Course, Lesion, optogenetics

AREAS = ("V1", "V2", "V4", "MT", "7A", "8l", "46d", "9/46d")
V1 = cx.Pulse(area="V1", input="E", onset=20, duration=60, amplitude=400)
RUN = {"duration": 200.0, "every": 5.0, "progress": False}


def chaudhuri(areas=None, **parameters):
    connectome = cx.load_connectome("macaque29")
    if areas is not None:
        connectome = connectome.select(areas)
    return cx.Model(connectome, cx.circuits.Chaudhuri2015(**parameters), cx.gradients.macaque29())


@pytest.fixture(scope="module")
def cortex():
    """Of 29 areas, as published: no noise."""
    return chaudhuri()


@pytest.fixture(scope="module")
def noisy():
    """Of 8 areas, with noise in each area and each unit, two time steps, and direct inputs."""
    model = chaudhuri(AREAS, sigma_E=20.0)
    return cx.embed(model, {"46d": embedding(inputs=2), "7A": embedding(units=9, form="current", seed=4)}, step=0.5)


def embedding(inputs=0, units=14, form="rate", seed=3, dt=2.0, noise=0.3, **options):
    """A network whose rates are near those of an area, with noise."""
    network = rnn.Network(
        inputs=inputs,
        outputs=0,
        units=units,
        form=form,
        activation="softplus",
        tau=20.0,
        dt=dt,
        noise=noise,
        tau_noise=20.0,
        inhibitory=(units - 3, units),
    )
    weights = rnn.initialise(network, seed=seed, scheme="normal", dtype="float64")
    arguments = {"gain": 0.01, "rate": 10.0, "initial": np.linspace(0.5, 1.5, units)}
    return cx.Embedding(network=network, parameters=weights, **(arguments | options))


def same(a, b):
    """Whether two results hold the same bits."""
    names = ("r_E", "r_I", "r_unit", "final_state", "final_units")
    return all(np.array_equal(a[name].values, b[name].values, equal_nan=True) for name in names if name in a)


def relative(a, b):
    """Largest difference of the areas' rates over the largest rate; 1e-12 leaves room for rounding alone."""
    return max(float(abs(a[name] - b[name]).max() / abs(b[name]).max()) for name in ("r_E", "r_I"))


# ---- Transplants


@pytest.mark.parametrize(
    "areas", [("46d",), ("46d", "9/46d", "V2"), None], ids=["one area", "areas that project to each other", "all areas"]
)
def test_a_transplant_changes_nothing(cortex, areas):
    areas = cortex.areas if areas is None else areas
    hybrid = cx.embed(cortex, {a: cx.transplant(cortex, a, units=20 + k, inhibitory=5) for k, a in enumerate(areas)})
    own = [cx.Pulse(area=areas[0], input=name, onset=50, duration=50, amplitude=200) for name in ("E", "I")]
    for stimulus in (V1, V1 + own[0], V1 + own[1], None):
        assert relative(cx.simulate(hybrid, stimulus, **RUN), cx.simulate(cortex, stimulus, **RUN)) < 1e-12


@pytest.mark.slow  # another circuit: compiling takes far longer than the run
@pytest.mark.parametrize("regime", ["weak", "strong"])
def test_a_transplant_changes_nothing_in_joglekars_cortex(regime):
    circuit = cx.circuits.Joglekar2018(regime, clamp=False)
    model = cx.Model(cx.load_connectome("macaque29"), circuit, cx.gradients.macaque29())
    hybrid = cx.embed(model, {area: cx.transplant(model, area, dt=0.2) for area in ("V2", "46d")}, step=0.2)
    run = RUN | {"dt": 0.2}
    assert relative(cx.simulate(hybrid, V1, **run), cx.simulate(model, V1, **run)) < 1e-12


def test_weights_that_differ_about_the_same_mean_of_each_row_leave_the_areas_rate_as_it_is(cortex):
    whole = cx.transplant(cortex, "46d", units=50, inhibitory=10)
    random, weights = np.random.default_rng(0), whole.parameters.W_rec.copy()
    for columns in (slice(0, 40), slice(40, 50)):
        factor = 1 + 0.1 * random.uniform(-1, 1, (50, columns.stop - columns.start))
        weights[0, :, columns] *= factor / factor.mean(axis=1, keepdims=True)
    mixed = dataclasses.replace(whole, parameters=whole.parameters._replace(W_rec=weights))
    a, b = (cx.simulate(cx.embed(cortex, {"46d": e}), V1, **RUN) for e in (mixed, whole))
    assert relative(a, b) < 1e-12
    assert not np.array_equal(weights, whole.parameters.W_rec)


def test_a_column_for_each_source_is_the_same_as_one_for_each_stream_where_all_columns_are_alike(cortex):
    by_stream = cx.transplant(cortex, "46d", units=20, inhibitory=5)
    received = cx.embed(cortex, {"46d": dataclasses.replace(by_stream, into=None, projections="sources")}).channels(
        "46d"
    )
    afar = by_stream.into[:, :1]
    into = np.hstack([np.repeat(afar, len(received) - 2, axis=1), by_stream.into[:, -2:]])
    by_source = dataclasses.replace(by_stream, projections="sources", into=into)
    a, b = (cx.simulate(cx.embed(cortex, {"46d": e}), V1, **RUN) for e in (by_source, by_stream))
    assert len(received) == 2 + (cortex.connectome.fln.sel(target="46d") > 0).sum()
    assert relative(a, b) < 1e-12


def test_the_area_tells_the_mean_of_its_excitatory_units(noisy):
    result = cx.simulate(noisy, V1, trials=2, **RUN)
    for area, rate in (("46d", 10.0), ("7A", 10.0)):
        units = result.r_unit.isel(unit=np.flatnonzero((result.unit_area == area) & (result.unit_kind == "E")))
        assert np.allclose(result.r_E.sel(area=area), rate * units.mean("unit"), rtol=1e-12)


def test_feedforward_and_feedback_add_up_to_the_areas_whole_input(cortex):
    hybrid = cx.embed(cortex, {"46d": rnn.Network(inputs=0, outputs=0, units=4)})
    forward, back, *inputs = hybrid.channels("46d")
    fln, sln = (getattr(cortex.connectome, name).sel(target="46d").to_numpy() for name in ("fln", "sln"))
    assert [c.name for c in (forward, back, *inputs)] == ["E feedforward", "E feedback", "E", "I"]
    assert np.allclose(forward.weights + back.weights, fln, rtol=1e-15)
    assert np.allclose(forward.weights, np.where(fln > 0, fln * np.nan_to_num(sln), 0), rtol=1e-15)


def test_a_circuit_that_tells_layers_apart_keeps_its_own_pathways():
    model = cx.Model(cx.load_connectome("macaque30"), cx.circuits.MejiasWang2022(), cx.gradients.macaque30())
    hybrid = cx.embed(model, {"46d": rnn.Network(inputs=0, outputs=0, units=4)})
    assert [c.name for c in hybrid.channels("46d")[:4]] == ["A", "B", "I_A", "I_B"]


# ---- Runs


def test_a_run_that_goes_on_is_one_long_run(noisy):
    stimulus = V1 + cx.Pulse(area="46d", input="u0", onset=31, duration=50, amplitude=1)
    whole = cx.simulate(noisy, stimulus, trials=3, seed=5, **RUN)
    first = cx.simulate(noisy, stimulus, trials=3, seed=5, **(RUN | {"duration": 90.0}))
    then = cx.simulate(noisy, stimulus, trials=3, seed=5, state=first, **(RUN | {"duration": 110.0}))
    for name in ("r_E", "r_I", "r_unit"):
        assert np.array_equal(np.concatenate([first[name], then[name]], axis=1), whole[name])
    assert np.array_equal(then.final_units, whole.final_units)


def test_a_run_goes_on_from_one_of_the_same_units_alone(noisy, cortex):
    other = cx.embed(noisy.without(), {"46d": noisy.embedded["46d"]})
    for model in (other, noisy.without()):
        with pytest.raises(ValueError, match="continues one of a hybrid with the same units"):
            cx.simulate(noisy, state=cx.simulate(model, **RUN), **RUN)


def test_chunks_leave_no_trace(noisy, monkeypatch):
    # The direct input sets in and ends within steps of the networks, of 2 ms
    stimulus = V1 + cx.Pulse(area="46d", input="u0", onset=30.5, duration=20, amplitude=1)
    whole = cx.simulate(noisy, stimulus, trials=3, **RUN)
    for steps in (1, 3, 7, 61):
        monkeypatch.setattr(sys.modules["cortexsim.simulate"], "_CHUNK_STEPS", steps)
        assert same(cx.simulate(noisy, stimulus, trials=3, **RUN), whole)


def test_a_trial_has_the_same_bits_whatever_runs_beside_it(noisy):
    alone = cx.simulate(noisy, V1, trials=[7], **RUN)
    for trials in ([7, 0, 3], [3, 0, 7], range(9), range(20)):
        beside = cx.simulate(noisy, V1, trials=list(trials), **RUN)
        assert same(beside.isel(trial=[list(trials).index(7)]), alone)
    assert same(
        cx.simulate(noisy, V1, trials=20, threads=1, **RUN), cx.simulate(noisy, V1, trials=20, threads=3, **RUN)
    )


def test_trials_and_networks_have_noise_of_their_own(noisy):
    r = cx.simulate(noisy, trials=2, **RUN).r_unit.isel(time=slice(1, None))
    assert not (r[0] == r[1]).any()
    twins = cx.embed(noisy.without(), dict.fromkeys(("46d", "8l"), embedding()))
    r = cx.simulate(twins, **RUN).r_unit.isel(trial=0, time=1)
    assert not (r[r.unit_area == "46d"].to_numpy() == r[r.unit_area == "8l"].to_numpy()).any()


def test_without_noise_trials_are_alike(noisy):
    result = cx.simulate(noisy, V1, trials=[0, 5], noise=False, **RUN)
    for name in ("r_E", "r_unit"):
        assert np.array_equal(result[name][0], result[name][1])


def test_given_noise_is_the_cortexs_own(noisy, monkeypatch):
    steps = 400
    normals = np.random.default_rng(0).standard_normal((2, steps, len(noisy.areas), 1))
    whole = cx.simulate(noisy, V1, trials=2, noise=normals, **RUN)
    assert not np.array_equal(whole.r_E[0], whole.r_E[1])
    assert same(cx.simulate(noisy, V1, trials=[0], noise=normals[0], **RUN), whole.isel(trial=[0]))
    # Units have their own noise besides
    other = cx.simulate(noisy, V1, trials=[1], noise=normals[0], **RUN)
    assert not np.array_equal(other.r_unit, whole.r_unit[:1])
    monkeypatch.setattr(sys.modules["cortexsim.simulate"], "_CHUNK_STEPS", 61)
    assert same(cx.simulate(noisy, V1, trials=2, noise=normals, **RUN), whole)


def test_each_trial_has_its_own_stimulus_and_perturbation(noisy):
    stimuli = [V1, None, V1 + Lesion(areas=("46d",)), V1 + Change(parameter="w_EE", factor=0.9, onset=50)]
    stimuli.append(cx.Pulse(area="46d", input="u1", onset=10, duration=100, amplitude=2))
    together = cx.simulate(noisy, stimuli, trials=5, **RUN)
    for k, stimulus in enumerate(stimuli):
        assert same(together.isel(trial=[k]), cx.simulate(noisy, stimulus, trials=[k], **RUN))


def test_a_lesion_blanks_an_embedded_area_and_cuts_it_off(noisy):
    kicked = V1 + cx.Pulse(area="46d", input="E", onset=60, duration=100, amplitude=1000)
    lesion = Lesion(areas=("46d",), onset=50)
    a, b = cx.simulate(noisy, V1 + lesion, **RUN), cx.simulate(noisy, kicked + lesion, **RUN)
    after = a.time >= 50
    assert np.isnan(a.r_E.sel(area="46d")[:, after]).all()
    assert np.isnan(a.r_unit[:, after][:, :, a.unit_area == "46d"]).all()
    assert not np.isnan(a.r_E[:, ~after]).any()
    assert not np.isnan(a.r_unit[:, ~after]).any()
    # What the units of a lesioned area do reaches nobody
    rest = [area for area in noisy.areas if area != "46d"]
    assert np.array_equal(a.r_E.sel(area=rest), b.r_E.sel(area=rest))
    assert not np.array_equal(cx.simulate(noisy, kicked, **RUN).r_E.sel(area=rest), a.r_E.sel(area=rest))


def test_a_lesion_of_all_that_projects_to_a_network_takes_its_input_away(noisy):
    connections = tuple(
        ("46d", source) for source in noisy.areas if noisy.connectome.fln.sel(target="46d", source=source) > 0
    )
    a, b = (cx.simulate(noisy, s + Lesion(connections=connections), **RUN) for s in (V1, V1 + V1))
    own = a.unit_area == "46d"
    assert np.array_equal(a.r_unit[:, :, own], b.r_unit[:, :, own])
    deaf = dataclasses.replace(noisy.embedded["46d"], gain=0.0)
    silent = cx.simulate(cx.embed(noisy.without(), {"46d": deaf, "7A": noisy.embedded["7A"]}), V1, **RUN)
    assert np.allclose(silent.r_unit[:, :, own], a.r_unit[:, :, own], rtol=1e-12)
    assert not np.allclose(cx.simulate(noisy, V1, **RUN).r_unit[:, :, own], a.r_unit[:, :, own], rtol=1e-3)


def test_a_changed_parameter_acts_on_the_areas_that_follow_the_circuit(noisy):
    changed = cx.simulate(noisy, V1 + Change(parameter="mu_EE", value=30.0), **RUN)
    other = dataclasses.replace(noisy, circuit=cx.circuits.Chaudhuri2015(sigma_E=20.0, mu_EE=30.0))
    assert same(changed, cx.simulate(other, V1, **RUN))
    assert not same(changed, cx.simulate(noisy, V1, **RUN))
    course = Course(parameter="mu_EE", times=(0.0, 100.0), values=(30.0, 30.0))
    assert same(cx.simulate(noisy, V1 + course, **RUN), changed)


def test_light_on_an_embedded_area_reaches_its_units(noisy):
    light = optogenetics(["46d"], "E", 500.0, onset=50, duration=50)
    a, b = cx.simulate(noisy, light, **RUN), cx.simulate(noisy, **RUN)
    more = (a.r_unit - b.r_unit).isel(trial=0, unit=np.flatnonzero(a.unit_area == "46d"))
    assert (more.sel(time=slice(0, 50)) == 0).all()
    assert (more.sel(time=55) > 0).all()  # within two steps of the network, before recurrence turns any of it


def test_direct_inputs_reach_the_units_by_their_weights(noisy):
    pulses = [cx.Pulse(area="46d", input=f"u{k}", onset=50, duration=2, amplitude=1) for k in range(2)]
    still = cx.simulate(noisy, **(RUN | {"every": 0.5}))
    W_in = noisy.stack.of("W_in 46d")[0]
    own = still.unit_area == "46d"
    for k, pulse in enumerate(pulses):
        moved = cx.simulate(noisy, pulse, **(RUN | {"every": 0.5})) - still
        at = moved.r_unit.isel(trial=0).sel(time=52.0)[own].to_numpy()
        assert (moved.r_unit.sel(time=slice(0, 51.5)) == 0).all()
        assert np.array_equal(np.sign(at), np.sign(W_in[:, k]))
    with pytest.raises(ValueError, match="Unknown input 'u0' in Pulse"):
        cx.simulate(noisy, cx.Pulse(area="7A", input="u0", onset=0, duration=1, amplitude=1), **RUN)


def test_two_time_steps_come_near_the_same_as_they_shrink(cortex):
    def rates(dt, step):
        network = embedding(dt=dt, noise=0.0)
        return cx.simulate(cx.embed(cortex, {"46d": network}, step=step), V1, dt=step, **RUN).r_E

    fine = rates(0.1, 0.1)
    errors = [float(abs(rates(dt, step) - fine).max()) for dt, step in ((5.0, 0.5), (2.5, 0.25), (1.0, 0.1))]
    # Euler's method is of the first order: halving both steps halves the error, but for its higher orders
    assert errors[1] < 0.65 * errors[0]
    assert errors[2] < 0.55 * errors[1]


def test_record_and_every_are_those_of_any_run(noisy):
    fine = cx.simulate(noisy, V1, record=["r_I"], every=2.5, duration=50, progress=False)
    coarse = cx.simulate(noisy, V1, every=10, duration=50, progress=False)
    assert "r_E" not in fine
    assert np.array_equal(fine.r_I[:, ::4], coarse.r_I)
    assert np.array_equal(fine.r_unit[:, ::4], coarse.r_unit)
    assert fine.r_unit.sizes == {"trial": 1, "time": 20, "unit": 23}


@pytest.mark.slow  # another precision: compiling takes far longer than the test
def test_single_precision_sees_the_same_noise(noisy):
    single = cx.simulate(noisy, V1, dtype="float32", **RUN)
    double = cx.simulate(noisy, V1, **RUN)
    assert single.r_unit.dtype == single.r_E.dtype == np.float32
    # Rounding of 1e-7 a step adds up over 400 of them
    assert np.allclose(single.r_unit, double.r_unit, rtol=1e-4, atol=1e-4)
    assert np.allclose(single.r_E, double.r_E, rtol=1e-4, atol=1e-3)


def test_a_result_names_its_units_and_its_networks(noisy, tmp_path):
    result = cx.simulate(noisy, V1, trials=2, **RUN)
    assert result.unit_area.to_numpy().tolist() == ["46d"] * 14 + ["7A"] * 9
    assert (result.unit_kind == "I").sum() == 6
    assert json.loads(result.attrs["embedded"])["46d"]["network"]["units"] == 14
    cx.save(result, tmp_path / "hybrid.nc")
    assert cx.load(tmp_path / "hybrid.nc").identical(result)


def test_other_weights_have_another_digest(noisy):
    stack = noisy.stack._make([values * 1.01 for values in noisy.stack])
    other = noisy.with_stack(stack)
    digests = {cx.simulate(h, **(RUN | {"duration": 10})).attrs["weights_digest"] for h in (noisy, other)}
    assert len(digests) == 2
    assert other != noisy
    assert noisy.with_stack(noisy.stack) == noisy
    assert noisy != noisy.without()


def test_a_paired_run_takes_a_hybrid(noisy):
    result = cx.paired(noisy, V1, {"lesion": Lesion(areas=("7A",))}, trials=2, **RUN)
    assert result.condition.to_numpy().tolist() == ["control"] * 2 + ["lesion"] * 2
    assert same(result.isel(trial=[3]), cx.simulate(noisy, V1 + Lesion(areas=("7A",)), trials=[1], **RUN))


def test_a_sweep_over_a_hybrid_is_its_runs(noisy):
    cue = dataclasses.replace(V1, name="cue")
    options = {name: value for name, value in RUN.items() if name != "progress"}
    units = cx.Simulation(noisy, lambda r: r[["r_unit", "r_E"]].isel(time=-1), cue, trials=2, **options)
    grid = cx.sweep(units, {"cue.amplitude": [0.0, 400.0], "mu_EE": [30.0, 33.7]}, progress=False)
    one = cx.simulate(noisy, cue, trials=2, **RUN).isel(time=-1)
    for name in ("r_unit", "r_E"):
        assert np.array_equal(grid[name].sel({"cue.amplitude": 400.0, "mu_EE": 33.7}), one[name])


def test_networks_trained_elsewhere_can_be_embedded(cortex, tmp_path):
    network = rnn.Network(inputs=2, outputs=1, units=10, dt=2.0, tau=20.0, tau_noise=20.0, inhibitory=(8, 10))
    rnn.save_networks(tmp_path / "networks.npz", network, network.settled(rnn.initialise(network, 3)))
    network, stack = rnn.load_networks(tmp_path / "networks.npz")[:2]
    hybrid = cx.embed(cortex, {"46d": cx.Embedding(network=network, parameters=stack, gain=0.01)})
    with pytest.raises(ValueError, match="A run takes one network in each area, but the stack has 3"):
        cx.simulate(hybrid, V1, **RUN)
    chosen = hybrid.with_stack(hybrid.stack, network=2)
    alone = cx.embed(cortex, {"46d": cx.Embedding(network=network, parameters=stack.select([2]), gain=0.01)})
    assert np.array_equal(cx.simulate(chosen, V1, **RUN).r_unit, cx.simulate(alone, V1, **RUN).r_unit)


# ---- What is refused


def test_what_no_hybrid_can_be_is_refused(cortex):
    network = rnn.Network(inputs=0, outputs=0, units=4, dt=2.0, tau_noise=20.0, tau=20.0)
    with pytest.raises(ValueError, match="Unknown area '46e' in `networks`; did you mean '46d'"):
        cx.embed(cortex, {"46e": network})
    with pytest.raises(ValueError, match="must be a whole multiple of|whole"):
        cx.embed(cortex, {"46d": network}, step=0.3)
    with pytest.raises(ValueError, match="same time step"):
        cx.embed(cortex, {"46d": network, "V2": dataclasses.replace(network, dt=1.0)})
    with pytest.raises(ValueError, match="no conduction delays"):
        cx.embed(dataclasses.replace(cortex, conduction_speed=3.0), {"46d": network})
    with pytest.raises(TypeError, match="Model without networks"):
        cx.embed(cx.embed(cortex, {"46d": network}), {"V2": network})
    with pytest.raises(ValueError, match="at least one area"):
        cx.embed(cortex, {})
    with pytest.raises(ValueError, match="excitatory units"):
        cx.Embedding(network=dataclasses.replace(network, inhibitory=(0, 4)))
    with pytest.raises(ValueError, match=r"shape \(4, 4\).*E feedforward, E feedback, E, I"):
        cx.embed(cortex, {"46d": cx.Embedding(network=network, into=np.ones((4, 2)))})
    with pytest.raises(ValueError, match="not negative"):
        cx.embed(cortex, {"46d": cx.Embedding(network=network, into=-np.ones((4, 4)))})


def test_arguments_of_another_kind_are_refused(cortex, noisy):
    network = rnn.Network(inputs=0, outputs=0, units=4)
    for networks in (network, ["46d"]):
        with pytest.raises(TypeError, match="`networks` must be networks by area"):
            cx.embed(cortex, networks)
    with pytest.raises(TypeError, match=r"must be a cortexsim\.rnn\.Network, but is 'relu'"):
        cx.embed(cortex, {"46d": "relu"})
    drive = cx.Drive("cue_A", "V1", "E", 1.0)
    for drives in (drive, [("cue_A", "V1", "E", 1.0)]):
        with pytest.raises(TypeError, match="must be a sequence of Drives"):
            cx.embed(cortex, {"46d": network}, drives=drives)
    for given in ("delayed_response", tasks.DelayedResponse):
        with pytest.raises(TypeError, match="`task` must be a Task"):
            cx.embed(cortex, {"46d": network}, task=given)
    with pytest.raises(ValueError, match="but '46d' stands twice"):
        cx.embed(cortex, {"46d": network}, task=tasks.DelayedResponse(), readout=("46d", "46d"))
    with pytest.raises(TypeError, match=r"must be a rnn\.Parameters"):
        cx.Embedding(network=network, parameters=noisy.stack)
    nothing = rnn.initialise(network)._replace(bias=np.full((1, 4), np.nan))
    with pytest.raises(ValueError, match="finite, but bias is not"):
        cx.Embedding(network=network, parameters=nothing)
    with pytest.raises(ValueError, match="from 0 to 0, but is 1"):
        noisy.with_stack(noisy.stack, network=1)
    with pytest.raises(ValueError, match="Unknown array 'W_rec' in the parameters of a hybrid.*Known: W_rec 46d"):
        noisy.stack.of("W_rec")
    with pytest.raises(ValueError, match="Unknown area 'V1' in the networks of this hybrid. Known: 46d, 7A"):
        noisy.channels("V1")


def test_columns_for_sources_do_not_move_when_a_connection_goes(cortex):
    network = rnn.Network(inputs=0, outputs=0, units=4, dt=2.0, noise=0.0)
    hybrid = cx.embed(cortex, {"46d": cx.Embedding(network=network, projections="sources", gain=0.01)})
    source = hybrid.channels("46d")[0].name.removeprefix("E from ")
    with pytest.raises(ValueError, match="a column for each of its"):
        dataclasses.replace(hybrid, connectome=cortex.connectome.lesion(connections=[("46d", source)]))
    # The way out that it tells of
    cx.simulate(hybrid, Lesion(connections=(("46d", source),)), **RUN)


def test_a_circuit_that_cannot_be_told_rates_is_refused():
    single = cx.Model(cx.load_connectome("macaque29"), cx.circuits.ReducedWongWang())
    with pytest.raises(ValueError, match="ReducedWongWang does not say what other areas see"):
        cx.embed(single, {"46d": rnn.Network(inputs=0, outputs=0, units=4)})


def test_a_list_of_connections_is_refused(cortex):
    listed = cx.Connectome.from_connections(["V1", "46d"], ["46d", "V1"], ["V1", "46d"], fln=[0.5, 0.1], sln=[0.9, 0.1])
    with pytest.raises(ValueError, match="list of connections"):
        cx.embed(dataclasses.replace(cortex, connectome=listed), {"46d": rnn.Network(inputs=0, outputs=0, units=4)})


def test_transplants_are_for_threshold_linear_circuits_without_noise(cortex):
    with pytest.raises(ValueError, match="Chaudhuri2015 is, and Joglekar2018"):
        cx.transplant(cx.Model(cx.load_connectome("macaque29"), cx.circuits.WongWang2006()), "46d")
    with pytest.raises(ValueError, match="noise of its own"):
        cx.transplant(chaudhuri(sigma_E=1.0), "46d")
    with pytest.raises(ValueError, match="differ|same in all trials"):
        cx.transplant(chaudhuri(w_EE=[24.0, 24.3]), "46d")
    with pytest.raises(ValueError, match="less than 20 units"):
        cx.transplant(cortex, "46d", units=20, inhibitory=20)
    with pytest.raises(ValueError, match="Unknown area '46e' in `transplant`"):
        cx.transplant(cortex, "46e")


def test_runs_go_by_whole_steps_of_the_networks(noisy):
    with pytest.raises(ValueError, match="duration"):
        cx.simulate(noisy, **(RUN | {"duration": 201.0}))
    with pytest.raises(ValueError, match=r"network.dt"):
        cx.simulate(noisy, dt=0.8, **(RUN | {"every": 8.0}))


@pytest.mark.slow
def test_the_python_of_the_page_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[1] / "docs" / "hybrids.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    exec(compile("\n".join(blocks), "hybrids.md", "exec"), {})
    said = capsys.readouterr().out.splitlines()
    assert float(said[0].split()[0]) < 1e-12
    before, after = (float(number) for number in re.findall(r"[\d.]+", said[1]))
    assert before < 0.7
    assert after > 0.95
    assert "True" in said


def test_weights_are_saved_and_loaded_without_loss(noisy, tmp_path):
    noisy.stack.save(tmp_path / "weights.npz")
    again = noisy.with_stack(cx.hybrid.HybridParameters.load(tmp_path / "weights.npz"))
    assert again == noisy
    network = noisy.embedded["46d"]
    rnn.save_networks(tmp_path / "network.npz", network.network, network.weights)
    with pytest.raises(ValueError, match="must be one that HybridParameters.save wrote"):
        cx.hybrid.HybridParameters.load(tmp_path / "network.npz")


def test_a_model_without_networks_is_no_learner(cortex, noisy):
    with pytest.raises(TypeError, match="embed networks in a model"):
        rnn.train(cortex, tasks.DelayedResponse(), noisy.stack)
