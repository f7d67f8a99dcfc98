"""One slash, click, completion or filled in dialogue of a visitor, from its event to its answer."""

import asyncio
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from bot.sandbox.errors import Json


class InteractionType(IntEnum):
    COMMAND = 2
    COMPONENT = 3
    AUTOCOMPLETE = 4
    MODAL_SUBMIT = 5


class CallbackType(IntEnum):
    MESSAGE = 4
    DEFERRED_MESSAGE = 5
    DEFERRED_UPDATE = 6
    UPDATE = 7
    CHOICES = 8
    MODAL = 9


@dataclass(frozen=True)
class Opened:
    """The bot asks in a dialogue before it answers."""


@dataclass
class Interaction:
    id: str
    token: str
    type: InteractionType
    user: str
    # user id
    channel: str
    # channel id
    begun: float
    # steady seconds
    answered: "asyncio.Future[Any]"
    # message id, the choices of an autocomplete, or `Opened`
    message: str | None = None
    # id of the message with the component
    command: str | None = None
    # name of the slash command
    pressed: str | None = None
    # label of the button
    opener: "Interaction | None" = None
    # whose dialogue was filled in
    dialogue: Json | None = None
    # what the bot opened, as it sent it
    acknowledged: CallbackType | None = None
    original: str | None = None
    # id of the message that @original names

    def settle(self, answer: Any) -> None:
        """The visitor sees something; only the first counts."""
        if not self.answered.done():
            self.answered.set_result(answer)

    def describe(self, user: Json, guild_id: str) -> Json:
        """interaction_metadata of an answering message."""
        about: Json = {
            "id": self.id,
            "type": int(self.type),
            "user": user,
            "authorizing_integration_owners": {"0": guild_id},
        }
        if self.opener is not None:
            return about | {"triggering_interaction_metadata": self.opener.describe(user, guild_id)}
        return about | ({"interacted_message_id": self.message} if self.type is InteractionType.COMPONENT else {})
