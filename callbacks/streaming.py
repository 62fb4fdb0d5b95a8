"""Opening a stream on the streaming page: the address, the selects, the map, the empty states."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlencode

from dash import ClientsideFunction, Dash, Input, Output, State
from flask import request
from sqlalchemy.orm import Session

from api import display_door
from api import live as push
from api.security import page_user
from callbacks import asked, live
from callbacks.live import MOST_ID, Ask
from dinsight import audit_log, baselines, contours, feed, playback, streams
from dinsight.accounts import Identity
from dinsight.errors import (
    BaselineNotFound,
    DinsightError,
    EpochNotFound,
    MapBeingRefitted,
    MapOutdated,
    StreamNotFound,
)
from dinsight.models import Baseline
from dinsight.services import Services
from dinsight.streams import DEFAULT, DEFAULT_GLOW, Found
from layouts import empty, figures
from layouts.figures import Screen
from layouts.shell import STREAMING
from layouts.shell import Ids as ShellIds
from layouts.streaming import Ids, map_word

MOST_DIGITS = 15  # of a seq: what a browser can count to


@dataclass(frozen=True)
class View:
    """What the page shows: `kind` is ready, none, fitting, failed or refused."""

    kind: str
    notice: str  # HTML
    baseline: Baseline | None = None
    stream: str = DEFAULT
    streams: list[str] = field(default_factory=list)
    figure: dict[str, Any] | None = None
    map_id: int | None = None
    playback: dict[str, Any] | None = None  # of a recording: its epoch, where to begin, its rings
    denied: int | None = None  # the baseline that was asked for, and does not exist or is another's


@dataclass(frozen=True)
class Want:
    """What the page asks to open: its address, and what its browser can do.

    `key` tells this opening from others; `base_url` is where the browser reached the server.
    """

    search: str
    key: str
    screen: Screen
    base_url: str
    push: bool = False  # whether the server can push

    @classmethod
    def parse(cls, data: dict[str, Any], base_url: str, *, push: bool = False) -> Want:
        screen = Screen(
            gl=bool(data.get("gl")), touch=bool(data.get("touch")), theme=str(data.get("theme"))
        )
        return cls(str(data.get("search") or ""), str(data.get("n", "")), screen, base_url, push)


def register(app: Dash, services: Services) -> None:
    def open_(want: dict[str, Any] | None) -> dict[str, Any]:
        who = page_user()
        offered = push.offered() and who.sight is None  # a display has no socket: it polls
        return opened(services, who, Want.parse(want or {}, request.host_url, push=offered))

    display_door.admit(app.server, f"{Ids.OPENED}.data")
    asked.answer(app, Ids.OPEN, Ids.OPENED, open_)
    app.clientside_callback(
        ClientsideFunction("live", "want"),
        Output(Ids.WANT, "data"),
        Input(ShellIds.URL, "search"),
        State(ShellIds.URL, "pathname"),
    )


def opened(services: Services, who: Identity, want: Want) -> dict[str, Any]:
    """What there is to show at the address, and to choose from; `opened` of `assets/live.js`
    shows it.
    """
    with services.sessions.begin() as session:
        shown = look(session, who, want)
        known = baselines.list_visible(session, who)
        names = shown.streams or [shown.stream]
        chosen = shown.baseline
        if shown.denied is not None:
            audit_log.deny(session, who, f"open {shown.denied}", shown.denied, services.now())
        found = {
            "baselines": [option(baseline) for baseline in known],
            "streams": [{"label": name, "value": name} for name in names],
            "alone": names == [DEFAULT],
            "notice": shown.notice,
            "figure": shown.figure or figures.nothing(),
            "map": map_word(chosen.layout) if chosen else "–",
            "view": {
                "key": want.key,
                "kind": shown.kind,
                "baseline_id": chosen.id if chosen else None,
                "stream": shown.stream,
                "map_id": shown.map_id,
                "name": chosen.name if chosen else "",
                "cap": want.screen.drawn.window,
                "earlier": want.screen.drawn.earlier,
                "push": want.push and shown.playback is None,
                "playback": shown.playback,
                "display": who.sight is not None,
                "baseline_points": chosen.rows if chosen else 0,
                "themes": figures.theme_changes(),
                "colours": figures.colours(),
            },
        }
        first = first_question(want, shown)
    return found | {"first": first and live.answer(services, who, first)}


def first_question(want: Want, shown: View) -> Ask | None:
    """What the page would ask next, so that it need not; nothing where there is nothing to show."""
    if shown.kind == "refused" or shown.playback is not None:
        return None
    baseline_id = shown.baseline.id if shown.baseline else None
    return Ask(want.key, baseline_id, shown.stream, None, want.screen.drawn.window)


def look(session: Session, who: Identity, want: Want) -> View:
    """What there is to show; a failure of the domain becomes a sentence on the page."""
    baseline_id = None
    try:
        baseline_id, stream = wanted(want.search)
        if baseline_id is not None:
            return look_at(session, who, baselines.get(session, who, baseline_id), stream, want)
        newest = baselines.newest(session, who)
        if newest is None:
            return View("none", empty.no_baseline(want.base_url))
        return look_at(session, who, newest, stream, want)
    except BaselineNotFound as error:
        return View("refused", empty.refused(error.message), denied=baseline_id)
    except DinsightError as error:
        return View("refused", empty.refused(error.message))


def look_at(session: Session, who: Identity, baseline: Baseline, stream: str, want: Want) -> View:
    if baseline.status == "failed":
        reason = baseline.error_message or "The reason is not known."
        return View("failed", empty.failed(baseline.name, reason), baseline, stream)
    if baseline.status != "completed":
        return fitting(baseline, stream)
    past = None if who.sight is not None else moment(want.search)
    try:
        row = streams.find(session, who, baseline.id, stream)
        if past is not None:
            row, _ = playback.find(session, who, baseline.id, stream, past[0])
        fitted = feed.stream_map(session, row)
    except MapBeingRefitted:
        return fitting(baseline, stream)
    except MapOutdated as error:
        return View("failed", empty.failed(baseline.name, error.message), baseline, stream)
    except EpochNotFound as error:
        live_view = f"{STREAMING}?{urlencode({'baseline_id': baseline.id, 'stream': stream})}"
        return View("refused", empty.not_recorded(error.message, live_view), baseline, stream)
    figure = figures.stream_map(
        fitted.coordinates,
        contours.of_baseline(fitted.coordinates),
        key=want.key,
        view=f"{baseline.id}/{stream}/{row.map_id}",
        screen=want.screen,
        layout=fitted.layout,
        guides=fitted.plane.guides(),
    )
    names = streams.names(session, who, baseline.id)
    notice = empty.waiting(baseline.id, stream)
    shown = View("ready", notice, baseline, stream, names, figure, row.map_id)
    return (
        shown if past is None else replace(shown, notice=empty.silent(), playback=told(row, past))
    )


def told(row: Found, past: tuple[int, int | None]) -> dict[str, Any]:
    """What the page needs to know of a recording."""
    epoch, at = past
    return {"epoch": epoch, "at": at, "glow": row.settings.get("latest_glow_count", DEFAULT_GLOW)}


def fitting(baseline: Baseline, stream: str) -> View:
    notice = empty.fitting(baseline.name, *baselines.progress(baseline))
    return View("fitting", notice, baseline, stream)


def wanted(search: str) -> tuple[int | None, str]:
    """Baseline id and stream of `?baseline_id=3&stream=night`.

    Raises BaselineNotFound or StreamNotFound for what none can be.
    """
    query = parse_qs(search.lstrip("?"))
    stream = query.get("stream", [DEFAULT])[0]
    if "\0" in stream:
        raise StreamNotFound()
    if "baseline_id" not in query:
        return None, stream
    text = query["baseline_id"][0]
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= MOST_ID):
        raise BaselineNotFound()
    return int(text), stream


def moment(search: str) -> tuple[int, int | None] | None:
    """The epoch to play back and the point to begin at, of `?epoch=2&at=350`; None for the present.

    A wall screen (`kiosk=1`) does not play back. Raises EpochNotFound for what no epoch can be.

    >>> moment("?epoch=2&at=350"), moment("?epoch=2"), moment("?epoch=2&kiosk=1"), moment("?at=3")
    ((2, 350), (2, None), None, None)
    """
    query = parse_qs(search.lstrip("?"))
    text, at = query.get("epoch", [""])[0], query.get("at", [""])[0]
    if not text or query.get("kiosk", [""])[0] == "1":
        return None
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:10]) <= MOST_ID):
        raise EpochNotFound()
    good = at.isascii() and at.isdecimal() and len(at) <= MOST_DIGITS
    return int(text[:10]), max(1, int(at)) if good else None


def option(baseline: Baseline) -> dict[str, str]:
    """How the select names a baseline."""
    label = baseline.name
    if baseline.status == "failed":
        label += " (failed)"
    elif baseline.status != "completed":
        label += f" (being fitted, {baseline.progress} %)"
    return {"label": label, "value": str(baseline.id)}
