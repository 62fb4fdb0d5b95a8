"""Many machines at once: one file to several streams, each by a sender in a thread of its own."""

from __future__ import annotations

import queue
import statistics
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from simulator.client import Client
from simulator.csvfile import CsvFile
from simulator.errors import SimulatorError
from simulator.options import DEFAULT_STREAM, StreamOptions
from simulator.progress import Reporter, Tally, Voice, duration
from simulator.stream import Pace, Sender, State

NAMED = 5  # machines that a line names; the log has all


def names(base: str, count: int) -> list[str]:
    """The streams of so many machines; numbers of equal length, so that they sort as they count.

    >>> names("pump", 2), names("default", 10)[0]
    (['pump-1', 'pump-2'], 'machine-01')
    """
    word = "machine" if base == DEFAULT_STREAM else base
    digits = len(str(count))
    return [f"{word}-{number:0{digits}}" for number in range(1, count + 1)]


class End(NamedTuple):
    """How a machine's run ended: in a state, or by an error."""

    stream: str
    state: State | None
    error: BaseException | None


@dataclass
class FleetTally:
    """The counts of all machines together, in the words of one (`progress.Tally`)."""

    streams: Sequence[str]
    tallies: list[Tally] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tallies = [Tally() for _ in self.streams]

    @property
    def total(self) -> int:
        return sum(each.total for each in self.tallies)

    @property
    def position(self) -> int:
        return sum(each.position for each in self.tallies)

    @property
    def sent(self) -> int:
        return sum(each.sent for each in self.tallies)

    @property
    def acknowledged(self) -> int:
        return sum(each.acknowledged for each in self.tallies)

    def rate(self) -> float:
        """Rows a second of all machines."""
        return sum(each.rate() or 0.0 for each in self.tallies)

    def slowest(self) -> tuple[float, str] | None:
        """The longest that an acknowledge took last, in seconds, and whose it was."""
        times = zip(self.tallies, self.streams, strict=True)
        return max(((t.answers[-1], name) for t, name in times if t.answers), default=None)

    def line(self, now: float) -> str:
        """Everything in one line: points, rate, time left, the slowest, who is in trouble."""
        parts = [f"{len(self.streams)} streams: {self.position:,}/{self.total:,} points"]
        if rate := self.rate():
            parts.append(f"{rate:,.0f} rows/s" if rate >= 10 else f"{rate:.2g} rows/s")
            parts.append(f"{duration((self.total - self.position) / rate)} left")
        if slow := self.slowest():
            parts.append(f"slowest acknowledge {slow[0] * 1000:.0f} ms ({slow[1]})")
        return ", ".join([*parts, *self._words(now)])

    def _words(self, now: float) -> list[str]:
        """How many are in which state, the commonest first."""
        words = [each.words(now).split(" in ")[0] for each in self.tallies]
        counted = sorted({(-words.count(word), word) for word in words})
        return [f"{-count} {word}" for count, word in counted]

    def summary(self) -> str:
        """The last line of a run."""
        sent, acknowledged = self.sent, self.acknowledged
        equal = sent == acknowledged
        counts = f"sent {sent:,}{' =' if equal else ','} acknowledged {acknowledged:,}"
        begun = [each.first for each in self.tallies if each.first is not None]
        seconds = max((each.last for each in self.tallies), default=0.0) - min(begun, default=0.0)
        rate = f"{acknowledged / seconds:,.0f} rows/s" if seconds > 0 else "no rate"
        answers = [seconds for each in self.tallies for seconds in each.answers]
        median = statistics.median(answers) * 1000 if answers else 0.0
        return (
            f"{counts} in {max(0.0, seconds):,.1f} s ({rate}, acknowledge median {median:.0f} ms),"
            f" {len(self.streams)} streams, {self.streams[0]} to {self.streams[-1]}"
        )


@dataclass(frozen=True)
class Sending:
    """What every machine sends, and how: `total` rows of a file to streams of a baseline."""

    client: Client
    file: CsvFile
    baseline_id: int
    options: StreamOptions
    total: int
    pace: Pace

    def to(self, stream: str, number: int, voice: Voice) -> State:
        """Send to one stream. The machines begin spread over one delay, as real ones would."""
        options = replace(self.options, stream=stream)
        self.pace.sleep(options.delay * number / options.streams)
        with self.client.another(voice.retrying) as client:
            sender = Sender(
                client, self.file, self.baseline_id, options, report=voice, pace=self.pace
            )
            return sender.run(self.total)


def run(sending: Sending, machines: FleetTally, report: Reporter) -> list[End]:
    """Send to every stream at once; gives how each ended. One that fails stops no other."""
    ends: queue.SimpleQueue[End] = queue.SimpleQueue()

    def send(number: int) -> None:
        stream, tally = machines.streams[number], machines.tallies[number]
        try:
            ends.put(End(stream, sending.to(stream, number, Voice(tally, report, stream)), None))
        except Exception as error:  # told at the end, with the others'
            ends.put(End(stream, None, error))

    for number, tally in enumerate(machines.tallies):
        tally.total = sending.total
        threading.Thread(target=send, args=(number,), daemon=True).start()
    return [ends.get() for _ in machines.streams]


def conclude(ends: Sequence[End], report: Reporter) -> None:
    """Say what came of the machines; raises SimulatorError for those that failed."""
    for state, words in ((State.STOPPED, "stopped from the page"), (State.NOTHING_LEFT, "no rest")):
        if found := sorted(end.stream for end in ends if end.state is state):
            report.note(f"{words}: {_listed(found)}")
    failed = sorted((end for end in ends if end.error is not None), key=lambda end: end.stream)
    if failed:
        raise SimulatorError(
            f"{len(failed)} of {len(ends)} streams failed ({_listed([e.stream for e in failed])});"
            f" the first: {failed[0].error}"
        )


def _listed(streams: Sequence[str]) -> str:
    more = f" and {len(streams) - NAMED} more" if len(streams) > NAMED else ""
    return ", ".join(streams[:NAMED]) + more
