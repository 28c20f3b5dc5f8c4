"""The text part's template, made once from the template's source.

Made from the MJML and not from the HTML it becomes, so that it knows a heading from a button and a picture from a
spacer. Marks come in as tokens (marks.py) and go out as tokens.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

from app.content.compiled import Link
from app.content.marks import Tokens
from app.content.mjml_table import ENDING, VOID_HTML

_PARAGRAPHS: Final = frozenset(
    ["p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote", "pre", "center"]
)
_HEADINGS: Final = frozenset(["h1", "h2", "h3", "mj-accordion-title"])
_SILENT: Final = frozenset(["mj-head", "mj-style", "style", "script", "mj-attributes", "mj-preview", "mj-title"])
_COMPONENTS: Final = frozenset(
    [
        "mj-section",
        "mj-column",
        "mj-wrapper",
        "mj-hero",
        "mj-group",
        "mj-text",
        "mj-button",
        "mj-image",
        "mj-table",
        "mj-raw",
        "mj-social",
        "mj-navbar",
        "mj-accordion-element",
        "mj-accordion-text",
        "mj-divider",
        "mj-spacer",
    ]
)
_LINES: Final = frozenset(["tr", "li", "dt", "dd", "mj-social-element", "mj-navbar-link"])


def text_template(mjml: str, tokens: Tokens, links: Mapping[int, Link]) -> str:
    """The text part of a tokenised MJML text, with the marks back in it.

    `links` says which link a token stands for. Headings are underlined, list items begin with a dash, a table row is
    one line, a button is `Label: address`. Pictures speak through their alt text; decoration (alt="") is silent.
    """
    reader = _Reader(tokens, links)
    reader.feed(mjml)
    reader.close()
    return tokens.restore(reader.text())


@dataclass(slots=True)
class _Anchor:
    href: str
    start: int


@dataclass(slots=True)
class _State:
    out: list[str] = field(default_factory=list)
    gap: int = 0
    line_start: bool = True


class _Reader(HTMLParser):
    def __init__(self, tokens: Tokens, links: Mapping[int, Link]) -> None:
        super().__init__(convert_charrefs=False)
        self._tokens, self._links = tokens, links
        self._state = _State()
        self._stack: list[str] = []
        self._anchors: list[_Anchor] = []
        self._lists: list[int | None] = []
        self._heading: int | None = None
        self._cells = 0
        self._pending_space = False

    def text(self) -> str:
        """What was gathered."""
        text = re.sub(r"[ \t]+\n", "\n", "".join(self._state.out))
        return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"

    # reading

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag not in VOID_HTML and tag not in {"mj-image", "mj-divider", "mj-spacer", "mj-carousel-image"}:
            self._stack.append(tag)
        if self._silent():
            return
        if tag in _PARAGRAPHS or tag in _COMPONENTS or tag in _HEADINGS:
            self._break(2)
        elif tag in _LINES:
            self._break(1)
        if tag in {"ul", "ol"}:
            self._lists.append(0 if tag == "ol" else None)
        elif tag == "li":
            self._bullet()
        elif tag == "tr":
            self._cells = 0
        elif tag in {"td", "th"}:
            self._cells += 1
            if self._cells > 1:
                said = self._state.out[-1] if self._state.out else ""
                label = self._cells == 2 and tag == "td" and said[-1:] not in ":.;,?!"
                self._words(": " if label else "  ", glue=True)
        elif tag == "br":
            self._break(1)
        elif tag == "hr":
            self._break(2)
        elif tag in {"img", "mj-image", "mj-carousel-image"}:
            self._picture(given, block=tag != "img")
        if tag in {"a", "mj-button", "mj-navbar-link", "mj-social-element"}:
            self._anchors.append(_Anchor(given.get("href", ""), len(self._state.out)))
        if tag in _HEADINGS:
            self._heading = len(self._state.out)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self._stack and self._stack[-1] == tag:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        silent = self._silent()
        if tag in self._stack:
            del self._stack[len(self._stack) - 1 - self._stack[::-1].index(tag) :]
        if silent:
            return
        if tag in {"a", "mj-button", "mj-navbar-link", "mj-social-element"} and self._anchors:
            self._link(self._anchors.pop(), separate=tag != "a")
        if tag in _HEADINGS and self._heading is not None:
            self._underline(self._heading)
            self._heading = None
        if tag in {"ul", "ol"} and self._lists:
            self._lists.pop()
        if tag in _PARAGRAPHS or tag in _COMPONENTS or tag in _HEADINGS:
            self._break(2)
        elif tag in _LINES:
            self._break(1)

    def handle_data(self, data: str) -> None:
        if self._silent():
            return
        position = 0
        for token in self._tokens.pattern.finditer(data):
            self._prose(data[position : token.start()])
            self._token(token)
            position = token.end()
        self._prose(data[position:])

    def handle_entityref(self, name: str) -> None:
        self.handle_data(html.unescape(f"&{name};"))

    def handle_charref(self, name: str) -> None:
        self.handle_data(html.unescape(f"&#{name};"))

    # writing

    def _silent(self) -> bool:
        return any(tag in _SILENT for tag in self._stack)

    def _in_words(self) -> bool:
        return any(tag in ENDING for tag in self._stack)

    def _prose(self, data: str) -> None:
        if not self._in_words() and not data.strip():
            return
        words = re.sub(r"\s+", " ", data.replace("\xa0", " ")).replace("{{", "{{ '{{' }}").replace("{%", "{{ '{%' }}")
        if words == " ":
            self._pending_space = True
            return
        if not words:
            return
        if words.startswith(" "):
            self._pending_space = True
        self._words(words.strip(" "))
        self._pending_space = words.endswith(" ")

    def _token(self, token: re.Match[str]) -> None:
        piece = self._tokens.piece(int(token[1]))
        if piece.startswith("{%") and (self._state.gap or self._state.line_start):
            self._flush()
            self._state.out.append(token[0])
        else:
            self._words(token[0])

    def _words(self, words: str, *, glue: bool = False) -> None:
        if glue and (self._state.gap or self._state.line_start):
            return
        self._flush()
        if self._pending_space and not self._state.line_start and not glue:
            self._state.out.append(" ")
        self._pending_space = False
        self._state.out.append(words)
        self._state.line_start = False

    def _flush(self) -> None:
        if self._state.gap:
            if self._state.out:
                self._state.out.append("\n" * self._state.gap)
            self._state.gap, self._state.line_start, self._pending_space = 0, True, False

    def _break(self, size: int) -> None:
        self._pending_space = False
        if not self._state.line_start or self._state.gap:
            self._state.gap = max(self._state.gap, size)
        elif size == 2 and self._state.out and not self._state.out[-1].endswith("\n\n"):
            self._state.gap = 1

    def _bullet(self) -> None:
        if self._lists and (count := self._lists[-1]) is not None:
            self._lists[-1] = count + 1
            self._words(f"{count + 1}.")
        else:
            self._words("-")
        self._pending_space = True

    def _picture(self, given: Mapping[str, str], *, block: bool) -> None:
        alt = re.sub(r"\s+", " ", html.unescape(given.get("alt", ""))).strip()
        if block:
            self._break(2)
        start = len(self._state.out)
        if alt and "href" in given:
            self._words(alt)
            self._link(_Anchor(given["href"], start), separate=True)
        elif alt:
            self._words(f"[{alt}]")
        if block:
            self._break(2)

    def _link(self, anchor: _Anchor, *, separate: bool) -> None:
        label = "".join(self._state.out[anchor.start :]).strip()
        found = self._tokens.pattern.fullmatch(anchor.href)
        link = self._links.get(int(found[1])) if found else None
        if link is None or (link.kind == "address" and label):
            return
        if not label:
            self._words(anchor.href)
        elif self._tokens.restore(label).strip() == link.url or label == re.sub(r"^https?://", "", link.url).rstrip(
            "/"
        ):
            del self._state.out[anchor.start :]
            self._state.out.append(anchor.href)
        else:
            self._state.out.append(f": {anchor.href}" if separate else f" ({anchor.href})")

    def _underline(self, start: int) -> None:
        label = "".join(self._state.out[start:]).strip()
        width = len(self._tokens.pattern.sub("x" * 10, label))
        if label and not self._tokens.piece_only(label):
            self._state.out.append("\n" + "-" * max(3, min(width, 60)))
