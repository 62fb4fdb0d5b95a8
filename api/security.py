"""Who may pass: tokens, API keys, the page's cookie with its CSRF header."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast
from urllib.parse import quote

from flask import Flask, Response, g, redirect, request
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    get_jwt,
    set_access_cookies,
    unset_jwt_cookies,
    verify_jwt_in_request,
)
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt.exceptions import PyJWTError
from werkzeug.wrappers import Response as BaseResponse

from api.context import services, who
from api.errors import domain_error
from dinsight import accounts
from dinsight.accounts import KEY_PREFIX, Identity
from dinsight.errors import NotSignedIn
from dinsight.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

CSRF_COOKIE, CSRF_HEADER = "csrf_access_token", "X-CSRF-TOKEN"
SIGN_IN = "/signin"
OPEN_FOLDERS = ("/api/", "/assets/", "/_dash-component-suites/")
OPEN_PATHS = {
    *(SIGN_IN, f"{SIGN_IN}/link", "/healthz", "/readyz", "/metrics"),
    *("/favicon.ico", "/_favicon.ico", "/robots.txt"),
}
LEEWAY = dt.timedelta(seconds=10)
BEARER = "Bearer "


def register(server: Flask, settings: Settings, secret_key: str) -> None:
    """Set up the tokens and close every page and callback to those who are not signed in."""
    server.config.update(
        SECRET_KEY=secret_key,
        JWT_SECRET_KEY=secret_key,
        JWT_ALGORITHM="HS256",
        JWT_TOKEN_LOCATION=["headers", "cookies"],
        JWT_ACCESS_TOKEN_EXPIRES=dt.timedelta(hours=settings.access_token_hours),
        JWT_REFRESH_TOKEN_EXPIRES=dt.timedelta(days=settings.refresh_token_days),
        JWT_DECODE_LEEWAY=LEEWAY.total_seconds(),
        JWT_COOKIE_CSRF_PROTECT=True,
        JWT_COOKIE_SAMESITE="Lax",
        JWT_ERROR_MESSAGE_KEY="message",
    )
    JWTManager(server)
    for kind in (JWTExtendedException, PyJWTError):
        server.register_error_handler(kind, _not_signed_in)
    server.before_request(guard_pages)
    server.after_request(add_headers)


def signed_in(route: Callable[P, R]) -> Callable[P, R]:
    """Let a request through only with a good token, API key or cookie; sets `who()`."""

    @functools.wraps(route)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        g.who = identify(["headers", "cookies"])
        return route(*args, **kwargs)

    return guarded


def identify(locations: list[str], *, refresh: bool = False) -> Identity:
    """Who asks, by API key, access token or, with `refresh`, refresh token; else NotSignedIn."""
    header = request.headers.get("Authorization", "")
    if header.startswith(BEARER + KEY_PREFIX) and "headers" in locations and not refresh:
        with services().sessions.begin() as session:
            return accounts.identify_key(session, header.removeprefix(BEARER), services().now())
    try:
        if verify_jwt_in_request(refresh=refresh, locations=locations) is None:
            raise NotSignedIn()
    except (JWTExtendedException, PyJWTError, ValueError) as error:
        raise NotSignedIn() from error
    claims = get_jwt()
    subject, sid = str(claims.get("sub", "")), claims.get("sid")
    if not (subject.isdecimal() and isinstance(sid, str)):
        raise NotSignedIn()
    with services().sessions() as session:
        return accounts.identify(session, int(subject), sid)


def page_user() -> Identity:
    """The user that the page's cookie names; raises NotSignedIn. For layouts and callbacks."""
    if "who" not in g:
        g.who = identify(["cookies"])
    return who()


def issue_tokens(identity: Identity) -> tuple[str, str]:
    """An access and a refresh token of one sign-in."""
    refresh = create_refresh_token(str(identity.id), additional_claims={"sid": identity.sid})
    return issue_access_token(identity), str(refresh)


def issue_access_token(identity: Identity, lifetime: dt.timedelta | None = None) -> str:
    """An access token, good for as long as the setting says unless a lifetime is given."""
    claims = {"sid": identity.sid}
    subject = str(identity.id)
    return str(create_access_token(subject, expires_delta=lifetime, additional_claims=claims))


def set_cookies(answer: BaseResponse, identity: Identity, *, remember: bool) -> None:
    """Sign the browser in: an HttpOnly cookie, and the CSRF value that scripts send back.

    A browser that is to remember its user keeps both for as long as a sign-in can be refreshed;
    signing out ends it all the same, since every request asks for that.
    """
    response = cast(Response, answer)
    lifetime = dt.timedelta(days=services().settings.refresh_token_days) if remember else None
    token = issue_access_token(identity, lifetime)
    set_access_cookies(response, token, max_age=lifetime and int(lifetime.total_seconds()))
    if request.is_secure:
        secure_cookies(response)


def secure_cookies(response: Response) -> None:
    """Mark every cookie of this answer Secure, since it goes out over HTTPS."""
    cookies = response.headers.getlist("Set-Cookie")
    response.headers.setlist("Set-Cookie", [f"{cookie}; Secure" for cookie in cookies])


def clear_cookies(response: Response) -> None:
    unset_jwt_cookies(response)


def end_session(identity: Identity) -> None:
    """Sign out: both tokens of this sign-in are dead at once, on every instance."""
    if identity.sid is None:
        return
    now = services().now()
    expires = now + dt.timedelta(days=services().settings.refresh_token_days) + LEEWAY
    with services().sessions.begin() as session:
        accounts.end_session(session, identity, expires)
        accounts.audit(session, "sign-out", user_id=identity.id)
        accounts.forget_expired(session, now)


def guard_pages() -> BaseResponse | None:
    """Pages redirect to the sign-in page, callbacks answer 401, unless the cookie is good."""
    if request.path in OPEN_PATHS or request.path.startswith(OPEN_FOLDERS):
        return None
    try:
        page_user()
    except NotSignedIn as error:
        if request.method == "GET" and not request.path.startswith("/_dash"):
            target = request.full_path if request.query_string else request.path
            return redirect(f"{SIGN_IN}?next={quote(target, safe='')}")
        return domain_error(error)
    return None


def add_headers(response: Response) -> Response:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("X-Frame-Options", "SAMEORIGIN")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    return response


def _not_signed_in(error: Any) -> Response:
    return domain_error(NotSignedIn())
