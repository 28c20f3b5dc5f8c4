"""Who starts a workflow, who leaves it, who reached its goal. Pure: facts and earlier passages come in as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from app.journey.condition_tree import Condition
from app.journey.conditions import evaluate, explain, weighed
from app.journey.durations import say
from app.journey.event_names import event_name
from app.journey.facts import Facts, lookup, temporal
from app.journey.program import EntryRule, ExitRule, Program, Scope, Sentence
from app.journey.sentences import both, event_text
from app.journey.waits import add

REASONS = (
    "not_this_event",
    "other_entry",
    "other_segment",
    "not_by_hand",
    "other_topic",
    "too_old",
    "condition_false",
    "condition_unknown",
    "no_key",
    "already_inside",
    "already_been",
    "too_soon",
    "too_often",
    "already_over",
    "full",
)
"""Why an event may start nothing."""

_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Event:
    """One reported event as the core sees it. `data` is what conditions call `event.<name>`.

    `booking` is the reference of the booking it is about, by which passages keyed by booking are found.
    """

    type: str
    occurred_at: datetime
    data: Mapping[str, Any]
    booking: str | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """An earlier or present passage of the same contact through the same workflow."""

    key: str
    status: Literal["active", "finished", "exited"]
    entered_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Enter:
    """Start a passage for this key."""

    key: str
    sentence: Sentence


@dataclass(frozen=True, slots=True)
class Refresh:
    """Someone is inside for this key: give the passage the new event and rebind its waits."""

    key: str
    sentence: Sentence


@dataclass(frozen=True, slots=True)
class Restart:
    """End the passage that is inside for this key (reason `restarted`) and start anew."""

    key: str
    sentence: Sentence


@dataclass(frozen=True, slots=True)
class NotEntered:
    """The event starts nothing; `code` is one of the words of `REASONS`."""

    code: str
    sentence: Sentence
    key: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """What it was read from, as JSON values: `lines` of the condition as `conditions.weighed` gives them, and such."""


@dataclass(frozen=True, slots=True)
class Exit:
    """A passage ends here."""

    reason: str
    outcome: str | None
    sentence: Sentence


@dataclass(frozen=True, slots=True)
class Reached:
    """The goal was reached; `value` in minor units where the goal names one and the event has it."""

    value: int | None
    sentence: Sentence


def key_of(program: Program, event: Event, facts: Facts) -> str | None:
    """What a passage is for ("" where it is for the contact as such); None: the event has no such key."""
    if program.key is None:
        return ""
    if program.key == "booking.reference" and event.booking is not None:
        return event.booking
    value = lookup(hearing(facts, event), program.key)
    return None if value is None or value == "" else str(value)


def hearing(facts: Facts, event: Event) -> Facts:
    """The facts with `event.x` read from this event."""
    return {**facts, "event": {**event.data, "type": event.type, "occurred_at": event.occurred_at}}


def concerns(program: Program, event: Event, facts: Facts, scope: Scope) -> bool:
    """Whether an event is about the passage that `facts` describe: the same key, or with scope contact the person."""
    root = (program.key or "contact").split(".")[0]
    if scope == "contact" or root == "contact":
        return True
    if root == "booking":
        return event.booking is not None and event.booking == lookup(facts, "booking.reference")
    return bool(key_of(program, event, {}) == lookup(facts, "enrollment.key"))


def on_event(
    program: Program, event: Event, facts: Facts, passages: Sequence[Passage], now: datetime
) -> Enter | Refresh | Restart | NotEntered:
    """What the event does at the door. `passages` are all of this contact in this workflow, any version, any key."""
    refusal = _no_way_in(program, event, facts, now)
    if refusal is not None:
        return refusal
    key = key_of(program, event, facts)
    if key is None:
        text = both(f"the event has no {program.key}", f"l'evento non ha {program.key}")
        return NotEntered("no_key", text)
    inside = [passage for passage in passages if passage.key == key and passage.status == "active"]
    if inside:
        if program.while_active == "refresh":
            return Refresh(key, both("already inside: refreshed", "già nel percorso: aggiornato"))
        if program.while_active == "restart":
            return Restart(key, both("already inside: starts again", "già nel percorso: ricomincia"))
        return NotEntered("already_inside", both("already inside", "già nel percorso"), key)
    over = _already_over(program, event, facts, now) or _not_again(program, key, passages, now) or _full(program, facts)
    if over is not None:
        return NotEntered(over[0], over[1], key)
    named = {language: event_name(event.type, language) for language in ("en", "it")}
    return Enter(key, both(f"entered on “{named['en']}”", f"entrato con “{named['it']}”"))


def _no_way_in(program: Program, event: Event, facts: Facts, now: datetime) -> NotEntered | None:
    """None where one entry rule lets the event in; else why the last of its rules did not."""
    heard = hearing(facts, event)
    named = [f"“{event_name(event.type, language)}”" for language in ("en", "it")]
    refusal = NotEntered("not_this_event", both(f"{named[0]} starts nothing here", f"{named[1]} non avvia nulla qui"))
    for rule in program.entry:
        if rule.on != event.type:
            continue
        elsewhere = _not_meant(program, rule, event)
        if elsewhere is not None:
            refusal = elsewhere
        elif rule.topic is not None and lookup(heard, "event.topic") != rule.topic:
            inputs = {"topic": lookup(heard, "event.topic"), "wanted": rule.topic}
            topic = inputs["topic"]
            text = both(
                f"it is about {topic or 'something else'}, not {rule.topic}",
                f"riguarda {topic or 'altro'}, non {rule.topic}",
            )
            refusal = NotEntered("other_topic", text, inputs=inputs)
        elif rule.max_age is not None and add(event.occurred_at, rule.max_age, _UTC) < now:
            english = f"happened more than {say(rule.max_age, 'en')} ago"
            text = both(english, f"accaduto più di {say(rule.max_age, 'it')} fa")
            refusal = NotEntered("too_old", text, inputs={"occurred_at": event.occurred_at.isoformat()})
        else:
            verdict = evaluate(rule.condition, heard, now)
            if verdict is True:
                return None
            code = "condition_false" if verdict is False else "condition_unknown"
            lines = weighed(rule.condition, heard, now)
            refusal = NotEntered(code, _explained(rule.condition, heard, now), inputs={"lines": lines})
    return refusal


def _not_meant(program: Program, rule: EntryRule, event: Event) -> NotEntered | None:
    """Why an event of our own is not the one that this way in is about; None where it is."""
    data = event.data
    addressed = rule.number is not None or bool(rule.by)
    if (addressed and data.get("workflow") != program.workflow) or (
        rule.number is not None and data.get("entry") != rule.number
    ):
        text = both("meant for another way in", "riguarda un altro ingresso")
        return NotEntered("other_entry", text, inputs={"workflow": data.get("workflow"), "entry": data.get("entry")})
    if rule.by and data.get("by") not in rule.by:
        by = str(data.get("by"))
        text = both(f"may not be started by {by}", f"non può essere avviato da {by}")
        return NotEntered("not_by_hand", text, inputs={"by": by})
    if rule.number is None and rule.segment is not None and data.get("segment") != rule.segment:
        text = both(f"not about the segment {rule.segment}", f"non riguarda il segmento {rule.segment}")
        return NotEntered("other_segment", text, inputs={"segment": data.get("segment"), "wanted": rule.segment})
    return None


def _explained(condition: Condition, facts: Facts, now: datetime) -> Sentence:
    return both(explain(condition, facts, now, "en"), explain(condition, facts, now, "it"))


def _already_over(program: Program, event: Event, facts: Facts, now: datetime) -> tuple[str, Sentence] | None:
    """An exit that came before its entry: a cancellation delivered first (X19), a stay long past."""
    for rule in program.exits:
        if rule.on is None:
            if evaluate(rule.condition, hearing(facts, event), now) is True:
                return "already_over", _explained(rule.condition, facts, now)
            continue
        for happened in _past(facts, rule.scope):
            name, at = happened[0], happened[1]
            if name != rule.on or at < event.occurred_at:
                continue
            data = happened[2] if len(happened) > 2 else {}
            if _rule_takes(rule, Event(name, at, data), facts, now):
                return "already_over", both(f"{event_text(name, 'en')} already", f"già: {event_text(name, 'it')}")
    return None


def _full(program: Program, facts: Facts) -> tuple[str, Sentence] | None:
    """Whether as many passages have begun as may at all (`limits.max_entries`); `workflow.entries` counts them."""
    most, entries = program.limits.max_entries, lookup(facts, "workflow.entries")
    if most is None or not isinstance(entries, int) or entries < most:
        return None
    return "full", both(f"{entries} have entered, the most allowed", f"sono entrati in {entries}, il massimo")


def _past(facts: Facts, scope: Scope) -> Sequence[Any]:
    found: Sequence[Any] = facts.get("contact_events" if scope == "contact" else "past_events") or ()
    return found


def happened_since(facts: Facts, scope: Scope, names: Sequence[str], since: datetime) -> Sequence[Event]:
    """The past events of these types from an instant on, oldest first."""
    found = [
        Event(past[0], past[1], past[2] if len(past) > 2 else {})
        for past in _past(facts, scope)
        if past[0] in names and past[1] >= since
    ]
    return sorted(found, key=lambda event: event.occurred_at)


def _not_again(program: Program, key: str, passages: Sequence[Passage], now: datetime) -> tuple[str, Sentence] | None:
    rule = program.reenter
    earlier = [passage for passage in passages if rule.scope == "contact" or passage.key == key]
    if not earlier:
        return None
    if not rule.allowed:
        return "already_been", both("has been through already", "è già passato di qui")
    if rule.max is not None and len(earlier) >= rule.max:
        english = f"has been through {len(earlier)} times, the most allowed"
        return "too_often", both(english, f"è già passato {len(earlier)} volte, il massimo")
    if rule.after is not None:
        again = add(max(passage.entered_at for passage in earlier), rule.after, _UTC)
        if now < again:
            english = f"entered less than {say(rule.after, 'en')} ago"
            return "too_soon", both(english, f"entrato da meno di {say(rule.after, 'it')}")
    return None


def _rule_takes(rule: ExitRule, event: Event, facts: Facts, now: datetime) -> bool:
    if rule.topic is not None and event.data.get("topic") != rule.topic:
        return False
    return evaluate(rule.condition, hearing(facts, event), now) is True


def exit_by_event(program: Program, event: Event, facts: Facts, now: datetime) -> Exit | None:
    """Whether the event ends the passage that `facts` describe (its key in facts["enrollment"]["key"])."""
    for rule in program.exits:
        if (
            rule.on == event.type
            and concerns(program, event, facts, rule.scope)
            and _rule_takes(rule, event, facts, now)
        ):
            return Exit(rule.reason, rule.outcome, both(event_text(event.type, "en"), event_text(event.type, "it")))
    return None


def exit_by_state(program: Program, facts: Facts, now: datetime) -> Exit | None:
    """Whether an exit condition without an event holds now."""
    for rule in program.exits:
        if rule.on is None and evaluate(rule.condition, facts, now) is True:
            return Exit(rule.reason, rule.outcome, _explained(rule.condition, facts, now))
    return None


def goal_by_event(program: Program, event: Event, facts: Facts, now: datetime) -> Reached | None:
    """Whether the event is the goal of the passage that `facts` describe (entered_at in facts["enrollment"])."""
    goal = program.goal
    if goal is None or goal.on != event.type or not concerns(program, event, facts, goal.scope):
        return None
    entered = temporal(lookup(facts, "enrollment.entered_at"))
    if isinstance(entered, datetime):
        if event.occurred_at < entered:
            return None
        if goal.within is not None and event.occurred_at > add(entered, goal.within, _UTC):
            return None
    heard = hearing(facts, event)
    if evaluate(goal.condition, heard, now) is not True:
        return None
    value = lookup(heard, goal.value) if goal.value else None
    amount = value if isinstance(value, int) and not isinstance(value, bool) else None
    return Reached(
        amount, both(f"goal reached: {event_text(event.type, 'en')}", f"obiettivo: {event_text(event.type, 'it')}")
    )
