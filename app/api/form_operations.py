"""What the API offers to sites with a form of their own, and what its answers and bodies hold. Data."""

from __future__ import annotations

from typing import Any

from app.api.operation import TEXT, Operation, Schema, in_path, ref
from app.signup.document import LANGUAGES, PURPOSES
from app.signup.receiving import AGES, LONGEST_NAME, TRAP

LONGEST = 4000
"""Letters that a text of a submission may have."""

_PUBLIC_ID = in_path("public_id", "What the form's address ends in.", "k7m2p9x4w3ta")
_BODY: dict[str, Any] = {
    "email": "giulia@example.com",
    "language": "it",
    "notice": True,
    "newsletter": "yes",
    "version": 1,
    "page": "https://www.example.com/newsletter",
}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="get",
        path="/forms/{public_id}",
        name="get_form",
        summary="What a sign-up form says and asks",
        about=(
            "For drawing it in a site's own design: its words in every language, its topics, what else it asks for. "
            "Show the three choices (notice read, yes, no) apart from one another, and tick none of them beforehand."
        ),
        scope=None,
        status=200,
        answer=ref("Form"),
        parameters=(_PUBLIC_ID,),
        problems=("not-found", "invalid"),
    ),
    Operation(
        method="get",
        path="/forms/{public_id}/challenge",
        name="get_form_challenge",
        summary="A task for the visitor's browser",
        about=(
            "ALTCHA's PBKDF2/SHA-256; the solution goes into `altcha`. Good for one submission of this form and for 20 "
            "minutes. Without it fewer sign-ups an hour are taken from one place."
        ),
        scope=None,
        status=200,
        answer=ref("FormChallenge"),
        parameters=(_PUBLIC_ID,),
        problems=("not-found", "invalid"),
    ),
    Operation(
        method="post",
        path="/forms/{public_id}/submissions",
        name="post_form_submission",
        summary="Send what was filled in",
        about=(
            "Answered alike, whoever the address belongs to. A yes counts once the person has pressed the button of "
            "the mail that goes out; a no counts at once and holds for 180 days."
        ),
        scope=None,
        status=202,
        answer=ref("FormTaken"),
        parameters=(_PUBLIC_ID,),
        body=ref("FormEntry"),
        body_example=_BODY,
        answer_example={"status": "accepted"},
        problems=("malformed", "not-found", "too-large", "unsupported-media-type", "invalid", "rate-limited"),
        curl="-d @submission.json",
    ),
)


def schemas() -> Schema:
    """What the operations' bodies and answers refer to."""
    text = {"type": "string", "maxLength": LONGEST}
    texts = {"type": "object", "additionalProperties": {"type": "string"}}
    names = {"type": "array", "items": {"type": "string"}}
    form: Schema = {
        "id": {"type": "string"},
        "version": {"type": "integer", "description": "Of the words; send it with the submission."},
        "topics": {
            "type": "array",
            "description": "What a yes to the newsletter is about; with several, people choose among them.",
            "items": {"type": "object", "required": ["name", "title"], "properties": {"name": TEXT, "title": texts}},
        },
        "purposes": {
            "type": "array",
            "description": "What it asks for besides, each by a box of its own.",
            "items": {"enum": list(PURPOSES)},
        },
        "first_name": {"type": "boolean", "description": "Whether it asks for one."},
        "age": {"type": "boolean", "description": "Whether it asks who signs up (`age`, `guardian`)."},
        "texts": {
            "type": "object",
            "description": "Language → name → words; each of `purposes` has its own.",
            "required": list(LANGUAGES),
            "additionalProperties": texts,
        },
    }
    entry: Schema = {
        "email": {**text, "maxLength": 320, "description": "Of who signs up; for a child the parent's."},
        "notice": {"const": True, "description": "The box beside the notice was ticked."},
        "newsletter": {"enum": ["yes", "no"], "description": "As the person chose."},
        "version": {
            "type": "integer",
            "minimum": 1,
            "maximum": 10**9 - 1,
            "description": "Which words were shown: the ledger names them.",
        },
        "topics": {**names, "description": "Names of those ticked, where the form has several."},
        "purposes": {**names, "description": "Names of those ticked."},
        "language": {"enum": list(LANGUAGES), "description": "What the words were read in."},
        "first_name": {**text, "description": f"At most {LONGEST_NAME} letters."},
        "age": {"enum": list(AGES), "description": "Where the form asks who signs up and something was agreed to."},
        "guardian": {**text, "description": f"With `child`: the parent's name, at most {LONGEST_NAME} letters."},
        "page": {**text, "description": "Where it was filled in; kept as proof."},
        "altcha": {**text, "description": "The proof of work: base64 of `{challenge, solution}`."},
        TRAP: {**text, "description": "What stands in a field that people do not see."},
    }
    needed = ["email", "notice", "newsletter", "version"]
    parts = {"parameters": {"type": "object"}, "signature": {"type": "string"}}
    return {
        "Form": {"type": "object", "required": list(form), "properties": form},
        "FormChallenge": {"type": "object", "required": list(parts), "properties": parts},
        "FormEntry": {"type": "object", "required": needed, "properties": entry},
        "FormTaken": {"type": "object", "required": ["status"], "properties": {"status": {"const": "accepted"}}},
    }
