"""`export`: a stream's points as a file, which is there only once all of it is."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import requests

from simulator import baseline as baselines
from simulator import credentials
from simulator.client import Client, Request
from simulator.errors import BadFile, BaselineUnusable, Refused, SimulatorError
from simulator.options import ExportOptions
from simulator.progress import Reporter, Tally, Voice
from simulator.retry import Backoff
from simulator.run import World

log = logging.getLogger(__name__)
PIECE = 256 * 1024
BY_LINE = {"csv": 1, "jsonl": 0}  # formats whose points are lines, and their lines of header
NAMED = re.compile(r'filename="([A-Za-z0-9._-]+)"')


@dataclass
class Meter:
    """What came so far, told now and then."""

    err: TextIO
    every: float
    points: int = 0
    header: int | None = None  # lines before the points; None where points are no lines
    clock: Callable[[], float] = time.monotonic
    size: int = 0
    lines: int = 0

    def __post_init__(self) -> None:
        self._began = self._said = self.clock()

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.header is not None:
            self.lines += piece.count(b"\n")
        if self.clock() - self._said >= self.every:
            self.tell()

    def tell(self) -> None:
        """On a terminal on one line, elsewhere on a line of its own."""
        self._said = self.clock()
        end = "\r" if self.err.isatty() else "\n"
        print(self.words(), file=self.err, end=end, flush=True)

    def words(self) -> str:
        """`412,000/1,000,000 points, 38.1 MB, 9.4 MB/s`."""
        parts = []
        if self.header is not None:
            parts.append(f"{min(self.points, max(0, self.lines - self.header)):,}")
        parts = [f"{'/'.join([*parts, f'{self.points:,}'])} points", f"{self.size / 1e6:,.1f} MB"]
        seconds = self.clock() - self._began
        if seconds > 0:
            parts.append(f"{self.size / 1e6 / seconds:,.1f} MB/s")
        return ", ".join(parts)


def run(options: ExportOptions, world: World) -> int:
    """Export as asked; gives the exit status. Raises SimulatorError with one clear line."""
    if options.output is not None:
        _refuse_to_overwrite(options.output, options)
    tally = Tally()
    report = Voice(tally, Reporter(tally, world.out, world.err, verbose=options.verbose))
    found = credentials.find(
        options.auth_email, options.auth_password, options.api_url, world.environment
    )
    backoff = world.backoff or Backoff(patience=options.give_up_after)
    with Client(options.api_url, found, backoff=backoff, on_wait=report.retrying) as client:
        request = Request(
            "GET",
            f"/streaming/{options.baseline_id}/export",
            params=_asked(options),
            take=lambda answer: _take(answer, options, world),
        )
        try:
            path, words = client.call(request).data
        except Refused as error:
            if error.code == "BASELINE_NOT_FOUND":
                raise BaselineUnusable(baselines.unknown(client, options.baseline_id)) from error
            raise
    report.note(f"wrote {path}: {words}")
    return 0


def _asked(options: ExportOptions) -> dict[str, str]:
    asked = {"format": options.format, "stream": options.stream}
    asked |= {"features": "1"} if options.features else {}
    for name, value in (("epoch", options.epoch), ("from", options.since), ("to", options.until)):
        asked |= {name: value} if value is not None else {}
    return asked


def _take(answer: requests.Response, options: ExportOptions, world: World) -> tuple[Path, str]:
    """Write an answer to its file: beside it first, and in its place once it is whole."""
    path = options.output or Path(_named(answer, options))
    _refuse_to_overwrite(path, options)
    meter = Meter(
        world.err,
        every=0.5 if world.err.isatty() else 5.0,
        points=int(answer.headers.get("X-Points", "0")),
        header=BY_LINE.get(options.format),
    )
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            for piece in answer.iter_content(PIECE):
                file.write(piece)
                meter.add(piece)
        part.replace(path)
    except OSError as error:
        if isinstance(error, requests.RequestException):
            raise
        raise BadFile(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
    return path, meter.words()


def _named(answer: requests.Response, options: ExportOptions) -> str:
    """The name that the server gives the file."""
    found = NAMED.search(answer.headers.get("Content-Disposition", ""))
    return found[1] if found else f"baseline-{options.baseline_id}.{options.format}"


def _refuse_to_overwrite(path: Path, options: ExportOptions) -> None:
    if path.is_dir():
        raise BadFile(f"{path} is a folder: name a file in it")
    if not path.parent.is_dir():
        raise BadFile(f"no folder {path.parent}")
    if path.exists() and not options.force:
        raise SimulatorError(f"{path} is there already: name another --output, or give --force")
