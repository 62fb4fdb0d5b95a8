"""The streaming page's section Replay: the server plays a monitor file into the stream.

What it shows is painted by `assets/live_replay.js`, which speaks with `/streaming/{id}/replay`.
"""

from __future__ import annotations

import enum
from typing import Any

from dash import html

from dinsight.replay import BATCH_SIZE, DELAY, LARGEST_BATCH, LONGEST_DELAY
from layouts.components import button, confirmation, field, select
from layouts.static_markup import Input


@enum.unique
class Ids(enum.StrEnum):
    PANEL = "replay-panel"
    SETUP = "replay-setup"
    FILE = "replay-file"
    DROP = "replay-drop"
    INPUT = "replay-input"
    CHOOSE = "replay-choose"
    CHOSEN = "replay-chosen"
    DELAY = "replay-delay"
    BATCH = "replay-batch"
    PLAY = "replay-play"
    DELETE = "replay-delete"
    HINT = "replay-hint"
    UPLOAD = "replay-upload"
    UPLOAD_BAR = "replay-upload-bar"
    ERROR = "replay-error"
    PLAYING = "replay-playing"
    SOURCE = "replay-source"
    ROW = "replay-row"
    BAR = "replay-bar"
    STOP = "replay-stop"
    LAST = "replay-last"
    DIALOG = "replay-dialog"
    CONFIRM = "replay-confirm"
    FORGET_DIALOG = "replay-forget-dialog"
    FORGET_TEXT = "replay-forget-text"
    FORGET = "replay-forget"


def section() -> html.Details:
    return html.Details(
        [
            html.Summary(html.H2("Replay")),
            _playing(),
            _setup(),
            html.P(id=Ids.ERROR, className="message error", role="alert"),
            _replace_dialog(),
            _forget_dialog(),
        ],
        id=Ids.PANEL,
        className="card replay",
    )


def _playing() -> html.Div:
    return html.Div(
        [
            html.P(id=Ids.SOURCE, className="replay-source"),
            html.P(id=Ids.ROW, className="replay-row"),
            html.Div(html.Div(id=Ids.BAR, className="bar-fill"), className="bar"),
            button("Stop replay", Ids.STOP),
        ],
        id=Ids.PLAYING,
        className="replay-part",
        hidden=True,
    )


def _setup() -> html.Div:
    return html.Div(
        [
            html.P(id=Ids.LAST, className="hint"),
            select("File", Ids.FILE, {}),
            _drop(),
            html.Div(
                [
                    _number(
                        *("Delay (s)", Ids.DELAY),
                        value=DELAY,
                        min=0,
                        max=LONGEST_DELAY,
                        step="any",
                    ),
                    _number(
                        *("Rows at a time", Ids.BATCH),
                        value=BATCH_SIZE,
                        min=1,
                        max=LARGEST_BATCH,
                        step=1,
                    ),
                ],
                className="replay-pace",
            ),
            html.Div(
                [
                    button("Play", Ids.PLAY, kind="primary", disabled=True),
                    button("Delete file …", Ids.DELETE, hidden=True),
                ],
                className="replay-buttons",
            ),
            html.Div(
                html.Div(id=Ids.UPLOAD_BAR, className="bar-fill"),
                id=Ids.UPLOAD,
                className="bar",
                hidden=True,
            ),
            html.P(id=Ids.HINT, className="hint"),
        ],
        id=Ids.SETUP,
        className="replay-part",
    )


def _drop() -> html.Div:
    """Where a file is dropped, or chosen; the browser's own chooser is put into `INPUT`."""
    return html.Div(
        [
            html.P("Drop a CSV file here", id=Ids.CHOSEN),
            html.Div(id=Ids.INPUT, className="sr-only"),
            button("Choose a file …", Ids.CHOOSE),
        ],
        id=Ids.DROP,
        className="replay-drop",
        hidden=True,
    )


def _number(label: str, id: Ids, **more: Any) -> html.Div:
    return field(label, Input(id=id, type="number", className="input", **more), for_=id)


def _replace_dialog() -> html.Dialog:
    return confirmation(
        Ids.DIALOG,
        "Replay into this stream?",
        html.P(
            "Points are coming from another sender. The replay archives them and begins a new "
            "run; a sender that goes on mixes its points in."
        ),
        button("Replay", Ids.CONFIRM, kind="primary", **{"data-closes": ""}),
    )


def _forget_dialog() -> html.Dialog:
    return confirmation(
        Ids.FORGET_DIALOG,
        "Delete this file?",
        html.P(id=Ids.FORGET_TEXT),
        button("Delete", Ids.FORGET, kind="danger", **{"data-closes": ""}),
    )
