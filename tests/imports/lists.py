"""A desk for imports in tests: files written in a line or two, handed in, checked and taken in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.consent import ledger
from app.consent.fold import State, standing
from app.consent.models import Topic
from app.contacts.models import Contact
from app.db import workspace_of
from app.imports import columns, desk, stage
from app.imports.models import Import, ImportRow
from tests.conftest import START

NOW = START
PROVEN = "E-mail,Newsletter,Consent source,Wording version,Opt-in date,Confirmed at"
"""A header under which a row can bring a yes with all its proof."""


def csv(*lines: str) -> bytes:
    """A file of these lines."""
    return "\n".join(lines).encode()


def topics(session: Session, *names: str) -> None:
    """Topics of the workspace."""
    for name in names:
        session.add(Topic(workspace_id=workspace_of(session), name=name, title={"en": name}, created_at=NOW))
    session.flush()


def hand_in(session: Session, content: bytes, now: datetime = NOW, **mapping: Any) -> Import:
    """Hand a file in and say how it is read: as guessed, with `mapping` laid over it."""
    one = desk.receive(session, "list.csv", content, "Anna", now)
    here = desk.known(session)
    guess, _ = desk.suggested(session, one, here)
    reading = columns.of_json({**guess.as_json(), **mapping}, len(one.header))
    desk.check(session, one.id, reading, now)
    return one


def work(session: Session, now: datetime = NOW, chunk: int = 2_000) -> None:
    """Let the stage do all that waits."""
    while stage.run(session, now, chunk).more:
        waiting = session.scalars(select(Import.state).where(Import.next_at <= now)).all()
        if not waiting:
            break


def checked(session: Session, content: bytes, now: datetime = NOW, chunk: int = 2_000, **mapping: Any) -> Import:
    """A file after its dry run."""
    one = hand_in(session, content, now, **mapping)
    work(session, now, chunk)
    return one


def taken(session: Session, content: bytes, now: datetime = NOW, chunk: int = 2_000, **mapping: Any) -> Import:
    """A file that was taken in."""
    one = checked(session, content, now, chunk, **mapping)
    desk.take(session, one.id, now)
    work(session, now, chunk)
    return one


def undone(session: Session, one: Import, now: datetime = NOW, chunk: int = 2_000) -> Mapping[str, int]:
    """Take an import back; gives what that did."""
    desk.undo(session, one.id, now)
    work(session, now, chunk)
    counted: Mapping[str, int] = one.tally.get("undone", {})
    return counted


def person(session: Session, email: str) -> Contact | None:
    """Who has this address, if anybody."""
    session.expire_all()
    return session.scalars(select(Contact).where(Contact.email_key == email, Contact.merged_into.is_(None))).first()


def rows(session: Session, one: Import) -> list[ImportRow]:
    """The file's rows with their verdicts."""
    session.expire_all()
    statement = select(ImportRow).where(ImportRow.import_id == one.id).order_by(ImportRow.position)
    return list(session.scalars(statement))


def word(session: Session, email: str, topic: str = "newsletter") -> str:
    """Where marketing on a topic stands with whoever has this address."""
    contact = person(session, email)
    assert contact is not None
    states = ledger.current(session, [contact.id]).get(contact.id, {})
    return standing(states, email, "email", topic)[0]


def state(session: Session, email: str, topic: str | None = "newsletter") -> State | None:
    """What the ledger folds to for this address and topic."""
    contact = person(session, email)
    assert contact is not None
    return ledger.current(session, [contact.id]).get(contact.id, {}).get((email, "email", "marketing", topic))
