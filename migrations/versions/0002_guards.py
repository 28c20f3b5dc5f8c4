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
    "enrollments",
    "step_visits",
    "entry_refusals",
    "tasks",
    "call_endpoints",
    "calls",
    "occasion_marks",
    "messages",
    "property_facts",
    "attempts",
    "delivery_events",
    "captured_mails",
    "templates",
    "template_versions",
    "topics",
    "consent_records",
    "suppressions",
)
# `current_setting` is read once a statement (sub-select), not once a row. No setting at all means no row at all.
IN_SCOPE = (
    "workspace_id = (SELECT nullif(nullif(current_setting('percorso.workspace', true), ''), '*')::bigint)"
    " OR (SELECT current_setting('percorso.workspace', true) = '*')"
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


def downgrade() -> None:
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
