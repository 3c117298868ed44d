"""What trained networks do: fixed and slow points and their linearisation, dimensions, task variance, choices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from cortexsim import _checks
from cortexsim.analysis.fixed_points import NoFixedPoint
from cortexsim.analysis.outcomes import proportion
from cortexsim.rnn.gated import GatedNetwork
from cortexsim.rnn.learner import Stack
from cortexsim.rnn.network import Activation, Network

Floats = NDArray[np.float64]
_LEAST_CHANGE = 1e-15  # relative, of q or of the state: rounding is all that is left


def derivative(
    network: Network | GatedNetwork, parameters: Stack, inputs: ArrayLike, state: xr.DataArray | ArrayLike
) -> Floats:
    """Return the rate of change of the state of one network at constant input, without noise.

    It is dr/dt = (-r + f(W_rec r + b + W_in u)) / tau in the rate form, and
    dx/dt = (-x + W_rec f(x) + b + W_in u) / tau in the current form; for a GRU it is the change in a step,
    (h' - h) / dt. For the LSTM there is none, as its state is more than its rates.

    Parameters
    ----------
    network, parameters
        The network; a stack of one (``parameters.select([k])``).
    inputs
        u, shape (input channel,).
    state
        r or x, shape (..., unit).

    Returns
    -------
    derivative
        Units of the state per ms, shape (..., unit).

    Raises
    ------
    ValueError
        If a shape does not fit.
    """
    return _field(network, parameters, inputs).derivative(_states(network, state))


def jacobian(
    network: Network | GatedNetwork, parameters: Stack, inputs: ArrayLike, state: xr.DataArray | ArrayLike
) -> Floats:
    """Return how the derivative at one state changes with the state, the matrix of the linearised network.

    With D the diagonal matrix of f' and T that of tau, it is T^-1 (-1 + D W_rec) in the rate form, with f' at
    W_rec r + b + W_in u, and T^-1 (-1 + W_rec D) in the current form, with f' at x; (dh'/dh - 1) / dt for a GRU.

    Parameters
    ----------
    network, parameters, inputs
        See `derivative`.
    state
        r or x, shape (unit,).

    Returns
    -------
    jacobian
        In 1/ms, shape (unit, unit): rows receive.

    Raises
    ------
    ValueError
        If a shape does not fit.
    """
    state = _states(network, state)
    if state.ndim != 1:
        raise ValueError(f"Argument `state` must have the shape ({network.units},), but has {state.shape}.")
    return _field(network, parameters, inputs).jacobian(state)


def fixed_points(
    network: Network | GatedNetwork,
    parameters: Stack,
    inputs: ArrayLike,
    starts: xr.DataArray | ArrayLike,
    *,
    slow: float = 0.1,
    tolerance: float = 1e-6,
    distance: float = 1e-3,
    evaluations: int = 1000,
) -> xr.Dataset:
    """Return the points at which one network stands still, or moves slowest, at constant input.

    From each start the Levenberg-Marquardt method with the exact Jacobian goes down to a minimum of

        q(x) = |dx/dt|^2 .

    Where q is 0 the point is fixed; another minimum is a slow point, near which the state lingers. A slow point of the
    rate form with relu may have rates a little below 0, which no path comes to. A GRU is a map from step to step: its
    time constant here is dt, and its eigenvalues are log(multiplier) / dt, so that growth and stability mean the same.

    Parameters
    ----------
    network, parameters
        The network; a stack of one (``parameters.select([k])``).
    inputs
        Constant input, shape (input channel,): that of a delay, say, ``trials.inputs_by_epoch[2, 0]``.
    starts
        States, shape (..., unit): r in the rate form, x in the current form. Those which the network visits in the
        task are a good choice.
    slow
        Largest speed of a slow point, as the distance |dx/dt| tau that the state would go in one time constant (the
        mean over units). Minima at which it is faster are left out. 0 keeps fixed points only.
    tolerance
        A point of at most this speed, in the same measure, is fixed.
    distance
        Points that differ by less in each unit, relative to 1 + |x|, are one.
    evaluations
        Of the derivative, at most, per start.

    Returns
    -------
    Dataset (point, unit, mode)
        The slowest first: `state` (point, unit) and `rate`, the same in the rate form; `speed` |dx/dt| (point) [1/ms];
        `fixed`, whether the point is fixed; `eigenvalues` (point, mode) [1/ms] of the Jacobian, largest real part
        first; `growth_rate`, that real part; `stable`, whether it is negative; `starts`, how many starts led there.
        attrs `left_out`: how many starts led to no fixed or slow point.

    Raises
    ------
    NoFixedPoint
        If no start leads to a fixed or slow point.
    TypeError, ValueError
        If an argument does not hold what it must.

    References
    ----------
    Sussillo & Barak 2013, "Opening the black box: low-dimensional dynamics in high-dimensional recurrent neural
    networks", doi 10.1162/NECO_a_00409.
    """
    from scipy.optimize import least_squares

    field = _field(network, parameters, inputs)
    begin = _states(network, starts).reshape(-1, network.units)
    slow = _checks.check_not_negative("slow", slow)
    tolerance = _checks.check_positive("tolerance", tolerance)
    distance = _checks.check_positive("distance", distance)
    evaluations = _checks.check_count("evaluations", evaluations)
    scale = field.scale

    def residual(x: Floats) -> Floats:
        return scale * field.derivative(x)

    def slope(x: Floats) -> Floats:
        return scale * field.jacobian(x)

    found: list[tuple[float, Floats]] = []
    left_out = 0
    for start in begin:
        end = least_squares(
            residual, start, slope, method="lm", xtol=_LEAST_CHANGE, ftol=_LEAST_CHANGE, gtol=_LEAST_CHANGE,
            max_nfev=evaluations,
        )  # fmt: skip
        speed = float(np.linalg.norm(end.fun))
        if speed <= max(slow, tolerance):
            found.append((speed, end.x))
        else:
            left_out += 1
    if not found:
        raise NoFixedPoint(
            f"None of the {len(begin)} starts led to a point slower than {max(slow, tolerance):g} per time constant; "
            f"start elsewhere, or raise `slow`."
        )
    found.sort(key=lambda point: point[0])
    points: list[Floats] = []
    speeds: list[float] = []
    counts: list[int] = []
    for speed, x in found:
        same = (k for k, known in enumerate(points) if np.max(np.abs(x - known) / (1 + np.abs(known))) < distance)
        k = next(same, len(points))
        if k == len(points):
            points.append(x)
            speeds.append(speed / scale)
            counts.append(0)
        counts[k] += 1
    return _labelled(field, np.array(points), np.array(speeds), counts, tolerance / scale, left_out)


def participation_ratio(rates: xr.DataArray, *, dim: str = "unit") -> xr.DataArray:
    """Return how many dimensions the activity takes up: (sum lambda)^2 / sum lambda^2.

    lambda are the eigenvalues of the covariance over all samples. It is n if n directions have the same variance each,
    and 1 if all variance is in one.

    Parameters
    ----------
    rates : DataArray (..., dim)
        All dims but `dim` and `network` are samples, such as (network, time, trial, unit).
    dim
        "unit", or "area" for the rates of a cortex.

    Returns
    -------
    DataArray (network) or ()
        1 to the number of units; NaN where nothing varies.

    Raises
    ------
    TypeError, ValueError
        If `rates` is no DataArray, lacks `dim`, or holds fewer than two samples.
    """
    return _per_network(rates, dim, _participation).rename("participation_ratio").assign_attrs(
        units="1", long_name="participation ratio"
    )  # fmt: skip


def principal_components(rates: xr.DataArray, *, components: int = 3, dim: str = "unit") -> xr.Dataset:
    """Return the activity in the directions of largest variance.

    Parameters
    ----------
    rates : DataArray (..., dim)
        Of one network; all dims but `dim` are samples.
    components
        How many.
    dim
        "unit", or "area" for the rates of a cortex.

    Returns
    -------
    Dataset
        `projection` (..., component); `loading` (component, dim), orthonormal, its entry of largest size positive;
        `explained` (component), shares of the variance; `mean` (dim).

    Raises
    ------
    TypeError, ValueError
        If `rates` is no DataArray, lacks `dim`, holds fewer than two samples, or has fewer components.

    See Also
    --------
    project : bring other states, fixed points for instance, into the same components.
    """
    samples = _samples(rates, dim)
    components = _checks.check_count("components", components)
    if components > min(samples.shape):
        raise ValueError(
            f"Argument `components` must be at most {min(samples.shape)}, the least of samples and of {dim!r}, but is "
            f"{components}."
        )
    mean = samples.mean(axis=0)
    _, singular, axes = np.linalg.svd(samples - mean, full_matrices=False)
    axes *= np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, np.newaxis], axis=1))
    label = {dim: rates[dim]} if dim in rates.coords else {}
    total = float((singular**2).sum())
    explained = singular[:components] ** 2 / total if total > 0 else np.full(components, np.nan)
    basis = xr.Dataset(
        {
            "loading": (("component", dim), axes[:components], {"units": "1", "long_name": "loading"}),
            "explained": ("component", explained, {"units": "1", "long_name": "share of the variance"}),
            "mean": ((dim,), mean, dict(rates.attrs)),
        },
        coords={"component": np.arange(1, components + 1), **label},
    )
    return basis.assign(projection=project(rates, basis))


def project(states: xr.DataArray, components: xr.Dataset) -> xr.DataArray:
    """Return states in the components of others.

    Parameters
    ----------
    states : DataArray (..., unit)
        With the dimension that was reduced.
    components
        What `principal_components` returned.

    Returns
    -------
    DataArray (..., component)

    Raises
    ------
    ValueError
        If the states lack that dimension, or have other labels along it.
    """
    dim = str(components["mean"].dims[0])
    if dim not in states.dims:
        raise ValueError(f"Argument `states` must have the dim {dim!r}, but has {states.dims}.")
    try:
        centred, loading = xr.align(states - components["mean"], components["loading"], join="exact")
        xr.align(states, components["mean"], join="exact")
    except ValueError as error:
        raise ValueError(f"States and components must have the same {dim!r} labels: {error}") from error
    shown = centred.dot(loading, dim=dim).rename("projection")
    return shown.assign_attrs(units=states.attrs.get("units", "1"), long_name="projection")


def task_variance(rates: Mapping[str, xr.DataArray], *, normalise: bool = False) -> xr.DataArray:
    """Return how much each unit's rate differs between the trials of each task: < Var_trial r(t) >_t.

    Parameters
    ----------
    rates : dict of DataArray (trial, time, unit)
        By task, without noise, from the first step of the task on; a further dim, `network`, is kept.
    normalise
        Divide by the largest over tasks, for each unit (NaN for units that vary in none).

    Returns
    -------
    DataArray (task, unit)

    Raises
    ------
    TypeError, ValueError
        If `rates` is no such dict, or a task has fewer than two trials.

    References
    ----------
    Yang et al. 2019, doi 10.1038/s41593-018-0310-2, Fig. 2.
    """
    if not isinstance(rates, Mapping) or not rates:
        raise TypeError(f"Argument `rates` must be a dict of one DataArray or more by task, but is {rates!r}.")
    each = []
    for name, r in rates.items():
        if not isinstance(r, xr.DataArray) or not {"trial", "time", "unit"} <= set(r.dims):
            raise ValueError(f"The rates of task {name!r} must be a DataArray with the dims trial, time and unit.")
        if r.sizes["trial"] < 2:
            raise ValueError(f"The rates of task {name!r} must hold at least 2 trials, but hold {r.sizes['trial']}.")
        each.append(r.var("trial").mean("time").reset_coords(drop=True))
    variance = xr.concat(each, "task", join="exact").assign_coords(task=list(rates))
    if normalise:
        largest = variance.max("task")
        variance = variance / largest.where(largest > 0)
        units, long_name = "1", "normalised task variance"
    else:
        unit = next(iter(rates.values())).attrs.get("units", "1")
        units, long_name = ("1" if unit == "1" else f"{unit}^2"), "task variance"
    return variance.rename("task_variance").assign_attrs(units=units, long_name=long_name)


def psychometric_curve(
    choices: ArrayLike, evidence: ArrayLike, *, levels: int = 8, confidence: float = 0.95
) -> xr.Dataset:
    """Return how often networks choose one way, as a function of the evidence.

    Parameters
    ----------
    choices
        1 or 0, NaN for trials that do not count, shape (network, trial): what ``task.choices(outputs, trials)`` returns
        for tasks that compare two stimuli.
    evidence
        Shape (trial,): ``task.evidence(trials)``.
    levels
        Trials are sorted by evidence and cut into as many parts of equal size.
    confidence
        Of Wilson's interval, 0 ... 1.

    Returns
    -------
    Dataset (network, level)
        `fraction` of the choices that are 1, with the interval `low` ... `high`; `n`, the number of choices; coordinate
        `evidence` (level), the mean.

    Raises
    ------
    TypeError, ValueError
        If a shape does not fit, there are fewer trials than levels, or an argument does not hold what it must.
    """
    chosen, by = np.asarray(choices, dtype=np.float64), np.asarray(evidence, dtype=np.float64)
    levels = _checks.check_count("levels", levels)
    if chosen.ndim != 2 or by.shape != chosen.shape[1:]:
        raise ValueError(
            f"Arguments `choices` and `evidence` must have the shapes (network, trial) and (trial,), but have "
            f"{chosen.shape} and {by.shape}."
        )
    if levels > by.size:
        raise ValueError(f"Argument `levels` must be at most the number of trials, {by.size}, but is {levels}.")
    if not np.isin(chosen[~np.isnan(chosen)], (0.0, 1.0)).all():
        raise ValueError("Argument `choices` must be 1, 0 or NaN, but holds other values.")
    parts = np.array_split(np.argsort(by, kind="stable"), levels)
    by_level = [chosen[:, part] for part in parts]
    n = xr.DataArray([(~np.isnan(c)).sum(axis=1) for c in by_level], dims=("level", "network")).transpose()
    ones = xr.DataArray([(c == 1).sum(axis=1) for c in by_level], dims=("level", "network")).transpose()
    means = [float(by[part].mean()) for part in parts]
    table = proportion(ones, n, confidence).assign(n=n.assign_attrs(units="1", long_name="number of choices"))
    return table.assign_coords(evidence=("level", means, {"units": "1", "long_name": "evidence"}))


class _Field:
    """The vector field of one network at constant input."""

    scale: float
    """The time in ms that counts as one time constant."""

    def __init__(self, network: Any, parameters: Stack, inputs: ArrayLike) -> None:
        network.check(parameters)
        if parameters.networks != 1:
            raise ValueError(
                f"Argument `parameters` must hold one network, but holds {parameters.networks}; take one by "
                f"parameters.select([k])."
            )
        u = np.asarray(inputs, dtype=np.float64)
        if u.shape != (network.inputs,):
            raise ValueError(f"Argument `inputs` must have the shape ({network.inputs},), but has {u.shape}.")
        self.weights = np.asarray(parameters.W_rec[0], dtype=np.float64)
        self.drive = np.array(parameters.bias[0], dtype=np.float64)
        self.from_inputs = np.asarray(parameters.W_in[0], dtype=np.float64) @ u

    def derivative(self, x: Floats) -> Floats:
        raise NotImplementedError

    def jacobian(self, x: Floats) -> Floats:
        raise NotImplementedError

    def eigenvalues(self, x: Floats) -> NDArray[np.complex128]:
        return np.linalg.eigvals(self.jacobian(x)).astype(np.complex128)

    def rate(self, x: Floats) -> Floats:
        return x


class _LeakyField(_Field):
    def __init__(self, network: Network, parameters: Stack, inputs: ArrayLike) -> None:
        super().__init__(network, parameters, inputs)
        self.network = network
        self.activation, self.slope = _FUNCTIONS[network.activation]
        self.drive[network.receiving] += self.from_inputs
        self.tau = np.broadcast_to(np.asarray(network.tau, dtype=np.float64), (network.units,))
        self.scale = float(np.mean(network.tau))

    def derivative(self, x: Floats) -> Floats:
        if self.network.form == "rate":
            return np.asarray((self.activation(x @ self.weights.T + self.drive) - x) / self.tau)
        return np.asarray((self.activation(x) @ self.weights.T + self.drive - x) / self.tau)

    def jacobian(self, x: Floats) -> Floats:
        if self.network.form == "rate":
            gain = self.slope(self.weights @ x + self.drive)[:, np.newaxis] * self.weights
        else:
            gain = self.weights * self.slope(x)
        return np.asarray((gain - np.eye(len(x))) / self.tau[:, np.newaxis])

    def rate(self, x: Floats) -> Floats:
        return x if self.network.form == "rate" else self.activation(x)


class _GRUField(_Field):
    def __init__(self, network: GatedNetwork, parameters: Stack, inputs: ArrayLike) -> None:
        super().__init__(network, parameters, inputs)
        self.drive += self.from_inputs
        self.bias_rec = np.asarray(parameters.bias_rec[0], dtype=np.float64)
        self.scale = network.dt

    def gates(self, h: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        back, drive = np.split(h @ self.weights.T, 3, axis=-1), np.split(self.drive, 3)
        r, z = _sigmoid(back[0] + drive[0]), _sigmoid(back[1] + drive[1])
        q = back[2] + self.bias_rec
        return r, z, np.tanh(drive[2] + r * q), q

    def derivative(self, x: Floats) -> Floats:
        _, z, n, _ = self.gates(x)
        return np.asarray((1 - z) * (n - x) / self.scale)

    def jacobian(self, x: Floats) -> Floats:
        r, z, n, q = (values[:, np.newaxis] for values in self.gates(x))
        W_r, W_z, W_n = np.split(self.weights, 3)
        by_n = (1 - n**2) * (r * W_n + q * r * (1 - r) * W_r)
        gain = (1 - z) * (by_n - np.eye(len(x))) + (x[:, np.newaxis] - n) * z * (1 - z) * W_z
        return np.asarray(gain / self.scale)

    def eigenvalues(self, x: Floats) -> NDArray[np.complex128]:
        multipliers = 1 + self.scale * super().eigenvalues(x)
        # What dies out in one step gets a finite rate, too
        multipliers[multipliers == 0] = np.finfo(np.float64).tiny
        return np.asarray(np.log(multipliers) / self.scale, np.complex128)


def _field(network: Network | GatedNetwork, parameters: Stack, inputs: ArrayLike) -> _Field:
    if isinstance(network, Network):
        return _LeakyField(network, parameters, inputs)
    if network.cell == "gru":
        return _GRUField(network, parameters, inputs)
    raise ValueError(
        "Fixed points need a network whose state are its rates, a leaky one or a GRU, but an LSTM has cells, too; look "
        "at its rates by `participation_ratio` and `principal_components`."
    )


def _labelled(
    field: _Field, points: Floats, speeds: Floats, counts: list[int], tolerance: float, left_out: int
) -> xr.Dataset:
    eigenvalues = np.array([_by_growth(field.eigenvalues(x)) for x in points])
    growth = eigenvalues[:, 0].real
    return xr.Dataset(
        {
            "state": (("point", "unit"), points, {"units": "1", "long_name": "state"}),
            "rate": (("point", "unit"), field.rate(points), {"units": "1", "long_name": "rate"}),
            "speed": ("point", speeds, {"units": "1/ms", "long_name": "norm of the derivative"}),
            "fixed": ("point", speeds <= tolerance, {"long_name": "the derivative is 0"}),
            "eigenvalues": (("point", "mode"), eigenvalues, {"units": "1/ms", "long_name": "eigenvalue"}),
            "growth_rate": ("point", growth, {"units": "1/ms", "long_name": "largest real part of the eigenvalues"}),
            "stable": ("point", growth < 0, {"long_name": "no eigenvalue has a positive real part"}),
            "starts": ("point", counts, {"units": "1", "long_name": "starts that led here"}),
        },
        coords={"unit": np.arange(points.shape[1])},
        attrs={"left_out": left_out},
    )


def _by_growth(eigenvalues: NDArray[np.complex128]) -> NDArray[np.complex128]:
    return eigenvalues[np.argsort(-eigenvalues.real, kind="stable")]


def _states(network: Network | GatedNetwork, state: xr.DataArray | ArrayLike) -> Floats:
    values = state.transpose(..., "unit").values if isinstance(state, xr.DataArray) else np.asarray(state)
    if values.shape[-1:] != (network.units,):
        raise ValueError(f"States must have the shape (..., {network.units}), but have {values.shape}.")
    return values.astype(np.float64)


def _samples(rates: xr.DataArray, dim: str) -> Floats:
    """Return the values, shape (sample, dim)."""
    if not isinstance(rates, xr.DataArray):
        raise TypeError(f"Argument `rates` must be a DataArray with the dim {dim!r}, but is {type(rates).__name__}.")
    if dim not in rates.dims:
        raise ValueError(f"Argument `rates` must have the dim {dim!r}, but has {rates.dims}.")
    samples = rates.transpose(..., dim).values.reshape(-1, rates.sizes[dim]).astype(np.float64)
    if len(samples) < 2:
        raise ValueError(f"Argument `rates` must hold at least two samples, but holds {len(samples)}.")
    return samples


def _per_network(rates: xr.DataArray, dim: str, measure: Callable[[Floats], float]) -> xr.DataArray:
    if isinstance(rates, xr.DataArray) and "network" in rates.dims:
        each = [measure(_samples(one, dim)) for one in rates.transpose("network", ...)]
        coords = {"network": rates["network"]} if "network" in rates.coords else {}
        return xr.DataArray(each, coords, dims=("network",))
    return xr.DataArray(measure(_samples(rates, dim)))


def _participation(samples: Floats) -> float:
    centred = samples - samples.mean(axis=0)
    variance = np.linalg.svd(centred, compute_uv=False) ** 2
    square = float((variance**2).sum())
    return float(variance.sum() ** 2 / square) if square > 0 else float("nan")


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


_FUNCTIONS: dict[Activation, tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]] = {
    "relu": (lambda x: np.maximum(x, 0.0), lambda x: (x > 0).astype(np.float64)),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "softplus": (lambda x: np.logaddexp(0.0, x), _sigmoid),
    "sigmoid": (_sigmoid, lambda x: _sigmoid(x) * (1 - _sigmoid(x))),
}
