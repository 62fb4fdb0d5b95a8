"""`python -m simulator` and `dinsight-simulator`: stream a file, export, make the sample files."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from simulator.errors import SimulatorError
from simulator.logs import log_to
from simulator.options import parse_export, parse_sample, parse_stream

log = logging.getLogger("simulator")
RESUME = "; go on later with --resume"
NO_FILE = "; no file was written"


class Terminated(KeyboardInterrupt):
    """SIGTERM: ends a run as cleanly as Ctrl-C does."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["sample"]:
        return _guarded(lambda: _sample(given[1:]), verbose=False)
    if given[:1] == ["export"]:
        return _export(given[1:])
    return _stream(given[1:] if given[:1] == ["stream"] else given)


def _stream(arguments: Sequence[str]) -> int:
    from simulator.run import World, run

    options = parse_stream(arguments)
    return _logged(lambda: run(options, World.real()), options.log_file, options.verbose, RESUME)


def _export(arguments: Sequence[str]) -> int:
    from simulator.export import run
    from simulator.run import World

    options = parse_export(arguments)
    return _logged(lambda: run(options, World.real()), options.log_file, options.verbose, NO_FILE)


def _logged(command: Callable[[], int], log_file: Path | None, verbose: bool, rest: str) -> int:
    with contextlib.suppress(ValueError):  # signals can be set in the main thread alone
        signal.signal(signal.SIGTERM, _terminate)

    def logged() -> int:
        with log_to(log_file):
            return _guarded(command, verbose, rest)

    return _guarded(logged, verbose, rest)


def _sample(arguments: Sequence[str]) -> int:
    from simulator import sample

    options = parse_sample(arguments)
    baseline, monitor = sample.write(options.out, options.condition)
    print(f"wrote {baseline} and {monitor} ({options.condition})")
    return 0


def _guarded(command: Callable[[], int], verbose: bool, rest: str = "") -> int:
    """Turn whatever ends the command into one line and an exit status.

    `rest` says what is to be done where it was interrupted.
    """
    try:
        return command()
    except SimulatorError as error:
        log.error("%s", error, exc_info=verbose)
        return _fail(str(error), error.exit_code)
    except Terminated:
        return _fail(f"terminated{rest}", 143)
    except KeyboardInterrupt:
        return _fail(f"interrupted{rest}", 130)
    except BrokenPipeError:
        # Nobody reads the output any more; without this Python complains once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        log.error("unexpected: %s", error, exc_info=verbose)
        kind = type(error).__name__
        hint = "--log-file and --verbose show where"
        return _fail(f"unexpected {kind}: {' '.join(str(error).split())} ({hint})", 1)


def _fail(message: str, status: int) -> int:
    print(message, file=sys.stderr, flush=True)
    return status


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


if __name__ == "__main__":
    sys.exit(main())
