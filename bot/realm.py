"""Settings, as the pipeline needs them: the one place that turns the user's words into the pipeline's values."""

from __future__ import annotations

from pathlib import Path

from bot.settings import NAMES, Settings
from pipeline.keeper.foreign import SHELLS
from pipeline.keeper.protocol import ReadyRule, RestartLimits
from pipeline.model import Realm

_FIRST_LINE = 256  # bytes
_SCRIPTS = (".sh", ".bat", ".cmd", ".ps1")
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
        remote=settings.source_remote,
        summary_time=settings.summary_time,
        timezone=settings.zone,
    )


def program(settings: Settings) -> Path:
    """SERVER_COMMAND's program: one that lies in SERVER_DIR by its full path, since that is not on PATH."""
    named = Path(settings.server_command[0])
    inside = settings.server_dir.resolve() / named
    return inside if inside.is_file() else named


def find_script(settings: Settings) -> Path | None:
    """The script that SERVER_COMMAND starts, by itself or through a shell. None: it starts a program."""
    first = program(settings)
    if _is_shell(first):
        words = (word for word in settings.server_command[1:] if not word.startswith(("-", "/c", "/C")))
        named = next((settings.server_dir.resolve() / word for word in words), None)
        return named if named is not None and named.is_file() else None
    if first.suffix.lower() in _SCRIPTS:
        return first if first.is_file() else None
    return first if _begins_as_script(first) else None


def _is_shell(path: Path) -> bool:
    return path.name.lower() in SHELLS


def _begins_as_script(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            line = file.readline(_FIRST_LINE).decode(errors="replace")
    except OSError:
        return False
    return line.startswith("#!") and any(word.rpartition("/")[2] in SHELLS for word in line[2:].split())


def program_below_server(settings: Settings) -> str:
    """Where a new executable goes, relative to SERVER_DIR: never over a script that starts it."""
    path = program(settings)
    folder = settings.server_dir.resolve()
    script = find_script(settings)
    if script is not None or _is_shell(path):
        beside = script.parent if script is not None and script.parent.is_relative_to(folder) else folder
        path = _find_target(beside, settings.build_target)
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def _find_target(folder: Path, target: str) -> Path:
    names = (target, f"{target}.exe")
    return next((folder / name for name in names if (folder / name).is_file()), folder / target)


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
