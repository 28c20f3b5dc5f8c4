"""Messages that say that what an earlier message said has changed (RULES X1). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from app.journey.facts import Facts, lookup, temporal
from app.journey.known import CALENDAR
from app.journey.program import Program, SendOp
from app.journey.sentences import both
from app.journey.state import Advanced, Decision, Send, State
from app.journey.steps.acting import DEFAULT_LATEST
from app.journey.waits import resolve


def updates(program: Program, state: State, told: Mapping[str, Facts], facts: Facts, now: datetime) -> Advanced | None:
    """The messages due because what people were told is no longer so; None where nothing is to be said.

    Args:
        program: the version the passage is on.
        state: the passage; one that is over says nothing any more.
        told: step id → the facts that its last message was made of, for messages that have really gone out. A step
            whose message has not gone yet is left out: it will be made of what holds then.
        facts: what holds now.
        now: the instant.

    Returns:
        The state with the visits of those steps counted on, so that each message has an identity of its own; a `Send`
        for each; and a decision with the fields that changed, before and after. What was not known when the message
        went is no change.
    """
    if state.status != "active":
        return None
    visits = dict(state.visits)
    effects: list[Send] = []
    trace: list[Decision] = []
    for op in program.ops:
        if not isinstance(op, SendOp) or op.updated is None or op.id not in told:
            continue
        changed = [line for path in op.updated.when if (line := _changed(path, told[op.id], facts)) is not None]
        if not changed:
            continue
        visits[op.id] = visits.get(op.id, 0) + 1
        latest = resolve(op.updated.latest, now, facts) if op.updated.latest is not None else None
        effects.append(
            Send(
                step_id=op.id,
                visit=visits[op.id],
                template=op.updated.template,
                class_=op.class_,
                topic=op.topic,
                channels=op.channels,
                priority=op.priority,
                due=now,
                latest=latest or now + DEFAULT_LATEST,
                sender=op.sender,
                # The files were published with the other template; the stay is what has changed.
                attachments=tuple(name for name in op.attachments if name == CALENDAR),
            )
        )
        names = ", ".join(line["field"].rsplit(".", 1)[-1] for line in changed)
        template = op.updated.template
        text = both(f"changed since: {names}; {template}", f"cambiato nel frattempo: {names}; {template}")
        trace.append(Decision(op.id, "updated", text, now, {"changed": changed, "template": op.updated.template}))
    if not effects:
        return None
    return Advanced(replace(state, visits=visits), tuple(effects), tuple(trace))


def _changed(path: str, before: Facts, after: Facts) -> dict[str, Any] | None:
    was, is_now = _value(before, path), _value(after, path)
    if was is None or was == is_now:
        return None
    return {"field": path, "before": was, "after": is_now}


def _value(facts: Facts, path: str) -> Any:
    """A fact as JSON has it: a stored message knows its days as texts."""
    value = lookup(facts, path)
    moment = temporal(value) if isinstance(value, str | date) else None
    return value if moment is None else moment.isoformat()
