"""Who may open a page: guards for `opened_by`, and who and where the present request is."""

from __future__ import annotations

from typing import cast

from flask import Response, abort, g, make_response, redirect, request, session, url_for

from app.accounts.sign_in import Person, Place, who
from app.doors import Guard, house

MARK = "person"
"""Where the session cookie keeps who is signed in."""


class Turned(Exception):  # noqa: N818 - it is no error: the visitor is shown the way to the door
    """The request goes elsewhere; carries the response."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def person() -> Person | None:
    """Who is signed in, asked once a request."""
    if "person" not in g:
        mark = session.get(MARK)
        g.person = None
        if isinstance(mark, str):
            with house().database.system() as unit:
                g.person = who(unit, mark)
    return cast("Person | None", g.person)


def signed_in() -> None:
    """Guard: somebody is signed in; others are shown the door and come back to where they were going."""
    if person() is not None:
        return
    door = url_for("studio.sign_in", next=request.full_path.rstrip("?") if request.method == "GET" else None)
    if request.headers.get("HX-Request"):
        raise Turned(make_response("", 401, {"HX-Redirect": door}))
    raise Turned(cast("Response", redirect(door, 303)))


def member() -> None:
    """Guard: the person may enter the workspace the address names. To all others it does not exist."""
    signed_in()
    someone = person()
    place = someone.place(g.workspace) if someone else None
    if place is None:
        abort(404)
    g.place = place


def role(*roles: str) -> Guard:
    """Guard: the person has one of these roles in the workspace."""

    def guard() -> None:
        member()
        if here().role not in roles:
            abort(403)

    guard.__name__ = f"role_{'_'.join(roles)}"
    return guard


def here() -> Place:
    """The workspace of the present request."""
    return cast("Place", g.place)


def may(*roles: str) -> bool:
    """Whether the person has one of these roles here: for showing a button; the guard is what keeps the door."""
    return "place" in g and here().role in roles
