"""Derivative, Jacobian and eigenvalues of every circuit, against its own step, exact systems and published ones."""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import plain
import pytest
import xarray as xr
from systems import Linear

import cortexsim as cx
from cortexsim import analysis, circuits
from cortexsim.analysis.vector_field import VectorField
from cortexsim.circuits.circuit import Circuit, Pathway, Variable, parameter

AREAS = ("V1", "MT", "8l", "46d", "24c")


def gate(x, longrange, stimulus, noise, p, dt):
    """Synapse S, driven by a rate r that is set at once: r_new = a (W S + I), S_new = S + dt (-S/tau + r_new)."""
    r = p.a * (longrange.S + stimulus.I)
    return x.S + dt * (-x.S / p.tau + r) + p.sigma * np.sqrt(dt) * noise.S, r


@dataclass(frozen=True)
class Gate(Circuit):
    """One integrated and one instantaneous variable, coupled by FLN."""

    tau: Any = parameter(50.0, "ms", "time constant")
    a: Any = parameter(0.01, "1/ms", "gain")
    sigma: Any = parameter(0.1, "1", "noise")
    state: ClassVar = (Variable("S", "1", "gating"), Variable("r", "1/ms", "rate"))
    inputs: ClassVar = (Variable("I", "mA", "drive", scale=1e-3),)
    noise: ClassVar = ("S",)
    pathways: ClassVar = (Pathway("S", source="S", weights="fln"),)
    recorded: ClassVar = ("S",)
    citation: ClassVar = "none"
    step = staticmethod(gate)

    def weights(self, connectome):
        return {"fln": connectome.fln.to_numpy()}


@pytest.fixture(scope="module")
def cortex():
    return cx.load_connectome("macaque40").select(AREAS)


@pytest.fixture(params=circuits.ALL)
def small(request, cortex):
    return cx.Model(cortex, circuits.ALL[request.param](), cx.gradients.macaque40())


def consistent_states(model, steps, dt):
    """States of a plain simulation that starts above rest; what is not integrated follows within a step."""
    x = VectorField(model).initial()
    return plain.simulate(
        model, steps=steps, dt=dt, start=x * (1 + 0.1 * np.abs(np.sin(np.arange(1, x.size + 1))).reshape(x.shape))
    )


def labelled(model, x):
    return xr.DataArray(x, {"state": list(model.circuit.state_names()), "area": list(model.areas)}, ("state", "area"))


def test_derivative_is_the_limit_of_every_circuits_own_step(small):
    """Short Euler steps of 1e-6 ms: what is left is of the order of the step, and of rounding over it."""
    dt = 1e-6
    states = consistent_states(small, 6, dt)
    change = (states[-1] - states[-2]) / dt
    slope = analysis.derivative(small, labelled(small, states[-2])).to_numpy()
    np.testing.assert_allclose(slope, change, rtol=1e-4, atol=1e-5 * np.abs(change).max())


def test_jacobian_is_the_slope_of_the_derivative_of_every_circuit(small):
    """Central differences of 1e-5 along 3 random directions agree to their own error, some 1e-8."""
    field = VectorField(small)
    x = consistent_states(small, 3, 1e-6)[-1]
    matrix = field.assemble(field.local(x)).reshape(x.size, x.size)
    rng = np.random.default_rng(0)
    for _ in range(3):
        direction = rng.normal(size=x.shape) * (np.abs(x) + 1e-3)
        ends = [field.local(x + h * direction).residual for h in (1e-5, -1e-5)]
        difference = (ends[0] - ends[1]).ravel() / 2e-5
        np.testing.assert_allclose(matrix @ direction.ravel(), difference, atol=1e-6 * np.abs(difference).max())


def test_the_jacobian_of_a_linear_system_is_exact(cortex):
    model = cx.Model(cortex, Linear())
    expected = (0.5 * cortex.fln.to_numpy() - np.eye(5)) / 10
    found = analysis.jacobian(model, labelled(model, np.zeros((1, 5))))
    assert found.dims == ("state", "area", "source_state", "source_area")
    np.testing.assert_allclose(found.to_numpy()[0, :, 0], expected, rtol=0, atol=1e-16)
    v1_from_mt = float(found.sel(state="r", area="V1", source_state="r", source_area="MT"))
    assert v1_from_mt == 0.05 * float(cortex.fln.sel(target="V1", source="MT"))


def test_a_rate_on_its_floor_is_held_or_rises():
    """Joglekar 2018 clamps rates from below: driven down nothing moves, driven up dr_E/dt = beta_E I / tau_E."""
    model = cx.Model(cx.load_connectome("macaque29"), circuits.Joglekar2018(), cx.gradients.macaque29())
    _, by_area = model.parameters(1)
    floor = labelled(model, np.array([by_area["floor_E"][0], by_area["floor_I"][0]]))
    down, up = (
        float(analysis.derivative(model, floor, drive={("46d", "E"): pA}).sel(state="r_E", area="46d"))
        for pA in (-100.0, 100.0)
    )
    assert down == 0
    assert up == pytest.approx(100 * 0.066 / 20, rel=1e-6)  # the floor lies 1e-11 below rest


def test_a_variable_that_is_set_at_once_is_eliminated(cortex):
    """With r = a (W S + I), dS/dt = -S/tau + a (W S + I)."""
    model, fln = cx.Model(cortex, Gate()), cortex.fln.to_numpy()
    S = np.linspace(0.1, 0.5, 5)
    r = 0.01 * (fln @ S)
    r[1] += 0.01 * 2e-3
    state, drive = labelled(model, np.array([S, r])), {("MT", "I"): 2.0}
    slope = analysis.derivative(model, state, drive=drive)
    np.testing.assert_allclose(slope.sel(state="S"), -S / 50 + r, rtol=1e-14)
    np.testing.assert_allclose(slope.sel(state="r"), 0.01 * fln @ (-S / 50 + r), rtol=1e-12)
    jacobian = analysis.jacobian(model, state)
    assert list(jacobian.state) == ["S"]
    np.testing.assert_allclose(jacobian.to_numpy()[0, :, 0], 0.01 * fln - np.eye(5) / 50, atol=1e-17)
    modes = analysis.eigenmodes(model, state)
    values = modes.eigenvalue.to_numpy()
    S, r = (modes.vector.sel(state=name).to_numpy().T for name in "Sr")
    assert values.size == 5
    np.testing.assert_allclose(jacobian.to_numpy()[0, :, 0] @ S, S * values)
    np.testing.assert_allclose(r, 0.01 * fln @ S, atol=1e-16)


def test_eigenvalues_come_slowest_first_with_their_timescales(cortex):
    values = analysis.eigenvalues(cx.Model(cortex, Linear()), labelled(cx.Model(cortex, Linear()), np.zeros((1, 5))))
    assert values.dtype == complex
    assert values.attrs["units"] == "1/ms"
    assert (np.diff(values.real) <= 0).all()
    np.testing.assert_allclose(values.timescale, -1 / values.real)


def test_eigenvalues_of_chaudhuri2015_equal_the_published_systems(shared):
    table = pd.read_csv(shared / "reference" / "chaudhuri2015" / "eigenvalues.csv")
    expected = (table["real_per_ms"] + 1j * table["imag_per_ms"]).to_numpy()
    model = cx.Model(cx.load_connectome("macaque29"), circuits.Chaudhuri2015(), cx.gradients.macaque29())
    found = analysis.eigenvalues(model).to_numpy()
    # The table has the members of some complex pairs in the other order.
    np.testing.assert_allclose(found.real, expected.real, rtol=1e-9)
    np.testing.assert_allclose(np.abs(found.imag), np.abs(expected.imag), atol=1e-9 * np.abs(expected).max())


def test_the_baseline_of_the_nonlinear_chaudhuri2015_equals_the_published_one(shared):
    table = pd.read_csv(shared / "reference" / "chaudhuri2015" / "nonlinear_baseline.csv").set_index("area")
    kind = circuits.Chaudhuri2015Nonlinear
    model = cx.Model(cx.load_connectome("macaque29"), kind(), cx.gradients.macaque29())
    rest = analysis.fixed_point(model)
    for name, column in (("S_E", "baseline_s"), ("r_E", "baseline_rE_hz"), ("r_I", "baseline_rI_hz")):
        np.testing.assert_allclose(rest.sel(state=name), table[column].loc[list(model.areas)], rtol=1e-9)
    slowest = analysis.eigenvalues(model, rest).timescale.to_numpy()
    assert slowest.size == 58  # r_E follows at once, so that it adds no mode
    np.testing.assert_allclose(slowest[:6], [1104.93, 333.22, 156.80, 133.05, 121.67, 108.35], atol=0.005)


def test_bad_models_and_states_are_refused(cortex):
    model = cx.Model(cortex, Linear())
    state = labelled(model, np.zeros((1, 5)))
    with pytest.raises(ValueError, match="without delays"):
        analysis.jacobian(dataclasses.replace(model, conduction_speed=3.0), state)
    chaudhuri = cx.Model(cx.load_connectome("macaque29"), circuits.Chaudhuri2015(), cx.gradients.macaque29())
    with pytest.raises(ValueError, match="take hybrid.without()"):
        analysis.eigenvalues(cx.embed(chaudhuri, {"46d": cx.transplant(chaudhuri, "46d", units=4, inhibitory=1)}))
    with pytest.raises(ValueError, match="of one condition"):
        analysis.jacobian(cx.Model(cortex, Linear(g=(0.1, 0.2))), state)
    with pytest.raises(TypeError, match="must be a Model"):
        analysis.eigenvalues(Linear())
    with pytest.raises(ValueError, match="'24c' is missing"):
        analysis.derivative(model, state.isel(area=slice(4)))
    with pytest.raises(ValueError, match="pick one trial"):
        analysis.derivative(model, state.expand_dims(trial=[0, 1]))
    with pytest.raises(ValueError, match="must be finite"):
        analysis.derivative(model, state * np.nan)
    with pytest.raises(ValueError, match="Unknown input 'J' in `drive`"):
        analysis.derivative(model, state, drive={("V1", "J"): 1.0})


def test_a_list_of_connections_is_refused():
    network = cx.Connectome.from_connections(("a", "b"), ["a"], ["b"], [1.0], [0.5])
    with pytest.raises(ValueError, match="works on tables, but the connectome of 2 areas is a list"):
        cx.analysis.eigenvalues(cx.Model(network, cx.circuits.ReducedWongWang()))
