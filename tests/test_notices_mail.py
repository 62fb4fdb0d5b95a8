"""Notices as e-mails, at a real SMTP server."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import email
import email.policy
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from hypothesis import given
from hypothesis import strategies as st

from dinsight.accounts import Identity
from dinsight.notices import mail
from dinsight.notices.attempt import Attempt, Undelivered
from dinsight.notices.mail import Server
from dinsight.notices.notifier import Notifier
from dinsight.services import Services
from tests.browser import free_port
from tests.notices_kit import FAST, HERE, LOCAL, add_channel, notices, states
from tests.postgres_kit import eventually
from tests.test_notices import Machine

NOW = dt.datetime(2026, 3, 1, 6, 30, tzinfo=dt.UTC)
ALERT = {
    **{"id": 12, "title": "Score over its limit", "message": "3 of the last 5 rows.", "note": None},
    **{"severity": "high", "status": "active", "score": 1.5, "peak": 2.25, "stream": "default"},
    **{"opened_at": "2026-03-01T06:29:00Z", "cleared_at": None, "acknowledged_at": None},
    "baseline": {"id": 7, "name": "Pump 7"},
}
PAYLOAD = {"id": "abc", "event": "raised", "alert": ALERT, "link": "https://d.example.com/x"}
PLAIN = Server(HERE, 0, "", "", "none", "D'insight <dinsight@plant.example.com>")


class Mailbox:
    """An SMTP server's handler that keeps what it takes; `answer` is how it answers a recipient."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.answer = "250 OK"

    async def handle_RCPT(
        self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]
    ) -> str:
        if self.answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.answer

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        read = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(read, EmailMessage)
        self.messages.append(read)
        return "250 OK"


@pytest.fixture
def serve_mail() -> Iterator[Callable[..., tuple[Mailbox, int]]]:
    running: list[Controller] = []

    def start(**more: Any) -> tuple[Mailbox, int]:
        box = Mailbox()
        controller = Controller(box, hostname=HERE, port=free_port(), **more)
        controller.start()
        running.append(controller)
        return box, int(controller.port)

    yield start
    for each in running:
        each.stop()


def send(
    server: Server, payload: dict[str, Any] | None = None, to: str = "ada@example.com"
) -> None:
    with Attempt(20) as attempt:
        mail.send(server, mail.write(server, to, payload or PAYLOAD, NOW), attempt)


def test_an_alert_arrives_as_a_plain_text_e_mail(
    services: Services,
    user: Identity,
    baseline_id: int,
    serve_mail: Callable[..., tuple[Mailbox, int]],
) -> None:
    box, port = serve_mail()
    add_channel(services, user.id, user.email, kind="email", secret="")
    doors = dataclasses.replace(LOCAL, mail=dataclasses.replace(PLAIN, port=port))
    notifier = Notifier(services.database, doors, pace=FAST)
    notifier.start()
    try:
        alert_id = Machine(services, baseline_id).tell("raised", "cleared")
        assert eventually(lambda: states(services)["delivered"] == 2, 30)
    finally:
        notifier.stop()
    subjects = {each["Subject"] for each in box.messages}
    assert subjects == {
        "[high] Alert: Score over its limit (Pump 7)",
        "[high] Cleared: Score over its limit (Pump 7)",
    }
    (raised,) = (each for each in box.messages if "Alert" in each["Subject"])
    ids = {f"<{each.id}@plant.example.com>" for each in notices(services)}
    assert {each["Message-ID"] for each in box.messages} == ids
    assert {each["References"] for each in box.messages} == {
        f"<alert-{alert_id}@plant.example.com>"
    }
    assert (raised["To"], raised["Auto-Submitted"]) == ("ada@example.com", "auto-generated")
    assert raised["From"] == "D'insight <dinsight@plant.example.com>"
    assert abs((raised["Date"].datetime - services.now()).total_seconds()) < 60
    text = raised.get_content()
    assert "3 of the last 5 rows were in alarm." in text
    assert "Machine:      Pump 7" in text
    assert "https://dinsight.example.com/dashboard/streaming?baseline_id=" in text


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("tls", ["none", "starttls", "tls"])
def test_it_signs_in_and_encrypts_as_the_settings_say(
    serve_mail: Callable[..., tuple[Mailbox, int]],
    tls: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HERE).configure_cert(context)
    signed_in: list[tuple[bytes, bytes, bool]] = []

    def check(server: SMTP, _: Any, __: Any, ___: Any, given: Any) -> AuthResult:
        signed_in.append(
            (given.login, given.password, server.transport.get_extra_info("sslcontext") is not None)
        )
        return AuthResult(success=given.password == b"right", handled=False)

    more: dict[str, Any] = {"authenticator": check, "auth_required": True}
    more |= {
        "none": {"auth_require_tls": False},
        "starttls": {"tls_context": context, "require_starttls": True},
        "tls": {"ssl_context": context, "auth_require_tls": False},
    }[tls]
    box, port = serve_mail(**more)
    server = dataclasses.replace(PLAIN, port=port, tls=tls, user="plant", password="right")
    if tls != "none":
        with pytest.raises(Undelivered, match="certificate"):
            send(server)
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    send(server)
    assert len(box.messages) == 1
    assert signed_in == [(b"plant", b"right", tls != "none")]
    with pytest.raises(Undelivered, match="refused the message: 535") as refused:
        send(dataclasses.replace(server, password="wrong"))
    assert refused.value.again
    assert "wrong" not in refused.value.reason


@pytest.mark.parametrize(("answer", "again"), [("550 No such user", False), ("451 Later", True)])
def test_a_recipient_that_is_refused_for_good_is_not_tried_again(
    serve_mail: Callable[..., tuple[Mailbox, int]], answer: str, again: bool
) -> None:
    box, port = serve_mail()
    box.answer = answer
    with pytest.raises(Undelivered, match=f"refused the recipient: {answer}") as refused:
        send(dataclasses.replace(PLAIN, port=port))
    assert refused.value.again == again
    assert box.messages == []


def test_a_mail_server_that_is_away_is_tried_again() -> None:
    with pytest.raises(Undelivered, match="cannot be used: Connection refused") as refused:
        send(dataclasses.replace(PLAIN, port=1))
    assert refused.value.again


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_no_name_of_anything_adds_a_header_or_a_line_to_one(
    title: str, name: str, message: str
) -> None:
    alert = {**ALERT, "title": title, "message": message, "baseline": {"id": 7, "name": name}}
    made = mail.write(PLAIN, "ada@example.com", {**PAYLOAD, "alert": alert}, NOW)
    allowed = {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "References"),
        *("X-Dinsight-Delivery", "X-Dinsight-Event", "MIME-Version"),
        *("Content-Type", "Content-Transfer-Encoding"),
    }
    assert set(made.keys()) == allowed
    raw = made.as_bytes(policy=email.policy.SMTP)
    read = email.message_from_bytes(raw, policy=email.policy.default)
    assert set(read.keys()) == allowed
    assert "\n" not in read["Subject"]


def test_a_name_with_a_header_in_it_stays_a_name() -> None:
    alert = {**ALERT, "title": "x\r\nBcc: eve@example.com\r\n\r\nhello"}
    made = mail.write(PLAIN, "ada@example.com", {**PAYLOAD, "alert": alert}, NOW)
    assert made["Bcc"] is None
    assert made["Subject"] == "[high] Alert: x Bcc: eve@example.com hello (Pump 7)"
    assert smtplib.CRLF not in str(made["Subject"])


@contextlib.contextmanager
def scripted(*answers: bytes, greeting: bytes = b"220 here\r\n", pause: float = 0) -> Iterator[int]:
    """The port of a mail server that gives these answers, a byte every `pause` seconds."""
    with socket.create_server((HERE, 0)) as door:

        def serve() -> None:
            with contextlib.suppress(OSError):
                line, _ = door.accept()
                with line, line.makefile("rb") as asked:
                    for answer in (greeting, *answers):
                        for at in range(0, len(answer), 1 if pause else len(answer)):
                            line.sendall(answer[at : at + 1] if pause else answer)
                            time.sleep(pause)
                        while (said := asked.readline()) and answer.startswith(b"354"):
                            if said == b".\r\n":
                                break

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(door.getsockname()[1])
    thread.join(5)


@pytest.mark.parametrize("goodbye", [b"221 bye\r\n", b"421 too busy\r\n", b"250 ok\r\n", b""])
def test_what_the_server_took_is_sent_however_it_says_goodbye(goodbye: bytes) -> None:
    ok = b"250 ok\r\n"
    with scripted(ok, ok, ok, b"354 go on\r\n", ok, goodbye or b"\r\n") as port:
        send(dataclasses.replace(PLAIN, port=port))


def test_a_greeting_that_drips_takes_no_longer_than_an_attempt() -> None:
    began = time.monotonic()
    with scripted(greeting=b"220 " + b"x" * 200 + b"\r\n", pause=0.1) as port:
        server = dataclasses.replace(PLAIN, port=port)
        with Attempt(1) as attempt, pytest.raises(Undelivered, match="no answer within 1 s"):
            mail.send(server, mail.write(server, "ada@example.com", PAYLOAD, NOW), attempt)
        assert time.monotonic() - began < 4
