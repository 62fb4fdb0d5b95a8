"""A lock on a file that the kernel releases when its holder dies, however it dies.

`flock` belongs to the open file, not to the process: a second `FileLock` on the same path competes
with the first even inside one process, which is what counting holders needs. The other side of it
is that a forked child shares its parent's open file, so the child closes its copy at once; else a
child that outlives a killed parent would keep the lock. Programs started from here never get it
(close-on-exec), except through `fileno()` and `pass_fds`.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

POLL_SECONDS = 0.01


class FileLock:
    """One lock on `path`, free at first; the file is made where it is missing (mode 0600)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        """Whether this process holds the lock through this object."""
        return self._fd is not None

    def fileno(self) -> int:
        """The descriptor, for `pass_fds`: who inherits it keeps the lock while it lives."""
        if self._fd is None:
            raise ValueError(f"The lock {self.path} is not held.")
        return self._fd

    def acquire(self, *, shared: bool = False, timeout: float = 0.0) -> bool:
        """Take the lock, waiting up to `timeout` seconds; False when others still hold it."""
        if self._fd is not None:
            raise ValueError(f"The lock {self.path} is held already.")
        deadline = time.monotonic() + timeout
        taken = False
        _HELD.add(self)
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            while not (taken := self._try(shared)) and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
        finally:
            if not taken:
                self.hand_over()
        return taken

    def release(self) -> None:
        """Unlock, also for a child that was forked meanwhile. Harmless when it is not held."""
        if self._fd is not None:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            self.hand_over()

    def hand_over(self) -> None:
        """Close our descriptor only: the lock lives on in the processes that inherited it."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)
        _HELD.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _try(self, shared: bool) -> bool:
        try:
            fcntl.flock(self.fileno(), (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


# Only so that a forked child can let go of what it must not keep; nothing else reads it.
_HELD: set[FileLock] = set()


def _let_go() -> None:
    for lock in list(_HELD):
        lock.hand_over()


os.register_at_fork(after_in_child=_let_go)
