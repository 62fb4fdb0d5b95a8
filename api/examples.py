"""Examples of bodies and answers for the document; a test holds each against its schema."""

from __future__ import annotations

from typing import Any

Example = dict[str, Any]

AT = "2026-03-01T06:30:00.125000Z"
PROFILE: Example = {"id": 1, "email": "grace@example.com", "full_name": "Grace", "role": "user"}
REGISTRATION: Example = {
    "email": "grace@example.com",
    "password": "correct horse battery",
    "full_name": "Grace",
}
SIGN_IN: Example = {"email": "grace@example.com", "password": "correct horse battery"}
REFRESH: Example = {"refresh_token": "eyJhbGciOi…"}
FRESH: Example = {"access_token": "eyJhbGciOi…", "token_type": "Bearer", "expires_in": 43200}
SIGNED_IN: Example = {**FRESH, "refresh_token": "eyJhbGciOi…", "user": PROFILE}
KEY_NAME: Example = {"name": "gateway in hall 3"}
KEY: Example = {"id": 4, **KEY_NAME, "created_at": AT, "last_used_at": None, "key": "dk_…"}

NEW_DISPLAY: Example = {"name": "hall 3, north wall", "stream": "default"}
DISPLAY: Example = {"id": 5, **NEW_DISPLAY, "created_at": AT, "last_used_at": None}
DISPLAY_LINK = "https://dinsight.example.com/display?token=dd_…"

NEW_CHANNEL: Example = {
    "kind": "webhook",
    "target": "https://example.com/alerts",
    "baseline_id": None,
    "least_severity": "medium",
}
NOTICE: Example = {
    "id": "9f0c2b5e8d7a4c319f0c2b5e8d7a4c31",
    "event": "raised",
    "alert_id": 12,
    "state": "delivered",
    "attempts": 1,
    "error": None,
    "created_at": AT,
    "next_attempt_at": None,
    "delivered_at": AT,
    "failed_at": None,
}
CHANNEL: Example = {
    "id": 6,
    **NEW_CHANNEL,
    "baseline": None,
    "enabled": True,
    "created_at": AT,
    "last": NOTICE,
}

UPLOAD: Example = {"files": ["time,f_0,f_1\n06:30:00,0.12,1.5e-3\n"], "name": "Pump 7"}
RECEIVED: Example = {"id": 7, "message": "Baseline 7 was received and is being fitted."}
FIT_STATUS: Example = {
    "id": 7,
    "status": "processing",
    "progress": 40,
    "status_message": "Fitting 800 rows of 1,024 features",
    "error_message": None,
    "map": "distance",
    "refit": None,
}
RENAME: Example = {"name": "Pump 7, after the overhaul"}
BASELINE: Example = {
    "id": 7,
    "name": "Pump 7",
    "status": "completed",
    "rows": 800,
    "features": 1024,
    "map": "distance",
    "version": 1,
    "refit": None,
    "created_at": AT,
}
BASELINES: Example = {"ids": [7], "baselines": [BASELINE]}
REFIT: Example = {"map": "umap"}
COMPARE: Example = {
    "baseline_dataset_id": 7,
    "comparison_dataset_id": 8,
    "sensitivity_factor": 3.0,
}

BATCH: Example = {"file": "time,f_0,f_1\n06:30:02,0.13,1.4e-3\n"}
RECEIPT: Example = {
    "id": 7,
    "stream": "default",
    "points_processed": 1,
    "first_seq": 250,
    "last_seq": 250,
    "epoch": 1,
    "control": "run",
    "anomalies": 0,
    "level": "healthy",
    "score": 0.42,
}
PLACE: Example = {"dinsight_x": 3.25, "dinsight_y": -1.5, "score": 0.42, "level": "healthy"}
POINTS: list[Example] = [
    {
        **PLACE,
        "monitor_values": [0.13, 0.0014],
        "source_file": "monitor_batch_250.csv",
        "metadata": {"time": "06:30:02"},
        "process_order": 250,
        "created_at": AT,
    }
]
PAGE: Example = {
    "points": [{"seq": 250, **PLACE, "metadata": {"time": "06:30:02"}, "created_at": AT}],
    "total": 250,
    "limit": 1,
    "offset": 0,
    "next": 1,
}
CONFIGURATION: Example = {"latest_glow_count": 10, "batch_size": 1, "delay_seconds": 2.0}
CONTROL: Example = {"action": "pause"}
RESET: Example = {"deleted_points": 250, "epoch": 2, "stream": "default"}
SESSIONS: Example = {
    "baseline_id": 7,
    "sessions": [
        {
            "stream": "default",
            "epoch": 1,
            "run": 1,
            "current": True,
            "points": 250,
            "worst": "warning",
            "readings_from": 1,
            "ended_by": None,
            "first_seq": 1,
            "last_seq": 250,
            "first_point_at": AT,
            "last_point_at": AT,
            "started_at": AT,
            "ended_at": None,
            "map": "distance",
            "map_id": 9,
        }
    ],
    "total": 1,
    "limit": 100,
    "offset": 0,
    "next": None,
}
MACHINES: Example = {
    "machines": [
        {
            "baseline_id": 7,
            "name": "Pump 7",
            "stream": "default",
            "owner": None,
            "state": "failing",
            "status": "streaming",
            "is_active": True,
            "stale": False,
            "streamed_points": 250,
            "total_points": None,
            "last_update": AT,
            "rate": 0.5,
            "epoch": 1,
            "level": "alarm",
            "level_since": AT,
            "score": 1.31,
            "alarm_limit": 1.0,
            "trend": [0.42, 0.87, 1.31],
        }
    ],
    "summary": {"failing": 1, "deteriorating": 0, "healthy": 0, "unknown": 0},
    "total": 1,
    "limit": 100,
    "offset": 0,
    "next": None,
}
OVERLAY: Example = {
    "baseline_id": 8,
    "stream": "default",
    "name": "Pump 8",
    "map": "placed",
    "status": "streaming",
    "is_active": True,
    "streamed_points": 250,
    "last_update": AT,
    "level": "healthy",
    "level_since": AT,
    "score": 0.42,
    "alarm_limit": 1.0,
    "epoch": 1,
    "points": [
        {
            "seq": 250,
            "dinsight_x": 1.25,
            "dinsight_y": -0.5,
            "score": 0.42,
            "level": "healthy",
            "score_here": 0.97,
        }
    ],
    "unplaced": 0,
    "next": "1:250",
}
REPLAY_FILE: Example = {"file": "time,f_0,f_1\n06:30:02,0.13,1.4e-3\n", "delay": 0.5}
REPLAY_WISH: Example = {"stored": 3, "delay": 0.5, "batch_size": 10}
REPLAY: Example = {
    "id": 5,
    "status": "playing",
    "stream": "default",
    "source": "last night.csv",
    "position": 120,
    "rows": 1000,
    "delay": 0.5,
    "batch_size": 10,
    "message": None,
    "started_at": AT,
    "ended_at": None,
}
MONITOR_FILES: Example = {
    "files": [
        {"id": 3, "name": "last night.csv", "rows": 1000, "bytes": 8152784, "created_at": AT}
    ],
    "sample": False,
}
NEW_AREA: Example = {
    "name": "Idle",
    "kind": "rectangle",
    "geometry": {"x0": -1.5, "y0": -1.0, "x1": 2.0, "y1": 1.25},
}
AREA: Example = {
    "id": 3,
    **NEW_AREA,
    "map": "distance",
    "applied": True,
    "created_at": AT,
    "changed_at": AT,
}
ERROR: Example = {
    "success": False,
    "message": "x.csv: line 3, column f_1: expected a finite number, found an empty cell",
    "error": {
        "code": "CELL_INVALID",
        "message": "x.csv: line 3, column f_1: expected a finite number, found an empty cell",
        "details": {
            "line": 3,
            "column": "f_1",
            "found": "",
            "expected": "a finite number",
            "source": "x.csv",
        },
    },
}


def success(data: Any, **more: Any) -> Example:
    return {"success": True, **more, "data": data}


EXPORT = (
    "seq,epoch,received_at,dinsight_x,dinsight_y,score,level,source_file,note\n"
    "1,1,2026-03-01T06:30:00.125000Z,0.31,-1.2,0.42,healthy,night.csv,after the overhaul\n"
)
