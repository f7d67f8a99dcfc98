"""The one place that knows how much Discord takes (DISCORD.md, "Limits"), and what happens to what is longer.

Texts are cut in the middle: the beginning says what it is, the end says how it ended. The full text goes along as a
file. Lengths are counted in UTF-16 units, the strictest way to count.
"""

from __future__ import annotations

import re
from dataclasses import replace

from bot.payloads import Attachment, Button, Embed, Field, Message

CONTENT = 2000
TITLE = 256
DESCRIPTION = 4096
FIELDS = 25
FIELD_NAME = 256
FIELD_VALUE = 1024
FOOTER = 2048
EMBED_TOTAL = 6000
BUTTONS = 25  # five rows of five
LABEL = 80
DIALOGUE_TITLE = 45
CUSTOM_ID = 100
CHOICES = 25
CHOICE = 100
THREAD_NAME = 100
FILES = 10
FILE_BYTES = 10 * 1024 * 1024
NONCE = 25
READABLE_TITLE = 60  # on a phone (MESSAGES.md)
EMPTY = "–"  # Discord refuses empty names and values
FULL_TEXT = "full-text.txt"

_FENCE = re.compile(r"```([\w+#.-]{0,20})", re.ASCII)
_RESERVE = 80  # units kept free for the gap, a closed and a reopened code block


def width(text: str) -> int:
    """UTF-16 units."""
    return len(text) + sum(ord(each) > 0xFFFF for each in text)


def sound(text: str) -> str:
    """Without halves of surrogate pairs, which cannot be sent at all."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def cut_middle(text: str, limit: int, gap: str = "…") -> str:
    """At most `limit` units, for one line: a name, a title, a label."""
    text = sound(text)
    if width(text) <= limit:
        return text
    room = max(0, limit - width(gap))
    head = _take(text, room - room // 2)
    tail = _take(text[::-1], room // 2)[::-1]
    return (head + gap + tail) if width(gap) <= limit else _take(text, limit)


def _take(text: str, room: int) -> str:
    """As many characters from the beginning as fit into `room` units."""
    taken = text[:room]
    while width(taken) > room:
        taken = taken[:-1]
    return taken


def cut_text(text: str, limit: int) -> str:
    """At most `limit` units, for many lines: code blocks and code spans stay whole on both sides of the gap."""
    text = sound(text)
    if width(text) <= limit:
        return text
    if limit < 2 * _RESERVE:
        return cut_middle(text, limit)
    room = limit - _RESERVE
    end = _end_of_head(text, len(_take(text, room // 2)))
    start = _start_of_tail(text, len(text) - len(_take(text[::-1], room - room // 2)))
    gap = f"\n… {start - end} characters left out …\n"
    return _close(text[:end]) + gap + _reopen(text, start)


def _end_of_head(text: str, end: int) -> int:
    """Back to the end of a line where one is near, never into a run of backticks or behind a lone backslash."""
    line = text.rfind("\n", end * 3 // 4, end)
    end = line if line > 0 else end
    while end > 0 and text[end - 1] in "`\\":
        end -= 1
    return end


def _start_of_tail(text: str, start: int) -> int:
    """Forward to the beginning of a line where one is near, never into a run of backticks."""
    line = text.find("\n", start, start + (len(text) - start) // 4)
    start = line + 1 if line >= 0 else start
    while start < len(text) and text[start] == "`":
        start += 1
    return start


def open_fence(text: str) -> str | None:
    """The language of the code block that is open at the end of the text; None = none is."""
    language: str | None = None
    for fence in _FENCE.finditer(text):
        language = fence[1] if language is None else None
    return language


def _close(head: str) -> str:
    if open_fence(head) is not None:
        return head + "\n```"
    return head + "`" if _odd_ticks(head.rsplit("\n", 1)[-1]) else head


def _reopen(text: str, start: int) -> str:
    tail = text[start:]
    language = open_fence(text[:start])
    if language is not None:
        return f"```{language}\n{tail}"
    before = text[:start].rsplit("\n", 1)[-1]
    return "`" + tail if _odd_ticks(before) and not before.endswith("`") else tail


def _odd_ticks(line: str) -> bool:
    return line.replace("```", "").count("`") % 2 == 1


def fit(message: Message) -> Message:
    """The message as Discord takes it; what was cut is attached whole. Raises ValueError for a custom_id too long."""
    fitted = replace(
        message,
        content=cut_text(message.content, CONTENT),
        embed=None if message.embed is None else fit_embed(message.embed),
        buttons=tuple(_fit_button(each) for each in message.buttons[:BUTTONS]),
    )
    whole = _full_text(message) if _shortened(message, fitted) else None
    files = message.files if whole is None else (*message.files, Attachment(FULL_TEXT, whole))
    return replace(fitted, files=tuple(_fit_file(each) for each in files[-FILES:]))


def fit_embed(embed: Embed) -> Embed:
    """Each part within its limit, then the description gives way until the whole is within 6000."""
    fitted = replace(
        embed,
        title=cut_middle(embed.title, TITLE),
        description=cut_text(embed.description, DESCRIPTION),
        fields=tuple(_fit_field(each) for each in embed.fields[:FIELDS]),
        footer=cut_middle(embed.footer, FOOTER),
    )
    while embed_width(fitted) > EMBED_TOTAL and fitted.fields and width(fitted.description) < _surplus(fitted):
        fitted = replace(fitted, fields=fitted.fields[:-1])
    room = width(fitted.description) - _surplus(fitted)
    return replace(fitted, description=cut_text(fitted.description, room)) if _surplus(fitted) > 0 else fitted


def _surplus(embed: Embed) -> int:
    return embed_width(embed) - EMBED_TOTAL


def embed_width(embed: Embed) -> int:
    """What counts toward the 6000."""
    fields = sum(width(each.name) + width(each.value) for each in embed.fields)
    return width(embed.title) + width(embed.description) + width(embed.footer) + fields


def _fit_field(field: Field) -> Field:
    name = cut_middle(field.name.strip() or EMPTY, FIELD_NAME)
    return replace(field, name=name, value=cut_text(field.value.strip() or EMPTY, FIELD_VALUE))


def _fit_button(button: Button) -> Button:
    if not 0 < width(button.custom_id) <= CUSTOM_ID:
        raise ValueError(f"a button's custom_id must have 1 to {CUSTOM_ID} characters: {button.custom_id!r}")
    return replace(button, label=cut_middle(button.label or EMPTY, LABEL))


def _shortened(message: Message, fitted: Message) -> bool:
    return sum(map(width, _texts(fitted))) < sum(width(sound(each)) for each in _texts(message))


def _texts(message: Message) -> list[str]:
    embed = message.embed or Embed()
    fields = [text for each in embed.fields for text in (each.name, each.value)]
    return [text for text in (message.content, embed.title, embed.description, *fields) if text]


def _full_text(message: Message) -> str:
    return "\n\n".join(_texts(message))


def _fit_file(file: Attachment) -> Attachment:
    return file if file.text is None else replace(file, text=cut_bytes(file.text, FILE_BYTES))


def cut_bytes(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, cut in the middle."""
    encoded = sound(text).encode("utf-8")
    if len(encoded) <= limit:
        return sound(text)
    gap = b"\n... cut in the middle: too long for Discord ...\n"
    half = (limit - len(gap)) // 2
    return (encoded[:half] + gap + encoded[-half:]).decode("utf-8", "ignore")
