import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
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


def run_quickly(script):
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), "--quick"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return tables(done.stdout)


@pytest.fixture(scope="module")
def quick():
    return run_quickly("froudist_walsh2021.py")


@pytest.fixture(scope="module")
def quick_reduced_wong_wang():
    return run_quickly("reduced_wong_wang.py")


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


def test_node_updates_are_measured_for_each_workload_and_precision(quick_reduced_wong_wang):
    workloads = ["40 areas", "400 areas", "64 x 40 areas", "64 x 400 areas"]
    measured = [(row["workload"], row["precision"]) for row in quick_reduced_wong_wang["Aims"]]
    assert measured == [(w, dtype) for w in workloads for dtype in ("float64", "float32")]
    assert {row["met"] for row in quick_reduced_wong_wang["Aims"]} <= {"yes", "no"}


def test_limits_of_the_machine_are_what_a_core_can_have(quick_reduced_wong_wang):
    # Between a tenth and ten times of what cores of recent years do: sums that the compiler drops would exceed it.
    for row in quick_reduced_wong_wang["The machine, one core"]:
        assert 4 < float(row["multiply-add (GFLOP/s)"].split()[0]) < 1000
        assert 4 < float(row["read 16 KB (GB/s)"].split()[0]) < 2000
        assert 0.03 < float(row["exp (ns)"].split()[0]) < 30
        assert 0.1 < float(row["normal (ns)"].split()[0]) < 100


def test_the_parts_of_a_node_update_and_the_rest_add_up_to_what_is_measured(quick_reduced_wong_wang):
    rows = quick_reduced_wong_wang["What bounds it, ns per node-update"]
    assert len(rows) == 8
    for row in rows:
        parts = [float(row[name]) for name in ("call", "product", "exp", "normal")]
        assert min(parts) > 0
        # Of one round, rounded to .1 ns; the parts to .01 ns.
        assert sum(parts) + float(row["the rest"]) == pytest.approx(float(row["measured"].split()[0]), abs=0.08)


def test_peers_that_are_not_installed_are_left_out(quick_reduced_wong_wang):
    programs = {row["program"].split(",")[0] for row in quick_reduced_wong_wang["Beside others"]}
    assert programs == {"cortexsim"}
    assert "Agreement, noise off" not in quick_reduced_wong_wang


def test_scaling_compares_the_table_with_the_list_of_connections():
    found = run_quickly("scaling.py")
    assert [row["areas"] for row in found["Number of areas, one trial"]] == ["10", "20"]
    sparse, dense = found["Density, one trial"]
    assert int(sparse["connections"]) < int(dense["connections"]) == 20 * 19
    assert dense["the kernel takes"] == "table"


def test_written_results_of_others_are_of_simulators_that_agreed():
    written = (BENCHMARKS / "results" / "reduced_wong_wang.md").read_text(encoding="utf-8")
    assert "quick" not in written
    rows = tables(written)["Agreement, noise off"]
    assert {row["program"].split(",")[0] for row in rows} == {"tvboptim", "neurolib", "tvb-library"}
    for row in rows:
        # Areas that are all alike would agree without any coupling.
        assert float(row["range of S over areas"]) > 0.1
        assert float(row["largest difference"]) <= float(row["may be"])
