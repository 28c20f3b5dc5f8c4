"""The name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The right name closest to a wrong one, or None where none is close."""
    known = sorted(set(names))
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return close[0]
    tail = name.rsplit(".", 1)[-1]
    same_tail = [other for other in known if other.rsplit(".", 1)[-1] == tail]
    return same_tail[0] if same_tail else None


def cure(name: str, names: Iterable[str], else_say: str = "") -> str:
    """The sentence that follows "unknown X": the nearest name, or all of them where they are few."""
    known = sorted(set(names))
    near = nearest(name, known)
    if near:
        return f"did you mean {near}?"
    if 0 < len(known) <= 12:
        return "one of: " + ", ".join(known)
    return else_say
