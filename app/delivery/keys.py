"""DKIM keys that are kept in the database, from making one to withdrawing it. Their private halves are sealed.

    new        made; its record is to be published. It signs nothing: nobody could check it
    active     its record was seen in DNS, and it signs
    retiring   a newer key has taken over; its record stays for the mails on their way
    withdrawn  all of these have arrived or been given up, or somebody else has the key; its record may go

DNS moves a key from one phase to the next (`domains.check`); a person only makes a new one and copies the record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.db import remembered, settings_of, workspace_of
from app.delivery.dkim import PrivateKey, Signer
from app.delivery.dns_ask import Key
from app.delivery.models import DkimKey, SenderDomain
from app.sealed import opened, seal

QUERIES = 1

BITS = 2048
"""Of a new RSA key: what R30 advises, and the most that fits the DNS of every provider."""

MAIL_LIFE = timedelta(days=7)
"""How long a mail may be on its way and its signature still be looked at: our own tries end after 3 days (R39), those
of servers between commonly after 5."""

Algorithm = str
ALGORITHMS = ("rsa-sha256", "ed25519-sha256")


class KeyExistsError(ValueError):
    """A key of that kind waits to be published already: a second one would only confuse."""


def make(session: Session, domain: SenderDomain, now: datetime, algorithm: Algorithm = "rsa-sha256") -> DkimKey:
    """A new key of a domain, to be published; the one that signs goes on signing until it is seen in DNS.

    Raises KeyExistsError where a new one of that kind waits already.
    """
    theirs = session.scalars(select(DkimKey).where(DkimKey.domain_id == domain.id)).all()
    if any(one.phase == "new" and one.algorithm == algorithm for one in theirs):
        raise KeyExistsError(algorithm)
    key: PrivateKey = ed25519.Ed25519PrivateKey.generate()
    if algorithm == "rsa-sha256":
        key = rsa.generate_private_key(65537, BITS)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    selector = _selector(now, algorithm, {one.selector for one in theirs})
    made = DkimKey(
        workspace_id=workspace_of(session),
        domain_id=domain.id,
        selector=selector,
        algorithm=algorithm,
        bits=BITS if algorithm == "rsa-sha256" else 256,
        public=Signer(domain.name, selector, key).public,
        sealed=seal(settings_of(session), pem),
        phase="new",
        created_at=now,
    )
    session.add(made)
    session.flush()  # its number is asked for
    return made


def compromised(session: Session, domain: SenderDomain, key: DkimKey, now: datetime) -> DkimKey:
    """Somebody else has this key: it signs nothing from this moment on. Gives the one that takes over, to be published.

    Unlike a key that retires it has no week of grace: its record is to go out of DNS at once, and mails on their way
    lose their signature with it. Another key of the domain that is active goes on signing meanwhile.
    """
    if key.phase == "active":
        key.used_until = now
    key.phase, key.withdrawn_at, key.lost_at = "withdrawn", now, None
    domain.next_check_at = now
    session.flush()  # what waits to be published is asked for next
    waiting = [one for one in of_domain(session, domain.id) if one.phase == "new" and one.algorithm == key.algorithm]
    return waiting[0] if waiting else make(session, domain, now, key.algorithm)


def _selector(now: datetime, algorithm: Algorithm, taken: set[str]) -> str:
    """Its month, as people who look after many keys have it; a number after it where a month has several."""
    start = f"p{now:%Y%m}" + ("e" if algorithm.startswith("ed") else "")
    return next(
        name for number in range(1, 1000) if (name := start if number == 1 else f"{start}-{number}") not in taken
    )


def of_domain(session: Session, domain_id: int) -> Sequence[DkimKey]:
    """All keys of a domain, the newest first. One query."""
    return session.scalars(select(DkimKey).where(DkimKey.domain_id == domain_id).order_by(DkimKey.id.desc())).all()


def published(key: DkimKey) -> Key:
    """A key as its record must show it."""
    return Key(key.selector, key.public, key.algorithm)


def signers(session: Session) -> Mapping[str, Sequence[Signer]]:
    """Domain → who signs its mails: keys that are active. One query; a key is opened once in a process."""
    known = remembered(session, "dkim keys", 500)
    settings = settings_of(session)
    found: dict[str, list[Signer]] = {}
    for row in session.execute(_SIGNING, {"ws": workspace_of(session)}):
        signer = known.get(row.id)
        if signer is None:
            pem = opened(settings, row.sealed)
            key = serialization.load_pem_private_key(pem.encode(), None) if pem is not None else None
            if not isinstance(key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
                continue  # sealed under a PERCORSO_SECRET that is no longer known; the domain's page says so
            signer = known[row.id] = Signer(row.name, row.selector, key)
        found.setdefault(row.name, []).append(signer)
    return found


def move(session: Session, domain_id: int, seen: Mapping[str, bool | None], now: datetime) -> list[DkimKey]:
    """Move a domain's keys on by what DNS showed: those whose phase changed, or whose record got lost or came back.

    Args:
        seen: selector → whether its record shows the key; None: nobody answered.
    """
    keys, changed = list(of_domain(session, domain_id)), []
    for key in keys:
        shown = seen.get(key.selector)
        before = (key.phase, key.lost_at)
        if key.phase == "new" and shown:
            key.seen_at = key.used_from = now
            key.phase = "active"
            for older in keys:
                if older is not key and older.phase == "active" and older.algorithm == key.algorithm:
                    older.phase, older.used_until, older.lost_at = "retiring", now, None
                    changed.append(older)
        elif key.phase == "active" and shown is not None:
            # Once seen it goes on signing: a signature that nobody can check does no more harm than none.
            key.lost_at = None if shown else key.lost_at or now
        elif key.phase == "retiring" and key.used_until is not None and now >= key.used_until + MAIL_LIFE:
            key.phase, key.withdrawn_at = "withdrawn", now
        if (key.phase, key.lost_at) != before and key not in changed:
            changed.append(key)
    return changed


_SIGNING = text(
    """
    SELECT k.id, d.name, k.selector, k.sealed
    FROM dkim_keys k JOIN sender_domains d ON d.workspace_id = k.workspace_id AND d.id = k.domain_id
    WHERE k.workspace_id = :ws AND k.phase = 'active'
    ORDER BY k.algorithm DESC, k.id
    """
)
