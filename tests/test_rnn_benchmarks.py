"""The benchmarks of training run, and what they wrote is of full runs."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def run(*command):
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_training_step_is_measured_on_one_thread_and_two():
    report = run(BENCHMARKS / "rnn_training.py", "--quick")
    rows = [line.strip("|").split("|") for line in report.splitlines() if line.startswith("| P")]
    assert [(row[0].strip(), row[1].strip()) for row in rows] == [
        (work, threads) for threads in "12" for work in ("P", "P", "P1", "P1")
    ]
    # Some GFLOP/s: neither a network that is not run, nor a machine that there is not.
    assert all(0.5 < float(row[4]) < 1000 for row in rows)


@pytest.mark.slow
def test_delayed_go_is_trained_with_skips_and_without(tmp_path):
    script = [BENCHMARKS / "dasc_delayed_go.py", "--small", "--steps", 100, "--networks", 2, "--folder", tmp_path]
    report = run(*script)
    assert "| control | 0/2" in report
    assert "| DASC10 | 0/2" in report
    assert sorted(path.name for path in tmp_path.iterdir()) == ["DASC10-2-0.npz", "control-2-0.npz"]
    # The second time there is nothing left to train
    again = run(*script)
    assert [line.rsplit("|", 2)[0] for line in again.splitlines() if "0/2" in line] == [
        line.rsplit("|", 2)[0] for line in report.splitlines() if "0/2" in line
    ]


def test_the_written_run_of_delayed_go_shows_that_dasc_solves_what_control_mostly_does_not():
    written = (BENCHMARKS / "results" / "dasc_delayed_go.md").read_text(encoding="utf-8")
    solved = {}
    for line in written.splitlines():
        if line.startswith(("| control", "| DASC40")):
            name, share = (cell.strip() for cell in line.split("|")[1:3])
            hits, of = share.split(" ")[0].split("/")
            solved[name] = int(hits) / int(of)
    assert solved["DASC40"] >= 0.9
    assert solved["control"] <= 0.5


@pytest.mark.slow
def test_a_training_step_of_a_hybrid_is_measured_beside_its_parts():
    report = run(BENCHMARKS / "hybrid_training.py", "--quick")
    rows = [line.strip("|").split("|") for line in report.splitlines() if line.startswith("| Chaudhuri2015")]
    assert [row[1].strip() for row in rows] == ["open_loop", "open_loop, far", "full"]
    # No part is left out: a hybrid takes some of the time of cortex and network, and not many times that
    assert all(0.1 < float(row[6].split("(")[0]) < 10 for row in rows)
