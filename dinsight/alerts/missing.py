"""Batches that are refused because of what they lack: an alert about the data, once."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import select
from sqlalchemy.orm import Session

from dinsight import streams
from dinsight.accounts import Identity
from dinsight.alerts import rules
from dinsight.alerts.ledger import Ledger
from dinsight.alerts.words import MISSING
from dinsight.errors import (
    BaselineNotFound,
    CellInvalid,
    ColumnsMissing,
    InvalidReadings,
    NoFeatures,
    RowInvalid,
)
from dinsight.models import Baseline, Stream
from dinsight.streams import Found

MOST_WORDS = 300
LACKING = (ColumnsMissing, NoFeatures, RowInvalid, CellInvalid)  # readings, or parts of them


def refused(
    session: Session,
    who: Identity,
    baseline_id: int,
    stream: str,
    error: InvalidReadings,
    *,
    now: dt.datetime,
) -> None:
    """Raise the rule about missing readings on a stream whose batch was refused for `error`.

    Nothing is written where that is known already, or where nothing was ever sent to the stream,
    or for a file that is wrong in another way, which speaks of its sender and not of a sensor.
    """
    if not isinstance(error, LACKING):
        return
    found = streams.find_if_any(session, who, baseline_id, stream)
    if found is None:
        return
    rule = _rule(session, baseline_id)
    if rule is None or not _ledger(session, baseline_id, found, now).due(rule, True):
        return
    held = streams.hold(session, found.id)
    rule = _rule(session, baseline_id)
    if rule is None:
        return
    ledger = _ledger(session, baseline_id, held, now)
    ledger.switch(rule, True, held.next_seq, f"A batch was refused. {error.message[:MOST_WORDS]}")
    held.alert_state = ledger.to_dict()


def _rule(session: Session, baseline_id: int) -> rules.Rule | None:
    asked = select(Baseline.rules_revision).where(Baseline.id == baseline_id)
    revision = session.scalar(asked)
    if revision is None:
        raise BaselineNotFound()  # deleted meanwhile
    return rules.by_kind(rules.of_baseline(session, baseline_id, revision), MISSING)


def _ledger(session: Session, baseline_id: int, stream: Found | Stream, now: dt.datetime) -> Ledger:
    return Ledger(session, stream.id, baseline_id, stream.epoch, stream.alert_state, now=now)
