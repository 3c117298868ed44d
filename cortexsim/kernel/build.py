"""Compile a circuit once: write its loop as a small module, and let Numba's disk cache keep the machine code.

The module's name is the digest of its text, of the circuit's equations, of this package and of the versions, so that
an edited equation never meets old machine code. Weights, parameters, seeds, stimuli and durations are arguments:
nothing recompiles when they change. What compiles anew is another circuit, precision, or choice of which parameters
differ between areas.
"""

# mypy: ignore-errors
from __future__ import annotations

import functools
import getpass
import hashlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

import llvmlite
import numba
import numpy as np
import platformdirs

from cortexsim.kernel import reading
from cortexsim.kernel.source import Layout, source_text


@functools.cache
def advance(circuit, area_parameters: tuple[str, ...], dtype: str):
    """Return (advance, layout): the compiled loop of a circuit class, and where its blocks keep what.

    Parameters
    ----------
    circuit
        The class.
    area_parameters
        Names of the parameters that differ between areas.
    dtype
        "float64" or "float32".
    """
    layout = Layout(circuit, area_parameters, dtype)
    text = source_text(layout)
    said = reading.digest(circuit.step or circuit.derivative)
    digest = hashlib.sha256((text + said + package_digest()).encode()).hexdigest()[:24]
    return module(f"cortexsim_kernel_{digest}", text, Circuit=circuit).advance, layout


def module(name: str, text: str, **given):
    """Return the module of that text, written into the cache folder, where Numba keeps its machine code.

    Parameters
    ----------
    name
        Holds the digest of all that the machine code follows from.
    text
        The source.
    **given
        What stands in the module before the text runs.
    """
    path = cache_folder() / f"{name}.py"
    if not path.exists():
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    spec = importlib.util.spec_from_file_location(name, path)
    made = importlib.util.module_from_spec(spec)
    vars(made).update(given)
    sys.modules[name] = made
    spec.loader.exec_module(made)
    return made


def cache_folder() -> Path:
    """Return the folder of the compiled kernels: in $CORTEXSIM_CACHE_DIR, the user's cache folder, or a temporary one.

    Raises
    ------
    OSError
        If none of them can be written.
    """
    wanted = os.environ.get("CORTEXSIM_CACHE_DIR") or platformdirs.user_cache_dir("cortexsim", appauthor=False)
    for folder in (Path(wanted), Path(tempfile.gettempdir()) / f"cortexsim-{getpass.getuser()}"):
        kernels = folder / "kernels"
        try:
            kernels.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(kernels, os.W_OK):
            return kernels
    raise OSError(
        f"Compiled kernels need a folder to write to, but neither {wanted} nor {tempfile.gettempdir()} can be written; "
        f"set CORTEXSIM_CACHE_DIR to one that can."
    )


def compiled_before(advance_) -> bool:
    """Whether the machine code of a loop that `advance` returned is in memory or on disk."""
    path = Path(advance_.py_func.__code__.co_filename)
    return bool(advance_.signatures) or any((path.parent / "__pycache__").glob(f"{path.stem}.*.nbc"))


@functools.cache
def package_digest() -> str:
    """Return a SHA-256 of this package and of what compiles it."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} {np.__version__}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
