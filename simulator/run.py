"""A streaming run from the first check to the summary."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from simulator import baseline as baselines
from simulator import columns, credentials, csvfile, fleet
from simulator.baseline import Baseline
from simulator.client import Client
from simulator.csvfile import CsvFile
from simulator.errors import BadFile, BaselineUnusable, SimulatorError
from simulator.options import DEFAULT_MONITOR_FILE, StreamOptions, program
from simulator.progress import Reporter, Tally, Voice
from simulator.retry import Backoff
from simulator.stream import Pace, Sender, State


@dataclass(frozen=True)
class World:
    """What surrounds a run; tests give their own."""

    out: TextIO
    err: TextIO
    environment: Mapping[str, str]
    ask: Callable[[str], str] | None = None
    backoff: Backoff | None = None
    pace: Pace | None = None

    @classmethod
    def real(cls) -> World:
        """This process's terminal and environment."""
        ask = _ask if sys.stdin is not None and sys.stdin.isatty() else None
        return cls(sys.stdout, sys.stderr, os.environ, ask)


def _ask(question: str) -> str:
    """Read one answer from the terminal; the question goes to stderr, like all that is shown."""
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def run(options: StreamOptions, world: World) -> int:
    """Stream as asked; gives the exit status. Raises SimulatorError with one clear line."""
    monitor = _filtered(CsvFile.open(_find_monitor_file(options, world)), options)
    own = CsvFile.open(options.baseline_file) if options.baseline_file else None
    own = _without_metadata(_filtered(own, options), options) if own else None
    tally = Tally()
    machines = fleet.FleetTally(fleet.names(options.stream, options.streams))
    shown = tally if options.streams == 1 else machines
    report = Reporter(shown, world.out, world.err, verbose=options.verbose)
    voice = Voice(tally, report)
    found = credentials.find(
        options.auth_email, options.auth_password, options.api_url, world.environment
    )
    backoff = world.backoff or Backoff(patience=options.give_up_after)
    pace = world.pace or Pace()
    with Client(options.api_url, found, backoff=backoff, on_wait=voice.retrying) as client:
        baseline, monitor = _prepare(options, client, own, monitor, report=report, pace=pace)
        total = _count(monitor, options)
        what = f"{total:,} rows of {monitor.path.name} to baseline {baseline.id} ({baseline.name})"
        if options.streams > 1:
            report.note(f"streaming {what}, {options.streams} streams")
            sending = fleet.Sending(client, monitor, baseline.id, options, total, pace)
            return _send_to_many(sending, machines, report)
        report.note(f"streaming {what}, stream {options.stream}")
        sender = Sender(client, monitor, baseline.id, options, report=voice, pace=pace)
        return _send(
            sender, total, stream=options.stream, monitor=monitor, voice=voice, report=report
        )


def _count(monitor: CsvFile, options: StreamOptions) -> int:
    total = monitor.count(options.limit)
    if total == 0:
        raise BadFile(f"{monitor.path.name} has a header but no rows")
    return total


def _send(
    sender: Sender, total: int, *, stream: str, monitor: CsvFile, voice: Voice, report: Reporter
) -> int:
    try:
        with report.live():
            end = sender.run(total)
    finally:
        if voice.tally.sent:
            report.note(voice.tally.summary(stream))
    return _conclude(end, voice.tally, monitor, report)


def _send_to_many(sending: fleet.Sending, machines: fleet.FleetTally, report: Reporter) -> int:
    try:
        with report.live():
            ends = fleet.run(sending, machines, report)
    finally:
        if machines.sent:
            report.note(machines.summary())
    fleet.conclude(ends, report)
    _require_all(machines)
    return 0


def _conclude(end: State, tally: Tally, monitor: CsvFile, report: Reporter) -> int:
    if end is State.NOTHING_LEFT:
        report.note(
            f"nothing left to send: the server has {tally.position:,} of the {tally.total:,} rows"
            f" of {monitor.path.name}"
        )
    if end is State.STOPPED:
        report.note(f"stopped from the page after {tally.acknowledged:,} rows")
    _require_all(tally)
    return 0


def _require_all(tally: Tally | fleet.FleetTally) -> None:
    """Raises SimulatorError where the server has not acknowledged every row that was sent."""
    if tally.sent != tally.acknowledged:
        raise SimulatorError(
            f"the server acknowledged {tally.acknowledged:,} of the {tally.sent:,} rows sent"
        )


def _prepare(
    options: StreamOptions,
    client: Client,
    own: CsvFile | None,
    monitor: CsvFile,
    *,
    report: Reporter,
    pace: Pace,
) -> tuple[Baseline, CsvFile]:
    """A fitted baseline, and the monitor file as it will be sent, held against each other."""
    if own is None:
        if options.baseline_id is None:
            raise BaselineUnusable("give --baseline-id or --baseline-file")
        number = options.baseline_id
    else:
        # Columns that are features by name are known before the upload: say it now, not after.
        likely = columns.features_by_name(own.names)
        baselines.check_present(likely, monitor, own.path.name)
        number = baselines.upload(client, own, report)
    baselines.wait_until_fitted(client, number, report, poll=pace.poll, sleep=pace.sleep)
    baseline = baselines.describe(client, number)
    filters = options.feature_max_freq is not None or options.feature_max_index is not None
    hint = baselines.check_columns(baseline, monitor, filters)
    if not options.include_metadata and baseline.features:
        wanted = {name.casefold() for name in baseline.features}
        monitor = _keeping(monitor, lambda name: name.casefold() in wanted)
    elif hint:
        report.note(hint)
    return baseline, monitor


def _filtered(file: CsvFile, options: StreamOptions) -> CsvFile:
    places = columns.filtered(
        file.all_names, options.feature_max_freq, options.feature_max_index, file.path.name
    )
    return file.narrowed(places)


def _without_metadata(file: CsvFile, options: StreamOptions) -> CsvFile:
    """The baseline file as it goes up: without metadata where that was asked for."""
    if options.include_metadata:
        return file
    if columns.features_by_name(file.names):
        return _keeping(file, columns.is_family)
    return file.narrowed(csvfile.numeric_columns(file))


def _keeping(file: CsvFile, wanted: Callable[[str], bool]) -> CsvFile:
    """The columns that are sent so far and wanted."""
    places = range(len(file.all_names)) if file.keep is None else file.keep
    return file.narrowed([place for place in places if wanted(file.all_names[place])])


def _find_monitor_file(options: StreamOptions, world: World) -> Path:
    """The monitor file: as named, else in the samples, else as answered on the terminal."""
    found = _existing(options.monitor_file, world)
    if found is None and world.ask is not None:
        answer = world.ask(f"{options.monitor_file} is not here. Monitor file (CSV): ")
        found = _existing(Path(answer).expanduser(), world) if answer else None
        if answer and found is None:
            raise BadFile(f"no file {answer}")
    if found is None:
        default = options.monitor_file == DEFAULT_MONITOR_FILE
        hint = f": make the sample with {program()} sample, or name yours with --monitor-file"
        raise BadFile(f"no file {options.monitor_file}{hint if default else ''}")
    return found


def _existing(path: Path, world: World) -> Path | None:
    samples = credentials.data_folder(world.environment) / "samples"
    return next((place for place in (path, samples / path) if place.exists()), None)
