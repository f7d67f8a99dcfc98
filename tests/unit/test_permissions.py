"""Default deny: one table says who may do what."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import discord
import pytest
from discord import app_commands

from bot import commands
from bot.client import COMMANDS
from bot.commands.buttons import ORDERS
from bot.permissions import TABLE, Allowed, Decision, Denied, Need, Operators, Visitor, decide

GUILD, ROLE, USER = 1, 20, 300
OPERATORS = Operators(GUILD, frozenset({ROLE}), frozenset({USER}))
BY_ROLE = Visitor(7, GUILD, frozenset({ROLE, GUILD}))
BY_ID = Visitor(USER, GUILD)
GUEST = Visitor(8, GUILD, frozenset({GUILD, 21}))
ORDERING = sorted(action for action, need in TABLE.items() if need is Need.OPERATOR)


def text_of(decision: Decision) -> str:
    assert isinstance(decision, Denied)
    return decision.message.content


def test_only_what_reads_is_for_everyone_and_what_players_wrote_is_not() -> None:
    everyone = {action for action, need in TABLE.items() if need is Need.MEMBER}
    assert everyone == {"status", "summary", "crashes", "crash", "run", "whoami"}


@pytest.mark.parametrize("action", ORDERING)
def test_an_operator_by_role_or_by_id_may_order(action: str) -> None:
    assert decide(action, BY_ROLE, OPERATORS) == Allowed()
    assert decide(action, BY_ID, OPERATORS) == Allowed()


@pytest.mark.parametrize("action", ORDERING)
def test_fault_b12_whoever_is_no_operator_is_refused_with_the_reason(action: str) -> None:
    assert "DISCORD_OPERATOR_ROLE_IDS" in text_of(decide(action, GUEST, OPERATORS))


@pytest.mark.parametrize("action", ORDERING)
def test_fault_b12_with_no_operators_configured_nobody_may_order(action: str) -> None:
    assert isinstance(decide(action, BY_ROLE, Operators(GUILD)), Denied)
    assert isinstance(decide(action, BY_ID, Operators(GUILD)), Denied)


@pytest.mark.parametrize("action", sorted(TABLE))
def test_direct_messages_and_other_servers_are_refused_even_for_operators(action: str) -> None:
    alone = Visitor(USER, None, frozenset({ROLE}))
    elsewhere = Visitor(USER, 2, frozenset({ROLE}))
    assert "not in direct messages" in text_of(decide(action, alone, OPERATORS))
    assert "not in another one" in text_of(decide(action, elsewhere, OPERATORS))


def test_an_operator_whose_role_was_taken_is_a_guest() -> None:
    assert isinstance(decide("pause", Visitor(7, GUILD, frozenset({GUILD})), OPERATORS), Denied)


def test_what_is_not_in_the_table_is_refused() -> None:
    assert "another version" in text_of(decide("launch", BY_ROLE, OPERATORS))


def test_every_button_has_its_row_in_the_table() -> None:
    assert set(ORDERS) <= set(TABLE)


def test_every_command_has_its_row_in_the_table() -> None:
    sources = Path(commands.__file__).parent.glob("*.py")
    named = {
        name
        for each in sources
        for name in re.findall(r'(?:tree\.command\(name|Kind\(\s*command)="([a-z-]+)"', each.read_text("utf-8"))
    }
    client = discord.Client(intents=discord.Intents.none())
    tree, guild = app_commands.CommandTree(client), discord.Object(1)
    for each in COMMANDS:
        each.register(tree, cast(Any, None), guild)
    assert named == {each.name for each in tree.get_commands(guild=guild)}
    assert named <= set(TABLE)
