"""The one guild of the sandbox as plain values. Values are replaced, never changed in place, so a copy of a dict is a
snapshot."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntFlag

from bot.sandbox.errors import ApiError, Json, Refusal
from bot.sandbox.permission import BOT, EVERYONE, OPERATOR, Permission

DISCORD_EPOCH_MS = 1_420_070_400_000


class Flag(IntFlag):
    """Bits of a message's flags that the sandbox understands."""

    NONE = 0
    SUPPRESS_EMBEDS = 1 << 2
    HAS_THREAD = 1 << 5
    EPHEMERAL = 1 << 6
    LOADING = 1 << 7
    SUPPRESS_NOTIFICATIONS = 1 << 12
    COMPONENTS_V2 = 1 << 15


@dataclass(frozen=True)
class User:
    id: str
    name: str
    # what `user` of a slash or a click says, and what the state shows as author
    roles: tuple[str, ...] = ()
    # role ids besides @everyone
    bot: bool = False


@dataclass(frozen=True)
class Role:
    id: str
    name: str
    permissions: int
    # bits of `Permission`
    position: int


@dataclass(frozen=True)
class Attachment:
    id: str
    filename: str
    size: int
    # bytes
    content_type: str | None = None
    description: str | None = None


@dataclass(frozen=True)
class Channel:
    """A text channel, or a public thread if it has a parent."""

    id: str
    name: str
    created: float
    # seconds since 1970
    parent: str | None = None
    archived: bool = False
    locked: bool = False
    archive_after: int = 1440
    # minutes


@dataclass(frozen=True)
class Message:
    id: str
    channel: str
    author: str
    # user id
    created: float
    # seconds since 1970
    content: str = ""
    embeds: tuple[Json, ...] = ()
    components: tuple[Json, ...] = ()
    # exactly as the bot sent them
    attachments: tuple[Attachment, ...] = ()
    flags: Flag = Flag.NONE
    edited: float | None = None
    edits: int = 0
    nonce: str | None = None
    invocation: Json | None = None
    # interaction_metadata of an answer to an interaction
    command: str | None = None
    # name of the slash command that it answers
    pressed: str | None = None
    # label of the button that it answers, as it was then
    ephemeral_to: str | None = None
    # user id
    mentions_everyone: bool = False
    mentioned_roles: tuple[str, ...] = ()
    reply_to: str | None = None
    # message id

    @property
    def filled(self) -> bool:
        """False for a deferred answer that still shows "is thinking"."""
        return not self.flags & Flag.LOADING


@dataclass
class Guild:
    """Everything that a store keeps. Dicts are in order of creation."""

    next_id: Callable[[], str]
    id: str
    channel_id: str
    operator_role_id: str
    bot_role_id: str
    bot: User
    operator: User
    guest: User
    roles: dict[str, Role]
    channels: dict[str, Channel]
    messages: dict[str, Message] = field(default_factory=dict)
    commands: dict[str, Json] = field(default_factory=dict)
    # as registered, by id

    @property
    def users(self) -> tuple[User, User, User]:
        return (self.bot, self.operator, self.guest)

    def get_channel(self, channel_id: str) -> Channel:
        found = self.channels.get(channel_id)
        if found is None:
            raise ApiError(Refusal.UNKNOWN_CHANNEL)
        return found

    def get_message(self, channel_id: str, message_id: str) -> Message:
        """Raises ApiError for messages elsewhere and for ephemeral ones, which only their interaction's token
        reaches."""
        self.get_channel(channel_id)
        found = self.messages.get(message_id)
        if found is None or found.channel != channel_id or found.flags & Flag.EPHEMERAL:
            raise ApiError(Refusal.UNKNOWN_MESSAGE)
        return found

    def get_user(self, user_id: str) -> User:
        return next(user for user in self.users if user.id == user_id)

    def permissions_of(self, user: User) -> Permission:
        held = Permission(self.roles[self.id].permissions)
        for role in user.roles:
            held |= Permission(self.roles[role].permissions)
        return ~Permission.NONE if held & Permission.ADMINISTRATOR else held


class Snowflakes:
    """Ids as Discord makes them: the time in milliseconds, then a counter; always rising, even when the clock does
    not."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._last = 0

    def __call__(self) -> str:
        self._last = max(self._last + 1, _snowflake_of(self._wall()))
        return str(self._last)

    def continue_after(self, newest: str) -> None:
        """After a restart: the clock may have been set back since."""
        self._last = max(self._last, int(newest))


def _snowflake_of(seconds: float) -> int:
    return (int(seconds * 1000) - DISCORD_EPOCH_MS) << 22


def create_guild(next_id: Callable[[], str], now: float) -> Guild:
    """A new guild with one channel, the bot, an operator and a guest."""
    guild_id, channel_id, operator_role, bot_role = next_id(), next_id(), next_id(), next_id()
    roles = (
        Role(guild_id, "@everyone", EVERYONE, 0),
        Role(operator_role, "operator", OPERATOR, 1),
        Role(bot_role, "Spirit Healer", BOT, 2),
    )
    return Guild(
        next_id=next_id,
        id=guild_id,
        channel_id=channel_id,
        operator_role_id=operator_role,
        bot_role_id=bot_role,
        bot=User(next_id(), "Spirit Healer", (bot_role,), bot=True),
        operator=User(next_id(), "operator", (operator_role,)),
        guest=User(next_id(), "guest"),
        roles={role.id: role for role in roles},
        channels={channel_id: Channel(channel_id, "spirit-healer", now)},
    )
