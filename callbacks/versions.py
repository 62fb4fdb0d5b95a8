"""The page of a baseline's versions: what is shown. What is done goes from it to `/api/v1`."""

from __future__ import annotations

import hashlib
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, no_update

from api.security import page_user
from callbacks.denials import deny
from callbacks.streaming import wanted
from dinsight import candidates, overview, version_compare, versions
from dinsight.accounts import Identity
from dinsight.errors import BaselineNotFound, DinsightError, InvalidRequest
from dinsight.services import Services
from layouts import figures_versions as figures
from layouts import versions as layout
from layouts.figures import Screen, nothing
from layouts.shell import VERSIONS
from layouts.shell import Ids as ShellIds
from layouts.versions import Ids

PARTS = 6  # head, queue, its map, whether that is hidden, the versions, whether they are compared
NOTHING = [no_update] * PARTS


def register(app: Dash, services: Services) -> None:
    def look(ask: Any, search: str | None, path: str | None, seen: Any) -> list[Any]:
        if (path or "").rstrip("/") != VERSIONS or not isinstance(ask, dict):
            return [*NOTHING, no_update, no_update]
        return looked(services, page_user(), search or "", ask, seen)

    def compare(seen: Any, a: Any, b: Any, on: Any, ask: Any) -> list[Any]:
        return compared(services, page_user(), seen, (a, b, on), ask)

    app.callback(
        Output(Ids.HEAD, "children"),
        Output(Ids.QUEUE, "children"),
        Output(Ids.QUEUE_MAP, "figure"),
        Output(Ids.QUEUE_PLACE, "hidden"),
        Output(Ids.LIST, "children"),
        Output(Ids.COMPARISON, "hidden"),
        Output(Ids.SEEN, "data"),
        Output(Ids.TOLD, "data"),
        Input(Ids.ASK, "data"),
        State(ShellIds.URL, "search"),
        State(ShellIds.URL, "pathname"),
        State(Ids.SEEN, "data"),
        prevent_initial_call=True,
    )(look)
    selects = [Output(id, name) for id in (Ids.A, Ids.B, Ids.ON) for name in ("options", "value")]
    app.callback(
        *selects,
        Output(Ids.COMPARE_MAP, "figure"),
        Output(Ids.FIGURES, "children"),
        Input(Ids.SEEN, "data"),
        Input(Ids.A, "value"),
        Input(Ids.B, "value"),
        Input(Ids.ON, "value"),
        State(Ids.ASK, "data"),
        prevent_initial_call=True,
    )(compare)
    # Its output is nothing: without one it would not be called as the page is opened.
    app.clientside_callback(
        ClientsideFunction("versions", "told"),
        Output(Ids.FOLLOWED, "data"),
        Input(Ids.TOLD, "data"),
    )


def page(services: Services, who: Identity) -> Any:
    return layout.page()


def looked(services: Services, who: Identity, search: str, ask: Any, seen: Any) -> list[Any]:
    """What is shown, where it is another than the page knows, and what the page then knows."""
    baseline_id = None
    try:
        baseline_id, _ = wanted(search)
        if baseline_id is None:
            return _absent("No baseline is chosen.")
        with services.sessions() as session:
            listed = versions.list_all(session, who, baseline_id)
            found = candidates.queue(session, who, baseline_id)
            screen = screen_of(ask)
            signature = _signature([listed, found, screen])
            known = {"baseline_id": baseline_id, "signature": signature}
            busy = any(row["state"] == "fitting" for row in listed["versions"])
            told = {"busy": busy, "at": services.now().isoformat()}
            if isinstance(seen, dict) and seen.get("signature") == signature:
                return [*NOTHING, no_update, told]
            held = overview.of(session, who, baseline_id)
            warned = versions.foresee(session, who, baseline_id)
            figure = nothing()
            if found:
                placed = version_compare.queued(session, who, baseline_id)
                figure = _queued(placed, screen)
    except BaselineNotFound as error:
        if baseline_id is not None:
            deny(services, who, f"versions {baseline_id}", baseline_id)
        return _absent(error.message)
    except DinsightError as error:
        return _absent(error.message)
    fitted = [row for row in listed["versions"] if row["state"] != "fitting"]
    return [
        layout.head(listed),
        layout.queue(listed, found, warned),
        figure,
        not found,
        layout.versions(listed, held.streams, held.points),
        len(fitted) < 2,
        known,
        told,
    ]


def compared(
    services: Services, who: Identity, seen: Any, chosen: tuple[Any, Any, Any], ask: Any
) -> list[Any]:
    """The selects, the map and the figures of two versions; nothing where there are not two."""
    empty: list[Any] = [[], None, [], None, [], None, nothing(), []]
    if not isinstance(seen, dict) or type(seen.get("baseline_id")) is not int:
        return empty
    baseline_id = seen["baseline_id"]
    try:
        with services.sessions() as session:
            listed = versions.list_all(session, who, baseline_id)
            selects = layout.pair(listed, *chosen)
            a, b, on = selects[1], selects[3], selects[5]
            if b is None:
                return empty
            found = version_compare.compare(
                session, who, baseline_id, (int(a), int(b)), now=services.now()
            )
    except BaselineNotFound:
        deny(services, who, f"versions {baseline_id}", baseline_id)
        return empty
    except InvalidRequest:
        return empty
    except DinsightError as error:
        return [*selects, nothing(), layout.refused(error.message)]
    side = "a" if int(on) == found["a"]["version"] else "b"
    kind = found[side]["map"]
    figure = figures.compared_map(found, side, screen=screen_of(ask), layout=kind)
    return [*selects, figure, layout.compared(found)]


def screen_of(ask: Any) -> Screen:
    told = ask if isinstance(ask, dict) else {}
    return Screen(bool(told.get("gl")), bool(told.get("touch")), str(told.get("theme")))


def _queued(placed: version_compare.Queued, screen: Screen) -> Any:
    about = [
        (*of, round(float(score), 3)) for of, score in zip(placed.about, placed.score, strict=True)
    ]
    return figures.queued_map(
        placed.map.coordinates,
        placed.x.tolist(),
        placed.y.tolist(),
        about,
        screen=screen,
        layout=placed.map.layout,
    )


def _absent(sentence: str) -> list[Any]:
    signature = _signature(sentence)
    return [layout.absent(sentence), [], nothing(), True, [], True, {"signature": signature}, {}]


def _signature(shown: Any) -> str:
    """Tells whether what is shown is another; a redraw takes the focus and closes what is open."""
    return hashlib.sha256(repr(shown).encode()).hexdigest()
