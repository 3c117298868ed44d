"""Networks held as lists of connections: the same numbers as tables, at the cost of the connections alone."""

import dataclasses
import pickle
import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_array
from systems import Linear

import cortexsim as cx
from cortexsim.circuits import ALL
from cortexsim.connectome import synthetic, write_connectome
from cortexsim.connectome.matrices import endpoints
from cortexsim.kernel import lanes
from cortexsim.simulate import memory_estimate

AREAS = ("A", "B", "C")
LIST = {"targets": ["B", "A", "C"], "sources": ["C", "B", "A"], "fln": [0.3, 1.0, 0.7], "sln": [0.0, 0.5, 1.0]}


def small(distance=(1.0, 2.0, 3.0), **changes):
    return cx.Connectome.from_connections(AREAS, **{**LIST, **changes}, distance=distance)


def pair(monkeypatch, n_areas=150, density=0.2):
    """The same network as tables and as lists."""
    tables = cx.synthetic_connectome(n_areas, 4, density=density)
    monkeypatch.setattr(synthetic, "LARGEST_WHOLE", 10)
    return tables, cx.synthetic_connectome(n_areas, 4, density=density)


@pytest.fixture(scope="module")
def large():
    return cx.synthetic_connectome(5000, 0)


def test_a_synthetic_network_is_the_same_as_tables_and_as_lists_whatever_the_blocks(monkeypatch):
    monkeypatch.setattr(synthetic, "_BLOCK", 1000)
    tables, lists = pair(monkeypatch)
    assert lists.listed
    assert not tables.listed
    assert np.array_equal(lists.fln, tables.fln)
    assert np.array_equal(lists.sln, tables.sln)
    exists = tables.fln.values > 0
    assert np.array_equal(lists.distance.values[exists], tables.distance.values[exists])
    assert np.isnan(lists.distance.values[~exists & ~np.eye(150, dtype=bool)]).all()
    assert (lists.n_connections, lists.density, lists.areas) == (tables.n_connections, tables.density, tables.areas)


@pytest.mark.parametrize("trials", [1, 16])
@pytest.mark.parametrize("speed", [None, 2.0])
def test_lists_and_tables_run_alike_bit_by_bit(monkeypatch, trials, speed):
    ends = [
        cx.simulate(cx.Model(network, Linear(g=2.0), conduction_speed=speed), duration=30, trials=trials).final_state
        for network in pair(monkeypatch, n_areas=60)
    ]
    assert np.array_equal(*ends)


@pytest.mark.parametrize("name", ALL)
def test_every_circuit_has_the_weights_of_the_tables_on_a_list(monkeypatch, name):
    tables, lists = pair(monkeypatch, n_areas=60)
    circuit = ALL[name]()
    expected, found = circuit.weights(tables), circuit.weights(lists)
    for key, matrix in expected.items():
        assert isinstance(found[key], csr_array)
        # Sums of rows are taken in another order.
        np.testing.assert_allclose(found[key].toarray(), matrix, rtol=1e-14)
    maps = synthetic.synthetic_gradients(60, 4)
    maps = maps.assign({name: maps.hierarchy for name in circuit.maps if name not in maps})
    p = {k: np.asarray(getattr(circuit, k), dtype=float) for k in circuit.parameter_names()}
    other = circuit.modulate(maps, lists.areas, found, p)
    for key, values in circuit.modulate(maps, tables.areas, expected, p).items():
        np.testing.assert_allclose(other[key], values, rtol=1e-12)


@pytest.mark.slow
def test_five_thousand_areas_run_at_the_cost_of_their_connections(large):
    assert large.listed
    assert large.n_connections == 100 * 5000
    circuit = cx.circuits.ReducedWongWang()
    model = cx.Model(large, circuit, conduction_speed=10.0)
    cx.simulate(cx.Model(small(), circuit), duration=1, every=1)  # compiles
    tracemalloc.start()
    result = cx.simulate(model, duration=10, threads=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.isfinite(result.final_state).all()
    # Measured 37 MB; a single table of bytes would add 25 MB, one of numbers 200 MB.
    assert peak < memory_estimate(model, duration=10) < 50e6
    run = lanes.Lanes(model, (0,), (), ("S",), np.dtype("float64"), 0.5)
    assert len(run._senders) == len(run._delays) == len(run._weights) == large.n_connections
    assert run._starts[-1] == large.n_connections


def test_tables_of_a_large_network_are_refused_with_the_way_out():
    n = 6000
    ring = cx.Connectome.from_connections(
        [f"a{k}" for k in range(n)], np.arange(n), (np.arange(n) + 1) % n, np.ones(n), np.ones(n)
    )
    with pytest.raises(MemoryError, match=r"6000 x 6000 entries.*connectome.matrix\('sln'\).*6000 connections"):
        _ = ring.sln
    assert ring.distance is None
    assert "6000 connections" in repr(ring)
    assert "sum over the sources 1 ... 1" in ring.summary()
    assert ring.normalise("source", exponent=0.5) == ring
    assert ring.lesion(["a0"]).n_connections == n - 2
    assert ring.to_networkx().number_of_edges() == n


def test_weights_that_differ_in_pattern_are_joined():
    rng = np.random.default_rng(0)
    whole = [np.where(rng.random((7, 7)) < 0.3, rng.random((7, 7)), 0.0) for _ in range(3)]
    target, source, laid = lanes._joined([csr_array(m) for m in whole])
    assert len(target) == (whole[0] + whole[1] + whole[2] > 0).sum()
    for matrix, values in zip(whole, laid, strict=True):
        assert np.array_equal(matrix[target, source], values)
        assert values.sum() == pytest.approx(matrix.sum(), rel=1e-14)


def test_a_list_may_come_in_any_order_by_label_or_by_position():
    one = small()
    other = cx.Connectome.from_connections(
        AREAS, [2, 1, 0, 0], [0, 2, 1, 2], [0.7, 0.3, 1.0, 0.0], [1.0, 0.0, 0.5, 0.9], [3.0, 1.0, 2.0, 8.0]
    )
    assert one == other
    assert hash(one) == hash(other)
    assert one != small(distance=(1.0, 2.0, 4.0))
    assert one != small(targets=["C", "A", "B"], sources=["B", "B", "A"])
    assert one != cx.Connectome(one.fln, one.sln)
    assert one.matrix("sln").nnz == 3
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(ValueError, match="read-only"):
        one.matrix("fln").data[0] = 2


def test_what_one_does_to_tables_one_does_to_lists(monkeypatch):
    tables, lists = pair(monkeypatch, n_areas=40)
    chosen = tables.areas[30:5:-1]
    t, s = (int(k[0]) for k in endpoints(lists.matrix("fln")))
    for change in (
        lambda c: c.select(chosen),
        lambda c: c.lesion(tables.areas[3:5], connections=[(tables.areas[t], tables.areas[s])]),
        lambda c: c.shuffle("weights", 1),
        *(lambda c, how=how: c.normalise(how, exponent=0.3) for how in ("target", "source", "maximum", "none")),
    ):
        expected, found = change(tables), change(lists)
        assert found.listed
        assert found.notes == expected.notes
        np.testing.assert_allclose(found.fln, expected.fln, rtol=1e-14)  # sums in another order
        assert np.array_equal(found.sln, expected.sln)
    edges = {(a, b): e for a, b, e in tables.to_networkx().edges(data=True)}
    assert edges == {(a, b): e for a, b, e in lists.to_networkx().edges(data=True)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": ["B", "B", "C"], "sources": ["C", "C", "A"]}, "must stand once, but B <- C stands twice"),
        ({"targets": ["B", "A", "A"]}, "FLN.A <- A. = 0.7, but an area has no connection to itself"),
        ({"targets": ["B", "A", "D"]}, "Unknown area 'D' in `targets`"),
        ({"sources": [0, 1, 3]}, "`sources` must hold positions from 0 to 2, but spans 0 ... 3"),
        ({"sources": ["A", "B"]}, "must agree in length, but have 3 and 2"),
        ({"sln": [0.1, 0.2, 1.2]}, "SLN.C <- A. = 1.2, but an SLN is a fraction"),
        ({"fln": [0.1, -0.2, 0.2]}, "FLN.A <- B. = -0.2, but it must not be negative"),
        ({"fln": [0.1, np.nan, 0.2]}, "FLN.A <- B. = nan, but it must be a finite number"),
        ({"distance": [1.0]}, "distance must have one number for each of 3 connections"),
    ],
)
def test_a_wrong_list_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        small(**changes)


def test_what_needs_every_pair_is_refused_on_a_list(tmp_path):
    with pytest.raises(ValueError, match="no connection A <- C to lesion"):
        small().lesion(connections=[("A", "C")])
    with pytest.raises(ValueError, match="'degree' must have tables"):
        small().shuffle("degree", 0)
    with pytest.raises(ValueError, match="the distance of every pair"):
        write_connectome(small(), tmp_path / "small.npz")
    with pytest.raises(ValueError, match="Unknown matrix 'weights'"):
        small().matrix("weights")
    model = cx.Model(small(distance=None), Linear(), conduction_speed=1.0)
    with pytest.raises(ValueError, match="the connectome has none"):
        cx.simulate(model, duration=1, every=1)
    none = cx.Connectome.from_connections(AREAS, [], [], [], [])
    result = cx.simulate(dataclasses.replace(model, connectome=none, conduction_speed=None), duration=1, every=1)
    np.testing.assert_allclose(result.final_state[0, 0], 0.95**2, rtol=1e-15)
