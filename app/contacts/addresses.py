"""E-mail addresses and telephone numbers in one form each, so that the same one is always found again (X45).

Pure, no DNS. The local part of an address is kept as given for sending and case-folded for matching; a plus-tag is
kept, so that consent given for `me+shop@…` is not consent for `me@…`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

LONGEST_LOCAL = 64
"""Characters before the @ (RFC 5321, 4.5.3.1.1)."""

# What nearly every address looks like. Anything else takes the long, exact way.
_PLAIN = re.compile(
    r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}"
)
_SPECIAL = frozenset(SPECIAL_USE_DOMAIN_NAMES)


@dataclass(frozen=True, slots=True)
class Email:
    """An address: `address` is what mail is sent to, `key` what it is matched by."""

    address: str
    key: str

    def is_at(self, suffixes: Collection[str]) -> bool:
        """Whether its domain is one of `suffixes` or below one."""
        domain = self.key.rpartition("@")[2]
        while domain:
            if domain in suffixes:
                return True
            domain = domain.partition(".")[2]
        return False


@lru_cache(maxsize=16_384)
def normal_email(text: str) -> Email | None:
    """The address in its one form, or None where it is none.

    White space around it, `mailto:` before it and dots after it are forgiven; the domain is lower-cased and, in the
    key, ASCII.
    """
    text = text.strip()
    if text[:7].lower() == "mailto:":
        text = text[7:]
    text = text.rstrip(".")
    if len(text) <= 254 and _PLAIN.fullmatch(text):
        local, _, domain = text.rpartition("@")
        domain = domain.lower()
        if len(local) <= LONGEST_LOCAL and "--" not in domain:
            if domain.rpartition(".")[2] in _SPECIAL:
                return None
            return Email(f"{local}@{domain}", f"{local.casefold()}@{domain}")
    try:
        found = validate_email(text, check_deliverability=False, allow_smtputf8=True)
    except EmailNotValidError:
        return None
    if len(found.local_part) > LONGEST_LOCAL:
        return None
    return Email(found.normalized, f"{found.local_part.casefold()}@{found.ascii_domain.lower()}")


@lru_cache(maxsize=16_384)
def normal_phone(text: str, country: str | None) -> str | None:
    """The number in E.164 (`+390323…`), or None where it is none.

    Args:
        text: as written, with or without a country code.
        country: ISO 3166 code assumed where the number has none, such as the property's `IT`.
    """
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
