"""A program as a flow of cards: what the studio draws, from top to bottom, ways side by side that join again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.journey.durations import say
from app.journey.entry_words import way_in
from app.journey.ops import (
    BranchOp,
    ConsentOp,
    Op,
    RepeatOp,
    SendOp,
    Sentence,
    SplitOp,
    StartOp,
    StopOp,
    WaitForOp,
    WaitOp,
)
from app.journey.program import Lane, Node, Program
from app.journey.sentences import both, condition_text, event_text, late, sentence, updated, winner


@dataclass(frozen=True, slots=True)
class Way:
    """One way out of a card: its kind (see `program.LaneKind`), what leads here, and its cards."""

    kind: str
    sentence: Sentence
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """One step: `kind` is its word in the language; `notes` are further plain sentences.

    `details` for sends and consent: template, class, topic, channels; for splits: each variant's weight; for start and
    stop: the other workflow.
    """

    id: str
    kind: str
    sentence: Sentence
    notes: tuple[Sentence, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    ways: tuple[Way, ...] = ()


def flow(program: Program) -> tuple[Card, ...]:
    """The cards of a program in order."""
    return _cards(program, program.outline)


def beginning(program: Program) -> tuple[Sentence, ...]:
    """What starts the workflow, one sentence a way in: "When a booking is confirmed, if booking.nights >= 1"."""
    return tuple(way_in(rule) for rule in program.entry)


def endings(program: Program) -> tuple[Sentence, ...]:
    """What ends a passage wherever it is, one sentence each."""
    told = []
    for rule in program.exits:
        condition = "" if condition_text(rule.condition) == "always" else condition_text(rule.condition, "en")
        detto = condition_text(rule.condition, "it") if condition else ""
        if rule.on is None:
            told.append(both(f"Leaves if {condition}", f"Esce se {detto}"))
            continue
        english, italian = f"Leaves when {event_text(rule.on, 'en')}", f"Esce quando {event_text(rule.on, 'it')}"
        told.append(
            both(f"{english}, if {condition}", f"{italian}, se {detto}") if condition else both(english, italian)
        )
    return tuple(told)


def terms(program: Program) -> tuple[Sentence, ...]:
    """What the workflow says for itself where else the workspace's rules hold, one sentence each."""
    told = []
    if program.holdout:
        share = f"{program.holdout}%"
        told.append(both(f"{share} are kept out, to compare with", f"Il {share} resta fuori, per confronto"))
    if program.caps:
        told.append(_caps(program.caps))
    if program.quiet_hours:
        told.append(_quiet(program.quiet_hours))
    if program.tracking is False:
        told.append(both("No click on its messages is followed", "Nessun clic sui suoi messaggi è seguito"))
    limits = program.limits
    if limits.max_entries is not None:
        most = limits.max_entries
        told.append(both(f"{most} passages start and no more", f"Partono {most} passaggi e non di più"))
    if limits.max_duration is not None:
        english, italian = say(limits.max_duration, "en"), say(limits.max_duration, "it")
        told.append(both(f"A passage ends after {english}", f"Un passaggio finisce dopo {italian}"))
    if limits.max_steps is not None:
        steps = limits.max_steps
        told.append(both(f"A passage ends after {steps} steps", f"Un passaggio finisce dopo {steps} passi"))
    return tuple(told)


def _caps(caps: Mapping[str, Any]) -> Sentence:
    spans = {"day": "al giorno", "week": "alla settimana", "month": "al mese"}
    english = ", ".join(f"{caps[span]} a {span}" for span in spans if span in caps)
    italian = ", ".join(f"{caps[span]} {detto}" for span, detto in spans.items() if span in caps)
    return both(f"At most {english} for one person", f"Al massimo {italian} per persona")


def _quiet(quiet: Mapping[str, Any]) -> Sentence:
    if quiet["from"] == quiet["to"]:
        return both("At any hour", "A qualsiasi ora")
    start, end = quiet["from"], quiet["to"]
    return both(f"Nothing goes out from {start} to {end}", f"Niente parte dalle {start} alle {end}")


def _cards(program: Program, nodes: Sequence[Node]) -> tuple[Card, ...]:
    return tuple(_card(program, node) for node in nodes)


def _card(program: Program, node: Node) -> Card:
    op = program.ops[node.place]
    ways = []
    cases = iter(op.cases if isinstance(op, BranchOp) else ())
    for lane in node.lanes:
        condition = next(cases).condition if lane.kind == "case" else None
        said = (
            _label(op, lane) if condition is None else _if(condition_text(condition), condition_text(condition, "it"))
        )
        ways.append(Way(lane.kind, said, _cards(program, lane.nodes)))
    return Card(op.id, op.op, sentence(op), _notes(op), _details(op), tuple(ways))


def _if(english: str, italian: str) -> Sentence:
    return both(f"If {english}", f"Se {italian}")


def _label(op: Op, lane: Lane) -> Sentence:
    if lane.kind == "else":
        return both("Otherwise", "Altrimenti")
    if lane.kind == "unknown":
        return both("If it cannot be known", "Se non si può sapere")
    if isinstance(op, SplitOp):
        variant = op.variants[lane.number]
        return both(f"{variant.weight}%: {variant.name}", f"{variant.weight}%: {variant.name}")
    if isinstance(op, RepeatOp):
        return both("Each time", "Ogni volta")
    if isinstance(op, StartOp) and lane.kind == "then":
        return both("When it has ended", "Quando è concluso")
    if isinstance(op, ConsentOp):
        if lane.kind == "then":
            return both("When consent is given", "Quando il consenso è dato")
        return both("If it is not given in time", "Se non è dato in tempo")
    if lane.kind == "timeout":
        return both("If it does not happen in time", "Se non accade in tempo")
    heard = op.on if isinstance(op, WaitForOp) else ()
    if heard:
        english = " or ".join(event_text(name, "en") for name in heard)
        return both(f"When {english}", "Quando " + " o ".join(event_text(name, "it") for name in heard))
    return both("When it is so", "Quando è così")


def _notes(op: Op) -> tuple[Sentence, ...]:
    if isinstance(op, WaitOp):
        note = late(op)
    elif isinstance(op, SplitOp):
        note = winner(op.winner) if op.winner else None
    elif isinstance(op, SendOp):
        note = updated(op)
    elif isinstance(op, ConsentOp):
        note = both(f"By the message {op.template}", f"Con il messaggio {op.template}")
    else:
        note = None
    return (note,) if note else ()


def _details(op: Op) -> Mapping[str, Any]:
    if isinstance(op, SendOp):
        return {"template": op.template, "class": op.class_, "topic": op.topic, "channels": list(op.channels)}
    if isinstance(op, ConsentOp):
        return {"template": op.template, "class": "consent_request", "topic": op.topic, "channels": ["email"]}
    if isinstance(op, SplitOp):
        return {"variants": {variant.name: variant.weight for variant in op.variants}}
    if isinstance(op, StartOp | StopOp):
        return {"workflow": op.workflow}
    return {}
