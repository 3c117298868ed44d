"""The compiled forward and backward pass against plain NumPy, and against what the equations say."""

from dataclasses import replace

import numpy as np
import pytest
from rnn_plain import EVALUATION, TRAINING, Tiny, loss, run, start_noise

from cortexsim import tasks
from cortexsim.rnn.feedforward import propagate, unroll
from cortexsim.rnn.initialise import initialise
from cortexsim.rnn.kernel import build
from cortexsim.rnn.loss import Penalties
from cortexsim.rnn.network import ACTIVATIONS, FORMS, Network, Parameters
from cortexsim.rnn.passes import Passes
from cortexsim.rnn.rules import BPTT, CD, DASC, SCTT, Strategic

NETWORK = Network(
    inputs=3,
    outputs=3,
    units=10,
    input_units=(0, 5),
    output_units=(3, 9),
    tau=(20.0,) * 7 + (12.0,) * 3,
    tau_noise=40.0,
)
RULES = [
    BPTT(),
    CD(2),
    SCTT(5, 0.4),
    SCTT(7, 0.0),
    DASC(4, 0.3),
    DASC(4, 0.3, "exact"),
    DASC(2, 0.8),
    DASC(2, 0.8, "exact"),
    Strategic(BPTT(), 0.6),
    Strategic(DASC(5, 0.5, "exact"), 0.3),
    Strategic(SCTT(6, 0.5), 0.0),
]
PENALTIES = Penalties(0.02, 0.03)
CONSTRAINTS = [
    {"inhibitory": (7, 10)},
    {"autapses": False},
    {"blocks": (4, 6), "density": ((1.0, 0.5), (0.3, 0.0))},
    {"input_units": None, "output_units": None},
    {"output_bias": True},
]


def some(network, networks=1, dtype="float64", seed=3):
    """Parameters with enough recurrence to matter."""
    p = initialise(network, networks, seed=seed, scheme="normal", gain=1.5, dtype=dtype)
    random = np.random.default_rng(seed)
    # No unit sits on the kink of the ReLU for long, where there is no derivative.
    bias = random.uniform(0.1, 0.5, p.bias.shape) * random.choice([-1, 1], p.bias.shape)
    bias_out = random.normal(size=p.bias_out.shape) * network.output_bias
    return p._replace(bias=bias.astype(dtype), W_in=p.W_in * 2, W_out=p.W_out * 2, bias_out=bias_out.astype(dtype))


def one(parameters, k=0):
    return Parameters(*(values[k] for values in parameters))


def gap(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def check_gradient(network, rule, task=None, noise=True):
    """Compiled loss and gradient, both of two networks, against complex steps of the twin in random directions."""
    task = task or Tiny(classes=network.readout == "softmax")
    trials = task.trials(6, seed=5, step=9, dt=network.dt * rule.time_scale)
    parameters = some(network, 2)
    with Passes(network, "float64", threads=1) as passes:
        losses, gradient = passes.gradients(
            parameters, trials, rule, penalties=PENALTIES, seed=2**40 + 1, step=9, noise=noise
        )
        eta = start_noise(passes, 6, 1, 2**40 + 1, 9, TRAINING) if noise else None
    p = one(parameters, 1)
    expected = loss(network, p, trials, rule, PENALTIES, eta)
    # Both sum up some 10,000 terms in another order.
    assert losses[1] == pytest.approx(expected, rel=1e-12)
    random = np.random.default_rng(1)
    for name in Parameters._fields:
        if name == "bias_out" and not network.output_bias:
            assert not getattr(gradient, name).any()
            continue
        for _ in range(3):
            value = getattr(p, name)
            # A connection that is not there stays away
            direction = random.normal(size=value.shape) * (value != 0 if name == "W_rec" else 1)
            shifted = p._replace(**{name: value + 1e-30j * direction})
            shifted = Parameters(*(v.astype(complex) for v in shifted))
            slope = loss(network, shifted, trials, rule, PENALTIES, eta).imag / 1e-30
            size = np.linalg.norm(getattr(gradient, name)[1]) * np.linalg.norm(direction)
            # 1e-9 of the gradient's length: complex steps are exact, what differs is rounding over 90 steps.
            assert (getattr(gradient, name)[1] * direction).sum() == pytest.approx(slope, abs=1e-9 * size), name


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_those_of_complex_steps_for_each_rule(form, rule):
    check_gradient(replace(NETWORK, form=form), rule)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("readout", ["sigmoid", "linear", "softmax"])
def test_gradients_are_those_of_complex_steps_for_each_activation_and_readout(form, activation, readout):
    network = replace(NETWORK, form=form, activation=activation, readout=readout)
    check_gradient(network, DASC(4, 0.3, "exact"), noise=False)


@pytest.mark.parametrize("changes", CONSTRAINTS, ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_those_of_complex_steps_for_each_constraint(form, changes):
    check_gradient(replace(NETWORK, form=form, activation="tanh", **changes), DASC(4, 0.3))


@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_those_of_complex_steps_with_feedback_from_the_answers(form):
    network = replace(NETWORK, form=form, readout="softmax")
    check_gradient(network, Strategic(SCTT(5, 0.5), 0.5), Tiny(classes=True, answers_back=True))


def test_gradients_are_those_of_complex_steps_for_an_elman_network():
    check_gradient(replace(NETWORK, tau=5.0, activation="tanh", tau_noise=5.0), BPTT())


@pytest.mark.parametrize("units", [1, 3, 17, 33, 128])
@pytest.mark.parametrize("trials", [1, 3, 5])
def test_outputs_are_those_of_plain_numpy_for_any_number_of_units_and_trials(units, trials):
    network = Network(inputs=3, outputs=3, units=units, tau=20.0, activation="tanh")
    batch = Tiny().trials(trials, seed=1)
    parameters = some(network)
    with Passes(network, "float64", threads=1) as passes:
        ((y, r),) = passes.outputs(parameters, batch, DASC(4, 0.5), seed=8, step=2, rates=True)
        eta = start_noise(passes, trials, 0, 8, 2, EVALUATION)
    rates, outputs = run(network, one(parameters), batch, DASC(4, 0.5), eta)
    np.testing.assert_allclose(r, rates, rtol=0, atol=1e-12)
    np.testing.assert_allclose(y, outputs, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "rule", [SCTT(5, 1.0), DASC(5, 1.0), DASC(5, 1.0, "exact"), CD(1), Strategic(BPTT(), 1.0)], ids=repr
)
def test_without_a_mix_every_rule_is_plain_backpropagation_bit_by_bit(rule):
    trials, parameters = Tiny().trials(4), some(NETWORK, 2)
    with Passes(NETWORK, "float64", threads=1) as passes:
        expected = passes.gradients(parameters, trials, BPTT())
        found = passes.gradients(parameters, trials, rule)
    np.testing.assert_array_equal(found[0], expected[0])
    for a, b in zip(found[1], expected[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_skips_longer_than_every_epoch_change_nothing():
    trials, parameters = Tiny().trials(4), some(NETWORK)
    with Passes(NETWORK, "float64", threads=1) as passes:
        expected = passes.gradients(parameters, trials, BPTT())
        # The longest epoch has 23 steps
        found = passes.gradients(parameters, trials, DASC(24, 0.2, "exact"))
        shorter = passes.gradients(parameters, trials, DASC(23, 0.2, "exact"))
    for a, b in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-16)
    assert gap(shorter[1].W_rec, expected[1].W_rec) > 1e-3


def test_exact_dasc_takes_the_error_of_a_relaxing_unit_by_the_factor_of_the_paper():
    a, skip, beta = 5 / 20, 3, 0.6
    network = Network(inputs=3, outputs=3, units=2, tau=20.0, noise=0.0)
    p = Parameters(*(np.zeros_like(v) for v in some(network)))._replace(bias=np.full((1, 2), 2.0))
    trials = Tiny(warmup=0.0, jitter=0.0).trials(1)
    with Passes(network, "float64", threads=1) as passes:
        ((_, rates),) = passes.outputs(p, trials, DASC(skip, beta, "exact"), rates=True)
    errors = np.concatenate([[2.0], 2.0 - rates[:12, 0, 0]])[::skip]
    expected = beta * (1 - a) ** skip + (1 - beta) * (1 - skip * a)
    np.testing.assert_allclose(errors[1:] / errors[:-1], expected, rtol=1e-12)


def test_float32_agrees_with_float64_to_its_digits():
    trials = Tiny().trials(20, seed=4)
    parameters = some(NETWORK, 2)
    single = Parameters(*(v.astype("float32") for v in parameters))
    with Passes(NETWORK, "float64", threads=1) as passes:
        expected = passes.gradients(Parameters(*(v.astype("float64") for v in single)), trials, DASC(5, 0.5), step=1)
    with Passes(NETWORK, "float32", threads=1) as passes:
        found = passes.gradients(single, trials, DASC(5, 0.5), step=1)
    # 24 bits, and errors of some 100 steps.
    assert gap(found[0], expected[0]) < 1e-5
    for name in Parameters._fields[:4]:
        assert gap(getattr(found[1], name), getattr(expected[1], name)) < 1e-4, name


@pytest.mark.parametrize("readout", ["sigmoid", "softmax"])
def test_gradients_of_long_trials_keep_their_digits_in_float32(readout):
    """Sums of 30,000 products that are much alike: added one by one they are wrong by 4e-4, in blocks by 1e-5."""
    task = tasks.DelayedGo(warmup=0.0, delay=6000.0)
    network = Network.for_task(task, released=True, noise=0.0, output_bias=True, readout=readout)
    p, trials = initialise(network, 2), task.trials(20, seed=1, jitter=False)
    found = []
    for dtype in ("float32", "float64"):
        with Passes(network, dtype, threads=1) as passes:
            loss, gradient = passes.gradients(Parameters(*(v.astype(dtype) for v in p)), trials, BPTT())
        found.append((loss, *gradient))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=3e-5 * np.abs(b).max())


def test_a_network_is_the_same_whatever_others_run_beside_it_and_on_however_many_threads():
    trials, parameters = Tiny().trials(8), some(NETWORK, 5, "float32")
    with Passes(NETWORK, "float32", threads=3) as several, Passes(NETWORK, "float32", threads=1) as single:
        together = several.gradients(parameters, trials, SCTT(5, 0.5))
        alone = single.gradients(parameters.select(slice(0, 2)), trials, SCTT(5, 0.5))
        halves = several.gradients(parameters, trials, SCTT(5, 0.5), parts=2)
    for a, b, c in zip(together[1], alone[1], halves[1], strict=True):
        np.testing.assert_array_equal(a[:2], b)
        np.testing.assert_allclose(a, c, rtol=1e-3, atol=1e-5)
    assert not np.array_equal(together[1].W_rec, halves[1].W_rec)


def test_a_trial_is_the_same_in_whatever_tile_it_runs():
    trials, parameters = Tiny().trials(11), some(NETWORK)
    with Passes(NETWORK, "float64", threads=1) as passes:
        ((small, _),) = passes.outputs(parameters, trials, BPTT(), tile=3)
        ((large, _),) = passes.outputs(parameters, trials, BPTT(), tile=20)
    np.testing.assert_array_equal(small, large)


def test_noise_has_unit_variance_and_the_correlation_of_its_time_constant():
    # Weights and leak such that the rates are the noise itself.
    network = Network(
        inputs=3, outputs=3, units=200, form="current", activation="tanh", noise=1e-3, tau=5.0, tau_noise=25.0
    )
    p = Parameters(*(np.zeros_like(v) for v in some(network)))
    trials = Tiny(warmup=0.0, jitter=0.0).trials(200)
    with Passes(network, "float64", threads=1) as passes:
        ((_, rates),) = passes.outputs(p, trials, BPTT(), rates=True)
    eta = rates / 1e-3
    rho = 1 - 5 / 25
    # Starts at variance 1; in the long run Euler's method makes it 1 / (1 - dt / (2 tau)). 40,000 samples: s.e. .007.
    assert eta[0].var() == pytest.approx(1.0, abs=0.04)
    assert eta[40:].var() == pytest.approx(1 / (1 - 0.1), abs=0.02)
    assert (eta[40:-1] * eta[41:]).mean() / eta[40:].var() == pytest.approx(rho, abs=0.01)
    assert abs(eta.mean()) < 0.01
    z = eta[-1] / eta[-1].std()
    assert abs((z**3).mean()) < 0.06
    assert abs((z**4).mean() - 3) < 0.15
    # No unit, trial or step is another's twin.
    correlations = np.corrcoef(eta[-1].T) - np.eye(200)
    assert np.abs(correlations).max() < 6 / np.sqrt(200)
    shocks = eta[1:] - rho * eta[:-1]
    assert abs((shocks[1:] * shocks[:-1]).mean() / shocks.var()) < 0.005


def test_noise_differs_between_networks_steps_seeds_and_evaluation():
    trials = Tiny().trials(2)
    parameters = some(NETWORK).select([0, 0])
    with Passes(NETWORK, "float64", threads=1) as passes:
        a, b = (y for y, _ in passes.outputs(parameters, trials, BPTT()))
        ((c, _),) = passes.outputs(parameters.select([0]), trials, BPTT(), step=1)
        ((d, _),) = passes.outputs(parameters.select([0]), trials, BPTT(), seed=1)
        ((e, _),) = passes.outputs(parameters.select([0]), trials, BPTT())
    assert len({y.tobytes() for y in (a, b, c, d)}) == 4
    np.testing.assert_array_equal(a, e)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("form", FORMS)
def test_the_feedforward_network_of_all_steps_gives_the_same_rates(form, activation):
    network = replace(NETWORK, form=form, activation=activation, noise=0.0)
    trials, parameters = Tiny().trials(6, seed=2), some(network, 2)
    with Passes(network, "float64", threads=1) as passes:
        _, (_, expected) = passes.outputs(parameters, trials, BPTT(), rates=True)
    layers = unroll(network, parameters, trials, which=1)
    assert len(layers) == trials.warmup + trials.steps
    # As many layers, each with rounding of its own
    np.testing.assert_allclose(propagate(network, layers)[trials.warmup :], expected, rtol=0, atol=1e-12)


def test_windows_that_overlap_are_refused():
    trials = Tiny().trials(2)
    early = replace(trials.windows[1], start=trials.windows[0].start)
    overlapping = replace(trials, windows=(trials.windows[0], early))
    with Passes(NETWORK, "float64", threads=1) as passes, pytest.raises(ValueError, match="follow each other without"):
        passes.gradients(some(NETWORK), overlapping, BPTT())


@pytest.mark.slow
def test_an_edited_pass_does_not_meet_old_machine_code(tmp_path, monkeypatch):
    monkeypatch.setenv("CORTEXSIM_CACHE_DIR", str(tmp_path))
    before = build.loops.__wrapped__("float32")
    again = build.loops.__wrapped__("float32")
    text = build.product_text
    monkeypatch.setattr(build, "product_text", lambda *machine: text(*machine) + "\n# edited\n")
    after = build.loops.__wrapped__("float32")
    assert before.__name__ == again.__name__ != after.__name__
