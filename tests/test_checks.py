"""Errors say what to write instead."""

import pytest
import xarray as xr

from cortexsim._checks import check_same_condition, whole_steps


@pytest.mark.parametrize(("value", "out"), [(0.3, "take 0.5 ms"), (0.0, "take 0.5 ms"), (1.2, "take 1 or 1.5 ms")])
def test_the_nearest_whole_steps_are_offered_but_never_none(value, out):
    with pytest.raises(ValueError, match=f"whole multiple of dt = 0.5 ms, but is {value:g} ms; {out}"):
        whole_steps("every", value, 0.5)
    assert whole_steps("every", 1.5, 0.5) == 3


@pytest.mark.parametrize(("values", "picked"), [(["DA dip", "control"], "'DA dip'"), ([1.5, 1.0], "1.0")])
def test_the_condition_to_pick_is_written_as_in_python(values, picked):
    with pytest.raises(ValueError, match=rf"result\.isel\(trial=result\.condition == {picked}\)"):
        check_same_condition(xr.Dataset(coords={"condition": ("trial", values)}))
