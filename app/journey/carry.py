"""One passage goes over to another version of its workflow, or what came due in a pause is dealt with. Pure.

`carry` answers for one person what the author of a new version chose for all: at which step they go on in it, what
becomes of the wait they are in, and what they have had already. It never has a step taken twice and never loses a
person: who cannot be placed stays on the version they are on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal, TypeVar

from app.journey.advance import Advanced, Decision, State, leave, rebind, taken
from app.journey.facts import Facts
from app.journey.program import ConsentOp, Dated, Op, Program, RepeatOp, Sentence, SplitOp, WaitForOp, WaitOp
from app.journey.sentences import both
from app.journey.state import Round
from app.journey.waits import resolve

AfterPause = Literal["late_rules", "skip_next", "exit"]
"""What is done, when a workflow is resumed, about a wait that ended while it was paused."""

_Value = TypeVar("_Value")

GRACE = timedelta(hours=1)
"""What came due this little before a pause ended is not late: it goes on as if there had been none."""


def carry(
    old: Program, new: Program, state: State, mapping: Mapping[str, str | None], facts: Facts, now: datetime
) -> Advanced | None:
    """Take one passage from a version to another.

    Args:
        old: the version the person is on.
        new: the version they are to go on in.
        state: where they stand.
        mapping: step id in the old version → step id in the new one, or None: they leave. A step that is not named
            keeps its id. A new id that the old version does not have is a new name: what was taken under the old one
            counts as taken under it.
        facts: theirs, with the passage.
        now: the instant at which the version came.

    Returns:
        The state in the new version (or ended, where the mapping says so), or None where the person stays on the old
        one: the passage is over, or its step is gone and not mapped.

    - A pending wait that says the same in both versions is kept to the second. One that says something else is worked
      out anew from when the step was reached; where that is past already, a dated wait follows its `late` rule and any
      other ends now, never before the version came.
    - A pending `wait_for` that says something else is begun anew from when it was reached.
    - Counters, fields and variants are kept, under the new name where there is one.
    """
    if state.status != "active" or state.step_id is None:
        return None
    target = mapping.get(state.step_id, state.step_id)
    if target is None:
        told = both("the new version has no place for this step", "la nuova versione non prevede questo passo")
        return leave(state, "version_changed", None, told, now)
    if target not in new.places:
        return None
    names = {a: b for a, b in mapping.items() if b and b not in old.places}
    base = replace(
        state,
        step_id=target,
        visits=_renamed(state.visits, names),
        variants=_still_there(new, _renamed(state.variants, names)),
        rounds=_still_in(new, target, _renamed(state.rounds, names)),
        marks=_renamed(state.marks, names),
        done=tuple(sorted({names.get(step, step) for step in taken(state)} - _repeated(new))),
    )
    if not state.inside and target == state.step_id:
        return Advanced(base, (), ())
    before, after = old.ops[old.places[state.step_id]], new.ops[new.places[target]]
    if not state.inside or type(before) is not type(after) or target in base.done:
        arrived = replace(
            base,
            inside=False,
            until=None,
            waits_for=(),
            wake_at=now,
            moment=max(state.moment, now),
            waited=state.waited or state.inside,
        )
        return Advanced(arrived, (), ())
    if target != state.step_id and target not in base.visits:
        base = replace(base, visits={**base.visits, target: 1})
    return _pending(new, base, before, after, facts, now)


def _renamed(by_step: Mapping[str, _Value], names: Mapping[str, str]) -> dict[str, _Value]:
    return {**by_step, **{names[step]: value for step, value in by_step.items() if step in names}}


def _still_there(new: Program, variants: Mapping[str, str]) -> dict[str, str]:
    """The variants drawn before, without those that their split no longer has: they are drawn anew."""
    splits = {op.id: {variant.name for variant in op.variants} for op in new.ops if isinstance(op, SplitOp)}
    return {step: name for step, name in variants.items() if name in splits.get(step, {name})}


def _still_in(new: Program, target: str, rounds: Mapping[str, Round]) -> dict[str, Round]:
    """The rounds of the repeats that the target stands in (or is): who has left a repeat is in no round of it."""
    place = new.places[target]
    around = {op.id for begin, op in enumerate(new.ops) if isinstance(op, RepeatOp) and begin <= place < op.end}
    return {step: one for step, one in rounds.items() if step in around}


def _repeated(program: Program) -> set[str]:
    """The steps that stand inside a loop: to take them again is what they are for."""
    return {op.id for each in program.ops if isinstance(each, RepeatOp) for op in program.ops[each.body : each.end]}


def _pending(new: Program, state: State, before: Op, after: Op, facts: Facts, now: datetime) -> Advanced:
    """A wait that has begun, gone on with under what the new version says of it."""
    if isinstance(before, WaitOp) and isinstance(after, WaitOp):
        if before.until == after.until:
            return Advanced(state, (), ())
        if isinstance(after.until, Dated):
            return rebind(new, state, facts, now) or Advanced(state, (), ())
        until = max(resolve(after.until, state.moment, facts) or now, now)
        return Advanced(replace(state, until=until, wake_at=until), (), (_moved(state, until, now),))
    if isinstance(before, ConsentOp) and isinstance(after, ConsentOp) and before.topic == after.topic:
        # The question is on its way: only the time for the answer may change.
        due = resolve(after.up_to, state.moment, facts) if after.up_to else None
        if due is None or due == state.until:
            return Advanced(state, (), ())
        until = max(due, now)
        return Advanced(replace(state, until=until, wake_at=until), (), (_moved(state, until, now),))
    if isinstance(before, ConsentOp):
        return Advanced(_anew(state, now), (), ())
    if isinstance(before, WaitForOp) and isinstance(after, WaitForOp):
        if _awaits(before) == _awaits(after):
            return Advanced(state, (), ())
        deadline = resolve(after.up_to, state.moment, facts) if after.up_to else None
        if deadline is not None and deadline <= now:
            return Advanced(replace(state, until=now, wake_at=now, waits_for=after.on), (), (_moved(state, now, now),))
        # Begun anew, it also meets what has happened since it was reached.
        return Advanced(_anew(state, now), (), ())
    return Advanced(state, (), ())


def _anew(state: State, now: datetime) -> State:
    """The same before its present step was begun."""
    step = state.step_id or ""
    visits = {**state.visits, step: state.visits.get(step, 1) - 1}
    return replace(state, inside=False, until=None, waits_for=(), wake_at=now, visits=visits)


def _awaits(op: WaitForOp) -> tuple[object, ...]:
    return op.on, op.condition, op.up_to, op.since, op.scope


def _moved(state: State, until: datetime, now: datetime) -> Decision:
    text = both("the new version waits another length of time", "la nuova versione attende un altro tempo")
    before = state.until.isoformat() if state.until else None
    return Decision(state.step_id or "", "moved", text, now, {"before": before, "due": until.isoformat()})


def after_pause(program: Program, state: State, rule: AfterPause, now: datetime) -> Advanced | None:
    """What the rule of a pause makes of a passage whose wait ended in it; None: it goes on as ever.

    `late_rules`: a dated wait follows its own `late` rule, whatever else is stale is held back by each send's `latest`.
    `skip_next`: the step behind the wait is left out. `exit`: the passage ends, reason `paused`.
    Returns a state that `advance` is to go on with.
    """
    if state.status != "active" or not state.inside or state.until is None or state.step_id is None:
        return None
    place = program.places.get(state.step_id)
    op = program.ops[place] if place is not None else None
    if now - state.until <= GRACE or not isinstance(op, WaitOp | WaitForOp | ConsentOp):
        return None
    text = both("came due while the workflow was paused", "scaduto mentre il percorso era in pausa")
    if rule == "exit":
        return leave(state, "paused", None, text, now)
    if not isinstance(op, WaitOp):
        return None
    late = op.late if isinstance(op.until, Dated) else "go_on"
    chosen = "skip_next" if rule == "skip_next" else late
    if chosen == "go_on":
        return None
    if chosen == "exit":
        return leave(state, "late", None, text, now)
    goto = op.skip if chosen == "skip_next" else op.end
    skipped = replace(
        state,
        step_id=program.ops[goto].id,
        inside=False,
        until=None,
        waits_for=(),
        wake_at=now,
        moment=max(state.moment, state.until),
        waited=True,
    )
    sentence: Sentence = both(
        f"{text['en']}: the next step is left out" if chosen == "skip_next" else f"{text['en']}: on to the end",
        f"{text['it']}: il passo seguente è saltato" if chosen == "skip_next" else f"{text['it']}: si va alla fine",
    )
    return Advanced(
        skipped, (), (Decision(state.step_id, "after_pause", sentence, now, {"due": state.until.isoformat()}),)
    )
