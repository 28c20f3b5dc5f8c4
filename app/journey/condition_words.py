"""Conditions in plain words, English and Italian: `booking.nights >= 1` is "nights is at least 1".

For the people who read a flow, or ask why somebody did not enter. Data, and functions without facts of their own;
`conditions.explain` says with them what was wanted and what was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.journey.condition_tree import (
    Compare,
    Condition,
    Day,
    Did,
    Engaged,
    Group,
    Many,
    Moment,
    Money,
    Number,
    Ref,
    Span,
    Text,
    Truth,
    Value,
)
from app.journey.durations import Duration, say
from app.journey.event_names import event_name

FIELDS: Mapping[str, tuple[str, str]] = {
    "now": ("the present moment", "il momento presente"),
    "booking.reference": ("booking number", "numero di prenotazione"),
    "booking.status": ("booking status", "stato della prenotazione"),
    "booking.arrival": ("arrival", "arrivo"),
    "booking.departure": ("departure", "partenza"),
    "booking.nights": ("nights", "numero di notti"),
    "booking.adults": ("adults", "numero di adulti"),
    "booking.children": ("children", "numero di bambini"),
    "booking.amount": ("booking amount", "importo della prenotazione"),
    "booking.channel": ("booking channel", "canale di prenotazione"),
    "booking.language": ("booking language", "lingua della prenotazione"),
    "booking.room_type": ("room type", "tipo di camera"),
    "booking.rate": ("rate", "tariffa"),
    "booking.kind": ("kind of booking", "tipo di prenotazione"),
    "booking.created_at": ("day of booking", "giorno della prenotazione"),
    "booking.cancelled_at": ("cancellation", "cancellazione"),
    "contact.language": ("guest's language", "lingua dell'ospite"),
    "contact.country": ("guest's country", "paese dell'ospite"),
    "contact.zone": ("guest's time zone", "fuso orario dell'ospite"),
    "contact.tags": ("guest's list of tags", "elenco di etichette dell'ospite"),
    "contact.email": ("guest's mail address", "indirizzo e-mail dell'ospite"),
    "contact.phone": ("guest's telephone", "telefono dell'ospite"),
    "contact.first_name": ("guest's first name", "nome dell'ospite"),
    "contact.last_name": ("guest's last name", "cognome dell'ospite"),
    "contact.created_at": ("guest known since", "ospite conosciuto dal"),
    "event.type": ("event", "evento"),
    "event.occurred_at": ("time of the event", "momento dell'evento"),
    "event.amount": ("amount of the event", "importo dell'evento"),
    "enrollment.entered_at": ("entry into the workflow", "ingresso nel percorso"),
    "enrollment.key": ("what the passage is for", "oggetto del passaggio"),
    "property.code": ("property", "struttura"),
    "property.name": ("property", "struttura"),
    "property.country": ("property's country", "paese della struttura"),
    "property.language": ("property's language", "lingua della struttura"),
}
"""Path → (English, Italian). Others are told by their last part."""

_OPERATORS: Mapping[str, tuple[str, str]] = {
    "==": ("is", "è"),
    "!=": ("is not", "non è"),
    "<": ("is less than", "è meno di"),
    "<=": ("is at most", "è al massimo"),
    ">": ("is more than", "è più di"),
    ">=": ("is at least", "è almeno"),
    "in": ("is one of", "è tra"),
    "not in": ("is none of", "non è tra"),
    "has": ("includes", "comprende"),
    "has not": ("does not include", "non comprende"),
    "contains": ("contains", "contiene"),
    "starts with": ("begins with", "comincia con"),
    "before": ("is earlier than", "precede"),
    "after": ("is later than", "è successivo a"),
    "is known": ("is known", "è noto"),
    "is unknown": ("is not known", "non è noto"),
    "within": ("is less away than", "dista meno di"),
    "within last": ("was in the last", "è stato negli ultimi"),
    "within next": ("is in the next", "è nei prossimi"),
}
_IN_TIME: Mapping[str, tuple[str, str]] = {
    "<": _OPERATORS["before"],
    ">": _OPERATORS["after"],
    "<=": ("is no later than", "non è successivo a"),
    ">=": ("is no earlier than", "non precede"),
}
_DATES = frozenset(
    {"arrival", "departure", "created_at", "cancelled_at", "occurred_at", "entered_at", "now", "birthday"}
)
_MONTHS = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "it": ("gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott", "nov", "dic"),
}
_STATES: Mapping[str, str] = {
    "granted": "dato",
    "pending": "in attesa di conferma",
    "denied": "negato",
    "withdrawn": "revocato",
    "objected": "opposizione",
    "expired": "scaduto",
}
_STATUSES: Mapping[str, str] = {
    "enquired": "richiesta",
    "pending": "in attesa",
    "confirmed": "confermata",
    "checked_in": "check-in fatto",
    "checked_out": "check-out fatto",
    "cancelled": "cancellata",
    "no_show": "mancato arrivo",
    "abandoned": "lasciata a metà",
    "placed": "inviato",
    "paid": "pagato",
    "shipped": "spedito",
    "delivered": "consegnato",
    "refunded": "rimborsato",
}
_LANGUAGES: Mapping[str, tuple[str, str]] = {
    "it": ("Italian", "italiano"),
    "en": ("English", "inglese"),
    "de": ("German", "tedesco"),
    "fr": ("French", "francese"),
    "es": ("Spanish", "spagnolo"),
    "nl": ("Dutch", "olandese"),
    "pt": ("Portuguese", "portoghese"),
}
_CONSENT_EN: Mapping[str, str] = {
    "granted": "given",
    "pending": "waiting for confirmation",
    "denied": "refused",
    "withdrawn": "withdrawn",
    "objected": "objected",
    "expired": "expired",
}


def in_words(condition: Condition, language: str = "en") -> str:
    """A condition as a person says it: "nights is at least 1 and booking channel is direct"."""
    italian = language == "it"
    match condition:
        case Compare():
            return compare(condition, language)
        case Engaged():
            return engaged(condition, language)
        case Did():
            return did(condition, language)
        case Group():
            if not condition.conditions:
                return "sempre" if italian else "always"
            join = (" e " if italian else " and ") if condition.join == "all" else (" o " if italian else " or ")
            parts = [
                f"({in_words(one, language)})"
                if isinstance(one, Group) and len(one.conditions) > 1 and len(condition.conditions) > 1
                else in_words(one, language)
                for one in condition.conditions
            ]
            text = join.join(parts)
            if condition.join == "none":
                return f"nessuna di queste: {text}" if italian else f"none of: {text}"
            return text


def compare(condition: Compare, language: str) -> str:
    """One line in words, without what was found."""
    verb = operator(condition, language)
    if condition.value is None:
        return f"{field(condition.field, language)} {verb}"
    return f"{field(condition.field, language)} {verb} {wanted(condition.value, condition.field, language)}"


def engaged(condition: Engaged, language: str) -> str:
    """A line about what a person did with a message."""
    italian = language == "it"
    act = {"clicked": ("clicked in", "ha cliccato in"), "opened": ("opened", "ha aperto")}[condition.act][italian]
    within = f" {'entro' if italian else 'within'} {say(condition.within, language)}" if condition.within else ""
    return f"{act} “{condition.step}”{within}"


def did(condition: Did, language: str) -> str:
    """A line about what has happened."""
    italian, name = language == "it", f"“{event_name(condition.event, language)}”"
    often = ""
    if condition.times > 1 and condition.negated:
        often = f" meno di {condition.times} volte" if italian else f" fewer than {condition.times} times"
    elif condition.times > 1:
        often = f" almeno {condition.times} volte" if italian else f" at least {condition.times} times"
    verb = "è accaduto" if italian else "happened"
    if condition.negated and not often:
        verb = "non è accaduto" if italian else "did not happen"
    length = say(condition.within, language) if condition.within else ""
    within = (f" nell'arco di {length}" if italian else f" within {length}") if length else ""
    return f"{name} {verb}{often}{within}"


def so_often(count: int | None, language: str) -> str:
    """How often something was found to have happened; None: it is not known."""
    italian = language == "it"
    if count is None:
        return "non si può sapere" if italian else "it cannot be known"
    if count == 1:
        return "una volta" if italian else "it was once"
    return f"{count} volte" if italian else f"it was {count} times"


def field(path: str, language: str) -> str:
    """What a path is called."""
    known = FIELDS.get(path)
    if known is not None:
        return known[language == "it"]
    root, _, rest = path.partition(".")
    if root == "consent":
        return f"consenso “{rest}”" if language == "it" else f"consent to “{rest}”"
    return path.rsplit(".", 1)[-1].replace("_", " ")


def operator(condition: Compare, language: str) -> str:
    """What an operator is called between these two; before and after where days are compared."""
    value = condition.value
    dated = isinstance(value, Day | Moment) or (isinstance(value, Ref) and is_date(value.path))
    table = _IN_TIME if (dated or is_date(condition.field)) and condition.operator in _IN_TIME else _OPERATORS
    return table[condition.operator][language == "it"]


def is_date(path: str) -> bool:
    """Whether a path is known to hold a day or an instant."""
    return path.rsplit(".", 1)[-1] in _DATES


def wanted(value: Value, path: str, language: str) -> str:
    """The right side of a line in words."""
    italian = language == "it"
    match value:
        case Text():
            return _text(value.text, path, language)
        case Number():
            return number(value.number, language)
        case Truth():
            return _truth(value.truth, language)
        case Day():
            return day(value.day, language)
        case Moment():
            return moment(value.instant, value.instant.tzinfo or ZoneInfo("UTC"), language)
        case Money():
            return money(value.minor, value.currency, language)
        case Span():
            return say(value.duration, language)
        case Many():
            return ", ".join(wanted(one, path, language) for one in value.values)
        case Ref():
            name = ("adesso" if italian else "now") if value.path == "now" else field(value.path, language)
            return name if value.offset.zero else _moved(name, value.offset, language)


def _moved(name: str, by: Duration, language: str) -> str:
    length = say(by, language)
    if language == "it":
        return f"{length} {'prima di' if by.negative else 'dopo'} {name}"
    return f"{length} {'before' if by.negative else 'after'} {name}"


def found(value: Any, path: str, currency: str | None, zone: Any, language: str) -> str:
    """A value that was found, as a person writes it; `currency` for amounts, `zone` for instants."""
    if isinstance(value, bool):
        return _truth(value, language)
    if isinstance(value, datetime):
        return moment(value, zone, language)
    if isinstance(value, date):
        return day(value, language)
    if isinstance(value, int) and currency is not None:
        return money(value, currency, language)
    if isinstance(value, int | float):
        return number(value, language)
    if isinstance(value, list | tuple | set | frozenset):
        nothing = "nulla" if language == "it" else "nothing"
        return ", ".join(found(one, path, None, zone, language) for one in value) or nothing
    return _text(str(value), path, language)


def _text(text: str, path: str, language: str) -> str:
    if path.startswith("consent."):
        return (_STATES if language == "it" else _CONSENT_EN).get(text, text)
    if len(text) == 10 and text[4] == text[7] == "-":
        try:
            return day(date.fromisoformat(text), language)
        except ValueError:
            return text
    if path == "event.type":
        return f"“{event_name(text, language)}”"
    if path.endswith(".language"):
        return _LANGUAGES.get(text, (text, text))[language == "it"]
    if path.endswith(".status") and language == "it":
        return _STATUSES.get(text, text)
    return text.replace("_", " ") if path.endswith((".status", ".channel")) else text


def _truth(truth: bool, language: str) -> str:
    return ("sì" if truth else "no") if language == "it" else ("yes" if truth else "no")


def number(value: float, language: str) -> str:
    """A number as a person writes it: 1,200.5 or 1.200,5."""
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.10g}"
    return text.translate(_SWAPPED) if language == "it" else text


def money(minor: int, currency: str, language: str) -> str:
    """An amount in minor units: €1,200.00 or 1.200,00 €."""
    amount = f"{abs(minor) / 100:,.2f}"
    sign = "-" if minor < 0 else ""
    symbol = {"EUR": "€", "GBP": "£", "USD": "$"}.get(currency)
    if language == "it":
        return f"{sign}{amount.translate(_SWAPPED)} {symbol or currency}"
    return f"{sign}{symbol}{amount}" if symbol else f"{sign}{amount} {currency}"


def day(value: date, language: str) -> str:
    """A calendar day: 12 May 2026 or 12 mag 2026."""
    return f"{value.day} {_MONTHS['it' if language == 'it' else 'en'][value.month - 1]} {value.year}"


def moment(instant: datetime, zone: Any, language: str) -> str:
    """An instant to the minute on the clock of a zone: 12 May 2026, 16:00."""
    local = instant.astimezone(zone)
    return f"{day(local.date(), language)}, {local.strftime('%H:%M')}"


_SWAPPED = str.maketrans(",.", ".,")
