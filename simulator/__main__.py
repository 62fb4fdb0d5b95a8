"""`python -m simulator` and `dinsight-simulator`: stream a file, or make the sample files."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType

from simulator.errors import SimulatorError
from simulator.logs import log_to
from simulator.options import parse_sample, parse_stream

log = logging.getLogger("simulator")


class Terminated(KeyboardInterrupt):
    """SIGTERM: ends a run as cleanly as Ctrl-C does."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["sample"]:
        return _guarded(lambda: _sample(given[1:]), verbose=False)
    return _stream(given[1:] if given[:1] == ["stream"] else given)


def _stream(arguments: Sequence[str]) -> int:
    from simulator.run import World, run

    options = parse_stream(arguments)
    with contextlib.suppress(ValueError):  # signals can be set in the main thread alone
        signal.signal(signal.SIGTERM, _terminate)

    def streaming() -> int:
        with log_to(options.log_file):
            return _guarded(lambda: run(options, World.real()), options.verbose)

    return _guarded(streaming, options.verbose)


def _sample(arguments: Sequence[str]) -> int:
    from simulator import sample

    options = parse_sample(arguments)
    baseline, monitor = sample.write(options.out, options.condition)
    print(f"wrote {baseline} and {monitor} ({options.condition})")
    return 0


def _guarded(command: Callable[[], int], verbose: bool) -> int:
    """Turn whatever ends the command into one line and an exit status."""
    try:
        return command()
    except SimulatorError as error:
        log.error("%s", error, exc_info=verbose)
        return _fail(str(error), error.exit_code)
    except Terminated:
        return _fail("terminated; go on later with --resume", 143)
    except KeyboardInterrupt:
        return _fail("interrupted; go on later with --resume", 130)
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
