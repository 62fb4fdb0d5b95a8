"""The one shape of every JSON answer."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response, g
from flask.json.provider import JSONProvider

OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


def dumps(value: Any) -> bytes:
    """JSON with times in UTC and `Z`; what is not a number (NaN, inf) becomes null."""
    return orjson.dumps(value, option=OPTIONS)


class OrjsonProvider(JSONProvider):
    """Flask's JSON by orjson: valid JSON only, numpy arrays and times included."""

    def dumps(self, obj: Any, **_: Any) -> str:
        return dumps(obj).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return orjson.loads(s)


def success(data: Any, status: int = 200, **more: Any) -> Response:
    return plain({"success": True, **more, "data": data}, status)


def failure(status: int, code: str, message: str, details: Any = None) -> Response:
    g.error_code = code
    error = {"code": code, "message": message, "details": details or {}}
    return plain({"success": False, "message": message, "error": error}, status)


def plain(value: Any, status: int = 200) -> Response:
    """An answer without the envelope, where the contract says so."""
    return Response(dumps(value), status, mimetype="application/json")
