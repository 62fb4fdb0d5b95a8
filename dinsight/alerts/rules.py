"""The rules of a baseline: which there are, changing them, and reading them for every batch.

Every change gives the baseline another `rules_revision`, drawn by lot as that of its areas is, so
that a process knows by a stream's row whether the rules that it remembers are still those.
"""

from __future__ import annotations

import datetime as dt
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from dinsight import baselines
from dinsight.accounts import Identity, audit
from dinsight.alerts import closing
from dinsight.alerts.engine import LONGEST_WINDOW, Condition
from dinsight.alerts.words import (
    FLAT,
    KINDS,
    LEVEL,
    MISSING,
    OF_MACHINE,
    SATURATED,
    SCORE,
    SEVERITIES,
    STALE,
)
from dinsight.errors import AlertRuleNotFound, BaselineNotFound, InvalidRequest
from dinsight.maps.levels import Level
from dinsight.models import AlertRule, Baseline, Json

MOST = 20  # of a baseline
NAME_LENGTH = 60
LEVELS = ("warning", "alarm")
STALE_SECONDS = 60.0
KEPT = 1_024  # baselines whose rules a process keeps
NUMBERS: Mapping[str, tuple[type, float, float]] = {
    "score": (float, 0.01, 1e6),
    "needed": (int, 1, LONGEST_WINDOW),
    "window": (int, 1, LONGEST_WINDOW),
    "seconds": (float, 1, 604_800),
    "hysteresis": (float, 0.1, 1),
}
SWITCHES = ("enabled", "mute_in_areas")
CONDITION = ("level", "score", "needed", "window", "seconds", "hysteresis", "mute_in_areas")
DEFAULTS: tuple[Json, ...] = (
    {"name": "Failing", "kind": LEVEL, "level": int(Level.ALARM), "severity": "high"},
    {"name": "Sensor stands still", "kind": FLAT, "severity": "medium"},
    {"name": "Sensor at its limit", "kind": SATURATED, "severity": "medium"},
    {"name": "Readings missing", "kind": MISSING, "severity": "medium"},
    {"name": "No points", "kind": STALE, "severity": "medium", "seconds": STALE_SECONDS},
)


@dataclass(frozen=True)
class Rule:
    """A rule as batches are judged by it."""

    id: int
    name: str
    kind: str
    severity: str
    enabled: bool
    condition: Condition
    mute_in_areas: bool

    @classmethod
    def of(cls, row: AlertRule) -> Rule:
        condition = Condition(
            level=row.level,
            score=row.score,
            needed=row.needed,
            window=row.window,
            seconds=row.seconds,
            hysteresis=row.hysteresis,
        )
        return cls(
            *(row.id, row.name, row.kind, row.severity, row.enabled),
            *(condition, row.mute_in_areas),
        )

    def to_dict(self) -> Json:
        """What an alert keeps of the rule that raised it."""
        condition = self.condition
        return {
            "id": self.id,
            "name": self.name,
            "kind": self.kind,
            "level": LEVELS[condition.level - 1] if condition.level else None,
            **{name: getattr(condition, name) for name in NUMBERS},
            "mute_in_areas": self.mute_in_areas,
        }


class _Cache:
    """The rules of the baselines that were asked for most recently, by their revision."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, str], tuple[Rule, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, session: Session, baseline_id: int, revision: str) -> tuple[Rule, ...]:
        key = (baseline_id, revision)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        present, found = _read(session, baseline_id)
        with self._lock:
            self._known[baseline_id, present] = found
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return found


_cache = _Cache()


def of_baseline(session: Session, baseline_id: int, revision: str) -> tuple[Rule, ...]:
    """The enabled rules; asks the database only after a change."""
    return _cache.get(session, baseline_id, revision) if revision else ()


def list_all(session: Session, who: Identity, baseline_id: int) -> list[Json]:
    """The rules of a baseline, the oldest first. Raises BaselineNotFound."""
    baseline = baselines.get(session, who, baseline_id)
    mine = select(AlertRule).where(AlertRule.baseline_id == baseline.id).order_by(AlertRule.id)
    return [describe(row) for row in session.scalars(mine)]


def watched(session: Session, who: Identity) -> int:
    """How many of the user's machines have a rule that is switched on."""
    mine = (
        select(func.count(AlertRule.baseline_id.distinct()))
        .join(Baseline, Baseline.id == AlertRule.baseline_id)
        .where(AlertRule.enabled, baselines.visible(who))
    )
    return session.scalars(mine).one()


def get(session: Session, who: Identity, rule_id: int) -> AlertRule:
    """Raises AlertRuleNotFound, also for a rule of another's baseline."""
    row = session.scalar(
        select(AlertRule)
        .join(Baseline, Baseline.id == AlertRule.baseline_id)
        .where(AlertRule.id == rule_id, baselines.visible(who))
    )
    if row is None:
        raise AlertRuleNotFound()
    return row


def add(session: Session, who: Identity, baseline_id: int, wanted: Mapping[str, Any]) -> Json:
    """Make a rule of these wishes. Raises InvalidRequest, which names what is wrong."""
    checked = check(wanted)
    _revise(session, who, baseline_id)
    mine = select(func.count()).select_from(AlertRule).where(AlertRule.baseline_id == baseline_id)
    if session.scalars(mine).one() >= MOST:
        raise InvalidRequest(f"A baseline has at most {MOST} rules: delete one first.")
    kind = checked["kind"]
    if kind not in OF_MACHINE and session.scalar(
        select(AlertRule.id).where(AlertRule.baseline_id == baseline_id, AlertRule.kind == kind)
    ):
        raise InvalidRequest(f"A baseline has one rule of kind {kind}: change that one.")
    row = AlertRule(baseline_id=baseline_id, **checked)
    session.add(row)
    session.flush()
    session.refresh(row)
    _audit(session, who, "alert_rule.added", row)
    return describe(row)


def change(
    session: Session,
    who: Identity,
    rule_id: int,
    wanted: Mapping[str, Any],
    *,
    now: dt.datetime,
) -> Json:
    """Change what is given; its kind stays.

    A rule with another condition begins anew: what it had raised is closed. With another severity
    only, what is active has it too. Raises AlertRuleNotFound and InvalidRequest.
    """
    row = _held(session, who, rule_id)
    before = describe(row)
    after = check({**before, **{k: v for k, v in wanted.items() if k != "kind"}})
    for name, value in after.items():
        setattr(row, name, value)
    row.changed_at = now
    session.flush()
    told = describe(row)
    if any(before[name] != told[name] for name in (*CONDITION, "enabled")):
        why = "The rule was changed." if row.enabled else "The rule was switched off."
        closing.of_rule(session, row.id, why, now=now)
    elif before["severity"] != told["severity"]:
        closing.grade(session, row.id, row.severity, now=now)
    _audit(session, who, "alert_rule.changed", row)
    return told


def remove(session: Session, who: Identity, rule_id: int, *, now: dt.datetime) -> None:
    """Delete a rule; its alerts stay, and those that are active are closed.

    Raises AlertRuleNotFound.
    """
    row = _held(session, who, rule_id)
    closing.of_rule(session, row.id, "The rule was deleted.", now=now)
    _audit(session, who, "alert_rule.deleted", row)
    session.delete(row)
    session.flush()


def add_defaults(session: Session, baseline_id: int) -> None:
    """The rules that a baseline has from the start, unless it has some; the baseline is held."""
    has = select(AlertRule.id).where(AlertRule.baseline_id == baseline_id).limit(1)
    if session.scalar(has) is not None:
        return
    session.add_all(AlertRule(baseline_id=baseline_id, **each) for each in DEFAULTS)
    session.execute(
        update(Baseline)
        .where(Baseline.id == baseline_id)
        .values(rules_revision=secrets.token_hex(4)),
        execution_options={"synchronize_session": False},
    )


def describe(row: AlertRule) -> Json:
    return {
        "id": row.id,
        "baseline_id": row.baseline_id,
        "name": row.name,
        "kind": row.kind,
        "level": LEVELS[row.level - 1] if row.level else None,
        **{name: getattr(row, name) for name in NUMBERS},
        "severity": row.severity,
        **{name: getattr(row, name) for name in SWITCHES},
        "created_at": row.created_at,
        "changed_at": row.changed_at,
    }


def check(wanted: Mapping[str, Any]) -> Json:
    """The columns of a rule that is asked for. Raises InvalidRequest, which names what is wrong."""
    kind, severity = wanted.get("kind"), wanted.get("severity") or "high"
    if kind not in KINDS:
        raise InvalidRequest(f"kind must be one of {', '.join(KINDS)}.")
    if severity not in SEVERITIES:
        raise InvalidRequest(f"severity must be one of {', '.join(SEVERITIES)}.")
    checked: Json = {"name": _name(wanted.get("name")), "kind": kind, "severity": severity}
    for name in SWITCHES:
        given = wanted.get(name)
        if given is not None and not isinstance(given, bool):
            raise InvalidRequest(f"{name} must be true or false.")
        checked[name] = (name == "enabled") if given is None else given
    checked["level"] = _level(wanted.get("level")) if kind == LEVEL else None
    needs_score = kind == SCORE
    checked["score"] = _number("score", wanted.get("score"), None) if needs_score else None
    if needs_score and checked["score"] is None:
        raise InvalidRequest("score must say above which score the rule is met (alarm limit = 1).")
    return checked | _duration(kind, wanted)


def _duration(kind: str, wanted: Mapping[str, Any]) -> Json:
    default = STALE_SECONDS if kind == STALE else None
    seconds = _number("seconds", wanted.get("seconds"), default)
    needed = _number("needed", wanted.get("needed"), 1)
    window = _number("window", wanted.get("window"), needed)
    if needed > window:
        raise InvalidRequest("needed can be no more than window: n of the last m rows.")
    hysteresis = _number("hysteresis", wanted.get("hysteresis"), 0.9)
    if kind not in OF_MACHINE:
        needed = window = 1
        seconds = seconds if kind == STALE else None
    return {"needed": needed, "window": window, "seconds": seconds, "hysteresis": hysteresis}


def _name(value: Any) -> str:
    name = value.strip() if isinstance(value, str) else ""
    if not 1 <= len(name) <= NAME_LENGTH or not name.isprintable():
        raise InvalidRequest(f"A rule's name has 1 to {NAME_LENGTH} printable characters.")
    return str(name)


def _level(value: Any) -> int:
    if value not in LEVELS:
        raise InvalidRequest(f"level must be one of {', '.join(LEVELS)}.")
    return LEVELS.index(value) + 1


def _number(name: str, value: Any, default: Any) -> Any:
    if value is None:
        return default
    kind, low, high = NUMBERS[name]
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not good or not low <= value <= high or (kind is int and not whole):
        number = "a whole number" if kind is int else "a number"
        raise InvalidRequest(f"{name} must be {number} from {low:,} to {high:,}.")
    return kind(value)


def _held(session: Session, who: Identity, rule_id: int) -> AlertRule:
    """The rule, its baseline held. Raises AlertRuleNotFound, also if it was deleted meanwhile."""
    _revise(session, who, get(session, who, rule_id).baseline_id)
    row = session.get(AlertRule, rule_id, populate_existing=True)
    if row is None:
        raise AlertRuleNotFound()
    return row


def _revise(session: Session, who: Identity, baseline_id: int) -> None:
    """Hold the baseline, whose rules this transaction changes: a new revision."""
    revised = (
        update(Baseline)
        .where(Baseline.id == baseline_id, baselines.visible(who))
        .values(rules_revision=secrets.token_hex(4))
        .returning(Baseline.id)
    )
    if session.scalar(revised) is None:
        raise BaselineNotFound()


def _read(session: Session, baseline_id: int) -> tuple[str, tuple[Rule, ...]]:
    """The revision and the enabled rules, as of one moment: in one statement."""
    found = session.execute(
        select(Baseline.rules_revision, AlertRule)
        .outerjoin(AlertRule, (AlertRule.baseline_id == Baseline.id) & AlertRule.enabled)
        .where(Baseline.id == baseline_id)
        .order_by(AlertRule.id)
    ).all()
    if not found:
        raise BaselineNotFound()  # deleted meanwhile
    return found[0][0], tuple(Rule.of(row) for _, row in found if row is not None)


def _audit(session: Session, who: Identity, action: str, row: AlertRule) -> None:
    audit(
        session,
        action,
        user_id=who.id,
        subject=str(row.baseline_id),
        rule=row.id,
        name=row.name,
    )


def by_kind(rules: Sequence[Rule], kind: str) -> Rule | None:
    """The first rule of a kind, of which one is enough."""
    return next((rule for rule in rules if rule.kind == kind), None)
