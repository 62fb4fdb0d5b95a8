"""Everything that can go wrong, in the domain's words.

A class is one kind of failure: its docstring is the message when none is given, and its name, in
capitals, is the code that clients read (`ColumnsMissing` -> `COLUMNS_MISSING`). No HTTP here;
`api/errors.py` maps classes to statuses.
"""

from __future__ import annotations

import re
from typing import Any


class DinsightError(Exception):
    """Something went wrong in D'insight."""

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.details = details
        super().__init__(self.message)

    @classmethod
    def code(cls) -> str:
        """The name that clients match on, such as `BASELINE_NOT_READY`."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).upper()


class SettingError(DinsightError):
    """A setting is missing or has a value that cannot be used."""


class InvalidReadings(DinsightError):
    """The file cannot be read as sensor readings."""


class ColumnsMissing(InvalidReadings):
    """Feature columns of the baseline are missing from the file."""


class EmptyFile(InvalidReadings):
    """The file has no rows."""


class WrongEncoding(InvalidReadings):
    """The file is not UTF-8 text."""


class WrongDelimiter(InvalidReadings):
    """The columns are not separated by commas."""


class HeaderInvalid(InvalidReadings):
    """A column name is blank or used twice."""


class NoFeatures(InvalidReadings):
    """The file has no column of numbers."""


class RowInvalid(InvalidReadings):
    """A row does not have the cells that the header promises."""


class CellInvalid(InvalidReadings):
    """A feature's cell is not a finite number."""


class QuoteInvalid(InvalidReadings):
    """A quoted cell is not closed as it should be."""


class TooLarge(DinsightError):
    """This is larger than the server takes."""


class BaselineTooSmall(DinsightError):
    """The baseline has too few rows for a map."""


class UnknownLayout(DinsightError):
    """There is no map of this kind."""


class DatabaseUnavailable(DinsightError):
    """The database cannot be reached."""


class BackupFailed(DinsightError):
    """The backup could not be made or restored."""


class ExecutorUnavailable(DinsightError):
    """What fits run on cannot be reached."""


class ReadingsRemoved(DinsightError):
    """This point's readings were removed as the retention setting says; its score remains."""


class ExportInterrupted(DinsightError):
    """Points of the export were removed while it was made: what came of it is not whole."""


class NotFound(DinsightError):
    """There is no such thing, or it is not yours."""


class BaselineNotFound(NotFound):
    """There is no such baseline."""


class PointNotFound(NotFound):
    """This stream has no such point."""


class StreamNotFound(NotFound):
    """This baseline has no such stream."""


class EpochNotFound(NotFound):
    """This stream has no such epoch, or it is no longer kept."""


class MonitorFileNotFound(NotFound):
    """There is no such monitor file."""


class AreaNotFound(NotFound):
    """This baseline has no such area."""


class CandidateNotFound(NotFound):
    """These rows are not in the queue."""


class VersionNotFound(NotFound):
    """This baseline has no such version."""


class AlertNotFound(NotFound):
    """There is no such alert."""


class AlertRuleNotFound(NotFound):
    """There is no such alert rule."""


class KeyNotFound(NotFound):
    """There is no such API key."""


class DisplayNotFound(NotFound):
    """There is no such screen."""


class ChannelNotFound(NotFound):
    """There is no such channel."""


class UserNotFound(NotFound):
    """There is no such user."""


class InvalidRequest(DinsightError):
    """The request is not understood."""


class BaselineNotReady(DinsightError):
    """This baseline is still being fitted."""


class BaselineFailed(DinsightError):
    """This baseline could not be fitted."""


class MapUnchanged(DinsightError):
    """A refit would give the same map."""


class RefitUnderWay(DinsightError):
    """This baseline is being refitted as another map: wait until that is done."""


class AlreadyProposed(DinsightError):
    """These rows are in the queue, or part of a version, already."""


class QueueFull(DinsightError):
    """Too many rows wait for review: accept or refuse some first."""


class VersionUnderReview(DinsightError):
    """A later version waits for review: adopt it or discard it first."""


class VersionNotReady(DinsightError):
    """This version is still being fitted."""


class VersionInUse(DinsightError):
    """This version is in force, or a later one holds its rows."""


class MapBeingRefitted(DinsightError):
    """This map was made by an earlier version of D'insight and is being fitted anew: try again."""


class MapOutdated(DinsightError):
    """This map was made by another version of D'insight: refit the baseline."""


class ReplayUnderWay(DinsightError):
    """A replay is playing into this stream: stop it first, or name another stream."""


class MonitorFileInUse(DinsightError):
    """This file is being replayed: stop the replay first."""


class MapRefitted(DinsightError):
    """The baseline was refitted since this area was drawn: draw it on the new map."""


class EpochChanged(DinsightError):
    """The stream was reset: this batch belongs to an earlier run."""


class KeyReused(DinsightError):
    """This Idempotency-Key was used for another batch."""


class TooManyRequests(DinsightError):
    """There were too many requests: go on a little later."""


class TooManyExports(TooManyRequests):
    """So many exports are under way already: wait until one has ended."""


class TooManyAttempts(TooManyRequests):
    """There were too many wrong passwords: try again a little later."""


class NotSignedIn(DinsightError):
    """Sign in first: the token is missing, wrong, expired or revoked."""


class DisplayRevoked(NotSignedIn):
    """This screen's link does not work any more: make another one on the streaming page."""


class DisplaysOnlyLook(DinsightError):
    """This screen may only look: sign in to do this."""


class WrongPassword(DinsightError):
    """The e-mail address or the password is wrong."""


class RegistrationClosed(DinsightError):
    """Registration is closed on this server: ask its administrator for an account."""


class AdminOnly(DinsightError):
    """Only an administrator can do this."""


class LastAdmin(DinsightError):
    """This is the last administrator: make another user one first."""


class EmailTaken(DinsightError):
    """There is already an account with this e-mail address."""


class InvalidAccount(DinsightError):
    """The account details cannot be used."""


class InvalidChannel(DinsightError):
    """Notices cannot be sent there."""


class TooManyChannels(DinsightError):
    """You have as many channels as there may be: delete one first."""


class LinkUsed(DinsightError):
    """This sign-in link was used or is too old: `python app.py link` makes a fresh one."""
