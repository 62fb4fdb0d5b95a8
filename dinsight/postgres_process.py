"""The PostgreSQL process of one data folder: started, told from strangers, stopped.

`postgres.lock` is inherited by PostgreSQL and all its children, so it is free exactly when none of
them is left; a pid is only ever used to send a signal, after its process was looked at. Linux only:
it reads /proc.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from dinsight.errors import DatabaseUnavailable
from dinsight.file_lock import POLL_SECONDS, FileLock
from dinsight.postgres_account import ENVIRONMENT, Launcher
from dinsight.postgres_data import log_tail, open_folder

PORT = 5432  # only a part of the socket's file name; given, so that PGPORT does not change it
FAST_STOP_SECONDS = 20.0
STOP_SECONDS = 30.0


class PostgresProcess:
    """What runs, or does not, on `folder/data`. Use it only under the start lock."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        # A setting that PostgreSQL ignores: it tells our process from others, and shows in `ps`.
        self._mark = f"dinsight.folder={folder}"
        self._alive = FileLock(folder / "postgres.lock")

    def exists(self) -> bool:
        """Whether any process of it is left, be it starting, recovering or shutting down."""
        if not self._alive.acquire():
            return True
        self._alive.release()
        return False

    def launch(self, launcher: Launcher, settings: Mapping[str, str], output: int) -> None:
        """Start PostgreSQL, which must not exist; it has not yet answered when this returns.

        It gets a session of its own (Ctrl-C on our terminal does not reach it) and no parent that
        would have to wait for it. What it says before its log is open goes to `output`.
        """
        ours = {"listen_addresses": "", "unix_socket_directories": ".", "port": str(PORT)}
        pairs = [f"{name}={value}" for name, value in {**settings, **ours}.items()]
        words = [word for pair in [*pairs, self._mark] for word in ("-c", pair)]
        if not self._alive.acquire():
            raise DatabaseUnavailable(f"A PostgreSQL is running in {self.data} already.")
        try:
            self._forget_dead()
            with open_folder(self.data) as folder:
                postgres = launcher.command("postgres", "-D", f"/proc/self/fd/{folder}", *words)
                subprocess.run(
                    ["setsid", "--fork", *postgres],  # noqa: S607 - ENVIRONMENT has the PATH
                    cwd="/",
                    env=ENVIRONMENT,
                    pass_fds=[folder, self._alive.fileno()],
                    start_new_session=True,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    check=True,
                )
        finally:
            self._alive.hand_over()

    def shut_down(self) -> None:
        """Stop fast, after 20 s at once (PostgreSQL recovers from that by itself), and wait."""
        began = time.monotonic()
        sent = None
        while self.exists():
            seconds = time.monotonic() - began
            wanted = signal.SIGINT if seconds < FAST_STOP_SECONDS else signal.SIGQUIT
            if sent != wanted and self._send(wanted):
                sent = wanted
            if seconds > STOP_SECONDS:
                raise DatabaseUnavailable(
                    f"PostgreSQL in {self.data} does not stop. It said:\n" + log_tail(self.data)
                )
            time.sleep(POLL_SECONDS)

    def _send(self, number: signal.Signals) -> bool:
        pid = self._postmaster()
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        return True

    def _forget_dead(self) -> None:
        """Remove what a killed PostgreSQL left: it takes a stranger with its old pid for itself."""
        pid = self._postmaster()
        if pid is not None:
            raise DatabaseUnavailable(
                f"A PostgreSQL that D'insight did not start (process {pid}) works in {self.data}. "
                "Stop it first."
            )
        for name in ("postmaster.pid", f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
            (self.data / name).unlink(missing_ok=True)

    def _postmaster(self) -> int | None:
        """The process in `postmaster.pid`, if it is postgres and works in this folder."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        if Path(os.fsdecode(words[0])).name not in {"postgres", "postmaster"}:
            return None
        if os.fsencode(self._mark) in words:
            return pid
        with suppress(OSError):  # the folder of another account's process may be hidden from us
            return pid if os.path.samefile(f"/proc/{pid}/cwd", self.data) else None
        return None
