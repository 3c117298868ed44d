"""A user's own matrices: what readers take, what they refuse, and that what was written comes back."""

import bz2
import gzip
import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from cortexsim.connectome import (
    Connectome,
    from_csv,
    from_graphml,
    from_npz,
    from_tvb_zip,
    load_connectome,
    parsing,
    read_connectome,
    sln_from_hierarchy,
    write_connectome,
)

AREAS = ["A", "1", "C"]
FLN = np.array([[0.0, 0.5, 0.2], [0.1, 0.0, 0.0], [0.3, 0.6, 0.0]])
SLN = np.array([[0.0, 0.1, 0.2], [0.8, 0.0, 0.0], [0.9, 0.7, 0.0]])
DISTANCE = np.array([[0.0, 5.0, 9.0], [5.0, 0.0, 7.0], [9.5, 7.0, 0.0]])
SMALL = Connectome(FLN, SLN, DISTANCE, areas=AREAS, name="small", source="here", notes=["by hand"])

MATRIX = ",A,1,C\nA,0,.5,.2\n1,.1,0,0\nC,.3,.6,0\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "fln.csv").write_text(MATRIX)
    (tmp_path / "sln.csv").write_text(",A,1,C\nC,.9,.7,0\nA,0,.1,.2\n1,.8,0,0\n")
    (tmp_path / "distance.csv").write_text(",A,1,C\nA,0,.5,.9\n1,.5,0,.7\nC,.95,.7,0\n")
    return tmp_path


def write_tvb(path, *, pack=None, **entries):
    files = {
        "weights.txt": text(FLN),
        "centres.txt": "A 0 0 0\n1 1 0 0\nC 2 0 0\n",
        "tract_lengths.txt": text(DISTANCE),
        "areas.txt": "1 2 3",
    } | {f"{stem}.txt": content for stem, content in entries.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            if content is not None:
                archive.writestr(*(pack(name, content.encode()) if pack else (name, content)))
    return path


def text(matrix):
    buffer = io.StringIO()
    np.savetxt(buffer, matrix)
    return buffer.getvalue()


# --- round trips


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".graphml"])
@pytest.mark.parametrize(
    "connectome",
    [
        SMALL,
        replace(SMALL, distance=None),
        SMALL.lesion(["1"]),
        load_connectome("macaque40"),
        Connectome([[0.0]], [[0.0]], areas=["alone"]),
    ],
    ids=["small", "no distance", "lesioned", "macaque40", "single"],
)
def test_what_was_written_comes_back_exactly(tmp_path, connectome, suffix):
    path = tmp_path / f"saved{suffix}"
    write_connectome(connectome, path)
    back = read_connectome(path)
    assert back == connectome
    if suffix != ".csv":
        assert (back.name, back.source) == (connectome.name, connectome.source)
        assert back.notes[:-1] == connectome.notes
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "saved.npz"
    write_connectome(SMALL, path)

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="disk full"):
        write_connectome(SMALL.lesion(["A"]), path)
    assert read_connectome(path) == SMALL
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("function", [read_connectome, lambda path: write_connectome(SMALL, path)])
def test_an_unknown_suffix_is_refused(function):
    with pytest.raises(ValueError, match=r"Unknown kind of file '.cvs'.*did you mean '.csv'"):
        function("connectome.cvs")


# --- CSV


def test_matrix_files_are_joined_by_label_and_say_what_was_taken(folder):
    connectome = read_connectome(
        folder / "fln.csv",
        orientation="target_source",
        sln=folder / "sln.csv",
        distance=folder / "distance.csv",
        distance_unit="cm",
    )
    assert connectome.areas == ("A", "1", "C")
    np.testing.assert_array_equal(connectome.fln, FLN)
    np.testing.assert_array_equal(connectome.sln, SLN)
    np.testing.assert_allclose(connectome.distance, DISTANCE)  # cm to mm rounds
    assert connectome.name == "fln"
    assert connectome.source == str(folder / "fln.csv")
    (note,) = connectome.notes
    assert "target_source" in note
    assert "distances in cm" in note


def test_source_target_matrices_are_transposed(folder):
    connectome = from_csv(folder / "fln.csv", orientation="source_target", sln=folder / "sln.csv")
    np.testing.assert_array_equal(connectome.fln, FLN.T)
    np.testing.assert_array_equal(connectome.sln, SLN.T)


def test_normalisation_is_done_and_noted(folder):
    connectome = from_csv(folder / "fln.csv", orientation="target_source", sln=0.5, normalisation="target")
    np.testing.assert_allclose(connectome.fln.sum("source"), 1)
    assert "SLN 0.5 assumed" in connectome.notes[0]
    assert connectome.notes[1] == "normalise: target, exponent 1"


def test_sln_may_follow_from_a_hierarchy(folder):
    hierarchy = xr.DataArray([0.5, 0.0, 1.0], coords={"area": ["C", "A", "1"]}, dims="area")
    connectome = from_csv(folder / "fln.csv", orientation="target_source", sln=hierarchy)
    expected = sln_from_hierarchy(hierarchy)
    assert connectome.sln.sel(target="1", source="A") == expected.sel(target="1", source="A") > 0.9
    assert connectome.sln.sel(target="A", source="C") == expected.sel(target="A", source="C") < 0.5


def test_a_list_of_connections_needs_no_orientation(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("\ufeffsource;target;SLN;FLN\nB;A;.4;.25\n\nA;C;1;.5\n", encoding="utf-8")
    connectome = from_csv(path, delimiter=";")
    assert connectome.areas == ("A", "C", "B")  # targets first
    assert connectome.fln.sel(target="A", source="B") == 0.25
    assert connectome.sln.sel(target="C", source="A") == 1
    assert connectome.n_connections == 2


def test_a_list_may_take_its_distances_from_a_matrix(folder):
    path = folder / "list.csv"
    path.write_text("target,source,fln,sln\nA,1,.5,.1\nC,A,.3,.9\n")
    connectome = from_csv(path, orientation="source_target", distance=folder / "distance.csv", distance_unit="cm")
    assert connectome.distance.sel(target="A", source="C") == 9.5
    assert connectome.fln.sel(target="A", source="1") == 0.5


def test_a_diagonal_is_dropped_on_request_only(tmp_path):
    path = tmp_path / "fln.csv"
    path.write_text(MATRIX.replace("A,0", "A,7"))
    with pytest.raises(ValueError, match=r"fln.csv: FLN\[A <- A\] = 7"):
        from_csv(path, orientation="target_source", sln=0.5)
    connectome = from_csv(path, orientation="target_source", sln=0.5, drop_diagonal=True)
    np.testing.assert_array_equal(connectome.fln, FLN)
    assert "1 entries on the diagonal dropped" in connectome.notes[0]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (MATRIX, {"sln": 0.5}, "give orientation='target_source'"),
        (MATRIX, {"sln": 0.5, "orientation": "rows"}, "Unknown orientation 'rows'"),
        (MATRIX, {"orientation": "target_source"}, "has no SLN; say where"),
        (MATRIX, {"orientation": "target_source", "sln": 1.5}, r"SLN\[A <- 1\] = 1.5"),
        (MATRIX, {"orientation": "target_source", "sln": 0.5, "distance_unit": "km"}, "unit of distance 'km'"),
        (MATRIX, {"orientation": "target_source", "sln": 0.5, "normalisation": "rows"}, "normalisation 'rows'"),
        (MATRIX.replace(".6", "six"), {}, "line 4, column '1': 'six' is not a number"),
        (MATRIX.replace(".6", "-6"), {"orientation": "target_source", "sln": 0.5}, r"FLN\[C <- 1\] = -6"),
        (MATRIX.replace(".6", "nan"), {"orientation": "target_source", "sln": 0.5}, r"FLN\[C <- 1\] = nan"),
        (MATRIX.replace(",.6", ""), {}, "line 4 has 3 cells, but the header has 4"),
        (MATRIX.replace("C,.3,.6,0\n", ""), {}, "'C' of its header has no line"),
        (MATRIX.replace("C,.3", "V1,.3"), {}, "Unknown area 'V1' in the first column"),
        (MATRIX.replace("C,.3", "A,.3"), {}, "'A' stands twice"),
        (",A\n", {}, "at least one more line"),
        ("", {}, "at least one more line"),
        ('a,"b\nc,d', {}, "line 2"),
        (b"\xff\xfe\x00", {}, "not UTF-8"),
        ("target,source,fln\nA,B,.1\n", {"orientation": "target_source"}, "leave `orientation` out"),
        ("target,source,fln,sln\nA,B,.1,.2\n", {"sln": 0.5}, "has SLN itself"),
        ("target,source,weight\nA,B,.1\n", {"sln": 0.5}, "Unknown column 'weight'"),
        ("target,source,sln\nA,B,.1\n", {}, "must have the column 'fln'"),
        ("target,source,fln\nA,B,.1\nA,B,.2\n", {"sln": 0.5}, "line 3: the connection A <- B stands twice"),
        ("target,source,fln,distance\nA,B,.1,2\n", {"sln": 0.5}, "none for B <- A"),
        ("target,source,fln\nA,B,x\n", {"sln": 0.5}, "line 2, column 'fln': 'x'"),
    ],
)
def test_a_bad_csv_is_refused_by_file_and_line(tmp_path, content, options, message):
    path = tmp_path / "bad.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as error:
        from_csv(path, **options)
    assert "bad.csv" in str(error.value)


def test_a_file_beyond_the_limit_is_refused(folder, monkeypatch):
    monkeypatch.setattr(parsing, "LARGEST", 10)
    with pytest.raises(ValueError, match="the most that is read"):
        from_csv(folder / "fln.csv", orientation="target_source", sln=0.5)


def test_a_missing_file_is_missing():
    with pytest.raises(FileNotFoundError):
        read_connectome("nowhere.csv")


# --- NPZ


def test_a_users_npz_needs_an_orientation(tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, fln=FLN, sln=SLN, distance=DISTANCE / 1000, areas=AREAS)
    with pytest.raises(ValueError, match="orientation="):
        from_npz(path)
    connectome = from_npz(path, orientation="target_source", distance_unit="m")
    assert connectome == replace(SMALL, distance=DISTANCE / 1000 * 1000)


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"fln": FLN}, {}, r"must hold the arrays 'fln' and 'areas', but holds \['fln'\]"),
        ({"fln": FLN, "areas": np.array(AREAS, dtype=object)}, {}, "pickled objects are refused"),
        ({"fln": FLN.astype(str), "areas": AREAS}, {"sln": 0.5}, "matrix of numbers"),
        ({"fln": FLN.ravel(), "areas": AREAS}, {"sln": 0.5}, "matrix of numbers"),
        ({"fln": FLN[:2], "areas": AREAS}, {"sln": 0.5}, "must be square"),
        ({"fln": FLN, "areas": ["A", "A", "B"]}, {"sln": 0.5}, "'A' stands twice"),
        ({"fln": FLN, "areas": AREAS, "orientation": "source_target"}, {"sln": 0.5}, "leave `orientation` out"),
    ],
)
def test_a_bad_npz_is_refused(tmp_path, arrays, options, message):
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=message) as error:
        from_npz(path, orientation="target_source", **options)
    assert "bad.npz" in str(error.value)


def test_what_is_no_npz_is_refused(tmp_path):
    path = tmp_path / "bad.npz"
    path.write_bytes(b"\x80\x04N.")  # a pickle
    with pytest.raises(ValueError, match=r"bad.npz can't be read as NPZ"):
        from_npz(path)


# --- GraphML


def test_a_users_graphml_needs_only_weights(tmp_path):
    path = tmp_path / "own.graphml"
    path.write_text(
        """<?xml version="1.0"?><graphml xmlns="http://graphml.graphdrawing.org/xmlns">
        <key id="w" for="edge" attr.name="weight" attr.type="double"/><graph edgedefault="directed">
        <node id="A"/><node id="B"/><edge source="A" target="B"><data key="w">0.3</data></edge></graph></graphml>"""
    )
    connectome = from_graphml(path, fln="weight", sln=0.5, name="mine")
    assert connectome.fln.sel(target="B", source="A") == 0.3
    assert connectome.name == "mine"
    assert "edges run from source to target" in connectome.notes[0]
    with pytest.raises(ValueError, match=r"own.graphml: The edge 'A' -> 'B' of the graph has no 'fln'"):
        from_graphml(path)


def test_graphml_distances_are_converted_to_mm(tmp_path):
    write_connectome(SMALL, tmp_path / "small.graphml")
    connectome = read_connectome(tmp_path / "small.graphml", distance_unit="cm")
    np.testing.assert_array_equal(connectome.distance, DISTANCE * 10)


@pytest.mark.parametrize("content", ["no xml", "<a/>", '<!DOCTYPE x [<!ENTITY y "z">]><graphml/>'])
def test_what_is_no_graphml_is_refused(tmp_path, content):
    path = tmp_path / "bad.graphml"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"bad.graphml"):
        from_graphml(path)


# --- The Virtual Brain


@pytest.mark.parametrize(
    "pack",
    [
        None,
        lambda name, content: (f"connectivity/{name}.bz2", bz2.compress(content)),
        lambda name, content: (f"{name}.gz", gzip.compress(content)),
    ],
    ids=["plain", "bz2", "gz"],
)
def test_tvb_weights_have_targets_in_rows(tmp_path, pack):
    connectome = read_connectome(write_tvb(tmp_path / "tvb.zip", pack=pack), sln=SMALL.sln)
    assert connectome == SMALL
    assert "TVB weights, orientation target_source, distances in mm" in connectome.notes[0]


def test_tvb_tract_lengths_may_be_absent(tmp_path):
    path = write_tvb(tmp_path / "tvb.zip", tract_lengths=None)
    assert from_tvb_zip(path, sln=0.5).distance is None


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"weights": None}, "has no entry weights.txt"),
        ({"centres": None}, "has no entry centres.txt"),
        ({"weights": "0 1\n1 0\n"}, "must be 3 x 3"),
        ({"weights": "0 1 2\n# comment\n1 x 0\n1 0 0"}, "weights.txt, line 3, column 2: 'x' is not a number"),
        ({"tract_lengths": text(-DISTANCE)}, r"distance\[A <- 1\] = -5"),
        ({"centres": "A 0 0 0\nA 1 0 0\nC 2 0 0\n"}, "'A' stands twice"),
    ],
)
def test_a_bad_tvb_zip_is_refused_by_entry(tmp_path, entries, message):
    path = write_tvb(tmp_path / "tvb.zip", **entries)
    with pytest.raises(ValueError, match=message) as error:
        from_tvb_zip(path, sln=0.5)
    assert "tvb.zip" in str(error.value)


def test_tvb_needs_a_choice_of_sln(tmp_path):
    with pytest.raises(ValueError, match="has no SLN"):
        from_tvb_zip(write_tvb(tmp_path / "tvb.zip"))


def test_a_zip_that_unpacks_beyond_the_limit_is_refused(tmp_path, monkeypatch):
    bomb = write_tvb(tmp_path / "tvb.zip", pack=lambda name, _: (f"{name}.bz2", bz2.compress(b"0 " * 10**4)))
    monkeypatch.setattr(parsing, "LARGEST", 10**4)
    with pytest.raises(ValueError, match=r"tvb.zip, weights.txt.bz2 holds more than"):
        from_tvb_zip(bomb, sln=0.5)


def test_what_is_no_zip_is_refused(tmp_path):
    path = tmp_path / "bad.zip"
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"bad.zip is not a zip file"):
        from_tvb_zip(path, sln=0.5)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights.txt.gz", b"not gzip")
    with pytest.raises(ValueError, match=r"weights.txt.gz can't be unpacked"):
        from_tvb_zip(path, sln=0.5)
