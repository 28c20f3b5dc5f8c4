"""What a step does and what was decided, in one plain sentence, English and Italian.

The marketer's words, never the engine's. Cards of the flow, the why-page and the simulator all speak from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time
from zoneinfo import ZoneInfo

from app.journey.condition_tree import Condition, Group
from app.journey.condition_words import in_words
from app.journey.durations import Duration, say
from app.journey.event_names import event_name
from app.journey.known import CALENDAR
from app.journey.ops import (
    BranchOp,
    Clock,
    ConsentOp,
    Dated,
    EmitOp,
    EndOp,
    ExitOp,
    For,
    Language,
    Latest,
    Op,
    RepeatOp,
    SendOp,
    Sentence,
    SetOp,
    SplitOp,
    StartOp,
    StopOp,
    TaskOp,
    Until,
    WaitForOp,
    WaitOp,
    WebhookOp,
    Window,
    Winner,
)

_FIELDS: dict[str, tuple[str, str]] = {
    # path: (English, Italian with its "di")
    "booking.arrival": ("arrival", "dell'arrivo"),
    "booking.departure": ("departure", "della partenza"),
    "booking.created_at": ("the booking", "della prenotazione"),
    "booking.cancelled_at": ("the cancellation", "della cancellazione"),
    "event.occurred_at": ("the event", "dell'evento"),
    "enrollment.entered_at": ("entering", "dell'ingresso"),
}
_EVENTS: dict[str, tuple[str, str]] = {
    "booking.confirmed": ("a booking is confirmed", "una prenotazione è confermata"),
    "booking.modified": ("the booking changes", "la prenotazione cambia"),
    "booking.cancelled": ("the booking is cancelled", "la prenotazione è cancellata"),
    "booking.abandoned": ("a booking is left unfinished", "una prenotazione resta a metà"),
    "booking.checked_in": ("the guest checks in", "l'ospite fa il check-in"),
    "booking.checked_out": ("the guest checks out", "l'ospite fa il check-out"),
    "booking.no_show": ("the guest does not come", "l'ospite non si presenta"),
    "consent.granted": ("consent is given", "il consenso è dato"),
    "consent.withdrawn": ("consent is withdrawn", "il consenso è revocato"),
    "upsell.purchased": ("an extra is bought", "un extra è acquistato"),
    "booking.reinstated": ("the booking is taken up again", "la prenotazione è ripristinata"),
    "booking.enquired": ("somebody asks for a quote", "qualcuno chiede un preventivo"),
    "booking.requested": ("a booking is asked for", "una prenotazione è richiesta"),
    "order.abandoned": ("a cart is left behind", "un carrello è abbandonato"),
    "order.placed": ("an order is placed", "un ordine è effettuato"),
    "order.shipped": ("the order is shipped", "l'ordine è spedito"),
    "order.delivered": ("the order is delivered", "l'ordine è consegnato"),
    "order.cancelled": ("the order is cancelled", "l'ordine è annullato"),
    "page.viewed": ("a page is visited", "una pagina è visitata"),
    "contact.updated": ("the contact changes", "il contatto cambia"),
    "survey.answered": ("a survey is answered", "un questionario è compilato"),
    "review.posted": ("a review is posted", "una recensione è pubblicata"),
    "review.received": ("a review comes in", "arriva una recensione"),
    "segment.entered": ("somebody comes into a segment", "qualcuno entra in un segmento"),
    "segment.left": ("somebody leaves a segment", "qualcuno esce da un segmento"),
    "workflow.ended": ("the other workflow has ended", "l'altro percorso è concluso"),
    "task.done": ("the task is done", "il compito è svolto"),
    "message.clicked": ("a link is clicked", "un link è cliccato"),
}
_WEEKDAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "it": ("lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"),
}
_LATE: dict[str, tuple[str, str]] = {
    "go_on": ("go on at once", "prosegui subito"),
    "skip_next": ("skip the next step", "salta il passo successivo"),
    "skip_to_end": ("skip the steps that follow here", "salta i passi che seguono qui"),
    "exit": ("leave the workflow", "esci dal percorso"),
}


def both(english: str, italian: str) -> Sentence:
    """One sentence in both languages."""
    return {"en": english, "it": italian}


def describe(op: Op, language: Language = "en") -> str:
    """What a step does, in one sentence without a full stop."""
    return sentence(op)[language]


def sentence(op: Op) -> Sentence:
    """What a step does, in both languages."""
    match op:
        case SendOp():
            english, italian = f"Send {op.template}", f"Invia {op.template}"
            if op.sender is not None:
                english, italian = f"{english} from {op.sender}", f"{italian} da {op.sender}"
            if op.latest is not None:
                english += f", never later than {_latest(op.latest, 'en')}"
                italian += f", mai dopo {_latest(op.latest, 'it')}"
            if op.attachments:
                english += f", with {_attached(op, 'the stay as a calendar file', ' and ')}"
                italian += f", con {_attached(op, 'il soggiorno come file di calendario', ' e ')}"
            return both(english, italian)
        case WaitOp():
            return both(f"Wait {_until(op.until, 'en')}", f"Attendi {_until(op.until, 'it')}")
        case WaitForOp():
            english, italian = f"Wait until {_heard(op, 'en')}", f"Attendi fino a quando {_heard(op, 'it')}"
            if op.up_to:
                english += f", {_up_to(op.up_to, 'en')}"
                italian += f", {_up_to(op.up_to, 'it')}"
            return both(english, italian)
        case BranchOp():
            return both("Choose a way by what is true", "Scegli la strada in base a ciò che è vero")
        case SplitOp():
            shares = ", ".join(f"{variant.name} {variant.weight}%" for variant in op.variants)
            return both(f"Divide people at random: {shares}", f"Dividi le persone a caso: {shares}")
        case RepeatOp():
            return both(_rounds(op, "en"), _rounds(op, "it"))
        case EmitOp():
            return both(f"Report “{event_name(op.type, 'en')}”", f"Segnala “{event_name(op.type, 'it')}”")
        case WebhookOp():
            english, italian = f"Call {op.endpoint}", f"Chiama {op.endpoint}"
            if op.shares:
                english += ", for those who agreed to sharing"
                italian += ", per chi ha acconsentito alla comunicazione a terzi"
            return both(english, italian)
        case StartOp():
            english, italian = f"Start {op.workflow}", f"Avvia {op.workflow}"
            if op.awaited:
                english += " and wait until it has ended"
                italian += " e attendi che sia concluso"
            if op.up_to:
                english += f", {_up_to(op.up_to, 'en')}"
                italian += f", {_up_to(op.up_to, 'it')}"
            return both(english, italian)
        case StopOp():
            return both(f"Stop {op.workflow}: {op.reason}", f"Interrompi {op.workflow}: {op.reason}")
        case SetOp():
            parts = [f"{path} = {value}" for path, value in op.values.items()]
            parts += [f"{path} = {source}" for path, source in op.copies.items()]
            parts += [f"+{tag}" for tag in op.add_tags] + [f"-{tag}" for tag in op.remove_tags]
            return both("Write down " + ", ".join(parts), "Annota " + ", ".join(parts))
        case TaskOp():
            texts = {tongue: op.text.get(tongue) or next(iter(op.text.values()), "") for tongue in ("en", "it")}
            return both(f"Task for {op.to}: {texts['en']}", f"Compito per {op.to}: {texts['it']}")
        case ConsentOp():
            english = f"Ask for consent to {op.topic}, to be confirmed in the mailbox"
            italian = f"Chiedi il consenso a {op.topic}, da confermare dalla casella di posta"
            if op.up_to:
                english += f", {_up_to(op.up_to, 'en')}"
                italian += f", {_up_to(op.up_to, 'it')}"
            return both(english, italian)
        case ExitOp():
            return both(f"Leave the workflow: {op.reason}", f"Esci dal percorso: {op.reason}")
        case EndOp():
            return both("The end", "Fine")


def _rounds(op: RepeatOp, language: Language) -> str:
    italian = language == "it"
    said = f"Ripeti al massimo {op.max} volte" if italian else f"Repeat at most {op.max} times"
    if op.max == 1:
        said = "Al massimo una volta" if italian else "At most once"
    if op.every:
        said += f", ogni {say(op.every, 'it')}" if italian else f", every {say(op.every, 'en')}"
    if op.until is not None:
        until = condition_text(op.until, language)
        said += f", fino a quando {until}" if italian else f", until {until}"
    return said


def winner(rule: Winner) -> Sentence:
    """How a split is decided."""
    by = {"goal": ("by the goal", "in base all'obiettivo"), "click": ("by clicks", "in base ai clic")}[rule.by]
    english, italian = f"The better one wins {by[0]}", f"Vince la migliore {by[1]}"
    if rule.of:
        english, italian = f"{english} on {rule.of}", f"{italian} su {rule.of}"
    if rule.after:
        english += f", after {say(rule.after, 'en')} at the earliest"
        italian += f", non prima di {say(rule.after, 'it')}"
    sure = f"{round(rule.confidence * 100, 1):g}%"
    english += f", from {rule.min_sample} people in each, {sure} sure"
    italian += f", da {rule.min_sample} persone per variante, sicurezza {sure}"
    return both(english, italian)


def updated(op: SendOp) -> Sentence | None:
    """What goes out where the message has gone and what it said has changed; None where nothing does."""
    if op.updated is None:
        return None
    return both(
        f"If what it said changes later: send {op.updated.template}",
        f"Se in seguito cambia ciò che diceva: invia {op.updated.template}",
    )


def late(op: WaitOp) -> Sentence | None:
    """What a dated wait does when its moment has passed; None for other waits."""
    if not isinstance(op.until, Dated):
        return None
    english, italian = _LATE[op.late]
    return both(f"If it is already past: {english}", f"Se è già passato: {italian}")


def condition_text(condition: Condition, language: Language = "en") -> str:
    """A condition in words, its lines joined by and, or, none of."""
    return in_words(condition, language)


def event_text(name: str, language: Language = "en") -> str:
    """An event in the words of a sentence: "the guest checks in"; by its name where we have no words."""
    words = _EVENTS.get(name)
    if words is None:
        named = f"“{event_name(name, language)}”"
        return f"si verifica {named}" if language == "it" else f"{named} happens"
    return words[language == "it"]


def moment_text(instant: datetime, zone: ZoneInfo) -> str:
    """An instant as the clock of a zone shows it: 2026-11-30 16:00."""
    return instant.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def _clock(at: time) -> str:
    return at.strftime("%H:%M")


def whose(zone: str, language: Language) -> str:
    """Whose clock it is: "hotel's time"."""
    words = {"property": ("hotel's time", "ora dell'hotel"), "contact": ("guest's time", "ora dell'ospite")}
    english, italian = words.get(zone, (f"{zone} time", f"ora di {zone}"))
    return italian if language == "it" else english


def _field(path: str, language: Language) -> str:
    words = _FIELDS.get(path)
    if words is None:
        return f"di {path}" if language == "it" else path
    return words[language == "it"]


def _days(weekdays: Sequence[int], language: Language) -> str:
    if not weekdays:
        return ""
    if tuple(sorted(weekdays)) == (0, 1, 2, 3, 4):
        return "nei giorni feriali" if language == "it" else "on a weekday"
    named = [_WEEKDAYS[language][day] for day in sorted(weekdays)]
    joined = (
        named[0] if len(named) == 1 else ", ".join(named[:-1]) + (" o " if language == "it" else " or ") + named[-1]
    )
    return f"di {joined}" if language == "it" else f"on {joined}"


def _until(until: Until, language: Language) -> str:
    italian = language == "it"
    match until:
        case For():
            length = say(until.duration, language)
            if until.at is None:
                return length
            return f"{length}, {'fino alle' if italian else 'until'} {_clock(until.at)}, {whose(until.zone, language)}"
        case Clock():
            days = _days(until.weekdays, language)
            base = f"fino alle {_clock(until.at)}" if italian else f"until {_clock(until.at)}"
            return f"{base}{' ' + days if days else ''}, {whose(until.zone, language)}"
        case Window():
            days = _days(until.weekdays, language)
            start, end = _clock(until.start), _clock(until.end)
            base = f"un'ora tra le {start} e le {end}" if italian else f"for a time between {start} and {end}"
            return f"{base}{' ' + days if days else ''}, {whose(until.zone, language)}"
        case Dated():
            return ("fino " if italian else "until ") + dated(until, language)


def dated(until: Dated, language: Language) -> str:
    """A date with its offset and clock time: "16:00, 1 day before arrival, hotel's time"."""
    italian = language == "it"
    field, at = _field(until.ref, language), until.at
    zone = f", {whose(until.zone, language)}"
    if until.offset.zero:
        if at is None:
            return (f"al momento {field}" if italian else f"the moment of {field}") + zone
        return (f"alle {_clock(at)} del giorno {field}" if italian else f"{_clock(at)} on the day of {field}") + zone
    length = say(until.offset, language)
    if italian:
        way = f"{length} prima {field}" if until.offset.negative else f"{length} dopo {_after(field)}"
        return (f"alle {_clock(at)}, {way}" if at else f"a {way}") + zone
    way = f"{length} {'before' if until.offset.negative else 'after'} {field}"
    return (f"{_clock(at)}, {way}" if at else way) + zone


def _after(field: str) -> str:
    """Italian "prima dell'arrivo" but "dopo l'arrivo"."""
    for of, plain in (("dell'", "l'"), ("della ", "la "), ("del ", "il "), ("di ", "")):
        if field.startswith(of):
            return plain + field.removeprefix(of)
    return field


def _attached(op: SendOp, calendar: str, last: str) -> str:
    *others, final = [calendar if name == CALENDAR else name for name in op.attachments]
    return last.join([", ".join(others), final] if others else [final])


def _latest(latest: Latest, language: Language) -> str:
    if isinstance(latest, For):
        length: Duration = latest.duration
        return (
            f"{say(length, language)} dopo il suo momento"
            if language == "it"
            else f"{say(length, language)} after it was due"
        )
    text = dated(latest, language)
    if language == "it":
        # "alle 18:00" but "dopo le 18:00"; "a 25 giorni" but "dopo 25 giorni".
        return text.replace("alle ", "le ", 1) if text.startswith("alle ") else text.removeprefix("a ")
    return text


def _up_to(up_to: Latest, language: Language) -> str:
    if isinstance(up_to, For):
        return ("al massimo " if language == "it" else "at most ") + say(up_to.duration, language)
    return ("fino " if language == "it" else "until ") + dated(up_to, language)


def _heard(op: WaitForOp, language: Language) -> str:
    joined = " o quando " if language == "it" else " or "
    events = joined.join(event_text(name, language) for name in op.on)
    condition = "" if op.condition == Group("all", ()) else condition_text(op.condition, language)
    if events and condition:
        return f"{events} ({condition})"
    return events or condition
