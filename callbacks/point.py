"""The panel of one point. The page asks for one at a time, and for the last that was wanted."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from dash import Dash

from api.security import page_user
from callbacks import asked
from callbacks.denials import deny
from callbacks.live import Ask
from dinsight import candidates, diagnosis
from dinsight.accounts import Identity
from dinsight.errors import BaselineNotFound, DinsightError, InvalidRequest
from dinsight.models import Json
from dinsight.services import Services
from layouts import figures_point, point
from layouts.point import Ids


@dataclass(frozen=True)
class PointAsk:
    """The point that is asked for, and how it will be drawn."""

    stream: Ask
    epoch: int
    seq: int
    theme: str
    touch: bool

    @classmethod
    def parse(cls, data: Any) -> PointAsk:
        """From what the page sent; raises InvalidRequest."""
        stream = Ask.parse(data)
        epoch, seq = data.get("epoch"), data.get("seq")
        if type(epoch) is not int or type(seq) is not int or epoch < 1 or seq < 1:
            raise InvalidRequest("A point is named by its epoch and its seq, such as 1:250.")
        return cls(stream, epoch, seq, str(data.get("theme")), bool(data.get("touch")))


def register(app: Dash, services: Services) -> None:
    def tell(data: Any) -> Json:
        return told(services, page_user(), PointAsk.parse(data))

    asked.answer(app, Ids.ASK, Ids.ANSWER, tell)


def told(services: Services, who: Identity, ask: PointAsk) -> Json:
    """What the panel shows, as HTML and a figure; or, in a sentence, why there is nothing."""
    head: Json = {"key": ask.stream.key, "epoch": ask.epoch, "seq": ask.seq}
    try:
        found = explain(services, who, ask)
    except DinsightError as error:
        if isinstance(error, BaselineNotFound):
            subject = f"point of {ask.stream.baseline_id}/{ask.stream.stream}"
            deny(services, who, subject, ask.stream.baseline_id)
        said = {"said": error.message, "top": point.refused(error.message), "rest": ""}
        return {**head, "found": False, **said}
    figure = figures_point.spectrum(
        found["spectrum"], found["bands"], theme_name=ask.theme, touch=ask.touch
    )
    shown = {"said": found["sentence"], "top": point.top(found), "rest": point.rest(found)}
    return {**head, **shown, "figure": figure, **places(found)}


def explain(services: Services, who: Identity, ask: PointAsk) -> Json:
    if ask.stream.baseline_id is None:
        raise BaselineNotFound()
    of = (ask.stream.baseline_id, ask.stream.stream)
    with services.sessions() as session:
        found = diagnosis.explain(session, who, *of, ask.seq, epoch=ask.epoch)
        return found | {"episode": candidates.episode(session, who, *of, (ask.epoch, ask.seq))}


def places(found: Json) -> Json:
    """What the page marks on the map."""
    near = found["nearest"]
    return {
        "found": True,
        "x": found["dinsight_x"],
        "y": found["dinsight_y"],
        "created_at": found["created_at"].astimezone(dt.UTC).isoformat(),
        "nearest": near and {"x": near["dinsight_x"], "y": near["dinsight_y"], "row": near["row"]},
    }
