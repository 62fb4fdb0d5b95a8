"""The tables of the map's benchmark, one a topic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks import verdicts
from benchmarks.apart import Wide
from benchmarks.report import Table, figure, percent
from benchmarks.results import Results
from benchmarks.speed import FitTime, RowTime
from benchmarks.trials import AMOUNTS, FACTORS


def all_tables(results: Results, default: str) -> list[Table]:
    """Every topic that was measured."""
    tables = [verdicts.winner(results, default), verdicts.overall(results)]
    tables += [*verdicts.case_goals(results), pictures(results)]
    tables += [alarms(results), one_row(results), tennessee(results), shifted(results)]
    tables += [blown_up(results), row_times(results), fit_times(results), wide(results.wide)]
    return [table for table in tables if table.rows]


def pictures(results: Results) -> Table:
    """Every contender on every case."""
    rows = [
        (
            each.case,
            each.contender,
            figure(each.auroc),
            figure(each.score_auroc),
            percent(each.over),
            percent(each.visible),
            percent(each.false_visible),
            f"{each.steady.differing} of {each.steady.rows}",
            figure(each.steady.move, 2),
            figure(each.trust),
            figure(each.jitter.usual, 2),
            figure(each.jitter.worst, 2),
            figure(each.jitter.baseline, 2),
            figure(results.fits.get(each.case, {}).get(each.contender, float("nan")), 2),
        )
        for each in results.pictures
    ]
    columns: tuple[str, ...] = ("case", "placed by", "AUROC", "score's", "over the limit")
    columns += (
        "visible",
        "false visible",
        "batch: rows differing",
        "batch: worst move",
        "trustw.",
        "jitter 99 %",
    )
    columns += ("jitter worst", "jitter worst, baseline", "fit s")
    note = (
        "AUROC of the mean distance to the 10 nearest baseline points in the plane; over the "
        "limit: anomalous rows whose score is; visible: anomalous rows "
        "outside the 99 % circle of the baseline, false visible: unseen healthy rows so. Batch: "
        "rows that are not the same float32s alone, in 7, in 1,000 and in all. Moves and jitter "
        "in widths of the cloud (2 x the circle's radius). UMAP.transform, for its slowness, on "
        "at most 1,000 rows at even steps. Fits warm, beside another process."
    )
    return Table("The picture", note, columns, rows)


def alarms(results: Results) -> Table:
    """Who is in alarm."""
    label = {0: "healthy", 1: "anomalous", None: "-"}
    rows = [
        (
            each.case,
            each.layouts,
            percent(each.healthy_in_alarm),
            percent(each.healthy_over),
            percent(each.healthy_warned),
            percent(each.worn_in_alarm),
            "-" if each.first_row is None else f"{each.first_row}",
            figure(each.first_life),
            label.get(each.first_label, "neither"),
        )
        for each in results.alarms
    ]
    columns: tuple[str, ...] = (
        "case",
        "layouts",
        "healthy in alarm",
        "healthy over the limit",
        "healthy warned",
    )
    columns += ("worn in alarm", "first alarm: row", "its life fraction", "its label")
    note = (
        "The monitor judged in one go by the fitted rule. The "
        "life fraction is of the file where the machine's life is not known."
    )
    return Table("The alarm logic", note, columns, rows)


def one_row(results: Results) -> Table:
    """D'insight's own pair."""
    rows = [
        (
            each.layout,
            figure(each.score),
            str(each.by_score),
            str(each.by_distance),
            "yes" if each.outside else "no",
        )
        for each in results.one_row
    ]
    columns = ("layout", "score", "rank by score", "rank by distance", "outside the circle")
    note = (
        "Row 29 of dinsight_testdata, the only one that differs materially from its baseline row "
        "(f_0 shifted by 3.0, 1.07 of its baseline deviations). Rank 1 is the farthest."
    )
    return Table("One shifted row", note, columns, rows)


def tennessee(results: Results) -> Table:
    """T² and SPE."""
    rows = [
        (each.fault, *(figure(value, 4) for value in each.ours), *map(figure, each.published))
        for each in results.missed
    ]
    columns = ("fault", "T² missed", "SPE missed", "T² published", "SPE published")
    note = "11 components; limits: the tenth highest of the 960 fault-free test rows."
    return Table("T² and SPE on Tennessee Eastman", note, columns, rows)


def shifted(results: Results) -> Table:
    """One feature shifted."""
    rows = [
        (
            each.case,
            f"{each.amount:g} sigma",
            str(each.rows),
            percent(each.over),
            percent(each.named),
            *(percent(each.outside[layout]) for layout in results.layouts),
        )
        for each in results.shifted
    ]
    columns: tuple[str, ...] = ("case", "shift", "rows", "over the limit", "named first")
    columns += tuple(f"outside, {layout}" for layout in results.layouts)
    amounts = ", ".join(f"{amount:g}" for amount in AMOUNTS)
    note = (
        f"One random feature of healthy rows, half of them from the baseline and half unseen, "
        f"shifted up or down by {amounts} of its deviations in the baseline."
    )
    return Table("One feature shifted", note, columns, rows)


def blown_up(results: Results) -> Table:
    """Multiples of the baseline."""
    rows = [
        (
            each.case,
            each.layout,
            ", ".join(f"{value:.2f}" for value in each.distances),
            ", ".join(f"{value:.2f}" for value in each.radii),
            percent(each.distance_rises),
            percent(each.radius_rises),
            "yes" if each.in_order else "NO",
        )
        for each in results.blown_up
    ]
    factors = ", ".join(f"{factor:g}" for factor in FACTORS)
    columns: tuple[str, ...] = (
        "case",
        "layout",
        "distance from the cloud",
        "radius",
        "rows: distance rises",
    )
    columns += ("rows: radius rises", "both medians rise")
    note = f"The baseline's rows times {factors}: medians, and the shares that rise at every step."
    return Table("The baseline blown up", note, columns, rows)


def row_times(results: Results) -> Table:
    """Time a row."""
    note = "Medians, on one BLAS thread as the server sets it when it places (api/serving.py)."
    columns = ("case", "placed by", "one row alone, ms", "a row in 1,000, ms", "rows a second")
    return Table("Time to place and score a row", note, columns, _times(results))


def _times(results: Results) -> list[tuple[str, ...]]:
    times: Iterable[RowTime] = [*results.reference_rows, *results.rows]
    return [
        (
            each.case,
            each.contender,
            f"{each.alone * 1e3:.2f}",
            f"{each.in_batch * 1e3:.3f}",
            f"{each.rows_a_second:,.0f}",
        )
        for each in times
    ]


def fit_times(results: Results) -> Table:
    """Fit times beside umap-learn alone."""

    def row(time: FitTime, layout: str) -> tuple[str, ...]:
        size = "{:,} × {:,}".format(*time.shape)
        own = time.ours[layout]
        return size, layout, f"{own:.2f}", f"{time.alone:.2f}", f"{time.ratio(layout):.2f}"

    rows = [row(time, layout) for time in results.fit_times for layout in time.ours]
    columns = ("rows × columns", "layout", "fit s", "umap-learn alone s", "ratio")
    note = "Fitted alternately in one process, warm; umap-learn on the standardised rows, seeded."
    return Table("Fits beside umap-learn alone", note, columns, rows)


def wide(found: Sequence[Wide]) -> Table:
    """A wide baseline."""
    rows = [
        (
            "{:,} × {:,}".format(*each.shape),
            each.layout,
            f"{each.fit:.2f}",
            f"{each.before:.0f}",
            f"{each.peak:.0f}",
            f"{each.row * 1e3:.2f}",
        )
        for each in found
    ]
    columns = (
        "rows × columns",
        "layout",
        "fit s",
        "peak MB before the fit",
        "peak MB",
        "one row ms",
    )
    note = "Synthetic rows, in a process of their own; memory of the whole process."
    return Table("A wide baseline", note, columns, rows)
