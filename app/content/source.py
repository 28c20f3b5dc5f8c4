"""A template's folder → one whole MJML text per language: includes settled, texts put in, blocks behind their class.

Everything is done on text before any MJML tool sees it, and each character keeps its file and line (sheet.py).
"""

from __future__ import annotations

import html
import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from app.content import marks
from app.content.lint import attributes
from app.content.manifest import CLASSES, Manifest, Text
from app.content.problems import Problem
from app.content.sheet import Builder, Sheet

START_TAG: Final = re.compile(r"<[a-zA-Z](?:[^<>\"']|\"[^\"]*\"|'[^']*')*>")
COMMENT: Final = re.compile(r"<!--(?!\[if|<!\[endif).*?-->", re.DOTALL)
_INCLUDE: Final = re.compile(r"<mj-include\b(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>(?:\s*</mj-include\s*>)?")
_HEADER: Final = re.compile(r"\s*<!--\s*block:\s*([\w-]+)\s*(?:;\s*class:\s*([\w ,]+?))?\s*-->")
_KEY: Final = re.compile(r"t\.([A-Za-z_]\w*(?:\.\w+)*)")
_STRINGS: Final = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"")
_DEPTH: Final = 12
MAX_SOURCE: Final = 400_000

VARIANTS: Final = ("profiling", "generic")
"""Two blocks in place of one (R13): the first, made for the person by what they did, is shown only with a consent to
profiling; the second, the same for everybody, only without."""
LIVE: Final = "live"
"""A block about how much is left of something: shown only while the value it rests on is fresh (R48)."""
_CONDITIONS: Final = (*VARIANTS, LIVE)
BLOCK_CLASSES: Final = (*CLASSES, "frame", *_CONDITIONS)
"""What a block's header may say. `frame` is furniture (greeting, header, footer): no content of its own (R21)."""


@dataclass(frozen=True, slots=True)
class Block:
    """An included part as used: its name and classes (if its first line says so), and whether the body uses it."""

    name: str
    classes: tuple[str, ...]
    in_body: bool
    file: str
    needs: tuple[frozenset[str], ...] = (frozenset(),)
    """What must be allowed for it to be shown, those around it counted in: all of any one set. The empty set: none."""


@dataclass(slots=True)
class Resolved:
    """One language's MJML, whole, with what was met on the way."""

    sheet: Sheet
    blocks: list[Block] = field(default_factory=list)
    used_files: set[str] = field(default_factory=set)
    used_texts: set[str] = field(default_factory=set)


def resolve(
    manifest: Manifest,
    language: str,
    files: Mapping[str, str],
    texts: Mapping[str, Text],
    problems: list[Problem],
) -> Resolved | None:
    """Put one language's source together; None, with the reasons in `problems`, where files are missing."""
    folder = manifest.template
    body = next((p for p in (f"{folder}/body.{language}.mjml", f"{folder}/body.mjml") if p in files), None)
    if body is None:
        problems.append(Problem(f"{folder}/body.mjml", 1, 1, "missing-file", "error", "There is no body.mjml."))
        return None
    root = body
    if manifest.layout is not None:
        root = f"_layouts/{manifest.layout}.mjml"
        if root not in files:
            have = sorted(p[9:-5] for p in files if p.startswith("_layouts/"))
            cure = f"There are: {', '.join(have)}." if have else "Write it, or say layout: none."
            at = f"{folder}/template.yaml"
            problems.append(
                Problem(at, 1, 1, "missing-file", "error", f"There is no layout {manifest.layout!r}.", cure)
            )
            return None
    reader = _Includes(manifest, files, body, problems)
    builder = Builder(files)
    reader.expand(root, builder, (), in_body=root == body)
    with_head = _head(builder.sheet(), reader, language, texts)
    resolved = Resolved(with_head, reader.blocks, reader.used)
    resolved.sheet = put_texts(with_head, texts, language, resolved.used_texts, problems)
    if len(resolved.sheet.text) > MAX_SOURCE:
        problems.append(Problem(body, 1, 1, "too-large", "error", f"The source is over {MAX_SOURCE // 1000} kB."))
        return None
    return resolved


def expand(file: str, files: Mapping[str, str], problems: list[Problem]) -> Sheet:
    """A whole document by itself, with its includes settled: no template, no languages, no texts."""
    alone = Manifest(posixpath.dirname(file) or ".", {}, {}, "retention", "transactional", None, None, {})
    reader = _Includes(alone, files, file, problems)
    builder = Builder(files)
    reader.expand(file, builder, (), in_body=True)
    return _head(builder.sheet(), reader, "", {})


def body_classes(folder: str, files: Mapping[str, str]) -> frozenset[str]:
    """The classes of the blocks that a template's body uses, whatever the language."""
    classes: set[str] = set()
    seen: set[str] = set()
    todo = [p for p in files if p.startswith(f"{folder}/body") and p.endswith(".mjml")]
    while todo:
        file = todo.pop()
        if file in seen:
            continue
        seen.add(file)
        for include in _INCLUDE.finditer(_blank(files[file])):
            given = {a.name: a.value or "" for a in attributes(include[0], 0)}
            found = _find(given.get("path", ""), file, folder, files)
            if found is not None:
                todo.append(found)
                classes.update(_classes(files[found])[1])
    return frozenset(classes)


@dataclass(slots=True)
class _Includes:
    manifest: Manifest
    files: Mapping[str, str]
    body: str
    problems: list[Problem]
    blocks: list[Block] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    styles: list[tuple[str, str]] = field(default_factory=list)
    heads: list[tuple[str, int, int]] = field(default_factory=list)
    around: list[tuple[frozenset[str], ...]] = field(default_factory=lambda: [(frozenset(),)])
    """What the blocks need that are open just now, the innermost last."""

    def expand(self, file: str, out: Builder, trail: tuple[str, ...], *, in_body: bool) -> None:
        """Write a file with all that it includes."""
        text = self.files[file]
        self.used.add(file)
        begin, end = 0, len(text)
        if trail and re.match(r"\s*(<!--.*?-->\s*)*<mjml\b", text, re.DOTALL):
            begin, end = self._inner(file, text)
        position = begin
        for include in _INCLUDE.finditer(_blank(text), begin, end):
            out.write(text[position : include.start()], file, position, fixed=False)
            self._include(file, include, out, (*trail, file), in_body=in_body)
            position = include.end()
        out.write(text[position:end], file, position, fixed=False)

    def _inner(self, file: str, text: str) -> tuple[int, int]:
        """A whole document used as a part: its body's content here, its head's content to the head."""
        if head := re.search(r"<mj-head\b[^>]*>(.*?)</mj-head>", text, re.DOTALL):
            self.heads.append((file, head.start(1), head.end(1)))
        body = re.search(r"<mj-body\b[^>]*>(.*)</mj-body>", text, re.DOTALL)
        return (body.start(1), body.end(1)) if body else (0, 0)

    def _include(
        self, file: str, include: re.Match[str], out: Builder, trail: tuple[str, ...], *, in_body: bool
    ) -> None:
        given = {a.name: a.value or "" for a in attributes(include[0], include.start())}
        line = self.files[file].count("\n", 0, include.start()) + 1
        column = include.start() - self.files[file].rfind("\n", 0, include.start())

        def wrong(code: str, message: str, cure: str = "") -> None:
            self.problems.append(Problem(file, line, column, code, "error", message, cure))

        wanted = set(given.get("for", "").replace(",", " ").split())
        if wanted - set(CLASSES):
            return wrong("class-mix", f"for cannot be {given['for']!r}.", f"It names {', '.join(CLASSES)}.")
        if wanted and not wanted & ({self.manifest.class_} | body_classes(self.manifest.template, self.files)):
            return None
        path = given.get("path", "")
        if path == "content" and not in_body:
            return self.expand(self.body, out, trail, in_body=True)
        found = _find(path, file, self.manifest.template, self.files)
        if found is None:
            return wrong("missing-file", f"There is no {path!r} to include.", "The path counts from email_templates/.")
        if found in trail or len(trail) > _DEPTH:
            return wrong("include-cycle", f"{found} includes itself, by way of {file}.")
        if given.get("type") == "css" or found.endswith(".css"):
            self.used.add(found)
            self.styles.append((found, self.files[found]))
            return None
        if given.get("type") == "html" or found.endswith(".html"):
            self.used.add(found)
            self.blocks.append(Block("", (), in_body, found, self.around[-1]))
            out.write("<mj-raw>", file, include.start())
            out.write(self.files[found], found, 0, fixed=False)
            return out.write("</mj-raw>", file, include.start())
        name, classes = _classes(self.files[found])
        for class_ in classes:
            if class_ not in BLOCK_CLASSES:
                cure = f"It is one of {', '.join(BLOCK_CLASSES)}."
                self.problems.append(Problem(found, 1, 1, "class-mix", "error", f"class cannot be {class_!r}.", cure))
        inner = needs_of(classes, self.manifest.class_)
        needs = tuple(dict.fromkeys(outer | one for outer in self.around[-1] for one in inner))
        self.blocks.append(Block(name, classes, in_body, found, needs))
        gate = gate_of(classes, self.manifest.class_)
        if gate:
            out.write("{% if " + gate + " %}", file, include.start())
        self.around.append(needs)
        self.expand(found, out, trail, in_body=in_body)
        self.around.pop()
        if gate:
            out.write("{% endif %}", file, include.start())
        return None


def gate_of(classes: tuple[str, ...], class_: str) -> str:
    """The condition under which a block of these classes is shown in a message of `class_`; empty for always.

    A message of a class has been judged as a whole before it is composed, so its own class needs no second question.
    """
    variants = [f"allows('{one}')" for one in classes if one in _CONDITIONS]
    of_class = [one for one in classes if one not in _CONDITIONS]
    if not of_class or class_ in of_class or not set(of_class) <= {"marketing", "feedback"}:
        return " and ".join(variants)
    either = " or ".join(f"allows('{one}')" for one in of_class)
    return " and ".join([f"({either})", *variants]) if variants else either


def needs_of(classes: tuple[str, ...], class_: str) -> tuple[frozenset[str], ...]:
    """The same as sets: all that is in any one of them must be allowed."""
    variants = frozenset(one for one in classes if one in _CONDITIONS)
    of_class = [one for one in classes if one not in _CONDITIONS]
    if not of_class or class_ in of_class or not set(of_class) <= {"marketing", "feedback"}:
        return (variants,)
    return tuple(variants | {one} for one in of_class)


def _classes(text: str) -> tuple[str, tuple[str, ...]]:
    header = _HEADER.match(text)
    if header is None:
        return "", ()
    return header[1], tuple((header[2] or "").replace(",", " ").split())


def _find(path: str, file: str, folder: str, files: Mapping[str, str]) -> str | None:
    """The file that an include means: counted from the tree's root, from the file's folder, or the template's."""
    for base in ("", posixpath.dirname(file), folder):
        for ending in ("", ".mjml"):
            candidate = posixpath.normpath(posixpath.join(base, path + ending))
            if candidate in files:
                return candidate
    return None


def _blank(text: str) -> str:
    """The text with its comments blanked, so that nothing in them counts; same length, same lines."""
    return COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def _head(sheet: Sheet, reader: _Includes, language: str, texts: Mapping[str, Text]) -> Sheet:
    """Give the document what it lacks: its language, a title, the preheader, styles that were included."""
    masked = _blank(marks.mask(sheet.text))
    root = re.search(r"<mjml\b[^>]*>", masked)
    if root is None:
        return sheet
    out = Builder(sheet.files)
    position = root.start() + len("<mjml")
    out.copy(sheet, 0, position)
    if language and not re.search(r"\slang\s*=", root[0]):
        out.insert(f' lang="{language}"', sheet, position)
    head = re.search(r"<mj-head\s*>", masked)
    inserted = bool(reader.styles or reader.heads or texts.keys() & {"subject", "preheader"})
    stop = head.end() if head else root.end()
    out.copy(sheet, position, stop)
    if head is None and inserted:
        out.insert("<mj-head>", sheet, stop)
    for key, tag in (("subject", "mj-title"), ("preheader", "mj-preview")):
        if key in texts and not re.search(rf"<{tag}\b", masked):
            out.write(f"<{tag}>{{{{ t.{key} }}}}</{tag}>", texts[key].file, 0)
    for file, css in reader.styles:
        out.write("<mj-style>", file, 0)
        out.write(css, file, 0, fixed=False)
        out.write("</mj-style>", file, 0)
    for file, start, end in reader.heads:
        out.write(reader.files[file][start:end], file, start, fixed=False)
    if head is None and inserted:
        out.insert("</mj-head>", sheet, stop)
    out.copy(sheet, stop, len(sheet.text))
    return out.sheet()


def put_texts(
    sheet: Sheet,
    texts: Mapping[str, Text],
    language: str,
    used: set[str],
    problems: list[Problem],
    *,
    plain: bool = False,
) -> Sheet:
    """Replace every `{{ t.key }}` by the language's text, whose own marks are replaced in turn.

    In an attribute the text's quotes are escaped; `plain` is for subjects and text parts, where nothing is.
    """
    masked = marks.mask(sheet.text)
    in_tag = [] if plain else [(m.start(), m.end()) for m in START_TAG.finditer(masked)]
    comments = [] if plain else [(m.start(), m.end()) for m in COMMENT.finditer(masked)]
    out, position, tag = Builder(sheet.files), 0, 0
    for mark in marks.find(sheet.text):
        if mark.kind == "comment" or "t." not in mark.text or any(a <= mark.start < b for a, b in comments):
            continue
        while tag < len(in_tag) and in_tag[tag][1] <= mark.start:
            tag += 1
        attribute = tag < len(in_tag) and in_tag[tag][0] <= mark.start
        replaced = _replace(mark, texts, language, used, problems, sheet, (), attribute=attribute, plain=plain)
        if replaced is None:
            continue
        out.copy(sheet, position, mark.start)
        text, source = replaced
        if source is None:
            out.insert(text, sheet, mark.start)
        else:
            out.write(text, source.file, _line_offset(sheet.files.get(source.file, ""), source.line))
        position = mark.end
    out.copy(sheet, position, len(sheet.text))
    return out.sheet()


def _line_offset(text: str, line: int) -> int:
    offset = 0
    for _ in range(line - 1):
        offset = text.find("\n", offset) + 1
    return offset


def _replace(
    mark: marks.Mark,
    texts: Mapping[str, Text],
    language: str,
    used: set[str],
    problems: list[Problem],
    sheet: Sheet,
    trail: tuple[str, ...],
    *,
    attribute: bool,
    plain: bool,
) -> tuple[str, Text | None] | None:
    """What stands in a mark's place, and the text it comes from; None if the mark names no text."""
    inner = mark.inner
    whole = _KEY.fullmatch(inner) if mark.kind == "expression" else None
    if whole is None:
        return _literals(mark, texts, language, used, problems, sheet)
    key = whole[1]
    text = texts.get(key)
    if text is None:
        cure = f"Add it to texts.{language}.yaml."
        problems.append(sheet.problem(mark.start, "missing-text", "error", f"{language} has no text {key!r}.", cure))
        return "", None
    if key in trail or len(trail) > _DEPTH:
        problems.append(sheet.problem(mark.start, "include-cycle", "error", f"The text {key!r} uses itself."))
        return "", None
    used.add(key)
    parts, position = [], 0
    escape = not plain and key in {"subject", "preheader"}

    def literal(words: str) -> str:
        if escape:
            return html.escape(words)
        return words.replace('"', "&quot;").replace("<", "&lt;") if attribute else words

    for inside in marks.find(text.value):
        parts.append(literal(text.value[position : inside.start]))
        found = None
        if "t." in inside.text:
            found = _replace(
                inside, texts, language, used, problems, sheet, (*trail, key), attribute=attribute, plain=plain
            )
        parts.append(inside.text if found is None else found[0])
        position = inside.end
    parts.append(literal(text.value[position:]))
    return "".join(parts), text


def _literals(
    mark: marks.Mark,
    texts: Mapping[str, Text],
    language: str,
    used: set[str],
    problems: list[Problem],
    sheet: Sheet,
) -> tuple[str, None] | None:
    """A mark that uses texts within an expression: `plural(t.night, t.nights)`. Each becomes a quoted word."""
    strings = [(m.start(), m.end()) for m in _STRINGS.finditer(mark.text)]
    parts, position = [], 0
    for found in re.finditer(r"(?<![\w.])" + _KEY.pattern, mark.text):
        if any(a <= found.start() < b for a, b in strings):
            continue
        text = texts.get(found[1])
        if text is None:
            cure = f"Add it to texts.{language}.yaml."
            problems.append(
                sheet.problem(mark.start, "missing-text", "error", f"{language} has no text {found[1]!r}.", cure)
            )
        elif marks.find(text.value):
            cure = "Write {{ t." + found[1] + " }} by itself, or take the marks out of the text."
            problems.append(
                sheet.problem(mark.start, "text-expression", "error", f"{found[1]!r} holds marks itself.", cure)
            )
        used.add(found[1])
        parts += [mark.text[position : found.start()], json.dumps(text.value if text else "", ensure_ascii=False)]
        position = found.end()
    if not parts:
        return None
    return "".join((*parts, mark.text[position:])), None
