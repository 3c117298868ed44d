"""Compile a circuit: write its Euler loop as a small module, import it, and let Numba's disk cache keep the machine code.

The state of a run is one flat buffer, cut into tiles and blocks. A block is `WIDTH` lanes; within a block each state variable,
long-range input, stimulus, normal and area parameter is `WIDTH` neighbouring numbers. In one layout a tile is one trial and the lanes of a
block are neighbouring areas; in the other a tile is `WIDTH` trials, and a block is one area of theirs. Both run the same code but for
the long-range product, and both sum over the source areas in their order, so the bits of a trial do not depend on the layout.

The module's name is the digest of its text, of the sources of this package and the circuit, and of the versions, so that an edited
equation never meets old machine code. Weights, parameters, seeds, stimuli and durations are arguments: nothing recompiles when they change.
"""

# mypy: ignore-errors
from __future__ import annotations

import functools
import hashlib
import importlib.util
import inspect
import os
import sys
import tempfile
import types as python_types
from pathlib import Path

import llvmlite
import numba
import numpy as np
import platformdirs

from cortexsim.kernel import maths
from cortexsim.kernel.maths import inline

REGISTERS = 8  # accumulators that one pass of the long-range product keeps in flight


def width(dtype) -> int:
    """Lanes of a block: 64 bytes."""
    return 64 // np.dtype(dtype).itemsize


def compiled(function):
    """Return a circuit's plain function, and those it calls, compiled for lanes: `np` becomes `cortexsim.kernel.maths`."""
    return inline(_rebound(function, {}))


def _rebound(function, done):
    if function in done:
        return done[function]
    scope = dict(function.__globals__)
    copy = python_types.FunctionType(function.__code__, scope, function.__name__, function.__defaults__, function.__closure__)
    done[function] = copy
    for name in function.__code__.co_names:
        value = scope.get(name)
        if value is np:
            scope[name] = maths
        elif isinstance(value, python_types.FunctionType):
            scope[name] = inline(_rebound(value, done))
    return copy


def names_read(function) -> frozenset[str]:
    """Return all names that a function and the plain functions it calls read: a superset of the parameters it uses."""
    names, open_, seen = set(), [function], set()
    while open_:
        f = open_.pop()
        if f in seen:
            continue
        seen.add(f)
        names |= set(f.__code__.co_names)
        open_ += [v for n in f.__code__.co_names if isinstance(v := f.__globals__.get(n), python_types.FunctionType)]
    return frozenset(names)


class Layout:
    """Where everything of a circuit lies within a block, in fields of `WIDTH` numbers.

    Parameters
    ----------
    circuit
        The circuit's class.
    area_parameters
        Names of the parameters that differ between areas; they lie in the block. The others lie in a table per tile.
    """

    def __init__(self, circuit, area_parameters):
        used = names_read(circuit.step or circuit.derivative)
        self.circuit = circuit
        self.state = circuit.state_names()
        self.longrange = tuple(p.name for p in circuit.pathways)
        self.inputs = tuple(v.name for v in circuit.inputs)
        self.noise = tuple(circuit.noise)
        self.area_parameters = tuple(n for n in area_parameters if n in used)
        self.parameters = tuple(n for n in circuit.parameter_names() if n in used and n not in self.area_parameters)
        groups = ("state", "longrange", "inputs", "noise", "area_parameters")
        self.first, at = {}, 0
        for group in groups:
            self.first[group] = at
            size = len(getattr(self, group))
            at += -(-size // 4) * 4 if group == "noise" else size
        self.fields = at

    def field(self, group, name) -> int:
        """Return the field that holds `name`."""
        return self.first[group] + getattr(self, group).index(name)


def _tuple(kind, values):
    return f"{kind}({', '.join(values)})" if values else f"{kind}()"


def source_text(layout: Layout, n_lanes: int) -> str:
    """Return the text of the module that advances this circuit."""
    c = layout.circuit
    first = layout.first
    out = [
        f'"""The Euler loop of {c.__name__}, written by cortexsim.kernel.build."""',
        "from collections import namedtuple",
        "import numpy as np",
        "from numba import njit",
        "from cortexsim.kernel.build import compiled",
        "from cortexsim.kernel.maths import FLAGS, inline",
        "from cortexsim.kernel.random import normals",
        "from cortexsim.kernel.simd import broadcast, load, multiply_add, spread, store, to_float64",
        "from cortexsim.kernel.transfers import write_drive, write_given, write_record",
        f"from {c.__module__} import {c.__name__} as Circuit",
        "",
        f"WIDTH = {n_lanes}",
        f"STRIDE = {layout.fields * n_lanes}",
        f"ZERO = np.float{512 // n_lanes}(0)",
    ]
    for kind, names in (
        ("X", layout.state),
        ("Longrange", layout.longrange),
        ("Stimulus", layout.inputs),
        ("Noise", layout.noise),
        ("P", layout.parameters + layout.area_parameters),
    ):
        out.append(f"{kind} = namedtuple({kind!r}, {list(names)!r})")
    out += ["", "equation = compiled(Circuit.step or Circuit.derivative)", ""]
    out += _couple_text(layout, n_lanes) + _noise_text(layout, n_lanes)
    load_field = lambda f: f"load(buf, base + {f * n_lanes}, WIDTH)"  # noqa: E731
    group = lambda name: [load_field(first[name] + k) for k in range(len(getattr(layout, name)))]  # noqa: E731
    call = ["x", "longrange", "stimulus", "noise", "p", "h"] if c.step else ["x", "longrange", "stimulus", "p"]
    result = "y" if c.step else "d"
    out += [
        "",
        '@njit(cache=True, nogil=True, error_model="numpy", fastmath=FLAGS)',
        "def advance(buf, tile_parameters, weights, gathered, keys, seed_low, seed_high, dt, by_trial, n_trials, n_areas, n_blocks,",
        "            first_tile, last_tile, first_step, n_done, n_steps, noise_kind, given, driven, drive, every, fields, record):",
        "    tile_size = n_blocks * STRIDE",
        "    h = spread(dt, WIDTH)",
        "    for tile in range(first_tile, last_tile):",
        "        tile_base = tile * tile_size",
        f"        table = tile * {max(len(layout.parameters), 1) * n_lanes}",
    ]
    out += [f"        p_{n} = load(tile_parameters, table + {k * n_lanes}, WIDTH)" for k, n in enumerate(layout.parameters)]
    out += [
        "        for n in range(n_steps):",
        "            if (n_done + n) % every == 0:",
        "                write_record(buf, tile_base, tile, WIDTH, STRIDE, by_trial, n_trials, n_areas, fields, record,",
        "                             (n_done + n) // every)",
        "            write_drive(buf, tile_base, tile, WIDTH, by_trial, n_trials, driven, drive, n)",
        "            if noise_kind == 1:",
        "                draw(buf, tile_base, keys, tile * n_blocks, n_blocks, np.uint32(first_step + n_done + n), seed_low, seed_high)",
        "            elif noise_kind == 2:",
        f"                write_given(buf, tile_base, tile, WIDTH, STRIDE, by_trial, n_trials, n_areas, {first['noise']}, given, n)",
        "            couple(buf, tile_base, weights, gathered, n_blocks, n_areas, by_trial)",
        "            for block in range(n_blocks):",
        "                base = tile_base + block * STRIDE",
        f"                x = {_tuple('X', group('state'))}",
        f"                longrange = {_tuple('Longrange', group('longrange'))}",
        f"                stimulus = {_tuple('Stimulus', group('inputs'))}",
        f"                noise = {_tuple('Noise', group('noise'))}",
        f"                p = {_tuple('P', [f'p_{n}' for n in layout.parameters] + group('area_parameters'))}",
        f"                {result} = equation({', '.join(call)})",
    ]
    new = "y[{k}]" if c.step else "x[{k}] + h * d[{k}]"
    out += [
        f"                store(buf, base + {(first['state'] + k) * n_lanes}, {new.format(k=k)})"
        for k in range(len(layout.state))
    ]
    return "\n".join(out) + "\n"


def _couple_text(layout, n_lanes):
    """The long-range product: in each lane the sum over the source areas, in their order, of weight times source."""
    pathways = layout.circuit.pathways
    out = ["@inline", "def couple(buf, tile_base, weights, gathered, n_blocks, n_areas, by_trial):"]
    if not pathways:
        return [*out, "    pass", ""]
    sources = list(dict.fromkeys(p.source for p in pathways))
    matrices = list(dict.fromkeys(p.weights for p in pathways))
    out += [
        "    n_sources = n_blocks * WIDTH",
        "    matrix = n_blocks * WIDTH * n_areas if not by_trial else n_areas * n_areas",
        "    for block in range(n_blocks):",
        "        base = tile_base + block * STRIDE",
    ]
    out += [
        f"        store(gathered, {q} * n_sources + block * WIDTH, load(buf, base + {layout.field('state', s) * n_lanes}, WIDTH))"
        for q, s in enumerate(sources)
    ]
    tile = max(1, REGISTERS // len(pathways))

    def product(by_trial, n_targets, pad):
        body = [f"{pad}a{t}_{k} = zero" for t in range(n_targets) for k in range(len(pathways))]
        body.append(f"{pad}for j in range(n_areas):")
        for q in range(len(sources)):
            how = f"load(gathered, {q} * n_sources + j * WIDTH, WIDTH)" if by_trial else f"broadcast(gathered, {q} * n_sources + j, WIDTH)"
            body.append(f"{pad}    s{q} = {how}")
        for t in range(n_targets):
            for m in range(len(matrices)):
                row = f"(block + {t}) * n_areas + j"
                how = f"broadcast(weights, {m} * matrix + {row}, WIDTH)" if by_trial else f"load(weights, {m} * matrix + ({row}) * WIDTH, WIDTH)"
                body.append(f"{pad}    w{m} = {how}")
            for k, p in enumerate(pathways):
                w, s = matrices.index(p.weights), sources.index(p.source)
                body.append(f"{pad}    a{t}_{k} = multiply_add(w{w}, s{s}, a{t}_{k})")
        for t in range(n_targets):
            for k, p in enumerate(pathways):
                at = layout.field("longrange", p.name) * n_lanes
                body.append(f"{pad}store(buf, tile_base + (block + {t}) * STRIDE + {at}, a{t}_{k})")
        return body

    out.append("    zero = spread(ZERO, WIDTH)")
    for by_trial in (True, False):
        out += ["    if by_trial:" if by_trial else "    else:", "        block = 0"]
        if tile > 1:
            out += [f"        while block + {tile} <= n_blocks:", *product(by_trial, tile, " " * 12), f"            block += {tile}"]
        out += ["        while block < n_blocks:", *product(by_trial, 1, " " * 12), "            block += 1"]
    return [*out, ""]


def _noise_text(layout, n_lanes):
    """Standard normals into the noise fields of all blocks, four variables at a time."""
    out = ["@inline", "def draw(buf, tile_base, keys, first_block, n_blocks, step, seed_low, seed_high):"]
    if not layout.noise:
        return [*out, "    pass", ""]
    convert = "to_float64" if n_lanes == 8 else ""
    out += [
        "    steps = spread(step, WIDTH)",
        "    for block in range(n_blocks):",
        "        base = tile_base + block * STRIDE",
        "        at = (first_block + block) * (3 * WIDTH)",
        "        trial = load(keys, at, WIDTH)",
        "        area_low = load(keys, at + WIDTH, WIDTH)",
        "        area_high = load(keys, at + 2 * WIDTH, WIDTH)",
    ]
    for group in range(-(-len(layout.noise) // 4)):
        out.append(f"        high = area_high | spread(np.uint32({group << 16}), WIDTH)")
        out.append("        z0, z1, z2, z3 = normals(steps, trial, area_low, high, seed_low, seed_high)")
        for k in range(4):
            at = (layout.first["noise"] + 4 * group + k) * n_lanes
            out.append(f"        store(buf, base + {at}, {convert}(z{k}))")
    return [*out, ""]


def cache_folder() -> Path:
    """Return the folder of the compiled kernels: $CORTEXSIM_CACHE_DIR, or the user's cache folder, or a temporary one."""
    wanted = os.environ.get("CORTEXSIM_CACHE_DIR") or platformdirs.user_cache_dir("cortexsim", appauthor=False)
    for folder in (Path(wanted) / "kernels", Path(tempfile.gettempdir()) / f"cortexsim-{os.getuid()}" / "kernels"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise OSError(
        f"Compiled kernels need a folder to write to, but neither {wanted} nor the temporary folder can be written; "
        f"set CORTEXSIM_CACHE_DIR."
    )


@functools.cache
def _package_digest() -> str:
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} {np.__version__}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources(circuit) -> str:
    """Return the texts of the files that the circuit's equation and the functions it calls stand in."""
    files, open_ = set(), [circuit.step or circuit.derivative]
    seen = set()
    while open_:
        f = open_.pop()
        if f in seen:
            continue
        seen.add(f)
        files.add(inspect.getsourcefile(f))
        open_ += [v for n in f.__code__.co_names if isinstance(v := f.__globals__.get(n), python_types.FunctionType)]
    return "".join(Path(f).read_text(encoding="utf-8") for f in sorted(files))


@functools.cache
def advance(circuit, area_parameters: tuple[str, ...], dtype: str):
    """Return (advance, layout): the compiled loop of a circuit class, and where its block keeps what."""
    layout = Layout(circuit, area_parameters)
    text = source_text(layout, width(dtype))
    digest = hashlib.sha256((text + _sources(circuit) + _package_digest() + dtype).encode()).hexdigest()[:24]
    name = f"cortexsim_kernel_{circuit.__name__}_{dtype}_{digest}"
    path = cache_folder() / f"{name}.py"
    if not path.exists():
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module.advance, layout
