"""Marketing by telephone is work for a person, and only after a look at the opposition register (R19). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

GOOD_FOR = timedelta(days=15)
"""How long one look at the register lasts."""
CHECKED, LISTED = "rpo_checked_on", "rpo_listed"
"""Attributes of a contact: the day somebody looked the number up, and whether it was there."""

_CALL = re.compile(
    r"(?<!\w)(?:call(?:s|ing)?|phone(?: up)?|telephone|ring(?: up)?|chiam\w+|telefon\w+|richiam\w+|"
    r"sentir\w* al telefono|anruf\w*|rufen|appel\w+|llam\w+)(?!\w)",
    re.IGNORECASE,
)


def is_marketing_call(class_: str, text: Mapping[str, str]) -> bool:
    """Whether a task asks for a call that promotes: the workflow is marketing, and its words say call."""
    return class_ == "marketing" and any(_CALL.search(words) for words in text.values())


def may_call(attributes: Mapping[str, Any], today: date) -> str | None:
    """Why the person may not be called, or None: `unchecked`, `stale` (looked up more than 15 days ago) or `listed`."""
    try:
        checked = date.fromisoformat(str(attributes.get(CHECKED) or "")[:10])
    except ValueError:
        return "unchecked"
    if attributes.get(LISTED) in (True, "true"):
        return "listed"
    return None if timedelta(0) <= today - checked <= GOOD_FOR else "stale"


def outcome(listed: bool, now: datetime) -> dict[str, Any]:
    """What a look at the register leaves on the contact."""
    return {CHECKED: now.date().isoformat(), LISTED: listed}
