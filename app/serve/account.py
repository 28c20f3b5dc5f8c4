"""Whom a server may run as when we are root. PostgreSQL refuses to run as root, and rightly."""

from __future__ import annotations

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

CANDIDATES = ("percorso", "postgres", "nobody")
"""Accounts looked for, best first. None is created, and nobody's permissions on existing folders are changed."""


@dataclass(frozen=True)
class Account:
    """An unprivileged account."""

    name: str
    uid: int
    gid: int


def unprivileged(owner_of: Path | None = None) -> Account | None:
    """The account that servers run as: None when we are not root and may run them ourselves.

    Args:
        owner_of: an existing folder of that server; whoever owns it keeps it, so that an account which appears later
            (a system package may bring one) does not lose the server its data.

    Raises:
        LookupError: we are root and none of the candidates exists.
    """
    if os.geteuid() != 0:
        return None
    if owner_of is not None and owner_of.exists() and owner_of.stat().st_uid != 0:
        return _by(pwd.getpwuid(owner_of.stat().st_uid))
    for name in CANDIDATES:
        try:
            return _by(pwd.getpwnam(name))
        except KeyError:
            continue
    raise LookupError(f"Running as root needs one of the accounts {', '.join(CANDIDATES)}: useradd --system percorso")


def _by(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def may_enter(account: Account | None, path: Path) -> bool:
    """Whether `account` reaches `path` (a folder it may enter, or a program it may run) through every parent folder."""
    if account is None:
        return os.access(path, os.X_OK)
    asked = subprocess.run(
        ["/usr/bin/test", "-x", str(path)],
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        cwd="/",
        check=False,
    )
    return asked.returncode == 0
