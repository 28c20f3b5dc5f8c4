"""Each provider's own API: what goes out is what it documents, and its answers mean what they say, the bad ones too."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.delivery.mime import Mail, Mailbox, assemble
from app.delivery.providers import Accepted, Outgoing, Permanent, Transient, Unknown
from app.delivery.providers.api import Access, Answer, Api, Refusal
from app.delivery.providers.readers import READERS
from app.delivery.providers.webhooks import as_tag, sent_as
from app.delivery.providers.writers import WRITERS
from app.messages.attachments import Attachment
from tests.delivery.fakes.providers import PROVIDERS
from tests.delivery.fakes.server import Asked, Fake, Said, say
from tests.delivery.test_provider_words import mutants

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LIST = [
    ("List-Unsubscribe", "<https://verbano.example/m/u/abc>"),
    ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ("List-Id", "Hôtel Verbano, offers <offers.verbano.verbano.example>"),
    ("Feedback-ID", "news:marketing:verbano:p123456789"),
]
SIGNATURE = b"DKIM-Signature: v=1; a=rsa-sha256; d=verbano.example;\r\n h=from:to;\r\n bh=x;\r\n b=y\r\n"
IDEMPOTENT = {"brevo", "resend"}
each = pytest.mark.parametrize("provider", sorted(WRITERS))


def mail(number: int = 1, to: str = "giulia@example.com", stream: Any = "marketing") -> Outgoing:
    message_id = f"<{number:032x}@verbano.example>"
    made = Mail(
        sender=Mailbox('Hôtel "Verbano"', "ciao@verbano.example"),
        recipient=Mailbox("Giulia Neri", to),
        subject=f"Ciao {number} {{{{ name }}}} è primavera",
        text="Ciao Giulia\n.punto",
        html="<p>Ciao è {{ name }}</p>",
        message_id=message_id,
        date=NOON,
        reply_to=Mailbox("", "reception@verbano.example"),
        headers=LIST,
    )
    raw = SIGNATURE + assemble(made)
    return Outgoing(number, number, message_id, "bounces+00@verbano.example", to, raw, made, stream)


@contextmanager
def way(provider: str, answer: Callable[[Asked], Said] | None = None, timeout: float = 1) -> Iterator[tuple[Api, Fake]]:
    """A sender by a provider that a fake plays; a request in doubt is repeated without a pause."""
    about = PROVIDERS[provider]
    with Fake(answer or about.took) as fake:
        api = Api("main", WRITERS[provider], Access(about.credentials, about.options, fake.url), 2, timeout, (0, 0))
        try:
            yield api, fake
        finally:
            api.close()


def test_every_provider_that_sends_has_its_fake() -> None:
    assert set(PROVIDERS) == set(WRITERS)
    assert set(WRITERS) <= set(READERS)


@each
def test_the_request_is_what_the_provider_documents(provider: str) -> None:
    about = PROVIDERS[provider]
    with way(provider) as (api, fake):
        outcomes = api.send([mail()])
    (asked,) = fake.asked
    assert (asked.method, asked.path) == ("POST", about.path)
    assert {name: asked.headers.get(name) for name in about.headers} == about.headers
    (sent,) = about.mails(asked)
    assert (sent["subject"], sent["to"], sent["sender"]) == (
        "Ciao 1 {{ name }} è primavera",
        "giulia@example.com",
        "ciao@verbano.example",
    )
    assert sent["html"].strip() == "<p>Ciao è {{ name }}</p>"
    assert sent["text"].strip().replace("\r\n", "\n") == "Ciao Giulia\n.punto"
    assert sent["headers"]["list-unsubscribe"] == "<https://verbano.example/m/u/abc>"
    assert sent["headers"]["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    assert sent["headers"]["feedback-id"] == "news:marketing:verbano:p123456789"
    assert sent["ours"] == mail().message_id
    assert outcomes == [Accepted(about.ids(0), None, outcomes[0].text)]


@each
def test_our_own_bytes_go_out_where_the_provider_takes_them(provider: str) -> None:
    with way(provider) as (api, fake):
        api.send([mail()])
    (sent,) = PROVIDERS[provider].mails(fake.asked[0])
    whole = mail().raw
    if provider == "amazon_ses":  # it rewrites two headers that we sign, so the broken signature stays at home
        whole = whole.removeprefix(SIGNATURE)
    assert sent.get("raw") == (whole if WRITERS[provider].raw else None)


def test_r35_amazon_is_told_where_the_bounce_of_this_very_mail_goes_where_that_is_asked_for() -> None:
    about = PROVIDERS["amazon_ses"]
    for options, where in ((about.options, None), ({**about.options, "feedback": "mail"}, mail().envelope_from)):
        with Fake(about.took) as fake:
            api = Api("main", WRITERS["amazon_ses"], Access(about.credentials, options, fake.url), 2, 1, (0, 0))
            api.send([mail()])
            api.close()
        assert fake.asked[0].json.get("FeedbackForwardingEmailAddress") == where


@each
def test_a_provider_knows_a_request_again_for_less_than_it_says(provider: str) -> None:
    says = {"resend": timedelta(hours=24), "brevo": timedelta(minutes=30)}.get(provider, timedelta())
    known = WRITERS[provider].known_for
    assert known < says if says else not known
    assert bool(known) == (provider in IDEMPOTENT)


@each
def test_no_header_goes_out_that_is_not_ascii(provider: str) -> None:
    """A provider that sends it on as it is has the mail refused by the reader's server."""
    with way(provider) as (api, fake):
        api.send([mail()])
    (sent,) = PROVIDERS[provider].mails(fake.asked[0])
    if not WRITERS[provider].raw:
        assert all(value.isascii() for value in sent["headers"].values())
        assert sent["headers"].get("list-id", "<offers.verbano.verbano.example>") == "<offers.verbano.verbano.example>"


@each
def test_what_a_webhook_gives_back_of_our_metadata_is_our_message_id(provider: str) -> None:
    message_id = mail().message_id
    assert sent_as({"percorso_message": as_tag(message_id)}) == message_id
    assert sent_as({"percorso_message": message_id}) == sent_as({"percorso_message": message_id.strip("<>")})
    assert as_tag(message_id).replace("-", "").replace("_", "").isalnum()
    assert len(as_tag(message_id)) <= 256


@each
def test_a_group_has_an_answer_for_each_mail_in_order(provider: str) -> None:
    about = PROVIDERS[provider]
    with way(provider) as (api, fake):
        outcomes = api.send([mail(number, f"guest{number}@example.com") for number in range(3)])
    sent = [one for asked in fake.asked for one in about.mails(asked)]
    assert [one["to"] for one in sent] == [f"guest{number}@example.com" for number in range(3)]
    batch = WRITERS[provider].at_once > 1
    assert len(fake.asked) == (1 if batch else 3)
    assert [one.provider_id for one in outcomes if isinstance(one, Accepted)] == [
        about.ids(number if batch else 0) for number in range(3)
    ]


@each
def test_connections_stay_open_between_groups(provider: str) -> None:
    with way(provider) as (api, fake):
        for number in range(4):
            api.send([mail(number)])
    assert fake.connections == 1


@each
def test_an_address_that_is_none_is_the_readers_for_good(provider: str) -> None:
    with way(provider) as (api, fake):
        fake.first = [PROVIDERS[provider].bad_reader]
        (outcome,) = api.send([mail()])
    assert isinstance(outcome, Permanent)
    assert (outcome.scope, outcome.meaning) == ("recipient", "hard")
    assert outcome.text


@each
def test_trouble_with_our_account_is_no_fault_of_the_mail(provider: str) -> None:
    with way(provider) as (api, fake):
        fake.first = [PROVIDERS[provider].bad_account]
        (outcome,) = api.send([mail()])
    assert isinstance(outcome, Transient)
    assert outcome.elsewhere


@each
@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_provider_that_cannot_take_mails_now_has_surely_not_taken_it(provider: str, status: int) -> None:
    with way(provider) as (api, fake):
        fake.first = [say(status, {"message": "not now"}, Retry_After="7")]
        (outcome,) = api.send([mail()])
    assert isinstance(outcome, Transient)
    assert (outcome.code, outcome.elsewhere, outcome.wait) == (str(status), True, 7)
    assert len(fake.asked) == 1


@each
def test_a_mail_that_is_refused_for_what_it_is_goes_nowhere_else(provider: str) -> None:
    with way(provider) as (api, fake):
        fake.first = [say(400, {"message": "no"})]
        (outcome,) = api.send([mail()])
    assert outcome == Permanent(outcome.code, outcome.text, "sender") if isinstance(outcome, Permanent) else False


@each
def test_nobody_at_home_is_surely_not_taken_and_asked_twice_at_most(provider: str) -> None:
    with way(provider) as (api, fake):
        fake.close()
        outcomes = api.send([mail(number) for number in range(20)])
    assert all(isinstance(one, Transient) and one.elsewhere and one.code is None for one in outcomes)
    assert len(outcomes) == 20


@each
@pytest.mark.parametrize("how", ["cut", "silent"])
def test_a_silence_after_the_mail_is_in_doubt_and_only_repeated_under_a_key(provider: str, how: Any) -> None:
    with way(provider, timeout=0.3) as (api, fake):
        fake.first = [say(200, {}, how)]
        (outcome,) = api.send([mail()])
    if provider in IDEMPOTENT:
        assert isinstance(outcome, Accepted)
        first, second = fake.asked
        assert first.body == second.body
        keys = [PROVIDERS[provider].mails(asked)[0]["key"] for asked in (first, second)]
        assert keys[0] == keys[1]
    else:
        assert isinstance(outcome, Unknown)
        assert len(fake.asked) == 1


@each
@pytest.mark.parametrize("status", [502, 504])
def test_what_a_gateway_answers_in_the_providers_stead_is_in_doubt(provider: str, status: int) -> None:
    with way(provider, lambda _: say(status, {"message": "bad gateway"})) as (api, fake):
        (outcome,) = api.send([mail()])
    assert isinstance(outcome, Unknown)
    assert len(fake.asked) == (3 if provider in IDEMPOTENT else 1)


@each
def test_a_line_that_is_cut_before_the_mail_was_out_is_surely_not_taken(provider: str) -> None:
    large = replace(mail(), mail=replace(mail().mail, html="x" * 30_000_000), raw=mail().raw + b"x" * 30_000_000)
    with way(provider, timeout=5) as (api, fake):
        fake.first = [say(200, {}, "refuse")]
        (outcome,) = api.send([large])
    assert isinstance(outcome, Transient)
    assert outcome.elsewhere
    assert fake.asked == []


@each
def test_an_answer_that_breaks_off_after_a_yes_is_a_yes(provider: str) -> None:
    about = PROVIDERS[provider]
    with way(provider, lambda asked: replace(about.took(asked), how="broken")) as (api, _):
        (outcome,) = api.send([mail()])
    assert isinstance(outcome, Accepted)


@each
def test_a_redirect_is_not_followed(provider: str) -> None:
    with way(provider) as (api, fake):
        fake.first = [say(307, {}, Location=f"{fake.url}/elsewhere")]
        (outcome,) = api.send([mail()])
    assert isinstance(outcome, Transient)
    assert len(fake.asked) == 1


@each
def test_an_answer_that_makes_no_sense_is_an_outcome_and_never_an_error(provider: str) -> None:
    """An error would leave the whole group in doubt."""
    writer, about = WRITERS[provider], PROVIDERS[provider]
    asked = Asked("POST", about.path, {}, b"[]", 1)
    with way(provider) as (api, fake):
        api.send([mail()])
        asked = fake.asked[0]
    tried = 0
    for said in (about.took(asked), about.bad_reader, about.bad_account):
        for odd in mutants(json.loads(said.body or b"{}")):
            answer = Answer(said.status, {}, json.dumps(odd).encode())
            took, refused = writer.took(answer, [mail()]), writer.refused(answer, [mail()])
            assert len(took) == 1
            assert isinstance(refused, Refusal) or len(refused) == 1
            tried += 1
        for body in (b"", b"<html>", b"\xff\xfe", b"{", b"null"):
            assert len(writer.took(Answer(200, {}, body), [mail()])) == 1
            writer.refused(Answer(400, {}, body), [mail()])
    assert tried > 20


@each
def test_a_mail_that_cannot_be_written_ends_alone(provider: str) -> None:
    odd = replace(mail(), mail=replace(mail().mail, subject="half a pair \ud800", html="\ud800", text="\ud800"))
    with way(provider) as (api, _):
        outcomes = api.send([odd])
    assert isinstance(outcomes[0], Accepted if WRITERS[provider].raw else Permanent)


# -- one by one -------------------------------------------------------------------------------------------------------


def test_resend_knows_the_mail_by_its_message_id() -> None:
    with way("resend") as (api, fake):
        api.send([mail()])
        api.send([mail()])
    assert [asked.headers["idempotency-key"] for asked in fake.asked] == [mail().message_id.strip("<>")] * 2


@pytest.mark.parametrize("name", ["concurrent_idempotent_requests", "invalid_idempotent_request"])
def test_a_key_that_resend_has_seen_with_something_else_stays_in_doubt(name: str) -> None:
    with way("resend", lambda _: say(409, {"statusCode": 409, "name": name, "message": "used"})) as (api, _):
        (outcome,) = api.send([mail()])
    assert isinstance(outcome, Unknown)


def test_a_doubt_stays_a_doubt_where_the_repetition_is_put_off() -> None:
    with way("resend", lambda _: say(429, {"name": "rate_limit_exceeded", "message": "slow down"})) as (api, fake):
        fake.first = [say(200, {}, "cut")]
        (outcome,) = api.send([mail()])
    assert isinstance(outcome, Unknown)


def test_brevo_calls_a_repetition_of_what_it_took_a_duplicate() -> None:
    duplicate = say(400, {"code": "duplicate_parameter", "message": "idempotencyKey was used"})
    with way("brevo", lambda _: duplicate) as (api, fake):
        fake.first = [say(201, {}, "cut")]
        assert isinstance(api.send([mail()])[0], Accepted)
    with way("brevo", lambda _: duplicate) as (api, _):
        assert isinstance(api.send([mail()])[0], Unknown), "nobody of us had asked before"


def test_postmark_answers_for_each_mail_of_a_batch() -> None:
    answers = [
        {"ErrorCode": 0, "Message": "OK", "MessageID": "pm-1"},
        {"ErrorCode": 406, "Message": "Found inactive addresses: b@example.com."},
        {"ErrorCode": 300, "Message": "Error parsing 'To': Illegal email domain."},
        {"ErrorCode": 300, "Message": "Invalid metadata content."},
    ]
    with way("postmark", lambda _: say(200, answers)) as (api, _):
        one, two, three, four = api.send([mail(number) for number in range(4)])
    assert isinstance(one, Accepted)
    assert isinstance(two, Permanent)
    assert (two.scope, two.meaning) == ("recipient", "soft")
    assert isinstance(three, Permanent)
    assert three.meaning == "hard"
    assert isinstance(four, Permanent)
    assert four.scope == "sender"


def test_postmark_sends_each_stream_by_a_stream_of_its_own() -> None:
    with way("postmark") as (api, fake):
        api.send([mail(1), mail(2, stream="service")])
    assert [one["stream"] for one in PROVIDERS["postmark"].mails(fake.asked[0])] == ["broadcast", "outbound"]


@pytest.mark.parametrize("provider", ["postmark", "mailjet"])
def test_an_answer_that_fits_no_mail_of_a_batch_leaves_all_in_doubt(provider: str) -> None:
    with way(provider, lambda _: say(200, [])) as (api, _):
        outcomes = api.send([mail(1), mail(2)])
    assert all(isinstance(one, Unknown) for one in outcomes)


def test_mailjet_takes_some_mails_of_a_batch_and_not_others() -> None:
    wrong = PROVIDERS["mailjet"].bad_reader.body.decode()

    def answer(asked: Asked) -> Said:
        errors = Asked("", "", {}, wrong.encode(), 0).json["Messages"]
        fine = Asked("", "", {}, PROVIDERS["mailjet"].took(asked).body, 0).json["Messages"][:1]
        return say(400, {"Messages": [*errors, *fine]})

    with way("mailjet", answer) as (api, _):
        first, second = api.send([mail(1), mail(2)])
    assert isinstance(first, Permanent)
    assert isinstance(second, Accepted)


def test_mailgun_greets_whoever_asks_at_a_wrong_address() -> None:
    with way("mailgun", lambda _: Said(200, b"Mailgun Magnificent API")) as (api, _):
        (outcome,) = api.send([mail()])
    assert isinstance(outcome, Transient)


def test_a_reader_on_sparkposts_own_list_is_not_written_to_again_and_again() -> None:
    error = {"message": "Message generation rejected", "description": "recipient suppressed", "code": "1902"}
    listed = {"errors": [error]}
    with way("sparkpost", lambda _: say(400, listed)) as (api, _):
        (outcome,) = api.send([mail()])
    assert isinstance(outcome, Permanent)
    assert (outcome.scope, outcome.meaning) == ("recipient", "soft")


def test_requests_to_amazon_are_signed_as_its_reference_says() -> None:
    """Worked out anew from the reference ("Signature Version 4"), from what came in alone."""
    about = PROVIDERS["amazon_ses"]
    with way("amazon_ses") as (api, fake):
        api.send([mail()])
    (asked,) = fake.asked
    given = asked.headers["authorization"]
    scope = given.partition("Credential=")[2].partition(",")[0].partition("/")[2]
    names = given.partition("SignedHeaders=")[2].partition(",")[0]
    assert {"host", "content-type", "x-amz-date", "x-amz-content-sha256"} <= set(names.split(";"))
    assert scope == f"{asked.headers['x-amz-date'][:8]}/eu-west-1/ses/aws4_request"
    payload = hashlib.sha256(asked.body).hexdigest()
    assert asked.headers["x-amz-content-sha256"] == payload
    lines = "".join(f"{name}:{asked.headers[name]}\n" for name in names.split(";"))
    canonical = f"{asked.method}\n{asked.path}\n\n{lines}\n{names}\n{payload}"
    text = "\n".join(
        ["AWS4-HMAC-SHA256", asked.headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = ("AWS4" + about.credentials["secret"]).encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    assert given.endswith("Signature=" + hmac.new(key, text.encode(), "sha256").hexdigest())
    assert asked.json["ConfigurationSetName"] == "events"


def test_the_addresses_of_providers_are_their_own() -> None:
    def base(provider: str, **options: str) -> str:
        return WRITERS[provider].base(Access({}, options))

    assert base("amazon_ses") == "https://email.eu-south-1.amazonaws.com"
    assert base("amazon_ses", region="us-east-1") == "https://email.us-east-1.amazonaws.com"
    with pytest.raises(ValueError, match="no region"):
        base("amazon_ses", region="evil.example/")
    assert base("mailgun", region="eu") == "https://api.eu.mailgun.net"
    assert base("sendgrid", region="eu") == "https://api.eu.sendgrid.com"
    assert base("sparkpost", region="eu") == "https://api.eu.sparkpost.com"
    assert {base(provider) for provider in ("brevo", "mailjet", "postmark", "resend")} == {
        "https://api.brevo.com",
        "https://api.mailjet.com",
        "https://api.postmarkapp.com",
        "https://api.resend.com",
    }


def test_a_way_out_says_what_it_needs_and_what_is_lost_by_it() -> None:
    for writer in WRITERS.values():
        assert writer.credentials
        assert all(writer.credentials.values())
        assert all(writer.options.values())
        assert writer.lost


@each
def test_files_go_out_as_the_provider_documents(provider: str) -> None:
    files = [
        Attachment("calendar.ics", "text/calendar", b"BEGIN:VCALENDAR\r\n", "; charset=utf-8; method=PUBLISH"),
        Attachment("house-rules.pdf", "application/pdf", b"%PDF-1.7"),
    ]
    plain = mail()
    made = replace(plain.mail, attachments=files)
    with way(provider) as (api, fake):
        api.send([replace(plain, mail=made, raw=SIGNATURE + assemble(made))])
        api.send([plain])
    (sent,), (without,) = (PROVIDERS[provider].mails(asked) for asked in fake.asked)
    by_name = provider == "brevo"
    assert sent["files"] == [(one.name, None if by_name else one.type, one.data) for one in files]
    assert without["files"] == []


@pytest.mark.parametrize("provider", sorted(name for name, writer in WRITERS.items() if writer.at_once > 1))
def test_a_batch_with_large_files_is_cut_before_the_provider_refuses_it_whole(provider: str) -> None:
    file = Attachment("house-rules.pdf", "application/pdf", b"%PDF-" + bytes(1_999_000))
    group = [replace(one, mail=replace(one.mail, attachments=[file])) for one in map(mail, range(7))]
    with way(provider, timeout=5) as (api, fake):
        outcomes = api.send(group)
    assert [len(PROVIDERS[provider].mails(asked)) for asked in fake.asked] == [5, 2]
    assert len(outcomes) == 7
