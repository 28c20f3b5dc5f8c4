"""Invitations to review: R40 no score decides; R41 no reward beside; R42 not after day 25; R43 one reminder at most."""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.journey.checking.ground import Ground
from app.journey.checking.steps import Sent
from app.journey.condition_tree import fields
from app.journey.durations import Duration
from app.journey.model_steps import Moment, Send

_SCORE = re.compile(r"(^|[._])(score|rating|stars|nps|csat|sentiment|satisfaction|complaints?|residue)([._]|$)")
_REVIEW_DAYS = 25


def check(ground: Ground, sends: Sequence[Sent]) -> None:
    """The four rules, where the workflow invites to review at all."""
    reviews = [sent for sent in sends if _is_review(ground, sent.step)]
    if not reviews:
        return
    invitations = 0
    for sent in reviews:
        scored = sorted(field for condition in sent.above for field in fields(condition) if _SCORE.search(field))
        if scored:
            message = f"the invitation to review hangs on {scored[0]} (R40)"
            ground.add((*sent.path, "send"), "review-score", message, "invite everyone, whatever they thought")
        if not _in_review_time(sent.step.latest):
            message = "an invitation to review needs a last day, 25 days after departure or earlier (R42)"
            cure = "add latest: { until: booking.departure, offset: 25 days }"
            ground.add(sent.path, "review-latest", message, cure)
        if invitations <= 2 < invitations + sent.times:
            message = "one invitation and one reminder are the most (R43)"
            ground.add((*sent.path, "send"), "review-reminders", message, "remove it, or lower max: of the repeat")
        invitations += sent.times
    for sent in sends:
        if (sent.step.class_ or ground.workflow.class_) == "marketing":
            message = "no offer stands beside an invitation to review (R41)"
            ground.add((*sent.path, "send"), "review-reward", message, "move it to a workflow of its own")


def _is_review(ground: Ground, step: Send) -> bool:
    template = (ground.known.templates or {}).get(step.send)
    if template is not None:
        return template.review_request
    return (step.class_ or ground.workflow.class_) == "feedback" and "review" in step.send


def _in_review_time(latest: Moment | None) -> bool:
    if latest is None or latest.until != "booking.departure":
        return False
    offset = latest.offset or Duration()
    return not offset.months and not offset.business and offset.days + offset.seconds / 86_400 <= _REVIEW_DAYS
