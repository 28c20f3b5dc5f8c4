"""Secrets that are kept to be read again: one seal for all of them, and none that a change of the secret forgets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import select

from app.delivery import senders
from app.delivery.models import Sender
from app.delivery.sender_checks import Outward
from app.enrollments import endpoints
from app.enrollments.models import CallEndpoint
from app.events.models import Source
from app.events.sources import live_secrets, new_webhook_secret
from app.sealed import columns, opened, reseal, seal
from tests.delivery.conftest import Post


def test_every_column_that_holds_something_sealed_is_known() -> None:
    assert {(table.name, column.name) for table, column in columns()} == {
        ("call_endpoints", "headers"),
        ("call_endpoints", "secrets"),
        ("dkim_keys", "sealed"),
        ("senders", "credentials"),
        ("senders", "secrets"),
        ("sources", "webhook_secrets"),
        ("special_values", "sealed"),
    }


def test_secrets_of_sources_endpoints_and_senders_are_all_sealed_anew(open_post: Callable[..., Post]) -> None:
    post = open_post("capture:")
    old, now = post.house.settings, post.clock.now()
    with post.house.database.work(post.workspace_id) as session:
        source = Source(
            workspace_id=post.workspace_id, name="PMS", slug="pms", created_at=now, webhook_secrets=[], property_id=None
        )
        session.add(source)
        signing = new_webhook_secret(session, source, now)
        endpoints.add(session, "desk", "https://desk.example/", now, {"x-key": "k-1"})
        senders.add(session, "generic", "main", ["whsec_a"], ["u:p"], now)
        senders.add(session, "smtp", "spare", (), (), now, Outward({"url": "smtp://mx.example"}))
    newer = replace(old, secret="n" * 40, previous_secrets=(old.secret,))
    post.house.database.settings = newer
    with post.house.database.system() as session:
        done = reseal(session)
    assert (done.texts, done.lost) == (6, 0)
    alone = replace(newer, previous_secrets=())
    with post.house.database.work(post.workspace_id) as session:
        kept = session.scalars(select(Source)).one()
        assert live_secrets(alone, kept.webhook_secrets, now) == [signing]
        desk = session.scalars(select(CallEndpoint)).one()
        assert endpoints.target(alone, desk, now).headers == {"x-key": "k-1"}
        by_name = {one.name: one for one in session.scalars(select(Sender))}
        assert [opened(alone, one) for one in by_name["main"].secrets["keys"]] == ["whsec_a"]
        assert opened(alone, by_name["spare"].credentials or "") == '{"url":"smtp://mx.example"}'
    post.house.database.settings = old


def test_what_was_sealed_elsewhere_opens_nothing(open_post: Callable[..., Post]) -> None:
    settings = open_post("capture:").house.settings
    sealed = seal(settings, "a word")
    assert opened(settings, sealed) == "a word"
    assert "word" not in sealed
    assert opened(replace(settings, secret="x" * 40), sealed) is None
    assert opened(settings, sealed[:-4] + "AAA=") is None
    assert opened(settings, "nothing sealed") is None
