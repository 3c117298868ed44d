"""Shuffles of a model against experiments, and the intervals of what chance gives."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import cortexsim as cx
from cortexsim.validate.intervals import chance_difference, mean_interval
from cortexsim.validate.shuffles import shuffles

pytestmark = pytest.mark.slow  # the quick tests are to stay under a minute

N = 12


@pytest.fixture(scope="module")
def connections(model):
    return shuffles(model, "connections", N)


def test_the_interval_of_a_mean_holds_the_mean_in_95_of_100_samples():
    """2000 samples of 40 normals; .93 to .97 leaves 4 standard errors, and room for z in place of Student's t."""
    values = np.random.default_rng(0).normal(3.0, 2.0, (2000, 40))
    ends = np.array([mean_interval(v) for v in values])
    assert 0.93 < ((ends[:, 0] < 3.0) & (ends[:, 1] > 3.0)).mean() < 0.97


@pytest.mark.parametrize("p", [0.0, 0.05, 0.25, 0.6, 1.0])
def test_two_samples_of_one_probability_differ_by_more_than_the_chance_difference_in_one_of_100_cases(p):
    """20,000 pairs of 40 trials; the first sample says how far the second may be, so 3 % at the most are outside."""
    x, y = np.random.default_rng(0).binomial(40, p, (2, 20_000)) / 40
    allowed = np.array([chance_difference(k / 40, 40, 40) for k in range(41)])[np.rint(40 * x).astype(int)]
    assert (abs(x - y) > allowed).mean() < 0.03


def test_counts_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="`level` must lie between 0 and 1, but is 95"):
        mean_interval([1.0, 2.0], level=95)
    with pytest.raises(ValueError, match="two finite numbers at least"):
        mean_interval([1.0])
    with pytest.raises(ValueError, match="must be a share"):
        chance_difference(1.5, 40, 40)


def test_shuffled_connections_agree_worse_with_experiments_than_the_cortex(connections):
    assert float(connections.observed_chi_squared) == pytest.approx(15.033, abs=1e-3)
    assert int(connections.observed_n_persistent) == 23
    assert float(connections.p_value) == 0
    assert float(connections.mean_accuracy) < 0.7 < float(connections.observed_accuracy)
    low, high = connections.p_value_interval.values
    # The rule of three: none of N leaves room for 3/N, a little more by Wilson.
    assert low == pytest.approx(0, abs=1e-12)
    assert 2 / N < high < 4 / N


def test_a_shuffle_depends_on_its_seed_alone(model, connections):
    later = shuffles(model, "connections", 2, seed=3)
    assert later.shuffle.values.tolist() == [3, 4]
    for name in ("chi_squared", "accuracy", "n_persistent"):
        np.testing.assert_array_equal(later[name], connections[name].sel(shuffle=[3, 4]))


def test_a_shuffled_map_keeps_its_values_and_leaves_the_others(model):
    from cortexsim.validate.shuffles import _shuffled

    shuffled = _shuffled(model, "d1", 0).gradients
    assert sorted(shuffled.d1.values) == sorted(model.gradients.d1.values)
    assert not shuffled.d1.equals(model.gradients.d1)
    assert shuffled.spine_count.equals(model.gradients.spine_count)


def test_without_persistence_chi_squared_counts_as_zero(model):
    silent = dataclasses.replace(model, circuit=cx.circuits.FroudistWalsh2021(dopamine=0.5))
    table = shuffles(silent, "d1", 2)
    assert table.n_persistent.values.tolist() == [0, 0]
    assert table.chi_squared.values.tolist() == [0, 0]
    assert float(table.p_value) == 1


def test_what_is_no_property_of_the_model_is_refused(model):
    with pytest.raises(ValueError, match="Unknown property 'D1'.*did you mean 'd1'"):
        shuffles(model, "D1")
    with pytest.raises(ValueError, match="`number` must be at least 2"):
        shuffles(model, "d1", 1)
    with pytest.raises(TypeError, match="`model` must be a Model"):
        shuffles("macaque40", "d1")


def test_the_written_table_says_that_only_connections_matter():
    """500 shuffles of each kind: the 95 % interval of p is below 2 % for connections, far above 5 % for the maps."""
    written = (Path(__file__).parents[1] / "benchmarks" / "results" / "shuffles.md").read_text(encoding="utf-8")
    assert "500 shuffles of each kind" in written
    rows = [line.strip("| ").split(" | ") for line in written.splitlines() if line.startswith("|")][2:]
    highest = {row[0]: float(row[2].split(" to ")[1].rstrip(")")) for row in rows}
    lowest = {row[0]: float(row[2].split("(")[1].split(" ")[0]) for row in rows}
    assert set(highest) == {"connections", "weights", "degree", "d1", "spine_count"}
    assert highest["connections"] < 0.02
    assert min(lowest["d1"], lowest["spine_count"]) > 0.3
