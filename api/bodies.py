"""How a body is taken in: its size, packing, form and JSON. What is wrong is a clear 4xx."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from functools import cached_property
from tempfile import TemporaryFile
from typing import IO, Any, cast

import flask
import flask_smorest
import marshmallow as ma
import orjson
from flask import request
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import (
    BadRequest,
    HTTPException,
    RequestEntityTooLarge,
    UnsupportedMediaType,
)
from werkzeug.wsgi import get_input_stream

from api.context import services
from dinsight.errors import TooLarge

FORM = "multipart/form-data"
PLAIN, GZIP = {"", "identity"}, {"gzip", "x-gzip"}
MIB = 1024 * 1024
SMALL = MIB
MOST_TEXT = 256 * 1024  # bytes of a text field; no less than a few of the pieces that are parsed
MOST_PARTS = 100  # files and fields of a form: each large file is an open one of ours
MOST_IN_MEMORY = 4  # files of a form, while they are small (500 kB): the others go to disk at once
PIECE = 64 * 1024


@dataclass(frozen=True)
class Limit:
    """The most bytes of a body, and what sets that."""

    bytes: int
    source: str

    def exceeded(self, verb: str = "has") -> TooLarge:
        size = f"{self.bytes / MIB:,.0f} MiB"
        message = f"The body {verb} more than {size}, the most that is taken here ({self.source})."
        return TooLarge(message, limit=self.source, maximum=self.bytes)


# Held in memory, whoever sends it.
WITHOUT_FILE = Limit(4 * MIB, "no file is expected")


class UnknownEncoding(HTTPException):
    """415, with what is taken instead (RFC 7694)."""

    code = 415

    def get_headers(self, *_: Any, **__: Any) -> list[tuple[str, str]]:
        return [("Accept-Encoding", "gzip")]


class Request(flask.Request):
    """Flask's, with limits on the body as sent and as unpacked, which it never passes.

    A form that cannot be read is refused rather than taken as an empty one, and what was kept of
    it on disk goes at once.
    """

    most_sent = WITHOUT_FILE
    most_unpacked: Limit | None = None  # None: it is not packed

    @cached_property
    def stream(self) -> IO[bytes]:
        length = self.content_length
        if length is not None and length > self.most_sent.bytes:
            raise self.most_sent.exceeded()
        body: Any = get_input_stream(self.environ)
        if "wsgi.input_terminated" in self.environ:
            body = Counted(body, self.most_sent, "has")
        if self.most_unpacked:
            body = Counted(Unpacked(body), self.most_unpacked, "unpacks to")
        return cast(IO[bytes], body)

    def limit_to(self, megabytes: int, setting: str) -> None:
        """Take no more than this, packed or not."""
        limit = Limit(megabytes * MIB, setting)
        self.most_sent = min(self.most_sent, limit, key=_size)
        if self.most_unpacked:
            self.most_unpacked = min(self.most_unpacked, limit, key=_size)

    def _get_file_stream(self, *args: Any, **kwargs: Any) -> IO[bytes]:
        """Where a file of the form is kept: the first few in memory while they are small."""
        kept = self.__dict__.setdefault("kept", [])
        if len(kept) < MOST_IN_MEMORY:
            kept.append(super()._get_file_stream(*args, **kwargs))
        else:
            kept.append(TemporaryFile())  # noqa: SIM115 - closed with the form
        return cast(IO[bytes], kept[-1])

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
            if isinstance(error, RequestEntityTooLarge):
                raise TooLarge(
                    f"The form has more than {MOST_PARTS} parts, or text of more than "
                    f"{MOST_TEXT // 1024} KiB in one that is no file."
                ) from error
            if isinstance(error, ValueError):
                raise BadRequest(f"The form cannot be read: {error}") from error
            raise


class Counted(io.RawIOBase):
    """What comes out of `source`, until it is more than the limit: then TooLarge."""

    def __init__(self, source: IO[bytes] | Unpacked, limit: Limit, verb: str) -> None:
        self._source, self._limit, self._verb = source, limit, verb
        self._left = limit.bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._source.read(min(len(buffer), self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise self._limit.exceeded(self._verb)
        buffer[: len(data)] = data
        return len(data)


class Unpacked:
    """A gzip stream (RFC 1952), unpacked piece by piece as it is read."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed = packed
        self._rest = b""
        self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._ended = False

    def read(self, size: int) -> bytes:
        """At most `size` bytes, none at the end; raises BadRequest for what is cut or damaged."""
        while piece := self._rest or self._packed.read(PIECE):
            if self._ended:  # another member follows
                self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
            try:
                data = self._inflate.decompress(piece, size)
            except zlib.error as error:
                raise BadRequest(f"The gzip body is damaged ({error}): pack it again.") from error
            self._ended = self._inflate.eof
            self._rest = self._inflate.unused_data if self._ended else self._inflate.unconsumed_tail
            if data:
                return data
        if not self._ended:
            raise BadRequest("The gzip body ends before it is complete: send it again.")
        return b""


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


def is_small() -> bool:
    """Whether this request says that its body is a small one, which costs next to nothing.

    A packed one is not: a megabyte may unpack to a thousand.
    """
    body = cast(Request, request)
    length = body.content_length
    return length is not None and length <= SMALL and not body.most_unpacked


def check() -> None:
    """Before a request: say how large its body may be, and refuse what cannot be unpacked.

    Nothing is read yet: the limits hold when the route reads. A form under `/api/` is an upload,
    which only those who are signed in reach.
    """
    body = cast(Request, request)
    coding = body.headers.get("Content-Encoding", "").strip().lower()
    if coding not in PLAIN | GZIP:
        raise UnknownEncoding(
            f"The Content-Encoding {coding!r} is not taken: send the body as it is, or gzip."
        )
    settings = services().settings
    upload = body.mimetype == FORM and body.path.startswith("/api/")
    if upload:
        body.most_sent = Limit(settings.max_upload_mb * MIB, "DINSIGHT_MAX_UPLOAD_MB")
    if coding in GZIP:
        unpacked = Limit(settings.max_unpacked_mb * MIB, "DINSIGHT_MAX_UNPACKED_MB")
        body.most_unpacked = unpacked if upload else min(unpacked, WITHOUT_FILE, key=_size)


def _size(limit: Limit) -> int:
    return limit.bytes
