"""Model: joins by label, and refuses what does not fit."""

import dataclasses

import numpy as np
import pytest

import cortexsim as cx


def test_maps_are_joined_by_label_whatever_their_order(model):
    turned = dataclasses.replace(model, gradients=model.gradients.isel(area=slice(None, None, -1)))
    for one, two in zip(model.parameters(1), turned.parameters(1), strict=True):
        assert all(np.array_equal(one[k], two[k]) for k in one)


def test_a_part_of_the_cortex_keeps_its_numbers(model):
    part = dataclasses.replace(model, connectome=model.connectome.select(["MT", "V1", "8m"]))
    whole, some = model.parameters(1)[1], part.parameters(1)[1]
    at = [model.areas.index(a) for a in part.areas]
    for name in whole:
        assert np.array_equal(some[name][0], whole[name][0, at])


def test_models_are_equal_by_value(model):
    twin = cx.Model(cx.load_connectome("macaque40"), cx.circuits.FroudistWalsh2021(), cx.gradients.macaque40())
    assert twin == model
    assert hash(twin) == hash(model)
    assert dataclasses.replace(model, circuit=cx.circuits.FroudistWalsh2021(dopamine=1)) != model
    assert dataclasses.replace(model, gradients=model.gradients.assign(d1=model.gradients.d1 * 2)) != model


def test_what_does_not_fit_is_refused(model):
    cortex, circuit, maps = model.connectome, model.circuit, model.gradients
    with pytest.raises(TypeError, match="`connectome` must be a Connectome, but is str"):
        cx.Model("macaque40", circuit, maps)
    with pytest.raises(TypeError, match="`circuit` must be a Circuit.*call the class"):
        cx.Model(cortex, type(circuit), maps)
    with pytest.raises(TypeError, match="`gradients` must be an xarray.Dataset"):
        cx.Model(cortex, circuit, {"d1": 1})
    with pytest.raises(ValueError, match="needs the maps spine_count, d1, but `gradients` is missing"):
        cx.Model(cortex, circuit)
    with pytest.raises(ValueError, match="needs the map 'd1', but `gradients` has"):
        cx.Model(cortex, circuit, maps.drop_vars("d1"))
    with pytest.raises(ValueError, match="'OPRO' is not among its areas"):
        cx.Model(cortex, circuit, maps.isel(area=slice(0, 39)))
    with pytest.raises(ValueError, match="finite in each area, but is nan in 'V1'"):
        cx.Model(cortex, circuit, maps.assign(d1=maps.d1.where(maps.area != "V1")))
    with pytest.raises(ValueError, match="labels as its coordinate `area`"):
        cx.Model(cortex, circuit, maps.drop_vars("area"))
    with pytest.raises(ValueError, match="'V1' stands twice"):
        cx.Model(cortex, circuit, maps.isel(area=[0, *range(40)]))
