import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.optimize import approx_fprime, check_grad
from scipy.stats import betabinom

from cortexsim import datasets, gradients

COUNTS = pd.DataFrame(
    {
        "target": ["V1", "V2", "MT", "MT", "V2", "V1"],
        "source": ["V2", "V1", "V1", "V2", "MT", "LIP"],
        "supragranular": [20, 75, 90, 60, 30, 5],
        "infragranular": [80, 25, 10, 40, 70, 95],
    }
)


@pytest.fixture(scope="module")
def maps():
    return gradients.macaque40()


@pytest.fixture(scope="module")
def fitted():
    return gradients.fit_hierarchy()


def test_maps_are_those_of_the_interface_in_hierarchical_order(maps):
    assert set(maps.data_vars) == {
        *("hierarchy", "spine_count", "spine_count_measured", "d1", "t1w_t2w", "x", "y", "z"),
        *("delay_activity_reported", "delay_activity_well_studied", "positive_reports", "negative_reports"),
        *("facilitation_baseline", "depression_baseline"),
    }
    assert maps.sizes == {"area": 40}
    assert maps.indexes["area"].is_unique
    assert (np.diff(maps.hierarchy) > 0).all()
    assert [str(maps.area.values[i]) for i in (0, -1)] == ["V1", "OPRO"]


def test_every_map_has_unit_name_and_source(maps):
    for dataset in (maps, gradients.macaque29(), gradients.macaque30()):
        for name, values in dataset.data_vars.items():
            assert {"units", "long_name", "source"} <= set(values.attrs), name
            assert "doi 10." in values.attrs["source"], name


def test_maps_of_the_40_areas_have_their_units_and_no_gap(maps):
    assert all(np.isfinite(values).all() for values in maps.data_vars.values())
    units = {name: values.attrs["units"] for name, values in maps.data_vars.items()}
    assert (units["d1"], units["spine_count"], units["x"]) == ("relative", "spines per cell", "mm")
    assert all(maps[name].dtype == bool for name in maps if name.endswith(("measured", "reported", "well_studied")))


def test_values_stand_at_their_areas(maps):
    # Froudist-Walsh et al. 2021: lowest and highest spine count and D1 density, and the 12 areas with delay activity.
    assert str(maps.spine_count.idxmin().values) == str(maps.d1.idxmin().values) == "V1"
    assert (str(maps.spine_count.idxmax().values), str(maps.d1.idxmax().values)) == ("45A", "7A")
    assert int(maps.spine_count_measured.sum()) == 24
    reported = maps.area.values[maps.delay_activity_reported.values].tolist()
    assert reported == ["8m", "8l", "7A", "46d", "9/46v", "9/46d", "F5", "LIP", "45A", "F2", "F7", "24c"]
    # V1 lies at the back, area 10 in front, F1 on top of both.
    assert maps.y.sel(area="V1") < maps.y.sel(area="F1") < maps.y.sel(area="10")
    assert maps.z.sel(area="F1") > maps.z.sel(area=["V1", "10"]).max()


def test_digest_of_the_maps_is_that_of_the_tables_read(maps):
    published = ("froudistwalsh2021/areas", "froudistwalsh2021/synaptic_baseline", "pereiraobilinovic2025/t1w_t2w")
    common = ("leavitt2017/delay_activity", "bakker2015/centroids")
    assert maps.attrs["digest"] == datasets.digest(*published, *common)
    assert gradients.macaque30().attrs["digest"] == datasets.digest("mejiaswang2022/areas", *common)
    assert gradients.macaque29().attrs["digest"] == datasets.digest("chaudhuri2015/areas", "bakker2015/centroids")


def test_hierarchy_of_the_29_areas_is_the_raw_one_divided_by_that_of_24c():
    maps = gradients.macaque29()
    assert maps.sizes == {"area": 29}
    assert float(maps.hierarchy_raw.sel(area="24c")) == pytest.approx(3.1162, abs=5e-5)  # digits given
    np.testing.assert_array_equal(maps.hierarchy, maps.hierarchy_raw / maps.hierarchy_raw.sel(area="24c"))
    assert (np.diff(maps.hierarchy) > 0).all()
    assert [float(maps.hierarchy.sel(area=area)) for area in ("V1", "24c")] == [0.0, 1.0]


def test_hierarchy_of_the_29_areas_is_that_of_the_reference_in_its_order(shared):
    reference = pd.read_csv(shared / "reference/chaudhuri2015/linear_areas.csv", dtype={"area": str})
    hierarchy = gradients.macaque29().hierarchy
    assert list(hierarchy.area.values) == reference["area"].to_list()
    # The raw values are published with twelve digits, the reference was made with more.
    np.testing.assert_allclose(hierarchy, reference["hierarchy"], rtol=0, atol=3e-12)


def test_maps_of_the_30_areas_stand_in_the_order_of_the_program(shared):
    maps = gradients.macaque30()
    reference = pd.read_csv(shared / "reference/mejias_wang2022/state_at_10s.csv", dtype={"area": str})
    assert list(maps.area.values) == reference["area"].to_list()


def test_30_areas_have_the_hierarchy_of_the_29_and_gaps_in_the_spine_counts_alone():
    maps, smaller = gradients.macaque30(), gradients.macaque29()
    shared_areas = maps.hierarchy.sel(area=smaller.area)
    np.testing.assert_allclose(shared_areas, smaller.hierarchy, rtol=0, atol=3e-12)  # digits of the two tables
    with_gaps = {name for name, values in maps.items() if values.isnull().any()}
    assert with_gaps == {"spine_count", "age_factor"}
    assert int(maps.spine_count.count()) == 21
    assert sorted(set(maps.age_factor.values[~np.isnan(maps.age_factor.values)])) == [1, 1.15, 1.3]


def test_positions_and_reports_of_an_area_are_the_same_in_every_set_of_maps(maps):
    for smaller in (gradients.macaque29(), gradients.macaque30()):
        common = [name for name in smaller if name in maps and name not in ("hierarchy", "spine_count")]
        assert {"x", "y", "z"} <= set(common)
        xr.testing.assert_identical(smaller[common], maps[common].sel(area=smaller.area).assign_attrs(smaller.attrs))


def test_rescaled_maps_equal_the_published_constants(maps, shared):
    d1, spines = gradients.rescale(maps.d1), gradients.rescale(maps.spine_count)
    constants = pd.read_csv(shared / "reference/froudist_walsh2021/area_constants.csv", dtype={"area": str})
    constants = constants.set_index("area").loc[maps.area.values]
    assert d1.attrs == {**maps.d1.attrs, "units": "1"}
    np.testing.assert_allclose(d1, constants["d"], atol=1e-15)  # rounding of the last bit
    np.testing.assert_allclose(0.45 + 0.55 * spines, constants["e"], atol=1e-15)


def test_constant_map_cannot_be_rescaled(maps):
    with pytest.raises(ValueError, match=r"'d1' must vary, but is 2 throughout"):
        gradients.rescale(xr.full_like(maps.d1, 2.0))
    with pytest.raises(ValueError, match="finite"):
        gradients.rescale(maps.d1.where(maps.area != "V1"))
    with pytest.raises(TypeError, match="DataArray"):
        gradients.rescale(maps.d1.values)


def test_own_map_joins_by_label_whatever_its_order_and_kind(maps):
    backwards = maps.t1w_t2w[::-1]
    given = {
        "as_array": backwards,
        "as_series": backwards.to_series(),
        "as_dict": {str(area): float(value) for area, value in backwards.to_series().items()},
    }
    joined = gradients.join(maps, **given)
    for name in given:
        np.testing.assert_array_equal(joined[name], maps.t1w_t2w)
    assert joined.as_array.attrs["units"] == "1"
    assert list(joined.area.values) == list(maps.area.values)


def test_own_map_takes_the_place_of_the_published_one_and_changes_the_digest(maps):
    other = gradients.join(maps, spine_count=maps.spine_count * 2)
    same = gradients.join(maps, spine_count=maps.spine_count * 2)
    third = gradients.join(maps, spine_count=maps.spine_count * 3)
    np.testing.assert_array_equal(other.spine_count, 2 * maps.spine_count)
    assert other.attrs["digest"] == same.attrs["digest"]
    assert len({maps.attrs["digest"], other.attrs["digest"], third.attrs["digest"]}) == 3


def test_own_map_that_does_not_fit_is_refused_with_the_offender(maps):
    values = maps.d1.to_series()
    with pytest.raises(ValueError, match=r"Unknown area 'V1a' in the map 'mine'; did you mean 'V1'"):
        gradients.join(maps, mine=values.rename({"V1": "V1a"}))
    with pytest.raises(ValueError, match=r"lacks 'V2', '24c'"):
        gradients.join(maps, mine=values.drop(["V2", "24c"]))
    with pytest.raises(ValueError, match=r"nan at area 'MT'"):
        gradients.join(maps, mine=values.where(values.index != "MT"))
    with pytest.raises(ValueError, match=r"'V1' stands twice"):
        gradients.join(maps, mine=pd.concat([values, values.head(1)]))
    with pytest.raises(ValueError, match=r"one labelled dimension `area`"):
        gradients.join(maps, mine=xr.DataArray(np.zeros(40), dims="area"))
    with pytest.raises(ValueError, match=r"must not be called 'area'"):
        gradients.join(maps, area=values)
    with pytest.raises(TypeError, match=r"must hold numbers or bools"):
        gradients.join(maps, mine=values.astype(str))
    with pytest.raises(TypeError, match=r"'mine' must be a DataArray, a Series or a dict"):
        gradients.join(maps, mine=values.to_list())
    with pytest.raises(TypeError, match=r"`gradients` must be a Dataset"):
        gradients.join(values, mine=values)


def test_fitted_hierarchy_agrees_with_the_published_one(maps, fitted):
    hierarchy = fitted
    assert list(hierarchy.area.values) == list(maps.area.values)
    difference = abs(hierarchy - maps.hierarchy)
    assert float(difference.max()) < 1e-3
    assert str(difference.idxmax().values) == "5"
    assert 1 - np.corrcoef(hierarchy, maps.hierarchy)[0, 1] < 1e-6
    assert float(hierarchy.sel(area="V1")) == 0.0
    assert float(hierarchy.sel(area="OPRO")) == 1.0


def test_fitted_overdispersion_and_likelihood_are_those_of_the_published_regression(fitted):
    attrs = fitted.attrs
    assert attrs["phi"] == pytest.approx(0.18322, abs=1e-5)  # digits given
    assert attrs["log_likelihood"] == pytest.approx(-12310.874, abs=1e-3)
    assert attrs["scale"] == pytest.approx(3.9507, abs=3e-4)


def test_fitted_log_likelihood_is_that_of_scipys_beta_binomial(fitted):
    counts = datasets.table("markov2014/tracing_counts")
    every = gradients.fit_hierarchy(areas=sorted(set(counts["source"])))
    raw = (every * every.attrs["scale"]).to_series()
    mu = 1 / (1 + np.exp(-(raw[counts["target"]].to_numpy() - raw[counts["source"]].to_numpy())))
    concentration = 1 / every.attrs["phi"] - 1
    total = counts["supragranular"] + counts["infragranular"]
    expected = betabinom.logpmf(counts["supragranular"], total, mu * concentration, (1 - mu) * concentration).sum()
    assert every.attrs["log_likelihood"] == pytest.approx(expected, abs=1e-5)


def test_fit_converges_in_some_dozens_of_passes_over_the_counts(fitted):
    """What makes it quick: each of the iterations is a pass or two over 2619 rows."""
    assert fitted.attrs["iterations"] <= 80


def test_binomial_fit_is_further_from_the_published_hierarchy(maps):
    binomial = gradients.fit_hierarchy(method="binomial")
    assert np.corrcoef(binomial, maps.hierarchy)[0, 1] == pytest.approx(0.933, abs=5e-4)  # digits given
    assert binomial.attrs["phi"] == 0.0


@pytest.mark.parametrize("phi", [0.01, 0.18, 0.6])
def test_analytic_gradient_equals_finite_differences(phi):
    rows = gradients._Rows.read(COUNTS)
    x = np.array([0.0, 0.4, 1.1, 1.7, gradients._logit(phi)])
    numeric = approx_fprime(x, lambda x: gradients._betabinomial(x, rows, 0)[0], 1e-6)
    analytic = gradients._betabinomial(x, rows, 0)[1]
    # Forward differences of step 1e-6 on curvatures up to 100; the reference is held fixed.
    np.testing.assert_allclose(analytic[1:], numeric[1:], atol=1e-3)
    assert analytic[0] == 0.0
    free = check_grad(
        lambda h: gradients._binomial(np.append(0.0, h), rows, 0)[0],
        lambda h: gradients._binomial(np.append(0.0, h), rows, 0)[1][1:],
        x[1:-1],
    )
    assert free < 1e-4


def test_fit_recovers_a_known_hierarchy_from_simulated_counts():
    rng = np.random.default_rng(1)
    truth = pd.Series(np.linspace(0, 2.5, 12), [f"A{i}" for i in range(12)])
    pairs = [(target, source) for target in truth.index for source in truth.index if target != source] * 5
    mu = np.array([1 / (1 + np.exp(truth[source] - truth[target])) for target, source in pairs])
    supra = rng.binomial(500, rng.beta(mu * 9, (1 - mu) * 9))
    counts = pd.DataFrame(pairs, columns=["target", "source"]).assign(supragranular=supra, infragranular=500 - supra)
    fit = gradients.fit_hierarchy(counts, reference="A0")
    # Each of 110 rows per area has a variance of phi / (mu (1 - mu)) logits, .4 to 1: standard error .06 to .1.
    np.testing.assert_allclose(fit * fit.attrs["scale"], truth, atol=0.24)
    assert fit.attrs["phi"] == pytest.approx(0.1, abs=0.02)


def test_fit_of_exact_proportions_returns_their_logits():
    # One row of equal counts per pair, mu = 1/4 one way and 3/4 the other: V2 lies log 3 above V1, MT above V2.
    counts = pd.DataFrame(
        {
            "target": ["V1", "V2", "V2", "MT"],
            "source": ["V2", "V1", "MT", "V2"],
            "supragranular": [100, 300, 100, 300],
            "infragranular": [300, 100, 300, 100],
        }
    )
    for method in ("binomial", "betabinomial"):
        fit = gradients.fit_hierarchy(counts, method=method)
        np.testing.assert_allclose(fit, [0.0, 0.5, 1.0], atol=1e-5)
        assert fit.attrs["scale"] == pytest.approx(2 * np.log(3), abs=1e-4)


def test_areas_come_back_in_the_order_asked_for():
    asked = gradients.fit_hierarchy(COUNTS, areas=["LIP", "V1", "MT"])
    default = gradients.fit_hierarchy(COUNTS)
    assert list(asked.area.values) == ["LIP", "V1", "MT"]
    assert list(default.area.values) == ["V1", "V2", "MT"]  # the injected ones, in the order of the table
    assert float(asked.max()) == float(default.max()) == 1.0
    raw = asked * asked.attrs["scale"]
    assert float(raw.sel(area="MT")) == pytest.approx(default.attrs["scale"], rel=1e-12)


def test_rows_without_information_change_nothing():
    idle = pd.DataFrame(
        {"target": ["V1", "MT"], "source": ["V1", "TEO"], "supragranular": [900, 0], "infragranular": [3, 0]}
    )
    with_idle = gradients.fit_hierarchy(pd.concat([COUNTS, idle]))
    xr.testing.assert_identical(with_idle, gradients.fit_hierarchy(COUNTS))


@pytest.mark.parametrize("count", [-3, 2.5, np.nan, np.inf, "many"])
def test_bad_count_is_named_with_its_row(count):
    counts = COUNTS.astype({"supragranular": object})
    counts.loc[2, "supragranular"] = count
    with pytest.raises(ValueError, match=r"`supragranular` must be a whole number .* in row 2 .*'MT', source 'V1'"):
        gradients.fit_hierarchy(counts)


def test_bad_table_is_refused():
    with pytest.raises(ValueError, match=r"a column 'source', but has 'target'"):
        gradients.fit_hierarchy(COUNTS.drop(columns="source"))
    with pytest.raises(ValueError, match=r"`target` must name an area, but is nan in row 1"):
        gradients.fit_hierarchy(COUNTS.assign(target=COUNTS["target"].where(COUNTS.index != 1)))
    with pytest.raises(ValueError, match=r"but has none"):
        gradients.fit_hierarchy(COUNTS.head(0))
    with pytest.raises(TypeError, match=r"`counts` must be a DataFrame"):
        gradients.fit_hierarchy({"target": []})


def test_missing_reference_and_unknown_area_are_refused_with_a_suggestion():
    with pytest.raises(ValueError, match=r"Unknown reference area 'V1' in fit_hierarchy"):
        gradients.fit_hierarchy(COUNTS[(COUNTS["target"] != "V1") & (COUNTS["source"] != "V1")])
    with pytest.raises(ValueError, match=r"Unknown area 'lip' .*did you mean 'LIP'"):
        gradients.fit_hierarchy(COUNTS, areas=["V1", "lip"])
    with pytest.raises(ValueError, match=r"'PIR'"):
        gradients.fit_hierarchy(areas=["V1", "PIR"])
    with pytest.raises(ValueError, match=r"'V1' stands twice"):
        gradients.fit_hierarchy(COUNTS, areas=["V1", "V1"])
    with pytest.raises(ValueError, match=r"is empty"):
        gradients.fit_hierarchy(COUNTS, areas=[])
    with pytest.raises(TypeError, match=r"take \['V1'\]"):
        gradients.fit_hierarchy(COUNTS, areas="V1")
    with pytest.raises(ValueError, match=r"did you mean 'betabinomial'"):
        gradients.fit_hierarchy(COUNTS, method="beta-binomial")
    with pytest.raises(ValueError, match=r"above the reference 'MT'"):
        gradients.fit_hierarchy(COUNTS, areas=["V1", "MT"], reference="MT")


def test_areas_without_a_path_to_the_reference_are_named():
    island = pd.DataFrame(
        {"target": ["F1", "F2"], "source": ["F2", "F1"], "supragranular": [3, 4], "infragranular": [4, 3]}
    )
    with pytest.raises(ValueError, match=r"to the reference 'V1', but none lead to 'F1', 'F2'"):
        gradients.fit_hierarchy(pd.concat([COUNTS, island]))


def test_area_whose_neurons_all_lie_in_one_layer_is_named_since_nothing_bounds_it():
    lower_only = COUNTS.assign(supragranular=COUNTS["supragranular"].where(COUNTS["source"] != "LIP", 0))
    with pytest.raises(ValueError, match=r"on one side of layer 4: 'LIP'"):
        gradients.fit_hierarchy(lower_only)
