"""A report as a page of its own: `dinsight.report` in, HTML for one sheet of A4 out."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from dinsight.diagnosis import in_limits
from dinsight.models import Alert
from dinsight.report import HEALTHY, Event, Report
from layouts import files
from layouts.report_card import times
from layouts.report_svg import map_svg, trend_svg
from layouts.shell import STREAMING
from layouts.streaming import map_word

STATES = {"healthy": "Healthy", "warning": "Deteriorating", "alarm": "Failing"}
LEVELS = {1: "Warning", 2: "Alarm"}
MOST_EPISODES = 6
NOTED = ("note", "verdict", "until", "message")

templates = Environment(loader=PackageLoader("layouts", "."), autoescape=True)


def page(report: Report, printed_by: str, now: dt.datetime) -> str:
    """The report as HTML."""
    level = report.shown.level if report.shown else None
    alert = report.alert
    marked = (report.shown.x, report.shown.y) if alert and report.shown else None
    query = {"baseline_id": report.baseline_id, "stream": report.stream}
    return _rendered(
        title=alert.title if alert else report.name,
        subtitle=_subtitle(report),
        alert=alert,
        back=f"{STREAMING}?{urlencode(query)}",
        state=_state(level),
        word=STATES[level] if level else "Unknown",
        facts=_facts(report),
        map=_drawn(map_svg(report.places, report.counted, report.newest, marked)),
        drivers=report.drivers,
        undriven=report.undriven or _undriven(level),
        card=_card(report),
        trend=_drawn(
            trend_svg(
                report.trend, report.limit, report.warning, alert.opened_seq if alert else None
            )
        ),
        events=[_event(each) for each in report.events] if alert else _happened(report),
        printed_by=printed_by,
        printed_at=_when(now),
    )


def problem(sentence: str) -> str:
    """Why there is no report."""
    return _rendered(title="No report", problem=sentence)


def _rendered(**values: Any) -> str:
    return files.named(templates.get_template("report.html").render(**values))


def _drawn(svg: str) -> Markup:
    """What `layouts.report_svg` drew: markup of numbers and of our own words."""
    return Markup(svg)  # noqa: S704


def _state(level: str | None) -> str:
    return {"healthy": "healthy", "warning": "deteriorating", "alarm": "failing"}.get(
        level or "", "unknown"
    )


def _undriven(level: str | None) -> str:
    """Why nothing is said of drivers where nothing went wrong."""
    if level is None:
        return "There is no point to tell of."
    if level == HEALTHY:
        return "The machine is within healthy behaviour: nothing drives it."
    return "What drives the score could not be told."


def _subtitle(report: Report) -> str:
    words = [report.name] if report.alert else []
    epoch = "present run" if report.current else "an earlier run"
    return ", ".join([*words, f"stream {report.stream}", f"epoch {report.epoch:,} ({epoch})"])


def _facts(report: Report) -> list[tuple[str, str]]:
    shown, alert = report.shown, report.alert
    found = []
    if shown:
        found.append(("Score", in_limits(shown.score / report.limit)))
        found.append(("At the alert" if alert else "Last point", _when(shown.at)))
    if report.since and (alert or (shown and shown.level != HEALTHY)):
        found.append(("Since", _when(report.since)))
    found.append(("Points", f"{report.points:,} since {_when(report.started_at)}"))
    if alert:
        found += _of_alert(alert)
    if report.ended_at:
        found.append(("Ended", _when(report.ended_at)))
    return found


def _of_alert(alert: Alert) -> list[tuple[str, str]]:
    found = [
        ("Severity", alert.severity),
        ("Rule", str(alert.rule.get("name") or alert.alert_type)),
    ]
    if alert.peak is not None:
        found.append(("Highest score", f"{alert.peak:.3g}"))
    found.append(("Cleared", _when(alert.cleared_at) if alert.cleared_at else "still active"))
    acknowledged = _when(alert.acknowledged_at) if alert.acknowledged_at else "not yet"
    found.append(("Acknowledged", acknowledged))
    if alert.note:
        found.append(("Note", alert.note))
    if alert.verdict:
        found.append(("Verdict", alert.verdict.replace("_", " ")))
    return found


def _card(report: Report) -> list[tuple[str, str]]:
    card = report.card
    found = [("Map", map_word(report.layout))]
    if card:
        found = [("Rows", f"{card['rows']:,}"), ("Features", f"{card['features']:,}"), *found]
        expected = card["false_alarms_per_day"]["expected"]
        found.append(("False alarms to expect", times(expected)))
    return found


def _event(event: Event) -> tuple[str, ...]:
    told = [f"{event.details[name]}" for name in NOTED if event.details.get(name)]
    return _when(event.at), event.kind.replace("_", " "), event.who, "; ".join(told)


def _happened(report: Report) -> list[tuple[str, ...]]:
    """The alerts of the epoch, and the last episodes, by time."""
    found = [
        (
            each.opened_at,
            f"Alert: {each.title}",
            _when(each.cleared_at) if each.cleared_at else "still active",
            f"{each.severity}, {'acknowledged' if each.acknowledged_at else 'not acknowledged'}",
        )
        for each in report.alerts
    ]
    found += [
        (
            each.began,
            LEVELS[each.level],
            _when(each.until),
            f"points {each.first:,} to {each.last:,}, at most "
            + in_limits(each.peak / report.limit),
        )
        for each in report.trend.episodes[-MOST_EPISODES:]
    ]
    return [(_when(at), *rest) for at, *rest in sorted(found, key=lambda each: each[0])]


def _when(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
