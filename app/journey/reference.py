"""The reference page of the workflow language, made from its models: every block, step and field in one sentence.

`flask workflows reference` writes it to docs/language.md, and a test fails where that file says something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.journey.condition_lines import OPERATORS
from app.journey.known import FACT_FIELDS, OPEN_FIELDS, PURPOSES
from app.journey.model import BLOCKS, LATER
from app.journey.model_steps import STEPS
from app.journey.model_types import Block
from app.journey.schema import of_stories, of_workflows
from app.journey.stories import STORY_BLOCKS, Story

_HEAD = """\
# The workflow language, word by word

Made from the models by `flask workflows reference`; a test holds it to them, so what stands here is what is accepted.
How the words go together is told in [workflows.md](workflows.md). An editor completes and checks them with
`flask workflows schema > workflow.schema.json` and, as the first line of a file,
`# yaml-language-server: $schema=workflow.schema.json`.

In the tables, **needed** keys have no default; where the column is empty, leaving the key out means that nothing of
the kind happens, or what the sentence says.
"""
_WRITTEN = (
    (
        "length of time",
        "`3 days`, `-7 days`, `1 hour 30 minutes`",
        "minutes, hours, days, weeks, months, years. A day is a calendar day, an hour is 60 minutes, always",
    ),
    (
        "with business days",
        "`2 business days`",
        "Monday to Friday without the public holidays of the property's country",
    ),
    (
        "clock time",
        '`"16:00"`',
        "in quotes. One that a day lacks (spring) moves on by the gap; one that it has twice (autumn) is its first",
    ),
    (
        "zone",
        "`property`, `contact`, `Europe/Rome`",
        "whose clock it is; a person without a zone lives by the property's",
    ),
    ("date", "`booking.arrival`", "the path of a day or an instant"),
    ("text by language", "`{ en: Hello, it: Ciao }`", "in quotes where it holds a comma or a colon"),
    (
        "value from the facts",
        "`{ from: event.amount }`",
        "read at that moment; what is not known is left out",
    ),
    (
        "event of your own",
        "`custom.became_regular`",
        "any name behind `custom.`; it needs no entry in the catalogue and may hold anything",
    ),
)
_BLOCK_TITLES = {
    "Moment": "A moment: `latest`, `up_to`",
    "Waiting": "`wait`",
    "Awaited": "`wait_for`",
    "BranchCase": "One way of a `branch`",
    "VariantCase": "One variant of a `split`",
    "WinnerRule": "`winner`",
    "Rounds": "`repeat`",
    "Renewed": "`updated`",
    "EmitBody": "`emit`",
    "WebhookBody": "`webhook`",
    "StartBody": "`start`",
    "StopBody": "`stop`",
    "TaskBody": "`task`",
    "ConsentBody": "`consent`",
}
_BLOCK_OF_STEP = {
    "wait": ("Waiting",),
    "wait_for": ("Awaited",),
    "branch": ("BranchCase",),
    "split": ("VariantCase", "WinnerRule"),
    "repeat": ("Rounds",),
    "send": ("Renewed",),
    "emit": ("EmitBody",),
    "webhook": ("WebhookBody",),
    "start": ("StartBody",),
    "stop": ("StopBody",),
    "task": ("TaskBody",),
    "consent": ("ConsentBody",),
}


def page() -> str:
    """The whole page, in Markdown."""
    return "\n".join(_lines()).rstrip() + "\n"


def _lines() -> Iterator[str]:
    schema = of_workflows()
    blocks: Mapping[str, Any] = schema["$defs"]
    yield _HEAD
    yield "## How values are written\n"
    yield "| what | how | |\n|---|---|---|"
    yield from (f"| {' | '.join(row)} |" for row in _WRITTEN)
    yield ""
    yield "## The workflow\n"
    yield from _table(schema)
    for key in ("entry", "reenter", "exit", "goal", "caps", "quiet_hours", "limits"):
        name = BLOCKS[key].__name__
        yield f"### `{key}`\n"
        yield from _block(blocks[name])
    yield "## Steps\n"
    yield "Every step has an `id` and one key that says what it does.\n"
    yield "| step | |\n|---|---|"
    yield from (f"| [`{kind}`](#step-{kind}) | {_sentence(step.__doc__)} |" for kind, step in STEPS.items())
    yield ""
    yield f"Still to come, and refused by name until then: {', '.join(f'`{kind}`' for kind in LATER)}.\n"
    for kind, step in STEPS.items():
        yield f"### Step {kind}\n"
        yield from _block(blocks[step.__name__], but=("id",))
        for name in _BLOCK_OF_STEP.get(kind, ()):
            yield f"#### {_BLOCK_TITLES[name]}\n"
            yield from _block(blocks[name])
    yield f"### {_BLOCK_TITLES['Moment']}\n"
    yield from _block(blocks["Moment"])
    yield from _conditions()
    yield "## Stories\n"
    yield "A file `<workflow>.stories.yaml` beside the workflow is a list of these; `flask workflows check` runs it.\n"
    told: Mapping[str, Any] = of_stories()["$defs"]
    stories: dict[str, type[Block]] = {"story": Story, **STORY_BLOCKS}
    for name, model in stories.items():
        yield f"### `{name}`\n"
        yield from _block(told[model.__name__])


def _conditions() -> Iterator[str]:
    yield "## Conditions\n"
    yield (
        "One line is `field operator value`. A list of lines must hold as a whole; `all:`, `any:` and `none:` take a "
        "list each and may lie in one another.\n"
    )
    yield f"Operators: {', '.join(f'`{operator}`' for operator in OPERATORS)}.\n"
    yield (
        "What people did with a message of this passage: `clicked <step>`, `clicked <step> within 7 days`, and the "
        "same with `opened`. Of people who are not tracked it cannot be known, hence the `unknown` ways.\n"
    )
    yield (
        "What has happened to the person, whatever it was about: `did booking.confirmed within 365 days`, "
        "`did booking.confirmed at least 2 times within 365 days`, and `not did` for what has not. Any event of the "
        "catalogue or of your own may be asked for; what was done with a message is asked by its step.\n"
    )
    yield "| field | type |\n|---|---|"
    yield from (f"| `{path}` | {kind} |" for path, kind in FACT_FIELDS.items())
    yield f"| `consent.<topic>`, `consent.<purpose>` ({', '.join(PURPOSES)}) | granted, denied, withdrawn or pending |"
    yield "| `event.<field>` | a field of the event that is looked at, as its kind has it |"
    yield from (f"| `{prefix}<name>` | any |" for prefix in OPEN_FIELDS)
    yield ""


def _block(schema: Mapping[str, Any], but: tuple[str, ...] = ()) -> Iterator[str]:
    yield f"{_sentence(schema.get('description'))}\n"
    yield from _table(schema, but)


def _table(schema: Mapping[str, Any], but: tuple[str, ...] = ()) -> Iterator[str]:
    needed = schema.get("required", ())
    yield "| key | value | default | |\n|---|---|---|---|"
    for key, field in schema["properties"].items():
        if key not in but:
            default = "**needed**" if key in needed else _default(field)
            yield f"| `{key}` | {_value(field)} | {default} | {_sentence(field.get('description'))} |"
    yield ""


def _default(field: Mapping[str, Any]) -> str:
    if "default" not in field:
        return ""
    value = field["default"]
    if isinstance(value, Mapping):
        return "`never`" if value.get("allowed") is False else ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{', '.join(value)}`" if isinstance(value, list) else f"`{value}`"


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def _value(field: Mapping[str, Any]) -> str:
    """What may stand there, in a few words."""
    if "anyOf" in field:
        forms = field["anyOf"]
        if any("all" in form.get("properties", {}) for form in forms):
            return "[condition](#conditions)"
        if len(forms) == 2 and forms[1].get("type") == "array" and forms[1]["items"].get("enum"):
            return f"{_value(forms[1]['items'])}, or a list of them"
        return " or ".join(dict.fromkeys(_value(form) for form in forms))
    if "$ref" in field:
        return _link(str(field["$ref"]).rsplit("/", 1)[-1])
    if "enum" in field:
        return ", ".join(f"`{one}`" for one in field["enum"])
    if "const" in field:
        return f"`{str(field['const']).lower()}`"
    return _typed(field)


def _typed(field: Mapping[str, Any]) -> str:
    match field.get("type"):
        case "array":
            items = field.get("items", {})
            steps = "oneOf" in items or len(items.get("anyOf", ())) > 5
            return "list of [steps](#steps)" if steps else f"list of {_value(items)}"
        case "integer" | "number":
            kind = "whole number" if field["type"] == "integer" else "number"
            low, high = field.get("minimum"), field.get("maximum")
            if low is not None and high is not None:
                return f"{kind}, {low} to {high}"
            return f"{kind}, {low} or more" if low is not None else kind
        case "boolean":
            return "`true`, `false`"
        case "object":
            return _mapping(field)
        case "string":
            examples = field.get("examples")
            return f"`{examples[0]}`" if examples else "text"
        case _:
            return "text, number, `true`, `false`"


def _mapping(field: Mapping[str, Any]) -> str:
    if "properties" in field:
        return "{ " + ", ".join(f"`{key}`" for key in field["properties"]) + " }"
    inner = field.get("additionalProperties")
    return f"name: {_value(inner)}" if isinstance(inner, Mapping) and inner else "mapping"


def _link(name: str) -> str:
    """A link to the section of a block."""
    for key, block in BLOCKS.items():
        if block.__name__ == name:
            return f"[{key}](#{_anchor(name, key)})"
    for key, told in STORY_BLOCKS.items():
        if told.__name__ == name:
            return f"[{key}](#{key})"
    return "[steps](#steps)"


def _anchor(name: str, key: str) -> str:
    title = _BLOCK_TITLES.get(name, key)
    return "".join(letter for letter in title.lower().replace(" ", "-") if letter.isalnum() or letter in "-_")
