"""How bodies and queries are read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import marshmallow as ma
from flask import request

from dinsight.errors import InvalidRequest
from dinsight.streams import DEFAULT, NAME

MOST = 2**53
FIRST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
NONE: Mapping[str, Any] = {}


class Body(ma.Schema):
    """A JSON body. A field that is not in the contract, `owner_id` say, has no effect."""

    error_messages = {"type": "The body must be a JSON object."}  # noqa: RUF012 - of the class

    class Meta:
        unknown = ma.EXCLUDE


class Line(ma.fields.String):
    """A line of text: no control characters."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, *args, **kwargs)
        if any(ord(character) < 32 for character in text):
            raise ma.ValidationError("It holds a control character.")
        return text


class Number(ma.fields.Raw):
    """A number that the domain checks; type and bounds are said to readers of the document."""

    def __init__(
        self, low: float, high: float | None = None, *, whole: bool = False, **more: Any
    ) -> None:
        said: dict[str, Any] = {"type": "integer" if whole else "number", "minimum": low}
        if high is not None:
            said["maximum"] = high
        super().__init__(allow_none=True, metadata=said, **more)


def stream_name(given: Mapping[str, Any] = NONE, field: str = "stream") -> str:
    """The stream that a request names, in body, form or query; left out, it is `default`."""
    name = given.get(field) or request.args.get(field) or DEFAULT
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InvalidRequest("A stream's name has 1 to 64 letters, digits, blanks or any of _.:+-")
    return name


def whole(name: str, default: int, *, low: int = 0, clamp: int = MOST) -> int:
    """A whole number of the query; above `clamp` it is taken as `clamp`. Raises InvalidRequest."""
    text = request.args.get(name)
    if text is None or text == "":
        return default
    if not text.isascii() or not text.isdecimal() or int(text[:20]) < low:
        raise InvalidRequest(f"{name} must be a whole number of at least {low}.")
    return min(int(text[:20]), clamp)


def switch(name: str, query: Mapping[str, str] | None = None, *, default: bool = True) -> bool:
    """A switch of the query, 1 or 0; by default of this request's. Raises InvalidRequest."""
    text = (request.args if query is None else query).get(name) or str(int(default))
    if text not in {"0", "1"}:
        raise InvalidRequest(f"{name} must be 0 or 1.")
    return text == "1"


def moment(
    name: str, query: Mapping[str, str], zone: dt.tzinfo | None = None
) -> dt.datetime | None:
    """A time of a query, None where it is left out. Raises InvalidRequest.

    It has to name its zone, unless there is a `zone` that one without it is in. One before 1970
    is taken as 1970, before which there is nothing.
    """
    text = query.get(name)
    if not text:
        return None
    try:
        found = dt.datetime.fromisoformat(text.strip().replace(" ", "+"))  # a + unquoted is a blank
        if found.tzinfo is None:
            found = found.replace(tzinfo=zone)
        if found.tzinfo is not None:
            return max(found.astimezone(dt.UTC), FIRST)
    except (ValueError, OverflowError):
        pass
    raise InvalidRequest(
        f"{name} must be a time with its zone, such as 2026-05-01T12:00:00Z or"
        " 2026-05-01T14:00:00+02:00."
    )
