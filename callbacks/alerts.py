"""The alerts page: what is listed, one alert, the figures. What is done to alerts: `deeds.py`."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from dash import ClientsideFunction, Dash, Input, Output, no_update
from flask import Response, request

from api.context import services as services_of
from api.security import page_user
from callbacks.denials import deny
from dinsight import baselines
from dinsight.accounts import Identity
from dinsight.alerts import listing, rules
from dinsight.alerts.listing import Wish
from dinsight.alerts.words import SEVERITIES, STATUSES, TYPES
from dinsight.errors import AlertNotFound
from dinsight.exporting import alerts as exporting
from dinsight.services import Services
from layouts import alert_detail, alert_quality
from layouts import alerts as layout
from layouts.alert_detail import Ids as DetailIds
from layouts.alert_quality import Ids as QualityIds
from layouts.alert_words import TIMES
from layouts.alerts import MOST_ROWS, PAGE_ROWS, Ids
from layouts.shell import ALERTS

MOST_ID, MOST_ALERT_ID = 2**31 - 1, 2**53
FILTERS = (Ids.STATUS, Ids.MACHINE, Ids.SEVERITY, Ids.KIND, Ids.TIME)
EXPORT = f"{ALERTS}/export"
MIMETYPES = {"csv": "text/csv", "jsonl": "application/x-ndjson"}


@dataclass(frozen=True)
class Ask:
    """What the page shows: the filters of its address, how many rows, and what it has already."""

    search: str
    shown: int
    signature: str

    @classmethod
    def parse(cls, data: Any) -> Ask:
        data = data if isinstance(data, dict) else {}
        shown = data.get("shown")
        many = shown if type(shown) is int else PAGE_ROWS
        texts = (str(data.get(name) or "") for name in ("search", "signature"))
        search, signature = texts
        return cls(search, min(MOST_ROWS, max(PAGE_ROWS, many)), signature)


def register(app: Dash, services: Services) -> None:
    def look(data: Any) -> list[Any]:
        return looked(services, page_user(), Ask.parse(data))

    def open_(data: Any) -> list[Any]:
        return detailed(services, page_user(), data)

    def count(data: Any) -> Any:
        return figured(services, page_user(), data)

    app.callback(
        Output(Ids.LIST, "children"),
        Output(Ids.TOLD, "data"),
        Input(Ids.ASK, "data"),
        prevent_initial_call=True,
    )(look)
    app.callback(
        Output(DetailIds.BODY, "children"),
        Output(DetailIds.EVENTS, "children"),
        Output(DetailIds.TOLD, "data"),
        Input(DetailIds.ASK, "data"),
        prevent_initial_call=True,
    )(open_)
    app.callback(
        Output(QualityIds.FIGURES, "children"),
        Input(QualityIds.ASK, "data"),
        prevent_initial_call=True,
    )(count)
    register_scripts(app)
    app.server.add_url_rule(EXPORT, "alerts_export", export, methods=["GET"])


def register_scripts(app: Dash) -> None:
    """The callbacks that run in the page: `assets/alerts_page.js`.

    Those with an output are called as the page is opened as well.
    """

    def script(name: str, output: str, *inputs: Input) -> None:
        app.clientside_callback(
            ClientsideFunction("alerts_page", name), Output(output, "data"), *inputs
        )

    script("told", Ids.FOLLOWED, Input(Ids.TOLD, "data"))
    script("filtered", Ids.FILTERED, *(Input(id, "value") for id in FILTERS))
    script("detailed", DetailIds.FOLLOWED, Input(DetailIds.TOLD, "data"))
    script(
        "counted",
        QualityIds.ASK,
        Input(QualityIds.PERIOD, "value"),
        Input(QualityIds.MACHINE, "value"),
    )


def page(services: Services, who: Identity) -> Any:
    with services.sessions() as session:
        machines = [(each.id, each.name) for each in baselines.list_visible(session, who)]
    return layout.page(machines)


def wish_of(search: str, now: dt.datetime) -> Wish:
    """What the address of the page asks for; what it cannot mean is left out."""
    query = {name: values[0] for name, values in parse_qs(search.lstrip("?")).items()}
    days = query.get("days", "")
    stream = query.get("stream")
    since, until = _period(query)
    if days in TIMES:
        since = now - dt.timedelta(days=int(days))
    return Wish(
        status=_one_of(query, "status", STATUSES),
        baseline_id=_whole(query.get("baseline_id"), MOST_ID),
        stream=stream if stream and "\0" not in stream else None,
        severity=_one_of(query, "severity", SEVERITIES),
        alert_type=_one_of(query, "kind", TYPES),
        since=since,
        until=until,
    )


def looked(services: Services, who: Identity, ask: Ask) -> list[Any]:
    """The list, where it is another than the page has, and what its script knows."""
    now = services.now()
    wish = wish_of(ask.search, now)
    with services.sessions() as session:
        found = listing.page(session, who, wish, now=now, limit=ask.shown)
        present = listing.present(session, who)
        watched = rules.watched(session, who)
    signature = _signature([found, _filtered(wish), watched])
    told = layout.told(present, signature, now)
    told |= {"words": layout.head_words(present, watched), "total": found.total}
    if signature == ask.signature:
        return [no_update, told]
    if not found.alerts:
        return [layout.nothing(filtered=_filtered(wish), machines=watched), told]
    return [layout.groups(found.alerts, found.total, timed=_timed(wish)), told]


def detailed(services: Services, who: Identity, data: Any) -> list[Any]:
    """One alert, where it is another than the dialog shows."""
    number = data.get("id") if isinstance(data, dict) else None
    try:
        if type(number) is not int or not 0 < number < MOST_ALERT_ID:
            raise AlertNotFound()
        with services.sessions() as session:
            alert = listing.get(session, who, number, now=services.now())
    except AlertNotFound as error:
        deny(services, who, f"alert {str(number)[:20]}")
        return [alert_detail.absent(error.message), [], {"id": number, "absent": True}]
    signature = _signature(alert)
    told = {
        "id": number,
        "signature": signature,
        "title": alert["title"],
        "acknowledged": alert["acknowledged_at"] is not None,
        "cleared": alert["cleared_at"] is not None,
        "shelved": alert["shelved_until"] is not None,
        "verdict": alert["verdict"],
        "at": data.get("at"),
    }
    if data.get("signature") == signature:
        return [no_update, no_update, told]
    return [alert_detail.body(alert), alert_detail.events(alert), told]


def figured(services: Services, who: Identity, data: Any) -> Any:
    """The figures of alarm quality of a period."""
    data = data if isinstance(data, dict) else {}
    days = str(data.get("days") or "")
    days = days if days in alert_quality.PERIODS else "30"
    now = services.now()
    baseline_id = _whole(str(data.get("baseline_id") or ""), MOST_ID)
    since = now - dt.timedelta(days=int(days))
    with services.sessions() as session:
        found = listing.quality(session, who, since=since, until=now, baseline_id=baseline_id)
    return alert_quality.figures(found)


def export() -> Response:
    """The alerts that the address asks for, as a file."""
    who, services = page_user(), services_of()
    now = services.now()
    kind = request.args.get("format", "")
    kind = kind if kind in MIMETYPES else "csv"
    wish = wish_of(request.query_string.decode("ascii", "replace"), now)
    content = exporting.written(services.sessions, who, wish, kind, now=now)
    answer = Response(content, mimetype=MIMETYPES[kind])
    name = re.sub(r"\D", "", f"{now:%Y%m%d%H%M%S}")
    answer.headers["Content-Disposition"] = f'attachment; filename="alerts-{name}.{kind}"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _timed(wish: Wish) -> bool:
    return wish.since is not None or wish.until is not None


def _filtered(wish: Wish) -> bool:
    return any(True for _ in wish.conditions())


def _period(query: Mapping[str, str]) -> tuple[dt.datetime | None, dt.datetime | None]:
    """From when and until when; neither where the one does not come before the other."""
    since, until = _moment(query.get("since")), _moment(query.get("until"))
    return (None, None) if since and until and since >= until else (since, until)


def _moment(text: str | None) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _one_of(query: Mapping[str, str], name: str, words: tuple[str, ...]) -> str | None:
    return query.get(name) if query.get(name) in words else None


def _whole(text: str | None, most: int) -> int | None:
    if not text or not (text.isascii() and text.isdecimal() and len(text) <= 10):
        return None
    return int(text) if 0 < int(text) <= most else None


def _signature(content: Any) -> str:
    return hashlib.blake2s(repr(content).encode(), digest_size=6).hexdigest()
