"""Sensitivity: from which score on a point alarms, and how often a healthy machine then does.

A factor from 0.5 to 5 moves the limit, 3 being the limit that the map was calibrated to; a higher
one detects more and gives more false alarms. It can also be set by what it costs: the false alarms
a day to expect, which depend on the rows a second that a stream has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dinsight.errors import InvalidRequest
from dinsight.maps import Map
from dinsight.models import Json

LEAST, MOST, DEFAULT = 0.5, 5.0, 3.0
MEDIUM_FROM, HIGH_FROM = 2.0, 4.0
USUAL_RATE = 1.0  # rows a second, where a stream has none yet
WISHES = ("sensitivity_factor", "false_alarms_per_day")
DEFAULTS: Json = {"sensitivity_factor": DEFAULT, "alarm_limit": 1.0}
CHOICES = (0.1, 0.5, 1.0, 5.0, 24.0)  # false alarms a day that a page offers
STEPS = 40  # halvings: the factor is then exact to a float32


def check(value: Any) -> float:
    """A sensitivity factor; raises InvalidRequest.

    >>> check(2)
    2.0
    """
    number = _number(value)
    if number is None or not LEAST <= number <= MOST:
        raise InvalidRequest(f"sensitivity_factor must be a number from {LEAST} to {MOST:.0f}.")
    return number


def word(factor: float) -> str:
    """How users read a factor.

    >>> [word(factor) for factor in (0.5, 2, 3, 4.5)]
    ['low', 'medium', 'medium', 'high']
    """
    return "high" if factor >= HIGH_FROM else "medium" if factor >= MEDIUM_FROM else "low"


def factor_of(settings: Mapping[str, Any]) -> float:
    """The factor that a stream's settings hold."""
    return float(settings.get("sensitivity_factor", DEFAULT))


def limit_of(settings: Mapping[str, Any]) -> float:
    """The alarm limit, a score, that a stream's settings hold: that of its factor on its map."""
    return float(settings.get("alarm_limit", 1.0))


def change(wishes: Mapping[str, Any], fitted: Map, rows_per_second: float) -> Json:
    """The settings that hold what is asked for, a factor or false alarms a day; none for no wish.

    What follows from the factor on this map is kept with it, the limit and what it costs at one
    row a second: finding that takes longer than to judge a batch. Raises InvalidRequest for a wish
    that cannot be met, or for both at once.
    """
    factor, per_day = (wishes.get(wish) for wish in WISHES)
    if factor is not None and per_day is not None:
        raise InvalidRequest("Give sensitivity_factor or false_alarms_per_day, not both.")
    if per_day is not None:
        factor = factor_for(per_day, fitted, rows_per_second)
    if factor is None:
        return {}
    factor = check(factor)
    limit = fitted.limit_at(factor)
    return {"sensitivity_factor": factor, "alarm_limit": limit, "cost": cost(fitted, limit)}


def again(settings: Mapping[str, Any], fitted: Map) -> Json:
    """The change of settings that the same factor makes on another map."""
    return change({WISHES[0]: settings.get(WISHES[0])}, fitted, USUAL_RATE)


def factor_for(per_day: Any, fitted: Map, rows_per_second: float) -> float:
    """The factor at which so many false alarms a day are expected; raises InvalidRequest."""
    number = _number(per_day)
    if number is None or not number > 0.0:
        raise InvalidRequest("false_alarms_per_day must be a number above 0.")
    limit = fitted.limit_for(number, rows_per_second)
    if not fitted.limit_at(MOST) <= limit <= fitted.limit_at(LEAST):
        fewest, most = reach(fitted, rows_per_second)
        raise InvalidRequest(
            f"At {rows_per_second:.3g} rows a second false_alarms_per_day can be set from about "
            f"{fewest:.3g} to {most:.3g} on this map: send fewer rows, or a longer baseline."
        )
    low, high = LEAST, MOST  # the limit falls as the factor rises
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if fitted.limit_at(middle) > limit else (low, middle)
    return high


def reach(fitted: Map, rows_per_second: float) -> tuple[float, float]:
    """The fewest and the most false alarms a day that a map can be set to at a rate."""
    fewest, most = (
        fitted.false_alarms(fitted.limit_at(factor), rows_per_second).per_day
        for factor in (LEAST, MOST)
    )
    return fewest, most


def told(settings: Mapping[str, Any], usual: Json | None, rows_per_second: float) -> Json:
    """What a status says: the factor, the score that it alarms from, and what that costs.

    `usual` is the cost of the usual factor on this map, which settings without a wish have; None
    where it is not known.
    """
    found = settings.get("cost", usual)
    return {
        "sensitivity_factor": factor_of(settings),
        "alarm_limit": limit_of(settings),
        "false_alarms_per_day": at_rate(found, rows_per_second) if found else None,
    }


def cost(fitted: Map, limit: float) -> Json:
    """False alarms a day of a healthy machine at one row a second, and the interval of them."""
    found = fitted.false_alarms(limit, USUAL_RATE)
    return {
        "expected": found.per_day,
        "low": found.low,
        "high": found.high,
        "rows_per_second": USUAL_RATE,
    }


def at_rate(cost: Json, rows_per_second: float) -> Json:
    """The cost at another rate: twice the rows have twice the chances.

    >>> at_rate({"expected": 0.5, "low": 0.25, "high": 1.0, "rows_per_second": 1.0}, 2.0)
    {'expected': 1.0, 'low': 0.5, 'high': 2.0, 'rows_per_second': 2.0}
    """
    times = rows_per_second / cost["rows_per_second"]
    scaled = {name: cost[name] * times for name in ("expected", "low", "high")}
    return {**scaled, "rows_per_second": rows_per_second}


def few(per_day: float) -> str:
    """How often a day, as a person reads it.

    >>> few(0.004), few(0.512), few(12.4), few(1234.5)
    ('less than 0.01', '0.51', '12', '1,234')
    """
    if per_day < 0.01:
        return "less than 0.01"
    return f"{per_day:.2g}" if per_day < 10 else f"{per_day:,.0f}"


def rate(arrivals: list[list[float]]) -> float | None:
    """Points a second over the last batches, each [seconds since 1970, last seq].

    >>> rate([[0.0, 5], [2.0, 15], [4.0, 25]])
    5.0
    """
    if len(arrivals) < 2 or arrivals[-1][0] <= arrivals[0][0]:
        return None
    (began, had), (ended, has) = arrivals[0], arrivals[-1]
    return (has - had) / (ended - began)


def rate_or_usual(arrivals: list[list[float]], settings: Mapping[str, Any]) -> float:
    """Rows a second: as observed, else as declared, else one."""
    return rate(arrivals) or _declared(settings) or USUAL_RATE


def _declared(settings: Mapping[str, Any]) -> float | None:
    delay = settings.get("delay_seconds")
    return settings.get("batch_size", 1) / delay if delay else None


def _number(value: Any) -> float | None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None
