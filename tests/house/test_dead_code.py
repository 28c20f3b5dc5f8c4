"""Nothing lies about that nobody calls. What a template, a document or a dotted name in a string mentions is used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from vulture import Vulture

from tests.conftest import ROOT

PLACES = [name for name in ("app", "bench", "tests", "migrations", "wsgi.py") if (ROOT / name).exists()]
KINDS = {"function", "method", "class", "property", "import", "unreachable_code"}
"""Fields of data classes and columns are left to those who read them: templates, JSON, the database."""

BY_FRAMEWORKS = {
    # called by name from outside: by the interpreter's, a server's or a library's own conventions
    "setup", "handle", "finish", "collect", "get_heartbeat_ttl", "get_translations", "getitem", "is_safe_callable",
    "log_message", "unknown_decl", "upgrade", "downgrade", "teardown", "_repr_pretty_",
    "visit_*", "handle_*", "test_*", "pytest_*", "do_*",
}  # fmt: skip
DECORATORS = [
    "@*.route", "@*.get", "@*.post", "@*.put", "@*.patch", "@*.delete", "@*.before_request", "@*.after_request",
    "@*.before_app_request", "@*.after_app_request", "@*.teardown_request", "@*.context_processor",
    "@*.app_context_processor", "@*.errorhandler", "@*.app_errorhandler", "@*.error_processor", "@*.command",
    "@*.group", "@*.url_value_preprocessor", "@*.url_defaults",
    "@*.template_filter", "@*.app_template_filter", "@*.app_template_global", "@*.template_global", "@*.listens_for",
    "@pytest.fixture", "@pytest.hookimpl", "@field_validator", "@model_validator", "@field_serializer",
    "@rule", "@invariant", "@initialize", "@precondition", "@composite", "@st.composite", "@declared_attr",
    "@guarded", "@opened_by", "@offered", "@schema.*", "@*.user_loader", "@*.request_loader", "@*.exempt",
    "@*.parametrize",
]  # fmt: skip

_WORD = re.compile(r"[A-Za-z_]\w+")
_DOTTED = re.compile(r"[\"'](?:\w+[.:])+(\w+)[\"']")


def _mentioned() -> Iterator[str]:
    for suffix in ("html", "txt", "xml", "mjml", "yaml", "toml", "ini", "mako"):
        for path in ROOT.glob(f"**/*.{suffix}"):
            if not {"node_modules", ".venv", "var"} & set(path.parts):
                yield from _WORD.findall(path.read_text(encoding="utf-8", errors="replace"))
    for place in PLACES:
        for path in [ROOT / place] if place.endswith(".py") else (ROOT / place).glob("**/*.py"):
            yield from _DOTTED.findall(path.read_text(encoding="utf-8"))


def test_no_code_is_dead() -> None:
    vulture = Vulture(ignore_names=sorted(BY_FRAMEWORKS), ignore_decorators=DECORATORS)
    vulture.scavenge([str(ROOT / place) for place in PLACES], exclude=["*/node_modules/*"])
    mentioned = set(_mentioned())
    dead = [
        f"{Path(item.filename).relative_to(ROOT)}:{item.first_lineno}: {item.message}"
        for item in vulture.get_unused_code(min_confidence=60)
        if item.typ in KINDS
        and item.name not in mentioned
        # tables are kept for their rows, whoever writes those
        and not (item.typ == "class" and Path(item.filename).name == "models.py")
    ]
    assert not dead, "\n".join(dead)
