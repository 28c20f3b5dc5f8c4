"""What a workflow asks of the gate in place of the workspace's own: caps, hours, and several channels."""

from __future__ import annotations

from datetime import timedelta

from app.accounts.models import Workspace
from app.messages import compose
from app.messages.rows import load_rows
from tests.messages.mailroom import Mailroom


def test_r46_a_workflows_own_cap_lets_its_second_message_of_the_day_go(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(guest)
    first = mailroom.plan(guest)
    mailroom.gate()
    own = mailroom.plan(guest, terms={"caps": {"day": 2}})
    others = mailroom.plan(guest)
    mailroom.gate()
    assert [mailroom.message(one).state for one in (first, own, others)] == ["ready", "ready", "deferred"]


def test_r46_on_hit_drop_of_a_workflow_refuses_at_once(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(guest)
    mailroom.plan(guest)
    mailroom.gate()
    number = mailroom.plan(guest, terms={"caps": {"on_hit": "drop"}})
    mailroom.gate()
    assert (mailroom.message(number).state, mailroom.message(number).reason) == ("refused", "cap")


def test_r47_a_workflows_own_quiet_hours_bind_its_messages(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(guest)
    number = mailroom.plan(guest, terms={"quiet_hours": {"from": "09:00", "to": "18:00"}})
    mailroom.gate()
    waiting = mailroom.message(number)
    assert (waiting.reason, waiting.due_at) == ("quiet_hours", mailroom.now.replace(hour=17))


def test_terms_that_cannot_be_read_do_not_stop_the_line(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(guest)
    number = mailroom.plan(guest, terms={"caps": {"fortnight": 2}})
    mailroom.gate()
    assert mailroom.message(number).state == "ready"


def test_without_a_sender_for_sms_the_message_goes_by_mail_and_says_what_was_tried(mailroom: Mailroom) -> None:
    guest = mailroom.guest(phone="+393331234567")
    number = mailroom.plan(guest, "note", channel="sms", channels=("sms", "email"))
    mailroom.gate()
    message = mailroom.message(number)
    assert (message.state, message.channel) == ("ready", "email")
    (verdict,) = message.verdict
    assert verdict["checks"][0]["inputs"] == {"channel": "email", "tried": ["sms: no_sender"]}
    composed = compose.preview(mailroom.session, load_rows(mailroom.session, [number])[0], mailroom.now)
    assert isinstance(composed, compose.Composed)
    assert composed.envelope_to == guest.email


def test_where_no_channel_is_open_the_refusal_names_each(mailroom: Mailroom) -> None:
    guest = mailroom.guest(email=None, email_key=None, phone="+393331234567")
    number = mailroom.plan(guest, "note", channel="sms", channels=("sms", "whatsapp", "email"))
    mailroom.gate()
    message = mailroom.message(number)
    assert (message.state, message.reason) == ("refused", "no_channel")
    tried = message.verdict[0]["checks"][0]["inputs"]["tried"]
    assert tried == ["sms: no_sender", "whatsapp: no_sender", "email: no_address"]


def test_a_message_for_sms_alone_is_refused_and_never_mailed_instead(mailroom: Mailroom) -> None:
    number = mailroom.plan(mailroom.guest(phone="+393331234567"), "note", channel="sms")
    mailroom.gate()
    assert (mailroom.message(number).state, mailroom.message(number).reason) == ("refused", "no_sender")


def test_r46_a_newsletter_promised_once_a_month_waits_for_its_month_and_is_dropped(mailroom: Mailroom) -> None:
    mailroom.session.get_one(Workspace, mailroom.workspace_id).settings = {
        "caps": {"day": 9, "week": 9, "month": 9, "topics": {"newsletter": {"month": 1}}}
    }
    guest = mailroom.guest()
    mailroom.say(guest, topic="newsletter")
    mailroom.plan(guest, topic="newsletter")
    mailroom.gate()
    mailroom.clock.advance(timedelta(days=10))
    second = mailroom.plan(guest, topic="newsletter")
    mailroom.gate()
    assert (mailroom.message(second).state, mailroom.message(second).reason) == ("refused", "cap")
