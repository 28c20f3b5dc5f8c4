"""How a page is answered: all of it, or the one named block that htmx asked for, from the same view and template."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlencode

import structlog
from flask import (
    Flask,
    Response,
    current_app,
    flash,
    g,
    get_flashed_messages,
    make_response,
    redirect,
    request,
    url_for,
)
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.clock import DatabaseClock
from app.contacts.models import Property, display_name
from app.doors import house
from app.studio import access, assets, consent_words, languages, words
from app.studio.reading.paging import Wanted

log = structlog.get_logger()

THEMES = ("light", "dark", "auto")


@dataclass(frozen=True, slots=True)
class Entry:
    """One word of the navigation: its page, its icon, the key that goes there after `g`."""

    at: str
    icon: str
    key: str

    @property
    def endpoint(self) -> str:
        """Its page."""
        return f"studio.{self.at}"


NAVIGATION = (
    Entry("home", "home", "h"),
    Entry("workflows", "workflows", "w"),
    Entry("templates", "templates", "t"),
    Entry("contacts", "audience", "a"),
    Entry("broadcasts", "broadcasts", "b"),
    Entry("messages", "messages", "m"),
    Entry("task_list", "task", "k"),
    Entry("ledger", "consent", "c"),
    Entry("settings", "settings", "s"),
)
"""STUDIO's words in their order; what does not exist yet is absent. On a phone the first five stand at the foot."""


def block_wanted(template: str) -> str | None:
    """The block of `template` that htmx will swap: the one named like the target's id."""
    if request.headers.get("HX-Request") != "true" or request.headers.get("HX-Request-Type") == "full":
        return None
    target = request.headers.get("HX-Target", "").rpartition("#")[2]
    return target if target in _environment().get_template(template).blocks else None


def _environment() -> Environment:
    """The environment of our templates, in which a misspelt name is an error."""
    return cast("Environment", current_app.extensions["percorso_studio_pages"])


def answer(template: str, status: int = 200, /, **context: Any) -> Response:
    """The page, or its block."""
    name = f"studio/{template}"
    block = block_wanted(name)
    current_app.update_template_context(context)
    chosen = _environment().get_template(name)
    html = chosen.render(context) if block is None else "".join(chosen.blocks[block](chosen.new_context(context)))
    response = make_response(html, status)
    response.headers["Vary"] = "HX-Request, HX-Target, Cookie"
    return response


def gone_to(endpoint: str, **values: Any) -> Response:
    """303 to a page, after something was done."""
    return cast("Response", redirect(url_for(endpoint, **values), 303))


def tell(text: str, *, tone: str = "good", undo: str | None = None, **fields: str) -> None:
    """Show a toast on the next page; with `undo` (an address to POST `fields` to) for ten seconds a way back."""
    flash(cast("str", {"text": text, "tone": tone, "undo": undo, "fields": fields}), "toast")


@contextmanager
def unit() -> Iterator[Session]:
    """The unit of work of the present request, in its workspace, with what the frame shows of it loaded."""
    with house().database.work(access.here().workspace_id) as session:
        if "properties" not in g:
            _load_frame(session)
        yield session


def _load_frame(session: Session) -> None:
    """The workspace's properties, and the one that the page is narrowed to; one query."""
    g.properties = session.scalars(select(Property).order_by(Property.is_default.desc(), Property.name)).all()
    for one in g.properties:
        session.expunge(one)  # the page of a failure is drawn after this unit of work has been rolled back
    code = request.args.get("property")
    g.property = next((one for one in g.properties if one.code == code), None)
    spoken = g.property or next(iter(g.properties), None)
    g.zone = spoken.zone if spoken else None


def property_id() -> int | None:
    """The property the page is narrowed to, None for all of them."""
    return g.property.id if g.get("property") else None


def address(**changes: Any) -> str:
    """This page's address with some of its query changed; None takes a name out."""
    query = {name: text for name, text in request.args.items() if text}
    query.update({name: text for name, text in changes.items() if text is not None})
    for name, text in changes.items():
        if text is None:
            query.pop(name, None)
    return request.path + (f"?{urlencode(query)}" if query else "")


def theme() -> str:
    """light, dark or auto."""
    someone = g.get("person")
    wanted = (someone.theme if someone else None) or "auto"
    return wanted if wanted in THEMES else "auto"


def now() -> Any:
    """The present instant, read once a request so that all of a page agrees."""
    if "now" not in g:
        g.now = house().clock.now()
    return g.now


def tone(icon: str, name: str) -> Markup:
    """An icon in the colour of a state."""
    drawn = _environment().globals["ui"].icon(icon)  # type: ignore[attr-defined]
    return Markup('<span class="tone-{}">{}</span>').format(name, drawn)


def movable() -> bool:
    """Whether the demo's clock can be moved here."""
    return house().settings.demo and isinstance(house().clock, DatabaseClock)


def captures() -> bool:
    """Whether mails are kept in the outbox instead of being sent."""
    return house().settings.smtp_url.startswith("capture:")


def furnish(app: Flask) -> None:
    """Everything templates may call."""
    built = assets.read()
    environment = app.jinja_env
    environment.trim_blocks = True
    environment.lstrip_blocks = True
    environment.add_extension("jinja2.ext.do")
    environment.globals.update(
        assets=built,
        number=languages.number,
        money=languages.money,
        stream_figures=languages.stream_figures,
        day=languages.day,
        length=languages.length,
        in_words=languages.in_words,
        readable=languages.value,
        words=words,
        consent_words=consent_words,
        may=access.may,
        address=address,
        exact=languages.exact,
        weekday=languages.weekday,
        clock_face=languages.face,
        percent=languages.percent,
        name_of=display_name,
        tone=tone,
    )
    strict = environment.overlay(undefined=StrictUndefined)  # a misspelt name is an error here, never a blank
    strict.globals["ui"] = strict.get_template("studio/_ui.html").module
    app.extensions["percorso_studio_pages"] = strict

    @app.context_processor
    def frame() -> dict[str, Any]:
        if request.blueprint not in {"studio", None}:
            return {}
        return {
            "navigation": NAVIGATION,
            "person": g.get("person"),
            "place": g.get("place"),
            "properties": g.get("properties", ()),
            "property": g.get("property"),
            "language": languages.language(),
            "languages": languages.LANGUAGES,
            "theme": theme(),
            "themes": THEMES,
            "now": now,
            "when": when,
            "when_iso": lambda text: when(datetime.fromisoformat(text)),
            "movable": movable,
            "captures": captures,
            "toasts": lambda: get_flashed_messages(category_filter=["toast"]),
        }


def when(instant: Any, *, focus: bool = False, otherwise: str = "–") -> Markup:
    """`languages.when` at the request's instant."""
    return languages.when(instant, now(), focus=focus, otherwise=otherwise)


def failure(status: int) -> Response:
    """A page for what went wrong, with an id to quote where it was our fault."""
    fault = ""
    if status not in {400, 403, 404, 405, 413, 422, 429}:
        status, fault = 500, secrets.token_hex(4)
        log.error("page_failed", fault=fault, path=request.path)
    return answer("failure.html", status, status=status, fault=fault, at="")


def spoken_property() -> Property | None:
    """The property chosen, else the one that speaks by default."""
    return g.property or next(iter(g.properties), None)


def wanted() -> Wanted:
    """Which page of a list the address asks for."""

    def key(name: str) -> int | None:
        text = request.args.get(name, "")
        return int(text) if text.isdecimal() and len(text) < 19 else None

    return Wanted(before=key("before"), after=key("after"))


def back() -> Response:
    """303 to the page the form stood on, or Home."""
    target = request.form.get("next", "")
    inside = target.startswith("/w/") and "\\" not in target and "\n" not in target
    return cast("Response", redirect(target if inside else url_for("studio.home"), 303))
