"""All that is kept of a person, in one file (R50): JSON for machines, a page for reading, the mails as they were sent.

The rows come from the same walk as an erasure's, so what can be erased is what is shown: every column of every table
that tells of the person, not only those somebody thought of. Beside them, what a row alone does not say: the words of
each consent, the mails rendered once more, what was worked out about the person and how, and who else gets the data.
"""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.consent import ledger
from app.consent.policy import Policy
from app.contacts.models import Property
from app.db import settings_of, workspace_of
from app.messages import compose
from app.messages.models import Message
from app.rights import export_page, paper, retention_periods, walk
from app.rights.models import RightsRequest
from app.rights.walk import Place, Whole
from app.sealed import opened

FORMAT = "percorso-personal-data-1"
HIDDEN = frozenset({"workspace_id", "hash", "previous_hash", "address_hash", "lease_token", "lease_until", "token"})
"""Columns that say nothing to a person: our own bookkeeping."""
MOST_MAILS = 500
"""The newest so many mails are rendered once more; of older ones everything but the picture is there."""

QUERIES = 14
"""Besides one for each place of `walk.places`, and up to two for each mail that is rendered."""


@dataclass(frozen=True)
class Export:
    """A person's data."""

    document: Mapping[str, Any]
    html: Mapping[str, str]
    """The same for reading, by language."""
    mails: Mapping[str, str]
    """File name → the mail as it was sent."""

    @property
    def json(self) -> bytes:
        """The document as a file."""
        return paper.plain(self.document)

    def zip(self) -> bytes:
        """Everything in one file."""
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("data.json", self.json)
            for language, page in self.html.items():
                file.writestr(f"data.{language}.html", page)
            for name, mail in self.mails.items():
                file.writestr(name, mail)
        return made.getvalue()


def export(
    session: Session, contact_id: int, now: datetime, *, request: RightsRequest | None = None, rendered: bool = True
) -> Export:
    """All data of a person and of every contact that became part of them; nothing is changed.

    Args:
        request: what it answers: when it was asked for, until when, and how the asker was known.
        rendered: with the mails as they were, and the pages to read; else the document alone.

    Raises:
        walk.NobodyError: there is no such contact.
    """
    person = walk.whole(session, contact_id)
    asked = person.asked(session)
    tables = {place.name: rows for place in walk.places() if (rows := _rows(session, place, asked))}
    for row in tables.get("special_values", ()):
        sealed = str(row.pop("sealed"))
        row["value"] = (opened(settings_of(session), sealed) or "?") if sealed else "null"
    mails, made = _mails(session, person, MOST_MAILS if rendered else 0)
    settings = session.scalar(select(Workspace.settings).where(Workspace.id == workspace_of(session))) or {}
    place = session.scalars(select(Property).order_by(Property.is_default.desc(), Property.id).limit(1)).first()
    document: dict[str, Any] = {
        "format": FORMAT,
        "made_at": now.astimezone(UTC).isoformat(),
        "controller": {
            "name": (place.controller or place.name) if place else None,
            "address": place.address if place else None,
            "email": place.email if place else None,
            "notice": (place.links or {}).get("notice") if place else None,
        },
        "asked": {
            "at": plain(request.asked_at),
            "answer_by": plain(request.answer_by),
            "by": request.by,
            "identity": request.identity,
        }
        if request
        else None,
        "person": {"contact": person.contact_id, "merged": list(person.people[1:]), "erased": person.erased},
        "profile": tables.get("contacts", []),
        "consents": _consents(session, person),
        "messages": mails,
        "inferred": _inferred(session, person, Policy.from_settings(settings)),
        "sources": _sources(session, person),
        "recipients": _recipients(session, person, settings),
        "kept_for": retention_periods.of(settings).as_json(),
        "tables": {name: rows for name, rows in tables.items() if name != "contacts"},
    }
    titles = {row.name: row.title for row in session.execute(_TOPICS, {"ws": workspace_of(session)})}
    languages = paper.LANGUAGES if rendered else ()
    return Export(document, {one: export_page.page(document, titles, one) for one in languages}, made)


def _rows(session: Session, place: Place, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A person's rows of one table, oldest first where they have a number. One query."""
    order = ' ORDER BY t."id"' if "id" in place.table.columns else ""
    names = [column.name for column in place.table.columns if column.name not in HIDDEN]
    chosen = ", ".join(f't."{name}"' for name in names)
    found = session.execute(
        text(f'SELECT {chosen} FROM "{place.name}" t WHERE t.workspace_id = :ws AND {place.where}{order}'), asked
    )
    return [{name: plain(value) for name, value in row._mapping.items() if value is not None} for row in found]


def plain(value: Any) -> Any:
    """A column's value as JSON has it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, Decimal):
        return str(value)
    return value


def _consents(session: Session, person: Whole) -> list[dict[str, Any]]:
    return [
        {
            "line": record.line,
            "address": record.address,
            "channel": record.channel,
            "purpose": record.purpose,
            "topic": record.topic,
            "state": record.state,
            "method": record.method,
            "requested_at": plain(record.requested_at),
            "confirmed_at": plain(record.confirmed_at),
            "wording": record.proof.get("wording"),
            "proof": record.proof,
        }
        for contact_id in person.people
        for record in ledger.history(session, contact_id)
    ]


def _mails(session: Session, person: Whole, most: int) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Every message that went out, and the newest of them as they were."""
    sent = session.scalars(
        select(Message)
        .where(Message.contact_id.in_(person.people), Message.handed_over_at.is_not(None))
        .order_by(Message.id.desc())
    ).all()
    told: list[dict[str, Any]] = []
    rendered: dict[str, str] = {}
    for number, message in enumerate(sent):
        one: dict[str, Any] = {
            "message": message.id,
            "sent_at": plain(message.handed_over_at),
            "channel": message.channel,
            "address": message.address,
            "class": message.class_,
            "topic": message.topic,
            "template": message.template,
            "subject": message.subject,
            "basis": message.basis,
            "consent_line": message.ledger_line,
            "delivered_at": plain(message.delivered_at),
            "clicked_at": plain(message.clicked_at),
            "text": None,
            "file": None,
        }
        if number < most:
            # Its content may have been removed: it was older than mails are kept for.
            with contextlib.suppress(LookupError):
                mail = compose.again(session, message)
                one |= {"text": mail.text, "file": f"messages/{message.id}.html"}
                rendered[one["file"]] = mail.html
        told.append(one)
    return told, rendered


def _inferred(session: Session, person: Whole, policy: Policy) -> list[dict[str, Any]]:
    """What was worked out about the person, and by what logic (GDPR 15(1)(h))."""
    found: list[dict[str, Any]] = [
        {
            "what": "segment",
            "value": row.name,
            "title": row.title,
            "since": plain(row.since),
            "logic": row.source,
        }
        for row in session.execute(_SEGMENTS, {"ws": workspace_of(session), "people": list(person.people)})
    ]
    if policy.holdout_percent:
        found.append(
            {
                "what": "control_group",
                "value": policy.keeps_out(person.contact_id) is not None,
                "logic": f"drawn by chance: {policy.holdout_percent} of 100 people get no marketing, to measure it",
            }
        )
    worked_out = session.execute(_WORKED_OUT, {"ws": workspace_of(session), "people": list(person.people)})
    found += [
        {
            "what": "attribute",
            "value": row.value,
            "name": row.key,
            "logic": "worked out from what the person did; marketing rests on it only with a consent to profiling",
        }
        for row in worked_out
    ]
    drawn = session.execute(_DRAWN, {"ws": workspace_of(session), "people": list(person.people)})
    logic = "drawn by chance, to compare ways of writing"
    found += [{"what": "variant", "value": row.variants, "workflow": row.name, "logic": logic} for row in drawn]
    return found


def _sources(session: Session, person: Whole) -> list[dict[str, Any]]:
    """Where the data comes from (GDPR 15(1)(g)): systems, lists, the house itself."""
    asked = {"ws": workspace_of(session), "people": list(person.people)}
    return [
        {"who": row.who, "list": row.list, "count": row.count, "last": plain(row.last)}
        for row in session.execute(_TOLD_BY, asked)
    ]


def _recipients(session: Session, person: Whole, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Who else gets the data: those the workspace names (`processors`), and those it was really handed to."""
    named = [
        {"who": str(one.get("name", one)) if isinstance(one, Mapping) else str(one),
         "for": str(one.get("for", "")) if isinstance(one, Mapping) else ""}
        for one in settings.get("processors") or []
    ]  # fmt: skip
    asked = {"ws": workspace_of(session), "people": list(person.people)}
    told = [{"who": row.who, "for": row.what} for row in session.execute(_HANDED, asked)]
    return named + told


def summary(document: Mapping[str, Any]) -> Sequence[tuple[str, int]]:
    """(section, how many rows), for a page that shows what an export would hold."""
    sections = [(name, len(document[name])) for name in ("consents", "messages", "inferred", "recipients")]
    return [*sections, *((name, len(rows)) for name, rows in document["tables"].items())]


_TOPICS = text("SELECT name, title FROM topics WHERE workspace_id = :ws")
_SEGMENTS = text(
    """
    SELECT s.name, s.title, s.source, m.since FROM segment_members m
    JOIN segments s ON s.workspace_id = m.workspace_id AND s.id = m.segment_id
    WHERE m.workspace_id = :ws AND m.contact_id = ANY(:people) ORDER BY s.name
    """
)
_WORKED_OUT = text(
    """
    SELECT a.key, c.attributes -> a.key AS value FROM contacts c
    JOIN attribute_definitions a ON a.workspace_id = c.workspace_id AND a.inferred AND c.attributes ? a.key
    WHERE c.workspace_id = :ws AND c.id = ANY(:people) ORDER BY a.key
    """
)
_TOLD_BY = text(
    """
    SELECT coalesce(s.name, e.data ->> 'file') AS who, e.type = 'contact.imported' AS list, count(*) AS count,
           max(e.received_at) AS last
    FROM events e LEFT JOIN sources s ON s.workspace_id = e.workspace_id AND s.id = e.source_id
    WHERE e.workspace_id = :ws AND e.contact_id = ANY(:people) GROUP BY 1, 2 ORDER BY 2, 1
    """
)
_DRAWN = text(
    """
    SELECT w.name, e.state -> 'variants' AS variants FROM enrollments e
    JOIN workflows w ON w.workspace_id = e.workspace_id AND w.id = e.workflow_id
    WHERE e.workspace_id = :ws AND e.contact_id = ANY(:people)
      AND coalesce(e.state -> 'variants', '{}') <> '{}' ORDER BY e.id
    """
)
_HANDED = text(
    """
    SELECT DISTINCT a.transport AS who, 'delivery of messages' AS what FROM attempts a
    WHERE a.workspace_id = :ws AND a.contact_id = ANY(:people)
    UNION
    SELECT c.endpoint || coalesce(' (' || substring(e.url FROM '^[a-z]+://([^/]+)') || ')', ''),
           CASE WHEN c.shares OR e.shares THEN 'purposes of their own' ELSE 'data calls' END
    FROM calls c LEFT JOIN call_endpoints e ON e.workspace_id = c.workspace_id AND e.name = c.endpoint
    WHERE c.workspace_id = :ws AND c.contact_id = ANY(:people)
    ORDER BY 1
    """
)
