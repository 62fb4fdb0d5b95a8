"""A server to measure: the application, and beside it in the same process what it is held against.

`python -m benchmarks.door FOLDER` serves on a free port, prints it, and ends with its input.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import json
import os
import signal
import struct
import sys
import threading
import time
from pathlib import Path
from typing import Any

import jwt
import numpy as np
import orjson
import psycopg2
from flask import Flask, Response, request
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from api import serving
from api.answers import success
from app import create_app, open_services
from dinsight import feed, mapstore, readings, streams
from dinsight.accounts import Identity
from dinsight.models import Baseline, FittedMap, User
from dinsight.readings.numbers import fast_rows
from dinsight.services import Services
from dinsight.settings import Settings

METADATA = 6  # columns before the features
FEATURES = 1_024
LIMITS = readings.Limits(rows=1_000_000, columns=20_000)


class Floor:
    """A batch stored with nothing but what storing takes, by hand.

    The body is cut out of the form unparsed, the sign-in looked up, the rows parsed by the fastest
    parser and placed, and in one transaction the stream's row is locked and moved on, the key kept
    and the rows copied in. No validation, no levels, no errors with line and column.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._connections = threading.local()

    def connection(self) -> Any:
        """This thread's own."""
        if not hasattr(self._connections, "it"):
            url = self._services.database.url.replace("+psycopg2", "")
            self._connections.it = psycopg2.connect(url)
        return self._connections.it

    def post(self, baseline_id: int) -> Response:
        body = request.get_data(cache=False)
        content = body[body.index(b"\r\n\r\n") + 4 : body.rindex(b"\r\n--")]
        token = request.headers["Authorization"].removeprefix("Bearer ")
        claims = jwt.decode(token, self._services.secret_key, ["HS256"])
        lines = content.rstrip(b"\n").split(b"\n")[1:]
        parted = [line.split(b",", METADATA) for line in lines]
        values = fast_rows([cells[METADATA] for cells in parted], FEATURES)
        if values is None:
            raise ValueError("these are no plain rows")
        connection = self.connection()
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT u.id FROM users u WHERE u.id = %s AND u.disabled_at IS NULL AND NOT EXISTS "
                "(SELECT 1 FROM revoked_sessions r WHERE r.sid = %s)",
                (claims["sub"], claims["sid"]),
            )
            (user,) = cursor.fetchone()
            cursor.execute(
                "UPDATE streams s SET next_seq = next_seq + %s, last_point_at = now() "
                "FROM baselines b, maps m WHERE b.id = s.baseline_id AND m.id = s.map_id "
                "AND b.id = %s AND b.owner_id = %s AND s.name = 'default' "
                "RETURNING s.id, s.epoch, s.next_seq, m.sha256",
                (len(values), baseline_id, user),
            )
            stream, epoch, following, sha256 = cursor.fetchone()
            with self._services.sessions() as session:
                place = mapstore.load_map(session, sha256).place(values)
            cursor.execute(
                "INSERT INTO batches (stream_id, epoch, key, sha256, first_seq, last_seq, response)"
                " VALUES (%s, %s, %s, %s, %s, %s, '{}')",
                (
                    *(stream, epoch, request.headers["Idempotency-Key"]),
                    *(hashlib.sha256(content).digest(), following - len(values), following - 1),
                ),
            )
            cursor.copy_expert(
                "COPY points (stream_id, epoch, seq, received_at, source, x, y, score, level, "
                "metadata, features) FROM STDIN (FORMAT binary)",
                io.BytesIO(
                    _copied((stream, epoch, following - len(values)), parted, values, place)
                ),
            )
        return Response(b'{"success":true}', mimetype="application/json")


POINT = struct.Struct(">h ii ii iq iq i1s if if if ih i")  # each field with its length before it


def _copied(
    start: tuple[int, int, int], parted: list[list[bytes]], values: Any, place: Any
) -> bytes:
    stream, epoch, first = start
    parts = [b"PGCOPY\n\xff\r\n\0" + bytes(8)]
    for at, (cells, row) in enumerate(zip(parted, values, strict=True)):
        metadata = b"\x01" + orjson.dumps([cell.decode() for cell in cells[:METADATA]])
        features = row.astype("<f4", copy=False).tobytes()
        fields = (4, stream, 4, epoch, 8, first + at, 8, 0, 1, b"b")
        placed = (4, place.x[at], 4, place.y[at], 4, place.score[at], 2, 0, len(metadata))
        parts += (POINT.pack(11, *fields, *placed), metadata)
        parts += (struct.pack(">i", len(features)), features)
    return b"".join([*parts, struct.pack(">h", -1)])


class Naive:
    """The usual way: pandas reads the file, and each row goes in as an array of doubles."""

    TABLE = (
        "CREATE TABLE IF NOT EXISTS bench_naive (id bigserial PRIMARY KEY, stream text, x real, "
        "y real, score real, metadata jsonb, features float8[])"
    )

    def __init__(self, services: Services) -> None:
        self._services = services
        with services.database.engine.begin() as connection:
            connection.exec_driver_sql(self.TABLE)

    def post(self, baseline_id: int) -> Response:
        import pandas

        frame = pandas.read_csv(request.files["file"].stream)
        values = frame.iloc[:, METADATA:].to_numpy(np.float64)
        with self._services.sessions.begin() as session:
            of_baseline = select(FittedMap.sha256).join(Baseline, Baseline.map_id == FittedMap.id)
            sha256 = session.scalars(of_baseline.where(Baseline.id == baseline_id)).one()
            place = mapstore.load_map(session, sha256).place(values)
            driver: Any = session.connection().connection.driver_connection
            with driver.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO bench_naive (stream, x, y, score, metadata, features) "
                    "VALUES (%s, %s, %s, %s, %s, %s)",
                    [
                        (
                            *("default", float(place.x[at]), float(place.y[at])),
                            float(place.score[at]),
                            json.dumps({k: str(v) for k, v in row.items()}),
                            values[at].tolist(),
                        )
                        for at, row in enumerate(frame.iloc[:, :METADATA].to_dict("records"))
                    ],
                )
        return Response(b'{"success":true}', mimetype="application/json")


def read_only() -> Response:
    """A handler that only reads the body."""
    return Response(str(len(request.get_data(cache=False))))


def parse_only() -> Response:
    """A handler that reads and parses it, as the application does."""
    content = request.files["file"].read()
    rows = readings.parse(content, limits=LIMITS, expected=_names(content[: content.index(b"\n")]))
    return Response(str(len(rows)))


@functools.cache
def _names(header: bytes) -> tuple[str, ...]:
    """The baseline's features, which the application knows without reading a header."""
    return tuple(header.decode().strip().split(",")[METADATA:])


FILL = """
INSERT INTO points (stream_id, epoch, seq, received_at, source, x, y, score, level, metadata,
                    features)
SELECT :stream, 1, number, now(), '', random(), random(), random(), 0, '{}', NULL
FROM generate_series(1, :points) AS number
"""


# With six columns of metadata, and with readings: the same in every row, and random in themselves.
FILL_WHOLE = """
INSERT INTO points (stream_id, epoch, seq, received_at, source, x, y, score, level, metadata,
                    features)
SELECT :stream, 1, number, now() + number * interval '1 second', 'night.csv', random(), random(),
       random(), 0, jsonb_build_object('meta_0', number::text, 'meta_1', 'A',
       'meta_2', now()::text, 'meta_3', 'unit 7', 'meta_4', 'ok', 'meta_5', number || '.5'),
       :readings
FROM generate_series(1, :points) AS number
"""
# A point a second up to now: a warning, an alarm, and two hours without a point in the middle.
RECORD = """
INSERT INTO points (stream_id, epoch, seq, received_at, source, x, y, score, level, metadata,
                    features)
SELECT :stream, 1, number,
       now() + ((number - :points - CASE WHEN number < :points / 2 THEN 7200 ELSE 0 END)
                * interval '1 second'),
       '', random() + 3.0 * number / :points, random(),
       CASE level WHEN 2 THEN 1.2 ELSE 0.4 END + random() * 0.4, level, '{}', NULL
FROM (SELECT number, CASE WHEN 100 * number / :points IN (40, 41, 42) THEN 1
                          WHEN 100 * number / :points IN (80, 81) THEN 2 ELSE 0 END AS level
      FROM generate_series(1, :points) AS number) AS numbers
"""


class Reads:
    """What reads cost, and what points take."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def size(self) -> Response:
        """Bytes of the table of points with its index and TOAST."""
        with self._services.sessions() as session:
            found = session.scalar(text("SELECT pg_total_relation_size('points')"))
        return success(found)

    def cpu(self) -> Response:
        """The processor's seconds that this process has taken."""
        return success(time.process_time())

    def fill(self, baseline_id: int, name: str, points: int) -> Response:
        """Put many points into a stream, whose readings are gone as those of old points are."""
        return self._put(FILL, baseline_id, name, points)

    def record(self, baseline_id: int, name: str, points: int) -> Response:
        """The same as a recording: a point a second, with a warning, an alarm and a gap."""
        return self._put(RECORD, baseline_id, name, points)

    def _put(self, rows: str, baseline_id: int, name: str, points: int) -> Response:
        with self._services.sessions.begin() as session:
            stream = streams.lock(session, self._owner(session, baseline_id), baseline_id, name)
            session.execute(text(rows), {"stream": stream.id, "points": points})
            stream.next_seq = points + 1
        return success(points)

    def fill_whole(self, baseline_id: int, name: str, points: int, features: int) -> Response:
        """Put many points into a stream, with metadata and with so many readings each."""
        readings = np.random.default_rng(1).standard_normal(features, np.float32).tobytes()
        filled = {"points": points, "readings": readings}
        with self._services.sessions.begin() as session:
            stream = streams.lock(session, self._owner(session, baseline_id), baseline_id, name)
            session.execute(text(FILL_WHOLE), {"stream": stream.id, **filled})
            stream.next_seq = points + 1
        return success(points)

    def peak(self) -> Response:
        """`peak` of this process."""
        return success(peak())

    def poll(self, baseline_id: int, name: str, after: int) -> Response:
        """The processor's seconds for what a page asks with every poll."""
        with self._services.sessions() as session:
            who = self._owner(session, baseline_id)
            began = time.thread_time()
            cursor = feed.Cursor(1, after)
            feed.delta(session, who, baseline_id, name, cursor, limit=1_000, now=Services.now())
            return success(time.thread_time() - began)

    def _owner(self, session: Session, baseline_id: int) -> Identity:
        owner = session.get_one(User, session.get_one(Baseline, baseline_id).owner_id)
        return Identity(owner.id, owner.email, owner.full_name, owner.role)


def peak() -> int:
    """The most bytes that this process held since it was last asked; begins anew."""
    status = Path("/proc/self/status").read_text()
    found = next(line.split()[1] for line in status.split("\n") if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5")
    return 1024 * int(found)


def add(server: Flask, services: Services) -> None:
    """Put the handlers to compare with on the application's server, under `/api/bench`."""
    for name, post in (("floor", Floor(services).post), ("naive", Naive(services).post)):
        server.add_url_rule(f"/api/bench/{name}/<int:baseline_id>", name, post, methods=["POST"])
    reads = Reads(services)
    fill, record, poll = (
        "fill/<int:baseline_id>/<name>/<int:points>",
        "record/<int:baseline_id>/<name>/<int:points>",
        "<int:baseline_id>/<name>/<int:after>",
    )
    whole = "whole/<int:baseline_id>/<name>/<int:points>/<int:features>"
    server.add_url_rule(f"/api/bench/{whole}", "whole", reads.fill_whole, methods=["POST"])
    server.add_url_rule("/api/bench/size", "size", reads.size)
    server.add_url_rule("/api/bench/peak", "peak", reads.peak)
    server.add_url_rule("/api/bench/cpu", "cpu", reads.cpu)
    server.add_url_rule(f"/api/bench/{fill}", "fill", reads.fill, methods=["POST"])
    server.add_url_rule(f"/api/bench/{record}", "record", reads.record, methods=["POST"])
    server.add_url_rule(f"/api/bench/poll/{poll}", "poll", reads.poll)
    for name, handler in (("read", read_only), ("parse", parse_only)):
        server.add_url_rule(f"/api/bench/{name}", name, handler, methods=["POST"])


def main(folder: str) -> None:
    """Serve until the standard input ends."""
    settings = dataclasses.replace(Settings.from_env({}), home=Path(folder), port=0)
    listener = serving.bind(settings)

    def follow() -> None:
        while sys.stdin.buffer.read(1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    with open_services(settings) as services:
        server = create_app(services).server
        add(server, services)
        threading.Thread(target=follow, daemon=True).start()
        port = listener.getsockname()[1]
        serving.serve(server, listener, settings, lambda: print(port, flush=True))


if __name__ == "__main__":
    main(sys.argv[1])
