"""A list of 20,000 people: read, tried and taken in, beside a raw COPY of as many rows into a table like `contacts`.

Three lines: *read* is the file's bytes to rows that wait; *tried* the dry run; *taken* the real one, in which people
are found or made under their locks, every second yes with its proof goes into the ledger's chain, and each person's
`contact.imported` into the log. COPY does none of that: it is what the disk can do, not what a list needs.

`python -m bench.imports` runs it by itself.
"""

from __future__ import annotations

import time

from sqlalchemy import text

from app.consent.models import Topic
from app.imports import desk, stage
from app.imports.models import Import
from bench import journey_2000
from bench.ground import Ground, Measured, ground, table

PEOPLE = 20_000
HEADER = "E-mail;Nome;Cognome;Telefono;Lingua;Newsletter;Fonte;Versione testo;Data consenso;Data conferma;Città;Tags"
GOALS = {"read": 0.1, "tried": 0.02, "taken": 0.01}


def content() -> bytes:
    """The list: every second has said yes, with its proof."""
    lines = [
        f"ospite{n}@example.com;Ada{n};Rossi;0323 3{n % 10_000:04d};it;{'sì' if n % 2 else ''};modulo;v3;"
        "14/03/2024 10:00;14/03/2024 10:05;Stresa;vip, lago"
        for n in range(PEOPLE)
    ]
    return "\n".join([HEADER, *lines]).encode("cp1252")


def measure(here: Ground) -> list[Measured]:
    """The three lines."""
    database, clock, ws = here.house.database, here.house.clock, here.workspace_id
    with database.work(ws) as session:
        session.add(Topic(workspace_id=ws, name="newsletter", title={"en": "Newsletter"}, created_at=clock.now()))
    limit = PEOPLE / _copied(here)
    given, took = content(), {}
    began = time.perf_counter()
    with database.work(ws) as session:
        number = desk.receive(session, "lista.csv", given, "bench", clock.now()).id
    took["read"] = time.perf_counter() - began
    with database.work(ws) as session:
        one = session.get_one(Import, (ws, number))
        reading, _ = desk.suggested(session, one, desk.known(session))
        desk.check(session, number, reading, clock.now())
    took["tried"] = _worked(here, number, "checked")
    with database.work(ws) as session:
        desk.take(session, number, clock.now())
    took["taken"] = _worked(here, number, "done")
    with database.work(ws) as session:
        tally = session.get_one(Import, (ws, number)).tally
    if tally["permission"]["granted"] != PEOPLE // 2:
        raise RuntimeError(f"Not everybody came in as they should: {tally}")
    return [
        Measured.against(f"import {name}", PEOPLE / seconds, "rows/s", limit, GOALS[name])
        for name, seconds in took.items()
    ]


def _worked(here: Ground, number: int, state: str) -> float:
    began = time.perf_counter()
    while True:
        with here.house.database.work(here.workspace_id) as session:
            stage.run(session, here.house.clock.now())
            if session.get_one(Import, (here.workspace_id, number)).state == state:
                break
    return time.perf_counter() - began


def _copied(here: Ground) -> float:
    """Seconds that a raw COPY of as many contacts takes, with the indexes of the table, the row security left out."""
    with here.house.database.work(here.workspace_id) as session:
        session.execute(text("CREATE TABLE raw_contacts (LIKE contacts INCLUDING ALL)"))
    with here.house.database.work(here.workspace_id) as session:
        cursor = session.connection().connection.cursor()
        began = time.perf_counter()
        with cursor.copy(
            "COPY raw_contacts (workspace_id, email, email_key, first_name, last_name, phone, language, tags,"
            " attributes, created_at, updated_at) FROM STDIN"
        ) as copy:
            for n in range(PEOPLE):
                mail, now = f"ospite{n}@example.com", here.house.clock.now()
                copy.write_row(
                    (here.workspace_id, mail, mail, f"Ada{n}", "Rossi", f"+39032330{n:05d}", "it", ["vip", "lago"],
                     '{"city": "Stresa"}', now, now)
                )  # fmt: skip
        session.commit()
    return time.perf_counter() - began


if __name__ == "__main__":
    with ground(journey_2000.TEMPLATE, journey_2000.WORKFLOW) as alone:
        print(table(measure(alone)))
