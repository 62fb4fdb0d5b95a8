"""What a request works with: the services, and who asks."""

from __future__ import annotations

from typing import cast

from flask import current_app, g

from dinsight.accounts import Identity
from dinsight.services import Services

EXTENSION = "dinsight"


def services() -> Services:
    return cast(Services, current_app.extensions[EXTENSION])


def who() -> Identity:
    """The signed-in user of this request; only inside a route that requires one."""
    return cast(Identity, g.who)
