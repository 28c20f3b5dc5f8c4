"""How a public page is answered: the property's brand, the reader's language, and headers that let nothing else in."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from apiflask import APIBlueprint
from flask import make_response, render_template, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.doors import house
from app.messages import links
from app.messages.links import BadTokenError, Ref
from app.messages.voices import Voice
from app.subscriber import visitors
from app.subscriber.texts import NAMES, SPOKEN, say
from app.subscriber.visitors import NO_BRAND, Brand, Visitor

blueprint = APIBlueprint("subscriber", __name__, url_prefix="/m", enable_openapi=False, template_folder="templates")

LARGEST_FORM = 64 * 1024
"""Bytes; a one-click request has 26, a preference form some hundreds."""

_STYLE = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


def page(
    name: str,
    visitor: Visitor | None,
    language: str,
    *,
    status: int = 200,
    policy: str = "frame-ancestors 'none'",
    **values: Any,
) -> Response:
    """Answer with a page in the property's brand. No cookie, nothing from elsewhere, and no script that it could not
    do without.

    Args:
        policy: what the page may do besides (Content-Security-Policy); by itself no script runs and nobody frames it.
    """
    brand = visitor.brand if visitor else NO_BRAND
    style = _style(brand.accent)
    html = render_template(
        f"subscriber/{name}.html",
        t=partial(_say, language),
        lang=language,
        languages=SPOKEN,
        names=NAMES,
        brand=brand,
        visitor=visitor,
        style=style,
        **values,
    )
    response = make_response(html, status)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; {policy}"
    )
    return secluded(response)


def secluded(response: Response) -> Response:
    """The token in the address goes nowhere: no referrer, no cache, no search engine."""
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    response.headers["Cache-Control"] = "no-store"
    return response


def bad_link(status: int = 404) -> Response:
    """What to do with a link that is not ours, or lost its end."""
    return page("bad", None, language_of(None), status=status)


def _say(language: str, key: str, **gaps: object) -> str:
    return say(key, language, **gaps)


@lru_cache(maxsize=256)
def _style(accent: str) -> str:
    colour = accent if _COLOUR.fullmatch(accent) else NO_BRAND.accent
    on_accent = "#ffffff" if _luminance(colour) < 0.18 else "#000000"
    return _STYLE.replace("ACCENT_COLOUR", colour).replace("ON_ACCENT", on_accent)


def _luminance(colour: str) -> float:
    """Relative luminance (WCAG 2): below 0.18 white stands out by 4.5 to 1, else black does."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def language_of(visitor: Visitor | None) -> str:
    """The page's language: what the reader switched to, the mail's or contact's, the browser's, the property's."""
    asked = request.values.get("lang") if request.method == "GET" else request.args.get("lang")
    known = (visitor.language or "").lower().partition("-")[0] if visitor else ""
    browser = request.accept_languages.best_match(SPOKEN)
    brand: Brand = visitor.brand if visitor else NO_BRAND
    return next((one for one in (asked, known, browser, brand.language) if one in SPOKEN), "en")


class Instead(Exception):  # noqa: N818 - an answer, not a failure
    """Answered in place of what was asked for: a link that is none of ours, a form too large, somebody erased."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


@blueprint.errorhandler(Instead)
def _instead(found: Instead) -> Response:
    return found.response


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of whoever holds a mail: the unit of work, whose mail it is, and the language to speak."""

    session: Session
    ref: Ref
    visitor: Visitor
    language: str

    def again(self) -> Visitor:
        """The same person as things stand now, after something was changed."""
        return visitors.of_message(self.session, self.ref.message_id) or self.visitor

    def url(self, purpose: links.Purpose, *lines: int) -> str:
        """A link of the same mail; an undo names the lines of the ledger that it takes back."""
        ref = self.ref
        numbers = (ref.workspace_id, ref.message_id, *lines) if purpose == "undo" else ref
        return links.url(house().settings, purpose, numbers)


def numbers_of(purpose: links.Purpose, token: str, least: int, most: int = 0) -> tuple[int, ...]:
    """What a token of this purpose names: so many numbers, or up to `most`. Else the answer is `bad_link`."""
    try:
        found = links.read(house().settings, purpose, token)
    except BadTokenError:
        found = ()
    if not least <= len(found) <= max(least, most):
        raise Instead(bad_link())
    return found


@contextmanager
def visit(purpose: links.Purpose, token: str, *, living: bool = False) -> Iterator[Visit]:
    """Open the door to whoever holds a link that names a message.

    Args:
        purpose, token: of the link.
        living: there must still be an address to speak of; who has been erased is told so.
    """
    workspace_id, _, message_id = numbers_of(purpose, token, 3)
    with visit_of(workspace_id, message_id, living=living) as found:
        yield found


@contextmanager
def visit_of(workspace_id: int, message_id: int, *, living: bool = False) -> Iterator[Visit]:
    """The same where the link's token has been read already."""
    if (request.content_length or 0) > LARGEST_FORM:
        raise Instead(bad_link(413))
    with unit(workspace_id) as session:
        visitor = visitors.of_message(session, message_id)
        if visitor is None:
            raise Instead(bad_link())
        language = language_of(visitor)
        if living and not visitor.person.addresses:
            raise Instead(page("erased", visitor, language, status=410))
        yield Visit(session, Ref(workspace_id, visitor.person.contact_id, message_id), visitor, language)


@contextmanager
def unit(workspace_id: int) -> Iterator[Session]:
    """One unit of work in the workspace a token names."""
    with house().database.work(workspace_id) as session:
        yield session


def voice(method: str, language: str, visitor: Visitor) -> Voice:
    """How the person speaks in this request, for the ledger."""
    return Voice(
        method=method,
        language=language,
        page=request.path.rpartition("/")[0],  # the token is not kept: it would still open the door
        ip=request.remote_addr,
        user_agent=request.user_agent.string or None,
        message_pk=visitor.person.message_id or None,
        controller=visitor.brand.controller or None,
    )


def masked(address: str) -> str:
    """Enough of an address to know one's own: `a•••@example.com`. A mail may have been passed on."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}•••{at}{domain}" if at else f"{address[:4]}•••"
