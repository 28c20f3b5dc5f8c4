"""One recorded person on the stage of the simulator: facts as they were known, judged by production's own rule.

`simulation` counts what many of them come to. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.consent.ages import is_child
from app.consent.case import ConsentFacts, Contacted, Purchase, Request
from app.consent.fold import Key, State
from app.consent.policy import Policy
from app.consent.rules import decide, decide_among
from app.db import workspace_of
from app.enrollments import recorded
from app.enrollments.recorded import Recorded, Span
from app.journey import consents, entry, goals
from app.journey.experiments import held_out
from app.journey.facts import Facts, lookup, zone
from app.journey.program import Program
from app.journey.scenes import Happening, Judgement, Scene, allow_all
from app.journey.scenes import Waiting as Pending
from app.journey.simulate import Stage
from app.journey.waits import add


@dataclass(frozen=True, slots=True)
class World:
    """What is the same for everybody: properties and the workspace's policy, as they are today."""

    properties: Mapping[int | None, Facts]
    policy: Policy


def world(session: Session, program: Program) -> World:
    """Two queries."""
    settings: Mapping[str, Any] = (
        session.scalar(select(Workspace.settings).where(Workspace.id == workspace_of(session))) or {}
    )
    terms = {name: value for name, value in (("caps", program.caps), ("quiet_hours", program.quiet_hours)) if value}
    without_pauses = {name: value for name, value in settings.items() if name != "paused"}
    return World(recorded.properties(session), Policy.from_settings(without_pauses).with_terms(terms))


def _as_known(_before: Mapping[str, Any] | None, happening: Happening) -> Mapping[str, Any]:
    """Bookings come folded as they were known then (`recorded.Stay`)."""
    return happening.booking or {}


class Replay(Stage):
    """One recorded person on the stage of the simulator: facts as they were known, judged by production's rule."""

    def __init__(
        self, program: Program, person: Recorded, known: World, span: Span, *, alone: bool, traced: bool = True
    ) -> None:
        scene = Scene(
            now=span.since,
            contact=person.contact,
            property=known.properties.get(None) or {},
            happenings=person.happenings,
            until=span.until,
            segments=tuple(person.segments),
            held_out=held_out(("holdout", program.workflow, person.contact_id), program.holdout),
        )
        super().__init__(program, scene, allow_all, _as_known, traced=traced)  # `judged` asks no other judge
        self.person, self.world, self.alone = person, known, alone
        self.own: list[Contacted] = []
        self.put_off: list[tuple[datetime, str, str]] = []
        self.first_judged: dict[tuple[str, str, int], datetime] = {}
        for earlier in person.before:
            reference = earlier.reference
            if reference is not None:
                self.bookings[reference] = earlier.booking or {}
            self.remember(entry.Event(earlier.type, earlier.occurred_at, earlier.data, reference))

    def known(self, reference: str | None) -> dict[str, Any]:
        """What the stage knows, with consents and the property as they were."""
        facts = super().known(reference)
        facts["consent"] = {**dict.fromkeys(self.asked, "pending"), **self.person.consent(self.now)}
        facts["property"] = self.world.properties.get((facts["booking"] or {}).get("_property")) or self.scene.property
        return facts

    def turned_down(self, topic: str) -> str | None:
        """Why consent is not asked for, by the ledger of that instant."""
        person, now = self.person, self.now
        if person.address is None:
            return "no_address"
        if any(one.scope == "all" for one in person.suppressed("email", now)):
            return "suppressed"
        held = person.states(now).get((person.address, "email", "marketing", topic))
        said = consents.word(self.known(None), topic)
        return consents.turned_down(said, held.refused_at if held else None, now, self.asked.get(topic))

    def _states(self) -> Mapping[Key, State]:
        """The ledger of this instant, with what this replay has asked for and nobody has answered."""
        states, address = self.person.states(self.now), self.person.address or ""
        for topic, at in self.asked.items():
            key = (address, "email", "marketing", topic)
            if key not in states or states[key].at < at:
                states = {**states, key: State("pending", 0, at, "workflow", True)}
        return states

    def goals(self) -> Iterator[goals.Scored]:
        """The goals that stand at the end: what took one back counts, whenever it came."""
        if self.program.goal is None:
            return
        happened = [event for event, _ in self.log]
        for passage in self.inside:
            scored = goals.scored(self.program, self.facts_of(passage), happened, None, self.now)
            if scored is not None:
                yield scored

    def judged(self, one: Pending) -> Judgement:
        """Exits, repeats and the rules of consent, as the gate asks them."""
        facts = self.facts_of(one.passage)
        if self._sent_lately(one, facts):
            return Judgement("refused", "sent_already", "R59")
        send, number = one.send, len(self.own) + 1
        stay = self.person.stays.get(one.passage.reference or "")
        booking = stay.purchase(self.now) if stay is not None else None
        since = self.first_judged.setdefault((one.passage.key, send.step_id, send.visit), self.now)
        request = Request(
            message_id=-number,
            class_=send.class_,
            channel=send.channels[0],
            topic=send.topic,
            due_at=send.due,
            priority=send.priority,
            latest=send.latest,
            since=since,
            booking_id=booking.booking_id if booking else None,
        )
        known: dict[str, ConsentFacts] = {
            channel: self._told(one, facts, booking, channel) for channel in send.channels
        }
        if len(known) > 1:
            _, decision = decide_among(request, known, self.now, self.world.policy)
        else:
            decision = decide(request, known[request.channel], self.now, self.world.policy)
        if decision.allowed:
            self.own.append(Contacted(-number, send.class_, self.now, request.booking_id, send.topic))
        elif decision.outcome == "deferred":
            self.put_off.append((self.now, decision.code, decision.rule or ""))
        asked = next((check for check in decision.checks if not check.ok), None)
        if asked is None:
            return Judgement(decision.outcome, "allowed", decision.rule, decision.until)
        return Judgement(decision.outcome, asked.code, asked.rule, decision.until, asked.inputs)

    def _sent_lately(self, one: Pending, facts: Facts) -> bool:
        within = one.send.skip_if_sent_within
        if within is None:
            return False
        real = (
            ()
            if self.alone
            else (sent.at for sent in self.person.sent if sent.template == one.send.template and sent.at <= self.now)
        )
        own = self.sent_at.get(one.send.template)
        last = max((*real, *((own,) if own else ())), default=None)
        return last is not None and self.now < add(last, within, zone(facts, "property"))

    def _told(self, one: Pending, facts: Facts, booking: Purchase | None, channel: str) -> ConsentFacts:
        person, now = self.person, self.now
        left = entry.exit_by_state(self.program, facts, now)
        born = lookup(facts, "contact.attributes.birth_date")
        bought = [stay.purchase(now) for stay in person.stays.values()]
        real = [] if self.alone else [
            Contacted(sent.id, sent.class_, sent.at, sent.booking_id, sent.topic)
            for sent in person.sent
            if sent.at <= now
        ]  # fmt: skip
        return ConsentFacts(
            address=person.address if channel == "email" else person.phone,
            states=self._states(),
            property_zone=str(lookup(facts, "property.zone") or "UTC"),
            property_country=lookup(facts, "property.country"),
            zone=lookup(facts, "contact.zone"),
            country=lookup(facts, "contact.country"),
            frozen=person.frozen_at is not None and person.frozen_at <= now,
            erased=person.erased_at is not None and person.erased_at <= now,
            minor=is_child(str(born or ""), None, now.date()),
            suppressed=person.suppressed(channel, now),
            purchases=tuple(one for one in bought if one is not None),
            booking=booking,
            contacted=(*real, *self.own),
            left="exit" if one.passage.by_rule else (left.reason if left else None),
            holdout=self.world.policy.keeps_out(person.contact_id),
        )
