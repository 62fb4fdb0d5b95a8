"""When a rule raises an alert, and when it is over. Pure: arrays in, transitions and state out.

A row *meets* a rule: its level is the rule's or worse, or its score is above the rule's. It *holds*
it as long as the score is not below `hysteresis` times that (a level has its own hysteresis). A
rule is raised at a row that meets it where

- `needed` of the last `window` rows meet it, or
- where `seconds` is given, every row of at least so many seconds does.

It is over at the first row at which none of the last `window` rows, or of so many seconds, holds
it. A rule that is raised again within `REJOIN_SECONDS` of its end goes on with the same alert: what
flickers is one alert that came so many times (after the "chattering" and "fleeting" alarms of
ISA-18.2 and EEMUA 191).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

REJOIN_SECONDS = 600.0
LONGEST_WINDOW = 1_000
RAISED, AGAIN, CLEARED = "raised", "raised_again", "cleared"

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Condition:
    """What a rule asks for: a level or worse, or a score above `score`, and for how long."""

    level: int | None = None
    score: float | None = None
    needed: int = 1
    window: int = 1
    seconds: float | None = None
    hysteresis: float = 0.9


@dataclass(frozen=True)
class Rows:
    """Rows in order, each (m,): when they came (seconds since 1970), score, level.

    `muted` rows lie in a normal area that the rule minds: they neither meet nor hold it.
    """

    at: NDArray[np.float64]
    score: NDArray[Any]
    level: NDArray[Any]
    muted: Flags | None = None


@dataclass(frozen=True)
class State:
    """What is remembered between batches.

    `recent` are the last rows, up to `window - 1`, as 1 (meets the rule) and 0, from a 1 on.
    `met_since` is when the rows that meet it in a row began, in seconds since 1970. While it is
    active, `quiet` counts the rows in a row that do not hold it, and `quiet_since` is when those
    began. `waiting`: it was ended by hand, and is raised again only after it has once been over by
    itself. `ended` is when it last was.
    """

    recent: str = ""
    quiet: int = 0
    met_since: float | None = None
    quiet_since: float | None = None
    active: bool = False
    waiting: bool = False
    ended: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON; what is as at the start is left out."""
        start = State()
        return {k: value for k, value in asdict(self).items() if value != getattr(start, k)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any] | None) -> State:
        return cls(**(stored or {}))


class Transition(NamedTuple):
    """What happened at a row: `raised`, `raised_again` or `cleared`."""

    kind: str
    row: int


def run(
    condition: Condition, state: State, rows: Rows, held_back: Sequence[range] = ()
) -> tuple[list[Transition], State]:
    """The transitions of a rule over these rows, and the state after them.

    At the rows of `held_back` it is not raised, whatever they show.
    Splitting the rows anywhere and running the parts one after the other gives the same.

    >>> two_of_three = Condition(score=1.0, needed=2, window=3)
    >>> scores = np.array([1.2, 0.5, 1.4, 1.1, 0.7, 0.8, 0.6])
    >>> rows = Rows(np.arange(7.0), scores, np.zeros(7))
    >>> [tuple(each) for each in run(two_of_three, State(), rows)[0]]
    [('raised', 2), ('cleared', 6)]
    """
    meets, holds = _flags(condition, rows)
    if not holds.any() and state == State(ended=state.ended):
        return [], state  # the usual case: nothing is wrong, and nothing was
    raising, ending, after = _candidates(condition, state, rows.at, meets, holds)
    if any(held_back):
        barred = {row for each in held_back for row in each}
        raising = [row for row in raising if row not in barred]
    return _walk(state, rows.at, raising, ending, after)


def _flags(condition: Condition, rows: Rows) -> tuple[Flags, Flags]:
    """Which rows meet the condition, and which hold it."""
    if condition.level is not None:
        meets = holds = np.asarray(rows.level) >= condition.level
    else:
        limit = float(condition.score or 0.0)
        score = np.asarray(rows.score, dtype=np.float64)
        meets, holds = score > limit, score >= condition.hysteresis * limit
        holds |= meets
    if rows.muted is not None:
        meets, holds = meets & ~rows.muted, holds & ~rows.muted
    return meets, holds


def _candidates(
    condition: Condition, state: State, at: NDArray[np.float64], meets: Flags, holds: Flags
) -> tuple[list[int], list[int], State]:
    """The rows at which it may be raised, those at which it may end, and the counts after them."""
    met = _since(meets, at, state.met_since)
    quiet = _since(~holds, at, state.quiet_since)
    runs = _runs(~holds, state.quiet)
    if condition.seconds is not None:
        raising = meets & (at - met >= condition.seconds)
        ending = ~holds & (at - quiet >= condition.seconds)
        recent = ""
    else:
        before = np.frombuffer(state.recent.encode(), np.uint8) == ord("1")
        joined = np.concatenate([before, meets])
        counts = np.cumsum(joined, dtype=np.int64)
        counts[condition.window :] -= counts[: -condition.window].copy()
        raising = meets & (counts[len(before) :] >= condition.needed)
        ending = runs >= condition.window
        kept = joined[max(0, len(joined) - condition.window + 1) :]
        recent = "".join("1" if each else "0" for each in kept.tolist())
    after = replace(
        state,
        recent=recent.lstrip("0"),
        quiet=min(int(runs[-1]), condition.window),
        met_since=float(met[-1]) if meets[-1] and condition.seconds else None,
        quiet_since=float(quiet[-1]) if not holds[-1] and condition.seconds else None,
    )
    return np.flatnonzero(raising).tolist(), np.flatnonzero(ending).tolist(), after


def _runs(flags: Flags, before: int) -> NDArray[np.int64]:
    """How many rows in a row the flag has been on, at each row; `before` of them came earlier."""
    place = np.arange(len(flags))
    off = np.maximum.accumulate(np.where(flags, -1 - before, place))
    return np.where(flags, place - off, 0)


def _since(flags: Flags, at: NDArray[np.float64], before: float | None) -> NDArray[np.float64]:
    """When the run of rows with the flag that each row is in began; NaN where it is off."""
    begins = flags.copy()
    begins[1:] &= ~flags[:-1]
    start = np.maximum.accumulate(np.where(begins, np.arange(len(flags)), 0))
    found = np.where(flags, at[start], np.nan)
    if before is not None and flags[0]:
        first = np.argmin(flags) if not flags.all() else len(flags)
        found[:first] = before
    return found


def _walk(
    state: State, at: NDArray[np.float64], raising: list[int], ending: list[int], after: State
) -> tuple[list[Transition], State]:
    """From one transition to the next, in one go through both lists."""
    found: list[Transition] = []
    active, waiting, ended = state.active, state.waiting, state.ended
    times = at.tolist()
    raises, ends, place = iter(raising), iter(ending), -1
    while True:
        rows = ends if active or waiting else raises
        place = next((row for row in rows if row > place), len(times))
        if place == len(times):
            break
        if active:
            found.append(Transition(CLEARED, place))
            active, ended = False, times[place]
        elif waiting:
            waiting = False
        else:
            again = ended is not None and times[place] - ended <= REJOIN_SECONDS
            found.append(Transition(AGAIN if again else RAISED, place))
            active = True
    if not (active or waiting):
        after = replace(after, quiet=0, quiet_since=None)
    return found, replace(after, active=active, waiting=waiting, ended=ended)
