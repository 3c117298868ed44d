"""Forward and backward pass of one gated network through a batch of trials, on flat buffers.

This text is compiled behind the head of `loops`, whose readout, noise and products it imports: see `build`. Rows and
lines are those of `loops`. A step keeps `SLOTS` rows in `gates`, one behind the other,

    GRU:  r, z, n, q        q = W_n h + b_n,  n = tanh(x_n + r q),        h' = n + z (h - n)
    LSTM: i, f, g, o, s     c' = f c + i g,   s = tanh(c'),               h' = o s

and the drives x of all epochs stand gate by gate. `rates` is h, `cells` is c. A skip mixes h and c with those of the
step at which it set out, and a strategic skip with those at the start of the task-trial.
"""

# mypy: ignore-errors
# ruff: noqa: F821
# fmt: off
from numba import njit

from cortexsim.kernel.maths import FLAGS, absolute, exp, inline, tanh, where
from cortexsim.kernel.simd import load, spread, store


@inline
def _logistic(x):
    return 1.0 / (exp(-x) + 1.0)


@inline
def _copy(a, at, b, row):
    for i in range(0, row, WIDTH):
        store(b, i, load(a, at + i, WIDTH))


@inline
def _shock(y, noise, keys, mask, i, row, tick, sigma, keep, kick):
    """Return y with the noise, which goes one step on; padding gets none."""
    eta = load(noise, i, WIDTH)
    store(noise, i, keep * eta + kick * random_step(keys, i, row, tick))
    return y + sigma * (eta * load(mask, i, WIDTH))


@inline
def _gru(
    rates, gates, drive, bias_rec, mask, noise, keys, now, after, at, base, gate, row, tick, noisy, sigma, keep, kick,
):
    """Complete the gates, and take the noise and the state one step on."""
    for i in range(0, row, WIDTH):
        r = _logistic(load(gates, at + i, WIDTH) + load(drive, base + i, WIDTH))
        z = _logistic(load(gates, at + row + i, WIDTH) + load(drive, base + gate + i, WIDTH))
        q = load(gates, at + 2 * row + i, WIDTH) + load(bias_rec, i, WIDTH)
        y = load(drive, base + 2 * gate + i, WIDTH) + r * q
        if noisy:
            y = _shock(y, noise, keys, mask, i, row, tick, sigma, keep, kick)
        n = tanh(y)
        store(gates, at + i, r)
        store(gates, at + row + i, z)
        store(gates, at + 2 * row + i, n)
        store(gates, at + 3 * row + i, q)
        store(rates, after + i, n + z * (load(rates, now + i, WIDTH) - n))


@inline
def _lstm(
    cells, rates, gates, drive, mask, noise, keys, now, after, at, base, gate, row, tick, noisy, sigma, keep, kick,
):
    for j in range(0, row, WIDTH):
        i = _logistic(load(gates, at + j, WIDTH) + load(drive, base + j, WIDTH))
        f = _logistic(load(gates, at + row + j, WIDTH) + load(drive, base + gate + j, WIDTH))
        y = load(gates, at + 2 * row + j, WIDTH) + load(drive, base + 2 * gate + j, WIDTH)
        if noisy:
            y = _shock(y, noise, keys, mask, j, row, tick, sigma, keep, kick)
        g = tanh(y)
        o = _logistic(load(gates, at + 3 * row + j, WIDTH) + load(drive, base + 3 * gate + j, WIDTH))
        c = f * load(cells, now + j, WIDTH) + i * g
        s = tanh(c)
        store(gates, at + j, i)
        store(gates, at + row + j, f)
        store(gates, at + 2 * row + j, g)
        store(gates, at + 3 * row + j, o)
        store(gates, at + 4 * row + j, s)
        store(cells, after + j, c)
        store(rates, after + j, o * s)


@njit(nogil=True, error_model="numpy", fastmath=FLAGS, cache=True)
def forward(
    inputs, in_weights, bias, bias_rec, n_channels, n_into, scratch, cells, rates, gates, weights, drive, mask, noise,
    keys, past, past_cells, trial_start, trial_start_cells, lengths, ends_trial, n_epochs, first_epoch, last_epoch, t,
    tick, stored, n_units, line, n_trials, n_gates, slots, lstm, sigma, keep, kick, skip, beta, strategic,
):
    """Advance over some epochs from row t of `cells` and `rates`; `gates` takes the gates. Return t.

    `weights` is W transposed, gate by gate; `tick` counts the steps of the noise. A gate has n_epochs in `drive`.
    Without `stored` only two rows are used, in turn.
    """
    row = n_trials * line
    gate, square = n_epochs * row, line * line
    for k in range(n_gates):
        _drives(
            inputs, in_weights[k * n_channels * n_into :], bias[k * line :], first_epoch, last_epoch, n_trials,
            n_channels, n_into, 0, line, scratch, drive[k * gate :],
        )
    if strategic < 1.0 and t == 0:
        _copy(rates, 0, trial_start, row)
        _copy(cells, 0, trial_start_cells, row)
    for epoch in range(first_epoch, last_epoch):
        base = epoch * row
        for local in range(lengths[epoch]):
            now, at = (t * row, t * slots * row) if stored else ((t & 1) * row, 0)
            after = now + row if stored else row - now
            if skip > 0 and local % skip == 0:
                _copy(rates, now, past, row)
                _copy(cells, now, past_cells, row)
            for k in range(n_gates):
                multiply(
                    rates, now, line, 1, weights, k * square, line, gates, at + k * row, line, n_trials, line, n_units,
                    False,
                )
            if lstm:
                _lstm(
                    cells, rates, gates, drive, mask, noise, keys, now, after, at, base, gate, row, tick, sigma > 0.0,
                    sigma, keep, kick,
                )
            else:
                _gru(
                    rates, gates, drive, bias_rec, mask, noise, keys, now, after, at, base, gate, row, tick,
                    sigma > 0.0, sigma, keep, kick,
                )
            if skip > 0 and (local + 1) % skip == 0:
                _mix(rates, after, past, beta, row)
                if lstm:
                    _mix(cells, after, past_cells, beta, row)
            if strategic < 1.0 and ends_trial[epoch] and local == lengths[epoch] - 1:
                _mix(rates, after, trial_start, strategic, row)
                _copy(rates, after, trial_start, row)
                if lstm:
                    _mix(cells, after, trial_start_cells, strategic, row)
                    _copy(cells, after, trial_start_cells, row)
            t += 1
            tick += 1
    return t


@inline
def _gather_gradient(rates, carry, into, by_output, now, j, row, penalty, activity, inside):
    """Set `carry` to the whole gradient of h after the step; return `activity` with |h| added."""
    price = spread(penalty, WIDTH)
    for i in range(0, row, WIDTH):
        g = load(carry, i, WIDTH) + load(into, i, WIDTH)
        h = load(rates, now + row + i, WIDTH)
        if inside:
            g = g + load(by_output, j + i, WIDTH)
        store(carry, i, g + (where(h > 0.0, price, 0.0) - where(h < 0.0, price, 0.0)))
        activity = activity + absolute(h)
    return activity


@inline
def _share(carry, waiting, beta, row):
    """Take a gradient back through a mix: what the past state gets waits for the step at which it set out."""
    for i in range(0, row, WIDTH):
        g = load(carry, i, WIDTH) + load(waiting, i, WIDTH)
        store(waiting, i, (ONE - beta) * g)
        store(carry, i, beta * g)


@inline
def _arrive(carry, waiting, row):
    for i in range(0, row, WIDTH):
        store(carry, i, load(carry, i, WIDTH) + load(waiting, i, WIDTH))
        store(waiting, i, spread(ZERO, WIDTH))


@inline
def _hand_on(deltas, d_drive, j, base, delta):
    store(deltas, j, delta)
    store(d_drive, base, load(d_drive, base, WIDTH) + delta)


@inline
def _gru_back(rates, gates, carry, deltas, d_drive, d_bias_rec, now, at, j, span, base, gate, row):
    for i in range(0, row, WIDTH):
        r, z = load(gates, at + i, WIDTH), load(gates, at + row + i, WIDTH)
        n, q = load(gates, at + 2 * row + i, WIDTH), load(gates, at + 3 * row + i, WIDTH)
        g = load(carry, i, WIDTH)
        dn = g * (1.0 - z) * (1.0 - n * n)
        dq = dn * r
        _hand_on(deltas, d_drive, j + i, base + i, dq * q * (1.0 - r))
        _hand_on(
            deltas, d_drive, j + span + i, base + gate + i, g * (load(rates, now + i, WIDTH) - n) * z * (1.0 - z)
        )
        store(deltas, j + 2 * span + i, dq)
        store(d_bias_rec, i, load(d_bias_rec, i, WIDTH) + dq)
        at_n = base + 2 * gate + i
        store(d_drive, at_n, load(d_drive, at_n, WIDTH) + dn)
        store(carry, i, g * z)


@inline
def _lstm_back(cells, gates, carry, carry_cells, deltas, d_drive, now, at, j, span, base, gate, row):
    for k in range(0, row, WIDTH):
        i, f = load(gates, at + k, WIDTH), load(gates, at + row + k, WIDTH)
        g, o = load(gates, at + 2 * row + k, WIDTH), load(gates, at + 3 * row + k, WIDTH)
        s = load(gates, at + 4 * row + k, WIDTH)
        dh = load(carry, k, WIDTH)
        dc = load(carry_cells, k, WIDTH) + dh * o * (1.0 - s * s)
        _hand_on(deltas, d_drive, j + k, base + k, dc * g * i * (1.0 - i))
        _hand_on(
            deltas, d_drive, j + span + k, base + gate + k, dc * load(cells, now + k, WIDTH) * f * (1.0 - f)
        )
        _hand_on(deltas, d_drive, j + 2 * span + k, base + 2 * gate + k, dc * i * (1.0 - g * g))
        _hand_on(deltas, d_drive, j + 3 * span + k, base + 3 * gate + k, dh * s * o * (1.0 - o))
        store(carry, k, spread(ZERO, WIDTH))
        store(carry_cells, k, dc * f)


@njit(nogil=True, error_model="numpy", fastmath=FLAGS, cache=True)
def backward(
    cells, rates, gates, weights, carry, carry_cells, into, by_output, deltas, waiting, waiting_cells, waiting_trial,
    waiting_trial_cells, lengths, ends_trial, n_epochs, n_steps, block, n_units, line, n_trials, n_gates, slots, lstm,
    starts, stops, target, weight, n_windows, out_weights, out_weights_t, bias, read, logits, by_read, n_from, n_out,
    pad, kind, with_bias, penalties, skip, beta, strategic, d_weights, d_drive, d_bias_rec, d_out_weights, d_out_bias,
    losses, inputs, n_channels, n_into, d_inputs, d_bias,
):
    """Add the gradients to d_*, and the loss to `losses`; what is read is what `forward` left behind."""
    row = n_trials * line
    gate, span, square = n_epochs * row, block * row, line * line
    n_rows = -(-n_units // 4) * 4
    epoch, window = n_epochs, n_windows - 1
    epoch_start = t1 = n_steps
    length = 0
    while t1 > 0:
        while epoch_start >= t1:
            epoch -= 1
            length = lengths[epoch]
            epoch_start -= length
        while window >= 0 and starts[window] >= t1:
            window -= 1
        t0 = max(t1 - block, epoch_start)
        inside = window >= 0 and stops[window] >= t1
        if window >= 0:
            t0 = max(t0, starts[window] if inside else stops[window])
        if inside:
            _read_back(
                rates, t0, t1 - t0, n_trials, line, out_weights, out_weights_t, bias, target, weight, window, read,
                logits, by_read, by_output, 0, n_from, n_out, pad, kind, with_bias, d_out_weights, d_out_bias, losses,
            )
        penalty = penalties[epoch]
        activity = spread(ZERO, WIDTH)
        base = epoch * row
        for t in range(t1 - 1, t0 - 1, -1):
            local = t - epoch_start
            now, at, j = t * row, t * slots * row, (t - t0) * row
            activity = _gather_gradient(rates, carry, into, by_output, now, j, row, penalty, activity, inside)
            if strategic < 1.0 and ends_trial[epoch] and local == length - 1:
                _share(carry, waiting_trial, strategic, row)
                if lstm:
                    _share(carry_cells, waiting_trial_cells, strategic, row)
            if skip > 0 and (local + 1) % skip == 0:
                _share(carry, waiting, beta, row)
                if lstm:
                    _share(carry_cells, waiting_cells, beta, row)
            if lstm:
                _lstm_back(cells, gates, carry, carry_cells, deltas, d_drive, now, at, j, span, base, gate, row)
            else:
                _gru_back(rates, gates, carry, deltas, d_drive, d_bias_rec, now, at, j, span, base, gate, row)
            if skip > 0 and local % skip == 0:
                _arrive(carry, waiting, row)
                if lstm:
                    _arrive(carry_cells, waiting_cells, row)
            if t > 0:
                for k in range(n_gates):
                    multiply(
                        deltas, k * span + j, line, 1, weights, k * square, line, into, 0, line, n_trials, line,
                        n_units, k > 0,
                    )
        for k in range(n_gates):
            multiply(
                deltas, k * span, 1, line, rates, t0 * row, line, d_weights, k * square, line, n_rows, line,
                (t1 - t0) * n_trials, True,
            )
        store(losses, 0, load(losses, 0, WIDTH) + penalty * activity)
        t1 = t0
    for k in range(n_gates):
        _input_gradients(
            inputs, d_drive[k * gate :], n_epochs, n_trials, n_channels, n_into, 0, line,
            d_inputs[k * n_channels * n_into :], d_bias[k * line :],
        )
