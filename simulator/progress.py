"""What the person at the terminal sees: a bar that keeps itself current, or a line now and then."""

from __future__ import annotations

import logging
import math
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task
from rich.progress_bar import ProgressBar
from rich.text import Text

log = logging.getLogger(__name__)
_SLOW_ANSWER = 1.0  # seconds without an answer after which it says that it waits


@dataclass
class Tally:
    """The count of a run. Times are seconds of a monotonic clock.

    `position` of `total` rows of the file are with the server, earlier runs included; `sent` and
    `acknowledged` count this run alone, over all rounds.
    """

    total: int = 0
    position: int = 0
    sent: int = 0
    acknowledged: int = 0
    epoch: int | None = None
    rounds: int = 0
    state: str = "starting"
    retry_at: float | None = None
    posted_at: float | None = None
    first: float | None = None
    last: float = 0.0
    recent: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=50))
    answers: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))

    def post(self, rows: int, now: float) -> None:
        """A batch is on its way."""
        if self.first is None:
            self.first = now
        if not self.recent:
            self.recent.append((now, self.acknowledged))
        self.sent += rows
        self.posted_at = now
        self.state = "sending"

    def acknowledge(self, rows: int, seconds: float, now: float) -> None:
        """The server has stored `rows` rows and took `seconds` for it."""
        self.acknowledged += rows
        self.position += rows
        self.answers.append(seconds)
        self.recent.append((now, self.acknowledged))
        self.posted_at = None
        self.last = now

    def rate(self) -> float | None:
        """Rows a second over the latest batches."""
        if len(self.recent) < 2:
            return None
        (start, before), (end, after) = self.recent[0], self.recent[-1]
        return (after - before) / (end - start) if end > start else None

    def words(self, now: float) -> str:
        """The state in words."""
        if self.retry_at is not None and now < self.retry_at:
            return f"retrying in {math.ceil(self.retry_at - now)} s"
        if self.posted_at is not None and now - self.posted_at > _SLOW_ANSWER:
            return "waiting for server"
        return self.state

    def line(self, now: float) -> str:
        """Everything in one line: points, rate, time left, acknowledge times, state."""
        parts = [f"{self.position:,}/{self.total:,} points"]
        rate = self.rate()
        if rate:
            parts.append(f"{rate:,.0f} rows/s" if rate >= 10 else f"{rate:.2g} rows/s")
            parts.append(f"{duration((self.total - self.position) / rate)} left")
        if self.answers:
            last, median = self.answers[-1], statistics.median(self.answers)
            parts.append(f"acknowledge {last * 1000:.0f} ms (median {median * 1000:.0f} ms)")
        return ", ".join([*parts, self.words(now)])

    def summary(self, stream: str) -> str:
        """The last line of a run."""
        if self.sent == self.acknowledged:
            counts = f"sent {self.sent:,} = acknowledged {self.acknowledged:,}"
        else:
            counts = f"sent {self.sent:,}, acknowledged {self.acknowledged:,}"
        seconds = max(0.0, self.last - self.first) if self.first is not None else 0.0
        rate = f"{self.acknowledged / seconds:,.0f} rows/s" if seconds else "no rate"
        median = statistics.median(self.answers) * 1000 if self.answers else 0.0
        rounds = f", {self.rounds:,} rounds" if self.rounds > 1 else ""
        return (
            f"{counts} in {seconds:,.1f} s ({rate}, acknowledge median {median:.0f} ms),"
            f" stream {stream}, epoch {self.epoch}{rounds}"
        )


def duration(seconds: float) -> str:
    """A time to go, as one reads it.

    >>> duration(7.4), duration(754), duration(30_000)
    ('7 s', '12 min 34 s', '8 h 20 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Counted(Protocol):
    """What a bar shows: one run's `Tally`, or several together."""

    @property
    def total(self) -> int: ...
    @property
    def position(self) -> int: ...
    def line(self, now: float) -> str: ...


class _Bar(ProgressColumn):
    def __init__(self, shown: Counted) -> None:
        super().__init__()
        self._shown = shown

    def render(self, task: Task) -> ProgressBar:
        return ProgressBar(total=self._shown.total or 1, completed=self._shown.position, width=24)


class _Words(ProgressColumn):
    def __init__(self, say: Callable[[], str]) -> None:
        super().__init__()
        self._say = say

    def render(self, task: Task) -> Text:
        return Text(self._say(), overflow="ellipsis")


class Reporter:
    """Speaks to the person: notes on `out`, progress on `err`, everything to the log."""

    def __init__(
        self,
        shown: Counted,
        out: TextIO,
        err: TextIO,
        *,
        verbose: bool = False,
        every: float = 5.0,
    ) -> None:
        self._shown = shown
        self._out, self._err = out, err
        self._verbose = verbose
        self._every = every
        self._console: Console | None = None
        self._said_trouble = float("-inf")

    def note(self, text: str) -> None:
        """A line that matters."""
        log.info("%s", text)
        self._print(text)

    def detail(self, text: str) -> None:
        """A line for those who asked for every batch."""
        log.info("%s", text)
        if self._verbose:
            self._print(text)

    def _print(self, text: str) -> None:
        if self._console is not None and self._out.isatty():
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=self._out, flush=True)

    def trouble(self, text: str) -> None:
        """A line of what may come very often: now and then."""
        now = time.monotonic()
        if self._verbose or now - self._said_trouble >= self._every:
            self._said_trouble = now
            self.note(text)
        else:
            log.info("%s", text)

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show progress while the block runs: a bar on a terminal, else a line now and then."""
        watched = self._bar() if self._err.isatty() else self._lines()
        with watched:
            yield

    @contextmanager
    def _bar(self) -> Iterator[None]:
        def say() -> str:
            return self._shown.line(time.monotonic())

        console = Console(file=self._err)
        columns = (_Bar(self._shown), _Words(say))
        bar = Progress(*columns, console=console, refresh_per_second=5, redirect_stdout=False)
        bar.add_task("")
        self._console = console
        try:
            with bar:
                yield
        finally:
            self._console = None

    @contextmanager
    def _lines(self) -> Iterator[None]:
        ended = threading.Event()

        def tell() -> None:
            while not ended.wait(self._every):
                print(self._shown.line(time.monotonic()), file=self._err, flush=True)

        teller = threading.Thread(target=tell, daemon=True)
        teller.start()
        try:
            yield
        finally:
            ended.set()
            teller.join()


class Voice:
    """One run's count, and its words to the reporter; one of several runs says its name."""

    def __init__(self, tally: Tally, reporter: Reporter, name: str = "") -> None:
        self.tally = tally
        self._reporter = reporter
        self._prefix = f"{name}: " if name else ""

    def note(self, text: str) -> None:
        """A line that matters."""
        self._reporter.note(self._prefix + text)

    def detail(self, text: str) -> None:
        """A line for those who asked for every batch."""
        self._reporter.detail(self._prefix + text)

    def retrying(self, reason: str, seconds: float) -> None:
        """A failure that may heal, and when the next try is."""
        self.tally.retry_at = time.monotonic() + seconds
        self._reporter.trouble(f"{self._prefix}{reason}: retrying in {seconds:.1f} s")
