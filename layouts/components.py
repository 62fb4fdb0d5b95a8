"""Small pieces that several pages use."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from layouts.static_markup import Input

FAILURE, SUCCESS = "message error", "message success"  # how a message looks, by how it ended


def command(line: str, label: str = "Copy the command") -> html.Div:
    """A shell command, or what else is to be taken along, with a button that copies it."""
    return html.Div(
        [
            html.Code(line),
            html.Button(
                html.Span(label, className="sr-only"),
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


def confirmation(
    id: str, title: str, text: html.P, confirm: html.Button, *instead: html.Button
) -> html.Dialog:
    """A question before something is done, and what may be done first; all buttons close it."""
    cancel = html.Button("Cancel", className="button", type="button", **{"data-closes": ""})
    buttons = html.Div([cancel, *instead, confirm], className="dialog-buttons")
    return html.Dialog(
        [html.H2(title), text, buttons], id=id, className="dialog", **{"aria-label": title}
    )


def field(label: str, control: Any, *, for_: str, hint: str = "") -> html.Div:
    """A labelled control, the label above it."""
    parts = [html.Label(label, htmlFor=for_), control]
    if hint:
        parts.append(html.P(hint, className="hint", id=f"{for_}-hint"))
    return html.Div(parts, className="field")


def select(
    label: str, id: str, words: Mapping[str, str], chosen: str = "", **more: Any
) -> html.Div:
    """A labelled choice, from the words of each value; for a part that becomes text.

    Without words it is `offer` of `assets/dom.js` that fills it.
    """
    return field(label, choice(id, words, chosen, **more), for_=id)


def choice(id: str, words: Mapping[str, str], chosen: str = "", **more: Any) -> html.Select:
    options = [
        html.Option(word, value=value, selected=value == chosen) for value, word in words.items()
    ]
    return html.Select(options, id=id, className="input", **more)


def switch(label: str, id: str, **more: Any) -> html.Div:
    """A switch with its label; for a part that becomes text."""
    control = Input(id=id, type="checkbox", className="form-check-input", role="switch", **more)
    return html.Div([control, html.Label(label, htmlFor=id)], className="form-check form-switch")


def radios(id: str, words: Mapping[str, str], chosen: str) -> html.Div:
    """A choice of which all is seen, from the words of each value; for a part that becomes text."""
    return html.Div(
        [
            html.Div(
                [
                    Input(
                        id=f"{id}-{value}",
                        name=id,
                        type="radio",
                        value=value,
                        checked=value == chosen,
                        className="form-check-input",
                    ),
                    html.Label(word, htmlFor=f"{id}-{value}"),
                ],
                className="form-check",
            )
            for value, word in words.items()
        ],
        id=id,
        className="choice",
    )


def visit(text: str, href: str, **more: Any) -> html.A:
    """A link to another page of ours, in a part that becomes text: nothing is loaded anew."""
    return html.A(text, href=href, **{"data-visits": ""}, **more)


def fact(name: str, id: str) -> html.Div:
    """A row of a status list whose value is filled in later."""
    return html.Div([html.Dt(name), html.Dd("–", id=id)], className="fact")


def table(head: Sequence[str], rows: list[html.Tr]) -> html.Div:
    """A table whose rows are cards on a phone, if its cells are those of `cell`."""
    titles = html.Tr([html.Th(text, scope="col") for text in head])
    return html.Div(
        html.Table([html.Thead(titles), html.Tbody(rows)], className="cards-on-phone"),
        className="table-scroll",
    )


def cell(title: str, content: Any) -> html.Td:
    """A cell that still knows its column where a phone shows rows as cards."""
    return html.Td(content, **{"data-title": title})


def moment(at: dt.datetime, *, seconds: bool = False) -> html.Time:
    """A time as people read it, in UTC."""
    utc = at.astimezone(dt.UTC)
    clock = f"{utc:%H:%M:%S}" if seconds else f"{utc:%H:%M}"
    return html.Time(f"{utc:%Y-%m-%d} {clock} UTC", dateTime=utc.isoformat())


def pace(rows_per_second: float) -> str:
    """How a rate is said.

    >>> pace(1.0), pace(1402.3), pace(0.05)
    ('one row a second', '1,400 rows a second', '3 rows a minute')
    """
    if rows_per_second == 1.0:
        return "one row a second"
    if rows_per_second >= 0.5:
        return f"{float(f'{rows_per_second:.3g}'):,g} rows a second"
    return f"{60 * rows_per_second:.3g} rows a minute"
