"""2,000 events over HTTP become 2,000 mails at the mail server: event → journey → gate → compose → SMTP.

Value: mails a second from the first byte of the first request to the last mail at the sink, with the web server, two
workers and the timer running. Limit: the same mails, made before, by the standard library's smtplib on one connection.
"""

from __future__ import annotations

import json
import smtplib
import statistics
import time
from collections.abc import Sequence

from sqlalchemy import select

from app.delivery.mime import Mail, Mailbox, assemble
from app.messages import compose
from app.messages.models import Message
from bench.ground import Ground, Measured

EVENTS = 2000
BATCH = 500
WARM = 200
RUNS = 3
PATIENCE = 120

WORKFLOW = """workflow: bench
name: { en: Confirmation, it: Conferma }
phase: retention
class: transactional
entry:
  - on: booking.confirmed
key: booking.reference
reenter: never
steps:
  - id: confirm
    send: confirmation
"""
_WORDS = "Vi aspettiamo sul lago con le camere pronte dalle quindici e la colazione sulla terrazza."
TEMPLATE = {
    "confirmation/template.yaml": """template: confirmation
name: {en: Confirmation, it: Conferma}
description: {en: For measuring, it: Per misurare}
phase: retention
class: transactional
layout: none
fields:
  contact.first_name: {type: text, sample: Anna}
  booking.reference: {type: text, sample: R1}
  booking.arrival: {type: date, sample: 2026-11-22}
""",
    "confirmation/body.mjml": """<mjml><mj-body><mj-raw>
<p>{{ t.hello }} {{ contact.first_name }}, {{ booking.reference }}, {{ booking.arrival|date_long }}</p>
<p>{{ t.words }}</p><p><a href="https://verbano.example/{{ booking.reference }}">{{ t.see }}</a></p>
</mj-raw></mj-body></mjml>""",
    "confirmation/texts.it.yaml": f"""subject: "{{{{ contact.first_name }}}}, prenotazione {{{{ booking.reference }}}}"
preheader: Confermata
hello: Buongiorno
words: {json.dumps(_WORDS, ensure_ascii=False)}
see: La prenotazione
""",
    "confirmation/texts.en.yaml": f"""subject: "{{{{ contact.first_name }}}}, booking {{{{ booking.reference }}}}"
preheader: Confirmed
hello: Dear
words: {json.dumps(_WORDS, ensure_ascii=False)}
see: Your booking
""",
}


def bodies(run: str, number: int, ground: Ground) -> list[bytes]:
    """Requests of `BATCH` events each, every one another person with another booking."""
    now = ground.house.clock.now().isoformat()
    events = [
        {
            "id": f"{run}-{n}",
            "type": "booking.confirmed",
            "occurred_at": now,
            "contact": {
                "external_id": f"{run}-{n}",
                "email": f"guest.{run}.{n}@example.com",
                "first_name": f"Ospite {n}",
                "language": "it",
            },
            "data": {
                "booking": {
                    "reference": f"{run}-{n}",
                    "arrival": "2027-05-14",
                    "departure": "2027-05-17",
                    "adults": 2,
                    "amount": 54000 + n,
                    "currency": "EUR",
                    "channel": "direct",
                }
            },
        }
        for n in range(number)
    ]
    return [json.dumps({"events": events[at : at + BATCH]}).encode() for at in range(0, number, BATCH)]


def journey(run: str, number: int, ground: Ground) -> float:
    """Seconds from the first byte posted to the last mail at the sink."""
    requests = bodies(run, number, ground)
    wanted = ground.sink.different() + number
    began = time.perf_counter()
    ground.post(requests)
    while ground.sink.different() < wanted:
        if time.perf_counter() - began > PATIENCE:
            raise RuntimeError(f"Only {ground.sink.different()} of {wanted} mails arrived in {PATIENCE} s.")
        time.sleep(0.005)
    return time.perf_counter() - began


def mails(ground: Ground, number: int) -> list[tuple[str, bytes]]:
    """Recipient and bytes of mails that were sent, made once more."""
    now = ground.house.clock.now()
    made = []
    with ground.house.database.work(ground.workspace_id) as session:
        rows = session.scalars(select(Message).order_by(Message.id.desc()).limit(number)).all()
        for row in rows:
            one = compose.again(session, row)
            mail = Mail(
                sender=Mailbox(one.sender_name, one.sender_email),
                recipient=Mailbox(one.recipient_name, one.envelope_to),
                subject=one.subject,
                text=one.text,
                html=one.html,
                message_id=one.message_id.replace("<", "<raw."),
                date=now,
                headers=one.headers,
            )
            made.append((one.envelope_to, assemble(mail)))
    return made


def bare(sent: Sequence[tuple[str, bytes]], ground: Ground) -> float:
    """Seconds that smtplib takes for these mails on one connection."""
    with smtplib.SMTP("127.0.0.1", ground.sink.port) as client:
        began = time.perf_counter()
        for recipient, raw in sent:
            client.sendmail("ciao@verbano.example", [recipient], raw)
        return time.perf_counter() - began


def measure(ground: Ground) -> Measured:
    """Medians of `RUNS` runs, the bare ones in between."""
    ours, limits, size = [], [], 0
    with ground.running("web", "work", "work", "timer"):
        journey("warm", WARM, ground)
        for run in range(RUNS):
            ours.append(EVENTS / journey(f"r{run}", EVENTS, ground))
            sent = mails(ground, EVENTS)
            size = sum(len(raw) for _, raw in sent) // len(sent)
            limits.append(EVENTS / bare(sent, ground))
    print(
        f"journey_2000: mails of {size} bytes, all different; {RUNS} runs: "
        f"{', '.join(f'{one:,.0f}/s' for one in ours)}; bare: {', '.join(f'{one:,.0f}/s' for one in limits)}"
    )
    return Measured.against("journey_2000", statistics.median(ours), "mails/s", statistics.median(limits), 0.5)
