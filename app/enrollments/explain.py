"""Why: every decision about one person and one workflow or message, in order, with its inputs, rule and time.

One read model; the message page, the "why / why not?" page, `flask why` and `GET /api/v1/why` show it.
Nothing is worked out again: decisions are read where they were kept when they were made (step_visits, entry_refusals,
the verdicts on messages, attempts). Only the last lines, what happens next, look at now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app.contacts.models import Contact, ContactAlias
from app.enrollments import exits, kept
from app.enrollments.decisions import (
    Decision,
    Link,
    composed,
    ended,
    event_title,
    lowered,
    of_verdict,
    of_visit,
    when,
)
from app.enrollments.kept import Kept
from app.enrollments.models import Enrollment, EntryRefusal, StepVisit, Workflow
from app.enrollments.returned import attempted, returned
from app.events.models import Event
from app.journey.flow import beginning
from app.journey.sentences import both
from app.messages import gate
from app.messages.models import Message
from app.messages.rows import load_rows

QUERIES = 3 + kept.QUERIES + 1 + gate.QUERIES
"""At most: the message, contact and workflow; what was kept; and judging the messages that still wait."""

OPEN = ("planned", "deferred", "ready")


class NobodyError(LookupError):
    """There is no such person, workflow or message; the message says which."""


@dataclass(frozen=True, slots=True)
class Explained:
    """The answer: whom and what it is about, every decision in order, and whether older ones were left out."""

    contact: Contact
    zone: ZoneInfo
    workflow: Workflow | None
    message: Message | None
    decisions: tuple[Decision, ...]
    cut: bool = False

    @property
    def empty(self) -> bool:
        """Nothing was ever decided: the person and the workflow have not met."""
        return all(one.stage in ("workflow", "next") for one in self.decisions)

    def as_json(self) -> dict[str, Any]:
        """As the API and `--json` give it."""
        return {
            "contact": self.contact.external_id or str(self.contact.id),
            "workflow": self.workflow.name if self.workflow else None,
            "message": self.message.id if self.message else None,
            "zone": self.zone.key,
            "cut": self.cut,
            "decisions": [one.as_json() for one in self.decisions],
        }


def find_contact(session: Session, named: str) -> int:
    """The contact meant by an external id, an address or a number; one query. Raises NobodyError."""
    named = named.strip()
    if "\x00" in named:
        raise NobodyError("There is no such contact.")
    former = select(ContactAlias.contact_id).where(ContactAlias.external_id == named).scalar_subquery()
    asked = [Contact.external_id == named, Contact.email_key == named.lower(), Contact.id == former]
    if named.lstrip("#").isdecimal() and len(named) < 19:
        asked.append(Contact.id == int(named.lstrip("#")))
    rows = session.execute(
        select(Contact.id, Contact.external_id).where(or_(*asked), Contact.merged_into.is_(None))
    ).all()
    if not rows:
        raise NobodyError(f"There is no contact {named!r}.")
    # An external id that looks like a number of ours means the external id.
    return int(next((row.id for row in rows if row.external_id == named), rows[0].id))


def met(session: Session, contact_id: int) -> list[str]:
    """The workflows that ever decided anything about this person, by name; one query."""
    inside = select(Enrollment.workflow_id).where(Enrollment.contact_id == contact_id)
    refused = select(EntryRefusal.workflow_id).where(EntryRefusal.contact_id == contact_id)
    query = select(Workflow.name).where(or_(Workflow.id.in_(inside), Workflow.id.in_(refused)))
    return list(session.scalars(query.order_by(Workflow.name)))


def explain(
    session: Session,
    contact_id: int | None,
    now: datetime,
    *,
    workflow: str | None = None,
    message_id: int | None = None,
) -> Explained:
    """Every decision about a person and a workflow, or about one message. At most `QUERIES` queries.

    Args:
        session: a unit of work of one workspace; nothing is written.
        contact_id: the person; None where a message says who it is.
        now: the instant of the question.
        workflow: the name of a workflow.
        message_id: or the number of a message.

    Raises NobodyError where there is no such person, workflow or message.
    """
    message = _message(session, message_id, contact_id) if message_id is not None else None
    contact = session.scalar(select(Contact).where(Contact.id == (message.contact_id if message else contact_id)))
    if contact is None:
        raise NobodyError("There is no such contact.")
    of_workflow = _workflow(session, workflow, message)
    if of_workflow is None and message is None:
        raise NobodyError(f"There is no workflow {workflow!r}." if workflow else "Name a workflow or a message.")
    known = Kept(session, contact, of_workflow, message)
    return Explained(contact, known.zone, of_workflow, message, tuple(_Telling(known, now).decisions()), known.cut)


def _message(session: Session, message_id: int, contact_id: int | None) -> Message:
    found = session.scalar(select(Message).where(Message.id == message_id))
    if found is None or contact_id not in (None, found.contact_id):
        raise NobodyError(f"There is no message {message_id}.")
    return found


def _workflow(session: Session, name: str | None, message: Message | None) -> Workflow | None:
    if message is not None:
        found = (
            session.scalar(select(Workflow).where(Workflow.id == message.workflow_id)) if message.workflow_id else None
        )
        if name is not None and (found is None or found.name != name):
            raise NobodyError(f"Message {message.id} is of no workflow {name!r}.")
        return found
    return session.scalar(select(Workflow).where(Workflow.name == name)) if name else None


class _Telling:
    """What was kept, told in order."""

    def __init__(self, kept: Kept, now: datetime) -> None:
        self.kept, self.now = kept, now
        self.visits = list(_up_to(kept.message, kept.visits)) if kept.message is not None else kept.visits

    def decisions(self) -> list[Decision]:
        """Everything in order: by time, and within an instant along the line; then what comes next."""
        found = [*self._told_events(), *self._told_visits()]
        for one in self.kept.messages:
            found += self._told_message(one)
        # Sorting keeps the order of equals: an event, what it led to, steps, and then what became of messages.
        found.sort(key=lambda one: one.at or self.now)
        return [*self._about_workflow(), *found, *self._next()]

    def _told_events(self) -> Iterable[Decision]:
        started = {one.event_pk for one in self.kept.enrollments}
        refused = {one.event_pk: one for one in self.kept.refusals}
        begins = set(self.kept.program.starts_on) if self.kept.program else set()
        for event in self.kept.events:
            candidate = self.kept.message is None and event.type in begins
            if not (candidate or event.id in started or event.id in refused or self._moved_something(event)):
                continue
            title = event_title(event.type)
            about = f" {event.booking_reference}" if event.booking_reference else ""
            yield self._event(event, both(title["en"] + about, title["it"] + about), "event")
            if event.id in refused:
                yield self._refused(refused.pop(event.id))
            elif candidate and event.id not in started:
                yield self._unmet(event)
        for row in refused.values():  # events older than those shown, or dropped with their month
            yield self._refused(row)

    def _moved_something(self, event: Event) -> bool:
        return any(one.code == "moved" and self._mover(one) is event for one in self.visits)

    def _event(self, event: Event, said: Mapping[str, str], code: str) -> Decision:
        inputs = {
            "type": event.type,
            "id": event.event_id,
            "occurred_at": event.occurred_at.isoformat(),
            "received_at": event.received_at.isoformat(),
            "booking": event.booking_reference,
        }
        return Decision(event.received_at, "event", code, dict(said), inputs, None, Link("event", event.id))

    def _unmet(self, event: Event) -> Decision:
        """An event that could have started the workflow, and of which no decision was kept: why there is none."""
        first = self.kept.versions[0][1] if self.kept.versions else None
        work = self.kept.work.get(event.id)
        inputs: dict[str, Any] = {"event": event.event_id, "type": event.type}
        code, said = (
            "not_heard",
            both(
                "Nothing was decided about it: the workflow was not live, or did not listen to this event then",
                "Non è stato deciso nulla: allora il percorso non era attivo o non ascoltava questo evento",
            ),
        )
        if event.quarantined:
            inputs["quarantined"] = event.quarantined
            code, said = (
                "quarantined",
                both(
                    "Kept aside and not acted on: it claims to lie in the future",
                    "Messo da parte senza effetto: dichiara una data futura",
                ),
            )
        elif work is not None and work.error:
            inputs |= {"error": work.error, "attempts": work.attempts}
            code, said = (
                "stepped_aside",
                both("Stepped aside after an error; it is tried again", "Messo da parte dopo un errore; si riprova"),
            )
        elif work is not None:
            code, said = "not_looked_at", both("Not looked at yet", "Non ancora esaminato")
        elif first is None:
            code, said = (
                "not_published",
                both(
                    "The workflow is not published: nothing starts it", "Il percorso non è pubblicato: nulla lo avvia"
                ),
            )
        elif event.received_at < first:
            at = when(first, self.kept.zone)
            inputs["published_at"] = first.isoformat()
            code, said = (
                "before_publication",
                both(
                    f"Not entered: the workflow was published only after, {at['en']}",
                    f"Non è entrato: il percorso è stato pubblicato solo dopo, il {at['it']}",
                ),
            )
        return Decision(event.received_at, "entry", code, said, inputs, link=self._to_workflow())

    def _refused(self, row: EntryRefusal) -> Decision:
        number = next((number for version, _, number in self.kept.versions if version == row.version_id), None)
        said = row.detail.get("sentence") or {}
        english = lowered(str(said.get("en") or row.code.replace("_", " ")))
        italian = lowered(str(said.get("it") or said.get("en") or row.code.replace("_", " ")))
        inputs = {**(row.detail.get("inputs") or {}), "key": row.detail.get("key"), "version": number}
        return Decision(
            row.at,
            "entry",
            row.code,
            both(f"Not entered: {english}", f"Non è entrato: {italian}"),
            {name: value for name, value in inputs.items() if value is not None},
            link=self._to_workflow(),
        )

    def _told_visits(self) -> Iterable[Decision]:
        version_of = {one.id: one.version_id for one in self.kept.enrollments}
        for place, visit in enumerate(self.visits):
            following = self.visits[place + 1] if place + 1 < len(self.visits) else None
            if visit.code == "waiting" and following is not None and _ends(visit, following):
                continue  # how the wait ended says also that there was one
            program = self.kept.programs.get(version_of.get(visit.enrollment_id, 0))
            told = of_visit(visit, program, self.kept.zone, self.kept.titles, self._mover(visit))
            if visit.code == "entered":
                told = self._entered(told, visit, version_of.get(visit.enrollment_id))
            yield told

    def _entered(self, told: Decision, visit: StepVisit, version_id: int | None) -> Decision:
        number = next((number for version, _, number in self.kept.versions if version == version_id), None)
        passage = next((one for one in self.kept.enrollments if one.id == visit.enrollment_id), None)
        key = passage.key if passage else ""
        english = "Entered the workflow" + (f" for {key}" if key else "") + (f", version {number}" if number else "")
        italian = "È entrato nel percorso" + (f" per {key}" if key else "") + (f", versione {number}" if number else "")
        inputs = {"key": key or None, "version": number, "passage": passage.passage if passage else None}
        return Decision(
            told.at, "entry", "entered", both(english, italian), inputs, link=self._to_workflow(), passage=told.passage
        )

    def _mover(self, visit: StepVisit) -> Event | None:
        """The event that moved a wait: the last that was recorded about its booking by then."""
        if visit.code != "moved":
            return None
        booking = next((one.booking_id for one in self.kept.enrollments if one.id == visit.enrollment_id), None)
        known = [one for one in self.kept.events if one.booking_id == booking and one.received_at <= visit.at]
        return known[-1] if booking and known else None

    def _told_message(self, message: Message) -> Iterable[Decision]:
        for verdict in message.verdict:
            yield of_verdict(message, verdict, self.kept.lines, self.kept.zone)
        over = ended(message, self.kept.zone)
        if over is not None:
            yield over
        tries = self.kept.attempts.get(message.id, ())
        mail = composed(
            message, tries[0].at if tries else None, self.kept.numbers.get(message.template_version_id or 0)
        )
        if mail is not None:
            yield mail
        for attempt in tries:
            yield attempted(attempt, message)
        for report in self.kept.returned.get(message.id, ()):
            yield returned(report, message)

    def _to_workflow(self) -> Link | None:
        return Link("workflow", self.kept.workflow.name) if self.kept.workflow else None

    def _about_workflow(self) -> Iterable[Decision]:
        """What holds for everybody, where it is the reason that nothing happens."""
        if self.kept.workflow is None or self.kept.message is not None:
            return
        if not self.kept.versions:
            said = both("The workflow was never published: nobody can enter", "Mai pubblicato: nessuno può entrare")
            yield Decision(None, "workflow", "not_published", said, {}, link=self._to_workflow())
        elif self.kept.workflow.status == "archived":
            said = both(
                "The workflow is archived: nobody enters any more", "Percorso archiviato: non entra più nessuno"
            )
            yield Decision(None, "workflow", "archived", said, {}, link=self._to_workflow())

    # --- what comes next ---

    def _next(self) -> Iterable[Decision]:
        if self.kept.message is None:
            for one in self.kept.enrollments:
                if one.status == "active":
                    yield self._next_of_passage(one)
        yield from self._next_of_messages()
        if self.kept.message is not None or self.kept.workflow is None or self.kept.program is None:
            return
        if not any(one.status == "active" for one in self.kept.enrollments) and self.kept.workflow.status != "archived":
            yield self._could_enter()

    def _next_of_passage(self, row: Enrollment) -> Decision:
        inputs: dict[str, Any] = {"step": row.step_id, "waits_for": list(row.waits_for)}
        link = Link("workflow", self.kept.workflow.name if self.kept.workflow else "", row.step_id or "")
        common: dict[str, Any] = {"link": link, "passage": row.id, "step": row.step_id or ""}
        if self.kept.workflow is not None and self.kept.workflow.status == "paused":
            said = both("The workflow is paused: it goes on when it is resumed", "In pausa: prosegue alla ripresa")
            return Decision(None, "next", "paused", said, inputs, "R63", **common)
        if row.error:
            inputs |= {"error": row.error, "attempts": row.attempts}
            at = when(row.wake_at or self.now, self.kept.zone)
            said = both(
                f"It stepped aside after an error and is tried again {at['en']}: {row.error}",
                f"Messo da parte dopo un errore, si riprova il {at['it']}: {row.error}",
            )
            return Decision(row.wake_at, "next", "stepped_aside", said, inputs, **common)
        step = row.step_id or ""
        if row.wake_at is None:
            heard = both(_any_of(row.waits_for, "en"), _any_of(row.waits_for, "it"))
            said = both(f"Stays at “{step}” until {heard['en']}", f"Resta a “{step}” finché: {heard['it']}")
            return Decision(None, "next", "waits", said, inputs, **common)
        at = when(row.wake_at, self.kept.zone)
        inputs["wake_at"] = row.wake_at.isoformat()
        if row.wake_at <= self.now:
            said = both(f"Due now: takes the step “{step}”", f"Tocca ora: fa il passo “{step}”")
        elif row.waits_for:
            said = both(
                f"Goes on from “{step}” {at['en']} at the latest, sooner on: {_any_of(row.waits_for, 'en')}",
                f"Prosegue da “{step}” al più tardi il {at['it']}, prima con: {_any_of(row.waits_for, 'it')}",
            )
        else:
            said = both(f"Goes on from “{step}” {at['en']}", f"Prosegue da “{step}” il {at['it']}")
        return Decision(row.wake_at, "next", "due", said, inputs, **common)

    def _next_of_messages(self) -> Iterable[Decision]:
        """Messages that still wait: when they are looked at, and what the gate would say of them now."""
        waiting = [one for one in self.kept.messages if one.state in OPEN]
        if not waiting:
            return
        rows = load_rows(self.kept.session, [one.id for one in waiting])
        verdicts = gate.judge(self.kept.session, rows, self.now, "gate", exits.left) if rows else {}
        for one in waiting:
            decision = verdicts.get(one.id)
            due = one.due_at
            at = when(due, self.kept.zone)
            later = (
                (f"is judged {at['en']}", f"sarà esaminato il {at['it']}")
                if due > self.now
                else ("waits for its turn", "attende il suo turno")
            )
            name = self.kept.titles.get(one.template) or {}
            english, italian = name.get("en") or one.template, name.get("it") or name.get("en") or one.template
            inputs: dict[str, Any] = {"message": one.id, "state": one.state, "due_at": due.isoformat()}
            checks: tuple[Any, ...] = ()
            rule = None
            said = (f"“{english}” {later[0]}", f"“{italian}” {later[1]}")
            if decision is not None:
                now = of_verdict(one, decision.as_json(self.now, "gate"), self.kept.lines, self.kept.zone)
                said = (
                    f"{said[0]}. Judged now: {lowered(now.sentence['en'])}",
                    f"{said[1]}. Esaminato adesso: {lowered(now.sentence['it'])}",
                )
                checks, rule = now.checks, now.rule
                inputs["now"] = now.code
            yield Decision(
                due, "next", one.state, both(*said), inputs, rule, Link("message", one.id), checks,
                one.enrollment_id, one.step_id or "",
            )  # fmt: skip

    def _could_enter(self) -> Decision:
        """When this person would enter; and, where they never came near, that no event could have started it."""
        assert self.kept.program is not None
        ways = beginning(self.kept.program)
        english = "; ".join(lowered(one["en"]) for one in ways)
        italian = "; ".join(lowered(one["it"]) for one in ways)
        never = (
            not self.kept.enrollments
            and not self.kept.refusals
            and not any(event.type in self.kept.program.starts_on for event in self.kept.events)
        )
        inputs = {"starts_on": list(self.kept.program.starts_on)}
        if never:
            said = both(
                f"No event that could start it was ever recorded for this person. It starts {english}",
                f"Per questa persona non è mai stato registrato un evento che possa avviarlo. Si avvia {italian}",
            )
            return Decision(None, "next", "no_event", said, inputs, link=self._to_workflow())
        said = both(f"Not inside now. It starts {english}", f"Ora non è nel percorso. Si avvia {italian}")
        return Decision(None, "next", "outside", said, inputs, link=self._to_workflow())


def _up_to(message: Message, visits: Sequence[StepVisit]) -> Iterable[StepVisit]:
    """The decisions up to the one that planned this message: what the passage did afterwards is not its story."""
    planned = 0
    for visit in visits:
        yield visit
        planned += visit.code in {"send", "updated"} and visit.step_id == message.step_id
        if planned >= message.visit:
            return


def _ends(waiting: StepVisit, following: StepVisit) -> bool:
    return (
        following.step_id == waiting.step_id
        and following.enrollment_id == waiting.enrollment_id
        and (following.code in {"waited", "heard", "timeout"})
    )


def _any_of(types: Sequence[str], language: str) -> str:
    titles = [
        ("anything that changes a condition" if language == "en" else "qualcosa che cambi una condizione")
        if one == "*"
        else lowered(event_title(one)[language])
        for one in types
    ]
    return (" or " if language == "en" else " o ").join(titles) or ("an event" if language == "en" else "un evento")
