"""Connectome: what it refuses, what it keeps, and the macaque connectomes."""

import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from cortexsim import datasets
from cortexsim.connectome import Connectome, fln_and_sln, load_connectome, null_models, single_area

AREAS = ("A", "B", "C")
FLN = np.array([[0.0, 0.5, 0.2], [0.1, 0.0, 0.0], [0.3, 0.6, 0.0]])
SLN = np.array([[0.0, 0.1, 0.2], [0.8, 0.0, 0.0], [0.9, 0.7, 0.0]])
DISTANCE = np.array([[0.0, 5.0, 9.0], [5.0, 0.0, 7.0], [9.5, 7.0, 0.0]])


@pytest.fixture(scope="module")
def macaque() -> Connectome:
    return load_connectome("macaque40")


@pytest.fixture
def small() -> Connectome:
    return Connectome(FLN, SLN, DISTANCE, areas=AREAS, name="small", source="here", notes=["by hand"])


def labelled(values, target=AREAS, source=AREAS):
    return xr.DataArray(values, coords={"target": list(target), "source": list(source)}, dims=("target", "source"))


def changed(matrix, target, source, value):
    matrix = matrix.copy()
    matrix[AREAS.index(target), AREAS.index(source)] = value
    return matrix


# --- macaque40


def test_999_of_1560_connections_exist(macaque):
    assert macaque.n_areas == 40
    assert macaque.n_connections == 999
    assert macaque.density == 999 / 1560


def test_areas_stand_in_hierarchical_order(macaque):
    assert macaque.areas[:4] == ("V1", "V2", "V4", "1")
    assert macaque.areas[-1] == "OPRO"
    assert tuple(macaque.fln.target.values) == tuple(macaque.fln.source.values) == macaque.areas


def test_all_injections_together_labelled_11874493_neurons():
    counts = datasets.table("markov2014/tracing_counts")
    assert counts[["supragranular", "infragranular"]].to_numpy().sum() == 11_874_493
    assert (counts["target"] != counts["source"]).all()  # labelling within the area is not in the table


def test_fln_rows_sum_to_one_over_all_91_sources():
    counts = datasets.table("markov2014/tracing_counts")
    fln, sln = fln_and_sln(counts)
    assert fln.shape == (40, 89)  # PIR and SUB, of the 91, are never labelled
    np.testing.assert_allclose(fln.sum(axis=1), 1, rtol=1e-14)  # rounding of 89 summands
    assert sln.to_numpy().min() == 0
    assert sln.to_numpy().max() == 1


def test_fln_of_the_block_is_not_renormalised(macaque):
    sums = macaque.fln.sum("source")
    assert sums.min().item() == pytest.approx(0.102, abs=5e-4)  # published to three digits
    assert sums.max().item() == pytest.approx(0.954, abs=5e-4)
    assert macaque.fln.values[macaque.fln.values > 0].min() == pytest.approx(1.7e-6, rel=0.05)  # two digits
    assert macaque.fln.max().item() == pytest.approx(0.758, abs=5e-4)


def test_compressed_and_layered_weights_agree_with_the_published_checksums(macaque):
    # Published with twelve digits after the point; rows are targets, so a transposed matrix fails here.
    compressed = macaque.fln**0.3
    weights = macaque.normalise("target", exponent=0.3)
    up, down = weights.fln * weights.sln, weights.fln * (1 - weights.sln)
    assert compressed.sum().item() == pytest.approx(181.905664338269, abs=1e-11)
    assert up.sum().item() == pytest.approx(19.834772789166, abs=1e-11)
    assert down.sum().item() == pytest.approx(20.165227210834, abs=1e-11)
    assert up.sel(target="8m").sum().item() == pytest.approx(0.338317099965, abs=1e-11)


def test_repeated_injections_are_averaged_with_zeros_included():
    counts = pd.DataFrame(
        [(1, "A", "B", 30, 10), (1, "A", "C", 10, 50), (2, "A", "B", 10, 30), (2, "A", "A", 500, 500)],
        columns=["case", "target", "source", "supragranular", "infragranular"],
    )
    fln, sln = fln_and_sln(counts)  # means: B 20 + 20, C 5 + 25; within A dropped
    assert fln.loc["A"].to_dict() == pytest.approx({"B": 40 / 70, "C": 30 / 70})
    assert sln.loc["A"].to_dict() == pytest.approx({"B": 0.5, "C": 1 / 6})


def test_distances_are_complete_and_in_mm(macaque):
    apart = ~np.eye(40, dtype=bool)
    assert macaque.distance.attrs["units"] == "mm"
    assert macaque.distance.values[apart].min() == 5.0
    assert macaque.distance.values[apart].max() == 58.2


def test_source_names_paper_and_licence(macaque):
    assert "10.1093/cercor/bhs270" in macaque.source
    assert "CC BY-NC" in macaque.source


@pytest.mark.slow
def test_digest_is_the_same_in_another_process(macaque):
    code = "from cortexsim.connectome import load_connectome; print(load_connectome('macaque40').digest)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == macaque.digest


def test_unknown_connectome_suggests_a_known_one():
    with pytest.raises(ValueError, match="did you mean 'macaque40'"):
        load_connectome("macaque")


# --- macaque29, macaque30, one area


def test_29_areas_have_536_connections_and_rows_that_are_not_renormalised():
    smaller = load_connectome("macaque29")
    assert (smaller.n_areas, smaller.n_connections) == (29, 536)
    sums = smaller.fln.sum("source")
    assert sums.min().item() == pytest.approx(0.158, abs=5e-4)  # published to three digits
    assert sums.max().item() == pytest.approx(0.956, abs=5e-4)
    assert (smaller.areas[0], smaller.areas[-1]) == ("V1", "24c")


def test_rows_of_the_29_areas_receive():
    # V1 receives feedback from V2, so SLN is below 1/2; the other way FLN is .764 and SLN .736.
    smaller = load_connectome("macaque29")
    assert smaller.fln.sel(target="V1", source="V2").item() == 0.732157206186
    assert smaller.sln.sel(target="V1", source="V2").item() == 0.420794740528


def test_30_areas_are_the_29_and_lip():
    larger, smaller = load_connectome("macaque30"), load_connectome("macaque29")
    assert larger.select(smaller.areas) == smaller  # FLN, SLN and distances, bit by bit
    assert set(larger.areas) - set(smaller.areas) == {"LIP"}
    assert larger.n_connections == 536 + 24 + 28


def test_distances_of_lip_are_those_of_the_40_areas(macaque):
    larger = load_connectome("macaque30")
    for end in ("target", "source"):
        ours, theirs = (cortex.distance.sel({end: "LIP"}) for cortex in (larger, macaque.select(larger.areas)))
        np.testing.assert_array_equal(ours, theirs)


def test_sources_of_the_smaller_connectomes_name_the_tables_read():
    assert "10.1016/j.neuron.2015.09.008; MIT" in load_connectome("macaque29").source
    for part in ("10.1016/j.neuron.2015.09.008; MIT", "10.7554/eLife.72136", "10.1093/cercor/bhs270; CC BY-NC 4.0"):
        assert load_connectome("macaque30").source.count(part) == 1


def test_single_area_has_a_name_and_no_connection():
    alone = single_area("V1")
    assert (alone.areas, alone.n_connections, alone.density) == (("V1",), 0, 0.0)
    assert alone.distance.item() == 0.0
    assert single_area().areas == ("area",)


# --- what a connectome is


def test_equal_numbers_make_equal_connectomes(small):
    same = Connectome(FLN, SLN, DISTANCE, areas=AREAS, name="another name")
    assert same == small
    assert hash(same) == hash(small)
    assert len({same, small}) == 1
    assert Connectome(np.where(FLN == 0, -0.0, FLN), SLN, DISTANCE, areas=AREAS) == small


@pytest.mark.parametrize(
    "other",
    [
        Connectome(FLN, SLN, areas=AREAS),
        Connectome(changed(FLN, "A", "B", 0.5000001), SLN, DISTANCE, areas=AREAS),
        Connectome(FLN, changed(SLN, "A", "B", 0.11), DISTANCE, areas=AREAS),
        Connectome(FLN, SLN, DISTANCE, areas=("A", "B", "D")),
    ],
)
def test_other_numbers_or_labels_make_another_connectome(small, other):
    assert other != small
    assert other.digest != small.digest


def test_arrays_and_fields_are_read_only(small):
    with pytest.raises(ValueError, match="read-only"):
        small.fln[0, 1] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        small.distance.values[0, 1] = 1.0
    with pytest.raises(FrozenInstanceError):
        small.name = "other"


def test_the_callers_array_stays_his_own():
    fln = FLN.copy()
    connectome = Connectome(fln, SLN, areas=AREAS)
    fln[0, 1] = 0.9
    assert connectome.fln.values[0, 1] == 0.5


def test_pickling_keeps_everything_and_read_only(small):
    back = pickle.loads(pickle.dumps(small))
    assert back == small
    assert (back.name, back.source, back.notes) == (small.name, small.source, small.notes)
    assert not back.fln.values.flags.writeable


def test_arrays_carry_units_and_names(small):
    for array in (small.fln, small.sln, small.distance):
        assert array.dims == ("target", "source")
        assert array.attrs["units"] in ("1", "mm")
        assert array.attrs["long_name"]


def test_matrices_are_joined_by_label_whatever_their_order(small):
    order = ("C", "A", "B")
    sln = labelled(SLN).sel(target=list(order), source=["B", "C", "A"]).transpose("source", "target")
    assert Connectome(labelled(FLN), sln, labelled(DISTANCE).sel(target=list(order))) == small
    turned = Connectome(labelled(FLN), sln, areas=order)
    assert turned.areas == order
    assert turned.fln.sel(target="A", source="B") == 0.5


def test_sln_is_kept_only_where_a_connection_exists():
    connectome = Connectome(FLN, np.full((3, 3), 0.5), areas=AREAS)
    np.testing.assert_array_equal(connectome.sln.values, np.where(FLN > 0, 0.5, 0.0))


@pytest.mark.parametrize(
    ("matrices", "message"),
    [
        ({"fln": changed(FLN, "B", "A", np.nan)}, r"FLN\[B <- A\] = nan.*finite"),
        ({"fln": changed(FLN, "B", "A", np.inf)}, r"FLN\[B <- A\] = inf.*finite"),
        ({"fln": changed(FLN, "B", "A", -0.1)}, r"FLN\[B <- A\] = -0.1.*negative"),
        ({"fln": changed(FLN, "B", "B", 0.2)}, r"FLN\[B <- B\] = 0.2.*itself"),
        ({"fln": FLN[:2]}, r"FLN must be square.*\(2, 3\)"),
        ({"fln": FLN.ravel()}, r"FLN must be square.*\(9,\)"),
        ({"sln": changed(SLN, "A", "C", 1.2)}, r"SLN\[A <- C\] = 1.2.*0 ... 1"),
        ({"sln": changed(SLN, "A", "C", -0.2)}, r"SLN\[A <- C\] = -0.2"),
        ({"sln": changed(SLN, "B", "C", np.nan)}, r"SLN\[B <- C\] = nan"),
        ({"distance": changed(DISTANCE, "A", "C", -1.0)}, r"distance\[A <- C\] = -1"),
        ({"distance": changed(DISTANCE, "C", "C", 1.0)}, r"distance\[C <- C\] = 1.*0 mm"),
        ({"distance": changed(DISTANCE, "A", "C", np.nan)}, r"distance\[A <- C\] = nan"),
        ({"sln": labelled(SLN, target=("A", "B", "V1"))}, "Unknown area 'V1' in SLN"),
        ({"sln": labelled(SLN, source=("A", "B", "B"))}, r"SLN \(source\).*'B' stands twice"),
        ({"sln": labelled(SLN)[:2]}, "SLN has no target 'C'"),
        ({"fln": labelled(FLN)[:, :2]}, "FLN has no source 'C'"),
        ({"distance": labelled(DISTANCE).drop_vars("source")}, "distance must have area labels along source"),
        ({"sln": labelled(SLN).rename(source="from")}, "SLN must have the dimensions target and source"),
        ({"areas": ("A", "B", "A")}, "'A' stands twice"),
        ({"areas": None}, "or come with `areas`"),
    ],
)
def test_a_bad_matrix_is_refused_by_its_entry(matrices, message):
    with pytest.raises(ValueError, match=message):
        Connectome(**{"fln": FLN, "sln": SLN, "distance": DISTANCE, "areas": AREAS} | matrices)


def test_an_error_counts_the_other_bad_entries():
    with pytest.raises(ValueError, match="8 more entries"):
        Connectome(FLN - 1, SLN, areas=AREAS)


def test_what_holds_no_labelled_numbers_is_refused():
    with pytest.raises(TypeError, match="real numbers"):
        Connectome(FLN.astype(str), SLN, areas=AREAS)
    with pytest.raises(TypeError, match=r"DataFrame.*dims"):
        Connectome(pd.DataFrame(FLN), SLN, areas=AREAS)
    with pytest.raises(TypeError, match="single str 'ABC'"):
        Connectome(FLN, SLN, areas="ABC")


def test_summary_tells_areas_density_and_digest(macaque):
    for text in (macaque.summary(), macaque._repr_html_()):
        assert "macaque40" in text
        assert "999 of 1560 (64.0%)" in text
        assert macaque.digest in text
    assert repr(macaque).startswith("<Connectome macaque40: 40 areas, 999 connections (64.0%)")


def test_html_escapes_names():
    assert "<script>" not in Connectome(FLN, SLN, areas=("A", "B", "<script>"))._repr_html_()


# --- methods


def test_select_keeps_the_given_order_and_the_numbers(small):
    chosen = small.select(["C", "A"])
    assert chosen.areas == ("C", "A")
    np.testing.assert_array_equal(chosen.fln, [[0, 0.3], [0.2, 0]])
    np.testing.assert_array_equal(chosen.sln, [[0, 0.9], [0.2, 0]])
    np.testing.assert_array_equal(chosen.distance, [[0, 9.5], [9, 0]])
    assert small.select(small.areas) == small


def test_lesioned_area_neither_sends_nor_receives(small):
    lesioned = small.lesion(["A"])
    assert lesioned.areas == small.areas
    for matrix in (lesioned.fln, lesioned.sln):
        assert not matrix.sel(target="A").any()
        assert not matrix.sel(source="A").any()
    assert lesioned.fln.sel(target="C", source="B") == 0.6
    assert lesioned.distance.equals(small.distance)


def test_lesioned_connection_is_cut_one_way(small):
    lesioned = small.lesion(connections=[("A", "C")])
    assert lesioned.n_connections == small.n_connections - 1
    assert lesioned.fln.sel(target="A", source="C") == 0
    assert lesioned.fln.sel(target="C", source="A") == 0.3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: c.select(["A", "D"]), "Unknown area 'D' in select"),
        (lambda c: c.select(["A", "A"]), "'A' stands twice"),
        (lambda c: c.select([]), "at least one area"),
        (lambda c: c.lesion(["D"]), "Unknown area 'D' in lesion"),
        (lambda c: c.lesion(connections=[("A", "D")]), "Unknown area 'D' in lesion"),
        (lambda c: c.lesion(connections=[("B", "C")]), "no connection B <- C"),
        (lambda c: c.lesion(), "neither"),
        (lambda c: c.normalise("row"), "Unknown normalisation 'row'"),
        (lambda c: c.normalise(exponent=0), "`exponent` must be positive"),
        (lambda c: c.shuffle("degrees", 0), "did you mean 'degree'"),
        (lambda c: c.shuffle("degree", -1), "`seed` must be at least 0"),
    ],
)
def test_methods_name_what_is_wrong(small, call, message):
    with pytest.raises(ValueError, match=message):
        call(small)


def test_normalise_makes_the_named_sums_one(small):
    np.testing.assert_allclose(small.normalise("target").fln.sum("source"), 1)
    np.testing.assert_allclose(small.normalise("source").fln.sum("target"), 1)
    assert small.normalise("maximum").fln.max() == 1
    np.testing.assert_array_equal(small.normalise("none", exponent=2).fln, FLN**2)
    np.testing.assert_allclose(
        small.normalise(exponent=0.3).fln[0], [0, *(np.array([0.5, 0.2]) ** 0.3)] / np.sum(FLN[0, 1:] ** 0.3)
    )
    assert small.normalise(exponent=0.3).sln.equals(small.sln)


def test_an_area_without_input_keeps_its_zeros_when_normalised(small):
    np.testing.assert_array_equal(small.lesion(["A"]).normalise().fln.sum("source"), [0, 0, 1])


def test_methods_leave_a_note(small):
    notes = small.select(["A", "B"]).lesion(connections=[("A", "B")]).notes
    assert notes == ("by hand", "select: 2 of 3 areas", "lesion: A <- B")


@pytest.mark.parametrize("model", ["weights", "connections", "degree"])
def test_shuffles_keep_pairs_and_depend_on_the_seed_alone(macaque, model):
    shuffled = macaque.shuffle(model, 1)
    assert shuffled == macaque.shuffle(model, 1)
    assert len({shuffled, macaque, macaque.shuffle(model, 2)}) == 3
    assert pairs(shuffled) == pairs(macaque)
    assert not np.diag(shuffled.fln).any()
    assert shuffled.distance.equals(macaque.distance)


def pairs(connectome):
    return sorted(zip(connectome.fln.values.ravel(), connectome.sln.values.ravel(), strict=True))


def test_weight_shuffle_keeps_the_graph(macaque):
    assert ((macaque.shuffle("weights", 0).fln > 0) == (macaque.fln > 0)).all()


def test_connection_shuffle_overlaps_only_by_chance(macaque):
    # Of 1560 entries 999 are filled twice at random: 640 in common, standard deviation 9.
    shuffled = [macaque.shuffle("connections", seed).fln.values > 0 for seed in range(20)]
    common = np.mean([(graph & (macaque.fln.values > 0)).sum() for graph in shuffled])
    assert abs(common - 999**2 / 1560) < 4 * 9 / np.sqrt(20)


def test_degree_shuffle_keeps_degrees_and_row_values_exactly(macaque):
    shuffled = macaque.shuffle("degree", 0)
    old, new = macaque.fln.values, shuffled.fln.values
    np.testing.assert_array_equal((new > 0).sum(axis=1), (old > 0).sum(axis=1))
    np.testing.assert_array_equal((new > 0).sum(axis=0), (old > 0).sum(axis=0))
    np.testing.assert_array_equal(np.sort(new, axis=1), np.sort(old, axis=1))


@pytest.mark.slow
def test_degree_shuffle_reaches_every_graph_of_the_degrees_equally_often():
    # Four areas, each with one input and one output: 9 graphs without self-connections (derangements).
    ring = np.roll(np.eye(4), 1, axis=1)
    shuffle = null_models.MODELS["degree"]
    found = [shuffle(ring, ring, np.random.default_rng(seed))[0].tobytes() for seed in range(450)]
    _, counts = np.unique(found, return_counts=True)
    assert len(counts) == 9
    assert counts.min() > 50 - 4 * 6.7  # binomial, p 1/9: 50 ± 6.7
    assert counts.max() < 50 + 4 * 6.7


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("model", ["weights", "connections", "degree"])
def test_tiny_connectomes_can_be_shuffled(n, model):
    full = 1.0 - np.eye(n)
    connectome = Connectome(full, 0.5 * full, areas=[f"area{i}" for i in range(n)])
    assert connectome.shuffle(model, 0) == connectome


# --- networkx


def test_networkx_round_trip_is_exact(macaque, small):
    for connectome in (macaque, small, replace(small, distance=None), small.lesion(["B"])):
        back = Connectome.from_networkx(connectome.to_networkx())
        assert back == connectome
        assert (back.name, back.source, back.notes) == (connectome.name, connectome.source, connectome.notes)


def test_networkx_edges_run_from_source_to_target(small):
    graph = small.to_networkx()
    assert list(graph.nodes) == ["A", "B", "C"]
    assert graph.edges["B", "A"] == {"fln": 0.5, "sln": 0.1, "distance": 5.0}
    assert not graph.has_edge("C", "B")


def test_networkx_graph_may_be_changed_and_cut(small):
    graph = small.to_networkx()
    graph.edges["B", "A"]["distance"] = 6.0
    graph.remove_node("C")
    assert Connectome.from_networkx(graph).distance.sel(target="A", source="B") == 6.0


def test_a_users_graph_needs_only_weights():
    graph = nx.DiGraph()
    graph.add_edge("A", "B", weight=0.3)
    connectome = Connectome.from_networkx(graph, fln="weight", sln=0.5)
    assert connectome.fln.sel(target="B", source="A") == 0.3
    assert connectome.sln.sel(target="B", source="A") == 0.5
    assert connectome.distance is None


def test_bad_graphs_are_refused():
    graph = nx.DiGraph()
    graph.add_edge("A", "B", fln=0.3, sln=0.5, distance=4.0)
    with pytest.raises(ValueError, match="no distance A <- B"):
        Connectome.from_networkx(graph)
    assert Connectome.from_networkx(graph, distance=None).distance is None
    with pytest.raises(ValueError, match="edge 'A' -> 'B' of the graph has no 'weight'"):
        Connectome.from_networkx(graph, fln="weight")
    graph.edges["A", "B"]["fln"] = "strong"
    with pytest.raises(TypeError, match=r"'fln' of the edge 'A' -> 'B'.*'strong'"):
        Connectome.from_networkx(graph)
    with pytest.raises(TypeError, match="to_directed"):
        Connectome.from_networkx(nx.Graph([("A", "B")]))
