"""Another stream on the map of this one: its choice in the View panel, its line in the status."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from dash import html

from dinsight.overlay import Name, Offer
from layouts.components import select

NOTHING = {"label": "nothing", "value": ""}


@enum.unique
class Ids(enum.StrEnum):
    WITH = "compare-with"
    LINE = "compare-line"
    MACHINE = "compare-machine"
    STATE = "compare-state"
    SAID = "compare-said"
    # the script's questions and their answers
    LOOK = "compare-look"
    OFFERED = "compare-offered"
    ASK = "compare-ask"
    FEED = "compare-feed"


def choice() -> html.Div:
    return select("Compare with", Ids.WITH, {NOTHING["value"]: NOTHING["label"]})


def line() -> html.Div:
    return html.Div(
        [
            html.Span(className="compare-mark", **{"aria-hidden": "true"}),
            html.Span(id=Ids.MACHINE, className="compare-machine"),
            html.Span(id=Ids.STATE, className="state state-unknown", hidden=True),
            html.Span(id=Ids.SAID, className="compare-said"),
        ],
        id=Ids.LINE,
        className="compare-line",
        hidden=True,
        **{"aria-label": "The compared stream", "role": "group"},
    )


def options(shown: Name, offers: Sequence[Offer]) -> list[dict[str, str]]:
    """The choices: those of this baseline by their stream, the others also by their machine."""
    return [NOTHING, *({"label": label(shown, each), "value": value(each.name)} for each in offers)]


def label(shown: Name, offer: Offer) -> str:
    """How a stream is offered.

    >>> label(Name(3, "default"), Offer(Name(3, "night"), "Pump 7"))
    'night'
    >>> label(Name(3, "default"), Offer(Name(4, "night"), "Pump 8"))
    'Pump 8 · night'
    """
    same = offer.name.baseline_id == shown.baseline_id
    return offer.name.stream if same else f"{offer.machine} · {offer.name.stream}"


def value(name: Name) -> str:
    """A stream as one word, as the address may also have it.

    >>> value(Name(4, "night"))
    '4:night'
    """
    return f"{name.baseline_id}:{name.stream}"
