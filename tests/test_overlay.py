"""Another stream on this stream's map: where its points are, whose they must be, how they look."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from dinsight import baselines, fitting, maps, overlay, report_card, streams
from dinsight.accounts import Identity
from dinsight.errors import BaselineNotFound, ColumnsMissing, StreamNotFound
from dinsight.feed import Cursor
from dinsight.ingest import Incoming, ingest
from dinsight.models import Baseline
from dinsight.overlay import Name, Overlay
from dinsight.services import Services
from tests.factories import FEATURES, csv, failing, healthy
from tests.test_api_main_job import Api
from tests.test_callbacks import Browser

TURNED = FEATURES[::-1]  # the same features in another order
CSS = Path(__file__).parent.parent / "assets" / "live_compare.css"
# Severe colour blindness as matrices on linear RGB (Machado, Oliveira and Fernandes 2009).
EYES = {
    "usual": np.eye(3),
    "protan": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deutan": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritan": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
Send = Callable[..., None]
Compare = Callable[..., Overlay]


@pytest.fixture(scope="module")
def turned() -> fitting.Made:
    """A map of other rows of the machine, whose features stand in another order."""
    fitted = maps.fit(healthy(90, seed=31)[:, ::-1].copy(), features=TURNED)
    return fitting.Made(fitted, 1.0, report_card.write(fitted))


@pytest.fixture
def another(services: Services, user: Identity, turned: fitting.Made) -> int:
    """A baseline with another map and the same features."""
    return store(services, user, turned, healthy(90, seed=31)[:, ::-1].copy(), TURNED)


def store(
    services: Services,
    who: Identity,
    made: fitting.Made,
    values: np.ndarray,
    names: tuple[str, ...],
) -> int:
    with services.sessions.begin() as session:
        baseline = Baseline(owner_id=who.id, name="Pump 8", status="completed", layout=maps.DEFAULT)
        session.add(baseline)
        session.flush()
        fitting.store(session, baseline.id, fitting.Rows(names, values, [{}] * len(values)), made)
        return baseline.id


@pytest.fixture
def send(services: Services, user: Identity) -> Send:
    def post(baseline_id: int, rows: np.ndarray, stream: str = "default", **more: Any) -> None:
        with services.sessions.begin() as session:
            incoming = Incoming(csv(rows, **more), "batch.csv", stream)
            now = services.now()
            ingest(session, user, baseline_id, incoming, limits=services.limits, now=now)

    return post


@pytest.fixture
def compare(services: Services, user: Identity) -> Compare:
    def ask(shown: Name, other: Name, after: Cursor | None = None, **more: Any) -> Overlay:
        who = more.pop("who", user)
        with services.sessions() as session:
            return overlay.compare(session, who, shown, other, after, now=services.now(), **more)

    return ask


def seqs(found: Overlay) -> list[int]:
    return list(range(found.first, found.first + len(found.x)))


# ---- the domain ----


def test_of_the_same_map_points_are_where_they_are_stored(
    baseline_id: int, send: Send, compare: Compare, fitted: maps.Map
) -> None:
    rows = failing(5)
    send(baseline_id, rows, "night")
    found = compare(Name(baseline_id, "default"), Name(baseline_id, "night"))
    where = fitted.place(rows)
    assert (found.here, found.unplaced, found.machine) == (None, 0, "Pump 7")
    assert (seqs(found), str(found.cursor)) == ([1, 2, 3, 4, 5], "1:5")
    assert found.x.tolist() == where.x.tolist() and found.y.tolist() == where.y.tolist()
    assert found.status["level"] == "alarm"


def test_of_another_map_readings_are_placed_on_this_one_by_name(
    baseline_id: int, another: int, send: Send, compare: Compare, fitted: maps.Map, turned: Any
) -> None:
    rows = failing(6, seed=40)
    send(another, rows[:, ::-1], features=TURNED)
    found = compare(Name(baseline_id, "default"), Name(another, "default"))
    here = fitted.place(rows)
    own = turned.fitted.place(rows[:, ::-1])
    assert found.x.tolist() == here.x.tolist() and found.y.tolist() == here.y.tolist()
    assert found.here is not None and found.here.tolist() == here.score.tolist()
    assert found.score.tolist() == own.score.tolist()
    assert found.machine == "Pump 8"


@pytest.mark.parametrize("same_map", [True, False])
def test_only_what_is_new_is_read_and_another_run_starts_anew(
    services: Services,
    user: Identity,
    baseline_id: int,
    another: int,
    send: Send,
    compare: Compare,
    same_map: bool,
) -> None:
    other = Name(baseline_id, "night") if same_map else Name(another, "default")
    shown = Name(baseline_id, "default")
    more = {} if same_map else {"features": TURNED}
    send(other.baseline_id, healthy(4), other.stream, **more)
    first = compare(shown, other)
    send(other.baseline_id, healthy(3), other.stream, **more)
    second = compare(shown, other, first.cursor)
    assert (seqs(first), seqs(second)) == ([1, 2, 3, 4], [5, 6, 7])
    assert seqs(compare(shown, other, second.cursor)) == []
    assert seqs(compare(shown, other, first.cursor, limit=2)) == [6, 7]  # the newest

    with services.sessions.begin() as session:
        streams.reset(session, user, other.baseline_id, other.stream, now=services.now())
    empty = compare(shown, other, second.cursor)
    assert (seqs(empty), str(empty.cursor)) == ([], "2:0")
    send(other.baseline_id, healthy(2), other.stream, **more)
    assert seqs(compare(shown, other, second.cursor)) == [1, 2]


def test_readings_that_retention_took_cannot_be_placed(
    services: Services, baseline_id: int, another: int, send: Send, compare: Compare
) -> None:
    send(another, healthy(5), features=TURNED)
    with services.sessions.begin() as session:
        session.execute(text("UPDATE points SET features = NULL WHERE seq <= 3"))
    found = compare(Name(baseline_id, "default"), Name(another, "default"))
    assert (seqs(found), found.unplaced, str(found.cursor)) == ([4, 5], 3, "1:5")


def test_features_that_do_not_match_are_named(
    services: Services, user: Identity, baseline_id: int, compare: Compare
) -> None:
    narrow = healthy(80, seed=5)[:, :10].copy()
    fitted = maps.fit(narrow, features=FEATURES[:10])
    made = fitting.Made(fitted, 1.0, report_card.write(fitted))
    number = store(services, user, made, narrow, FEATURES[:10])
    with pytest.raises(ColumnsMissing, match=f"Baseline {number} cannot be .* missing f_10, f_11"):
        compare(Name(baseline_id, "default"), Name(number, "default"))
    whole = compare(Name(number, "default"), Name(baseline_id, "default"))  # the rest is not needed
    assert whole.here is not None


def test_both_sides_must_be_ones_own(
    services: Services, other: Identity, baseline_id: int, make_baseline: Any, compare: Compare
) -> None:
    theirs = make_baseline(other, "Theirs")
    mine = Name(baseline_id, "default")
    for pair in ((mine, Name(theirs, "default")), (Name(theirs, "default"), mine)):
        with pytest.raises(BaselineNotFound):
            compare(*pair)
    with pytest.raises(StreamNotFound):
        compare(mine, Name(baseline_id, "never"))


def test_offered_are_streams_with_the_same_features(
    services: Services,
    user: Identity,
    other: Identity,
    baseline_id: int,
    another: int,
    make_baseline: Any,
    send: Send,
) -> None:
    send(baseline_id, healthy(1), "night")
    twin, theirs = make_baseline(user, "Fan"), make_baseline(other, "Theirs")
    with services.sessions() as session:
        found = overlay.offers(session, user, Name(baseline_id, "night"))
        with pytest.raises(BaselineNotFound):
            overlay.offers(session, user, Name(theirs, "default"))
    assert [each.name for each in found] == [Name(baseline_id, "default"), Name(twin, "default")]
    assert another not in {each.name.baseline_id for each in found}  # in another order: by address


# ---- the API ----


def test_the_route_is_owned_on_both_sides(
    client: FlaskClient,
    user: Identity,
    other: Identity,
    baseline_id: int,
    another: int,
    make_baseline: Any,
    send: Send,
) -> None:
    send(another, healthy(3), features=TURNED)
    api, theirs = Api(client, user.email), make_baseline(other, "Theirs")
    path = f"/streaming/{baseline_id}/compare"
    data = api("GET", f"{path}?with_baseline={another}").json["data"]
    assert (data["name"], data["map"], data["next"]) == ("Pump 8", "placed", "1:3")
    assert [point["seq"] for point in data["points"]] == [1, 2, 3]
    assert (
        api("GET", f"{path}?with_baseline={another}&after=1:2").json["data"]["points"][0]["seq"]
        == 3
    )
    same = api("GET", path).json["data"]
    assert (same["map"], same["points"]) == ("same", [])
    for query in (f"with_baseline={theirs}", "with_baseline=999999999999", "with_stream=never"):
        assert api("GET", f"{path}?{query}").status_code == 404, query
    for query in ("with_baseline=x", "after=1", "limit=0", "with_stream=a/b"):
        assert api("GET", f"{path}?{query}").status_code == 400, query
    eve = Api(client, other.email)
    assert eve("GET", f"/streaming/{theirs}/compare?with_baseline={another}").status_code == 404


# ---- the page's questions ----


def test_the_page_is_told_what_is_new_and_why_there_is_nothing(
    client: FlaskClient,
    services: Services,
    user: Identity,
    baseline_id: int,
    another: int,
    send: Send,
) -> None:
    browser = Browser(client)
    browser.sign_in(user.email)
    send(another, healthy(3), features=TURNED)

    def ask(number: Any, **more: Any) -> Any:
        question = {"key": "1", "baseline_id": baseline_id, "stream": "default", **more}
        question |= {"with_baseline": number, "with_stream": "default"}
        return browser.call("compare-feed.data", "compare-ask.data", compare_ask__data=question)

    def told(*args: Any, **more: Any) -> Any:
        return ask(*args, **more).json["response"]["compare-feed"]["data"]

    first = told(another)
    assert (first["kind"], first["n"], first["machine"]) == ("ready", 3, "Pump 8")
    assert (first["key"], first["with"]) == ("1", f"{another}:default")
    assert told(another, after=first["next"])["n"] == 0
    assert told(999)["kind"] == "refused"
    with services.sessions.begin() as session:
        session.execute(text("UPDATE maps SET format = 1"))
    assert told(another)["kind"] == "waiting"  # its map is fitted anew
    with services.sessions.begin() as session:
        session.execute(text("UPDATE maps SET format = :now"), {"now": maps.FORMAT})
        baselines.remove(session, user, another)
    assert told(another)["kind"] == "refused"  # deleted meanwhile
    assert ask(None).status_code == 400


# ---- the colour ----


def seen(colour: str, eye: np.ndarray) -> np.ndarray:
    """A colour as an eye sees it, in CIELAB."""
    parts = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_xyz @ np.clip(eye @ linear, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_no_eye_takes_it_for_the_baseline_or_the_stream() -> None:
    from layouts.theme import BASELINE, MONITOR

    colours = re.findall(r"--compared: (#\w{6});", CSS.read_text())
    assert len(colours) == 2
    for name, eye in EYES.items():
        for colour in colours:
            for taken in (BASELINE, MONITOR):
                away = np.linalg.norm(seen(colour, eye) - seen(taken, eye))
                assert away > 35, (name, colour, taken)  # two is just noticed, side by side
