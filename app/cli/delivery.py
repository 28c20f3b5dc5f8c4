"""`flask delivery ...`: what came back by mail, read by hand, and the senders whose providers report by webhook."""

from __future__ import annotations

import imaplib
import json
from collections import Counter
from pathlib import Path

import click
from flask.cli import AppGroup

from app.cli import identities, senders
from app.delivery.bounces import Report, Returned, read
from app.delivery.inbox import InboxError, fetch
from app.doors import house

group = AppGroup("delivery", help="What becomes of mails after they have left.")


@group.command("read-bounces")
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON list, for programs.")
def read_bounces(folder: Path, as_json: bool) -> None:
    """Say what each mail in FOLDER (files or a maildir) reports: who, what it means, with which status.

    Nothing is recorded. The verdicts are hard, soft, blocked, complaint, delayed, and none for what is no bounce.
    """
    files = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    reports = [(path, read(path.read_bytes())) for path in files]
    if as_json:
        click.echo(json.dumps([_row(path, report, folder) for path, report in reports], ensure_ascii=False, indent=1))
        return
    for path, report in reports:
        for one in report.verdicts or (Returned("none"),):
            click.echo(f"{path.name:<40} {one.verdict:<10} {one.status or '-':<8} {one.recipient or '-'}")
    counted = Counter(one.verdict for _, report in reports for one in report.verdicts or (Returned("none"),))
    click.echo(", ".join(f"{number} {word}" for word, number in counted.most_common()) or "no mails here")


@group.command("fetch")
def fetch_inbox() -> None:
    """Read the inbox of PERCORSO_INBOX now, as the timer does every minute: bounces, complaints, unsubscribe mails."""
    if not house().settings.inbox:
        raise click.ClickException("PERCORSO_INBOX is not set; see docs/operate.md.")
    try:
        done = fetch(house())
    except (InboxError, OSError, imaplib.IMAP4.error) as error:
        raise click.ClickException(str(error)) from error
    click.echo(
        f"{done.reports} reports, {done.withdrawals} withdrawals, {done.known} known already, "
        f"{done.flagged} flagged for a person"
    )


group.add_command(senders.group)
for command in (identities.domains, identities.identities, identities.backlog):
    group.add_command(command)


def _row(path: Path, report: Report, folder: Path) -> dict[str, object]:
    verdicts = report.verdicts or (Returned("none"),)
    worst = verdicts[0]
    return {
        "file": str(path.relative_to(folder)) if path != folder else path.name,
        "recipient": worst.recipient,
        "verdict": worst.verdict,
        "status": worst.status,
        "message_id": report.message_id,
        "recipients": [
            {"recipient": one.recipient, "verdict": one.verdict, "status": one.status, "text": one.text,
             "feedback": one.feedback}
            for one in verdicts
        ],
    }  # fmt: skip
