"""The test frame itself: what other tests rely on."""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.contacts.models import Contact
from app.db import Database
from tests.factories import Factory
from tests.sink import Sink

Work = Callable[[], AbstractContextManager[Session]]


@pytest.mark.parametrize("turn", [1, 2])
def test_what_a_test_commits_is_gone_in_the_next(turn: int, work: Work) -> None:
    with work() as session:
        assert session.scalar(select(func.count()).select_from(Contact)) == 0
        session.execute(
            text(
                "INSERT INTO contacts (workspace_id, email, created_at, updated_at)"
                " VALUES (current_setting('percorso.workspace')::bigint, :email, now(), now())"
            ),
            {"email": f"turn{turn}@example.com"},
        )
    with work() as session:
        assert session.scalar(select(func.count()).select_from(Contact)) == 1


def test_row_level_security_bites_in_tests(make: Factory, db: Database, workspace_id: int) -> None:
    make.contact()
    with db.work(workspace_id + 1) as stranger:
        assert stranger.scalar(text("SELECT count(*) FROM contacts")) == 0


def test_a_throwaway_database_is_seen_by_several_connections(database: Database) -> None:
    with database.system() as first, database.system() as second:
        assert first.scalar(text("SELECT pg_backend_pid()")) != second.scalar(text("SELECT pg_backend_pid()"))
        assert second.scalar(text("SELECT count(*) FROM workspaces")) == 0


def test_the_sink_counts_refuses_and_cuts(smtp: Sink) -> None:
    body = "Message-ID: <1@test>\r\nSubject: x\r\n\r\n.one dot\r\nend"
    with smtplib.SMTP("127.0.0.1", smtp.port) as client:
        client.sendmail("a@example.com", ["ok@example.com"], body)
        client.sendmail("a@example.com", ["ok@example.com"], body)
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            client.sendmail("a@example.com", ["bad@example.com"], body)
        assert refused.value.recipients["bad@example.com"][0] == 550
        with pytest.raises(smtplib.SMTPRecipientsRefused) as later:
            client.sendmail("a@example.com", ["greylist@example.com"], body)
        assert later.value.recipients["greylist@example.com"][0] == 451
        client.sendmail("a@example.com", ["greylist@example.com"], body)
    assert smtp.ids["<1@test>"] == 3
    assert smtp.mails[0].data.endswith(b"\r\n\r\n.one dot\r\nend\r\n")
    client = smtplib.SMTP("127.0.0.1", smtp.port)
    with pytest.raises(smtplib.SMTPServerDisconnected):
        client.sendmail("a@example.com", ["cut@example.com"], body)
    assert len(smtp.to("cut@example.com")) == 1
