"""`cortexsim train`: what it writes, that it goes on where it was, how it refuses; and the pictures of a training."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure

from cortexsim import cli, rnn, tasks
from cortexsim.plot import training as plot
from cortexsim.rnn.solved import fraction_solved

pytestmark = pytest.mark.slow

BRIEF = tuple(
    word
    for change in ("warmup=50", "fixation=100", "stimulus=100", "delay=100", "response=150", "grace=50", "jitter=20")
    for word in ("--set", change)
)
TINY = (*BRIEF, "--networks", "2", "--units", "10", "--trials", "4", "--evaluate-every", "10", "--no-progress")


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command in an empty folder; return its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run_(*args: str) -> tuple[int, str, str]:
        code = cli.main(("train", *args))
        return code, *capsys.readouterr()

    return run_


@pytest.fixture
def without_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the drawing, which takes seconds."""
    monkeypatch.setattr(plot, "training_report", lambda *_, **__: Figure())


def history(performance: list[list[float]]) -> xr.Dataset:
    """A history with these performances, of step and network, after every 10 steps."""
    values = np.array(performance)
    steps = 10 * (1 + np.arange(len(values)))
    return xr.Dataset(
        {
            "performance": (("step", "network"), values),
            "loss": (("step", "network"), 1.1 - values),
            "beta": ("step", np.linspace(0.5, 1, len(values))),
            "time_scale": ("step", np.ones(len(values))),
        },
        coords={"step": steps, "network": np.arange(values.shape[1])},
    )


POPULATION = history([[0.8, 0.5, 0.995, 0.7], [0.99, 0.84, 0.9, 0.84], [1.0, 0.84, 0.8, 0.992]])


def test_a_training_leaves_weights_history_table_and_picture(run):
    code, out, _ = run("dgo", "--method", "dasc", "--skip", "5", "--hold", "10", "--steps", "20", *TINY)
    assert code == 0
    folder = Path("cortexsim-dgo-dasc")
    assert sorted(path.name for path in folder.iterdir()) == [
        *("checkpoint.npz", "history.nc", "networks.csv", "networks.npz", "report.png"),
    ]
    network, parameters = rnn.load_networks(folder / "networks.npz")
    assert (network.units, parameters.networks) == (10, 2)
    with xr.open_dataset(folder / "history.nc") as found:
        np.testing.assert_allclose(found.beta, [0.5, 1.0])
        table = pd.read_csv(folder / "networks.csv")
        np.testing.assert_allclose(table.performance, found.performance[-1])
    assert "Solved by 0 of 2" in out


@pytest.mark.usefixtures("without_picture")
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_gated_networks_train_too(run, cell):
    code, out, _ = run("dgo", "--network", cell, "--method", "sctt", "--skip", "5", "--steps", "10", *TINY)
    assert code == 0
    network, parameters = rnn.load_networks(f"cortexsim-dgo-{cell}-sctt/networks.npz")
    assert (network.cell, parameters.networks) == (cell, 2)
    assert f"2 {cell.upper()}s of 10 units" in out


@pytest.mark.usefixtures("without_picture")
def test_training_goes_on_from_its_checkpoint_and_ends_with_the_same_weights(run):
    for out, steps in (("parted", "10"), ("parted", "30"), ("whole", "30")):
        assert run("msddm", "--method", "sctt", "--steps", steps, "--out", out, *TINY)[0] == 0
    _, parted = rnn.load_networks("parted/networks.npz")
    _, whole = rnn.load_networks("whole/networks.npz")
    for a, b in zip(parted, whole, strict=True):
        np.testing.assert_array_equal(a, b)
    code, _, error = run("msddm", "--method", "sctt", "--skip", "7", "--steps", "30", "--out", "parted", *TINY)
    assert code == 2
    assert "same training, but schedule was" in error


@pytest.mark.slow
@pytest.mark.usefixtures("without_picture")
def test_training_that_was_killed_goes_on(run, tmp_path):
    words = ("dmc", "--steps", "600")
    command = [sys.executable, "-m", "cortexsim", "train", *words, "--out", "killed", *TINY]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        while not (tmp_path / "killed" / "checkpoint.npz").exists() and process.poll() is None:
            pass
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "networks.npz").exists()
    for out in ("killed", "whole"):
        assert run(*words, "--out", out, *TINY)[0] == 0
    for a, b in zip(*(rnn.load_networks(f"{out}/networks.npz")[1] for out in ("killed", "whole")), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_folder_that_is_a_file_is_refused_and_stays(run):
    Path("taken").write_text("mine")
    code, _, error = run("dgo", "--out", "taken", *TINY)
    assert code == 2
    assert "'taken' is a file" in error
    assert Path("taken").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("dgoo",), "did you mean 'dgo'"),
        (("dgo", "--skip", "40"), "--skip does not belong to --method bptt, which takes none of"),
        (("dgo", "--method", "cd", "--beta", ".5"), "--beta does not belong to --method cd, which takes --skip"),
        (("dgo", "--hold", "5"), "--hold does not belong to --method bptt"),
        (("dgo", "--method", "dasc", "--stages", "0", "--hold", "5"), "leave one out"),
        (("dgo", "--method", "dasc", "--variant", "new"), "Unknown variant 'new'"),
        (("dgo", "--method", "dasc", "--beta", "2"), "`beta` must lie between 0 and 1"),
        (("dgo", "--set", "dealy=5"), "did you mean 'delay'"),
        (("dgo", "--set", "delay"), "must be NAME=VALUE"),
        (("dgo", "--set", "ring=3.5"), "must be a whole number"),
        (("dms", "--set", "released=yes"), "must be true or false"),
        (("dgo", "--steps", "5", *TINY), "before the first evaluation"),
        (("dgo", "--goal", "99"), "`goal` must lie between 0 and 1"),
        (("dgo", "--networks", "0"), "`networks` must be"),
        (("dgo", "--network", "gru", "--method", "dasc"), "train it by BPTT, CD or SCTT"),
        (("dms", "--network", "lstm", "--released"), "a released task is --set released=true"),
    ],
)
def test_wrong_words_are_refused_with_a_way_out(run, words, message):
    code, out, error = run(*words)
    assert code == 2
    assert message in " ".join(error.split())
    assert "Traceback" not in error
    assert out == ""


def test_a_training_that_diverges_fails_with_advice(run):
    code, _, error = run("dgo", "--learning-rate", "1e38", "--steps", "20", *TINY)
    assert code == 1
    assert "became non-finite" in error
    assert "clip" in error


def test_a_task_of_several_trials_gets_strategic_skips(run):
    brief = ("warmup=20", "stimulus=40", "response=40", "feedback=20", "wait=20", "grace=10", "jitter=10")
    words = [word for change in (*brief, "patterns=01,10") for word in ("--set", change)]
    few = ("--networks", "2", "--units", "10", "--steps", "4", "--evaluate-every", "2", "--no-progress")
    assert run("rule_reversal", "--strategic", ".5", "--hold", "2", *words, *few)[0] == 0
    with xr.open_dataset("cortexsim-rule_reversal-bptt/history.nc") as found:
        assert found.attrs["rule"].startswith("Annealing(rule=Strategic(rule=BPTT(), beta=0.5)")


def test_solved_counts_networks_from_their_first_time_on():
    found = fraction_solved(POPULATION)
    np.testing.assert_array_equal(found.n, [1, 2, 3])
    np.testing.assert_array_equal(found["first"], [20, np.nan, 10, 30])
    np.testing.assert_array_equal(found.collapsed, [False, False, True, False])
    np.testing.assert_allclose(found.fraction, [0.25, 0.5, 0.75])
    # Wilson's interval of 2 of 4, by its closed form: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)
    np.testing.assert_allclose([found.low[1], found.high[1]], [0.150, 0.850], atol=5e-4)
    assert found["mean"][-1] == pytest.approx(np.mean([1.0, 0.84, 0.8, 0.992]))
    with pytest.raises(TypeError, match="Training.history"):
        fraction_solved(POPULATION.loss)
    with pytest.raises(ValueError, match="at least one record"):
        fraction_solved(POPULATION.isel(step=[]))


def test_a_network_that_diverged_has_not_solved_the_task_and_one_that_had_before_has_lost_it():
    found = fraction_solved(history([[0.8, 1.0, 0.9], [np.nan, np.nan, 1.0]]))
    np.testing.assert_array_equal(found.n, [1, 2])
    np.testing.assert_array_equal(found.collapsed, [False, True, False])
    assert found["mean"][-1] == pytest.approx(1 / 3)


def test_curves_show_the_fraction_solved_and_what_is_annealed():
    solved, performance, loss, way = plot.training_curves({"DASC40": POPULATION, "control": POPULATION}).axes
    np.testing.assert_allclose(solved.lines[0].get_ydata(), [0.25, 0.5, 0.75])
    assert [text.get_text() for text in solved.get_legend().get_texts()] == ["DASC40", "control"]
    # Four networks and their mean, of each training; and the threshold
    assert len(performance.lines) == 2 * 5 + 1
    assert loss.get_yscale() == "log"
    np.testing.assert_allclose(way.patches[0].get_data().values, [0.5, 0.75, 1.0])
    np.testing.assert_allclose(way.patches[0].get_data().edges, [0, 10, 20, 30])
    with pytest.raises(ValueError, match="at least one history"):
        plot.training_curves({})


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("dgo", "Angle answered (deg)"),
        ("ddm", "Fraction of choices of the first"),
        ("dmc", "Fraction of responses"),
        ("rule_reversal", "Fraction of trials right"),
    ],
)
def test_choices_of_a_perfect_network_look_perfect(name, label):
    task = tasks.by_name(name)
    trials = task.trials(40, seed=1, jitter=False)
    outputs = np.nan_to_num(trials.to_dataset().targets.transpose("time", "trial", "output").values)
    (ax,) = plot.choices(trials, outputs[np.newaxis]).axes
    assert ax.get_ylabel() == label
    if name == "dgo":
        # The code of an angle by 32 bumps is exact to a small part of a degree
        np.testing.assert_allclose(ax.lines[0].get_ydata(), ax.lines[0].get_xdata(), atol=0.5)
    elif name == "ddm":
        # The strengths differ by .2 or more: a level in between mixes both signs
        x, y = (values[abs(ax.lines[-1].get_xdata()) > 0.2] for values in ax.lines[-1].get_data())
        np.testing.assert_array_equal(y, x > 0)
    elif name == "rule_reversal":
        for line in ax.lines:
            np.testing.assert_array_equal(line.get_ydata(), 1.0)


def test_the_report_shows_two_trials_beside_the_curves():
    task = tasks.by_name("dgo")
    trials = task.trials(8, seed=1, jitter=False)
    outputs = np.zeros((trials.steps, 8, 33))
    figure = plot.training_report(POPULATION, trials, outputs, title="delayed go")
    # Curves; choices and ranks; two trials of four panels and a colour bar each
    assert [len(part.axes) for part in figure.subfigs] == [4, 2, 5, 5]
