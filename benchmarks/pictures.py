"""The picture: is far on screen far in feature space, and does a row always land there?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks import measures
from benchmarks.cases import Case, Floats32
from benchmarks.contenders import Contender, Standard, circle
from benchmarks.effort import Effort
from benchmarks.measures import Circle, Floats, Labels, Pair

NONE = float("nan")
SEVEN = 7
COMMON = 1_000  # rows at even steps, that slow contenders are measured on
SLOW_ROWS = 100
NOISE = 0.1  # of each feature's deviation in the baseline
SEED = 11


@dataclass(frozen=True)
class Picture:
    """What one contender makes of one case.

    `auroc` of the distance from the cloud, `score_auroc` of the score (NaN without one), `visible`
    and `false_visible` shares of anomalous and of unseen healthy rows outside the 99 % circle,
    `over` the share of anomalous rows whose score is over the limit (NaN without one), `trust` of
    unseen healthy rows; `steady` and `jitter` below.
    """

    case: str
    kind: str
    contender: str
    auroc: float
    score_auroc: float
    visible: float
    false_visible: float
    over: float
    trust: float
    steady: Steady
    jitter: Jitter


@dataclass(frozen=True)
class Steady:
    """What the batch changes: of `rows` placed alone and in sevens and of `baseline` rows sent
    back, how many are not the very same float32s; and the longest move, in widths of the cloud."""

    rows: int
    differing: int
    baseline: int
    elsewhere: int
    move: float


@dataclass(frozen=True)
class Jitter:
    """How far noise of 0.1 sigma moves a row, in widths of the cloud: the 99 % quantile and the
    worst of the monitor's rows, and the worst of the baseline's own."""

    usual: float
    worst: float
    baseline: float


def picture(case: Case, contender: Contender, effort: Effort) -> Picture:
    """Measure one contender on one case: on all its rows, a slow one on the `COMMON` ones."""
    around = circle(contender)
    common = measures.even(len(case.monitor), COMMON)
    rows = common if contender.slow else np.arange(len(case.monitor))
    labels = case.labels[rows]
    found = contender.place(case.monitor[rows])
    places, score = found[:, :2], found[:, 2] if found.shape[1] > 2 else None
    distance = measures.from_cloud(contender.cloud, places)
    outside = around.outside(places)
    return Picture(
        case=case.name,
        kind=case.kind,
        contender=contender.name,
        auroc=measures.auroc(distance, labels),
        score_auroc=NONE if score is None else measures.auroc(score, labels),
        visible=measures.share(outside[labels == measures.WORN]),
        false_visible=measures.share(outside[labels == measures.HEALTHY]),
        over=NONE if score is None else measures.share(score[labels == measures.WORN] > 1.0),
        trust=trust(case, contender, common, places if contender.slow else places[common]),
        steady=steady(case, contender, around, effort),
        jitter=jitter(case, contender, around, effort),
    )


def trust(case: Case, contender: Contender, rows: Labels, places: Floats32) -> float:
    """Of the healthy ones among rows of the monitor, the same for every contender."""
    standard = Standard.fit(case.baseline)
    healthy = case.labels[rows] == measures.HEALTHY
    return measures.trustworthiness(
        Pair(standard.apply(case.baseline), standard.apply(case.monitor[rows][healthy])),
        Pair(contender.cloud, places[healthy]),
    )


def steady(case: Case, contender: Contender, around: Circle, effort: Effort) -> Steady:
    """Place rows of the monitor alone, in sevens and all at once, and the baseline again."""
    chosen = measures.even(len(case.monitor), SEVEN if contender.slow else effort.alone)
    rows = case.monitor[chosen]
    whole = contender.place(rows)
    parts = [in_parts(contender, rows, size) for size in (1, SEVEN)]
    if not contender.slow:
        parts.append(contender.place(case.monitor)[chosen])
    again = contender.place(case.baseline)[:, :2]
    moves = [np.linalg.norm(part[:, :2] - whole[:, :2], axis=1).max() for part in parts]
    return Steady(
        rows=len(rows),
        differing=max(measures.differing(whole, part) for part in parts),
        baseline=len(again),
        elsewhere=measures.differing(np.ascontiguousarray(again), contender.cloud),
        move=float(max(moves)) / around.width,
    )


def in_parts(contender: Contender, rows: Floats32, size: int) -> Floats32:
    """Where rows are placed that come in batches of a size."""
    parts = [contender.place(rows[at : at + size]) for at in range(0, len(rows), size)]
    return np.concatenate(parts)


def jitter(case: Case, contender: Contender, around: Circle, effort: Effort) -> Jitter:
    """Add noise to rows of the monitor and of the baseline, several times.

    A contender that is slow a row gets one draw on fewer rows.
    """
    rows, draws = (SLOW_ROWS, 1) if contender.slow else (effort.rows, effort.draws)
    monitor = _moves(contender, case, case.monitor, rows, draws) / around.width
    baseline = _moves(contender, case, case.baseline, rows, draws) / around.width
    return Jitter(float(np.quantile(monitor, 0.99)), float(monitor.max()), float(baseline.max()))


def _moves(contender: Contender, case: Case, rows: Floats32, most: int, draws: int) -> Floats:
    rows = rows[measures.even(len(rows), most)]
    spread = NOISE * case.baseline.std(axis=0, dtype=np.float64)
    random = np.random.default_rng(SEED)
    before = contender.place(rows)[:, :2]
    moves = []
    for _ in range(draws):
        noisy = rows + spread * random.standard_normal(rows.shape)
        after = contender.place(noisy.astype(np.float32))[:, :2]
        moves.append(np.linalg.norm(after.astype(np.float64) - before, axis=1))
    return np.concatenate(moves)
