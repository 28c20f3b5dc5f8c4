"""Lists in pages that do not shift: each says where the next begins, in a cursor that nobody needs to understand."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from flask import request

from app.api.problems import ProblemError
from app.events.incoming import Problem

DEFAULT = 50
MOST = 200

Row = TypeVar("Row")
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Wanted(Generic[Key]):
    """Which page is asked for: at most `limit` rows that come after the row with key `after`."""

    limit: int
    after: Key | None


def wanted(key: Any) -> Wanted[Any]:
    """The page that the request's `limit` and `cursor` ask for.

    Args:
        key: the type of the list's sort key, such as `tuple[datetime, int]`.

    Raises:
        ProblemError: either does not fit.
    """
    text, cursor = request.args.get("limit", str(DEFAULT)), request.args.get("cursor")
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= MOST):
        raise _unfit("limit", "This is no number of rows.", f"Send 1 to {MOST}, or leave it out.")
    if cursor is None:
        return Wanted(int(text), None)
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        return Wanted(int(text), msgspec.json.decode(raw, type=key))
    except (binascii.Error, ValueError) as error:
        raise _unfit("cursor", "This cursor was not made by us.", "Send `next` of the page before.") from error


def page(rows: Sequence[Row], asked: Wanted[Any], show: Callable[[Row], Any], key: Callable[[Row], Any]) -> Any:
    """A page as the answer shows it: `data`, and `next`, the cursor of the page after it or null.

    Args:
        rows: one more than `asked.limit`, where there are.
        show: a row as JSON.
        key: a row's sort key.
    """
    some = rows[: asked.limit]
    more = len(rows) > asked.limit
    return {"data": [show(row) for row in some], "next": _cursor(key(some[-1])) if more else None}


def _cursor(key: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).rstrip(b"=").decode()


def _unfit(name: str, detail: str, cure: str) -> ProblemError:
    return ProblemError("invalid", "A parameter does not fit.", [Problem(f"?{name}", detail, cure)])


def only(*names: str) -> None:
    """Refuse parameters that the route does not know: a misspelt filter would otherwise show everything."""
    for name in request.args:
        if name not in names:
            raise _unfit(name, "There is no such parameter.", f"Send {', '.join(names) or 'none'}.")


def one_of(name: str, allowed: Sequence[str]) -> str | None:
    """The parameter `name`, if it was sent; refused where it is none of `allowed`."""
    given = request.args.get(name)
    if given is not None and given not in allowed:
        raise _unfit(name, "There is no such value.", "Send one of " + ", ".join(allowed) + ".")
    return given


def plain(name: str) -> str | None:
    """The parameter `name`, if it was sent; refused where no stored text could equal it."""
    given = request.args.get(name)
    if given is not None and ("\x00" in given or len(given) > 200):
        raise _unfit(name, "This is no possible value.", "Send at most 200 characters, none of them U+0000.")
    return given


def number(name: str) -> int | None:
    """The parameter `name` as a row's number, if it was sent; refused where it is none."""
    given = request.args.get(name)
    if given is None:
        return None
    if not (given.isascii() and given.isdecimal() and len(given) < 19):
        raise _unfit(name, "This is no number.", "Send the id as a list shows it.")
    return int(given)


def needed(name: str, cure: str) -> ProblemError:
    """The refusal of a request that lacks a parameter."""
    return _unfit(name, "This parameter is missing.", cure)
