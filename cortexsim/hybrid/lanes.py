"""The buffers of a run of a hybrid: those of the cortex, and of the networks in it."""

# mypy: ignore-errors
from __future__ import annotations

import itertools

import numpy as np

from cortexsim import _checks, perturbed
from cortexsim.hybrid.kernel import build_loops
from cortexsim.hybrid.nets import Desk, Nets
from cortexsim.kernel.lanes import Lanes
from cortexsim.plan import NO_NOISE

_LONGEST = 250  # cortical steps of a call: the networks' paths over so many are kept for each tile


class TrialLanes(Lanes):
    """The cortical buffers of a hybrid: trials in the lanes, weights in plain tables (matrix, target, source)."""

    tables_only = True

    def _compiled(self, circuit, area_parameters, dtype):
        self._module, layout = build_loops(circuit, area_parameters, dtype)
        return self._module.forward, layout

    def _prefers_trials(self):
        return True

    def cut(self, kept):
        """Lay out the weights of the connections that are left; None: all."""
        left = 1 if kept is None else kept(*np.ogrid[: self.n_areas, : self.n_areas])
        tables = [matrix * left for matrix in self._uncut[1]]
        self._weights = np.array(tables, self.dtype).reshape(-1, self.n_areas, self.n_areas).ravel()


class HybridLanes(TrialLanes):
    """State of cortex and networks in a run; see `Lanes`.

    Parameters
    ----------
    hybrid
        The model.
    run
        The checked run.
    parameters
        What `model.parameters` returns at its start.
    """

    def __init__(self, hybrid, run, parameters):
        if hybrid.stack.networks != 1:
            raise ValueError(
                f"A run takes one network in each area, but the stack has {hybrid.stack.networks}; choose one by "
                f"hybrid.with_stack(stack, network=0)."
            )
        self.hybrid = hybrid
        self.substeps = hybrid.substeps(run.dt)
        _checks.whole_steps("duration", run.duration, hybrid.dt)
        if run.first_step % self.substeps:
            raise ValueError(f"A hybrid goes on at whole steps of its networks, {hybrid.dt:g} ms.")
        self._channels = run.channels
        circuit = [c for c in run.channels if not self._direct(c)]
        super().__init__(
            hybrid, run.trials, circuit, run.record, run.dtype, run.dt, run.first_step, run.start, None, parameters
        )
        self.scale = self._scales()
        self.nets = Nets(hybrid, self.layout, hybrid.dt)
        if run.noise_kind == NO_NOISE:
            self.nets.reals[:] = 0
        self._kept = self.nets.tables
        self._weights_of_nets = self.nets.weights(hybrid.stack, 0)
        self._units = None if run.origin is None else self._last_of(run.origin)
        self._run = run
        self._start(run)
        self._record = np.zeros((len(run.trials), run.samples, hybrid.units), self.dtype)
        self._phase, self._ticks = [0] * self.tiles, [run.first_step // self.substeps] * self.tiles
        # What the direct inputs were as the step of the networks that is under way began
        self._begun = [np.zeros((self.width, len(run.channels)))] * self.tiles

    def _direct(self, channel):
        _, name = channel
        return name not in {v.name for v in self.hybrid.circuit.inputs}

    def _last_of(self, origin):
        """Return the units' states, noise and rates (trial, 3, unit) at the end of an earlier result."""
        known = {name: list(values) for name, (_, values, _) in self.hybrid.unit_coordinates.items()}
        if "final_units" not in origin or any(origin[name].to_numpy().tolist() != known[name] for name in known):
            raise ValueError(
                "A run of a hybrid continues one of a hybrid with the same units; pass state=result.final_state to "
                "start its areas afresh from it, and its networks from their own start."
            )
        return origin["final_units"].transpose("trial", "unit_state", "unit").to_numpy()

    def _scales(self):
        by_name = {v.name: v.scale for v in self.hybrid.circuit.inputs}
        return np.array([by_name.get(name, 1.0) for _, name in self._channels])

    def _start(self, run):
        """Set networks and the rates of their areas to the start."""
        self.desks = []
        steps = -(-_LONGEST // self.substeps) + 1
        trials = np.asarray(run.trials, np.int64)
        units = None if self._units is None else np.broadcast_to(self._units, (len(trials), *self._units.shape[1:]))
        for tile in range(self.tiles):
            which = np.minimum(np.arange(tile * self.width, (tile + 1) * self.width), len(trials) - 1)
            desk = Desk(self.nets, steps)
            desk.start(
                self._module, self._weights_of_nets, trials[which], run.seed, 0, None if units is None else units[which]
            )
            self.desks.append(desk)
            self.tell(tile)

    def tell(self, tile):
        """Put what the networks tell into the rates of their areas."""
        put_rates(self._buffer[tile], self.desks[tile], self.nets, self.layout)

    def cut(self, kept):
        """Lay out the weights of the connections that are left, those of the networks' streams, too."""
        super().cut(kept)
        if not hasattr(self, "nets"):
            return
        nets = self.nets
        nets.tables = self._kept.copy()
        if kept is not None:
            for e in range(len(nets.table)):
                first, n = nets.of(e, "FIRST"), nets.of(e, "CHANNELS")
                left = np.ravel(kept(np.array([[nets.of(e, "BLOCK")]]), np.arange(self.n_areas)[np.newaxis]))
                for c in range(first, first + n):
                    if nets.kinds[c] == 0:
                        nets.tables[nets.rows[c]] *= left

    def advance(
        self, first_tile, last_tile, dt, seed, first_step, n_done, n_steps, noise_kind, given, drive, every, record
    ):
        """Make `n_steps` Euler steps of some tiles; see `kernel` for the arguments."""
        direct = [k for k, c in enumerate(self._channels) if self._direct(c)]
        others = [k for k in range(len(self._channels)) if k not in direct]
        to_cortex = np.ascontiguousarray(drive[:, :, others])
        real, nothing = self.dtype.type, np.zeros(0, self.dtype)
        m, w, nets = self.substeps, self._weights_of_nets, self.nets
        noise_kind = noise_kind if self.layout.noise else NO_NOISE  # there may be noise in the units alone
        spans = [(begin, min(begin + _LONGEST, n_steps)) for begin in range(0, n_steps, _LONGEST)]
        for tile, (begin, end) in itertools.product(range(first_tile, last_tile), spans):
            desk, phase, n, done = self.desks[tile], self._phase[tile], end - begin, n_done + begin
            gone = (phase + n) // m
            ext = self._ext(tile, drive[:, begin:end], direct, gone, phase)
            epochs = np.minimum(np.arange(gone), len(ext) - 1)
            self._module.forward(
                self._buffer.ravel(), self._tables.ravel(), self._weights, self._keys.ravel(),
                np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32), real(dt), self.n_trials, self.n_areas,
                self.blocks, self._draws, tile, first_step, done, n, noise_kind, given[:, begin:end], self._driven,
                to_cortex, np.arange(begin, end), every, self._recorded, record, nothing, False,
                nets.table, nets.reals, nets.which, nets.kinds, nets.sources, nets.rows, nets.tables.ravel(),
                desk.collected, w["W_t"], w["P"], w["read"], ext, epochs, np.zeros(gone, np.int64), desk.streams,
                desk.pushed, desk.states, desk.rates, desk.targets, nets.leak, desk.noise, desk.keys, desk.ahead,
                desk.held, desk.heard, 0, real(1), real(0), False, m, phase, self._ticks[tile], desk.steps,
            )  # fmt: skip
            self._take_units(tile, done, n, every, phase)
            desk.go_on(gone)
            self._phase[tile], self._ticks[tile] = (phase + n) % m, self._ticks[tile] + gone

    def _ext(self, tile, drive, direct, gone, phase):
        """Return bias and direct inputs of the networks, a row for each of their steps, or one for all.

        The inputs are those at the beginning of a step, which may have begun before these.
        """
        nets, bias = self.nets, self._weights_of_nets["bias"]
        if not direct:
            return bias[np.newaxis]
        out = np.repeat(bias[np.newaxis], max(gone, 1), axis=0)
        trial = np.minimum(np.arange(tile * self.width, (tile + 1) * self.width), len(drive) - 1)
        begins = np.arange(-phase % self.substeps, drive.shape[1], self.substeps)
        inputs = drive[trial][:, begins]
        if phase:
            inputs = np.concatenate([self._begun[tile][:, np.newaxis], inputs], axis=1)
        if inputs.shape[1]:
            self._begun[tile] = inputs[:, -1]
        for k in direct:
            area, name = self._channels[k]
            e = list(self.hybrid.embedded).index(area)
            network = self.hybrid.embedded[area].network
            W_in = self.hybrid.stack.of(f"W_in {area}")[0][:, int(name[1:])]
            row = out[:, nets.rows_of(e)].reshape(len(out), self.width, -1)
            row[:gone, :, network.receiving] += inputs[:, :gone, k].T[:, :, np.newaxis] * W_in
        return out

    def _take_units(self, tile, n_done, n_steps, every, phase):
        """Put the rates of the units at the samples into the record."""
        samples = np.arange(-(-n_done // every), -(-(n_done + n_steps) // every))
        if not len(samples):
            return
        rows = (phase + samples * every - n_done) // self.substeps
        trials = np.arange(tile * self.width, min((tile + 1) * self.width, self.n_trials))
        first, desk = 0, self.desks[tile]
        for e in range(len(self.nets.table)):
            units = self.nets.of(e, "UNITS")
            path = self.nets.path_of(desk.rates, e, desk.steps + 1)[rows][:, : len(trials), :units]
            self._record[trials[:, np.newaxis], samples, first : first + units] = path.swapaxes(0, 1)
            first += units

    def finite(self):
        """Whether the state of all lanes and units is finite."""
        return super().finite() and all(np.isfinite(desk.states).all() for desk in self.desks)

    def first_bad(self):
        """Return (trial, state variable, area) of the first lane or unit that is not finite."""
        if not super().finite():
            return super().first_bad()
        for tile, desk in enumerate(self.desks):
            for e in range(len(self.nets.table)):
                path = self.nets.path_of(desk.states, e, desk.steps + 1)[0]
                if not np.isfinite(path).all():
                    lane = int(np.argwhere(~np.isfinite(path))[0][0])
                    rate = self.layout.state.index(self.layout.circuit.excitatory[0])
                    return min(tile * self.width + lane, self.n_trials - 1), rate, self.nets.of(e, "BLOCK")
        return super().first_bad()

    def copy(self):
        """Return a copy of the state of cortex and networks, for `restore`."""
        held = [
            (d.states.copy(), d.rates.copy(), d.noise.copy(), d.collected.copy(), d.heard.copy()) for d in self.desks
        ]
        return super().copy(), held, list(self._phase), list(self._ticks), list(self._begun)

    def restore(self, copy):
        """Go back to a copy."""
        cortex, held, phase, ticks, begun = copy
        super().restore(cortex)
        for desk, values in zip(self.desks, held, strict=True):
            for buffer, value in zip(
                (desk.states, desk.rates, desk.noise, desk.collected, desk.heard), values, strict=True
            ):
                buffer[:] = value
        self._phase, self._ticks, self._begun = list(phase), list(ticks), list(begun)

    def extras(self):
        """Return the rates of the units (trial, time, unit), and their last state, noise and rate (trial, 3, unit)."""
        last = np.zeros((self.n_trials, 3, self.hybrid.units), self.dtype)
        for tile, desk in enumerate(self.desks):
            trials = np.arange(tile * self.width, min((tile + 1) * self.width, self.n_trials))
            first = 0
            for e in range(len(self.nets.table)):
                units, line = self.nets.of(e, "UNITS"), self.nets.of(e, "LINE")
                state = self.nets.path_of(desk.states, e, desk.steps + 1)[0]
                eta = desk.noise[self.nets.rows_of(e)].reshape(self.width, line)
                last[trials, 0, first : first + units] = state[: len(trials), :units]
                last[trials, 1, first : first + units] = eta[: len(trials), :units]
                rate = self.nets.path_of(desk.rates, e, desk.steps + 1)[0]
                last[trials, 2, first : first + units] = rate[: len(trials), :units]
                first += units
        area_of = np.array(self.hybrid.unit_coordinates["unit_area"][1])
        for cut in perturbed.lesions(self._run.stimuli[0]):
            within = np.array([perturbed.acts(cut, float(t)) for t in self._run.times], dtype=bool)
            self._record[:, np.outer(within, np.isin(area_of, cut.areas))] = np.nan
        return {"r_unit": self._record, "final_units": last}


def put_rates(tile_buffer, desk, nets, layout):
    """Put what the networks tell into the rates of their areas, of one tile (block, field, lane)."""
    for e in range(len(nets.table)):
        for q, name in enumerate(nets.told):
            first = (e * 4 + q) * nets.width
            tile_buffer[nets.of(e, "BLOCK"), layout.field("state", name)] = desk.heard[first : first + nets.width]
