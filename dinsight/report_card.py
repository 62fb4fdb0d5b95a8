"""The report card of a baseline: what its rows can promise, and what to do where that is little.

Written once, when the map is fitted, from what the map knows of its rows; rows are numbered from
0, in the order of the upload. What depends on a stream's rate is added when the card is read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from dinsight import baselines, sensitivity
from dinsight.accounts import Identity
from dinsight.errors import BaselineNotFound
from dinsight.maps import Map
from dinsight.mapstore import require_known
from dinsight.models import Baseline, FittedMap, Json, Stream

FEW_ROWS = 100
MANY_DUPLICATES = 0.1
BLOCKS = 5
# Kruskal and Wallis' test of the blocks, and how much of the ranks' variance they explain: with
# many rows a drift too small to matter is certain, and .14 is what Cohen calls large.
DRIFT_CERTAINTY, DRIFT_EFFECT = 1e-3, 0.14
DRIFT_RISE = 0.05  # wide spectra score so alike that a block's median a hundredth above is certain
FAR_SPREADS, FAR_TIMES = 6.0, 1.5  # of a contaminating row, above the median, in logarithm
MANY_FALSE_ALARMS = 1.0  # a day
NAMED, LISTED = 20, 5  # in the figures, and in a sentence

Finding = dict[str, str]


def write(fitted: Map) -> Json:
    """The card of a map that was just fitted: figures, and findings with what to do."""
    facts = _facts(fitted)
    card: Json = orjson.loads(orjson.dumps(facts | {"findings": findings(facts)}))
    return card  # as JSON can carry it: what is no number would end the transaction that stores it


def read(session: Session, who: Identity, baseline_id: int) -> Json:
    """The card with the map that it speaks of, and each stream's false alarms at its rate.

    Raises BaselineNotFound, BaselineNotReady, BaselineFailed, and MapBeingRefitted or MapOutdated
    where there is none because an earlier version made the map.
    """
    baseline = baselines.get(session, who, baseline_id)
    baselines.require_fitted(baseline)
    row = session.execute(
        select(
            *(FittedMap.id, FittedMap.layout, FittedMap.sha256, FittedMap.format),
            *(FittedMap.fit_seconds, FittedMap.created_at, FittedMap.report),
        ).where(FittedMap.id == baseline.map_id)
    ).one_or_none()
    if row is None:
        raise BaselineNotFound()  # deleted meanwhile
    if not row.report:
        require_known(session, row.id, row.format)
    return {
        "baseline_id": baseline.id,
        "name": baseline.name,
        "map": row.layout,
        "sha256": row.sha256,
        "format": row.format,
        "fit_seconds": row.fit_seconds,
        "fitted_at": row.created_at,
        **row.report,
        "streams": _streams(session, baseline, row.report),
    }


def findings(facts: Json) -> list[Finding]:
    """What a person should know, the worst first; each with what to do about it."""
    found = [
        *_about_rows(facts),
        *_about_duplicates(facts),
        *_about_dead_columns(facts),
        *_about_drift(facts),
        *_about_contamination(facts),
        *_about_false_alarms(facts),
    ]
    order = ("problem", "warning", "info")
    return sorted(found, key=lambda finding: order.index(finding["severity"]))


def drift(unseen: NDArray[np.float64], rows: NDArray[np.int64]) -> Json:
    """Whether blocks of time score alike when held out; `rows` (u,) are their numbers.

    W. Kruskal, W. Wallis, Journal of the American Statistical Association 47, 1952; the effect is
    the share of the ranks' variance that lies between the blocks (epsilon squared).
    """
    from scipy.stats import kruskal

    blocks = np.array_split(np.arange(len(unseen)), min(BLOCKS, len(unseen)))
    told = [
        {
            "first_row": int(rows[block[0]]),
            "last_row": int(rows[block[-1]]),
            "median_score": float(np.median(unseen[block])),
            "over_limit": float(np.mean(unseen[block] > 1.0)),
        }
        for block in blocks
    ]
    effect, certainty = 0.0, 1.0
    if np.ptp(unseen) > 0.0 and len(unseen) > len(blocks):
        test = kruskal(*(unseen[block] for block in blocks))
        effect, certainty = float(test.statistic) / (len(unseen) - 1), float(test.pvalue)
    worst = max(float(np.median(unseen[block])) for block in blocks)
    rises = worst > (1.0 + DRIFT_RISE) * float(np.median(unseen))
    found = rises and certainty < DRIFT_CERTAINTY and effect >= DRIFT_EFFECT
    return {"found": found, "effect": effect, "blocks": told}


def contamination(unseen: NDArray[np.float64], rows: NDArray[np.int64]) -> Json:
    """Rows far from all others when held out, so that their likes cannot hide them.

    Far is by the median and the median deviation of the logarithms, which a tenth of foreign rows
    does not move much, and at least half as far again as the median row.

    >>> scores = np.array([0.6, 0.62, 0.58, 0.61, 0.6, 9.0])
    >>> contamination(scores, np.arange(6))["rows"]
    [5]
    """
    logs = np.log(np.maximum(unseen, np.finfo(np.float64).tiny))
    middle = float(np.median(logs))
    spread = 1.4826 * float(np.median(np.abs(logs - middle)))
    far = (logs - middle > FAR_SPREADS * spread) & (logs - middle > np.log(FAR_TIMES))
    order = np.flatnonzero(far)[np.argsort(-unseen[far], kind="stable")]
    return {
        "count": len(order),
        "rows": rows[order[:NAMED]].tolist(),
        "scores": unseen[order[:NAMED]].tolist(),
    }


def _facts(fitted: Map) -> Json:
    rows, different = len(fitted.coordinates), len(fitted.identity.first)
    dead = np.flatnonzero(fitted.scaling.still)
    unseen = fitted.unseen
    held = _rows_of(fitted)
    return {
        "rows": rows,
        "features": len(fitted.features),
        "family": fitted.scaling.family,
        "duplicates": {"count": rows - different, "rows": _repeated(fitted)},
        "dead_columns": {
            "count": len(dead),
            "names": [fitted.features[column] for column in dead[:NAMED]],
        },
        "drift": drift(unseen, held),
        "contamination": contamination(unseen, held),
        "false_alarms_per_day": sensitivity.cost(fitted, 1.0),
    }


def _rows_of(fitted: Map) -> NDArray[np.int64]:
    """The number of the row of each held-out score: all different ones, or an even selection."""
    first = fitted.identity.first
    places = np.linspace(0, len(first) - 1, len(fitted.unseen)).round().astype(np.int64)
    return first[places]


def _repeated(fitted: Map) -> list[int]:
    """The first rows that are copies of an earlier one."""
    copies = np.setdiff1d(np.arange(len(fitted.coordinates)), fitted.identity.first)
    numbers: list[int] = copies[:NAMED].tolist()
    return numbers


def _streams(session: Session, baseline: Baseline, report: Json) -> list[Json]:
    mine = select(Stream).where(Stream.baseline_id == baseline.id).order_by(Stream.id)
    usual = report.get("false_alarms_per_day")
    return [
        {
            "stream": stream.name,
            **sensitivity.told(
                stream.settings,
                usual,
                sensitivity.rate_or_usual(stream.arrivals, stream.settings),
            ),
        }
        for stream in session.scalars(mine)
    ]


def _finding(severity: str, code: str, message: str, action: str) -> Finding:
    return {"severity": severity, "code": code, "message": message, "action": action}


def _listed(words: list[str], count: int) -> str:
    return ", ".join(words[:LISTED]) + (", …" if count > LISTED else "")


def _about_rows(facts: Json) -> list[Finding]:
    if facts["rows"] >= FEW_ROWS:
        return []
    return [
        _finding(
            "warning",
            "FEW_ROWS",
            f"{facts['rows']} rows: limits from so few are wide, and small faults pass.",
            f"Record normal operation for longer and upload at least {FEW_ROWS} rows.",
        )
    ]


def _about_duplicates(facts: Json) -> list[Finding]:
    count = facts["duplicates"]["count"]
    if not count:
        return []
    share = count / facts["rows"]
    return [
        _finding(
            "warning" if share > MANY_DUPLICATES else "info",
            "DUPLICATES",
            f"{count:,} rows ({share:.0%}) are copies of earlier ones; each counts once.",
            "See whether the recorder repeats rows or a sensor is stuck.",
        )
    ]


def _about_dead_columns(facts: Json) -> list[Finding]:
    count = facts["dead_columns"]["count"]
    if not count:
        return []
    names = _listed(facts["dead_columns"]["names"], count)
    return [
        _finding(
            "warning" if 2 * count > facts["features"] else "info",
            "DEAD_COLUMNS",
            f"{count:,} of {facts['features']:,} features do not move: {names}. "
            "They are watched, and one that starts to move is seen.",
            "See that their sensors are connected; leave out columns that never mean anything.",
        )
    ]


def _about_drift(facts: Json) -> list[Finding]:
    if not facts["drift"]["found"]:
        return []
    worst = max(facts["drift"]["blocks"], key=lambda block: float(block["median_score"]))
    return [
        _finding(
            "warning",
            "DRIFT",
            f"The machine changed while the baseline was recorded: rows {worst['first_row']:,} to "
            f"{worst['last_row']:,} are unlike the others (median score "
            f"{worst['median_score']:.2f}).",
            "Leave out the run-in or the change if it is not normal operation; if it is, record "
            "until every state comes several times.",
        )
    ]


def _about_contamination(facts: Json) -> list[Finding]:
    found: dict[str, Any] = facts["contamination"]
    if not found["count"]:
        return []
    rows = ", ".join(f"{row:,}" for row in found["rows"][:5]) + (
        ", …" if found["count"] > 5 else ""
    )
    share = found["count"] / facts["rows"]
    return [
        _finding(
            "problem" if share > 0.02 else "warning",
            "CONTAMINATION",
            f"{found['count']:,} rows are far from all others and may not be healthy: {rows}.",
            "Look at them; upload the baseline without those that are no normal operation.",
        )
    ]


def _about_false_alarms(facts: Json) -> list[Finding]:
    expected: dict[str, float] = facts["false_alarms_per_day"]
    mean, low, high = (sensitivity.few(expected[name]) for name in ("expected", "low", "high"))
    told = f"At one row a second, {mean} false alarms a day are expected ({low} to {high})"
    if expected["high"] <= MANY_FALSE_ALARMS:
        return []
    severity = "warning" if expected["expected"] > MANY_FALSE_ALARMS else "info"
    action = "Lower the sensitivity, send fewer rows a second, or record a longer baseline."
    return [_finding(severity, "FALSE_ALARMS", f"{told}.", action)]
