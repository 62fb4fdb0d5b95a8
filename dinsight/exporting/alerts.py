"""Alerts as a file: the same columns as CSV and as JSON Lines, the oldest first.

They are read piece by piece by their number, so that a file of any length takes the same memory
and holds nothing in the database.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from dinsight.accounts import Identity
from dinsight.alerts import listing
from dinsight.alerts.listing import Wish
from dinsight.database import Sessions
from dinsight.exporting.csvfile import quoted
from dinsight.models import Json
from dinsight.readings.exported import escaped

PIECE = 500
KINDS = ("csv", "jsonl")
COLUMNS = (
    *("id", "baseline_id", "baseline", "stream", "epoch", "alert_type", "severity", "status"),
    *("condition", "title", "message", "opened_at", "cleared_at", "opened_seq", "cleared_seq"),
    *("times", "score", "peak", "peak_seq", "drivers", "acknowledged_at", "acknowledged_by"),
    *("note", "shelved_until", "shelved_by", "verdict", "verdict_at", "verdict_by", "rule"),
)


def written(
    sessions: Sessions, who: Identity, wish: Wish, kind: str, *, now: dt.datetime
) -> Iterator[bytes]:
    """The file, in pieces: every alert of the user's machines that is wished for."""
    if kind == "csv":
        yield (",".join(COLUMNS) + "\n").encode()
    after = 0
    while True:
        with sessions() as session:
            found = listing.after(session, who, wish, after, now=now, limit=PIECE)
        if not found:
            return
        after = found[-1]["id"]
        line = csv_line if kind == "csv" else json_line
        yield b"".join(map(line, found))


def csv_line(alert: Mapping[str, Any]) -> bytes:
    return (",".join(_cell(name, alert[name]) for name in COLUMNS) + "\n").encode()


def json_line(alert: Mapping[str, Any]) -> bytes:
    told: Json = {name: alert[name] for name in COLUMNS}
    return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z)


def _cell(name: str, value: Any) -> str:
    """A cell that no spreadsheet takes for a formula; moments in ISO 8601, in UTC."""
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    if name == "drivers":
        value = "; ".join(str(band["label"]) for band in value)
    if name == "rule":
        value = str(value.get("name", ""))
    return quoted(escaped(value)) if isinstance(value, str) else str(value)
