"""Files of results: whole or absent, equal bit by bit, and refused with a reason when they are something else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from published_delay import published_result

import cortexsim as cx
from cortexsim import results
from cortexsim.analysis import performance, trial_outcomes

AREAS = np.array(["V1", "9/46d", "LIP"])


def make_result(trials: int = 2, samples: int = 50, dtype: str = "float64") -> xr.Dataset:
    """A Dataset as `simulate` returns, with random numbers for rates."""
    rng = np.random.default_rng(0)
    dims = ("trial", "time", "area")

    def rate(name: str) -> tuple[tuple[str, ...], np.ndarray, dict[str, str]]:
        return dims, rng.random((trials, samples, 3)).astype(dtype), {"units": "Hz", "long_name": name}

    return xr.Dataset(
        {
            "r_PV": rate("PV rate"),
            "r_E1": rate("E1 rate"),
            "final_state": (("trial", "state", "area"), rng.random((trials, 2, 3)).astype(dtype)),
        },
        coords={
            "trial": np.arange(trials),
            "time": ("time", np.arange(samples) * 10.0, {"units": "ms"}),
            "area": AREAS,
            "state": ["S_NMDA_E1", "r_E1"],
            "spine_count_measured": ("area", [True, False, True]),
            "hierarchy": ("area", [0.0, 0.5, np.nan], {"units": "1"}),
            "positive_reports": ("area", np.array([0, 5, 7], dtype="int32")),
        },
        attrs={
            "cortexsim_version": "0.1.0",
            "circuit": "FroudistWalsh2021",
            "parameters": json.dumps({"dopamine": 1.5}),
            "stimulus": "[]",
            "connectome": json.dumps({"name": "macaque40", "digest": "0" * 64}),
            "gradients_digest": "",
            "dt_ms": 0.5,
            "duration_ms": 10.0 * samples,
            "every_ms": 10.0,
            "seed": 2**62,
            "noise": "keyed",
            "dtype": dtype,
            "first_step": 0,
        },
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_round_trip_is_identical_to_the_last_bit(tmp_path: Path, dtype: str) -> None:
    result = make_result(dtype=dtype)
    result.r_E1[0, 0, :] = [np.nan, -0.0, np.inf]
    results.save(result, tmp_path / "result.nc")
    loaded = results.load(tmp_path / "result.nc")
    xr.testing.assert_identical(loaded, result)
    assert list(loaded.variables) == list(result.variables)
    for name, variable in result.variables.items():
        assert loaded[name].dtype == variable.dtype, name
        assert loaded[name].values.tobytes() == variable.values.tobytes(), name
        assert loaded[name].attrs == variable.attrs, name
    assert {k: type(v) for k, v in loaded.attrs.items()} == {k: type(v) for k, v in result.attrs.items()}


def test_a_simulated_result_comes_back_identical_and_can_be_continued(tmp_path: Path) -> None:
    circuit = cx.circuits.FroudistWalsh2021(dopamine=[0.5, 1.5])
    model = cx.Model(cx.load_connectome(), circuit, cx.gradients.macaque40())
    result = cx.simulate(model, duration=50, trials=2)
    results.save(result, tmp_path / "result.nc")
    loaded = results.load(tmp_path / "result.nc")
    xr.testing.assert_identical(loaded, result)
    continued, whole = (cx.simulate(model, duration=50, trials=2, state=r) for r in (loaded, result))
    xr.testing.assert_identical(continued, whole)


def test_a_loaded_result_saves_and_loads_again_unchanged(tmp_path: Path) -> None:
    for name in ("first.nc", "second.nc"):
        results.save(make_result() if name == "first.nc" else results.load(tmp_path / "first.nc"), tmp_path / name)
    xr.testing.assert_identical(results.load(tmp_path / "second.nc"), make_result())


def test_a_selection_of_a_result_saves(tmp_path: Path) -> None:
    part = make_result().sel(area="9/46d").isel(trial=0)[["r_E1"]]
    results.save(part, tmp_path / "part.nc")
    xr.testing.assert_identical(results.load(tmp_path / "part.nc"), part)


def test_load_leaves_no_handle_on_the_file(tmp_path: Path) -> None:
    path = tmp_path / "result.nc"
    results.save(make_result(), path)
    loaded = results.load(path)
    path.unlink()
    assert float(loaded.r_E1.sum()) > 0
    if Path("/proc/self/fd").is_dir():
        open_files = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
        assert not any(str(tmp_path) in name for name in open_files)


def test_a_constant_trace_compresses_tenfold(tmp_path: Path) -> None:
    result = make_result(trials=8, samples=5000)
    result["r_E1"] = xr.zeros_like(result.r_E1)
    results.save(result[["r_E1"]], tmp_path / "result.nc")
    assert (tmp_path / "result.nc").stat().st_size < result.r_E1.nbytes / 10


def test_without_compression_numbers_stand_as_they_are_and_keep_their_checksums(tmp_path: Path) -> None:
    path = tmp_path / "result.nc"
    zeros = xr.zeros_like(make_result(trials=8, samples=5000))
    results.save(zeros, path, compression=0)
    assert path.stat().st_size > zeros.nbytes
    xr.testing.assert_identical(results.load(path), zeros)
    with h5py.File(path) as file:
        assert file["r_E1"].fletcher32
        assert file["r_E1"].compression is None
    for wrong in (-1, 10, 2.5, True, "high"):
        with pytest.raises(ValueError, match=r"`compression` must be a whole number from 0 to 9, but is"):
            results.save(zeros, path, compression=wrong)  # type: ignore[arg-type]


def test_outcomes_of_trials_come_back_with_their_texts(tmp_path: Path) -> None:
    outcomes = trial_outcomes(published_result(1.5, trials=3))
    results.save(outcomes, tmp_path / "outcomes.nc")
    loaded = results.load(tmp_path / "outcomes.nc")
    xr.testing.assert_identical(loaded, outcomes)
    assert loaded.outcome.values.tolist() == ["correct"] * 3
    table = performance(outcomes)
    results.save(table, tmp_path / "performance.nc")
    xr.testing.assert_identical(results.load(tmp_path / "performance.nc"), table)


def point(x: float) -> dict[str, float]:
    """A point of a sweep that fails at 2."""
    return {"inverse": 1 / (x - 2), "square": x**2}


@pytest.mark.parametrize("values", [[0.0, 1.0], [1.0, 2.0, 3.0]])
def test_a_sweep_comes_back_with_the_points_that_failed(tmp_path: Path, values: list[float]) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"1 of 3 points failed")
        swept = cx.sweep(point, {"x": values}, progress=False)
    results.save(swept, tmp_path / "sweep.nc")
    loaded = results.load(tmp_path / "sweep.nc")
    xr.testing.assert_identical(loaded, swept)
    assert len(json.loads(loaded.attrs["failed"])) == values.count(2.0)


def test_what_a_file_would_not_give_back_is_refused(tmp_path: Path) -> None:
    table = xr.Dataset({"n": ("x", [1, 2])})
    for value in ([], ["V1"], ["V1", "V2"], [1.5], (1, 2), np.array([1, 2]), None, True):
        with pytest.raises(
            TypeError, match=r"Attribute 'failed' of the Dataset must be a text or a number.*json\.dumps"
        ):
            results.save(table.assign_attrs(failed=value), tmp_path / "table.nc")
    with pytest.raises(TypeError, match=r"Attribute 'areas' of 'n' must be"):
        results.save(table.assign(n=table.n.assign_attrs(areas=["V1"])), tmp_path / "table.nc")
    for odd in (np.array(["lost", np.nan], dtype=object), np.array(["2026-01-01"] * 2, dtype="M8[ns]")):
        with pytest.raises(TypeError, match=r"Variable 'odd' must hold numbers, truth values or texts"):
            results.save(table.assign(odd=("x", odd)), tmp_path / "table.nc")
    assert os.listdir(tmp_path) == []


def test_save_replaces_the_file_that_stood_there(tmp_path: Path) -> None:
    path = tmp_path / "result.nc"
    path.write_text("something else")
    results.save(make_result(), str(path))
    assert results.load(str(path)).sizes["trial"] == 2
    assert os.listdir(tmp_path) == ["result.nc"]


def test_save_follows_a_link_and_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "result.nc").symlink_to(tmp_path / "disk" / "far.nc")
    results.save(make_result(), tmp_path / "result.nc")
    assert (tmp_path / "result.nc").is_symlink()
    assert results.load(tmp_path / "disk" / "far.nc").sizes["area"] == 3


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_result_has_the_permissions_that_the_umask_gives(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    results.save(make_result(), tmp_path / "result.nc")
    assert (tmp_path / "result.nc").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError, SystemExit])
def test_an_interrupted_save_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interruption: type[BaseException]
) -> None:
    path = tmp_path / "result.nc"
    results.save(make_result(), path)
    before = path.read_bytes()

    def interrupt(descriptor: int) -> None:
        raise interruption

    monkeypatch.setattr(os, "fsync", interrupt)  # the last moment before the new file takes the name
    with pytest.raises(interruption):
        results.save(make_result(trials=1), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["result.nc"]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_while_a_file_is_written_leaves_no_half_file(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import os, signal, sys, threading, time
        import numpy, h5netcdf
        from test_results import make_result
        from cortexsim import results
        result = make_result(trials=8, samples=20_000)
        results.save(result[["final_state"]], sys.argv[1] + "/warm.nc")

        def interrupt():
            while len(os.listdir(sys.argv[1])) < 2:
                time.sleep(0.001)
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt, daemon=True).start()
        try:
            results.save(result, sys.argv[1] + "/result.nc")
        except KeyboardInterrupt:
            pass
        """
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, cwd=Path(__file__).parent, timeout=60)
    # Python itself drops an interrupt that comes inside of a weak reference's callback; then the file is whole
    if "result.nc" in os.listdir(tmp_path):
        assert results.load(tmp_path / "result.nc").sizes["trial"] == 8
    assert set(os.listdir(tmp_path)) <= {"warm.nc", "result.nc"}


def test_save_refuses_what_is_no_result(tmp_path: Path) -> None:
    path = tmp_path / "result.nc"
    with pytest.raises(TypeError, match=r"must be a Dataset, but is a DataArray.*`to_dataset"):
        results.save(make_result().r_E1, path)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"lacks 'cortexsim_version'; take them over by `assign_attrs"):
        results.save(make_result().drop_attrs(), path)
    with pytest.raises(TypeError, match=r"Attribute 'note' .* is \{'a': 1\}; write it as JSON"):
        results.save(make_result().assign_attrs(note={"a": 1}), path)
    with pytest.raises(TypeError, match=r"Attribute 'noise' .* is True; write it as JSON"):
        results.save(make_result().assign_attrs(noise=True), path)
    assert not path.exists()


def test_save_refuses_a_path_that_cannot_hold_a_result(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in \.nc, but is '.*result\.csv'; take '.*result\.nc'"):
        results.save(make_result(), tmp_path / "result.csv")
    with pytest.raises(FileNotFoundError, match=r"no folder '.*missing' for 'result\.nc'; make it first"):
        results.save(make_result(), tmp_path / "missing" / "result.nc")
    (tmp_path / "folder.nc").mkdir()
    with pytest.raises(IsADirectoryError, match=r"'.*folder\.nc' is a folder; name a file in it"):
        results.save(make_result(), tmp_path / "folder.nc")
    assert os.listdir(tmp_path) == ["folder.nc"]


def test_load_names_the_nearest_file_when_there_is_none(tmp_path: Path) -> None:
    results.save(make_result(), tmp_path / "result.nc")
    with pytest.raises(FileNotFoundError, match=r"No file '.*resutl\.nc'; did you mean 'result\.nc'\?"):
        results.load(tmp_path / "resutl.nc")
    with pytest.raises(FileNotFoundError, match="No file"):
        results.load(tmp_path / "nowhere" / "result.nc")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        results.load(tmp_path)


def test_load_refuses_files_that_are_not_whole_and_rates_without_provenance(tmp_path: Path) -> None:
    make_result().drop_attrs().to_netcdf(tmp_path / "foreign.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match=r"lacks the attribute 'cortexsim_version'; `xarray\.open_dataset` reads"):
        results.load(tmp_path / "foreign.nc")
    for content in (b"", b"area,rate\nV1,1\n", b"CDF\x01" + bytes(100), b"\x89HDF\r\n\x1a\n"):
        (tmp_path / "other.nc").write_bytes(content)
        with pytest.raises(ValueError, match="damaged, cut short or not netCDF"):
            results.load(tmp_path / "other.nc")


def test_a_result_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    results.save(make_result(), tmp_path / "result.nc")
    whole = (tmp_path / "result.nc").read_bytes()
    for length in range(0, len(whole), len(whole) // 40):
        (tmp_path / "cut.nc").write_bytes(whole[:length])
        with pytest.raises(ValueError, match="damaged, cut short or not netCDF"):
            results.load(tmp_path / "cut.nc")


# h5netcdf stumbles in File.close over a file whose root attributes cannot be read, after it has raised rightly
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_flipped_bit_never_changes_a_rate_unnoticed(tmp_path: Path) -> None:
    result = make_result()
    results.save(result, tmp_path / "result.nc")
    whole = (tmp_path / "result.nc").read_bytes()
    refused = 0
    for position in range(100, len(whole), len(whole) // 15):
        damaged = bytearray(whole)
        damaged[position] ^= 0b100
        (tmp_path / "damaged.nc").write_bytes(damaged)
        try:
            loaded = results.load(tmp_path / "damaged.nc")
        except ValueError:
            refused += 1
        else:
            for name in result.data_vars:
                if name in loaded:
                    assert loaded[name].values.tobytes() == result[name].values.tobytes(), (name, position)
    assert refused > 0
