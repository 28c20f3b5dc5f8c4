"""Drives one passage through a life, by hand and in plain sight: what the line does, without its database.

The worker comes round promptly or only now and then; events are heard and bookings moved when they happen. Between any
two calls of the core the state may be taken through JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from app.journey import advance, entry
from app.journey.advance import AskConsent, StartOther, State
from app.journey.consents import turned_down
from app.journey.entry import Event
from app.journey.program import ENDED, Program
from tests.journey.kit import NOW, Run, facts
from tests.journey.proof.at_random import NO, YES, Life

HORIZON = NOW + timedelta(days=1200)
Between = Callable[[State], State]


@dataclass
class Lived(Run):
    """A passage that is driven through a life."""

    life: Life = field(kw_only=True)
    between: Between = field(kw_only=True, default=lambda state: state)
    ahead: list[tuple[datetime, int, Any]] = field(default_factory=list)
    past: list[Event] = field(default_factory=list)
    booking: Any = None
    asked: bool = False

    def known(self) -> dict[str, Any]:
        """The facts at this moment, as the line would load them."""
        mine = [(e.type, e.occurred_at, e.data) for e in self.past if e.booking == "B-1"]
        told = [(e.type, e.occurred_at, e.data) for e in self.past]
        whole = {**self.life.known, "past_events": mine, "contact_events": told, "consent": self.consent()}
        if self.booking is not None:
            whole["booking"] = self.booking
        return dict(self.seen(whole))

    def consent(self) -> dict[str, str]:
        """Where consent stands: what was said last, else whether it was asked for, else what held at the start."""
        said = [event.type for event in self.past if event.type in (YES, NO)]
        if said:
            return {"offers": "granted" if said[-1] == YES else "withdrawn"}
        return {"offers": "pending"} if self.asked else dict(self.life.known["consent"])

    def calls(self) -> None:
        """What is done before any call of the core."""
        self.state = self.between(self.state)

    def work(self, now: datetime) -> None:
        """The worker comes round."""
        while self.state.status == "active" and self.state.wake_at is not None and self.state.wake_at <= now:
            self.calls()
            before, done = self.state, len(self.effects)
            self.take(advance.advance(self.program, self.state, self.known(), now))
            assert self.state != before, "due, but nothing moves"
            for effect in self.effects[done:]:
                if isinstance(effect, AskConsent):
                    self.is_asked(now)
                if isinstance(effect, StartOther) and effect.awaited and self.life.other_takes is not None:
                    ends = self.state.moment + self.life.other_takes
                    data = {"workflow": effect.workflow, "key": effect.key, "status": "finished"}
                    self.later(ends, Event(ENDED, ends, data, "B-1"))

    def is_asked(self, now: datetime) -> None:
        """The house puts the request on record, or says why it does not."""
        why = turned_down(self.consent().get("offers"), None, now)
        if why is None:
            self.asked = True
        else:
            self.calls()
            assert self.take(advance.turned_down(self.program, self.state, why, self.known(), now))

    def later(self, at: datetime, what: Any) -> None:
        """Something will happen."""
        self.ahead.append((at, len(self.ahead), what))
        self.ahead.sort(key=lambda one: one[:2])

    def happens(self, now: datetime) -> None:
        """All that has happened up to now reaches the passage."""
        while self.ahead and self.ahead[0][0] <= now:
            _, _, what = self.ahead.pop(0)
            self.calls()
            if isinstance(what, Event):
                self.hears(what, now)
            else:
                self.moves(what, now)

    def hears(self, event: Event, now: datetime) -> None:
        """One event: it may end the passage, or be what it waits for."""
        self.past.append(event)
        if self.state.status != "active":
            return
        known = self.known()
        laid = {**known, "enrollment": {"key": self.state.key, "entered_at": self.state.entered_at}}
        over = entry.exit_by_event(self.program, event, laid, now)
        if over is not None:
            self.take(advance.leave(self.state, over.reason, over.outcome, over.sentence, now))
        else:
            self.take(advance.hear(self.program, self.state, event, known, now))

    def moves(self, arrival: date, now: datetime) -> None:
        """The booking has another arrival; it stays as long as it was."""
        self.booking = facts(arrival=arrival, nights=self.life.known["booking"]["nights"])["booking"]
        self.take(advance.rebind(self.program, self.state, self.known(), now))


def live(
    program: Program,
    life: Life,
    *,
    hops: Iterable[datetime] | None = None,
    between: Between = lambda state: state,
    booking: Any = None,
) -> Lived:
    """One passage from its start to its end.

    Without `hops` the worker is prompt: it comes whenever the passage asks to be woken. With them it comes at those
    instants, and at last often enough for the passage to end.
    """
    start = {**life.known, **({"booking": booking} if booking is not None else {})}
    lived = Lived(program, advance.start(program, "B-1", start, NOW), life=life, between=between, booking=booking)
    for event in life.events:
        lived.later(event.occurred_at, event)
    for at, arrival in life.moves:
        lived.later(at, arrival)
    rounds = None if hops is None else [*sorted(hops), *(HORIZON + timedelta(days=40 * n) for n in range(60))]
    now = NOW
    for _ in range(4000):
        if rounds is None or now == NOW or now in rounds:
            lived.work(now)
        moments = [lived.ahead[0][0]] if lived.ahead else []
        if rounds is None:
            moments += [lived.state.wake_at] if lived.state.wake_at is not None else []
        elif lived.state.status == "active":
            moments += [instant for instant in rounds if instant > now][:1]
        if not moments:
            return lived
        now = max(now, min(moments))
        lived.happens(now)
    raise AssertionError("does not come to rest")
