"""Decisions as a chain of links: what `enrollments.explain` tells, with the icons, tones and places of the pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.enrollments.decisions import Check as Asked
from app.enrollments.decisions import Decision
from app.journey.condition_words import in_words as in_words_of
from app.journey.conditions import ConditionError, parse
from app.studio import words
from app.studio.languages import gettext, in_words, language


@dataclass(frozen=True, slots=True)
class Check:
    """One question of the gate: how it was answered, in a sentence, with its rule and what the answer was read from."""

    outcome: str
    sentence: str
    rule: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a condition that a decision was read from: how it was answered, in words, and what was found."""

    outcome: str
    sentence: str
    found: Any


@dataclass(frozen=True, slots=True)
class Shown:
    """One link of the chain. `goes` is (endpoint, values) of the thing it speaks of."""

    stage: str
    icon: str
    tone: str
    at: datetime | None
    sentence: str
    aside: str = ""
    rule: str = ""
    goes: tuple[str, Mapping[str, Any]] | None = None
    goes_to: str = ""
    checks: Sequence[Check] = ()
    lines: Sequence[Line] = ()


KIND_ICONS = {
    "entered": "entry", "send": "send", "waiting": "wait", "waited": "wait", "heard": "wait_for", "timeout": "wait",
    "branch": "branch", "set": "set", "task": "task", "exited": "exit", "finished": "check", "late": "clock",
    "moved": "history", "goal": "goal", "refreshed": "repeat", "missing": "alert", "unknown": "info",
    "carried": "history", "handed_on": "booking", "updated": "send", "after_pause": "pause", "done_before": "forward",
    "emit": "event", "call": "webhook", "start": "entry", "stop": "exit", "split": "split", "round": "repeat",
    "rounds_over": "repeat", "too_deep": "alert", "asked": "consent", "said_no": "exit", "not_asked": "exit",
    "not_shared": "exit", "restricted": "exit",
}  # fmt: skip
_STAGE_ICONS = {"workflow": "info", "event": "event", "entry": "info", "step": "info", "gate": "gate", "lease": "gate",
                "compose": "compose", "delivery": "handed", "returned": "info", "next": "clock"}  # fmt: skip
_WAITING = frozenset({"late", "missing", "stepped_aside", "transient", "deferred", "unsubscribed", "paused"})
_WRONG = frozenset({"permanent", "unknown", "bounced", "complained", "rejected", "failed"})
_GOOD = frozenset({"allowed", "accepted", "delivered", "opened", "clicked", "goal"})


def chain(decisions: Sequence[Decision], *, message_id: int | None = None) -> list[Shown]:
    """Every link; no query. `message_id` is the message whose own page this is: it does not lead to itself."""
    return [_link(one, message_id) for one in decisions]


def _link(one: Decision, message_id: int | None) -> Shown:
    goes, goes_to = _goes(one, message_id)
    return Shown(
        _stage(one),
        KIND_ICONS.get(one.code, _STAGE_ICONS[one.stage]) if one.stage in {"entry", "step"} else _icon(one),
        _tone(one),
        one.at,
        in_words(one.sentence),
        _aside(one),
        one.rule if one.rule and one.code != "allowed" else "",
        goes,
        goes_to,
        [_check(asked, one) for asked in one.checks],
        _lines(one.inputs.get("lines") or ()),
    )


def _lines(rows: Sequence[Mapping[str, Any]]) -> list[Line]:
    """The lines of a condition where there are several; one alone the sentence has told already."""
    if len(rows) < 2:
        return []
    answers = {True: "yes", False: "no"}
    return [Line(answers.get(row["verdict"], "later"), _in_words(row["line"]), row.get("found")) for row in rows]


def _in_words(line: str) -> str:
    try:
        return in_words_of(parse(line), language())
    except ConditionError:
        return line


def _icon(one: Decision) -> str:
    if one.stage == "returned":
        return words.mark(words.DELIVERY, one.code).icon
    if one.stage == "compose" and one.code != "composed":
        return "cross"
    return _STAGE_ICONS[one.stage]


def _tone(one: Decision) -> str:
    if one.stage in {"step", "entry"}:
        return "good" if one.code == "goal" else ("waiting" if one.code in _WAITING else "still")
    if one.stage in {"gate", "lease"}:
        return "good" if one.code == "allowed" else "waiting"
    if one.stage == "returned":
        return words.mark(words.DELIVERY, one.code).tone
    if one.stage == "compose":
        return "still" if one.code == "composed" else "waiting"
    if one.code in _WRONG:
        return "wrong"
    return "good" if one.stage == "delivery" and one.code in _GOOD else ("waiting" if one.code in _WAITING else "still")


def _stage(one: Decision) -> str:
    names = {
        "workflow": gettext("Workflow"),
        "event": gettext("Event"),
        "entry": gettext("Entry"),
        "step": gettext("Step"),
        "gate": gettext("Gate"),
        "lease": gettext("Judged again before hand-over"),
        "compose": gettext("Composed") if one.code == "composed" else gettext("Ended"),
        "returned": gettext("Came back"),
        "next": gettext("Next"),
    }
    if one.stage != "delivery":
        return names[one.stage]
    number = int(one.inputs.get("number") or 1)
    return gettext("Handed over") if number == 1 else gettext("Handed over, try %(number)s", number=number)


def _aside(one: Decision) -> str:
    if one.stage == "event":
        return gettext("Reported as %(id)s", id=one.inputs.get("id"))
    return one.step if one.stage in {"step", "next"} else ""


def _goes(one: Decision, message_id: int | None) -> tuple[tuple[str, Mapping[str, Any]] | None, str]:
    link = one.link
    if link is None:
        return None, ""
    match link.kind:
        case "workflow":
            anchor = {"_anchor": f"step-{link.step}"} if link.step else {}
            return ("studio.workflow", {"name": link.id, **anchor}), link.step or gettext("The workflow")
        case "ledger":
            return ("studio.ledger_line", {"line": link.id}), gettext("Ledger line %(line)s", line=link.id)
        case "template":
            return ("studio.template", {"name": link.id}), gettext("The template")
        case "message" if link.id != message_id:
            return ("studio.message", {"message_id": link.id}), gettext("The message")
    return None, ""


def _check(asked: Asked, one: Decision) -> Check:
    bad = "later" if one.inputs.get("until") else "no"
    return Check("yes" if asked.allowed else bad, in_words(asked.sentence), asked.rule, asked.inputs)
