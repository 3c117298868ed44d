"""Training of networks inside the cortex: its gradients, what it keeps to, and what it refuses."""

import dataclasses

import numpy as np
import pytest
from hybrid_plain import plain

import cortexsim as cx
from cortexsim import rnn, tasks
from cortexsim.hybrid import Drive, Embedding, embed

pytestmark = pytest.mark.slow  # the quick tests are to stay under a minute

AREAS = ("V1", "V2", "V4", "MT", "7A", "8l", "46d", "9/46d")
TASK = tasks.DelayedResponse(warmup=0, fixation=12, cue=12, delay=20, response=24, grace=4, jitter=0)
DRIVES = (Drive("cue_A", "V1", "E", 300.0), Drive("cue_B", "V2", "E", 300.0))


def cortex(areas=AREAS):
    """As published, but with fewer areas: without noise."""
    connectome = cx.load_connectome("macaque29").select(areas)
    return cx.Model(connectome, cx.circuits.Chaudhuri2015(), cx.gradients.macaque29())


def network(units=7, networks=1, dt=2.0, seed=3, dtype="float64", inputs=1, **options):
    arguments = {"activation": "softplus", "tau": 20.0, "noise": 0.0, "inhibitory": (units - 2, units)} | options
    made = rnn.Network(inputs=inputs, outputs=0, units=units, dt=dt, tau_noise=20.0, **arguments)
    return made, rnn.initialise(made, networks, seed=seed, scheme="normal", dtype=dtype)


def embedding(*args, into=None, gain=0.1, rate=5.0, trained=None, projections="streams", **options):
    made, weights = network(*args, **options)
    trained = ("W_rec", "bias", "W_in", "into", "omega") if trained is None else trained
    return Embedding(
        network=made, parameters=weights, gain=gain, rate=rate, trained=trained, projections=projections, into=into
    )


def two(model, networks=2, noise=0.05, readout=("46d", "8l"), drives=DRIVES, **options):
    """Two networks of different kinds; the outputs are read from one of them, and from an area that has none."""
    first = embedding(7, networks, noise=noise, input_units=(0, 5), **options)
    second = embedding(
        6, networks, seed=4, form="current", activation="tanh", inhibitory=None, noise=noise, projections="sources",
        **options,
    )  # fmt: skip
    areas = ("46d", next(a for a in ("7A", "LIP") if a in model.areas))
    return embed(model, dict(zip(areas, (first, second), strict=True)), task=TASK, drives=drives, readout=readout)


@pytest.fixture(scope="module")
def both():
    return two(cortex())


@pytest.fixture(scope="module")
def one():
    """One network, which the outputs are read from."""
    return embed(cortex(), {"46d": embedding()}, task=TASK, drives=DRIVES, readout="46d")


def gradients(hybrid, stack, trials, rule=None, credit="full", **options):
    with hybrid.passes(stack[0].dtype, 1, credit) as passes:
        return passes.gradients(stack, trials, rnn.BPTT() if rule is None else rule, **options)


def slopes(loss, stack, gradient, seed=0, size=1e-5):
    """Yield each array's name, and the slope of the loss along a random direction: measured, and by the gradient."""
    random = np.random.default_rng(seed)
    for name, value in stack._asdict().items():
        direction = random.standard_normal(value.shape)
        if name.startswith("omega"):
            direction *= value > 0
        at = [
            stack._make([v + h * direction if n == name else v for n, v in stack._asdict().items()])
            for h in (size, -size)
        ]
        measured = (loss(at[0]) - loss(at[1])) / (2 * size)
        axes = tuple(range(1, value.ndim))
        if value.size:
            yield name, measured, (gradient.of(name) * direction).sum(axis=axes)


def assert_slopes(loss, stack, gradient):
    """Hold a gradient against central differences.

    A difference of two losses of about 1 has an error of 1e-16 / 1e-5 by rounding, and 1e-10 by the third derivative.
    """
    moved = 0
    for name, measured, computed in slopes(loss, stack, gradient):
        np.testing.assert_allclose(computed, measured, rtol=1e-6, atol=1e-9, err_msg=name)
        moved += np.abs(measured).max() > 1e-6
    assert moved >= 6


def assert_gradient(hybrid, rule=None, credit="full", trials=6):
    drawn = TASK.trials(trials, seed=1, dt=hybrid.dt * (1 if rule is None else rule.time_scale))
    options = {"penalties": rnn.Penalties(1e-2, 1e-2), "seed": 1, "step": 2}
    _, gradient = gradients(hybrid, hybrid.stack, drawn, rule, credit, **options)
    assert_slopes(lambda s: gradients(hybrid, s, drawn, rule, credit, **options)[0], hybrid.stack, gradient)


# ---- Gradients


@pytest.mark.parametrize(
    "rule",
    [rnn.BPTT(), rnn.SCTT(5, 0.6), rnn.DASC(5, 0.6), rnn.DASC(5, 0.6, "exact"), rnn.CD(2)],
    ids=["BPTT", "SCTT", "DASC, released", "DASC, exact", "CD"],
)
def test_full_credit_is_the_gradient(both, rule):
    assert_gradient(both, rule)


@pytest.mark.slow  # another circuit: compiling takes far longer than the test
@pytest.mark.parametrize("circuit", ["WongWang2006", "MejiasWang2022"])
def test_full_credit_is_the_gradient_in_circuits_with_two_populations(circuit):
    if circuit == "WongWang2006":
        model = cx.Model(cx.load_connectome("macaque29").select(AREAS), cx.circuits.WongWang2006(G=0.1))
        drives = (Drive("cue_A", "V1", "E1", 0.1), Drive("cue_B", "V1", "E2", 0.1))
    else:
        connectome = cx.load_connectome("macaque30").select(("V1", "V2", "MT", "LIP", "8l", "46d"))
        model = cx.Model(connectome, cx.circuits.MejiasWang2022(), cx.gradients.macaque30())
        drives = (Drive("cue_A", "V1", "A", 0.2), Drive("cue_B", "V1", "B", 0.2))
    hybrid = two(model, drives=drives, gain=3.0, rate=10.0)
    assert_gradient(hybrid)
    assert_gradient(hybrid, rnn.DASC(5, 0.6))


def test_passes_do_what_the_equations_say():
    hybrid = two(cortex(), networks=1, noise=0.0)
    trials = TASK.trials(5, seed=1, dt=hybrid.dt)
    loss, outputs, _ = plain(hybrid, hybrid.stack, trials)
    # Sums in another order differ by rounding
    assert gradients(hybrid, hybrid.stack, trials)[0] == pytest.approx(loss, rel=1e-12)
    found = rnn.run(hybrid, hybrid.stack, trials)
    np.testing.assert_allclose(found.outputs[0].transpose("time", "trial", "output"), outputs, rtol=1e-11)


def test_open_loop_is_the_gradient_where_what_networks_receive_is_held():
    hybrid = two(cortex(), networks=1, noise=0.0)
    trials = TASK.trials(3, seed=1, dt=hybrid.dt)
    *_, received = plain(hybrid, hybrid.stack, trials)
    _, gradient = gradients(hybrid, hybrid.stack, trials, credit="open_loop")

    def loss(stack):
        return np.array([plain(hybrid, stack, trials, frozen=received)[0]])

    assert_slopes(loss, hybrid.stack, gradient)


def test_open_loop_and_full_differ_only_by_what_comes_back(both):
    model = cortex(("V1", "V2", "46d", "8l"))
    back = [(t, s) for t, s in (("V1", "46d"), ("V2", "46d"), ("V1", "8l"), ("V2", "8l"), ("46d", "8l"))]
    back = [pair for pair in back if model.connectome.fln.sel(target=pair[0], source=pair[1]) > 0]
    straight = dataclasses.replace(model, connectome=model.connectome.lesion(connections=back))
    for cut, alike in ((straight, True), (model, False)):
        hybrid = embed(cut, {"46d": embedding()}, task=TASK, drives=DRIVES, readout="8l")
        trials = TASK.trials(4, seed=1, dt=hybrid.dt)
        a, b = (gradients(hybrid, hybrid.stack, trials, credit=credit)[1] for credit in ("open_loop", "full"))
        # Zeros are added in one, and not in the other
        assert all(np.allclose(x, y, rtol=1e-13, atol=0) for x, y in zip(a, b, strict=True)) is alike


def test_credit_within_the_area_is_open_loop_where_the_area_itself_is_read(one):
    trials = TASK.trials(9, seed=1, dt=one.dt)
    a, b = (gradients(one, one.stack, trials, credit=credit)[1] for credit in ("area", "open_loop"))
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert all(np.abs(a.of(name)).max() > 0 for name in ("W_rec 46d", "bias 46d", "W_in 46d", "into 46d"))


def test_credit_within_the_area_is_refused_where_another_is_read(both, one):
    with pytest.raises(ValueError, match="read-out must be at each trainable network, but '7A' is not read"):
        rnn.train(both, TASK, both.stack, credit="area")
    with pytest.raises(ValueError, match="Unknown credit 'all'"):
        rnn.train(one, TASK, one.stack, credit="all")
    # One that stays as it is need not be read
    still = dataclasses.replace(both.embedded["7A"], trained=())
    hybrid = embed(both.without(), dict(both.embedded) | {"7A": still}, task=TASK, drives=DRIVES, readout="46d")
    rnn.train(hybrid, TASK, hybrid.stack, credit="area", steps=1)


def test_open_loop_is_refused_where_it_does_not_reach_a_network(both):
    hybrid = embed(both.without(), both.embedded, task=TASK, drives=DRIVES, readout="46d")
    with pytest.raises(ValueError, match="gradient of '7A', which is not, would be exactly zero"):
        rnn.train(hybrid, TASK, hybrid.stack)
    assert rnn.evaluate(hybrid, TASK, hybrid.stack, trials=8).shape == (2,)
    trained = rnn.train(hybrid, TASK, hybrid.stack, credit="full", steps=1).parameters
    assert not np.array_equal(trained.of("W_rec 7A"), hybrid.stack.of("W_rec 7A"))


def test_the_gradient_does_not_depend_on_threads_or_what_runs_beside(both):
    trials = TASK.trials(20, seed=1, dt=both.dt)
    single = gradients(both, both.stack, trials, seed=3)
    with both.passes("float64", 3, "full") as passes:
        several = passes.gradients(both.stack, trials, rnn.BPTT(), seed=3)
    assert np.array_equal(single[0], several[0])
    assert all(np.array_equal(x, y) for x, y in zip(single[1], several[1], strict=True))
    alone = gradients(both, both.stack.select([0]), trials, seed=3)
    assert alone[0][0] == single[0][0]


# ---- Forwards


@pytest.mark.parametrize("warmup", [0.0, 14.0])
def test_training_runs_the_same_trials_as_simulate(warmup):
    hybrid = two(cortex(), networks=1, noise=0.0)
    trials = dataclasses.replace(TASK, warmup=warmup).trials(3, seed=1, dt=hybrid.dt)
    found = rnn.run(hybrid, hybrid.stack, trials)
    stimuli = [as_stimulus(hybrid, trials, k) for k in range(trials.n)]
    duration = (trials.warmup + trials.steps + 1) * hybrid.dt
    result = cx.simulate(hybrid, stimuli, duration=duration, dt=hybrid.step, every=hybrid.dt, trials=3)
    after = result.isel(time=slice(trials.warmup + 1, None))
    # Streams are summed in another order by other programs: rounding
    np.testing.assert_allclose(after.r_unit, found.rates[0], rtol=1e-10, atol=1e-12)
    far = after.r_E.sel(area=["8l"]) / 10
    features = np.concatenate([found.rates[0][:, :, hybrid.embedded["46d"].excitatory], far], axis=2)
    y = features @ hybrid.stack.of("W_out")[0].T + hybrid.stack.of("bias_out")[0]
    softmax = np.exp(y) / np.exp(y).sum(axis=2, keepdims=True)
    np.testing.assert_allclose(softmax, found.outputs[0], rtol=1e-10)


def as_stimulus(hybrid, trials, k):
    """Return what a trial shows, as pulses."""
    shown = [trials.warmup_inputs[k], *trials.inputs_by_epoch[:, k]]
    ends, parts = np.cumsum([trials.warmup, *trials.lengths]) * trials.dt, []
    for onset, end, values in zip([0, *ends[:-1]], ends, shown, strict=True):
        u = dict(zip(trials.task.inputs, values, strict=True))
        places = [(d.area, d.input, d.amplitude * u[d.channel]) for d in hybrid.drives]
        for j, channel in enumerate(hybrid.direct(trials.task)):
            places += [(area, f"u{j}", u[channel]) for area, e in hybrid.embedded.items() if e.network.inputs]
        parts += [
            cx.Pulse(area=area, input=name, onset=onset, duration=end - onset, amplitude=amplitude)
            for area, name, amplitude in places
            if end > onset
        ]
    return sum(parts[1:], start=parts[0])


def test_evaluation_judges_what_run_returns(both):
    trials = TASK.trials(30, seed=2**64, step=0, dt=both.dt)
    performance = rnn.evaluate(both, TASK, both.stack, trials=30, noise=False)
    found = rnn.run(both, both.stack, trials, noise=False)
    judged = TASK.performance(found.outputs.transpose("network", "time", "trial", "output").to_numpy(), trials)
    assert performance.shape == judged.shape == (2,)
    assert np.array_equal(performance, judged)


# ---- Training


def constraints(hybrid, start, after, tolerance):
    """Assert all that anatomy, Dale's law and masks ask for."""
    for area, e in hybrid.embedded.items():
        W, into, omega = (after.of(f"{name} {area}") for name in ("W_rec", "into", "omega"))
        assert np.array_equal(e.network.project(W), W)
        far = [k for k, c in enumerate(hybrid.channels(area)) if c.weights is not None]
        assert (into[:, :, far] >= 0).all()
        for group in (e.excitatory, e.inhibitory):
            if len(group):
                means = [p[:, group][:, :, far].mean(axis=1) for p in (start.of(f"into {area}"), into)]
                np.testing.assert_allclose(means[1], means[0], rtol=tolerance)
        assert (omega >= 0).all()
        np.testing.assert_allclose(omega.sum(axis=2), 1, rtol=tolerance)
        assert (omega[start.of(f"omega {area}") == 0] == 0).all()


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float64", 1e-12), pytest.param("float32", 1e-6, marks=pytest.mark.slow)]
)
def test_training_keeps_dales_law_masks_and_the_totals_of_anatomy(dtype, tolerance):
    hybrid = two(cortex(AREAS[:7]), networks=2, dtype=dtype, density=0.7, autapses=False)
    training = rnn.train(
        hybrid, TASK, hybrid.stack, credit="full", steps=200, trials=4, goal=None, evaluate_every=200,
        evaluation_trials=4, optimizer=rnn.Adam(learning_rate=0.02),
    )  # fmt: skip
    constraints(hybrid, hybrid.stack, training.parameters, tolerance)
    for name, value in hybrid.stack._asdict().items():
        if value.size:
            assert value.dtype == training.parameters.of(name).dtype == dtype
            assert not np.allclose(value, training.parameters.of(name), rtol=0.01), name


@pytest.mark.parametrize("kept", ["W_rec", "bias", "W_in", "into", "omega"])
def test_what_is_not_trained_stays_bit_for_bit(kept):
    trained = tuple(name for name in ("W_rec", "bias", "W_in", "into", "omega") if name != kept)
    hybrid = embed(cortex(), {"46d": embedding(trained=trained)}, task=TASK, drives=DRIVES)
    training = rnn.train(hybrid, TASK, hybrid.stack, credit="full", steps=5, trials=4, goal=None)
    for name in (*trained, kept):
        same = np.array_equal(training.parameters.of(f"{name} 46d"), hybrid.stack.of(f"{name} 46d"))
        assert same is (name == kept)


def test_training_goes_on_from_a_checkpoint_as_if_it_had_never_stopped(both, tmp_path):
    options = {"trials": 6, "goal": None, "evaluate_every": 5, "evaluation_trials": 8}
    whole = rnn.train(both, TASK, both.stack, rnn.DASC(5), steps=10, **options)
    for steps in (4, 10):
        parts = rnn.train(both, TASK, both.stack, rnn.DASC(5), steps=steps, checkpoint=tmp_path / "it.npz", **options)
    assert all(np.array_equal(x, y) for x, y in zip(whole.parameters, parts.parameters, strict=True))
    assert whole.history.equals(parts.history)


def test_a_checkpoint_of_another_hybrid_is_refused(both, tmp_path):
    options = {"steps": 1, "trials": 2, "goal": None, "checkpoint": tmp_path / "it.npz"}
    rnn.train(both, TASK, both.stack, **options)
    louder = tuple(dataclasses.replace(d, amplitude=2 * d.amplitude) for d in both.drives)
    rates = {area: dataclasses.replace(e, rate=7.0) for area, e in both.embedded.items()}
    for change in (
        {"drives": louder},
        {"embedded": rates},
        {"circuit": cx.circuits.Chaudhuri2015(eta=0.5)},
        {"connectome": both.connectome.lesion(connections=[("V4", "V1")])},
    ):
        other = dataclasses.replace(both, **change)
        with pytest.raises(ValueError, match="checkpoint"):
            rnn.train(other, TASK, both.stack, **(options | {"steps": 2}))


def test_a_trained_network_can_be_put_in_its_place(both):
    training = rnn.train(both, TASK, both.stack, steps=3, trials=4, goal=None)
    trained = both.with_stack(training.parameters, network=1)
    assert trained.stack.networks == 1
    assert np.array_equal(trained.stack.of("W_rec 46d")[0], training.parameters.of("W_rec 46d")[1])
    trials = TASK.trials(4, seed=5, dt=both.dt)
    a = rnn.run(trained, trained.stack, trials, noise=False).outputs[0]
    b = rnn.run(both, training.parameters, trials, noise=False).outputs[1]
    assert np.array_equal(a, b)
    assert trained != both


@pytest.mark.parametrize("credit", ["area", "open_loop", "full"])
def test_a_network_in_the_cortex_learns_a_delayed_response(credit):
    model, gain = cortex(), 4.0
    task = dataclasses.replace(TASK, fixation=40, cue=80, delay=80, response=80, grace=20)
    made = embedding(20, noise=0.05, dt=4.0, gain=gain, rate=10.0)
    # What the area receives at rest, 10 Hz from all others, is balanced
    bias = made.parameters.bias - gain * 10 * float(model.connectome.fln.sel(target="8l").sum())
    made = dataclasses.replace(made, parameters=made.parameters._replace(bias=bias))
    hybrid = embed(model, {"8l": made}, task=task, drives=DRIVES, readout="8l")
    assert rnn.evaluate(hybrid, task, hybrid.stack)[0] < 0.7
    optimizer = rnn.Adam(learning_rate=0.005)
    training = rnn.train(
        hybrid, task, hybrid.stack, credit=credit, steps=400, evaluate_every=50, goal=0.95, optimizer=optimizer
    )
    assert training.stopped == "goal"


def test_several_areas_train_where_all_others_are_taken_out():
    model = cortex(("7A", "8l", "46d"))
    drives = (Drive("cue_A", "7A", "E", 10.0), Drive("cue_B", "7A", "I", 10.0))
    nets = {area: embedding(8, seed=k, inputs=0 if area == "7A" else 1) for k, area in enumerate(model.areas)}
    hybrid = embed(model, nets, task=TASK, drives=drives, readout="46d")
    training = rnn.train(hybrid, TASK, hybrid.stack, credit="full", steps=60, trials=10, goal=None, evaluate_every=20)
    loss = training.history.loss[:, 0]
    assert loss[-1] < loss[0]
    constraints(hybrid, hybrid.stack, training.parameters, 1e-12)
    assert not np.array_equal(training.parameters.of("into 8l"), hybrid.stack.of("into 8l"))


def test_a_network_trained_alone_can_be_embedded(tmp_path):
    alone = rnn.Network.for_task(TASK, units=10, dt=2.0, tau=20.0, tau_noise=20.0, input_units=None, output_units=None)
    training = rnn.train(alone, TASK, rnn.initialise(alone, 2, dtype="float64"), steps=2, trials=4, goal=None)
    rnn.save_networks(tmp_path / "alone.npz", alone, training.parameters)
    found, weights = rnn.load_networks(tmp_path / "alone.npz")[:2]
    made = Embedding(network=found, parameters=weights.select([1]), gain=0.0)
    # It hears the task as it did alone, and nothing of the cortex yet
    hybrid = embed(cortex(), {"46d": made}, task=TASK, readout="46d")
    trials = TASK.trials(4, seed=1, dt=2.0)
    inside = rnn.run(hybrid, hybrid.stack, trials, noise=False).rates[0]
    np.testing.assert_allclose(inside, rnn.run(found, weights, trials, noise=False).rates[1], rtol=1e-12)
    rnn.train(hybrid, TASK, hybrid.stack, steps=1, trials=2)


# ---- What is refused


def test_what_cannot_be_trained_is_refused(one):
    bare = embed(cortex(), {"46d": embedding()})
    with pytest.raises(ValueError, match="without a read-out"):
        rnn.train(bare, TASK, bare.stack)
    with pytest.raises(ValueError, match="Strategic skips"):
        rnn.train(one, TASK, one.stack, rnn.Strategic(), steps=1)
    reversal = tasks.RuleReversal()
    hybrid = embed(cortex(), {"46d": embedding(inputs=len(reversal.inputs))}, task=reversal)
    with pytest.raises(ValueError, match="feeds answers back"):
        rnn.train(hybrid, reversal, hybrid.stack, steps=1)
    with pytest.raises(ValueError, match="must be those of this hybrid"):
        rnn.train(one, TASK, one.embedded["46d"].parameters)
    with pytest.raises(ValueError, match=r"input for each channel .* \(go\)"):
        embed(cortex(), {"46d": embedding(inputs=3)}, task=TASK, drives=DRIVES)
    with pytest.raises(ValueError, match="Unknown channel 'cue_C'"):
        embed(cortex(), {"46d": embedding()}, task=TASK, drives=[Drive("cue_C", "V1", "E", 1.0)])
    with pytest.raises(ValueError, match="Unknown input 'E1' in Drive"):
        embed(cortex(), {"46d": embedding()}, task=TASK, drives=[Drive("cue_A", "V1", "E1", 1.0)])
    with pytest.raises(ValueError, match="Unknown area"):
        embed(cortex(), {"46d": embedding()}, task=TASK, drives=DRIVES, readout="46e")
    varied = cx.Model(one.connectome, cx.circuits.Chaudhuri2015(w_EE=[24.0, 24.3]), one.gradients)
    with pytest.raises(ValueError, match="same in all trials, but the circuit has 2 values"):
        embed(varied, {"46d": embedding()}, task=TASK, drives=DRIVES)
    with pytest.raises(ValueError, match="stacks"):
        embed(cortex(), {"46d": embedding(networks=2), "7A": embedding(networks=3)})
    with pytest.raises(ValueError, match="Unknown weights 'W'"):
        embedding(trained=("W",))
