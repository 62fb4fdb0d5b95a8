"""One attempt to deliver a message, which ends in time however slowly the other side answers."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from types import TracebackType


class Undelivered(Exception):
    """A message did not arrive; the words are for whoever owns the channel.

    `again` says whether another attempt may go better, `retry_after` how many seconds the other
    side wants to be left alone, `closed` that it wants no more messages at all.
    """

    def __init__(
        self,
        reason: str,
        *,
        again: bool = True,
        retry_after: float | None = None,
        closed: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again and not closed
        self.retry_after = retry_after
        self.closed = closed


class Attempt:
    """The time that there is for an attempt, as a whole: a socket's own limit is for each read.

    `with` starts it. `cut` ends it from outside: what waits on a held connection meets its end.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self.cut)
        self._timer.daemon = True
        self._lines: list[socket.socket] = []
        self._lock = threading.Lock()
        self._over = False

    def __enter__(self) -> Attempt:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._over = True
            lines, self._lines = self._lines, []
        for line in lines:
            line.close()

    @property
    def is_over(self) -> bool:
        return self._over or time.monotonic() >= self._until

    def left(self) -> float:
        """The seconds that are left; raises Undelivered where there are none."""
        if self.is_over:
            raise self.too_slow()
        return max(0.001, self._until - time.monotonic())

    def too_slow(self) -> Undelivered:
        return Undelivered(f"There was no answer within {self.seconds:g} s.")

    def hold(self, line: socket.socket) -> None:
        """Have this connection cut when the time is up.

        By a copy of its descriptor: TLS takes the socket itself over.
        """
        with self._lock:
            if not self._over:
                self._lines.append(socket.socket(fileno=os.dup(line.fileno())))
                return
        raise self.too_slow()

    def cut(self) -> None:
        with self._lock:
            self._over = True
            for line in self._lines:
                with contextlib.suppress(OSError):  # it has ended by itself
                    line.shutdown(socket.SHUT_RDWR)
