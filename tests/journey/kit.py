"""What the tests of the core share: a known world, a program from a text, facts, and a driver without a simulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from app.journey import advance
from app.journey.advance import Advanced, Decision, Effect, Left, Send, SetFields, State, written
from app.journey.compiler import compile_program
from app.journey.facts import Facts
from app.journey.known import FACT_FIELDS, EventShape, Known, TemplateInfo
from app.journey.language import read
from app.journey.program import Program

NOW = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
"""10:00 in Rome."""

EVENTS: Mapping[str, EventShape] = {
    shape.name: shape
    for shape in (
        EventShape("booking.confirmed", {"booking": "any"}, carries=("booking",)),
        EventShape("booking.modified", carries=("booking",)),
        EventShape("booking.cancelled", carries=("booking",)),
        EventShape("booking.checked_in", carries=("booking",)),
        EventShape("booking.checked_out", carries=("booking",)),
        EventShape("booking.abandoned", carries=("booking",)),
        EventShape("consent.granted", {"topic": "text"}, carries=()),
        EventShape("upsell.purchased", {"amount": "money", "product": "text"}, carries=()),
        EventShape("survey.answered", {"score": "number"}, carries=()),
        EventShape("page.viewed", {"url": "text"}, open=True, carries=()),
    )
}
TEMPLATES: Mapping[str, TemplateInfo] = {
    info.name: info
    for info in (
        TemplateInfo("booking-confirmation", languages=("en", "it"), required=("booking.reference",)),
        TemplateInfo("pre-arrival-direct", languages=("en", "it")),
        TemplateInfo("room-upgrade", "marketing", "offers", ("en", "it")),
        TemplateInfo("extra-thanks", languages=("en",), required=("event.amount",)),
        TemplateInfo("review-invitation", "feedback", None, ("en", "it"), review_request=True),
        TemplateInfo("review-reminder", "feedback", None, ("en", "it"), review_request=True),
    )
}
FIELDS = {**FACT_FIELDS, "contact.attributes.vip": "bool", "contact.attributes.score": "number"}
WORLD = Known(EVENTS, FIELDS, TEMPLATES, ("offers", "newsletter"), ())
"""Everything known, nothing taken on trust."""

OPEN_WORLD = Known(EVENTS, FIELDS)
"""Templates and topics are taken as they are."""


def workflow_text(steps: str, *, head: str = "") -> str:
    """A smallest workflow with these steps (indented by two) and further lines at the top."""
    return f"""\
workflow: under-test
name: {{ en: Under test, it: In prova }}
phase: retention
class: transactional
entry:
  - on: booking.confirmed
key: booking.reference
{head}steps:
{steps}"""


def program(steps: str, *, head: str = "", known: Known = OPEN_WORLD) -> Program:
    """The program of a smallest workflow."""
    return compile_program(read(workflow_text(steps, head=head), file="test.yaml", known=known))


def facts(*, arrival: date | None = date(2026, 7, 10), nights: int = 3, **given: Any) -> dict[str, Any]:
    """A person with a booking, in Rome; roots such as `contact` or `consent` may be given."""
    booking = {
        "reference": "B-1",
        "status": "confirmed",
        "channel": "direct",
        "arrival": arrival,
        "departure": arrival + timedelta(days=nights) if arrival else None,
        "nights": nights,
        "amount": 42000,
        "currency": "EUR",
    }
    return {
        "contact": {"external_id": "c-1", "language": "it", "tags": [], "attributes": {}},
        "booking": booking,
        "property": {"zone": "Europe/Rome", "currency": "EUR"},
        "event": {"type": "booking.confirmed", "occurred_at": NOW},
        "enrollment": {"key": "B-1"},
        "consent": {},
        **given,
    }


@dataclass
class Run:
    """One passage driven along by hand."""

    program: Program
    state: State
    effects: list[Effect] = field(default_factory=list)
    trace: list[Decision] = field(default_factory=list)

    def take(self, moved: Advanced | None) -> bool:
        """Take on what a call of the core came to; False where it came to nothing."""
        if moved is None:
            return False
        self.state = moved.state
        self.effects += moved.effects
        self.trace += moved.trace
        return True

    def advance(self, known: Facts, now: datetime) -> None:
        """Advance as the runner does: as long as it is due, on a contact that holds what `set` steps wrote."""
        while self.state.status == "active" and self.state.wake_at is not None and self.state.wake_at <= now:
            before = self.state
            self.take(advance.advance(self.program, self.state, self.seen(known), now))
            assert self.state != before, "due, but nothing moves"

    def seen(self, known: Facts) -> Facts:
        """The facts with what this passage has written of the contact."""
        contact = dict(known["contact"])
        for effect in self.effects:
            if isinstance(effect, SetFields) and effect.target == "contact":
                contact = written(contact, effect.values, effect.add_tags, effect.remove_tags)
        return {**known, "contact": contact}

    @property
    def sends(self) -> list[Send]:
        """The messages planned so far."""
        return [effect for effect in self.effects if isinstance(effect, Send)]

    @property
    def sent(self) -> list[tuple[str, datetime]]:
        """Step and due instant of each."""
        return [(send.step_id, send.due) for send in self.sends]

    @property
    def codes(self) -> list[str]:
        """The codes of the trace."""
        return [decision.code for decision in self.trace]

    @property
    def left(self) -> Left | None:
        """How it ended, if it has."""
        return next((effect for effect in self.effects if isinstance(effect, Left)), None)


def begin(under_test: Program, known: Facts, now: datetime = NOW) -> Run:
    """A passage that has just taken its first steps."""
    run = Run(under_test, advance.start(under_test, "B-1", known, now))
    run.advance(known, now)
    return run


def until_done(run: Run, known: Facts, *, most: int = 200) -> Run:
    """Wake the passage exactly when it asks to be woken, until it is over."""
    for _ in range(most):
        if run.state.status != "active" or run.state.wake_at is None:
            return run
        run.advance(known, run.state.wake_at)
    raise AssertionError("does not end")
