"""A workflow tried on recorded history: who would have entered, what would have gone out, what not and why.

The very code of production decides: entry rules and steps (`app/journey`), and `consent.rules` under the workspace's
own policy. What is known at each instant comes from `recorded`. **Nothing is written**: `read_only` makes the database
itself refuse it; what steps would do elsewhere (tasks, calls, fields of contacts) is counted as reported.

What it cannot know it says (`NOTES`): a contact's own fields are those of today, who would have clicked a mail that
never went is unknown, and the mails of other workflows are those that really went, whatever this one would have
displaced.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.consent.case import CAPPED
from app.consent.pressure import zone_or_utc
from app.enrollments import recorded
from app.enrollments.decisions import Decision, of_line
from app.enrollments.recorded import Recorded, Span
from app.enrollments.replay import Replay, World, world
from app.journey.program import ConsentOp, Program, Sentence
from app.journey.scenes import Message, Outcome
from app.journey.sentences import both
from app.journey.simulate import EndlessStoryError

SAMPLES = 12
"""People whose whole story is kept, one for each kind of outcome first."""

NOTES: Mapping[str, Sentence] = {
    "today": both(
        "Fields of the contact (language, tags, attributes) are those of today: their past values are not kept.",
        "I campi del contatto (lingua, etichette, attributi) sono quelli di oggi: i valori passati non si conservano.",
    ),
    "clicks": both(
        "Who would have clicked cannot be known: conditions on clicks take their “unknown” way.",
        "Non si può sapere chi avrebbe cliccato: le condizioni sui clic prendono la via “non si sa”.",
    ),
    "others": both(
        "Caps count the mails of other workflows that really went out, not what this one would have displaced.",
        "I limiti contano i messaggi di altri percorsi realmente partiti, non ciò che questo avrebbe spostato.",
    ),
    "alone": both(
        "Alone: mails of other workflows were not counted towards the caps.",
        "Da solo: i messaggi di altri percorsi non sono contati nei limiti.",
    ),
    "start": both(
        "It begins with nobody inside: who would have entered before the first day is not followed.",
        "Si comincia senza nessuno dentro: chi sarebbe entrato prima del primo giorno non è seguito.",
    ),
    "imported": both(
        "Events reported more than two days late count at the time they happened.",
        "Gli eventi segnalati con più di due giorni di ritardo valgono nel momento in cui sono accaduti.",
    ),
    "asked": both(
        "Who would have said yes to a question never put cannot be known: without a recorded yes it is unanswered.",
        "Non si può sapere chi avrebbe detto di sì a una domanda mai posta: senza un sì registrato, nessuna risposta.",
    ),
    "paused": both("Pauses of the past are not replayed.", "Le pause del passato non vengono ripetute."),
}


def read_only(session: Session) -> None:
    """From here on the database refuses every write of this unit of work."""
    session.execute(text("SET TRANSACTION READ ONLY"))


@dataclass(slots=True)
class Day:
    """One day on the default property's calendar."""

    entered: int = 0
    sent: int = 0
    refused: int = 0
    deferred: int = 0
    others: int = 0
    """Mails of other workflows that really went to the same people, of the classes that caps count."""
    capped: int = 0
    """How often the cap said no or later."""

    @property
    def still(self) -> bool:
        """Nothing happened on it."""
        return not (self.entered or self.sent or self.refused or self.deferred or self.others)


@dataclass(frozen=True, slots=True)
class Sample:
    """One person's story, as the simulator tells it."""

    contact_id: int
    name: str
    outcome: str
    decisions: tuple[Decision, ...]


@dataclass(slots=True)
class Simulation:
    """What it came to. `share` below 1 says that a sample was looked at: numbers are of the sample."""

    workflow: str
    span: Span
    alone: bool
    zone: ZoneInfo
    total: int = 0
    """People whom an event, or the calendar, could have started it for."""
    share: float = 1.0
    people: int = 0
    entered: int = 0
    finished: int = 0
    inside: int = 0
    """Passages that still go on at the end of the span."""
    sent: int = 0
    waiting: int = 0
    goals: int = 0
    goal_value: int = 0
    tasks: int = 0
    failed: int = 0
    """People whose story could not be told to its end; `errors` says why."""
    seconds: float = 0.0
    days: dict[date, Day] = field(default_factory=dict)
    not_entered: Counter[str] = field(default_factory=Counter)
    why_not: dict[str, Sentence] = field(default_factory=dict)
    """Code → one example in words."""
    templates: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(template, sent / refused / waiting) → messages."""
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(code, rule) → messages."""
    deferred: Counter[tuple[str, str]] = field(default_factory=Counter)
    exits: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Enrollments a second."""
        return self.entered / self.seconds if self.seconds else 0.0

    def day(self, instant: datetime) -> Day:
        """The day an instant falls on."""
        day = instant.astimezone(self.zone).date()
        if day not in self.days:
            self.days[day] = Day()
        return self.days[day]

    def as_json(self) -> dict[str, Any]:
        """As `--json` gives it."""
        return {
            "workflow": self.workflow,
            "since": self.span.since.isoformat(),
            "until": self.span.until.isoformat(),
            "zone": self.zone.key,
            "alone": self.alone,
            "people": {"with_a_starting_event": self.total, "looked_at": self.people, "share": self.share},
            "entered": self.entered,
            "finished": self.finished,
            "inside": self.inside,
            "sent": self.sent,
            "waiting": self.waiting,
            "goals": {"count": self.goals, "value": self.goal_value},
            "tasks": self.tasks,
            "failed": self.failed,
            "errors": dict(self.errors),
            "not_entered": [
                {"code": code, "count": count, "example": self.why_not[code]}
                for code, count in self.not_entered.most_common()
            ],
            "refused": _counted(self.refused),
            "deferred": _counted(self.deferred),
            "templates": [
                {"template": template, "outcome": outcome, "count": count}
                for (template, outcome), count in sorted(self.templates.items())
            ],
            "exits": dict(self.exits.most_common()),
            "days": [
                {
                    "day": day.isoformat(),
                    "entered": one.entered,
                    "sent": one.sent,
                    "refused": one.refused,
                    "deferred": one.deferred,
                    "capped": one.capped,
                    "others": one.others,
                }
                for day, one in sorted(self.days.items())
            ],
            "notes": [dict(NOTES[name]) for name in self.notes],
            "seconds": round(self.seconds, 3),
            "enrollments_per_second": round(self.rate),
        }


def _counted(found: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    return [{"code": code, "rule": rule, "count": count} for (code, rule), count in found.most_common()]


def simulate_history(
    session: Session,
    program: Program,
    span: Span,
    *,
    alone: bool = False,
    limit: int | None = None,
    contact_id: int | None = None,
    progress: Callable[[Simulation], None] | None = None,
) -> Simulation:
    """Try a program on what was recorded in a span; nothing is written.

    Args:
        session: a unit of work of one workspace, made `read_only` here.
        program: the draft, compiled.
        span: from when to when.
        alone: leave the mails of other workflows out of the caps.
        limit: look at about so many people at most, drawn evenly; `Simulation.share` says which part that is.
        contact_id: only this person.
        progress: called after every page with what there is so far.
    """
    read_only(session)
    began = time.perf_counter()
    known = world(session, program)
    place = known.properties.get(None) or {}
    found = Simulation(program.workflow, span, alone, zone_or_utc(str(place.get("zone") or "UTC")))
    wanted = _wanted(program)
    found.total = 1 if contact_id is not None else recorded.count_people(session, wanted, span)
    if limit is not None and found.total > limit:
        found.share = max(limit / found.total, 0.0001)
    found.notes = ["start", "today", "alone" if alone else "others", "paused"]
    if any(path.startswith("engagement.") for path in program.reads):
        found.notes.append("clicks")
    if any(isinstance(op, ConsentOp) for op in program.ops):
        found.notes.append("asked")
    signatures: set[str] = set()
    imported = 0
    for page in recorded.people(
        session, wanted, span, share=found.share, contact_id=contact_id, replaces=program.workflow
    ):
        for person in page:
            imported += person.imported
            _one(found, program, known, person, signatures)
        found.seconds = time.perf_counter() - began
        if progress is not None:
            progress(found)
    if imported:
        found.notes.append("imported")
    _fill_days(found)
    found.seconds = time.perf_counter() - began
    return found


def _wanted(program: Program) -> recorded.Wanted:
    """Who comes into the replay: people with an event that starts it; all, or all with a booking, where the calendar
    does."""
    types = tuple(one for one in program.starts_on if one not in recorded.CALENDAR)
    dates = [rule.date.ref for rule in program.entry if rule.date is not None]
    everybody = any(rule.rrule is not None for rule in program.entry) or any(
        not ref.startswith("booking.") for ref in dates
    )
    return recorded.Wanted(types, stays=bool(dates), everybody=everybody)


def _one(found: Simulation, program: Program, known: World, person: Recorded, signatures: set[str]) -> None:
    replay = Replay(program, person, known, found.span, alone=found.alone, traced=False)
    found.people += 1
    try:
        outcome = replay.play()
    except (EndlessStoryError, RecursionError) as error:
        found.failed += 1
        found.errors[f"{type(error).__name__}: {error}"] += 1
        return
    _tally(found, replay, outcome, person)
    signature = _signature(outcome)
    if len(found.samples) < SAMPLES and signature not in signatures:
        signatures.add(signature)
        # A replay always comes to the same, so the few whose story is shown are played once more, with every sentence.
        again = Replay(program, person, known, found.span, alone=found.alone).play()
        told = tuple(of_line(line, program, found.zone) for line in again.trace)
        found.samples.append(Sample(person.contact_id, _name(person), signature, told))


def _signature(outcome: Outcome) -> str:
    """What kind of story it was, for choosing samples that differ."""
    ways = [f"{one.template}:{one.outcome}:{one.code}" for one in outcome.messages]
    ends = [one.reason or one.status for one in outcome.passages]
    return "|".join(sorted({*ways, *ends, *(one.code for one in outcome.not_entered)}))


def _name(person: Recorded) -> str:
    contact = person.contact
    name = " ".join(part for part in (contact.get("first_name"), contact.get("last_name")) if part)
    return name or str(contact.get("email") or contact.get("external_id") or f"#{person.contact_id}")


def _tally(found: Simulation, replay: Replay, outcome: Outcome, person: Recorded) -> None:
    for passage in outcome.passages:
        found.entered += 1
        found.day(passage.entered_at).entered += 1
        if passage.status == "active":
            found.inside += 1
        elif passage.status == "finished":
            found.finished += 1
        else:
            found.exits[passage.reason or "exit"] += 1
    for goal in replay.goals():
        found.goals += 1
        found.goal_value += goal.value or 0
    for refusal in outcome.not_entered:
        found.not_entered[refusal.code] += 1
        found.why_not.setdefault(refusal.code, refusal.sentence)
    for message in outcome.messages:
        _message(found, message)
    for at, code, rule in replay.put_off:
        found.deferred[code, rule] += 1
        day = found.day(at)
        day.deferred += 1
        day.capped += code in {"cap", "outranked"}
    found.tasks += len(outcome.tasks)
    if not found.alone:
        for one in person.sent:
            if one.class_ in CAPPED and one.at >= found.span.since:
                found.day(one.at).others += 1


def _message(found: Simulation, message: Message) -> None:
    found.templates[message.template, message.outcome] += 1
    if message.outcome == "waiting":
        found.waiting += 1
        return
    day = found.day(message.at)
    if message.outcome == "sent":
        found.sent += 1
        day.sent += 1
        return
    found.refused[message.code, message.rule or ""] += 1
    day.refused += 1
    day.capped += message.code in {"cap", "outranked"}


def _fill_days(found: Simulation) -> None:
    """Days on which nothing happened stand in the picture too."""
    day = found.span.since.astimezone(found.zone).date()
    last = found.span.until.astimezone(found.zone).date()
    while day <= last:
        found.days.setdefault(day, Day())
        day += timedelta(days=1)
