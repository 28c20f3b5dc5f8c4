"""Mails go out over real connections to real servers, and what is certain decides what a broken line means."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope
from aiosmtpd.smtp import Session as SmtpSession
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from app.delivery.mime import Mail, Mailbox, assemble
from app.delivery.providers import Accepted, Outgoing, Permanent, Transient
from app.delivery.providers.smtp import Server, ServerError, Smtp
from tests.sink import Sink

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def outgoing(*locals_: str, text: str = "Ciao\n.a line that starts with a dot\n.\nfine") -> list[Outgoing]:
    """One mail to each of these local parts."""
    mails = []
    for number, local in enumerate(locals_):
        message_id = f"<{number}.{local.encode().hex()}@verbano.example>"
        sender, to = "soggiorno@verbano.example", f"{local}@example.com"
        mail = Mail(
            sender=Mailbox("Hotel Verbano", sender),
            recipient=Mailbox("Anna", to),
            subject="Ciao",
            text=text,
            html="<p>Ciao</p>",
            message_id=message_id,
            date=NOON,
        )
        mails.append(Outgoing(number, number, message_id, sender, to, assemble(mail), mail))
    return mails


@pytest.fixture
def transport() -> Iterator[Callable[..., Smtp]]:
    """`transport(port, query)` is a way out to a server on this machine, closed afterwards."""
    made: list[Smtp] = []

    def build(port: int, query: str = "", *, scheme: str = "smtp", user: str = "", connections: int = 4) -> Smtp:
        made.append(Smtp(Server.parse(f"{scheme}://{user}127.0.0.1:{port}{query}"), connections, timeout=3))
        return made[-1]

    yield build
    for one in made:
        one.close()


@pytest.fixture(params=[True, False], ids=["pipelined", "one by one"])
def sink(request: pytest.FixtureRequest) -> Iterator[Sink]:
    with Sink(pipelining=request.param) as server:
        yield server


@pytest.fixture
def smtp(sink: Sink, transport: Callable[..., Smtp]) -> Smtp:
    return transport(sink.port)


def kinds(outcomes: Sequence[object]) -> list[str]:
    return [type(outcome).__name__ for outcome in outcomes]


def test_every_mail_of_a_group_arrives_as_it_was(sink: Sink, smtp: Smtp) -> None:
    mails = outgoing(*(f"guest{n}" for n in range(20)))
    assert kinds(smtp.send(mails)) == ["Accepted"] * 20
    assert [taken.data for taken in sink.mails] == [mail.raw for mail in mails]


def test_each_refusal_falls_on_its_own_mail(sink: Sink, smtp: Smtp) -> None:
    outcomes = smtp.send(outgoing("anna", "bad1", "full", "berta", "blocked", "greylist", "carla"))
    assert kinds(outcomes) == [
        *("Accepted", "Permanent", "Transient", "Accepted"),
        *("Permanent", "Transient", "Accepted"),
    ]
    assert outcomes[1] == Permanent("550 5.1.1", "5.1.1 no such mailbox", "recipient")
    assert outcomes[2] == Transient("452 4.2.2", "4.2.2 mailbox full")
    assert isinstance(outcomes[4], Permanent)
    assert outcomes[4].scope == "sender"
    assert [mail.recipients for mail in sink.mails] == [
        ("anna@example.com",),
        ("berta@example.com",),
        ("carla@example.com",),
    ]


def test_what_was_put_off_goes_at_the_next_try(sink: Sink, smtp: Smtp) -> None:
    mails = outgoing("greylist")
    assert kinds(smtp.send(mails)) == ["Transient"]
    assert kinds(smtp.send(mails)) == ["Accepted"]
    assert len(sink.mails) == 1


def test_a_line_lost_before_the_end_of_the_data_costs_nobody_else_and_doubles_nothing(sink: Sink, smtp: Smtp) -> None:
    outcomes = smtp.send(outgoing("anna", "drop", "berta", "carla"))
    assert kinds(outcomes) == ["Accepted", "Transient", "Accepted", "Accepted"]
    assert set(sink.ids.values()) == {1}
    assert len(sink.ids) == 3


def test_a_line_lost_in_the_middle_of_the_data_is_tried_again_later(sink: Sink, smtp: Smtp) -> None:
    big = outgoing("late", text="Ciao " * 200_000)
    assert kinds(smtp.send([*outgoing("anna"), *big, *outgoing("berta")]))[::2] == ["Accepted", "Accepted"]
    assert not sink.to("late@example.com")


def test_a_silence_after_the_end_of_the_data_is_unknown_and_the_rest_goes_on(sink: Sink, smtp: Smtp) -> None:
    outcomes = smtp.send(outgoing("anna", "cut", "berta"))
    assert kinds(outcomes) == ["Accepted", "Unknown", "Accepted"]
    assert sink.ids.total() == len(sink.ids) == 3


def test_a_pooled_connection_closed_while_idle_costs_no_mail_and_doubles_none(sink: Sink, smtp: Smtp) -> None:
    smtp.send(outgoing("anna"))
    sink.hang_up()
    assert kinds(smtp.send(outgoing("berta", "carla"))) == ["Accepted", "Accepted"]
    assert sink.ids.total() == len(sink.ids) == 3


def test_a_connection_that_dies_unnoticed_is_replaced(sink: Sink, smtp: Smtp, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same when the look at the idle connection came a moment too early to see it close."""
    smtp.send(outgoing("anna"))
    monkeypatch.setattr("app.delivery.providers.smtp._Connection.stale", lambda _: False)
    sink.hang_up()
    assert kinds(smtp.send(outgoing("berta", "carla"))) == ["Accepted", "Accepted"]
    assert sink.ids.total() == len(sink.ids) == 3


def test_several_threads_use_several_connections_and_no_more_than_allowed(transport: Callable[..., Smtp]) -> None:
    with Sink(delay=0.02) as sink:
        smtp = transport(sink.port, connections=3)
        results: list[list[str]] = []
        threads = [
            threading.Thread(
                target=lambda n=n: results.append(kinds(smtp.send(outgoing(*(f"g{n}x{m}" for m in range(5))))))
            )
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert Counter(kind for result in results for kind in result) == {"Accepted": 40}
        assert sink.connections == 3


def test_nobody_at_home_is_a_reason_to_try_later(transport: Callable[..., Smtp]) -> None:
    outcomes = transport(1).send(outgoing("anna", "berta"))
    assert kinds(outcomes) == ["Transient", "Transient"]


def test_a_mail_too_large_for_the_server_is_refused_without_sending_it(transport: Callable[..., Smtp]) -> None:
    with Sink() as sink:
        huge = outgoing("anna", text="x" * 1_100_000)
        assert kinds(transport(sink.port).send([*huge, *outgoing("berta")])) == ["Permanent", "Accepted"]


def test_an_address_in_another_script_goes_by_smtputf8(transport: Callable[..., Smtp]) -> None:
    with Sink() as sink:
        assert kinds(transport(sink.port).send(outgoing("jörg"))) == ["Accepted"]
        assert sink.mails[0].recipients == ("jörg@example.com",)


# -- encryption and passwords, against aiosmtpd ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and its own certificate for 127.0.0.1, in one file."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test mail server")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


class Inbox:
    """aiosmtpd's handler: keeps who came in how."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bool, str | None]] = []

    async def handle_DATA(self, _server: Any, session: SmtpSession, envelope: Envelope) -> str:  # noqa: N802
        who = getattr(session.auth_data, "login", b"").decode() or None
        self.taken.append((envelope.rcpt_tos[0], session.ssl is not None, who))
        return "250 2.0.0 Ok: queued as 4XYZ"


MailServer = Callable[..., tuple[int, Inbox]]


def check_password(_server: Any, _session: Any, _envelope: Any, _way: str, data: Any) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"hotel", b"p:w/d@x"), handled=False, auth_data=data)


@pytest.fixture
def mail_server(certificate: Path) -> Iterator[MailServer]:
    running: list[Controller] = []
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def start(*, implicit: bool = False, starttls: bool = False, **options: Any) -> tuple[int, Inbox]:
        inbox = Inbox()
        more: dict[str, Any] = {"ssl_context": context} if implicit else {"tls_context": context} if starttls else {}
        # Port 0 is not possible here: the controller connects to the port it was told.
        for port in range(8140, 8160):
            controller = Controller(inbox, hostname="127.0.0.1", port=port, **more, **options)
            try:
                controller.start()
            except OSError:
                continue
            running.append(controller)
            return port, inbox
        raise AssertionError("no free port")

    yield start
    for controller in running:
        controller.stop()


AUTH = {"authenticator": check_password, "auth_required": True}


@pytest.mark.parametrize("exclude", [None, ["PLAIN"]], ids=["plain", "login"])
def test_starttls_with_a_password(
    mail_server: MailServer, transport: Callable[..., Smtp], certificate: Path, exclude: list[str] | None
) -> None:
    port, inbox = mail_server(starttls=True, require_starttls=True, auth_exclude_mechanism=exclude, **AUTH)
    smtp = transport(port, f"?tls=starttls&ca={certificate}", user="hotel:p%3Aw%2Fd%40x@")
    assert smtp.send(outgoing("anna")) == [Accepted("4XYZ", "250 2.0.0", "2.0.0 Ok: queued as 4XYZ")]
    assert inbox.taken == [("anna@example.com", True, "hotel")]


def test_implicit_tls(mail_server: MailServer, transport: Callable[..., Smtp], certificate: Path) -> None:
    port, inbox = mail_server(implicit=True)
    smtp = transport(port, f"?ca={certificate}", scheme="smtps")
    assert kinds(smtp.send(outgoing("anna", "berta"))) == ["Accepted", "Accepted"]
    assert [who for who, _, _ in inbox.taken] == ["anna@example.com", "berta@example.com"]


def test_a_certificate_nobody_vouches_for_is_refused(mail_server: MailServer, transport: Callable[..., Smtp]) -> None:
    port, inbox = mail_server(starttls=True)
    outcomes = transport(port, "?tls=starttls").send(outgoing("anna"))
    assert isinstance(outcomes[0], Transient)
    assert "CERTIFICATE_VERIFY_FAILED" in outcomes[0].text
    assert inbox.taken == []


def test_required_encryption_that_is_not_offered_stops_everything(
    mail_server: MailServer, transport: Callable[..., Smtp]
) -> None:
    port, inbox = mail_server()
    assert kinds(transport(port, "?tls=starttls").send(outgoing("anna"))) == ["Transient"]
    assert inbox.taken == []


def test_a_wrong_password_burns_no_mail(
    mail_server: MailServer, transport: Callable[..., Smtp], certificate: Path
) -> None:
    port, inbox = mail_server(starttls=True, **AUTH)
    outcomes = transport(port, f"?ca={certificate}", user="hotel:wrong@").send(outgoing("anna", "berta"))
    assert outcomes == [Transient("535 5.7.8", outcomes[0].text, elsewhere=True)] * 2
    assert inbox.taken == []


@pytest.mark.parametrize("url", ["http://x", "smtp://", "smtp://x?tls=maybe", "smtp://x?tsl=off"])
def test_an_address_that_cannot_be_meant_is_refused(url: str) -> None:
    with pytest.raises(ServerError):
        Server.parse(url)
