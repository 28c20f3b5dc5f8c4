"""May this person get this message, on this channel, now? Pure: plain values in, a decision with its reasons out.

The checks run in the order of DESIGN 2.5 and stop at the first refusal; what only asks for another hour (a pause, the
cap, quiet hours) is weighed last and puts the message off within its window. Every check, passed or not, carries a
code, the rule of RULES.md it rests on, and the values it looked at; `consent/sentences.py` says each code in words.

The same function judges at the gate and once more in the transaction of the lease. Taking anything away (a consent, a
day, a slot of the cap) never turns a no into a yes: a property test holds that.

    fold.py       what the ledger says now
    policy.py     the numbers, and a workspace's own
    bases.py      the lawful basis by class
    pressure.py   cap and quiet hours
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from app.consent.bases import basis_of, is_relay, may_profile
from app.consent.case import (
    CAPPED,
    DEFAULT,
    Case,
    Check,
    ConsentFacts,
    Contacted,
    Decision,
    Purchase,
    Request,
    Suppressed,
)
from app.consent.policy import Policy
from app.consent.pressure import cap, quiet, zone_or_utc

__all__ = [
    "CAPPED",
    "DEFAULT",
    "Case",
    "Check",
    "ConsentFacts",
    "Contacted",
    "Decision",
    "Policy",
    "Purchase",
    "Request",
    "Suppressed",
    "block_classes",
    "decide",
    "decide_among",
    "may_profile",
    "may_track",
]


_OWN_ADDRESS = Check("address", True, "own_address", "R34", {})
_NOT_SUPPRESSED = Check("suppression", True, "not_suppressed", "R37", {})
_NO_TOPIC_NEEDED = Check("topic", True, "no_topic_needed", "R3", {})
_NOT_HELD_OUT = Check("holdout", True, "not_held_out", "R62", {})
_STILL_INSIDE = Check("exit", True, "still_inside", "R60", {})
_STREAM_OPEN = Check("stream", True, "stream_open", "R63", {})


def decide(request: Request, facts: ConsentFacts, now: datetime, policy: Policy = DEFAULT) -> Decision:
    """Judge one message.

    Args:
        request: the message that asks.
        facts: what is known of the person now.
        now: the instant of the judgement.
        policy: the workspace's numbers.

    Returns:
        Allowed with its basis; refused; or deferred until an instant within its window.
    """
    case = Case(request, facts, now, policy)
    checks: list[Check] = []
    if request.channel not in policy.senders:
        check = Check("sender", False, "no_sender", "R24", {"channel": request.channel})
        return Decision("refused", (check,))
    for question in (_reachable, _relay):
        answer = question(case)
        checks.append(answer)
        if not answer.ok:
            return Decision("refused", tuple(checks))
    basis = basis_of(case)
    checks.append(basis.check)
    if not basis.check.ok:
        return Decision("refused", tuple(checks), None, basis.line)
    for question in (_suppression, _topic, _holdout, _exits, _latest):
        answer = question(case)
        checks.append(answer)
        if not answer.ok:
            return Decision("refused", tuple(checks), basis.name, basis.line)
    stream, opens = _paused(case)
    held = case.facts.held
    if held is not None:
        opens = max(opens, held.until)
    limit, opens = cap(case, opens, _may_go)
    hours, opens = quiet(case, opens)
    checks.append(stream)
    if held is not None:
        checks.append(Check("sender_domain", False, held.code, held.rule, held.inputs))
    checks += (limit, hours)
    if stream.ok and held is None and limit.ok and hours.ok:
        return Decision("allowed", tuple(checks), basis.name, basis.line)
    end = request.latest or (request.since or now) + policy.defer_for
    if opens > end or (not limit.ok and policy.on_cap == "drop"):
        return Decision("refused", tuple(checks), basis.name, basis.line)
    return Decision("deferred", tuple(checks), basis.name, basis.line, opens)


def decide_among(
    request: Request, facts: Mapping[str, ConsentFacts], now: datetime, policy: Policy = DEFAULT
) -> tuple[str, Decision]:
    """Judge one message that may go over several channels: the first that is not refused takes it.

    Args:
        request: the message; its own channel is that of the first.
        facts: channel → what is known there (address, suppressions), in the order of preference.

    Returns:
        The channel, and the decision for it. Where every one is refused, the first channel with a refusal
        (`no_channel`) that names each channel and why.
    """
    tried: list[str] = []
    refusals: list[Decision] = []
    for channel, known in facts.items():
        decision = decide(replace(request, channel=channel), known, now, policy)
        if decision.outcome != "refused":
            chosen = Check("channel", True, "channel_chosen", "R19", {"channel": channel, "tried": list(tried)})
            return channel, replace(decision, checks=(chosen, *decision.checks), channel=channel)
        tried.append(f"{channel}: {decision.code}")
        refusals.append(decision)
    first = next(iter(facts))
    none = Check("channel", False, "no_channel", "R19", {"tried": tried})
    over = next((one for one in refusals if one.code == "exited"), None)
    return first, over or Decision("refused", (none,))


def block_classes(request: Request, facts: ConsentFacts, now: datetime, policy: Policy = DEFAULT) -> frozenset[str]:
    """Which classes of blocks this person may be shown inside this message (R21)."""
    allowed = {"transactional"}
    for class_, topic in (("marketing", request.topic or policy.block_topic), ("feedback", None)):
        block = Request(
            request.message_id, class_, request.channel, topic, request.due_at, booking_id=request.booking_id
        )
        if _may_go(Case(block, facts, now, policy)):
            allowed.add(class_)
    # A block made for the person by what they did, or the same for everybody in its place (R13).
    allowed.add("profiling" if may_profile(facts, request.channel) else "generic")
    return frozenset(allowed)


def may_track(facts: ConsentFacts, channel: str) -> bool:
    """Whether clicks and opens of this person may be followed (R14, R15)."""
    state = facts.states.get((facts.address or "", channel, "open_tracking", None))
    return state is not None and state.granted


def _may_go(case: Case) -> bool:
    """Whether a message can go at all, whatever the hour: what will be refused takes nobody's slot."""
    if case.request.channel not in case.policy.senders:
        return False
    questions = (_reachable, _relay, _suppression, _latest)
    return all(question(case).ok for question in questions) and basis_of(case).check.ok


def _reachable(case: Case) -> Check:
    facts, inputs = case.facts, {"channel": case.request.channel}
    if facts.erased:
        return Check("person", False, "erased", "R51", inputs)
    if facts.frozen and not case.request.needed:
        return Check("person", False, "frozen", "R52", inputs)
    if not facts.address:
        return Check("person", False, "no_address", "R1", inputs)
    # A child may be asked to confirm where a parent signed up for them: the basis looks for the parent's name.
    if facts.minor and case.request.class_ not in {"transactional", "consent_request"}:
        return Check("person", False, "minor", "R12", inputs)
    return Check("person", True, "reachable", "R1", inputs)


def _relay(case: Case) -> Check:
    request, facts, now, policy = case
    if request.channel != "email" or not is_relay(facts.address or "", policy):
        return _OWN_ADDRESS
    if request.class_ != "transactional":
        return Check("address", False, "relay_address", "R34", {"class": request.class_})
    stays = (facts.booking,) if facts.booking else facts.purchases
    departure = max((one.departure for one in stays if one.departure), default=None)
    if departure is not None:
        last = departure + timedelta(days=policy.relay_days)
        if now.astimezone(zone_or_utc(facts.property_zone)).date() > last:
            return Check("address", False, "relay_expired", "R34", {"last_day": last.isoformat()})
    return Check("address", True, "relay_in_use", "R34", {})


def _suppression(case: Case) -> Check:
    for one in case.facts.suppressed:
        # A confirmation request may reach who once left: only a fresh double opt-in lifts that (R37).
        if one.scope == "all" or case.request.class_ in CAPPED:
            rule = "R36" if one.reason == "complaint" else "R37"
            return Check("suppression", False, "suppressed", rule, {"reason": one.reason, "scope": one.scope})
    return _NOT_SUPPRESSED


def _topic(case: Case) -> Check:
    # That the person wants this very topic, the basis has said already: a yes is always for a topic, or for all.
    if case.request.class_ == "marketing":
        return Check("topic", True, "topic_on", "R3", {"topic": case.request.topic})
    return _NO_TOPIC_NEEDED


def _holdout(case: Case) -> Check:
    if case.facts.holdout is not None and case.request.class_ in CAPPED:
        return Check("holdout", False, "holdout", "R62", {"experiment": case.facts.holdout})
    return _NOT_HELD_OUT


def _exits(case: Case) -> Check:
    if case.facts.left is not None:
        return Check("exit", False, "exited", "R60", {"reason": case.facts.left})
    return _STILL_INSIDE


def _latest(case: Case) -> Check:
    latest = case.request.latest
    inputs = {"latest": latest.isoformat() if latest else None}
    if latest is not None and case.now > latest:
        return Check("latest", False, "too_late", "R59", inputs)
    return Check("latest", True, "in_time", "R59", inputs)


def _paused(case: Case) -> tuple[Check, datetime]:
    again = case.now + case.policy.pause_retry
    if case.facts.paused is not None:
        return Check("stream", False, "paused", "R63", {"workflow": case.facts.paused}), again
    why = case.policy.paused.get(case.request.class_)
    if why is not None:
        return Check("stream", False, "paused", "R38", {"why": why}), again
    return _STREAM_OPEN, case.now
