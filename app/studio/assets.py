"""What the front-end build made, by the names it was made from: one manifest, read once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import structlog

log = structlog.get_logger()

STATIC = Path(__file__).parent / "static"
BASE = "/static/"


@dataclass(frozen=True, slots=True)
class Assets:
    """Addresses of the built files; empty strings where nothing is built (pages then work, plainly)."""

    script: str = ""
    styles: tuple[str, ...] = ()
    icons: str = ""
    type_: str = ""


def read(static: Path = STATIC) -> Assets:
    """Read Vite's manifest below `static`."""
    manifest = static / "dist" / ".vite" / "manifest.json"
    try:
        chunks = json.loads(manifest.read_text(encoding="utf-8"))
    except FileNotFoundError:
        log.warning("front_end_not_built", expected=str(manifest), cure="cd app/studio && npm ci && npm run build")
        return Assets()
    entry = chunks["studio.js"]

    def address(file: str) -> str:
        return f"{BASE}dist/{file}"

    latin = next(
        (chunk["file"] for name, chunk in chunks.items() if name.endswith("inter-latin-wght-normal.woff2")), ""
    )
    return Assets(
        script=address(entry["file"]),
        styles=tuple(address(file) for file in entry.get("css", ())),
        icons=address(chunks["icons.svg"]["file"]),
        type_=address(latin) if latin else "",
    )
