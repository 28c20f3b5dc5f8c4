"""What a person can live through in a journey, told alike for a peer's journey and for a program of ours.

A *way* is the list of what one person meets from entry to exit: messages, delays, waits and how they ended, splits and
which side was taken. Two journeys are the same where their ways are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.journey.program import (
    BranchOp,
    Clock,
    Dated,
    EndOp,
    ExitOp,
    For,
    Op,
    Program,
    SendOp,
    SetOp,
    SplitOp,
    WaitForOp,
    WaitOp,
)

Met = tuple[str | int, ...]
Way = tuple[Met, ...]

_DAY = 86_400
_NAMED = {"<oneDaySeconds>": _DAY}
"""Lengths that a peer's test keeps in a variable."""


class UnknownNodeError(ValueError):
    """A kind of node that is not told here yet."""


def ways_of_dittofeed(journey: Mapping[str, Any]) -> set[Way]:
    """The ways through a Dittofeed journey definition. Nodes that nobody reaches count for nothing."""
    nodes = {str(node["id"]): node for node in journey["nodes"]}

    def from_(name: str) -> Iterator[Way]:
        node = nodes.get(name)
        if node is None or node["type"] == "ExitNode":
            yield ()
            return
        for met, child in _dittofeed_ways_out(node):
            for rest in from_(str(child)):
                yield (*([met] if met else []), *rest)

    return set(from_(str(journey["entryNode"]["child"])))


def _dittofeed_ways_out(node: Mapping[str, Any]) -> Iterator[tuple[Met | None, str]]:
    variant = node.get("variant") or {}
    match node["type"]:
        case "MessageNode":
            yield ("message", "topic" if node.get("subscriptionGroupId") else "no topic"), node["child"]
        case "DelayNode":
            yield _dittofeed_delay(variant), node["child"]
        case "SegmentSplitNode":
            yield ("split", "yes"), variant["trueChild"]
            yield ("split", "no"), variant["falseChild"]
        case "RandomCohortNode":
            shares = _whole([child["percent"] for child in node["children"]])
            for child, share in zip(node["children"], shares, strict=True):
                yield ("cohort", share), child["id"]
        case "WaitForNode":
            length = _seconds(node["timeoutSeconds"])
            yield ("wait", length, "timeout"), node["timeoutChild"]
            for child in node["segmentChildren"]:
                yield ("wait", length, "met"), child["id"]
        case other:
            raise UnknownNodeError(other)


def _dittofeed_delay(variant: Mapping[str, Any]) -> Met:
    match variant["type"]:
        case "Second":
            return ("delay", _seconds(variant["seconds"]))
        case "LocalTime":
            return ("clock", f"{variant['hour']:02}:{variant['minute']:02}")
        case "UserProperty":
            sign = -1 if variant["offsetDirection"] == "Before" else 1
            return ("date", sign * _seconds(variant["offsetSeconds"]))
        case other:
            raise UnknownNodeError(other)


def _whole(shares: list[float]) -> list[int]:
    """Shares as whole numbers that make a hundred: what is left over goes to the largest remainders."""
    whole = [int(share) for share in shares]
    for place in sorted(range(len(shares)), key=lambda n: whole[n] - shares[n])[: 100 - sum(whole)]:
        whole[place] += 1
    return whole


def _seconds(value: Any) -> int:
    return int(_NAMED.get(value, value))


def ways_of_parcelvoy(journey: Mapping[str, Any]) -> set[Way]:
    """The ways through a Parcelvoy step map. A delay of nothing is nothing."""

    def from_(name: str) -> Iterator[Way]:
        step = journey[name]
        met = _parcelvoy_meets(step)
        children = step.get("children") or []
        if not children:
            yield (met,) if met else ()
        for child in children:
            here: Met | None = ("split", child["path"]) if step["type"] == "gate" else met
            for rest in from_(child["external_id"]):
                yield (*([here] if here else []), *rest)

    return set(from_(next(name for name, step in journey.items() if step["type"] == "entrance")))


def _parcelvoy_meets(step: Mapping[str, Any]) -> Met | None:
    match step["type"]:
        case "entrance" | "gate":
            return None
        case "delay":
            length = int(step["data"].get("hours", 0) * 3600)
            return ("delay", length) if length else None
        case "update":
            return ("update",)
        case other:
            raise UnknownNodeError(other)


def ways_of(program: Program) -> set[Way]:
    """The ways through a program of ours. What only this house has (a note to itself, a reason) counts for nothing."""

    def from_(place: int) -> Iterator[Way]:
        ways_out = list(_ways_out(program.ops[place]))
        if not ways_out:
            yield ()
        for met, goto in ways_out:
            for rest in from_(goto):
                yield (*([met] if met else []), *rest)

    return set(from_(0))


def _ways_out(op: Op) -> Iterator[tuple[Met | None, int]]:
    match op:
        case SendOp():
            yield ("message", "topic" if op.topic else "no topic"), op.next
        case WaitOp():
            yield _waits(op), op.next
        case WaitForOp():
            length = _length(op.up_to)
            yield ("wait", length, "met"), op.then
            yield ("wait", length, "timeout"), op.timeout
        case BranchOp():
            assert len(op.cases) == 1, "peers know questions of yes and no only"
            yield ("split", "yes"), op.cases[0].goto
            yield ("split", "no"), op.otherwise
        case SplitOp():
            for variant in op.variants:
                yield ("cohort", variant.weight), variant.goto
        case SetOp():
            own = all(path.startswith("enrollment.fields.") for path in (*op.values, *op.copies))
            yield None if own else ("update",), op.next
        case ExitOp() | EndOp():
            return
        case other:
            raise UnknownNodeError(type(other).__name__)


def _waits(op: WaitOp) -> Met:
    match op.until:
        case For():
            return ("delay", _length(op.until))
        case Clock(at=at):
            return ("clock", at.strftime("%H:%M"))
        case Dated(offset=offset):
            return ("date", offset.days * _DAY + offset.seconds)
        case other:
            raise UnknownNodeError(type(other).__name__)


def _length(until: Any) -> int:
    assert isinstance(until, For), "peers wait for lengths of time"
    return until.duration.days * _DAY + until.duration.seconds
