"""`/streaming/{id}/replay`: the server plays a monitor file into a stream; and the kept files."""

from __future__ import annotations

from typing import Any, BinaryIO, cast

import marshmallow as ma
from flask import Response, request
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage

from api import examples
from api.answers import success
from api.baselines import ID
from api.bodies import FORM, Blueprint
from api.context import services, who
from api.document import JSON, STREAM, STREAM_NAME, document
from api.fields import Body, Line, Number, stream_name
from api.schemas import FILE, FLAG, MONITOR_FILES, NUMBER, SAID, WHOLE, envelope, record, ref
from api.security import signed_in
from dinsight import baselines, monitor_files, replay
from dinsight.errors import InvalidReadings
from dinsight.models import MonitorFile
from dinsight.replay import LARGEST_BATCH, LONGEST_DELAY, Pace

blueprint = Blueprint(
    "replay", __name__, url_prefix=f"/streaming/{ID}/replay", description="Replays"
)
FORMS = {FORM, "application/x-www-form-urlencoded"}
WISH = {
    "stored?": {**WHOLE, "minimum": 1, "description": "The id of a kept file"},
    "sample?": {**FLAG, "description": "The sample machine's file"},
    "delay?": {**NUMBER, "minimum": 0, "maximum": LONGEST_DELAY, "default": replay.DELAY},
    "batch_size?": {
        **WHOLE,
        "minimum": 1,
        "maximum": LARGEST_BATCH,
        "default": replay.BATCH_SIZE,
    },
    "stream?": STREAM_NAME,
}
BODIES = {
    FORM: (record({"file?": FILE, **WISH}), examples.REPLAY_FILE),
    JSON: (record(WISH), examples.REPLAY_WISH),
}


class ReplayWish(Body):
    """What a replay is asked to be; in a form every number is text."""

    stored = ma.fields.Integer(allow_none=True)
    sample = ma.fields.Boolean(allow_none=True)
    delay = Number(0, LONGEST_DELAY)
    batch_size = Number(1, LARGEST_BATCH, whole=True)
    stream = Line(allow_none=True)


@blueprint.route("", methods=["POST"])
@document(
    envelope(ref("Replay")),
    *(404, 409, 422),
    status=202,
    body=BODIES,
    example=examples.success(examples.REPLAY),
)
@signed_in
def play(baseline_id: int) -> Response:
    """Play a monitor file into a stream: a CSV in the field `file`, a kept one, or the sample's.

    Header and first rows are checked before the answer; what is wrong further down makes the
    replay `failed`. It begins a new epoch. Pause, resume and stop of the stream act on it.
    """
    wish, file = _wish(), request.files.get("file")
    pace, name = Pace.of(wish.get("delay"), wish.get("batch_size")), stream_name(wish)
    _require_one(wish, file)
    with services().sessions.begin() as session:
        replay.require_free(session, who(), baseline_id, name)
        kept = _file(session, baseline_id, wish, file)
        data = replay.start(
            *(session, who(), baseline_id, name), file=kept, pace=pace, now=services().now()
        )
    return success(data, 202)


@blueprint.route("", methods=["GET"])
@document(envelope(ref("Replay")), 404, query=[STREAM], example=examples.success(examples.REPLAY))
@signed_in
def get_replay(baseline_id: int) -> Response:
    """The replay of a stream, or its last one; `status` is `none` where there was none."""
    with services().sessions() as session:
        return success(replay.state(session, who(), baseline_id, stream_name()))


@blueprint.route("", methods=["DELETE"])
@document(envelope(ref("Replay")), 404, query=[STREAM])
@signed_in
def stop_replay(baseline_id: int) -> Response:
    """End the replay and stop its stream; where nothing is played, nothing changes."""
    with services().sessions.begin() as session:
        return success(replay.stop(session, who(), baseline_id, stream_name()))


@blueprint.route("/files", methods=["GET"])
@document(envelope(MONITOR_FILES), 404, example=examples.success(examples.MONITOR_FILES))
@signed_in
def list_monitor_files(baseline_id: int) -> Response:
    """The monitor files that were uploaded for a baseline, the newest first."""
    sample = services().sample
    with services().sessions() as session:
        kept = monitor_files.list_kept(session, who(), baseline_id)
        features = baselines.feature_names(session, baseline_id)
    fits = sample is not None and sample.fits(features)
    return success({"files": [monitor_files.describe(file) for file in kept], "sample": fits})


@blueprint.route("/files/<int:file_id>", methods=["DELETE"])
@document(envelope(SAID), 404, 409)
@signed_in
def delete_monitor_file(baseline_id: int, file_id: int) -> Response:
    """Forget a monitor file; one that is being replayed stays (409)."""
    with services().sessions.begin() as session:
        monitor_files.remove(session, who(), baseline_id, file_id)
    return success({"id": file_id, "message": f"Monitor file {file_id} was deleted."})


def _wish() -> dict[str, Any]:
    """The fields of the form or of the JSON body."""
    parse = Blueprint.ARGUMENTS_PARSER.parse
    if request.mimetype not in FORMS:
        return cast(dict[str, Any], parse(ReplayWish(), request, location="json"))
    wish: dict[str, Any] = parse(ReplayWish(), request, location="form")
    return wish | {name: _number(wish[name]) for name in ("delay", "batch_size") if name in wish}


def _number(text: str) -> float | str | None:
    """The number that stands in a form's field; what is none is refused by the domain."""
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        return text


def _require_one(wish: dict[str, Any], file: FileStorage | None) -> None:
    """Raises InvalidReadings unless it is said, once, what to play."""
    named = (file is not None, wish.get("stored") is not None, bool(wish.get("sample")))
    if sum(named) != 1:
        raise InvalidReadings(
            "Say what to replay, and only one: a CSV file in the field `file`, the id of a kept "
            "one in `stored`, or the sample machine's with `sample`."
        )


def _file(
    session: Session, baseline_id: int, wish: dict[str, Any], file: FileStorage | None
) -> MonitorFile:
    """What to play, kept in the database."""
    bounds = services().monitor_files
    if file is not None:
        uploaded = baselines.File(file.filename or "", cast(BinaryIO, file.stream))
        return monitor_files.keep(session, who(), baseline_id, uploaded, bounds)
    if wish.get("stored") is not None:
        return monitor_files.get(session, who(), baseline_id, wish["stored"])
    return replay.sample(session, who(), baseline_id, services().sample, bounds)
