"""Whether a person's data may go to somebody who uses it for purposes of their own (R3). Pure."""

from __future__ import annotations

from collections.abc import Mapping

from app.consent.fold import Key, State, objected_at


def may_share(states: Mapping[Key, State], address: str) -> bool:
    """Whether the person said yes to `third_party_sharing` at their present address, with proof.

    An objection to marketing ends it, as it ends profiling (R10), until a newer yes to sharing itself.
    """
    state = states.get((address, "email", "third_party_sharing", None))
    objection = objected_at(states)
    return state is not None and state.granted and (objection is None or state.at > objection)
