"""DKIM signatures (RFC 6376, RFC 8463), relaxed/relaxed.

Keys are made in the studio and kept sealed in the database (`keys.py`), RSA (rsa-sha256) or Ed25519 (ed25519-sha256).
A domain that has none there signs with files `<data_dir>/dkim/<domain>.<selector>.pem`; where there are several of one
kind, the selector that sorts last. A domain with both kinds gets both signatures.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

SIGNED = (
    "from",
    "to",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "list-id",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "feedback-id",
    "auto-submitted",
)
"""Signed where present; the two List-Unsubscribe headers must be (R31). `from` is listed once more than it occurs, so
that a second one added on the way breaks the signature."""

SMALLEST_KEY = 1024
"""Bits of RSA below which receivers ignore the signature (R30); 2048 is advised."""

PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

_SPACES = re.compile(rb"[ \t]+")


class UnusableKeyError(ValueError):
    """A DKIM key file cannot be used; the message names the file and why."""


class Signer:
    """Signs for one domain with one key.

    Args:
        domain: the `d=` domain, in ASCII.
        selector: the `s=` under which the public key is published.
        key: RSA or Ed25519 private key.
    """

    def __init__(self, domain: str, selector: str, key: PrivateKey) -> None:
        self.domain = domain
        self.selector = selector
        self._key = key
        self.algorithm = "rsa-sha256" if isinstance(key, rsa.RSAPrivateKey) else "ed25519-sha256"
        self._start = f"v=1; a={self.algorithm}; c=relaxed/relaxed; d={domain}; s={selector};"

    @property
    def public(self) -> str:
        """What follows p= in its record."""
        key = self._key.public_key()
        if isinstance(key, ed25519.Ed25519PublicKey):
            return binascii.b2a_base64(key.public_bytes_raw(), newline=False).decode()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return binascii.b2a_base64(key.public_bytes(serialization.Encoding.DER, form), newline=False).decode()

    def header(self, raw: bytes, now: datetime) -> bytes:
        """The `DKIM-Signature` header for `raw`, with its line end, to be put before it."""
        head, _, body = raw.partition(b"\r\n\r\n")
        present = _headers(head)
        names = [name for name in SIGNED if name in present]
        body_hash = binascii.b2a_base64(hashlib.sha256(_relaxed_body(body)).digest(), newline=False).decode()
        value = (
            f"{self._start} t={int(now.timestamp())};\r\n h={':'.join([*names, 'from'])};\r\n bh={body_hash};\r\n b="
        )
        unsigned = "dkim-signature:" + " ".join(value.split())
        digest = b"".join(present[name] + b"\r\n" for name in names) + unsigned.encode()
        if isinstance(self._key, rsa.RSAPrivateKey):
            signature = self._key.sign(digest, padding.PKCS1v15(), hashes.SHA256())
        else:
            signature = self._key.sign(hashlib.sha256(digest).digest())
        encoded = binascii.b2a_base64(signature, newline=False).decode()
        lines = "\r\n ".join(encoded[at : at + 72] for at in range(0, len(encoded), 72))
        return f"DKIM-Signature: {value}{lines}\r\n".encode()


class Keyring:
    """Who signs for which domain: the files of `<data_dir>/dkim/`, read again when the folder changes.

    Args:
        data_dir: the house's data folder; there need be no `dkim` folder in it.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "dkim"
        self._read_at = -1
        self._signers: Mapping[str, Sequence[Signer]] = {}

    def signers(self, domain: str) -> Sequence[Signer]:
        """Who signs for mail from `domain`: its own keys, else those of the nearest domain above it (still aligned)."""
        domain = domain.lower()
        while "." in domain:
            if domain in self._signers:
                return self._signers[domain]
            domain = domain.partition(".")[2]
        return []

    def with_kept(self, kept: Mapping[str, Sequence[Signer]]) -> Keyring:
        """The same with a workspace's own keys, which go before the files of the same domain."""
        if not kept:
            return self
        both = Keyring(self._folder.parent)
        both._signers = {**self._signers, **kept}
        return both

    def refresh(self) -> Keyring:
        """Look whether the folder has changed; called once a batch. Raises UnusableKeyError naming a bad file."""
        changed = self._folder.stat().st_mtime_ns if self._folder.is_dir() else 0
        if changed != self._read_at:
            self._signers = self._load() if changed else {}
            self._read_at = changed
        return self

    def sign(self, raw: bytes, domain: str, now: datetime) -> bytes:
        """`raw` with the signatures of `domain` before it; unchanged where the domain has no key."""
        return b"".join(signer.header(raw, now) for signer in self.signers(domain)) + raw

    def _load(self) -> Mapping[str, Sequence[Signer]]:
        newest: dict[tuple[str, str], Signer] = {}
        for path in sorted(self._folder.glob("*.pem")):
            domain, _, selector = path.stem.rpartition(".")
            signer = Signer(domain.lower(), selector, _private_key(path))
            newest[signer.domain, signer.algorithm] = signer
        signers: dict[str, list[Signer]] = {}
        for (domain, _), signer in newest.items():
            signers.setdefault(domain, []).append(signer)
        return signers


def _private_key(path: Path) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UnusableKeyError(f"{path.name} is not an unencrypted PEM private key: {error}") from error
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if not isinstance(key, rsa.RSAPrivateKey):
        raise UnusableKeyError(f"{path.name} is neither an RSA nor an Ed25519 key.")
    if key.key_size < SMALLEST_KEY:
        raise UnusableKeyError(f"{path.name} has {key.key_size} bits; receivers ask for {SMALLEST_KEY} at least.")
    return key


def _headers(head: bytes) -> dict[str, bytes]:
    """Lower-cased name → the header in relaxed form; each occurs once in our mails."""
    found: dict[str, bytes] = {}
    for line in head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n"):
        name, _, value = line.partition(b":")
        key = name.strip().lower()
        found[key.decode()] = key + b":" + _SPACES.sub(b" ", value).strip()
    return found


def _relaxed_body(body: bytes) -> bytes:
    """RFC 6376, 3.4.4: runs of blanks become one, none before a line end, no empty lines at the end."""
    # Nearly all of a mail is base64 without a blank: only what lies before the last one is looked at.
    cut = max(body.rfind(b" "), body.rfind(b"\t")) + 3
    body = _SPACES.sub(b" ", body[:cut]).replace(b" \r\n", b"\r\n") + body[cut:]
    body = body.rstrip(b"\r\n")
    return body + b"\r\n" if body else b""
