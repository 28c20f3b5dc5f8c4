"""Every setting, its name, its type and its default: read once, checked at start, never changed.

Nothing else in the house reads the environment. `docs/operate.md` lists the same names; a test holds the two together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path


def of_instance(env: Mapping[str, str]) -> dict[str, str]:
    """`env`, completed by what a running `bin/run` has written down of itself.

    So that `flask ...` in another terminal finds the database of the copy in `PERCORSO_DATA` (default `var/`) without
    being told. Where DATABASE_URL is given, nothing is read.
    """
    written = Path(env.get("PERCORSO_DATA", "").strip() or "var") / "instance.json"
    if env.get("DATABASE_URL", "").strip() or not written.is_file():
        return dict(env)
    kept: dict[str, str] = json.loads(written.read_text(encoding="utf-8"))
    return {**kept, **env}


class SettingsError(ValueError):
    """A setting is missing or wrong; the message names it and says what it should be."""


def _number(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = env.get(name, "").strip()
    if not text:
        return default
    if not re.fullmatch(r"-?\d+", text) or not low <= int(text) <= high:
        raise SettingsError(f"{name} is {text!r}: it must be a whole number from {low} to {high}.")
    return int(text)


def _flag(env: Mapping[str, str], name: str, default: bool) -> bool:
    text = env.get(name, "").strip().lower()
    if text in {"", "1", "true", "yes", "on", "0", "false", "no", "off"}:
        return default if not text else text in {"1", "true", "yes", "on"}
    raise SettingsError(f"{name} is {text!r}: it must be 1 or 0.")


def _networks(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    found = tuple(one.strip() for one in env.get(name, "").split(",") if one.strip())
    for one in found:
        try:
            ip_network(one, strict=False)
        except ValueError as error:
            raise SettingsError(f"{name} has {one!r}: each is an address or a network such as 10.0.0.0/8.") from error
    return found


def _address(env: Mapping[str, str], name: str) -> str:
    text = env.get(name, "").strip()
    host, _, port = text.partition(":") if text.count(":") < 2 else (text, "", "53")
    if not text:
        return ""
    try:
        ip_address(host)
    except ValueError:
        port = "wrong"
    if not re.fullmatch(r"\d{0,5}", port) or not 0 < int(port or 53) < 65536:
        raise SettingsError(f"{name} is {text!r}: it must be an address such as 192.0.2.53 or 127.0.0.1:5353.")
    return text


@dataclass(frozen=True)
class Settings:
    """The whole configuration. Build it with `from_env`; tests build it directly."""

    database_url: str
    """PostgreSQL 15 or newer, `postgresql+psycopg://…`; `DATABASE_URL`."""
    redis_url: str
    """Redis 6.2+ or Valkey, for work signals and rate counters only; `REDIS_URL`."""
    secret: str = field(repr=False)
    """Signs links and sessions, encrypts stored secrets; at least 32 characters; `PERCORSO_SECRET`."""
    previous_secrets: tuple[str, ...] = field(default=(), repr=False)
    """Older values still accepted when reading (mail lives for years); comma separated; `PERCORSO_PREVIOUS_SECRETS`."""
    smtp_url: str = "capture:"
    """`smtp://user:pass@host:587?tls=starttls`, `smtps://…`, or `capture:` (keep mails in the outbox); `SMTP_URL`."""
    inbox: str = field(default="", repr=False)
    """Where bounces, complaints and unsubscribe mails come back to, read every minute: `maildir:/path` or
    `imaps://user:password@host/FOLDER`; `PERCORSO_INBOX`."""
    port: int = 8000
    """Where the web server listens; `PERCORSO_PORT`."""
    base_url: str = "http://localhost:8000"
    """The public address that links in mails start with; `PERCORSO_BASE_URL`."""
    data_dir: Path = Path("var")
    """Where carried servers, keys and uploads live; `PERCORSO_DATA`."""
    demo: bool = True
    """Demo mode: demo hotel, movable clock, outbox; `DEMO`."""
    web_processes: int = 2
    """Web server processes; `PERCORSO_WEB`."""
    work_processes: int = 2
    """Worker processes started by the supervisor; `PERCORSO_WORKERS`."""
    batch: int = 500
    """Rows a stage takes at a time; `PERCORSO_BATCH`."""
    drain_seconds: int = 20
    """How long one wake-up drains a stage before it signals itself again; `PERCORSO_DRAIN_SECONDS`."""
    lease_seconds: int = 10
    """How long messages stay a worker's that says nothing (a living one renews in time); `PERCORSO_LEASE_SECONDS`."""
    smtp_connections: int = 4
    """Pooled connections of one worker to the SMTP server; `PERCORSO_SMTP_CONNECTIONS`."""
    smtp_timeout: int = 30
    """Seconds to wait for an SMTP reply; `PERCORSO_SMTP_TIMEOUT`."""
    resolver: str = ""
    """The name server that sender domains are looked up with, `address` or `address:port`; empty: the system's;
    `PERCORSO_RESOLVER`."""
    pool_size: int = 10
    """Database connections of one process; `PERCORSO_POOL`."""
    event_rate: int = 6000
    """Requests a minute a source may make of the API; `PERCORSO_EVENT_RATE`."""
    calls_allow: tuple[str, ...] = ()
    """Addresses and networks that `webhook` steps may call although they are not public, comma separated, such as
    `127.0.0.0/8` while developing; `PERCORSO_CALLS_ALLOW`."""
    proxies: tuple[str, ...] = ()
    """Addresses and networks of the proxies in front, comma separated: whom they say a request comes from
    (`X-Forwarded-For`) is believed. Without it a request comes from whoever connects; `PERCORSO_PROXIES`."""
    https: bool = False
    """Cookies are secure-only and HSTS is sent; set when a proxy ends TLS in front; `PERCORSO_HTTPS`."""
    metrics_token: str = field(default="", repr=False)
    """Bearer token for `/metrics` from elsewhere than this host; `PERCORSO_METRICS_TOKEN`."""
    log_level: str = "info"
    """debug, info, warning or error; `PERCORSO_LOG`."""

    def __post_init__(self) -> None:
        if len(self.secret) < 32:
            raise SettingsError("PERCORSO_SECRET must have at least 32 characters (try: openssl rand -hex 32).")
        if not self.database_url.startswith("postgresql"):
            raise SettingsError("DATABASE_URL must name a PostgreSQL database (postgresql://user:password@host/name).")
        if not self.redis_url.startswith(("redis://", "rediss://", "unix://")):
            raise SettingsError("REDIS_URL must start with redis://, rediss:// or unix://.")
        if not self.smtp_url.startswith(("smtp://", "smtps://", "capture:")):
            raise SettingsError("SMTP_URL must start with smtp://, smtps:// or be capture:.")
        if self.inbox and not self.inbox.startswith(("maildir:/", "imaps://", "imap://")):
            raise SettingsError("PERCORSO_INBOX must be maildir:/path or imaps://user:password@host/FOLDER.")
        if self.log_level not in {"debug", "info", "warning", "error"}:
            raise SettingsError("PERCORSO_LOG must be debug, info, warning or error.")

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read the environment; raises SettingsError naming the first setting that is wrong."""
        for name in ("DATABASE_URL", "REDIS_URL", "PERCORSO_SECRET"):
            if not env.get(name, "").strip():
                raise SettingsError(f"{name} is not set. `bin/run` sets it for you; in production you do.")
        url = env["DATABASE_URL"].strip()
        port = _number(env, "PERCORSO_PORT", 8000, 1, 65535)
        return cls(
            database_url=re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url),
            redis_url=env["REDIS_URL"].strip(),
            secret=env["PERCORSO_SECRET"].strip(),
            previous_secrets=tuple(s for s in env.get("PERCORSO_PREVIOUS_SECRETS", "").split(",") if s),
            smtp_url=env.get("SMTP_URL", "").strip() or "capture:",
            inbox=env.get("PERCORSO_INBOX", "").strip(),
            port=port,
            base_url=(env.get("PERCORSO_BASE_URL", "").strip() or f"http://localhost:{port}").rstrip("/"),
            data_dir=Path(env.get("PERCORSO_DATA", "").strip() or "var"),
            demo=_flag(env, "DEMO", True),
            web_processes=_number(env, "PERCORSO_WEB", 2, 1, 64),
            work_processes=_number(env, "PERCORSO_WORKERS", 2, 1, 64),
            batch=_number(env, "PERCORSO_BATCH", 500, 1, 5000),
            drain_seconds=_number(env, "PERCORSO_DRAIN_SECONDS", 20, 1, 50),
            lease_seconds=_number(env, "PERCORSO_LEASE_SECONDS", 10, 5, 3600),
            smtp_connections=_number(env, "PERCORSO_SMTP_CONNECTIONS", 4, 1, 200),
            smtp_timeout=_number(env, "PERCORSO_SMTP_TIMEOUT", 30, 1, 600),
            resolver=_address(env, "PERCORSO_RESOLVER"),
            pool_size=_number(env, "PERCORSO_POOL", 10, 1, 200),
            event_rate=_number(env, "PERCORSO_EVENT_RATE", 6000, 1, 10_000_000),
            calls_allow=_networks(env, "PERCORSO_CALLS_ALLOW"),
            proxies=_networks(env, "PERCORSO_PROXIES"),
            https=_flag(env, "PERCORSO_HTTPS", False),
            metrics_token=env.get("PERCORSO_METRICS_TOKEN", "").strip(),
            log_level=env.get("PERCORSO_LOG", "").strip().lower() or "info",
        )
