"""What stands over the map when there is nothing to draw, as HTML: why, and what to do next."""

from __future__ import annotations

import shlex
from typing import Any

from dash import html

from layouts.baselines import PATH as BASELINES
from layouts.components import command, visit
from layouts.static_markup import markup
from layouts.streaming import Ids

DEFAULT_STREAM = "default"


def no_baseline(base_url: str) -> str:
    return _notice(
        "No baseline yet",
        html.P(
            "A baseline is a CSV of normal operation, one row a reading; more than 100 rows make "
            "a good map."
        ),
        visit("Upload a baseline", href=BASELINES, className="button primary"),
        html.P("Or upload one and stream to it with the simulator:"),
        command("python -m simulator --baseline-file baseline.csv --monitor-file monitor.csv"),
        html.P("or upload it alone, with an API key:"),
        command(
            'curl -H "Authorization: Bearer $DINSIGHT_KEY" -F files=@baseline.csv '
            f"{base_url.rstrip('/')}/api/v1/analyze"
        ),
    )


def fitting(name: str, progress: int, message: str) -> str:
    """The bar and the sentence under it are painted on by the reducer."""
    return _notice(
        f"{name} is being fitted",
        html.Div(
            html.Div(id=Ids.FIT_BAR, className="bar-fill", style={"width": f"{progress}%"}),
            className="bar",
        ),
        html.P(fit_text(progress, message), id=Ids.FIT_TEXT),
        html.P("The map opens here by itself.", className="hint"),
    )


def fit_text(progress: int, message: str) -> str:
    return f"{progress} % · {message}" if message else f"{progress} %"


def failed(name: str, reason: str) -> str:
    return _notice(
        f"{name} could not be fitted",
        html.P(reason, className="message error"),
        html.P("Correct the file and upload it again, or choose another baseline."),
        visit("Go to the baselines", href=BASELINES, className="button"),
    )


def refused(sentence: str) -> str:
    """A baseline or stream that is not there, or is another's."""
    return _notice("Nothing to show here", html.P(sentence), html.P("Choose another baseline."))


def not_recorded(sentence: str, live: str) -> str:
    """A run that is not there, or no more; `live` is the address of its stream."""
    return _notice(
        "This run cannot be played back",
        html.P(sentence),
        visit("Go to the live view", href=live, className="button primary"),
    )


def silent() -> str:
    return _notice("No points", html.P("Nothing was sent in this run: there is nothing to play."))


def waiting(baseline_id: int, stream: str) -> str:
    line = f"python -m simulator --baseline-id {baseline_id}"
    if stream != DEFAULT_STREAM:
        line += f" --stream {shlex.quote(stream)}"
    return _notice(
        "Waiting for points",
        html.P("The baseline is on the map. Stream to it, for instance with the simulator:"),
        command(line),
        html.P(
            [
                "or ",
                html.Button(
                    "replay a file here",
                    className="link-button",
                    type="button",
                    **{"data-replay": ""},
                ),
                ", the sample machine's or your own: the server plays it.",
            ]
        ),
    )


def _notice(title: str, *parts: Any) -> str:
    return markup([html.Div([html.H2(title), *parts], className="notice")])
