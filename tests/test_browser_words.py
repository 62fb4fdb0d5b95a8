"""What the page says, state by state: the pure functions of `assets/live_words.js`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dinsight.accounts import Identity
from tests.browser import Page

pytest_plugins = ["tests.browser_fixtures"]

STREAMING = {
    "status": "streaming",
    "streamed_points": 250,
    "total_points": 1000,
    "is_active": True,
    "level": "healthy",
}
BADGES = [
    ({"retryIn": 3.6, "status": {**STREAMING, "status": "paused"}}, "Reconnecting in 4 s"),
    ({"retryIn": 0.2}, "Reconnecting …"),
    ({"status": {**STREAMING, "status": "paused", "streamed_points": 0}}, "Paused"),
    ({"status": {**STREAMING, "status": "stopped"}}, "Stopped"),
    ({"status": {**STREAMING, "status": "completed"}}, "Finished"),
    ({"status": {**STREAMING, "status": "not_started", "streamed_points": 0}}, "Waiting"),
    ({"status": {**STREAMING, "is_active": False}, "age": 190}, "Stale, last point 3 min ago"),
    ({"push": True}, "Live"),
    ({}, "Polling"),
    ({"status": None}, "Connecting"),
    ({"auto": False, "seen": 45}, "Not refreshing, seen 45 s ago"),
    (
        {"auto": False, "seen": 2, "status": {**STREAMING, "status": "paused"}},
        "Paused, seen 2 s ago",
    ),
]
MACHINES = [
    (STREAMING, 1, 0, "Healthy", ""),
    ({**STREAMING, "level": "warning"}, 1, 0, "Deteriorating", ""),
    ({**STREAMING, "level": "alarm"}, 1, 0, "Failing", ""),
    ({**STREAMING, "level": "alarm", "is_active": False}, 20, 1, "Failing", "as of 20 s ago"),
    (
        {**STREAMING, "level": "alarm", "is_active": False},
        720,
        1,
        "Unknown",
        "was Failing 12 min ago",
    ),
    (STREAMING, 300, 1, "Healthy", "as of 5 min ago"),  # a slow sender, on time
    (STREAMING, 300, 299, "Unknown", "was Healthy 5 min ago"),  # the server went away
    ({**STREAMING, "streamed_points": 0}, None, 0, "Unknown", ""),
]


def test_words_of_every_state(page: Page, user: Identity, sign_in: Callable[..., None]) -> None:
    sign_in(user)

    def word(call: str, *arguments: Any) -> Any:
        return page.js(f"return window.dinsight.words.{call}(...arguments)", *arguments)

    healthy = {"status": STREAMING, "retryIn": None, "age": 1, "auto": True, "seen": 0}
    for changes, expected in BADGES:
        assert word("badge", {**healthy, **changes})["text"] == expected
    for status, age, seen, expected, heard in MACHINES:
        machine = word("machine", status, age, seen)
        assert (machine["word"], machine["heard"]) == (expected, heard)

    assert word("count", STREAMING) == "250 / 1,000"
    assert word("count", {**STREAMING, "total_points": None}) == "250"
    assert word("alerts", {"open": 0, "severity": None}) == ""
    assert word("alerts", {"open": 1, "severity": "critical"}) == "Critical · 1 open alert"
    assert word("alerts", {"open": 1200, "severity": "low"}) == "Low · 1,200 open alerts"
    judge = "return dinsight.period.judge({since: arguments[0], until: arguments[1]})"
    assert page.js(judge, "2026-05-01", "2026-05-02") == {"ok": True, "words": ""}
    assert page.js(judge, "", "") == {"ok": True, "words": "Choose From, To or both."}
    late = page.js(judge, "2026-05-02", "2026-05-02")
    assert (late["ok"], late["words"][:29]) == (False, "From must come before To: cho")
    assert word("score", 0.824) == "score 0.82 of its limit"
    assert word("score", 27.31) == "score 27.3 × its limit"
    assert word("score", None) == ""
    assert [word("rate", rate) for rate in (12.3, 0.2, 0.001, None)] == [
        *("12 / s", "12 / min", "3.6 / h", "–")
    ]
    assert [word("ago", age) for age in (0.4, 59.9, 60, 7300, 200_000)] == [
        *("just now", "59 s ago", "1 min ago", "2 h ago", "2 d ago")
    ]
    assert word("note", {"drawn": 3000, "streamed": 41200, "outside": 1}) == (
        "showing 3,000 of 41,200 · 1 point outside the view"
    )
    assert word("note", {"drawn": 7, "streamed": 7, "outside": 0}) == ""
    since = "return window.dinsight.words.since(arguments[0], new Date(arguments[1]))"
    began = "2026-03-01T12:02:00"  # without a zone: the browser's
    told = [page.js(since, began, now) for now in (began, "2026-03-02T09:00", "2027-01-01T09:00")]
    assert told == ["since 12:02 PM", "since Mar 1, 12:02 PM", "since Mar 1, 2026, 12:02 PM"]
    assert page.js(since, None, began) == ""
    paused = word("actions", {**STREAMING, "status": "paused"})
    assert {name for name, may in paused.items() if may} == {"resume", "stop", "reset"}


def test_view_reaches_for_points_but_not_for_the_farthest(
    page: Page, user: Identity, sign_in: Callable[..., None]
) -> None:
    sign_in(user)
    reach = "return window.dinsight.frame.reach([0, 10], arguments[0], [0, 10])"
    assert page.js(reach, [1, 9]) is None
    low, high = page.js(reach, [-2, 12])
    assert low < -2 and high > 12
    assert page.js(reach, [1e6, -1e6]) is None
