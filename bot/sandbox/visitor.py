"""What a person does in the channel: a slash command, a click, a dialogue that is filled in, a completion; and the
waiting for what the bot answers."""

import asyncio
import secrets
from dataclasses import replace
from typing import Any

from bot.sandbox.errors import Json
from bot.sandbox.guild import Message, User
from bot.sandbox.interaction import Interaction, InteractionType, Opened
from bot.sandbox.limits import LARGEST_FILE, TYPED, list_fields
from bot.sandbox.message_payloads import number_components, show_message
from bot.sandbox.payloads import show_channel, show_member
from bot.sandbox.service import Service
from bot.sandbox.state import MessageState, Pressed, Reply, describe_message

STRING, INTEGER, BOOLEAN, NUMBER = 3, 4, 5, 10
CHAT_INPUT, BUTTON = 1, 2
GUILD_CONTEXT = 0


class VisitorError(ValueError):
    """Discord's own client would not have let a person do this: no such command, option, message, button or user."""


async def slash(service: Service, command: str, options: Json, user: str, channel: str | None = None) -> Pressed:
    """Waits for the answering message, for a deferred one until it is filled in, at most `rules.patience` seconds."""
    known = get_command(service, command)
    data = _describe_command(known, _read_options(known, options))
    interaction = _begin(service, InteractionType.COMMAND, data, user, channel or service.guild.channel_id)
    return await _await_reply(service, interaction)


async def click(service: Service, message_id: str, custom_id: str, user: str, fields: Json | None = None) -> Reply:
    """As `slash`, with what is typed where the bot asks in a dialogue first; None = it is sent as it was opened. An
    ephemeral message can be clicked only by the person who sees it."""
    reply = await press(service, message_id, custom_id, user)
    return reply if "dialogue" not in reply else await submit(service, reply["interaction_id"], fields or {}, user)


async def press(service: Service, message_id: str, custom_id: str, user: str) -> Pressed:
    """As `click`, with the dialogue itself where one is opened."""
    message, label = _get_clickable(service, message_id, custom_id, _get_user(service, user))
    data = {"component_type": BUTTON, "custom_id": custom_id}
    interaction = _begin(service, InteractionType.COMPONENT, data, user, message.channel, message)
    interaction.pressed = label
    return await _await_reply(service, interaction)


async def submit(service: Service, interaction_id: str, fields: Json, user: str) -> Reply:
    """The dialogue that was opened for this person is sent, with these texts by their custom_id. Until it is answered
    it stays open and can be sent again."""
    opener = service.interactions.get(interaction_id)
    if opener is None or opener.dialogue is None or opener.user != _get_user(service, user).id:
        raise VisitorError(f"no dialogue is open for {user}")
    parts = [_fill_in(part, fields) for part in number_components(opener.dialogue["components"])]
    data = {"custom_id": opener.dialogue["custom_id"], "components": parts}
    message = service.guild.messages.get(opener.message or "")
    interaction = _begin(service, InteractionType.MODAL_SUBMIT, data, user, opener.channel, message, opener)
    reply = await _await_reply(service, interaction)
    if interaction.acknowledged is not None:
        opener.dialogue = None
    return reply


def _fill_in(part: Json, fields: Json) -> Json:
    """A row or a label as it comes back: only what was typed."""
    filled = [
        {"type": each["type"], "id": each["id"], "custom_id": each["custom_id"], "value": _type_in(each, fields)}
        for each in list_fields(part)
    ]
    inside = {"component": filled[0]} if "component" in part else {"components": filled}
    return {"type": part["type"], "id": part["id"]} | inside


def _type_in(field: Json, fields: Json) -> str:
    typed = str(fields.get(field["custom_id"], field.get("value") or ""))
    required = field.get("required", True)
    if len(typed) > (longest := field.get("max_length") or TYPED):
        raise VisitorError(f"{field['custom_id']} takes at most {longest} characters")
    if (required or typed) and len(typed) < (shortest := field.get("min_length") or int(bool(required))):
        raise VisitorError(f"{field['custom_id']} needs at least {shortest} characters")
    return typed


async def complete(service: Service, command: str, option: str, value: Any, user: str, options: Json) -> list[Json]:
    """The choices that the bot offers for what was typed so far; none when it did not answer in time."""
    known = get_command(service, command)
    given = [*_read_options(known, options, complete=False), _read_option(known, option, value) | {"focused": True}]
    data = _describe_command(known, given)
    interaction = _begin(service, InteractionType.AUTOCOMPLETE, data, user, service.guild.channel_id)
    choices: list[Json] | None = await _await_answer(service, interaction)
    return choices or []


def get_command(service: Service, name: str) -> Json:
    found = next((command for command in service.guild.commands.values() if command["name"] == name), None)
    if found is None:
        raise VisitorError(f"no command /{name} is registered")
    return found


def _get_user(service: Service, name: str) -> User:
    found = next((user for user in service.guild.users if user.name == name and not user.bot), None)
    if found is None:
        raise VisitorError(f"nobody here is called {name!r}: operator or guest")
    return found


def _describe_command(command: Json, options: list[Json]) -> Json:
    place = {"guild_id": command["guild_id"]} if "guild_id" in command else {}
    return {"id": command["id"], "name": command["name"], "type": CHAT_INPUT, "options": options} | place


def _read_options(command: Json, options: Json, *, complete: bool = True) -> list[Json]:
    missing = [o["name"] for o in command.get("options") or [] if o.get("required") and o["name"] not in options]
    if missing and complete:
        raise VisitorError(f"/{command['name']} needs {', '.join(missing)}")
    return [_read_option(command, name, value) for name, value in options.items() if value is not None]


def _read_option(command: Json, name: str, value: Any) -> Json:
    option = next((o for o in command.get("options") or [] if o["name"] == name), None)
    if option is None:
        raise VisitorError(f"/{command['name']} has no option {name!r}")
    choices = [choice["value"] for choice in option.get("choices") or []]
    typed = _convert(option["type"], value)
    if choices and typed not in choices:
        raise VisitorError(f"{name} must be one of {', '.join(map(str, choices))}")
    return {"name": name, "type": option["type"], "value": typed}


def _convert(kind: int, value: Any) -> Any:
    try:
        if kind == INTEGER:
            return int(value)
        if kind == NUMBER:
            return float(value)
        return str(value).lower() in ("true", "1", "yes") if kind == BOOLEAN else str(value)
    except (TypeError, ValueError) as error:
        raise VisitorError(f"{value!r} is not a number") from error


def _get_clickable(service: Service, message_id: str, custom_id: str, user: User) -> tuple[Message, str | None]:
    """With what stands on its button."""
    message = service.guild.messages.get(message_id)
    if message is None or message.ephemeral_to not in (None, user.id):
        raise VisitorError(f"{user.name} sees no message {message_id}")
    button = next((c for c in _list_components(message.components) if c.get("custom_id") == custom_id), None)
    if button is None or button.get("disabled"):
        raise VisitorError(f"message {message_id} has no button {custom_id!r} that can be pressed")
    return message, button.get("label")


def _list_components(components: tuple[Json, ...] | list[Json]) -> list[Json]:
    return [found for c in components for found in (c, *_list_components(c.get("components") or []))]


def _begin(
    service: Service,
    kind: InteractionType,
    data: Json,
    user: str,
    channel: str,
    message: Message | None = None,
    opener: Interaction | None = None,
) -> Interaction:
    person = _get_user(service, user)
    if channel not in service.guild.channels:
        raise VisitorError(f"there is no channel {channel}")
    _forget_expired(service)
    interaction = Interaction(
        id=service.guild.next_id(),
        token=secrets.token_urlsafe(48),
        type=kind,
        user=person.id,
        channel=channel,
        begun=service.clock.steady(),
        answered=asyncio.get_running_loop().create_future(),
        message=None if message is None else message.id,
        command=data.get("name") if opener is None else opener.command,
        pressed=None if opener is None else opener.pressed,
        opener=opener,
    )
    service.interactions[interaction.id] = interaction
    service.gateway.dispatch("INTERACTION_CREATE", _describe(service, interaction, data, person, message))
    return interaction


def _describe(service: Service, interaction: Interaction, data: Json, person: User, message: Message | None) -> Json:
    guild = service.guild
    about: Json = {"id": interaction.id, "application_id": guild.bot.id, "type": int(interaction.type), "version": 1}
    about |= {"token": interaction.token, "data": data, "locale": "en-US", "guild_locale": "en-US", "entitlements": []}
    place: Json = {
        "guild_id": guild.id,
        "guild": {"id": guild.id, "locale": "en-US", "features": []},
        "context": GUILD_CONTEXT,
    }
    place |= {"channel_id": interaction.channel, "channel": show_channel(guild, guild.channels[interaction.channel])}
    rights: Json = {"app_permissions": str(int(guild.permissions_of(guild.bot))), "attachment_size_limit": LARGEST_FILE}
    rights["authorizing_integration_owners"] = {"0": guild.id}
    member = show_member(guild, person) | {"permissions": str(int(guild.permissions_of(person)))}
    shown = {} if message is None else {"message": show_message(guild, service.base, message)}
    return about | place | rights | {"member": member} | shown


def _forget_expired(service: Service) -> None:
    """An hour after their tokens went, so that a late answer is still told from a wrong one."""
    oldest = service.clock.steady() - service.rules.token_life - 3600
    service.interactions = {key: i for key, i in service.interactions.items() if i.begun > oldest}


async def _await_answer(service: Service, interaction: Interaction) -> Any:
    """None when nothing came within the visitor's patience."""
    done, _ = await asyncio.wait([interaction.answered], timeout=service.rules.patience)
    return interaction.answered.result() if done else None


async def _await_reply(service: Service, interaction: Interaction) -> Pressed:
    message_id = await _await_answer(service, interaction)
    if isinstance(message_id, Opened) and interaction.dialogue is not None:
        return {"interaction_id": interaction.id, "response": None, "dialogue": interaction.dialogue}
    return {"interaction_id": interaction.id, "response": _find_shown(service, message_id)}


def _find_shown(service: Service, message_id: str | None) -> MessageState | None:
    message = service.guild.messages.get(message_id or "")
    return None if message is None else describe_message(service.guild, service.base, message)


def set_operator(service: Service, user: str, *, granted: bool) -> None:
    """Gives a person the operator role, or takes it; the next interaction carries it."""
    person = _get_user(service, user)
    changed = replace(person, roles=(service.guild.operator_role_id,) if granted else ())
    if person.id == service.guild.operator.id:
        service.guild.operator = changed
    else:
        service.guild.guest = changed
    service.changed()
