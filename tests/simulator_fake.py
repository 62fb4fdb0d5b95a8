"""A small real HTTP server that keeps the contract of the API, with failures on demand.

The `test_simulator_*` modules send to it; `test_simulator_fake` holds it to the contract.
"""

from __future__ import annotations

import csv
import io
import json
import socket
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from werkzeug.formparser import parse_form_data

EMAIL, PASSWORD, API_KEY = "ann@example.org", "correct horse", "dk_very-secret"
PREFIX = "/api/v1"


@dataclass
class Fault:
    """What happens to one request: another status, a cut connection, a late answer."""

    status: int | None = None
    code: str = ""
    message: str = "scripted"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False  # the connection ends without an answer
    stored: bool = False  # the request has been carried out all the same
    seconds: float = 0.0
    before: Callable[[FakeServer], object] = lambda server: None


@dataclass
class FakeStream:
    """The points of a stream: rows as dicts of texts, in the order they were stored."""

    epoch: int = 1
    run_epoch: int = 1
    carried: int = 0
    rows: list[dict[str, str]] = field(default_factory=list)
    archive: list[list[dict[str, str]]] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    keys: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    state: str = "not_started"
    config: dict[str, Any] = field(default_factory=dict)


@dataclass
class FakeBaseline:
    name: str
    features: list[str]
    rows: int = 0
    header: list[str] = field(default_factory=list)
    to_go: int = 0  # status requests until the fit is done
    failure: str = ""


class FakeServer:
    """Start with `with FakeServer() as server`. `faults["POST monitor"]` is a queue of faults."""

    def __init__(self) -> None:
        self.baselines: dict[int, FakeBaseline] = {}
        self.streams: dict[str, FakeStream] = defaultdict(FakeStream)
        self.faults: dict[str, deque[Fault]] = defaultdict(deque)
        self.requests: list[str] = []
        self.seen_tokens: set[str] = set()
        self.times: dict[str, list[float]] = defaultdict(list)
        self.tokens: set[str] = set()
        self.refresh_tokens: set[str] = set()
        self.issued = 0
        self.on_batch: Callable[[FakeStream], object] = lambda stream: None
        self.on_status: Callable[[FakeStream], object] = lambda stream: None
        self.lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._http.server_port}{PREFIX}"

    def __enter__(self) -> FakeServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def stream(self) -> FakeStream:
        return self.streams["default"]

    def count(self, request: str) -> int:
        return self.requests.count(request)

    def token(self) -> str:
        self.issued += 1
        self.tokens.add(made := f"access-{self.issued}")
        return made

    # --- one method a route: (status, data) ---

    def post_auth(self, rest: list[str], asked: Asked) -> tuple[int, Any]:
        body = asked.json()
        if rest == ["refresh"]:
            if body["refresh_token"] not in self.refresh_tokens:
                return 401, "the refresh token is dead"
            return 200, {"access_token": self.token(), "expires_in": 1}
        if (body["email"], body["password"]) != (EMAIL, PASSWORD):
            return 401, "wrong e-mail or password"
        self.refresh_tokens.add(refresh := f"refresh-{self.issued}")
        return 200, {"access_token": self.token(), "refresh_token": refresh, "expires_in": 1}

    def get_dinsight(self, rest: list[str], asked: Asked) -> tuple[int, Any]:
        if rest:
            known = self.baselines.get(int(rest[0]))
            if known is None:
                return 404, "no such baseline"
            return 200, {"name": known.name, "feature_names": known.features}
        listed = [{"id": number, "name": b.name} for number, b in self.baselines.items()]
        return 200, {"ids": list(self.baselines), "baselines": listed}

    def get_analyze(self, rest: list[str], asked: Asked) -> tuple[int, Any]:
        known = self.baselines.get(int(rest[0]))
        if known is None:
            return 404, "no such baseline"
        known.to_go -= 1
        status = "processing" if known.to_go >= 0 else "failed" if known.failure else "completed"
        words = {"status_message": "laying out the map", "error_message": known.failure}
        return 200, {"status": status, "progress": 40, **words}

    def post_analyze(self, rest: list[str], asked: Asked) -> tuple[int, Any]:
        fields, name, content = asked.form("files")
        header, *rows = csv.reader(io.StringIO(content))
        features = [n for n in header if n.startswith(("f_", "freq_"))] or header
        number = max(self.baselines, default=0) + 1
        self.baselines[number] = FakeBaseline(fields["name"], features, len(rows), header, to_go=2)
        return 200, {"id": number, "message": name}

    def post_monitor(self, rest: list[str], asked: Asked) -> tuple[int, Any]:
        fields, name, content = asked.form("file")
        stream = self.streams[fields["stream"]]
        key = asked.headers["Idempotency-Key"]
        if key in stream.keys:
            known, answer = stream.keys[key]
            return (200, answer) if known == content else (422, "the key had other content")
        if int(fields["epoch"]) != stream.epoch:
            return 409, ("EPOCH_CHANGED", "the stream was reset")
        rows = list(csv.DictReader(io.StringIO(content)))
        stream.rows += rows
        stream.batches.append(len(rows))
        if stream.state == "not_started":
            stream.state = "streaming"
        self.on_batch(stream)
        last = len(stream.rows)
        answer = {
            "points_processed": len(rows),
            "first_seq": last - len(rows) + 1,
            "last_seq": last,
            "epoch": stream.epoch,
            "control": {"paused": "hold", "stopped": "stop"}.get(stream.state, "run"),
            "anomalies": 0,
            "level": "healthy",
            "score": 0.5,
            "name": name,
        }
        stream.keys[key] = (content, answer)
        return 200, answer

    def get_streaming(self, rest: list[str], asked: Asked) -> tuple[int, Any]:
        stream = self.streams[asked.query["stream"]]
        self.on_status(stream)
        return 200, {
            "status": stream.state,
            "epoch": stream.epoch,
            "run_epoch": stream.run_epoch,
            "carried_points": stream.carried,
            "streamed_points": len(stream.rows),
            "last_seq": len(stream.rows),
            "total_points": stream.config.get("total_points"),
        }

    def delete_streaming(self, rest: list[str], asked: Asked) -> tuple[int, Any]:
        return 200, {"epoch": reset(self.streams[asked.query["stream"]])}

    def put_streaming(self, rest: list[str], asked: Asked) -> tuple[int, Any]:
        body = asked.json()
        self.streams[body["stream"]].config = body
        return 200, body

    def post_streaming(self, rest: list[str], asked: Asked) -> tuple[int, Any]:
        body = asked.json()
        words = {"start": "streaming", "complete": "completed"}
        self.streams[body["stream"]].state = words[body["action"]]
        return 200, {"status": words[body["action"]]}


def reset(stream: FakeStream) -> int:
    """What DELETE reset does; also "somebody else" in tests."""
    _archive(stream)
    stream.state, stream.run_epoch, stream.carried = "not_started", stream.epoch, 0
    return stream.epoch


def refit(stream: FakeStream) -> int:
    """What the end of a refit does to a stream: a new epoch of the same run."""
    stream.carried += len(stream.rows)
    _archive(stream)
    return stream.epoch


def _archive(stream: FakeStream) -> None:
    stream.archive.append(stream.rows)
    stream.rows, stream.batches = [], []
    stream.epoch += 1


@dataclass
class Asked:
    """A request as the routes see it."""

    query: dict[str, str]
    headers: Any
    body: bytes

    def json(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.body)
        return body

    def form(self, name: str) -> tuple[dict[str, str], str, str]:
        environ = {
            "wsgi.input": io.BytesIO(self.body),
            "CONTENT_TYPE": self.headers["Content-Type"],
            "CONTENT_LENGTH": str(len(self.body)),
            "REQUEST_METHOD": "POST",
        }
        _, fields, files = parse_form_data(environ)
        file = files[name]
        content = file.stream.read().decode()
        file.close()
        return fields.to_dict(), str(file.filename), content


def _handler_for(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None: ...

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            if len(body) < length:
                return
            parts = urlsplit(self.path)
            method, first, *rest = self.command, *parts.path.removeprefix(PREFIX + "/").split("/")
            name = f"{method} {first}"
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            with server.lock:
                server.requests.append(name)
                server.times[name].append(time.monotonic())
                fault = server.faults[name].popleft() if server.faults[name] else Fault()
                fault.before(server)
            time.sleep(fault.seconds)
            if fault.stored or (fault.status is None and not fault.cut):
                with server.lock:
                    status, data = self._answer(name, rest, Asked(query, self.headers, body))
            if fault.cut:
                self.close_connection = True
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
            elif fault.status is not None:
                self._reply(fault.status, (fault.code, fault.message), fault.headers)
            else:
                self._reply(status, data, {})

        def _answer(self, name: str, rest: list[str], asked: Asked) -> tuple[int, Any]:
            method, first = name.split()
            if first != "auth":
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                server.seen_tokens.add(token)
                if token not in server.tokens:
                    return 401, ("UNAUTHORIZED", "the token has expired")
            route = getattr(server, f"{method.lower()}_{first}", None)
            if route is None:
                return 404, "unknown path"
            answer: tuple[int, Any] = route(rest, asked)
            return answer

        def _reply(self, status: int, data: Any, headers: dict[str, str]) -> None:
            if status < 400:
                payload = {"success": True, "data": data}
            else:
                code, message = data if isinstance(data, tuple) else ("", data)
                error = {"code": code, "message": message, "details": {}}
                payload = {"success": False, "message": message, "error": error}
            content = json.dumps(payload).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _serve

    return Handler
