"""HTTP to the D'insight API: sign-in, token refresh, and retries that outlast an outage."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from simulator import credentials as who
from simulator.errors import GaveUp, Refused, SignInRefused, SimulatorError, Transient
from simulator.multipart import FileBody
from simulator.retry import Backoff, retry_after

log = logging.getLogger(__name__)
TIMEOUT = (5.0, 60.0)

Body = bytes | FileBody


@dataclass(frozen=True)
class Request:
    """One request as often as it takes; `body` is called anew for each try.

    `take` is given a good answer while it still comes, and what it makes of it is the `data`.
    """

    method: str
    path: str
    params: Mapping[str, str] | None = None
    json: Mapping[str, Any] | None = None
    body: Callable[[], Body] | None = None
    headers: Mapping[str, str] | None = None
    signed: bool = True
    take: Callable[[requests.Response], Any] | None = None


@dataclass(frozen=True)
class Answer:
    """What the server said (`data` of the envelope) and how long the last try took."""

    data: Any
    seconds: float


class _Bearer(AuthBase):
    """Sets the token; as `auth` it also keeps a .netrc file from replacing it."""

    def __init__(self, token: str | None) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.token:
            request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class Client:
    """A signed-in sender. Not for use from several threads.

    `on_wait(reason, seconds)` is called before each pause between two tries.
    """

    def __init__(
        self,
        api_url: str,
        credentials: who.Credentials,
        *,
        backoff: Backoff | None = None,
        on_wait: Callable[[str, float], None] = lambda reason, seconds: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.api_url = api_url
        self.on_wait = on_wait
        self._credentials = credentials
        self._backoff = backoff or Backoff()
        self._sleep = sleep
        self._met = False
        self._refresh_token: str | None = None
        self._token = credentials.key if isinstance(credentials, who.ApiKey) else None
        self._session = requests.Session()
        # A proxy set for the internet must not catch requests to this very machine.
        host = urlsplit(api_url).hostname
        self._proxies = {"no_proxy": host} if host and who.is_loopback(host) else None

    def another(self, on_wait: Callable[[str, float], None]) -> Client:
        """A client for another thread, which is signed in as this one is."""
        made = Client(
            self.api_url,
            self._credentials,
            backoff=self._backoff,
            on_wait=on_wait,
            sleep=self._sleep,
        )
        made._token, made._refresh_token, made._met = self._token, self._refresh_token, self._met
        return made

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def get(self, path: str, **params: str) -> Any:
        """The data of GET."""
        return self.call(Request("GET", path, params=params)).data

    def call(
        self, request: Request, recover: Callable[[Transient], Answer | None] | None = None
    ) -> Answer:
        """Send until there is an answer.

        `recover` is asked after each failure that may heal, and can end it with an answer or an
        error. Raises Refused (a 4xx), SignInRefused, or GaveUp when patience has run out.
        """
        failures, since = 0, 0.0
        while True:
            try:
                return self._authorized(request)
            except Transient as trouble:
                since = since if failures else time.monotonic()
                wait = self._backoff.wait(failures, trouble.wait, random.random)
                failures += 1
                log.warning("%s %s: %s (try %d)", request.method, request.path, trouble, failures)
                rescued = recover(trouble) if recover else None
                if rescued is not None:
                    return rescued
                self._check_patience(time.monotonic() - since, wait, trouble)
                self.on_wait(str(trouble), wait)
                self._sleep(wait)

    def _check_patience(self, elapsed: float, wait: float, trouble: Transient) -> None:
        if elapsed + wait <= self._backoff.limit(self._met):
            return
        if not self._met:
            raise GaveUp(
                f"cannot reach {self.api_url}: {trouble}. Is the server running (make run), and"
                " are host and port of --api-url right?"
            ) from trouble
        if trouble.wait is not None and trouble.wait > self._backoff.patience:
            raise GaveUp(f"{trouble}, and asks to wait {trouble.wait:,.0f} s: gave up") from trouble
        raise GaveUp(f"gave up after {elapsed:,.0f} s without an answer: {trouble}") from trouble

    def _authorized(self, request: Request) -> Answer:
        """One try, and another with a new token where the old one is refused."""
        if not request.signed:
            return self._attempt(request)
        if self._token is None:
            self._sign_in()
        try:
            return self._attempt(request)
        except Refused as error:
            if error.status != 401:
                raise
            refusal = error
        for renew in (self._refresh, self._sign_in):
            if not renew(refusal):
                continue
            try:
                return self._attempt(request)
            except Refused as error:
                if error.status != 401:
                    raise
        raise SignInRefused(f"signed in, but the server refuses the new token: {refusal}")

    def _refresh(self, refusal: Refused) -> bool:
        """A new access token for the refresh token; False where that is not to be had."""
        if isinstance(self._credentials, who.ApiKey):
            raise SignInRefused(
                f"the API key in {self._credentials.path} is refused ({refusal}): it may have been"
                " revoked, or it is another server's"
            )
        if self._refresh_token is None:
            return False
        body = {"refresh_token": self._refresh_token}
        try:
            data = self.call(Request("POST", "/auth/refresh", json=body, signed=False)).data
        except Refused as error:
            log.info("the refresh token is refused: %s", error)
            return False
        self._token = str(data["access_token"])
        log.info("access token refreshed")
        return True

    def _sign_in(self, refusal: Refused | None = None) -> bool:
        if isinstance(self._credentials, who.ApiKey):
            raise SignInRefused(f"the API key is refused: {refusal}")
        email = self._credentials.email
        body = {"email": email, "password": self._credentials.password}
        try:
            data = self.call(Request("POST", "/auth/login", json=body, signed=False)).data
        except Refused as error:
            raise SignInRefused(f"cannot sign in as {email}: {error}") from error
        self._token = str(data["access_token"])
        self._refresh_token = data.get("refresh_token")
        log.info("signed in as %s", email)
        return True

    def _attempt(self, request: Request) -> Answer:
        started = time.perf_counter()
        try:
            response = self._session.request(
                request.method,
                self.api_url + request.path,
                params=request.params,
                json=request.json,
                data=request.body() if request.body else None,
                headers=dict(request.headers or {}),
                auth=_Bearer(self._token if request.signed else None),
                timeout=TIMEOUT,
                proxies=self._proxies,
                allow_redirects=False,
                stream=request.take is not None,
            )
            if request.take is not None and response.status_code == HTTPStatus.OK:
                self._met = True
                with response:
                    taken = request.take(response)
                return Answer(taken, time.perf_counter() - started)
            _ = response.content  # all of it
        except requests.RequestException as error:
            raise Transient(_reason(error), reached=False) from error
        seconds = time.perf_counter() - started
        if not _is_whole(response):
            raise Transient("the connection was cut", reached=True)
        self._met = True
        log.debug(
            "%s %s %d in %.1f ms, request %s",
            request.method,
            request.path,
            response.status_code,
            seconds * 1000,
            response.headers.get("X-Request-ID", "-"),
        )
        return Answer(self._data(response), seconds)

    def _data(self, response: requests.Response) -> Any:
        """`data` of an answer; raises Transient or Refused for the others."""
        status = response.status_code
        if 300 <= status < 400:
            raise SimulatorError(
                f"{self.api_url} redirects to {response.headers.get('Location')}: set --api-url"
            )
        payload = _json(response)
        if status >= 500 or status == 429:
            wait = retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
            reason = f"the server answers {status} ({_message(payload, response)[1]})"
            raise Transient(reason, reached=True, wait=wait)
        if status >= 400:
            raise Refused(status, *_message(payload, response))
        if not isinstance(payload, dict) or "data" not in payload:
            raise SimulatorError(
                f"{self.api_url} does not answer as the D'insight API (is /api/v1 missing in"
                " --api-url?)"
            )
        return payload["data"]


def _is_whole(response: requests.Response) -> bool:
    """Whether nothing of an answer is missing: one that was cut is given out as if it were whole.

    urllib3 before 2 does not hold a body against its length, and Python takes a connection that
    ends among the headers for the end of the headers.
    """
    if response.headers.get("Transfer-Encoding") == "chunked":
        return True  # its end is marked, and looked for
    length = response.headers.get("Content-Length", "")
    if length.isdecimal():
        return bool(response.raw.tell() >= int(length))
    return bool(response.content)


def _json(response: requests.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _message(payload: Any, response: requests.Response) -> tuple[str, str]:
    """(code, message) of an error answer, whatever shape it has."""
    body = payload if isinstance(payload, dict) else {}
    error = body.get("error")
    error = error if isinstance(error, dict) else {}
    message = error.get("message") or body.get("message") or body.get("msg")
    if not message:
        message = f"HTTP {response.status_code} {response.reason or ''}".rstrip()
    return str(error.get("code", "")), " ".join(str(message).split())


def _reason(error: BaseException) -> str:
    """A few words for a failed connection, from a nest of exceptions.

    Raises SimulatorError for what another try cannot heal.
    """
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        raise SimulatorError("the server's TLS certificate is not trusted") from error
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        raise SimulatorError(f"--api-url cannot be used: {text}") from error
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    for words, reason in (
        ("Connection refused", "connection refused"),
        ("resolve", "the host name is unknown"),
        ("unreachable", "the network cannot be reached"),
    ):
        if words in text:
            return reason
    return "the connection was cut"
