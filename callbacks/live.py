"""The live path: what is new on a stream, its density, and acting on it.

The page asks one question at a time (`ASK`) and draws each answer (`FEED`) before it asks again;
`assets/live.js` asks and draws, itself: neither is a component of the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dash import ClientsideFunction, Dash, Input
from sqlalchemy.orm import Session

from api import display_door
from api.security import page_user
from callbacks import asked
from callbacks.denials import deny
from dinsight import (
    baselines,
    contours,
    feed,
    packing,
    pictures,
    playback,
    streams,
    tallies,
)
from dinsight.accounts import Identity
from dinsight.errors import (
    BaselineFailed,
    BaselineNotFound,
    BaselineNotReady,
    DinsightError,
    InvalidRequest,
    MapBeingRefitted,
    MapOutdated,
)
from dinsight.feed import Cursor
from dinsight.services import Services
from dinsight.streams import Found
from dinsight.tallies import Tally
from layouts import figures
from layouts.empty import fit_text
from layouts.streaming import Ids
from layouts.theme import ANOMALOUS, MONITOR, rgb

MOST_ID = 2**31 - 1
RESET = "reset"
SENTENCES = {
    "start": "Started.",
    "resume": "Resumed.",
    "pause": "Paused. A sender that cannot be paused goes on, and its points are kept.",
    "stop": "Stopped. A sender that cannot be stopped goes on, and its points are kept.",
}


@dataclass(frozen=True)
class Ask:
    """What the page asks of a stream: the points after a cursor, at most `limit`.

    Of its density: whether contours; where it draws points from the seq `window` on, pictures of
    what lies before; and with `earlier` the newest anomalous points among those.
    """

    key: str
    baseline_id: int | None
    stream: str
    after: Cursor | None
    limit: int
    contours: bool = True
    window: int | None = None
    earlier: bool = False
    epoch: int | None = None  # of a recording; its density is that of the points up to `upto`
    upto: int | None = None
    known: str = ""  # of the status; see `packing.pack_since`

    @classmethod
    def parse(cls, data: Any) -> Ask:
        """From what the page sent; raises InvalidRequest."""
        if not isinstance(data, dict):
            raise InvalidRequest()
        number, stream = data.get("baseline_id"), data.get("stream")
        if number is not None and not (type(number) is int and 0 < number <= MOST_ID):
            raise InvalidRequest("baseline_id must be a whole number.")
        if not isinstance(stream, str) or "\0" in stream:
            raise InvalidRequest("stream must be a name.")
        after, limit, window = (data.get(name) for name in ("after", "limit", "window"))
        epoch, upto = data.get("epoch"), data.get("upto")
        return cls(
            key=str(data.get("key", "")),
            baseline_id=number,
            stream=stream,
            after=Cursor.parse(str(after)) if after else None,
            limit=min(figures.GL.window, max(1, limit))
            if type(limit) is int
            else figures.GL.window,
            known=str(data.get("known") or ""),
            contours=data.get("contours") is not False,
            earlier=bool(data.get("earlier")),
            epoch=epoch if type(epoch) is int and 0 < epoch <= MOST_ID else None,
            upto=upto if type(upto) is int and 0 < upto < 2**53 else None,
            window=window if type(window) is int and 0 < window < 2**53 else None,
        )


def register(app: Dash, services: Services) -> None:
    def poll(data: Any) -> dict[str, Any]:
        return answer(services, page_user(), Ask.parse(data))

    def contour(data: Any) -> dict[str, Any] | None:
        return density(services, page_user(), Ask.parse(data))

    def tell(data: Any) -> dict[str, Any] | None:
        return about(services, page_user(), Ask.parse(data))

    def act(deed: Any) -> dict[str, Any]:
        return acted(services, page_user(), Ask.parse(deed), str(deed.get("act")))

    display_door.admit(app.server, *(f"{id}.data" for id in (Ids.FEED, Ids.CONTOUR, Ids.ABOUT)))
    asked.answer(app, Ids.ASK, Ids.FEED, poll)
    asked.answer(app, Ids.CONTOUR_ASK, Ids.CONTOUR, contour)
    asked.answer(app, Ids.ABOUT_ASK, Ids.ABOUT, tell)
    asked.answer(app, Ids.DEED, Ids.ACTED, act)
    app.clientside_callback(
        ClientsideFunction("live", "sized"), Input(Ids.SIZE, "value"), prevent_initial_call=True
    )


def answer(services: Services, who: Identity, ask: Ask) -> dict[str, Any]:
    """What is new. `kind` says what there is to show now: the page opens anew when it changes."""
    now = services.now()
    try:
        with services.sessions() as session:
            if ask.baseline_id is None:
                found = baselines.newest(session, who) is not None
                return {"key": ask.key, "kind": "changed" if found else "none"}
            delta = feed.delta(
                session,
                who,
                ask.baseline_id,
                ask.stream,
                ask.after,
                limit=ask.limit,
                now=now,
                newest=True,
            )
        return {"key": ask.key, "kind": "ready"} | packing.pack_since(delta, now, ask.known)
    except (BaselineNotReady, MapBeingRefitted):
        return {"key": ask.key, "kind": "fitting"} | fit_progress(services, who, ask.baseline_id)
    except (BaselineFailed, MapOutdated):
        return {"key": ask.key, "kind": "failed"}
    except DinsightError:
        return {"key": ask.key, "kind": "refused"}


def fit_progress(services: Services, who: Identity, baseline_id: int | None) -> dict[str, Any]:
    assert baseline_id is not None  # noqa: S101 - only a named baseline can be unfinished
    with services.sessions() as session:
        baseline = baselines.get(session, who, baseline_id)
        done, message = baselines.progress(baseline)
        return {"progress": done, "text": fit_text(done, message)}


def density(services: Services, who: Identity, ask: Ask) -> dict[str, Any] | None:
    """The density of the stream's points on the map; None where there is nothing to draw."""
    if ask.baseline_id is None:
        return None
    try:
        with services.sessions() as session:
            row, tally = counted(session, who, ask)
    except DinsightError:
        return None  # the poll says why
    if not tally.cells.total:
        return None
    grid = contours.of_cells(tally.cells) if ask.contours else None
    return {
        "key": ask.key,
        "epoch": row.epoch,
        "upto": tally.upto,
        "grid": grid and packing.pack_grid(grid),
        **beyond(tally, ask),
    }


def counted(session: Session, who: Identity, ask: Ask) -> tuple[Found, Tally]:
    """The stream and its points by cell: of now, or of a moment of a recording."""
    assert ask.baseline_id is not None  # noqa: S101 - `density` has looked
    if ask.epoch is None or ask.upto is None or who.sight is not None:
        row = streams.find(session, who, ask.baseline_id, ask.stream)
        return row, tallies.of_stream(session, row)
    row, _ = playback.find(session, who, ask.baseline_id, ask.stream, ask.epoch)
    return row, tallies.at(session, row, ask.upto)


def beyond(tally: Tally, ask: Ask) -> dict[str, Any]:
    """What the page draws of the points before its window: pictures, and the anomalous newest."""
    if ask.window is None:
        return {}
    rest = pictures.of_cells(tally.cells, rgb(MONITOR), rgb(ANOMALOUS))
    found: dict[str, Any] = {"images": figures.images(rest)}
    if ask.earlier:
        older = tally.anomalies[tally.anomalies[:, 0] < ask.window]
        found["earlier"] = packing.pack_points(older[-figures.GL.earlier :])
    return found


def about(services: Services, who: Identity, ask: Ask) -> dict[str, Any] | None:
    """When the point at the cursor came, and its metadata; None where it is not there any more."""
    if ask.baseline_id is None or ask.after is None:
        return None
    try:
        with services.sessions() as session:
            found = feed.about(session, who, ask.baseline_id, ask.stream, ask.after)
    except DinsightError:
        return None  # the poll says why
    if found is None:
        return None
    at = packing.rfc3339(found["received_at"])
    known = {"key": ask.key, "epoch": ask.after.epoch, "seq": ask.after.seq}
    return {**known, "received_at": at, "metadata": found["metadata"]}


def acted(services: Services, who: Identity, ask: Ask, action: str) -> dict[str, Any]:
    """Do it, and say in a sentence what was done or why not."""
    try:
        if ask.baseline_id is None:
            raise InvalidRequest("There is no stream to act on.")
        with services.sessions.begin() as session:
            if action != RESET and action not in SENTENCES:
                raise InvalidRequest(f"There is no action {action!r}.")
            if action == RESET:
                done = streams.reset(session, who, ask.baseline_id, ask.stream, now=services.now())
                sentence = f"Reset. {done['deleted_points']:,} points are archived."
            else:
                streams.control(session, who, ask.baseline_id, ask.stream, action)
                sentence = SENTENCES[action]
    except BaselineNotFound as error:
        deny(services, who, f"{action} {ask.baseline_id}/{ask.stream}", ask.baseline_id)
        return {"sentence": error.message}
    except DinsightError as error:
        return {"sentence": error.message}
    return {"sentence": sentence}
