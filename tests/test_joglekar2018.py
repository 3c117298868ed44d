"""Joglekar 2018 against the authors' program: both regimes, the sweep of long-range excitation, the clamp."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cortexsim as cx
from cortexsim.circuits import Joglekar2018

PROGRAM = pd.read_csv(Path(__file__).parent / "reference" / "joglekar2018.csv", comment="#", index_col="area")


def peaks(circuit, trials=1, onset=200, duration=2000.0):
    """Return the largest r_E above rest (trial, area) after the program's pulse: 1251 steps of 0.2 ms."""
    model = cx.Model(cx.load_connectome("macaque29"), circuit, cx.gradients.macaque29())
    pulse = cx.Pulse(area="V1", input="E", onset=onset, duration=250.2, amplitude=circuit.pulse_amplitude)
    result = cx.simulate(model, pulse, duration=duration, dt=0.2, every=0.2, trials=trials, record=["r_E"])
    return (result.r_E - 10).max("time").sel(area=list(PROGRAM.index))


@pytest.fixture(scope="module")
def peak():
    return {regime: peaks(Joglekar2018(regime=regime)).isel(trial=0) for regime in ("weak", "strong")}


@pytest.mark.parametrize("regime", ["weak", "strong"])
def test_peaks_equal_the_authors_program_in_all_areas(peak, regime):
    """The table has ten digits."""
    np.testing.assert_allclose(peak[regime], PROGRAM[f"{regime}_hz"], rtol=1e-9)


def test_all_peaks_equal_the_full_table(peak, shared):
    table = pd.read_csv(shared / "reference" / "joglekar2018" / "pulse_peaks.csv", index_col="area")
    for regime in ("weak", "strong"):
        expected = table.loc[list(PROGRAM.index), f"peak_dE_{regime}GBA_Hz"]
        np.testing.assert_allclose(peak[regime], expected, rtol=1e-9)


def test_strong_amplification_carries_the_pulse_to_24c_164_times_better(peak):
    """24c over V1: an attenuation of 16,100 with weak and of 98 with strong amplification."""
    attenuation = {regime: float(p.sel(area="V1") / p.sel(area="24c")) for regime, p in peak.items()}
    assert attenuation["weak"] == pytest.approx(16_100, rel=5e-3)
    assert attenuation["strong"] == pytest.approx(98, rel=5e-3)
    assert attenuation["weak"] / attenuation["strong"] == pytest.approx(164, rel=2e-3)


def test_clamp_changes_nothing_for_the_standard_pulses(peak):
    for regime in ("weak", "strong"):
        free = peaks(Joglekar2018(regime=regime, clamp=False)).isel(trial=0)
        np.testing.assert_allclose(free, peak[regime], rtol=1e-9)


def test_stronger_long_range_excitation_reaches_24c_if_inhibition_grows_with_it():
    """Fig. 3F in one run; published by the program to two or three digits. Without compensation 36 pA/Hz explodes."""
    mu_EE = np.array([36, 44, 50, 52])
    balanced = peaks(Joglekar2018(mu_EE=mu_EE, w_EI=19.7 + (mu_EE - 33.7) * 55 / 178), trials=4)
    np.testing.assert_allclose(balanced.sel(area="24c"), [0.0295, 0.371, 1.36, 2.22], rtol=5e-3)
    alone = peaks(Joglekar2018(mu_EE=(32, 34, 36)), trials=3)
    np.testing.assert_allclose(alone.sel(area="24c")[:2], [5e-5, 0.019], rtol=0.05)
    assert alone.sel(area="24c")[2] > 100


def test_clamp_keeps_an_unstable_cortex_at_rest_after_a_pulse():
    """At mu_EE = 20 pA/Hz disturbances grow by 22 per second: areas that the pulse disinhibits silence others."""
    maps, cortex = cx.gradients.macaque29(), cx.load_connectome("macaque29")
    pulse = cx.Pulse(area="V1", input="E", onset=100, duration=250, amplitude=600)
    last = {}
    for clamp in (True, False):
        model = cx.Model(cortex, Joglekar2018(mu_EE=20, clamp=clamp), maps)
        last[clamp] = cx.simulate(model, pulse, duration=3000, dt=0.2).final_state.sel(state="r_E")
    np.testing.assert_allclose(last[True], 10, atol=1e-3)
    assert last[False].min() < 1e-9
    assert last[False].max() > 50


def test_regime_sets_inhibition_and_long_range_excitation_where_they_are_not_given():
    strong = Joglekar2018(regime="strong")
    assert (strong.w_EI, strong.mu_EE) == (25.2, 51.5)
    assert Joglekar2018(regime="strong", mu_EE=40).mu_EE == 40
    assert dataclasses.replace(Joglekar2018(), regime="strong", w_EI=None, mu_EE=None) == strong
    with pytest.raises(ValueError, match="are those of 'weak' and not of 'strong'; pass w_EI=None and mu_EE=None"):
        dataclasses.replace(Joglekar2018(), regime="strong")


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="Unknown regime 'stong' in Joglekar2018; did you mean 'strong'"):
        Joglekar2018(regime="stong")
    with pytest.raises(TypeError, match="`clamp` must be True or False, but is 'yes'"):
        Joglekar2018(clamp="yes")
