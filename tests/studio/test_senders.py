"""Settings, Senders: identities, domains with their records, keys, warm-up, paces, addresses for test mails."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app import cli
from app.delivery import identities, keys
from app.delivery.dns_ask import Result
from app.delivery.domains import note
from app.delivery.models import CapturedMail, DkimKey, SenderDomain, SenderIdentity, TrialAddress, WarmUp
from tests.studio.stage import HERE, Stage, token

PAGE = f"{HERE}/settings/senders"


def one(stage: Stage, kind: Any, **criteria: Any) -> Any:
    with stage.work() as session:
        return session.scalars(select(kind).filter_by(**criteria).order_by(kind.id.desc())).first()


def post(client: FlaskClient, page: str, **given: str) -> Any:
    return client.post(page, data={"csrf_token": token(client, PAGE), **given})


def test_who_speaks_stands_at_the_top_by_stream(owner: FlaskClient) -> None:
    text = owner.get(PAGE).text
    assert "novita@news.rivaserena.example" in text
    assert "ciao@rivaserena.example" in text
    assert "Better apart" not in text


def test_a_new_sender_is_used_once_its_address_says_it_is_its_own(stage: Stage, owner: FlaskClient) -> None:
    answer = post(owner, PAGE, name="Riva Serena, feste", email="feste@feste.example", stream="marketing")
    assert answer.status_code == 303
    assert "is in the outbox" in owner.get(answer.location).text
    made = one(stage, SenderIdentity, email="feste@feste.example")
    assert made.verified_at is None
    mail = one(stage, CapturedMail, envelope_to="feste@feste.example")
    assert b"[Test]" not in mail.raw
    address = identities.link(stage.house.settings, made).removeprefix("http://localhost")
    client = stage.app.test_client()
    for _ in range(2):
        assert "Is this address yours?" in client.get(address).text
    assert one(stage, SenderIdentity, id=made.id).verified_at is None
    assert "Address confirmed" in client.post(address).text
    assert "Address confirmed" in client.post(address).text
    kept = one(stage, SenderIdentity, id=made.id)
    assert (kept.verified_at, kept.verified_how) == (stage.clock.now(), "mail")


def test_a_link_holds_for_the_address_it_was_sent_to_and_no_other(stage: Stage, owner: FlaskClient) -> None:
    post(owner, PAGE, name="A", email="a@altro.example", stream="service")
    made = one(stage, SenderIdentity, email="a@altro.example")
    address = identities.link(stage.house.settings, made).removeprefix("http://localhost")
    post(owner, PAGE, identity=str(made.id), name="A", email="b@altro.example", stream="service")
    client = stage.app.test_client()
    assert client.post(address).status_code == 404
    assert client.get("/m/a/nonsense").status_code == 404
    assert one(stage, SenderIdentity, id=made.id).verified_at is None


def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(owner: FlaskClient) -> None:
    answer = post(owner, PAGE, name="", email="nobody", reply_to="x", stream="marketing")
    assert answer.status_code == 422
    for name in ("name", "email", "reply_to"):
        assert f'id="wrong-{name}"' in answer.text
    assert 'value="nobody"' in answer.text
    answer = post(owner, PAGE, name="B", email="novita@news.rivaserena.example", stream="marketing")
    assert "This address is there already." in answer.text


def test_putting_a_sender_aside_is_undone_from_its_toast(stage: Stage, owner: FlaskClient) -> None:
    made = one(stage, SenderIdentity, email="novita@news.rivaserena.example")
    page = owner.get(post(owner, f"{PAGE}/identities/{made.id}/switch").location).text
    assert "is put aside" in page
    assert f"/identities/{made.id}/switch" in page
    post(owner, f"{PAGE}/identities/{made.id}/switch")
    assert one(stage, SenderIdentity, id=made.id).active


def test_a_domain_shows_the_very_records_to_put_in(stage: Stage, owner: FlaskClient) -> None:
    assert post(owner, f"{PAGE}/domains", domain="no domain").status_code == 422
    answer = post(owner, f"{PAGE}/domains", domain="Mail.Riva-Due.example")
    domain = one(stage, SenderDomain, name="mail.riva-due.example")
    key = one(stage, DkimKey, domain_id=domain.id)
    text = owner.get(answer.location).text
    for shown in (f"{key.selector}._domainkey.mail.riva-due.example", key.public, "v=DMARC1; p=none"):
        assert shown in text
    assert "PRIVATE KEY" not in text
    copies = re.findall(r'data-copy="([^"]+)"', text)
    assert all(f'id="{name}"' in text for name in copies)
    assert len(copies) == len(set(copies)) >= 4
    assert "It should look like" not in text
    assert post(owner, f"{PAGE}/domains/{domain.id}/way-out", spf="not at all").status_code == 422
    assert post(owner, f"{PAGE}/domains/{domain.id}/remove").status_code == 303
    assert one(stage, SenderDomain, name="mail.riva-due.example") is None


def test_r30_marketing_is_allowed_by_its_checks_or_by_a_person_who_says_why(stage: Stage, owner: FlaskClient) -> None:
    post(owner, f"{PAGE}/domains", domain="prova.riva.example")
    domain = one(stage, SenderDomain, name="prova.riva.example")
    page = f"{PAGE}/domains/{domain.id}/marketing"
    refused = post(owner, page)
    assert refused.status_code == 422
    assert 'id="wrong-insist"' in refused.text
    post(owner, page, insist="Our DNS is internal")
    kept = one(stage, SenderDomain, id=domain.id)
    assert (kept.marketing_how, kept.marketing_by) == ("insisted", "owner@riva.example")
    post(owner, page, use="no")
    assert one(stage, SenderDomain, id=domain.id).marketing_at is None


def test_every_verdict_is_told_in_words_in_both_languages(stage: Stage) -> None:
    with stage.work() as session:
        domain = session.scalars(select(SenderDomain).where(SenderDomain.name == "rivaserena.example")).one()
        results = {
            "spf": Result("fail", "spf_not_ours", ("v=spf1 mx ~all",), (), {"term": "include:x.example"}),
            "dkim": Result("warn", "dkim_advised", (), (), {"selector": "p1", "bits": 1024}),
            "dmarc": Result("pass", "dmarc_good", (), (), {"policy": "none", "domain": "x", "spf": True, "dkim": True}),
            "return": Result("none", "return_same"),
            "mailbox": Result("unknown", "no_answer"),
            "ptr": Result("none", "ptr_not_ours"),
            "tls": Result("pass", "tls_good"),
        }
        note(session, domain, results, {}, stage.clock.now())
        number = domain.id
    english = stage.signed_in().get(f"{PAGE}/domains/{number}").text
    for said in ("“include:x.example” is missing", "1024 bits; 2,048", "Needs you", "Works, could be better"):
        assert said in english
    italian = stage.signed_in(language="it").get(f"{PAGE}/domains/{number}").text
    for said in ("Manca «include:x.example»", "se ne consigliano 2.048", "Richiede il tuo intervento"):
        assert said in italian


def test_a_warm_up_begins_pauses_and_ends_from_its_page(stage: Stage, owner: FlaskClient) -> None:
    domain = one(stage, SenderDomain, name="news.rivaserena.example")
    page = f"{PAGE}/domains/{domain.id}"
    assert post(owner, f"{page}/warm-up", start="many", growth="60", target="500").status_code == 422
    post(owner, f"{page}/warm-up", start="50", growth="60", target="500")
    assert one(stage, WarmUp, domain_id=domain.id).plan[0] == 50
    assert 'aria-current="date"' in owner.get(page).text
    post(owner, f"{page}/warm-up/pause")
    assert one(stage, WarmUp, domain_id=domain.id).paused_at == stage.clock.now()
    post(owner, f"{page}/warm-up/end")
    assert one(stage, WarmUp, domain_id=domain.id).ended_at == stage.clock.now()
    assert post(owner, f"{page}/warm-up/pause").status_code == 404


def test_a_pace_is_set_and_taken_back(owner: FlaskClient) -> None:
    page = f"{PAGE}/backlog"
    assert post(owner, page, provider="gmail", minute="5").status_code == 422
    assert post(owner, page, provider="gmail.com", minute="5").status_code == 303
    text = owner.get(page).text
    assert "Google" in text
    assert "Set by you" in text
    post(owner, page, provider="google", what="forget")
    assert "Nothing waits" in owner.get(page).text


def test_r64_a_test_mail_goes_to_the_team_or_a_verified_address_and_to_nobody_else(
    stage: Stage, owner: FlaskClient
) -> None:
    post(owner, f"{PAGE}/test-addresses", trial="seed@prove.example")
    test = f"{HERE}/templates/booking-confirmation/test"
    assert post(owner, test, to="seed@prove.example").status_code == 403
    assert post(owner, test, to="stranger@example.com").status_code == 403
    made = one(stage, TrialAddress, email="seed@prove.example")
    with stage.work() as session:
        session.get_one(TrialAddress, (made.workspace_id, made.id)).verified_at = stage.clock.now()
    assert post(owner, test, to="seed@prove.example").status_code == 303
    mail = one(stage, CapturedMail, envelope_to="seed@prove.example")
    assert b"Subject: [Test]" in mail.raw
    assert mail.message_pk < 0
    post(owner, f"{PAGE}/test-addresses/{made.id}/remove")
    assert one(stage, TrialAddress, email="seed@prove.example") is None


@pytest.mark.parametrize("page", ["", "/backlog"])
def test_who_may_only_look_sees_no_form(stage: Stage, page: str) -> None:
    text = stage.signed_in("analyst@riva.example").get(PAGE + page).text
    assert f'action="{PAGE}' not in text
    assert post(stage.signed_in("analyst@riva.example"), f"{PAGE}/domains", domain="x.example").status_code == 403


def test_home_says_when_a_domain_in_use_is_no_longer_in_order(stage: Stage, owner: FlaskClient) -> None:
    said = "rivaserena.example is no longer in order"
    assert said not in owner.get(f"{HERE}/").text
    with stage.work() as session:
        domain = session.scalars(select(SenderDomain).where(SenderDomain.name == "rivaserena.example")).one()
        domain.failing_since = stage.clock.now()
    assert said in owner.get(f"{HERE}/").text
    with stage.work() as session:
        session.scalars(select(SenderDomain).where(SenderDomain.id == domain.id)).one().failing_since = None


def test_the_command_line_tells_the_same(stage: Stage) -> None:
    cli.register(stage.app)

    def told(*words: str) -> Any:
        return stage.app.test_cli_runner().invoke(args=["delivery", *words, "--workspace", "riva-serena"])

    assert "novita@news.rivaserena.example>  verified by given" in told("identities").output
    assert "rivaserena.example  marketing: in_use" in told("domains").output
    assert told("domains", "nowhere.example").output.strip() == "no sender domain here"
    assert told("backlog").output.strip() == "nothing waits"
    assert json.loads(told("domains", "--json").output)[0]["workspace"] == "riva-serena"


def test_a_key_that_somebody_else_has_signs_nothing_from_that_moment_on(stage: Stage, owner: FlaskClient) -> None:
    post(owner, f"{PAGE}/domains", domain="geheim.example")
    domain = one(stage, SenderDomain, name="geheim.example")
    first = one(stage, DkimKey, domain_id=domain.id)
    with stage.work() as session:
        key = session.get_one(DkimKey, (stage.workspace_id, first.id))
        key.phase, key.used_from = "active", stage.clock.now()
        assert [one.selector for one in keys.signers(session)["geheim.example"]] == [first.selector]
    page = f"{PAGE}/domains/{domain.id}"
    assert "Withdraw it at once" in owner.get(page).text
    assert post(owner, f"{page}/keys/{first.id}/compromised").status_code == 303
    with stage.work() as session:
        assert "geheim.example" not in keys.signers(session)
    old, new = one(stage, DkimKey, id=first.id), one(stage, DkimKey, domain_id=domain.id)
    assert (old.phase, old.used_until, old.withdrawn_at) == ("withdrawn", stage.clock.now(), stage.clock.now())
    assert (new.phase, new.selector != old.selector) == ("new", True)
    told = owner.get(page).text
    assert new.public[:40] in told, "its record stands on the page"
    assert post(owner, f"{page}/keys/{first.id}/compromised").status_code == 404
    assert post(owner, f"{page}/keys/{new.id}/compromised").status_code == 303
    assert one(stage, DkimKey, domain_id=domain.id).selector not in {old.selector, new.selector}
    assert post(owner, f"{page}/remove").status_code == 303
