"""Components as HTML that the browser keeps: parts of a page, and what scripts put into it.

Every component of a page takes part in every round of Dash's callbacks, whether a callback names
it or not, and opening a page is some hundred rounds. An element of the browser's takes no part.
So a component of HTML below which no callback reads or writes is sent with its inside as text
(React's `dangerouslySetInnerHTML`, which Dash's components of HTML hand on): `fold`. So are the
dialogs of every page, and the answers that scripts ask for: `markup`. Every word in that text is
escaped here, so it is as safe as what React would have made.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from html import escape
from typing import Any

from dash.development.base_component import Component

HTML = "dash_html_components"
FOLDED = "data-folded"  # what is below an element with it is the browser's (`assets/dom.js`)
_VOID = frozenset({"Area", "Br", "Col", "Embed", "Hr", "Img", "Input", "Source", "Track", "Wbr"})
_OF_DASH = frozenset({"children", "key", "n_clicks", "n_clicks_timestamp", "disable_n_clicks"})
_NAMED_OTHERWISE = {"className": "class", "htmlFor": "for"}
_WORDS = frozenset({"contentEditable", "draggable", "spellCheck"})  # true and false are their words


class _Element(Component):
    def __init__(self, type: str, props: dict[str, Any]):
        self._namespace, self._type, self._prop_names = HTML, type, list(props)
        self._valid_wildcard_attributes: list[str] = []
        for name, of in props.items():
            setattr(self, name, of)


class Input(_Element):
    """An `<input>`, which Dash's HTML lacks: only where it becomes text."""

    def __init__(self, **props: Any):
        super().__init__("Input", props)


class StaticMarkup(_Element):
    """A component of HTML whose inside is `markup`; for Dash it has no children."""

    def __init__(self, part: Component):
        props = {
            name: of for name, of in part.to_plotly_json()["props"].items() if name != "children"
        }
        self.markup = markup(_children(part))
        super().__init__(
            part._type, props | {FOLDED: "", "dangerouslySetInnerHTML": {"__html": self.markup}}
        )


def named_by(callback_map: dict[str, Any]) -> set[str]:
    """The ids that the callbacks of an application read or write; `callback_map` is Dash's."""
    found = {
        output.rpartition(".")[0]
        for outputs in callback_map
        for output in outputs.strip(".").split("...")
    }
    for callback in callback_map.values():
        found.update(str(of["id"]) for of in (*callback["inputs"], *callback["state"]))
    return found - {""}  # a callback without outputs


def fold(page: Any, named: Collection[str]) -> Any:
    """`page` (which is changed) with each part below which nothing is `named` as static markup."""
    children = getattr(page, "children", None)
    if isinstance(children, (list, tuple)):
        page.children = [_folded(child, named) for child in children]
    elif isinstance(children, Component):
        page.children = _folded(children, named)
    return page


def _folded(part: Any, named: Collection[str]) -> Any:
    if not any(isinstance(child, Component) for child in _children(part)):
        return part  # a leaf is one component either way
    return StaticMarkup(part) if _is_static(part, named) else fold(part, named)


def _is_static(part: Any, named: Collection[str]) -> bool:
    """A text, or HTML without a named id; an id that is a pattern's counts as named."""
    if not isinstance(part, Component):
        return True
    if part._namespace != HTML or isinstance(part, StaticMarkup):
        return False
    id = getattr(part, "id", "")
    if isinstance(id, dict) or id in named:
        return False
    return all(_is_static(child, named) for child in _children(part))


def markup(parts: Iterable[Any]) -> str:
    """Components of HTML, texts and numbers as HTML."""
    return "".join(map(to_html, parts))


def to_html(part: Any) -> str:
    """A component of HTML, a text or a number as HTML."""
    if not isinstance(part, Component):
        return "" if part is None else escape(str(part), quote=False)
    tag = part._type.lower()
    opening = f"<{tag}{''.join(_attributes(part.to_plotly_json()['props']))}>"
    if part._type in _VOID:
        return opening
    return f"{opening}{markup(_children(part))}</{tag}>"


def _children(part: Any) -> tuple[Any, ...]:
    children = getattr(part, "children", None)
    return tuple(children) if isinstance(children, (list, tuple)) else (children,)


def _attributes(props: dict[str, Any]) -> Iterator[str]:
    for name, value in props.items():
        if name in _OF_DASH or value is None:
            continue
        attribute = _NAMED_OTHERWISE.get(name, name.lower())
        if name == "style":
            said = ";".join(f"{_css(key)}:{value}" for key, value in value.items())
        elif not isinstance(value, bool):
            said = str(value)
        elif name in _WORDS or name.startswith(("aria-", "data-")):
            said = str(value).lower()
        elif value:
            said = ""
        else:
            continue
        yield f' {attribute}="{escape(said)}"'


def _css(name: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"-{letter.group().lower()}", name)
