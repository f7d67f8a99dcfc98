"""/whoami: what you may do here, and why."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.commands import Desk, Order, Reply, asked, get_visitor, serve
from bot.standing import find_standing, render_standing
from pipeline.model import Actor


def register(tree: app_commands.CommandTree, desk: Desk, guild: discord.abc.Snowflake) -> None:
    @tree.command(name="whoami", description="What you may do here, and why; only you see it", guild=guild)
    async def whoami(interaction: discord.Interaction) -> None:
        roles = interaction.user.roles if isinstance(interaction.user, discord.Member) else []
        names = {role.id: role.name for role in roles}
        standing = find_standing(get_visitor(interaction), desk.operators, names)
        commands = [each.name for each in tree.get_commands(guild=guild)]

        async def work(by: Actor) -> Reply:
            return asked(render_standing(by, standing, commands))

        await serve(desk, interaction, Order("whoami", "", work, changes=False, private=True))
