"""Fixed points and their branches, on systems whose folds and states are known exactly."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import xarray as xr

import cortexsim as cx
from cortexsim import analysis, circuits
from cortexsim.circuits.circuit import Circuit, Pathway, Variable, parameter
from cortexsim.connectome import single_area

pytestmark = pytest.mark.slow

FOLD = 2 / (3 * np.sqrt(3))


def bistable(x, longrange, stimulus, p):
    """Return dr/dt = (I + r - r^3 + g W r) / tau."""
    return ((p.I + stimulus.I + x.r - x.r * x.r * x.r + p.g * longrange.r) / p.tau,)


@dataclass(frozen=True)
class Cusp(Circuit):
    """A bistable rate: alone it has folds at I = ±2/(3 sqrt 3), where r = ∓1/sqrt 3."""

    I: Any = parameter(0.0, "Hz", "background")  # noqa: E741
    g: Any = parameter(0.0, "1", "gain of long-range input")
    tau: Any = parameter(10.0, "ms", "time constant")
    state: ClassVar = (Variable("r", "Hz", "rate", initial=-1.0),)
    inputs: ClassVar = (Variable("I", "Hz", "drive"),)
    pathways: ClassVar = (Pathway("r", source="r", weights="fln"),)
    recorded: ClassVar = ("r",)
    citation: ClassVar = "none"
    derivative = staticmethod(bistable)

    def weights(self, connectome):
        return {"fln": connectome.fln.to_numpy()}


@pytest.fixture
def alone():
    return cx.Model(single_area(), Cusp())


def state(model, *values):
    x = np.broadcast_to(np.array(values, dtype=float), (1, len(model.areas)))
    return xr.DataArray(x, {"state": ["r"], "area": list(model.areas)}, ("state", "area"))


def test_newton_finds_the_root_beside_its_start(alone):
    """r^3 - r = 0 at -1, 0, 1; quadratic convergence ends at rounding."""
    for start, root in ((-1.3, -1.0), (0.2, 0.0), (2.5, 1.0)):
        found = analysis.fixed_point(alone, state(alone, start))
        assert float(found[0, 0]) == pytest.approx(root, abs=1e-14)
        assert found.attrs["residual"] < 1e-15
        assert found.unit.item() == "Hz"


def test_a_constant_drive_moves_the_fixed_point(alone):
    found = analysis.fixed_point(alone, state(alone, 1.0), drive={("area", "I"): 6.0})
    assert float(found[0, 0]) == pytest.approx(2.0, abs=1e-14)  # 2^3 - 2 = 6


def test_a_stationary_initial_state_is_the_resting_state_even_where_it_is_unstable():
    """Beyond the first instability of Chaudhuri 2015 a simulation would leave the rest that the circuit declares."""
    circuit = circuits.Chaudhuri2015(mu_EE=36.0)
    model = cx.Model(cx.load_connectome("macaque29"), circuit, cx.gradients.macaque29())
    rest = analysis.fixed_point(model)
    np.testing.assert_allclose(rest.sel(state="r_E"), 10, rtol=1e-9)
    np.testing.assert_allclose(rest.sel(state="r_I"), 35, rtol=1e-9)
    assert float(analysis.eigenvalues(model, rest).real.max()) > 0


def test_the_resting_state_is_what_a_simulation_settles_to(model):
    """Froudist-Walsh 2021 on five areas: 5 s leave what decays by exp(-50), so Newton has nothing left to move."""
    small = cx.Model(model.connectome.select(["V1", "MT", "LIP", "46d", "24c"]), model.circuit, model.gradients)
    rest = analysis.fixed_point(small)
    settled = cx.simulate(small, duration=5000, every=5000, noise=False).final_state[0]
    np.testing.assert_allclose(rest, settled, rtol=1e-10, atol=1e-13)
    assert (analysis.eigenvalues(small, rest).real < 0).all()


def test_different_fixed_points_are_counted_once_with_their_stability(alone):
    starts = xr.concat([state(alone, v) for v in np.linspace(-2, 2, 21)], "trial")
    found = analysis.fixed_points(alone, starts)
    order = np.argsort(found.fixed_point.to_numpy().ravel())
    np.testing.assert_allclose(found.fixed_point.to_numpy().ravel()[order], [-1, 0, 1], atol=1e-14)
    assert list(found.stable.to_numpy()[order]) == [True, False, True]
    np.testing.assert_allclose(found.growth_rate.to_numpy()[order], [-0.2, 0.1, -0.2], rtol=1e-12)  # (1 - 3 r^2)/tau
    assert int(found.starts.sum()) + found.attrs["not_converged"] == 21


def test_the_bistable_gate_of_wong_wang_2006_has_its_published_states():
    """Without stimulus a symmetric state and two memories; fixed points of the two-variable model, 4 digits given."""
    model = cx.Model(single_area(), circuits.WongWang2006())
    rest = analysis.fixed_point(model)
    assert float(rest.sel(state="S_1")[0]) == pytest.approx(0.1027, abs=5e-5)
    memory = rest.copy()
    memory.loc[{"state": ["S_1", "S_2"]}] = [[0.56], [0.03]]
    found = analysis.fixed_points(model, [rest, memory])
    assert found.stable.all()
    np.testing.assert_allclose(found.fixed_point.sel(state="S_1")[:, 0], [0.1027, 0.567], atol=5e-4)
    np.testing.assert_allclose(found.fixed_point.sel(state="r_1")[:, 0], [1.79, 20.43], atol=0.01)


def test_a_branch_passes_its_folds_where_they_are(alone):
    branch = analysis.continuation(alone, "I", (-1.0, 1.0), state(alone, -1.3))
    folds = branch.where(branch.fold, drop=True)
    np.testing.assert_allclose(folds.I, [FOLD, -FOLD], atol=1e-12)
    # At a fold the state moves as the root of the parameter, so it is known to half as many digits.
    np.testing.assert_allclose(folds.fixed_point.to_numpy().ravel(), [-1 / np.sqrt(3), 1 / np.sqrt(3)], atol=1e-6)
    r, background = branch.fixed_point.to_numpy().ravel(), branch.I.to_numpy()
    np.testing.assert_allclose(background, r**3 - r, atol=1e-9)
    away = ~branch.fold.to_numpy()
    assert np.array_equal(branch.stable.to_numpy()[away], (np.abs(r) > 1 / np.sqrt(3))[away])
    assert background[0] == -1
    assert background[-1] == 1
    assert (np.diff(r) > 0).all()
    assert branch.attrs["complete"] == 1
    assert branch.I.attrs == {"units": "Hz", "long_name": "background"}


def test_a_branch_may_end_where_it_began(alone):
    """From r = -1 at I = 0 up to the fold and back: the unstable state r = 0 at the edge of the range."""
    branch = analysis.continuation(alone, "I", (0.0, 1.0), state(alone, -1.0))
    assert float(branch.I[-1]) == pytest.approx(0, abs=1e-12)
    assert float(branch.fixed_point[-1, 0, 0]) == pytest.approx(0, abs=1e-9)
    assert not branch.stable[-1]


def test_areas_that_excite_each_other_turn_together():
    """Two areas with W = 1 both ways and g: I + (1 + g) r - r^3 = 0, a fold at I = 2/3 (1 + g) sqrt((1 + g)/3)."""
    two = cx.Connectome([[0.0, 1.0], [1.0, 0.0]], np.full((2, 2), 0.5), areas=["a", "b"])
    model = cx.Model(two, Cusp(g=0.5))
    branch = analysis.continuation(model, "I", (-1.0, 1.5), state(model, -1.5, -1.5))
    first = float(branch.I[branch.fold.argmax("point")])
    assert first == pytest.approx(2 / 3 * 1.5 * np.sqrt(0.5), abs=1e-9)


def test_a_branch_stops_after_the_points_it_may_have(alone):
    branch = analysis.continuation(alone, "I", (-1.0, 1.0), state(alone, -1.3), points=5)
    assert branch.sizes["point"] == 5
    assert branch.attrs["complete"] == 0


def test_what_can_not_be_found_is_said(alone):
    with pytest.raises(analysis.NoFixedPoint, match="start nearer"):  # beyond the fold one root is left, far above
        analysis.fixed_point(alone, state(alone, -1.0), drive={("area", "I"): 0.4})
    with pytest.raises(analysis.NoFixedPoint, match="must converge in 1 steps"):
        analysis.fixed_point(alone, state(alone, 5.0), iterations=1)
    with pytest.raises(ValueError, match="Unknown parameter 'J' in Cusp"):
        analysis.continuation(alone, "J", (0, 1))
    with pytest.raises(ValueError, match="both ends are 1"):
        analysis.continuation(alone, "I", (1, 1))
