"""The baselines page: the list, the questions before what cannot be undone, the report card.

Uploads and new names go from the page to `/api/v1`, with what has to be shown while they do;
everything else comes here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, ctx, no_update
from sqlalchemy.orm import Session

from api.security import page_user
from callbacks.denials import deny
from callbacks.live import MOST_ID
from callbacks.streaming import wanted
from dinsight import (
    baselines,
    candidates,
    overview,
    refitting,
    report_card,
    versions,
)
from dinsight.accounts import Identity
from dinsight.errors import BaselineNotFound, DinsightError, InvalidRequest
from dinsight.models import Json
from dinsight.overview import Overview
from dinsight.services import Services
from layouts import baselines as layout
from layouts import report_card as card_layout
from layouts.baselines import PATH, Ids, Refit, Row
from layouts.shell import Ids as ShellIds
from layouts.streaming import map_word


@dataclass(frozen=True)
class Wish:
    """What a button asks to be done to a baseline; `layout` is the other map, for a refit."""

    action: str
    baseline_id: int
    layout: str

    @classmethod
    def parse(cls, data: Any) -> Wish:
        """From what the page sent; raises InvalidRequest."""
        if not isinstance(data, dict):
            raise InvalidRequest()
        action, number = data.get("action"), data.get("baseline_id")
        if not (type(number) is int and 0 < number <= MOST_ID):
            raise InvalidRequest("baseline_id must be a whole number.")
        if action not in {"delete", "refit"}:
            raise InvalidRequest(f"There is no action {action!r}.")
        return cls(action, number, str(data.get("map") or ""))


def register(app: Dash, services: Services) -> None:
    def list_(_: Any, deed: Any, seen: Any) -> list[Any]:
        told: list[Any] = [no_update, no_update]
        if ctx.triggered_id == Ids.DEED:
            told = acted(services, page_user(), deed)
        return [*listed(services, page_user(), seen), *told]

    def question(wish: Any) -> list[Any]:
        return asked(services, page_user(), wish)

    def report(search: str | None, _: Any, path: str | None, known: Any) -> list[Any]:
        on_page = (path or "").rstrip("/") == PATH
        card = shown(services, page_user(), search or "") if on_page else None
        signature = _signature(card)
        return [no_update if signature == known else card, signature]

    app.callback(
        Output(Ids.QUESTION, "children"), Input(Ids.WISH, "data"), prevent_initial_call=True
    )(question)
    app.callback(
        Output(Ids.REPORT, "children"),
        Output(Ids.CARD, "data"),
        Input(ShellIds.URL, "search"),
        Input(Ids.SEEN, "data"),
        State(ShellIds.URL, "pathname"),
        State(Ids.CARD, "data"),
    )(report)
    app.callback(
        Output(Ids.LIST, "children"),
        Output(Ids.SEEN, "data"),
        Output(Ids.MESSAGE, "children"),
        Output(Ids.SAID, "data"),
        Input(Ids.ASK, "data"),
        Input(Ids.DEED, "data"),
        State(Ids.SEEN, "data"),
        prevent_initial_call=True,
    )(list_)
    register_scripts(app)


def register_scripts(app: Dash) -> None:
    """The callbacks that run in the page: `assets/baselines.js`."""

    def script(name: str, *arguments: Any, first: bool = False) -> None:
        function = ClientsideFunction("baselines", name)
        app.clientside_callback(function, *arguments, prevent_initial_call=not first)

    # Its output is nothing: without one it would not be called as the page is opened.
    script("seen", Output(Ids.FOLLOWED, "data"), Input(Ids.SEEN, "data"), first=True)
    script("said", Input(Ids.SAID, "data"))
    script("asked", Input(Ids.QUESTION, "children"))
    script("reported", Input(Ids.REPORT, "children"))
    script(
        "send",
        Output(Ids.NAME, "value"),
        Input(Ids.UPLOAD, "n_clicks"),
        Input(Ids.NAME, "n_submit"),
        State(Ids.NAME, "value"),
        State(Ids.KIND, "value"),
    )


def page(services: Services, who: Identity) -> Any:
    rows, seen = _look(services, who)
    return layout.page(
        listed=layout.rows(rows),
        seen=seen,
        everybodys=who.is_admin,
        most_mb=services.settings.max_upload_mb,
    )


def listed(services: Services, who: Identity, known: Any) -> list[Any]:
    """The list where it is another than the page knows, and what the page then knows."""
    rows, seen = _look(services, who)
    same = isinstance(known, dict) and known.get("signature") == seen["signature"]
    return [no_update if same else layout.rows(rows), seen]


def acted(services: Services, who: Identity, data: Any) -> list[Any]:
    """Do it; then why it could not be done, which stays, and what was done, which is said once."""
    if isinstance(data, dict) and data.get("action") == "sample":
        return sampled(services, who)
    try:
        wish = Wish.parse(data)
        with services.sessions.begin() as session:
            name = baselines.get(session, who, wish.baseline_id).name
            if wish.action == "delete":
                baselines.remove(session, who, wish.baseline_id)
                sentence = f"{name} is deleted."
            else:
                refitting.ask(session, who, wish.baseline_id, wish.layout)
                sentence = f"{name} is being refitted as {map_word(wish.layout)}."
    except BaselineNotFound as error:
        deny(services, who, f"{wish.action} {wish.baseline_id}", wish.baseline_id)
        return [error.message, no_update]
    except DinsightError as error:
        return [error.message, no_update]
    services.jobs.wake()
    return ["", {"sentence": sentence, "at": services.now().isoformat()}]


def sampled(services: Services, who: Identity) -> list[Any]:
    """The same of making the sample machine's baseline theirs."""
    if services.sample is None:
        return ["This server has no sample machine: upload a file of your own.", no_update]
    path, _ = services.sample.make()
    with services.sessions.begin() as session, path.open("rb") as stream:
        file = baselines.File(path.name, stream)
        name = path.stem.removesuffix(" - Baseline")
        baselines.create(session, who, [file], limits=services.limits, name=name)
    services.jobs.wake()
    sentence = f"{name} is being fitted. Then open it, and replay its run there."
    return ["", {"sentence": sentence, "at": services.now().isoformat()}]


def asked(services: Services, who: Identity, data: Any) -> list[Any]:
    """The question before a deletion or a refit, with what goes as it is now."""
    try:
        wish = Wish.parse(data)
        with services.sessions() as session:
            row = _row(overview.of(session, who, wish.baseline_id), who)
    except BaselineNotFound as error:
        deny(services, who, f"ask {wish.action} {wish.baseline_id}", wish.baseline_id)
        return layout.refused(error.message)
    except DinsightError as error:
        return layout.refused(error.message)
    return layout.ask_delete(row) if wish.action == "delete" else layout.ask_refit(row)


def shown(services: Services, who: Identity, search: str) -> Any:
    """The report card that the address names; None where it names none."""
    baseline_id, name = None, "no such baseline"
    try:
        baseline_id, _ = wanted(search)
        if baseline_id is None:
            return None
        with services.sessions() as session:
            name = baselines.get(session, who, baseline_id).name
            return card_layout.panel(report_card.read(session, who, baseline_id))
    except BaselineNotFound as error:
        if baseline_id is not None:
            deny(services, who, f"report {baseline_id}", baseline_id)
        return card_layout.absent(name, error.message)
    except DinsightError as error:
        return card_layout.absent(name, error.message)


def _look(services: Services, who: Identity) -> tuple[list[Row], dict[str, Any]]:
    """The rows, and what tells the page whether they changed and how each fit ended."""
    with services.sessions() as session:
        rows = _rows(session, who)
    return rows, {
        "signature": _signature(rows),
        "busy": any(row.busy for row in rows),
        "states": {str(row.id): row.status for row in rows},
        "errors": {str(row.id): row.error for row in rows if row.status == "failed"},
        "at": services.now().isoformat(),
    }


def _signature(shown: Any) -> str:
    """Tells whether what is shown is another; a redraw takes the focus and closes what is open."""
    return hashlib.sha256(repr(shown).encode()).hexdigest()


def _rows(session: Session, who: Identity) -> list[Row]:
    found = overview.all_of(session, who)
    ids = [each.baseline.id for each in found]
    waiting, review = candidates.waiting(session, ids), versions.under_review(session, ids)
    return [
        replace(
            _row(each, who),
            waiting=waiting.get(each.baseline.id, 0),
            review=review.get(each.baseline.id),
        )
        for each in found
    ]


def _row(found: Overview, who: Identity) -> Row:
    baseline = found.baseline
    return Row(
        id=baseline.id,
        name=baseline.name,
        status=baseline.status,
        progress=baseline.progress,
        message=baseline.status_message,
        error=baseline.error_message,
        layout=baseline.layout,
        rows=baseline.rows,
        features=baseline.feature_count,
        created_at=baseline.created_at,
        streams=found.streams,
        points=found.points,
        owner=found.owner if baseline.owner_id != who.id else "",
        refit=_refit(refitting.state(baseline)),
        version=baseline.version,
    )


def _refit(state: Json | None) -> Refit | None:
    if state is None:
        return None
    return Refit(
        layout=str(state["map"]),
        under_way=state["status"] in {"waiting", "processing"},
        progress=int(state["progress"]),
        message=str(state["status_message"]),
        error=state["error_message"],
        version=state.get("version"),
        kept=state.get("kept"),
    )
