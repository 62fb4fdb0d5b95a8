"""`/users`: the signed-in user; and everybody, for administrators."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import marshmallow as ma
from flask import Response, request

from api import examples
from api.answers import success
from api.auth import change_password
from api.auth import profile as profile_of
from api.bodies import Blueprint
from api.context import services, who
from api.document import document
from api.fields import Body, Line
from api.schemas import INVITED, PERSON, TEXT, envelope, many, record, ref
from api.security import SIGN_IN, by_cookie, issue_tokens, renew_cookies, signed_in
from dinsight import accounts, people
from dinsight.models import User
from dinsight.people import Change, Invitation

blueprint = Blueprint("users", __name__, url_prefix="/users", description="People")
ID = "<int:user_id>"
FRESH = {"access_token": TEXT, "refresh_token": TEXT, "token_type": {"const": "Bearer"}}


class NewName(Body):
    full_name = Line(required=True)


class NewPassword(Body):
    current_password = ma.fields.String(load_default=None, allow_none=True)
    new_password = ma.fields.String(required=True)


class Invited(Body):
    email = Line(required=True)
    full_name = Line(load_default="")
    role = Line(load_default="user")


class Changes(Body):
    role = Line()
    disabled = ma.fields.Boolean(truthy={True}, falsy={False})
    full_name = Line()


@blueprint.route("/profile", methods=["GET"])
@document(envelope(ref("Profile")), example=examples.success(examples.PROFILE))
@signed_in
def profile() -> Response:
    """Who you are."""
    return success(profile_of(who()))


@blueprint.route("/profile", methods=["PATCH"])
@document(envelope(ref("Profile")), example=examples.success(examples.PROFILE))
@signed_in
@blueprint.arguments(NewName)
def rename(body: dict[str, Any]) -> Response:
    """Change your name."""
    with services().sessions.begin() as session:
        user = accounts.rename(session, who().id, body["full_name"])
        accounts.audit(session, "profile.rename", user_id=who().id)
        return success(profile_of(user))


@blueprint.route("/password", methods=["PUT"])
@document(envelope(record(FRESH)), 401, 422)
@signed_in
@blueprint.arguments(NewPassword)
def set_password(body: dict[str, Any]) -> Response:
    """Set your password; who has one must give it.

    Every sign-in of before ends and API keys go on. The answer has the tokens of a new sign-in.
    """
    entered = change_password(who(), body["new_password"], body["current_password"])
    access, refresh = issue_tokens(entered)
    if by_cookie():
        renew_cookies(entered)
    return success({"access_token": access, "refresh_token": refresh, "token_type": "Bearer"})


@blueprint.route("", methods=["GET"])
@document(envelope(record({"users": many(PERSON)})), 403)
@signed_in
def list_users() -> Response:
    """Everybody. For administrators."""
    with services().sessions() as session:
        found = [describe(user) for user in people.list_all(session, who())]
    return success({"users": found})


@blueprint.route("", methods=["POST"])
@document(envelope(INVITED), 403, 409, 422, status=201)
@signed_in
@blueprint.arguments(Invited)
def invite(body: dict[str, Any]) -> Response:
    """Add somebody. For administrators.

    The answer has a link that signs them in once, within a day; there they set a password that
    nobody else knows.
    """
    with services().sessions.begin() as session:
        made = people.invite(
            session,
            who(),
            body["email"],
            full_name=body["full_name"],
            role=body["role"],
            now=services().now(),
        )
        return success(_invitation(made), 201)


@blueprint.route(f"/{ID}", methods=["PATCH"])
@document(envelope(PERSON), 403, 404, 409, 422)
@signed_in
@blueprint.arguments(Changes)
def change(body: dict[str, Any], user_id: int) -> Response:
    """Change somebody's role or name, disable or enable them. For administrators.

    Who is disabled is out at once: every sign-in, link and API key of theirs ends for good. The
    last administrator stays one (409).
    """
    with services().sessions.begin() as session:
        wanted = Change(**body)
        user = people.change(session, who(), user_id, wanted, now=services().now())
        return success(describe(user))


@blueprint.route(f"/{ID}/link", methods=["POST"])
@document(envelope(INVITED), 403, 404, 422, status=201)
@signed_in
def renew(user_id: int) -> Response:
    """A fresh sign-in link for somebody; their password and sign-ins end. For administrators."""
    with services().sessions.begin() as session:
        made = people.renew(session, who(), user_id, now=services().now())
        return success(_invitation(made), 201)


def describe(user: User) -> dict[str, Any]:
    return profile_of(user) | {
        "disabled": user.disabled_at is not None,
        "disabled_at": user.disabled_at,
        "has_password": user.password_hash is not None,
        "created_at": user.created_at,
    }


def link(token: str) -> str:
    """The address that signs its user in, at the server as this request reached it."""
    return f"{request.host_url}{SIGN_IN.lstrip('/')}/link?token={quote(token)}"


def _invitation(made: Invitation) -> dict[str, Any]:
    return {
        "user": describe(made.user),
        "link": link(made.token),
        "expires_at": made.expires_at,
    }
