"""One message: its mail and the whole chain of decisions; what the outbox can do with it."""

from __future__ import annotations

import re

from flask.testing import FlaskClient
from sqlalchemy import select

from app.consent.models import Suppression
from app.delivery.models import CapturedMail
from app.messages.models import Message
from tests.studio.stage import HERE, Stage, token


def _stages(text: str) -> list[str]:
    return re.findall(r'<span class="stage">([^<]+)</span>', text)


def test_the_chain_of_a_sent_message_runs_from_the_event_to_what_came_back(stage: Stage, owner: FlaskClient) -> None:
    with stage.work() as session:
        clicked = session.scalars(select(Message.id).where(Message.clicked_at.is_not(None))).one()
    told = _stages(owner.get(f"{HERE}/messages/{clicked}").text)
    assert told[:3] == ["Event", "Entry", "Step"]
    assert told[-4:] == ["Gate", "Composed", "Handed over", "Came back"]


def test_a_refused_message_says_why_with_its_rule_and_was_never_composed(stage: Stage, owner: FlaskClient) -> None:
    refused = stage.ids(Message, reason="no_consent")[0]
    text = owner.get(f"{HERE}/messages/{refused}").text
    assert "Why it was not sent" in text
    assert "Not sent: there is no consent" in text
    assert re.search(r'<li class="no">.*?There is no consent.*?<span class="rule">R1\d?</span>', text, re.DOTALL)
    assert "No mail was made" in text
    assert _stages(text)[-1] == "Gate"
    assert owner.get(f"{HERE}/messages/{refused}/mail").status_code == 404


def test_each_check_shows_the_inputs_it_was_read_from(stage: Stage, owner: FlaskClient) -> None:
    sent = stage.ids(Message, state="accepted", basis="consent")[0]
    text = owner.get(f"{HERE}/messages/{sent}").text
    assert re.search(r"There is a consent.*?<dt>Ledger line</dt><dd>\d+</dd>", text, re.DOTALL)
    assert "Ledger line" in text


def test_a_mail_is_framed_without_script_form_or_same_origin(stage: Stage, owner: FlaskClient) -> None:
    sent = stage.ids(Message, state="accepted")[0]
    policy = owner.get(f"{HERE}/messages/{sent}/mail").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-popups" in policy
    assert "allow-same-origin" not in policy
    assert "allow-scripts" not in policy
    page = owner.get(f"{HERE}/messages/{sent}").text
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page


def test_a_sent_mail_is_made_again_where_the_outbox_did_not_keep_it(stage: Stage, owner: FlaskClient) -> None:
    sent = stage.ids(Message, state="accepted")[0]
    before = owner.get(f"{HERE}/messages/{sent}/mail").text
    with stage.work() as session:
        session.delete(session.scalars(select(CapturedMail).where(CapturedMail.message_pk == sent)).one())
    again = owner.get(f"{HERE}/messages/{sent}/mail").text
    assert re.sub(r"\s+", "", again) == re.sub(r"\s+", "", before)


def test_every_view_of_a_kept_mail_answers(owner: FlaskClient) -> None:
    for view, words in (
        ("html", "<iframe"), ("phone", "narrow"), ("text", "source-plain"), ("source", "MIME-Version: 1.0"),
        ("headers", "Message-ID"),
    ):  # fmt: skip
        assert words in owner.get(f"{HERE}/messages/outbox/1?view={view}").text, view


def test_a_simulated_bounce_counts_like_a_real_one(stage: Stage, owner: FlaskClient) -> None:
    with stage.work() as session:
        mail = session.scalars(
            select(CapturedMail)
            .join(Message, Message.id == CapturedMail.message_pk)
            .where(Message.contact_id.not_in(select(Message.contact_id).where(Message.bounced_at.is_not(None))))
            .order_by(CapturedMail.id)
        ).first()
        assert mail is not None
        held = len(session.scalars(select(Suppression)).all())
    form = {"csrf_token": token(owner, f"{HERE}/messages/outbox/{mail.id}"), "kind": "bounced"}
    answer = owner.post(f"{HERE}/messages/outbox/{mail.id}/simulate", data=form)
    assert answer.location == f"{HERE}/messages/{mail.message_pk}"
    assert "It came back" in owner.get(answer.location).text
    with stage.work() as session:
        assert len(session.scalars(select(Suppression)).all()) == held + 1


def test_only_what_a_provider_could_report_can_be_simulated(owner: FlaskClient) -> None:
    form = {"csrf_token": token(owner, f"{HERE}/messages/outbox/1"), "kind": "delivered"}
    assert owner.post(f"{HERE}/messages/outbox/1/simulate", data=form).status_code == 400


def test_words_of_a_guest_are_shown_never_run(stage: Stage, owner: FlaskClient) -> None:
    with stage.work() as session:
        message = session.scalars(select(Message).where(Message.state == "accepted")).first()
        assert message is not None
        message.subject = "<script>alert(1)</script>"
        number = message.id
    for address in (f"{HERE}/messages/{number}", f"{HERE}/messages"):
        text = owner.get(address).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text


def test_a_message_names_the_files_that_went_with_it(stage: Stage, owner: FlaskClient) -> None:
    sent = stage.ids(Message, state="accepted")[0]
    assert "Attached" not in owner.get(f"{HERE}/messages/{sent}").text
    file = (
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n<p>Ciao</p>\r\n'
        b'--x\r\nContent-Type: text/calendar\r\nContent-Disposition: attachment; filename="calendar.ics"\r\n'
        b"\r\n\r\n--x--\r\n"
    )
    with stage.work() as session:
        session.scalars(select(CapturedMail).where(CapturedMail.message_pk == sent)).one().raw = file
    assert "<dt>Attached</dt><dd>calendar.ics</dd>" in owner.get(f"{HERE}/messages/{sent}").text
