"""The command as a person meets it: exit statuses, single lines, help, signals, a terminal."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from simulator.__main__ import main
from simulator.options import StreamOptions, parse_stream
from simulator.progress import Reporter, Tally, Voice
from simulator.retry import Backoff
from tests.simulator_fake import (
    EMAIL,
    PASSWORD,
    FakeBaseline,
    FakeServer,
    Fault,
)
from tests.simulator_kit import table

ROOT = Path(__file__).parent.parent


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        fake.baselines[3] = FakeBaseline("Line A", ["f_0", "f_1"])
        yield fake


def environment(home: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DINSIGHT")}
    secrets = {"DINSIGHT_AUTH_EMAIL": EMAIL, "DINSIGHT_AUTH_PASSWORD": PASSWORD}
    return kept | secrets | {"PYTHONPATH": str(ROOT), "DINSIGHT_HOME": str(home / "home")}


def command(server: FakeServer, *arguments: str) -> list[str]:
    here = ["--baseline-id", "3", "--api-url", server.url, "--monitor-file", "m.csv"]
    return [sys.executable, "-m", "simulator", *here, *arguments]


def call(words: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_run_ends_with_the_summary_and_status_0(server: FakeServer, tmp_path: Path) -> None:
    rows = table(tmp_path / "m.csv", 12)
    done = call(command(server, "--delay", "0", "--batch-size", "5"), tmp_path)
    assert (done.returncode, done.stderr, server.stream.rows) == (0, "", rows)
    assert done.stdout.splitlines()[-1].startswith("sent 12 = acknowledged 12 in ")


def test_a_refused_batch_is_one_line_on_stderr_and_status_1(
    server: FakeServer, tmp_path: Path
) -> None:
    table(tmp_path / "m.csv", 3)
    server.faults["POST monitor"].append(Fault(400, message="line 2: expected 1,024 features"))
    done = call(command(server, "--log-file", "log", "--verbose"), tmp_path)
    assert (done.returncode, done.stderr) == (
        1,
        "batch 1 (line 2 of m.csv) was refused: line 2: expected 1,024 features\n",
    )
    log = (tmp_path / "log").read_text()
    assert "Traceback" in log
    assert PASSWORD not in log


def test_ctrl_c_ends_with_the_summary_and_does_not_complete_the_stream(
    server: FakeServer, tmp_path: Path
) -> None:
    rows = table(tmp_path / "m.csv", 500)
    stored = threading.Event()
    server.on_batch = lambda stream: stored.set()
    process = subprocess.Popen(
        command(server, "--delay", "9"),
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert stored.wait(20)
    time.sleep(0.4)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (130, "interrupted; go on later with --resume\n")
    assert out.splitlines()[-1].startswith("sent 1 = acknowledged 1 in ")
    assert (server.stream.rows, server.stream.state) == (rows[:1], "streaming")


def test_on_a_terminal_it_asks_for_the_file_and_shows_a_bar(
    server: FakeServer, tmp_path: Path
) -> None:
    rows = table(tmp_path / "mine.csv", 3)
    words = command(server, "--delay", "0.3", "--monitor-file", "lost.csv")
    ours, theirs = pty.openpty()
    env = environment(tmp_path) | {"TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        words, cwd=tmp_path, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        os.write(ours, b"mine.csv\n")
        shown = b""
        try:
            while block := os.read(ours, 65536):
                shown += block
        except OSError:  # how a terminal says on Linux that its other side has closed
            os.close(ours)
    text = shown.decode()
    assert (process.returncode, server.stream.rows) == (0, rows)
    assert "lost.csv is not here. Monitor file (CSV): " in text
    assert "━" in text
    assert re.search(r"[123]/3 points, .*acknowledge \d+ ms \(median \d+ ms\), sending", text)
    assert "sent 3 = acknowledged 3" in text


def failing(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit status and stderr of a run in this process that must not get far."""
    try:
        status = main(arguments)
    except SystemExit as end:
        status = int(end.code or 0)
    return status, capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "one of the arguments --baseline-id --baseline-file is required"),
        (["--baseline-id", "3", "--baseline-file", "x"], "not allowed with argument"),
        (["--baseline-id", "three"], "expected a whole number of at least 1, got 'three'"),
        (["--baseline-id", "3", "--delay", "-1"], "expected a number of at least 0, got '-1'"),
        (["--baseline-id", "3", "--delay", "nan"], "expected a number of at least 0, got 'nan'"),
        (["--baseline-id", "3", "--batch-size", "0"], "expected a whole number of at least 1"),
        (["--baseline-id", "3", "--api-url", "localhost:8080"], "expected http(s)://host:port"),
        (["--baseline-id", "3", "--api-url", "http://a:b@c/api/v1"], "no password in the URL"),
        (["sample", "--condition", "haunted"], "invalid choice: 'haunted'"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    status, err = failing(capsys, *arguments)
    assert (status, err.count("\n")) == (2, 1)
    assert words in err


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, no terminal, no credentials."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    for name in ("DINSIGHT_HOME", "DINSIGHT_AUTH_EMAIL", "DINSIGHT_AUTH_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_without_the_sample_it_says_how_to_make_it(
    away: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, err = failing(capsys, "--baseline-id", "3")
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith("no file Store D Line A - Monitor.csv: make the sample with ")


def test_a_named_file_that_is_not_there_is_said(
    away: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--baseline-id", "3", "--monitor-file", "mine.csv")
    assert failing(capsys, *given) == (1, "no file mine.csv\n")


def test_the_default_file_is_found_in_the_samples_of_the_data_folder(
    away: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = away / ".dinsight" / "samples"
    samples.mkdir(parents=True)
    table(samples / "Store D Line A - Monitor.csv", 2)
    status, err = failing(capsys, "--baseline-id", "3")
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith("no credentials: give --auth-email and --auth-password, or set ")


def test_a_file_without_rows_is_said(
    away: Path, server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    (away / "m.csv").write_text("f_0,f_1\n\n")
    signed = ("--auth-email", EMAIL, "--auth-password", PASSWORD, "--api-url", server.url)
    given = ("--baseline-id", "3", "--monitor-file", "m.csv", *signed)
    assert failing(capsys, *given) == (1, "m.csv has a header but no rows\n")


def test_a_server_that_is_not_there_is_said(away: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table(away / "m.csv", 2)
    signed = ("--auth-email", "a@x", "--auth-password", "b", "--api-url", "http://127.0.0.1:9")
    given = ("--baseline-id", "3", "--monitor-file", "m.csv", "--give-up-after", "0")
    status, err = failing(capsys, *given, *signed)
    assert (status, err) == (
        1,
        "cannot reach http://127.0.0.1:9/api/v1: connection refused. Is the server running"
        " (make run), and are host and port of --api-url right?\n",
    )


def test_a_log_file_that_cannot_be_written_is_said(
    away: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--baseline-id", "3", "--log-file", "no/such/log")
    words = "cannot write the log file no/such/log: No such file or directory\n"
    assert failing(capsys, *given) == (1, words)


def test_every_option_has_its_default_and_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse_stream(["--baseline-id", "3"]) == StreamOptions(baseline_id=3)
    with pytest.raises(SystemExit):
        parse_stream(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name in StreamOptions.__dataclass_fields__:
        assert f"--{name.replace('_', '-')} " in text
    for default in ("(default: 2.0)", "(default: 1)", "(default: 10)", "http://localhost:8080"):
        assert default in text
    assert "examples:" in text


def test_an_address_without_a_path_means_the_api() -> None:
    for url in ("http://h:1", "http://h:1/", "http://h:1/api/v1", "http://h:1/api/v1/"):
        assert parse_stream(["--baseline-id", "3", "--api-url", url]).api_url == "http://h:1/api/v1"


def test_the_line_of_progress_counts_rates_and_waits() -> None:
    tally = Tally(total=1052, epoch=2)
    for second in range(3):
        tally.post(100, float(second))
        tally.acknowledge(100, 0.012 + second / 1000, second + 0.5)
    tally.post(100, 3.0)
    assert tally.line(3.1) == (
        "300/1,052 points, 120 rows/s, 6 s left, acknowledge 14 ms (median 13 ms), sending"
    )
    assert tally.words(4.5) == "waiting for server"
    tally.retry_at = 9.0
    assert tally.words(4.5) == "retrying in 5 s"
    assert tally.words(9.5) == "waiting for server"
    assert tally.summary("default") == (
        "sent 400, acknowledged 300 in 2.5 s (120 rows/s, acknowledge median 13 ms),"
        " stream default, epoch 2"
    )


def test_without_a_terminal_there_is_a_plain_line_now_and_then() -> None:
    err = io.StringIO()
    with Reporter(Tally(total=9), io.StringIO(), err, every=0.02).live():
        deadline = time.monotonic() + 5
        while err.getvalue().count("\n") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert err.getvalue().splitlines()[:2] == ["0/9 points, starting"] * 2


def test_trouble_is_not_repeated_at_every_try() -> None:
    out = io.StringIO()
    report = Reporter(Tally(), out, io.StringIO())
    voice = Voice(Tally(), report)
    for _ in range(3):
        voice.retrying("the server answers 503", 2.0)
    assert out.getvalue() == "the server answers 503: retrying in 2.0 s\n"


def test_waits_grow_with_jitter_up_to_the_cap() -> None:
    backoff = Backoff()
    assert [backoff.wait(n, None, lambda: 0.0) for n in range(7)] == [
        *(0.25, 0.5, 1.0, 2.0, 4.0),
        *(7.5, 7.5),
    ]
    assert backoff.wait(9, None, lambda: 0.999) == pytest.approx(15.0, abs=0.01)
    assert (backoff.limit(met=False), backoff.limit(met=True)) == (20.0, 600.0)
