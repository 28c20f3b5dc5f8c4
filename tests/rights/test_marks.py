"""Every column says whether it is personal."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from sqlalchemy import Column, Date, Integer, LargeBinary, Text
from sqlalchemy.dialects.postgresql import JSONB

import app
from app.db import IMPERSONAL, PERSONAL, Base, is_marked

for module in pkgutil.walk_packages(app.__path__, "app."):
    if module.name.endswith(".models"):
        importlib.import_module(module.name)


def test_every_column_of_every_model_says_whether_it_is_personal() -> None:
    unmarked = [
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if not is_marked(column)
    ]
    assert unmarked == [], "mark them with info=PERSONAL or IMPERSONAL (a text: Mapped[Plain]); see app/db.py"


@pytest.mark.parametrize("type_", [Text(), JSONB(), LargeBinary(), Date()])
def test_what_can_hold_what_a_person_said_must_be_marked_by_hand(type_: object) -> None:
    assert not is_marked(Column("new", type_))  # type: ignore[arg-type]
    assert is_marked(Column("new", type_, info=PERSONAL))  # type: ignore[arg-type]
    assert is_marked(Column("new", type_, info=IMPERSONAL))  # type: ignore[arg-type]
    assert is_marked(Column("new", Integer()))
