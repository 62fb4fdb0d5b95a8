"""The baselines page: its list, what it asks before it acts, the report card; without a browser."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from callbacks import baselines as page
from dinsight import baselines, maps, overview, refitting, report_card, streams
from dinsight.accounts import Identity
from dinsight.errors import BaselineNotFound
from dinsight.fitting import Made
from dinsight.ingest import Incoming, ingest
from dinsight.models import Audit, Baseline, FittedMap, Job
from dinsight.replay import Sample
from dinsight.services import Services
from layouts import baselines as layout
from tests.conftest import make_user
from tests.factories import FEATURES, csv, failing, healthy


@pytest.fixture
def send(services: Services, user: Identity, baseline_id: int) -> Callable[..., None]:
    def post(rows: int, stream: str = "default") -> None:
        with services.sessions.begin() as session:
            incoming = Incoming(csv(healthy(rows)), "batch.csv", stream)
            now = services.now()
            ingest(session, user, baseline_id, incoming, limits=services.limits, now=now)

    return post


def text(content: Any) -> str:
    """Everything that is written in components, in order."""
    if content is None or isinstance(content, bool | int | float):
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list | tuple):
        return " ".join(filter(None, (text(each).strip(" ") for each in content)))
    return text(getattr(content, "children", None))


def shown(services: Services, who: Identity) -> str:
    return text(page.listed(services, who, None)[0])


def wish(action: str, baseline_id: Any, layout: str = "") -> dict[str, Any]:
    return {"action": action, "baseline_id": baseline_id, "map": layout}


# ---- what hangs on a baseline ----


def test_streams_and_points_are_counted_with_what_is_archived(
    services: Services, user: Identity, baseline_id: int, send: Callable[..., None]
) -> None:
    send(5)
    send(3, "night")
    with services.sessions.begin() as session:
        streams.reset(session, user, baseline_id, "default", now=services.now())
    send(2)
    with services.sessions() as session:
        found = overview.of(session, user, baseline_id)
    assert (found.owner, found.streams, found.points) == (user.email, 2, 10)


def test_the_newest_comes_first_and_only_ones_own_are_listed(
    services: Services, user: Identity, other: Identity, make_baseline: Callable[..., int]
) -> None:
    first, theirs, last = make_baseline(user), make_baseline(other), make_baseline(user)
    boss = make_user(services, "boss@example.com", role="admin")
    with services.sessions() as session:
        mine, all_ = overview.all_of(session, user), overview.all_of(session, boss)
        assert [each.baseline.id for each in mine] == [last, first]
        assert [(each.baseline.id, each.owner) for each in all_] == [
            (last, user.email),
            (theirs, other.email),
            (first, user.email),
        ]
        with pytest.raises(BaselineNotFound):
            overview.of(session, user, theirs)


# ---- the list ----


def test_a_newcomer_reads_what_a_baseline_is_and_what_file_it_takes(
    services: Services, user: Identity
) -> None:
    assert layout.WHAT in shown(services, user)
    assert layout.EXAMPLE in shown(services, user)


def test_a_newcomer_without_a_file_may_use_the_sample_machine(
    services: Services, user: Identity, tmp_path: Path
) -> None:
    files = tmp_path / "Line A - Baseline.csv", tmp_path / "Line A - Monitor.csv"
    files[0].write_bytes(csv(healthy(120)))
    wish = {"action": "sample", "baseline_id": None, "map": None, "at": 1}
    problem, _ = page.acted(services, user, wish)
    assert problem == "This server has no sample machine: upload a file of your own."

    known = dataclasses.replace(services, sample=Sample(FEATURES, lambda: files))
    problem, said = page.acted(known, user, wish)
    assert problem == ""
    assert said["sentence"].startswith("Line A is being fitted.")
    with services.sessions() as session:
        assert [each.name for each in baselines.list_visible(session, user)] == ["Line A"]


def test_a_row_says_what_there_is(
    services: Services, user: Identity, baseline_id: int, send: Callable[..., None]
) -> None:
    send(3)
    row = shown(services, user)
    for said in ("Pump 7", "Ready", "120 rows", "12 features", "map: Distances"):
        assert said in row
    assert "1 stream, 3 points" in row
    assert user.email not in row


def test_an_administrator_sees_whose_it_is(
    services: Services, user: Identity, baseline_id: int
) -> None:
    boss = make_user(services, "boss@example.com", role="admin")
    assert f"of {user.email}" in shown(services, boss)


def test_a_fit_shows_how_far_it_is_and_a_failed_one_why(
    services: Services, user: Identity, baseline_id: int
) -> None:
    going: dict[str, Any] = {"status": "processing", "progress": 40, "status_message": "Drawing"}
    with services.sessions.begin() as session:
        session.execute(update(Baseline).values(**going))
    assert "Being fitted" in shown(services, user)
    assert "40 % · Drawing" in shown(services, user)
    assert page.listed(services, user, None)[1]["busy"] is True
    reason = 'x.csv: line 150, column f_3: expected a finite number, found "oops"'
    with services.sessions.begin() as session:
        session.execute(update(Baseline).values(status="failed", error_message=reason))
    assert reason in shown(services, user)
    assert "Open" not in shown(services, user)
    seen = page.listed(services, user, None)[1]
    assert (seen["busy"], seen["errors"]) == (False, {str(baseline_id): reason})


def test_a_refit_under_way_is_told_and_a_failed_one_keeps_the_map(
    services: Services, user: Identity, baseline_id: int
) -> None:
    with services.sessions.begin() as session:
        refitting.ask(session, user, baseline_id, "mspc")
    assert "Ready, being refitted" in shown(services, user)
    assert "0 % · Refit as T² and SPE: Waiting to be fitted" in shown(services, user)
    with services.sessions.begin() as session:
        refitting.fail(session, session.scalars(select(Job.id)).one(), baseline_id, "No memory.")
    row = shown(services, user)
    assert "The refit as T² and SPE failed, the map is as it was: No memory." in row
    assert "map: Distances" in row


def test_the_list_is_sent_again_only_when_it_changed(
    services: Services, user: Identity, baseline_id: int
) -> None:
    rows, seen = page.listed(services, user, None)
    assert text(rows)
    again, _ = page.listed(services, user, seen)
    assert again is page.no_update
    with services.sessions.begin() as session:
        baselines.rename(session, user, baseline_id, "Pump 8")
    assert "Pump 8" in text(page.listed(services, user, seen)[0])


# ---- asked before it is done ----


def test_the_question_before_a_deletion_says_what_is_lost(
    services: Services, user: Identity, baseline_id: int, send: Callable[..., None]
) -> None:
    send(3)
    send(4, "night")
    question = text(page.asked(services, user, wish("delete", baseline_id)))
    assert "Delete Pump 7?" in question
    assert (
        "This deletes 2 streams, 7 points , its 120 rows, the map and the report card" in question
    )
    assert "It cannot be undone." in question


def test_the_question_before_a_refit_offers_the_other_maps(
    services: Services, user: Identity, baseline_id: int, send: Callable[..., None]
) -> None:
    send(3)
    question = text(page.asked(services, user, wish("refit", baseline_id)))
    assert "new epoch" in question
    assert "the points before (3) are archived" in question
    assert "Refit as UMAP" in question
    assert "Refit as T² and SPE" in question
    assert "Refit as Distances" not in question


def test_it_is_deleted_once_it_is_confirmed(
    services: Services, user: Identity, baseline_id: int
) -> None:
    page.asked(services, user, wish("delete", baseline_id))
    assert "Pump 7" in shown(services, user)
    problem, said = page.acted(services, user, wish("delete", baseline_id))
    assert (problem, said["sentence"]) == ("", "Pump 7 is deleted.")
    with services.sessions() as session:
        assert session.get(Baseline, baseline_id) is None


def test_a_refit_is_queued_once_it_is_confirmed(
    services: Services, user: Identity, baseline_id: int
) -> None:
    problem, said = page.acted(services, user, wish("refit", baseline_id, "mspc"))
    assert (problem, said["sentence"]) == ("", "Pump 7 is being refitted as T² and SPE.")
    with services.sessions() as session:
        assert session.scalars(select(Job.arguments)).all() == [{"layout": "mspc"}]


@pytest.mark.parametrize(
    ("layout", "sentence"),
    [
        ("distance", "This baseline is drawn as distance already."),
        ("cube", "There is no map 'cube': choose one of umap, distance, mspc."),
    ],
)
def test_a_refit_that_cannot_be_done_says_why(
    services: Services, user: Identity, baseline_id: int, layout: str, sentence: str
) -> None:
    problem, said = page.acted(services, user, wish("refit", baseline_id, layout))
    assert (problem, said) == (sentence, page.no_update)
    with services.sessions() as session:
        assert session.scalars(select(Job.id)).all() == []


@pytest.mark.parametrize(
    "nonsense",
    [None, [], "delete", wish("delete", "1"), wish("delete", 0), wish("delete", True), {}],
)
def test_what_is_not_understood_does_nothing(
    services: Services, user: Identity, baseline_id: int, nonsense: Any
) -> None:
    assert page.acted(services, user, nonsense)[0]
    assert "This cannot be done" in text(page.asked(services, user, nonsense))
    problem, _ = page.acted(services, user, wish("explode", baseline_id))
    assert problem == "There is no action 'explode'."
    assert "Pump 7" in shown(services, user)


def test_anothers_baseline_is_neither_asked_about_nor_touched(
    services: Services, other: Identity, baseline_id: int
) -> None:
    for action in ("delete", "refit"):
        question = text(page.asked(services, other, wish(action, baseline_id, "mspc")))
        assert "There is no such baseline." in question
        assert "Pump 7" not in question
        problem, said = page.acted(services, other, wish(action, baseline_id, "mspc"))
        assert (problem, said) == ("There is no such baseline.", page.no_update)
    card = text(page.shown(services, other, f"?baseline_id={baseline_id}"))
    assert "There is no such baseline." in card
    assert "Pump 7" not in card
    assert "Pump 7" not in shown(services, other)
    with services.sessions() as session:
        denied = select(Audit.subject).where(Audit.action == "denied", Audit.user_id == other.id)
        assert set(session.scalars(denied)) == {
            *(f"{verb} {baseline_id}" for verb in ("ask delete", "ask refit", "delete", "refit")),
            f"report {baseline_id}",
        }
        assert session.get_one(Baseline, baseline_id).status == "completed"


# ---- the report card ----


def test_the_address_opens_a_report_card(services: Services, user: Identity, made: Made) -> None:
    assert page.shown(services, user, "") is None
    assert "There is no such baseline." in text(page.shown(services, user, "?baseline_id=x"))


def test_the_card_is_in_words_for_people(
    services: Services, user: Identity, baseline_id: int, send: Callable[..., None]
) -> None:
    card = text(page.shown(services, user, f"?baseline_id={baseline_id}"))
    for said in (
        "Report card: Pump 7",
        "What it promises",
        "A healthy machine, one row a second",
        "Rows 120",
        "Rows that count, all different 120",
        "Features 12",
        "Map Distances",
        "in 1.0\u00a0s",
    ):
        assert said in card


def test_a_stream_with_its_own_rate_has_its_own_promise(
    services: Services, user: Identity, baseline_id: int, send: Callable[..., None]
) -> None:
    send(2, "night")
    with services.sessions.begin() as session:
        wanted = {"delay_seconds": 0.2, "batch_size": 1}
        streams.configure(session, user, baseline_id, "night", wanted)
    card = text(page.shown(services, user, f"?baseline_id={baseline_id}"))
    assert "The stream night, 5 rows a second" in card
    assert "The stream default" not in card


def test_a_card_with_findings_says_what_to_do(
    services: Services, user: Identity, baseline_id: int
) -> None:
    values = healthy(300)
    values[[40, 41, 200]] = failing(3)
    found = report_card.write(maps.fit(values, layout="mspc", features=FEATURES))
    with services.sessions.begin() as session:
        session.execute(update(FittedMap).values(report=found))
    card = text(page.shown(services, user, f"?baseline_id={baseline_id}"))
    assert "Usable, with care" in card
    for finding in found["findings"]:
        assert f"{finding['message']} {finding['action']}" in card
    assert found["findings"][0]["code"] == "CONTAMINATION"


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("processing", "This baseline is still being fitted."),
        ("failed", "This baseline could not be fitted: line 3"),
    ],
)
def test_where_there_is_no_card_yet_it_says_why(
    services: Services, user: Identity, baseline_id: int, status: str, sentence: str
) -> None:
    with services.sessions.begin() as session:
        session.execute(update(Baseline).values(status=status, error_message="line 3"))
    assert sentence in text(page.shown(services, user, f"?baseline_id={baseline_id}"))
