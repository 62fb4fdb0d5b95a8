"""Notices from the transaction of their event to a real receiver, through everything on the way."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trustme
from sqlalchemy import func, update

from dinsight import people
from dinsight.accounts import Identity
from dinsight.models import Alert, Channel, Notice, Stream
from dinsight.notices import channels, notifier, outbox, webhook
from dinsight.notices.notifier import Notifier, Pace
from dinsight.services import Services
from tests.conftest import make_user
from tests.notices_kit import (
    FAST,
    HERE,
    LOCAL,
    Answer,
    Sink,
    add_channel,
    age,
    make_stream,
    notices,
    raise_alert,
    sink,
    states,
)
from tests.postgres_kit import eventually as within

HOUR = dt.timedelta(hours=1)
eventually = functools.partial(within, seconds=30.0)


@pytest.fixture
def receiver() -> Iterator[Sink]:
    with sink() as made:
        yield made


@pytest.fixture
def run(services: Services) -> Iterator[Callable[..., Notifier]]:
    """Starts notifiers, and stops them in the end."""
    started: list[Notifier] = []

    def start(pace: Pace = FAST, doors: notifier.Doors = LOCAL) -> Notifier:
        made = Notifier(services.database, doors, services.notices, pace)
        started.append(made)
        made.start()
        return made

    yield start
    for each in started:
        each.stop()


class Machine:
    """A stream whose alerts are raised at will."""

    def __init__(self, services: Services, baseline_id: int) -> None:
        self.services = services
        with services.sessions.begin() as session:
            self.stream_id = make_stream(session, baseline_id).id

    def tell(self, *events: str, **more: Any) -> int:
        """One alert to which these things happen, each in a transaction; its id."""
        alert_id = None
        for event in events or ("raised",):
            with self.services.sessions.begin() as session:
                now = self.services.now()
                if alert_id is None:
                    stream = session.get_one(Stream, self.stream_id)
                    alert = raise_alert(session, stream, now, **more)
                else:
                    alert = session.get_one(Alert, alert_id)
                if event == "cleared":
                    alert.cleared_at = now
                outbox.write(session, alert, event, now=now)
                alert_id = alert.id
        assert alert_id is not None
        return alert_id


@pytest.fixture
def machine(services: Services, baseline_id: int) -> Machine:
    return Machine(services, baseline_id)


# ---- which channels are told ----


def test_each_event_is_told_once_to_each_channel_that_wants_it(
    services: Services,
    user: Identity,
    baseline_id: int,
    machine: Machine,
    make_baseline: Callable[..., int],
) -> None:
    other_pump = make_baseline(user, "Pump 8")
    wants = {
        "all": add_channel(services, user.id, "https://a.example.com"),
        "this": add_channel(
            services,
            user.id,
            "https://b.example.com",
            baseline_id=baseline_id,
            least_severity="high",
        ),
        "critical": add_channel(
            services, user.id, "https://c.example.com", least_severity="critical"
        ),
        "other": add_channel(services, user.id, "https://d.example.com", baseline_id=other_pump),
        "off": add_channel(services, user.id, "https://e.example.com", enabled=False),
    }
    events = ("raised", "raised_again", "shelved", "acknowledged", "severity_raised", "cleared")
    machine.tell(*events)
    told = [(each.channel_id, each.event) for each in notices(services)]
    worth = ("raised", "acknowledged", "severity_raised", "cleared")
    expected = [(wants[name], event) for event in worth for name in ("all", "this")]
    assert sorted(told) == sorted(expected)


def test_only_the_owner_is_told_and_an_administrator_who_names_the_baseline(
    services: Services, user: Identity, other: Identity, baseline_id: int, machine: Machine
) -> None:
    boss = make_user(services, "boss@example.com", role="admin")
    mine = add_channel(services, user.id, "https://a.example.com")
    add_channel(services, other.id, "https://b.example.com")
    add_channel(services, other.id, "https://b.example.com", baseline_id=baseline_id)
    add_channel(services, boss.id, "https://c.example.com")
    named = add_channel(services, boss.id, "https://c.example.com", baseline_id=baseline_id)
    machine.tell("raised")
    assert {each.channel_id for each in notices(services)} == {mine, named}
    with services.sessions.begin() as session:
        people.change(session, boss, user.id, people.Change(disabled=True), now=services.now())
    machine.tell("raised")
    assert [each.channel_id for each in notices(services)].count(mine) == 1


def test_a_shelved_alert_tells_nobody_until_its_time_is_up(
    services: Services, user: Identity, machine: Machine
) -> None:
    add_channel(services, user.id, "https://a.example.com")
    now = services.now()
    machine.tell("raised", "acknowledged", "cleared", shelved_until=now + HOUR)
    (waiting,) = notices(services)
    assert waiting.event == "raised"
    assert abs(waiting.due_at - now - HOUR) < dt.timedelta(minutes=1)
    machine.tell("raised", shelved_until=now - HOUR)
    assert len(notices(services)) == 2


def test_what_is_rolled_back_is_never_sent(
    services: Services, user: Identity, machine: Machine, receiver: Sink, run: Callable[..., Any]
) -> None:
    add_channel(services, user.id, receiver.url())
    run()
    with services.sessions() as session:
        stream = session.get_one(Stream, machine.stream_id)
        alert = raise_alert(session, stream, services.now())
        assert outbox.write(session, alert, "raised", now=services.now()) == 1
        session.rollback()
    kept = machine.tell("raised")
    assert eventually(lambda: states(services)["delivered"] == 1)
    assert [each.json["alert"]["id"] for each in receiver.received] == [kept]


# ---- delivery ----


def test_a_notice_arrives_once_complete_and_signed(
    services: Services,
    user: Identity,
    baseline_id: int,
    machine: Machine,
    receiver: Sink,
    run: Callable[..., Any],
) -> None:
    add_channel(services, user.id, receiver.url("/hook?key=a%20b"), secret="dw_s")
    run(dataclasses.replace(FAST, look_seconds=60.0))  # so that it is the write that wakes it
    time.sleep(0.1)
    alert_id = machine.tell("raised")
    assert eventually(lambda: states(services)["delivered"] == 1)
    (got,) = receiver.at("/hook?key=a%20b")
    (notice,) = notices(services)
    said = got.json
    assert (said["id"], said["event"]) == (notice.id, "raised") == (got.id, notice.event)
    assert said["link"] == (
        "https://dinsight.example.com/dashboard/streaming"
        f"?baseline_id={baseline_id}&stream=night+shift&epoch=1&at=41"
    )
    alert = said["alert"]
    assert alert["baseline"] == {"id": baseline_id, "name": "Pump 7"}
    assert (alert["id"], alert["status"], alert["stream"]) == (alert_id, "active", "night shift")
    assert (alert["severity"], alert["score"], alert["peak"]) == ("high", 1.5, 2.25)
    assert alert["opened_at"].endswith("Z")
    stamp = got.headers["X-Dinsight-Timestamp"]
    assert got.headers["X-Dinsight-Signature"] == webhook.sign("dw_s", stamp, got.body)
    assert abs(int(stamp) - time.time()) < 30
    assert got.headers["X-Dinsight-Event"] == "raised"
    assert (notice.attempts, notice.error, notice.lease) == (1, None, None)
    assert services.notices.delivered == 1


@pytest.mark.parametrize("status", [500, 503, 404, 302])
def test_it_is_tried_again_under_the_same_id_until_it_arrives(
    services: Services,
    user: Identity,
    machine: Machine,
    receiver: Sink,
    run: Callable[..., Any],
    status: int,
) -> None:
    elsewhere = {"Location": receiver.url("/elsewhere")}
    receiver.answers["/hook"] = [Answer(status, headers=elsewhere)] * 2 + [Answer(200)]
    add_channel(services, user.id, receiver.url())
    run()
    machine.tell("raised")
    assert eventually(lambda: states(services)["delivered"] == 1)
    got = receiver.at()
    assert len(got) == 3
    assert len({each.id for each in got}) == len({each.body for each in got}) == 1
    assert receiver.at("/elsewhere") == []
    assert (services.notices.attempts_failed, services.notices.given_up) == (2, 0)


def test_a_receiver_that_is_not_there_yet_gets_it_later(
    services: Services, user: Identity, machine: Machine, run: Callable[..., Any]
) -> None:
    with socket.create_server((HERE, 0)) as free:
        port = free.getsockname()[1]
    add_channel(services, user.id, f"http://{HERE}:{port}/hook")
    run()
    machine.tell("raised")
    refuses = f"{HERE}:{port} refuses connections."
    assert eventually(lambda: notices(services)[0].error == refuses)
    with sink(port) as receiver:
        assert eventually(lambda: states(services)["delivered"] == 1)
        assert len(receiver.at()) == 1
    assert notices(services)[0].error is None


def test_retry_after_is_honoured_for_all_that_waits_for_the_channel(
    services: Services, user: Identity, machine: Machine, receiver: Sink, run: Callable[..., Any]
) -> None:
    receiver.answers["/hook"] = [Answer(429, headers={"Retry-After": "2"}), Answer(200)]
    add_channel(services, user.id, receiver.url())
    machine.tell("raised", "acknowledged", "cleared")
    run()
    assert eventually(lambda: states(services)["delivered"] == 3)
    first, *rest = receiver.at()
    assert len(rest) == 3
    assert min(each.at for each in rest) - first.at > 1.9


def test_a_receiver_that_is_gone_has_its_channel_switched_off(
    services: Services, user: Identity, machine: Machine, receiver: Sink, run: Callable[..., Any]
) -> None:
    receiver.answers["/hook"] = [Answer(410)]
    channel_id = add_channel(services, user.id, receiver.url())
    machine.tell("raised", "cleared")
    run()
    assert eventually(lambda: states(services)["failed"] == 2)
    assert len(receiver.at()) == 1
    with services.sessions() as session:
        assert not session.get_one(Channel, channel_id).enabled
    assert {"410" in str(each.error) for each in notices(services)} == {True}


def test_it_is_given_up_after_a_day_of_trying_and_says_why(
    services: Services, user: Identity, machine: Machine, receiver: Sink, run: Callable[..., Any]
) -> None:
    receiver.answers["/hook"] = [Answer(500)]
    add_channel(services, user.id, receiver.url())
    machine.tell("raised")
    age(services, 25 * HOUR)  # it waited that long, as for the end of a shelf, and was not tried
    run()
    assert eventually(lambda: notices(services)[0].attempts > 1)
    with services.sessions.begin() as session:
        session.execute(update(Notice).values(first_tried_at=func.now() - 25 * HOUR))
    assert eventually(lambda: states(services)["failed"] == 1)
    (notice,) = notices(services)
    assert notice.error == "The receiver answered 500 Internal Server Error."
    assert services.notices.given_up == 1


def test_a_private_address_is_refused_and_nothing_is_sent(
    services: Services, user: Identity, machine: Machine, receiver: Sink, run: Callable[..., Any]
) -> None:
    add_channel(services, user.id, f"http://localhost:{receiver.port}/hook")
    machine.tell("raised")
    run(doors=notifier.Doors("https://dinsight.example.com"))
    assert eventually(lambda: states(services)["failed"] == 1)
    assert "which is not a public address" in str(notices(services)[0].error)
    assert receiver.received == []


@pytest.mark.parametrize("slow", [Answer(seconds=60), Answer(drip=True)], ids=["silent", "drip"])
def test_a_slow_receiver_ends_in_time_and_delays_no_other(
    services: Services,
    user: Identity,
    baseline_id: int,
    machine: Machine,
    receiver: Sink,
    run: Callable[..., Any],
    slow: Answer,
) -> None:
    """Six channels of one user, each slow: more than a user has threads."""
    receiver.answers["/slow"] = [slow]
    for number in range(6):
        add_channel(services, user.id, receiver.url("/slow"), secret=f"dw_{number}")
    swift = make_user(services, "swift@example.com", role="admin")
    add_channel(services, swift.id, receiver.url("/swift"), baseline_id=baseline_id)
    run(dataclasses.replace(FAST, attempt_seconds=8.0, first_wait=60.0, longest_wait=60.0))
    machine.tell("raised")
    told = time.monotonic()
    assert eventually(lambda: receiver.at("/swift"))
    assert receiver.at("/swift")[0].at - told < 5.0
    slowly = "There was no answer within 8 s."
    assert eventually(lambda: [n.error for n in notices(services)].count(slowly) == 6)
    assert states(services)["delivered"] == 1


def test_a_certificate_that_does_not_hold_is_refused_and_one_that_does_is_taken(
    services: Services,
    user: Identity,
    machine: Machine,
    receiver: Sink,
    run: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HERE).configure_cert(context)
    server = receiver.server
    server.socket = context.wrap_socket(server.socket, server_side=True)
    add_channel(services, user.id, receiver.url().replace("http:", "https:"))
    run()
    machine.tell("raised")
    assert eventually(lambda: "certificate" in str(notices(services)[0].error))
    assert receiver.received == []
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert eventually(lambda: states(services)["delivered"] == 1)
    assert len(receiver.at()) == 1


# ---- several instances, and their ends ----


def test_two_notifiers_send_each_notice_once(
    services: Services, user: Identity, machine: Machine, receiver: Sink, run: Callable[..., Any]
) -> None:
    for number in range(5):
        add_channel(services, user.id, receiver.url(f"/{number}"))
    run()
    run()
    for _ in range(8):
        machine.tell("raised", "cleared")
    assert eventually(lambda: states(services) == {"waiting": 0, "delivered": 80, "failed": 0})
    ids = [each.id for each in receiver.received]
    assert len(ids) == len(set(ids)) == 80


def test_what_a_dead_instance_held_is_sent_by_another_once_its_lease_is_over(
    services: Services, user: Identity, machine: Machine, receiver: Sink, run: Callable[..., Any]
) -> None:
    add_channel(services, user.id, receiver.url())
    machine.tell("raised")
    (notice,) = notices(services)
    with services.sessions.begin() as session:
        length = dt.timedelta(seconds=1)
        assert len(notifier.take(session, [notice.id], "dead", length)) == 1
    taken = time.monotonic()
    run()
    assert eventually(lambda: states(services)["delivered"] == 1)
    assert receiver.at()[0].at - taken > 0.8
    assert notices(services)[0].attempts == 2


def test_it_stops_promptly_and_gives_back_what_it_could_not_send(
    services: Services, user: Identity, machine: Machine, receiver: Sink, run: Callable[..., Any]
) -> None:
    receiver.answers["/hook"] = [Answer(seconds=60), Answer(200)]
    add_channel(services, user.id, receiver.url())
    held = run(dataclasses.replace(FAST, attempt_seconds=30.0))
    machine.tell("raised")
    assert eventually(receiver.at)
    began = time.monotonic()
    held.stop()
    assert time.monotonic() - began < notifier.GRACE_SECONDS + 2
    (notice,) = notices(services)
    assert (notice.lease, notice.attempts, notice.delivered_at) == (None, 0, None)
    run()
    assert eventually(lambda: states(services)["delivered"] == 1)


def test_settled_notices_go_after_two_weeks_and_those_of_a_disabled_account_are_given_up(
    services: Services, user: Identity, machine: Machine
) -> None:
    channel_id = add_channel(services, user.id, "https://a.example.com")
    machine.tell("raised", "cleared")
    raised, cleared = notices(services)
    with services.sessions.begin() as session:
        notifier.delivered(session, raised.id)
    age(services, dt.timedelta(days=15))
    with services.sessions.begin() as session:
        notifier.tidy(session, Pace().kept)
    assert [each.id for each in notices(services)] == [cleared.id]
    boss = make_user(services, "boss@example.com", role="admin")
    with services.sessions.begin() as session:
        people.change(session, boss, user.id, people.Change(disabled=True), now=services.now())
        assert notifier.candidates(session, []) == []
        notifier.tidy(session, Pace().kept)
    assert [each.error for each in notices(services)] == ["The account was disabled."]
    assert channel_id


def test_a_channel_that_is_switched_off_gives_up_what_waits(
    services: Services, user: Identity, machine: Machine
) -> None:
    channel_id = add_channel(services, user.id, "https://a.example.com")
    machine.tell("raised")
    with services.sessions.begin() as session:
        channels.change(session, user, channel_id, {"enabled": False})
    assert [each.error for each in notices(services)] == ["The channel was switched off."]


def test_a_test_message_is_tried_once(
    services: Services, user: Identity, receiver: Sink, run: Callable[..., Any]
) -> None:
    receiver.answers["/hook"] = [Answer(500), Answer(200)]
    channel_id = add_channel(services, user.id, receiver.url(), enabled=False)
    run()
    for outcome in ("failed", "delivered"):
        with services.sessions.begin() as session:
            channels.test(session, user, channel_id, now=services.now())
        assert eventually(lambda: states(services)[outcome] == 1)  # noqa: B023
    first, second = receiver.at()
    assert first.id != second.id
    assert second.json["event"] == "test"
    assert second.json["link"] == "https://dinsight.example.com/account"


def test_waits_double_up_to_an_hour_and_differ() -> None:
    pace = Pace()
    waits = [pace.wait(attempts, luck) for attempts in range(1, 40) for luck in (0.0, 1.0)]
    assert waits[:4] == [3.75, 6.25, 7.5, 12.5]
    assert max(waits) == 4_500.0
