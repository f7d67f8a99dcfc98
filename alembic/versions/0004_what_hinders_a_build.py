"""A run knows what hinders its build, beside the words for it

Revision: 0004, after 0003
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

WORDS = "'base', 'refused', 'revert_coming', 'unapproved', 'no_fallback'"


def upgrade() -> None:
    """In one statement, which both databases know: a constraint by itself would have SQLite make the table anew, which
    others refer to."""
    check = f"CONSTRAINT ck_runs_hindrance CHECK (hindrance IN ({WORDS}))"
    op.execute(f"ALTER TABLE runs ADD COLUMN hindrance TEXT {check}")


def downgrade() -> None:
    op.execute("ALTER TABLE runs DROP COLUMN hindrance")
