"""Who signs in: passwords (argon2id), sessions that end when they must, and what a person may do where."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Literal, get_args

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Membership, User, Workspace

Role = Literal["owner", "marketer", "front_desk", "analyst", "privacy_officer"]
ROLES: tuple[str, ...] = get_args(Role)
PASSWORD_LEAST = 12
"""Characters a password must have (NIST SP 800-63B asks for length, not for kinds of characters)."""

_hasher = PasswordHasher()  # argon2id, 64 MiB, 3 passes, 4 lanes (RFC 9106, second choice)


@dataclass(frozen=True, slots=True)
class Place:
    """A workspace that a person may enter, and their role there."""

    workspace_id: int
    slug: str
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in."""

    id: int
    email: str
    name: str
    language: str | None
    theme: str | None
    places: tuple[Place, ...]

    def place(self, slug: str) -> Place | None:
        """The workspace of that name, if the person may enter it."""
        return next((place for place in self.places if place.slug == slug), None)


@cache
def _nobody() -> str:
    """A hash that no password has: an unknown address costs the same time as a wrong password."""
    return _hasher.hash(secrets.token_hex(16))


def hash_password(password: str) -> str:
    """The argon2id hash to keep; raises ValueError for one that is too short."""
    if len(password) < PASSWORD_LEAST:
        raise ValueError(f"A password needs at least {PASSWORD_LEAST} characters.")
    return _hasher.hash(password)


def add_person(session: Session, email: str, password: str, now: datetime, *, name: str = "") -> User:
    """Make a person who can sign in; roles are given by `admit`. `session` is a system one."""
    person = User(
        email=email.strip().lower(),
        password=hash_password(password),
        name=name,
        active=True,
        fs_uniquifier=secrets.token_hex(16),
        created_at=now,
    )
    session.add(person)
    session.flush()  # its id is needed for memberships
    return person


def admit(session: Session, user_id: int, workspace_id: int, role: Role, now: datetime) -> None:
    """Give a person a role in a workspace, in place of the one they have."""
    session.merge(Membership(workspace_id=workspace_id, user_id=user_id, role=role, created_at=now))


def sign_in(session: Session, email: str, password: str) -> str | None:
    """The mark to keep in the session of whoever this is; None for a wrong pair, whatever is wrong about it.

    `session` is a system one. The hash is brought up to date where its parameters are old.
    """
    person = session.scalar(select(User).where(User.email == email.strip().lower()))
    usable = person is not None and person.active and bool(person.password)
    kept = person.password if person is not None and usable and person.password else _nobody()
    try:
        _hasher.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return None
    if person is None or not usable:
        return None
    if _hasher.check_needs_rehash(kept):
        person.password = _hasher.hash(password)
    return person.fs_uniquifier


def who(session: Session, mark: str) -> Person | None:
    """The person whose session carries `mark`, with every workspace they may enter; None once it ended. One query."""
    rows = session.execute(
        select(User, Membership.role, Workspace.id, Workspace.slug, Workspace.name)
        .outerjoin(Membership, Membership.user_id == User.id)
        .outerjoin(Workspace, Workspace.id == Membership.workspace_id)
        .where(User.fs_uniquifier == mark, User.active)
        .order_by(Workspace.name)
    ).all()
    if not rows:
        return None
    user = rows[0][0]
    places = tuple(Place(id_, slug, name, role) for _, role, id_, slug, name in rows if role)
    return Person(user.id, user.email, user.name, user.language, user.theme, places)


def prefer(session: Session, user_id: int, *, language: str | None = None, theme: str | None = None) -> None:
    """Keep a person's language or theme."""
    person = session.get_one(User, user_id)
    if language is not None:
        person.language = language
    if theme is not None:
        person.theme = theme


def end_sessions(session: Session, user_id: int) -> None:
    """Sign a person out everywhere."""
    session.get_one(User, user_id).fs_uniquifier = secrets.token_hex(16)
