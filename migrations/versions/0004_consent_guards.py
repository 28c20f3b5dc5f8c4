"""Guards of the tables that came with consent in full: row-level security, append-only proof."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

OWNED: tuple[str, ...] = (
    "api_answers",
    "data_accesses",
    "dkim_keys",
    "hits",
    "import_mappings",
    "import_rows",
    "imports",
    "retention_marks",
    "rights_requests",
    "sender_domains",
    "sender_identities",
    "special_values",
    "test_addresses",
    "warm_ups",
    "consent_requests",
    "signup_forms",
    "signup_form_versions",
    "signup_submissions",
)
"""Tables that belong to a workspace."""

REFUSALS = "ix_consent_records_refusals"
"""What was refused from an address, whoever bears it now."""

KEPT_AS_SHOWN = ("signup_form_versions",)
"""Tables whose rows are never changed: the ledger names what they say."""

IN_SCOPE = (
    "workspace_id = (SELECT nullif(nullif(current_setting('percorso.workspace', true), ''), '*')::bigint)"
    " OR (SELECT current_setting('percorso.workspace', true) = '*')"
)


# What `soft_opt_in_topics` of the settings said until now, `offers` where nothing was said, is said by the topics.
SIMILAR = """
    UPDATE topics t SET about = '{stay,goods}'
      FROM workspaces w
     WHERE w.id = t.workspace_id AND t.about = '{}'
       AND coalesce(w.settings -> 'soft_opt_in_topics', '["offers"]') ? t.name
"""

# Domains that mails come from already go on as they are; whatever is wrong with them is shown from now on (R30).
IN_USE = """
    INSERT INTO sender_domains
           (workspace_id, name, marketing_at, marketing_how, marketing_by, created_at, next_check_at)
    SELECT DISTINCT workspace_id, lower(split_part(sender_email, '@', 2)), now(), 'in_use', 'migration', now(), now()
      FROM properties WHERE sender_email LIKE '%@%'
    ON CONFLICT DO NOTHING
"""


def upgrade() -> None:
    op.execute(IN_USE)
    op.execute(SIMILAR)
    op.execute("UPDATE workspaces SET settings = settings - 'soft_opt_in_topics'")
    for table in OWNED:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        # FORCE: the application's role owns the tables, and owners pass by policies otherwise.
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY workspace ON {table} USING ({IN_SCOPE}) WITH CHECK ({IN_SCOPE})")
        # Without statistics on it the planner never takes a workspace that is new since the last ANALYZE for empty.
        op.execute(f"ALTER TABLE {table} ALTER COLUMN workspace_id SET STATISTICS 0")
    for table in KEPT_AS_SHOWN:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    # Not in a transaction: who writes to the ledger of a live system goes on meanwhile.
    with op.get_context().autocommit_block():
        op.create_index(
            REFUSALS,
            "consent_records",
            ["workspace_id", "address"],
            postgresql_where="state IN ('denied', 'withdrawn', 'objected')",
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(REFUSALS, "consent_records", postgresql_concurrently=True, if_exists=True)
    for table in KEPT_AS_SHOWN:
        op.execute(f"DROP TRIGGER append_only ON {table}")
        op.execute(f"DROP TRIGGER no_truncate ON {table}")
    for table in OWNED:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN workspace_id SET STATISTICS -1")
        op.execute(f"DROP POLICY workspace ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
