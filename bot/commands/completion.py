"""Completions: what a person would otherwise copy. Redacted, within Discord's 25 choices of 100 characters."""

from __future__ import annotations

from collections.abc import Iterable

from discord import app_commands

from bot import messages
from bot.commands import Desk
from bot.limits import CHOICE, CHOICES, cut_middle, width
from bot.markup import visible
from pipeline.model import RunState
from pipeline.read_models import FixLine
from pipeline.status_models import RunLine


def offer(desk: Desk, pairs: Iterable[tuple[str, str]], typed: str) -> list[app_commands.Choice[str]]:
    """Of (label, value) those that hold every word that was typed, in their order."""
    words = typed.strip().lower().split()
    choices = []
    for label, value in pairs:
        shown = visible(desk.redact(label))
        if width(value) <= CHOICE and all(word in f"{shown} {value}".lower() for word in words):
            choices.append(app_commands.Choice(name=cut_middle(shown, CHOICE), value=value))
    return choices[:CHOICES]


def offer_fixes(desk: Desk, fixes: list[FixLine], typed: str) -> list[app_commands.Choice[str]]:
    """Fixes that can still be reverted, newest first."""
    return offer(desk, [(messages.label_fix(fix), fix.commit) for fix in fixes if not fix.reverted], typed)


async def offer_runs(desk: Desk, states: Iterable[RunState], typed: str) -> list[app_commands.Choice[str]]:
    """Runs in these states, newest first."""
    wanted = frozenset(states)
    runs: list[RunLine] = [run for run in await desk.orders.list_runs() if run.state in wanted]
    return offer(desk, [(messages.label_run(run), run.id) for run in runs], typed)
