"""Steps that choose a way: branch by what is true, split by lot, repeat by how many rounds there were."""

from __future__ import annotations

from app.journey.conditions import evaluate
from app.journey.experiments import draw
from app.journey.facts import lookup, zone
from app.journey.ops import BranchOp, Case, RepeatOp, SplitOp
from app.journey.sentences import both, moment_text
from app.journey.state import Round
from app.journey.waits import add, country_of
from app.journey.walk import Walk


def branch(walk: Walk, op: BranchOp) -> None:
    """The first way whose condition holds, else the unknown one, else the rest."""
    walk.visit(op.id)
    facts = walk.facts()
    unknown: Case | None = None
    for number, case in enumerate(op.cases, 1):
        verdict = evaluate(case.condition, facts, walk.now)
        if verdict is True:
            text, lines = walk.explained(case.condition), walk.lines(case.condition)
            walk.note("branch", text, case=number, lines=lines)
            walk.go(case.goto)
            return
        if verdict is None and unknown is None:
            unknown = case
    if unknown is not None:
        lines = walk.lines(unknown.condition)
        walk.note("branch", walk.explained(unknown.condition), case="unknown", lines=lines)
        walk.go(op.unknown)
        return
    told = [walk.explained(case.condition) for case in op.cases]
    text = both("else: " + "; ".join(one["en"] for one in told), "altrimenti: " + "; ".join(one["it"] for one in told))
    walk.note("branch", text, case="else", lines=walk.lines(*(case.condition for case in op.cases)))
    walk.go(op.otherwise)


def split(walk: Walk, op: SplitOp) -> None:
    """The variant drawn once and for ever; who has not drawn yet gets the winner, where there is one."""
    walk.visit(op.id)
    names = {variant.name: variant for variant in op.variants}
    name, by = walk.variants.get(op.id), "kept"
    if name not in names:
        name, by = lookup(walk.given, f"experiments.{op.id}"), "winner"
    if name not in names:
        name, by = _drawn(walk, op), "lot"
    variant = names[str(name)]
    walk.variants[op.id] = variant.name
    reason = {
        "lot": both("by lot", "a sorte"),
        "winner": both("the winner", "la vincente"),
        "kept": both("as before", "come prima"),
    }[by]
    text = both(f"variant {variant.name}, {reason['en']}", f"variante {variant.name}, {reason['it']}")
    walk.note("split", text, variant=variant.name, by=by)
    walk.go(variant.goto)


def _drawn(walk: Walk, op: SplitOp) -> str:
    facts = walk.given
    who = lookup(facts, "contact.id") or lookup(facts, "contact.external_id") or walk.key
    return draw((walk.program.workflow, op.id, who), [(variant.name, variant.weight) for variant in op.variants])


def repeat(walk: Walk, op: RepeatOp) -> bool:
    """Another round, or on behind the repeat; True where the walk goes on.

    A round counts from the moment at which it was due to begin, so that a worker that is behind has no part in it.
    """
    last = walk.rounds.get(op.id)
    if not walk.inside:
        if last is None:
            walk.visit(op.id)
        elif last.number >= op.max:
            return _over(walk, op, both(f"{op.max} rounds, the most", f"{op.max} giri, il massimo"), last.number)
        if _met(walk, op):
            return _over(walk, op, _why(walk, op), last.number if last else 0)
        if last is not None and op.every is not None:
            local = zone(walk.given, op.zone)
            due = add(last.began, op.every, local, country_of(walk.given) if op.every.business else None)
            if due > walk.moment:
                walk.stay(due)
                if due > walk.now:
                    clock = moment_text(due, local)
                    text = both(f"next round {clock}", f"prossimo giro {clock}")
                    walk.note("waiting", text, due=due.isoformat(), round=last.number + 1)
    if walk.inside:
        if walk.until is not None and walk.until > walk.now:
            return False
        walk.moment = max(walk.moment, walk.until or walk.moment)
        walk.waited = True
        if _met(walk, op):
            return _over(walk, op, _why(walk, op), last.number if last else 0)
    begun = Round((last.number if last else 0) + 1, walk.moment)
    walk.rounds[op.id] = begun
    text = both(f"round {begun.number} of {op.max} at most", f"giro {begun.number}, al massimo {op.max}")
    walk.note("round", text, round=begun.number, most=op.max)
    walk.go(op.body)
    return True


def _met(walk: Walk, op: RepeatOp) -> bool:
    """Whether no further round follows: `until` holds, or cannot be known where that means to stop."""
    if op.until is None:
        return False
    verdict = evaluate(op.until, walk.facts(), walk.now)
    return verdict is True or (verdict is None and op.unknown == "stop")


def _why(walk: Walk, op: RepeatOp) -> dict[str, str]:
    return walk.explained(op.until) if op.until is not None else both("", "")


def _over(walk: Walk, op: RepeatOp, text: dict[str, str], rounds: int) -> bool:
    walk.rounds.pop(op.id, None)
    walk.note("rounds_over", text, rounds=rounds)
    walk.go(op.next)
    return True
