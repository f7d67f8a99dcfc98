"""The tables. One database per realm; SQLite by default, PostgreSQL with the same schema.

Rules that make the state machine sound (STYLE.md's reasons, kept here because they bind whoever adds a column): states
are text with a CHECK; `run_events`, `posts` and a card's `wanted` change in the transaction of the row they tell of;
two partial unique indexes make the lanes serial; every time is UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    event,
    text,
)

from pipeline.card_models import PostKind
from pipeline.model import CHANGE_LANE, FixState, Hindrance, Question, RunKind, RunState, Verdict

HEAD = "0004"  # the newest revision in alembic/versions; a test holds the two together

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Utc(TypeDecorator[datetime]):
    """An aware datetime, kept as UTC; SQLite knows no time zones."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


def one_of(column: str, words: type[StrEnum] | tuple[str, ...]) -> CheckConstraint:
    """The CHECK of a column that holds a word. It stands in the table: migrations are blind to a column's own."""
    return CheckConstraint(f"{column} IN ({_quoted(words)})", name=column)


def _quoted(words: type[StrEnum] | tuple[str, ...]) -> str:
    return ", ".join(f"'{word!s}'" for word in words)


DEPLOYMENT_STATES = ("standby", "announcing", "stopping", "verifying", "rolling back", "over")
BUILD_STATES = ("building", "built", "failed")
ORDER_STATES = ("waiting", "done", "cancelled", "lapsed", "failed")
_change_lane = text(f"state IN ({_quoted(CHANGE_LANE)})")
_deploy_lane = text("state IN ('announcing', 'stopping', 'verifying', 'rolling back')")

cards = Table(
    "cards",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False),  # `exact` of the signature and its version, or what else it stands for
    Column("night", Date, nullable=False),
    Column("title", Text, nullable=False),
    Column("run", String(32)),  # that it tells of, see `choose_run` in store/writes.py
    Column("wanted", Integer, nullable=False, default=1),  # counts up with every change of what it shows
    Column("delivered", Integer, nullable=False, default=0),
    Column("message", Text),
    Column("thread", Text),
    Column("previous_message", Text),  # of the same signature: of an earlier night, or one that took no more edits
    Column("touched_at", Utc, nullable=False),
    UniqueConstraint("key", "night"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", Text, nullable=False),
    one_of("kind", RunKind),
    Column("state", Text, nullable=False),
    one_of("state", RunState),
    Column("lane", Integer, nullable=False, default=1),  # always 1: gives the partial unique index something to hold
    Column("card", ForeignKey("cards.id"), nullable=False),
    Column("night", Date, nullable=False),
    Column("family", Text),
    Column("exact", Text),
    Column("version", Integer),
    Column("subject", Text, nullable=False),
    Column("request_id", Text),
    Column("asked", Integer, nullable=False, default=-1),  # `returns` for which a request was written
    Column("commanded", Integer, nullable=False, default=-1),  # `returns` for which ANALYST_COMMAND has ended
    Column("attempts", Integer, nullable=False, default=0),
    Column("returns", Integer, nullable=False, default=0),
    Column("analysis", JSON),
    Column("patch", JSON),
    Column("changes", JSON, nullable=False, default=list),
    Column("prose", Text),
    Column("previous", JSON),  # what earlier attempts of this run brought, for the next request
    Column("question", Text),
    one_of("question", Question),
    Column("answered", JSON, nullable=False, default=list),
    Column("branch", Text),
    Column("base", Text),
    Column("commit", Text),
    Column("pushed", Boolean, nullable=False, default=False),
    Column("deployment", ForeignKey("deployments.id")),
    Column("reason", Text),
    Column("hindrance", Text),
    one_of("hindrance", Hindrance),
    Column("asked_by", Text),
    Column("reverts", Text),
    Column("fix_state", Text),
    one_of("fix_state", FixState),
    Column("verdict", Text),
    one_of("verdict", Verdict),
    Column("not_before", Utc),
    Column("retry_of", Text),
    Column("done", Integer),  # build progress
    Column("total", Integer),
    Column("eta", Float),  # seconds
    Column("created_at", Utc, nullable=False),
    Column("updated_at", Utc, nullable=False),
    Index("one_change_at_a_time", "lane", unique=True, sqlite_where=_change_lane, postgresql_where=_change_lane),
    Index("ix_runs_state", "state"),
    Index("ix_runs_exact", "exact"),
    Index("ix_runs_request_id", "request_id"),
)

run_events = Table(
    "run_events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run", ForeignKey("runs.id"), nullable=False, index=True),
    Column("at", Utc, nullable=False),
    Column("before", Text),
    Column("after", Text, nullable=False),
    Column("note", Text, nullable=False, default=""),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("keeper", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", Utc, nullable=False),
    Column("kind", Text, nullable=False),
    Column("data", JSON, nullable=False),
    UniqueConstraint("keeper", "number"),
)

crashes = Table(
    "crashes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("keeper", Text, nullable=False),  # of the EXITED event; "file" for what a crash folder held before us
    Column("number", Integer, nullable=False),
    Column("at", Utc, nullable=False),
    Column("night", Date, nullable=False),
    Column("exit", JSON, nullable=False),  # keeper.protocol.Exit
    Column("report", JSON),  # None = not read yet
    Column("family", Text),
    Column("exact", Text),
    Column("version", Integer),
    Column("judged", Text),  # what became of it, in a word; None = not judged yet
    Column("card", ForeignKey("cards.id")),
    Column("run", Text),
    Column("back_after", Float),  # seconds until the next ready
    UniqueConstraint("keeper", "number"),
    Index("ix_crashes_exact", "exact"),
    Index("ix_crashes_judged", "judged"),
)

builds = Table(
    "builds",
    metadata,
    Column("build", Text, primary_key=True),  # a commit, or `found-…`
    Column("commit", Text),  # the commit it was built from, None = not known
    Column("tree", Text),
    Column("state", Text, nullable=False),
    one_of("state", BUILD_STATES),
    Column("started_at", Utc, nullable=False),
    Column("seconds", Float),
    Column("log", Text),
    Column("reason", Text),
    Column("diagnostics", JSON, nullable=False, default=list),
    Column("healthy_at", Utc),  # a verification found it healthy
    Column("bad", Boolean, nullable=False, default=False),  # a verification found it unhealthy
)

deployments = Table(
    "deployments",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("build", Text, nullable=False),
    Column("previous", Text),  # build that ran before
    Column("state", Text, nullable=False),
    one_of("state", DEPLOYMENT_STATES),
    Column("lane", Integer, nullable=False, default=1),
    Column("by", Text),  # operator, None = the pipeline
    Column("rollback_of", Text),  # deployment that this one takes back by an operator's order
    Column("created_at", Utc, nullable=False),
    Column("stop_at", Utc),  # until then players are told
    Column("wished_at", Utc),  # the wish was written
    Column("ready_at", Utc),
    Column("over_at", Utc),
    Column("down_seconds", Float),
    Column("verdict", Text),
    one_of("verdict", Verdict),
    Column("reason", Text),
    Index("one_deployment_at_a_time", "lane", unique=True, sqlite_where=_deploy_lane, postgresql_where=_deploy_lane),
)

branches = Table(
    "branches",
    metadata,
    Column("name", Text, primary_key=True),
    Column("night", Date, nullable=False),
    Column("base", Text, nullable=False),
    Column("head", Text, nullable=False),  # the last commit that has built
    Column("pushed", Text),  # what the remote has of it, as far as we pushed
    Column("owed_since", Utc),
    Column("owed_reason", Text),
    Column("ended", Boolean, nullable=False, default=False),
    Column("created_at", Utc, nullable=False),
)

answers = Table(
    "answers",
    metadata,
    Column("request_id", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("at", Utc, nullable=False),
    Column("outcome", Text, nullable=False),
    PrimaryKeyConstraint("request_id", "digest"),
)

children = Table(
    "children",
    metadata,
    Column("pid", Integer, nullable=False),
    Column("create_time", Float, nullable=False),  # seconds since the epoch
    Column("what", Text, nullable=False),
    Column("started_at", Utc, nullable=False),
    PrimaryKeyConstraint("pid", "create_time"),
)

posts = Table(
    "posts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    one_of("kind", PostKind),
    Column("card", ForeignKey("cards.id")),
    Column("data", JSON, nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("not_before", Utc),
    Column("why", Text),
    Column("message", Text),  # None = not delivered
    Column("delivered_at", Utc),
    Column("offers", Boolean),  # what it tells holds for a time; once that is over and said, false
    Index("ix_posts_message", "message"),
)

orders = Table(
    "orders",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("due", Utc, nullable=False),
    Column("state", Text, nullable=False),
    one_of("state", ORDER_STATES),
    Column("told_at", Utc),  # players were told
    Column("created_at", Utc, nullable=False),
    Column("about", Text),  # the build that a rollback takes out
    Column("ended_at", Utc),
    Column("note", Text),  # who cancelled it, or why it failed
    Column("place", Text),  # channel or thread of the answer that can cancel it
    Column("message", Text),  # that answer
    Column("shown", Text),  # the state that it shows
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Utc, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("command", Text, nullable=False),
    Column("arguments", Text, nullable=False),
    Column("outcome", Text, nullable=False),
)

# Nothing of ours changes what was written down, and no statement can; the migration has the same.
_REFUSED = "the audit is append-only"
_KEEP_AUDIT = {
    "sqlite": (
        f"CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
        f"CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END",
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_REFUSED}'; END $$",
        "CREATE TRIGGER audit_is_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION keep_audit()",
    ),
}


def _keep_audit(_table: Table, connection: Connection, **_: Any) -> None:
    for statement in _KEEP_AUDIT[connection.dialect.name]:
        connection.exec_driver_sql(statement)


event.listen(audit, "after_create", _keep_audit)

facts = Table(
    "facts",
    metadata,
    Column("name", Text, primary_key=True),  # see `Fact` in store.py
    Column("value", JSON, nullable=False),
)
