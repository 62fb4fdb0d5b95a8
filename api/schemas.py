"""JSON Schema of what the API answers, in a small vocabulary; `api.document` puts it to routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dinsight import maps, shapes

Schema = dict[str, Any]

WHOLE: Schema = {"type": "integer"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
FREE: Schema = {"type": "object", "additionalProperties": True}
FILE: Schema = {"type": "string", "format": "binary", "contentMediaType": "text/csv"}
MOMENT: Schema = {
    "type": "string",
    "format": "date-time",
    "pattern": "Z$",
    "description": "RFC 3339, in UTC with `Z`",
}


def record(fields: Mapping[str, Schema]) -> Schema:
    """An object; a name that ends with `?` may be absent.

    >>> record({"id": WHOLE, "note?": TEXT})["required"]
    ['id']
    """
    return {
        "type": "object",
        "properties": {name.removesuffix("?"): schema for name, schema in fields.items()},
        "required": [name for name in fields if not name.endswith("?")],
    }


def many(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def maybe(schema: Schema) -> Schema:
    """The same, or null."""
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def one_of(*words: str) -> Schema:
    return {"type": "string", "enum": list(words)}


def about(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def envelope(data: Schema, more: Mapping[str, Schema] | None = None) -> Schema:
    """The answer of a success: `{"success": true, "data": …}`."""
    return record({"success": {"const": True}, **(more or {}), "data": data})


LEVEL = one_of("healthy", "warning", "alarm")
LAYOUT = one_of(*maps.LAYOUTS)
STATE = one_of("not_started", "streaming", "paused", "stopped", "completed")
FIT = one_of("uploading", "processing", "completed", "failed")
METADATA: Schema = {"type": "object", "additionalProperties": TEXT}
TOLD = {"code": {"const": 200}, "message?": TEXT}
SAID = record({"id": WHOLE, "message": TEXT})
PLACE = record({"x": NUMBER, "y": NUMBER})
_PROFILE = {"id": WHOLE, "email": TEXT, "full_name": TEXT, "role": one_of("user", "admin")}
PROFILE = record(_PROFILE)
PERSON = record(
    {
        **_PROFILE,
        **{"disabled": FLAG, "disabled_at": maybe(MOMENT)},
        **{"has_password": FLAG, "created_at": MOMENT},
    }
)
INVITED = record({"user": PERSON, "link": TEXT, "expires_at": MOMENT})
AUDITED = record(
    {
        **{"id": WHOLE, "at": MOMENT, "user_id": maybe(WHOLE), "email": maybe(TEXT)},
        **{"action": TEXT, "subject": TEXT, "details": FREE},
    }
)
TOKEN = {"access_token": TEXT, "token_type": {"const": "Bearer"}, "expires_in": WHOLE}
KEY = {"id": WHOLE, "name": TEXT, "created_at": MOMENT, "last_used_at": maybe(MOMENT)}
DISPLAY = {**KEY, "stream": TEXT}

_COST = {"expected": NUMBER, "low": NUMBER, "high": NUMBER, "rows_per_second": NUMBER}
COST = record(_COST)
_SENSITIVITY = {"sensitivity_factor": NUMBER, "alarm_limit": NUMBER}
_JUDGED = {**_SENSITIVITY, "false_alarms_per_day": maybe(record(_COST))}
_POINT = {
    "dinsight_x": NUMBER,
    "dinsight_y": NUMBER,
    "score": about(NUMBER, "1 is the alarm limit that the map was calibrated to"),
    "level": LEVEL,
}
_DESCRIBED = {
    "count": WHOLE,
    "mean": NUMBER,
    "std": NUMBER,
    "min": NUMBER,
    "p5": NUMBER,
    "median": NUMBER,
    "p95": NUMBER,
    "max": NUMBER,
}

ERROR = record(
    {
        "success": {"const": False},
        "message": about(TEXT, "What is wrong, and what to do, in a sentence for people"),
        "error": record(
            {
                "code": about(TEXT, "What programs match on, such as `COLUMNS_MISSING`"),
                "message": TEXT,
                "details": about(FREE, "Such as line, column and what was expected"),
            }
        ),
    }
)

REFIT = record(
    {
        "map": LAYOUT,
        "status": one_of("waiting", "processing", "completed", "failed"),
        "progress": WHOLE,
        "status_message": TEXT,
        "error_message": maybe(TEXT),
        "reason": maybe(TEXT),
        "version?": about(WHOLE, "The new version that is fitted, where that is what it is"),
        "kept?": about(WHOLE, "The version that is not in force and is fitted anew, likewise"),
    }
)

BASELINE = record(
    {
        "id": WHOLE,
        "name": TEXT,
        "status": FIT,
        "rows": COUNT,
        "features": COUNT,
        "map": LAYOUT,
        "version": about(WHOLE, "The version in force"),
        "refit": maybe(ref("RefitState")),
        "created_at": MOMENT,
    }
)

FIT_STATUS = record(
    {
        "id": WHOLE,
        "status": FIT,
        "progress": {"type": "integer", "minimum": 0, "maximum": 100},
        "status_message": TEXT,
        "error_message": maybe(TEXT),
        "map": LAYOUT,
        "refit": maybe(ref("RefitState")),
    }
)

ON_MAP = record(
    {
        "dinsight_id": WHOLE,
        "dinsight_x": many(NUMBER),
        "dinsight_y": many(NUMBER),
        "point_metadata": many(METADATA),
        "status": FIT,
        "name": TEXT,
        "map": LAYOUT,
        "version": about(WHOLE, "The version in force"),
        "refit": maybe(ref("RefitState")),
        "features": about(COUNT, "How many there are; `feature_names` lists them"),
        "feature_names": many(TEXT),
    }
)

RECEIPT = record(
    {
        "id": about(WHOLE, "The baseline"),
        "stream": TEXT,
        "points_processed": WHOLE,
        "first_seq": WHOLE,
        "last_seq": WHOLE,
        "epoch": WHOLE,
        "control": about(one_of("run", "hold", "stop"), "What the sender should do next"),
        "anomalies": COUNT,
        "level": LEVEL,
        "score": NUMBER,
    }
)

POINT = record(
    {
        **_POINT,
        "monitor_values": about(many(NUMBER), "In the order of the features; empty if values=0"),
        "source_file": TEXT,
        "metadata": METADATA,
        "process_order": about(WHOLE, "From 1, without a gap: the `seq` of this epoch"),
        "created_at": MOMENT,
    }
)

COLUMNS = record(
    {
        "dinsight_id": WHOLE,
        "dinsight_x": many(NUMBER),
        "dinsight_y": many(NUMBER),
        "metadata": many(METADATA),
    }
)

STATUS = record(
    {
        "baseline_id": WHOLE,
        "stream": TEXT,
        "status": STATE,
        "is_streaming": FLAG,
        "is_active": FLAG,
        "stale": FLAG,
        "streamed_points": COUNT,
        "total_points": about(maybe(WHOLE), "What the sender declared, if it did"),
        "progress_percentage": maybe(NUMBER),
        "baseline_points": COUNT,
        "version": about(WHOLE, "The version of the baseline that is in force"),
        "alerts": record(
            {
                **{"active": COUNT, "unacknowledged": COUNT},
                "open": about(COUNT, "Those that are active or not acknowledged"),
                "severity": about(maybe(TEXT), "The worst of them"),
                "revision": about(COUNT, "Another one after every event of an alert"),
            }
        ),
        "last_update": maybe(MOMENT),
        "latest_glow_count": COUNT,
        "batch_size": maybe(WHOLE),
        "delay_seconds": maybe(NUMBER),
        "rate": about(maybe(NUMBER), "Points a second, as observed"),
        "epoch": WHOLE,
        "run_epoch": about(WHOLE, "The epoch that this run began with: a refit begins another"),
        "carried_points": about(COUNT, "Points of this run in its earlier epochs"),
        "map_id": maybe(WHOLE),
        "last_seq": COUNT,
        "level": LEVEL,
        "level_since": about(maybe(MOMENT), "When the level began; null where it is not known"),
        "score": maybe(NUMBER),
        "areas_revision": about(TEXT, "Another after every change of the baseline's normal areas"),
        **_JUDGED,
    }
)

PAGE = record(
    {
        "points": many(
            record({"seq": WHOLE, **_POINT, "metadata": METADATA, "created_at": MOMENT})
        ),
        "total": COUNT,
        "limit": WHOLE,
        "offset": COUNT,
        "next": about(
            {"type": ["integer", "string", "null"]},
            "The next `offset`, null at the end; with `after`, the cursor to read on from",
        ),
    }
)

REPLAY = record(
    {
        "id": maybe(WHOLE),
        "status": about(
            one_of("none", "playing", "held", "done", "failed", "stopped"),
            "held: the stream is paused",
        ),
        "stream": TEXT,
        "source": about(maybe(TEXT), "The file's name"),
        "position": about(COUNT, "Rows that are stored"),
        "rows": about(COUNT, "Rows of the file"),
        "delay": maybe(NUMBER),
        "batch_size": maybe(WHOLE),
        "message": about(maybe(TEXT), "Why it ended, where that was not the file's end"),
        "started_at": maybe(MOMENT),
        "ended_at": maybe(MOMENT),
    }
)
MONITOR_FILE = record(
    {"id": WHOLE, "name": TEXT, "rows": COUNT, "bytes": COUNT, "created_at": MOMENT}
)
MONITOR_FILES = record(
    {
        "files": many(ref("MonitorFile")),
        "sample": about(FLAG, "Whether the sample machine's file fits this baseline"),
    }
)

_LISTED = {"rectangle": ("x0", "y0", "x1", "y1"), "ellipse": ("x", "y", "rx", "ry", "angle")}
GEOMETRY: Schema = {
    "anyOf": [
        *(record(dict.fromkeys(names, NUMBER)) for names in _LISTED.values()),
        record({"points": many(many(NUMBER))}),
    ]
}

AREA = record(
    {
        "id": WHOLE,
        "name": TEXT,
        "kind": one_of(*shapes.KINDS),
        "geometry": about(GEOMETRY, "The numbers of the shape, in map units"),
        "map": about(LAYOUT, "The kind of the map that it was drawn on"),
        "applied": about(FLAG, "Whether that is the present map: else it applies to nothing"),
        "created_at": MOMENT,
        "changed_at": MOMENT,
    }
)

AREAS = record({"map_id": maybe(WHOLE), "revision": TEXT, "areas": many(ref("Area"))})

SEVERITY = one_of("low", "medium", "high", "critical")
NOTICE = record(
    {
        "id": about(TEXT, "The same at every attempt: `X-Dinsight-Delivery`"),
        "event": one_of("raised", "severity_raised", "acknowledged", "cleared", "test"),
        "alert_id": maybe(WHOLE),
        "state": one_of("waiting", "delivered", "failed"),
        "attempts": COUNT,
        "error": about(maybe(TEXT), "Why the last attempt failed"),
        "created_at": MOMENT,
        "next_attempt_at": maybe(MOMENT),
        "delivered_at": maybe(MOMENT),
        "failed_at": maybe(MOMENT),
    }
)
CHANNEL = record(
    {
        "id": WHOLE,
        "kind": one_of("webhook", "email"),
        "target": about(TEXT, "A URL or an e-mail address"),
        "baseline_id": about(maybe(WHOLE), "null: all of your baselines"),
        "baseline": about(maybe(TEXT), "Its name"),
        "least_severity": about(SEVERITY, "Of the alerts that it is told of"),
        "enabled": FLAG,
        "created_at": MOMENT,
        "last": about(maybe(ref("Notice")), "Its newest notice"),
    }
)

RESET = record({"deleted_points": COUNT, "epoch": WHOLE, "stream": TEXT})
CONTROLLED = record({"status": STATE, "stream": TEXT, "epoch": WHOLE})
CONFIGURED = record(
    {
        "baseline_id": WHOLE,
        "stream": TEXT,
        "total_points": maybe(WHOLE),
        "latest_glow_count": COUNT,
        "batch_size?": WHOLE,
        "delay_seconds?": NUMBER,
        **_SENSITIVITY,
    }
)

EPOCH: dict[str, Schema] = {
    "stream": TEXT,
    "epoch": WHOLE,
    "run": about(WHOLE, "The epoch that its run began with: a refit goes on in another one"),
    "current": about(FLAG, "Whether new points go into it"),
    "points": COUNT,
    "worst": about(maybe(one_of("healthy", "warning", "alarm")), "Null while it is being read"),
    "first_seq": maybe(WHOLE),
    "last_seq": maybe(WHOLE),
    "first_point_at": maybe(MOMENT),
    "last_point_at": maybe(MOMENT),
    "readings_from": about(maybe(WHOLE), "The first point whose readings are kept, if any is"),
    "started_at": MOMENT,
    "ended_at": maybe(MOMENT),
    "ended_by": maybe(one_of("reset", "refit")),
    "map": LAYOUT,
    "map_id": WHOLE,
}
EPOCHS = record(
    {
        "baseline_id": WHOLE,
        "sessions": many(record(EPOCH)),
        "total": COUNT,
        "limit": WHOLE,
        "offset": COUNT,
        "next": about(maybe(WHOLE), "The next `offset`, null at the end"),
    }
)

FLOATS = about(TEXT, "Base64 of little-endian float32, one a point")
CHUNK = record(
    {
        "baseline_id": WHOLE,
        "stream": TEXT,
        "epoch": WHOLE,
        "first": about(WHOLE, "The seq of the first point; the others follow without a gap"),
        "n": COUNT,
        **dict.fromkeys(("x", "y", "score"), FLOATS),
        "level": about(TEXT, "Base64 of a byte a point: 0 healthy, 1 warning, 2 alarm"),
        "at": about(TEXT, "Base64 of little-endian float64: milliseconds since 1970"),
    }
)
TREND = record(
    {
        "width": about(WHOLE, "Points of a bucket"),
        "last": about(COUNT, "The last point that was read"),
        "number": about(many(WHOLE), "Bucket n begins with point n * width + 1"),
        **dict.fromkeys(("low", "high"), FLOATS),
        "peak": about(many(WHOLE), "The point with the highest score of each bucket"),
        "level": about(TEXT, "Base64 of a byte a bucket, its worst level"),
        "at": about(many(WHOLE), "Of the first point of each, milliseconds since 1970"),
        "episodes": many(
            record(
                {
                    **dict.fromkeys(("level", "first", "last", "began", "until"), WHOLE),
                    **{"peak": NUMBER, "peak_seq": WHOLE},
                }
            )
        ),
    }
)
TIMELINE = record(
    EPOCH
    | {
        "baseline_id": WHOLE,
        "state": about(maybe(TEXT), "What the stream does, of its present epoch"),
        "limits": about(
            many(many(NUMBER)), "Alarm limits, each [first point that it held for, score]"
        ),
        "limit": about(NUMBER, "The last of them; the stream's present one where none was kept"),
        "warning": about(NUMBER, "The warning limit in units of the alarm limit"),
        "more": about(FLAG, "Whether the trend is still being read: ask again"),
        "trend": TREND,
        "alerts": many(
            record(
                {
                    "id": WHOLE,
                    **dict.fromkeys(("title", "severity", "alert_type"), TEXT),
                    **{"opened_seq": WHOLE, "cleared_seq": maybe(WHOLE), "opened_at": MOMENT},
                    **{name: maybe(MOMENT) for name in ("cleared_at", "acknowledged_at")},
                }
            )
        ),
    }
)

COMPARISON = record(
    {
        "total_points": WHOLE,
        "anomaly_count": COUNT,
        "anomaly_percentage": NUMBER,
        "anomaly_threshold": NUMBER,
        "sensitivity_factor": NUMBER,
        "sensitivity_level": one_of("low", "medium", "high"),
        "baseline_centroid": PLACE,
        "comparison_centroid": PLACE,
        "centroid_distance": NUMBER,
        "statistics": record(
            {
                "baseline": record(_DESCRIBED),
                "comparison": record(_DESCRIBED),
                "expected_anomaly_percentage": NUMBER,
                "median_ratio": maybe(NUMBER),
                "alarm_distance": NUMBER,
            }
        ),
        "anomalous_points": about(
            many(
                record(
                    {
                        "index": COUNT,
                        "x": NUMBER,
                        "y": NUMBER,
                        "mahalanobis_distance": NUMBER,
                        "score": NUMBER,
                        "is_anomaly": FLAG,
                    }
                )
            ),
            "All points of the comparison",
        ),
    }
)

EXPLANATION = record(
    {
        "baseline_id": WHOLE,
        "stream": TEXT,
        "epoch": WHOLE,
        "seq": WHOLE,
        "created_at": MOMENT,
        "source_file": TEXT,
        "metadata": METADATA,
        **_POINT,
        "alarm_limit": NUMBER,
        "whole": NUMBER,
        "isolated": NUMBER,
        "sentence": TEXT,
        "bands": many(
            record(
                {
                    "label": TEXT,
                    "first": COUNT,
                    "last": COUNT,
                    "first_feature": TEXT,
                    "last_feature": TEXT,
                    "low_hz": maybe(NUMBER),
                    "high_hz": maybe(NUMBER),
                    "share": NUMBER,
                    "z": NUMBER,
                }
            )
        ),
        "contributions": many(
            record(
                {
                    "feature": TEXT,
                    "index": COUNT,
                    "hz": maybe(NUMBER),
                    "share": NUMBER,
                    "z": NUMBER,
                    "value": NUMBER,
                    "expected": NUMBER,
                    "median": NUMBER,
                    "low": NUMBER,
                    "high": NUMBER,
                }
            )
        ),
        "nearest": maybe(
            record(
                {
                    "row": COUNT,
                    "distance": NUMBER,
                    "dinsight_x": NUMBER,
                    "dinsight_y": NUMBER,
                    "metadata": METADATA,
                    "values?": many(NUMBER),
                }
            )
        ),
        "spectrum": maybe(
            record(
                {
                    "features": many(TEXT),
                    "values": many(NUMBER),
                    "median": many(NUMBER),
                    "low": many(NUMBER),
                    "high": many(NUMBER),
                }
            )
        ),
    }
)

REPORT = record(
    {
        "baseline_id": WHOLE,
        "name": TEXT,
        "map": LAYOUT,
        "sha256": TEXT,
        "format": WHOLE,
        "fit_seconds": NUMBER,
        "fitted_at": MOMENT,
        "rows": WHOLE,
        "features": WHOLE,
        "family": TEXT,
        "duplicates": record({"count": COUNT, "rows": many(COUNT)}),
        "dead_columns": record({"count": COUNT, "names": many(TEXT)}),
        "drift": record(
            {
                "found": FLAG,
                "effect": maybe(NUMBER),
                "blocks": many(
                    record(
                        {
                            "first_row": COUNT,
                            "last_row": COUNT,
                            "median_score": NUMBER,
                            "over_limit": SHARE,
                        }
                    )
                ),
            }
        ),
        "contamination": record(
            {"count": COUNT, "rows": many(COUNT), "scores": many(maybe(NUMBER))}
        ),
        "false_alarms_per_day": record(_COST),
        "findings": many(
            record(
                {
                    "severity": one_of("problem", "warning", "info"),
                    "code": TEXT,
                    "message": TEXT,
                    "action": TEXT,
                }
            )
        ),
        "streams": many(record({"stream": TEXT, **_JUDGED})),
    }
)

COMPONENTS: dict[str, Schema] = {
    "Error": ERROR,
    "Profile": PROFILE,
    "RefitState": REFIT,
    "Baseline": BASELINE,
    "FitStatus": FIT_STATUS,
    "BaselineOnMap": ON_MAP,
    "Receipt": RECEIPT,
    "Point": POINT,
    "Coordinates": COLUMNS,
    "StreamStatus": STATUS,
    "Page": PAGE,
    "Sessions": EPOCHS,
    "PlaybackChunk": CHUNK,
    "Timeline": TIMELINE,
    "Replay": REPLAY,
    "MonitorFile": MONITOR_FILE,
    "Area": AREA,
    "Channel": CHANNEL,
    "Notice": NOTICE,
    "Comparison": COMPARISON,
    "Explanation": EXPLANATION,
    "ReportCard": REPORT,
}
