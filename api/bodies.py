"""How a body is taken in: its size, packing, form and JSON. What is wrong is a clear 4xx."""

from __future__ import annotations

from typing import IO, Any

import flask
import flask_smorest
import marshmallow as ma
import orjson
from flask import request
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

MOST_WITHOUT_FILE = 4 * 1024 * 1024  # bytes: such a body is held in memory, whoever sends it
PLAIN = {"", "identity"}


class Request(flask.Request):
    """Flask's, but a form that cannot be read is refused rather than taken as an empty one.

    What was kept of it on disk goes at once.
    """

    def _get_file_stream(self, *args: Any, **kwargs: Any) -> IO[bytes]:
        stream = super()._get_file_stream(*args, **kwargs)
        self.__dict__.setdefault("kept", []).append(stream)
        return stream

    def make_form_data_parser(self) -> Any:
        parser = super().make_form_data_parser()
        parser.silent = False
        return parser

    def _load_form_data(self) -> None:
        try:
            super()._load_form_data()
        except Exception as error:
            for stream in self.__dict__.get("kept", []):
                stream.close()
            if isinstance(error, ValueError):
                raise BadRequest(f"The form cannot be read: {error}") from error
            raise


class JsonParser(FlaskParser):
    """webargs' by orjson, which takes only JSON: no NaN, no half characters, no endless nesting."""

    def load_json(self, req: flask.Request, schema: ma.Schema) -> Any:
        body = req.get_data()
        if not body:
            return ma.missing
        if not req.is_json:
            raise UnsupportedMediaType("Send the body as JSON, with Content-Type application/json.")
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise BadRequest(f"The body is not valid JSON: {error}") from error


class Blueprint(flask_smorest.Blueprint):
    """flask-smorest's, with our JSON; what routes answer is described by `api.document`."""

    ARGUMENTS_PARSER = JsonParser()

    def _prepare_response_doc(self, doc: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        return doc


def check() -> None:
    """Before a request: refuse what is packed, and keep small what is not an upload."""
    coding = request.headers.get("Content-Encoding", "").strip().lower()
    if coding not in PLAIN:
        raise UnsupportedMediaType(
            f"The Content-Encoding {coding!r} is not taken: send the body as it is."
        )
    if request.mimetype != "multipart/form-data":
        most = request.max_content_length
        request.max_content_length = min(MOST_WITHOUT_FILE, most or MOST_WITHOUT_FILE)
