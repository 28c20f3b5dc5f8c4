"""What a step wants sent becomes a message to be planned: the one way from a passage to a row of messages."""

from __future__ import annotations

from datetime import datetime

from app.consent import behaviour
from app.enrollments.passages import Inside
from app.journey.condition_tree import DID
from app.journey.program import Program
from app.journey.state import Send
from app.messages.plan import Planned


def _reads(row: Inside, program: Program) -> list[str]:
    """What the workflow chose this person by that may tell of behaviour (R13). Clicks, and what its steps ask of
    segments, are not among it: from whoever has not agreed to profiling these are withheld when steps are taken."""
    began = {DID + str(row.event["type"])} if row.event.get("type") else set()
    asked = program.reads | began | {behaviour.SEGMENT + name for name in program.chosen_by}
    return [path for path in behaviour.among(asked) if not path.startswith("engagement.")]


def as_planned(row: Inside, send: Send, program: Program, now: datetime) -> Planned:
    """The message of one send effect, with its workflow's own terms; of several channels the gate chooses."""
    return Planned(
        contact_id=row.contact_id,
        enrollment_id=row.id,
        workflow_id=row.workflow_id,
        version_id=row.version_id,
        step_id=send.step_id,
        visit=send.visit,
        property_id=row.property_id,
        booking_id=row.booking_id,
        channel=send.channels[0],
        channels=send.channels,
        terms={
            "caps": program.caps,
            "quiet_hours": program.quiet_hours,
            "tracking": program.tracking,
            "sender": send.sender,
            "attachments": list(send.attachments) or None,
            "reads": (send.class_ == "marketing" and _reads(row, program)) or None,
        },
        template=send.template,
        class_=send.class_,
        topic=send.topic,
        priority=send.priority,
        due_at=now,
        latest=send.latest,
        passage=row.spoken,
    )
