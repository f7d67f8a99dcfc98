"""What the command line prints of the bot's state, without a bot and without settings where there are none."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.exc import SQLAlchemyError

from bot.lock import InstanceLock
from bot.markup import count
from bot.settings import state_folder
from pipeline.errors import DefiniteError
from pipeline.model import CrashReport, StatusView


class Where(BaseSettings):
    """The few settings that say where to look; none is required."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8-sig", extra="ignore", env_ignore_empty=True
    )

    state_dir: Path = Field(default_factory=state_folder)
    server_dir: Path | None = None
    database_url: SecretStr | None = None
    realm_name: str = "realm"

    @property
    def database(self) -> str:
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.state_dir / 'spirit-healer.sqlite'}"

    @property
    def has_database(self) -> bool:
        return self.database_url is not None or (self.state_dir / "spirit-healer.sqlite").is_file()


def locate() -> Where:
    return Where()


def read_status() -> StatusView | None:
    """None where there is no database yet. Raises DefiniteError where there is one that cannot be read."""
    where = locate()
    if not where.has_database:
        return None
    try:
        return _read(where)
    except SQLAlchemyError as fault:
        name = "DATABASE_URL" if where.database_url is not None else str(where.state_dir / "spirit-healer.sqlite")
        why = next(iter(str(getattr(fault, "orig", fault)).strip().splitlines()), type(fault).__name__)
        cure = "`spirit-healer migrate` brings it up to date" if _lacks_tables(why) else "is it there, and does it run?"
        raise DefiniteError(f"{name}: the database cannot be read: {why}; {cure}") from fault


def _lacks_tables(why: str) -> bool:
    return any(words in why for words in ("no such table", "no such column", "does not exist"))


def find_bot() -> int | None:
    """The pid of the bot that works on the state folder."""
    return InstanceLock(locate().state_dir).find_bot()


def _read(where: Where) -> StatusView:
    from pipeline import policy, views
    from pipeline.adapters.keeper_client import FileKeeper
    from pipeline.crash.as_json import report_from_plain, report_to_plain
    from pipeline.store import Codec, Store, open_engine

    store = Store(
        open_engine(where.database), Codec(report_to_plain, report_from_plain), lambda at: policy.night_of(at, None)
    )
    server_dir = where.server_dir or where.state_dir
    keeper = FileKeeper(where.state_dir, server_dir)
    return views.outside_status(where.realm_name, store, keeper, datetime.now(UTC), where.state_dir)


def as_plain(view: StatusView | None) -> dict[str, Any] | None:
    return None if view is None else {**dataclasses.asdict(view), "bot_pid": find_bot()}


def as_text(view: StatusView | None) -> str:
    if view is None:
        return "Nothing to tell: there is no database yet. `spirit-healer run` makes it."
    server = f"{view.realm}: server {view.server or 'unknown: the keeper does not answer'}"
    lines = [
        server + (f" (process {view.pid}, {view.revision or 'no revision'})" if view.pid else ""),
        f"Its keeper is process {view.keeper_pid}" if view.keeper_pid else "",
        "" if find_bot() else "No bot runs: crashes are restarted, nothing is healed; `spirit-healer run` starts it",
        f"Held: {view.hold} {view.hold_detail}".rstrip() if view.hold else "",
        f"Down: {'. '.join(each for each in (view.trouble, view.trouble_detail) if each)}" if view.trouble else "",
        f"Next start at {_local(view.next_start)}" if view.next_start else "",
        *(f"Ordered by {each.by}: {each.kind} at {_local(each.due)}" for each in view.orders),
        f"Paused by {view.paused.by}: {view.paused.reason}" if view.paused else "",
        f"Tonight: {count(view.crashes_tonight, 'crash', 'crashes')}, {count(view.restarts_tonight, 'restart')}",
        f"Branch {view.branch} at {view.head.commit[:12]}" if view.branch and view.head else "",
        *(
            f"Run {run.id}: {run.subject}: {run.state}" + (f" ({run.reason})" if run.reason else "")
            for run in (*view.runs, *view.failed)
        ),
        *(f"Does not work: {each}" for each in view.degraded),
    ]
    return "\n".join(line for line in lines if line)


def _local(moment: datetime) -> str:
    """As the clock of this machine shows it."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def describe_crash(path: Path, report: CrashReport) -> str:
    """A crash for a person at a terminal."""
    signature = report.signature
    frames = [
        f"  {'>' if index == report.crashing_frame else ' '} {frame.function or frame.module or '?'}"
        + (f"  {frame.file}:{frame.line}" if frame.file else "")
        for index, frame in enumerate(report.frames[:20])
    ]
    lines = [
        f"{path}: {report.kind}, {report.category or 'category unknown'}",
        f"  signature: {signature.exact}" if signature else "  no signature",
        f"  assertion: {report.assertion.expression}" if report.assertion else "",
        f"  revision: {report.revision.hash}{'+' if report.revision.dirty else ''}" if report.revision else "",
        f"  not a bug: {report.cure}" if report.environment and report.cure else "",
        *frames,
        *(f"  note: {note}" for note in report.notes),
    ]
    return "\n".join(line for line in lines if line)
