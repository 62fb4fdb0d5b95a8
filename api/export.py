"""`/streaming/{id}/export`: the points of a stream as a file, streamed."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Literal, cast

from flask import Flask, Response, current_app, request

from api import examples
from api.baselines import ID
from api.bodies import Blueprint
from api.context import services, who
from api.document import STREAM, document, query
from api.fields import moment, stream_name, switch
from api.schemas import TEXT, one_of
from api.security import signed_in
from dinsight import exporting
from dinsight.errors import InvalidRequest, TooManyExports
from dinsight.exporting import ALL, Selection, Wanted
from dinsight.settings import Settings

EXTENSION = "dinsight.exports"
RETRY_SECONDS = 5  # after which another export may have ended
KINDS = {
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "jsonl": "application/x-ndjson",
}
PLAIN = re.compile(r"[^A-Za-z0-9.-]+")
LONGEST = 60  # characters of a name within a file's name
POINTS = "X-Points"  # how many the file has

blueprint = Blueprint("export", __name__, url_prefix=f"/streaming/{ID}", description="Streams")

FORMAT = query("format", {**one_of(*KINDS), "default": "csv"}, "The kind of file")
EPOCH = query("epoch", TEXT, "An epoch, or `all`; left out, the present run")
MOMENT = {**TEXT, "format": "date-time"}
SINCE = query("from", MOMENT, "Only points received then or later, such as 2026-05-04T06:00:00Z")
UNTIL = query("to", MOMENT, "Only points received before then")
READINGS = query("features", {"type": "integer", "enum": [0, 1], "default": 0}, "1 adds readings")


def register(server: Flask, settings: Settings) -> None:
    server.extensions[EXTENSION] = Slots(settings.exports, max(1, settings.threads // 2))


def slots() -> Slots:
    return cast(Slots, current_app.extensions[EXTENSION])


@blueprint.route("/export", methods=["GET"])
@document(
    TEXT,
    404,
    409,
    410,
    query=[FORMAT, STREAM, EPOCH, SINCE, UNTIL, READINGS],
    example=examples.EXPORT,
    kinds=tuple(KINDS.values()),
)
@signed_in
def export(baseline_id: int) -> Response:
    """The points of a stream as a file: CSV, Parquet or JSON Lines.

    Which points it has is fixed when it begins. A CSV with readings can be posted back as it is.
    """
    kind = request.args.get("format") or "csv"
    if kind not in KINDS:
        raise InvalidRequest(f"format must be one of {', '.join(KINDS)}.")
    asked = wanted(request.args)
    sessions = services().sessions
    with contextlib.ExitStack() as held:
        held.enter_context(slots().taken(who().id))
        selection = exporting.select(
            sessions, who(), baseline_id, stream_name(), asked, columns=kind != "jsonl"
        )
        pieces = exporting.written(sessions, selection, kind)
        held.callback(pieces.close)
        first = next(pieces, b"")  # what fails before it is an error like any other
        kept = held.pop_all()
    response = Response(itertools.chain([first], pieces), mimetype=KINDS[kind])
    response.call_on_close(kept.close)
    response.headers["Content-Disposition"] = f'attachment; filename="{file_name(selection, kind)}"'
    response.headers[POINTS] = str(selection.points)
    return response


def wanted(query: Mapping[str, str]) -> Wanted:
    """What a query asks for; raises InvalidRequest."""
    since, until = moment("from", query), moment("to", query)
    return Wanted(_epoch(query), since, until, switch("features", query, default=False))


def _epoch(query: Mapping[str, str]) -> int | Literal["all"] | None:
    text = query.get("epoch") or ""
    if text in {"", ALL}:
        return ALL if text else None
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise InvalidRequest("epoch must be the number of an epoch, or `all`.")
    return int(text)


def file_name(selection: Selection, kind: str) -> str:
    """A name that says what is in the file, of signs that every system takes."""
    name = plain(selection.name) or f"baseline-{selection.baseline_id}"
    epochs = sorted({part.epoch for part in selection.parts})
    words = ["dinsight", name, plain(selection.stream) or "stream"]
    if epochs:
        words.append(f"epoch-{'-'.join(map(str, sorted({epochs[0], epochs[-1]})))}")
    for word, at in (("from", selection.wanted.since), ("to", selection.wanted.until)):
        words += [f"{word}-{at.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}"] if at else []
    words += ["readings"] if selection.features else []
    return f"{'_'.join(words)}.{kind}"


def plain(text: str) -> str:
    """Text of letters, digits, points and dashes alone.

    >>> plain('Größe / "Pump 7"')
    'Gr-e-Pump-7'
    """
    return PLAIN.sub("-", text).strip(".-")[:LONGEST]


class Slots:
    """Exports under way in this process, each of which holds a thread: so many of one user, and
    so many of all.
    """

    def __init__(self, each: int, together: int) -> None:
        self._each, self._together = each, together
        self._held: Counter[int] = Counter()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def taken(self, user_id: int) -> Iterator[None]:
        """Hold a place; raises TooManyExports."""
        with self._lock:
            if self._held[user_id] >= self._each:
                raise _too_many(f"You have {self._each:,} exports under way already")
            if self._held.total() >= self._together:
                raise _too_many(f"{self._together:,} exports are under way already")
            self._held[user_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._held[user_id] -= 1
                self._held += Counter()  # forget those who have none

    def __len__(self) -> int:
        return self._held.total()


def _too_many(what: str) -> TooManyExports:
    return TooManyExports(
        f"{what}: wait until one has ended, or end it.", retry_after=RETRY_SECONDS
    )
