"""Logs: one line per thing done, with ids as fields. Never addresses, names, bodies or secrets.

A traceback is told without the values of its variables, and a failed statement without its parameters: both hold what
people sent.
"""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import Processor

from app.config import Settings

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(settings: Settings) -> None:
    """Set logging up for this process: readable lines on a terminal or in the demo, else one JSON object a line."""
    readable = settings.demo or sys.stderr.isatty()
    shape: list[Processor] = (
        [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
        if readable
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *shape,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[settings.log_level]),
        logger_factory=_to_stderr,
        cache_logger_on_first_use=False,
    )
    shown = "%(levelname)s %(name)s %(message)s"
    logging.basicConfig(level=LEVELS[settings.log_level], stream=sys.stderr, format=shown)
    # These say at INFO what we say ourselves, or nothing of use.
    for chatty in ("rq", "rq.worker", "httpx", "alembic", "flask-limiter"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _to_stderr(*_names: object) -> structlog.PrintLogger:
    # Asked for at each line: whoever takes standard error for a while may have closed what it was when we were set up.
    return structlog.PrintLogger(sys.stderr)
