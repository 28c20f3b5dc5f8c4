"""Where things stand in a document, and what is wrong there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a document: where (line and column from 1), what, and what to do about it."""

    file: str
    line: int
    column: int
    path: str
    code: str
    message: str
    cure: str = ""

    def __str__(self) -> str:
        cure = f" ({self.cure})" if self.cure else ""
        return f"{self.file}:{self.line}:{self.column}: {self.message}{cure} [{self.code}]"


class LanguageError(ValueError):
    """A document that cannot be used; `problems` in the order in which they stand in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line, problem.column, problem.code)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Places:
    """Finds lines and columns of a document that ruamel loaded with its positions."""

    def __init__(self, file: str, text: str, root: Any) -> None:
        self._file = file
        self._lines = text.splitlines()
        self._root = root

    def problem(
        self,
        path: Path,
        code: str,
        message: str,
        cure: str = "",
        *,
        on_key: bool = False,
        part: str | int | None = None,
    ) -> Problem:
        """A problem at the value (or key) of a path; `part` is a word or an offset within a one-line text."""
        line, column, path = self._find(path, on_key)
        if part is not None:
            column = self._within(line, column, part)
        return Problem(self._file, line + 1, column + 1, self._shown(path), code, message, cure)

    def at(self, path: Path) -> Any:
        """The value at a path as it stands in the document, or None."""
        node = self._root
        for step in path:
            node = _inner(node, step)
        return node

    def _find(self, path: Path, on_key: bool) -> tuple[int, int, Path]:
        """Line and column from 0 of the deepest part of the path that exists, and that part."""
        node, found = self._root, (0, 0)
        reached: list[str | int] = []
        for number, step in enumerate(path):
            data = getattr(getattr(node, "lc", None), "data", None) or {}
            if isinstance(node, Mapping) and step in node:
                key_line, key_column, line, column = data.get(step, (0, 0, 0, 0))
                last = number == len(path) - 1
                found = (key_line, key_column) if last and on_key else (line, column)
            elif isinstance(node, list) and isinstance(step, int) and step < len(node):
                line, column = data.get(step, (0, 0))[:2]
                found = (line, column)
            else:
                continue
            reached.append(step)
            node = node[step]
        return found[0], found[1], tuple(reached)

    def _within(self, line: int, column: int, part: str | int) -> int:
        text = self._lines[line] if line < len(self._lines) else ""
        quoted = text[column : column + 1] in ("'", '"')
        start = column + quoted
        if isinstance(part, int):
            return start + part
        at = text.find(part, start)
        return column if at < 0 else at

    def _shown(self, path: Path) -> str:
        """steps[week-before].wait.late: steps by their id, other list items by their number from 1."""
        shown, node = "", self._root
        for step in path:
            node = node[step]
            if isinstance(step, int):
                name = node.get("id") if isinstance(node, Mapping) else None
                shown += f"[{name if isinstance(name, str) else step + 1}]"
            else:
                shown += f".{step}" if shown else step
        return shown


def _inner(node: Any, step: str | int) -> Any:
    if isinstance(node, Mapping):
        return node.get(step)
    if isinstance(node, list) and isinstance(step, int) and step < len(node):
        return node[step]
    return None


def depth(node: Any) -> int:
    """How many levels of mappings and lists lie in one another."""
    deepest, level = 0, [node]
    while level:
        level = [inner for one in level if isinstance(one, (Mapping, list)) for inner in _values(one)]
        deepest += 1
    return deepest


def _values(node: Any) -> list[Any]:
    return list(node.values()) if isinstance(node, Mapping) else list(node)


def plain(node: Any) -> Any:
    """The loaded document as plain dicts, lists and scalars; dates go back to their text."""
    if isinstance(node, Mapping):
        return {str(key): plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(value) for value in node]
    if isinstance(node, bool) or node is None:
        return node
    for kind in (str, int, float):
        if isinstance(node, kind):
            return kind(node)
    return node.isoformat() if isinstance(node, date) else str(node)
