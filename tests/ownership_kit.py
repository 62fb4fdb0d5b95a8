"""Two users and everything that one of them has: what the ownership tests hold on to."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import Table, select, text
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from api import display_door
from dinsight import accounts, areas, back_testing, candidates, displays, fitting, monitor_files
from dinsight.accounts import Identity
from dinsight.baselines import File
from dinsight.ingest import Incoming, ingest
from dinsight.models import (
    Alert,
    AlertEvent,
    Base,
    Baseline,
    BaselineVersion,
    FittedMap,
    Stream,
)
from dinsight.notices import channels, outbox
from dinsight.notices.channels import Rules, Wanted
from dinsight.services import Services
from tests.conftest import make_user
from tests.factories import BASELINE, csv, healthy
from tests.test_api_auth import bearer, login
from tests.test_callbacks import Browser

POINTS = 40
NIGHT = "night shift"
SECRETS = (
    *("ada@example.com", "Pump of Ada", "gateway of Ada", "note of Ada", "wall of Ada"),
    *("Area of Ada", "hook-of-ada.example.com"),
)
MISSING = 910_009  # no object has this number
STARTS = {  # told apart in answers
    **{"baselines": 710_001, "users": 720_001, "api_keys": 730_001},
    **{"displays": 740_001, "monitor_files": 750_001, "areas": 760_001},
    **{"candidates": 770_001, "channels": 780_001},
    **{"alert_rules": 790_001, "alerts": 800_001, "back_tests": 810_001},
}

Json = dict[str, Any]
AREA: Json = {
    "name": "Area of Ada",
    "kind": "rectangle",
    "geometry": {"x0": -1, "y0": -1, "x1": 1, "y1": 1},
}


@dataclass(frozen=True)
class Ids:
    """The numbers of somebody's objects, or of objects that do not exist."""

    baseline: int
    unfitted: int
    key: int
    user: int
    display: int
    file: int = MISSING
    area: int = MISSING
    candidate: int = MISSING
    channel: int = MISSING
    alert: int = MISSING
    rule: int = MISSING
    trial: int = MISSING

    def of(self, argument: str) -> list[int]:
        """The objects that an argument of a route can name; KeyError for one that is not known."""
        return {
            "baseline_id": [self.baseline, self.unfitted],
            "key_id": [self.key],
            "user_id": [self.user],
            "display_id": [self.display],
            "file_id": [self.file],
            "area_id": [self.area],
            "candidate_id": [self.candidate],
            "alert_id": [self.alert],
            "rule_id": [self.rule],
            "back_test_id": [self.trial],
            "channel_id": [self.channel],
        }[argument]


NONE = Ids(MISSING, MISSING, MISSING, MISSING, MISSING)


@dataclass(frozen=True)
class Credential:
    """A way to sign in: a client and the headers that it sends."""

    name: str
    client: FlaskClient
    headers: Json = field(default_factory=dict)

    def __call__(self, method: str, path: str, **more: Any) -> Any:
        headers = self.headers | more.pop("headers", {})
        return self.client.open(path, method=method, headers=headers, **more)


@dataclass(frozen=True)
class World:
    """Ada, who owns the objects `hers`; Eve, who must not reach them; an administrator."""

    services: Services
    client: FlaskClient
    ada: Identity
    eve: Identity
    boss: Identity
    hers: Ids
    eves_baseline: int
    wall: str  # the token of Ada's display, which looks at `hers.baseline`

    def credentials(self, who: Identity) -> list[Credential]:
        """Everything that a user can sign in with: token, API key, and cookie with CSRF header."""
        token = login(self._fresh(), who.email)["access_token"]
        with self.services.sessions.begin() as session:
            _, key = accounts.make_key(session, who.id, "a key")
        page = self.browser(who)
        csrf = {"X-CSRF-TOKEN": page.cookie("csrf_access_token")}
        return [
            Credential("token", self._fresh(), bearer(token)),
            Credential("API key", self._fresh(), bearer(key)),
            Credential("cookie", page.client, csrf),
        ]

    def browser(self, who: Identity) -> Browser:
        browser = Browser(self._fresh())
        assert browser.sign_in(who.email).status_code == 303
        return browser

    def screen(self) -> Browser:
        """A wall screen that opened the link of Ada's display, as often as it did before."""
        browser = Browser(self._fresh())
        browser.client.set_cookie(display_door.COOKIE, self.wall)
        assert browser.client.get("/dashboard/streaming").status_code == 200
        return browser

    def rows_of(self, who: Identity) -> list[str]:
        """Every row of every table that is this user's, as text."""
        return rows_of(self.services.database.engine, who.id)

    def _fresh(self) -> FlaskClient:
        return self.client.application.test_client()


def make_world(services: Services, client: FlaskClient, make_baseline: Callable[..., int]) -> World:
    with services.sessions.begin() as session:
        for table, start in STARTS.items():
            session.execute(text(f"ALTER SEQUENCE {table}_id_seq RESTART {start}"))
    ada = make_user(services, "ada@example.com")
    eve, boss = (
        make_user(services, "eve@example.com"),
        make_user(services, "boss@example.com", role="admin"),
    )
    fitted, unfitted = (make_baseline(ada, f"Pump of Ada {n}") for n in (1, 2))
    notes = ["note of Ada"] * POINTS
    with services.sessions.begin() as session:
        kept = session.get_one(Baseline, unfitted)
        kept.status, kept.map_id = "processing", None
        row, _ = accounts.make_key(session, ada.id, "gateway of Ada")
        wall, token = displays.make(session, ada, fitted, name="wall of Ada", stream=NIGHT)
        areas.add(session, ada, fitted, AREA)
        hook = Wanted("webhook", f"https://{SECRETS[-1]}/alerts")
        channel = channels.add(session, ada, hook, Rules())
        outbox.write_test(session, channel, now=services.now())
        hers = Ids(
            fitted, unfitted, row.id, ada.id, wall.id, area=STARTS["areas"], channel=channel.id
        )
        for stream in ("default", NIGHT):
            incoming = Incoming(
                csv(healthy(POINTS), metadata=notes), "batch.csv", stream, key="a key of Ada"
            )
            ingest(session, ada, fitted, incoming, limits=services.limits, now=services.now())
        file = File("note of Ada.csv", io.BytesIO(csv(healthy(POINTS))))
        kept = monitor_files.keep(session, ada, fitted, file, services.monitor_files)
        wanted = candidates.Wanted("default", 1, 1, 3)
        (row,) = candidates.propose(
            session, ada, fitted, wanted, note="note of Ada", now=services.now()
        )
        make_version(session, fitted)
        alert = make_alert(session, fitted)
        trial = back_testing.ask(session, ada, fitted, back_testing.Wish("default", TRIED))
        hers = dataclasses.replace(
            hers, file=kept.id, candidate=row.id, alert=alert.id, rule=STARTS["alert_rules"]
        )
        hers = dataclasses.replace(hers, trial=trial["id"])
    eves = make_baseline(eve, "Pump of Eve")
    return World(services, client, ada, eve, boss, hers, eves, token)


TRIED = {"name": "note of Ada", "kind": "score", "score": 0.5}


def make_alert(session: Session, baseline_id: int) -> Alert:
    """An active alert of the baseline's default stream, by its first rule."""
    stream = session.scalars(
        select(Stream).where(Stream.baseline_id == baseline_id, Stream.name == "default")
    ).one()
    alert = Alert(
        baseline_id=baseline_id,
        stream_id=stream.id,
        epoch=1,
        rule_id=STARTS["alert_rules"],
        rule={
            **{"id": STARTS["alert_rules"], "name": "Failing", "kind": "level", "level": "alarm"},
            **{"score": None, "needed": 1, "window": 1, "seconds": None, "hysteresis": 0.9},
            "mute_in_areas": False,
        },
        alert_type="anomaly",
        title="note of Ada",
        message="note of Ada",
        severity="high",
        score=2.0,
        peak=3.0,
        peak_seq=2,
        opened_at=dt.datetime.now(dt.UTC),
        opened_seq=1,
        note="note of Ada",
    )
    session.add(alert)
    session.flush()
    session.add(AlertEvent(alert_id=alert.id, at=alert.opened_at, kind="raised", seq=1))
    return alert


def make_version(session: Session, baseline_id: int) -> None:
    """Version 2 of a baseline, for review, with a row more and the map of the first."""
    first = session.scalars(select(FittedMap).where(FittedMap.baseline_id == baseline_id)).one()
    copied = {"baseline_id": baseline_id, "payload": first.payload, "report": first.report}
    names = ("layout", "sha256", "format", "fit_seconds")
    other = FittedMap(**copied, **{name: getattr(first, name) for name in names})
    session.add(other)
    session.flush()
    fitting.store_rows(session, baseline_id, len(BASELINE), BASELINE[:1], [{"note": "of Ada"}])
    row = BaselineVersion(
        baseline_id=baseline_id,
        version=2,
        rows=len(BASELINE) + 1,
        map_id=other.id,
        note="note of Ada",
    )
    session.add(row)


def batch() -> Json:
    """The body of a good batch, the very one that Ada sent with her key."""
    content = csv(healthy(POINTS), metadata=["note of Ada"] * POINTS)
    return {
        "data": {"file": (io.BytesIO(content), "batch.csv")},
        "headers": {"Idempotency-Key": "a key of Ada"},
    }


def replay() -> Json:
    """The body of a good replay."""
    return {"data": {"file": (io.BytesIO(csv(healthy(3))), "night.csv")}}


def rows_of(engine: Engine, user_id: int) -> list[str]:
    parts = [
        f"SELECT '{table.name} ' || t::text FROM {table.name} t WHERE {_owned(table)}"
        for table in Base.metadata.sorted_tables
    ]
    with engine.connect() as connection:
        found = connection.execute(text(" UNION ALL ".join(parts)), {"user": user_id})
        return sorted(row[0] for row in found)


def _owned(table: Table) -> str:
    """The condition under which a row is a user's; a table that has none must be given one."""
    baselines = "SELECT id FROM baselines WHERE owner_id = :user"
    files = f"SELECT id FROM monitor_files WHERE baseline_id IN ({baselines})"
    alerts = f"SELECT id FROM alerts WHERE baseline_id IN ({baselines})"
    streams = f"SELECT id FROM streams WHERE baseline_id IN ({baselines})"
    channels = "SELECT id FROM channels WHERE user_id = :user"
    for column, condition in (
        ("owner_id", "= :user"),
        ("user_id", "= :user"),
        ("baseline_id", f"IN ({baselines})"),
        ("stream_id", f"IN ({streams})"),
        ("file_id", f"IN ({files})"),
        ("alert_id", f"IN ({alerts})"),
        ("channel_id", f"IN ({channels})"),
    ):
        if column in table.columns:
            return f"{column} {condition}"
    assert table.name == "users", f"whose are the rows of the table {table.name}?"
    return "id = :user"


def told(answer: Any, *numbers: int) -> tuple[int, str, str]:
    """An answer as it is compared: without the numbers asked for, and without times."""
    body = answer.get_data(as_text=True)
    for number in numbers:
        body = body.replace(str(number), "<id>")
    body = re.sub(r'"end_id":"[^"]*"', "", body)  # Dash draws it anew for every page
    body = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)", "<time>", body)
    return answer.status_code, answer.content_type, body


def arguments(rule: str) -> list[str]:
    """The names of a rule's arguments."""
    return re.findall(r"<(?:\w+:)?(\w+)>", rule)


def fill(rule: str, **values: Any) -> str:
    """The path of a rule with these arguments."""
    for name, value in values.items():
        rule = re.sub(rf"<(?:\w+:)?{name}>", str(value), rule)
    return rule


def server_callbacks(client: FlaskClient) -> Iterator[Json]:
    """The callbacks that run on the server, as Dash tells its page of them."""
    for entry in client.get("/_dash-dependencies").json or []:
        if entry["clientside_function"] is None:
            yield entry
