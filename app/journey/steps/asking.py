"""The step that asks for consent (double opt-in): a message with a button goes out, and the answer is awaited."""

from __future__ import annotations

from datetime import UTC, datetime

from app.journey import consents
from app.journey.entry import Event, happened_since
from app.journey.ops import ConsentOp
from app.journey.program import ANSWERS, Sentence
from app.journey.sentences import both, event_text
from app.journey.state import AskConsent
from app.journey.steps.waiting import limit_of, timed_out
from app.journey.walk import Walk

_EVER = datetime.min.replace(tzinfo=UTC)
_WHY: dict[str, Sentence] = {
    "refused": both("said no less than 180 days ago", "ha detto di no da meno di 180 giorni"),
    "suppressed": both("the address must not be written to", "a questo indirizzo non si può scrivere"),
    "no_address": both("has no address for it", "non ha un indirizzo a cui scrivere"),
    "relay_address": both("has only a booking site's masked address", "ha solo l'indirizzo mascherato di un portale"),
    "unanswered": both(
        "left the same question without an answer less than 180 days ago",
        "ha lasciato la stessa domanda senza risposta da meno di 180 giorni",
    ),
    "minor": both("is not of age", "non è maggiorenne"),
    "frozen": both("has asked us to leave their data alone", "ha chiesto di limitare il trattamento dei suoi dati"),
    "gone": both("is no longer a contact", "non è più un contatto"),
    "no_sender": both("there is no way to send it", "non c'è un modo per inviarlo"),
}
"""Why somebody is not asked."""


def ask(walk: Walk, op: ConsentOp) -> bool:
    """Ask, unless that is settled already, and stay until the answer; True where the walk goes on."""
    if not walk.inside:
        visit = walk.visit(op.id)
        until = limit_of(walk, op)
        if _settled(walk, op, until):
            return True
        walk.stay(until, ANSWERS)
        if until is None or until > walk.now:
            due = until.isoformat() if until else None
            walk.effects.append(AskConsent(op.id, visit, op.topic, op.template, walk.moment, until))
            walk.note("asked", walk.said(op), topic=op.topic, template=op.template, due=due)
    if walk.until is None or walk.until > walk.now:
        return False
    if not _settled(walk, op, walk.until):
        timed_out(walk, op.timeout)
    return True


def _settled(walk: Walk, op: ConsentOp, limit: datetime | None) -> bool:
    """Whether the answer is known: given before this step was due, or said since then and in time.

    A worker that is behind meets answers from the time in which a prompt one would have been waiting for them.
    """
    given = consents.word(walk.facts(), op.topic) == consents.GIVEN
    told = [one for one in happened_since(walk.facts(), "contact", ANSWERS, _EVER) if consents.concerns(one, op.topic)]
    before = [one for one in told if one.occurred_at <= walk.moment]
    since = [one for one in told if one.occurred_at > walk.moment]
    answers = [one for one in since if (one.type == consents.YES) is given]
    if not given or (answers and not (before and before[-1].type == consents.YES)):
        in_time = bool(answers) and (limit is None or answers[0].occurred_at <= limit)
        return in_time and heard(walk, op, answers[0])
    _given_before(walk, op)
    return True


def _given_before(walk: Walk, op: ConsentOp) -> None:
    if walk.inside:
        # Nobody told of it while it was awaited: it counts from when the waiting was over.
        walk.moment, walk.waited = max(walk.moment, walk.until or walk.moment), True
    walk.note("heard", both(f"consent to {op.topic} was given before", f"il consenso a {op.topic} c'era già"))
    walk.go(op.then)


def heard(walk: Walk, op: ConsentOp, event: Event) -> bool:
    """Go on behind the step where an event is the answer; False where it leaves it open."""
    said = consents.answer(event, op.topic, walk.facts())
    if said is None:
        return False
    walk.moment = max(walk.moment, min(event.occurred_at, walk.now))
    text = both(event_text(event.type, "en"), event_text(event.type, "it"))
    if not said and event.type == consents.YES:
        text = both("consent was given and taken back", "il consenso è stato dato e revocato")
    at = event.occurred_at.isoformat()
    walk.note("heard" if said else "said_no", text, event=event.type, event_id=event.id, occurred_at=at)
    walk.waited = True
    walk.go(op.then if said else op.timeout)
    return True


def turned_down(walk: Walk, op: ConsentOp, why: str) -> None:
    """The person is not asked, since they said yes (`granted`) or no before, or cannot be written to."""
    if why == consents.GIVEN:
        walk.inside = False
        _given_before(walk, op)
        return
    said = _WHY.get(why) or both(why, why)
    text = both(f"not asked: {said['en']}", f"non si chiede: {said['it']}")
    walk.note("not_asked", text, reason=why, topic=op.topic)
    walk.go(op.timeout)
