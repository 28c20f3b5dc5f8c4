"""A template's Jinja as a tree: what it uses, what it must not use, and made ready to run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from jinja2 import Template, nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.visitor import NodeTransformer

from app.content.environment import FILTERS, FUNCTIONS, HTML, LOOP_CALLS, PLAIN, Sandbox, dotted

URLS: Final = frozenset({"unsubscribe_url", "preferences_url", "view_url", "notice_url", "confirm_url"})
"""Names that hold a link of ours, made for each message."""
BARE_TYPES: Final = {"date": "date_long", "datetime": "datetime", "money": "money(currency)"}
"""Types that must pass a filter to be shown, with one that fits."""


class BadUrlError(ValueError):
    """A link's address that holds more than values and conditions."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with the Jinja of a text, at a line from 1."""

    line: int
    code: str
    message: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """A fact a text uses: its path (`activities[].title` inside a loop), the line, and whether it is shown bare.

    `link` is the number of the link in whose address it stands, 0 for none.
    """

    path: str
    line: int
    bare: bool
    link: int = 0


def parse(source: str, sandbox: Sandbox = HTML) -> nodes.Template | Finding:
    """The tree of a text, or why there is none."""
    try:
        return sandbox.parse(source)
    except TemplateSyntaxError as error:
        return Finding(error.lineno, "jinja-syntax", f"Jinja: {error.message}")
    except (RecursionError, ValueError, OverflowError) as error:
        return Finding(1, "jinja-syntax", f"Jinja: the mark is too deep or too large ({type(error).__name__}).")


def forbidden(tree: nodes.Template) -> Iterator[Finding]:
    """Whatever a template must not use."""
    for node in tree.find_all(nodes.Node):
        line = node.lineno or 1
        if isinstance(node, _STATEMENTS):
            name = type(node).__name__.lower()
            yield Finding(line, "jinja-forbidden", f"{name} is not for templates.", "Use mj-include for parts.")
        elif isinstance(node, nodes.For) and node.recursive:
            yield Finding(line, "jinja-forbidden", "A loop may not be recursive.")
        elif isinstance(node, nodes.Call) and not _may_be_called(node):
            cure = "Use a filter: {{ name|upper }}."
            yield Finding(line, "jinja-forbidden", f"{dotted(node.node)}() cannot be called.", cure)
        elif isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
            yield Finding(line, "jinja-forbidden", f"{dotted(node)} cannot be read.")
        elif isinstance(node, nodes.Name) and node.name.startswith("_"):
            yield Finding(line, "jinja-forbidden", f"{node.name} cannot be read.")
        elif isinstance(node, nodes.Filter) and node.name not in FILTERS:
            yield Finding(
                line, "jinja-forbidden", f"There is no filter {node.name}.", f"There are: {', '.join(FILTERS)}."
            )
        elif isinstance(node, nodes.Test) and node.name not in HTML.tests:
            yield Finding(line, "jinja-forbidden", f"There is no test {node.name}.")
        elif isinstance(node, nodes.Assign | nodes.With) and _hoards(node):
            yield Finding(line, "jinja-forbidden", "A list made of values cannot be kept.", "Loop over it directly.")
        elif isinstance(node, nodes.NSRef):
            yield Finding(line, "jinja-forbidden", "Namespaces are not for templates.")


_STATEMENTS: Final = (
    nodes.Macro, nodes.CallBlock, nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Block,
    nodes.ScopedEvalContextModifier, nodes.EvalContextModifier,
)  # fmt: skip


def _may_be_called(node: nodes.Call) -> bool:
    target = node.node
    if isinstance(target, nodes.Name):
        return target.name in FUNCTIONS
    return isinstance(target, nodes.Getattr) and dotted(target.node) == "loop" and target.attr in LOOP_CALLS


def _hoards(node: nodes.Node) -> bool:
    """Whether a list or mapping of values is given a name: nested again and again it would grow without end."""
    kinds = (nodes.List, nodes.Tuple, nodes.Dict)
    values = (
        [node.node] if isinstance(node, nodes.Assign) else list(node.values) if isinstance(node, nodes.With) else []
    )
    for value in values:
        for made in [value, *value.find_all(kinds)]:
            if isinstance(made, kinds) and any(
                not isinstance(n, nodes.Const | nodes.Pair) for n in made.find_all(nodes.Expr)
            ):
                return True
    return False


def uses(tree: nodes.Template, links: Mapping[int, str]) -> list[Use]:
    """Every fact a text uses, its links' addresses included, each place once, in order of place."""
    found: list[Use] = []
    _Uses(found, links).walk(tree, {}, bare=False)
    return list(dict.fromkeys(found))


class _Uses:
    """Follows names through loops: in `for a in activities`, `a.title` is `activities[].title`."""

    def __init__(self, found: list[Use], links: Mapping[int, str]) -> None:
        self._found, self._links = found, links
        self._link, self._line = 0, 0

    def walk(self, node: nodes.Node, scope: Mapping[str, str | None], *, bare: bool) -> None:
        if isinstance(node, nodes.Name | nodes.Getattr | nodes.Getitem):
            self._reference(node, scope, bare=bare)
        elif isinstance(node, nodes.For):
            self._loop(node, dict(scope))
        elif isinstance(node, nodes.Output):
            for child in node.nodes:
                self.walk(child, scope, bare=True)
        elif isinstance(node, nodes.Call):
            self._address(node, scope)
            for part in [*node.args, *(k.value for k in node.kwargs)]:
                self.walk(part, scope, bare=False)
        elif isinstance(node, nodes.CondExpr):
            self.walk(node.test, scope, bare=False)
            for branch in (node.expr1, node.expr2):
                if branch is not None:
                    self.walk(branch, scope, bare=bare)
        elif isinstance(node, nodes.Or | nodes.And):
            self.walk(node.left, scope, bare=bare)
            self.walk(node.right, scope, bare=bare)
        elif isinstance(node, nodes.Filter) and node.name in {"default", "d"} and node.node is not None:
            self.walk(node.node, scope, bare=bare)
            for part in node.args:
                self.walk(part, scope, bare=False)
        else:
            self._children(node, scope)

    def _address(self, node: nodes.Call, scope: Mapping[str, str | None]) -> None:
        """The address of `link(n)`, seen from where the link stands: a loop's names mean what they mean there."""
        number = node.args[0] if node.args and dotted(node.node) == "link" else None
        if not isinstance(number, nodes.Const) or number.value not in self._links:
            return
        try:
            address = url_tree(self._links[number.value])
        except BadUrlError:
            return
        self._link, self._line = number.value, node.lineno or 1
        self.walk(address, scope, bare=False)
        self._link, self._line = 0, 0

    def _children(self, node: nodes.Node, scope: Mapping[str, str | None]) -> None:
        local = scope if isinstance(node, nodes.Expr) else dict(scope)
        for child in node.iter_child_nodes():
            self.walk(child, local, bare=False)
            if isinstance(child, nodes.Assign) and isinstance(child.target, nodes.Name) and isinstance(local, dict):
                local[child.target.name] = self._path(child.node, local)
            elif (
                isinstance(child, nodes.AssignBlock)
                and isinstance(child.target, nodes.Name)
                and isinstance(local, dict)
            ):
                local[child.target.name] = None

    def _loop(self, node: nodes.For, scope: dict[str, str | None]) -> None:
        self.walk(node.iter, scope, bare=False)
        inner = {**scope, "loop": None}
        source = node.iter
        while isinstance(source, nodes.Filter) and source.node is not None and source.name not in {"groupby", "batch"}:
            source = source.node
        path = self._path(source, scope)
        targets = [
            t.name for t in ([node.target] if isinstance(node.target, nodes.Name) else node.target.find_all(nodes.Name))
        ]
        for name in targets:
            inner[name] = f"{path}[]" if path and len(targets) == 1 else None
        if node.test is not None:
            self.walk(node.test, inner, bare=False)
        for child in node.body:
            self.walk(child, inner, bare=False)
        for child in node.else_:
            self.walk(child, scope, bare=False)

    def _path(self, node: nodes.Node, scope: Mapping[str, str | None]) -> str | None:
        if isinstance(node, nodes.Name):
            return scope.get(node.name, node.name)
        if isinstance(node, nodes.Getattr):
            base = self._path(node.node, scope)
            return f"{base}.{node.attr}" if base else None
        if isinstance(node, nodes.Getitem):
            base = self._path(node.node, scope)
            if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
                return f"{base}.{node.arg.value}" if base else None
            return f"{base}[]" if base else None
        return None

    def _reference(self, node: nodes.Node, scope: Mapping[str, str | None], *, bare: bool) -> None:
        if isinstance(node, nodes.Name) and node.ctx != "load":
            return
        path = self._path(node, scope)
        if path is not None:
            self._found.append(Use(path, self._line or node.lineno or 1, bare, self._link))
        elif isinstance(node, nodes.Getattr):
            self.walk(node.node, scope, bare=False)
        if isinstance(node, nodes.Getitem):
            self.walk(node.arg, scope, bare=False)


def url_tree(url: str) -> nodes.Expr:
    """A link's address with its marks as one expression; values in it are made fit for a URL.

    A mark that begins the address is taken as it is (`{{ property.links.booking }}`), later ones are encoded unless
    they end in `|urlencode`. Raises BadUrlError where the address holds a loop or an assignment.
    """
    tree = parse(url, PLAIN)
    if isinstance(tree, Finding):
        raise BadUrlError(tree.message)
    wrap = "_phone_part" if re.match(r"(tel|sms):", url) else "_url_part"
    return _joined(_url_parts(tree.body, wrap, at_start=True))


def _url_parts(body: list[nodes.Node], wrap: str, *, at_start: bool) -> list[nodes.Expr]:
    parts: list[nodes.Expr] = []
    for node in body:
        if isinstance(node, nodes.Output):
            for child in node.nodes:
                if isinstance(child, nodes.TemplateData):
                    parts.append(nodes.Const(child.data, lineno=child.lineno))
                elif (at_start and not parts) or (isinstance(child, nodes.Filter) and child.name == "urlencode"):
                    parts.append(child)
                else:
                    parts.append(nodes.Filter(child, wrap, [], [], None, None, lineno=child.lineno))
        elif isinstance(node, nodes.If) and not node.elif_:
            first = at_start and not parts
            then = _joined(_url_parts(node.body, wrap, at_start=first))
            other = _joined(_url_parts(node.else_, wrap, at_start=first))
            parts.append(nodes.CondExpr(node.test, then, other, lineno=node.lineno))
        else:
            raise BadUrlError("a link's address may hold values and if … else, nothing more")
    return parts


def _joined(parts: list[nodes.Expr]) -> nodes.Expr:
    if len(parts) == 1:
        return parts[0]
    return nodes.Concat(parts, lineno=1) if parts else nodes.Const("", lineno=1)


class _Ready(NodeTransformer):
    """Counts loops, gives links their addresses, puts fallbacks in, marks the template's own line breaks."""

    def __init__(
        self, links: Mapping[int, str], fallbacks: Mapping[str, str], breaks: Callable[[str], str] | None
    ) -> None:
        self._links, self._fallbacks, self._breaks = links, fallbacks, breaks
        self._shown = False

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - named by Jinja
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, "_counted", [], [], None, None, lineno=node.lineno)
        return node

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802 - named by Jinja
        if isinstance(node.node, nodes.Name) and node.node.name == "link" and len(node.args) == 1:
            number = node.args[0]
            if isinstance(number, nodes.Const) and number.value in self._links:
                node.args.append(self.visit(url_tree(self._links[number.value])))
                return node
        self.generic_visit(node)
        return node

    def visit_Output(self, node: nodes.Output) -> nodes.Node:  # noqa: N802 - named by Jinja
        before, self._shown = self._shown, True
        self.generic_visit(node)
        self._shown = before
        return node

    def visit_CondExpr(self, node: nodes.CondExpr) -> nodes.Node:  # noqa: N802 - named by Jinja
        before, self._shown = self._shown, False
        node.test = self.visit(node.test)
        self._shown = before
        node.expr1 = self.visit(node.expr1)
        node.expr2 = self.visit(node.expr2) if node.expr2 is not None else None
        return node

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:  # noqa: N802 - named by Jinja
        words = self._fallbacks.get(dotted(node)) if self._shown else None
        if words is None:
            return node
        return nodes.Filter(
            node, "_fallback", [nodes.Const(words, lineno=node.lineno)], [], None, None, lineno=node.lineno
        )

    visit_Getitem = visit_Getattr  # noqa: N815 - named by Jinja

    def visit_TemplateData(self, node: nodes.TemplateData) -> nodes.Node:  # noqa: N802 - named by Jinja
        if self._breaks is not None:
            node.data = self._breaks(node.data)
        return node


def load(
    source: str,
    *,
    plain: bool,
    links: Mapping[int, str],
    fallbacks: Mapping[str, str],
    breaks: Callable[[str], str] | None = None,
) -> Template:
    """A text made ready to run. It was checked at publish; checked again here, as rows may be older than the rules.

    Raises ValueError with the first thing that is wrong.
    """
    sandbox = PLAIN if plain else HTML
    tree = parse(source, sandbox)
    wrong = tree if isinstance(tree, Finding) else next(forbidden(tree), None)
    if isinstance(tree, Finding) or wrong is not None:
        raise ValueError(wrong.message if wrong else "")
    _Ready(links, fallbacks, breaks).visit(tree)
    for node in tree.find_all(nodes.Node):
        if node.environment is None:
            node.set_environment(sandbox)
    return Template.from_code(sandbox, sandbox.compile(tree), {})
