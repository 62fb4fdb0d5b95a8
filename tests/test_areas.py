"""Normal areas: kept with a baseline and its map, flagged with every point, counted."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, select

from dinsight import areas, feed, fitting, maps, packing, refitting, report_card, streams, tally
from dinsight.accounts import Identity
from dinsight.errors import InvalidRequest
from dinsight.feed import Cursor
from dinsight.ingest import Incoming, ingest
from dinsight.models import Area, Point
from dinsight.services import Services
from tests.conftest import make_user
from tests.factories import BASELINE, FEATURES, csv, failing, healthy
from tests.test_api_main_job import Api

FAR = {"x0": 900, "y0": 900, "x1": 901, "y1": 901}
WIDE = {"x0": -1e6, "y0": -1e6, "x1": 1e6, "y1": 1e6}


class Machine:
    """A baseline with its default stream, spoken of in a line each."""

    def __init__(self, services: Services, who: Identity, baseline_id: int) -> None:
        self.services, self.who, self.baseline_id = services, who, baseline_id

    def send(self, rows: np.ndarray) -> None:
        with self.services.sessions.begin() as session:
            incoming = Incoming(csv(rows), "batch.csv")
            limits, now = self.services.limits, self.services.now()
            ingest(session, self.who, self.baseline_id, incoming, limits=limits, now=now)

    def area(self, geometry: dict[str, Any], name: str = "Idle") -> dict[str, Any]:
        wanted = {"name": name, "kind": "rectangle", "geometry": geometry}
        with self.services.sessions.begin() as session:
            return areas.add(session, self.who, self.baseline_id, wanted)

    def delta(self, after: Cursor | None = None) -> feed.Delta:
        with self.services.sessions() as session:
            now = self.services.now()
            return feed.delta(
                session, self.who, self.baseline_id, "default", after, limit=100, now=now
            )

    def tally(self) -> dict[str, Any]:
        with self.services.sessions() as session:
            row = streams.find(session, self.who, self.baseline_id, "default")
            return tally.take(session, row).to_dict()

    def places(self) -> list[Any]:
        with self.services.sessions() as session:
            return list(session.execute(select(Point.x, Point.y).order_by(Point.seq)))


@pytest.fixture
def machine(services: Services, user: Identity, baseline_id: int) -> Machine:
    return Machine(services, user, baseline_id)


def half(places: list[Any]) -> dict[str, float]:
    """A rectangle that holds the lower half of the points, one of them on its edge."""
    heights = sorted(np.float32(place.y) for place in places)
    return {**WIDE, "y1": float(heights[len(heights) // 2 - 1])}


def test_a_delta_flags_each_point_and_says_nothing_without_areas(machine: Machine) -> None:
    machine.send(healthy(20))
    without = machine.delta()
    assert without.inside is None
    assert "inside" not in packing.pack(without, machine.services.now())
    assert without.status["areas_revision"] == ""

    machine.area(half(machine.places()))
    found = machine.delta()
    message = packing.pack(found, machine.services.now())
    bits = np.frombuffer(base64.b64decode(message["inside"]), np.uint8)
    limit = half(machine.places())["y1"]
    expected = [np.float32(place.y) <= limit for place in machine.places()]
    assert list(found.inside) == list(np.unpackbits(bits)[:20].astype(bool)) == expected
    assert len(message["inside"]) == 4  # characters for 20 points
    assert machine.delta(found.cursor).inside is not None


def test_a_change_shows_in_the_revision_and_in_the_flags_of_any_process(machine: Machine) -> None:
    machine.send(healthy(4))
    near = machine.area(WIDE)
    seen = [machine.delta()]
    assert list(seen[0].inside) == [True] * 4
    with machine.services.sessions.begin() as session:
        far = {"kind": "rectangle", "geometry": FAR}
        args = (session, machine.who, machine.baseline_id, near["id"])
        areas.change(*args, far, now=machine.services.now())
    seen.append(machine.delta())
    assert list(seen[1].inside) == [False] * 4
    with machine.services.sessions.begin() as session:
        areas.remove(session, machine.who, machine.baseline_id, near["id"])
    seen.append(machine.delta())
    assert seen[2].inside is None
    assert len({delta.status["areas_revision"] for delta in seen}) == 3


def test_a_poll_asks_nothing_more_of_the_database_for_areas_that_did_not_change(
    machine: Machine,
) -> None:
    machine.send(healthy(3))

    def asked() -> int:
        count, here = 0, threading.get_ident()

        def note(*_: Any) -> None:
            nonlocal count
            count += threading.get_ident() == here  # others notify of what was sent

        event.listen(machine.services.database.engine, "before_cursor_execute", note)
        machine.delta()
        event.remove(machine.services.database.engine, "before_cursor_execute", note)
        return count

    plain = asked()
    machine.area(WIDE)
    assert [asked(), asked()] == [plain + 1, plain]


def test_counts_are_those_of_the_whole_epoch_and_go_on_from_where_they_were(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "PIECE", 7)
    machine.send(np.concatenate([healthy(20), failing(20)]))
    levels = machine.tally()
    assert levels["areas"] is None
    assert levels["score"]["anomalous"] == int(np.count_nonzero(machine.delta().level)) > 0

    machine.area(half(machine.places()))
    assert machine.tally()["areas"] == {"normal": 20, "anomalous": 20}
    limit = half(machine.places())["y1"]
    machine.send(healthy(11, seed=5))
    inside = sum(np.float32(place.y) <= limit for place in machine.places())
    told = machine.tally()
    assert (told["areas"], told["last_seq"]) == (
        *({"normal": inside, "anomalous": 51 - inside}, 51),
    )
    assert told["score"]["normal"] + told["score"]["anomalous"] == 51


def test_counts_begin_anew_with_the_epoch_and_where_points_were_removed(machine: Machine) -> None:
    machine.area(WIDE)
    machine.send(healthy(9))
    assert machine.tally()["areas"] == {"normal": 9, "anomalous": 0}
    with machine.services.sessions.begin() as session:
        session.query(Point).filter(Point.seq <= 4).delete()
    assert machine.tally()["areas"] == {"normal": 5, "anomalous": 0}
    with machine.services.sessions.begin() as session:
        now = machine.services.now()
        streams.reset(session, machine.who, machine.baseline_id, "default", now=now)
    told = machine.tally()
    assert (told["epoch"], told["areas"]) == (2, {"normal": 0, "anomalous": 0})


def test_the_areas_of_an_earlier_map_are_kept_and_apply_to_nothing(machine: Machine) -> None:
    machine.area(WIDE)
    machine.send(healthy(3))
    fitted = maps.fit(BASELINE, layout="mspc", features=FEATURES)
    made = fitting.Made(fitted, 1.0, report_card.write(fitted))
    with machine.services.sessions.begin() as session:
        refitting.adopt(session, machine.baseline_id, made, machine.services.now())
    machine.send(healthy(3))
    assert machine.delta().inside is None
    assert machine.tally()["areas"] is None

    machine.area(WIDE, "Idle again")
    assert list(machine.delta().inside) == [True] * 3
    with machine.services.sessions() as session:
        told = areas.list_all(session, machine.who, machine.baseline_id).to_dict()
    assert [(each["name"], each["map"], each["applied"]) for each in told["areas"]] == [
        ("Idle", "distance", False),
        ("Idle again", "mspc", True),
    ]


def test_two_who_add_at_once_stay_within_the_most(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(areas, "MOST", 3)

    def add(_: int) -> bool:
        try:
            machine.area(FAR)
        except InvalidRequest:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(add, range(6))) == 3
    with machine.services.sessions() as session:
        assert len(session.scalars(select(Area)).all()) == 3


# ---- the API ----


@pytest.fixture
def api(client: FlaskClient, user: Identity) -> Api:
    return Api(client, user.email)


def test_an_area_is_made_renamed_redrawn_and_deleted(api: Api, baseline_id: int) -> None:
    path = f"/dinsight/{baseline_id}/areas"
    wanted = {"name": " Idle ", "kind": "rectangle", "geometry": FAR}
    made = api("POST", path, json=wanted)
    assert made.status_code == 201
    area = made.json["data"]
    assert (area["name"], area["kind"], area["geometry"]) == ("Idle", "rectangle", FAR)
    assert (area["map"], area["applied"]) == ("distance", True)
    listed = api("GET", path).json["data"]
    assert listed["areas"] == [area]
    assert (
        api("GET", f"/streaming/{baseline_id}/status").json["data"]["areas_revision"]
        == (listed["revision"])
    )

    renamed = api("PUT", f"{path}/{area['id']}", json={"name": "Full load"}).json["data"]
    assert (renamed["name"], renamed["geometry"]) == ("Full load", FAR)
    round_ = {"x": 0, "y": 0, "rx": 1, "ry": 1}
    redrawn = api("PUT", f"{path}/{area['id']}", json={"kind": "ellipse", "geometry": round_})
    assert redrawn.json["data"]["geometry"] == {**round_, "angle": 0}

    assert api("DELETE", f"{path}/{area['id']}").status_code == 200
    assert api("GET", path).json["data"]["areas"] == []
    assert api("PUT", f"{path}/{area['id']}", json={"name": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"name": " "}, 400, "An area's name has 1 to 60 printable characters."),
        ({"name": "x" * 61}, 400, "An area's name"),
        ({"kind": "blob"}, 400, "There is no shape 'blob'"),
        ({"geometry": {**FAR, "x0": None}}, 400, "x0 must be a number"),
        ({"geometry": [1, 2]}, 422, "geometry: Not a valid mapping type."),
        ({"map_id": 999_999}, 409, "The baseline was refitted since this area was drawn"),
    ],
)
def test_what_is_wrong_with_an_area_is_said_and_nothing_is_kept(
    api: Api, baseline_id: int, body: dict[str, Any], status: int, said: str
) -> None:
    path = f"/dinsight/{baseline_id}/areas"
    wanted = {"name": "Idle", "kind": "rectangle", "geometry": FAR, **body}
    answer = api("POST", path, json=wanted)
    assert answer.status_code == status
    assert said in answer.json["message"]
    told = api("GET", path).json["data"]
    assert (told["areas"], told["revision"]) == ([], "")


def test_an_area_is_reached_only_through_its_own_baseline(
    api: Api, client: FlaskClient, services: Services, make_baseline: Callable[..., int],
    user: Identity, baseline_id: int,
) -> None:  # fmt: skip
    wanted = {"name": "Idle", "kind": "rectangle", "geometry": FAR}
    made = api("POST", f"/dinsight/{baseline_id}/areas", json=wanted).json["data"]["id"]
    eve = make_user(services, "eve@example.com")
    theirs, second = make_baseline(eve), make_baseline(user, "Pump 8")
    for who, number in ((Api(client, eve.email), theirs), (api, second)):
        for method, more in (("PUT", {"json": {"name": "Mine"}}), ("DELETE", {})):
            answer = who(method, f"/dinsight/{number}/areas/{made}", **more)
            assert (answer.status_code, answer.json["error"]["code"]) == (404, "AREA_NOT_FOUND")
    assert api("GET", f"/dinsight/{baseline_id}/areas").json["data"]["areas"][0]["name"] == "Idle"
