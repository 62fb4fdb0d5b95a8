"""What the routes of candidates and versions answer: parts of the document, and examples."""

from __future__ import annotations

from typing import Any

from api.examples import AT, Example
from api.schemas import (
    COST,
    COUNT,
    FLAG,
    LAYOUT,
    LEVEL,
    MOMENT,
    NUMBER,
    REPORT,
    TEXT,
    WHOLE,
    Schema,
    about,
    many,
    maybe,
    one_of,
    record,
    ref,
)
from dinsight.candidates import STATES

STATE = one_of(*STATES)
_PROPOSED: dict[str, Schema] = {
    "id": WHOLE,
    "epoch": WHOLE,
    "first": WHOLE,
    "last": WHOLE,
    "rows": WHOLE,
    "note": TEXT,
    "state": STATE,
    "version": about(maybe(WHOLE), "The version that took the rows"),
    "alert_id": about(maybe(WHOLE), "The alert whose verdict proposed them"),
    "proposed_at": MOMENT,
}
PROPOSED = record(_PROPOSED)
CANDIDATE = record(
    {
        **_PROPOSED,
        "stream": TEXT,
        "proposed_by": maybe(TEXT),
        "decided_by": maybe(TEXT),
        "decided_at": maybe(MOMENT),
        "available": about(COUNT, "Rows that still have their readings"),
        **{"healthy": COUNT, "warning": COUNT, "alarm": COUNT},
        **{"median_score": maybe(NUMBER), "peak_score": maybe(NUMBER)},
        **{"first_at": maybe(MOMENT), "last_at": maybe(MOMENT)},
    }
)
_FINDING = REPORT["properties"]["findings"]["items"]
CANDIDATES = record(
    {
        "baseline_id": WHOLE,
        "candidates": many(CANDIDATE),
        "warnings": about(many(_FINDING), "What to know before all that is queued is accepted"),
    }
)
VERSION = record(
    {
        "version": WHOLE,
        "state": one_of("in_force", "fitting", "review", "earlier"),
        "rows": WHOLE,
        "added": about(WHOLE, "Rows that the version before does not have"),
        "map": maybe(LAYOUT),
        "sha256": maybe(TEXT),
        "note": TEXT,
        "made_by": maybe(TEXT),
        "created_at": MOMENT,
    }
)
VERSIONS = record(
    {
        "baseline_id": WHOLE,
        "name": TEXT,
        "version": about(WHOLE, "The one in force"),
        "rows": COUNT,
        "refit": maybe(ref("RefitState")),
        "waiting_rows": about(COUNT, "Rows in the queue"),
        "versions": many(VERSION),
    }
)
MADE = record({"version": WHOLE, "rows": WHOLE, "refit": ref("RefitState")})
IN_FORCE = record({"version": WHOLE, "rows": WHOLE, "message": TEXT})
GONE = record({"version": WHOLE, "message": TEXT})

_PARTS = ("duplicates", "dead_columns", "drift", "contamination", "findings")
_CARD = {name: REPORT["properties"][name] for name in _PARTS}
_SIDE = record(
    {
        **{"version": WHOLE, "in_force": FLAG, "rows": WHOLE, "map": LAYOUT, "sha256": TEXT},
        "alarm_limit": NUMBER,
        "report": record({**_CARD, "false_alarms_per_day": COST}),
    }
)
_PLACES = {name: many(NUMBER) for name in ("x_a", "y_a", "x_b", "y_b")}
_LEVELS = record(dict.fromkeys(LEVEL["enum"], COUNT))
_SCORED: dict[str, Schema] = {
    "total": COUNT,
    "scored": about(COUNT, "So many of them, evenly chosen, were scored by both maps"),
    **_PLACES,
    **{"score_a": many(NUMBER), "score_b": many(NUMBER)},
    **{"levels_a": _LEVELS, "levels_b": _LEVELS},
    "changed": about(COUNT, "Rows whose level is another under b"),
    "raised": about(COUNT, "Of those, rows whose level is higher under b"),
}
COMPARED = record(
    {
        **{"baseline_id": WHOLE, "name": TEXT, "version": WHOLE},
        **{"a": about(_SIDE, "The older version"), "b": about(_SIDE, "The newer")},
        "common": record({"row": many(COUNT), "total": COUNT, **_PLACES}),
        "added": record({**_SCORED, "row": many(COUNT)}),
        "recent": record(
            {
                **_SCORED,
                **{"stream": maybe(TEXT), "days": WHOLE},
                **{"epoch": many(WHOLE), "seq": many(WHOLE)},
            }
        ),
        "loosening": about(
            record({"typical": NUMBER, "worst": NUMBER}),
            "How many times as large a change must be until it alarms under b",
        ),
        "warnings": many(_FINDING),
    }
)

PROPOSAL: Example = {
    **{"stream": "default", "epoch": 1, "first": 1200, "last": 1319},
    "note": "Bearing replaced on 1 March",
}
QUEUED: Example = {
    **{"id": 8, "epoch": 1, "first": 1200, "last": 1319, "rows": 120, "note": PROPOSAL["note"]},
    **{"state": "queued", "version": None, "alert_id": None, "proposed_at": AT},
}
MAKE: Example = {"candidates": [8], "note": "After the new bearing"}
REFIT: Example = {
    **{"map": "distance", "status": "waiting", "progress": 0, "error_message": None},
    **{"status_message": "Waiting to be fitted", "reason": None, "version": 2},
}
MADE_EXAMPLE: dict[str, Any] = {"version": 2, "rows": 920, "refit": REFIT}
