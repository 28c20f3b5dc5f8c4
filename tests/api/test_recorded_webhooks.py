"""Every recorded request of the shared folder, posted to the real door: the expected events, or a refusal.

What was recorded is what another receiver of the same webhooks made of them. A request is posted as for a mail and a
sender of ours: its metadata under our name, and a sender set up as that receiver was.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.api.provider_webhooks import FetchError, fetch_with
from app.delivery.models import DeliveryEvent, UnmatchedReport
from app.delivery.providers.readers import READERS
from app.delivery.providers.webhooks import METADATA, RefusedError, Request, Secrets
from app.delivery.sender_checks import SenderError
from tests.api.post import Post
from tests.conftest import START
from tests.delivery.test_provider_security import CERTIFICATE, TOPIC, by_sns, certificate

PRIVATE = rsa.generate_private_key(65537, 2048)

KEYS = {
    "mailersend": ["TEST_WEBHOOK_SIGNING_SECRET"],
    "mailgun": ["TEST_WEBHOOK_SIGNING_KEY", "TEST_API_KEY"],
    "mandrill": ["TEST_WEBHOOK_KEY"],
    "resend": ["whsec_" + base64.b64encode(b"TEST_SIGNING_SECRET").decode()],
    "unisender_go": ["TEST_API_KEY"],
    "amazon_ses": [TOPIC],
}
"""The keys that the requests were signed with where the file does not name them: those of the source's own tests."""

ELSEWHERE = (("http://username:password", "testserver"), ("https://abcde:12345", "example.com"))
"""Further addresses that Mandrill's requests were signed for."""

KINDS = {
    "queued": "accepted",
    "sent": "accepted",
    "rejected": "rejected",
    "failed": "rejected",
    "bounced": "bounced",
    "deferred": "deferred",
    "delivered": "delivered",
    "opened": "opened",
    "clicked": "clicked",
    "complained": "complained",
    "unsubscribed": "unsubscribed",
    "autoresponded": "unknown",  # neither bounce nor reply (R35)
    "subscribed": "unknown",  # subscribes nobody (R36)
    "unknown": "unknown",
}
"""Their word → ours."""

REASONS = {"bounced": {"hard", "soft"}, "blocked": {"blocked"}, "spam": {"blocked"}}
"""Their reason of a bounce → what ours may be."""

WRONG: Mapping[str, str] = {
    "brevo/event__error_email": "at: 2020-11-09 14:53:43+00:00",
}
"""What is expected and cannot be: Brevo's seconds were read as milliseconds, which makes a mail of 2020 fail in January
1970. Everything else of that request is as expected."""

THEIRS = "anymail_id"
"""The name under which the recorded mails carry who they are."""

HERE = "127.0.0.0/8"
"""Where the requests of these tests come from."""


@dataclass(frozen=True)
class Recorded:
    """One request of the data folder, as it is posted to us."""

    name: str
    provider: str
    method: str
    headers: Mapping[str, str]
    body: bytes
    keys: Sequence[str]
    basic: Sequence[str]
    networks: Sequence[str]
    now: datetime
    expected: Mapping[str, Any]


def recorded(file: Path) -> Recorded:
    raw = json.loads(file.read_text(encoding="utf-8"))
    sent, secrets, provider = raw["request"], raw["secrets"], raw["provider"]
    own = [value for name, value in secrets.items() if name.endswith(("_KEY", "_SECRET")) and name != "WEBHOOK_SECRET"]
    headers = {**sent["headers"], "Content-Type": sent["content_type"]}
    body = (sent["body_text"] or "").encode()
    lower = {name.lower(): value for name, value in headers.items()}
    now = START
    if provider == "mailgun":
        found = [int(part) for part in "".join(c if c.isdigit() else " " for c in sent["body_text"]).split()]
        signed = table_of(body).get("signature", {}).get("timestamp")
        seconds = int(signed) if signed else max([n for n in found if 1_200_000_000 < n < 1_700_000_000], default=0)
        now = datetime.fromtimestamp(seconds, UTC) if seconds else START
    elif "svix-timestamp" in lower:
        now = datetime.fromtimestamp(float(lower["svix-timestamp"]), UTC)
    elif provider == "amazon_ses":
        envelope = {"Timestamp": START.isoformat(), **table_of(body)}
        now = datetime.fromisoformat(envelope["Timestamp"]) + timedelta(minutes=1)
        body = by_sns(envelope, PRIVATE, "1")
    pairs = secrets.get("WEBHOOK_SECRET", [])
    pairs = [pairs] if isinstance(pairs, str) else pairs
    keys = own or KEYS.get(provider, [])
    if not secrets and table_of(body).get("Type") == "SubscriptionConfirmation":
        keys = []  # a topic is what a subscription is confirmed on, and nothing at all was entered there
    return Recorded(
        name=f"{provider}/{file.stem}",
        provider=provider,
        method=sent["method"],
        headers=headers,
        body=body,
        keys=keys,
        basic=pairs,
        # Who entered no secret there let everybody in, with a warning; here the network has to vouch.
        networks=[] if keys or pairs or provider == "amazon_ses" else [HERE],
        now=now,
        expected=raw["expected"],
    )


def table_of(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def signed_for(path: str, one: Recorded) -> Recorded:
    """Mandrill signs the address too: what holds for the address it was sent to is signed again for ours."""
    if one.provider != "mandrill":
        return one
    there = [f"http://{user}testserver/anymail/mandrill/" for user in ("", *(f"{pair}@" for pair in one.basic))]
    named = (f"{user}@{host}/anymail/mandrill/" for user, host in ELSEWHERE)
    if not any(holds(one, url) for url in (*there, *named)):
        return one
    fields = "mandrill_events" + one.body.decode().split("\r\n\r\n", 1)[1].rsplit("\r\n--", 1)[0]
    made = hmac.digest(one.keys[0].encode(), f"http://localhost{path}{fields}".encode(), "sha1")
    return replace(one, headers={**one.headers, "X-Mandrill-Signature": base64.b64encode(made).decode()})


def of_ours(one: Recorded) -> Recorded:
    """The request as for a mail of ours, which carries its name under ours; where the body is signed, it holds first
    as it was, and is signed again."""
    if THEIRS.encode() not in one.body:
        return one
    named = replace(one, body=one.body.replace(THEIRS.encode(), METADATA.encode()))
    if one.provider == "unisender_go" and holds(one):
        auth = str(table_of(one.body)["auth"]).encode()
        made = hashlib.md5(named.body.replace(auth, one.keys[0].encode()), usedforsecurity=False).hexdigest()
        return replace(named, body=named.body.replace(auth, made.encode()))
    if one.provider == "sendgrid" and one.keys and holds(one):
        private = ec.generate_private_key(ec.SECP256R1())
        public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        at = one.headers["X-Twilio-Email-Event-Webhook-Timestamp"].encode()
        made_ = base64.b64encode(private.sign(at + named.body, ec.ECDSA(SHA256()))).decode()
        headers = {**one.headers, "X-Twilio-Email-Event-Webhook-Signature": made_}
        return replace(named, headers=headers, keys=[base64.b64encode(public).decode()])
    return one if one.keys else named


def holds(one: Recorded, url: str = "") -> bool:
    """Whether its signature is the one its provider would make."""
    lower = {name.lower(): value for name, value in one.headers.items()}
    try:
        READERS[one.provider].verify(Request("POST", url, lower, one.body), Secrets(keys=one.keys), one.now)
    except RefusedError:
        return False
    return True


def difference(one: Recorded, status: int, kept: Sequence[Any]) -> str | None:
    """What of the answer is another than expected; None where nothing is."""
    accepted, events = one.expected["accepted"], one.expected["events"]
    if accepted and status != 200:
        return f"refused with {status}, and should not be"
    if not accepted and not (400 <= status < 500 or (status == 503 and one.provider == "amazon_ses")):
        return f"answered {status}, and should be refused"
    if not accepted:
        return None
    theirs = [event for event in events if event["event_type"] != "inbound"]
    if [row.kind for row in kept] != [KINDS[event["event_type"]] for event in theirs]:
        return f"kinds: {[row.kind for row in kept]}"
    reasons = [why for row, event in zip(kept, theirs, strict=True) if (why := unlike(one, row, event))]
    return reasons[0] if reasons else None


def unlike(one: Recorded, row: Any, event: Mapping[str, Any]) -> str | None:
    """What of one report is another than expected."""
    if event["recipient"] and row.data.get("recipient") != event["recipient"]:
        return f"recipient: {row.data.get('recipient')}"
    if event["click_url"] and row.data.get("url") != event["click_url"]:
        return f"url: {row.data.get('url')}"
    if row.kind == "bounced" and row.reason not in REASONS.get(event["reject_reason"], {"hard", "soft", "blocked"}):
        return f"reason: {row.reason}"
    id_ = str(event["message_id"] or "")
    if id_ and id_.strip("<>") not in {(row.message_id or "").strip("<>"), (row.provider_id or "").strip("<>")}:
        return f"id: {row.provider_id}"
    if event["timestamp"]:
        at = min(datetime.fromisoformat(event["timestamp"]), one.now)
        # SES says when it happened, SNS when it told of it; who recorded these kept the latter.
        told = [row.occurred_at, datetime.fromisoformat(row.data.get("reported_at") or row.occurred_at.isoformat())]
        if all(abs(when - at) > timedelta(seconds=1) for when in told):
            return f"at: {row.occurred_at}"
    return None


def posted(post: Post, one: Recorded, name: str) -> int:
    """The status that a recorded request is answered with, by a sender of its own."""
    post.clock.set(one.now)
    one = of_ours(one)

    def fetch(url: str) -> bytes:
        if url != CERTIFICATE and one.expected.get("reject_error"):
            raise FetchError("down")
        return certificate(PRIVATE)

    fetch_with(post.app, fetch)
    try:
        path = post.sender(one.provider, name, one.keys, one.basic, one.networks)
    except SenderError:
        return 401  # nothing could prove it: there is no such sender
    given = signed_for(path, one)
    kind = given.headers["Content-Type"]
    headers = {key: value for key, value in given.headers.items() if key.lower() not in {"content-length", "cookie"}}
    answer = post.client.open(path, method=given.method, data=given.body, headers=headers, content_type=kind)
    return answer.status_code


PROVIDERS = sorted(set(READERS) - {"generic"})


@pytest.mark.shared_data
@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_recorded_request_gives_the_expected_events_or_is_refused(
    post: Post, shared: Path, provider: str
) -> None:
    files = sorted((shared / "data" / "provider_webhooks" / provider).glob("*.json"))
    assert files
    other = {}
    for number, file in enumerate(files):
        one = recorded(file)
        before = {row.id for row in post.told(UnmatchedReport)}
        status = posted(post, one, f"sender-{number}")
        kept = [row for row in post.told(UnmatchedReport) if row.id not in before]
        found = difference(one, status, kept)
        if found:
            other[one.name] = found
    print(f"{provider}: {len(files) - len(other)} of {len(files)} as expected")
    assert other == {name: why for name, why in WRONG.items() if name.startswith(f"{provider}/")}


@pytest.mark.shared_data
@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_recorded_of_a_mail_of_ours_lands_on_it_once(post: Post, shared: Path, provider: str) -> None:
    """The recorded reports again, now of mails of ours: each becomes a delivery event, and a replay changes nothing."""
    seen = 0
    for number, file in enumerate(sorted((shared / "data" / "provider_webhooks" / provider).glob("event__*.json"))):
        one = recorded(file)
        before = len(post.told(UnmatchedReport))
        if posted(post, one, f"stranger-{number}") != 200:
            continue
        named = [row for row in post.told(UnmatchedReport)[before:] if row.provider_id or row.message_id]
        # Nobody here has granted tracking.
        named = [row for row in named if row.kind not in {"opened", "clicked"}]
        for id_, provided in {(row.message_id, row.provider_id) for row in named}:
            post.message(message_id=id_, provider_id=provided)
        recorded_before = len(post.told(DeliveryEvent))
        for _ in range(2):
            posted(post, one, f"ours-{number}-{_}")
        fresh = post.told(DeliveryEvent)[recorded_before:]
        assert sorted((row.kind, row.dedupe) for row in fresh) == sorted((row.kind, row.dedupe) for row in named)
        secrets = [*one.keys, *one.basic] if provider != "amazon_ses" else one.basic
        assert not any(secret in json.dumps(row.data) for secret in secrets for row in fresh)
        seen += len(fresh)
    assert seen
