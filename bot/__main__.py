"""The command line: `spirit-healer run`, `keeper`, `demo`, `doctor`, `status`, `inspect`, `signatures`, `summary`,
`migrate`.

With `--json`, standard output is exactly that JSON on one line, and everything else goes to standard error. Imports
are made inside the commands: `status` must not pay for Discord, nor `keeper` for the database.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bot.settings import Settings

USAGE = 2  # exit code


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="spirit-healer")
def main() -> None:
    """Keeps a worldserver alive at night: restarts it, has its crashes fixed, and tells the channel."""
    from bot.log import forgive_code_pages

    forgive_code_pages()


def load_settings(*, sandbox: bool = False) -> Settings:
    """The settings, or one line per fault on standard error and exit code 2."""
    from bot.faults import SettingsError
    from bot.settings import load

    try:
        return load(sandbox=sandbox)
    except SettingsError as fault:
        for line in (*fault.faults, *find_hint(fault.faults)):
            click.echo(line, err=True)
        sys.exit(USAGE)


def find_hint(faults: Sequence[str]) -> list[str]:
    from bot.faults import say_no_file

    missing = any(": is missing" in line for line in faults)
    return [say_no_file()] if missing and not Path(".env").exists() else []


def forget_settings() -> None:
    """They are read; what is meant for the analyst stays for it."""
    from bot.settings import NAMES

    for name in NAMES:
        os.environ.pop(name, None)


@contextmanager
def without_looking_for_garbage() -> Iterator[None]:
    """What is loaded stays; that it was looked through, again and again, was a tenth of what loading computes."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, default=_write_plain))


def _write_plain(value: object) -> str:
    """A moment in ISO 8601, which str() writes with a space."""
    return value.isoformat() if isinstance(value, date) else str(value)


@main.command()
@click.option("--sandbox", is_flag=True, help="The loopback page instead of Discord; DISCORD_* is not read.")
def run(sandbox: bool) -> None:
    """The bot."""
    with without_looking_for_garbage():
        settings = load_settings(sandbox=sandbox)
        forget_settings()  # from here on no child of ours can inherit them: a library runs git when it is imported
        from bot import app, log
        from bot.memory import give_back_freed_memory
        from bot.wiring import build_redactor
        from pipeline.errors import PipelineError

    give_back_freed_memory()
    redact = build_redactor(settings)
    log.set_up(settings.state_dir / "logs", redact)

    def say_ready(built: app.App) -> None:
        if built.sandbox is not None:
            click.echo(f"The channel: {built.sandbox.address}", err=True)

    try:
        run_until_told(lambda stop: app.run(settings, stop, sandbox=sandbox, redact=redact, ready=say_ready))
    except PipelineError as fault:
        click.echo(redact(str(fault)), err=True)
        sys.exit(1)
    tell_what_goes_on(settings.state_dir, settings.server_dir)


def tell_what_goes_on(state_dir: Path, server_dir: Path) -> None:
    from bot.farewell import say_what_goes_on
    from pipeline.adapters.keeper_client import FileKeeper

    keeper = FileKeeper(state_dir, server_dir)
    click.echo(say_what_goes_on(keeper.observed() if keeper.alive() else None), err=True)


def run_until_told(work: Callable[[asyncio.Event], Any]) -> Any:
    """Runs a coroutine whose event is set by SIGINT, SIGTERM or CTRL_BREAK, also where SIGINT was ignored at start."""

    async def body() -> Any:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
            number = getattr(signal, name, None)
            if number is not None:
                signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(stop.set))
        return await work(stop)

    return asyncio.run(body())


@main.command()
def keeper() -> None:
    """The keeper in the foreground, for a service manager."""
    settings = load_settings(sandbox=True)
    from bot import realm
    from pipeline.adapters.keeper_client import FileKeeper
    from pipeline.keeper.__main__ import main as keep
    from pipeline.keeper.loop import EXIT_OTHER_KEEPER
    from pipeline.stages import wish

    described = realm.describe(settings)
    client = FileKeeper(described.state_dir, described.server_dir, withhold=described.withhold)
    if (words := client.find_elsewhere()) is not None:
        click.echo(words, err=True)
        sys.exit(EXIT_OTHER_KEEPER)
    previous = client.desired()
    wished = wish.first_wish(described, previous)
    try:
        described.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if wished != previous:
            client.wish(wished)
    except OSError as fault:  # a full disk must not keep the server down
        click.echo(f"desired.json cannot be written, so the last wish stays in force: {fault}", err=True)
    for name in described.withhold:
        os.environ.pop(name, None)
    folders = ["--state-dir", str(described.state_dir), "--server-dir", str(described.server_dir)]
    sys.exit(keep([*folders, "--foreground"]))


@main.command()
@click.option("--once", is_flag=True, help="Plays one crash by itself; exit code 0 only if it was healed.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON on standard output.")
def demo(once: bool, as_json: bool) -> None:
    """The sample realm in a temporary folder, under the bot: no account, no configuration."""
    from bot.demo import play

    sys.exit(run_until_told(lambda stop: play.play(stop, once=once, as_json=as_json)))


@main.command()
@click.option("--sandbox", is_flag=True, help="Leaves out what only Discord needs.")
@click.option("--json", "as_json", is_flag=True)
def doctor(sandbox: bool, as_json: bool) -> None:
    """Checks every setting against the world, and says how to mend each."""
    settings = load_settings(sandbox=sandbox)
    from dataclasses import asdict

    from bot import doctor as practice

    findings = practice.check(settings, sandbox=sandbox)
    if as_json:
        print_json([asdict(each) for each in findings])
    else:
        click.echo(practice.render(findings))
    sys.exit(1 if any(each.level == "fail" for each in findings) else 0)


@main.command()
@click.option("--json", "as_json", is_flag=True)
def status(as_json: bool) -> None:
    """What is happening now; works while the bot runs and while it does not."""
    from bot import report
    from pipeline.errors import DefiniteError

    try:
        view = report.read_status()
    except DefiniteError as fault:
        click.echo(str(fault), err=True)
        sys.exit(1)
    if as_json:
        print_json(report.as_plain(view))
    else:
        click.echo(report.as_text(view))


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True)
def inspect(files: tuple[Path, ...], as_json: bool) -> None:
    """What a crash report says."""
    from bot import report
    from pipeline.crash.as_json import inspect_object
    from pipeline.errors import DefiniteError

    try:
        found = list(zip(files, report.inspect(files), strict=True))
    except OSError as fault:
        click.echo(f"cannot be read: {fault}", err=True)
        sys.exit(USAGE)
    except DefiniteError as fault:
        click.echo(str(fault), err=True)
        sys.exit(USAGE)
    if as_json:
        plain = [inspect_object(each, str(path)) for path, each in found]
        print_json(plain[0] if len(plain) == 1 else plain)
    else:
        entries, faults = report.read_knowledge()
        click.echo("\n\n".join(report.describe_crash(path, each, entries) for path, each in found))
        for words in faults:
            click.echo(words, err=True)
    sys.exit(0 if all(each.kind != "unknown" for _, each in found) else 1)


@main.group()
def signatures() -> None:
    """What makes two crashes one."""


@signatures.command()
@click.option("--accept", is_flag=True, help="Puts the rules in force and signs all that is stored anew.")
@click.option("--json", "as_json", is_flag=True)
def replay(accept: bool, as_json: bool) -> None:
    """What the present rules, your lists included, would merge and split of all stored crashes."""
    from dataclasses import asdict

    from bot import report
    from pipeline.errors import DefiniteError

    try:
        found = report.replay_signatures(accept=accept)
    except DefiniteError as fault:
        click.echo(str(fault), err=True)
        sys.exit(1)
    if as_json:
        print_json(found and {**asdict(found), "accepted": accept})
    else:
        click.echo(report.describe_replay(found, accepted=accept))


@main.command()
@click.option(
    "--night",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="Its evening; without it, the night of now.",
)
@click.option("--json", "as_json", is_flag=True)
@click.option(
    "--chart", type=click.Path(dir_okay=False, writable=True, path_type=Path), metavar="FILE.png", help="Draws it."
)
def summary(night: datetime | None, as_json: bool, chart: Path | None) -> None:
    """What a night brought, as the channel reads it in the morning."""
    from bot import report
    from pipeline.errors import DefiniteError

    try:
        found = report.read_summary(night.date() if night else None)
        if chart is not None:
            report.write_chart(found, chart)
    except DefiniteError as fault:
        click.echo(str(fault), err=True)
        sys.exit(1)
    if as_json:
        print_json(report.summary_as_plain(found))
    else:
        click.echo(report.summary_as_text(found))


@main.command()
def migrate() -> None:
    """Brings the database to head (`run` does it too)."""
    from bot import report
    from pipeline.errors import PipelineError

    try:
        click.echo(report.migrate())
    except PipelineError as fault:
        click.echo(str(fault), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
