"""Senders: providers as ways out of the house, and where their webhooks come in. What is secret of them is kept sealed.

A sender may send (it has credentials, and streams that go out by it), be reported to (its webhooks are proved by keys
or by user and password), or both, which is how bounces find back to mails whose envelope sender is the provider's.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.config import Settings
from app.db import as_rows, settings_of, workspace_of
from app.delivery.circuit import Standing
from app.delivery.models import Sender
from app.delivery.providers.api import Access
from app.delivery.providers.webhooks import Secrets
from app.delivery.sender_checks import Outward, SenderError, check_outward, check_proof, check_provider
from app.delivery.ways import STREAMS, Heard, Way
from app.sealed import opened, seal

PATH = "/api/v1/provider-webhooks"
_NOTED_EVERY = timedelta(minutes=1)
_ADDRESS = re.compile(r"[^\s<>'\"(]+@[^\s<>'\",;)]+")
"""What looks like somebody's address: a sender's row tells of the sender, and of nobody it wrote to."""


@dataclass(frozen=True, slots=True)
class Known:
    """A sender as its webhook needs it."""

    workspace_id: int
    id: int
    provider: str
    secrets: Secrets


def add(
    session: Session,
    provider: str,
    name: str,
    keys: Sequence[str],
    basic: Sequence[str],
    now: datetime,
    outward: Outward | None = None,
    networks: Sequence[str] = (),
) -> Sender:
    """Make a sender in this unit of work's workspace; it is the last of its streams.

    Args:
        provider: one of `sender_checks.providers()`.
        keys: signing keys, tokens or topics of its webhooks, as the provider's reader says.
        basic: `user:password`, for the address entered at the provider.
        outward: None: nothing is sent by it.
        networks: where its webhooks come from.

    Raises:
        SenderError: it would neither send nor be reported to, something is wrong, or there is one of that name.
    """
    check_provider(provider)
    given = Secrets(keys, basic, networks)
    if keys or basic or networks or outward is None:
        check_proof(provider, given)
    settings = settings_of(session)
    if outward is not None:
        check_outward(settings, provider, outward)
    if session.scalar(select(Sender.id).where(Sender.name == name)) is not None:
        raise SenderError("name_taken", name=name)
    last = session.scalar(select(func.max(Sender.position))) or 0
    sender = Sender(
        workspace_id=workspace_of(session),
        public_id=secrets.token_urlsafe(24),
        name=name,
        provider=provider,
        secrets=_sealed_proof(settings, given),
        created_at=now,
        credentials=_sealed(settings, outward.credentials) if outward else None,
        options=dict(outward.options) if outward else {},
        streams=sorted(set(outward.streams)) if outward else [],
        position=last + 1,
        active=True,
        failures=0,
    )
    session.add(sender)
    session.flush()  # its number is asked for
    return sender


def rotate(
    session: Session,
    sender: Sender,
    keys: Sequence[str] = (),
    basic: Sequence[str] = (),
    credentials: Mapping[str, str] | None = None,
    *,
    networks: Sequence[str] | None = None,
    compromised: bool = False,
) -> None:
    """Change secrets of a sender.

    What it sends with is replaced at once; its circuit is closed again. What proves its webhooks is put before what it
    had, which stays live until the next change, so that no report is lost while the provider is told.

    Args:
        networks: where its webhooks come from, in place of what was said before; None: as it was.
        compromised: somebody else knows what proved its webhooks: it is refused from this moment on, whether or not a
            new one is given.

    Raises:
        SenderError: what is given does not fit its provider.
    """
    settings = settings_of(session)
    if keys or basic or networks is not None or compromised:
        given = _sealed_proof(settings, Secrets(keys, basic, networks or ()))
        held = {kind: list(sender.secrets.get(kind, ())) for kind in _PROOFS}
        for kind in ("keys", "basic"):
            if given[kind] or compromised:
                held[kind] = [*given[kind], *(() if compromised else held[kind][:1])]
        if networks is not None:
            held["networks"] = given["networks"]
        if keys or basic or networks or not compromised:
            check_proof(sender.provider, _secrets_of(settings, held))
        sender.secrets = held
    if credentials is not None:
        check_outward(settings, sender.provider, Outward(credentials, sender.options, sender.streams or STREAMS))
        sender.credentials = _sealed(settings, credentials)
        close_circuit(sender)
    session.flush()  # whoever reads it next in this unit of work sees it


def proofs(settings: Settings, sender: Sender) -> Secrets:
    """What proves its webhooks now, as far as it can be opened."""
    return _secrets_of(settings, sender.secrets)


def order(session: Session, stream: str, names: Sequence[str]) -> None:
    """Have a stream go out by these senders, tried in this order; by no other. None at all: by SMTP_URL.

    Raises:
        SenderError: no such stream or sender, or one that cannot send.
    """
    if stream not in STREAMS:
        raise SenderError("no_stream", stream=stream, known=" and ".join(STREAMS))
    by_name = {one.name: one for one in session.scalars(select(Sender).with_for_update())}
    for name in names:
        if name not in by_name or by_name[name].credentials is None:
            raise SenderError("cannot_send", name=name)
    for sender in by_name.values():
        sender.streams = sorted({*sender.streams} - {stream} | ({stream} if sender.name in names else set()))
    # One order for both streams: those named come in the order given, within the places that they had together.
    places = sorted(by_name[name].position for name in names)
    for name, place in zip(names, places, strict=True):
        by_name[name].position = place
    session.flush()  # whoever reads them next in this unit of work sees them


def earlier(session: Session, sender: Sender) -> None:
    """Have it tried before the one that is tried before it now; the first stays the first."""
    rows = list(listed(session))
    place = next(number for number, one in enumerate(rows) if one.id == sender.id)
    if place:
        rows[place - 1 : place + 1] = reversed(rows[place - 1 : place + 1])
    for number, one in enumerate(rows, 1):
        one.position = number


def close_circuit(sender: Sender) -> None:
    """Send by it again at once, whatever went wrong before."""
    sender.failures, sender.open_until = 0, None


def named(session: Session, name: str) -> Sender:
    """The sender of that name, locked for a change; raises SenderError where there is none."""
    found = session.scalar(select(Sender).where(Sender.name == name).with_for_update())
    if found is None:
        raise SenderError("no_sender", name=name)
    return found


def listed(session: Session) -> Sequence[Sender]:
    """The workspace's senders in the order in which they are tried."""
    return session.scalars(select(Sender).order_by(Sender.position, Sender.id)).all()


def address(settings: Settings, sender: Sender) -> str:
    """The URL to enter at the provider."""
    return f"{settings.base_url.rstrip('/')}{PATH}/{sender.provider}/{sender.public_id}"


# -- the way out ------------------------------------------------------------------------------------------------------


def ways(session: Session) -> list[Way]:
    """The senders that send, in order, as plain values. One query."""
    settings = settings_of(session)
    found = []
    for row in session.execute(_WAYS, {"ws": workspace_of(session)}):
        text_ = opened(settings, row.credentials)
        given = msgspec.json.decode(text_, type=dict[str, str]) if text_ is not None else None
        options = dict(row.options)
        access = Access(given, options, options.pop("base", "")) if given is not None else None
        standing = Standing(row.failures, row.open_until)
        found.append(Way(row.id, row.name, row.provider, frozenset(row.streams), access, standing))
    return found


def keep(session: Session, heard: Sequence[Heard], now: datetime) -> None:
    """Write down what ways out have come to; one query, none where there is nothing new."""
    if not heard:
        return
    rows = [
        {
            "id": one.id,
            "failures": one.standing.failures,
            "open_until": one.standing.open_until,
            "error": _ADDRESS.sub("…", one.error)[:500] if one.error else None,
            "sent": one.sent,
        }
        for one in heard
    ]
    session.execute(_KEEP, {"ws": workspace_of(session), "now": now, "rows": as_rows(rows)})


# -- the way back -----------------------------------------------------------------------------------------------------


def find(session: Session, settings: Settings, provider: str, public_id: str) -> Known | None:
    """The sender that an address means, in a unit of work over all workspaces. One query."""
    row = session.execute(_FIND, {"public_id": public_id, "provider": provider}).one_or_none()
    if row is None:
        return None
    return Known(row.workspace_id, row.id, row.provider, _secrets_of(settings, row.secrets))


def note(session: Session, sender: Known, outcome: str, now: datetime) -> None:
    """Keep what became of a sender's last request; one statement, which changes a row at most once a minute."""
    given = {"ws": sender.workspace_id, "id": sender.id, "outcome": outcome, "now": now, "since": now - _NOTED_EVERY}
    session.execute(_NOTE, given)


# -- what is sealed ----------------------------------------------------------------------------------------------------


def _sealed(settings: Settings, credentials: Mapping[str, str]) -> str:
    return seal(settings, msgspec.json.encode({name: one.strip() for name, one in credentials.items()}).decode())


_PROOFS = ("keys", "basic", "networks")


def _sealed_proof(settings: Settings, given: Secrets) -> dict[str, list[str]]:
    return {kind: [seal(settings, one.strip()) for one in getattr(given, kind)] for kind in _PROOFS}


def _secrets_of(settings: Settings, kept: Mapping[str, Sequence[str]]) -> Secrets:
    return Secrets(*(_opened(settings, kept.get(kind, ())) for kind in _PROOFS))


def _opened(settings: Settings, sealed: Sequence[str]) -> list[str]:
    """Without those under a PERCORSO_SECRET that is no longer known: they can prove nothing."""
    return [one for one in (opened(settings, one) for one in sealed) if one is not None]


_WAYS = text(
    """
    SELECT id, name, provider, credentials, options, streams, failures, open_until FROM senders
    WHERE workspace_id = :ws AND active AND credentials IS NOT NULL AND streams <> '{}' ORDER BY position, id
    """
)
_KEEP = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given(id bigint, failures integer,
            open_until timestamptz, error text, sent boolean)
    ), locked AS (
        -- In one order, as other threads write down the same senders.
        SELECT id FROM senders WHERE workspace_id = :ws AND id IN (SELECT id FROM r) ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE senders s SET failures = r.failures, open_until = r.open_until,
        last_error = coalesce(r.error, s.last_error),
        last_error_at = CASE WHEN r.error IS NULL THEN s.last_error_at ELSE :now END,
        last_sent_at = CASE WHEN r.sent THEN :now ELSE s.last_sent_at END
    FROM r JOIN locked USING (id)
    WHERE s.workspace_id = :ws AND s.id = r.id
    """
)
_FIND = text(
    "SELECT workspace_id, id, provider, secrets FROM senders WHERE public_id = :public_id AND provider = :provider"
)
_NOTE = text(
    """
    UPDATE senders SET last_at = :now, last_outcome = :outcome
    WHERE workspace_id = :ws AND id = (
        SELECT id FROM senders WHERE workspace_id = :ws AND id = :id
            AND (last_at IS NULL OR last_at < :since OR last_at > :now OR last_outcome IS DISTINCT FROM :outcome)
        FOR NO KEY UPDATE SKIP LOCKED)
    """
)
