"""GRU and LSTM: compiled passes against plain NumPy and PyTorch, training, files, and what they refuse."""

from dataclasses import replace

import numpy as np
import pytest
from rnn_plain import EVALUATION, TRAINING, Tiny, loss, random_step, read, start_noise

from cortexsim import rnn, tasks
from cortexsim.rnn import BPTT, CD, DASC, SCTT, GatedNetwork, GatedParameters, Penalties, Strategic, analysis
from cortexsim.rnn.buffers import ends_of_task_trials
from cortexsim.rnn.gated import GATES

pytestmark = pytest.mark.slow  # the quick tests are to stay under a minute

NETWORK = GatedNetwork(inputs=3, outputs=3, units=10, tau_noise=40.0)
RULES = [BPTT(), CD(2), SCTT(5, 0.4), Strategic(SCTT(6, 0.5), 0.0)]
PENALTIES = Penalties(0.02, 0.03)
cells = pytest.mark.parametrize("cell", GATES)


def some(network, networks=1, dtype="float64", seed=3):
    """Parameters with enough recurrence to matter, and no bias at 0."""
    p = rnn.initialise(network, networks, seed=seed, gain=1.5, dtype=dtype)
    random = np.random.default_rng(seed)
    shifts = {
        name: getattr(p, name) + random.normal(size=getattr(p, name).shape).astype(dtype)
        for name in ("bias", "bias_rec", "bias_out")
    }
    if not network.output_bias:
        shifts["bias_out"] = p.bias_out
    return p._replace(**shifts, W_in=p.W_in * 2, W_out=p.W_out * 2)


def one(parameters, k=0):
    return GatedParameters(*(values[k] for values in parameters))


def logistic(x):
    return 1 / (1 + np.exp(-x))


def step(network, p, h, c, inputs, shock):
    """The equations of the docstring; complex numbers are welcome."""
    drive, back = inputs @ p.W_in.T + p.bias, h @ p.W_rec.T
    parts = len(network.gates)
    x, w = np.split(drive, parts, axis=1), np.split(back, parts, axis=1)
    if network.cell == "gru":
        r, z = logistic(x[0] + w[0]), logistic(x[1] + w[1])
        n = np.tanh(x[2] + r * (w[2] + p.bias_rec) + shock)
        return (1 - z) * n + z * h, c
    i, f, o = (logistic(x[k] + w[k]) for k in (0, 1, 3))
    c = f * c + i * np.tanh(x[2] + w[2] + shock)
    return o * np.tanh(c), c


def run(network, p, trials, rule, noise=None):
    """Rates (time, trial, unit) and outputs (time, trial, output) of one network, one step after the other."""
    skips, dt = rule.skips, trials.dt
    keep, kick = 1 - dt / network.tau_noise, np.sqrt(2 * dt / network.tau_noise)
    eta, keys = noise if noise is not None else (0.0, None)
    tick = 0

    def epoch(state, inputs, length, mixes, start):
        nonlocal eta, tick
        past, states = state, []
        for local in range(length):
            state = step(network, p, *state, inputs, network.noise * eta)
            if keys is not None:
                eta = keep * eta + kick * random_step(keys, tick)
            if skips.every and (local + 1) % skips.every == 0:
                state = past = mix(state, past, skips.beta)
            if mixes and local == length - 1:
                state = mix(state, start, skips.strategic)
            states.append(state)
            tick += 1
        return states

    def mix(state, other, beta):
        return tuple(beta * a + (1 - beta) * b for a, b in zip(state, other, strict=True))

    zero = np.zeros((trials.n, network.units), dtype=p.W_rec.dtype)
    state = (zero, zero)
    if trials.warmup:
        # No gradient: what came from the warm-up is a constant
        state = epoch(state, trials.warmup_inputs, trials.warmup, False, None)[-1]
        state = tuple(x.real.astype(x.dtype) for x in state)
    states, start, ends = [], state, ends_of_task_trials(trials)
    for k, length in enumerate(trials.lengths):
        inputs = trials.inputs_by_epoch[k]
        if k in trials.feedback_inputs:
            answer = (states[-1][0] @ p.W_out.T + p.bias_out).real.argmax(axis=1)
            inputs = trials.feedback_inputs[k][answer, np.arange(trials.n)]
        states += epoch(state, inputs, length, bool(ends[k]) and skips.strategic < 1, start)
        state = states[-1]
        if ends[k]:
            start = state
    rates = np.array([h for h, _ in states])
    return rates, read(network, rates @ p.W_out.T + p.bias_out)


def check_gradient(network, rule, task=None, noise=True):
    """Compiled loss and gradient, both of two networks, against complex steps of the twin in random directions."""
    task = task or Tiny(classes=network.readout == "softmax")
    trials = task.trials(6, seed=5, step=9, dt=network.dt * rule.time_scale)
    parameters = some(network, 2)
    with network.passes("float64", threads=1) as passes:
        losses, gradient = passes.gradients(
            parameters, trials, rule, penalties=PENALTIES, seed=2**40 + 1, step=9, noise=noise
        )
        eta = start_noise(passes, 6, 1, 2**40 + 1, 9, TRAINING) if noise else None
    p = one(parameters, 1)
    # Both sum up some 10,000 terms in another order.
    assert losses[1] == pytest.approx(loss(network, p, trials, rule, PENALTIES, eta, run), rel=1e-12)
    random = np.random.default_rng(1)
    for name in GatedParameters._fields:
        value, found = getattr(p, name), getattr(gradient, name)[1]
        if value.size == 0 or (name == "bias_out" and not network.output_bias):
            assert not found.any()
            continue
        for _ in range(2):
            direction = random.normal(size=value.shape)
            shifted = p._replace(**{name: value + 1e-30j * direction})
            shifted = GatedParameters(*(v.astype(complex) for v in shifted))
            slope = loss(network, shifted, trials, rule, PENALTIES, eta, run).imag / 1e-30
            size = np.linalg.norm(found) * np.linalg.norm(direction)
            # 1e-9 of the gradient's length: complex steps are exact, what differs is rounding over 90 steps.
            assert (found * direction).sum() == pytest.approx(slope, abs=1e-9 * size), name


@cells
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_gradients_are_those_of_complex_steps_for_each_rule(cell, rule):
    check_gradient(replace(NETWORK, cell=cell), rule)


@cells
@pytest.mark.parametrize("readout", ["sigmoid", "linear", "softmax"])
def test_gradients_are_those_of_complex_steps_for_each_readout(cell, readout):
    check_gradient(replace(NETWORK, cell=cell, readout=readout, output_bias=True), BPTT(), noise=False)


@cells
def test_gradients_are_those_of_complex_steps_with_feedback_from_the_answers(cell):
    network = replace(NETWORK, cell=cell, readout="softmax")
    check_gradient(network, Strategic(SCTT(5, 0.5), 0.5), Tiny(classes=True, answers_back=True))


@cells
@pytest.mark.parametrize(("units", "trials"), [(1, 1), (3, 5), (17, 3), (33, 5), (128, 1)])
def test_outputs_are_those_of_plain_numpy_for_any_number_of_units_and_trials(cell, units, trials):
    network = GatedNetwork(inputs=3, outputs=3, units=units, cell=cell)
    batch = Tiny().trials(trials, seed=1)
    parameters = some(network)
    with network.passes("float64", threads=1) as passes:
        ((y, r),) = passes.outputs(parameters, batch, SCTT(4, 0.5), seed=8, step=2, rates=True)
        eta = start_noise(passes, trials, 0, 8, 2, EVALUATION)
    rates, outputs = run(network, one(parameters), batch, SCTT(4, 0.5), eta)
    np.testing.assert_allclose(r, rates, rtol=0, atol=1e-12)
    np.testing.assert_allclose(y, outputs, rtol=0, atol=1e-12)


@cells
def test_a_network_is_the_same_whatever_others_run_beside_it_and_on_however_many_threads(cell):
    network = replace(NETWORK, cell=cell)
    trials, parameters = Tiny().trials(8), some(network, 5, "float32")
    with network.passes("float32", threads=3) as several, network.passes("float32", threads=1) as single:
        together = several.gradients(parameters, trials, SCTT(5, 0.5))
        alone = single.gradients(parameters.select(slice(0, 2)), trials, SCTT(5, 0.5))
        halves = several.gradients(parameters, trials, SCTT(5, 0.5), parts=2)
    for a, b, c in zip(together[1], alone[1], halves[1], strict=True):
        np.testing.assert_array_equal(a[:2], b)
        np.testing.assert_allclose(a, c, rtol=1e-3, atol=1e-5)


@cells
def test_without_a_mix_sctt_is_plain_backpropagation_bit_by_bit(cell):
    network = replace(NETWORK, cell=cell)
    trials, parameters = Tiny().trials(4), some(network)
    with network.passes("float64", threads=1) as passes:
        expected = passes.gradients(parameters, trials, BPTT())
        found = passes.gradients(parameters, trials, SCTT(5, 1.0))
    for a, b in zip((found[0], *found[1]), (expected[0], *expected[1]), strict=True):
        np.testing.assert_array_equal(a, b)


@cells
def test_dasc_is_refused_for_want_of_a_derivative(cell):
    network = replace(NETWORK, cell=cell)
    with pytest.raises(ValueError, match="must do without dx/dt"):
        rnn.train(network, Tiny(), some(network), rnn.Annealing(DASC(5)), steps=2)
    with pytest.raises(ValueError, match="train it by BPTT, CD or SCTT"):
        rnn.evaluate(network, Tiny(), some(network), Strategic(DASC(5), 0.5))


def test_wrong_networks_parameters_and_schemes_are_refused():
    with pytest.raises(ValueError, match="Unknown cell 'grus' in GatedNetwork; did you mean 'gru'?"):
        replace(NETWORK, cell="grus")
    with pytest.raises(ValueError, match="must be at least dt = 50 ms"):
        replace(NETWORK, dt=50.0)
    with pytest.raises(ValueError, match="`W_rec` must have the shape"):
        NETWORK.check(some(replace(NETWORK, cell="lstm")))
    with pytest.raises(TypeError, match="must be GatedParameters"):
        rnn.train(NETWORK, Tiny(), rnn.initialise(rnn.Network(inputs=3, outputs=3, units=10)), steps=1)
    with pytest.raises(ValueError, match="Unknown scheme 'released' in `initialise` of a GatedNetwork"):
        rnn.initialise(NETWORK, scheme="released")
    with pytest.raises(ValueError, match=r"make it by GatedNetwork.for_task\(task\)"):
        NETWORK.check_task(tasks.by_name("dgo"))
    with pytest.raises(TypeError, match="must be a leaky Network, but is a GatedNetwork"):
        rnn.unroll(NETWORK, some(NETWORK), Tiny().trials(2))
    with pytest.raises(ValueError, match="is for areas of a hybrid"):
        NETWORK.passes(credit="area")


def test_initial_weights_are_orthogonal_gate_by_gate_and_the_forget_gates_open():
    network = replace(NETWORK, cell="lstm")
    p = rnn.initialise(network, 3, seed=4, dtype="float64")
    for W in p.W_rec.reshape(12, 10, 10):
        np.testing.assert_allclose(W @ W.T, np.eye(10), atol=1e-14)
    np.testing.assert_array_equal(p.bias.reshape(3, 4, 10).mean(axis=2), [[0, 1, 0, 0]] * 3)
    again = rnn.initialise(network, 1, seed=4, dtype="float64")
    np.testing.assert_array_equal(p.W_rec[:1], again.W_rec)


@cells
def test_training_goes_on_from_a_checkpoint_bit_by_bit(cell, tmp_path):
    network = replace(NETWORK, cell=cell)
    arguments = {"trials": 4, "evaluate_every": 3, "evaluation_trials": 4, "goal": None, "threads": 1}
    whole = rnn.train(network, Tiny(), some(network, 2, "float32"), SCTT(5), steps=6, **arguments)
    for steps in (3, 6):
        parts = rnn.train(
            network,
            Tiny(),
            some(network, 2, "float32"),
            SCTT(5),
            steps=steps,
            checkpoint=tmp_path / "checkpoint.npz",
            **arguments,
        )
    for a, b in zip(whole.parameters, parts.parameters, strict=True):
        np.testing.assert_array_equal(a, b)
    rates = rnn.run(network, whole.parameters, Tiny().trials(3, jitter=False)).rates
    assert dict(rates.sizes) == {"network": 2, "trial": 3, "time": 88, "unit": 10}


@cells
def test_networks_come_back_from_a_file_as_they_were(cell, tmp_path):
    network = replace(NETWORK, cell=cell)
    p = some(network, 2)
    rnn.save_networks(tmp_path / "networks.npz", network, p)
    found, parameters = rnn.load_networks(tmp_path / "networks.npz")
    assert found == network
    assert isinstance(parameters, GatedParameters)
    for a, b in zip(parameters, p, strict=True):
        np.testing.assert_array_equal(a, b)


@cells
def test_outputs_and_gradients_are_those_of_pytorch_with_the_same_state_dict(cell):
    torch = pytest.importorskip("torch", reason="needs PyTorch, which comes with the extra cortexsim[torch]")
    network = replace(NETWORK, cell=cell, readout="linear", output_bias=True, noise=0.0)
    p = some(network)

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            kind = torch.nn.GRU if cell == "gru" else torch.nn.LSTM
            self.recurrent = kind(3, 10, dtype=torch.float64)
            self.output = torch.nn.Linear(10, 3, dtype=torch.float64)

    module = Module()
    module.load_state_dict(rnn.to_state_dict(network, p))
    trials = Tiny(warmup=0.0).trials(4, seed=2)
    inputs = torch.from_numpy(np.repeat(trials.inputs_by_epoch, trials.lengths, axis=0))
    rates, _ = module.recurrent(inputs)
    y = module.output(rates)
    loss = sum(w.weight * ((y[w.start : w.stop] - torch.from_numpy(w.target)) ** 2).mean() for w in trials.windows)
    loss.backward()
    with network.passes("float64", threads=1) as passes:
        losses, gradient = passes.gradients(p, trials, BPTT())
        ((outputs, _),) = passes.outputs(p, trials, BPTT())
    np.testing.assert_allclose(outputs, y.detach().numpy(), rtol=0, atol=1e-12)
    assert losses[0] == pytest.approx(loss.item(), rel=1e-12)
    pairs = {"W_in": "recurrent.weight_ih_l0", "W_rec": "recurrent.weight_hh_l0", "bias": "recurrent.bias_ih_l0"}
    for name, theirs in {**pairs, "W_out": "output.weight", "bias_out": "output.bias"}.items():
        expected = module.get_parameter(theirs).grad.numpy()
        # Sums of some 10,000 terms in another order
        np.testing.assert_allclose(getattr(gradient, name)[0], expected, rtol=0, atol=1e-10 * np.abs(expected).max())
    back = rnn.from_state_dict(network, module.state_dict())
    for a, b in zip(back, p, strict=True):
        np.testing.assert_array_equal(a, b)


@cells
def test_a_state_dict_of_another_module_is_refused(cell):
    network = replace(NETWORK, cell=cell)
    with pytest.raises(ValueError, match="must have the names recurrent.weight_ih_l0"):
        rnn.from_state_dict(network, {"recurrent.weight": np.zeros((10, 10))})
    rows = len(network.gates) * 10
    zeros = {
        "recurrent.weight_ih_l0": np.zeros((rows, 3)),
        "recurrent.weight_hh_l0": np.zeros((rows, 10)),
        "recurrent.bias_ih_l0": np.full(rows, 1.0),
        "recurrent.bias_hh_l0": np.full(rows, 2.0),
        "output.weight": np.zeros((3, 10)),
        "output.bias": np.zeros(3),
    }
    p = rnn.from_state_dict(network, zeros)
    # Only behind the reset gate do the two biases differ
    assert p.bias.sum() == (2 * 10 * 3 + 10 if cell == "gru" else 4 * 10 * 3)
    assert p.bias_rec.sum() == (20 if cell == "gru" else 0)
    with pytest.raises(ValueError, match=r"needs GatedNetwork\(output_bias=True\)"):
        rnn.from_state_dict(network, zeros | {"output.bias": np.ones(3)})


def test_the_jacobian_of_a_gru_is_that_of_complex_steps():
    p = some(NETWORK)
    u, h = np.array([0.3, -1.0, 0.5]), np.linspace(-0.9, 0.8, 10)
    quiet = one(p)._replace(W_rec=one(p).W_rec.astype(complex))
    columns = [step(NETWORK, quiet, h[np.newaxis] + 1e-30j * e, 0, u[np.newaxis], 0.0)[0][0] for e in np.eye(10)]
    expected = np.array(columns).imag.T / 1e-30
    np.testing.assert_allclose(analysis.jacobian(NETWORK, p, u, h) * 5 + np.eye(10), expected, rtol=0, atol=1e-14)
    np.testing.assert_allclose(analysis.derivative(NETWORK, p, u, h) * 5 + h, columns[0].real, rtol=0, atol=1e-14)


def test_fixed_points_of_a_gru_stand_still_and_their_eigenvalues_are_the_decay_near_them():
    network = replace(NETWORK, noise=0.0)
    # Half of the candidate's gain makes the network forget: one stable point
    p = rnn.initialise(network, gain=0.5, seed=1, dtype="float64")
    u = np.array([0.3, -1.0, 0.5])
    found = analysis.fixed_points(network, p, u, np.random.default_rng(0).uniform(-1, 1, (4, 10)))
    assert found.sizes["point"] == 1
    assert bool(found.fixed[0] & found.stable[0])
    rest = found.state.values[:1]
    values, vectors = np.linalg.eig(analysis.jacobian(network, p, u, rest[0]))
    assert values[values.real.argmax()].imag == 0
    h = rest + 1e-6 * vectors[:, values.real.argmax()].real
    for _ in range(10):
        h, _ = step(network, one(p), h, 0, u[np.newaxis], 0.0)
    rate = np.log(np.linalg.norm(h - rest) / 1e-6) / (10 * network.dt)
    # 1e-6 away the map is linear but for 1e-6 of it, and the root of `fixed_points` is known to 1e-12
    assert rate == pytest.approx(float(found.growth_rate[0]), rel=1e-4)


def test_fixed_points_of_an_lstm_are_refused():
    network = replace(NETWORK, cell="lstm")
    with pytest.raises(ValueError, match="an LSTM has cells, too"):
        analysis.fixed_points(network, some(network), np.zeros(3), np.zeros((1, 10)))


@cells
def test_gated_networks_learn_go(cell):
    task = tasks.by_name("go")
    # At 5 ms the memory of the delay, 100 steps, is long for forget gates that start at s(1) = .73
    network = GatedNetwork.for_task(task, units=32, cell=cell, dt=20.0)
    found = rnn.train(network, task, rnn.initialise(network, 2), steps=3000, optimizer=rnn.Adam(5e-3))
    assert found.stopped == "goal"
