"""What the routes of alerts and their rules answer: parts of the document, and examples."""

from __future__ import annotations

from typing import Any

from api.examples import AT, Example
from api.schemas import (
    COUNT,
    EXPLANATION,
    FLAG,
    FREE,
    MOMENT,
    NUMBER,
    SHARE,
    TEXT,
    WHOLE,
    about,
    many,
    maybe,
    one_of,
    record,
)
from dinsight.alerts import rules, words

SEVERITY = one_of(*words.SEVERITIES)
_CONDITION = {
    "level": about(maybe(one_of(*rules.LEVELS)), "Of a rule of kind `level`: this one or worse"),
    "score": about(maybe(NUMBER), "Of a rule of kind `score`: above this (the alarm limit is 1)"),
    "needed": about(COUNT, "Raised once so many of the last `window` rows meet it"),
    "window": COUNT,
    "seconds": about(maybe(NUMBER), "Instead of rows: once all rows of so many seconds meet it"),
    "hysteresis": about(NUMBER, "It is held down to so much of `score`"),
}
RULE = record(
    {
        "id": WHOLE,
        "baseline_id": WHOLE,
        "name": TEXT,
        "kind": about(one_of(*words.KINDS), "The last four are about the data"),
        **_CONDITION,
        "severity": SEVERITY,
        "enabled": FLAG,
        "mute_in_areas": about(FLAG, "Rows inside a normal area do not count"),
        "created_at": MOMENT,
        "changed_at": MOMENT,
    }
)
RULES = record({"rules": many(RULE)})
_ALERT: dict[str, Any] = {
    "id": WHOLE,
    "baseline_id": WHOLE,
    "baseline": about(TEXT, "The name of the machine"),
    "stream": TEXT,
    "epoch": WHOLE,
    "alert_type": about(one_of(*words.TYPES), "What the machine does, or what its data lacks"),
    "title": TEXT,
    "message": TEXT,
    "severity": SEVERITY,
    "status": about(
        one_of(*words.STATUSES),
        "`active` until somebody has acknowledged it, `resolved` once it is over as well",
    ),
    "condition": one_of("active", "cleared"),
    "score": about(maybe(NUMBER), "Of the row that raised it"),
    "peak": about(maybe(NUMBER), "To within 1 % while it is active"),
    "peak_seq": maybe(WHOLE),
    "drivers": about(
        many(EXPLANATION["properties"]["bands"]["items"]), "The driving bands at its start"
    ),
    "times": about(COUNT, "How often it was raised: what flickers is one alert"),
    "opened_at": MOMENT,
    "opened_seq": COUNT,
    "cleared_at": maybe(MOMENT),
    "cleared_seq": maybe(COUNT),
    "acknowledged_by": maybe(TEXT),
    "acknowledged_at": maybe(MOMENT),
    "note": maybe(TEXT),
    "resolved_at": maybe(MOMENT),
    "shelved_until": maybe(MOMENT),
    "shelved_by": maybe(TEXT),
    "verdict": maybe(one_of(*words.VERDICTS)),
    "verdict_by": maybe(TEXT),
    "verdict_at": maybe(MOMENT),
    "rule": about(FREE, "The rule as it was"),
    "rule_id": about(maybe(WHOLE), "Null once the rule was deleted"),
    "link": about(TEXT, "The page at that moment"),
}
ALERT = record(_ALERT)
ONE = record(
    {
        **_ALERT,
        "events": many(
            record(
                {
                    "at": MOMENT,
                    "kind": TEXT,
                    "seq": maybe(WHOLE),
                    "by": maybe(TEXT),
                    "details": FREE,
                }
            )
        ),
    }
)
PAGE = record(
    {
        "alerts": many(ALERT),
        "total": COUNT,
        "page": about(WHOLE, "From 1, of `limit` alerts each"),
        "limit": WHOLE,
        "offset": COUNT,
        "active": about(COUNT, "Of all your alerts, whatever was asked for"),
        "unacknowledged": about(COUNT, "Likewise"),
    }
)
FIGURES = record(
    {
        "since": MOMENT,
        "until": MOMENT,
        "alerts": COUNT,
        "alerts_per_day": NUMBER,
        "days": many(record({"day": TEXT, "alerts": COUNT, "false": COUNT})),
        "rules": many(
            record(
                {
                    "baseline_id": WHOLE,
                    "baseline": TEXT,
                    "rule_id": maybe(WHOLE),
                    "rule": TEXT,
                    **{"alerts": COUNT, "raised": COUNT, "chattering": COUNT},
                    "chattering_share": SHARE,
                    **{"real": COUNT, "false_alarm": COUNT, "new_normal": COUNT},
                    "false_share": about(maybe(SHARE), "Of those that were judged"),
                    "unacknowledged": COUNT,
                }
            )
        ),
    }
)

NEW_RULE: Example = {
    "baseline_id": 3,
    "name": "Score is climbing",
    "kind": "score",
    "score": 0.8,
    "needed": 3,
    "window": 5,
    "severity": "medium",
}
A_RULE: Example = {
    "id": 12,
    **NEW_RULE,
    "level": None,
    "seconds": None,
    "hysteresis": 0.9,
    "enabled": True,
    "mute_in_areas": False,
    "created_at": AT,
    "changed_at": AT,
}
AN_ALERT: Example = {
    "id": 41,
    "baseline_id": 3,
    "baseline": "Pump 7",
    "stream": "default",
    "epoch": 2,
    "alert_type": "anomaly",
    "title": "Failing",
    "message": "3.2 times the alarm limit, associated with 120–124 Hz (higher than usual).",
    "severity": "high",
    "status": "acknowledged",
    "condition": "active",
    "score": 3.21,
    "peak": 5.9,
    "peak_seq": 640,
    "drivers": [],
    "times": 1,
    "opened_at": AT,
    "opened_seq": 585,
    "cleared_at": None,
    "cleared_seq": None,
    "acknowledged_by": "nora@example.com",
    "acknowledged_at": AT,
    "note": "The bearing runs hot: maintenance is told.",
    "resolved_at": None,
    "shelved_until": None,
    "shelved_by": None,
    "verdict": None,
    "verdict_by": None,
    "verdict_at": None,
    "rule": {"name": "Failing", "kind": "level", "level": "alarm"},
    "rule_id": 7,
    "link": "/dashboard/streaming?baseline_id=3&stream=default&epoch=2&at=585",
}
EVENTS: list[Example] = [
    {"at": AT, "kind": "raised", "seq": 585, "by": None, "details": {"score": 3.21}},
    {
        "at": AT,
        "kind": "acknowledged",
        "seq": None,
        "by": "nora@example.com",
        "details": {"note": "The bearing runs hot: maintenance is told."},
    },
]
