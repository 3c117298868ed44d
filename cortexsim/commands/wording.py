"""What the commands share: how wrong input and failed runs are shown, and the options that several take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

EXIT_CODES = """Exit codes: 0 done; 1 the run failed (the simulation diverged, the disk is full); 2 wrong usage or
input; 130 Ctrl-C. Files appear whole or not at all, and replace those of the same name."""


progress_option = click.option(
    "--progress/--no-progress", default=None, help="Show a progress bar; by default where stderr is a terminal."
)


class InputError(click.ClickException):
    """Wrong input: shown without a traceback."""

    exit_code = 2


class RunFailed(click.ClickException):
    """The run itself failed: shown without a traceback."""

    exit_code = 1


@contextmanager
def input_errors(where: str = "") -> Iterator[None]:
    """Show what the package says of wrong input as such, with the place in front."""
    try:
        yield
    except (TypeError, ValueError, FileNotFoundError, IsADirectoryError) as error:
        raise InputError(f"{where}: {error}" if where else str(error)) from error
