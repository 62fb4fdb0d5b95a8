"""A Dask cluster as what jobs run on: `concurrent.futures`' interface, and an end when it is lost.

Its workers are inside the trust boundary: they run our code and are told where the database is.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
from typing import Any

from dinsight.errors import ExecutorUnavailable

CONNECT_SECONDS = 5
CLOSE_SECONDS = 2


class Cluster(futures.Executor):
    """The workers of one scheduler; raises ExecutorUnavailable where it cannot be reached.

    When the scheduler is lost, every future of it is cancelled.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise ExecutorUnavailable(
                "DINSIGHT_DASK_SCHEDULER needs the package `distributed`: "
                "pip install 'dinsight[dask]'."
            ) from error
        try:
            self._client = Client(
                address, timeout=CONNECT_SECONDS, set_as_default=False, name="dinsight"
            )
        except (OSError, TimeoutError) as error:
            raise ExecutorUnavailable(
                f"The Dask scheduler at {address} cannot be reached: fits wait for it."
            ) from error
        self._executor = self._client.get_executor(pure=False)

    @property
    def lost(self) -> bool:
        """Whether the scheduler went away; a cluster that was lost once is not used again."""
        return bool(self._client.status != "running")

    def submit(self, work: Callable[..., Any], /, *args: Any, **more: Any) -> futures.Future[Any]:
        if self.lost:
            raise ExecutorUnavailable("The Dask scheduler was lost.")
        return self._executor.submit(work, *args, **more)  # type: ignore[no-any-return]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let go at once; what runs on a worker goes on, and finds that its lease is lost."""
        if not self.lost:
            self._executor.shutdown(wait=wait and not cancel_futures)
        self._client.close(timeout=CLOSE_SECONDS)
