"""Providers report by webhook: only what they have signed is taken, once, and each in the one vocabulary."""

from __future__ import annotations

import base64
import hmac
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from apiflask import APIFlask
from cryptography.hazmat.primitives.asymmetric import rsa
from flask.testing import FlaskClient
from sqlalchemy import event, select, text
from werkzeug.test import TestResponse

from app import cli
from app.accounts.models import Workspace
from app.api.provider_webhooks import FetchError, fetch, fetch_with
from app.clock import FixedClock
from app.consent.ledger import Act, address_key, append, suppressed
from app.contacts.models import Property
from app.db import Database
from app.delivery import reported, senders
from app.delivery.models import DeliveryEvent, Sender, UnmatchedReport
from app.delivery.providers.readers import READERS
from app.delivery.providers.webhooks import RefusedError, Request, Secrets
from app.events.sources import signature
from app.messages.models import Message
from tests.api.conftest import problem
from tests.conftest import START
from tests.delivery.fakes.server import Asked, Fake, Said, say
from tests.delivery.test_provider_security import BASIC, CERTIFICATE, TOPIC, basic, by_sns, certificate
from tests.factories import Factory

_numbers = itertools.count(1)
SECRET = "whsec_" + base64.b64encode(b"a secret of ours").decode()
PRIVATE = rsa.generate_private_key(65537, 2048)


@dataclass
class Post:
    """A workspace whose provider reports."""

    app: APIFlask
    client: FlaskClient
    db: Database
    workspace_id: int
    clock: FixedClock

    def sender(self, provider: str, name: str = "main", keys: Sequence[str] = (), basic: Sequence[str] = ()) -> str:
        """The path of a new sender's address."""
        with self.db.work(self.workspace_id) as session:
            made = senders.add(session, provider, name, keys, basic, self.clock.now())
            return urlsplit(senders.address(self.app.extensions["percorso"].settings, made)).path

    def tell(self, path: str, *events: Mapping[str, Any], id_: str = "msg-1") -> TestResponse:
        """Report in our own words, signed."""
        body = json.dumps({"events": events}).encode()
        at = str(int(self.clock.now().timestamp()))
        made = "v1," + signature(SECRET, id_, at, body)
        headers = {"webhook-id": id_, "webhook-timestamp": at, "webhook-signature": made}
        return self.client.post(path, data=body, headers=headers, content_type="application/json")

    def message(self, **given: Any) -> int:
        """A mail that was accepted."""
        with self.db.work(self.workspace_id) as session:
            make = Factory(session, self.clock)
            fields: dict[str, Any] = {"template": "note", "class_": "transactional", "state": "accepted", "verdict": []}
            fields |= {"channel": "email", "address": "anna@example.com", "planned_at": START, "due_at": START}
            name = f"guest-{next(_numbers)}"
            contact = make.contact(external_id=name, email=f"{name}@example.com")
            return make.add(Message, contact_id=contact.id, **{**fields, **given}).id

    def told(self, model: type[DeliveryEvent | UnmatchedReport]) -> list[Any]:
        """What was kept, in order."""
        with self.db.work(self.workspace_id) as session:
            return list(session.scalars(select(model).order_by(model.id)))

    def last(self) -> str | None:
        """What became of the last webhook."""
        with self.db.work(self.workspace_id) as session:
            return session.scalars(select(Sender.last_outcome)).one()


@pytest.fixture
def post(app: APIFlask, client: FlaskClient, db: Database, workspace_id: int, clock: FixedClock) -> Post:
    return Post(app, client, db, workspace_id, clock)


@pytest.fixture
def generic(post: Post) -> str:
    return post.sender("generic", keys=[SECRET])


# -- the door ---------------------------------------------------------------------------------------------------------


def test_a_report_is_recorded_once_with_its_own_words_and_followed_up_r35(post: Post, generic: str) -> None:
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


def test_who_leaves_at_the_provider_gets_no_more_marketing_r31(post: Post, generic: str) -> None:
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


def test_senders_are_ordered_rotated_and_tried_on_the_command_line(post: Post) -> None:
    cli.register(post.app)

    def run(*given: str, fails: bool = False) -> str:
        done = post.app.test_cli_runner().invoke(args=["delivery", "senders", *given])
        assert (done.exit_code != 0) is fails, done.output
        return done.output

    run("add", "mailgun", "first", "--send", "key=k-1", "--option", "region=eu", "--secret", "s-1")
    run("add", "smtp", "spare", "--send", "url=smtp://127.0.0.1:9", "--stream", "service")
    assert "mailgun knows no planet" in run(
        "add", "mailgun", "x", "--send", "key=k", "--option", "planet=mars", fails=True
    )
    assert "it is written NAME=VALUE" in run("add", "mailgun", "x", "--send", "key", fails=True)
    run("order", "service", "spare", "first")
    listed = run("list").splitlines()
    assert [line.split()[1] for line in listed] == ["spare", "first"]
    assert "marketing, service; closed" in listed[1]
    run("order", "marketing")
    assert "  service; closed" in run("list").splitlines()[1].replace("mailgun     ", "  ")
    run("rotate", "first", "--send", "key=k-2", "--secret", "s-2")
    with post.db.work(post.workspace_id) as session:
        assert len(senders.named(session, "first").secrets["keys"]) == 2
        assert {way.name: way.access.credentials for way in senders.ways(session) if way.access}["first"] == {
            "key": "k-2"
        }
        senders.named(session, "first").open_until = post.clock.now() + timedelta(minutes=1)
    assert "; open" in run("list")
    run("resume", "first")
    assert "; open" not in run("list")
    assert "There is no sender 'nobody'." in run("resume", "nobody", fails=True)
    assert "No property says who the mail is from." in run("test", "spare", "team@example.com", fails=True)
    with post.db.work(post.workspace_id) as session:
        Factory(session, post.clock).add(
            Property, code="lago", name="Hotel", zone="Europe/Rome", language="it", sender_name="Hotel",
            sender_email="ciao@lago.example", is_default=True,
        )  # fmt: skip
    assert "transient: no connection to 127.0.0.1:9" in run("test", "spare", "team@example.com", fails=True)
    done = post.app.test_cli_runner().invoke(args=["secrets", "reseal"])
    assert done.output.endswith(" sealed anew, 0 lost\n")


def test_a_sender_is_made_and_listed_on_the_command_line(post: Post) -> None:
    cli.register(post.app)

    def run(*given: str) -> tuple[int, str]:
        done = post.app.test_cli_runner().invoke(args=["delivery", "senders", *given])
        return done.exit_code, done.output

    code, told = run("add", "generic", "main", "--secret", SECRET)
    assert code == 0
    path = urlsplit(told.strip()).path
    assert path.startswith("/api/v1/provider-webhooks/generic/")
    assert "nothing came yet" in run("list")[1]
    assert post.tell(path).status_code == 200
    assert "2026-03-10 09:00 taken" in run("list")[1]
    assert SECRET not in run("list")[1]
    for wrong, why in (
        (("generic", "main", "--secret", SECRET), "There is a sender 'main' already."),
        (("mailgun", "other"), "mailgun needs --secret: the HTTP webhook signing key."),
        (("postmark", "other", "--secret", "x"), "postmark signs nothing: give --basic user:password."),
        (("sendgrid", "other"), "Nothing would prove its webhooks"),
        (("postmark", "other", "--basic", "user"), "user and password are written user:password"),
    ):
        code, told = run("add", *wrong)
        assert code == 1
        assert why in told


# -- every recorded request -------------------------------------------------------------------------------------------

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

DIFFERENCES = {
    "no secret": "no secret is set: they let it pass and warn, we refuse (deny by default)",
    "undated": "the time of the signature is no number of seconds: they do not look at it, we refuse",
    "sns": "they confirm a subscription only with user and password; ours rests on topic and signature of SNS",
    "their clock": "SES's instant of the event, not of SNS; Brevo's seconds, which they take for milliseconds",
    "not our metadata": "they know the mail by metadata of their own, which is none of ours",
}
"""Why an answer of ours is meant to be another than the recorded one."""

DIFFERENT: Mapping[str, str] = {
    "amazon_ses/event__delivery_event": "their clock",
    "amazon_ses/event__open_event": "their clock",
    "amazon_ses/rejected__sns_subscription_confirmation_auth_disabled": "sns",
    "brevo/event__error_email": "their clock",
    "mailtrap/accepted_no_event__warns_if_no_auth": "no secret",
    "postmark/event__warns_if_no_auth": "no secret",
    "sendgrid/accepted_no_event__warns_if_no_auth": "no secret",
    "sendgrid/event__bounce_event": "not our metadata",
    "sendgrid/event__deferred_event": "not our metadata",
    "sendgrid/event__dropped_unsubscribed_event": "not our metadata",
    "sendgrid/event__open_event": "not our metadata",
    "sendgrid/event__processed_event": "not our metadata",
    "sendgrid/event__successful_signature_check_with_basic_http_auth_2": "undated",
    "sparkpost/accepted_no_event__warns_if_no_auth": "no secret",
    "unisender_go/event__sent_event": "not our metadata",
}
"""All of them, each looked at: a recorded request that is not named here gives exactly what is expected."""


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
    return Recorded(
        name=f"{provider}/{file.stem}",
        provider=provider,
        method=sent["method"],
        headers=headers,
        body=body,
        keys=own or KEYS.get(provider, []),
        basic=pairs,
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
    lower = {name.lower(): value for name, value in one.headers.items()}
    reader, known = READERS["mandrill"], Secrets(keys=one.keys)
    there = [f"http://{user}testserver/anymail/mandrill/" for user in ("", *(f"{pair}@" for pair in one.basic))]
    named = (f"{user}@{host}/anymail/mandrill/" for user, host in ELSEWHERE)
    for url in (*there, *named):
        try:
            reader.verify(Request("POST", url, lower, one.body), known, one.now)
        except RefusedError:
            continue
        fields = "mandrill_events" + one.body.decode().split("\r\n\r\n", 1)[1].rsplit("\r\n--", 1)[0]
        made = hmac.digest(one.keys[0].encode(), f"http://localhost{path}{fields}".encode(), "sha1")
        headers = {**one.headers, "X-Mandrill-Signature": base64.b64encode(made).decode()}
        return Recorded(**{**one.__dict__, "headers": headers})
    return one


def difference(one: Recorded, status: int, kept: Sequence[Any]) -> str | None:
    """Why the answer is another than expected: a key of DIFFERENCES; else what is wrong; None where nothing is."""
    accepted, events = one.expected["accepted"], one.expected["events"]
    if not accepted and status == 200:
        return "sns" if "subscription_confirmation" in one.name else "taken, and should not be"
    if accepted and status != 200:
        if not one.keys and not one.basic:
            return "no secret"
        at = {name.lower(): value for name, value in one.headers.items()}.get("x-twilio-email-event-webhook-timestamp")
        return "undated" if at and not at.isdigit() else f"refused with {status}, and should not be"
    if not accepted:
        return None if 400 <= status < 500 or (status == 503 and one.provider == "amazon_ses") else f"answered {status}"
    theirs = [event for event in events if event["event_type"] != "inbound"]
    if [row.kind for row in kept] != [KINDS[event["event_type"]] for event in theirs]:
        return f"kinds: {[row.kind for row in kept]}"
    reasons = [why for row, event in zip(kept, theirs, strict=True) if (why := unlike(one, row, event))]
    return next((why for why in reasons if why not in DIFFERENCES), reasons[0] if reasons else None)


def unlike(one: Recorded, row: Any, event: Mapping[str, Any]) -> str | None:
    """What of one report is another than expected."""
    if event["recipient"] and row.data.get("recipient") != event["recipient"]:
        return f"recipient: {row.data.get('recipient')}"
    if event["click_url"] and row.data.get("url") != event["click_url"]:
        return f"url: {row.data.get('url')}"
    if row.kind == "bounced" and row.reason not in REASONS.get(event["reject_reason"], {"hard", "soft", "blocked"}):
        return f"reason: {row.reason}"
    at = datetime.fromisoformat(event["timestamp"]) if event["timestamp"] else None
    if at is not None and abs(row.occurred_at - min(at, one.now)) > timedelta(seconds=1):
        return "their clock" if one.provider in {"amazon_ses", "brevo"} else f"at: {row.occurred_at}"
    id_ = str(event["message_id"] or "")
    if id_ and id_.strip("<>") not in {(row.message_id or "").strip("<>"), (row.provider_id or "").strip("<>")}:
        return "not our metadata" if "anymail_id" in json.dumps(row.data["raw"]) else f"id: {row.provider_id}"
    return None


def posted(post: Post, one: Recorded, name: str) -> int:
    """The status that a recorded request is answered with, by a sender of its own."""
    post.clock.set(one.now)

    def fetch(url: str) -> bytes:
        if url != CERTIFICATE and one.expected.get("reject_error"):
            raise FetchError("down")
        return certificate(PRIVATE)

    fetch_with(post.app, fetch)
    try:
        path = post.sender(one.provider, name, one.keys if READERS[one.provider].keys != "none" else (), one.basic)
    except senders.SenderError:
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
    assert other == {name: why for name, why in DIFFERENT.items() if name.startswith(f"{provider}/")}
    assert set(DIFFERENT.values()) <= set(DIFFERENCES)


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
