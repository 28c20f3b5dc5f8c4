"""Who is known to be a child (R12), from a birth date or an age band. Pure."""

from __future__ import annotations

from datetime import date

ADULT_ENOUGH = 14
"""Years from which a person's own consent counts (Codice Privacy, art. 2-quinquies)."""

CHILD_BANDS = frozenset({"infant", "baby", "child", "0-1", "0-2", "2-11", "3-11", "0-13", "3-13", "6-13", "under_14"})
"""What a contact's `age_band` says of somebody under 14. A band that reaches beyond 13 says nothing for certain."""


def fourteenth(birth_date: str | None) -> date | None:
    """The day a person turns 14; None where the birth date is unknown or unreadable. Born on 29 February: 1 March."""
    try:
        born = date.fromisoformat((birth_date or "")[:10])
    except ValueError:
        return None
    try:
        return born.replace(year=born.year + ADULT_ENOUGH)
    except ValueError:
        return date(born.year + ADULT_ENOUGH, 3, 1)


def is_child(birth_date: str | None, age_band: str | None, today: date) -> bool:
    """Known to be under 14. A birth date is believed before a band, which nobody brings up to date."""
    turns = fourteenth(birth_date)
    if turns is not None:
        return today < turns
    return (age_band or "").strip().lower() in CHILD_BANDS
