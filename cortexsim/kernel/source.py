"""The text of a circuit's Euler loop, and where its buffer keeps what.

The state of a run is one flat buffer, cut into tiles and blocks. A block is `WIDTH` lanes; within a block each
state variable, long-range input, stimulus, normal and area parameter is `WIDTH` neighbouring numbers, a field. In one
layout a tile is one trial and the lanes of a block are neighbouring areas; in the other (`by_trial`) a tile is `WIDTH`
trials, and a block is one area of theirs. Both run the same code but for the long-range product, and both sum over the
source areas in their order, so the bits of a trial do not depend on the layout.
"""

# mypy: ignore-errors
from __future__ import annotations

import functools
from textwrap import indent

import llvmlite.binding
import numpy as np

from cortexsim.kernel.reading import names_read

# Registers of sums that one pass of the long-range product keeps in flight, to hide the latency of the additions.
_IN_FLIGHT = 12
# State variables up to which the lanes of a block fill 64 bytes, two registers where they are half of that: the two
# hide each other's latency and share what is loaded. The variables of larger circuits would no longer fit into them.
_FEW = 12


@functools.cache
def register_bytes() -> int:
    """Return the width of this machine's vector registers: 64 bytes with AVX-512, else 32."""
    return 64 if llvmlite.binding.get_host_cpu_features().get("avx512f", False) else 32


class Layout:
    """Where everything of a circuit lies within a block, in fields of `WIDTH` numbers.

    Parameters
    ----------
    circuit
        The circuit's class.
    area_parameters
        Names of the parameters that differ between areas; they lie in the block. The others lie in a table per tile.
    dtype
        "float64" or "float32".
    registers
        Of a block's field; None: as many as suit the circuit.
    """

    def __init__(self, circuit, area_parameters, dtype, registers=None):
        self.dtype = dtype
        few = 64 if len(circuit.state) <= _FEW else register_bytes()
        block_bytes = few if registers is None else registers * register_bytes()
        self.registers = block_bytes // register_bytes()
        self.width = block_bytes // np.dtype(dtype).itemsize
        # Blocks that share a call of the noise, which works on 8 float32 lanes at least.
        self.blocks_per_draw = max(1, 8 // self.width)
        used = names_read(circuit.step or circuit.derivative)
        self.circuit = circuit
        self.state = circuit.state_names()
        self.longrange = tuple(p.name for p in circuit.pathways)
        self.inputs = tuple(v.name for v in circuit.inputs)
        self.noise = tuple(circuit.noise)
        # Each counter gives four normals: of one or two variables, those of several steps.
        self.steps_per_draw = {1: 4, 2: 2}.get(len(self.noise), 1)
        self.area_parameters = tuple(n for n in area_parameters if n in used)
        self.parameters = tuple(n for n in circuit.parameter_names() if n in used and n not in area_parameters)
        self.sources = tuple(dict.fromkeys(p.source for p in circuit.pathways))
        self.matrices = tuple(dict.fromkeys(p.weights for p in circuit.pathways))
        # Blocks whose sums one pass of the long-range product keeps in registers.
        self.targets = max(1, _IN_FLIGHT // (self.registers * max(1, len(self.longrange))))
        self.first, at = {}, 0
        for group in ("state", "longrange", "inputs", "noise", "area_parameters"):
            self.first[group] = at
            size = len(getattr(self, group))
            at += -(-size // 4) * 4 if group == "noise" else size
        self.fields = at

    def passes(self, n_blocks) -> int:
        """Return in how many passes the long-range product takes the blocks: few, and as even as can be.

        A pass of few sums would wait for its additions. Its weights lie side by side, source area by source area.
        """
        return -(-n_blocks // self.targets)

    def field(self, group, name) -> int:
        """Return the field that holds `name`."""
        return self.first[group] + getattr(self, group).index(name)


_HEAD = '''"""The Euler loop of {circuit}; written by cortexsim.kernel, which puts `Circuit` here first."""

from collections import namedtuple

import numpy as np
from numba import njit

from cortexsim.kernel.equations import compiled
from cortexsim.kernel.maths import FLAGS, inline
from cortexsim.kernel.random import normals
from cortexsim.kernel.simd import broadcast, join, load, multiply_add, part, spread, store, to_float64
from cortexsim.kernel.transfers import write_drive, write_given, write_record

WIDTH = {width}
DRAWN = {drawn}
STRIDE = {stride}
ZERO = np.{dtype}(0)
X = namedtuple("X", {state})
Longrange = namedtuple("Longrange", {longrange})
Stimulus = namedtuple("Stimulus", {inputs})
Noise = namedtuple("Noise", {noise})
P = namedtuple("P", {parameters})
equation = compiled(Circuit.step or Circuit.derivative)
'''

_ADVANCE = """

@njit(cache=True, nogil=True, error_model="numpy", fastmath=FLAGS)
def advance(
    buf, tile_parameters, weights, gathered, keys, seed_low, seed_high, dt,
    by_trial, n_trials, n_areas, n_blocks, n_draws,
    listed, starts, senders, delays, history, n_slots,
    first_tile, last_tile, first_step, n_done, n_steps,
    noise_kind, given, driven, drive, every, fields, record,
):
    tile_size = n_draws * {blocks_per_draw} * STRIDE
    h = spread(dt, WIDTH)
    for tile in range(first_tile, last_tile):
        tile_base = tile * tile_size
        table = tile * {table}
{load_parameters}
        for n in range(n_steps):
            if (n_done + n) % every == 0:
                sample = (n_done + n) // every
                write_record(
                    buf, tile_base, tile, WIDTH, STRIDE, by_trial, n_trials, n_areas, fields, record, sample
                )
            write_drive(buf, tile_base, tile, WIDTH, by_trial, n_trials, driven, drive, n)
            turn = (first_step + n_done + n) % {steps_per_draw} if noise_kind == 1 else 0
            if noise_kind == 1 and (n == 0 or turn == 0):
                step = np.uint32((first_step + n_done + n) // {steps_per_draw})
                draw(buf, tile_base, keys, tile * n_draws, n_draws, step, seed_low, seed_high)
            elif noise_kind == 2:
                write_given(
                    buf, tile_base, tile, WIDTH, STRIDE, by_trial, n_trials, n_areas, {first_noise}, given, n
                )
            if listed:
                head = (first_step + n_done + n) % n_slots
                couple_listed(
                    buf, tile_base, weights, starts, senders, delays, history, tile * n_slots, n_slots, head,
                    n_blocks, n_areas, by_trial,
                )
            else:
                couple(buf, tile_base, weights, gathered, n_blocks, n_areas, by_trial)
            for block in range(n_blocks):
                base = tile_base + block * STRIDE
                x = X({load_state})
                longrange = Longrange({load_longrange})
                stimulus = Stimulus({load_inputs})
                drawn = base + turn * {noise_size}
                noise = Noise({load_noise})
                p = P({all_parameters})
{equation}
{store_state}
"""


def source_text(layout: Layout) -> str:
    """Return the text of the module that advances a circuit."""
    n, first = layout.width, layout.first

    def load_group(group):
        base = "drawn" if group == "noise" else "base"
        return [f"load(buf, {base} + {(first[group] + k) * n}, WIDTH)" for k in range(len(getattr(layout, group)))]

    head = _HEAD.format(
        circuit=layout.circuit.__name__,
        width=n,
        drawn=n * layout.blocks_per_draw,
        stride=layout.fields * n,
        dtype=layout.dtype,
        parameters=list(layout.parameters + layout.area_parameters),
        **{group: list(getattr(layout, group)) for group in ("state", "longrange", "inputs", "noise")},
    )
    if layout.circuit.step:
        equation, new = "new = equation(x, longrange, stimulus, noise, p, h)", "new[{k}]"
    else:
        equation, new = "slope = equation(x, longrange, stimulus, p)", "x[{k}] + h * slope[{k}]"
    stores = [f"store(buf, base + {(first['state'] + k) * n}, {new.format(k=k)})" for k in range(len(layout.state))]
    loads = [f"p_{name} = load(tile_parameters, table + {k * n}, WIDTH)" for k, name in enumerate(layout.parameters)]
    body = _ADVANCE.format(
        blocks_per_draw=layout.blocks_per_draw,
        table=max(len(layout.parameters), 1) * n,
        load_parameters=indent("\n".join(loads), " " * 8),
        first_noise=first["noise"],
        steps_per_draw=layout.steps_per_draw,
        noise_size=len(layout.noise) * n,
        all_parameters=", ".join([f"p_{name}" for name in layout.parameters] + load_group("area_parameters")),
        equation=indent(equation, " " * 16),
        store_state=indent("\n".join(stores), " " * 16),
        **{f"load_{group}": ", ".join(load_group(group)) for group in ("state", "longrange", "inputs", "noise")},
    )
    return head + _couple_text(layout) + _listed_text(layout) + draw_text(layout) + body


def _couple_text(layout):
    """Return `couple`: in each lane the sum over source areas, in their order, of weight times source."""
    n = layout.width
    out = ["", "", "@inline", "def couple(buf, tile_base, weights, gathered, n_blocks, n_areas, by_trial):"]
    if not layout.longrange:
        return "\n".join([*out, "    pass\n"])
    out += [
        "    n_sources = n_blocks * WIDTH",
        "    matrix = n_areas * n_areas if by_trial else n_sources * n_areas",
        "    zero = spread(ZERO, WIDTH)",
        "    for block in range(n_blocks):",
        "        base = tile_base + block * STRIDE",
    ]
    for q, source in enumerate(layout.sources):
        value = f"load(buf, base + {layout.field('state', source) * n}, WIDTH)"
        out.append(f"        store(gathered, {q} * n_sources + block * WIDTH, {value})")
    for by_trial in (True, False):
        out += ["    if by_trial:" if by_trial else "    else:", "        block = 0"]
        out += [f"        passes = -(-n_blocks // {layout.targets})", "        while block < n_blocks:"]
        out += ["            size = -(-(n_blocks - block) // passes)"]
        for size in range(1, layout.targets + 1):
            out += [f"            if size == {size}:"]
            out += [" " * 16 + line for line in _product_lines(layout, by_trial, size)]
        out += ["            block += size", "            passes -= 1"]
    return "\n".join(out) + "\n"


def _product_lines(layout, by_trial, n_targets):
    """Return the product for `n_targets` neighbouring blocks: sources and weights are loaded once for all pathways."""
    n, pathways = layout.width, layout.circuit.pathways
    lines = [f"sum{t}_{k} = zero" for t in range(n_targets) for k in range(len(pathways))]
    lines.append("for j in range(n_areas):")
    for q in range(len(layout.sources)):
        how = "load(gathered, {} + j * WIDTH, WIDTH)" if by_trial else "broadcast(gathered, {} + j, WIDTH)"
        lines.append(f"    source{q} = {how.format(f'{q} * n_sources')}")
    for t in range(n_targets):
        for m in range(len(layout.matrices)):
            at = f"block * n_areas + j * {n_targets} + {t}"
            value = (
                f"broadcast(weights, {m} * matrix + {at}, WIDTH)"
                if by_trial
                else f"load(weights, {m} * matrix + ({at}) * WIDTH, WIDTH)"
            )
            lines.append(f"    weight{m} = {value}")
        for k, p in enumerate(pathways):
            weight, source = layout.matrices.index(p.weights), layout.sources.index(p.source)
            lines.append(f"    sum{t}_{k} = multiply_add(weight{weight}, source{source}, sum{t}_{k})")
    for t in range(n_targets):
        for k, p in enumerate(pathways):
            at = f"tile_base + (block + {t}) * STRIDE + {layout.field('longrange', p.name) * n}"
            lines.append(f"store(buf, {at}, sum{t}_{k})")
    return lines


def _listed_text(layout):
    """Return `couple_listed`: the same sum over a list of connections, each with a delay, from a ring of past sources.

    The ring holds, per tile, `n_slots` times all sources; slot `head` is that of this step. Without delays it has one.
    """
    n = layout.width
    out = [
        "",
        "",
        "@inline",
        "def couple_listed(",
        "    buf, tile_base, weights, starts, senders, delays, history, first_slot, n_slots, head,",
        "    n_blocks, n_areas, by_trial,",
        "):",
    ]
    if not layout.longrange:
        return "\n".join([*out, "    pass\n"])
    out += [
        "    n_sources = n_blocks * WIDTH",
        f"    slot_size = {len(layout.sources)} * n_sources",
        "    n_listed = senders.size",
        "    for block in range(n_blocks):",
        "        base = tile_base + block * STRIDE",
        "        at = (first_slot + head) * slot_size + block * WIDTH",
    ]
    for q, source in enumerate(layout.sources):
        value = f"load(buf, base + {layout.field('state', source) * n}, WIDTH)"
        out.append(f"        store(history, at + {q} * n_sources, {value})")
    pathways = layout.circuit.pathways
    for by_trial in (True, False):
        lanes = "WIDTH" if by_trial else "1"
        out += ["    if by_trial:" if by_trial else "    else:", "        for target in range(n_areas):"]
        out += [f"            sum{k} = spread(ZERO, {lanes})" for k in range(len(pathways))]
        out += [
            "            for k in range(starts[target], starts[target + 1]):",
            "                slot = head",
            "                if n_slots > 1:",  # without delays their list is empty
            "                    slot -= delays[k]",
            "                    slot += n_slots if slot < 0 else 0",
            f"                at = (first_slot + slot) * slot_size + senders[k] * {lanes}",
        ]
        for q in range(len(layout.sources)):
            out.append(f"                source{q} = load(history, at + {q} * n_sources, {lanes})")
        for m in range(len(layout.matrices)):
            out.append(f"                weight{m} = broadcast(weights, {m} * n_listed + k, {lanes})")
        for k, p in enumerate(pathways):
            weight, source = layout.matrices.index(p.weights), layout.sources.index(p.source)
            out.append(f"                sum{k} = multiply_add(weight{weight}, source{source}, sum{k})")
        place = "target * STRIDE" if by_trial else "target // WIDTH * STRIDE + target % WIDTH"
        out.append(f"            base = tile_base + {place}")
        for k, p in enumerate(pathways):
            out.append(f"            store(buf, base + {layout.field('longrange', p.name) * n}, sum{k})")
    return "\n".join(out) + "\n"


def draw_text(layout):
    """Return `draw`: standard normals into the noise fields of all blocks, two groups of four variables at a time."""
    out = ["", "", "@inline", "def draw(buf, tile_base, keys, first_draw, n_draws, step, seed_low, seed_high):"]
    if not layout.noise:
        return "\n".join([*out, "    pass\n"])
    n, blocks = layout.width, layout.blocks_per_draw
    convert = "to_float64" if layout.dtype == "float64" else ""
    out += [
        "    steps = spread(step, DRAWN)",
        "    for k in range(n_draws):",
        f"        base = tile_base + k * {blocks} * STRIDE",
        "        at = (first_draw + k) * 3 * DRAWN",
        "        trial = load(keys, at, DRAWN)",
        "        area_low = load(keys, at + DRAWN, DRAWN)",
        "        area_high = load(keys, at + 2 * DRAWN, DRAWN)",
    ]
    groups = -(-len(layout.noise) // 4)
    for group in range(0, groups, 2):
        out.append(f"        high = area_high | spread(np.uint32({group << 16}), DRAWN)")
        if pair := group + 1 < groups:
            # Twice the independent work hides the latency of the multiplications.
            out.append(f"        high = join(high, area_high | spread(np.uint32({(group + 1) << 16}), DRAWN))")
            out.append("        counter = join(steps, steps), join(trial, trial), join(area_low, area_low), high")
        else:
            out.append("        counter = steps, trial, area_low, high")
        out.append("        z = normals(*counter, seed_low, seed_high)")
        for k in range(8 if pair else 4):
            at = (layout.first["noise"] + 4 * group + k) * n
            for block in range(blocks):
                value = f"part(z[{k % 4}], {(k // 4 * blocks + block) * n}, WIDTH)"
                out.append(f"        store(buf, base + {block} * STRIDE + {at}, {convert}({value}))")
    return "\n".join(out) + "\n"
