"""What the API offers about segments and broadcasts; part of `operations`."""

from __future__ import annotations

from app.api.operation import IDEMPOTENCY_KEY, PAGE, Operation, in_path, page_of, query, ref
from app.messages.models import BROADCAST_STATES

_SEGMENT = in_path("name", "Name of the segment.", "past-guests")
_BROADCAST = in_path("number", "Id of the broadcast.", "7")
_READ = ("malformed", "too-large", "unsupported-media-type", "invalid")
_LINES = {"all": ["contact.language == it", {"any": ["booking.nights >= 3", "contact.tags has vip"]}]}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="get",
        path="/segments",
        name="get_segments",
        summary="The segments",
        about="By name, those put away left out.",
        scope="segments:read",
        status=200,
        answer=page_of("Segment"),
        parameters=PAGE,
        problems=("invalid",),
    ),
    Operation(
        method="post",
        path="/segments",
        name="post_segment",
        summary="Make a segment",
        about=(
            "`rules` are lines as workflows write their conditions, in groups `all`, `any` and `none`: an object, or "
            "the YAML document as text. It is filled within seconds; `members` says how many are in it then. With "
            "`backfill` workflows are told of everybody who is in it at once."
        ),
        scope="segments:write",
        status=201,
        answer=ref("Segment"),
        parameters=(IDEMPOTENCY_KEY,),
        body=ref("SegmentIn"),
        body_example={"name": "italian-regulars", "title": {"en": "Italian regulars"}, "rules": _LINES},
        problems=_READ,
        curl="""-d '{"name": "italians", "title": {"en": "Italians"}, "rules": {"all": ["contact.language == it"]}}'""",
    ),
    Operation(
        method="get",
        path="/segments/{name}",
        name="get_segment",
        summary="One segment",
        about="What it asks, how many are in it, and since when that is known.",
        scope="segments:read",
        status=200,
        answer=ref("Segment"),
        parameters=(_SEGMENT,),
        problems=("not-found", "invalid"),
    ),
    Operation(
        method="get",
        path="/segments/{name}/members",
        name="get_members",
        summary="Who is in a segment",
        about="In the order in which the people became known here; `since` is when they came in.",
        scope="segments:read",
        status=200,
        answer=page_of("Member"),
        parameters=(_SEGMENT, *PAGE),
        problems=("not-found", "invalid"),
    ),
    Operation(
        method="post",
        path="/segment-counts",
        name="post_segment_count",
        summary="Count what rules would find",
        about=(
            "Now, without making a segment. `unknown` are people of whom it cannot be known, such as clicks of who is "
            "not tracked. A count that takes longer than two seconds is given up with `unavailable`."
        ),
        scope="segments:read",
        status=200,
        answer=ref("SegmentCount"),
        body=ref("CountIn"),
        body_example={"rules": _LINES},
        problems=_READ,
        curl="""-d '{"rules": {"all": ["contact.language == it"]}}'""",
    ),
    Operation(
        method="get",
        path="/broadcasts",
        name="get_broadcasts",
        summary="The broadcasts",
        about="Newest first.",
        scope="broadcasts:read",
        status=200,
        answer=page_of("Broadcast"),
        parameters=(
            query("state", "Where it stands.", type="string", enum=list(BROADCAST_STATES)),
            *PAGE,
        ),
        problems=("invalid",),
    ),
    Operation(
        method="post",
        path="/broadcasts",
        name="post_broadcast",
        summary="Write a broadcast",
        about=(
            "A draft: nothing goes out before it has been counted and scheduled. One template to one segment (or to "
            "everybody), `now`, `at` an instant, or `local` at a `time` of each person's own `day`."
        ),
        scope="broadcasts:write",
        status=201,
        answer=ref("Broadcast"),
        parameters=(IDEMPOTENCY_KEY,),
        body=ref("BroadcastIn"),
        problems=_READ,
        curl="""-d '{"name": "May", "template": "room-upgrade", "segment": "past-guests"}'""",
    ),
    Operation(
        method="get",
        path="/broadcasts/{number}",
        name="get_broadcast",
        summary="One broadcast",
        about="`count` is the last count of who would get it, `results` what has become of its messages.",
        scope="broadcasts:read",
        status=200,
        answer=ref("BroadcastTold"),
        parameters=(_BROADCAST,),
        problems=("not-found", "invalid"),
    ),
    Operation(
        method="post",
        path="/broadcasts/{number}/count",
        name="post_broadcast_count",
        summary="Count who a draft would reach",
        about=(
            "With the rules that judge every message, for its hour; nothing is sent. Counts for two seconds at most: "
            "while `count.done` is false, ask again and it goes on."
        ),
        scope="broadcasts:write",
        status=200,
        answer=ref("BroadcastTold"),
        parameters=(_BROADCAST,),
        problems=("not-found", "invalid"),
    ),
    Operation(
        method="post",
        path="/broadcasts/{number}/schedule",
        name="post_broadcast_schedule",
        summary="Let a broadcast go at its hour",
        about=(
            "`people` is the number that counting it came to (`count.may` and `count.later` together): so nobody "
            "writes to a thousand in error for ten. One that goes `now` begins after ten seconds and can be cancelled "
            "until then. The segment is looked at when it begins, and every copy is judged again."
        ),
        scope="broadcasts:write",
        status=200,
        answer=ref("BroadcastTold"),
        parameters=(_BROADCAST, IDEMPOTENCY_KEY),
        body=ref("ScheduleIn"),
        problems=("not-found", *_READ),
        curl="""-d '{"people": 12}'""",
    ),
    Operation(
        method="post",
        path="/broadcasts/{number}/cancel",
        name="post_broadcast_cancel",
        summary="Cancel a broadcast",
        about="For good: nobody more is planned and what waits is called off. What has been handed over has gone.",
        scope="broadcasts:write",
        status=200,
        answer=ref("BroadcastTold"),
        parameters=(_BROADCAST, IDEMPOTENCY_KEY),
        problems=("not-found", "invalid"),
    ),
)
