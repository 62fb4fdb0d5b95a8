"""The log file: everything that was done, with times and ids, and no secret."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simulator.errors import SimulatorError


@contextmanager
def log_to(path: Path | None) -> Iterator[None]:
    """Send the simulator's log to a file (appended to) while the block runs; None: nowhere."""
    logger = logging.getLogger("simulator")
    handler = _handler(path)
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
        handler.close()


def _handler(path: Path | None) -> logging.Handler:
    if path is None:
        return logging.NullHandler()
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise SimulatorError(f"cannot write the log file {path}: {error.strerror}") from error
    shape = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    shape.converter = time.gmtime
    handler.setFormatter(shape)
    return handler
