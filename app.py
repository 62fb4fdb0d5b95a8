"""D'insight: `python app.py` serves, `python app.py demo` adds a sample machine, `link` signs in.

`backup FILE` keeps what the database holds, `restore FILE` puts it into an empty one.

`app:server` is a plain WSGI application for any server that can run one.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import dataclasses
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dash import Dash
from dash.exceptions import DependencyException
from flask import Flask
from werkzeug.exceptions import NotFound

import api
import callbacks
import layouts
from api import errors, security, serving
from dinsight import accounts, backup, database, first_run, logs
from dinsight.alerts.stale import StaleWatch
from dinsight.database import Sessions
from dinsight.demonstration import Demonstration
from dinsight.errors import DinsightError
from dinsight.jobs import Runner, executor
from dinsight.notices.notifier import Doors, Notifier
from dinsight.player import Player
from dinsight.replay import Sample
from dinsight.retention import Rules, Sweeper
from dinsight.services import Services, limits
from dinsight.settings import Settings, local_url
from dinsight.version import version
from layouts import files
from layouts.static_markup import fold, named_by
from simulator import sample
from simulator.__main__ import main as simulate

SAMPLE_DELAY = "0.5"


class Pages(Dash):
    """Dash, in whose page the address of a file says of which version it is."""

    def interpolate_index(self, **parts: str) -> str:
        return files.named(super().interpolate_index(**parts))


def create_app(services: Services) -> Dash:
    """Wire the doors to the domain: the REST API, the sign-in rules, the pages."""
    server = Flask("dinsight", static_folder=None)
    api.register(server, services)
    app = Pages(
        "dinsight",
        server=server,
        title="D'insight",
        update_title="",
        assets_folder=str(Path(__file__).parent / "assets"),
        index_string=layouts.index(),
        serve_locally=True,
        suppress_callback_exceptions=True,
        csrf_token_name=security.CSRF_COOKIE,
        csrf_header_name=security.CSRF_HEADER,
    )
    server.register_error_handler(DependencyException, lambda _: errors.http_error(NotFound()))
    version()  # of the code that runs, whatever is put over it later
    callbacks.register(app, services)
    app.layout = fold(layouts.shell(), named_by(app.callback_map))
    security.allow_scripts(server, app.csp_hashes())
    return app


@contextlib.contextmanager
def open_services(settings: Settings) -> Iterator[Services]:
    """The database and the jobs, running; stopped again at the end."""
    connected = database.connect(settings)
    try:
        jobs = Runner(connected, limits(settings), lambda: executor(settings))
        secret = first_run.secret_key(settings)
        services = Services(settings, connected, jobs, secret, sample_machine(settings))
        notifier = Notifier(connected, Doors.of(settings), services.notices)
        with services.sessions.begin() as session:
            first_run.first_user(session, settings)
        retention = Sweeper(connected, Rules.of(settings))
        player = Player(connected, services.limits)
        working = (jobs, retention, player, notifier, StaleWatch(connected))
        for each in working:
            each.start()
        try:
            yield services
        finally:
            for each in reversed(working):
                each.stop()
    finally:
        connected.close()


def sample_machine(settings: Settings) -> Sample:
    """What the server can fit and replay without a file of the user's."""
    return Sample(sample.FEATURES, lambda: sample.write(settings.home / "samples"))


def sign_in_link(sessions: Sessions, settings: Settings, base: str) -> str:
    """A fresh link that signs the first user in once, also kept in the data folder."""
    with sessions.begin() as session:
        user = first_run.first_user(session, settings)
        token = accounts.make_link_token(session, user.id, Services.now())
    link = f"{base}{security.SIGN_IN}/link?token={token}"
    first_run.private_write(settings.home / "sign_in_link", link + "\n")
    return link


def serve(settings: Settings, *, demonstrate: bool = False) -> None:
    """Serve until Ctrl-C or SIGTERM; with `demonstrate` a sample machine streams as well."""
    listener = serving.bind(settings)  # first, so that a taken port is said at once
    host, port = listener.getsockname()[:2]
    base = local_url(host, port)
    settings = dataclasses.replace(settings, port=port)  # which may have been any free one
    with contextlib.ExitStack() as stack:
        stack.callback(listener.close)
        say("Starting the database …")
        services = stack.enter_context(open_services(settings))
        app = create_app(services)
        demo = Demonstration(services, say)
        stack.callback(demo.stop)
        stack.callback(ignore_signals)

        def ready() -> None:
            with services.sessions.begin() as session:
                user = first_run.first_user(session, settings)
                email = user.email
                first_run.write_credentials(session, user, settings, f"{base}{api.PREFIX}")
            if demonstrate:
                demonstration(demo, settings, base)
            say(f"\nD'insight runs at {base} (Ctrl-C stops it).")
            link = sign_in_link(services.sessions, settings, base)
            say(f"Sign in as {email}, once, with this link:\n\n  {link}\n")
            say("`python app.py link` prints a fresh one; a password is set on the account page.")

        serving.serve(app.server, listener, settings, ready)


def demonstration(demo: Demonstration, settings: Settings, base: str) -> None:
    """Fit the sample baseline and start to stream where the last run ended."""
    baseline_file, monitor_file = sample.write(settings.home / "samples")
    baseline_id = demo.fit(baseline_file)
    if baseline_id is None:
        return
    log_file = settings.home / "simulator.log"
    demo.send(
        *(sys.executable, __file__, "send-sample"),
        *("--baseline-id", str(baseline_id), "--monitor-file", str(monitor_file)),
        *("--delay", SAMPLE_DELAY, "--resume", "--loop", "--log-file", str(log_file)),
        *("--api-url", f"{base}{api.PREFIX}"),
    )
    say(f"A sample machine streams to baseline {baseline_id}; its log is {log_file}.")


def send_sample(arguments: list[str]) -> int:
    """The demonstration's simulator, which ends when the server that started it does."""

    def follow() -> None:
        while sys.stdin.buffer.read(1):
            pass
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=follow, daemon=True).start()
    return simulate(arguments)


def print_link(settings: Settings) -> None:
    """Print a fresh sign-in link, whether or not the server runs."""
    connected = database.connect(settings)
    try:
        print(sign_in_link(connected.sessions, settings, local_url(settings.host, settings.port)))
    finally:
        connected.close()


def say(line: str) -> None:
    print(line, flush=True)


def ignore_signals() -> None:
    """The server is stopping: a second Ctrl-C must not leave half of it behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="app.py", description="D'insight, a machine-health monitor"
    )
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("serve", help="serve (the default)")
    commands.add_parser("demo", help="serve, with a sample machine that slowly fails")
    commands.add_parser("link", help="print a fresh sign-in link for the first user")
    for name, what in (("backup", "write all data to a new file"), ("restore", "read it again")):
        commands.add_parser(name, help=what).add_argument("file", type=Path)
    commands.add_parser("send-sample", add_help=False)
    options, rest = parser.parse_known_args(argv)
    if options.command == "send-sample":
        return send_sample(rest)
    if rest:
        parser.error(f"unknown: {' '.join(rest)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        settings = Settings.from_env()
        logs.configure(settings)
        if options.command == "link":
            print_link(settings)
        elif options.command == "backup":
            print(f"Wrote {backup.dump(settings, options.file):,} bytes to {options.file}.")
        elif options.command == "restore":
            backup.restore(settings, options.file)
            print(f"Restored {options.file}: start the server.")
        else:
            serve(settings, demonstrate=options.command == "demo")
    except DinsightError as error:
        print(f"dinsight: {error.message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("Stopped.")
    return 0


def __getattr__(name: str) -> Any:
    """`server`, made when a WSGI server first asks for it and stopped with its process."""
    if name != "server":
        raise AttributeError(name)
    settings = Settings.from_env()
    logs.configure(settings)
    if not settings.registration:  # where that server listens is not ours to know
        settings = dataclasses.replace(settings, registration="closed")
    stack = contextlib.ExitStack()
    services = stack.enter_context(open_services(settings))
    atexit.register(stack.close)
    globals()["server"] = create_app(services).server
    return globals()["server"]


if __name__ == "__main__":
    sys.exit(main())
