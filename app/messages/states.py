"""What can become of a message: every state, every event, every arrow between them, and why it is there.

The arrows are data. Gate, delivery and tracking ask `move` before they write a state; a move that is not listed is a
mistake in the program, never a thing to pass over. An arrow may lead back to its own state: that is an odd event which
is known, means nothing new, and must not be an error (a mail reported as delivered twice).
"""

from __future__ import annotations

from typing import NamedTuple

from app.messages.models import STATES


class Arrow(NamedTuple):
    """Where an event leads, and why."""

    to: str
    why: str


class StateError(ValueError):
    """An event that cannot happen to a message in this state; the message names both."""


EVENTS: dict[str, str] = {
    "allow": "the gate lets it pass",
    "defer": "the gate or the lease puts it off: a cap, quiet hours, a pause",
    "wait": "its mailbox provider takes no more just now: it has an instant of its own",
    "refuse": "the gate or the lease refuses it, with a code and a rule",
    "leave": "its passage met an exit condition meanwhile (R60)",
    "withdraw": "the person withdrew or objected while it waited (R7, X13)",
    "stop": "a person of the team, a pause or an erasure takes it back",
    "fail_compose": "the mail cannot be made: a missing field, a missing template",
    "lease": "a worker takes it for sending",
    "expire": "the worker that held it is gone and had not begun to hand it over",
    "hand_over": "its bytes are about to go to the provider",
    "accept": "the provider took it",
    "transient": "the provider said: later",
    "permanent": "the provider said: never",
    "exhaust": "the last try, or its latest moment, has passed",
    "lose": "we do not know whether the provider took it: a crash or a silence after the data",
    "ask_again": "nobody knows whether the provider took it, and it would know it again by a key",
    "find_accepted": "the provider's own report shows that it had taken it",
    "find_missing": "a person found that the provider never had it, and sends it again",
    "delivered": "the mailbox's server took it",
    "bounced": "it came back",
    "complained": "the reader called it spam",
    "opened": "the reader opened it (only where tracking is granted)",
    "clicked": "the reader followed a link",
    "unsubscribed": "the reader left by its link",
}
"""Everything that can happen to a message."""

ENDS = frozenset({"accepted", "refused", "cancelled", "failed"})
"""States in which our part is over (R61). `unknown` is none of them: it is shown until somebody finds out."""

WAITING = ("planned", "deferred", "ready", "leased")
"""States from which a message can still be called back."""

_JUDGED = {
    "refuse": Arrow("refused", "a refusal is kept with its reason, it is never sent later"),
    "defer": Arrow("deferred", "it is judged again when the obstacle has passed"),
    "leave": Arrow("cancelled", "the passage it belongs to is over"),
    "withdraw": Arrow("cancelled", "a withdrawal works on what is already queued"),
    "stop": Arrow("cancelled", "whoever planned it took it back"),
}
_OWN = "our part was over"

ARROWS: dict[tuple[str, str], Arrow] = {
    **{("planned", event): arrow for event, arrow in _JUDGED.items()},
    ("planned", "wait"): Arrow("ready", "judged; it is sent when its turn has come"),
    ("planned", "allow"): Arrow("ready", "judged and free to go"),
    ("planned", "lease"): Arrow("leased", "judged in this very transaction, by the worker that sends it"),
    **{("deferred", event): arrow for event, arrow in _JUDGED.items()},
    ("deferred", "wait"): Arrow("ready", "judged; it is sent when its turn has come"),
    ("deferred", "allow"): Arrow("ready", "the obstacle is gone"),
    ("deferred", "lease"): Arrow("leased", "the obstacle is gone, and the worker that judged it sends it"),
    **{("ready", event): arrow for event, arrow in _JUDGED.items()},
    ("ready", "wait"): Arrow("ready", "its provider has been slowed down meanwhile: another instant"),
    ("ready", "lease"): Arrow("leased", "judged once more in this very transaction"),
    ("ready", "fail_compose"): Arrow("failed", "a hole in a mail is worse than no mail"),
    ("ready", "exhaust"): Arrow("failed", "its latest moment passed while it waited to be tried again"),
    **{("leased", event): arrow for event, arrow in _JUDGED.items()},
    ("leased", "fail_compose"): Arrow("failed", "a hole in a mail is worse than no mail"),
    ("leased", "expire"): Arrow("ready", "nothing had left the house: another worker may take it"),
    ("leased", "hand_over"): Arrow("handed_over", "written before the first byte goes out, so that a crash is seen"),
    ("leased", "exhaust"): Arrow("failed", "no try is left"),
    ("leased", "permanent"): Arrow("failed", "refused before the data, such as a recipient that does not exist"),
    ("leased", "transient"): Arrow("ready", "no connection: nothing was handed over, it waits for its next try"),
    ("handed_over", "accept"): Arrow("accepted", "the provider answers for it now"),
    ("handed_over", "transient"): Arrow("ready", "the provider asked for another try, with the same Message-ID (R39)"),
    ("handed_over", "permanent"): Arrow("failed", "no further try can help"),
    ("handed_over", "exhaust"): Arrow("failed", "it was the last try"),
    ("handed_over", "expire"): Arrow("unknown", "the worker died between the provider's yes and ours"),
    ("handed_over", "lose"): Arrow("unknown", "a silence after the data may be a yes (R39)"),
    ("handed_over", "ask_again"): Arrow("handed_over", "handed over once more under the same key: not sent twice"),
    ("handed_over", "withdraw"): Arrow("handed_over", "too late to call back: counted as after hand-over (X14)"),
    ("handed_over", "stop"): Arrow("handed_over", "too late to call back"),
    ("handed_over", "leave"): Arrow("handed_over", "too late to call back"),
    ("handed_over", "delivered"): Arrow("accepted", "the report overtook the provider's answer"),
    ("handed_over", "bounced"): Arrow("accepted", "what bounced had been accepted; the report overtook the answer"),
    ("handed_over", "complained"): Arrow("accepted", "what was read had been accepted"),
    ("handed_over", "opened"): Arrow("accepted", "what was read had been accepted"),
    ("handed_over", "clicked"): Arrow("accepted", "what was read had been accepted"),
    ("handed_over", "unsubscribed"): Arrow("accepted", "what was read had been accepted"),
    ("unknown", "accept"): Arrow("accepted", "the late answer of a worker that was only slow"),
    ("unknown", "transient"): Arrow("unknown", "a late answer of a worker whose lease is over settles nothing"),
    ("unknown", "permanent"): Arrow("failed", "the late answer of a worker that was only slow"),
    ("unknown", "find_accepted"): Arrow("accepted", "the provider's log settles it"),
    ("unknown", "find_missing"): Arrow("ready", "only a person, or a provider with idempotency keys, decides this"),
    ("unknown", "delivered"): Arrow("accepted", "what arrived had been accepted"),
    ("unknown", "bounced"): Arrow("accepted", "what bounced had been accepted"),
    ("unknown", "complained"): Arrow("accepted", "what was read had been accepted"),
    ("unknown", "opened"): Arrow("accepted", "what was read had been accepted"),
    ("unknown", "clicked"): Arrow("accepted", "what was read had been accepted"),
    ("unknown", "unsubscribed"): Arrow("accepted", "what was read had been accepted"),
    ("unknown", "withdraw"): Arrow("unknown", "nothing can be called back"),
    ("unknown", "stop"): Arrow("failed", "the team gives it up"),
    ("accepted", "accept"): Arrow("accepted", "the report that settled it came before the answer"),
    ("accepted", "expire"): Arrow("accepted", "settled meanwhile by a report"),
    ("accepted", "find_accepted"): Arrow("accepted", "known already"),
    ("accepted", "delivered"): Arrow("accepted", "the expected report; a second one means nothing new"),
    ("accepted", "bounced"): Arrow("accepted", "may follow `delivered`: some servers accept first and refuse later"),
    ("accepted", "complained"): Arrow("accepted", "the message stays sent; the person is not written to again"),
    ("accepted", "opened"): Arrow("accepted", "any number of times"),
    ("accepted", "clicked"): Arrow("accepted", "any number of times"),
    ("accepted", "unsubscribed"): Arrow("accepted", "the message stays sent"),
    ("accepted", "withdraw"): Arrow("accepted", "too late to call back"),
    ("accepted", "leave"): Arrow("accepted", "too late to call back"),
    ("accepted", "stop"): Arrow("accepted", "too late to call back"),
    **{
        (state, event): Arrow(state, _OWN)
        for state in ("refused", "cancelled", "failed")
        for event in ("withdraw", "stop", "leave", "expire")
    },
    ("failed", "bounced"): Arrow("failed", "a provider may report by mail what it already refused"),
    ("failed", "delivered"): Arrow("accepted", "given up too early: the report is the truth"),
    ("failed", "complained"): Arrow("accepted", "given up too early: somebody has read it"),
    ("failed", "opened"): Arrow("accepted", "given up too early: somebody has read it"),
    ("failed", "clicked"): Arrow("accepted", "given up too early: somebody has read it"),
    ("failed", "unsubscribed"): Arrow("accepted", "given up too early: somebody has read it"),
}
"""(state, event) → arrow."""

assert {state for state, _ in ARROWS} | {arrow.to for arrow in ARROWS.values()} == set(STATES)


def move(state: str, event: str) -> Arrow:
    """The arrow an event takes from a state; raises StateError where none is listed."""
    arrow = ARROWS.get((state, event))
    if arrow is None:
        raise StateError(f"A message that is {state!r} cannot meet {event!r}.")
    return arrow


def can(state: str, event: str) -> bool:
    """Whether the event is listed for the state."""
    return (state, event) in ARROWS


def states_for(event: str) -> tuple[str, ...]:
    """The states that an event moves somewhere else: what an UPDATE's WHERE may name."""
    return tuple(state for (state, what), arrow in ARROWS.items() if what == event and arrow.to != state)
