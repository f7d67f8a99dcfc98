"""`python -m bot.demo crash|fix|answer-by|status|summary`: a visitor in a running demo, from another terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

from bot.demo import acts, bugs
from bot.demo.turn import Turn, give_turn
from bot.demo.world import REALM_NAME, DemoWorld
from pipeline.errors import PipelineError

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
def summary(world: Path) -> None:
    """What this night brought."""
    attempt(lambda: ask("summary", acts.find_world(world)))


def ask(what: str, world: DemoWorld) -> str:
    """What `spirit-healer` prints of the realm, and nothing of another one that is set up here."""
    from bot import report
    from bot.settings import NAMES

    for name in NAMES:
        os.environ.pop(name, None)
    os.environ |= {"REALM_NAME": REALM_NAME, "STATE_DIR": str(world.state_dir), "SERVER_DIR": str(world.server_dir)}
    os.chdir(world.folder)  # no `.env` is there
    if what == "status":
        return report.as_text(report.read_status())
    return report.summary_as_text(report.read_summary(None))


def let_answer(world: DemoWorld, turn: Turn) -> str:
    give_turn(world.folder, turn)
    return "Requests wait for you." if turn is Turn.VISITOR else "The example analyst answers."


def send_fix(world: DemoWorld, bug: bugs.PlantedBug, kind: bugs.FixKind) -> str:
    request = acts.find_request(world, bug)
    if request is None:
        return f"Nothing is asked about {bug.name}: crash the realm with it first (or it is answered already)."
    acts.answer(world, bug, request, kind)
    return f"Answered request {request} with the fix `{kind}`."


def attempt(act: Callable[[], str]) -> None:
    try:
        click.echo(act())
    except PipelineError as fault:
        click.echo(str(fault), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
