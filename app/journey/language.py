"""A workflow document becomes a checked model; what is wrong is told with file, line, column and cure.

`read` is the only way in. YAML 1.2 by ruamel (comments and order stay for later edits of the same document), shape by
the models of `model`, meaning by `checks`.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent

from app.journey.checks import check
from app.journey.known import Known
from app.journey.model import Workflow
from app.journey.places import LanguageError, Places, Problem, depth, plain
from app.journey.telling import told

__all__ = ["LanguageError", "Problem", "Workflow", "load", "read"]

_LARGEST = 256_000
_DEEPEST = 100


def read(text: str, *, file: str, known: Known) -> Workflow:
    """The workflow in a document; raises LanguageError with every problem found."""
    root = load(text, file)
    places = Places(file, text, root)
    try:
        workflow = Workflow.model_validate(plain(root))
    except ValidationError as error:
        raise LanguageError([told(details, places) for details in error.errors()]) from None
    problems = check(workflow, known, places)
    if problems:
        raise LanguageError(problems)
    return workflow


def load(text: str, file: str) -> Any:
    """The document with comments, order and positions; raises LanguageError where it is no YAML mapping."""
    if len(text) > _LARGEST:
        raise LanguageError([Problem(file, 1, 1, "", "too-large", f"the file is larger than {_LARGEST} characters")])
    if _open_brackets(text) > _DEEPEST:
        # Before the parser sees it: its time grows with the square of such a depth.
        raise LanguageError([_too_deep(file)])
    try:
        if "*" in text:
            _refuse_aliases(text, file)
        root = YAML(typ="rt").load(text)
    except LanguageError:
        raise
    except RecursionError:
        raise LanguageError([_too_deep(file)]) from None
    except MarkedYAMLError as error:
        raise LanguageError([_unreadable(error, file)]) from None
    except (YAMLError, ValueError) as error:
        raise LanguageError([Problem(file, 1, 1, "", "yaml", str(error).splitlines()[0])]) from None
    if not isinstance(root, dict):
        message = "a workflow is a mapping of keys and values"
        raise LanguageError([Problem(file, 1, 1, "", "wrong-type", message, "start with workflow: its-name")])
    if depth(root) > _DEEPEST:
        raise LanguageError([_too_deep(file)])
    return root


def _open_brackets(text: str) -> int:
    """The most brackets open at one place, those in quotes and comments included."""
    found = accumulate((letter in "[{") - (letter in "]}") for letter in text if letter in "[]{}")
    return max(found, default=0)


def _too_deep(file: str) -> Problem:
    message = f"more than {_DEEPEST} levels lie in one another"
    return Problem(file, 1, 1, "", "too-deep", message, "split it into several workflows")


def _refuse_aliases(text: str, file: str) -> None:
    """Aliases make a step stand in two places with one id, and can swell a small file beyond all bounds."""
    for event in YAML(typ="rt").parse(text):
        if isinstance(event, AliasEvent):
            mark = event.start_mark
            message = "YAML aliases (*name) are not for workflows"
            raise LanguageError([Problem(file, mark.line + 1, mark.column + 1, "", "alias", message, "write it out")])


def _unreadable(error: MarkedYAMLError, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    message = (error.problem or "cannot be read as YAML").split("\n")[0]
    help_ = "put the whole condition in quotes where it holds [ ] or a colon" if "flow" in str(error.context) else ""
    if "duplicate key" in message:
        message, help_ = re.sub(r" with value.*| \(original.*", "", message), "keep one of them"
    return Problem(file, line, column, "", "yaml", message, help_)
