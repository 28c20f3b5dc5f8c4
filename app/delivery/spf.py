"""SPF (RFC 7208): does the envelope's domain let our way out send? And what to put in where it does not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

from app.delivery.dns_ask import Record, Resolver, Result, Setup

LOOKUPS, VOIDS = 10, 2
"""RFC 7208, 4.6.4: terms that ask DNS, and of these such as find nothing."""


def record_for(setup: Setup, kept: Sequence[str] = ()) -> Record:
    """The record that lets our way out send: what stands there already stays."""
    terms = list(kept) or ["v=spf1", "~all"]
    if setup.spf and setup.spf not in terms:
        terms.insert(1, setup.spf)
    return Record("TXT", setup.bounce_domain, " ".join(terms))


def check(setup: Setup, ask: Resolver) -> Result:
    """SPF of the envelope's domain: one record, our way out in it, at most ten look-ups, an end that says no."""
    found = [one for one in ask.texts(setup.bounce_domain) if _is_spf(one)]
    inputs: dict[str, Any] = {"domain": setup.bounce_domain}
    if not found:
        return Result("fail", "spf_missing", (), (record_for(setup),) if setup.spf else (), inputs)
    if len(found) > 1:
        merged = [term for record in found for term in record.split()[1:] if not _qualified(term, "all")]
        one = record_for(setup, ["v=spf1", *dict.fromkeys(merged), "~all"])
        return Result("fail", "spf_twice", tuple(found), (one,), inputs)
    terms = found[0].split()
    walk = _Spf(ask, setup.spf)
    walk.walk(setup.bounce_domain, found[0], ())
    inputs |= {"lookups": walk.lookups}
    here = (found[0],)
    if walk.wrong:
        return Result("fail", "spf_wrong", here, (record_for(setup),), {**inputs, "term": walk.wrong})
    if walk.lookups > LOOKUPS:
        return Result("fail", "spf_lookups", here, (), inputs)
    if any(_qualified(term, "all") and term[0] not in "-~?" for term in terms):
        return Result("fail", "spf_all", here, (record_for(setup, [*terms[:-1], "~all"]),), inputs)
    if setup.spf is None:
        return Result("fail", "spf_unasked", here, (), inputs)
    if not walk.seen:
        return Result("fail", "spf_not_ours", here, (record_for(setup, terms),), {**inputs, "term": setup.spf})
    if walk.voids > VOIDS:
        return Result("warn", "spf_voids", here, (), {**inputs, "voids": walk.voids})
    if not any(_qualified(term, "all") for term in terms) and not any(term.startswith("redirect=") for term in terms):
        return Result("warn", "spf_open", here, (record_for(setup, [*terms, "~all"]),), inputs)
    return Result("pass", "spf_good", here, (), inputs)


def _is_spf(record: str) -> bool:
    return record.lower() == "v=spf1" or record.lower().startswith("v=spf1 ")


def _qualified(term: str, mechanism: str) -> bool:
    return term.lower().lstrip("+-~?") == mechanism


_MECHANISM = re.compile(r"[+?~-]?(?P<name>all|include|a|mx|ptr|ip4|ip6|exists)(?P<rest>[:/].*)?", re.IGNORECASE)
_MODIFIER = re.compile(r"(?P<name>[a-z][a-z0-9_.-]*)=(?P<value>.*)", re.IGNORECASE)


class _Spf:
    """Walks a record and all it includes, counting what RFC 7208, 4.6.4 counts."""

    def __init__(self, ask: Resolver, ours: str | None) -> None:
        self._ask = ask
        self._ours = _plain(ours) if ours else None
        self.lookups = self.voids = 0
        self.seen = False
        self.wrong: str | None = None

    def walk(self, domain: str, record: str, above: tuple[str, ...]) -> None:
        """One record; `above`: the domains that led here, so that a circle ends."""
        redirect = ""
        for term in record.split()[1:]:
            if self.wrong or self.lookups > LOOKUPS:
                return
            if self._ours is not None and _plain(term) == self._ours and term[0] not in "-~?":
                self.seen = True
            mechanism = _MECHANISM.fullmatch(term)
            if mechanism:
                self._mechanism(mechanism["name"].lower(), mechanism["rest"] or "", domain, above, term)
            elif modifier := _MODIFIER.fullmatch(term):
                redirect = modifier["value"] if modifier["name"].lower() == "redirect" else redirect
            else:
                self.wrong = term
        if redirect and not self.wrong:
            self._include(redirect, domain, above, f"redirect={redirect}")

    def _mechanism(self, name: str, rest: str, domain: str, above: tuple[str, ...], term: str) -> None:
        target = rest[1:].partition("/")[0] if rest.startswith(":") else ""
        match name:
            case "include" if not target:
                self.wrong = term
            case "include":
                self._include(target, domain, above, term)
            case "ip4" | "ip6":
                self._network(rest[1:], term)
            case "a" | "mx":
                self._count(self._hosts(target or domain, name))
            case "exists" | "ptr":
                self.lookups += 1

    def _hosts(self, name: str, kind: str) -> bool:
        if "%" in name:
            return True
        return bool(self._ask.hosts(name, "MX" if kind == "mx" else "A") or
                    (kind == "a" and self._ask.hosts(name, "AAAA")))  # fmt: skip

    def _count(self, found: bool) -> None:
        self.lookups += 1
        self.voids += not found

    def _network(self, network: str, term: str) -> None:
        try:
            given = ip_network(network, strict=False)
        except ValueError:
            self.wrong = term
            return
        ours = (self._ours or "").partition(":")
        if ours[0] in {"ip4", "ip6"}:
            try:
                mine = ip_network(ours[2], strict=False)
            except ValueError:
                return
            if mine.version == given.version and mine.subnet_of(given):  # type: ignore[arg-type]
                self.seen = self.seen or term[0] not in "-~?"

    def _include(self, target: str, domain: str, above: tuple[str, ...], term: str) -> None:
        self.lookups += 1
        if "%" in target:
            return  # depends on the sender: receivers work it out, we cannot
        if target in above or target == domain or self.lookups > LOOKUPS:
            self.wrong = self.wrong or (None if self.lookups > LOOKUPS else term)
            return
        records = [one for one in self._ask.texts(target) if _is_spf(one)]
        if len(records) != 1:
            self.voids += not records
            self.wrong = term  # RFC 7208, 5.2: an include of what has no record is an error for the whole
            return
        self.walk(target, records[0], (*above, domain))


def _plain(term: str) -> str:
    return term.lower().lstrip("+").rstrip(".")


def term(typed: str) -> str:
    """What a person typed as our way out, as an SPF mechanism; raises ValueError where it is none.

    An address becomes ip4: or ip6:, a bare name include:.
    """
    text = typed.strip().lower()
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        pass
    else:
        return f"ip{network.version}:{text}"
    if ":" not in text and re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+", text):
        return f"include:{text}"
    found = _MECHANISM.fullmatch(text)
    if found is None or found["name"] not in {"include", "ip4", "ip6", "a", "mx"}:
        raise ValueError("no SPF mechanism")
    if found["name"] in {"ip4", "ip6"}:
        ip_network((found["rest"] or "")[1:], strict=False)
    elif found["name"] == "include" and not re.fullmatch(r":[a-z0-9_-]+(\.[a-z0-9_-]+)+", found["rest"] or ""):
        raise ValueError("no SPF mechanism")
    return text
