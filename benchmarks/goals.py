"""The goals of the map, each met or not met case by case, and the layout that wins by them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean

from benchmarks.alarms import Alarms
from benchmarks.cases import GIVEN
from benchmarks.contenders import PCA_NAME, UMAP_NAME
from benchmarks.pictures import Picture
from benchmarks.results import Results

NEAR_SCORE = "AUROC near the score's"
NOT_BELOW_PCA = "AUROC not below PCA's"
SEEN = "over the limit is visible"
SHIFT_SEEN = "a shifted feature is visible"
STEADY = "batch error 0"
OWN_POINT = "baseline on its own point"
TRUST = "trustworthiness"
JITTER = "jitter"
OWN_JITTER = "jitter of baseline rows"
CALM = "healthy rows not in alarm"
LATE_LIFE = "worn rows in alarm"
OF_THE_SCORE = (CALM, LATE_LIFE)
EXACT = (STEADY, OWN_POINT)
# What the picture promises, and what each promise weighs in the rule below.
PICTURE = {
    NEAR_SCORE: 1.0,
    NOT_BELOW_PCA: 1.0,
    SEEN: 1.0,
    SHIFT_SEEN: 1.0,
    TRUST: 1.0,
    JITTER: 0.5,
    OWN_JITTER: 0.5,
}
OF_EACH_LAYOUT = (*EXACT, *PICTURE)
NOT_ASKED = {("mspc", NEAR_SCORE)}  # a plane of two distances, with limits as lines

CLOSE, LESS_TRUST, MOST_JITTER, LESS_SEEN = 0.02, 0.02, 0.3, 0.05
MOST_IN_ALARM = 0.01
ALARM_CASES = ("cwru", "femto", "tep")
LATE_LIFE_CASES = ("femto",)
ALONE_SECONDS, ROWS_A_SECOND = 0.7e-3, 10_000
MOST_OF_UMAP, WIDE_MEGABYTES = 1.5, 2_000

RULE = (
    "Of the layouts that place every row exactly (batch error 0, baseline rows on their own "
    "points), the one that keeps the most of what the picture promises. Promises weigh alike: "
    "AUROC near the score's; not below PCA's; anomalous rows over the limit are visible; a shifted "
    "feature is; trustworthiness; jitter (of monitor and of baseline rows, a half each). A promise "
    "is the share of cases that keep it, averaged first over a machine and what is derived from "
    "it, then over machines. Among equals, the larger mean planar AUROC of the given cases."
)


@dataclass(frozen=True)
class Check:
    """One goal on one case, for one layout (empty for what all layouts share)."""

    goal: str
    case: str
    layout: str
    met: bool
    figure: str
    asked: bool = True

    def __str__(self) -> str:
        if self.met:
            return "met"
        return f"NOT MET: {self.figure}" if self.asked else f"(not asked: {self.figure})"


@dataclass(frozen=True)
class Standing:
    """How a layout does by the rule."""

    layout: str
    exact: bool
    kept: dict[str, float]
    auroc: float

    @property
    def points(self) -> float:
        """The weighted mean of what is kept; promises that no case asks for are left out."""
        weight = sum(PICTURE[goal] for goal in self.kept)
        return sum(PICTURE[goal] * share for goal, share in self.kept.items()) / (weight or 1.0)


def of_pictures(results: Results) -> Iterator[Check]:
    """Every goal of every layout on every case; without labels for it, none."""
    for layout in results.layouts:
        for case in dict.fromkeys(each.case for each in results.pictures):
            picture = results.picture(case, layout)
            pca = results.picture(case, PCA_NAME)
            transform = results.picture(case, UMAP_NAME)
            for goal, figure, met in _judged(picture, pca, transform):
                asked = (layout, goal) not in NOT_ASKED
                yield Check(goal, case, layout, met, figure, asked)
        yield from _of_shifts(results, layout)


def _judged(picture: Picture, pca: Picture, transform: Picture) -> Iterator[tuple[str, str, bool]]:
    if not math.isnan(picture.auroc):
        least = picture.score_auroc - CLOSE
        yield NEAR_SCORE, f"{picture.auroc:.3f} < {least:.3f}", picture.auroc >= least
        figure = f"{picture.auroc:.4f} < {pca.auroc:.4f}"
        yield NOT_BELOW_PCA, figure, picture.auroc >= pca.auroc
        figure = f"{picture.over:.1%} over, {picture.visible:.1%} visible"
        yield SEEN, figure, picture.visible >= picture.over - LESS_SEEN
    steady = picture.steady
    yield STEADY, f"{steady.differing} of {steady.rows} rows", steady.differing == 0
    yield OWN_POINT, f"{steady.elsewhere} of {steady.baseline} rows", steady.elsewhere == 0
    if not math.isnan(picture.trust):
        least = transform.trust - LESS_TRUST
        yield TRUST, f"{picture.trust:.3f} < {least:.3f}", picture.trust >= least
    for goal, worst in ((JITTER, picture.jitter.worst), (OWN_JITTER, picture.jitter.baseline)):
        yield goal, f"{worst:.2f} ≥ {MOST_JITTER}", worst < MOST_JITTER


def _of_shifts(results: Results, layout: str) -> Iterator[Check]:
    """Worst of all amounts: the share over the limit less the share that is visible."""
    for case in dict.fromkeys(each.case for each in results.shifted):
        trials = [each for each in results.shifted if each.case == case and each.amount]
        worst = max(trials, key=lambda each: each.over - each.outside[layout])
        seen = worst.outside[layout]
        figure = f"{worst.over:.1%} over, {seen:.1%} visible at {worst.amount:g} sigma"
        yield Check(SHIFT_SEEN, case, layout, seen >= worst.over - LESS_SEEN, figure)


def of_alarms(results: Results) -> Iterator[Check]:
    """The alarm logic, on the machines that it is asked of."""
    for each in results.alarms:
        asked = each.case.startswith(ALARM_CASES)
        if not math.isnan(each.healthy_in_alarm):
            met = each.healthy_in_alarm <= MOST_IN_ALARM
            yield Check(CALM, each.case, "", met, f"{each.healthy_in_alarm:.1%} in alarm", asked)
        if not math.isnan(each.worn_in_alarm):
            yield _late_life(each)


def _late_life(each: Alarms) -> Check:
    asked = each.case.startswith(LATE_LIFE_CASES)
    figure = f"{each.worn_in_alarm:.1%} in alarm"
    return Check(LATE_LIFE, each.case, "", each.worn_in_alarm == 1.0, figure, asked)


def overall(results: Results) -> Iterator[Check]:
    """Goals of the arithmetic, the speed, the memory and of trust, each with what it is of."""
    for fault in results.missed:
        figures = " / ".join(f"{value:.4f}" for value in fault.ours)
        published = " / ".join(f"{value:.3f}" for value in fault.published)
        goal = f"T² / SPE miss {published}, as published"
        yield Check(goal, f"Tennessee Eastman fault {fault.fault}", "", fault.reproduced, figures)
    yield from _of_speed(results)
    for wide in results.wide:
        met = wide.peak <= WIDE_MEGABYTES
        name = "{:,} × {:,}".format(*wide.shape)
        yield Check("fit within 2 GB", name, wide.layout, met, f"{wide.peak:.0f} MB")
    for layout in results.layouts:
        trials = [each for each in results.blown_up if each.layout == layout]
        inward = [each.case for each in trials if not each.in_order]
        figure = f"{len(trials) - len(inward)} of {len(trials)} baselines"
        figure += f"; not {'; '.join(inward)}" if inward else ""
        yield Check("× 1, 1.5, 3, 50 moves outward", "baselines", layout, not inward, figure)


def _of_speed(results: Results) -> Iterator[Check]:
    for row in results.reference_rows:
        met = row.alone <= ALONE_SECONDS
        figure = f"{row.alone * 1e3:.2f} ms"
        yield Check("one row within 0.7 ms", row.case, row.contender, met, figure)
        met = row.rows_a_second >= ROWS_A_SECOND
        figure = f"{row.rows_a_second:,.0f} rows/s"
        yield Check("10,000 rows/s in batches of 1,000", row.case, row.contender, met, figure)
    for time in results.fit_times:
        name = "{:,} × {:,}".format(*time.shape)
        for layout in time.ours:
            ratio = time.ratio(layout)
            goal = f"fit within {MOST_OF_UMAP} × umap-learn alone"
            yield Check(goal, name, layout, ratio <= MOST_OF_UMAP, f"{ratio:.2f} ×")


def family(case: str) -> str:
    """The machine that a case is of: what stands before the comma.

    >>> family("tep_braatz, fault 4"), family("tep_braatz")
    ('tep_braatz', 'tep_braatz')
    """
    return case.partition(",")[0]


def standings(results: Results) -> list[Standing]:
    """The layouts by the rule, the winner first."""
    checks = list(of_pictures(results))
    given = [each for each in results.pictures if each.kind == GIVEN and each.auroc == each.auroc]
    found = []
    for layout in results.layouts:
        mine = [check for check in checks if check.layout == layout]
        aurocs = [each.auroc for each in given if each.contender == layout]
        exact = all(check.met for check in mine if check.goal in EXACT)
        auroc = mean(aurocs) if aurocs else float("nan")
        found.append(Standing(layout, exact, kept(mine), auroc))
    return sorted(found, key=lambda each: (each.exact, each.points, each.auroc), reverse=True)


def kept(checks: Sequence[Check]) -> dict[str, float]:
    """The share of machines that keep each promise; a machine's is the mean over its cases."""
    shares = {}
    for goal in PICTURE:
        machines: dict[str, list[bool]] = {}
        for check in checks:
            if check.goal == goal:
                machines.setdefault(family(check.case), []).append(check.met)
        if machines:
            shares[goal] = mean(mean(met) for met in machines.values())
    return shares
