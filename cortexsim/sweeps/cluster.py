"""Workers of a Dask cluster, through joblib's backend for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from joblib._dask import DaskDistributedBackend


class Cluster(DaskDistributedBackend):  # type: ignore[misc]  # joblib has no types
    """joblib's Dask backend, which also tells of tasks that the scheduler gave up since their workers died.

    joblib 1.6 waits for such a task for ever; here its result is (number of the chunk, error).
    """

    def submit(self, func: Any, callback: Callable[[Any], None]) -> Any:
        """Send a batch of one task to the cluster; `callback` takes what came of it.

        Parameters
        ----------
        func
            joblib's batch.
        callback
            joblib's, which takes a list with the result.
        """
        future = super().submit(func, callback)
        ((_, (number, *_), _),) = func.items

        def tell(done: Any) -> None:
            if not done.cancelled() and (error := done.exception()) is not None:
                callback([(number, error)])

        future.add_done_callback(tell)
        return future
