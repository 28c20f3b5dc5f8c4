"""One decision as people read it: rows of the passages, the gate and delivery told in English and Italian.

Values are written as people write them: instants on the property's clock, money with its sign. No query, no Flask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.consent import sentences as consent_words
from app.events.catalogue import BY_NAME
from app.journey.condition_words import day, moment
from app.journey.event_names import event_name
from app.journey.program import Clock, Dated, Op, Program, Sentence, WaitForOp, WaitOp, Window
from app.journey.sentences import both, dated
from app.journey.sentences import sentence as of_step

STAGES = ("workflow", "event", "entry", "step", "gate", "lease", "compose", "delivery", "returned", "next")
"""Where on the line a decision was made, in the order of the line; `workflow` is what holds for everybody."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a decision speaks of: an event, workflow, step, message, template or line of the ledger."""

    kind: str
    id: int | str
    step: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One question of the gate: how it was answered, its rule, and what the answer was read from."""

    check: str
    allowed: bool
    code: str
    sentence: Sentence
    rule: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision: when, at which stage, what (a code and a sentence), on which inputs, by which rule.

    `at` is None for what holds still or never happened. `checks` are the gate's questions in the order asked, those
    that were passed too. `passage` is the enrollment it belongs to.
    """

    at: datetime | None
    stage: str
    code: str
    sentence: Sentence
    inputs: Mapping[str, Any] = field(default_factory=dict)
    rule: str | None = None
    link: Link | None = None
    checks: tuple[Check, ...] = ()
    passage: int | None = None
    step: str = ""

    def as_json(self) -> dict[str, Any]:
        """As the API and `--json` give it."""
        return {
            "at": self.at.isoformat() if self.at else None,
            "stage": self.stage,
            "code": self.code,
            "sentence": dict(self.sentence),
            "rule": self.rule,
            "inputs": dict(self.inputs),
            "step": self.step or None,
            "passage": self.passage,
            "link": {"kind": self.link.kind, "id": self.link.id} if self.link else None,
            "checks": [
                {
                    "check": one.check,
                    "allowed": one.allowed,
                    "code": one.code,
                    "sentence": dict(one.sentence),
                    "rule": one.rule,
                    "inputs": dict(one.inputs),
                }
                for one in self.checks
            ],
        }


def when(instant: datetime, zone: ZoneInfo) -> Sentence:
    """An instant in both languages."""
    return both(moment(instant, zone, "en"), moment(instant, zone, "it"))


def event_title(type_: str) -> Sentence:
    """What an event is called, from the catalogue; one of a team's own by its own name in words."""
    return both(event_name(type_, "en"), event_name(type_, "it"))


ENDINGS: Mapping[str, tuple[str, str]] = {
    "holdout": ("held out for comparison", "gruppo di controllo"),
    "version_changed": ("the new version has no place for this step", "la nuova versione non prevede questo passo"),
    "step_removed": ("the step is no longer in the workflow", "il passo non è più nel percorso"),
    "archived": ("the workflow was archived", "il percorso è stato archiviato"),
    "paused": ("what was to come fell into a pause", "ciò che doveva accadere è caduto in una pausa"),
    "replaced": ("another booking took the place of this one", "un'altra prenotazione ha preso il posto di questa"),
    "restarted": ("it began anew", "è ricominciato"),
    "stopped": ("another workflow ended it", "un altro percorso l'ha concluso"),
    "merged": ("two people turned out to be one", "due persone sono risultate una sola"),
    "erased": ("the person was erased", "la persona è stata cancellata"),
    "late": ("its moment had passed", "il suo momento era passato"),
    "date_missing": ("the date it waits for is not known", "la data attesa non è nota"),
    "too_long": ("it lasted as long as it may", "è durato quanto poteva"),
    "too_many_steps": ("it took as many steps as it may", "ha fatto tutti i passi che poteva"),
}
"""Reasons of our own for which a passage ends, in English and Italian."""


def ending(code: str) -> Sentence:
    """Why a passage is over: a reason of ours, an event's title, or the reason as its author wrote it."""
    if code in ENDINGS:
        return both(*ENDINGS[code])
    return event_title(code) if code in BY_NAME else both(code, code)


def lowered(text: str) -> str:
    """A sentence to stand behind a colon: small first letter, no full stop."""
    tail = text.rstrip(".")
    return tail[:1].lower() + tail[1:] if tail[1:2].islower() or tail[1:2] == " " else tail


def capital(text: str) -> str:
    """A sentence that begins one."""
    return text[:1].upper() + text[1:]


# --- steps --------------------------------------------------------------------------------------------------------


def of_visit(
    visit: Any, program: Program | None, zone: ZoneInfo, titles: Mapping[str, Mapping[str, str]], moved_by: Any
) -> Decision:
    """A row of step_visits as a decision. `moved_by` is the event that moved a wait, where one is known."""
    detail: Mapping[str, Any] = visit.detail or {}
    inputs: dict[str, Any] = dict(detail.get("inputs") or {})
    place = program.places.get(visit.step_id) if program and visit.step_id else None
    op = program.ops[place] if program is not None and place is not None else None
    said = _step_said(visit.code, inputs, op, zone, titles) or _as_said(detail, visit.code)
    if visit.code == "moved" and moved_by is not None:
        name = event_title(moved_by.type)
        said = both(f"{said['en']} ({name['en']})", f"{said['it']} ({name['it']})")
        inputs |= {"event": moved_by.type, "event_id": moved_by.event_id}
    return Decision(
        visit.at,
        "entry" if visit.code == "entered" else "step",
        visit.code,
        said,
        inputs,
        passage=visit.enrollment_id,
        step=visit.step_id,
    )


def _as_said(detail: Mapping[str, Any], code: str) -> Sentence:
    said = detail.get("sentence") or {}
    english = str(said.get("en") or code.replace("_", " "))
    return both(capital(english), capital(str(said.get("it") or english)))


def _step_said(
    code: str, inputs: Mapping[str, Any], op: Op | None, zone: ZoneInfo, titles: Mapping[str, Mapping[str, str]]
) -> Sentence | None:
    due = _instant(inputs.get("due"))
    if code == "send" and inputs.get("template"):
        name = str(inputs["template"])
        title = titles.get(name) or {}
        return both(
            f"Planned the message “{title.get('en') or name}”",
            f"Messaggio pianificato: “{title.get('it') or title.get('en') or name}”",
        )
    if due is None:
        return None
    at = when(due, zone)
    if code == "waiting":
        why = _why_wait(op)
        if isinstance(op, WaitForOp):
            return both(f"{why['en']}; until {at['en']} at most", f"{why['it']}; al massimo fino al {at['it']}")
        return both(f"Waits until {at['en']}{_aside(why['en'])}", f"Attende fino al {at['it']}{_aside(why['it'])}")
    if code == "waited":
        return both(f"Waited until {at['en']}", f"Ha atteso fino al {at['it']}")
    if code == "timeout":
        return both(f"It did not happen by {at['en']}", f"Non è accaduto entro il {at['it']}")
    if code == "moved":
        before = _instant(inputs.get("before"))
        if before is None:
            return both(f"The wait moved to {at['en']}", f"L'attesa è spostata al {at['it']}")
        was = when(before, zone)
        return both(
            f"The wait moved from {was['en']} to {at['en']}", f"L'attesa è spostata dal {was['it']} al {at['it']}"
        )
    if code == "late":
        went = _LATE.get(str(inputs.get("late")), _LATE["go_on"])
        return both(f"{at['en']} was already past: {went[0]}", f"{at['it']} era già passato: {went[1]}")
    return None


_LATE = {
    "go_on": ("went on at once", "ha proseguito subito"),
    "skip_next": ("skipped the next step", "ha saltato il passo successivo"),
    "skip_to_end": ("skipped to the end", "è andato alla fine"),
    "exit": ("left the workflow", "è uscito dal percorso"),
}


def _why_wait(op: Op | None) -> Sentence:
    if isinstance(op, WaitOp) and isinstance(op.until, Dated):
        return both(dated(op.until, "en"), dated(op.until, "it"))
    if isinstance(op, WaitForOp) or (isinstance(op, WaitOp) and isinstance(op.until, Clock | Window)):
        return of_step(op)
    return both("", "")


def _aside(text: str) -> str:
    return f" ({text})" if text else ""


def _instant(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


_LINE_STAGES = {"event": "event", "entered": "entry", "not_entered": "entry", "refreshed": "entry", "sent": "gate",
                "refused": "gate", "deferred": "gate"}  # fmt: skip


def of_line(line: Any, program: Program, zone: ZoneInfo) -> Decision:
    """A line of the simulator as a decision."""
    inputs: Mapping[str, Any] = line.inputs
    place = program.places.get(line.step_id) if line.step_id else None
    op = program.ops[place] if place is not None else None
    said: Sentence | None = None
    if line.code == "event":
        said = event_title(str(inputs["type"]))
    elif line.code == "sent":
        name = line.sentence["en"].removesuffix(" sent")
        said = both(f"Sent: “{name}”", f"Inviato: “{name}”")
    elif line.code == "not_entered":
        said = both(f"Not entered: {lowered(line.sentence['en'])}", f"Non è entrato: {lowered(line.sentence['it'])}")
    elif line.code in _LINE_STAGES and line.code in {"refused", "deferred"} and inputs.get("code"):
        why = reason(str(inputs["code"]), inputs, zone)
        first = _OUTCOMES[line.code]
        said = both(f"{first[0]}: {lowered(why['en'])}", f"{first[1]}: {lowered(why['it'])}")
        until = _instant(inputs.get("until"))
        if until is not None:
            at = when(until, zone)
            said = both(f"{said['en']}. Judged again {at['en']}", f"{said['it']}. Si riesamina il {at['it']}")
    else:
        said = _step_said(line.code, inputs, op, zone, {})
    code = str(inputs.get("code") or line.code) if line.code in {"refused", "deferred", "not_entered"} else line.code
    return Decision(
        line.at,
        _LINE_STAGES.get(line.code, "step"),
        "allowed" if line.code == "sent" else code,
        said or _as_said({"sentence": line.sentence}, line.code),
        inputs,
        inputs.get("rule") or None,
        step=line.step_id,
    )


# --- the gate -----------------------------------------------------------------------------------------------------


def checks_of(verdict: Mapping[str, Any], zone: ZoneInfo) -> tuple[Check, ...]:
    """The questions of one judgement in the order they were asked."""
    found = []
    for one in verdict.get("checks", ()):
        inputs = {name: value for name, value in (one.get("inputs") or {}).items() if value is not None}
        code = str(one.get("code") or "")
        found.append(
            Check(
                str(one.get("check") or ""),
                bool(one.get("allowed")),
                code,
                reason(code, inputs, zone),
                str(one.get("rule") or ""),
                inputs,
            )
        )
    return tuple(found)


def reason(code: str, inputs: Mapping[str, Any], zone: ZoneInfo) -> Sentence:
    """What a code of the gate says, its inputs written as people write them."""
    return both(
        consent_words.sentence(code, "en", _readable(inputs, zone, "en")),
        consent_words.sentence(code, "it", _readable(inputs, zone, "it")),
    )


def _readable(inputs: Mapping[str, Any], zone: ZoneInfo, language: str) -> dict[str, Any]:
    return {name: _one_readable(value, zone, language) for name, value in inputs.items()}


def _one_readable(value: Any, zone: ZoneInfo, language: str) -> Any:
    if not isinstance(value, str) or value[4:5] != "-":
        return value
    try:
        if len(value) == 10:
            return day(date.fromisoformat(value), language)
        return moment(datetime.fromisoformat(value), zone, language)
    except ValueError:
        return value


_OUTCOMES = {
    "deferred": ("Put off", "Rimandato"),
    "refused": ("Not sent", "Non inviato"),
}
_LEDGER = {
    "granted": ("given", "dato"),
    "pending": ("asked for", "richiesto"),
    "denied": ("denied", "negato"),
    "withdrawn": ("withdrawn", "revocato"),
    "objected": ("objected", "opposizione"),
    "expired": ("expired", "scaduto"),
}

_SAID_BY_THE_LINE = frozenset({"consent", "denied", "withdrawn", "objected", "expired"})
"""Codes that say no more than the line of the ledger they were read from."""


def of_verdict(message: Any, verdict: Mapping[str, Any], lines: Mapping[int, Any], zone: ZoneInfo) -> Decision:
    """One judgement of a message. `lines` are the lines of the ledger that verdicts name."""
    checks = checks_of(verdict, zone)
    outcome = str(verdict.get("outcome") or ("allowed" if verdict.get("allowed") else "refused"))
    failed = next((one for one in checks if not one.allowed), None)
    basis = next((one for one in checks if one.check == "basis"), None)
    number = next((one.inputs["line"] for one in (failed, basis) if one and one.inputs.get("line")), None)
    line = lines.get(int(number)) if number else None
    until = _instant(verdict.get("until"))
    inputs: dict[str, Any] = {"message": message.id, "template": message.template}
    if failed is not None:
        inputs |= dict(failed.inputs)
        first = _OUTCOMES["deferred" if outcome == "deferred" else "refused"]
        english, italian = (
            f"{first[0]}: {lowered(failed.sentence['en'])}",
            f"{first[1]}: {lowered(failed.sentence['it'])}",
        )
        limits = failed.inputs.get("limits")
        if failed.check == "cap" and isinstance(limits, Sequence) and len(limits) == 3:
            english += f" (at most {limits[0]} a day, {limits[1]} in 7 days, {limits[2]} in 30)"
            italian += f" (al massimo {limits[0]} al giorno, {limits[1]} in 7 giorni, {limits[2]} in 30)"
    else:
        english, italian = "It may go", "Può partire"
        if basis is not None:
            english += f": {lowered(basis.sentence['en'])}"
            italian += f": {lowered(basis.sentence['it'])}"
    if line is not None and (failed is None or failed.check == "basis"):
        state = _LEDGER.get(line.state, (line.state, line.state))
        at = when(line.confirmed_at or line.requested_at, zone)
        words = both(
            f"consent {state[0]} {at['en']}, ledger line {line.line}",
            f"consenso {state[1]} il {at['it']}, riga {line.line} del registro",
        )
        if (failed or basis or checks[0]).code in _SAID_BY_THE_LINE:
            english, italian = f"{english.split(': ')[0]}: {words['en']}", f"{italian.split(': ')[0]}: {words['it']}"
        else:
            english, italian = f"{english} — {words['en']}", f"{italian} — {words['it']}"
        inputs["line"] = line.line
    if until is not None:
        at = when(until, zone)
        english, italian = f"{english}. Judged again {at['en']}", f"{italian}. Si riesamina il {at['it']}"
        inputs["until"] = until.isoformat()
    again = verdict.get("moment") not in {None, "gate"}
    rule = failed.rule if failed else (basis.rule if basis else message.rule)
    return Decision(
        _instant(verdict.get("at")),
        "lease" if again else "gate",
        failed.code if failed else "allowed",
        both(english, italian),
        inputs,
        rule or None,
        Link("ledger", line.line) if line is not None else Link("message", message.id),
        checks,
        message.enrollment_id,
        message.step_id or "",
    )


# --- after the gate -----------------------------------------------------------------------------------------------


def ended(message: Any, zone: ZoneInfo) -> Decision | None:
    """A message that came to its end before it was made, where no judgement says why."""
    judged_no = message.verdict and not message.verdict[-1].get("allowed")
    if message.state not in {"cancelled", "refused", "failed"} or message.subject or judged_no or not message.reason:
        return None
    code = str(message.reason)
    if code.startswith("exited:"):
        why = ending(code.removeprefix("exited:"))
        said = both(f"the person left the workflow: {lowered(why['en'])}", f"la persona è uscita: {lowered(why['it'])}")
    else:
        words = reason(code, {}, zone)
        said = both(lowered(words["en"]).replace("_", " "), lowered(words["it"]).replace("_", " "))
    first = {
        "cancelled": ("Called off", "Annullato"),
        "refused": ("Not sent", "Non inviato"),
        "failed": ("It could not be made", "Non è stato possibile comporlo"),
    }[message.state]
    text = both(f"{first[0]}: {said['en']}", f"{first[1]}: {said['it']}")
    return Decision(
        message.ended_at,
        "compose",
        code,
        text,
        {"message": message.id, "template": message.template},
        message.rule,
        Link("message", message.id),
        passage=message.enrollment_id,
        step=message.step_id or "",
    )


_UNFIT = {
    "stream": ("it is of the other stream", "serve l'altro flusso"),
    "property": ("it is of another property", "è di un'altra struttura"),
    "unverified": ("it is not verified", "non è verificato"),
    "unknown": ("there is no such sender any more", "non c'è più"),
}
"""Why the sender that a step names did not speak; see `Senders.unfit`."""


def _from_instead(message: Any) -> tuple[str, str, dict[str, str]]:
    """That the usual sender spoke in place of the one its step names, and why; nothing where it did not."""
    found = ((message.facts or {}).get("mail") or {}).get("from_instead_of")
    if not found:
        return "", "", {}
    english, italian = _UNFIT.get(found["why"], _UNFIT["unknown"])
    return (
        f"; from the usual sender, not {found['email']}: {english}",
        f"; dal mittente consueto, non {found['email']}: {italian}",
        {"sender": found["email"], "sender_not_used": found["why"]},
    )


def _links_dropped(message: Any) -> tuple[str, str, dict[str, Any]]:
    """That links lost their target, since the address is a booking site's alias (R34); nothing where none did."""
    found = ((message.facts or {}).get("mail") or {}).get("links_dropped")
    if not found:
        return "", "", {}
    hosts = ", ".join(found)
    return (
        f"; a booking site's alias: links to {hosts} lost their target (R34)",
        f"; alias di un portale: i link verso {hosts} sono senza destinazione (R34)",
        {"links_dropped": hosts},
    )


def composed(message: Any, at: datetime | None, number: int | None) -> Decision | None:
    """The mail as it was made, where it was."""
    if not message.subject:
        return None
    version = (f", version {number}", f", versione {number}") if number else ("", "")
    language = f", {message.language.upper()}" if message.language else ""
    instead, dropped = _from_instead(message), _links_dropped(message)
    return Decision(
        at or message.handed_over_at,
        "compose",
        "composed",
        both(
            f"Composed “{message.subject}”{version[0]}{language}{instead[0]}{dropped[0]}",
            f"Composto “{message.subject}”{version[1]}{language}{instead[1]}{dropped[1]}",
        ),
        {"message": message.id, "template": message.template, "version": number, "language": message.language}
        | instead[2]
        | dropped[2],
        None,
        Link("template", message.template),
        passage=message.enrollment_id,
        step=message.step_id or "",
    )
