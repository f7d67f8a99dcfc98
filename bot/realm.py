"""Settings, as the pipeline needs them: the one place that turns the user's words into the pipeline's values."""

from __future__ import annotations

from pathlib import Path

from bot.settings import NAMES, Settings
from pipeline.keeper.protocol import ReadyRule, RestartLimits
from pipeline.model import Realm

PORT_ALONE = "none"  # as SERVER_READY_PATTERN: the server says nothing, its port is enough


def describe(settings: Settings) -> Realm:
    """The realm that decisions are made for."""
    server_dir = settings.server_dir.resolve()
    return Realm(
        name=settings.realm_name,
        state_dir=settings.state_dir.resolve(),
        source_dir=settings.source_dir.resolve(),
        server_dir=server_dir,
        server_command=(str(program(settings)), *settings.server_command[1:]),
        server_environment=dict(settings.server_env),
        withhold=withheld(settings),
        server_commit=settings.server_commit,
        ready=ready_rule(settings),
        limits=RestartLimits(soak=settings.server_soak.total_seconds()),
        crash_dirs=below(server_dir, settings.server_crash_dirs),
        server_logs=below(server_dir, settings.server_logs),
        soak=settings.server_soak,
        stop_notice=settings.server_stop_notice,
        stop_timeout=settings.server_stop_timeout,
        keep_cores=settings.keep_cores,
        keep_builds=settings.keep_builds,
        approval=settings.approval,
        max_files=settings.max_files,
        max_changed_lines=settings.max_changed_lines,
        allowed_paths=settings.source_allowed_paths,
        denied_paths=settings.source_denied_paths,
        no_restart_hours=settings.no_restart_hours,
        deploy_at_latest=settings.deploy_at_latest,
        max_players_for_restart=settings.max_players_for_restart,
        analyst_nightly_limit=settings.analyst_nightly_limit,
        min_free_disk=settings.min_free_disk,
        timezone=settings.zone,
    )


def program(settings: Settings) -> Path:
    """SERVER_COMMAND's program: one that lies in SERVER_DIR by its full path, since that is not on PATH."""
    named = Path(settings.server_command[0])
    inside = settings.server_dir.resolve() / named
    return inside if inside.is_file() else named


def program_below_server(settings: Settings) -> str:
    """Where a new executable goes, relative to SERVER_DIR."""
    path = program(settings)
    folder = settings.server_dir.resolve()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def ready_rule(settings: Settings) -> ReadyRule:
    return ReadyRule(
        pattern="" if settings.server_ready_pattern == PORT_ALONE else settings.server_ready_pattern,
        logs=tuple(str(path) for path in settings.server_logs),
        port=settings.server_port,
        timeout=settings.server_ready_timeout.total_seconds(),
    )


def withheld(settings: Settings) -> tuple[str, ...]:
    """Variables that no child of ours inherits: our own settings, and what is meant for the analyst alone."""
    return tuple(sorted({*NAMES, *settings.analyst_env}))


def below(folder: Path, paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Relative paths are those of SERVER_DIR."""
    return tuple(folder / path for path in paths)
