"""Guards the database keeps by itself: row-level security, an append-only ledger, immutable versions, partitions."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OWNED = (
    "memberships",
    "properties",
    "attribute_definitions",
    "contacts",
    "contact_aliases",
    "contact_merges",
    "bookings",
    "identity_locks",
    "sources",
    "api_keys",
    "event_keys",
    "event_conflicts",
    "events",
    "event_work",
    "workflows",
    "workflow_versions",
    "workflow_moves",
    "enrollments",
    "step_visits",
    "entry_refusals",
    "tasks",
    "call_endpoints",
    "calls",
    "occasion_marks",
    "experiments",
    "messages",
    "broadcasts",
    "broadcast_recipients",
    "property_facts",
    "attempts",
    "delivery_events",
    "captured_mails",
    "senders",
    "unmatched_reports",
    "templates",
    "template_versions",
    "topics",
    "consent_records",
    "suppressions",
    "consent_words",
    "segments",
    "segment_changes",
    "segment_members",
    "contact_changes",
)
# `current_setting` is read once a statement (sub-select), not once a row. No setting at all means no row at all.
IN_SCOPE = (
    "workspace_id = (SELECT nullif(nullif(current_setting('percorso.workspace', true), ''), '*')::bigint)"
    " OR (SELECT current_setting('percorso.workspace', true) = '*')"
)

# What segments rest on: a change of it puts the people concerned on `contact_changes`, once a statement, and only
# where a living segment of the workspace rests on that kind of thing. The instant is the row's own: the clock of the
# house may be moved, the server's may not be.
CHANGES = (
    ("contacts", "contact", "id", "updated_at", "INSERT UPDATE"),
    ("bookings", "booking", "contact_id", "updated_at", "INSERT UPDATE"),
    ("consent_words", "consent", "contact_id", "updated_at", "INSERT UPDATE"),
    ("delivery_events", "engagement", "contact_id", "received_at", "INSERT"),
    ("events", "event", "contact_id", "received_at", "INSERT"),
)
ISO_DAY = r"""
    CREATE FUNCTION iso_day(value text) RETURNS date LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
        SELECT CASE WHEN value ~ '^(19|2[0-9])[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$'
            AND substr(value, 9, 2)::int <= CASE
                WHEN substr(value, 6, 2) IN ('04', '06', '09', '11') THEN 30
                WHEN substr(value, 6, 2) <> '02' THEN 31
                WHEN substr(value, 1, 4)::int % 4 = 0
                    AND (substr(value, 1, 4)::int % 100 <> 0 OR substr(value, 1, 4)::int % 400 = 0) THEN 29
                ELSE 28 END
            THEN make_date(substr(value, 1, 4)::int, substr(value, 6, 2)::int, substr(value, 9, 2)::int) END
    $$
"""
ISO_INSTANT = r"""
    CREATE FUNCTION iso_instant(value text) RETURNS timestamptz LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
        SELECT CASE WHEN value ~ ('^.{10}[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{6}|\.[0-9]{3})?)?'
                || '(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?$') AND iso_day(left(value, 10)) IS NOT NULL
            THEN (iso_day(left(value, 10)) + make_time(substr(value, 12, 2)::int, substr(value, 15, 2)::int,
                    coalesce(substring(value FROM '^.{16}:([0-9]{2}(?:\.[0-9]+)?)'), '0')::double precision)
                - make_interval(mins => coalesce(substring(value FROM '([+-])[0-9]{2}:[0-9]{2}$') || '1', '0')::int
                    * (coalesce(substring(value FROM '[+-]([0-9]{2}):[0-9]{2}$'), '0')::int * 60
                        + coalesce(substring(value FROM '[+-][0-9]{2}:([0-9]{2})$'), '0')::int)))
                AT TIME ZONE 'UTC' END
    $$
"""
"""The two forms in which a text counts as a day or an instant: the same as `journey.facts.temporal`."""


def _note_changes(table: str, kind: str, person: str, at: str, when: str) -> None:
    for happening in when.split():
        both = f" UNION ALL SELECT workspace_id, {person}, {at} FROM old_rows" if happening == "UPDATE" else ""
        name = f"note_{table}_{happening.lower()}"
        op.execute(
            f"""
            CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF EXISTS (SELECT 1 FROM segments WHERE archived_at IS NULL AND '{kind}' = ANY(rests_on)) THEN
                    INSERT INTO contact_changes (workspace_id, contact_id, at)
                    SELECT r.workspace_id, r.contact_id, max(r.at)
                    FROM (SELECT workspace_id, {person} AS contact_id, {at} AS at FROM new_rows{both}) AS r
                    WHERE r.contact_id <> 0 AND EXISTS (SELECT 1 FROM segments s
                        WHERE s.workspace_id = r.workspace_id AND s.archived_at IS NULL AND '{kind}' = ANY(s.rests_on))
                    GROUP BY r.workspace_id, r.contact_id;
                END IF;
                RETURN NULL;
            END $$
            """
        )
        old = " OLD TABLE AS old_rows" if happening == "UPDATE" else ""
        op.execute(
            f"CREATE TRIGGER note_{happening.lower()} AFTER {happening} ON {table} REFERENCING{old} "
            f"NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )


def upgrade() -> None:
    for table in OWNED:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        # FORCE: the application's role owns the tables, and owners pass by policies otherwise.
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY workspace ON {table} USING ({IN_SCOPE}) WITH CHECK ({IN_SCOPE})")
        # Without statistics on it the planner never takes a workspace that is new since the last ANALYZE for empty.
        # It would then read all its rows through any index that begins with the workspace, for every single look-up.
        op.execute(f"ALTER TABLE {table} ALTER COLUMN workspace_id SET STATISTICS 0")
    op.execute(
        """
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'P0001';
        END $$
        """
    )
    for table in ("consent_records", "workflow_versions", "template_versions"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    # What no month's partition takes lands here, so that a missing partition costs speed and never an event.
    op.execute("CREATE TABLE events_default PARTITION OF events DEFAULT")
    op.execute("CREATE TABLE delivery_events_default PARTITION OF delivery_events DEFAULT")
    for table in ("events_default", "delivery_events_default"):
        # Asked for by its own name a partition shows nothing; through its parent the parent's policy holds.
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute("INSERT INTO clock (id) VALUES (1)")
    op.execute(ISO_DAY)
    op.execute(ISO_INSTANT)
    for change in CHANGES:
        _note_changes(*change)


def downgrade() -> None:
    for table, *_, when in CHANGES:
        for happening in when.lower().split():
            op.execute(f"DROP TRIGGER note_{happening} ON {table}")
            op.execute(f"DROP FUNCTION note_{table}_{happening}()")
    op.execute("DROP FUNCTION iso_instant(text)")
    op.execute("DROP FUNCTION iso_day(text)")
    op.execute("DELETE FROM clock")
    op.execute("DROP TABLE delivery_events_default")
    op.execute("DROP TABLE events_default")
    for table in ("consent_records", "workflow_versions", "template_versions"):
        op.execute(f"DROP TRIGGER append_only ON {table}")
        op.execute(f"DROP TRIGGER no_truncate ON {table}")
    op.execute("DROP FUNCTION refuse_change()")
    for table in OWNED:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN workspace_id SET STATISTICS -1")
        op.execute(f"DROP POLICY workspace ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
