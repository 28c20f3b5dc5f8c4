"""The numbers behind the rules: their defaults, and how a workspace changes them. Pure.

Defaults are ours, not law, except where RULES.md marks a rule as hard: those have no number here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import time, timedelta
from typing import Any

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


_EMAIL_QUIET = Quiet(time(21), time(8))
_OTHER_QUIET = Quiet(time(20, 30), time(9), closed=(6,))


@dataclass(frozen=True)
class Policy:
    """What `decide` goes by. Build it with `from_settings`."""

    day_cap: int = 1
    """Marketing and feedback per local calendar day (R46)."""
    week_cap: int = 3
    """The same in 7 local calendar days."""
    month_cap: int = 8
    """The same in 30 local calendar days."""
    defer_for: timedelta = timedelta(days=3)
    """How long after its first judgement a message without `latest` may be put off."""
    pause_retry: timedelta = timedelta(minutes=10)
    """How soon a message of a paused stream or workflow is judged again (R38, R63)."""
    email_quiet: Quiet = _EMAIL_QUIET
    """Quiet hours of e-mail: 21:00 to 08:00 (R47)."""
    other_quiet: Quiet = _OTHER_QUIET
    """Quiet hours of SMS, WhatsApp and push: 20:30 to 09:00, and Sundays (R47)."""
    soft_opt_in_topics: frozenset[str] = frozenset({"offers"})
    """Topics that only speak of own products like those bought (R8's similarity tag)."""
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
    paused: Mapping[str, str] = field(default_factory=dict)
    """Class → why its stream is paused (R38, R63)."""

    def quiet(self, channel: str) -> Quiet:
        """The quiet hours of a channel."""
        return self.email_quiet if channel == "email" else self.other_quiet

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Policy:
        """The defaults with a workspace's own settings laid over them.

        Known keys: `caps: {day, week, month}`, `quiet_hours: {email: [from, to], other: [from, to]}`,
        `soft_opt_in_topics`, `block_topic`, `feedback_basis: {kind, assessment}`, `relay_suffixes` (more of them),
        `paused: {class: why}`, `defer_days`. Other keys belong to others and are passed over.
        Raises PolicyError for a value that is not usable.
        """
        changes: dict[str, Any] = {}
        for name, value in _section(settings, "caps").items():
            if f"{name}_cap" not in {one.name for one in fields(cls)} or not isinstance(value, int) or value < 0:
                raise PolicyError(f"caps.{name} must be day, week or month with a whole number of 0 or more.")
            changes[f"{name}_cap"] = value
        for name, value in _section(settings, "quiet_hours").items():
            if name not in {"email", "other"}:
                raise PolicyError(f"quiet_hours.{name} is not known; there are email and other.")
            default = _EMAIL_QUIET if name == "email" else _OTHER_QUIET
            changes[f"{name}_quiet"] = replace(default, start=_clock(name, value, 0), end=_clock(name, value, 1))
        basis = _section(settings, "feedback_basis")
        if basis:
            kind, assessment = basis.get("kind"), basis.get("assessment")
            if kind not in {"consent", "legitimate_interest"}:
                raise PolicyError("feedback_basis.kind must be consent or legitimate_interest.")
            if kind == "legitimate_interest" and not assessment:
                raise PolicyError("feedback_basis.assessment must name the recorded assessment (R11).")
            changes.update(feedback_basis=kind, feedback_assessment=str(assessment) if assessment else None)
        if "soft_opt_in_topics" in settings:
            changes["soft_opt_in_topics"] = frozenset(_words(settings, "soft_opt_in_topics"))
        if "block_topic" in settings:
            changes["block_topic"] = str(settings["block_topic"])
        if "relay_suffixes" in settings:
            more = tuple(word.lower().lstrip("@.") for word in _words(settings, "relay_suffixes"))
            changes["relay_suffixes"] = RELAY_SUFFIXES + more
        if "defer_days" in settings:
            days = settings["defer_days"]
            if not isinstance(days, int) or not 0 <= days <= 30:
                raise PolicyError("defer_days must be a whole number from 0 to 30.")
            changes["defer_for"] = timedelta(days=days)
        if "paused" in settings:
            changes["paused"] = {str(key): str(value) for key, value in _section(settings, "paused").items()}
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


def _clock(name: str, value: Any, position: int) -> time:
    try:
        return time.fromisoformat(value[position])
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise PolicyError(f'quiet_hours.{name} must be two clock times such as ["21:00", "08:00"].') from error
