"""Sockets of the live route, as a program that watches opens them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

Json = dict[str, Any]


def watch(base: str, number: int, headers: Mapping[str, str], query: str = "", **more: Any) -> Any:
    """A socket to the live route of a baseline's stream, for a `with`; raises InvalidStatus."""
    address = f"{base.replace('http', 'ws', 1)}/api/v1/streaming/{number}/live{query}"
    return connect(address, additional_headers=dict(headers), proxy=None, open_timeout=20, **more)


def refusal(base: str, number: int, headers: Mapping[str, str], query: str = "") -> Any:
    """The answer of a route that does not open its socket."""
    with pytest.raises(InvalidStatus) as refused, watch(base, number, headers, query):
        pass
    return refused.value.response


def told(socket: ClientConnection, seconds: float = 10.0) -> Json:
    message: Json = json.loads(socket.recv(timeout=seconds))
    return message


def seqs(socket: ClientConnection, last: int) -> list[int]:
    """The seq of every point that comes, up to `last`."""
    found: list[int] = []
    while found[-1:] != [last]:
        message = told(socket)
        found += range(message["seq"], message["seq"] + message["n"])
    return found


def closed(socket: ClientConnection, seconds: float = 10.0) -> int:
    """The code with which a socket is closed, once it is."""
    with pytest.raises(ConnectionClosed) as end:
        while True:
            socket.recv(timeout=seconds)
    assert end.value.rcvd is not None
    return int(end.value.rcvd.code)
