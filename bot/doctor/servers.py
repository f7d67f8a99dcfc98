"""The server as it lies there: its program, its logs, what they say, and its console."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bot import realm
from bot.doctor.configuration import logs_folder
from bot.doctor.finding import Finding, fail, ok, warn
from bot.doctor.ports import is_open
from bot.settings import Settings
from pipeline.adapters.console import ServerConsole, parse_console
from pipeline.adapters.git import CLONE
from pipeline.adapters.git_process import GitProgram
from pipeline.adapters.keeper_client import FileKeeper
from pipeline.errors import ConsoleUnavailable, PipelineError
from pipeline.keeper.protocol import ReadyRule

SECONDS = 5.0
_MOST_LOG = 64 << 20  # bytes of a log that are read, from its beginning
_LONGEST_LINE = 64 << 10  # bytes
_SHOWN = 3
_COMMIT = re.compile(r"[0-9a-f]{40}")


def check_program(settings: Settings) -> Iterator[Finding]:
    program = realm.program(settings)
    found: str | None = shutil.which(str(program))
    if found is not None:
        yield judge_program(settings, found)
    elif program.is_file() or (settings.server_dir / program).is_file():
        yield fail("SERVER_COMMAND", f"{program} may not be run", f"chmod +x {program}")
    else:
        yield fail(
            "SERVER_COMMAND",
            f"{settings.server_command[0]} is neither in SERVER_DIR nor on PATH",
            "begin it with the program's path, relative to SERVER_DIR or in full",
        )


def judge_program(settings: Settings, found: str) -> Finding:
    """What starts may lie anywhere; what a build replaces lies in SERVER_DIR. Of a script that is said by itself."""
    below = realm.program_below_server(settings)
    replaced = settings.server_dir.resolve() / below
    lies_there = replaced.is_file() or replaced.with_name(f"{replaced.name}.exe").is_file()
    if lies_there or realm.find_script(settings) is not None:
        return ok("SERVER_COMMAND", found)
    return fail(
        "SERVER_COMMAND",
        f"SERVER_DIR has no {below} that a new build could replace: {found} is looked after, but no fix can go live",
        "name the server's own program in SERVER_DIR; what is to start it (nice, stdbuf, gdb) goes into a script "
        "there, which ends with `exec`",
    )


def check_logs(settings: Settings) -> Iterator[Finding]:
    logs = realm.below(settings.server_dir, settings.server_logs)
    there = [each for each in logs if each.is_file()]
    if not there:
        yield judge_missing_logs(settings.server_logs, list_other_logs(settings))
        return
    yield ok("SERVER_LOGS", ", ".join(map(str, there)))
    pattern = re.compile(settings.server_ready_pattern.encode())
    lines = (line for log in there for line in read_lines(log))
    seen = next((line for line in lines if pattern.search(line)), None)
    if seen is not None:
        yield ok("SERVER_READY_PATTERN", f"matches: {seen.decode(errors='replace').strip()[:120]}")
    else:
        yield warn(
            "SERVER_READY_PATTERN",
            "matches no line of the logs as they are now: no start would count as ready",
            "copy the line that your server writes when it is up (special characters behind a backslash)",
        )


def judge_missing_logs(named: Iterable[Path], others: Sequence[Path]) -> Finding:
    """No log at all is a server that has not run yet; other logs are a setting that names the wrong ones."""
    names = ", ".join(map(str, named))
    if not others:
        return ok("SERVER_LOGS", f"{names}: not there before the server's first start")
    shown = ", ".join(map(str, others[:_SHOWN]))
    return warn(
        "SERVER_LOGS", f"none of {names} is there, but {shown}", "name in SERVER_LOGS the log that says it is ready"
    )


def list_other_logs(settings: Settings) -> list[Path]:
    """Logs of any name in SERVER_DIR and in the server's own LogsDir."""
    folders = {settings.server_dir.resolve(), logs_folder(settings)}
    return sorted(log for folder in folders for log in folder.glob("*.log") if log.is_file())


def check_revision(settings: Settings) -> Iterator[Finding]:
    """Whether the base of the first fix is known."""
    if settings.server_commit is not None:
        yield _check_commit(settings, "SERVER_COMMIT", settings.server_commit)
        return
    own = _find_own_build(settings)
    if own is not None:
        yield ok("SERVER_COMMIT", f"what lies in SERVER_DIR is the bot's own build of {own[:12]}")
        return
    rule = re.compile(ReadyRule().revision.encode())
    logs = [log for log in realm.below(settings.server_dir, settings.server_logs) if log.is_file()]
    found = next((hit for log in logs for line in read_lines(log) if (hit := rule.search(line))), None)
    if found is None and not logs:
        yield warn(
            "SERVER_COMMIT",
            "what the server was built from is read from its log once it has started: there is no log yet",
            "if it prints no revision, name its commit in SERVER_COMMIT; else an operator is asked first",
        )
    elif found is None:
        yield warn(
            "SERVER_COMMIT",
            "the logs do not say what commit the server was built from",
            "name it in SERVER_COMMIT; else an operator is asked before the first fix",
        )
    elif found["dirty"]:
        yield warn(
            "SERVER_COMMIT",
            f"the server was built from {found['hash'].decode()} with changes of its own (`+`)",
            "commit them and build anew, or name the commit to begin at in SERVER_COMMIT",
        )
    else:
        yield _check_commit(settings, "revision", found["hash"].decode())


def _find_own_build(settings: Settings) -> str | None:
    """The commit of the build that the keeper observes there, where it is one that the bot made: what lay there before
    has another name."""
    observed = FileKeeper(settings.state_dir, settings.server_dir).observed()
    build = observed.build if observed is not None else None
    return build if build is not None and _COMMIT.fullmatch(build) else None


def _check_commit(settings: Settings, name: str, commit: str) -> Finding:
    """In the checkout, or in our clone: what runs may be a fix of ours, which the checkout never gets."""
    cure = "fetch it into SOURCE_DIR, or name in SERVER_COMMIT the commit that the server was built from"
    git = GitProgram(settings.state_dir)
    try:
        if _has_commit(git, settings.source_dir, commit):
            return ok(name, f"{commit} is in SOURCE_DIR")
        clone = settings.state_dir / CLONE
        if (clone / ".git").is_dir() and _has_commit(git, clone, commit):
            return ok(name, f"{commit} is in the bot's own clone")
    except PipelineError as fault:
        return warn(name, f"{commit} could not be looked up ({fault})", cure)
    return warn(name, f"{commit} is no commit of SOURCE_DIR", cure)


def _has_commit(git: GitProgram, folder: Path, commit: str) -> bool:
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}")
    return git.run(*words, cwd=folder, accept=(0, 1, 128), timeout=SECONDS).status == 0


def read_lines(log: Path) -> Iterator[bytes]:
    """The lines of a log's first part; a server begins its log anew at each start."""
    try:
        with log.open("rb") as file:
            while (line := file.readline(_LONGEST_LINE)) and file.tell() < _MOST_LOG:
                yield line
    except OSError:
        return


def check_console(settings: Settings) -> Iterator[Finding]:
    password = settings.server_console_password
    try:
        console = parse_console(
            settings.server_console,
            settings.server_console_user or "",
            password.get_secret_value() if password else "",
            SECONDS,
        )
    except ValueError as fault:
        yield fail("SERVER_CONSOLE", str(fault), "write it as soap://127.0.0.1:7878, ra://127.0.0.1:3443 or signal")
        return
    if console is None:
        yield warn(
            "SERVER_CONSOLE",
            "signal: players are not told of a restart, and nothing is saved before the stop begins",
            "switch SOAP on in worldserver.conf and name it, with an account, in SERVER_CONSOLE",
        )
        return
    try:
        yield ok("SERVER_CONSOLE", f"answers: {ServerConsole(console).info().strip().splitlines()[0][:120]}")
    except (ConsoleUnavailable, IndexError) as fault:
        yield _explain(settings, str(fault))


def _explain(settings: Settings, words: str) -> Finding:
    if settings.server_port and not is_open(settings.server_port):
        return warn(
            "SERVER_CONSOLE",
            f"could not be tried, the server does not run ({words})",
            "start the server, then ask again",
        )
    return fail(
        "SERVER_CONSOLE",
        f"does not work ({words})",
        "see SOAP.Enabled or Ra.Enable in worldserver.conf; the account needs security level 3 for all realms (-1)",
    )
