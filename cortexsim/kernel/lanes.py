"""The buffers of a run: labelled arrays go in and come out, floats in lanes lie between."""

# mypy: ignore-errors
from __future__ import annotations

import hashlib

import numpy as np

from cortexsim.kernel import build, source


class Lanes:
    """State, parameters, weights and noise keys of a run, laid out for the kernel (see `source`).

    Parameters
    ----------
    model
        Anything with `areas`, `circuit`, `parameters(trials)` and `weights()`.
    trials
        Numbers of the trials, the noise's key.
    channels
        (area, input) pairs that the stimulus drives.
    record
        State variables to record.
    dtype
        float64 or float32.
    start
        State (trial, state, area) to start from; None: the circuit's initial values.
    """

    def __init__(self, model, trials, channels, record, dtype, start):
        circuit, areas = model.circuit, model.areas
        by_trial, by_area = model.parameters(len(trials))
        self._advance, self.layout = build.advance(type(circuit), tuple(sorted(by_area)), str(dtype))
        self.dtype = dtype
        self.width = source.width(dtype)
        self.n_areas, self.n_trials = len(areas), len(trials)
        area_blocks = -(-self.n_areas // self.width)
        trial_tiles = -(-self.n_trials // self.width)
        # Lanes are areas of one trial, unless trials fill them better.
        self.by_trial = self.n_areas * trial_tiles < self.n_trials * area_blocks
        self.tiles = trial_tiles if self.by_trial else self.n_trials
        self.blocks = self.n_areas if self.by_trial else area_blocks
        self.count = self.tiles * self.blocks * self.width
        per_draw = source.blocks_per_draw(dtype)
        self._draws = -(-self.blocks // per_draw)
        # Which trial and area each lane holds; lanes of the padding repeat the last one.
        tile, block, lane = np.ix_(range(self.tiles), range(self._draws * per_draw), range(self.width))
        if self.by_trial:
            trial, area = tile * self.width + lane + 0 * block, block + 0 * (tile + lane)
        else:
            trial, area = tile + 0 * (block + lane), block * self.width + lane + 0 * tile
        self._padding = (trial >= self.n_trials) | (area >= self.n_areas)
        self._trial, self._area = np.minimum(trial, self.n_trials - 1), np.minimum(area, self.n_areas - 1)

        self._buffer = np.zeros((*trial.shape[:2], self.layout.fields, self.width), dtype)
        if start is None:
            initial = np.array([v.initial for v in circuit.state])
            start = np.broadcast_to(initial[:, np.newaxis], (self.n_trials, len(initial), self.n_areas))
        self._fill("state", [start[:, k] for k in range(len(circuit.state))])
        self._fill("area_parameters", [by_area[name] for name in self.layout.area_parameters])
        self._tables = self._tile_parameters(by_trial)
        self._weights = self._long_range(model.weights())
        self._keys = self._noise_keys(np.asarray(trials, dtype=np.uint32), areas)
        index, inputs = {a: k for k, a in enumerate(areas)}, {v.name: v for v in circuit.inputs}
        self._driven = np.array(
            [self._place(index[a], self.layout.field("inputs", i)) for a, i in channels], dtype=np.int64
        )
        self.scale = np.array([inputs[i].scale for _, i in channels])
        self._recorded = np.array([self.layout.field("state", name) for name in record], dtype=np.int64)

    def _fill(self, group, values):
        """Put arrays (trial, area) into the fields of a group."""
        first = self.layout.first[group]
        for k, value in enumerate(values):
            self._buffer[:, :, first + k, :] = value[self._trial, self._area]

    def _tile_parameters(self, by_trial):
        tables = np.zeros((self.tiles, max(len(self.layout.parameters), 1), self.width), self.dtype)
        for k, name in enumerate(self.layout.parameters):
            tables[:, k, :] = by_trial[name][self._trial[:, 0, :]]
        return tables

    def _long_range(self, weights):
        """Lay each matrix out as the product reads it: by target and source, or by block of targets, source, lane."""
        names = dict.fromkeys(p.weights for p in self.layout.circuit.pathways)
        if self.by_trial:
            laid = [weights[name] for name in names]
        else:
            padded = np.zeros((len(names), self.blocks * self.width, self.n_areas))
            for k, name in enumerate(names):
                padded[k, : self.n_areas] = weights[name]
            laid = [m.reshape(self.blocks, self.width, self.n_areas).swapaxes(1, 2) for m in padded]
        return np.concatenate([np.ravel(m) for m in laid] or [np.zeros(1)]).astype(self.dtype)

    def _noise_keys(self, trials, areas):
        digests = [int.from_bytes(hashlib.blake2b(a.encode(), digest_size=6).digest(), "little") for a in areas]
        low, high = (
            np.array(part, np.uint32) for part in zip(*((d & 0xFFFFFFFF, d >> 32) for d in digests), strict=True)
        )
        by_draw = (self.tiles, self._draws, -1)
        keys = [k.reshape(by_draw) for k in (trials[self._trial], low[self._area], high[self._area])]
        return np.ascontiguousarray(np.stack(keys, axis=2))

    def _place(self, area, field):
        block, lane = (area, 0) if self.by_trial else divmod(area, self.width)
        return (block * self.layout.fields + field) * self.width + lane

    def advance(
        self, first_tile, last_tile, dt, seed, first_step, n_done, n_steps, noise_kind, given, drive, every, record
    ):
        """Make `n_steps` Euler steps of some tiles; see `source.source_text` for the arguments."""
        sources = len({p.source for p in self.layout.circuit.pathways})
        gathered = np.empty(max(sources, 1) * self.blocks * self.width, self.dtype)
        self._advance(
            self._buffer.ravel(), self._tables.ravel(), self._weights, gathered, self._keys.ravel(),
            np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32), self.dtype.type(dt),
            self.by_trial, self.n_trials, self.n_areas, self.blocks, self._draws,
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

    def copy(self):
        """Return a copy of the state, for `restore`."""
        return self._states().copy()

    def restore(self, copy) -> None:
        """Go back to a copy of the state."""
        self._states()[...] = copy
