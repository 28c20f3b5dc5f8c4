"""The door for people: links in mails, and forms. No account, no cookie; a signed token says who and what. Nothing
needs a script: the one there is does a form's proof of work.

    visitors.py     whose link it is, which hotel speaks, in which language
    pages.py        how a link is opened and a page answered: brand, headers, texts
    standing.py     how things stand: every choice, and what will and will not be sent
    texts/          the words of the public pages, one table for each language
    leaving.py      /m/u/ one-click and page, /m/z/ undo
    untracking.py   /m/t/ leaving the counting of links alone
    preferences.py  /m/p/ the preference centre
    own_data.py     /m/p/…/data what we know of somebody; /m/r/ take it out, erase it
    confirming.py   /m/k/ the second half of a double opt-in
    forms.py        /f/ sign-up forms
    sender_address.py  /m/a/ whether an address is somebody's own
    pictures.py     /assets/mail/ the drawings in mails
    reading.py      /m/v/ the mail in a browser, /m/c/ a counted link

A GET never changes anything: mail scanners follow every link they see (X35).
"""

from __future__ import annotations

from apiflask import APIFlask

from app.subscriber import (
    confirming,
    forms,
    leaving,
    own_data,
    pictures,
    preferences,
    reading,
    sender_address,
    untracking,
)
from app.subscriber.pages import blueprint

__all__ = [
    "confirming",
    "forms",
    "leaving",
    "own_data",
    "pictures",
    "preferences",
    "reading",
    "register",
    "sender_address",
    "untracking",
]


def register(app: APIFlask) -> None:
    """Open this door's routes on `app`."""
    app.register_blueprint(blueprint)
    app.register_blueprint(forms.blueprint)
    app.register_blueprint(pictures.blueprint)
