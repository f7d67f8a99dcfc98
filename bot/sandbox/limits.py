"""Sizes that Discord refuses with 50035, and its tree of errors (developer docs, resources Message, Channel,
Application Commands)."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from bot.sandbox.errors import ApiError, Json, Refusal

CONTENT, EMBEDS, EMBED_TOTAL, FIELDS, ROWS, BUTTONS, CHOICES, COMMANDS, OPTIONS = 2000, 10, 6000, 25, 5, 5, 25, 100, 25
TITLE, DESCRIPTION, FOOTER, AUTHOR, FIELD_NAME, FIELD_VALUE, LABEL, CUSTOM_ID = 256, 4096, 2048, 256, 256, 1024, 80, 100
NONCE, FILES, NAME = 25, 10, 100
DIALOGUE, DIALOGUE_PARTS, TYPED, PLACEHOLDER, SHORT_LABEL = 45, 5, 4000, 100, 45
LARGEST_FILE = 10 << 20
# bytes, of a guild without boosts
ARCHIVE_MINUTES = (60, 1440, 4320, 10080)
ROW, BUTTON, TEXT_INPUT, LABELLED, LINK_STYLE = 1, 2, 4, 18, 5
COMMAND_NAME = re.compile(r"[-_'\w]{1,32}")

Fault = tuple[tuple[str | int, ...], str, str]
# path in the body, code, words


class Form:
    """Collects what is wrong with a body; `refuse` raises it all at once, as Discord does."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def fault(self, path: Sequence[str | int], code: str, words: str) -> None:
        self._faults.append((tuple(path), code, words))

    def length(self, path: Sequence[str | int], value: Any, longest: int, shortest: int = 0) -> None:
        """Of a text or a list; None is not there and has no length."""
        if value is None:
            return
        if not isinstance(value, str | list):
            self.fault(path, "BASE_TYPE_BAD", "Of the wrong type.")
        elif len(value) > longest:
            self.fault(path, "BASE_TYPE_MAX_LENGTH", f"Must be {longest} or fewer in length.")
        elif len(value) < shortest:
            required = not value and shortest == 1
            words = "This field is required" if required else f"Must be {shortest} or more in length."
            self.fault(path, "BASE_TYPE_REQUIRED" if required else "BASE_TYPE_MIN_LENGTH", words)

    def required(self, path: Sequence[str | int], value: Any, longest: int) -> None:
        self.length(path, "" if value is None else value, longest, 1)

    def one_of(self, path: Sequence[str | int], value: Any, allowed: Sequence[int]) -> None:
        if value is not None and value not in allowed:
            self.fault(path, "BASE_TYPE_CHOICES", f"Value must be one of {{{', '.join(map(str, allowed))}}}.")

    def between(self, path: Sequence[str | int], value: int | None, least: int, most: int) -> None:
        if value is not None and not least <= value <= most:
            self.fault(path, "NUMBER_TYPE_MAX", f"int value should be between {least} and {most}.")

    def refuse(self) -> None:
        """Raises ApiError 50035 if anything was wrong."""
        if self._faults:
            raise ApiError(Refusal.INVALID_FORM, errors=_grow_tree(self._faults))


def _grow_tree(faults: list[Fault]) -> Json:
    tree: Json = {}
    for path, code, words in faults:
        node = tree
        for step in path:
            node = node.setdefault(str(step), {})
        node.setdefault("_errors", []).append({"code": code, "message": words})
    return tree


def check_message(body: Json) -> None:
    """Content, embeds, components and nonce of a message that is sent or edited."""
    form = Form()
    form.length(["content"], body.get("content"), CONTENT)
    form.length(["nonce"], str(body.get("nonce") or ""), NONCE)
    form.length(["embeds"], body.get("embeds"), EMBEDS)
    form.length(["components"], body.get("components"), ROWS)
    form.refuse()
    _check_embeds(form, body.get("embeds") or [])
    _check_rows(form, body.get("components") or [])
    form.refuse()


def _check_embeds(form: Form, embeds: list[Json]) -> None:
    for index, embed in enumerate(embeds):
        path: list[str | int] = ["embeds", index]
        form.length([*path, "title"], embed.get("title"), TITLE)
        form.length([*path, "description"], embed.get("description"), DESCRIPTION)
        form.length([*path, "footer", "text"], (embed.get("footer") or {}).get("text"), FOOTER)
        form.length([*path, "author", "name"], (embed.get("author") or {}).get("name"), AUTHOR)
        form.length([*path, "fields"], embed.get("fields"), FIELDS)
        for number, field in enumerate(embed.get("fields") or []):
            form.required([*path, "fields", number, "name"], field.get("name"), FIELD_NAME)
            form.required([*path, "fields", number, "value"], field.get("value"), FIELD_VALUE)
    form.refuse()
    if sum(len(text) for embed in embeds for text in _list_texts(embed)) > EMBED_TOTAL:
        form.fault(["embeds"], "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {EMBED_TOTAL}")


def _list_texts(embed: Json) -> Iterator[str]:
    """The texts that count toward the 6000."""
    yield embed.get("title") or ""
    yield embed.get("description") or ""
    yield (embed.get("footer") or {}).get("text") or ""
    yield (embed.get("author") or {}).get("name") or ""
    for field in embed.get("fields") or []:
        yield field.get("name") or ""
        yield field.get("value") or ""


def _check_rows(form: Form, rows: list[Json]) -> None:
    seen: set[str] = set()
    for index, row in enumerate(rows):
        path: list[str | int] = ["components", index]
        if row.get("type") != ROW:
            continue
        form.required([*path, "components"], row.get("components"), BUTTONS)
        for number, component in enumerate(row.get("components") or []):
            _check_component(form, [*path, "components", number], component, seen)


def _check_component(form: Form, path: list[str | int], component: Json, seen: set[str]) -> None:
    custom_id = component.get("custom_id")
    if custom_id in seen:
        form.fault([*path, "custom_id"], "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated")
    if custom_id is not None:
        seen.add(custom_id)
    if component.get("type") != BUTTON:
        return
    form.length([*path, "label"], component.get("label"), LABEL)
    if component.get("style") != LINK_STYLE:
        form.required([*path, "custom_id"], custom_id, CUSTOM_ID)
    if not component.get("label") and not component.get("emoji"):
        form.fault(path, "BUTTON_COMPONENT_INVALID", "A button must have either a label or emoji")


def check_thread(body: Json, *, creating: bool) -> None:
    form = Form()
    if creating or "name" in body:
        form.required(["name"], body.get("name"), NAME)
    form.one_of(["auto_archive_duration"], body.get("auto_archive_duration"), ARCHIVE_MINUTES)
    form.refuse()


def check_dialogue(data: Json) -> None:
    """A modal (developer docs, "Modals"): its parts are rows or labels, each with one text to type."""
    form = Form()
    form.required(["data", "title"], data.get("title"), DIALOGUE)
    form.required(["data", "custom_id"], data.get("custom_id"), CUSTOM_ID)
    form.required(["data", "components"], data.get("components"), DIALOGUE_PARTS)
    form.refuse()
    seen: set[str] = set()
    for index, part in enumerate(data["components"]):
        path: list[str | int] = ["data", "components", index]
        form.one_of([*path, "type"], part.get("type", 0), (ROW, LABELLED))
        if part.get("type") == LABELLED:
            form.required([*path, "label"], part.get("label"), SHORT_LABEL)
            form.length([*path, "description"], part.get("description"), PLACEHOLDER)
        for field in list_fields(part):
            _check_field(form, path, field, seen)
    form.refuse()


def list_fields(part: Json) -> list[Json]:
    """What is to be typed in one part of a dialogue."""
    return [part["component"]] if "component" in part else list(part.get("components") or [])


def _check_field(form: Form, path: list[str | int], field: Json, seen: set[str]) -> None:
    """The sandbox's page shows texts to type, and no other kind."""
    form.one_of([*path, "type"], field.get("type", 0), (TEXT_INPUT,))
    form.required([*path, "custom_id"], field.get("custom_id"), CUSTOM_ID)
    form.one_of([*path, "style"], field.get("style", 0), (1, 2))
    form.length([*path, "placeholder"], field.get("placeholder"), PLACEHOLDER)
    form.length([*path, "value"], field.get("value"), TYPED)
    form.between([*path, "max_length"], field.get("max_length"), 1, TYPED)
    form.between([*path, "min_length"], field.get("min_length"), 0, TYPED)
    if field.get("custom_id") in seen:
        form.fault([*path, "custom_id"], "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated")
    seen.add(str(field.get("custom_id")))


def check_choices(choices: Any) -> None:
    """Of an answer to an autocomplete."""
    form = Form()
    form.length(["data", "choices"], choices, CHOICES)
    form.refuse()
    for index, choice in enumerate(choices):
        form.required(["data", "choices", index, "name"], choice.get("name"), NAME)
        if isinstance(choice.get("value"), str):
            form.required(["data", "choices", index, "value"], choice["value"], NAME)
    form.refuse()


def check_commands(commands: Any) -> None:
    form = Form()
    form.length([], commands, COMMANDS)
    form.refuse()
    for index, command in enumerate(commands):
        _check_command(form, [index], command)
        form.length([index, "options"], command.get("options"), OPTIONS)
        for number, option in enumerate(command.get("options") or []):
            _check_command(form, [index, "options", number], option)
    form.refuse()


def _check_command(form: Form, path: list[str | int], command: Json) -> None:
    name = command.get("name") or ""
    if not COMMAND_NAME.fullmatch(name) or name != name.lower():
        form.fault([*path, "name"], "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
    form.required([*path, "description"], command.get("description"), NAME)
