"""Points the discord.py of this process at a sandbox. The only place that touches discord.py's addresses."""

import discord
import discord.gateway
import discord.http
import yarl


def redirect_discord(port: int) -> None:
    """Class-level, one target a process; call it again for another sandbox. Webhook and interaction routes follow
    Route.BASE."""
    discord.http.Route.BASE = f"http://127.0.0.1:{port}/api/v10"
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(f"ws://127.0.0.1:{port}/gateway/")
    discord.Asset.BASE = f"http://127.0.0.1:{port}/cdn"
