"""What came back by mail is read for what it is (R35, R36); real mails of dozens of servers say whether it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from hypothesis import given
from hypothesis import strategies as st

from app import cli
from app.delivery.bounces import read
from app.delivery.status import HARD

DSN = """Return-Path: <>
Delivered-To: bounces+0a1b@lago.example
From: MAILER-DAEMON@mx.example.net
Subject: Undelivered Mail Returned to Sender
Message-ID: <report@mx.example.net>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

{blocks}
--b
Content-Type: message/rfc822

From: ciao@lago.example
To: anna@example.net
Message-ID: <ours@lago.example>
Subject: Hello

Hello
--b--
"""


def dsn(*blocks: str) -> bytes:
    return DSN.format(blocks="\n".join(blocks)).replace("\n", "\r\n").encode()


def block(action: str, status: str, said: str = "", who: str = "anna@example.net") -> str:
    diagnostic = f"Diagnostic-Code: smtp; {said}\n" if said else ""
    return f"Final-Recipient: rfc822; {who}\nAction: {action}\nStatus: {status}\n{diagnostic}"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (block("failed", "5.1.1", "550 5.1.1 no such user"), "hard"),
        (block("failed", "5.2.2", "552 5.2.2 over quota"), "soft"),
        (block("failed", "4.4.7", "message expired"), "soft"),
        (block("failed", "5.7.1", "550 5.7.1 message refused"), "blocked"),
        (block("failed", "5.1.1", "550 5.1.1 blocked using a block list"), "blocked"),
        (block("failed", "5.0.0", "550 Unknown user anna@example.net"), "hard"),
        (block("failed", "5.9.9"), "soft"),
        (block("delayed", "4.4.1"), "delayed"),
        (block("delivered", "2.1.5"), "none"),
    ],
)
def test_a_delivery_status_means_what_its_code_and_words_say(written: str, meant: str) -> None:
    report = read(dsn(written))
    assert [(one.verdict, one.recipient) for one in report.verdicts] == [(meant, "anna@example.net")]


def test_a_report_names_the_message_it_is_about_and_the_address_it_came_back_to() -> None:
    report = read(dsn(block("failed", "5.1.1")))
    assert (report.message_id, report.came_to) == ("<ours@lago.example>", ("bounces+0a1b@lago.example",))


def test_a_failure_after_a_delay_is_a_failure() -> None:
    report = read(dsn(block("delayed", "4.4.1"), block("failed", "4.4.7", "expired")))
    assert [one.verdict for one in report.verdicts] == ["soft"]


def test_each_recipient_has_a_verdict_of_its_own() -> None:
    report = read(dsn(block("failed", "5.1.1"), block("failed", "5.2.2", "full", who="ugo@example.net")))
    assert {one.recipient: one.verdict for one in report.verdicts} == {
        "anna@example.net": "hard",
        "ugo@example.net": "soft",
    }


def test_an_answering_machine_is_no_bounce() -> None:
    mail = (
        b"From: anna@example.net\r\nSubject: Fuori ufficio\r\nAuto-Submitted: auto-replied\r\n"
        b"In-Reply-To: <ours@lago.example>\r\n\r\nTorno il 3. Scrivete a ugo@example.net.\r\n"
    )
    assert read(mail).verdicts == ()


def test_a_complaint_is_told_by_its_form_even_with_the_recipient_blotted_out() -> None:
    mail = (
        b'From: fbl@mailbox.example\r\nContent-Type: multipart/report; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nA complaint.\r\n"
        b"--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: {kind}\r\nVersion: 1\r\n\r\n"
        b"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <ours@lago.example>\r\n\r\n--b--\r\n"
    )
    abuse = read(mail.replace(b"{kind}", b"abuse"))
    assert [(one.verdict, one.recipient) for one in abuse.verdicts] == [("complaint", None)]
    assert abuse.message_id == "<ours@lago.example>"
    assert [one.verdict for one in read(mail.replace(b"{kind}", b"not-spam")).verdicts] == ["none"]


@given(st.binary(max_size=2_000))
def test_no_mail_however_broken_stops_the_reader(junk: bytes) -> None:
    assert isinstance(read(junk).verdicts, tuple)
    assert isinstance(read(dsn(block("failed", "5.1.1")).replace(b"Reporting-MTA", junk)).verdicts, tuple)


# -- real mails -------------------------------------------------------------------------------------------------------

KNOWN_WRONG = {
    "lhost-aol-06.eml": "a domain that takes no mail, told by 5.4.4 alone: soft to us",
    "lhost-domino-02.eml": "says in Japanese only that the user is unknown",
    "lhost-dragonfly-16.eml": "a system that takes no mail, told by 5.3.2: soft to us",
    "lhost-exim-31.eml": "names an unknown domain and a black list in one breath: blocked to us",
    "lhost-exim-45.eml": "a refusal of the sender that reads like an unknown address",
    "lhost-exim-51.eml": "a refusal of the sender that reads like an unknown address",
    "lhost-googlegroups-02.eml": "a closed group that says it may not exist",
    "lhost-interscanmss-03.eml": "gives no reason at all: soft to us",
    "lhost-kddi-01.eml": "Japanese without a declared character set",
    "lhost-office365-06.eml": "a DNS failure whose text speaks of policy",
    "lhost-postfix-75.eml": "a server's note to its own postmaster: no bounce to us",
    "lhost-sendmail-14.eml": "a bounce that a person passed on: no bounce to us",
    "lhost-v5sendmail-07.eml": "three answers, the first about the sender",
    "rfc3464-28.eml": "one recipient told twice: one verdict to us",
    "rhost-nttdocomo-02.eml": "says Unknown user and means a refusal",
    "rhost-nttdocomo-03.eml": "says Unknown user and means a refusal",
}
"""Real mails that are read otherwise than the reference says, each with what is odd about it."""

SENDERS_FAULT = {"blocked", "badreputation", "spamdetected", "requireptr", "authfailure"}
EITHER = {"policyviolation", "norelaying", "rejected", "securityerror", "notcompliantrfc", "virusdetected"}
MAILBOX = {"mailboxfull", "onhold", "systemfull", "exceedlimit"}


def allowed(row: Mapping[str, Any]) -> set[str]:
    """The verdicts that R35 leaves for what the reference says of one recipient."""
    reason, status = row["reason"], row["status"]
    if reason == "feedback":
        return {"complaint"} if row.get("feedback_type") in {"abuse", "opt-out"} else {"none"}
    if reason in {"vacation", "delivered"}:
        return {"none"}
    fits = {"soft", "blocked"}
    if row["hard_bounce"]:
        fits = {"hard"}
    elif reason in SENDERS_FAULT:
        fits = {"blocked"}
    elif reason in {"expired", "networkerror"}:
        fits = {"soft", "delayed"}
    elif reason in MAILBOX:
        fits = {"soft"}
    elif reason in {"filtered", "suspend"}:  # a refusal at the end of the data: by the words alone a mailbox unknown
        fits = {"hard", "soft", "blocked"}
    if status in HARD:
        fits |= {"hard"}
    if status.startswith("5.7."):
        fits |= {"blocked"}
    if status.startswith("4.") and not status.startswith("4.0.9"):  # 4.0.9xx is the reference's own invention
        fits |= {"soft", "delayed"}
    return fits


def fit(verdicts: Sequence[str], wanted: Sequence[set[str]]) -> bool:
    left = list(verdicts)
    for one in sorted(wanted, key=len):
        hit = next((verdict for verdict in left if verdict in one), None)
        if hit is None:
            return False
        left.remove(hit)
    return not left


@pytest.mark.shared_data
def test_of_real_mails_at_least_95_of_100_are_read_right_and_the_rest_is_listed(shared: Path) -> None:
    folder = shared / "data" / "bounces"
    wrong, number = set(), 0
    for name, rows in json.loads((folder / "sisimai_expected.json").read_text()).items():
        number += 1
        verdicts = [one.verdict for one in read((folder / "sisimai" / name).read_bytes()).verdicts] or ["none"]
        if not fit(verdicts, [allowed(row) for row in rows]):
            wrong.add(name)
    for name, row in json.loads((folder / "flufl_expected.json").read_text()).items():
        number += 1
        found = {
            (one.recipient or "").lower(): one.verdict
            for one in read((folder / "flufl" / name).read_bytes()).verdicts
            if one.verdict != "none"
        }
        permanent = {address.lower() for address in row["permanent"]}
        temporary = {address.lower() for address in row["temporary"]} - permanent
        right = found.keys() == permanent | temporary
        right = right and all(found[address] in {"hard", "soft", "blocked"} for address in permanent)
        if not (right and all(found[address] in {"delayed", "soft"} for address in temporary)):
            wrong.add(name)
    assert number == 353
    assert len(wrong) / number < 0.05
    assert wrong == KNOWN_WRONG.keys()


def test_the_command_prints_a_verdict_for_every_file(app: APIFlask, tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(dsn(block("failed", "5.1.1", "550 5.1.1 no such user")))
    (tmp_path / "b.eml").write_bytes(b"From: anna@example.net\r\nSubject: Ciao\r\n\r\nCiao\r\n")
    cli.register(app)
    answer = app.test_cli_runner().invoke(args=["delivery", "read-bounces", str(tmp_path), "--json"])
    assert answer.exit_code == 0, answer.output
    assert [(row["file"], row["verdict"], row["recipient"], row["status"]) for row in json.loads(answer.output)] == [
        ("a.eml", "hard", "anna@example.net", "5.1.1"),
        ("b.eml", "none", None, None),
    ]
