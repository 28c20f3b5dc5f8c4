"""Workflows, their published versions, the passages of contacts through them, and why each went the way it went."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from app.db import IMPERSONAL, PERSONAL, Base, Instant, Json, JsonList, Owned, Plain, RowId
from app.sealed import SEALED


class Workflow(Owned, Base):
    """A workflow by its name; what runs is its live version."""

    __tablename__ = "workflows"

    id: Mapped[RowId]
    name: Mapped[Plain]
    """The id in its file, such as pre-arrival."""
    title: Mapped[Json] = mapped_column(JSONB, info=IMPERSONAL)
    phase: Mapped[Plain]
    sector: Mapped[Plain] = mapped_column(server_default="hotel")
    """The folder under workflows/."""
    status: Mapped[Plain]
    """draft, live, paused or archived."""
    draft: Mapped[Plain | None]
    """Source being edited, if it differs from the live version."""
    stories: Mapped[Plain | None]
    live_version_id: Mapped[int | None] = mapped_column(BigInteger)
    paused_at: Mapped[Instant | None]
    """When the last pause began; kept after it, with `resumed_at`, for what came due in between."""
    resumed_at: Mapped[Instant | None]
    resume_rule: Mapped[Plain | None]
    """late_rules, skip_next or exit: what is done about what came due in the pause (journey.carry.AfterPause)."""
    archived_at: Mapped[Instant | None]
    created_at: Mapped[Instant]
    updated_at: Mapped[Instant]

    __table_args__ = (UniqueConstraint("workspace_id", "name"),)


class WorkflowVersion(Owned, Base):
    """An immutable published version: source as written, program as compiled."""

    __tablename__ = "workflow_versions"

    id: Mapped[RowId]
    workflow_id: Mapped[int] = mapped_column(BigInteger)
    number: Mapped[int]
    source: Mapped[Plain]
    program: Mapped[Json] = mapped_column(JSONB, info=IMPERSONAL)
    published_at: Mapped[Instant]
    published_by: Mapped[Plain]
    note: Mapped[Plain] = mapped_column(server_default="")

    __table_args__ = (
        UniqueConstraint("workspace_id", "workflow_id", "number"),
        ForeignKeyConstraint(["workspace_id", "workflow_id"], ["workflows.workspace_id", "workflows.id"]),
    )


class WorkflowMove(Owned, Base):
    """People inside a workflow who are being taken to another version, or out of it, batch by batch.

    `reached` is the last passage dealt with: it moves in the transaction of its batch, so a killed worker costs a batch
    and nobody is moved twice.
    """

    __tablename__ = "workflow_moves"

    id: Mapped[RowId]
    workflow_id: Mapped[int] = mapped_column(BigInteger)
    version_id: Mapped[int] = mapped_column(BigInteger)
    """The version they go to; with choice exit the last one whose people leave."""
    choice: Mapped[Plain]
    """follow, map or exit."""
    mapping: Mapped[Json] = mapped_column(JSONB, server_default=text("'{}'"), info=IMPERSONAL)
    """Step id in an older version → step id in the new one, or null: they leave."""
    due_at: Mapped[Instant]
    """Not before this instant: an archive's exits wait until it can no longer be undone."""
    reached: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    moved: Mapped[int] = mapped_column(server_default=text("0"))
    ended: Mapped[int] = mapped_column(server_default=text("0"))
    stayed: Mapped[int] = mapped_column(server_default=text("0"))
    """Who could not be placed and is on their old version still."""
    created_at: Mapped[Instant]
    created_by: Mapped[Plain]
    finished_at: Mapped[Instant | None]

    __table_args__ = (
        ForeignKeyConstraint(["workspace_id", "workflow_id"], ["workflows.workspace_id", "workflows.id"]),
        Index("ix_workflow_moves_open", "workspace_id", "due_at", postgresql_where=text("finished_at IS NULL")),
    )


class Enrollment(Owned, Base):
    """One passage of one contact through one workflow, for one key."""

    __tablename__ = "enrollments"

    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)
    id: Mapped[RowId]
    workflow_id: Mapped[int] = mapped_column(BigInteger)
    version_id: Mapped[int] = mapped_column(BigInteger)
    key: Mapped[str] = mapped_column(info=PERSONAL)
    passage: Mapped[int]
    """1 for the first passage of this key, 2 for the next where re-entry is allowed."""
    booking_id: Mapped[int | None] = mapped_column(BigInteger)
    property_id: Mapped[int | None] = mapped_column(BigInteger)
    event_pk: Mapped[int | None] = mapped_column(BigInteger)
    event: Mapped[dict[str, Any]] = mapped_column(JSONB, info=PERSONAL)
    """The entry event as conditions and templates see it: {id, type, occurred_at, data...}."""
    status: Mapped[Plain]
    """active, finished or exited."""
    state: Mapped[Json] = mapped_column(JSONB, info=PERSONAL)
    """journey.advance.State as JSON."""
    step_id: Mapped[Plain | None]
    wake_at: Mapped[Instant | None]
    """When it is due next; None: only an event can move it."""
    waits_for: Mapped[list[str]] = mapped_column(ARRAY(TEXT), server_default=text("'{}'"), info=IMPERSONAL)
    entered_at: Mapped[Instant]
    ended_at: Mapped[Instant | None]
    end_reason: Mapped[Plain | None]
    outcome: Mapped[Plain | None]
    goal_at: Mapped[Instant | None]
    goal_value: Mapped[int | None] = mapped_column(BigInteger)
    goal_event: Mapped[str | None] = mapped_column(info=PERSONAL)
    """The id of the event that was its goal: one event that two passages share is counted once."""
    goal_booking: Mapped[str | None] = mapped_column(info=PERSONAL)
    """The reference of the booking or order that the goal is, which a cancellation takes back."""
    control: Mapped[Plain | None]
    """workflow: held out here as a control, never took a step; workspace: inside, but kept out of all marketing."""
    holdout: Mapped[Plain | None]
    """Which draw put the person there or let them in: percent here/percent of the workspace/its salt; None: no draw."""
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    error: Mapped[str | None] = mapped_column(info=PERSONAL)
    error_at: Mapped[Instant | None]

    __table_args__ = (
        UniqueConstraint("workspace_id", "contact_id", "workflow_id", "key", "passage"),
        ForeignKeyConstraint(["workspace_id", "contact_id"], ["contacts.workspace_id", "contacts.id"]),
        Index(
            "ix_enrollments_due",
            "workspace_id",
            "wake_at",
            postgresql_where=text("status = 'active' AND wake_at IS NOT NULL"),
        ),
        Index("ix_enrollments_place", "workspace_id", "workflow_id", "status", "step_id"),
        Index(
            "ix_enrollments_booking",
            "workspace_id",
            "booking_id",
            postgresql_where=text("booking_id IS NOT NULL AND status = 'active'"),
        ),
    )


class StepVisit(Owned, Base):
    """One decision of one passage: what was decided at which step, when, on which inputs."""

    __tablename__ = "step_visits"

    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)
    id: Mapped[RowId]
    enrollment_id: Mapped[int] = mapped_column(BigInteger)
    workflow_id: Mapped[int] = mapped_column(BigInteger)
    step_id: Mapped[Plain]
    code: Mapped[Plain]
    """entered, waiting, passed, sent, branch, set, late, skipped, exited, finished, moved ..."""
    detail: Mapped[Json] = mapped_column(JSONB, info=PERSONAL)
    """{sentence: {en, it}, inputs: {...}} as the core's trace says."""
    at: Mapped[Instant]

    __table_args__ = (
        Index("ix_step_visits_enrollment", "workspace_id", "enrollment_id"),
        Index("ix_step_visits_step", "workspace_id", "workflow_id", "step_id", "code"),
    )


class EntryRefusal(Owned, Base):
    """An event that a workflow listens to and that did not start it: why not."""

    __tablename__ = "entry_refusals"

    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)
    id: Mapped[RowId]
    workflow_id: Mapped[int] = mapped_column(BigInteger)
    version_id: Mapped[int] = mapped_column(BigInteger)
    event_pk: Mapped[int] = mapped_column(BigInteger)
    code: Mapped[Plain]
    detail: Mapped[Json] = mapped_column(JSONB, info=PERSONAL)
    at: Mapped[Instant]

    __table_args__ = (UniqueConstraint("workspace_id", "contact_id", "workflow_id", "event_pk"),)


class Task(Owned, Base):
    """Work for a person, asked for by a step; once for (enrollment, step, visit)."""

    __tablename__ = "tasks"

    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)
    id: Mapped[RowId]
    enrollment_id: Mapped[int] = mapped_column(BigInteger)
    workflow_id: Mapped[int] = mapped_column(BigInteger)
    step_id: Mapped[Plain]
    visit: Mapped[int]
    booking_id: Mapped[int | None] = mapped_column(BigInteger)
    property_id: Mapped[int | None] = mapped_column(BigInteger)
    team: Mapped[Plain]
    """Whose work it is, as the workflow's `to` says: front_desk ..."""
    what: Mapped[Json] = mapped_column(JSONB, info=PERSONAL)
    """What is to be done, in a line, by language."""
    due_at: Mapped[Instant | None]
    assigned_to: Mapped[int | None] = mapped_column(BigInteger)
    """The account it was given to."""
    created_at: Mapped[Instant]
    done_at: Mapped[Instant | None]
    done_by: Mapped[Plain | None]
    """Who said so: an account's name, or `api:` and the source's."""

    __table_args__ = (
        UniqueConstraint("workspace_id", "enrollment_id", "step_id", "visit"),
        Index("ix_tasks_id", "workspace_id", "id"),
        Index("ix_tasks_open", "workspace_id", "team", postgresql_where=text("done_at IS NULL")),
    )


class CallEndpoint(Owned, Base):
    """Where `webhook` steps call: an address of another house, by the name workflows use."""

    __tablename__ = "call_endpoints"

    id: Mapped[RowId]
    name: Mapped[Plain]
    url: Mapped[Plain]
    secrets: Mapped[JsonList] = mapped_column(JSONB, server_default=text("'[]'::jsonb"), info=SEALED)
    """At most two that sign: {secret (sealed), created_at, expires_at}."""
    headers: Mapped[Plain] = mapped_column(server_default="", info=SEALED)
    """Further headers as sealed JSON: they may hold a password of the other house."""
    shares: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whose it is uses what it is told for purposes of their own, and not as we say: nobody is named to it without a
    consent to `third_party_sharing` (R3)."""
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    stopped_reason: Mapped[Plain | None]
    """Why it is not active: `failing` where we gave up, `by_hand`."""
    failing_since: Mapped[Instant | None]
    last_at: Mapped[Instant | None]
    last_outcome: Mapped[Plain | None]
    """What came of the last try, in a word."""
    created_at: Mapped[Instant]

    __table_args__ = (UniqueConstraint("workspace_id", "name"),)


class Call(Owned, Base):
    """One call out that a step asked for: written with the step, made by the stage `calls`, tried again until taken."""

    __tablename__ = "calls"

    contact_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-1)
    id: Mapped[RowId]
    enrollment_id: Mapped[int | None] = mapped_column(BigInteger)
    """None: a trial call from the settings."""
    workflow_id: Mapped[int | None] = mapped_column(BigInteger)
    step_id: Mapped[Plain]
    visit: Mapped[int]
    endpoint: Mapped[Plain]
    """Its name; whether there is one is found out when the call is made."""
    payload: Mapped[Json] = mapped_column(JSONB, info=PERSONAL)
    shares: Mapped[bool] = mapped_column(server_default=text("false"))
    """The step says that the other side uses it for itself: asked as if its endpoint said so."""
    state: Mapped[Plain]
    """waiting, leased, done or failed."""
    next_at: Mapped[Instant | None]
    """waiting: the next try. leased: until when the worker that has it may be silent. None: at an end."""
    token: Mapped[Plain | None]
    """Of the lease: only its holder writes the outcome."""
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    tries: Mapped[JsonList] = mapped_column(JSONB, server_default=text("'[]'::jsonb"), info=PERSONAL)
    """What came of the last ten: {at, outcome, status, said, ms}. `unknown`: the worker was gone before the answer."""
    first_at: Mapped[Instant | None]
    created_at: Mapped[Instant]
    ended_at: Mapped[Instant | None]

    __table_args__ = (
        UniqueConstraint("workspace_id", "enrollment_id", "step_id", "visit"),
        Index("ix_calls_id", "workspace_id", "id"),
        Index("ix_calls_due", "workspace_id", "next_at", postgresql_where=text("next_at IS NOT NULL")),
    )


class OccasionMark(Owned, Base):
    """Up to when the dates or planned times of one entry of one workflow were looked at: nothing is fired twice, an
    outage loses nothing, and a new workflow does not fire for the past."""

    __tablename__ = "occasion_marks"

    workflow_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    rule: Mapped[Plain] = mapped_column(primary_key=True)
    """What the entry says, as text: a changed rule begins anew."""
    swept_until: Mapped[Instant]
    next_at: Mapped[Instant]
    """When it is to be looked at next."""
    after_id: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Within a sweep that is not finished: the contact up to whom it came."""
    sweeping: Mapped[Instant | None]
    """Within a sweep that is not finished: up to when it sweeps."""
    upcoming: Mapped[Instant | None]
    """Within a sweep that is not finished: the next occasion that it has come across."""


class Experiment(Owned, Base):
    """A split of a workflow as an experiment: when its rule looks next, and what was decided, once."""

    __tablename__ = "experiments"

    id: Mapped[RowId]
    workflow_id: Mapped[int] = mapped_column(BigInteger)
    step_id: Mapped[Plain]
    fingerprint: Mapped[Plain]
    """Of the variants' names and weights: versions that agree in it are one experiment, others another one."""
    created_at: Mapped[Instant]
    due_at: Mapped[Instant | None]
    """When the rule of the split looks next; None: it has none, or has looked."""
    looked_at: Mapped[Instant | None]
    """When the rule looked for good: it does so once."""
    winner: Mapped[Plain | None]
    """Where everybody goes who comes to the split from `decided_at` on."""
    decided_at: Mapped[Instant | None]
    decided_by: Mapped[Plain | None]
    """`rule`, or who chose."""
    figures: Mapped[Json | None] = mapped_column(JSONB, info=IMPERSONAL)
    """The counts, test and verdict at the moment of the look or of the choice."""

    __table_args__ = (
        UniqueConstraint("workspace_id", "workflow_id", "step_id", "fingerprint"),
        ForeignKeyConstraint(["workspace_id", "workflow_id"], ["workflows.workspace_id", "workflows.id"]),
        Index("ix_experiments_due", "workspace_id", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    )
