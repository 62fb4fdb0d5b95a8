"""The tables of goals: which layout wins, and what is met and not met."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks import goals
from benchmarks.goals import Check
from benchmarks.report import Table, figure, percent
from benchmarks.results import Results


def winner(results: Results, default: str) -> Table:
    """Which layout wins, by the rule."""
    found = goals.standings(results)
    best = found[0]
    said = f"Wins: **{best.layout}**. The default is **{default}**."
    rows = [
        (
            each.layout,
            "yes" if each.exact else "NO",
            figure(each.points),
            *(percent(each.kept.get(goal, float("nan"))) for goal in goals.PICTURE),
            figure(each.auroc),
        )
        for each in found
    ]
    columns = ("layout", "exact", "all promises", *goals.PICTURE, "mean AUROC, given")
    return Table("The layout that wins", f"{goals.RULE} {said}", columns, rows)


def overall(results: Results) -> Table:
    """The goals that are no matter of a case."""
    rows = [
        (check.goal, check.case, check.layout, "met" if check.met else "NOT MET", check.figure)
        for check in goals.overall(results)
    ]
    columns = ("goal", "of", "layout", "", "measured")
    note = "Of the arithmetic, the speed and the memory."
    return Table("Goals: arithmetic and speed", note, columns, rows)


def case_goals(results: Results) -> Iterator[Table]:
    """A table of goals by case for each layout, and one for the alarm logic that they share."""
    note = (
        f"AUROC at least the score's less {goals.CLOSE}, and PCA's; as many anomalous rows outside "
        f"the 99 % circle as are over the limit, less {goals.LESS_SEEN:.0%}, and likewise rows "
        "with one feature shifted by 3, 5 or 10 deviations; trustworthiness of unseen "
        f"healthy rows at least UMAP.transform's less {goals.LESS_TRUST}; a row with 0.1 sigma of "
        f"noise moves less than {goals.MOST_JITTER} widths of the cloud at worst."
    )
    checks = list(goals.of_pictures(results))
    for layout in results.layouts:
        mine = [check for check in checks if check.layout == layout]
        title = f"Goals of the picture: {layout}"
        yield Table(title, note, ("case", *goals.OF_EACH_LAYOUT), _by_case(mine, results))
    note = (
        f"At most {goals.MOST_IN_ALARM:.0%} of healthy rows in alarm on CWRU, FEMTO and Tennessee "
        "Eastman; every late row of FEMTO in alarm. The others are for the record."
    )
    rows = _by_case(list(goals.of_alarms(results)), results, goals.OF_THE_SCORE)
    yield Table("Goals of the alarm logic", note, ("case", *goals.OF_THE_SCORE), rows)


def _by_case(
    checks: Sequence[Check], results: Results, columns: Sequence[str] = goals.OF_EACH_LAYOUT
) -> list[tuple[str, ...]]:
    kinds = {each.case: each.kind for each in results.pictures}
    found = {(check.case, check.goal): str(check) for check in checks}
    return [
        (f"{case} ({kind})", *(found.get((case, goal), "-") for goal in columns))
        for case, kind in kinds.items()
    ]
