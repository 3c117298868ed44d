"""Maps of the cortex, one value per area: hierarchy (published or fitted), spines, receptors, your own."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from cortexsim import datasets
from cortexsim._checks import check_known, check_unique

_COUNTS = "markov2014/tracing_counts"
_DELAY_ACTIVITY = {
    "leavitt2017/delay_activity": {
        "delay_activity_reported": "delay activity reported",
        "delay_activity_well_studied": "delay activity well studied",
        "positive_reports": "studies that report delay activity",
        "negative_reports": "studies that report no delay activity",
    },
}
_POSITIONS = {
    "bakker2015/centroids": {
        "x": "position, left to right",
        "y": "position, back to front",
        "z": "position, bottom to top",
    },
}
# Table -> its maps and their long names; the first table of each tells the areas.
_MAPS_29 = {"chaudhuri2015/areas": {"hierarchy_raw": "hierarchical position, not normalised"}, **_POSITIONS}
_MAPS_30 = {
    "mejiaswang2022/areas": {
        "hierarchy": "hierarchical position",
        "spine_count": "spine count",
        "age_factor": "age factor of the spine count",
    },
    **_DELAY_ACTIVITY,
    **_POSITIONS,
}
_MAPS_40 = {
    "froudistwalsh2021/areas": {
        "hierarchy": "hierarchical position",
        "d1": "D1 receptor density",
        "spine_count": "spine count",
        "spine_count_measured": "spine count measured",
    },
    "froudistwalsh2021/synaptic_baseline": {
        "facilitation_baseline": "facilitation of excitatory synapses at the start",
        "depression_baseline": "depression of excitatory synapses at the start",
    },
    "pereiraobilinovic2025/t1w_t2w": {"t1w_t2w": "T1w/T2w"},
    **_DELAY_ACTIVITY,
    **_POSITIONS,
}
_PHI_START = 0.1
_PHI_BOUNDS = (1e-6, 1 - 1e-6)


def macaque40() -> xr.Dataset:
    """Return the published maps of the 40 macaque areas (M132 atlas) whose inputs are all traced.

    Returns
    -------
    xarray.Dataset
        Over `area`, in hierarchical order (V1 ... OPRO); every variable has `units`, `long_name` and `source`,
        and `attrs["digest"]` is the digest of the tables that were read.

        - `hierarchy` [1]: 0 (V1) to 1 (OPRO), Froudist-Walsh et al. 2021; see `fit_hierarchy`;
        - `d1` [relative]: density of D1 receptors as published, .49 to 2.42;
        - `spine_count` [spines per cell]: basal dendrites of layer-3 pyramidal cells; where `spine_count_measured` is
          False (16 areas) filled in by the published line 8098.014 hierarchy - 380.507;
        - `facilitation_baseline`, `depression_baseline` [1]: u and x of excitatory synapses at the start of a trial of
          the circuit with short-term plasticity;
        - `t1w_t2w` [1]: a marker of myelin;
        - `positive_reports`, `negative_reports` [studies]: experiments with and without delay activity (Leavitt et al.
          2017); `delay_activity_well_studied`: positive + negative > 2, `delay_activity_reported`: positive - negative
          > 2;
        - `x`, `y`, `z` [mm]: centroid on the left hemisphere of the F99 brain; right, front and up are positive.

    Raises
    ------
    ValueError
        If a table is not the one whose digest is on record.
    """
    return _published(_MAPS_40)


def macaque29() -> xr.Dataset:
    """Return the published maps of the 29 macaque areas of Chaudhuri et al. 2015.

    Returns
    -------
    xarray.Dataset
        Over `area`, in hierarchical order (V1 ... 24c), as `macaque40`:

        - `hierarchy` [1]: `hierarchy_raw` divided by its largest value, 0 (V1) to 1 (24c);
        - `hierarchy_raw` [1]: the position as fitted to SLN, 0 to 3.1162;
        - `x`, `y`, `z` [mm]: centroid.

    Raises
    ------
    ValueError
        If a table is not the one whose digest is on record.

    References
    ----------
    Chaudhuri et al. 2015, Neuron 88:419, doi 10.1016/j.neuron.2015.09.008.
    """
    maps = _published(_MAPS_29)
    raw = maps["hierarchy_raw"]
    hierarchy = (raw / raw.max()).assign_attrs(raw.attrs, long_name="hierarchical position")
    return maps.assign(hierarchy=hierarchy)


def macaque30() -> xr.Dataset:
    """Return the published maps of the 30 macaque areas of Mejias and Wang 2022.

    Returns
    -------
    xarray.Dataset
        Over `area`, in the order of the authors' program (V1 ... 24c), as `macaque40`:

        - `spine_count` [spines per cell]: basal dendrites of layer-3 pyramidal cells; NaN in the 9 areas without a
          count;
        - `age_factor` [1]: what the count is multiplied by to make up for the monkeys' age, 1, 1.15 or 1.3; NaN where
          there is no count;
        - `hierarchy` [1]: that of `macaque29`, to 3e-12; LIP's .875 is not published, it only puts LIP between 7m and
          F2;
        - `positive_reports`, `negative_reports`, `delay_activity_well_studied`, `delay_activity_reported`: as in
          `macaque40`;
        - `x`, `y`, `z` [mm]: centroid.

    Raises
    ------
    ValueError
        If a table is not the one whose digest is on record.

    References
    ----------
    Mejias and Wang 2022, eLife 11:e72136, doi 10.7554/eLife.72136.
    """
    return _published(_MAPS_30)


def _published(tables: Mapping[str, Mapping[str, str]]) -> xr.Dataset:
    """Return the maps of published tables (table -> map -> long name) for the areas of the first table."""
    areas = datasets.table(next(iter(tables)))["area"].to_list()
    variables: dict[str, xr.Variable] = {}
    for name, long_names in tables.items():
        table = datasets.table(name)
        source = f"{table.attrs['source']}, doi {table.attrs['doi']}"
        rows = table.set_index("area").loc[areas]
        for column, long_name in long_names.items():
            attrs = {"units": table.attrs["units"].get(column, "1"), "long_name": long_name, "source": source}
            variables[column] = xr.Variable("area", rows[column].to_numpy(), attrs)
    return xr.Dataset(variables, {"area": _area_coordinate(areas)}, {"digest": datasets.digest(*tables)})


def join(gradients: xr.Dataset, /, **maps: xr.DataArray | pd.Series | Mapping[str, float]) -> xr.Dataset:
    """Return `gradients` with maps of your own, joined by the labels of their areas.

    A map under the name of an existing one takes its place. The `digest` of the result covers the new values as well.

    Parameters
    ----------
    gradients
        Maps over `area`, e.g. `macaque40()`.
    **maps
        One value per area and name: a DataArray over `area` (its attrs, such as units, are kept), a Series indexed by
        area, or a dict area -> value. Any order; every area of `gradients` and no other.

    Raises
    ------
    ValueError
        If a map lacks an area, names an unknown one or one twice, or holds a value that is not finite.
    TypeError
        If a map is none of the above or holds anything but numbers or bools.
    """
    if not isinstance(gradients, xr.Dataset) or "area" not in gradients.indexes:
        raise TypeError(f"Argument `gradients` must be a Dataset over `area`, but is a {type(gradients).__name__}.")
    areas = [str(area) for area in gradients["area"].values]
    digest = hashlib.sha256(str(gradients.attrs.get("digest", "")).encode())
    variables: dict[str, xr.Variable] = {}
    for name, given in sorted(maps.items()):
        if name == "area":
            raise ValueError("A map in gradients.join must not be called 'area', the axis; choose another name.")
        series, attrs = _as_series(name, given)
        for label in check_unique(series.index.to_list(), what="area", where=f"the map {name!r}"):
            check_known(label, areas, what="area", where=f"the map {name!r}", listed="`gradients.area`")
        missing = [area for area in areas if area not in series.index]
        if missing:
            raise ValueError(f"The map {name!r} must have a value for each area, but lacks {_listed(missing)}.")
        values = series.loc[areas].to_numpy()
        if values.dtype.kind not in "biuf":
            raise TypeError(f"The map {name!r} must hold numbers or bools, but holds {values.dtype}.")
        if not np.isfinite(values).all():
            bad = int(np.argmin(np.isfinite(values)))
            raise ValueError(f"The map {name!r} must be finite, but is {values[bad]} at area {areas[bad]!r}.")
        digest.update(name.encode() + b"\0" + values.astype("<f8").tobytes())
        variables[name] = xr.Variable("area", values, {"long_name": name, **attrs})
    return gradients.assign(variables).assign_attrs(digest=digest.hexdigest())


def rescale(values: xr.DataArray) -> xr.DataArray:
    """Return (m - min m) / (max m - min m): the map `values` between 0 and 1, dimensionless.

    Raises
    ------
    ValueError
        If the map is empty, constant or not finite.
    TypeError
        If it is not a DataArray.
    """
    if not isinstance(values, xr.DataArray):
        raise TypeError(f"Argument `values` must be a DataArray, but is {values!r} ({type(values).__name__}).")
    label = f"the map {values.name!r}" if values.name else "the map"
    if values.size == 0 or not np.isfinite(values.values).all():
        raise ValueError(f"To be rescaled, {label} must hold finite values only.")
    low, high = values.min(), values.max()
    if low == high:
        raise ValueError(f"To be rescaled, {label} must vary, but is {float(low):g} throughout.")
    return ((values - low) / (high - low)).assign_attrs({**values.attrs, "units": "1"})


def fit_hierarchy(
    counts: pd.DataFrame | None = None,
    *,
    areas: Sequence[str] | None = None,
    reference: str = "V1",
    method: str = "betabinomial",
) -> xr.DataArray:
    r"""Return the hierarchical position of each area, fitted to counts of labelled neurons.

    For each injection and each source area with labelled neurons,

    .. math::

        n_{supra} \sim \mathrm{BetaBinomial}(n_{supra} + n_{infra}, \mu, \phi), \qquad
        \mathrm{logit}\,\mu = h_{target} - h_{source},

    with :math:`h_{reference} = 0`. The overdispersion :math:`\phi` is the intraclass correlation: the beta distribution
    has :math:`\alpha = \mu (1/\phi - 1)` and :math:`\beta = (1 - \mu)(1/\phi - 1)`. All rows and areas enter the fit,
    by maximum likelihood from the binomial fit; `areas` are then divided by the highest of them.

    From the published counts (2619 rows, 89 areas) it gives the published hierarchy of the 40 areas with r = .9999997
    and a largest difference of 5.9e-4 (area 5), one pair of neighbours in the other order; phi = .18322. The
    binomial fit, which takes every neuron for an independent observation, gives r = .933 only.

    Parameters
    ----------
    counts
        One row per injection and source area with the columns `target`, `source`, `supragranular`, `infragranular`
        [neurons]; default: the published counts. Rows without a neuron, or with the target as its own source, carry no
        information on the hierarchy and are passed over.
    areas
        The areas to return, in this order; default: the injected areas in the order of the table (for the published
        counts that of `macaque40`).
    reference
        Area at 0.
    method
        "betabinomial", or "binomial" (phi = 0).

    Returns
    -------
    xarray.DataArray
        Over `area`, dimensionless, the highest of `areas` at 1. `attrs` hold `phi`, `log_likelihood` (with the binomial
        term), `iterations`, `scale` (position of the highest before the division, in logits) and `method`.

    Raises
    ------
    ValueError
        If a column is missing, a count is negative or not whole, an area or the method is unknown, no chain of
        connections links an area to the reference, the counts put no bound on an area (all neurons that tell it from
        the rest lie on one side of layer 4), or no area lies above the reference.
    TypeError
        If `counts` is not a DataFrame, or `areas` is a single name.
    RuntimeError
        If the optimiser does not converge.

    References
    ----------
    Markov et al. 2014, J Comp Neurol 522:225, doi 10.1002/cne.23458 (the regression); Froudist-Walsh et al. 2021,
    Neuron 109:3500, doi 10.1016/j.neuron.2021.08.024 (its beta-binomial form, 40 areas).
    """
    from scipy.optimize import minimize
    from scipy.special import gammaln

    check_known(method, ("betabinomial", "binomial"), what="method", where="fit_hierarchy")
    rows = _Rows.read(datasets.table(_COUNTS) if counts is None else counts)
    check_known(reference, rows.areas, what="reference area", where="fit_hierarchy")
    returned = _returned_areas(areas, rows)
    _check_determined(rows, reference)

    fixed = rows.areas.index(reference)
    n_areas = len(rows.areas)
    options = {"ftol": 1e-12, "gtol": 1e-6, "maxiter": 10_000, "maxfun": 20_000}
    optimise = functools.partial(minimize, args=(rows, fixed), jac=True, method="L-BFGS-B", options=options)
    fit = optimise(_binomial, np.zeros(n_areas))
    phi = 0.0
    if method == "betabinomial":
        # The last coefficient is logit(phi); at the lower bound the counts are binomial.
        bounds = [(None, None)] * n_areas + [tuple(_logit(p) for p in _PHI_BOUNDS)]
        fit = optimise(_betabinomial, np.append(fit.x, _logit(_PHI_START)), bounds=bounds)
        phi = float(1 / (1 + np.exp(-fit.x[-1])))
    # A line search may end where round-off hides what is left to gain: 1e-3 nats is .045 standard errors.
    slope = np.where(np.arange(fit.x.size) < n_areas, fit.jac, 0.0)
    if not fit.success and slope @ fit.hess_inv.dot(slope) / 2 > 1e-3:
        raise RuntimeError(f"The fit of the hierarchy must converge, but did not ({fit.message}); check the counts.")

    raw = dict(zip(rows.areas, fit.x[:n_areas], strict=True))
    scale = max(float(raw[area]) for area in returned)
    if scale <= 0:
        raise ValueError(
            f"An area must lie above the reference {reference!r}, but none of `areas` does; take a lower reference."
        )
    total = rows.supra + rows.infra
    binomial_term = (gammaln(total + 1) - gammaln(rows.supra + 1) - gammaln(rows.infra + 1)).sum()
    attrs = {
        "units": "1",
        "long_name": "hierarchical position",
        "method": method,
        "phi": phi,
        "log_likelihood": float(binomial_term - fit.fun),
        "iterations": int(fit.nit),
        "scale": scale,
    }
    values = np.array([raw[area] for area in returned]) / scale
    return xr.DataArray(values, {"area": _area_coordinate(returned)}, ("area",), "hierarchy", attrs)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Checked counts: row r holds supra[r] and infra[r] neurons in areas[source[r]], injected areas[target[r]]."""

    areas: tuple[str, ...]
    target: NDArray[np.intp]
    source: NDArray[np.intp]
    supra: NDArray[np.float64]
    infra: NDArray[np.float64]

    @classmethod
    def read(cls, counts: pd.DataFrame) -> _Rows:
        if not isinstance(counts, pd.DataFrame):
            raise TypeError(f"Argument `counts` must be a DataFrame, but is a {type(counts).__name__}.")
        for column in ("target", "source", "supragranular", "infragranular"):
            if column not in counts.columns:
                raise ValueError(f"Argument `counts` must have a column {column!r}, but has {_listed(counts.columns)}.")
        for column in ("target", "source"):
            _refuse(counts, column, counts[column].isna().to_numpy(), "name an area")
        neurons = []
        for column in ("supragranular", "infragranular"):
            number = pd.to_numeric(counts[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
            whole = np.isfinite(number) & (number >= 0) & (number == np.floor(number))
            _refuse(counts, column, ~whole, "be a whole number of neurons, at least 0")
            neurons.append(number)
        supra, infra = neurons
        target, source = counts["target"].astype(str).to_numpy(), counts["source"].astype(str).to_numpy()
        informative = (supra + infra > 0) & (target != source)
        if not informative.any():
            raise ValueError("Argument `counts` must hold neurons labelled outside the injected area, but has none.")
        codes, areas = pd.factorize(np.concatenate([target[informative], source[informative]]))
        targets, sources = np.split(codes, 2)
        return cls(tuple(map(str, areas)), targets, sources, supra[informative], infra[informative])


def _binomial(h: NDArray[np.float64], rows: _Rows, fixed: int) -> tuple[float, NDArray[np.float64]]:
    """Return minus the log likelihood (without the binomial term) and its gradient by h."""
    from scipy.special import expit, log_expit

    eta = h[rows.target] - h[rows.source]
    value = rows.supra @ log_expit(eta) + rows.infra @ log_expit(-eta)
    slope = rows.supra * expit(-eta) - rows.infra * expit(eta)
    return -float(value), -_sum_by_area(slope, rows, fixed)


def _betabinomial(x: NDArray[np.float64], rows: _Rows, fixed: int) -> tuple[float, NDArray[np.float64]]:
    """Return minus the log likelihood (without the binomial term) and its gradient by (h, logit phi)."""
    from scipy.special import betaln, expit, psi

    eta = x[rows.target] - x[rows.source]
    mu, concentration = expit(eta), np.exp(-x[-1])
    alpha, beta = mu * concentration, expit(-eta) * concentration
    value = (betaln(rows.supra + alpha, rows.infra + beta) - betaln(alpha, beta)).sum()
    common = psi(concentration) - psi(rows.supra + rows.infra + concentration)
    by_alpha = psi(rows.supra + alpha) - psi(alpha) + common
    by_beta = psi(rows.infra + beta) - psi(beta) + common
    slope = (by_alpha - by_beta) * alpha * expit(-eta)
    by_logit_phi = -(alpha @ by_alpha + beta @ by_beta)
    return -float(value), -np.append(_sum_by_area(slope, rows, fixed), by_logit_phi)


def _sum_by_area(slope: NDArray[np.float64], rows: _Rows, fixed: int) -> NDArray[np.float64]:
    """Return the gradient by h from that by h_target - h_source; 0 at the fixed reference, which so stays at 0."""
    n = len(rows.areas)
    gradient = np.asarray(np.bincount(rows.target, slope, n) - np.bincount(rows.source, slope, n), dtype=np.float64)
    gradient[fixed] = 0.0
    return gradient


def _check_determined(rows: _Rows, reference: str) -> None:
    """Raise ValueError unless the likelihood has a finite maximum.

    A supragranular neuron is a vote for target over source, an infragranular one a vote the other way: the maximum is
    finite if votes lead from every area to every other (Ford 1957, Am Math Mon 64:28).
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(rows.areas)
    votes = np.concatenate([rows.supra, rows.infra])
    higher = np.concatenate([rows.target, rows.source])
    lower = np.concatenate([rows.source, rows.target])
    graph = coo_array((votes, (higher, lower)), shape=(n, n)).tocsr()
    graph.eliminate_zeros()

    _, part = connected_components(graph, connection="weak")
    apart = [area for area, p in zip(rows.areas, part, strict=True) if p != part[rows.areas.index(reference)]]
    if apart:
        raise ValueError(
            f"Connections must link every area to the reference {reference!r}, but none lead to {_listed(apart)}; "
            "leave out these rows, or take a reference among these areas."
        )
    _, part = connected_components(graph, connection="strong")
    largest = np.bincount(part).argmax()
    unbounded = [area for area, p in zip(rows.areas, part, strict=True) if p != largest]
    if unbounded:
        raise ValueError(
            "The counts must bound every area from above and below, but all neurons that tell these from the rest lie "
            f"on one side of layer 4: {_listed(unbounded)}; leave out their rows."
        )


def _returned_areas(areas: Sequence[str] | None, rows: _Rows) -> tuple[str, ...]:
    if areas is None:
        return tuple(rows.areas[i] for i in pd.unique(rows.target))
    if isinstance(areas, str):
        raise TypeError(f"Argument `areas` must be a sequence of names, but is {areas!r}; take [{areas!r}].")
    if len(areas) == 0:
        raise ValueError("Argument `areas` must name an area, but is empty.")
    for area in check_unique(areas, what="area", where="fit_hierarchy"):
        check_known(area, rows.areas, what="area", where="fit_hierarchy")
    return tuple(map(str, areas))


def _refuse(counts: pd.DataFrame, column: str, wrong: NDArray[np.bool_], must: str) -> None:
    if wrong.any():
        row = int(wrong.argmax())
        target, source, found = (counts[name].iloc[row] for name in ("target", "source", column))
        raise ValueError(
            f"In `counts`, `{column}` must {must}, but is {found!r} in row {counts.index[row]!r} "
            f"(target {target!r}, source {source!r})."
        )


def _as_series(name: str, given: xr.DataArray | pd.Series | Mapping[str, float]) -> tuple[pd.Series, dict[str, object]]:
    attrs: dict[str, object] = {}
    if isinstance(given, xr.DataArray):
        if given.dims != ("area",) or "area" not in given.indexes:
            raise ValueError(f"The map {name!r} must have the one labelled dimension `area`, but has {given.dims}.")
        attrs, series = {str(key): value for key, value in given.attrs.items()}, given.to_series()
    elif isinstance(given, pd.Series | Mapping):
        series = pd.Series(given)
    else:
        raise TypeError(
            f"The map {name!r} must be a DataArray, a Series or a dict area -> value, but is a {type(given).__name__}."
        )
    return series.set_axis([str(label) for label in series.index]), attrs


def _area_coordinate(areas: Sequence[str]) -> xr.Variable:
    return xr.Variable("area", np.array(areas, dtype=str), {"long_name": "cortical area"})


def _listed(names: Sequence[object] | pd.Index, most: int = 8) -> str:
    quoted = [repr(str(name)) for name in names]
    rest = f" and {len(quoted) - most} more" if len(quoted) > most else ""
    return ", ".join(quoted[:most]) + rest


def _logit(p: float) -> float:
    return float(np.log(p / (1 - p)))
