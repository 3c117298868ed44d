"""The scripts for Soo, Goudar and Wang's tables run in a small size, go on after a kill, and count what they say."""

from __future__ import annotations

import csv
import importlib.util
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from cortexsim import rnn, tasks
from cortexsim.rnn.passes import Passes

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def command(script: str, folder: Path, *words: str) -> list[str]:
    where = ["--folder", str(folder / "checkpoints"), "--write", "--results", str(folder / "results")]
    return [sys.executable, str(BENCHMARKS / f"{script}.py"), "--small", *where, *words]


def run(script: str, folder: Path, *words: str) -> str:
    done = subprocess.run(command(script, folder, *words), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def lines(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "results" / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that the scripts share."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("dasc_runs", BENCHMARKS / "dasc_runs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "dasc_runs", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_table_1_holds_a_cell_for_each_task_and_arm_and_is_the_same_again(tmp_path):
    words = ("--tasks", "dgo", "dmc", "--stages", "1", "2")
    out = run("dasc_table1", tmp_path, *words)
    told = lines(tmp_path, "dasc_table1")
    # The control has no schedule
    assert len(told) == 2 * (1 + 5 * 2)
    assert {line["arm"] for line in told} == {"control", "CD10", "SCTT10", "SCTT40", "DASC10", "DASC40"}
    assert all(line["steps"] == "60" and line["networks"] == "3" for line in told)
    curves = lines(tmp_path, "dasc_table1_curves")
    assert [c["step"] for c in curves if c["arm"] == "control" and c["task"] == "dgo"] == ["20", "40", "60"]
    betas = [c["beta"] for c in curves if (c["task"], c["arm"], c["setting"][:3]) == ("dgo", "DASC40", "n 1")]
    assert betas == ["0.5", "1.0", "1.0"]
    assert (tmp_path / "results" / "dasc_table1.md").read_text(encoding="utf-8") in out
    # All cells are done: they are told again, with the CPU time that they took
    run("dasc_table1", tmp_path, *words)
    assert lines(tmp_path, "dasc_table1") == told


@pytest.mark.slow
def test_table_2_that_was_killed_goes_on_and_ends_the_same(tmp_path):
    for folder in ("killed", "whole"):
        (tmp_path / folder).mkdir()
    with subprocess.Popen(command("dasc_table2", tmp_path / "killed"), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("rule_reversal-SCTT40"):
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    assert [line["arm"] for line in lines(tmp_path / "killed", "dasc_table2")] == ["control", "CD10"]
    for folder in ("killed", "whole"):
        run("dasc_table2", tmp_path / folder)
    killed, whole = (lines(tmp_path / folder, "dasc_table2_curves") for folder in ("killed", "whole"))
    assert killed == whole
    arms = [line["arm"] for line in lines(tmp_path / "whole", "dasc_table2")]
    assert arms == [arm + more for more in ("", "+strategic") for arm in ("control", "CD10", "SCTT40", "DASC40")]
    settings = {line["arm"]: line["setting"] for line in lines(tmp_path / "whole", "dasc_table2")}
    assert settings["control"] == ""
    assert "beta_s 0.5" in settings["control+strategic"]
    assert "beta_s 0.8" in settings["SCTT40+strategic"]


@pytest.mark.slow
def test_figure_3_finds_sctt_farther_from_the_true_dynamics_than_dasc(tmp_path):
    run("dasc_figure3", tmp_path)
    told = lines(tmp_path, "dasc_figure3")
    assert (tmp_path / "results" / "dasc_figure3.png").stat().st_size > 0

    def mean(method: str, theta: str, noise: str) -> float:
        these = [line for line in told if (line["method"], line["theta"]) == (method, theta)]
        return float(np.mean([float(line[f"mismatch_{noise}"]) for line in these]))

    for theta in ("5", "20"):
        assert mean("SCTT", theta, "none") > 3 * mean("DASC", theta, "none")
        for method in ("SCTT", "DASC"):
            # Independent noise is a floor to the mismatch, and common noise almost none
            assert mean(method, theta, "independent") > mean(method, theta, "common")
    assert np.isnan(mean("CD", "5", "common"))
    assert mean("CD", "5", "independent") > mean("CD", "5", "none") > 0


def test_a_cell_in_which_a_network_diverges_goes_on_and_tells_how_many_did(runs, tmp_path, monkeypatch):
    gradients = Passes.gradients

    def spoilt(self, *args, step=0, **options):
        losses, gradient = gradients(self, *args, step=step, **options)
        if step >= 3:
            gradient.W_rec[1] = np.inf
        return losses, gradient

    monkeypatch.setattr(Passes, "gradients", spoilt)
    task = runs.shortened(tasks.by_name("dgo"))
    settings = runs.Settings(
        networks=3, steps=6, every=2, trials=4, evaluation_trials=8, seed=0, goal=None, folder=tmp_path, released=True
    )
    outcome = runs.train(runs.Cell(task, "control", rnn.BPTT()), settings)
    assert (outcome.stopped, outcome.step) == ("steps", 6)
    told = runs.row(outcome)
    assert told["diverged"] == 1
    assert [line["diverged"] for line in runs.curves([outcome])] == [0, 1, 1]
    assert len(runs.details(outcome)) == len(runs.DETAILS)
    # The one that diverged counts as 0
    assert told["mean_10_90"] == pytest.approx(float(outcome.history.performance[-1].sum()) / 3, abs=1e-4)


def test_flops_are_those_of_the_products_and_near_what_the_paper_implies(runs):
    task = tasks.by_name("dmc")
    network = rnn.Network.for_task(task, released=True)
    # 600 steps after a warm-up of 200; weights: 50 x 50, 20 x 85, 33 x 20; 20 trials, and 200 every 10 steps
    products = 2 * (2500 + 1700 + 660)
    assert runs.flops_per_step(network, task, 20) == products * 20 * (3 * 600 + 200 + 600 + 200)
    # 5.8e8 by Table 1 of the paper
    assert runs.flops_per_step(network, task, 20) == pytest.approx(5.8e8, rel=0.1)
    # Steps ten times as long cost a tenth, the evaluation what it did
    assert runs.flops_per_step(network, task, 20, 10) == products * 20 * (3 * 60 + 20 + 600 + 200)


def test_arms_are_the_rules_that_they_name(runs):
    assert runs.rule("control") == rnn.BPTT()
    assert runs.rule("CD10") == rnn.CD(10)
    assert runs.rule("SCTT40", 0.2) == rnn.SCTT(40, 0.2)
    assert runs.rule("DASC10", 0.8, released=False) == rnn.DASC(10, 0.8, "exact")
    with pytest.raises(SystemExit, match="DASC40"):
        runs.rule("GRU")


def test_chance_is_that_of_random_angles_and_unknown_where_some_trials_hold(runs):
    assert runs.chance(tasks.by_name("dgo")) == pytest.approx(0.84)
    assert runs.chance(tasks.by_name("go")) == pytest.approx(11 / 15)
    assert runs.chance(tasks.by_name("dmc")) is None
    assert runs.chance(tasks.by_name("rule_reversal")) is None
