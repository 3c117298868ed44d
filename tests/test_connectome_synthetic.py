"""Synthetic connectomes against the 40-area macaque connectome."""

import numpy as np
import pytest

from cortexsim import datasets
from cortexsim.connectome import load_connectome, sln_from_hierarchy, synthetic_connectome, synthetic_gradients

SEEDS = range(20)


def statistics(connectome, hierarchy):
    """Return what the exponential distance rule and the hierarchy are measured by."""
    fln, sln, distance = connectome.fln.values, connectome.sln.values, connectome.distance.values
    exists = fln > 0
    climb = (np.asarray(hierarchy)[:, np.newaxis] - np.asarray(hierarchy))[exists]
    log_fln, length = np.log(fln[exists]), distance[exists]
    counted = fln[exists] > 10 / 2e5  # at least some ten labelled neurons
    return {
        "density": connectome.density,
        "slope": np.polyfit(length, log_fln, 1)[0],
        "r": np.corrcoef(length, log_fln)[0, 1],
        "mean": log_fln.mean(),
        "spread": log_fln.std(),
        "length": distance[~np.eye(len(fln), dtype=bool)].mean(),
        "connected length": length.mean(),
        "sln": sln[exists].mean(),
        "sln spread": sln[exists].std(),
        "hierarchy r": np.corrcoef(climb, sln[exists])[0, 1],
        "counted hierarchy r": np.corrcoef(climb[counted], sln[exists][counted])[0, 1],
    }


@pytest.fixture(scope="module")
def macaque():
    hierarchy = datasets.table("froudistwalsh2021/areas").set_index("area")["hierarchy"]
    connectome = load_connectome("macaque40")
    return statistics(connectome, hierarchy[list(connectome.areas)])


@pytest.fixture(scope="module")
def synthetic():
    single = [statistics(synthetic_connectome(40, seed), synthetic_gradients(40, seed)["hierarchy"]) for seed in SEEDS]
    return {key: np.mean([one[key] for one in single]) for key in single[0]}


def test_macaque_follows_the_exponential_distance_rule(macaque):
    assert macaque["slope"] == pytest.approx(-0.159, abs=5e-4)  # published to three digits
    assert macaque["r"] == pytest.approx(-0.48, abs=5e-3)
    assert macaque["density"] == pytest.approx(0.64, abs=5e-3)


@pytest.mark.parametrize(
    ("quantity", "bound"),
    [
        ("density", 0.001),
        ("slope", 0.01),
        ("r", 0.03),
        ("mean", 0.3),
        ("spread", 0.25),
        ("length", 1.5),
        ("connected length", 1.5),
        ("sln", 0.06),
        ("sln spread", 0.06),
        ("hierarchy r", 0.15),  # the macaque's weakest connections follow the hierarchy less than the rest
        ("counted hierarchy r", 0.05),
    ],
)
def test_synthetic_cortex_resembles_the_macaques(macaque, synthetic, quantity, bound):
    # Means over 20 seeds; the bounds hold their distance from the macaque and some four standard errors.
    assert abs(synthetic[quantity] - macaque[quantity]) < bound


def test_log_weights_are_as_near_to_normal_as_the_macaques():
    # Skewness of log FLN: macaque .07; weights that are exponential instead of lognormal have -1.14.
    logs = np.log(np.concatenate([f[f > 0] for f in (synthetic_connectome(40, s).fln.values for s in SEEDS)]))
    assert abs((((logs - logs.mean()) / logs.std()) ** 3).mean()) < 0.3


@pytest.mark.parametrize("n_areas", [2, 3, 10, 300])
def test_any_size_has_rows_of_one_and_an_input_for_each_area(n_areas):
    connectome = synthetic_connectome(n_areas, 0)
    assert connectome.n_areas == n_areas
    np.testing.assert_allclose(connectome.fln.sum("source"), 1)
    assert connectome.n_connections == max(round(0.64 * n_areas * (n_areas - 1)), n_areas)


def test_the_distance_rule_holds_in_a_large_cortex():
    found = statistics(synthetic_connectome(300, 0), synthetic_gradients(300, 0)["hierarchy"])
    assert found["slope"] == pytest.approx(-0.159, abs=0.015)
    assert found["spread"] == pytest.approx(3.11, abs=0.25)


def test_the_seed_alone_decides():
    assert synthetic_connectome(20, 7) == synthetic_connectome(20, 7)
    assert synthetic_connectome(20, 7) != synthetic_connectome(20, 8)


def test_arguments_do_what_they_say():
    assert synthetic_connectome(30, 0, density=0.2).n_connections == round(0.2 * 30 * 29)
    flat = synthetic_gradients(40, 0)["hierarchy"]
    assert abs(statistics(synthetic_connectome(40, 0, decay=0), flat)["r"]) < 0.15
    assert statistics(synthetic_connectome(40, 0, spread=1), flat)["spread"] < 2.5
    assert abs(statistics(synthetic_connectome(40, 0, slope=0), flat)["hierarchy r"]) < 4 / np.sqrt(998)
    assert statistics(synthetic_connectome(40, 0, dispersion=0.01), flat)["hierarchy r"] > 0.7


def test_gradients_belong_to_the_areas_of_the_connectome():
    connectome, maps = synthetic_connectome(50, 3), synthetic_gradients(50, 3)
    assert tuple(maps["area"].values) == connectome.areas
    assert maps["hierarchy"].values[[0, -1]].tolist() == [0, 1]
    assert (np.diff(maps["hierarchy"]) > 0).all()
    place = np.stack([maps[axis] for axis in "xyz"], axis=1)
    expected = np.linalg.norm(place[:, np.newaxis] - place, axis=2)
    np.testing.assert_allclose(connectome.distance, expected, atol=1e-12)  # rounding of the sum of squares
    assert all(maps[name].attrs["units"] for name in maps)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_areas": 1}, "`n_areas` must be at least 2"),
        ({"seed": -1}, "`seed` must be at least 0"),
        ({"density": 0}, "`density` must lie above 0"),
        ({"density": 1.1}, "`density` must lie above 0 and at most at 1"),
        ({"dispersion": 1}, "`dispersion` must lie between"),
        ({"decay": -1}, "`decay` must not be negative"),
        ({"spread": 0}, "`spread` must be positive"),
        ({"slope": np.nan}, "`slope` must be finite"),
        ({"neurons_per_area": 0}, "`neurons_per_area` must be at least 1"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        synthetic_connectome(**{"n_areas": 10, "seed": 0} | arguments)


def test_expected_sln_rises_with_the_target():
    hierarchy = synthetic_gradients(5, 0)["hierarchy"]
    sln = sln_from_hierarchy(hierarchy)
    assert (sln.values[np.tril_indices(5, -1)] > 0.5).all()  # the target above the source: feedforward
    np.testing.assert_allclose(sln + sln.T.values, 1)
    with pytest.raises(ValueError, match="labelled dimension area"):
        sln_from_hierarchy(hierarchy.rename(area="region"))
    with pytest.raises(ValueError, match=r"hierarchy\[area1\]"):
        sln_from_hierarchy(hierarchy.where(hierarchy > 0))
