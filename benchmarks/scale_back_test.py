"""A rule tried on a long recording: seconds from asking to the answer, beside nothing else."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.client import Client
from benchmarks.report import Table

POINTS = 1_000_000
RULE = {"name": "Climbs", "kind": "score", "score": 0.8, "needed": 3, "window": 5}
SENSITIVITY = 1.5
PAUSE, PATIENCE = 0.1, 300  # seconds


def back_tests(client: Client, number: int, points: int = POINTS) -> Table:
    """Try a rule on a recording of so many points, which is made first."""
    client.another().json("POST", f"/api/bench/record/{number}/tried/{points}")
    lines = [
        _tried(client.another(), number, points, "a score rule", None),
        _tried(
            client.another(), number, points, "a score rule, the levels judged anew", SENSITIVITY
        ),
    ]
    note = (
        "From asking for it to its answer, by a job of the server; the recording has a point a "
        "second. What limits it is reading the points and one pass over them, on one core."
    )
    return Table("Back-tests", note, ("tried", "points", "s", "points a second", "alerts"), lines)


def _tried(
    client: Client, number: int, points: int, what: str, factor: float | None
) -> tuple[str, ...]:
    began = time.perf_counter()
    wish = {"stream": "tried", "epoch": 1, "rule": RULE, "sensitivity_factor": factor}
    asked = client.json("POST", f"/api/v1/streaming/{number}/back-tests", wish)
    found = _ended(client, int(asked["id"]))
    seconds = time.perf_counter() - began
    alerts = len(found["result"]["alerts"])
    return what, f"{points:,}", f"{seconds:.1f}", f"{points / seconds:,.0f}", f"{alerts:,}"


def _ended(client: Client, trial: int) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = client.json("GET", f"/api/v1/back-tests/{trial}")
        if found["status"] == "completed":
            return found
        if found["status"] == "failed":
            raise RuntimeError(found["error_message"])
        time.sleep(PAUSE)
    raise RuntimeError(f"trial {trial} has not ended")
