"""The Jinja that templates run in: closed, counted, and exact about what is missing.

Jinja's sandbox keeps templates from Python's insides, but not from eating memory or time. So here: filters are a short
list; nothing can be called but what we hand in; `+ * ** % ~`, loops and all output are counted; macros, includes and
`autoescape` are refused when the template is read. A fact that is missing (or None) is false in a condition, and an
error with its path wherever it would be shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, NoReturn

from jinja2 import Undefined, filters, nodes, pass_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import TemplateError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from app.content import formats

MAX_OUTPUT: Final = 1_000_000
"""Characters of one rendered part."""
MAX_TEXT: Final = 200_000
"""Characters of one value made inside a template."""
MAX_LOOP: Final = 1_000
"""Items of one loop."""
MAX_STEPS: Final = 20_000
"""Items of all loops of one message together."""
MAX_NUMBER: Final = 10**18
MAX_FACTOR: Final = 64


class RenderError(Exception):
    """A message that cannot be composed. `code` is stable; the text is for the person who mends the template."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class MissingField(RenderError):  # noqa: N818 - the word used all over the house
    """A fact that a message needs is not there. `path` is its full path: `booking.arrival`."""

    def __init__(self, path: str) -> None:
        super().__init__("missing_field", f"{path} is missing")
        self.path = path


class LimitExceeded(RenderError):  # noqa: N818 - reads as what happened
    """A template that would use too much memory or time."""

    def __init__(self, message: str) -> None:
        super().__init__("limit", message)


class Absent(Undefined):
    """Stands for a fact that is missing: false, without attributes, and an error when shown or counted with."""

    __slots__ = ()

    def _fail_with_undefined_error(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise MissingField(str(self._undefined_name))

    def __str__(self) -> str:  # noqa: PLE0307 - it never returns
        self._fail_with_undefined_error()

    def __iter__(self) -> Iterator[Any]:
        self._fail_with_undefined_error()

    def __len__(self) -> int:  # noqa: PLE0303 - it never returns
        self._fail_with_undefined_error()

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, Absent)

    def __hash__(self) -> int:
        return id(type(self))

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _fail_with_undefined_error
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _fail_with_undefined_error
    __pos__ = __neg__ = __call__ = __getitem__ = _fail_with_undefined_error
    __lt__ = __le__ = __gt__ = __ge__ = __int__ = __float__ = __pow__ = __rpow__ = _fail_with_undefined_error


_LOOP_PARTS: Final = frozenset(
    ["index", "index0", "first", "last", "length", "revindex", "revindex0", "previtem", "nextitem", "cycle", "changed"]
)
_DATE_PARTS: Final = frozenset(["year", "month", "day", "hour", "minute"])
FUNCTIONS: Final = frozenset({"link", "allows", "asset", "range"})
"""What templates may call; each message brings its own."""
LOOP_CALLS: Final = frozenset({"cycle", "changed"})


def dotted(node: nodes.Node) -> str:
    """`booking.data.room` of the node that reads it; `…` for what is calculated on the way."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{dotted(node.node)}.{node.attr}"
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return f"{dotted(node.node)}.{node.arg.value}"
    return "…"


class _Generator(CodeGenerator):
    """Writes attribute access with the whole path, known now, so that an error can name it at no cost later."""

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:  # noqa: N802 - named by Jinja
        self.write("environment.reach(")
        self.visit(node.node, frame)
        self.write(f", {node.attr!r}, {dotted(node)!r})")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:  # noqa: N802 - named by Jinja
        self.write("environment.pick(")
        self.visit(node.node, frame)
        self.write(", ")
        if isinstance(node.arg, nodes.Slice):
            self.write("slice(")
            for part in (node.arg.start, node.arg.stop, node.arg.step):
                if part is None:
                    self.write("None, ")
                else:
                    self.visit(part, frame)
                    self.write(", ")
            self.write(")")
        else:
            self.visit(node.arg, frame)
        self.write(f", {dotted(node)!r})")

    def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:  # noqa: N802 - Jinja's
        """Our own functions are called straight: they are known to be safe, and links are most of a mail's marks."""
        if not isinstance(node.node, nodes.Name) or node.node.name not in FUNCTIONS:
            super().visit_Call(node, frame, forward_caller)
            return
        self.write(f"context.parent[{node.node.name!r}](")
        for part in node.args:
            self.visit(part, frame)
            self.write(", ")
        self.write(")")

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - named by Jinja
        self.write("environment.tie((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class Sandbox(ImmutableSandboxedEnvironment):
    """One of two: `HTML` escapes what it shows, `PLAIN` does not. There is no way to choose per template."""

    code_generator_class = _Generator
    intercepted_binops = frozenset({"+", "*", "**", "%", "//", "/"})

    def __init__(self, *, escaping: bool) -> None:
        super().__init__(
            autoescape=escaping, undefined=Absent, finalize=_shown, optimized=False, keep_trailing_newline=True,
            cache_size=0,
        )  # fmt: skip
        self.escaping = escaping
        self.globals.clear()
        builtin = dict(self.filters)
        self.filters.clear()
        self.filters.update({name: builtin[name] for name in _BUILTIN_FILTERS})
        self.filters.update(_OWN_FILTERS)
        self.filters.update({name: _bound(function) for name, function in formats.FILTERS.items()})
        for name in set(self.tests) - _TESTS:
            del self.tests[name]
        self.tests["none"] = lambda value: value is None or isinstance(value, Undefined)

    def reach(self, obj: Any, name: str, path: str) -> Any:
        """`obj.name`. Facts are plain dicts; of other things only what is listed can be seen."""
        if obj.__class__ is dict:
            value = obj.get(name)
            return Absent(name=path) if value is None else value
        if isinstance(obj, Undefined) or obj is None:
            return Absent(name=path)
        if isinstance(obj, LoopContext) and name in _LOOP_PARTS:
            return getattr(obj, name)
        if isinstance(obj, date) and name in _DATE_PARTS and hasattr(obj, name):
            return getattr(obj, name)
        if isinstance(obj, timedelta) and name == "days":
            return obj.days
        if isinstance(obj, filters._GroupTuple) and name in {"grouper", "list"}:
            return getattr(obj, name)
        if isinstance(obj, Mapping):
            value = obj.get(name)
            return Absent(name=path) if value is None else value
        return Absent(name=path)

    def pick(self, obj: Any, key: Any, path: str) -> Any:
        """`obj[key]`."""
        if isinstance(key, str):
            return self.reach(obj, key, path)
        if isinstance(obj, str | list | tuple) and isinstance(key, int | slice):
            try:
                return obj[key]
            except IndexError:
                return Absent(name=path)
        return Absent(name=path)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """As `pick`; Jinja's own filters (`map`, `sort`, `groupby`) come this way."""
        return self.pick(obj, argument, str(argument))

    def getattr(self, obj: Any, attribute: str) -> Any:
        """As `reach`."""
        return self.reach(obj, attribute, attribute)

    def tie(self, parts: Sequence[Any]) -> str:
        """`a ~ b`, with an end to its length."""
        words = [part if isinstance(part, str) else str(_shown(part)) for part in parts]
        if sum(map(len, words)) > MAX_TEXT:
            raise LimitExceeded("`~` makes a text that is too long")
        if self.escaping and any(isinstance(word, Markup) for word in words):
            return Markup("").join(words)
        return "".join(words)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """`+ * ** % / //`, for numbers and short texts only."""
        if isinstance(left, Absent) or isinstance(right, Absent):
            raise MissingField(str((left if isinstance(left, Absent) else right)._undefined_name))
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return self.tie((left, right))
        if operator == "+" and isinstance(left, date | timedelta) and isinstance(right, date | timedelta):
            return left + right  # type: ignore[operator]
        if not numbers or abs(left) > MAX_NUMBER or abs(right) > MAX_NUMBER:
            raise LimitExceeded(f"`{operator}` takes two numbers of ordinary size")
        if operator == "**" and abs(right) > MAX_FACTOR:
            raise LimitExceeded("the power is too large")
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, complex) or abs(result) > MAX_NUMBER:
            raise LimitExceeded(f"`{operator}` gives a number that is too large")
        return result

    def is_safe_callable(self, obj: Any) -> bool:
        """The loop's own functions; ours are called straight."""
        return isinstance(getattr(obj, "__self__", None), LoopContext) and obj.__name__ in LOOP_CALLS

    @staticmethod
    def concat(parts: Iterable[str]) -> str:
        """Join what a template gives, with an end to its length."""
        pieces = list(parts)
        if sum(map(len, pieces)) > MAX_OUTPUT:
            raise LimitExceeded("the message is too long")
        return "".join(pieces)


def _shown(value: Any) -> Any:
    """What is about to be shown: never a container, which could be endless once written out."""
    if value.__class__ in _PLAINLY_SHOWN:
        return value
    if value is None:
        raise MissingField("a value")
    if isinstance(value, dict | list | tuple | set | frozenset) or not isinstance(value, _SHOWABLE):
        if isinstance(value, Undefined):
            str(value)
        raise RenderError("not_a_value", f"a {type(value).__name__} cannot be shown; choose one of its parts")
    return value


_PLAINLY_SHOWN: Final = frozenset({str, int, float, Markup})
_SHOWABLE: Final = (str, int, float, date, datetime)


def limited_range(*args: int) -> range:
    """`range`, of ordinary length."""
    numbers = range(*args)
    if len(numbers) > MAX_LOOP:
        raise LimitExceeded("the range is too long")
    return numbers


def _bound(function: Callable[..., str]) -> Callable[..., str]:
    """A filter of formats.py, given the reader of the message being rendered."""

    @pass_context
    def bound(context: Context, value: Any, *args: Any, **kwargs: Any) -> str:
        if isinstance(value, Undefined):
            str(value)
        try:
            return function(context.parent["_reader"], value, *args, **kwargs)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise RenderError("bad_value", f"{function.__name__}: {value!r:.40} cannot be shown so") from error

    bound.__name__ = function.__name__
    return bound


@pass_context
def _counted(context: Context, items: Any) -> list[Any]:
    """Every loop runs over this: a list, counted against the message's budget."""
    budget: list[int] = context.parent["_budget"]
    taken: list[Any] = []
    for item in items:
        taken.append(item)
        if len(taken) > MAX_LOOP:
            raise LimitExceeded("a loop has too many items")
    budget[0] -= len(taken)
    if budget[0] < 0:
        raise LimitExceeded("the loops have too many steps")
    return taken


def _fallback(value: Any, words: str) -> Any:
    """The declared fallback where the fact is missing or empty."""
    return words if value is None or value == "" or isinstance(value, Undefined) else value


def _join(value: Iterable[Any], d: str = "", attribute: str | None = None) -> str:
    items = list(value)
    if attribute is not None:
        items = [_part(item, attribute) for item in items]
    shown = [item if isinstance(item, str) else str(_shown(item)) for item in items]
    glue = str(d)
    if sum(map(len, shown)) + len(glue) * len(shown) > MAX_TEXT:
        raise LimitExceeded("join makes a text that is too long")
    if any(isinstance(item, Markup) for item in shown):
        return Markup("").join([escape(glue) if index % 2 else escape(item) for index, item in _woven(shown, glue)])
    return glue.join(shown)


def _woven(items: list[str], glue: str) -> Iterator[tuple[int, str]]:
    for index, item in enumerate(items):
        if index:
            yield index * 2 - 1, glue
        yield index * 2, item


def _part(item: Any, attribute: str) -> Any:
    for name in attribute.split("."):
        item = HTML.reach(item, name, attribute)
    return item


def _replace(value: Any, old: str, new: str) -> str:
    text = str(value)
    if len(text) + text.count(old) * len(new) > MAX_TEXT:
        raise LimitExceeded("replace makes a text that is too long")
    return text.replace(old, new)


def _string(value: Any) -> str:
    return value if isinstance(value, str) else str(_shown(value))


def _sum(value: Iterable[Any], attribute: str | None = None) -> int | float:
    items = [_part(item, attribute) if attribute else item for item in value]
    total: int | float = 0
    for item in items:
        if isinstance(item, Undefined):
            str(item)
        if not isinstance(item, int | float):
            raise RenderError("bad_value", "sum takes numbers")
        total += item
    return total


def _batch(value: Iterable[Any], size: int) -> list[list[Any]]:
    items, step = list(value), max(1, min(int(size), 100))
    return [items[start : start + step] for start in range(0, len(items), step)]


def _url_part(value: Any) -> str:
    return formats.url_part(_string(value))


def _phone_part(value: Any) -> str:
    return formats.phone_part(_string(value))


_BUILTIN_FILTERS: Final = frozenset(
    [
        "abs",
        "capitalize",
        "count",
        "d",
        "default",
        "dictsort",
        "e",
        "escape",
        "first",
        "float",
        "groupby",
        "int",
        "items",
        "last",
        "length",
        "list",
        "lower",
        "map",
        "max",
        "min",
        "reject",
        "rejectattr",
        "reverse",
        "round",
        "select",
        "selectattr",
        "sort",
        "striptags",
        "title",
        "trim",
        "truncate",
        "unique",
        "upper",
        "urlencode",
    ]
)
_OWN_FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "join": _join, "replace": _replace, "string": _string, "sum": _sum, "batch": _batch,
    "_counted": _counted, "_fallback": _fallback, "_url_part": _url_part, "_phone_part": _phone_part,
}  # fmt: skip
_TESTS: Final = frozenset(
    [
        "boolean",
        "defined",
        "divisibleby",
        "eq",
        "equalto",
        "even",
        "false",
        "float",
        "ge",
        "gt",
        "greaterthan",
        "in",
        "integer",
        "iterable",
        "le",
        "lessthan",
        "lower",
        "lt",
        "mapping",
        "ne",
        "none",
        "number",
        "odd",
        "string",
        "true",
        "undefined",
        "upper",
        "==",
        "!=",
        ">",
        ">=",
        "<",
        "<=",
    ]
)

HTML: Final = Sandbox(escaping=True)
"""For the HTML part: what a fact says is escaped."""
PLAIN: Final = Sandbox(escaping=False)
"""For subject, preheader and text part."""

FILTERS: Final = tuple(sorted(name for name in HTML.filters if not name.startswith("_")))
"""What a template may use, by name."""

__all__ = [
    "FILTERS", "HTML", "PLAIN", "Absent", "LimitExceeded", "MissingField", "RenderError", "Sandbox", "TemplateError",
]  # fmt: skip
