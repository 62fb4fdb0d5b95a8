"""Playing back: the bar under the map, and the dialog of what there is to play back.

`assets/live_playback.js` plays, `assets/live_history.js` lists. Both write into elements that stand
here, and no callback names them.
"""

from __future__ import annotations

import enum

from dash import html

from layouts.components import button

TIMES = {"0.25": "¼ ×", "0.5": "½ ×"} | {
    str(times): f"{times} ×" for times in (1, 2, 5, 10, 30, 60, 120, 300, 600)
}
ROWS = {f"{rows}r": f"{rows:,} rows / s" for rows in (1, 10, 100, 1_000)}


@enum.unique
class Ids(enum.StrEnum):
    OPEN = "playback-open"
    HISTORY = "playback-history"
    DIALOG = "playback-dialog"
    LIST = "playback-list"
    LIST_NOTE = "playback-list-note"
    MORE = "playback-more"
    BAR = "playback"
    PLAY = "playback-play"
    BACK = "playback-back"
    ON = "playback-on"
    SPEED = "playback-speed"
    PREVIOUS = "playback-previous"
    NEXT = "playback-next"
    LINK = "playback-link"
    LIVE = "playback-live"
    TRACK = "playback-track"
    TIME = "playback-time"
    NOTE = "playback-note"


def section() -> html.Section:
    """What leads from the live view to a recording."""
    return html.Section(
        [
            html.H2("Playback"),
            html.Div(
                [
                    button("Play back", Ids.OPEN, disabled=True, title="Play back this run"),
                    button("History …", Ids.HISTORY, title="All runs that can be played back"),
                ],
                className="view-buttons",
            ),
            _dialog(),
        ],
        className="card history",
    )


def bar() -> html.Section:
    """The scrubber is made by the script: Dash has no plain range input."""
    return html.Section(
        [
            html.Div(id=Ids.TRACK, className="playback-track"),
            html.Div(
                [
                    button("Play", Ids.PLAY, kind="primary", title="Space"),
                    button("‹", Ids.BACK, title="One point back (←)", **_said("One point back")),
                    button("›", Ids.ON, title="One point on (→)", **_said("One point on")),
                    html.Select(
                        [_speeds("By time", TIMES), _speeds("By row", ROWS)],
                        id=Ids.SPEED,
                        className="input",
                        **_said("Speed"),
                    ),
                    _jump("‹ Alert", Ids.PREVIOUS, "Previous alert", "Shift ←"),
                    _jump("Alert ›", Ids.NEXT, "Next alert", "Shift →"),
                    html.P(
                        [html.Span(id=Ids.TIME), html.Span(id=Ids.NOTE, role="status")],
                        className="playback-about",
                    ),
                    button("Copy link", Ids.LINK, title="A link to this moment", **_copies()),
                    button("Back to live", Ids.LIVE),
                ],
                className="playback-buttons",
            ),
        ],
        id=Ids.BAR,
        className="playback",
        **_said("Playback"),
    )


def _jump(word: str, id: str, name: str, keys: str) -> html.Button:
    return button(word, id, disabled=True, title=f"{name} ({keys})", **_said(name))


def _speeds(label: str, words: dict[str, str]) -> html.Optgroup:
    return html.Optgroup(
        [html.Option(word, value=value) for value, word in words.items()], label=label
    )


def _said(label: str) -> dict[str, str]:
    return {"aria-label": label}


def _copies() -> dict[str, str]:
    return {"data-copy": ""}


def _dialog() -> html.Dialog:
    close = html.Button("Close", className="button", type="button", **{"data-closes": ""})
    return html.Dialog(
        [
            html.H2("Recorded runs"),
            html.P(id=Ids.LIST_NOTE, className="hint", role="status"),
            html.Ul(id=Ids.LIST, className="runs"),
            html.Div([button("Show more", Ids.MORE), close], className="dialog-buttons"),
        ],
        id=Ids.DIALOG,
        className="dialog dialog-wide",
        **_said("Recorded runs"),
    )
