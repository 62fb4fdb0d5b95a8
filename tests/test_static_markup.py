"""Parts of a page as text: the same elements, every word escaped, nothing that Dash has to know."""

from __future__ import annotations

from html.parser import HTMLParser
from itertools import chain
from typing import Any

import pytest
from dash import dcc, html
from dash.development.base_component import Component

import layouts
from layouts import streaming
from layouts.static_markup import StaticMarkup, fold, named_by, to_html


class Words(HTMLParser):
    """The elements with an id, and the words, of a piece of HTML."""

    def __init__(self, text: str):
        super().__init__()
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def of(part: Any) -> tuple[list[str], list[str]]:
    """The ids and the words below a component, in the order of the page."""
    if isinstance(part, (list, tuple)):
        ids, words = zip(*map(of, part), strict=True) if part else ((), ())
        return list(chain(*ids)), list(chain(*words))
    if not isinstance(part, Component):
        return [], [] if part is None else [str(part)]
    own = [str(part.id)] if getattr(part, "id", None) else []
    if isinstance(part, StaticMarkup):
        inside = Words(part.markup)
        return own + inside.ids, inside.words
    ids, words = of(getattr(part, "children", None))
    return own + ids, words


def count(part: Any) -> int:
    if isinstance(part, (list, tuple)):
        return sum(map(count, part))
    if not isinstance(part, Component):
        return 0
    return 1 + (0 if isinstance(part, StaticMarkup) else count(getattr(part, "children", None)))


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (html.P("a < b & c"), "<p>a &lt; b &amp; c</p>"),
        (html.P(["n = ", 3, None, html.Br()]), "<p>n = 3<br></p>"),
        (html.Span(title='"><script>'), '<span title="&quot;&gt;&lt;script&gt;"></span>'),
        (html.Label("x", htmlFor="y", className="z"), '<label class="z" for="y">x</label>'),
        (html.Div(hidden=True, tabIndex=-1), '<div hidden="" tabindex="-1"></div>'),
        (html.Button(disabled=False, n_clicks=0), "<button></button>"),
        (html.Div(spellCheck=False), '<div spellcheck="false"></div>'),
        (html.Div(**{"aria-hidden": True}), '<div aria-hidden="true"></div>'),
        (html.Div(**{"data-k": 1}), '<div data-k="1"></div>'),
        (html.I(style={"maxWidth": "2em", "--x": 1}), '<i style="max-width:2em;--x:1"></i>'),
    ],
)
def test_a_component_becomes_its_element(part: Component, text: str) -> None:
    assert to_html(part) == text


def test_what_a_callback_names_stays_a_component_and_what_stands_around_it() -> None:
    def page() -> html.Div:
        return html.Div(
            [
                html.Section([html.P(html.B("still")), html.P("too")], id="a", className="card"),
                html.Section([html.P([html.B("named")], id="b"), html.P(html.B("still"))]),
                html.Section(dcc.Store(id="c")),
                html.Section([html.B("pattern", id={"of": "d"})]),
                html.P("a leaf"),
            ]
        )

    folded = fold(page(), {"b"})
    still, named, store, pattern, leaf = folded.children
    assert still.to_plotly_json() == {
        "type": "Section",
        "namespace": "dash_html_components",
        "props": {
            "id": "a",
            "className": "card",
            "data-folded": "",
            "dangerouslySetInnerHTML": {"__html": "<p><b>still</b></p><p>too</p>"},
        },
    }
    assert [type(child) for child in named.children] == [html.P, StaticMarkup]
    assert (type(store), type(pattern), type(leaf)) == (html.Section, html.Section, html.P)
    assert of(folded) == of(page())


def test_the_ids_are_those_of_every_part_of_a_callback(app: Any) -> None:
    named = named_by(app.callback_map)
    assert {"main", "url", "live-want", "account-name"} <= named  # out, in, only read
    assert "" not in named


def test_the_streaming_page_keeps_every_word_and_element_in_fewer_components(app: Any) -> None:
    """For Dash the page is what its callbacks name, and little more: 512 components before."""
    named = named_by(app.callback_map)
    whole = [streaming.page(), layouts.shell()]
    assert of([fold(page, named) for page in (streaming.page(), layouts.shell())]) == of(whole)
    assert count([fold(page, named) for page in whole]) < 100


@pytest.fixture
def app(services: Any) -> Any:
    from app import create_app

    return create_app(services)
