"""A baseline whose streams are sent to at moments that a test chooses, and their alerts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import select

from dinsight import streams
from dinsight.accounts import Identity
from dinsight.alerts import listing, rules
from dinsight.ingest import Incoming, ingest
from dinsight.models import Alert, Json, Stream
from dinsight.services import Services
from tests.factories import FEATURES, csv

NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)


class Plant:
    """Sends to the streams of a baseline; a second passes with every batch."""

    def __init__(
        self,
        services: Services,
        who: Identity,
        baseline_id: int,
        features: Sequence[str] = FEATURES,
    ) -> None:
        self.services, self.who, self.baseline_id = services, who, baseline_id
        self.features = features
        self.now = NOW

    def send(self, values: np.ndarray, stream: str = "default", after: float = 1.0) -> Json:
        self.now += dt.timedelta(seconds=after)
        incoming = Incoming(csv(values, self.features), "batch.csv", stream)
        with self.services.sessions.begin() as session:
            return ingest(
                session,
                self.who,
                self.baseline_id,
                incoming,
                limits=self.services.limits,
                now=self.now,
            )

    def rule(self, **wanted: Any) -> Json:
        """A rule more; by default one about the level `alarm`."""
        asked = {"name": "Mine", "kind": "level", "level": "alarm", **wanted}
        with self.services.sessions.begin() as session:
            return rules.add(session, self.who, self.baseline_id, asked)

    def rules(self) -> dict[str, Json]:
        with self.services.sessions() as session:
            found = rules.list_all(session, self.who, self.baseline_id)
        return {rule["kind"]: rule for rule in found}

    def change(self, rule_id: int, **wanted: Any) -> Json:
        with self.services.sessions.begin() as session:
            return rules.change(session, self.who, rule_id, wanted, now=self.now)

    def alerts(self, who: Identity | None = None, **wanted: Any) -> list[Json]:
        with self.services.sessions() as session:
            wish = listing.Wish(**wanted)
            return listing.page(session, who or self.who, wish, now=self.now).alerts

    def alert(self, alert_id: int) -> Json:
        with self.services.sessions() as session:
            return listing.get(session, self.who, alert_id, now=self.now)

    def do(self, act: Any, *args: Any, who: Identity | None = None) -> Any:
        """One of `dinsight.alerts.acting` or `dinsight.streams`, in a transaction of its own."""
        with self.services.sessions.begin() as session:
            return act(session, who or self.who, *args, now=self.now)

    def reset(self, stream: str = "default") -> None:
        self.do(streams.reset, self.baseline_id, stream)

    def told(self, stream: str = "default") -> Json:
        """What the stream's row remembers."""
        with self.services.sessions() as session:
            asked = select(Stream.alert_state).where(
                Stream.baseline_id == self.baseline_id, Stream.name == stream
            )
            return dict(session.scalars(asked).one())

    def stored(self) -> list[Alert]:
        with self.services.sessions() as session:
            return list(session.scalars(select(Alert).order_by(Alert.id)))
