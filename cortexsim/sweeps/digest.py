"""Digests of code and values, which tell whether what a sweep computes has changed since its first chunk."""

from __future__ import annotations

import dataclasses
import dis
import functools
import hashlib
import inspect
import sysconfig
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import xarray as xr

from cortexsim.connectome import Connectome

_PACKAGE = Path(__file__).resolve().parents[1]
_LIBRARIES = tuple({str(Path(sysconfig.get_path(key)).resolve()) for key in ("stdlib", "purelib", "platlib")})


def digest(value: Any) -> str:
    """Return the sha256 (hexadecimal) of a value or a function by content, the same in every process.

    A function counts with its source text, its defaults, what it closes over, and what it reads of its module: other
    functions, constants, classes, modules beside it. Installed packages count by name. A lambda, and a function
    without a source file, counts with its bytecode, which differs between versions of Python.

    Raises
    ------
    TypeError
        If a value has no content that can be told, such as an open file or a generator of random numbers.
    """
    told = hashlib.sha256()
    for piece in _pieces(value, ()):
        told.update(len(piece).to_bytes(8, "little") + piece)
    return told.hexdigest()


def is_library(file: str) -> bool:
    """Return whether the file belongs to Python, an installed package or cortexsim, rather than to the user."""
    if file.startswith("<frozen"):
        return True
    path = Path(file).resolve()
    return path.is_relative_to(_PACKAGE) or str(path).startswith(_LIBRARIES)


def _pieces(value: Any, above: tuple[int, ...]) -> Iterator[bytes]:
    """Yield bytes that tell the value; `above` are the objects that hold it, to stop at one that holds itself."""
    if value is None or value is ... or isinstance(value, bool | int | float | complex | str | bytes | Path):
        yield f"{type(value).__name__} {value!r}".encode()
    elif id(value) in above:
        yield b"itself"
    else:
        yield type(value).__qualname__.encode()
        yield from _parts(value, (*above, id(value)))


def _parts(value: Any, above: tuple[int, ...]) -> Iterator[bytes]:
    if isinstance(value, Connectome):
        yield value.digest.encode()
    elif isinstance(value, np.generic | np.ndarray):
        yield f"{value.dtype.str} {value.shape}".encode()
        if value.dtype.hasobject:
            yield from _pieces(value.tolist(), above)
        else:
            yield np.ascontiguousarray(value).tobytes()
    elif isinstance(value, tuple | list | range):
        for item in value:
            yield from _pieces(item, above)
    elif isinstance(value, set | frozenset):
        yield from _pieces(sorted(value, key=repr), above)
    elif isinstance(value, Mapping):
        for key in sorted(value, key=repr):
            yield from _pieces((key, value[key]), above)
    elif isinstance(value, FunctionType):
        yield from _function(value, above)
    elif isinstance(value, ModuleType):
        yield from _module(value)
    elif isinstance(value, type):
        yield from _class(value, above)
    elif isinstance(value, BuiltinFunctionType | np.ufunc):
        yield f"{getattr(value, '__module__', '')}.{value.__name__}".encode()
    else:
        yield from _class(type(value), above)
        yield from _pieces(_content(value), above)


def _content(value: Any) -> Any:
    """Return what tells an object of a class from others of it."""
    if isinstance(value, xr.Variable):
        return value.dims, np.asarray(value.values), dict(value.attrs)
    if isinstance(value, xr.DataArray):
        return value.name, value.variable, dict(value.coords.variables)
    if isinstance(value, xr.Dataset):
        return dict(value.variables), dict(value.attrs)
    if isinstance(value, functools.partial):
        return value.func, value.args, value.keywords
    if isinstance(value, MethodType):
        return value.__func__, value.__self__
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if hasattr(value, "__wrapped__"):  # functools.cache, numba.njit
        return value.__wrapped__
    if hasattr(value, "to_xarray"):  # pandas
        return value.to_xarray()
    if hasattr(value, "__dict__"):
        return vars(value)
    raise TypeError(
        f"A sweep in a folder must tell whether its function has changed, but the function uses {value!r} "
        f"({type(value).__name__}), which has no content to compare; make it within the function."
    )


def _function(function: FunctionType, above: tuple[int, ...]) -> Iterator[bytes]:
    code = function.__code__
    if is_library(code.co_filename):
        yield code.co_qualname.encode()
        if hasattr(function, "__wrapped__"):  # a decorator of a library
            yield from _pieces(function.__wrapped__, above)
        return
    yield from _code(code, above)
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    yield from _pieces((function.__defaults__, function.__kwdefaults__, cells), above)
    for name in sorted(_globals_read(code) & set(function.__globals__)):
        yield from _pieces((name, function.__globals__[name]), above)


def _code(code: CodeType, above: tuple[int, ...]) -> Iterator[bytes]:
    """Yield the source text; or the bytecode of a lambda, whose line may hold anything else."""
    if code.co_name != "<lambda>":
        try:
            yield textwrap.dedent(inspect.getsource(code)).encode()
        except OSError:  # typed at a prompt
            pass
        else:
            return
    yield code.co_code
    yield from _pieces((code.co_names, code.co_varnames, code.co_argcount), above)
    for constant in code.co_consts:
        yield from _code(constant, above) if isinstance(constant, CodeType) else _pieces(constant, above)


def _globals_read(code: CodeType) -> set[str]:
    names = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return names.union(*(_globals_read(c) for c in code.co_consts if isinstance(c, CodeType)))


def _module(module: ModuleType) -> Iterator[bytes]:
    file = getattr(module, "__file__", None)
    yield module.__name__.encode()
    if file is not None and file.endswith(".py") and not is_library(file):
        yield Path(file).read_bytes()


def _class(kind: type, above: tuple[int, ...]) -> Iterator[bytes]:
    """Yield the name of a class; of one of the user's its source and what its methods read, too."""
    yield kind.__qualname__.encode()
    try:
        file = inspect.getsourcefile(kind)
        if file is None or is_library(file):
            return
        yield textwrap.dedent(inspect.getsource(kind)).encode()
    except (OSError, TypeError):  # built in, or typed at a prompt
        return
    for member in vars(kind).values():
        function = getattr(member, "__func__", getattr(member, "fget", member))
        # Methods that a dataclass writes follow from its source
        if isinstance(function, FunctionType) and inspect.unwrap(function).__code__.co_filename != "<string>":
            yield from _pieces(function, above)
    for base in kind.__bases__:
        yield from _class(base, above)
