"""Which columns are features, which a filter keeps, and what is missing. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from simulator.errors import ColumnsDiffer

_FREQUENCY = re.compile(r"freq_([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)", re.IGNORECASE)
_INDEX = re.compile(r"f_(\d+)", re.IGNORECASE)
_SHOWN = 5


def frequency(name: str) -> float | None:
    """Hz of a column `freq_<x>`, else None.

    >>> frequency("freq_12.50"), frequency("FREQ_3"), frequency("f_3")
    (12.5, 3.0, None)
    """
    match = _FREQUENCY.fullmatch(name)
    return float(match[1]) if match else None


def index(name: str) -> int | None:
    """n of a column `f_<n>`, else None."""
    match = _INDEX.fullmatch(name)
    return int(match[1]) if match else None


def is_family(name: str) -> bool:
    """Whether the name alone makes a column a feature (`f_<n>` or `freq_<x>`)."""
    return frequency(name) is not None or index(name) is not None


def features_by_name(names: Iterable[str]) -> tuple[str, ...]:
    """The columns that are features by their name; empty for a file of plain numeric columns."""
    return tuple(name for name in names if is_family(name))


def filtered(
    names: Sequence[str], max_freq: float | None, max_index: int | None, where: str
) -> tuple[int, ...]:
    """Places of the columns that the filters keep; metadata columns always stay.

    Raises ColumnsDiffer when a filter has nothing to work on or leaves no feature at all.

    >>> filtered(["t", "freq_0", "freq_500", "freq_501"], 500, None, "a.csv")
    (0, 1, 2)
    """
    frequencies, indexes = [frequency(n) for n in names], [index(n) for n in names]
    for option, limit, values, kind in (
        ("--feature-max-freq", max_freq, frequencies, "freq_<Hz>"),
        ("--feature-max-index", max_index, indexes, "f_<n>"),
    ):
        if limit is not None and all(value is None for value in values):
            raise ColumnsDiffer(f"{option} needs {kind} columns; {where} has none")
    kept = tuple(
        place
        for place, (hz, number) in enumerate(zip(frequencies, indexes, strict=True))
        if not (hz is not None and max_freq is not None and hz > max_freq)
        and not (number is not None and max_index is not None and number > max_index)
    )
    if features_by_name(names) and not features_by_name(names[place] for place in kept):
        raise ColumnsDiffer(f"the filters leave no feature column of {where}")
    return kept


def missing(expected: Sequence[str], names: Iterable[str]) -> list[str]:
    """The expected columns that are not among the names (upper or lower case is free)."""
    present = {name.casefold() for name in names}
    return [name for name in expected if name.casefold() not in present]


def listed(names: Sequence[str]) -> str:
    """At most five names and how many more there are.

    >>> listed(["a", "b"]), listed(list("abcdefg"))
    ('a, b', 'a, b, c, d, e and 2 more')
    """
    shown = ", ".join(names[:_SHOWN])
    more = len(names) - _SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown
