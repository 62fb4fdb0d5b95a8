"""Logs: one line a record, as text or as JSON, with the request that it belongs to and no secret.

What is logged should hold no secret to begin with; `redact` is the second lock.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
import sys
from contextvars import ContextVar
from typing import TextIO

import orjson

from dinsight.settings import Settings

ACCESS = "dinsight.access"

request_id: ContextVar[str] = ContextVar("request_id", default="")

# In this order: what stands behind a name, then what is known by its own form.
_SECRETS = (
    re.compile(r"(?i)((?:authorization|cookie|password|secret|token)['\"]?\s*[:=]\s*)[^\s,;&]+.*"),
    re.compile(r"(?i)(\bbearer\s+)\S+"),
    re.compile(r"(\w+://[^\s:/@]*:)[^\s@]+(?=@)"),
    re.compile(r"()\beyJ[\w-]+\.[\w-]+\.[\w-]*"),
    re.compile(r"()\bd[dk]_[\w-]{20,}"),
)
_HINTS = (
    *("authorization", "cookie", "password", "secret", "token", "bearer", "://", "eyj"),
    *("dk_", "dd_"),
)


def redact(text: str) -> str:
    """The text without tokens, keys, passwords and the passwords of addresses.

    >>> redact("connection to postgresql://plant:hunter2@db/plant failed")
    'connection to postgresql://plant:…@db/plant failed'
    >>> redact("GET /signin/link?token=abcdef failed")
    'GET /signin/link?token=…'
    """
    lowered = text.lower()
    if not any(hint in lowered for hint in _HINTS):  # most lines: 1 µs instead of 6
        return text
    for secret in _SECRETS:
        text = secret.sub(r"\1…", text)
    return text


class Lines(logging.Formatter):
    """A line for people; what continues it is indented, so that no content can pose as a line."""

    def format(self, record: logging.LogRecord) -> str:
        when = dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds")
        mark = f" [{found}]" if (found := _request_of(record)) else ""
        head = f"{when[:-6]}Z {record.levelname} {record.name}{mark}: "
        return head + redact(_text_of(self, record)).replace("\r", " ").replace("\n", "\n    ")


class JsonLines(logging.Formatter):
    """A JSON object; what a record carries as `fields` stands beside its message."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if found := _request_of(record):
            line["request_id"] = found
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = redact(self.formatException(record.exc_info))
        return orjson.dumps(line, option=orjson.OPT_UTC_Z, default=str).decode()


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Send every logger's records to one place, standard error unless another is given.

    A person at a terminal has the sign-in link to read: there, access lines take `debug`.
    """
    out = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(out)
    json = settings.log_format == "json"
    handler.setFormatter(JsonLines() if json else Lines())
    level = settings.log_level.upper()
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # It tells a lost scheduler by a traceback for each of its tasks; `dinsight.jobs` says it once.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    quiet = not json and level == "INFO" and out.isatty()
    logging.getLogger(ACCESS).setLevel(logging.WARNING if quiet else logging.NOTSET)


def _request_of(record: logging.LogRecord) -> str:
    return getattr(record, "request_id", "") or request_id.get()


def _text_of(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info:
        text += "\n" + formatter.formatException(record.exc_info)
    return text
