"""A friend's address is never stored (R17): refer-a-friend gives the guest a link to share, and no more. Pure.

What a sender reports of a friend (`friend_email`, `invitee: {...}`) is taken out before the event is looked at, so that
no table, log or conflict ever holds it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from app.contacts.sensitive_names import normal

Path = tuple[str | int, ...]
"""Keys and places of a list, from the top of the event."""

_WORD = r"(?:friend|invitee|referee|referred|invited|amic[oaih]+|invitat[oaie]|presentat[oaie])s?"
_KEY = re.compile(rf"(?:\w+_)?{_WORD}(?:_\w+)?|\w*_(?:of|to)_{_WORD}")
_HARMLESS = re.compile(r".*_(?:by|id|code|at|on|count|number|status|link|url|stay|booking|reward)")
_MAY_HOLD = re.compile(_WORD.encode() + rb'[^"]{0,100}"\s*:', re.IGNORECASE)


def may_hold(body: bytes) -> bool:
    """Whether a body may speak of a friend: a quick look, so that all other events cost nothing."""
    return _MAY_HOLD.search(body) is not None


def names_one(key: str) -> bool:
    """Whether a field of this name is for somebody else's data: forms and imports offer and take none."""
    plain = normal(key)
    return _KEY.fullmatch(plain) is not None and not _HARMLESS.fullmatch(plain)


def without(raw: dict[str, Any]) -> tuple[dict[str, Any], list[Path]]:
    """The event without what it says of a friend, and where that stood."""
    left = dict(raw)
    taken: list[Path] = []
    for part in ("data", "contact"):
        if isinstance(raw.get(part), dict):
            left[part] = _cleared(raw[part], (part,), taken)
    return left, taken


def _cleared(value: Any, where: Path, taken: list[Path]) -> Any:
    if isinstance(value, list):
        return [_cleared(one, (*where, place), taken) for place, one in enumerate(value)]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, one in value.items():
        if names_one(str(key)) and any(_tells(one)):
            taken.append((*where, key))
        else:
            kept[key] = _cleared(one, (*where, key), taken)
    return kept


def _tells(value: Any) -> Iterator[bool]:
    """Whether anything in it can be a name, an address or a number to call."""
    if isinstance(value, dict):
        for one in value.values():
            yield from _tells(one)
    elif isinstance(value, list):
        for one in value:
            yield from _tells(one)
    else:
        yield isinstance(value, str) and bool(value.strip())
