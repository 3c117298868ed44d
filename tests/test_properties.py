"""What must hold for any choice: Hypothesis looks for the one that breaks it."""

import dataclasses
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cortexsim as cx

AREAS = ("V1", "MT", "LIP", "46d", "9/46d", "24c")
few = settings(max_examples=25, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def small(model):
    return dataclasses.replace(model, connectome=model.connectome.select(AREAS))


@pytest.fixture(scope="module")
def alone(small):
    """Final states of trials 0 to 19, each run by itself."""
    runs = [cx.simulate(small, duration=20, every=10, trials=[k], seed=5) for k in range(20)]
    return np.concatenate([run.final_state for run in runs])


@few
@given(which=st.lists(st.integers(0, 19), min_size=1, max_size=20), chunk=st.integers(1, 50), threads=st.integers(1, 3))
def test_a_trial_is_the_same_bits_whatever_runs_beside_it(small, alone, which, chunk, threads):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["cortexsim.simulate"], "_CHUNK_STEPS", chunk)
        result = cx.simulate(small, duration=20, every=10, trials=which, seed=5, threads=threads)
    assert np.array_equal(result.final_state, alone[which])


@few
@given(order=st.permutations(AREAS), n=st.integers(1, len(AREAS)))
def test_any_order_and_choice_of_areas_keeps_their_noise(small, order, n):
    part = dataclasses.replace(small, connectome=small.connectome.select(order[:n]))
    eta = cx.simulate(part, duration=5, every=1, record=["eta_E1"]).eta_E1
    whole = cx.simulate(small, duration=5, every=1, record=["eta_E1"]).eta_E1
    assert np.array_equal(eta, whole.sel(area=list(order[:n])))


@given(
    dt=st.sampled_from([0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0]),
    onset=st.integers(0, 5000),
    length=st.integers(1, 500),
)
def test_a_pulse_acts_on_exactly_its_steps(dt, onset, length):
    """Onset and duration are multiples of dt, as decimal fractions that binary floats only come near to."""
    pulse = cx.Pulse(area="V1", input="E1", onset=onset * dt, duration=length * dt, amplitude=1)
    on = np.flatnonzero(pulse.sample(np.arange(onset + length + 5) * dt))
    assert (on[0], on[-1], len(on)) == (onset, onset + length - 1, length)
