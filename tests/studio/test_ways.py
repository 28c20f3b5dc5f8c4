"""Settings, Senders: the ways out of the house with their health, and reports of mails that are not ours."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from markupsafe import escape
from sqlalchemy import delete, select

from app.db import settings_of
from app.delivery import senders
from app.delivery.models import Sender, UnmatchedReport
from app.delivery.providers.readers import READERS
from app.delivery.providers.webhooks import Secrets
from app.delivery.providers.writers import WRITERS
from app.delivery.sender_checks import ERRORS, SMTP, Outward, SenderError, providers
from app.studio import way_words
from tests.conftest import ROOT
from tests.studio.stage import ANALYST, HERE, STRANGER, Stage, token, token_in

PAGE = f"{HERE}/settings/senders"


@pytest.fixture
def ways(stage: Stage) -> Iterator[Stage]:
    """Two ways out and a provider that only reports; gone again afterwards, as the stage is shared."""
    now = stage.clock.now()
    with stage.work() as session:
        by_resend = Outward({"key": "re-secret"}, {}, ("marketing",))
        senders.add(session, "mailgun", "first", ["key"], (), now, Outward({"key": "mg-secret"}))
        second = senders.add(session, "resend", "second", (), (), now, by_resend)
        second.failures, second.open_until, second.last_error = 6, now + timedelta(minutes=3), "503 down"
        second.last_error_at = now
        senders.add(session, "postmark", "ears", (), ["a:b"], now)
        session.add(
            UnmatchedReport(
                workspace_id=stage.workspace_id, sender_id=1, provider="mailgun", kind="bounced", reason="hard",
                dedupe="d-1", message_id="<strange@elsewhere.example>", occurred_at=now, received_at=now,
                data={"recipient": "who@example.com"},
            )
        )  # fmt: skip
    yield stage
    with stage.work() as session:
        session.execute(delete(Sender))
        session.execute(delete(UnmatchedReport))


def rows(stage: Stage) -> list[tuple[str, bool, list[str]]]:
    with stage.work() as session:
        return [(one.name, one.active, one.streams) for one in senders.listed(session)]


def act(stage: Stage, client: FlaskClient, name: str, what: str) -> int:
    (number,) = stage.ids(Sender, name=name)
    given = {"csrf_token": token(client, PAGE)}
    return client.post(f"{PAGE}/ways/{number}/{what}", data=given).status_code


def test_the_page_shows_each_way_with_its_health_and_no_secret(ways: Stage, owner: FlaskClient) -> None:
    text = owner.get(PAGE).text
    assert text.index("first") < text.index("second") < text.index("ears")
    for said in ("Works", "Left alone after failures", "503 down", "Only reports", "None came yet", "Refused: nothing"):
        assert said in text
    assert "/api/v1/provider-webhooks/mailgun/" in text
    assert "mg-secret" not in text
    assert "re-secret" not in text


def test_the_team_changes_order_and_tries_again_and_switches_off(ways: Stage, owner: FlaskClient) -> None:
    assert act(ways, owner, "second", "earlier") == 303
    assert [name for name, _, _ in rows(ways)] == ["second", "first", "ears"]
    assert act(ways, owner, "second", "resume") == 303
    assert "Left alone after failures" not in owner.get(PAGE).text
    assert act(ways, owner, "first", "switch") == 303
    assert rows(ways)[1][1] is False
    assert "No sender takes service mail: it is kept in the outbox" in owner.get(PAGE).text
    assert act(ways, owner, "first", "explode") == 404


def test_only_owners_change_ways_and_nobody_those_of_another_workspace(ways: Stage) -> None:
    analyst, stranger = ways.signed_in(ANALYST), ways.signed_in(STRANGER)
    assert analyst.get(PAGE).status_code == 200
    (number,) = ways.ids(Sender, name="first")
    page = analyst.get(PAGE).text
    assert "/api/v1/provider-webhooks/" not in page, "who knows the address may probe it"
    given = {"csrf_token": token(analyst, f"{HERE}/people")}
    assert analyst.post(f"{PAGE}/ways/{number}/switch", data=given).status_code == 403
    assert stranger.get(PAGE).status_code == 404


def test_a_way_out_is_added_by_a_form_that_asks_for_what_its_provider_needs(ways: Stage, owner: FlaskClient) -> None:
    form = owner.get(f"{PAGE}/ways?provider=amazon_ses")
    for asked in ("Access key id", "Secret key", "Region", "Configuration set", "ARN of the SNS topic"):
        assert asked in form.text
    given = {"csrf_token": token_in(form), "provider": "sendgrid", "name": "third", "stream": "service"}
    missing = owner.post(f"{PAGE}/ways", data=given)
    assert missing.status_code == 422
    assert "SendGrid needs API key: an API key with the right Mail Send." in missing.text
    assert 'value="third"' in missing.text
    assert owner.post(f"{PAGE}/ways", data={**given, "send-key": "SG.new"}).status_code == 303
    assert rows(ways)[-1] == ("third", True, ["service"])
    with ways.work() as session:
        kept = session.scalars(select(Sender.credentials).where(Sender.name == "third")).one()
    assert "SG.new" not in (kept or "")
    assert owner.get(f"{PAGE}/ways?provider=nobody").status_code == 404


def test_what_providers_files_say_is_said_in_italian_too(ways: Stage) -> None:
    reader = ways.signed_in(language="it")
    for provider in way_words.SENDING:
        text = reader.get(f"{PAGE}/ways?provider={provider}").text
        writer = WRITERS.get(provider)
        told = [*writer.credentials.values(), *writer.options.values(), writer.lost] if writer else SMTP.values()
        told = [*told, READERS[provider].secret if provider in READERS else ""]
        assert [one for one in told if one and str(escape(one)) in text] == []
    assert set(way_words.PROVIDERS) == set(providers())


def test_a_report_of_no_mail_of_ours_is_looked_at_and_thrown_away(ways: Stage, owner: FlaskClient) -> None:
    assert "Reports of mails that are not ours: 1" in owner.get(PAGE).text
    page = owner.get(f"{PAGE}/unmatched")
    assert "strange@elsewhere.example" in page.text
    assert "no such mailbox" in page.text
    (number,) = ways.ids(UnmatchedReport)
    given = {"csrf_token": token_in(page)}
    assert owner.post(f"{PAGE}/unmatched", data={**given, "report": "x"}).status_code == 404
    assert owner.post(f"{PAGE}/unmatched", data={**given, "report": number}).status_code == 303
    assert ways.ids(UnmatchedReport) == []


def test_all_reports_that_were_shown_are_thrown_away_and_no_newer_one(ways: Stage, owner: FlaskClient) -> None:
    page = owner.get(f"{PAGE}/unmatched")
    (shown,) = ways.ids(UnmatchedReport)
    with ways.work() as session:
        first = session.get_one(UnmatchedReport, (ways.workspace_id, shown))
        kept = {name: getattr(first, name) for name in ("sender_id", "provider", "kind", "occurred_at", "received_at")}
        session.add(UnmatchedReport(workspace_id=ways.workspace_id, dedupe="d-2", data={}, **kept))
    owner.post(f"{PAGE}/unmatched", data={"csrf_token": token_in(page), "upto": shown})
    assert len(ways.ids(UnmatchedReport)) == 1


def test_what_a_sender_sends_with_is_replaced_and_never_shown(ways: Stage, owner: FlaskClient) -> None:
    (number,) = ways.ids(Sender, name="first")
    page = f"{PAGE}/ways/{number}"
    form = owner.get(page)
    assert "mg-secret" not in form.text
    given = {"csrf_token": token_in(form), "what": "send"}
    missing = owner.post(page, data=given)
    assert missing.status_code == 422
    assert "Mailgun needs API key" in missing.text
    assert owner.post(page, data={**given, "send-key": "mg-new"}).status_code == 303
    with ways.work() as session:
        sent = {way.name: way.access.credentials for way in senders.ways(session) if way.access}
    assert sent["first"] == {"key": "mg-new"}
    assert "mg-new" not in owner.get(page).text


def test_what_proves_webhooks_is_changed_and_what_is_compromised_refused_at_once(
    ways: Stage, owner: FlaskClient
) -> None:
    (number,) = ways.ids(Sender, name="ears")
    page = f"{PAGE}/ways/{number}"

    def proofs() -> Secrets:
        with ways.work() as session:
            return senders.proofs(settings_of(session), senders.named(session, "ears"))

    def send(what: str, **typed: str) -> int:
        given = {"csrf_token": token_in(owner.get(page)), "what": what} | typed
        typed_ = {name.replace("hook_", "hook-"): one for name, one in given.items()}
        return owner.post(page, data=typed_).status_code

    assert send("hooks", hook_basic="c:d", hook_networks="192.0.2.0/24, 198.51.100.7") == 303
    assert proofs() == Secrets([], ["c:d", "a:b"], ["192.0.2.0/24", "198.51.100.7"])
    assert send("hooks", hook_networks="0.0.0.0/0") == 422
    assert send("compromised", hook_basic="e:f") == 303
    assert proofs() == Secrets([], ["e:f"], [])
    assert send("hooks") == 303
    assert send("compromised") == 303
    assert proofs() == Secrets([], [], [])
    assert "Refused: nothing proves them" in owner.get(page).text


def test_only_owners_see_and_change_secrets(ways: Stage) -> None:
    (number,) = ways.ids(Sender, name="first")
    assert ways.signed_in(ANALYST).get(f"{PAGE}/ways/{number}").status_code == 403
    assert ways.signed_in(STRANGER).get(f"{PAGE}/ways/{number}").status_code == 404


def test_every_error_of_a_sender_and_every_refusal_has_words_in_italian(ways: Stage) -> None:
    assert set(way_words.WRONG) == set(ERRORS)
    about = dict.fromkeys(("provider", "name", "stream", "known", "what", "either", "network", "names", "why"), "x")
    reader = ways.signed_in(language="it")
    given = {"csrf_token": token(reader, PAGE), "provider": "sendgrid", "name": "terzo", "stream": "service"}
    assert "SendGrid richiede Chiave API" in reader.post(f"{PAGE}/ways", data=given).text
    for code in ERRORS:
        error = SenderError(code, **about)
        assert way_words.wrong(error)
        assert str(error)
    said = {
        node.args[0].value
        for file in [*(ROOT / "app/delivery/providers").glob("*.py"), ROOT / "app/api/provider_webhooks.py"]
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "RefusedError"
        and isinstance(node.args[0], ast.Constant)
    }
    assert said == {str(one) for one in way_words.REFUSALS}
