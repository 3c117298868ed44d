"""Conduction delays and lists of connections."""

import dataclasses

import numpy as np
import pytest
from systems import Linear

import cortexsim as cx
from cortexsim.kernel import lanes


def chain(distance, weight=1.0):
    """Two areas: "a" projects to "b" over `distance` mm."""
    return cx.Connectome([[0, 0], [weight, 0]], np.zeros((2, 2)), [[0, distance], [distance, 0]], areas=("a", "b"))


def test_input_arrives_after_the_delay_exactly():
    """r_a relaxes as (1 - dt/tau)^n; r_b then follows the same Euler recursion on the delayed r_a: an exact answer."""
    model = cx.Model(chain(30.0), Linear(), conduction_speed=3.0)  # 10 ms, 20 steps
    result = cx.simulate(model, duration=100, every=0.5)
    a = result.r.sel(area="a").to_numpy()[0]
    np.testing.assert_allclose(a, 0.95 ** np.arange(200), rtol=1e-13)
    b = np.ones(200)
    for n in range(199):
        delayed = a[n - 20] if n >= 20 else 1.0
        b[n + 1] = b[n] + 0.05 * (-b[n] + 0.5 * delayed)
    np.testing.assert_allclose(result.r.sel(area="b").to_numpy()[0], b, rtol=1e-12)


def test_a_delayed_loop_oscillates_with_the_period_of_its_characteristic_equation():
    """Mutual inhibition x' = -x - g x(t - d), tau = 10 ms: at its Hopf point g = sqrt(1 + (w tau)^2), w tau = -tan(w
    d).

    For d = 10 ms w tau = 2.0288 and g = 2.2618: a period of 30.97 ms that neither grows nor shrinks. Euler at .01 ms
    errs by some dt/tau per ms of growth, so the period is judged to .1 ms and the amplitude over four periods to 5 %.
    """
    omega = 2.028757838110434
    gain = np.hypot(1, omega)
    pair = cx.Connectome([[0, 1], [1, 0]], np.zeros((2, 2)), [[0, 10], [10, 0]], areas=("a", "b"))
    model = cx.Model(pair, Linear(g=-gain), conduction_speed=1.0)
    r = cx.simulate(model, duration=400, dt=0.01, every=0.1).r.sel(area="a")[0]
    late = r.sel(time=slice(200, None))
    t = late.time.to_numpy()
    up = t[:-1][(late.to_numpy()[:-1] < 0) & (late.to_numpy()[1:] >= 0)]
    assert np.diff(up).mean() == pytest.approx(2 * np.pi * 10 / omega, abs=0.1)
    swings = [float(np.abs(r.sel(time=slice(a, a + 31))).max()) for a in (200, 324)]
    assert swings[1] == pytest.approx(swings[0], rel=0.05)


def test_without_distance_a_delayed_model_equals_one_without_delays():
    """All delays round to 0 steps: the list of connections sums as the table does, bit by bit."""
    cortex = cx.load_connectome("macaque40")
    plain = cx.Model(cortex, cx.circuits.FroudistWalsh2021(), cx.gradients.macaque40())
    fast = dataclasses.replace(plain, conduction_speed=1e6)
    for trials in (1, 8):
        one = cx.simulate(plain, duration=50, trials=trials)
        two = cx.simulate(fast, duration=50, trials=trials)
        assert np.array_equal(one.final_state, two.final_state)


@pytest.mark.parametrize("trials", [1, 16])
def test_a_sparse_network_gives_the_same_bits_as_a_table(monkeypatch, trials):
    network = cx.synthetic_connectome(60, 0, density=0.1)
    model = cx.Model(network, Linear(g=2.0))
    runs = {}
    for share in (0.0, 1.1):
        monkeypatch.setattr(lanes, "_SPARSE_BY_AREA", share)
        monkeypatch.setattr(lanes, "_SPARSE_BY_TRIAL", share)
        runs[share] = cx.simulate(model, duration=50, trials=trials).final_state
    assert np.array_equal(runs[0.0], runs[1.1])


def test_a_delayed_run_continues_bit_by_bit(tmp_path):
    network = cx.synthetic_connectome(30, 1)
    model = cx.Model(network, Linear(g=2.0), conduction_speed=2.0)
    step = cx.Step(area=network.areas[0], input="I", onset=5, amplitude=3)
    for trials in (1, 9):
        whole = cx.simulate(model, step, duration=60, trials=trials, every=5)
        first = cx.simulate(model, step, duration=25, trials=trials, every=5)
        cx.save(first, tmp_path / "first.nc")
        second = cx.simulate(model, step, duration=35, trials=trials, every=5, state=cx.load(tmp_path / "first.nc"))
        assert np.array_equal(second.final_state, whole.final_state)
        assert np.array_equal(second.final_history, whole.final_history)
        assert np.array_equal(second.r, whole.r.sel(time=slice(25, None)))


def test_delays_need_distances_and_a_speed():
    circuit = Linear()
    with pytest.raises(ValueError, match=r"`conduction_speed` must be positive, but is 0 m/s"):
        cx.Model(chain(3.0), circuit, conduction_speed=0)
    bare = cx.Connectome([[0, 0], [1, 0]], np.zeros((2, 2)), areas=("a", "b"))
    with pytest.raises(ValueError, match="Delays need distances, but the connectome has none"):
        cx.simulate(cx.Model(bare, circuit, conduction_speed=1.0), duration=1, every=1)
    model = cx.Model(chain(3.0), circuit, conduction_speed=1.0)
    result = cx.simulate(model, duration=5, every=5)
    assert result.final_history.dims == ("trial", "lag", "source", "area")
    with pytest.raises(ValueError, match="same conduction speed"):
        cx.simulate(dataclasses.replace(model, conduction_speed=2.0), duration=5, every=5, state=result)
