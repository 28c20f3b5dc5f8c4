"""Addresses and numbers in one form each, held against lists that others made."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from app.contacts.addresses import normal_email, normal_phone


def key(text: str) -> str | None:
    found = normal_email(text)
    return found.key if found else None


@pytest.mark.parametrize(
    ("text", "address", "matched_by"),
    [
        ("Mario.Rossi@EXAMPLE.com", "Mario.Rossi@example.com", "mario.rossi@example.com"),
        (" mailto:mario@example.com. ", "mario@example.com", "mario@example.com"),
        ("mario@münchen.de", "mario@münchen.de", "mario@xn--mnchen-3ya.de"),
        ("mario@xn--mnchen-3ya.de", "mario@münchen.de", "mario@xn--mnchen-3ya.de"),
        ("Mario+Shop@example.com", "Mario+Shop@example.com", "mario+shop@example.com"),
    ],
)
def test_x45_one_form_to_send_and_one_to_match(text: str, address: str, matched_by: str) -> None:
    found = normal_email(text)
    assert found is not None
    assert (found.address, found.key) == (address, matched_by)


@pytest.mark.parametrize("text", ["", "mario", "mario@", "@example.com", "a@b", "a..b@example.com", "a b@example.com"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert normal_email(text) is None


@given(st.from_regex(r"[A-Za-z0-9_+.-]{1,20}@[A-Za-z0-9.-]{1,20}\.[a-z]{2,5}", fullmatch=True))
def test_the_short_way_says_what_the_long_way_says(text: str) -> None:
    try:
        there = validate_email(text.rstrip("."), check_deliverability=False)
    except EmailNotValidError:
        assert normal_email(text) is None
    else:
        assert key(text) == f"{there.local_part.casefold()}@{there.ascii_domain.lower()}"


USABLE = {"ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN", "ISEMAIL_RFC5321"}
MORE_STRICT = {
    "ISEMAIL_RFC5321_QUOTEDSTRING",
    "ISEMAIL_RFC5321_ADDRESSLITERAL",
    "ISEMAIL_RFC5321_IPV6DEPRECATED",
    "ISEMAIL_RFC5321_TLDNUMERIC",
    "ISEMAIL_RFC5321_TLD",
}
"""What the RFCs allow and nobody who signs up means: `"a b"@c.com`, `a@[1.2.3.4]`, `a@b`."""
REFUSED = {
    "test@io": "a top-level domain alone",
    "test@123.123.123.x123": "an address of the network, misspelt",
    "test@xn--example.com": "no domain in any script can be written so",
}
"""Valid by its syntax, and not taken; each with the reason."""
FILES = ("isemail_tests.json", "isemail_tests_original.json")


@pytest.mark.shared_data
@pytest.mark.parametrize("name", FILES)
def test_nothing_is_taken_for_an_address_that_a_mail_server_could_not_use(shared: Path, name: str) -> None:
    cases = json.loads((shared / "data" / "email_addresses" / name).read_text())
    wrong = [case["address"] for case in cases if case["category"] not in USABLE and normal_email(case["address"])]
    # A dot at the very end and white space around are forgiven on purpose.
    assert [address for address in wrong if address == address.strip().rstrip(".")] == []


@pytest.mark.shared_data
@pytest.mark.parametrize("name", FILES)
def test_every_address_that_people_have_is_taken_and_what_is_refused_is_listed(shared: Path, name: str) -> None:
    cases = json.loads((shared / "data" / "email_addresses" / name).read_text())
    meant = [case for case in cases if case["category"] in USABLE and case["diagnosis"] not in MORE_STRICT]
    missed = {case["address"] for case in meant if not normal_email(case["address"])}
    assert {one for one in missed if len(one) < 250} <= set(REFUSED)  # one of them is as long as an address may be
    assert len(missed) * 20 <= len(meant) * 2, f"{len(missed)} of {len(meant)}"


NATIONAL = 0.985
"""Of the example numbers, dialled as in their own country, that come out in their international form."""
DIALLED_OTHERWISE = {"CO", "IL", "001"}
"""Regions of the others: shared-cost and voice-mail numbers dialled without the prefix; numbers of no country."""


@pytest.mark.shared_data
def test_every_example_number_of_every_region_has_its_international_form(shared: Path) -> None:
    rows = list(csv.DictReader((shared / "data" / "phones" / "example_numbers.csv").read_text().splitlines()))
    missed = [row["e164"] for row in rows if normal_phone(row["e164"], None) != row["e164"]]
    assert missed == []


@pytest.mark.shared_data
def test_numbers_as_dialled_at_home_come_out_the_same_but_for_a_few_that_are_listed(shared: Path) -> None:
    rows = list(csv.DictReader((shared / "data" / "phones" / "example_numbers.csv").read_text().splitlines()))
    missed = [
        row
        for row in rows
        if normal_phone(row["national_prefix"] + row["national_significant_number"], row["region"]) != row["e164"]
    ]
    assert {row["region"] for row in missed} <= DIALLED_OTHERWISE
    assert 1 - len(missed) / len(rows) >= NATIONAL, missed
