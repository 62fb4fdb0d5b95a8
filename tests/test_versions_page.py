"""The page of a baseline's versions, without a browser: what it says, and its figures."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest
from dash import no_update

from callbacks import versions as page
from dinsight import baselines, version_compare
from dinsight.accounts import Identity
from dinsight.models import Audit
from dinsight.services import Services
from layouts import figures_versions, report_card
from layouts import versions as layout
from layouts.figures import Screen
from tests.factories import failing, healthy
from tests.test_baselines_page import text
from tests.test_versions import NOW, Workshop

ASK = {"gl": False, "touch": False, "theme": "dark", "at": 1}


@pytest.fixture
def lab(services: Services, user: Identity, baseline_id: int) -> Workshop:
    return Workshop(services, user, baseline_id)


def look(lab: Workshop, seen: Any = None, who: Identity | None = None) -> list[Any]:
    search = f"?baseline_id={lab.id}"
    return page.looked(lab.services, who or lab.who, search, ASK, seen)


def test_a_baseline_without_proposals_says_how_rows_come_here(lab: Workshop) -> None:
    head, queue, _, hidden, versions, alone, seen, told = look(lab)
    assert "Version 1 is in force, with 120 rows." in text(head)
    assert "propose its rows from the panel of a point" in text(queue)
    assert (hidden, alone, told["busy"]) == (True, True, False)
    assert "In force" in text(versions)
    assert look(lab, seen)[:-1] == [no_update] * 7
    assert page.compared(lab.services, lab.who, seen, (None, None, None), ASK)[3] is None


def test_what_is_queued_is_listed_and_drawn(lab: Workshop) -> None:
    lab.send(np.concatenate([healthy(5), failing(20)]))
    lab.propose(6, 25, note="the new bearing")
    _, queue, figure, hidden, _, _, _, _ = look(lab)
    said = text(queue)
    assert "20 rows proposed as normal" in said
    assert "the new bearing" in said
    assert "Make version 2" in said
    assert hidden is False
    drawn = {trace["name"]: len(trace["x"]) for trace in figure["data"]}
    assert drawn == {"Baseline": 120, "Proposed": 20}
    assert figure["data"][1]["customdata"][0][1] == 6
    lab.make()
    _, queue, _, _, versions, _, _, told = look(lab)
    assert (told["busy"], "Being fitted" in text(versions)) == (True, True)


def test_a_version_under_review_is_compared_and_nothing_else_is_made(lab: Workshop) -> None:
    lab.second()
    lab.send(healthy(5))
    lab.propose(31, 35)
    _, queue, _, _, versions, alone, seen, _ = look(lab)
    assert "Version 2 is not decided yet" in text(queue)
    assert "go on in a new epoch on the map of version 2" in text(versions)
    assert "30 new rows are removed" in text(versions)
    assert alone is False
    shown = page.compared(lab.services, lab.who, seen, (None, None, None), ASK)
    assert shown[1::2][:3] == ["1", "2", "1"]
    assert [trace["name"] for trace in shown[6]["data"]] == ["Baseline", "Stream", "Added rows"]
    assert "30 added rows would be" in text(shown[7])
    newer = page.compared(lab.services, lab.who, seen, ("2", "2", "2"), ASK)
    assert newer[1::2][:3] == ["2", "1", "2"]
    assert newer[6]["data"][0]["x"] != shown[6]["data"][0]["x"]


def test_a_failed_version_says_why(lab: Workshop) -> None:
    listed = lab.do(page.versions.list_all)
    listed["refit"] = {"version": 2, "status": "failed", "error_message": "Not enough."}
    said = text(layout.versions(listed, 1, 0))
    assert "Version 2 could not be made, its rows are in the queue again: Not enough." in said


def test_another_s_page_is_that_of_none(lab: Workshop, other: Identity) -> None:
    head, *_ = look(lab, who=other)
    assert "There is no such baseline." in text(head)
    seen = {"baseline_id": lab.id}
    assert page.compared(lab.services, other, seen, (None, None, None), ASK)[0] == []
    with lab.services.sessions() as session:
        denied = session.query(Audit).filter(Audit.action == "denied").count()
    assert denied == 1  # the same once more within a minute is not noted again
    none = page.looked(lab.services, lab.who, "", ASK, None)
    assert "No baseline is chosen." in text(none[0])


def test_warnings_are_shown_with_what_to_do(lab: Workshop) -> None:
    far = healthy(130, seed=4)
    far[:, 3] += 5000
    lab.send(far)
    lab.propose(1, 130)
    said = text(look(lab)[1])
    assert "1 of 1 proposals score more than 10 times the alarm limit" in said
    assert "130 rows would be added to 120" in said


def test_both_maps_are_drawn_at_the_same_scale_in_both_axes(lab: Workshop) -> None:
    lab.second()
    now = NOW + dt.timedelta(hours=1)
    found = lab.do(version_compare.compare, (1, 2), now=now)
    for side in "ab":
        figure = figures_versions.compared_map(found, side, screen=Screen(), layout="distance")
        axes = figure["layout"]
        assert axes["yaxis"]["scaleanchor"] == "x"
        low, high = axes["xaxis"]["range"]
        for trace in figure["data"]:
            assert all(low < x < high for x in trace["x"])
    with lab.services.sessions() as session:
        shown = baselines.on_map(session, lab.who, lab.id)
    assert np.array_equal(found["common"]["x_a"], shown["dinsight_x"])
    cost = found["b"]["report"]["false_alarms_per_day"]["expected"]
    assert report_card.times(cost) in text(layout.compared(found))
