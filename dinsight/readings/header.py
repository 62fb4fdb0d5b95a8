"""The header: which columns are features, which are metadata, and where they stand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from dinsight.readings import exported, faults
from dinsight.readings.model import Columns
from dinsight.readings.numbers import is_decimal, is_numeric_column
from dinsight.readings.source import decoded

CACHED_HEADERS = 64
CACHED_BYTES = 256 * 1024  # a longer header is parsed anew each time: the cache stays small

_FAMILY = re.compile(
    r"f_[0-9]+|freq_[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?", re.ASCII | re.IGNORECASE
)

Header = bytes | tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """Where each value of a row goes.

    `names` are the file's columns, `features` the names of the values in their order and
    `positions` the columns they come from. A plan without features waits for the first rows to
    tell which columns hold numbers (`decide`).
    """

    line: int
    names: tuple[str, ...]
    features: tuple[str, ...]
    positions: tuple[int, ...]

    @property
    def width(self) -> int:
        return len(self.names)

    @property
    def columns(self) -> Columns:
        shown = (name for name in self.metadata_names if not exported.is_hidden(name))
        return Columns(self.features, tuple(shown))

    @cached_property
    def is_exported(self) -> bool:
        """Whether the file is an export of ours, with results beside what was sent."""
        return exported.is_hidden(self.names[0])

    @cached_property
    def metadata_positions(self) -> tuple[int, ...]:
        features = set(self.positions)
        return tuple(at for at in range(len(self.names)) if at not in features)

    @cached_property
    def metadata_names(self) -> tuple[str, ...]:
        return tuple(self.names[at] for at in self.metadata_positions)

    @cached_property
    def around(self) -> tuple[int, int] | None:
        """How many metadata columns stand before and after the features; None if in between."""
        first, last = min(self.positions), max(self.positions)
        if last - first + 1 != len(self.positions):
            return None
        return first, len(self.names) - 1 - last

    @cached_property
    def order(self) -> npt.NDArray[np.intp] | None:
        """For features that stand together: which of them each value is; None if in order."""
        if self.positions == tuple(sorted(self.positions)):
            return None
        return np.array(self.positions, dtype=np.intp) - min(self.positions)


def make_plan(
    header: Header, line: int, expected: tuple[str, ...] | None, most_columns: int
) -> Plan:
    """The plan for a header line: raw bytes without quotes, or the cells of a quoted one."""
    cells = _split(header, line) if isinstance(header, bytes) else header
    names = tuple(cell.strip() for cell in cells)
    ours = exported.is_exported(names)
    if (sent := len(cells) - ours * len(exported.COLUMNS)) > most_columns:
        raise faults.too_many_columns(sent, most_columns)
    if isinstance(header, bytes):
        _refuse_other_delimiter(names, line, expected)
    if ours:
        names = exported.hidden(names)
    _refuse_blank_and_double(names, line)
    if expected is not None:
        positions = find_columns(names, expected)
        return Plan(line, names, expected, positions)
    positions = tuple(at for at, name in enumerate(names) if _is_family(name))
    _refuse_same_but_for_case(names, positions, line)
    return _planned(line, names, positions)


_cached_plan = lru_cache(CACHED_HEADERS)(make_plan)


def plan_for(
    header: Header, line: int, expected: tuple[str, ...] | None, most_columns: int
) -> Plan:
    """`make_plan`, remembered: a machine sends the same header with every batch."""
    size = len(header) if isinstance(header, bytes) else sum(map(len, header))
    make = _cached_plan if size <= CACHED_BYTES else make_plan
    return make(header, line, expected, most_columns)


def decide(plan: Plan, rows: Sequence[Sequence[str]]) -> Plan:
    """The plan with every numeric column of these first rows as a feature."""
    columns = enumerate(zip(*rows, strict=True))
    positions = tuple(
        at
        for at, cells in columns
        if not exported.is_hidden(plan.names[at]) and is_numeric_column(cells)
    )
    if not positions:
        raise faults.no_features(plan.line)
    return _planned(plan.line, plan.names, positions)


def _planned(line: int, names: tuple[str, ...], positions: tuple[int, ...]) -> Plan:
    return Plan(line, names, tuple(names[at] for at in positions), positions)


def _split(raw: bytes, line: int) -> tuple[str, ...]:
    text = decoded(raw, line)
    if "\r" in text:
        raise faults.bare_return(line)
    return tuple(text.split(","))


def _refuse_other_delimiter(
    names: Sequence[str], line: int, expected: tuple[str, ...] | None
) -> None:
    """A header is judged by what its names become with another delimiter.

    `a;b` alone may be one odd name, but it is far more often two columns; among other names it
    is taken as it is, unless the other delimiter makes more features (`freq_0,5;freq_1,5`).
    """
    whole = ",".join(names)
    features = sum(map(_is_family, names)) + (names[0] in (expected or ()))
    for mark in (mark for mark in faults.MARKS if mark in whole):
        parts = [part.strip().replace(",", ".") for part in whole.split(mark)]
        alone = len(names) == 1 < len(parts) and not features
        if alone or sum(map(_is_family, parts)) > features:
            raise faults.wrong_delimiter(line, mark)


def _is_family(name: str) -> bool:
    return _FAMILY.fullmatch(name) is not None


def _refuse_blank_and_double(names: Sequence[str], line: int) -> None:
    if len(set(names)) == len(names) and "" not in names:
        return
    first: dict[str, int] = {}
    for at, name in enumerate(names):
        if not name:
            raise faults.blank_header(line, at + 1)
        if name in first:
            numbers = all(map(is_decimal, names))
            raise faults.duplicate_header(line, first[name], at, names, numbers)
        first[name] = at


def _refuse_same_but_for_case(names: Sequence[str], positions: Iterable[int], line: int) -> None:
    """`f_1` and `F_1` are the same feature. Other names keep their case: t (time), T (kelvin)."""
    first: dict[str, int] = {}
    for at in positions:
        before = first.setdefault(names[at].casefold(), at)
        if before != at:
            raise faults.duplicate_header(line, before, at, names, False)


def find_columns(names: Sequence[str], expected: Sequence[str]) -> tuple[int, ...]:
    """Where the expected features stand: by exact name, else by a name that differs in case.

    Raises ColumnsMissing, naming them.

    >>> find_columns(["time", "F_1", "f_0"], ["f_0", "f_1"])
    (2, 1)
    """
    exact = {name: at for at, name in enumerate(names)}
    found = {name: exact[name] for name in expected if name in exact}
    if len(found) < len(expected):
        found |= _found_but_for_case(names, [name for name in expected if name not in found], found)
    missing = [name for name in expected if name not in found]
    if missing:
        raise faults.columns_missing(missing, len(expected))
    return tuple(found[name] for name in expected)


def _found_but_for_case(
    names: Sequence[str], wanted: Iterable[str], found: dict[str, int]
) -> dict[str, int]:
    used = set(found.values())
    spare: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        if at not in used:
            spare.setdefault(name.casefold(), []).append(at)
    asked: dict[str, list[str]] = {}
    for name in wanted:
        asked.setdefault(name.casefold(), []).append(name)
    return {
        same[0]: spare[folded][0]
        for folded, same in asked.items()
        if len(same) == 1 and len(spare.get(folded, ())) == 1
    }
