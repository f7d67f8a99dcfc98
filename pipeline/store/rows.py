"""What the tables hold, as values, and how a row becomes one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row

from pipeline.card_models import CardState, Post, PostKind
from pipeline.errors import PipelineError
from pipeline.keeper.protocol import Exit
from pipeline.model import (
    Analysis,
    Change,
    CrashReport,
    Diagnostic,
    FixState,
    Hindrance,
    Patch,
    Question,
    Run,
    RunKind,
    RunState,
    Signature,
    Verdict,
)
from pipeline.read_models import OrderEnd

IMPORTED = "file"  # `keeper` of a crash that lay there before the first start: no crash of any night


class Overtaken(PipelineError):
    """The row is not in the state it was read in: somebody else decided; look again."""


class Fact(StrEnum):
    """Names in the table `facts`."""

    PAUSE = "pause"  # {"by", "reason", "at"}
    SERVER = "server"  # {"want", "by", "reason", "restart": n, "lifts": n}
    BUILD = "build"  # the build that should run, absent = what was found
    FOUND = "found"  # {"build", "commit"}: the first fallback
    RUNNING = "running"  # {"build", "revision", "commit"}: what was last seen ready
    WARM = "warm"  # commit of the warm build
    SUMMARY = "summary"  # {"night", "until"}: the newest that was summarised, and up to when that told
    MERGED = "merged"  # {"base", "name", "has", "lacks"}: commits of ours, as the base branch at `base` has them
    DELETED = "deleted"  # {"branches"}: night branches that the remote had and has no more
    ABSENT = "absent"  # {"build", "watched", "runs"}: watched fixes that this build has not
    IMPORTED = "imported"  # crash and response folders as they were at the first start
    RULES = "rules"  # {"version", "lists": [[name, text]]}: what the stored signatures were made by


@dataclass(frozen=True)
class Crash:
    """One row of `crashes`."""

    id: int
    at: datetime
    night: date
    exit: Exit
    report: CrashReport | None
    signature: Signature | None
    judged: str | None
    card: int | None
    run: str | None
    back_after: float | None


@dataclass(frozen=True)
class CrashRow:
    """One row of `crashes` without its report."""

    id: int
    at: datetime
    night: date
    signature: Signature | None
    judged: str | None
    card: int | None
    revision: str | None
    status: int | None
    back_after: float | None


@dataclass(frozen=True)
class Branch:
    name: str
    night: date
    base: str
    head: str
    pushed: str | None
    owed_since: datetime | None
    owed_reason: str | None
    ended: bool


@dataclass(frozen=True)
class Deployment:
    id: str
    build: str
    previous: str | None
    state: str
    by: str | None
    rollback_of: str | None
    created_at: datetime
    stop_at: datetime | None
    wished_at: datetime | None
    ready_at: datetime | None
    over_at: datetime | None
    down_seconds: float | None
    verdict: Verdict | None
    reason: str | None


@dataclass(frozen=True)
class Build:
    build: str
    commit: str | None
    tree: str | None
    state: str
    seconds: float | None
    log: str | None
    reason: str | None
    diagnostics: tuple[Diagnostic, ...]
    healthy_at: datetime | None
    bad: bool


@dataclass(frozen=True)
class Order:
    id: int
    kind: str
    by: str
    reason: str
    due: datetime
    state: str
    told_at: datetime | None
    about: str | None  # the build that a rollback takes out


@dataclass(frozen=True)
class NewPost:
    """A message to be sent once: into the card's thread, or into the channel."""

    kind: PostKind
    data: Mapping[str, Any]
    to_channel: bool = False
    offers: bool = False  # what it tells holds for a time: once it is over, that is said and its buttons go


@dataclass(frozen=True)
class Codec:
    """How reports are stored: the crash package owns the form."""

    to_plain: Callable[[CrashReport], dict[str, Any]]
    from_plain: Callable[[dict[str, Any]], CrashReport]


def run_columns(run: Run) -> dict[str, Any]:
    plain = {field.name: getattr(run, field.name) for field in dataclasses.fields(Run)}
    signature = plain.pop("signature")
    return {
        **plain,
        "family": signature and signature.family,
        "exact": signature and signature.exact,
        "version": signature and signature.version,
        "analysis": run.analysis and dataclasses.asdict(run.analysis),
        "patch": run.patch and run.patch.to_plain(),
        "changes": [dataclasses.asdict(each) for each in run.changes],
        "answered": list(run.answered),
    }


def read_run(row: Row[Any]) -> Run:
    names = {field.name for field in dataclasses.fields(Run)}
    plain = {name: value for name, value in row._mapping.items() if name in names}
    return Run(**{
        **plain,
        "kind": RunKind(row.kind),
        "state": RunState(row.state),
        "signature": None if row.exact is None else Signature(row.family, row.exact, row.version),
        "analysis": row.analysis and Analysis(**row.analysis),
        "patch": row.patch and Patch.from_plain(row.patch),
        "changes": tuple(Change(**each) for each in row.changes),
        "question": row.question and Question(row.question),
        "answered": tuple(row.answered),
        "fix_state": row.fix_state and FixState(row.fix_state),
        "verdict": row.verdict and Verdict(row.verdict),
        "hindrance": row.hindrance and Hindrance(row.hindrance),
    })  # fmt: skip


def read_branch(row: Row[Any]) -> Branch:
    return Branch(**{field.name: row._mapping[field.name] for field in dataclasses.fields(Branch)})


def read_deployment(row: Row[Any]) -> Deployment:
    plain = {field.name: row._mapping[field.name] for field in dataclasses.fields(Deployment)}
    return Deployment(**{**plain, "verdict": row.verdict and Verdict(row.verdict)})


def read_build(row: Row[Any]) -> Build:
    plain = {field.name: row._mapping[field.name] for field in dataclasses.fields(Build)}
    return Build(**{**plain, "diagnostics": tuple(Diagnostic(**each) for each in row.diagnostics)})


def read_order(row: Row[Any]) -> Order:
    return Order(**{field.name: row._mapping[field.name] for field in dataclasses.fields(Order)})


def read_order_end(row: Row[Any]) -> OrderEnd:
    return OrderEnd(
        row.id, row.kind, row.state, row.by, row.reason, row.due, row.ended_at, row.note or "", row.place, row.message,
        row.shown, row.about,
    )  # fmt: skip


def read_card_state(row: Row[Any]) -> CardState:
    return CardState(row.id, row.wanted, row.delivered, row.message, row.thread, row.title)


def read_post(row: Row[Any]) -> Post:
    return Post(row.id, PostKind(row.kind), row.card, row.data, row.created_at, row.attempts, row.message)
