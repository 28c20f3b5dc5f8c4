"""MJML with Jinja marks → HTML with the same marks, each of them accounted for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mjml import mjml2html

from app.content import marks
from app.content.compiled import Link
from app.content.links import number_links
from app.content.lint import lint
from app.content.problems import Problem
from app.content.sheet import Sheet
from app.content.source import START_TAG, expand
from app.content.text_part import text_template

SOCIAL_ICONS: Final = "{{ asset('social/') }}"
"""Our own icons, never those of the compiler's maker."""
_POSITION: Final = re.compile(r"at position (\d+)")
_UNQUOTED: Final = re.compile(r"=\s*([^\s\"'>=]+)")


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one MJML text becomes: HTML and text part with marks, the link table, and the text as linked."""

    html: str
    text: str
    links: tuple[Link, ...]
    linked: Sheet


def draw(sheet: Sheet, problems: list[Problem]) -> Drawn | None:
    """Check, compile and account for every mark; None where the MJML is broken, with the reasons in `problems`."""
    found = lint(sheet.text)
    for one in found:
        file, line, column = sheet.place(one.line, one.column)
        problems.append(Problem(file, line, column, one.code, one.severity, one.message, one.cure))
    if any(one.severity == "error" for one in found):
        return None
    linked, links = number_links(sheet, problems)
    tokens = marks.Tokens(linked.text)
    icons = tokens.make(SOCIAL_ICONS)
    hidden = _quote(tokens.hide(linked.text))
    try:
        drawn = mjml2html(hidden, disable_comments=True, fonts={}, social_icon_origin=icons)
    except ValueError as error:
        problems.append(_refused(str(error), hidden, tokens, linked))
        return None
    lost = _account(hidden, drawn, tokens)
    for number in lost:
        mark = tokens.piece(number)
        at = max(linked.text.find(mark), 0)
        cure = "Move it into a mj-text or around a whole component."
        problems.append(linked.problem(at, "mark-lost", "error", f"{mark} does not come through the compiler.", cure))
    if lost:
        return None
    by_token = _links_by_token(hidden, tokens, links)
    html = tokens.restore(_icons(drawn, tokens))
    return Drawn(html, text_template(hidden, tokens, by_token), links, linked)


def draw_document(file: str, files: Mapping[str, str]) -> tuple[Drawn | None, list[Problem]]:
    """`draw` for one whole MJML document of a mapping of files, with what it includes."""
    problems: list[Problem] = []
    sheet = expand(file, files, problems)
    drawn = None if problems else draw(sheet, problems)
    return drawn, sorted(set(problems))


def _icons(drawn: str, tokens: marks.Tokens) -> str:
    """The compiler writes origin + name; ours is a call with the whole name."""
    return re.sub(tokens.pattern.pattern.replace(r"(\d+)", "0") + r"([\w-]+\.png)", r"{{ asset('social/\1') }}", drawn)


def _quote(text: str) -> str:
    """Put quotes round bare attribute values, which HTML allows and the compiler does not."""
    return START_TAG.sub(lambda m: _quoted(m[0]) if "=" in m[0] else m[0], text)


def _quoted(tag: str) -> str:
    parts = re.split(r"(\"[^\"]*\"|'[^']*')", tag)
    return "".join(part if index % 2 else _UNQUOTED.sub(r'="\1"', part) for index, part in enumerate(parts))


def _links_by_token(hidden: str, tokens: marks.Tokens, links: tuple[Link, ...]) -> Mapping[int, Link]:
    table = {f"{{{{ link({one.number}) }}}}": one for one in links}
    return {n: table[piece] for n in tokens.numbers(hidden) if (piece := tokens.piece(n)) in table}


def _account(source: str, drawn: str, tokens: marks.Tokens) -> list[int]:
    """The tokens that did not come out as they must.

    In content each comes out once and in its place; in an attribute all of one value come out equally often, at least
    once. A title is repeated by the compiler, and the head's attributes may go unused.
    """
    came = Counter(tokens.numbers(drawn))
    body = source.find("<mj-body")
    head = source[: max(body, 0)]
    lost: list[int] = []
    in_tags: set[int] = set()
    for tag in START_TAG.finditer(source):
        for value in re.finditer(r"\"[^\"]*\"|'[^']*'", tag[0]):
            numbers = tokens.numbers(value[0])
            in_tags.update(numbers)
            counts = {came[n] for n in numbers}
            if numbers and tag.start() > body >= 0 and (len(counts) > 1 or 0 in counts):
                lost += numbers
    repeated = set(tokens.numbers(" ".join(re.findall(r"<mj-title>.*?</mj-title>", head, re.DOTALL))))
    content = [n for n in tokens.numbers(source) if n not in in_tags]
    lost += [n for n in content if (came[n] < 1 if n in repeated else came[n] != 1)]
    ordered = [n for n in content if n not in repeated and n not in lost]
    wanted = set(ordered)
    if not lost and [n for n in tokens.numbers(drawn) if n in wanted] != ordered:
        lost += _misplaced(ordered, [n for n in tokens.numbers(drawn) if n in wanted])
    return sorted(set(lost))


def _misplaced(source: list[int], drawn: list[int]) -> list[int]:
    return [a for a, b in zip(source, drawn, strict=False) if a != b][:1]


def _refused(reason: str, hidden: str, tokens: marks.Tokens, linked: Sheet) -> Problem:
    """The compiler's own refusal, with its place counted back through the tokens."""
    found = _POSITION.search(reason)
    at = 0
    if found:
        target, position, last = int(found[1]), 0, 0
        for token in tokens.pattern.finditer(hidden):
            if token.start() >= target:
                break
            position += token.start() - last + len(tokens.piece(int(token[1])))
            last = token.end()
        at = min(position + max(target - last, 0), max(len(linked.text) - 1, 0))
    return linked.problem(at, "compiler", "error", f"The MJML compiler says: {reason[:120]}.")
