"""What a reported consent event writes into the ledger. Pure: events in, acts out.

The person's word counts only with its proof (R5, R6): a yes by a method that needs the mailbox's confirmation, and has
none, is written as pending. A system's copy of a yes needs its source and the confirmation beside the file it is from,
as a list that is imported does (R16). No date may lie in the future, for a yes dated ahead would outlive every later
no. Whatever is missing is told by name; what was sent is kept all the same, as what it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from app.consent.fold import IMPORTED, NEEDS_CONFIRMATION, PURPOSES
from app.consent.ledger import Act, address_key
from app.consent.policy import Policy
from app.consent.requests import CONFIRMABLE, TEMPLATE, Wanted
from app.contacts.attributes import WrongTypeError, coerced
from app.events.incoming import Incoming

TYPES: Mapping[str, str] = {
    "consent.requested": "pending",
    "consent.granted": "granted",
    "consent.denied": "denied",
    "consent.withdrawn": "withdrawn",
    "consent.objected": "objected",
}
"""Event → the state it stands for, proof permitting."""

METHODS = ("web", "desk_tablet", "paper", "phone", "staff", "import", "pms_sync", "api", "preference_centre")
CHANNELS = ("email", "sms", "whatsapp", "push")
PROOF = (
    *("controller", "source", "wording", "wording_version", "language", "notice_version", "notice_hash", "form"),
    *("page", "ip", "user_agent", "confirmed_ip", "confirmed_user_agent", "token_id", "operator_id", "import_file"),
    *("scan_id", "guardian", "refusal_offered", "recovery_mentioned"),
)
"""What is kept of R5's list, beside address, channel, purpose, method and the two instants."""
YES = frozenset({"pending", "granted"})


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
    method = data.get("method", "web" if state in YES else "api")
    for name, value, allowed in (
        ("purpose", purpose, PURPOSES),
        ("channel", channel, CHANNELS),
        ("method", method, METHODS),
    ):
        if value not in allowed:
            _left_out(event, f"/data/{name}", f"{name} has an unknown value", "Send " + ", ".join(allowed) + ".")
            return None
    topic = data.get("topic")
    if state == "objected" and (purpose != "marketing" or topic is not None):
        cure = "Send consent.withdrawn for one topic or another purpose; an objection is to all marketing (R10)."
        _left_out(event, "/data", "an objection has no topic and no purpose but marketing", cure)
        return None
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
    shown = bool(confirmed_at or proof.get("scan_id"))
    if state == "granted" and method in _CONFIRMED_ELSEWHERE and not shown:
        state = "pending"
        cure = "Send confirmed_at once the person has used the link in the mailbox, or report consent.requested."
        event.warn("/data", f"A consent by {method} counts only when confirmed; it is pending.", cure)
    if TYPES[event.type] == "granted" and (missing := _missing(method, proof, shown=shown)):
        names = ", ".join(missing)
        detail = f"This consent permits nothing: {names} {'is' if len(missing) == 1 else 'are'} missing."
        event.warn("/data", detail, f"Send another consent.granted with {names}, under an id of its own.")
    if data.get("ask") is not None:
        _asks(event, state, method, channel)
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


def _asks(event: Incoming, state: str, method: str, channel: str) -> None:
    """Say so where `ask` is sent and nobody will be asked for it."""
    if not isinstance(event.data["ask"], bool):
        event.warn("/data/ask", "ask is neither true nor false; nobody was asked.", "Send true or false.")
    elif event.data["ask"] and state == "pending" and not (method in ASKED_FOR and channel == "email"):
        cure = "Send it for what the person did themselves, by e-mail: method " + ", ".join(sorted(ASKED_FOR)) + "."
        event.warn("/data/ask", f"Nobody is asked to confirm a wish over {channel} by {method}.", cure)


def waiting(reported: Sequence[tuple[Incoming, Act, int | None]], lines: Sequence[int]) -> list[Wanted]:
    """Requests that stand beside the pending ones of these acts, so that they end and are cleaned away like any other
    (R6); where the event says `ask: true`, the mailbox is asked by us.

    Args:
        reported: each with its event and the property it speaks of.
        lines: their numbers in the ledger, in the same order.
    """
    together: dict[tuple[object, ...], list[tuple[Incoming, Act, int | None, int]]] = {}
    for (event, act, place), line in zip(reported, lines, strict=True):
        if act.state == "pending" and act.purpose in CONFIRMABLE:
            everything = act.purpose == "marketing" and act.topic is None
            key = (act.contact_id, act.address, act.channel, act.method, act.requested_at, everything)
            together.setdefault(key, []).append((event, act, place, line))
    return [_wanted(group) for group in together.values()]


def _wanted(group: Sequence[tuple[Incoming, Act, int | None, int]]) -> Wanted:
    _, act, place, _ = group[0]
    ours = any(event.data.get("ask") is True for event, *_ in group)
    ours = ours and act.method in ASKED_FOR and act.channel == "email"
    return Wanted(
        contact_id=act.contact_id,
        lines=tuple(line for *_, line in group),
        topics=tuple(dict.fromkeys(one.topic for _, one, _, _ in group if one.topic is not None)),
        purposes=tuple(dict.fromkeys(one.purpose for _, one, _, _ in group if one.purpose != "marketing")),
        address=act.address,
        channel=act.channel,
        method=act.method,
        asked_at=act.requested_at,
        next_at=act.requested_at if ours else act.requested_at + Policy().pending_for,
        reminder=ours,
        template=TEMPLATE if ours else "",
        property_id=place,
        mail_due=ours,
    )


ASKED_FOR = NEEDS_CONFIRMATION - {"staff"}
"""Methods by which the person acted: what others wish for them is asked in the studio or by a workflow, if at all."""

_CONFIRMED_ELSEWHERE = NEEDS_CONFIRMATION | IMPORTED | {"paper"}
"""Methods whose yes is nothing without the mailbox's confirmation or a signed scan (R6, R16)."""


def _missing(method: str, proof: Mapping[str, Any], *, shown: bool) -> list[str]:
    """The fields for want of which a yes permits nothing."""
    missing = [] if proof.get("wording_version") else ["wording_version"]
    if method in IMPORTED:
        missing += [name for name in ("source", "import_file") if not proof.get(name)]
    if method in _CONFIRMED_ELSEWHERE and not shown:
        missing.append("scan_id" if method == "paper" else "confirmed_at")
    return missing


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
