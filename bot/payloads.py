"""What a message is before discord.py sees it: plain values, so that every text can be tested without a client."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from pathlib import Path


class Colour(IntEnum):
    """Always tells the present state."""

    GREY = 0x95A5A6  # waiting
    BLUE = 0x3498DB  # working
    GREEN = 0x2ECC71  # live
    AMBER = 0xF1A33C  # a person is needed
    RED = 0xE74C3C  # down or rolled back


class Style(Enum):
    """How a button looks."""

    PRIMARY = "primary"
    SECONDARY = "secondary"
    DANGER = "danger"


@dataclass(frozen=True)
class Button:
    label: str
    custom_id: str  # `<action>:<argument>`, at most 100 characters; see commands.buttons
    style: Style = Style.SECONDARY


@dataclass(frozen=True)
class Attachment:
    """A file beside a message. One of `text`, `path` and `content` is filled; a path is read when the message is sent,
    and `content` is a picture of our own making, which holds no words of others."""

    name: str
    text: str | None = None
    path: Path | None = None
    content: bytes | None = None


@dataclass(frozen=True)
class Field:
    name: str
    value: str
    inline: bool = False


@dataclass(frozen=True)
class Embed:
    title: str = ""
    description: str = ""
    colour: Colour = Colour.GREY
    fields: tuple[Field, ...] = ()
    footer: str = ""
    image: str = ""  # name of the attachment that is shown in it


@dataclass(frozen=True)
class Message:
    """One message of ours. Nobody is pinged but, where `ping` is set, DISCORD_PING_ROLE_ID."""

    content: str = ""
    embed: Embed | None = None
    buttons: tuple[Button, ...] = ()
    files: tuple[Attachment, ...] = ()
    ping: bool = False
