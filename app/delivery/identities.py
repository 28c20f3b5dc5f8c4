"""Sender identities and test addresses as people look after them: made, changed, verified, put in order.

An address is verified by a mail with a link to it: the page behind the link has a button, and only pressing it counts
(a GET changes nothing, scanners follow links). An identity of a proven domain needs no mail (`domains.note`).
What may be used, and by which message, is read by `messages/identities.py`.
"""

from __future__ import annotations

import html
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Membership, User
from app.config import Settings
from app.contacts.models import Property
from app.db import workspace_of
from app.delivery import domains, proof
from app.delivery.models import SenderDomain, SenderIdentity, TrialAddress
from app.delivery.proof import Proof
from app.delivery.providers import Outcome
from app.house import House
from app.messages import links
from app.messages.identities import STREAMS
from app.messages.links import BadTokenError

ASK_AGAIN = timedelta(minutes=10)
"""Between two mails with a link to one address."""

KINDS: tuple[type[SenderIdentity | TrialAddress], ...] = (SenderIdentity, TrialAddress)


@dataclass(frozen=True, slots=True)
class Given:
    """An identity as a form gives it."""

    name: str
    email: str
    stream: str
    reply_to: str = ""
    property_id: int | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    """Language → the name in it; empty ones fall away."""


class IdentityError(ValueError):
    """An identity or address is not kept as asked; `errors` says why, by field: needed, no_address, stream, twice,
    too_soon."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__(", ".join(f"{name}: {code}" for name, code in errors.items()))
        self.errors = dict(errors)


def save(session: Session, given: Given, now: datetime, identity: SenderIdentity | None = None) -> SenderIdentity:
    """Make an identity, or change one. A new address has to be verified anew; one of a proven domain is at once.

    Raises IdentityError.
    """
    errors: dict[str, str] = {}
    if not given.name.strip():
        errors["name"] = "needed"
    email = address(given.email) if given.email.strip() else None
    if email is None:
        errors["email"] = "no_address" if given.email.strip() else "needed"
    reply_to = address(given.reply_to) if given.reply_to.strip() else ""
    if reply_to is None:
        errors["reply_to"] = "no_address"
    if given.stream not in STREAMS:
        errors["stream"] = "stream"
    if errors or email is None:
        raise IdentityError(errors)
    theirs = select(SenderIdentity).where(SenderIdentity.stream == given.stream, SenderIdentity.active)
    for other in session.scalars(theirs):
        same = (other.email.lower(), other.property_id) == (email.lower(), given.property_id)
        if same and (identity is None or other.id != identity.id):
            raise IdentityError({"email": "twice"})
    proven = _proven(session, email)
    if identity is None:
        position = max(session.scalars(select(SenderIdentity.position)), default=-1) + 1
        identity = SenderIdentity(workspace_id=workspace_of(session), email="", active=True, position=position)
        identity.created_at = now
    if identity.email.lower() != email.lower():
        identity.verified_at, identity.verified_how = (now, "domain") if proven else (None, None)
        identity.asked_at = None
    identity.name, identity.email, identity.stream = given.name.strip()[:100], email, given.stream
    identity.reply_to, identity.property_id = reply_to or None, given.property_id
    identity.names = {tongue: name.strip()[:100] for tongue, name in given.names.items() if name.strip()}
    identity.updated_at = now
    session.add(identity)
    session.flush()  # its number is asked for
    return identity


def address(typed: str) -> str | None:
    """A mail address as it is kept; None for what is none."""
    try:
        return validate_email(typed.strip(), check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        return None


def _proven(session: Session, email: str) -> bool:
    name = email.rpartition("@")[2].lower()
    known = session.scalars(select(SenderDomain))
    return any(domains.covers(one.name, name) and domains.passes(one.checks) for one in known)


def listed(session: Session) -> Sequence[SenderIdentity]:
    """All identities, those in use first, in their order. One query."""
    ordered = (SenderIdentity.active.desc(), SenderIdentity.position, SenderIdentity.id)
    return session.scalars(select(SenderIdentity).order_by(*ordered)).all()


def rise(session: Session, identity: SenderIdentity) -> None:
    """Put an identity before the one that stood before it: the first that fits a message speaks."""
    ordered = [one for one in listed(session) if one.active]
    place = ordered.index(identity)
    if place:
        ordered[place - 1], ordered[place] = ordered[place], ordered[place - 1]
    for position, one in enumerate(ordered):
        one.position = position


def add_trial(session: Session, typed: str, by: str, now: datetime) -> TrialAddress:
    """An address that test mails may go to, once it is verified. Raises IdentityError."""
    email = address(typed) if typed.strip() else None
    if email is None:
        raise IdentityError({"email": "no_address" if typed.strip() else "needed"})
    if session.scalar(select(TrialAddress.id).where(TrialAddress.email == email.lower())) is not None:
        raise IdentityError({"email": "twice"})
    made = TrialAddress(workspace_id=workspace_of(session), email=email.lower(), created_at=now, created_by=by)
    session.add(made)
    session.flush()  # its number is asked for
    return made


def trials(session: Session) -> list[str]:
    """Addresses that test mails may go to (R64): the team's own, and those verified. Two queries."""
    team = session.scalars(
        select(User.email).join(Membership, Membership.user_id == User.id).where(User.active).order_by(User.email)
    )
    verified = session.scalars(
        select(TrialAddress.email).where(TrialAddress.verified_at.is_not(None)).order_by(TrialAddress.email)
    )
    return list(dict.fromkeys([*team, *verified]))


# -- the mail with the link ------------------------------------------------------------------------------------------


def link(settings: Settings, row: SenderIdentity | TrialAddress) -> str:
    """Where the address is verified. It holds for this address alone, and not for one it is changed into."""
    kind = KINDS.index(type(row))
    return links.url(settings, "address", (row.workspace_id, kind, row.id, zlib.crc32(row.email.lower().encode())))


def ask(house: House, workspace_id: int, row: SenderIdentity | TrialAddress, language: str) -> Outcome:
    """Send the mail with the link. Raises IdentityError `too_soon`, `mime.HeaderError`.

    It comes from the property's own sender: an address that is not verified sends nothing, not even this.
    """
    now = house.clock.now()
    if row.asked_at is not None and now - row.asked_at < ASK_AGAIN:
        raise IdentityError({"email": "too_soon"})
    with house.database.work(workspace_id) as session:
        place = session.scalars(select(Property).order_by(Property.is_default.desc(), Property.id)).first()
        kept = _find(session, KINDS.index(type(row)), row.id)
        if kept is not None:
            kept.asked_at = now
    name, email = (place.name, place.sender_email) if place else (row.email, row.email)
    subject, lines = _words(language, type(row), name, row.email)
    target = link(house.settings, row)
    text = "\n\n".join([lines[0], target, lines[1]]) + "\n"
    body = (
        f'<p>{html.escape(lines[0])}</p><p><a href="{html.escape(target)}">{html.escape(target)}</a></p>'
        f"<p>{html.escape(lines[1])}</p>"
    )
    page = f'<!doctype html><html lang="{language}"><body style="font-family:sans-serif">{body}</body></html>'
    mail = Proof(row.email, language, subject, page, text, place.sender_name if place else "", email, marked=False)
    return proof.send(house, workspace_id, mail)


def _words(language: str, kind: type[SenderIdentity | TrialAddress], place: str, email: str) -> tuple[str, list[str]]:
    """Subject, and what stands before and after the link."""
    if language == "it":
        use = "mittente dei messaggi" if kind is SenderIdentity else "indirizzo per i messaggi di prova"
        return f"Conferma l'indirizzo {email}", [
            f"{place} vuole usare {email} come {use}. Per confermare apri questa pagina e premi il pulsante:",
            "Se non sai di che cosa si tratta, non fare nulla: senza conferma l'indirizzo non viene usato.",
        ]
    use = "sender of its messages" if kind is SenderIdentity else "address for test messages"
    return f"Confirm the address {email}", [
        f"{place} wants to use {email} as {use}. To confirm, open this page and press the button:",
        "If you do not know what this is about, do nothing: the address is not used unless it is confirmed.",
    ]


def read(settings: Settings, token: str) -> tuple[int, int, int, int]:
    """Workspace, kind, number and mark of a token; raises links.BadTokenError."""
    numbers = links.read(settings, "address", token)
    if len(numbers) != 4 or numbers[1] >= len(KINDS):
        raise BadTokenError("no token of ours")
    return numbers[0], numbers[1], numbers[2], numbers[3]


def of_token(session: Session, kind: int, number: int, mark: int) -> SenderIdentity | TrialAddress | None:
    """What a token speaks of; None where it is gone, or has another address now."""
    found = _find(session, kind, number)
    return found if found is not None and zlib.crc32(found.email.lower().encode()) == mark else None


def _find(session: Session, kind: int, number: int) -> SenderIdentity | TrialAddress | None:
    if KINDS[kind] is SenderIdentity:
        return session.scalar(select(SenderIdentity).where(SenderIdentity.id == number))
    return session.scalar(select(TrialAddress).where(TrialAddress.id == number))


def verify(row: SenderIdentity | TrialAddress, now: datetime) -> None:
    """The button was pressed; a second time changes nothing."""
    if row.verified_at is None:
        row.verified_at = now
        if isinstance(row, SenderIdentity):
            row.verified_how = "mail"
