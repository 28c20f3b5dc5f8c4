"""What tells of a person's past behaviour: marketing may be chosen by it only with a consent to profiling (R13). Pure.

Which data count, and why a booking's dates do not, is told in docs/decisions/0008-what-past-behaviour-is.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Final

from app.journey.condition_tree import DID

SEGMENT: Final = "segment."
"""Before the name of a segment, among what a choice rests on."""
_ATTRIBUTE: Final = "contact.attributes."
_STAY: Final = frozenset(
    f"booking.{name}" for name in ("nights", "adults", "children", "amount", "room_type", "rate", "data")
)
"""How somebody stayed and what they spent; that they booked, when and with whom is the relation itself."""
_RELATION: Final = (
    *("booking.", "order.", "upsell.", "consent.", "contact.", "review.", "survey.", "form.", "task.", "workflow."),
    *("segment.", "date.", "schedule.", "message."),
)
_WATCHED: Final = frozenset({"message.clicked", "message.opened"})


def is_watched(event: str) -> bool:
    """Whether an event tells what somebody looked at, rather than what was agreed, said or sent: a page viewed or
    a link followed; and so does every kind that a system has made up."""
    return event in _WATCHED or not event.startswith(_RELATION)


def of_stay(path: str) -> bool:
    """Whether a path tells how somebody stayed and what they spent: behaviour once that stay is over."""
    return path in _STAY or path.startswith("booking.data.")


@lru_cache(maxsize=1024)
def among(paths: frozenset[str]) -> tuple[str, ...]:
    """Those of the paths that may tell of behaviour, sorted: what a message keeps of what it was chosen by."""
    return tuple(
        sorted(
            path
            for path in paths
            if path.startswith((_ATTRIBUTE, "engagement.", SEGMENT))
            or of_stay(path)
            or (path.startswith(DID) and is_watched(path.removeprefix(DID)))
        )
    )


def tells(paths: Iterable[str], inferred: Collection[str], traced: Collection[str] = (), *, past: bool = True) -> bool:
    """Whether any of the paths tells of behaviour.

    Args:
        inferred: attributes that were worked out of what people did.
        traced: segments that rest on behaviour themselves.
        past: the stay that `booking.*` speaks of is over, or it is of any stay they ever had.
    """
    return any(
        path.startswith("engagement.")
        or path.removeprefix(_ATTRIBUTE) in inferred
        or (path.startswith(SEGMENT) and path.removeprefix(SEGMENT) in traced)
        or (path.startswith(DID) and is_watched(path.removeprefix(DID)))
        or (past and of_stay(path))
        for path in paths
    )
