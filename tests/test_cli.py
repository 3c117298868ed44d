"""The command line: what it writes and prints, how it refuses, and that nothing half done is left."""

from __future__ import annotations

import functools
import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure

import cortexsim as cx
from cortexsim import cli

pytestmark = pytest.mark.slow

TRIAL = """
[circuit]
name = "FroudistWalsh2021"
dopamine = 1.5
[[stimulus]]
type = "Pulse"
area = "V1"
input = "E1_dendrite"
onset = 600
duration = 50
amplitude = 100
[simulate]
duration = 1200
dt = 0.5
trials = 2
seed = 3
[output]
path = "result.nc"
"""


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in an empty folder; return its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run_(*args: str, toml: str | None = None) -> tuple[int, str, str]:
        if toml is not None:
            Path("trial.toml").write_text(toml, encoding="utf-8")
        code = cli.main(args)
        out, err = capsys.readouterr()
        return code, out, err

    return run_


Run = Callable[..., tuple[int, str, str]]


def test_demo_writes_result_picture_and_comparison_with_23_persistent_areas(run: Run) -> None:
    code, out, err = run("demo", "--no-progress")
    assert (code, err) == (0, "")
    assert sorted(os.listdir("cortexsim-demo")) == ["comparison.csv", "result.nc", "summary.png"]
    result = cx.load("cortexsim-demo/result.nc")
    assert result.sizes["time"] == 500
    assert json.loads(result.attrs["stimulus"])[0]["amplitude"] == 100
    comparison = cx.validate.persistence(result)
    assert str(comparison) in out
    assert "18 of 19 well-studied areas agree" in out
    assert "5 s of 40 areas, 1 trial, in" in out
    assert "summary.png" in out
    table = pd.read_csv("cortexsim-demo/comparison.csv", comment="#", dtype={"area": str})
    assert table.persistent.sum() == 23
    assert Path("cortexsim-demo/summary.png").read_bytes().startswith(b"\x89PNG")


def test_options_of_demo_reach_the_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cx.plot, "summary", lambda result, comparison: Figure())  # the picture takes seconds
    code, _, _ = run("demo", "--dopamine", "0.5", "--seed", "7", "--trials", "2", "--out", "low")
    result = cx.load("low/result.nc")
    assert code == 0
    assert json.loads(result.attrs["parameters"])["dopamine"] == 0.5
    assert (int(result.attrs["seed"]), result.sizes["trial"]) == (7, 2)


def test_a_toml_file_gives_the_same_result_as_the_same_python(run: Run) -> None:
    code, out, _ = run("simulate", "trial.toml", toml=TRIAL)
    assert code == 0
    assert "Written: " in out
    cue = cx.Pulse(area="V1", input="E1_dendrite", onset=600, duration=50, amplitude=100)
    model = cx.Model(cx.load_connectome(), cx.circuits.FroudistWalsh2021(dopamine=1.5), cx.gradients.macaque40())
    xr.testing.assert_identical(cx.load("result.nc"), cx.simulate(model, cue, duration=1200, trials=2, seed=3))


def test_options_stand_in_place_of_the_keys_of_the_file(run: Run) -> None:
    options = ["--dopamine", "0.7", "--seed", "5", "--trials", "3", "--dtype", "float32", "--out", "other.nc"]
    code, _, _ = run("simulate", "trial.toml", *options, toml=TRIAL)
    result = cx.load("other.nc")
    assert code == 0
    assert not Path("result.nc").exists()
    assert json.loads(result.attrs["parameters"])["dopamine"] == 0.7
    assert (int(result.attrs["seed"]), result.sizes["trial"], result.r_E1.dtype) == (5, 3, np.float32)


def test_stimuli_add_and_the_connectome_is_selected_and_lesioned(run: Run) -> None:
    second = TRIAL.split("[simulate]")[0].split("[[stimulus]]")[1].replace("V1", "V2")
    toml = (
        TRIAL
        + f'[connectome]\nname = "macaque40"\nselect = ["V1", "V2", "LIP"]\nlesion = ["LIP"]\n[[stimulus]]{second}'
    )
    code, _, err = run("simulate", "trial.toml", toml=toml)
    assert (code, err) == (0, "")
    result = cx.load("result.nc")
    assert result.area.values.tolist() == ["V1", "V2", "LIP"]
    assert [pulse["area"] for pulse in json.loads(result.attrs["stimulus"])] == ["V1", "V2"]
    lesioned = cx.load_connectome().select(["V1", "V2", "LIP"]).lesion(["LIP"])
    assert json.loads(result.attrs["connectome"])["digest"] == lesioned.digest


def test_figures_and_comparison_are_written_where_the_file_says(run: Run) -> None:
    output = 'figure = "activity.pdf"\ncomparison = "areas.csv"\n'
    code, out, _ = run("simulate", "trial.toml", toml=TRIAL + output)
    assert code == 0
    assert "well-studied areas agree" in out
    assert sorted(os.listdir()) == ["activity.pdf", "areas.csv", "result.nc", "trial.toml"]
    assert Path("activity.pdf").read_bytes().startswith(b"%PDF")


OTHER = """
[connectome]
name = "macaque30"
[circuit]
name = "MejiasWang2022"
[[stimulus]]
type = "Pulse"
area = "V1"
input = "A"
onset = 50
duration = 50
amplitude = 0.3
[simulate]
duration = 200
[output]
path = "result.nc"
"""


def test_the_figure_of_another_circuit_shows_its_first_two_rates(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    draw = cli._draw
    monkeypatch.setattr(cli, "_draw", lambda figure, path: drawn.append(figure) or draw(figure, path))
    code, _, err = run("simulate", "trial.toml", toml=OTHER + 'figure = "rates.png"\n')
    assert (code, err) == (0, "")
    assert sorted(os.listdir()) == ["rates.png", "result.nc", "trial.toml"]
    assert [ax.get_title(loc="left") for ax in drawn[0].axes[:2]] == ["Firing rate of A", "Firing rate of B"]


def test_outputs_that_need_what_will_not_be_there_are_refused_before_the_run(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary, comparison = 'summary = "all.png"\n', 'comparison = "areas.csv"\n'
    maps = cx.gradients.macaque40().drop_vars("delay_activity_reported")
    for toml, message in (
        (OTHER + summary, "`summary` in [output] needs r_E1, which MejiasWang2022 does not record; take `figure`."),
        (OTHER + comparison, "`comparison` in [output] needs r_E1, which MejiasWang2022 does not"),
        (
            TRIAL.replace("seed = 3", 'record = ["r_PV"]') + comparison,
            "`comparison` in [output] needs r_E1, which `record` in [simulate] leaves out; add it there",
        ),
        (TRIAL + comparison, "needs the experimental label 'delay_activity_reported', which the maps of macaque40 do"),
    ):
        if "label" in message:
            monkeypatch.setattr(cx.gradients, "macaque40", lambda: maps)
        code, out, err = run("simulate", "trial.toml", toml=toml)
        assert (code, out) == (2, ""), message
        assert message in err
        assert os.listdir() == ["trial.toml"]


def test_a_circuit_whose_maps_do_not_do_is_refused_with_its_place(run: Run) -> None:
    toml = OTHER.replace("MejiasWang2022", "FroudistWalsh2021").replace('"A"', '"E1"')
    code, _, err = run("simulate", "trial.toml", toml=toml)
    assert code == 2
    assert "[circuit] of trial.toml: Map 'spine_count' must be finite in each area" in err


def test_an_unknown_input_is_answered_with_the_known_ones_and_their_units(run: Run) -> None:
    code, _, err = run("simulate", "trial.toml", toml=OTHER.replace('"A"', '"E1_dendrite"'))
    assert code == 2
    assert "Unknown input 'E1_dendrite' in [[stimulus]] 1 of trial.toml. Known: A (nA), B (nA), I (nA)." in err


def test_a_comparison_that_cannot_be_made_leaves_the_result_and_says_so(run: Run) -> None:
    toml = TRIAL.replace("onset = 600", "onset = 100") + 'comparison = "areas.csv"\n'
    code, _, err = run("simulate", "trial.toml", toml=toml)
    assert code == 2
    assert "result.nc is written, but not the rest: The baseline window -400 to 100 ms" in err
    assert sorted(os.listdir()) == ["result.nc", "trial.toml"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[circuit]", "[circit]", "Unknown section 'circit' in trial.toml; did you mean 'circuit'?"),
        (
            "dopamine = 1.5",
            "dopamine = [1, 2, 3]",
            "of trial.toml: The circuit has parameters with 3 values",
        ),
        ("dopamine", "dopamin", "Unknown key 'dopamin' in [circuit] of trial.toml; did you mean 'dopamine'?"),
        (
            '"FroudistWalsh2021"',
            '"FroudistWalsh"',
            "Unknown name 'FroudistWalsh' in [circuit] of trial.toml; did you",
        ),
        ("name =", "# name =", "Key `name` is missing in [circuit] of trial.toml; known: "),
        ("onset", "onsett", "Unknown key 'onsett' in [[stimulus]] 1 of trial.toml; did you mean 'onset'?"),
        ("onset = 600", "", "Key `onset` is missing in [[stimulus]] 1 of trial.toml."),
        ('"Pulse"', '"Puls"', "Unknown type 'Puls' in [[stimulus]] 1 of trial.toml; did you mean 'Pulse'?"),
        ('"Pulse"', "1", "Key `type` in [[stimulus]] 1 of trial.toml must be a text, but is 1."),
        ('area = "V1"', 'area = "v1"', "Unknown area 'v1' in [[stimulus]] 1 of trial.toml; did you mean 'V1'?"),
        ("E1_dendrite", "E1_dendrit", "Unknown input 'E1_dendrit' in [[stimulus]] 1 of trial.toml; did you mean"),
        ("[[stimulus]]", "[stimulus]", "Section 'stimulus' of trial.toml must be written as [[stimulus]]"),
        ("[simulate]", "[[simulate]]", "Section [simulate] of trial.toml must be a table, but is ["),
        ("duration = 1200", "", "[simulate] of trial.toml: Argument `duration` must be given"),
        ("seed = 3", "sed = 3", "Unknown key 'sed' in [simulate] of trial.toml; did you mean 'seed'?"),
        ("seed = 3", "progress = true", "Unknown key 'progress' in [simulate] of trial.toml"),
        ("seed = 3", "every = 0.7", "[simulate] of trial.toml: Argument `every` must be a whole multiple of dt"),
        (
            "seed = 3",
            'record = ["r_E3"]',
            "[simulate] of trial.toml: Unknown variable 'r_E3' in `record`; did you",
        ),
        ("path =", "pth =", "Unknown key 'pth' in [output] of trial.toml; did you mean 'path'?"),
        ('path = "result.nc"', "", "Key `path` is missing in [output] of trial.toml."),
        ("result.nc", "missing/result.nc", "no folder 'missing' for 'result.nc'; make it first"),
        ("result.nc", "result.csv", "must end in .nc, but is 'result.csv'; take 'result.nc'"),
        (
            '"result.nc"',
            '"result.nc"\nfigure = "a.gif"',
            "must end in .png or .pdf or .svg, but is 'a.gif'; take 'a",
        ),
        ('"result.nc"', '"result.nc"\nfigure = "a.png"\nsummary = "./a.png"', "but two share one"),
        (
            "[circuit]",
            '[connectome]\nname = "macaque"\n[circuit]',
            "of trial.toml: Unknown connectome 'macaque'",
        ),
        ("[circuit]", '[connectome]\nlesion = ["LPI"]\n[circuit]', "did you mean 'LIP'?"),
        ("[circuit]", "[circuit", "'trial.toml' must be TOML, but is not: "),
    ],
)
def test_a_wrong_entry_is_refused_with_its_place_and_the_nearest_right_one(
    run: Run, old: str, new: str, message: str
) -> None:
    code, out, err = run("simulate", "trial.toml", toml=TRIAL.replace(old, new, 1))
    assert code == 2
    assert message in err
    assert out == ""
    assert "Traceback" not in err
    assert os.listdir() == ["trial.toml"]


def _keys() -> list[tuple[str, str]]:
    """Every key that a file may hold, by section; of the parameters of the circuit the first."""
    functions: dict[str, Any] = {
        "[connectome]": cli._connectome,
        "[circuit]": cx.circuits.FroudistWalsh2021,
        "[[stimulus]]": cx.Pulse,
        "[simulate]": cx.simulate,
        "[output]": cli._targets,
    }
    taken = {"model", "stimulus", "progress", "state"}
    return [
        (section, key)
        for section, f in functions.items()
        for key in inspect.signature(f).parameters
        if key not in taken
    ]


@pytest.mark.parametrize(("section", "key"), _keys())
def test_a_value_of_the_wrong_type_is_refused_for_every_key(run: Run, section: str, key: str) -> None:
    kept = "".join(line for line in TRIAL.splitlines(keepends=True) if line.split(" =")[0] != key or key == "name")
    if key == "duration":  # in two sections
        kept = TRIAL.replace("duration = 50" if section == "[[stimulus]]" else "duration = 1200", "")
    if section == "[connectome]":
        kept += "[connectome]\n"
    if section == "[circuit]" and key == "name":
        kept = TRIAL.replace('name = "FroudistWalsh2021"', "")
    toml = kept.replace(f"{section}\n", f"{section}\n{key} = {{ a = 1 }}\n", 1)
    code, _, err = run("simulate", "trial.toml", toml=toml)
    assert code == 2
    assert f"{section.rstrip(']')}" in err
    assert "trial.toml" in err
    assert f"`{key}`" in err
    assert "Traceback" not in err


def test_usage_errors_leave_with_2(run: Run) -> None:
    for args, message in (
        (["simulate", "nowhere.toml"], "Cannot read 'nowhere.toml': No such file or directory."),
        (["simulate"], "Missing argument 'FILE'"),
        (["demo", "--trials", "x"], "'x' is not a valid integer"),
        (["demo", "--trials", "0"], "Argument `trials` must be at least 1, but is 0."),
        (["demo", "--dopamine", "nan"], "Argument `dopamine` must be finite, but is nan"),
        (["demo", "--out", "missing/demo"], "There is no folder 'missing' to make 'demo' in"),
        (["dem"], "No such command 'dem'"),
        (["circuits", "Froudist"], "did you mean 'FroudistWalsh2021'?"),
    ):
        code, out, err = run(*args)
        assert (code, out) == (2, ""), args
        assert message in err
    assert os.listdir() == []
    Path("file").touch()
    code, _, err = run("demo", "--out", "file")
    assert code == 2
    assert "'file' is a file" in err


def test_a_diverging_run_leaves_with_1_and_says_where(run: Run) -> None:
    toml = TRIAL.replace("dt = 0.5", "dt = 10").replace("onset = 600", "onset = 0")
    code, _, err = run("simulate", "trial.toml", toml=toml)
    assert code == 1
    assert "became non-finite at t =" in err
    assert "Traceback" not in err
    assert os.listdir() == ["trial.toml"]


def test_a_run_that_does_not_fit_into_memory_leaves_with_1(run: Run) -> None:
    code, _, err = run("simulate", "trial.toml", "--trials", "1000000", toml=TRIAL)
    assert code == 1
    assert "must fit into memory" in err


def test_a_full_disk_leaves_with_1_and_nothing_behind(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = run("simulate", "trial.toml", toml=TRIAL)
    assert code == 1
    assert "No space left on device" in err
    assert os.listdir() == ["trial.toml"]


def test_a_fault_of_the_program_is_not_taken_for_wrong_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    @functools.wraps(cx.simulate)
    def faulty(*args: Any, **options: Any) -> xr.Dataset:
        raise ValueError("operands could not be broadcast together")

    monkeypatch.setattr(sys.modules["cortexsim.simulate"], "simulate", faulty)
    with pytest.raises(ValueError, match="operands"):
        run("simulate", "trial.toml", toml=TRIAL)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_leaves_with_130_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "trial.toml").write_text(
        TRIAL.replace("duration = 1200", "duration = 10_000_000\nevery = 1000"), encoding="utf-8"
    )
    command = [sys.executable, "-m", "cortexsim", "simulate", "trial.toml", "--progress"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)
    assert process.stderr is not None
    process.stderr.read(1)  # the first sign of the bar: the run is on
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Interrupted; no file was left half written." in err
    assert b"Traceback" not in err
    assert os.listdir(tmp_path) == ["trial.toml"]


def test_circuits_lists_every_parameter_with_value_unit_and_meaning(run: Run) -> None:
    _, out, _ = run("circuits")
    assert "FroudistWalsh2021" in out
    assert "10.1016/j.neuron.2021.08.024" in out
    code, out, _ = run("circuits", "FroudistWalsh2021")
    assert code == 0
    for name, value, unit, meaning, _ in cx.circuits.FroudistWalsh2021().parameter_table():
        row = next(line for line in out.splitlines() if line.startswith(f"{name} "))
        assert row.split(maxsplit=1)[1].startswith(str(value))
        assert unit in row
        assert row.endswith(meaning)


@pytest.mark.parametrize("name", cx.circuits.ALL)
def test_circuits_lists_inputs_state_and_maps_of_a_circuit_as_sections(run: Run, name: str) -> None:
    circuit = cx.circuits.ALL[name]
    _, out, _ = run("circuits", name)
    _, inputs, state, maps = ([line.split() for line in section.splitlines()] for section in out.split("\n\n"))
    assert inputs[0] == ["input", "unit", "meaning"]
    assert inputs[1:] == [[v.name, v.unit, *v.meaning.split()] for v in circuit.inputs]
    assert state[0] == ["state", "unit", "recorded", "meaning"]
    assert [row[:2] for row in state[1:]] == [[v.name, v.unit] for v in circuit.state]
    assert {row[0] for row in state[1:] if row[2] == "yes"} == set(circuit.recorded)
    assert maps == [["map", "needed"], *([needed] for needed in circuit.maps or ["none"])]


def test_version_and_help_name_version_and_exit_codes(run: Run) -> None:
    assert run("--version") == (0, f"cortexsim, version {cx.__version__}\n", "")
    for args in (["--help"], ["demo", "--help"], ["simulate", "--help"]):
        code, out, _ = run(*args)
        assert code == 0
        for exit_code in ("0 done", "1 the run failed", "2 wrong usage", "130 Ctrl-C"):
            assert exit_code in " ".join(out.split())


@pytest.mark.slow
def test_the_example_in_the_help_runs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    command = cli._cortexsim.commands["simulate"]
    assert isinstance(command, click.Command)
    assert command.help is not None
    toml = command.help.split("\b\n")[1].split("Relative paths")[0].replace("trials = 8", "trials = 1")
    monkeypatch.setattr(cx.plot, "summary", lambda result, comparison: Figure())  # the picture takes seconds
    code, _, err = run("simulate", "trial.toml", toml=inspect.cleandoc(toml))
    assert (code, err) == (0, "")
    assert cx.validate.persistence(cx.load("result.nc")).areas.persistent.sum() == 23


GRID = """
def ratio(x, y):
    return x / y
function = ratio
axes = {"x": [1.0, 2.0], "y": [0.0, 1.0, 2.0]}
"""


@pytest.fixture
def grid(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "grid_of_cli.py").write_text(GRID, encoding="utf-8")
    yield "grid_of_cli.py"
    sys.modules.pop("grid_of_cli", None)


def test_a_sweep_is_prepared_run_by_chunks_watched_and_collected(run: Run, grid: str) -> None:
    code, out, err = run("sweep", "prepare", grid, "s", "--chunk", "2")
    assert (code, err) == (0, "")
    assert "6 points in 3 chunks, 0 to 2, in s." in out
    assert "cortexsim sweep run-chunk s I" in out
    assert os.listdir("s") == ["manifest.json"]
    code, out, err = run("sweep", "run-chunk", "s/manifest.json", "1")
    assert (code, out) == (0, "Chunk 1 is done.\n")
    assert err.splitlines()[0] == "1 point failed (--retry-failed computes them again):"
    assert re.search(r"2.0 +0.0 +ZeroDivisionError +float division by zero +grid_of_cli.py, line 3", err)
    assert run("sweep", "status", "s", "--array") == (0, "0,2\n", "")
    _, out, _ = run("sweep", "status", "s")
    assert out.splitlines() == [
        "done:    1 of 3 chunks: 1",
        "missing: 2 of 3 chunks: 0,2",
        "damaged: 0 of 3 chunks",
        "failed:  1 point, in the chunks 1",
    ]
    code, _, err = run("sweep", "collect", "s", "result.nc")
    assert code == 2
    assert "All 3 chunks" in err
    assert "these are not: 0,2; run them by `cortexsim sweep run` or `run-chunk`" in err
    code, out, err = run("sweep", "run", "s")
    assert code == 0
    assert "All chunks are done." in out
    assert "2 points failed" in err
    code, out, _ = run("sweep", "collect", "s", "result.nc")
    assert (code, out) == (0, "Written: result.nc, x 2, y 3.\n")
    with xr.open_dataset("result.nc") as result:
        np.testing.assert_array_equal(result.value, [[np.nan, 1, 0.5], [np.nan, 2, 1]])
    assert run("sweep", "status", "s", "--array") == (0, "\n", "")


def test_a_sweep_from_toml_is_that_from_python(run: Run, grid: str) -> None:
    Path("grid.toml").write_text(
        'function = "grid_of_cli.py:ratio"\n[axes]\nx = { start = 1.0, stop = 2.0, count = 2 }\ny = [0.0, 1.0, 2.0]\n'
    )
    for file, folder in ((grid, "python"), ("grid.toml", "toml")):
        assert run("sweep", "prepare", file, folder)[0] == 0
        assert run("sweep", "run", folder)[0] == 0
    held = {folder: {p.name: p.read_bytes() for p in Path(folder).glob("*.npz")} for folder in ("python", "toml")}
    assert held["python"] == held["toml"]
    assert len(held["toml"]) == 6


@pytest.mark.slow
def test_a_batch_job_runs_one_chunk_in_a_process_of_its_own(tmp_path: Path, run: Run, grid: str) -> None:
    assert run("sweep", "prepare", grid, "s", "--chunk", "4")[0] == 0
    command = [sys.executable, "-m", "cortexsim", "sweep", "run-chunk", str(tmp_path / "s" / "manifest.json"), "1"]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Chunk 1 is done.\n", "")
    assert run("sweep", "status", "s", "--array")[1] == "0\n"


def test_failed_points_of_a_sweep_are_retried_on_request(run: Run, grid: str) -> None:
    text = GRID.replace("return x / y", "return x / (y or os.path.getsize('cause'))")
    Path(grid).write_text(f"import os\n{text}", encoding="utf-8")
    Path("cause").touch()
    run("sweep", "prepare", grid, "s", "--chunk", "6")
    assert "2 points failed" in run("sweep", "run-chunk", "s", "0")[2]
    Path("cause").write_text("is gone")
    assert "2 points failed" in run("sweep", "run-chunk", "s", "0")[2]
    assert run("sweep", "run-chunk", "s", "0", "--retry-failed") == (0, "Chunk 0 is done.\n", "")
    assert run("sweep", "status", "s")[1].splitlines()[-1] == "failed:  0 points"


def test_wrong_sweeps_are_refused_with_the_way_out(run: Run, grid: str) -> None:
    Path("empty.py").write_text("axes = {}")
    Path("odd.toml").write_text('functions = "a:b"')
    Path("half.toml").write_text('function = "grid_of_cli.py:ratio"\n[axes]\nx = { start = 1 }\n')
    Path("typo.toml").write_text('function = "grid_of_cli.py:rato"\n[axes]\nx = [1]\n')
    Path("away.toml").write_text('function = "away.from.here:ratio"\n[axes]\nx = [1]\n')
    assert run("sweep", "prepare", grid, "s")[0] == 0
    before = sorted(os.listdir())
    for args, message in (
        (["prepare", "nowhere.py", "t"], "No file 'nowhere.py'"),
        (["prepare", "empty.py", "t"], "'empty.py' must define `function` and `axes`, but lacks `function`"),
        (["prepare", "odd.toml", "t"], "Unknown key 'functions' in odd.toml; did you mean 'function'?"),
        (
            ["prepare", "half.toml", "t"],
            "Axis 'x' in 'half.toml' must be a list or { start = 0, stop = 3, count = 20 }",
        ),
        (["prepare", "typo.toml", "t"], "did you mean 'ratio'?"),
        (
            ["prepare", "away.toml", "t"],
            "No module 'away' is installed or on PYTHONPATH; a file is named with its ending",
        ),
        (["prepare", grid, "a/b"], "make it first"),
        (["prepare", grid, "typo.toml"], "must name a folder, but 'typo.toml' is a file"),
        (["prepare", grid, "s", "--chunk", "5"], "in chunks of 1 points, but `chunk` is 5"),
        (["run-chunk", "s", "6"], "The sweep has the chunks 0 to 5, but not 6."),
        (["run-chunk", "t", "0"], "No manifest of a sweep at 't'"),
        (["status", "t"], "No manifest of a sweep at 't'"),
        (["collect", "s", "result.csv"], "must end in .nc"),
    ):
        code, out, err = run("sweep", *args)
        assert (code, out) == (2, ""), args
        assert message in err
        assert "Traceback" not in err
    assert sorted(os.listdir()) == before
    Path(grid).write_text(GRID.replace("x / y", "y / x"), encoding="utf-8")
    for args in (["run", "s"], ["run-chunk", "s", "0"], ["prepare", grid, "s"]):
        code, _, err = run("sweep", *args)
        assert code == 2
        assert "holds another sweep: `function` has changed. Take another folder" in err


def test_a_file_may_lesion_change_and_delay(run: Run) -> None:
    parts = """
[connectome]
name = "macaque40"
conduction_speed = 3.5
[[stimulus]]
type = "Lesion"
areas = ["LIP"]
onset = 700
[[stimulus]]
type = "Change"
parameter = "dopamine"
value = 0.5
[simulate]
"""
    code, _, err = run("simulate", "trial.toml", toml=TRIAL.replace("[simulate]", parts))
    assert (code, err) == (0, "")
    result = cx.load("result.nc")
    assert result.attrs["conduction_speed_m_per_s"] == 3.5
    assert result.r_E1.sel(area="LIP").isnull().sum("time").to_numpy().tolist() == [50, 50]
    bad = TRIAL.replace("[simulate]", parts.replace("LIP", "LIQ"))
    assert "[[stimulus]] 2 of trial.toml: Unknown area 'LIQ' in Lesion" in run("simulate", "trial.toml", toml=bad)[2]
    bad = TRIAL.replace("[simulate]", parts.replace("3.5", "-1"))
    assert (
        "[connectome] of trial.toml: Argument `conduction_speed` must be positive"
        in run("simulate", "trial.toml", toml=bad)[2]
    )
