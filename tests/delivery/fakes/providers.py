"""What each provider expects and answers, by its documentation: the same pages as in `app/delivery/providers`."""

from __future__ import annotations

import base64
import email
import email.policy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.delivery.fakes.server import Asked, Said, say


@dataclass(frozen=True)
class Provider:
    """A provider as a fake plays it."""

    credentials: Mapping[str, str]
    headers: Mapping[str, str]
    """What must stand in the request."""
    path: str
    mails: Callable[[Asked], Sequence[Mapping[str, Any]]]
    """The mails of a request: subject, to, sender, reply, html, text, headers (lower case), ours (the metadata), files
    ((name, type, content); the type None where the provider goes by the name)."""
    took: Callable[[Asked], Said]
    ids: Callable[[int], str]
    """The provider's id of the mail with this number (from 0) of a request."""
    bad_reader: Said
    bad_account: Said
    options: Mapping[str, str]


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def of_mime(raw: bytes, to: str, ours: str) -> dict[str, Any]:
    read = email.message_from_bytes(raw, policy=email.policy.default)
    parts = {part.get_content_type(): part for part in read.walk()}
    files = [
        (str(part.get_filename()), part.get_content_type(), part.get_payload(decode=True))
        for part in read.iter_attachments()
    ]
    return {
        "subject": read["Subject"],
        "to": to,
        "sender": read["From"].addresses[0].addr_spec,
        "html": parts["text/html"].get_content(),
        "text": parts["text/plain"].get_content(),
        "headers": {name.lower(): str(value) for name, value in read.items()},
        "ours": ours,
        "raw": raw,
        "files": files,
    }


def files_of(given: Any, name: str, type_: str | None, content: str) -> list[tuple[str, str | None, bytes]]:
    """Attachments under the names that a provider gives them; an empty list is refused by some, so there is none."""
    assert given is None or given
    allowed = {name, type_, content, "disposition"}
    assert all(set(one) <= allowed for one in given or ())
    return [(one[name], one[type_] if type_ else None, base64.b64decode(one[content])) for one in given or ()]


def tag(value: str) -> str:
    return f"<{base64.urlsafe_b64decode(value + '=' * (-len(value) % 4)).decode()}>"


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def address_of(text: str) -> str:
    return text.rpartition("<")[2].rstrip(">")


def of_ses(asked: Asked) -> list[dict[str, Any]]:
    sent = asked.json
    tags = {one["Name"]: one["Value"] for one in sent["EmailTags"]}
    (to,) = sent["Destination"]["ToAddresses"]
    return [of_mime(base64.b64decode(sent["Content"]["Raw"]["Data"]), to, tag(tags["percorso_message"]))]


def of_mailgun(asked: Asked) -> list[dict[str, Any]]:
    head = f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode()
    form = email.message_from_bytes(head + asked.body, policy=email.policy.HTTP)
    fields = {part.get_param("name", header="content-disposition"): part for part in form.iter_parts()}
    assert fields["message"].get_filename()
    # The very bytes, as the standard library would not keep every space of them.
    start = asked.body.index(b"message/rfc822\r\n\r\n") + len(b"message/rfc822\r\n\r\n")
    boundary = str(form.get_boundary()).encode()
    raw = asked.body[start : asked.body.index(b"\r\n--" + boundary, start)]
    plain = {name: str(part.get_payload()) for name, part in fields.items() if name != "message"}
    assert plain["o:tracking"] == "no"
    return [of_mime(raw, plain["to"], plain["v:percorso_message"])]


def of_sparkpost(asked: Asked) -> list[dict[str, Any]]:
    sent = asked.json
    (one,) = sent["recipients"]
    assert sent["options"]["open_tracking"] is sent["options"]["click_tracking"] is False
    raw = sent["content"]["email_rfc822"].encode()
    return [of_mime(raw, one["address"]["email"], one["metadata"]["percorso_message"])]


def of_sendgrid(asked: Asked) -> list[dict[str, Any]]:
    sent = asked.json
    (one,) = sent["personalizations"]
    assert not any(part["enable"] for part in sent["tracking_settings"].values())
    assert [part["type"] for part in sent["content"]] == ["text/plain", "text/html"]
    forbidden = {"x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type"}
    forbidden |= {"to", "from", "subject", "reply-to", "cc", "bcc", "content-transfer-encoding"}
    assert not forbidden & set(lower(sent["headers"]))
    return [
        {
            "subject": sent["subject"],
            "to": one["to"][0]["email"],
            "sender": sent["from"]["email"],
            "html": sent["content"][1]["value"],
            "text": sent["content"][0]["value"],
            "headers": lower(sent["headers"]),
            "ours": one["custom_args"]["percorso_message"],
            "files": files_of(sent.get("attachments"), "filename", "type", "content"),
        }
    ]


def of_postmark(asked: Asked) -> list[dict[str, Any]]:
    found = []
    for sent in asked.json:
        headers = {one["Name"].lower(): one["Value"] for one in sent["Headers"]}
        assert (sent["TrackOpens"], sent["TrackLinks"], headers["x-pm-keepid"]) == (False, "None", "true")
        assert all(len(name) <= 20 and len(value) <= 80 for name, value in sent["Metadata"].items())
        found.append(
            {
                "subject": sent["Subject"],
                "to": address_of(sent["To"]),
                "sender": address_of(sent["From"]),
                "html": sent["HtmlBody"],
                "text": sent["TextBody"],
                "headers": headers,
                "ours": sent["Metadata"]["percorso_message"],
                "stream": sent["MessageStream"],
                "files": files_of(sent.get("Attachments"), "Name", "ContentType", "Content"),
            }
        )
    return found


def of_brevo(asked: Asked) -> list[dict[str, Any]]:
    sent = asked.json
    return [
        {
            "subject": sent["subject"],
            "to": sent["to"][0]["email"],
            "sender": sent["sender"]["email"],
            "html": sent["htmlContent"],
            "text": sent["textContent"],
            "headers": lower(sent["headers"]),
            "ours": json.loads(sent["headers"]["X-Mailin-custom"])["percorso_message"],
            "key": sent["headers"]["idempotencyKey"],
            "files": files_of(sent.get("attachment"), "name", None, "content"),
        }
    ]


def of_mailjet(asked: Asked) -> list[dict[str, Any]]:
    found = []
    for sent in asked.json["Messages"]:
        assert (sent["TrackOpens"], sent["TrackClicks"]) == ("disabled", "disabled")
        assert not {"message-id", "list-id", "date", "from", "to", "reply-to"} & set(lower(sent["Headers"]))
        assert json.loads(sent["EventPayload"])["percorso_message"] == sent["CustomID"]
        found.append(
            {
                "subject": sent["Subject"],
                "to": sent["To"][0]["Email"],
                "sender": sent["From"]["Email"],
                "html": sent["HTMLPart"],
                "text": sent["TextPart"],
                "headers": lower(sent["Headers"]),
                "ours": sent["CustomID"],
                "files": files_of(sent.get("Attachments"), "Filename", "ContentType", "Base64Content"),
            }
        )
    return found


def of_resend(asked: Asked) -> list[dict[str, Any]]:
    sent = asked.json
    tags = {one["name"]: one["value"] for one in sent["tags"]}
    assert all(value.replace("-", "_").isidentifier() or value.replace("-", "").isalnum() for value in tags.values())
    return [
        {
            "subject": sent["subject"],
            "to": address_of(sent["to"][0]),
            "sender": address_of(sent["from"]),
            "html": sent["html"],
            "text": sent["text"],
            "headers": lower(sent["headers"]),
            "ours": tag(tags["percorso_message"]),
            "key": asked.headers["idempotency-key"],
            "files": files_of(sent.get("attachments"), "filename", "content_type", "content"),
        }
    ]


def took_by_mailjet(asked: Asked) -> Said:
    return say(
        200,
        {
            "Messages": [
                {
                    "Status": "success",
                    "CustomID": sent["CustomID"],
                    "To": [{"Email": sent["To"][0]["Email"], "MessageUUID": "u", "MessageID": 700 + number}],
                }
                for number, sent in enumerate(asked.json["Messages"])
            ]
        },
    )


def took_by_postmark(asked: Asked) -> Said:
    answers = [
        {"ErrorCode": 0, "Message": "OK", "MessageID": f"pm-{number}", "To": one["To"], "SubmittedAt": "2026-03-10"}
        for number, one in enumerate(asked.json)
    ]
    return say(200, answers)


def each_postmark(code: int, message: str) -> Said:
    return say(200, [{"ErrorCode": code, "Message": message}])


PROVIDERS: dict[str, Provider] = {
    "amazon_ses": Provider(
        credentials={"key_id": "AKIAIOSFODNN7EXAMPLE", "secret": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"},
        headers={"content-type": "application/json"},
        path="/v2/email/outbound-emails",
        mails=of_ses,
        took=lambda _: say(200, {"MessageId": "ses-1"}),
        ids=lambda _: "ses-1",
        bad_reader=say(
            400,
            {"message": "Local address contains control or whitespace"},
            x_amzn_ErrorType="BadRequestException:http://internal.amazon.com/",
        ),
        bad_account=say(
            400,
            {"message": "Email address is not verified."},
            x_amzn_ErrorType="MessageRejected:http://internal.amazon.com/",
        ),
        options={"region": "eu-west-1", "configuration_set": "events"},
    ),
    "brevo": Provider(
        credentials={"key": "xkeysib-1"},
        headers={"api-key": "xkeysib-1", "content-type": "application/json"},
        path="/v3/smtp/email",
        mails=of_brevo,
        took=lambda _: say(201, {"messageId": "<1@smtp-relay.mailin.fr>"}),
        ids=lambda _: "<1@smtp-relay.mailin.fr>",
        bad_reader=say(400, {"code": "invalid_parameter", "message": "email is not valid in to"}),
        bad_account=say(400, {"code": "invalid_parameter", "message": "valid sender email required"}),
        options={},
    ),
    "mailgun": Provider(
        credentials={"key": "key-1"},
        headers={"authorization": basic("api", "key-1")},
        path="/v3/verbano.example/messages.mime",
        mails=of_mailgun,
        took=lambda _: say(200, {"id": "<a@verbano.example>", "message": "Queued. Thank you."}),
        ids=lambda _: "<a@verbano.example>",
        bad_reader=say(400, {"message": "'to' parameter is not a valid address. please check documentation"}),
        bad_account=say(400, {"message": "Domain verbano.example is not allowed to send: not verified"}),
        options={},
    ),
    "mailjet": Provider(
        credentials={"key": "public", "secret": "private"},
        headers={"authorization": basic("public", "private"), "content-type": "application/json"},
        path="/v3.1/send",
        mails=of_mailjet,
        took=took_by_mailjet,
        ids=lambda number: str(700 + number),
        bad_reader=say(
            400,
            {
                "Messages": [
                    {
                        "Status": "error",
                        "Errors": [
                            {
                                "ErrorCode": "mj-0013",
                                "StatusCode": 400,
                                "ErrorMessage": '"x" is an invalid email address.',
                                "ErrorRelatedTo": ["To[0].Email"],
                            }
                        ],
                    }
                ]
            },
        ),
        bad_account=say(
            400,
            {
                "Messages": [
                    {
                        "Status": "error",
                        "Errors": [
                            {
                                "ErrorCode": "send-0008",
                                "StatusCode": 403,
                                "ErrorMessage": "is not an authorized sender email address for your account.",
                                "ErrorRelatedTo": ["From"],
                            }
                        ],
                    }
                ]
            },
        ),
        options={},
    ),
    "postmark": Provider(
        credentials={"token": "server-token"},
        headers={"x-postmark-server-token": "server-token", "content-type": "application/json"},
        path="/email/batch",
        mails=of_postmark,
        took=took_by_postmark,
        ids=lambda number: f"pm-{number}",
        bad_reader=each_postmark(300, "Invalid 'To' address: 'x'."),
        bad_account=each_postmark(400, "The 'From' address you supplied is not a Sender Signature on your account."),
        options={},
    ),
    "resend": Provider(
        credentials={"key": "re_1"},
        headers={"authorization": "Bearer re_1", "content-type": "application/json"},
        path="/emails",
        mails=of_resend,
        took=lambda _: say(200, {"id": "49a3999c-0ce1"}),
        ids=lambda _: "49a3999c-0ce1",
        bad_reader=say(422, {"statusCode": 422, "name": "validation_error", "message": "Invalid `to` field."}),
        bad_account=say(403, {"statusCode": 403, "name": "validation_error", "message": "The domain is not verified."}),
        options={},
    ),
    "sendgrid": Provider(
        credentials={"key": "SG.1"},
        headers={"authorization": "Bearer SG.1", "content-type": "application/json"},
        path="/v3/mail/send",
        mails=of_sendgrid,
        took=lambda _: say(202, None, X_Message_Id="sg-1"),
        ids=lambda _: "sg-1",
        bad_reader=say(
            400,
            {"errors": [{"message": "Does not contain a valid address.", "field": "personalizations.0.to.0.email"}]},
        ),
        bad_account=say(
            403,
            {"errors": [{"message": "The from address matches no verified Sender Identity", "field": "from"}]},
        ),
        options={},
    ),
    "sparkpost": Provider(
        credentials={"key": "sp-1"},
        headers={"authorization": "sp-1", "content-type": "application/json"},
        path="/api/v1/transmissions",
        mails=of_sparkpost,
        took=lambda _: say(
            200, {"results": {"total_rejected_recipients": 0, "total_accepted_recipients": 1, "id": "sp-id"}}
        ),
        ids=lambda _: "sp-id",
        bad_reader=say(
            400,
            {"errors": [{"message": "invalid data format", "description": "recipient address", "code": "5002"}]},
        ),
        bad_account=say(
            400,
            {"errors": [{"message": "Invalid domain", "description": "Unconfigured Domain", "code": "7001"}]},
        ),
        options={},
    ),
}
