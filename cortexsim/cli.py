"""The command line: `cortexsim demo`, `simulate FILE.toml`, `circuits`, `validate`, `sweep`."""

from __future__ import annotations

import functools
import inspect
import operator
import time
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cortexsim import __version__
from cortexsim._checks import check_known, check_positive, suggest
from cortexsim.commands.sweep import sweep
from cortexsim.commands.train import train
from cortexsim.commands.wording import EXIT_CODES, InputError, RunFailed, input_errors, progress_option
from cortexsim.results import check_writable, replacing, save

if TYPE_CHECKING:
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


@click.group(epilog=EXIT_CODES)
@click.version_option(__version__, prog_name="cortexsim")
def _cortexsim() -> None:
    """Simulate the whole macaque cortex with published large-scale models."""


_cortexsim.add_command(sweep)
_cortexsim.add_command(train)


@_cortexsim.command(epilog=EXIT_CODES, short_help="Run the main model and compare it with experiments.")
@click.option("--dopamine", type=float, default=1.5, show_default=True, help="Dopamine release.")
@click.option("--seed", type=int, default=0, show_default=True, help="Key of the noise.")
@click.option("--trials", type=int, default=1, show_default=True, help="Number of trials, each with its own noise.")
@click.option("--out", type=click.Path(path_type=Path), default="cortexsim-demo", show_default=True, help="Folder.")
@progress_option
def demo(dopamine: float, seed: int, trials: int, out: Path, progress: bool | None) -> None:
    """Run a working-memory trial of the whole cortex and compare it with experiments.

    The model is that of Froudist-Walsh et al. 2021 (doi 10.1016/j.neuron.2021.08.024): 40 areas, 5 s in steps of
    0.5 ms, with noise. A cue of 100 pA comes to V1 from 1000 to 1400 ms; which areas still hold it at the end?
    Result, picture and comparison go to the folder --out, which is made where it is missing.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"Option --out must name a folder, but {str(out)!r} is a file.")
    if not out.absolute().parent.is_dir():
        raise InputError(f"There is no folder {str(out.parent)!r} to make {out.name!r} in; make it first.")
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


@_cortexsim.command(epilog=EXIT_CODES, short_help="Run what a TOML file describes.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dopamine", type=float, help="In place of `dopamine` in [circuit].")
@click.option("--seed", type=int, help="In place of `seed` in [simulate].")
@click.option("--trials", type=int, help="In place of `trials` in [simulate].")
@click.option("--dtype", help="In place of `dtype` in [simulate]: float64 or float32.")
@click.option("--out", help="In place of `path` in [output].")
@progress_option
def simulate(file: Path, dopamine: float | None, out: str | None, progress: bool | None, **options: Any) -> None:
    """Run the simulation that FILE, in TOML, describes.

    Its keys are the fields of the classes and the arguments of `cortexsim.simulate`:

    \b
    [connectome]
    name = "macaque40"             # optional: select = ["V1", "V2"], lesion = ["LIP"]
    conduction_speed = 3.5         # optional, m/s: delays; without it none
    [circuit]
    name = "FroudistWalsh2021"
    dopamine = 1.5                 # `cortexsim circuits FroudistWalsh2021` lists all
    [[stimulus]]                   # as many as you like; they add up
    type = "Pulse"                 # or Step, Ramp, Sine, Lesion, Change, Course
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
    with input_errors():
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

    with input_errors():
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
        raise RunFailed(f"{len(unmet)} of {sum(map(len, tables))} claims do not hold: {'; '.join(unmet)}.")


def _read(file: Path) -> dict[str, Any]:
    try:
        plan = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"Cannot read {str(file)!r}: {error.strerror}.") from error
    except ValueError as error:  # of the text's encoding or of TOML
        raise InputError(f"{str(file)!r} must be TOML, but is not: {error}.") from error
    for section in plan:
        with input_errors():
            check_known(section, _SECTIONS, what="section", where=str(file))
    return plan


def _run(plan: Mapping[str, Any], where: object, progress: bool | None, outputs: Collection[str]) -> xr.Dataset:
    """Check the whole plan and what the `outputs` need, run it and say how long; `where` names the plan in messages."""
    from cortexsim import circuits, gradients, perturbed, stimulus
    from cortexsim.model import Model
    from cortexsim.plan import check
    from cortexsim.simulate import SimulationDiverged, simulate

    anatomy = dict(_table(plan, "connectome", where))
    with input_errors(f"[connectome] of {where}"):
        speed = anatomy.pop("conduction_speed", None)
        speed = None if speed is None else check_positive("conduction_speed", speed, "m/s")
    connectome = _call(_connectome, anatomy, f"[connectome] of {where}")
    circuit = _choose(circuits.ALL, "name", _table(plan, "circuit", where), f"[circuit] of {where}")
    parts = []
    for number, table in enumerate(_tables(plan, "stimulus", where), start=1):
        here = f"[[stimulus]] {number} of {where}"
        parts.append(_choose(stimulus.ALL, "type", table, here))
        if isinstance(parts[-1], stimulus.Drive):
            with input_errors():
                check_known(parts[-1].area, connectome.areas, what="area", where=here, listed="`connectome.areas`")
            _check_input(parts[-1], circuit, here)
    maps = getattr(gradients, anatomy.get("name", "macaque40"))()  # the maps carry the network's name
    with input_errors(f"[circuit] of {where}"):
        model = Model(connectome, circuit, maps, conduction_speed=speed)
    for number, part in enumerate(parts, start=1):
        with input_errors(f"[[stimulus]] {number} of {where}"):
            perturbed.check(model, (part,))
    given = {
        "model": model,
        "stimulus": functools.reduce(operator.add, parts) if parts else None,
        "progress": progress,
        "state": None,
    }
    here = f"[simulate] of {where}"
    arguments = _arguments(simulate, _table(plan, "simulate", where), here, given)
    with input_errors(here):  # not around the run: what it raises of this kind is a fault of the program
        checked = check(**{name: value for name, value in arguments.items() if name != "progress"})
        checked.model.parameters(len(checked.trials))
    _check_outputs(outputs, checked)
    started = time.perf_counter()
    try:
        result: xr.Dataset = simulate(**arguments)
    except (SimulationDiverged, MemoryError) as error:
        raise RunFailed(str(error)) from error
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
        raise InputError(f"Unknown input {drive.input!r} in {where}{suggest(drive.input, units)} Known: {known}.")


def _check_outputs(outputs: Collection[str], checked: Plan) -> None:
    """Refuse, before the run, the outputs that compare with experiments where what they judge will not be there."""
    from cortexsim.validate.persistence import EXPERIMENTAL_LABELS

    wanted = next((key for key in ("summary", "comparison") if key in outputs), None)
    if wanted is None:
        return
    needs, circuit = f"`{wanted}` in [output] needs", checked.model.circuit
    if "r_E1" not in circuit.state_names():
        raise InputError(f"{needs} r_E1, which {type(circuit).__name__} does not record; take `figure`.")
    if "r_E1" not in checked.record:
        raise InputError(f"{needs} r_E1, which `record` in [simulate] leaves out; add it there, or take `figure`.")
    for label in EXPERIMENTAL_LABELS:
        if label not in checked.model.area_maps:
            raise InputError(
                f"{needs} the experimental label {label!r}, which the maps of {checked.model.connectome.name} do not "
                "have; take `figure`, or the connectome macaque40."
            )


def _write(result: xr.Dataset, targets: Mapping[str, Path]) -> None:
    """Write the `targets`, print the comparison if it is one of them, and say where they are."""
    from cortexsim import plot, validate

    try:
        save(result, targets["path"])
        with input_errors(f"{targets['path']} is written, but not the rest"):
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
        raise RunFailed(f"Writing failed: {error}") from error
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
        raise InputError(f"Section [{section}] of {where} must be a table, but is {table!r}.")
    return table


def _tables(plan: Mapping[str, Any], section: str, where: object) -> list[dict[str, Any]]:
    tables = plan.get(section, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise InputError(f"Section {section!r} of {where} must be written as [[{section}]], once for each.")
    return tables


def _choose(known: Mapping[str, Callable[..., Any]], key: str, table: Mapping[str, Any], where: str) -> Any:
    """Return what the entry `key` of the table names, made with its other entries."""
    options = dict(table)
    name = options.pop(key, None)
    if name is None:
        raise InputError(f"Key `{key}` is missing in {where}; known: {', '.join(known)}.")
    _check_kind(key, name, where)
    with input_errors():
        check_known(name, known, what=key, where=where)
    return _call(known[name], options, where)


def _call(function: Callable[..., Any], table: Mapping[str, Any], where: str) -> Any:
    """Call `function` with the entries of the table."""
    arguments = _arguments(function, table, where, {})
    with input_errors(where):
        return function(**arguments)


def _arguments(
    function: Callable[..., Any], table: Mapping[str, Any], where: str, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all arguments of `function`: those `given`, those of the table, which must be others, and defaults."""
    arguments = dict(given)
    parameters = {n: p for n, p in inspect.signature(function).parameters.items() if n not in given}
    for key, value in table.items():
        with input_errors():
            check_known(key, parameters, what="key", where=where)
        _check_kind(key, value, where)
    for name, parameter in parameters.items():
        if name not in table and parameter.default is parameter.empty:
            raise InputError(f"Key `{name}` is missing in {where}.")
        arguments[name] = table.get(name, parameter.default)
    return arguments


def _check_kind(key: str, value: object, where: str) -> None:
    kind, words = _KINDS.get(key, (object, ""))
    if not isinstance(value, kind):
        raise InputError(f"Key `{key}` in {where} must be {words}, but is {value!r}.")
