"""What the command line prints of the bot's state, without a bot and without settings where there are none."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, ValidationError
from sqlalchemy.exc import SQLAlchemyError

from bot.facts import say_requests
from bot.faults import SettingsError, list_faults, say_no_file
from bot.lock import InstanceHeld, InstanceLock
from bot.markup import bare, count
from bot.needs import HOLD_WORDS, count_needs, list_unneeded, name_run, say_need, say_pauser
from bot.payloads import Embed
from bot.places import QUEUE
from bot.settings import Address, AnyPath, Given, check_file, machine_zone, read_zone, state_folder
from bot.status import describe, say_tonight
from pipeline.errors import DefiniteError
from pipeline.model import CrashReport, ReportKind
from pipeline.status_models import Left, RunLine, StatusView, Topic
from pipeline.store.outage import DatabaseAway

if TYPE_CHECKING:
    from pipeline.adapters.keeper_client import FileKeeper
    from pipeline.crash.known import Entry
    from pipeline.crash.replay import Comparison, Counts
    from pipeline.needs import Links
    from pipeline.store import Store
    from pipeline.summary import NightSummary

T = TypeVar("T")


class Where(Given):
    """The few settings that say where to look; none is required."""

    state_dir: AnyPath = Field(default_factory=state_folder)
    server_dir: AnyPath | None = None
    database_url: Address = None
    realm_name: str = "realm"
    source_remote: str = "origin"
    source_commit_url: str | None = None
    analyst_command: str = ""
    analyst_queue_dir: AnyPath | None = None
    timezone: Annotated[str | None, AfterValidator(read_zone)] = None

    @property
    def zone(self) -> tzinfo | None:
        return ZoneInfo(self.timezone) if self.timezone else machine_zone()

    @property
    def queue(self) -> Path:
        return self.analyst_queue_dir or self.state_dir / QUEUE

    @property
    def database(self) -> str:
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.state_dir / 'spirit-healer.sqlite'}"

    @property
    def database_name(self) -> str:
        """For people: an address may hold a password."""
        return "DATABASE_URL" if self.database_url is not None else str(self.state_dir / "spirit-healer.sqlite")

    @property
    def has_database(self) -> bool:
        return self.database_url is not None or (self.state_dir / "spirit-healer.sqlite").is_file()


def say_no_database(what: str, where: Where) -> str:
    """Where it was looked for, and how to be asked of the realm that was meant."""
    words = f"Nothing to {what}: there is no database yet in {where.state_dir}. `spirit-healer run` makes it"
    if "state_dir" in where.model_fields_set or Path(".env").is_file():
        return f"{words}."
    return f"{words}; to ask of a realm that has one, go to the folder of its `.env` first, or set STATE_DIR."


def locate() -> Where:
    """Raises DefiniteError where the settings that say so are wrong."""
    try:
        check_file(Path(".env"))
        return Where()
    except SettingsError as fault:
        raise DefiniteError(str(fault)) from fault
    except ValidationError as fault:
        raise DefiniteError("\n".join(list_faults(fault))) from fault


def migrate() -> str:
    """What became of the database. Raises PipelineError."""
    from pipeline import migrate as migrations
    from pipeline.store import open_engine

    where = locate()
    if not (where.has_database or "state_dir" in where.model_fields_set or Path(".env").is_file()):
        raise DefiniteError(say_no_file())
    try:
        where.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as fault:
        why = f"{where.state_dir} cannot be made ({fault.strerror})"
        raise DefiniteError(f"STATE_DIR: {why}: give it a folder that this user may write") from fault
    copy = _ask(where, lambda: migrations.bring_to_head(open_engine(where.database), where.state_dir / "copies"))
    return f"{where.database_name} is at its newest form." + (f" A copy of it as it was: {copy}" if copy else "")


def read_status() -> StatusView | None:
    """None where there is no database yet. Raises DefiniteError where there is one that cannot be read."""
    where = locate()
    return _ask(where, lambda: _read_status(where)) if where.has_database else None


def _ask(where: Where, question: Callable[[], T]) -> T:
    """What the database answers. Raises DefiniteError."""
    try:
        return question()
    except (SQLAlchemyError, DatabaseAway) as fault:
        why = next(iter(str(fault.__cause__ or fault).strip().splitlines()), type(fault).__name__)
        if isinstance(fault, DatabaseAway) and fault.__cause__ is None:  # not the database's words but ours
            raise DefiniteError(str(fault)) from fault
        cure = "`spirit-healer migrate` brings it up to date" if _lacks_tables(why) else "is it there, and does it run?"
        raise DefiniteError(f"{where.database_name}: the database cannot be read: {why}; {cure}") from fault


def _lacks_tables(why: str) -> bool:
    return any(words in why for words in ("no such table", "no such column", "does not exist"))


def find_bot() -> int | None:
    """The pid of the bot that works on the state folder."""
    return InstanceLock(locate().state_dir).find_bot()


def open_store(where: Where, *, reading: bool = True) -> Store:
    """Where there is a database."""
    from pipeline import policy
    from pipeline.crash.as_json import report_from_plain, report_to_plain
    from pipeline.store import Codec, Store, open_engine

    codec = Codec(report_to_plain, report_from_plain)
    return Store(open_engine(where.database, reading=reading), codec, lambda at: policy.night_of(at, where.zone))


def find_keeper(where: Where) -> FileKeeper:
    from pipeline.adapters.keeper_client import FileKeeper

    keeper = FileKeeper(where.state_dir, where.server_dir or where.state_dir)
    if where.server_dir is None and (wished := keeper.desired()) is not None:
        return FileKeeper(where.state_dir, Path(wished.server_dir))
    return keeper


def _read_status(where: Where) -> StatusView:
    from pipeline.status_views import outside_status

    keeper = find_keeper(where)
    return outside_status(
        where.realm_name, open_store(where), keeper, datetime.now(UTC), where.state_dir, links_of(where)
    )


def as_plain(view: StatusView | None) -> dict[str, Any] | None:
    return None if view is None else {**dataclasses.asdict(view), "bot_pid": find_bot()}


def as_text(view: StatusView | None) -> str:
    if view is None:
        return say_no_database("tell", locate())
    where = locate()
    zone = where.zone
    lines = [
        f"{view.realm}: server {view.server or _describe_unseen(view, zone)}"
        + (f" (process {view.pid}, {_name_build(view)})" if view.pid else _say_down(view, zone)),
        f"Its keeper is process {view.keeper_pid}" if view.keeper_pid else "",
        "" if view.halted and view.keeper_pid is None else _describe_bot(keeper=view.keeper_pid is not None),
        f"{count_needs(view.needs)}:" if view.needs else "",
        *(f"  {bare(say_need(each), zone)}" for each in view.needs),
        *_list_unneeded(view),
        f"Next start at {_on_clock(view.next_start, zone)}" if view.next_start else "",
        *(f"Ordered by {each.by}: {each.kind} at {_on_clock(each.due, zone)}" for each in view.orders),
        f"Tonight: {say_tonight(view)}",
        f"Branch {view.branch} at {view.head.commit[:12]}" if view.branch and view.head else "",
        *(_describe_run(each, zone) for each in _list_other_runs(view)),
        bare(say_requests(sum(each.in_queue for each in view.runs), str(where.queue))),
        *(f"Does not work: {each}" for each in list_unneeded(view.degraded, view.needs)),
    ]
    return "\n".join(line for line in lines if line)


def _name_build(view: StatusView) -> str:
    """What the server says of itself, else what was put in place."""
    return view.revision or (view.running.commit[:12] if view.running else "no revision")


def _say_down(view: StatusView, zone: tzinfo | None) -> str:
    return f", down since {_on_clock(view.down_since, zone)}" if view.down_since else ""


def _describe_unseen(view: StatusView, zone: tzinfo | None) -> str:
    """The server, while nobody tells of it what is."""
    stale = view.stale
    if stale is None:
        return _describe_left(view.left, zone)
    runs = f"runs (process {stale.server}), ready or not" if stale.server else "is not seen to run"
    report = f"the keeper's last report is of {_on_clock(datetime.fromtimestamp(stale.at, UTC), zone)}"
    return f"{runs}; {report}" + (f", and process {stale.gone} of then is gone" if stale.gone else "")


def _describe_left(left: Left | None, zone: tzinfo | None) -> str:
    """The server, while no keeper answers."""
    if left is None:
        return "unknown: the keeper does not answer"
    if left.server is not None:
        return f"runs by itself (process {left.server})"
    if not left.in_order:
        return "does not run, and its keeper is gone"
    return f"stopped in order, and its keeper with it, at {_on_clock(datetime.fromtimestamp(left.at, UTC), zone)}"


def _list_unneeded(view: StatusView) -> Iterator[str]:
    """What holds things up, where nobody is needed for it: else it stands among the needs."""
    told = {each.topic for each in view.needs}
    if view.hold and Topic.SERVER not in told:
        yield f"Held: {HOLD_WORDS[view.hold]}" + (f" ({view.hold_detail})" if view.hold_detail else "")
    if view.trouble and Topic.SERVER not in told:
        yield f"Down: {'. '.join(each for each in (view.trouble, view.trouble_detail) if each)}"
    if view.paused and Topic.PAUSE not in told:
        yield f"The pipeline {say_pauser(view.paused.by)}: {view.paused.reason}"
    if view.push_owed and Topic.PUSH not in told:
        yield "Not all of it is on the remote yet: the push is tried again"


def _list_other_runs(view: StatusView) -> list[RunLine]:
    """The same of runs."""
    told = {each.run for each in view.needs}
    return [each for each in (*view.runs, *view.failed) if each.id not in told]


def _describe_run(run: RunLine, zone: tzinfo | None) -> str:
    name = bare(name_run(run))
    does, why = describe(run)
    return f"Run {run.id}: {name}: {bare(does, zone)}" + (f" ({bare(why, zone)})" if why else "")


def _describe_bot(*, keeper: bool) -> str:
    """Nothing, where one goes on."""
    lock = InstanceLock(locate().state_dir)
    if (pid := lock.find_bot()) is None and not keeper:
        return "Neither bot nor keeper runs: nothing restarts the server; `spirit-healer run` starts both"
    without = "crashes are restarted, nothing is healed" if keeper else "nothing is restarted or healed"
    if pid is None:
        return f"No bot runs: {without}; `spirit-healer run` starts it"
    cure = lock.find_cure()
    return f"The bot (process {pid}) is stopped: {without}. {cure}" if cure else ""


def _on_clock(moment: datetime, zone: tzinfo | None) -> str:
    """None = of this machine."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"


# --- signatures ------------------------------------------------------------------------------------------------------


def replay_signatures(*, accept: bool) -> Comparison | None:
    """None where there is no database yet. Raises DefiniteError, also while a bot works on the state folder: what it
    reads just now would be signed by the rules of before."""
    where = locate()
    if not where.has_database:
        return None
    if not accept:
        return _ask(where, lambda: _replay(open_store(where), where))
    lock = InstanceLock(where.state_dir)
    try:
        lock.acquire()
    except InstanceHeld as fault:
        raise DefiniteError(f"{fault}. Stop it first: the server goes on, and nothing was changed") from fault
    except OSError as fault:
        raise DefiniteError(f"{where.state_dir} cannot be locked: {fault.strerror}; nothing was changed") from fault
    try:
        return _ask(where, lambda: _accept(where))
    finally:
        lock.release()


def _replay(store: Store, where: Where) -> Comparison:
    from pipeline import regrouping
    from pipeline.crash.rules import read_lists

    return regrouping.replay(store, read_lists(where.state_dir / regrouping.FOLDER))


def _accept(where: Where) -> Comparison:
    from pipeline import migrate as migrations
    from pipeline import regrouping
    from pipeline.crash.rules import read_lists

    store = open_store(where, reading=False)
    lists = read_lists(where.state_dir / regrouping.FOLDER)
    migrations.copy_database(store.engine, where.state_dir / "copies", migrations.current(store.engine))
    return regrouping.accept(store, lists)


def describe_replay(found: Comparison | None, *, accepted: bool) -> str:
    """For a person at a terminal."""
    if found is None:
        return say_no_database("replay", locate())
    lines = [
        f"{count(found.crashes, 'stored crash', 'stored crashes')}, {found.unchanged} with the key they have.",
        *(f"merge into {each.into}\n{_list_groups(each.groups)}" for each in found.merged),
        *(f"split {each.group}\n{_list_groups(each.into)}" for each in found.split),
        *(f"spell anew {each.before}\n    {each.crashes} x {each.after}" for each in found.renamed),
    ]
    if accepted:
        lines.append("In force: what is stored is signed by these rules.")
    elif found.crashes != found.unchanged:
        lines.append("Nothing was changed. `--accept` puts this in force.")
    return "\n".join(lines)


def _list_groups(groups: Counts) -> str:
    return "\n".join(f"    {crashes} x {exact}" for exact, crashes in groups)


# --- crash reports -------------------------------------------------------------------------------------------------


def inspect(files: Sequence[Path]) -> list[CrashReport]:
    """Each by itself, by our rules and the lists that lie in the state folder; executables come from the archive of
    builds, else from where the artefact says or lies. Raises OSError, and DefiniteError on a list that is none."""
    from pipeline.adapters.archive import list_programs
    from pipeline.adapters.crash_reader import CrashFileReader
    from pipeline.crash.rules import get_rules, read_lists
    from pipeline.regrouping import FOLDER

    state = locate().state_dir
    rules = get_rules(read_lists(state / FOLDER))
    reader = CrashFileReader(rules=lambda: rules, list_programs=lambda name: list_programs(state, name))
    return [reader.read_alone(each) for each in files]


def read_knowledge() -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """(what is known of crashes, the user's own first; what of that cannot be used)."""
    from pipeline.crash.known import get_entries, read_own
    from pipeline.knowledge import FOLDER

    own, faults = read_own(locate().state_dir / FOLDER)
    return (*own, *get_entries()), faults


def _name_report(report: CrashReport) -> str:
    if report.kind is ReportKind.UNKNOWN and not report.category and not report.frames:
        return "is no crash report of a kind that is known"
    return f"{report.kind}, {report.category or 'category unknown'}"


def describe_crash(path: Path, report: CrashReport, entries: Sequence[Entry] | None = None) -> str:
    """A crash for a person at a terminal; `entries` = what is known of others, None = the built-in ones."""
    from pipeline.crash.known import find_entry

    signature = report.signature
    known = find_entry(report, entries)
    frames = [
        f"  {'>' if index == report.crashing_frame else ' '} {frame.function or frame.module or '?'}"
        + (f"  {frame.file}:{frame.line}" if frame.file else "")
        for index, frame in enumerate(report.frames[:20])
    ]
    lines = [
        f"{path}: {_name_report(report)}",
        f"  signature: {signature.exact}" if signature else "  no signature",
        f"  assertion: {report.assertion.expression}" if report.assertion else "",
        f"  revision: {report.revision.hash}{'+' if report.revision.dirty else ''}" if report.revision else "",
        f"  not a bug: {report.cure}" if report.environment and report.cure else "",
        f"  known: {known.name}: {known.cause} Cure: {known.cure}" if known else "",
        *frames,
        *(f"  note: {note}" for note in report.notes),
    ]
    return "\n".join(line for line in lines if line)


# --- the summary -----------------------------------------------------------------------------------------------------


def read_summary(night: date | None) -> NightSummary:
    """None = the night of now. Without a database, one that nobody looked at. Raises DefiniteError."""
    from pipeline import policy
    from pipeline.summary import NightSummary, frame

    where, now = locate(), datetime.now(UTC)
    wanted = night or policy.night_of(now, where.zone)
    if not policy.is_night(wanted):
        raise DefiniteError(f"--night: nobody played in {wanted}: give the date of an evening, such as 2026-11-22")
    if not where.has_database:
        return NightSummary(where.realm_name, wanted.isoformat(), chart=frame(wanted, now, where.zone))
    return _ask(where, lambda: _summarize(where, wanted, now))


def _summarize(where: Where, night: date, now: datetime) -> NightSummary:
    from pipeline.server_views import look
    from pipeline.status_views import find_free
    from pipeline.summary import Scene, summarize

    store = open_store(where)
    seen = look(store, find_keeper(where))
    free = find_free(where.state_dir)
    return summarize(store, night, Scene(where.realm_name, now, where.zone, seen, links_of(where), free=free))


def links_of(where: Where) -> Links:
    """Pages of commits, as the remote of our clone has them; and what the settings tell."""
    from pipeline import policy
    from pipeline.adapters.git import CLONE, GitSource
    from pipeline.needs import Links

    if not (where.state_dir / CLONE).is_dir():
        return Links(remote=where.source_remote, has_command=bool(where.analyst_command))
    source = GitSource(
        where.state_dir, where.state_dir, review=policy, remote_name=where.source_remote,
        commit_url_template=where.source_commit_url,
    )  # fmt: skip
    return Links(source.url, source.compare_url, where.source_remote, bool(where.analyst_command))


def summary_as_plain(summary: NightSummary) -> dict[str, Any]:
    return dataclasses.asdict(summary)


def summary_as_text(summary: NightSummary) -> str:
    """What the channel has, without its marks."""
    from bot.summary import render_summary

    where = locate()
    if not where.has_database:
        return say_no_database("tell", where)
    embed = render_summary(summary).embed or Embed()
    lines = [line for line in (embed.title, "", *embed.description.splitlines()) if not line.startswith("```")]
    return "\n".join(bare(line, where.zone, links=True) if line else "" for line in lines)


def write_chart(summary: NightSummary, path: Path) -> None:
    """Raises DefiniteError where the file cannot be written."""
    from bot.chart import draw

    try:
        path.write_bytes(draw(summary.chart))
    except OSError as fault:
        raise DefiniteError(f"--chart: {path} cannot be written: {fault.strerror}") from fault
