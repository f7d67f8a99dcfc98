"""A dialogue of one text, which a button opens before anything is ordered. It is told apart by its custom_id as the
button was: nothing of it is kept, so that it can be sent to another life of the bot."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import discord
from discord import ui

from bot.commands import UNHEARD
from bot.limits import sound
from bot.questions import Asked

TYPED = "typed"  # custom_id of the one text

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dialogue:
    custom_id: str
    words: Asked
    longest: int  # characters of what is typed, which may be left out


async def open_dialogue(interaction: discord.Interaction, dialogue: Dialogue) -> None:
    """Nothing is done yet, whether it is shown or not."""
    try:
        await interaction.response.send_modal(_make_modal(dialogue))
    except UNHEARD as fault:
        _log.warning("the dialogue %s did not reach Discord, nothing was done: %s", dialogue.custom_id, fault)


def _make_modal(dialogue: Dialogue) -> ui.Modal:
    words = dialogue.words
    modal = ui.Modal(title=words.title, custom_id=dialogue.custom_id)
    typed: ui.TextInput[ui.Modal] = ui.TextInput(
        custom_id=TYPED,
        style=discord.TextStyle.paragraph,
        placeholder=words.placeholder,
        required=False,
        max_length=dialogue.longest,
    )
    modal.add_item(ui.Label(text=words.label, description=words.description, component=typed))
    modal.stop()  # the library then keeps nothing of it: what is typed comes as an interaction like any other
    return modal


def read_typed(data: Any) -> str:
    """Of what was sent; "" = nothing was typed."""
    typed = (each.get("value") for each in _list_fields(data) if each.get("custom_id") == TYPED)
    return sound(str(next(typed, None) or ""))


def _list_fields(data: Any) -> Iterator[Any]:
    for part in data.get("components") or []:
        yield from [part["component"]] if "component" in part else part.get("components") or []
