"""What is noted of every request: one line in the log, and its time for the metrics.

It stands around the whole application, since only there the end of a streamed answer is seen, and
how many bytes went out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from flask import Flask, Response, g, request

from dinsight import logs

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

RECORD = "dinsight.record"
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
UNMATCHED = "unmatched"
QUIET = {"/healthz", "/readyz", "/metrics"}  # asked for every few seconds, by programs

log = logging.getLogger(logs.ACCESS)


@dataclass
class Record:
    """A request under way; what its answer makes known is filled in as it goes."""

    method: str
    path: str
    began: float = field(default_factory=time.perf_counter)
    route: str = UNMATCHED
    endpoint: str | None = None
    status: int = 500
    error: str | None = None
    sent: int = 0
    request_id: str = ""
    user_id: int | None = None


Observer = Callable[[Record, float], None]


class Access:
    """A WSGI application that runs `app` and tells how each request ended, once, when it did."""

    def __init__(self, app: WSGIApplication, begun: Callable[[], None], ended: Observer) -> None:
        self._app = app
        self._begun = begun
        self._ended = ended

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        path = environ.get("PATH_INFO", "").encode("latin-1", "replace")
        record = environ[RECORD] = Record(
            method if method in METHODS else "other", quote(path, safe="/:@+,;=~")[:500]
        )
        logs.request_id.set("")
        self._begun()
        try:
            answer = self._app(environ, start_response)
        except BaseException:
            self.finish(record)
            raise
        return _Answer(answer, record, self.finish)

    def finish(self, record: Record) -> None:
        seconds = time.perf_counter() - record.began
        self._ended(record, seconds)
        level = logging.DEBUG if record.path in QUIET else logging.INFO
        if log.isEnabledFor(level):
            log.log(
                level,
                "%s %s %s %.1f ms %s B user %s",
                *(record.method, record.path, record.status, 1000 * seconds, record.sent),
                "-" if record.user_id is None else record.user_id,
                extra={"request_id": record.request_id, "fields": _fields(record, seconds)},
            )
        logs.request_id.set("")


class _Answer:
    """The pieces of an answer, counted; finished when they end, fail, or are given up."""

    def __init__(
        self, pieces: Iterable[bytes], record: Record, finish: Callable[[Record], None]
    ) -> None:
        self._pieces = pieces
        self._next = iter(pieces)
        self._record = record
        self._finish: Callable[[Record], None] | None = finish

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            piece = next(self._next)
        except StopIteration:
            self._end()
            raise
        except Exception as error:
            # The status is out already: all that is left is to say so, and to break the answer off.
            log.error("%s %s broke off", self._record.method, self._record.path, exc_info=error)
            error.__dict__["logged"] = True
            self._end()
            raise
        self._record.sent += len(piece)
        return piece

    def close(self) -> None:
        try:
            getattr(self._pieces, "close", lambda: None)()
        finally:
            self._end()

    def _end(self) -> None:
        finish, self._finish = self._finish, None
        if finish is not None:
            finish(self._record)


def register(server: Flask, begun: Callable[[], None], ended: Observer) -> None:
    """Put it around the server; to be called when everything else is around it already."""
    server.after_request(_note)
    server.wsgi_app = Access(server.wsgi_app, begun, ended)  # type: ignore[method-assign]


def record_of(environ: WSGIEnvironment) -> Record:
    return cast(Record, environ[RECORD])


def _note(response: Response) -> Response:
    record = record_of(request.environ)
    record.route = request.url_rule.rule if request.url_rule else UNMATCHED
    record.endpoint = request.endpoint
    record.status = response.status_code
    record.error = g.get("error_code")
    record.request_id = g.get("request_id", "")
    record.user_id = g.who.id if "who" in g and not g.who.sight else None
    return response


def _fields(record: Record, seconds: float) -> dict[str, Any]:
    return {
        "method": record.method,
        "path": record.path,
        "route": record.route,
        "status": record.status,
        "seconds": round(seconds, 6),
        "bytes": record.sent,
        "user_id": record.user_id,
    }


def hide_repeated(record: logging.LogRecord) -> bool:
    """A filter for the outer server's log: what broke off is logged with its request already."""
    error = record.exc_info[1] if record.exc_info else None
    return not getattr(error, "logged", False)
