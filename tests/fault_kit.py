"""What the fault tests share: a relay that cuts connections, and a server that is started again.

The relay stands in front of the HTTP server or of PostgreSQL, whichever it is given.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import requests
from werkzeug.serving import make_server

from dinsight import accounts, fitting, maps
from dinsight.database import connect as connect_database
from dinsight.models import Baseline
from dinsight.postgres import EmbeddedPostgres
from dinsight.settings import Settings
from tests.factories import BASELINE, FEATURES, PASSWORD
from tests.postgres_kit import connect, eventually, postmaster, running
from tests.test_processes import Server

EMAIL = "sender@example.com"
Address = tuple[str, int] | str  # TCP, or the path of a Unix socket
Side = Literal["request", "answer"]
PIECE = 65_536


@dataclass
class Cut:
    """The next request with `trigger` in it loses its connection.

    Of the request (from the trigger on), or of the answer to it, `passed` bytes still get through.
    """

    trigger: bytes
    side: Side
    passed: int = 0
    done: threading.Event = field(default_factory=threading.Event)


class Relay:
    """Passes connections on to `target`, and cuts them as told.

    While it is closed it is not there: who connects is refused. `statuses` counts the HTTP answers
    that came by.
    """

    def __init__(self, target: Address, listen: Address = ("127.0.0.1", 0)) -> None:
        self.target = target
        self.address = listen
        self.statuses: Counter[str] = Counter()
        self._cuts: deque[Cut] = deque()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._wires: set[_Wire] = set()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Relay:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), "a thread of the relay is left"

    def cut(self, trigger: bytes, side: Side, passed: int = 0) -> Cut:
        """Plan a cut; its `done` is set once it has happened."""
        planned = Cut(trigger, side, passed)
        with self._lock:
            self._cuts.append(planned)
        return planned

    def open(self) -> None:
        listener = _socket(self.address)
        if not isinstance(self.address, str):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(self.address)
        listener.listen(64)
        if not isinstance(self.address, str):
            self.address = listener.getsockname()
        self._listener = listener
        self._begin(self._accept, listener)

    def close(self) -> None:
        """Refuse new connections, and cut those that there are."""
        if self._listener is None:
            return
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._listener = None
        if isinstance(self.address, str):
            Path(self.address).unlink(missing_ok=True)
        with self._lock:
            wires = list(self._wires)
        for wire in wires:
            wire.sever()

    def _begin(self, target: Callable[..., None], *words: object) -> None:
        thread = threading.Thread(target=target, args=words, daemon=True)
        thread.start()
        self._threads = [*(each for each in self._threads if each.is_alive()), thread]

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return  # closed
            server = _socket(self.target)
            try:
                server.connect(self.target)
            except OSError:
                client.close()
                server.close()
                continue
            wire = _Wire(self, client, server)
            with self._lock:
                self._wires.add(wire)
            self._begin(wire.carry, "request")
            self._begin(wire.carry, "answer")

    def take(self, piece: bytes) -> tuple[Cut, int] | None:
        """The cut that this piece of a request sets off, and where in it."""
        with self._lock:
            for cut in self._cuts:
                if (place := piece.find(cut.trigger)) >= 0:
                    self._cuts.remove(cut)
                    return cut, place
        return None

    def forget(self, wire: _Wire) -> None:
        with self._lock:
            self._wires.discard(wire)


class _Wire:
    """One connection through the relay."""

    def __init__(self, relay: Relay, client: socket.socket, server: socket.socket) -> None:
        self._relay = relay
        self._client = client
        self._server = server
        self._cut: Cut | None = None
        self._left = 0
        for end in (client, server):
            if end.family != socket.AF_UNIX:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def carry(self, side: Side) -> None:
        """Pass on what comes from one end, until an end or a cut ends the connection."""
        ends = (self._client, self._server)
        source, to = ends if side == "request" else ends[::-1]
        try:
            while piece := source.recv(PIECE):
                if side == "request":
                    self._begin_cut(piece)
                elif piece.startswith(b"HTTP/1.1 "):
                    self._relay.statuses[piece[9:12].decode()] += 1
                to.sendall(self._allowed(piece, side))
                if self._cut is not None and self._cut.done.is_set():
                    return
        except OSError:
            return  # an end has gone, or the relay was closed
        finally:
            self.sever()

    def _begin_cut(self, piece: bytes) -> None:
        if self._cut is None and (found := self._relay.take(piece)):
            cut, place = found
            self._left = cut.passed + (place if cut.side == "request" else 0)
            self._cut = cut

    def _allowed(self, piece: bytes, side: Side) -> bytes:
        """What of a piece still gets through."""
        if self._cut is None or self._cut.side != side:
            return piece
        allowed = piece[: max(0, self._left)]
        self._left -= len(piece)
        if self._left <= 0:
            self._cut.done.set()
        return allowed

    def sever(self) -> None:
        self._relay.forget(self)
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def _socket(address: Address) -> socket.socket:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    return socket.socket(family, socket.SOCK_STREAM)


@contextmanager
def served(application: Any) -> Iterator[str]:
    """A WSGI application behind a small server of its own; gives its address."""
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class System:
    """A server process on a data folder of its own, with a user and a fitted baseline in it.

    `restart` is what a supervisor does. Senders go through `relay`, which stays.
    """

    def __init__(self, home: Path, made: fitting.Made) -> None:
        self.home = home
        self.postgres = home / "postgres"
        self.servers: list[Server] = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.relay = Relay(("127.0.0.1", self.port))
        self.baseline_id = self._furnish(made)

    def __enter__(self) -> System:
        try:
            self.relay.open()
            self.restart()
            assert eventually(self.ready, 60), self.servers[-1].text
            self.headers = {"Authorization": f"Bearer {self._sign_in()}"}
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            if server.process.poll() is None:
                server.end(signal.SIGKILL)
        if running(self.postgres):
            os.kill(postmaster(self.postgres), signal.SIGQUIT)
        self.relay.__exit__()
        assert eventually(lambda: not running(self.postgres)), "PostgreSQL is left running"

    @property
    def url(self) -> str:
        """Where senders send to: the API, by way of the relay."""
        return "http://{}:{}/api/v1".format(*self.relay.address)

    @property
    def direct(self) -> str:
        """The server, without the relay in between."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def monitor(self) -> str:
        return f"/monitor/{self.baseline_id}"

    def restart(self) -> None:
        self.servers.append(Server(self.home, DINSIGHT_PORT=str(self.port)))

    def end(self, number: int) -> int:
        """Send a signal to the server and its children; its exit status."""
        return self.servers[-1].end(number)

    def ready(self) -> bool:
        try:
            return requests.get(f"{self.direct}/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def status(self, stream: str) -> dict[str, Any]:
        """The status of a stream; raises while the server is away."""
        path = f"{self.direct}/api/v1/streaming/{self.baseline_id}/status"
        answer = requests.get(path, params={"stream": stream}, headers=self.headers, timeout=5)
        answer.raise_for_status()
        data: dict[str, Any] = answer.json()["data"]
        return data

    def stored(self, stream: str) -> list[Stored]:
        """Every point of the present epoch of a stream, as PostgreSQL has it, in order."""
        question = (
            "SELECT p.seq, p.metadata->>'note', p.features FROM points p"
            " JOIN streams s ON s.id = p.stream_id AND s.epoch = p.epoch"
            " WHERE s.baseline_id = %s AND s.name = %s ORDER BY p.seq"
        )
        with (
            EmbeddedPostgres(self.postgres) as url,
            closing(connect(url)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(question, (self.baseline_id, stream))
            return [Stored(seq, note, bytes(row)) for seq, note, row in cursor.fetchall()]

    def _furnish(self, made: fitting.Made) -> int:
        """Make the user and the baseline, without the time that a server and a fit take."""
        database = connect_database(Settings(home=self.home))
        try:
            with database.sessions.begin() as session:
                owner = accounts.register(session, EMAIL, PASSWORD)
                baseline = Baseline(
                    owner_id=owner.id, name="Pump 7", status="completed", layout=maps.DEFAULT
                )
                session.add(baseline)
                session.flush()
                rows = fitting.Rows(FEATURES, BASELINE, [{}] * len(BASELINE))
                fitting.store(session, baseline.id, rows, made)
                baseline.progress = 100
                return baseline.id
        finally:
            database.close()

    def _sign_in(self) -> str:
        who = {"email": EMAIL, "password": PASSWORD}
        answer = requests.post(f"{self.direct}/api/v1/auth/login", json=who, timeout=10)
        return str(answer.json()["data"]["access_token"])


@dataclass(frozen=True)
class Stored:
    """A point as it is stored: its metadata `note`, and its readings as float32."""

    seq: int
    note: str
    features: bytes


def post(
    base: str, path: str, content: bytes, headers: dict[str, str], **form: str
) -> requests.Response:
    """Send a batch once."""
    files = {"file": ("batch.csv", content)}
    return requests.post(base + path, files=files, data=form, headers=headers, timeout=20)
