"""Who a mail comes from: sender identities by stream and property, their domains, and what a new domain may send today.

Marketing and service mails come from different addresses, better still from different subdomains (R30): what readers
complain of in the one stream must not cost the other its good name. A message's identity follows from its class and its
property; where there is none that may be used, the property's own sender speaks, as it always did. A step may name the
address of another; where that one may not speak for the message, the usual one does, and the mail goes out anyway.

One query brings all of it for a batch. Identities, domains and warm-ups are written by delivery.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.consent.case import Held
from app.db import settings_of, workspace_of
from app.messages.warming import Ramp

QUERIES = 1

STREAMS = ("marketing", "service")

GRACE = timedelta(hours=72)
"""How long a domain in use may fail its checks before its marketing waits: a slip of an hour in DNS stops nothing."""

LOOK_AGAIN = timedelta(hours=1)
"""How soon a message of a domain that is not proven is judged again; proving it wakes them at once."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A name and an address that mails come from."""

    id: int | None
    """None: the property's own sender."""
    name: str
    email: str
    reply_to: str | None
    names: Mapping[str, str] = field(default_factory=dict)
    """Language → the name in it, where it differs."""

    def in_language(self, language: str) -> str:
        """The name that readers of a language see."""
        return self.names.get(language) or self.name

    @property
    def domain(self) -> str:
        """What stands after the @, lower case."""
        return self.email.rpartition("@")[2].lower()


@dataclass(frozen=True, slots=True)
class Domain:
    """A sender domain, as far as judging needs it."""

    id: int
    name: str
    marketing: bool
    """Somebody may use it for marketing: its checks passed, it was in use before, or a person answers for it."""
    failing_since: datetime | None

    def stands(self, now: datetime) -> bool:
        """Whether marketing may come from it now."""
        return self.marketing and (self.failing_since is None or now - self.failing_since < GRACE)


@dataclass(frozen=True, slots=True)
class Senders:
    """All that a workspace sends as."""

    identities: Mapping[tuple[str, str | None], Identity] = field(default_factory=dict)
    """(stream, code of the property; None: any) → the first that may be used."""
    named: Mapping[tuple[str, str, str | None], Identity] = field(default_factory=dict)
    """(address, stream, code of the property; None: any) → the same, for steps that name one."""
    unverified: frozenset[str] = frozenset()
    """Addresses of identities that nothing goes out as yet."""
    domains: Mapping[str, Domain] = field(default_factory=dict)
    ramps: Mapping[int, Ramp] = field(default_factory=dict)
    """Id of a domain → its warm-up, where one runs."""
    asks: bool = False
    """Whether marketing needs a proven domain here (R30): not while everything stays in the house."""

    def of(self, class_: str, place: Mapping[str, Any], wanted: str | None = None) -> Identity:
        """Who a message of this class comes from, given the facts of its property.

        Args:
            wanted: the address that its step names; the usual one speaks where that may not (`unfit`).
        """
        stream = stream_of(class_)
        chosen = self._named(stream, place, wanted) if wanted else None
        found = chosen or self.identities.get((stream, place.get("code"))) or self.identities.get((stream, None))
        return found or of_property(place)

    def unfit(self, class_: str, place: Mapping[str, Any], wanted: str) -> str | None:
        """Why the sender that a step names may not speak for a message; None where it may.

        stream (it is for the other one: R30), property (it is another's: R24), unverified, or unknown (gone since).
        """
        stream = stream_of(class_)
        if self._named(stream, place, wanted) is not None:
            return None
        streams = {its for address, its, _ in self.named if address == wanted}
        if streams:
            return "property" if stream in streams else "stream"
        return "unverified" if wanted in self.unverified else "unknown"

    def _named(self, stream: str, place: Mapping[str, Any], wanted: str) -> Identity | None:
        return self.named.get((wanted, stream, place.get("code"))) or self.named.get((wanted, stream, None))

    def domain(self, name: str) -> Domain | None:
        """The registered domain that a name is, or lies under."""
        while "." in name:
            if name in self.domains:
                return self.domains[name]
            name = name.partition(".")[2]
        return None

    def held(self, class_: str, identity: Identity, now: datetime) -> Held | None:
        """Why mail of this class may not come from there yet (R30); None where it may."""
        if not self.asks or class_ != "marketing":
            return None
        domain = self.domain(identity.domain)
        if domain is not None and domain.stands(now):
            return None
        known = "unknown" if domain is None else "failing" if domain.marketing else "not_activated"
        return Held("domain_unproven", "R30", {"domain": identity.domain, "state": known}, now + LOOK_AGAIN)


def stream_of(class_: str) -> str:
    """marketing, or service: everything else."""
    return "marketing" if class_ == "marketing" else "service"


def of_property(place: Mapping[str, Any]) -> Identity:
    """The property's own sender."""
    return Identity(None, place.get("sender_name") or "", place.get("sender_email") or "", place.get("reply_to"))


def load(session: Session) -> Senders:
    """Everything for this workspace; one query."""
    settings = settings_of(session)
    row = session.execute(_LOAD, {"ws": workspace_of(session)}).one()
    identities: dict[tuple[str, str | None], Identity] = {}
    named: dict[tuple[str, str, str | None], Identity] = {}
    unverified = set()
    for one in row.identities or ():
        chosen = Identity(one["id"], one["name"], one["email"], one["reply_to"], one["names"])
        if not one["verified"]:
            unverified.add(chosen.email.lower())
            continue
        identities.setdefault((one["stream"], one["property"]), chosen)
        named.setdefault((chosen.email.lower(), one["stream"], one["property"]), chosen)
    domains, ramps = {}, {}
    for one in row.domains or ():
        failing = datetime.fromisoformat(one["failing_since"]) if one["failing_since"] else None
        domains[one["name"]] = Domain(one["id"], one["name"], one["marketing"], failing)
    for one in row.ramps or ():
        ramps[one["domain_id"]] = Ramp.read(one)
    asks = not settings.demo and (row.by_provider or not settings.smtp_url.startswith("capture:"))
    return Senders(identities, named, frozenset(unverified), domains, ramps, asks)


def addresses(session: Session) -> list[str]:
    """The addresses that a step may name as its sender, in small letters, verified or not yet; one query."""
    return list(session.scalars(_ADDRESSES, {"ws": workspace_of(session)}))


def wake(session: Session, now: datetime, reasons: Sequence[str]) -> int:
    """Have what was put off for these reasons judged again now; how many. One query."""
    given = {"ws": workspace_of(session), "now": now, "reasons": list(reasons)}
    return len(session.execute(_WAKE, given).all())


_LOAD = text(
    """
    SELECT
        EXISTS (SELECT 1 FROM senders s WHERE s.workspace_id = :ws AND s.active AND s.streams <> '{}') AS by_provider,
        (SELECT json_agg(json_build_object('id', i.id, 'name', i.name, 'names', i.names, 'email', i.email,
                'reply_to', i.reply_to, 'stream', i.stream, 'property', p.code,
                'verified', i.verified_at IS NOT NULL) ORDER BY i.position, i.id)
         FROM sender_identities i LEFT JOIN properties p ON p.workspace_id = i.workspace_id AND p.id = i.property_id
         WHERE i.workspace_id = :ws AND i.active) AS identities,
        (SELECT json_agg(json_build_object('id', d.id, 'name', d.name, 'marketing', d.marketing_at IS NOT NULL,
                'failing_since', d.failing_since))
         FROM sender_domains d WHERE d.workspace_id = :ws) AS domains,
        (SELECT json_agg(json_build_object('id', r.id, 'domain_id', r.domain_id, 'zone', r.zone, 'plan', r.plan,
                'started_on', r.started_on, 'service', r.service, 'skipped', r.skipped, 'paused_at', r.paused_at,
                'sent', r.sent, 'booked', r.booked))
         FROM warm_ups r WHERE r.workspace_id = :ws AND r.ended_at IS NULL) AS ramps
    """
)
_ADDRESSES = text("SELECT DISTINCT lower(email) FROM sender_identities WHERE workspace_id = :ws AND active ORDER BY 1")
_WAKE = text(
    """
    UPDATE messages SET due_at = :now
    WHERE workspace_id = :ws AND state = 'deferred' AND reason = ANY(:reasons) AND due_at > :now
      AND due_at < '9000-01-01'
    RETURNING id
    """
)
