"""The words of alerts: severities, states and addresses, as API, pages and messages say them."""

from __future__ import annotations

from urllib.parse import urlencode

from dinsight.models import Alert

SEVERITIES = ("low", "medium", "high", "critical")
ACTIVE, ACKNOWLEDGED, RESOLVED = STATUSES = ("active", "acknowledged", "resolved")
REAL, FALSE_ALARM, NEW_NORMAL = VERDICTS = ("real", "false_alarm", "new_normal")
ANOMALY, DATA_QUALITY = TYPES = ("anomaly", "data_quality")
LEVEL, SCORE, FLAT, SATURATED, MISSING, STALE = KINDS = (  # of rules
    *("level", "score", "flat", "saturated", "missing", "stale"),
)
OF_MACHINE = (LEVEL, SCORE)  # the other kinds are about the data
PAGE = "/dashboard/streaming"


def status(alert: Alert) -> str:
    """`active` until somebody has acknowledged it, whatever its condition: it must not vanish."""
    if alert.acknowledged_at is None:
        return ACTIVE
    return ACKNOWLEDGED if alert.cleared_at is None else RESOLVED


def link(baseline_id: int, stream: str, epoch: int, seq: int) -> str:
    """The address of the streaming page at that moment, without the server's."""
    query = {"baseline_id": baseline_id, "stream": stream, "epoch": epoch, "at": max(1, seq)}
    return f"{PAGE}?{urlencode(query)}"
