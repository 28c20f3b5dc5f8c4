"""What comes in through a form: read, held against its limits, and written down for the stage to deal with.

Nothing here looks at who an address belongs to. Whether it is known, has said no or has been asked already is found out
by the stage `signups`, after the answer: whoever fills a form learns nothing of anybody, neither from what the answer
says nor from how long it takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app import rates
from app.contacts.addresses import Email, normal_email
from app.house import House
from app.queues import signal
from app.signup import effort
from app.signup.document import LANGUAGES
from app.signup.forms import Shown
from app.signup.models import Submission

TRAP = "website"
"""A field that people do not see, and robots fill."""
LONGEST_NAME = 60
AGES = ("of_age", "child")
"""What is answered where a form asks who signs up: somebody of 14 or more, or a parent for a child (R12)."""


class TooManyError(ValueError):
    """One of the limits is reached; `wait` says for how many seconds."""

    def __init__(self, wait: int) -> None:
        super().__init__(f"Too many; wait {wait} s.")
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Entry:
    """A form as it was filled in, in normal form."""

    email: Email
    language: str
    wants: bool
    topics: tuple[str, ...]
    first_name: str | None = None
    purposes: tuple[str, ...] = ()
    """What was ticked besides (R3)."""
    guardian: str | None = None
    """The parent who says yes for a child under 14 (R12)."""


@dataclass(frozen=True, slots=True)
class Where:
    """Where it came from (R5)."""

    page: str
    ip: str | None = None
    user_agent: str | None = None
    origin: str | None = None
    method: str = "web"
    operator_id: int | None = None
    """At a desk: who typed it in."""
    scan_id: str | None = None
    """On paper: where the signed sheet is kept."""

    def as_json(self) -> dict[str, Any]:
        """Without what is not known."""
        known = {
            "page": self.page[:300],
            "ip": self.ip,
            "user_agent": (self.user_agent or "")[:300] or None,
            "origin": self.origin,
            "operator_id": self.operator_id,
            "scan_id": self.scan_id,
        }
        return {name: value for name, value in known.items() if value is not None}


def read(
    form: Shown, given: Mapping[str, str], topics: Sequence[str], purposes: Sequence[str], language: str
) -> tuple[Entry | None, dict[str, str]]:
    """What was filled in, or what is wrong with it: field → code.

    Args:
        form: the wording that was shown.
        given: email, notice, newsletter (`yes` or `no`), first_name, age (`of_age` or `child`), guardian.
        topics: those ticked, where there are several.
        purposes: those ticked, of what the form asks for besides.
        language: of the page.

    Returns:
        Codes: needed, no_address, choose (neither yes nor no), read_notice, choose_topic, too_long, choose_age,
        needs_parent.
    """
    wrong: dict[str, str] = {}
    written = given.get("email", "").strip()
    email = normal_email(written) if written and len(written) <= 320 else None
    if email is None:
        wrong["email"] = "no_address" if written else "needed"
    if given.get("notice") != "yes":
        wrong["notice"] = "read_notice"
    choice = given.get("newsletter", "")
    if choice not in {"yes", "no"}:
        wrong["newsletter"] = "choose"
    offered = form.document.topics
    chosen = tuple(topic for topic in offered if len(offered) == 1 or topic in topics or choice == "no")
    if choice == "yes" and not chosen:
        wrong["topic"] = "choose_topic"
    more = tuple(purpose for purpose in form.document.purposes if purpose in purposes)
    name = " ".join(given.get("first_name", "").split()) if form.document.first_name else ""
    if len(name) > LONGEST_NAME:
        wrong["first_name"] = "too_long"
    parent = None
    if form.document.age and (choice == "yes" or more):  # a no needs nobody's leave
        parent = " ".join(given.get("guardian", "").split()) if given.get("age") == "child" else None
        if given.get("age") not in AGES:
            wrong["age"] = "choose_age"
        elif parent is not None and not 0 < len(parent) <= LONGEST_NAME:
            wrong["guardian"] = "too_long" if parent else "needs_parent"
    if wrong or email is None:
        return None, wrong
    spoken = language if language in LANGUAGES else "en"
    return Entry(email, spoken, choice == "yes", chosen, name or None, more, parent), {}


def take(house: House, form: Shown, entry: Entry, where: Where, *, trapped: bool, work: str, now: datetime) -> None:
    """Keep it for the stage; what fell into the trap is answered like all others and kept nowhere.

    Args:
        trapped: the unseen field was filled.
        work: the browser's proof of work, or nothing.

    Raises:
        TooManyError: a limit is reached.
    """
    worked = effort.proven(house.settings, house.redis, form.public_id, work)
    counted = effort.limits(house.settings, form.workspace_id, form.form_id, entry.email.key, where.ip, worked=worked)
    wait = rates.wait(house.redis, counted)
    if wait:
        raise TooManyError(wait)
    if trapped:
        return
    with house.database.work(form.workspace_id) as session:
        session.add(submission(form, entry, where, "work" if worked else "none", now))
        signal(session, "signups")


def submission(form: Shown, entry: Entry, where: Where, effort_made: str, now: datetime) -> Submission:
    """The row that the stage takes up."""
    more = {"first_name": entry.first_name, "effort": effort_made, "guardian": entry.guardian}
    return Submission(
        workspace_id=form.workspace_id,
        form_id=form.form_id,
        number=form.number,
        received_at=now,
        due_at=now,
        address=entry.email.address,
        language=entry.language,
        wants=entry.wants,
        topics=list(entry.topics),
        purposes=list(entry.purposes),
        lines=[],
        method=where.method,
        given=where.as_json() | {name: value for name, value in more.items() if value},
    )
