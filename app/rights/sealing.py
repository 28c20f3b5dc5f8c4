"""A sealed file: a few documents in one zip with a signature of the house, checked without any database.

The house signs with an Ed25519 key that follows from `PERCORSO_SECRET`: there is no further secret to keep, and whoever
knows only the file can check it against the public key, which `flask consent proof-key` prints. What was signed under
an earlier secret stays checkable while that secret is among the previous ones, or with its public key.

The zip is made in one way only (stored, dated 1980, names in order), so that a check makes it again and compares byte
by byte: not one bit of it can be changed unseen, not even where no document lies.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from app.config import Settings

SIGNATURE = "signature.json"
LARGEST = 64 * 1024 * 1024
"""Bytes of documents that are looked into; more is no file of ours."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What a check of a sealed file found."""

    problems: tuple[str, ...]
    """Empty: the file is as it was signed."""
    key: str = ""
    """Public key that signed, in hexadecimal."""
    known: bool = False
    """Whether that key is one of those that were trusted."""
    documents: Mapping[str, bytes] | None = None


def public_keys(settings: Settings) -> list[str]:
    """The house's public keys in hexadecimal, the present one first."""
    return [_public(_key(secret)) for secret in (settings.secret, *settings.previous_secrets)]


def sealed(settings: Settings, documents: Mapping[str, bytes]) -> bytes:
    """These documents as one signed file."""
    key = _key(settings.secret)
    told = _told(documents)
    signature = {
        "signed": "Ed25519 over the UTF-8 bytes of `told`",
        "public_key": _public(key),
        "told": told,
        "signature": key.sign(told.encode()).hex(),
    }
    return _zipped(documents, json.dumps(signature, indent=1).encode())


def opened(data: bytes, trusted: Collection[str]) -> Opened:
    """Check a sealed file.

    Args:
        data: the file.
        trusted: public keys, in hexadecimal, that the reader knows from elsewhere to be the house's. A signature by
            another key proves only that the file is whole, not whose it is.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            if sum(one.file_size for one in file.infolist()) > LARGEST:
                return Opened(("It is larger than any file of this kind.",))
            documents = {name: file.read(name) for name in file.namelist()}
        raw = documents.pop(SIGNATURE)
        signature = json.loads(raw)
        key, told = str(signature["public_key"]), str(signature["told"])
        mark = bytes.fromhex(signature["signature"])
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
    except Exception as error:  # noqa: BLE001 - a damaged file fails in as many ways as it can be damaged
        return Opened((f"It cannot be read as a signed file ({type(error).__name__}).",))
    problems = []
    try:
        public.verify(mark, told.encode())
    except InvalidSignature:
        problems.append("The signature does not fit.")
    expected = json.loads(told) if not problems else {}
    for name in sorted({*expected, *documents}) if not problems else ():
        if name not in documents:
            problems.append(f"{name} is missing.")
        elif expected.get(name) != _hash(documents[name]):
            problems.append(f"{name} is not what was signed.")
    if not problems and data != _zipped(documents, raw):
        problems.append("The file was changed around its documents.")
    return Opened(tuple(problems), key, key in trusted, documents)


def _told(documents: Mapping[str, bytes]) -> str:
    return json.dumps({name: _hash(data) for name, data in sorted(documents.items())}, separators=(",", ":"))


def _hash(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _zipped(documents: Mapping[str, bytes], signature: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as file:
        for name, data in [*sorted(documents.items()), (SIGNATURE, signature)]:
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            file.writestr(entry, data)
    return made.getvalue()


def _key(secret: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hmac.digest(secret.encode(), b"percorso:proof-signing", "sha256"))


def _public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()
