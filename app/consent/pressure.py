"""How often, and at what hour: the frequency cap (R46) and quiet hours (R47, X22). Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.consent.case import CAPPED, Case, Check, ConsentFacts
from app.consent.policy import Bound, Limits
from app.consent.zones import ZONE_OF_COUNTRY
from app.journey.holidays import COUNTRY, known
from app.journey.waits import NeverOpensError, at_clock, next_opening

_HORIZON = 31
_UTC = ZoneInfo("UTC")
_CAP_EXEMPT = Check("cap", True, "cap_exempt", "R46", {})
_QUIET_EXEMPT = Check("quiet_hours", True, "quiet_exempt", "R47", {})


def cap(case: Case, at: datetime, may_go: Callable[[Case], bool]) -> tuple[Check, datetime]:
    """Whether the cap has room at `at`, and from when it has.

    Counted by local calendar days over everything sent or about to go, for every limit that binds this message. One
    that ranks higher and is due no later has its slot first, unless `may_go` says that it can never go.
    """
    request, facts, _, policy = case
    if request.class_ not in CAPPED:
        return _CAP_EXEMPT, at
    if facts.paused_until is not None and at < facts.paused_until:
        until = {"until": facts.paused_until.isoformat()}
        return Check("cap", False, "own_pause", "R46", until), facts.paused_until
    zone = zones_of(facts)[0]
    today = at.astimezone(zone).date()
    sent = [(one.at.astimezone(zone).date(), one.class_, one.topic) for one in facts.contacted if one.class_ in CAPPED]
    rivals = [
        (max(rival.due_at.astimezone(zone).date(), today), rival.class_, rival.topic)
        for rival in facts.rivals
        if rival.class_ in CAPPED and rival.rank < request.rank and may_go(case.asking(rival))
    ]
    own = _PACES.get(facts.pace or "")
    bounds = (*policy.bounds(request.class_, request.topic), *((own,) if own and request.class_ == "marketing" else ()))
    ages = [(today - day).days for day, _, _ in sent]
    inputs: dict[str, Any] = {
        "day": sum(1 for age in ages if age == 0),
        "week": sum(1 for age in ages if age < 7),
        "month": sum(1 for age in ages if age < 30),
        "limits": [policy.day_cap, policy.week_cap, policy.month_cap],
        "ahead": sum(1 for day, _, _ in rivals if day == today),
        "zone": zone.key,
    }
    full = _full(today, sent + rivals, bounds)
    if full is None:
        return Check("cap", True, "under_cap", "R46", inputs), at
    code = "cap" if _full(today, sent, bounds) else "outranked"
    bound, inputs["full"] = full
    if bound is own:
        code = "own_pace"
    if bound.counts != "all":
        inputs["counts"] = bound.counts
    if policy.on_cap != "defer":
        inputs["on_hit"] = policy.on_cap
    for ahead in range(1, _HORIZON):
        day = today + timedelta(days=ahead)
        if _full(day, sent + rivals, bounds) is None:
            return Check("cap", False, code, "R46", inputs), at_clock(day, time(0), zone)
    return Check("cap", False, code, "R46", inputs), at + timedelta(days=_HORIZON)


_PACES: Mapping[str, Bound] = {"monthly": Bound("marketing", Limits(month=1))}
"""What a person chooses of themselves, beside every limit of the workspace and never in its place."""

_Slot = tuple[date, str, str | None]


def _full(day: date, others: Sequence[_Slot], bounds: Sequence[Bound]) -> tuple[Bound, str] | None:
    """The first limit, and which of its windows that end on `day`, that has no room for one more."""
    for bound in bounds:
        ages = [(day - other).days for other, class_, topic in others if bound.covers(class_, topic)]
        for name, length, limit in bound.limits.windows():
            if sum(1 for age in ages if 0 <= age < length) >= limit:
                return bound, name
    return None


def quiet(case: Case, at: datetime) -> tuple[Check, datetime]:
    """Whether the recipient's clocks allow writing at `at`, and from when they do.

    Where something else has already put the message off (`at` lies ahead), quiet hours only move that moment on. They
    bind marketing and feedback, and on channels that ring in a pocket also service messages that can wait.
    """
    request, facts, now, policy = case
    zones = zones_of(facts)
    if request.class_ not in CAPPED and (request.channel == "email" or _urgent(case)):
        return _QUIET_EXEMPT, at
    hours = policy.quiet(request.channel)
    if hours.holidays is not None:
        hours = replace(hours, holidays=holidays_of(facts))
    try:
        opens = next_opening(at, hours, zones)
    except NeverOpensError:
        opens = at + timedelta(days=_HORIZON)
    held = at <= now < opens
    inputs: dict[str, Any] = {
        "zones": [zone.key for zone in zones],
        "from": hours.start.isoformat("minutes"),
        "to": hours.end.isoformat("minutes"),
        "opens": opens.isoformat(),
    }
    if hours.holidays is not None:
        inputs["holidays"] = hours.holidays
    if held and any(hours.closes(now.astimezone(zone).date()) for zone in zones):
        return Check("quiet_hours", False, "closed_day", "R47", inputs), opens
    return Check("quiet_hours", not held, "quiet_hours" if held else "open_hours", "R47", inputs), opens


def holidays_of(facts: ConsentFacts) -> str:
    """The country whose public holidays bind: the recipient's own, else the property's, else Italy (R47)."""
    for country in (facts.country, facts.property_country):
        if known(country and country.upper()):
            return str(country).upper()
    return COUNTRY


def _urgent(case: Case) -> bool:
    """Whether it serves a stay of this very day: only then may a service SMS come at night or on a Sunday (R47)."""
    stay = case.facts.booking
    if stay is None or stay.arrival is None:
        return False
    today = case.now.astimezone(zone_or_utc(case.facts.property_zone)).date()
    return stay.arrival <= today <= (stay.departure or stay.arrival)


def zones_of(facts: ConsentFacts) -> list[ZoneInfo]:
    """The zones whose clocks bind: the recipient's own; unknown, the guessed one and the property's (X22)."""
    own = known_zone(facts.zone) if facts.zone else None
    if own is not None:
        return [own]
    home = zone_or_utc(facts.property_zone)
    name = ZONE_OF_COUNTRY.get((facts.country or "").upper())
    guess = known_zone(name) if name else None
    return [guess, home] if guess is not None and guess.key != home.key else [home]


def own_zone(zone: str | None, country: str | None, property_zone: str) -> ZoneInfo:
    """The one clock that "at each person's local hour" goes by: declared, else the country's, else the property's."""
    return zones_of(ConsentFacts(None, {}, property_zone, zone, country))[0]


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
