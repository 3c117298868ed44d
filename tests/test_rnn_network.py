"""What a network is: checks, masks, Dale's law, initial weights, files, and PyTorch's names."""

import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from cortexsim import rnn, tasks
from cortexsim.rnn.initialise import SCHEMES
from cortexsim.rnn.network import Network, Parameters

NETWORK = Network(inputs=3, outputs=2, units=20, input_units=(0, 8), output_units=(8, 16))


def test_networks_of_equal_choices_are_equal_and_hash_alike():
    a = Network(inputs=1, outputs=1, units=2, blocks=[1, 1], density=np.eye(2), tau=[20, 30])
    b = Network(inputs=1, outputs=1, units=2, blocks=(1, 1), density=((1.0, 0.0), (0.0, 1.0)), tau=(20.0, 30.0))
    assert a == b
    assert hash(a) == hash(b)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"form": "rates"}, "did you mean 'rate'"),
        ({"activation": "rel"}, "did you mean 'relu'"),
        ({"units": 0}, "`units` must be at least 1"),
        ({"tau": 2.0}, "at least dt = 5 ms, but is 2.0 ms"),
        ({"tau": (20.0, 30.0)}, "one value, or 20, but has 2"),
        ({"tau_noise": 1.0}, "`tau_noise` must be at least dt"),
        ({"noise": -1.0}, "`noise` must not be negative"),
        ({"input_units": (3, 3)}, "`input_units` must be the first unit and the one past the last"),
        ({"output_units": (3, 21)}, "within 0 and 20"),
        ({"blocks": (10, 9)}, "add up to 20 units, but adds up to 19"),
        ({"blocks": (10, 10), "density": ((1.0,),)}, "2 x 2 blocks"),
        ({"density": 1.5}, "between 0 and 1"),
    ],
)
def test_impossible_networks_are_refused_with_the_way_out(changes, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        replace(NETWORK, **changes)


def test_networks_for_a_task_have_the_populations_of_the_paper():
    task = tasks.DelayedGo()
    network = Network.for_task(task)
    assert (network.inputs, network.outputs, network.readout) == (85, 33, "sigmoid")
    assert (network.receiving, network.read, network.tau) == (slice(0, 20), slice(20, 40), 100.0)
    released = Network.for_task(task, released=True, noise=0.0)
    assert released.tau == (100.0,) * 40 + (50.0,) * 10
    assert released.noise == 0
    reversal = Network.for_task(tasks.RuleReversal(), released=True)
    assert reversal.readout == "softmax"
    assert reversal.receiving == reversal.read == slice(0, 50)


def test_masks_have_the_density_of_each_block_and_no_autapses():
    network = Network(
        inputs=1, outputs=1, units=200, autapses=False, blocks=(150, 50), density=((0.3, 1.0), (0.0, 0.6))
    )
    mask = network.mask()
    assert not mask.diagonal().any()
    assert mask[:150, 150:].all()
    assert not mask[150:, :150].any()
    # 22,350 and 2,450 connections: standard errors .003 and .01.
    assert mask[:150, :150].sum() / (150 * 149) == pytest.approx(0.3, abs=0.012)
    assert mask[150:, 150:].sum() / (50 * 49) == pytest.approx(0.6, abs=0.04)
    assert not np.array_equal(mask, replace(network, mask_seed=1).mask())
    assert network.constrained
    assert not NETWORK.constrained


def test_a_density_for_each_pair_of_units_is_the_mask():
    mask = np.random.default_rng(0).random((20, 20)) < 0.5
    np.testing.assert_array_equal(replace(NETWORK, blocks=(1,) * 20, density=mask).mask(), mask)


def test_projection_sets_to_zero_what_dales_law_forbids_and_nothing_else():
    network = replace(NETWORK, inhibitory=(15, 20))
    W = np.random.default_rng(0).normal(size=(3, 20, 20))
    found = network.project(W)
    wrong = (W < 0) ^ (np.arange(20) >= 15)
    assert not found[wrong].any()
    np.testing.assert_array_equal(found[~wrong], W[~wrong])
    np.testing.assert_array_equal(network.project(found), found)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_initial_weights_of_a_network_do_not_depend_on_the_size_of_the_stack(scheme):
    few, many = (rnn.initialise(NETWORK, n, seed=4, scheme=scheme) for n in (2, 5))
    NETWORK.check(many)
    for a, b in zip(few, many, strict=True):
        np.testing.assert_array_equal(a, b[:2])
        assert a.dtype == np.float32
    assert not np.array_equal(many.W_rec[0], many.W_rec[1])
    assert not np.array_equal(many.W_rec, rnn.initialise(NETWORK, 5, seed=5, scheme=scheme).W_rec)


def test_initial_weights_have_the_scale_of_their_scheme():
    network = Network(inputs=40, outputs=10, units=300)
    p = {scheme: rnn.initialise(network, 1, scheme=scheme, gain=0.8, dtype="float64") for scheme in SCHEMES}
    # 90,000 weights: the standard deviation is known to .3 %.
    assert p["released"].W_rec.std() == pytest.approx(0.8 / 300, rel=0.01)
    assert p["released"].bias.std() == pytest.approx(1, rel=0.15)
    assert p["normal"].W_rec.std() == pytest.approx(0.8 / np.sqrt(300), rel=0.01)
    assert p["normal"].W_in.std() == pytest.approx(1 / np.sqrt(40), rel=0.03)
    W = p["orthogonal"].W_rec[0]
    np.testing.assert_allclose(W @ W.T, 0.64 * np.eye(300), atol=1e-12)
    sparse = rnn.initialise(replace(network, density=0.1), scheme="normal").W_rec[0]
    assert np.linalg.norm(sparse, axis=1).mean() == pytest.approx(1, rel=0.05)


def test_initial_weights_with_dales_law_balance_excitation_and_inhibition():
    network = Network(inputs=1, outputs=1, units=500, inhibitory=(400, 500))
    W = rnn.initialise(network, scheme="normal").W_rec[0]
    assert (W[:, :400] >= 0).all()
    assert (W[:, 400:] <= 0).all()
    # 250,000 weights, of which the larger ones are 50,000: 1 %.
    assert W[:, :400].sum() == pytest.approx(-W[:, 400:].sum(), rel=0.01)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_networks_come_back_from_a_file_as_they_were(tmp_path, dtype):
    network = replace(NETWORK, tau=tuple(np.linspace(20, 40, 20)), blocks=(15, 5), density=((1.0, 0.5), (0.2, 1.0)))
    p = rnn.initialise(network, 3, dtype=dtype)
    rnn.save_networks(tmp_path / "networks.npz", network, p)
    found, parameters = rnn.load_networks(tmp_path / "networks.npz")
    assert found == network
    for a, b in zip(parameters, p, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == dtype


def test_files_of_others_are_refused(tmp_path):
    path = tmp_path / "other.npz"
    np.savez(path, W_rec=np.zeros(3), description=np.array(json.dumps({"format": "other"})))
    with pytest.raises(ValueError, match="must be one that `save_networks` wrote"):
        rnn.load_networks(path)
    np.savez(path, description=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        rnn.load_networks(path)


def test_a_state_dict_is_that_of_three_linear_layers_and_comes_back(monkeypatch):
    # PyTorch is an extra: what is needed of it here is one function.
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(from_numpy=lambda values: values))
    p = rnn.initialise(NETWORK, 3)
    found = rnn.to_state_dict(NETWORK, p, 1)
    assert {name: v.shape for name, v in found.items()} == {
        "recurrent.weight": (20, 20),
        "recurrent.bias": (20,),
        "input.weight": (20, 3),
        "output.weight": (2, 20),
        "output.bias": (2,),
    }
    u, r = np.ones(3), np.arange(20.0)
    expected = np.zeros(20)
    expected[:8] = p.W_in[1] @ u
    np.testing.assert_allclose(found["input.weight"] @ u, expected, rtol=1e-6)
    np.testing.assert_allclose(found["output.weight"] @ r, p.W_out[1] @ r[8:16], rtol=1e-6)
    back = rnn.from_state_dict(NETWORK, found)
    for a, b in zip(back, p.select([1]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_without_pytorch_a_state_dict_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'cortexsim\[torch\]'"):
        rnn.to_state_dict(NETWORK, rnn.initialise(NETWORK, 1))


def state_dict(network=NETWORK, **changes):
    """Arrays of zeros by PyTorch's names, with `_` for the point in those that change."""
    units, inputs, outputs = network.units, network.inputs, network.outputs
    arrays = {
        "recurrent.weight": np.zeros((units, units)),
        "recurrent.bias": np.zeros(units),
        "input.weight": np.zeros((units, inputs)),
        "output.weight": np.zeros((outputs, units)),
        "output.bias": np.zeros(outputs),
    }
    return arrays | {name.replace("_", "."): values for name, values in changes.items()}


@pytest.mark.parametrize(
    ("network", "changes", "message"),
    [
        ({}, {"input_weight": np.ones((20, 3))}, "`input.weight` must be 0 but for units 0 to 7"),
        ({}, {"output_weight": np.ones((2, 20))}, "`output.weight` must be 0 but for units 8 to 15"),
        ({}, {"output_bias": np.ones(2)}, r"needs Network\(output_bias=True\)"),
        ({"autapses": False}, {"recurrent_weight": np.eye(20)}, "0 where the mask of the network has no connection"),
        ({"inhibitory": (16, 20)}, {"recurrent_weight": np.ones((20, 20))}, "signs of Dale's law"),
        ({}, {"output_weight": np.zeros(20)}, r"`output.weight` must have the shape \(2, 20\), but has \(20,\)"),
        ({}, {"hidden_weight": np.zeros(20)}, "must have the names recurrent.weight, .* but has .* hidden.weight"),
    ],
)
def test_a_state_dict_with_what_the_network_has_not_is_refused(network, changes, message):
    network = replace(NETWORK, **network)
    assert isinstance(rnn.from_state_dict(network, state_dict()), Parameters)
    with pytest.raises(ValueError, match=message):
        rnn.from_state_dict(network, state_dict(**changes))


def test_a_state_dict_that_lacks_a_name_is_refused():
    lacking = state_dict()
    del lacking["output.bias"]
    with pytest.raises(ValueError, match="must have the names .* add zeros for a bias"):
        rnn.from_state_dict(NETWORK, lacking)


TORCH = "needs PyTorch, which comes with the extra cortexsim[torch]"


def leaky_module(torch, network, dtype):
    """A module of PyTorch with the layers that `to_state_dict` names, which knows no more of cortexsim."""
    f = {"relu": torch.relu, "tanh": torch.tanh, "softplus": torch.nn.functional.softplus, "sigmoid": torch.sigmoid}
    f = f[network.activation]
    leak = torch.as_tensor(network.dt / np.broadcast_to(network.tau, network.units)).to(dtype)

    class Leaky(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.recurrent = torch.nn.Linear(network.units, network.units, dtype=dtype)
            self.input = torch.nn.Linear(network.inputs, network.units, bias=False, dtype=dtype)
            self.output = torch.nn.Linear(network.units, network.outputs, dtype=dtype)

        def forward(self, inputs):
            """Return the outputs after each step, from inputs (step, trial, input)."""
            x, outputs = torch.zeros((inputs.shape[1], network.units), dtype=dtype), []
            for u in inputs:
                if network.form == "rate":
                    x = x + leak * (f(self.recurrent(x) + self.input(u)) - x)
                else:
                    x = x + leak * (self.recurrent(f(x)) + self.input(u) - x)
                outputs.append(torch.sigmoid(self.output(x if network.form == "rate" else f(x))))
            return torch.stack(outputs)

    return Leaky()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_state_dict_goes_through_a_file_of_pytorch_and_comes_back_bit_by_bit(tmp_path, dtype):
    torch = pytest.importorskip("torch", reason=TORCH)
    p = rnn.initialise(NETWORK, 3, dtype=dtype)
    torch.save(rnn.to_state_dict(NETWORK, p, 1), tmp_path / "networks.pt")
    back = rnn.from_state_dict(NETWORK, torch.load(tmp_path / "networks.pt", weights_only=True))
    for a, b in zip(back, p.select([1]), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == dtype


@pytest.mark.slow
@pytest.mark.parametrize("form", ["rate", "current"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "softplus", "sigmoid"])
@pytest.mark.parametrize(("dtype", "error"), [("float32", 1e-6), ("float64", 1e-13)])
def test_a_module_of_pytorch_with_these_weights_gives_the_same_outputs(form, activation, dtype, error):
    """Outputs lie between 0 and 1; the error allowed is some roundings, as many as steps go into them."""
    torch = pytest.importorskip("torch", reason=TORCH)
    task = tasks.DelayedGo(warmup=50.0, fixation=100.0, stimulus=100.0, delay=100.0, response=300.0, jitter=0.0)
    network = Network.for_task(task, units=20, released=True, form=form, activation=activation, output_bias=True)
    bias_out = np.linspace(-1, 1, 2 * network.outputs, dtype=dtype).reshape(2, -1)
    p = rnn.initialise(network, 2, dtype=dtype)._replace(bias_out=bias_out)
    module = leaky_module(torch, network, getattr(torch, dtype))
    module.load_state_dict(rnn.to_state_dict(network, p, 1))
    trials = task.trials(4)
    lengths = (trials.warmup, *trials.lengths)
    inputs = np.repeat([trials.warmup_inputs, *trials.inputs_by_epoch], lengths, axis=0).astype(dtype)
    with torch.no_grad():
        expected = module(torch.from_numpy(inputs)).numpy()[trials.warmup :]
    with network.passes(dtype, threads=1) as passes:
        (_, _), (found, _) = passes.outputs(p, trials, rnn.BPTT(), noise=False)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(found, expected, rtol=0, atol=error)


@pytest.mark.slow
def test_imported_weights_are_copies_and_of_a_precision_that_networks_have():
    torch = pytest.importorskip("torch", reason=TORCH)
    everywhere = replace(NETWORK, input_units=None, output_units=None, output_bias=True)
    module = leaky_module(torch, everywhere, torch.float32)
    before = rnn.from_state_dict(everywhere, module.state_dict())
    kept = module.recurrent.weight.detach().numpy().copy()
    with torch.no_grad():
        module.recurrent.weight.zero_()
    np.testing.assert_array_equal(before.W_rec[0], kept)
    for dtype, expected in ((torch.bfloat16, "float32"), (torch.float16, "float32"), (torch.float64, "float64")):
        assert {v.dtype for v in rnn.from_state_dict(everywhere, module.to(dtype).state_dict())} == {np.dtype(expected)}
    mixed = module.to(torch.float32).state_dict()
    mixed["recurrent.bias"] = mixed["recurrent.bias"].double()
    assert {v.dtype for v in rnn.from_state_dict(everywhere, mixed)} == {np.dtype("float64")}
