"""How things stand for one person: every choice on every channel, how often, and what will and will not be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from babel import dates
from sqlalchemy.orm import Session

from app.consent import ledger
from app.consent.fold import Key, State, holds
from app.subscriber.texts import say
from app.subscriber.visitors import Visitor

OTHERS = {"feedback": "feedback", "open_tracking": "tracking"}
"""Purpose → its field and the stem of its texts: always on offer."""
ONLY_OFF = {"profiling": "profiling", "third_party_sharing": "sharing"}
"""Purposes that are asked for elsewhere; where they stand on, they can be switched off here."""
_STEMS = OTHERS | ONLY_OFF
_CHANNELS = ("email", "sms", "whatsapp", "push")


@dataclass(frozen=True, slots=True)
class Switch:
    """One choice on the page."""

    field: str
    purpose: str
    topic: str | None
    channel: str
    address: str
    title: str
    hint: str
    on: bool

    @property
    def key(self) -> tuple[str, str | None, str]:
        """What it is about."""
        return (self.purpose, self.topic, self.channel)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often, as it stands."""

    pace: str | None
    paused_until: datetime | None

    def chosen(self, now: datetime) -> str:
        """The choice that is on."""
        if self.paused_until is not None and self.paused_until > now:
            return "pause"
        return "monthly" if self.pace == "monthly" else "normal"


def pace_of(visitor: Visitor) -> Pace:
    """How often marketing may come to them."""
    return Pace(visitor.pace, visitor.paused_until)


def mail_language(visitor: Visitor) -> str:
    """The language that mails to them are in: their own, else that of the mail they came from."""
    return (visitor.wants or visitor.language or visitor.brand.language).partition("-")[0]


def day(moment: datetime | None, language: str) -> str:
    """A day as people say it."""
    return dates.format_date(moment, "d MMMM y", locale=language) if moment is not None else ""


def ways(visitor: Visitor, states: Mapping[Key, State]) -> dict[str, str]:
    """Channel → the person's address there, e-mail first: the one their mail came over, each that is sent on or asked
    about, and each on which anything was ever said for them, whether anything is sent there yet or not."""
    person = visitor.person
    found = {person.channel: person.addresses[0]} if person.addresses else {}
    if visitor.phone:
        offered = visitor.policy.senders | visitor.policy.asks_on
        found |= {one: visitor.phone for one in ("sms", "whatsapp") if one in offered and one not in found}
    newest = sorted(states.items(), key=lambda item: item[1].at)
    told = {channel: address for (address, channel, _, _), _ in newest if channel not in found}
    now = {channel: address for (address, channel, _, _), _ in newest if address == visitor.phone and channel in told}
    found |= told | now  # what was said of a number that is theirs no more stands behind what was said of the present
    return {channel: found[channel] for channel in _CHANNELS if channel in found}


def switches(session: Session, visitor: Visitor, language: str) -> list[Switch]:
    """Every choice there is, with how it stands; one query."""
    person = visitor.person
    states = ledger.current(session, [person.contact_id]).get(person.contact_id, {})
    channels = ways(visitor, states)
    found: list[Switch] = []
    for topic in visitor.titles:
        title, hint = visitor.title(topic, language), visitor.descriptions.get(topic, {}).get(language, "")
        for channel, address in channels.items():
            on = holds(states, address, channel, "marketing", topic)
            if on or topic not in visitor.archived:
                field = f"topic.{topic}" if channel == "email" else f"topic.{topic}.{channel}"
                found.append(Switch(field, "marketing", topic, channel, address, title, hint, on))
    for channel, address in channels.items():
        for purpose, stem in _STEMS.items():
            granted = holds(states, address, channel, purpose, None)
            if granted or (purpose in OTHERS and channel == person.channel):
                title = say(f"prefs_{stem}", language, brand=visitor.brand.name)
                if channel != person.channel:
                    title = f"{title} ({say(f'channel_{channel}', language)})"
                field = stem if channel == person.channel else f"{stem}.{channel}"
                hint = say(f"prefs_{stem}_hint", language)
                found.append(Switch(field, purpose, None, channel, address, title, hint, granted))
    return found


def name(switch: Switch, language: str, many: bool) -> str:
    """What a switch is about, in a list."""
    title = switch.title if switch.purpose == "marketing" else say(f"name_{_STEMS[switch.purpose]}", language)
    return f"{title} ({say(f'channel_{switch.channel}', language)})" if many else title


def stands(visitor: Visitor, found: Sequence[Switch], language: str, now: datetime) -> dict[str, Any]:
    """What will and what will not be sent from now on: for `_stands.html`."""
    many = len({one.channel for one in found}) > 1
    sent = visitor.policy.senders
    wanted = [one for one in found if one.purpose in {"marketing", "feedback"}]
    pace = pace_of(visitor)
    how = pace.chosen(now)
    until = day(pace.paused_until, language) if how == "pause" else ""
    unsent = sorted({one.channel for one in found} - sent)
    return {
        "will": [name(one, language, many) for one in wanted if one.on and one.channel in sent],
        "will_not": [name(one, language, many) for one in wanted if not one.on and one.channel in sent],
        "not_yet": [name(one, language, many) for one in wanted if one.on and one.channel not in sent],
        "unsent": [say(f"channel_{one}", language) for one in unsent],
        "pace_now": say(f"pace_{how}_now", language, until=until),
    }
