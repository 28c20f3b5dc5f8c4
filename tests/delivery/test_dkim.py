"""Our signatures hold up under somebody else's verifier."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from dkim import rfc822_parse, select_headers
from dkim.canonicalization import CanonicalizationPolicy
from dkim.util import parse_tag_value
from hypothesis import given, settings
from hypothesis import strategies as st

from app.delivery.dkim import Keyring, Signer, UnusableKeyError
from app.delivery.mime import Mail, Mailbox, assemble
from app.messages.attachments import Attachment

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RSA = rsa.generate_private_key(65537, 2048)
ED = ed25519.Ed25519PrivateKey.generate()


def mail(
    subject: str = "Ciao", text: str = "Ciao  Anna \n\n", html: str = "<p>Ciao</p>", files: Sequence[Attachment] = ()
) -> bytes:
    return assemble(
        Mail(
            sender=Mailbox("Hotel Verbano", "soggiorno@verbano.example"),
            recipient=Mailbox("Zoë Rossi", "zoe@example.com"),
            subject=subject,
            text=text,
            html=html,
            message_id="<m1.x@verbano.example>",
            date=NOON,
            attachments=files,
            headers=[
                ("List-Unsubscribe", "<https://verbano.example/u/abc>, <mailto:stop@verbano.example>"),
                ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ],
        )
    )


def published(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> Callable[..., bytes]:
    if isinstance(key, rsa.RSAPrivateKey):
        kind, form = "rsa", serialization.PublicFormat.SubjectPublicKeyInfo
        data = key.public_key().public_bytes(serialization.Encoding.DER, form)
    else:
        kind, data = "ed25519", key.public_key().public_bytes_raw()
    return lambda *_args, **_more: f"v=DKIM1; k={kind}; p={base64.b64encode(data).decode()}".encode()


def put(folder: Path, name: str, key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> Path:
    (folder / "dkim").mkdir(exist_ok=True)
    path = folder / "dkim" / name
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@settings(max_examples=25, deadline=None)
@given(subject=st.text(max_size=200), text=st.text(max_size=500), html=st.text(max_size=500))
def test_a_signed_mail_verifies(subject: str, text: str, html: str) -> None:
    raw = mail(subject, text, html)
    signed = Signer("verbano.example", "p1", RSA).header(raw, NOON) + raw
    assert dkim.verify(signed, dnsfunc=published(RSA))


@settings(max_examples=25, deadline=None)
@given(text=st.text(max_size=500))
def test_an_ed25519_signature_verifies(text: str) -> None:
    """dkimpy's canonical forms, checked with the public key here: its own Ed25519 needs one more library."""
    raw = mail(text=text)
    header = Signer("verbano.example", "p1", ED).header(raw, NOON)
    forms = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
    headers, body = rfc822_parse(header + raw)
    tags = parse_tag_value(headers[0][1])
    assert base64.b64decode(tags[b"bh"]) == hashlib.sha256(forms.canonicalize_body(body)).digest()
    chosen = select_headers(forms.canonicalize_headers(headers), [n.strip() for n in tags[b"h"].split(b":")])
    own = forms.canonicalize_headers([(headers[0][0], re.sub(rb"b=[^;]*$", b"b=", headers[0][1]))])[0]
    signed = b"".join(name + b":" + value for name, value in [*chosen, own]).removesuffix(b"\r\n")
    ED.public_key().verify(base64.b64decode(b"".join(tags[b"b"].split())), hashlib.sha256(signed).digest())


def test_r31_the_unsubscribe_headers_are_covered() -> None:
    raw = mail()
    signed = Signer("verbano.example", "p1", RSA).header(raw, NOON) + raw
    names = signed.split(b"h=")[1].split(b";")[0].split(b":")
    assert {b"list-unsubscribe", b"list-unsubscribe-post"} <= set(names)
    other = signed.replace(b"/u/abc", b"/u/abd")
    assert not dkim.verify(other, dnsfunc=published(RSA))


def test_a_second_from_breaks_the_signature() -> None:
    raw = mail()
    signed = Signer("verbano.example", "p1", RSA).header(raw, NOON) + raw
    assert not dkim.verify(b"From: boss@verbano.example\r\n" + signed, dnsfunc=published(RSA))


def test_a_mail_with_files_verifies_and_its_files_are_covered() -> None:
    raw = mail(files=[Attachment("house-rules.pdf", "application/pdf", b"%PDF-1.7 " + bytes(range(256)))])
    header = Signer("verbano.example", "p1", RSA).header(raw, NOON)
    assert dkim.verify(header + raw, dnsfunc=published(RSA))
    assert not dkim.verify(header + raw.replace(b"house-rules.pdf", b"horse-rules.pdf"), dnsfunc=published(RSA))


def test_a_changed_body_breaks_the_signature() -> None:
    raw = mail(html="<p>Ciao</p>")
    changed = mail(html="<p>Addio</p>")
    assert not dkim.verify(Signer("verbano.example", "p1", RSA).header(raw, NOON) + changed, dnsfunc=published(RSA))


def test_keys_are_found_by_domain_and_the_last_selector_signs(tmp_path: Path) -> None:
    put(tmp_path, "verbano.example.p202601.pem", rsa.generate_private_key(65537, 2048))
    put(tmp_path, "verbano.example.p202611.pem", RSA)
    put(tmp_path, "verbano.example.e202611.pem", ED)
    keys = Keyring(tmp_path).refresh()
    assert {(s.selector, s.algorithm) for s in keys.signers("Verbano.example")} == {
        ("p202611", "rsa-sha256"),
        ("e202611", "ed25519-sha256"),
    }
    assert keys.signers("news.verbano.example") == keys.signers("verbano.example")
    assert keys.signers("other.example") == []
    signed = keys.sign(mail(), "verbano.example", NOON)
    assert signed.count(b"DKIM-Signature:") == 2


def test_a_new_key_takes_over_without_a_restart(tmp_path: Path) -> None:
    keys = Keyring(tmp_path).refresh()
    assert keys.sign(b"From: a\r\n\r\nx\r\n", "verbano.example", NOON) == b"From: a\r\n\r\nx\r\n"
    put(tmp_path, "verbano.example.a.pem", ED)
    os.utime(tmp_path / "dkim", ns=(1, 1))
    assert [s.selector for s in keys.refresh().signers("verbano.example")] == ["a"]


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_broken_key_file_is_named(tmp_path: Path, content: bytes) -> None:
    put(tmp_path, "verbano.example.a.pem", ED).write_bytes(content)
    with pytest.raises(UnusableKeyError, match=r"verbano\.example\.a\.pem"):
        Keyring(tmp_path).refresh()
