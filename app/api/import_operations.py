"""What the API offers about lists; part of `operations`. The schemas of its answers stand below."""

from __future__ import annotations

from typing import Any

from app.api.operation import IDEMPOTENCY_KEY, PAGE, Operation, Schema, in_path, page_of, query, ref
from app.imports.models import STATES, VERDICTS

_NUMBER = in_path("number", "Number of the import.", "7")

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="get",
        path="/imports",
        name="get_imports",
        summary="The imports",
        about="Newest first, those of the studio and of the command line too.",
        scope="imports:read",
        status=200,
        answer=page_of("Import"),
        parameters=PAGE,
        problems=("invalid",),
    ),
    Operation(
        method="post",
        path="/imports",
        name="post_import",
        summary="Hand a list in and begin its dry run",
        about=(
            "`file` is the list (CSV, or a workbook), `mapping` JSON that says what its columns mean where that is not "
            "to be guessed, or remembered from a file of the same header. Nothing counts yet: the same code goes over "
            "every row, writes nothing, and says what would come of each. Ask for the import until its `state` is "
            "`checked`. A file may have 64 MB (workbooks 20), 500,000 rows and 300 columns."
        ),
        scope="imports:write",
        status=202,
        answer=ref("ImportTold"),
        parameters=(IDEMPOTENCY_KEY,),
        body={
            "type": "object",
            "required": ["file"],
            "properties": {
                "file": {"type": "string", "format": "binary"},
                "mapping": {"type": "string", "description": "JSON, as MappingIn describes."},
            },
        },
        body_type="multipart/form-data",
        problems=("malformed", "too-large", "unsupported-media-type", "invalid"),
        curl="""-F file=@list.csv -F 'mapping={"columns": {"Opt in": "consent:email:marketing/newsletter"}}'""",
    ),
    Operation(
        method="get",
        path="/imports/{number}",
        name="get_import",
        summary="One import",
        about=(
            "`verdicts` and `permissions` count the rows of the dry run until it is confirmed, then those taken in. "
            "`people` is the number that confirming it asks for; `notes` say what was left out and its cure."
        ),
        scope="imports:read",
        status=200,
        answer=ref("ImportTold"),
        parameters=(_NUMBER,),
        problems=("not-found", "invalid"),
    ),
    Operation(
        method="get",
        path="/imports/{number}/rows",
        name="get_import_rows",
        summary="Its rows with their verdicts",
        about="In the order of the file, by their line in it. They are kept as long as the import can be undone.",
        scope="imports:read",
        status=200,
        answer=page_of("ImportRow"),
        parameters=(_NUMBER, query("verdict", "Only these.", type="string", enum=list(VERDICTS)), *PAGE),
        problems=("not-found", "invalid"),
    ),
    Operation(
        method="post",
        path="/imports/{number}/confirm",
        name="post_import_confirm",
        summary="Take a list in",
        about="`people` is the number that the dry run came to: so nobody takes in ten thousand in error for ten.",
        scope="imports:write",
        status=202,
        answer=ref("ImportTold"),
        parameters=(_NUMBER, IDEMPOTENCY_KEY),
        body=ref("ConfirmIn"),
        problems=("not-found", "malformed", "too-large", "unsupported-media-type", "invalid"),
        curl="""-d '{"people": 1204}'""",
    ),
    Operation(
        method="post",
        path="/imports/{number}/undo",
        name="post_import_undo",
        summary="Take a list back",
        about=(
            "For 30 days. Who came only with it and has done nothing since goes; changed fields are what they were; "
            "permissions end by a new line of the ledger; a no stays. `undone` counts it."
        ),
        scope="imports:write",
        status=202,
        answer=ref("ImportTold"),
        parameters=(_NUMBER, IDEMPOTENCY_KEY),
        problems=("not-found", "invalid"),
    ),
)

_COUNT: Schema = {"type": "integer", "minimum": 0}
_COUNTS: Schema = {"type": "object", "additionalProperties": _COUNT}
_TEXT: Schema = {"type": "string"}
_MAYBE: Schema = {"type": ["string", "null"]}
_INSTANT: Schema = {"type": "string", "format": "date-time"}


def schemas() -> dict[str, Any]:
    """By name."""
    one: Schema = {
        "number": {"type": "integer"},
        "file": _TEXT,
        "state": {"enum": list(STATES)},
        "rows": _COUNT,
        "done": {**_COUNT, "description": "How many rows of the present pass are behind it."},
        "columns": {"type": "object", "additionalProperties": _TEXT, "description": "Title: what it means."},
        "people": {**_COUNT, "description": "People the dry run came to."},
        "verdicts": _COUNTS,
        "permissions": _COUNTS,
        "undone": _COUNTS,
        "created_at": _INSTANT,
        "created_by": _TEXT,
        "can_be_undone_until": {"anyOf": [_INSTANT, {"type": "null"}]},
    }
    note: Schema = {"code": _TEXT, "detail": _TEXT, "cure": _TEXT}
    row: Schema = {
        "line": {**_COUNT, "description": "Its line in the file."},
        "verdict": _MAYBE,
        "permission": _MAYBE,
        "notes": {"type": "array", "items": _of({**note, "column": _MAYBE})},
    }
    notes: Schema = {"type": "array", "items": _of({**note, "rows": _COUNT})}
    return {"Import": _of(one), "ImportTold": _of({**one, "notes": notes}), "ImportRow": _of(row)}


def _of(properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}
