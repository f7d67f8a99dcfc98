"""May the bot do this here? Decided from its roles at the moment of the request."""

from bot.sandbox.errors import ApiError, Refusal
from bot.sandbox.guild import Channel
from bot.sandbox.permission import Permission
from bot.sandbox.service import Service


def enter_channel(service: Service, channel_id: str, needed: Permission = Permission.NONE) -> Channel:
    """The channel, if it is there, may be seen, and everything `needed` is granted. Raises ApiError 10003, 50001,
    50013."""
    channel = service.guild.get_channel(channel_id)
    held = service.guild.permissions_of(service.guild.bot)
    if not held & Permission.VIEW_CHANNEL:
        raise ApiError(Refusal.MISSING_ACCESS)
    if needed & ~held:
        raise ApiError(Refusal.MISSING_PERMISSIONS)
    return channel
