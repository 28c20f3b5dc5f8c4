"""Our own MJML check, since the compiler is silent about what it does not understand.

Read with html.parser, because MJML in the wild is not XML (`<br>`, `&nbsp;`, bare `&`), over the text with its Jinja
marks hidden. The tables are in mjml_table.py. Nothing is rendered and no file is opened.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from difflib import get_close_matches
from html.parser import HTMLParser
from typing import Final

from app.content import mjml_table as table
from app.content.marks import CLOSERS, FILLER, MIDDLES, Mark, find, mask, unclosed
from app.content.problems import CODES, ContentError, Lines, Problem, Severity

__all__ = ["CODES", "ContentError", "Problem", "lint"]

_ATTRIBUTE: Final = re.compile(r"""([^\s=/>"']+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s>"']+))?""")
_UNIT: Final = re.compile(r"(-?\d*\.?\d+)(px|%|em)?$")
_IN_HTML_ONLY: Final = "Put it in a mj-text or a mj-raw."


@dataclass(slots=True)
class _Open:
    """A component that is open."""

    tag: str
    offset: int
    html: list[tuple[str, int]] = field(default_factory=list)
    words: bool = False
    named: bool = False


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute as written: `start` is the offset of its name in the whole text; `value` has no quotes."""

    name: str
    value: str | None
    start: int
    value_start: int


def attributes(tag_text: str, offset: int) -> list[Attribute]:
    """The attributes of a start tag whose marks are hidden, in order, with their places."""
    head = re.match(r"<[^\s/>]+", tag_text)
    start = head.end() if head else 1
    found = []
    for match in _ATTRIBUTE.finditer(tag_text, start):
        value, quoted = match[2], 0
        if value is not None and value[0] in "\"'":
            value, quoted = value[1:-1], 1
        value_start = match.start(2) + quoted if match[2] is not None else match.end()
        found.append(Attribute(match[1].lower(), value, offset + match.start(), offset + value_start))
    return found


def lint(text: str, file: str = "template.mjml", *, fragment: bool = False) -> list[Problem]:
    """All that is wrong with one MJML text, in order of place.

    `fragment` says that the text is a part (a block, a body) and needs no `<mjml>` root. Includes are taken as
    settled: a `mj-include` is passed over.
    """
    reader = _Reader(text, file, fragment)
    reader.read()
    return sorted(set(reader.problems))


class _Reader(HTMLParser):
    """Walks the masked text with a stack of open components."""

    def __init__(self, text: str, file: str, fragment: bool) -> None:
        super().__init__(convert_charrefs=False)
        self._text, self._file, self._fragment = text, file, fragment
        self._masked = mask(text)
        self._lines = Lines(text)
        self._marks = find(text)
        self._mark_starts = [m.start for m in self._marks]
        self._stack: list[_Open] = []
        self._blocks: list[tuple[Mark, tuple[object, ...]]] = []
        self._roots: list[str] = []
        self.problems: list[Problem] = []

    def read(self) -> None:
        """Walk the whole text, then say what is left open."""
        for offset in unclosed(self._text):
            self._say(offset, "mark-open", "error", "This mark is never closed.", "Close it with }}, %} or #}.")
        if self._masked.lstrip().startswith("<?xml"):
            self._say(0, "unsupported", "error", "The compiler takes no XML declaration.", "Delete the first line.")
        self.feed(self._masked)
        self.close()
        for entry in reversed(self._stack):
            self._unclosed(entry)
        for mark, _ in self._blocks:
            self._say(
                mark.start, "mark-unbalanced", "error", f"{mark.text} is never closed.", f"End it with end{mark.word}."
            )
        if not self._fragment and (self._roots[:1] != ["mjml"] or "mj-body" not in self._roots):
            self._say(0, "no-root", "error", CODES["no-root"], "A part of a mail is used with mj-include.")

    # html.parser's events

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._start(tag, closed=False)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._start(tag, closed=True)

    def handle_endtag(self, tag: str) -> None:
        offset = self._here()
        if not (tag.startswith("mj-") or tag == "mjml"):
            self._end_html(tag, offset)
            return
        if tag in table.EMPTY and (not self._stack or self._stack[-1].tag != tag):
            return
        names = [entry.tag for entry in self._stack]
        if tag not in names:
            if not names:
                self._say(offset, "mismatched-tag", "error", f"</{tag}> closes nothing.", "Delete it.")
                return
            entry = self._stack.pop()
            line, _ = self._lines.at(entry.offset)
            self._say(
                offset, "mismatched-tag", "error", f"</{tag}> cannot close <{entry.tag}> of line {line}.",
                f"Write </{entry.tag}>.",
            )  # fmt: skip
            return
        while self._stack[-1].tag != tag:
            self._unclosed(self._stack.pop())
        self._close(self._stack.pop())

    def handle_data(self, data: str) -> None:
        offset = self._here()
        words = data.replace(FILLER, "").strip()
        inside = self._stack[-1] if self._stack else None
        if inside is not None and data.strip():
            inside.words = True
        free = inside is None or inside.tag not in table.ENDING
        if words and free:
            lead = len(data) - len(data.lstrip(FILLER + " \t\r\n"))
            where = f"directly in <{inside.tag}>" if inside else "outside <mjml>"
            if not (inside is None and self._fragment):
                self._say(offset + lead, "text-outside", "error", f"“{words[:30]}” stands {where}.", _IN_HTML_ONLY)
        marks = self._marks_between(offset, offset + len(data))
        if marks and inside is not None and free and inside.tag not in table.CONTAINERS_OF_MARKS:
            cure = "Write the loop or condition around the whole component, or use a mj-text or mj-table."
            for mark in marks:
                if mark.kind != "comment":
                    self._say(mark.start, "mark-here", "error", f"No mark may stand directly in <{inside.tag}>.", cure)
        self._balance(marks, tuple(entry.offset for entry in self._stack))

    def handle_entityref(self, name: str) -> None:
        if self._stack:
            self._stack[-1].words = True

    def handle_charref(self, name: str) -> None:
        self.handle_entityref(name)

    def unknown_decl(self, data: str) -> None:
        self._say(self._here(), "unsupported", "error", "The compiler takes no CDATA.", "Write the text as it is.")

    # components

    def _start(self, tag: str, *, closed: bool) -> None:
        offset = self._here()
        raw = self.get_starttag_text() or ""
        given = attributes(raw, offset)
        self._marks_in_tag(tag, raw, offset, given)
        if tag == "mj-include":
            return
        if not (tag.startswith("mj-") or tag == "mjml"):
            self._start_html(tag, offset, given, closed=closed)
            return
        parent = self._stack[-1].tag if self._stack else None
        self._nesting(tag, parent, offset)
        if parent in {None, "mjml"}:
            self._roots.append(tag)
        if tag in table.UNSUPPORTED:
            self._say(offset, "unsupported", "error", f"The compiler does not take <{tag}>.", table.UNSUPPORTED[tag])
        elif tag not in table.KNOWN:
            self._say(offset, "unknown-tag", "error", f"There is no <{tag}>.", _nearest(tag, table.KNOWN))
        else:
            self._attributes(tag, offset, given, in_defaults=parent in {"mj-attributes", "mj-class"})
        entry = _Open(tag, offset, named=any(a.name == "alt" for a in given))
        if closed:
            self._close(entry)
        else:
            self._stack.append(entry)

    def _nesting(self, tag: str, parent: str | None, offset: int) -> None:
        if parent is None:
            if tag != "mjml" and not self._fragment and "mjml" in self._roots:
                self._say(offset, "wrong-nesting", "error", f"<{tag}> stands outside <mjml>.", "Move it inside.")
        elif parent in table.ENDING or parent in table.EMPTY:
            line, _ = self._lines.at(self._stack[-1].offset)
            self._say(
                offset, "wrong-nesting", "error", f"<{tag}> stands inside <{parent}> of line {line}.",
                f"Close <{parent}> first.",
            )  # fmt: skip
        elif parent in table.CHILDREN and tag in table.KNOWN and tag not in table.CHILDREN[parent]:
            homes = sorted(home for home, children in table.CHILDREN.items() if tag in children)
            cure = f"It belongs in {' or '.join(homes)}." if homes else "Move it."
            self._say(offset, "wrong-nesting", "error", f"<{tag}> may not stand directly in <{parent}>.", cure)

    def _attributes(self, tag: str, offset: int, given: list[Attribute], *, in_defaults: bool) -> None:
        loose = tag in {"mj-all", "mj-class"} or tag not in table.ATTRIBUTES
        allowed = table.ATTRIBUTES.get(tag, {})
        for one in given:
            if FILLER in one.name or one.name in table.EVERYWHERE:
                continue
            if tag == "mj-style" and one.name == "inline":
                cure = "Delete it, and write the style where it is used."
                self._say(one.start, "unsupported", "error", "The compiler does not put styles inline.", cure)
            elif tag == "mj-raw" and one.name == "position":
                self._say(one.start, "unsupported", "error", "The compiler takes no position on mj-raw.", "Delete it.")
            elif loose:
                continue
            elif one.name not in allowed:
                self._say(
                    one.start, "unknown-attribute", "warning", f"<{tag}> has no attribute {one.name}.",
                    _nearest(one.name, allowed),
                )  # fmt: skip
            elif one.name in table.DROPPED.get(tag, ()):
                self._say(
                    one.start, "dropped-attribute", "warning", f"The compiler leaves out {one.name} of <{tag}>.",
                    "Delete it, or say it with a style.",
                )  # fmt: skip
            elif one.value is not None and FILLER not in one.value:
                self._value(tag, one, allowed[one.name])
        names = {one.name for one in given}
        if tag in {"mj-image", "mj-carousel-image"} and "alt" not in names and not in_defaults:
            self._say(
                offset, "missing-alt", "warning", f"<{tag}> has no alt.", 'Describe it, or write alt="" for decoration.'
            )

    def _value(self, tag: str, one: Attribute, kind: str) -> None:
        value = one.value or ""
        if not _fits(value, kind):
            self._say(
                one.value_start, "invalid-value", "warning", f"{one.name} of <{tag}> cannot be “{value}”.",
                f"It takes {kind}.",
            )  # fmt: skip

    def _close(self, entry: _Open) -> None:
        if entry.tag == "mj-social-element" and not entry.words and not entry.named:
            self._say(
                entry.offset, "missing-alt", "warning", "<mj-social-element> has neither words nor alt.", "Add alt."
            )

    def _unclosed(self, entry: _Open) -> None:
        self._say(entry.offset, "unclosed-tag", "error", f"<{entry.tag}> is never closed.", f"Write </{entry.tag}>.")

    # HTML inside the components that hold it

    def _start_html(self, tag: str, offset: int, given: list[Attribute], *, closed: bool) -> None:
        inside = self._stack[-1] if self._stack else None
        if inside is None or inside.tag not in table.ENDING:
            if not (inside is None and self._fragment):
                where = f"directly in <{inside.tag}>" if inside else "outside <mjml>"
                self._say(offset, "text-outside", "error", f"HTML <{tag}> stands {where}.", _IN_HTML_ONLY)
            return
        inside.words = True
        if tag == "img" and all(one.name != "alt" for one in given):
            self._say(
                offset, "missing-alt", "warning", "<img> has no alt.", 'Describe it, or write alt="" for decoration.'
            )
        if not closed and tag not in table.VOID_HTML:
            inside.html.append((tag, offset))

    def _end_html(self, tag: str, offset: int) -> None:
        inside = self._stack[-1] if self._stack else None
        if inside is None or inside.tag == "mj-raw" or tag in table.VOID_HTML:
            return  # a mj-raw may well close what another one opened
        names = [name for name, _ in inside.html]
        if tag in names:
            del inside.html[len(names) - 1 - names[::-1].index(tag) :]
        elif inside.tag in table.ENDING and tag not in table.OPTIONAL_END:
            self._say(offset, "stray-html", "warning", f"</{tag}> closes nothing.", "Delete it.")

    # marks

    def _marks_in_tag(self, tag: str, raw: str, offset: int, given: list[Attribute]) -> None:
        if FILLER not in raw:
            return
        for one in given:
            if FILLER in one.name or FILLER in tag:
                cure = "Put the mark into an attribute's value, or choose between two whole components."
                self._say(one.start, "mark-in-tag", "error", f"A mark stands among the attributes of <{tag}>.", cure)
            elif one.value is not None and FILLER in one.value:
                marks = self._marks_between(one.value_start, one.value_start + len(one.value))
                self._balance(marks, ("attribute", one.start))
                if one.name in table.COMPUTED.get(tag, ()):
                    cure = "Write a fixed value, or choose between two whole components."
                    self._say(
                        one.value_start,
                        "computed-attribute",
                        "error",
                        f"{one.name} of <{tag}> cannot hold a mark.",
                        cure,
                    )

    def _balance(self, marks: list[Mark], place: tuple[object, ...]) -> None:
        for mark in marks:
            if mark.kind != "comment" and "<" in mark.text:
                self._say(
                    mark.start, "mark-less-than", "warning", "A `<` stands in this mark.", "Turn it round: b > a."
                )
            if mark.kind != "statement":
                continue
            if mark.opens:
                self._blocks.append((mark, place))
            elif mark.word in CLOSERS or mark.word in MIDDLES:
                self._fitting(mark, place)

    def _fitting(self, mark: Mark, place: tuple[object, ...]) -> None:
        wanted = (CLOSERS[mark.word],) if mark.word in CLOSERS else MIDDLES[mark.word]
        if not self._blocks or self._blocks[-1][0].word not in wanted:
            self._say(
                mark.start, "mark-unbalanced", "error", f"{mark.text} fits no open block.", "Open it, or delete this."
            )
            return
        opener, opened_at = self._blocks[-1]
        if opened_at != place:
            line, _ = self._lines.at(opener.start)
            self._say(
                mark.start, "mark-crosses-tags", "error",
                f"{mark.text} stands in another component than {opener.text} of line {line}.",
                "Open and close a block in one place.",
            )  # fmt: skip
        if mark.word in CLOSERS:
            self._blocks.pop()

    def _marks_between(self, start: int, end: int) -> list[Mark]:
        return self._marks[bisect_left(self._mark_starts, start) : bisect_left(self._mark_starts, end)]

    def _here(self) -> int:
        return self._lines.offset(*self.getpos())

    def _say(self, offset: int, code: str, severity: Severity, message: str, cure: str = "") -> None:
        line, column = self._lines.at(offset)
        self.problems.append(Problem(self._file, line, column, code, severity, message, cure))


def _nearest(name: str, known: object) -> str:
    near = get_close_matches(name, list(known), 1) if hasattr(known, "__iter__") else []
    return f"Did you mean {near[0]}?" if near else ""


def _fits(value: str, kind: str) -> bool:
    """Whether a value is of a type written in the reference's notation."""
    shape = re.match(r"(\w+)(?:\(([^)]*)\))?(?:\{(\d),(\d)\})?$", kind)
    if shape is None or shape[1] in {"string", "color"}:
        return True
    options = (shape[2] or "").split(",")
    if shape[1] == "enum":
        return value in options
    if shape[1] == "boolean":
        return value in {"true", "false"}
    if shape[1] == "integer":
        return value.isdigit()
    parts = value.split()
    return 1 <= len(parts) <= int(shape[4] or 1) and all(_is_unit(part, options, shape[1]) for part in parts)


def _is_unit(part: str, options: list[str], kind: str) -> bool:
    if part in options or part == "0":
        return True
    number = _UNIT.match(part)
    if number is None or (kind == "unit" and number[1].startswith("-")):
        return False
    return (number[2] or "") in options
