"""Audience experiments: who gets which variant, and what the counts of two groups allow us to say. Pure.

Assignment is a keyed hash of who and what (R62): the same person draws the same lot after a restart, on another
machine and in a later version of the workflow, and nothing needs to be stored for it to be so.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

_SCALE = 1 << 64


def lot(*what: str | int) -> float:
    """A number from 0 up to (not including) 1 that hangs on nothing but `what`; spread evenly over different `what`.

    Args:
        what: the parts of the key, in order: what the experiment is, then who the person is. No part can run into
            the next: ("a", "b") and ("ab",) draw apart.
    """
    key = b"".join(len(part).to_bytes(4, "big") + part for part in (str(each).encode() for each in what))
    return int.from_bytes(blake2b(key, digest_size=8, person=b"percorso").digest(), "big") / _SCALE


def draw(what: Sequence[str | int], weights: Sequence[tuple[str, int]]) -> str:
    """The name that `what` draws, each as probable as its weight is of the sum of weights.

    Args:
        what: as for `lot`: for a split (workflow's name, step's id, contact's id).
        weights: (name, weight) in the order of the document; weights are whole numbers, at least one above nought.

    Raises:
        ValueError: no weight is above nought.
    """
    total = sum(weight for _, weight in weights)
    if total <= 0:
        raise ValueError("one weight at least must be above nought")
    at = lot(*what) * total
    for name, weight in weights:
        if at < weight:
            return name
        at -= weight
    # Rounding can leave a hair above the last weight.
    return next(name for name, weight in reversed(weights) if weight > 0)


def held_out(what: Sequence[str | int], percent: int) -> bool:
    """Whether `what` is among the `percent` of 100 kept out as a control group.

    Raising the percentage keeps everybody who was out already out; lowering it lets some of them in.

    Args:
        what: for a workflow's own holdout ("holdout", workflow's name, contact's id), for the workspace's
            ("holdout", salt, contact's id).
        percent: whole percent, 0 to 100.
    """
    return lot(*what) * 100 < percent
