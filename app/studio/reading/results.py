"""A workflow's results in the reader's words: no figure is more exact than the number of people behind it allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.enrollments.results import Lift, Results, SplitResult
from app.journey.durations import say
from app.journey.inference import Interval, rate
from app.studio.languages import gettext, language, money, number, share

MANY = 1_000
"""From so many people on a share is shown to a tenth of a point."""


@dataclass(frozen=True, slots=True)
class Row:
    """One group or variant. `spread` is the interval of its share, `note` a word besides (weight, winner)."""

    name: str
    note: str
    people: str
    goals: str
    share: str
    spread: str
    value: str
    sent: str = ""
    clicks: str = ""
    clicks_spread: str = ""
    won: bool = False


@dataclass(frozen=True, slots=True)
class ShownLift:
    """A comparison with a control group: the headline, the rows, and what is to be said of it."""

    verdict: str
    headline: str
    rows: Sequence[Row]
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class ShownSplit:
    """A split: the headline, the rows, what is to be said of it, and what may be done."""

    split: SplitResult
    headline: str
    rows: Sequence[Row]
    lines: Sequence[str]
    by_click: bool


def lifts(results: Results) -> list[ShownLift]:
    """Every comparison with people held out; no query."""
    return [_lift(results, lift) for lift in results.lifts]


def splits(results: Results) -> list[ShownSplit]:
    """Every split; no query."""
    return [_split(results, split) for split in results.splits]


def _places(people: int) -> int:
    return 1 if people >= MANY else 0


def _share(part: int, people: int) -> str:
    return share(part / people, _places(people)) if people else "–"


def _spread(interval: Interval | None, people: int) -> str:
    if interval is None:
        return ""
    places = _places(people)
    return gettext("%(low)s to %(high)s", low=share(interval.low, places), high=share(interval.high, places))


def _points(value: float, places: int) -> str:
    """A difference of shares in points, with its sign."""
    figure = round(value * 100, places)
    text = number(abs(figure))
    return f"+{text}" if figure > 0 else f"−{text}" if figure < 0 else text


def _change(value: float) -> str:
    text = share(abs(value))
    return f"+{text}" if value > 0 else f"−{text}" if value < 0 else text


def _per_person(amount: int, people: int, currency: str) -> str:
    return money(round(amount / people), currency) if people else "–"


def _lift(results: Results, lift: Lift) -> ShownLift:
    treated, control = lift.treated, lift.control
    names = (
        (gettext("Tried on"), gettext("They went through the workflow")),
        (gettext("Held out"), gettext("They qualified and were left alone"))
        if lift.by == "workflow"
        else (gettext("Kept out of all marketing"), gettext("The workspace holds them out; service mail reached them")),
    )
    rows = [
        Row(
            name,
            note,
            number(tally.people),
            number(tally.goals),
            _share(tally.goals, tally.people),
            _spread(_rate(tally.goals, tally.people), tally.people),
            _per_person(tally.amount, tally.people, results.currency),
        )
        for (name, note), tally in zip(names, (treated, control), strict=True)
    ]
    return ShownLift(lift.verdict, _headline(lift), rows, _lift_lines(results, lift))


def _headline(lift: Lift) -> str:
    shown = {
        "treated": _share(lift.treated.goals, lift.treated.people),
        "control": _share(lift.control.goals, lift.control.people),
    }
    match lift.verdict:
        case "better":
            return gettext("It helps: %(treated)s reached the goal, against %(control)s without it.", **shown)
        case "worse":
            return gettext("It harms: %(treated)s reached the goal, against %(control)s without it.", **shown)
        case "open":
            text = gettext("Not settled: %(treated)s reached the goal, against %(control)s without it.", **shown)
            return f"{text} {gettext('Chance alone could make that difference.')}"
        case _:
            return gettext("Nothing to compare yet: one of the two groups is still empty.")


def _lift_lines(results: Results, lift: Lift) -> list[str]:
    lines = []
    difference, people = lift.difference, lift.treated.people
    if difference is not None:
        # A bound must not be rounded to nought where the whole verdict hangs on its side of it.
        near = any(abs(bound) < 0.015 for bound in (difference.low, difference.high))
        places = 1 if near else _places(min(people, lift.control.people))
        lines.append(
            gettext(
                "Difference: %(points)s points; with 95%% confidence between %(low)s and %(high)s.",
                points=_points(difference.estimate, places),
                low=_points(difference.low, places),
                high=_points(difference.high, places),
            )
        )
    if lift.verdict in {"better", "worse"} and difference is not None:
        if lift.relative is not None:
            bounds = sorted((lift.relative.low, lift.relative.high))
            lines.append(
                gettext(
                    "As a part of the share without it: %(change)s, between %(low)s and %(high)s.",
                    change=_change(lift.relative.estimate),
                    low=_change(bounds[0]),
                    high=_change(bounds[1]),
                )
            )
        low, high = sorted((abs(round(difference.low * people)), abs(round(difference.high * people))))
        bounds_of = {"low": number(low), "high": number(high)}
        lines.append(
            gettext("In people: about %(low)s to %(high)s more goals than without the workflow.", **bounds_of)
            if lift.verdict == "better"
            else gettext("In people: about %(low)s to %(high)s goals fewer than without the workflow.", **bounds_of)
        )
    if lift.per_person is not None:
        figures = {
            name: money(round(value), results.currency)
            for name, value in (
                ("gap", lift.per_person.estimate),
                ("low", lift.per_person.low),
                ("high", lift.per_person.high),
            )
        }
        lines.append(
            gettext(
                "Difference in value per person: %(gap)s; with 95%% confidence between %(low)s and %(high)s.", **figures
            )
        )
    open_ = lift.treated.open + lift.control.open
    if open_ and results.within is not None:
        lines.append(
            gettext(
                "%(count)s people may still reach the goal: their %(within)s are not over.",
                count=number(open_),
                within=say(results.within, language()),
            )
        )
    if lift.hint is not None and lift.verdict == "open":
        lines.append(
            gettext(
                "At this rate, a difference of %(gap)s points takes about %(smaller)s "
                "people held out and %(larger)s others to be seen.",
                gap=number(lift.hint.gap * 100),
                smaller=number(_about(lift.hint.smaller)),
                larger=number(_about(lift.hint.larger)),
            )
        )
    return lines


def _about(people: int) -> int:
    """To two figures: the sum is no more exact than the guess it starts from."""
    size = int(10 ** max(len(str(people)) - 2, 0))
    return -(-people // size) * size


def _rate(part: int, people: int) -> Interval | None:
    return rate(part, people) if people else None


def _split(results: Results, split: SplitResult) -> ShownSplit:
    by_click = split.by == "click"
    rows = []
    for one in split.variants:
        tally = one.tally
        rows.append(
            Row(
                one.name,
                gettext("%(weight)s%% of the people", weight=one.weight),
                number(tally.people),
                number(tally.goals),
                _share(tally.goals, tally.people),
                _spread(one.goal, tally.people),
                _per_person(tally.amount, tally.people, results.currency),
                number(tally.sent),
                _share(tally.clicked, tally.observable),
                _spread(one.click, tally.observable),
                won=one.name == split.winner,
            )
        )
    return ShownSplit(split, _split_headline(split), rows, _split_lines(split), by_click)


def _split_headline(split: SplitResult) -> str:
    if split.state == "decided":
        return gettext("%(name)s won: everybody who comes here now goes that way.", name=split.winner)
    if split.state == "looked":
        return gettext("The rule has looked and could not rule out chance: people go on being divided.")
    if not any(one.tally.people for one in split.variants):
        return gettext("Nobody has come to this split yet.")
    return gettext("It is running: people are being divided.")


def _split_lines(split: SplitResult) -> list[str]:
    lines = []
    if split.state == "running" and split.by:
        lines.append(
            gettext(
                "The rule looks once, when each variant has %(least)s people: by %(what)s, at %(confidence)s "
                "confidence (Fisher's exact test; with several variants adjusted after Holm).",
                least=number(split.min_sample),
                what=gettext("clicks") if split.by == "click" else gettext("the goal"),
                confidence=share(split.confidence, 1 if round(split.confidence * 100) != split.confidence * 100 else 0),
            )
        )
    p = _adjusted(split)
    if split.state != "running" and p is not None:
        lines.append(
            gettext(
                "Were the two best truly alike, chance would bring such a difference in about %(times)s of 1,000 "
                "such tests.",
                times=number(max(round(p * 1000), 1)),
            )
        )
    seen, sent = split.observable
    if sent:
        lines.append(
            gettext(
                "Clicks can be seen of %(seen)s of the %(sent)s people who were sent something; the others have not "
                "consented to tracking, and nothing is assumed of them.",
                seen=number(seen),
                sent=number(sent),
            )
        )
    if split.state == "running" and split.hint is not None:
        lines.append(
            gettext(
                "At this rate, a difference of %(gap)s points takes about %(people)s people "
                "in each variant to be seen.",
                gap=number(split.hint.gap * 100),
                people=number(_about(split.hint.smaller)),
            )
        )
    return lines


def _adjusted(split: SplitResult) -> float | None:
    compared = (split.figures.get("verdict") or {}).get("comparisons") or []
    return max((float(one["adjusted"]) for one in compared), default=None)
