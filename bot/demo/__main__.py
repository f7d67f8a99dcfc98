"""`python -m bot.demo crash|fix|answer-by|status|summary|doctor`: a visitor in a demo, at another terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

from bot.demo import acts, bugs
from bot.demo.known import Known
from bot.demo.turn import Turn, give_turn
from bot.demo.world import REALM_NAME, DemoWorld, list_words, settings_of
from pipeline.errors import DefiniteError, PipelineError
from pipeline.model import OVER, STATE_WORDS

NAMES = click.Choice([bug.name for bug in bugs.BUGS])
TURNS = click.Choice([turn.value for turn in Turn])
KINDS = click.Choice([kind.value for kind in bugs.FixKind])
WORLD = click.option(
    "--world", required=True, type=click.Path(path_type=Path), help="The folder that the demo printed."
)


@click.group()
def main() -> None:
    """Crashes the demo's realm, answers as its analyst, or asks the bot's files."""


@main.command()
@click.argument("name", type=NAMES)
@WORLD
def crash(name: str, world: Path) -> None:
    """Sets a planted bug off."""
    attempt(lambda: acts.crash(acts.find_world(world), bugs.get_bug(name)))


@main.command()
@click.argument("name", type=NAMES)
@click.argument("kind", type=KINDS, default=bugs.FixKind.GOOD.value)
@WORLD
def fix(name: str, kind: str, world: Path) -> None:
    """Answers the open request about a bug."""
    attempt(lambda: send_fix(acts.find_world(world), bugs.get_bug(name), bugs.FixKind(kind)))


@main.command()
@click.argument("who", type=TURNS)
@WORLD
def answer_by(who: str, world: Path) -> None:
    """Says who answers: the example analyst, or you alone."""
    attempt(lambda: let_answer(acts.find_world(world), Turn(who)))


@main.command()
@WORLD
def status(world: Path) -> None:
    """What happens now in the realm."""
    attempt(lambda: ask("status", acts.find_world(world)))


@main.command()
@WORLD
def doctor(world: Path) -> None:
    """Checks the realm's settings against the world."""
    attempt(lambda: examine(acts.find_world(world)))


@main.command()
@WORLD
def summary(world: Path) -> None:
    """What this night brought."""
    attempt(lambda: ask("summary", acts.find_world(world)))


def ask(what: str, world: DemoWorld) -> str:
    """What `spirit-healer` prints of the realm."""
    from bot import report

    enter(world)
    if what == "status":
        return report.as_text(report.read_status())
    return report.summary_as_text(report.read_summary(None))


def examine(world: DemoWorld) -> str:
    """What `spirit-healer doctor --sandbox` prints of the realm."""
    from bot import doctor as practice
    from bot.demo.play import SOAK

    enter(world)
    settings = settings_of(world, SOAK, list_words("bot.demo.turn", str(world.folder)), 0, None)
    return practice.render(practice.check(settings, sandbox=True))


def enter(world: DemoWorld) -> None:
    """So that nothing of another realm that is set up here is read."""
    from bot.settings import NAMES

    for name in NAMES:
        os.environ.pop(name, None)
    os.environ |= {"REALM_NAME": REALM_NAME, "STATE_DIR": str(world.state_dir), "SERVER_DIR": str(world.server_dir)}
    os.chdir(world.folder)  # no `.env` is there


def let_answer(world: DemoWorld, turn: Turn) -> str:
    give_turn(world.folder, turn)
    return "Requests wait for you." if turn is Turn.VISITOR else "The example analyst answers."


def send_fix(world: DemoWorld, bug: bugs.PlantedBug, kind: bugs.FixKind) -> str:
    known = look_into(world)
    request = acts.find_request(world, bug, known.list_proposed() if known else ())
    if request is None:
        raise DefiniteError(f"Nothing is asked about {bug.name}: {explain(world, bug, known)}")
    acts.answer(world, bug, request, kind)
    return f"Answered request {request} with the fix `{kind}`."


def look_into(world: DemoWorld) -> Known | None:
    """What the demo's bot knows; None before it has a database."""
    from bot import report

    enter(world)
    where = report.locate()
    return Known(report.open_store(where), report.find_keeper(where)) if where.has_database else None


def explain(world: DemoWorld, bug: bugs.PlantedBug, known: Known | None) -> str:
    """Why nothing is asked about a bug, and what to do."""
    asked = [each.id for each in acts.read_requests(world) if each.bug == bug]
    run = known.find_run(asked) if known else None
    if known is None or run is None:
        return "crash the realm with it first; a crash is asked about once it is read."
    if (commit := known.find_fix(asked)) is not None:
        return f"it is fixed in {commit[:12]}, which is live."
    words = STATE_WORDS[run.state]
    if run.state in OVER:
        return f"run {run.id} is {words}. Crash the realm with it again, or `/retry {run.id}` on the page."
    return f"run {run.id} is {words}, and takes no answer now."


def attempt(act: Callable[[], str]) -> None:
    try:
        click.echo(act())
    except PipelineError as fault:
        click.echo(str(fault), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
