"""The first schema

Revision: 0001, after
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "answers",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "digest", name=op.f("pk_answers")),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_table(
        "branches",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("night", sa.Date(), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("head", sa.Text(), nullable=False),
        sa.Column("pushed", sa.Text(), nullable=True),
        sa.Column("owed_since", sa.DateTime(), nullable=True),
        sa.Column("owed_reason", sa.Text(), nullable=True),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_branches")),
    )
    op.create_table(
        "builds",
        sa.Column("build", sa.Text(), nullable=False),
        sa.Column("commit", sa.Text(), nullable=True),
        sa.Column("tree", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("log", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("diagnostics", sa.JSON(), nullable=False),
        sa.Column("healthy_at", sa.DateTime(), nullable=True),
        sa.Column("bad", sa.Boolean(), nullable=False),
        sa.CheckConstraint("state IN ('building', 'built', 'failed')", name=op.f("ck_builds_state")),
        sa.PrimaryKeyConstraint("build", name=op.f("pk_builds")),
    )
    op.create_table(
        "cards",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("night", sa.Date(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("run", sa.String(length=32), nullable=True),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("delivered", sa.Integer(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("thread", sa.Text(), nullable=True),
        sa.Column("previous_message", sa.Text(), nullable=True),
        sa.Column("touched_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cards")),
        sa.UniqueConstraint("key", "night", name=op.f("uq_cards_key_night")),
    )
    op.create_table(
        "children",
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("create_time", sa.Float(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("pid", "create_time", name=op.f("pk_children")),
    )
    op.create_table(
        "deployments",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("build", sa.Text(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("by", sa.Text(), nullable=True),
        sa.Column("rollback_of", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("stop_at", sa.DateTime(), nullable=True),
        sa.Column("wished_at", sa.DateTime(), nullable=True),
        sa.Column("ready_at", sa.DateTime(), nullable=True),
        sa.Column("over_at", sa.DateTime(), nullable=True),
        sa.Column("down_seconds", sa.Float(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('standby', 'announcing', 'stopping', 'verifying', 'rolling back', 'over')",
            name=op.f("ck_deployments_state"),
        ),
        sa.CheckConstraint(
            "verdict IN ('healthy', 'unhealthy', 'not cured', 'inconclusive')", name=op.f("ck_deployments_verdict")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
    )
    with op.batch_alter_table("deployments", schema=None) as batch_op:
        batch_op.create_index(
            "one_deployment_at_a_time",
            ["lane"],
            unique=True,
            sqlite_where=sa.text("state IN ('announcing', 'stopping', 'verifying', 'rolling back')"),
            postgresql_where=sa.text("state IN ('announcing', 'stopping', 'verifying', 'rolling back')"),
        )

    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("keeper", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("keeper", "number", name=op.f("uq_events_keeper_number")),
    )
    op.create_table(
        "facts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_facts")),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("due", sa.DateTime(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("told_at", sa.DateTime(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'done', 'cancelled', 'lapsed', 'failed')", name=op.f("ck_orders_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
    )
    op.create_table(
        "crashes",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("keeper", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("night", sa.Date(), nullable=False),
        sa.Column("exit", sa.JSON(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=True),
        sa.Column("family", sa.Text(), nullable=True),
        sa.Column("exact", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("judged", sa.Text(), nullable=True),
        sa.Column("card", sa.Integer(), nullable=True),
        sa.Column("run", sa.Text(), nullable=True),
        sa.Column("back_after", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["card"], ["cards.id"], name=op.f("fk_crashes_card_cards")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_crashes")),
        sa.UniqueConstraint("keeper", "number", name=op.f("uq_crashes_keeper_number")),
    )
    with op.batch_alter_table("crashes", schema=None) as batch_op:
        batch_op.create_index("ix_crashes_exact", ["exact"], unique=False)
        batch_op.create_index("ix_crashes_judged", ["judged"], unique=False)

    op.create_table(
        "posts",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("card", sa.Integer(), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.DateTime(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("delivered_at", sa.DateTime(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('analysis', 'patch', 'backtrace', 'build_failed', 'built', 'refused', 'deployed', 'verdict', 'server', 'pipeline', 'rejected_response', 'order', 'summary')",
            name=op.f("ck_posts_kind"),
        ),
        sa.ForeignKeyConstraint(["card"], ["cards.id"], name=op.f("fk_posts_card_cards")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_posts")),
    )
    with op.batch_alter_table("posts", schema=None) as batch_op:
        batch_op.create_index("ix_posts_message", ["message"], unique=False)

    op.create_table(
        "runs",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("card", sa.Integer(), nullable=False),
        sa.Column("night", sa.Date(), nullable=False),
        sa.Column("family", sa.Text(), nullable=True),
        sa.Column("exact", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("commanded", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("returns", sa.Integer(), nullable=False),
        sa.Column("analysis", sa.JSON(), nullable=True),
        sa.Column("patch", sa.JSON(), nullable=True),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("prose", sa.Text(), nullable=True),
        sa.Column("previous", sa.JSON(), nullable=True),
        sa.Column("question", sa.Text(), nullable=True),
        sa.Column("answered", sa.JSON(), nullable=False),
        sa.Column("branch", sa.Text(), nullable=True),
        sa.Column("base", sa.Text(), nullable=True),
        sa.Column("commit", sa.Text(), nullable=True),
        sa.Column("pushed", sa.Boolean(), nullable=False),
        sa.Column("deployment", sa.String(length=32), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("asked_by", sa.Text(), nullable=True),
        sa.Column("reverts", sa.Text(), nullable=True),
        sa.Column("fix_state", sa.Text(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("not_before", sa.DateTime(), nullable=True),
        sa.Column("retry_of", sa.Text(), nullable=True),
        sa.Column("done", sa.Integer(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("eta", sa.Float(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.CheckConstraint(
            "fix_state IN ('watching', 'verified', 'recurred', 'reverted')", name=op.f("ck_runs_fix_state")
        ),
        sa.CheckConstraint("kind IN ('fix', 'revert', 'update')", name=op.f("ck_runs_kind")),
        sa.CheckConstraint("question IN ('patch', 'deploy', 'base')", name=op.f("ck_runs_question")),
        sa.CheckConstraint(
            "state IN ('ANALYZING', 'PROPOSED', 'READY', 'AWAITING_APPROVAL', 'PATCHING', 'BUILDING', 'PUBLISHING', 'AWAITING_DEPLOYMENT', 'DEPLOYING', 'VERIFYING', 'ROLLING_BACK', 'SUCCEEDED', 'ROLLED_BACK', 'FAILED', 'CANCELLED')",
            name=op.f("ck_runs_state"),
        ),
        sa.CheckConstraint(
            "verdict IN ('healthy', 'unhealthy', 'not cured', 'inconclusive')", name=op.f("ck_runs_verdict")
        ),
        sa.ForeignKeyConstraint(["card"], ["cards.id"], name=op.f("fk_runs_card_cards")),
        sa.ForeignKeyConstraint(["deployment"], ["deployments.id"], name=op.f("fk_runs_deployment_deployments")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.create_index("ix_runs_exact", ["exact"], unique=False)
        batch_op.create_index("ix_runs_request_id", ["request_id"], unique=False)
        batch_op.create_index("ix_runs_state", ["state"], unique=False)
        batch_op.create_index(
            "one_change_at_a_time",
            ["lane"],
            unique=True,
            sqlite_where=sa.text("state IN ('PATCHING', 'BUILDING', 'PUBLISHING')"),
            postgresql_where=sa.text("state IN ('PATCHING', 'BUILDING', 'PUBLISHING')"),
        )

    op.create_table(
        "run_events",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("run", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_run_events_run_runs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_events")),
    )
    with op.batch_alter_table("run_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_run_events_run"), ["run"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("run_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_run_events_run"))

    op.drop_table("run_events")
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.drop_index(
            "one_change_at_a_time",
            sqlite_where=sa.text("state IN ('PATCHING', 'BUILDING', 'PUBLISHING')"),
            postgresql_where=sa.text("state IN ('PATCHING', 'BUILDING', 'PUBLISHING')"),
        )
        batch_op.drop_index("ix_runs_state")
        batch_op.drop_index("ix_runs_request_id")
        batch_op.drop_index("ix_runs_exact")

    op.drop_table("runs")
    with op.batch_alter_table("posts", schema=None) as batch_op:
        batch_op.drop_index("ix_posts_message")

    op.drop_table("posts")
    with op.batch_alter_table("crashes", schema=None) as batch_op:
        batch_op.drop_index("ix_crashes_judged")
        batch_op.drop_index("ix_crashes_exact")

    op.drop_table("crashes")
    op.drop_table("orders")
    op.drop_table("facts")
    op.drop_table("events")
    with op.batch_alter_table("deployments", schema=None) as batch_op:
        batch_op.drop_index(
            "one_deployment_at_a_time",
            sqlite_where=sa.text("state IN ('announcing', 'stopping', 'verifying', 'rolling back')"),
            postgresql_where=sa.text("state IN ('announcing', 'stopping', 'verifying', 'rolling back')"),
        )

    op.drop_table("deployments")
    op.drop_table("children")
    op.drop_table("cards")
    op.drop_table("builds")
    op.drop_table("branches")
    op.drop_table("audit")
    op.drop_table("answers")
