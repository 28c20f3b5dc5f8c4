"""Every page answers, in both languages, whole or in part, at a steady price."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event

from app.contacts.models import Contact
from app.messages.models import Message
from tests.studio.stage import HERE, STRANGER, Stage

PAGES = {
    "": ("What needs attention", "Che cosa richiede attenzione"),
    "find?q=pre": ("Pre-arrival updates", "Aggiornamenti prima"),
    "workflows": ("What each person hears", "Che cosa ogni persona riceve"),
    "workflows/pre-arrival": ("Wait until 16:00", "alle 16:00"),
    "workflows/pre-arrival/yaml": ("The live version", "La versione attiva"),
    "workflows/pre-arrival/people": ("Who", "Chi"),
    "workflows/abandoned-booking/results": ("Does it make a difference?", "Fa la differenza?"),
    "workflows/pre-arrival/versions": ("Line by line", "Riga per riga"),
    "workflows/pre-arrival/edit": ("Source (YAML)", "Sorgente (YAML)"),
    "workflows/pre-arrival/publish?version=1": ("The people inside", "Le persone nel percorso"),
    "workflows/pre-arrival/manage": ("They go on to the end", "Proseguono fino alla fine"),
    "templates": ("The mails that workflows send", "Le mail inviate dai percorsi"),
    "templates/booking-confirmation": ("Desktop", "Computer"),
    "templates/booking-confirmation/used-in": ("Sent as", "Inviato come"),
    "templates/booking-confirmation/versions": ("Published", "Pubblicata"),
    "audience/contacts": ("Latest booking", "Ultima prenotazione"),
    "audience/contacts/{contact}": ("What they allow", "Che cosa consente"),
    "messages": ("Everything planned", "Tutto ciò che è previsto"),
    "messages/{message}": ("Why it was sent", "Perché è partito"),
    "messages/outbox": ("Mails kept here", "Mail conservate qui"),
    "messages/outbox/{mail}": ("Simulate a bounce", "Simula un rimbalzo"),
    "tasks": ("What workflows ask of people", "Ciò che i percorsi chiedono"),
    "settings/calls": ("Add an endpoint", "Aggiungi un indirizzo"),
    "consent": ("Every yes and no", "Ogni sì e ogni no"),
    "consent/lines/1": ("Fingerprint", "Impronta"),
    "consent/suppressions": ("Address does not exist", "L'indirizzo non esiste"),
    "settings": ("Shown to guests", "Gli ospiti lo vedono"),
    "settings/sources": ("Add a source", "Aggiungi una fonte"),
}


def _address(stage: Stage, page: str) -> str:
    sent = stage.ids(Message, state="accepted")[0]
    return f"{HERE}/" + page.format(contact=stage.ids(Contact)[0], message=sent, mail=1)


class _Page(HTMLParser):
    """What a reader's tools need to be right in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        for name in ("for", "aria-labelledby", "aria-describedby", "aria-controls"):
            self.targets += str(given.get(name) or "").split()
        if tag == "script" and not given.get("src"):
            self.inline.append(tag)
        self.inline += [name for name in given if name.startswith("on")]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_answers_in_both_languages(stage: Stage, page: str) -> None:
    for language, words in zip(("en", "it"), PAGES[page], strict=True):
        answer = stage.signed_in(language=language).get(_address(stage, page))
        assert answer.status_code == 200
        assert words in answer.text.replace("&#39;", "'")
        assert f'<html lang="{language}"' in answer.text


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_well_put_together(stage: Stage, owner: FlaskClient, page: str) -> None:
    answer = owner.get(_address(stage, page))
    read = _Page(answer.text)
    assert len(read.ids) == len(set(read.ids)), [one for one in read.ids if read.ids.count(one) > 1]
    assert [one for one in read.targets if one not in read.ids] == []
    assert read.inline == []
    assert "unsafe-eval" not in answer.headers["Content-Security-Policy"]
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert answer.text.count("<h1") == 1


@pytest.mark.parametrize(
    "page",
    [
        "",
        "workflows",
        "templates",
        "audience/contacts?q=nobody",
        "messages",
        "messages/outbox",
        "consent",
        "consent/suppressions",
        "consent/topics",
        "settings",
        "settings/sources",
    ],
)
def test_an_empty_workspace_is_told_what_will_be_here(stage: Stage, page: str) -> None:
    text = stage.signed_in(STRANGER).get(f"/w/elsewhere/{page}").text
    assert "empty-state" in text


def test_htmx_is_given_the_block_it_will_swap_and_nothing_else(owner: FlaskClient) -> None:
    asked = {"HX-Request": "true", "HX-Request-Type": "partial", "HX-Target": "div#rows"}
    part = owner.get(f"{HERE}/messages?state=refused", headers=asked).text.strip()
    assert part.startswith('<div id="rows"')
    assert "<html" not in part
    whole = owner.get(f"{HERE}/messages?state=refused").text
    assert re.sub(r"\s+", " ", part) in re.sub(r"\s+", " ", whole)


def test_an_unknown_target_gets_the_whole_page(owner: FlaskClient) -> None:
    asked = {"HX-Request": "true", "HX-Request-Type": "partial", "HX-Target": "div#elsewhere"}
    assert "<html" in owner.get(f"{HERE}/messages", headers=asked).text


def test_a_page_that_is_not_there_says_what_to_try(owner: FlaskClient) -> None:
    answer = owner.get(f"{HERE}/workflows/no-such-thing")
    assert answer.status_code == 404
    assert "There is no such page here" in answer.text
    assert "To Home" in answer.text


@contextmanager
def _counted(stage: Stage) -> Iterator[list[str]]:
    asked: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(stage.house.database.engine, "before_cursor_execute", note)
    yield asked
    event.remove(stage.house.database.engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    ("page", "most"),
    [("messages", 9), ("audience/contacts", 7), ("workflows", 6), ("templates", 6), ("consent", 6),
    ("messages/outbox", 5),
     ("workflows/pre-arrival", 9), ("workflows/pre-arrival/people", 7), ("", 17), ("messages/{message}", 20),
     ("audience/contacts/{contact}", 17)],
)  # fmt: skip
def test_a_list_costs_the_same_however_long(stage: Stage, owner: FlaskClient, page: str, most: int) -> None:
    address = _address(stage, page)
    owner.get(address)
    with _counted(stage) as before:
        owner.get(address)
    with stage.work() as session:
        for number in range(40):
            session.add(
                Contact(
                    workspace_id=stage.workspace_id, email=f"more{number}@example.com", created_at=stage.clock.now(),
                    updated_at=stage.clock.now(),
                )
            )  # fmt: skip
    with _counted(stage) as after:
        owner.get(address)
    assert len(before) == len(after) <= most, len(before)
