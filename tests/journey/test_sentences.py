"""What the cards of the flow say."""

from __future__ import annotations

import pytest

from app.journey.flow import flow
from app.journey.sentences import describe
from tests.journey.kit import program


@pytest.mark.parametrize(
    ("step", "english", "italian"),
    [
        (
            'wait: { until: booking.arrival, offset: -1 day, at: "16:00", late: go_on }',
            "Wait until 16:00, 1 day before arrival, hotel's time",
            "Attendi fino alle 16:00, 1 giorno prima dell'arrivo, ora dell'hotel",
        ),
        (
            'wait: { until: booking.departure, offset: 3 days, at: "11:00", zone: contact, late: go_on }',
            "Wait until 11:00, 3 days after departure, guest's time",
            "Attendi fino alle 11:00, 3 giorni dopo la partenza, ora dell'ospite",
        ),
        (
            'wait: { until: booking.arrival, at: "09:00", late: go_on }',
            "Wait until 09:00 on the day of arrival, hotel's time",
            "Attendi fino alle 09:00 del giorno dell'arrivo, ora dell'hotel",
        ),
        ("wait: 90 minutes", "Wait 1 hour 30 minutes", "Attendi 1 ora 30 minuti"),
        (
            'wait: { until: "10:00", weekdays: [tuesday, thursday] }',
            "Wait until 10:00 on Tuesday or Thursday, hotel's time",
            "Attendi fino alle 10:00 di martedì o giovedì, ora dell'hotel",
        ),
        (
            "wait_for: { on: booking.checked_in, up_to: 2 days }",
            "Wait until the guest checks in, at most 2 days",
            "Attendi fino a quando l'ospite fa il check-in, al massimo 2 giorni",
        ),
        (
            'send: x\n    latest: { until: booking.arrival, at: "18:00" }',
            "Send x, never later than 18:00 on the day of arrival, hotel's time",
            "Invia x, mai dopo le 18:00 del giorno dell'arrivo, ora dell'hotel",
        ),
        (
            "send: x\n    attachments: [ calendar, house-rules.pdf ]",
            "Send x, with the stay as a calendar file and house-rules.pdf",
            "Invia x, con il soggiorno come file di calendario e house-rules.pdf",
        ),
        ("send: x\n    sender: Spa@lago.example", "Send x from spa@lago.example", "Invia x da spa@lago.example"),
        (
            "task: { to: front_desk, text: { en: Call, it: Chiamare } }",
            "Task for front_desk: Call",
            "Compito per front_desk: Chiamare",
        ),
        ("exit: enough", "Leave the workflow: enough", "Esci dal percorso: enough"),
    ],
)
def test_a_step_says_in_one_sentence_what_it_does(step: str, english: str, italian: str) -> None:
    op = program(f"  - id: a\n    {step}").ops[0]
    assert (describe(op, "en"), describe(op, "it")) == (english, italian)


def test_ways_stand_side_by_side_under_their_card() -> None:
    steps = """\
  - id: channel
    branch:
      - if: { any: [ booking.channel == direct, booking.nights >= 3 ] }
        steps: [ { id: a, send: x }, { id: b, send: y } ]
      - else: true
  - { id: c, send: z }"""
    branch, after = flow(program(steps))
    assert [(way.kind, way.sentence["en"], [card.id for card in way.cards]) for way in branch.ways] == [
        ("case", "If booking channel is direct or nights is at least 3", ["a", "b"]),
        ("else", "Otherwise", []),
    ]
    assert (after.id, after.details["template"]) == ("c", "z")
