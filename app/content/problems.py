"""What can be wrong with a template, said so that its author can put it right."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["error", "warning"]

CODES: Final[dict[str, str]] = {
    # the shape of the MJML
    "no-root": "The document is not enclosed in <mjml> with one <mj-body>.",
    "mismatched-tag": "A closing tag does not fit the tag that is open.",
    "unclosed-tag": "A tag is opened and never closed.",
    "unknown-tag": "MJML has no component of that name.",
    "unknown-attribute": "The component does not have that attribute.",
    "invalid-value": "The attribute cannot hold that value.",
    "wrong-nesting": "The component is not allowed where it stands.",
    "text-outside": "Words or HTML stand where only MJML components may stand.",
    "unsupported": "MJML knows it, the compiler we use does not.",
    "dropped-attribute": "MJML knows the attribute, the compiler we use leaves it out without a word.",
    "stray-html": "An HTML closing tag closes nothing.",
    "missing-alt": "A picture has no text for those who do not see it.",
    "compiler": "The MJML compiler refused the document.",
    # marks
    "mark-open": "A Jinja mark is opened and never closed.",
    "mark-in-tag": "A Jinja mark stands inside a tag, outside any attribute value.",
    "mark-here": "A Jinja mark stands where the compiler takes none.",
    "mark-unbalanced": "A Jinja block is not closed, or closed twice.",
    "mark-crosses-tags": "A Jinja block opens in one component and closes in another.",
    "mark-less-than": "A `<` in a mark: safe here, but other MJML tools stop at it.",
    "mark-lost": "A mark did not come through the compiler as it must.",
    "computed-attribute": "The compiler calculates with this attribute, so it cannot hold a mark.",
    "jinja-syntax": "Jinja cannot read the mark.",
    "jinja-forbidden": "The mark uses something that templates may not use.",
    # files and texts
    "missing-file": "A file that is included or needed is not there.",
    "include-cycle": "A file includes itself, by some way round.",
    "bad-yaml": "The YAML file cannot be read, or lacks what it must say.",
    "missing-text": "A text is used that the language does not have.",
    "unused-text": "A text that nothing uses.",
    "text-expression": "`t.key` is used in a way that cannot be settled at publish.",
    # facts
    "unknown-variable": "No fact of that name exists.",
    "undeclared-variable": "The template uses a fact that its `fields` do not declare.",
    "bad-field": "A declared field is not what it says it is.",
    "unused-field": "A declared field that nothing uses.",
    "unformatted": "A date or an amount is shown raw, without a filter.",
    # what a message must and must not say
    "too-large": "Gmail cuts the message off at 102 kB.",
    "primary-button": "A message has exactly one main button.",
    "low-contrast": "Letters and ground are too alike to be read (R26).",
    "unsubscribe-missing": "Marketing and feedback need a visible way out (R22, R31).",
    "unsubscribe-forbidden": "A purely transactional message has no unsubscribe link (R31).",
    "class-mix": "A block of that class may not stand in this message (R20, R21).",
    "cin-missing": "Advertising for Italian accommodation shows its CIN (R23).",
    "controller-missing": "Marketing says who sends it, from where, with which VAT number and notice (R22).",
    "review-not-neutral": "An invitation to review says nothing of stars or of how the guest felt (R44).",
    "review-reward": "A review is never asked for beside a reward (R41).",
    "scarcity": "Nothing is said to run out, or to end in so many minutes, that no live value stands behind (R48).",
    "confirm-shaming": "A refusal is as plain as the acceptance: it makes nobody look foolish (R48).",
    "books-elsewhere": "A service message calls nobody to book elsewhere: it may go to a booking site's alias (R34).",
    "relay-link": "A link loses its target in mails to a booking site's alias: these lead to approved hosts (R34).",
    "attachment": "A file in `files/` is too large, or of a kind that does not go with a mail.",
    "bad-link": "A link cannot work as it is written.",
}
"""Every code a check can give, with one line on its meaning; docs/templates.md lists them too."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong at one place. `line` and `column` count from 1; `cure` says what to do."""

    file: str
    line: int
    column: int
    code: str
    severity: Severity
    message: str
    cure: str = ""

    def __str__(self) -> str:
        cure = f" {self.cure}" if self.cure else ""
        return f"{self.file}:{self.line}:{self.column}: {self.severity} [{self.code}] {self.message}{cure}"


class ContentError(Exception):
    """A template that cannot be published. `problems` holds all that is wrong, warnings included."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        errors = [p for p in self.problems if p.severity == "error"]
        super().__init__("\n".join(map(str, errors)) or "no error")


class Lines:
    """Offsets of a text as lines and columns."""

    def __init__(self, text: str) -> None:
        self._starts = [0]
        for index, char in enumerate(text):
            if char == "\n":
                self._starts.append(index + 1)

    def offset(self, line: int, column: int) -> int:
        """The offset of a line (from 1) and a column (from 0), as html.parser counts them."""
        return self._starts[line - 1] + column

    def at(self, offset: int) -> tuple[int, int]:
        """Line and column, both from 1."""
        row = bisect_right(self._starts, offset) - 1
        return row + 1, offset - self._starts[row] + 1
