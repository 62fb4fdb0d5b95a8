"""What the tests of notices share: alerts to tell of, and sinks that take messages."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from dinsight.models import Alert, Baseline, Channel, Notice, Stream
from dinsight.notices.addresses import parse_networks
from dinsight.notices.notifier import Doors, Pace
from dinsight.services import Services

HERE = "127.0.0.1"
LOCAL = Doors("https://dinsight.example.com", parse_networks("127.0.0.0/8"))
FAST = Pace(
    look_seconds=0.1,
    attempt_seconds=2.0,
    lease=dt.timedelta(seconds=4),
    first_wait=0.1,
    longest_wait=0.5,
)


@dataclass(frozen=True)
class Received:
    """A request that a sink was sent."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.body)
        return said

    @property
    def id(self) -> str:
        return self.headers["X-Dinsight-Delivery"]


@dataclass
class Answer:
    """How a sink answers: after so many seconds, with this status and these headers."""

    status: int = 204
    seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    drip: bool = False  # a header line now and then, and never an end


class Sink:
    """A real HTTP server that keeps what it is sent; `answers` says how it answers by path."""

    def __init__(self, port: int = 0) -> None:
        self.received: list[Received] = []
        self.answers: dict[str, list[Answer]] = {}  # the last one stays
        self._lock = threading.Lock()
        self._closing = threading.Event()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:  # its sender was killed: that is no request
                    self.close_connection = True
                    return
                sink._take(Received(self.path, dict(self.headers), body, time.monotonic()))
                sink._answer(self, sink._next(self.path))

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                """Nothing: the tests speak for it."""

        self.server = ThreadingHTTPServer((HERE, port), Handler)
        self.server.daemon_threads = True
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def url(self, path: str = "/hook") -> str:
        return f"http://{HERE}:{self.port}{path}"

    def at(self, path: str = "/hook") -> list[Received]:
        with self._lock:
            return [each for each in self.received if each.path == path]

    def close(self) -> None:
        self._closing.set()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def _take(self, request: Received) -> None:
        with self._lock:
            self.received.append(request)

    def _next(self, path: str) -> Answer:
        with self._lock:
            answers = self.answers.get(path, [Answer()])
            return answers.pop(0) if len(answers) > 1 else answers[0]

    def _answer(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        self._closing.wait(answer.seconds)
        try:
            handler.send_response(answer.status)
            for name, value in answer.headers.items():
                handler.send_header(name, value)
            handler.flush_headers()
            while answer.drip and not self._closing.wait(0.2):
                handler.wfile.write(b"X-Slow: yes\r\n")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        except OSError:
            handler.close_connection = True  # the sender has gone


@contextmanager
def sink(port: int = 0) -> Iterator[Sink]:
    made = Sink(port)
    try:
        yield made
    finally:
        made.close()


def make_stream(session: Session, baseline_id: int, name: str = "night shift") -> Stream:
    map_id = session.get_one(Baseline, baseline_id).map_id
    stream = Stream(baseline_id=baseline_id, name=name, map_id=map_id)
    session.add(stream)
    session.flush()
    return stream


def raise_alert(session: Session, stream: Stream, now: dt.datetime, **more: Any) -> Alert:
    """An alert as a rule raises it; what it says is in `more`."""
    alert = Alert(
        **{
            "baseline_id": stream.baseline_id,
            "stream_id": stream.id,
            "epoch": 1,
            "rule": {"name": "Alarm level"},
            "alert_type": "anomaly",
            "title": "Score over its limit",
            "message": "3 of the last 5 rows were in alarm.",
            "severity": "high",
            "score": 1.5,
            "peak": 2.25,
            "opened_at": now,
            "opened_seq": 41,
            **more,
        }
    )
    session.add(alert)
    session.flush()
    return alert


def add_channel(services: Services, user_id: int, target: str, **more: Any) -> int:
    with services.sessions.begin() as session:
        values = {"kind": "webhook", "secret": "dw_of the tests", **more}
        channel = Channel(user_id=user_id, target=target, **values)
        session.add(channel)
        session.flush()
        return channel.id


def notices(services: Services) -> list[Notice]:
    with services.sessions() as session:
        return list(session.scalars(select(Notice).order_by(Notice.created_at, Notice.id)))


def states(services: Services) -> dict[str, int]:
    """How many notices are waiting, delivered and failed."""
    with services.sessions() as session:
        count = select(
            func.count(),
            func.count(Notice.delivered_at),
            func.count(Notice.failed_at),
        ).select_from(Notice)
        total, delivered, failed = session.execute(count).one()
    return {"waiting": total - delivered - failed, "delivered": delivered, "failed": failed}


def age(services: Services, by: dt.timedelta) -> None:
    """Let all notices be so much older."""
    with services.sessions.begin() as session:
        session.execute(
            text(
                "UPDATE notices SET created_at = created_at - :by,"
                " delivered_at = delivered_at - :by, failed_at = failed_at - :by"
            ),
            {"by": by},
        )
