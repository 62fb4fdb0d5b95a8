"""The buckets of `api.rates` in Redis, where all instances share them."""

from __future__ import annotations

import logging
import time

from redis import Redis
from redis.exceptions import RedisError

from api.rates import InProcess, Rate

ANSWER_SECONDS = 0.25  # a request must not wait for a count for long
AGAIN_SECONDS = 5.0  # without Redis before it is asked again
PREFIX = "dinsight:limit:"

# By Redis' own clock, since those of the instances differ.
TAKE = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1e6
local step, span = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + step
if full - now > span + 1e-5 then return tostring(full - now - span) end
redis.call('SET', KEYS[1], string.format('%.6f', full), 'PX', math.ceil((full - now) * 1000))
return '0'
"""

log = logging.getLogger(__name__)


class InRedis:
    """Buckets that all instances share; while Redis does not answer, those of this process."""

    def __init__(self, url: str) -> None:
        redis = Redis.from_url(
            url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS
        )
        self._redis = redis
        self._script = redis.register_script(TAKE)
        self._meanwhile = InProcess()
        self._again_at = 0.0

    def take(self, key: str, rate: Rate) -> float:
        if time.monotonic() >= self._again_at:
            try:
                return float(self._script(keys=[PREFIX + key], args=[rate.step, rate.span]))
            except RedisError as error:
                self._lost(error)
        return self._meanwhile.take(key, rate)

    def refill(self, key: str) -> None:
        self._meanwhile.refill(key)
        if time.monotonic() >= self._again_at:
            try:
                self._redis.delete(PREFIX + key)
            except RedisError as error:
                self._lost(error)

    def _lost(self, error: RedisError) -> None:
        log.warning("Redis does not answer, limits are counted by this process alone: %s", error)
        self._again_at = time.monotonic() + AGAIN_SECONDS
