"""Where webhooks may lead to: the table of addresses, URLs, and names that change their minds."""

from __future__ import annotations

import datetime as dt
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dinsight.errors import InvalidChannel
from dinsight.notices import addresses, webhook
from dinsight.notices.addresses import parse_networks, permitted
from dinsight.notices.attempt import Attempt, Undelivered
from dinsight.notices.webhook import Message
from tests.notices_kit import HERE, sink

PRIVATE = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254"),
    *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1"),
    *("192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255"),
    *("240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "100::1", "2001::1"),
    *("2001:db8::1", "2002:7f00:1::1", "3fff::1", "5f00::1", "fc00::1", "fd12:3456::1"),
    *("fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1", "fd00:ec2::254"),
]
PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "93.184.215.14", "172.32.0.1", "100.128.0.1", "192.0.0.9"),
    *("2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public_is_refused(address: str) -> None:
    assert not permitted(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_permitted(address: str) -> None:
    assert permitted(address)


def test_a_network_that_the_setting_names_is_permitted_and_nothing_beside_it() -> None:
    networks = parse_networks("10.20.0.0/16, fd00:1::/32")
    assert all(permitted(each, networks) for each in ("10.20.3.4", "fd00:1::9", "::ffff:10.20.3.4"))
    assert not any(permitted(each, networks) for each in ("10.21.0.1", "fd00:2::9", "127.0.0.1"))


@given(st.ip_addresses(v=4))
def test_wrapping_an_address_changes_nothing(address: object) -> None:
    assert (
        permitted(f"::ffff:{address}")
        == permitted(f"64:ff9b::{address}")
        == permitted(str(address))
    )


@pytest.mark.parametrize(
    "host", ["2130706433", "0177.0.0.1", "0x7f.1", "127.1", "0", "localhost", "017700000001"]
)
def test_other_spellings_of_this_machine_are_refused_by_where_they_lead(host: str) -> None:
    with pytest.raises(Undelivered, match="not a public address") as refused:
        addresses.find(host, 80, (), 5.0)
    assert not refused.value.again


def test_a_host_with_one_refused_address_is_refused_whole() -> None:
    with pytest.raises(Undelivered, match=r"example\.com leads to 10\.0\.0\.1"):
        addresses.find("example.com", 80, (), 5.0, lambda *_: ["1.1.1.1", "10.0.0.1"])


def test_a_name_without_an_address_may_have_one_later() -> None:
    def unknown(*_: object) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(Undelivered, match=r"example\.com has no address: Name or") as refused:
        addresses.find("example.com", 80, (), 5.0, unknown)
    assert refused.value.again


def test_a_resolver_that_hangs_ends_with_the_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    held = __import__("threading").Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: held.wait(20) and [])
    with pytest.raises(Undelivered, match="could not be resolved in time"):
        addresses.find("example.com", 80, (), 0.1)
    held.set()


def test_it_connects_to_the_address_that_was_checked_whatever_the_name_says_then() -> None:
    """DNS rebinding: the name leads to a permitted address once, and elsewhere ever after."""
    answers = [[HERE], ["10.0.0.1"], ["10.0.0.1"]]
    asked: list[str] = []

    def rebinding(host: str, *_: object) -> list[str]:
        asked.append(host)
        return answers.pop(0)

    with sink() as receiver:
        url = f"http://hook.example.com:{receiver.port}/hook"
        with Attempt(5) as attempt:
            webhook.send(
                url,
                "dw_x",
                Message("n1", "raised", b"{}"),
                attempt,
                networks=parse_networks("127.0.0.0/8"),
                now=dt.datetime.now(dt.UTC),
                resolve=rebinding,
            )
        assert [each.headers["Host"] for each in receiver.at()] == [
            f"hook.example.com:{receiver.port}"
        ]
    assert asked == ["hook.example.com"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "http:// or https://"),
        ("ftp://example.com/", "http:// or https://"),
        ("file:///etc/passwd", "http:// or https://"),
        ("example.com/hook", "http:// or https://"),
        ("https://ada:secret@example.com/", "user name"),
        ("https://example.com@10.0.0.1/", "user name"),
        ("https:///hook", "needs a host"),
        ("https://exa mple.com/", "plain characters"),
        ("https://example.com/\r\nX: y", "plain characters"),
        ("https://example.com\\@10.0.0.1/", "plain characters"),
        ("https://exämple.com/", "plain characters"),
        ("https://example.com:99999/", "not a URL"),
        ("https://example.com:0/", "needs a host"),
        ("https://[::1/", "not a URL"),
        ("https://" + "x" * 2_000, "at most 2,000"),
        ("http://127.0.0.1/", "not a public address"),
        ("http://[::ffff:10.0.0.1]/", "not a public address"),
        ("http://169.254.169.254/latest/meta-data", "not a public address"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_when_it_is_given(url: str, words: str) -> None:
    with pytest.raises(InvalidChannel, match=words):
        webhook.check(url, ())


def test_a_url_is_taken_apart() -> None:
    target = webhook.check("HTTPS://Hooks.Example.com/a/b?token=x#part", ())
    assert (target.scheme, target.netloc, target.port) == ("https", "hooks.example.com", 443)
    assert target.path == "/a/b?token=x"
    assert webhook.check("http://[2606:4700::1]:8080", ()).netloc == "[2606:4700::1]:8080"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("7", 7.0),
        ("99999999999", 3_600.0),
        ("Thu, 01 Jan 2026 00:02:00 GMT", 120.0),
        ("Thu, 01 Jan 2020 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_read_in_both_its_forms(header: str | None, seconds: float | None) -> None:
    assert webhook.wanted_wait(header, dt.datetime(2026, 1, 1, tzinfo=dt.UTC)) == seconds
