"""What each step and block is refused for: at its place, with what to write instead."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.journey.known import Known, TemplateInfo
from app.journey.language import read
from app.journey.model_steps import Send
from tests.journey.kit import EVENTS, FIELDS, TEMPLATES, WORLD, workflow_text
from tests.journey.test_language import of_steps, problems

KNOWN = Known(
    EVENTS,
    FIELDS,
    topics=("offers",),
    segments=("vip", "families"),
    workflows=("survey", "win-back"),
    endpoints=("crm", "partner"),
    sharing=("partner",),
    senders=("spa@lago.example",),
)
SEND = "{ id: s, send: x }"


def codes(steps: str, *, head: str = "") -> list[tuple[str, str]]:
    return [(code, cure) for _, _, code, cure in of_steps(steps, head=head, known=KNOWN)]


@pytest.mark.parametrize(
    ("step", "code", "cure"),
    [
        # split
        (
            "{ id: a, split: [ { variant: x, weight: 50 }, { variant: y, weight: 40 } ] }",
            "weights",
            "write 55, 45",
        ),
        ("{ id: a, split: [ { variant: x, weight: 100 } ] }", "empty", "add at least 2"),
        (
            "{ id: a, split: [ { variant: x, weight: 50 }, { variant: x, weight: 50 } ] }",
            "double-variant",
            "every variant",
        ),
        (
            "{ id: a, split: [ { variant: x, weight: 50 }, { variant: y, weight: 50 } ], winner: { by: goal } }",
            "no-goal",
            "add goal:",
        ),
        (
            "{ id: a, split: [ { variant: x, weight: 50 }, { variant: y, weight: 50 } ], winner: { by: clik } }",
            "wrong-value",
            "did you mean click?",
        ),
        (
            "{ id: a, split: [ { variant: x, weight: 50 }, { variant: y, weight: 50 } ], winner: { by: click } }",
            "no-send",
            "write by: goal",
        ),
        # repeat
        ("{ id: a, repeat: { every: 1 day, steps: [ " + SEND + " ] } }", "missing", "add max:"),
        ("{ id: a, repeat: { max: 3, steps: [ " + SEND + " ] } }", "burst", "add every: 3 days"),
        ("{ id: a, repeat: { max: 3, every: -1 day, steps: [ " + SEND + " ] } }", "wait", "write a time"),
        (
            "{ id: a, repeat: { max: 3, every: 1 day, until: clicked s, steps: [ " + SEND + " ] } }",
            "no-unknown",
            "add unknown: go_on or stop",
        ),
        (
            "{ id: a, repeat: { max: 3, every: 1 day, steps: [ { id: b, exit: x } ] } }",
            "unreachable",
            "remove the exit",
        ),
        ("{ id: a, repeat: { max: 900, every: 1 day, steps: [ " + SEND + " ] } }", "wrong-value", ""),
        # sends
        ("{ id: a, send: x, sender: sap@lago.example }", "unknown-sender", "did you mean spa@lago.example?"),
        ("{ id: a, send: x, sender: spa@lago.example, channels: sms }", "no-mail", "add email to channels:"),
        ("{ id: a, send: x, attachments: [ calendar, calendar ] }", "double", "remove one of them"),
        # beyond the workflow
        ("{ id: a, emit: booking.cancelled }", "reserved", "report an event of your own, such as custom.a"),
        ("{ id: a, emit: upsell.purchasd }", "unknown-event", "did you mean upsell.purchased?"),
        ("{ id: a, webhook: cmr }", "unknown-endpoint", "did you mean crm?"),
        ("{ id: a, webhook: partner }", "sharing", "add shares: true"),
        (
            "{ id: a, webhook: { endpoint: crm, data: { n: { from: booking.nigths } } } }",
            "unknown-field",
            "did you mean booking.nights?",
        ),
        ("{ id: a, start: survei }", "unknown-workflow", "did you mean survey?"),
        ("{ id: a, start: under-test }", "itself", "a workflow cannot start itself"),
        ("{ id: a, start: { workflow: survey, await: true } }", "endless", "add up_to: 30 days"),
        ("{ id: a, start: survey, then: [ " + SEND + " ] }", "start", "add await: true"),
        ("{ id: a, stop: under-test }", "itself", "a passage ends itself with exit:"),
        # moments
        ("{ id: a, wait: { for: 2 hours, at: '10:00' } }", "wait", "write days, or remove at"),
        ("{ id: a, skip: 1 }", "unknown-step-kind", "one of: send, wait"),
        (
            "{ id: a, wait_for: { on: booking.checked_in, up_to: 1 day, since: later } }",
            "unknown-step",
            "entry, step",
        ),
        # later
        ("{ id: a, offer: welcome }", "not-yet", "one of: send"),
        ("{ id: a, survey: after-stay }", "not-yet", "one of: send"),
    ],
)
def test_a_step_is_refused_with_its_cure(step: str, code: str, cure: str) -> None:
    found = codes(f"  - {step}")
    assert found[0][0] == code, found
    assert found[0][1].startswith(cure), found


@pytest.mark.parametrize(
    ("entry", "code", "cure"),
    [
        ("{ on: segment.entered }", "no-segment", "add segment:"),
        ("{ on: segment.entered, segment: vp }", "unknown-segment", "did you mean vip?"),
        ("{ on: schedule, segment: vip }", "missing", "add rrule:"),
        ("{ on: schedule, segment: vip, rrule: FREQ=WEKLY }", "wrong-value", ""),
        ("{ on: schedule, segment: vip, rrule: FREQ=WEEKLY;INTERVAL=2;BYDAY=MO }", "missing", "add starts:"),
        ("{ on: schedule, segment: vip, rrule: FREQ=WEEKLY }", "missing", "add starts:"),
        ("{ on: date }", "missing", "add ref:"),
        ("{ on: date, ref: booking.arival }", "unknown-field", "did you mean booking.arrival?"),
        ("{ on: date, ref: booking.nights }", "wrong-type", ""),
        ("{ on: date, ref: event.day }", "wrong-type", "for example booking.arrival"),
        ("{ on: manual, segment: vip }", "entry", "remove segment"),
        ("{ on: booking.confirmed, rrule: FREQ=DAILY }", "entry", "remove rrule"),
        ("{ on: custom., if: event.x == 1 }", "unknown-event", "one of: booking.abandoned"),
    ],
)
def test_a_way_in_is_refused_with_its_cure(entry: str, code: str, cure: str) -> None:
    text = workflow_text(f"  - {SEND}").replace("  - on: booking.confirmed\nkey: booking.reference\n", f"  - {entry}\n")
    found = [(one[2], one[3]) for one in problems(text, KNOWN)]
    assert found[0][0] == code, found
    assert found[0][1].startswith(cure), found


@pytest.mark.parametrize(
    "entry",
    [
        "{ on: segment.left, segment: vip, if: event.segment == vip }",
        "{ on: date, ref: contact.attributes.birthday, at: '09:00', recur: yearly }",
        "{ on: date, ref: booking.arrival, offset: -2 business days, at: '09:00' }",
        "{ on: schedule, rrule: FREQ=WEEKLY;BYDAY=MO, at: '10:00', segment: families }",
        "{ on: manual }",
        "{ on: api, if: event.reason == birthday }",
        "{ on: custom.became_regular, if: event.anything >= 3 }",
        "{ on: consent.granted, topic: offers }",
    ],
)
def test_every_way_in_reads(entry: str) -> None:
    text = workflow_text(f"  - {SEND}").replace("  - on: booking.confirmed\nkey: booking.reference\n", f"  - {entry}\n")
    assert read(text, file="t.yaml", known=KNOWN).entry[0].on


@pytest.mark.parametrize("entry", ["{ on: segment.entered, segment: vip }", "{ on: date, ref: contact.created_at }"])
def test_who_comes_in_without_a_booking_cannot_be_kept_by_booking(entry: str) -> None:
    text = workflow_text(f"  - {SEND}").replace("  - on: booking.confirmed\n", f"  - {entry}\n")
    assert [one[2] for one in problems(text, KNOWN)] == ["no-key"]


def test_a_template_that_needs_a_booking_is_refused_where_a_segment_brings_none() -> None:
    text = workflow_text("  - { id: a, send: booking-confirmation }")
    text = text.replace(
        "  - on: booking.confirmed\nkey: booking.reference\n", "  - { on: segment.left, segment: vip }\n"
    )
    known = replace(KNOWN, templates=TEMPLATES)
    assert [one[2] for one in problems(text, known)] == ["missing-field"]


@pytest.mark.parametrize(
    ("head", "code", "cure"),
    [
        ("holdout: 10%\n", "holdout", "move it to a workflow without"),
        ("holdout: 99%\n", "wrong-value", ""),
        ("caps: {}\n", "empty", "add day:"),
        ("caps: { day: 3, week: 1 }\n", "caps", "write 1 or less"),
        ("caps: { dya: 1 }\n", "unknown-key", "did you mean day?"),
        ('quiet_hours: { from: "21:00" }\n', "missing", "add to:"),
        ("limits: { max_step: 3 }\n", "unknown-key", "did you mean max_steps?"),
        ("limits: { max_duration: -3 days }\n", "wait", "write a time"),
        ("tracking: maybe\n", "wrong-type", ""),
        ("reenter: { after: -3 days }\n", "wait", "write a time"),
    ],
)
def test_a_block_is_refused_with_its_cure(head: str, code: str, cure: str) -> None:
    found = codes(f"  - {SEND}", head=head)
    assert found[0][0] == code, found
    assert found[0][1].startswith(cure), found


def test_a_condition_on_clicks_that_nobody_follows_is_told() -> None:
    steps = f"  - {SEND}\n  - {{ id: b, branch: [ {{ if: clicked s, steps: [] }}, {{ unknown: true, steps: [] }} ] }}"
    assert [code for code, _ in codes(steps, head="tracking: false\n")] == ["never-known"]


def test_more_steps_than_a_passage_may_take_are_told() -> None:
    inner = f"{{ id: c, repeat: {{ max: 300, every: 1 hour, steps: [ {SEND} ] }} }}"
    steps = f"  - {{ id: a, repeat: {{ max: 300, every: 1 day, steps: [ {inner} ] }} }}"
    assert [code for code, _ in codes(steps)] == ["endless"]


# --- R40 and R43 where there are rounds and exits ---

LATEST = "latest: { until: booking.departure, offset: 25 days }"
INVITE = f"{{ id: invite, send: review-invitation, class: feedback, {LATEST} }}"


def test_nobody_is_left_out_of_an_invitation_by_a_score_through_the_back_door() -> None:
    asked = "{ on: survey.answered, up_to: 3 days, if: event.score >= 9, of: contact }"
    gate = f"  - {{ id: asked, wait_for: {asked}, timeout: [ {{ id: out, exit: unhappy }} ] }}\n  - {INVITE}"
    assert "review-score" in [one[2] for one in of_steps(gate)]
    passing = f"  - {{ id: asked, wait_for: {asked}, timeout: [ {{ id: t, wait: 1 day }} ] }}\n  - {INVITE}"
    read(workflow_text(passing), file="t.yaml", known=WORLD)
    leaving = "exit: [ { on: survey.answered, if: event.score < 6, of: contact } ]\n"
    assert "review-score" in [one[2] for one in of_steps(f"  - {INVITE}", head=leaving)]


@pytest.mark.parametrize(("most", "told"), [(2, []), (3, ["review-reminders"])])
def test_rounds_of_invitations_count_as_reminders(most: int, told: list[str]) -> None:
    steps = f"  - {{ id: a, repeat: {{ max: {most}, every: 7 days, steps: [ {INVITE} ] }} }}"
    text = workflow_text(steps)
    if told:
        assert [one[2] for one in problems(text, WORLD)] == told
    else:
        read(text, file="t.yaml", known=WORLD)


NOTE = replace(WORLD, templates={"note": TemplateInfo("note", files=("house-rules.pdf",))})
"""A template that was published with one file."""


def attaching(names: str, entry: str = "booking.confirmed") -> str:
    text = workflow_text(f"  - {{ id: a, send: note, attachments: [ {names} ] }}")
    return text.replace("on: booking.confirmed", f"on: {entry}")


def attached(names: str, entry: str = "booking.confirmed") -> list[tuple[str, str]]:
    """The problems of a mail with these attachments."""
    return [(code, cure) for _, _, code, cure in problems(attaching(names, entry), NOTE)]


def test_the_stay_and_the_templates_own_files_go_with_a_mail() -> None:
    (step,) = read(attaching("calendar, house-rules.pdf"), file="test.yaml", known=NOTE).steps
    assert isinstance(step, Send)
    assert step.attachments == ["calendar", "house-rules.pdf"]


def test_a_file_that_the_template_was_not_published_with_is_refused_with_the_nearest_name() -> None:
    assert attached("hose-rules.pdf") == [("unknown-file", "did you mean house-rules.pdf?")]
    assert attached("calender") == [("unknown-file", "did you mean calendar?")]
    put = "put it into email_templates/note/files/ and publish the template"
    assert attached("menu-of-the-spa.png") == [("unknown-file", put)]


def test_the_calendar_needs_a_booking_on_every_way_in() -> None:
    assert ("missing-field", "remove calendar, or the way in") in attached("calendar", "survey.answered")
