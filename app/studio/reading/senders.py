"""What Settings, Senders shows; a fixed number of queries each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.contacts.models import Property
from app.db import settings_of
from app.delivery import domains, identities, keys, warm_ups
from app.delivery.dns_ask import Key
from app.delivery.dns_check import CHECKS
from app.delivery.models import DkimKey, SenderDomain, SenderIdentity, TrialAddress, WarmUp
from app.delivery.warm_ups import Day
from app.messages import warming
from app.messages.identities import GRACE, STREAMS, load


@dataclass(frozen=True, slots=True)
class Spoken:
    """Who speaks for a property in a stream when nothing else is set up."""

    property: Property
    stream: str
    email: str
    own: bool
    """Whether it is the property's own sender, for lack of an identity."""


@dataclass(frozen=True, slots=True)
class Senders:
    """The page."""

    identities: Sequence[SenderIdentity]
    properties: Mapping[int, str]
    spoken: Sequence[Spoken]
    domains: Sequence[SenderDomain]
    missing: Sequence[str]
    warming: frozenset[int]
    """Ids of domains that warm up."""
    trials: Sequence[TrialAddress]
    team: Sequence[str]
    asks: bool
    """Whether marketing needs a proven domain here."""
    same: bool
    """Whether one address speaks for marketing and service both."""
    passing: Mapping[int, bool]


def listed(session: Session) -> Senders:
    """All of it; nine queries."""
    kept = identities.listed(session)
    places = session.scalars(select(Property).order_by(Property.is_default.desc(), Property.name)).all()
    senders = load(session)
    spoken = []
    for place in places:
        facts = {
            "code": place.code,
            "sender_name": place.sender_name,
            "sender_email": place.sender_email,
            "reply_to": place.reply_to,
        }
        for stream in STREAMS:
            found = senders.of("marketing" if stream == "marketing" else "transactional", facts)
            spoken.append(Spoken(place, stream, found.email, found.id is None))
    registered = session.scalars(select(SenderDomain).order_by(SenderDomain.name)).all()
    trials = session.scalars(select(TrialAddress).order_by(TrialAddress.email)).all()
    verified = {one.email for one in trials}
    by_property: dict[int, set[str]] = {}
    for one in spoken:
        by_property.setdefault(one.property.id, set()).add(one.email.lower())
    return Senders(
        kept,
        {place.id: place.name for place in places},
        spoken,
        registered,
        domains.missing(session),
        frozenset(senders.ramps),
        trials,
        [one for one in identities.trials(session) if one not in verified],
        senders.asks,
        any(len(addresses) < len(STREAMS) for addresses in by_property.values()),
        {one.id: domains.passes(one.checks) for one in registered},
    )


@dataclass(frozen=True, slots=True)
class DomainPage:
    """One domain."""

    domain: SenderDomain
    checks: Sequence[tuple[str, Mapping[str, Any]]]
    passing: bool
    keys: Sequence[tuple[DkimKey, Key]]
    from_here: Sequence[str]
    """Addresses that mails come from there."""
    asks: bool
    warm_up: WarmUp | None
    days: Sequence[Day]
    plan: Sequence[int]
    waits_from: datetime | None
    """When its marketing waits, should it go on failing."""
    suggested: str | None
    advised: Mapping[str, int]


def domain(session: Session, row: SenderDomain, now: datetime) -> DomainPage:
    """All of one domain; eight queries."""
    setup = domains.setup_of(session, row)
    kept = keys.of_domain(session, row.id)
    running = warm_ups.running(session, row.id)
    checks = row.checks or {name: one.as_json() for name, one in domains.unseen(setup).items()}
    return DomainPage(
        row,
        [(name, checks[name]) for name in CHECKS if name in checks],
        domains.passes(row.checks),
        [(one, keys.published(one)) for one in kept],
        domains.addresses(session, row.name),
        load(session).asks,
        running,
        warm_ups.days(running, now) if running else [],
        warming.plan(),
        row.failing_since + GRACE if row.failing_since else None,
        domains.suggested_spf(settings_of(session).smtp_url),
        {"start": warming.START, "growth": round((warming.GROWTH - 1) * 100), "target": warming.TARGET},
    )
