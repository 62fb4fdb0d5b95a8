"""A message as an e-mail in plain text, by the SMTP server of the settings."""

from __future__ import annotations

import contextlib
import email.policy
import smtplib
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any

from dinsight.models import Moment
from dinsight.notices.attempt import Attempt, Undelivered
from dinsight.settings import Settings

PORTS = {"none": 25, "starttls": 587, "tls": 465}
SUBJECT_LENGTH = 200
PERMANENT = 500
EVENTS = {
    "raised": "Alert",
    "severity_raised": "More severe",
    "acknowledged": "Acknowledged",
    "cleared": "Cleared",
    "test": "Test",
}
FACTS = (
    ("Machine", "baseline"),
    ("Stream", "stream"),
    ("Severity", "severity"),
    ("State", "status"),
    ("Since", "opened_at"),
    ("Until", "cleared_at"),
    ("Score", "score"),
    ("Peak", "peak"),
    ("Acknowledged", "acknowledged_at"),
    ("Note", "note"),
)


@dataclass(frozen=True)
class Server:
    """The SMTP server, and whom its messages come from."""

    host: str
    port: int
    user: str
    password: str
    tls: str
    sender: str

    @classmethod
    def of(cls, settings: Settings) -> Server | None:
        """None where the settings name no server, or nobody to send as."""
        if not (settings.smtp_host and settings.smtp_from):
            return None
        return cls(
            host=settings.smtp_host,
            port=settings.smtp_port or PORTS[settings.smtp_tls],
            user=settings.smtp_user,
            password=settings.smtp_password,
            tls=settings.smtp_tls,
            sender=settings.smtp_from,
        )

    @property
    def domain(self) -> str:
        return parseaddr(self.sender)[1].rpartition("@")[2]


def send(server: Server, message: EmailMessage, attempt: Attempt) -> None:
    """Hand the message to the server; raises Undelivered.

    Tried again unless the server says that there is no such recipient: a wrong password, say, is
    put right by an administrator, and the alarm must not be lost over it.
    """
    try:
        session = _connect(server, attempt)
        try:
            if server.user:
                session.login(server.user, server.password)
            session.send_message(message)
            with contextlib.suppress(OSError, smtplib.SMTPException):
                session.quit()  # however it is answered: the message was taken
        finally:
            session.close()
    except smtplib.SMTPRecipientsRefused as error:
        code, words = next(iter(error.recipients.values()))
        raise Undelivered(
            f"The mail server refused the recipient: {_words(code, words)}", again=code < PERMANENT
        ) from error
    except smtplib.SMTPResponseException as error:
        reason = _words(error.smtp_code, error.smtp_error)
        raise Undelivered(f"The mail server refused the message: {reason}") from error
    except (OSError, smtplib.SMTPException) as error:
        if attempt.is_over:
            raise attempt.too_slow() from error
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Undelivered(f"The mail server cannot be used: {reason}.") from error


class _Session(smtplib.SMTP):
    """A session that is cut when the time is up, from its first byte on: also within a greeting."""

    def __init__(self, server: Server, attempt: Attempt, context: ssl.SSLContext) -> None:
        self._attempt, self._tls = attempt, context if server.tls == "tls" else None
        super().__init__(server.host, server.port, timeout=attempt.left())

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        line = socket.create_connection((host, port), timeout)
        try:
            self._attempt.hold(line)
            return self._tls.wrap_socket(line, server_hostname=host) if self._tls else line
        except BaseException:
            line.close()
            raise


def _connect(server: Server, attempt: Attempt) -> smtplib.SMTP:
    context = ssl.create_default_context()
    session = _Session(server, attempt, context)
    try:
        if server.tls == "starttls":
            session.starttls(context=context)
    except BaseException:
        session.close()
        raise
    return session


def write(server: Server, to: str, payload: Mapping[str, Any], now: Moment) -> EmailMessage:
    """The e-mail of a notice. Those of one alert refer to the same id, so that they are one thread.

    No header takes a line break, whatever an alert or a baseline is called.
    """
    message = EmailMessage(policy=email.policy.SMTP)
    name, sender = parseaddr(server.sender)
    local, _, domain = sender.rpartition("@")
    message["From"] = Address(line(name) or "D'insight", local, domain)
    message["To"] = to
    message["Subject"] = subject(payload)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{payload['id']}@{server.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Dinsight-Delivery"] = str(payload["id"])
    message["X-Dinsight-Event"] = str(payload["event"])
    if alert := payload.get("alert"):
        message["References"] = f"<alert-{alert['id']}@{server.domain}>"
    message.set_content(text(payload))
    return message


def subject(payload: Mapping[str, Any]) -> str:
    """What happened, how severe it is, and to what.

    >>> alert = {"severity": "high", "baseline": {"name": "Pump 7"}, "title": "Score over\\n limit"}
    >>> subject({"event": "raised", "alert": alert})
    '[high] Alert: Score over limit (Pump 7)'
    """
    what = EVENTS[payload["event"]]
    alert = payload.get("alert")
    if not alert:
        return "Test of D'insight's notifications"
    said = f"[{alert['severity']}] {what}: {alert['title']} ({alert['baseline']['name']})"
    return line(said)[:SUBJECT_LENGTH]


def text(payload: Mapping[str, Any]) -> str:
    """The body: the alert's own words, its facts, and where to look."""
    alert, link = payload.get("alert"), payload["link"]
    if not alert:
        return f"{payload['message']}\n\n{link}\n"
    facts = {**alert, "baseline": alert["baseline"]["name"]}
    lines = [
        f"{label + ':':<14}{_shown(facts[key])}"
        for label, key in FACTS
        if facts.get(key) not in {None, ""}
    ]
    return "\n".join([alert["message"], "", *lines, "", link, ""])


def line(text: str) -> str:
    """Text as one line without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else line(str(value))


def _words(code: int, words: bytes | str) -> str:
    said = words.decode(errors="replace") if isinstance(words, bytes) else words
    return f"{code} {line(said)[:200]}"
