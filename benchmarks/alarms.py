"""The alarm logic: who is in alarm, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks import measures
from benchmarks.cases import Case
from benchmarks.contenders import OurMap
from dinsight import maps


@dataclass(frozen=True)
class Alarms:
    """The monitor judged in one go, in its order.

    Shares of healthy rows in alarm and over the limit, of healthy rows in warning or alarm, of
    worn rows in alarm; the first alarm's row and fraction of life (of the file, where the case
    does not know the machine's life; None without alarm), and what that row was labelled.
    `layouts` names the layout whose scores these are, or says that all have the same.
    """

    case: str
    kind: str
    layouts: str
    healthy_in_alarm: float
    healthy_over: float
    healthy_warned: float
    worn_in_alarm: float
    first_row: int | None
    first_life: float
    first_label: int | None


def alarms(case: Case, ours: Sequence[OurMap]) -> list[Alarms]:
    """Place and judge a case's monitor: once, if all layouts give the same scores."""
    scores = [each.fitted.place(case.monitor).score for each in ours]
    if all((each == scores[0]).all() for each in scores):
        return [_judged(case, ours[0].fitted.rule, scores[0], "all")]
    return [
        _judged(case, each.fitted.rule, own, each.name)
        for each, own in zip(ours, scores, strict=True)
    ]


def _judged(case: Case, rule: maps.LevelRule, scores: NDArray[np.float32], layouts: str) -> Alarms:
    levels, _ = maps.judge(rule, maps.LevelState(), scores)
    alarm = levels == maps.Level.ALARM
    healthy, worn = case.labels == measures.HEALTHY, case.labels == measures.WORN
    row = measures.first(alarm)
    return Alarms(
        case=case.name,
        kind=case.kind,
        layouts=layouts,
        healthy_in_alarm=measures.share(alarm[healthy]),
        healthy_over=measures.share(scores[healthy] > rule.alarm),
        healthy_warned=measures.share(levels[healthy] >= maps.Level.WARNING),
        worn_in_alarm=measures.share(alarm[worn]),
        first_row=row,
        first_life=float("nan") if row is None else life(case, row),
        first_label=None if row is None else int(case.labels[row]),
    )


def life(case: Case, row: int) -> float:
    """The fraction of the machine's life at a row; where it is not known, of the file."""
    known = float(case.life[row])
    return row / max(len(case.monitor) - 1, 1) if np.isnan(known) else known


@dataclass(frozen=True)
class OneRow:
    """Where the one anomalous row of a case stands: its score, its place among all rows by score
    and by distance from the cloud (1 = farthest), and whether it is outside the 99 % circle."""

    layout: str
    score: float
    by_score: int
    by_distance: int
    outside: bool


def one_row(case: Case, ours: OurMap) -> OneRow:
    """The only row of a case with the label 1."""
    row = int(np.flatnonzero(case.labels == measures.WORN)[0])
    found = ours.place(case.monitor)
    distance = measures.from_cloud(ours.cloud, found[:, :2])
    return OneRow(
        layout=ours.name,
        score=float(found[row, 2]),
        by_score=int((found[:, 2] > found[row, 2]).sum()) + 1,
        by_distance=int((distance > distance[row]).sum()) + 1,
        outside=bool(measures.Circle.about(ours.cloud).outside(found[row : row + 1, :2])[0]),
    )
