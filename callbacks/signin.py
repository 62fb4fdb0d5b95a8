"""Signing in: the form and the one-time link, both without scripts."""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, urlsplit

from dash import Dash
from flask import Flask, Response, redirect, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response as BaseResponse

from api.auth import sign_in
from api.errors import retry_after, status_of
from api.limits import limits
from api.security import SIGN_IN, page_user, set_cookies
from dinsight import accounts, database
from dinsight.accounts import Identity
from dinsight.errors import DatabaseUnavailable, DinsightError, LinkUsed, NotSignedIn
from dinsight.services import Services
from layouts import signin
from layouts.shell import STREAMING

OTHER_SITE = "This form was sent from another site: sign in here."
NOT_A_PAGE = (SIGN_IN, "/api", "/_dash", "/assets")


def register(app: Dash, services: Services) -> None:
    server: Flask = app.server

    def show() -> BaseResponse:
        target = local_path(request.args.get("next"))
        if signed_in():
            return redirect(target)
        return page(target)

    def submit() -> BaseResponse:
        target = local_path(request.form.get("next"))
        if from_another_site():
            return page(target, error=OTHER_SITE, status=403)
        email, remember = request.form.get("email", ""), bool(request.form.get("remember"))
        try:
            limits().admit_address()
            identity = sign_in(email, request.form.get("password", ""))
        except (DinsightError, SQLAlchemyError) as error:
            why = sentence_for(error)
            return refused(target, why, email=email, remember=remember)
        return enter(identity, target, remember=remember)

    def link() -> BaseResponse:
        try:
            with services.sessions.begin() as session:
                identity = accounts.use_link(session, request.args.get("token", ""), services.now())
                accounts.audit(session, "sign-in", user_id=identity.id, subject="link")
        except LinkUsed as error:
            if signed_in():
                return redirect(STREAMING)
            return refused(STREAMING, error)
        return enter(identity, STREAMING, remember=True)

    server.add_url_rule(SIGN_IN, "signin", show, methods=["GET"])
    server.add_url_rule(SIGN_IN, "signin_submit", submit, methods=["POST"])
    server.add_url_rule(f"{SIGN_IN}/link", "signin_link", link, methods=["GET"])


def local_path(target: str | None) -> str:
    """The path to go to after signing in: a page of this server, whatever was asked for."""
    target = target or ""
    parts = address(target) if target.isprintable() else None
    if (
        parts is None
        or parts.scheme
        or parts.netloc
        or not target.startswith("/")
        or target.startswith("//")
        or "\\" in target
        or parts.path.startswith(NOT_A_PAGE)
    ):
        return STREAMING
    return target


def from_another_site() -> bool:
    """Whether the browser says that another origin's page sent this form."""
    origin = request.headers.get("Origin")
    if origin is None:
        return False
    parts = address(origin)
    return parts is None or parts.netloc != request.host


def address(text: str) -> SplitResult | None:
    """The parts of an address, or None where it is none."""
    try:
        return urlsplit(text)
    except ValueError:
        return None


def sentence_for(error: DinsightError | SQLAlchemyError) -> DinsightError:
    """The failure as the page says it; what is neither ours nor an outage is raised again."""
    if isinstance(error, DinsightError):
        return error
    if database.is_outage(error):
        return DatabaseUnavailable("The database cannot be reached: try again in a moment.")
    raise error


def signed_in() -> bool:
    try:
        page_user()
    except NotSignedIn:
        return False
    return True


def page(
    target: str, *, status: int = 200, error: str = "", email: str = "", remember: bool = False
) -> BaseResponse:
    html = signin.page(next_path=target, error=error, email=email, remember=remember)
    answer = Response(html, status, mimetype="text/html")
    answer.headers["Cache-Control"] = "no-store"
    return answer


def refused(target: str, why: DinsightError, **filled: Any) -> BaseResponse:
    """The page again, with the reason and with what was filled in."""
    answer = page(target, status=status_of(type(why)), error=why.message, **filled)
    if wait := retry_after(why):
        answer.headers["Retry-After"] = str(wait)
    return answer


def enter(identity: Identity, target: str, *, remember: bool) -> BaseResponse:
    answer = redirect(target, 303)
    set_cookies(answer, identity, remember=remember)
    answer.headers["Cache-Control"] = "no-store"
    return answer
