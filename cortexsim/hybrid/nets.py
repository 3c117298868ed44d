"""The networks of a hybrid as the compiled loops take them: where everything lies, padded weights, buffers."""

# mypy: ignore-errors
from __future__ import annotations

import hashlib

import numpy as np

from cortexsim.hybrid.kernel import COLUMNS, TOLD
from cortexsim.rnn.network import ACTIVATIONS, activate

SLACK = 64  # numbers that a register may read past the end of a buffer


def _zeros(size, dtype):
    return np.zeros(size + SLACK, dtype)[:size]


class Nets:
    """Where the networks' rows, lines and weights lie, for tiles of `width` trials.

    Parameters
    ----------
    hybrid
        With the networks.
    layout
        Of the cortex's fields.
    dt
        Of the networks, in ms: under coarse discretisation longer than their own.
    """

    def __init__(self, hybrid, layout, dt):
        self.hybrid, self.layout, self.width, self.dtype = hybrid, layout, layout.width, np.dtype(layout.dtype)
        circuit, areas = hybrid.circuit, hybrid.areas
        n, size = self.width, self.dtype.itemsize
        self.which = np.full(len(areas), -1, np.int64)
        self.apart = any(e.network.form == "current" for e in hybrid.embedded.values())
        columns, kinds, sources, rows, tables, reals, leaks = [], [], [], [], [], [], []
        at = dict.fromkeys(COLUMNS, 0)
        for e, (area, embedding) in enumerate(hybrid.embedded.items()):
            network = embedding.network
            self.which[areas.index(area)] = e
            received = hybrid.channels(area)
            line = 4 * -(-network.units // 4)
            while line * n % 16 or line * size % 1024 == 0:
                line += 4
            padded = 4 * -(-len(received) // 4)
            columns.append(
                at
                | {
                    "UNITS": network.units, "LINE": line, "RATE_FORM": int(network.form == "rate"),
                    "ACTIVATION": ACTIVATIONS.index(network.activation), "BLOCK": areas.index(area),
                    "PADDED": padded, "CHANNELS": len(received), "NUMBER": e, "APART": int(self.apart),
                }
            )  # fmt: skip
            steps = {"W_AT": line * line, "P_AT": padded * line, "READ_AT": line * TOLD, "ROW_AT": n * line}
            for name, step in (steps | {"IN_AT": n * padded, "FIRST": len(received)}).items():
                at[name] += step
            for channel in received:
                far = channel.weights is not None
                kinds.append(0 if far else 1)
                sources.append(layout.field("state" if far else "inputs", channel.source) * n)
                rows.append(len(tables) if far else 0)
                if far:
                    tables.append(channel.weights)
            decay = dt / network.tau_noise
            reals.append([network.noise, 1 - decay, np.sqrt(2 * decay)])
            leak = np.zeros(line)
            leak[: network.units] = network.leak(dt)
            leaks.append(np.tile(leak, n))
        self.table = np.array([[column[name] for name in COLUMNS] for column in columns], np.int64)
        self.total = at
        self.kinds, self.sources, self.rows = (np.array(v, np.int64) for v in (kinds, sources, rows))
        self.tables = np.array(tables, self.dtype).reshape(-1, len(areas))
        self.reals = np.array(reals, self.dtype)
        self.leak = np.concatenate([*leaks, np.zeros(SLACK)]).astype(self.dtype)
        self.row = at["ROW_AT"]
        self.told = circuit.excitatory + circuit.inhibitory

    def of(self, e, name):
        """Return a column of a network."""
        return int(self.table[e, COLUMNS.index(name)])

    def weights(self, stack, k):
        """Return the weights of network k of a stack, padded, and transposed for the products that read them so."""
        total, out = self.total, {}
        for name, column in (("W", "W_AT"), ("W_t", "W_AT"), ("P", "P_AT"), ("P_t", "P_AT"), ("read", "READ_AT")):
            out[name] = _zeros(total[column], self.dtype)
        out["read_t"], out["bias"] = _zeros(total["READ_AT"], self.dtype), _zeros(self.row, self.dtype)
        for e, area in enumerate(self.hybrid.embedded):
            units, line, padded = (self.of(e, c) for c in ("UNITS", "LINE", "PADDED"))
            W, bias, into = (stack.of(f"{name} {area}")[k] for name in ("W_rec", "bias", "into"))
            self._part(out["W"], e, "W_AT", line)[:units, :units] = W
            self._part(out["W_t"], e, "W_AT", line)[:units, :units] = W.T
            self._part(out["P"], e, "P_AT", line)[: into.shape[1], :units] = into.T
            self._part(out["P_t"], e, "P_AT", padded, line)[:units, : into.shape[1]] = into
            self._part(out["read"], e, "READ_AT", TOLD, line)[:units, : len(self.told)] = self.readout(stack, k, area).T
            self._part(out["read_t"], e, "READ_AT", line)[: len(self.told), :units] = self.readout(stack, k, area)
            out["bias"][self.rows_of(e)].reshape(self.width, line)[:, :units] = bias
        return out

    def _part(self, flat, e, column, width, height=None):
        """Return the part of a network as a table with lines of `width`."""
        first = self.of(e, column)
        if height is None:
            height = {"W_AT": self.of(e, "LINE"), "P_AT": self.of(e, "PADDED"), "READ_AT": TOLD}[column]
        return flat[first : first + width * height].reshape(height, width)

    def readout(self, stack, k, area):
        """Return what units give to the rates of their area, (rate, unit), in Hz."""
        embedding = self.hybrid.embedded[area]
        omega = embedding.rate * stack.of(f"omega {area}")[k]
        told = np.zeros((len(self.told), omega.shape[1]), omega.dtype)
        told[: len(omega)] = omega
        if len(self.told) > len(omega) and embedding.inhibitory.size:
            told[len(omega), embedding.inhibitory] = embedding.rate / embedding.inhibitory.size
        return told

    def rows_of(self, e):
        """Return where the row of a network lies among those of all."""
        first = self.of(e, "ROW_AT")
        return slice(first, first + self.width * self.of(e, "LINE"))

    def path_of(self, flat, e, steps):
        """Return the path of a network in a buffer of all paths: (steps, trial, line)."""
        line = self.of(e, "LINE")
        first = self.of(e, "ROW_AT") * steps
        return flat[first : first + steps * self.width * line].reshape(steps, self.width, line)

    def part_of(self, flat, e, name):
        """Return weights, or their gradient, of a network: W (unit, unit), P (channel, unit)."""
        return self._part(flat, e, {"W": "W_AT", "P": "P_AT"}[name], self.of(e, "LINE"))


class Desk:
    """The buffers of a tile: paths of the networks over `steps` of their steps, and what goes on between them."""

    def __init__(self, nets, steps):
        self.nets, self.steps = nets, steps
        zeros, row, total = _zeros, nets.row, nets.total
        dtype = nets.dtype
        self.states = zeros((steps + 1) * row, dtype)
        self.rates = zeros((steps + 1) * row, dtype) if nets.apart else self.states
        self.targets = zeros((steps + 1) * row, dtype)
        self.streams = zeros(max(steps, 1) * total["IN_AT"], dtype)
        self.noise, self.ahead = zeros(row, dtype), zeros(row, dtype)
        self.keys = np.zeros(2 * row + SLACK, np.uint32)
        self.collected = zeros(total["FIRST"] * nets.width, dtype)
        self.heard = zeros(len(nets.table) * TOLD * nets.width, dtype)
        widest = max(nets.of(e, "LINE") for e in range(len(nets.table)))
        most = max(nets.of(e, "PADDED") for e in range(len(nets.table)))
        self.pushed = zeros(nets.width * max(widest, most, TOLD), dtype)
        self.held = zeros(nets.width * TOLD, dtype)

    def start(self, module, weights, trials, seed, network=0, units=None):
        """Set the networks to their start, and their noise to that of the trials.

        Parameters
        ----------
        module
            With `start_noise` and `tell`.
        weights
            What `Nets.weights` gave.
        trials
            Number of each lane's trial: the noise's key, with the seed, the area, and the number of the network.
        units
            States, noise and rates (trial, 3, unit) to start from; None: the embeddings' own.
        """
        nets, first = self.nets, 0
        for e, (area, embedding) in enumerate(nets.hybrid.embedded.items()):
            network_, n = embedding.network, embedding.network.units
            own = slice(first, first + n)
            state = nets.path_of(self.states, e, self.steps + 1)[0]
            state[:] = 0
            if units is None:
                state[:, :n] = nets.hybrid.initial(area)
            else:
                state[:, :n] = units[:, 0, own]
            rates = nets.path_of(self.rates, e, self.steps + 1)[0]
            rates[:] = state
            if network_.form == "current":
                at_rest = {"relu": 0.0, "tanh": 0.0, "softplus": np.log(2.0), "sigmoid": 0.5}[network_.activation]
                rates[:] = at_rest
                # What another program activates may differ in the last bit
                rates[:, :n] = activate(state[:, :n], network_.activation) if units is None else units[:, 2, own]
            self._start_noise(module, e, area, trials, seed, network, None if units is None else units[:, 1, first:])
            module.tell(
                nets.table[e], nets.path_of(self.rates, e, self.steps + 1)[:1].ravel(), 0, weights["read"], self.held,
                self.heard,
            )  # fmt: skip
            first += n
        self.collected[:] = 0

    def _start_noise(self, module, e, area, trials, seed, network, noise):
        nets = self.nets
        line, units, rows = nets.of(e, "LINE"), nets.of(e, "UNITS"), nets.rows_of(e)
        padded = 8 * -(-line // 8)
        lines, one, words = (
            np.arange(padded, dtype=np.uint32),
            _zeros(padded, nets.dtype),
            np.zeros(2 * padded + SLACK, np.uint32),
        )
        key = int.from_bytes(hashlib.blake2b(area.encode(), digest_size=4).digest(), "little") ^ network
        eta = self.noise[rows].reshape(nets.width, line)
        own = self.keys[2 * rows.start : 2 * rows.stop].reshape(2, nets.width, line)
        for lane, trial in enumerate(trials):
            module.start_noise(
                one, words, padded, lines, np.uint32(trial), np.uint32(key), np.uint32(seed & 0xFFFFFFFF),
                np.uint32(seed >> 32 & 0xFFFFFFFF),
            )  # fmt: skip
            eta[lane] = one[:line]
            own[:, lane] = words[: 2 * padded].reshape(2, padded)[:, :line]
        if noise is not None:
            eta[:, :units] = noise[:, :units]

    def go_on(self, row):
        """Let the paths start from where they are at a row."""
        nets = self.nets
        for e in range(len(nets.table)):
            for path in (self.states, self.rates)[: 1 if self.rates is self.states else 2]:
                steps = nets.path_of(path, e, self.steps + 1)
                steps[0] = steps[row]
