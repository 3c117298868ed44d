"""The text of the loop of a hybrid: mean-field areas by the circuit's equation, embedded ones by their networks.

Trials are worked off in tiles of `WIDTH`, a lane each: cortical fields lie as in `cortexsim.kernel.source` with lanes
over trials, and the state of a network as in `cortexsim.rnn.kernel.loops`, its row the units of all trials of the tile.
One step of the networks goes with `substeps` steps of the cortex.
"""

# mypy: ignore-errors
from __future__ import annotations

import functools
import hashlib
from textwrap import indent

from cortexsim.kernel import adjoint, build, reading
from cortexsim.kernel.source import Layout, draw_text
from cortexsim.rnn.kernel.build import loops

# Columns of the table of networks: units and numbers in a line; whether of the rate form, and which activation;
# block of the area; channels padded to fours, real ones, and the first of them; first number in the arrays of W, P,
# the readout, rows and inputs; position of the network; whether rates lie apart from states.
COLUMNS = (
    *("UNITS", "LINE", "RATE_FORM", "ACTIVATION", "BLOCK", "PADDED", "CHANNELS", "FIRST", "W_AT", "P_AT", "READ_AT"),
    *("ROW_AT", "IN_AT", "NUMBER", "APART"),
)
TOLD = 4  # rates that a network tells its area, at most

_HEAD = '''"""A hybrid of {circuit}; written by cortexsim.hybrid.kernel, which puts `Circuit` here first."""

from collections import namedtuple

import numpy as np
from numba import njit

from cortexsim.kernel import maths
from cortexsim.kernel.equations import compiled
from cortexsim.kernel.maths import FLAGS, inline
from cortexsim.kernel.random import normals
from cortexsim.kernel.simd import broadcast, join, load, multiply_add, part, spread, store, to_float64
from cortexsim.kernel.transfers import write_drive, write_given, write_record
from {loops} import _look_ahead, _mix, _relax, _relax_back, multiply, start_noise

WIDTH = {width}
DRAWN = {drawn}
STRIDE = {stride}
ZERO, ONE = np.{dtype}(0), np.{dtype}(1)
RELU = 0
TOLD = {told}
{columns} = range({n_columns})
X = namedtuple("X", {state})
Longrange = namedtuple("Longrange", {longrange})
Stimulus = namedtuple("Stimulus", {inputs})
Noise = namedtuple("Noise", {noise})
Own = namedtuple("Own", {parameters})
Rates = namedtuple("Rates", {rates})
equation = compiled(Circuit.step or Circuit.derivative)
from_rates = compiled(Circuit.from_rates)
'''

_NETWORK = """

@njit(nogil=True, error_model="numpy", fastmath=FLAGS)
def product(a, a_at, a_row, a_k, b, b_at, b_row, c, c_at, c_row, n_rows, n_columns, n_k, add):
    \"\"\"Call `multiply` without constants: for each set of them Numba would compile a copy, which takes seconds.\"\"\"
    multiply(
        a, np.int64(a_at), np.int64(a_row), np.int64(a_k), b, np.int64(b_at), np.int64(b_row), c, np.int64(c_at),
        np.int64(c_row), np.int64(n_rows), np.int64(n_columns), np.int64(n_k), bool(add),
    )


@njit(nogil=True, error_model="numpy", fastmath=FLAGS)
def step_network(
    net, k, epoch, local, tick, W, P, readout, ext, streams, drive, states, rates, targets, leak, noise, keys, ahead,
    held, heard, sigma, keep, kick, skip, beta, lead, stale, steps,
):
    \"\"\"Advance one network from row k to row k + 1, and put what its area sends out into `held`.\"\"\"
    units, line, channels = net[UNITS], net[LINE], net[PADDED]
    row, first = WIDTH * line, net[ROW_AT]
    path, end, last = first * (steps + 1), (first + row) * (steps + 1), first + row
    r, x, y = rates[path:end], states[path:end], targets[path:end]
    a, eta, words, u = leak[first:last], noise[first:last], keys[2 * first : 2 * last], ahead[first:last]
    now, after = k * row, (k + 1) * row
    base = epoch * ext.shape[1] + first
    flat = ext.ravel()
    for i in range(0, row, WIDTH):
        store(drive, i, load(flat, base + i, WIDTH))
    product(
        streams, net[IN_AT] * steps + k * WIDTH * channels, channels, 1, P, net[P_AT], line, drive, 0, line, WIDTH,
        line, channels, True,
    )
    product(r, now, line, 1, W, net[W_AT], line, y, now, line, WIDTH, line, units, False)
    if net[RATE_FORM] == 1 and net[ACTIVATION] == RELU and sigma > 0.0:
        _relax(x, y, drive, a, eta, words, now, after, now, 0, row, tick, True, RELU, True, sigma, keep, kick)
    elif net[RATE_FORM] == 1 and net[ACTIVATION] == RELU:
        _relax(x, y, drive, a, eta, words, now, after, now, 0, row, tick, True, RELU, False, sigma, keep, kick)
    else:
        _relax(
            x, y, drive, a, eta, words, now, after, now, 0, row, tick, net[RATE_FORM] == 1, net[ACTIVATION],
            sigma > 0.0, sigma, keep, kick,
        )
    if skip > 0:
        if local == 0 or (not stale and local % skip == 0):
            _look_ahead(u, x, now, y, now, x, now, a, lead, row)
        if (local + 1) % skip == 0:
            _mix(x, after, u, beta, row)
            if stale:
                _look_ahead(u, x, after, y, now, x, now, a, lead, row)
    if net[RATE_FORM] == 0:
        for i in range(0, row, WIDTH):
            store(r, after + i, activated(load(x, after + i, WIDTH), net[ACTIVATION]))
    elif net[APART] == 1:
        for i in range(0, row, WIDTH):
            store(r, after + i, load(x, after + i, WIDTH))
    tell(net, r, after, readout, held, heard)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FLAGS)
def tell(net, r, at, readout, held, heard):
    \"\"\"Put the area's rates, means over the units' rates, into `heard`.\"\"\"
    line = net[LINE]
    product(r, at, line, 1, readout, net[READ_AT], TOLD, held, 0, TOLD, WIDTH, TOLD, net[UNITS], False)
    for q in range(TOLD):
        for lane in range(WIDTH):
            heard[(net[NUMBER] * TOLD + q) * WIDTH + lane] = held[lane * TOLD + q]


@inline
def activated(x, activation):
    if activation == 0:
        return maths.maximum(x, 0.0)
    if activation == 1:
        return maths.tanh(x)
    if activation == 2:
        return maths.maximum(x, 0.0) + maths.log(maths.exp(-maths.absolute(x)) + 1.0)
    return 1.0 / (maths.exp(-x) + 1.0)
"""

_FORWARD = """

@njit(cache=True, nogil=True, error_model="numpy", fastmath=FLAGS)
def forward(
    buf, tile_parameters, weights, keys, seed_low, seed_high, dt, n_trials, n_areas, n_blocks, n_draws,
    tile, first_step, n_done, n_steps, noise_kind, given, driven, drive, row_of, every, fields, record, trail, stored,
    nets, reals, which, kinds, sources, rows, tables, collected, W, P, readout, ext, epochs, local_steps, streams,
    pushed, states, rates, targets, leak, unit_noise, unit_keys, ahead, held, heard, skip, beta, lead, stale, substeps,
    phase, tick, steps,
):
    \"\"\"Advance a tile by n_steps cortical steps; networks go from row 0 of their paths on. Return rows gone.\"\"\"
    tile_size = n_draws * {blocks_per_draw} * STRIDE
    h = spread(dt, WIDTH)
    tile_base = tile * tile_size
    table = tile * {table}
    k = 0
    share = ONE / substeps
    by_trial = True
    n_nets = nets.shape[0]
{load_parameters}
    for n in range(n_steps):
        if (n_done + n) % every == 0 and fields.size > 0:
            write_record(
                buf, tile_base, tile, WIDTH, STRIDE, by_trial, n_trials, n_areas, fields, record, (n_done + n) // every
            )
        write_drive(buf, tile_base, tile, WIDTH, by_trial, n_trials, driven, drive, row_of[n])
        turn = (first_step + n_done + n) % {steps_per_draw} if noise_kind == 1 else 0
        if noise_kind == 1 and (n == 0 or turn == 0):
            step = np.uint32((first_step + n_done + n) // {steps_per_draw})
            draw(buf, tile_base, keys, tile * n_draws, n_draws, step, seed_low, seed_high)
        elif noise_kind == 2:
            write_given(buf, tile_base, tile, WIDTH, STRIDE, by_trial, n_trials, n_areas, {first_noise}, given, n)
{couple}
        for e in range(n_nets):
            for c in range(nets[e, FIRST], nets[e, FIRST] + nets[e, CHANNELS]):
                if kinds[c] == 0:
                    total = spread(ZERO, WIDTH)
                    for j in range(n_areas):
                        source = load(buf, tile_base + j * STRIDE + sources[c], WIDTH)
                        total = multiply_add(broadcast(tables, rows[c] * n_areas + j, WIDTH), source, total)
                else:
                    total = load(buf, tile_base + nets[e, BLOCK] * STRIDE + sources[c], WIDTH)
                store(collected, c * WIDTH, load(collected, c * WIDTH, WIDTH) + total)
        if stored:
            for block in range(n_blocks):
                at = (n * n_blocks + block) * {trail_fields} * WIDTH
                base = tile_base + block * STRIDE
                for f in range({afar_end}):
                    store(trail, at + f * WIDTH, load(buf, base + f * WIDTH, WIDTH))
                for f in range({kept_noise}):
                    drawn = base + ({first_noise} + turn * {n_noise} + f) * WIDTH
                    store(trail, at + ({afar_end} + f) * WIDTH, load(buf, drawn, WIDTH))
        phase += 1
        if phase == substeps:
            for e in range(n_nets):
                channels = nets[e, PADDED]
                at = nets[e, IN_AT] * steps + k * WIDTH * channels
                for c in range(nets[e, CHANNELS]):
                    whole = (nets[e, FIRST] + c) * WIDTH
                    for lane in range(WIDTH):
                        streams[at + lane * channels + c] = collected[whole + lane] * share
                    store(collected, whole, spread(ZERO, WIDTH))
                step_network(
                    nets[e], k, epochs[k], local_steps[k], tick, W, P, readout, ext, streams, pushed, states, rates,
                    targets, leak, unit_noise, unit_keys, ahead, held, heard, reals[e, 0], reals[e, 1], reals[e, 2],
                    skip, beta, lead, stale, steps,
                )
            k += 1
            tick += 1
            phase = 0
        for block in range(n_blocks):
            base = tile_base + block * STRIDE
            x = X({load_state})
            p = Own({all_parameters})
            e = which[block]
            if e < 0:
                longrange = Longrange({load_longrange})
                stimulus = Stimulus({load_inputs})
                drawn = base + turn * {noise_size}
                noise = Noise({load_noise})
{equation}
{store_state}
            else:
                told = Rates({load_rates})
                new = from_rates(x, told, p, h)
{store_told}
    if stored:
        for block in range(n_blocks):
            for f in range({afar_end}):
                at = ((n_steps * n_blocks + block) * {trail_fields} + f) * WIDTH
                store(trail, at, load(buf, tile_base + block * STRIDE + f * WIDTH, WIDTH))
    return k
"""

_BACKWARD = """

@njit(cache=True, nogil=True, error_model="numpy", fastmath=FLAGS)
def backward(
    buf, tile_parameters, back_weights, dt, n_trials, n_areas, n_blocks, n_draws, tile, n_steps, driven, drive, row_of,
    trail, cortical, coupled, by_feature, feature_at, slopes, afar,
    nets, which, kinds, sources, rows, tables, W, P_t, readout_t, epochs, local_steps, streams,
    by_rates, rates, targets, leak, carry, into, deltas, d_ext, waiting, d_heard, d_told, pushed, d_streams,
    skip, beta, lead, stale, substeps, gone, steps, dW, dP,
):
    \"\"\"Take gradients back through a tile: `by_rates`, `by_feature` hold those of the loss.\"\"\"
    tile_size = n_draws * {blocks_per_draw} * STRIDE
    h = spread(dt, WIDTH)
    tile_base = tile * tile_size
    table = tile * {table}
    by_trial = True
    n_nets = nets.shape[0]
    share = ONE / substeps
    d_width = d_ext.shape[1]
{load_parameters}
    for k in range(gone - 1, -1, -1):
        if cortical:
            for f in range(feature_at.size):
                at = feature_at[f]
                store(slopes, at, load(slopes, at, WIDTH) + load(by_feature, (k * feature_at.size + f) * WIDTH, WIDTH))
        for phase in range(substeps - 1, -1, -1):
            n = k * substeps + phase
            if cortical:
                write_drive(buf, tile_base, tile, WIDTH, by_trial, n_trials, driven, drive, row_of[n])
                for block in range(n_blocks):
                    base = tile_base + block * STRIDE
                    at = (n * n_blocks + block) * {trail_fields} * WIDTH
                    later = at + n_blocks * {trail_fields} * WIDTH
                    back = block * {n_state} * WIDTH
                    x = X({trail_state})
                    p = Own({all_parameters})
                    # A name of its own: numba takes a tuple of over 30 for one only if nothing else is called so
                    due = ({load_slopes},)
                    e = which[block]
                    if e < 0:
                        longrange = Longrange({trail_longrange})
                        stimulus = Stimulus({load_inputs})
                        noise = Noise({trail_noise})
                        g = step_back(x, longrange, stimulus, noise, p, h, due)
{store_slopes}
{store_afar}
                    else:
                        told = Rates({trail_rates})
                        g = rates_back(x, told, p, h, due)
{store_slopes}
{store_heard}
{clear_afar}
{couple_back}
            if phase == substeps - 1:
                for e in range(n_nets):
                    network_back(
                        nets[e], e, k, epochs[k], local_steps[k], W, P_t, readout_t, by_rates, rates, targets, leak,
                        carry, into, deltas, d_ext, waiting, d_heard, d_told, pushed, d_streams, skip, beta, lead,
                        stale, coupled, steps, d_width,
                    )
            if cortical and coupled:
                for e in range(n_nets):
                    for c in range(nets[e, FIRST], nets[e, FIRST] + nets[e, CHANNELS]):
                        if kinds[c] == 0:
                            pull = load(d_streams, c * WIDTH, WIDTH) * share
                            first = sources[c]
                            for j in range(n_areas):
                                at = j * {n_state} * WIDTH + first
                                weight = broadcast(tables, rows[c] * n_areas + j, WIDTH)
                                store(slopes, at, multiply_add(weight, pull, load(slopes, at, WIDTH)))
    for e in range(n_nets):
        line, channels, units = nets[e, LINE], nets[e, PADDED], nets[e, UNITS]
        row, first = WIDTH * line, nets[e, ROW_AT]
        path, end = first * (steps + 1), (first + row) * (steps + 1)
        r, d = rates[path:end], deltas[path:end]
        for begin in range(0, gone, 8):
            lines = min(8, gone - begin) * WIDTH
            product(
                d, begin * row, 1, line, r, begin * row, line, dW, nets[e, W_AT], line, -(-units // 4) * 4, line, lines,
                True,
            )
            product(
                streams, nets[e, IN_AT] * steps + begin * WIDTH * channels, 1, channels, d, begin * row, line,
                dP, nets[e, P_AT], line, channels, line, lines, True,
            )


@njit(nogil=True, error_model="numpy", fastmath=FLAGS)
def network_back(
    net, e, k, epoch, local, W, P_t, readout_t, by_rates, rates, targets, leak, carry, into, deltas, d_ext, waiting,
    d_heard, d_told, pushed, d_streams, skip, beta, lead, stale, coupled, steps, d_width,
):
    \"\"\"Take the gradient of one network from row k + 1 to row k.\"\"\"
    units, line, channels = net[UNITS], net[LINE], net[PADDED]
    row, first = WIDTH * line, net[ROW_AT]
    path, end, last = first * (steps + 1), (first + row) * (steps + 1), first + row
    r, y, d, g = rates[path:end], targets[path:end], deltas[path:end], by_rates[path:end]
    a, rest, back, wait = leak[first:last], carry[first:last], into[first:last], waiting[first:last]
    for q in range(TOLD):
        for lane in range(WIDTH):
            pushed[lane * TOLD + q] = d_heard[(e * TOLD + q) * WIDTH + lane]
            d_told[((k * d_heard.size // (TOLD * WIDTH) + e) * TOLD + q) * WIDTH + lane] = pushed[lane * TOLD + q]
            d_heard[(e * TOLD + q) * WIDTH + lane] = ZERO
    product(pushed, 0, TOLD, 1, readout_t, net[READ_AT], line, g, k * row, line, WIDTH, line, TOLD, True)
    mixes = skip > 0 and (local + 1) % skip == 0
    sets_out = skip > 0 and (local == 0 if stale else local % skip == 0)
    flat = d_ext.ravel()
    base = epoch * d_width + first
    activity = spread(ZERO, WIDTH)
    if net[RATE_FORM] == 1 and net[ACTIVATION] == RELU and not (mixes or sets_out):
        _relax_back(
            r, y, a, rest, back, g, d, flat, wait, wait, k * row, k * row, base, row, ZERO, activity, beta, lead,
            stale, ONE, True, RELU, True, False, False, False,
        )
    else:
        _relax_back(
            r, y, a, rest, back, g, d, flat, wait, wait, k * row, k * row, base, row, ZERO, activity, beta, lead,
            stale, ONE, net[RATE_FORM] == 1, net[ACTIVATION], True, mixes, sets_out, False,
        )
    product(d, k * row, line, 1, W, net[W_AT], line, back, 0, line, WIDTH, line, units, False)
    if coupled:
        product(d, k * row, line, 1, P_t, net[P_AT], channels, pushed, 0, channels, WIDTH, channels, units, False)
        for c in range(net[CHANNELS]):
            for lane in range(WIDTH):
                d_streams[(net[FIRST] + c) * WIDTH + lane] = pushed[lane * channels + c]
"""


@functools.cache
def build_loops(circuit, area_parameters, dtype):
    """Return (module, layout) of a circuit class: `forward`, `backward`, `start_noise`, and where fields lie.

    Parameters
    ----------
    circuit
        The class.
    area_parameters
        Names of the parameters that differ between areas.
    dtype
        "float64" or "float32".
    """
    layout = Layout(circuit, area_parameters, dtype, registers=1)
    backs, layout.kept_noise = _derivatives(layout)
    text = _text(layout, loops(dtype).__name__, backs)
    said = reading.digest(circuit.step or circuit.derivative) + reading.digest(circuit.from_rates)
    name = hashlib.sha256((text + said + build.package_digest()).encode()).hexdigest()[:24]
    return build.module(f"cortexsim_hybrid_{name}", text, Circuit=circuit), layout


def _derivatives(layout):
    """Return the module with the derivatives of the step and of that from given rates, and how much noise it reads."""
    circuit = layout.circuit
    told = circuit.excitatory + circuit.inhibitory
    parameters = layout.parameters + layout.area_parameters
    groups = {
        "x": layout.state, "longrange": layout.longrange, "stimulus": layout.inputs, "noise": layout.noise,
        "p": parameters, "dt": None,
    }  # fmt: skip
    wanted = tuple(("x", n) for n in layout.state) + tuple(("longrange", n) for n in layout.longrange)
    step = adjoint.adjoint(adjoint.euler(circuit), groups, wanted, name="step_back")
    groups = {"x": layout.state, "rates": told, "p": parameters, "dt": None}
    wanted = tuple(("x", n) for n in layout.state) + tuple(("rates", n) for n in told)
    rates = adjoint.adjoint(circuit.from_rates, groups, wanted, name="rates_back")
    head = (
        f'"""Derivatives of {circuit.__name__}; written by cortexsim.kernel.adjoint."""\n\n'
        "from cortexsim.kernel import maths as np\nfrom cortexsim.kernel.maths import inline\n\n\n"
    )
    text = head + "@inline\n" + step.text + "\n\n@inline\n" + rates.text
    name = hashlib.sha256((text + build.package_digest()).encode()).hexdigest()[:24]
    reads_noise = any(group == "noise" for group, _ in step.reads)
    return build.module(f"cortexsim_adjoint_{name}", text).__name__, len(layout.noise) if reads_noise else 0


def _text(layout, rnn_loops, backs):
    """Return the text of the module."""
    n, first, circuit = layout.width, layout.first, layout.circuit
    told = circuit.excitatory + circuit.inhibitory
    n_state, n_afar = len(layout.state), len(layout.longrange)

    def load_group(group):
        base = "drawn" if group == "noise" else "base"
        return [f"load(buf, {base} + {(first[group] + k) * n}, WIDTH)" for k in range(len(getattr(layout, group)))]

    def lines(template, names, spaces):
        return indent("\n".join(template.format(k=k, n=k * n, name=name) for k, name in enumerate(names)), " " * spaces)

    head = _HEAD.format(
        circuit=circuit.__name__,
        loops=rnn_loops,
        width=n,
        drawn=n * layout.blocks_per_draw,
        stride=layout.fields * n,
        dtype=layout.dtype,
        told=TOLD,
        columns=", ".join(COLUMNS),
        n_columns=len(COLUMNS),
        rates=list(told),
        parameters=list(layout.parameters + layout.area_parameters),
        **{group: list(getattr(layout, group)) for group in ("state", "longrange", "inputs", "noise")},
    )
    head += f"from {backs} import rates_back, step_back\n"
    if circuit.step:
        equation, new = "new = equation(x, longrange, stimulus, noise, p, h)", "new[{k}]"
    else:
        equation, new = "slope = equation(x, longrange, stimulus, p)", "x[{k}] + h * slope[{k}]"
    fields = {
        "blocks_per_draw": layout.blocks_per_draw,
        "table": max(len(layout.parameters), 1) * n,
        "trail_fields": n_state + n_afar + layout.kept_noise,
        "afar_end": n_state + n_afar,
        "kept_noise": layout.kept_noise,
        "n_noise": len(layout.noise),
        "n_state": n_state,
        "first_noise": first["noise"],
        "steps_per_draw": layout.steps_per_draw,
        "noise_size": len(layout.noise) * n,
        "load_parameters": lines("p_{name} = load(tile_parameters, table + {n}, WIDTH)", layout.parameters, 4),
        "all_parameters": ", ".join([f"p_{name}" for name in layout.parameters] + load_group("area_parameters")),
        **{f"load_{group}": ", ".join(load_group(group)) for group in ("state", "longrange", "inputs", "noise")},
        "equation": indent(equation, " " * 16),
        "store_state": lines("store(buf, base + {n}, " + new + ")", layout.state, 16),
        "store_told": lines("store(buf, base + {n}, new[{k}])", layout.state, 16),
        "load_rates": "".join(f"load(heard, (e * TOLD + {q}) * WIDTH, WIDTH), " for q in range(len(told))),
        "trail_state": ", ".join(f"load(trail, at + {k * n}, WIDTH)" for k in range(n_state)),
        "trail_longrange": ", ".join(f"load(trail, at + {(n_state + k) * n}, WIDTH)" for k in range(n_afar)),
        "trail_rates": "".join(f"load(trail, later + {layout.state.index(name) * n}, WIDTH), " for name in told),
        "trail_noise": ", ".join(
            f"load(trail, at + {(n_state + n_afar + k) * n}, WIDTH)" if layout.kept_noise else "spread(ZERO, WIDTH)"
            for k in range(len(layout.noise))
        ),
        "load_slopes": ", ".join(f"load(slopes, back + {k * n}, WIDTH)" for k in range(n_state)),
        "store_slopes": lines("store(slopes, back + {n}, g[{k}])", layout.state, 24),
        "store_afar": indent(
            "\n".join(f"store(afar, ({k} * n_blocks + block) * WIDTH, g[{n_state + k}])" for k in range(n_afar)),
            " " * 24,
        ),
        "clear_afar": indent(
            "\n".join(f"store(afar, ({k} * n_blocks + block) * WIDTH, spread(ZERO, WIDTH))" for k in range(n_afar)),
            " " * 24,
        ),
        "store_heard": indent(
            "\n".join(
                f"store(d_heard, (e * TOLD + {q}) * WIDTH, load(d_heard, (e * TOLD + {q}) * WIDTH, WIDTH) + "
                f"g[{n_state + q}])"
                for q in range(len(told))
            ),
            " " * 24,
        ),
        "couple": indent("\n".join(_couple(layout)), " " * 8),
        "couple_back": indent("\n".join(_couple_back(layout)), " " * 16),
    }
    return head + draw_text(layout) + _NETWORK + (_FORWARD + _BACKWARD).format(**fields)


def _couple(layout):
    """Return the long-range product: in each area the sum over source areas, in order, of weight times source."""
    n, pathways = layout.width, layout.circuit.pathways
    out = ["i = 0"]
    for size in _sizes(layout):
        body = [f"sum{t}_{k} = spread(ZERO, WIDTH)" for t in range(size) for k in range(len(pathways))]
        body.append("for j in range(n_areas):")
        for q, source in enumerate(layout.sources):
            field = layout.field("state", source) * n
            body.append(f"    source{q} = load(buf, tile_base + j * STRIDE + {field}, WIDTH)")
        for t in range(size):
            for m in range(len(layout.matrices)):
                at = f"({m} * n_areas + i + {t}) * n_areas + j"
                body.append(f"    weight{m} = broadcast(weights, {at}, WIDTH)")
            for k, p in enumerate(pathways):
                m, q = layout.matrices.index(p.weights), layout.sources.index(p.source)
                body.append(f"    sum{t}_{k} = multiply_add(weight{m}, source{q}, sum{t}_{k})")
        for t in range(size):
            for k, p in enumerate(pathways):
                at = f"tile_base + (i + {t}) * STRIDE + {layout.field('longrange', p.name) * n}"
                body.append(f"store(buf, {at}, sum{t}_{k})")
        out += [f"while i + {size} <= n_areas:", *("    " + line for line in [*body, f"i += {size}"])]
    return out


def _sizes(layout):
    """Return how many areas the products take side by side, most first: some sums in flight hide their latency."""
    most = max(1, 8 // max(1, len(layout.longrange)))
    return (most, 1) if most > 1 else (1,)


def _couple_back(layout):
    """Return the transposed long-range product: to each source, the sum over the targets of weight times gradient."""
    n, pathways = layout.width, layout.circuit.pathways
    out = ["j = 0"]
    for size in _sizes(layout):
        out.append(f"while j + {size} <= n_areas:")
        body = [f"sum{t}_{q} = spread(ZERO, WIDTH)" for t in range(size) for q in range(len(layout.sources))]
        body.append("for i in range(n_areas):")
        body += [f"    pull{k} = load(afar, ({k} * n_blocks + i) * WIDTH, WIDTH)" for k in range(len(pathways))]
        for t in range(size):
            for m in range(len(layout.matrices)):
                at = f"({m} * n_areas + i) * n_areas + j + {t}"
                body.append(f"    weight{m} = broadcast(back_weights, {at}, WIDTH)")
            for k, p in enumerate(pathways):
                m, q = layout.matrices.index(p.weights), layout.sources.index(p.source)
                body.append(f"    sum{t}_{q} = multiply_add(weight{m}, pull{k}, sum{t}_{q})")
        for t in range(size):
            for q, source in enumerate(layout.sources):
                at = f"((j + {t}) * {len(layout.state)} + {layout.state.index(source)}) * {n}"
                body.append(f"store(slopes, {at}, load(slopes, {at}, WIDTH) + sum{t}_{q})")
        out += ["    " + line for line in [*body, f"j += {size}"]]
    return out
