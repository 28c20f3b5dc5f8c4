"""Bodies read into types: what does not fit is told with a pointer."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from app.api.problems import ProblemError
from app.events.incoming import Problem

Body = TypeVar("Body")


def read(given: Any, type_: type[Body]) -> Body:
    """The body as that type; raises ProblemError."""
    try:
        return msgspec.convert(given, type_)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$")
        pointer = place.rstrip("`").replace(".", "/")
        raise unfit(pointer, what + ".", "Send what /api/v1/docs says.") from error


def unfit(pointer: str, detail: str, cure: str) -> ProblemError:
    """The refusal of a body, with the place of what is wrong."""
    return ProblemError("invalid", "The request does not fit.", [Problem(pointer, detail, cure)])
