"""Lesions, changed parameters and light, as parts of a stimulus."""

import dataclasses

import numpy as np
import pytest
import xarray as xr
from systems import Linear

import cortexsim as cx
from cortexsim.stimulus import read_json

CUE = cx.Pulse(area="V1", input="E", onset=20, duration=50, amplitude=300)
RUN = {"duration": 200, "dt": 0.5, "every": 5, "noise": False}


@pytest.fixture(scope="module")
def model():
    return cx.Model(cx.load_connectome("macaque29"), cx.circuits.Chaudhuri2015(), cx.gradients.macaque29())


@pytest.fixture(scope="module")
def cortex():
    return cx.Model(cx.load_connectome("macaque40"), cx.circuits.FroudistWalsh2021(), cx.gradients.macaque40())


def same(a, b):
    return np.array_equal(a.to_numpy(), b.to_numpy(), equal_nan=True)


@pytest.mark.parametrize("name", cx.circuits.ALL)
def test_every_parameter_scaled_by_one_in_some_areas_leaves_the_equation_as_it_was(name):
    # Which shows that `modulate` of each circuit takes parameters that differ between trials and areas.
    from cortexsim import perturbed

    maps = cx.gradients.macaque40()
    model = cx.Model(cx.load_connectome("macaque40"), cx.circuits.ALL[name](), maps)
    before = model.parameters(2)
    for parameter in model.circuit.parameter_names():
        parts = [cx.Change(parameter=parameter, factor=1.0, areas=["V1", "LIP"]), None]
        after = model.parameters(2, perturbed.changed(model, parts, 2, 0.0))
        for kind in before:
            for key, values in kind.items():
                there = after[1][key] if key in after[1] else after[0][key][:, np.newaxis]
                assert (there == (values if values.ndim == 2 else values[:, np.newaxis])).all(), (parameter, key)


def test_a_change_from_the_start_equals_the_circuit_with_that_value(cortex):
    cue = cx.Pulse(area="V1", input="E1_dendrite", onset=20, duration=50, amplitude=100)
    other = dataclasses.replace(cortex, circuit=dataclasses.replace(cortex.circuit, dopamine=0.7))
    changed = cx.simulate(cortex, cue + cx.Change(parameter="dopamine", value=0.7), duration=100, seed=1)
    assert same(changed.r_E1, cx.simulate(other, cue, duration=100, seed=1).r_E1)


def test_a_lesion_from_the_start_equals_the_connectome_without_the_connections():
    # The weights are FLN as it is, so cutting before or after they are made is the same.
    connectome = cx.load_connectome("macaque29")
    model = cx.Model(connectome, Linear())
    cue = cx.Pulse(area="V1", input="I", onset=20, duration=50, amplitude=10)
    cut = cx.simulate(model, cue + cx.Lesion(areas=["MT"], connections=[("V4", "V2")]), **RUN)
    without = cx.Model(connectome.lesion(["MT"], connections=[("V4", "V2")]), Linear())
    other = cx.simulate(without, cue, **RUN)
    rest = [a for a in model.areas if a != "MT"]
    assert same(cut.r.sel(area=rest), other.r.sel(area=rest))
    assert same(cut.final_state, other.final_state)  # of the lesioned area too: its own circuit goes on alone


def test_a_lesioned_area_is_nan_while_the_lesion_lasts_and_only_then(model):
    result = cx.simulate(model, CUE + cx.Lesion(areas=["V2"], onset=50, duration=100), **RUN)
    lost = result.r_E.isnull()
    assert set(lost.area.to_numpy()[lost.any(("trial", "time")).to_numpy()]) == {"V2"}
    assert result.time.to_numpy()[lost.sel(area="V2").squeeze("trial").to_numpy()].tolist() == list(range(50, 150, 5))


def test_before_its_onset_a_perturbation_changes_nothing_and_afterwards_it_does(model):
    plain = cx.simulate(model, CUE, **RUN)
    for part in (
        cx.Lesion(areas=["V2"], onset=60.25),
        cx.Change(parameter="eta", factor=0.5, onset=60.25),
        cx.Course(parameter="eta", times=(60.25, 90), values=(0.68, 0.2)),
    ):
        result = cx.simulate(model, CUE + part, **RUN)
        # At t = 60.25 ms the first step that feels it is the one from 60.5 to 61 ms.
        assert same(result.r_E.sel(time=slice(0, 60)), plain.r_E.sel(time=slice(0, 60)))
        assert not np.allclose(result.r_E.sel(time=100, area="V4"), plain.r_E.sel(time=100, area="V4"), rtol=1e-3)


def test_a_change_ends_with_its_window(model):
    change = cx.Change(parameter="tau_E", factor=2, onset=50, duration=50)
    whole = cx.simulate(model, CUE + change, **RUN)
    half = cx.simulate(model, CUE + change, **{**RUN, "duration": 100})
    rest = cx.simulate(model, CUE, state=half, **{**RUN, "duration": 100})
    assert same(whole.r_E.sel(time=slice(100, None)), rest.r_E)


def test_changes_act_in_their_order_and_only_in_their_areas(model):
    from cortexsim import perturbed

    parts = cx.Change(parameter="tau_E", value=10, areas=["V2"]) + cx.Change(parameter="tau_E", factor=3, areas=["V2"])
    tau = perturbed.changed(model, [parts], 1, 0.0)["tau_E"]
    own = model.circuit.tau_E
    assert dict(zip(model.areas, tau[0], strict=True)) == {a: 30.0 if a == "V2" else own for a in model.areas}


def test_a_course_is_linear_between_its_times_and_then_stays(model):
    from cortexsim import perturbed

    course = cx.Course(parameter="eta", times=(100, 200), values=(1.0, 2.0))
    at = {t: float(perturbed.changed(model, [course], 1, t)["eta"][0, 0]) for t in (0.0, 100.0, 150.0, 1000.0)}
    assert at == {0.0: model.circuit.eta, 100.0: 1.0, 150.0: 1.5, 1000.0: 2.0}


def variants():
    lesion = cx.Lesion(areas=["V2"], onset=43, duration=80)
    return [
        CUE,
        CUE + lesion,
        CUE + cx.Change(parameter="eta", value=0.3, onset=61),
        None,
        cx.Lesion(connections=[("V1", "V2"), ("V2", "V1")]) + CUE,
        CUE + lesion + cx.Change(parameter="w_EE", factor=0.9, onset=33, areas=["V4", "MT"]),
        CUE + cx.Course(parameter="eta", times=(20, 60, 90), values=(0.68, 0.2, 0.6)),
    ]


@pytest.mark.parametrize("kind", ["table", "listed", "delayed"])
def test_a_trial_is_the_same_whatever_perturbs_those_beside_it_and_wherever_it_is_cut_in_two(kind, model):
    if kind == "delayed":
        model = dataclasses.replace(model, conduction_speed=3.0)
    if kind == "listed":
        fln = model.connectome.fln.where(model.connectome.fln > 0.02, 0.0)
        model = cx.Model(dataclasses.replace(model.connectome, fln=fln), model.circuit, cx.gradients.macaque29())
    stimuli = variants()
    n = len(stimuli)
    together = cx.simulate(model, stimuli, trials=n, **RUN)
    for k in range(n):
        assert same(cx.simulate(model, stimuli[k], trials=[k], **RUN).r_E[0], together.r_E[k]), k
    first = cx.simulate(model, stimuli, trials=n, **{**RUN, "duration": 75})
    second = cx.simulate(model, stimuli, trials=n, state=first, **{**RUN, "duration": 125})
    assert same(xr.concat([first.r_E, second.r_E], "time"), together.r_E)
    assert same(second.final_state, together.final_state)


def test_light_is_one_pulse_per_area():
    light = cx.optogenetics(["8m", "8l"], "SST2", -100, onset=2000, duration=400)
    assert [(p.area, p.input, p.amplitude, p.window) for p in light.drives] == [
        (area, "SST2", -100, (2000, 2400)) for area in ("8m", "8l")
    ]


def test_a_blockade_takes_away_the_share_it_says(cortex):
    half = cx.blockade("NMDA", 0.5, areas=["LIP"])
    assert (half.parameter, half.factor, half.areas) == ("NMDA_availability", 0.5, ("LIP",))
    # With all D1 receptors blocked dopamine does nothing: as if there were none to bind.
    blocked = cx.simulate(cortex, cx.blockade("D1", 1.0), duration=50, noise=False)
    frozen = dataclasses.replace(cortex.circuit, without_dopamine=("NMDA", "PV", "SST", "M"))
    assert same(
        blocked.r_E1,
        cx.simulate(dataclasses.replace(cortex, circuit=frozen), duration=50, noise=False).r_E1,
    )


def test_a_result_tells_of_its_perturbations(model, tmp_path):
    stimulus = variants()[5] + variants()[6]
    result = cx.simulate(model, stimulus, **RUN)
    cx.save(result, tmp_path / "r.nc")
    assert read_json(cx.load(tmp_path / "r.nc").attrs["stimulus"]) == (stimulus.parts,)


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (lambda: cx.Lesion(areas=["A1"]), "Unknown area 'A1' in Lesion; did you mean"),
        (lambda: cx.Lesion(connections=[("V1", "V1")]), "no connection V1 <- V1"),
        (lambda: cx.Change(parameter="etaa", value=1), "Unknown parameter 'etaa' in Change; did you mean 'eta'"),
        (lambda: cx.Change(parameter="eta", value=1, areas=["LIP"]), "Unknown area 'LIP' in Change"),
        (lambda: cx.Lesion(), "must name `areas` or `connections`"),
        (lambda: cx.Lesion(areas="V1"), r"must be a sequence of labels, but is 'V1'; write \['V1'\]"),
        (lambda: cx.Change(parameter="eta"), "must give `value` or `factor`"),
        (lambda: cx.Change(parameter="eta", value=1, duration=-5), "must be positive"),
        (lambda: cx.Course(parameter="eta", times=(0, 0), values=(1, 2)), "must rise"),
        (lambda: cx.Course(parameter="eta", times=(0, 1), values=(1,)), "as many `values` as `times`"),
        (lambda: cx.blockade("D1", 1.5), "at most 1"),
        (lambda: cx.optogenetics([], "E", 1, onset=0, duration=1), "at least one area"),
    ],
)
def test_a_perturbation_that_cannot_be_says_why(part, says, model):
    with pytest.raises((ValueError, TypeError), match=says):
        cx.simulate(model, CUE + part(), **RUN)


def test_a_parameter_of_the_weights_cannot_change_within_a_run(cortex):
    cx.simulate(cortex, cx.Change(parameter="dopamine", value=-1.0, onset=5), duration=10)
    with pytest.raises(ValueError, match="`FLN_exponent` can't change within a run"):
        cx.simulate(cortex, cx.Change(parameter="FLN_exponent", value=1.0), duration=10)


def test_a_pathway_without_anatomy_takes_no_delay_and_loses_no_single_connection():
    parts = cx.load_connectome("macaque40"), cx.circuits.FroudistWalsh2021Learning(), cx.gradients.macaque40()
    with pytest.raises(ValueError, match=r"no length and so no delay; take conduction_speed=None"):
        cx.Model(*parts, conduction_speed=3.0)
    with pytest.raises(ValueError, match="no single connection can be cut; lesion areas"):
        cx.simulate(cx.Model(*parts), cx.Lesion(connections=[("V2", "V1")]), duration=10)


def test_persistence_leaves_a_lesioned_area_out_of_the_comparison(cortex):
    cue = cx.Pulse(area="V1", input="E1_dendrite", onset=500, duration=100, amplitude=100)
    result = cx.simulate(cortex, cue + cx.Lesion(areas=["LIP"]), duration=1200, noise=False)
    found = cx.validate.persistence(result)
    assert np.isnan(found.areas.agreement.sel(area="LIP"))
    assert int(found.confusion.sum()) == 18  # of the 19 well-studied areas
