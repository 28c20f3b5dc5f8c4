"""The door for marketers: server-rendered pages; htmx swaps named blocks from the same view and template.

blueprint.py   addresses, tokens, failures        access.py      who may pass
pages.py       how a page is answered             words.py       the marketer's words for our codes
languages.py   English and Italian, dates, money  assets.py      what the front-end build made
reading/       what pages show, in a fixed number of queries each

sign_in.py  home.py  workflows.py  publishing.py  results.py  simulate.py  why.py  content.py  audience.py
segments.py  imports.py  broadcasts.py  messages.py  consent.py  forms.py  tasks.py  calls.py  settings.py
"""

from __future__ import annotations

from apiflask import APIFlask

from app.studio import (
    audience,
    broadcasts,
    calls,
    consent,
    content,
    files,
    forms,
    home,
    imports,
    languages,
    messages,
    pages,
    pressure,
    publishing,
    results,
    rights,
    segments,
    senders,
    settings,
    sign_in,
    simulate,
    special,
    streams,
    tasks,
    topics,
    ways,
    why,
    workflows,
)
from app.studio.blueprint import blueprint, csrf

__all__ = [
    "audience", "broadcasts", "calls", "consent", "content", "files", "forms", "home", "imports", "messages",
    "pressure", "publishing", "register", "results", "rights", "segments", "senders", "settings", "simulate",
    "special", "streams", "tasks", "topics", "ways", "why", "workflows",
]  # fmt: skip


def register(app: APIFlask) -> None:
    """Open this door's routes on `app`."""
    app.config.setdefault("WTF_CSRF_CHECK_DEFAULT", False)  # the studio's blueprint checks its own; APIs carry keys
    app.config.setdefault(
        "WTF_CSRF_TIME_LIMIT", None
    )  # a form left open over lunch still works; it ends with the session
    csrf.init_app(app)
    sign_in.limit(app)
    languages.speak(app)
    app.register_blueprint(blueprint)
    pages.furnish(app)
