"""Handlers of messages in channels and threads (developer docs, resource Message)."""

from dataclasses import replace

from bot.sandbox.access import enter_channel
from bot.sandbox.call import NOTHING, Answer, Call
from bot.sandbox.errors import ApiError, Refusal
from bot.sandbox.guild import Channel, Flag, Message
from bot.sandbox.permission import Permission
from bot.sandbox.posting import compose, rewrite
from bot.sandbox.service import Service

LONGEST_LIST = 100


def create_message(service: Service, call: Call) -> Answer:
    channel = enter_channel(service, call.args["channel"], _needed(service, call))
    first = _find_repeated(service, call)
    if first is not None:
        return Answer(service.show(first))
    message = compose(service, channel.id, call.body, call.files)
    _reopen(service, channel)
    if message.nonce is not None:
        service.nonces[message.nonce] = (service.clock.steady(), message.id)
    return Answer(service.show(service.post(message)))


def _needed(service: Service, call: Call) -> Permission:
    channel = service.guild.channels.get(call.args["channel"])
    in_thread = channel is not None and channel.parent is not None
    needed = Permission.SEND_MESSAGES_IN_THREADS if in_thread else Permission.SEND_MESSAGES
    needed |= Permission.ATTACH_FILES if call.files else Permission.NONE
    return needed | (Permission.EMBED_LINKS if call.body.get("embeds") else Permission.NONE)


def _find_repeated(service: Service, call: Call) -> Message | None:
    """The message that this nonce has made already, where the request asks for it and the window is open."""
    oldest = service.clock.steady() - service.rules.nonce_window
    service.nonces = {nonce: made for nonce, made in service.nonces.items() if made[0] > oldest}
    made = service.nonces.get(str(call.body.get("nonce"))) if call.body.get("enforce_nonce") else None
    return None if made is None else service.guild.messages.get(made[1])


def _reopen(service: Service, channel: Channel) -> None:
    """A post in an archived thread opens it again, unless it is locked."""
    if channel.locked:
        raise ApiError(Refusal.THREAD_ARCHIVED)
    if channel.archived:
        service.put_channel(replace(channel, archived=False))


def edit_message(service: Service, call: Call) -> Answer:
    message = _own_message(service, call)
    changed = rewrite(service, message, call.body, call.files)
    _count_old_edit(service, message)
    return Answer(service.show(service.replace(changed)))


def _own_message(service: Service, call: Call) -> Message:
    channel = enter_channel(service, call.args["channel"])
    message = service.guild.get_message(channel.id, call.args["message"])
    if message.author != service.guild.bot.id:
        raise ApiError(Refusal.NOT_THE_AUTHOR)
    if channel.archived:
        raise ApiError(Refusal.THREAD_ARCHIVED)
    return message


def _count_old_edit(service: Service, message: Message) -> None:
    rules, now = service.rules, service.clock.steady()
    if service.clock.wall() - message.created <= rules.old_message_age:
        return
    recent = [then for then in service.old_edits.get(message.channel, []) if now - then < rules.old_edit_period]
    if len(recent) >= rules.old_edits:
        raise ApiError(Refusal.OLD_EDITS, retry_after=rules.old_edit_retry_after)
    service.old_edits[message.channel] = [*recent, now]


def delete_message(service: Service, call: Call) -> Answer:
    service.remove(_own_message(service, call))
    return NOTHING


def get_message(service: Service, call: Call) -> Answer:
    channel = enter_channel(service, call.args["channel"], Permission.READ_MESSAGE_HISTORY)
    return Answer(service.show(service.guild.get_message(channel.id, call.args["message"])))


def list_messages(service: Service, call: Call) -> Answer:
    """Newest first, whatever end was asked for. Without the right to read history Discord shows an empty channel."""
    channel = enter_channel(service, call.args["channel"])
    if not service.guild.permissions_of(service.guild.bot) & Permission.READ_MESSAGE_HISTORY:
        return Answer([])
    seen = [m for m in service.guild.messages.values() if m.channel == channel.id and not m.flags & Flag.EPHEMERAL]
    return Answer([service.show(message) for message in reversed(_cut_window(seen, call))])


def _cut_window(messages: list[Message], call: Call) -> list[Message]:
    limit = min(max(int(call.query.get("limit", 50)), 1), LONGEST_LIST)
    after, before = call.query.get("after"), call.query.get("before")
    if after is not None:
        return [message for message in messages if int(message.id) > int(after)][:limit]
    if before is not None:
        messages = [message for message in messages if int(message.id) < int(before)]
    return messages[-limit:]
