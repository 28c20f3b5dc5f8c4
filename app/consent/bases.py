"""The lawful basis of a message, by its class (R1, R3, R5-R8, R10, R11). Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app.consent.case import COMPLETED, CONCLUDED, SOLD, Basis, Case, Check, ConsentFacts
from app.consent.fold import State, asked_together, grant, objected_at, standing
from app.consent.policy import Policy
from app.consent.recovery import is_unfinished, reminder

_CONTRACT = Basis(Check("basis", True, "contract", "R20", {"class": "transactional"}), "contract")


def basis_of(case: Case) -> Basis:
    """The lawful basis of a message for this person at this instant, or why there is none."""
    match case.request.class_:
        case "transactional" if is_unfinished(case):
            offered = replace(case.request, class_="marketing", topic=case.policy.block_topic)
            return reminder(case, _marketing(case.asking(offered)))
        case "transactional":
            return _CONTRACT
        case "marketing":
            return _marketing(case)
        case "feedback":
            return _feedback(case)
        case _:
            return _sign_up(case)


def may_profile(facts: ConsentFacts, channel: str) -> bool:
    """Whether marketing to this person may rest on what they did or on what was worked out from it (R13). An objection
    to marketing ends it too (R10), until a newer yes to profiling itself."""
    state = facts.states.get((facts.address or "", channel, "profiling", None))
    objection = objected_at(facts.states)
    return state is not None and state.granted and (objection is None or state.at > objection)


def said_as_a_child(case: Case, given: State) -> bool:
    """Whether a yes was said before the person turned 14, and not by a parent (R12)."""
    turned = case.facts.fourteen_on
    return turned is not None and given.at.date() < turned and not given.guardian


def is_relay(address: str, policy: Policy) -> bool:
    """Whether an address is a masked one of a booking site (R34)."""
    return f".{address.rpartition('@')[2]}".endswith(policy.relay_endings)


def _refused(code: str, rule: str, line: int | None = None, **inputs: Any) -> Basis:
    return Basis(Check("basis", False, code, rule, {**inputs, "line": line}), None, line)


def _consent(state: State, topic: str | None, rule: str) -> Basis:
    inputs = {"topic": topic, "line": state.line, "at": state.at.isoformat(), "method": state.method}
    return Basis(Check("basis", True, "consent", rule, inputs), "consent", state.line)


_WORDS = {
    "nothing": ("no_consent", "R1"),
    "pending": ("pending", "R6"),
    "denied": ("denied", "R1"),
    "withdrawn": ("withdrawn", "R7"),
    "objected": ("objected", "R10"),
    "expired": ("expired", "R6"),
    "no_proof": ("no_proof", "R5"),
}


def _marketing(case: Case) -> Basis:
    request, facts = case.request, case.facts
    address, topic = facts.address or "", request.topic
    if topic is None:
        return _refused("no_topic", "R3")
    given = grant(facts.states, address, request.channel, topic)
    if given is not None and said_as_a_child(case, given):
        return _refused("child_consent", "R12", given.line, topic=topic)
    soft = _soft_opt_in(case) if given is None else None
    if facts.profiled and (given is not None or isinstance(soft, State)) and not may_profile(facts, request.channel):
        return _refused("no_profiling", "R13", topic=topic)
    if given is not None:
        return _consent(given, topic, "R1")
    if isinstance(soft, State):
        inputs = {"topic": topic, "line": soft.line, "at": soft.at.isoformat()}
        return Basis(Check("basis", True, "soft_opt_in", "R8", inputs), "soft_opt_in", soft.line)
    word, line = standing(facts.states, address, request.channel, topic)
    code, rule = _WORDS[word]
    if code == "no_consent" and _other_topics(case):
        code, rule = "topic_off", "R3"
    return _refused(code, rule, line, topic=topic, soft_opt_in=soft)


def _other_topics(case: Case) -> bool:
    place = (case.facts.address or "", case.request.channel, "marketing")
    return any(key[:3] == place and key[3] is not None and state.granted for key, state in case.facts.states.items())


def _soft_opt_in(case: Case) -> State | str:
    """The notice record a soft opt-in stands on, or the first of R8's conditions that is not met."""
    request, facts, _, policy = case
    address = facts.address or ""
    if request.channel != "email":
        return "not_email"
    speaks_of = facts.about.get(request.topic or "", frozenset())
    if not speaks_of:
        return "other_products"
    if is_relay(address, policy):
        return "relay_address"
    # Any no to any marketing, on any of the person's addresses, ends the exception: the strict reading of R8 and R10.
    if any(key[2] == "marketing" and state.refused_at is not None for key, state in facts.states.items()):
        return "refused"
    notice = facts.states.get((address, request.channel, "notice", None))
    if notice is None or not notice.granted or not notice.refusal_offered:
        return "no_notice"
    bought = {
        SOLD[one.kind]
        for one in facts.purchases
        if one.status in CONCLUDED and (one.amount or 0) > 0 and not one.refunded and one.channel != "ota"
    }
    if not bought:
        return "no_purchase"
    return notice if bought & speaks_of else "other_products"


def _feedback(case: Case) -> Basis:
    request, facts, _, policy = case
    address, channel = facts.address or "", request.channel
    own = facts.states.get((address, channel, "feedback", None))
    if own is not None and own.refused_at is not None:
        code, rule = _WORDS[own.refused_state or own.state]
        return _refused(code, rule, own.refused_line, purpose="feedback")
    objection = objected_at(facts.states)
    if own is not None and own.granted and (objection is None or own.at > objection):
        if said_as_a_child(case, own):
            return _refused("child_consent", "R12", own.line, purpose="feedback")
        return _consent(own, None, "R11")
    if objection is not None:
        return _refused("objected", "R10", purpose="feedback", at=objection.isoformat())
    topics = {key[3] for key in facts.states if key[:3] == (address, channel, "marketing")}
    for topic in sorted(topics, key=lambda one: one or ""):
        given = grant(facts.states, address, channel, topic)
        if given is not None and not said_as_a_child(case, given):
            return _consent(given, topic, "R11")
    if policy.feedback_basis != "legitimate_interest":
        return _refused("no_consent", "R11", purpose="feedback")
    if facts.booking is None or facts.booking.status not in COMPLETED:
        return _refused("no_stay", "R11", assessment=policy.feedback_assessment)
    before = sum(
        1 for one in facts.contacted if one.class_ == "feedback" and one.booking_id == facts.booking.booking_id
    )
    inputs: dict[str, Any] = {
        "assessment": policy.feedback_assessment,
        "before": before,
        "limit": policy.feedback_limit,
    }
    if before >= policy.feedback_limit:
        return _refused("feedback_limit", "R11", **inputs)
    return Basis(Check("basis", True, "legitimate_interest", "R11", inputs), "legitimate_interest")


def _asked_for(facts: ConsentFacts, channel: str, topic: str | None) -> tuple[str, int | None]:
    """Where what a confirmation mail asks for stands, in one word, and the line that says so."""
    address = facts.address or ""
    if topic is not None:
        return standing(facts.states, address, channel, topic)
    waiting = asked_together(facts.states, address, channel, None)
    newest = max((one.line for one in waiting.values()), default=None)
    objection = objected_at(facts.states)
    if objection is not None and any(objection >= one.at for one in waiting.values()):
        return "objected", newest
    return ("pending" if waiting else "nothing"), newest


def _sign_up(case: Case) -> Basis:
    request, facts, now, policy = case
    word, line = _asked_for(facts, request.channel, request.topic)
    held = next((one for one in facts.states.values() if one.line == line), None)
    if facts.minor and not (held is not None and held.guardian):
        return _refused("minor", "R12", line)
    if word != "pending" or held is None:
        return _refused("not_pending", "R6", line, topic=request.topic, state=word)
    asked = held.at
    before = sum(1 for one in facts.contacted if one.class_ == "consent_request" and one.at >= asked)
    inputs = {"topic": request.topic, "before": before, "limit": policy.consent_requests}
    if before >= policy.consent_requests:
        return _refused("asked_enough", "R6", line, **inputs)
    if now > asked + policy.pending_for:
        return _refused("expired", "R6", line, **inputs)
    return Basis(Check("basis", True, "sign_up", "R6", {**inputs, "line": line}), "sign_up", line)
