"""What a reported consent event writes into the ledger. Pure: events in, acts out.

The person's word counts only with its proof (R5, R6): a yes by a method that needs the mailbox's confirmation, and has
none, is written as pending. No date may lie in the future, for a yes dated ahead would outlive every later no.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.consent.fold import NEEDS_CONFIRMATION, PURPOSES
from app.consent.ledger import Act, address_key
from app.contacts.attributes import WrongTypeError, coerced
from app.events.incoming import Incoming

TYPES: Mapping[str, str] = {
    "consent.requested": "pending",
    "consent.granted": "granted",
    "consent.withdrawn": "withdrawn",
}
"""Event → the state it stands for, proof permitting."""

METHODS = ("web", "desk_tablet", "paper", "phone", "staff", "import", "pms_sync", "api", "preference_centre")
CHANNELS = ("email", "sms", "whatsapp", "push")
PROOF = (
    *("controller", "wording", "wording_version", "language", "notice_version", "notice_hash", "page", "ip"),
    *("user_agent", "operator_id", "import_file", "scan_id", "refusal_offered"),
    "recovery_mentioned",
)


def act_of(
    event: Incoming, *, source_id: int, contact_id: int, email: str | None, phone: str | None, upto: datetime
) -> Act | None:
    """The act that a consent event reports, or None (with a warning) where it cannot stand in the ledger.

    Args:
        email, phone: the person's addresses, where the event names none.
        upto: the instant the event is ordered by; nothing in it counts as later.
    """
    state, data = TYPES[event.type], event.data
    purpose, channel = data.get("purpose", "marketing"), data.get("channel", "email")
    method = data.get("method", "web" if state != "withdrawn" else "api")
    for name, value, allowed in (
        ("purpose", purpose, PURPOSES),
        ("channel", channel, CHANNELS),
        ("method", method, METHODS),
    ):
        if value not in allowed:
            _left_out(event, f"/data/{name}", f"{name} has an unknown value", "Send " + ", ".join(allowed) + ".")
            return None
    topic = data.get("topic")
    if topic is not None and (purpose != "marketing" or not isinstance(topic, str) or not 0 < len(topic) <= 200):
        _left_out(event, "/data/topic", "only marketing has a topic, a text", "Send the topic's name, or none.")
        return None
    address = email if channel == "email" else phone
    if not address:
        cure = "Send contact.email or contact.phone with it."
        _left_out(event, "/contact", f"the person has no address for {channel}", cure)
        return None
    proof = _proof(event)
    requested_at = min(_instant(event, "requested_at") or event.occurred_at, upto)
    confirmed_at = _instant(event, "confirmed_at") if state == "granted" else None
    confirmed_at = min(confirmed_at, upto) if confirmed_at else None
    if state == "granted" and method in NEEDS_CONFIRMATION and not confirmed_at and not proof.get("scan_id"):
        state = "pending"
        cure = "Send confirmed_at once the person has used the link in the mailbox, or report consent.requested."
        event.warn("/data", f"A consent by {method} counts only when confirmed; it is pending.", cure)
    if state == "granted" and not proof.get("wording_version"):
        event.warn("/data", "Without wording_version a consent proves nothing and permits nothing.", "Send it.")
    return Act(
        contact_id=contact_id,
        address=address_key(address) if channel == "email" else address,
        channel=channel,
        purpose=purpose,
        topic=topic,
        state=state,
        method=method,
        requested_at=requested_at,
        confirmed_at=confirmed_at,
        proof={**proof, "source_id": source_id, "event_id": event.id},
    )


def _left_out(event: Incoming, where: str, why: str, cure: str) -> None:
    event.warn(where, f"The consent was not written into the ledger: {why}.", cure)


def _proof(event: Incoming) -> dict[str, Any]:
    proof: dict[str, Any] = {}
    for name in PROOF:
        value = event.data.get(name)
        if value is None:
            continue
        if isinstance(value, bool | int) or (isinstance(value, str) and len(value) <= 10_000):
            proof[name] = value
        else:
            event.warn(f"/data/{name}", f"{name} is no text; it was left out.", "Send a text.")
    return proof


def _instant(event: Incoming, name: str) -> datetime | None:
    value = event.data.get(name)
    if value is None:
        return None
    try:
        return datetime.fromisoformat(coerced(value, "instant"))
    except WrongTypeError as error:
        event.warn(f"/data/{name}", f"{name} does not fit; it was left out.", f"Send what fits: {error}.")
        return None
