"""The numbers behind the rules: their defaults, and how a workspace changes them. Pure.

Defaults are ours, not law, except where RULES.md marks a rule as hard: those have no number here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import time, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from app.journey.experiments import held_out
from app.journey.holidays import COUNTRY
from app.journey.waits import Quiet


class PolicyError(ValueError):
    """A workspace's setting is not usable; the message names it and says what it should be."""


RELAY_SUFFIXES: tuple[str, ...] = (
    "guest.booking.com",
    "property.booking.com",
    "m.expediapartnercentral.com",
    "guest.airbnb.com",
    "reply.airbnb.com",
    "messages.homeaway.com",
    "guest.vrbo.com",
    "agoda-messaging.com",
    "guest.agoda.com",
    "guest.trip.com",
)
"""Domains of masked addresses that belong to one booking (R34). Last looked over: 22 November 2026; a workspace adds
its own under `relay_suffixes`."""


CHANNELS = frozenset({"email", "sms", "whatsapp", "push"})

_EMAIL_QUIET = Quiet(time(21), time(8))
_OTHER_QUIET = Quiet(time(20, 30), time(9), closed=(6,), holidays=COUNTRY)
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WRITTEN_OUT = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WINDOWS = ("day", "week", "month")
_CAPPED = ("marketing", "feedback")


@dataclass(frozen=True, slots=True)
class Limits:
    """How many in a local calendar day, in 7 and in 30 of them; None: as many as there are."""

    day: int | None = None
    week: int | None = None
    month: int | None = None

    def windows(self) -> tuple[tuple[str, int, int], ...]:
        """(name, days, limit) of those that limit."""
        found = (("day", 1, self.day), ("week", 7, self.week), ("month", 30, self.month))
        return tuple((name, days, limit) for name, days, limit in found if limit is not None)


class Bound(NamedTuple):
    """One limit that binds a message: what it counts, and how much of it there may be."""

    counts: str
    """`all` of marketing and feedback, a class, or `topic <name>`."""
    limits: Limits

    def covers(self, class_: str, topic: str | None) -> bool:
        """Whether a message takes one of its places."""
        if class_ not in _CAPPED:
            return False
        return self.counts in {"all", class_} or (topic is not None and self.counts == f"topic {topic}")


@dataclass(frozen=True)
class Policy:
    """What `decide` goes by. Build it with `from_settings`."""

    day_cap: int = 1
    """Marketing and feedback per local calendar day (R46)."""
    week_cap: int = 3
    """The same in 7 local calendar days."""
    month_cap: int = 8
    """The same in 30 local calendar days."""
    class_caps: Mapping[str, Limits] = field(default_factory=dict)
    """Further limits that count one class alone."""
    topic_caps: Mapping[str, Limits] = field(default_factory=dict)
    """Further limits that count one topic alone: a newsletter promised once a month comes once a month (R46)."""
    on_cap: str = "defer"
    """What becomes of a message the cap has no room for: `defer` within its window, or `drop` at once."""
    senders: frozenset[str] = frozenset({"email"})
    """Channels this house can send over. There is a transport for e-mail alone."""
    asks_on: frozenset[str] = frozenset()
    """Channels that consent is collected for, though nothing may be sent there yet: people see and change it."""
    defer_for: timedelta = timedelta(days=3)
    """How long after its first judgement a message without `latest` may be put off."""
    pause_retry: timedelta = timedelta(minutes=10)
    """How soon a message of a paused stream or workflow is judged again (R38, R63)."""
    email_quiet: Quiet = _EMAIL_QUIET
    """Quiet hours of e-mail: 21:00 to 08:00 (R47)."""
    other_quiet: Quiet = _OTHER_QUIET
    """Quiet hours of SMS, WhatsApp and push: 20:30 to 09:00, Sundays and public holidays (R47). Which country's these
    are hangs on the recipient (`pressure.holidays_of`); a country here only says that they count."""
    block_topic: str = "offers"
    """The topic whose permission a marketing block inside another mail needs (R21)."""
    feedback_basis: str = "consent"
    """`consent`, or `legitimate_interest` with an assessment on record (R11)."""
    feedback_assessment: str | None = None
    """The id of that assessment."""
    feedback_limit: int = 2
    """Without consent: one request and one reminder for a stay (R11)."""
    consent_requests: int = 2
    """One confirmation message and one reminder (R6)."""
    pending_for: timedelta = timedelta(days=7)
    """How long a confirmation link may be used (R6)."""
    relay_days: int = 60
    """A masked address ends so many days after check-out (R34)."""
    relay_suffixes: tuple[str, ...] = RELAY_SUFFIXES
    relay_links: tuple[str, ...] = ()
    """Hosts that links in mails to masked addresses may lead to, besides those every house approves (R34)."""
    paused: Mapping[str, str] = field(default_factory=dict)
    """Class → why its stream is paused (R38, R63)."""
    holdout_percent: int = 0
    """How many of 100 people get no marketing and no request for an opinion, to measure what these bring (R62)."""
    holdout_salt: str = ""
    """Whoever changes it draws this group anew; by itself it stays the same people for ever."""

    @cached_property
    def relay_endings(self) -> tuple[str, ...]:
        """The same with the dot before them: what `.` and the domain of a masked address end in."""
        return tuple(f".{suffix}" for suffix in self.relay_suffixes)

    def keeps_out(self, contact_id: int) -> str | None:
        """The name of the experiment that keeps this person out of all marketing and feedback; None: none does."""
        percent = self.holdout_percent
        return "workspace" if percent and held_out(("holdout", self.holdout_salt, contact_id), percent) else None

    def quiet(self, channel: str) -> Quiet:
        """The quiet hours of a channel."""
        return self.email_quiet if channel == "email" else self.other_quiet

    def bounds(self, class_: str, topic: str | None) -> tuple[Bound, ...]:
        """Every limit that binds a message of this class and topic; a message over any of them waits."""
        found = [Bound("all", Limits(self.day_cap, self.week_cap, self.month_cap))]
        if class_ in self.class_caps:
            found.append(Bound(class_, self.class_caps[class_]))
        if topic is not None and topic in self.topic_caps:
            found.append(Bound(f"topic {topic}", self.topic_caps[topic]))
        return tuple(found)

    def with_terms(self, terms: Mapping[str, Any] | None) -> Policy:
        """The same with one workflow's or broadcast's own terms in place of the workspace's.

        Args:
            terms: `caps: {day, week, month, on_hit: defer|drop}` and `quiet_hours: {from, to, days, holidays}`, each
                with what differs. Limits on one class or topic stay: they were promised to people.

        Raises PolicyError for a value that is not usable.
        """
        if not terms:
            return self
        changes = _caps(_section(terms, "caps"), nested=False)
        hours = _section(terms, "quiet_hours")
        if hours:
            changes["email_quiet"] = _hours("quiet_hours", hours, self.email_quiet)
            changes["other_quiet"] = _hours("quiet_hours", hours, self.other_quiet)
        return replace(self, **changes)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Policy:
        """The defaults with a workspace's own settings laid over them.

        Known keys: `caps: {day, week, month, on_hit, marketing: {...}, feedback: {...}, topics: {name: {...}}}`,
        `quiet_hours: {email: [from, to], other: {from, to, days, holidays}}` (either form),
        `block_topic`, `feedback_basis: {kind, assessment}`, `relay_suffixes` and `relay_links` (more of them),
        `consent_channels`,
        `paused: {class: why}`, `defer_days`, `holdout: {percent, salt}`. Other keys belong to others and are passed
        over.
        Raises PolicyError for a value that is not usable.
        """
        changes = _caps(_section(settings, "caps"), nested=True)
        for name, value in _section(settings, "quiet_hours").items():
            if name not in {"email", "other"}:
                raise PolicyError(f"quiet_hours.{name} is not known; there are email and other.")
            default = _EMAIL_QUIET if name == "email" else _OTHER_QUIET
            changes[f"{name}_quiet"] = _hours(f"quiet_hours.{name}", value, default)
        basis = _section(settings, "feedback_basis")
        if basis:
            kind, assessment = basis.get("kind"), basis.get("assessment")
            if kind not in {"consent", "legitimate_interest"}:
                raise PolicyError("feedback_basis.kind must be consent or legitimate_interest.")
            if kind == "legitimate_interest" and not assessment:
                raise PolicyError("feedback_basis.assessment must name the recorded assessment (R11).")
            changes.update(feedback_basis=kind, feedback_assessment=str(assessment) if assessment else None)
        if "block_topic" in settings:
            changes["block_topic"] = str(settings["block_topic"])
        if "relay_suffixes" in settings:
            more = tuple(word.lower().lstrip("@.") for word in _words(settings, "relay_suffixes"))
            changes["relay_suffixes"] = RELAY_SUFFIXES + more
        if "relay_links" in settings:
            changes["relay_links"] = hosts(settings["relay_links"])
        if "consent_channels" in settings:
            channels = frozenset(_words(settings, "consent_channels"))
            if not channels <= CHANNELS:
                raise PolicyError(f"consent_channels must be some of {', '.join(sorted(CHANNELS))}.")
            changes["asks_on"] = channels
        if "defer_days" in settings:
            days = settings["defer_days"]
            if not isinstance(days, int) or not 0 <= days <= 30:
                raise PolicyError("defer_days must be a whole number from 0 to 30.")
            changes["defer_for"] = timedelta(days=days)
        if "paused" in settings:
            changes["paused"] = {str(key): str(value) for key, value in _section(settings, "paused").items()}
        kept = _section(settings, "holdout")
        if kept:
            percent = kept.get("percent", 0)
            if isinstance(percent, bool) or not isinstance(percent, int) or not 0 <= percent <= 50:
                raise PolicyError("holdout.percent must be a whole number from 0 to 50.")
            changes.update(holdout_percent=percent, holdout_salt=str(kept.get("salt", "")))
        return cls(**changes)


def _section(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = settings.get(name) or {}
    if not isinstance(value, Mapping):
        raise PolicyError(f"{name} must hold named values.")
    return value


def _words(settings: Mapping[str, Any], name: str) -> list[str]:
    value = settings[name]
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise PolicyError(f"{name} must be a list of words.")
    return value


def hosts(given: Any) -> tuple[str, ...]:
    """Names of hosts as a setting lists them; raises PolicyError for what is none."""
    found = given if isinstance(given, list) else [given]
    if not all(isinstance(one, str) and _HOST.fullmatch(one.lower()) for one in found):
        raise PolicyError("relay_links must be a list of hosts such as maps.example.com.")
    return tuple(one.lower() for one in found)


def _caps(given: Mapping[str, Any], *, nested: bool) -> dict[str, Any]:
    """What a `caps` section changes; `nested`: it may hold limits on one class or topic."""
    changes: dict[str, Any] = {}
    class_caps: dict[str, Limits] = {}
    for name, value in given.items():
        if name in _WINDOWS:
            changes[f"{name}_cap"] = _limit(f"caps.{name}", value)
        elif name == "on_hit":
            if value not in {"defer", "drop"}:
                raise PolicyError("caps.on_hit must be defer or drop.")
            changes["on_cap"] = value
        elif nested and name in _CAPPED:
            class_caps[name] = _limits(f"caps.{name}", value)
        elif nested and name == "topics":
            topics = _section(given, "topics")
            changes["topic_caps"] = {str(one): _limits(f"caps.topics.{one}", topics[one]) for one in topics}
        else:
            more = ", marketing, feedback, topics" if nested else ""
            raise PolicyError(f"caps.{name} is not known; there are day, week, month, on_hit{more}.")
    return changes | ({"class_caps": class_caps} if class_caps else {})


def _limits(name: str, given: Any) -> Limits:
    if not isinstance(given, Mapping) or not given or not given.keys() <= set(_WINDOWS):
        raise PolicyError(f"{name} must hold day, week or month.")
    return Limits(**{window: _limit(f"{name}.{window}", value) for window, value in given.items()})


def _limit(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise PolicyError(f"{name} must be a whole number of 0 or more.")
    return value


def _hours(name: str, given: Any, default: Quiet) -> Quiet:
    """Quiet hours as [from, to], or as {from, to, days, holidays} with what differs from the default."""
    if not isinstance(given, Mapping):
        try:
            start, end = given
        except (TypeError, ValueError) as error:
            raise PolicyError(f'{name} must be two clock times such as ["21:00", "08:00"].') from error
        given = {"from": start, "to": end}
    unknown = sorted(given.keys() - {"from", "to", "days", "holidays"})
    if unknown:
        raise PolicyError(f"{name}.{unknown[0]} is not known; there are from, to, days and holidays.")
    days, holidays = given.get("days"), given.get("holidays")
    if isinstance(days, list | tuple):
        # Workflows write them out: `sunday`.
        days = [str(day)[:3] if str(day) in _WRITTEN_OUT else day for day in days]
    if days is not None and (not isinstance(days, list) or not set(days) <= set(_WEEKDAYS)):
        raise PolicyError(f"{name}.days must be a list of {', '.join(_WEEKDAYS)}.")
    if holidays is not None and not isinstance(holidays, bool):
        raise PolicyError(f"{name}.holidays must be true or false.")
    quiet = Quiet(
        _clock(name, given["from"]) if "from" in given else default.start,
        _clock(name, given["to"]) if "to" in given else default.end,
        default.closed if days is None else tuple(sorted(_WEEKDAYS.index(day) for day in days)),
        default.holidays if holidays is None else (COUNTRY if holidays else None),
    )
    if len(quiet.closed) == len(_WEEKDAYS):
        raise PolicyError(f"{name}.days closes the whole week: nothing would ever go.")
    return quiet


def _clock(name: str, value: Any) -> time:
    try:
        return time.fromisoformat(value)
    except (ValueError, TypeError) as error:
        raise PolicyError(f'{name} must be two clock times such as ["21:00", "08:00"].') from error
