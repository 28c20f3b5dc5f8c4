"""A YAML document as lines of marked-up text: keys, comments and quoted texts told apart, nothing more."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

_KEY = re.compile(r"^(\s*(?:- +)*(?:\{ *)?)([A-Za-z_][\w.-]*)(:)(?=\s|$)")
_REST = re.compile(r"(?P<text>\"(?:[^\"\\]|\\.)*\"|'[^']*')|(?P<comment>(?:^|(?<=\s))#.*)")


def coloured(source: str) -> list[Markup]:
    """One piece of markup a line."""
    return [_line(line) for line in source.splitlines()]


def _line(line: str) -> Markup:
    start, made = 0, Markup("")
    key = _KEY.match(line)
    if key:
        made += Markup('{}<span class="y-key">{}</span>{}').format(key[1], key[2], key[3])
        start = key.end()
    for found in _REST.finditer(line, start):
        made += escape(line[start : found.start()])
        kind = "y-text" if found["text"] else "y-comment"
        made += Markup('<span class="{}">{}</span>').format(kind, found[0])
        start = found.end()
    return made + escape(line[start:])
