"""Keeps the guild over a restart: one JSON file, replaced atomically before a request is answered, attachments in a
folder beside it."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from bot.sandbox.errors import Json
from bot.sandbox.files import Files, write_files
from bot.sandbox.guild import Attachment, Channel, Flag, Guild, Message, Role, User
from pipeline.keeper.protocol import parse_json

FORMAT = 1
_log = logging.getLogger(__name__)


class Store:
    """`path` None keeps nothing. Writes run in a thread, one after another, each with the newest state."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = asyncio.Lock()
        self._revision = 0
        self._saved = 0

    @property
    def folder(self) -> Path | None:
        """Where attachments lie."""
        return None if self._path is None else self._path.with_name(self._path.stem + "-files")

    def touch(self) -> None:
        self._revision += 1

    async def save(self, guild: Guild, files: Files) -> None:
        """Returns once everything up to this call is on disk, or the disk has refused it, which is logged."""
        if self._path is None or self.folder is None:
            return
        wished = self._revision
        async with self._lock:
            if self._saved < wished:
                revision, kept, unsaved = self._revision, dump_guild(guild), files.list_unsaved()
                try:
                    await asyncio.to_thread(_write, self._path, self.folder, kept, unsaved)
                except OSError as error:  # a full disk costs the memory of the channel, not the channel
                    _log.warning("the sandbox's messages could not be written to %s: %s", self._path, error)
                    return
                files.forget(list(unsaved))
                self._saved = revision


def _write(path: Path, folder: Path, kept: Json, unsaved: dict[str, bytes]) -> None:
    write_files(folder, unsaved, frozenset(a["id"] for message in kept["messages"] for a in message["attachments"]))
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(kept), encoding="utf-8")
    new.replace(path)


def dump_guild(guild: Guild) -> Json:
    """A snapshot that shares nothing which later changes."""
    ids = {name: getattr(guild, name) for name in ("id", "channel_id", "operator_role_id", "bot_role_id")}
    users = {name: asdict(getattr(guild, name)) for name in ("bot", "operator", "guest")}
    values = {
        name: [asdict(value) for value in getattr(guild, name).values()] for name in ("roles", "channels", "messages")
    }
    return {"format": FORMAT, **ids, **users, **values, "commands": list(guild.commands.values())}


def load_guild(path: Path, next_id: Callable[[], str]) -> Guild | None:
    """None if there is nothing, or nothing that can be read: that is moved aside, so that a damaged file costs its
    messages only."""
    try:
        return _restore(parse_json(path.read_text(encoding="utf-8")), next_id)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        _log.warning(
            "the sandbox's messages in %s cannot be read; it is kept as .unreadable and a new channel begins", path
        )
        with contextlib.suppress(OSError):
            path.replace(path.with_name(path.name + ".unreadable"))
        return None


def _restore(kept: Json, next_id: Callable[[], str]) -> Guild:
    if kept["format"] != FORMAT:
        raise ValueError(f"format {kept['format']}")
    return Guild(
        next_id=next_id,
        id=kept["id"],
        channel_id=kept["channel_id"],
        operator_role_id=kept["operator_role_id"],
        bot_role_id=kept["bot_role_id"],
        bot=_restore_user(kept["bot"]),
        operator=_restore_user(kept["operator"]),
        guest=_restore_user(kept["guest"]),
        roles={role["id"]: Role(**role) for role in kept["roles"]},
        channels={channel["id"]: Channel(**channel) for channel in kept["channels"]},
        messages={message["id"]: _restore_message(message) for message in kept["messages"]},
        commands={command["id"]: command for command in kept["commands"]},
    )


def _restore_user(kept: Json) -> User:
    return User(**kept | {"roles": tuple(kept["roles"])})


def _restore_message(kept: Json) -> Message:
    lists = {name: tuple(kept[name]) for name in ("embeds", "components", "mentioned_roles")}
    attachments = tuple(Attachment(**attachment) for attachment in kept["attachments"])
    return Message(**kept | lists | {"attachments": attachments, "flags": Flag(kept["flags"])})
