"""The player on a real database: every row once, in order, whoever pauses, stops or dies."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select, text, update

from dinsight import baselines, monitor_files, player, refitting, replay, streams
from dinsight.accounts import Identity
from dinsight.database import Database
from dinsight.errors import (
    BaselineNotFound,
    CellInvalid,
    ColumnsMissing,
    InvalidReadings,
    InvalidRequest,
    MonitorFileInUse,
    MonitorFileNotFound,
    ReplayUnderWay,
    TooLarge,
)
from dinsight.ingest import Incoming, ingest
from dinsight.models import Batch, MonitorChunk, MonitorFile, Point, Replay, User
from dinsight.monitor_files import Bounds
from dinsight.player import Player
from dinsight.replay import Pace, Sample
from dinsight.services import Services
from tests.factories import FEATURES, csv, healthy
from tests.postgres_kit import eventually

FAST = Pace(delay=0.0, batch_size=1)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(monitor_files, "CHUNK_BYTES", 1_000)  # so that rows lie across chunks


class Machine:
    """A baseline of the user's, and what is replayed against it."""

    def __init__(self, services: Services, who: Identity, baseline_id: int) -> None:
        self.services, self.who, self.baseline_id = services, who, baseline_id
        self.players: list[Player] = []

    def keep(self, content: bytes, name: str = "night.csv", **more: Any) -> int:
        file = baselines.File(name, io.BytesIO(content))
        bounds = more.pop("bounds", self.services.monitor_files)
        with self.services.sessions.begin() as session:
            kept = monitor_files.keep(session, self.who, self.baseline_id, file, bounds, **more)
            return kept.id

    def play(
        self, content: bytes | int, pace: Pace = FAST, stream: str = "default"
    ) -> dict[str, Any]:
        """Begin to play a file, or one that is kept."""
        file_id = content if isinstance(content, int) else self.keep(content)
        with self.services.sessions.begin() as session:
            file = monitor_files.get(session, self.who, self.baseline_id, file_id)
            now = self.services.now()
            return replay.start(
                session, self.who, self.baseline_id, stream, file=file, pace=pace, now=now
            )

    def player(self, limits: Any = None) -> Player:
        self.players.append(Player(self.services.database, limits or self.services.limits))
        self.players[-1].start()
        return self.players[-1]

    def control(self, action: str, stream: str = "default") -> None:
        with self.services.sessions.begin() as session:
            streams.control(session, self.who, self.baseline_id, stream, action)

    def reset(self) -> None:
        with self.services.sessions.begin() as session:
            now = self.services.now()
            streams.reset(session, self.who, self.baseline_id, "default", now=now)

    def state(self, stream: str = "default") -> dict[str, Any]:
        with self.services.sessions() as session:
            return replay.state(session, self.who, self.baseline_id, stream)

    def stream(self, name: str = "default") -> streams.Found:
        with self.services.sessions() as session:
            return streams.find(session, self.who, self.baseline_id, name)

    def ends(self, stream: str = "default", seconds: float = 30) -> dict[str, Any]:
        assert eventually(lambda: self.state(stream)["status"] not in {"playing", "held"}, seconds)
        return self.state(stream)

    def points(self, stream: str = "default") -> list[tuple[int, str, bytes]]:
        """Seq, note and readings of the stream's points, in order of seq."""
        found = self.stream(stream)
        query = select(Point.seq, Point.metadata_["note"].astext, Point.features)
        here = query.where(Point.stream_id == found.id, Point.epoch == found.epoch)
        with self.services.sessions() as session:
            return [tuple(row) for row in session.execute(here.order_by(Point.seq))]


@pytest.fixture
def machine(services: Services, user: Identity, baseline_id: int) -> Iterator[Machine]:
    made = Machine(services, user, baseline_id)
    yield made
    for each in made.players:
        each.stop()


def file_of(rows: np.ndarray) -> bytes:
    return csv(rows, metadata=[f"row {n}" for n in range(len(rows))])


def expected(rows: np.ndarray) -> list[tuple[int, str, bytes]]:
    return [(n + 1, f"row {n}", row.tobytes()) for n, row in enumerate(rows)]


@pytest.mark.parametrize("batch_size", [1, 7, 1_000])
def test_a_file_is_played_row_by_row_to_its_end(machine: Machine, batch_size: int) -> None:
    rows = healthy(60, seed=5)
    begun = machine.play(file_of(rows), Pace(0.0, batch_size))
    assert (begun["status"], begun["position"], begun["rows"]) == ("playing", 0, 60)
    assert begun["source"] == "night.csv"
    machine.player()
    ended = machine.ends()
    assert (ended["status"], ended["position"], ended["message"]) == ("done", 60, None)
    assert machine.points() == expected(rows)
    found = machine.stream()
    assert (found.state, found.declared_total, found.next_seq) == ("completed", 60, 61)


def test_quotes_blank_lines_and_a_byte_order_mark_are_no_rows_of_their_own(
    machine: Machine,
) -> None:
    rows = healthy(5, seed=5)
    lines = csv(rows, metadata=["two\nlines", 'a ""quote""', "x", "y", "z"]).split(b"\n")
    content = b"\xef\xbb\xbf\n" + b"\r\n\n  \n".join(lines).replace(b"two\r\n\n  \nlines", b"2\n3")
    machine.play(content, Pace(0.0, 2))
    machine.player()
    assert machine.ends()["status"] == "done"
    notes = ["2\n3", 'a "quote"', "x", "y", "z"]
    whole = zip(range(1, 6), notes, (row.tobytes() for row in rows), strict=True)
    assert machine.points() == list(whole)


def test_two_players_share_replays_and_play_each_row_once(machine: Machine) -> None:
    rows = {f"stream {n}": healthy(40, seed=n) for n in range(4)}
    for stream, values in rows.items():
        machine.play(machine.keep(file_of(values), f"{stream}.csv"), FAST, stream)
    machine.player()
    machine.player()
    for stream, values in rows.items():
        assert machine.ends(stream)["status"] == "done"
        assert machine.points(stream) == expected(values)


def test_a_player_that_is_no_longer_believed_stores_nothing_more(
    machine: Machine, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leases that run out at once: two players take the replay from each other all the time."""
    monkeypatch.setattr(player, "LEASE", player.LEASE * 0)
    rows = healthy(40, seed=5)
    machine.play(file_of(rows))
    for _ in range(3):
        machine.player()
    assert machine.ends(seconds=120)["status"] == "done"
    assert machine.points() == expected(rows)


def test_a_batch_whose_position_was_lost_is_not_stored_twice(machine: Machine) -> None:
    rows = healthy(30, seed=5)
    machine.play(file_of(rows), Pace(3600.0, 10))
    first = machine.player()
    assert eventually(lambda: machine.state()["position"] == 10, 10)
    first.stop()
    with machine.services.sessions.begin() as session:
        file = session.scalars(select(MonitorFile)).one()
        here = {"byte": len(file.head), "line": file.head_lines}
        session.execute(update(Replay).values(position=0, due_at=func.now(), delay=0, **here))
    machine.player()
    assert machine.ends()["status"] == "done"
    assert machine.points() == expected(rows)
    with machine.services.sessions() as session:
        keys = list(session.scalars(select(Batch.key).order_by(Batch.first_seq)))
    (number,) = {key.split("-")[1] for key in keys}
    assert keys == [f"replay-{number}-{position}" for position in (0, 10, 20)]


def test_a_player_that_stops_gives_back_what_it_holds(machine: Machine) -> None:
    rows = healthy(20, seed=5)
    machine.play(file_of(rows), Pace(0.0, 1))
    machine.player().stop()
    with machine.services.sessions() as session:
        held = session.execute(select(Replay.lease, Replay.lease_until)).one()
    assert tuple(held) == (None, None)
    machine.player()
    assert machine.ends()["status"] == "done"
    assert machine.points() == expected(rows)


def test_the_next_row_keeps_its_due_time_in_the_hands_of_another(machine: Machine) -> None:
    machine.play(file_of(healthy(3)), Pace(3600.0, 1))
    first = machine.player()
    assert eventually(lambda: machine.state()["position"] == 1, 10)
    first.stop()
    second = machine.player()
    assert not eventually(lambda: machine.state()["position"] > 1, 0.5)
    second.stop()
    with machine.services.sessions.begin() as session:
        session.execute(update(Replay).values(due_at=func.now()))
    machine.player()
    assert eventually(lambda: machine.state()["position"] == 2, 10)


def test_a_pause_holds_it_and_resume_goes_on(machine: Machine) -> None:
    rows = healthy(60, seed=5)
    machine.play(file_of(rows), Pace(0.01, 1))
    machine.player()
    assert eventually(lambda: machine.state()["position"] > 3, 10)
    machine.control("pause")
    held = machine.state()
    assert held["status"] == "held"
    assert not eventually(lambda: machine.state()["position"] > held["position"], 0.4)
    assert len(machine.points()) == held["position"]
    machine.control("resume")
    assert machine.ends()["status"] == "done"
    assert machine.points() == expected(rows)


@pytest.mark.parametrize(
    ("action", "why"),
    [("stop", "The stream was stopped."), ("complete", "The stream was completed.")],
)
def test_stop_ends_it_and_start_does_not_go_on(machine: Machine, action: str, why: str) -> None:
    machine.play(file_of(healthy(400)), Pace(0.01, 1))
    machine.player()
    assert eventually(lambda: machine.state()["position"] > 3, 10)
    machine.control(action)
    machine.control("start")
    ended = machine.state()
    assert (ended["status"], ended["message"]) == ("stopped", why)
    assert not eventually(lambda: len(machine.points()) > ended["position"], 0.4)


def test_a_reset_ends_it_with_its_epoch(machine: Machine) -> None:
    machine.play(file_of(healthy(400)), Pace(0.01, 1))
    machine.player()
    assert eventually(lambda: machine.state()["position"] > 3, 10)
    machine.reset()
    assert machine.state()["message"] == "The stream was reset."
    assert not eventually(machine.points, 0.4)


def test_another_replay_begins_a_new_epoch(machine: Machine) -> None:
    machine.player()
    for seed in (1, 2):
        rows = healthy(10, seed=seed)
        machine.play(file_of(rows))
        assert machine.ends()["status"] == "done"
        assert machine.points() == expected(rows)
    assert machine.stream().epoch == 3


def test_one_is_played_into_a_stream_at_a_time(machine: Machine) -> None:
    file_id = machine.keep(file_of(healthy(10)))
    machine.play(file_id)
    with pytest.raises(ReplayUnderWay, match="stop it first"):
        machine.play(file_id)
    assert machine.play(file_id, stream="night shift")["status"] == "playing"


def test_others_may_send_to_the_stream_meanwhile(machine: Machine) -> None:
    rows = healthy(40, seed=5)
    machine.play(file_of(rows), Pace(0.01, 1))
    machine.player()
    sent = 0
    while machine.state()["status"] == "playing" and sent < 20:
        incoming = Incoming(csv(healthy(1), metadata=["sensor"]), "sensor.csv")
        with machine.services.sessions.begin() as session:
            limits, now = machine.services.limits, machine.services.now()
            ingest(session, machine.who, machine.baseline_id, incoming, limits=limits, now=now)
        sent += 1
    assert machine.ends()["status"] == "done"
    notes = [note for _, note, _ in machine.points()]
    assert [note for note in notes if note != "sensor"] == [f"row {n}" for n in range(40)]
    assert len(notes) == 40 + sent
    assert machine.stream().state == "completed"


def test_a_refit_is_followed_into_its_new_epoch(machine: Machine) -> None:
    rows = healthy(60, seed=5)
    machine.services.jobs.start()
    machine.play(file_of(rows), Pace(0.02, 1))
    machine.player()
    assert eventually(lambda: machine.state()["position"] > 3, 10)
    with machine.services.sessions.begin() as session:
        refitting.ask(session, machine.who, machine.baseline_id, "mspc")
    assert machine.ends()["status"] == "done"
    with machine.services.sessions() as session:
        query = select(Point.metadata_["note"].astext).order_by(Point.epoch, Point.seq)
        assert list(session.scalars(query)) == [f"row {n}" for n in range(60)]


# ---- what is wrong ----


def test_what_is_wrong_further_down_ends_it_with_the_line_of_the_file(machine: Machine) -> None:
    lines = file_of(healthy(150)).split(b"\n")
    lines[130] = lines[130].replace(b",", b",oops", 1)
    lines.insert(3, b"")
    content = b"\n".join(lines)
    machine.play(content, Pace(0.0, 10))
    machine.player()
    ended = machine.ends()
    found = lines[131].split(b",")[1].decode()
    assert (ended["status"], ended["position"]) == ("failed", 120)
    assert ended["message"] == (
        f'night.csv: line 132, column f_0: expected a finite number, found "{found}"'
    )
    assert machine.stream().state == "stopped"
    assert len(machine.points()) == 120
    with pytest.raises(CellInvalid) as whole:
        player.readings.parse(
            content, limits=machine.services.limits, expected=FEATURES, source="night.csv"
        )
    assert whole.value.message == ended["message"]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", InvalidReadings, "night.csv: the file is empty"),
        (csv(healthy(3))[:40], InvalidReadings, "night.csv: "),
        (csv(healthy(3)).replace(b"f_7", b"f_99"), ColumnsMissing, "f_7"),
        (csv(healthy(3)) + b"1,2\n", InvalidReadings, "line 5: expected 12 cells"),
        (csv(healthy(150)) + b'"1,2\n', InvalidReadings, "line 152"),
    ],
)
def test_a_wrong_file_is_refused_at_the_door(
    machine: Machine, content: bytes, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        machine.play(content)
    with machine.services.sessions() as session:
        assert session.scalar(select(func.count()).select_from(MonitorFile)) == 0
    assert machine.state()["status"] == "none"


@pytest.mark.parametrize(
    ("delay", "size", "message"),
    [
        (-1, 1, "delay must be a number of seconds from 0 to 86,400."),
        (float("nan"), 1, "delay must be"),
        ("soon", 1, "delay must be"),
        (1, 0, "batch_size must be a whole number from 1 to 1,000."),
        (1, 1.5, "batch_size must be"),
        (1, True, "batch_size must be"),
    ],
)
def test_a_pace_that_cannot_be_kept_is_refused(delay: Any, size: Any, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        Pace.of(delay, size)
    assert Pace.of(None, None) == Pace(0.5, 1)


def test_a_disabled_account_plays_nothing_more(machine: Machine) -> None:
    machine.play(file_of(healthy(400)), Pace(0.01, 1))
    machine.player()
    assert eventually(lambda: machine.state()["position"] > 3, 10)
    with machine.services.sessions.begin() as session:
        session.execute(update(User).values(disabled_at=func.now()))
    assert machine.ends()["message"] == player.DISABLED


def test_a_baseline_that_is_deleted_takes_its_replays_along(machine: Machine) -> None:
    machine.play(file_of(healthy(400)), Pace(0.01, 1))
    machine.player()
    assert eventually(lambda: machine.state()["position"] > 3, 10)
    with machine.services.sessions.begin() as session:
        baselines.remove(session, machine.who, machine.baseline_id)
    with machine.services.sessions() as session:
        counts = [
            session.scalar(select(func.count()).select_from(table))
            for table in (Replay, MonitorFile, MonitorChunk)
        ]
    assert counts == [0, 0, 0]


def test_a_database_that_drops_its_connections_is_waited_for(machine: Machine) -> None:
    rows = healthy(60, seed=5)
    machine.play(file_of(rows), Pace(0.01, 1))
    machine.player()
    for position in (3, 10, 20):
        at_least = position
        assert eventually(lambda least=at_least: machine.state()["position"] > least, 10)
        with machine.services.sessions() as session:
            others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = "
            session.execute(text(f"{others} current_database() AND pid <> pg_backend_pid()"))
    assert machine.ends()["status"] == "done"
    assert machine.points() == expected(rows)


# ---- the files ----


def test_a_file_of_the_same_name_replaces_the_one_before(machine: Machine) -> None:
    before = machine.keep(file_of(healthy(3)))
    after = machine.keep(file_of(healthy(5)))
    other = machine.keep(file_of(healthy(2)), "day.csv")
    machine.keep(file_of(healthy(2)), is_sample=True)
    with machine.services.sessions() as session:
        kept = monitor_files.list_kept(session, machine.who, machine.baseline_id)
        assert [(file.id, file.name, file.rows) for file in kept] == [
            (other, "day.csv", 2),
            (after, "night.csv", 5),
        ]
    with pytest.raises(MonitorFileNotFound):
        machine.play(before)


def test_a_file_that_is_played_stays(machine: Machine) -> None:
    file_id = machine.keep(file_of(healthy(3)))
    machine.play(file_id, Pace(3600, 1))
    with pytest.raises(MonitorFileInUse, match="stop the replay first"):
        machine.keep(file_of(healthy(5)))
    with machine.services.sessions.begin() as session, pytest.raises(MonitorFileInUse):
        monitor_files.remove(session, machine.who, machine.baseline_id, file_id)
    machine.control("stop")
    with machine.services.sessions.begin() as session:
        monitor_files.remove(session, machine.who, machine.baseline_id, file_id)
    assert (machine.state()["source"], machine.state()["status"]) == ("night.csv", "stopped")


def test_all_files_of_a_baseline_are_no_larger_than_an_upload(machine: Machine) -> None:
    small = Bounds(machine.services.limits, 1)
    content = csv(healthy(2_500))
    assert 500_000 < len(content) < 1_000_000
    machine.keep(content, bounds=small)
    machine.keep(content, bounds=small)  # in place of the one before
    with pytest.raises(TooLarge, match="DINSIGHT_MAX_UPLOAD_MB"):
        machine.keep(content, "another.csv", bounds=small)


def test_anothers_files_and_replays_are_not_there(machine: Machine, other: Identity) -> None:
    file_id = machine.keep(file_of(healthy(3)))
    for ask in (
        lambda s: monitor_files.get(s, other, machine.baseline_id, file_id),
        lambda s: monitor_files.remove(s, other, machine.baseline_id, file_id),
        lambda s: monitor_files.list_kept(s, other, machine.baseline_id),
        lambda s: replay.state(s, other, machine.baseline_id, "default"),
        lambda s: replay.stop(s, other, machine.baseline_id, "default"),
    ):
        with machine.services.sessions.begin() as session, pytest.raises(BaselineNotFound):
            ask(session)


def test_a_file_of_another_baseline_is_not_there(
    machine: Machine, make_baseline: Callable[..., int]
) -> None:
    file_id = machine.keep(file_of(healthy(3)))
    elsewhere = make_baseline(machine.who, "Pump 8")
    with machine.services.sessions.begin() as session, pytest.raises(MonitorFileNotFound):
        monitor_files.get(session, machine.who, elsewhere, file_id)


def test_a_replay_that_is_over_ends_no_other_when_its_player_meets_a_fault(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(player, "LOOK_SECONDS", 60)
    first = machine.keep(file_of(healthy(20, seed=5)))
    machine.play(first, Pace(0.0, 1))
    idle = Player(machine.services.database, machine.services.limits)
    idle._look()
    (held,) = idle._held.values()
    machine.control("stop")
    machine.play(first, Pace(60.0, 1))
    idle._fail(held, "a row of the first one is wrong")
    assert machine.state()["status"] == "playing"
    assert machine.stream().state != "stopped"


# ---- the sample ----


def test_the_sample_is_made_only_for_a_baseline_that_it_fits(
    machine: Machine, tmp_path: Any
) -> None:
    made = []

    def make() -> Any:
        made.append(tmp_path / "sample.csv")
        made[-1].write_bytes(file_of(healthy(4)))
        return tmp_path / "baseline.csv", made[-1]

    def ask(known: Sample | None) -> int:
        bounds = machine.services.monitor_files
        with machine.services.sessions.begin() as session:
            return replay.sample(session, machine.who, machine.baseline_id, known, bounds).rows

    with pytest.raises(ColumnsMissing, match="not the sample machine's"):
        ask(Sample(("freq_1", "freq_2"), make))
    with pytest.raises(InvalidRequest, match="no sample machine"):
        ask(None)
    assert made == []
    assert (ask(Sample(FEATURES, make)), ask(Sample(FEATURES, make))) == (4, 4)
    assert len(made) == 1
