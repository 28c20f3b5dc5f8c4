"""The ways into a workflow in one plain sentence each, English and Italian."""

from __future__ import annotations

from app.journey.condition_tree import Group
from app.journey.program import EntryRule, Language, Sentence
from app.journey.schedules import read
from app.journey.sentences import condition_text, dated, event_text, whose

_DAYS = {"MO": 0, "TU": 1, "WE": 2, "TH": 3, "FR": 4, "SA": 5, "SU": 6}
_WEEKDAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "it": ("lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"),
}
_MONTHS = {
    "en": (
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
    "it": (
        "gennaio",
        "febbraio",
        "marzo",
        "aprile",
        "maggio",
        "giugno",
        "luglio",
        "agosto",
        "settembre",
        "ottobre",
        "novembre",
        "dicembre",
    ),
}
_ORDINALS = {
    "en": {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", -1: "last", -2: "last but one"},
    "it": {1: "primo", 2: "secondo", 3: "terzo", 4: "quarto", 5: "quinto", -1: "ultimo", -2: "penultimo"},
}
_UNITS = {
    "DAILY": ("day", "days", "giorno", "giorni"),
    "WEEKLY": ("week", "weeks", "settimana", "settimane"),
    "MONTHLY": ("month", "months", "mese", "mesi"),
    "YEARLY": ("year", "years", "anno", "anni"),
}


def way_in(rule: EntryRule) -> Sentence:
    """What opens one way in: "When a booking is confirmed, if nights is at least 1"."""
    said = {language: _opening(rule, language) for language in ("en", "it")}
    if rule.condition != Group("all", ()):
        said["en"] += f", if {condition_text(rule.condition, 'en')}"
        said["it"] += f", se {condition_text(rule.condition, 'it')}"
    return said


def _opening(rule: EntryRule, language: Language) -> str:
    italian = language == "it"
    if rule.date is not None:
        when = _capital(dated(rule.date, language))
        if rule.recur:
            when += ", ogni anno" if italian else ", every year"
        return when
    if rule.rrule is not None:
        clock = (rule.at.strftime("%H:%M") if rule.at else "00:00") + ", " + whose(rule.zone, language)
        rhythm = f"{_capital(recurrence(rule.rrule, language))} {'alle' if italian else 'at'} {clock}"
        if rule.segment:
            return f"{rhythm}: {'chi è nel segmento' if italian else 'everybody in the segment'} {rule.segment}"
        return rhythm
    if rule.by:
        hands = ("When somebody starts it by hand", "Quando qualcuno lo avvia a mano")
        programs = ("When a program or another workflow starts it", "Quando lo avvia un programma o un altro percorso")
        return (hands if "manual" in rule.by else programs)[italian]
    if rule.segment:
        comes = rule.on == "segment.entered"
        if italian:
            return f"Quando qualcuno {'entra nel' if comes else 'esce dal'} segmento {rule.segment}"
        return f"When somebody {'comes into' if comes else 'leaves'} the segment {rule.segment}"
    told = event_text(rule.on, language)
    topic = f" ({rule.topic})" if rule.topic else ""
    return f"{'Quando' if italian else 'When'} {told}{topic}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def recurrence(text: str, language: Language = "en") -> str:
    """A rule of RFC 5545 in words: "every 2 weeks on Monday"; the rule itself where we have no words for a part."""
    parts = read(text)
    if set(parts) - {"FREQ", "INTERVAL", "BYDAY", "BYMONTHDAY", "BYMONTH", "WKST", "COUNT", "UNTIL"}:
        return text
    italian = language == "it"
    one, many, uno, molti = _UNITS[parts["FREQ"]]
    interval = int(parts.get("INTERVAL", "1"))
    if italian:
        said = f"ogni {uno}" if interval == 1 else f"ogni {interval} {molti}"
    else:
        said = f"every {one}" if interval == 1 else f"every {interval} {many}"
    if "BYDAY" in parts:
        days = _joined([_weekday(day, language) for day in parts["BYDAY"].split(",")], language)
        if parts["FREQ"] == "WEEKLY" and interval == 1:
            said = f"ogni {days}" if italian else f"every {days}"
        else:
            said += f", di {days}" if italian else f" on {days}"
    if "BYMONTHDAY" in parts:
        numbers = _joined([_month_day(number, language) for number in parts["BYMONTHDAY"].split(",")], language)
        said += f", {numbers}" if italian else f" on {numbers}"
    if "BYMONTH" in parts:
        months = _joined([_MONTHS[language][int(number) - 1] for number in parts["BYMONTH"].split(",")], language)
        said += f", in {months}" if italian else f" in {months}"
    if "COUNT" in parts:
        said += f", {parts['COUNT']} volte" if italian else f", {parts['COUNT']} times"
    if "UNTIL" in parts:
        day = f"{parts['UNTIL'][:4]}-{parts['UNTIL'][4:6]}-{parts['UNTIL'][6:8]}"
        said += f", fino al {day}" if italian else f", until {day}"
    return said


def _weekday(day: str, language: Language) -> str:
    name = _WEEKDAYS[language][_DAYS[day[-2:]]]
    if len(day) == 2:
        return name
    number = int(day[:-2])
    ordinal = _ORDINALS[language].get(number, f"{number}.")
    return f"{ordinal} {name}" if language == "it" else f"the {ordinal} {name}"


def _month_day(number: str, language: Language) -> str:
    if number == "-1":
        return "l'ultimo giorno" if language == "it" else "the last day"
    return f"il giorno {number}" if language == "it" else f"day {number}"


def _joined(words: list[str], language: Language) -> str:
    last = " e " if language == "it" else " and "
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + last + words[-1]
