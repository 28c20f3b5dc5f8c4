"""`flask consent`: walk the chain of the ledger, show what a person has said, and take out the proof of it."""

from __future__ import annotations

import json
from pathlib import Path

import click
from flask.cli import with_appcontext
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.cli.places import in_workspace, workspaces
from app.consent import chain, ledger
from app.consent.fold import words
from app.consent.models import ConsentRecord
from app.contacts import accesses
from app.contacts.models import Contact, display_name
from app.doors import ClosedError, house
from app.rights import proof, sealing


@click.group("consent", help="The ledger of consent.")
def group() -> None:
    """Commands that read the ledger; none writes to it."""


@group.command("verify")
@in_workspace
@click.option(
    "--anchor",
    "kept",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What `flask consent anchor` printed earlier, kept elsewhere: finds lines cut off the end too.",
)
@with_appcontext
def verify(slug: str | None, kept: Path | None) -> None:
    """Walk the chain; name the first broken line and what is broken there. Exits 1 where there is one."""
    anchors = _anchors(kept) if kept else {}
    failed = False
    for name, number in workspaces(slug):
        with house().database.work(number) as session:
            last = chain.end(session)
            found = chain.broken(session, anchors.get(name, ()))
        if found is None:
            ends = ", and it holds every line the anchor knows" if anchors.get(name) else ""
            click.echo(f"{name}: {last.line} lines, the chain is whole{ends}")
        else:
            failed = True
            click.echo(f"{name}: broken at line {found.line} (of {last.line}): {_BROKEN[found.why]}", err=True)
    if failed:
        raise click.exceptions.Exit(1)


@group.command("anchor")
@in_workspace
@with_appcontext
def anchor(slug: str | None) -> None:
    """Print the end of the chain, one line of JSON for each workspace. Append it to a file kept on another machine."""
    for name, number in workspaces(slug):
        with house().database.work(number) as session:
            last = chain.end(session)
        told = {"workspace": name, "line": last.line, "hash": last.hash, "at": house().clock.now().isoformat()}
        click.echo(json.dumps(told))


def _anchors(file: Path) -> dict[str, list[chain.Anchor]]:
    """Workspace → the anchors in a file of lines of JSON."""
    found: dict[str, list[chain.Anchor]] = {}
    for number, row in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not row.strip():
            continue
        try:
            told = json.loads(row)
            found.setdefault(str(told["workspace"]), []).append(chain.Anchor(int(told["line"]), str(told["hash"])))
        except (ValueError, KeyError, TypeError) as error:
            raise click.ClickException(f"{file}, line {number}: this is no anchor ({error}).") from error
    return found


_BROKEN = {
    "missing": "there is no such line",
    "changed": "it no longer says what was written",
    "out_of_chain": "it does not follow from the line before it",
    "cut_off": "the ledger ends before it, and the anchor knows of it",
    "other_anchor": "it is not the line that the anchor was taken from",
}


@group.command("show")
@click.argument("contact")
@in_workspace
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@with_appcontext
def show(contact: str, slug: str | None, as_json: bool) -> None:
    """Every line about CONTACT (an external id, an address or our number), and what holds now."""
    for _, number in workspaces(slug):
        with house().database.work(number) as session:
            found = _find(session, contact)
            if found is None:
                continue
            lines = ledger.history(session, found.id)
            now = words(ledger.current(session, [found.id]).get(found.id, {}), found.email_key or "")
        if as_json:
            click.echo(json.dumps({"contact": found.id, "now": now, "lines": [_plain(line) for line in lines]}))
            return
        click.echo(display_name(found))
        for line in lines:
            about = f"{line.purpose}{'/' + line.topic if line.topic else ''} on {line.channel} {line.address}"
            click.echo(f"{line.line:>8}  {line.recorded_at:%Y-%m-%d %H:%M}  {line.state:<9}  {about}  ({line.method})")
        click.echo("now: " + (", ".join(f"{name} {state}" for name, state in sorted(now.items())) or "nothing said"))
        return
    raise click.ClickException(f"Nobody is known as {contact!r}.")


@group.command("proof")
@click.argument("contact")
@in_workspace
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write.")
@with_appcontext
def take_proof(contact: str, slug: str | None, out: Path) -> None:
    """Write the signed proof of what CONTACT (an external id, an address or our number) has agreed to and refused."""
    for _, number in workspaces(slug):
        with house().database.work(number) as session:
            found = _find(session, contact)
            if found is None:
                continue
            now = house().clock.now()
            made = proof.pack(session, found.id, now)
            accesses.note(session, made.document["person"]["contact"], "proof", "cli", now)
        out.write_bytes(proof.sealed(house().settings, made))
        click.echo(f"{out}: {len(made.document['lines'])} lines about {made.document['person']['name']}, signed")
        return
    raise click.ClickException(f"Nobody is known as {contact!r}.")


@group.command("proof-key")
@with_appcontext
def proof_key() -> None:
    """Print the public key that proofs are signed with: publish it, so that others can tell ours from a forger's."""
    click.echo(sealing.public_keys(house().settings)[0])


@group.command("check-proof")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key", "keys", multiple=True, help="A public key to trust (hexadecimal); default: this house's own.")
@with_appcontext
def check_proof(file: Path, keys: tuple[str, ...]) -> None:
    """Check a proof FILE: its signature, every byte, the chain of its lines. Needs no database. Exits 1 if it fails."""
    try:
        trusted = keys or sealing.public_keys(house().settings)
    except ClosedError:
        trusted = ()
    found = proof.checked(file.read_bytes(), [key.lower() for key in trusted])
    for problem in found.problems:
        click.echo(f"{file}: {problem}", err=True)
    if found.problems:
        raise click.exceptions.Exit(1)
    document = found.document or {}
    told = f"{len(document['lines'])} lines about {document['person']['name']}, made {document['made_at']}"
    click.echo(f"{file}: nothing was changed since it was signed ({told})")
    if not found.known:
        whose = "not by a key you trust" if trusted else "compare the key with the one the house publishes"
        click.echo(f"{file}: signed by {found.key}, {whose}", err=True)
        raise click.exceptions.Exit(1 if trusted else 0)
    if not document["chain"]["whole"]:
        broken = document["chain"]["broken"]
        click.echo(f"{file}: the ledger was broken at line {broken['line']} when it was made", err=True)


def _find(session: Session, name: str) -> Contact | None:
    statement = select(Contact).where(
        (Contact.external_id == name)
        | (Contact.email_key == ledger.address_key(name))
        | (Contact.id == (int(name) if name.isdecimal() and len(name) < 19 else -1))
    )
    return session.scalars(statement.order_by(Contact.id).limit(1)).first()


def _plain(line: ConsentRecord) -> dict[str, object]:
    return {
        "line": line.line,
        "address": line.address,
        "channel": line.channel,
        "purpose": line.purpose,
        "topic": line.topic,
        "state": line.state,
        "previous_state": line.previous_state,
        "method": line.method,
        "proof": line.proof,
        "requested_at": line.requested_at.isoformat(),
        "confirmed_at": line.confirmed_at.isoformat() if line.confirmed_at else None,
        "recorded_at": line.recorded_at.isoformat(),
        "hash": line.hash.hex(),
    }
