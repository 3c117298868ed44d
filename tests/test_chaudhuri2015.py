"""Chaudhuri 2015, linear and nonlinear, against the authors' program and against exact statistics."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import cortexsim as cx
from cortexsim.circuits import Chaudhuri2015, Chaudhuri2015Nonlinear

PROGRAM = pd.read_csv(Path(__file__).parent / "reference" / "chaudhuri2015.csv", comment="#", index_col="area")
LARGEST = 110.0  # Hz, the rate of V1 under the pulse


@pytest.fixture(scope="module")
def cortex():
    return cx.load_connectome("macaque29")


@pytest.fixture(scope="module")
def maps():
    return cx.gradients.macaque29()


@pytest.fixture(scope="module")
def pulsed(cortex, maps):
    """The published pulse to V1, every step of 2.5 s."""
    circuit = Chaudhuri2015()
    pulse = cx.Pulse(area="V1", input="E", onset=100, duration=250, amplitude=circuit.pulse_amplitude)
    return cx.simulate(cx.Model(cortex, circuit, maps), pulse, duration=2500.2, dt=0.2, every=0.2).isel(trial=0)


@pytest.fixture(scope="module")
def rest(cortex, maps):
    """The nonlinear version after 25 s; where it rests does not depend on the time step."""
    return cx.simulate(cx.Model(cortex, Chaudhuri2015Nonlinear(), maps), duration=25_000, dt=0.5, every=1000)


def test_v1_pulse_equals_the_authors_program(pulsed):
    """To 1e-9 of the largest rate: 12,500 steps apart by rounding, and 15 digits printed."""
    rates = pulsed.r_E.sel(area=list(PROGRAM.index))
    for time in (125, 225, 350, 500, 1000, 2000):
        now = rates.sel(time=time, method="nearest")
        np.testing.assert_allclose(now, PROGRAM[f"r_E_at_{time}_ms"], rtol=0, atol=1e-9 * LARGEST)
    np.testing.assert_allclose((rates - 10).max("time"), PROGRAM.pulse_peak_hz, rtol=1e-9)
    np.testing.assert_allclose(rates.idxmax("time"), PROGRAM.pulse_peak_ms, atol=1e-6)


def test_all_rates_equal_the_authors_program_every_25_ms(pulsed, shared):
    table = pd.read_csv(shared / "reference" / "chaudhuri2015" / "linear_pulse_rE_hz.csv", index_col="time_ms")
    rates = pulsed.r_E.sel(time=table.index.to_numpy(), method="nearest").sel(area=list(table.columns))
    np.testing.assert_allclose(rates, table, rtol=0, atol=1e-9 * LARGEST)


def test_pulse_pushes_no_rate_below_rest(pulsed):
    """So the model is linear there. The background is solved in floating point, hence 1e-9 Hz."""
    assert pulsed.r_E.min() > 10 - 1e-9
    assert pulsed.r_I.min() > 35 - 1e-9


def test_resting_rates_are_a_fixed_point_for_each_trial_and_area(cortex, maps):
    """By trial for eta and the excitatory rate, by area for the inhibitory; 5000 steps move them by rounding alone."""
    inhibitory = 30 + 10 * maps.hierarchy.sel(area=list(cortex.areas)).drop_vars(["x", "y", "z"], errors="ignore")
    circuit = Chaudhuri2015(eta=(0.0, 0.68, 0.3), r_E_rest=(5.0, 10.0, 20.0), r_I_rest=inhibitory)
    start = xr.DataArray(
        np.stack([np.stack([np.full(29, r), inhibitory]) for r in circuit.r_E_rest]),
        {"state": ["r_E", "r_I"], "area": list(cortex.areas)},
        ("trial", "state", "area"),
    )
    result = cx.simulate(cx.Model(cortex, circuit, maps), duration=1000, dt=0.2, trials=3, state=start)
    np.testing.assert_allclose(result.final_state, start, rtol=1e-10)


def test_a_negative_resting_rate_is_refused(cortex, maps):
    with pytest.raises(ValueError, match="`r_I_rest` must not be negative, but is -1 Hz"):
        cx.simulate(cx.Model(cortex, Chaudhuri2015(r_I_rest=-1), maps), duration=1, every=1)


def test_white_noise_of_isolated_areas_has_its_exact_variance(cortex, maps):
    """29 equal areas, 8 trials, 20 s: some 50,000 correlation times, so that the variance scatters by 1 %."""
    dt, sigma = 0.2, 50.0
    circuit = Chaudhuri2015(eta=0.0, sigma_E=sigma)
    alone = cx.Model(cortex.lesion(cortex.areas), circuit, maps)
    rates = cx.simulate(alone, duration=21_000, dt=dt, trials=8, every=5).sel(time=slice(1000, None))

    b_E, b_I = circuit.beta_E, circuit.beta_I
    slope = np.array(
        [
            [(b_E * circuit.w_EE - 1) / circuit.tau_E, -b_E * circuit.w_EI / circuit.tau_E],
            [b_I * circuit.w_IE / circuit.tau_I, -(1 + b_I * circuit.w_II) / circuit.tau_I],
        ]
    )
    kick = np.diag([(b_E * sigma / circuit.tau_E) ** 2 * dt, 0.0])
    one_step = np.eye(2) + dt * slope
    exact = np.linalg.solve(np.eye(4) - np.kron(one_step, one_step), kick.ravel()).reshape(2, 2)
    fluctuation = np.stack([(rates.r_E - 10).to_numpy().ravel(), (rates.r_I - 35).to_numpy().ravel()])
    np.testing.assert_allclose(np.cov(fluctuation), exact, rtol=0.04)


def test_nonlinear_version_rests_where_the_authors_program_does(rest):
    """The table has 12 digits."""
    state = rest.final_state.isel(trial=0).sel(area=list(PROGRAM.index))
    for name in ("S_E", "r_E", "r_I"):
        np.testing.assert_allclose(state.sel(state=name), PROGRAM[f"nonlinear_{name}"], rtol=1e-9)
    np.testing.assert_allclose(state.sel(state="S_E_next"), state.sel(state="S_E"), rtol=1e-9)


def test_nonlinear_pulse_peaks_as_in_the_authors_program(cortex, maps, rest):
    """Peaks above rest as published by that program, to half of their last digit; DP and MT ring on for 200 ms."""
    circuit = Chaudhuri2015Nonlinear()
    pulse = cx.Pulse(area="V1", input="E", onset=100, duration=250, amplitude=circuit.pulse_amplitude)
    model = cx.Model(cortex, circuit, maps)
    rates = cx.simulate(model, pulse, duration=1000, dt=0.2, every=0.2, state=rest.final_state).r_E.isel(trial=0)
    peak = (rates - rates.isel(time=0)).max("time")
    expected = {"V1": 57.457, "V2": 22.872, "V4": 9.263, "DP": 17.787, "MT": 15.645, "TEO": 3.438, "TEpd": 0.400}
    np.testing.assert_allclose(peak.sel(area=list(expected)), list(expected.values()), atol=6e-4)
    assert rates.sel(area="DP").idxmax("time") == pytest.approx(549, abs=0.5)
    assert rates.sel(area="MT").idxmax("time") == pytest.approx(491, abs=0.5)


@pytest.mark.slow
def test_nonlinear_samples_are_those_of_the_programs_order_of_update(cortex, maps):
    """Gating, then r_E from new gating and old r_I, then r_I: written out here, and equal at each step in all three."""
    circuit, dt, steps = Chaudhuri2015Nonlinear(), 0.2, 1500
    pulse = cx.Pulse(area="V1", input="E", onset=100, duration=250, amplitude=200)
    result = cx.simulate(cx.Model(cortex, circuit, maps), pulse, duration=steps * dt, dt=dt, every=dt).isel(trial=0)

    F, g = cortex.fln.to_numpy(), 1 + 3.4 * maps.hierarchy.sel(area=list(cortex.areas)).to_numpy()
    r_E, r_I, S = (result[name][0].to_numpy() for name in ("r_E", "r_I", "S_E"))
    for k in range(steps):
        for name, value in (("S_E", S), ("r_E", r_E), ("r_I", r_I)):
            np.testing.assert_allclose(result[name][k], value, rtol=1e-9)
        stimulus = np.where(np.array(cortex.areas) == "V1", 200.0 * (100 <= k * dt < 350), 0.0)
        S = S + dt * (-S / 60 + 0.641e-3 * (1 - S) * r_E)
        z = 0.27 * (g * (250.2 * S + 125.1 * F @ S) - 8.11 * r_I + 400 + stimulus) - 108
        r_E = z / (1 - np.exp(-0.154 * z))
        r_I = r_I + dt / 10 * (-r_I + np.maximum(0.351 * (303.9 * g * S - 12.5 * r_I) + 61.76, 0))
