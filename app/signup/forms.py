"""Forms and their published wordings: made, changed, put live, closed, and found by their public address."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select, text
from sqlalchemy.orm import Session

from app.config import Settings
from app.consent.models import Topic
from app.db import Database, workspace_of
from app.signup import document as documents
from app.signup.document import Document
from app.signup.models import SignupForm, SignupFormVersion

_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
"""Without those that look alike on paper: addresses of forms are printed, too."""
ID_LENGTH = 12


class RefusedError(ValueError):
    """A form cannot be published as it is; `problems` says what stands against it, by field."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(f"The form cannot be published: {dict(problems)}.")
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Shown:
    """A form as people see it, with what its pages and its lines in the ledger need."""

    workspace_id: int
    form_id: int
    public_id: str
    name: str
    state: str
    number: int
    document: Document
    origins: tuple[str, ...]
    property_id: int
    titles: Mapping[str, Mapping[str, str]]
    """Topic of the form → its title by language, in the workspace's order."""

    @property
    def live(self) -> bool:
        """Whether it takes sign-ups."""
        return self.state == "live"

    def shared_with(self, origin: str | None) -> dict[str, str]:
        """What lets a browser show an answer to scripts of a site (CORS); nothing for sites that may not use it."""
        return {"Access-Control-Allow-Origin": origin} if origin is not None and origin in self.origins else {}


def create(session: Session, name: str, property_id: int, document: Document, by: str, now: datetime) -> SignupForm:
    """A new form, shown to nobody yet."""
    form = SignupForm(
        workspace_id=workspace_of(session),
        public_id="".join(secrets.choice(_LETTERS) for _ in range(ID_LENGTH)),
        name=name,
        property_id=property_id,
        state="draft",
        draft=document.as_json(),
        origins=[],
        created_by=by,
        created_at=now,
        updated_at=now,
    )
    session.add(form)
    session.flush()  # its number is asked for
    return form


def listed(session: Session) -> Sequence[SignupForm]:
    """Every form, those in use first. One query."""
    order = func.array_position(["live", "draft", "closed"], SignupForm.state)
    return session.scalars(select(SignupForm).order_by(order, SignupForm.id.desc())).all()


def of_id(session: Session, form_id: int) -> SignupForm | None:
    """One form. One query."""
    return session.scalar(select(SignupForm).where(SignupForm.id == form_id))


def versions(session: Session, form_id: int) -> Sequence[SignupFormVersion]:
    """Its published wordings, newest first. One query."""
    statement = select(SignupFormVersion).where(SignupFormVersion.form_id == form_id)
    return session.scalars(statement.order_by(SignupFormVersion.number.desc())).all()


def save(form: SignupForm, document: Document, now: datetime) -> None:
    """Keep what is being worked on; what people see stays as it is."""
    form.draft, form.updated_at = document.as_json(), now


def changed(session: Session, form: SignupForm) -> bool:
    """Whether the draft says something else than what people see."""
    return form.version is None or _published(session, form.id, form.version) != documents.read(form.draft)


def publish(session: Session, form: SignupForm, by: str, now: datetime) -> int:
    """Show the draft to people from now on; gives the number of its wording.

    A wording that was shown is never changed: another one gets a number of its own, the same one keeps its number.

    Raises:
        RefusedError: something stands against it.
    """
    document = documents.read(form.draft)
    topics = session.scalars(select(Topic.name).where(Topic.archived_at.is_(None))).all()
    found = documents.problems(document, topics)
    if found:
        raise RefusedError(found)
    if form.version is None or _published(session, form.id, form.version) != document:
        newest = session.scalar(select(func.max(SignupFormVersion.number)).where(SignupFormVersion.form_id == form.id))
        form.version = (newest or 0) + 1
        session.add(
            SignupFormVersion(
                workspace_id=form.workspace_id,
                form_id=form.id,
                number=form.version,
                document=document.as_json(),
                published_by=by,
                published_at=now,
            )
        )
    form.state, form.updated_at = "live", now
    return form.version


def close(form: SignupForm, now: datetime) -> None:
    """Take no more sign-ups; its page says so."""
    form.state, form.updated_at = "closed", now


def reopen(form: SignupForm, now: datetime) -> None:
    """Take sign-ups again, with the wording it had."""
    form.state, form.updated_at = "live" if form.version else "draft", now


def _published(session: Session, form_id: int, number: int) -> Document | None:
    found = session.get(SignupFormVersion, (workspace_of(session), form_id, number))
    return documents.read(found.document) if found is not None else None


def shown(database: Database, public_id: str, number: int | None = None) -> Shown | None:
    """The form at a public address, as people see it; None where there is none, or it was never published.

    Args:
        number: a wording of it that was shown before, such as the one pasted into a page; None: the present one.
    """
    if not public_id.isascii() or not public_id.isalnum() or len(public_id) > 40:
        return None
    with database.system() as session:
        row = session.execute(_FIND, {"public_id": public_id, "number": number}).first()
        if row is None:
            return None
        titles = session.execute(_TITLES, {"ws": row.workspace_id}).all()
    return _shown(row, row.number, documents.read(row.document), titles)


def draft(database: Database, settings: Settings, public_id: str, mark: str) -> Shown | None:
    """The form as it is being worked on, for whoever the studio has given the mark to; None for all others."""
    if not hmac.compare_digest(mark.encode(), draft_mark(settings, public_id).encode()):
        return None
    with database.system() as session:
        found = session.execute(_FIND_DRAFT, {"public_id": public_id}).first()
    if found is None:
        return None
    with database.work(found.workspace_id) as session:
        form = of_id(session, found.id)
        return drafted(session, form, documents.read(form.draft)) if form is not None else None


def draft_mark(settings: Settings, public_id: str) -> str:
    """What the address of a draft ends in: it is shown to the team, and to nobody who guesses."""
    return hmac.digest(settings.secret.encode(), f"percorso:forms:draft:{public_id}".encode(), "sha256").hex()[:24]


def _shown(form: Row[Any] | SignupForm, number: int, document: Document, topics: Sequence[Row[Any]]) -> Shown:
    return Shown(
        workspace_id=form.workspace_id,
        form_id=form.id,
        public_id=form.public_id,
        name=form.name,
        state=form.state,
        number=number,
        document=document,
        origins=tuple(form.origins or ()),
        property_id=form.property_id,
        titles={one.name: one.title for one in topics if one.name in document.topics},
    )


def drafted(session: Session, form: SignupForm, document: Document) -> Shown:
    """The form as it would be shown with this wording, for a preview."""
    topics = session.execute(_TITLES, {"ws": form.workspace_id}).all()
    return _shown(form, form.version or 0, document, topics)


_FIND = text(
    """
    SELECT f.workspace_id, f.id, f.public_id, f.name, f.state, f.origins, f.property_id, v.number, v.document
    FROM signup_forms f
    JOIN signup_form_versions v ON v.workspace_id = f.workspace_id AND v.form_id = f.id
      AND v.number = coalesce(CAST(:number AS bigint), f.version)
    WHERE f.public_id = :public_id
    """
)
_FIND_DRAFT = text("SELECT workspace_id, id FROM signup_forms WHERE public_id = :public_id")
_TITLES = text("SELECT name, title FROM topics WHERE workspace_id = :ws ORDER BY position, name")
