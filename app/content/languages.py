"""In which language a message is written (R25)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

FALLBACK: Final = ("it", "en")
"""A property's order where it says nothing else."""

Why = Literal["contact", "booking", "country", "property", "fallback", "only"]

SPOKEN: Final[Mapping[str, str]] = {
    "IT": "it", "SM": "it", "VA": "it",
    "DE": "de", "AT": "de", "LI": "de",
    "FR": "fr", "MC": "fr",
    "ES": "es", "MX": "es", "AR": "es", "CL": "es", "CO": "es", "PE": "es", "UY": "es",
    "GB": "en", "IE": "en", "US": "en", "AU": "en", "NZ": "en",
    "PT": "pt", "BR": "pt", "NL": "nl", "PL": "pl",
}  # fmt: skip
"""Countries where one language is plainly meant. Switzerland, Belgium, Canada and others say nothing."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A language and why: what the person declared, what the booking, country or property says, or what there was.

    `wanted` is the first language anybody asked for; where it is not `language`, the template lacks it, and that is
    worth a line in the log.
    """

    language: str
    why: Why
    wanted: str | None


def choose(facts: Mapping[str, Any], available: Collection[str], order: tuple[str, ...] = FALLBACK) -> Choice:
    """The language of one message: contact's declared > booking's > address country's > property's default.

    The first that anyone names is wanted; `en-GB` is served by `en`. Where the template lacks it, the property's
    fallback `order` decides, then whatever it has (R25). Raises ValueError for no language at all.
    """
    if not available:
        raise ValueError("a template without any language")
    contact, booking, place = (facts.get(key) or {} for key in ("contact", "booking", "property"))
    booked = booking.get("language") or (booking.get("data") or {}).get("language")
    country = str(contact.get("country") or "").upper()
    asked: list[tuple[Why, str | None]] = [
        ("contact", contact.get("language")),
        ("booking", booked),
        ("country", SPOKEN.get(country)),
        ("property", place.get("language")),
    ]
    wanted = next((str(tag) for _, tag in asked if tag), None)
    if wanted is not None and (found := _served(wanted, available)):
        why = next(why for why, tag in asked if tag)
        return Choice(found, why, wanted)
    for one in order:
        if found := _served(one, available):
            return Choice(found, "fallback", wanted)
    return Choice(min(available), "only", wanted)


def _served(tag: str, available: Collection[str]) -> str | None:
    """The available language that serves a tag: itself, else its base."""
    tag = tag.replace("_", "-")
    by_lower = {one.lower(): one for one in available}
    return by_lower.get(tag.lower()) or by_lower.get(tag.split("-")[0].lower())
