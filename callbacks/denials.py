"""What somebody asked a page for that is not there, or not theirs: noted as the API does."""

from __future__ import annotations

from dinsight import audit_log
from dinsight.accounts import Identity
from dinsight.services import Services


def deny(services: Services, who: Identity, subject: str, baseline_id: int | None = None) -> None:
    """Note it, in a transaction of its own: that of the question is rolled back."""
    with services.sessions.begin() as session:
        audit_log.deny(session, who, subject, baseline_id, services.now())
