"""Orders know the answer that can cancel them and how they ended; the audit can only grow

Revision: 0002, after 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEPT = "the audit is append-only"
NEW = ("about", "note", "place", "message", "shown")


def upgrade() -> None:
    with op.batch_alter_table("orders", schema=None) as batch_op:
        for name in NEW:
            batch_op.add_column(sa.Column(name, sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("ended_at", sa.DateTime(), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        for name, act in (("audit_is_not_changed", "UPDATE"), ("audit_is_not_deleted", "DELETE")):
            op.execute(f"CREATE TRIGGER {name} BEFORE {act} ON audit BEGIN SELECT RAISE(ABORT, '{KEPT}'); END")
        return
    op.execute(
        "CREATE OR REPLACE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{KEPT}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION keep_audit()"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER audit_is_not_changed")
        op.execute("DROP TRIGGER audit_is_not_deleted")
    else:
        op.execute("DROP TRIGGER audit_is_kept ON audit")
        op.execute("DROP FUNCTION keep_audit()")
    with op.batch_alter_table("orders", schema=None) as batch_op:
        for name in ("ended_at", *NEW):
            batch_op.drop_column(name)
