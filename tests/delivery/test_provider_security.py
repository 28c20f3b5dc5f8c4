"""No request passes without proof: one case, inherited by every provider's own class, so that none can forget it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from app.delivery.providers import amazon_ses
from app.delivery.providers.readers import READERS
from app.delivery.providers.webhooks import RefusedError, Request, Secrets
from app.events.sources import signature

NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
URL = "https://percorso.example/api/v1/provider-webhooks/x/y"
BASIC = "user:pass:word"
CERTIFICATE = "https://sns.eu-south-1.amazonaws.com/SimpleNotificationService-1.pem"
TOPIC = "arn:aws:sns:eu-south-1:123456789012:mails"


def basic(given: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(given.encode()).decode()}


def request(body: bytes, headers: Mapping[str, str] | None = None) -> Request:
    return Request("POST", URL, {"content-type": "application/json", **(headers or {})}, body)


class Security:
    """What every provider's reader must refuse. A subclass says how its provider signs."""

    provider: ClassVar[str]
    body: ClassVar[bytes] = b'{"event": "delivered", "data": {"type": "sent"}}'
    key: ClassVar[str | None] = None
    other: ClassVar[str | None] = None
    """Another key of the same kind."""
    tolerance: ClassVar[timedelta | None] = None
    """How old a signature may be; None where none is dated."""
    covers_body: ClassVar[bool] = True

    def sign(self, body: bytes, now: datetime) -> Request:
        """The request as the provider sends it."""
        raise NotImplementedError

    def secrets(self) -> Secrets:
        return Secrets(keys=[self.key]) if self.key else Secrets(basic=[BASIC])

    def verify(self, given: Request, secrets: Secrets, now: datetime = NOW) -> None:
        READERS[self.provider].verify(given, secrets, now)

    def test_what_the_provider_sent_passes(self) -> None:
        self.verify(self.sign(self.body, NOW), self.secrets())

    def test_a_second_secret_may_be_live_so_that_one_can_be_changed(self) -> None:
        both = Secrets(
            keys=[self.other, self.key] if self.key and self.other else [], basic=[] if self.key else ["a:b", BASIC]
        )
        self.verify(self.sign(self.body, NOW), both)

    def test_nothing_passes_where_no_secret_is_known(self) -> None:
        with pytest.raises(RefusedError):
            self.verify(self.sign(self.body, NOW), Secrets())

    def test_nothing_passes_under_another_secret(self) -> None:
        wrong = Secrets(keys=[self.other]) if self.other else Secrets(basic=["user:other"])
        with pytest.raises(RefusedError):
            self.verify(self.sign(self.body, NOW), wrong)

    def test_nothing_passes_unsigned(self) -> None:
        with pytest.raises(RefusedError):
            self.verify(replace(request(self.body), fetched=self.sign(self.body, NOW).fetched), self.secrets())

    def test_user_and_password_are_asked_for_beside_the_signature(self) -> None:
        signed = self.sign(self.body, NOW)
        secrets = replace(self.secrets(), basic=[BASIC])
        headers = {name: value for name, value in signed.headers.items() if name != "authorization"}
        for wrong in (
            {},
            basic("user:wrong"),
            basic(""),
            {"authorization": "Basic %%%"},
            {"authorization": "Bearer x"},
        ):
            with pytest.raises(RefusedError):
                self.verify(replace(signed, headers={**headers, **wrong}), secrets)
        if self.key:
            self.verify(replace(signed, headers={**headers, **basic(BASIC)}), secrets)

    def test_a_changed_body_is_noticed(self) -> None:
        if not self.key or not self.covers_body:
            pytest.skip("its provider signs no body")
        signed = self.sign(self.body, NOW)
        with pytest.raises(RefusedError):
            self.verify(replace(signed, body=self.tampered(signed.body)), self.secrets())

    def tampered(self, body: bytes) -> bytes:
        """The body with one word changed."""
        return body.replace(b"delivered", b"complained")

    def test_a_stale_signature_is_refused_either_way(self) -> None:
        if self.tolerance is None:
            pytest.skip("its provider dates no signature; what is sent again is known by its id")
        signed = self.sign(self.body, NOW)
        self.verify(signed, self.secrets(), NOW + self.tolerance)
        for wrong in (NOW + self.tolerance + timedelta(seconds=1), NOW - self.tolerance - timedelta(seconds=1)):
            with pytest.raises(RefusedError):
                self.verify(signed, self.secrets(), wrong)


class Basic(Security):
    """A provider that signs nothing."""

    def sign(self, body: bytes, now: datetime) -> Request:
        return request(body, basic(BASIC))


class TestPostmark(Basic):
    provider = "postmark"


class TestMailjet(Basic):
    provider = "mailjet"


class TestSparkpost(Basic):
    provider = "sparkpost"


class TestBrevo(Security):
    provider, key, other = "brevo", "token-1", "token-2"
    covers_body = False

    def sign(self, body: bytes, now: datetime) -> Request:
        return request(body, {"authorization": "Bearer token-1"})

    def test_user_and_password_are_asked_for_beside_the_signature(self) -> None:
        """One header cannot hold both, so either alone must do."""
        secrets = Secrets(basic=[BASIC])
        self.verify(request(self.body, basic(BASIC)), secrets)
        with pytest.raises(RefusedError):
            self.verify(request(self.body, basic("user:wrong")), secrets)


class TestSendgrid(Security):
    provider = "sendgrid"
    private = ec.generate_private_key(ec.SECP256R1())
    key = base64.b64encode(private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    other = base64.b64encode(
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode()
    tolerance = timedelta(hours=24)

    def sign(self, body: bytes, now: datetime) -> Request:
        at = str(int(now.timestamp()))
        made = base64.b64encode(self.private.sign(at.encode() + body, ec.ECDSA(SHA256()))).decode()
        names = ("x-twilio-email-event-webhook-timestamp", "x-twilio-email-event-webhook-signature")
        return request(body, dict(zip(names, (at, made), strict=True)))


class TestMailgun(Security):
    provider, key, other = "mailgun", "key-1", "key-2"
    tolerance = timedelta(hours=24)
    covers_body = False

    def sign(self, body: bytes, now: datetime) -> Request:
        at, token = str(int(now.timestamp())), "t" * 50
        made = hmac.new(b"key-1", (at + token).encode(), "sha256").hexdigest()
        proof = {"timestamp": at, "token": token, "signature": made}
        return request(json.dumps({"signature": proof, "event-data": json.loads(body)}).encode())

    def test_its_token_may_serve_one_body_only(self) -> None:
        once = READERS["mailgun"].once
        assert once is not None
        assert once(self.sign(self.body, NOW)) == "t" * 50


class TestMailersend(Security):
    provider, key, other = "mailersend", "key-1", "key-2"
    header: ClassVar[str] = "signature"

    def sign(self, body: bytes, now: datetime) -> Request:
        return request(body, {self.header: hmac.new(b"key-1", body, "sha256").hexdigest()})


class TestMailtrap(TestMailersend):
    provider, header = "mailtrap", "mailtrap-signature"


class TestMandrill(Security):
    provider, key, other = "mandrill", "key-1", "key-2"
    body = b"mandrill_events=%5B%7B%22event%22%3A%22delivered%22%7D%5D"

    def sign(self, body: bytes, now: datetime) -> Request:
        text = URL + "mandrill_events" + '[{"event":"delivered"}]'
        made = base64.b64encode(hmac.digest(b"key-1", text.encode(), "sha1")).decode()
        return request(body, {"content-type": "application/x-www-form-urlencoded", "x-mandrill-signature": made})


class Rsa(Security):
    """A provider with an RSA key."""

    private: ClassVar[Any] = rsa.generate_private_key(65537, 2048)


class TestPostal(Rsa):
    provider = "postal"
    key = base64.b64encode(
        Rsa.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode()
    other = base64.b64encode(
        rsa.generate_private_key(65537, 2048).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode()

    def sign(self, body: bytes, now: datetime) -> Request:
        made = base64.b64encode(self.private.sign(body, PKCS1v15(), SHA1())).decode()  # noqa: S303
        return request(body, {"x-postal-signature": made})

    def test_the_newer_signature_wins_over_the_older(self) -> None:
        newer = base64.b64encode(self.private.sign(self.body, PKCS1v15(), SHA256())).decode()
        signed = self.sign(self.body, NOW)
        self.verify(replace(signed, headers={**signed.headers, "x-postal-signature-256": newer}), self.secrets())
        with pytest.raises(RefusedError):
            self.verify(replace(signed, headers={**signed.headers, "x-postal-signature-256": "bm8="}), self.secrets())


class TestUnisenderGo(Security):
    provider, key, other = "unisender_go", "key-1", "key-2"

    def sign(self, body: bytes, now: datetime) -> Request:
        keyed = b'{"auth":"key-1","status":"delivered"}'
        made = hashlib.md5(keyed, usedforsecurity=False).hexdigest()
        return request(keyed.replace(b"key-1", made.encode()))


class TestGeneric(Security):
    provider = "generic"
    key = "whsec_" + base64.b64encode(b"a secret of ours").decode()
    other = "whsec_" + base64.b64encode(b"another of ours!").decode()
    tolerance = timedelta(minutes=5)
    prefix: ClassVar[str] = "webhook"

    def sign(self, body: bytes, now: datetime) -> Request:
        assert self.key is not None
        at = str(int(now.timestamp()))
        made = "v1," + signature(self.key, "msg-1", at, body)
        names = [f"{self.prefix}-{name}" for name in ("id", "timestamp", "signature")]
        return request(body, dict(zip(names, ("msg-1", at, made), strict=True)))


class TestResend(TestGeneric):
    provider, prefix = "resend", "svix"


def certificate(private: Any) -> bytes:
    """A certificate for a key, such as lies at Amazon."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2010, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
        .sign(private, SHA256())
    )
    return made.public_bytes(Encoding.PEM)


def by_sns(envelope: Mapping[str, Any], private: Any, version: str = "2") -> bytes:
    """An SNS envelope, signed."""
    sent = {"Timestamp": NOW.isoformat(), **envelope, "TopicArn": TOPIC, "SignatureVersion": version}
    hash_ = SHA256() if version == "2" else SHA1()  # noqa: S303
    made = private.sign(amazon_ses.signed_text(sent), PKCS1v15(), hash_)
    return json.dumps({**sent, "Signature": base64.b64encode(made).decode(), "SigningCertURL": CERTIFICATE}).encode()


class TestAmazonSes(Rsa):
    provider, key, other = "amazon_ses", TOPIC, TOPIC + "-other"
    body = b'{"Type": "Notification", "MessageId": "m-1", "Message": "delivered"}'
    tolerance = timedelta(hours=24)
    version: ClassVar[str] = "2"

    def sign(self, body: bytes, now: datetime) -> Request:
        given = request(by_sns({**json.loads(body), "Timestamp": now.isoformat()}, self.private, self.version))
        return replace(given, fetched={CERTIFICATE: certificate(self.private)})

    @pytest.mark.parametrize(
        "url",
        [
            "http://sns.eu-south-1.amazonaws.com/x.pem",
            "https://sns.eu-south-1.amazonaws.com.evil.example/x.pem",
            "https://evil.example/sns.eu-south-1.amazonaws.com/x.pem",
            "https://sns.eu-south-1.amazonaws.com@evil.example/x.pem",
            "https://sns.eu-south-1.amazonaws.com:8443/x.pem",
            "https://evil.s3.amazonaws.com/x.pem",
            "https://sns.eu-south-1.amazonaws.com/x.txt",
            "file:///etc/passwd.pem",
            "",
        ],
    )
    def test_a_certificate_is_fetched_from_amazon_only(self, url: str) -> None:
        before = READERS["amazon_ses"].before
        assert before is not None
        signed = self.sign(self.body, NOW)
        assert before(signed, self.secrets()) == [CERTIFICATE]
        sent = {**json.loads(signed.body), "SigningCertURL": url}
        with pytest.raises(RefusedError):
            before(replace(signed, body=json.dumps(sent).encode()), self.secrets())

    def test_nothing_is_fetched_for_a_topic_of_somebody_else(self) -> None:
        before = READERS["amazon_ses"].before
        assert before is not None
        with pytest.raises(RefusedError):
            before(self.sign(self.body, NOW), Secrets(keys=[TOPIC + "-other"]))

    def test_a_subscription_is_confirmed_at_amazon_only(self) -> None:
        after = READERS["amazon_ses"].after
        assert after is not None
        asked = {"Type": "SubscriptionConfirmation", "SubscribeURL": "https://sns.eu-south-1.amazonaws.com/?Token=x"}
        assert after(request(json.dumps(asked).encode())) == asked["SubscribeURL"]
        with pytest.raises(RefusedError):
            after(request(json.dumps({**asked, "SubscribeURL": "https://evil.example/"}).encode()))


class TestAmazonSesVersionOne(TestAmazonSes):
    version = "1"


def test_every_provider_has_its_security_case() -> None:
    def below(kind: type[Security]) -> set[str]:
        own = {kind.provider} if "provider" in kind.__dict__ else set()
        return own.union(*(below(one) for one in kind.__subclasses__()))

    assert below(Security) == set(READERS)
