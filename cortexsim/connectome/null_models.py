"""Null models: random connectomes that keep some properties of a real one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ROUNDS = 30
"""Rounds of trades of the "degree" model; in each, every area trades inputs with one other."""


def permute_weights(fln: Array, sln: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return FLN and SLN (target, source) with the pairs permuted over the existing connections."""
    return _permuted(fln, sln, fln > 0, rng)


def permute_connections(fln: Array, sln: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return FLN and SLN (target, source) with the pairs permuted over all off-diagonal entries."""
    return _permuted(fln, sln, ~np.eye(len(fln), dtype=bool), rng)


def rewire_keeping_degrees(fln: Array, sln: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return FLN and SLN (target, source) on a random graph with the same in- and out-degree of each area.

    In each round the areas pair up at random; the two of a pair pool the sources that only one of them has and deal
    them out again, each getting as many as before (a "curveball" trade). A trade never touches the pair's own two
    areas as sources, so no area comes to project to itself. Each target's values go to its new sources in random
    order.

    References
    ----------
    Strona et al. 2014, Nat Commun 5:4114, doi 10.1038/ncomms5114.
    Carstens, Hamann, Meyer, Penschuck, Tran & Wagner 2018, ESA 2018, doi 10.4230/LIPIcs.ESA.2018.11 (rounds of
    trades).
    """
    graph = fln > 0
    pairs = np.arange(len(graph) // 2)
    for _ in range(ROUNDS if len(pairs) else 0):
        first, second = rng.permutation(len(graph))[: 2 * len(pairs)].reshape(2, -1)
        pool = graph[first] ^ graph[second]
        pool[pairs, first] = pool[pairs, second] = False
        share = np.count_nonzero(graph[first] & pool, axis=1)
        draw = np.where(pool, rng.random(pool.shape), 2.0)  # 2: never drawn
        limit = np.take_along_axis(np.sort(draw, axis=1), share[:, np.newaxis], axis=1)
        won = draw < limit  # the `share` lowest draws of the pool; ties have probability 2**-53
        graph[first] = np.where(pool, won, graph[first])
        graph[second] = np.where(pool, ~won, graph[second])
    old_rows, old_columns = np.nonzero(fln)
    new_rows, new_columns = np.nonzero(graph)
    dealt = np.lexsort((rng.random(len(old_rows)), old_rows))  # shuffled within each row; rows keep their counts
    moved = []
    for values in (fln, sln):
        result = np.zeros_like(values)
        result[new_rows, new_columns] = values[old_rows, old_columns][dealt]
        moved.append(result)
    return moved[0], moved[1]


def _permuted(fln: Array, sln: Array, where: NDArray[np.bool_], rng: np.random.Generator) -> tuple[Array, Array]:
    order = rng.permutation(np.count_nonzero(where))
    shuffled = fln.copy(), sln.copy()
    for values in shuffled:
        values[where] = values[where][order]
    return shuffled


MODELS: dict[str, Callable[[Array, Array, np.random.Generator], tuple[Array, Array]]] = {
    "weights": permute_weights,
    "connections": permute_connections,
    "degree": rewire_keeping_degrees,
}
"""The null models of `Connectome.shuffle` by name."""
