"""A hand-assembled mail says what went in, whatever went in, and nobody can add a header to it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.headerregistry import AddressHeader
from email.message import EmailMessage  # noqa: TID251 - the reader that ours is compared with
from email.policy import default
from email.utils import parseaddr
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.delivery.mime import HeaderError, Mail, Mailbox, assemble, clean, wire_address
from app.messages.attachments import Attachment

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NAMES = st.one_of(
    st.text(max_size=120),
    st.sampled_from(["Zoë Müller", "李小龍", 'Dr. "Bob" O\\Neil', "=?utf-8?q?x?=", "a\r\nBcc: b@c.example", "😀" * 40]),
)
ADDRESSES = st.from_regex(r"[a-z0-9+_-]{1,20}(\.[a-z0-9]{1,8})?@[a-z0-9]{1,20}\.example", fullmatch=True)


def mail(**changed: object) -> Mail:
    given_: dict[str, object] = {
        "sender": Mailbox("Hotel Verbano", "soggiorno@verbano.example"),
        "recipient": Mailbox("Anna Rossi", "anna@example.com"),
        "subject": "Ci vediamo presto",
        "text": "Buongiorno Anna",
        "html": "<p>Buongiorno Anna</p>",
        "message_id": "<m1.x@verbano.example>",
        "date": NOON,
        **changed,
    }
    return Mail(**given_)  # type: ignore[arg-type]


def read(raw: bytes) -> EmailMessage[Any, Any]:
    return message_from_bytes(raw, policy=default)


def shown(raw: bytes, header: str) -> str:
    """The display name. By the older parser: the newer one puts a space between adjacent encoded words of a phrase."""
    unfolded = message_from_bytes(raw)[header].replace("\r\n", "")
    return str(make_header(decode_header(parseaddr(unfolded)[0])))


def part(parsed: EmailMessage[Any, Any], kind: str) -> str:
    body = parsed.get_body(preferencelist=(kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def lines_of(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@given(NAMES, NAMES, ADDRESSES, NAMES)
def test_headers_read_back_as_what_went_in(sender: str, name: str, email: str, subject: str) -> None:
    raw = assemble(
        mail(sender=Mailbox(sender, "a@b.example"), recipient=Mailbox(name, email), subject=subject),
    )
    parsed = read(raw)
    assert parsed["Subject"] == clean(subject)
    assert [one.addr_spec for one in cast(AddressHeader, parsed["To"]).addresses] == [email]
    assert (shown(raw, "To"), shown(raw, "From")) == (clean(name), clean(sender))
    assert parsed["Date"].datetime == NOON


@given(st.text(max_size=2000), st.text(max_size=4000))
def test_bodies_read_back_as_what_went_in(text: str, html: str) -> None:
    parsed = read(assemble(mail(text=text, html=html)))
    assert part(parsed, "plain") == lines_of(text)
    assert part(parsed, "html") == lines_of(html)
    assert not parsed.defects


@given(NAMES, NAMES, st.text(max_size=3000))
def test_the_wire_form_is_seven_bit_with_short_lines_and_no_bare_line_end(name: str, subject: str, body: str) -> None:
    raw = assemble(mail(recipient=Mailbox(name, "a@b.example"), subject=subject, text=body, html=body * 3))
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)


@given(NAMES.map(lambda name: f"{name}\r\nBcc: victim@example.com\r\n\r\nboo"))
def test_no_name_or_subject_can_add_a_header(text: str) -> None:
    plain = read(assemble(mail()))
    parsed = read(assemble(mail(sender=Mailbox(text, "a@b.example"), recipient=Mailbox(text, "c@d.ex"), subject=text)))
    assert parsed.keys() == plain.keys()


@pytest.mark.parametrize(
    "changed",
    [
        {"recipient": Mailbox("", "a@b.example\r\nBcc: c@d.example")},
        {"recipient": Mailbox("", "a@b.example>, <c@d.example")},
        {"recipient": Mailbox("", "a b@c.example")},
        {"recipient": Mailbox("", "nobody")},
        {"message_id": "<a@b>\r\nBcc: c@d.example"},
        {"message_id": "no brackets"},
        {"headers": [("List-Unsubscribe", "<https://x.example/>\r\nBcc: c@d.example")]},
        {"headers": [("Bad Name", "x")]},
        {"headers": [("Bad\r\nBcc", "x")]},
        {"headers": [("List-Unsubscribe", "<https://x.example/" + "a" * 1000 + ">")]},
    ],
)
def test_what_a_machine_obeys_is_refused_rather_than_cleaned(changed: dict[str, object]) -> None:
    with pytest.raises(HeaderError):
        assemble(mail(**changed))


def test_further_headers_stand_as_given_and_labels_keep_their_script() -> None:
    unsubscribe = "<https://verbano.example/u/" + "t" * 80 + ">, <mailto:stop@verbano.example?subject=stop>"
    parsed = read(
        assemble(
            mail(
                headers=[
                    ("List-Unsubscribe", unsubscribe),
                    ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
                    ("List-Id", "Novità <news.verbano.example>"),
                ]
            )
        )
    )
    assert parsed["List-Unsubscribe"] == unsubscribe
    assert parsed["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert parsed["List-Id"] == "Novità <news.verbano.example>"


def test_a_name_in_another_script_is_never_transliterated() -> None:
    raw = assemble(mail(recipient=Mailbox("Никола́й 李", "nikolai@example.com")))
    assert "Никола́й 李" in str(read(raw)["To"])
    assert b"=?utf-8?B?" in raw


def test_a_domain_in_another_script_goes_in_ascii_and_a_local_part_stays() -> None:
    assert wire_address("Anna.Rossi+x@città.example") == "Anna.Rossi+x@xn--citt-3na.example"
    assert wire_address("jörg@example.com") == "jörg@example.com"


def test_a_long_subject_is_folded_and_reads_as_one_line() -> None:
    subject = "parola " * 40 + "fine"
    raw = assemble(mail(subject=subject))
    assert read(raw)["Subject"] == subject
    assert max(map(len, raw.split(b"\r\n"))) <= 78


HOUSE_RULES = Attachment("house-rules.pdf", "application/pdf", b"%PDF-1.7\n" + bytes(range(256)))


def test_files_go_around_the_words_and_read_back_byte_for_byte() -> None:
    calendar = Attachment("calendar.ics", "text/calendar", b"BEGIN:VCALENDAR\r\n", "; charset=utf-8; method=PUBLISH")
    parsed = read(assemble(mail(attachments=[calendar, HOUSE_RULES])))
    assert (part(parsed, "plain"), part(parsed, "html")) == ("Buongiorno Anna", "<p>Buongiorno Anna</p>")
    first, second = parsed.iter_attachments()
    assert (first.get_filename(), first.get_content_type()) == ("calendar.ics", "text/calendar")
    assert (first.get_param("method"), first.get_payload(decode=True)) == ("PUBLISH", calendar.data)
    assert (second.get_filename(), second.get_payload(decode=True)) == ("house-rules.pdf", HOUSE_RULES.data)
    assert parsed.get_content_type() == "multipart/mixed"
    assert not any(one.defects for one in parsed.walk())


def test_a_mail_without_files_is_as_it_was() -> None:
    assert read(assemble(mail())).get_content_type() == "multipart/alternative"


def test_a_files_name_starts_no_header() -> None:
    odd = Attachment('a"\r\nBcc: b@c.example.pdf', "application/pdf", b"%PDF-")
    parsed = read(assemble(mail(attachments=[odd])))
    (one,) = parsed.iter_attachments()
    assert one.get_filename() == "a___Bcc__b_c.example.pdf"
    assert one["Bcc"] is None
