"""For machines that look after us: alive, ready, and the figures of the moment.

The figures are counted when they are asked for, from the database and Redis: any number of processes and hosts need no
shared memory, and whichever is asked gives the same answer.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable, Iterator
from datetime import datetime

import structlog
from apiflask import APIBlueprint
from flask import Response, abort, jsonify, request
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.delivery.circuit import Standing, State
from app.doors import anyone, house, opened_by
from app.due import oldest
from app.house import House
from app.revisions import at_head

log = structlog.get_logger()

blueprint = APIBlueprint("health", __name__, enable_openapi=False)

_NEWEST_MESSAGES = 1000


@blueprint.get("/healthz")
@opened_by(anyone)
def healthz() -> Response:
    """This process answers. Says nothing of the database: a process is not to be killed because that is away."""
    return jsonify({"alive": True})


@blueprint.get("/readyz")
@opened_by(anyone)
def readyz() -> tuple[Response, int]:
    """This process can do its work: database, Redis and migrations are as they must be; 503 and which one if not."""
    parts = house()
    found = {name: _works(name, check, parts) for name, check in _CHECKS.items()}
    ready = all(found.values())
    return jsonify({"ready": ready, "checks": {name: "ok" if ok else "failed" for name, ok in found.items()}}), (
        200 if ready else 503
    )


def from_this_host_or_with_the_token() -> None:
    """Let pass who asks from this very host, not through a proxy, or who knows `PERCORSO_METRICS_TOKEN`."""
    token = house().settings.metrics_token
    given = request.headers.get("Authorization", "")
    if token and hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return
    forwarded = any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"))
    if forwarded or not ipaddress.ip_address(request.remote_addr or "0.0.0.0").is_loopback:  # noqa: S104 - "nowhere"
        abort(403)


@blueprint.get("/metrics")
@opened_by(from_this_host_or_with_the_token)
def metrics() -> Response:
    """Prometheus figures; `docs/operate.md` says what each means and when to be woken by it."""
    parts = house()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(parts))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


# -- ready -----------------------------------------------------------------------------------------------------------


def _database(parts: House) -> bool:
    with parts.database.engine.connect() as connection:
        return connection.execute(text("SELECT 1")).scalar() == 1


def _redis(parts: House) -> bool:
    return bool(parts.redis.ping())


def _migrations(parts: House) -> bool:
    return at_head(parts.database.engine)


_CHECKS: dict[str, Callable[[House], bool]] = {"database": _database, "redis": _redis, "migrations": _migrations}


def _works(name: str, check: Callable[[House], bool], parts: House) -> bool:
    try:
        return check(parts)
    except (SQLAlchemyError, RedisError) as error:
        log.warning("not_ready", check=name, error=str(error).partition("\n")[0])
        return False


# -- figures ---------------------------------------------------------------------------------------------------------


class Figures:
    """Counts everything anew for one scrape: a fixed number of queries, each on an index or a sequence."""

    def __init__(self, parts: House) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        """The figures, as prometheus_client wants them."""
        now = self._parts.clock.now()
        yield from self._signals()
        try:
            with self._parts.database.system() as session:
                found = [
                    *_lags(session, now),
                    *_ever(session),
                    *_newest(session),
                    *_streams(session),
                    *_circuits(session, now),
                ]
        except SQLAlchemyError as error:
            log.warning("metrics_incomplete", error=str(error).partition("\n")[0])
            found = []
        yield from found
        up = GaugeMetricFamily("percorso_database_up", "1: the database answered this scrape.")
        up.add_metric([], 1.0 if found else 0.0)
        yield up

    def _signals(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily("percorso_signals_waiting", "Wake-up signals waiting in Redis.", labels=["stage"])
        up = GaugeMetricFamily("percorso_redis_up", "1: Redis answered this scrape.")
        try:
            for stage, waiting in self._parts.signals.depth().items():
                depth.add_metric([stage], waiting)
            up.add_metric([], 1.0)
        except RedisError as error:
            log.warning("metrics_incomplete", error=str(error))
            up.add_metric([], 0.0)
        yield depth
        yield up


def _lags(session: Session, now: datetime) -> Iterator[Metric]:
    lag = GaugeMetricFamily(
        "percorso_oldest_due_seconds", "How long the oldest due row of a stage has waited; 0: none.", labels=["stage"]
    )
    for stage, since in oldest(session, now).items():
        lag.add_metric([stage], max(0.0, (now - since).total_seconds()) if since else 0.0)
    yield lag


_SEQUENCES = text(
    "SELECT t.relname, coalesce(pg_sequence_last_value(d.objid), 0) FROM pg_depend d"
    " JOIN pg_class t ON t.oid = d.refobjid JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'"
    " WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'i' AND t.relnamespace = 'public'::regnamespace"
    " AND t.relname IN ('events', 'enrollments', 'messages', 'attempts', 'delivery_events')"
)


def _ever(session: Session) -> Iterator[Metric]:
    """Numbers given out so far: they only grow and cost nothing to read, however large the tables are."""
    ever = CounterMetricFamily(
        "percorso_rows", "Row numbers ever given out; their rate is the rate of work.", labels=["table"]
    )
    for table, last in session.execute(_SEQUENCES):
        ever.add_metric([table], last)
    yield ever


_NEWEST = text(
    "SELECT m.state, coalesce(m.reason, ''), count(*) FROM workspaces w CROSS JOIN LATERAL ("
    " SELECT state, reason FROM messages WHERE workspace_id = w.id ORDER BY id DESC LIMIT :newest"
    ") m GROUP BY 1, 2"
)
_STUCK = text(
    "SELECT state, count(*) FROM messages WHERE state IN ('planned', 'deferred', 'ready', 'leased', 'handed_over')"
    " GROUP BY state"
)


def _newest(session: Session) -> Iterator[Metric]:
    outcomes = GaugeMetricFamily(
        "percorso_recent_messages",
        f"The newest {_NEWEST_MESSAGES} messages of each workspace by state and reason.",
        labels=["state", "reason"],
    )
    for state, reason, count in session.execute(_NEWEST, {"newest": _NEWEST_MESSAGES}):
        outcomes.add_metric([state, reason], count)
    yield outcomes
    waiting = GaugeMetricFamily("percorso_waiting_messages", "Messages that are not at an end.", labels=["state"])
    for state, count in session.execute(_STUCK):
        waiting.add_metric([state], count)
    yield waiting


_STREAMS = text(
    "SELECT name, CASE WHEN jsonb_exists(settings -> 'paused', 'marketing') THEN 2"
    " WHEN jsonb_exists(settings -> 'stream_warned', 'marketing') THEN 1 ELSE 0 END AS standing FROM workspaces"
)


def _streams(session: Session) -> Iterator[Metric]:
    """How the marketing stream of each workspace stood when it was last looked at, which is after each bad news."""
    standing = GaugeMetricFamily(
        "percorso_marketing_stream",
        "0: going out; 1: near the limit of complaints or bounces; 2: it has paused itself (R38).",
        labels=["workspace"],
    )
    for name, now_at in session.execute(_STREAMS):
        standing.add_metric([name], now_at)
    yield standing


_CIRCUITS = text(
    "SELECT w.name, s.name, s.failures, s.open_until FROM senders s JOIN workspaces w ON w.id = s.workspace_id"
    " WHERE s.active AND s.credentials IS NOT NULL AND s.streams <> '{}' ORDER BY 1, 2"
)
_CIRCUIT_FIGURES: dict[State, int] = {"closed": 0, "half-open": 1, "open": 2}


def _circuits(session: Session, now: datetime) -> Iterator[Metric]:
    """Which ways out are left alone."""
    circuits = GaugeMetricFamily(
        "percorso_sender_circuit",
        "0: mails go out by it; 1: one mail tries it next; 2: left alone after failures.",
        labels=["workspace", "sender"],
    )
    for workspace, sender, failures, open_until in session.execute(_CIRCUITS):
        circuits.add_metric([workspace, sender], _CIRCUIT_FIGURES[Standing(failures, open_until).state(now)])
    yield circuits
