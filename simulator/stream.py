"""The sending loop, as a small state machine.

OPENING -> SENDING <-> PAUSED
              |  \\-> STOPPED
              v
          COMPLETING -> FINISHED  (or OPENING again with --loop)
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from simulator.client import Answer, Client, Request
from simulator.csvfile import Batch, CsvFile
from simulator.errors import BatchRefused, EpochChanged, Refused
from simulator.multipart import Form
from simulator.options import StreamOptions
from simulator.progress import Voice
from simulator.readahead import ReadAhead

log = logging.getLogger(__name__)


class State(StrEnum):
    """Where a run is."""

    OPENING = "opening the stream"
    SENDING = "sending"
    PAUSED = "paused"
    COMPLETING = "completing"
    STOPPED = "stopped"
    FINISHED = "finished"
    NOTHING_LEFT = "nothing left"


ENDS = {State.STOPPED, State.FINISHED, State.NOTHING_LEFT}


@dataclass(frozen=True)
class Pace:
    """Clock and sleep, so that tests need not wait; `poll` is seconds between looks at a pause."""

    poll: float = 1.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Sender:
    """Sends the rows of a file to one stream, each once and in order."""

    def __init__(
        self,
        client: Client,
        file: CsvFile,
        baseline_id: int,
        options: StreamOptions,
        *,
        report: Voice,
        pace: Pace | None = None,
    ) -> None:
        self._client = client
        self._file = file
        self._baseline_id = baseline_id
        self._options = options
        self._report = report
        self._pace = pace or Pace()
        self._tally = report.tally
        self._run = uuid.uuid4().hex
        self._resuming = options.resume
        self._carried = 0  # rows of this run that are in epochs before a refit
        self._reader: ReadAhead[Batch] | None = None
        self._next: Batch | None = None
        self._due = float("-inf")

    def run(self, total: int) -> State:
        """Send `total` rows of the file; gives the state in which it ended."""
        self._tally.total = total
        steps = {
            State.OPENING: self._open,
            State.SENDING: self._send,
            State.PAUSED: self._wait_while_paused,
            State.COMPLETING: self._complete,
        }
        state = State.OPENING
        try:
            while state not in ENDS:
                self._tally.state = str(state)
                state = steps[state]()
                log.debug("state: %s", state)
        finally:
            self._close_reader()
        self._tally.state = str(state)
        return state

    # --- one method a state; each gives the next state ---

    def _open(self) -> State:
        """Begin an epoch, or find where the last run ended; declare what is to come."""
        resumed, self._resuming = self._resuming, False
        skip, paused = self._resume() if resumed else (self._reset(), False)
        if skip >= self._tally.total:
            return State.OPENING if self._options.loop else State.NOTHING_LEFT
        self._tally.rounds += 1
        self._tally.position = skip
        self._declare()
        batches = self._file.batches(self._options.batch_size, skip, self._tally.total)
        self._reader = ReadAhead(batches)
        self._next = next(self._reader, None)
        log.info("epoch %s, from row %d of %d", self._tally.epoch, skip + 1, self._tally.total)
        return State.PAUSED if paused else State.SENDING

    def _send(self) -> State:
        batch = self._next
        if batch is None:
            return State.COMPLETING
        self._keep_pace()
        control = self._post(batch)
        self._next = next(self._batches(), None)
        if control == "stop":
            return State.STOPPED
        if self._next is None and not self._options.loop:
            return State.COMPLETING  # with nothing left to hold back, a pause changes nothing
        return State.PAUSED if control == "hold" else State.SENDING

    def _wait_while_paused(self) -> State:
        while True:
            self._pace.sleep(self._pace.poll)
            status = self._status()
            if status["epoch"] != self._tally.epoch and not self._follows(status):
                raise self._reset_from_elsewhere()
            if status["status"] in {"stopped", "completed"}:
                return State.STOPPED
            if status["status"] != "paused":
                self._tally.recent.clear()
                return State.SENDING

    def _complete(self) -> State:
        self._close_reader()
        self._control("complete")
        return State.OPENING if self._options.loop else State.FINISHED

    # --- the requests ---

    def _reset(self) -> int:
        """Open a new epoch; gives the number of rows to skip, none."""
        self._carried = 0
        path = f"/streaming/{self._baseline_id}/reset"
        params = {"stream": self._options.stream}
        self._tally.epoch = self._client.call(Request("DELETE", path, params=params)).data["epoch"]
        return 0

    def _resume(self) -> tuple[int, bool]:
        """Rows that the server has of this run, and whether the stream is paused."""
        status = self._status()
        self._tally.epoch = status["epoch"]
        self._carried = int(status.get("carried_points") or 0)
        done = self._carried + int(status.get("streamed_points") or 0)
        if done >= self._tally.total:
            self._tally.position = done
            if status["status"] == "streaming":
                self._control("complete")  # the last run was cut off just before it could say so
            return done, False
        self._report.note(f"resuming after row {done:,} (epoch {status['epoch']})")
        if status["status"] in {"stopped", "completed"}:
            self._control("start")
        return done, status["status"] == "paused"

    def _declare(self) -> None:
        """Tell the server how many points will come, and how fast."""
        settings = {
            "stream": self._options.stream,
            "total_points": self._tally.total - self._carried,
            "batch_size": self._options.batch_size,
            "delay_seconds": self._options.delay,
            "latest_glow_count": self._options.latest_glow_count,
        }
        path = f"/streaming/{self._baseline_id}/config"
        self._client.call(Request("PUT", path, json=settings))

    def _post(self, batch: Batch) -> str:
        """Send a batch until it is acknowledged; gives what the server wants next."""
        key = f"{self._run}-{self._tally.rounds}-{batch.number}"
        self._tally.post(batch.rows, self._pace.clock())
        while (answer := self._try(batch, key)) is None:
            if not self._follows(self._status()):
                raise self._reset_from_elsewhere()
        receipt = answer.data
        self._tally.acknowledge(receipt["points_processed"], answer.seconds, self._pace.clock())
        self._tally.epoch = receipt["epoch"]
        self._report.detail(_batch_line(batch, receipt, answer.seconds, key))
        return str(receipt["control"])

    def _try(self, batch: Batch, key: str) -> Answer | None:
        """Send a batch to the epoch that is known; None where the stream has another by now."""
        fields = {"stream": self._options.stream, "epoch": str(self._tally.epoch)}
        form = Form(fields, "file", f"monitor_batch_{batch.number}.csv")
        body = form.around(batch.body)
        headers = {"Content-Type": form.content_type, "Idempotency-Key": key}
        path = f"/monitor/{self._baseline_id}"
        try:
            return self._client.call(Request("POST", path, body=lambda: body, headers=headers))
        except Refused as error:
            if error.status == 409 and error.code == "EPOCH_CHANGED":
                return None
            raise self._refused(error, batch) from error

    def _follows(self, status: dict[str, Any]) -> bool:
        """Whether this run goes on in another epoch, as after a refit; if so, so do we.

        After a reset it does not: that was somebody's wish, and the run is over.
        """
        known = self._tally.epoch
        if known is None or not status.get("run_epoch", status["epoch"]) <= known < status["epoch"]:
            return False
        self._tally.epoch = status["epoch"]
        self._report.note(
            f"baseline {self._baseline_id} was refitted: going on with row"
            f" {self._tally.position + 1:,} in epoch {status['epoch']}, on the new map"
        )
        return True

    def _status(self) -> dict[str, Any]:
        path = f"/streaming/{self._baseline_id}/status"
        status: dict[str, Any] = self._client.get(path, stream=self._options.stream)
        return status

    def _control(self, action: str) -> None:
        body = {"action": action, "stream": self._options.stream}
        path = f"/streaming/{self._baseline_id}/control"
        self._client.call(Request("POST", path, json=body))

    # --- helpers ---

    def _keep_pace(self) -> None:
        """Sleep until the next batch is due; a late batch is not made up for by a burst."""
        ahead = self._due - self._pace.clock()
        if ahead > 0:
            self._pace.sleep(ahead)
        self._due = self._pace.clock() + self._options.delay

    def _batches(self) -> Iterator[Batch]:
        return self._reader if self._reader is not None else iter(())

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _refused(self, error: Refused, batch: Batch) -> Exception:
        lines = f"line {batch.first_line}"
        if batch.last_line != batch.first_line:
            lines = f"lines {batch.first_line}–{batch.last_line}"
        return BatchRefused(
            f"batch {batch.number} ({lines} of {self._file.path.name}) was refused: {error}"
        )

    def _reset_from_elsewhere(self) -> EpochChanged:
        return EpochChanged(
            f"stream {self._options.stream} was reset from elsewhere after"
            f" {self._tally.acknowledged:,} rows; nothing more was sent"
        )


def _batch_line(batch: Batch, receipt: dict[str, Any], seconds: float, key: str) -> str:
    return (
        f"batch {batch.number}: {batch.rows} rows,"
        f" seq {receipt['first_seq']}–{receipt['last_seq']}, epoch {receipt['epoch']},"
        f" {receipt.get('level') or 'no level'}, score {receipt.get('score')},"
        f" {seconds * 1000:.0f} ms, key {key}"
    )
