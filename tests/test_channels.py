"""Channels by the API and on the account page: what may be added, and what is shown of it."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from dinsight.accounts import Identity
from dinsight.errors import InvalidChannel, TooManyChannels, TooManyRequests
from dinsight.models import Audit, Channel
from dinsight.notices import channels
from dinsight.notices.addresses import parse_networks
from dinsight.notices.channels import Rules, Wanted
from dinsight.notices.notifier import Doors, Notifier
from dinsight.services import Services
from dinsight.settings import Settings
from tests.browser import Page
from tests.notices_kit import FAST, LOCAL, Answer, sink
from tests.test_api_main_job import Api

pytest_plugins = ["tests.browser_fixtures"]

HOOK = {"kind": "webhook", "target": "https://hooks.example.com/T0/a-token"}
MAIL = Rules(email=True)


@pytest.fixture
def api(client: FlaskClient, user: Identity) -> Api:
    return Api(client, user.email)


def test_a_webhooks_secret_is_shown_once(api: Api, services: Services) -> None:
    made = api("POST", "/channels", json=HOOK).json["data"]
    secret = made.pop("secret")
    assert secret.startswith("dw_")
    assert len(secret) > 40
    assert made["baseline_id"] is made["baseline"] is made["last"] is None
    assert (made["least_severity"], made["enabled"]) == ("low", True)
    answers = [
        api("GET", "/channels"),
        api("PUT", f"/channels/{made['id']}", json={"least_severity": "high"}),
        api("POST", f"/channels/{made['id']}/test"),
        api("GET", f"/channels/{made['id']}/notices"),
        api("GET", "/channels"),
    ]
    assert not any(secret in answer.text for answer in answers)
    (known,) = answers[-1].json["data"]["channels"]
    assert (known["least_severity"], known["last"]["event"]) == ("high", "test")
    assert known["last"]["state"] == "waiting"
    with services.sessions() as session:
        told = [str(row) for row in session.execute(select(Audit.subject, Audit.details))]
    assert not any(secret in each or "a-token" in each for each in told)


def test_a_private_address_is_refused_when_it_is_given(api: Api) -> None:
    for url in ("http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/latest"):
        answer = api("POST", "/channels", json={**HOOK, "target": url})
        assert (answer.status_code, answer.json["error"]["code"]) == (422, "INVALID_CHANNEL")
        assert "DINSIGHT_WEBHOOK_NETWORKS" in answer.json["message"]


def test_without_a_mail_server_an_e_mail_channel_says_so(api: Api) -> None:
    answer = api("POST", "/channels", json={"kind": "email"})
    assert answer.status_code == 422
    assert answer.json["message"] == channels.NO_MAIL


def test_e_mails_go_to_ones_own_address_or_to_the_domains_of_the_setting(
    services: Services, user: Identity
) -> None:
    allowed = dataclasses.replace(MAIL, domains=frozenset({"plant.example.com"}))
    with services.sessions() as session:
        assert channels.add(session, user, Wanted("email"), MAIL).target == user.email
        assert channels.add(session, user, Wanted("email", "ADA@example.com"), MAIL)
        assert channels.add(session, user, Wanted("email", "shift@Plant.example.com"), allowed)
        for target, rules in (
            ("eve@example.com", MAIL),
            ("shift@plant.example.com", MAIL),
            ("x@evil.plant.example.com", allowed),
            ("x@plant.example.com, eve@example.com", allowed),
            ("x@plant.example.com\nBcc: eve@example.com", allowed),
            ("nobody", allowed),
        ):
            with pytest.raises(InvalidChannel):
                channels.add(session, user, Wanted("email", target), rules)


def test_there_are_at_most_twenty_of_one_user(services: Services, user: Identity) -> None:
    with services.sessions() as session:
        for _ in range(channels.MOST_CHANNELS):
            channels.add(session, user, Wanted(**HOOK), Rules())
        with pytest.raises(TooManyChannels):
            channels.add(session, user, Wanted(**HOOK), Rules())


def test_tests_are_ten_an_hour_whatever_is_deleted_meanwhile(
    services: Services, user: Identity
) -> None:
    now = services.now()
    with services.sessions() as session:
        for _ in range(channels.MOST_TESTS):
            channel = channels.add(session, user, Wanted(**HOOK), Rules())
            channels.test(session, user, channel.id, now=now)
            channels.delete(session, user, channel.id)
        channel = channels.add(session, user, Wanted(**HOOK), Rules())
        with pytest.raises(TooManyRequests) as refused:
            channels.test(session, user, channel.id, now=services.now())
        assert 3_500 < refused.value.details["retry_after"] <= 3_600
        session.execute(update(Audit).values(at=now - dt.timedelta(hours=2)))
        assert channels.test(session, user, channel.id, now=services.now())


def test_a_channel_goes_with_its_baseline(
    services: Services, api: Api, user: Identity, baseline_id: int
) -> None:
    api("POST", "/channels", json={**HOOK, "baseline_id": baseline_id})
    api("POST", "/channels", json=HOOK)
    assert [each["baseline"] for each in api("GET", "/channels").json["data"]["channels"]] == [
        "Pump 7",
        None,
    ]
    api("DELETE", f"/dinsight/{baseline_id}")
    assert [each["baseline"] for each in api("GET", "/channels").json["data"]["channels"]] == [None]


def test_what_messages_leave_through_is_read_from_the_settings() -> None:
    settings = Settings.from_env(
        {
            "DINSIGHT_PUBLIC_URL": "https://dinsight.example.com/",
            "DINSIGHT_WEBHOOK_NETWORKS": "10.20.0.0/16, fd00:1::/32",
            "DINSIGHT_SMTP_HOST": "mail.example.com",
            "DINSIGHT_SMTP_TLS": "tls",
            "DINSIGHT_SMTP_PASSWORD": "hidden",
            "DINSIGHT_SMTP_FROM": "D'insight <dinsight@example.com>",
            "DINSIGHT_EMAIL_DOMAINS": "Example.com, plant.example.com",
        }
    )
    doors = Doors.of(settings)
    assert doors.address == "https://dinsight.example.com"
    assert doors.networks == parse_networks("10.20.0.0/16,fd00:1::/32")
    assert doors.mail is not None
    assert (doors.mail.port, doors.mail.domain) == (465, "example.com")
    assert Rules.of(settings).domains == {"example.com", "plant.example.com"}
    assert "hidden" not in repr(settings)
    assert Doors.of(Settings(port=9)) == Doors("http://localhost:9")


# ---- the account page ----


def test_channels_are_added_tested_switched_and_deleted_on_the_account_page(
    services: Services, user: Identity, page: Page, sign_in: Callable[..., None]
) -> None:
    def press(words: str) -> None:
        page.js(
            "[...document.querySelectorAll('.channel-buttons > button, dialog[open] button')]"
            ".filter((each) => each.textContent.startsWith(arguments[0])).at(-1).click()",
            words,
        )

    def listed() -> str:
        return page.text("channels-list")

    def message() -> str:
        return page.text("channels-message")

    def fill(url: str) -> None:
        page.type("channels-target", url)
        page.click("channels-add")

    sign_in(user, "/account")
    with sink() as receiver:
        notifier = Notifier(services.database, LOCAL, pace=FAST)
        notifier.start()
        try:
            page.wait(lambda: "Nobody is told yet" in listed(), "the empty list")
            fill("ftp://example.com")
            page.wait(lambda: "http:// or https://" in message(), "the refusal")
            # By a name, for an address of this machine is refused as it is given.
            fill(f"http://localhost:{receiver.port}/hook")
            page.wait(lambda: "The channel is added" in message(), "the channel")
            secret = page.js("return document.querySelector('#channels-secret code').textContent")
            with services.sessions() as session:
                assert session.scalar(select(Channel.secret)) == secret
            receiver.answers["/hook"] = [Answer(500), Answer(200)]
            press("Send a test")
            page.wait(lambda: "Test: failed" in listed() and "500" in listed(), "the failure")
            press("Send a test")
            page.wait(lambda: "Test: delivered" in listed(), "the delivery")
            press("Switch off")
            page.wait(lambda: "Switch on" in listed(), "the channel off")
            page.wait(lambda: page.text("channels-secret") == "", "the secret gone")
            press("Delete")
            press("Delete")
            page.wait(lambda: "Nobody is told yet" in listed(), "the empty list again")
        finally:
            notifier.stop()
    with services.sessions() as session:
        assert session.scalars(select(Channel)).all() == []
