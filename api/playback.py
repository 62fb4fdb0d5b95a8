"""`/streaming/{id}/playback` and `/timeline`: an epoch of a stream, to play back."""

from __future__ import annotations

from flask import Response, request

from api.answers import success
from api.baselines import ID
from api.bodies import Blueprint
from api.context import services, who
from api.document import STREAM, document, query
from api.fields import stream_name, whole
from api.schemas import WHOLE, envelope, ref
from api.security import signed_in
from dinsight import playback
from dinsight.playback import MOST_EPOCH, MOST_POINTS, Chunk

blueprint = Blueprint("playback", __name__, url_prefix=f"/streaming/{ID}", description="Playback")
CHUNK_POINTS = 5_000
KEEP_SECONDS = 30 * 24 * 3600  # what has ended does not change any more
EPOCH = query("epoch", {**WHOLE, "minimum": 1}, "An earlier epoch; left out, the present one")
FIRST = query("first", {**WHOLE, "minimum": 1, "default": 1}, "The seq of the first point")
COUNT = query(
    "count",
    {**WHOLE, "minimum": 1, "maximum": MOST_POINTS, "default": CHUNK_POINTS},
    "At most so many points",
)


@blueprint.route("/playback", methods=["GET"])
@document(envelope(ref("PlaybackChunk")), 404, 409, query=[STREAM, EPOCH, FIRST, COUNT])
@signed_in
def get_chunk(baseline_id: int) -> Response:
    """The points of an epoch from `first` on, as they were placed, scored and judged.

    Those of an epoch that has ended never change: the answer may be kept, and has an `ETag`.
    """
    first = whole("first", 1, low=1)
    count = whole("count", CHUNK_POINTS, low=1, clamp=MOST_POINTS)
    with services().sessions() as session:
        found = playback.chunk(
            session, who(), baseline_id, stream_name(), epoch(), first=first, count=count
        )
    answer = success(
        {"baseline_id": baseline_id, "stream": found.stream.name} | playback.pack(found)
    )
    return kept(answer, found)


def kept(answer: Response, chunk: Chunk) -> Response:
    """With what a browser needs to keep it, for whoever has the same cookie or token."""
    last = chunk.first + len(chunk.x) - 1
    answer.set_etag(f"{chunk.stream.id}.{chunk.stream.epoch}.{chunk.first}.{last}")
    answer.vary.update(("Authorization", "Cookie"))
    answer.cache_control.private = True
    if chunk.archived:
        answer.cache_control.max_age = KEEP_SECONDS
        answer.cache_control.immutable = True
    else:
        answer.cache_control.no_cache = True
    answer.make_conditional(request)
    return answer


@blueprint.route("/timeline", methods=["GET"])
@document(envelope(ref("Timeline")), 404, 409, query=[STREAM, EPOCH])
@signed_in
def get_timeline(baseline_id: int) -> Response:
    """An epoch at a glance: its score in a few hundred buckets, its episodes, alerts and limits."""
    with services().sessions() as session:
        return success(playback.timeline(session, who(), baseline_id, stream_name(), epoch()))


def epoch() -> int | None:
    """The epoch that the query names. Raises InvalidRequest."""
    return whole("epoch", 0, low=1, clamp=MOST_EPOCH + 1) or None
