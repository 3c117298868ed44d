"""The benchmark of prefrontal networks gives its trials as the task does, goes on where it was, and tells of each."""

from __future__ import annotations

import csv
import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import cortexsim as cx
from cortexsim import rnn

pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("script", BENCHMARKS / "hybrid_delayed_response.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "script", module)
    spec.loader.exec_module(module)
    return module


def test_stimuli_of_a_simulation_make_the_networks_answer_as_the_trials_of_the_task_do(script):
    hybrid = script.hybrid_of(script.cortex(0.5), script.SHORT)
    trials = replace(script.SHORT, distractor_choice="other").trials(4, seed=3, dt=10.0, jitter=False)
    assert set(trials.labels["cue"]) == {1, 2}
    told = rnn.run(hybrid, hybrid.stack, trials, noise=False)
    warmup = script.SHORT.warmup
    result = cx.simulate(
        hybrid, script.stimuli(hybrid, trials), trials=4, duration=warmup + trials.steps * 10.0 + 10.0, every=10.0,
        noise=False, dtype="float32", progress=False,
    )  # fmt: skip
    outputs = told.outputs[0].transpose("trial", "time", "output")
    # The record holds the state before a step, the outputs are of the one after it
    found = script.evidence(hybrid, result).sel(time=slice(warmup + 10, None))
    expected = (outputs[..., 0] - outputs[..., 1]).values
    # float32 through 1700 steps, in another order of summation
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert np.ptp(expected) > 0.05
    performance = trials.task.performance(told.outputs.transpose("network", "time", "trial", "output").values, trials)
    assert script.right(hybrid, result, trials).mean() == performance[0]


def test_the_untrained_model_answers_by_the_rates_of_the_two_areas(script):
    model = script.cortex(1.5)
    trials = replace(script.SHORT, distractor_choice="other").trials(6, seed=0, dt=10.0, jitter=False)
    duration = script.SHORT.warmup + trials.steps * 10.0
    result = cx.simulate(model, script.stimuli(model, trials), trials=6, duration=duration, every=10.0, progress=False)
    # With much dopamine the circuit holds the cue through the distractor
    assert script.right(model, result, trials).all()


def test_a_small_run_tells_of_each_network_and_condition_and_goes_on_to_the_same(tmp_path):
    command = [
        *(sys.executable, str(BENCHMARKS / "hybrid_delayed_response.py"), "--small", "--write", "--steps", "10"),
        *("--folder", str(tmp_path / "checkpoints"), "--results", str(tmp_path)),
    ]

    def run() -> str:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return (tmp_path / "hybrid_delayed_response.md").read_text(encoding="utf-8")

    first = run()
    assert first.count("| much (1.5) | 0 |") == first.count("| little (0.5) | 0 |") == 1
    for condition in ("intact", "input of the two areas cut", "the two areas silenced for a moment"):
        # With and without a distractor
        assert first.count(f"\n| {condition} |") == 2
    with (tmp_path / "hybrid_delayed_response.csv").open(encoding="utf-8") as file:
        assert [(line["dopamine"], line["step"]) for line in csv.DictReader(file)] == [("1.5", "10"), ("0.5", "10")]
    with np.load(tmp_path / "hybrid_delayed_response.npz", allow_pickle=False) as weights:
        assert {name.split("/")[0] for name in weights} == {"much", "little"}
        assert weights["much/W_rec 46d"].shape == (1, 50, 50)

    def measured(report: str) -> list[str]:
        return [line for line in report.splitlines() if line.startswith("|")]

    # Checkpoints hold the end of training, and the CPU time that it took
    assert measured(run()) == measured(first)


def test_a_written_report_is_of_a_full_run_in_which_all_networks_reached_the_goal():
    report = (BENCHMARKS / "results" / "hybrid_delayed_response.md").read_text(encoding="utf-8")
    assert "small" not in report
    lines = [line.split(" | ") for line in report.splitlines() if line.startswith(("| much", "| little"))]
    assert len(lines) == 6
    for line in lines:
        # CPU seconds until .9, and within an hour
        assert float(line[3]) < 3600
