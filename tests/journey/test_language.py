"""A document that is wrong is answered with its line, its column and what to write instead."""

from __future__ import annotations

import pytest

from app.journey.known import EventShape, Known, TemplateInfo
from app.journey.language import LanguageError, Workflow, load, read
from tests.journey.kit import EVENTS, FIELDS, TEMPLATES, WORLD, workflow_text

DESIGN = """\
workflow: pre-arrival
name: { en: Pre-arrival updates, it: Aggiornamenti prima dell'arrivo }
phase: retention
class: transactional           # what its messages are, unless a step says otherwise
goal: { on: upsell.purchased, within: 14 days, value: event.amount }
entry:
  - on: booking.confirmed
    if: [ booking.nights >= 1, booking.arrival > now ]
key: booking.reference         # one enrollment per booking
reenter: never                 # never | always | { after: 30 days, max: 3 }
follow: booking                # a changed booking moves every pending wait bound to it
exit:
  - on: booking.cancelled
  - if: [ booking.departure < now ]
priority: 80                   # who wins under a cap
steps:
  - id: confirm
    send: booking-confirmation
  - id: week-before
    wait: { until: booking.arrival, offset: -7 days, at: "10:00", zone: property, late: skip_next }
  - id: upsell
    send: room-upgrade
    class: marketing
    topic: offers
  - id: eve
    wait: { until: booking.arrival, offset: -1 day, at: "16:00", zone: property, late: go_on }
  - id: channel
    branch:
      - if: [ booking.channel == direct ]
        steps: [ { id: eve-direct, send: pre-arrival-direct } ]
      - else: true
        steps: [ { id: eve-ota, send: pre-arrival-ota } ]
  - id: arrived
    wait_for: { on: booking.checked_in, up_to: 2 days }
    then:    [ { id: welcome, send: in-stay-welcome } ]
    timeout: [ { id: desk, task: { to: front_desk, text: { en: Call the guest, it: Chiamare l'ospite } } } ]
"""


def problems(text: str, known: Known = WORLD) -> list[tuple[int, int, str, str]]:
    """(line, column, code, cure) of everything wrong with a document."""
    with pytest.raises(LanguageError) as caught:
        read(text, file="test.yaml", known=known)
    return [(one.line, one.column, one.code, one.cure) for one in caught.value.problems]


def of_steps(steps: str, *, head: str = "", known: Known = WORLD) -> list[tuple[int, int, str, str]]:
    """The same for a smallest workflow; its first step stands on line 9 (below `head`)."""
    return problems(workflow_text(steps, head=head), known)


def test_the_example_of_the_design_reads() -> None:
    workflow = read(DESIGN, file="pre-arrival.yaml", known=Known(EVENTS, FIELDS, None, ("offers",)))
    assert isinstance(workflow, Workflow)
    assert [step.id for step in workflow.steps] == ["confirm", "week-before", "upsell", "eve", "channel", "arrived"]


def test_a_problem_is_one_line_that_an_editor_can_jump_to() -> None:
    with pytest.raises(LanguageError) as caught:
        read(DESIGN.replace("booking.nights", "booking.nigths"), file="a.yaml", known=Known(EVENTS, FIELDS))
    assert str(caught.value) == (
        "a.yaml:8:11: there is no field booking.nigths (did you mean booking.nights?) [unknown-field]"
    )
    assert caught.value.problems[0].path == "entry[1].if[1]"


def test_all_problems_are_told_in_the_order_of_the_file() -> None:
    text = DESIGN.replace("booking.nights", "booking.nigths").replace("id: upsell", "id: confirm")
    told = problems(text, Known(EVENTS, FIELDS, None, ("offers",)))
    assert [(line, code) for line, _, code, _ in told] == [(8, "unknown-field"), (21, "double-id")]


# --- names ---


@pytest.mark.parametrize(
    ("old", "new", "at", "code", "cure"),
    [
        (
            "on: booking.confirmed",
            "on: booking.confirmd",
            "booking.confirmd",
            "unknown-event",
            "did you mean booking.confirmed?",
        ),
        (
            "key: booking.reference",
            "key: booking.refrence",
            "booking.refrence",
            "unknown-field",
            "did you mean booking.reference?",
        ),
        ("priority: 80", "priorty: 80", "priorty", "unknown-key", "did you mean priority?"),
        ("phase: retention", "phase: retentions", "retentions", "wrong-value", "did you mean retention?"),
        ("topic: offers", "topic: ofers", "ofers", "unknown-topic", "did you mean offers?"),
        ("late: skip_next", "late: skip-next", "skip-next", "wrong-value", "did you mean skip_next?"),
        (
            "zone: property, late: go",
            "zone: Europe/Roma, late: go",
            "Europe/Roma",
            "unknown-zone",
            "property, contact, ",
        ),
        (
            "booking.arrival, offset: -1",
            "booking.arival, offset: -1",
            "booking.arival",
            "unknown-field",
            "did you mean booking.arrival?",
        ),
        ("offset: -1 day", "offset: one day", "one day", "wrong-value", ""),
        ('at: "16:00"', 'at: "25:00"', '"25:00"', "wrong-value", ""),
        ("id: upsell", "id: Up Sell", "Up Sell", "wrong-name", "small letters, digits and single dashes"),
        ("value: event.amount", "value: event.amont", "event.amont", "unknown-field", "did you mean event.amount?"),
        ("priority: 80", "priority: high", "high", "wrong-type", ""),
        ("follow: booking", "follow: order", "order", "wrong-value", "one of: booking"),
        ("    send: booking-conf", "    sned: booking-conf", "sned", "unknown-step-kind", "did you mean send?"),
        ("    send: booking-confirmation", "    survey: []", "survey", "not-yet", "one of: send, wait"),
        (
            "    send: booking-confirmation",
            "    send: a\n    wait: 1 day",
            "wait: 1 day",
            "two-in-one",
            "make wait a step",
        ),
        (
            "  - id: confirm\n    send: booking",
            "  - send: booking",
            "send: booking-confirmation",
            "missing",
            "add id: a-short-name",
        ),
        (
            "    send: room-upgrade\n",
            "    send: a\n    chanels: [email]\n",
            "chanels",
            "unknown-key",
            "did you mean channels?",
        ),
        ("    send: room-upgrade\n", "    send: 7\n", "7\n", "wrong-type", 'write it in quotes: "7"'),
        (
            "booking.channel == direct",
            "booking.chanel == direct",
            "booking.chanel",
            "unknown-field",
            "did you mean booking.channel?",
        ),
        ("booking.channel == direct", "booking.channel = direct", "= direct", "condition", "write == for equal"),
        ("booking.nights >= 1", "booking.nights >= one", "one, booking", "wrong-type", "write a number"),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_one_at_its_place(
    old: str, new: str, at: str, code: str, cure: str
) -> None:
    assert old in DESIGN
    text = DESIGN.replace(old, new, 1)
    before = text[: text.index(at)]
    place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
    ((line, column, told, how),) = problems(text, Known(EVENTS, FIELDS, None, ("offers",)))
    assert (line, column, told, how[: len(cure)]) == (*place, code, cure)


def test_an_unknown_template_is_answered_with_the_nearest() -> None:
    assert of_steps("  - { id: a, send: booking-confirmatoin }") == [
        (9, 20, "unknown-template", "did you mean booking-confirmation?")
    ]


def test_templates_nobody_listed_are_taken_as_they_are() -> None:
    text = workflow_text("  - { id: a, send: whatever }")
    assert read(text, file="t.yaml", known=Known(EVENTS, FIELDS)).workflow == "under-test"


# --- meaning ---


@pytest.mark.parametrize(
    ("step", "at", "code"),
    [
        ("{ id: a, send: room-upgrade, class: marketing }", "{", "no-topic"),
        ("{ id: a, send: room-upgrade }", "room-upgrade", "wrong-class"),
        ("{ id: a, send: room-upgrade, class: marketing, topic: newsletter }", "newsletter", "wrong-topic"),
        ("{ id: a, send: extra-thanks }", "extra-thanks", "missing-field"),
        ("{ id: a, wait: { until: booking.arrival } }", "{ until", "no-late"),
        ("{ id: a, wait: { until: booking.nights, late: exit } }", "booking.nights", "wrong-type"),
        ("{ id: a, wait: { until: booking.arrival, late: skip_next } }", "skip_next", "nothing-to-skip"),
        ("{ id: a, wait: { until: '10:00', late: exit } }", "late", "wait"),
        ("{ id: a, wait: { until: tuesday } }", "{ until", "wait"),
        ("{ id: a, wait: { for: 1 day, until: tuesday } }", "{ for", "wait"),
        ("{ id: a, wait: { for: -1 day } }", "-1 day", "wait"),
        ("{ id: a, wait: { for: 1 day, weekdays: monday } }", "weekdays", "wait"),
        ("{ id: a, wait: { until: booking.arrival, offset: -3 hours, late: exit } }", "-3 hours", "wait"),
        ("{ id: a, wait_for: { on: booking.checked_in } }", "{ on", "endless"),
        ("{ id: a, wait_for: { up_to: 2 days } }", "{ up_to", "empty-wait"),
        ("{ id: a, wait_for: { on: booking.checkedin, up_to: 2 days } }", "booking.checkedin", "unknown-event"),
        ("{ id: a, branch: [ { else: true } ] }", "[ {", "branch"),
        ("{ id: a, branch: [ { if: [] } ] }", "{ if", "branch"),
        ("{ id: a, branch: [ { if: booking.nights > 1, else: true } ] }", "{ if", "branch"),
        ("{ id: a, branch: [ { else: true }, { if: booking.nights > 1 } ] }", "{ if", "unreachable"),
        ("{ id: a, branch: [ { if: [ 'booking.nights > 1', { some: [] } ] } ] }", "[]", "condition"),
        ("{ id: a, branch: [ { if: { any: [ 'booking.nights > 1', 'booking.nights > x' ] } } ] }", "x'", "wrong-type"),
        ("{ id: a, set: {} }", "{}", "empty"),
        ("{ id: a, set: { booking.status: paid } }", "booking.status", "read-only"),
        ("{ id: a, set: { contact.email: x } }", "contact.email", "read-only"),
    ],
)
def test_what_could_not_run_is_refused_at_its_place(step: str, at: str, code: str) -> None:
    steps = f"  - {step}"
    assert [one[:3] for one in of_steps(steps)] == [(9, steps.index(at) + 1, code)]


def test_a_step_behind_an_exit_is_told() -> None:
    steps = "  - { id: a, exit: done }\n  - { id: b, wait: 1 day }"
    assert [one[:3] for one in of_steps(steps)] == [(10, 5, "unreachable")]


def test_a_branch_on_clicks_needs_a_way_for_those_who_are_not_tracked() -> None:
    steps = "  - { id: a, send: pre-arrival-direct }\n  - id: b\n    branch: [ { if: clicked a } ]"
    assert [one[:3] for one in of_steps(steps)] == [(11, 13, "no-unknown")]
    with_way = steps.replace("clicked a }", "clicked a }, { unknown: true }")
    assert len(read(workflow_text(with_way), file="t.yaml", known=WORLD).steps) == 2


def test_a_click_on_a_step_that_sends_nothing_is_told() -> None:
    steps = """\
  - { id: upsell, send: pre-arrival-direct }
  - id: b
    branch: [ { if: clicked upsel }, { unknown: true } ]"""
    assert of_steps(steps) == [(11, 29, "unknown-step", "did you mean upsell?")]


def test_a_way_that_leaves_on_every_side_is_the_end() -> None:
    steps = """\
  - id: a
    branch:
      - if: booking.nights > 1
        steps: [ { id: b, exit: long } ]
      - else: true
        steps: [ { id: c, exit: short } ]
  - { id: d, wait: 1 day }"""
    assert [one[:3] for one in of_steps(steps)] == [(15, 5, "unreachable")]


def test_every_way_in_brings_what_the_template_needs() -> None:
    head = "  - on: consent.granted\n"
    text = workflow_text("  - { id: a, send: booking-confirmation }").replace("key: ", head + "key: ")
    assert problems(text) == [(10, 20, "missing-field", "give the field a fallback in the template")]


def test_a_language_that_a_template_lacks_is_told() -> None:
    templates = {"half": TemplateInfo("half", languages=("en",))}
    known = Known(EVENTS, FIELDS, templates)
    told = of_steps("  - { id: a, send: half }", head="languages: [en, it]\n", known=known)
    assert [one[:3] for one in told] == [(10, 20, "no-language")]


def test_an_exit_needs_a_reason_to_happen() -> None:
    assert [one[:3] for one in of_steps("  - { id: a, wait: 1 day }", head="exit: [ { reason: x } ]\n")] == [
        (8, 9, "empty-exit")
    ]


# --- review requests: R40 to R43 ---

LATEST = "latest: { until: booking.departure, offset: 25 days }"
INVITE = f"{{ id: invite, send: review-invitation, class: feedback, {LATEST} }}"


def test_a_neutral_invitation_reads() -> None:
    assert len(read(workflow_text(f"  - {INVITE}"), file="t.yaml", known=WORLD).steps) == 1


def test_an_invitation_hangs_on_no_score() -> None:
    steps = f"  - id: b\n    branch: [ {{ if: contact.attributes.score >= 8, steps: [ {INVITE} ] }} ]"
    assert [one[2] for one in of_steps(steps)] == ["review-score"]


def test_no_score_at_the_door_either() -> None:
    text = workflow_text(f"  - {INVITE}").replace(
        "on: booking.confirmed", "on: survey.answered\n    if: event.score >= 9"
    )
    assert [one[2] for one in problems(text)] == ["review-score"]


def test_those_who_did_not_score_high_are_not_left_out_by_else() -> None:
    steps = f"  - id: b\n    branch: [ {{ if: contact.attributes.score < 8 }}, {{ else: true, steps: [ {INVITE} ] }} ]"
    assert [one[2] for one in of_steps(steps)] == ["review-score"]


def test_an_invitation_has_a_last_day() -> None:
    steps = f"  - {INVITE}"
    assert [one[2] for one in of_steps(steps.replace(LATEST, "topic: offers"))] == ["review-latest"]
    assert [one[2] for one in of_steps(steps.replace("25 days", "26 days"))] == ["review-latest"]


def test_no_offer_stands_beside_an_invitation() -> None:
    steps = f"  - {INVITE}\n  - {{ id: b, send: room-upgrade, class: marketing, topic: offers }}"
    assert [one[:3] for one in of_steps(steps)] == [(10, 20, "review-reward")]


def test_one_reminder_is_the_most() -> None:
    again = [INVITE.replace("invite", f"again-{n}").replace("invitation", "reminder") for n in range(3)]
    assert [one[2] for one in of_steps("\n".join(f"  - {one}" for one in again))] == ["review-reminders"]


# --- YAML ---


@pytest.mark.parametrize(
    ("text", "line", "column", "code"),
    [
        ("workflow: a\nname: [", 2, 8, "yaml"),
        ("workflow: a\nworkflow: b\n", 2, 1, "yaml"),
        ("- a\n", 1, 1, "wrong-type"),
        ("", 1, 1, "wrong-type"),
        ("a: &x 1\nb: *x\n", 2, 4, "alias"),
        ("if: [ contact.language in [it, de] ]\n", 1, 27, "yaml"),
    ],
)
def test_what_is_no_document_says_where(text: str, line: int, column: int, code: str) -> None:
    assert [one[:3] for one in problems(text)] == [(line, column, code)]


def test_a_condition_with_a_list_wants_quotes_inside_a_list() -> None:
    ((_, _, _, cure),) = problems("if: [ contact.language in [it, de] ]\n")
    assert cure.startswith("put the whole condition in quotes")


def test_a_huge_file_is_refused_unread() -> None:
    assert [one[2] for one in problems("#" * 300_000)] == ["too-large"]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        "a: " + "{a: " * 3000 + "1" + "}" * 3000,
        workflow_text("  - {id: a, branch: [{if: " + "{any: [" * 400 + "'x.y == 1'" + "]}" * 400 + "}]}"),
    ],
    ids=["lists", "mappings", "conditions"],
)
def test_a_bottomless_file_is_refused(text: str) -> None:
    assert [one[2] for one in problems(text)] == ["too-deep"]


def test_no_stays_a_word() -> None:
    text = workflow_text("  - id: a\n    branch: [ { if: contact.country == NO } ]")
    step = read(text, file="t.yaml", known=WORLD).steps[0]
    assert "NO" in str(step)


def test_comments_and_order_are_kept_for_edits() -> None:
    assert "# what its messages are" in str(load(DESIGN, "a.yaml").ca)


def test_an_event_with_open_data_takes_any_field() -> None:
    events = {"x.happened": EventShape("x.happened", open=True), **EVENTS}
    text = workflow_text("  - { id: a, wait: 1 day }").replace(
        "on: booking.confirmed", "on: x.happened\n    if: event.any == 1"
    )
    assert read(text, file="t.yaml", known=Known(events, FIELDS, TEMPLATES)).entry[0].on == "x.happened"
