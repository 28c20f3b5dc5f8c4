"""Recording costs a fixed number of statements, whatever the size of the batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.orm import Session

from tests.events.feed import event, report, stay


@contextmanager
def counted(session: Session) -> Iterator[list[str]]:
    """Statements sent while it is open."""
    sent: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(("SAVEPOINT", "RELEASE")):
            sent.append(statement)

    engine = session.get_bind()
    sqlalchemy_event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sqlalchemy_event.remove(engine, "before_cursor_execute", note)


def batch(size: int, name: str = "e") -> list[dict[str, Any]]:
    """Stays of as many people, with all that makes recording work harder."""
    return [
        stay(
            f"{name}-{n}",
            "confirmed" if name == "e" else "modified",
            minutes=-n if name == "e" else n // 1000,
            reference=f"B-{n}",
            arrival="2026-05-01",
            adults=2 if name == "e" else 3,
            contact={"external_id": f"p-{n}", "email": f"p{n}@example.com", "attributes": {"vip": True}},
        )
        for n in range(size)
    ]


@pytest.mark.parametrize("size", [1, 50, 1000])
def test_known_people_and_bookings_cost_ten_statements(session: Session, size: int) -> None:
    report(session, batch(size))
    with counted(session) as sent:
        verdicts = report(session, batch(size, "f"))
    assert {verdict.status for verdict in verdicts} == {"accepted"}
    assert len(sent) == 10, sent


@pytest.mark.parametrize("size", [1, 50, 1000])
def test_r18_what_tells_of_a_special_category_costs_one_statement_more(session: Session, size: int) -> None:
    def telling(name: str) -> list[dict[str, Any]]:
        raws = batch(size, name)
        for raw in raws:
            raw["data"]["booking"] |= {"diet": "vegan", "children": [{"name": "Luca", "age": 6}], "notes": "late"}
        return raws

    report(session, telling("e"))
    with counted(session) as sent:
        verdicts = report(session, telling("f"))
    assert {verdict.status for verdict in verdicts} == {"accepted"}
    assert len(sent) == 11, sent


@pytest.mark.parametrize("size", [1, 50, 900])
def test_new_people_doubles_and_conflicts_cost_at_most_nineteen(session: Session, size: int) -> None:
    old = [event(f"old-{n}", "page.viewed", contact={"external_id": "x"}) for n in range(20)]
    known = stay("known", "confirmed", reference="K", channel="ota", contact={"external_id": "x"})
    report(session, [*old, known])
    again = [{**raw, "data": {"other": place}} if place % 2 else raw for place, raw in enumerate(old)]
    changed = stay("known-2", "modified", reference="K", adults=4, contact={"external_id": "x"})
    with counted(session) as sent:
        report(session, [*batch(size), *again, changed])
    assert len(sent) <= 19, len(sent)
