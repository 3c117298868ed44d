"""Wilson & Cowan 1972: rest, the limit cycle, and the bound of activity."""

import numpy as np
import pytest

import cortexsim as cx
from cortexsim.circuits import WilsonCowan


@pytest.fixture(scope="module")
def alone():
    """One trial undriven, one with the drive of the limit cycle, one with more drive than the curves can follow."""
    cortex = cx.load_connectome("macaque40").select(["V1", "V2", "V4"])
    model = cx.Model(cortex.lesion(cortex.areas), WilsonCowan(P=(0.0, 1.25, 1e3), Q=(0.0, 0.0, 1e3)))
    return cx.simulate(model, duration=2000, dt=0.1, every=1, trials=3)


def test_zero_activity_is_rest_without_drive(alone):
    assert not alone.final_state.isel(trial=0).any()


def test_an_area_cycles_at_the_drive_of_the_paper_and_not_below_it(alone):
    """A limit cycle keeps its size: the last two stretches of 500 ms, some 15 cycles each, reach the same extremes."""
    cycle = alone.r_E.isel(trial=1, area=0)
    early, late = cycle.sel(time=slice(1000, 1499)), cycle.sel(time=slice(1500, 1999))
    assert late.max() - late.min() > 0.1
    assert late.max() == pytest.approx(early.max().item(), abs=5e-3)
    assert late.min() == pytest.approx(early.min().item(), abs=5e-3)


def test_saturated_activity_is_that_of_the_closed_form(alone):
    """S = k = S(infinity) gives r = (k - r) k, so r = k^2 / (1 + k), with k = 1 / (1 + exp(-a theta))."""
    circuit = WilsonCowan()
    for name, a, theta in (("r_E", circuit.a_E, circuit.theta_E), ("r_I", circuit.a_I, circuit.theta_I)):
        k = 1 / (1 + np.exp(-a * theta))
        np.testing.assert_allclose(alone[name].isel(trial=2, time=-1), k**2 / (1 + k), rtol=1e-9)
