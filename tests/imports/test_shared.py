"""Lists as real programs export them: each is read, its columns are guessed, and its people come in as they should."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.contacts import disposable
from app.contacts.disposable import BadListError, Domains
from app.imports import columns
from app.imports.columns import Known
from app.imports.files import read
from tests.imports.lists import person, taken, word

KNOWN = Known(topics=("newsletter", "offers"))
NEWSLETTER = "consent:email:marketing/newsletter"
MAILCHIMP = {
    "Email Address": "email",
    "OPTIN_TIME": "proof:requested_at",
    "OPTIN_IP": "proof:ip",
    "CONFIRM_TIME": "proof:confirmed_at",
}
FILES: Mapping[str, tuple[int, Mapping[str, str]]] = {
    "brevo_comma_optin.csv": (1, {"EMAIL": "email", "LASTNAME": "last_name", "SMS": "phone", "OPT_IN": NEWSLETTER}),
    "brevo_semicolon.csv": (2, {"EMAIL": "email", "FIRSTNAME": "first_name", "SMS": "phone"}),
    "brevo_semicolon_cp1252.csv": (2, {"EMAIL": "email", "LASTNAME": "last_name", "SMS": "phone"}),
    "hubspot_contacts_full.csv": (1, {"Record ID": "", "Email": "email", "Last Modified Date": "changed_at"}),
    "hubspot_contacts_short.csv": (1, {"First Name": "first_name", "Phone Number": "phone", "Create Date": ""}),
    "klaviyo_import_layout.csv": (
        1,
        {
            "Email Marketing Consent": NEWSLETTER,
            "Email Marketing Consent Timestamp": "proof:requested_at",
            "location_city": "attribute:city",
            "Shopify Tags": "tags",
        },
    ),
    "klaviyo_profiles.csv": (3, {"Email Marketing Consent": NEWSLETTER, "Suppressed": "refused", "Added At": ""}),
    "mailchimp_bom_crlf.csv": (1, {**MAILCHIMP, "TAGS": "tags"}),
    "mailchimp_classic.csv": (1, {**MAILCHIMP, "TIMEZONE": "zone", "CC": "country", "LAST_CHANGED": "changed_at"}),
    "mailchimp_tags_plain.csv": (2, {**MAILCHIMP, "TAGS": "tags"}),
    "mailchimp_tags_unsub.csv": (1, {**MAILCHIMP, "UNSUB_TIME": "refused"}),
    "mailchimp_unsubscribed_headers_duplicated.csv": (
        1,
        {**MAILCHIMP, "Name": "full_name", "Languages": "", "UNSUB_TIME": "refused", "UNSUB_REASON (2)": ""},
    ),
    "mailchimp_with_custom_field_and_confirm_ip.csv": (2, {**MAILCHIMP, "CONFIRM_IP": "proof:confirmed_ip"}),
    "shopify_customers.csv": (
        1,
        {
            "Customer ID": "",
            "Accepts Email Marketing": NEWSLETTER,
            "Country": "",
            "Country Code": "country",
            "Zip": "attribute:postcode",
            "Tags": "tags",
        },
    ),
    "systeme_io.csv": (1, {"Surname": "last_name", "Country": "country", "Date registered": ""}),
}


def at(shared: Path, name: str) -> bytes:
    """A file of the collection."""
    return (shared / "data" / "contact_csv" / name).read_bytes()


@pytest.mark.shared_data
def test_no_file_of_the_collection_is_left_out(shared: Path) -> None:
    assert {one.name for one in (shared / "data" / "contact_csv").glob("*.csv")} == set(FILES)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", FILES)
def test_every_export_is_read_and_its_columns_are_known(shared: Path, name: str) -> None:
    count, expected = FILES[name]
    sheet = read(at(shared, name))
    found = [cells for _, cells in sheet.rows]
    assert len(found) == count
    assert {len(row) for row in found} == {len(sheet.header)}
    reading = columns.guessed(sheet.header, found, KNOWN)
    meant = dict(zip(sheet.header, reading.columns, strict=True))
    assert {header: meant[header] for header in expected} == dict(expected)
    assert columns.checked(reading, KNOWN) == reading


@pytest.mark.shared_data
@pytest.mark.parametrize("name", FILES)
def test_every_export_comes_in_and_permits_nothing_that_it_cannot_show(hall: Session, shared: Path, name: str) -> None:
    one = taken(hall, at(shared, name))
    assert one.tally["verdict"] == {"new": FILES[name][0]}
    # None of them names a source and the words that were agreed to: nobody gets marketing mail (R16).
    assert "granted" not in one.tally["permission"]
    assert "pending" not in one.tally["permission"]


@pytest.mark.shared_data
def test_with_source_and_words_stated_once_the_confirmed_of_a_mailchimp_list_are_granted(
    hall: Session, shared: Path
) -> None:
    stated: dict[str, Any] = {"everyone": NEWSLETTER, "constants": {"source": "website form", "wording_version": "v1"}}
    one = taken(hall, at(shared, "mailchimp_tags_plain.csv"), **stated)
    assert one.tally["permission"] == {"granted": 1, "service_only": 1}, "the second has no dates"
    assert word(hall, "ada@example.com") == "granted"
    assert word(hall, "grace@example.com") == "nothing"


@pytest.mark.shared_data
def test_a_brevo_number_without_its_plus_is_the_french_one_it_is(hall: Session, shared: Path) -> None:
    taken(hall, at(shared, "brevo_semicolon.csv"))
    lea = person(hall, "lea@example.fr")
    assert lea is not None
    assert (lea.phone, lea.first_name) == ("+33600000001", "Léa")


@pytest.mark.shared_data
def test_a_shopify_list_comes_in_with_what_a_spreadsheet_guarded(hall: Session, shared: Path) -> None:
    taken(hall, at(shared, "shopify_customers.csv"))
    bob = person(hall, "bob.norman@example.com")
    assert bob is not None
    assert (bob.country, bob.attributes["postcode"], bob.tags) == ("US", "40202", ["VIP", "loyal"])
    assert bob.phone is None, "555-625-1199 is no number in the country of its row, though it were one in the hotel's"


@pytest.mark.shared_data
def test_the_list_of_throw_away_domains_is_the_one_shipped(shared: Path) -> None:
    file = shared / "data" / "disposable_domains" / "disposable_email_blocklist.txt"
    given = disposable.read(file.read_text().splitlines())
    assert len(given) == 8335
    domains = Domains()
    assert all(domains.has(f"someone@{one}") for one in given)
    assert not any(domains.has(f"someone@{one}") for one in ("gmail.com", "libero.it", "example.com"))


def test_a_newer_list_takes_the_place_of_the_one_shipped(tmp_path: Path) -> None:
    shipped = disposable.SHIPPED.read_text()
    assert disposable.replace(tmp_path, shipped + "new-throwaway.example\n") == len(Domains()) + 1
    assert Domains(tmp_path).has("a@b.new-throwaway.example")
    assert not Domains().has("a@new-throwaway.example")


@pytest.mark.parametrize("content", ["mailinator.com\n", "not a domain\n" * 2000, "<html>\n" * 2000])
def test_what_is_no_list_of_domains_leaves_the_one_in_force(tmp_path: Path, content: str) -> None:
    with pytest.raises(BadListError):
        disposable.replace(tmp_path, content)
    assert not (tmp_path / disposable.NAME).exists()
