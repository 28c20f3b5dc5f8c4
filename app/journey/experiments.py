"""Audience experiments: who gets which variant, and what the counts of two groups allow us to say. Pure.

Assignment is a keyed hash of who and what (R62): the same person draws the same lot after a restart, on another
machine and in a later version of the workflow, and nothing needs to be stored for it to be so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from app.journey.inference import fisher, holm

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
    return percent > 0 and lot(*what) * 100 < percent


TEST = "fisher-holm"
"""Fisher's exact test, two-sided, of the best variant against each other one, adjusted after Holm (see `inference`)."""


@dataclass(frozen=True, slots=True)
class Counted:
    """One variant: how many people it was tried on, and on how many of them it worked."""

    name: str
    people: int
    successes: int

    @property
    def rate(self) -> float:
        """The share of people on whom it worked."""
        return self.successes / self.people if self.people else 0.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """The best variant against another one: p as it stands alone, and as one of several comparisons."""

    against: str
    p: float
    adjusted: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a test came to. `best` leads so far (None: two lead alike); `winner` is it where chance is ruled out."""

    best: str | None
    winner: str | None
    confidence: float
    comparisons: tuple[Comparison, ...] = ()
    test: str = TEST


def enough(variants: Sequence[Counted], least: int) -> bool:
    """Whether every variant was tried on as many people as the rule asks for. Hangs on no outcome, so waiting for it is
    no peeking."""
    return bool(variants) and all(variant.people >= max(least, 1) for variant in variants)


def judge(variants: Sequence[Counted], confidence: float) -> Verdict:
    """The variant that is better than every other one, if the counts rule out chance.

    The best so far is compared with each of the others; it wins where all comparisons, adjusted after Holm, are below
    1 - confidence. Where the two best are truly equal this names a winner at most as often as 1 - confidence: the one
    comparison between them has to raise a false alarm. The promise holds for one look; who looks until it says yes
    will be told yes. Hence the rule looks once.

    Args:
        variants: two at least, each with people.
        confidence: 0.95 where one false winner in twenty is accepted.

    Raises:
        ValueError: fewer than two variants, or one without people.
    """
    if len(variants) < 2 or not all(variant.people for variant in variants):
        raise ValueError("two variants with people are needed")
    best, *others = sorted(variants, key=lambda variant: -variant.rate)
    if best.rate == others[0].rate:
        return Verdict(None, None, confidence)
    ps = [fisher(best.successes, best.people, other.successes, other.people) for other in others]
    compared = tuple(map(Comparison, (other.name for other in others), ps, holm(ps)))
    sure = all(each.adjusted <= 1 - confidence for each in compared)
    return Verdict(best.name, best.name if sure else None, confidence, compared)
