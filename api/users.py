"""`/users`: the signed-in user."""

from __future__ import annotations

from flask import Response

from api import examples
from api.answers import success
from api.auth import profile as profile_of
from api.bodies import Blueprint
from api.context import who
from api.document import document
from api.schemas import envelope, ref
from api.security import signed_in

blueprint = Blueprint("users", __name__, url_prefix="/users", description="The signed-in user")


@blueprint.route("/profile", methods=["GET"])
@document(envelope(ref("Profile")), example=examples.success(examples.PROFILE))
@signed_in
def profile() -> Response:
    """Who you are."""
    return success(profile_of(who()))
