"""Guards of what 0005 brought: row-level security, and indexes on tables of live systems."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

OWNED: tuple[str, ...] = ("chain_checks", "leaving_reasons")
"""Tables that belong to a workspace."""

IN_SCOPE = (
    "workspace_id = (SELECT nullif(nullif(current_setting('percorso.workspace', true), ''), '*')::bigint)"
    " OR (SELECT current_setting('percorso.workspace', true) = '*')"
)

REASONS_SAID = """
    INSERT INTO leaving_reasons (workspace_id, reason, template, workflow_id, broadcast_id, at)
    SELECT m.workspace_id, e.data ->> 'reason', m.template, m.workflow_id, m.broadcast_id, e.occurred_at
    FROM events e JOIN messages m ON m.workspace_id = e.workspace_id AND m.contact_id = e.contact_id
        AND m.id = CAST(e.data ->> 'message_id' AS bigint)
    WHERE e.type = 'unsubscribe.explained' AND e.data ->> 'reason' IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM leaving_reasons)
"""
"""What people had said before it was counted."""


def upgrade() -> None:
    for table in OWNED:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        # FORCE: the application's role owns the tables, and owners pass by policies otherwise.
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY workspace ON {table} USING ({IN_SCOPE}) WITH CHECK ({IN_SCOPE})")
        # Without statistics on it the planner never takes a workspace that is new since the last ANALYZE for empty.
        op.execute(f"ALTER TABLE {table} ALTER COLUMN workspace_id SET STATISTICS 0")
    op.execute("SELECT set_config('percorso.workspace', '*', true)")
    op.execute(REASONS_SAID)


def downgrade() -> None:
    for table in OWNED:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN workspace_id SET STATISTICS -1")
        op.execute(f"DROP POLICY workspace ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
