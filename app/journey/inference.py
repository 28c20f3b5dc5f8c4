"""What counts of two groups allow one to say: intervals, an exact test, and how many people a question needs. Pure.

Own arithmetic on the standard library: the four formulas below are short, and the tests hold each to the figures
printed in the paper or the book it comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, exp, lgamma, log, sqrt
from statistics import NormalDist

CONFIDENCE = 0.95
"""What an interval covers where nobody asks for another."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate, and the bounds between which the truth lies with the confidence asked for."""

    estimate: float
    low: float
    high: float

    @property
    def excludes_nought(self) -> bool:
        """Whether nought (no difference) lies outside."""
        return self.low > 0 or self.high < 0


@lru_cache(maxsize=64)
def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


def rate(successes: int, people: int, confidence: float = CONFIDENCE) -> Interval:
    """A share of people with Wilson's score interval.

    Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927) 209-212; method 3 of
    Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17 (1998) 857-872.

    Raises:
        ValueError: there are no people, or more successes than people.
    """
    _proper(successes, people)
    z2 = _z(confidence) ** 2
    share = successes / people
    middle = (2 * successes + z2) / (2 * (people + z2))
    half = _z(confidence) * sqrt(z2 + 4 * successes * (1 - share)) / (2 * (people + z2))
    low = 0.0 if successes == 0 else max(middle - half, 0.0)
    high = 1.0 if successes == people else min(middle + half, 1.0)
    return Interval(share, low, high)


def difference(
    successes: int, people: int, other_successes: int, other_people: int, confidence: float = CONFIDENCE
) -> Interval:
    """How much higher the first share is than the other, with Newcombe's hybrid score interval.

    Method 10 of Newcombe, Interval estimation for the difference between independent proportions, Statistics in
    Medicine 17 (1998) 873-890. It keeps its promise where counts are small or nought, as the textbook's does not.
    """
    one, other = rate(successes, people, confidence), rate(other_successes, other_people, confidence)
    gap = one.estimate - other.estimate
    down = sqrt((one.estimate - one.low) ** 2 + (other.high - other.estimate) ** 2)
    up = sqrt((one.high - one.estimate) ** 2 + (other.estimate - other.low) ** 2)
    return Interval(gap, gap - down, gap + up)


def relative(
    successes: int, people: int, other_successes: int, other_people: int, confidence: float = CONFIDENCE
) -> Interval | None:
    """How much higher the first share is, as a part of the other: 0.2 is a fifth more. None where either is nought.

    The interval is that of the logarithm of the relative risk: Katz, Baptista, Azen and Pike, Obtaining confidence
    intervals for the risk ratio in cohort studies, Biometrics 34 (1978) 469-474.
    """
    _proper(successes, people)
    _proper(other_successes, other_people)
    if not successes or not other_successes:
        return None
    ratio = (successes / people) / (other_successes / other_people)
    # Both shares 1: no spread at all, and rounding must not make a root of less than nought.
    spread = sqrt(max(1 / successes - 1 / people + 1 / other_successes - 1 / other_people, 0.0))
    reach = exp(_z(confidence) * spread)
    return Interval(ratio - 1, ratio / reach - 1, ratio * reach - 1)


def fisher(successes: int, people: int, other_successes: int, other_people: int) -> float:
    """The two-sided p of Fisher's exact test: how probable a table at least as improbable as this is, by chance alone.

    Fisher, The logic of inductive inference, Journal of the Royal Statistical Society 98 (1935) 39-82. Exact, so the
    share of false alarms is never above what was asked for, however few people there are.
    """
    _proper(successes, people)
    _proper(other_successes, other_people)
    total, together = people + other_people, successes + other_successes
    lowest, highest = max(0, together - other_people), min(together, people)
    base = _choose(total, together)

    def weight(count: int) -> float:
        return exp(_choose(people, count) + _choose(other_people, together - count) - base)

    # Tables as probable as the one seen count as well; rounding must not leave them out.
    seen = weight(successes) * (1 + 1e-7)
    return min(sum(each for count in range(lowest, highest + 1) if (each := weight(count)) <= seen), 1.0)


def holm(ps: Sequence[float]) -> list[float]:
    """The p of several comparisons made at once, each adjusted so that a false alarm among all stays as rare as asked.

    Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6 (1979) 65-70.
    """
    adjusted = [0.0] * len(ps)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda each: ps[each])):
        highest = max(highest, min(ps[place] * (len(ps) - rank), 1.0))
        adjusted[place] = highest
    return adjusted


def needed(base: float, gap: float, times: float = 1.0, power: float = 0.8, confidence: float = CONFIDENCE) -> int:
    """How many people the smaller group must have for a difference of `gap` to be seen with probability `power`.

    Fleiss, Statistical Methods for Rates and Proportions, 2nd edition (1981), section 3.2, without the correction for
    continuity; for groups of unequal size after Fleiss, Tytun and Ury, Biometrics 36 (1980) 343-346.

    Args:
        base: the share in the smaller group, 0 to 1.
        gap: how much higher the share in the larger group is; above nought, and base + gap at most 1.
        times: how many times as many people the larger group has.

    Raises:
        ValueError: the shares do not lie between 0 and 1, or the gap is none.
    """
    raised = base + gap
    if not 0 <= base <= 1 or not 0 <= raised <= 1 or gap <= 0 or times <= 0:
        raise ValueError("two shares between 0 and 1 are needed, the second the higher")
    pooled = (base + times * raised) / (times + 1)
    by_chance = _z(confidence) * sqrt((times + 1) * pooled * (1 - pooled))
    seen = NormalDist().inv_cdf(power) * sqrt(times * base * (1 - base) + raised * (1 - raised))
    return ceil((by_chance + seen) ** 2 / (times * gap * gap))


@dataclass(frozen=True, slots=True)
class Amounts:
    """Amounts of a group: of how many people (most of whom may have none), their sum and the sum of their squares."""

    people: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        """Amount per person."""
        return self.total / self.people if self.people else 0.0

    @property
    def variance(self) -> float:
        """Of one person's amount; nought where one person or none is known."""
        if self.people < 2:
            return 0.0
        return max(self.squares - self.total * self.total / self.people, 0.0) / (self.people - 1)


def gained(one: Amounts, other: Amounts, confidence: float = CONFIDENCE) -> Interval:
    """How much more the first group brings per person than the other, without assuming equal spread.

    Welch, The significance of the difference between two means when the population variances are unequal, Biometrika 29
    (1938) 350-362, with the normal quantile: amounts are lop-sided, so it is worth something from some hundreds of
    people on, and whoever shows it keeps it back where there are few.
    """
    if one.people < 2 or other.people < 2:
        raise ValueError("each group needs two people at least")
    gap = one.mean - other.mean
    half = _z(confidence) * sqrt(one.variance / one.people + other.variance / other.people)
    return Interval(gap, gap - half, gap + half)


def _choose(among: int, count: int) -> float:
    """The logarithm of the number of ways to choose `count` of `among`."""
    if not 0 < count < among:
        return 0.0
    if count == 1 or count == among - 1:
        return log(among)
    return lgamma(among + 1) - lgamma(count + 1) - lgamma(among - count + 1)


def _proper(successes: int, people: int) -> None:
    if people <= 0 or not 0 <= successes <= people:
        raise ValueError("successes must be from 0 to the number of people, and there must be people")
