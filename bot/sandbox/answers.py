"""Handlers of the answers to interactions: the callback, @original and followups (developer docs, "Receiving and
Responding")."""

from dataclasses import replace

from bot.sandbox.call import NOTHING, Answer, Call, Upload
from bot.sandbox.errors import ApiError, Json, Refusal
from bot.sandbox.guild import Flag, Message
from bot.sandbox.interaction import CallbackType, Interaction, InteractionType, Opened
from bot.sandbox.limits import Form, check_choices, check_dialogue
from bot.sandbox.payloads import show_user
from bot.sandbox.posting import compose, fill, rewrite
from bot.sandbox.service import Service

ALLOWED = {
    InteractionType.COMMAND: (CallbackType.MESSAGE, CallbackType.DEFERRED_MESSAGE, CallbackType.MODAL),
    InteractionType.COMPONENT: (
        CallbackType.MESSAGE,
        CallbackType.DEFERRED_MESSAGE,
        CallbackType.DEFERRED_UPDATE,
        CallbackType.UPDATE,
        CallbackType.MODAL,
    ),
    InteractionType.AUTOCOMPLETE: (CallbackType.CHOICES,),
    InteractionType.MODAL_SUBMIT: (CallbackType.MESSAGE, CallbackType.DEFERRED_MESSAGE),
}
# Of a dialogue that a button opened the message of the button may be changed; of a command's there is none.
OF_A_BUTTON = (CallbackType.DEFERRED_UPDATE, CallbackType.UPDATE)


def acknowledge(service: Service, call: Call) -> Answer:
    """The first answer: within 3 s, and only one."""
    interaction = service.interactions.get(call.args["interaction"])
    if interaction is None or interaction.token != call.args["token"]:
        raise ApiError(Refusal.UNKNOWN_INTERACTION)
    if interaction.acknowledged is not None:
        raise ApiError(Refusal.ALREADY_ACKNOWLEDGED)
    if service.clock.steady() - interaction.begun > service.rules.first_answer:
        raise ApiError(Refusal.UNKNOWN_INTERACTION)
    kind = _read_kind(interaction, call.body)
    _carry_out(service, interaction, kind, call)
    interaction.acknowledged = kind
    service.feed.touch()
    return Answer(_describe(service, interaction, kind)) if _wants_answer(call) else NOTHING


def _read_kind(interaction: Interaction, body: Json) -> CallbackType:
    allowed = ALLOWED[interaction.type]
    if interaction.opener is not None and interaction.message is not None:
        allowed += OF_A_BUTTON
    form = Form()
    form.one_of(["type"], body.get("type", 0), allowed)
    form.refuse()
    return CallbackType(body["type"])


def _wants_answer(call: Call) -> bool:
    return call.query.get("with_response", "").lower() in ("1", "true")


def _carry_out(service: Service, interaction: Interaction, kind: CallbackType, call: Call) -> None:
    data = call.body.get("data") or {}
    match kind:
        case CallbackType.MESSAGE:
            interaction.original = _post(service, interaction, data, call.files).id
            interaction.settle(interaction.original)
        case CallbackType.DEFERRED_MESSAGE:
            interaction.original = _post_thinking(service, interaction, data).id
        case CallbackType.DEFERRED_UPDATE:
            interaction.original = interaction.message
        case CallbackType.UPDATE:
            interaction.original = interaction.message
            _change_original(service, interaction, data, call.files)
        case CallbackType.CHOICES:
            check_choices(data.get("choices"))
            interaction.settle(data["choices"])
        case CallbackType.MODAL:
            check_dialogue(data)
            interaction.dialogue = data
            interaction.settle(Opened())


def _post(service: Service, interaction: Interaction, body: Json, files: tuple[Upload, ...]) -> Message:
    return service.post(_address(service, interaction, compose(service, interaction.channel, body, files), body))


def _post_thinking(service: Service, interaction: Interaction, body: Json) -> Message:
    bare = Message(
        service.guild.next_id(), interaction.channel, service.guild.bot.id, service.clock.wall(), flags=Flag.LOADING
    )
    return service.post(_address(service, interaction, bare, body))


def _address(service: Service, interaction: Interaction, message: Message, body: Json) -> Message:
    """An answer says whose order it answers, and shows itself to that person alone if it is ephemeral."""
    user = service.guild.get_user(interaction.user)
    ephemeral = Flag(body.get("flags") or 0) & Flag.EPHEMERAL
    invocation = interaction.describe(show_user(user), service.guild.id)
    reader = user.id if ephemeral else None
    return replace(
        message,
        invocation=invocation,
        command=interaction.command,
        pressed=interaction.pressed,
        flags=message.flags | ephemeral,
        ephemeral_to=reader,
    )


def _describe(service: Service, interaction: Interaction, kind: CallbackType) -> Json:
    """`resource` only where a message was sent or changed, as the specification has it."""
    about: Json = {"id": interaction.id, "type": int(interaction.type)}
    original = service.guild.messages.get(interaction.original or "")
    if original is None:
        return {"interaction": about}
    about |= {"response_message_id": original.id, "response_message_loading": not original.filled}
    about |= {"response_message_ephemeral": bool(original.flags & Flag.EPHEMERAL)}
    if kind not in (CallbackType.MESSAGE, CallbackType.UPDATE):
        return {"interaction": about}
    return {"interaction": about, "resource": {"type": int(kind), "message": service.show(original)}}


def _change_original(service: Service, interaction: Interaction, body: Json, files: tuple[Upload, ...]) -> Message:
    original = _get_answer(service, interaction, "@original")
    return _change(service, interaction, original, body, files)


def _change(
    service: Service, interaction: Interaction, message: Message, body: Json, files: tuple[Upload, ...]
) -> Message:
    changed = rewrite(service, message, body, files) if message.filled else fill(service, message, body, files)
    service.replace(changed)
    interaction.settle(changed.id)
    return changed


def _enter(service: Service, call: Call) -> Interaction:
    """By the token that came with the interaction: good for 15 min, and only after the first answer."""
    found = next((i for i in service.interactions.values() if i.token == call.args["token"]), None)
    if found is None or call.args["application"] != service.guild.bot.id or found.acknowledged is None:
        raise ApiError(Refusal.UNKNOWN_WEBHOOK)
    if service.clock.steady() - found.begun > service.rules.token_life:
        raise ApiError(Refusal.INVALID_TOKEN)
    return found


def _get_answer(service: Service, interaction: Interaction, name: str) -> Message:
    message = service.guild.messages.get((interaction.original or "") if name == "@original" else name)
    if message is None:
        raise ApiError(Refusal.UNKNOWN_MESSAGE)
    return message


def send_followup(service: Service, call: Call) -> Answer:
    """The first one fills a deferred answer, which stays as ephemeral as it was deferred."""
    interaction = _enter(service, call)
    original = service.guild.messages.get(interaction.original or "")
    if original is not None and not original.filled:
        return Answer(service.show(_change(service, interaction, original, call.body, call.files)))
    message = _post(service, interaction, call.body, call.files)
    interaction.settle(message.id)
    return Answer(service.show(message))


def get_answer(service: Service, call: Call) -> Answer:
    return Answer(service.show(_get_answer(service, _enter(service, call), call.args["answer"])))


def edit_answer(service: Service, call: Call) -> Answer:
    interaction = _enter(service, call)
    message = _get_answer(service, interaction, call.args["answer"])
    return Answer(service.show(_change(service, interaction, message, call.body, call.files)))


def delete_answer(service: Service, call: Call) -> Answer:
    service.remove(_get_answer(service, _enter(service, call), call.args["answer"]))
    return NOTHING
