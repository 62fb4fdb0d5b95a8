"""What is done with the view and not with the stream: pausing it, its keys, sharing it."""

from __future__ import annotations

import enum

from dash import html

from layouts import displays
from layouts.components import button

KEYS = {
    "Space": "pause the view or the playback, or go on",
    "← →": "in playback, a point back or on",
    "Shift ← →": "in playback, to the alert before or after",
    "Esc": "clear the selection",
    "?": "show these keys",
}


@enum.unique
class Ids(enum.StrEnum):
    PAUSE = "live-pause-view"
    KEYS = "keys-open"
    DIALOG = "keys-dialog"


def section() -> html.Section:
    return html.Section(
        [
            html.H2("This view"),
            html.Div(
                [
                    button("Pause view", Ids.PAUSE, disabled=True),
                    button("Keys …", Ids.KEYS, **{"data-opens": Ids.DIALOG.value}),
                    displays.opener(),
                ],
                className="view-buttons",
            ),
            _keys(),
            displays.dialog(),
        ],
        className="card viewing",
    )


def _keys() -> html.Dialog:
    rows = [
        html.Div([html.Dt(html.Kbd(key)), html.Dd(does)], className="key")
        for key, does in KEYS.items()
    ]
    return html.Dialog(
        [
            html.H2("Keys"),
            html.Dl(rows),
            html.P("They do nothing while you type in a field.", className="hint"),
            html.Div(
                html.Button("Close", className="button", type="button", **{"data-closes": ""}),
                className="dialog-buttons",
            ),
        ],
        id=Ids.DIALOG,
        className="dialog",
        **{"aria-label": "Keys"},
    )
