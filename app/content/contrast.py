"""Whether letters can be told from their ground, where both colours are written down (R26, WCAG 1.4.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Final

from app.content.marks import FILLER, mask
from app.content.problems import Lines

_DEFAULTS: Final[Mapping[str, Mapping[str, str]]] = {
    "mj-text": {"color": "#000000", "font-size": "13px"},
    "mj-button": {"color": "#ffffff", "background-color": "#414141", "font-size": "13px"},
    "mj-navbar-link": {"color": "#000000", "font-size": "13px"},
    "mj-table": {"color": "#000000", "font-size": "13px"},
    "mj-accordion-title": {"font-size": "13px"},
    "mj-accordion-text": {"font-size": "13px"},
}
_HEX: Final = re.compile(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$")
_VOID: Final = frozenset(
    ["mj-image", "mj-divider", "mj-spacer", "mj-font", "mj-breakpoint", "mj-carousel-image", "mj-include"]
)


def ratio(one: str, other: str) -> float | None:
    """The contrast of two hex colours, 1 to 21; None if one is no hex colour."""
    first, second = _luminance(one), _luminance(other)
    if first is None or second is None:
        return None
    return (max(first, second) + 0.05) / (min(first, second) + 0.05)


def _luminance(colour: str) -> float | None:
    match = _HEX.match(colour.strip())
    if match is None:
        return None
    digits = match[1] if len(match[1]) == 6 else "".join(c * 2 for c in match[1])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def low_contrast(mjml: str) -> Iterator[tuple[int, float, str]]:
    """Offset, contrast and what is needed, of every component with words that are too faint."""
    reader = _Reader(mjml)
    reader.feed(mask(mjml))
    reader.close()
    yield from reader.found


class _Reader(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=False)
        self._lines = Lines(text)
        self._tags: list[str] = []
        self._grounds: list[str] = []
        self._general: dict[str, dict[str, str]] = {}
        self._classes: dict[str, dict[str, str]] = {}
        self.found: list[tuple[int, float, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "mj-attributes" in self._tags:
            if tag == "mj-class":
                self._classes[given.get("name", "")] = given
            else:
                self._general[tag] = given
        elif tag.startswith("mj-"):
            self._component(tag, given)
        if (tag.startswith("mj-") or tag == "mjml") and tag not in _VOID:
            self._tags.append(tag)
            ground = self._style(tag, given)
            own = ground.get("background-color") or ground.get("container-background-color") or ""
            above = self._grounds[-1] if self._grounds else "#ffffff"
            if ground.get("background-url"):
                own = "picture"
            self._grounds.append(own or above)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self._tags and self._tags[-1] == tag:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._tags:
            cut = len(self._tags) - 1 - self._tags[::-1].index(tag)
            del self._tags[cut:], self._grounds[cut:]

    def _style(self, tag: str, given: Mapping[str, str]) -> dict[str, str]:
        style = dict(_DEFAULTS.get(tag, {})) | self._general.get("mj-all", {}) | self._general.get(tag, {})
        for name in given.get("mj-class", "").split():
            style |= self._classes.get(name, {})
        return {**style, **given}

    def _component(self, tag: str, given: Mapping[str, str]) -> None:
        if tag not in _DEFAULTS:
            return
        style = self._style(tag, given)
        above = self._grounds[-1] if self._grounds else "#ffffff"
        ground = style.get("background-color") or style.get("container-background-color") or above
        letters = style.get("color", "#000000")
        if FILLER in letters + ground:
            return
        contrast = ratio(letters, ground)
        size = float(re.sub(r"[^\d.]", "", style.get("font-size", "13px")) or 13)
        bold = style.get("font-weight", "") in {"bold", "700", "800", "900"}
        wanted = 3.0 if size >= 24 or (bold and size >= 18.66) else 4.5
        if contrast is not None and contrast < wanted:
            row, column = self.getpos()
            self.found.append((self._lines.offset(row, column), contrast, f"{wanted:g}"))
