"""Small pieces that several pages use."""

from __future__ import annotations

from typing import Any

from dash import html


def command(line: str) -> html.Div:
    """A shell command with a button that copies it."""
    return html.Div(
        [
            html.Code(line),
            html.Button(
                html.Span("Copy the command", className="sr-only"),
                className="icon-button copy-button",
                title="Copy",
                **{"data-copy": line},
            ),
        ],
        className="command",
    )


def button(text: str, id: str, *, kind: str = "", **more: Any) -> html.Button:
    """A button; `kind` is empty, `primary` or `danger`."""
    return html.Button(text, id=id, className=f"button {kind}".strip(), type="button", **more)


def field(label: str, control: Any, *, for_: str, hint: str = "") -> html.Div:
    """A labelled control, the label above it."""
    parts = [html.Label(label, htmlFor=for_), control]
    if hint:
        parts.append(html.P(hint, className="hint", id=f"{for_}-hint"))
    return html.Div(parts, className="field")


def fact(name: str, id: str) -> html.Div:
    """A row of a status list whose value is filled in later."""
    return html.Div([html.Dt(name), html.Dd("–", id=id)], className="fact")
