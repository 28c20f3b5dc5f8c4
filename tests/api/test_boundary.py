"""The workspace is a hard boundary: no route, no query and no raw SQL of one reaches another's rows."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import CheckConstraint, insert, select, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.api.operations import OPERATIONS
from app.clock import FixedClock
from app.contacts.models import Contact
from app.db import Base, Database, Owned
from app.enrollments.models import Task
from app.messages.models import Message
from tests.api.conftest import Door, open_door
from tests.conftest import START
from tests.events.feed import event, stay
from tests.factories import Factory

OWNED: list[Any] = sorted(
    (mapper.class_ for mapper in Base.registry.mappers if issubclass(mapper.class_, Owned)),
    key=lambda model: str(model.__table__.name),
)
SECRET = "only-for-lago"


@dataclass
class Sides:
    """Two workspaces with a source each, both called `pms`; everything worth seeing is on the first side."""

    lago: Door
    monte: Door


@pytest.fixture
def sides(client: FlaskClient, db: Database, workspace_id: int, clock: FixedClock) -> Sides:
    """Lago, which has people, bookings and messages with SECRET in them; and Monte, which has nothing."""
    with db.system() as session:
        other = Workspace(slug="monte", name="Monte", settings={}, created_at=START)
        session.add(other)
        session.flush()
        number = other.id
    lago = open_door(client, db, workspace_id, clock)
    monte = open_door(client, db, number, clock)
    person = {
        "external_id": "guest-1093",
        "email": f"{SECRET}@example.com",
        "first_name": SECRET,
        "phone": "+390323304160",
    }
    lago.report(stay("e-1", "confirmed", reference="LAGO-2381", contact=person, board=SECRET))
    with db.work(workspace_id) as session:
        contact = session.scalars(select(Contact)).one()
        Factory(session, clock).add(
            Message,
            contact_id=contact.id,
            template=SECRET,
            class_="marketing",
            state="planned",
            verdict=[],
            channel="email",
            planned_at=START,
            due_at=START,
        )
    return Sides(lago, monte)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_no_route_shows_or_changes_what_is_anothers(sides: Sides, db: Database, operation: Any) -> None:
    path = operation.path.replace("{external_id}", "guest-1093").replace("{reference}", "LAGO-2381")
    body: dict[str, Any] = {"json": operation.body_example or {}} if operation.body is not None else {}
    if operation.body_type == "multipart/form-data":
        body = {"data": {"file": (BytesIO(b"email\nx@example.com\n"), "a.csv")}, "content_type": operation.body_type}
    if operation.name == "post_events":
        body["json"] = stay("e-1", "cancelled", reference="LAGO-2381", contact={"external_id": "guest-1093"})
    before = everything(db, sides.lago.workspace_id)
    answer = sides.monte.ask(operation.method.upper(), path, **body)
    assert answer.status_code in {200, 201, 202, 404, 422}
    assert SECRET not in answer.get_data(as_text=True)
    assert everything(db, sides.lago.workspace_id) == before
    if operation.method == "get" and path != operation.path:
        assert answer.status_code == 404
        assert SECRET in sides.lago.ask("GET", path).get_data(as_text=True)


def test_anothers_task_is_neither_seen_nor_ticked_off(sides: Sides, db: Database) -> None:
    with db.work(sides.lago.workspace_id) as session:
        task = Task(
            **{**row_of(Task, sides.lago.workspace_id), "contact_id": session.scalars(select(Contact.id)).one()}
        )
        session.add(task)
        session.flush()
        number = task.id
    assert sides.monte.ask("GET", "/tasks").get_json()["data"] == []
    assert sides.monte.ask("POST", f"/tasks/{number}/done").status_code == 404
    with db.work(sides.lago.workspace_id) as session:
        assert session.scalars(select(Task.done_at)).one() is None


def test_a_filter_by_anothers_contact_finds_nothing(sides: Sides) -> None:
    for query in ("?contact=guest-1093", "?state=planned", "?cursor=OTk5OTk5"):
        assert sides.monte.ask("GET", f"/messages{query}").get_json()["data"] == []
        assert len(sides.lago.ask("GET", f"/messages{query}").get_json()["data"]) == 1


def test_the_same_address_id_and_reference_are_somebody_elses_on_the_other_side(sides: Sides, db: Database) -> None:
    same = {"external_id": "guest-1093", "email": f"{SECRET}@example.com"}
    (verdict,) = sides.monte.report(stay("e-1", "confirmed", reference="LAGO-2381", contact=same, adults=7))
    assert verdict["status"] == "accepted"
    assert sides.monte.ask("GET", "/contacts/guest-1093").get_json()["first_name"] is None
    assert sides.lago.ask("GET", "/bookings/LAGO-2381").get_json()["adults"] is None
    (nobody,) = sides.monte.report(event("e-2", "page.viewed", contact={"phone": "+390323304160"}))
    assert nobody["status"] == "accepted"
    with db.work(sides.lago.workspace_id) as session:
        assert len(session.scalars(select(Contact)).all()) == 1


def test_a_signature_made_with_one_sides_secret_opens_only_that_side(
    sides: Sides, clock: FixedClock, db: Database
) -> None:
    from tests.api.test_access import headers_for, signed

    body = json.dumps(event("signed", "page.viewed"))
    headers = headers_for(sides.monte.secret, body, clock.now())
    assert signed(sides.lago, body, headers, "lago/pms").status_code == 401
    # By the bare name both sources are meant; the secret says which.
    before = everything(db, sides.lago.workspace_id)
    assert signed(sides.lago, body, headers, "pms").status_code == 202
    assert everything(db, sides.lago.workspace_id) == before


# -- every table -----------------------------------------------------------------------------------------------------


def everything(db: Database, workspace_id: int) -> dict[str, int]:
    """A fingerprint of all rows of a workspace, key use aside."""
    with db.work(workspace_id) as session:
        return {
            model.__tablename__: session.execute(
                text(f"SELECT coalesce(sum(hashtext(CAST(t AS text))), 0) FROM {model.__tablename__} t")
            ).scalar_one()
            for model in OWNED
            if model.__tablename__ != "api_keys"
        }


def row_of(model: Any, workspace_id: int) -> dict[str, Any]:
    """The smallest row a table takes, with the constraints of other tables set aside."""
    values: dict[str, Any] = {}
    for column in model.__table__.columns:
        if column.name == "workspace_id":
            values["workspace_id"] = workspace_id
        elif column.nullable or column.server_default is not None or column.identity is not None:
            continue
        else:
            kind = column.type.python_type if not hasattr(column.type, "astext_type") else dict
            values[column.name] = {int: 1, str: "x", bytes: b"x", bool: True, dict: {}, list: []}.get(kind, START)
    for constraint in model.__table__.constraints:
        if isinstance(constraint, CheckConstraint):
            one_of = re.match(r"(\w+) IN \('(\w+)'", str(constraint.sqltext))
            assert one_of, f"what does {constraint.sqltext} allow?"
            values[one_of[1]] = one_of[2]
    return values


@pytest.fixture
def crossed(db: Database, sides: Sides) -> Sides:
    """At least one row of Lago in every owned table."""
    with db.system() as session:
        # Within the test's own transaction: rows for their own sake need no rows they refer to.
        for model in OWNED:
            for constraint in model.__table__.foreign_key_constraints:
                session.execute(text(f"ALTER TABLE {model.__tablename__} DROP CONSTRAINT {constraint.name}"))
        for model in OWNED:
            if session.execute(text(f"SELECT 1 FROM {model.__tablename__} LIMIT 1")).first() is None:
                session.execute(insert(model.__table__).values(row_of(model, sides.lago.workspace_id)))
    return sides


def rows(session: Session, model: Any, workspace_id: int) -> int:
    """How many rows of a workspace raw SQL sees."""
    statement = text(f"SELECT count(*) FROM {model.__tablename__} WHERE workspace_id = :workspace")
    return int(session.execute(statement, {"workspace": workspace_id}).scalar_one())


def scoped(session: Session, scope: str) -> None:
    session.execute(text("SELECT set_config('percorso.workspace', :scope, true)"), {"scope": scope})


def test_every_owned_table_has_its_policy_and_nobody_passes_it_by(db: Database) -> None:
    with db.system() as session:
        kept = session.execute(
            text(
                "SELECT c.relname FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid "
                "WHERE c.relrowsecurity AND c.relforcerowsecurity AND p.polwithcheck IS NOT NULL"
            )
        ).scalars()
        there = session.execute(
            text(
                "SELECT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
                "WHERE a.attname = 'workspace_id' AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
            )
        ).scalars()
        names = {model.__tablename__ for model in OWNED}
        assert names == set(there)
        assert names <= set(kept)
        who = session.execute(
            text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
        ).scalar_one()
        assert not who


def test_no_query_of_one_workspace_sees_changes_or_plants_a_row_of_another(crossed: Sides, db: Database) -> None:
    lago, monte = crossed.lago.workspace_id, crossed.monte.workspace_id
    with db.work(lago) as session:
        for model in OWNED:
            assert rows(session, model, lago) > 0, model
    for model in OWNED:
        with db.work(monte) as session:
            assert [row for row in session.execute(select(model.workspace_id)).scalars() if row != monte] == [], model
            assert rows(session, model, lago) == 0, model
            for statement in (
                f"UPDATE {model.__tablename__} SET workspace_id = workspace_id WHERE workspace_id = :workspace",
                f"DELETE FROM {model.__tablename__} WHERE workspace_id = :workspace",
            ):
                done: Any = session.execute(text(statement), {"workspace": lago})
                assert done.rowcount == 0, model
        with pytest.raises(ProgrammingError, match="row-level security"), db.work(monte) as session:
            session.execute(insert(model.__table__).values(row_of(model, lago)))


@pytest.mark.parametrize("scope", ["", "0", "-1"])
def test_raw_sql_without_a_workspace_or_with_none_that_exists_sees_nothing(
    crossed: Sides, db: Database, scope: str
) -> None:
    with db.system() as session:
        assert all(rows(session, model, crossed.lago.workspace_id) for model in OWNED)
        scoped(session, scope)
        assert [model for model in OWNED if rows(session, model, crossed.lago.workspace_id)] == []


def test_a_connection_that_never_heard_of_a_workspace_sees_nothing(database: Database) -> None:
    """On a fresh connection, where the setting does not even exist."""
    with database.system() as session:
        workspace = Workspace(slug="lago", name="Lago", settings={}, created_at=START)
        session.add(workspace)
        session.flush()
        session.add(Contact(workspace_id=workspace.id, external_id=SECRET, created_at=START, updated_at=START))
    database.engine.dispose()
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM contacts")).scalar_one() == 0


def test_a_unit_of_work_leaves_no_scope_behind_on_its_connection(database: Database) -> None:
    with database.system() as session:
        workspace = Workspace(slug="lago", name="Lago", settings={}, created_at=START)
        session.add(workspace)
        session.flush()
        number = workspace.id
    with database.work(number) as session:
        session.add(Contact(workspace_id=number, external_id=SECRET, created_at=START, updated_at=START))
    for _ in range(3):
        with database.engine.connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM contacts")).scalar_one() == 0
