"""The page that says where things are says it right."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("docs/architecture.md", "README.md", "app/__init__.py")


def test_every_file_and_function_that_the_map_names_is_there() -> None:
    missing = []
    for page in PAGES:
        said = (ROOT / page).read_text(encoding="utf-8")
        for path, name in re.findall(r"`([a-z_./]+\.py)`(?: `(\w+)`)?", said):
            found = [place for place in (ROOT / path, ROOT / "app" / path) if place.is_file()]
            if not found:
                missing.append(f"{page}: {path}")
            elif name and not re.search(
                rf"^\s*(def|class) {name}\b", found[0].read_text(encoding="utf-8"), re.MULTILINE
            ):
                missing.append(f"{page}: {name} in {path}")
        linked = re.findall(r"\]\((docs/[^)#]+)\)", said)
        missing += [f"{page}: {path}" for path in linked if not (ROOT / path).exists()]
    assert missing == []
