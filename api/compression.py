"""Answers go out compressed to whoever takes gzip; small ones, such as a batch's, as they are."""

from __future__ import annotations

import gzip
import hashlib
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from http.client import NOT_MODIFIED, OK

from flask import Flask, Response, request
from werkzeug.wsgi import ClosingIterator

LEAST_BYTES = 1024
KINDS = {
    *("application/json", "application/x-ndjson", "application/javascript", "image/svg+xml"),
    *("text/html", "text/css", "text/csv", "text/javascript", "text/plain"),
}
FIXED = ("/assets/", "/_dash-component-suites/")  # the same for everybody, so compressed once
FAST, SMALL = 1, 6  # zlib's levels
KEPT_BYTES = 32 * 1024 * 1024


def register(server: Flask) -> None:
    server.after_request(Compression().compress)


class Compression:
    """Compresses answers; keeps those of scripts and styles, by their content."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._left = kept_bytes
        self._lock = threading.Lock()

    def compress(self, response: Response) -> Response:
        length = response.content_length
        if length is not None and length < LEAST_BYTES:
            return response
        if response.mimetype not in KINDS or response.status_code != OK:
            return response
        response.vary.add("Accept-Encoding")
        if (
            request.method == "HEAD"
            or request.accept_encodings.quality("gzip") <= 0
            or "Content-Encoding" in response.headers
        ):
            return response
        if (tag := response.get_etag()[0]) is not None:
            response.set_etag(tag, weak=True)  # the same content, other bytes
            if response.make_conditional(request).status_code == NOT_MODIFIED:
                return response
        if response.is_streamed and not response.direct_passthrough:
            _compress_stream(response)
        else:
            response.direct_passthrough = False
            fixed = request.path.startswith(FIXED)
            body = response.get_data()
            response.set_data(self._once(body) if fixed else gzip.compress(body, FAST, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
        response.headers.pop("Accept-Ranges", None)
        return response

    def _once(self, body: bytes) -> bytes:
        key = hashlib.blake2b(body, digest_size=16).digest()
        with self._lock:
            if (packed := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return packed
        packed = gzip.compress(body, SMALL, mtime=0)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = packed
                self._left -= len(packed)
            while self._left < 0:
                self._left += len(self._kept.popitem(last=False)[1])
        return packed


def _compress_stream(response: Response) -> None:
    source = response.response
    close = getattr(source, "close", lambda: None)
    response.response = ClosingIterator(_packed(response.iter_encoded()), close)
    response.headers.pop("Content-Length", None)


def _packed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces as one gzip stream, of which no more than a piece is held."""
    packer = zlib.compressobj(FAST, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    for piece in pieces:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()
