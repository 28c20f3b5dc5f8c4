"""A template's folder → `Compiled`, or all that is wrong with it.

Everything that can be settled before a person is known is settled here, once per version: includes, texts, MJML,
link numbers, the text part. What is left for each message is Jinja alone (render.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from app.content import marks
from app.content.compiled import Compiled, CompiledLanguage, Link, Variable
from app.content.enclosures import enclosures
from app.content.environment import FUNCTIONS
from app.content.lint import lint
from app.content.manifest import Manifest, Text, languages_of, read_manifest, read_texts
from app.content.mjml import Drawn, draw
from app.content.policy import GATED, Message, invites_to_review, judge
from app.content.problems import ContentError, Problem
from app.content.program import BARE_TYPES, URLS, Finding, Use, forbidden, parse, uses
from app.content.sheet import Builder, Sheet
from app.content.source import Block, Resolved, put_texts, resolve

__all__ = ["Compiled", "CompiledLanguage", "Examined", "Link", "Variable", "check_part", "compile_template", "examine"]

GIVEN: Final = URLS | FUNCTIONS | {"now", "property", "loop"}
"""Names every message has; they need no declaration in `fields`."""
OPEN: Final = frozenset({"object", "list", "any"})
"""Types of facts that may hold others not named."""
_LINES: Final = ("subject", "preheader")
_OTHER_CLASSES: Final = frozenset({"marketing", "feedback"})
"""Classes of blocks that may stand in messages of another class."""
_CONTENT: Final = re.compile(r"<mj-(text|button|image|table|raw|hero|accordion|carousel|social|navbar)\b")


@dataclass(frozen=True, slots=True)
class Examined:
    """A template looked through: `compiled` if nothing is an error, all problems, the files and texts it rests on."""

    compiled: Compiled | None
    problems: tuple[Problem, ...]
    used_files: frozenset[str]
    used_texts: frozenset[str]


def compile_template(folder: str, files: Mapping[str, str], known: Mapping[str, str] | None = None) -> Compiled:
    """Compile a template for publishing; raises ContentError with every problem if one is an error.

    `files` maps paths counted from `email_templates/` to their text, the whole tree or as much as the template needs.
    `known` maps the paths of facts that exist to their types (`object` and `list` may hold more than is named); with
    it, a fact nobody will ever supply is found here.
    """
    examined = examine(folder, files, known)
    if examined.compiled is None:
        raise ContentError(examined.problems)
    return examined.compiled


def examine(folder: str, files: Mapping[str, str], known: Mapping[str, str] | None = None) -> Examined:
    """As `compile_template`, but gives the problems, warnings too, rather than raise."""
    problems: list[Problem] = []
    manifest = read_manifest(folder, files, problems)
    languages = languages_of(folder, files)
    if not languages:
        cure = "Write texts.it.yaml and texts.en.yaml with subject and preheader."
        problems.append(
            Problem(f"{folder}/template.yaml", 1, 1, "missing-file", "error", "No language has texts.", cure)
        )
    if manifest is None or not languages:
        return Examined(None, tuple(sorted(set(problems))), frozenset(), frozenset())
    variables: dict[str, Variable] = {}
    done: dict[str, CompiledLanguage] = {}
    used_files, used_texts, own_keys = {f"{folder}/template.yaml"}, set[str](), set[str]()
    blocks: list[Block] = []
    for language in languages:
        made = _Language(manifest, language, files, known, problems)
        compiled = made.compile()
        if made.resolved is not None:
            used_files |= made.resolved.used_files
            blocks = made.resolved.blocks or blocks
        used_files |= made.own_files
        used_texts |= made.used_texts
        own_keys |= made.own_keys
        for variable in made.variables:
            variables.setdefault(variable.path, variable)
        if compiled is not None:
            done[language] = compiled
    enclosed = enclosures(folder, files, problems)
    _unused(manifest, variables, own_keys - used_texts, languages, files, problems)
    unique = tuple(sorted(set(problems)))
    if any(p.severity == "error" for p in unique):
        return Examined(None, unique, frozenset(used_files), frozenset(used_texts))
    compiled_all = Compiled(
        template=folder, class_=manifest.class_, phase=manifest.phase, topic=manifest.topic, name=manifest.name,
        languages=done, variables=tuple(variables[p] for p in sorted(variables)),
        blocks=tuple(dict.fromkeys(b.name for b in blocks if b.name)),
        block_classes=tuple(sorted({c for b in blocks if b.in_body for c in b.classes})),
        review_request=any(invites_to_review(one.text, blocks) for one in done.values()), files=enclosed,
    )  # fmt: skip
    return Examined(compiled_all, unique, frozenset(used_files), frozenset(used_texts))


def check_part(path: str, text: str) -> list[Problem]:
    """The problems of a layout or block by itself, as far as they can be seen without a template that uses it."""
    return lint(text, path, fragment=not path.startswith("_layouts/"))


def _unused(
    manifest: Manifest, variables: Mapping[str, Variable], keys: set[str], languages: tuple[str, ...],
    files: Mapping[str, str], problems: list[Problem],
) -> None:  # fmt: skip
    yaml = f"{manifest.template}/template.yaml"
    paths = set(variables)
    problems.extend(
        Problem(yaml, field.line, 1, "unused-field", "warning", f"Nothing uses {field.path}.", "Delete it.")
        for field in manifest.fields.values()
        if not any(p == field.path or p.startswith((f"{field.path}.", f"{field.path}[]")) for p in paths)
    )
    for language in languages:
        texts = read_texts(manifest.template, language, files, [])
        for key in sorted(keys & texts.keys()):
            text = texts[key]
            if text.file.startswith(f"{manifest.template}/"):
                problems.append(
                    Problem(text.file, text.line, 1, "unused-text", "warning", f"Nothing uses {key!r}.", "Delete it.")
                )


class _Language:
    """One language on its way through."""

    def __init__(
        self, manifest: Manifest, language: str, files: Mapping[str, str], known: Mapping[str, str] | None,
        problems: list[Problem],
    ) -> None:  # fmt: skip
        self._manifest, self._language, self._files, self._known = manifest, language, files, known
        self._problems = problems
        self.resolved: Resolved | None = None
        self.variables: list[Variable] = []
        self.used_texts: set[str] = {"subject", "preheader"}
        self.own_keys: set[str] = set()
        self.own_files: set[str] = set()

    def compile(self) -> CompiledLanguage | None:
        folder, language = self._manifest.template, self._language
        texts = read_texts(folder, language, self._files, self._problems)
        own = f"{folder}/texts.{language}.yaml"
        self.own_files |= {own, f"_texts/{language}.yaml"} & self._files.keys()
        self.own_keys = {key for key, text in texts.items() if text.file == own}
        for key in _LINES:
            if key not in texts:
                self._problems.append(Problem(own, 1, 1, "missing-text", "error", f"{language} has no {key}."))
        self.resolved = resolve(self._manifest, language, self._files, texts, self._problems)
        if self.resolved is None:
            return None
        self.used_texts |= self.resolved.used_texts
        drawn = draw(self.resolved.sheet, self._problems)
        lines: dict[str, Sheet] = {key: self._plain(f"{{{{ t.{key} }}}}", texts, own) for key in _LINES if key in texts}
        written = self._written(texts)
        if drawn is None:
            return None
        for sheet in [drawn.linked, *lines.values(), *([written] if written else [])]:
            self._facts(sheet, drawn.links)
        self._addresses(drawn)
        text = written.text if written else drawn.text
        self._judge(drawn, lines, text)
        if any(p.severity == "error" for p in self._problems):
            return None
        return CompiledLanguage.of(
            language=language, subject=lines["subject"].text, preheader=lines["preheader"].text, html=drawn.html,
            text=text, links=drawn.links,
            fallbacks={
                field.path: words
                for field in self._manifest.fields.values()
                if (words := self._fallback(field.fallback)) is not None
            },
            gates=self._gates(),
        )  # fmt: skip

    def _fallback(self, by_language: Mapping[str, str]) -> str | None:
        if not by_language:
            return None
        return by_language.get(self._language, by_language.get("en", next(iter(by_language.values()))))

    def _plain(self, source: str, texts: Mapping[str, Text], file: str) -> Sheet:
        out = Builder(self._files)
        out.write(source, file, 0)
        return put_texts(out.sheet(), texts, self._language, self.used_texts, self._problems, plain=True)

    def _written(self, texts: Mapping[str, Text]) -> Sheet | None:
        """The text part written by hand, if there is one."""
        folder = self._manifest.template
        for file in (f"{folder}/text.{self._language}.txt", f"{folder}/text.txt"):
            if file in self._files:
                self.own_files.add(file)
                out = Builder(self._files)
                out.write(self._files[file], file, 0, fixed=False)
                return put_texts(out.sheet(), texts, self._language, self.used_texts, self._problems, plain=True)
        return None

    # facts

    def _facts(self, sheet: Sheet, links: tuple[Link, ...]) -> None:
        tree = parse(sheet.text)
        if isinstance(tree, Finding):
            self._say(sheet, tree)
            return
        for finding in forbidden(tree):
            self._say(sheet, finding)
        for use in uses(tree, {one.number: one.url for one in links}):
            sought = f"link({use.link})" if use.link else re.split(r"[.\[\]]+", use.path.rstrip("[]"))[-1]
            self._fact(use, sheet, _mark_at(sheet, use.line, sought))

    def _addresses(self, drawn: Drawn) -> None:
        """The marks in links' addresses: readable, and nothing forbidden in them."""
        for one in drawn.links:
            tree = parse(one.url)
            found = [tree] if isinstance(tree, Finding) else list(forbidden(tree))
            at = max(drawn.linked.text.find(f"{{{{ link({one.number}) }}}}"), 0)
            self._problems.extend(drawn.linked.problem(at, f.code, "error", f.message, f.cure) for f in found)

    def _say(self, sheet: Sheet, finding: Finding) -> None:
        at = _mark_at(sheet, finding.line, "")
        self._problems.append(sheet.problem(at, finding.code, "error", finding.message, finding.cure))

    def _fact(self, use: Use, sheet: Sheet, at: int) -> None:
        root = re.split(r"[.\[]", use.path)[0]
        if root in URLS | FUNCTIONS or root == "loop":
            return
        fields = self._manifest.fields
        declared = next((fields[p] for p in _ancestors(use.path) if p in fields), None)
        file, line, _ = sheet.at(at)
        type_ = declared.type if declared and declared.path == use.path else (self._known or {}).get(use.path, "")
        required = bool(declared and declared.required)
        self.variables.append(Variable(use.path, type_, required, file, line))
        if self._known is not None and not _is_known(use.path, self._known):
            near = get_close_matches(use.path, list(self._known), 1)
            cure = f"Did you mean {near[0]}?" if near else ""
            self._problems.append(sheet.problem(at, "unknown-variable", "error", f"There is no fact {use.path}.", cure))
        elif declared is None and root not in GIVEN and not any(p.startswith(f"{use.path}.") for p in fields):
            cure = f"Add it to fields in {self._manifest.template}/template.yaml, with type and sample."
            self._problems.append(
                sheet.problem(at, "undeclared-variable", "error", f"{use.path} is not declared.", cure)
            )
        if use.bare and type_ in BARE_TYPES:
            cure = f"Write {{{{ {use.path}|{BARE_TYPES[type_]} }}}}."
            self._problems.append(sheet.problem(at, "unformatted", "error", f"{use.path} is shown raw.", cure))

    # what it says

    def _judge(self, drawn: Drawn, lines: Mapping[str, Sheet], text: str) -> None:
        assert self.resolved is not None
        used = {variable.path for variable in self.variables}
        source = self.resolved.sheet.text + text
        message = Message(
            class_=self._manifest.class_,
            language=self._language,
            sheet=self.resolved.sheet,
            blocks=tuple(self.resolved.blocks),
            facts=frozenset(used),
            urls=frozenset(name for name in URLS if re.search(rf"\b{name}\b", source)),
            words="\n".join([*(sheet.text for sheet in lines.values()), text]),
            size=len(drawn.html.encode()),
            file=f"{self._manifest.template}/texts.{self._language}.yaml",
            links=drawn.links,
            says_nothing=bool(self._shown()) and not self._gates(),
        )
        self._problems.extend(judge(message))

    def _shown(self) -> tuple[frozenset[str], ...]:
        """What must be allowed for the body to say anything: all of any one set. Empty: it always says something."""
        assert self.resolved is not None
        folder = self._manifest.template
        body = self._files.get(f"{folder}/body.{self._language}.mjml", self._files.get(f"{folder}/body.mjml", ""))
        found: dict[frozenset[str], None] = {}
        if _CONTENT.search(marks.mask(marks.without(body, GATED))):
            return ()
        if _CONTENT.search(marks.mask(body)):
            found[frozenset({"marketing"})] = None
        for block in self.resolved.blocks:
            speaks = block.file.endswith(".html") or _CONTENT.search(marks.mask(self._files[block.file]))
            if block.in_body and speaks and "frame" not in block.classes:
                found |= dict.fromkeys(block.needs)
        return () if frozenset() in found else tuple(found)

    def _gates(self) -> tuple[str, ...]:
        """The same as the compiled template keeps it, less blocks of another class: where only those are left, nothing
        is to be sent (R21)."""
        own = [one for one in self._shown() if not one & _OTHER_CLASSES - {self._manifest.class_}]
        return tuple(sorted("+".join(sorted(one)) for one in own))


def _ancestors(path: str) -> list[str]:
    """`a.b[].c` → itself, `a.b[]`, `a.b`, `a`."""
    found = [path]
    while match := re.search(r"(\.\w+|\[\])$", path):
        path = path[: match.start()]
        found.append(path)
    return found


def _is_known(path: str, known: Mapping[str, str]) -> bool:
    if path in known or path == "now" or any(p.startswith((f"{path}.", f"{path}[]")) for p in known):
        return True
    return any(known.get(parent) in OPEN for parent in _ancestors(path)[1:])


def _mark_at(sheet: Sheet, line: int, sought: str) -> int:
    """The offset of the mark that holds a word, on a line of the sheet; a mark may have begun on a line before."""
    start = 0
    for _ in range(line - 1):
        start = sheet.text.find("\n", start) + 1
    end = sheet.text.find("\n", start)
    end = len(sheet.text) if end < 0 else end
    near = [m for m in marks.find(sheet.text) if m.end > start and m.start < end and m.kind != "comment"]
    for mark in near:
        if re.search(rf"(?<!\w){re.escape(sought)}(?!\w)", mark.text):
            return mark.start
    return near[0].start if near else start
