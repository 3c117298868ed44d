"""The buffers of a run: labelled arrays go in and come out, floats in lanes lie between."""

# mypy: ignore-errors
from __future__ import annotations

import functools
import hashlib

import numpy as np

from cortexsim.kernel import build

# Share of connections below which a list beats a table: without lanes over trials it loses the SIMD.
_SPARSE_BY_AREA, _SPARSE_BY_TRIAL = 0.12, 0.3
_CACHE = 2**17  # bytes of weights that stay close to the processor


def _aligned(shape, dtype):
    """Return zeros that begin at a cache line, so that no register is read across two of them."""
    size = int(np.prod(shape))
    raw = np.zeros(size + 64 // dtype.itemsize, dtype)
    first = -raw.ctypes.data % 64 // dtype.itemsize
    return raw[first : first + size].reshape(shape)


def _joined(matrices):
    """Return target, source and, per matrix, weight of each connection that any of the sparse matrices has."""
    from scipy.sparse import csr_array

    matrices = [csr_array(m) for m in matrices]
    n = matrices[0].shape[0]
    keys = [np.repeat(np.arange(n), np.diff(m.indptr)) * n + m.indices for m in matrices]
    if all(np.array_equal(keys[0], k) for k in keys) and (np.diff(keys[0]) > 0).all():
        return *np.divmod(keys[0], n), [m.data for m in matrices]
    found, laid = np.unique(np.concatenate(keys)), []
    for m, own in zip(matrices, keys, strict=True):
        laid.append(np.bincount(np.searchsorted(found, own), weights=m.data, minlength=len(found)))
    return *np.divmod(found, n), laid


@functools.lru_cache(2**16)
def _area_key(label):
    """Return the 48 bits that stand for an area in the noise's counter: the same wherever its label is met."""
    return int.from_bytes(hashlib.blake2b(label.encode(), digest_size=6).digest(), "little")


class Lanes:
    """State, parameters, weights and noise keys of a run, laid out for the kernel (see `source`).

    Parameters
    ----------
    model
        Anything with `areas`, `circuit`, `conduction_speed`, `parameters(trials)`, `weights()` and `delays(...)`.
    trials
        Numbers of the trials, the noise's key.
    channels
        (area, input) pairs that the stimulus drives.
    record
        State variables to record.
    dtype
        float64 or float32.
    dt
        Euler step, in ms.
    first_step
        Number of the first step; more than 0 where an earlier run is continued.
    start
        State (trial, state, area) to start from; None: the circuit's initial values.
    history
        Past of the sources (trial, lag, source, area), the newest first; None: they have always been as at the start.
    parameters
        What `model.parameters` returns, where perturbations make it differ; None: the model's own.
    """

    tables_only = False  # whether weights are laid out as tables even where a list would be faster

    def __init__(
        self, model, trials, channels, record, dtype, dt, first_step=0, start=None, history=None, parameters=None
    ):
        circuit, areas = model.circuit, model.areas
        per_trial, per_area = parameters or model.parameters(len(trials))
        self._advance, self.layout = self._compiled(type(circuit), tuple(sorted(per_area)), str(dtype))
        self.dtype = dtype
        self.width = self.layout.width
        self.n_areas, self.n_trials = len(areas), len(trials)
        area_blocks = -(-self.n_areas // self.width)
        trial_tiles = -(-self.n_trials // self.width)
        self.by_trial = self._prefers_trials()
        self.tiles = trial_tiles if self.by_trial else self.n_trials
        self.blocks = self.n_areas if self.by_trial else area_blocks
        self.count = self.tiles * self.blocks * self.width
        per_draw = self.layout.blocks_per_draw
        self._draws = -(-self.blocks // per_draw)
        # Which trial and area each lane holds; lanes of the padding repeat the last one.
        tile, block, lane = np.ix_(range(self.tiles), range(self._draws * per_draw), range(self.width))
        if self.by_trial:
            trial, area = tile * self.width + lane + 0 * block, block + 0 * (tile + lane)
        else:
            trial, area = tile + 0 * (block + lane), block * self.width + lane + 0 * tile
        self._padding = (trial >= self.n_trials) | (area >= self.n_areas)
        self._trial, self._area = np.minimum(trial, self.n_trials - 1), np.minimum(area, self.n_areas - 1)

        self._buffer = _aligned((*trial.shape[:2], self.layout.fields, self.width), dtype)
        if start is None:
            initial = np.array([v.initial for v in circuit.state])
            start = np.broadcast_to(initial[:, np.newaxis], (self.n_trials, len(initial), self.n_areas))
        self._fill("state", [start[:, k] for k in range(len(circuit.state))])
        self.change(per_trial, per_area)
        self._connect(model, dt)
        self._remember(first_step, history)
        self._keys = self._noise_keys(np.asarray(trials, dtype=np.uint32), areas)
        index, inputs = {a: k for k, a in enumerate(areas)}, {v.name: v for v in circuit.inputs}
        self._driven = np.array(
            [self._place(index[a], self.layout.field("inputs", i)) for a, i in channels], dtype=np.int64
        )
        self.scale = np.array([inputs[i].scale for _, i in channels])
        self._recorded = np.array([self.layout.field("state", name) for name in record], dtype=np.int64)

    def _compiled(self, circuit, area_parameters, dtype):
        return build.advance(circuit, area_parameters, dtype)

    def _prefers_trials(self):
        """Whether trials fill lanes better than areas of a trial do, or as well and share large weights."""
        by_trial, by_area = (
            self.n_areas * -(-self.n_trials // self.width),
            self.n_trials * -(-self.n_areas // self.width),
        )
        large = len(self.layout.matrices) * self.n_areas**2 * self.dtype.itemsize > _CACHE
        return by_trial < by_area or (by_trial == by_area and large)

    def _fill(self, group, values):
        """Put arrays (trial, area) into the fields of a group."""
        first = self.layout.first[group]
        for k, value in enumerate(values):
            self._buffer[:, :, first + k, :] = value[self._trial, self._area]

    def change(self, per_trial, per_area):
        """Take other numbers for the parameters, of the same names as at first."""
        self._fill("area_parameters", [per_area[name] for name in self.layout.area_parameters])
        self._tables = np.zeros((self.tiles, max(len(self.layout.parameters), 1), self.width), self.dtype)
        for k, name in enumerate(self.layout.parameters):
            self._tables[:, k, :] = per_trial[name][self._trial[:, 0, :]]

    def _connect(self, model, dt):
        """Lay the long-range weights out as a table, or as a list where they are sparse, listed or delayed."""
        weights = model.weights()
        matrices = [weights[name] for name in self.layout.matrices]
        target, self._senders, laid = None, np.zeros(0, np.int64), []
        if any(not isinstance(m, np.ndarray) for m in matrices):
            target, self._senders, laid = _joined(matrices)
        elif matrices:
            present = functools.reduce(np.logical_or, [m != 0 for m in matrices])
            few = _SPARSE_BY_TRIAL if self.by_trial else _SPARSE_BY_AREA
            sparse = model.conduction_speed is not None or np.count_nonzero(present) < few * present.size
            if sparse and not self.tables_only:
                target, self._senders = np.nonzero(present)
                laid = [m[target, self._senders] for m in matrices]
        self._listed = target is not None
        self._starts = np.searchsorted(target if self._listed else [], np.arange(self.n_areas + 1))
        steps = model.delays(dt, target, self._senders) if self._listed else None
        self._slots = 1 if steps is None else int(steps.max(initial=0)) + 1
        self._delays = (np.zeros(0) if self._slots == 1 else steps).astype(np.int32)
        self._senders = self._senders.astype(np.int32)  # half the bytes that each step reads
        self._uncut = (target, laid) if self._listed else (None, matrices)
        self.cut(None)

    def cut(self, kept):
        """Lay the weights out, those of the connections that `kept(target, source)` leaves; None: all."""
        target, laid = self._uncut
        if kept is not None:
            left = kept(target, self._senders) if self._listed else kept(*np.ogrid[: self.n_areas, : self.n_areas])
            laid = [m * left for m in laid]
        # (target, source), or (block, source, lane of the target); a list of connections is like one target's row.
        lanes = 1 if self._listed or self.by_trial else self.width
        rows, columns = (1, len(target)) if self._listed else (-(-self.n_areas // lanes), self.n_areas)
        weights = _aligned((len(laid), rows, columns, lanes), self.dtype)
        for of_matrix, values in zip(weights, laid, strict=True):
            for lane in range(lanes):
                own = np.atleast_2d(values)[lane::lanes]
                of_matrix[: len(own), :, lane] = own
            for blocks in np.array_split(of_matrix, self.layout.passes(rows)):
                blocks[...] = blocks.swapaxes(0, 1).reshape(blocks.shape)
        self._weights = weights.ravel()

    def _remember(self, first_step, history):
        """Fill the ring of past sources: with `history`, or with the state at the start."""
        fields = [self.layout.field("state", name) for name in self.layout.sources] or [0]
        now = np.moveaxis(self._buffer[:, : self.blocks, fields, :], 2, 1).reshape(self.tiles, len(fields), -1)
        self._history = np.repeat(now[:, np.newaxis], self._slots if self._listed else 1, axis=1)
        trial, area = self._trial[:, : self.blocks], self._area[:, : self.blocks]
        if history is not None:
            for lag in range(1, self._slots):
                past = history[:, lag - 1].swapaxes(0, 1)[:, trial, area]
                self._history[:, (first_step - lag) % self._slots] = past.swapaxes(0, 1).reshape(now.shape)

    def history(self, step):
        """Return the past of the sources (trial, lag, source, area) before `step`, the newest first."""
        real = ~self._padding[:, : self.blocks]
        out = np.empty((self.n_trials, self._slots - 1, len(self.layout.sources), self.n_areas), self.dtype)
        trial, area = self._trial[:, : self.blocks][real], self._area[:, : self.blocks][real]
        for lag in range(1, self._slots):
            past = self._history[:, (step - lag) % self._slots]
            lanes = past.reshape(self.tiles, -1, self.blocks, self.width).transpose(0, 2, 3, 1)
            out[trial, lag - 1, :, area] = lanes[real]
        return out

    def _noise_keys(self, trials, areas):
        area = np.array([_area_key(a) for a in areas], np.uint64)[self._area]
        words = (trials[self._trial], area.astype(np.uint32), (area >> np.uint64(32)).astype(np.uint32))
        return np.stack([w.reshape(self.tiles, self._draws, -1) for w in words], axis=2)

    def _place(self, area, field):
        block, lane = (area, 0) if self.by_trial else divmod(area, self.width)
        return (block * self.layout.fields + field) * self.width + lane

    def advance(
        self, first_tile, last_tile, dt, seed, first_step, n_done, n_steps, noise_kind, given, drive, every, record
    ):
        """Make `n_steps` Euler steps of some tiles; see `source.source_text` for the arguments."""
        sources = len({p.source for p in self.layout.circuit.pathways})
        gathered = _aligned((max(sources, 1) * self.blocks * self.width,), self.dtype)
        self._advance(
            self._buffer.ravel(), self._tables.ravel(), self._weights, gathered, self._keys.ravel(),
            np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32), self.dtype.type(dt),
            self.by_trial, self.n_trials, self.n_areas, self.blocks, self._draws,
            self._listed, self._starts, self._senders, self._delays, self._history.ravel(), self._slots,
            first_tile, last_tile, first_step, n_done, n_steps,
            noise_kind, given, self._driven, drive, every, self._recorded, record,
        )  # fmt: skip

    @property
    def compiled(self) -> bool:
        """Whether the kernel has been compiled before, by this process or an earlier one."""
        return build.compiled_before(self._advance)

    def _states(self):
        return self._buffer[:, :, : len(self.layout.state), :]

    def finite(self) -> bool:
        """Whether the state of every lane is finite."""
        return bool(np.isfinite(self._states()).all())

    def first_bad(self) -> tuple[int, int, int]:
        """Return (trial, state variable, area) of the first lane that is not finite."""
        tile, block, variable, lane = np.argwhere(~np.isfinite(self._states()))[0]
        return int(self._trial[tile, block, lane]), int(variable), int(self._area[tile, block, lane])

    def state(self):
        """Return the state (trial, state, area)."""
        out = np.empty((self.n_trials, len(self.layout.state), self.n_areas), self.dtype)
        real = ~self._padding
        out[self._trial[real], :, self._area[real]] = np.moveaxis(self._states(), 2, 3)[real]
        return out

    def extras(self):
        """Return what a result has besides, arrays with the trials first, by name."""
        return {}

    def copy(self):
        """Return a copy of the state and its past, for `restore`."""
        return self._states().copy(), self._history.copy()

    def restore(self, copy) -> None:
        """Go back to a copy of the state and its past."""
        self._states()[...], self._history[...] = copy
