"""Training: it learns, stops where it should, and goes on from a checkpoint as if it had never stopped."""

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest
from rnn_plain import Tiny

from cortexsim import rnn, tasks
from cortexsim.rnn import checkpoint as checkpoints
from cortexsim.rnn import files
from cortexsim.rnn.loss import Penalties
from cortexsim.rnn.network import Network, Parameters
from cortexsim.rnn.optimizer import norms
from cortexsim.rnn.passes import Passes
from cortexsim.rnn.rules import ALL, BPTT, CD, DASC, SCTT, Annealing, Strategic
from cortexsim.tasks import Draw, Task, TaskEpoch

NETWORK = Network(inputs=3, outputs=3, units=10, tau=20.0, tau_noise=20.0)


class Remember(Task):
    """Say after a delay which of two stimuli there was."""

    name = "remember"
    inputs = ("left", "right", "go")
    outputs = ("left", "right", "fixation")
    draws = 1

    @property
    def epochs(self):
        return TaskEpoch("stimulus", 50.0), TaskEpoch("delay", 50.0), TaskEpoch("response", 100.0)

    def draw(self, u):
        left = u[0] < 0.5
        inputs = np.zeros((3, len(left), 3))
        inputs[0, :, 0], inputs[0, :, 1] = left, ~left
        inputs[2, :, 2] = 1
        targets = np.zeros((2, len(left), 3))
        targets[0, :, 2] = 1
        targets[1, :, 0], targets[1, :, 1] = left, ~left
        return Draw(inputs, targets, {"left": left})


REMEMBER = Remember(warmup=0.0, grace=30.0, jitter=0.0)


def start(network=NETWORK, networks=2, **options):
    return rnn.initialise(network, networks, scheme="normal", **options)


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_networks_learn_and_stop_when_they_know_it():
    quick = rnn.Adam(learning_rate=1e-2)
    found = rnn.train(NETWORK, REMEMBER, start(), steps=1000, optimizer=quick, evaluate_every=50, goal=0.95)
    performance = found.history.performance
    assert found.stopped == "goal"
    assert found.step < 500
    assert performance[0].mean() < 0.8 < 0.95 <= performance[-1].mean()
    # The same trials and noise as in the last evaluation
    np.testing.assert_array_equal(rnn.evaluate(NETWORK, REMEMBER, found.parameters, step=found.step), performance[-1])


def test_training_is_the_same_again_and_on_any_number_of_threads():
    runs = [rnn.train(NETWORK, Tiny(), start(networks=3), steps=10, threads=k) for k in (1, 1, 2)]
    assert same(runs[0].parameters, runs[1].parameters)
    assert same(runs[0].parameters, runs[2].parameters)
    other = rnn.train(NETWORK, Tiny(), start(networks=3), steps=10, threads=1, seed=1)
    assert not same(runs[0].parameters, other.parameters)


@pytest.mark.parametrize("optimizer", [rnn.Adam(), rnn.SGD(0.01, momentum=0.9, clip_norm=0.1)], ids=["Adam", "SGD"])
def test_a_training_that_was_interrupted_ends_with_the_same_bits(tmp_path, optimizer):
    path, schedule = tmp_path / "run.npz", Annealing(DASC(5, 0.5), stages=2, hold=6)
    options = {"optimizer": optimizer, "evaluate_every": 4, "evaluation_trials": 8, "goal": None}
    whole = rnn.train(NETWORK, Tiny(), start(), schedule, steps=20, **options)
    for steps in (3, 4, 13, 20):
        # 13 is within a stage and between two evaluations
        parted = rnn.train(NETWORK, Tiny(), start(), schedule, steps=steps, checkpoint=path, **options)
    assert same(whole.parameters, parted.parameters)
    assert whole.history.identical(parted.history)
    np.testing.assert_allclose(whole.history.beta, [0.5, 0.75, 0.75, 1, 1])


@pytest.mark.slow
def test_a_training_that_was_killed_ends_with_the_same_bits(tmp_path):
    path = tmp_path / "run.npz"
    program = textwrap.dedent(
        f"""
        import sys
        sys.path.insert(0, {os.path.dirname(__file__)!r})
        from test_rnn_train import NETWORK, Tiny, rnn, start
        def tell(progress):
            print(progress.step, flush=True)
        rnn.train(NETWORK, Tiny(), start(), steps=300, checkpoint={str(path)!r}, checkpoint_every=5,
                  evaluate_every=10, evaluation_trials=4, goal=None, callbacks=[tell], threads=1)
        """
    )
    for until in ("40", "120"):
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                if line.strip() == until:
                    process.send_signal(signal.SIGKILL)
                    break
            assert process.wait(timeout=60) == -signal.SIGKILL
    options = {"evaluate_every": 10, "evaluation_trials": 4, "goal": None}
    parted = rnn.train(NETWORK, Tiny(), start(), steps=300, checkpoint=path, threads=1, **options)
    whole = rnn.train(NETWORK, Tiny(), start(), steps=300, threads=1, **options)
    assert same(whole.parameters, parted.parameters)
    assert whole.history.identical(parted.history)


def test_a_checkpoint_of_another_training_is_refused_with_what_differs(tmp_path):
    path = tmp_path / "run.npz"
    rnn.train(NETWORK, Tiny(), start(), steps=2, checkpoint=path)
    with pytest.raises(ValueError, match=r"same training, but seed was 0 and is 1\. Give another file"):
        rnn.train(NETWORK, Tiny(), start(), steps=2, checkpoint=path, seed=1)
    with pytest.raises(ValueError, match="parameters was"):
        rnn.train(NETWORK, Tiny(), start(seed=1), steps=2, checkpoint=path)
    rnn.save_networks(path, NETWORK, start())
    with pytest.raises(ValueError, match="must be a checkpoint"):
        rnn.train(NETWORK, Tiny(), start(), steps=2, checkpoint=path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "weights.npz"
    rnn.save_networks(path, NETWORK, start())
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        rnn.save_networks(path, NETWORK, start(seed=1))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["weights.npz"]


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_a_diverging_training_stops_with_step_norm_and_advice_and_keeps_its_checkpoint(tmp_path):
    path = tmp_path / "run.npz"
    network = replace(NETWORK, readout="linear")
    wild = rnn.SGD(learning_rate=30.0)
    with pytest.raises(rnn.TrainingDiverged) as caught:
        rnn.train(network, Tiny(), start(network), steps=500, optimizer=wild, checkpoint=path, checkpoint_every=1)
    error = caught.value
    assert error.step > 0
    assert error.norm > 1
    assert "clip" in str(error)
    assert "lower the learning rate of 30" in str(error)
    assert str(path) in str(error)
    kept = files.read(path)
    assert all(np.isfinite(values).all() for name, values in kept.items() if name.startswith("parameters/"))
    calm = rnn.SGD(learning_rate=30.0, clip_norm=1e-3)
    rnn.train(network, Tiny(), start(network), steps=error.step + 5, optimizer=calm)


@pytest.fixture
def wild(monkeypatch):
    """Make the gradient of network 1 infinite from step 6 on."""
    gradients = Passes.gradients

    def spoilt(self, *args, step=0, **options):
        losses, gradient = gradients(self, *args, step=step, **options)
        if step >= 6:
            gradient.W_rec[1:2] = np.inf
        return losses, gradient

    monkeypatch.setattr(Passes, "gradients", spoilt)


@pytest.mark.usefixtures("wild")
@pytest.mark.parametrize("optimizer", [rnn.Adam(clip_norm=0.1), rnn.SGD(0.01, momentum=0.9)], ids=["Adam", "SGD"])
def test_a_diverged_network_is_dropped_and_the_others_train_on_with_the_same_bits(optimizer, tmp_path):
    options = {"optimizer": optimizer, "evaluate_every": 4, "evaluation_trials": 8, "goal": None, "threads": 1}
    found = rnn.train(NETWORK, Tiny(), start(networks=3), steps=12, diverged="drop", **options)
    np.testing.assert_array_equal(found.history.diverged, [np.nan, 6, np.nan])
    for name in ("loss", "performance", "norm"):
        np.testing.assert_array_equal(np.isnan(found.history[name]), [[0, 0, 0], [0, 1, 0], [0, 1, 0]])
    before = rnn.train(NETWORK, Tiny(), start(networks=3), steps=6, **options)
    assert same(found.parameters.select([1]), before.parameters.select([1]))
    # Trained alone: network 0 of any stack has the same noise
    alone = rnn.train(NETWORK, Tiny(), start(networks=1), steps=12, **options)
    assert same(found.parameters.select([0]), alone.parameters)
    # Stopped, and then gone on with
    path = tmp_path / "run.npz"
    files_ = {"checkpoint": path, "checkpoint_every": 5}
    with pytest.raises(rnn.TrainingDiverged, match="network 1 became non-finite at step 6"):
        rnn.train(NETWORK, Tiny(), start(networks=3), steps=12, **files_, **options)
    for steps in (9, 12):
        parted = rnn.train(NETWORK, Tiny(), start(networks=3), steps=steps, diverged="drop", **files_, **options)
    assert same(found.parameters, parted.parameters)
    assert found.history.identical(parted.history)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_training_ends_when_all_networks_have_diverged():
    network = replace(NETWORK, readout="linear")
    with pytest.raises(rnn.TrainingDiverged):
        rnn.train(network, Tiny(), start(network), steps=500, optimizer=rnn.SGD(learning_rate=30.0), diverged="drop")
    with pytest.raises(ValueError, match="Unknown way to go on 'dropp' in `diverged`; did you mean 'drop'"):
        rnn.train(NETWORK, Tiny(), start(), diverged="dropp")


def test_callbacks_see_every_evaluation_and_can_stop():
    seen = []

    def stop(now):
        seen.append((now.step, now.rule, now.performance.shape, now.norm.shape))
        return now.step == 6

    found = rnn.train(NETWORK, Tiny(), start(), CD(2), steps=20, evaluate_every=3, goal=None, callbacks=[stop])
    assert found.stopped == "callback"
    assert seen == [(3, CD(2), (2,), (2,)), (6, CD(2), (2,), (2,))]
    assert found.history.time_scale.values.tolist() == [2, 2]


def test_masks_and_dales_law_hold_after_every_step():
    network = replace(NETWORK, inhibitory=(8, 10), autapses=False, density=0.5)
    found = rnn.train(network, Tiny(), start(network), steps=20, optimizer=rnn.SGD(0.5), threads=1)
    W = found.parameters.W_rec
    assert not W[:, ~network.mask()].any()
    assert not np.array_equal(W, start(network).W_rec)
    assert (W[:, :, :8] >= 0).all()
    assert (W[:, :, 8:] <= 0).all()


def test_adam_makes_the_steps_of_its_definition():
    adam = rnn.Adam(learning_rate=0.1)
    p = Parameters(*(np.array([[1.0, -2.0]]) for _ in range(5)))
    gradients = [Parameters(*(np.array([[k + 1.0, -0.5]]) for _ in range(5))) for k in range(3)]
    moments, expected, m, v = adam.start(p), np.array([1.0, -2.0]), 0.0, 0.0
    for t, gradient in enumerate(gradients, start=1):
        p, moments = adam.update(p, gradient, moments, adam.rate(t))
        g = gradient.bias[0]
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        expected = expected - 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-7)
    np.testing.assert_allclose(p.bias[0], expected, rtol=1e-13)


def test_clipping_shortens_long_gradients_of_each_network_and_keeps_their_direction():
    long, short = np.full((2, 3), 10.0), np.full((2, 3), 10.0)
    short[1] = 1e-3
    gradient = Parameters(long, short, long[:, :0], long[:, :0], long[:, :0])._replace(W_rec=short)
    clipped = rnn.Adam(clip_norm=1.0).clipped(gradient, norms(gradient))
    np.testing.assert_allclose(norms(clipped), [1.0, norms(gradient)[1]])
    np.testing.assert_allclose(clipped.W_rec[0] / clipped.bias[0], 1.0)


def test_learning_rates_follow_their_schedules():
    assert [rnn.Exponential(1.0, 0.1, 10).at(k) for k in (0, 10, 20)] == pytest.approx([1, 0.1, 0.01])
    assert [rnn.Cosine(1.0, 10, 0.2).at(k) for k in (0, 5, 10, 99)] == pytest.approx([1, 0.6, 0.2, 0.2])
    assert [rnn.Piecewise((1.0, 0.5, 0.1), (3, 7)).at(k) for k in (0, 2, 3, 6, 7)] == [1, 1, 0.5, 0.5, 0.1]
    assert rnn.Adam(learning_rate=rnn.Cosine(1.0, 10)).rate(5) == pytest.approx(0.5)


def test_annealing_has_the_stages_of_the_paper():
    assert [Annealing(DASC(), n).hold for n in (1, 5, 10)] == [10_000, 3_330, 1_810]
    steps = Annealing(CD(10), 5, hold=1)
    assert [steps.at(k).skip for k in range(7)] == [10, 8, 6, 4, 2, 1, 1]
    assert [Annealing(CD(10), 1, hold=1).at(k).skip for k in range(2)] == [10, 1]
    strategic = Annealing(Strategic(SCTT(10, 0.8), 0.5), 1, hold=1)
    assert strategic.at(1).skips == BPTT().skips
    anew = Annealing(CD(10), 5, hold=10, anew=True)
    assert [k for k in range(80) if anew.starts_anew(k)] == [10, 20, 30, 40, 50]


@pytest.mark.parametrize("rule", [kind() for kind in ALL.values()], ids=list(ALL))
def test_every_rule_ends_at_the_true_dynamics(rule):
    assert rule.annealed(1.0).skips == BPTT().skips
    assert rule.annealed(1.0).time_scale == 1
    assert rule.annealed(0.0) == rule


def test_the_mean_of_the_middle_leaves_out_a_tenth_at_either_end():
    assert rnn.trimmed_mean(np.array([0.0, *[0.5] * 8, 1.0])) == 0.5
    assert rnn.trimmed_mean(np.array([0.2, 0.4])) == pytest.approx(0.3)
    # A network that diverged has failed
    assert rnn.trimmed_mean(np.array([np.nan, *[0.5] * 8, 1.0])) == 0.5
    assert rnn.trimmed_mean(np.array([np.nan, 0.4])) == pytest.approx(0.2)


def test_run_labels_what_networks_do():
    trials = Tiny().trials(4, jitter=False)
    found = rnn.run(NETWORK, start(), trials)
    assert dict(found.sizes) == {"network": 2, "trial": 4, "time": 88, "output": 3, "unit": 10}
    assert found.time.values[:2].tolist() == [5.0, 10.0]
    assert found.epoch.values[12] == "wait"
    assert list(found.output.values) == ["x", "y", "z"]
    with pytest.raises(ValueError, match="time step 10 ms, but have 5 ms"):
        rnn.run(NETWORK, start(), trials, CD(2))


def test_networks_and_tasks_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="3 inputs of 'tiny', but has 4"):
        rnn.train(replace(NETWORK, inputs=4), Tiny(), start(replace(NETWORK, inputs=4)))
    with pytest.raises(ValueError, match="'softmax' for a task with cross-entropy"):
        rnn.train(NETWORK, Tiny(classes=True), start())
    with pytest.raises(ValueError, match=r"`W_rec` must have the shape \(2, 10, 10\)"):
        rnn.train(
            NETWORK, Tiny(), start(replace(NETWORK, units=11))._replace(bias=start().bias, W_rec=np.zeros((2, 11, 10)))
        )
    with pytest.raises(TypeError, match="one of the rules"):
        rnn.train(NETWORK, Tiny(), start(), "dasc")
    whole = Parameters(*(p.astype(int) for p in start()))
    with pytest.raises(ValueError, match="Unknown precision 'int64' in the parameters"):
        rnn.train(NETWORK, Tiny(), whole)


def test_a_checkpoint_in_a_folder_that_is_not_there_is_refused_before_training(tmp_path):
    with pytest.raises(FileNotFoundError, match="must exist, but does not; make it"):
        rnn.train(NETWORK, Tiny(), start(), checkpoint=tmp_path / "none" / "run.npz")


def test_penalties_pull_weights_and_rates_down():
    results = {
        weight: rnn.train(NETWORK, Tiny(), start(), steps=60, penalties=Penalties(weight, weight), goal=None, threads=1)
        for weight in (0.0, 10.0)
    }
    size = {weight: np.abs(r.parameters.W_rec).mean() for weight, r in results.items()}
    rate = {w: np.abs(rnn.run(NETWORK, r.parameters, Tiny().trials(4)).rates).mean() for w, r in results.items()}
    assert size[10.0] < 0.95 * size[0.0]
    assert rate[10.0] < 0.5 * rate[0.0]


def test_state_of_a_checkpoint_comes_back_as_it_was(tmp_path):
    p = start()
    diverged = np.array([np.nan, 5.0])
    state = checkpoints.State(7, p, rnn.Adam().start(p), {"loss": np.ones((2, 2))}, np.arange(2.0), 3, diverged)
    checkpoints.save(tmp_path / "c.npz", state, {"a": "1"})
    found = checkpoints.load(tmp_path / "c.npz", {"a": "1"}, p)
    assert (found.step, found.parts, found.moments.steps) == (7, 3, 0)
    assert same(found.parameters, p)
    np.testing.assert_array_equal(found.diverged, diverged)
    assert checkpoints.load(tmp_path / "none.npz", {}, p) is None


@pytest.mark.parametrize(
    "task", [tasks.RuleReversal(), tasks.NBack(), tasks.DelayedMatch()], ids=lambda task: task.name
)
def test_tasks_of_every_kind_can_be_trained(task):
    network = Network.for_task(task, units=20)
    rule = Strategic(DASC(40, 0.5), 0.5)
    found = rnn.train(
        network, task, start(network), rule, steps=3, trials=8, evaluate_every=3, evaluation_trials=8, goal=None
    )
    assert np.isfinite(found.history.loss).all()
    assert ((found.history.performance >= 0) & (found.history.performance <= 1)).all()
    assert not same(found.parameters, start(network))
