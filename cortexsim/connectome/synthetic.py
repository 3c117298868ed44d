"""Macaque-style random connectomes of any size, by the exponential distance rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim._checks import check_count, check_finite, check_not_negative, check_positive
from cortexsim.connectome.connectome import Connectome
from cortexsim.connectome.matrices import Array

SEMI_AXES = (15.0, 25.0, 20.0)
"""Semi-axes (mm) of the ellipsoid on which areas lie: sideways, back to front, upwards. Straight lines between its
points are 27 ± 10 mm long; the macaque's wiring distances are 26.3 ± 10.2 mm."""

HIERARCHY_SLOPE = 3.9507
"""Slope of logit(SLN) on the difference of hierarchy, target - source: the raw hierarchy of the highest of the 40
macaque areas, whose normalised hierarchy is 1 (Froudist-Walsh et al. 2021, doi 10.1016/j.neuron.2021.08.024)."""

# Quantiles of the hierarchy of the 40 macaque areas (same paper).
_RANKS = (0.0, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
_HIERARCHY = (0.0, 0.19, 0.39, 0.456, 0.641, 0.719, 0.789, 0.825, 1.0)

LARGEST_WHOLE = 2000
"""Areas up to which a synthetic connectome holds tables with the distance of every pair; above, it is listed."""

INPUTS_OF_LARGE = 100
"""Mean number of inputs of an area above that size, unless a density is given."""

# Pairs of areas that are worked on at a time: 16 MB a table.
_BLOCK = 2_000_000

# Logistic regression on distance (1/mm) of which of the 1560 possible macaque connections exist.
_EXISTENCE_DECAY = 0.0996


def synthetic_connectome(
    n_areas: int,
    seed: int,
    *,
    density: float | None = None,
    decay: float = 0.18,
    spread: float = 2.8,
    slope: float = HIERARCHY_SLOPE,
    dispersion: float = 0.3,
    neurons_per_area: int = 5400,
) -> Connectome:
    """Return a random macaque-style connectome: a tract-tracing experiment on a made-up cortex.

    Areas lie at random on an ellipsoid (`SEMI_AXES`); the distance d is the straight line between them, in mm. Their
    hierarchy rises from back to front with scatter and follows the quantiles of the macaque's;
    `synthetic_gradients(n_areas, seed)` gives it, and the areas come in its order. Then

        connection t <- s exists    -.0996 d[t, s] + logistic noise is among the highest `density` n (n - 1)
        strength                    w[t, s] = exp(-decay d[t, s] + spread ξ),  ξ ~ N(0, 1)
        neurons                     n[t, s] = max(1, round(neurons_per_area n_areas w[t, s] / sum_s w[t, s]))
        FLN[t, s]                   n[t, s] / sum_s n[t, s]
        SLN[t, s]                   betabinomial(n[t, s], μ, dispersion) / n[t, s],  logit μ = slope (h[t] - h[s])

    With the defaults and 40 areas, the mean of 40 seeds (macaque40 in brackets): slope of log FLN on distance -.162
    (-.159) per mm, r -.49 (-.48), standard deviation of log FLN 3.25 (3.11), correlation of SLN with the difference
    of hierarchy .57 (.58) over connections of 10 neurons or more and .54 (.43) over all. `decay` and `spread` are set
    a little above and below the fitted -.159 and 2.72, as normalising and rounding to whole neurons change both.
    Reciprocity and the spread of degrees follow from distance alone and are below the macaque's.

    Above 2000 areas the connectome is listed (`Connectome.from_connections`): it is drawn by blocks of targets, so that
    memory goes with the number of connections; the time goes with that of pairs. The rule is the same.

    Parameters
    ----------
    n_areas : int
        At least 2.
    seed : int
        At least 0; the same arguments give the same connectome.
    density : float, optional
        Fraction of the n (n - 1) possible connections that exist, up to 1. By default .64, as in the macaque, up to
        2000 areas; above, what gives each area 100 inputs on average. Every area gets at least one input, so two areas
        are always connected both ways.
    decay : float
        Decay of the strength with distance, 1/mm.
    spread : float
        Standard deviation of the log strength at a given distance.
    slope : float
        Slope of logit(SLN) on the difference of hierarchy; 0 for layers that ignore it.
    dispersion : float
        Intraclass correlation of the beta-binomial noise of SLN, between 0 and 1. The fit to all macaque counts is
        .18; .3 gives the scatter of SLN that the 40 areas show.
    neurons_per_area : int
        Labelled neurons of an injection divided by `n_areas`; the macaque's median is 215,000 for 40 areas.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range.

    References
    ----------
    Ercsey-Ravasz et al. 2013, Neuron 80:184, doi 10.1016/j.neuron.2013.07.036 (exponential distance rule).
    Markov et al. 2014, Cereb Cortex 24:17, doi 10.1093/cercor/bhs270 (density, lognormal weights).
    """
    hierarchy, position = _place_areas(n_areas, seed)
    if density is None:
        density = 0.64 if n_areas <= LARGEST_WHOLE else INPUTS_OF_LARGE / (n_areas - 1)
    if not 0 < check_finite("density", density) <= 1:
        raise ValueError(f"Argument `density` must lie above 0 and at most at 1, but is {density}.")
    if not 0 < check_finite("dispersion", dispersion) < 1:
        raise ValueError(f"Argument `dispersion` must lie between 0 and 1, but is {dispersion}.")
    check_not_negative("decay", decay, "1/mm")
    check_positive("spread", spread)
    check_finite("slope", slope)
    neurons = check_count("neurons_per_area", neurons_per_area) * n_areas

    rng = np.random.default_rng([1, seed])
    target, source = _draw_connections(position, density, rng)
    count, length = np.empty((2, len(target)))
    for first, last in _blocks(n_areas):
        own = slice(*np.searchsorted(target, [first, last]))
        at = target[own] - first, source[own]
        length[own] = _distances(position, first, last)[at]
        log_strength = np.full((last - first, n_areas), -np.inf)
        log_strength[at] = -decay * length[own] + spread * rng.standard_normal(log_strength.shape)[at]
        strength = np.exp(log_strength - log_strength.max(axis=1, keepdims=True))
        count[own] = np.maximum(np.rint(neurons * strength / strength.sum(axis=1, keepdims=True))[at], 1)

    mean = 1 / (1 + np.exp(-slope * (hierarchy[target] - hierarchy[source])))
    pairs = 1 / dispersion - 1
    supragranular = rng.binomial(count.astype(np.int64), rng.beta(mean * pairs, (1 - mean) * pairs))
    fln = count / np.bincount(target, weights=count)[target]
    sln = supragranular / count
    areas = _labels(n_areas)
    described: dict[str, Any] = {
        "name": f"synthetic{n_areas}",
        "source": "made up by the exponential distance rule (synthetic_connectome)",
        "notes": [
            f"n_areas {n_areas}, seed {seed}, density {density:g}, decay {decay:g}/mm, spread {spread:g}, "
            f"slope {slope:g}, dispersion {dispersion:g}, neurons_per_area {neurons_per_area}"
        ],
    }
    if n_areas > LARGEST_WHOLE:
        return Connectome.from_connections(areas, target, source, fln, sln, length, **described)
    strengths, fractions = np.zeros((2, n_areas, n_areas))
    strengths[target, source], fractions[target, source] = fln, sln
    return Connectome(strengths, fractions, _distances(position, 0, n_areas), areas=areas, **described)


def synthetic_gradients(n_areas: int, seed: int) -> xr.Dataset:
    """Return the gradients of the areas of `synthetic_connectome(n_areas, seed)`.

    Returns
    -------
    Dataset (area)
        hierarchy : 0 ... 1, rising; distributed as the macaque's.
        spine_count : spines per cell, 779.4 + 7720.6 hierarchy: a line between the extremes V1 and 45A.
        d1 : relative D1 receptor density, .49 + 1.93 hierarchy: a line between the extremes V1 and 7A.
        x, y, z : mm, sideways, back to front, upwards.

    References
    ----------
    Froudist-Walsh et al. 2021, Neuron 109:3500, doi 10.1016/j.neuron.2021.08.024 (extremes and quantiles).
    """
    hierarchy, position = _place_areas(n_areas, seed)
    maps = {
        "hierarchy": (hierarchy, "1", "hierarchy"),
        "spine_count": (779.4 + 7720.6 * hierarchy, "spines per cell", "spine count of pyramidal cells"),
        "d1": (0.49 + 1.93 * hierarchy, "relative", "D1 receptor density"),
        "x": (position[:, 0], "mm", "position from left to right"),
        "y": (position[:, 1], "mm", "position from back to front"),
        "z": (position[:, 2], "mm", "position from bottom to top"),
    }
    return xr.Dataset(
        {name: ("area", values, {"units": unit, "long_name": text}) for name, (values, unit, text) in maps.items()},
        coords={"area": list(_labels(n_areas))},
        attrs={"source": f"made up by synthetic_gradients(n_areas={n_areas}, seed={seed})"},
    )


def sln_from_hierarchy(hierarchy: xr.DataArray, *, slope: float = HIERARCHY_SLOPE) -> xr.DataArray:
    """Return the SLN expected from a hierarchy, SLN[t, s] = 1 / (1 + exp(-slope (h[t] - h[s]))).

    Parameters
    ----------
    hierarchy : DataArray (area)
        Usually 0 (lowest) ... 1 (highest area).
    slope : float
        As fitted to the macaque by default.

    Returns
    -------
    DataArray (target, source)

    Raises
    ------
    ValueError
        If `hierarchy` has other dimensions, no labels, or holds a number that is not finite.
    """
    if hierarchy.dims != ("area",) or "area" not in hierarchy.coords:
        raise ValueError(f"A hierarchy must have the one labelled dimension area, but has {hierarchy.dims}.")
    values = np.asarray(hierarchy.values, dtype=np.float64)
    areas = [str(area) for area in hierarchy["area"].values]
    for area, value in zip(areas, values.tolist(), strict=True):
        check_finite(f"hierarchy[{area}]", value)
    sln = logistic_sln(values, check_finite("slope", slope))
    return xr.DataArray(sln, coords={"target": areas, "source": areas}, dims=("target", "source"), name="sln")


def logistic_sln(hierarchy: Array, slope: float) -> Array:
    """Return 1 / (1 + exp(-slope (h[t] - h[s]))) as an array (target, source)."""
    return np.asarray(1 / (1 + np.exp(-slope * (hierarchy[:, np.newaxis] - hierarchy))))


def _blocks(n_areas: int) -> list[tuple[int, int]]:
    """Return the first and last target of each block of rows."""
    rows = max(_BLOCK // n_areas, 1)
    return [(first, min(first + rows, n_areas)) for first in range(0, n_areas, rows)]


def _distances(position: Array, first: int, last: int) -> Array:
    """Return the distance (target, source) of some targets, mm."""
    return np.asarray(np.sqrt(sum((axis[first:last, np.newaxis] - axis) ** 2 for axis in position.T)))


def _draw_connections(
    position: Array, density: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return targets and sources, in order: pairs of highest merit, but the best of each target at least."""
    n = len(position)
    wanted = max(round(density * n * (n - 1)), n)
    # The best so far, cut to size as soon as they are too many; what lies below the worst of them can't be among them.
    merits, keys, held, worst = [np.empty(0)], [np.empty(0, dtype=np.int64)], 0, -np.inf
    for first, last in _blocks(n):
        merit = rng.logistic(size=(last - first, n)) - _EXISTENCE_DECAY * _distances(position, first, last)
        rows = np.arange(last - first)
        merit[rows, rows + first] = -np.inf
        merit[rows, merit.argmax(axis=1)] = np.inf
        good = np.flatnonzero(merit > worst)
        merits.append(merit.ravel()[good])
        keys.append(good + first * n)
        held += len(good)
        if last == n or held > 2 * wanted:
            merits, keys = [np.concatenate(merits)], [np.concatenate(keys)]
            if held > wanted:
                best = np.argpartition(merits[0], -wanted)[-wanted:]
                merits, keys, held, worst = [merits[0][best]], [keys[0][best]], wanted, merits[0][best].min()
    target, source = np.divmod(np.sort(keys[0]), n)
    return target, source


def _place_areas(n_areas: int, seed: int) -> tuple[Array, Array]:
    """Return hierarchy (area) and position (area, xyz) in mm, areas in order of hierarchy."""
    check_count("n_areas", n_areas, least=2)
    rng = np.random.default_rng([0, check_count("seed", seed, least=0)])
    direction = rng.standard_normal((n_areas, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    # Scatter .3 of the semi-axis: hierarchical and wiring distance then correlate as in the macaque (r .34; .40).
    rank = np.argsort(direction[:, 1] + 0.3 * rng.standard_normal(n_areas))
    return np.interp(np.linspace(0, 1, n_areas), _RANKS, _HIERARCHY), direction[rank] * SEMI_AXES


def _labels(n_areas: int) -> tuple[str, ...]:
    width = len(str(n_areas))
    return tuple(f"area{i:0{width}d}" for i in range(1, n_areas + 1))
