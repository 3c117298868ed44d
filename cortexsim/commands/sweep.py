"""`cortexsim sweep`: a sweep in batch jobs or workers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cortexsim.commands.wording import EXIT_CODES, InputError, RunFailed, input_errors, progress_option
from cortexsim.results import check_writable, save

if TYPE_CHECKING:
    import pandas as pd


@click.group(epilog=EXIT_CODES, short_help="Run a function over a grid, in batch jobs or workers.")
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


@sweep.command(epilog=EXIT_CODES, short_help="Write the manifest of a sweep.")
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

    with input_errors(), _failures_of_run():
        made = prepare_(*read_sweep(file), folder, chunk=chunk).manifest
    click.echo(f"{made.axes.size} points in {made.chunks} chunks, 0 to {made.chunks - 1}, in {folder}.")
    click.echo(f"Run them here: cortexsim sweep run {folder} --workers 2")
    click.echo(f"Or one in each batch job, I from 0 to {made.chunks - 1}: cortexsim sweep run-chunk {folder} I")


@sweep.command("run", epilog=EXIT_CODES, short_help="Run what is left of a sweep on this machine.")
@_folder
@click.option("--workers", type=int, default=1, show_default=True, help="Worker processes; -1: one per processor.")
@_retry
@progress_option
def run(manifest: Path, workers: int, retry_failed: bool, progress: bool | None) -> None:
    """Run what is left of the sweep that MANIFEST, or its folder, holds."""
    from cortexsim.sweeps import failed_points, resume

    with input_errors(), _failures_of_run():
        result = resume(manifest, workers=workers, progress=progress, retry_failed=retry_failed)
    click.echo("All chunks are done.")
    _echo_failed(failed_points(result))
    click.echo(f"Write the result: cortexsim sweep collect {manifest} result.nc")


@sweep.command("run-chunk", epilog=EXIT_CODES, short_help="Run one chunk of a sweep.")
@_folder
@click.argument("number", metavar="I", type=int)
@_retry
def run_chunk_(manifest: Path, number: int, retry_failed: bool) -> None:
    """Run chunk I, from 0, of the sweep that MANIFEST, or its folder, holds; a chunk that is done stays as it is.

    Points that raise are kept with their errors and leave the exit code at 0.
    """
    from cortexsim.sweeps import run_chunk

    with input_errors(), _failures_of_run():
        failed = run_chunk(manifest, number, retry_failed=retry_failed)
    click.echo(f"Chunk {number} is done.")
    _echo_failed(failed)


@sweep.command("status", short_help="Say what is done, missing and failed.")
@_folder
@click.option("--array", is_flag=True, help="Print only the chunks that are left, as 0-3,7.")
def status_(manifest: Path, array: bool) -> None:
    """Say which chunks of the sweep that MANIFEST, or its folder, holds are done.

    `sbatch --array=$(cortexsim sweep status FOLDER --array) job.sh` runs those that are left.
    """
    from cortexsim.sweeps import status
    from cortexsim.sweeps.run import ranges

    with input_errors():
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


@sweep.command("collect", epilog=EXIT_CODES, short_help="Write the result of a sweep whose chunks are all done.")
@_folder
@click.argument("out", type=click.Path(path_type=Path))
def collect_(manifest: Path, out: Path) -> None:
    """Write the result of the sweep that MANIFEST, or its folder, holds to OUT, a netCDF file."""
    from cortexsim.sweeps import collect, failed_points

    with input_errors(), _failures_of_run():
        check_writable(out, (".nc",))  # before the chunks are read, which takes its time
        result = collect(manifest)
        save(result, out)
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
            raise InputError(str(error)) from error
        except (RuntimeError, OSError) as error:
            raise RunFailed(str(error)) from error


def _echo_failed(failed: pd.DataFrame) -> None:
    if len(failed):
        click.echo(f"{_points(len(failed))} failed (--retry-failed computes them again):", err=True)
        click.echo(failed.to_string(index=False, max_rows=20), err=True)


def _points(count: int) -> str:
    return f"{count} point{'' if count == 1 else 's'}"
