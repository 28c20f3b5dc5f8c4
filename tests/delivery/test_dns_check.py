"""What DNS says of a sender domain, asked of a real name server that says all kinds of things."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from app.delivery import dns_check, spf
from app.delivery.dns_ask import PATIENCE, Dns, Key, Result, Setup
from app.delivery.dns_check import aligned, failing, look, organisation
from tests.delivery.names import BROKEN, SILENT, Names, Zone

DOMAIN = "news.hotel-lago.example"


def public(bits: int = 2048) -> str:
    made = rsa.generate_private_key(65537, bits).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(made.public_bytes(serialization.Encoding.DER, form)).decode()


KEY = Key("p1", public())
SETUP = Setup(DOMAIN, "include:spf.post.example", (KEY,), DOMAIN, "required")


def quoted(record: str) -> str:
    """A TXT record as zones hold it: in strings of 255 at most."""
    return " ".join(f'"{record[at : at + 200]}"' for at in range(0, len(record), 200))


def good() -> Zone:
    return {
        (DOMAIN, "TXT"): ['"v=spf1 include:spf.post.example ~all"', '"site-verification=1"'],
        (DOMAIN, "MX"): ["10 mx.post.example."],
        ("spf.post.example", "TXT"): ['"v=spf1 ip4:192.0.2.0/24 -all"'],
        (f"p1._domainkey.{DOMAIN}", "TXT"): [quoted(KEY.record)],
        ("_dmarc.hotel-lago.example", "TXT"): ['"v=DMARC1; p=none; rua=mailto:d@hotel-lago.example"'],
    }


Look = Callable[[Zone, Setup], dict[str, Result]]


@pytest.fixture
def looked() -> Iterator[Look]:
    """`looked(zone, setup)` asks a name server that holds that zone."""
    open_: list[Names] = []

    def ask(zone: Zone, setup: Setup = SETUP) -> dict[str, Result]:
        names = Names(zone)
        names.__enter__()
        open_.append(names)
        return look(setup, Dns(names.server, timeout=1.5))

    yield ask
    for names in open_:
        names.__exit__(None, None, None)


def verdicts(results: dict[str, Result]) -> dict[str, str]:
    return {name: one.verdict for name, one in results.items()}


def test_r30_a_domain_with_everything_in_place_passes(looked: Look) -> None:
    results = looked(good(), SETUP)
    assert {name: one.verdict for name, one in results.items()} == {
        "spf": "pass", "dkim": "pass", "dmarc": "pass", "return": "none", "mailbox": "pass", "ptr": "none",
        "tls": "pass",
    }  # fmt: skip
    assert failing(verdicts(results)) == []
    assert results["spf"].inputs["lookups"] == 1
    assert results["dmarc"].inputs == {
        "domain": "hotel-lago.example", "policy": "none", "spf": True, "dkim": True, "return": DOMAIN,
    }  # fmt: skip


def test_r30_a_domain_nobody_knows_fails_with_the_records_to_put_in(looked: Look) -> None:
    results = looked({}, SETUP)
    assert failing(verdicts(results))
    wanted = {name: [(one.type, one.name, one.value) for one in results[name].wanted] for name in results}
    assert wanted["spf"] == [("TXT", DOMAIN, "v=spf1 include:spf.post.example ~all")]
    assert wanted["dkim"] == [("TXT", f"p1._domainkey.{DOMAIN}", f"v=DKIM1; k=rsa; p={KEY.public}")]
    assert wanted["dmarc"] == [("TXT", "_dmarc.hotel-lago.example", "v=DMARC1; p=none")]


@pytest.mark.parametrize("trouble", [BROKEN, SILENT])
@pytest.mark.parametrize(
    ("name", "check"),
    [(DOMAIN, "spf"), ("spf.post.example", "spf"), (f"p1._domainkey.{DOMAIN}", "dkim"), ("_dmarc." + DOMAIN, "dmarc")],
)
def test_a_name_server_in_trouble_is_no_answer_and_no_failure(
    looked: Look, trouble: str, name: str, check: str
) -> None:
    results = looked({**good(), (name, "TXT"): trouble}, SETUP)
    assert results[check].verdict == "unknown"
    assert failing(verdicts(results))
    assert {one.verdict for other, one in results.items() if other != check} <= {"pass", "none"}


def test_a_name_server_that_says_nothing_at_all_is_given_up_soon() -> None:
    zone: Zone = dict.fromkeys([*good(), (f"_dmarc.{DOMAIN}", "TXT")], SILENT)
    with Names(zone) as names:
        results = look(SETUP, Dns(names.server, timeout=0.3))
        assert {one.verdict for one in results.values()} <= {"unknown", "none", "pass"}
        assert failing(verdicts(results))
        assert len(set(names.asked)) == PATIENCE


def spf_of(looked: Look, *records: str, more: Zone | None = None, ours: str = "include:spf.post.example") -> Result:
    zone = good() | {(DOMAIN, "TXT"): [quoted(record) for record in records]} | (more or {})
    return looked(zone, replace(SETUP, spf=ours))["spf"]


def test_two_spf_records_are_none_and_one_that_joins_them_is_offered(looked: Look) -> None:
    result = spf_of(looked, "v=spf1 mx -all", "v=spf1 include:spf.post.example ~all")
    assert (result.verdict, result.code) == ("fail", "spf_twice")
    assert result.wanted[0].value == "v=spf1 include:spf.post.example mx ~all"


def test_a_record_in_several_strings_is_one(looked: Look) -> None:
    zone = good() | {(DOMAIN, "TXT"): ['"v=spf1 inclu" "de:spf.post.example ~all"']}
    assert looked(zone, SETUP)["spf"].verdict == "pass"


def test_spf_that_asks_more_than_ten_times_fails_with_the_count(looked: Look) -> None:
    chain: Zone = {
        (f"s{n}.example", "TXT"): [f'"v=spf1 a:h{n}.example include:s{n + 1}.example ~all"'] for n in range(6)
    }
    chain |= {(f"h{n}.example", "A"): ["192.0.2.1"] for n in range(6)}
    chain[("s6.example", "TXT")] = ['"v=spf1 ~all"']
    result = spf_of(looked, "v=spf1 include:spf.post.example include:s0.example ~all", more=chain)
    assert (result.verdict, result.code) == ("fail", "spf_lookups")
    assert result.inputs["lookups"] > 10


def test_spf_that_asks_exactly_ten_times_passes(looked: Look) -> None:
    hosts: Zone = {(f"h{n}.example", "A"): ["192.0.2.1"] for n in range(9)}
    terms = " ".join(f"a:h{n}.example" for n in range(9))
    result = spf_of(looked, f"v=spf1 {terms} include:spf.post.example ~all", more=hosts)
    assert (result.verdict, result.inputs["lookups"]) == ("pass", 10)


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ("v=spf1 mx ~all", "spf_not_ours"),
        ("v=spf1 -include:spf.post.example ~all", "spf_not_ours"),
        ("v=spf1 include:spf.post.example +all", "spf_all"),
        ("v=spf1 include:spf.post.example all", "spf_all"),
        ("v=spf1 include:spf.post.example", "spf_open"),
        ("v=spf1 include:spf.post.example inclde:x.example ~all", "spf_wrong"),
        ("v=spf1 include:spf.post.example ip4:300.1.1.1 ~all", "spf_wrong"),
        ("v=spf1 include:nowhere.example include:spf.post.example ~all", "spf_wrong"),
        (f"v=spf1 include:{DOMAIN} ~all", "spf_wrong"),
    ],
)
def test_what_is_wrong_with_a_record_is_named(looked: Look, record: str, code: str) -> None:
    assert spf_of(looked, record).code == code


def test_our_way_out_counts_wherever_it_is_included(looked: Look) -> None:
    inner: Zone = {("all.post.example", "TXT"): ['"v=spf1 include:spf.post.example ~all"']}
    assert spf_of(looked, "v=spf1 include:all.post.example ~all", more=inner).verdict == "pass"
    assert spf_of(looked, "v=spf1 redirect=all.post.example", more=inner).verdict == "pass"
    assert spf_of(looked, "v=spf1 include:spf.post.example ~all", ours="ip4:192.0.2.77").verdict == "pass"
    assert spf_of(looked, "v=spf1 include:spf.post.example ~all", ours="ip4:198.51.100.7").code == "spf_not_ours"


def test_nobody_having_said_by_which_way_mails_leave_is_asked_for(looked: Look) -> None:
    result = looked(good(), replace(SETUP, spf=None))["spf"]
    assert (result.verdict, result.code) == ("fail", "spf_unasked")


def dkim_of(looked: Look, more: Zone, key: Key = KEY) -> Result:
    return looked(good() | more, replace(SETUP, keys=(key,)))["dkim"]


AT = (f"p1._domainkey.{DOMAIN}", "TXT")


def test_a_key_behind_a_cname_is_found(looked: Look) -> None:
    zone = good()
    del zone[AT]
    zone[f"p1._domainkey.{DOMAIN}", "CNAME"] = ["p1.keys.post.example."]
    zone["p1.keys.post.example", "TXT"] = [quoted(KEY.record)]
    assert looked(zone, SETUP)["dkim"].verdict == "pass"


@pytest.mark.parametrize(
    ("record", "verdict", "code"),
    [
        ("v=DKIM1; p=", "fail", "dkim_withdrawn"),
        (f"v=DKIM1; k=rsa; p={public()}", "fail", "dkim_other"),
        ("hello", "fail", "dkim_missing"),
        (f"v=DKIM1; k=rsa; t=y; p={KEY.public}", "warn", "dkim_testing"),
        (f"p={KEY.public[:60]} {KEY.public[60:]}", "pass", "dkim_good"),
    ],
)
def test_a_keys_record_must_show_our_key(looked: Look, record: str, verdict: str, code: str) -> None:
    result = dkim_of(looked, {AT: [quoted(record)]})
    assert (result.verdict, result.code) == (verdict, code)


def test_r30_a_key_has_1024_bits_at_least_and_2048_are_advised(looked: Look) -> None:
    middling = Key("p1", public(1024))
    result = dkim_of(looked, {AT: [quoted(middling.record)]}, middling)
    assert (result.verdict, result.code, result.inputs["bits"]) == ("warn", "dkim_advised", 1024)
    short = Key("p1", SHORT)
    result = dkim_of(looked, {AT: [quoted(short.record)]}, short)
    assert (result.verdict, result.code, result.inputs["bits"]) == ("fail", "dkim_short", 512)


SHORT = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAL2Wxiu0ZDcmUxPGNvm0n1nWMl0bKWZcEP0pjHpzyHEphWfO8QaPN0ZMq+q1f0W0jXjxcpFCfsrkGaQlS0zdkZMCAwEAAQ=="  # fmt: skip  # noqa: E501
"""A public key of 512 bits: today's libraries make none."""


def test_one_key_seen_is_enough_and_the_other_is_still_asked_for(looked: Look) -> None:
    coming = Key("p2", public())
    result = looked(good(), replace(SETUP, keys=(KEY, coming)))["dkim"]
    assert (result.verdict, result.code) == ("warn", "dkim_some")
    assert [one.name for one in result.wanted] == [f"p2._domainkey.{DOMAIN}"]


@pytest.mark.parametrize(
    ("record", "verdict", "code"),
    [
        ("v=DMARC1; p=reject", "pass", "dmarc_good"),
        ("v=DMARC1; p=reject; sp=none", "pass", "dmarc_good"),
        ("v=DMARC1; rua=mailto:x@hotel-lago.example", "fail", "dmarc_wrong"),
        ("v=DMARC1; p=maybe", "fail", "dmarc_wrong"),
        ("v=spf1 -all", "fail", "dmarc_missing"),
    ],
)
def test_a_policy_needs_its_p(looked: Look, record: str, verdict: str, code: str) -> None:
    zone = good() | {("_dmarc.hotel-lago.example", "TXT"): [quoted(record)]}
    result = looked(zone, SETUP)["dmarc"]
    assert (result.verdict, result.code) == (verdict, code)


def test_r30_neither_spf_nor_dkim_aligned_is_no_dmarc(looked: Look) -> None:
    elsewhere = replace(SETUP, bounce_domain="bounces.post.example", keys=())
    zone = good() | {("bounces.post.example", "TXT"): ['"v=spf1 include:spf.post.example ~all"']}
    assert looked(zone, elsewhere)["dmarc"].code == "dmarc_unaligned"
    signed = looked(zone, replace(elsewhere, keys=(KEY,)))["dmarc"]
    assert (signed.verdict, signed.inputs["spf"], signed.inputs["dkim"]) == ("pass", False, True)


def test_strict_alignment_asks_for_the_very_domain(looked: Look) -> None:
    zone = good() | {
        ("_dmarc." + DOMAIN, "TXT"): ['"v=DMARC1; p=none; aspf=s"'],
        ("bounces.hotel-lago.example", "TXT"): ['"v=spf1 include:spf.post.example ~all"'],
        ("bounces.hotel-lago.example", "MX"): ["10 mx.post.example."],
    }
    results = looked(zone, replace(SETUP, bounce_domain="bounces.hotel-lago.example"))
    assert results["dmarc"].inputs["spf"] is False
    assert results["return"].verdict == "pass"
    assert organisation("a.b.hotel.co.uk") == "hotel.co.uk"
    assert organisation("www.comune.roma.it") == "comune.roma.it"
    assert aligned("a.hotel.co.uk", "b.hotel.co.uk")
    assert not aligned("hotel.co.uk", "other.co.uk")
    assert not aligned("a.hotel.co.uk", "b.hotel.co.uk", "s")


def test_a_domain_that_takes_no_mail_is_named(looked: Look) -> None:
    assert looked(good() | {(DOMAIN, "MX"): ["0 ."]}, SETUP)["mailbox"].code == "mailbox_refused"
    zone = good()
    del zone[DOMAIN, "MX"]
    assert looked(zone, SETUP)["mailbox"].code == "mailbox_missing"
    assert looked(zone | {(DOMAIN, "A"): ["192.0.2.1"]}, SETUP)["mailbox"].code == "mailbox_address"


def test_own_addresses_have_a_name_that_leads_back(looked: Look) -> None:
    setup = replace(SETUP, spf="ip4:192.0.2.7")
    reverse = ("7.2.0.192.in-addr.arpa", "PTR")
    zone = good() | {(DOMAIN, "TXT"): ['"v=spf1 ip4:192.0.2.7 ~all"']}
    assert looked(zone, setup)["ptr"].code == "ptr_missing"
    zone[reverse] = ["out.hotel-lago.example."]
    assert looked(zone, setup)["ptr"].code == "ptr_one_way"
    zone["out.hotel-lago.example", "A"] = ["192.0.2.7"]
    assert looked(zone, setup)["ptr"].verdict == "pass"
    assert looked(zone, setup)["spf"].verdict == "pass"


@pytest.mark.parametrize(
    ("typed", "term"),
    [
        ("spf.post.example", "include:spf.post.example"),
        (" Include:SPF.post.example ", "include:spf.post.example"),
        ("192.0.2.7", "ip4:192.0.2.7"),
        ("2001:db8::7", "ip6:2001:db8::7"),
        ("ip4:192.0.2.0/28", "ip4:192.0.2.0/28"),
        ("a:out.hotel-lago.example", "a:out.hotel-lago.example"),
    ],
)
def test_a_way_out_may_be_typed_as_people_have_it(typed: str, term: str) -> None:
    assert spf.term(typed) == term


@pytest.mark.parametrize("typed", ["", "all", "include:", "hello", "ip4:no", "include:a b", "redirect=x.example"])
def test_what_is_no_way_out_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        spf.term(typed)


def test_tls_must_be_asked_for(looked: Look) -> None:
    assert dns_check.tls(replace(SETUP, tls="none")).verdict == "fail"
    assert dns_check.tls(replace(SETUP, tls="offered")).verdict == "warn"
