"""The facts every message has, as a plain mapping of path to type: what a template is checked against at publish."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.journey.known import FACT_FIELDS, OPEN_FIELDS

_TYPES: Final = {"instant": "datetime", "bool": "boolean", "number": "number"}

KNOWN_FACTS: Final[Mapping[str, str]] = {
    **{path: _TYPES.get(kind, kind) for path, kind in FACT_FIELDS.items()},
    **{f"property.{name}": "text" for name in (
        "sender_name", "sender_email", "reply_to", "email", "phone", "checkin_from", "checkout_until", "cin", "vat",
        "controller",
    )},
    **{path.rstrip("."): "object" for path in OPEN_FIELDS},
    **dict.fromkeys(
        ("property.address", "property.colours", "property.data", "event", "consent", "engagement"), "object"
    ),
}  # fmt: skip
"""Those conditions may ask for (journey/known.py), what a property says of itself, and the open objects, below which
anything may stand."""
