"""Providers report by webhook: only what they have signed is taken, once, and each in the one vocabulary."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import event, select, text

from app.accounts.models import Workspace
from app.api.provider_webhooks import FetchError, fetch, fetch_with
from app.consent.ledger import Act, address_key, append, suppressed
from app.db import Database
from app.delivery import reported, senders
from app.delivery.models import DeliveryEvent, UnmatchedReport
from app.delivery.providers.webhooks import METADATA
from app.delivery.sender_checks import SenderError
from app.events.sources import signature
from app.messages.models import Message
from tests.api.conftest import problem
from tests.api.post import SECRET, Post
from tests.conftest import START
from tests.delivery.fakes.server import Asked, Fake, Said, say
from tests.delivery.test_provider_security import BASIC, CERTIFICATE, TOPIC, basic, by_sns, certificate

PRIVATE = rsa.generate_private_key(65537, 2048)


@pytest.fixture
def generic(post: Post) -> str:
    return post.sender("generic", keys=[SECRET])


def test_r35_a_report_is_recorded_once_with_its_own_words_and_followed_up(post: Post, generic: str) -> None:
    number = post.message(message_id="<a@lago.example>")
    said = {
        "id": "e-1",
        "kind": "bounced",
        "reason": "hard",
        "message_id": "a@lago.example",
        "text": "550 5.1.1 no such user",
        "occurred_at": (START - timedelta(minutes=2)).isoformat(),
    }
    answer = post.tell(generic, said)
    assert (answer.status_code, answer.get_json()) == (200, {"recorded": 1, "known": 0, "unmatched": 0, "untracked": 0})
    (kept,) = post.told(DeliveryEvent)
    assert (kept.message_pk, kept.kind, kept.reason, kept.provider) == (number, "bounced", "hard", "generic")
    assert kept.occurred_at == START - timedelta(minutes=2)
    assert kept.data["raw"] == said
    assert kept.data["code"] == "5.1.1"
    with post.db.work(post.workspace_id) as session:
        barred = suppressed(session, [("email", "anna@example.com")])
    assert [one.reason for one in barred["email", "anna@example.com"]] == ["hard_bounce"]
    again = post.tell(generic, said, id_="msg-2")
    assert (again.status_code, again.get_json()) == (200, {"recorded": 0, "known": 1, "unmatched": 0, "untracked": 0})
    assert len(post.told(DeliveryEvent)) == 1
    assert post.last() == "taken"


def test_a_mail_is_found_by_its_providers_id_and_by_the_metadata_it_went_out_with(post: Post) -> None:
    one, two = post.message(provider_id="pm-1"), post.message(message_id="<b@lago.example>")
    path = post.sender("postmark", basic=[BASIC])
    for sent in (
        {"RecordType": "Delivery", "MessageID": "pm-1"},
        {"RecordType": "Delivery", "MessageID": "pm-2", "Metadata": {"percorso_message": "<b@lago.example>"}},
    ):
        assert post.client.post(path, json=sent, headers=basic(BASIC)).get_json()["recorded"] == 1
    assert [row.message_pk for row in post.told(DeliveryEvent)] == [one, two]


def test_what_is_of_no_mail_of_ours_is_kept_apart_and_acted_on_by_nobody(post: Post, generic: str) -> None:
    said = {"id": "e-1", "kind": "complained", "message_id": "<x@elsewhere.example>", "recipient": "anna@example.com"}
    for known in (0, 1):
        answer = post.tell(generic, said)
        assert (answer.status_code, answer.get_json()) == (
            200,
            {"recorded": 0, "known": known, "unmatched": 1 - known, "untracked": 0},
        )
    (kept,) = post.told(UnmatchedReport)
    assert (kept.kind, kept.message_id, kept.data["recipient"]) == (
        "complained",
        "<x@elsewhere.example>",
        "anna@example.com",
    )
    assert post.told(DeliveryEvent) == []


def test_a_mail_of_another_workspace_is_none_of_this_senders(post: Post, db: Database, generic: str) -> None:
    with db.system() as session:
        other = Workspace(slug="monte", name="Monte", settings={}, created_at=START)
        session.add(other)
        session.flush()
        number = other.id
    there = Post(post.app, post.client, db, number, post.clock)
    there.message(message_id="<a@monte.example>", provider_id="p-1")
    said = {"kind": "bounced", "reason": "hard", "message_id": "<a@monte.example>", "provider_id": "p-1"}
    assert post.tell(generic, said).get_json()["unmatched"] == 1
    assert there.told(DeliveryEvent) == []


def test_r31_who_leaves_at_the_provider_gets_no_more_marketing(post: Post, generic: str) -> None:
    number = post.message(message_id="<a@lago.example>", class_="marketing", topic="offers")
    post.tell(generic, {"id": "u-1", "kind": "unsubscribed", "message_id": "<a@lago.example>"})
    with post.db.work(post.workspace_id) as session:
        lines = session.execute(
            text("SELECT purpose, topic, state, method, proof->>'message_pk' AS message FROM consent_records")
        ).all()
    assert {(one.purpose, one.topic, one.state) for one in lines} == {("marketing", None, "withdrawn")}
    assert {one.method for one in lines} == {"provider_unsubscribe"}
    assert {int(one.message) for one in lines} == {number}


def test_r14_opens_and_clicks_are_kept_only_of_who_has_granted_it(post: Post, generic: str) -> None:
    number = post.message(message_id="<a@lago.example>")
    said = [{"id": kind, "kind": kind, "message_id": "<a@lago.example>"} for kind in ("opened", "clicked", "delivered")]
    assert post.tell(generic, *said).get_json() == {"recorded": 1, "known": 0, "unmatched": 0, "untracked": 2}
    assert [row.kind for row in post.told(DeliveryEvent)] == ["delivered"]
    with post.db.work(post.workspace_id) as session:
        grant = Act(
            contact_id=session.scalars(select(Message.contact_id).where(Message.id == number)).one(),
            address=address_key("anna@example.com"),
            channel="email",
            purpose="open_tracking",
            topic=None,
            state="granted",
            method="preference_centre",
            requested_at=START,
            proof={"page": "preferences", "wording": "Yes", "wording_version": 1},
        )
        append(session, [grant], START)
    assert post.tell(generic, *said, id_="m-2").get_json() == {
        "recorded": 2,
        "known": 1,
        "unmatched": 0,
        "untracked": 0,
    }


def test_refusals_are_problems_and_are_noted_at_the_sender(post: Post, generic: str) -> None:
    problem(post.client.post(generic, json={}), 401, "unauthenticated")
    assert post.last() == "no secret of this sender made the signature"
    problem(post.tell(generic, {"kind": "nonsense"}), 400, "malformed")
    problem(post.client.post(generic + "x", json={}), 404, "not-found")
    problem(post.client.post(generic.replace("generic", "postmark"), json={}), 404, "not-found")
    problem(post.client.put(generic), 405, "method-not-allowed")
    problem(post.client.post(generic, data=b"x" * (4 * 1024 * 1024 + 1)), 413, "too-large")
    post.clock.advance(timedelta(minutes=10))
    assert post.told(DeliveryEvent) == post.told(UnmatchedReport) == []


def test_a_stale_request_is_refused(post: Post, generic: str) -> None:
    body = b'{"events": []}'
    at = str(int(START.timestamp()))
    headers = {
        "webhook-id": "m",
        "webhook-timestamp": at,
        "webhook-signature": "v1," + signature(SECRET, "m", at, body),
    }
    assert post.client.post(generic, data=body, headers=headers).status_code == 200
    post.clock.advance(timedelta(minutes=6))
    problem(post.client.post(generic, data=body, headers=headers), 401, "unauthenticated")


def test_a_token_of_mailgun_serves_one_body_only(post: Post) -> None:
    path = post.sender("mailgun", keys=["key-1"])
    at = str(int(START.timestamp()))
    proof = {"timestamp": at, "token": "t", "signature": hmac.new(b"key-1", (at + "t").encode(), "sha256").hexdigest()}
    one, two = ({"signature": proof, "event-data": {"event": name, "id": name}} for name in ("opened", "complained"))
    assert post.client.post(path, json=one).status_code == 200
    assert post.client.post(path, json=one).status_code == 200
    problem(post.client.post(path, json=two), 401, "unauthenticated")


def test_trouble_of_ours_has_the_provider_send_it_again(post: Post, generic: str) -> None:
    with post.db.work(post.workspace_id) as session:
        session.execute(text("ALTER TABLE unmatched_reports RENAME TO gone"))
    answer = post.tell(generic, {"kind": "opened", "message_id": "<x@elsewhere.example>"})
    problem(answer, 503, "unavailable")
    assert answer.headers["Retry-After"]


def test_the_address_answers_who_asks_whether_it_is_there(post: Post, generic: str) -> None:
    assert post.client.get(generic).status_code == 200
    assert post.client.head(generic).status_code == 200
    assert post.client.get(generic + "x").status_code == 404


def test_one_sender_is_slowed_down_and_not_the_others(
    post: Post, generic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.api.provider_webhooks.RATE", 2)
    other = post.sender("generic", "other", keys=[SECRET])
    assert [post.tell(generic).status_code for _ in range(3)] == [200, 200, 429]
    assert post.tell(other).status_code == 200


def test_secrets_are_kept_sealed(post: Post, generic: str) -> None:
    with post.db.work(post.workspace_id) as session:
        assert SECRET not in session.execute(text("SELECT CAST(secrets AS text) FROM senders")).scalar_one()


def test_a_subscription_of_sns_is_confirmed_once_its_signature_holds(post: Post) -> None:
    fetched: list[str] = []

    def fetch(url: str) -> bytes:
        fetched.append(url)
        return certificate(PRIVATE)

    fetch_with(post.app, fetch)
    path = post.sender("amazon_ses", keys=[TOPIC])
    confirm = "https://sns.eu-south-1.amazonaws.com/?Action=ConfirmSubscription"
    asked = {
        "Type": "SubscriptionConfirmation",
        "MessageId": "1",
        "Message": "m",
        "Token": "t",
        "SubscribeURL": confirm,
    }
    assert post.client.post(path, data=by_sns({**asked, "Timestamp": START.isoformat()}, PRIVATE)).status_code == 200
    assert fetched == [CERTIFICATE, confirm]
    forged = by_sns({**asked, "Timestamp": START.isoformat()}, rsa.generate_private_key(65537, 2048))
    assert post.client.post(path, data=forged).status_code == 401
    assert fetched == [CERTIFICATE, confirm]


def test_a_subscription_of_sns_is_confirmed_over_a_real_line(post: Post) -> None:
    """The very fetching of production, led to a stand-in: certificate once, confirmation once, no redirect followed."""
    answers = {"/x.pem": say(200, None), "/": say(200, {"ok": True})}

    def answer(asked: Asked) -> Said:
        return answers[urlsplit(asked.path).path]

    with Fake(answer) as fake:
        answers["/x.pem"] = Said(200, certificate(PRIVATE))

        def there(url: str) -> bytes:
            assert urlsplit(url).netloc == "sns.eu-south-1.amazonaws.com"
            return fetch(fake.url + url.removeprefix("https://sns.eu-south-1.amazonaws.com"))

        fetch_with(post.app, there)
        path = post.sender("amazon_ses", keys=[TOPIC])
        asked = {
            "Type": "SubscriptionConfirmation",
            "MessageId": "m-1",
            "Message": "You have chosen to subscribe",
            "SubscribeURL": "https://sns.eu-south-1.amazonaws.com/?Action=ConfirmSubscription&Token=t-1",
            "Token": "t-1",
            "Timestamp": START.isoformat(),
        }
        sent = json.loads(by_sns(asked, PRIVATE)) | {"SigningCertURL": "https://sns.eu-south-1.amazonaws.com/x.pem"}
        assert post.client.post(path, data=json.dumps(sent)).status_code == 200
        assert [one.path for one in fake.asked] == ["/x.pem", "/?Action=ConfirmSubscription&Token=t-1"]
        answers["/"] = say(302, None, Location=f"{fake.url}/elsewhere")
        assert post.client.post(path, data=json.dumps(sent)).status_code == 503, "SNS is to come again"
        assert not any(one.path == "/elsewhere" for one in fake.asked)


def test_an_address_that_does_not_answer_has_sns_come_again(post: Post) -> None:
    def fetch(url: str) -> bytes:
        raise FetchError("down")

    fetch_with(post.app, fetch)
    path = post.sender("amazon_ses", keys=[TOPIC])
    sent = by_sns({"Type": "Notification", "MessageId": "1", "Message": "{}", "Timestamp": START.isoformat()}, PRIVATE)
    problem(post.client.post(path, data=sent), 503, "unavailable")


def test_a_request_costs_a_fixed_number_of_queries(post: Post, generic: str) -> None:
    def told(many: int) -> int:
        events = []
        for number in range(many):
            id_ = f"<{many}-{number}@lago.example>"
            post.message(message_id=id_)
            events.append({"id": id_, "kind": "accepted", "message_id": id_})
            events.append({"id": f"x{id_}", "kind": "accepted", "message_id": f"<x-{many}-{number}@elsewhere.example>"})
        statements: list[str] = []

        def count(_1: Any, _2: Any, statement: str, *_: Any) -> None:
            if not statement.lstrip().upper().startswith(("SAVEPOINT", "RELEASE", "SELECT SET_CONFIG")):
                statements.append(statement)

        event.listen(post.db.engine, "before_cursor_execute", count)
        try:
            answer = post.tell(generic, *events, id_=f"m-{many}")
        finally:
            event.remove(post.db.engine, "before_cursor_execute", count)
        assert answer.get_json() == {"recorded": many, "known": 0, "unmatched": many, "untracked": 0}
        # One more finds the sender.
        assert len(statements) <= reported.QUERIES + 1, "\n".join(statements)
        return len(statements)

    assert told(2) == told(20)


SENT = {"RecordType": "Delivery", "MessageID": "pm-1"}
POSTMARK = ("3.134.147.250", "50.31.156.6", "18.217.206.57/32")


def test_a_sender_is_known_by_where_its_webhooks_come_from_and_nobody_else_is_let_in(post: Post) -> None:
    post.message(provider_id="pm-1")
    path = post.sender("postmark", networks=POSTMARK)
    for at, status in (("50.31.156.6", 200), ("::ffff:18.217.206.57", 200), ("50.31.156.7", 401), ("::1", 401)):
        answer = post.client.post(path, json=SENT, environ_base={"REMOTE_ADDR": at})
        assert answer.status_code == status, at
    assert post.last() == "it comes from no network of this sender"


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded"])
def test_what_comes_by_a_proxy_we_were_not_told_of_comes_from_nowhere(post: Post, header: str) -> None:
    """Its address would vouch for everybody, and what it says of others anybody can write."""
    path = post.sender("postmark", networks=["127.0.0.0/8"])
    assert post.client.post(path, json=SENT).status_code == 200
    problem(post.client.post(path, json=SENT, headers={header: "127.0.0.1"}), 401, "unauthenticated")


def test_a_network_is_asked_for_beside_every_other_proof(post: Post) -> None:
    path = post.sender("postmark", basic=[BASIC], networks=POSTMARK)
    for at, headers, status in (
        ("50.31.156.6", basic(BASIC), 200),
        ("50.31.156.6", {}, 401),
        ("127.0.0.1", basic(BASIC), 401),
    ):
        assert (
            post.client.post(path, json=SENT, headers=headers, environ_base={"REMOTE_ADDR": at}).status_code == status
        )


@pytest.mark.parametrize("network", ["0.0.0.0/0", "10.0.0.0/7", "::/0", "lago.example", ""])
def test_a_network_as_wide_as_the_world_proves_nothing(post: Post, network: str) -> None:
    with pytest.raises(SenderError, match="is no network"):
        post.sender("postmark", networks=[network])


def test_where_a_key_is_what_proves_a_network_alone_does_not_do(post: Post) -> None:
    with pytest.raises(SenderError, match="needs --secret"):
        post.sender("mailgun", networks=POSTMARK)


def test_an_undated_signature_holds_and_played_again_changes_nothing(post: Post) -> None:
    """A time that is none is signed all the same: only who holds the key can have written it."""
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    number = post.message(message_id="<a@lago.example>")
    path = post.sender("sendgrid", keys=[base64.b64encode(public).decode()])
    body = json.dumps([{"event": "delivered", "sg_event_id": "e-1", METADATA: "<a@lago.example>"}]).encode()

    def told(at: str) -> int:
        made = base64.b64encode(private.sign(at.encode() + body, ec.ECDSA(SHA256()))).decode()
        names = ("X-Twilio-Email-Event-Webhook-Timestamp", "X-Twilio-Email-Event-Webhook-Signature")
        headers = dict(zip(names, (at, made), strict=True))
        return post.client.post(path, data=body, headers=headers, content_type="application/json").status_code

    assert [told("some time"), told("some time")] == [200, 200]
    assert [row.message_pk for row in post.told(DeliveryEvent)] == [number]
    old = str(int((START - timedelta(days=2)).timestamp()))
    assert [told(old), told("")] == [401, 401]


def test_what_is_compromised_proves_nothing_from_that_moment_on(post: Post) -> None:
    path = post.sender("postmark", basic=["first:one", BASIC])
    with post.db.work(post.workspace_id) as session:
        sender = senders.named(session, "main")
        senders.rotate(session, sender, basic=["new:two"], compromised=True)
    for given, status in (("first:one", 401), (BASIC, 401), ("new:two", 200)):
        assert post.client.post(path, json=SENT, headers=basic(given)).status_code == status
    with post.db.work(post.workspace_id) as session:
        senders.rotate(session, senders.named(session, "main"), compromised=True)
    problem(post.client.post(path, json=SENT, headers=basic("new:two")), 401, "unauthenticated")
    assert post.last() == "no secret is known that could prove it"
