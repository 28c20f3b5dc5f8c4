"""What the text behind `until` of a wait is: a clock time, a window of a day, a weekday, or the path of a date."""

from __future__ import annotations

import re
from typing import Literal

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WINDOW = re.compile(r"([01]?\d|2[0-3]):[0-5]\d\s*-\s*([01]?\d|2[0-3]):[0-5]\d$")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):[0-5]\d$")


def shape_of(until: str) -> Literal["clock", "window", "weekday", "date"]:
    """What the text is; what is neither clock time, window nor weekday is taken for the path of a date."""
    if _CLOCK.match(until):
        return "clock"
    if _WINDOW.match(until):
        return "window"
    return "weekday" if until in WEEKDAYS else "date"
