import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def tables(report):
    """The rows of each Markdown table in a report, as dicts, by the heading above it."""
    found, heading, columns = {}, None, None
    for line in report.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if not line.startswith("|"):
            columns = None
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if columns is None:
            columns = cells
        elif set(line) - set("|- "):
            found.setdefault(heading, []).append(dict(zip(columns, cells, strict=True)))
    return found


@pytest.fixture(scope="module")
def quick():
    script = BENCHMARKS / "froudist_walsh2021.py"
    done = subprocess.run([sys.executable, str(script), "--quick"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return tables(done.stdout)


def test_plain_numpy_and_the_simulator_agree_with_and_without_noise(quick):
    rows = quick["Agreement of the two programs, all rates at every step"]
    assert [row["run"].split(",")[0] for row in rows] == ["float64", "float64", "float32"]
    for row in rows:
        # A cortex that does nothing would agree as well.
        assert float(row["largest rate (Hz)"]) > 20
        # Another order of summation differs in the last bits; float32 keeps seven digits of rates up to 100 Hz.
        assert float(row["largest difference (Hz)"]) < (1e-9 if row["run"].startswith("float64") else 1e-2)


def test_each_batch_is_measured_for_both_precisions_and_plain_numpy(quick):
    measured = [(row["trials"], row["program"]) for row in quick["CPU time"]]
    programs = [
        "cortexsim, float64",
        "cortexsim, float32",
        "cortexsim, float64, noise off",
        "cortexsim, float32, noise off",
        "plain NumPy, float64",
    ]
    assert measured == [(trials, program) for trials in ("1", "8") for program in programs]


def test_aims_say_whether_they_are_met(quick):
    assert len(quick["Aims"]) == 4
    assert {row["met"] for row in quick["Aims"]} <= {"yes", "no"}


def test_written_results_are_of_a_full_run_that_agreed():
    written = (BENCHMARKS / "results" / "froudist_walsh2021.md").read_text(encoding="utf-8")
    assert "10000 Euler steps" in written
    assert "quick" not in written
    for row in tables(written)["Agreement of the two programs, all rates at every step"]:
        assert float(row["largest difference (Hz)"]) <= float(row["may be"])
