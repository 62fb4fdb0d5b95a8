"""A thread that works step by step beside the requests, for as long as the server runs."""

from __future__ import annotations

import logging
import threading

from dinsight.database import is_outage

STOP_SECONDS = 10.0  # for the step under way


class Background:
    """The loop of every such thread: its steps, its end, and a database that is away meanwhile.

    What it is comes with `name`, the name of the thread, and `what`, the words of its log lines:
    "replays" wait when the database cannot be reached, and "replays failed" by an error of ours.
    """

    name: str
    what: str
    again_seconds = 1.0  # until the next step after an error

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._awake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._log = logging.getLogger(type(self).__module__)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop after the step under way; one that was never started is stopped already."""
        self._stopping.set()
        self._awake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=STOP_SECONDS)

    def wake(self) -> None:
        """Let the next step begin at once. May be called by any thread."""
        self._awake.set()

    def step(self) -> float:
        """Do what is due; the seconds until the next step."""
        raise NotImplementedError

    def recover(self) -> None:
        """Forget what an error has made uncertain."""

    def end(self) -> None:
        """Give back what is held; a database that is away is no error here."""

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._awake.clear()
            try:
                wait = self.step()
            except Exception as error:
                self._say(error)
                self.recover()
                wait = self.again_seconds
            if not self._stopping.is_set():
                self._awake.wait(wait)
        try:
            self.end()
        except Exception as error:
            self._say(error)

    def _say(self, error: Exception) -> None:
        if is_outage(error):
            self._log.warning("%s wait: the database cannot be reached", self.what)
        else:
            self._log.error("%s failed", self.what, exc_info=error)
