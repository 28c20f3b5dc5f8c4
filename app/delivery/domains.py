"""Sender domains: registered, looked at in DNS every day, used for marketing once their checks pass (R30).

    look      no transaction: asks DNS
    note      what came of it is kept, keys move on, identities of a proven domain are verified

A name server in trouble proves nothing: what was known before stays, with since when it is in doubt. And a domain that
fails in earnest has `identities.GRACE` before its marketing waits; service mails never wait for DNS.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import structlog
from email_validator import EmailNotValidError, validate_email
from sqlalchemy import or_, select, text
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.config import Settings
from app.contacts.models import Property
from app.db import settings_of, workspace_of
from app.delivery import dns_check, keys, senders, spf
from app.delivery.dkim import Keyring
from app.delivery.dns_ask import Dns, Key, Result, Setup, Unanswered
from app.delivery.models import DkimKey, SenderDomain, SenderIdentity
from app.delivery.providers.smtp import Server
from app.delivery.ways import STREAMS, Way
from app.house import House
from app.messages import identities
from app.messages.identities import GRACE
from app.queues import signal

log = structlog.get_logger()

DAILY, SOON = timedelta(hours=24), timedelta(hours=1)
"""How often a domain is looked at; the shorter while something is amiss or a key waits to be seen."""

RESERVED = ("example", "test", "invalid", "localhost", "example.com", "example.net", "example.org")
"""Names that are in nobody's DNS (RFC 2606): looked at only where a person asks, or a name server is set."""

SPF_OF: Mapping[str, str] = {
    "amazonaws.com": "include:amazonses.com",
    "sendgrid.net": "include:sendgrid.net",
    "mailgun.org": "include:mailgun.org",
    "postmarkapp.com": "include:spf.mtasv.net",
    "brevo.com": "include:spf.brevo.com",
    "mailjet.com": "include:spf.mailjet.com",
    "sparkpostmail.com": "include:sparkpostmail.com",
    "google.com": "include:_spf.google.com",
    "gmail.com": "include:_spf.google.com",
    "office365.com": "include:spf.protection.outlook.com",
    "aruba.it": "include:_spf.aruba.it",
    "register.it": "include:spf.register.it",
}
"""Where SMTP_URL leads → what such a provider asks to be put into SPF. A suggestion: the provider knows better."""


class DomainError(ValueError):
    """A domain cannot be registered or used as asked; `code` says why."""

    def __init__(self, code: str, domain: str) -> None:
        super().__init__(f"{code}: {domain}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look at a domain came to."""

    name: str
    results: Mapping[str, Result]
    passing: bool
    """By what is known, which is more than this look where a name server did not answer."""


def clean(typed: str) -> str:
    """A domain as it is kept: lower case, ASCII, no dot at its end. Raises DomainError `no_domain`."""
    name = typed.strip().lower().rpartition("@")[2].rstrip(".")
    try:
        checked = validate_email("a@" + name, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise DomainError("no_domain", typed[:80]) from error
    if "." not in checked.ascii_domain:
        raise DomainError("no_domain", typed[:80])
    return checked.ascii_domain.lower()


def add(session: Session, typed: str, now: datetime) -> SenderDomain:
    """Register a domain, with a first DKIM key to be published. Raises DomainError `no_domain` or `known`."""
    name = clean(typed)
    if session.scalar(select(SenderDomain.id).where(SenderDomain.name == name)) is not None:
        raise DomainError("known", name)
    made = SenderDomain(
        workspace_id=workspace_of(session),
        name=name,
        spf=suggested_spf(settings_of(session).smtp_url),
        created_at=now,
        next_check_at=now,
    )
    session.add(made)
    session.flush()  # its key hangs on its number
    keys.make(session, made, now)
    return made


def missing(session: Session) -> list[str]:
    """Domains that mails come from and nobody has registered. Three queries."""
    known = set(session.scalars(select(SenderDomain.name)))
    used = [*session.scalars(select(Property.sender_email)), *session.scalars(select(SenderIdentity.email))]
    names = dict.fromkeys(one.rpartition("@")[2].lower() for one in used if "@" in one)
    return [name for name in names if not any(covers(one, name) for one in known)]


def in_trouble(session: Session) -> Sequence[SenderDomain]:
    """Domains in use that fail their checks, or sign with a key whose record is not seen any more. One query."""
    lost = select(DkimKey.domain_id).where(DkimKey.phase == "active", DkimKey.lost_at.is_not(None))
    failing = or_(SenderDomain.failing_since.is_not(None), SenderDomain.id.in_(lost))
    return session.scalars(select(SenderDomain).where(failing).order_by(SenderDomain.name)).all()


def addresses(session: Session, name: str) -> list[str]:
    """Addresses that mails come from under a domain. Two queries."""
    used = [*session.scalars(select(Property.sender_email)), *session.scalars(select(SenderIdentity.email))]
    return sorted({one.lower() for one in used if covers(name, one.rpartition("@")[2].lower())})


def remove(session: Session, domain: SenderDomain) -> bool:
    """Take a domain away with its keys and warm-ups, unless mails come from it. Whether it is gone."""
    if addresses(session, domain.name):
        return False
    given = {"ws": workspace_of(session), "id": domain.id}
    session.execute(text("DELETE FROM dkim_keys WHERE workspace_id = :ws AND domain_id = :id"), given)
    session.execute(text("DELETE FROM warm_ups WHERE workspace_id = :ws AND domain_id = :id"), given)
    session.delete(domain)
    return True


def covers(registered: str, name: str) -> bool:
    """Whether a name is a registered domain or lies under it."""
    return name == registered or name.endswith(f".{registered}")


def unseen(setup: Setup) -> Mapping[str, Result]:
    """What a page shows of a domain that nobody has looked at: the records to put in."""
    return {
        name: Result("unknown", "not_looked", (), dns_check.wanted(name, setup)) for name in ("spf", "dkim", "dmarc")
    }


def suggested_spf(smtp_url: str) -> str | None:
    """The SPF mechanism of a well-known provider behind SMTP_URL; None where it is not one of them."""
    if smtp_url.startswith("capture:"):
        return None
    host = Server.parse(smtp_url).host
    return next((term for name, term in SPF_OF.items() if host == name or host.endswith(f".{name}")), None)


def setup_of(session: Session, domain: SenderDomain) -> Setup:
    """What the domain is to be checked against. Three queries, one of them for the ways out."""
    kept = session.scalar(select(Workspace.settings).where(Workspace.id == workspace_of(session))) or {}
    bounce = str(kept.get("bounce_inbox") or "").rpartition("@")[2].lower()
    theirs = [one for one in keys.of_domain(session, domain.id) if one.phase in {"new", "active"}]
    settings = settings_of(session)
    shown = [keys.published(one) for one in sorted(theirs, key=lambda one: (one.phase != "active", one.id))]
    if not any(one.phase == "active" for one in theirs):
        files = Keyring(settings.data_dir).refresh().signers(domain.name)
        shown += [Key(one.selector, one.public, one.algorithm) for one in files if one.domain == domain.name]
    shown = [Key(one, "") for one in domain.selectors] + shown
    return Setup(
        domain=domain.name,
        spf=domain.spf,
        keys=shown,
        bounce_domain=bounce or domain.name,
        tls=_tls(settings, senders.ways(session)),
    )


def _tls(settings: Settings, known: Sequence[Way]) -> Literal["required", "offered", "none", "local"]:
    """How mails leave, by the worst of the ways that are in use; providers' APIs are spoken to over HTTPS alone."""
    urls = [way.access.credentials["url"] for way in known if way.provider == "smtp" and way.access is not None]
    if not all(any(stream in way.streams for way in known) for stream in STREAMS):
        urls.append(settings.smtp_url)
    kinds = {Server.parse(url).tls for url in urls if not url.startswith("capture:")}
    if not kinds:
        return "required" if known else "local"
    if kinds <= {"implicit", "starttls"}:
        return "required"
    return "offered" if kinds <= {"implicit", "starttls", "auto"} else "none"


def check(house: House, workspace_id: int, domain_id: int) -> Looked | None:
    """Look at one domain now and keep what came of it; None where there is no such domain (any more)."""
    with house.database.work(workspace_id) as session:
        domain = session.scalar(select(SenderDomain).where(SenderDomain.id == domain_id))
        if domain is None:
            return None
        setup = setup_of(session, domain)
    try:
        ask = Dns(house.settings.resolver)
        results = dns_check.look(setup, ask)
        seen = {key.selector: _seen(setup.domain, key, ask) for key in setup.keys}
    except Unanswered as error:
        results = {name: Result("unknown", "no_answer", (str(error),)) for name in dns_check.CHECKS}
        seen = {}
    with house.database.work(workspace_id) as session:
        domain = session.scalar(select(SenderDomain).where(SenderDomain.id == domain_id).with_for_update())
        if domain is None:
            return None
        passing = note(session, domain, results, seen, house.clock.now())
        return Looked(domain.name, results, passing)


def _seen(name: str, key: Any, ask: Dns) -> bool | None:
    try:
        return dns_check.dkim_key(name, key, ask).verdict in {"pass", "warn"}
    except Unanswered:
        return None


def note(
    session: Session,
    domain: SenderDomain,
    results: Mapping[str, Result],
    seen: Mapping[str, bool | None],
    now: datetime,
) -> bool:
    """Keep what a look came to: checks, phases of keys, who is verified by it. Whether the domain passes."""
    domain.checks = {name: _merged(domain.checks.get(name), result, now) for name, result in results.items()}
    domain.checked_at = now
    for key in keys.move(session, domain.id, seen, now):
        log.info("dkim_key_moved", domain=domain.name, selector=key.selector, phase=key.phase, lost=bool(key.lost_at))
    passing = passes(domain.checks)
    if passing:
        domain.failing_since = None
        if domain.marketing_how == "in_use":
            domain.marketing_how = "checks"  # from here on it is held to them
        _verify(session, domain, now)
    elif domain.marketing_at is not None and domain.marketing_how == "checks" and domain.failing_since is None:
        domain.failing_since = now
        log.warning(
            "sender_domain_failing",
            domain=domain.name,
            checks=_failing(domain.checks),
            marketing_waits_at=str(now + GRACE),
        )
    waits = any(one.phase == "new" for one in keys.of_domain(session, domain.id))
    doubt = any(one.get("doubt_since") for one in domain.checks.values())
    by_itself = not reserved(domain.name) or settings_of(session).resolver
    domain.next_check_at = now + (DAILY if passing and not waits and not doubt else SOON) if by_itself else None
    return passing


def _merged(before: Mapping[str, Any] | None, result: Result, now: datetime) -> dict[str, Any]:
    """A check as it is kept: an answer replaces what was known; no answer leaves it, for `GRACE` at most."""
    at = now.isoformat()
    if result.verdict == "unknown" and before is not None and before["verdict"] != "unknown":
        doubt = before.get("doubt_since") or at
        if now - datetime.fromisoformat(doubt) < GRACE:
            return {**before, "doubt_since": doubt, "doubt": list(result.found), "tried_at": at}
    same = before is not None and (before["verdict"], before["code"]) == (result.verdict, result.code)
    return {**result.as_json(), "at": at, "since": before["since"] if before is not None and same else at}


def passes(checks: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether what is known of a domain is enough for marketing (R30)."""
    return bool(checks) and not _failing(checks)


def _failing(checks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return dns_check.failing({name: str(one.get("verdict")) for name, one in checks.items()})


def _verify(session: Session, domain: SenderDomain, now: datetime) -> None:
    """Who put our keys into the domain's DNS answers for its addresses."""
    session.execute(_VERIFY, {"ws": workspace_of(session), "name": domain.name, "now": now})


def activate(session: Session, domain: SenderDomain, by: str, now: datetime, insist: str = "") -> None:
    """Let marketing come from the domain, and wake what waited for it.

    Args:
        by: who says so.
        insist: why it may although its checks do not pass; kept with the domain and shown.

    Raises DomainError `not_passing`.
    """
    passing = passes(domain.checks)
    if not passing and not insist.strip():
        raise DomainError("not_passing", domain.name)
    domain.marketing_at, domain.marketing_by, domain.failing_since = now, by, None
    domain.marketing_how = "checks" if passing else "insisted"
    domain.marketing_note = None if passing else insist.strip()[:300]
    session.flush()  # what wakes is judged by what the row now says
    if identities.wake(session, now, ["domain_unproven"]):
        signal(session, "gate")


def withhold(domain: SenderDomain) -> None:
    """Let no marketing come from the domain any more; what waits goes on waiting."""
    domain.marketing_at = domain.marketing_how = domain.marketing_by = domain.marketing_note = None
    domain.failing_since = None


def set_way_out(domain: SenderDomain, typed: str, selectors: str, now: datetime) -> None:
    """Say by which way mails leave, and under which selectors the provider signs for the domain by itself.

    Raises ValueError for what is no SPF mechanism, or no selector.
    """
    named = selectors.lower().replace(",", " ").split()
    if not all(re.fullmatch(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9-]{1,63})*", one) for one in named):
        raise ValueError(selectors)
    domain.spf = spf.term(typed) if typed.strip() else None
    domain.selectors = named[:8]
    domain.next_check_at = now


def reserved(name: str) -> bool:
    """Whether a name can be in nobody's DNS."""
    return any(covers(one, name) for one in RESERVED)


def due(session: Session, now: datetime, limit: int = 50) -> Sequence[tuple[int, int]]:
    """(workspace, domain) whose turn it is, in all workspaces. One query."""
    rows = session.execute(_DUE, {"now": now, "limit": limit})
    return [(row.workspace_id, row.id) for row in rows]


def run(house: House) -> int:
    """Look at every domain whose turn it is; how many were. What cannot be in DNS is left to who asks."""
    looked = 0
    with house.database.system() as session:
        waiting = due(session, house.clock.now())
    for workspace_id, domain_id in waiting:
        with house.database.work(workspace_id) as session:
            domain = session.scalar(select(SenderDomain).where(SenderDomain.id == domain_id))
            if domain is None or (reserved(domain.name) and not house.settings.resolver):
                if domain is not None:
                    domain.next_check_at = None
                continue
        looked += check(house, workspace_id, domain_id) is not None
    return looked


_VERIFY = text(
    """
    UPDATE sender_identities SET verified_at = :now, verified_how = 'domain'
    WHERE workspace_id = :ws AND verified_at IS NULL
      AND (lower(split_part(email, '@', 2)) = :name OR lower(split_part(email, '@', 2)) LIKE '%.' || :name)
    """
)
_DUE = text(
    """
    SELECT workspace_id, id FROM sender_domains
    WHERE next_check_at IS NOT NULL AND next_check_at <= :now ORDER BY next_check_at LIMIT :limit
    """
)
