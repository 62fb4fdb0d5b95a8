"""The baseline to stream against: upload it, wait for its fit, check that the columns match."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from simulator import columns
from simulator.client import Answer, Body, Client, Request
from simulator.csvfile import CsvFile
from simulator.errors import BaselineUnusable, ColumnsDiffer, Refused, SimulatorError, Transient
from simulator.multipart import FileBody, Form
from simulator.progress import Reporter

log = logging.getLogger(__name__)
_UPLOAD_TRIES = 3


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline and the columns that its map was made of."""

    id: int
    name: str
    features: tuple[str, ...]


def upload(client: Client, file: CsvFile, report: Reporter) -> int:
    """Send a baseline file, read from disk on the way, and give the id of the new baseline."""
    name = file.path.stem
    known = {entry["id"] for entry in _listed(client)}
    form = Form({"name": name}, "files", file.path.name)
    cuts = 0

    def recover(trouble: Transient) -> Answer | None:
        """Uploads have no key: after a cut, look whether the first one has arrived all the same."""
        nonlocal cuts
        if trouble.reached:
            return None
        cuts += 1
        for entry in _listed(client):
            if entry["id"] not in known and entry.get("name") == name:
                return Answer({"id": entry["id"]}, 0.0)
        if cuts >= _UPLOAD_TRIES:
            raise SimulatorError(
                f"{file.path.name} cannot be uploaded: {trouble}, {cuts} times (is it larger than"
                " the server takes? see DINSIGHT_MAX_UPLOAD_MB)"
            ) from trouble
        return None

    with _contents(file) as (source, size):

        def body() -> Body:
            return FileBody(form, source, size)

        report.note(f"uploading {file.path.name} ({max(1, size // 1000):,} kB)")
        headers = {"Content-Type": form.content_type}
        request = Request("POST", "/analyze", body=body, headers=headers)
        try:
            answer = client.call(request, recover)
        except Refused as error:
            raise BaselineUnusable(f"{file.path.name} was refused: {error}") from error
    number = int(answer.data["id"])
    report.note(f"{file.path.name} is baseline {number}: use it again with --baseline-id {number}")
    return number


@contextmanager
def _contents(file: CsvFile) -> Iterator[tuple[BinaryIO, int]]:
    """The bytes to upload as an open file, and how many: the file, or a filtered copy on disk."""
    if file.keep is None:
        with file.path.open("rb") as source:
            yield source, source.seek(0, 2)
        return
    with tempfile.TemporaryFile(prefix="dinsight-") as copy:
        copy.write(file.header_line() + b"\n")
        for _, row in file.rows():
            copy.write(row + b"\n")
        yield copy, copy.tell()


def _listed(client: Client) -> list[dict[str, Any]]:
    """The user's baselines."""
    data = client.get("/dinsight")
    return data.get("baselines") or [{"id": number} for number in data.get("ids", [])]


def wait_until_fitted(
    client: Client,
    number: int,
    report: Reporter,
    *,
    poll: float = 1.0,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return once the baseline is fitted; raises BaselineUnusable when it is missing or failed."""
    said = ""
    while True:
        try:
            status = client.get(f"/analyze/{number}/status")
        except Refused as error:
            if error.status != 404:
                raise
            raise BaselineUnusable(unknown(client, number)) from error
        if status["status"] == "completed":
            return
        if status["status"] == "failed":
            why = status.get("error_message") or status.get("status_message") or "no reason given"
            raise BaselineUnusable(f"the fit of baseline {number} failed: {why}")
        words = status.get("status_message") or status["status"]
        if words != said:
            said = words
            progress = status.get("progress") or 0
            report.note(f"waiting for the fit of baseline {number}: {words} ({progress:.0f} %)")
        sleep(poll)


def unknown(client: Client, number: int) -> str:
    """Why there is none: `no baseline 7; yours are 3 (Store D Line A), 5`."""
    yours = [
        f"{entry['id']} ({entry['name']})" if entry.get("name") else str(entry["id"])
        for entry in _listed(client)
    ]
    if not yours:
        return f"no baseline {number}, and you have none yet: make one with --baseline-file"
    return f"no baseline {number}; yours are {', '.join(yours)}"


def describe(client: Client, number: int) -> Baseline:
    """Name and features of a fitted baseline."""
    data = client.get(f"/dinsight/{number}")
    return Baseline(number, data.get("name") or "", tuple(data.get("feature_names") or ()))


def check_columns(baseline: Baseline, file: CsvFile, filters_given: bool) -> str | None:
    """Hold the columns to be sent against the baseline's features.

    Returns a note about columns that are sent for nothing, or None. Raises ColumnsDiffer.
    """
    check_present(baseline.features, file, f"baseline {baseline.id}")
    refit = "fit one with --baseline-file and the same filters, or change the filters"
    dropped = columns.missing(baseline.features, file.names)
    if dropped:
        raise ColumnsDiffer(
            f"the filters drop {len(dropped):,} of the {len(baseline.features):,} features of"
            f" baseline {baseline.id}: {columns.listed(dropped)}; {refit}"
        )
    extra = columns.missing(columns.features_by_name(file.names), baseline.features)
    if not extra or not baseline.features:
        return None
    if filters_given:
        raise ColumnsDiffer(
            f"the filters keep {len(extra):,} columns that baseline {baseline.id} was not fitted"
            f" with: {columns.listed(extra)}; {refit}"
        )
    return (
        f"{len(extra):,} columns of {file.path.name} are no features of baseline {baseline.id} and"
        f" go along as metadata: {columns.listed(extra)} (--no-include-metadata leaves them out)"
    )


def check_present(features: Sequence[str], file: CsvFile, owner: str) -> None:
    """Raise ColumnsDiffer, naming them, when features are nowhere in the file."""
    lacking = columns.missing(features, file.all_names)
    if not lacking:
        return
    single = len(file.all_names) == 1 and any(mark in file.all_names[0] for mark in ";\t|")
    hint = " (is it separated by something else than commas?)" if single else ""
    raise ColumnsDiffer(
        f"{file.path.name} lacks {len(lacking):,} of the {len(features):,} features of {owner}:"
        f" {columns.listed(lacking)}{hint}"
    )
