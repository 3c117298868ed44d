"""The command line: `cortexsim demo`, `simulate FILE.toml`, `circuits`, `validate`, `sweep`."""

from __future__ import annotations

import functools
import inspect
import operator
import time
import tomllib
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cortexsim import __version__
from cortexsim._checks import check_known, suggest
from cortexsim.commands.train import train
from cortexsim.results import check_writable, replacing, save

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure

    from cortexsim.circuits import Circuit
    from cortexsim.connectome import Connectome
    from cortexsim.plan import Plan
    from cortexsim.stimulus import Drive

_SECTIONS = ("connectome", "circuit", "stimulus", "simulate", "output")
_PICTURES = (".png", ".pdf", ".svg")
_KINDS: dict[str, tuple[type, str]] = {
    **dict.fromkeys(("name", "type", "dtype", "path", "figure", "summary", "comparison"), (str, "a text")),
    **dict.fromkeys(("select", "lesion"), (list, "a list of areas")),
    "noise": (bool, "true or false"),
}
"""What a key must hold where the function that takes it does not check it, or takes what TOML cannot hold."""

_EXIT_CODES = """Exit codes: 0 done; 1 the run failed (the simulation diverged, the disk is full); 2 wrong usage or
input; 130 Ctrl-C. Files appear whole or not at all, and replace those of the same name."""


class _InputError(click.ClickException):
    """Wrong input: shown without a traceback."""

    exit_code = 2


class _RunFailed(click.ClickException):
    """The run itself failed: shown without a traceback."""

    exit_code = 1


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    args : sequence of str, optional
        The words after `cortexsim`; by default those that the process was started with.

    Returns
    -------
    int
        0 done, 1 the run failed, 2 wrong usage or input, 130 Ctrl-C.
    """
    try:
        code: int | None = _cortexsim.main(args, prog_name="cortexsim", standalone_mode=False)
    except click.Abort:
        click.echo("Interrupted; no file was left half written.", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return code or 0


@click.group(epilog=_EXIT_CODES)
@click.version_option(__version__, prog_name="cortexsim")
def _cortexsim() -> None:
    """Simulate the whole macaque cortex with published large-scale models."""


_cortexsim.add_command(train)

_progress = click.option(
    "--progress/--no-progress", default=None, help="Show a progress bar; by default where stderr is a terminal."
)


@_cortexsim.command(epilog=_EXIT_CODES, short_help="Run the main model and compare it with experiments.")
@click.option("--dopamine", type=float, default=1.5, show_default=True, help="Dopamine release.")
@click.option("--seed", type=int, default=0, show_default=True, help="Key of the noise.")
@click.option("--trials", type=int, default=1, show_default=True, help="Number of trials, each with its own noise.")
@click.option("--out", type=click.Path(path_type=Path), default="cortexsim-demo", show_default=True, help="Folder.")
@_progress
def demo(dopamine: float, seed: int, trials: int, out: Path, progress: bool | None) -> None:
    """Run a working-memory trial of the whole cortex and compare it with experiments.

    The model is that of Froudist-Walsh et al. 2021 (doi 10.1016/j.neuron.2021.08.024): 40 areas, 5 s in steps of
    0.5 ms, with noise. A cue of 100 pA comes to V1 from 1000 to 1400 ms; which areas still hold it at the end?
    Result, picture and comparison go to the folder --out, which is made where it is missing.
    """
    if out.exists() and not out.is_dir():
        raise _InputError(f"Option --out must name a folder, but {str(out)!r} is a file.")
    if not out.absolute().parent.is_dir():
        raise _InputError(f"There is no folder {str(out.parent)!r} to make {out.name!r} in; make it first.")
    cue = {"type": "Pulse", "area": "V1", "input": "E1_dendrite", "onset": 1000, "duration": 400, "amplitude": 100}
    plan = {
        "circuit": {"name": "FroudistWalsh2021", "dopamine": dopamine},
        "stimulus": [cue],
        "simulate": {"duration": 5000, "dt": 0.5, "trials": trials, "seed": seed},
    }
    names = {"path": "result.nc", "summary": "summary.png", "comparison": "comparison.csv"}
    result = _run(plan, "the demo", progress, names)
    out.mkdir(exist_ok=True)
    _write(result, {key: out / name for key, name in names.items()})


@_cortexsim.command(epilog=_EXIT_CODES, short_help="Run what a TOML file describes.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dopamine", type=float, help="In place of `dopamine` in [circuit].")
@click.option("--seed", type=int, help="In place of `seed` in [simulate].")
@click.option("--trials", type=int, help="In place of `trials` in [simulate].")
@click.option("--dtype", help="In place of `dtype` in [simulate]: float64 or float32.")
@click.option("--out", help="In place of `path` in [output].")
@_progress
def simulate(file: Path, dopamine: float | None, out: str | None, progress: bool | None, **options: Any) -> None:
    """Run the simulation that FILE, in TOML, describes.

    Its keys are the fields of the classes and the arguments of `cortexsim.simulate`:

    \b
    [connectome]
    name = "macaque40"             # optional: select = ["V1", "V2"], lesion = ["LIP"]
    [circuit]
    name = "FroudistWalsh2021"
    dopamine = 1.5                 # `cortexsim circuits FroudistWalsh2021` lists all
    [[stimulus]]                   # as many as you like; they add up
    type = "Pulse"
    area = "V1"
    input = "E1_dendrite"
    onset = 1000                   # ms
    duration = 400                 # ms
    amplitude = 100                # pA
    [simulate]
    duration = 5000                # ms
    trials = 8
    [output]
    path = "result.nc"
    figure = "activity.png"        # optional: the rates of all areas over time
    summary = "summary.png"        # optional, needs r_E1: the picture of the demo
    comparison = "comparison.csv"  # optional, needs r_E1: with experiments, printed

    Relative paths, in FILE too, start from the working directory.
    """  # noqa: D301  (click takes the character itself as "do not rewrap")
    plan = _read(file)
    given = {"circuit": {"dopamine": dopamine}, "simulate": options, "output": {"path": out}}
    for section, values in given.items():
        plan[section] = _table(plan, section, file) | {k: v for k, v in values.items() if v is not None}
    targets = _call(_targets, plan.pop("output"), f"[output] of {file}")
    _write(_run(plan, str(file), progress, targets), targets)


@_cortexsim.command(short_help="List the circuits, or what one takes and gives.")
@click.argument("name", required=False)
def circuits(name: str | None) -> None:
    """List the circuits and their papers, or what the circuit NAME takes and gives.

    That is its parameters, its inputs (for stimuli), its state, of which a result holds what is recorded (others by
    `record`), and the maps that it needs.
    """
    from cortexsim.circuits import ALL

    if name is None:
        _echo_table([(known, circuit.citation) for known, circuit in ALL.items()])
        return
    with _input_errors():
        circuit = ALL[check_known(name, ALL, what="circuit", where="`cortexsim circuits`")]
    parameters = circuit().parameter_table()
    sections: tuple[list[tuple[str, ...]], ...] = (
        [("parameter", "value", "unit", "meaning"), *((p, str(value), *rest) for p, value, *rest, _ in parameters)],
        [("input", "unit", "meaning"), *((v.name, v.unit, v.meaning) for v in circuit.inputs)],
        [
            ("state", "unit", "recorded", "meaning"),
            *((v.name, v.unit, "yes" if v.name in circuit.recorded else "no", v.meaning) for v in circuit.state),
        ],
        [("map needed",), *((needed,) for needed in circuit.maps or ("none",))],
    )
    for number, rows in enumerate(sections):
        if number:
            click.echo()
        _echo_table(rows)


def _echo_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@_cortexsim.command(short_help="Check what papers report: expected, observed, tolerance.")
@click.argument("papers", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path), help="Also write the table to this CSV file.")
def validate(papers: tuple[str, ...], out: Path | None) -> None:
    """Run the models of PAPERS (AuthorYear; all by default) and hold them to the claims of each.

    A claim that can't be met stays in the table with the reason. Exit code 1 if another claim does not hold.
    """
    from cortexsim.results import check_writable
    from cortexsim.validate import PAPERS, claims, write_claims

    with _input_errors():
        for paper in papers:
            check_known(paper, PAPERS, what="paper", where="`cortexsim validate`")
        if out is not None:
            check_writable(out, (".csv",))
    tables = []
    for paper in papers or PAPERS:
        tables.append(claims(paper))
        click.echo(f"{tables[-1]}\n")
    if out is not None:
        write_claims(tables, out)
        click.echo(f"Written: {out}")
    if unmet := [c.name for t in tables for c in t.unmet]:
        raise _RunFailed(f"{len(unmet)} of {sum(map(len, tables))} claims do not hold: {'; '.join(unmet)}.")


@_cortexsim.group(epilog=_EXIT_CODES, short_help="Run a function over a grid, in batch jobs or workers.")
def sweep() -> None:
    """Run a function or a Simulation over a grid of parameters, in batch jobs or workers.

    \b
    cortexsim sweep prepare grid.py FOLDER      # writes FOLDER/manifest.json, computes nothing
    cortexsim sweep run FOLDER --workers 4      # on this machine; again, to resume
    cortexsim sweep run-chunk FOLDER I          # or chunk I alone, in a batch job
    cortexsim sweep status FOLDER               # what is done, missing, failed
    cortexsim sweep collect FOLDER result.nc

    In Python the same is `cortexsim.sweep(function, axes, folder=FOLDER)`. docs/sweeps.md has a full script for
    a batch system.
    """  # noqa: D301


_folder = click.argument("manifest", type=click.Path(path_type=Path))
_retry = click.option("--retry-failed", is_flag=True, help="Compute points again that raised before.")


@sweep.command(epilog=_EXIT_CODES, short_help="Write the manifest of a sweep.")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--chunk", type=int, help="Points per chunk; by default what fills a call of the simulator.")
def prepare(file: Path, folder: Path, chunk: int | None) -> None:
    """Make FOLDER for the sweep that FILE describes; nothing is computed.

    FILE is Python and defines `function`, a function or a Simulation, and `axes`. Or it is TOML and names the function:

    \b
    function = "models.py:held"                # or "package.module:held"
    [axes]
    dopamine = { start = 0, stop = 3, count = 20 }
    amplitude = [0, 50, 100]
    """  # noqa: D301
    from cortexsim.sweeps import prepare as prepare_
    from cortexsim.sweeps.reference import read_sweep

    with _input_errors(), _failures_of_run():
        made = prepare_(*read_sweep(file), folder, chunk=chunk).manifest
    click.echo(f"{made.axes.size} points in {made.chunks} chunks, 0 to {made.chunks - 1}, in {folder}.")
    click.echo(f"Run them here: cortexsim sweep run {folder} --workers 2")
    click.echo(f"Or one in each batch job, I from 0 to {made.chunks - 1}: cortexsim sweep run-chunk {folder} I")


@sweep.command("run", epilog=_EXIT_CODES, short_help="Run what is left of a sweep on this machine.")
@_folder
@click.option("--workers", type=int, default=1, show_default=True, help="Worker processes; -1: one per processor.")
@_retry
@_progress
def sweep_run(manifest: Path, workers: int, retry_failed: bool, progress: bool | None) -> None:
    """Run what is left of the sweep that MANIFEST, or its folder, holds."""
    from cortexsim.sweeps import failed_points, resume

    with _input_errors(), _failures_of_run():
        result = resume(manifest, workers=workers, progress=progress, retry_failed=retry_failed)
    click.echo("All chunks are done.")
    _echo_failed(failed_points(result))
    click.echo(f"Write the result: cortexsim sweep collect {manifest} result.nc")


@sweep.command("run-chunk", epilog=_EXIT_CODES, short_help="Run one chunk of a sweep.")
@_folder
@click.argument("number", metavar="I", type=int)
@_retry
def sweep_run_chunk(manifest: Path, number: int, retry_failed: bool) -> None:
    """Run chunk I, from 0, of the sweep that MANIFEST, or its folder, holds; a chunk that is done stays as it is.

    Points that raise are kept with their errors and leave the exit code at 0.
    """
    from cortexsim.sweeps import run_chunk

    with _input_errors(), _failures_of_run():
        failed = run_chunk(manifest, number, retry_failed=retry_failed)
    click.echo(f"Chunk {number} is done.")
    _echo_failed(failed)


@sweep.command("status", short_help="Say what is done, missing and failed.")
@_folder
@click.option("--array", is_flag=True, help="Print only the chunks that are left, as 0-3,7.")
def sweep_status(manifest: Path, array: bool) -> None:
    """Say which chunks of the sweep that MANIFEST, or its folder, holds are done.

    `sbatch --array=$(cortexsim sweep status FOLDER --array) job.sh` runs those that are left.
    """
    from cortexsim.sweeps import status
    from cortexsim.sweeps.run import ranges

    with _input_errors():
        found = status(manifest)
    if array:
        click.echo(ranges(found.index[found.state != "done"].tolist()))
        return
    for state in ("done", "missing", "damaged"):
        numbers = found.index[found.state == state].tolist()
        click.echo(f"{state + ':':9}{len(numbers)} of {len(found)} chunks{f': {ranges(numbers)}' if numbers else ''}")
    failing = found[found.failed > 0]
    where = f", in the chunks {ranges(failing.index.tolist())}" if len(failing) else ""
    click.echo(f"{'failed:':9}{_points(int(failing.failed.sum()))}{where}")


@sweep.command("collect", epilog=_EXIT_CODES, short_help="Write the result of a sweep whose chunks are all done.")
@_folder
@click.argument("out", type=click.Path(path_type=Path))
def sweep_collect(manifest: Path, out: Path) -> None:
    """Write the result of the sweep that MANIFEST, or its folder, holds to OUT, a netCDF file."""
    from cortexsim.sweeps import collect, failed_points

    with _input_errors(), _failures_of_run():
        target = check_writable(out, (".nc",))
        result = collect(manifest)
        packed = {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True}
        encoding = {name: packed for name, values in result.data_vars.items() if values.dtype.kind in "biuf"}
        with replacing(target) as part:
            result.to_netcdf(part, engine="h5netcdf", encoding=encoding)
    click.echo(f"Written: {out}, {', '.join(f'{name} {n}' for name, n in result.sizes.items())}.")
    _echo_failed(failed_points(result))


@contextmanager
def _failures_of_run() -> Iterator[None]:
    """Show the end of a sweep as a failed run; the points that failed are told in a table, not as a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\d+ of \d+ points failed")
        try:
            yield
        except (FileNotFoundError, IsADirectoryError):
            raise
        except NotADirectoryError as error:
            raise _InputError(str(error)) from error
        except (RuntimeError, OSError) as error:
            raise _RunFailed(str(error)) from error


def _echo_failed(failed: pd.DataFrame) -> None:
    if len(failed):
        click.echo(f"{_points(len(failed))} failed (--retry-failed computes them again):", err=True)
        click.echo(failed.to_string(index=False, max_rows=20), err=True)


def _points(count: int) -> str:
    return f"{count} point{'' if count == 1 else 's'}"


def _read(file: Path) -> dict[str, Any]:
    try:
        plan = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise _InputError(f"Cannot read {str(file)!r}: {error.strerror}.") from error
    except ValueError as error:  # of the text's encoding or of TOML
        raise _InputError(f"{str(file)!r} must be TOML, but is not: {error}.") from error
    for section in plan:
        with _input_errors():
            check_known(section, _SECTIONS, what="section", where=str(file))
    return plan


def _run(plan: Mapping[str, Any], where: object, progress: bool | None, outputs: Collection[str]) -> xr.Dataset:
    """Check the whole plan and what the `outputs` need, run it and say how long; `where` names the plan in messages."""
    from cortexsim import circuits, gradients, stimulus
    from cortexsim.model import Model
    from cortexsim.plan import check
    from cortexsim.simulate import SimulationDiverged, simulate

    anatomy = _table(plan, "connectome", where)
    connectome = _call(_connectome, anatomy, f"[connectome] of {where}")
    circuit = _choose(circuits.ALL, "name", _table(plan, "circuit", where), f"[circuit] of {where}")
    drives = []
    for number, table in enumerate(_tables(plan, "stimulus", where), start=1):
        here = f"[[stimulus]] {number} of {where}"
        drives.append(_choose(stimulus.ALL, "type", table, here))
        with _input_errors():
            check_known(drives[-1].area, connectome.areas, what="area", where=here, listed="`connectome.areas`")
        _check_input(drives[-1], circuit, here)
    maps = getattr(gradients, anatomy.get("name", "macaque40"))()  # the maps carry the network's name
    with _input_errors(f"[circuit] of {where}"):
        model = Model(connectome, circuit, maps)
    given = {
        "model": model,
        "stimulus": functools.reduce(operator.add, drives) if drives else None,
        "progress": progress,
        "state": None,
    }
    here = f"[simulate] of {where}"
    arguments = _arguments(simulate, _table(plan, "simulate", where), here, given)
    with _input_errors(here):  # not around the run: what it raises of this kind is a fault of the program
        checked = check(**{name: value for name, value in arguments.items() if name != "progress"})
        checked.model.parameters(len(checked.trials))
    _check_outputs(outputs, checked)
    started = time.perf_counter()
    try:
        result: xr.Dataset = simulate(**arguments)
    except (SimulationDiverged, MemoryError) as error:
        raise _RunFailed(str(error)) from error
    seconds = time.perf_counter() - started
    trials = result.sizes["trial"]
    click.echo(
        f"Simulated {result.attrs['duration_ms'] / 1000:g} s of {result.sizes['area']} areas, "
        f"{trials} trial{'' if trials == 1 else 's'}, in {seconds:.2f} s."
    )
    return result


def _check_input(drive: Drive, circuit: Circuit, where: str) -> None:
    units = {v.name: v.unit for v in circuit.inputs}
    if drive.input not in units:
        known = ", ".join(f"{name} ({unit})" for name, unit in units.items())
        raise _InputError(f"Unknown input {drive.input!r} in {where}{suggest(drive.input, units)} Known: {known}.")


def _check_outputs(outputs: Collection[str], checked: Plan) -> None:
    """Refuse, before the run, the outputs that compare with experiments where what they judge will not be there."""
    from cortexsim.validate.persistence import EXPERIMENTAL_LABELS

    wanted = next((key for key in ("summary", "comparison") if key in outputs), None)
    if wanted is None:
        return
    needs, circuit = f"`{wanted}` in [output] needs", checked.model.circuit
    if "r_E1" not in circuit.state_names():
        raise _InputError(f"{needs} r_E1, which {type(circuit).__name__} does not record; take `figure`.")
    if "r_E1" not in checked.record:
        raise _InputError(f"{needs} r_E1, which `record` in [simulate] leaves out; add it there, or take `figure`.")
    for label in EXPERIMENTAL_LABELS:
        if label not in checked.model.area_maps:
            raise _InputError(
                f"{needs} the experimental label {label!r}, which the maps of {checked.model.connectome.name} do not "
                "have; take `figure`, or the connectome macaque40."
            )


def _write(result: xr.Dataset, targets: Mapping[str, Path]) -> None:
    """Write the `targets`, print the comparison if it is one of them, and say where they are."""
    from cortexsim import plot, validate

    try:
        save(result, targets["path"])
        with _input_errors(f"{targets['path']} is written, but not the rest"):
            if "figure" in targets:
                _draw(plot.activity(result), targets["figure"])
            if "summary" in targets or "comparison" in targets:
                comparison = validate.persistence(result)
            if "summary" in targets:
                _draw(plot.summary(result, comparison), targets["summary"])
            if "comparison" in targets:
                comparison.to_csv(targets["comparison"])
                click.echo(f"\n{comparison}\n")
    except OSError as error:
        raise _RunFailed(f"Writing failed: {error}") from error
    click.echo(f"Written: {', '.join(map(str, targets.values()))}")


def _draw(figure: Figure, path: Path) -> None:
    with replacing(path) as part:
        figure.savefig(part)


def _connectome(
    name: str = "macaque40", select: Sequence[str] | None = None, lesion: Sequence[str] | None = None
) -> Connectome:
    """Return the connectome `name`, its part `select`, without the connections of the areas `lesion`."""
    from cortexsim.connectome import load_connectome

    connectome = load_connectome(name)
    if select is not None:
        connectome = connectome.select(select)
    return connectome if lesion is None else connectome.lesion(lesion)


def _targets(
    path: str, figure: str | None = None, summary: str | None = None, comparison: str | None = None
) -> dict[str, Path]:
    """Return the paths that are named, if files can stand there."""
    named = {"path": path, "figure": figure, "summary": summary, "comparison": comparison}
    suffixes = {"path": (".nc",), "comparison": (".csv",)}
    targets: dict[str, Path] = {}
    for key, target in named.items():
        if target is not None:
            targets[key] = check_writable(target, suffixes.get(key, _PICTURES))
    if len(set(targets.values())) < len(targets):
        raise ValueError("Each output must have a file of its own, but two share one.")
    return targets


def _table(plan: Mapping[str, Any], section: str, where: object) -> dict[str, Any]:
    table = plan.get(section, {})
    if not isinstance(table, dict):
        raise _InputError(f"Section [{section}] of {where} must be a table, but is {table!r}.")
    return table


def _tables(plan: Mapping[str, Any], section: str, where: object) -> list[dict[str, Any]]:
    tables = plan.get(section, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise _InputError(f"Section {section!r} of {where} must be written as [[{section}]], once for each.")
    return tables


def _choose(known: Mapping[str, Callable[..., Any]], key: str, table: Mapping[str, Any], where: str) -> Any:
    """Return what the entry `key` of the table names, made with its other entries."""
    options = dict(table)
    name = options.pop(key, None)
    if name is None:
        raise _InputError(f"Key `{key}` is missing in {where}; known: {', '.join(known)}.")
    _check_kind(key, name, where)
    with _input_errors():
        check_known(name, known, what=key, where=where)
    return _call(known[name], options, where)


def _call(function: Callable[..., Any], table: Mapping[str, Any], where: str) -> Any:
    """Call `function` with the entries of the table."""
    arguments = _arguments(function, table, where, {})
    with _input_errors(where):
        return function(**arguments)


def _arguments(
    function: Callable[..., Any], table: Mapping[str, Any], where: str, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all arguments of `function`: those `given`, those of the table, which must be others, and defaults."""
    arguments = dict(given)
    parameters = {n: p for n, p in inspect.signature(function).parameters.items() if n not in given}
    for key, value in table.items():
        with _input_errors():
            check_known(key, parameters, what="key", where=where)
        _check_kind(key, value, where)
    for name, parameter in parameters.items():
        if name not in table and parameter.default is parameter.empty:
            raise _InputError(f"Key `{name}` is missing in {where}.")
        arguments[name] = table.get(name, parameter.default)
    return arguments


def _check_kind(key: str, value: object, where: str) -> None:
    kind, words = _KINDS.get(key, (object, ""))
    if not isinstance(value, kind):
        raise _InputError(f"Key `{key}` in {where} must be {words}, but is {value!r}.")


@contextmanager
def _input_errors(where: str = "") -> Iterator[None]:
    """Show what the package says of wrong input as such, with the place in front."""
    try:
        yield
    except (TypeError, ValueError, FileNotFoundError, IsADirectoryError) as error:
        raise _InputError(f"{where}: {error}" if where else str(error)) from error
