"""A template's folder read: what template.yaml declares and what the languages say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from app.content.problems import Problem
from app.journey.known import MessageClass

CLASSES: Final = ("transactional", "feedback", "marketing", "consent_request")
PHASES: Final = ("awareness", "reviews", "consideration", "retention", "advocacy")
FIELD_TYPES: Final = (
    "text", "url", "email", "phone", "integer", "number", "money", "boolean", "date", "datetime", "list", "object",
)  # fmt: skip
MAX_YAML: Final = 200_000
_PATH: Final = re.compile(r"[a-z_]\w*(\.[A-Za-z_]\w*)*$")


@dataclass(frozen=True, slots=True)
class Field:
    """A fact the template uses. Without `fallback` (by language) a message without the fact is not sent."""

    path: str
    type: str
    sample: Any
    fallback: Mapping[str, str]
    line: int

    @property
    def required(self) -> bool:
        """Whether a message fails where the fact is missing."""
        return not self.fallback


@dataclass(frozen=True, slots=True)
class Manifest:
    """template.yaml."""

    template: str
    name: Mapping[str, str]
    description: Mapping[str, str]
    phase: str
    class_: MessageClass
    topic: str | None
    layout: str | None
    fields: Mapping[str, Field]


@dataclass(frozen=True, slots=True)
class Text:
    """One text of a language and where it stands."""

    value: str
    file: str
    line: int


@lru_cache(maxsize=1024)
def _load(text: str) -> Any:
    if len(text) > MAX_YAML or text.count("&") > 2_000:
        raise YAMLError("the file is too large")
    return YAML(typ="rt").load(text)


def load_yaml(text: str, file: str, problems: list[Problem]) -> CommentedMap | None:
    """The mapping a YAML file holds, or None with the reason added to `problems`."""
    try:
        document = _load(text)
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        reason = (error.problem if isinstance(error, MarkedYAMLError) else str(error)) or "cannot be read"
        cure = "Put a value with a colon or braces in quotes."
        problems.append(Problem(file, line, column, "bad-yaml", "error", f"The YAML {reason}.", cure))
        return None
    if not isinstance(document, CommentedMap):
        problems.append(Problem(file, 1, 1, "bad-yaml", "error", "The file must hold keys with values."))
        return None
    return document


def read_manifest(folder: str, files: Mapping[str, str], problems: list[Problem]) -> Manifest | None:
    """template.yaml of a folder; None, with the reasons in `problems`, if it cannot be used."""
    file = f"{folder}/template.yaml"
    if file not in files:
        problems.append(Problem(file, 1, 1, "missing-file", "error", "There is no template.yaml.", "Write one."))
        return None
    data = load_yaml(files[file], file, problems)
    if data is None:
        return None

    def wrong(key: str, message: str, cure: str = "") -> None:
        line = data.lc.key(key)[0] + 1 if key in data else 1
        problems.append(Problem(file, line, 1, "bad-yaml", "error", message, cure))

    class_, phase, topic = data.get("class"), data.get("phase"), data.get("topic")
    if class_ not in CLASSES:
        wrong("class", f"class cannot be {class_!r}.", f"It is one of {', '.join(CLASSES)}.")
    if phase not in PHASES:
        wrong("phase", f"phase cannot be {phase!r}.", f"It is one of {', '.join(PHASES)}.")
    if data.get("template", folder) != folder:
        wrong("template", f"template says {data['template']!r}, the folder is {folder!r}.", "Make them one.")
    known = {"template", "name", "description", "phase", "class", "topic", "layout", "fields"}
    for key in data:
        if key not in known:
            wrong(key, f"template.yaml has no {key!r}.", f"It knows {', '.join(sorted(known))}.")
    name = _by_language(data.get("name"), folder)
    fields = _read_fields(data.get("fields"), file, problems)
    layout = data.get("layout", "none")
    if class_ not in CLASSES or phase not in PHASES:
        return None
    return Manifest(
        folder, name, _by_language(data.get("description"), ""), phase, class_, str(topic) if topic else None,
        None if layout in {None, "none"} else str(layout), fields,
    )  # fmt: skip


def _by_language(value: Any, default: str) -> dict[str, str]:
    if isinstance(value, Mapping):
        return {str(k): str(v) for k, v in value.items()}
    return {"en": str(value) if value else default}


def _read_fields(data: Any, file: str, problems: list[Problem]) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    if not isinstance(data, CommentedMap):
        return fields
    for path, declared in data.items():
        line = data.lc.key(path)[0] + 1

        def wrong(message: str, cure: str = "", line: int = line) -> None:
            problems.append(Problem(file, line, 1, "bad-field", "error", message, cure))

        if not _PATH.match(str(path)):
            wrong(f"{path!r} is not a path such as booking.arrival.")
            continue
        if not isinstance(declared, Mapping) or declared.get("type") not in FIELD_TYPES:
            wrong(f"{path} needs a type.", f"It is one of {', '.join(FIELD_TYPES)}.")
            continue
        extra = set(declared) - {"type", "fallback", "sample", "description"}
        if extra:
            wrong(f"{path} has no {min(extra)!r}.", "It knows type, fallback, sample and description.")
        if declared.get("sample") is None:
            wrong(f"{path} has no sample.", "Previews and tests need one.")
            continue
        try:
            sample = sample_of(declared["type"], declared["sample"])
        except (TypeError, ValueError):
            wrong(f"{path}: the sample is not of type {declared['type']}.")
            continue
        given = declared.get("fallback")
        fallback = {str(k): str(v) for k, v in given.items()} if isinstance(given, Mapping) else {}
        if given is not None and not isinstance(given, Mapping):
            wrong(f"{path}: fallback is given by language.", "Write fallback: {en: guest, it: ospite}.")
        fields[str(path)] = Field(str(path), str(declared["type"]), sample, fallback, line)
    return fields


def sample_of(type_: str, value: Any) -> Any:
    """A sample as the fact would really be: dates as dates, instants as aware datetimes, plain containers.

    Raises ValueError or TypeError where it cannot be one.
    """
    if type_ in {"integer", "money"}:
        if isinstance(value, bool) or int(value) != float(value):
            raise ValueError(value)
        return int(value)
    if type_ == "number":
        return float(value) if not isinstance(value, int) else int(value)
    if type_ == "boolean":
        if not isinstance(value, bool):
            raise ValueError(value)
        return value
    if type_ == "date":
        if isinstance(value, datetime):
            return value.date()
        return value if isinstance(value, date) else date.fromisoformat(str(value))
    if type_ == "datetime":
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if type_ in {"list", "object"}:
        plain = _plain(value)
        if not isinstance(plain, list if type_ == "list" else dict):
            raise TypeError(value)
        return plain
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, bool | int | float | date) or value is None:
        return value
    return str(value)


def languages_of(folder: str, files: Mapping[str, str]) -> tuple[str, ...]:
    """The languages a template is written in: those of its texts.<lang>.yaml, in order of name."""
    pattern = re.compile(rf"{re.escape(folder)}/texts\.([a-z]{{2,3}}(?:-[A-Z]{{2}})?)\.yaml$")
    return tuple(sorted(found[1] for path in files if (found := pattern.match(path))))


def read_texts(folder: str, language: str, files: Mapping[str, str], problems: list[Problem]) -> dict[str, Text]:
    """Every text of one language: the shared ones of `_texts`, and over them the template's own."""
    texts: dict[str, Text] = {}
    for file in (f"_texts/{language}.yaml", f"{folder}/texts.{language}.yaml"):
        if file in files and (data := load_yaml(files[file], file, problems)) is not None:
            _flatten(data, "", file, texts, problems)
    return texts


def _flatten(data: CommentedMap, prefix: str, file: str, texts: dict[str, Text], problems: list[Problem]) -> None:
    for key, value in data.items():
        row, _ = data.lc.value(key)
        if isinstance(value, CommentedMap):
            _flatten(value, f"{prefix}{key}.", file, texts, problems)
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            texts[f"{prefix}{key}"] = Text(str(value).strip(), file, row + 1)
        else:
            cure = "A text is words; put them in quotes."
            problems.append(Problem(file, row + 1, 1, "bad-yaml", "error", f"{prefix}{key} is not a text.", cure))
