"""What a few typed letters may mean: pages, workflows, templates, people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import String, cast, select
from sqlalchemy.orm import Session

from app.contacts.models import display_name
from app.content.models import Template
from app.enrollments.models import Workflow
from app.studio.languages import gettext, in_words
from app.studio.reading import people


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing that was found, and its page."""

    icon: str
    title: str
    about: str
    endpoint: str
    values: Mapping[str, Any]


def find(session: Session, text: str) -> list[tuple[str, Sequence[Hit]]]:
    """Groups of hits; none of them empty. Three queries, none for pages."""
    groups = [(gettext("Pages"), _pages(text))]
    like = f"%{text}%"
    workflows = session.scalars(
        select(Workflow)
        .where(Workflow.name.ilike(like) | cast(Workflow.title, String).ilike(like), Workflow.status != "archived")
        .order_by(Workflow.name)
        .limit(6)
    ).all()
    groups.append(
        (
            gettext("Workflows"),
            [
                Hit("workflows", in_words(one.title, one.name), one.name, "studio.workflow", {"name": one.name})
                for one in workflows
            ],
        )
    )
    if text:
        templates = session.scalars(
            select(Template)
            .where(Template.name.ilike(like) | cast(Template.title, String).ilike(like))
            .order_by(Template.name)
            .limit(5)
        ).all()
        groups.append(
            (
                gettext("Templates"),
                [
                    Hit("templates", in_words(one.title, one.name), one.name, "studio.template", {"name": one.name})
                    for one in templates
                ],
            )
        )
        groups.append(
            (
                gettext("Contacts"),
                [
                    Hit("person", display_name(one), one.email or "", "studio.contact", {"contact_id": one.id})
                    for one in people.found(session, text)
                ],
            )
        )
    return [(title, hits) for title, hits in groups if hits]


def _pages(text: str) -> list[Hit]:
    pages = [
        ("home", gettext("Home"), "studio.home"),
        ("workflows", gettext("Workflows"), "studio.workflows"),
        ("templates", gettext("Templates"), "studio.templates"),
        ("audience", gettext("Contacts"), "studio.contacts"),
        ("people", gettext("Segments"), "studio.segments"),
        ("broadcasts", gettext("Broadcasts"), "studio.broadcasts"),
        ("messages", gettext("Messages"), "studio.messages"),
        ("outbox", gettext("Outbox"), "studio.outbox"),
        ("ledger", gettext("Consent ledger"), "studio.ledger"),
        ("suppressed", gettext("Suppressions"), "studio.suppressions"),
        ("property", gettext("Property settings"), "studio.settings"),
        ("source", gettext("Sources and keys"), "studio.sources"),
    ]
    wanted = text.casefold()
    return [Hit(icon, title, "", endpoint, {}) for icon, title, endpoint in pages if wanted in title.casefold()]
