"""Pictures of networks in the cortex show the units that they are given."""

import numpy as np
import pytest
import xarray as xr

from cortexsim.plot.hybrids import unit_rates

pytestmark = pytest.mark.slow


@pytest.fixture
def rates():
    coordinates = {
        "time": ("time", np.arange(0.0, 40.0, 10.0), {"units": "ms", "long_name": "time"}),
        "unit_area": ("unit", ["46d"] * 3 + ["LIP"] * 2),
        "unit_kind": ("unit", ["E", "E", "I", "E", "E"]),
    }
    values = np.arange(20.0).reshape(4, 5)
    return xr.DataArray(values, coordinates, ("time", "unit"), attrs={"units": "1", "long_name": "rate of a unit"})


def test_each_area_gets_a_panel_with_a_row_for_each_unit(rates):
    first, second, bar = unit_rates(rates).axes
    assert (first.get_title(loc="left"), second.get_title(loc="left")) == ("46d", "LIP")
    np.testing.assert_array_equal(first.collections[0].get_array(), rates.values[:, :3].T)
    np.testing.assert_array_equal(second.collections[0].get_array(), rates.values[:, 3:].T)
    assert first.get_xlabel() == "Time (ms)"
    assert bar.get_ylabel() == "Rate of a unit"


def test_a_line_parts_excitatory_from_inhibitory_units_where_there_are_any(rates):
    first, second, _ = unit_rates(rates).axes
    assert [line.get_ydata()[0] for line in first.lines] == [1.5]
    assert not second.lines


def test_colours_are_the_same_in_all_panels(rates):
    first, second, _ = unit_rates(rates, vmax=10).axes
    assert first.collections[0].get_clim() == second.collections[0].get_clim() == (0, 10)


def test_rates_of_several_trials_are_refused(rates):
    with pytest.raises(TypeError, match="take one trial"):
        unit_rates(rates.expand_dims(trial=2))
    with pytest.raises(TypeError, match="has the dims"):
        unit_rates(rates.drop_vars("unit_area"))
    with pytest.raises(TypeError, match="has ndarray"):
        unit_rates(rates.values)
