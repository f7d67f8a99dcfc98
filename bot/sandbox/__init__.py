"""A loopback Discord: REST v10, gateway, attachments, three calls of a visitor and a page, on 127.0.0.1 only.

For `demo`, `run --sandbox` and the tests. The real discord.py client talks to it over real sockets once
`redirect_discord` was called. In short::

    sandbox = await Sandbox.start()                 # or: async with await Sandbox.start() as sandbox
    redirect_discord(sandbox.port)                  # one target a process
    await client.start(sandbox.token)               # guild: sandbox.guild_id, channel: sandbox.channel_id
    await sandbox.wait_for(lambda state: state["ready"], timeout=10)
    reply = await sandbox.slash("status", {}, "guest")   # {"interaction_id", "response": message | None}
    reply = await sandbox.click(reply["response"]["id"], "confirm", "operator")
    choices = await sandbox.autocomplete("revert", "commit", "a1b")  # [{"name", "value"}]
    forget = sandbox.on_message(lambda event: print(event.kind, event.message["content"]))
    await sandbox.stop()

Ids are strings of digits, as Discord's are: `guild_id`, `channel_id`, `operator_role_id`, `operator_id`,
`guest_id`, `application_id`.
"""

from bot.sandbox.clock import Clock
from bot.sandbox.faults import Faults
from bot.sandbox.feed import MessageEvent
from bot.sandbox.panel import Panel, PanelButton, PanelGroup, PanelItem
from bot.sandbox.permission import Permission
from bot.sandbox.redirect import redirect_discord
from bot.sandbox.rules import Rules
from bot.sandbox.server import Sandbox
from bot.sandbox.state import MessageState, Reply, SandboxState
from bot.sandbox.visitor import VisitorError

__all__ = [
    "Clock",
    "Faults",
    "MessageEvent",
    "MessageState",
    "Panel",
    "PanelButton",
    "PanelGroup",
    "PanelItem",
    "Permission",
    "Reply",
    "Rules",
    "Sandbox",
    "SandboxState",
    "VisitorError",
    "redirect_discord",
]
