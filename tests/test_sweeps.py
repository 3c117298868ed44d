"""Sweeps: the same bytes whatever the chunks, workers, order and kills; failed points told; changed code noticed."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import cortexsim as cx
from cortexsim.sweeps import Simulation, collect, failed_points, prepare, resume, run_chunk, status, sweep
from cortexsim.sweeps.axes import check_axes
from cortexsim.sweeps.digest import digest
from cortexsim.sweeps.folder import read_folder
from cortexsim.sweeps.reference import read_sweep

ROOT = Path(__file__).resolve().parents[1]
AXES = {"x": [1, 2, 3], "y": [0.5, 2.5], "name": ["a", "b"]}


def table(x: int, y: float, name: str) -> xr.Dataset:
    """A point of every kind of value: arrays, numbers, texts, booleans, with attributes that differ and that don't."""
    wave = xr.DataArray(np.sin(np.arange(4) * x * y), dims="t", coords={"t": [0.0, 1, 2, 3]}, attrs={"units": "Hz"})
    return xr.Dataset({"wave": wave, "n": x, "label": f"{name}{x}", "large": y > 1}, attrs={"made_by": "table", "x": x})


def fails_at_two(x: int, y: float, name: str) -> xr.Dataset:
    if x == 2 and y > 1:
        raise ValueError(f"no value for {name}")
    return table(x, y, name)


@pytest.fixture(scope="module")
def whole() -> xr.Dataset:
    return sweep(table, AXES)


def quietly(*args: Any, **options: Any) -> xr.Dataset:
    """Sweep without the warning that points failed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* points failed")
        return sweep(*args, **options)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


# --- What comes back -------------------------------------------------------------------------------------------------


def test_axes_become_coordinates_before_the_dimensions_that_points_have(whole: xr.Dataset) -> None:
    assert whole.wave.dims == ("x", "y", "name", "t")
    assert whole.label.dims == ("x", "y", "name")
    for name, values in AXES.items():
        assert whole[name].values.tolist() == values
    assert whole.wave.attrs == {"units": "Hz"}
    assert whole.attrs == {"made_by": "table", "failed": "[]"}  # `x` differs between points
    assert (whole.n.dtype, whole.large.dtype, whole.label.dtype.kind) == (np.int64, np.bool_, "U")


def test_each_point_stands_at_its_own_place(whole: xr.Dataset) -> None:
    for x in AXES["x"]:
        for y in AXES["y"]:
            for name in AXES["name"]:
                here = whole.sel(x=x, y=y, name=name)
                assert here.wave.values.tobytes() == table(x, y, name).wave.values.tobytes()
                assert (here.n, here.label, here.large) == (x, f"{name}{x}", y > 1)


def test_numbers_dicts_and_arrays_may_be_returned() -> None:
    assert sweep(lambda x: 2 * x, {"x": range(3)}).value.values.tolist() == [0, 2, 4]
    both = sweep(lambda x: {"sum": x + 1, "half": x / 2}, {"x": np.arange(3)})
    assert (both["sum"].values.tolist(), both.half.values.tolist()) == ([1, 2, 3], [0, 0.5, 1])
    array = sweep(lambda x: xr.DataArray([x, x * x], dims="power", name="powers"), {"x": [2.0, 3.0]})
    assert array.powers.values.tolist() == [[2, 4], [3, 9]]


def test_whole_numbers_beside_fractions_become_floats_for_all() -> None:
    assert sweep(lambda x: 1 if x == 0 else x / 2, {"x": [0, 1]}, chunk=1).value.values.tolist() == [1.0, 0.5]


@pytest.mark.parametrize(
    "options",
    [{"chunk": 1}, {"chunk": 5}, {"chunk": 100}, {"workers": 2, "engine": "threads", "chunk": 1}],
    ids=["1", "5", "all", "threads"],
)
def test_the_result_is_the_same_whatever_chunks_and_workers(whole: xr.Dataset, tmp_path: Path, options: Any) -> None:
    again = sweep(table, AXES, folder=tmp_path / "s", **options)
    xr.testing.assert_identical(again, whole)
    for name in ("wave", "n", "label", "large"):
        assert again[name].values.tobytes() == whole[name].values.tobytes()
    xr.testing.assert_identical(collect(tmp_path / "s"), whole)


@pytest.mark.slow
def test_worker_processes_write_the_same_files_as_one_process(tmp_path: Path) -> None:
    one = quietly(fails_at_two, AXES, folder=tmp_path / "one", chunk=5)
    two = quietly(fails_at_two, AXES, folder=tmp_path / "two", chunk=5, workers=2)
    xr.testing.assert_identical(one, two)
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


# --- Points that fail ------------------------------------------------------------------------------------------------


def test_a_point_that_raises_is_nan_and_listed_and_the_others_are_as_they_were(whole: xr.Dataset) -> None:
    with pytest.warns(RuntimeWarning, match="2 of 12 points failed and are NaN, the first .x=2, y=2.5, name='a'. with"):
        result = sweep(fails_at_two, AXES, chunk=5)
    bad = (result.x == 2) & (result.y == 2.5)
    assert bool((result.wave.isnull() == bad).all())
    assert bool((result.n.isnull() == bad).all())
    assert result.label.sel(x=2, y=2.5).values.tolist() == ["", ""]
    for name in ("wave", "n", "label"):
        assert result[name].where(~bad, drop=True).equals(whole[name].astype(result[name].dtype).where(~bad, drop=True))
    listed = failed_points(result)
    assert listed.to_dict("records")[1] == {
        "x": 2, "y": 2.5, "name": "b", "error": "ValueError", "message": "no value for b",
        "where": f"test_sweeps.py, line {fails_at_two.__code__.co_firstlineno + 2}",
    }  # fmt: skip
    assert len(failed_points(whole)) == 0


def test_on_error_raise_ends_the_sweep_at_the_point(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"The point \(x=2, y=2.5, name='a'\) failed: ValueError: no value for a"):
        sweep(fails_at_two, AXES, on_error="raise")
    quietly(fails_at_two, AXES, folder=tmp_path / "s")
    with pytest.raises(RuntimeError, match=r"The point \(x=2, y=2.5, name='a'\) failed"):
        sweep(fails_at_two, AXES, folder=tmp_path / "s", on_error="raise")


def test_a_sweep_of_nothing_but_failures_says_why() -> None:
    with pytest.raises(RuntimeError, match=r"All 2 points failed, the first \(x=1\) with ZeroDivisionError"):
        sweep(lambda x: x / 0, {"x": [1, 2]})


def test_failed_points_are_computed_again_on_request_only(tmp_path: Path) -> None:
    broken, log = tmp_path / "broken", tmp_path / "log"
    broken.touch()

    def function(x: int) -> int:
        with log.open("a") as file:
            file.write(f"{x} ")
        if broken.exists() and x in (1, 2):
            raise OSError("the disk is away")
        return x

    options = {"folder": tmp_path / "s", "chunk": 3}
    first = quietly(function, {"x": range(6)}, **options)
    assert len(failed_points(first)) == 2
    broken.unlink()
    xr.testing.assert_identical(quietly(function, {"x": range(6)}, **options), first)
    assert log.read_text() == "0 1 2 3 4 5 "
    result = sweep(function, {"x": range(6)}, **options, retry_failed=True)
    assert log.read_text() == "0 1 2 3 4 5 1 2 "
    xr.testing.assert_identical(result, sweep(function, {"x": range(6)}))
    xr.testing.assert_identical(result, collect(tmp_path / "s"))


def test_points_of_different_shapes_are_refused_with_both_points() -> None:
    for function, message in (
        (lambda x: xr.DataArray(np.zeros(x), dims="t", name="a"), r"\(x=2\) and \(x=1\) .* 'a' as \(t: 2\) .*\(t: 1\)"),
        (lambda x: {"a": 1} if x == 1 else {"b": 1}, "'b' and the other not"),
        (lambda x: x if x == 1 else "two", "as <U3 and the other as int64"),
        (lambda x: xr.DataArray([0.0], {"t": [x]}, name="a"), "the coordinate 't' with other values"),
    ):
        for chunk in (1, 2):
            with pytest.raises(ValueError, match=message):
                sweep(function, {"x": [1, 2]}, chunk=chunk)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "must return a number, a dict of numbers, a DataArray or a Dataset, but returned NoneType"),
        (np.zeros(3), "but returned ndarray; give arrays their dimensions"),
        ({"a": [1, 2]}, "but returned dict with list"),
        (object(), "must return numbers, texts or times, but 'value' has dtype object"),
        (xr.DataArray([1], {"x": [3]}), "must not use the name of an axis, but has 'x'"),
    ],
)
def test_what_a_point_can_not_return_is_its_error(returned: Any, message: str) -> None:
    result = quietly(lambda x: returned if x else 1.0, {"x": [0, 1]})
    assert message in failed_points(result).message[0]


# --- Resuming --------------------------------------------------------------------------------------------------------


def test_finished_chunks_are_not_computed_again(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def function(x: int) -> int:
        with log.open("a") as file:
            file.write(f"{x} ")
        return x * x

    expected = sweep(function, {"x": range(7)}, folder=tmp_path / "s", chunk=2)
    log.unlink()
    (tmp_path / "s" / "chunk-00002.npz").unlink()
    xr.testing.assert_identical(sweep(function, {"x": range(7)}, folder=tmp_path / "s"), expected)
    assert log.read_text() == "4 5 "


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "foreign"])
def test_a_damaged_chunk_is_noticed_and_computed_again(tmp_path: Path, damage: str) -> None:
    expected = sweep(table, AXES, folder=tmp_path / "s", chunk=3)
    before = bytes_of(tmp_path / "s")
    file = tmp_path / "s" / "chunk-00001.npz"
    content = bytearray(before[file.name])
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "empty":
        content = bytearray()
    elif damage == "flipped":
        at = content.find(np.sin(1 * 2.5).tobytes())  # a value of the wave of the chunk's first point
        assert at > 0
        content[at] ^= 1
    else:
        sweep(lambda x: x, {"x": range(12)}, folder=tmp_path / "other", chunk=3)
        content = bytearray((tmp_path / "other" / file.name).read_bytes())
    file.write_bytes(content)
    assert status(tmp_path / "s").state.tolist() == ["done", "damaged", "done", "done"]
    with pytest.raises(ValueError, match="these are not: 1; run them"):
        collect(tmp_path / "s")
    with pytest.warns(RuntimeWarning, match=r"chunk-00001.npz' .* It is computed again"):
        xr.testing.assert_identical(sweep(table, AXES, folder=tmp_path / "s"), expected)
    assert bytes_of(tmp_path / "s") == before


def test_another_sweep_in_the_folder_is_refused_with_what_differs(tmp_path: Path) -> None:
    sweep(table, AXES, folder=tmp_path / "s", chunk=4)
    before = bytes_of(tmp_path / "s")
    for function, axes, options, message in (
        (fails_at_two, AXES, {}, "holds another sweep: `function` has changed. Take another folder"),
        (table, AXES | {"y": [0.5, 2.0]}, {}, "its axis 'y' has 0.5, 2.5, not 0.5, 2.0"),
        (table, AXES | {"y": [1, 2]}, {}, "its axis 'y' has 0.5, 2.5, not 1, 2"),
        (table, dict(reversed(AXES.items())), {}, "its axes are x, y, name, not name, y, x"),
        (table, AXES, {"chunk": 5}, "in chunks of 4 points, but `chunk` is 5; leave `chunk` out"),
    ):
        with pytest.raises(ValueError, match=message):
            sweep(function, axes, folder=tmp_path / "s", **options)
    assert bytes_of(tmp_path / "s") == before


def test_a_folder_of_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep(table, AXES, folder=tmp_path / "s")
    monkeypatch.setattr(sys.modules["cortexsim.sweeps.run"], "version", lambda _: "9.9")
    with pytest.raises(ValueError, match="was begun with cortexsim .*, and this is 9.9"):
        sweep(table, AXES, folder=tmp_path / "s")


def test_an_edited_manifest_is_refused(tmp_path: Path) -> None:
    sweep(table, AXES, folder=tmp_path / "s")
    manifest = tmp_path / "s" / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(text.replace("2.5", "3.5"))
    with pytest.raises(ValueError, match="was edited after it was written"):
        collect(tmp_path / "s")
    manifest.write_text(text[:50])
    with pytest.raises(ValueError, match="is no manifest of a sweep"):
        collect(manifest)


KILLS = """
import os, random, sys, time
from pathlib import Path
import joblib, tqdm
from cortexsim.sweeps import status, sweep

KILLS, POINTS, CHUNK = int(sys.argv[1]), int(sys.argv[2]), 2
LOG = Path("log")

def function(x, y):
    time.sleep(0.002)
    with LOG.open("a") as log:
        log.write(f"{x},{y}\\n")
    return {"product": x * y, "name": f"{x} and {y}"}

def run(folder):
    sweep(function, {"x": range(POINTS), "y": [0.1, 0.7]}, folder=folder, chunk=CHUNK, progress=False)

def start():
    pid = os.fork()
    if pid == 0:
        run("killed")
        os._exit(0)
    return pid

for _ in range(KILLS):
    pid = start()
    time.sleep(random.uniform(0, 0.06))
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    if Path("killed/manifest.json").exists():
        states = set(status("killed").state)
        assert states <= {"done", "missing"}, states
two = start(), start()  # two processes at a time finish it
for pid in two:
    assert os.waitpid(pid, 0)[1] == 0
LOG.rename("log of killed")
run("undisturbed")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills children that it forks")
@pytest.mark.slow
@pytest.mark.parametrize("kills", [3, 20])
def test_a_sweep_killed_at_random_moments_ends_with_the_bytes_of_an_undisturbed_one(tmp_path: Path, kills: int) -> None:
    points = 20 if kills == 3 else 150
    run = [sys.executable, "-c", KILLS, str(kills), str(points)]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    killed, undisturbed = bytes_of(tmp_path / "killed"), bytes_of(tmp_path / "undisturbed")
    assert {name: content for name, content in killed.items() if not name.startswith(".")} == undisturbed
    assert len(undisturbed) == points + 1
    xr.testing.assert_identical(collect(tmp_path / "killed"), collect(tmp_path / "undisturbed"))
    # No finished point is computed again: a kill costs the chunk in flight, and so may a chunk that two begin at once
    computed = len((tmp_path / "log of killed").read_text().splitlines())
    assert 2 * points <= computed < 2 * (2 * points) + 2 * kills
    assert len((tmp_path / "log").read_text().splitlines()) == 2 * points


SLOW_POINT = """
import time
def function(x):
    time.sleep(0.1)
    return x * 0.1
axes = {"x": list(range(40))}
"""


@pytest.mark.slow
def test_worker_processes_killed_with_their_parent_leave_a_folder_that_resumes(tmp_path: Path) -> None:
    (tmp_path / "grid.py").write_text(SLOW_POINT)
    prepare(f"{tmp_path / 'grid.py'}:function", {"x": list(range(40))}, tmp_path / "s", chunk=1)
    run = [sys.executable, "-m", "cortexsim", "sweep", "run", str(tmp_path / "s"), "--workers", "2"]
    process = subprocess.Popen(run, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while (status(tmp_path / "s").state == "done").sum() < 5:
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, 9)
    process.wait()
    assert set(status(tmp_path / "s").state) == {"done", "missing"}
    expected = sweep(lambda x: x * 0.1, {"x": list(range(40))})
    xr.testing.assert_identical(resume(tmp_path / "s", progress=False), expected)


def kills_its_worker_once(x: int, marker: str) -> float:
    time.sleep(0.05)
    if x == 5 and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), 9)
    return x * 0.1


@pytest.mark.slow
def test_a_worker_process_that_is_killed_ends_the_sweep_with_the_way_out(tmp_path: Path) -> None:
    axes = {"x": range(10), "marker": [str(tmp_path / "marker")]}
    with pytest.raises(RuntimeError, match="were killed, most often for want of memory; call again to resume"):
        sweep(kills_its_worker_once, axes, folder=tmp_path / "s", chunk=1, workers=2)
    assert sweep(kills_its_worker_once, axes, folder=tmp_path / "s").value.values[:, 0].tolist() == [
        x * 0.1 for x in range(10)
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Dask's own, when a worker dies
def test_a_dask_cluster_gives_the_same_though_workers_are_killed(tmp_path: Path) -> None:
    import joblib
    from distributed import Client, LocalCluster

    axes = {"x": range(24), "marker": [str(tmp_path / "marker")]}
    (tmp_path / "marker").touch()
    expected = sweep(kills_its_worker_once, axes, folder=tmp_path / "one", chunk=2)
    (tmp_path / "marker").unlink()
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        before = set(client.run(os.getpid).values())
        result = sweep(kills_its_worker_once, axes, folder=tmp_path / "dask", chunk=2, engine="dask")
        assert (tmp_path / "marker").exists()
        client.wait_for_workers(2, timeout=120)
        assert set(client.run(os.getpid).values()) != before
        with joblib.parallel_config(backend="dask"):
            xr.testing.assert_identical(sweep(table, AXES), sweep(table, AXES, workers=1, engine="threads"))
        with pytest.raises(ValueError, match="A Dask cluster has its own workers, but `workers` is 2"):
            sweep(table, AXES, engine="dask", workers=2)
    xr.testing.assert_identical(result, expected)
    assert bytes_of(tmp_path / "dask") == bytes_of(tmp_path / "one")


def kills_its_worker(x: int) -> int:
    if x == 3:
        os.kill(os.getpid(), 9)
    return x


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_point_that_kills_every_dask_worker_is_a_failed_point() -> None:
    import dask
    from distributed import Client, LocalCluster

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),  # by default it tries four workers
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        result = sweep(kills_its_worker, {"x": range(5)}, chunk=1, engine="dask")
    failed = failed_points(result)
    assert 3 in failed.x.tolist()  # a cluster also blames what else the worker had
    assert "were killed, most often for want of memory: KilledWorker" in failed.message.tolist()[0]


def test_dask_without_a_client_says_how_to_make_one() -> None:
    with pytest.raises(RuntimeError, match="from distributed import Client; client = Client"):
        sweep(table, AXES, engine="dask")


# --- Digests ---------------------------------------------------------------------------------------------------------

MODULE = """
import numpy as np
from dataclasses import dataclass
from functools import partial, lru_cache, wraps

LIMIT = np.array([1.0, 2.0])

@dataclass(frozen=True)
class Choice:
    gain: float = 2.0
    def __call__(self, x):
        return helper(x) * self.gain

CHOICE = Choice()

def helper(x):
    return x + LIMIT[0]

@lru_cache
def cached(x):
    return x

def unused():
    return 1

def function(x):
    inner = lambda y: helper(y)
    return CHOICE(cached(inner(x)))
"""


def digest_of(text: str, folder: Path) -> str:
    from cortexsim.sweeps.reference import read_module

    (folder / "module_of_digests.py").write_text(text)
    return digest(read_module(folder / "module_of_digests.py").function)


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("def unused():\n    return 1", "def unused():\n    return 2", False),
        ("import numpy", "# a comment\nimport numpy", False),
        ("return CHOICE(", "return 2 * CHOICE(", True),
        ("x + LIMIT[0]", "x - LIMIT[0]", True),
        ("1.0, 2.0", "1.0, 3.0", True),
        ("CHOICE = Choice()", "CHOICE = Choice(3.0)", True),
        ("* self.gain", "/ self.gain", True),
        ("def cached(x):\n    return x", "def cached(x):\n    return -x", True),
    ],
)
def test_a_digest_changes_with_what_a_function_reads_and_with_nothing_else(
    tmp_path: Path, old: str, new: str, changes: bool
) -> None:
    assert old in MODULE
    assert (digest_of(MODULE, tmp_path) != digest_of(MODULE.replace(old, new), tmp_path)) == changes


@pytest.mark.slow
def test_a_digest_is_the_same_in_another_process(tmp_path: Path) -> None:
    here = digest_of(MODULE, tmp_path)
    program = "from cortexsim.sweeps.digest import digest; import module_of_digests as m; print(digest(m.function))"
    environment = os.environ | {"PYTHONHASHSEED": "1"}  # of Python's own hashes, which order sets
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == here


def test_digests_tell_values_apart_and_equal_ones_not() -> None:
    values = [
        1, 1.0, True, "1", b"1", None, (1,), [1], {1}, {"a": 1}, np.float64(1), np.ones(1), np.ones(2),
        xr.DataArray([1.0], dims="a"), xr.DataArray([1.0], dims="b"), xr.Dataset({"a": 1.0}), np.sin, np.cos,
        len, cx.circuits.FroudistWalsh2021(), cx.circuits.FroudistWalsh2021(dopamine=1.0),
        cx.load_connectome("macaque40"), cx.load_connectome("macaque29"),
    ]  # fmt: skip
    found = [digest(value) for value in values]
    assert len(set(found)) == len(values)
    assert [digest(value) for value in values] == found
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    circular: list[Any] = []
    circular.append(circular)
    assert digest(circular) != digest([[]])


def test_state_that_no_digest_can_tell_is_refused_where_it_matters(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)

    def function(x: int) -> float:
        return x + generator.normal()

    assert sweep(function, {"x": [1, 2]}).sizes == {"x": 2}
    with pytest.raises(TypeError, match=r"uses Generator\(PCG64\).* make it within the function"):
        sweep(function, {"x": [1, 2]}, folder=tmp_path / "s")


# --- Simulations in lanes --------------------------------------------------------------------------------------------

CUE = cx.Pulse(area="V1", input="E1_dendrite", onset=5, duration=10, amplitude=100, name="cue")
SHORT: dict[str, Any] = {"duration": 20, "every": 5, "trials": 2, "seed": 3}


def activity(result: xr.Dataset) -> xr.DataArray:
    return result.r_E1.sel(area=["V1", "LIP"])


class Seen:
    """A measure that keeps every result that it is given."""

    def __init__(self) -> None:
        self.results: list[xr.Dataset] = []

    def __call__(self, result: xr.Dataset) -> xr.DataArray:
        self.results.append(result)
        return activity(result)


def test_a_point_among_others_is_what_simulate_returns_for_it_alone(model: cx.Model) -> None:
    seen = Seen()
    axes = {"dopamine": [0.5, 2.0], "cue.amplitude": [0, 100.0], "FEF_exception": [True, False]}
    result = sweep(Simulation(model, seen, CUE, **SHORT), axes, chunk=8)
    assert len(seen.results) == 8
    found = iter(seen.results)
    for fef in (True, False):  # options can't differ within a call: two calls of four points
        for dopamine in axes["dopamine"]:
            for amplitude in axes["cue.amplitude"]:
                circuit = dataclasses.replace(model.circuit, dopamine=dopamine, FEF_exception=fef)
                alone = cx.simulate(
                    dataclasses.replace(model, circuit=circuit), dataclasses.replace(CUE, amplitude=amplitude), **SHORT
                )
                point = next(found)
                xr.testing.assert_identical(point, alone)
                at = {"dopamine": dopamine, "cue.amplitude": amplitude, "FEF_exception": fef}
                assert result.r_E1.sel(at).values.tobytes() == activity(alone).values.tobytes()
    assert result.dopamine.attrs["long_name"]
    assert result["cue.amplitude"].dtype == np.float64


def test_a_stimulus_may_be_a_function_of_axes_with_perturbations_and_one_for_each_trial(model: cx.Model) -> None:
    def stimulus(lesioned: str, onset: float) -> list[cx.Stimulus]:
        cue = dataclasses.replace(CUE, onset=onset)
        return [cue, cue + cx.stimulus.Lesion(areas=[lesioned])]

    seen = Seen()
    simulation = Simulation(model, seen, stimulus, **SHORT)
    sweep(simulation, {"lesioned": ["LIP", "V2"], "onset": [0, 5.0]})
    for point, (lesioned, onset) in zip(seen.results, [(a, b) for a in ("LIP", "V2") for b in (0, 5.0)], strict=True):
        xr.testing.assert_identical(point, cx.simulate(model, stimulus(lesioned, onset), **SHORT))
    xr.testing.assert_identical(simulation(lesioned="V2", onset=5.0), activity(seen.results[3]))


def test_parameters_with_one_value_per_trial_stay_so_at_each_point(model: cx.Model) -> None:
    seen = Seen()
    both = dataclasses.replace(model, circuit=dataclasses.replace(model.circuit, dopamine=(0.5, 2.0)))
    sweep(Simulation(both, seen, CUE, **SHORT), {"cue.amplitude": [0.0, 100.0]})
    for point, amplitude in zip(seen.results, (0.0, 100.0), strict=True):
        xr.testing.assert_identical(point, cx.simulate(both, dataclasses.replace(CUE, amplitude=amplitude), **SHORT))
        assert point.dopamine.values.tolist() == [0.5, 2.0]


def test_a_schedule_gives_each_point_its_duration(model: cx.Model) -> None:
    def task(delay: float) -> cx.Schedule:
        short = {"fixation": 5.0, "cue_duration": 5.0, "second_delay": 5.0, "distractor_duration": 5.0}
        return cx.working_memory(delay=delay, **short)

    options = {name: value for name, value in SHORT.items() if name != "duration"}
    simulation = Simulation(model, lambda result: result.attrs["duration_ms"], task, **options)
    assert sweep(simulation, {"delay": [5.0, 15.0]}).value.values.tolist() == [25.0, 35.0]


def test_lanes_give_the_same_whatever_chunks_and_memory(
    model: cx.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = {"dopamine": [0.5, 1.0, 1.5], "cue.amplitude": [0.0, 100.0]}
    simulation = Simulation(model, activity, CUE, **SHORT)
    expected = sweep(simulation, axes)
    for chunk in (1, 4):
        xr.testing.assert_identical(sweep(simulation, axes, chunk=chunk, folder=tmp_path / f"{chunk}"), expected)
    module = sys.modules["cortexsim.sweeps.simulation"]
    calls: list[int] = []
    simulate = module.simulate
    monkeypatch.setattr(module, "simulate", lambda *a, **k: calls.append(len(k["trials"])) or simulate(*a, **k))
    monkeypatch.setattr(module, "_MEMORY", 1)
    xr.testing.assert_identical(sweep(simulation, axes, workers=2, engine="threads"), expected)
    assert calls == [2] * 6


def test_a_diverging_point_is_told_from_those_beside_it(model: cx.Model) -> None:
    axes = {"cue.amplitude": [0.0, 1e300, 100.0], "dopamine": [0.5, 1.5]}
    simulation = Simulation(model, activity, dataclasses.replace(CUE, input="E1"), **SHORT)
    with pytest.warns(RuntimeWarning, match="2 of 6 points failed"):
        result = sweep(simulation, axes)
    assert failed_points(result).error.tolist() == ["SimulationDiverged"] * 2
    assert "became non-finite at t =" in failed_points(result).message[0]
    assert bool(result.r_E1.sel({"cue.amplitude": 1e300}).isnull().all())
    without = sweep(simulation, axes | {"cue.amplitude": [0.0, 100.0]})
    assert result.r_E1.sel({"cue.amplitude": [0.0, 100.0]}).equals(without.r_E1)


def test_the_provenance_that_points_share_stays_with_the_sweep(model: cx.Model) -> None:
    result = sweep(Simulation(model, lambda r: float(r.r_E1.max()), CUE, **SHORT), {"dopamine": [0.5, 1.5]})
    alone = cx.simulate(model, CUE, **SHORT)
    assert {k: result.attrs[k] for k in ("circuit", "seed", "dt_ms", "stimulus", "connectome")} == {
        k: alone.attrs[k] for k in ("circuit", "seed", "dt_ms", "stimulus", "connectome")
    }
    assert "parameters" not in result.attrs  # of which dopamine differs


def test_a_parameter_that_the_weights_follow_from_takes_a_call_for_each_value(model: cx.Model) -> None:
    axes = {"FLN_exponent": [0.3, 0.5], "dopamine": [0.5, 1.5]}
    result = sweep(Simulation(model, activity, CUE, **SHORT), axes)
    for exponent in axes["FLN_exponent"]:
        circuit = dataclasses.replace(model.circuit, FLN_exponent=exponent, dopamine=1.5)
        alone = cx.simulate(dataclasses.replace(model, circuit=circuit), CUE, **SHORT)
        found = result.r_E1.sel(FLN_exponent=exponent, dopamine=1.5)
        assert found.values.tobytes() == activity(alone).values.tobytes()


def test_points_share_their_noise(model: cx.Model) -> None:
    result = sweep(Simulation(model, activity, **SHORT), {"dopamine": [1.0, 1.0 + 1e-15]})
    first, second = result.r_E1.values
    assert np.abs(first - second).max() < 1e-9  # other noise would differ by some .1 Hz
    assert np.abs(first - first[::-1]).max() > 1e-3  # its trials do


def test_a_changed_model_or_measure_is_noticed(model: cx.Model, tmp_path: Path) -> None:
    axes = {"cue.amplitude": [0.0]}
    simulation = Simulation(model, activity, CUE, **SHORT)
    sweep(simulation, axes, folder=tmp_path / "s")
    lesioned = dataclasses.replace(model, connectome=model.connectome.lesion(["LIP"]))
    for change, name in (
        ({"model": lesioned}, "model"),
        ({"model": dataclasses.replace(model, gradients=model.gradients.assign(d1=model.gradients.d1 * 2))}, "model"),
        ({"measure": Seen()}, "measure"),
        ({"stimulus": dataclasses.replace(CUE, onset=6)}, "stimulus"),
        ({"seed": 4}, "seed"),
    ):
        with pytest.raises(ValueError, match=f"holds another sweep: `{name}` has changed"):
            sweep(dataclasses.replace(simulation, **change), axes, folder=tmp_path / "s")
    sweep(dataclasses.replace(simulation, threads=1), axes, folder=tmp_path / "s")


# --- Wrong input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axes", "error", "message"),
    [
        ([1, 2], TypeError, "must map names to values"),
        ({}, ValueError, "must have at least one axis"),
        ({"x": 1}, TypeError, r"Axis 'x' must be a sequence of values, but is 1; write \[1\]"),
        ({"x": "abc"}, TypeError, r"write \['abc'\]"),
        ({"x": []}, ValueError, "Axis 'x' must have at least one value"),
        ({"x": [1, 1]}, ValueError, "Each value of axis 'x' must stand once, but 1 stands twice"),
        ({"x": [1, float("nan")]}, ValueError, "must not hold NaN"),
        ({"x": [1, "a"]}, ValueError, "must hold values of one kind, but holds int, str"),
        ({"x": [CUE]}, TypeError, "must hold numbers, texts or booleans, but has Pulse"),
        ({"z": [1]}, TypeError, "The function must take the axes z by keyword, but is .*x"),
    ],
)
def test_wrong_axes_are_refused(axes: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        sweep(lambda x: x, axes)


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for options, error, message in (
        ({"engine": "dusk"}, ValueError, "Unknown engine 'dusk' in `engine`; did you mean 'dask'?"),
        ({"workers": 0}, ValueError, "`workers` must be at least 1"),
        ({"chunk": 0}, ValueError, "`chunk` must be at least 1"),
        ({"on_error": "ignore"}, ValueError, "Unknown choice 'ignore' in `on_error`"),
        ({"folder": tmp_path / "a" / "b"}, FileNotFoundError, "make it first"),
        ({"folder": tmp_path / "file"}, NotADirectoryError, "must name a folder"),
    ):
        with pytest.raises(error, match=message):
            sweep(lambda x: x, {"x": [1]}, **options)
    with pytest.raises(TypeError, match="must be a function of the axes or a Simulation, but is 3"):
        sweep(3, {"x": [1]})
    with pytest.raises(ValueError, match="lacks 'failed'"):
        failed_points(xr.Dataset())


def test_wrong_simulations_are_refused_before_they_run(model: cx.Model) -> None:
    simulation = Simulation(model, activity, CUE, **SHORT)
    for axes, message in (
        ({"dopamin": [1]}, "Unknown axis 'dopamin' in the Simulation; did you mean 'dopamine'"),
        ({"distractor.amplitude": [1]}, "No part of the stimulus has the name 'distractor'; known: cue"),
        ({"cue.amplitud": [1]}, "Unknown field 'amplitud' in Pulse 'cue'; did you mean 'amplitude'"),
    ):
        with pytest.raises(ValueError, match=message):
            sweep(simulation, axes)
    with pytest.raises(ValueError, match="is a parameter of the circuit and an argument of `stimulus`"):
        sweep(Simulation(model, activity, lambda dopamine: CUE, **SHORT), {"dopamine": [1]})
    with pytest.raises(ValueError, match="The stimulus needs `size`, which is no axis"):
        sweep(Simulation(model, activity, lambda size: CUE, **SHORT), {"dopamine": [1]})
    with pytest.raises(ValueError, match="`every` must be a whole multiple of dt"):
        Simulation(model, activity, CUE, duration=20, every=0.7)
    with pytest.raises(TypeError, match="`measure` must be a function"):
        Simulation(model, None, CUE, duration=20)  # type: ignore[arg-type]


# --- Batch jobs ------------------------------------------------------------------------------------------------------


@pytest.fixture
def grid(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "grid_of_tests.py"
    file.write_text("def function(x, y):\n    return x / y\naxes = {'x': [1.0, 2.0], 'y': [0.0, 1.0, 2.0]}\n")
    yield file
    sys.modules.pop("grid_of_tests", None)


def test_chunks_of_a_prepared_sweep_run_one_by_one_and_collect(grid: Path, tmp_path: Path) -> None:
    folder = prepare(f"{grid}:function", {"x": [1.0, 2.0], "y": [0.0, 1.0, 2.0]}, tmp_path / "s", chunk=2)
    assert folder.manifest.chunks == 3
    assert json.loads((tmp_path / "s" / "manifest.json").read_text())["function"] == "../grid_of_tests.py:function"
    for number in (2, 0, 1):
        failed = run_chunk(tmp_path / "s", number)
        assert failed.error.tolist() == (["ZeroDivisionError"] if number in (0, 1) else [])
    before = bytes_of(tmp_path / "s")
    run_chunk(tmp_path / "s" / "manifest.json", 1)
    assert bytes_of(tmp_path / "s") == before
    with pytest.warns(RuntimeWarning, match="2 of 6 points failed"):
        result = collect(tmp_path / "s")
    axes = check_axes({"x": [1.0, 2.0], "y": [0.0, 1.0, 2.0]})
    assert read_folder(tmp_path / "s").manifest.axes == axes
    names: dict[str, Any] = {}
    exec(compile(grid.read_text(), grid, "exec"), names)
    xr.testing.assert_identical(result, quietly(names["function"], names["axes"]))


def test_a_batch_job_refuses_a_function_that_changed_or_is_gone(grid: Path, tmp_path: Path) -> None:
    prepare(f"{grid}:function", {"x": [1.0], "y": [2.0]}, tmp_path / "s")
    with pytest.raises(ValueError, match="The sweep has the chunks 0 to 0, but not 1"):
        run_chunk(tmp_path / "s", 1)
    text = grid.read_text()
    grid.write_text(text.replace("x / y", "y / x"))
    with pytest.raises(ValueError, match="`function` has changed"):
        run_chunk(tmp_path / "s", 0)
    grid.write_text(text.replace("def function", "def functions"))
    with pytest.raises(ValueError, match="Unknown name 'function' in .*; did you mean 'functions'"):
        run_chunk(tmp_path / "s", 0)
    grid.unlink()
    with pytest.raises(FileNotFoundError, match="the sweep takes its function from there"):
        run_chunk(tmp_path / "s", 0)


def test_a_sweep_begun_in_python_says_what_a_batch_job_lacks(tmp_path: Path) -> None:
    sweep(table, AXES, folder=tmp_path / "s")
    with pytest.raises(ValueError, match="knows no name for its function; resume it there by sweep"):
        run_chunk(tmp_path / "s", 0)
    with pytest.raises(ValueError, match="must be named as 'file.py:name' or 'module:name'"):
        prepare("table", AXES, tmp_path / "s")
    with pytest.raises(FileNotFoundError, match="No manifest of a sweep at"):
        run_chunk(tmp_path, 0)


# --- The page on sweeps ----------------------------------------------------------------------------------------------


def _page(marker: str) -> list[str]:
    return re.findall(rf"{marker}(.*?)```", (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.slow
def test_the_python_of_the_page_runs(tmp_path: Path) -> None:
    (tmp_path / "page.py").write_text("\n".join(_page("```python\n")), encoding="utf-8")
    done = subprocess.run([sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "('dopamine', 'cue.amplitude', 'trial', 'area')" in done.stdout
    assert sorted(os.listdir(tmp_path / "memory-sweep")) == ["chunk-00000.npz", "chunk-00001.npz", "manifest.json"]


def test_the_files_of_the_page_are_prepared_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (python,), (toml,) = _page("<!-- file: grid.py -->\n```py\n"), _page("<!-- file: grid.toml -->\n```toml\n")
    (tmp_path / "grid.py").write_text(python, encoding="utf-8")
    (tmp_path / "grid.toml").write_text(toml, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for file, (points, chunks) in (("grid.py", (400, 50)), ("grid.toml", (60, 8))):
        made = prepare(*read_sweep(tmp_path / file), tmp_path / f"folder of {file}").manifest
        assert (made.axes.size, made.chunks) == (points, chunks)
    sys.modules.pop("grid", None)


@pytest.mark.slow
def test_the_benchmark_runs() -> None:
    run = [sys.executable, str(ROOT / "benchmarks" / "dopamine_distractor.py"), "--quick"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Both return the same bits." in done.stdout
    assert "| two workers, whole grid | 8 |" in done.stdout
