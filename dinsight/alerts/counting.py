"""Telling of alerts that were raised, once what raised them is stored: for who counts them."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from dinsight.database import once_committed
from dinsight.models import Alert

RAISED = "dinsight.alerts_raised"  # in a session's `info`

Hearer = Callable[[str, str], None]  # told severity and type
_hearers: WeakKeyDictionary[Engine, list[Hearer]] = WeakKeyDictionary()


def raised(session: Session, alert: Alert) -> None:
    """A new alert, in the transaction that stores it."""
    session.info.setdefault(RAISED, []).append((alert.severity, alert.alert_type))


def hear(engine: Engine, heard: Hearer) -> None:
    """Be told of each alert that this process raises in this database."""
    _hearers.setdefault(engine, []).append(heard)


@once_committed(RAISED)
def _tell(engine: Engine, found: list[tuple[str, str]]) -> None:
    for heard in _hearers.get(engine, []):
        for severity, alert_type in found:
            heard(severity, alert_type)
