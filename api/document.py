"""The OpenAPI document, made from the routes: what each takes, answers and refuses.

`document` stands on a route and says what its own code does not; the path, the words and the
JSON body come from the rule, the docstring and the body's fields, and `api.security.signed_in`
adds who may pass. `tests/test_openapi.py` holds the document against the routes and real answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any, TypeVar

from apispec import APISpec
from flask import Flask, Response
from flask_smorest import Api, Blueprint

from api import examples, schemas
from api.schemas import Schema
from dinsight import __version__

JSON = "application/json"
ENDPOINT = "openapi"

EVERYWHERE = (415, 429, 500, 503)
WITH_QUERY = (400,)
WITH_BODY = (400, 408, 413)
OF_STRANGERS = (401,)
WAITS = {429, 503}
REASONS = {
    400: "Not understood: the message says what, and of a file the line and column",
    401: "The token, key or cookie is missing, wrong, expired or revoked, or the password is wrong",
    403: "Not allowed on this server",
    404: "There is no such thing, or it is not yours",
    408: "The body came too slowly",
    409: "Not in this state: such as a baseline that is still fitted, or an earlier epoch",
    410: "It was there and is no more: such as readings that retention removed",
    413: "Larger than the server takes",
    415: "The `Content-Encoding` is not taken",
    422: "A field is missing or cannot be used, or an `Idempotency-Key` came with another body",
    429: "Too many requests: try again after `Retry-After` seconds",
    500: "The server met an error; its log says which",
    503: "The database cannot be reached: try again after `Retry-After` seconds",
}
SECURITY_SCHEMES = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The `access_token` of `/auth/login`",
    },
    "key": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "dk_…",
        "description": "An API key of `/auth/keys`, for machines",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "access_token_cookie",
        "description": "The page's cookie",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "X-CSRF-TOKEN",
        "description": "With the cookie, to change anything: the cookie `csrf_access_token`",
    },
}
SIGNED_IN: list[dict[str, list[str]]] = [{"token": []}, {"key": []}, {"cookie": [], "csrf": []}]
REQUEST_ID = {"X-Request-ID": {"$ref": "#/components/headers/X-Request-ID"}}
RETRY_AFTER = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
INTRODUCTION = """\
A live machine-health monitor. Upload a baseline (`POST /analyze`), wait until it is `completed`,
then post batches of readings (`POST /monitor/{baseline_id}`).

Success is `{"success": true, "data": …}`; an error is `{"success": false, "message", "error":
{"code", "message", "details"}}` with its status. Another user's object answers 404, exactly as
one that does not exist. Times are RFC 3339 in UTC with `Z`; NaN and infinity never occur. Where
`stream` is left out, it is the stream `default`."""


R = TypeVar("R", bound=Callable[..., Any])


class Document(Api):
    """flask-smorest's, but errors have the one shape of `api.errors`, in the document too."""

    def __init__(self, server: Flask, blueprints: Sequence[Blueprint]) -> None:
        super().__init__(server)
        _add_components(self.spec)
        for blueprint in blueprints:
            named = {"name": blueprint.name, "parameters": None}
            blueprint.register_views_in_doc(self, server, self.spec, **named)
            self.spec.tag({"name": blueprint.name, "description": blueprint.description})

    def _register_doc_blueprint(self) -> None:
        """`register` serves it."""

    def _register_error_handlers(self) -> None:
        """`api.errors.register` does it."""

    def _register_responses(self) -> None:
        for status, reason in REASONS.items():
            answer = {
                "description": reason,
                "headers": REQUEST_ID | (RETRY_AFTER if status in WAITS else {}),
                "content": {JSON: {"schema": schemas.ref("Error"), **_shown(status)}},
            }
            self.spec.components.response(HTTPStatus(status).name, answer, lazy=True)


def register(server: Flask, prefix: str, blueprints: Sequence[Blueprint]) -> None:
    """Serve the document of these blueprints; it is written when it is first asked for."""
    server.config.update(
        API_TITLE="D'insight",
        API_VERSION=__version__,
        OPENAPI_VERSION="3.1.0",
        API_SPEC_OPTIONS={"info": {"description": INTRODUCTION, "license": {"name": "MIT"}}},
    )

    @cache
    def written() -> str:
        return json.dumps(Document(server, blueprints).spec.to_dict(), indent=2)

    def openapi() -> Response:
        return Response(written(), mimetype=JSON)

    server.add_url_rule(f"{prefix}/openapi.json", ENDPOINT, openapi)


def _shown(status: int) -> Schema:
    return {"example": examples.ERROR} if status == 400 else {}


def _add_components(spec: APISpec) -> None:
    for name, schema in schemas.COMPONENTS.items():
        spec.components.schema(name, schema)
    for name, scheme in SECURITY_SCHEMES.items():
        spec.components.security_scheme(name, scheme)
    spec.components.header(
        "X-Request-ID",
        {"schema": schemas.TEXT, "description": "As it was sent, else made: the log names it"},
    )
    spec.components.header("Retry-After", {"schema": schemas.WHOLE, "description": "Seconds"})


def document(
    answer: Schema,
    *refusals: int,
    status: int = 200,
    query: Sequence[Schema] = (),
    body: Mapping[str, tuple[Schema, Any]] | None = None,
    example: Any = None,
    kinds: Sequence[str] = (JSON,),
) -> Callable[[R], R]:
    """Say what a route answers: a success by schema and example, and its statuses of refusal.

    `kinds` are the content types of a success; only the first one has the example.

    `query` lists parameters, `body` has schema and example by content type. What follows from
    those, from a JSON body's fields and from `signed_in` is added.
    """

    def mark(route: R) -> R:
        bodies = body or {}
        takes_json = "arguments" in getattr(route, "_apidoc", {})
        codes = {*refusals, *EVERYWHERE, *(WITH_QUERY if query else ())}
        codes |= set(WITH_BODY if bodies or takes_json else ())
        shown = {"schema": answer} | ({} if example is None else {"example": example})
        good = {
            "description": HTTPStatus(status).phrase,
            "headers": REQUEST_ID,
            "content": {kind: shown if kind == kinds[0] else {"schema": answer} for kind in kinds},
        }
        refused = {str(code): HTTPStatus(code).name for code in sorted(codes)}
        taken = {
            kind: {"schema": schema, "example": shown} for kind, (schema, shown) in bodies.items()
        }
        told: dict[str, Any] = {
            "operationId": route.__name__.replace("_", "-"),
            "responses": {str(status): good, **refused},
        }
        if query:
            told["parameters"] = list(query)
        if bodies:
            told["requestBody"] = {"required": True, "content": taken}
        return note(route, told)

    return mark


def for_the_signed_in(route: R) -> R:
    """Note that a route asks who it is."""
    refused = {str(code): HTTPStatus(code).name for code in OF_STRANGERS}
    return note(route, {"security": SIGNED_IN, "responses": refused})


def note(route: R, told: Mapping[str, Any]) -> R:
    """Add to what is known of a route; those it was copied from keep what they have."""
    known: dict[str, Any] = getattr(route, "_apidoc", {})
    before: dict[str, Any] = known.get("manual_doc", {})
    responses = {**before.get("responses", {}), **told.get("responses", {})}
    merged = {**before, **told, "responses": responses}
    route._apidoc = {**known, "manual_doc": merged}  # type: ignore[attr-defined]
    return route


def query(name: str, schema: Schema, description: str) -> Schema:
    """A parameter of the query; none is ever required."""
    return {"in": "query", "name": name, "schema": schema, "description": description}


def header(name: str, schema: Schema, description: str) -> Schema:
    return {"in": "header", "name": name, "schema": schema, "description": description}


STREAM_NAME: Schema = {"type": "string", "pattern": r"^[\w .:+-]{1,64}$", "default": "default"}
STREAM = query("stream", STREAM_NAME, "A stream of the baseline; letters, digits and ` _.:+-`")
VALUES = query("values", {"type": "integer", "enum": [0, 1], "default": 1}, "0 leaves them out")
OFFSET = query("offset", {**schemas.COUNT, "default": 0}, "So many are skipped")
LIMIT = query(
    "limit",
    {"type": "integer", "minimum": 1, "default": 100},
    "At most so many; more than 1,000 is taken as 1,000",
)
