"""What can end a run, each as one line that a person can act on."""

from __future__ import annotations


class SimulatorError(Exception):
    """The simulator cannot go on."""

    exit_code = 1

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])


class UsageError(SimulatorError):
    """The command line cannot be used as it is."""

    exit_code = 2


class BadFile(SimulatorError):
    """The file cannot be read as CSV."""


class ColumnsDiffer(SimulatorError):
    """The columns of the file are not those of the baseline."""


class BaselineUnusable(SimulatorError):
    """The baseline is missing or its fit failed."""


class SignInRefused(SimulatorError):
    """The server refuses these credentials."""


class GaveUp(SimulatorError):
    """The server could not be reached for too long."""


class EpochChanged(SimulatorError):
    """The stream was reset from elsewhere."""


class Refused(SimulatorError):
    """The server refused a request; sending it again would not help."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class BatchRefused(SimulatorError):
    """The server refused a batch."""


class Transient(Exception):
    """A failure that may heal: worth another try.

    `reached` says whether a server answered at all; `wait` is what it asked for, in seconds.
    """

    def __init__(self, reason: str, *, reached: bool, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reached = reached
        self.wait = wait
