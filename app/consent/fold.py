"""From the lines of the ledger to what holds now. Pure.

The newest explicit act wins (X43), where *newest* means when the person acted, not when we learned of it: an old yes
that arrives after a no does not count (X44). An import never lifts a no, whatever date it claims (R10). At the same
instant the no wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

PURPOSES = ("marketing", "profiling", "open_tracking", "feedback", "third_party_sharing", "notice")
"""None of them implies another (R3). `notice`, granted, means: has been shown the privacy notice; it is no consent."""

STATES = ("pending", "granted", "denied", "withdrawn", "expired", "objected")
REFUSALS = frozenset({"denied", "withdrawn", "objected"})

IMPORTED = frozenset({"import", "pms_sync"})
"""Methods by which a system, not the person, speaks."""

NEEDS_CONFIRMATION = frozenset({"web", "desk_tablet", "staff", "phone"})
"""Methods whose yes counts only with the confirmation from the mailbox, or a signed scan (R6, X43)."""

Key = tuple[str, str, str, str | None]
"""address, channel, purpose, topic (None: all topics of the purpose)."""


@dataclass(frozen=True, slots=True)
class Line:
    """What the fold reads of one line of the ledger."""

    line: int
    address: str
    channel: str
    purpose: str
    topic: str | None
    state: str
    method: str
    at: datetime
    """When the person acted: the confirmation where there was one, else the request."""
    proven: bool
    """Whether the record holds what R5 asks for; without it a yes counts as no consent."""
    refusal_offered: bool = False
    """On a `notice` line: the right to refuse was offered when the address was collected (R8)."""
    recovery_mentioned: bool = False
    """On a `notice` line: it told of the one reminder of what was left unfinished (R9)."""
    guardian: bool = False
    """The record names the parent who gave the yes for a child (R12)."""

    @property
    def key(self) -> Key:
        """What the line is about."""
        return (self.address, self.channel, self.purpose, self.topic)


@dataclass(frozen=True, slots=True)
class State:
    """What holds now for one key, and the line that says so."""

    state: str
    line: int
    at: datetime
    method: str
    proven: bool
    refused_at: datetime | None = None
    """The newest no that nothing has lifted: it stays known while a new request is pending."""
    refused_state: str | None = None
    refused_line: int | None = None
    refusal_offered: bool = False
    recovery_mentioned: bool = False
    guardian: bool = False
    """A parent gave it for a child, or asks for it (R12)."""

    @property
    def granted(self) -> bool:
        """A yes with its proof."""
        return self.state == "granted" and self.proven


def missing_proof(
    state: str, method: str, *, wording_version: object, confirmed: bool, scan_id: object, import_file: object
) -> tuple[str, ...]:
    """What a yes lacks of R5 and R6: any of wording_version, method, confirmation, scan, import_file. Empty: nothing,
    and always so for every other state, which needs no proof."""
    if state != "granted":
        return ()
    lacking = [name for name, given in (("wording_version", wording_version), ("method", method)) if not given]
    if method in NEEDS_CONFIRMATION and not (confirmed or scan_id):
        lacking.append("confirmation")
    if method == "paper" and not (confirmed or scan_id):
        lacking.append("scan")
    if method in IMPORTED and not import_file:
        lacking.append("import_file")
    return tuple(lacking)


def settle(lines: Iterable[Line]) -> State:
    """What holds for one key (at least one line). The order in which the lines were written down plays no part.

    The newest no stands until a newer yes of the person; a yes stands until it lapses; a request is pending unless it
    is older than what was said since.
    """
    said = list(lines)
    no = _newest(line for line in said if line.state in REFUSALS)
    # Where a no was ever said, a system's word counts for nothing: it may be a copy made before it (R10).
    heard = [line for line in said if no is None or line.method not in IMPORTED]
    yeses = [line for line in heard if line.state == "granted" and line.proven and (no is None or line.at > no.at)]
    asked = _newest(line for line in heard if line.state == "pending")
    lapsed = _newest(line for line in said if line.state == "expired")
    refused = (no.at, no.state, no.line) if no is not None else (None, None, None)
    # The person's own yes is named before a system's newer copy of one: it also counts against a no of another topic.
    yes = max(
        (line for line in yeses if lapsed is None or line.at > lapsed.at),
        key=lambda line: (line.method not in IMPORTED, line.at, line.line),
        default=None,
    )
    if yes is not None:
        return State(
            *("granted", yes.line, yes.at, yes.method, True),
            refusal_offered=yes.refusal_offered,
            recovery_mentioned=yes.recovery_mentioned,
            guardian=yes.guardian,
        )
    if asked is not None and all(one is None or asked.at > one.at for one in (no, lapsed)):
        waits = State("pending", asked.line, asked.at, asked.method, True, *refused)
        return replace(waits, guardian=asked.guardian)
    if no is not None and not yeses:
        return State(no.state, no.line, no.at, no.method, True, *refused)
    last = lapsed or max(said, key=lambda line: (line.at, line.line))
    return State(last.state, last.line, last.at, last.method, last.proven, *refused)


def _newest(lines: Iterable[Line]) -> Line | None:
    return max(lines, key=lambda line: (line.at, line.line), default=None)


def fold(lines: Iterable[Line]) -> dict[Key, State]:
    """What holds now for one contact, from all its lines."""
    return {key: settle(of_key) for key, of_key in by_key(lines).items()}


def by_key(lines: Iterable[Line]) -> dict[Key, list[Line]]:
    """A contact's lines by what they are about."""
    found: dict[Key, list[Line]] = {}
    for line in lines:
        found.setdefault(line.key, []).append(line)
    return found


def objected_at(states: Mapping[Key, State]) -> datetime | None:
    """The newest objection to all marketing that nothing has lifted, on whichever address or channel (R10)."""
    moments = [
        state.refused_at
        for (_, _, purpose, topic), state in states.items()
        if purpose == "marketing" and topic is None and state.refused_state == "objected" and state.refused_at
    ]
    return max(moments, default=None)


def grant(states: Mapping[Key, State], address: str, channel: str, topic: str | None) -> State | None:
    """The yes that marketing on one topic may stand on now, or None.

    What was said of the topic and what was said of all topics are weighed together: a yes to the topic counts against
    an older no to all, and the reverse; an objection by the person (R10) needs a yes that is newer, whatever its topic.
    """
    said = _said(states, address, channel, topic)
    barriers = [state.refused_at for state in said if state.refused_at is not None]
    objection = objected_at(states)
    if objection is not None:
        barriers.append(objection)
    barrier = max(barriers, default=None)
    grants = [
        state
        for state in said
        if state.granted and (barrier is None or (state.at > barrier and state.method not in IMPORTED))
    ]
    # The person's own word before a system's: a no that their own yes has lifted is lifted for nothing else.
    return max(grants, key=lambda state: (state.method not in IMPORTED, state.at), default=None)


def holds(states: Mapping[Key, State], address: str, channel: str, purpose: str, topic: str | None) -> bool:
    """Whether there is a yes that stands: to marketing on a topic, or to another purpose."""
    if purpose == "marketing":
        return grant(states, address, channel, topic) is not None
    held = states.get((address, channel, purpose, None))
    return held is not None and held.granted


def asked_together(states: Mapping[Key, State], address: str, channel: str, topic: str | None) -> dict[Key, State]:
    """What one confirmation mail asks about: all that still waits of one act. Empty: nothing does.

    Args:
        topic: the one the mail was planned for; None: it is about other purposes alone.
    """
    waiting = {key: one for key, one in states.items() if key[:2] == (address, channel) and one.state == "pending"}
    meant = [
        one
        for (_, _, purpose, about), one in waiting.items()
        if (about in (topic, None) if purpose == "marketing" else topic is None)
    ]
    newest = max(meant, key=lambda one: (one.at, one.line), default=None)
    if newest is None:
        return {}
    return {key: one for key, one in waiting.items() if (one.at, one.method) == (newest.at, newest.method)}


def standing(states: Mapping[Key, State], address: str, channel: str, topic: str | None) -> tuple[str, int | None]:
    """One word for where marketing on a topic stands, and the line that says so.

    granted, pending, denied, withdrawn, objected, expired; `no_proof` for a yes that cannot be shown (R5); `nothing`.
    """
    valid = grant(states, address, channel, topic)
    if valid is not None:
        return "granted", valid.line
    said = _said(states, address, channel, topic)
    spoken = [(state.at, state.line, "pending") for state in said if state.state == "pending"]
    spoken += [
        (state.refused_at, state.refused_line or state.line, state.refused_state or state.state)
        for state in said
        if state.refused_at is not None
    ]
    if spoken:
        _, line, word = max(spoken)
        return word, line
    if objected_at(states) is not None:
        return "objected", None
    if not said:
        return "nothing", None
    newest = max(said, key=lambda state: (state.at, state.line))
    return ("no_proof" if newest.state == "granted" else newest.state), newest.line


def _said(states: Mapping[Key, State], address: str, channel: str, topic: str | None) -> list[State]:
    general = states.get((address, channel, "marketing", None))
    special = states.get((address, channel, "marketing", topic)) if topic is not None else None
    return [state for state in (special, general) if state is not None]


def words(states: Mapping[Key, State], address: str, channel: str = "email") -> dict[str, str]:
    """topic or purpose → state, for one address and channel: what conditions and templates call `consent`.

    A yes without proof is left out, as if nothing had been said; so is the acknowledgement of the privacy notice, which
    is no consent and must not read like one.
    """
    found: dict[str, str] = {}
    for (of_address, of_channel, purpose, topic), state in states.items():
        if (of_address, of_channel) != (address, channel) or purpose == "notice":
            continue
        if purpose == "marketing":
            word, _ = standing(states, address, channel, topic)
        else:
            word = state.state if state.proven else "no_proof"
        if word not in {"no_proof", "nothing"}:
            found[topic or purpose] = word
    return found
