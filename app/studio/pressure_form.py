"""The form of how often, at what hour and to whom not at all: what it shows, what may be wrong, what is kept of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from app.consent.policy import Limits, Policy
from app.journey.waits import Quiet
from app.studio.languages import gettext

SECTIONS = ("caps", "quiet_hours", "defer_days", "holdout")
"""The sections of a workspace's settings that the form writes; all others stay as they are."""
WINDOWS = ("day", "week", "month")
CLASSES = ("marketing", "feedback")
QUIETS = ("email", "other")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_MOST = 99
_MOST_DAYS = 30
_MOST_PERCENT = 50
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")

Given = dict[str, str]
"""Field → what stands in it; several chosen days in one text with spaces."""


def of_policy(policy: Policy) -> Given:
    """What the form shows of what holds now."""
    given = _limits("caps", Limits(policy.day_cap, policy.week_cap, policy.month_cap))
    for class_ in CLASSES:
        given |= _limits(f"caps.{class_}", policy.class_caps.get(class_, Limits()))
    for topic, limits in policy.topic_caps.items():
        given |= _limits(f"caps.topics.{topic}", limits)
    for name, quiet in zip(QUIETS, (policy.email_quiet, policy.other_quiet), strict=True):
        given |= _quiet(f"quiet.{name}", quiet)
    return given | {
        "caps.on_hit": policy.on_cap,
        "defer_days": str(policy.defer_for.days),
        "holdout.percent": str(policy.holdout_percent),
    }


def _limits(place: str, limits: Limits) -> Given:
    values = zip(WINDOWS, (limits.day, limits.week, limits.month), strict=True)
    return {f"{place}.{window}": "" if value is None else str(value) for window, value in values}


def _quiet(place: str, quiet: Quiet) -> Given:
    return {
        f"{place}.from": quiet.start.isoformat("minutes"),
        f"{place}.to": quiet.end.isoformat("minutes"),
        f"{place}.days": " ".join(DAYS[day] for day in quiet.closed),
        f"{place}.holidays": "yes" if quiet.holidays else "",
    }


def problems(given: Mapping[str, str], topics: Sequence[str]) -> dict[str, str]:
    """What is wrong, by field, each with its cure; empty where nothing is."""
    found: dict[str, str] = {}
    for place in places(topics):
        for window in WINDOWS:
            name = f"{place}.{window}"
            if place == "caps" and not given.get(name):
                found[name] = gettext("This is needed.")
            elif given.get(name) and not _whole(given[name], _MOST):
                found[name] = gettext("A whole number from 0 to %(most)s.", most=_MOST)
    if given.get("caps.on_hit") not in {"defer", "drop"}:
        found["caps.on_hit"] = gettext("Choose one of the two.")
    for name, most in (("defer_days", _MOST_DAYS), ("holdout.percent", _MOST_PERCENT)):
        if not _whole(given.get(name, ""), most):
            found[name] = gettext("A whole number from 0 to %(most)s.", most=most)
    for quiet in QUIETS:
        for end in ("from", "to"):
            if not _CLOCK.fullmatch(given.get(f"quiet.{quiet}.{end}", "")):
                found[f"quiet.{quiet}.{end}"] = gettext("Write a time such as 21:00.")
        if len(_days(given, quiet)) == len(DAYS):
            found[f"quiet.{quiet}.days"] = gettext("Leave a day open: so nothing would ever go out.")
    return found


def places(topics: Sequence[str]) -> list[str]:
    """Where limits stand: over everything, over one class, over one topic."""
    return ["caps", *(f"caps.{class_}" for class_ in CLASSES), *(f"caps.topics.{topic}" for topic in topics)]


def _whole(text: str, most: int) -> bool:
    return bool(re.fullmatch(r"\d{1,3}", text)) and int(text) <= most


def _days(given: Mapping[str, str], quiet: str) -> list[str]:
    chosen = given.get(f"quiet.{quiet}.days", "").split()
    return [day for day in DAYS if day in chosen]


def sections(given: Mapping[str, str], topics: Sequence[str], salt: str) -> dict[str, Any]:
    """The settings that the form says, where `problems` found nothing wrong with it.

    Args:
        salt: under which the control group is drawn; another one draws it anew.
    """
    caps: dict[str, Any] = {window: int(given[f"caps.{window}"]) for window in WINDOWS}
    caps["on_hit"] = given["caps.on_hit"]
    for class_ in CLASSES:
        if own := _of(given, f"caps.{class_}"):
            caps[class_] = own
    of_topics = {topic: own for topic in topics if (own := _of(given, f"caps.topics.{topic}"))}
    if of_topics:
        caps["topics"] = of_topics
    return {
        "caps": caps,
        "defer_days": int(given["defer_days"]),
        "quiet_hours": {
            quiet: {
                "from": given[f"quiet.{quiet}.from"],
                "to": given[f"quiet.{quiet}.to"],
                "days": _days(given, quiet),
                "holidays": given.get(f"quiet.{quiet}.holidays") == "yes",
            }
            for quiet in QUIETS
        },
        "holdout": {"percent": int(given["holdout.percent"]), "salt": salt},
    }


def _of(given: Mapping[str, str], place: str) -> dict[str, int]:
    return {window: int(given[f"{place}.{window}"]) for window in WINDOWS if given.get(f"{place}.{window}")}
