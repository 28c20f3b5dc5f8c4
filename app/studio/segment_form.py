"""The rule builder's form: one line of a segment is one row; groups lie one level deep, deeper ones are text.

A form becomes a document and a document a form; what is wrong is told beside the row whose line it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.audience.definitions import Vocabulary
from app.journey import condition_words
from app.journey.condition_checks import operators, type_of
from app.journey.condition_lines import ConditionError, parse, write
from app.journey.condition_tree import Compare, Did, Engaged, Span, Text
from app.journey.event_names import event_name
from app.journey.known import PURPOSES, FieldType
from app.journey.language import load
from app.journey.places import LanguageError, Problem, plain
from app.studio.languages import gettext, language

JOINS = ("all", "any", "none")
MOST_ROWS = 60
_ASKED_BY_STEP = frozenset({"message.clicked", "message.opened"})
_STATES = ("granted", "pending", "denied", "withdrawn")
_NO_VALUE = ("is known", "is unknown", "ever", "never")
_DID: Mapping[str, tuple[str, str]] = {
    "ever": ("", ""),
    "within": ("", "within"),
    "at least": ("", "at least"),
    "never": ("not ", ""),
    "not within": ("not ", "within"),
    "fewer than": ("not ", "at least"),
}
"""What the lists call a line about what has happened → what stands before `did` and before the value."""


@dataclass(slots=True)
class Row:
    """One line: its field, operator and value as the form has them."""

    field: str = ""
    operator: str = ""
    value: str = ""
    wrong: str = ""
    number: int = 0

    @property
    def valued(self) -> bool:
        """Whether it takes a value."""
        return self.operator not in _NO_VALUE


@dataclass(slots=True)
class Block:
    """Rows under one of all, any, none."""

    join: str = "all"
    rows: list[Row] = field(default_factory=list)
    number: int = 0


@dataclass(slots=True)
class Form:
    """The whole: the outer block and the groups inside it."""

    blocks: list[Block] = field(default_factory=lambda: [Block(rows=[Row()])])
    wrong: list[str] = field(default_factory=list)
    """What is wrong and belongs to no row."""

    @property
    def rows(self) -> Iterable[Row]:
        """Every row, as they stand."""
        return (row for block in self.blocks for row in block.rows)


def from_request(given: Mapping[str, str]) -> Form:
    """The form as it was sent: `join-0`, `field-3`, `operator-3`, `value-3`, `block-3`."""
    blocks: dict[int, Block] = {}
    for name, text in given.items():
        if re.fullmatch(r"join-\d{1,3}", name) and text in JOINS:
            blocks.setdefault(int(name[5:]), Block()).join = text
    numbers = sorted(int(name[6:]) for name in given if re.fullmatch(r"field-\d{1,3}", name))
    for number in numbers[:MOST_ROWS]:
        said = {part: given.get(f"{part}-{number}", "").strip()[:500] for part in ("field", "operator", "value")}
        row = Row(said["field"], said["operator"], said["value"])
        at = given.get(f"block-{number}", "0")
        blocks.setdefault(int(at) if at.isdecimal() and len(at) < 4 else 0, Block()).rows.append(row)
    outer = blocks.pop(0, Block())
    return _numbered(Form([outer, *(blocks[at] for at in sorted(blocks))]))


def changed(form: Form, act: str) -> Form:
    """The form after a button: `add:<block>`, `drop:<row>`, `group`, `ungroup:<block>`."""
    what, _, which = act.partition(":")
    number = int(which) if which.isdecimal() and len(which) < 4 else 0
    if what == "add" and number < len(form.blocks):
        form.blocks[number].rows.append(Row())
    elif what == "drop":
        for block in form.blocks:
            block.rows = [row for row in block.rows if row.number != number]
    elif what == "group":
        form.blocks.append(Block("any", [Row()]))
    elif what == "ungroup" and 0 < number < len(form.blocks):
        del form.blocks[number]
    return _numbered(form)


def _numbered(form: Form) -> Form:
    for at, block in enumerate(form.blocks):
        block.number = at
    for at, row in enumerate(form.rows):
        row.number = at
    return form


def to_source(form: Form, words: Vocabulary) -> tuple[str, dict[int, Row]]:
    """The document, and which row stands on which of its lines. Rows that nobody filled in are left out."""
    lines: list[str] = []
    places: dict[int, Row] = {}

    def put(rows: Sequence[Row], indent: str) -> None:
        for row in rows:
            lines.append(f"{indent}- {_scalar(line_of(row, words))}")
            places[len(lines)] = row

    outer, *inner = form.blocks
    filled = [(block, [row for row in block.rows if row.field]) for block in inner]
    filled = [(block, rows) for block, rows in filled if rows]
    mine = [row for row in outer.rows if row.field]
    lines.append(f"{outer.join}:" if mine or filled else f"{outer.join}: []")
    put(mine, "  ")
    for block, rows in filled:
        lines.append(f"  - {block.join}:")
        put(rows, "      ")
    return "\n".join(lines) + "\n", places


def line_of(row: Row, words: Vocabulary) -> str:
    """The row as a line of the language. A text that would read as something else is put in quotes."""
    if row.field.startswith(("clicked ", "opened ")):
        return f"{row.field} within {row.value}" if row.operator == "within" else row.field
    if row.field.startswith("did "):
        before, word = _DID.get(row.operator, _DID["ever"])
        return " ".join(f"{before}{row.field} {word} {row.value if word else ''}".split())
    if not row.valued:
        return f"{row.field} {row.operator}"
    value = row.value
    if row.operator in {"in", "not in"}:
        inner = value.removeprefix("[").removesuffix("]")
        return f"{row.field} {row.operator} [{inner}]"
    line = f"{row.field} {row.operator} {value}"
    if value and _kind(row.field, words) == "text":
        try:
            read = parse(line)
        except ConditionError:
            read = None
        if not isinstance(read, Compare) or (not isinstance(read.value, Text) and "." not in value):
            return f"{row.field} {row.operator} {write(Text(value))}"
    return line


def _scalar(line: str) -> str:
    """A line as YAML: plain where it may be, else in single quotes."""
    if re.fullmatch(r"[A-Za-z][^:#]*[^:#\s]", line):
        return line
    return "'" + line.replace("'", "''") + "'"


def of_source(source: str) -> Form | None:
    """The form of a document; None where it lies deeper than the form can show, or cannot be read."""
    try:
        root = plain(load(source, "segment"))
    except LanguageError:
        return None
    if len(root) != 1 or (join := next(iter(root))) not in JOINS:
        return None
    form = Form([Block(join)])
    for item in root[join] if isinstance(root[join], list) else [root[join]]:
        if isinstance(item, str):
            row = _row(item)
            if row is None:
                return None
            form.blocks[0].rows.append(row)
        elif isinstance(item, dict) and len(item) == 1 and next(iter(item)) in JOINS:
            inner, held = next(iter(item.items()))
            rows = [
                _row(line) if isinstance(line, str) else None for line in (held if isinstance(held, list) else [held])
            ]
            if any(row is None for row in rows):
                return None
            form.blocks.append(Block(inner, [row for row in rows if row is not None]))
        else:
            return None
    return _numbered(form)


def _row(line: str) -> Row | None:
    try:
        read = parse(line)
    except ConditionError:
        return None
    if isinstance(read, Engaged):
        length = line.partition(" within ")[2].strip()
        return Row(f"{read.act} {read.step}", "within" if length else "ever", length)
    if isinstance(read, Did):
        return _of_did(read)
    if not isinstance(read, Compare):
        return None
    value = "" if read.value is None else write(read.value)
    if read.operator in {"in", "not in"}:
        value = value.removeprefix("[").removesuffix("]")
    return Row(read.field, read.operator, read.value.text if isinstance(read.value, Text) else value)


def _of_did(read: Did) -> Row:
    within = f"within {write(Span(read.within))}" if read.within is not None else ""
    if read.times > 1:
        operator = "fewer than" if read.negated else "at least"
        return Row(f"did {read.event}", operator, f"{read.times} times {within}".strip())
    if within:
        return Row(f"did {read.event}", "not within" if read.negated else "within", within.removeprefix("within "))
    return Row(f"did {read.event}", "never" if read.negated else "ever")


def mark(form: Form, problems: Sequence[Problem], places: Mapping[int, Row]) -> None:
    """Put what is wrong beside its row."""
    for problem in problems:
        row = places.get(problem.line)
        told = problem.message + (f" ({problem.cure})" if problem.cure else "")
        if row is None:
            form.wrong.append(told)
        else:
            row.wrong = told


# -- what the lists offer ----------------------------------------------------------------------------------------------


def fields(words: Vocabulary) -> list[tuple[str, list[tuple[str, str]]]]:
    """Groups of fields to choose from: heading, then (path, name)."""
    spoken = language()
    paths = [path for path in words.known.fields if path not in words.barred]

    def named(prefix: str) -> list[tuple[str, str]]:
        found = [(path, condition_words.field(path, spoken)) for path in paths if path.startswith(prefix)]
        return sorted(found, key=lambda one: one[1].casefold())

    person = [one for one in named("contact.") if not one[0].startswith("contact.attributes.")]
    topics = [*(words.known.topics or ()), *PURPOSES]
    consents = [(f"consent.{name}", condition_words.field(f"consent.{name}", spoken)) for name in topics]
    clicks = [(f"clicked {step}", gettext("clicked in “%(step)s”", step=step)) for step in words.steps]
    happened = sorted(
        ((f"did {name}", event_name(name, spoken)) for name in words.known.events if name not in _ASKED_BY_STEP),
        key=lambda one: one[1].casefold(),
    )
    groups = [
        (gettext("The person"), person),
        (gettext("One of their bookings"), named("booking.")),
        (gettext("The property of that booking"), named("property.")),
        (gettext("Consent"), consents),
        (gettext("Attributes"), named("contact.attributes.")),
        (gettext("What happened"), happened),
        (gettext("Clicks"), clicks),
    ]
    return [(title, some) for title, some in groups if some]


def operators_of(row: Row, words: Vocabulary) -> list[tuple[str, str]]:
    """(operator, its words) that suit the row's field."""
    spoken = language()
    if row.field.startswith(("clicked ", "opened ")):
        return [("ever", gettext("at any time")), ("within", gettext("within"))]
    if row.field.startswith("did "):
        return [
            ("ever", gettext("at any time")),
            ("within", gettext("within")),
            ("at least", gettext("at least")),
            ("never", gettext("never")),
            ("not within", gettext("not within")),
            ("fewer than", gettext("fewer than")),
        ]
    kind = _kind(row.field, words) or "any"
    named = []
    for operator in operators(kind):
        sample = "2026-01-01" if kind in {"date", "instant"} else "1"
        sample = {"in": "[1]", "not in": "[1]", "within": "1 day", "within last": "1 day", "within next": "1 day"}.get(
            operator, sample
        )
        line = f"x.y {operator}" if operator in _NO_VALUE else f"x.y {operator} {sample}"
        read = parse(line)
        named.append((operator, condition_words.operator(read, spoken) if isinstance(read, Compare) else operator))
    return named


def choices(row: Row, words: Vocabulary) -> list[str]:
    """The values a row may have, where they are few."""
    if row.field.startswith("consent."):
        return list(_STATES)
    return ["true", "false"] if _kind(row.field, words) == "bool" else []


def example(row: Row, words: Vocabulary) -> str:
    """What a value of this row looks like."""
    if row.field.startswith("did ") and row.operator in {"at least", "fewer than"}:
        return gettext("2 times within 365 days")
    if row.operator.startswith(("within", "not within")):
        return gettext("7 days")
    if row.operator in {"in", "not in"}:
        return "it, de"
    samples: Mapping[FieldType, str] = {
        "text": gettext("a word"),
        "number": "3",
        "money": "120 EUR",
        "date": gettext("2026-12-24, now, now + 7 days"),
        "instant": gettext("2026-12-24, now - 7 days"),
        "list": "vip",
    }
    return samples.get(_kind(row.field, words) or "any", "")


def _kind(path: str, words: Vocabulary) -> FieldType | None:
    return type_of(path, words.known) if path else None


def offers(form: Form, words: Vocabulary) -> dict[str, Any]:
    """Everything the template needs to draw the rows."""
    for row in form.rows:
        allowed = [name for name, _ in operators_of(row, words)]
        if row.field and row.operator not in allowed:
            row.operator = allowed[0]
    return {
        "fields": fields(words),
        "operators": {row.number: operators_of(row, words) for row in form.rows},
        "choices": {row.number: choices(row, words) for row in form.rows},
        "examples": {row.number: example(row, words) for row in form.rows},
    }
