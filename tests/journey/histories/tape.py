"""A recorded passage: every call that the line made of the pure core for it, with what was given and what came back.

    {"workflow", "contact", "recorded", "program", "calls": [{"call", "now", "facts", "event"?, "gives"}, ...]}

`facts` of a call are the roots that differ from the call before. The state is not repeated: each call gets the one that
the call before gave. Wordings and the inputs of a decision may change freely; who enters, steps, instants, effects and
the order of decisions may not.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from pydantic import TypeAdapter

from app.journey import advance, entry
from app.journey.advance import Advanced, State
from app.journey.entry import Event, Passage
from app.journey.program import Program, from_json
from app.journey.updates import updates

Call = dict[str, Any]
_ADVANCED: TypeAdapter[Advanced] = TypeAdapter(Advanced)
_STATE: TypeAdapter[State] = TypeAdapter(State)
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
_PASSAGES: TypeAdapter[list[Passage]] = TypeAdapter(list[Passage])


def written(value: Any) -> Any:
    """Facts as JSON: days, instants and sets are marked, since JSON has none."""
    if isinstance(value, datetime):
        return {"$instant": value.isoformat()}
    if isinstance(value, date):
        return {"$day": value.isoformat()}
    if isinstance(value, Mapping):
        return {str(key): written(inner) for key, inner in value.items()}
    if isinstance(value, set | frozenset):
        return {"$set": sorted(value)}
    if isinstance(value, list | tuple):
        return [written(inner) for inner in value]
    return value


def read(value: Any) -> Any:
    """Facts back from what `written` gave."""
    if isinstance(value, list):
        return [read(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"$instant": text}:
            return datetime.fromisoformat(text)
        case {"$day": text}:
            return date.fromisoformat(text)
        case {"$set": items}:
            return set(items)
    return {key: read(inner) for key, inner in value.items()}


def call_of(name: str, given: tuple[Any, ...], result: Any) -> tuple[Call, Mapping[str, Any]]:
    """One call of the core as it is kept, without its facts, which come beside it.

    `given` is what the function was given: program first, then (state,) (event,) facts and now as each takes them.
    """
    match name, given:
        case "door", (_, event, facts, passages, now):
            kept = {
                "event": _EVENT.dump_python(event, mode="json"),
                "passages": _PASSAGES.dump_python(passages, mode="json"),
            }
        case "start", (_, key, facts, now):
            kept = {"key": key}
        case "advance" | "rebind", (_, _, facts, now):
            kept = {}
        case "hear", (_, _, event, facts, now):
            kept = {"event": _EVENT.dump_python(event, mode="json")}
        case "updates", (_, _, told, facts, now):
            kept = {"told": written(told)}
        case "leave", (_, reason, outcome, sentence, now):
            facts, kept = {}, {"reason": reason, "outcome": outcome, "sentence": sentence}
        case _:
            raise ValueError(f"{name} is not a call that can be kept")
    return {"call": name, "now": now.isoformat(), **kept, "gives": came_to(result)}, facts


def came_to(result: Any) -> Any:
    """What a call came to, as JSON."""
    match result:
        case None:
            return None
        case State():
            return {"state": _STATE.dump_python(result, mode="json")}
        case Advanced():
            return _ADVANCED.dump_python(result, mode="json")
        case _:
            code = getattr(result, "code", None)
            return {"verdict": type(result).__name__, "key": result.key, **({"code": code} if code else {})}


def promised(gives: Any) -> Any:
    """What of an outcome must stay, with today's defaults for what the core has learnt since."""
    if gives is None or "verdict" in gives:
        return gives
    if "effects" not in gives:
        return {"state": _STATE.dump_python(_STATE.validate_python(gives["state"]), mode="json")}
    whole = _ADVANCED.dump_python(_ADVANCED.validate_python(gives), mode="json")
    trace = [[one["at"], one["step_id"], one["code"]] for one in whole["trace"]]
    return {"state": whole["state"], "effects": whole["effects"], "trace": trace}


def replayed(history: Mapping[str, Any]) -> list[Any]:
    """What today's core makes of each recorded call, in order."""
    program = from_json(history["program"])
    facts: dict[str, Any] = {}
    state: State | None = None
    came: list[Any] = []
    for call in history["calls"]:
        facts = {**facts, **read(call["facts"])}
        result = _again(call, program, state, facts)
        if isinstance(result, State):
            state = result
        elif isinstance(result, Advanced):
            state = result.state
        came.append(came_to(result))
    return came


def _again(call: Call, program: Program, state: State | None, facts: Mapping[str, Any]) -> Any:
    now = datetime.fromisoformat(call["now"])
    if call["call"] == "door":
        event = _EVENT.validate_python(call["event"])
        return entry.on_event(program, event, facts, _PASSAGES.validate_python(call["passages"]), now)
    if call["call"] == "start":
        return advance.start(program, call["key"], facts, now)
    assert state is not None, "a history begins at the door"
    match call["call"]:
        case "advance":
            return advance.advance(program, state, facts, now)
        case "rebind":
            return advance.rebind(program, state, facts, now)
        case "hear":
            return advance.hear(program, state, _EVENT.validate_python(call["event"]), facts, now)
        case "updates":
            return updates(program, state, read(call["told"]), facts, now)
        case "leave":
            return advance.leave(state, call["reason"], call["outcome"], call["sentence"], now)
    raise ValueError(f"unknown call {call['call']}")
