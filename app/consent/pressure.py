"""How often, and at what hour: the frequency cap (R46) and quiet hours (R47, X22). Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.consent.case import CAPPED, Case, Check, ConsentFacts
from app.consent.policy import Policy
from app.consent.zones import ZONE_OF_COUNTRY
from app.journey.waits import at_clock, next_opening

_HORIZON = 31
_UTC = ZoneInfo("UTC")


def cap(case: Case, at: datetime, may_go: Callable[[Case], bool]) -> tuple[Check, datetime]:
    """Whether the cap has room at `at`, and from when it has.

    Counted by local calendar days over everything sent or about to go. A message that ranks higher and is due no later
    has its slot first, unless `may_go` says that it can never go.
    """
    request, facts, _, policy = case
    if request.class_ not in CAPPED:
        return Check("cap", True, "cap_exempt", "R46", {}), at
    zone = zones_of(facts)[0]
    today = at.astimezone(zone).date()
    sent = [one.at.astimezone(zone).date() for one in facts.contacted if one.class_ in CAPPED]
    rivals = [
        max(rival.due_at.astimezone(zone).date(), today)
        for rival in facts.rivals
        if rival.class_ in CAPPED and rival.rank < request.rank and may_go(case.asking(rival))
    ]
    ages = [(today - day).days for day in sent]
    inputs: dict[str, Any] = {
        "day": sum(1 for age in ages if age == 0),
        "week": sum(1 for age in ages if age < 7),
        "month": sum(1 for age in ages if age < 30),
        "limits": [policy.day_cap, policy.week_cap, policy.month_cap],
        "ahead": sum(1 for day in rivals if day == today),
        "zone": zone.key,
    }
    full = _full(today, sent + rivals, policy)
    if full is None:
        return Check("cap", True, "under_cap", "R46", inputs), at
    code = "cap" if _full(today, sent, policy) else "outranked"
    inputs["full"] = full
    for ahead in range(1, _HORIZON):
        day = today + timedelta(days=ahead)
        if _full(day, sent + rivals, policy) is None:
            return Check("cap", False, code, "R46", inputs), at_clock(day, time(0), zone)
    return Check("cap", False, code, "R46", inputs), at + timedelta(days=_HORIZON)


def _full(day: date, others: Sequence[date], policy: Policy) -> str | None:
    """Which of the three windows that end on `day` has no room for one more."""
    windows = (("day", 1, policy.day_cap), ("week", 7, policy.week_cap), ("month", 30, policy.month_cap))
    for name, length, limit in windows:
        if sum(1 for other in others if 0 <= (day - other).days < length) >= limit:
            return name
    return None


def quiet(case: Case, at: datetime) -> tuple[Check, datetime]:
    """Whether the recipient's clocks allow writing at `at`, and from when they do.

    Where something else has already put the message off (`at` lies ahead), quiet hours only move that moment on.
    """
    request, facts, now, policy = case
    if request.class_ not in CAPPED:
        return Check("quiet_hours", True, "quiet_exempt", "R47", {}), at
    zones = zones_of(facts)
    hours = policy.quiet(request.channel)
    opens = next_opening(at, hours, zones)
    held = at <= now < opens
    inputs = {
        "zones": [zone.key for zone in zones],
        "from": hours.start.isoformat("minutes"),
        "to": hours.end.isoformat("minutes"),
        "opens": opens.isoformat(),
    }
    return Check("quiet_hours", not held, "quiet_hours" if held else "open_hours", "R47", inputs), opens


def zones_of(facts: ConsentFacts) -> list[ZoneInfo]:
    """The zones whose clocks bind: the recipient's own; unknown, the guessed one and the property's (X22)."""
    own = known_zone(facts.zone) if facts.zone else None
    if own is not None:
        return [own]
    home = zone_or_utc(facts.property_zone)
    name = ZONE_OF_COUNTRY.get((facts.country or "").upper())
    guess = known_zone(name) if name else None
    return [guess, home] if guess is not None and guess.key != home.key else [home]


@lru_cache(maxsize=1024)
def known_zone(name: str) -> ZoneInfo | None:
    """The zone of that IANA name, or None where the zone database has none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def zone_or_utc(name: str) -> ZoneInfo:
    """The zone of that name; UTC for a name that means nothing, so that a typing error never stops the line."""
    return known_zone(name) or _UTC
