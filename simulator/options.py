"""The command line: options with their defaults, checked."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

DEFAULT_MONITOR_FILE = Path("Store D Line A - Monitor.csv")
MOST_STREAMS = 500  # each is a thread
DEFAULT_STREAM = "default"
DEFAULT_API_URL = "http://localhost:8080/api/v1"

_DESCRIPTION = (
    "Plays a recorded machine (a CSV file) into D'insight, row by row, as a sensor would."
)
_EPILOG = """examples:
  fit a baseline from a file, then stream against it, one row every two seconds
      {prog} --baseline-file baseline.csv --monitor-file monitor.csv
  stream against baseline 3 as fast as the server takes it, fifty rows at a time
      {prog} --baseline-id 3 --monitor-file monitor.csv --delay 0 --batch-size 50
  go on where an interrupted run ended
      {prog} --baseline-id 3 --monitor-file monitor.csv --resume
  take the points of baseline 3's stream along as a file (see {prog} export --help)
      {prog} export --baseline-id 3 --output night.csv
  twenty machines at once, line-01 to line-20, one row a second each
      {prog} --baseline-id 3 --monitor-file monitor.csv --stream line --streams 20 --delay 1
  make the sample machine's files, here with a failing sensor (see {prog} sample --help)
      {prog} sample --condition sensor-fault --out training

credentials, the first that is there:
  --auth-email and --auth-password; DINSIGHT_AUTH_EMAIL and DINSIGHT_AUTH_PASSWORD in the
  environment; the API key in credentials.json in the data folder (DINSIGHT_HOME, .dinsight).

exit status: 0 every row acknowledged, or stopped from the page; 1 failure; 2 wrong usage;
130 interrupted (Ctrl-C), 143 terminated. A run without --resume begins a new epoch of its
stream: the earlier points are kept, but are not shown any more.
"""


_EXPORT_EPILOG = """examples:
  the present run, under a name that says what is in it
      {prog} --baseline-id 3
  last night with its readings, to be streamed again
      {prog} --baseline-id 3 --epoch all --features --output night.csv \\
          --from 2026-05-01T22:00+02:00 --to 2026-05-02T06:00+02:00
  all that is kept, for a notebook
      {prog} --baseline-id 3 --epoch all --output line-a.parquet

exit status: 0 the whole file was written; 1 failure; 2 wrong usage; 130 interrupted (Ctrl-C),
143 terminated. The file is there only once it is whole: until then it is FILE.part.
"""
FORMATS = ("csv", "parquet", "jsonl")


@dataclass(frozen=True)
class StreamOptions:
    """What `python -m simulator` was asked to do."""

    baseline_id: int | None = None
    baseline_file: Path | None = None
    monitor_file: Path = DEFAULT_MONITOR_FILE
    delay: float = 2.0
    batch_size: int = 1
    stream: str = DEFAULT_STREAM
    streams: int = 1
    limit: int | None = None
    loop: bool = False
    resume: bool = False
    latest_glow_count: int = 10
    feature_max_freq: float | None = None
    feature_max_index: int | None = None
    include_metadata: bool = True
    api_url: str = DEFAULT_API_URL
    auth_email: str | None = None
    auth_password: str | None = field(default=None, repr=False)
    give_up_after: float = 600.0
    verbose: bool = False
    log_file: Path | None = None


@dataclass(frozen=True)
class ExportOptions:
    """What `python -m simulator export` was asked to do; times are RFC 3339."""

    baseline_id: int
    stream: str = "default"
    epoch: str | None = None
    since: str | None = None
    until: str | None = None
    format: str = "csv"
    features: bool = False
    output: Path | None = None
    force: bool = False
    api_url: str = DEFAULT_API_URL
    auth_email: str | None = None
    auth_password: str | None = field(default=None, repr=False)
    give_up_after: float = 600.0
    verbose: bool = False
    log_file: Path | None = None


@dataclass(frozen=True)
class SampleOptions:
    """What `python -m simulator sample` was asked to do."""

    condition: str
    out: Path


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the whole usage is in --help."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


class _Help(argparse.RawDescriptionHelpFormatter):
    """Keeps the examples as they are, and shows the defaults that mean something."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        default = action.default
        silent = default is None or isinstance(default, bool) or default == argparse.SUPPRESS
        return text if silent else f"{text} (default: %(default)s)"


def program() -> str:
    """How this command was called, for help and errors."""
    name = Path(sys.argv[0]).name
    return "python -m simulator" if name in {"__main__.py", "-m", ""} else name


def _number(kind: type[int] | type[float], least: float, words: str, most: float = math.inf) -> Any:
    def convert(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(-1)
        if not math.isfinite(value) or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"expected {words}, got {text!r}")
        return value

    return convert


_WHOLE = _number(int, 1, "a whole number of at least 1")
_MACHINES = _number(int, 1, f"a whole number from 1 to {MOST_STREAMS:,}", MOST_STREAMS)
_INDEX = _number(int, 0, "a whole number of at least 0")
_AMOUNT = _number(float, 0.0, "a number of at least 0")


def _url(text: str) -> str:
    parts = urlsplit(text.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise argparse.ArgumentTypeError(f"expected http(s)://host:port/api/v1, got {text!r}")
    if "@" in parts.netloc:
        raise argparse.ArgumentTypeError("no password in the URL: use --auth-email or the settings")
    path = parts.path.rstrip("/") or "/api/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"


def _epoch(text: str) -> str:
    return text if text == "all" else str(_WHOLE(text))


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        expected = f"expected a time such as 2026-05-01T06:00Z, got {text!r}"
        raise argparse.ArgumentTypeError(expected) from None


def _name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("expected a name")
    return text.strip()


def parse_stream(arguments: Sequence[str]) -> StreamOptions:
    """The options of a streaming run; ends the process with one line when they are wrong."""
    prog = program()
    parser = _Parser(
        prog=prog,
        description=_DESCRIPTION,
        epilog=_EPILOG.format(prog=prog),
        formatter_class=_Help,
        allow_abbrev=False,
    )
    _add_files(parser)
    _add_pace(parser)
    _add_columns(parser)
    _add_server(parser)
    _add_output(parser)
    return StreamOptions(**vars(parser.parse_args(arguments)))


def _add_files(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("baseline (one of the two) and monitor file")
    one = group.add_mutually_exclusive_group(required=True)
    add = one.add_argument
    add("--baseline-id", type=_WHOLE, metavar="ID", help="stream against this fitted baseline")
    add("--baseline-file", type=Path, metavar="CSV", help="upload and fit this file first")
    group.add_argument(
        "--monitor-file",
        type=Path,
        metavar="CSV",
        default=DEFAULT_MONITOR_FILE,
        help="the rows to send; looked for here, then in the samples of the data folder",
    )


def _add_pace(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("what is sent, and how fast").add_argument
    delay = "seconds between the starts of two batches; 0: as fast as possible"
    add("--delay", type=_AMOUNT, metavar="S", default=2.0, help=delay)
    add("--batch-size", type=_WHOLE, metavar="N", default=1, help="rows in a batch")
    stream = "the stream to send to"
    add("--stream", type=_name, metavar="NAME", default=DEFAULT_STREAM, help=stream)
    many = "send the file to N streams at once, NAME-1 to NAME-N, as N machines would"
    add("--streams", type=_MACHINES, metavar="N", default=1, help=many)
    add("--limit", type=_WHOLE, metavar="N", help="use only the first N rows of the file")
    add("--loop", action="store_true", help="start again at the end, each round a new epoch")
    add("--resume", action="store_true", help="go on after the last row that the server has")
    glow = "newest points that glow on the page"
    add("--latest-glow-count", type=_INDEX, metavar="N", default=10, help=glow)


def _add_columns(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("columns (baseline and monitor file alike)").add_argument
    freq = "of the columns freq_<Hz>, use those up to this frequency"
    add("--feature-max-freq", type=_AMOUNT, metavar="HZ", help=freq)
    index = "of the columns f_<n>, use those up to this number"
    add("--feature-max-index", type=_INDEX, metavar="N", help=index)
    add(
        "--include-metadata",
        action="store_true",
        default=True,
        help="send the columns that are not features along as metadata (this is the default)",
    )
    without = "leave the columns out that are not features"
    add("--no-include-metadata", dest="include_metadata", action="store_false", help=without)


def _add_server(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("server").add_argument
    add("--api-url", type=_url, metavar="URL", default=DEFAULT_API_URL, help="where the API is")
    add("--auth-email", metavar="EMAIL", help="account to sign in with")
    add("--auth-password", metavar="PASSWORD", help="its password (others may see it in ps)")
    patience = "seconds of failures without one success after which to end"
    add("--give-up-after", type=_AMOUNT, metavar="S", default=600, help=patience)


def _add_output(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("output").add_argument
    add("--verbose", action="store_true", help="a line for each batch; tracebacks in the log file")
    add("--log-file", type=Path, metavar="PATH", help="append everything that is done to this file")


def parse_export(arguments: Sequence[str]) -> ExportOptions:
    """The options of `export`; ends the process with one line when they are wrong."""
    prog = f"{program()} export"
    parser = _Parser(
        prog=prog,
        description="Writes the points of a stream to a file: places, scores, levels, metadata and,"
        " if wanted, readings.",
        epilog=_EXPORT_EPILOG.format(prog=prog),
        formatter_class=_Help,
        allow_abbrev=False,
    )
    _add_points(parser)
    _add_file(parser)
    _add_server(parser)
    _add_output(parser)
    given = vars(parser.parse_args(arguments))
    if given["format"] is None:
        suffix = given["output"].suffix.lstrip(".").lower() if given["output"] else ""
        given["format"] = suffix if suffix in FORMATS else FORMATS[0]
    return ExportOptions(**given)


def _add_points(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("which points").add_argument
    of = "the baseline of the stream"
    add("--baseline-id", type=_WHOLE, metavar="ID", required=True, help=of)
    add("--stream", type=_name, metavar="NAME", default="default", help="the stream")
    epoch = "an earlier epoch, or all; left out, the present run"
    add("--epoch", type=_epoch, metavar="N", help=epoch)
    since = "only points received then or later, such as 2026-05-01T06:00Z; without a zone it is"
    add("--from", type=_moment, metavar="TIME", dest="since", help=f"{since} local time")
    add("--to", type=_moment, metavar="TIME", dest="until", help="only points received before")
    features = "with the readings, so that a CSV can be streamed again"
    add("--features", action="store_true", help=features)


def _add_file(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("the file").add_argument
    kind = "csv, parquet or jsonl; left out, as --output ends, else csv"
    add("--format", choices=FORMATS, help=kind)
    output = "where to write; left out, here, under a name that says what is in it"
    add("--output", type=Path, metavar="FILE", help=output)
    add("--force", action="store_true", help="write over a file that is there already")


def parse_sample(arguments: Sequence[str]) -> SampleOptions:
    """The options of `sample`."""
    from simulator.sample import CONDITIONS

    parser = _Parser(
        prog=f"{program()} sample",
        description="Writes the sample machine's baseline and monitor file (the same bytes each"
        " time), to try D'insight out or to train with.",
        epilog="conditions:\n"
        + "".join(f"  {name:13} {words}\n" for name, words in CONDITIONS.items()),
        formatter_class=_Help,
        allow_abbrev=False,
    )
    condition = "what happens to the machine in the monitor file"
    parser.add_argument("--condition", choices=tuple(CONDITIONS), default="bearing", help=condition)
    out = "folder to write to; made where it is missing"
    parser.add_argument("--out", type=Path, metavar="DIR", default=Path(), help=out)
    return SampleOptions(**vars(parser.parse_args(arguments)))
