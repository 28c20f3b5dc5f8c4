"""A mail sent to a member of the team to look at: marked in its subject, no message, counted nowhere (R64)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from app.delivery import keys, senders
from app.delivery.dkim import Keyring
from app.delivery.mime import Mail, Mailbox, assemble, wire_address
from app.delivery.providers import Outcome, Outgoing
from app.delivery.ways import STREAMS, open_ways
from app.house import House
from app.messages.compose import TEST_MARK


@dataclass(frozen=True, slots=True)
class Proof:
    """What it says, from whom, to whom."""

    to: str
    language: str
    subject: str
    html: str
    text: str
    sender_name: str
    sender_email: str
    reply_to: str | None = None
    marked: bool = True
    """False only for a mail of the house to its own people, such as the one that asks whether an address is theirs."""


def send(house: House, workspace_id: int, proof: Proof, by: str | None = None) -> Outcome:
    """Hand it over at once, outside the line, by the ways of service mail or by the one sender named.

    Raises `mime.HeaderError` for an address that is none, LookupError where there is no such sender that sends.

    Its number is negative: it belongs to no message and no contact, so no cap, ledger or count ever sees it.
    """
    now = house.clock.now()
    sender = wire_address(proof.sender_email)
    domain = sender.rpartition("@")[2]
    name = f"<proof.{secrets.token_hex(12)}@{domain}>"
    mail = Mail(
        sender=Mailbox(proof.sender_name, sender),
        recipient=Mailbox("", proof.to),
        subject=(TEST_MARK.get(proof.language, TEST_MARK["en"]) if proof.marked else "") + proof.subject,
        text=proof.text,
        html=proof.html,
        message_id=name,
        date=now,
        reply_to=Mailbox("", proof.reply_to) if proof.reply_to else None,
        headers=[("Content-Language", proof.language)],
    )
    with house.database.work(workspace_id) as session:
        known = senders.ways(session)
        ring = Keyring(house.settings.data_dir).refresh().with_kept(keys.signers(session))
    signed = ring.sign(assemble(mail), domain, now)
    out = Outgoing(-secrets.randbits(48), 0, name, sender, wire_address(proof.to), signed, mail)
    if by is not None:
        known = [replace(way, streams=frozenset(STREAMS)) for way in known if way.name == by]
        if not known:
            raise LookupError(f"There is no sender {by!r} that mails go out by.")
    return open_ways(house, workspace_id, known).send([out])[0].outcome
