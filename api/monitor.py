"""`/monitor`: batches in, points out."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any, cast

from flask import Response, g, request
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api import bodies, examples, metrics, security
from api.answers import dumps, plain, success
from api.baselines import ID
from api.bodies import FORM, Blueprint, Request
from api.context import services, who
from api.document import (
    STREAM,
    STREAM_NAME,
    VALUES,
    document,
    for_the_signed_in,
    header,
    query,
)
from api.fields import MOST, stream_name, switch, whole
from api.limits import limits
from api.schemas import COUNT, FILE, TEXT, WHOLE, envelope, many, one_of, record, ref
from api.security import signed_in
from dinsight import diagnosis, feed
from dinsight.alerts import missing
from dinsight.errors import InvalidReadings, InvalidRequest
from dinsight.ingest import Incoming, ingest

PIECE_BYTES = 64 * 1024  # a piece goes from thread to thread, which costs as much as 20 points

log = logging.getLogger(__name__)

blueprint = Blueprint("monitor", __name__, url_prefix="/monitor", description="Monitor points")

BATCH = record({"file": FILE, "stream?": STREAM_NAME, "epoch?": {**WHOLE, "minimum": 1}})
PACKED = header("Content-Encoding", one_of("identity", "gzip"), "How the body is packed")
KEY = header("Idempotency-Key", {**TEXT, "minLength": 1, "maxLength": 200}, "Stores a batch once")
AFTER = query("after", {**COUNT, "default": 0}, "Only what has a higher `process_order`")
AT_MOST = query("limit", COUNT, "At most so many; left out, all")
EPOCH = query("epoch", COUNT, "An earlier epoch; left out, the present one")


@blueprint.route(f"/{ID}", methods=["POST"])
@document(
    envelope(ref("Receipt")),
    404,
    409,
    422,
    query=[STREAM, KEY, PACKED],
    body={FORM: (BATCH, examples.BATCH)},
    example=examples.success(examples.RECEIPT),
)
@for_the_signed_in
def post_batch(baseline_id: int) -> Response:
    """Place and store a batch: a CSV of one or more rows in the field `file`, all or nothing.

    With an `Idempotency-Key` a batch that is sent again is stored once and answered as before.
    """
    cast(Request, request).limit_to(services().settings.max_batch_mb, "DINSIGHT_MAX_BATCH_MB")
    caller = security.caller()
    if large := not bodies.is_small():
        security.let_in()  # a large body is read for nobody else
    try:
        incoming = _incoming()
    except Exception:
        security.let_in()  # who is not signed in is told that first
        raise
    measured = metrics.of_app()
    try:
        answer = _stored(baseline_id, incoming, caller, measured, large=large)
    except InvalidReadings as error:
        _tell_refused(baseline_id, incoming.stream, error)
        raise
    return success(answer)


def _stored(
    baseline_id: int,
    incoming: Incoming,
    caller: security.Caller,
    measured: metrics.Metrics,
    *,
    large: bool,
) -> dict[str, Any]:
    with services().sessions.begin() as session:
        g.who = caller.identify(session)
        if not large:
            limits().admit(who())
        answer = ingest(
            session,
            who(),
            baseline_id,
            incoming,
            limits=services().limits,
            now=services().now(),
            observe=measured.stage,
        )
        began = time.perf_counter()
    measured.stage("commit", time.perf_counter() - began)
    measured.acknowledged(answer["points_processed"])
    return answer


def _tell_refused(baseline_id: int, stream: str, error: InvalidReadings) -> None:
    """Raise an alert about the data; the refusal stands whatever comes of it."""
    try:
        with services().sessions.begin() as session:
            missing.refused(session, who(), baseline_id, stream, error, now=services().now())
    except SQLAlchemyError:
        log.warning("no alert could be raised of a refused batch", exc_info=True)


def _incoming() -> Incoming:
    """The batch of this request; raises InvalidReadings, InvalidRequest."""
    file = request.files.get("file")
    if file is None:
        raise InvalidReadings("No file was sent: send a CSV file in the field `file`.")
    return Incoming(
        content=file.read(),
        source=(file.filename or "")[:200].replace("\0", ""),
        stream=stream_name(request.form),
        key=request.headers.get("Idempotency-Key"),
        epoch=_epoch(request.form.get("epoch")),
    )


@blueprint.route(f"/{ID}", methods=["GET"])
@document(many(ref("Point")), 404, query=[AFTER, AT_MOST, STREAM, VALUES], example=examples.POINTS)
@signed_in
def get_points(baseline_id: int) -> Response:
    """All points of a stream as a bare array, in order, streamed."""
    values = switch("values")
    start, most = whole("after", 0), whole("limit", MOST)
    session = services().sessions()
    try:
        points = feed.rows(
            session, who(), baseline_id, stream_name(), start=start, limit=most, values=values
        )
    except BaseException:
        session.close()
        raise
    response = Response(_array(points, session), mimetype="application/json")
    response.call_on_close(session.close)  # for one that is given up before it began
    return response


@blueprint.route(f"/{ID}/coordinates", methods=["GET"])
@document(ref("Coordinates"), 404, query=[STREAM])
@signed_in
def get_coordinates(baseline_id: int) -> Response:
    """The places of all points of a stream, as columns, without the envelope."""
    with services().sessions() as session:
        return plain(feed.coordinates(session, who(), baseline_id, stream_name()))


@blueprint.route(f"/{ID}/points/<int:seq>/explain", methods=["GET"])
@document(envelope(ref("Explanation")), 404, 409, 410, query=[STREAM, EPOCH, VALUES])
@signed_in
def explain_point(baseline_id: int, seq: int) -> Response:
    """What a point's score is associated with: bands, features, the baseline's band, its neighbour.

    Of the present epoch, or of `epoch`. With `values=0` without the rows as long as the features.
    """
    with services().sessions() as session:
        return success(
            diagnosis.explain(
                session,
                who(),
                baseline_id,
                stream_name(),
                seq,
                epoch=_epoch(request.args.get("epoch")),
                values=switch("values"),
            )
        )


def _array(items: Iterator[dict[str, object]], session: Session) -> Iterator[bytes]:
    """JSON of all items, in pieces of about `PIECE_BYTES`; then closes their session."""
    held = bytearray(b"[")
    separator = b""
    with session:
        for item in items:
            held += separator + dumps(item)
            separator = b","
            if len(held) >= PIECE_BYTES:
                yield bytes(held)
                held.clear()
    yield bytes(held) + b"]"


def _epoch(text: str | None) -> int | None:
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise InvalidRequest("epoch must be the number that was last received.")
    return int(text)
