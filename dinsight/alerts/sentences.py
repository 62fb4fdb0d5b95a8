"""When a rule raises an alert, and when it is over, in a sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dinsight.alerts.words import FLAT, LEVEL, MISSING, SATURATED, STALE

OF_DATA = {
    FLAT: "Raised when a sensor that usually moves stands still.",
    SATURATED: "Raised when a sensor stays at the end of its range.",
    MISSING: "Raised when rows are refused because readings are missing.",
}
AT_LEVEL = {"warning": "are at the level warning or alarm", "alarm": "are at the level alarm"}


def rule(told: Mapping[str, Any]) -> str:
    """When this rule, as `rules.describe` or `rules.check` tells it, raises an alert.

    >>> rule({"kind": "score", "score": 1.2, "needed": 3, "window": 5, "seconds": None})
    'Raised when 3 of the last 5 rows score above 1.2 × the alarm limit.'
    >>> rule({"kind": "level", "level": "alarm", "needed": 1, "window": 1, "seconds": 90})
    'Raised when all rows of at least 90 s are at the level alarm.'
    >>> rule({"kind": "stale", "seconds": 60})
    'Raised when no point came for 60 s, or for longer where the stream is slower.'
    """
    kind = told["kind"]
    if kind == STALE:
        silent = f"no point came for {_span(told['seconds'])}"
        return f"Raised when {silent}, or for longer where the stream is slower."
    if kind in OF_DATA:
        return OF_DATA[kind]
    one = told["seconds"] is None and told["window"] == 1
    if kind == LEVEL:
        word = told["level"]
        word = word if isinstance(word, str) else ("warning", "alarm")[word - 1]
        met = AT_LEVEL[word].replace("are", "is", 1) if one else AT_LEVEL[word]
    else:
        met = f"score{'s' * one} above {told['score']:g} × the alarm limit"
    return f"Raised when {_rows(told)} {met}{_muted(told)}."


def whole(told: Mapping[str, Any]) -> str:
    """When this rule raises an alert, and when that is over."""
    return f"{rule(told)} {ending(told)}".strip()


def ending(told: Mapping[str, Any]) -> str:
    """When what such a rule about the machine has raised is over; empty for one about the data.

    >>> ending({"kind": "level", "needed": 1, "window": 3, "seconds": None})
    'Over when none of the last 3 rows is.'
    """
    if told["kind"] not in (LEVEL, "score"):
        return ""
    held = "is" if told["kind"] == LEVEL else f"scores {told['hysteresis']:g} × that or more"
    if told["seconds"] is not None:
        return f"Over when for {_span(told['seconds'])} no row {held}."
    if told["window"] == 1:
        return f"Over at the first row that {'is not' if held == 'is' else 'scores below'}" + (
            "." if held == "is" else f" {told['hysteresis']:g} × that."
        )
    return f"Over when none of the last {told['window']:,} rows {held}."


def _rows(told: Mapping[str, Any]) -> str:
    if told["seconds"] is not None:
        return f"all rows of at least {_span(told['seconds'])}"
    needed, window = told["needed"], told["window"]
    if window == 1:
        return "a row"
    return (
        f"{needed:,} of the last {window:,} rows" if needed < window else f"{window:,} rows running"
    )


def _muted(told: Mapping[str, Any]) -> str:
    return ", those in a normal area left out" if told.get("mute_in_areas") else ""


def _span(seconds: float) -> str:
    """Seconds as people say them.

    >>> [_span(each) for each in (60, 90, 600, 7200, 86400)]
    ['60 s', '90 s', '10 min', '2 h', '1 d']
    """
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= max(size, 120) and seconds % size == 0:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:g} s"
