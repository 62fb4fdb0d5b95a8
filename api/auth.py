"""`/auth`: registering, signing in and out, fresh tokens, API keys."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response, request

from api import examples
from api.answers import success
from api.bodies import Blueprint
from api.context import services, who
from api.document import JSON, document
from api.fields import Body, Line
from api.limits import limits, open_to_all
from api.schemas import KEY, TEXT, TOKEN, WHOLE, envelope, many, record, ref
from api.security import clear_cookies, end_session, identify, issue_access_token, issue_tokens
from api.security import signed_in as signed_in_only
from dinsight import accounts, passwords
from dinsight.accounts import Identity
from dinsight.errors import NotSignedIn, RegistrationClosed, WrongPassword
from dinsight.models import ApiKey, User

blueprint = Blueprint("auth", __name__, url_prefix="/auth", description="Signing in")


PASSWORD = {"minLength": passwords.MIN_LENGTH, "maxLength": passwords.MAX_LENGTH}


class Registration(Body):
    email = Line(required=True, metadata={"format": "email", "maxLength": 254})
    password = ma.fields.String(required=True, metadata=PASSWORD)
    full_name = Line(load_default="", metadata={"maxLength": 200})


class SignIn(Body):
    email = Line(required=True)
    password = ma.fields.String(required=True)
    remember_me = ma.fields.Boolean(load_default=False)


class KeyName(Body):
    name = Line(required=True, metadata={"minLength": 1, "maxLength": 100})


@blueprint.route("/register", methods=["POST"])
@document(
    envelope(record({"user": ref("Profile")})),
    403,
    409,
    status=201,
    example=examples.success({"user": examples.PROFILE}),
)
@open_to_all
@blueprint.arguments(Registration, example=examples.REGISTRATION)
def register(body: dict[str, Any]) -> Response:
    """Make an account, where the server lets strangers do so."""
    if not services().settings.registration_open:
        raise RegistrationClosed()
    with services().sessions.begin() as session:
        user = accounts.register(
            session, body["email"], body["password"], full_name=body["full_name"]
        )
        accounts.audit(session, "register", user_id=user.id)
        data = profile(user)
    return success({"user": data}, 201)


@blueprint.route("/login", methods=["POST"])
@document(
    envelope(record({**TOKEN, "refresh_token": TEXT, "user": ref("Profile")})),
    401,
    example=examples.success(examples.SIGNED_IN),
)
@open_to_all
@blueprint.arguments(SignIn, example=examples.SIGN_IN)
def login(body: dict[str, Any]) -> Response:
    """Sign in with e-mail address and password."""
    identity = sign_in(body["email"], body["password"])
    access, refresh = issue_tokens(identity)
    return success(
        {
            "access_token": access,
            "refresh_token": refresh,
            "token_type": "Bearer",
            "expires_in": services().settings.access_token_hours * 3600,
            "user": profile(identity),
        }
    )


@blueprint.route("/refresh", methods=["POST"])
@document(
    envelope(record(TOKEN)),
    401,
    body={JSON: (record({"refresh_token?": TEXT}), examples.REFRESH)},
    example=examples.success(examples.FRESH),
)
@open_to_all
def refresh() -> Response:
    """A fresh access token for a refresh token, in the body or as bearer."""
    body = request.get_json(silent=True) if request.is_json else None
    given = body.get("refresh_token") if isinstance(body, dict) else None
    if given is not None:
        if not isinstance(given, str):
            raise NotSignedIn()
        request.environ["HTTP_AUTHORIZATION"] = f"Bearer {given}"
    identity = identify(["headers"], refresh=True)
    return success(
        {
            "access_token": issue_access_token(identity),
            "token_type": "Bearer",
            "expires_in": services().settings.access_token_hours * 3600,
        }
    )


@blueprint.route("/logout", methods=["POST"])
@document(envelope(record({"message": TEXT})))
@signed_in_only
def logout() -> Response:
    """End this sign-in: its access and refresh tokens are dead at once, everywhere."""
    end_session(who())
    answer = success({"message": "Signed out."})
    clear_cookies(answer)
    return answer


@blueprint.route("/keys", methods=["GET"])
@document(envelope(record({"keys": many(record(KEY))})))
@signed_in_only
def list_keys() -> Response:
    """Your API keys, without the keys themselves."""
    with services().sessions() as session:
        keys = [describe_key(key) for key in accounts.list_keys(session, who().id)]
    return success({"keys": keys})


@blueprint.route("/keys", methods=["POST"])
@document(
    envelope(record({**KEY, "key": TEXT})), status=201, example=examples.success(examples.KEY)
)
@signed_in_only
@blueprint.arguments(KeyName, example=examples.KEY_NAME)
def make_key(body: dict[str, Any]) -> Response:
    """A new API key for a machine sender; this answer is the only one that shows it."""
    with services().sessions.begin() as session:
        row, key = accounts.make_key(session, who().id, body["name"])
        accounts.audit(session, "key.make", user_id=who().id, subject=row.name, key_id=row.id)
        data = describe_key(row) | {"key": key}
    return success(data, 201)


@blueprint.route("/keys/<int:key_id>", methods=["DELETE"])
@document(envelope(record({"id": WHOLE})), 404)
@signed_in_only
def revoke_key(key_id: int) -> Response:
    """Revoke an API key, at once."""
    with services().sessions.begin() as session:
        name = accounts.revoke_key(session, who(), key_id, services().now())
        accounts.audit(session, "key.revoke", user_id=who().id, subject=name, key_id=key_id)
    return success({"id": key_id})


def sign_in(email: str, password: str) -> Identity:
    """The user whose password this is; both outcomes are noted in the audit table.

    After too many wrong ones it raises TooManyAttempts for a while, whether or not there is such a
    user and whether or not this one is right.
    """
    try:
        with limits().attempt(email), services().sessions.begin() as session:
            identity = accounts.sign_in(session, email, password)
            accounts.audit(session, "sign-in", user_id=identity.id)
    except WrongPassword:
        with services().sessions.begin() as session:
            accounts.audit(session, "sign-in.refused", user_id=None, subject=email[:254])
        raise
    return identity


def change_password(person: Identity, new: str, current: str | None) -> Identity:
    """Set somebody's password, noted; what is given back is the only sign-in that is left.

    Wrong ones count as they do for signing in: who found an open page may not guess at it.
    """
    with limits().attempt(person.email), services().sessions.begin() as session:
        entered = accounts.set_password(session, person.id, new, current)
        accounts.audit(session, "password.set", user_id=person.id)
    return entered


def profile(person: Identity | User) -> dict[str, Any]:
    return {
        "id": person.id,
        "email": person.email,
        "full_name": person.full_name,
        "role": person.role,
    }


def describe_key(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
    }
