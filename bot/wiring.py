"""What the settings make: the adapters of a realm; what the edge and the watcher are told. Nothing is touched yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bot import realm as realms
from bot.edge import EdgeSettings
from bot.sandbox import Sandbox
from bot.settings import Settings
from pipeline import policy, regrouping
from pipeline.adapters import console as consoles
from pipeline.adapters import debugger
from pipeline.adapters.analyst import FileAnalyst
from pipeline.adapters.archive import list_programs
from pipeline.adapters.builder import CMakeBuilder
from pipeline.adapters.children import mark_for
from pipeline.adapters.clock import SystemClock
from pipeline.adapters.crash_reader import CrashFileReader
from pipeline.adapters.git import GitSource
from pipeline.adapters.keeper_client import FileKeeper
from pipeline.adapters.players import ConnectedPlayers
from pipeline.crash.as_json import report_from_plain, report_to_plain
from pipeline.model import Realm
from pipeline.ports import Console
from pipeline.redact import Redactor
from pipeline.store import Codec, Store, open_engine
from pipeline.tools import Tools

SCRATCH = "scratch"  # in the state folder: what analysts and debuggers leave there is removed at the next start
SANDBOX_READY = 0.2  # seconds discord.py waits for guilds beside a sandbox


def build_tools(settings: Settings, realm: Realm, redact: Callable[[str], str]) -> Tools:
    """The adapters of a realm. Nothing is touched yet."""
    store = Store(
        open_engine(settings.database), Codec(report_to_plain, report_from_plain),
        lambda at: policy.night_of(at, realm.timezone),
    )  # fmt: skip
    source = build_source(settings, realm)
    return Tools(
        realm=realm,
        store=store,
        source=source,
        builder=build_builder(settings, realm, redact),
        keeper=FileKeeper(realm.state_dir, realm.server_dir, withhold=realm.withhold),
        console=build_console(settings),
        analyst=build_analyst(settings, realm, source.work_tree(), redact),
        players=ConnectedPlayers(settings.server_port),
        reader=build_reader(realm, store),
        clock=SystemClock(),
        redact=redact,
        secrets=settings.secrets(),
    )


def build_source(settings: Settings, realm: Realm) -> GitSource:
    return GitSource(
        realm.state_dir,
        realm.source_dir,
        review=policy,
        remote_name=settings.source_remote,
        base_branch=settings.source_base_branch,
        author=settings.source_author,
        commit_url_template=settings.source_commit_url,
        withhold=realm.withhold,
    )


def build_builder(settings: Settings, realm: Realm, redact: Callable[[str], str]) -> CMakeBuilder:
    return CMakeBuilder(
        state_dir=realm.state_dir,
        server_dir=realm.server_dir,
        program=realms.program_below_server(settings),
        build_dir=settings.build_dir,
        build_like=settings.build_like,
        configure_args=settings.build_configure_args,
        target=settings.build_target,
        config=settings.build_config,
        jobs=settings.build_jobs,
        timeout=settings.build_timeout.total_seconds(),
        artifacts=settings.build_artifacts,
        build_env=settings.build_env,
        withhold=realm.withhold,
        min_free_disk=settings.min_free_disk,
        redact=redact,
    )


def build_console(settings: Settings) -> Console | None:
    password = settings.server_console_password
    return consoles.parse_console(
        settings.server_console, settings.server_console_user or "", password.get_secret_value() if password else ""
    )


def build_analyst(settings: Settings, realm: Realm, clone: Path, redact: Callable[[str], str]) -> FileAnalyst:
    return FileAnalyst(
        settings.queue_dir,
        SystemClock(),
        state_dir=realm.state_dir,
        clone=clone,
        command=settings.analyst_command or None,
        env_names=settings.analyst_env,
        timeout=settings.analyst_timeout.total_seconds(),
        redact=redact,
    )


def build_reader(realm: Realm, store: Store) -> CrashFileReader:
    def record(pid: int, create_time: float, what: str) -> None:
        store.note_child(pid, create_time, what, SystemClock().now())

    what = mark_for(realm.state_dir, debugger.MARK)
    return CrashFileReader(
        on_started=record, what=what, scratch=realm.state_dir / SCRATCH,
        rules=lambda: regrouping.get_rules_in_force(store),
        list_programs=lambda name: list_programs(realm.state_dir, name),
    )  # fmt: skip


def build_redactor(settings: Settings) -> Callable[[str], str]:
    return Redactor(settings.secrets())


def edge_settings(settings: Settings, sandbox: Sandbox | None) -> EdgeSettings:
    if sandbox is not None:
        return EdgeSettings(
            sandbox.token, int(sandbox.guild_id), int(sandbox.channel_id), settings.realm_name,
            operator_roles=frozenset({int(sandbox.operator_role_id)}), notice=settings.server_stop_notice,
            guild_ready_timeout=SANDBOX_READY,
        )  # fmt: skip
    token = settings.discord_token
    return EdgeSettings(
        token.get_secret_value() if token else "", settings.discord_guild_id or 0, settings.discord_channel_id or 0,
        settings.realm_name, frozenset(settings.discord_operator_role_ids),
        frozenset(settings.discord_operator_user_ids), settings.discord_ping_role_id, settings.server_stop_notice,
    )  # fmt: skip


def watched_paths(settings: Settings, tools: Tools) -> tuple[Path, ...]:
    """Where something new means work: responses, and what the keeper writes."""
    return (settings.queue_dir / "responses", tools.realm.state_dir)
