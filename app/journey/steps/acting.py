"""Steps that do something and go on at once: send, set, emit, webhook, stop, task, exit."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.journey.consents import may_be_told
from app.journey.facts import lookup
from app.journey.ops import EmitOp, ExitOp, For, SendOp, SetOp, StopOp, TaskOp, WebhookOp
from app.journey.sentences import both
from app.journey.state import CallOut, Emit, Send, SetFields, StopOther, Task, written
from app.journey.waits import resolve
from app.journey.walk import Walk

DEFAULT_LATEST = timedelta(hours=24)
"""How long a send behind a wait stays good where it does not say; after an outage what is staler is refused (R59)."""

_OWN = "enrollment.fields."


def send(walk: Walk, op: SendOp) -> None:
    """Plan a message."""
    visit = walk.visit(op.id)
    latest = _latest(walk, op)
    walk.effects.append(
        Send(
            step_id=op.id,
            visit=visit,
            template=op.template,
            class_=op.class_,
            topic=op.topic,
            channels=op.channels,
            priority=op.priority,
            due=walk.moment,
            latest=latest,
            skip_if_sent_within=op.skip_if_sent_within,
            sender=op.sender,
            attachments=op.attachments,
        )
    )
    if walk.traced:
        text = both(f"message planned: {op.template}", f"messaggio pianificato: {op.template}")
        until = latest.isoformat() if latest else None
        walk.note("send", text, template=op.template, due=walk.moment.isoformat(), latest=until)
    walk.go(op.next)


def _latest(walk: Walk, op: SendOp) -> datetime | None:
    written_ = resolve(op.latest, walk.moment, walk.facts()) if op.latest is not None else None
    if written_ is not None:
        return written_
    return walk.moment + DEFAULT_LATEST if walk.waited else None


def set_fields(walk: Walk, op: SetOp) -> None:
    """Write fields of the passage and of the contact."""
    visit = walk.visit(op.id)
    values = walk.filled(op.values, op.copies)
    own = {p.removeprefix(_OWN): v for p, v in values.items() if p.startswith(_OWN)}
    contact = {p.removeprefix("contact."): v for p, v in values.items() if p.startswith("contact.")}
    if own:
        walk.write(fields=own)
        walk.effects.append(SetFields(op.id, visit, "enrollment", own))
    if contact or op.add_tags or op.remove_tags:
        walk.write(contact=written(walk.facts().get("contact") or {}, contact, op.add_tags, op.remove_tags))
        walk.effects.append(SetFields(op.id, visit, "contact", contact, op.add_tags, op.remove_tags))
    walk.note("set", walk.said(op), values=values, add=list(op.add_tags), remove=list(op.remove_tags))
    walk.go(op.next)


def emit(walk: Walk, op: EmitOp) -> None:
    """Report an event of our own about this person, and about the passage's booking if it has one."""
    visit = walk.visit(op.id)
    data = walk.filled(op.data, op.copies)
    reference = lookup(walk.given, "booking.reference")
    walk.effects.append(Emit(op.id, visit, op.type, data, None if reference is None else str(reference)))
    walk.note("emit", walk.said(op), event=op.type, data=data)
    walk.go(op.next)


def call(walk: Walk, op: WebhookOp) -> None:
    """Have another system called; one that uses it for itself, only for those who have agreed to that (R3)."""
    visit = walk.visit(op.id)
    if op.shares and not may_be_told(walk.facts()):
        text = both(
            f"{op.endpoint} not called: the person has not agreed to sharing",
            f"{op.endpoint} non chiamato: la persona non ha acconsentito alla comunicazione a terzi",
        )
        walk.note("not_shared", text, endpoint=op.endpoint, rule="R3")
        walk.go(op.next)
        return
    data = walk.filled(op.data, op.copies)
    walk.effects.append(CallOut(op.id, visit, op.endpoint, data, op.shares))
    walk.note("call", walk.said(op), endpoint=op.endpoint, data=data)
    walk.go(op.next)


def stop(walk: Walk, op: StopOp) -> None:
    """Have another workflow ended for this person."""
    visit = walk.visit(op.id)
    key = walk.key if op.scope == "key" else None
    walk.effects.append(StopOther(op.id, visit, op.workflow, op.reason, key))
    walk.note("stop", walk.said(op), workflow=op.workflow, reason=op.reason)
    walk.go(op.next)


def task(walk: Walk, op: TaskOp) -> None:
    """Give work to a person."""
    visit = walk.visit(op.id)
    due = resolve(For(op.due_within, walk.program.zone), walk.moment, walk.facts()) if op.due_within else None
    walk.effects.append(Task(op.id, visit, op.to, dict(op.text), due))
    walk.note("task", walk.said(op), to=op.to)
    walk.go(op.next)


def leave(walk: Walk, op: ExitOp) -> None:
    """Leave the workflow here."""
    walk.visit(op.id)
    walk.note("exited", walk.said(op), reason=op.reason)
    walk.end("exited", op.reason, op.outcome)
