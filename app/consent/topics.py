"""What people can subscribe to: made, put in order, said in both languages; archived, never deleted.

The ledger goes on naming a topic for ever, so its name never changes and never comes to mean something else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.consent.case import SOLD
from app.consent.fold import PURPOSES
from app.consent.models import Topic
from app.db import workspace_of

LANGUAGES = ("en", "it")
ABOUT = tuple(SOLD.values())
"""What a topic may say it speaks of, for the similar products of R8."""
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST = {"name": 60, "title": 80, "description": 300}


class TopicRefusedError(ValueError):
    """It cannot be kept as given. `where` names the field (name, title_it, description_en, about), `why` the code:
    shape, taken, reserved, missing, long or unknown."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.where = where
        self.why = why


@dataclass(frozen=True, slots=True)
class Wish:
    """What a topic says."""

    title: Mapping[str, str]
    description: Mapping[str, str]
    about: Sequence[str] = ()


def listed(session: Session, *, archived: bool = False) -> Sequence[Topic]:
    """Those that are offered, in their order; or those that are no longer. One query."""
    chosen = Topic.archived_at.is_not(None) if archived else Topic.archived_at.is_(None)
    return session.scalars(select(Topic).where(chosen).order_by(Topic.position, Topic.name)).all()


def named(session: Session, name: str) -> Topic | None:
    """A topic, locked; None where there is none of that name."""
    return session.scalar(select(Topic).where(Topic.name == name).with_for_update())


def create(session: Session, name: str, wish: Wish, now: datetime) -> Topic:
    """Offer a new topic, after all others.

    Raises TopicRefusedError: the name has another shape, is taken (an archived one keeps it) or is that of a purpose,
    or the words will not do.
    """
    if not _NAME.fullmatch(name) or len(name) > _LONGEST["name"]:
        raise TopicRefusedError("name", "shape")
    if name in PURPOSES:  # `consent.profiling` is the purpose
        raise TopicRefusedError("name", "reserved")
    if named(session, name) is not None:
        raise TopicRefusedError("name", "taken")
    last = session.scalar(select(func.max(Topic.position)))
    topic = Topic(
        workspace_id=workspace_of(session), name=name, position=0 if last is None else last + 1, created_at=now
    )
    edit(topic, wish)
    session.add(topic)
    return topic


def edit(topic: Topic, wish: Wish) -> None:
    """Say it in other words. What people agreed to stands in the ledger in the words they saw.

    Raises TopicRefusedError: a title is missing, a text too long, or `about` unknown.
    """
    for language in LANGUAGES:
        for what, texts in (("title", wish.title), ("description", wish.description)):
            given = (texts.get(language) or "").strip()
            if what == "title" and not given:
                raise TopicRefusedError(f"title_{language}", "missing")
            if len(given) > _LONGEST[what]:
                raise TopicRefusedError(f"{what}_{language}", "long")
    if not set(wish.about) <= set(ABOUT):
        raise TopicRefusedError("about", "unknown")
    topic.title = {language: wish.title[language].strip() for language in LANGUAGES}
    topic.description = {language: (wish.description.get(language) or "").strip() for language in LANGUAGES}
    topic.about = [one for one in ABOUT if one in wish.about]


def move(session: Session, name: str, by: int) -> bool:
    """Change places with the one before (-1) or after (+1); False where there is none. Two queries."""
    topics = list(listed(session))
    place = next((number for number, one in enumerate(topics) if one.name == name), None)
    if place is None or not 0 <= place + by < len(topics):
        return False
    topics[place], topics[place + by] = topics[place + by], topics[place]
    for number, one in enumerate(topics):
        one.position = number
    return True


def archive(topic: Topic, now: datetime) -> None:
    """Offer it to nobody any more. Consents stay in the ledger; what is sent about it is still weighed by them."""
    topic.archived_at = topic.archived_at or now


def restore(topic: Topic) -> None:
    """Offer it again."""
    topic.archived_at = None
