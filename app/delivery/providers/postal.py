"""Postal: webhooks signed with the server's RSA key (docs: "Receiving webhooks")."""

from __future__ import annotations

from datetime import datetime

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from app.delivery.providers.webhooks import (
    Reader,
    Report,
    Request,
    Secrets,
    bracketed,
    hashed,
    instant,
    json_of,
    prove,
    table,
    unbased,
    word,
)
from app.delivery.status import verdict

KINDS = {
    "MessageSent": "delivered",
    "MessageDelayed": "deferred",
    "MessageDeliveryFailed": "bounced",
    "MessageBounced": "bounced",
    "MessageHeld": "accepted",  # it waits there for a person
    "MessageLinkClicked": "clicked",
    "MessageLoaded": "opened",
}


def verify(request: Request, secrets: Secrets, _now: datetime) -> None:
    """By RSA over the body, SHA-256 where the server is new enough. What is sent again counts once."""
    newer, older = (request.headers.get(name, "") for name in ("x-postal-signature-256", "x-postal-signature"))
    hash_: HashAlgorithm = SHA256() if newer else SHA1()  # noqa: S303 (what servers before 3.3 sign with)

    def signed(key: str) -> bool:
        try:
            public = load_der_public_key(unbased(key))
            assert isinstance(public, RSAPublicKey)
            public.verify(unbased(newer or older), request.body, PKCS1v15(), hash_)
        except (InvalidSignature, UnsupportedAlgorithm, ValueError, AssertionError):
            return False
        return True

    prove(request, secrets, signed)


def parse(request: Request) -> list[Report]:
    """The one event of the request; what is about mails that came in is none."""
    event = table(json_of(request.body))
    name, payload = word(event.get("event")) or "", table(event.get("payload"))
    # A bounce that comes back later is told by both mails, under more than one name of event.
    bounced = "bounce" in payload
    mail = table(payload.get("original_message" if bounced else "message"))
    if mail.get("direction") == "incoming" or "rcpt_to" in event:
        return []
    kind = "bounced" if bounced else KINDS.get(name, "unknown")
    said = " ".join(filter(None, (word(payload.get("output")), word(payload.get("details")))))
    return [
        Report(
            kind=kind,
            reason=verdict(said) if kind == "bounced" else None,
            dedupe=word(event.get("uuid")) or hashed(event),
            raw=event,
            occurred_at=instant(event.get("timestamp")),
            recipient=word(mail.get("to")),
            message_id=bracketed(mail.get("message_id")),
            provider_id=word(mail.get("id")),
            text=said or None,
            url=word(payload.get("url")),
        )
    ]


READER = Reader(verify, parse, "the server's public key (base64, `postal default-dkim-record`)", keys="needed")
