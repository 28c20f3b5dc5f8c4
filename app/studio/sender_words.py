"""The marketer's words for what DNS says of a sender domain, and for keys, identities and paces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext

from app.studio.words import Mark

_ = lazy_gettext

VERDICTS: Mapping[str, Mark] = {
    "pass": Mark(_("In order"), "good", "check"),
    "warn": Mark(_("Works, could be better"), "waiting", "info"),
    "fail": Mark(_("Needs you"), "wrong", "cross"),
    "unknown": Mark(_("Not known"), "still", "wait"),
    "none": Mark(_("Does not apply"), "still", "info"),
}
CHECKS: Mapping[str, Any] = {
    "spf": _("Who may send (SPF)"),
    "dkim": _("Signature (DKIM)"),
    "dmarc": _("Policy (DMARC)"),
    "return": _("Where bounces go (MX)"),
    "mailbox": _("Where replies go (MX)"),
    "ptr": _("Name of your own server (PTR)"),
    "tls": _("Encryption on the way (TLS)"),
}
SAID: Mapping[str, Any] = {
    "no_answer": _("The name servers did not answer. This says nothing against the domain."),
    "not_looked": _("Nobody has looked yet."),
    "spf_missing": _("%(domain)s has no SPF record."),
    "spf_twice": _("%(domain)s has several SPF records; receivers then read none. Make one of them."),
    "spf_wrong": _("The record cannot be read at “%(term)s”."),
    "spf_lookups": _("It takes more than 10 look-ups in DNS; receivers stop there. Take out what no longer sends."),
    "spf_all": _("It lets everybody send. End it with ~all or -all."),
    "spf_unasked": _("Say below by which way your mails leave; then it can be seen whether the record allows it."),
    "spf_not_ours": _("“%(term)s” is missing, so our mails count as sent by strangers."),
    "spf_voids": _("%(voids)s of its look-ups find nothing. Some receivers stop at two."),
    "spf_open": _("It says nothing of all others. End it with ~all."),
    "spf_good": _("It lets our way out send, with %(lookups)s look-ups of 10."),
    "dkim_no_key": _("There is no key yet. Make one below."),
    "dkim_missing": _("The record of the key %(selector)s is not there."),
    "dkim_twice": _("There are two records for the key %(selector)s. Leave one."),
    "dkim_withdrawn": _("The record of the key %(selector)s is there but empty: that says the key is withdrawn."),
    "dkim_other": _("The record of %(selector)s shows another key than ours."),
    "dkim_short": _("The key has %(bits)s bits. Receivers ignore fewer than 1,024."),
    "dkim_advised": _("The key has %(bits)s bits; 2,048 are advised."),
    "dkim_testing": _("The record says t=y, only testing: receivers may ignore the signature. Take that out."),
    "dkim_some": _("One key is seen and signs; another still waits for its record."),
    "dkim_good": _("The record shows our key, and mails are signed with it."),
    "dmarc_missing": _("There is no policy. p=none is enough to begin with."),
    "dmarc_twice": _("There are several policies; receivers then read none. Leave one."),
    "dmarc_wrong": _("The policy has no p=, or one that nobody knows."),
    "dmarc_unaligned": _("Neither SPF nor DKIM speaks for the domain that readers see."),
    "dmarc_good": _("The policy is %(policy)s, found at %(domain)s."),
    "return_same": _("Bounces come back to the sender's own address."),
    "return_good": _("%(domain)s takes mail."),
    "return_address": _("%(domain)s takes mail at its address; an MX record is better."),
    "return_missing": _("%(domain)s takes no mail: bounces get lost. It needs an MX record."),
    "return_refused": _("%(domain)s says that it takes no mail: bounces get lost."),
    "mailbox_good": _("%(domain)s takes mail: replies arrive."),
    "mailbox_address": _("%(domain)s takes mail at its address; an MX record is better."),
    "mailbox_missing": _("%(domain)s takes no mail. Readers answer: give it an MX record, or set where replies go."),
    "mailbox_refused": _("%(domain)s says that it takes no mail. Readers answer: set where replies go."),
    "ptr_not_ours": _("Mails leave by a provider, whose servers are its own affair."),
    "ptr_network": _("A whole network: look at the names of its addresses yourself."),
    "ptr_missing": _("%(address)s has no name. Whoever gave you the address can give it one."),
    "ptr_one_way": _("The name of %(address)s does not lead back to it."),
    "ptr_good": _("Its name leads back to it."),
    "tls_good": _("Mails leave only encrypted."),
    "tls_offered": _("Mails leave encrypted where the server offers it. tls=starttls in SMTP_URL insists on it."),
    "tls_none": _("Mails leave unencrypted. Set tls=starttls in SMTP_URL."),
    "tls_local": _("Nothing leaves the house here: mails are kept in the outbox."),
}
KEY_PHASES: Mapping[str, Mark] = {
    "new": Mark(_("Waits to be published"), "waiting", "wait", _("It signs once its record is seen in DNS.")),
    "active": Mark(_("Signs"), "good", "check"),
    "retiring": Mark(_("Retiring"), "still", "history", _("Signs no more; its record stays for mails on their way.")),
    "withdrawn": Mark(_("Withdrawn"), "still", "suppressed", _("Signs nothing; its record is to be taken out of DNS.")),
}
MARKETING: Mapping[str, Any] = {
    "checks": _("its checks passed"),
    "in_use": _("it was in use before there were checks"),
    "insisted": _("a person answers for it"),
}
PROVIDERS: Mapping[str, str] = {
    "google": "Google", "microsoft": "Microsoft", "yahoo": "Yahoo", "apple": "Apple", "italiaonline": "Italiaonline",
    "tim": "TIM", "tiscali": "Tiscali", "fastweb": "Fastweb", "aruba": "Aruba", "gmx": "GMX", "t-online": "T-Online",
    "orange": "Orange", "proton": "Proton",
}  # fmt: skip
STREAMS: Mapping[str, Any] = {"marketing": _("Marketing"), "service": _("Service")}


def said(check: Mapping[str, Any]) -> str:
    """What a check came to, in a sentence."""
    sentence = SAID.get(check["code"])
    if sentence is None:
        return str(check["code"]).replace("_", " ")
    try:
        return str(sentence) % {name: _listed(value) for name, value in (check.get("inputs") or {}).items()}
    except (KeyError, ValueError):
        return str(sentence)


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
