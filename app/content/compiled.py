"""What publishing a template gives: plain frozen values that live in a JSONB column."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from app.journey.known import MessageClass

FORMAT: Final = 1
"""Raised when old rows can no longer be read as they are."""

LinkKind = Literal["content", "functional", "address"]


@dataclass(frozen=True, slots=True)
class Link:
    """One link of a message. `url` may hold marks.

    `functional` links (unsubscribe, preferences, view, notice) and `address` ones (mailto, tel) are never counted as
    engagement (R15); `content` is all the rest. `label` is what stands on it, as far as it is fixed.
    """

    number: int
    url: str
    kind: LinkKind
    label: str


@dataclass(frozen=True, slots=True)
class Variable:
    """A fact a template uses: path, type as declared (or ""), whether a message fails without it, and where."""

    path: str
    type: str
    required: bool
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class CompiledLanguage:
    """One language of a template, ready for `content.render`.

    `gates` say what must be allowed, where the body holds nothing but gated blocks (else empty): one of them, each a
    class of blocks or several joined by `+`.
    `size` is the HTML's length in bytes before any fact is put in.
    """

    language: str
    subject: str
    preheader: str
    html: str
    text: str
    links: tuple[Link, ...]
    fallbacks: Mapping[str, str]
    gates: tuple[str, ...]
    size: int
    digest: str

    @staticmethod
    def of(
        *, language: str, subject: str, preheader: str, html: str, text: str, links: tuple[Link, ...],
        fallbacks: Mapping[str, str], gates: tuple[str, ...],
    ) -> CompiledLanguage:  # fmt: skip
        """With its size counted and its digest taken over all that is rendered."""
        seen = json.dumps(
            [FORMAT, language, subject, preheader, html, text, [asdict(one) for one in links], dict(fallbacks), gates],
            sort_keys=True,
        )
        digest = hashlib.sha256(seen.encode()).hexdigest()
        size = len(html.encode())
        return CompiledLanguage(language, subject, preheader, html, text, links, fallbacks, gates, size, digest)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A template as published: every language, and what the rest of the house needs to know of it."""

    template: str
    class_: MessageClass
    phase: str
    topic: str | None
    name: Mapping[str, str]
    languages: Mapping[str, CompiledLanguage]
    variables: tuple[Variable, ...]
    blocks: tuple[str, ...]
    block_classes: tuple[str, ...]
    review_request: bool
    """Whether it invites to review (R40-R44)."""
    files: Mapping[str, str] = field(default_factory=dict)
    """What mails may carry: name → content in base64."""

    def to_json(self) -> dict[str, Any]:
        """As JSON values; `from_json` gives the same back."""
        made = {"format": FORMAT, **asdict(self)}
        if not self.files:
            del made["files"]  # else every template without files would be another one than was published before
        return made

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Compiled:
        """From what `to_json` gave; raises ValueError for a format of another time."""
        if data.get("format") != FORMAT:
            raise ValueError(f"compiled format {data.get('format')!r}, not {FORMAT}: publish the template again")
        return Compiled(
            template=data["template"],
            class_=data["class_"],
            phase=data["phase"],
            topic=data["topic"],
            name=dict(data["name"]),
            languages={key: _language(value) for key, value in data["languages"].items()},
            variables=tuple(Variable(**one) for one in data["variables"]),
            blocks=tuple(data["blocks"]),
            block_classes=tuple(data["block_classes"]),
            review_request=bool(data.get("review_request")),
            files=dict(data.get("files") or {}),
        )


def _language(data: Mapping[str, Any]) -> CompiledLanguage:
    return CompiledLanguage(
        **{
            **data,
            "links": tuple(Link(**one) for one in data["links"]),
            "fallbacks": dict(data["fallbacks"]),
            "gates": tuple(data["gates"]),
        }
    )
