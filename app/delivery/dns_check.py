"""What DNS says of a domain that mails come from, against what it should say (R30). Knows no database.

One check each for SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 7489), the domain that bounces come back to, the names of
our own addresses (PTR), and TLS on the way out. Every check says what there is, what should be, and the very record to
put in. A name server that does not answer is no answer: such a check is `unknown`, and says nothing against a domain.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from publicsuffixlist import PublicSuffixList

from app.delivery import spf
from app.delivery.dns_ask import Key, Record, Resolver, Result, Setup, Unanswered

NEEDED: Final = ("spf", "dkim", "dmarc", "tls", "ptr")
"""Checks that must not fail before a domain may be used for marketing (R30)."""

CHECKS: Final = (*NEEDED[:3], "return", "mailbox", "ptr", "tls")
"""All of them, in the order in which they are shown."""

SMALLEST_KEY, ADVISED_KEY = 1024, 2048


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def organisation(domain: str) -> str:
    """The organisational domain: what is registered under a public suffix (RFC 7489, 3.2)."""
    return _suffixes().privatesuffix(domain.lower()) or domain.lower()


def aligned(domain: str, with_: str, mode: str = "r") -> bool:
    """Whether two domains are aligned: the same, or in relaxed mode of the same organisation (RFC 7489, 3.1)."""
    one, other = domain.lower(), with_.lower()
    return one == other or (mode != "s" and organisation(one) == organisation(other))


def look(setup: Setup, ask: Resolver) -> dict[str, Result]:
    """Every check of `CHECKS`, each by itself: one that gets no answer keeps no other from being made."""
    results: dict[str, Result] = {}
    policy: dict[str, str] = {}

    def made(name: str, check: Any) -> None:
        try:
            results[name] = check()
        except Unanswered as error:
            results[name] = Result("unknown", "no_answer", (str(error),), wanted(name, setup))

    made("spf", lambda: spf.check(setup, ask))
    made("dkim", lambda: dkim(setup, ask))

    def dmarc_of() -> Result:
        result, tags = dmarc(setup, ask)
        policy.update(tags)
        return result

    made("dmarc", dmarc_of)
    if results["dmarc"].verdict in {"pass", "warn"}:
        results["dmarc"] = _alignment(setup, policy, results)
    made("return", lambda: returns(setup, ask))
    made("mailbox", lambda: mailbox(setup.domain, ask))
    made("ptr", lambda: ptr(setup, ask))
    made("tls", lambda: tls(setup))
    return {name: results[name] for name in CHECKS}


def failing(verdicts: Mapping[str, str]) -> list[str]:
    """What of the needed checks fails or is not known, by their verdicts: with none of it a domain may be used for
    marketing (R30)."""
    return [name for name in NEEDED if verdicts.get(name) not in {"pass", "warn", "none"}]


def wanted(name: str, setup: Setup) -> tuple[Record, ...]:
    """What to put in for a check that nobody has answered."""
    if name == "spf":
        return (spf.record_for(setup),) if setup.spf else ()
    if name == "dkim":
        return tuple(_dkim_record(setup.domain, key) for key in setup.keys if key.public)
    return (_dmarc_record(setup.domain),) if name == "dmarc" else ()


# -- DKIM --------------------------------------------------------------------------------------------------------------


def _dkim_record(domain: str, key: Key) -> Record:
    return Record("TXT", f"{key.selector}._domainkey.{domain}", key.record)


def dkim_key(domain: str, key: Key, ask: Resolver) -> Result:
    """The record of one key, ours or the provider's; a CNAME on the way is followed by the resolver."""
    record = _dkim_record(domain, key)
    result = _dkim_key(record, key, ask)
    return result if key.public else replace(result, wanted=())


def _dkim_key(record: Record, key: Key, ask: Resolver) -> Result:
    inputs: dict[str, Any] = {"selector": key.selector}
    texts = ask.texts(record.name)
    found = tuple(texts)
    shown = [tags for tags in map(_tags, texts) if "p" in tags]
    if not shown:
        return Result("fail", "dkim_missing", found, (record,), inputs)
    if len(shown) > 1:
        return Result("fail", "dkim_twice", found, (record,), inputs)
    tags = shown[0]
    published = re.sub(r"\s+", "", tags["p"])
    if not published:
        return Result("fail", "dkim_withdrawn", found, (record,), inputs)
    if key.public and published != key.public:
        return Result("fail", "dkim_other", found, (record,), inputs)
    bits = key_bits(published)
    if bits is not None:
        inputs["bits"] = bits
        if bits < SMALLEST_KEY:
            return Result("fail", "dkim_short", found, (), inputs)
    if "y" in tags.get("t", "").replace(" ", "").split(":"):
        return Result("warn", "dkim_testing", found, (record,), inputs)
    if bits is not None and bits < ADVISED_KEY:
        return Result("warn", "dkim_advised", found, (), inputs)
    return Result("pass", "dkim_good", found, (), inputs)


def dkim(setup: Setup, ask: Resolver) -> Result:
    """All our keys: one that is seen is enough; what else is wrong is told with it."""
    if not setup.keys:
        return Result("fail", "dkim_no_key")
    results = [dkim_key(setup.domain, key, ask) for key in setup.keys]
    best = next((one for one in results if one.verdict in {"pass", "warn"}), results[0])
    found = tuple(text for one in results for text in one.found)
    wanted = tuple(record for one in results for record in one.wanted)
    if best.verdict == "pass" and wanted:
        return Result("warn", "dkim_some", found, wanted, best.inputs)
    return replace(best, found=found, wanted=wanted)


def _tags(record: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in record.split(";"))
    return {name.strip().lower(): value.strip() for name, sign, value in pairs if sign}


def key_bits(public: str) -> int | None:
    """The length of an RSA key as published; None for Ed25519 and for what is no key."""
    try:
        key = serialization.load_der_public_key(base64.b64decode(public, validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        return None
    return key.key_size if isinstance(key, rsa.RSAPublicKey) else None


# -- DMARC -------------------------------------------------------------------------------------------------------------


def _dmarc_record(domain: str) -> Record:
    return Record("TXT", f"_dmarc.{organisation(domain)}", "v=DMARC1; p=none")


def dmarc(setup: Setup, ask: Resolver) -> tuple[Result, dict[str, str]]:
    """The policy of the From domain, its own or its organisation's, and its tags."""
    for domain in dict.fromkeys((setup.domain, organisation(setup.domain))):
        records = [one for one in ask.texts(f"_dmarc.{domain}") if _tags(one).get("v", "").upper() == "DMARC1"]
        if not records:
            continue
        inputs = {"domain": domain}
        if len(records) > 1:
            return Result("fail", "dmarc_twice", tuple(records), (_dmarc_record(setup.domain),), inputs), {}
        tags = _tags(records[0])
        policy = tags.get("sp" if domain != setup.domain and "sp" in tags else "p", "").lower()
        if policy not in {"none", "quarantine", "reject"}:
            return Result("fail", "dmarc_wrong", tuple(records), (_dmarc_record(setup.domain),), inputs), {}
        return Result("pass", "dmarc_good", tuple(records), (), {**inputs, "policy": policy}), tags
    return Result("fail", "dmarc_missing", (), (_dmarc_record(setup.domain),), {"domain": setup.domain}), {}


def _alignment(setup: Setup, policy: Mapping[str, str], results: Mapping[str, Result]) -> Result:
    """Either SPF or DKIM must pass and be aligned with From (RFC 7489, 3.1); both are better."""
    result = results["dmarc"]
    by_spf = results["spf"].verdict in {"pass", "warn"} and aligned(
        setup.bounce_domain, setup.domain, policy.get("aspf", "r").lower()
    )
    by_dkim = results["dkim"].verdict in {"pass", "warn"}  # we sign with d= of the From domain: strict or not
    inputs = {**result.inputs, "spf": by_spf, "dkim": by_dkim, "return": setup.bounce_domain}
    if not by_spf and not by_dkim:
        doubt = "unknown" in {results["spf"].verdict, results["dkim"].verdict}
        return Result(
            "unknown" if doubt else "fail", "no_answer" if doubt else "dmarc_unaligned", result.found, (), inputs
        )
    return replace(result, inputs=inputs)


# -- the rest ----------------------------------------------------------------------------------------------------------


def returns(setup: Setup, ask: Resolver) -> Result:
    """Bounces must be able to come back: the envelope's domain takes mail (MX, or an address: RFC 5321, 5.1)."""
    if setup.bounce_domain == setup.domain:
        return Result("none", "return_same", (), (), {"domain": setup.domain})
    return _takes_mail(setup.bounce_domain, ask, "return")


def mailbox(domain: str, ask: Resolver) -> Result:
    """Readers answer: the From domain takes mail (R24)."""
    return _takes_mail(domain, ask, "mailbox")


def _takes_mail(domain: str, ask: Resolver, name: str) -> Result:
    inputs = {"domain": domain}
    servers = ask.hosts(domain, "MX")
    if servers == [""]:
        return Result("fail", f"{name}_refused", (".",), (), inputs)  # RFC 7505: this domain takes no mail
    if servers:
        return Result("pass", f"{name}_good", tuple(servers), (), inputs)
    if addresses := ask.hosts(domain, "A") or ask.hosts(domain, "AAAA"):
        return Result("warn", f"{name}_address", tuple(addresses), (), inputs)
    return Result("fail", f"{name}_missing", (), (), inputs)


def ptr(setup: Setup, ask: Resolver) -> Result:
    """Own addresses have a name that leads back to them (FCrDNS); a provider's are the provider's affair."""
    kind, _, given = (setup.spf or "").partition(":")
    if kind not in {"ip4", "ip6"}:
        return Result("none", "ptr_not_ours")
    addresses = list(_few(given))
    if not addresses:
        return Result("none", "ptr_network", (given,))
    named: list[str] = []
    for address in addresses:
        names = ask.hosts(address, "PTR")
        if not names:
            return Result("fail", "ptr_missing", (address,), (), {"address": address})
        version: Literal["A", "AAAA"] = "A" if ip_address(address).version == 4 else "AAAA"
        back = [name for name in names if ip_address(address) in map(ip_address, ask.hosts(name, version))]
        if not back:
            return Result("fail", "ptr_one_way", tuple(names), (), {"address": address})
        named.append(f"{address} {back[0]}")
    return Result("pass", "ptr_good", tuple(named))


def _few(network: str) -> Iterator[str]:
    """The addresses of a network of at most eight."""
    found = ip_network(network, strict=False)
    if found.num_addresses <= 8:
        yield from map(str, found)


def tls(setup: Setup) -> Result:
    """Mails leave the house encrypted."""
    match setup.tls:
        case "required":
            return Result("pass", "tls_good")
        case "offered":
            return Result("warn", "tls_offered")
        case "local":
            return Result("none", "tls_local")
        case _:
            return Result("fail", "tls_none")
