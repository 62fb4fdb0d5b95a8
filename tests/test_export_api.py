"""Exports over HTTP on the whole server: streamed, bounded, and broken off where they are cut."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import requests
from flask.testing import FlaskClient
from sqlalchemy import text

from api import display_door, export, gate
from dinsight import displays, exporting, streams
from dinsight.accounts import Identity
from dinsight.exporting import Part, Selection, Wanted, points
from dinsight.services import Services
from dinsight.settings import Settings
from simulator.errors import BadFile, BaselineUnusable, SimulatorError
from simulator.export import Meter, run
from simulator.options import ExportOptions, parse_export
from simulator.run import World
from tests.browser import LiveServer, free_port
from tests.factories import PASSWORD, csv, healthy
from tests.postgres_kit import eventually
from tests.simulator_kit import QUICK
from tests.test_api_auth import bearer
from tests.test_api_main_job import Api

MANY = 40_000
FILL = """
INSERT INTO points (stream_id, epoch, seq, received_at, source, x, y, score, level, metadata,
                    features)
SELECT :stream, 1, number, timestamptz '2026-06-01T12:00Z' + number * interval '1 second',
       'night.csv', random(), random(), random(), 0,
       jsonb_build_object('note', repeat('long ', 40) || number), NULL
FROM generate_series(1, :points) AS number
"""


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many more than a server holds on their way to a slow reader."""
    monkeypatch.setattr(points, "MOST_POINTS", 500)


@pytest.fixture
def api(client: FlaskClient, user: Identity) -> Api:
    return Api(client, user.email)


@pytest.fixture
def theirs(client: FlaskClient, other: Identity) -> Api:
    return Api(client, other.email)


@pytest.fixture
def server(services: Services, settings: Settings) -> Iterator[LiveServer]:
    """The whole server, with few threads."""
    from app import create_app

    few = dataclasses.replace(settings, threads=4)
    app = create_app(dataclasses.replace(services, settings=few)).server
    running = LiveServer(app, free_port(), few)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def fill(services: Services, user: Identity, baseline_id: int) -> Callable[[int], None]:
    """Puts many points into the default stream."""

    def points_(count: int) -> None:
        with services.sessions.begin() as session:
            stream = streams.lock(session, user, baseline_id, "default")
            session.execute(text(FILL), {"stream": stream.id, "points": count})
            stream.next_seq = count + 1

    return points_


def sign_in(server: LiveServer, who: Identity) -> dict[str, str]:
    body = {"email": who.email, "password": PASSWORD}
    answer = requests.post(f"{server.url}/api/v1/auth/login", json=body, timeout=20)
    return bearer(answer.json()["data"]["access_token"])


def slots(server: LiveServer) -> int:
    return len(server._app.extensions[export.EXTENSION])


def begun(server: LiveServer, headers: dict[str, str], baseline_id: int) -> socket.socket:
    """A connection on which an export has begun, of which hardly anything is taken."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * 1024)
    path = f"/api/v1/streaming/{baseline_id}/export"
    authorization = headers["Authorization"]
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {authorization}\r\n\r\n".encode()
    )
    assert connection.recv(100).startswith(b"HTTP/1.1 200")
    return connection


# --- the route ---


def test_a_file_comes_with_its_kind_and_a_name_that_says_what_is_in_it(
    api: Api, baseline_id: int
) -> None:
    api.post(baseline_id, csv(healthy(5), metadata=["a, b"] * 5))
    answer = api("GET", f"/streaming/{baseline_id}/export")
    assert answer.content_type == "text/csv; charset=utf-8"
    name = 'attachment; filename="dinsight_Pump-7_default_epoch-1.csv"'
    assert answer.headers["Content-Disposition"] == name
    assert answer.headers["X-Points"] == "5"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.text.count('"a, b"') == 5
    answer = api("GET", f"/streaming/{baseline_id}/export?format=parquet&features=1")
    assert answer.content_type == "application/vnd.apache.parquet"
    assert answer.headers["Content-Disposition"].endswith('_readings.parquet"')
    assert pq.read_table(io.BytesIO(answer.data)).num_rows == 5
    answer = api(
        "GET", f"/streaming/{baseline_id}/export?format=jsonl&from=2030-01-01T01:00%2B01:00"
    )
    assert answer.content_type == "application/x-ndjson"
    assert (answer.data, answer.headers["X-Points"]) == (b"", "0")


def test_an_exported_csv_is_posted_back_as_it_is(api: Api, baseline_id: int) -> None:
    api.post(baseline_id, csv(healthy(5), metadata=["=cmd"] * 5))
    content = api("GET", f"/streaming/{baseline_id}/export?features=1").data
    assert b",'=cmd," in content
    assert api.post(baseline_id, content, form={"stream": "again"}).status_code == 200
    one = api("GET", f"/monitor/{baseline_id}").json
    two = api("GET", f"/monitor/{baseline_id}?stream=again").json
    told = ("dinsight_x", "dinsight_y", "score", "level", "metadata", "monitor_values")
    assert [[row[name] for name in told] for row in one] == [
        [r[name] for name in told] for r in two
    ]


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("format=xls", 400, "format must be one of csv, parquet, jsonl"),
        ("features=2", 400, "features must be 0 or 1"),
        ("epoch=-1", 400, "epoch must be the number"),
        ("epoch=2", 404, "has no epoch 2"),
        ("stream=none", 404, "has no stream 'none'"),
        ("from=2026-01-01T00:00:00", 400, "from must be a time with its zone"),
        ("from=yesterday", 400, "from must be a time with its zone"),
        ("from=0001-01-01T00:00:00%2B14:00", 400, "from must be a time with its zone"),
        ("from=2026-01-02T00:00Z&to=2026-01-01T00:00Z", 400, "`from` must be before `to`"),
    ],
)
def test_what_cannot_be_exported_is_said_before_the_first_byte(
    api: Api, baseline_id: int, query: str, status: int, words: str
) -> None:
    answer = api("GET", f"/streaming/{baseline_id}/export?{query}")
    assert answer.status_code == status
    assert words in answer.json["message"]
    assert "Content-Disposition" not in answer.headers


def test_a_plus_that_was_not_quoted_is_still_one(api: Api, baseline_id: int) -> None:
    query = "from=2026-01-01T00:00:00+02:00"
    assert api("GET", f"/streaming/{baseline_id}/export?{query}").status_code == 200


def test_anothers_stream_and_a_wall_screen_get_nothing(
    api: Api,
    theirs: Api,
    client: FlaskClient,
    services: Services,
    user: Identity,
    baseline_id: int,
) -> None:
    api.post(baseline_id, csv(healthy(2)))
    path = f"/streaming/{baseline_id}/export"
    assert theirs("GET", path).status_code == 404
    with services.sessions.begin() as session:
        _, token = displays.make(session, user, baseline_id, name="wall", stream="default")
    screen = client.application.test_client()
    screen.set_cookie(display_door.COOKIE, token)
    assert screen.get("/dashboard/streaming").status_code == 200
    assert screen.get(f"/api/v1{path}").status_code == 401


def test_a_file_name_holds_nothing_that_a_system_takes_amiss() -> None:
    since = dt.datetime(2026, 5, 1, 6, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    parts = (Part(2, 1, 5, 5), Part(4, 1, 2, 2))
    selection = Selection(3, '../\n"Ü"', 9, "night shift", Wanted(since=since), parts)
    assert export.file_name(selection, "csv") == (
        "dinsight_baseline-3_night-shift_epoch-2-4_from-20260501T040000Z.csv"
    )


# --- on its way ---


def test_a_large_file_streams_whole_and_compressed(
    server: LiveServer, user: Identity, baseline_id: int, fill: Callable[[int], None]
) -> None:
    fill(MANY)
    headers = sign_in(server, user)
    url = f"{server.url}/api/v1/streaming/{baseline_id}/export"
    with requests.get(url, headers=headers, stream=True, timeout=30) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Transfer-Encoding"] == "chunked"
        lines = sum(piece.count(b"\n") for piece in answer.iter_content(65_536))
    assert lines == MANY + 1
    assert eventually(lambda: slots(server) == 0)


def test_a_client_that_goes_away_ends_the_work(
    server: LiveServer,
    user: Identity,
    baseline_id: int,
    fill: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(MANY)
    read = count_reads(monkeypatch)
    with closing(begun(server, sign_in(server, user), baseline_id)):
        assert slots(server) == 1
    assert eventually(lambda: slots(server) == 0)
    assert len(read) < MANY // 500


def test_a_reader_that_takes_nothing_is_not_waited_for_for_good(
    server: LiveServer,
    user: Identity,
    baseline_id: int,
    fill: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(MANY)
    monkeypatch.setattr(gate, "SEND_SECONDS", 0.3)
    read = count_reads(monkeypatch)
    with closing(begun(server, sign_in(server, user), baseline_id)) as slow:
        assert eventually(lambda: slots(server) == 0)
        assert len(read) < MANY // points.MOST_POINTS
        rest = b""
        while piece := slow.recv(65_536):
            rest += piece
    assert not rest.endswith(b"0\r\n\r\n")  # the end of an answer in chunks


def test_a_slow_reader_gets_a_thread_but_no_more_than_its_share(
    server: LiveServer,
    user: Identity,
    other: Identity,
    baseline_id: int,
    fill: Callable[[int], None],
) -> None:
    fill(MANY)
    headers = sign_in(server, user)
    url = f"{server.url}/api/v1/streaming/{baseline_id}/export"
    with (
        closing(begun(server, headers, baseline_id)),
        closing(begun(server, headers, baseline_id)),
    ):
        refused = requests.get(url, headers=headers, timeout=10)
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == str(export.RETRY_SECONDS)
        assert refused.json()["error"]["code"] == "TOO_MANY_EXPORTS"
        status = url.replace("export", "status")
        assert requests.get(status, headers=headers, timeout=10).status_code == 200
    assert eventually(lambda: slots(server) == 0)
    assert requests.get(f"{url}?to=2026-06-01T12:00:09Z", headers=headers, timeout=10).ok


def test_exports_are_counted_for_each_user_and_for_all() -> None:
    places = export.Slots(2, 3)
    with places.taken(1), places.taken(1):
        with pytest.raises(export.TooManyExports, match="You have 2 exports"), places.taken(1):
            pass
        with (
            places.taken(2),
            pytest.raises(export.TooManyExports, match="3 exports are under way"),
            places.taken(3),
        ):
            pass
        assert len(places) == 2
    assert len(places) == 0


def test_an_export_that_breaks_off_does_not_look_whole(
    server: LiveServer,
    services: Services,
    user: Identity,
    baseline_id: int,
    fill: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(MANY)
    cut = cut_after(monkeypatch, services, 3)
    headers = sign_in(server, user)
    url = f"{server.url}/api/v1/streaming/{baseline_id}/export"
    for encoding in ("identity", "gzip"):
        cut.clear()
        with (
            requests.get(
                url, headers=headers | {"Accept-Encoding": encoding}, stream=True, timeout=30
            ) as answer,
            pytest.raises(requests.exceptions.ChunkedEncodingError),
        ):
            list(answer.iter_content(65_536))
    assert eventually(lambda: slots(server) == 0)


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    read: list[int] = []
    real = points._piece

    def counted(*args: Any) -> Any:
        read.append(1)
        return real(*args)

    monkeypatch.setattr(points, "_piece", counted)
    return read


def cut_after(monkeypatch: pytest.MonkeyPatch, services: Services, pieces: int) -> list[int]:
    """Lets every export fail after so many pieces; what is given back counts them."""
    read: list[int] = []
    real = points._piece

    def failing(*args: Any) -> Any:
        read.append(1)
        if len(read) > pieces:
            raise points.ExportInterrupted()
        return real(*args)

    monkeypatch.setattr(points, "_piece", failing)
    return read


def test_memory_does_not_grow_with_the_points(
    services: Services, user: Identity, baseline_id: int, fill: Callable[[int], None]
) -> None:
    import tracemalloc

    fill(MANY)
    peaks = []
    for kind in exporting.FORMATS:
        for most in (MANY // 4, MANY):
            at = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC) + dt.timedelta(
                seconds=most, microseconds=1
            )
            wanted = Wanted(until=at)
            chosen = exporting.select(services.sessions, user, baseline_id, "default", wanted)
            assert chosen.points == most
            tracemalloc.start()
            size = sum(map(len, exporting.written(services.sessions, chosen, kind)))
            peaks.append((kind, size, tracemalloc.get_traced_memory()[1]))
            tracemalloc.stop()
        (_, _, few), (_, size, many) = peaks[-2:]
        if kind != "parquet":  # which holds a row group, of 50,000 points
            assert many < 1.3 * few
            assert many < size


# --- the simulator ---


@pytest.fixture
def options(server: LiveServer, user: Identity, baseline_id: int, tmp_path: Path) -> ExportOptions:
    return ExportOptions(
        baseline_id=baseline_id,
        output=tmp_path / "night.csv",
        api_url=f"{server.url}/api/v1",
        auth_email=user.email,
        auth_password=PASSWORD,
    )


def exported(options: ExportOptions) -> str:
    """What the command says."""
    out = io.StringIO()
    assert run(options, World(out, io.StringIO(), {}, backoff=QUICK)) == 0
    return out.getvalue()


def test_the_simulator_writes_a_file(
    options: ExportOptions, fill: Callable[[int], None], tmp_path: Path
) -> None:
    fill(7)
    said = exported(options)
    assert said.startswith(f"wrote {tmp_path / 'night.csv'}: 7/7 points, 0.0 MB")
    assert len((tmp_path / "night.csv").read_text().splitlines()) == 8
    with pytest.raises(SimulatorError, match="is there already: name another --output"):
        exported(options)
    window = dataclasses.replace(options, force=True, since="2026-06-01T12:00:06Z", epoch="all")
    assert "2/2 points" in exported(window)
    table = dataclasses.replace(options, output=tmp_path / "night.parquet", format="parquet")
    assert ": 7 points" in exported(table)
    assert pq.read_table(tmp_path / "night.parquet").num_rows == 7
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "night.csv",
        "night.parquet",
    ]


def test_the_simulator_names_the_file_as_the_server_does(
    options: ExportOptions,
    fill: Callable[[int], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(2)
    monkeypatch.chdir(tmp_path)
    exported(dataclasses.replace(options, output=None))
    assert (tmp_path / "dinsight_Pump-7_default_epoch-1.csv").exists()


def test_an_export_that_is_cut_is_begun_anew(
    options: ExportOptions,
    fill: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    services: Services,
) -> None:
    fill(MANY)
    monkeypatch.setattr(points, "MOST_POINTS", MANY // 5)
    real, calls = points._piece, []

    def failing_once(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            raise points.ExportInterrupted()
        return real(*args)

    monkeypatch.setattr(points, "_piece", failing_once)
    said = exported(options)
    assert "the connection was cut: retrying" in said
    assert options.output is not None
    assert len(options.output.read_text().splitlines()) == MANY + 1


def test_what_the_simulator_cannot_export_is_one_line(
    options: ExportOptions, tmp_path: Path, baseline_id: int
) -> None:
    with pytest.raises(
        BaselineUnusable, match=rf"no baseline 999; yours are {baseline_id} \(Pump 7\)"
    ):
        exported(dataclasses.replace(options, baseline_id=999))
    with pytest.raises(BadFile, match="no folder"):
        exported(dataclasses.replace(options, output=tmp_path / "none" / "x.csv"))
    with pytest.raises(BadFile, match="is a folder"):
        exported(dataclasses.replace(options, output=tmp_path))
    with pytest.raises(SimulatorError, match="has no epoch 5"):
        exported(dataclasses.replace(options, epoch="5"))
    assert not list(tmp_path.glob("night*"))


def test_the_options_of_an_export(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse_export(["--baseline-id", "3", "--output", "x.JSONL"]).format == "jsonl"
    assert parse_export(["--baseline-id", "3"]).format == "csv"
    given = parse_export(
        ["--baseline-id", "3", "--from", "2026-05-01T06:00+02:00", "--epoch", "all"]
    )
    assert (given.since, given.epoch) == ("2026-05-01T04:00:00Z", "all")
    for wrong in (["--epoch", "0"], ["--from", "soon"], ["--format", "xls"], []):
        with pytest.raises(SystemExit) as ended:
            parse_export([*(["--baseline-id", "3"] if wrong else []), *wrong])
        assert ended.value.code == 2
    assert "expected a time such as" in capsys.readouterr().err


def test_the_meter_tells_points_bytes_and_speed() -> None:
    now = [0.0]
    out = io.StringIO()
    meter = Meter(out, 1.0, points=3, header=1, clock=lambda: now[0])
    meter.add(b"head\n1\n2\n")
    assert out.getvalue() == ""
    now[0] = 2.0
    meter.add(b"3\n" + b"x" * 3_000_000)
    assert out.getvalue() == "3/3 points, 3.0 MB, 1.5 MB/s\n"
    assert Meter(out, 1.0, points=3, clock=lambda: now[0]).words() == "3 points, 0.0 MB"
