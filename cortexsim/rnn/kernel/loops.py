"""Forward and backward pass of one network through a batch of trials, on flat buffers.

This text is compiled behind a head that defines WIDTH, ZERO, ONE, TINY, FLOAT and `multiply` for one precision and
machine: see `build`. A row is the state of all units in all trials of a batch, unit by unit within trial by trial:
`row` numbers, a multiple of 16, in lines of `line` units. Lines are padded with units that never leave 0.

With x the state, r the rate of a unit (rate form: r = x; current form: r = f(x)), and c the input of an epoch,

    y_t = f(W r_t + c + sigma eta_t)     (rate form)        y_t = W r_t + c + sigma eta_t     (current form)
    x_{t+1} = x_t + a (y_t - x_t) .

A skip connection every `skip` steps of an epoch mixes the state with u, which was set out before:

    x_{t+1} <- beta x_{t+1} + (1 - beta) u ,     then     u <- x + lead du .

u starts from the first state of the epoch. du is that of the step which leaves the state x; with `stale`, after a mix,
that of the step before it. A strategic skip does the same from the start to the end of a task-trial, without a lead.
"""

# mypy: ignore-errors
# ruff: noqa: F821
# fmt: off
import numpy as np
from numba import njit

from cortexsim.kernel.maths import FLAGS, absolute, exp, inline, log, maximum, tanh, where
from cortexsim.kernel.random import box_muller, philox
from cortexsim.kernel.simd import as_signed, load, spread, store, to_float32

RELU, TANH, SOFTPLUS, SIGMOID = 0, 1, 2, 3
LOGISTIC, LINEAR, SOFTMAX = 0, 1, 2


@inline
def activate(x, activation):
    """Return f(x)."""
    if activation == RELU:
        return maximum(x, 0.0)
    if activation == TANH:
        return tanh(x)
    if activation == SOFTPLUS:
        return maximum(x, 0.0) + log(exp(-absolute(x)) + 1.0)
    return 1.0 / (exp(-x) + 1.0)


@inline
def times_slope(g, f, activation):
    """Return g f'(x), from the value f of f(x)."""
    if activation == RELU:
        return where(f > 0.0, g, 0.0)
    if activation == TANH:
        return g * (1.0 - f * f)
    if activation == SOFTPLUS:
        return g * (1.0 - exp(-f))
    return g * f * (1.0 - f)


@njit(nogil=True, error_model="numpy", fastmath=FLAGS, cache=True)
def start_noise(noise, keys, row, lines, batch, network, key_low, key_high):
    """Put standard normals into `noise`, and two words for each unit of each trial into `keys`, the second odd."""
    c1, c2, c3 = spread(np.uint32(batch), 8), spread(np.uint32(network), 8), spread(np.uint32(0), 8)
    for i in range(0, row, 8):
        w0, w1, w2, w3 = philox(load(lines, i, 8), c1, c2, c3, key_low, key_high)
        store(noise, i, FLOAT(box_muller(w0, w1)[0]))
        store(keys, i, w2)
        store(keys, row + i, w3 | np.uint32(1))


_MEAN, _SCALE = 8 * 7.5, (8 * (16**2 - 1) / 12) ** -0.5


@inline
def random_step(keys, i, row, tick):
    """Return numbers of mean 0 and variance 1, near to normal: each the sum of eight uniform numbers of 4 bits.

    The bits are a hash of key + tick * odd key, the same for a step in whatever order it is asked for. The sum's excess
    kurtosis is -.15, and -.008 in what a filter of 20 steps makes of it.
    """
    x = load(keys, i, WIDTH) + load(keys, row + i, WIDTH) * np.uint32(tick)
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    x = x ^ (x >> np.uint32(16))
    fours = np.uint32(0x0F0F0F0F)
    x = ((x & fours) + ((x >> np.uint32(4)) & fours)) * np.uint32(0x01010101)
    return (FLOAT(to_float32(as_signed(x >> np.uint32(24)))) - _MEAN) * _SCALE


@inline
def _drives(
    inputs, weights, bias, first_epoch, last_epoch, n_trials, n_channels, n_into, first_into, line, scratch, drive,
):
    """Set drive[epoch, row] = bias + P inputs[epoch, trial, channel]; `weights` is P transposed, [channel, unit]."""
    first, n_lines = first_epoch * n_trials, (last_epoch - first_epoch) * n_trials
    multiply(
        inputs, first * n_channels, n_channels, 1, weights, 0, n_into, scratch, 0, n_into, n_lines, n_into,
        n_channels, False,
    )
    for k in range(n_lines):
        start = (first + k) * line
        for i in range(0, line, 4):
            store(drive, start + i, load(bias, i, 4))
        for i in range(0, n_into, 4):
            at = start + first_into + i
            store(drive, at, load(drive, at, 4) + load(scratch, k * n_into + i, 4))


@njit(nogil=True, error_model="numpy", fastmath=FLAGS, cache=True)
def forward(
    inputs, in_weights, bias, n_channels, n_into, first_into, scratch, states, rates, targets, weights, drive, leak,
    noise, keys, ahead, trial_start, lengths, ends_trial, first_epoch, last_epoch, t, tick, stored, n_units, line,
    n_trials, rate_form, activation, sigma, keep, kick, skip, beta, lead, stale, strategic,
):
    """Advance over some epochs from row t of `states` and `rates`; `targets` takes y. Return t.

    `weights` is W transposed. `tick` counts the steps of the noise. Without `stored` only two rows are used, in turn.
    """
    row = n_trials * line
    _drives(
        inputs, in_weights, bias, first_epoch, last_epoch, n_trials, n_channels, n_into, first_into, line, scratch,
        drive,
    )
    if strategic < 1.0 and t == 0:
        for i in range(row):
            trial_start[i] = states[i]
    for epoch in range(first_epoch, last_epoch):
        fresh = True
        base = epoch * row
        for local in range(lengths[epoch]):
            now, at = (t * row, t * row) if stored else ((t & 1) * row, 0)
            after = now + row if stored else row - now
            multiply(rates, now, line, 1, weights, 0, line, targets, at, line, n_trials, line, n_units, False)
            # The usual kind of network has its own copy of the loop, compiled without any branches.
            if rate_form and activation == RELU and sigma > 0.0:
                _relax(
                    states, targets, drive, leak, noise, keys, now, after, at, base, row, tick, True, RELU, True,
                    sigma, keep, kick,
                )
            else:
                _relax(
                    states, targets, drive, leak, noise, keys, now, after, at, base, row, tick, rate_form, activation,
                    sigma > 0.0, sigma, keep, kick,
                )
            if skip > 0:
                if fresh:
                    _look_ahead(ahead, states, now, targets, at, states, now, leak, lead, row)
                    fresh = False
                if (local + 1) % skip == 0:
                    _mix(states, after, ahead, beta, row)
                    if stale:
                        _look_ahead(ahead, states, after, targets, at, states, now, leak, lead, row)
                    fresh = not stale
            if strategic < 1.0 and ends_trial[epoch] and local == lengths[epoch] - 1:
                _mix(states, after, trial_start, strategic, row)
                for i in range(row):
                    trial_start[i] = states[after + i]
            if not rate_form:
                for i in range(0, row, WIDTH):
                    store(rates, after + i, activate(load(states, after + i, WIDTH), activation))
            t += 1
            tick += 1
    return t


@inline
def _relax(
    states, targets, drive, leak, noise, keys, now, after, at, base, row, tick, rate_form, activation, noisy, sigma,
    keep, kick,
):
    """Complete y in `targets`, take the noise and the state one step on."""
    for i in range(0, row, WIDTH):
        y = load(targets, at + i, WIDTH) + load(drive, base + i, WIDTH)
        if noisy:
            eta = load(noise, i, WIDTH)
            y = y + sigma * eta
            store(noise, i, keep * eta + kick * random_step(keys, i, row, tick))
        if rate_form:
            y = activate(y, activation)
        x = load(states, now + i, WIDTH)
        store(targets, at + i, y)
        store(states, after + i, x + load(leak, i, WIDTH) * (y - x))


@inline
def _look_ahead(ahead, states, at, targets, y_at, before, x_at, leak, lead, row):
    """Set u = x + lead a (y - x'), with x' the state that y belongs to."""
    for i in range(0, row, WIDTH):
        du = load(leak, i, WIDTH) * (load(targets, y_at + i, WIDTH) - load(before, x_at + i, WIDTH))
        store(ahead, i, load(states, at + i, WIDTH) + lead * du)


@inline
def _mix(states, at, other, beta, row):
    for i in range(0, row, WIDTH):
        store(states, at + i, beta * load(states, at + i, WIDTH) + (ONE - beta) * load(other, i, WIDTH))


@inline
def _gather(rates, at, line, first_out, n_from, n_lines, read):
    """Copy the rates of the output units into `read`, close together."""
    for k in range(n_lines):
        for i in range(0, n_from, 4):
            store(read, k * n_from + i, load(rates, at + k * line + first_out + i, 4))


@inline
def _softmax(logits, at, n_out, pad):
    """Take the softmax of one line in place; the padding becomes 0."""
    top = logits[at]
    for k in range(1, n_out):
        top = max(top, logits[at + k])
    total = ZERO
    for k in range(n_out):
        logits[at + k] = np.exp(logits[at + k] - top)
        total += logits[at + k]
    for k in range(n_out):
        logits[at + k] /= total
    for k in range(n_out, pad):
        logits[at + k] = ZERO


@njit(nogil=True, error_model="numpy", fastmath=FLAGS, cache=True)
def read_out(
    rates, first, last, weights, bias, read, logits, n_trials, line, first_out, n_from, n_out, pad, kind, outputs,
):
    """Set outputs[t - first, trial, output] of the steps first ... last - 1, read from the rates after each step."""
    for t in range(first, last):
        _gather(rates, (t + 1) * n_trials * line, line, first_out, n_from, n_trials, read)
        multiply(read, 0, n_from, 1, weights, 0, pad, logits, 0, pad, n_trials, pad, n_from, False)
        for i in range(0, n_trials * pad, WIDTH):
            y = load(logits, i, WIDTH) + load(bias, i, WIDTH)
            if kind == LOGISTIC:
                y = 1.0 / (exp(-y) + 1.0)
            store(logits, i, y)
        for k in range(n_trials):
            if kind == SOFTMAX:
                _softmax(logits, k * pad, n_out, pad)
            for i in range(n_out):
                outputs[t - first, k, i] = logits[k * pad + i]


@inline
def _errors(logits, n_steps, n_trials, n_out, pad, bias, target, weight, window, kind, losses):
    """Replace logits by the gradient of the loss with respect to them; add the loss to `losses`, lane by lane."""
    line = n_trials * pad
    total, likelihood = spread(ZERO, WIDTH), ZERO  # of these steps by themselves: in one sum roundings add up
    for j in range(n_steps):
        for i in range(0, line, WIDTH):
            y = load(logits, j * line + i, WIDTH) + load(bias, i, WIDTH)
            w = load(weight, window * line + i, WIDTH)
            if kind == SOFTMAX:
                store(logits, j * line + i, y)
            else:
                if kind == LOGISTIC:
                    y = 1.0 / (exp(-y) + 1.0)
                error = y - load(target, window * line + i, WIDTH)
                total = total + 0.5 * w * error * error
                slope = w * error
                if kind == LOGISTIC:
                    slope = slope * y * (1.0 - y)
                store(logits, j * line + i, slope)
        if kind == SOFTMAX:
            for k in range(n_trials):
                at, wanted = j * line + k * pad, window * line + k * pad
                _softmax(logits, at, n_out, pad)
                for i in range(n_out):
                    p = logits[at + i]
                    likelihood += weight[wanted] * target[wanted + i] * np.log(max(p, TINY))
                    logits[at + i] = weight[wanted] * (p - target[wanted + i])
    store(losses, 0, load(losses, 0, WIDTH) + total)
    losses[WIDTH] -= likelihood


@inline
def _read_back(
    rates, t0, n_steps, n_trials, line, out_weights, out_weights_t, bias, target, weight, window, read, logits,
    by_read, by_output, first_out, n_from, n_out, pad, kind, with_bias, d_out_weights, d_out_bias, losses,
):
    """Set by_output[step, row], what the errors of some steps give back to the rates; add to loss and gradients."""
    n_lines = n_steps * n_trials
    _gather(rates, (t0 + 1) * n_trials * line, line, first_out, n_from, n_lines, read)
    multiply(read, 0, n_from, 1, out_weights_t, 0, pad, logits, 0, pad, n_lines, pad, n_from, False)
    if kind == LOGISTIC:
        _errors(logits, n_steps, n_trials, n_out, pad, bias, target, weight, window, LOGISTIC, losses)
    else:
        _errors(logits, n_steps, n_trials, n_out, pad, bias, target, weight, window, kind, losses)
    multiply(logits, 0, 1, pad, read, 0, n_from, d_out_weights, 0, n_from, pad, n_from, n_lines, True)
    if with_bias:
        for i in range(0, pad, 4):
            total = spread(ZERO, 4)
            for k in range(n_lines):
                total = total + load(logits, k * pad + i, 4)
            store(d_out_bias, i, load(d_out_bias, i, 4) + total)
    multiply(logits, 0, pad, 1, out_weights, 0, n_from, by_read, 0, n_from, n_lines, n_from, pad, False)
    for k in range(n_lines):
        for i in range(0, n_from, 4):
            store(by_output, k * line + first_out + i, load(by_read, k * n_from + i, 4))


@inline
def _relax_back(
    rates, targets, leak, carry, into, by_output, deltas, d_drive, waiting, waiting_trial, now, j, base, row, penalty,
    activity, beta, lead, stale, strategic, rate_form, activation, inside, mixes, sets_out, mixes_trial,
):
    """Take the gradient one step back; return `activity` with the rates after the step added."""
    price = spread(penalty, WIDTH)
    for i in range(0, row, WIDTH):
        g = load(into, i, WIDTH)
        r = load(rates, now + row + i, WIDTH)
        a = load(leak, i, WIDTH)
        if inside:
            g = g + load(by_output, j + i, WIDTH)
        # A look ahead may leave rates below 0 even with the ReLU
        g = g + (where(r > 0.0, price, 0.0) - where(r < 0.0, price, 0.0))
        activity = activity + where(a > 0.0, absolute(r), 0.0)
        if not rate_form:
            g = times_slope(g, r, activation)
        g = g + load(carry, i, WIDTH)
        e = g
        if mixes_trial:
            g = g + load(waiting_trial, i, WIDTH)
            store(waiting_trial, i, (ONE - strategic) * g)
            g = strategic * g
            e = g
        if mixes:
            p = load(waiting, i, WIDTH)
            g = g + p
            store(waiting, i, (ONE - beta) * g)
            g = beta * g
            e = g + lead * p if stale else g
        if sets_out:
            p = load(waiting, i, WIDTH)
            e = e + lead * p
            g = g + p
            store(waiting, i, spread(ZERO, WIDTH))
        d = a * e
        store(carry, i, g - d)
        if rate_form:
            d = times_slope(d, load(targets, now + i, WIDTH), activation)
        store(deltas, j + i, d)
        store(d_drive, base + i, load(d_drive, base + i, WIDTH) + d)
    return activity


@inline
def _input_gradients(inputs, d_drive, n_epochs, n_trials, n_channels, n_into, first_into, line, d_inputs, d_bias):
    """Add to d_inputs[unit, channel] and d_bias[unit] what the gradient of the drives gives."""
    for k in range(n_epochs * n_trials):
        for i in range(0, line, 4):
            store(d_bias, i, load(d_bias, i, 4) + load(d_drive, k * line + i, 4))
    multiply(
        d_drive, first_into, 1, line, inputs, 0, n_channels, d_inputs, 0, n_channels, n_into, n_channels, n_epochs *
        n_trials, True,
    )


@njit(nogil=True, error_model="numpy", fastmath=FLAGS, cache=True)
def backward(
    rates, targets, weights, leak, carry, into, by_output, deltas, waiting, waiting_trial, lengths, ends_trial,
    n_epochs, n_steps, block, n_units, line, n_trials, rate_form, activation, starts, stops, target, weight,
    n_windows, out_weights, out_weights_t, bias, read, logits, by_read, first_out, n_from, n_out, pad, kind,
    with_bias, penalties, skip, beta, lead, stale, strategic, d_weights, d_drive, d_out_weights, d_out_bias, losses,
    inputs, n_channels, n_into, first_into, d_inputs, d_bias,
):
    """Add the gradients to d_*, and the loss to `losses`; what is read is what `forward` left behind.

    g is the gradient with respect to the state after the step, `into` that with respect to the rates; `waiting` is the
    gradient that u has collected from the mix it went into.
    """
    row = n_trials * line
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
                logits, by_read, by_output, first_out, n_from, n_out, pad, kind, with_bias, d_out_weights, d_out_bias,
                losses,
            )
        penalty = penalties[epoch]
        activity = spread(ZERO, WIDTH)
        base = epoch * row
        for t in range(t1 - 1, t0 - 1, -1):
            local = t - epoch_start
            j = (t - t0) * row
            mixes = skip > 0 and (local + 1) % skip == 0
            sets_out = skip > 0 and (local == 0 if stale else local % skip == 0)
            mixes_trial = strategic < 1.0 and ends_trial[epoch] and local == length - 1
            # The usual kind of network has its own copies of the loop, compiled without any branches.
            plain = rate_form and activation == RELU and not (mixes or sets_out or mixes_trial)
            if plain and inside:
                activity = _relax_back(
                    rates, targets, leak, carry, into, by_output, deltas, d_drive, waiting, waiting_trial, t * row, j,
                    base, row, penalty, activity, beta, lead, stale, strategic, True, RELU, True, False, False, False,
                )
            elif plain:
                activity = _relax_back(
                    rates, targets, leak, carry, into, by_output, deltas, d_drive, waiting, waiting_trial, t * row, j,
                    base, row, penalty, activity, beta, lead, stale, strategic, True, RELU, False, False, False,
                    False,
                )
            else:
                activity = _relax_back(
                    rates, targets, leak, carry, into, by_output, deltas, d_drive, waiting, waiting_trial, t * row, j,
                    base, row, penalty, activity, beta, lead, stale, strategic, rate_form, activation, inside, mixes,
                    sets_out, mixes_trial,
                )
            if t > 0:
                multiply(deltas, j, line, 1, weights, 0, line, into, 0, line, n_trials, line, n_units, False)
        multiply(
            deltas, 0, 1, line, rates, t0 * row, line, d_weights, 0, line, n_rows, line, (t1 - t0) * n_trials, True,
        )
        store(losses, 0, load(losses, 0, WIDTH) + penalty * activity)
        t1 = t0
    _input_gradients(inputs, d_drive, n_epochs, n_trials, n_channels, n_into, first_into, line, d_inputs, d_bias)
