"""A compiled template and one person's facts → the message: subject, preheader, HTML, text."""

from __future__ import annotations

import random
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import Template
from jinja2.exceptions import TemplateError
from markupsafe import Markup, escape

from app.content.compiled import CompiledLanguage
from app.content.environment import MAX_STEPS, LimitExceeded, MissingField, RenderError, limited_range
from app.content.formats import one_line, reader_of
from app.content.program import load

__all__ = ["LimitExceeded", "MissingField", "RenderError", "Rendered", "render"]

CACHE_SIZE: Final = 256
"""Template languages kept ready in one process; one takes some 200 kB."""
_SCHEMES: Final = re.compile(r"(https?://|mailto:|tel:|sms:)", re.IGNORECASE)
_BREAK: Final = "".join(chr(0xF0000 + random.SystemRandom().randrange(0xFFFD)) for _ in range(3))
"""Marks a line break of the template, so that those in people's own words are never touched; new in each process."""
_SPACED: Final = re.compile(r"[ \t]*(\n+)[ \t]*")


@dataclass(frozen=True, slots=True)
class Rendered:
    """One message's words. `links_used` are the (number, address) pairs in order of first use.

    `shown` names the classes of gated blocks that were shown: a transactional message with `marketing` in it carries
    one-click headers (R21). `empty` says that only gated blocks were left and none was allowed: nothing is to be sent,
    and all parts are empty.
    """

    subject: str
    preheader: str
    html: str
    text: str
    links_used: tuple[tuple[int, str], ...]
    shown: frozenset[str] = frozenset()
    empty: bool = False


@dataclass(frozen=True, slots=True)
class _Ready:
    subject: Template
    preheader: Template
    html: Template
    text: Template


_cache: OrderedDict[str, _Ready] = OrderedDict()


def render(
    compiled: CompiledLanguage,
    facts: Mapping[str, Any],
    *,
    link: Callable[[int, str], str],
    urls: Mapping[str, str],
    allows: Callable[[str], bool],
    locale: str,
    zone: str,
) -> Rendered:
    """Compose one message.

    `facts` is the nested plain dict of one person and passage. `link(number, address)` gives what stands in the
    message for a link; `compiled.links[number - 1]` tells what it is. `urls` holds `assets` (the base address of
    pictures) and those of `unsubscribe_url`, `preferences_url`, `view_url`, `notice_url` that there are.
    `allows(class)` says whether a block of that class may be shown to this person. `locale` is a language tag, `zone`
    an IANA zone.

    Raises MissingField where a fact that is shown is missing, RenderError for all else that a message can die of.
    """
    if compiled.gates and not any(all(allows(one) for one in gate.split("+")) for gate in compiled.gates):
        return Rendered("", "", "", "", (), empty=True)
    ready = _ready(compiled)
    used: dict[tuple[int, str], tuple[str, Markup]] = {}
    shown: set[str] = set()

    def made(number: int, address: Any) -> tuple[str, Markup]:
        key = (number, str(address))
        pair = used.get(key)
        if pair is None:
            if not _SCHEMES.match(key[1]):
                raise RenderError("unsafe_link", f"link {number} leads to {key[1]!r:.60}")
            plain = link(number, key[1])
            pair = used[key] = plain, escape(plain)
        return pair

    def allows_class(class_: str) -> bool:
        allowed = bool(allows(class_))
        if allowed:
            shown.add(class_)
        return allowed

    def asset(name: str) -> str:
        return f"{urls['assets'].rstrip('/')}/{name}"

    try:
        context = {
            **facts, **urls, "allows": allows_class, "asset": asset, "range": limited_range,
            "link": lambda number, address: made(number, address)[0],
            "_reader": reader_of(locale, zone), "_budget": [MAX_STEPS],
        }  # fmt: skip
        escaped = {**context, "link": lambda number, address: made(number, address)[1]}
        return Rendered(
            subject=one_line(_run(ready.subject, context)),
            preheader=one_line(_run(ready.preheader, context)),
            html=_run(ready.html, escaped),
            text=_spaced(_run(ready.text, context)).strip() + "\n",
            links_used=tuple(used),
            shown=frozenset(shown),
        )
    except RenderError:
        raise
    except (TemplateError, ArithmeticError, TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise RenderError("template", f"{type(error).__name__}: {error}"[:300]) from error


def _run(template: Template, context: dict[str, Any]) -> str:
    environment = template.environment
    return environment.concat(template.root_render_func(template.new_context(context, shared=True)))


def _spaced(text: str) -> str:
    """The template's own line breaks, runs of them as one: what vanished leaves no hole."""
    first, *rest = text.split(_BREAK)
    out, gap = [first], "1"
    for part in rest:
        gap, words = max(gap, part[0]), part[1:]
        if words and not words.isspace():
            out += ("\n\n" if gap == "2" else "\n", words)
            gap = "1"
    return "".join(out)


def _marked(data: str) -> str:
    return _SPACED.sub(lambda m: _BREAK + ("2" if len(m[1]) > 1 else "1"), data)


def _ready(compiled: CompiledLanguage) -> _Ready:
    ready = _cache.get(compiled.digest)
    if ready is not None:
        _cache.move_to_end(compiled.digest)
        return ready
    links = {one.number: one.url for one in compiled.links}

    def make(source: str, *, plain: bool, breaks: Callable[[str], str] | None = None) -> Template:
        return load(source, plain=plain, links=links, fallbacks=compiled.fallbacks, breaks=breaks)

    try:
        ready = _Ready(
            make(compiled.subject, plain=True), make(compiled.preheader, plain=True),
            make(compiled.html, plain=False), make(compiled.text, plain=True, breaks=_marked),
        )  # fmt: skip
    except (ValueError, TemplateError) as error:
        raise RenderError("template", f"the published template cannot be read: {error}"[:300]) from error
    _cache[compiled.digest] = ready
    while len(_cache) > CACHE_SIZE:
        _cache.popitem(last=False)
    return ready
