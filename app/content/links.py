"""The links of a source, numbered in the order they stand, so that a number means the same in HTML and text."""

from __future__ import annotations

import html
import re
from typing import Final

from app.content import marks
from app.content.compiled import Link, LinkKind
from app.content.lint import attributes
from app.content.problems import Problem
from app.content.program import URLS, BadUrlError, url_tree
from app.content.sheet import Builder, Sheet
from app.content.source import COMMENT, START_TAG

_LINKED: Final = frozenset(
    ["a", "area", "mj-button", "mj-image", "mj-navbar-link", "mj-social-element", "mj-carousel-image"]
)
_FUNCTIONAL: Final = re.compile(r"\{\{[-+]?\s*(?:" + "|".join(sorted(URLS)) + r")\s*[-+]?\}\}")
_GOOD: Final = re.compile(r"https?://|mailto:|tel:|sms:|\{\{|\{%", re.IGNORECASE)
_NAMES: Final = {"mj-image": "alt", "mj-carousel-image": "alt"}


def number_links(sheet: Sheet, problems: list[Problem]) -> tuple[Sheet, tuple[Link, ...]]:
    """The sheet without its comments and with every address of the body as `{{ link(n) }}`, and the link table."""
    masked = marks.mask(sheet.text)
    comments = [(m.start(), m.end()) for m in COMMENT.finditer(masked)]
    blanked = COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), masked)
    body = re.search(r"<mj-body\b", blanked)
    edits: list[tuple[int, int, str]] = [(start, end, "") for start, end in comments]
    links: list[Link] = []
    for tag in START_TAG.finditer(blanked, body.start() if body else 0):
        name = re.match(r"<([\w-]+)", tag[0])
        if name is None or name[1].lower() not in _LINKED:
            continue
        for one in attributes(tag[0], tag.start()):
            if one.name != "href" or not one.value:
                continue
            end = one.value_start + len(one.value)
            url = _unescaped(sheet.text[one.value_start : end].strip())
            if url.startswith("#"):
                continue
            _check(sheet, one.value_start, url, problems)
            label = _label(sheet.text, tag, name[1].lower())
            links.append(Link(len(links) + 1, url, _kind(url), label))
            quoted = sheet.text[one.value_start - 1] in "\"'"
            mark = f"{{{{ link({len(links)}) }}}}"
            edits.append((one.value_start, end, mark if quoted else f'"{mark}"'))
    out, position = Builder(sheet.files), 0
    for start, end, text in sorted(edits):
        out.copy(sheet, position, start)
        if text:
            out.insert(text, sheet, start)
        position = end
    out.copy(sheet, position, len(sheet.text))
    return out.sheet(), tuple(links)


def _unescaped(url: str) -> str:
    """HTML's entities undone, but not inside marks."""
    parts, position = [], 0
    for mark in marks.find(url):
        parts += [html.unescape(url[position : mark.start]), mark.text]
        position = mark.end
    return "".join((*parts, html.unescape(url[position:])))


def _kind(url: str) -> LinkKind:
    if re.match(r"(mailto|tel|sms):", url, re.IGNORECASE):
        return "address"
    return "functional" if _FUNCTIONAL.fullmatch(url) else "content"


def _check(sheet: Sheet, offset: int, url: str, problems: list[Problem]) -> None:
    if re.match(r"\s*(javascript|data|vbscript|file):", url, re.IGNORECASE):
        problems.append(sheet.problem(offset, "bad-link", "error", f"A mail must not link to {url[:30]!r}."))
    elif not _GOOD.match(url):
        cure = "Write the whole address, with https://."
        problems.append(sheet.problem(offset, "bad-link", "warning", f"{url[:60]!r} is no whole address.", cure))
    else:
        try:
            url_tree(url)
        except BadUrlError as error:
            problems.append(sheet.problem(offset, "bad-link", "error", f"The address cannot be used: {error}."))


def _label(text: str, tag: re.Match[str], name: str) -> str:
    if name in _NAMES:
        found = re.search(rf'\s{_NAMES[name]}\s*=\s*"([^"]*)"', text[tag.start() : tag.end()])
        return html.unescape(found[1])[:80] if found else ""
    closing = text.find(f"</{name}", tag.end())
    if closing < 0:
        return ""
    words = re.sub(r"<[^>]*>", " ", marks.mask(text[tag.end() : closing]).replace(marks.FILLER, "·"))
    return re.sub(r"·+", "…", re.sub(r"\s+", " ", html.unescape(words))).strip()[:80]
