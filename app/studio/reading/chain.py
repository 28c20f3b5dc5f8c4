"""The chain of decisions of one message, in order: from the event to what came back. The same for "why not"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.messages.models import Message
from app.studio import words
from app.studio.languages import gettext, in_words, moment
from app.studio.reading.messages import Told


@dataclass(frozen=True, slots=True)
class Check:
    """One question of the gate: how it was answered, in a sentence, with its rule and what the answer was read from."""

    outcome: str
    sentence: str
    rule: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Link:
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


_PATH = re.compile(r"[a-z_]+\.")
"""How a condition begins: those stay as they are written."""

KIND_ICONS = {
    "entered": "entry", "send": "send", "waiting": "wait", "waited": "wait", "heard": "wait_for", "timeout": "wait",
    "branch": "branch", "set": "set", "task": "task", "exited": "exit", "finished": "check", "late": "clock",
    "moved": "history", "goal": "goal", "refreshed": "repeat", "missing": "alert", "unknown": "info",
}  # fmt: skip


def chain(told: Told) -> list[Link]:
    """Every link; no query."""
    links = [*_event(told), *_steps(told), *_judged(told.message, told), *_composed(told), *_handed_over(told)]
    links += _returned(told)
    if told.message.state in {"planned", "deferred", "ready"} and not told.attempts:
        links.append(_awaited(told.message))
    return links


def _event(told: Told) -> list[Link]:
    if told.event is None:
        return []
    source = told.source.name if told.source else gettext("Percorso itself")
    return [
        Link(
            gettext("Event"),
            "event",
            "still",
            told.event.occurred_at,
            words.event(told.event.type),
            gettext("Reported by %(source)s as %(id)s", source=source, id=told.event.event_id),
            goes=("studio.contact", {"contact_id": told.contact.id, "_anchor": f"event-{told.event.id}"}),
            goes_to=gettext("In the timeline"),
        )
    ]


def _steps(told: Told) -> list[Link]:
    links = []
    title = in_words(told.workflow.title, told.workflow.name) if told.workflow else ""
    for place, visit in enumerate(told.visits):
        following = told.visits[place + 1] if place + 1 < len(told.visits) else None
        if visit.code == "waiting" and following is not None and following.step_id == visit.step_id:
            continue  # how the wait ended says also that there was one
        detail = visit.detail
        goes = None
        if told.workflow:
            anchor = {"_anchor": f"step-{visit.step_id}"} if visit.step_id else {}
            goes = ("studio.workflow", {"name": told.workflow.name, **anchor})
        entered = visit.code == "entered"
        links.append(
            Link(
                gettext("Entry") if entered else gettext("Step"),
                KIND_ICONS.get(visit.code, "info"),
                "waiting" if visit.code in {"late", "missing"} else "still",
                visit.at,
                _said(visit.code, detail, told.titles),
                title if entered else visit.step_id,
                goes=goes,
                goes_to=title if entered else visit.step_id,
            )
        )
        if visit.code == "send" and visit.step_id == told.message.step_id:
            break  # what the passage did after this message is not this message's story
    return links


def _said(code: str, detail: Mapping[str, Any], titles: Mapping[str, Mapping[str, str]]) -> str:
    """A decision in a sentence: with a moment as the reader writes it, else as the core said it."""
    inputs = detail.get("inputs") or {}
    due = datetime.fromisoformat(inputs["due"]) if inputs.get("due") else None
    if code == "entered":
        return gettext("Entered the workflow")
    if code == "send" and inputs.get("template"):
        title = in_words(titles.get(inputs["template"]), inputs["template"])
        return gettext("Planned the message “%(title)s”", title=title)
    if code == "waited" and due is not None:
        return gettext("Waited until %(moment)s", moment=moment(due))
    if code == "waiting" and due is not None and not inputs.get("waits_for"):
        return gettext("Waits until %(moment)s", moment=moment(due))
    if code == "late" and due is not None:
        moved = {
            "go_on": gettext("%(moment)s was already past: went on at once", moment=moment(due)),
            "skip_next": gettext("%(moment)s was already past: skipped the next step", moment=moment(due)),
            "skip_to_end": gettext("%(moment)s was already past: skipped to the end", moment=moment(due)),
            "exit": gettext("%(moment)s was already past: left the workflow", moment=moment(due)),
        }
        return moved.get(str(inputs.get("late")), _sentence(detail))
    return _sentence(detail) or words.visit(code)


def _sentence(detail: Mapping[str, Any]) -> str:
    said = detail.get("sentence")
    text = in_words(said) if isinstance(said, Mapping) else ""
    return text if _PATH.match(text) else text[:1].upper() + text[1:]


def checks_of(verdict: Mapping[str, Any]) -> list[Check]:
    """The questions of one judgement in the order they were asked."""
    asked = []
    for check in verdict.get("checks", ()):
        good = bool(check.get("allowed"))
        outcome = "yes" if good else ("later" if verdict.get("outcome") == "deferred" else "no")
        inputs = {name: value for name, value in (check.get("inputs") or {}).items() if value is not None}
        asked.append(Check(outcome, words.check(check), check.get("rule") or "", inputs))
    return asked


def _judged(message: Message, told: Told) -> list[Link]:
    links = []
    for verdict in message.verdict:
        outcome = verdict.get("outcome") or ("allowed" if verdict.get("allowed") else "refused")
        failed = next((check for check in verdict.get("checks", ()) if not check.get("allowed")), None)
        again = verdict.get("moment") not in {None, "gate"}
        stage = gettext("Judged again before hand-over") if again else gettext("Gate")
        at = datetime.fromisoformat(verdict["at"]) if verdict.get("at") else None
        rule = (failed or {}).get("rule") or message.rule or ""
        goes: tuple[str, Mapping[str, Any]] | None = None
        aside = ""
        if outcome == "allowed":
            tone, sentence = "good", gettext("It may go")
            if message.basis:
                aside = gettext("It stands on: %(basis)s", basis=words.name(words.BASES, message.basis))
        elif outcome == "deferred":
            tone = "waiting"
            sentence = gettext("Put off: %(reason)s", reason=words.name(words.REASONS, (failed or {}).get("code")))
        else:
            tone = "waiting"
            sentence = gettext("Not sent: %(reason)s", reason=words.name(words.REASONS, (failed or {}).get("code")))
        if told.ledger is not None and outcome != "deferred":
            goes = ("studio.ledger_line", {"line": told.ledger.line})
        goes_to = gettext("Ledger line %(line)s", line=told.ledger.line) if told.ledger is not None else ""
        links.append(
            Link(
                stage,
                "gate",
                tone,
                at,
                sentence,
                aside,
                "" if outcome == "allowed" else rule,
                goes,
                goes_to,
                checks_of(verdict),
            )
        )
    return links


def _composed(told: Told) -> list[Link]:
    message = told.message
    if message.state in {"cancelled", "refused"} and not message.subject and message.reason:
        if message.verdict and not message.verdict[-1].get("allowed"):
            return []
        reason = words.name(words.REASONS, message.reason)
        text = (
            gettext("Called off: %(reason)s", reason=reason)
            if message.state == "cancelled"
            else gettext("Not sent: %(reason)s", reason=reason)
        )
        return [Link(gettext("Ended"), "cross", "waiting", message.ended_at, text, rule=message.rule or "")]
    if message.state == "failed" and not told.attempts:
        text = gettext("It could not be made: %(reason)s", reason=words.name(words.REASONS, message.reason))
        return [Link(gettext("Composed"), "compose", "wrong", message.ended_at, text, rule=message.rule or "")]
    if not message.subject:
        return []
    version = gettext("version %(number)s", number=told.template_version) if told.template_version else ""
    title = in_words(told.template.title, message.template) if told.template else message.template
    return [
        Link(
            gettext("Composed"),
            "compose",
            "still",
            told.attempts[0].at if told.attempts else message.handed_over_at,
            gettext("“%(subject)s”", subject=message.subject),
            " · ".join(part for part in (version, (message.language or "").upper()) if part),
            goes=("studio.template", {"name": message.template}) if told.template else None,
            goes_to=title,
        )
    ]


def _handed_over(told: Told) -> list[Link]:
    outcomes = {
        "accepted": ("good", gettext("The provider took it")),
        "transient": ("waiting", gettext("The provider said: later")),
        "permanent": ("wrong", gettext("The provider refused it for good")),
        "unknown": ("wrong", gettext("We cannot tell whether the provider took it; it is not sent again by itself")),
    }
    links = []
    for attempt in told.attempts:
        tone, sentence = outcomes.get(attempt.outcome, ("still", attempt.outcome))
        if attempt.transport == "capture" and attempt.outcome == "accepted":
            sentence = gettext("Kept in the outbox instead of being sent")
        stage = (
            gettext("Handed over")
            if attempt.number == 1
            else gettext("Handed over, try %(number)s", number=attempt.number)
        )
        goes = ("studio.captured", {"captured_id": told.captured_id}) if told.captured_id else None
        said = (
            "" if attempt.transport == "capture" else " ".join(part for part in (attempt.code, attempt.detail) if part)
        )
        links.append(
            Link(
                stage,
                "handed",
                tone,
                attempt.at,
                sentence,
                said,
                goes=goes,
                goes_to=gettext("In the outbox") if goes else "",
            )
        )
    return links


def _returned(told: Told) -> list[Link]:
    links = []
    for event in told.returned:
        shown = words.mark(words.DELIVERY, event.kind)
        about = [event.reason or "", event.provider, str(event.data.get("url", ""))]
        links.append(
            Link(
                gettext("Came back"),
                shown.icon,
                shown.tone,
                event.occurred_at,
                str(shown.word),
                " · ".join(part for part in about if part),
            )
        )
    return links


def _awaited(message: Message) -> Link:
    text = gettext("Waits to be judged") if message.state != "ready" else gettext("Waits for its turn to be sent")
    return Link(gettext("Next"), "clock", "still", message.due_at, text)
