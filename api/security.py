"""Who may pass: tokens, API keys, the page's cookie with its CSRF header."""

from __future__ import annotations

import datetime as dt
import functools
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast
from urllib.parse import quote

from flask import Flask, Response, after_this_request, current_app, g, redirect, request
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    decode_token,
    get_jwt,
    set_access_cookies,
    unset_jwt_cookies,
    verify_jwt_in_request,
)
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt.exceptions import PyJWTError
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from api import display_door
from api.context import services, who
from api.document import for_the_signed_in
from api.errors import domain_error
from api.limits import limits
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
    *(SIGN_IN, f"{SIGN_IN}/link", display_door.PATH, "/healthz", "/readyz", "/metrics"),
    *("/favicon.ico", "/_favicon.ico", "/robots.txt"),
}
CONTENT_POLICY = (
    *("default-src 'self'", "object-src 'none'", "base-uri 'none'", "form-action 'self'"),
    # The plot writes styles into its elements, and draws pictures of itself for the download.
    *("frame-ancestors 'self'", "style-src 'self' 'unsafe-inline'", "img-src 'self' data: blob:"),
)
PAGE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
DATA_HEADERS = {  # no more than there is use for: each is 8 µs, also of a batch
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
HTTPS_SECONDS = 365 * 24 * 3600
SCRIPTS = "dinsight.scripts"
LEEWAY = dt.timedelta(seconds=10)
BEARER = "Bearer "
DOORS = ("headers", "cookies")
GOOD_TOKENS, MOST_GOOD_TOKENS = "dinsight.good_tokens", 10_000


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
    server.extensions[GOOD_TOKENS] = OrderedDict()
    for kind in (JWTExtendedException, PyJWTError):
        server.register_error_handler(kind, _not_signed_in)
    server.before_request(guard_pages)
    server.after_request(add_headers)


def signed_in(route: Callable[P, R]) -> Callable[P, R]:
    """Let a request through only with a good token, API key or cookie; sets `who()`."""

    @functools.wraps(route)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        let_in()
        return route(*args, **kwargs)

    return for_the_signed_in(guarded)


def let_in() -> None:
    """Let this request through only with a good token, API key or cookie; sets `who()`."""
    g.who = identify(DOORS)
    limits().admit(g.who)


@dataclass(frozen=True)
class Caller:
    """What a request shows: an API key, or the user and the sign-in of a token that we signed.

    Whether the key is one, and the sign-in not ended, only the database knows.
    """

    key: str = ""
    user_id: int = 0
    sid: str = ""
    until: float = math.inf  # seconds since 1970: when the token ends

    def require_time(self, now: dt.datetime) -> None:
        """Raises NotSignedIn for a token that has ended."""
        if self.until + LEEWAY.total_seconds() <= now.timestamp():
            raise NotSignedIn()

    def identify(self, session: Session) -> Identity:
        """Who that is; raises NotSignedIn."""
        if self.key:
            return accounts.identify_key(session, self.key, services().now())
        return accounts.identify(session, self.user_id, self.sid)


def identify(locations: Sequence[str], *, refresh: bool = False) -> Identity:
    """Who asks, by API key, access token or, with `refresh`, refresh token; else NotSignedIn."""
    shown = caller(locations, refresh=refresh)
    with services().sessions.begin() as session:
        return shown.identify(session)


def caller(locations: Sequence[str] = DOORS, *, refresh: bool = False) -> Caller:
    """What a request shows, its signature checked; raises NotSignedIn. Asks no database."""
    header = request.headers.get("Authorization", "")
    if header.startswith(BEARER + KEY_PREFIX) and "headers" in locations and not refresh:
        return Caller(key=header.removeprefix(BEARER))
    try:
        if header.startswith(BEARER) and "headers" in locations:
            claims = _claims(header.removeprefix(BEARER), refresh=refresh)
        elif verify_jwt_in_request(refresh=refresh, locations=list(locations)) is None:
            raise NotSignedIn()
        else:
            claims = get_jwt()
    except (JWTExtendedException, PyJWTError, ValueError) as error:
        raise NotSignedIn() from error
    subject, sid = str(claims.get("sub", "")), claims.get("sid")
    if not (subject.isdecimal() and isinstance(sid, str)):
        raise NotSignedIn()
    return Caller(user_id=int(subject), sid=sid, until=claims["exp"])


def _claims(token: str, *, refresh: bool) -> dict[str, Any]:
    """What a token of a header says; raises NotSignedIn, or what a bad token raises.

    A sensor shows the same token with every batch, and its signature does not change: what was
    found good is remembered, and only its time is looked at again.
    """
    good: OrderedDict[str, dict[str, Any]] = current_app.extensions[GOOD_TOKENS]
    claims = good.get(token)
    if claims is None:
        claims = good[token] = decode_token(token)
        while len(good) > MOST_GOOD_TOKENS:
            good.popitem(last=False)
    if claims["type"] != ("refresh" if refresh else "access"):
        raise NotSignedIn()
    if claims["exp"] + current_app.config["JWT_DECODE_LEEWAY"] <= services().now().timestamp():
        raise NotSignedIn()
    return claims


def page_user() -> Identity:
    """The user that the page's cookie names; raises NotSignedIn. For layouts and callbacks.

    Where nobody is signed in it is the display whose cookie is shown, if it may ask for this.
    """
    if "who" not in g:
        try:
            g.who = identify(["cookies"])
        except NotSignedIn:
            g.who = display_door.identify()
        limits().admit(g.who)
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
    display_door.clear_cookie(response)


def by_cookie() -> bool:
    """Whether the page's cookie, and not a header, signed this request in."""
    return not request.headers.get("Authorization", "").startswith(BEARER)


def renew_cookies(identity: Identity) -> None:
    """Keep the browser that asks signed in: its answer brings the cookies of a new sign-in."""
    claims = get_jwt()
    usual = services().settings.access_token_hours * 3600
    remember = claims["exp"] - claims["iat"] > usual

    @after_this_request
    def keep(response: Response) -> Response:
        set_cookies(response, identity, remember=remember)
        return response


def secure_cookies(response: Response) -> None:
    """Mark every cookie of this answer Secure, since it goes out over HTTPS."""
    cookies = response.headers.getlist("Set-Cookie")
    response.headers.setlist("Set-Cookie", [f"{cookie}; Secure" for cookie in cookies])


def clear_cookies(response: Response) -> None:
    unset_jwt_cookies(response)
    display_door.clear_cookie(response)


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


def allow_scripts(server: Flask, hashes: Iterable[str]) -> None:
    """Let pages run these scripts that stand in them, by hash, and no others."""
    scripts = " ".join(("script-src 'self'", *hashes))
    server.extensions[SCRIPTS] = "; ".join((*CONTENT_POLICY, scripts))


def add_headers(response: Response) -> Response:
    """What a browser may do with an answer; a route may have said so itself."""
    headers = response.headers
    if response.mimetype == "text/html":
        headers.setdefault("Content-Security-Policy", current_app.extensions[SCRIPTS])
        named = PAGE_HEADERS
    else:
        named = DATA_HEADERS
    for name, value in named.items():
        headers.setdefault(name, value)
    if request.is_secure:
        headers.setdefault("Strict-Transport-Security", f"max-age={HTTPS_SECONDS}")
    return response


def _not_signed_in(error: Any) -> Response:
    return domain_error(NotSignedIn())
