"""The table of the REST API: what may be asked, who answers, who may ask and how often."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from bot.sandbox import answers, channels, commands, messages
from bot.sandbox.call import Answer, Call
from bot.sandbox.service import Service

Handler = Callable[[Service, Call], Answer]
PLACEHOLDERS = {"token": r"[^/]+", "answer": r"@original|\d+"}


class Guard(Enum):
    BOT = "the bot's token"
    LIMITED = "the bot's token, five in five seconds per channel"
    INTERACTION = "the interaction's own token, in the path"


@dataclass(frozen=True)
class Route:
    method: str
    template: str
    handler: Handler
    guard: Guard
    pattern: re.Pattern[str]

    def bucket(self, args: dict[str, str]) -> str:
        """Discord's major parameters part the buckets: channel, guild, webhook."""
        majors = [args[name] for name in ("channel", "guild", "token") if name in args]
        return f"{self.method} {self.template} {' '.join(majors)}"


def _route(method: str, template: str, handler: Handler, guard: Guard = Guard.BOT) -> Route:
    pattern = re.sub(r"\{(\w+)\}", lambda name: f"(?P<{name[1]}>{PLACEHOLDERS.get(name[1], r'[0-9]+')})", template)
    return Route(method, template, handler, guard, re.compile(pattern))


_GUILD_COMMANDS, _COMMANDS = (
    "/applications/{application}/guilds/{guild}/commands",
    "/applications/{application}/commands",
)
_MESSAGES, _MESSAGE = "/channels/{channel}/messages", "/channels/{channel}/messages/{message}"
_WEBHOOK = "/webhooks/{application}/{token}"
_ANSWER = _WEBHOOK + "/messages/{answer}"

ROUTES = (
    _route("GET", "/users/@me", channels.get_me),
    _route("GET", "/applications/@me", channels.get_application),
    _route("GET", "/oauth2/applications/@me", channels.get_application),
    _route("GET", "/gateway", channels.get_gateway),
    _route("GET", "/gateway/bot", channels.get_gateway_bot),
    _route("GET", "/guilds/{guild}", channels.get_guild),
    _route("GET", "/guilds/{guild}/roles", channels.list_roles),
    _route("GET", "/guilds/{guild}/channels", channels.list_channels),
    _route("GET", "/guilds/{guild}/threads/active", channels.list_active_threads),
    _route("GET", "/guilds/{guild}/members/{user}", channels.get_member),
    _route("GET", _GUILD_COMMANDS, commands.list_commands),
    _route("PUT", _GUILD_COMMANDS, commands.replace_commands),
    _route("GET", _COMMANDS, commands.list_commands),
    _route("PUT", _COMMANDS, commands.replace_commands),
    _route("GET", "/channels/{channel}", channels.get_channel),
    _route("PATCH", "/channels/{channel}", channels.edit_thread),
    _route("DELETE", "/channels/{channel}", channels.delete_thread),
    _route("POST", "/channels/{channel}/typing", channels.accept),
    _route("PUT", "/channels/{channel}/thread-members/@me", channels.accept),
    _route("POST", "/channels/{channel}/threads", channels.start_thread, Guard.LIMITED),
    _route("POST", _MESSAGE + "/threads", channels.start_thread_from_message, Guard.LIMITED),
    _route("GET", _MESSAGES, messages.list_messages),
    _route("POST", _MESSAGES, messages.create_message, Guard.LIMITED),
    _route("GET", _MESSAGE, messages.get_message),
    _route("PATCH", _MESSAGE, messages.edit_message, Guard.LIMITED),
    _route("DELETE", _MESSAGE, messages.delete_message, Guard.LIMITED),
    _route("POST", "/interactions/{interaction}/{token}/callback", answers.acknowledge, Guard.INTERACTION),
    _route("POST", _WEBHOOK, answers.send_followup, Guard.INTERACTION),
    _route("GET", _ANSWER, answers.get_answer, Guard.INTERACTION),
    _route("PATCH", _ANSWER, answers.edit_answer, Guard.INTERACTION),
    _route("DELETE", _ANSWER, answers.delete_answer, Guard.INTERACTION),
)


def find_route(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    for route in ROUTES:
        found = route.pattern.fullmatch(path) if route.method == method else None
        if found is not None:
            return route, found.groupdict()
    return None
