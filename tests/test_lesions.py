"""What is left of a memory without one area or the other."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cortexsim as cx
from cortexsim.analysis.lesions import lesion_atlas

pytestmark = pytest.mark.slow  # the quick tests are to stay under a minute

CUE = cx.working_memory()
FEW = ("V1", "V4", "LIP", "9/46d", "8B", "OPRO")


@pytest.fixture(scope="module")
def early(model):
    return lesion_atlas(model, CUE, areas=FEW)


@pytest.fixture(scope="module")
def late(model):
    return lesion_atlas(model, CUE, areas=FEW, onset=2000)


@pytest.fixture(scope="module")
def renormalised(model):
    return lesion_atlas(model, CUE, areas=FEW, renormalise=True)


def effects(atlas):
    return dict(zip(atlas.area.values.tolist(), atlas.effect.values.tolist(), strict=True))


def test_a_lesion_of_V1_keeps_the_memory_from_being_loaded_but_not_from_being_held(early, late):
    assert effects(early)["V1"] == "abolishes"
    assert effects(late)["V1"] == "spares"


def test_the_cortex_needs_8B_but_can_make_up_for_it_by_its_other_inputs(early, late, renormalised):
    assert effects(early)["8B"] == effects(late)["8B"] == "abolishes"
    assert effects(renormalised)["8B"] == "spares"


def test_a_lesion_of_LIP_leaves_a_memory_in_fewer_areas(early):
    LIP = early.sel(area="LIP")
    assert LIP.effect == "weakens"
    assert (int(LIP.n_intact), int(LIP.n_persistent), int(LIP.lost), int(LIP.gained)) == (22, 8, 14, 0)
    assert 0.4 < float(LIP.relative_activity) < 0.5


@pytest.mark.parametrize("kind", ["early", "late", "renormalised"])
def test_the_counts_follow_from_the_areas_and_leave_the_lesioned_one_out(kind, request):
    atlas = request.getfixturevalue(kind)
    assert (atlas.n_persistent - atlas.n_intact == atlas.gained - atlas.lost).all()
    assert (atlas.persistent.sum("other") == atlas.n_persistent).all()
    assert (atlas.persistent == (atlas.difference > 5)).all()
    for area in FEW:
        row = atlas.sel(area=area)
        assert row.other.values[np.isnan(row.difference)].tolist() == [area]
        assert int(row.n_intact) == int((atlas.intact.drop_sel(other=area) > 5).sum())
        np.testing.assert_allclose(row.activity, row.difference.mean(), rtol=1e-12)


def test_a_row_is_the_very_trial_with_that_lesion(model, late):
    """1e-12 Hz, since the mean over time may be summed in another order."""
    trial = cx.simulate(model, CUE + cx.Lesion(areas=["LIP"], onset=2000), noise=False, duration=5000)
    judged = cx.validate.persistence(trial).areas
    others = judged.drop_sel(area="LIP")
    row = late.sel(area="LIP").drop_sel(other="LIP")
    np.testing.assert_allclose(row.difference.values, others.difference.values, rtol=0, atol=1e-12)
    assert (row.persistent.values == others.persistent.values).all()


def test_a_renormalised_row_is_a_trial_on_the_lesioned_connectome(model, renormalised):
    cut = dataclasses.replace(model, connectome=model.connectome.lesion(["LIP"]))
    judged = cx.validate.persistence(cx.simulate(cut, CUE, noise=False)).areas.drop_sel(area="LIP")
    row = renormalised.sel(area="LIP").drop_sel(other="LIP")
    np.testing.assert_allclose(row.difference.values, judged.difference.values, rtol=0, atol=1e-12)


def test_the_atlas_knows_where_its_areas_are_and_what_was_run(model, late):
    np.testing.assert_array_equal(late.hierarchy, model.area_maps.hierarchy.sel(area=list(FEW)))
    assert late.attrs["onset_ms"] == 2000
    assert late.attrs["renormalised"] == 0
    assert late.attrs["circuit"] == "FroudistWalsh2021"
    assert set(late.effect.values) <= set(cx.analysis.lesions.EFFECTS)


def test_a_memory_that_is_not_there_cannot_be_abolished(model):
    silent = dataclasses.replace(model, circuit=cx.circuits.FroudistWalsh2021(dopamine=0.5))
    with pytest.raises(ValueError, match="must hold the memory without a lesion, but none exceeds 5 Hz"):
        lesion_atlas(silent, CUE, areas=["LIP"])


def test_a_lasting_inactivation_is_judged_where_it_is_meant(model):
    silenced = CUE + cx.optogenetics(["V4"], "E1", -10, onset=0, duration=5000)
    with pytest.raises(ValueError, match="must be free of stimuli.*during_stimulus=True"):
        lesion_atlas(model, silenced, areas=["V1"], duration=5000, baseline=(500, 1000))
    atlas = lesion_atlas(model, silenced, areas=["V1"], duration=5000, baseline=(500, 1000), during_stimulus=True)
    assert effects(atlas) == {"V1": "abolishes"}


def test_arguments_are_checked(model):
    with pytest.raises(ValueError, match="Unknown area 'L1P' in lesion_atlas; did you mean 'LIP'"):
        lesion_atlas(model, CUE, areas=["L1P"])
    with pytest.raises(TypeError, match=r"but is '8B'; write \['8B'\]"):
        lesion_atlas(model, CUE, areas="8B")
    with pytest.raises(ValueError, match="before the end of the run, 5000 ms, but is 5000 ms"):
        lesion_atlas(model, CUE, areas=["8B"], onset=5000)
    with pytest.raises(ValueError, match="at least, but is empty"):
        lesion_atlas(model, CUE, areas=[])
    with pytest.raises(ValueError, match="there from the start, but `onset` is 2000 ms"):
        lesion_atlas(model, CUE, onset=2000, renormalise=True)
    several = dataclasses.replace(model, circuit=cx.circuits.FroudistWalsh2021(dopamine=(1.0, 1.5)))
    with pytest.raises(ValueError, match="of one condition"):
        lesion_atlas(several, CUE)


@pytest.mark.parametrize("kind", ["early", "late", "renormalised"])
def test_the_table_in_the_documentation_is_what_the_model_gives(kind, request):
    """Counts exactly, activity to the four digits that the table has."""
    table = pd.read_csv(Path(__file__).parents[1] / "docs" / "lesion_atlas.csv", comment="#", dtype={"area": str})
    assert len(table) == 2 * 3 * 40
    lesion = {"early": "start", "late": "delay"}.get(kind, kind)
    rows = table[(table.dopamine == 1.5) & (table.lesion == lesion)].set_index("area").loc[list(FEW)]
    atlas = request.getfixturevalue(kind)
    for name in ("effect", "n_persistent", "n_intact", "lost", "gained"):
        assert rows[name].tolist() == atlas[name].values.tolist()
    np.testing.assert_allclose(rows.activity_hz, atlas.activity, rtol=0, atol=1e-4)


def test_a_lesion_is_to_the_others_what_silencing_the_area_is():
    """Two ways to the same: the trial's lesion, and the circuit's option that holds six variables at 0. Bit by bit."""
    cortex, maps = cx.load_connectome("macaque30"), cx.gradients.macaque30()
    cue = cx.Pulse(area="V1", input="A", onset=500, duration=500, amplitude=0.3)
    how = {"duration": 3000, "noise": False, "record": ("r_A",), "every": 100}
    for area in ("LIP", "24c"):
        cut = cx.simulate(cx.Model(cortex, cx.circuits.MejiasWang2022(), maps), cue + cx.Lesion(areas=[area]), **how)
        silenced = cx.simulate(cx.Model(cortex, cx.circuits.MejiasWang2022(silenced=(area,)), maps), cue, **how)
        np.testing.assert_array_equal(*(r.r_A.drop_sel(area=area).values for r in (cut, silenced)))
        assert cut.r_A.sel(area=area).isnull().all()
