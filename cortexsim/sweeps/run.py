"""Run a sweep: chunks of points, in this process or in workers, kept in a folder, assembled into one Dataset."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from cortexsim import _checks
from cortexsim.sweeps import reference
from cortexsim.sweeps.axes import Axes, check_axes
from cortexsim.sweeps.block import Block, attempt, failed, join, to_dataset, told
from cortexsim.sweeps.digest import digest
from cortexsim.sweeps.folder import DamagedChunk, Folder, Manifest, open_folder, read_folder
from cortexsim.sweeps.simulation import Simulation, simulate_blocks

_ENGINES = {"processes": "loky", "threads": "threading", "dask": "dask"}
_CHUNKS = 256  # files of a sweep of a plain function, at most, unless the user says
_KILLED = "Workers that ran this chunk were killed, most often for want of memory"
_TOLD = ("error", "message", "where")  # what is told of a failure


def sweep(
    function: Callable[..., Any],
    axes: Mapping[str, Any],
    *,
    folder: str | os.PathLike[str] | None = None,
    chunk: int | None = None,
    workers: int | None = None,
    engine: str | None = None,
    progress: bool | None = None,
    on_error: str = "record",
    retry_failed: bool = False,
) -> xr.Dataset:
    """Call a function at each point of a grid and return what it gives, with the axes as coordinates.

    With a folder, each finished chunk of points is a file: a sweep that was killed resumes when it is called again,
    loses the chunks in flight at most, and computes no finished point twice. The result is the same, bit by bit,
    whatever the chunks, the workers and the order.

    Parameters
    ----------
    function : function or Simulation
        Takes one value of each axis by keyword and returns a number, a dict of numbers, a DataArray or a Dataset, of
        the same shape at each point. It must follow from its arguments alone. A `Simulation` runs the points of a
        chunk side by side, which is many times as fast for models of few areas.
    axes : mapping of str to sequence
        The values of each axis: numbers, texts or booleans. The points are their grid.
    folder : path, optional
        Where chunks are kept, with a manifest of what they were made from; made where it is missing. Several processes
        may work on one folder at the same time.
    chunk : int, optional
        Points per chunk: what is computed by one task, written to one file, and lost at most when it is killed. By
        default 64 trials of a `Simulation`, and for another function so many that there are at most 256 chunks.
    workers : int, optional
        Number of workers, -1 for one per processor; by default 1, which is this process. A Dask cluster has its own.
    engine : {"processes", "threads", "dask"}, optional
        What workers are. By default what `joblib.parallel_config` says, and processes where it says nothing. For
        "dask" a `distributed.Client` must be open (`pip install "cortexsim[dask]"`).
    progress : bool or None
        Whether to show a progress bar; None: on a terminal, for sweeps of over a second.
    on_error : {"record", "raise"}
        "record": a point that raises is NaN in the result and listed by `failed_points`. "raise": it ends the sweep.
    retry_failed : bool
        Whether to compute again the points of the folder that raised before.

    Returns
    -------
    xarray.Dataset
        The variables that the function returns ("value" for a bare number) over the axes and their own dimensions.
        Attributes are those that all points share, and `failed`. Where a point failed, whole numbers and booleans
        become floats, and a text is "".

    Raises
    ------
    ValueError
        If the folder holds another sweep (the message says what differs), or points return different shapes.
    RuntimeError
        If all points failed, if one did and `on_error` is "raise", or if a worker process was killed.
    TypeError
        If the function does not take the axes, or an argument does not hold what it must.

    Warns
    -----
    RuntimeWarning
        If points failed, or a file of the folder was damaged and is computed again.

    Examples
    --------
    >>> from cortexsim.sweeps import sweep
    >>> result = sweep(lambda x, y: x * y, {"x": [1, 2, 3], "y": [10, 20]})
    >>> result.value.sel(x=3, y=20).item()
    60
    """
    grid = check_axes(axes)
    _check_function(function, grid)
    _checks.check_known(on_error, ("record", "raise"), what="choice", where="`on_error`")
    if chunk is not None:
        chunk = _checks.check_count("chunk", chunk)
    store: Folder | None = None
    manifest = _manifest(function, grid, chunk, "", kept=folder is not None)
    resumed = False
    if folder is not None:
        resumed = Path(folder).exists()
        store = open_folder(folder, manifest, chunk=chunk)
        manifest = store.manifest
    jobs = _Jobs(function, manifest, store, retry_failed)
    _run(jobs, engine, workers, progress, on_error, resumed)
    result = to_dataset(join(jobs.blocks.values(), grid), grid, manifest.axis_attrs)
    _tell_failures(result, grid)
    return result


def failed_points(result: xr.Dataset) -> pd.DataFrame:
    """Return the points of a sweep that raised: a row for each, with its place on the axes and its error.

    Parameters
    ----------
    result : Dataset
        What `sweep` returned.

    Returns
    -------
    pandas.DataFrame
        A column for each axis, and `error` (type), `message`, and `where` in the function's own code it was raised.

    Raises
    ------
    ValueError
        If `result` has lost the attribute `failed`.
    """
    if "failed" not in result.attrs:
        raise ValueError("Argument `result` must be what `sweep` returned, with its attributes, but lacks 'failed'.")
    failures = json.loads(result.attrs["failed"])
    rows = [f["at"] | {name: f[name] for name in _TOLD} for f in failures]
    return pd.DataFrame(rows, columns=[*(failures[0]["at"] if failures else ()), *_TOLD])


def prepare(
    function: str, axes: Mapping[str, Any], folder: str | os.PathLike[str], *, chunk: int | None = None
) -> Folder:
    """Make the folder of a sweep whose chunks are run by batch jobs; nothing is computed.

    Parameters
    ----------
    function
        "file.py:name" or "module:name" of a function or `Simulation`, which each job imports. What stands in the file
        outside of functions runs at each import; put what must not under ``if __name__ == "__main__":``.
    axes, folder, chunk
        As for `sweep`.

    Returns
    -------
    Folder
        Its `manifest` tells the number of `chunks`.

    Raises
    ------
    ValueError, TypeError, FileNotFoundError
        As for `sweep`; or if there is no such function.
    """
    grid = check_axes(axes)
    found = reference.find(function, Path.cwd())
    _check_function(found, grid)
    place, _, name = function.rpartition(":")
    if place.endswith(".py"):
        place = os.path.relpath(Path(place).resolve(), Path(folder).resolve())
    return open_folder(folder, _manifest(found, grid, chunk, f"{place}:{name}", kept=True), chunk=chunk)


def run_chunk(manifest: str | os.PathLike[str], number: int, *, retry_failed: bool = False) -> pd.DataFrame:
    """Compute one chunk of a prepared sweep and write its file, unless it is there.

    Parameters
    ----------
    manifest
        The manifest of a folder that `prepare` made, or the folder.
    number
        Which chunk, from 0.
    retry_failed
        Whether to compute again those of its points that raised before.

    Returns
    -------
    pandas.DataFrame
        The points of the chunk that raised, as `failed_points` tells them.

    Raises
    ------
    FileNotFoundError
        If there is no manifest, or the file of the function is missing.
    ValueError
        If there is no such chunk, the sweep has no name for its function, or the function has changed.
    """
    store = read_folder(manifest)
    last = store.manifest.chunks - 1
    if _checks.check_count("number", number, least=0) > last:
        raise ValueError(f"The sweep has the chunks 0 to {last}, but not {number}.")
    jobs = _Jobs(_function(store), store.manifest, store, retry_failed)
    if number in jobs.missing():
        _, computed = jobs.task(number, jobs.points(number), None)
        jobs.finish(number, jobs.whole(number, computed))
    block = jobs.blocks[number]
    rows = [store.manifest.axes.point(f.point) | vars(f) for f in block.failures]
    return pd.DataFrame(rows, columns=[*store.manifest.axes.names, *_TOLD])


def resume(
    manifest: str | os.PathLike[str],
    *,
    workers: int | None = None,
    engine: str | None = None,
    progress: bool | None = None,
    retry_failed: bool = False,
) -> xr.Dataset:
    """Run what is left of a prepared sweep, and return its result.

    Parameters
    ----------
    manifest
        The manifest of a folder that `prepare` made, or the folder.
    workers, engine, progress, retry_failed
        As for `sweep`.

    Returns
    -------
    xarray.Dataset
        As `sweep` returns it.
    """
    store = read_folder(manifest)
    axes = dict(zip(store.manifest.axes.names, store.manifest.axes.values, strict=True))
    options: dict[str, Any] = {"workers": workers, "engine": engine, "progress": progress}
    return sweep(_function(store), axes, folder=store.path, retry_failed=retry_failed, **options)


def status(manifest: str | os.PathLike[str]) -> pd.DataFrame:
    """Return which chunks of a sweep are done: a row for each, by number.

    Parameters
    ----------
    manifest
        The manifest of a sweep's folder, or the folder.

    Returns
    -------
    pandas.DataFrame
        `state` ("done", "missing" or "damaged"), `points`, and how many of them `failed`.
    """
    store = read_folder(manifest)
    rows = []
    for number in range(store.manifest.chunks):
        points, failures, state = len(store.manifest.points(number)), 0, "missing"
        try:
            block = store.read(number)
        except DamagedChunk:
            state = "damaged"
        else:
            if block is not None:
                state, failures = "done", len(block.failures)
        rows.append((state, points, failures))
    return pd.DataFrame(rows, columns=["state", "points", "failed"]).rename_axis("chunk")


def collect(manifest: str | os.PathLike[str]) -> xr.Dataset:
    """Return the result of a sweep whose chunks are all done; the function is not needed.

    Parameters
    ----------
    manifest
        The manifest of a sweep's folder, or the folder.

    Returns
    -------
    xarray.Dataset
        As `sweep` returns it.

    Raises
    ------
    ValueError
        If chunks are missing or damaged; the message names them.
    """
    store = read_folder(manifest)
    found = status(manifest)
    if (found.state != "done").any():
        left = ranges(found.index[found.state != "done"].tolist())
        raise ValueError(
            f"All {len(found)} chunks of {str(store.path)!r} must be done, but these are not: {left}; run them by "
            "`cortexsim sweep run` or `run-chunk`."
        )
    grid = store.manifest.axes
    blocks = [block for n in range(store.manifest.chunks) if (block := store.read(n)) is not None]
    result = to_dataset(join(blocks, grid), grid, store.manifest.axis_attrs)
    _tell_failures(result, grid)
    return result


def ranges(numbers: list[int]) -> str:
    """Return "0-3,7" for [0, 1, 2, 3, 7], as batch systems write it."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ",".join("-".join(map(str, part)) for part in parts)


@dataclass(frozen=True, eq=False)
class _Task:
    """What is sent to a worker: numbers of points are enough to know the rest."""

    function: Any
    axes: Axes

    def __call__(self, number: int, points: list[int], threads: int | None) -> tuple[int, Block | Exception]:
        if isinstance(self.function, Simulation):
            blocks = simulate_blocks(self.function, self.axes, points, threads)
        else:
            blocks = [attempt(self.axes, k, partial(self.function, **self.axes.point(k))) for k in points]
        try:
            return number, join(blocks, self.axes)
        except ValueError as error:  # an engine may not bring errors home
            return number, error


class _Jobs:
    """The chunks of a sweep: which are left, and what the others gave."""

    def __init__(self, function: Any, manifest: Manifest, store: Folder | None, retry_failed: bool) -> None:
        self.task, self.manifest, self.store = _Task(function, manifest.axes), manifest, store
        self.retry_failed = retry_failed
        self.blocks: dict[int, Block] = {}
        self.retried: set[int] = set()
        self.damaged: set[int] = set()

    def missing(self) -> list[int]:
        """Read the chunks that are done, and return the numbers of the others."""
        left = []
        for number in range(self.manifest.chunks):
            block = self.blocks.get(number) or self._read(number)
            if block is not None:
                self.blocks[number] = block
            if block is None or (self.retry_failed and block.failures and number not in self.retried):
                left.append(number)
        return left

    def points(self, number: int) -> list[int]:
        """Return the points that a chunk lacks."""
        if number in self.blocks:
            return [f.point for f in self.blocks[number].failures]
        return list(self.manifest.points(number))

    def left(self, numbers: list[int]) -> Iterator[tuple[int, list[int]]]:
        """Yield the chunks that nobody else has finished by the time they are due."""
        for number in numbers:
            known = number in self.blocks or number in self.damaged  # a file is there, but of no or little use
            if known or self.store is None or not self.store.file(number).exists():
                yield number, self.points(number)

    def whole(self, number: int, computed: Block | Exception) -> Block:
        """Return a chunk: what was computed now, and what was there before."""
        if isinstance(computed, ValueError):
            raise computed
        if isinstance(computed, Exception):  # the workers died: of which point, nobody knows
            error = RuntimeError(f"{_KILLED}: {type(computed).__name__}.")
            computed = join([failed(point, error) for point in self.points(number)], self.manifest.axes)
        earlier = self.blocks.get(number)
        if earlier is None:
            return computed
        kept = Block(earlier.points, earlier.variables, earlier.coordinates, earlier.attrs)
        return join([kept, computed], self.manifest.axes)

    def finish(self, number: int, block: Block) -> None:
        """Keep a chunk."""
        if self.store is not None:
            self.store.write(number, block)
        self.blocks[number] = block
        self.retried.add(number)

    def _read(self, number: int) -> Block | None:
        try:
            return None if self.store is None else self.store.read(number)
        except DamagedChunk as error:
            warnings.warn(f"{error} It is computed again.", RuntimeWarning, stacklevel=5)
            self.damaged.add(number)
            return None


def _run(
    jobs: _Jobs, engine: str | None, workers: int | None, progress: bool | None, on_error: str, resumed: bool
) -> None:
    """Compute the chunks that are missing, until none is."""
    from tqdm import tqdm

    left, total = jobs.missing(), jobs.manifest.axes.size
    with _engine(engine, workers) as (count, distributed):
        done = total - sum(len(jobs.points(number)) for number in left)
        lacking = set(left)
        failures = sum(len(block.failures) for number, block in jobs.blocks.items() if number not in lacking)
        disable = None if progress is None else not progress
        with tqdm(total=total, initial=done, unit="point", delay=0 if progress else 1, disable=disable) as bar:
            while left:
                if resumed:  # a second process on the folder starts elsewhere
                    first = uuid.uuid4().int % len(left)
                    left = left[first:] + left[:first]
                for number, computed in _computed(jobs, left, count, distributed):
                    n = len(jobs.points(number))
                    block = jobs.whole(number, computed)
                    if on_error == "raise":
                        _raise_failures(jobs.manifest.axes, block)
                    jobs.finish(number, block)
                    failures += len(block.failures)
                    if failures:
                        bar.set_postfix(failed=failures, refresh=False)
                    bar.update(n)
                left = jobs.missing()
            bar.update(total - bar.n)
    if on_error == "raise":
        for number in sorted(jobs.blocks):
            _raise_failures(jobs.manifest.axes, jobs.blocks[number])


def _computed(
    jobs: _Jobs, numbers: list[int], count: int, distributed: bool
) -> Iterator[tuple[int, Block | Exception]]:
    """Yield chunks as they are finished, in any order."""
    if count == 1 and not distributed:
        for number, points in jobs.left(numbers):
            yield jobs.task(number, points, None)
        return
    from concurrent.futures.process import BrokenProcessPool

    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=count, return_as="generator_unordered", batch_size=1)
    try:
        yield from parallel(delayed(jobs.task)(number, points, 1) for number, points in jobs.left(numbers))
    except BrokenProcessPool as error:
        kept = "call again to resume" if jobs.store is not None else "take `folder` to keep finished chunks, and"
        raise RuntimeError(f"{_KILLED}; {kept} with fewer workers.") from error


@contextlib.contextmanager
def _engine(engine: str | None, workers: int | None) -> Iterator[tuple[int, bool]]:
    """Choose the workers for joblib; yield their number and whether they are a cluster's."""
    if workers is not None and workers != -1:
        workers = _checks.check_count("workers", workers)
    if engine is None and workers == 1:
        yield 1, False
        return
    import joblib

    if engine is not None:
        _checks.check_known(engine, _ENGINES, what="engine", where="`engine`")
    if engine == "dask":
        _check_dask()
    with contextlib.nullcontext() if engine is None else joblib.parallel_config(backend=_ENGINES[engine]):
        backend, _ = joblib.parallel.get_active_backend()
        if type(backend).__name__ != "DaskDistributedBackend":
            yield joblib.effective_n_jobs(workers), False
            return
        if workers is not None:
            raise ValueError(f"A Dask cluster has its own workers, but `workers` is {workers}; leave it out.")
        from cortexsim.sweeps.cluster import Cluster

        wait = backend.wait_for_workers_timeout
        cluster = Cluster(client=backend.client, wait_for_workers_timeout=wait, **backend.submit_kwargs)
        with joblib.parallel_config(backend=cluster):
            yield joblib.effective_n_jobs(None), True


def _check_dask() -> None:
    try:
        from distributed import get_client
    except ImportError as error:
        raise ImportError('Engine "dask" needs Dask: pip install "cortexsim[dask]".') from error
    try:
        get_client()
    except ValueError as error:
        raise RuntimeError(
            'Engine "dask" needs a client of a cluster: `from distributed import Client; client = Client()` for one on '
            'this machine, or Client("scheduler-address:8786").'
        ) from error


def _manifest(function: Any, grid: Axes, chunk: int | None, name: str, *, kept: bool) -> Manifest:
    """Return what is computed; digests are made where it is kept."""
    is_simulation = isinstance(function, Simulation)
    if chunk is None:
        chunk = function.points_per_chunk if is_simulation else -(-grid.size // _CHUNKS)
    attrs = {axis: function.axis_attrs(axis) for axis in grid.names} if is_simulation else {}
    code = {}
    if kept:
        parts = {n: v for n, v in vars(function).items() if n != "threads"} if is_simulation else {"function": function}
        code = {part: digest(value) for part, value in parts.items()}
    return Manifest(version("cortexsim"), code, grid, attrs, chunk, name)


def _function(store: Folder) -> Any:
    """Return the function of a prepared sweep, if it is what it was."""
    held = store.manifest
    if not held.function:
        raise ValueError(
            f"The sweep in {str(store.path)!r} was begun in Python and knows no name for its function; resume it there "
            "by sweep(..., folder=...), or give it one: `cortexsim sweep prepare FILE FOLDER`."
        )
    function = reference.find(held.function, store.path)
    open_folder(store.path, _manifest(function, held.axes, held.chunk, "", kept=True), chunk=None)
    return function


def _check_function(function: Any, grid: Axes) -> None:
    if not callable(function):
        raise TypeError(f"Argument `function` must be a function of the axes or a Simulation, but is {function!r}.")
    if isinstance(function, Simulation):
        function.check(grid.names)
        return
    try:
        signature = inspect.signature(function)
    except ValueError:  # written in C
        return
    try:
        signature.bind(**grid.point(0))
    except TypeError as error:
        raise TypeError(
            f"The function must take the axes {', '.join(grid.names)} by keyword, but is "
            f"{getattr(function, '__name__', type(function).__name__)}{signature}: {error}."
        ) from error


def _raise_failures(axes: Axes, block: Block) -> None:
    if block.failures:
        one = block.failures[0]
        raise RuntimeError(f"The point ({axes.describe(one.point)}) failed: {told(one)}.")


def _tell_failures(result: xr.Dataset, axes: Axes) -> None:
    failures = json.loads(result.attrs["failed"])
    if failures:
        one = failures[0]
        warnings.warn(
            f"{len(failures)} of {axes.size} points failed and are NaN, the first ({axes.describe(one['point'])}) with "
            f"{one['error']}: {one['message'].rstrip('.')}; failed_points(result) lists them, retry_failed=True "
            "computes them again.",
            RuntimeWarning,
            stacklevel=3,
        )
